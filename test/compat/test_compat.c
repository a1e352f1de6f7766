/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Yesterday's data: every store kept in this folder, made by an earlier build, is opened, verified
 * and extended by this one.
 *
 * NAME.tar.gz holds two data folders, `closed` and `killed`, made by `test_compat --make DIR` of
 * its build: the second by a process that ended without closing, so that its end is in the journal.
 * Each holds a log of all records (compressed, whole batches), and a compacted one. Record n of log
 * k is made from (k, n); nothing else is remembered. When a format changes, make a new one and keep
 * the old ones:
 *
 *     build/release/test/compat/test_compat --make /tmp/made
 *     tar -C /tmp/made -czf test/compat/NAME.tar.gz closed killed
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pyralog.h"

#include "lib/case.h"

enum {
    RECORDS = 400,
    MORE = 50,
    KEYS = 10,
    VALUE_BYTES = 120,
    PATH_ROOM = 512,
};

/* -- Records -- */

struct made {
    char key[8];
    char value[VALUE_BYTES + 1];
};

static void make_record(int log, int64_t number, struct made *made, struct pyr_record *record)
{
    (void)snprintf(made->key, sizeof made->key, "k%d", (int)(number * 7 % KEYS));
    (void)snprintf(made->value, sizeof made->value, "%0100lld of log %d", (long long)number, log);
    *record = (struct pyr_record){.timestamp_ms = 1700000000000 + number,
                                  .key = made->key,
                                  .key_bytes = strlen(made->key),
                                  .value = made->value,
                                  .value_bytes = strlen(made->value)};
}

static struct pyr_log *log_open(struct pyr_store *store, int log)
{
    static const char *const topics[] = {"orders", "keys"};
    struct pyr_log_options options;
    struct pyr_log *opened = NULL;
    pyr_log_options_init(&options);
    options.segment_max_size = 8 << 10;
    options.is_compacted = log == 1;
    options.compression = PYR_COMPRESSION_LZ4;
    assert_int_equal(pyr_store_log(store, topics[log], 0, &options, &opened, NULL), PYR_OK);
    return opened;
}

static struct pyr_store *store_open(const char *folder)
{
    struct pyr_store_options options;
    struct pyr_store *store = NULL;
    struct pyr_error error = {0};
    pyr_store_options_init(&options);
    options.wal_file_bytes = 64 << 10;
    options.wal_files_max = 4;
    options.max_buffer_time_ms = 20;
    if (pyr_store_open(folder, &options, &store, &error) != PYR_OK) {
        (void)printf("# %s\n", error.message);
    }
    assert_non_null(store);
    return store;
}

/* Append the records from @first on, three in a batch. */
static void records_append(struct pyr_log *log, int index, int64_t first, int64_t count)
{
    for (int64_t number = first; number < first + count; number += 3) {
        struct made made[3];
        struct pyr_record records[3];
        size_t batch = (size_t)(first + count - number < 3 ? first + count - number : 3);
        for (size_t at = 0; at < batch; at++) {
            make_record(index, number + (int64_t)at, &made[at], &records[at]);
        }
        struct pyr_receipt receipt;
        assert_int_equal(pyr_log_append_batch(log, records, batch, &receipt, NULL), PYR_OK);
        assert_int_equal(receipt.offset, number);
    }
}

/* Read log @index through: every record right; of the compacted one the newest of each key. */
static void records_check(struct pyr_log *log, int index, int64_t end)
{
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    int64_t next = 0;
    int64_t newest[KEYS] = {0};
    assert_int_equal(pyr_reader_open(log, PYR_READ_FIRST, &reader, NULL), PYR_OK);
    enum pyr_err err = pyr_reader_next(reader, 0, &record, NULL);
    for (; err == PYR_OK; err = pyr_reader_next(reader, 0, &record, NULL)) {
        struct made made;
        struct pyr_record expected;
        make_record(index, record.offset, &made, &expected);
        assert_true(index == 0 ? record.offset == next : record.offset >= next);
        assert_int_equal(record.timestamp_ms, expected.timestamp_ms);
        assert_int_equal(record.key_bytes, expected.key_bytes);
        assert_memory_equal(record.key, expected.key, expected.key_bytes);
        assert_int_equal(record.value_bytes, expected.value_bytes);
        assert_memory_equal(record.value, expected.value, expected.value_bytes);
        newest[record.offset * 7 % KEYS] = record.offset;
        next = record.offset + 1;
    }
    assert_int_equal(err, PYR_ERR_TIMEOUT);
    assert_int_equal(next, end);
    for (int64_t offset = end - KEYS; offset < end; offset++) {
        assert_int_equal(newest[offset * 7 % KEYS], offset);
    }
    pyr_reader_close(reader);
}

/* -- Making -- */

/* Half of the records and a clean stop, which leaves a checkpoint; then time to compact, and the
 * other half. */
static void folder_make(const char *folder, bool is_killed)
{
    for (int half = 0; half < 2; half++) {
        struct pyr_store *store = store_open(folder);
        struct pyr_log *logs[2] = {log_open(store, 0), log_open(store, 1)};
        (void)sleep(half == 0 ? 0 : 3);
        for (int index = 0; index < 2; index++) {
            records_append(logs[index], index, half * RECORDS / 2, RECORDS / 2);
        }
        if (is_killed && half == 1) {
            _exit(0);
        }
        pyr_log_close(logs[0]);
        pyr_log_close(logs[1]);
        pyr_store_close(store);
    }
}

/* Run before the tests: --make DIR makes the two folders and ends. */
__attribute__((constructor)) static void make_if_asked(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--make") != 0) {
        return;
    }
    char path[PATH_ROOM];
    (void)mkdir(argv[2], 0755);
    for (int is_killed = 0; is_killed < 2; is_killed++) {
        (void)snprintf(path, sizeof path, "%s/%s", argv[2], is_killed ? "killed" : "closed");
        pid_t child = fork();
        if (child == 0) {
            folder_make(path, is_killed);
            _exit(0);
        }
        int status = 0;
        (void)waitpid(child, &status, 0);
        if (status != 0) {
            _exit(1);
        }
    }
    _exit(0);
}

/* -- Opening -- */

/* Live @life in the store at @path: hold what earlier lives left, append, and hold it again. */
static void archive_live(const char *path, int64_t life)
{
    struct pyr_store *store = store_open(path);
    for (int index = 0; index < 2; index++) {
        struct pyr_log *log = log_open(store, index);
        records_check(log, index, RECORDS + life * MORE);
        records_append(log, index, RECORDS + life * MORE, MORE);
        records_check(log, index, RECORDS + (life + 1) * MORE);
        pyr_log_close(log);
    }
    pyr_store_close(store);
}

/* Unpack @archive and hold both of its folders against what they must say; extend them. */
static void archive_check(const char *archive)
{
    static const char *const names[] = {"closed", "killed"};
    const char *folder = case_folder();
    char command[2 * PATH_ROOM];
    (void)snprintf(command, sizeof command, "tar -C '%s' -xzf '%s/%s'", folder, COMPAT_FOLDER,
                   archive);
    assert_int_equal(system(command), 0);
    for (int which = 0; which < 2; which++) {
        char path[PATH_ROOM];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[which]);
        for (int64_t life = 0; life < 3; life++) {
            archive_live(path, life);
        }
    }
}

/* Data that the foundation's build wrote must stay readable for as long as the project lives. */
TEST(compat, opens_verifies_and_extends_what_the_foundation_wrote)
{
    archive_check("foundation.tar.gz");
}
