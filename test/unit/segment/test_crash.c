/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes and failures on the simulated disk: after each of its operations, in a life that rolls,
 * syncs, truncates, compacts and removes, the disk as a crash would leave it opens under the claim
 * that was durable then, and holds exactly what it names. Covers segment/tail.c, which no other
 * test needs.
 */
#include <errno.h>
#include <stdio.h>

#include "io/testing.h"
#include "lib/case.h"
#include "log_case.h"
#include "segment/compact.h"
#include "sim/sim_io.h"

/* -- A life, with the owner's durable claims on the side -- */

enum { CLAIMS_MAX = 64, COMPACT_STEP = 2000, KEYED_RECORDS = 60 };

/* What the owner's checkpoint and journal say at one time. */
struct known {
    struct segment_claim claim;
    int64_t records_min; /* From start to end: fewer once compaction has gone over them. */
};

struct life {
    struct sim_disk *disk;
    struct sim *sim;
    struct log_case log;
    struct known known[CLAIMS_MAX];
    uint64_t known_count;
    int64_t dropped_max; /* Records that compaction may have taken. */
    bool is_direct;      /* Appends go past the page cache, in larger segments and batches. */
    enum pyr_err err;    /* Of the first call that failed. */
};

static void know(struct life *life, const struct segment_claim *claim, int64_t records_min)
{
    assert_true(life->known_count < CLAIMS_MAX);
    life->known[life->known_count] = (struct known){*claim, records_min};
    sim_record_mark(life->disk, life->known_count);
    life->known_count++;
}

/* Make the present synced end the durable claim, as a checkpoint would. */
static void checkpoint(struct life *life)
{
    struct segment_claim claim = {
        .offset_start = life->log.start,
        .offset_end = life->log.claim.offset,
        .has_end_point = true,
        .digest = life->log.claim.digest,
        .epoch = life->log.claim.epoch,
    };
    know(life, &claim, claim.offset_end - claim.offset_start - life->dropped_max);
}

static bool goes(struct life *life, enum pyr_err err)
{
    if (life->err == PYR_OK) {
        life->err = err;
    }
    return life->err == PYR_OK;
}

static bool append_and_sync(struct life *life, uint32_t batches)
{
    if (!goes(life, log_case_append(&life->log, batches)) ||
        !goes(life, log_case_sync(&life->log))) {
        return false;
    }
    checkpoint(life);
    return true;
}

/* Journal the truncation, then truncate. */
static bool truncate_to(struct life *life, int64_t offset)
{
    struct segment_claim claim = {.offset_start = life->log.start, .offset_end = offset};
    know(life, &claim, offset - claim.offset_start);
    life->log.epoch++;
    if (!goes(life, log_case_truncate(&life->log, offset))) {
        return false;
    }
    checkpoint(life);
    return true;
}

static bool compact(struct life *life)
{
    struct segment_compact_options options = {.offset_limit = life->log.claim.offset,
                                              .map_bytes = 1 << 16,
                                              .seed = 3};
    struct segment_compact *compaction = NULL;
    life->dropped_max = KEYED_RECORDS - 1;
    checkpoint(life);
    if (!goes(life,
              segment_compact_create(life->log.log, &options, &compaction, &life->log.error))) {
        return false;
    }
    if (!compaction) {
        return true;
    }
    enum segment_compact_step step = segment_compact_next(compaction);
    while (step == SEGMENT_COMPACT_RUN) {
        segment_compact_run(compaction, COMPACT_STEP);
        step = segment_compact_next(compaction);
    }
    enum pyr_err err = segment_compact_error(compaction, &life->log.error);
    segment_compact_destroy(compaction);
    return goes(life, err);
}

static bool remove_below(struct life *life, int64_t offset)
{
    struct segment_removal job;
    segment_log_set_start(life->log.log, offset);
    life->log.start = offset;
    checkpoint(life);
    while (segment_removal_plan(life->log.log, &job)) {
        segment_removal_run(&job);
        if (!goes(life, segment_removal_apply(life->log.log, &job, &life->log.error))) {
            return false;
        }
        segment_removal_run(&job);
    }
    return true;
}

