/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/truncate - the tail of a replicated log gives way to what its leader has.
 *
 *      journal   append 0..40 epoch 3 | cut at 20 | append 20..30 epoch 5
 *      cache     |0 .... 20|20 ... 40|             what is behind the cut goes, and its memory is
 *                          ^ offset                 taken again: no view reaches past the commit
 *      ring      rows that end above 20 end at 20  point, which is below
 *
 * The rows of the ring are clipped because a later append may use the same offsets: that the old
 * bytes are durable says nothing of the new ones. The row of the cut itself comes before theirs.
 *
 * A checkpoint that is being prepared now wants the log up to the cut, wherever that is, and covers
 * the entries up to the cut's. Else a start would append again what was cut; or find what was cut
 * behind a claim that reaches beyond the cut, and take it for a hole (recovery.c).
 */
#include <inttypes.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "partition/fold.h"
#include "partition/shard_inner.h"

/* Return the epoch of the last batch below the log's end: in the cache, or else in a segment. */
static int32_t epoch_before_end(const struct partition *partition)
{
    ASSERT(partition->offset_written <= partition->offset_end);

    const struct cache_chunk *chunk = partition->cached.last;
    int32_t epoch = segment_log_end(partition->segments).epoch;
    if (!chunk || partition->offset_written == partition->offset_end) {
        return epoch;
    }
    ASSERT(chunk->offset_end == partition->offset_end);
    size_t position = 0;
    while (position < chunk->bytes_used) {
        struct batch_header header;
        struct bytes rest = {chunk->data + position, chunk->bytes_used - position};
        enum pyr_err err = batch_header_read(rest, &header, NULL);
        ASSERT(err == PYR_OK);
        epoch = header.epoch;
        position += header.bytes;
    }
    return epoch;
}

/* Return whether a batch of the cache begins at @offset, or the log ends there. */
static bool is_between_batches(struct partition *partition, int64_t offset)
{
    ASSERT(offset >= partition->offset_written);
    ASSERT(offset <= partition->offset_end);

    if (offset == partition->offset_end || offset == partition->offset_written) {
        return true;
    }
    struct cache_chunk *chunk = cache_acquire(&partition->cached, offset);
    ASSERT(chunk);
    struct cache_place place = {0};
    struct batch_header header;
    struct bytes part = cache_chunk_part(chunk, offset, partition->offset_end, &place);
    enum pyr_err err = batch_header_read(part, &header, NULL);
    ASSERT(err == PYR_OK);
    cache_chunk_release(chunk);
    return header.base_offset == offset;
}

/* Let no row of @partition that is not durable yet claim anything at or past @offset. */
static void pending_clip(struct partition *partition, int64_t offset)
{
    struct shard *shard = partition->shard;
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->pending_count <= shard->pending_count);

    for (uint32_t index = 0; index < shard->pending_count; index++) {
        uint32_t slot = (shard->pending_first + index) % SHARD_PENDING_MAX;
        struct partition_pending *row = &shard->pending[slot];
        if (row->partition == partition && row->offset_end > offset) {
            row->offset_end = offset;
        }
    }
}

void truncate_cache(struct partition *partition, int64_t offset)
{
    ASSERT(offset >= partition->offset_written); /* PAR-9 */
    ASSERT(offset <= partition->offset_end);

    struct shard *shard = partition->shard;
    cache_truncate(&shard->cache, &partition->cached, offset);
    partition->offset_end = offset;
    if (partition->offset_durable > offset) {
        partition->offset_durable = offset;
    }
    if (partition->stamps_end > offset) { /* One more stamp at worst. */
        partition->stamps_start = 0;
        partition->stamps_end = 0;
    }
    partition->epoch_last = epoch_before_end(partition);
}

/* Return why @partition cannot be cut at @offset now. */
static enum pyr_err truncate_check(struct partition *partition,
                                   int64_t offset,
                                   struct pyr_error *reterr)
{
    ASSERT(partition->offset_committed <= partition->offset_end);
    ASSERT(partition->offset_written <= partition->offset_end);

    enum pyr_err err = shard_health(partition->shard, reterr);
    if (err == PYR_OK) {
        err = partition_check(partition, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    if (offset > partition->offset_end) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "log '%s' ends at %" PRId64 ", not past %" PRId64, partition->name,
                       partition->offset_end, offset);
    }
    if (offset < partition->offset_committed) { /* PAR-9 */
        return err_set(reterr, PYR_ERR_CONDITION,
                       "log '%s' is committed up to %" PRId64 ", and was to be cut at %" PRId64,
                       partition->name, partition->offset_committed, offset);
    }
    if (cache_is_reserved(&partition->cached)) {
        return err_set(reterr, PYR_ERR_BUSY, "log '%s': a batch is being built", partition->name);
    }
    if (!is_between_batches(partition, offset)) {
        return err_set(reterr, PYR_ERR_INVALID, "log '%s': no batch begins at %" PRId64,
                       partition->name, offset);
    }
    return PYR_OK;
}

enum pyr_err partition_truncate(struct partition *partition,
                                int64_t offset,
                                struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(partition->offset_durable <= partition->offset_end);

    struct shard *shard = partition->shard;
    enum pyr_err err = truncate_check(partition, offset, reterr);
    if (err != PYR_OK || offset == partition->offset_end) {
        return err;
    }
    const struct wal_entry entry = {.kind = WAL_ENTRY_TRUNCATE,
                                    .log = partition->id,
                                    .offset = offset,
                                    .number = partition->entry_number + 1,
                                    .commit_lag = append_commit_lag(partition, offset)};
    if (!MUTANT(cut_in_memory_only)) {
        err = promise_journal(partition, &entry, offset, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    if (!MUTANT(cut_keeps_pending)) {
        pending_clip(partition, offset);
    }
    truncate_cache(partition, offset);
    if (partition->fold) {
        fold_truncate(partition->fold, offset);
    }
    if (shard->checkpoint_state == SHARD_CHECKPOINT_FLUSHING) {
        partition->checkpoint_target = offset;
        partition->checkpoint_number = partition->entry_number;
    }
    shard->progress++;
    return PYR_OK;
}
