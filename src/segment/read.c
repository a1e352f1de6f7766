/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/read - one read: find, run, prove.
 *
 * Part of the path:  view -> [read] -> consumer, follower, compaction, scrub
 *
 *   find   from the cursor, or the last point at or before the offset, header by header to the
 *          batch that holds the offset
 *   run    batch by batch, each with its checksum, up to the limits
 *   prove  header by header to the next stored point, whose digest, offset and epoch must be met
 *
 * Without a mapping headers come through a small window, and the run in one read into the caller's
 * buffer. Under a mapping all of it happens inside the guard, if there is one: nothing that the
 * guard could jump out of holds a resource.
 */
#include "segment/read.h"

#include <inttypes.h>

#include "base/assert.h"
#include "io/transfer.h"
#include "record/batch.h"
#include "segment/chain.h"
#include "segment/points.h"
#include "segment/stage.h"

enum { WINDOW_BYTES = 4096 };

ASSERT_STATIC(WINDOW_BYTES > (int)BATCH_HEADER_BYTES, "a window holds a header");

/* One read under way. */
struct reader {
    struct segment_view *view;
    const struct segment_read *want;
    struct segment_run *run;
    struct pyr_error *reterr;
    enum pyr_err err;
    struct segment_point point; /* Where the walk stands. */
    uint32_t slot;              /* Of a point at or before it, or 0. */
    uint32_t window_position;
    uint32_t window_count;
    uint8_t window[WINDOW_BYTES];
};

/* -- Bytes -- */

/* Say that what stands at the reader's place is damaged. */
static enum pyr_err damaged(struct reader *reader, const char *why)
{
    ASSERT(why);
    ASSERT(reader->point.offset >= 0);

    const struct segment_view *view = reader->view;
    return err_set(reader->reterr, PYR_ERR_CORRUPT,
                   "'%s/%020" PRId64 ".log' at position %" PRIu32 ", offset %" PRId64 ": %s",
                   view->folder, view->shape.identity.offset_base, reader->point.position,
                   reader->point.offset, why);
}

/* Read @span at @position of the .log; short only if the file is. */
static enum pyr_err read_log(struct reader *reader,
                             struct bytes_mut span,
                             uint32_t position,
                             size_t *ret_count)
{
    ASSERT(span.data);
    ASSERT(reader->view->handle);
    ASSERT(position <= reader->view->shape.end.position);

    struct segment_view *view = reader->view;
    int number = view->stage
                     ? segment_stage_read(view->stage, view->io, span, position, ret_count)
                     : io_read_whole(view->io, view->handle->log, span, position, ret_count);
    if (number != 0) {
        return err_set_errno(reader->reterr, number,
                             "read '%s/%020" PRId64 ".log' at position %" PRIu32, view->folder,
                             view->shape.identity.offset_base, position);
    }
    return PYR_OK;
}

/* Point at the batch header at the reader's place, which lies before the end. */
static enum pyr_err header_here(struct reader *reader, const uint8_t **ret_header)
{
    ASSERT(reader->view->handle);
    ASSERT(reader->window_count <= WINDOW_BYTES);

    struct segment_view *view = reader->view;
    uint32_t position = reader->point.position;
    ASSERT(position < view->shape.end.position);
    if (view->shape.end.position - position < BATCH_HEADER_BYTES) {
        return damaged(reader, "fewer bytes than a batch header");
    }
    if (view->handle->log_map) {
        ASSERT(view->handle->log_map_bytes >= view->shape.end.position);
        *ret_header = view->handle->log_map + position;
        return PYR_OK;
    }
    bool is_inside =
        position >= reader->window_position &&
        position - reader->window_position + BATCH_HEADER_BYTES <= reader->window_count;
    if (!is_inside) {
        size_t left = view->shape.end.position - position;
        size_t count = 0;
        struct bytes_mut window = {reader->window, left < WINDOW_BYTES ? left : WINDOW_BYTES};
        enum pyr_err err = read_log(reader, window, position, &count);
        if (err != PYR_OK) {
            return err;
        }
        reader->window_position = position;
        reader->window_count = (uint32_t)count;
        if (count < BATCH_HEADER_BYTES) {
            return damaged(reader, "the file ends before its batches do");
        }
    }
    *ret_header = reader->window + (position - reader->window_position);
    return PYR_OK;
}

