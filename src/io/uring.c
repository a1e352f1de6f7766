/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/uring - the loop backend of io_uring.
 *
 * Part of the path:  io_submit -> [submission ring] -> kernel -> [completion ring] -> completed
 * list
 *
 * One ring per loop. Each operation in flight has a slot; its number travels through the kernel as
 * user_data. There are at most ops_max slots, the rest waits in a list, and both rings are larger
 * than that: neither can overflow. One lock guards rings, slots and list, since the submitter and
 * the waiter need not be one thread; the waiter sleeps in the kernel without it. Submission is a
 * system call of its own, before the one that waits: it costs nothing, as the disk works meanwhile.
 *
 * A wake-up is a read of an eventfd that is always in the ring, answered when somebody writes to
 * it.
 *
 * What the kernel may do to us, and what happens then:
 *   short transfer        -> reported as such; io/transfer resumes it at a block boundary
 *   ECANCELED             -> the thread that submitted has ended and took its operations along, or
 *                            the ring is shared with one that did; nothing was reported, and the
 *                            same bytes go to the same place: issued again
 *   EAGAIN, EINTR         -> the kernel was short of something: issued again, a bounded number of
 *                            times
 *   EAGAIN, EBUSY on enter-> stays in the submission ring; tried again at the next wait, which
 *                            sleeps for a millisecond at most meanwhile
 *   EOPNOTSUPP on a flag  -> durable writes become write, then fdatasync, for good. The sync is
 *                            issued when the write has completed: no links, as a short write breaks
 *                            a chain and what is resubmitted would land behind the sync
 *   any other on enter    -> the ring is dead: everything in flight and all that follows fails with
 *                            EIO
 *
 * Threads: as io/loop says.   Memory: slots are made with the loop; operations and buffers stay
 * their submitters' and pinned until completion. Reference: io_uring_enter(2), io_uring_setup(2).
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "io/file_posix.h"
#include "io/loop.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* The user_data of the read that waits for wake-ups. */
#define WAKE_SLOT UINT64_MAX

/* The most that one operation moves; the kernel's own limit is just below 2 GiB. */
#define TRANSFER_BYTES_MAX (1U << 30)

enum {
    REISSUES_MAX = 64, /* How often the kernel may be short of something for one operation. */
    CQES_BATCH = 32,   /* Completions taken at once. */
    SLOT_NONE = -1,
};

struct slot {
    struct io_op *op;  /* NULL while the slot is free. */
    bool has_flag;     /* The durable flag was given to the kernel. */
    bool is_syncing;   /* The write is done; its fdatasync is in flight. */
    uint32_t reissues; /* How often it was issued again. */
    size_t count;      /* Bytes written, while is_syncing. */
    int32_t next_free;
};

struct uring_loop {
    struct io_loop base;

    pthread_mutex_t lock; /* Guards all below but wake_fd. */
    struct io_uring ring;
    bool is_dead;
    struct io_op *waiting_first; /* Operations without a slot, oldest first. */
    struct io_op *waiting_last;
    int32_t slot_free; /* The first free slot, or SLOT_NONE. */
    bool is_wake_armed;
    uint64_t wake_value; /* Where the kernel puts what the eventfd held. */
    int wake_fd;
    uint32_t slot_count;
    struct slot slots[];
};

static struct uring_loop *uring_of(struct io_loop *loop)
{
    return container_of(loop, struct uring_loop, base);
}

/* -- Probing -- */

int uring_probe(void)
{
    static const int opcodes[] = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC};
    struct io_uring ring;

    int result = io_uring_queue_init(2, &ring, 0);
    if (result < 0) {
        return -result;
    }
    /* Waiting with a time-out in one call came with 5.11; what is older counts as absent. */
    bool is_good = (ring.features & IORING_FEAT_EXT_ARG) != 0;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    is_good = is_good && probe;
    for (size_t index = 0; is_good && index < sizeof opcodes / sizeof opcodes[0]; index++) {
        is_good = io_uring_opcode_supported(probe, opcodes[index]);
    }
    io_uring_free_probe(probe);
    io_uring_queue_exit(&ring);
    return is_good ? 0 : ENOSYS;
}

/* -- Slots -- */

/* End the operation in slot `index` with its result. The lock is held. */
static void slot_complete(struct uring_loop *loop, uint32_t index, int error, size_t count)
{
    struct slot *slot = &loop->slots[index];
    struct io_op *op = slot->op;
    ASSERT(op); /* IO-1 */

    *slot = (struct slot){.next_free = loop->slot_free};
    loop->slot_free = (int32_t)index;
    loop_op_completed(&loop->base, op, error, count);
}

