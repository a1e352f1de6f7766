/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/trial - the questions: appending and reading for a while, and counting.
 */
#include "trial.h"

#include <errno.h>
#include <fts.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/prng.h"
#include "team.h"

enum {
    TEAM_MEMBERS = 64,
    PACED_APPENDS = 1000,
    PACED_WARM_APPENDS = 100,
    KEPT_APPENDS = 2000,
    PACE_NS = 1000000,
    READ_SEED = 7,
    STAT_BLOCK_BYTES = 512,
    LINE_MAX_BYTES = 256
};

#define NS_A_US          1e3
#define NS_A_MS          1e6
#define NS_A_SECOND      1e9
#define BYTES_A_KIB      1024.0
#define BYTES_A_MIB      (1024.0 * 1024.0)
#define FILL_BYTES       ((uint64_t)64 << 20)
#define BURST_BYTES      ((uint64_t)256 << 20)
#define WARM_BYTES       ((size_t)96 << 20)
#define BURST_WARM_BYTES ((size_t)512 << 20)
#define WARM_NS          UINT64_C(100000000)

#define COUNTERS        "/proc/self/io"
#define LINE_OF_A_LOG   "2026-11-21T12:00:00Z node-3 GET /orders/7312 200 "
#define OFFSETS_OF_TEXT 7

/* -- Opening -- */

/* Sleep for @ns. */
static void rest(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / UINT64_C(1000000000)),
                            .tv_nsec = (long)(ns % UINT64_C(1000000000))};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* Turn noise into lines that look like those of a server's log, each a little different. */
static void values_of_text(struct embedded *embedded, size_t bytes_count)
{
    const size_t line_bytes = sizeof LINE_OF_A_LOG - 1;
    for (size_t at = 0; at < bytes_count; at++) {
        bool is_number = at % OFFSETS_OF_TEXT == 0;
        embedded->values[at] = is_number ? (uint8_t)('0' + embedded->values[at] % 10)
                                         : (uint8_t)LINE_OF_A_LOG[at % line_bytes];
    }
}

static void keys_of_records(struct embedded *embedded)
{
    for (size_t index = 0; index < embedded->record_count; index++) {
        embedded->records[index].key = embedded->records[index].value;
        embedded->records[index].key_bytes = sizeof(uint64_t);
    }
}

static void trial_open(struct trial *trial)
{
    const struct embedded_options *wanted = &trial->wanted;
    bench_remove(trial->options, wanted->name);
    bench_warm_memory(trial->options, WARM_BYTES);
    uint64_t begin_ns = bench_now_ns();
    embedded_open(&trial->embedded, trial->options, wanted);
    trial->open_ns = bench_now_ns() - begin_ns;
    if (trial->is_text) {
        values_of_text(&trial->embedded, wanted->record_count * wanted->record_bytes);
    }
    if (trial->has_keys) {
        keys_of_records(&trial->embedded);
    }
}

/* Close the store, and open what it left; return how long that took. */
static uint64_t trial_reopen(struct trial *trial)
{
    struct embedded *embedded = &trial->embedded;
    pyr_log_close(embedded->log);
    pyr_store_close(embedded->store);

    char path[PATH_BYTES_MAX];
    bench_path(trial->options, trial->wanted.name, path, sizeof path);
    struct pyr_error error;
    uint64_t begin_ns = bench_now_ns();
    bench_must(pyr_store_open(path, &trial->wanted.store, &embedded->store, &error), &error,
               "open");
    bench_must(
        pyr_store_log(embedded->store, "bench", 0, &trial->wanted.log, &embedded->log, &error),
        &error, "open");
    return bench_now_ns() - begin_ns;
}

double trial_ask(struct trial *trial, trial_question question)
{
    trial->seconds = (trial->options->seconds < 1 ? trial->options->seconds : 1) / 2;
    trial->latency = bench_histogram();
    trial_open(trial);
    double answer = question(trial);
    embedded_close(&trial->embedded, trial->options, &trial->wanted);
    return answer;
}

/* -- Appending -- */

