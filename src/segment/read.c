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
 * Without a mapping the bytes come through two windows. The front is the caller's buffer: find
 * fills it from the point on, so that it holds the batch that is looked for, what may follow it in
 * the run and the headers up to the next point; the run stays where it came to lie. The side is
 * small, for headers that are not in the front once the run is. Under a mapping all of it happens
 * inside the guard, if there is one: nothing that the guard could jump out of holds a resource.
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

/* A piece of the .log in memory. */
struct window {
    struct bytes_mut room;
    uint32_t position;
    size_t count; /* Of the room's bytes, those that are there. */
};

/* One read under way. */
struct reader {
    struct segment_view *view;
    const struct segment_read *want;
    struct segment_run *run;
    struct pyr_error *reterr;
    enum pyr_err err;
    struct segment_point point; /* Where the walk stands. */
    struct segment_point goal;  /* A stored point that find came past, if it came past one. */
    bool has_goal;
    uint32_t slot;        /* About where the last point that the walk passed is stored, */
    uint32_t slot_before; /* and the position that it is of. */
    bool is_finding;
    struct window front;
    struct window side;
    uint8_t memory[WINDOW_BYTES]; /* Of the side. */
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

/* Whether @window holds @count bytes at @position. */
static bool window_holds(const struct window *window, uint32_t position, size_t count)
{
    ASSERT(window->count <= window->room.count);

    return position >= window->position &&
           (size_t)(position - window->position) + count <= window->count;
}

/* How much find reads at once: up to the next point, and as much as the run may have. */
static size_t ahead_bytes(const struct reader *reader)
{
    ASSERT(reader->is_finding);

    size_t stretch = reader->has_goal && reader->goal.position > reader->point.position
                         ? reader->goal.position - reader->point.position
                         : WINDOW_BYTES;
    return stretch > reader->want->bytes_max ? stretch : reader->want->bytes_max;
}

/* Fill one of the windows from the reader's place on. */
static enum pyr_err window_fill(struct reader *reader, struct window **ret_window)
{
    ASSERT(reader->point.position < reader->view->shape.end.position);
    ASSERT(reader->side.room.count == WINDOW_BYTES);

    bool is_front = reader->is_finding && reader->front.room.count >= WINDOW_BYTES;
    struct window *window = is_front ? &reader->front : &reader->side;
    size_t wanted = is_front ? ahead_bytes(reader) : WINDOW_BYTES;
    size_t left = reader->view->shape.end.position - reader->point.position;
    struct bytes_mut span = window->room;
    span.count = wanted < span.count ? wanted : span.count;
    span.count = left < span.count ? left : span.count;
    window->count = 0;
    enum pyr_err err = read_log(reader, span, reader->point.position, &window->count);
    window->position = reader->point.position;
    *ret_window = window;
    return err;
}

/* Point at the batch header at the reader's place, which lies before the end. */
static enum pyr_err header_here(struct reader *reader, const uint8_t **ret_header)
{
    ASSERT(reader->view->handle);

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
    struct window *window = &reader->front;
    if (!window_holds(window, position, BATCH_HEADER_BYTES)) {
        window = &reader->side;
    }
    if (!window_holds(window, position, BATCH_HEADER_BYTES)) {
        enum pyr_err err = window_fill(reader, &window);
        if (err != PYR_OK) {
            return err;
        }
        if (window->count < BATCH_HEADER_BYTES) {
            return damaged(reader, "the file ends before its batches do");
        }
    }
    *ret_header = window->room.data + (position - window->position);
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
    uint32_t position = reader->point.position;
    int64_t left = (int64_t)shape->end.position - position;
    enum pyr_err err = segment_chain_step(shape, header, left, &reader->point, ret_batch, &why);
    if (err != PYR_OK) {
        return damaged(reader, why); /* SEG-4 */
    }
    if ((int64_t)position - reader->slot_before > SEGMENT_INDEX_INTERVAL_BYTES) {
        reader->slot++; /* A point was due here: segment/chain. */
        reader->slot_before = position;
    }
    return PYR_OK;
}

/* -- Find -- */

/* Begin at the cursor, if it stands at the offset or at most a stretch before it. */
static bool place_at_cursor(struct reader *reader)
{
    const struct segment_view *view = reader->view;
    const struct segment_cursor *cursor = reader->want->cursor;
    int64_t offset = reader->want->offset;

    ASSERT(offset >= 0);
    if (!cursor || cursor->serial != view->serial || cursor->point.offset > offset ||
        cursor->point.position > view->shape.end.position) {
        return false;
    }
    if (cursor->point.offset < offset && cursor->goal.offset <= offset) {
        return false;
    }
    reader->point = cursor->point;
    reader->goal = cursor->goal;
    reader->has_goal = cursor->goal.position > cursor->point.position;
    reader->slot = cursor->slot;
    reader->slot_before = cursor->goal.position;
    return true;
}

/* Begin at the cursor or at a point. */
static enum pyr_err place(struct reader *reader)
{
    ASSERT(reader->view->handle);
    ASSERT(!reader->has_goal);

