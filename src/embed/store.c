/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/store - the lock, the driver, the keeper.
 */
#include "embed/store.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "embed/log.h"

void store_lock(struct pyr_store *store)
{
    ASSERT(store->loop);

    int error = pthread_mutex_lock(&store->lock);
    ASSERT(error == 0);
}

void store_unlock(struct pyr_store *store)
{
    ASSERT(store->loop);

    int error = pthread_mutex_unlock(&store->lock);
    ASSERT(error == 0);
}

enum pyr_err store_check_fork(const struct pyr_store *store, struct pyr_error *reterr)
{
    ASSERT(store);

    if (*store->fork_mark != 1) {
        return err_set(
            reterr, PYR_ERR_FORKED,
            "this store was opened before a fork, in another process; open it again after "
            "the fork, in one of the two");
    }
    return PYR_OK;
}

/* -- Waiters -- */

bool waiter_is_ready(const struct pyr_store *store, const struct waiter *waiter)
{
    ASSERT(store->loop);
    ASSERT(waiter->kind <= WAITER_PROGRESS);

    switch (waiter->kind) {
    case WAITER_COMMITTED:
        return waiter->log->partition->offset_committed >= waiter->offset_end ||
               waiter->log->partition->is_deleted; /* What comes next says so. */
    case WAITER_HANDED:
        return waiter->log->partition->offset_end >= waiter->offset_end &&
               shard_written_position(waiter->log->partition->shard) >=
                   waiter->log->partition->position_end;
    case WAITER_DURABLE:
        return waiter->log->partition->offset_durable >= waiter->offset_end;
    case WAITER_PROGRESS:
        return shard_progress(waiter->shard) != waiter->progress;
    }
    ASSERT(false);
    return false;
}

static void waiter_push(struct pyr_store *store, struct waiter *waiter)
{
    ASSERT(store->loop);
    ASSERT(waiter->kind <= WAITER_PROGRESS);
    ASSERT(!waiter->is_listed);

    waiter->is_listed = true;
    waiter->next = NULL;
    waiter->prev = store->waiters_last;
    if (store->waiters_last) {
        store->waiters_last->next = waiter;
    } else {
        store->waiters_first = waiter;
    }
    store->waiters_last = waiter;
}

static void waiter_remove(struct pyr_store *store, struct waiter *waiter)
{
    ASSERT(store->loop);
    ASSERT(waiter->kind <= WAITER_PROGRESS);
    ASSERT(waiter->is_listed);

    waiter->is_listed = false;
    if (waiter->prev) {
        waiter->prev->next = waiter->next;
    } else {
        store->waiters_first = waiter->next;
    }
    if (waiter->next) {
        waiter->next->prev = waiter->prev;
    } else {
        store->waiters_last = waiter->prev;
    }
}

/* Return whether what @waiter waits for was dropped: nobody waits for an offset that was not handed
 * out. A sync waits for what is left instead, and not for space. */
static bool waiter_is_refused(struct waiter *waiter)
{
    if (waiter->kind == WAITER_PROGRESS || waiter->is_passive) {
        return false;
    }
    int64_t next = log_offset_next(waiter->log);
    if (waiter->kind == WAITER_DURABLE && waiter->offset_end > next) {
        waiter->offset_end = next;
    }
    if (waiter->kind == WAITER_DURABLE && log_is_refused_full(waiter->log)) {
        return true;
    }
    return waiter->offset_end > next;
}

/* Take @waiter out of the list with @err as its result, and put it before @taken if it sleeps.
 * Return the first of the taken. Setting is_done is the last touch. */
static struct waiter *waiter_take(struct pyr_store *store,
                                  struct waiter *waiter,
                                  enum pyr_err err,
                                  struct waiter *taken)
{
    ASSERT(waiter->is_listed);

    waiter_remove(store, waiter);
    waiter->err = err;
    bool must_post = !waiter->is_posted; /* EMB-3 */
    if (must_post) {
        waiter->is_posted = true;
        waiter->next = taken;
        taken = waiter;
    }
    atomic_store_explicit(&waiter->is_done, true, memory_order_release);
    return taken;
}

