/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops of the seam, on every implementation: operations, timers, jobs, mail; the code of
 * io/loop.c, io/mailbox.c, io/transfer.c, and on a real kernel io/posix.c or io/uring.c.
 */
#include <errno.h>

#include "base/limits.h"
#include "io/io.h"
#include "io/mailbox.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "seam.h"

#define NS_PER_MS UINT64_C(1000000)

/* -- Fixture -- */

struct fixture {
    struct io *io;
    struct io_loop *loop;
    struct io_file *file;
    uint8_t *data;
};

static struct fixture fixture_create(const struct seam_options *options)
{
    struct fixture fixture = {.io = seam_create(options)};
    fixture.loop = seam_loop(fixture.io, options);
    const char *path = seam_path(seam_folder(fixture.io), "a");
    uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;
    CHECK_INT(io_open(fixture.io, path, flags, &fixture.file), 0);
    fixture.data = io_alloc(fixture.io, (size_t)16 * BLOCK_BYTES, BLOCK_BYTES);
    CHECK(fixture.data);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    CHECK_INT(io_loop_pending(fixture->loop), 0);
    io_close(fixture->io, fixture->file);
    io_loop_destroy(fixture->loop);
    io_free(fixture->io, fixture->data);
    io_destroy(fixture->io);
}

static void count_completion(struct io_op *op)
{
    int *count = op->ctx;
    (*count)++;
}

static void count_job(struct io_job *job)
{
    int *count = job->ctx;
    (*count)++;
}

static void count_fire(struct io_timer *timer)
{
    int *count = timer->ctx;
    (*count)++;
}

/* -- Operations -- */

/* IO-1: exactly once, and only inside a dispatch. */
TEST(io_submit, completes_each_operation_once_and_only_in_dispatch)
{
    for (int helps = 0; helps < 2; helps++) {
        struct fixture fixture =
            fixture_create(&(struct seam_options){.helps_while_waiting = helps});

        enum { OPS = 40 };
        struct io_op ops[OPS];
        int count = 0;

        for (int index = 0; index < OPS; index++) {
            fixture.data[index] = (uint8_t)(index + 1);
            ops[index] = (struct io_op){.kind = IO_OP_WRITE,
                                        .is_durable = index % 2 == 0,
                                        .file = fixture.file,
                                        .data = fixture.data + index,
                                        .count = 1,
                                        .position = index,
                                        .complete = count_completion,
                                        .ctx = &count};
            io_submit(fixture.loop, &ops[index]);
        }
        CHECK_INT(io_loop_pending(fixture.loop), OPS);
        io_loop_flush(fixture.loop);
        io_loop_wait(fixture.loop, IO_TIME_NEVER);
        CHECK_INT(count, 0);
        seam_drain(fixture.loop);

        CHECK_INT(count, OPS);
        uint8_t back[OPS];
        size_t moved = 0;
        CHECK_INT(io_read_whole(fixture.io, fixture.file, (struct bytes_mut){back, OPS}, 0, &moved),
                  0);
        CHECK_INT(moved, OPS);
        CHECK_BYTES(back, fixture.data, OPS);
        fixture_destroy(&fixture);
    }
}

TEST(io_submit, reads_and_syncs)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    CHECK_INT(io_write_whole(fixture.io, fixture.file, bytes_of_text("read me"), 0, false), 0);
    int count = 0;
    struct io_op read = {.kind = IO_OP_READ,
                         .file = fixture.file,
                         .data = fixture.data,
                         .count = 100,
                         .position = 5,
                         .complete = count_completion,
                         .ctx = &count};
    struct io_op sync = {.kind = IO_OP_SYNC,
                         .file = fixture.file,
                         .complete = count_completion,
                         .ctx = &count};

    io_submit(fixture.loop, &read);
    io_submit(fixture.loop, &sync);
    seam_drain(fixture.loop);

    CHECK_INT(count, 2);
    CHECK_INT(read.error, 0);
    CHECK_INT(read.count_done, 2);
    CHECK_BYTES(fixture.data, "me", 2);
    CHECK_INT(sync.error, 0);
    fixture_destroy(&fixture);
}

