/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/points - finding points in a .digest, and bringing a shape back from them.
 *
 * Points stand in order of offset, position and timestamp at once, so one search serves all three.
 * A point that fails its check is stepped over: the walk from the one before it is longer, and no
 * less checked. The first and the last point of a segment are also in memory, in its shape.
 *
 * Threads: any.   Memory: the stack.
 */
#ifndef SEGMENT_POINTS_H
#define SEGMENT_POINTS_H

#include "segment/chain.h"

/* Where points are read from. */
struct segment_points {
    struct io *io;
    struct io_file *digest;
    const struct segment_shape *shape;
};

/* What a search goes by. */
enum segment_key {
    SEGMENT_KEY_OFFSET,    /* Points at or before an offset. */
    SEGMENT_KEY_POSITION,  /* Points before a position. */
    SEGMENT_KEY_TIMESTAMP, /* Points up to which all timestamps lie before one. */
};

/** Find the last point that is before @value by @key; the START point if none is. PYR_ERR_CORRUPT
 * if too many points are damaged. */
MUST_CHECK enum pyr_err segment_points_floor(const struct segment_points *points,
                                             enum segment_key key,
                                             int64_t value,
                                             uint32_t *ret_slot,
                                             struct segment_point *ret_point,
                                             struct pyr_error *reterr);

/** Find the first point at or behind @position; the shape's end if there is none. @slot is a good
 * place to begin, or 0. */
MUST_CHECK enum pyr_err segment_points_behind(const struct segment_points *points,
                                              uint32_t slot,
                                              uint32_t position,
                                              struct segment_point *ret_point,
                                              struct pyr_error *reterr);

/* What segment_points_restore found. */
struct segment_restored {
    struct segment_shape shape; /* At the last good point before the limit, that point uncounted. */
    uint32_t slots;             /* In the file. */
    bool is_sound;              /* The points up to there are whole, in order and in place. */
    bool has_end;               /* An END point ends the file... */
    struct segment_point end;   /* ...this one. */
};

/* Takes the points of a file in order. */
struct segment_point_visit {
    void (*take)(struct segment_point_visit *visit, const struct segment_point *point);
};

/**
 * Read the points of @points from the first on, and bring back the shape that they tell of.
 *
 * Stops at the first damaged point, and before the first whose offset is at or past @offset_limit
 * (but never before START). The result's shape stands so that segment_shape_add of the batch there
 * makes the last point due again. @visit, if not NULL, is shown each point taken.
 */
MUST_CHECK enum pyr_err segment_points_restore(const struct segment_points *points,
                                               int64_t offset_limit,
                                               struct segment_point_visit *visit,
                                               struct segment_restored *ret_restored,
                                               struct pyr_error *reterr);

#endif /* SEGMENT_POINTS_H */
