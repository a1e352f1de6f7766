/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What io_uring may do to us: a ring that dies, and a host that refuses it.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "lib/case.h"
#include "seam.h"

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

static void count_completion(struct io_op *op)
{
    int *count = op->ctx;
    (*count)++;
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
