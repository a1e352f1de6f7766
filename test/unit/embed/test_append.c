/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_append - appending one, many, and without waiting; what the receipts say under each policy.
 * Covers embed/append.c and embed/wait.c.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "embed/log.h"
#include "embed_case.h"
#include "partition/shard_inner.h"

/* -- What a record keeps -- */

/* Null, empty and full are three different things, and all come back as they were. */
TEST(append, keeps_null_and_empty_apart)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    const struct pyr_record records[] = {
        {.key = NULL, .value = NULL},
        {.key = "", .key_bytes = 0, .value = "", .value_bytes = 0},
        {.key = "k", .key_bytes = 1, .value = NULL},
        {.key = NULL, .value = "v", .value_bytes = 1},
    };
    struct pyr_error error;
    for (size_t index = 0; index < 4; index++) {
        CHECK_OK(pyr_log_append(log, &records[index], NULL, &error), error);
    }
    struct pyr_reader *reader = NULL;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);

    for (size_t index = 0; index < 4; index++) {
        struct pyr_record record;
        CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);
        CHECK_INT(record.key == NULL, records[index].key == NULL);
        CHECK_INT(record.value == NULL, records[index].value == NULL);
        CHECK_INT(record.key_bytes, records[index].key_bytes);
        CHECK_INT(record.value_bytes, records[index].value_bytes);
        CHECK_INT(record.header_count, 0);
    }

    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Headers, and bytes that are no text, come back as they were. */
TEST(append, keeps_headers_and_timestamps)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    const struct pyr_header headers[] = {
        {.key = "trace", .key_bytes = 5, .value = "\0\xff", .value_bytes = 2},
        {.key = "none", .key_bytes = 4, .value = NULL},
        {.key = "", .key_bytes = 0, .value = "", .value_bytes = 0},
    };
    const struct pyr_record given = {.timestamp_ms = 1234567890123,
                                     .key = "\0k\0",
                                     .key_bytes = 3,
                                     .value = "v",
                                     .value_bytes = 1,
                                     .headers = headers,
                                     .header_count = 3};
    struct pyr_error error;

    CHECK_OK(pyr_log_append(log, &given, NULL, &error), error);

    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    CHECK_OK(pyr_reader_open(log, 0, &reader, &error), error);
    CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);
    CHECK_INT(record.timestamp_ms, given.timestamp_ms);
    CHECK_INT(record.key_bytes, 3);
    CHECK_BYTES(record.key, given.key, 3);
    CHECK_INT(record.header_count, 3);
    for (size_t index = 0; index < 3; index++) {
        CHECK_INT(record.headers[index].key_bytes, headers[index].key_bytes);
        CHECK_BYTES(record.headers[index].key, headers[index].key, headers[index].key_bytes);
        CHECK_INT(record.headers[index].value == NULL, headers[index].value == NULL);
        CHECK_INT(record.headers[index].value_bytes, headers[index].value_bytes);
    }
    CHECK_BYTES(record.headers[0].value, "\0\xff", 2);
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* A timestamp of 0 means now. */
TEST(append, stamps_a_record_without_a_time)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    struct timespec before;
    struct timespec after;
    CHECK_INT(clock_gettime(CLOCK_REALTIME, &before), 0);
    (void)embed_append(log, "now");
    CHECK_INT(clock_gettime(CLOCK_REALTIME, &after), 0);

    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    struct pyr_error error;
    CHECK_OK(pyr_reader_open(log, 0, &reader, &error), error);
    CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);

    CHECK(record.timestamp_ms >= before.tv_sec * 1000 + before.tv_nsec / 1000000);
    CHECK(record.timestamp_ms <= after.tv_sec * 1000 + after.tv_nsec / 1000000);
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* From one byte to the largest record there is, before and after a restart. */
TEST(append, takes_records_of_every_length)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store_options store_options;
    embed_store_options(&store_options);
    store_options.wal_file_bytes = 32 << 20;
    struct pyr_log_options options;
    pyr_log_options_init(&options);
    options.store = &store_options;
    struct pyr_log *log = embed_open(folder, &options);
    const size_t lengths[] = {0, 1, 61, 4034, 4035, 4096, 65536, 1 << 20, (16 << 20) - 200};
    const size_t count = sizeof lengths / sizeof lengths[0];
    uint8_t *data = malloc(16 << 20);
    CHECK(data != NULL);
    for (size_t index = 0; index < 16 << 20; index++) {
        data[index] = (uint8_t)(index * 31 + index / 251);
    }
    struct pyr_error error;
    for (size_t index = 0; index < count; index++) {
        struct pyr_record record = {.value = data, .value_bytes = lengths[index]};
        CHECK_OK(pyr_log_append(log, &record, NULL, &error), error);
    }

    for (int life = 0; life < 2; life++) {
        struct pyr_reader *reader = NULL;
        CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
        for (size_t index = 0; index < count; index++) {
            struct pyr_record record;
            CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);
            CHECK_INT(record.value_bytes, lengths[index]);
            CHECK_INT(memcmp(record.value, data, lengths[index]), 0);
        }
        pyr_reader_close(reader);
        pyr_log_close(log);
        log = embed_open(folder, &options);
    }

    pyr_log_close(log);
    free(data);
}