/* An error of the kernel arrives in the operation, not anywhere else. */
TEST(io_submit, reports_the_kernels_error_in_the_operation)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    struct io_file *read_only = NULL;
    const char *folder = seam_folder(fixture.io);
    struct io_file *made = NULL;
    CHECK_INT(io_open(fixture.io, seam_path(folder, "b"), IO_OPEN_WRITE | IO_OPEN_CREATE, &made),
              0);
    CHECK_INT(io_open(fixture.io, seam_path(folder, "b"), IO_OPEN_READ, &read_only), 0);
    int count = 0;
    struct io_op op = {.kind = IO_OP_WRITE,
                       .is_durable = true,
                       .file = read_only,
                       .data = fixture.data,
                       .count = 10,
                       .complete = count_completion,
                       .ctx = &count};

    io_submit(fixture.loop, &op);
    seam_drain(fixture.loop);

    CHECK_INT(count, 1);
    CHECK_INT(op.error, EBADF);
    CHECK_INT(op.count_done, 0);
    io_close(fixture.io, made);
    io_close(fixture.io, read_only);
    fixture_destroy(&fixture);
}

struct chain {
    struct io_loop *loop;
    int left;
};

static void chain_complete(struct io_op *op)
{
    struct chain *chain = op->ctx;
    if (--chain->left > 0) {
        op->position += 1;
        io_submit(chain->loop, op);
    }
}

/* An operation may be reused for the next one inside its own completion. */
TEST(io_submit, may_be_called_inside_complete)
{
    struct fixture fixture = fixture_create(&(struct seam_options){.helps_while_waiting = true});
    struct chain chain = {.loop = fixture.loop, .left = 5};
    struct io_op op = {.kind = IO_OP_WRITE,
                       .file = fixture.file,
                       .data = fixture.data,
                       .count = 1,
                       .complete = chain_complete,
                       .ctx = &chain};

    io_submit(fixture.loop, &op);
    seam_drain(fixture.loop);

    CHECK_INT(chain.left, 0);
    int64_t bytes = 0;
    CHECK_INT(io_bytes(fixture.io, fixture.file, &bytes), 0);
    CHECK_INT(bytes, 5);
    fixture_destroy(&fixture);
}

static void transfer_done(struct io_transfer *transfer)
{
    int *count = transfer->ctx;
    (*count)++;
}

TEST(io_transfer, moves_all_bytes_and_stops_at_the_end_of_the_file)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    int count = 0;
    memset(fixture.data, 'x', (size_t)3 * BLOCK_BYTES);
    struct io_transfer write = {.kind = IO_OP_WRITE,
                                .is_durable = true,
                                .file = fixture.file,
                                .data = fixture.data,
                                .count = (size_t)3 * BLOCK_BYTES,
                                .complete = transfer_done,
                                .ctx = &count};
    struct io_transfer read = write;
    read.kind = IO_OP_READ;
    read.data = fixture.data + (size_t)3 * BLOCK_BYTES;
    read.position = BLOCK_BYTES;

    io_transfer_start(fixture.loop, &write);
    seam_drain(fixture.loop);
    io_transfer_start(fixture.loop, &read);
    seam_drain(fixture.loop);

    CHECK_INT(count, 2);
    CHECK_INT(write.error, 0);
    CHECK_INT(write.count_done, 3 * BLOCK_BYTES);
    CHECK_INT(read.error, 0);
    CHECK_INT(read.count_done, 2 * BLOCK_BYTES);
    CHECK_BYTES(read.data, write.data, (size_t)2 * BLOCK_BYTES);
    fixture_destroy(&fixture);
}

/* -- Timers -- */

struct order {
    int fired[8];
    int count;
};

struct numbered_timer {
    struct io_timer timer;
    int number;
};

static void note_fire(struct io_timer *timer)
{
    struct order *order = timer->ctx;
    order->fired[order->count++] = container_of(timer, struct numbered_timer, timer)->number;
}

/* IO-6, and equal deadlines in the order of starting. */
TEST(io_timer, fires_in_order_of_deadline_and_never_early)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    struct order order = {.count = 0};
    struct numbered_timer timers[4];
    uint64_t start_ns = io_now_mono_ns(fixture.io);
    const uint64_t after_ms[4] = {3, 1, 3, 2};
    for (int index = 0; index < 4; index++) {
        timers[index] =
            (struct numbered_timer){.timer = {.fire = note_fire, .ctx = &order}, .number = index};
        io_timer_start(fixture.loop, &timers[index].timer, start_ns + after_ms[index] * NS_PER_MS);
    }
    io_timer_stop(fixture.loop, &timers[3].timer);

    while (order.count < 3) {
        io_loop_wait(fixture.loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(fixture.loop);
    }

    CHECK_INT(order.fired[0], 1);
    CHECK_INT(order.fired[1], 0);
    CHECK_INT(order.fired[2], 2);
    CHECK(io_now_mono_ns(fixture.io) >= start_ns + 3 * NS_PER_MS);
    CHECK_INT(io_loop_dispatch(fixture.loop), 0);
    fixture_destroy(&fixture);
}

