/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/compact - the steps: learn, then for each group open, write, swap, fold in.
 *
 *   LEARN --map has the range--> GROUP --views taken--> OPEN --handles pinned--> WRITE --+
 *                                  ^                                                     |
 *                                  +----------------- swapped in, or kept ---------------+
 *                                  v
 *                                 DONE            any failure: FAILED
 *
 *   phase   next() does                                  run() does
 *   LEARN   takes the next segment's view                puts its keys into the map
 *   GROUP   chooses the next segments, claims them       -
 *   OPEN    pins the handles, waits for unopened views   opens them, collects history points
 *   WRITE   folds the new segment in                     filters, writes, syncs, swaps
 *
 * Length: one state machine, whose phases read better together than apart.
 */
#include "segment/compact.h"

#include "base/assert.h"
#include "io/transfer.h"
#include "segment/points.h"
#include "segment/read.h"
#include "segment/remove.h"
#include "segment/rewrite.h"
#include "segment/state.h"
#include "segment/writer.h"

enum phase {
    PHASE_LEARN,
    PHASE_GROUP,
    PHASE_OPEN,
    PHASE_WRITE,
    PHASE_DONE,
    PHASE_FAILED,
};

/* The segments that become one. */
struct group {
    struct segment_view views[SEGMENT_COMPACT_INPUTS_MAX];
    struct segment *inputs[SEGMENT_COMPACT_INPUTS_MAX];
    uint32_t count;
    struct segment *fresh; /* Made ahead, so that folding in cannot fail. */
    struct segment_shape shape;
    struct segment_writer writer;
    bool is_writing; /* The writer is open. */
    uint32_t input;  /* Being read. */
    int64_t offset;  /* Next to be read. */
    struct segment_cursor cursor;
    uint64_t dropped_before; /* Of the rewrite, when the group began. */
    bool is_over;            /* Written and swapped, or kept. */
    bool is_kept;            /* As it was. */
    bool is_swapping;        /* Names are changing, or a failure left them changed. */
};

struct segment_compact {
    struct segment_log *log;
    struct io *io;
    const char *folder;
    struct segment_compact_options options;
    enum phase phase;
    struct segment_rewrite rewrite;
    struct bytes_mut buffer;
    struct segment_view view; /* While learning. */
    bool has_view;
    struct segment_cursor cursor;
    int64_t learnt;     /* The map holds all keys of [offset_clean, learnt). */
    bool is_full;       /* The map is. */
    int64_t group_next; /* Base of the next group. */
    struct group group;
    struct segment_point *history;
    uint32_t history_count;
    uint32_t history_capacity;
    struct segment_compact_report report;
    enum pyr_err err;
    struct pyr_error error;
};

static uint64_t dropped(const struct segment_compact *compact)
{
    ASSERT(compact->phase <= PHASE_FAILED);

    return compact->rewrite.records_dropped + compact->rewrite.tombstones_dropped;
}

/* -- Reading, any thread -- */

/* Read the next run of @view from @offset on, growing the buffer if a batch needs it. */
static enum pyr_err read_run(struct segment_compact *compact,
                             struct segment_view *view,
                             int64_t offset,
                             struct segment_cursor *cursor,
                             struct segment_run *ret_run)
{
    ASSERT(view->io == compact->io);
    ASSERT(offset >= 0);
    ASSERT(offset < view->shape.end.offset);

    enum pyr_err err = PYR_ERR_TOO_LARGE;
    size_t wanted = SEGMENT_READ_BYTES;
    for (int round = 0; round < 2 && err == PYR_ERR_TOO_LARGE; round++) {
        if (compact->buffer.count < wanted) {
            io_free(compact->io, compact->buffer.data);
            compact->buffer = (struct bytes_mut){.data = io_alloc(compact->io, wanted, BLOCK_BYTES),
                                                 .count = wanted};
        }
        if (!compact->buffer.data) {
            compact->buffer.count = 0;
            return err_set(&compact->error, PYR_ERR_NO_MEMORY, "no memory to compact '%s'",
                           compact->folder);
        }
        struct segment_read want = {
            .offset = offset,
            .offset_end = INT64_MAX,
            .bytes_max = SEGMENT_READ_BYTES,
            .buffer = compact->buffer,
            .cursor = cursor,
        };
        err = segment_view_read(view, &want, ret_run, &compact->error);
        wanted = err == PYR_ERR_TOO_LARGE ? ret_run->bytes_needed : wanted;
    }
    return err;
}

