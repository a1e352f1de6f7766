/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/loop - delivery, timers and sleep, common to all loops; and the calls of io.h on loops.
 */
#include "io/loop.h"

#include <errno.h>
#include <sched.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/mailbox.h"
#include "io/ops.h"
#include "io/timers.h"

void loop_init(struct io_loop *loop, struct io *io)
{
    ASSERT(loop);
    ASSERT(io);

    *loop = (struct io_loop){.io = io};
    atomic_init(&loop->timer_next_ns, IO_TIME_NEVER);
}

void loop_deinit(struct io_loop *loop)
{
    /* They are past the publishing, a few instructions from the end. */
    while (atomic_load(&loop->bringers) > 0) {
        (void)sched_yield();
    }
    ASSERT(loop->pending == 0); /* IO-1 */
    ASSERT(!loop->timers);
    ASSERT(!loop->mailboxes);
    ASSERT(!atomic_load(&loop->is_waiting));
    ASSERT(!loop->is_dispatching);
}

/* -- News -- */

void loop_notify(struct io_loop *loop)
{
    /* The news was published before, in the one order of all these operations; so either the waiter
     * saw it before it slept, or it is seen here as a sleeper. IO-5 */
    if (atomic_load(&loop->sleeper) != 0 && atomic_exchange(&loop->sleeper, 0) != 0) {
        int errno_before = errno; /* A signal handler must leave it as it was. */
        loop->io->ops->kick(loop);
        errno = errno_before;
    }
}

void loop_op_completed(struct io_loop *loop, struct io_op *op, int error, size_t count_done)
{
    ASSERT(error >= 0);
    ASSERT(count_done <= op->count);

    op->error = error;
    op->count_done = count_done;
    op->next = atomic_load_explicit(&loop->completed, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&loop->completed, &op->next, op)) {
    }
    loop_notify(loop);
}

void loop_job_finished(struct io_loop *loop, struct io_job *job)
{
    ASSERT(job->loop == loop);

    loop_bring_begin(loop);
    job->next = atomic_load_explicit(&loop->jobs_finished, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&loop->jobs_finished, &job->next, job)) {
    }
    loop_notify(loop);
    loop_bring_end(loop);
}

void loop_bring_begin(struct io_loop *loop)
{
    (void)atomic_fetch_add(&loop->bringers, 1);
}

void loop_bring_end(struct io_loop *loop)
{
    uint32_t before = atomic_fetch_sub(&loop->bringers, 1);
    ASSERT(before > 0);
}

void loop_mail_arrived(struct io_loop *loop)
{
    atomic_store(&loop->has_mail, true);
    loop_notify(loop);
}

bool loop_has_news(struct io_loop *loop)
{
    return atomic_load(&loop->completed) || atomic_load(&loop->jobs_finished) ||
           atomic_load(&loop->has_mail);
}

/* -- Sleep -- */

uint64_t loop_sleep_deadline_ns(struct io_loop *loop, uint64_t deadline_ns)
{
    uint64_t timer_ns = atomic_load(&loop->timer_next_ns);

    return timer_ns < deadline_ns ? timer_ns : deadline_ns;
}

bool loop_sleep_begin(struct io_loop *loop, uint64_t deadline_ns)
{
    ASSERT(atomic_load(&loop->is_waiting));

    atomic_store(&loop->sleeper, 1);
    bool must_sleep = !loop_has_news(loop) && !atomic_load(&loop->is_woken); /* IO-5 */
    if (must_sleep) {
        uint64_t until_ns = loop_sleep_deadline_ns(loop, deadline_ns);
        must_sleep = until_ns == IO_TIME_NEVER || until_ns > io_now_mono_ns(loop->io);
    }
    if (!must_sleep) {
        atomic_store(&loop->sleeper, 0);
    }
    return must_sleep;
}

void loop_sleep_end(struct io_loop *loop)
{
    atomic_store(&loop->sleeper, 0);
}

/* -- The calls of io.h -- */

int io_loop_create(struct io *io, const struct io_loop_options *options, struct io_loop **ret_loop)
{
    ASSERT(io);
    ASSERT(ret_loop);
    ASSERT(options->ops_max > 0);
    ASSERT(options->ops_max <= IO_OPS_MAX);

    return io->ops->loop_create(io, options, ret_loop);
}

void io_loop_destroy(struct io_loop *loop)
{
    if (loop) {
        loop->io->ops->loop_destroy(loop);
    }
}

struct io *io_loop_io(struct io_loop *loop)
{
    ASSERT(loop);

    return loop->io;
}

void io_submit(struct io_loop *loop, struct io_op *op)
{
    ASSERT(loop);
    ASSERT(op->complete);
    ASSERT(op->file->io == loop->io);
    ASSERT(op->position >= 0);
    if (op->kind == IO_OP_SYNC) {
        ASSERT(op->count == 0);
    } else {
        ASSERT(op->data);
        ASSERT(op->count > 0);
    }

    op->error = 0;
    op->count_done = 0;
    op->next = NULL;
    loop->pending++;
    loop->io->ops->submit(loop, op);
}

void io_loop_flush(struct io_loop *loop)
{
    ASSERT(loop);

    loop->io->ops->flush(loop);
}

void io_loop_wait(struct io_loop *loop, uint64_t deadline_ns)
{
    ASSERT(loop);
    bool was_waiting = atomic_exchange(&loop->is_waiting, true);
    ASSERT(!was_waiting);

    loop->io->ops->wait(loop, deadline_ns);
    /* An exchange only when there is something to take back: the line is otherwise shared. */
    if (atomic_load_explicit(&loop->is_woken, memory_order_relaxed)) {
        atomic_store(&loop->is_woken, false);
    }
    atomic_store(&loop->is_waiting, false);
}

