/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What io_uring may do to us: a kernel that is short of something, a ring that dies, a host that
 * refuses it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/io.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "seam.h"

/* -- A kernel that is short of something --
 *
 * These two stand between the backend and the library: the program's own symbols come first.
 */

static struct {
    int submit_result; /* What io_uring_submit says, submit_count times, without doing it. */
    int submit_count;
    int result; /* What the next result_count completions of operations say. */
    int result_count;
    int cut; /* By how much the next cut_count results are cut. */
    int cut_count;
    int completions; /* Of operations, so far. */
} kernel;

int io_uring_submit(struct io_uring *ring)
{
    if (kernel.submit_count > 0) {
        kernel.submit_count--;
        return kernel.submit_result;
    }
    static int (*real)(struct io_uring * ring);
    if (!real) {
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "io_uring_submit");
    }
    return real(ring);
}

unsigned io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes, unsigned count)
{
    static unsigned (*real)(struct io_uring * ring, struct io_uring_cqe * *cqes, unsigned count);
    if (!real) {
        *(void **)(void *)&real = dlsym(RTLD_NEXT, "io_uring_peek_batch_cqe");
    }
    unsigned found = real(ring, cqes, count);
    for (unsigned index = 0; index < found; index++) {
        if (cqes[index]->user_data == UINT64_MAX) {
            continue; /* The wake-up. */
        }
        kernel.completions++;
        if (kernel.result_count > 0) {
            kernel.result_count--;
            cqes[index]->res = kernel.result;
        } else if (kernel.cut_count > 0) {
            kernel.cut_count--;
            cqes[index]->res -= kernel.cut;
        }
    }
    return found;
}

struct fixture {
    struct io *io;
    struct io_loop *loop;
    struct io_file *file;
    uint8_t *data;
    int count;
};

static struct fixture fixture_create(void)
{
    struct fixture fixture = {.io = seam_create(&(struct seam_options){0})};
    memset(&kernel, 0, sizeof kernel);
    fixture.loop = seam_loop(fixture.io, &(struct seam_options){0});
    uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;
    const char *path = seam_path(seam_folder(fixture.io), "a");
    CHECK_INT(io_open(fixture.io, path, flags, &fixture.file), 0);
    fixture.data = io_alloc(fixture.io, (size_t)4 * BLOCK_BYTES, BLOCK_BYTES);
    memset(fixture.data, 'x', (size_t)4 * BLOCK_BYTES);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    io_free(fixture->io, fixture->data);
    io_close(fixture->io, fixture->file);
    io_loop_destroy(fixture->loop);
    io_destroy(fixture->io);
}

static void count_completion(struct io_op *op)
{
    int *count = op->ctx;
    (*count)++;
}

static struct io_op write_op(struct fixture *fixture)
{
    return (struct io_op){.kind = IO_OP_WRITE,
                          .is_durable = true,
                          .file = fixture->file,
                          .data = fixture->data,
                          .count = (size_t)4 * BLOCK_BYTES,
                          .complete = count_completion,
                          .ctx = &fixture->count};
}

static bool file_is_whole(struct fixture *fixture)
{
    static uint8_t back[4 * BLOCK_BYTES];
    size_t count = 0;
    struct bytes_mut span = {back, sizeof back};
    return io_read_whole(fixture->io, fixture->file, span, 0, &count) == 0 &&
           count == sizeof back && memcmp(back, fixture->data, count) == 0;
}

/* A kernel without memory takes nothing for a while; the operation waits, and nobody else sees it.
 */
TEST(uring, submits_again_what_the_kernel_did_not_take)
{
    static const int refusals[] = {-EAGAIN, -EBUSY, -EINTR};
    for (size_t index = 0; index < 3; index++) {
        struct fixture fixture = fixture_create();
        struct io_op op = write_op(&fixture);
        kernel.submit_result = refusals[index];
        kernel.submit_count = 5;

        io_submit(fixture.loop, &op);
        seam_drain(fixture.loop);

        CHECK_INT(kernel.submit_count, 0);
        CHECK_INT(fixture.count, 1);
        CHECK_INT(op.error, 0);
        CHECK(file_is_whole(&fixture));
        fixture_destroy(&fixture);
    }
}

/* What the kernel put off or took back was not reported to anybody: it is issued again, and
 * reported once. IO-1 */
