/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_full - a real full disk for everyone: a small tmpfs in a mount namespace of the child's own.
 *
 * Whatever fills up first, the segments or the journal: the append says so instead of waiting for
 * an administrator, reads go on, and appends work again by themselves when there is space.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embed_case.h"

enum { BALLAST_BYTES = 8 << 20, SECONDS_MAX = 60, STATUS_SKIPPED = 77 };

struct full {
    const char *folder;
    enum pyr_sync sync;
    uint32_t wal_files_max;
    size_t record_bytes;
    bool is_journal_first; /* Nothing goes to segments before the journal is full. */
};

/* Write @text to @path; return whether all of it was taken. */
static bool file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(fd);
    return is_written;
}

/* Enter a mount namespace of the own; who is not root enters a user namespace first, as its root.
 */
static bool namespace_enter(void)
{
    char users[64];
    char groups[64];
    (void)snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
    (void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    bool is_root = geteuid() == 0;
    if (unshare(CLONE_NEWNS | (is_root ? 0 : CLONE_NEWUSER)) != 0) {
        return false;
    }
    return is_root ||
           (file_write("/proc/self/setgroups", "deny") && file_write("/proc/self/uid_map", users) &&
            file_write("/proc/self/gid_map", groups));
}

/* Give this process 32 MiB of its own at @folder, a quarter of it taken; leave where that is not
 * allowed. */
static void disk_make(const char *folder)
{
    if (!namespace_enter() || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=32m") != 0) {
        _exit(STATUS_SKIPPED);
    }
    int fd = open(embed_path(folder, "ballast"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(posix_fallocate(fd, 0, BALLAST_BYTES), 0);
    CHECK_INT(close(fd), 0);
}

static struct pyr_log *full_open(const struct full *full)
{
    struct pyr_store_options store_options;
    embed_store_options(&store_options);
    store_options.wal_files_max = full->wal_files_max;
    if (full->is_journal_first) {
        store_options.cache_max_size = 64 << 20;
        store_options.max_buffer_time_ms = 3600 * 1000;
    }
    struct pyr_log_options options;
    embed_log_options(&options, full->sync);
    options.store = &store_options;
    return embed_open(embed_path(full->folder, "data"), &options);
}

/* Append @record until the disk is full; return how often it was taken. */
static int64_t full_fill(struct pyr_log *log, const struct pyr_record *record)
{
    struct pyr_error error;
    enum pyr_err err = PYR_OK;
    int64_t appended = 0;
    while (err == PYR_OK) {
        err = pyr_log_append(log, record, NULL, &error);
        appended += err == PYR_OK;
    }
    CHECK_ERR(err, PYR_ERR_DISK_FULL, error);
    return appended;
}

static void fill_and_free(void *ctx)
{
    const struct full *full = ctx;
    (void)alarm(SECONDS_MAX); /* A hang ends the child. */
    disk_make(full->folder);
    struct pyr_log *log = full_open(full);
    char *data = calloc(1, full->record_bytes);
    CHECK(data != NULL);
    const struct pyr_record record = {.value = data, .value_bytes = full->record_bytes};
    struct pyr_error error;
    enum pyr_err err = PYR_OK;
    int64_t appended = full_fill(log, &record);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_end, appended); /* Nothing of the refused one. */
    CHECK(!stat.has_failed);
    struct pyr_reader *reader = NULL;
    struct pyr_record read;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    for (int64_t offset = 0; offset < stat.offset_committed; offset++) {
        CHECK_OK(pyr_reader_next(reader, 0, &read, &error), error);
        CHECK_INT(read.offset, offset);
    }
    pyr_reader_close(reader);

    CHECK_INT(unlink(embed_path(full->folder, "ballast")), 0);
    while ((err = pyr_log_append(log, &record, NULL, &error)) == PYR_ERR_DISK_FULL) {
        (void)usleep(1000);
    }
    CHECK_OK(err, error);
    pyr_log_close(log);
    log = full_open(full);
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_end, appended + 1);
    pyr_log_close(log);
    free(data);
    (void)printf("done\n");
}

/* Take the space that is left, and what a failed try of the store gives back meanwhile. */
static void rest_take(const char *folder)
{
    static const char block[4096];
    int fd = open(embed_path(folder, "rest"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (int round = 0; round < 5; round++) {
        while (write(fd, block, sizeof block) > 0) {
        }
        (void)usleep(20000);
    }
    CHECK_INT(close(fd), 0);
}

/* Close while acknowledged records are in memory only; what a sync called stored is there then. */
static void fill_and_close(void *ctx)
{
    const struct full *full = ctx;
    (void)alarm(SECONDS_MAX); /* A hang ends the child. */
    disk_make(full->folder);
    struct pyr_log *log = full_open(full);
    char *data = calloc(1, full->record_bytes);
    CHECK(data != NULL);
    const struct pyr_record record = {.value = data, .value_bytes = full->record_bytes};
    struct pyr_error error;
    int64_t appended = full_fill(log, &record);
    rest_take(full->folder);
    enum pyr_err err = pyr_log_sync(log, &error);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    int64_t durable = stat.offset_durable;
    CHECK_INT(stat.offset_end, appended);
    if (err != PYR_OK) {
        CHECK_ERR(err, PYR_ERR_DISK_FULL, error);
        CHECK(strstr(error.message, "in memory only") != NULL);
    } else {
        CHECK_INT(durable, appended); /* The journal's next try took the space that was left. */
    }
    pyr_log_close(log);

    CHECK_INT(unlink(embed_path(full->folder, "ballast")), 0);
    log = full_open(full);
    pyr_log_stat(log, &stat);
    CHECK(stat.offset_end >= durable);
    CHECK(stat.offset_end <= appended);
    pyr_log_close(log);
    free(data);
    (void)printf("done\n");
}

static void check_full(void (*body)(void *ctx),
                       enum pyr_sync sync,
                       uint32_t wal_files_max,
                       size_t record_bytes)
{
    bool is_journal_first = body == fill_and_close;
    struct full full = {case_folder(), sync, wal_files_max, record_bytes, is_journal_first};
    pid_t child = 0;
    FILE *stream = embed_child(body, &full, &child);
    char line[256] = "";
    while (fgets(line, sizeof line, stream) && strcmp(line, "done\n") != 0) {
        print_message("%s", line);
    }
    (void)fclose(stream);
    int status = embed_reap(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_SKIPPED) {
        case_skip("no mount namespace here");
    }
    CHECK_INT(status, 0);
    CHECK_TEXT(line, "done\n");
}

/* Few journal files: the segments meet the full disk first, and the journal then has no room. */
TEST(full, refuses_and_resumes_when_segments_find_no_space)
{
    check_full(fill_and_free, PYR_SYNC_ALWAYS, 4, 100000);
    check_full(fill_and_free, PYR_SYNC_BATCH, 4, 100000);
}

/* Many journal files: the next one cannot be made. (A single appender once waited for ever here.)
 */
TEST(full, refuses_and_resumes_when_the_journal_finds_no_space)
{
    check_full(fill_and_free, PYR_SYNC_ALWAYS, 64, 100000);
    check_full(fill_and_free, PYR_SYNC_BATCH, 64, 3000);
    check_full(fill_and_free, PYR_SYNC_OS, 64, 3000);
}

/* What the journal refused can be lost by closing, even acknowledged, under the policies that
 * acknowledge from memory. A sync says so, instead of waiting for an administrator, and so does the
 * close end. */
TEST(full, says_what_is_in_memory_only_and_closes)
{
    check_full(fill_and_close, PYR_SYNC_BATCH, 64, 3000);
    check_full(fill_and_close, PYR_SYNC_OS, 64, 3000);
}
