/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_read - how fast is the log read, every byte checked?
 *
 * Method: a log of records of 100 bytes, appended in batches of 1000, is closed and opened again,
 * so that reads come from its segments and not from the cache of what was just appended. Then one
 * reader goes through it from the start again and again: by records, looking at each, or by whole
 * batches. Random reads seek to a random offset and take one record, of a log of such batches and
 * of one whose batches are one record each, with a mapping and without. The page cache is warm, as
 * it is for a log that fits into memory. At the tail, each record is read right after it was
 * appended, out of the cache: the reader alone is timed.
 *
 * What would make it a lie: records that are not looked at (a byte of each is), checksums switched
 * off (they cannot be), a log so small that it stays in the processor's cache (it is 256 MiB).
 */
#include <stdlib.h>

#include "base/limits.h"
#include "base/prng.h"
#include "bench.h"
#include "embedded.h"

enum { BATCH_RECORDS = 1000, BATCHES = 2500, SMALL_BATCHES = 1500000, RANDOM_SEED = 4 };

#define RECORDS_TOTAL   ((int64_t)BATCH_RECORDS * BATCHES)
#define TAIL_WARM_BYTES ((size_t)256 << 20)

/* Fill the log with @batches of @batch_records, and open it again. */
static void open_filled(struct embedded *embedded,
                        const struct bench_options *options,
                        struct embedded_options *wanted,
                        int batches)
{
    embedded_open(embedded, options, wanted);
    for (int batch = 0; batch < batches; batch++) {
        embedded_append(embedded);
    }
    pyr_log_close(embedded->log);
    pyr_store_close(embedded->store);

    char path[PATH_BYTES_MAX];
    bench_path(options, wanted->name, path, sizeof path);
    struct pyr_error error;
    bench_must(pyr_store_open(path, &wanted->store, &embedded->store, &error), &error, "open");
    bench_must(pyr_store_log(embedded->store, "bench", 0, &wanted->log, &embedded->log, &error),
               &error, "open");
}

/* Read every record once; return how many there were. */
static uint64_t pass_records(struct embedded *embedded)
{
    struct pyr_reader *reader = embedded_reader(embedded, PYR_READ_FIRST);
    struct pyr_error error;
    uint64_t seen = 0;
    for (int64_t offset = 0; offset < RECORDS_TOTAL; offset++) {
        struct pyr_record record;
        bench_must(pyr_reader_next(reader, 0, &record, &error), &error, "read");
        if (record.offset != offset || record.value_bytes != EMBEDDED_RECORD_BYTES) {
            bench_fail("record %lld is not the one appended", (long long)offset);
        }
        seen += *(const uint8_t *)record.value;
    }
    bench_use(seen);
    pyr_reader_close(reader);
    return (uint64_t)RECORDS_TOTAL;
}

static void run_passes(const char *name,
                       const struct bench_options *options,
                       uint64_t (*pass)(struct embedded *embedded),
                       const char *unit)
{
    struct embedded embedded;
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_OS);
    wanted.record_count = BATCH_RECORDS;
    open_filled(&embedded, options, &wanted, BATCHES);
    (void)pass(&embedded); /* Warms the page cache, and the mapping if there is one. */

    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t count = 0;
    uint64_t start_ns = bench_begin();
    uint64_t spent_ns = 0;
    while (spent_ns < limit_ns) {
        count += pass(&embedded);
        spent_ns = bench_now_ns() - start_ns;
    }
    (void)bench_end(start_ns);
    bench_print(
        &(struct bench_figure){.name = name, .value = bench_rate(count, spent_ns), .unit = unit});
    embedded_close(&embedded, options, &wanted);
}

static void sequential_records(const char *name, const struct bench_options *options)
{
    run_passes(name, options, pass_records, "records/s");
}

static void sequential_bytes(const char *name, const struct bench_options *options)
{
    run_passes(name, options, embedded_pass_bytes, "bytes/s");
}

