/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a real kernel can show, on both real backends: threads, modes, signals, limits; the
 * code of io/kernel.c, io/pool.c, io/posix.c and io/file_posix.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/io.h"
#include "io/mailbox.h"
#include "io/testing.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "seam.h"

#define RW        (IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* -- Fixture -- */

struct fixture {
    struct io *io;
    struct io_loop *loop;
    struct io_file *file;
    uint8_t *data;
};

static struct fixture fixture_create(bool helps)
{
    const struct seam_options options = {.helps_while_waiting = helps};
    struct fixture fixture = {.io = seam_create(&options)};
    fixture.loop = seam_loop(fixture.io, &options);
    CHECK_INT(io_open(fixture.io, seam_path(seam_folder(fixture.io), "a"), RW, &fixture.file), 0);
    fixture.data = io_alloc(fixture.io, (size_t)256 * BLOCK_BYTES, BLOCK_BYTES);
    CHECK(fixture.data);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    io_close(fixture->io, fixture->file);
    io_loop_destroy(fixture->loop);
    io_free(fixture->io, fixture->data);
    io_destroy(fixture->io);
}

static void count_completion(struct io_op *op)
{
    int *count = op->ctx;
    (*count) += op->error == 0 ? 1 : 1000;
}

static struct io_op write_op(struct fixture *fixture, int64_t block, int *count)
{
    return (struct io_op){.kind = IO_OP_WRITE,
                          .is_durable = true,
                          .file = fixture->file,
                          .data = fixture->data + block * BLOCK_BYTES,
                          .count = BLOCK_BYTES,
                          .position = block * BLOCK_BYTES,
                          .complete = count_completion,
                          .ctx = count};
}

/* -- A guest's manners -- */

/* Files are 0600 and folders 0700 whatever the umask, and the umask is nobody's to change. */
TEST(file_posix, makes_exact_modes_under_any_umask)
{
    static const mode_t masks[] = {0, 022, 0777};
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);

    for (size_t index = 0; index < 3; index++) {
        char name[32];
        struct io_file *file = NULL;
        struct io_file *lock = NULL;
        int64_t holder = 0;
        struct stat info;
        mode_t before = umask(masks[index]);
        (void)snprintf(name, sizeof name, "f%zu", index);
        int made = io_make_folder(io, seam_path(folder, name));
        (void)snprintf(name, sizeof name, "f%zu/a", index);
        int opened = io_open(io, seam_path(folder, name), RW, &file);
        (void)snprintf(name, sizeof name, "f%zu/lock", index);
        int locked = io_lock(io, seam_path(folder, name), &holder, &lock);
        mode_t after = umask(before);

        CHECK_INT(made, 0);
        CHECK_INT(opened, 0);
        CHECK_INT(locked, 0);
        CHECK_INT(after, masks[index]);
        CHECK_INT(stat(seam_path(folder, name), &info), 0);
        CHECK_INT(info.st_mode & 07777, 0600);
        (void)snprintf(name, sizeof name, "f%zu/a", index);
        CHECK_INT(stat(seam_path(folder, name), &info), 0);
        CHECK_INT(info.st_mode & 07777, 0600);
        (void)snprintf(name, sizeof name, "f%zu", index);
        CHECK_INT(stat(seam_path(folder, name), &info), 0);
        CHECK_INT(info.st_mode & 07777, 0700);
        io_close(io, lock);
        io_close(io, file);
    }
    io_destroy(io);
}

