/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/work - background work on a log's files: one slot per piece, planned, run, applied.
 *
 * The segment room splits each piece of file work into plan (owner), run (any thread) and apply
 * (owner). A slot carries one piece through these three: the owner plans and starts a job, the pool
 * runs it, the loop's dispatch marks the slot finished, and the shard's next step applies it. Slots
 * are few and fixed, so the number of files that are written at once is bounded.
 *
 *      FREE --plan--> RUNNING --job done--> FINISHED --apply--> FREE, or RUNNING with the next
 * piece
 *
 * Threads: the shard's owner; work_run on the pool.
 */
#ifndef PARTITION_WORK_H
#define PARTITION_WORK_H

#include "base/limits.h"
#include "partition/deleted.h"
#include "partition/notes.h"
#include "segment/compact.h"
#include "segment/log.h"
#include "segment/remove.h"
#include "segment/scrub.h"

struct partition;
struct shard;

enum work_state {
    WORK_STATE_FREE,
    WORK_STATE_RUNNING,
    WORK_STATE_FINISHED,
};

enum work_kind {
    WORK_APPEND,  /* A run of the cache to the segment. */
    WORK_SYNC,    /* What was written to stable storage. */
    WORK_PREPARE, /* The next segment's file. */
    WORK_REMOVE,  /* Segments below the log start. */
    WORK_COMPACT, /* One step of a compaction. */
    WORK_SCRUB,   /* One step of the scrub. */
    WORK_CLEAR,   /* The folder of a deleted log; of no partition, */
    WORK_NOTES,   /* and so are the shard's notes. */
    WORK_KINDS,
};

/* The parts of one append: pieces of chunks, each with a reference. */
struct work_parts {
    struct cache_chunk *chunks[FLUSH_PARTS_MAX];
    struct bytes spans[FLUSH_PARTS_MAX];
    size_t count;
};

struct work {
    struct io_job job;
    enum work_state state;
    enum work_kind kind;
    struct partition *partition;
    struct work_parts parts;
    uint8_t tail[BLOCK_BYTES]; /* WORK_SYNC, result: the last block, */
    uint32_t tail_bytes;       /* as far as it lies below the synced end, */
    int tail_error;            /* or an errno value. */

    union {
        struct segment_append append;
        struct segment_sync sync;
        struct segment_prepare prepare;
        struct segment_removal removal;
        struct segment_compact *compact;
        struct segment_scrub *scrub;
        struct deleted_clear clear;
        struct notes_write notes;
    } as;
};

/** Start the planned piece of @work as a job on @loop. */
void work_start(struct work *work, struct io_loop *loop);

/** Carry out the planned piece of @work here and now. Blocks. For recovery and for closing. */
void work_run_now(struct work *work);

#endif /* PARTITION_WORK_H */
