/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/loop - the part of a loop that all implementations share: delivery, timers, mail, sleep.
 *
 * Part of the path:  io_submit -> backend -> [completed list] -> io_loop_dispatch -> op->complete()
 *
 * Two roles meet in a loop. The owner (one thread at a time, under a lock above) submits, starts
 * timers and dispatches. The waiter (one thread at a time, without that lock) sleeps in
 * io_loop_wait until there is news. Everything that any thread may tell the loop is one of four
 * atomic words; the waiter sleeps only after it has raised `sleeper` and seen all four empty, and
 * who brings news looks at `sleeper` afterwards, so that no wake-up is lost and none is paid for
 * while the loop is awake:
 *
 *      waiter                               bringer of news
 *      sleeper = 1                          completed = op + completed
 *      any news? -> yes: do not sleep       sleeper was 1? -> sleeper = 0, kick
 *      sleep until sleeper is 0
 *
 * The completed list and the list of finished jobs are stacks that are pushed one by one and taken
 * whole (which is why no address can come back unnoticed between), and reversed at delivery.
 *
 * Who brings news has published it before it looks at `sleeper`. By then the owner may have taken
 * it and want to destroy the loop, so threads that are nobody's to join are counted in `bringers`
 * meanwhile, and destroying waits for them.
 *
 * Timers stand in a pairing heap threaded through them: no limit, and nothing is allocated.
 *
 * Invariants:
 *   IO-5  a waiter never sleeps past news that arrived before or during its sleep
 *   IO-6  a timer fires never before its deadline, at most once per start, and never after its stop
 *
 * Threads: each field says. Memory: the backend's struct embeds this one as its first member.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdatomic.h>

#include "io/io.h"

struct io_mailbox;

struct io_loop {
    struct io *io;

    /* Any thread. */
    _Atomic(struct io_op *) completed;      /* Newest first. */
    _Atomic(struct io_job *) jobs_finished; /* Newest first. */
    atomic_bool has_mail;                   /* Some mailbox of the loop may hold a letter. */
    atomic_bool is_woken;                   /* io_loop_wake was called since the last wait. */
    _Atomic uint32_t sleeper;               /* 1 while the waiter sleeps, or is about to. */
    _Atomic uint32_t bringers;              /* Threads between publishing news and leaving. */

    /* Written by the owner, read by the waiter. */
    _Atomic uint64_t timer_next_ns; /* The earliest deadline; IO_TIME_NEVER without timers. */

    /* The owner's. */
    struct io_timer *timers; /* Root of the heap. */
    uint64_t timer_order;    /* Starts so far. */
    struct io_mailbox *mailboxes;
    size_t pending; /* Operations and jobs that were started and not delivered. */
    bool is_dispatching;

    /* The waiter's. */
    atomic_bool is_waiting; /* A thread is inside io_loop_wait. */
};

/** Set up the common part @loop for @io. */
void loop_init(struct io_loop *loop, struct io *io);

/** Check that nothing is left on @loop, and wait for the last bringers of news to leave. */
void loop_deinit(struct io_loop *loop);

/** Put @op with its result on the list of completed operations, and end the waiter's sleep. Any
 * thread. */
void loop_op_completed(struct io_loop *loop, struct io_op *op, int error, size_t count_done);

/** Put @job on the list of finished jobs, and end the waiter's sleep. Any thread. */
void loop_job_finished(struct io_loop *loop, struct io_job *job);

/** Announce that this thread will publish news, so that @loop stays until loop_bring_end. Any
 * thread.
 */
void loop_bring_begin(struct io_loop *loop);

/** Take the announcement back: this thread touches @loop no more. */
void loop_bring_end(struct io_loop *loop);

/** Say that a mailbox of @loop holds a letter, and end the waiter's sleep. Any thread. */
void loop_mail_arrived(struct io_loop *loop);

/** End the waiter's sleep, if it sleeps. Any thread; async-signal-safe. */
void loop_notify(struct io_loop *loop);

/** Announce the waiter's sleep. Return false, and take the announcement back, if there is news or
 * @deadline_ns or a timer is due: then it must not sleep. The waiter only. */
MUST_CHECK bool loop_sleep_begin(struct io_loop *loop, uint64_t deadline_ns);

/** Return until when the waiter may sleep: @deadline_ns or the earliest timer. */
uint64_t loop_sleep_deadline_ns(struct io_loop *loop, uint64_t deadline_ns);

/** Take the announcement back after the sleep. The waiter only. */
void loop_sleep_end(struct io_loop *loop);

/** Return whether a dispatch would deliver something. Any thread. */
bool loop_has_news(struct io_loop *loop);

/** Add @mailbox to those that @loop empties. The owner only. */
void loop_mailbox_add(struct io_loop *loop, struct io_mailbox *mailbox);
/** Remove @mailbox from those that @loop empties. The owner only. */
void loop_mailbox_remove(struct io_loop *loop, struct io_mailbox *mailbox);

#endif /* IO_LOOP_H */
