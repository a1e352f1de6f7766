/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the number of shards, 1 to 3 to 2, with a power cut or an error at each step: the folder
 * opens with the old number or with the new one, and everything acknowledged is there.
 *
 *      base: one shard, cut off with much in its journal only
 *        |
 *        +-- recorded: open with 3, append, cut off; open with 2, append, stop --cut--> image
 *        |                                  image --open, judge, append, judge, change again--> ok
 *        +-- open with 3, the n-th operation fails --open, judge, append--> --cut--> open, judge
 *
 * The second kind is also the kill: what the first process did stays in the kernel's memory, the
 * next one builds on it, and only then the power goes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "fault/shard_case.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/reshard.h"
#include "partition/shard_inner.h"

enum {
    MARKS_MAX = 256,
    BASE_ROUNDS = 60,
    ROUNDS = 12,
    CUTS = 12,           /* Ways to cut; a run of the suite cuts each event in one of them. */
    CUT_STEP = 5,        /* So that all ways come round. */
    TRIALS_OF_KIND = 12, /* Operations of a kind that are made to fail, at most. */
    TRIALS_ALLOCATION = 40,
};

/* What holds from a mark on: what was acknowledged, and which numbers of shards may be found. */
struct page {
    int64_t acked[SHARD_CASE_LOGS];
    uint32_t shards_before;
    uint32_t shards_after;
};

struct ledger {
    size_t count;
    struct page pages[MARKS_MAX];
};

static void ledger_mark(struct ledger *ledger,
                        struct sim_disk *disk,
                        const int64_t *acked,
                        uint32_t before,
                        uint32_t after)
{
    assert_true(ledger->count < MARKS_MAX);
    struct page *page = &ledger->pages[ledger->count];
    memcpy(page->acked, acked, sizeof page->acked);
    page->shards_before = before;
    page->shards_after = after;
    sim_record_mark(disk, ledger->count++);
}

static void acked_note(const struct shard_life *life, int64_t *acked)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        acked[index] = shard_case_acked(life, index);
    }
}

/* Append to all logs in turn; @ledger may be NULL. */
static void life_work(struct shard_life *life, uint64_t rounds, struct ledger *ledger)
{
    uint32_t shards = life->folder.shards;
    int64_t acked[SHARD_CASE_LOGS];
    for (uint64_t round = 0; round < rounds; round++) {
        size_t index = (size_t)(round % SHARD_CASE_LOGS);
        assert_int_equal(shard_case_append(life, index, 1 + (size_t)(round * round % 13)), PYR_OK);
        shard_case_turn(life);
        if (ledger) {
            acked_note(life, acked);
            ledger_mark(ledger, life->disk, acked, shards, shards);
        }
    }
}

static enum pyr_err life_begin(struct shard_life *life,
                               struct sim_disk *disk,
                               uint32_t shards,
                               uint64_t seed)
{
    shard_case_init(life, disk, seed);
    life->shards_wanted = shards;
    return shard_case_open(life);
}

/* A disk of one shard that was cut off in the middle of its work, and what it had acknowledged. */
static struct sim_disk *base_make(int64_t *acked)
{
    static struct shard_life life;
    struct sim_disk *disk = sim_disk_create();
    assert_int_equal(life_begin(&life, disk, 1, 3), PYR_OK);
    life_work(&life, BASE_ROUNDS, NULL);
    struct partition *log = life.logs[2];
    assert_int_equal(partition_delete_before(log, log->offset_committed / 2, &life.error), PYR_OK);
    shard_case_end(&life);
    assert_int_equal(life_begin(&life, disk, 0, 4), PYR_OK);
    life_work(&life, BASE_ROUNDS, NULL);
    acked_note(&life, acked);
    shard_case_abandon(&life);
    return disk;
}

