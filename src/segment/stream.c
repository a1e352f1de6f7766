/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/stream - gathering, and the choice of the way for each block.
 */
#include "segment/stream.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/transfer.h"

void segment_stream_init(struct segment_stream *stream,
                         struct io *io,
                         struct io_file *file,
                         int64_t position)
{
    ASSERT(file);
    ASSERT(position >= 0);

    *stream = (struct segment_stream){.io = io,
                                      .file = file,
                                      .buffer_bytes = SEGMENT_GATHER_BYTES,
                                      .position = position};
}

void segment_stream_lend(struct segment_stream *stream,
                         struct io_file *direct,
                         struct bytes_mut buffer)
{
    ASSERT(stream->count == 0);
    ASSERT(!stream->buffer);
    ASSERT(direct);
    ASSERT(buffer.count % BLOCK_BYTES == 0);
    ASSERT((uintptr_t)buffer.data % BLOCK_BYTES == 0);

    stream->direct = direct;
    stream->buffer = buffer.data;
    stream->buffer_bytes = buffer.count;
    stream->is_lent = true;
    stream->lead = (size_t)(stream->position % BLOCK_BYTES);
}

/* Write the bytes of the buffer in [@first, @end) with @file. */
static int write_range(struct segment_stream *stream,
                       struct io_file *file,
                       size_t first,
                       size_t end)
{
    ASSERT(first >= stream->lead);
    ASSERT(end <= stream->lead + stream->count);

    if (first == end) {
        return 0;
    }
    struct bytes span = {.data = stream->buffer + first, .count = end - first};
    int64_t position = stream->position + (int64_t)(first - stream->lead);
    if (file == stream->direct) {
        ASSERT(position % BLOCK_BYTES == 0); /* SEG-12 */
        ASSERT(span.count % BLOCK_BYTES == 0);
    }
    return io_write_whole(stream->io, file, span, position, false);
}

/* Write whole blocks past the page cache and the ends through it. */
static int write_blocks(struct segment_stream *stream)
{
    ASSERT(stream->direct);
    ASSERT(stream->lead < BLOCK_BYTES);

    size_t end = stream->lead + stream->count;
    size_t blocks_first = (size_t)align_up(stream->lead, BLOCK_BYTES);
    size_t blocks_end = (size_t)align_down(end, BLOCK_BYTES);
    if (blocks_end <= blocks_first) {
        return write_range(stream, stream->file, stream->lead, end);
    }
    int number = write_range(stream, stream->file, stream->lead, blocks_first);
    if (number == 0) {
        number = write_range(stream, stream->direct, blocks_first, blocks_end);
        if (number == EINVAL) { /* The file system takes the flag but not the write. */
            number = write_range(stream, stream->file, blocks_first, blocks_end);
        }
    }
    if (number == 0) {
        number = write_range(stream, stream->file, blocks_end, end);
    }
    return number;
}

int segment_stream_flush(struct segment_stream *stream)
{
    ASSERT(stream->buffer || stream->count == 0);
    ASSERT(stream->lead + stream->count <= stream->buffer_bytes);

    if (stream->count == 0) {
        return 0;
    }
    int number = stream->direct ? write_blocks(stream)
                                : write_range(stream, stream->file, stream->lead,
                                              stream->lead + stream->count);
    if (number == 0) {
        stream->position += (int64_t)stream->count;
        stream->count = 0;
        stream->lead = stream->direct ? (size_t)(stream->position % BLOCK_BYTES) : 0;
    }
    return number;
}

/* Copy @data behind what is gathered. There is room. */
static void take(struct segment_stream *stream, struct bytes data)
{
    ASSERT(stream->buffer);
    ASSERT(stream->lead + stream->count + data.count <= stream->buffer_bytes);

    memcpy(stream->buffer + stream->lead + stream->count, data.data, data.count);
    stream->count += data.count;
}

/* Take @data in pieces that fill the buffer, so that writes end at a block. */
static int put_direct(struct segment_stream *stream, struct bytes data)
{
    ASSERT(stream->direct);
    ASSERT(stream->lead + stream->count < stream->buffer_bytes);

    while (data.count > 0) {
        size_t room = stream->buffer_bytes - stream->lead - stream->count;
        size_t count = data.count < room ? data.count : room;
        take(stream, (struct bytes){.data = data.data, .count = count});
        data = (struct bytes){.data = data.data + count, .count = data.count - count};
        int number = count == room ? segment_stream_flush(stream) : 0;
        if (number != 0) {
            return number;
        }
    }
    return 0;
}

int segment_stream_put(struct segment_stream *stream, struct bytes data)
{
    ASSERT(data.count > 0);
    ASSERT(stream->file);

    if (stream->direct) {
        return put_direct(stream, data);
    }
    int number = 0;
    if (stream->count + data.count > stream->buffer_bytes) {
        number = segment_stream_flush(stream);
    }
    if (number != 0) {
        return number;
    }
    if (data.count >= stream->buffer_bytes) {
        ASSERT(stream->count == 0);
        number = io_write_whole(stream->io, stream->file, data, stream->position, false);
        stream->position += number == 0 ? (int64_t)data.count : 0;
        return number;
    }
    if (!stream->buffer) {
        stream->buffer = io_alloc(stream->io, stream->buffer_bytes, BLOCK_BYTES);
    }
    if (!stream->buffer) {
        return ENOMEM;
    }
    take(stream, data);
    return 0;
}

void segment_stream_deinit(struct segment_stream *stream)
{
    ASSERT(stream->io || !stream->buffer);
    ASSERT(stream->buffer || stream->count == 0);

    if (stream->buffer && !stream->is_lent) {
        io_free(stream->io, stream->buffer);
    }
    *stream = (struct segment_stream){.io = NULL};
}
