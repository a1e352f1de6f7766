/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/store - the engine inside a program: one lock, and whoever waits drives.
 *
 * Part of the path:  the program's threads -> [store] -> shard
 *
 * A shard wants one owner. In a node that is a thread of its own; here it is whoever holds the
 * store's lock. A thread that appends and has to wait for the disk does not hand its work to
 * another thread and sleep: it becomes the driver, and waits in io_loop_wait itself, without the
 * lock, so that others can gather the next flush meanwhile. So a single appender pays for no thread
 * switch, and sixty-four of them share a flush. Who finds a driver dozes for a few turns of the
 * scheduler before it sleeps: with many threads the flush is mostly done by then, and a sleep and
 * its wake-up are dearer than all else of an append.
 *
 *     append:  lock, build, seal ---- nobody drives? ----> drive: unlock, io_loop_wait, lock,
 *                                \                         io_loop_dispatch, shard_step, seal what
 *                                 \                        gathered, kick, wake who is done
 *                                  -- somebody does ----> doze, then sleep on the own semaphore
 *                                                          until woken: "done", or "drive on"
 *
 * A thread of the store's own, the keeper, looks after the timers, and drives while operations are
 * in flight and nobody comes to wait for them. It looks at a store that is at work from time to
 * time, so that nobody has to wake it.
 *
 * Invariants:
 *   EMB-1  at most one thread is in io_loop_wait
 *   EMB-2  while operations are in flight, somebody drives, or has been told to, or the keeper will
 *          look within KEEPER_NAP_NS
 *   EMB-3  a waiter is woken exactly once
 *
 * Threads: any, for every call but open and close.   Lock order: the store's lock is the only one.
 */
#ifndef EMBED_STORE_H
#define EMBED_STORE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "partition/shard.h"

struct pyr_log;

/* What a thread waits for. */
enum waiter_kind {
    WAITER_COMMITTED, /* Its log is committed up to an offset. */
    WAITER_HANDED,    /* Its log is with the kernel up to an offset. */
    WAITER_DURABLE,   /* Its log is on stable storage up to an offset. */
    WAITER_PROGRESS,  /* The shard made progress: room may have been freed. */
};

/* A thread that waits; on its stack, in the store's list. */
struct waiter {
    enum waiter_kind kind;
    bool is_passive; /* Never drives: a reader at the end of its log. */
    struct pyr_log *log;
    struct shard *shard; /* The log's; or, without a log, the one that should make progress. */
    int64_t offset_end;
    uint64_t progress; /* Of the shard when it began to wait. */
    bool is_listed;    /* It stands in the store's list. */
    bool is_posted;    /* Its semaphore was posted, or it drives: nobody posts it again (EMB-3). */
    atomic_bool is_done; /* What it waited for has come, or never will. */
    enum pyr_err err;    /* Written before is_done. */
    atomic_bool
        is_let_go; /* Set before the post that ends its sleep: the poster is done with it. */
    sem_t wake;
    struct waiter *prev;
    struct waiter *next;
};

struct pyr_store {
    struct io *io;
    struct io_loop *loop;
    struct shard **shards; /* As many as the folder says; see shards.c. */
    uint32_t shard_count;
    struct folder folder;
    struct pyr_recovery recovery;
    char describe[256];
    bool has_keeper;          /* Its thread runs; for open and close only. */
    const uint8_t *fork_mark; /* A page that a fork wipes: 1 here, 0 in a child. */

    pthread_mutex_t lock; /* Guards all below, and the shards. */
    pthread_cond_t keeper_wake;
    pthread_t keeper;
    bool is_cached; /* The write cache is enabled. */
    bool is_closing;
    bool is_driven;
    bool has_started;         /* Appends were started since the keeper last looked. */
    uint64_t turns;           /* How often somebody drove. */
    uint64_t keeper_turns;    /* That number when the keeper last looked. */
    uint64_t keeper_until_ns; /* When the keeper wakes by itself; 0 while it is awake. */
    struct waiter *waiters_first;
    struct waiter *waiters_last;
    struct pyr_log *gathering; /* Logs with a batch that is being built. */
    struct io_timer gather_timer;
    uint32_t log_count;
};

/** Take the store's lock. */
void store_lock(struct pyr_store *store);

/** Give the store's lock back. */
void store_unlock(struct pyr_store *store);

/** Return PYR_OK, or PYR_ERR_FORKED in a child of the process that opened @store. Any thread. */
enum pyr_err store_check_fork(const struct pyr_store *store, struct pyr_error *reterr);

/** Return @waiter's condition, now. With the lock. */
bool waiter_is_ready(const struct pyr_store *store, const struct waiter *waiter);

/**
 * Wait until the condition of @waiter holds, driving the loop if nobody does. The lock is held by
 * the caller, and given back before the return.
 *
 * The caller fills kind, is_passive, log (or shard, without one) and offset_end. PYR_ERR_TIMEOUT
 * once @deadline_ns of the monotonic clock has passed; PYR_ERR_FAILED if the condition never will
 * hold.
 */
enum pyr_err store_wait_unlock(struct pyr_store *store,
                               struct waiter *waiter,
                               uint64_t deadline_ns);

/** Wait until @shard made progress that may have freed room, or for a moment at most. With the
 * lock, before and after; the caller looks again. */
void store_wait_room(struct pyr_store *store, struct shard *shard);

/** Drive one turn, waiting at most until @deadline_ns. Nobody drives. With the lock, before and
 * after. Return whether that let a thread go which slept. */
bool store_drive(struct pyr_store *store, uint64_t deadline_ns);

/** Return the time @timeout_ms from now by the monotonic clock; negative: never. */
uint64_t store_deadline_ns(const struct pyr_store *store, int64_t timeout_ms);

/** Make sure that somebody looks after what was just started: operations in flight, or a timer
 * (EMB-2). With the lock. */
void store_tend(struct pyr_store *store);

/* -- Shards -- */

/** Open the folder at @path and all its shards, changing their number first if @options ask for it.
 * Gives: store_shards_close, which accepts what an error left. Blocks. Errors as pyr_store_open. */
MUST_CHECK enum pyr_err store_shards_open(struct pyr_store *store,
                                          const char *path,
                                          const struct pyr_store_options *options,
                                          struct pyr_error *reterr);

/** Close the shards of @store. Blocks. */
void store_shards_close(struct pyr_store *store);

/** Return the shard that the log called @name belongs to. */
struct shard *store_shard_of(const struct pyr_store *store, const char *name);

/** Step all shards. With the lock. */
void store_step(struct pyr_store *store);

/** Kick the journals of all shards. With the lock. */
void store_kick(struct pyr_store *store);

#endif /* EMBED_STORE_H */