    if (place_at_cursor(reader)) {
        return PYR_OK;
    }
    const struct segment_view *view = reader->view;
    struct segment_stretch stretch;
    struct segment_points points = {.io = view->io,
                                    .digest = view->handle->digest,
                                    .shape = &view->shape};
    enum pyr_err err = segment_points_floor(&points, SEGMENT_KEY_OFFSET, reader->want->offset,
                                            &stretch, reader->reterr);
    if (err != PYR_OK) {
        return err;
    }
    reader->point = stretch.before;
    reader->slot = stretch.slot;
    reader->slot_before = stretch.before.position;
    reader->goal = stretch.behind;
    reader->has_goal = stretch.has_behind;
    if (reader->point.position > view->shape.end.position) {
        return damaged(reader, "its point lies behind the segment's end");
    }
    return PYR_OK;
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

/* Move what the front holds from the reader's place on to its beginning, and read on behind it, so
 * that it holds @count bytes. */
static enum pyr_err front_extend(struct reader *reader, size_t count)
{
    struct window *front = &reader->front;
    uint32_t position = reader->point.position;
    ASSERT(count <= front->room.count);
    ASSERT(!window_holds(front, position, count));

    size_t have = 0;
    if (window_holds(front, position, 1)) {
        size_t skipped = position - front->position;
        have = front->count - skipped;
        memmove(front->room.data, front->room.data + skipped, have);
    }
    struct bytes_mut rest = {front->room.data + have, count - have};
    size_t got = 0;
    enum pyr_err err = read_log(reader, rest, position + (uint32_t)have, &got);
    front->position = position;
    front->count = have + got;
    return err;
}

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
    struct window *front = &reader->front;
    if (!window_holds(front, reader->point.position, batch.bytes)) {
        err = front_extend(reader, count);
        if (err != PYR_OK) {
            return err;
        }
    }
    size_t skipped = reader->point.position - front->position;
    size_t have = front->count - skipped;
    *ret_data =
        (struct bytes){.data = front->room.data + skipped, .count = count < have ? count : have};
    return PYR_OK;
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
    enum pyr_err err = PYR_OK;
    reader->is_finding = false;
    if (!reader->has_goal || reader->goal.position < reader->point.position) {
        err = segment_points_behind(&points, reader->point.position, &reader->slot, &reader->goal,
                                    reader->reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    if (reader->goal.position > view->shape.end.position) {
        return damaged(reader, "the point behind it lies behind the segment's end");
    }
    const struct segment_point *goal = &reader->goal;
    while (err == PYR_OK && reader->point.position < goal->position) {
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
    if (reader->point.position != goal->position || reader->point.digest != goal->digest ||
        (!view->shape.is_cleaned &&
         (reader->point.offset != goal->offset || reader->point.epoch != goal->epoch))) {
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
        *reader->want->cursor = (struct segment_cursor){.serial = reader->view->serial,
                                                        .point = behind,
                                                        .goal = reader->goal,
                                                        .slot = reader->slot};
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
    reader.err = PYR_OK;
    reader.has_goal = false;
    reader.is_finding = true;
    reader.front = (struct window){.room = want->buffer};
    reader.side = (struct window){.room = {reader.memory, sizeof reader.memory}};
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
