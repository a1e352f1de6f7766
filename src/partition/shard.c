/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/shard - the turn of the wheel: what is durable moves commit lines, what is due is
 * started.
 *
 * Opening is recovery.c, writing to segments flush.c, checkpoints checkpoint.c. Here is what ties
 * them.
 */
#include "partition/shard.h"

#include <stdio.h>

#include "base/assert.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

/* -- The pending ring -- */

/* Rows leave the ring when they are durable, and nothing but a full ring asks for that under the
 * policy os: ask once it is half full, so that nobody has to wait. */
static void pending_relieve(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->pending_count == SHARD_PENDING_MAX / 2) {
        shard_sync_begin(shard);
    }
}

void shard_pending_push(struct shard *shard,
                        struct partition *partition,
                        uint64_t position,
                        int64_t offset_end)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(shard->pending_count < SHARD_PENDING_MAX);
    ASSERT(position >= shard->position_end); /* SHD-2 */

    if (shard->pending_count == 0 && partition->is_replicated) {
        shard->pending_since_ns = io_now_mono_ns(shard->io);
    }
    uint32_t slot = (shard->pending_first + shard->pending_count) % SHARD_PENDING_MAX;
    shard->pending[slot] =
        (struct partition_pending){partition, position, offset_end, partition->epoch};
    partition->pending_count++;
    shard->pending_count++;
    shard->position_end = position;
    pending_relieve(shard);
}

/* Move the commit lines of all appends that the journal has durable. */
static void pending_pop_durable(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    uint64_t durable = wal_durable_position(shard->wal);
    shard->progress += durable != shard->durable_seen; /* A gather buffer is free again. */
    shard->durable_seen = durable;
    uint32_t count = shard->pending_count;
    while (shard->pending_count > 0) {
        const struct partition_pending *row = &shard->pending[shard->pending_first];
        if (row->position > durable) {
            break;
        }
        ASSERT(row->partition->pending_count > 0);
        row->partition->pending_count--;
        row->partition->epoch_durable = row->promise;
        partition_commit_durable(row->partition, row->offset_end);
        shard->pending_first = (shard->pending_first + 1) % SHARD_PENDING_MAX;
        shard->pending_count--;
        shard->progress++;
    }
    if (shard->pending_count < count) {
        shard->pending_since_ns = io_now_mono_ns(shard->io);
    }
}

uint64_t shard_waiting_ns(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    uint64_t now_ns = io_now_mono_ns(shard->io);
    return shard->pending_count > 0 ? now_ns - shard->pending_since_ns : 0;
}

uint64_t shard_full_ns(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->is_disk_full ? io_now_mono_ns(shard->io) - shard->disk_full_ns : 0;
}

/* -- Health -- */

void shard_fail(struct shard *shard, const struct pyr_error *error)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(error->code != PYR_OK);

    if (shard->failure.code != PYR_OK) {
        return;
    }
    shard->failure.code = PYR_ERR_FAILED;
    (void)snprintf(shard->failure.message, sizeof shard->failure.message,
                   "the log has failed and takes no appends: %s", error->message);
    shard->progress++;
}

enum pyr_err shard_health(const struct shard *shard, struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->failure.code != PYR_OK) {
        return err_set(reterr, shard->failure.code, "%s", shard->failure.message);
    }
    return PYR_OK;
}

/* -- The turn -- */

void shard_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    pending_pop_durable(shard);
    struct pyr_error reason;
    if (wal_state(shard->wal, &reason) == WAL_STATE_FAILED) {
        shard_fail(shard, &reason);
    }
    shard_flush_step(shard);
    shard_retention_step(shard);
    shard_checkpoint_step(shard);
    shard_deleted_step(shard);
    shard_scrub_step(shard);
    shard_notes_step(shard);
    shard_idle_step(shard);
    if (!shard->is_stopping) {
        warm_step(&shard->warm);
    }
}

void shard_kick(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    wal_kick(shard->wal);
}

void shard_sync_begin(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    (void)wal_sync(shard->wal);
    wal_kick(shard->wal);
}

uint64_t shard_progress(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->progress;
}

bool shard_is_idle(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return wal_can_flush(shard->wal);
}

uint32_t shard_partitions(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->partition_count;
}

uint32_t shard_partitions_deleted(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->deleted_count;
}

struct io_loop *shard_loop(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->loop;
}

enum pyr_err shard_space(const struct shard *shard, struct pyr_error *reterr)
{
    if (shard->is_disk_full) {
        return err_set(reterr, PYR_ERR_DISK_FULL, "%s", shard->disk_full_reason);
    }
    return PYR_OK;
}

uint64_t shard_written_position(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return wal_written_position(shard->wal);
}

size_t shard_batch_bytes_max(const struct shard *shard)
{
    ASSERT(shard);

    uint64_t bytes_max = wal_entry_bytes_max(shard->wal);
    ASSERT(bytes_max >= BATCH_HEADER_BYTES);
    ASSERT(bytes_max <= (uint64_t)BATCH_BYTES_MAX);

    return (size_t)bytes_max;
}

const char *shard_describe(const struct shard *shard)
{
    ASSERT(shard->describe[0] != '\0'); /* Nothing that changes: any thread may ask. */

    return shard->describe;
}
