/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_keys - what does each option of the store and the log do?
 *
 * Method: for each option the one or two figures that somebody looks for who turns it. Each is
 * asked twice in a run (bench/trial.h), of fresh stores that differ in this option and nothing
 * else; what both have beyond the defaults (smaller segments, so that there is something to roll
 * in a second) is in the table below. A case is called "<option> = <value>: <what is measured>", so
 * that bench/run --page can make the table of docs/tuning.md of it.
 *
 * What would make it a lie: half a second a figure. This says which way an option works and about
 * how far; what the log can do at best is for the other programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "trial.h"

enum { BATCH_RECORDS = 100, KEYED_RECORDS = 1000 };

#define KIB_BYTES ((uint64_t)1 << 10)
#define MIB_BYTES ((uint64_t)1 << 20)

typedef void (*setting)(struct trial *trial);

/* One figure of one option. */
struct key_case {
    const char *name;
    const char *against; /* The option's other value. */
    const char *unit;
    trial_question question;
    setting both;    /* What both sides have. */
    setting changed; /* What one side has besides. */
};

/* -- What both sides may have -- */

static void always(struct trial *trial)
{
    trial->wanted.log.sync = PYR_SYNC_ALWAYS;
}

static void os(struct trial *trial)
{
    trial->wanted.log.sync = PYR_SYNC_OS;
}

static void batch(struct trial *trial)
{
    trial->wanted.log.sync = PYR_SYNC_BATCH;
}

static void always_uncached(struct trial *trial)
{
    always(trial);
    trial->wanted.store.cache_enabled = false;
}

/* Whole batches, and their disk writes left to the kernel. */
static void os_batches(struct trial *trial)
{
    os(trial);
    trial->wanted.record_count = BATCH_RECORDS;
}

static void always_batches(struct trial *trial)
{
    always(trial);
    trial->wanted.record_count = KEYED_RECORDS;
}

/* Batches of lines of text. */
static void os_text(struct trial *trial)
{
    os_batches(trial);
    trial->is_text = true;
}

/* A journal of small files. */
static void small_journal(struct trial *trial)
{
    always_batches(trial);
    trial->wanted.store.wal_file_bytes = 8 * MIB_BYTES;
}

/* Segments and journal files so small that a second sees many, handed on soon. */
static void small_segments(struct trial *trial)
{
    os_batches(trial);
    trial->wanted.store.wal_file_bytes = MIB_BYTES;
    trial->wanted.store.max_buffer_time_ms = 10;
    trial->wanted.log.segment_max_size = 4 * MIB_BYTES;
}

static void small_keyed_segments(struct trial *trial)
{
    small_segments(trial);
    trial->wanted.record_count = KEYED_RECORDS;
    trial->has_keys = true;
}

/* Appends that go on to their segments soon. */
static void os_soon(struct trial *trial)
{
    os(trial);
    trial->wanted.store.max_buffer_time_ms = 10;
}

static void os_batches_scrubbed(struct trial *trial)
{
    os_batches(trial);
    trial->wanted.store.scrub_interval_ms = 0;
}

/* -- What one side has -- */

static void backend_posix(struct trial *trial)
{
    trial->wanted.store.backend = PYR_BACKEND_POSIX;
}

static void cache_off(struct trial *trial)
{
    trial->wanted.store.cache_enabled = false;
}

static void cache_small(struct trial *trial)
{
    trial->wanted.store.cache_max_size = 4 * MIB_BYTES;
}

static void buffer_time_short(struct trial *trial)
{
    trial->wanted.store.max_buffer_time_ms = 10;
}

static void journal_file_small(struct trial *trial)
{
    trial->wanted.store.wal_file_bytes = 4 * MIB_BYTES;
}

static void journal_files_few(struct trial *trial)
{
    trial->wanted.store.wal_files_max = 2;
}

static void scrub_fast(struct trial *trial)
{
    trial->wanted.store.scrub_bytes_per_s = 32 * MIB_BYTES;
}

static void scrub_off(struct trial *trial)
{
    trial->wanted.store.scrub_bytes_per_s = 0;
}

static void scrub_at_once(struct trial *trial)
{
    trial->wanted.store.scrub_interval_ms = 0;
}

static void shards_four(struct trial *trial)
{
    trial->wanted.store.shards = 4;
}

static void interval_long(struct trial *trial)
{
    trial->wanted.log.sync_interval_ms = 50;
}

static void hand_over(struct trial *trial)
{
    trial->wanted.log.hand_over_at_once = true;
}

static void synced_on_write(struct trial *trial)
{
    trial->wanted.log.sync_on_write = true;
}

static void mapped(struct trial *trial)
{
    trial->wanted.log.use_mmap = true;
}

static void compacted(struct trial *trial)
{
    trial->wanted.log.is_compacted = true;
}

static void compressed(struct trial *trial)
{
    trial->wanted.log.compression = PYR_COMPRESSION_LZ4;
}

static void segments_small(struct trial *trial)
{
    trial->wanted.log.segment_max_size = 4 * MIB_BYTES;
}

static void segments_young(struct trial *trial)
{
    trial->wanted.log.segment_max_age_ms = 100;
}

static void retention_short(struct trial *trial)
{
    trial->wanted.log.retention_ms = 100;
}

static void retention_little(struct trial *trial)
{
    trial->wanted.log.retention_bytes = 16 * MIB_BYTES;
}

/* -- The table -- */

