/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reader - reading in order, from any offset, at the tail, by record and by batch, packed or
 * not. Covers embed/reader.c and embed/pack.c.
 */
#include <glob.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
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

/* -- Places -- */

/* Every offset is a place to begin: first, middle of a batch, last, end. */
TEST(reader, begins_at_any_offset)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = log_with(folder, 40);

    for (int life = 0; life < 2; life++) {
        for (int64_t offset = 0; offset < 40; offset++) {
            struct pyr_reader *reader = reader_at(log, offset);
            CHECK_INT(pyr_reader_position(reader).offset, offset);
            CHECK_INT(next_offset(reader), offset);
            CHECK_INT(pyr_reader_position(reader).offset, offset + 1);
            pyr_reader_close(reader);
        }
        pyr_log_close(log);
        log = embed_open(folder, NULL);
    }

    pyr_log_close(log);
}

/* The middle of a batch is a place too, in cache and in segment. */
TEST(reader, begins_inside_a_batch)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = embed_open(folder, NULL);
    struct pyr_record records[10];
    char texts[10][16];
    for (int index = 0; index < 10; index++) {
        (void)snprintf(texts[index], sizeof texts[index], "record %d", index);
        records[index] = embed_record(texts[index]);
    }
    struct pyr_error error;
    CHECK_OK(pyr_log_append_batch(log, records, 10, NULL, &error), error);

    for (int life = 0; life < 2; life++) {
        for (int64_t offset = 0; offset < 10; offset++) {
            embed_expect_numbered(log, offset, 10);
        }
        pyr_log_close(log);
        log = embed_open(folder, NULL);
    }

    pyr_log_close(log);
}

/* FIRST and END are places without a number. */
TEST(reader, knows_first_and_end)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 5);
    struct pyr_reader *first = reader_at(log, PYR_READ_FIRST);
    struct pyr_reader *end = reader_at(log, PYR_READ_END);
    struct pyr_record record;
    struct pyr_error error;

    CHECK_INT(next_offset(first), 0);
    CHECK_ERR(pyr_reader_next(end, 0, &record, &error), PYR_ERR_TIMEOUT, error);
    embed_append_numbered(log, 5, 1);
    CHECK_INT(next_offset(end), 5);

    pyr_reader_close(first);
    pyr_reader_close(end);
    pyr_log_close(log);
}

/* An empty log has a first place and an end, and they are one. */
TEST(reader, waits_at_the_end_of_an_empty_log)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    struct pyr_record record;
    struct pyr_error error;
    const int64_t places[] = {PYR_READ_FIRST, PYR_READ_END, 0};

    for (size_t index = 0; index < 3; index++) {
        struct pyr_reader *reader = reader_at(log, places[index]);
        CHECK_ERR(pyr_reader_next(reader, 0, &record, &error), PYR_ERR_TIMEOUT, error);
        CHECK_INT(pyr_reader_position(reader).offset, 0);
        pyr_reader_close(reader);
    }

    pyr_log_close(log);
}

/* Past the end there is nothing to wait for, below the start nothing to read. */
TEST(reader, refuses_places_outside_of_the_log)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 5);
    const int64_t places[] = {6, 1000000, INT64_MAX, -3, INT64_MIN};
    struct pyr_reader *kept = reader_at(log, 2);

    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        struct pyr_reader *reader = NULL;
        struct pyr_error error;
        CHECK_ERR(pyr_reader_open(log, places[index], &reader, &error), PYR_ERR_OUT_OF_RANGE,
                  error);
        CHECK(reader == NULL);
        CHECK_ERR(pyr_reader_seek(kept, places[index], &error), PYR_ERR_OUT_OF_RANGE, error);
    }

    CHECK_INT(next_offset(kept), 2); /* It stayed where it was. */
    pyr_reader_close(kept);
    pyr_log_close(log);
}

/* Back and forth, in the same run of batches and out of it. */
TEST(reader, seeks_both_ways)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 60);
    struct pyr_reader *reader = reader_at(log, PYR_READ_FIRST);
    const int64_t places[] = {59, 0, 30, 31, 29, 59, 1, 58, 0};
    struct pyr_error error;

    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        CHECK_OK(pyr_reader_seek(reader, places[index], &error), error);
        CHECK_INT(next_offset(reader), places[index]);
    }
    CHECK_OK(pyr_reader_seek(reader, PYR_READ_END, &error), error);
    CHECK_INT(pyr_reader_position(reader).offset, 60);
    CHECK_OK(pyr_reader_seek(reader, PYR_READ_FIRST, &error), error);
    CHECK_INT(next_offset(reader), 0);

    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* A file that somebody has removed is an error that names it, not a reader that looks for it for
 * ever. */