/* Put the operation in slot `index` into the submission ring. The lock is held. */
static void slot_issue(struct uring_loop *loop, uint32_t index)
{
    ASSERT(index < loop->slot_count);
    struct slot *slot = &loop->slots[index];
    const struct io_op *op = slot->op;
    ASSERT(op); /* IO-1 */
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
    ASSERT(sqe); /* The ring has room for every slot and the wake-up. */

    int fd = file_posix_fd(op->file);
    unsigned count = op->count < TRANSFER_BYTES_MAX ? (unsigned)op->count : TRANSFER_BYTES_MAX;
    slot->has_flag = false;
    if (op->kind == IO_OP_SYNC || slot->is_syncing) {
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    } else if (op->kind == IO_OP_READ) {
        io_uring_prep_read(sqe, fd, op->data, count, (uint64_t)op->position);
    } else {
        struct kernel *kernel = kernel_of(loop->base.io);
        slot->has_flag =
            op->is_durable && !atomic_load_explicit(&kernel->without_dsync, memory_order_relaxed);
        io_uring_prep_write(sqe, fd, op->data, count, (uint64_t)op->position);
        if (slot->has_flag && !MUTANT(no_durable_flag_uring)) {
            sqe->rw_flags = RWF_DSYNC;
        }
    }
    io_uring_sqe_set_data64(sqe, index);
}

/* Keep a read of the eventfd in the ring. The lock is held. */
static void wake_arm(struct uring_loop *loop)
{
    if (loop->is_wake_armed) {
        return;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
    ASSERT(sqe);
    io_uring_prep_read(sqe, loop->wake_fd, &loop->wake_value, sizeof loop->wake_value, 0);
    io_uring_sqe_set_data64(sqe, WAKE_SLOT);
    loop->is_wake_armed = true;
}

/* The ring is dead: end everything with EIO. The lock is held. */
static void die(struct uring_loop *loop)
{
    loop->is_dead = true;
    for (uint32_t index = 0; index < loop->slot_count; index++) {
        if (loop->slots[index].op) {
            slot_complete(loop, index, EIO, 0);
        }
    }
    while (loop->waiting_first) {
        struct io_op *op = loop->waiting_first;
        loop->waiting_first = op->next;
        loop_op_completed(&loop->base, op, EIO, 0);
    }
    loop->waiting_last = NULL;
}

/* -- Completions -- */

/* Handle the result of slot `index`. The lock is held. */
static void slot_result(struct uring_loop *loop, uint32_t index, int32_t result)
{
    ASSERT(index < loop->slot_count);
    struct slot *slot = &loop->slots[index];
    const struct io_op *op = slot->op;
    ASSERT(op); /* IO-1 */
    bool is_write = op->kind == IO_OP_WRITE && !slot->is_syncing;

    bool was_refused = is_write && slot->has_flag && result == -EOPNOTSUPP;
    if (was_refused) {
        struct kernel *kernel = kernel_of(loop->base.io);
        atomic_store_explicit(&kernel->without_dsync, true, memory_order_relaxed);
    }
    bool was_put_off = result == -ECANCELED || result == -EAGAIN || result == -EINTR;
    if (was_refused || (was_put_off && slot->reissues < REISSUES_MAX)) {
        slot->reissues++;
        slot_issue(loop, index);
        return;
    }
    if (result < 0) {
        slot_complete(loop, index, -result, 0);
        return;
    }
    if (is_write && op->is_durable && !slot->has_flag) {
        slot->is_syncing = true; /* IO-2: nothing is reported before the sync. */
        slot->count = (size_t)result;
        slot_issue(loop, index);
        return;
    }
    slot_complete(loop, index, 0, slot->is_syncing ? slot->count : (size_t)result);
}

/* Take one completion: of an operation, or of the wait for a kick. */
static void reap_one(struct uring_loop *loop, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == WAKE_SLOT) {
        loop->is_wake_armed = false;
    } else {
        slot_result(loop, (uint32_t)cqe->user_data, cqe->res);
    }
}

/* Take all completions from the ring. The lock is held. */
static void reap(struct uring_loop *loop)
{
    struct io_uring_cqe *cqes[CQES_BATCH];
    unsigned count = loop->is_dead ? 0 : CQES_BATCH;

    while (count == CQES_BATCH) {
        count = io_uring_peek_batch_cqe(&loop->ring, cqes, CQES_BATCH);
        for (unsigned index = 0; index < count; index++) {
            reap_one(loop, cqes[index]);
        }
        io_uring_cq_advance(&loop->ring, count);
    }
}

/* -- Submissions -- */

