/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_scrub - does an appender notice that the background scrub reads?
 *
 * Method: one store with 256 MiB in its log is opened again and again, in turns with a scrub that
 * goes on all the time and with none, and takes appends for a fraction of a second each time. Two
 * stores side by side would not do: the scrub of the one reads while the other appends, and the
 * device is what they share. Latencies of all turns of a side are taken together. Figures are the
 * median append and the 99.9th percentile, each against the same without scrub.
 *
 * What would make it a lie: a scrub that read nothing, or far less than its pace (counted; that
 * ends the program), or that found it in the page cache (it reads past that).
 */
#include <stdlib.h>

#include "base/limits.h"
#include "bench.h"
#include "embedded.h"

enum {
    TURNS = 8,             /* Of each side. */
    WARM_UP_APPENDS = 200, /* After each opening. */
    FILL_RECORDS = 64,
};

#define FILL_BYTES        ((size_t)256 << 20)
#define FILL_RECORD_BYTES ((size_t)16 << 10)
#define SEGMENT_BYTES     (UINT64_C(32) << 20)
#define PACE_FAST         (UINT64_C(32) << 20)
#define NS_A_US           1e3

/* One side: with the scrub or without. */
struct side {
    struct embedded_options wanted;
    struct histogram *latency;
    uint64_t scrubbed_bytes;
    uint64_t open_ns; /* How long it was open in all. */
};

static struct side side_make(enum pyr_sync sync, uint64_t scrub_bytes_per_s)
{
    struct side side = {.wanted = embedded_defaults(sync), .latency = bench_histogram()};
    side.wanted.name = "scrub";
    side.wanted.log.segment_max_size = SEGMENT_BYTES;
    side.wanted.store.scrub_bytes_per_s = scrub_bytes_per_s;
    side.wanted.store.scrub_interval_ms = 0; /* Pass after pass, from the start on. */
    return side;
}

/* Append until there is something to read, and have it written to segments. */
static void fill(struct embedded *embedded)
{
    uint8_t *value = bench_memory(FILL_RECORD_BYTES);
    struct pyr_record records[FILL_RECORDS];
    struct pyr_error error;
    for (size_t index = 0; index < FILL_RECORDS; index++) {
        records[index] = (struct pyr_record){.value = value, .value_bytes = FILL_RECORD_BYTES};
    }
    for (size_t done = 0; done < FILL_BYTES; done += FILL_RECORDS * FILL_RECORD_BYTES) {
        bench_must(pyr_log_append_batch(embedded->log, records, FILL_RECORDS, NULL, &error), &error,
                   "append");
    }
    free(value);
}

/* Open the store as @side has it, and append for @limit_ns. */
static void side_turn(struct side *side, const struct bench_options *options, uint64_t limit_ns)
{
    struct embedded embedded;
    embedded_again(&embedded, options, &side->wanted);
    uint64_t opened_ns = bench_now_ns();
    for (int append = 0; append < WARM_UP_APPENDS; append++) {
        embedded_append(&embedded);
    }
    uint64_t start_ns = bench_begin();
    uint64_t now_ns = start_ns;
    while (now_ns - start_ns < limit_ns) {
        uint64_t begin_ns = now_ns;
        embedded_append(&embedded);
        now_ns = bench_now_ns();
        histogram_record(side->latency, now_ns - begin_ns, 1);
    }
    (void)bench_end(start_ns);
    struct pyr_store_stat stat;
    pyr_store_stat(embedded.store, &stat);
    if (stat.scrub_damages + stat.scrub_errors > 0) {
        bench_fail("the scrub found damage: %s", stat.scrub_first);
    }
    side->scrubbed_bytes += stat.scrub_bytes;
    side->open_ns += bench_now_ns() - opened_ns;
    embedded_leave(&embedded);
}

static void print(const char *name,
                  const struct side *side,
                  const struct side *without,
                  double percentile)
{
    bench_print(&(struct bench_figure){
        .name = name,
        .value = (double)histogram_percentile(side->latency, percentile) / NS_A_US,
        .unit = "us",
        .sync = embedded_sync_name(side->wanted.log.sync),
        .latency = side->latency,
        .against = "the same without scrub",
        .against_value = (double)histogram_percentile(without->latency, percentile) / NS_A_US});
}

static void run(const char *name,
                const char *name_p999,
                const struct bench_options *options,
                uint64_t pace)
{
    struct side scrubbed = side_make(PYR_SYNC_ALWAYS, pace);
    struct side without = side_make(PYR_SYNC_ALWAYS, 0);
    struct embedded embedded;
    embedded_open(&embedded, options, &without.wanted);
    fill(&embedded);
    embedded_leave(&embedded); /* All of it is in synced segments: that is what a scrub reads. */
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9 / (2 * TURNS));
    for (int turn = 0; turn < TURNS; turn++) {
        side_turn(&scrubbed, options, limit_ns);
        side_turn(&without, options, limit_ns);
    }
    double rate = bench_rate(scrubbed.scrubbed_bytes, scrubbed.open_ns);
    if (2 * rate < (double)pace || without.scrubbed_bytes > 0) {
        bench_fail("the scrub read %.0f bytes a second of %.0f, and %.0f where it was off", rate,
                   (double)pace, (double)without.scrubbed_bytes);
    }
    print(name, &scrubbed, &without, 50);
    print(name_p999, &scrubbed, &without, 99.9);
    free(scrubbed.latency);
    free(without.latency);
    bench_remove(options, scrubbed.wanted.name);
}

static void usual(const char *name, const struct bench_options *options)
{
    run(name, "always, p99.9 under a scrub of 4 MiB/s", options, SCRUB_BYTES_PER_S_DEFAULT);
}

static void fast(const char *name, const struct bench_options *options)
{
    run(name, "always, p99.9 under a scrub of 32 MiB/s", options, PACE_FAST);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, median append under a scrub of 4 MiB/s", usual},
        {"always, median append under a scrub of 32 MiB/s", fast},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
