/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th operation of every kind fails, for every n, while a store opens and works; and so does
 * the n-th allocation.
 *
 * What may come of it: an error from opening that says what failed; a shard that has FAILED, whose
 * reads go on; appends refused with PYR_ERR_DISK_FULL until there is space; or nothing at all. What
 * may not: an assertion, a wait without end, memory that is not given back, and above all the loss
 * of a record that was acknowledged, now, after a crash in that moment, or after closing.
 *
 *      disk with a past --copy--> [fault set] open, work, judge --+--crash--> open, judge
 *                                                                 +--close--> open, judge
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

enum {
    ROUNDS = 24,
};

/* What a run with a fault came to. */
struct outcome {
    enum pyr_err open_err;
    enum pyr_err work_err; /* The first error of the work. */
    int64_t acked[SHARD_CASE_LOGS];
    uint64_t counts[SIM_KIND_END];
    uint64_t allocations;
    uint64_t faults;
};

/* Counts of outcomes, for the closing line. */
struct tally {
    uint64_t runs;
    uint64_t refused;
    uint64_t failed;
    uint64_t full;
    uint64_t memory;
    uint64_t unseen;
};

static const char *const kind_names[SIM_KIND_END] = {
    "open",   "read",   "write",       "sync",        "allocate", "truncate", "map",
    "rename", "remove", "make folder", "sync folder", "list",     "stat",     "lock"};

/* One run: what is armed in it. */
struct trial {
    const struct sim_disk *base;
    struct sim_fault fault; /* nth 0: none. */
    uint64_t allocation;    /* The n-th fails; 0: none. */
    const char *text;
    uint64_t number;
};

static bool complain(const struct trial *trial, const char *what, const struct pyr_error *error)
{
    (void)printf("# %s, %s %" PRIu64 ": %s: %s\n", trial->text,
                 trial->allocation ? "allocation" : kind_names[trial->fault.kind], trial->number,
                 what, error->message);
    return false;
}

static void acked_note(const struct shard_life *life, struct outcome *outcome)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        int64_t acked = shard_case_acked(life, index);
        outcome->acked[index] = acked > outcome->acked[index] ? acked : outcome->acked[index];
    }
}

/* Return whether an append or a settling may end like this. */
static bool is_legal(enum pyr_err err)
{
    return err == PYR_OK || err == PYR_ERR_FAILED || err == PYR_ERR_DISK_FULL ||
           err == PYR_ERR_NO_MEMORY || err == PYR_ERR_BUSY;
}

/* Append, delete, let time pass; go on after an error as a stubborn program does. */
static bool work(struct shard_life *life, struct outcome *outcome)
{
    bool is_good = true;
    for (uint64_t round = 0; round < ROUNDS && is_good; round++) {
        size_t index = (size_t)(round % SHARD_CASE_LOGS);
        enum pyr_err err = shard_case_append(life, index, 1 + (size_t)(round * round % 13));
        is_good = is_legal(err);
        outcome->work_err = outcome->work_err == PYR_OK ? err : outcome->work_err;
        shard_case_turn(life);
        acked_note(life, outcome);
        if (round % 8 == 7) {
            struct partition *log = life->logs[round / 8];
            int64_t half = (log->offset_start + log->offset_committed) / 2;
            is_good = is_good && partition_delete_before(log, half, &life->error) == PYR_OK;
            sim_advance(life->sim, RETENTION_LOOK_NS);
            shard_checkpoint_request(life->shard);
        }
    }
    shard_sync_begin(life->shard);
    enum pyr_err err = PYR_OK;
    for (int turn = 0; turn < 60 && err == PYR_OK; turn++) {
        shard_case_turn(life);
        err = shard_health(life->shard, &life->error);
    }
    outcome->work_err = outcome->work_err == PYR_OK ? err : outcome->work_err;
    acked_note(life, outcome);
    return is_good && is_legal(err);
}

/* Open @disk without faults and hold it against @acked; append to it. */
static bool after_judge(const struct trial *trial,
                        const char *when,
                        struct sim_disk *disk,
                        const int64_t *acked)
{
    static struct shard_life life;
    if (shard_case_begin(&life, disk, 1000 + trial->number) != PYR_OK) {
        (void)complain(trial, when, &life.error);
        shard_case_abandon(&life);
        return false;
    }
    bool is_good = true;
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        if (life.logs[index]->offset_committed < acked[index]) {
            (void)err_set(&life.error, PYR_ERR_CORRUPT,
                          "log %zu ends at %" PRId64 ", and %" PRId64 " was acknowledged", index,
                          life.logs[index]->offset_committed, acked[index]);
            is_good = false;
        }
        is_good = is_good && shard_case_check(&life, index, false);
        is_good = is_good && shard_case_append(&life, index, 2) == PYR_OK;
    }
    is_good = is_good && shard_case_settle(&life) == PYR_OK;
    if (!is_good) {
        (void)complain(trial, when, &life.error);
    }
    shard_case_abandon(&life);
    return is_good;
}