/* Take the waiters whose condition holds, or never will, out of the list. Those that sleep are
 * returned, linked by `next`, to be posted once the lock is given back; the others see is_done by
 * themselves, and setting it is the last touch. */
static struct waiter *waiters_take_ready(struct pyr_store *store)
{
    ASSERT(store->loop);

    struct waiter *taken = NULL;
    struct waiter *waiter = store->waiters_first;
    while (waiter) {
        struct waiter *next = waiter->next;
        enum pyr_err health = shard_health(waiter->shard, NULL);
        bool is_refused = waiter_is_refused(waiter);
        bool is_ready = waiter_is_ready(store, waiter);
        if (is_ready || is_refused || health != PYR_OK) {
            enum pyr_err reason = health != PYR_OK ? health : PYR_ERR_DISK_FULL;
            taken = waiter_take(store, waiter, is_ready ? PYR_OK : reason, taken);
        }
        waiter = next;
    }
    return taken;
}

/* Wake those that waiters_take_ready returned (EMB-3). Without the lock: a woken thread goes
 * straight on. */
static void waiters_post(struct waiter *taken)
{
    ASSERT(taken->kind <= WAITER_PROGRESS);

    while (taken) {
        struct waiter *next = taken->next;
        ASSERT(taken->is_posted); /* EMB-3 */
        atomic_store_explicit(&taken->is_let_go, true, memory_order_release);
        int error = sem_post(&taken->wake);
        ASSERT(error == 0);
        taken = next;
    }
}

/* -- Driving -- */

void store_tend(struct pyr_store *store)
{
    ASSERT(store->loop);

    if (store->is_driven) {
        return;
    }
    for (struct waiter *waiter = store->waiters_first; waiter; waiter = waiter->next) {
        if (waiter->is_passive) {
            continue;
        }
        if (!waiter->is_posted) {
            waiter->is_posted = true;
            int error = sem_post(&waiter->wake);
            ASSERT(error == 0);
        }
        return; /* Told to drive. EMB-2 */
    }
    if (store->keeper_until_ns == 0) {
        return; /* It is awake. */
    }
    uint64_t needed_ns = io_loop_timer_ns(store->loop);
    if (io_loop_pending(store->loop) > 0 || store->has_started) {
        uint64_t nap_end_ns = io_now_mono_ns(store->io) + KEEPER_NAP_NS;
        needed_ns = nap_end_ns < needed_ns ? nap_end_ns : needed_ns;
    }
    if (needed_ns < store->keeper_until_ns) {
        store->keeper_until_ns = 0;
        int error = pthread_cond_signal(&store->keeper_wake);
        ASSERT(error == 0);
    }
}

/* One turn: wait without the lock, fold in what came, start the next flush, and only then wake
 * those that are done, so that the device is never idle while threads are woken. With the lock,
 * before and after. */
bool store_drive(struct pyr_store *store, uint64_t deadline_ns)
{
    ASSERT(store->loop);
    ASSERT(!store->is_driven); /* EMB-1 */

    store->is_driven = true;
    store->turns++;
    store_unlock(store);
    io_loop_wait(store->loop, deadline_ns);
    store_lock(store);
    (void)io_loop_dispatch(store->loop);
    store_step(store);
    log_seal_ready(store, SEAL_ROUND_DUE);
    log_refuse_full(store);
    io_loop_flush(store->loop);
    struct waiter *taken = waiters_take_ready(store);
    if (taken) {
        store_unlock(store);
        waiters_post(taken);
        store_lock(store);
    }
    store->is_driven = false;
    return taken;
}

/* Sleep on the own semaphore. Returns false if the deadline passed first. */
static bool waiter_sleep(struct waiter *waiter, uint64_t deadline_ns)
{
    ASSERT(waiter->kind <= WAITER_PROGRESS);

    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                   .tv_nsec = (long)(deadline_ns % 1000000000)};
    for (;;) {
        int result = deadline_ns == IO_TIME_NEVER
                         ? sem_wait(&waiter->wake)
                         : sem_clockwait(&waiter->wake, CLOCK_MONOTONIC, &until);
        if (result == 0) {
            /* The thread sanitizer does not know sem_clockwait: this shows it the order. */
            (void)atomic_load_explicit(&waiter->is_let_go, memory_order_acquire);
            return true;
        }
        if (errno == ETIMEDOUT) {
            return false;
        }
        ASSERT(errno == EINTR);
    }
}

