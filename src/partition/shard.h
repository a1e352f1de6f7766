/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/shard - one loop, one journal, and the logs that share them.
 *
 * Part of the path:  server, embed -> [shard] -> partition -> wal, segment
 *
 * The shard is driven from outside: whoever owns it calls io_loop_wait (without any lock it may
 * hold), io_loop_dispatch, and then shard_step, which folds in what the journal and the background
 * jobs did and starts what is due. Nothing in here waits, except to open and to close.
 *
 *      append -> partition_append -> [pending, in journal order] -> shard_kick -> wal
 *      wal durable -> shard_step -> pop pending -> commit lines move
 *      cache old or large -> flush job -> segments;  journal half full -> flush, sync, checkpoint
 *
 * Life: shard_open (recovers) -> OPEN -> shard_stop -> STOPPING -> shard_is_quiet -> shard_close.
 *
 *      OPEN ---- a journal write or a sync fails ----> FAILED   (appends refused, reads go on)
 *
 * Failure modes:   a failed sync or durable write -> FAILED for good, nothing more is acknowledged
 *                  full disk -> appends refused with PYR_ERR_DISK_FULL, tried again by a timer
 *
 * Invariants:
 *   SHD-1  a checkpoint claims only what stands in synced segments
 *   SHD-2  pending appends become durable in the order of the journal
 *
 * Threads: one owner at a time.   Memory: all queues are bounded; see base/limits.h.
 */
#ifndef PARTITION_SHARD_H
#define PARTITION_SHARD_H

#include "partition/folder.h"
#include "partition/partition.h"

struct shard_options {
    struct folder *folder;        /* Kept until shard_close. */
    uint32_t index;               /* Which of the folder's shards. */
    uint64_t cache_bytes_max;     /* Bound of the write cache. */
    uint64_t buffer_time_ns;      /* The longest an append stays only in cache and journal. */
    uint64_t wal_file_bytes;      /* 0: the default. */
    uint32_t wal_files_max;       /* 0: the default. */
    uint32_t wal_depth;           /* Flushes in flight; 0: the default. */
    uint32_t direct_batch_bytes;  /* See segment_files, likewise the next; 0: the default. */
    uint32_t direct_buffer_bytes; /* A multiple of BLOCK_BYTES. */
    uint64_t scrub_bytes_per_s;   /* See scrub.c; 0: never. */
    uint64_t scrub_interval_ns;   /* From the beginning of a pass to that of the next. */
    uint64_t delete_grace_ns;     /* How long a deleted log's folder stays. */
    uint32_t segment_handles_max; /* Open segments, two files each; 0: the default. */
    bool accepts_clock_step;      /* The operator confirms a step of the wall clock. */
    bool without_direct;          /* For tests of the fall-back. */
};

/* What opening found; sums over the shard's logs. */
struct shard_report {
    uint32_t partitions;
    uint64_t segments;
    uint64_t batches;
    uint64_t records;
    uint64_t bytes_scanned;
    uint64_t bytes_cut;
    uint64_t indexes_rebuilt;
    uint64_t quarantined;
    bool was_clean;
    bool has_changed; /* The number of shards did, see reshard.h: the logs were opened twice, and
                         batches and records are those of the first time. */
    char cut_reason[160];
};

/** Add what opening one more shard found, @report, to @sum; a zeroed @sum is not clean. */
void shard_report_add(struct shard_report *sum, const struct shard_report *report);

/* What the scrub did since the shard was opened; sums over its logs. */
struct shard_scrub_report {
    uint64_t passes; /* That are over. */
    uint64_t bytes;
    uint64_t damages;
    uint64_t errors;
    char first[320]; /* The first damage or error: log, file, position, offset; empty if none. */
};

/**
 * Open shard options->index of the folder: recover its logs and begin to take appends.
 *
 * Gives: shard_close. Blocks. PYR_ERR_CORRUPT if acknowledged bytes cannot be read: nothing was
 * changed.
 */
