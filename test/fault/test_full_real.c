/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real file system that runs full, through the embedded log: ext4 of 12 MiB on a loop device, or,
 * without root, nothing (the simulated disk stays: test_full.c).
 *
 * A file beside the store takes the space away and gives it back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "pyralog.h"

#include "lib/case.h"

enum {
    PATH_ROOM = 512,
    APPENDS_MAX = 100000,
    RESUME_TRIES = 200,
    VALUE_BYTES = 4000,
};

/* Run @command in @folder. */
static bool shell(const char *command, const char *folder)
{
    char line[PATH_ROOM];
    (void)snprintf(line, sizeof line, "cd '%s' && %s", folder, command);
    return system(line) == 0;
}

/* Append until it is refused; returns the error, and the count of records in *@total. */
static enum pyr_err fill(struct pyr_log *log, int64_t *total, struct pyr_error *error)
{
    static char value[VALUE_BYTES];
    enum pyr_err err = PYR_OK;
    for (int number = 0; err == PYR_OK && number < APPENDS_MAX; number++) {
        memcpy(value, total, sizeof *total);
        struct pyr_record record = {.value = value, .value_bytes = sizeof value};
        struct pyr_receipt receipt;
        err = pyr_log_append(log, &record, &receipt, error);
        if (err == PYR_OK) {
            assert_int_equal(receipt.offset, *total);
            (*total)++;
        }
    }
    return err;
}

static void read_all(struct pyr_log *log, int64_t total)
{
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    int64_t count = 0;
    assert_int_equal(pyr_reader_open(log, PYR_READ_FIRST, &reader, NULL), PYR_OK);
    while (pyr_reader_next(reader, 0, &record, NULL) == PYR_OK) {
        assert_int_equal(record.offset, count);
        assert_memory_equal(record.value, &count, sizeof count);
        count++;
    }
    assert_true(count >= total);
    pyr_reader_close(reader);
}

static struct pyr_log *log_open(const char *path)
{
    struct pyr_store_options store;
    struct pyr_log_options options;
    struct pyr_log *log = NULL;
    struct pyr_error error = {0};
    pyr_store_options_init(&store);
    pyr_log_options_init(&options);
    store.wal_file_bytes = 256 << 10;
    store.wal_files_max = 4;
    store.cache_max_size = 1 << 20;
    store.max_buffer_time_ms = 20;
    options.segment_max_size = 1 << 20;
    options.store = &store;
    if (pyr_log_open(path, &options, &log, &error) != PYR_OK) {
        (void)printf("# %s\n", error.message);
    }
    assert_non_null(log);
    return log;
}

/* Fill, refuse, read, give space back, resume, close, open, read. */
static void life(const char *folder)
{
    char path[PATH_ROOM];
    char ballast[PATH_ROOM];
    int64_t total = 0;
    struct pyr_error error = {0};
    (void)snprintf(path, sizeof path, "%s/disk/data", folder);
    (void)snprintf(ballast, sizeof ballast, "%s/disk/ballast", folder);
    int fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, 3 << 20), 0);
    (void)close(fd);
    struct pyr_log *log = log_open(path);
    assert_int_equal(fill(log, &total, &error), PYR_ERR_DISK_FULL);
    (void)printf("# full after %lld records: %s\n", (long long)total, error.message);
    read_all(log, total);
    assert_int_equal(unlink(ballast), 0);
    sync(); /* The space of a removed file is free once that is committed. */
    enum pyr_err err = PYR_ERR_DISK_FULL;
    int64_t before = total;
    for (int tries = 0; total == before && tries < RESUME_TRIES; tries++) {
        const struct timespec pause = {.tv_nsec = 20000000};
        (void)nanosleep(&pause, NULL);
        err = fill(log, &total, &error);
        assert_int_equal(err, PYR_ERR_DISK_FULL); /* Still, or again some records later. */
    }
    (void)printf("# then: %s\n", error.message);
    assert_true(total > before);
    (void)printf("# full again after %lld records\n", (long long)total);
    pyr_log_close(log);
    log = log_open(path);
    read_all(log, total);
    pyr_log_close(log);
}

/* What a user's full disk does: no record is lost, and the log goes on by itself. */
TEST(full, real_file_system_refuses_appends_and_takes_them_again)
{
    const char *folder = case_folder();
    if (geteuid() != 0) {
        case_skip("a loop device needs root");
    }
    if (!shell("truncate -s 12M image && mkfs.ext4 -q -m 0 image", folder) ||
        !shell("mkdir disk && mount -o loop image disk", folder)) {
        case_skip("no loop device can be mounted here");
    }
    life(folder);
    assert_true(shell("umount disk", folder));
}
