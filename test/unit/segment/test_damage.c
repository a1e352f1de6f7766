/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage: every single-bit flip and every truncation of every file of a small log, with a segment
 * that is sealed, one that was compacted, and one that is open, is detected or harmless. A record
 * that is read is the one that was written, or the test fails inside log_case_read. Covers
 * segment/verify.c.
 */
#include <malloc.h>
#include <stdio.h>

#include "lib/case.h"
#include "log_case.h"
#include "segment/compact.h"
#include "segment/scrub.h"
#include "segment/verify.h"
#include "sim/sim_io.h"

/* -- A small log on a simulated disk -- */

struct patient {
    struct sim_disk *disk;
    struct segment_end claim;
    int64_t records; /* That are there: compaction merges, and drops none of these. */
};

static void compact_below(struct log_case *log, int64_t limit)
{
    struct segment_compact_options options = {.offset_limit = limit,
                                              .map_bytes = 1 << 16,
                                              .seed = 3};
    struct segment_compact *compaction = NULL;
    CHECK_INT(segment_compact_create(log->log, &options, &compaction, &log->error), PYR_OK);
    assert_non_null(compaction);
    enum segment_compact_step step = segment_compact_next(compaction);
    while (step == SEGMENT_COMPACT_RUN) {
        segment_compact_run(compaction, 1000);
        step = segment_compact_next(compaction);
    }
    CHECK_INT(step, SEGMENT_COMPACT_DONE);
    segment_compact_destroy(compaction);
}

static struct patient patient_create(void)
{
    struct patient patient = {.disk = sim_disk_create()};
    /* Tens of thousands of short lives: keep their memory instead of giving it back each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    struct sim *sim = sim_create(&(struct sim_options){.disk = patient.disk, .seed = 5});
    struct log_case log;
    log_case_init(&log, sim_io(sim), "/log", 700);
    CHECK_INT(log_case_open(&log), PYR_OK);
    log.records_of_batch = 1;
    log.key = "k";
    CHECK_INT(log_case_append(&log, 7), PYR_OK);
    log.epoch = 3;
    CHECK_INT(log_case_append(&log, 7), PYR_OK);
    CHECK_INT(log_case_sync(&log), PYR_OK);
    compact_below(&log, 14); /* One record of the key is left below. */
    log.key = NULL;
    log.epoch = 4;
    log.value_bytes = 400; /* Several points a segment. */
    log_case_close(&log);
    log.options.segment_bytes_max = 12000;
    CHECK_INT(log_case_open(&log), PYR_OK);
    CHECK_INT(log_case_append(&log, 30), PYR_OK);
    CHECK_INT(log_case_sync(&log), PYR_OK);
    CHECK(segment_log_segments(log.log) >= 3);
    patient.claim = log.claim;
    log.value_bytes = 0;
    log_case_close(&log);
    sim_destroy(sim);
    return patient;
}

/* Open the log and read all of it in a way that @turn chooses. Returns the records read, or the
 * error as a negative number. */
static int64_t try_log(struct sim_disk *disk, const struct patient *patient, uint64_t turn)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 6});
    struct log_case log;
    log_case_init(&log, sim_io(sim), "/log", 12000);
    log.options.use_mmap = turn % 2 == 1;
    log.claim = patient->claim;
    int64_t count = -1;
    if (log_case_open(&log) == PYR_OK) {
        count = log_case_read(&log, 0, turn % 3 == 0 ? 1 : 5000);
    }
    log_case_close(&log);
    sim_destroy(sim);
    return count;
}

/* The files of the log, by index; false past the last. */
static bool file_at(const struct patient *patient, size_t index, char *path, int64_t *ret_bytes)
{
    memset(path, 0, PATH_BYTES_MAX);
    if (index >= sim_disk_file_count(patient->disk)) {
        return false;
    }
    *ret_bytes = sim_disk_file(patient->disk, index,
                               (struct bytes_mut){(uint8_t *)path, PATH_BYTES_MAX - 1});
    return true;
}