/* Append for @ns, counting each append's time; return how long it was. */
static uint64_t append_for(struct trial *trial, uint64_t ns)
{
    uint64_t begin_ns = bench_now_ns();
    uint64_t now_ns = begin_ns;
    while (now_ns - begin_ns < ns) {
        uint64_t append_ns = now_ns;
        embedded_append(&trial->embedded);
        now_ns = bench_now_ns();
        histogram_record(trial->latency, now_ns - append_ns, 1);
    }
    return now_ns - begin_ns;
}

/* Append for the question's time, after a warm-up. */
static uint64_t append_measured(struct trial *trial)
{
    (void)append_for(trial, WARM_NS);
    histogram_clear(trial->latency);
    uint64_t begin_ns = bench_begin();
    uint64_t spent_ns = append_for(trial, (uint64_t)(trial->seconds * NS_A_SECOND));
    (void)bench_end(begin_ns);
    return spent_ns;
}

/* Append values of @bytes_count bytes together. */
static void append_bytes(struct trial *trial, uint64_t bytes_count)
{
    uint64_t batch_bytes = trial->wanted.record_count * trial->wanted.record_bytes;
    for (uint64_t done = 0; done < bytes_count; done += batch_bytes) {
        embedded_append(&trial->embedded);
    }
}

/* Append and wait until it is on stable storage and, but for the last second's, in segments. */
static void fill(struct trial *trial)
{
    struct pyr_error error;
    append_bytes(trial, FILL_BYTES);
    bench_must(pyr_log_sync(trial->embedded.log, &error), &error, "sync");
}

/* Append one record a millisecond, @count times; return the most records that were not durable. */
static uint64_t append_paced(struct trial *trial, int count)
{
    uint64_t at_risk_max = 0;
    struct pyr_error error;
    for (int append = 0; append < count; append++) {
        rest(PACE_NS);
        bench_must(pyr_log_append(trial->embedded.log, trial->embedded.records, NULL, &error),
                   &error, "append");
        struct pyr_log_stat stat;
        pyr_log_stat(trial->embedded.log, &stat);
        uint64_t at_risk = (uint64_t)(stat.offset_end - stat.offset_durable);
        at_risk_max = at_risk > at_risk_max ? at_risk : at_risk_max;
    }
    return at_risk_max;
}

double trial_append_us(struct trial *trial)
{
    (void)append_measured(trial);
    return (double)histogram_percentile(trial->latency, 50) / NS_A_US;
}

double trial_append_rate(struct trial *trial)
{
    uint64_t spent_ns = append_measured(trial);
    return bench_rate(trial->latency->count * trial->wanted.record_count, spent_ns);
}

static void team_append(void *ctx, uint64_t member, uint64_t round)
{
    struct trial *trial = ctx;
    (void)member;
    (void)round;
    embedded_append(&trial->embedded);
}

double trial_team_rate(struct trial *trial)
{
    struct team_options team = {.members = TEAM_MEMBERS,
                                .seconds = WARM_NS / NS_A_SECOND,
                                .step = team_append,
                                .ctx = trial};
    (void)team_run(&team, trial->latency);
    histogram_clear(trial->latency);
    team.seconds = trial->seconds;
    uint64_t spent_ns = team_run(&team, trial->latency);
    return bench_rate(trial->latency->count * trial->wanted.record_count, spent_ns);
}

double trial_burst_mib_s(struct trial *trial)
{
    bench_warm_memory(trial->options, BURST_WARM_BYTES);
    uint64_t begin_ns = bench_begin();
    append_bytes(trial, BURST_BYTES);
    return (double)BURST_BYTES / BYTES_A_MIB / ((double)bench_end(begin_ns) / NS_A_SECOND);
}

/* -- What it leaves in memory and on disk -- */

double trial_memory_mib(struct trial *trial)
{
    fill(trial);
    struct pyr_log_stat stat;
    pyr_log_stat(trial->embedded.log, &stat);
    return (double)stat.cache_bytes / BYTES_A_MIB;
}

