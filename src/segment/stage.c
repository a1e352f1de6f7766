/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/stage - filling the stretch, and copying out of it.
 */
#include "segment/stage.h"

#include <errno.h>
#include <inttypes.h>

#include "base/assert.h"
#include "io/transfer.h"

enum pyr_err segment_stage_open(struct segment_stage *stage,
                                struct segment_view *view,
                                struct pyr_error *reterr)
{
    ASSERT(!stage->file);
    ASSERT(!view->use_mmap);
    ASSERT(stage->buffer.count % BLOCK_BYTES == 0);

    char path[PATH_BYTES_MAX];
    if (!segment_path(path, view->folder, view->shape.identity.offset_base, SEGMENT_KIND_LOG,
                      SEGMENT_SUFFIX_NONE)) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s': the path is too long", view->folder);
    }
    int number = io_open(view->io, path, IO_OPEN_READ | IO_OPEN_DIRECT, &stage->file);
    if (number == EINVAL) {
        number = io_open(view->io, path, IO_OPEN_READ, &stage->file);
    }
    if (number != 0) {
        return err_set_errno(reterr, number, "open '%s'", path);
    }
    if (stage->serial != view->serial) {
        stage->serial = view->serial;
        stage->count = 0;
    }
    stage->position_end = view->shape.end.position;
    view->stage = stage;
    return PYR_OK;
}

void segment_stage_close(struct segment_stage *stage, struct io *io)
{
    ASSERT(io);
    ASSERT(stage);

    io_close(io, stage->file);
    stage->file = NULL;
}

/* Make the stretch begin at the block of @position. */
static int stage_fill(struct segment_stage *stage, struct io *io, int64_t position)
{
    ASSERT(stage->file);
    ASSERT(position < stage->position_end);

    uint64_t first = align_down((uint64_t)position, BLOCK_BYTES);
    uint64_t wanted = align_up((uint64_t)stage->position_end - first, BLOCK_BYTES);
    struct bytes_mut span = stage->buffer;
    span.count = wanted < span.count ? (size_t)wanted : span.count;
    size_t got = 0;
    stage->count = 0;
    int number = io_read_whole(io, stage->file, span, (int64_t)first, &got);
    if (number != 0) {
        return number;
    }
    uint64_t true_bytes = (uint64_t)stage->position_end - first;
    stage->position = (int64_t)first;
    stage->count = got < true_bytes ? got : (size_t)true_bytes;
    stage->bytes_read += stage->count;
    return 0;
}

int segment_stage_read(struct segment_stage *stage,
                       struct io *io,
                       struct bytes_mut span,
                       int64_t position,
                       size_t *ret_count)
{
    ASSERT(stage->file);
    ASSERT(position >= 0);
    ASSERT(span.data);

    size_t done = 0;
    while (done < span.count && position + (int64_t)done < stage->position_end) {
        int64_t at = position + (int64_t)done;
        bool is_inside = at >= stage->position && at < stage->position + (int64_t)stage->count;
        int number = is_inside ? 0 : stage_fill(stage, io, at);
        if (number != 0) {
            return number;
        }
        if (at >= stage->position + (int64_t)stage->count) {
            break; /* The file is shorter than its batches. */
        }
        size_t skipped = (size_t)(at - stage->position);
        size_t count = stage->count - skipped;
        count = count < span.count - done ? count : span.count - done;
        memcpy(span.data + done, stage->buffer.data + skipped, count);
        done += count;
    }
    *ret_count = done;
    return 0;
}
