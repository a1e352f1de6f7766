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

/* A place between two points. */
struct segment_stretch {
    struct segment_point before; /* The last one before the place; START if none is. */
    uint32_t slot;               /* Its slot. */
    bool has_behind;             /* The search came past the one behind the place: */
    struct segment_point behind; /* this one, or the shape's end. */
};

/** Find the stretch in which @value lies by @key. PYR_ERR_CORRUPT if too many points are damaged.
 */
MUST_CHECK enum pyr_err segment_points_floor(const struct segment_points *points,
                                             enum segment_key key,
                                             int64_t value,
                                             struct segment_stretch *ret_stretch,
                                             struct pyr_error *reterr);

/** Find the first point at or behind @position; the shape's end if there is none. *@slot is where
 * it is guessed to be, or 0; it is set to where it is. A guess too far on finds a later point. */
MUST_CHECK enum pyr_err segment_points_behind(const struct segment_points *points,
                                              uint32_t position,
                                              uint32_t *slot,
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