TEST(reader, gives_up_on_a_removed_file)
{
    const char *folder = embed_path(case_folder(), "data");
    pyr_log_close(log_with(folder, 40));
    struct pyr_log *log = embed_open(folder, NULL);
    glob_t found;
    CHECK_INT(glob(embed_path(folder, "*-0/*.log"), 0, NULL, &found), 0);
    CHECK(found.gl_pathc > 0);
    CHECK_INT(unlink(found.gl_pathv[0]), 0);
    globfree(&found);
    struct pyr_reader *reader = reader_at(log, 0);

    struct pyr_record record;
    struct pyr_error error;
    CHECK_INT(pyr_reader_next(reader, PATIENCE_MS, &record, &error), PYR_ERR_NOT_FOUND);
    CHECK(strstr(error.message, ".log"));

    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Write over all of the only segment of the log below @folder. */
static void spoil_segment(const char *folder)
{
    glob_t found;
    CHECK_INT(glob(embed_path(folder, "*-0/*.log"), 0, NULL, &found), 0);
    CHECK_INT(found.gl_pathc, 1);
    FILE *file = fopen(found.gl_pathv[0], "r+");
    CHECK(file != NULL);
    CHECK_INT(fseek(file, 0, SEEK_END), 0);
    long left = ftell(file);
    CHECK_INT(fseek(file, 0, SEEK_SET), 0);
    while (left-- > 0) {
        CHECK_INT(fputc('x', file), 'x');
    }
    CHECK_INT(fclose(file), 0);
    globfree(&found);
}

/* What a reader holds was read and checked a moment ago: a seek within it reads nothing. Here
 * nothing else can be read any more. */
TEST(reader, seeks_within_what_it_holds)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = embed_open(folder, NULL);
    append_large(log, 20);
    pyr_log_close(log);
    log = embed_open(folder, NULL);
    struct pyr_reader *reader = reader_at(log, 7);
    struct pyr_record record;
    struct pyr_error error;
    CHECK_INT(next_offset(reader), 7);
    spoil_segment(folder);

    CHECK_OK(pyr_reader_seek(reader, 7, &error), error);
    CHECK_INT(next_offset(reader), 7);
    CHECK_OK(pyr_reader_seek(reader, 9, &error), error);
    CHECK_ERR(pyr_reader_next(reader, 0, &record, &error), PYR_ERR_CORRUPT, error);
    CHECK_INT(pyr_reader_position(reader).offset, 9); /* It stays before the damage. */

    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Who seeks for a record pays for its batch and no more, and who goes on reads in large pieces. */
TEST(reader, reads_little_after_a_seek_and_more_as_it_goes_on)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = embed_open(folder, NULL);
    append_large(log, 400);
    pyr_log_close(log);
    log = embed_open(folder, NULL);
    struct pyr_reader *reader = reader_at(log, 3);
    struct pyr_error error;

    for (int round = 0; round < 2; round++) {
        const void *data = NULL;
        size_t count = 0;
        CHECK_OK(pyr_reader_next_bytes(reader, 0, &data, &count, &error), error);
        CHECK(count > 10000 && count < 20000);
        for (int turn = 0; turn < 6; turn++) {
            CHECK_OK(pyr_reader_next_bytes(reader, 0, &data, &count, &error), error);
        }
        CHECK(count > 900000);
        CHECK_OK(pyr_reader_seek(reader, 3, &error), error);
    }

    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* -- What is handed out -- */

/* A record's bytes stay until the next call, whatever others append meanwhile. */
TEST(reader, keeps_a_record_until_the_next_call)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 10);
    struct pyr_reader *reader = reader_at(log, 3);
    struct pyr_record record;
    struct pyr_error error;
    CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);

    append_large(log, 300);
    CHECK_OK(pyr_log_sync(log, &error), error);

    CHECK_INT(record.value_bytes, strlen("record 3")); /* EMB-5 */
    CHECK_BYTES(record.value, "record 3", strlen("record 3"));
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Many segments, far more than the cache: everything is read back in order. */
TEST(reader, reads_across_segments)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = log_with(folder, 0);
    append_large(log, 100);
    pyr_log_close(log);
    for (int use_mmap = 0; use_mmap < 2; use_mmap++) {
        struct pyr_log_options options;
        pyr_log_options_init(&options);
        options.use_mmap = use_mmap == 1;
        options.segment_max_size = 64 << 10;
        log = embed_open(folder, &options);

        struct pyr_reader *reader = reader_at(log, PYR_READ_FIRST);
        for (int64_t offset = 0; offset < 100; offset++) {
            CHECK_INT(next_offset(reader), offset);
        }

        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK(stat.segments > 10);
        CHECK(stat.bytes > 1000000);
        CHECK(pyr_reader_position(reader).segment <= 100);
        pyr_reader_close(reader);
        pyr_log_close(log);
    }
}