/* -- What is refused -- */

/* A batch lies in one journal file: with small ones its limit is lower, and the message says why.
 * (Such an append once hung for ever: the journal's refusal came when nobody listened.) */
TEST(append, refuses_what_no_journal_file_can_hold)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    char *data = calloc(1, 2 << 20);
    CHECK(data != NULL);
    const struct pyr_record large = {.value = data, .value_bytes = 1 << 20};
    const struct pyr_record fits = {.value = data, .value_bytes = 15 << 16};
    struct pyr_error error;

    CHECK_ERR(pyr_log_append(log, &large, NULL, &error), PYR_ERR_TOO_LARGE, error);

    CHECK(strstr(error.message, "wal_file_bytes") != NULL);
    CHECK_OK(pyr_log_append(log, &fits, NULL, &error), error);
    free(data);
    pyr_log_close(log);
}

/* A mistake of the caller is named, nothing is appended, and the receipt is left as it was. */
TEST(append, refuses_records_that_make_no_sense)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    const struct pyr_header header = {.key = NULL, .key_bytes = 4};
    const struct pyr_header bad_value = {.key = "k", .key_bytes = 1, .value_bytes = 4};
    const struct pyr_record rows[] = {
        {.key = NULL, .key_bytes = 1},           {.value = NULL, .value_bytes = 1},
        {.headers = NULL, .header_count = 1},    {.timestamp_ms = -1},
        {.headers = &header, .header_count = 1}, {.headers = &bad_value, .header_count = 1},
    };
    struct pyr_receipt receipt;
    memset(&receipt, 0x5a, sizeof receipt);
    const struct pyr_receipt untouched = receipt;
    struct pyr_error error;

    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        CHECK_ERR(pyr_log_append(log, &rows[index], &receipt, &error), PYR_ERR_INVALID, error);
    }
    CHECK_ERR(pyr_log_append(log, NULL, &receipt, &error), PYR_ERR_INVALID, error);
    CHECK_ERR(pyr_log_append_batch(log, rows, 0, &receipt, &error), PYR_ERR_INVALID, error);
    CHECK_ERR(pyr_log_append_start(log, NULL, 3, &receipt, &error), PYR_ERR_INVALID, error);

    CHECK_BYTES(&receipt, &untouched, sizeof receipt);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_end, 0);
    pyr_log_close(log);
}