/* A program that our host starts must not inherit our files. */
TEST(file_posix, closes_every_descriptor_on_exec)
{
    struct fixture fixture = fixture_create(true);

    for (int fd = 3; fd < 256; fd++) {
        char link[64];
        char target[256] = {0};
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        bool is_ours = readlink(link, target, sizeof target - 1) > 0 &&
                       (strstr(target, "pyralog-test") || strstr(target, "anon_inode"));
        if (is_ours) {
            CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    fixture_destroy(&fixture);
}

/* Opening a pipe would wait for its other end for ever; it is refused instead. */
TEST(file_posix, refuses_what_is_not_a_plain_file)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *path = seam_path(seam_folder(io), "fifo");
    struct io_file *file = NULL;
    CHECK_INT(mkfifo(path, 0600), 0);

    CHECK_INT(io_open(io, path, IO_OPEN_READ, &file), EINVAL);

    io_destroy(io);
}

struct mask_job {
    struct io_job job;
    sigset_t blocked;
};

static void read_mask(struct io_job *job)
{
    (void)pthread_sigmask(SIG_BLOCK, NULL, &container_of(job, struct mask_job, job)->blocked);
}

static void ignore_done(struct io_job *job)
{
    (void)job;
}

/* The host's signals go to the host's threads. */
TEST(pool, blocks_all_signals)
{
    struct fixture fixture = fixture_create(false);
    struct mask_job job = {.job = {.run = read_mask, .done = ignore_done}};

    io_job_start(fixture.loop, &job.job);
    seam_drain(fixture.loop);

    CHECK_INT(sigismember(&job.blocked, SIGTERM), 1);
    CHECK_INT(sigismember(&job.blocked, SIGXFSZ), 1);
    CHECK_INT(sigismember(&job.blocked, SIGPROF), 1);
    fixture_destroy(&fixture);
}

/* In a child: with RLIMIT_FSIZE at two blocks, everything above is EFBIG, and no signal kills us.
 */
static int write_above_the_limit(void)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)2 * BLOCK_BYTES, .rlim_max = RLIM_INFINITY};
    bool is_good = setrlimit(RLIMIT_FSIZE, &limit) == 0; /* Seen when the next file is opened. */
    struct fixture fixture = fixture_create(true);
    int count = 0;
    struct io_op below = write_op(&fixture, 0, &count);
    struct io_op above = write_op(&fixture, 2, &count);
    size_t moved = 0;
    struct bytes span = {fixture.data, BLOCK_BYTES};

    io_submit(fixture.loop, &below);
    io_submit(fixture.loop, &above);
    seam_drain(fixture.loop);
    is_good = is_good && below.error == 0 && above.error == EFBIG;
    is_good = is_good && io_write_at(fixture.io, fixture.file, span, 3 * (int64_t)BLOCK_BYTES, true,
                                     &moved) == EFBIG;
    is_good = is_good && io_allocate(fixture.io, fixture.file, 9 * (int64_t)BLOCK_BYTES) == EFBIG;
    is_good = is_good && io_truncate(fixture.io, fixture.file, 9 * (int64_t)BLOCK_BYTES) == EFBIG;
    is_good = is_good && io_truncate(fixture.io, fixture.file, BLOCK_BYTES) == 0;
    fixture_destroy(&fixture);
    return is_good ? 0 : 1;
}

TEST(file_posix, takes_a_file_size_limit_for_a_full_disk)
{
    if (!SEAM_CAN_FORK) {
        case_skip("the thread sanitizer has no threads after fork");
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        _exit(write_above_the_limit());
    }

    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

/* The lock names the process that has it, and ends with it. */
TEST(io_lock, is_held_across_processes)
{
    if (!SEAM_CAN_FORK) {
        case_skip("the thread sanitizer has no threads after fork");
    }
    struct io *io = seam_create(&(struct seam_options){0});
    const char *path = seam_path(seam_folder(io), "lock");
    int ready[2];
    CHECK_INT(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct io *own = seam_create(&(struct seam_options){0});
        struct io_file *lock = NULL;
        int64_t holder = 0;
        char byte = io_lock(own, path, &holder, &lock) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        (void)pause();
        _exit(0);
    }
    char byte = 0;
    struct io_file *lock = NULL;
    int64_t holder = 0;
    (void)close(ready[1]);
    CHECK_INT(read(ready[0], &byte, 1), 1);

    int error = io_lock(io, path, &holder, &lock);
    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(waitpid(child, NULL, 0), child);
    int later = EWOULDBLOCK;
    for (int round = 0; round < 1000 && later == EWOULDBLOCK; round++) {
        int64_t ignored = 0;
        later = io_lock(io, path, &ignored, &lock);
        (void)sched_yield(); /* io_uring may keep the dead one's file for a moment. */
    }

    CHECK_INT(byte, 'y');
    CHECK_INT(error, EWOULDBLOCK);
    CHECK_INT(holder, child);
    CHECK_INT(later, 0);
    io_close(io, lock);
    (void)close(ready[0]);
    io_destroy(io);
}

/* -- Threads -- */

struct waker {
    struct io_loop *loop;
    atomic_int rounds; /* Raised by the loop's thread; the waker wakes it once per round. */
    atomic_bool is_over;
};

static void *wake_again_and_again(void *ctx)
{
    struct waker *waker = ctx;
    int seen = 0;
    while (!atomic_load(&waker->is_over)) {
        if (atomic_load(&waker->rounds) != seen) {
            seen++;
            io_loop_wake(waker->loop);
        }
    }
    return NULL;
}

/* A wake-up is never lost, whether it comes before, at or in the sleep. IO-5 */
TEST(io_loop_wake, is_never_lost)
{
    for (int helps = 0; helps < 2; helps++) {
        struct fixture fixture = fixture_create(helps);
        struct waker waker = {.loop = fixture.loop};
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, wake_again_and_again, &waker), 0);
        uint64_t end_ns = io_now_mono_ns(fixture.io) + 20 * NS_PER_S;

        int round = 0;
        while (round < 3000 && io_now_mono_ns(fixture.io) < end_ns) {
            (void)atomic_fetch_add(&waker.rounds, 1);
            io_loop_wait(fixture.loop, io_now_mono_ns(fixture.io) + 10 * NS_PER_S);
            (void)io_loop_dispatch(fixture.loop);
            round++;
        }
        atomic_store(&waker.is_over, true);
        CHECK_INT(pthread_join(thread, NULL), 0);

        CHECK_INT(round, 3000);
        fixture_destroy(&fixture);
    }
}

