/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/idle - what wakes a shard that nobody touches.
 *
 * Whatever is due is started by a turn of the shard (shard.c), and a turn comes with whoever
 * drives: a thread that appends, an operation that ends, a timer. Writes of the cache, the journal,
 * the scrub and the graces of deleted logs have timers of their own. What is looked at once a
 * second, expiry, age of segments and compaction, has one here. It is started for a reason only, so
 * that a shard of which nothing will expire sleeps:
 *
 *      something happened since the last look     -> when the next look may be
 *      a log wants its clock to show a later time -> then, or in a minute, whichever is sooner
 *      a compaction waits, a write had no memory  -> when the next look may be
 *      a checkpoint is wanted, or under way       -> likewise, but not before it may be tried again
 *      nothing of that                            -> never
 *
 * No more often than a look may be, which is once a second. The minute is for the wall clock, which
 * the log's clock follows, and which may be set forward while the timer runs by another one.
 */
#include "base/assert.h"
#include "partition/shard_inner.h"

/* Waking is all the timer is for: the step after the dispatch looks at what is due. */
static void idle_timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

void shard_idle_begin(struct shard *shard)
{
    ASSERT(!shard->idle_timer.is_started);
    ASSERT(shard->options.index < FOLDER_SHARDS_MAX);

    shard->retention_due_ns = io_now_mono_ns(shard->io) + RETENTION_LOOK_NS;
    shard_look_soon(shard);
}

void shard_idle_end(struct shard *shard)
{
    ASSERT(shard->loop);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    io_timer_stop(shard->loop, &shard->idle_timer);
}

/* Have the shard turned at @due_ns, if it is not sooner. */
static void idle_wake(struct shard *shard, uint64_t due_ns)
{
    ASSERT(due_ns >= shard->retention_due_ns);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct io_timer *timer = &shard->idle_timer;
    bool is_over = shard->is_stopping || shard->failure.code != PYR_OK;
    if (is_over || (timer->is_started && timer->deadline_ns <= due_ns)) {
        return;
    }
    timer->fire = idle_timer_fire;
    io_timer_start(shard->loop, timer, due_ns);
}

void shard_look_soon(struct shard *shard)
{
    ASSERT(shard->loop);

    idle_wake(shard, shard->retention_due_ns);
}

void shard_looked(struct shard *shard, uint64_t due_ns)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(shard->idle_progress <= shard->progress);

    shard->idle_progress = shard->progress;
    shard->idle_position = shard->position_end;
    if (shard->compactions > 0 || shard->wants_look) {
        due_ns = shard->retention_due_ns; /* One may wait for a reader, who tells nobody. */
    }
    shard->wants_look = false;
    io_timer_stop(shard->loop, &shard->idle_timer);
    if (due_ns != IO_TIME_NEVER) {
        idle_wake(shard, due_ns > shard->retention_due_ns ? due_ns : shard->retention_due_ns);
    }
}

void shard_idle_step(struct shard *shard)
{
    ASSERT(shard->idle_progress <= shard->progress);
    ASSERT(shard->idle_position <= shard->position_end);

    if (shard->idle_progress != shard->progress || shard->wants_look) {
        shard->idle_progress = shard->progress;
        shard_look_soon(shard);
    }
    /* One that failed moves nothing, and a look before it may be tried again does not help it. */
    if (shard->is_checkpoint_urged || shard->checkpoint_state != SHARD_CHECKPOINT_IDLE) {
        bool is_later = shard->checkpoint_retry_ns > shard->retention_due_ns;
        idle_wake(shard, is_later ? shard->checkpoint_retry_ns : shard->retention_due_ns);
    }
}

bool shard_is_unused(const struct shard *shard)
{
    ASSERT(shard->idle_position <= shard->position_end);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->idle_position == shard->position_end;
}