/* Record the two changes on @disk. */
static void changes_record(struct sim_disk *disk, int64_t *acked, struct ledger *ledger)
{
    static struct shard_life life;
    ledger->count = 0;
    sim_record_start(disk);
    ledger_mark(ledger, disk, acked, 1, 3);
    assert_int_equal(life_begin(&life, disk, 3, 5), PYR_OK);
    CHECK_INT(life.folder.shards, 3);
    acked_note(&life, acked);
    ledger_mark(ledger, disk, acked, 3, 3);
    life_work(&life, ROUNDS, ledger);
    acked_note(&life, acked);
    shard_case_abandon(&life);
    ledger_mark(ledger, disk, acked, 3, 2);
    assert_int_equal(life_begin(&life, disk, 2, 6), PYR_OK);
    CHECK_INT(life.folder.shards, 2);
    acked_note(&life, acked);
    ledger_mark(ledger, disk, acked, 2, 2);
    life_work(&life, ROUNDS, ledger);
    shard_case_end(&life);
    sim_record_stop(disk);
}

/* Return whether wal/ holds the journals of the folder's number and set, and no others. */
static bool journals_judge(struct shard_life *life)
{
    struct io_entries entries;
    char prefix[32];
    int prefix_bytes = snprintf(prefix, sizeof prefix, "%" PRIu32 ".", life->folder.journals);
    if (io_list(life->io, "/data/wal", &entries) != 0) {
        return false;
    }
    bool is_good = entries.count == life->folder.shards;
    for (size_t index = 0; index < entries.count; index++) {
        is_good &= strncmp(entries.rows[index].name, prefix, (size_t)prefix_bytes) == 0;
    }
    io_entries_free(life->io, &entries);
    if (!is_good) {
        (void)err_set(&life->error, PYR_ERR_CORRUPT, "wal/ holds other journals, or not all");
    }
    return is_good;
}

/* Hold the open @life against what was @acked. */
static bool life_judge(struct shard_life *life, const int64_t *acked)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        if (life->logs[index]->offset_committed < acked[index]) {
            (void)err_set(&life->error, PYR_ERR_CORRUPT,
                          "log %zu: %" PRId64 " was acknowledged, and it ends at %" PRId64, index,
                          acked[index], life->logs[index]->offset_committed);
            return false;
        }
        if (!shard_case_check(life, index, false)) {
            return false;
        }
    }
    return life->report.quarantined == 0 && journals_judge(life);
}

/* Append to each log, and read that back. */
static bool life_extend(struct shard_life *life)
{
    bool is_good = true;
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        life->salt = 2;
        is_good = shard_case_append(life, index, 3) == PYR_OK;
    }
    is_good = is_good && shard_case_settle(life) == PYR_OK;
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        is_good = shard_case_check_from(life, index, life->ends[index], false);
    }
    return is_good;
}

/* Open @image with @wanted shards (0: what it has) and hold it against @page. */
static bool image_judge(struct sim_disk *image,
                        const struct page *page,
                        uint32_t wanted,
                        uint64_t seed,
                        struct pyr_error *error)
{
    static struct shard_life life;
    bool is_good = life_begin(&life, image, wanted, seed) == PYR_OK;
    uint32_t found = life.folder.shards;
    if (is_good && wanted == 0 && found != page->shards_before && found != page->shards_after) {
        (void)err_set(&life.error, PYR_ERR_CORRUPT, "%" PRIu32 " shards", found);
        is_good = false;
    }
    is_good = is_good && (wanted == 0 || found == wanted);
    is_good = is_good && life_judge(&life, page->acked);
    is_good = is_good && life_extend(&life);
    *error = life.error;
    shard_case_abandon(&life);
    return is_good;
}

static enum sim_crash crash_of(uint64_t seed)
{
    static const enum sim_crash first[] = {SIM_CRASH_NONE, SIM_CRASH_ALL, SIM_CRASH_DATA,
                                           SIM_CRASH_NAMES};

    return seed < sizeof first / sizeof *first ? first[seed] : SIM_CRASH_RANDOM;
}

/* RSH-1: wherever the power goes in a change, the folder opens with one of the two numbers, or is
 * changed again, and has everything that was acknowledged. */