static const struct key_case KEYS[] = {
    {"backend = posix: append", "auto", "us", trial_append_us, always, backend_posix},
    {"backend = posix: append by 64 threads", "auto", "records/s", trial_team_rate, always,
     backend_posix},
    {"cache_enabled = false: append", "true", "us", trial_append_us, always, cache_off},
    {"cache_enabled = false: append, os", "true", "us", trial_append_us, os, cache_off},
    {"cache_max_size = 4 MiB: memory after 64 MiB", "256 MiB", "MiB", trial_memory_mib, os_batches,
     cache_small},
    {"cache_max_size = 4 MiB: burst of 256 MiB, os", "256 MiB", "MiB/s", trial_burst_mib_s,
     os_batches, cache_small},
    {"max_buffer_time_ms = 10: writes to segments, 1000 appends/s", "1000", "calls/s",
     trial_write_calls, always, buffer_time_short},
    {"max_buffer_time_ms = 10: append", "1000", "us", trial_append_us, always, buffer_time_short},
    {"wal_file_bytes = 4 MiB: journal on the disk after 64 MiB", "64 MiB", "MiB", trial_journal_mib,
     always_batches, journal_file_small},
    {"wal_file_bytes = 4 MiB: open an empty store", "64 MiB", "ms", trial_open_ms, always,
     journal_file_small},
    {"wal_file_bytes = 4 MiB: open after a kill, 256 MiB appended", "64 MiB", "ms",
     trial_recovery_ms, always_batches, journal_file_small},
    {"wal_files_max = 2: burst of 256 MiB, files of 8 MiB", "16", "MiB/s", trial_burst_mib_s,
     small_journal, journal_files_few},
    {"wal_files_max = 2: open after a kill, files of 8 MiB", "16", "ms", trial_recovery_ms,
     small_journal, journal_files_few},
    {"scrub_bytes_per_s = 32 MiB: read by the scrub", "4 MiB", "MiB/s", trial_scrub_mib_s,
     os_batches_scrubbed, scrub_fast},
    {"scrub_bytes_per_s = 0: read by the scrub", "4 MiB", "MiB/s", trial_scrub_mib_s,
     os_batches_scrubbed, scrub_off},
    {"scrub_interval_ms = 0: passes over a small log in a second", "a week", "passes",
     trial_scrub_passes, always, scrub_at_once},
    {"shards = 4: append by 64 threads, one log", "1", "records/s", trial_team_rate, always,
     shards_four},
    {"shards = 4: journals on the disk after 64 MiB", "1", "MiB", trial_journal_mib, always_batches,
     shards_four},
    {"sync = batch: append", "always", "us", trial_append_us, always, batch},
    {"sync = os: append", "always", "us", trial_append_us, always, os},
    {"sync_interval_ms = 50: at risk, 1000 appends/s", "5", "records", trial_at_risk, batch,
     interval_long},
    {"hand_over_at_once = true: append, os", "false", "us", trial_append_us, os, hand_over},
    {"sync_on_write = true: append, cache off", "false", "us", trial_append_us, always_uncached,
     synced_on_write},
    {"use_mmap = true: random read of a record", "false", "us", trial_read_random_us, os_batches,
     mapped},
    {"use_mmap = true: read of all records", "false", "records/s", trial_read_rate, os_batches,
     mapped},
    {"use_mmap = true: read of whole batches", "false", "MiB/s", trial_read_mib_s, os_batches,
     mapped},
    {"is_compacted = true: left of 64 MiB of 1000 keys after 2 s", "false", "MiB", trial_kept_mib,
     small_keyed_segments, compacted},
    {"compression = lz4: segments of 64 MiB of text", "none", "MiB", trial_kept_mib, os_text,
     compressed},
    {"compression = lz4: append of text, os", "none", "records/s", trial_append_rate, os_text,
     compressed},
    {"compression = lz4: read of all records of text", "none", "records/s", trial_read_rate,
     os_text, compressed},
    {"segment_max_size = 4 MiB: files of 64 MiB", "1 GiB", "segments", trial_segments, os_batches,
     segments_small},
    {"segment_max_age_ms = 100: files after 2 s of appends", "0", "segments",
     trial_segments_in_time, os_soon, segments_young},
    {"retention_ms = 100: left of 64 MiB after 2 s, segments of 4 MiB", "0", "MiB", trial_kept_mib,
     small_segments, retention_short},
    {"retention_bytes = 16 MiB: left of 64 MiB after 2 s, segments of 4 MiB", "0", "MiB",
     trial_kept_mib, small_segments, retention_little},
};

#define KEY_CASES (sizeof KEYS / sizeof KEYS[0])

static struct trial trial_of(const struct key_case *key, const struct bench_options *options)
{
    struct trial trial = {.options = options, .wanted = embedded_defaults(PYR_SYNC_ALWAYS)};
    trial.wanted.log.retention_bytes = 0;
    key->both(&trial);
    return trial;
}

static void run(const char *name, const struct bench_options *options)
{
    const struct key_case *key = KEYS;
    while (strcmp(key->name, name) != 0) {
        key++;
    }
    struct trial other = trial_of(key, options);
    struct trial changed = trial_of(key, options);
    key->changed(&changed);
    double other_value = trial_ask(&other, key->question);
    double changed_value = trial_ask(&changed, key->question);
    bench_print(&(struct bench_figure){.name = name,
                                       .value = changed_value,
                                       .unit = key->unit,
                                       .sync = embedded_sync_name(changed.wanted.log.sync),
                                       .latency = changed.latency,
                                       .against = key->against,
                                       .against_value = other_value});
    free(other.latency);
    free(changed.latency);
}

int main(int argument_count, char **arguments)
{
    struct bench_case cases[KEY_CASES];
    for (size_t index = 0; index < KEY_CASES; index++) {
        cases[index] = (struct bench_case){KEYS[index].name, run};
    }
    return bench_main(argument_count, arguments, cases, KEY_CASES);
}
