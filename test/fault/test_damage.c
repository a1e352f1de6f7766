/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every flipped bit and every cut of every file of a small store: detected, or harmless.
 *
 * A store is damaged in one place, opened, and read by every path: from the start, from offsets
 * within, by time, through mappings and not. Legal is an error that names the file or the log, or
 * every record as it was appended. A wrong record, a missing one without an error, an assertion or
 * a wait without end is not.
 *
 * There are three small stores: one that was closed, one that a crash left with its records in the
 * journal, and a compacted one. Every bit of every byte is flipped. Only space that was reserved,
 * all zeros, is sampled, and of its bytes one bit is flipped. Two larger stores have indexes with
 * more than one entry and batches of many blocks: there the files that hold records, or copies of
 * them, are sampled too. DAMAGE_ALL in the environment takes every bit and every cut of all.
 */
#include <inttypes.h>
#include <stdio.h>

#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard_inner.h"
#include "segment/read.h"

enum {
    FILES_MAX = 128,
    ZEROS_STEP = 127,    /* Of reserved space one byte in so many is flipped. */
    PAYLOAD_STEP = 13,   /* Of a large store's records likewise. */
    CUTS_MAX = 400,      /* Of a file, */
    CUTS_LARGE_MAX = 40, /* and of a large store's. */
    COMPLAINTS_MAX = 20,
    KEYED = 3,
};

struct tally {
    uint64_t cases;
    uint64_t refused;  /* By opening. */
    uint64_t detected; /* By a read. */
    uint64_t harmless;
    uint64_t wrong;
};

/* One store that is damaged, and what must be in it. */
struct victim {
    struct sim_disk *disk;
    const char *text;
    size_t log;
    bool is_small; /* Every bit is flipped. */
    int64_t acked;
    struct tally tally;
};

/* -- Judging -- */

/* Where to begin to look for the time of record @number: never behind it. */
static enum pyr_err time_check(struct shard_life *life, size_t index, int64_t number)
{
    struct partition *log = life->logs[index];
    struct segment_view view;
    int64_t offset = 0;
    enum pyr_err err = segment_log_view_time(log->segments, number + 1, &view, &life->error);
    if (err == PYR_OK) {
        err = segment_view_find_time(&view, number + 1, &offset, &life->error);
        segment_log_view_release(log->segments, &view);
    }
    if (err == PYR_ERR_NOT_FOUND || err == PYR_ERR_OUT_OF_RANGE) {
        offset = log->offset_written;
        err = PYR_OK;
    }
    if (err == PYR_OK && offset > number && index != KEYED) {
        return err_set(&life->error, PYR_ERR_FAILED,
                       "by time record %" PRId64 " would be looked for from %" PRId64 " on", number,
                       offset);
    }
    return err;
}

/* Read log @index by every path. Returns false for a wrong record; *@ret_detected: an error. */
static bool reads_judge(struct shard_life *life, size_t index, bool *ret_detected)
{
    struct partition *log = life->logs[index];
    bool is_good = true;
    int64_t step = 1 + (log->offset_committed - log->offset_start) / 4;
    for (int64_t offset = log->offset_start; is_good && offset < log->offset_committed;
         offset += step) {
        life->error = (struct pyr_error){0};
        is_good = shard_case_check_from(life, index, offset, true);
        *ret_detected |= life->error.code != PYR_OK;
        enum pyr_err err = is_good ? time_check(life, index, offset) : PYR_OK;
        *ret_detected |= err != PYR_OK;
        is_good = is_good && (err == PYR_OK || err == PYR_ERR_CORRUPT);
    }
    return is_good;
}

/* Return whether @error says where to look. */
static bool is_named(const struct pyr_error *error)
{
    bool is_code = error->code == PYR_ERR_CORRUPT || error->code == PYR_ERR_FOREIGN ||
                   error->code == PYR_ERR_VERSION || error->code == PYR_ERR_NOT_FOUND;
    return is_code && (strstr(error->message, "/data") || strstr(error->message, "log '"));
}

static void complain(struct victim *victim, const char *what, const struct pyr_error *error)
{
    if (victim->tally.wrong++ < COMPLAINTS_MAX) {
        (void)printf("# %s: %s: error %d: %s\n", victim->text, what, (int)error->code,
                     error->message);
    }
}