/* Read single records of @batches of @batch_records at random places. */
static void random_reads(const char *name,
                         const struct bench_options *options,
                         int batches,
                         size_t batch_records,
                         bool use_mmap)
{
    struct embedded embedded;
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_OS);
    wanted.record_count = batch_records;
    wanted.log.use_mmap = use_mmap;
    wanted.log.hand_over_at_once = true; /* Or single records gather in batches of many. */
    open_filled(&embedded, options, &wanted, batches);
    (void)embedded_pass_bytes(&embedded);
    struct pyr_reader *reader = embedded_reader(&embedded, PYR_READ_FIRST);
    struct histogram *latency = bench_histogram();
    struct prng prng = prng_of(RANDOM_SEED, 1);
    uint64_t record_count = (uint64_t)batches * batch_records;

    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t start_ns = bench_begin();
    uint64_t now_ns = start_ns;
    while (now_ns - start_ns < limit_ns) {
        uint64_t begin_ns = now_ns;
        int64_t offset = (int64_t)prng_below(&prng, record_count);
        struct pyr_record record;
        struct pyr_error error;
        bench_must(pyr_reader_seek(reader, offset, &error), &error, "seek");
        bench_must(pyr_reader_next(reader, 0, &record, &error), &error, "read");
        if (record.offset != offset) {
            bench_fail("asked for record %lld, got another", (long long)offset);
        }
        now_ns = bench_now_ns();
        histogram_record(latency, now_ns - begin_ns, 1);
    }
    (void)bench_end(start_ns);
    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(latency->count, now_ns - start_ns),
                                       .unit = "records/s",
                                       .latency = latency});
    free(latency);
    pyr_reader_close(reader);
    embedded_close(&embedded, options, &wanted);
}

static void random_records(const char *name, const struct bench_options *options)
{
    random_reads(name, options, BATCHES, BATCH_RECORDS, false);
}

static void random_records_mapped(const char *name, const struct bench_options *options)
{
    random_reads(name, options, BATCHES, BATCH_RECORDS, true);
}

static void random_batches(const char *name, const struct bench_options *options)
{
    random_reads(name, options, SMALL_BATCHES, 1, false);
}

static void random_batches_mapped(const char *name, const struct bench_options *options)
{
    random_reads(name, options, SMALL_BATCHES, 1, true);
}

/* Follow a log record by record, out of the cache. */
static void tail_records(const char *name, const struct bench_options *options)
{
    struct embedded embedded;
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_OS);
    wanted.log.hand_over_at_once = true;
    embedded_open(&embedded, options, &wanted);
    embedded_warm(&embedded, options, TAIL_WARM_BYTES);
    struct pyr_reader *reader = embedded_reader(&embedded, PYR_READ_END);
    struct histogram *latency = bench_histogram();

    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t start_ns = bench_begin();
    uint64_t spent_ns = 0;
    while (bench_now_ns() - start_ns < limit_ns) {
        embedded_append(&embedded);
        uint64_t begin_ns = bench_now_ns();
        struct pyr_record record;
        struct pyr_error error;
        bench_must(pyr_reader_next(reader, 1000, &record, &error), &error, "read");
        uint64_t taken_ns = bench_now_ns() - begin_ns;
        histogram_record(latency, taken_ns, 1);
        spent_ns += taken_ns;
    }
    (void)bench_end(start_ns);
    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(latency->count, spent_ns),
                                       .unit = "records/s",
                                       .latency = latency});
    free(latency);
    pyr_reader_close(reader);
    embedded_close(&embedded, options, &wanted);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"sequential read, records of 100 B", sequential_records},
        {"sequential read, whole batches", sequential_bytes},
        {"random read, 100 B", random_records},
        {"random read, 100 B, mapped", random_records_mapped},
        {"random read, batches of one, 100 B", random_batches},
        {"random read, batches of one, 100 B, mapped", random_batches_mapped},
        {"tail, record by record, 100 B", tail_records},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
