/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/rewrite - one batch through compaction: which keys it has, and what of it stays.
 *
 *   batch                                   fate
 *   control                                 whole
 *   of a transaction                        whole, and its keys supersede nothing (it may abort)
 *   cannot be decoded                       whole, counted
 *   all records stay                        whole, byte for byte
 *   some stay                               made anew: the same offsets, producer, base timestamp
 *   none stays, last of its producer        empty: the header alone, for the producer's sequence
 *   none stays                              gone
 *
 * A record goes if the map knows a higher offset of its key, or if it is a tombstone below the
 * purge horizon. Records without a key stay.
 *
 * Invariants:
 *   SEG-11  The newest record of a key stays, unless it is a tombstone below the purge horizon.
 *
 * Threads: one.   Memory: scratch from io_alloc, kept between batches.
 */
#ifndef SEGMENT_REWRITE_H
#define SEGMENT_REWRITE_H

#include "record/walk.h"
#include "segment/keymap.h"

/* How batches go through. */
struct segment_rewrite {
    struct io *io;
    struct segment_keymap map;
    int64_t purge_horizon;
    struct bytes_mut unpacked;  /* Scratch: records of a packed batch. */
    struct bytes_mut workspace; /* Scratch: of the codec. */
    struct bytes_mut built;     /* Scratch: the batch made anew. */
    struct bytes_mut packed;    /* Scratch: that, packed. */
    uint64_t records_dropped;
    uint64_t tombstones_dropped;
    uint64_t batches_undecodable;
};

/** Put the keys of the verified batch @data into the map. *@ret_is_full: there is no room for all
 * of them, and none was put. PYR_ERR_NO_MEMORY. */
MUST_CHECK enum pyr_err segment_rewrite_learn(struct segment_rewrite *rewrite,
                                              struct bytes data,
                                              bool *ret_is_full);

/** Return in *@ret_data what stays of the verified batch @data: itself, a batch in scratch that
 * lives until the next call, or nothing. PYR_ERR_NO_MEMORY. */
MUST_CHECK enum pyr_err segment_rewrite_batch(struct segment_rewrite *rewrite,
                                              struct bytes data,
                                              struct bytes *ret_data);

/** Free map and scratch; accepts a zeroed one. */
void segment_rewrite_deinit(struct segment_rewrite *rewrite);

#endif /* SEGMENT_REWRITE_H */