/* Cut the first batch from the front of the verified *@data. */
static struct bytes next_batch(struct bytes *data, struct segment_batch *ret_batch)
{
    ASSERT(data->count > 0);
    ASSERT(ret_batch);

    const char *why = segment_batch_peek(data->data, (int64_t)data->count, ret_batch);
    ASSERT(!why);
    ASSERT(ret_batch->bytes <= data->count);
    struct bytes batch = {.data = data->data, .count = ret_batch->bytes};
    *data = (struct bytes){.data = data->data + batch.count, .count = data->count - batch.count};
    return batch;
}

/* -- Learning -- */

/* Put the keys of a run into the map. */
static enum pyr_err learn_run(struct segment_compact *compact, struct bytes data)
{
    ASSERT(compact->phase == PHASE_LEARN);
    ASSERT(!compact->is_full);

    while (data.count > 0 && !compact->is_full) {
        struct segment_batch batch = {0};
        struct bytes one = next_batch(&data, &batch);
        enum pyr_err err = segment_rewrite_learn(&compact->rewrite, one, &compact->is_full);
        if (err != PYR_OK) {
            return err_set(&compact->error, err, "no memory to compact '%s'", compact->folder);
        }
        if (!compact->is_full) {
            compact->learnt = batch.offset_end;
        }
    }
    return PYR_OK;
}

static enum pyr_err learn(struct segment_compact *compact, uint64_t bytes)
{
    ASSERT(compact->phase == PHASE_LEARN);
    ASSERT(compact->has_view);

    uint64_t done = 0;
    enum pyr_err err = PYR_OK;
    int64_t end = compact->view.shape.end.offset;
    while (err == PYR_OK && done < bytes && compact->learnt < end && !compact->is_full) {
        struct segment_run run = {0};
        err = read_run(compact, &compact->view, compact->learnt, &compact->cursor, &run);
        if (err != PYR_OK) {
            break;
        }
        err = learn_run(compact, run.data);
        segment_handle_release(run.handle);
        done += run.data.count + 1;
        if (!compact->is_full && err == PYR_OK) {
            compact->learnt = run.offset_next;
        }
    }
    return err;
}

/* -- Opening a group -- */

/* Keep @point of the appended history. */
static enum pyr_err keep_history(struct segment_compact *compact,
                                 const struct segment_point *point,
                                 uint16_t kind)
{
    ASSERT(kind != 0);
    ASSERT(compact->history_count <= compact->history_capacity);
    ASSERT(point->offset >= compact->group.views[0].shape.identity.offset_base);

    if (compact->history_count == compact->history_capacity) {
        uint32_t capacity = compact->history_capacity ? compact->history_capacity * 2 : 64;
        struct segment_point *rows =
            io_alloc(compact->io, capacity * sizeof *rows, _Alignof(struct segment_point));
        if (!rows) {
            return err_set(&compact->error, PYR_ERR_NO_MEMORY, "no memory to compact '%s'",
                           compact->folder);
        }
        if (compact->history_count > 0) {
            memcpy(rows, compact->history, compact->history_count * sizeof *rows);
        }
        io_free(compact->io, compact->history);
        compact->history = rows;
        compact->history_capacity = capacity;
    }
    ASSERT(compact->history_count < compact->history_capacity);
    struct segment_point kept = *point;
    kept.kind = kind;
    kept.position = 0;
    compact->history[compact->history_count++] = kept;
    return PYR_OK;
}

/* Takes the points that replicas compare. */
struct history_visit {
    struct segment_point_visit visit;
    struct segment_compact *compact;
    enum pyr_err err;
};

static void visit_history(struct segment_point_visit *visit, const struct segment_point *point)
{
    ASSERT(point->kind != 0);
    ASSERT(point->offset >= 0);

    struct history_visit *history = container_of(visit, struct history_visit, visit);
    uint16_t kind = point->kind & (SEGMENT_POINT_EPOCH | SEGMENT_POINT_STRIDE);
    if (kind != 0 && history->err == PYR_OK) {
        history->err = keep_history(history->compact, point, kind);
    }
}

