/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/points - the search by halving, and the pass in order.
 *
 * The search reads a few points at a time until the range fits one small block, then that block at
 * once.
 */
#include "segment/points.h"

#include "base/assert.h"
#include "io/transfer.h"

enum {
    BLOCK_POINTS = 64, /* Points read at once: under 4 KiB. */
    BAD_POINTS_MAX = 16,
    PROBE_POINTS = 4, /* In the middle of a range: one is looked at, the others if it is damaged. */
    GUESS_SLOTS = 4,  /* A guess at a slot may be so many too far on. */
};

/* A few points, as they stand in the file. */
struct block {
    uint8_t data[BLOCK_POINTS * SEGMENT_POINT_BYTES];
    uint32_t first;
    uint32_t count;
};

static enum pyr_err read_block(const struct segment_points *points,
                               uint32_t first,
                               uint32_t count,
                               struct block *block,
                               struct pyr_error *reterr)
{
    ASSERT(points->io);
    ASSERT(points->digest);
    ASSERT(count <= BLOCK_POINTS);
    ASSERT(first > 0); /* The first point stands apart. */
    size_t bytes = 0;
    int number = io_read_whole(
        points->io, points->digest,
        (struct bytes_mut){.data = block->data, .count = (size_t)count * SEGMENT_POINT_BYTES},
        segment_point_position(first), &bytes);
    if (number != 0) {
        return err_set_errno(reterr, number, "read %020lld.digest",
                             (long long)points->shape->identity.offset_base);
    }
    block->first = first;
    block->count = (uint32_t)(bytes / SEGMENT_POINT_BYTES);
    return PYR_OK;
}

/* Get the point in @slot out of @block; false if it is damaged or not there. */
static bool block_point(const struct segment_points *points,
                        const struct block *block,
                        uint32_t slot,
                        struct segment_point *ret_point)
{
    ASSERT(block->count <= BLOCK_POINTS);
    ASSERT(ret_point);

    if (slot < block->first || slot - block->first >= block->count) {
        return false;
    }
    const uint8_t *data = block->data + (size_t)(slot - block->first) * SEGMENT_POINT_BYTES;
    return segment_point_get(data, &points->shape->identity, slot, ret_point);
}

static bool is_before(const struct segment_point *point, enum segment_key key, int64_t value)
{
    ASSERT(point->kind != 0);
    ASSERT(key <= SEGMENT_KEY_TIMESTAMP);

    switch (key) {
    case SEGMENT_KEY_OFFSET:
        return point->offset <= value;
    case SEGMENT_KEY_POSITION:
        return point->position < value;
    case SEGMENT_KEY_TIMESTAMP:
        return point->timestamp_max < value;
    }
    ASSERT(false);
    return false;
}

/* The state of a search: the point at `low` is before the value, those from `high` on are not. */
struct search {
    enum segment_key key;
    int64_t value;
    uint32_t low;
    uint32_t high;
    struct segment_point point; /* Last good one at or below `low`. */
    uint32_t slot;              /* Its slot. */
    struct segment_point
        behind; /* First good one met at `high` or above; the shape's end if none. */
    uint32_t behind_slot;
    uint32_t bad_count;
};

/* Take the point in @slot, which is in @block, into account. */
static void consider(struct search *search,
                     bool is_good,
                     uint32_t slot,
                     const struct segment_point *point)
{
    ASSERT(slot > search->low);
    ASSERT(slot < search->high);

    if (!is_good) {
        search->bad_count++;
        search->low = slot; /* Nothing is known: look behind it, keep the last good one. */
    } else if (is_before(point, search->key, search->value)) {
        search->low = slot;
        search->slot = slot;
        search->point = *point;
    } else {
        search->high = slot;
        search->behind = *point;
        search->behind_slot = slot;
    }
}

static enum pyr_err halve(const struct segment_points *points,
                          struct search *search,
                          struct pyr_error *reterr)
{
    ASSERT(search->low < search->high);
    ASSERT(search->slot <= search->low);

    struct block block;
    struct segment_point point;
    while (search->high - search->low > BLOCK_POINTS && search->bad_count <= BAD_POINTS_MAX) {
        uint32_t middle = search->low + (search->high - search->low) / 2;
        enum pyr_err err = read_block(points, middle, PROBE_POINTS, &block, reterr);
        if (err != PYR_OK) {
            return err;
        }
        uint32_t slot = middle;
        while (slot < middle + PROBE_POINTS && !block_point(points, &block, slot, &point)) {
            slot++;
        }
        if (slot < middle + PROBE_POINTS) {
            consider(search, true, slot, &point);
        } else {
            search->bad_count++;
            search->high = middle; /* Find a good one below; those behind are walked over. */
        }
    }
    return PYR_OK;
}