void io_loop_wake(struct io_loop *loop)
{
    ASSERT(loop);

    atomic_store(&loop->is_woken, true);
    loop_notify(loop);
}

uint64_t io_loop_timer_ns(const struct io_loop *loop)
{
    ASSERT(loop);

    return atomic_load(&loop->timer_next_ns);
}

size_t io_loop_pending(const struct io_loop *loop)
{
    ASSERT(loop);

    return loop->pending;
}

void io_job_start(struct io_loop *loop, struct io_job *job)
{
    ASSERT(loop);
    ASSERT(job->run);
    ASSERT(job->done);

    job->loop = loop;
    job->next = NULL;
    loop->pending++;
    loop->io->ops->job_start(loop, job);
}

/* -- Timers -- */

static void timer_next_set(struct io_loop *loop)
{
    uint64_t next_ns = loop->timers ? loop->timers->deadline_ns : IO_TIME_NEVER;
    uint64_t before_ns = atomic_load_explicit(&loop->timer_next_ns, memory_order_relaxed);

    if (next_ns != before_ns) {
        atomic_store(&loop->timer_next_ns, next_ns);
    }
    if (next_ns < before_ns) {
        loop_notify(loop); /* The waiter may be asleep until a later time. */
    }
}

void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns)
{
    ASSERT(loop);
    ASSERT(timer->fire);

    if (timer->is_started) {
        timers_remove(&loop->timers, timer);
    }
    timer->deadline_ns = deadline_ns;
    timer->order = loop->timer_order++;
    timers_add(&loop->timers, timer);
    timer_next_set(loop);
}

void io_timer_stop(struct io_loop *loop, struct io_timer *timer)
{
    ASSERT(loop);
    ASSERT(timer);

    if (timer->is_started) {
        timers_remove(&loop->timers, timer);
        timer_next_set(loop);
    }
}

/* -- Delivery -- */

static size_t deliver_completed(struct io_loop *loop)
{
    if (!atomic_load_explicit(&loop->completed, memory_order_relaxed)) {
        return 0;
    }

    struct io_op *oldest = NULL;
    struct io_op *op = atomic_exchange(&loop->completed, NULL);
    while (op) {
        struct io_op *next = op->next;
        op->next = oldest;
        oldest = op;
        op = next;
    }

    size_t count = 0;
    while (oldest) {
        op = oldest;
        oldest = op->next;
        op->next = NULL;
        ASSERT(loop->pending > 0); /* IO-1 */
        loop->pending--;
        count++;
        op->complete(op); /* From here on the operation is its submitter's, who may free it. */
    }
    return count;
}

static size_t deliver_jobs(struct io_loop *loop)
{
    if (!atomic_load_explicit(&loop->jobs_finished, memory_order_relaxed)) {
        return 0;
    }

    struct io_job *oldest = NULL;
    struct io_job *job = atomic_exchange(&loop->jobs_finished, NULL);
    while (job) {
        struct io_job *next = job->next;
        job->next = oldest;
        oldest = job;
        job = next;
    }

    size_t count = 0;
    while (oldest) {
        job = oldest;
        oldest = job->next;
        job->next = NULL;
        ASSERT(loop->pending > 0); /* IO-1 */
        loop->pending--;
        count++;
        job->done(job);
    }
    return count;
}

/* Fire what is due. A timer that is started again while we fire waits for the next dispatch, so
 * that one which is always due cannot keep us here. */
static size_t deliver_timers(struct io_loop *loop)
{
    if (!loop->timers) {
        return 0;
    }

    size_t count = 0;
    uint64_t now_ns = io_now_mono_ns(loop->io);
    uint64_t order_end = loop->timer_order;
    while (loop->timers && loop->timers->deadline_ns <= now_ns && loop->timers->order < order_end) {
        struct io_timer *timer = loop->timers;
        timers_remove(&loop->timers, timer);
        timer_next_set(loop);
        ASSERT(!timer->is_started); /* IO-6 */
        count++;
        timer->fire(timer);
    }
    return count;
}

static size_t deliver_mail(struct io_loop *loop)
{
    if (!atomic_load_explicit(&loop->has_mail, memory_order_relaxed)) {
        return 0;
    }

    /* Taken back before the boxes are looked into: a letter posted from now on says so again. */
    atomic_store(&loop->has_mail, false);
    size_t count = 0;
    for (struct io_mailbox *mailbox = loop->mailboxes; mailbox; mailbox = mailbox->next) {
        count += mailbox_deliver(mailbox);
    }
    return count;
}

size_t io_loop_dispatch(struct io_loop *loop)
{
    ASSERT(loop);
    ASSERT(!loop->is_dispatching);

    loop->is_dispatching = true;
    loop->io->ops->reap(loop);
    size_t count = deliver_completed(loop);
    count += deliver_jobs(loop);
    count += deliver_timers(loop);
    count += deliver_mail(loop);
    loop->is_dispatching = false;
    return count;
}

/* -- Mailboxes -- */

void loop_mailbox_add(struct io_loop *loop, struct io_mailbox *mailbox)
{
    ASSERT(!loop->is_dispatching);

    mailbox->next = loop->mailboxes;
    loop->mailboxes = mailbox;
}

void loop_mailbox_remove(struct io_loop *loop, struct io_mailbox *mailbox)
{
    ASSERT(!loop->is_dispatching);

    struct io_mailbox **place = &loop->mailboxes;
    while (*place && *place != mailbox) {
        place = &(*place)->next;
    }
    ASSERT(*place == mailbox);
    *place = mailbox->next;
    mailbox->next = NULL;
}
