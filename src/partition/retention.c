/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/retention - moving the log start, and removing what lies below it.
 *
 * All logs are looked at when the shard is turned, at most once a second; idle.c has it turned when
 * nobody does.
 *
 *     1. the new start is decided: by age or bytes, or by a caller (delete before)
 *     2. a checkpoint that says so is made durable; readers are refused below it from the first
 * moment
 *     3. whole segments below it are renamed to *.deleted, and removed after a grace time
 *
 * A crash between the steps leaves files that the next open removes, because the durable start says
 * so: nothing is ever deleted on a guess. A start that never became durable is forgotten, and the
 * files are still there.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "partition/shard_inner.h"

enum pyr_err partition_delete_before(struct partition *partition,
                                     int64_t offset,
                                     struct pyr_error *reterr)
{
    ASSERT(partition->start_durable <= partition->start_written);
    ASSERT(partition->offset_written <= partition->offset_end);

    enum pyr_err err = partition_check(partition, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (partition->is_replicated) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "log '%s': a replica does not move the start of its log alone",
                       partition->name);
    }
    if (offset > partition->offset_committed) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "log '%s': offset %" PRId64 " is past the committed end %" PRId64,
                       partition->name, offset, partition->offset_committed);
    }
    if (offset > partition->offset_start) {
        partition->offset_start = offset;
        shard_checkpoint_request(partition->shard);
    }
    return PYR_OK;
}

int64_t retention_limit(uint64_t limit)
{
    int64_t taken = limit < (uint64_t)INT64_MAX ? (int64_t)limit : INT64_MAX;
    ASSERT(taken >= 0);
    ASSERT((uint64_t)taken <= limit);

    return taken;
}

int64_t retention_age_ms(const struct partition *partition)
{
    ASSERT(partition->segments);
    ASSERT(partition->offset_written <= partition->offset_end);

    return retention_limit(partition->options.retention_ms);
}

/* Append a stamp if by what it says something expires or rolls, and what is there does not say so
 * already. Nobody appends, or a stamp would come by itself. */
static void retention_stamp(struct partition *partition)
{
    ASSERT(partition->segments);
    ASSERT(!partition->is_deleting);

    int64_t wanted_ms = clock_wanted_ms(partition);
    if (wanted_ms == INT64_MAX || cache_is_reserved(&partition->cached) ||
        !clock_is_due(partition) || clock_now_ms(partition) < wanted_ms) {
        return;
    }
    if (clock_stamp(partition, NULL) == PYR_OK) {
        shard_kick(partition->shard);
    } /* Else there is no room: at the next look. */
}

/* Decide whether age or bytes move the start of @partition. */
static void retention_decide(struct partition *partition)
{
    ASSERT(partition->segments);
    ASSERT(partition->offset_written <= partition->offset_end);

    const struct partition_options *options = &partition->options;
    if (partition->is_deleting) {
        return;
    }
    retention_stamp(partition);
    if (options->retention_ms == 0 && options->retention_bytes == 0) {
        return;
    }
    const struct segment_retention retention = {.clock_ms = partition->clock_ms,
                                                .age_max_ms = retention_age_ms(partition),
                                                .bytes_max = options->retention_bytes,
                                                .offset_limit = partition->offset_committed};
    int64_t start = segment_retention_start(partition->segments, &retention);
    if (start > partition->offset_start) {
        enum pyr_err err = partition_delete_before(partition, start, NULL);
        ASSERT(err == PYR_OK);
    }
}

/* Return when @partition may want a look again, at @now_ns; IO_TIME_NEVER: not before something
 * happens to it. */
static uint64_t look_due_ns(struct partition *partition, uint64_t now_ns)
{
    ASSERT(partition->segments);
    ASSERT(partition->offset_written <= partition->offset_end);

    int64_t wanted_ms = partition->is_deleting ? INT64_MAX : clock_wanted_ms(partition);
    if (wanted_ms == INT64_MAX) {
        return IO_TIME_NEVER;
    }
    int64_t now_ms = clock_now_ms(partition);
    uint64_t wait_ms = wanted_ms > now_ms ? (uint64_t)(wanted_ms - now_ms) : 0;
    return wait_ms < RETENTION_LOOK_MAX_NS / 1000000 ? now_ns + wait_ms * 1000000
                                                     : now_ns + RETENTION_LOOK_MAX_NS;
}

void retention_checkpoint_done(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    for (struct partition *at = shard->partitions; at; at = at->next) {
        at->claim_durable = at->claim_written;
        if (at->start_written > at->start_durable) {
            at->start_durable = at->start_written;
            segment_log_set_start(at->segments, at->start_durable);
            at->has_removal = true;
        }
    }
}

bool retention_plan_removal(struct partition *partition, struct work *work)
{
    ASSERT(partition->segments);
    ASSERT(work->state == WORK_STATE_FREE);
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    if (!partition->has_removal || partition->works[WORK_REMOVE]) {
        return false;
    }
    if (!segment_removal_plan(partition->segments, &work->as.removal)) {
        partition->has_removal = false;
        return false;
    }
    work->kind = WORK_REMOVE;
    work->partition = partition;
    partition->works[WORK_REMOVE] = true;
    return true;
}

void shard_retention_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    uint64_t now_ns = io_now_mono_ns(shard->io);
    bool is_due = now_ns >= shard->retention_due_ns;
    if (is_due) {
        shard->retention_due_ns = now_ns + RETENTION_LOOK_NS;
    }
    shard_compaction_step(shard, is_due);
    if (!is_due && !shard->has_removals) {
        return;
    }
    bool has_removals = false;
    uint64_t due_ns = IO_TIME_NEVER;
    for (struct partition *at = shard->partitions; at; at = at->next) {
        if (is_due && !shard->is_stopping) {
            retention_decide(at);
            uint64_t log_due_ns = look_due_ns(at, now_ns);
            due_ns = log_due_ns < due_ns ? log_due_ns : due_ns;
        }
        struct work *work = at->has_removal && !at->is_deleting ? shard_work_free(shard) : NULL;
        if (work && retention_plan_removal(at, work)) {
            work_start(work, shard->loop);
        }
        has_removals |= at->has_removal;
    }
    shard->has_removals = has_removals;
    if (is_due) {
        shard_looked(shard, due_ns);
    }
}
