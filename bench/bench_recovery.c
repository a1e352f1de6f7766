/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_recovery - how long does opening take after a crash?
 *
 * Method: a child process appends 512 MiB that stay in the journal and the cache (its limits are
 * set so that nothing is checkpointed), and kills itself. Opening the store then reads all of it,
 * checks it and makes it readable. From memory: the store's files were read just before. From the
 * device: their pages were dropped from the page cache. What counts are the bytes of the records
 * that came back; what was read besides, such as spare files behind the journal's end, is not.
 *
 * Beside it, in the same run: as many bytes of the same journal through one straight thread that
 * reads a piece, takes its CRC32C and copies it to fresh memory. No recovery that reads, verifies
 * and places can do less, though one with two threads can overlap it; so the ratio says what our
 * own work costs, on any machine.
 *
 * The cases of many logs say what a log costs at opening: each has one record, in the journal only.
 *
 * What would make it a lie: a clean stop (the child is killed), a checkpoint that leaves little to
 * do (the report says how many records the journal gave, and one too few ends the program), records
 * that are not readable (the last one is read), a measure that grows with useless reading.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/limits.h"
#include "bench.h"
#include "embedded.h"

/* As many batches as make 512 MiB of records, rounded up. */
enum {
    BATCH_RECORDS = 1000,
    BATCH_BYTES = BATCH_RECORDS * EMBEDDED_RECORD_BYTES,
    BATCHES = ((512 << 20) + BATCH_BYTES - 1) / BATCH_BYTES
};

#define RECOVERED_BYTES ((double)BATCHES * BATCH_BYTES)

enum { MANY_LOGS = 1000 };

enum { WAL_FILES = 24, OPEN_FOLDERS = 16, NEVER_MS = 3600 * 1000 };

#define CACHE_BYTES       (UINT64_C(4) << 30)
#define PIECE_BYTES       ((size_t)1 << 20)
#define WARM_MEMORY_BYTES ((size_t)1 << 30)
#define STRAIGHT_BYTES    ((size_t)4 << 20)
#define LARGE_PAGE_BYTES  ((size_t)2 << 20)
#define NS_A_SECOND       1e9
#define STRAIGHT_NAME     "one straight thread"
#define BYTES_A_GB        1e9

static struct embedded_options crash_options(void)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    wanted.record_count = BATCH_RECORDS;
    wanted.store.wal_files_max = WAL_FILES;
    wanted.store.cache_max_size = CACHE_BYTES;
    wanted.store.max_buffer_time_ms = NEVER_MS;
    wanted.log.retention_bytes = 0;
    return wanted;
}

/* In the child: append, then die as by a power cut of the program. */
static _Noreturn void append_and_die(const struct bench_options *options)
{
    struct embedded_options wanted = crash_options();
    struct embedded embedded;
    embedded_open(&embedded, options, &wanted);
    for (int batch = 0; batch < BATCHES; batch++) {
        embedded_append(&embedded);
    }
    (void)kill(getpid(), SIGKILL);
    abort();
}

/* In the child: append to many logs, and die likewise. */
static _Noreturn void make_logs_and_die(const struct bench_options *options)
{
    struct embedded_options wanted = crash_options();
    char path[PATH_BYTES_MAX];
    bench_path(options, wanted.name, path, sizeof path);
    bench_remove(options, wanted.name);
    struct pyr_error error;
    struct pyr_store *store = NULL;
    bench_must(pyr_store_open(path, &wanted.store, &store, &error), &error, "open");
    for (uint32_t number = 0; number < MANY_LOGS; number++) {
        struct pyr_log *log = NULL;
        struct pyr_receipt receipt;
        const struct pyr_record record = {.value = "x", .value_bytes = 1};
        bench_must(pyr_store_log(store, "bench", number, &wanted.log, &log, &error), &error,
                   "open a log");
        bench_must(pyr_log_append(log, &record, &receipt, &error), &error, "append");
    }
    (void)kill(getpid(), SIGKILL);
    abort();
}