enum { POSTERS = 4, LETTERS = 5000 };

struct post_box {
    struct io_mailbox mailbox;
    int next[POSTERS]; /* The letter that each poster must send next. */
    int count;
    bool is_in_order;
};

struct letter {
    int poster;
    int number;
};

struct poster {
    struct post_box *box;
    struct letter *letters;
};

static void receive(struct io_mailbox *mailbox, void *content)
{
    struct post_box *box = mailbox->ctx;
    const struct letter *letter = content;
    box->is_in_order = box->is_in_order && box->next[letter->poster] == letter->number;
    box->next[letter->poster]++;
    box->count++;
}

static void *post_all(void *ctx)
{
    struct poster *poster = ctx;
    for (int index = 0; index < LETTERS; index++) {
        while (!io_mailbox_post(&poster->box->mailbox, &poster->letters[index])) {
            (void)sched_yield();
        }
    }
    return NULL;
}

/* Many posters against one sleeping loop: each letter once, each poster's in order. IO-5, IO-7,
 * IO-8 */
TEST(io_mailbox, delivers_every_letter_of_many_threads)
{
    static struct letter letters[POSTERS][LETTERS];
    struct fixture fixture = fixture_create(true);
    struct post_box box = {.is_in_order = true};
    CHECK_INT(io_mailbox_init(&box.mailbox, fixture.loop, 16, receive, &box), 0);
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    for (int index = 0; index < POSTERS; index++) {
        for (int number = 0; number < LETTERS; number++) {
            letters[index][number] = (struct letter){index, number};
        }
        posters[index] = (struct poster){&box, letters[index]};
        CHECK_INT(pthread_create(&threads[index], NULL, post_all, &posters[index]), 0);
    }

    uint64_t end_ns = io_now_mono_ns(fixture.io) + 30 * NS_PER_S;
    while (box.count < POSTERS * LETTERS && io_now_mono_ns(fixture.io) < end_ns) {
        io_loop_wait(fixture.loop, end_ns);
        (void)io_loop_dispatch(fixture.loop);
    }
    int count = box.count;
    for (int index = 0; index < POSTERS; index++) {
        CHECK_INT(pthread_join(threads[index], NULL), 0);
    }

    CHECK_INT(count, POSTERS * LETTERS);
    CHECK(box.is_in_order);
    io_mailbox_deinit(&box.mailbox);
    fixture_destroy(&fixture);
}

/* The embedded log's way: one lock for the owner's calls; the wait without it. */
struct shared {
    struct fixture *fixture;
    pthread_mutex_t lock;
    atomic_bool is_over;
    struct io_op op;
    int count;
};

