/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_memory - how fast do bytes move here, and what does that leave for large appends?
 *
 * Method: copies within the last cache and beyond it, checksums and hashes, reading and overwriting
 * of the page cache, and the memory-copy budget of a 1 MiB batch (budget.h), all on memory touched
 * before.
 *
 * What would make it a lie: first touches of memory (warmed), copies that the compiler drops, a
 * page cache that is being written back meanwhile (a little of it is, as under the log).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/limits.h"
#include "bench.h"
#include "budget.h"

#define KIB_BYTES   ((size_t)1024)
#define PIECE_BYTES (1024 * KIB_BYTES)
#define FILE_PIECES ((size_t)256)

/* What is done again and again: @round counts up, @ctx is the case's own. */
typedef void (*step)(void *ctx, uint64_t round);

/* Run @one for the time given, and print the rate at which its @bytes went through. */
static void measure(const char *name,
                    const struct bench_options *options,
                    step one,
                    void *ctx,
                    size_t bytes)
{
    bench_warm_memory(options, 2 * FILE_PIECES * PIECE_BYTES);
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    size_t steps_a_look = bytes < PIECE_BYTES ? PIECE_BYTES / bytes : 1;
    uint64_t round = 0;
    uint64_t start_ns = bench_begin();
    uint64_t spent_ns = 0;
    while (spent_ns < limit_ns) {
        for (size_t index = 0; index < steps_a_look; index++) {
            one(ctx, round++);
        }
        spent_ns = bench_now_ns() - start_ns;
    }
    (void)bench_end(start_ns);
    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(round * bytes, spent_ns),
                                       .unit = "bytes/s"});
}

/* -- Copies and checksums -- */

struct copy {
    uint8_t *from;
    uint8_t *to;
    size_t bytes;
};

static void copy_step(void *ctx, uint64_t round)
{
    struct copy *copy = ctx;
    (void)round;
    memcpy(copy->to, copy->from, copy->bytes);
    bench_use(copy->to[copy->bytes - 1]);
}

static void checksum_step(void *ctx, uint64_t round)
{
    struct copy *copy = ctx;
    (void)round;
    bench_use(checksum_crc32c(0, (struct bytes){.data = copy->from, .count = copy->bytes}));
}

static void hash_step(void *ctx, uint64_t round)
{
    struct copy *copy = ctx;
    bench_use(checksum_hash64(round, (struct bytes){.data = copy->from, .count = copy->bytes}));
}

static void run_copy(const char *name, const struct bench_options *options, step one, size_t bytes)
{
    struct copy copy = {.from = bench_memory(bytes), .to = bench_memory(bytes), .bytes = bytes};
    measure(name, options, one, &copy, bytes);
    free(copy.from);
    free(copy.to);
}

static void copy_64_kib(const char *name, const struct bench_options *options)
{
    run_copy(name, options, copy_step, 64 * KIB_BYTES);
}

static void copy_1_mib(const char *name, const struct bench_options *options)
{
    run_copy(name, options, copy_step, PIECE_BYTES);
}

static void copy_256_mib(const char *name, const struct bench_options *options)
{
    run_copy(name, options, copy_step, FILE_PIECES * PIECE_BYTES);
}

static void checksum_100_bytes(const char *name, const struct bench_options *options)
{
    run_copy(name, options, checksum_step, 100);
}

static void checksum_64_kib(const char *name, const struct bench_options *options)
{
    run_copy(name, options, checksum_step, 64 * KIB_BYTES);
}

static void checksum_1_mib(const char *name, const struct bench_options *options)
{
    run_copy(name, options, checksum_step, PIECE_BYTES);
}

static void hash_64_kib(const char *name, const struct bench_options *options)
{
    run_copy(name, options, hash_step, 64 * KIB_BYTES);
}

/* -- The page cache -- */

struct cached_file {
    int fd;
    uint8_t *piece;
};

static off_t piece_position(uint64_t round)
{
    return (off_t)(round % FILE_PIECES * PIECE_BYTES);
}

static void overwrite_step(void *ctx, uint64_t round)
{
    struct cached_file *file = ctx;
    if (pwrite(file->fd, file->piece, PIECE_BYTES, piece_position(round)) != (ssize_t)PIECE_BYTES) {
        bench_fail("write to the page cache: %s", strerror(errno));
    }
}

static void read_step(void *ctx, uint64_t round)
{
    struct cached_file *file = ctx;
    if (pread(file->fd, file->piece, PIECE_BYTES, piece_position(round)) != (ssize_t)PIECE_BYTES) {
        bench_fail("read from the page cache: %s", strerror(errno));
    }
}

static void run_cached(const char *name, const struct bench_options *options, step one)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, "cached", path, sizeof path);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        bench_fail("open '%s': %s", path, strerror(errno));
    }
    struct cached_file file = {.fd = fd, .piece = bench_memory(PIECE_BYTES)};
    for (uint64_t round = 0; round < FILE_PIECES; round++) {
        overwrite_step(&file, round);
    }
    measure(name, options, one, &file, PIECE_BYTES);
    (void)close(fd);
    free(file.piece);
    bench_remove(options, "cached");
}

static void cache_overwrite(const char *name, const struct bench_options *options)
{
    run_cached(name, options, overwrite_step);
}

static void cache_read(const char *name, const struct bench_options *options)
{
    run_cached(name, options, read_step);
}

/* -- The budget -- */

static void budget_step(void *ctx, uint64_t round)
{
    (void)round;
    budget_pass(ctx);
}

static void copy_budget(const char *name, const struct bench_options *options)
{
    struct budget budget;
    budget_open(&budget);
    measure(name, options, budget_step, &budget, BUDGET_BATCH_BYTES);
    budget_close(&budget);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"copy, 64 KiB", copy_64_kib},
        {"copy, 1 MiB", copy_1_mib},
        {"copy, 256 MiB", copy_256_mib},
        {"CRC32C, 100 B", checksum_100_bytes},
        {"CRC32C, 64 KiB", checksum_64_kib},
        {"CRC32C, 1 MiB", checksum_1_mib},
        {"XXH3, 64 KiB", hash_64_kib},
        {"page cache, overwrite by 1 MiB", cache_overwrite},
        {"page cache, read by 1 MiB", cache_read},
        {"memory-copy budget of a 1 MiB batch", copy_budget},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