static void prepare(struct life *life)
{
    struct segment_prepare job;
    if (segment_prepare_plan(life->log.log, &job)) {
        segment_prepare_run(&job);
        segment_prepare_apply(life->log.log, &job);
    }
}

/* The life. Ends at the first failure. */
static void live(struct life *life)
{
    if (!append_and_sync(life, 4) || !append_and_sync(life, 20)) {
        return;
    }
    prepare(life);
    if (!append_and_sync(life, 12) || !goes(life, log_case_append(&life->log, 20)) ||
        !truncate_to(life, 90) || !append_and_sync(life, 10) || !truncate_to(life, 60)) {
        return;
    }
    life->log.key = "one key";
    if (!append_and_sync(life, 20)) {
        return;
    }
    life->log.key = NULL;
    if (!append_and_sync(life, 20) || !compact(life) || !remove_below(life, 70)) {
        return;
    }
    (void)append_and_sync(life, 3);
}

/* Set up @log in @sim; if @is_direct, so that its appends cover whole blocks past the page cache.
 */
static void log_init(struct log_case *log, struct sim *sim, bool is_direct)
{
    log_case_init(log, sim_io(sim), "/log", is_direct ? 5 * BLOCK_BYTES : 2048);
    if (is_direct) {
        log->files.direct_batch_bytes = 1;
        log->files.direct_buffer_bytes = 2 * BLOCK_BYTES;
        log->value_bytes = 400;
    }
}

static void begin_life(struct life *life, bool is_direct)
{
    *life = (struct life){.disk = sim_disk_create(), .is_direct = is_direct};
    life->sim = sim_create(&(struct sim_options){.disk = life->disk, .seed = 5});
    log_init(&life->log, life->sim, is_direct);
    CHECK_INT(io_sync_folder(sim_io(life->sim), "/"), 0);
    CHECK_INT(log_case_open(&life->log), PYR_OK);
}

static void begin(struct life *life)
{
    begin_life(life, false);
}

static void end(struct life *life)
{
    log_case_close(&life->log);
    sim_destroy(life->sim);
    sim_disk_destroy(life->disk);
}

/* -- After a crash -- */

/* Open @disk under @known and check that it holds what that names. Returns whether it does, and
 * prints why not. */
static bool holds(struct sim_disk *disk,
                  const struct known *known,
                  bool is_direct,
                  const char *where)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 6});
    struct log_case log;
    bool is_good = false;
    log_init(&log, sim, is_direct);
    log.start = known->claim.offset_start;
    enum pyr_err err =
        segment_log_open(&log.options, &known->claim, &log.report, &log.log, &log.error);
    if (err == PYR_OK) {
        int64_t end_offset = log_case_end(&log);
        int64_t count = log_case_read(&log, log.start, 1000);
        is_good = end_offset == known->claim.offset_end && count >= known->records_min &&
                  count <= end_offset - log.start && log.report.quarantined == 0;
        if (!is_good) {
            print_message("%s: end %lld, %lld records, %s\n", where, (long long)end_offset,
                          (long long)count, count < 0 ? log.error.message : "");
        }
        /* It must go on, too. */
        log.epoch = 100;
        is_good = is_good && log_case_append(&log, 8) == PYR_OK && log_case_sync(&log) == PYR_OK;
        log_case_close(&log);
        is_good =
            is_good && log_case_open(&log) == PYR_OK && log_case_read(&log, log.start, 1000) >= 24;
        log_case_close(&log);
    } else {
        print_message("%s: claim %lld to %lld: %s\n", where, (long long)known->claim.offset_start,
                      (long long)known->claim.offset_end, log.error.message);
    }
    sim_destroy(sim);
    return is_good;
}