/* Whether the byte at @position of a .digest is the zeros between its parts: flips there are alike,
 * so that one in many is enough. */
static bool is_gap(const char *path, int64_t position)
{
    return strstr(path, ".digest") && position >= 300 && position < SEGMENT_POINTS_AT;
}

/* -- The damage -- */

/* What the damage came to. */
struct sum {
    uint64_t turn;
    uint64_t detected;
    uint64_t wrong;
};

/* Flip each bit of the byte at @position, but those that others stand for. */
static void flip_byte(const struct patient *patient,
                      const char *path,
                      int64_t position,
                      struct sum *sum)
{
    for (uint32_t bit = 0; bit < 8; bit++) {
        bool is_skipped = (is_gap(path, position) && position % 61 != bit) ||
                          (position > 900 && position % 7 != 0);
        if (is_skipped) {
            continue;
        }
        struct sim_disk *disk = sim_disk_copy(patient->disk);
        CHECK(sim_disk_flip(disk, path, position, bit));
        int64_t count = try_log(disk, patient, sum->turn++);
        if (count >= 0 && count != patient->records) {
            print_message("'%s' byte %lld bit %u: %lld records\n", path, (long long)position, bit,
                          (long long)count);
            sum->wrong++;
        }
        sum->detected += count < 0;
        sim_disk_destroy(disk);
    }
}

/* Cut the file at @path to @length, if no other length stands for that. */
static void cut_file(const struct patient *patient,
                     const char *path,
                     int64_t length,
                     struct sum *sum)
{
    if ((is_gap(path, length) && length % 61 != 0) || (length > 900 && length % 13 != 0)) {
        return;
    }
    struct sim_disk *disk = sim_disk_copy(patient->disk);
    CHECK(sim_disk_cut(disk, path, length));
    int64_t count = try_log(disk, patient, sum->turn++);
    if (count >= 0 && count != patient->records) {
        print_message("'%s' cut to %lld: %lld records\n", path, (long long)length,
                      (long long)count);
        sum->wrong++;
    }
    sim_disk_destroy(disk);
}

/* Every bit. What opens and reads to the end reads all of it. */
TEST(segment_damage, of_any_bit_is_detected_or_harmless)
{
    struct patient patient = patient_create();
    char path[PATH_BYTES_MAX];
    int64_t bytes = 0;
    struct sum sum = {0};
    const int64_t step = (int64_t)case_step();
    patient.records = try_log(patient.disk, &patient, 0);
    CHECK(patient.records > 31 && patient.records < 44);
    CHECK_INT(try_log(patient.disk, &patient, 1), patient.records);

    for (size_t file = 0; file_at(&patient, file, path, &bytes); file++) {
        for (int64_t position = 0; position < bytes; position += step) {
            flip_byte(&patient, path, position, &sum);
        }
    }

    CHECK_INT(sum.wrong, 0); /* SEG-1, SEG-4, SEG-9 */
    CHECK(sum.detected * (uint64_t)step > 1000);
    CHECK(sum.turn * (uint64_t)step > 10000);
    sim_disk_destroy(patient.disk);
}

/* Every length. */
TEST(segment_damage, of_any_length_is_detected_or_harmless)
{
    struct patient patient = patient_create();
    char path[PATH_BYTES_MAX];
    int64_t bytes = 0;
    struct sum sum = {0};
    const int64_t step = (int64_t)case_step();
    patient.records = try_log(patient.disk, &patient, 0);

    for (size_t file = 0; file_at(&patient, file, path, &bytes); file++) {
        for (int64_t length = 0; length < bytes; length += step) {
            cut_file(&patient, path, length, &sum);
        }
    }

    CHECK_INT(sum.wrong, 0);
    sim_disk_destroy(patient.disk);
}

/* -- Looking for it -- */

