/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_large - how fast do batches of 1 MiB become durable, and what is the limit?
 *
 * Method: 64 records of nearly 16 KiB a batch, under `always`. In each turn: batches of ours, then
 * as many raw writes of 1 MiB to the device, then as many passes of the memory-copy budget
 * (budget.h). The lower of the two is what the figure is held against; its name says which it was.
 * Blocking appends are held against one write outstanding; the case with two batches outstanding
 * says what overlapping them brings.
 *
 * What would make it a lie: fresh memory (warmed, and the budget fills new pages of the page cache
 * just as the log does), a budget that does less than a log must.
 */
#include <stdlib.h>

#include "bench.h"
#include "budget.h"
#include "device.h"
#include "embedded.h"

enum { TURN_BATCHES = 16, BATCH_RECORDS = 64 };

#define BATCH_BYTES       ((size_t)1 << 20)
#define RECORD_BYTES      (BATCH_BYTES / BATCH_RECORDS - 32) /* Leaves room for its header. */
#define WARM_MEMORY_BYTES ((size_t)1 << 30)

/* What a case measures in turns. */
struct stage {
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
    *stage = (struct stage){.ours = bench_histogram()};
    embedded_open(&stage->embedded, options, wanted);
    device_open(&stage->device, options);
    budget_open(&stage->budget, options);
    embedded_warm(&stage->embedded, options, WARM_MEMORY_BYTES);
}

static void stage_close(struct stage *stage,
                        const struct bench_options *options,
                        const struct embedded_options *wanted)
{
    free(stage->ours);
    budget_close(&stage->budget, options);
    device_close(&stage->device, options);
    embedded_close(&stage->embedded, options, wanted);
}

/* Append a turn of batches one by one. */
static void turn_blocking(struct stage *stage)
{
    uint64_t start_ns = bench_now_ns();
    uint64_t now_ns = start_ns;
    for (int batch = 0; batch < TURN_BATCHES; batch++) {
        uint64_t batch_ns = now_ns;
        embedded_append(&stage->embedded);
        now_ns = bench_now_ns();
        histogram_record(stage->ours, now_ns - batch_ns, 1);
    }
    stage->ours_ns += now_ns - start_ns;
}

/* Append a turn of batches, each begun before the one before it is durable. */
static void turn_overlapped(struct stage *stage)
{
    uint64_t start_ns = bench_now_ns();
    int64_t offset_before = -1;
    uint64_t begin_ns = start_ns;
    struct embedded *embedded = &stage->embedded;
    struct pyr_error error;
    for (int batch = 0; batch < TURN_BATCHES; batch++) {
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
    stage->ours_ns += bench_now_ns() - start_ns;
}

static void turn_limits(struct stage *stage)
{
    uint64_t start_ns = bench_now_ns();
    for (int batch = 0; batch < TURN_BATCHES; batch++) {
        (void)device_write(&stage->device, BATCH_BYTES);
    }
    uint64_t raw_end_ns = bench_now_ns();
    for (int batch = 0; batch < TURN_BATCHES; batch++) {
        budget_pass(&stage->budget);
    }
    stage->raw_ns += raw_end_ns - start_ns;
    stage->budget_ns += bench_now_ns() - raw_end_ns;
    stage->batches += TURN_BATCHES;
}

static void run(const char *name,
                const struct bench_options *options,
                void (*turn)(struct stage *stage))
{
    struct stage stage;
    struct embedded_options wanted;
    stage_open(&stage, options, &wanted);
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t start_ns = bench_begin();
    while (bench_now_ns() - start_ns < limit_ns) {
        turn(&stage);
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
    run(name, options, turn_blocking);
}

static void overlapped(const char *name, const struct bench_options *options)
{
    run(name, options, turn_overlapped);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, batches of 1 MiB", blocking},
        {"always, batches of 1 MiB, 2 outstanding", overlapped},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