/* Hold every operation of @life, recorded, with each kind of crash behind it, against its claim. */
static void crash_everywhere(struct life *life)
{
    static const enum sim_crash crashes[] = {SIM_CRASH_NONE, SIM_CRASH_ALL, SIM_CRASH_SECTORS,
                                             SIM_CRASH_RANDOM, SIM_CRASH_RANDOM};

    uint64_t bad = 0;
    size_t events = sim_record_count(life->disk);
    CHECK(events > 200);
    for (size_t index = 0; index < events && bad < 5; index += (size_t)case_step()) {
        for (size_t how = 0; how < sizeof crashes / sizeof crashes[0]; how++) {
            uint64_t mark = 0;
            char where[200];
            struct sim_disk *disk =
                sim_record_image(life->disk, index, crashes[how], 1000 * index + how, &mark);
            (void)snprintf(where, sizeof where, "event %zu (%s), crash %zu, claim %llu", index,
                           sim_record_text(life->disk, index), how, (unsigned long long)mark);
            bad += !holds(disk, &life->known[mark], life->is_direct, where);
            sim_disk_destroy(disk);
        }
    }
    CHECK_INT(bad, 0);
}

/* Record @life from its beginning to its end. */
static void record_life(struct life *life)
{
    know(life, &(struct segment_claim){0}, 0);
    sim_record_start(life->disk);
    sim_record_mark(life->disk, 0);
    live(life);
    CHECK_INT(life->err, PYR_OK);
    sim_record_stop(life->disk);
}

/* Every operation of the life, each kind of crash behind it (mutant no_folder_sync). */
TEST(segment_crash, leaves_what_was_claimed)
{
    static struct life life;
    begin(&life);

    record_life(&life);

    crash_everywhere(&life);
    end(&life);
}

/* The same where blocks are written past the page cache: a block that holds claimed bytes must not
 * be among them (SEG-12). */
TEST(segment_crash, leaves_what_was_claimed_past_the_page_cache)
{
    static struct life life;
    begin_life(&life, true);

    record_life(&life);

    crash_everywhere(&life);
    end(&life);
}

/* -- Failures -- */

/* Fail the n-th operation of @kind, for every n: the life ends with an error, or goes on, and what
 * was claimed is there. */
static void fail_each(enum sim_kind kind, int error)
{
    static struct life life;
    bool has_failed = true;
    uint64_t bad = 0;
    for (uint64_t nth = 1; has_failed && nth < 2000; nth += case_step()) {
        char where[64];
        begin(&life);
        know(&life, &(struct segment_claim){0}, 0);
        sim_fault_add(life.sim, &(struct sim_fault){.kind = kind, .nth = nth, .error = error});

        live(&life);

        has_failed = sim_fault_count(life.sim) > 0;
        sim_faults_clear(life.sim);
        struct known known = life.known[life.known_count - 1];
        log_case_close(&life.log);
        (void)snprintf(where, sizeof where, "kind %d, failure %llu", (int)kind,
                       (unsigned long long)nth);
        struct sim_disk *disk = sim_disk_crash(life.disk, SIM_CRASH_NONE, nth);
        bad += !holds(disk, &known, false, where);
        sim_disk_destroy(disk);
        sim_destroy(life.sim);
        sim_disk_destroy(life.disk);
    }
    CHECK_INT(bad, 0);
    CHECK(!has_failed);
}

TEST(segment_failure, of_every_write_loses_nothing)
{
    fail_each(SIM_WRITE, 0);
}

/* A failed sync is final: after it, the log takes nothing (SEG-6). */
TEST(segment_failure, of_every_sync_loses_nothing)
{
    fail_each(SIM_SYNC, 0);
    fail_each(SIM_SYNC_FOLDER, 0);
}

TEST(segment_failure, of_every_rename_and_remove_loses_nothing)
{
    fail_each(SIM_RENAME, 0);
    fail_each(SIM_REMOVE, 0);
    fail_each(SIM_TRUNCATE, 0);
}