static void *drive(void *ctx)
{
    struct shared *shared = ctx;
    while (!atomic_load(&shared->is_over)) {
        io_loop_wait(shared->fixture->loop, IO_TIME_NEVER);
        (void)pthread_mutex_lock(&shared->lock);
        (void)io_loop_dispatch(shared->fixture->loop);
        (void)pthread_mutex_unlock(&shared->lock);
    }
    return NULL;
}

/* Submit the operation of a round; return how many are done with it, or `round` if time is up. */
static int submit_and_await(struct shared *shared, int round, uint64_t end_ns)
{
    (void)pthread_mutex_lock(&shared->lock);
    shared->op = write_op(shared->fixture, round % 8, &shared->count);
    io_submit(shared->fixture->loop, &shared->op);
    (void)pthread_mutex_unlock(&shared->lock);

    int done = round;
    while (done == round && io_now_mono_ns(shared->fixture->io) < end_ns) {
        (void)pthread_mutex_lock(&shared->lock);
        done = shared->count;
        (void)pthread_mutex_unlock(&shared->lock);
        (void)sched_yield();
    }
    return done;
}

/* What is submitted while another thread sleeps in the wait starts at once, not at its deadline. */
TEST(io_submit, is_picked_up_while_another_thread_waits)
{
    for (int helps = 0; helps < 2; helps++) {
        struct fixture fixture = fixture_create(helps);
        struct shared shared = {.fixture = &fixture};
        CHECK_INT(pthread_mutex_init(&shared.lock, NULL), 0);
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, drive, &shared), 0);
        uint64_t end_ns = io_now_mono_ns(fixture.io) + 20 * NS_PER_S;

        int done = 0;
        for (int round = 0; round < 200; round++) {
            done = submit_and_await(&shared, round, end_ns);
        }
        atomic_store(&shared.is_over, true);
        io_loop_wake(fixture.loop);
        CHECK_INT(pthread_join(thread, NULL), 0);

        CHECK_INT(done, 200);
        (void)pthread_mutex_destroy(&shared.lock);
        fixture_destroy(&fixture);
    }
}

struct starter {
    struct fixture *fixture;
    struct io_timer timer;
    pthread_mutex_t *lock;
};

static void ignore_fire(struct io_timer *timer)
{
    (void)timer;
}

static void *start_timer(void *ctx)
{
    struct starter *starter = ctx;
    (void)pthread_mutex_lock(starter->lock);
    io_timer_start(starter->fixture->loop, &starter->timer, io_now_mono_ns(starter->fixture->io));
    (void)pthread_mutex_unlock(starter->lock);
    return NULL;
}

/* A timer that becomes the earliest shortens a sleep that began before. IO-5 */
TEST(io_timer, ends_the_sleep_of_another_thread)
{
    struct fixture fixture = fixture_create(true);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct starter starter = {.fixture = &fixture, .timer = {.fire = ignore_fire}, .lock = &lock};
    uint64_t end_ns = io_now_mono_ns(fixture.io) + 20 * NS_PER_S;
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, start_timer, &starter), 0);

    size_t delivered = 0;
    while (delivered == 0 && io_now_mono_ns(fixture.io) < end_ns) {
        io_loop_wait(fixture.loop, end_ns);
        (void)pthread_mutex_lock(&lock);
        delivered = io_loop_dispatch(fixture.loop);
        (void)pthread_mutex_unlock(&lock);
    }
    CHECK_INT(pthread_join(thread, NULL), 0);

    CHECK_INT(delivered, 1);
    CHECK(io_now_mono_ns(fixture.io) < end_ns);
    fixture_destroy(&fixture);
}

enum { LEFT_BEHIND = 8 };

struct leaver {
    struct fixture *fixture;
    struct io_op ops[LEFT_BEHIND];
    int count;
};

static void *submit_and_leave(void *ctx)
{
    struct leaver *leaver = ctx;
    for (int index = 0; index < LEFT_BEHIND; index++) {
        leaver->ops[index] = write_op(leaver->fixture, index, &leaver->count);
        if (index % 2 == 1) {
            leaver->ops[index].kind = IO_OP_SYNC;
            leaver->ops[index].count = 0;
        }
        io_submit(leaver->fixture->loop, &leaver->ops[index]);
    }
    io_loop_flush(leaver->fixture->loop);
    return NULL;
}

/* An appending thread may end while its writes are in flight: nothing is lost by that, and nothing
 * fails. The kernel takes back what an ended thread had queued (ECANCELED); it is issued again. */
