/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/compact - sealed segments rewritten to the newest record of each key.
 *
 * Part of the path:  sealed segments -> [compact] -> cleaned segments
 *
 * A compaction is a series of steps that the owner drives; each blocks for a bounded piece of work
 * and runs anywhere, so that it can be slowed down or given up between any two.
 *
 *   segment_compact_create
 *   while (segment_compact_next() == SEGMENT_COMPACT_RUN)   owner: folds the step in, sets the next
 *       segment_compact_run(bytes)                          any thread
 *   segment_compact_destroy
 *
 * First the map learns the keys of the dirty range, from where the last compaction ended to the
 * limit or to where the map is full. Then the segments from the first on are rewritten, in groups
 * that will fit one file: read through the verified path, filtered, written under another name,
 * synced, and swapped in (remove.h has the steps). A group of one in which nothing goes stays as it
 * is. Readers go on with the files they have open; those that have not opened theirs are waited
 * for, and later ones get the handle that the group was read through.
 *
 * A cleaned segment keeps offsets, epochs and the digests of what was appended (history points);
 * its own chain guards what it holds now.
 *
 * Threads: next, create, destroy: owner. run: any.   Memory: io_alloc.
 */
#ifndef SEGMENT_COMPACT_H
#define SEGMENT_COMPACT_H

#include "segment/log.h"

struct segment_compact;

/* What is wanted. */
struct segment_compact_options {
    int64_t offset_clean;  /* Up to here an earlier compaction went: `offset_end` of its report. */
    int64_t offset_limit;  /* Only segments that end at or below: at most what the owner's durable
                              checkpoint names as synced, and what is committed. */
    int64_t purge_horizon; /* Tombstones below it go too; 0: none. */
    uint64_t map_bytes;    /* Memory for keys. */
    uint64_t seed;         /* Of the map's hash: a random one. */
};

/* What it did. */
struct segment_compact_report {
    int64_t offset_end; /* The map held all keys below. */
    uint64_t segments_read;
    uint64_t segments_made;
    uint64_t bytes_before; /* Of the segments that were replaced. */
    uint64_t bytes_after;
    uint64_t records_dropped;
    uint64_t tombstones_dropped;
    uint64_t batches_undecodable; /* Kept whole. */
};

/* What the owner does next. */
enum segment_compact_step {
    SEGMENT_COMPACT_RUN,    /* Call run. */
    SEGMENT_COMPACT_WAIT,   /* A view has yet to open its files: call next again later. */
    SEGMENT_COMPACT_DONE,   /* The report is final. */
    SEGMENT_COMPACT_FAILED, /* The error says why. What was swapped in stays. */
};

/** Begin a compaction. *@ret_compact is NULL if there is nothing to do. PYR_ERR_BUSY while another
 * or a truncation is under way. Gives: segment_compact_destroy. */
MUST_CHECK enum pyr_err segment_compact_create(struct segment_log *log,
                                               const struct segment_compact_options *options,
                                               struct segment_compact **ret_compact,
                                               struct pyr_error *reterr);

/** Fold in the step that ran, and set up the next. */
enum segment_compact_step segment_compact_next(struct segment_compact *compact);

/** Work for about @bytes of input. Any thread; blocks. */
void segment_compact_run(struct segment_compact *compact, uint64_t bytes);

/** Return what was done so far. */
struct segment_compact_report segment_compact_report(const struct segment_compact *compact);

/** Return why it failed. */
enum pyr_err segment_compact_error(const struct segment_compact *compact, struct pyr_error *reterr);

/** End it, finished or not, between two steps (NULL does nothing). What is half made is removed
 * here or at the next open. */
void segment_compact_destroy(struct segment_compact *compact);

#endif /* SEGMENT_COMPACT_H */
