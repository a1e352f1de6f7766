/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_delete - moving the first offset, and finding an offset by time. Covers embed/find.c too.
 */
#include <glob.h>
#include <pthread.h>
#include <unistd.h>

#include "embed_case.h"

/* Return a log with @count numbered records, in segments of 64 KiB. */
static struct pyr_log *log_with(const char *folder, int64_t count)
{
    struct pyr_log_options options;
    pyr_log_options_init(&options);
    options.segment_max_size = 64 << 10;
    struct pyr_log *log = embed_open(folder, &options);
    embed_append_numbered(log, 0, count);
    return log;
}

/* Append @count records of 10 kB, each stamped 1000 ms after the one before, from 1,000,000 on. */
static void append_large(struct pyr_log *log, int count)
{
    char *data = malloc(10000);
    CHECK(data != NULL);
    memset(data, 'y', 10000);
    for (int index = 0; index < count; index++) {
        struct pyr_record record = {.timestamp_ms = 1000000 + INT64_C(1000) * index,
                                    .value = data,
                                    .value_bytes = 10000};
        struct pyr_error error;
        CHECK_OK(pyr_log_append(log, &record, NULL, &error), error);
    }
    free(data);
}

/* Return the offset of the next record of @reader. */
static int64_t next_offset(struct pyr_reader *reader)
{
    struct pyr_record record;
    struct pyr_error error;
    CHECK_OK(pyr_reader_next(reader, PATIENCE_MS, &record, &error), error);
    return record.offset;
}

static struct pyr_reader *reader_at(struct pyr_log *log, int64_t offset)
{
    struct pyr_error error;
    struct pyr_reader *reader = NULL;
    CHECK_OK(pyr_reader_open(log, offset, &reader, &error), error);
    return reader;
}

/* -- Deleting -- */

/* What is deleted is gone, at once and for good; the rest stays. */
TEST(delete_before, moves_the_start_and_frees_segments)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = log_with(folder, 0);
    append_large(log, 100);
    struct pyr_error error;
    CHECK_OK(pyr_log_sync(log, &error), error);
    pyr_log_close(log);
    log = log_with(folder, 0);
    struct pyr_log_stat before;
    pyr_log_stat(log, &before);

    CHECK_OK(pyr_log_delete_before(log, 57, &error), error);

    for (int life = 0; life < 2; life++) {
        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK_INT(stat.offset_first, 57);
        CHECK_INT(stat.offset_end, 100);
        /* The files go in the background. */
        for (int64_t waited_ms = 0; stat.segments == before.segments; waited_ms++) {
            CHECK(waited_ms < PATIENCE_MS);
            (void)usleep(1000);
            pyr_log_stat(log, &stat);
        }
        CHECK(stat.bytes < before.bytes);
        struct pyr_reader *reader = NULL;
        CHECK_ERR(pyr_reader_open(log, 56, &reader, &error), PYR_ERR_OUT_OF_RANGE, error);
        reader = reader_at(log, PYR_READ_FIRST);
        for (int64_t offset = 57; offset < 100; offset++) {
            CHECK_INT(next_offset(reader), offset);
        }
        pyr_reader_close(reader);
        pyr_log_close(log);
        log = log_with(folder, 0);
    }

    pyr_log_close(log);
}

/* A reader whose records were deleted is told so; it does not skip ahead in silence. */
TEST(delete_before, tells_a_reader_left_behind)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 0);
    append_large(log, 50);
    struct pyr_reader *reader = reader_at(log, 5);
    struct pyr_error error;

    CHECK_OK(pyr_log_delete_before(log, 40, &error), error);

    struct pyr_record record;
    CHECK_ERR(pyr_reader_next(reader, 0, &record, &error), PYR_ERR_OUT_OF_RANGE, error);
    CHECK_OK(pyr_reader_seek(reader, PYR_READ_FIRST, &error), error);
    CHECK_INT(next_offset(reader), 40);
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Everything may go; what comes next has the next offset all the same. */
TEST(delete_before, may_empty_the_log)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = log_with(folder, 10);
    struct pyr_error error;

    CHECK_OK(pyr_log_delete_before(log, 10, &error), error);
    CHECK_ERR(pyr_log_delete_before(log, 11, &error), PYR_ERR_OUT_OF_RANGE, error);
    CHECK_OK(pyr_log_delete_before(log, 3, &error), error); /* Gone before: nothing to do. */

    pyr_log_close(log);
    log = log_with(folder, 0);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_first, 10);
    CHECK_INT(stat.offset_end, 10);
    embed_append_numbered(log, 10, 2);
    embed_expect_numbered(log, 10, 12);
    pyr_log_close(log);
}

/* -- Times -- */

/* The first record at or after a time; before all, between, and after all. */
TEST(find_time, finds_the_first_record_at_or_after)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = log_with(folder, 0);
    append_large(log, 60);
    struct pyr_error error;
    const int64_t rows[][2] = {{0, 0},        {1000000, 0},  {1000001, 1},  {1001000, 1},
                               {1030500, 31}, {1059000, 59}, {1059001, 60}, {INT64_MAX, 60}};

    for (int life = 0; life < 2; life++) {
        for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
            struct pyr_position position;
            CHECK_OK(pyr_log_find_time(log, rows[index][0], &position, &error), error);
            CHECK_INT(position.offset, rows[index][1]);
            CHECK(position.segment <= position.offset);
        }
        pyr_log_close(log);
        log = log_with(folder, 0);
    }

    pyr_log_close(log);
}

/* -- Whole logs -- */

/* Open the log "orders-0" of @store. */
static struct pyr_log *orders(struct pyr_store *store)
{
    struct pyr_log *log = NULL;
    struct pyr_error error;
    CHECK_OK(pyr_store_log(store, "orders", 0, NULL, &log, &error), error);
    return log;
}

