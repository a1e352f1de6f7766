/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/writer - batches into the four files of a segment, in big writes.
 *
 * Part of the path:  append, compact, recover -> [writer] -> files
 *
 * The writer walks the batches that it is given, adds each to the shape, and gathers three things:
 * the batches themselves (segment/stream), the points, and Kafka's index entries. Recovery uses it
 * without the first, to make the side files of a .log that is there.
 *
 * Threads: one.   Memory: buffers from io_alloc, from open to close.
 */
#ifndef SEGMENT_WRITER_H
#define SEGMENT_WRITER_H

#include "segment/chain.h"
#include "segment/stream.h"

/* One writer. Fields are its own. */
struct segment_writer {
    struct io *io;
    const char *folder;
    enum segment_suffix suffix;
    struct segment_shape *shape;
    struct io_file *files[SEGMENT_KIND_COUNT];
    bool is_borrowed[SEGMENT_KIND_COUNT];
    uint8_t *memory;              /* Points and entries, below. */
    struct segment_stream stream; /* The .log. */
    uint8_t *points;
    uint32_t point_first; /* Slot of the first one held. */
    uint32_t point_count;
    uint8_t *index;
    uint32_t index_first;
    uint32_t index_count;
    uint8_t *times;
    uint32_t time_first;
    uint32_t time_count;
    bool writes_log; /* False: the .log is there already. */
    bool allocates;  /* Reserve space ahead, */
    bool is_refused; /* which the disk has refused this writer. */
    int64_t bytes_max;
};

/** Set up @writer at the end of @shape, which it keeps and moves. @suffix names the files. */
MUST_CHECK enum pyr_err segment_writer_open(struct segment_writer *writer,
                                            struct io *io,
                                            const char *folder,
                                            enum segment_suffix suffix,
                                            struct segment_shape *shape,
                                            struct pyr_error *reterr);

/** Lend the open file @file of @kind to @writer until close. Borrows. */
void segment_writer_lend(struct segment_writer *writer,
                         enum segment_kind kind,
                         struct io_file *file);

/** Let @writer, whose .log is lent and which has no batch yet, write large pieces of it past the
 * page cache, with @direct out of @buffer; see segment_stream_lend. Borrows. */
void segment_writer_lend_direct(struct segment_writer *writer,
                                struct io_file *direct,
                                struct bytes_mut buffer);

/** Make the files of the writer's segment, empty but for the header and the START point; the .log
 * only if it writes it and none was lent. */
MUST_CHECK enum pyr_err segment_writer_begin(struct segment_writer *writer,
                                             struct pyr_error *reterr);

/** Write the @count history points of a cleaned segment, which shape->history_count says. */
MUST_CHECK enum pyr_err segment_writer_history(struct segment_writer *writer,
                                               const struct segment_point *points,
                                               uint32_t count,
                                               struct pyr_error *reterr);

/**
 * Add the whole batch at the front of @data. PYR_ERR_CORRUPT with *@ret_why if it does not follow.
 */
MUST_CHECK enum pyr_err segment_writer_add(struct segment_writer *writer,
                                           struct bytes data,
                                           int64_t clock_ms,
                                           struct segment_batch *ret_batch,
                                           const char **ret_why,
                                           struct pyr_error *reterr);

/** Write all that is gathered. */
MUST_CHECK enum pyr_err segment_writer_flush(struct segment_writer *writer,
                                             struct pyr_error *reterr);

/** Flush, write the END point and the last .timeindex entry, cut all files to size. */
MUST_CHECK enum pyr_err segment_writer_end(struct segment_writer *writer, struct pyr_error *reterr);

/** Sync the files of the segment. */
MUST_CHECK enum pyr_err segment_writer_sync(struct segment_writer *writer,
                                            struct pyr_error *reterr);

/** Close the files that were not lent, free the buffers. Accepts a zeroed one. */
void segment_writer_close(struct segment_writer *writer);

/** Write @data over the file @name of @folder: new file, sync, rename, sync of the folder. */
MUST_CHECK enum pyr_err segment_file_replace(struct io *io,
                                             const char *folder,
                                             const char *name,
                                             struct bytes data,
                                             struct pyr_error *reterr);

/** Write @count rows as the epoch file of @folder. Does not sync the folder. */
MUST_CHECK enum pyr_err segment_epochs_write(struct io *io,
                                             const char *folder,
                                             const struct segment_epoch *rows,
                                             size_t count,
                                             struct pyr_error *reterr);

#endif /* SEGMENT_WRITER_H */
