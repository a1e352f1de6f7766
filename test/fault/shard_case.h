/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault/shard_case - the life of a shard on a virtual disk, and what must hold of it after any
 * crash.
 *
 * The workload numbers the records of each log; record n of log k is made from (k, n), so that what
 * must hold after a crash is easy to say: from the log start on every offset gives its record, none
 * is missing below what was acknowledged, and nothing was read that had not been appended. Control
 * batches are not records: the workload uses none, so offset and number are the same.
 *
 * A life is small in everything: journal files of 64 KiB, segments of 16 KiB, a cache of 256 KiB,
 * so that a few hundred appends roll segments, recycle journal files, checkpoint and remove.
 */
#ifndef FAULT_SHARD_CASE_H
#define FAULT_SHARD_CASE_H

#include "partition/shard.h"
#include "sim/sim_io.h"

enum {
    SHARD_CASE_LOGS = 3,
};

/* One life of a shard on a disk. */
struct shard_life {
    struct sim_disk *disk; /* Not the life's own. */
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct folder folder;
    struct shard *shard;
    struct partition *logs[SHARD_CASE_LOGS];
    struct shard_report report;
    struct pyr_error error;
};

/** Return the name of log @index. */
const char *shard_case_name(size_t index);

/** Open the shard and its logs on @disk, with randomness from @seed. On an error nothing stays open
 * but what shard_case_end takes. */
MUST_CHECK enum pyr_err shard_case_begin(struct shard_life *life,
                                         struct sim_disk *disk,
                                         uint64_t seed);

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

#endif /* FAULT_SHARD_CASE_H */
