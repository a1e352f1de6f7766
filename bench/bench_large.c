/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_large - how fast do batches of 1 MiB become durable, and what is the limit?
 *
 * Method: 64 records of nearly 16 KiB a batch, under `always`. In each turn: 256 batches of ours,
 * the time until the last of them also stands in its segment included, since somebody who appends
 * without pause pays for that; then, with nothing of ours under way, as many raw writes of 1 MiB to
 * the device and as many passes of the memory-copy budget (budget.h). The lower of the two is what
 * the figure is held against; its name says which it was. One case has two batches outstanding; one
 * appends 32 batches and then rests until all stand in segments, which is not counted: what
 * somebody meets who appends large batches now and then.
 *
 * What would make it a lie: fresh memory (warmed), a limit measured while our own background work
 * goes on, work put off beyond the end of the measurement, a budget that does more than a log must.
 */
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "budget.h"
#include "device.h"
#include "embedded.h"

enum { TURN_BATCHES = 256, BURST_BATCHES = 32, BATCH_RECORDS = 64 };

/* Segments that stood still for so long have everything. */
#define QUIET_NS UINT64_C(20000000)
#define LOOK_NS  1000000

#define BATCH_BYTES       ((size_t)1 << 20)
#define RECORD_BYTES      (BATCH_BYTES / BATCH_RECORDS - 32) /* Leaves room for its header. */
#define WARM_MEMORY_BYTES ((size_t)1 << 30)

/* What a case measures in turns. */
struct stage {
    int turn_batches;
    bool counts_segments; /* The time until all stands in segments is ours too. */
    struct embedded embedded;
    struct device device;
    struct budget budget;
    struct histogram *ours;
    uint64_t ours_ns;
    uint64_t raw_ns;
    uint64_t budget_ns;
    uint64_t batches;
};

static void stage_open(struct stage *stage,
                       const struct bench_options *options,
                       struct embedded_options *wanted)
{
    *wanted = embedded_defaults(PYR_SYNC_ALWAYS);
    wanted->record_count = BATCH_RECORDS;
    wanted->record_bytes = RECORD_BYTES;
    stage->ours = bench_histogram();
    embedded_open(&stage->embedded, options, wanted);
    device_open(&stage->device, options);
    budget_open(&stage->budget);
    embedded_warm(&stage->embedded, options, WARM_MEMORY_BYTES);
}

static void stage_close(struct stage *stage,
                        const struct bench_options *options,
                        const struct embedded_options *wanted)
{
    free(stage->ours);
    budget_close(&stage->budget);
    device_close(&stage->device, options);
    embedded_close(&stage->embedded, options, wanted);
}

/* Wait until all appends stand in segments. Return when the last one did. */
static uint64_t wait_for_segments(struct stage *stage)
{
    uint64_t bytes_before = UINT64_MAX;
    uint64_t changed_ns = bench_now_ns();
    while (bench_now_ns() - changed_ns < QUIET_NS) {
        struct pyr_log_stat stat;
        pyr_log_stat(stage->embedded.log, &stat);
        if (stat.bytes != bytes_before) {
            bytes_before = stat.bytes;
            changed_ns = bench_now_ns();
        }
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return changed_ns;
}

/* Append a turn of batches one by one. */
static void turn_blocking(struct stage *stage)
{
    uint64_t now_ns = bench_now_ns();
    for (int batch = 0; batch < stage->turn_batches; batch++) {
        uint64_t batch_ns = now_ns;
        embedded_append(&stage->embedded);
        now_ns = bench_now_ns();
        histogram_record(stage->ours, now_ns - batch_ns, 1);
    }
}

/* Append a turn of batches, each begun before the one before it is durable. */
static void turn_overlapped(struct stage *stage)
{
    int64_t offset_before = -1;
    uint64_t begin_ns = 0;
    struct embedded *embedded = &stage->embedded;
    struct pyr_error error;
    for (int batch = 0; batch < stage->turn_batches; batch++) {
        uint64_t next_ns = bench_now_ns();
        struct pyr_receipt receipt;
        bench_must(pyr_log_append_start(embedded->log, embedded->records, embedded->record_count,
                                        &receipt, &error),
                   &error, "append");
        if (offset_before >= 0) {
            bench_must(pyr_log_wait(embedded->log, offset_before, -1, &error), &error, "wait");
            histogram_record(stage->ours, bench_now_ns() - begin_ns, 1);
        }
        offset_before = receipt.offset_end;
        begin_ns = next_ns;
    }
    bench_must(pyr_log_wait(embedded->log, offset_before, -1, &error), &error, "wait");
    histogram_record(stage->ours, bench_now_ns() - begin_ns, 1);
}

static void turn_limits(struct stage *stage)
{
    uint64_t start_ns = bench_now_ns();
    for (int batch = 0; batch < stage->turn_batches; batch++) {
        (void)device_write(&stage->device, BATCH_BYTES);
    }
    uint64_t raw_end_ns = bench_now_ns();
    for (int batch = 0; batch < stage->turn_batches; batch++) {
        budget_pass(&stage->budget);
    }
    stage->raw_ns += raw_end_ns - start_ns;
    stage->budget_ns += bench_now_ns() - raw_end_ns;
    stage->batches += (uint64_t)stage->turn_batches;
}

/* Time a turn of ours, and let everything come to rest. */
static void turn_ours(struct stage *stage, void (*turn)(struct stage *stage))
{
    uint64_t start_ns = bench_now_ns();
    turn(stage);
    uint64_t end_ns = bench_now_ns();
    uint64_t written_ns = wait_for_segments(stage);
    end_ns = stage->counts_segments && written_ns > end_ns ? written_ns : end_ns;
    stage->ours_ns += end_ns - start_ns;
}

static void run(const char *name,
                const struct bench_options *options,
                struct stage stage,
                void (*turn)(struct stage *stage))
{
    struct embedded_options wanted;
    stage_open(&stage, options, &wanted);
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t start_ns = bench_begin();
    while (bench_now_ns() - start_ns < limit_ns) {
        turn_ours(&stage, turn);
        turn_limits(&stage);
    }
    (void)bench_end(start_ns);

    uint64_t bytes = stage.batches * BATCH_BYTES;
    bool is_device_limit = stage.raw_ns > stage.budget_ns;
    bench_print(&(struct bench_figure){
        .name = name,
        .value = bench_rate(bytes, stage.ours_ns),
        .unit = "bytes/s",
        .sync = "always",
        .latency = stage.ours,
        .against = is_device_limit ? "raw device write, 1 MiB" : "memory-copy budget",
        .against_value = bench_rate(bytes, is_device_limit ? stage.raw_ns : stage.budget_ns)});
    stage_close(&stage, options, &wanted);
}

static void blocking(const char *name, const struct bench_options *options)
{
    struct stage stage = {.turn_batches = TURN_BATCHES, .counts_segments = true};
    run(name, options, stage, turn_blocking);
}

static void overlapped(const char *name, const struct bench_options *options)
{
    struct stage stage = {.turn_batches = TURN_BATCHES, .counts_segments = true};
    run(name, options, stage, turn_overlapped);
}

static void burst(const char *name, const struct bench_options *options)
{
    struct stage stage = {.turn_batches = BURST_BATCHES};
    run(name, options, stage, turn_blocking);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, batches of 1 MiB", blocking},
        {"always, batches of 1 MiB, 2 outstanding", overlapped},
        {"always, bursts of 32 batches of 1 MiB", burst},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