/* Return the counter @name of this process's input and output. */
static double io_counter(const char *name)
{
    FILE *file = fopen(COUNTERS, "re");
    if (!file) {
        bench_fail("open '" COUNTERS "': %s", strerror(errno));
    }
    char line[LINE_MAX_BYTES];
    size_t name_bytes = strlen(name);
    double value = -1;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, name_bytes) == 0 && line[name_bytes] == ':') {
            value = strtod(line + name_bytes + 1, NULL);
        }
    }
    (void)fclose(file);
    if (value < 0) {
        bench_fail("'" COUNTERS "' has no '%s'", name);
    }
    return value;
}

/* Return by how much the counter @name grows in a second of paced appends. */
static double counted_a_second(struct trial *trial, const char *name)
{
    (void)append_paced(trial, PACED_WARM_APPENDS);
    double before = io_counter(name);
    uint64_t begin_ns = bench_begin();
    (void)append_paced(trial, PACED_APPENDS);
    double spent_s = (double)bench_end(begin_ns) / NS_A_SECOND;
    return (io_counter(name) - before) / spent_s;
}

double trial_write_calls(struct trial *trial)
{
    return counted_a_second(trial, "syscw");
}

double trial_at_risk(struct trial *trial)
{
    (void)append_paced(trial, PACED_WARM_APPENDS);
    return (double)append_paced(trial, PACED_APPENDS);
}

/* Return the bytes of the disk that the files below @path take. */
static uint64_t disk_bytes(char *path)
{
    char *paths[] = {path, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL, NULL);
    if (!walk) {
        bench_fail("walk '%s': %s", path, strerror(errno));
    }
    uint64_t bytes_total = 0;
    for (FTSENT *entry = fts_read(walk); entry; entry = fts_read(walk)) {
        if (entry->fts_info == FTS_F) {
            bytes_total += (uint64_t)entry->fts_statp->st_blocks * STAT_BLOCK_BYTES;
        }
    }
    (void)fts_close(walk);
    return bytes_total;
}

double trial_journal_mib(struct trial *trial)
{
    fill(trial);
    char name[PATH_BYTES_MAX];
    int count = snprintf(name, sizeof name, "%s/wal", trial->wanted.name);
    if (count < 0 || (size_t)count >= sizeof name) {
        bench_fail("'%s' is too long", trial->wanted.name);
    }
    char path[PATH_BYTES_MAX];
    bench_path(trial->options, name, path, sizeof path);
    return (double)disk_bytes(path) / BYTES_A_MIB;
}

double trial_segments(struct trial *trial)
{
    fill(trial);
    (void)trial_reopen(trial); /* Closing writes what the cache holds. */
    struct pyr_log_stat stat;
    pyr_log_stat(trial->embedded.log, &stat);
    return (double)stat.segments;
}

double trial_segments_in_time(struct trial *trial)
{
    (void)append_paced(trial, KEPT_APPENDS);
    struct pyr_log_stat stat;
    pyr_log_stat(trial->embedded.log, &stat);
    return (double)stat.segments;
}

double trial_kept_mib(struct trial *trial)
{
    fill(trial);
    (void)append_paced(trial, KEPT_APPENDS);
    struct pyr_log_stat stat;
    pyr_log_stat(trial->embedded.log, &stat);
    return (double)stat.bytes / BYTES_A_MIB;
}

/* -- Opening -- */

double trial_open_ms(struct trial *trial)
{
    return (double)trial->open_ns / NS_A_MS;
}

/* In the child: append, then die. */
static _Noreturn void append_and_die(struct trial *trial)
{
    trial_open(trial);
    append_bytes(trial, BURST_BYTES);
    (void)kill(getpid(), SIGKILL);
    abort();
}

double trial_recovery_ms(struct trial *trial)
{
    embedded_close(&trial->embedded, trial->options, &trial->wanted);
    pid_t child = fork();
    if (child < 0) {
        bench_fail("fork: %s", strerror(errno));
    }
    if (child == 0) {
        append_and_die(trial);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL) {
        bench_fail("the child that was to be killed ended by itself");
    }
    uint64_t open_ns =
        trial_reopen(trial); /* The handles are NULL, and closing those is nothing. */
    return (double)open_ns / NS_A_MS;
}

