/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_rotation - does an appender notice that segments roll?
 *
 * Method: two stores take turns, 64 appends of one batch each. They differ in one thing: the
 * segments of one roll every few hundred appends, the other's not at all. Appends go on from the
 * cache to the segments within 20 ms, so that rolling happens while somebody appends. The first
 * figure is how much worse the worst append of the rolling store is, the second the rolling
 * store's 99.9th percentile, beside that of a bare write of the same bytes that takes its turn with
 * the stores: durable and around the page cache under `always`, a plain pwrite under `os`. What the
 * machine does to anybody who writes (a device that pauses, a processor that is taken away) is in
 * that one too. All meet the same moods of the machine, but a single bad moment meets one of them:
 * that is why the median of several runs is what counts.
 *
 * What would make it a lie: no rotation within the time (counted; too few end the program).
 */
#include <stdlib.h>

#include "base/limits.h"
#include "bench.h"
#include "device.h"
#include "embedded.h"

enum {
    TURN_APPENDS = 64,
    BATCH_RECORDS = 100,
    ROTATIONS_MIN = 4,
    WARM_UP_TURNS = 4,
    BUFFER_TIME_MS = 20
};

/* About 400 batches of 100 records. */
#define SEGMENT_BYTES (UINT64_C(4) << 20)
/* 100 records of 100 bytes as a batch, in whole blocks. */
#define BARE_BYTES        ((size_t)3 * BLOCK_BYTES)
#define NS_A_MS           1e6
#define WARM_MEMORY_BYTES ((size_t)512 << 20)

/* What is asked under one policy. */
struct question {
    enum pyr_sync sync;
    const char *name_worst;
    const char *name_p999;
    const char *name_bare;
    uint64_t (*write)(struct device *device, size_t bytes_count);
};

/* What takes turns with the stores. */
struct bare {
    struct device device;
    uint64_t (*write)(struct device *device, size_t bytes_count);
    struct histogram *latency;
};

/* One of the two stores. */
struct side {
    struct embedded_options wanted;
    struct embedded embedded;
    struct histogram *latency;
};

static void side_open(struct side *side,
                      const struct bench_options *options,
                      const char *name,
                      enum pyr_sync sync,
                      uint64_t segment_bytes)
{
    side->wanted = embedded_defaults(sync);
    side->wanted.name = name;
    side->wanted.record_count = BATCH_RECORDS;
    side->wanted.log.segment_max_size = segment_bytes;
    side->wanted.store.max_buffer_time_ms = BUFFER_TIME_MS;
    side->wanted.log.retention_bytes = 0;
    embedded_open(&side->embedded, options, &side->wanted);
    side->latency = bench_histogram();
}

static void side_turn(struct side *side)
{
    uint64_t now_ns = bench_now_ns();
    for (int append = 0; append < TURN_APPENDS; append++) {
        uint64_t begin_ns = now_ns;
        embedded_append(&side->embedded);
        now_ns = bench_now_ns();
        histogram_record(side->latency, now_ns - begin_ns, 1);
    }
}

/* Write as many bytes as a batch has, in the plainest way that keeps the same promise. */
static void bare_turn(struct bare *bare)
{
    for (int write = 0; write < TURN_APPENDS; write++) {
        histogram_record(bare->latency, bare->write(&bare->device, BARE_BYTES), 1);
    }
}

static void side_close(struct side *side, const struct bench_options *options)
{
    free(side->latency);
    embedded_close(&side->embedded, options, &side->wanted);
}

static void print(const struct question *question,
                  const struct side *rolling,
                  const struct side *steady,
                  const struct bare *bare)
{
    double worse_ns = (double)rolling->latency->max - (double)steady->latency->max;
    bench_print(&(struct bench_figure){.name = question->name_worst,
                                       .value = worse_ns / NS_A_MS,
                                       .unit = "ms",
                                       .sync = embedded_sync_name(question->sync),
                                       .latency = rolling->latency});
    bench_print(&(struct bench_figure){
        .name = question->name_p999,
        .value = (double)histogram_percentile(rolling->latency, 99.9) / NS_A_MS,
        .unit = "ms",
        .sync = embedded_sync_name(question->sync),
        .latency = rolling->latency,
        .against = question->name_bare,
        .against_value = (double)histogram_percentile(bare->latency, 99.9) / NS_A_MS});
}

static void run(const struct bench_options *options, const struct question *question)
{
    struct side rolling;
    struct side steady;
    struct bare bare = {.write = question->write, .latency = bench_histogram()};
    enum pyr_sync sync = question->sync;
    side_open(&rolling, options, "rolling", sync, SEGMENT_BYTES);
    side_open(&steady, options, "steady", sync, (uint64_t)SEGMENT_BYTES_MAX);

    embedded_warm(&rolling.embedded, options, WARM_MEMORY_BYTES);
    embedded_warm(&steady.embedded, options, WARM_MEMORY_BYTES);
    device_open(&bare.device, options);
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t start_ns = bench_begin();
    for (int turn = 0; bench_now_ns() - start_ns < limit_ns; turn++) {
        if (turn == WARM_UP_TURNS) {
            histogram_clear(rolling.latency);
            histogram_clear(steady.latency);
            histogram_clear(bare.latency);
        }
        side_turn(&rolling);
        side_turn(&steady);
        bare_turn(&bare);
    }
    (void)bench_end(start_ns);

    struct pyr_log_stat stat;
    pyr_log_stat(rolling.embedded.log, &stat);
    if (stat.segments < ROTATIONS_MIN) {
        bench_fail("there were only %llu segments, of %llu bytes, after %llu appends",
                   (unsigned long long)stat.segments, (unsigned long long)stat.bytes,
                   (unsigned long long)rolling.latency->count);
    }
    print(question, &rolling, &steady, &bare);
    side_close(&rolling, options);
    side_close(&steady, options);
    device_close(&bare.device, options);
    free(bare.latency);
}

static void always(const char *name, const struct bench_options *options)
{
    run(options, &(struct question){.sync = PYR_SYNC_ALWAYS,
                                    .name_worst = name,
                                    .name_p999 = "always, p99.9 with rotation",
                                    .name_bare = "raw device write, 12 KiB, p99.9",
                                    .write = device_write});
}

static void os(const char *name, const struct bench_options *options)
{
    run(options, &(struct question){.sync = PYR_SYNC_OS,
                                    .name_worst = name,
                                    .name_p999 = "os, p99.9 with rotation",
                                    .name_bare = "pwrite, 12 KiB, p99.9",
                                    .write = device_write_cached});
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, worst append with rotation above without", always},
        {"os, worst append with rotation above without", os},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
