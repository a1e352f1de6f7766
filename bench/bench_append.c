/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_append - how many records a second does the embedded log take, and how long does an
 * append last, under each policy?
 *
 * Method: records of 100 bytes. One appender under `always` takes turns with the raw device, 64
 * writes each (a few milliseconds, so that neither goes idle); the others run by themselves, and
 * bench/run runs RocksDB in turns with them. Latency is from the call to what the policy promises.
 * "Outstanding" means started and not yet known durable, by one thread.
 *
 * What would make it a lie: a policy weaker than the name (it is in the line), a device slower than
 * a minute ago (measured in turns), appends that are still in memory when the clock stops (under
 * `batch` and `os` they are, as promised: the next run starts on a fresh store).
 */
#include <stdlib.h>

#include "base/limits.h"
#include "bench.h"
#include "device.h"
#include "embedded.h"
#include "team.h"

enum { TURN_WRITES = 64, OUTSTANDING = 64, APPENDERS = 64, BATCH_RECORDS = 1000, BATCHES_OUT = 8 };

#define WARM_MEMORY_BYTES ((size_t)512 << 20)

static uint64_t limit_ns(const struct bench_options *options)
{
    return (uint64_t)(options->seconds * 1e9);
}

/* -- One appender beside the raw device -- */

static uint64_t append_timed(struct embedded *embedded)
{
    uint64_t start_ns = bench_now_ns();
    embedded_append(embedded);
    return bench_now_ns() - start_ns;
}

static void always_one(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    struct embedded embedded;
    embedded_open(&embedded, options, &wanted);
    struct device device;
    device_open(&device, options);
    struct histogram *ours = bench_histogram();
    struct histogram *raw = bench_histogram();
    embedded_warm(&embedded, options, WARM_MEMORY_BYTES);

    uint64_t start_ns = bench_begin();
    for (int turn = 0; bench_now_ns() - start_ns < limit_ns(options); turn++) {
        if (turn == 1) { /* The first turns only warm up. */
            histogram_clear(ours);
            histogram_clear(raw);
        }
        for (int write = 0; write < TURN_WRITES; write++) {
            histogram_record(ours, append_timed(&embedded), 1);
        }
        for (int write = 0; write < TURN_WRITES; write++) {
            histogram_record(raw, device_write(&device, BLOCK_BYTES), 1);
        }
    }
    (void)bench_end(start_ns);

    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(ours->count, ours->sum),
                                       .unit = "records/s",
                                       .sync = "always",
                                       .latency = ours,
                                       .against = "raw device write, 4 KiB",
                                       .against_value = bench_rate(raw->count, raw->sum)});
    free(ours);
    free(raw);
    device_close(&device, options);
    embedded_close(&embedded, options, &wanted);
}

/* -- Blocking appenders -- */

static void append_step(void *ctx, uint64_t member, uint64_t round)
{
    (void)member;
    (void)round;
    embedded_append(ctx);
}

static void run_team(const char *name,
                     const struct bench_options *options,
                     const struct embedded_options *wanted,
                     uint64_t members)
{
    struct embedded embedded;
    embedded_open(&embedded, options, wanted);
    struct histogram *latency = bench_histogram();
    embedded_warm(&embedded, options, WARM_MEMORY_BYTES);
    struct team_options team = {.members = members,
                                .seconds = options->seconds,
                                .step = append_step,
                                .ctx = &embedded};
    uint64_t spent_ns = team_run(&team, latency);
    uint64_t records = latency->count * wanted->record_count;
    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(records, spent_ns),
                                       .unit = "records/s",
                                       .sync = embedded_sync_name(wanted->log.sync),
                                       .latency = latency});
    free(latency);
    embedded_close(&embedded, options, wanted);
}

static void always_one_alone(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    run_team(name, options, &wanted, 1);
}

static void always_many(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    run_team(name, options, &wanted, APPENDERS);
}

static void always_batches(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    wanted.record_count = BATCH_RECORDS;
    run_team(name, options, &wanted, 1);
}

static void batch_5_ms(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_BATCH);
    wanted.log.sync_interval_ms = 5;
    run_team(name, options, &wanted, 1);
}

static void os_gathered(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_OS);
    run_team(name, options, &wanted, 1);
}

static void os_at_once(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_OS);
    wanted.log.hand_over_at_once = true;
    run_team(name, options, &wanted, 1);
}

/* -- Appends outstanding -- */

/* An append that was started. */
struct started {
    uint64_t start_ns;
    int64_t offset_end;
};

/* The appends of one thread that are not yet known durable, oldest first, in a circle. */
struct window {
    struct started appends[OUTSTANDING];
    size_t appends_max;
    uint64_t first;
    uint64_t end;
};

static void window_wait_oldest(struct window *window,
                               struct embedded *embedded,
                               struct histogram *latency)
{
    const struct started *oldest = &window->appends[window->first % window->appends_max];
    struct pyr_error error;
    bench_must(pyr_log_wait(embedded->log, oldest->offset_end, -1, &error), &error, "wait");
    histogram_record(latency, bench_now_ns() - oldest->start_ns, 1);
    window->first++;
}

static void window_start(struct window *window, struct embedded *embedded)
{
    struct started *next = &window->appends[window->end % window->appends_max];
    struct pyr_receipt receipt;
    struct pyr_error error;
    next->start_ns = bench_now_ns();
    bench_must(pyr_log_append_start(embedded->log, embedded->records, embedded->record_count,
                                    &receipt, &error),
               &error, "append");
    next->offset_end = receipt.offset_end;
    window->end++;
}

static void run_window(const char *name,
                       const struct bench_options *options,
                       const struct embedded_options *wanted,
                       size_t appends_max)
{
    struct embedded embedded;
    embedded_open(&embedded, options, wanted);
    struct histogram *latency = bench_histogram();
    struct window window = {.appends_max = appends_max};
    embedded_warm(&embedded, options, WARM_MEMORY_BYTES);

    uint64_t start_ns = bench_begin();
    uint64_t spent_ns = 0;
    while (spent_ns < limit_ns(options)) {
        if (window.end - window.first == window.appends_max) {
            window_wait_oldest(&window, &embedded, latency);
        }
        window_start(&window, &embedded);
        spent_ns = bench_now_ns() - start_ns;
    }
    while (window.first < window.end) {
        window_wait_oldest(&window, &embedded, latency);
    }
    spent_ns = bench_end(start_ns);

    bench_print(
        &(struct bench_figure){.name = name,
                               .value = bench_rate(latency->count * wanted->record_count, spent_ns),
                               .unit = "records/s",
                               .sync = embedded_sync_name(wanted->log.sync),
                               .latency = latency});
    free(latency);
    embedded_close(&embedded, options, wanted);
}

static void always_outstanding(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    run_window(name, options, &wanted, OUTSTANDING);
}

static void always_batches_outstanding(const char *name, const struct bench_options *options)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    wanted.record_count = BATCH_RECORDS;
    run_window(name, options, &wanted, BATCHES_OUT);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, 1 appender, 100 B", always_one},
        {"always, 1 appender, 100 B, alone", always_one_alone},
        {"always, 64 blocking appenders, 100 B", always_many},
        {"always, 64 appends outstanding, 100 B", always_outstanding},
        {"always, batches of 1000, 100 B", always_batches},
        {"always, batches of 1000, 8 outstanding, 100 B", always_batches_outstanding},
        {"batch 5 ms, 1 appender, 100 B", batch_5_ms},
        {"os, gathered, 1 appender, 100 B", os_gathered},
        {"os, handed over at once, 1 appender, 100 B", os_at_once},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