/* Give waiting operations slots, and the ring to the kernel. The lock is held. */
static void flush(struct uring_loop *loop)
{
    if (loop->is_dead) {
        die(loop); /* For what was submitted since. */
        return;
    }
    while (loop->waiting_first && loop->slot_free != SLOT_NONE) {
        struct io_op *op = loop->waiting_first;
        loop->waiting_first = op->next;
        loop->waiting_last = op->next ? loop->waiting_last : NULL;
        op->next = NULL;
        uint32_t index = (uint32_t)loop->slot_free;
        loop->slot_free = loop->slots[index].next_free;
        loop->slots[index] = (struct slot){.op = op, .next_free = SLOT_NONE};
        slot_issue(loop, index);
    }
    wake_arm(loop);

    int result = 1;
    while (result > 0 && io_uring_sq_ready(&loop->ring) > 0) {
        result = io_uring_submit(&loop->ring);
    }
    bool is_short = result == -EAGAIN || result == -EBUSY || result == -EINTR;
    if (result < 0 && !is_short) {
        die(loop);
    }
}

static void uring_submit(struct io_loop *base, struct io_op *op)
{
    struct uring_loop *loop = uring_of(base);
    if (op->kind == IO_OP_WRITE && file_posix_is_above_limit(base->io, op->position + 1)) {
        loop_op_completed(base, op, EFBIG, 0);
        return;
    }

    (void)pthread_mutex_lock(&loop->lock);
    if (loop->waiting_last) {
        loop->waiting_last->next = op;
    } else {
        loop->waiting_first = op;
    }
    loop->waiting_last = op;
    /* A thread that waits took the lock after it said so, and what is queued: either it sees this
     * operation, or we see it here. */
    if (atomic_load(&base->is_waiting)) {
        flush(loop);
    }
    (void)pthread_mutex_unlock(&loop->lock);
}

static void uring_flush(struct io_loop *base)
{
    struct uring_loop *loop = uring_of(base);

    (void)pthread_mutex_lock(&loop->lock);
    flush(loop);
    (void)pthread_mutex_unlock(&loop->lock);
}

/* Take all completions, and start what they made room for or what is to be issued again. The lock
 * is held. */
static void reap_and_refill(struct uring_loop *loop)
{
    reap(loop);
    bool has_more = loop->waiting_first || !loop->is_wake_armed;
    if (!loop->is_dead && (has_more || io_uring_sq_ready(&loop->ring) > 0)) {
        flush(loop);
    }
}

static void uring_reap(struct io_loop *base)
{
    struct uring_loop *loop = uring_of(base);

    (void)pthread_mutex_lock(&loop->lock);
    /* While a thread waits, completions are its own: taking one from under it, above all a wake-up,
     * would leave it asleep. IO-5 */
    if (!atomic_load(&base->is_waiting)) {
        reap_and_refill(loop);
    }
    (void)pthread_mutex_unlock(&loop->lock);
}

/* -- Waiting -- */

static struct __kernel_timespec time_left(struct io *io, uint64_t until_ns)
{
    uint64_t now_ns = io_now_mono_ns(io);
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;

    return (struct __kernel_timespec){.tv_sec = (int64_t)(left_ns / NS_PER_S),
                                      .tv_nsec = (long long)(left_ns % NS_PER_S)};
}

/* Sleep in the kernel until there is a completion or the time has come. Return 0, or the errno
 * value of a ring that has died. */
static int sleep_in_ring(struct uring_loop *loop, uint64_t until_ns)
{
    struct __kernel_timespec left = time_left(loop->base.io, until_ns);
    struct io_uring_getevents_arg argument = {
        .ts = until_ns == IO_TIME_NEVER ? 0 : (uint64_t)(uintptr_t)&left};

    int result = io_uring_enter2((unsigned)loop->ring.ring_fd, 0, 1,
                                 IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (void *)&argument,
                                 sizeof argument);
    bool is_fine = result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
                   result == -EBUSY;
    return is_fine ? 0 : -result;
}

/* Sleep without a ring: timers, mail and jobs go on. */
static void sleep_without_ring(struct uring_loop *loop, uint64_t until_ns)
{
    struct __kernel_timespec left = time_left(loop->base.io, until_ns);
    struct timespec timeout = {.tv_sec = left.tv_sec, .tv_nsec = (long)left.tv_nsec};
    struct pollfd row = {.fd = loop->wake_fd, .events = POLLIN};
    uint64_t value = 0;

    if (ppoll(&row, 1, until_ns == IO_TIME_NEVER ? NULL : &timeout, NULL) > 0) {
        (void)!read(loop->wake_fd, &value, sizeof value); /* It holds something: poll said so. */
    }
}

