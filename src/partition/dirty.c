/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/dirty - which logs have bytes to write to their segments, oldest first.
 *
 *      dirty list:   [oldest] [..] [..]    a log that gathered FLUSH_BYTES_TARGET moves to the
 * front
 *
 * A log alone becomes dirty by an append. Of a replicated one only what is committed is written
 * (PAR-9), so that it becomes dirty by a commit.
 */
#include "base/assert.h"
#include "partition/shard_inner.h"

void dirty_unlink(struct partition *partition)
{
    struct shard *shard = partition->shard;
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(partition->is_dirty);

    if (partition->dirty_prev) {
        partition->dirty_prev->dirty_next = partition->dirty_next;
    } else {
        shard->dirty_first = partition->dirty_next;
    }
    if (partition->dirty_next) {
        partition->dirty_next->dirty_prev = partition->dirty_prev;
    } else {
        shard->dirty_last = partition->dirty_prev;
    }
    partition->dirty_prev = NULL;
    partition->dirty_next = NULL;
    partition->is_dirty = false;
}

void dirty_link(struct partition *partition, bool is_front)
{
    struct shard *shard = partition->shard;
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(!partition->is_dirty);

    partition->is_dirty = true;
    partition->dirty_prev = is_front ? NULL : shard->dirty_last;
    partition->dirty_next = is_front ? shard->dirty_first : NULL;
    if (partition->dirty_prev) {
        partition->dirty_prev->dirty_next = partition;
    } else {
        shard->dirty_first = partition;
    }
    if (partition->dirty_next) {
        partition->dirty_next->dirty_prev = partition;
    } else {
        shard->dirty_last = partition;
    }
}

void shard_dirty(struct shard *shard, struct partition *partition)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(partition->cached.bytes_unwritten > 0);

    if (!partition->is_dirty) {
        partition->dirty_since_ns = io_now_mono_ns(shard->io);
        dirty_link(partition, false);
        if (shard->dirty_first == partition) {
            shard_flush_timer(shard);
        }
    }
    bool is_large = partition->cached.bytes_unwritten >= FLUSH_BYTES_TARGET;
    if (is_large && !partition->is_large) {
        partition->is_large = true;
        dirty_unlink(partition);
        dirty_link(partition, true);
    }
}
