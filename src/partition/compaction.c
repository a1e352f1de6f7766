/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/compaction - when a compacted log is rewritten to the newest record of each key.
 *
 * The segment room does the work in steps (segment/compact.h); here is when it begins and who runs
 * the steps: a slot of background work, one step at a time, so that appends and reads go on. All
 * logs are looked at together with their starts (retention.c), also in a shard that is idle. A
 * compaction begins when half of the log's bytes came after the last one, and touches only segments
 * below the one that a durable checkpoint ends in: recovery never meets a rewritten batch in the
 * journal's range, and never puts the checkpoint's tail into a file that was rewritten.
 *
 *      IDLE --half is new--> [next: RUN -> WORK_COMPACT -> apply] ... [next: DONE] --> IDLE
 *
 * A failure leaves what was swapped in; the compaction is tried again when more has come.
 */
#include "base/assert.h"
#include "partition/shard_inner.h"
#include "segment/compact.h"

/* Return whether enough is new in @partition. */
static bool compaction_is_worth_it(const struct partition *partition)
{
    ASSERT(partition->segments);
    ASSERT(partition->offset_written <= partition->offset_end);

    uint64_t bytes = segment_log_bytes(partition->segments);
    bool has_more = bytes > partition->compacted_bytes;
    return partition->options.is_compacted && has_more &&
           2 * (bytes - partition->compacted_bytes) >= bytes;
}

/* Have a checkpoint made if it would let more of @partition be compacted, and nobody appends: in a
 * busy shard one comes by itself, in another it may never. */
static void compaction_ask(struct partition *partition)
{
    ASSERT(partition->claim_durable <= partition->claim_written);
    ASSERT(!partition->compact);

    struct shard *shard = partition->shard;
    if (segment_log_end(partition->segments).segment <= partition->claim_durable) {
        return;
    }
    if (shard_is_unused(shard)) {
        shard_checkpoint_request(shard);
    } else {
        shard->wants_look = true;
    }
}

/* Return the memory for the keys of @partition: a small log needs little, and clearing it takes the
 * owner's time. A record takes at least eight bytes, and a key in the map at most 32. */
static uint64_t map_bytes(const struct partition *partition)
{
    uint64_t bytes = COMPACT_MAP_BYTES_MIN + 4 * segment_log_bytes(partition->segments);
    return bytes < COMPACT_MAP_BYTES ? bytes : COMPACT_MAP_BYTES;
}

static void compaction_begin(struct partition *partition)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(!partition->compact);

    int64_t committed = partition->offset_committed;
    int64_t claimed = partition->claim_durable;
    const struct segment_compact_options options = {
        .offset_clean = partition->cleaned_to,
        .offset_limit = claimed < committed ? claimed : committed,
        .map_bytes = map_bytes(partition),
        .seed = io_random_seed(partition->shard->io),
    };
    struct segment_compact *compact = NULL;
    enum pyr_err err = segment_compact_create(partition->segments, &options, &compact, NULL);
    partition->compacted_bytes = segment_log_bytes(partition->segments);
    if (err == PYR_OK) {
        partition->compact = compact;
    }
}

/* The compaction is over, one way or the other. */
static void compaction_end(struct partition *partition, bool is_done)
{
    ASSERT(partition->offset_written <= partition->offset_end);

    struct segment_compact_report report = segment_compact_report(partition->compact);
    if (is_done && report.offset_end > partition->cleaned_to) {
        partition->cleaned_to = report.offset_end;
    }
    partition->batches_undecodable += report.batches_undecodable;
    partition->records_compacted += report.records_dropped;
    segment_compact_destroy(partition->compact);
    partition->compact = NULL;
    partition->compacted_bytes = segment_log_bytes(partition->segments);
    partition->shard->progress++;
}

bool compaction_plan(struct partition *partition, struct work *work)
{
    ASSERT(work->state == WORK_STATE_FREE);
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    if (!partition->compact || partition->is_deleting || partition->works[WORK_COMPACT]) {
        return false;
    }
    switch (segment_compact_next(partition->compact)) {
    case SEGMENT_COMPACT_RUN:
        work->kind = WORK_COMPACT;
        work->partition = partition;
        work->as.compact = partition->compact;
        partition->works[WORK_COMPACT] = true;
        return true;
    case SEGMENT_COMPACT_WAIT:
        return false;
    case SEGMENT_COMPACT_DONE:
        compaction_end(partition, true);
        return false;
    case SEGMENT_COMPACT_FAILED:
        compaction_end(partition, false);
        return false;
    }
    ASSERT(false);
    return false;
}

void compaction_stop(struct partition *partition)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(!partition->works[WORK_COMPACT]);

    if (partition->compact) {
        compaction_end(partition, false);
    }
}

/* Begin the compactions that are due, and count those that run. */
static void compactions_look(struct shard *shard)
{
    ASSERT(!shard->is_stopping);

    shard->compactions = 0;
    for (struct partition *at = shard->partitions; at; at = at->next) {
        bool is_worth_it = !at->compact && !at->is_deleting && compaction_is_worth_it(at);
        if (is_worth_it && at->claim_durable > at->cleaned_to) {
            compaction_begin(at);
        } else if (is_worth_it) {
            compaction_ask(at);
        }
        shard->compactions += at->compact ? 1 : 0;
    }
    ASSERT(shard->compactions <= shard->partition_count);
}

void shard_compaction_step(struct shard *shard, bool is_look_due)
{
    ASSERT(shard->compactions <= shard->partition_count);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->is_stopping) {
        return;
    }
    if (is_look_due) {
        compactions_look(shard);
    }
    for (struct partition *at = shard->compactions > 0 ? shard->partitions : NULL; at;
         at = at->next) {
        struct work *work = at->compact ? shard_work_free(shard) : NULL;
        if (work && compaction_plan(at, work)) {
            work_start(work, shard->loop);
        }
    }
}
