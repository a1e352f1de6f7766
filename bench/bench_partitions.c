/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_partitions - do 1,000 partitions cost more than one?
 *
 * Method: 64 appenders, records of 100 bytes, under `always`. One store has 1,000 logs, and each
 * append goes to the next of them; the other has one. The stores take turns of a few hundred
 * milliseconds. Once as fast as they can (records a second), once both at the same total rate
 * (median latency, reckoned from when the append was due).
 *
 * Each log has been appended to in a life before, so that its segment is there: the first write of
 * a log makes four files, which a thousand logs do once, and not in their daily work.
 *
 * What would make it a lie: appends that do not reach all partitions (they go round), a total rate
 * that one of them cannot hold (the latency then shows it).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "bench.h"
#include "embedded.h"
#include "team.h"

enum { APPENDERS = 64, PARTITIONS = 1000, TURNS = 4, RATE = 40000 };

#define NS_A_US 1e3

/* A store with many logs or one. */
struct side {
    struct pyr_store *store;
    struct pyr_log **logs;
    uint64_t log_count;
    struct pyr_record record;
    _Atomic uint64_t next;
    const char *name;
    struct histogram *latency;
    uint64_t spent_ns;
};

/* Begin a life of the store at @path. */
static void life_begin(struct side *side, const char *path)
{
    struct embedded_options wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    struct pyr_error error;
    bench_must(pyr_store_open(path, &wanted.store, &side->store, &error), &error, "open");
    for (uint64_t index = 0; index < side->log_count; index++) {
        bench_must(pyr_store_log(side->store, "bench", (uint32_t)index, &wanted.log,
                                 &side->logs[index], &error),
                   &error, "open");
    }
}

static void life_end(struct side *side)
{
    for (uint64_t index = 0; index < side->log_count; index++) {
        pyr_log_close(side->logs[index]);
    }
    pyr_store_close(side->store);
}

static void append_step(void *ctx, uint64_t member, uint64_t round)
{
    struct side *side = ctx;
    (void)member;
    (void)round;
    struct pyr_error error;
    uint64_t index = atomic_fetch_add(&side->next, 1) % side->log_count;
    bench_must(pyr_log_append(side->logs[index], &side->record, NULL, &error), &error, "append");
}

static void side_open(struct side *side,
                      const struct bench_options *options,
                      const char *name,
                      uint64_t log_count)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, name, path, sizeof path);
    bench_remove(options, name);
    side->name = name;
    side->log_count = log_count;
    side->logs = calloc(log_count, sizeof(struct pyr_log *));
    if (!side->logs) {
        bench_fail("no memory for %llu logs", (unsigned long long)log_count);
    }
    side->record.value = bench_memory(EMBEDDED_RECORD_BYTES);
    side->record.value_bytes = EMBEDDED_RECORD_BYTES;
    side->latency = bench_histogram();
    atomic_init(&side->next, 0);
    side->spent_ns = 0;
    life_begin(side, path);
    for (uint64_t index = 0; index < log_count; index++) {
        append_step(side, 0, index);
    }
    life_end(side);
    life_begin(side, path);
}

static void side_close(struct side *side, const struct bench_options *options)
{
    life_end(side);
    bench_remove(options, side->name);
    free(bytes_unconst(side->record.value));
    free(side->latency);
    free(side->logs);
}

static void side_turn(struct side *side, double seconds, uint64_t rate)
{
    struct team_options team = {.members = APPENDERS,
                                .seconds = seconds,
                                .step = append_step,
                                .ctx = side,
                                .steps_a_second = rate};
    side->spent_ns += team_run(&team, side->latency);
}

/* Let both sides take turns at @rate appends a second, 0 for as many as they can. */
static void run_turns(struct side *many, struct side *one, double seconds, uint64_t rate)
{
    double turn_seconds = seconds / (2 * TURNS);
    side_turn(many, turn_seconds / 2, rate); /* Warms up. */
    side_turn(one, turn_seconds / 2, rate);
    histogram_clear(many->latency);
    histogram_clear(one->latency);
    many->spent_ns = 0;
    one->spent_ns = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        side_turn(many, turn_seconds, rate);
        side_turn(one, turn_seconds, rate);
    }
}

static void as_fast_as_they_can(const char *name, const struct bench_options *options)
{
    struct side many;
    struct side one;
    side_open(&many, options, "many", PARTITIONS);
    side_open(&one, options, "one", 1);
    run_turns(&many, &one, options->seconds, 0);
    bench_print(
        &(struct bench_figure){.name = name,
                               .value = bench_rate(many.latency->count, many.spent_ns),
                               .unit = "records/s",
                               .sync = "always",
                               .latency = many.latency,
                               .against = "1 partition",
                               .against_value = bench_rate(one.latency->count, one.spent_ns)});
    side_close(&many, options);
    side_close(&one, options);
}

static void at_one_rate(const char *name, const struct bench_options *options)
{
    struct side many;
    struct side one;
    side_open(&many, options, "many", PARTITIONS);
    side_open(&one, options, "one", 1);
    run_turns(&many, &one, options->seconds, RATE);
    bench_print(&(struct bench_figure){
        .name = name,
        .value = (double)histogram_percentile(many.latency, 50) / NS_A_US,
        .unit = "us",
        .sync = "always",
        .latency = many.latency,
        .against = "1 partition",
        .against_value = (double)histogram_percentile(one.latency, 50) / NS_A_US});
    side_close(&many, options);
    side_close(&one, options);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, 1000 partitions, 64 appenders, 100 B", as_fast_as_they_can},
        {"always, 1000 partitions, 40000 records/s, p50", at_one_rate},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