TEST(uring, issues_again_what_was_put_off)
{
    static const int results[] = {-EAGAIN, -EINTR, -ECANCELED};
    for (size_t index = 0; index < 3; index++) {
        struct fixture fixture = fixture_create();
        struct io_op op = write_op(&fixture);
        kernel.result = results[index];
        kernel.result_count = 3;

        io_submit(fixture.loop, &op);
        seam_drain(fixture.loop);

        CHECK_INT(fixture.count, 1);
        CHECK_INT(op.error, 0);
        CHECK_INT(op.count_done, 4 * BLOCK_BYTES);
        CHECK_INT(kernel.completions, 4);
        fixture_destroy(&fixture);
    }
}

/* Not for ever. */
TEST(uring, reports_what_is_put_off_again_and_again)
{
    struct fixture fixture = fixture_create();
    struct io_op op = write_op(&fixture);
    kernel.result = -EAGAIN;
    kernel.result_count = 1000;

    io_submit(fixture.loop, &op);
    seam_drain(fixture.loop);

    CHECK_INT(fixture.count, 1);
    CHECK_INT(op.error, EAGAIN);
    fixture_destroy(&fixture);
}

/* An error of the device is final: a durable write is not tried again. IO-4 */
TEST(uring, reports_an_error_of_the_device_at_once)
{
    struct fixture fixture = fixture_create();
    struct io_op op = write_op(&fixture);
    kernel.result = -EIO;
    kernel.result_count = 1;

    io_submit(fixture.loop, &op);
    seam_drain(fixture.loop);

    CHECK_INT(fixture.count, 1);
    CHECK_INT(op.error, EIO);
    CHECK_INT(kernel.completions, 1);
    fixture_destroy(&fixture);
}

/* Without the flag a durable write is a write and then a sync, and nothing is said before the sync.
 * IO-2 */
TEST(uring, syncs_by_hand_where_the_flag_is_refused)
{
    struct fixture fixture = fixture_create();
    struct io_op op = write_op(&fixture);
    kernel.result = -EOPNOTSUPP;
    kernel.result_count = 1;

    io_submit(fixture.loop, &op);
    seam_drain(fixture.loop);
    CHECK_INT(kernel.completions, 3); /* Refused, written, synced. */
    io_submit(fixture.loop, &op);
    seam_drain(fixture.loop);
    CHECK_INT(kernel.completions, 5); /* Written, synced. */

    CHECK_INT(op.error, 0);
    CHECK_INT(op.count_done, 4 * BLOCK_BYTES);
    CHECK(file_is_whole(&fixture));
    fixture_destroy(&fixture);
}

static void transfer_done(struct io_transfer *transfer)
{
    int *count = transfer->ctx;
    (*count)++;
}

/* Short writes end in the middle of a block; the rest goes out from that block's start, before
 * anything is said. IO-10 */
TEST(uring, resumes_short_writes_before_it_reports)
{
    struct fixture fixture = fixture_create();
    struct io_transfer transfer = {.kind = IO_OP_WRITE,
                                   .is_durable = true,
                                   .file = fixture.file,
                                   .data = fixture.data,
                                   .count = (size_t)4 * BLOCK_BYTES,
                                   .complete = transfer_done,
                                   .ctx = &fixture.count};
    kernel.cut = 700;
    kernel.cut_count = 2;

    io_transfer_start(fixture.loop, &transfer);
    seam_drain(fixture.loop);

    CHECK_INT(fixture.count, 1);
    CHECK_INT(transfer.error, 0);
    CHECK_INT(transfer.count_done, 4 * BLOCK_BYTES);
    CHECK_INT(kernel.completions, 3);
    CHECK(file_is_whole(&fixture));
    fixture_destroy(&fixture);
}

/* More operations than the rings have room for: none is lost, the rings do not overflow. IO-1 */
TEST(uring, takes_more_operations_than_its_rings_hold)
{
    enum { OPS = 500 };
    static struct io_op ops[OPS];
    struct fixture fixture = fixture_create();
    for (int index = 0; index < OPS; index++) {
        ops[index] = write_op(&fixture);
        ops[index].is_durable = false;
        ops[index].count = 1;
        io_submit(fixture.loop, &ops[index]);
    }
    io_loop_flush(fixture.loop);

    seam_drain(fixture.loop);

    CHECK_INT(fixture.count, OPS);
    CHECK_INT(kernel.completions, OPS);
    fixture_destroy(&fixture);
}

