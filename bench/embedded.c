/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/embedded - opening and filling our own log.
 */
#include "embedded.h"

#include <stdlib.h>
#include <time.h>

#include "base/limits.h"

/* A case of a few seconds may write gigabytes; it keeps the newest of them. */
#define RETENTION_BYTES (UINT64_C(2) << 30)

/* Half as much again as the default cache, in batches of 512 KiB, or of the case's own size if that
 * is larger: memory is warm for batches of about one size. */
enum { WARM_BATCH_RECORDS = 32, WARM_REST_SECONDS = 1 };

#define WARM_BYTES        ((size_t)384 << 20)
#define WARM_RECORD_BYTES ((size_t)16 << 10)

struct embedded_options embedded_defaults(enum pyr_sync sync)
{
    struct embedded_options wanted = {.name = "pyralog",
                                      .record_count = 1,
                                      .record_bytes = EMBEDDED_RECORD_BYTES};
    pyr_store_options_init(&wanted.store);
    pyr_log_options_init(&wanted.log);
    wanted.log.sync = sync;
    wanted.log.retention_bytes = RETENTION_BYTES;
    return wanted;
}

void embedded_open(struct embedded *embedded,
                   const struct bench_options *options,
                   const struct embedded_options *wanted)
{
    bench_remove(options, wanted->name);
    embedded_again(embedded, options, wanted);
}

void embedded_again(struct embedded *embedded,
                    const struct bench_options *options,
                    const struct embedded_options *wanted)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, wanted->name, path, sizeof path);
    struct pyr_error error;
    *embedded = (struct embedded){.record_count = wanted->record_count,
                                  .record_bytes = wanted->record_bytes};
    bench_must(pyr_store_open(path, &wanted->store, &embedded->store, &error), &error, "open");
    bench_must(pyr_store_log(embedded->store, "bench", 0, &wanted->log, &embedded->log, &error),
               &error, "open");
    embedded->values = bench_memory(wanted->record_count * wanted->record_bytes);
    embedded->records = calloc(wanted->record_count, sizeof *embedded->records);
    if (!embedded->records) {
        bench_fail("no memory for %zu records", wanted->record_count);
    }
    for (size_t index = 0; index < wanted->record_count; index++) {
        embedded->records[index].value = embedded->values + index * wanted->record_bytes;
        embedded->records[index].value_bytes = wanted->record_bytes;
    }
}

/* Wait until the log's appends are in its segments, at most a few seconds. */
static void wait_until_written(struct embedded *embedded)
{
    struct pyr_error error;
    bench_must(pyr_log_sync(embedded->log, &error), &error, "sync");
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_sec = WARM_REST_SECONDS},
                          NULL);
}

void embedded_warm(struct embedded *embedded,
                   const struct bench_options *options,
                   size_t bytes_expected)
{
    uint8_t *value = bench_memory(WARM_RECORD_BYTES);
    struct pyr_record records[WARM_BATCH_RECORDS];
    for (size_t index = 0; index < WARM_BATCH_RECORDS; index++) {
        records[index] = (struct pyr_record){.value = value, .value_bytes = WARM_RECORD_BYTES};
    }
    size_t bytes = embedded->record_count * embedded->record_bytes;
    bool is_large = bytes > WARM_BATCH_RECORDS * WARM_RECORD_BYTES;
    bytes = is_large ? bytes : WARM_BATCH_RECORDS * WARM_RECORD_BYTES;
    for (size_t done = 0; done < WARM_BYTES; done += bytes) {
        struct pyr_error error;
        enum pyr_err err = pyr_log_append_batch(
            embedded->log, is_large ? embedded->records : records,
            is_large ? embedded->record_count : WARM_BATCH_RECORDS, NULL, &error);
        bench_must(err, &error, "append");
    }
    free(value);
    wait_until_written(embedded);
    bench_warm_memory(options, bytes_expected);
}

void embedded_append(struct embedded *embedded)
{
    struct pyr_error error;
    enum pyr_err err = embedded->record_count == 1
                           ? pyr_log_append(embedded->log, embedded->records, NULL, &error)
                           : pyr_log_append_batch(embedded->log, embedded->records,
                                                  embedded->record_count, NULL, &error);
    bench_must(err, &error, "append");
}

struct pyr_reader *embedded_reader(struct embedded *embedded, int64_t offset)
{
    struct pyr_reader *reader = NULL;
    struct pyr_error error;
    bench_must(pyr_reader_open(embedded->log, offset, &reader, &error), &error, "open a reader");
    return reader;
}

int64_t embedded_end(struct embedded *embedded)
{
    struct pyr_log_stat stat;
    pyr_log_stat(embedded->log, &stat);
    return stat.offset_end;
}

uint64_t embedded_pass_bytes(struct embedded *embedded)
{
    struct pyr_reader *reader = embedded_reader(embedded, PYR_READ_FIRST);
    struct pyr_error error;
    int64_t end = embedded_end(embedded);
    uint64_t bytes_total = 0;
    while (pyr_reader_position(reader).offset < end) {
        const void *data = NULL;
        size_t bytes = 0;
        bench_must(pyr_reader_next_bytes(reader, 0, &data, &bytes, &error), &error, "read");
        bench_use(((const uint8_t *)data)[bytes - 1]);
        bytes_total += bytes;
    }
    pyr_reader_close(reader);
    return bytes_total;
}

void embedded_close(struct embedded *embedded,
                    const struct bench_options *options,
                    const struct embedded_options *wanted)
{
    embedded_leave(embedded);
    bench_remove(options, wanted->name);
}

void embedded_leave(struct embedded *embedded)
{
    pyr_log_close(embedded->log);
    pyr_store_close(embedded->store);
    free(embedded->records);
    free(embedded->values);
    *embedded = (struct embedded){.store = NULL};
}

const char *embedded_sync_name(enum pyr_sync sync)
{
    return sync == PYR_SYNC_ALWAYS ? "always" : sync == PYR_SYNC_BATCH ? "batch" : "os";
}