/* Search the slots from @slot, whose point is @point, on. */
static enum pyr_err search_from(const struct segment_points *points,
                                struct search *search,
                                struct pyr_error *reterr)
{
    ASSERT(search->low < search->high);
    ASSERT(search->bad_count == 0);

    enum pyr_err err = halve(points, search, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct block block = {.count = 0};
    uint32_t first = search->low + 1;
    if (first < search->high && search->bad_count <= BAD_POINTS_MAX) {
        uint32_t count = search->high - first;
        count = count > BLOCK_POINTS ? BLOCK_POINTS : count;
        err = read_block(points, first, count, &block, reterr);
    }
    for (uint32_t slot = first; slot < first + block.count && err == PYR_OK; slot++) {
        struct segment_point point;
        bool is_good = block_point(points, &block, slot, &point);
        consider(search, is_good, slot, &point);
        if (search->high == slot) {
            break;
        }
    }
    if (err == PYR_OK && search->bad_count > BAD_POINTS_MAX) {
        return err_set(reterr, PYR_ERR_CORRUPT, "%020lld.digest: too many points are damaged",
                       (long long)points->shape->identity.offset_base);
    }
    return err;
}

enum pyr_err segment_points_floor(const struct segment_points *points,
                                  enum segment_key key,
                                  int64_t value,
                                  struct segment_stretch *ret_stretch,
                                  struct pyr_error *reterr)
{
    ASSERT(ret_stretch);

    const struct segment_shape *shape = points->shape;
    ASSERT(shape->point_count > shape->history_count);
    struct search search = {
        .key = key,
        .value = value,
        .low = shape->history_count,
        .high = shape->point_count,
        .point = shape->start,
        .slot = shape->history_count,
        .behind = shape->end,
        .behind_slot = shape->point_count,
    };
    enum pyr_err err = search_from(points, &search, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(search.slot >= shape->history_count && search.slot < shape->point_count);
    ASSERT(search.slot < search.behind_slot);
    *ret_stretch = (struct segment_stretch){
        .before = search.point,
        .slot = search.slot,
        /* The search goes round damage; what it met behind that may be far away. */
        .has_behind = search.behind_slot - search.slot <= BAD_POINTS_MAX,
        .behind = search.behind,
    };
    return PYR_OK;
}

/* Find the first good point at or behind @position in the block that begins in slot *@slot; set
 * that to its slot. */
static enum pyr_err look_behind(const struct segment_points *points,
                                uint32_t position,
                                uint32_t *slot,
                                struct segment_point *ret_point,
                                bool *ret_found,
                                struct pyr_error *reterr)
{
    const struct segment_shape *shape = points->shape;
    ASSERT(*slot > shape->history_count); /* START is elsewhere. */
    ASSERT(position <= shape->end.position);

    struct block block;
    uint32_t left = *slot < shape->point_count ? shape->point_count - *slot : 0;
    *ret_found = false;
    if (left == 0) {
        return PYR_OK;
    }
    enum pyr_err err =
        read_block(points, *slot, left > BLOCK_POINTS ? BLOCK_POINTS : left, &block, reterr);
    if (err != PYR_OK) {
        return err;
    }
    for (uint32_t at = block.first; at < block.first + block.count && !*ret_found; at++) {
        struct segment_point point;
        if (block_point(points, &block, at, &point) && point.position >= position) {
            *slot = at;
            *ret_point = point;
            *ret_found = true;
        }
    }
    if (!*ret_found && left <= BLOCK_POINTS) {
        *slot = shape->point_count; /* These were the last. */
        *ret_point = shape->end;
        *ret_found = true;
    }
    return PYR_OK;
}

enum pyr_err segment_points_behind(const struct segment_points *points,
                                   uint32_t position,
                                   uint32_t *slot,
                                   struct segment_point *ret_point,
                                   struct pyr_error *reterr)
{
    ASSERT(slot);
    ASSERT(ret_point);

