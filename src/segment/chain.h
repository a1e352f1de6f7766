/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/chain - the step from one batch to the next, the same for writing, reading and recovery.
 *
 * Kafka's checksum leaves a batch's first 21 bytes open: where it belongs, under which epoch, how
 * long it is. Those are held by the chain. A walk carries a point (where the log stands), and each
 * batch must follow from it: its base offset is the point's offset, its epoch is not below, and it
 * moves the running digest. At the next stored point the digest must be the stored one.
 *
 *      point ---batch---> . ---batch---> . ---batch---> point
 *     digest   step 1         step 2         step 3     digest   equal, or none of the three is
 *                                                                handed out
 *
 * Invariants:
 *   SEG-4  A batch follows a point only if its base offset is the point's offset (in a cleaned
 *          file: not below) and its epoch is not below the point's.
 *
 * Threads: pure functions.
 */
#ifndef SEGMENT_CHAIN_H
#define SEGMENT_CHAIN_H

#include "segment/segment.h"

/* What a step learnt of a batch. */
struct segment_batch {
    int64_t offset_base;
    int64_t offset_end;
    uint32_t bytes; /* Header and records. */
    int32_t epoch;
    uint32_t crc;
    uint32_t record_count;
    int64_t timestamp_max;
};

/** Decode the batch whose header is at @header without holding it against anything. Returns NULL,
 * or in a few words why no batch of at most @bytes_left stands there. */
const char *segment_batch_peek(const uint8_t *header,
                               int64_t bytes_left,
                               struct segment_batch *ret_batch);

/**
 * Check that the batch whose header is at @header (BATCH_HEADER_BYTES) follows @point, and move
 * @point past it.
 *
 * @bytes_left are those from the header to the end of what may hold batches. On failure @point is
 * untouched and *@ret_why says in a few words what is wrong. PYR_ERR_CORRUPT only.
 */
MUST_CHECK enum pyr_err segment_chain_step(const struct segment_shape *shape,
                                           const uint8_t *header,
                                           int64_t bytes_left,
                                           struct segment_point *point,
                                           struct segment_batch *ret_batch,
                                           const char **ret_why);

/**
 * Add the batch at the front of @data to the end of @shape, as segment_chain_step.
 *
 * @ret_point is the point that is due before the batch, of kind 0 if none is. The caller stores a
 * due point in slot shape->point_count and then counts it with segment_shape_count.
 */
MUST_CHECK enum pyr_err segment_shape_add(struct segment_shape *shape,
                                          struct bytes data,
                                          int64_t clock_ms,
                                          struct segment_point *ret_point,
                                          struct segment_batch *ret_batch,
                                          const char **ret_why);

/** Count @point, which was just made due or read back, in @shape. Returns whether it also has a
 * .timeindex entry. */
bool segment_shape_count(struct segment_shape *shape, const struct segment_point *point);

/** Return the END point of @shape. */
struct segment_point segment_shape_end_point(const struct segment_shape *shape);

#endif /* SEGMENT_CHAIN_H */