/* Open and read the damaged @disk, with and without mappings. */
static void damage_judge(struct victim *victim, struct sim_disk *disk, const char *what)
{
    static struct shard_life life;
    bool is_detected = false;
    victim->tally.cases++;
    shard_case_init(&life, disk, victim->tally.cases);
    life.is_small = victim->is_small;
    life.mask = 1U << victim->log;
    life.use_mmap = victim->tally.cases % 2 == 0;
    enum pyr_err err = shard_case_open(&life);
    if (err != PYR_OK) {
        victim->tally.refused++;
        if (!is_named(&life.error)) {
            complain(victim, what, &life.error);
        }
    } else if (life.logs[victim->log]->offset_committed < victim->acked) {
        (void)err_set(&life.error, PYR_ERR_FAILED, "ends at %" PRId64 " rather than %" PRId64,
                      life.logs[victim->log]->offset_committed, victim->acked);
        complain(victim, what, &life.error);
    } else if (!reads_judge(&life, victim->log, &is_detected)) {
        complain(victim, what, &life.error);
    } else {
        victim->tally.detected += is_detected;
        victim->tally.harmless += !is_detected;
    }
    shard_case_abandon(&life);
}

/* -- Damaging -- */

/* Return whether the file holds records, or copies of them. */
static bool is_payload(const char *path)
{
    const char *end = strrchr(path, '.');
    return end && (strcmp(end, ".log") == 0 || strcmp(end, ".wal") == 0 ||
                   strcmp(end, ".digest") == 0 || strcmp(path, "/data/wal/1.0/checkpoint") == 0);
}

/* Return the bytes of the file at @path; puts them into @data. */
static size_t file_bytes(const struct sim_disk *disk, const char *path, struct bytes_mut data)
{
    uint32_t number = 0;
    assert_int_equal(disk_find(disk, path, &number), 0);
    assert_true(disk_bytes(disk, number) <= (int64_t)data.count);
    return disk_read(disk, number, 0, data);
}

static void flip(struct victim *victim, const char *path, size_t position, uint32_t bit)
{
    char what[400];
    struct sim_disk *disk = sim_disk_copy(victim->disk);
    assert_true(sim_disk_flip(disk, path, (int64_t)position, bit));
    (void)snprintf(what, sizeof what, "bit %u of byte %zu of '%s'", (unsigned)bit, position, path);
    damage_judge(victim, disk, what);
    sim_disk_destroy(disk);
}

/* Flip bits of the byte at @position: every one, or one that turns with the position. */
static void flip_byte(struct victim *victim, const char *path, size_t position, bool takes_all)
{
    for (uint32_t bit = 0; bit < 8; bit++) {
        if (takes_all || bit == (position * 5 + 3) % 8) {
            flip(victim, path, position, bit);
        }
    }
}

/* Flip the bits of the file at @path, of which @data are the bytes. */
static void flip_file(struct victim *victim, const char *path, struct bytes data)
{
    bool takes_all = getenv("DAMAGE_ALL");
    bool is_sampled = !takes_all && !victim->is_small && is_payload(path);
    size_t scale = (size_t)case_step() * (is_sampled ? PAYLOAD_STEP : 1);
    for (size_t position = 0; position < data.count; position++) {
        bool is_used =
            takes_all || data.data[position] != 0 || (position > 0 && data.data[position - 1] != 0);
        bool is_taken = (is_used || position % ZEROS_STEP == 0) && position % scale == 0;
        if (is_taken) {
            flip_byte(victim, path, position, is_used && !is_sampled);
        }
    }
}

static void cut_file(struct victim *victim, const char *path, size_t count)
{
    char what[400];
    size_t cuts_max = (size_t)case_scale(victim->is_small ? CUTS_MAX : CUTS_LARGE_MAX);
    size_t step = getenv("DAMAGE_ALL") ? 1 : 1 + count / cuts_max;
    for (size_t bytes = 0; bytes < count; bytes += step) {
        struct sim_disk *disk = sim_disk_copy(victim->disk);
        assert_true(sim_disk_cut(disk, path, (int64_t)bytes));
        (void)snprintf(what, sizeof what, "'%s' cut to %zu of %zu", path, bytes, count);
        damage_judge(victim, disk, what);
        sim_disk_destroy(disk);
    }
}