    const struct segment_shape *shape = points->shape;
    bool is_found = false;
    uint32_t guess = *slot > GUESS_SLOTS ? *slot - GUESS_SLOTS : 0;
    *slot = guess > shape->history_count ? guess : shape->history_count + 1;
    enum pyr_err err = look_behind(points, position, slot, ret_point, &is_found, reterr);
    if (err != PYR_OK || is_found) {
        return err;
    }
    struct segment_stretch stretch;
    err = segment_points_floor(points, SEGMENT_KEY_POSITION, position, &stretch, reterr);
    if (err != PYR_OK) {
        return err;
    }
    *slot = stretch.slot + 1;
    if (stretch.has_behind) {
        *ret_point = stretch.behind;
        return PYR_OK;
    }
    err = look_behind(points, position, slot, ret_point, &is_found, reterr);
    if (err == PYR_OK && !is_found) {
        *slot = shape->point_count;
        *ret_point = shape->end; /* Always right, if further on. */
    }
    return err;
}

/* -- Bringing a shape back -- */

/* The pass in order. */
struct pass {
    struct segment_shape shape; /* With all points but `last` counted. */
    struct segment_point last;
    bool has_last;
    bool is_over;
    struct segment_restored *restored;
};

/* Whether @point can stand behind what the pass has seen. */
static bool is_in_order(const struct pass *pass, const struct segment_point *point)
{
    ASSERT(!pass->is_over);
    ASSERT(point->kind != 0);

    const struct segment_point *before = pass->has_last ? &pass->last : &pass->shape.start;
    return point->offset >= before->offset && point->position >= before->position &&
           point->epoch >= before->epoch && point->timestamp_max >= before->timestamp_max &&
           (point->kind & SEGMENT_POINT_START) == 0;
}

/* Take the good point in @slot. */
static void pass_point(struct pass *pass,
                       const struct segment_point *point,
                       int64_t offset_limit,
                       struct segment_point_visit *visit)
{
    ASSERT(!pass->is_over);
    ASSERT(pass->restored->is_sound);

    struct segment_restored *restored = pass->restored;
    if (!is_in_order(pass, point)) {
        restored->is_sound = false;
        pass->is_over = true;
        return;
    }
    if (point->kind & SEGMENT_POINT_END) {
        restored->has_end = true;
        restored->end = *point;
        pass->is_over = true;
        return;
    }
    if (point->offset >= offset_limit) {
        pass->is_over = true;
        return;
    }
    if (pass->has_last) {
        (void)segment_shape_count(&pass->shape, &pass->last);
    }
    pass->last = *point;
    pass->has_last = true;
    if (visit) {
        visit->take(visit, point);
    }
}

/* Bring the block of @slot into @block, if another one is there. */
static enum pyr_err need_block(const struct segment_points *points,
                               uint32_t slot,
                               uint32_t slots,
                               struct block *block,
                               struct pyr_error *reterr)
{
    ASSERT(slot < slots);
    if (slot < block->first + block->count) {
        return PYR_OK;
    }
    uint32_t left = slots - slot;
    return read_block(points, slot, left > BLOCK_POINTS ? BLOCK_POINTS : left, block, reterr);
}

enum pyr_err segment_points_restore(const struct segment_points *points,
                                    int64_t offset_limit,
                                    struct segment_point_visit *visit,
                                    struct segment_restored *ret_restored,
                                    struct pyr_error *reterr)
{
    ASSERT(points->digest);
    ASSERT(offset_limit >= 0);
    ASSERT(!visit || visit->take);

    int64_t bytes = 0;
    int number = io_bytes(points->io, points->digest, &bytes);
    if (number != 0) {
        return err_set_errno(reterr, number, "look at %020lld.digest",
                             (long long)points->shape->identity.offset_base);
    }
    struct segment_restored restored = {.shape = *points->shape, .is_sound = true};
    restored.slots = segment_point_slots(bytes);
    struct pass pass = {.shape = *points->shape, .restored = &restored};
    pass.shape.end = pass.shape.start;
    pass.shape.history_digest = pass.shape.is_cleaned ? 0 : pass.shape.start.digest;
    pass.shape.point_count = pass.shape.history_count + 1;
    ASSERT(pass.shape.index_count == 0 && pass.shape.time_count == 0);

    struct block block = {.count = 0};
    for (uint32_t slot = pass.shape.point_count; slot < restored.slots && !pass.is_over; slot++) {
        enum pyr_err err = need_block(points, slot, restored.slots, &block, reterr);
        if (err != PYR_OK) {
            return err;
        }
        struct segment_point point;
        if (!block_point(points, &block, slot, &point)) {
            restored.is_sound = false;
            break;
        }
        pass_point(&pass, &point, offset_limit, visit);
    }
    if (pass.has_last) {
        pass.shape.end = pass.last;
        pass.shape.end.kind = SEGMENT_POINT_START;
        pass.shape.end.batch_delta = 0;
        pass.shape.is_stride_due = (pass.last.kind & SEGMENT_POINT_STRIDE) != 0;
        pass.shape.history_digest = pass.last.digest;
    }
    restored.shape = pass.shape;
    *ret_restored = restored;
    ASSERT(restored.shape.end.offset >= restored.shape.start.offset);
    ASSERT(restored.shape.point_count > restored.shape.history_count);
    return PYR_OK;
}