/* Collect from a segment that was never cleaned: all its points. */
static enum pyr_err history_of_plain(struct segment_compact *compact,
                                     const struct segment_view *view)
{
    ASSERT(view->handle);
    ASSERT(!view->shape.is_cleaned);
    ASSERT(compact->phase == PHASE_OPEN);

    struct history_visit history = {.visit.take = visit_history, .compact = compact};
    struct segment_shape start = segment_shape_after(&view->shape.identity.log, &view->shape.start,
                                                     view->shape.start.clock_ms);
    struct segment_points points = {.io = compact->io,
                                    .digest = view->handle->digest,
                                    .shape = &start};
    struct segment_restored restored;
    enum pyr_err err =
        segment_points_restore(&points, INT64_MAX, &history.visit, &restored, &compact->error);
    if (err != PYR_OK) {
        return err;
    }
    if (!restored.is_sound || !restored.has_end) {
        return err_set(&compact->error, PYR_ERR_CORRUPT, "'%s': a .digest is damaged",
                       compact->folder);
    }
    visit_history(&history.visit, &restored.end);
    return history.err;
}

/* Collect from a cleaned one: its history, but for the END that is no end any more. */
static enum pyr_err history_of_cleaned(struct segment_compact *compact,
                                       const struct segment_view *view)
{
    ASSERT(view->handle);
    ASSERT(view->shape.is_cleaned);
    ASSERT(compact->phase == PHASE_OPEN);

    struct history_visit history = {.visit.take = visit_history, .compact = compact};
    ASSERT(view->shape.history_count > 0);
    for (uint32_t slot = 0; slot < view->shape.history_count; slot++) {
        uint8_t data[SEGMENT_POINT_BYTES];
        struct segment_point point;
        size_t count = 0;
        int number = io_read_whole(compact->io, view->handle->digest,
                                   (struct bytes_mut){.data = data, .count = sizeof data},
                                   segment_point_position(slot), &count);
        if (number != 0) {
            return err_set_errno(&compact->error, number, "read a .digest of '%s'",
                                 compact->folder);
        }
        if (count < sizeof data || !segment_point_get(data, &view->shape.identity, slot, &point)) {
            return err_set(&compact->error, PYR_ERR_CORRUPT, "'%s': a .digest is damaged",
                           compact->folder);
        }
        visit_history(&history.visit, &point);
    }
    return history.err;
}

/* Open the group's files, collect its history, and set up the output's shape. */
static enum pyr_err open_group(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_OPEN);
    ASSERT(compact->group.count > 0);
    ASSERT(compact->group.count <= SEGMENT_COMPACT_INPUTS_MAX);

    struct group *group = &compact->group;
    enum pyr_err err = PYR_OK;
    compact->history_count = 0;
    for (uint32_t index = 0; index < group->count && err == PYR_OK; index++) {
        struct segment_view *view = &group->views[index];
        err = segment_view_open(view, &compact->error);
        if (err == PYR_OK) {
            err = view->shape.is_cleaned ? history_of_cleaned(compact, view)
                                         : history_of_plain(compact, view);
        }
    }
    const struct segment_shape *last = &group->views[group->count - 1].shape;
    struct segment_point end = last->end;
    end.digest = last->history_digest;
    if (err == PYR_OK) {
        err = keep_history(compact, &end, SEGMENT_POINT_END);
    }
    const struct segment_shape *first = &group->views[0].shape;
    group->shape = segment_shape_after(&first->identity.log, &first->start, first->start.clock_ms);
    group->shape.is_cleaned = true;
    group->shape.history_digest = last->history_digest;
    group->shape.history_count = compact->history_count;
    group->shape.point_count = compact->history_count + 1;
    ASSERT(group->shape.point_count > group->shape.history_count);
    return err;
}

/* -- Writing a group -- */

static enum pyr_err begin_writing(struct segment_compact *compact)
{
    ASSERT(!compact->group.is_writing);
    ASSERT(compact->group.fresh);
    ASSERT(compact->group.shape.is_cleaned);
    ASSERT(compact->history_count > 0);

