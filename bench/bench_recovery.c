/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_recovery - how long does opening take after a crash?
 *
 * Method: a child process appends 512 MiB that stay in the journal and the cache (its limits are
 * set so that nothing is checkpointed), and kills itself. Opening the store then reads all of it,
 * checks it and makes it readable. From memory: the store's files were read just before. From the
 * device: their pages were dropped from the page cache. The number of bytes is the recovery
 * report's own, and the records are counted after it.
 *
 * What would make it a lie: a clean stop (the child is killed), a checkpoint that leaves little to
 * do (the report says how much was read, and too little ends the program).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "bench.h"
#include "embedded.h"

enum { BATCH_RECORDS = 1000, WAL_FILES = 24, OPEN_FOLDERS = 16, NEVER_MS = 3600 * 1000 };

#define RECOVERED_BYTES   (UINT64_C(512) << 20)
#define CACHE_BYTES       (UINT64_C(4) << 30)
#define PIECE_BYTES       ((size_t)1 << 20)
#define WARM_MEMORY_BYTES ((size_t)1 << 30)
#define US_A_SECOND       1e6

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
    uint64_t batches = RECOVERED_BYTES / (BATCH_RECORDS * EMBEDDED_RECORD_BYTES);
    for (uint64_t batch = 0; batch < batches; batch++) {
        embedded_append(&embedded);
    }
    (void)kill(getpid(), SIGKILL);
    abort();
}

static void crash(const struct bench_options *options)
{
    pid_t child = fork();
    if (child < 0) {
        bench_fail("fork: %s", strerror(errno));
    }
    if (child == 0) {
        append_and_die(options);
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

/* Crash, prepare the page cache by @prepare, and open. Return what opening found. */
static struct pyr_recovery recover(const struct bench_options *options, __nftw_func_t prepare)
{
    crash(options);
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
    uint64_t spent_ns = bench_end(start_ns);
    pyr_store_recovery(store, &recovery);
    pyr_store_close(store);
    bench_remove(options, wanted.name);

    if (recovery.was_clean || recovery.bytes_scanned < RECOVERED_BYTES) {
        bench_fail("recovery read %llu bytes only", (unsigned long long)recovery.bytes_scanned);
    }
    recovery.duration_us = spent_ns / 1000; /* The caller's view: the whole call. */
    return recovery;
}

static void from_memory(const char *name, const struct bench_options *options)
{
    struct pyr_recovery recovery = recover(options, read_file);
    double seconds = (double)recovery.duration_us / US_A_SECOND;
    bench_print(
        &(struct bench_figure){.name = name,
                               .value = (double)recovery.bytes_scanned / (double)GIB / seconds,
                               .unit = "GiB/s",
                               .sync = "always"});
}

static void from_device(const char *name, const struct bench_options *options)
{
    struct pyr_recovery recovery = recover(options, drop_file);
    double seconds = (double)recovery.duration_us / US_A_SECOND;
    bench_print(&(struct bench_figure){.name = name,
                                       .value = seconds / ((double)recovery.bytes_scanned / 1e9),
                                       .unit = "s per GB",
                                       .sync = "always"});
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"recovery after a kill, from memory", from_memory},
        {"recovery after a kill, from the device", from_device},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