/* -- A ring that dies -- */

/* Put /dev/null in the place of the process's ring, so that entering it fails. */
static bool ring_kill(void)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool is_found = false;
    for (int fd = 3; fd < 256; fd++) {
        char link[64];
        char target[64] = {0};
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof target - 1) > 0 && strstr(target, "io_uring")) {
            is_found = dup2(null_fd, fd) == fd;
        }
    }
    (void)close(null_fd);
    return is_found;
}

static void count_fire(struct io_timer *timer)
{
    int *count = timer->ctx;
    (*count)++;
}

static void count_job(struct io_job *job)
{
    int *count = job->ctx;
    (*count)++;
}

/* Everything submitted fails with EIO, exactly once; timers, jobs and wake-ups go on, so that the
 * log above can say why it stopped and close. IO-1 */
TEST(uring, fails_every_operation_when_the_ring_dies)
{
    struct io *io = seam_create(&(struct seam_options){0});
    struct io_loop *loop = seam_loop(io, &(struct seam_options){0});
    struct io_file *file = NULL;
    uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;
    CHECK_INT(io_open(io, seam_path(seam_folder(io), "a"), flags, &file), 0);
    uint8_t data[512] = {0};

    enum { OPS = 20 };
    struct io_op ops[OPS];
    int count = 0;
    int fired = 0;
    int jobs = 0;
    struct io_timer timer = {.fire = count_fire, .ctx = &fired};
    struct io_job job = {.run = count_job, .done = count_job, .ctx = &jobs};

    CHECK(ring_kill());
    for (int index = 0; index < OPS; index++) {
        ops[index] = (struct io_op){.kind = IO_OP_WRITE,
                                    .file = file,
                                    .data = data,
                                    .count = sizeof data,
                                    .complete = count_completion,
                                    .ctx = &count};
        io_submit(loop, &ops[index]);
    }
    seam_drain(loop);
    io_job_start(loop, &job);
    seam_drain(loop);
    io_timer_start(loop, &timer, io_now_mono_ns(io) + 1000000);
    while (fired == 0) {
        io_loop_wait(loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(loop);
    }
    io_loop_wake(loop);
    io_loop_wait(loop, IO_TIME_NEVER);

    CHECK_INT(count, OPS);
    for (int index = 0; index < OPS; index++) {
        CHECK_INT(ops[index].error, EIO);
    }
    CHECK_INT(jobs, 2);
    io_close(io, file);
    io_loop_destroy(loop);
    io_destroy(io);
}

/* -- A host that refuses -- */

/* In a child: let io_uring_setup fail with `refusal`. */
static bool refuse_io_uring(int refusal)
{
    struct sock_filter rows[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)refusal & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rows / sizeof rows[0], .filter = rows};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Return 0 if `auto` then gives posix and says why, and `uring` is refused. */
static int open_refused(int refusal, const char *description)
{
    struct io *io = NULL;
    struct pyr_error error = {0};
    if (!refuse_io_uring(refusal)) {
        return 77;
    }
    if (io_create(&(struct io_options){.backend = IO_BACKEND_URING}, &io, &error) !=
            PYR_ERR_UNSUPPORTED ||
        error.code != PYR_ERR_UNSUPPORTED || !strstr(error.message, "io_uring")) {
        return 1;
    }
    if (io_create(&(struct io_options){.backend = IO_BACKEND_AUTO}, &io, &error) != PYR_OK) {
        return 2;
    }
    int result = strcmp(io_describe(io), description) == 0 ? 0 : 3;
    io_destroy(io);
    return result;
}

/* Docker's default profile, an old kernel, a low memory limit: the log works on, and says how. */
TEST(io_create, falls_back_to_posix_where_io_uring_is_refused)
{
    static const struct {
        int refusal;
        const char *description;
    } rows[] = {
        {ENOSYS, "posix (io_uring: Function not implemented)"},
        {EPERM, "posix (io_uring: Operation not permitted)"},
        {ENOMEM, "posix (io_uring: Cannot allocate memory)"},
    };

    if (!SEAM_CAN_FORK) {
        case_skip("the thread sanitizer has no threads after fork");
    }
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            _exit(open_refused(rows[index].refusal, rows[index].description));
        }
        int status = 0;
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
            case_skip("seccomp filters are not to be had here");
        }
        CHECK_INT(WEXITSTATUS(status), 0);
    }
}