/* Walk over the batch whose header is at @header. */
static enum pyr_err step_over(struct reader *reader,
                              const uint8_t *header,
                              struct segment_batch *ret_batch)
{
    ASSERT(header);
    ASSERT(reader->point.position < reader->view->shape.end.position);

    const struct segment_shape *shape = &reader->view->shape;
    const char *why = NULL;
    int64_t left = (int64_t)shape->end.position - reader->point.position;
    enum pyr_err err = segment_chain_step(shape, header, left, &reader->point, ret_batch, &why);
    return err == PYR_OK ? PYR_OK : damaged(reader, why); /* SEG-4 */
}

/* -- Find -- */

/* Begin at the cursor or at a point. */
static enum pyr_err place(struct reader *reader)
{
    ASSERT(reader->view->handle);
    ASSERT(reader->want->offset >= 0);

    const struct segment_view *view = reader->view;
    const struct segment_cursor *cursor = reader->want->cursor;
    if (cursor && cursor->serial == view->serial && cursor->point.offset <= reader->want->offset &&
        cursor->point.position <= view->shape.end.position) {
        reader->point = cursor->point;
        return PYR_OK;
    }
    struct segment_points points = {.io = view->io,
                                    .digest = view->handle->digest,
                                    .shape = &view->shape};
    enum pyr_err err = segment_points_floor(&points, SEGMENT_KEY_OFFSET, reader->want->offset,
                                            &reader->slot, &reader->point, reader->reterr);
    if (err == PYR_OK && reader->point.position > view->shape.end.position) {
        return damaged(reader, "its point lies behind the segment's end");
    }
    return err;
}

/* Walk to the batch that holds the wanted offset, or to the end. */
static enum pyr_err find(struct reader *reader)
{
    ASSERT(reader->view->handle);
    ASSERT(reader->run->batches == 0);

    const struct segment_shape *shape = &reader->view->shape;
    enum pyr_err err = place(reader);
    while (err == PYR_OK && reader->point.position < shape->end.position) {
        const uint8_t *header = NULL;
        err = header_here(reader, &header);
        if (err != PYR_OK) {
            return err;
        }
        struct segment_point before = reader->point;
        struct segment_batch batch;
        err = step_over(reader, header, &batch);
        if (err == PYR_OK && batch.offset_end > reader->want->offset) {
            reader->point = before;
            return PYR_OK;
        }
    }
    return err;
}

/* -- Run -- */

/* Bring the bytes of the run, at most @bytes_max and one whole batch at least, under *@ret_data. */
static enum pyr_err fetch(struct reader *reader, struct bytes *ret_data)
{
    ASSERT(ret_data);
    ASSERT(reader->point.position < reader->view->shape.end.position);

    struct segment_view *view = reader->view;
    const struct segment_read *want = reader->want;
    const uint8_t *header = NULL;
    struct segment_batch batch;
    enum pyr_err err = header_here(reader, &header);
    if (err != PYR_OK) {
        return err;
    }
    int64_t left = (int64_t)view->shape.end.position - reader->point.position;
    const char *why = segment_batch_peek(header, left, &batch);
    if (why) {
        return damaged(reader, why);
    }
    size_t count = want->bytes_max > batch.bytes ? want->bytes_max : batch.bytes;
    count = count > (size_t)left ? (size_t)left : count;
    if (view->handle->log_map) {
        *ret_data = (struct bytes){.data = header, .count = count};
        return PYR_OK;
    }
    if (want->buffer.count < batch.bytes) {
        reader->run->bytes_needed = batch.bytes;
        return err_set(reader->reterr, PYR_ERR_TOO_LARGE,
                       "a batch of %" PRIu32 " bytes does not fit the buffer of %zu", batch.bytes,
                       want->buffer.count);
    }
    count = count > want->buffer.count ? want->buffer.count : count;
    size_t got = 0;
    err = read_log(reader, (struct bytes_mut){want->buffer.data, count}, reader->point.position,
                   &got);
    *ret_data = (struct bytes){.data = want->buffer.data, .count = got};
    return err;
}