static void uring_wait(struct io_loop *base, uint64_t deadline_ns)
{
    struct uring_loop *loop = uring_of(base);

    (void)pthread_mutex_lock(&loop->lock);
    flush(loop);
    reap_and_refill(loop);
    bool is_dead = loop->is_dead;
    bool is_stuck = !is_dead && io_uring_sq_ready(&loop->ring) > 0;
    (void)pthread_mutex_unlock(&loop->lock);
    if (!loop_sleep_begin(base, deadline_ns)) {
        return;
    }

    int error = 0;
    uint64_t until_ns = loop_sleep_deadline_ns(base, deadline_ns);
    if (is_stuck) {
        uint64_t soon_ns = io_now_mono_ns(base->io) + NS_PER_MS;
        until_ns = soon_ns < until_ns ? soon_ns : until_ns;
    }
    if (is_dead) {
        sleep_without_ring(loop, until_ns);
    } else {
        error = sleep_in_ring(loop, until_ns);
    }
    loop_sleep_end(base);

    (void)pthread_mutex_lock(&loop->lock);
    if (error != 0) {
        die(loop);
    }
    reap_and_refill(loop);
    (void)pthread_mutex_unlock(&loop->lock);
}

static void uring_kick(struct io_loop *loop)
{
    uint64_t one = 1;

    /* It can fail only when the counter is full, and then somebody is being woken already. */
    (void)!write(uring_of(loop)->wake_fd, &one, sizeof one);
}

/* -- Creating and destroying -- */

static int ring_create(struct uring_loop *loop)
{
    /* Newest first; a kernel that does not know a flag says EINVAL. SUBMIT_ALL: one bad operation
     * does not hold up those behind it. */
    static const unsigned flags[] = {IORING_SETUP_SUBMIT_ALL, 0};
    int result = -EINVAL;

    for (size_t index = 0; index < sizeof flags / sizeof flags[0] && result == -EINVAL; index++) {
        struct io_uring_params params = {.flags = flags[index] | IORING_SETUP_CLAMP};
        result = io_uring_queue_init_params(loop->slot_count + 1, &loop->ring, &params);
    }
    if (result < 0) {
        return -result;
    }
    ASSERT(*loop->ring.sq.kring_entries > loop->slot_count);
    ASSERT(*loop->ring.cq.kring_entries > loop->slot_count); /* It cannot overflow. */
    /* A forked child must not share the rings. Where that cannot be had, it still must not touch
     * the log; that is checked above. */
    (void)io_uring_ring_dontfork(&loop->ring);
    return 0;
}

static int uring_loop_create(struct io *io,
                             const struct io_loop_options *options,
                             struct io_loop **ret_loop)
{
    size_t bytes = sizeof(struct uring_loop) + options->ops_max * sizeof(struct slot);
    struct uring_loop *loop = io_alloc(io, bytes, _Alignof(struct uring_loop));
    if (!loop) {
        return ENOMEM;
    }
    loop_init(&loop->base, io);
    loop->slot_count = options->ops_max;
    loop->slot_free = SLOT_NONE;
    for (uint32_t index = loop->slot_count; index-- > 0;) {
        loop->slots[index].next_free = loop->slot_free;
        loop->slot_free = (int32_t)index;
    }

    int error = 0;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (loop->wake_fd < 0) {
        error = errno;
        goto fail_free_loop;
    }
    error = ring_create(loop);
    if (error != 0) {
        goto fail_close_wake;
    }
    (void)pthread_mutex_init(&loop->lock, NULL);
    *ret_loop = &loop->base;
    return 0;

fail_close_wake:
    (void)close(loop->wake_fd);
fail_free_loop:
    io_free(io, loop);
    return error;
}

/* Let the read that waits for wake-ups come back: the kernel holds a pointer to this loop. */
static void wake_disarm(struct uring_loop *loop)
{
    while (loop->is_wake_armed && !loop->is_dead) {
        (void)io_uring_submit(&loop->ring); /* It may not have reached the kernel yet. */
        uring_kick(&loop->base);
        if (sleep_in_ring(loop, IO_TIME_NEVER) != 0) {
            die(loop);
        }
        reap(loop);
    }
}

static void uring_loop_destroy(struct io_loop *base)
{
    struct uring_loop *loop = uring_of(base);

    loop_deinit(base);
    wake_disarm(loop);
    io_uring_queue_exit(&loop->ring);
    (void)close(loop->wake_fd);
    (void)pthread_mutex_destroy(&loop->lock);
    io_free(base->io, loop);
}

const struct io_ops uring_ops = {
    .destroy = kernel_destroy,
    .now_mono_ns = kernel_now_mono_ns,
    .now_wall_ms = kernel_now_wall_ms,
    FILE_POSIX_SLOTS,
    .loop_create = uring_loop_create,
    .loop_destroy = uring_loop_destroy,
    .submit = uring_submit,
    .flush = uring_flush,
    .wait = uring_wait,
    .reap = uring_reap,
    .kick = uring_kick,
    .job_start = kernel_job_start,
};