    struct group *group = &compact->group;
    enum pyr_err err = segment_writer_open(&group->writer, compact->io, compact->folder,
                                           SEGMENT_SUFFIX_CLEANED, &group->shape, &compact->error);
    if (err != PYR_OK) {
        return err;
    }
    group->is_writing = true;
    group->writer.writes_log = true;
    group->offset = group->views[0].shape.identity.offset_base;
    group->dropped_before = dropped(compact);
    err = segment_writer_begin(&group->writer, &compact->error);
    if (err == PYR_OK) {
        err = segment_writer_history(&group->writer, compact->history, compact->history_count,
                                     &compact->error);
    }
    return err;
}

static enum pyr_err write_run(struct segment_compact *compact, struct bytes data)
{
    ASSERT(compact->group.is_writing);
    ASSERT(compact->group.input < compact->group.count);

    struct group *group = &compact->group;
    enum pyr_err err = PYR_OK;
    while (data.count > 0 && err == PYR_OK) {
        struct segment_batch batch = {0};
        struct bytes kept = {0};
        const char *why = NULL;
        struct bytes one = next_batch(&data, &batch);
        err = segment_rewrite_batch(&compact->rewrite, one, &kept);
        if (err != PYR_OK) {
            return err_set(&compact->error, err, "no memory to compact '%s'", compact->folder);
        }
        if (kept.count > 0) {
            int64_t clock_ms = group->views[group->input].shape.end.clock_ms;
            err = segment_writer_add(&group->writer, kept, clock_ms, &batch, &why, &compact->error);
            ASSERT(!why); /* What was read in order is written in order. */
        }
    }
    return err;
}

/* The output is written: give it its end, sync it, and let it take the inputs' place; or drop it if
 * it says nothing new. */
static enum pyr_err end_writing(struct segment_compact *compact)
{
    ASSERT(compact->group.is_writing);
    ASSERT(compact->group.input == compact->group.count);
    ASSERT(!compact->group.is_over);
    ASSERT(!compact->group.is_swapping);

    struct group *group = &compact->group;
    const struct segment_shape *last = &group->views[group->count - 1].shape;
    int64_t offset_base = group->shape.identity.offset_base;
    group->is_over = true;
    group->is_kept = group->count == 1 && dropped(compact) == group->dropped_before;
    if (group->is_kept) {
        segment_writer_close(&group->writer);
        group->is_writing = false;
        return segment_cleaned_remove(compact->io, compact->folder, offset_base, &compact->error);
    }
    ASSERT(group->shape.end.offset <= last->end.offset);
    group->shape.end.offset = last->end.offset;
    group->shape.end.epoch = last->end.epoch;
    group->shape.end.clock_ms = last->end.clock_ms;
    enum pyr_err err = segment_writer_end(&group->writer, &compact->error);
    if (err == PYR_OK) {
        err = segment_writer_sync(&group->writer, &compact->error);
    }
    segment_writer_close(&group->writer);
    group->is_writing = false;
    if (err == PYR_OK) {
        group->is_swapping = true;
        err = segment_swap_begin(compact->io, compact->folder, offset_base, &compact->error);
    }
    if (err == PYR_OK) {
        err = segment_swap_finish(compact->io, compact->folder, offset_base, last->end.offset,
                                  &compact->error);
    }
    group->is_swapping = err != PYR_OK && group->is_swapping;
    return err;
}

static enum pyr_err write_group(struct segment_compact *compact, uint64_t bytes)
{
    ASSERT(compact->phase == PHASE_WRITE);
    ASSERT(compact->group.count > 0);
    ASSERT(compact->group.input <= compact->group.count);
    ASSERT(!compact->group.is_over);

