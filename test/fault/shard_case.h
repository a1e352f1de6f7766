/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault/shard_case - the life of a shard on a virtual disk, and what must hold of it after any
 * crash.
 *
 * The workload numbers the records of each log; record n of log k is made from (k, n) and the
 * life's salt, so that what must hold after a crash is easy to say: from the log start on every
 * offset gives its record, none is missing below what was acknowledged, what one life has shown the
 * next one still has, and nothing is read that was not appended. Of a compacted log the newest
 * record of each key is there. Control batches are not records: the workload uses none, so offset
 * and number are the same.
 *
 * The logs between them have all three policies, the cache on and off, and compaction.
 *
 * A life is small in everything: journal files of 64 KiB, segments of 16 KiB, a cache of 256 KiB,
 * so that a few hundred appends roll segments, recycle journal files, checkpoint and remove.
 */
#ifndef FAULT_SHARD_CASE_H
#define FAULT_SHARD_CASE_H

#include "partition/shard.h"
#include "sim/sim_io.h"

enum {
    SHARD_CASE_LOGS = 7,
    SHARD_CASE_SHARDS_MAX = 4,
};

/* One life of a folder's shards on a disk; most tests have one shard. */
struct shard_life {
    struct sim_disk *disk; /* Not the life's own. */
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct folder folder;
    struct shard *shard; /* The first. */
    struct shard *shards[SHARD_CASE_SHARDS_MAX];
    uint32_t shards_wanted; /* 0: what the folder has, 1 if it is new. */
    struct partition *logs[SHARD_CASE_LOGS];
    struct shard_report report;
    struct pyr_error error;
    bool use_mmap;
    uint64_t scrub_bytes_per_s; /* As in struct shard_options; by default there is none. */
    uint64_t scrub_interval_ns;
    uint64_t delete_grace_ns;      /* Likewise; 0 here is an hour. */
    uint64_t cache_bytes_max;      /* Likewise; 0 here is 256 KiB, */
    uint64_t buffer_time_ns;       /* 0 here is 5 ms, */
    uint32_t wal_files_max;        /* and 0 here is 4. */
    bool is_small;                 /* Small records and segments: less to damage. */
    uint32_t mask;                 /* Which of the logs it has. */
    uint64_t salt;                 /* Stands in the records that this life appends, */
    uint64_t salt_before;          /* and in those it found. */
    int64_t ends[SHARD_CASE_LOGS]; /* The ends it found. */
    uint64_t allocations_live;     /* After shard_case_end: what was not given back. */
};

/** Return the name of log @index. */
const char *shard_case_name(size_t index);

/** Open the shards and their logs on @disk, with randomness from @seed. On an error nothing stays
 * open but what shard_case_end takes. */
MUST_CHECK enum pyr_err shard_case_begin(struct shard_life *life,
                                         struct sim_disk *disk,
                                         uint64_t seed);

/** The two halves of shard_case_begin: between them faults can be set. */
void shard_case_init(struct shard_life *life, struct sim_disk *disk, uint64_t seed);
MUST_CHECK enum pyr_err shard_case_open(struct shard_life *life);

/** Return whether @life has log @index. */
bool shard_case_has(const struct shard_life *life, size_t index);

/** Return the offset below which log @index was acknowledged as durable. */
int64_t shard_case_acked(const struct shard_life *life, size_t index);

/** Stop the life: cleanly, or where it stands if the shard has failed or never opened. */
void shard_case_end(struct shard_life *life);

/** Leave the life as a crash does: nothing more is written; memory is given back. */
void shard_case_abandon(struct shard_life *life);

/** Append a batch of @count numbered records to log @index; waits while the queues are full. */
MUST_CHECK enum pyr_err shard_case_append(struct shard_life *life, size_t index, size_t count);

/** Turn the wheel once: wait, dispatch, step. */
void shard_case_turn(struct shard_life *life);

/** Turn until everything appended is committed, or the shard failed. */
MUST_CHECK enum pyr_err shard_case_settle(struct shard_life *life);

/**
 * Read log @index from its start to its commit point and hold each record against its number.
 *
 * Returns false, with a sentence in life->error, on the first mistake; a read error is one too
 * unless
 * @may_refuse, when a PYR_ERR_CORRUPT ends the check as good.
 */
bool shard_case_check(struct shard_life *life, size_t index, bool may_refuse);

/** As shard_case_check, from @offset on, which is a record's or lies behind the last. */
bool shard_case_check_from(struct shard_life *life, size_t index, int64_t offset, bool may_refuse);

#endif /* FAULT_SHARD_CASE_H */
