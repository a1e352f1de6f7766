/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/find - the first batch of a segment that is as late as asked.
 *
 * Part of the path:  view -> [find] -> read
 *
 * Points carry the largest timestamp before them, so one search leads to the last point before
 * which all are earlier. From there on runs are read, checked as any other, and looked through.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "segment/chain.h"
#include "segment/points.h"
#include "segment/read.h"

/* Look through the verified @data for a batch at or after @timestamp_ms. */
static bool find_in(struct bytes data, int64_t timestamp_ms, int64_t *ret_offset)
{
    ASSERT(ret_offset);
    ASSERT(data.data || data.count == 0);

    size_t used = 0;
    while (used < data.count) {
        struct segment_batch batch;
        const char *why =
            segment_batch_peek(data.data + used, (int64_t)(data.count - used), &batch);
        ASSERT(!why);
        if (batch.timestamp_max >= timestamp_ms) {
            *ret_offset = batch.offset_base;
            return true;
        }
        used += batch.bytes;
    }
    ASSERT(used == data.count);
    return false;
}

/* Read runs from @cursor on until one holds the timestamp. */
static enum pyr_err find_time(struct segment_view *view,
                              struct segment_cursor *cursor,
                              struct bytes_mut *buffer,
                              int64_t timestamp_ms,
                              int64_t *ret_offset,
                              struct pyr_error *reterr)
{
    ASSERT(view->handle);
    ASSERT(cursor->serial == view->serial);

    int64_t offset = cursor->point.offset;
    while (offset < view->shape.end.offset) {
        struct segment_run run = {0};
        struct segment_read want = {
            .offset = offset,
            .offset_end = INT64_MAX,
            .bytes_max = (size_t)2 * SEGMENT_INDEX_INTERVAL_BYTES,
            .buffer = *buffer,
            .cursor = cursor,
        };
        enum pyr_err err = segment_view_read(view, &want, &run, reterr);
        if (err == PYR_ERR_TOO_LARGE) {
            io_free(view->io, buffer->data);
            *buffer = (struct bytes_mut){.data = io_alloc(view->io, run.bytes_needed, 1),
                                         .count = run.bytes_needed};
            err = buffer->data ? PYR_OK : err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to search");
        }
        if (err != PYR_OK) {
            return err;
        }
        bool is_found = find_in(run.data, timestamp_ms, ret_offset);
        segment_handle_release(run.handle);
        if (is_found) {
            return PYR_OK;
        }
        offset = run.bytes_needed > 0 ? offset : run.offset_next;
    }
    return err_set(reterr, PYR_ERR_OUT_OF_RANGE, "no record is as late as %" PRId64, timestamp_ms);
}

enum pyr_err segment_view_find_time(struct segment_view *view,
                                    int64_t timestamp_ms,
                                    int64_t *ret_offset,
                                    struct pyr_error *reterr)
{
    ASSERT(view->serial != 0);
    ASSERT(ret_offset);

    struct segment_cursor cursor = {.serial = view->serial};
    struct bytes_mut buffer = {0};
    struct segment_stretch stretch;
    enum pyr_err err = segment_view_open(view, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(view->handle);
    struct segment_points points = {.io = view->io,
                                    .digest = view->handle->digest,
                                    .shape = &view->shape};
    err = segment_points_floor(&points, SEGMENT_KEY_TIMESTAMP, timestamp_ms, &stretch, reterr);
    if (err != PYR_OK) {
        return err;
    }
    cursor.point = stretch.before;
    cursor.slot = stretch.slot;
    ASSERT(cursor.point.offset >= view->shape.identity.offset_base);
    err = find_time(view, &cursor, &buffer, timestamp_ms, ret_offset, reterr);
    io_free(view->io, buffer.data);
    return err;
}