TEST(change, cut_at_every_point_loses_nothing_acknowledged)
{
    static struct ledger ledger;
    int64_t acked[SHARD_CASE_LOGS];
    struct sim_disk *disk = base_make(acked);
    changes_record(disk, acked, &ledger);
    size_t events = sim_record_count(disk);
    uint64_t images = case_scale(events);
    uint64_t step = case_step();

    uint64_t done = 0;
    for (uint64_t number = 0; done < images; number += step, done++) {
        size_t event = (size_t)(number % events);
        uint64_t seed = (event + number / events * CUT_STEP) % CUTS;
        uint64_t mark = 0;
        struct sim_disk *image = sim_record_image(disk, event, crash_of(seed), seed, &mark);
        uint32_t wanted = (uint32_t)(number % 7 % 4); /* None, 1, 2 or 3. */
        struct pyr_error error;
        bool is_good = image_judge(image, &ledger.pages[mark], wanted, 1 + number, &error);
        if (!is_good) {
            (void)printf(
                "# image %" PRIu64 ", wanted %" PRIu32 ": crash after event %zu of %zu (%s): %s\n",
                number, wanted, event, events, sim_record_text(disk, event), error.message);
        }
        CHECK(is_good);
        sim_disk_destroy(image);
    }
    (void)printf("# %" PRIu64 " images of %zu events\n", done, events);
    sim_disk_destroy(disk);
}

/* -- Errors -- */

/* One try of a change in which something fails. */
struct trial {
    const struct sim_disk *base;
    const int64_t *acked;
    struct sim_fault fault;                /* Its nth is 0: none. */
    uint64_t allocation;                   /* The n-th fails; 0: none. */
    uint64_t counts[SIM_KIND_END];         /* Afterwards: operations, */
    uint64_t allocations;                  /* and allocations. */
    enum pyr_err err;                      /* How the opening ended. */
    char text[PYR_ERROR_MESSAGE_MAX + 64]; /* What was wrong. */
};

/* After the trial on @disk: the next process finds all of it, and what it builds on that survives a
 * power cut of any kind (FLD-4). */
static bool after_judge(struct trial *trial, struct sim_disk *disk)
{
    static struct shard_life life;

    static const enum sim_crash cuts[] = {SIM_CRASH_NONE, SIM_CRASH_DATA, SIM_CRASH_NAMES};
    struct page page = {.shards_before = 1, .shards_after = 3};
    bool is_good = life_begin(&life, disk, 0, 9) == PYR_OK;
    is_good = is_good && life_judge(&life, trial->acked) && life_extend(&life);
    acked_note(&life, page.acked);
    page.shards_before = page.shards_after = life.folder.shards;
    int64_t ends[SHARD_CASE_LOGS];
    memcpy(ends, life.ends, sizeof ends);
    struct sim_disk *images[sizeof cuts / sizeof *cuts];
    for (size_t at = 0; at < sizeof cuts / sizeof *cuts; at++) {
        images[at] = sim_disk_crash(disk, cuts[at], 0);
    }
    (void)snprintf(trial->text, sizeof trial->text, "opened again: %s", life.error.message);
    shard_case_abandon(&life);
    for (size_t at = 0; at < sizeof cuts / sizeof *cuts; at++) {
        if (is_good) {
            is_good = life_begin(&life, images[at], 0, 10) == PYR_OK;
            is_good = is_good && life.folder.shards == page.shards_after;
            life.salt = 2;
            memcpy(life.ends, ends, sizeof ends);
            is_good = is_good && life_judge(&life, page.acked);
            (void)snprintf(trial->text, sizeof trial->text, "after cut %zu: %s", at,
                           life.error.message);
            shard_case_abandon(&life);
        }
        sim_disk_destroy(images[at]);
    }
    return is_good;
}