TEST(segment_failure, of_every_open_and_read_loses_nothing)
{
    fail_each(SIM_OPEN, 0);
    fail_each(SIM_READ, 0);
    fail_each(SIM_LIST, 0);
    fail_each(SIM_ALLOCATE, 0);
}

/* The n-th allocation fails, for every n: an error, no leak, no loss. */
TEST(segment_failure, of_every_allocation_loses_nothing)
{
    static struct life life;
    uint64_t bad = 0;
    uint64_t allocations = UINT64_MAX;
    for (uint64_t nth = 1; nth < allocations; nth += case_step()) {
        char where[64];
        begin(&life);
        know(&life, &(struct segment_claim){0}, 0);
        uint64_t before = io_testing_allocations(sim_io(life.sim));
        io_testing_fail_allocation(sim_io(life.sim), nth);

        live(&life);

        io_testing_fail_allocation(sim_io(life.sim), 0);
        allocations = nth == 1 ? UINT64_MAX : allocations;
        if (life.err == PYR_OK) {
            allocations = io_testing_allocations(sim_io(life.sim)) - before;
        }
        struct known known = life.known[life.known_count - 1];
        log_case_close(&life.log);
        CHECK_INT(io_testing_allocations_live(sim_io(life.sim)), 0);
        (void)snprintf(where, sizeof where, "allocation %llu", (unsigned long long)nth);
        bad += !holds(life.disk, &known, false, where);
        sim_destroy(life.sim);
        sim_disk_destroy(life.disk);
    }
    CHECK_INT(bad, 0);
}

/* A full disk refuses appends and nothing else; they resume by themselves when space returns. */
TEST(segment_failure, of_space_passes)
{
    static struct life life;
    begin(&life);
    CHECK_INT(log_case_append(&life.log, 20), PYR_OK);
    CHECK_INT(log_case_sync(&life.log), PYR_OK);
    sim_disk_set_space(life.disk, 1);

    life.log.value_bytes = 0;
    enum pyr_err err = PYR_OK;
    for (int round = 0; round < 400 && err == PYR_OK; round++) {
        err = log_case_append(&life.log, 20);
    }

    CHECK_INT(err, PYR_ERR_DISK_FULL);
    CHECK(!segment_log_has_failed(life.log.log));
    int64_t end_offset = log_case_end(&life.log);
    CHECK_INT(log_case_read(&life.log, 0, 4096), end_offset);
    sim_disk_set_space(life.disk, UINT64_MAX);
    CHECK_INT(log_case_append(&life.log, 20), PYR_OK);
    CHECK_INT(log_case_sync(&life.log), PYR_OK);
    CHECK_INT(log_case_read(&life.log, 0, 4096), end_offset + 60);
    end(&life);
}

/* A disk with less room than the next step refuses it, after it has gone through all that it has
 * left: asked for every batch, a store that fills up stands still (a close took minutes). */
TEST(segment_append, asks_for_space_that_is_refused_once_a_job)
{
    struct sim_disk *disk = sim_disk_create();
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1});
    struct log_case subject;
    log_case_init(&subject, sim_io(sim), "/log", 1 << 20);
    CHECK_INT(log_case_open(&subject), PYR_OK);
    CHECK_INT(log_case_append(&subject, 1), PYR_OK);
    const struct sim_fault full = {.kind = SIM_ALLOCATE,
                                   .times = UINT64_MAX,
                                   .effect = SIM_FAIL,
                                   .error = ENOSPC};
    sim_fault_add(sim, &full);
    uint64_t before = sim_count(sim, SIM_ALLOCATE);

    subject.value_bytes = 9000;
    enum pyr_err err = log_case_append(&subject, 20);

    CHECK_INT(err, PYR_OK);
    uint64_t asked = sim_count(sim, SIM_ALLOCATE) - before;
    CHECK(asked >= 1);
    CHECK(asked < 10);
    CHECK_INT(log_case_read(&subject, 0, 1 << 16), 63);
    log_case_close(&subject);
    sim_destroy(sim);
    sim_disk_destroy(disk);
}