static uint64_t findings_of(struct sim_disk *disk, struct segment_verdict *verdict)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 6});
    struct pyr_error error = {0};
    enum pyr_err err = segment_verify_folder(sim_io(sim), "/log", -1, -1, verdict, &error);
    sim_destroy(sim);
    return err == PYR_OK ? verdict->finding_count : 1;
}

/* Flip a bit of the byte at @position. Returns whether verification misses it. */
static bool is_missed(const struct patient *patient, const char *path, int64_t position)
{
    static struct segment_verdict verdict;
    struct sim_disk *disk = sim_disk_copy(patient->disk);
    CHECK(sim_disk_flip(disk, path, position, (uint32_t)(position % 8)));
    bool is_found = findings_of(disk, &verdict) > 0;
    bool is_shorter = verdict.digest != patient->claim.digest;
    if (!is_found && !is_shorter) {
        print_message("'%s' byte %lld is missed\n", path, (long long)position);
    }
    sim_disk_destroy(disk);
    return !is_found && !is_shorter;
}

/* Offline verification finds every flipped bit of every sealed segment's batches and digests, and
 * nothing in a sound log. */
TEST(segment_verify, finds_damage_offline)
{
    struct patient patient = patient_create();
    static struct segment_verdict verdict;
    char path[PATH_BYTES_MAX];
    int64_t bytes = 0;
    uint64_t missed = 0;
    const int64_t step = 3 * (int64_t)case_step();

    CHECK_INT(findings_of(patient.disk, &verdict), 0);
    CHECK(verdict.segments >= 3);
    CHECK(verdict.cleaned >= 1);
    CHECK_INT(verdict.offset_end, patient.claim.offset);
    CHECK(verdict.digest == patient.claim.digest);

    for (size_t file = 0; file_at(&patient, file, path, &bytes); file++) {
        bool is_checked = strstr(path, ".log") || strstr(path, ".index");
        bool is_last = strstr(path, "00032") || strstr(path, "0004"); /* May end anywhere. */
        for (int64_t position = 0; position < bytes && is_checked && !is_last; position += step) {
            missed += is_missed(&patient, path, position);
        }
    }

    CHECK_INT(missed, 0);
    sim_disk_destroy(patient.disk);
}

/* The scrub goes through a log in steps and meets a flipped bit by name. */
TEST(segment_scrub, finds_damage_step_by_step)
{
    struct patient patient = patient_create();
    char path[PATH_BYTES_MAX];
    int64_t bytes = 0;
    size_t file = 0;
    while (file_at(&patient, file, path, &bytes) && (!strstr(path, ".log") || bytes < 6000)) {
        file++;
    }
    for (int round = 0; round < 2; round++) {
        if (round == 1) {
            CHECK(sim_disk_flip(patient.disk, path, 5000, 3));
        }
        struct sim *sim = sim_create(&(struct sim_options){.disk = patient.disk, .seed = 6});
        struct log_case log;
        struct segment_scrub scrub;
        enum pyr_err err = PYR_OK;
        uint64_t steps = 0;
        log_case_init(&log, sim_io(sim), "/log", 12000);
        log.claim = patient.claim;
        CHECK_INT(log_case_open(&log), PYR_OK);
        CHECK_INT(segment_scrub_init(&scrub, sim_io(sim), BLOCK_BYTES), PYR_OK);
        segment_scrub_begin(&scrub, log.log, 0);
        while (err == PYR_OK && segment_scrub_plan(&scrub, log.log, 1000)) {
            segment_scrub_run(&scrub);
            err = segment_scrub_apply(&scrub, log.log, &log.error);
            steps++;
        }
        CHECK(steps > (round == 0 ? 10U : 1U));
        CHECK_INT(err, round == 0 ? PYR_OK : PYR_ERR_CORRUPT);
        CHECK(round == 0 || strstr(log.error.message, path));
        CHECK(round == 1 || scrub.offset == log_case_end(&log));
        segment_scrub_deinit(&scrub, sim_io(sim));
        log_case_close(&log);
        sim_destroy(sim);
    }
    sim_disk_destroy(patient.disk);
}