/* Above the limit is refused whole, by one record or by many; the log goes on. */
TEST(append, refuses_what_is_above_the_limit)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    char *data = calloc(1, 17 << 20);
    CHECK(data != NULL);
    const struct pyr_record large = {.value = data, .value_bytes = 16 << 20};
    const struct pyr_record huge = {.value = data, .value_bytes = SIZE_MAX / 2};
    const struct pyr_record half = {.value = data, .value_bytes = 9 << 20};
    const struct pyr_record two[] = {half, half};
    const struct pyr_record wrapping[] = {huge, huge, huge};
    struct pyr_header *headers = calloc(100000, sizeof *headers);
    CHECK(headers != NULL);
    for (size_t index = 0; index < 100000; index++) {
        headers[index] = (struct pyr_header){.key = "k", .key_bytes = 1};
    }
    const struct pyr_record many = {.headers = headers, .header_count = 100000};
    struct pyr_error error;

    CHECK_ERR(pyr_log_append(log, &large, NULL, &error), PYR_ERR_TOO_LARGE, error);
    CHECK_ERR(pyr_log_append(log, &huge, NULL, &error), PYR_ERR_TOO_LARGE, error);
    CHECK_ERR(pyr_log_append_batch(log, two, 2, NULL, &error), PYR_ERR_TOO_LARGE, error);
    CHECK_ERR(pyr_log_append_batch(log, wrapping, 3, NULL, &error), PYR_ERR_TOO_LARGE, error);
    CHECK_ERR(pyr_log_append(log, &many, NULL, &error), PYR_ERR_TOO_LARGE, error);

    embed_append_numbered(log, 0, 3);
    embed_expect_numbered(log, 0, 3);
    free(headers);
    free(data);
    pyr_log_close(log);
}

/* -- Batches -- */

/* A batch has consecutive offsets, in its own order. */
TEST(append_batch, gives_consecutive_offsets)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = embed_open(folder, NULL);
    const struct pyr_record records[] = {embed_record("record 1"), embed_record("record 2"),
                                         embed_record("record 3")};
    struct pyr_receipt receipt;
    struct pyr_error error;
    embed_append_numbered(log, 0, 1);

    CHECK_OK(pyr_log_append_batch(log, records, 3, &receipt, &error), error);

    CHECK_INT(receipt.offset, 1);
    CHECK_INT(receipt.offset_end, 4);
    embed_append_numbered(log, 4, 1);
    embed_expect_numbered(log, 0, 5);
    pyr_log_close(log);
    log = embed_open(folder, NULL);
    embed_expect_numbered(log, 0, 5);
    pyr_log_close(log);
}

/* A thousand records of one batch: many, but one. */
TEST(append_batch, takes_a_thousand_records)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);

    enum { COUNT = 1000 };
    static struct pyr_record records[COUNT];
    static char texts[COUNT][32];
    for (int index = 0; index < COUNT; index++) {
        (void)snprintf(texts[index], sizeof texts[index], "record %d", index);
        records[index] = embed_record(texts[index]);
    }
    struct pyr_receipt receipt;
    struct pyr_error error;

    CHECK_OK(pyr_log_append_batch(log, records, COUNT, &receipt, &error), error);

    CHECK_INT(receipt.offset_end, COUNT);
    embed_expect_numbered(log, 0, COUNT);
    pyr_log_close(log);
}

/* -- Without waiting -- */

/* Started appends have their offsets at once; the wait says when they are safe. */
TEST(append_start, is_durable_after_the_wait)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    struct pyr_receipt receipt = {0};
    struct pyr_error error;

    enum { COUNT = 500 };

    for (int index = 0; index < COUNT; index++) {
        char text[32];
        (void)snprintf(text, sizeof text, "record %d", index);
        struct pyr_record record = embed_record(text); /* Copied: the text changes at once. */
        CHECK_OK(pyr_log_append_start(log, &record, 1, &receipt, &error), error);
        CHECK_INT(receipt.offset, index);
        CHECK_INT(receipt.offset_end, index + 1);
    }

    CHECK_OK(pyr_log_wait(log, receipt.offset_end, -1, &error), error);

    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK(stat.offset_durable >= COUNT);
    CHECK_INT(stat.offset_committed, COUNT);
    embed_expect_numbered(log, 0, COUNT);
    pyr_log_close(log);
}

/* Nobody waits, and yet it becomes durable: the store looks after it. */
TEST(append_start, becomes_durable_though_nobody_waits)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    struct pyr_record record = embed_record("record 0");
    struct pyr_error error;
    CHECK_OK(pyr_log_append_start(log, &record, 1, NULL, &error), error);

    struct pyr_log_stat stat = {0};
    for (int64_t waited_ms = 0; stat.offset_durable < 1 && waited_ms < PATIENCE_MS; waited_ms++) {
        (void)usleep(1000);
        pyr_log_stat(log, &stat);
    }

    CHECK_INT(stat.offset_durable, 1);
    pyr_log_close(log);
}