    struct group *group = &compact->group;
    enum pyr_err err = group->is_writing ? PYR_OK : begin_writing(compact);
    uint64_t done = 0;
    while (err == PYR_OK && done < bytes && group->input < group->count) {
        struct segment_view *view = &group->views[group->input];
        if (group->offset >= view->shape.end.offset) {
            group->input++;
            continue;
        }
        struct segment_run run = {0};
        err = read_run(compact, view, group->offset, &group->cursor, &run);
        if (err != PYR_OK) {
            break;
        }
        err = write_run(compact, run.data);
        segment_handle_release(run.handle);
        done += run.data.count + 1;
        group->offset = run.offset_next;
    }
    if (err == PYR_OK && group->input == group->count) {
        err = end_writing(compact);
    }
    return err;
}

void segment_compact_run(struct segment_compact *compact, uint64_t bytes)
{
    ASSERT(compact->io);
    ASSERT(compact->folder);
    ASSERT(compact->err == PYR_OK);
    switch (compact->phase) {
    case PHASE_LEARN:
        compact->err = learn(compact, bytes);
        return;
    case PHASE_OPEN:
        compact->err = open_group(compact);
        return;
    case PHASE_WRITE:
        compact->err = write_group(compact, bytes);
        return;
    case PHASE_GROUP:
    case PHASE_DONE:
    case PHASE_FAILED:
        break;
    }
    ASSERT(false); /* The owner runs only what next() set up. */
}

/* -- The owner's part -- */

/* Return the sealed segment that holds @offset and ends at or below the limit, or NULL. */
static struct segment *eligible(const struct segment_compact *compact, int64_t offset)
{
    ASSERT(offset >= 0);
    ASSERT(compact->log->is_compacting || compact->phase == PHASE_LEARN);

    const struct segment_log *log = compact->log;
    size_t index = segment_log_index_of(log, offset);
    if (index == log->count) {
        return NULL;
    }
    struct segment *segment = log->rows[index];
    bool is_sealed =
        segment->state == SEGMENT_STATE_SEALED || segment->state == SEGMENT_STATE_CLEANED;
    return is_sealed && segment->shape.end.offset <= compact->options.offset_limit ? segment : NULL;
}

static void drop_view(struct segment_compact *compact)
{
    ASSERT(!compact->has_view || compact->view.segment);

    if (compact->has_view) {
        segment_log_view_release(compact->log, &compact->view);
        compact->has_view = false;
    }
}

static enum segment_compact_step next_learn(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_LEARN);
    ASSERT(compact->learnt >= compact->group_next);

    bool is_through = compact->has_view && compact->learnt >= compact->view.shape.end.offset;
    if (compact->is_full || is_through) {
        drop_view(compact);
    }
    if (compact->has_view) {
        return SEGMENT_COMPACT_RUN;
    }
    struct segment *segment = compact->is_full ? NULL : eligible(compact, compact->learnt);
    if (segment) {
        segment_log_take_view(compact->log, segment, &compact->view);
        compact->has_view = true;
        return SEGMENT_COMPACT_RUN;
    }
    compact->report.offset_end = compact->learnt;
    compact->phase = PHASE_GROUP;
    return SEGMENT_COMPACT_WAIT;
}

/* Let go of the group's segments. */
static void release_group(struct segment_compact *compact)
{
    ASSERT(compact->log->is_compacting);
    ASSERT(compact->group.count <= SEGMENT_COMPACT_INPUTS_MAX);

    struct group *group = &compact->group;
    if (group->is_writing) {
        segment_writer_close(&group->writer);
        group->is_writing = false;
    }
    for (uint32_t index = 0; index < group->count; index++) {
        struct segment *segment = group->inputs[index];
        ASSERT(segment->is_claimed);
        ASSERT(segment->views > 0);
        segment_log_view_release(compact->log, &group->views[index]);
        if (group->is_swapping) {
            continue; /* The names say something else now: readers stay with the pinned handle. */
        }
        segment->is_claimed = false;
        segment_handle_release(segment->pinned);
        segment->pinned = NULL;
    }
    if (group->is_swapping) {
        compact->log->has_failed = true; /* SEG-6: only the next open sorts the names out. */
    }
    group->count = 0;
}