MUST_CHECK enum pyr_err shard_open(struct io_loop *loop,
                                   const struct shard_options *options,
                                   struct shard **ret_shard,
                                   struct shard_report *ret_report,
                                   struct pyr_error *reterr);

/** Stop and free @shard (NULL does nothing), writing and syncing what is in memory unless it has
 * failed. Blocks. */
void shard_close(struct shard *shard);

/**
 * Return the log called @name, with @options from now on; make it if it is missing.
 *
 * It stays the shard's. PYR_ERR_LOCKED if it is held, PYR_ERR_INVALID for a bad name. Blocks when
 * it makes one.
 */
MUST_CHECK enum pyr_err shard_partition_open(struct shard *shard,
                                             const char *name,
                                             const struct partition_options *options,
                                             struct partition **ret_partition,
                                             struct pyr_error *reterr);

/** Let go of @partition; it can be opened again. */
void shard_partition_release(struct partition *partition);

/**
 * Delete the log called @name: rename its folder, durably, and let go of it. Who has it open gets
 * PYR_ERR_NOT_FOUND from then on. Its bytes go after the grace time; see deleted.h.
 *
 * PYR_ERR_BUSY: turn the wheel and call again; until then the log takes no appends and no reads.
 * PYR_ERR_NOT_FOUND; after errors but BUSY nothing has changed.
 * Blocks.
 */
MUST_CHECK enum pyr_err shard_partition_delete(struct shard *shard,
                                               const char *name,
                                               struct pyr_error *reterr);

/**
 * Undo the deletion of the log that was called @name; of that with @id, or, if @id is NULL, of the
 * only one.
 *
 * PYR_ERR_EXISTS: the name has been taken again. PYR_ERR_NOT_FOUND, PYR_ERR_CONDITION (there are
 * several), PYR_ERR_BUSY (turn the wheel and call again). Blocks.
 */
MUST_CHECK enum pyr_err shard_partition_restore(struct shard *shard,
                                                const char *name,
                                                const struct log_id *id,
                                                struct pyr_error *reterr);

/** Return the number of deleted logs whose folders are still there. */
uint32_t shard_partitions_deleted(const struct shard *shard);

/** Fold in what happened since the last call, and start what is due. After every io_loop_dispatch.
 */
void shard_step(struct shard *shard);

/** Hand the journal what should go now. After every group of appends. */
void shard_kick(struct shard *shard);

/** Ask that everything of the shard appended so far becomes durable, whatever the policies. */
void shard_sync_begin(struct shard *shard);

/** Return how often room was freed or a line moved: who waits for room looks again when it changes.
 */
uint64_t shard_progress(const struct shard *shard);

/** Return whether the next append could go to the device at once: fewer flushes in flight than
 * allowed. */
bool shard_is_idle(const struct shard *shard);

/** Return PYR_OK, or PYR_ERR_FAILED with the reason once a sync or a durable write failed. */
enum pyr_err shard_health(const struct shard *shard, struct pyr_error *reterr);

/** Fill @ret_report with what the scrub did. */
void shard_scrub_report(const struct shard *shard, struct shard_scrub_report *ret_report);

/** Return the number of logs. */
uint32_t shard_partitions(const struct shard *shard);

/** Return the loop of @shard. */
struct io_loop *shard_loop(struct shard *shard);

/** Return PYR_OK, or PYR_ERR_DISK_FULL with the reason while writes to segments find no space. */
enum pyr_err shard_space(const struct shard *shard, struct pyr_error *reterr);

/** Return the journal position up to which everything is with the kernel. */
uint64_t shard_written_position(const struct shard *shard);

/** Return the largest batch that the shard takes: the limit, or what fits a journal file. Any
 * thread.
 */
size_t shard_batch_bytes_max(const struct shard *shard);

/** Describe how the shard writes, such as "uring, direct, durable flag". Borrows from @shard. Any
 * thread. */
const char *shard_describe(const struct shard *shard);

#endif /* PARTITION_SHARD_H */
