/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/commit - the one rule that says what is committed.
 *
 * With one replica, what this replica has under the log's policy is committed: under `always` what
 * is on stable storage, under `batch` and `os` what was appended. In a replicated log their quorum
 * takes the place of this rule: who drives the replica says what is committed, and nothing else
 * moves the commit point.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "partition/fold.h"
#include "partition/shard_inner.h"

/* Move the commit point to where the rule puts it. */
static void commit_advance(struct partition *partition)
{
    ASSERT(partition->offset_committed <= partition->offset_end);
    ASSERT(partition->offset_written <= partition->offset_end);

    if (partition->is_replicated) {
        return;
    }
    bool waits_for_disk = partition->options.policy == PARTITION_POLICY_ALWAYS;
    if (MUTANT(ack_before_durable)) {
        waits_for_disk = false;
    }
    int64_t offset = waits_for_disk ? partition->offset_durable : partition->offset_end;
    if (!partition->options.is_cached) {
        bool waits_for_sync = partition->options.sync_on_write;
        int64_t line = waits_for_sync ? partition->offset_synced : partition->offset_written;
        offset = line < offset ? line : offset;
    }
    if (offset <= partition->offset_committed) {
        return; /* PAR-3 */
    }
    partition->offset_committed = offset;
    ASSERT(partition->offset_committed <= partition->offset_end);
}

void partition_commit_durable(struct partition *partition, int64_t offset_end)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(offset_end <= partition->offset_end);
    ASSERT(offset_end >= partition->offset_durable); /* SHD-2 */

    partition->offset_durable = offset_end;
    commit_advance(partition);
}

void partition_commit_appended(struct partition *partition, int64_t offset_end)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(offset_end >= partition->offset_end);

    partition->offset_end = offset_end;
    commit_advance(partition);
}

void partition_commit_written(struct partition *partition)
{
    ASSERT(partition->offset_synced <= partition->offset_written);
    ASSERT(partition->offset_written <= partition->offset_end); /* PAR-1 */

    commit_advance(partition);
}

/* Return @offset, or where the batch begins that it lies in: what is told from outside may lie in
 * the midst of one, and of no batch a part is committed. */
static int64_t commit_floor(struct partition *partition, int64_t offset)
{
    ASSERT(offset > partition->offset_committed);
    ASSERT(partition->offset_written <= partition->offset_committed); /* PAR-9 */

    if (offset == partition->offset_end) {
        return offset;
    }
    struct cache_chunk *chunk = cache_acquire(&partition->cached, offset);
    ASSERT(chunk); /* PAR-9: nothing at or past the commit point leaves the cache. */
    int64_t floor = cache_chunk_floor(chunk, offset, &partition->commit_place);
    cache_chunk_release(chunk);
    return floor;
}

enum pyr_err partition_commit_to(struct partition *partition,
                                 int64_t offset,
                                 struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->offset_committed <= partition->offset_end);

    if (offset > partition->offset_end) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "log '%s': offset %" PRId64 " is past the end %" PRId64, partition->name,
                       offset, partition->offset_end);
    }
    if (offset > partition->offset_committed) {
        offset = commit_floor(partition, offset);
    }
    if (offset > partition->offset_committed) { /* PAR-3 */
        partition->offset_committed = offset;
        partition->shard->progress++;
        if (partition->fold) {
            fold_commit(partition->fold, offset);
        }
        shard_dirty(partition->shard, partition);
    }
    return PYR_OK;
}

void commit_note(struct partition *partition)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->offset_written <= partition->offset_committed); /* PAR-9 */

    struct shard *shard = partition->shard;
    const struct wal_entry entry = {.kind = WAL_ENTRY_COMMIT,
                                    .log = partition->id,
                                    .offset = partition->offset_written,
                                    .number = partition->entry_number + 1,
                                    .commit_lag = wal_commit_lag(0, 0)};
    /* Nobody waits for it: the next flush takes it along, or a timer. */
    const struct wal_need need = {WAL_NEED_DURABLE_BY,
                                  io_now_mono_ns(shard->io) + shard->options.buffer_time_ns};
    uint64_t position = 0;
    if (wal_append(shard->wal, &entry, need, &position, NULL) == PYR_OK) {
        partition->entry_number++;
        shard->position_end = position;
    } /* Else the next write notes more. */
}