/* Choose and claim the next group. Returns false if there is none. */
static bool claim_group(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_GROUP);
    ASSERT(compact->group.count == 0);
    ASSERT(!compact->group.fresh);

    struct segment_log *log = compact->log;
    struct group *group = &compact->group;
    int64_t offset = compact->group_next;
    uint64_t bytes = 0;
    *group = (struct group){0};
    while (group->count < SEGMENT_COMPACT_INPUTS_MAX && offset < compact->learnt) {
        struct segment *segment = eligible(compact, offset);
        if (!segment) {
            break;
        }
        bytes += segment->shape.end.position;
        int64_t base = group->count ? group->inputs[0]->shape.identity.offset_base : offset;
        bool fits =
            bytes <= (uint64_t)log->bytes_max && segment->shape.end.offset - 1 - base <= INT32_MAX;
        if (group->count > 0 && !fits) {
            break;
        }
        ASSERT(!segment->is_claimed);
        group->inputs[group->count] = segment;
        segment_log_take_view(log, segment, &group->views[group->count]);
        segment->is_claimed = true;
        group->count++;
        offset = segment->shape.end.offset;
    }
    compact->group_next = offset;
    return group->count > 0;
}

static enum segment_compact_step next_group(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_GROUP);

    if (!claim_group(compact)) {
        compact->phase = PHASE_DONE;
        return SEGMENT_COMPACT_DONE;
    }
    compact->phase = PHASE_OPEN;
    ASSERT(compact->group.count > 0);
    return SEGMENT_COMPACT_RUN;
}

/* Pin the handles, so that later views get them, and wait for those that went by name. */
static enum segment_compact_step next_open(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_OPEN);
    ASSERT(compact->group.count > 0);

    struct group *group = &compact->group;
    bool is_waiting = false;
    for (uint32_t index = 0; index < group->count; index++) {
        struct segment *segment = group->inputs[index];
        const struct segment_view *view = &group->views[index];
        if (!view->handle) {
            return SEGMENT_COMPACT_RUN; /* It has not run yet. */
        }
        if (!segment->pinned) {
            segment_handle_acquire(view->handle);
            segment->pinned = view->handle;
        }
        is_waiting = is_waiting || segment->views_unopened > (view->was_open ? 0U : 1U);
    }
    if (is_waiting) {
        return SEGMENT_COMPACT_WAIT; /* SEG-3 */
    }
    if (!group->fresh) {
        group->fresh = segment_create(compact->io, &group->shape, SEGMENT_STATE_CLEANED);
    }
    if (!group->fresh) {
        compact->err = err_set(&compact->error, PYR_ERR_NO_MEMORY, "no memory for a segment");
        compact->phase = PHASE_FAILED;
        return SEGMENT_COMPACT_FAILED;
    }
    compact->phase = PHASE_WRITE;
    ASSERT(group->fresh);
    return SEGMENT_COMPACT_RUN;
}

/* Put the new segment into the list in the inputs' place. */
static void fold_in(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_WRITE);
    ASSERT(compact->group.is_over);
    ASSERT(!compact->group.is_writing);
    ASSERT(!compact->group.is_swapping);
    ASSERT(compact->group.fresh);

    struct segment_log *log = compact->log;
    struct group *group = &compact->group;
    uint32_t count = group->count;
    compact->report.segments_read += count;
    for (uint32_t index = 0; index < count; index++) {
        compact->report.bytes_before += group->views[index].shape.end.position;
    }
    int64_t offset_base = group->inputs[0]->shape.identity.offset_base;
    release_group(compact);
    if (group->is_kept) {
        compact->report.bytes_after += group->shape.end.position;
        segment_destroy(compact->io, group->fresh);
    } else {
        size_t first = 0;
        while (log->rows[first]->shape.identity.offset_base != offset_base) {
            first++;
            ASSERT(first < log->count);
        }
        group->fresh->shape = group->shape;
        segment_log_replace(log, first, first + count, group->fresh);
        compact->report.segments_made++;
        compact->report.bytes_after += group->shape.end.position;
    }
    group->fresh = NULL;
}

static enum segment_compact_step next_write(struct segment_compact *compact)
{
    ASSERT(compact->phase == PHASE_WRITE);
    ASSERT(compact->group.count > 0);

    if (!compact->group.is_over) {
        return SEGMENT_COMPACT_RUN;
    }
    fold_in(compact);
    compact->phase = PHASE_GROUP;
    ASSERT(!compact->group.fresh);
    return SEGMENT_COMPACT_WAIT;
}

