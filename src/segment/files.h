/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/files - the open files of segments, counted, and the bounded cache of them.
 *
 * A handle is the .log and the .digest of one segment, open, and mapped if the log is read that
 * way. It never changes; whoever holds a count may read, on any thread, while the owner drops the
 * segment, swaps its files or removes them. The last one to let go closes.
 *
 * The cache is a list of segments in order of use. It belongs to the owner of all logs that share
 * it, holds one count on each handle in it, and lets go of the oldest when there are too many: a
 * thousand partitions work under a limit of 256 files. Opening blocks, so the owner never does it:
 * a view or a job that found no handle opens one where it runs, and offers it when it comes back.
 *
 *   owner                         another thread
 *   files_get -> NULL  ........>  handle_open (blocks), use
 *   files_put(handle)  <........  done
 *
 * Invariants:
 *   SEG-5  The cache holds at most its bound of handles, each on a segment that is not DELETED.
 *
 * Threads: the cache: owner. Handles: any.   Memory: io_alloc.
 */
#ifndef SEGMENT_FILES_H
#define SEGMENT_FILES_H

#include <stdatomic.h>

#include "base/limits.h"
#include "io/io.h"
#include "segment/segment.h"

/* The open files of a segment. */
struct segment_handle {
    atomic_uint references;
    struct io *io;
    struct io_file *log;
    struct io_file *digest;
    const uint8_t *log_map; /* NULL unless mapped. */
    size_t log_map_bytes;
    bool is_writable;
};

/* The cache. Zeroed with `handles_max` set it is ready. */
struct segment_files {
    struct io *io;
    uint32_t handles_max; /* Each is two files. */
    uint32_t handle_count;
    struct segment *lru_first; /* Used longest ago. */
    struct segment *lru_last;
    uint32_t direct_batch_bytes;  /* An append that begins with so large a batch is direct. */
    uint32_t direct_buffer_bytes; /* In writes of at most so many. Both set by init. */
    uint8_t *buffers[SEGMENT_DIRECT_BUFFERS_MAX]; /* For that; the first so many: */
    uint32_t buffer_count;
};

/* How a handle is opened. */
struct segment_handle_options {
    const char *folder;
    int64_t offset_base;
    bool is_writable;
    bool use_mmap;
};

/** Set up @files for at most @handles_max handles. */
void segment_files_init(struct segment_files *files, struct io *io, uint32_t handles_max);

/** Check that @files is empty: all logs that used it are closed. */
void segment_files_deinit(struct segment_files *files);

/**
 * Open the files of a segment. Any thread; blocks. Gives one count: segment_handle_release.
 *
 * PYR_ERR_NOT_FOUND if they are gone (removed since the owner was asked: ask again).
 */
MUST_CHECK enum pyr_err segment_handle_open(struct io *io,
                                            const struct segment_handle_options *options,
                                            struct segment_handle **ret_handle,
                                            struct pyr_error *reterr);

/** Return a buffer of files->direct_buffer_bytes, or NULL if memory is short. Gives:
 * segment_files_give_buffer. */
uint8_t *segment_files_take_buffer(struct segment_files *files);

/** Take @buffer back (NULL does nothing). */
void segment_files_give_buffer(struct segment_files *files, uint8_t *buffer);

/** Take one more count on @handle. Any thread. */
void segment_handle_acquire(struct segment_handle *handle);

/** Give one count back (NULL does nothing); the last one closes. Any thread; may block. */
void segment_handle_release(struct segment_handle *handle);

/** Return the handle of @segment with a count, or NULL if none is open or it does not fit: it maps
 * fewer than @map_bytes although mapping is wanted (0: not), or is not writable although that is
 * wanted. */
struct segment_handle *segment_files_get(struct segment_files *files,
                                         struct segment *segment,
                                         uint32_t map_bytes,
                                         bool is_writable);

/** Offer @handle of @segment to the cache, which takes its own count, and lets go of another if it
 * is full. Borrows. */
void segment_files_put(struct segment_files *files,
                       struct segment *segment,
                       struct segment_handle *handle);

/** Let go of the handle of @segment, if the cache has one. */
void segment_files_drop(struct segment_files *files, struct segment *segment);

#endif /* SEGMENT_FILES_H */
