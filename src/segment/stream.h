/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/stream - the bytes of a .log on their way to the file, in few large writes.
 *
 * Part of the path:  writer -> [stream] -> page cache, or past it
 *
 * Small batches are gathered and go through the page cache: readers that follow closely find them
 * there. Large ones, of a log that takes more than memory is for, go past it if the owner lends a
 * direct handle: each new page of the page cache has to be found and cleared by the kernel, which
 * costs more than the device write itself, and the device then gets them in one burst at the next
 * sync, for which every journal write waits. The bytes are copied once into an aligned buffer that
 * is used again and again, and the device is given an even stream of whole blocks.
 *
 *                    position                                     end
 *      ...|########|##xxxxxx|xxxxxxxx|xxxxxxxx|xxxxxxxx|xxxxxxxx|xxx     |
 *                     `-----'`---------------------------------'`--'
 *                   page cache           direct              page cache
 *
 * A block at either end that is not whole goes through the page cache, so a direct write never
 * covers a byte that an earlier call wrote, and no block is written both ways at a time. The file
 * must not be mapped meanwhile.
 *
 * Failure modes: a write fails -> its errno; what of the call's bytes is in the file is not known
 *
 * Invariants:
 *   SEG-12  A direct write covers whole blocks, and none that holds bytes of before the stream.
 *
 * Threads: one.   Memory: a buffer from io_alloc unless one is lent.
 */
#ifndef SEGMENT_STREAM_H
#define SEGMENT_STREAM_H

#include "io/io.h"

/* One stream. Fields are its own. */
struct segment_stream {
    struct io *io;
    struct io_file *file;   /* Through the page cache. */
    struct io_file *direct; /* Past it; NULL: never. */
    uint8_t *buffer; /* Its first byte is that of a block of the file if there is `direct`. */
    size_t buffer_bytes;
    bool is_lent;
    size_t lead;      /* Bytes of the buffer before `position`. */
    size_t count;     /* Bytes gathered, from `lead` on. */
    int64_t position; /* Where they go in the file. */
};

/** Set up @stream to write to @file from @position on, through the page cache. Borrows. */
void segment_stream_init(struct segment_stream *stream,
                         struct io *io,
                         struct io_file *file,
                         int64_t position);

/** Let an empty @stream write whole blocks with @direct, out of @buffer of a multiple of
 * BLOCK_BYTES that is aligned so. Borrows both until deinit. */
void segment_stream_lend(struct segment_stream *stream,
                         struct io_file *direct,
                         struct bytes_mut buffer);

/** Take @data, which goes right behind what was taken before. Returns 0 or an errno value. */
MUST_CHECK int segment_stream_put(struct segment_stream *stream, struct bytes data);

/** Write what is gathered. Returns 0 or an errno value. */
MUST_CHECK int segment_stream_flush(struct segment_stream *stream);

/** Free what @stream allocated; what is gathered is dropped. Accepts a zeroed one. */
void segment_stream_deinit(struct segment_stream *stream);

#endif /* SEGMENT_STREAM_H */