/* Return how many journal entries @count appends took that were started and then waited for. */
static uint64_t entries_of_started(struct pyr_log *log, int count)
{
    struct wal_counters before;
    struct wal_counters after;
    struct pyr_receipt receipt = {0};
    struct pyr_record record = embed_record("shared");
    struct pyr_error error;
    store_lock(log->store);
    wal_counters(log->partition->shard->wal, &before);
    store_unlock(log->store);
    for (int index = 0; index < count; index++) {
        CHECK_OK(pyr_log_append_start(log, &record, 1, &receipt, &error), error);
    }
    CHECK_OK(pyr_log_wait(log, receipt.offset_end, -1, &error), error);
    store_lock(log->store);
    wal_counters(log->partition->shard->wal, &after);
    store_unlock(log->store);
    return after.entries - before.entries;
}

/* Were the first to go alone, the others would wait for its flush, and each round take two. A round
 * in which this thread lost the processor for longer than appends linger may take more. */
TEST(append_start, shares_one_flush_with_all_that_were_started)
{
    enum { ROUNDS = 200, COUNT = 16 };

    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    int shared = 0;
    for (int round = 0; round < ROUNDS; round++) {
        shared += entries_of_started(log, COUNT) == 1;
    }
    CHECK(shared >= ROUNDS / 4);
    pyr_log_close(log);
}

/* A wait for what was never handed out would last for ever. */
TEST(append_start, wait_refuses_offsets_not_handed_out)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    struct pyr_error error;
    embed_append_numbered(log, 0, 2);

    CHECK_OK(pyr_log_wait(log, 0, 0, &error), error);
    CHECK_OK(pyr_log_wait(log, 2, 0, &error), error);
    CHECK_ERR(pyr_log_wait(log, 3, -1, &error), PYR_ERR_OUT_OF_RANGE, error);
    CHECK_OK(pyr_log_sync(log, &error), error);
    pyr_log_close(log);
}

/* More than the cache holds: appends wait for room instead of failing or growing. */
TEST(append_start, waits_for_room_and_loses_nothing)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log_options options;
    embed_log_options(&options, PYR_SYNC_BATCH);
    struct pyr_log *log = embed_open(folder, &options);
    char *data = malloc(100000);
    CHECK(data != NULL);
    memset(data, 'x', 100000);
    struct pyr_error error;

    enum { COUNT = 400 }; /* 40 MB through a cache of 8. */

    for (int index = 0; index < COUNT; index++) {
        struct pyr_record record = {.value = data, .value_bytes = 100000};
        CHECK_OK(pyr_log_append_start(log, &record, 1, NULL, &error), error);
    }
    CHECK_OK(pyr_log_sync(log, &error), error);

    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_end, COUNT);
    CHECK_INT(stat.offset_durable, COUNT);
    pyr_log_close(log);
    log = embed_open(folder, NULL);
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_end, COUNT);
    pyr_log_close(log);
    free(data);
}

/* -- Receipts -- */

/* Under `always` an acknowledgement is on stable storage, and says so. */
TEST(receipt, says_durable_under_always)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);

    struct pyr_receipt receipt = embed_append(log, "x");

    CHECK_INT(receipt.offset, 0);
    CHECK_INT(receipt.offset_end, 1);
    CHECK_INT(receipt.copies_memory, 1);
    CHECK_INT(receipt.copies_durable, 1);
    CHECK(receipt.epoch >= 0);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_durable, 1);
    pyr_log_close(log);
}

/* Under `batch` it is in memory, says so, and is on stable storage soon after. */
TEST(receipt, says_memory_under_batch)
{
    struct pyr_log_options options;
    embed_log_options(&options, PYR_SYNC_BATCH);
    options.sync_interval_ms = 200;
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), &options);

    struct pyr_receipt receipt = embed_append(log, "record 0");

    CHECK_INT(receipt.copies_memory, 1);
    CHECK_INT(receipt.copies_durable, 0);
    embed_expect_numbered(log, 0, 1); /* Readable before it is durable. */
    struct pyr_log_stat stat = {0};
    int64_t waited_ms = 0;
    for (; stat.offset_durable < 1 && waited_ms < PATIENCE_MS; waited_ms++) {
        (void)usleep(1000);
        pyr_log_stat(log, &stat);
    }
    CHECK_INT(stat.offset_durable, 1);
    pyr_log_close(log);
}