static void crash(const struct bench_options *options,
                  void (*live_and_die)(const struct bench_options *options))
{
    pid_t child = fork();
    if (child < 0) {
        bench_fail("fork: %s", strerror(errno));
    }
    if (child == 0) {
        live_and_die(options);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL) {
        bench_fail("the child that was to be killed ended by itself");
    }
}

static int read_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)walk;
    int fd = kind == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return 0;
    }
    uint8_t *piece = malloc(PIECE_BYTES);
    ssize_t count = piece ? 1 : 0;
    while (count > 0) {
        count = read(fd, piece, PIECE_BYTES);
    }
    free(piece);
    (void)close(fd);
    return 0;
}

static int drop_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)walk;
    int fd = kind == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return 0;
    }
    (void)fdatasync(fd); /* Dirty pages cannot be dropped. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
    return 0;
}

/* End the program unless the last record of @store can be read. */
static void check_readable(struct pyr_store *store, const struct embedded_options *wanted)
{
    struct pyr_error error;
    struct pyr_log *log = NULL;
    bench_must(pyr_store_log(store, "bench", 0, &wanted->log, &log, &error), &error, "open");
    struct pyr_reader *reader = NULL;
    int64_t offset = (int64_t)BATCHES * BATCH_RECORDS - 1;
    bench_must(pyr_reader_open(log, offset, &reader, &error), &error, "read");
    struct pyr_record record;
    bench_must(pyr_reader_next(reader, 0, &record, &error), &error, "read");
    if (record.offset != offset || record.value_bytes != EMBEDDED_RECORD_BYTES) {
        bench_fail("record %lld is not the one appended", (long long)offset);
    }
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* -- The limit -- */

/* Read, verify and copy the journal file at @path to @to, at most @count_max bytes; return how many
 * there were. */
static size_t straight_file(const char *path,
                            int flags,
                            uint8_t *piece,
                            uint8_t *to,
                            size_t count_max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0) {
        bench_fail("open '%s': %s", path, strerror(errno));
    }
    size_t done = 0;
    ssize_t count = 1;
    while (count > 0 && done < count_max) {
        count = read(fd, piece, STRAIGHT_BYTES);
        size_t wanted = count_max - done;
        size_t used = count <= 0 ? 0 : (size_t)count < wanted ? (size_t)count : wanted;
        bench_use(checksum_crc32c(0, (struct bytes){piece, used}));
        memcpy(to + done, piece, used);
        done += used;
    }
    (void)close(fd);
    if (count < 0) {
        bench_fail("read '%s': %s", path, strerror(errno));
    }
    return done;
}

/* Return how many seconds one thread takes for the journal of the store at @folder. */
static double straight(const char *folder, int flags)
{
    size_t room_bytes = align_up((size_t)RECOVERED_BYTES, LARGE_PAGE_BYTES);
    uint8_t *piece = bench_memory(STRAIGHT_BYTES);
    uint64_t start_ns = bench_now_ns();
    uint8_t *room = aligned_alloc(LARGE_PAGE_BYTES, room_bytes);
    if (!room) {
        bench_fail("no memory for %zu bytes", room_bytes);
    }
    (void)madvise(room, room_bytes, MADV_HUGEPAGE); /* As the cache's chunks. */
    size_t done = 0;
    for (unsigned slot = 0; done < (size_t)RECOVERED_BYTES; slot++) {
        char path[PATH_BYTES_MAX];
        int count = snprintf(path, sizeof path, "%s/wal/1.0/%08u.wal", folder, slot);
        if (count < 0 || (size_t)count >= sizeof path) {
            bench_fail("--folder: '%s' is too long", folder);
        }
        done += straight_file(path, flags, piece, room + done, (size_t)RECOVERED_BYTES - done);
    }
    uint64_t spent_ns = bench_now_ns() - start_ns;
    free(room);
    free(piece);
    return (double)spent_ns / NS_A_SECOND;
}

/* -- Recovering -- */

/* How the page cache is prepared, and how the straight thread opens its files. */
struct source {
    __nftw_func_t prepare;
    int flags;
};

