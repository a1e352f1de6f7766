/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/posix - the loop backend of plain threads and pwritev2: runs wherever Linux does.
 *
 * Part of the path:  io_submit -> [queue] -> a worker, or the waiter itself -> completed list
 *
 * One queue per loop, in order of arrival, and a few worker threads. With `helps_while_waiting` a
 * thread that comes to wait takes the oldest operation and carries it out itself: for a single
 * appender the whole durable write is then one system call in its own thread, without a hop to a
 * worker and back (two context switches, of the order of the write's own cost on a fast device).
 *
 *      who is in io_loop_wait?     what io_submit does with a helping loop
 *      nobody                      nothing: the submitter is about to wait, and will carry it out
 *      a thread, busy helping      signals a worker
 *      a thread, asleep            ends its sleep: it will carry the operation out
 *
 * Without helping, the workers get each operation at once.
 *
 * Happy path:      1. submit queues.  2. wait takes it, pwritev2.  3. dispatch delivers.
 * Failure modes:   the operation's error is in the operation; nothing is retried but EINTR.
 *
 * Threads: the queue has its own lock, held for a few instructions, since submitter and waiter need
 * not be the same thread.   Memory: operations belong to their submitters.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/file_posix.h"
#include "io/loop.h"

#define NS_PER_S UINT64_C(1000000000)

/* What the thread in io_loop_wait is doing. */
enum waiter_state {
    WAITER_NONE,   /* There is none. */
    WAITER_BUSY,   /* It carries out an operation, or is on its way in or out. */
    WAITER_ASLEEP, /* It sleeps, or is about to and will look at the queue once more. */
};

struct posix_loop {
    struct io_loop base;
    bool helps;

    pthread_mutex_t lock; /* Guards all below. */
    pthread_cond_t arrived;
    struct io_op *first; /* Operations that nobody has taken, oldest first. */
    struct io_op *last;
    enum waiter_state waiter;
    uint32_t workers_idle;
    bool is_stopping;
    uint32_t worker_count;
    pthread_t workers[IO_WORKERS_MAX];
};

static struct posix_loop *posix_of(struct io_loop *loop)
{
    return container_of(loop, struct posix_loop, base);
}

/* -- Carrying out -- */

static void execute(struct posix_loop *loop, struct io_op *op)
{
    struct io *io = loop->base.io;
    size_t count = 0;
    int error = 0;

    switch (op->kind) {
    case IO_OP_READ: {
        struct bytes_mut span = {.data = op->data, .count = op->count};
        error = file_posix_read_at(io, op->file, span, op->position, &count);
        break;
    }
    case IO_OP_WRITE: {
        struct bytes span = {.data = op->data, .count = op->count};
        error = file_posix_write_at(io, op->file, span, op->position, op->is_durable, &count);
        break;
    }
    case IO_OP_SYNC:
        error = file_posix_sync(io, op->file);
        break;
    }
    loop_op_completed(&loop->base, op, error, error == 0 ? count : 0);
}

/* Take the oldest operation, or NULL. The lock is held. */
static struct io_op *queue_pop(struct posix_loop *loop)
{
    struct io_op *op = loop->first;

    if (op) {
        loop->first = op->next;
        loop->last = loop->first ? loop->last : NULL;
        op->next = NULL;
    }
    return op;
}

/* Let workers take what is in the queue. The lock is held. */
static void queue_hand_over(struct posix_loop *loop)
{
    if (loop->first && loop->workers_idle > 0) {
        (void)pthread_cond_signal(&loop->arrived);
    }
}

static void *worker_run(void *ctx)
{
    struct posix_loop *loop = ctx;

    (void)pthread_mutex_lock(&loop->lock);
    while (!loop->is_stopping || loop->first) {
        struct io_op *op = queue_pop(loop);
        if (!op) {
            loop->workers_idle++;
            (void)pthread_cond_wait(&loop->arrived, &loop->lock);
            loop->workers_idle--;
            continue;
        }
        queue_hand_over(loop); /* One signal wakes one worker; it passes the rest on. */
        (void)pthread_mutex_unlock(&loop->lock);
        execute(loop, op);
        (void)pthread_mutex_lock(&loop->lock);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return NULL;
}

/* -- Creating and destroying -- */

static void posix_loop_destroy(struct io_loop *base)
{
    struct posix_loop *loop = posix_of(base);

    loop_deinit(base);
    (void)pthread_mutex_lock(&loop->lock);
    ASSERT(!loop->first); /* IO-1 */
    loop->is_stopping = true;
    (void)pthread_cond_broadcast(&loop->arrived);
    (void)pthread_mutex_unlock(&loop->lock);
    for (uint32_t index = 0; index < loop->worker_count; index++) {
        (void)pthread_join(loop->workers[index], NULL);
    }
    (void)pthread_cond_destroy(&loop->arrived);
    (void)pthread_mutex_destroy(&loop->lock);
    io_free(base->io, loop);
}

static int posix_loop_create(struct io *io,
                             const struct io_loop_options *options,
                             struct io_loop **ret_loop)
{
    struct posix_loop *loop = io_alloc(io, sizeof *loop, _Alignof(struct posix_loop));
    if (!loop) {
        return ENOMEM;
    }
    loop_init(&loop->base, io);
    loop->helps = options->helps_while_waiting;
    (void)pthread_mutex_init(&loop->lock, NULL);
    (void)pthread_cond_init(&loop->arrived, NULL);

    uint32_t wanted = options->ops_max < IO_WORKERS_MAX ? options->ops_max : IO_WORKERS_MAX;
    for (uint32_t index = 0; index < wanted; index++) {
        int error = kernel_thread_start(&loop->workers[index], "pyr-io", worker_run, loop);
        if (error != 0) {
            posix_loop_destroy(&loop->base);
            return error;
        }
        loop->worker_count++;
    }
    *ret_loop = &loop->base;
    return 0;
}

/* -- Submitting -- */

static void posix_submit(struct io_loop *base, struct io_op *op)
{
    struct posix_loop *loop = posix_of(base);

    (void)pthread_mutex_lock(&loop->lock);
    if (loop->last) {
        loop->last->next = op;
    } else {
        loop->first = op;
    }
    loop->last = op;
    bool wake_waiter = loop->helps && loop->waiter == WAITER_ASLEEP;
    if (!loop->helps || loop->waiter == WAITER_BUSY) {
        queue_hand_over(loop);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    if (wake_waiter) {
        loop_notify(base);
    }
}

static void posix_flush(struct io_loop *base)
{
    struct posix_loop *loop = posix_of(base);

    (void)pthread_mutex_lock(&loop->lock);
    queue_hand_over(loop);
    (void)pthread_mutex_unlock(&loop->lock);
}

/* -- Waiting -- */

/* Sleep until `sleeper` is taken back, or the time has come. A futex rather than a condition
 * variable, since io_loop_wake may be called in a signal handler. */
static void sleep_until(struct io_loop *loop, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};

    /* EINTR, EAGAIN and the time-out all mean the same: look again. */
    (void)syscall(SYS_futex, &loop->sleeper, FUTEX_WAIT_BITSET_PRIVATE, 1,
                  until_ns == IO_TIME_NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void posix_kick(struct io_loop *loop)
{
    (void)syscall(SYS_futex, &loop->sleeper, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Carry out the oldest operation here, unless there is news to deliver first or no time. Return
 * whether one was carried out. */
static bool help(struct posix_loop *loop, uint64_t deadline_ns)
{
    if (!loop->helps || loop_has_news(&loop->base) ||
        (deadline_ns != IO_TIME_NEVER && deadline_ns <= io_now_mono_ns(loop->base.io))) {
        return false;
    }
    (void)pthread_mutex_lock(&loop->lock);
    struct io_op *op = queue_pop(loop);
    loop->waiter = WAITER_BUSY;
    queue_hand_over(loop);
    (void)pthread_mutex_unlock(&loop->lock);
    if (op) {
        execute(loop, op);
    }
    return op != NULL;
}

static void posix_wait(struct io_loop *base, uint64_t deadline_ns)
{
    struct posix_loop *loop = posix_of(base);

    if (!help(loop, deadline_ns)) {
        (void)pthread_mutex_lock(&loop->lock);
        queue_hand_over(loop);
        loop->waiter = WAITER_ASLEEP;
        bool must_sleep = loop_sleep_begin(base, deadline_ns);
        bool has_work = loop->helps && loop->first;
        (void)pthread_mutex_unlock(&loop->lock);
        if (must_sleep && !has_work) {
            sleep_until(base, loop_sleep_deadline_ns(base, deadline_ns));
        }
        loop_sleep_end(base);
        (void)help(loop, deadline_ns);
    }

    (void)pthread_mutex_lock(&loop->lock);
    loop->waiter = WAITER_NONE;
    queue_hand_over(loop); /* Submitted while we were on the way out. */
    (void)pthread_mutex_unlock(&loop->lock);
}

static void posix_reap(struct io_loop *loop)
{
    (void)loop; /* Who carries an operation out also puts it on the completed list. */
}

const struct io_ops posix_ops = {
    .destroy = kernel_destroy,
    .now_mono_ns = kernel_now_mono_ns,
    .now_wall_ms = kernel_now_wall_ms,
    FILE_POSIX_SLOTS,
    .loop_create = posix_loop_create,
    .loop_destroy = posix_loop_destroy,
    .submit = posix_submit,
    .flush = posix_flush,
    .wait = posix_wait,
    .reap = posix_reap,
    .kick = posix_kick,
    .job_start = kernel_job_start,
};