/* Stay awake for a moment in which others run, and return whether the wait is over. Where many
 * threads share a flush, most find it done after a few turns of the scheduler, and neither they nor
 * the one who would wake them pay for a sleep, which costs more than all else of an append. Without
 * the lock; the waiter counts as posted, so that nobody wakes it. */
static bool waiter_doze(const struct pyr_store *store, struct waiter *waiter, uint64_t deadline_ns)
{
    ASSERT(store->loop);
    ASSERT(waiter->kind <= WAITER_PROGRESS);

    uint64_t now_ns = io_now_mono_ns(store->io);
    uint64_t end_ns = deadline_ns < now_ns + DOZE_NS ? deadline_ns : now_ns + DOZE_NS;
    for (int turn = 0; turn < DOZE_TURNS && now_ns < end_ns; turn++) {
        (void)sched_yield();
        if (atomic_load_explicit(&waiter->is_done, memory_order_acquire)) {
            return true;
        }
        now_ns = io_now_mono_ns(store->io);
    }
    return false;
}

enum pyr_err store_wait_unlock(struct pyr_store *store, struct waiter *waiter, uint64_t deadline_ns)
{
    ASSERT(store->loop);
    ASSERT(waiter->kind <= WAITER_PROGRESS);

    int error = sem_init(&waiter->wake, 0, 0);
    ASSERT(error == 0);
    waiter->shard = waiter->log ? waiter->log->partition->shard : waiter->shard;
    waiter->progress = shard_progress(waiter->shard);
    atomic_init(&waiter->is_done, false);
    atomic_init(&waiter->is_let_go, false);
    waiter->is_posted = false;
    waiter->is_listed = false;
    waiter->err = PYR_OK;
    waiter_push(store, waiter);

    if (store->is_driven && !waiter->is_passive) {
        waiter->is_posted = true;
        store_unlock(store);
        if (waiter_doze(store, waiter, deadline_ns)) {
            (void)sem_destroy(&waiter->wake);
            return waiter->err;
        }
        store_lock(store);
    }
    bool is_late = false;
    while (!atomic_load_explicit(&waiter->is_done, memory_order_acquire) && !is_late) {
        if (!store->is_driven && !waiter->is_passive) {
            waiter->is_posted = true;
            (void)store_drive(store, deadline_ns);
            waiter->is_posted = false;
            is_late = deadline_ns != IO_TIME_NEVER && io_now_mono_ns(store->io) >= deadline_ns;
            continue;
        }
        waiter->is_posted = false;
        store_unlock(store);
        is_late = !waiter_sleep(waiter, deadline_ns);
        if (atomic_load_explicit(&waiter->is_done, memory_order_acquire) && !is_late) {
            (void)sem_destroy(&waiter->wake);
            return waiter->err;
        }
        store_lock(store);
    }

    enum pyr_err err = PYR_ERR_TIMEOUT;
    if (atomic_load_explicit(&waiter->is_done, memory_order_acquire)) {
        err = waiter->err;
    } else {
        waiter_remove(store, waiter);
    }
    store_tend(store);
    store_unlock(store);
    if (is_late && err != PYR_ERR_TIMEOUT && waiter->is_posted) {
        /* It was done in the moment its time was up, and a post is on its way. */
        while (!waiter_sleep(waiter, IO_TIME_NEVER)) {
        }
    }
    (void)sem_destroy(&waiter->wake);
    return err;
}

void store_wait_room(struct pyr_store *store, struct shard *shard)
{
    shard_step(shard); /* Starts the write or the checkpoint that frees room. */
    shard_kick(shard);
    struct waiter waiter = {.kind = WAITER_PROGRESS, .shard = shard};
    uint64_t deadline_ns = io_now_mono_ns(store->io) + ROOM_RETRY_NS;
    (void)store_wait_unlock(store, &waiter, deadline_ns); /* Late or not: the caller looks again. */
    store_lock(store);
}