/* Check one batch of the run at @data and walk over it. */
static enum pyr_err take_batch(struct reader *reader, struct bytes data)
{
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT(reader->point.position < reader->view->shape.end.position);

    struct batch_header header;
    struct segment_batch batch;
    struct pyr_error why;
    if (batch_header_read(data, &header, &why) != PYR_OK ||
        batch_verify(data, &header, &why) != PYR_OK) {
        return damaged(reader, why.message); /* SEG-9 */
    }
    enum pyr_err err = step_over(reader, data.data, &batch);
    if (err == PYR_OK) {
        ASSERT(batch.bytes <= data.count);
        reader->run->batches++;
        reader->run->records += batch.record_count;
    }
    return err;
}

/* Check the batch of the run at @data, which its header says is past the limit: it may lie. The
 * walk is left behind it, so that prove() meets a point that covers it. */
static enum pyr_err check_unwanted(struct reader *reader, struct bytes data)
{
    ASSERT(reader->run->batches == 0);

    enum pyr_err err = take_batch(reader, data);
    reader->run->batches = 0;
    reader->run->records = 0;
    return err;
}

/* Take whole batches from the front of @data up to the limits. */
static enum pyr_err take_run(struct reader *reader, struct bytes data)
{
    ASSERT(reader->run->batches == 0);
    ASSERT(reader->run->records == 0);

    struct segment_run *run = reader->run;
    size_t used = 0;
    while (data.count - used >= BATCH_HEADER_BYTES) {
        struct bytes rest = {.data = data.data + used, .count = data.count - used};
        struct segment_batch batch;
        const char *why = segment_batch_peek(rest.data, BATCH_BYTES_MAX, &batch);
        bool is_whole = why || batch.bytes <= rest.count;
        bool is_wanted = why || batch.offset_end <= reader->want->offset_end;
        bool is_first = run->batches == 0;
        if (!is_first && (!is_whole || !is_wanted)) {
            break;
        }
        if (!is_whole) {
            return damaged(reader, "the file ends before its batches do");
        }
        if (!is_wanted) {
            return check_unwanted(reader, rest);
        }
        enum pyr_err err = take_batch(reader, rest);
        if (err != PYR_OK) {
            return err;
        }
        used += batch.bytes;
    }
    if (run->batches == 0 && data.count < BATCH_HEADER_BYTES) {
        return damaged(reader, "the file ends before its batches do");
    }
    run->data = (struct bytes){.data = data.data, .count = used};
    ASSERT(used <= data.count);
    return PYR_OK;
}

/* -- Prove -- */

/* Walk on to the next stored point, and meet it. */
static enum pyr_err prove(struct reader *reader)
{
    ASSERT(reader->view->handle);
    ASSERT(reader->point.position <= reader->view->shape.end.position);

    const struct segment_view *view = reader->view;
    struct segment_points points = {.io = view->io,
                                    .digest = view->handle->digest,
                                    .shape = &view->shape};
    struct segment_point goal;
    enum pyr_err err =
        segment_points_behind(&points, reader->slot, reader->point.position, &goal, reader->reterr);
    if (err == PYR_OK && goal.position > view->shape.end.position) {
        return damaged(reader, "the point behind it lies behind the segment's end");
    }
    while (err == PYR_OK && reader->point.position < goal.position) {
        const uint8_t *header = NULL;
        struct segment_batch batch;
        err = header_here(reader, &header);
        if (err == PYR_OK) {
            err = step_over(reader, header, &batch);
        }
    }
    if (err != PYR_OK) {
        return err;
    }
    if (reader->point.position != goal.position || reader->point.digest != goal.digest ||
        (!view->shape.is_cleaned &&
         (reader->point.offset != goal.offset || reader->point.epoch != goal.epoch))) {
        return damaged(reader, "offsets, epochs or lengths before here were changed"); /* SEG-9 */
    }
    return PYR_OK;
}

/* -- The calls -- */

static enum pyr_err read_run(struct reader *reader)
{
    ASSERT(reader->run->batches == 0);
    ASSERT(reader->err == PYR_OK);