/* Read all logs of a life with a fault: right, or an error from the disk. */
static bool reads_judge(const struct trial *trial, struct shard_life *life)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        life->error = (struct pyr_error){0};
        bool is_good = shard_case_check(life, index, false);
        bool may_fail = life->error.code == PYR_ERR_IO || life->error.code == PYR_ERR_NO_MEMORY ||
                        life->error.code == PYR_ERR_DISK_FULL;
        if (!is_good && !may_fail) {
            return complain(trial, "reading", &life->error);
        }
    }
    return true;
}

/* A full disk fails a shard in one place only: a write of the journal with the durable flag, of
 * which nobody can say whether its sync has failed (docs/durability.md). */
static bool failure_is_legal(const struct trial *trial, const struct shard_life *life)
{
    bool is_full = trial->fault.nth > 0 && trial->fault.error == ENOSPC;
    if (!is_full || !life->shard || shard_health(life->shard, NULL) == PYR_OK) {
        return true;
    }
    return trial->fault.kind == SIM_WRITE && strstr(life->shard->failure.message, ".wal'");
}

/* Carry out @trial. */
static bool trial_run(const struct trial *trial, struct outcome *outcome)
{
    static struct shard_life life;
    struct sim_disk *disk = sim_disk_copy(trial->base);
    *outcome = (struct outcome){0};
    shard_case_init(&life, disk, 5);
    if (trial->fault.nth > 0) {
        sim_fault_add(life.sim, &trial->fault);
    }
    uint64_t before = io_testing_allocations(life.io);
    io_testing_fail_allocation(life.io, trial->allocation);
    outcome->open_err = shard_case_open(&life);
    bool is_good = outcome->open_err == PYR_OK || life.error.message[0] != '\0';
    if (trial->fault.effect == SIM_SHORT && outcome->open_err != PYR_OK) {
        is_good = complain(trial, "opening", &life.error);
    }
    if (outcome->open_err == PYR_OK) {
        is_good = work(&life, outcome);
        is_good = is_good && (trial->fault.effect != SIM_SHORT || outcome->work_err == PYR_OK);
        is_good = is_good || complain(trial, "working", &life.error);
        is_good = is_good && reads_judge(trial, &life);
    }
    if (is_good && !failure_is_legal(trial, &life)) {
        is_good = complain(trial, "failed for want of space", &life.shard->failure);
    }
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_RANDOM, trial->number);
    for (int kind = 0; kind < SIM_KIND_END; kind++) {
        outcome->counts[kind] = sim_count(life.sim, (enum sim_kind)kind);
    }
    outcome->allocations = io_testing_allocations(life.io) - before;
    outcome->faults = sim_fault_count(life.sim);
    shard_case_end(&life);
    if (life.allocations_live != 0) {
        is_good = complain(trial, "memory was not given back", &life.error);
    }
    is_good = is_good && after_judge(trial, "after a crash", image, outcome->acked);
    sim_disk_destroy(image);
    image = sim_disk_crash(disk, SIM_CRASH_NONE, trial->number);
    is_good = is_good && after_judge(trial, "after closing", image, outcome->acked);
    sim_disk_destroy(image);
    sim_disk_destroy(disk);
    return is_good;
}

static void tally_add(struct tally *tally, const struct outcome *outcome)
{
    tally->runs++;
    tally->refused += outcome->open_err != PYR_OK;
    tally->failed += outcome->work_err == PYR_ERR_FAILED;
    tally->full += outcome->work_err == PYR_ERR_DISK_FULL;
    tally->memory += outcome->work_err == PYR_ERR_NO_MEMORY;
    tally->unseen += outcome->open_err == PYR_OK && outcome->work_err == PYR_OK;
}

static void tally_print(const char *text, const struct tally *tally)
{
    (void)printf("# %s: %" PRIu64 " runs: %" PRIu64 " refused to open, %" PRIu64 " failed, %" PRIu64
                 " full, %" PRIu64 " without memory, %" PRIu64 " unseen\n",
                 text, tally->runs, tally->refused, tally->failed, tally->full, tally->memory,
                 tally->unseen);
}