enum segment_compact_step segment_compact_next(struct segment_compact *compact)
{
    ASSERT(compact->log->is_compacting);
    ASSERT(compact->phase <= PHASE_FAILED);

    enum segment_compact_step step = SEGMENT_COMPACT_WAIT;
    if (compact->err != PYR_OK) {
        compact->phase = PHASE_FAILED;
    }
    /* A wait that only passes from one phase to the next is gone through here: at most two. */
    for (int passed = 0; passed < 3 && step == SEGMENT_COMPACT_WAIT; passed++) {
        enum phase phase = compact->phase;
        switch (phase) {
        case PHASE_LEARN:
            step = next_learn(compact);
            break;
        case PHASE_GROUP:
            step = next_group(compact);
            break;
        case PHASE_OPEN:
            return next_open(compact);
        case PHASE_WRITE:
            step = next_write(compact);
            break;
        case PHASE_DONE:
            return SEGMENT_COMPACT_DONE;
        case PHASE_FAILED:
            return SEGMENT_COMPACT_FAILED;
        }
    }
    return step;
}

enum pyr_err segment_compact_create(struct segment_log *log,
                                    const struct segment_compact_options *options,
                                    struct segment_compact **ret_compact,
                                    struct pyr_error *reterr)
{
    ASSERT(options->offset_clean >= 0);
    ASSERT(options->offset_limit >= 0);
    ASSERT(ret_compact);

    enum pyr_err err = segment_log_check(log, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (log->is_compacting || log->is_truncating) {
        return err_set(reterr, PYR_ERR_BUSY, "'%s' is being worked on", log->folder);
    }
    struct segment_compact *compact =
        io_alloc(log->io, sizeof *compact, _Alignof(struct segment_compact));
    if (!compact) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to compact '%s'", log->folder);
    }
    compact->log = log;
    compact->io = log->io;
    compact->folder = log->folder;
    compact->options = *options;
    compact->rewrite.io = log->io;
    compact->rewrite.purge_horizon = options->purge_horizon;
    compact->learnt = log->count ? log->rows[0]->shape.identity.offset_base : 0;
    compact->group_next = compact->learnt;
    if (options->offset_clean > compact->learnt) {
        compact->learnt = options->offset_clean;
    }
    compact->report.offset_end = compact->learnt;
    bool has_work = log->count > 0 && eligible(compact, compact->learnt);
    if (!has_work) {
        io_free(log->io, compact);
        *ret_compact = NULL;
        return PYR_OK;
    }
    err = segment_keymap_init(&compact->rewrite.map, log->io, options->map_bytes, options->seed);
    if (err != PYR_OK) {
        io_free(log->io, compact);
        return err_set(reterr, err, "no memory for the keys of '%s'", log->folder);
    }
    ASSERT(compact->phase == PHASE_LEARN);
    log->is_compacting = true;
    *ret_compact = compact;
    return PYR_OK;
}

struct segment_compact_report segment_compact_report(const struct segment_compact *compact)
{
    ASSERT(compact->report.segments_made <= compact->report.segments_read);

    struct segment_compact_report report = compact->report;
    report.records_dropped = compact->rewrite.records_dropped;
    report.tombstones_dropped = compact->rewrite.tombstones_dropped;
    report.batches_undecodable = compact->rewrite.batches_undecodable;
    return report;
}

enum pyr_err segment_compact_error(const struct segment_compact *compact, struct pyr_error *reterr)
{
    ASSERT(compact->log->is_compacting);

    segment_give_error(reterr, &compact->error);
    return compact->err;
}

void segment_compact_destroy(struct segment_compact *compact)
{
    if (!compact) {
        return;
    }
    struct segment_log *log = compact->log;
    ASSERT(log->is_compacting);
    drop_view(compact);
    release_group(compact);
    ASSERT(!compact->has_view);
    ASSERT(compact->group.count == 0);
    segment_destroy(compact->io, compact->group.fresh);
    segment_rewrite_deinit(&compact->rewrite);
    io_free(compact->io, compact->buffer.data);
    io_free(compact->io, compact->history);
    log->is_compacting = false;
    io_free(compact->io, compact);
}