/* -- Reading -- */

/* Read each record once; return how many there are. */
static uint64_t pass_records(struct trial *trial)
{
    struct pyr_reader *reader = embedded_reader(&trial->embedded, PYR_READ_FIRST);
    struct pyr_error error;
    int64_t end = embedded_end(&trial->embedded);
    uint64_t seen = 0;
    for (int64_t offset = 0; offset < end; offset++) {
        struct pyr_record record;
        bench_must(pyr_reader_next(reader, 0, &record, &error), &error, "read");
        seen += *(const uint8_t *)record.value;
    }
    bench_use(seen);
    pyr_reader_close(reader);
    return (uint64_t)end;
}

static uint64_t pass_bytes(struct trial *trial)
{
    return embedded_pass_bytes(&trial->embedded);
}

/* Fill the log, open it again so that its segments are read, and pass through it for a while.
 * Return how much of it a second. */
static double passes_a_second(struct trial *trial, uint64_t (*pass)(struct trial *trial))
{
    fill(trial);
    (void)trial_reopen(trial);
    (void)pass(trial);
    uint64_t limit_ns = (uint64_t)(trial->seconds * NS_A_SECOND);
    uint64_t count = 0;
    uint64_t spent_ns = 0;
    uint64_t begin_ns = bench_begin();
    while (spent_ns < limit_ns) {
        count += pass(trial);
        spent_ns = bench_now_ns() - begin_ns;
    }
    (void)bench_end(begin_ns);
    return bench_rate(count, spent_ns);
}

double trial_read_rate(struct trial *trial)
{
    return passes_a_second(trial, pass_records);
}

double trial_read_mib_s(struct trial *trial)
{
    return passes_a_second(trial, pass_bytes) / BYTES_A_MIB;
}

double trial_read_random_us(struct trial *trial)
{
    fill(trial);
    (void)trial_reopen(trial);
    (void)pass_bytes(trial);
    struct pyr_reader *reader = embedded_reader(&trial->embedded, PYR_READ_FIRST);
    struct prng prng = prng_of(READ_SEED, 1);
    uint64_t end = (uint64_t)embedded_end(&trial->embedded);
    uint64_t limit_ns = (uint64_t)(trial->seconds * NS_A_SECOND);
    uint64_t begin_ns = bench_begin();
    uint64_t now_ns = begin_ns;
    while (now_ns - begin_ns < limit_ns) {
        uint64_t read_ns = now_ns;
        struct pyr_record record;
        struct pyr_error error;
        bench_must(pyr_reader_seek(reader, (int64_t)prng_below(&prng, end), &error), &error,
                   "seek");
        bench_must(pyr_reader_next(reader, 0, &record, &error), &error, "read");
        bench_use(*(const uint8_t *)record.value);
        now_ns = bench_now_ns();
        histogram_record(trial->latency, now_ns - read_ns, 1);
    }
    (void)bench_end(begin_ns);
    pyr_reader_close(reader);
    return (double)histogram_percentile(trial->latency, 50) / NS_A_US;
}

/* -- The scrub -- */

double trial_scrub_mib_s(struct trial *trial)
{
    fill(trial);
    (void)trial_reopen(trial);
    struct pyr_store_stat before;
    pyr_store_stat(trial->embedded.store, &before);
    uint64_t begin_ns = bench_begin();
    rest((uint64_t)(2 * trial->seconds * NS_A_SECOND));
    struct pyr_store_stat after;
    pyr_store_stat(trial->embedded.store, &after);
    double spent_s = (double)bench_end(begin_ns) / NS_A_SECOND;
    return (double)(after.scrub_bytes - before.scrub_bytes) / BYTES_A_MIB / spent_s;
}

double trial_scrub_passes(struct trial *trial)
{
    embedded_append(&trial->embedded);
    (void)trial_reopen(trial);
    rest((uint64_t)(2 * trial->seconds * NS_A_SECOND));
    struct pyr_store_stat stat;
    pyr_store_stat(trial->embedded.store, &stat);
    return (double)stat.scrub_passes;
}