/* A disk with a past: a clean life, and one that was cut off with much in the journal only. */
static struct sim_disk *base_make(void)
{
    static struct shard_life life;
    struct outcome outcome = {0};
    struct sim_disk *disk = sim_disk_create();
    for (uint64_t part = 0; part < 2; part++) {
        assert_int_equal(shard_case_begin(&life, disk, 3 + part), PYR_OK);
        assert_true(work(&life, &outcome));
        assert_int_equal(outcome.work_err, PYR_OK);
        if (part == 0) {
            shard_case_end(&life);
        } else {
            shard_case_abandon(&life);
        }
    }
    return disk;
}

/* Run @trial with the n-th of @count operations of @kind having @fault, for every n. */
static bool every_nth(struct trial *trial,
                      const struct sim_fault *fault,
                      enum sim_kind kind,
                      uint64_t count,
                      struct tally *tally)
{
    bool is_good = true;
    uint64_t step = 1 + count / (1 + case_scale(count));
    for (uint64_t nth = 1; nth <= count; nth += step) {
        struct outcome outcome;
        trial->fault = *fault;
        trial->fault.kind = kind;
        trial->fault.nth = trial->number = nth;
        is_good &= trial_run(trial, &outcome);
        tally_add(tally, &outcome);
    }
    return is_good;
}

/* Run the workload with the n-th operation of each kind in @kinds having @fault, for every n. */
static void every_operation(const char *text, const struct sim_fault *fault, uint32_t kinds)
{
    struct sim_disk *empty = sim_disk_create();
    struct sim_disk *base = base_make();
    struct tally tally = {0};
    bool is_good = true;
    for (int past = 0; past < 2; past++) {
        struct trial trial = {.base = past ? base : empty, .text = text};
        struct outcome plain;
        CHECK(trial_run(&trial, &plain));
        for (int kind = 0; kind < SIM_KIND_END; kind++) {
            uint64_t count = (kinds & (1U << kind)) ? plain.counts[kind] : 0;
            is_good &= every_nth(&trial, fault, (enum sim_kind)kind, count, &tally);
        }
    }
    tally_print(text, &tally);
    CHECK(is_good);
    sim_disk_destroy(base);
    sim_disk_destroy(empty);
}

#define ALL_KINDS ((1U << SIM_KIND_END) - 1)

/* A disk reports an error once: what was acknowledged stays, whatever the error hit. */
TEST(failing, once_loses_nothing)
{
    every_operation("EIO once", &(struct sim_fault){.effect = SIM_FAIL, .error = EIO}, ALL_KINDS);
}

/* A disk that breaks for good, from any moment on, takes nothing along that was acknowledged. */
TEST(failing, for_good_loses_nothing)
{
    every_operation("EIO for good",
                    &(struct sim_fault){.effect = SIM_FAIL, .error = EIO, .times = UINT64_MAX},
                    ALL_KINDS);
}

/* Space that is gone for some operations and then back is no failure. */
TEST(failing, for_want_of_space_loses_nothing)
{
    every_operation("ENOSPC thrice",
                    &(struct sim_fault){.effect = SIM_FAIL, .error = ENOSPC, .times = 3},
                    1U << SIM_WRITE | 1U << SIM_ALLOCATE | 1U << SIM_OPEN | 1U << SIM_RENAME |
                        1U << SIM_TRUNCATE | 1U << SIM_MAKE_FOLDER);
}

/* The kernel may move fewer bytes than it was asked to, at any time; that is no error. */
TEST(failing, short_transfers_have_no_effect)
{
    every_operation("short", &(struct sim_fault){.effect = SIM_SHORT, .times = 2},
                    1U << SIM_WRITE | 1U << SIM_READ);
}

/* The memory of a program may run out at any call: nothing breaks, nothing leaks, nothing is lost.
 */
TEST(failing, allocations_lose_nothing)
{
    struct sim_disk *empty = sim_disk_create();
    struct sim_disk *base = base_make();
    struct tally tally = {0};
    bool is_good = true;
    for (int past = 0; past < 2; past++) {
        struct trial trial = {.base = past ? base : empty, .text = "memory"};
        struct outcome plain;
        CHECK(trial_run(&trial, &plain));
        uint64_t step = 1 + plain.allocations / (1 + case_scale(plain.allocations));
        for (uint64_t nth = 1; nth <= plain.allocations; nth += step) {
            struct outcome outcome;
            trial.allocation = trial.number = nth;
            is_good &= trial_run(&trial, &outcome);
            tally_add(&tally, &outcome);
        }
    }
    tally_print("memory", &tally);
    CHECK(is_good);
    sim_disk_destroy(base);
    sim_disk_destroy(empty);
}