/* Under `os` likewise; a sync puts it on stable storage whatever the policy. */
TEST(receipt, says_memory_under_os_until_a_sync)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        struct pyr_log_options options;
        embed_log_options(&options, PYR_SYNC_OS);
        options.hand_over_at_once = at_once == 1;
        struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), &options);

        struct pyr_receipt receipt = embed_append(log, "record 0");
        CHECK_INT(receipt.copies_memory, 1);
        CHECK_INT(receipt.copies_durable, 0);
        embed_expect_numbered(log, 0, 1);
        struct pyr_error error;
        CHECK_OK(pyr_log_sync(log, &error), error);

        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK_INT(stat.offset_durable, 1);
        pyr_log_close(log);
    }
}

/* -- What is there after kill -9, under the other policies -- */

struct killed {
    const char *folder;
    struct pyr_log_options options;
    unsigned pause_us; /* After the last append, before its last word. */
};

enum { KILLED_RECORDS = 40 };

static void append_and_die(void *ctx)
{
    const struct killed *killed = ctx;
    struct pyr_log *log = embed_open(killed->folder, &killed->options);
    embed_append_numbered(log, 0, KILLED_RECORDS);
    (void)usleep(killed->pause_us);
    (void)raise(SIGKILL);
}

static int64_t records_after(struct killed *killed)
{
    pid_t child = 0;
    FILE *stream = embed_child(append_and_die, killed, &child);
    (void)embed_reap(child);
    (void)fclose(stream);
    struct pyr_log *log = embed_open(killed->folder, NULL);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    embed_expect_numbered(log, 0, stat.offset_end);
    pyr_log_close(log);
    return stat.offset_end;
}

/* "With the kernel when it returns": a process that dies at once loses nothing. */
TEST(policy_os, handed_over_at_once_survives_kill_9)
{
    for (uint64_t round = 0; round < case_scale(10); round++) {
        struct killed killed = {.folder = embed_path(case_folder(), "data")};
        embed_log_options(&killed.options, PYR_SYNC_OS);
        killed.options.hand_over_at_once = true;

        CHECK_INT(records_after(&killed), KILLED_RECORDS);
    }
}

/* Without it, a millisecond later: given a whole second, everything is there. */
TEST(policy_os, survives_kill_9_a_moment_later)
{
    struct killed killed = {.folder = embed_path(case_folder(), "data"), .pause_us = 1000000};
    embed_log_options(&killed.options, PYR_SYNC_OS);

    CHECK_INT(records_after(&killed), KILLED_RECORDS);
}

/* And under batch, once its interval has passed. */
TEST(policy_batch, survives_kill_9_after_the_interval)
{
    struct killed killed = {.folder = embed_path(case_folder(), "data"), .pause_us = 1000000};
    embed_log_options(&killed.options, PYR_SYNC_BATCH);
    killed.options.sync_interval_ms = 20;

    CHECK_INT(records_after(&killed), KILLED_RECORDS);
}

/* -- Without the cache -- */

/* With the cache off an append goes to its segment at once, and is acknowledged when it is there.
 */
TEST(cache_off, appends_and_reads)
{
    for (int on_write = 0; on_write < 2; on_write++) {
        const char *folder = embed_path(case_folder(), "data");
        struct pyr_store_options store_options;
        embed_store_options(&store_options);
        store_options.cache_enabled = false;
        struct pyr_log_options options;
        pyr_log_options_init(&options);
        options.sync_on_write = on_write == 1;
        options.store = &store_options;
        struct pyr_log *log = embed_open(folder, &options);

        embed_append_numbered(log, 0, 20);

        embed_expect_numbered(log, 0, 20);
        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK(stat.segment_bytes > 0);
        pyr_log_close(log);
        log = embed_open(folder, NULL);
        embed_expect_numbered(log, 0, 20);
        pyr_log_close(log);
    }
}

