/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/stat - the numbers of a store and of a log, all taken in one moment.
 */
#include <string.h>

#include "base/assert.h"
#include "embed/log.h"

/* Add the numbers of @shard to @stat. A pass over all logs is one over those of each shard. */
static void stat_add(struct pyr_store_stat *stat, const struct shard *shard, bool is_first)
{
    struct shard_scrub_report report;
    shard_scrub_report(shard, &report);
    ASSERT(stat->shards > 0);

    stat->logs += shard_partitions(shard);
    if (is_first || report.passes < stat->scrub_passes) {
        stat->scrub_passes = report.passes;
    }
    stat->logs_deleted += shard_partitions_deleted(shard);
    stat->scrub_bytes += report.bytes;
    stat->scrub_damages += report.damages;
    stat->scrub_errors += report.errors;
    ASSERT_STATIC(sizeof stat->scrub_first == sizeof report.first, "the sentence fits");
    if (stat->scrub_first[0] == '\0') {
        memcpy(stat->scrub_first, report.first, sizeof report.first);
    }
}

void pyr_store_stat(struct pyr_store *store, struct pyr_store_stat *ret_stat)
{
    ASSERT(store->loop);

    if (store_check_fork(store, NULL) != PYR_OK) {
        *ret_stat = (struct pyr_store_stat){0}; /* The lock may never be free here. */
        return;
    }
    struct pyr_store_stat stat = {.shards = store->shard_count};
    store_lock(store);
    for (uint32_t index = 0; index < store->shard_count; index++) {
        stat_add(&stat, store->shards[index], index == 0);
    }
    store_unlock(store);
    *ret_stat = stat;
}

void pyr_log_stat(struct pyr_log *log, struct pyr_log_stat *ret_stat)
{
    if (store_check_fork(log->store, NULL) != PYR_OK) {
        *ret_stat =
            (struct pyr_log_stat){.has_failed = true}; /* The lock may never be free here. */
        return;
    }
    store_lock(log->store);
    const struct partition *partition = log->partition;
    struct segment_end end = segment_log_end(partition->segments);
    *ret_stat = (struct pyr_log_stat){
        .offset_first = partition->offset_start,
        .offset_end = log_offset_next(log),
        .offset_committed = partition->offset_committed,
        .offset_durable = partition->offset_durable,
        .segment = end.segment,
        .segment_bytes = end.bytes + partition->cached.bytes_unwritten,
        .segments = segment_log_segments(partition->segments),
        .bytes = segment_log_bytes(partition->segments),
        .cache_bytes = partition->cached.bytes,
        .appends_waiting = partition->appends_waited,
        .has_failed = shard_health(partition->shard, NULL) != PYR_OK,
        .scrub_passes = partition->scrub.passes,
        .scrub_bytes = partition->scrub.bytes,
        .scrub_damages = partition->scrub.damages,
        .scrub_errors = partition->scrub.errors,
        .damage_segment = partition->scrub.damage_segment,
        .damage_offset = partition->scrub.damage_offset,
    };
    store_unlock(log->store);
}