struct seconds {
    double opening;
    double straight;
};

/* Crash, prepare the page cache, and open; before that, measure the limit. */
static struct seconds recover(const struct bench_options *options, const struct source *source)
{
    crash(options, append_and_die);
    struct embedded_options wanted = crash_options();
    char path[PATH_BYTES_MAX];
    bench_path(options, wanted.name, path, sizeof path);
    (void)nftw(path, source->prepare, OPEN_FOLDERS, FTW_PHYS);
    bench_warm_memory(options, WARM_MEMORY_BYTES);
    struct seconds seconds = {.straight = straight(path, source->flags)};
    bench_warm_memory(options, WARM_MEMORY_BYTES);

    struct pyr_store *store = NULL;
    struct pyr_error error;
    struct pyr_recovery recovery;
    uint64_t start_ns = bench_begin();
    bench_must(pyr_store_open(path, &wanted.store, &store, &error), &error, "open");
    seconds.opening = (double)bench_end(start_ns) / NS_A_SECOND;
    pyr_store_recovery(store, &recovery);
    check_readable(store, &wanted);
    pyr_store_close(store);
    bench_remove(options, wanted.name);

    if (recovery.was_clean || recovery.records < (uint64_t)BATCHES * BATCH_RECORDS) {
        bench_fail("recovery found %llu records only", (unsigned long long)recovery.records);
    }
    return seconds;
}

static void from_memory(const char *name, const struct bench_options *options)
{
    struct seconds seconds = recover(options, &(struct source){.prepare = read_file});
    double recovered_gib = RECOVERED_BYTES / (double)GIB;
    bench_print(&(struct bench_figure){.name = name,
                                       .value = recovered_gib / seconds.opening,
                                       .unit = "GiB/s",
                                       .sync = "always",
                                       .against = STRAIGHT_NAME,
                                       .against_value = recovered_gib / seconds.straight});
}

static void from_device(const char *name, const struct bench_options *options)
{
    const struct source source = {.prepare = drop_file, .flags = O_DIRECT};
    struct seconds seconds = recover(options, &source);
    double recovered_gb = RECOVERED_BYTES / BYTES_A_GB;
    bench_print(&(struct bench_figure){.name = name,
                                       .value = seconds.opening / recovered_gb,
                                       .unit = "s per GB",
                                       .sync = "always",
                                       .against = STRAIGHT_NAME,
                                       .against_value = seconds.straight / recovered_gb});
}

/* -- Many logs -- */

static void many_logs(const char *name, const struct bench_options *options, __nftw_func_t prepare)
{
    crash(options, make_logs_and_die);
    struct embedded_options wanted = crash_options();
    char path[PATH_BYTES_MAX];
    bench_path(options, wanted.name, path, sizeof path);
    (void)nftw(path, prepare, OPEN_FOLDERS, FTW_PHYS);
    bench_warm_memory(options, WARM_MEMORY_BYTES);

    struct pyr_store *store = NULL;
    struct pyr_error error;
    struct pyr_recovery recovery;
    uint64_t start_ns = bench_begin();
    bench_must(pyr_store_open(path, &wanted.store, &store, &error), &error, "open");
    double seconds = (double)bench_end(start_ns) / NS_A_SECOND;
    pyr_store_recovery(store, &recovery);
    pyr_store_close(store);
    bench_remove(options, wanted.name);
    if (recovery.records < MANY_LOGS) {
        bench_fail("recovery found %llu records only", (unsigned long long)recovery.records);
    }
    bench_print(
        &(struct bench_figure){.name = name, .value = seconds, .unit = "s", .sync = "always"});
}

static void many_logs_from_memory(const char *name, const struct bench_options *options)
{
    many_logs(name, options, read_file);
}

static void many_logs_from_device(const char *name, const struct bench_options *options)
{
    many_logs(name, options, drop_file);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"recovery after a kill, from memory", from_memory},
        {"recovery after a kill, from the device", from_device},
        {"1000 logs after a kill, from memory", many_logs_from_memory},
        {"1000 logs after a kill, from the device", many_logs_from_device},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
