/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every crash point of a workload that rolls segments, recycles journal files, checkpoints,
 * removes, compacts, truncates and reopens: from each image that a power cut could leave, the shard
 * must come back with everything that was acknowledged, nothing else, and go on.
 *
 * The number of images is CRASH_IMAGES from the environment (the default is the suite's); each
 * event of the workload is cut equally often, with random subsets of the unflushed sectors and
 * names surviving. CRASH_PART of "1/2" or "2/2" takes every second image, so that two processes
 * share them.
 *
 *      life 1, recorded --cut--> image --open, judge, append, judge--> ok
 *                          \--> life 2, recorded --cut--> image --open, judge--> ok
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"

enum {
    LIVES = 4,
    ROUNDS = 45,
    MARKS_MAX = 4096,
    IMAGES_DEFAULT = 100000,
    AGAIN_IMAGES_OF_ONE = 40, /* Images of the second life of one image. */
    AGAIN_ONE_IN = 10,        /* Of the images, so many are those of second lives. */
};

/* What was acknowledged in each log, at each mark of a recording. */
struct ledger {
    size_t count;
    int64_t acked[MARKS_MAX][SHARD_CASE_LOGS];
};

static void ledger_mark(struct ledger *ledger, const struct shard_life *life)
{
    assert_true(ledger->count < MARKS_MAX);
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        ledger->acked[ledger->count][index] = shard_case_acked(life, index);
    }
    sim_record_mark(life->disk, ledger->count++);
}

/* One life's work: appends of all sizes on all logs, deletions, time for compaction. */
static void life_work(struct shard_life *life, struct ledger *ledger, uint64_t rounds)
{
    for (uint64_t round = 0; round < rounds; round++) {
        size_t index = (size_t)(round * 7 % 10) % SHARD_CASE_LOGS;
        size_t count = 1 + (size_t)(round * round % 13);
        assert_int_equal(shard_case_append(life, index, count), PYR_OK);
        if (round % 3 == 0) {
            assert_int_equal(shard_case_append(life, 3, 1 + count / 2), PYR_OK);
        }
        shard_case_turn(life);
        ledger_mark(ledger, life);
        if (round % 15 == 14) {
            struct partition *log = life->logs[round % SHARD_CASE_LOGS];
            assert_int_equal(shard_case_settle(life), PYR_OK);
            ledger_mark(ledger, life);
            int64_t half = (log->offset_start + log->offset_committed) / 2;
            assert_int_equal(partition_delete_before(log, half, &life->error), PYR_OK);
            sim_advance(life->sim, RETENTION_LOOK_NS);
        }
    }
    for (int turn = 0; turn < 30; turn++) {
        shard_case_turn(life);
    }
    assert_int_equal(shard_case_settle(life), PYR_OK);
    ledger_mark(ledger, life);
}

/* Record several lives on @disk, with a clean stop after each but one. */
static void workload_record(struct sim_disk *disk, struct ledger *ledger)
{
    static struct shard_life life;
    uint64_t compacted = 0;
    sim_record_start(disk);
    memset(ledger->acked[0], 0, sizeof ledger->acked[0]);
    sim_record_mark(disk, ledger->count++);
    for (uint64_t part = 0; part < LIVES; part++) {
        assert_int_equal(shard_case_begin(&life, disk, 11 + part), PYR_OK);
        ledger_mark(ledger, &life);
        life_work(&life, ledger, ROUNDS);
        compacted += life.logs[3]->records_compacted;
        for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
            CHECK(shard_case_check(&life, index, false));
        }
        if (part == 1) {
            shard_case_abandon(&life);
        } else {
            shard_case_end(&life);
        }
    }
    sim_record_stop(disk);
    CHECK(compacted > 0);
}

/* Hold the open @life against what was @acked. */
static bool life_judge(struct shard_life *life, const int64_t *acked)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        if (life->logs[index]->offset_committed < acked[index]) {
            (void)err_set(&life->error, PYR_ERR_CORRUPT,
                          "log %zu: %" PRId64 " was acknowledged, and the log ends at %" PRId64
                          "; %" PRIu64 " batches replayed; cut: %s",
                          index, acked[index], life->logs[index]->offset_committed,
                          life->report.batches, life->report.cut_reason);
            return false;
        }
        if (!shard_case_check(life, index, false)) {
            return false;
        }
    }
    return true;
}

/* Open the shard on @image, hold it against what was @acked, and append to it. */
static bool image_judge(struct sim_disk *image,
                        const int64_t *acked,
                        uint64_t seed,
                        struct pyr_error *error)
{
    static struct shard_life life;
    bool is_good = shard_case_begin(&life, image, seed) == PYR_OK;
    is_good = is_good && life_judge(&life, acked);
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        life.salt = 2;
        is_good = shard_case_append(&life, index, 3) == PYR_OK;
    }
    is_good = is_good && shard_case_settle(&life) == PYR_OK;
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        is_good = shard_case_check_from(&life, index, life.ends[index], false);
    }
    *error = life.error;
    if (is_good && seed % 8 == 0) {
        shard_case_end(&life);
    } else {
        shard_case_abandon(&life);
    }
    return is_good;
}

/* Each event is cut with nothing and with all surviving, with names lost and with bytes lost, and
 * then at random. */
static enum sim_crash crash_of(uint64_t seed)
{
    static const enum sim_crash first[] = {SIM_CRASH_NONE, SIM_CRASH_ALL, SIM_CRASH_DATA,
                                           SIM_CRASH_NAMES};

