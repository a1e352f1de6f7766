/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_crowd - many logs and many segments in a process that may open few files.
 *
 * It takes seconds, most of them the host's for syncing a thousand new folders, and so is a runner
 * of its own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "embed_case.h"

enum { MANY_LOGS = 1000, TEXT_BYTES = 64 };

/* Append one record with its log's number to each of @count logs, and wait for all. */
static void append_to_each(struct pyr_log **logs, uint32_t count)
{
    static struct pyr_receipt receipts[MANY_LOGS];
    struct pyr_error error;
    for (uint32_t index = 0; index < count; index++) {
        const struct pyr_record record = {.value = &index, .value_bytes = sizeof index};
        CHECK_OK(pyr_log_append_start(logs[index], &record, 1, &receipts[index], &error), error);
    }
    for (uint32_t index = 0; index < count; index++) {
        CHECK_OK(pyr_log_wait(logs[index], receipts[index].offset_end, -1, &error), error);
    }
}

/* Check that @log holds @count records with @number, and nothing after. */
static void expect_number(struct pyr_log *log, uint32_t number, int count)
{
    struct pyr_error error;
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    for (int index = 0; index < count; index++) {
        CHECK_OK(pyr_reader_next(reader, 0, &record, &error), error);
        CHECK_BYTES(record.value, &number, sizeof number);
    }
    CHECK_ERR(pyr_reader_next(reader, 0, &record, &error), PYR_ERR_TIMEOUT, error);
    pyr_reader_close(reader);
}

/* A log of some hundred segments, read from its start and from places within. */
static void read_segments(const char *folder)
{
    enum { SEGMENTS = 300, VALUE_BYTES = 3000 };

    static char value[VALUE_BYTES];
    struct pyr_log_options options;
    embed_log_options(&options, PYR_SYNC_OS);
    options.hand_over_at_once = true; /* Each a batch of its own, of which one fits a segment. */
    options.segment_max_size = 4096;
    options.use_mmap = true;
    struct pyr_log *log = embed_open(folder, &options);
    const struct pyr_record record = {.value = value, .value_bytes = sizeof value};
    struct pyr_error error;
    for (int number = 0; number < SEGMENTS; number++) {
        CHECK_OK(pyr_log_append(log, &record, NULL, &error), error);
    }
    pyr_log_close(log);
    log = embed_open(folder, &options);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK(stat.segments >= SEGMENTS);
    struct pyr_reader *reader = NULL;
    struct pyr_record read;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    for (int64_t number = 0; number < stat.offset_end; number++) {
        CHECK_OK(pyr_reader_next(reader, 0, &read, &error), error);
        CHECK_INT(read.offset, number);
    }
    for (int64_t number = 1; number < stat.offset_end; number = number * 3 / 2 + 1) {
        CHECK_OK(pyr_reader_seek(reader, stat.offset_end - number, &error), error);
        CHECK_OK(pyr_reader_next(reader, 0, &read, &error), error);
        CHECK_INT(read.offset, stat.offset_end - number);
    }
    pyr_reader_close(reader);
    pyr_log_close(log);
}

static void open_many(void *ctx)
{
    const struct rlimit few = {.rlim_cur = 256, .rlim_max = 256};
    const uint32_t logs_count = (uint32_t)case_scale(MANY_LOGS);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int life = 0; life < 2; life++) {
        struct pyr_store *store = embed_open_store(ctx);
        struct pyr_log **logs = calloc(MANY_LOGS, sizeof(struct pyr_log *));
        CHECK(logs != NULL);
        struct pyr_error error;
        for (uint32_t index = 0; index < logs_count; index++) {
            CHECK_OK(pyr_store_log(store, "many", index, NULL, &logs[index], &error), error);
        }
        for (int round = 0; round < 2; round++) {
            append_to_each(logs, logs_count);
        }
        for (uint32_t index = 0; index < logs_count; index++) {
            expect_number(logs[index], index, 2 * (life + 1));
        }
        for (uint32_t index = 0; index < logs_count; index++) {
            pyr_log_close(logs[index]);
        }
        free(logs);
        pyr_store_close(store);
    }
    read_segments(embed_path(ctx, "../segments"));
    (void)printf("done\n");
}

/* A thousand logs where the host gives a process 256 files: open, append, read, and once more; and
 * one log of more segments than that. */
TEST(crowd, works_a_thousand_logs_with_256_files)
{
    const char *folder = embed_path(case_folder(), "data");
    pid_t child = 0;
    FILE *stream = embed_child(open_many, bytes_of(folder), &child);

    char line[TEXT_BYTES] = "";
    char last[TEXT_BYTES] = "";
    while (fgets(line, sizeof line, stream)) {
        memcpy(last, line, sizeof last);
    }

    (void)fclose(stream);
    CHECK_TEXT(last, "done\n");
    CHECK_INT(embed_reap(child), 0);
}