/* Whole batches, for those who walk them themselves: magic 2 of Kafka at byte 16. */
TEST(reader, returns_whole_batches_in_kafkas_format)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 7);
    struct pyr_reader *reader = reader_at(log, PYR_READ_FIRST);
    struct pyr_error error;
    int64_t records = 0;

    while (records < 7) {
        const void *data = NULL;
        size_t count = 0;
        CHECK_OK(pyr_reader_next_bytes(reader, 0, &data, &count, &error), error);
        const uint8_t *bytes = data;
        while (count > 0) {
            CHECK(count >= 61);
            CHECK_INT(bytes[16], 2);
            size_t batch = 12 + ((size_t)bytes[8] << 24 | (size_t)bytes[9] << 16 |
                                 (size_t)bytes[10] << 8 | bytes[11]);
            CHECK(batch <= count);
            CHECK_INT(bytes[7], records); /* The base offset's last byte. */
            records += bytes[60];         /* The record count's last byte. */
            bytes += batch;
            count -= batch;
        }
    }

    CHECK_INT(records, 7);
    const void *data = NULL;
    size_t count = 0;
    CHECK_ERR(pyr_reader_next_bytes(reader, 0, &data, &count, &error), PYR_ERR_TIMEOUT, error);
    embed_append_numbered(log, 7, 1);
    CHECK_INT(next_offset(reader), 7); /* Both ways of reading go on from the same place. */
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Changing from records to batches in the middle of a run skips and repeats nothing: the batches
 * begin with the one that holds the next record. */
TEST(reader, changes_from_records_to_batches)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 8);
    struct pyr_reader *reader = reader_at(log, PYR_READ_FIRST);
    CHECK_INT(next_offset(reader), 0);
    CHECK_INT(next_offset(reader), 1);
    const void *data = NULL;
    size_t count = 0;
    struct pyr_error error;

    CHECK_OK(pyr_reader_next_bytes(reader, 0, &data, &count, &error), error);

    CHECK_INT(((const uint8_t *)data)[7], 2);
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* Packed batches are read as records like all others. */
TEST(reader, unpacks_what_was_packed)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log_options options;
    pyr_log_options_init(&options);
    options.compression = PYR_COMPRESSION_LZ4;
    struct pyr_log *log = embed_open(folder, &options);

    enum { COUNT = 200 };
    static struct pyr_record records[COUNT];
    static char texts[COUNT][400];
    for (int index = 0; index < COUNT; index++) {
        memset(texts[index], 'a' + index % 3, sizeof texts[index] - 1);
        records[index] = embed_record(texts[index]);
    }
    struct pyr_error error;
    CHECK_OK(pyr_log_append_batch(log, records, COUNT, NULL, &error), error);

    for (int life = 0; life < 2; life++) {
        struct pyr_reader *reader = reader_at(log, PYR_READ_FIRST);
        for (int index = 0; index < COUNT; index++) {
            embed_expect(reader, index, texts[index]);
        }
        CHECK_OK(pyr_reader_seek(reader, 150, &error), error);
        embed_expect(reader, 150, texts[150]);
        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK(stat.segment_bytes < UINT64_C(100) * COUNT);
        pyr_reader_close(reader);
        pyr_log_close(log);
        log = embed_open(folder, &options);
    }

    pyr_log_close(log);
}

/* -- The tail -- */

/* Nothing comes: the call returns when its time is up, and not much before. */
TEST(tail, gives_up_when_its_time_is_up)
{
    struct pyr_log *log = log_with(embed_path(case_folder(), "data"), 1);
    struct pyr_reader *reader = reader_at(log, PYR_READ_END);
    struct timespec before;
    struct timespec after;
    struct pyr_record record;
    struct pyr_error error;

    CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    CHECK_ERR(pyr_reader_next(reader, 50, &record, &error), PYR_ERR_TIMEOUT, error);
    CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &after), 0);

    int64_t waited_ms =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    CHECK(waited_ms >= 49);
    pyr_reader_close(reader);
    pyr_log_close(log);
}

enum { FOLLOWERS = 4, FOLLOWED = 300 };

struct follower {
    pthread_t thread;
    struct pyr_log *log;
    int64_t seen;
    bool is_wrong;
};

