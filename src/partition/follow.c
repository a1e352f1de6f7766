/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/follow - a leader's batches go into the log as they are.
 *
 * An append gives a batch its offset and epoch; a follower takes both from the leader, and so must
 * look first. What a message brings is looked at as a whole, before anybody acts on what it says
 * (partition_follow_check): each batch is good by its own checksum, they follow each other, and
 * they are of the epoch and end where the message says. What is taken begins where the log ends,
 * and its epoch is not above the promise and not below that of the batch before (PAR-8).
 *
 *      log      |... 40 epoch 3|
 *      batches                 |40 epoch 5|52 epoch 5|60 epoch 5|
 *
 * They are taken one by one, each with its own journal entry, so that where there is no room for
 * the next one, those before it stand.
 *
 * When you change what an append leaves behind (append.c), also change this.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "partition/fold.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

/* Return whether the batch at the front of @data may come next. */
static enum pyr_err follow_check(const struct partition *partition,
                                 struct bytes data,
                                 struct batch_header *ret_header,
                                 struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(data.count > 0);

    enum pyr_err err = batch_header_read(data, ret_header, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }
    if (ret_header->base_offset != partition->offset_end) {
        return err_set(reterr, PYR_ERR_CONDITION,
                       "log '%s' ends at %" PRId64 ", the batch begins at %" PRId64,
                       partition->name, partition->offset_end, ret_header->base_offset);
    }
    if (ret_header->epoch > partition->epoch || ret_header->epoch < partition->epoch_last ||
        ret_header->epoch < 0) { /* PAR-8 */
        return err_set(reterr, PYR_ERR_CONDITION,
                       "log '%s': epoch %" PRId32 " is not between that of the last batch, %" PRId32
                       ", and the promise %" PRId32,
                       partition->name, ret_header->epoch, partition->epoch_last, partition->epoch);
    }
    return PYR_OK;
}

enum pyr_err partition_follow_check(const struct partition *partition,
                                    struct bytes batches,
                                    const struct partition_stretch *stretch,
                                    struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(stretch->offset < stretch->offset_end);

    if (MUTANT(batches_unchecked)) {
        return PYR_OK;
    }
    int64_t offset = stretch->offset;
    while (offset < stretch->offset_end && batches.count > 0) {
        struct batch_header header;
        enum pyr_err err = batch_header_read(batches, &header, reterr);
        if (err == PYR_OK && header.bytes <= batches.count) {
            err = batch_verify((struct bytes){batches.data, header.bytes}, &header, reterr);
        }
        if (err != PYR_OK || header.bytes > batches.count) {
            return err_set(reterr, PYR_ERR_CORRUPT,
                           "log '%s': a leader's batch at offset %" PRId64 " is damaged",
                           partition->name, offset);
        }
        if (header.base_offset != offset || header.epoch != stretch->epoch) {
            return err_set(reterr, PYR_ERR_INVALID,
                           "log '%s': a leader's batch of epoch %" PRId32 " at offset %" PRId64
                           " where epoch %" PRId32 " and offset %" PRId64 " were told",
                           partition->name, header.epoch, header.base_offset, stretch->epoch,
                           offset);
        }
        offset = batch_offset_end(&header);
        batches = (struct bytes){batches.data + header.bytes, batches.count - header.bytes};
    }
    if (offset != stretch->offset_end || batches.count > 0) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "log '%s': a leader's batches end at offset %" PRId64 " where %" PRId64
                       " was told",
                       partition->name, offset, stretch->offset_end);
    }
    return PYR_OK;
}

/* Take @batch, which was looked at, into cache and journal. */
static enum pyr_err follow_take(struct partition *partition,
                                struct bytes batch,
                                const struct batch_header *header,
                                uint64_t since_ns,
                                struct pyr_error *reterr)
{
    ASSERT(header->base_offset == partition->offset_end);
    ASSERT(header->epoch <= partition->epoch); /* PAR-8 */
    ASSERT(header->bytes == batch.count);

    struct shard *shard = partition->shard;
    size_t room_bytes = 0;
    enum pyr_err err =
        append_room_check(partition, batch.count, UNCOMMITTED_FOLLOWER_SLACK, reterr);
    if (err != PYR_OK) {
        return err;
    }
    uint8_t *room =
        cache_reserve(&shard->cache, &partition->cached, batch.count, &room_bytes, &err);
    if (!room) {
        partition->appends_waited++;
        shard_flush_urge(shard);
        return err_set(reterr, err, "log '%s': the write cache has no room", partition->name);
    }
    memcpy(room, batch.data, batch.count);
    const struct wal_entry entry = {
        .kind = WAL_ENTRY_APPEND,
        .log = partition->id,
        .offset = header->base_offset,
        .epoch = header->epoch,
        .number = partition->entry_number + 1,
        .parts = {{room, BATCH_HEADER_BYTES},
                  {room + BATCH_HEADER_BYTES, batch.count - BATCH_HEADER_BYTES}},
        .checked_bytes = BATCH_HEADER_BYTES,
        .commit_lag = append_commit_lag(partition, header->base_offset)};
    uint64_t position = 0;
    err = wal_append(shard->wal, &entry, append_need(partition, since_ns), &position, reterr);
    if (err != PYR_OK) {
        partition_unreserve(partition);
        partition->appends_waited += err == PYR_ERR_BUSY;
        shard_checkpoint_urge(shard, err);
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }
    int64_t offset_end = batch_offset_end(header);
    int64_t clock_ms = 0;
    partition->entry_number++;
    partition->position_end = position;
    partition->epoch_last = header->epoch;
    cache_commit(&shard->cache, &partition->cached, batch.count, header->base_offset, offset_end);
    if (clock_read(batch, header, &clock_ms) && clock_ms > partition->clock_ms) {
        partition->clock_ms = clock_ms;
    }
    shard_pending_push(shard, partition, position, offset_end);
    partition->appends++;
    partition->appends_bytes += batch.count;
    if (partition->fold) {
        fold_append(partition->fold, batch, header);
    }
    partition_commit_appended(partition, offset_end);
    return PYR_OK;
}

enum pyr_err partition_follow(struct partition *partition,
                              struct bytes batches,
                              uint64_t since_ns,
                              size_t *ret_bytes,
                              struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(!cache_is_reserved(&partition->cached));

    struct shard *shard = partition->shard;
    *ret_bytes = 0;
    enum pyr_err err = shard_health(shard, reterr);
    if (err == PYR_OK) {
        err = partition_check(partition, reterr);
    }
    if (err == PYR_OK && shard->is_disk_full) {
        err = err_set(reterr, PYR_ERR_DISK_FULL, "log '%s': %s", partition->name,
                      shard->disk_full_reason);
    }
    while (err == PYR_OK && *ret_bytes < batches.count) {
        struct bytes rest = {batches.data + *ret_bytes, batches.count - *ret_bytes};
        struct batch_header header;
        if (shard->pending_count == SHARD_PENDING_MAX) {
            partition->appends_waited++;
            return err_set(reterr, PYR_ERR_BUSY, "%d appends wait for the journal",
                           SHARD_PENDING_MAX);
        }
        err = follow_check(partition, rest, &header, reterr);
        if (err == PYR_OK) {
            struct bytes batch = {rest.data, header.bytes};
            err = follow_take(partition, batch, &header, since_ns, reterr);
        }
        *ret_bytes += err == PYR_OK ? header.bytes : 0;
    }
    return err;
}