TEST(io_timer, can_be_moved_and_stopped_twice)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    int count = 0;
    struct io_timer timer = {.fire = count_fire, .ctx = &count};

    io_timer_stop(fixture.loop, &timer);
    io_timer_start(fixture.loop, &timer, IO_TIME_NEVER - 1);
    io_timer_start(fixture.loop, &timer, 0);
    CHECK_INT(io_loop_dispatch(fixture.loop), 1);
    io_timer_start(fixture.loop, &timer, 0);
    io_timer_stop(fixture.loop, &timer);
    io_timer_stop(fixture.loop, &timer);

    CHECK_INT(io_loop_dispatch(fixture.loop), 0);
    CHECK_INT(count, 1);
    fixture_destroy(&fixture);
}

/* -- Waiting -- */

TEST(io_loop_wait, returns_at_its_deadline_with_nothing_to_do)
{
    for (int helps = 0; helps < 2; helps++) {
        struct fixture fixture =
            fixture_create(&(struct seam_options){.helps_while_waiting = helps});
        uint64_t start_ns = io_now_mono_ns(fixture.io);

        while (io_now_mono_ns(fixture.io) < start_ns + 2 * NS_PER_MS) {
            io_loop_wait(fixture.loop, start_ns + 2 * NS_PER_MS);
        }

        CHECK_INT(io_loop_dispatch(fixture.loop), 0);
        fixture_destroy(&fixture);
    }
}

/* A wake-up before the wait is not lost, and counts for one wait. IO-5 */
TEST(io_loop_wake, makes_the_next_wait_return)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    uint64_t start_ns = io_now_mono_ns(fixture.io);

    io_loop_wake(fixture.loop);
    io_loop_wait(fixture.loop, IO_TIME_NEVER);
    io_loop_wait(fixture.loop, start_ns + NS_PER_MS);

    CHECK(io_now_mono_ns(fixture.io) >= start_ns);
    fixture_destroy(&fixture);
}

/* -- Jobs -- */

TEST(io_job, runs_then_is_done_in_dispatch)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    int ran = 0;
    struct io_job jobs[5];
    for (int index = 0; index < 5; index++) {
        jobs[index] = (struct io_job){.run = count_job, .done = count_job, .ctx = &ran};
    }

    struct io_job *job = &jobs[0];
    io_job_start(fixture.loop, job);
    CHECK_INT(io_loop_pending(fixture.loop), 1);
    seam_drain(fixture.loop);

    CHECK_INT(ran, 2);
    fixture_destroy(&fixture);
}

/* -- Mail -- */

struct mail {
    int letters[8];
    int count;
};

static void receive(struct io_mailbox *mailbox, void *letter)
{
    struct mail *mail = mailbox->ctx;
    mail->letters[mail->count++] = *(int *)letter;
}

/* IO-7, IO-8: in order, and a full box refuses. */
TEST(io_mailbox, delivers_in_order_and_refuses_when_full)
{
    struct fixture fixture = fixture_create(&(struct seam_options){0});
    struct mail mail = {.count = 0};
    struct io_mailbox mailbox;
    int letters[5] = {10, 11, 12, 13, 14};
    CHECK_INT(io_mailbox_init(&mailbox, fixture.loop, 4, receive, &mail), 0);

    for (int index = 0; index < 4; index++) {
        CHECK(io_mailbox_post(&mailbox, &letters[index]));
    }
    CHECK(!io_mailbox_post(&mailbox, &letters[4]));
    io_loop_wait(fixture.loop, IO_TIME_NEVER);
    CHECK_INT(io_loop_dispatch(fixture.loop), 4);
    CHECK(io_mailbox_post(&mailbox, &letters[4]));
    while (io_loop_dispatch(fixture.loop) > 0) {
    }

    CHECK_INT(mail.count, 5);
    for (int index = 0; index < 5; index++) {
        CHECK_INT(mail.letters[index], 10 + index);
    }
    io_mailbox_deinit(&mailbox);
    fixture_destroy(&fixture);
}
