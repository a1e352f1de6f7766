/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer is killed with -9 again and again, at random moments, on a real disk. What it
 * acknowledged arrived here, in another process, through a pipe; after each kill a third process
 * opens the folder and proves that all of it is there. The folder is kept over all rounds, so that
 * crashes pile up: recovery of what a recovery left. Small files make it roll, recycle and
 * checkpoint all the time.
 *
 * PYRALOG_TEST_SEED repeats a run's moments, and PYRALOG_TEST_PERCENT scales the rounds: 1000 for a
 * long run. A kill leaves what the kernel has, so that this is about the order of operations; power
 * cuts are tested on the simulated disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "lib/case.h"
#include "program.h"

/* Rounds of a default run. */
enum { ROUNDS = 12 };

/* The moment of the kill, after the first acknowledgement. */
enum { KILL_MS_MAX = 300 };

/* Kills in a change of the number of shards, and how late. */
enum { CHANGES = 12, CHANGE_KILL_MS_MAX = 200 };

static uint64_t now_ms(void)
{
    struct timespec now;
    CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Copy what the child acknowledges from @fd to @acks until its end; kill it @kill_ms after the
 * first line. Returns the bytes copied. */
static size_t acks_copy(int fd, int acks, pid_t child, uint64_t kill_ms)
{
    uint64_t kill_at = UINT64_MAX;
    size_t copied = 0;
    for (;;) {
        uint64_t now = now_ms();
        if (kill_at != UINT64_MAX && now >= kill_at) {
            CHECK_INT(kill(child, SIGKILL), 0);
            kill_at = UINT64_MAX;
        }
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        int wait_ms = kill_at == UINT64_MAX ? 30000 : (int)(kill_at - now);
        int ready = poll(&poller, 1, wait_ms);
        CHECK(ready >= 0 || errno == EINTR);
        if (ready <= 0) {
            CHECK(kill_at != UINT64_MAX); /* Nothing was acknowledged for half a minute. */
            continue;
        }
        char data[4096];
        ssize_t count = read(fd, data, sizeof data);
        CHECK(count >= 0);
        if (count == 0) {
            return copied;
        }
        CHECK_INT(write(acks, data, (size_t)count), count);
        if (copied == 0) {
            kill_at = now_ms() + kill_ms;
        }
        copied += (size_t)count;
    }
}

/* The ways of appending that the rounds go through. */
static const char *const ways[][4] = {
    {"--threads=8", "--sync=always", "--size=100B", "--batch=1"},
    {"--threads=2", "--sync=always", "--size=900B", "--async=64"},
    {"--threads=3", "--sync=os-now", "--size=300B", "--batch=7"},
    {"--threads=4", "--sync=always", "--size=4KiB", "--batch=5"},
};

/* Cut the last, unfinished line off, so that the next round's lines begin on their own. */
static void acks_trim(int acks)
{
    off_t end = lseek(acks, 0, SEEK_END);
    char sign = '\0';
    while (end > 0) {
        CHECK_INT(pread(acks, &sign, 1, end - 1), 1);
        if (sign == '\n') {
            break;
        }
        end--;
    }
    CHECK_INT(ftruncate(acks, end), 0);
}

static void kill_rounds(const char *backend, uint64_t rounds, uint64_t seed)
{
    const char *store = "--embedded=store";
    const char *path = "acks";
    CHECK_INT(chdir(case_folder()), 0);
    int acks = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK(acks >= 0);
    struct prng prng = prng_of(seed, 0);
    for (uint64_t round = 0; round < rounds; round++) {
        const char *const *way = ways[prng_below(&prng, sizeof ways / sizeof *ways)];
        const char *const words[] = {"pyralog-load",
                                     store,
                                     backend,
                                     "--duration=1h",
                                     "--partitions=2",
                                     "--segment-bytes=256KiB",
                                     "--wal-file-bytes=256KiB",
                                     "--wal-files=4",
                                     "--ack-file",
                                     "/dev/stdout",
                                     way[0],
                                     way[1],
                                     way[2],
                                     way[3],
                                     NULL};
        int fd = -1;
        pid_t child = program_start(words, &fd);
        size_t copied = acks_copy(fd, acks, child, prng_below(&prng, KILL_MS_MAX));
        int status = program_end(child);
        (void)close(fd);
        CHECK_INT(status, 128 + SIGKILL);
        CHECK(copied > 0);
        acks_trim(acks);

        struct program *judge =
            PROGRAM("pyralog-load", store, backend, "--partitions=2", "--verify-against", path);
        if (judge->status != 0) {
            print_message("# seed %" PRIu64 ", round %" PRIu64 "\n# %s%s", seed, round, judge->out,
                          judge->err);
        }
        CHECK_INT(judge->status, 0);
        free(judge);
    }
    (void)close(acks);
}

/* Let a process change the number of shards to @shards and verify, and kill it @kill_ms after its
 * start; then let another one verify with whatever number there is. */
static void kill_in_change(const char *acks, const char *shards, uint64_t kill_ms)
{
    const char *const words[] = {"pyralog-load",
                                 "--embedded=store",
                                 "--partitions=5",
                                 shards,
                                 "--wal-files=4",
                                 "--verify-against",
                                 acks,
                                 NULL};
    int fd = -1;
    pid_t child = program_start(words, &fd);
    const struct timespec nap = {.tv_nsec = (long)kill_ms * 1000000};
    (void)nanosleep(&nap, NULL);
    CHECK_INT(kill(child, SIGKILL), 0);
    int status = program_end(child);
    (void)close(fd);
    CHECK(status == 0 || status == 128 + SIGKILL);
    struct program *judge =
        PROGRAM("pyralog-load", "--embedded=store", "--partitions=5", "--verify-against", acks);
    if (judge->status != 0) {
        print_message("# %s, killed after %" PRIu64 " ms\n# %s%s", shards, kill_ms, judge->out,
                      judge->err);
    }
    CHECK_INT(judge->status, 0);
    free(judge);
}

static uint64_t seed_take(void)
{
    const char *text = getenv("PYRALOG_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : now_ms();
    print_message("# PYRALOG_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* The promise of the product, on this host's default backend. */
TEST(kill, loses_nothing_that_was_acknowledged)
{
    kill_rounds("--backend=auto", case_scale(ROUNDS), seed_take());
}

/* And on the backend that works everywhere. */
TEST(kill, loses_nothing_with_posix)
{
    kill_rounds("--backend=posix", case_scale(ROUNDS / 2), seed_take());
}

/* Whenever a process dies while it changes the number of shards, the next one finds everything. */
TEST(kill, in_a_change_of_the_number_of_shards_loses_nothing)
{
    static const char *const numbers[] = {"--shards=3", "--shards=2", "--shards=1"};
    struct prng prng = prng_of(seed_take(), 0);
    CHECK_INT(chdir(case_folder()), 0);
    int acks = open("acks", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK(acks >= 0);
    const char *const words[] = {"pyralog-load",
                                 "--embedded=store",
                                 "--duration=1h",
                                 "--partitions=5",
                                 "--segment-bytes=256KiB",
                                 "--threads=4",
                                 "--ack-file",
                                 "/dev/stdout",
                                 "--size=900B",
                                 "--wal-files=4",
                                 "--wal-file-bytes=256KiB",
                                 NULL};
    int fd = -1;
    pid_t child = program_start(words, &fd);
    CHECK(acks_copy(fd, acks, child, KILL_MS_MAX) > 0);
    CHECK_INT(program_end(child), 128 + SIGKILL);
    (void)close(fd);
    acks_trim(acks);

    uint64_t rounds = case_scale(CHANGES);
    for (uint64_t round = 0; round < rounds; round++) {
        kill_in_change("acks", numbers[round % 3], prng_below(&prng, CHANGE_KILL_MS_MAX));
    }

    (void)close(acks);
}
