/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/append - the way of a batch: room in the cache, offsets, journal.
 *
 *     partition_reserve   room at the tail of the cache; the batch is built there, in place
 *     partition_append    offsets and epoch patched in, journal entry gathered, room taken
 *     shard_kick          the journal's flush goes to the device
 *
 * The journal comes before the cache: if it refuses, the room is given back and nothing happened.
 * The entry's own checksum covers the batch's header, in which stands the checksum of the rest, so
 * that no byte is summed twice.
 *
 * When you change what an append leaves behind, also change recovery.c, which has to rebuild it.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "partition/fold.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

enum pyr_err partition_reserve(struct partition *partition,
                               size_t bytes,
                               struct bytes_mut *ret_room,
                               struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(ret_room);

    struct shard *shard = partition->shard;
    ASSERT(bytes > 0);

    enum pyr_err err = shard_health(shard, reterr);
    if (err == PYR_OK) {
        err = partition_check(partition, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    if (bytes > (size_t)BATCH_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_TOO_LARGE,
                       "a batch of %zu bytes is above the limit of %" PRId64, bytes,
                       (int64_t)BATCH_BYTES_MAX);
    }
    if (shard->is_disk_full) {
        return err_set(reterr, PYR_ERR_DISK_FULL, "log '%s': %s", partition->name,
                       shard->disk_full_reason);
    }

    if (clock_is_due(partition)) {
        err = clock_stamp(partition, reterr);
        if (err != PYR_OK) {
            shard_flush_urge(shard);
            return err;
        }
    }
    err = append_room_check(partition, bytes, 1, reterr);
    if (err != PYR_OK) {
        return err;
    }
    size_t room_bytes = 0;
    uint8_t *room = cache_reserve(&shard->cache, &partition->cached, bytes, &room_bytes, &err);
    if (!room) {
        partition->appends_waited++;
        shard_flush_urge(shard);
        return err_set(reterr, err, "log '%s': %s", partition->name,
                       err == PYR_ERR_BUSY ? "the write cache is full of unwritten appends"
                                           : err_text(err));
    }
    *ret_room = (struct bytes_mut){room, room_bytes};
    return PYR_OK;
}

void partition_unreserve(struct partition *partition)
{
    ASSERT(partition->shard);
    ASSERT(partition->offset_written <= partition->offset_end);

    cache_unreserve(&partition->shard->cache, &partition->cached);
}

uint32_t append_commit_lag(const struct partition *partition, int64_t offset)
{
    ASSERT(offset >= partition->offset_committed);
    ASSERT(partition->offset_committed <= partition->offset_end);

    return partition->is_replicated ? wal_commit_lag(offset, partition->offset_committed) : 0;
}

enum pyr_err append_room_check(struct partition *partition,
                               size_t bytes,
                               uint64_t slack,
                               struct pyr_error *reterr)
{
    ASSERT(bytes > 0);
    ASSERT(slack >= 1);
    ASSERT(partition->offset_written <= partition->offset_committed || !partition->is_replicated);

    struct shard *shard = partition->shard;
    uint64_t all_max = shard->cache.bytes_max / UNCOMMITTED_SHARE;
    all_max = all_max < UNCOMMITTED_BYTES_MAX ? all_max : UNCOMMITTED_BYTES_MAX;
    uint64_t log_max = all_max / UNCOMMITTED_LOG_SHARE * slack;
    all_max += all_max / 4 * (slack - 1);
    bool is_within = partition->cached.bytes_unwritten + bytes <= log_max &&
                     shard->cache.bytes_unwritten + bytes <= all_max;
    bool is_first = partition->cached.bytes_unwritten == 0; /* However large, one may come. */
    if (!partition->is_replicated || is_within || is_first) {
        return PYR_OK;
    }
    partition->appends_waited++;
    shard_flush_urge(shard);
    return err_set(reterr, PYR_ERR_BUSY, "log '%s': %zu bytes wait to be committed or written",
                   partition->name, partition->cached.bytes_unwritten);
}

struct wal_need append_need(const struct partition *partition, uint64_t since_ns)
{
    ASSERT(partition->options.policy <= PARTITION_POLICY_OS);
    ASSERT(partition->offset_written <= partition->offset_end);

    const struct partition_options *options = &partition->options;
    uint64_t from_ns = since_ns;
    if (from_ns == 0 && options->policy != PARTITION_POLICY_ALWAYS) {
        from_ns = io_now_mono_ns(partition->shard->io);
    }
    switch (options->policy) {
    case PARTITION_POLICY_ALWAYS:
        return (struct wal_need){.kind = WAL_NEED_DURABLE_NOW};
    case PARTITION_POLICY_BATCH:
        return (struct wal_need){WAL_NEED_DURABLE_BY, from_ns + options->interval_ns};
    case PARTITION_POLICY_OS:
        if (options->hand_over_at_once) {
            return (struct wal_need){.kind = WAL_NEED_WRITTEN_NOW};
        }
        return (struct wal_need){WAL_NEED_WRITTEN_BY, from_ns + options->interval_ns};
    }
    ASSERT(false);
    return (struct wal_need){.kind = WAL_NEED_DURABLE_NOW};
}

enum pyr_err partition_append(struct partition *partition,
                              size_t bytes,
                              uint64_t since_ns,
                              int64_t *ret_offset,
                              struct pyr_error *reterr)
{
    struct shard *shard = partition->shard;
    struct cache_chunk *chunk = partition->cached.last;
    ASSERT(chunk && chunk->is_reserved);

    if (shard->pending_count == SHARD_PENDING_MAX) {
        partition->appends_waited++;
        return err_set(reterr, PYR_ERR_BUSY, "%d appends wait for the journal", SHARD_PENDING_MAX);
    }
    struct bytes_mut batch = {chunk->data + chunk->bytes_used, bytes};
    struct batch_header header;
    enum pyr_err err = batch_header_read((struct bytes){batch.data, bytes}, &header, reterr);
    ASSERT(err == PYR_OK);
    ASSERT(header.bytes == bytes);

    int64_t offset = partition->offset_end;
    int64_t offset_end = offset + header.last_offset_delta + 1;
    batch_set_offset_and_epoch(batch, offset, partition->epoch);
    struct wal_entry entry = {
        .kind = WAL_ENTRY_APPEND,
        .log = partition->id,
        .offset = offset,
        .epoch = partition->epoch,
        .number = partition->entry_number + 1,
        .parts = {{batch.data, BATCH_HEADER_BYTES},
                  {batch.data + BATCH_HEADER_BYTES, bytes - BATCH_HEADER_BYTES}},
        .checked_bytes = BATCH_HEADER_BYTES,
        .commit_lag = append_commit_lag(partition, offset)};
    uint64_t position = 0;
    err = wal_append(shard->wal, &entry, append_need(partition, since_ns), &position, reterr);
    if (err != PYR_OK) {
        partition->appends_waited += err == PYR_ERR_BUSY;
        shard_checkpoint_urge(shard, err);
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }

    partition->entry_number++;
    partition->position_end = position;
    partition->epoch_last = partition->epoch;
    cache_commit(&shard->cache, &partition->cached, bytes, offset, offset_end);
    shard_pending_push(shard, partition, position, offset_end);
    if (!partition->is_replicated) {
        shard_dirty(shard, partition); /* Else when it is committed. */
    }
    partition->appends++;
    partition->appends_bytes += bytes;
    if (partition->fold) {
        header.base_offset = offset;
        fold_append(partition->fold, (struct bytes){batch.data, bytes}, &header);
    }
    partition_commit_appended(partition, offset_end);
    *ret_offset = offset;
    return PYR_OK;
}
