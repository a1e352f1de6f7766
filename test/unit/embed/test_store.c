/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store - one lock, many waiters: who drives, who is woken, and what the state says.
 *
 * Covers embed/store.c and embed/delete.c beside what the other files of this folder show of them.
 */
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embed_case.h"

enum { LOGS = 16, WRITERS = 4, ROUNDS = 60 };

/* Many logs of different policies share one journal; none waits for ever for another. */
TEST(store, serves_many_logs_and_threads)
{
    struct pyr_store *store = embed_open_store(embed_path(case_folder(), "data"));
    struct pyr_log *logs[LOGS];
    struct pyr_error error;
    for (int index = 0; index < LOGS; index++) {
        struct pyr_log_options options;
        embed_log_options(&options, (enum pyr_sync)(index % 3));
        CHECK_OK(pyr_store_log(store, "t", (uint32_t)index, &options, &logs[index], &error), error);
        CHECK(pyr_log_store(logs[index]) == store);
    }
    embed_append_crowd(logs, LOGS, WRITERS, ROUNDS);

    for (int index = 0; index < LOGS; index++) {
        CHECK_OK(pyr_log_sync(logs[index], &error), error);
        struct pyr_log_stat stat;
        pyr_log_stat(logs[index], &stat);
        CHECK_INT(stat.offset_end, WRITERS * ROUNDS);
        CHECK_INT(stat.offset_durable, WRITERS * ROUNDS);
        CHECK_INT(stat.offset_committed, WRITERS * ROUNDS);
        CHECK(!stat.has_failed);
        pyr_log_close(logs[index]);
    }
    pyr_store_close(store);
}

/* A wait of no time says at once whether it is there; a sync has nothing to do on an empty log. */
TEST(store, waits_no_longer_than_it_is_told)
{
    struct pyr_log_options options;
    embed_log_options(&options, PYR_SYNC_ALWAYS);
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), &options);
    struct pyr_error error;
    CHECK_OK(pyr_log_sync(log, &error), error);
    struct pyr_receipt receipt = {0};
    for (int index = 0; index < 200; index++) {
        struct pyr_record record = embed_record("x");
        CHECK_OK(pyr_log_append_start(log, &record, 1, &receipt, &error), error);
    }

    enum pyr_err err = PYR_ERR_TIMEOUT;
    int turns = 0;
    while (err == PYR_ERR_TIMEOUT && turns++ < 1000000) {
        err = pyr_log_wait(log, receipt.offset_end, turns % 2, &error);
    }

    CHECK_OK(err, error);
    pyr_log_close(log);
}

struct impatient {
    pthread_t thread;
    struct pyr_log *log;
    atomic_bool *is_over;
    enum pyr_err err;
};

/* Wait for @offset_end to be durable in slices of @slice_ms. */
static enum pyr_err wait_in_slices(struct pyr_log *log, int64_t offset_end, int64_t slice_ms)
{
    enum pyr_err err = PYR_ERR_TIMEOUT;
    while (err == PYR_ERR_TIMEOUT) {
        err = pyr_log_wait(log, offset_end, slice_ms, NULL);
    }
    return err;
}

/* Start an append and wait for it in slices of nothing and of a millisecond. */
static void *append_impatiently(void *ctx)
{
    struct impatient *impatient = ctx;
    for (int index = 0; index < 100 && impatient->err == PYR_OK; index++) {
        struct pyr_receipt receipt = {0};
        const struct pyr_record record = {.value = "x", .value_bytes = 1};
        enum pyr_err err = pyr_log_append_start(impatient->log, &record, 1, &receipt, NULL);
        if (err == PYR_OK || err == PYR_ERR_TIMEOUT) {
            err = wait_in_slices(impatient->log, receipt.offset_end, index % 2);
        }
        impatient->err = err;
    }
    return NULL;
}

static void *read_impatiently(void *ctx)
{
    struct impatient *impatient = ctx;
    struct pyr_reader *reader = NULL;
    impatient->err = pyr_reader_open(impatient->log, PYR_READ_FIRST, &reader, NULL);
    while (impatient->err == PYR_OK && !atomic_load(impatient->is_over)) {
        struct pyr_record record;
        enum pyr_err err = pyr_reader_next(reader, 1, &record, NULL);
        impatient->err = err == PYR_ERR_TIMEOUT ? PYR_OK : err;
    }
    pyr_reader_close(reader);
    return NULL;
}

/* Waits that end by time-out in the very moment they are answered lose nothing and hang nobody:
 * each waiter is woken once. EMB-3 */
TEST(store, survives_waiters_that_give_up)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    atomic_bool is_over = false;
    struct impatient threads[8];
    for (size_t index = 0; index < 8; index++) {
        threads[index] = (struct impatient){.log = log, .is_over = &is_over};
        CHECK_INT(pthread_create(&threads[index].thread, NULL,
                                 index < 5 ? append_impatiently : read_impatiently,
                                 &threads[index]),
                  0);
    }

    for (size_t index = 0; index < 8; index++) {
        if (index == 5) {
            atomic_store(&is_over, true);
        }
        CHECK_INT(pthread_join(threads[index].thread, NULL), 0);
        CHECK_INT(threads[index].err, PYR_OK);
    }

    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_durable, 500);
    pyr_log_close(log);
}