static bool trial_run(struct trial *trial)
{
    static struct shard_life life;
    struct sim_disk *disk = sim_disk_copy(trial->base);
    shard_case_init(&life, disk, 8);
    life.shards_wanted = 3;
    if (trial->fault.nth > 0) {
        sim_fault_add(life.sim, &trial->fault);
    }
    uint64_t before = io_testing_allocations(life.io);
    io_testing_fail_allocation(life.io, trial->allocation);
    trial->err = shard_case_open(&life);
    bool is_good = trial->err == PYR_OK || life.error.message[0] != '\0';
    for (int kind = 0; kind < SIM_KIND_END; kind++) {
        trial->counts[kind] = sim_count(life.sim, (enum sim_kind)kind);
    }
    trial->allocations = io_testing_allocations(life.io) - before;
    sim_faults_clear(life.sim);
    shard_case_abandon(&life);
    if (!is_good || life.allocations_live != 0) {
        (void)snprintf(trial->text, sizeof trial->text, "no message, or memory not given back");
        is_good = false;
    }
    is_good = is_good && after_judge(trial, disk);
    sim_disk_destroy(disk);
    return is_good;
}

static uint64_t step_of(uint64_t count, uint64_t trials)
{
    return (1 + count / trials) * case_step();
}

/* Return whether an operation of @kind is a step of the change, so that each of them counts. */
static bool is_step(int kind)
{
    return kind == SIM_RENAME || kind == SIM_SYNC_FOLDER || kind == SIM_MAKE_FOLDER;
}

/* How many runs there were, and how many ended with the open refused. */
struct tally {
    uint64_t runs;
    uint64_t refused;
};

/* Let the operations of @kind fail with @error, one in each run; all of them where they are steps.
 */
static void every_nth(const struct trial *plain, int kind, int error, struct tally *tally)
{
    uint64_t count = plain->counts[kind];
    uint64_t step = step_of(count, is_step(kind) ? count + 1 : TRIALS_OF_KIND);
    for (uint64_t nth = 1; nth <= count; nth += step) {
        struct trial trial = {.base = plain->base, .acked = plain->acked};
        trial.fault = (struct sim_fault){.kind = (enum sim_kind)kind,
                                         .nth = nth,
                                         .effect = SIM_FAIL,
                                         .error = error,
                                         .times = error == ENOSPC ? 3 : 1};
        bool is_good = trial_run(&trial);
        if (!is_good) {
            (void)printf("# kind %d, operation %" PRIu64 ": %s\n", kind, nth, trial.text);
        }
        CHECK(is_good);
        tally->runs++;
        tally->refused += trial.err != PYR_OK;
    }
}

static void every_operation(int error)
{
    int64_t acked[SHARD_CASE_LOGS];
    struct sim_disk *base = base_make(acked);
    struct trial plain = {.base = base, .acked = acked};
    struct tally tally = {0};
    CHECK(trial_run(&plain));
    for (int kind = 0; kind < SIM_KIND_END; kind++) {
        every_nth(&plain, kind, error, &tally);
    }
    (void)printf("# %" PRIu64 " runs, %" PRIu64 " refused\n", tally.runs, tally.refused);
    CHECK(tally.refused > 0);
    sim_disk_destroy(base);
}

/* Whatever fails, the change is made or it is not; and a process that is killed between any two
 * operations leaves what the next one, and a power cut after that, can live with. */
TEST(change, failing_at_any_operation_leaves_one_number_or_the_other)
{
    every_operation(EIO);
}

/* A full disk refuses the change, and loses nothing. */
TEST(change, finding_no_space_at_any_operation_leaves_one_number_or_the_other)
{
    every_operation(ENOSPC);
}

/* No allocation is too much to ask: the change is refused, and tried again another day. */
TEST(change, without_memory_at_any_place_leaves_one_number_or_the_other)
{
    int64_t acked[SHARD_CASE_LOGS];
    struct sim_disk *base = base_make(acked);
    struct trial plain = {.base = base, .acked = acked};
    CHECK(trial_run(&plain));
    uint64_t step = step_of(plain.allocations, TRIALS_ALLOCATION);
    uint64_t refused = 0;

    for (uint64_t nth = 1; nth <= plain.allocations; nth += step) {
        struct trial trial = {.base = base, .acked = acked, .allocation = nth};
        bool is_good = trial_run(&trial);
        if (!is_good) {
            (void)printf("# allocation %" PRIu64 ": %s\n", nth, trial.text);
        }
        CHECK(is_good);
        refused += trial.err != PYR_OK;
    }

    CHECK(refused > 0);
    sim_disk_destroy(base);
}