/* A reader that waits at the end of a log, and what it was told. */
struct waiting {
    struct pyr_reader *reader;
    enum pyr_err err;
};

static void *wait_at_end(void *ctx)
{
    struct waiting *waiting = ctx;
    struct pyr_record record;
    waiting->err = pyr_reader_next(waiting->reader, PATIENCE_MS, &record, NULL);
    return NULL;
}

/* A deleted log is gone for all who have it open, those that wait at its end included; what the
 * store knows says so; and all of it comes back by a restore, also in a later life. */
TEST(delete_log, is_final_until_it_is_restored)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store *store = embed_open_store(folder);
    struct pyr_log *log = orders(store);
    struct pyr_error error;
    embed_append_numbered(log, 0, 3000);
    struct pyr_reader *reader = NULL;
    CHECK_OK(pyr_reader_open(log, PYR_READ_END, &reader, &error), error);
    struct waiting waiting = {.reader = reader};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, wait_at_end, &waiting), 0);
    (void)usleep(20000);

    CHECK_OK(pyr_store_delete_log(store, "orders", 0, &error), error);

    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(waiting.err, PYR_ERR_NOT_FOUND);
    struct pyr_record record = embed_record("late");
    struct pyr_position position;
    CHECK_ERR(pyr_log_append(log, &record, NULL, &error), PYR_ERR_NOT_FOUND, error);
    CHECK(strstr(error.message, "was deleted"));
    CHECK_ERR(pyr_log_append_batch(log, &record, 1, NULL, &error), PYR_ERR_NOT_FOUND, error);
    CHECK_ERR(pyr_log_find_time(log, 1, &position, &error), PYR_ERR_NOT_FOUND, error);
    CHECK_ERR(pyr_log_delete_before(log, 10, &error), PYR_ERR_NOT_FOUND, error);
    CHECK_ERR(pyr_reader_next(reader, 0, &record, &error), PYR_ERR_NOT_FOUND, error);
    CHECK_ERR(pyr_store_delete_log(store, "orders", 0, &error), PYR_ERR_NOT_FOUND, error);
    CHECK_OK(pyr_log_sync(log, &error), error); /* It lost nothing. */
    struct pyr_store_stat stat;
    pyr_store_stat(store, &stat);
    CHECK_INT(stat.logs, 0);
    CHECK_INT(stat.logs_deleted, 1);
    pyr_reader_close(reader);
    pyr_log_close(log);

    for (int life = 0; life < 2; life++) {
        CHECK_OK(pyr_store_restore_log(store, "orders", 0, NULL, &error), error);
        log = orders(store);
        embed_expect_numbered(log, 0, 3000);
        CHECK_OK(pyr_store_delete_log(store, "orders", 0, &error), error);
        pyr_log_close(log);
        pyr_store_close(store);
        store = embed_open_store(folder);
        pyr_store_stat(store, &stat);
        CHECK_INT(stat.logs_deleted, 1);
    }
    pyr_store_close(store);
}

/* The name is free at once, and a restore does not take it back from its new log. */
TEST(delete_log, leaves_the_name_to_a_new_log)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store *store = embed_open_store(folder);
    struct pyr_log *log = orders(store);
    struct pyr_error error;
    embed_append_numbered(log, 0, 100);
    CHECK_OK(pyr_store_delete_log(store, "orders", 0, &error), error);
    struct pyr_log *fresh = orders(store);
    embed_append_numbered(fresh, 0, 10);
    pyr_log_close(log); /* The old handle is let go of beside the new one. */

    CHECK_ERR(pyr_store_restore_log(store, "orders", 0, NULL, &error), PYR_ERR_EXISTS, error);

    CHECK(strstr(error.message, "taken again"));
    CHECK_ERR(pyr_store_restore_log(store, "orders", 0, "12", &error), PYR_ERR_INVALID, error);
    CHECK_ERR(pyr_store_restore_log(store, "none", 0, NULL, &error), PYR_ERR_NOT_FOUND, error);
    embed_expect_numbered(fresh, 0, 10);
    pyr_log_close(fresh);
    pyr_store_close(store);
    store = embed_open_store(folder);
    fresh = orders(store);
    embed_expect_numbered(fresh, 0, 10);
    pyr_log_close(fresh);
    pyr_store_close(store);
}

/* When its grace is over the folder is removed, also on a store that nobody uses. */
TEST(delete_log, is_removed_after_the_grace)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store_options options;
    struct pyr_store *store = NULL;
    struct pyr_error error;
    embed_store_options(&options);
    options.delete_grace_ms = 1;
    CHECK_OK(pyr_store_open(folder, &options, &store, &error), error);
    struct pyr_log *log = orders(store);
    embed_append_numbered(log, 0, 1000);

    CHECK_OK(pyr_store_delete_log(store, "orders", 0, &error), error);

    struct pyr_store_stat stat = {.logs_deleted = 1};
    for (int64_t waited_ms = 0; stat.logs_deleted > 0; waited_ms++) {
        CHECK(waited_ms < PATIENCE_MS);
        (void)usleep(1000);
        pyr_store_stat(store, &stat);
    }
    glob_t found;
    CHECK_INT(glob(embed_path(folder, "orders-0*"), 0, NULL, &found), GLOB_NOMATCH);
    CHECK_ERR(pyr_store_restore_log(store, "orders", 0, NULL, &error), PYR_ERR_NOT_FOUND, error);
    pyr_log_close(log);
    pyr_store_close(store);
    store = embed_open_store(folder);
    pyr_store_stat(store, &stat);
    CHECK_INT(stat.logs, 0);
    pyr_store_close(store);
}