/* -- Many threads -- */

enum { THREADS = 8, PER_THREAD = 200 };

struct appender {
    pthread_t thread;
    struct pyr_log *log;
    uint32_t number;
    enum pyr_err err;
    int64_t offsets[PER_THREAD];
};

/* Start an append of @record, and wait for it if it must be. */
static enum pyr_err append_started(struct pyr_log *log,
                                   const struct pyr_record *record,
                                   bool must_wait,
                                   struct pyr_receipt *ret_receipt)
{
    enum pyr_err err = pyr_log_append_start(log, record, 1, ret_receipt, NULL);
    if (err == PYR_OK && must_wait) {
        err = pyr_log_wait(log, ret_receipt->offset_end, -1, NULL);
    }
    return err;
}

/* Every third append is a batch of two, every seventh one is started and waited for later. */
static void *append_many(void *ctx)
{
    struct appender *appender = ctx;
    for (uint32_t index = 0; index < PER_THREAD && appender->err == PYR_OK; index++) {
        const uint32_t words[2] = {appender->number, index};
        const struct pyr_record record = {.value = words, .value_bytes = sizeof words};
        const struct pyr_record two[2] = {record, record};
        struct pyr_receipt receipt = {0};
        if (index % 7 == 0) {
            appender->err = append_started(appender->log, &record, index % 2 == 0, &receipt);
        } else if (index % 3 == 0) {
            appender->err = pyr_log_append_batch(appender->log, two, 2, &receipt, NULL);
        } else {
            appender->err = pyr_log_append(appender->log, &record, &receipt, NULL);
        }
        appender->offsets[index] = receipt.offset;
    }
    return NULL;
}

/* Check that each record of @log is where its thread was told, and that each thread's are in its
 * order. */
static void check_order(struct pyr_log *log, const struct appender *appenders)
{
    uint32_t next[THREADS] = {0};
    bool is_second[THREADS] = {false};
    struct pyr_error error;
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    int64_t expected = 0;
    while (pyr_reader_next(reader, 0, &record, &error) == PYR_OK) {
        CHECK_INT(record.offset, expected++);
        uint32_t words[2];
        CHECK_INT(record.value_bytes, sizeof words);
        memcpy(words, record.value, sizeof words);
        CHECK(words[0] < THREADS);
        uint32_t number = words[0];
        CHECK_INT(words[1], next[number]);
        CHECK_INT(record.offset, appenders[number].offsets[words[1]] + is_second[number]);
        bool is_pair = words[1] % 7 != 0 && words[1] % 3 == 0;
        if (is_pair && !is_second[number]) {
            is_second[number] = true;
            continue;
        }
        is_second[number] = false;
        next[number]++;
    }
    CHECK_INT(error.code, PYR_ERR_TIMEOUT);
    for (size_t index = 0; index < THREADS; index++) {
        CHECK_INT(next[index], PER_THREAD);
    }
    pyr_reader_close(reader);
}

/* Many threads share flushes; each record is where its receipt said, also after a restart. */
TEST(threads, append_side_by_side_under_each_policy)
{
    for (int policy = PYR_SYNC_ALWAYS; policy <= PYR_SYNC_OS; policy++) {
        const char *folder = embed_path(case_folder(), "data");
        struct pyr_log_options options;
        embed_log_options(&options, (enum pyr_sync)policy);
        struct pyr_log *log = embed_open(folder, &options);
        static struct appender appenders[THREADS];
        for (uint32_t index = 0; index < THREADS; index++) {
            appenders[index] = (struct appender){.log = log, .number = index};
            CHECK_INT(
                pthread_create(&appenders[index].thread, NULL, append_many, &appenders[index]), 0);
        }
        for (size_t index = 0; index < THREADS; index++) {
            CHECK_INT(pthread_join(appenders[index].thread, NULL), 0);
            CHECK_INT(appenders[index].err, PYR_OK);
        }
        struct pyr_error error;
        CHECK_OK(pyr_log_sync(log, &error), error);

        check_order(log, appenders);
        pyr_log_close(log);
        log = embed_open(folder, &options);
        check_order(log, appenders);
        pyr_log_close(log);
    }
}