static void *follow(void *ctx)
{
    struct follower *follower = ctx;
    struct pyr_reader *reader = NULL;
    if (pyr_reader_open(follower->log, 0, &reader, NULL) != PYR_OK) {
        return NULL;
    }
    while (follower->seen < FOLLOWED) {
        struct pyr_record record;
        if (pyr_reader_next(reader, PATIENCE_MS, &record, NULL) != PYR_OK) {
            break;
        }
        char text[32];
        int count = snprintf(text, sizeof text, "record %" PRId64, follower->seen);
        follower->is_wrong |= record.offset != follower->seen ||
                              record.value_bytes != (size_t)count ||
                              memcmp(record.value, text, (size_t)count) != 0;
        follower->seen++;
    }
    pyr_reader_close(reader);
    return NULL;
}

/* Readers that sleep at the end are woken by each append, under each policy. */
TEST(tail, is_followed_by_several_threads)
{
    for (int policy = PYR_SYNC_ALWAYS; policy <= PYR_SYNC_OS; policy++) {
        struct pyr_log_options options;
        embed_log_options(&options, (enum pyr_sync)policy);
        struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), &options);
        struct follower followers[FOLLOWERS];
        for (size_t index = 0; index < FOLLOWERS; index++) {
            followers[index] = (struct follower){.log = log};
            CHECK_INT(pthread_create(&followers[index].thread, NULL, follow, &followers[index]), 0);
        }

        embed_append_numbered(log, 0, FOLLOWED);

        for (size_t index = 0; index < FOLLOWERS; index++) {
            CHECK_INT(pthread_join(followers[index].thread, NULL), 0);
            CHECK_INT(followers[index].seen, FOLLOWED);
            CHECK(!followers[index].is_wrong);
        }
        pyr_log_close(log);
    }
}

static void *append_later(void *ctx)
{
    (void)usleep(20000);
    struct pyr_record record = {.value = "late", .value_bytes = 4};
    (void)!pyr_log_append_start(ctx, &record, 1, NULL, NULL);
    return NULL;
}

/* Nobody waits for the append but the reader: someone still has to look after it. */
TEST(tail, wakes_for_an_append_that_nobody_waits_for)
{
    for (int policy = PYR_SYNC_ALWAYS; policy <= PYR_SYNC_OS; policy++) {
        struct pyr_log_options options;
        embed_log_options(&options, (enum pyr_sync)policy);
        struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), &options);
        struct pyr_reader *reader = reader_at(log, PYR_READ_END);
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, append_later, log), 0);

        embed_expect(reader, 0, "late");

        CHECK_INT(pthread_join(thread, NULL), 0);
        pyr_reader_close(reader);
        pyr_log_close(log);
    }
}

/* -- Reading what was just acknowledged -- */

static struct pyr_log *lazy_open(enum pyr_sync sync)
{
    struct pyr_log_options options;
    embed_log_options(&options, sync);
    options.sync_interval_ms = 3600 * 1000; /* Nothing goes to the journal by its time. */
    return embed_open(embed_path(case_folder(), "data"), &options);
}

/* A program that appends and reads back must find its record, whatever still gathers. EMB-6 */
TEST(reader, sees_what_was_acknowledged_before_it_asks)
{
    const enum pyr_sync policies[] = {PYR_SYNC_BATCH, PYR_SYNC_OS};

    for (size_t index = 0; index < 2; index++) {
        struct pyr_log *log = lazy_open(policies[index]);
        struct pyr_error error;
        struct pyr_reader *reader = NULL;
        CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
        for (int64_t number = 0; number < 100; number++) {
            struct pyr_record record;
            embed_append_numbered(log, number, 1);
            CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);
            CHECK_INT(record.offset, number);
        }
        pyr_reader_close(reader);
        pyr_log_close(log);
    }
}

/* What is at the end was acknowledged: a reader that begins there is not given it, one that begins
 * at its offset is, and it can be found and deleted. EMB-6 */
TEST(reader, opens_behind_and_at_what_was_acknowledged)
{
    struct pyr_log *log = lazy_open(PYR_SYNC_BATCH);
    struct pyr_error error;
    struct pyr_record record;
    struct pyr_reader *reader = NULL;
    embed_append_numbered(log, 0, 3);
    CHECK_OK(pyr_reader_open(log, PYR_READ_END, &reader, &error), error);
    CHECK_INT(pyr_reader_position(reader).offset, 3);
    embed_append_numbered(log, 3, 3);
    CHECK_OK(pyr_reader_seek(reader, 5, &error), error);
    CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);
    CHECK_INT(record.offset, 5);
    pyr_reader_close(reader);

    embed_append_numbered(log, 6, 3);
    CHECK_OK(pyr_log_delete_before(log, 8, &error), error);
    embed_expect_numbered(log, 8, 9);
    pyr_log_close(log);
}
