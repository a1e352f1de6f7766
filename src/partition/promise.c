/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/promise - the entries of state of a replicated log, and when they are durable.
 *
 * A replica promises an epoch before it grants a vote or takes anything of that epoch, and may say
 * so only once the promise is on stable storage. The journal has one order for promises, cuts and
 * batches, and so has the shard's ring of what is not durable yet: each row carries the promise
 * that stood when it was made.
 *
 *      journal   append | promise 5 | cut at 7 | append       row: (position, log's end, promise)
 *                                  ^ durable up to here: promise 5, and the log as it was there
 *
 * At a start the promise is the highest epoch that the checkpoint's row and the journal name. A new
 * log's first entry is a promise of nothing: from it a start knows that the log is there, and
 * replicated.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "partition/shard_inner.h"

enum pyr_err promise_journal(struct partition *partition,
                             const struct wal_entry *entry,
                             int64_t offset_end,
                             struct pyr_error *reterr)
{
    ASSERT(entry->kind == WAL_ENTRY_PROMISE || entry->kind == WAL_ENTRY_TRUNCATE);
    ASSERT(entry->number == partition->entry_number + 1); /* PAR-5 */

    struct shard *shard = partition->shard;
    if (shard->pending_count == SHARD_PENDING_MAX) {
        return err_set(reterr, PYR_ERR_BUSY, "%d appends wait for the journal", SHARD_PENDING_MAX);
    }
    const struct wal_need need = {.kind = WAL_NEED_DURABLE_NOW};
    uint64_t position = 0;
    enum pyr_err err = wal_append(shard->wal, entry, need, &position, reterr);
    if (err != PYR_OK) {
        shard_checkpoint_urge(shard, err);
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }
    partition->entry_number++;
    partition->position_end = position;
    partition->epoch = entry->kind == WAL_ENTRY_PROMISE ? entry->epoch : partition->epoch;
    shard_pending_push(shard, partition, position, offset_end);
    return PYR_OK;
}

enum pyr_err partition_promise(struct partition *partition, int32_t epoch, struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->epoch_durable <= partition->epoch);

    enum pyr_err err = shard_health(partition->shard, reterr);
    if (err == PYR_OK) {
        err = partition_check(partition, reterr);
    }
    if (err != PYR_OK || epoch == partition->epoch) {
        return err;
    }
    if (epoch < partition->epoch) {
        return err_set(reterr, PYR_ERR_CONDITION,
                       "log '%s': epoch %" PRId32 " is below the promise %" PRId32, partition->name,
                       epoch, partition->epoch);
    }
    const struct wal_entry entry = {.kind = WAL_ENTRY_PROMISE,
                                    .log = partition->id,
                                    .epoch = epoch,
                                    .number = partition->entry_number + 1,
                                    .commit_lag = wal_commit_lag(0, 0)};
    return promise_journal(partition, &entry, partition->offset_end, reterr);
}

enum pyr_err promise_first(struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->epoch_durable <= partition->epoch);

    if (partition->entry_number > 0) {
        return PYR_OK;
    }
    const struct wal_entry entry = {.kind = WAL_ENTRY_PROMISE,
                                    .log = partition->id,
                                    .number = 1,
                                    .commit_lag = wal_commit_lag(0, 0)};
    enum pyr_err err = promise_journal(partition, &entry, partition->offset_end, reterr);
    shard_kick(partition->shard);
    return err;
}

int32_t partition_promise_durable(const struct partition *partition)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->epoch_durable <= partition->epoch);

    return partition->epoch_durable;
}

int64_t partition_durable_end(const struct partition *partition)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->offset_durable <= partition->offset_end);

    return partition->offset_durable;
}