    const struct segment_shape *shape = &reader->view->shape;
    struct segment_run *run = reader->run;
    enum pyr_err err = find(reader);
    if (err != PYR_OK) {
        return err;
    }
    struct segment_point behind = reader->point;
    if (reader->point.position < shape->end.position) {
        struct bytes data = {0};
        err = fetch(reader, &data);
        if (err == PYR_OK) {
            err = take_run(reader, data);
        }
    }
    if (err != PYR_OK) {
        return err;
    }
    bool is_unwanted = run->batches == 0 && reader->point.position > behind.position;
    if (!is_unwanted) {
        behind = reader->point;
        bool is_end = behind.position == shape->end.position;
        run->offset_next = is_end ? shape->end.offset : behind.offset;
    }
    err = prove(reader);
    if (err == PYR_OK && reader->want->cursor) {
        *reader->want->cursor =
            (struct segment_cursor){.serial = reader->view->serial, .point = behind};
    }
    return err;
}

static void read_guarded(void *arg)
{
    ASSERT(arg);

    struct reader *reader = arg;
    reader->err = read_run(reader);
}

/* Make sure that @view has open files, and a mapping that reaches its end if it maps. */
enum pyr_err segment_view_open(struct segment_view *view, struct pyr_error *reterr)
{
    ASSERT(view->io);
    ASSERT(view->folder);

    if (view->handle) {
        return PYR_OK;
    }
    struct segment_handle_options options = {
        .folder = view->folder,
        .offset_base = view->shape.identity.offset_base,
        .use_mmap = view->use_mmap && view->shape.end.position > 0,
    };
    enum pyr_err err = segment_handle_open(view->io, &options, &view->handle, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(view->handle);
    if (view->handle->log_map && view->handle->log_map_bytes < view->shape.end.position) {
        segment_handle_release(view->handle);
        view->handle = NULL;
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64 ".log' is shorter than its batches", view->folder,
                       view->shape.identity.offset_base);
    }
    return PYR_OK;
}

/* Run @work on @arg, under the guard if mapped memory is touched and there is one. */
static enum pyr_err guarded(struct segment_view *view,
                            void (*work)(void *arg),
                            void *arg,
                            struct pyr_error *reterr)
{
    ASSERT(view->handle);
    ASSERT(work);

    if (!view->guard || !view->handle->log_map) {
        work(arg);
        return PYR_OK;
    }
    int number = view->guard->run(view->guard, work, arg);
    if (number != 0) {
        return err_set_errno(reterr, number, "read a mapped page of '%s/%020" PRId64 ".log'",
                             view->folder, view->shape.identity.offset_base);
    }
    return PYR_OK;
}

enum pyr_err segment_view_read(struct segment_view *view,
                               const struct segment_read *want,
                               struct segment_run *ret_run,
                               struct pyr_error *reterr)
{
    ASSERT(want);
    ASSERT(ret_run);

    enum pyr_err err = segment_view_open(view, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(want->offset >= 0);
    ASSERT(want->offset <= want->offset_end);

    struct segment_run run = {.offset_next = want->offset};
    struct reader reader;
    reader.view = view;
    reader.want = want;
    reader.run = &run;
    reader.reterr = reterr;
    reader.slot = 0;
    reader.window_position = 0;
    reader.window_count = 0;
    reader.err = PYR_OK;
    err = guarded(view, read_guarded, &reader, reterr);
    if (err == PYR_OK) {
        err = reader.err;
    }
    if (err == PYR_ERR_TOO_LARGE) {
        *ret_run = (struct segment_run){.bytes_needed = run.bytes_needed};
    }
    if (err != PYR_OK) {
        return err;
    }
    if (view->handle->log_map && run.data.count > 0) {
        segment_handle_acquire(view->handle);
        run.handle = view->handle;
    }
    *ret_run = run;
    return PYR_OK;
}

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
    uint32_t slot = 0;
    enum pyr_err err = segment_view_open(view, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(view->handle);
    struct segment_points points = {.io = view->io,
                                    .digest = view->handle->digest,
                                    .shape = &view->shape};
    err = segment_points_floor(&points, SEGMENT_KEY_TIMESTAMP, timestamp_ms, &slot, &cursor.point,
                               reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(cursor.point.offset >= view->shape.identity.offset_base);
    err = find_time(view, &cursor, &buffer, timestamp_ms, ret_offset, reterr);
    io_free(view->io, buffer.data);
    return err;
}