    return seed < sizeof first / sizeof *first ? first[seed] : SIM_CRASH_RANDOM;
}

static uint64_t images_wanted(void)
{
    const char *text = getenv("CRASH_IMAGES");
    return text ? strtoull(text, NULL, 10) : case_scale(IMAGES_DEFAULT);
}

/* Which of the images this process takes: every @step-th from @first on. */
static void part_wanted(uint64_t *first, uint64_t *step)
{
    const char *text = getenv("CRASH_PART");
    const char *from = getenv("CRASH_FIRST");
    *first = from ? strtoull(from, NULL, 10) : 0;
    *step = 1;
    if (text) {
        char *end = NULL;
        *first += strtoull(text, &end, 10) - 1;
        *step = *end == '/' ? strtoull(end + 1, NULL, 10) : 1;
    }
}

static void image_report(const struct sim_disk *disk,
                         uint64_t number,
                         size_t event,
                         const struct pyr_error *error)
{
    for (size_t at = 0; getenv("CRASH_EVENTS") && at <= event + 2 && at < sim_record_count(disk);
         at++) {
        (void)printf("#   %zu %s\n", at, sim_record_text(disk, at));
    }
    (void)printf("# image %" PRIu64 ": crash after event %zu of %zu (%s): %s\n", number, event,
                 sim_record_count(disk), sim_record_text(disk, event), error->message);
}

/* A power cut at any moment loses nothing that was acknowledged, and invents nothing. */
TEST(crash, at_every_point_loses_nothing_acknowledged)
{
    static struct ledger ledger;
    struct sim_disk *disk = sim_disk_create();
    ledger.count = 0;
    workload_record(disk, &ledger);
    size_t events = sim_record_count(disk);
    uint64_t images = images_wanted() - images_wanted() / AGAIN_ONE_IN;
    CHECK(events > 1000);

    uint64_t number = 0;
    uint64_t step = 0;
    uint64_t done = 0;
    for (part_wanted(&number, &step); number < images; number += step, done++) {
        size_t event = (size_t)(number % events);
        uint64_t seed = number / events;
        uint64_t mark = 0;
        struct sim_disk *image = sim_record_image(disk, event, crash_of(seed), seed, &mark);
        struct pyr_error error;
        bool is_good = image_judge(image, ledger.acked[mark], 1 + number, &error);
        if (!is_good) {
            image_report(disk, number, event, &error);
        }
        CHECK(is_good);
        sim_disk_destroy(image);
    }
    (void)printf("# %" PRIu64 " images of %zu events\n", done, events);
    sim_disk_destroy(disk);
}

/* Judge images of the second life on @disk, which found @ends; its opening may be cut too. */
static void again_judge(const struct sim_disk *disk,
                        const struct ledger *ledger,
                        const int64_t *ends,
                        uint64_t number)
{
    static struct shard_life life;
    size_t events = sim_record_count(disk);
    for (uint64_t at = 0; at < AGAIN_IMAGES_OF_ONE; at++) {
        size_t event = (size_t)((at * 7919 + number * 31) % events);
        uint64_t mark = 0;
        struct sim_disk *image = sim_record_image(disk, event, crash_of(at % 12), at, &mark);
        bool is_good = shard_case_begin(&life, image, number + at) == PYR_OK;
        life.salt = 2;
        for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
            life.ends[index] = ends[index];
        }
        is_good = is_good && life_judge(&life, ledger->acked[mark]);
        if (!is_good) {
            (void)printf("# second life of image %" PRIu64 ":\n", number);
            image_report(disk, at, event, &life.error);
        }
        CHECK(is_good);
        shard_case_abandon(&life);
        sim_disk_destroy(image);
    }
}

/* What a start after a crash has shown stays, and what it dropped does not come back, when the
 * power goes again: torn entries of the first life must not mix with those of the second. */
TEST(crash, again_after_a_crash_keeps_what_the_start_has_shown)
{
    static struct ledger first;
    static struct ledger second;
    static struct shard_life life;
    struct sim_disk *disk = sim_disk_create();
    first.count = 0;
    workload_record(disk, &first);
    size_t events = sim_record_count(disk);
    uint64_t lives = 1 + images_wanted() / AGAIN_ONE_IN / AGAIN_IMAGES_OF_ONE;

    uint64_t number = 0;
    uint64_t step = 0;
    uint64_t done = 0;
    for (part_wanted(&number, &step); number < lives; number += step, done++) {
        uint64_t mark = 0;
        size_t event = (size_t)(number * 104729 % events);
        struct sim_disk *image = sim_record_image(disk, event, SIM_CRASH_RANDOM, number, &mark);
        sim_record_start(image);
        memcpy(second.acked[0], first.acked[mark], sizeof second.acked[0]);
        second.count = 1;
        sim_record_mark(image, 0);
        assert_int_equal(shard_case_begin(&life, image, 77 + number), PYR_OK);
        life.salt = 2;
        ledger_mark(&second, &life);
        life_work(&life, &second, 12);
        sim_record_stop(image);
        int64_t ends[SHARD_CASE_LOGS];
        memcpy(ends, life.ends, sizeof ends);
        shard_case_abandon(&life);
        again_judge(image, &second, ends, number);
        sim_disk_destroy(image);
    }
    (void)printf("# %" PRIu64 " images of %" PRIu64 " second lives\n", done * AGAIN_IMAGES_OF_ONE,
                 done);
    sim_disk_destroy(disk);
}