/* Damage every file of @victim, print what came of it, and check that nothing went wrong. */
static void damage_all(struct victim made)
{
    struct victim *victim = &made;
    static uint8_t data[1 << 20];
    size_t files = sim_disk_file_count(victim->disk);
    for (size_t index = 0; index < files; index++) {
        char path[300];
        (void)sim_disk_file(victim->disk, index, (struct bytes_mut){(uint8_t *)path, sizeof path});
        size_t count = file_bytes(victim->disk, path, (struct bytes_mut){data, sizeof data});
        struct tally before = victim->tally;
        flip_file(victim, path, (struct bytes){data, count});
        cut_file(victim, path, count);
        (void)printf("# %s: %s, %zu bytes: %" PRIu64 " cases, %" PRIu64 " refused, %" PRIu64
                     " detected, %" PRIu64 " harmless, %" PRIu64 " wrong\n",
                     victim->text, path, count, victim->tally.cases - before.cases,
                     victim->tally.refused - before.refused,
                     victim->tally.detected - before.detected,
                     victim->tally.harmless - before.harmless, victim->tally.wrong - before.wrong);
    }
    (void)printf("# %s: %" PRIu64 " cases, %" PRIu64 " refused, %" PRIu64 " detected, %" PRIu64
                 " harmless, %" PRIu64 " wrong\n",
                 victim->text, victim->tally.cases, victim->tally.refused, victim->tally.detected,
                 victim->tally.harmless, victim->tally.wrong);
    CHECK_INT(victim->tally.wrong, 0);
    CHECK(victim->tally.refused > 0);
    sim_disk_destroy(victim->disk);
}

/* -- The stores -- */

/* Ask for a checkpoint and give the compaction time for its rounds. */
static void let_compact(struct shard_life *life)
{
    shard_checkpoint_request(life->shard);
    for (int turn = 0; turn < 60; turn++) {
        sim_advance(life->sim, 100000000);
        shard_case_turn(life);
    }
}

/* Make the store @victim with @batches batches in its log, in two lives; closed or left in a crash.
 */
static struct victim victim_make(struct victim victim, int batches, bool is_closed)
{
    static struct shard_life life;
    size_t index = victim.log;
    victim.disk = sim_disk_create();
    uint64_t compacted = 0;
    for (uint64_t part = 0; part < 2; part++) {
        shard_case_init(&life, victim.disk, 90 + part);
        life.is_small = victim.is_small;
        life.mask = 1U << index;
        assert_int_equal(shard_case_open(&life), PYR_OK);
        for (int batch = 0; batch < batches; batch++) {
            assert_int_equal(shard_case_append(&life, index, 1 + (size_t)batch % 4), PYR_OK);
            shard_case_turn(&life);
        }
        assert_int_equal(shard_case_settle(&life), PYR_OK);
        for (int turn = 0; turn < 30; turn++) {
            shard_case_turn(&life);
        }
        if (index == KEYED) {
            let_compact(&life);
        }
        victim.acked = life.logs[index]->offset_committed;
        compacted += life.logs[index]->records_compacted;
        if (part == 1 && !is_closed) {
            shard_case_abandon(&life);
        } else {
            shard_case_end(&life);
        }
    }
    assert_true(index != KEYED || compacted > 0);
    struct sim_disk *left = sim_disk_crash(victim.disk, SIM_CRASH_ALL, 1);
    sim_disk_destroy(victim.disk);
    victim.disk = left;
    return victim;
}

/* Of a store that was closed nothing is in the journal alone: segments, checkpoint, markers. */
TEST(damage, to_a_closed_store_is_detected_or_harmless)
{
    const struct victim victim = {.text = "closed", .log = 0, .is_small = true};
    damage_all(victim_make(victim, 8, true));
}

/* After a crash the journal holds what counts: damage to it must not pass for a torn tail. */
TEST(damage, to_a_crashed_store_is_detected_or_harmless)
{
    const struct victim victim = {.text = "crashed", .log = 2, .is_small = true};
    damage_all(victim_make(victim, 12, false));
}

/* A compacted log has gaps, and what fills them is known from its .digest only. */
TEST(damage, to_a_compacted_store_is_detected_or_harmless)
{
    const struct victim victim = {.text = "compacted", .log = KEYED, .is_small = true};
    damage_all(victim_make(victim, 12, true));
}

/* Indexes that lead to a batch within a segment must not lead astray. */
TEST(damage, to_a_large_store_is_detected_or_harmless)
{
    const struct victim closed = {.text = "large", .log = 0};
    const struct victim compacted = {.text = "large compacted", .log = KEYED};
    damage_all(victim_make(closed, 24, true));
    damage_all(victim_make(compacted, 24, true));
}
