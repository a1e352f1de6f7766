/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/segment - the state table and the making of segments.
 */
#include "segment/segment.h"

#include "base/assert.h"
#include "segment/files.h"

static const char *const state_names[SEGMENT_STATE_COUNT] = {
    [SEGMENT_STATE_OPEN] = "OPEN",       [SEGMENT_STATE_FULL] = "FULL",
    [SEGMENT_STATE_SEALED] = "SEALED",   [SEGMENT_STATE_CLEANED] = "CLEANED",
    [SEGMENT_STATE_DELETED] = "DELETED",
};

/* Row: from; bit: to. */
static const uint8_t state_edges[SEGMENT_STATE_COUNT] = {
    [SEGMENT_STATE_OPEN] = 1 << SEGMENT_STATE_FULL | 1 << SEGMENT_STATE_DELETED,
    [SEGMENT_STATE_FULL] =
        1 << SEGMENT_STATE_SEALED | 1 << SEGMENT_STATE_OPEN | 1 << SEGMENT_STATE_DELETED,
    [SEGMENT_STATE_SEALED] = 1 << SEGMENT_STATE_OPEN | 1 << SEGMENT_STATE_DELETED,
    [SEGMENT_STATE_CLEANED] = 1 << SEGMENT_STATE_DELETED,
    [SEGMENT_STATE_DELETED] = 0,
};

const char *segment_state_name(enum segment_state state)
{
    ASSERT(state < SEGMENT_STATE_COUNT);
    return state_names[state];
}

bool segment_state_can(enum segment_state from, enum segment_state to)
{
    ASSERT(from < SEGMENT_STATE_COUNT);
    ASSERT(to < SEGMENT_STATE_COUNT);
    return (state_edges[from] & 1U << to) != 0;
}

void segment_state_set(struct segment *segment, enum segment_state state)
{
    ASSERT(segment_state_can(segment->state, state)); /* SEG-2 */
    segment->state = state;
}

struct segment *segment_create(struct io *io,
                               const struct segment_shape *shape,
                               enum segment_state state)
{
    ASSERT(io);
    ASSERT(shape->point_count > shape->history_count);
    ASSERT(state != SEGMENT_STATE_DELETED);
    ASSERT(shape->end.offset >= shape->identity.offset_base);
    ASSERT(shape->is_cleaned == (state == SEGMENT_STATE_CLEANED));

    struct segment *segment = io_alloc(io, sizeof *segment, _Alignof(struct segment));
    if (!segment) {
        return NULL;
    }
    *segment = (struct segment){.shape = *shape, .state = state};
    return segment;
}

void segment_destroy(struct io *io, struct segment *segment)
{
    if (segment) {
        ASSERT(!segment->handle);
        ASSERT(segment->views == 0);
        segment_handle_release(segment->pinned);
        io_free(io, segment);
    }
}

struct segment_shape segment_shape_after(const struct log_id *log,
                                         const struct segment_point *end,
                                         int64_t clock_ms)
{
    ASSERT(log);
    ASSERT(end->offset >= 0);
    ASSERT(end->epoch >= -1);

    struct segment_shape shape = {
        .identity = {.log = *log, .offset_base = end->offset},
        .start =
            {
                .offset = end->offset,
                .digest = end->digest,
                .timestamp_max = INT64_MIN,
                .clock_ms = clock_ms,
                .epoch = end->epoch,
                .batch_epoch = end->epoch,
                .kind = SEGMENT_POINT_START,
            },
        .history_digest = end->digest,
        .point_count = 1,
        .time_last = -1,
    };
    ASSERT(shape.start.offset >= 0);
    shape.end = shape.start;
    return shape;
}