TEST(io_submit, survives_the_end_of_the_submitting_thread)
{
    for (int round = 0; round < 50; round++) {
        struct fixture fixture = fixture_create(round % 2 == 0);
        struct leaver leaver = {.fixture = &fixture};
        pthread_t thread;
        memset(fixture.data, 'x', (size_t)LEFT_BEHIND * BLOCK_BYTES);
        CHECK_INT(pthread_create(&thread, NULL, submit_and_leave, &leaver), 0);
        CHECK_INT(pthread_join(thread, NULL), 0);

        seam_drain(fixture.loop);

        CHECK_INT(leaver.count, LEFT_BEHIND);
        for (int index = 0; index < LEFT_BEHIND; index++) {
            CHECK_INT(leaver.ops[index].error, 0);
        }
        fixture_destroy(&fixture);
    }
}

/* The thread that kept the wake-up in the ring may end as well. */
TEST(io_loop_wake, reaches_a_loop_whose_last_driver_has_ended)
{
    struct fixture fixture = fixture_create(true);
    struct leaver leaver = {.fixture = &fixture};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, submit_and_leave, &leaver), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    seam_drain(fixture.loop);
    struct waker waker = {.loop = fixture.loop};
    CHECK_INT(pthread_create(&thread, NULL, wake_again_and_again, &waker), 0);
    uint64_t end_ns = io_now_mono_ns(fixture.io) + 20 * NS_PER_S;

    for (int round = 0; round < 100; round++) {
        (void)atomic_fetch_add(&waker.rounds, 1);
        io_loop_wait(fixture.loop, end_ns);
    }
    bool was_in_time = io_now_mono_ns(fixture.io) < end_ns;
    atomic_store(&waker.is_over, true);
    CHECK_INT(pthread_join(thread, NULL), 0);

    CHECK(was_in_time);
    fixture_destroy(&fixture);
}

static struct io_loop *signalled_loop;
static volatile sig_atomic_t errno_after_wake;

static void wake_in_handler(int number)
{
    (void)number;
    int errno_before = errno;
    errno = 77;
    io_loop_wake(signalled_loop);
    errno_after_wake = errno;
    errno = errno_before;
}

/* A program wakes its loop from a signal handler to end, while the loop sleeps, and finds errno as
 * it was. */
TEST(io_loop_wake, may_be_called_in_a_signal_handler)
{
    struct fixture fixture = fixture_create(true);
    signalled_loop = fixture.loop;
    struct sigaction action = {.sa_handler = wake_in_handler};
    struct sigaction before;
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    CHECK_INT(sigaction(SIGALRM, &action, &before), 0);
    uint64_t end_ns = io_now_mono_ns(fixture.io) + 20 * NS_PER_S;

    CHECK_INT(setitimer(ITIMER_REAL, &soon, NULL), 0);
    while (errno_after_wake == 0 && io_now_mono_ns(fixture.io) < end_ns) {
        io_loop_wait(fixture.loop, end_ns);
    }

    CHECK_INT(errno_after_wake, 77);
    CHECK(io_now_mono_ns(fixture.io) < end_ns);
    CHECK_INT(sigaction(SIGALRM, &before, NULL), 0);
    fixture_destroy(&fixture);
}

/* -- Memory -- */

/* Every allocation on the way to a working loop may fail, and nothing is leaked. IO-9 */
TEST(io_alloc, may_fail_at_every_place)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *path = seam_path(seam_folder(io), "a");
    int error = ENOMEM;
    uint64_t nth = 0;

    while (error == ENOMEM) {
        struct io_file *file = NULL;
        struct io_loop *loop = NULL;
        struct io_entries entries = {0};
        io_testing_fail_allocation(io, ++nth);
        error = io_open(io, path, RW, &file);
        error =
            error != 0 ? error : io_loop_create(io, &(struct io_loop_options){.ops_max = 2}, &loop);
        error = error != 0 ? error : io_list(io, ".", &entries);
        io_testing_fail_allocation(io, 0);
        io_entries_free(io, &entries);
        io_loop_destroy(loop);
        io_close(io, file);
        CHECK_INT(io_testing_allocations_live(io), 0);
    }

    CHECK_INT(error, 0);
    CHECK(nth >= 4);
    io_destroy(io);
}