/* The numbers of a log's state agree with each other and with what was done. */
TEST(store, says_the_state_of_a_log)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_first, 0);
    CHECK_INT(stat.offset_end, 0);
    CHECK_INT(stat.segment, 0);
    CHECK_INT(stat.segment_bytes, 0);

    embed_append_numbered(log, 0, 10);

    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_first, 0);
    CHECK_INT(stat.offset_end, 10);
    CHECK_INT(stat.offset_committed, 10);
    CHECK_INT(stat.offset_durable, 10);
    CHECK_INT(stat.segment, 0);
    CHECK(stat.segment_bytes >=
          UINT64_C(10) * 61); /* Header of each batch; the cached ones count. */
    CHECK(!stat.has_failed);
    pyr_log_close(log);
}

/* Two stores in one process know nothing of each other. */
TEST(store, stands_beside_another_one)
{
    struct pyr_log *one = embed_open(embed_path(case_folder(), "data"), NULL);
    struct pyr_log *two = embed_open(embed_path(case_folder(), "data"), NULL);

    embed_append_numbered(one, 0, 5);
    embed_append_numbered(two, 0, 3);
    pyr_log_close(one);
    embed_append_numbered(two, 3, 3);

    embed_expect_numbered(two, 0, 6);
    pyr_log_close(two);
}

/* -- Left alone -- */

/* Return the bytes of the files of the store in @folder that match @pattern. */
static int64_t bytes_of_files(const char *folder, const char *pattern)
{
    glob_t found;
    int error = glob(embed_path(folder, pattern), 0, NULL, &found);
    CHECK(error == 0 || error == GLOB_NOMATCH);
    int64_t bytes = 0;
    for (size_t index = 0; error == 0 && index < found.gl_pathc; index++) {
        struct stat found_stat;
        /* It may have gone since. */
        bytes += stat(found.gl_pathv[index], &found_stat) == 0 ? (int64_t)found_stat.st_size : 0;
    }
    globfree(&found);
    return bytes;
}

/* Append @count records of one key to @log, without waiting for each. */
static void append_many(struct pyr_log *log, int count)
{
    struct pyr_error error;
    struct pyr_record record = embed_record("the only key has a value of forty bytes.");
    record.key = "k";
    record.key_bytes = 1;
    for (int number = 0; number < count; number++) {
        CHECK_OK(pyr_log_append_start(log, &record, 1, NULL, &error), error);
    }
    CHECK_OK(pyr_log_sync(log, &error), error);
}

/* A store that nobody calls any more goes on: what is too old goes, the segment that was written to
 * is left for its age and goes as well, and a log of keys is compacted. A second or two is what it
 * takes by its nature, since logs are looked at once a second. */
TEST(store, looks_after_itself)
{
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s/data", case_folder());
    struct pyr_store_options store_options;
    struct pyr_store *store = NULL;
    struct pyr_log_options options;
    struct pyr_error error;
    embed_store_options(&store_options);
    store_options.max_buffer_time_ms = 20;
    CHECK_OK(pyr_store_open(folder, &store_options, &store, &error), error);
    struct pyr_log *old = NULL;
    struct pyr_log *keys = NULL;
    embed_log_options(&options, PYR_SYNC_OS);
    options.segment_max_size = 32 << 10;
    options.segment_max_age_ms = 200;
    options.retention_ms = 500;
    CHECK_OK(pyr_store_log(store, "old", 0, &options, &old, &error), error);
    append_many(old, 4000);
    options.retention_ms = 0;
    options.segment_max_age_ms = 0;
    options.is_compacted = true;
    CHECK_OK(pyr_store_log(store, "keys", 0, &options, &keys, &error), error);
    append_many(keys, 4000);

    struct pyr_log_stat stat;
    /* What is still being written has room for one segment ahead. */
    bool was_written = false;
    bool is_done = false;
    for (int64_t waited_ms = 0; !is_done; waited_ms += 10) {
        CHECK(waited_ms < PATIENCE_MS);
        (void)usleep(10000);
        int64_t old_bytes = bytes_of_files(folder, "old-0/*.log");
        int64_t keys_bytes = bytes_of_files(folder, "keys-0/*.log");
        was_written |= old_bytes > 100000 && keys_bytes > 100000;
        is_done = was_written && old_bytes < 40000 && keys_bytes < 70000;
    }

    pyr_log_stat(old, &stat);
    CHECK(stat.offset_first >= 4000);
    pyr_log_stat(keys, &stat);
    CHECK_INT(stat.offset_end, 4000);
    pyr_log_close(old);
    pyr_log_close(keys);
    pyr_store_close(store);
}
