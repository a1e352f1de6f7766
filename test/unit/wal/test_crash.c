/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal on a disk that forgets, tears, fails and fills up.
 *
 * The workload numbers its entries; the payload of entry n is made from n. What must hold after a
 * crash is then easy to say: the checkpoint's body names the first number that replay has to give
 * (it may give some before it), the numbers follow each other without a gap, each payload is its
 * number's, and the last one is not below the last that was acknowledged.
 */
#include <errno.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/limits.h"
#include "io/testing.h"
#include "lib/case.h"
#include "sim/sim_io.h"
#include "wal/format.h"
#include "wal/wal.h"

#define NS_PER_MS UINT64_C(1000000)

enum {
    FILE_BYTES = 64 << 10,
    PAYLOAD_BYTES_MAX = 12000,
};

/* One life of a journal on a disk. */
struct life {
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct wal *wal;
    struct pyr_error error;
    uint64_t next;       /* Number of the next entry. */
    uint64_t first;      /* Replay: the first number that it gave. */
    uint64_t covered;    /* Replay: the checkpoint covers all numbers below. */
    uint64_t acked;      /* All numbers below are acknowledged. */
    uint64_t ends[1024]; /* End position of each number. */
    enum wal_need_kind need;
};

static size_t payload_bytes(uint64_t number)
{
    return (size_t)(number * 2654435761u % 97) * (number % 7 == 0 ? PAYLOAD_BYTES_MAX / 97 : 10) +
           8;
}

static void payload_fill(uint64_t number, uint8_t *data, size_t count)
{
    put_le64(data, number);
    for (size_t index = 8; index < count; index++) {
        data[index] = (uint8_t)(number * 31 + index);
    }
}

static struct wal_options options(void)
{
    return (struct wal_options){
        .folder = "/0",
        .storage_id = {5},
        .shard = 1,
        .may_create = true,
        .file_bytes = FILE_BYTES,
        .files_max = 4,
        .gather_count = 3,
        .flush_bytes_target = 16 << 10,
        .idle_ns = 10 * NS_PER_MS,
    };
}

static void life_end(struct life *life)
{
    if (life->loop) {
        while (io_loop_pending(life->loop) > 0) {
            io_loop_wait(life->loop, io_now_mono_ns(life->io) + NS_PER_MS);
            (void)io_loop_dispatch(life->loop);
        }
    }
    if (life->wal) {
        wal_stop(life->wal);
        while (!wal_is_quiet(life->wal)) {
            io_loop_wait(life->loop, io_now_mono_ns(life->io) + 50 * NS_PER_MS);
            (void)io_loop_dispatch(life->loop);
        }
        wal_destroy(life->wal);
    }
    io_loop_destroy(life->loop);
    sim_destroy(life->sim);
    life->sim = NULL;
}

/* Take what replay gives: numbers that follow each other, each with its payload. */
static void life_take(struct life *life, const struct wal_replay_entry *got)
{
    if (got->entry.kind != WAL_ENTRY_APPEND) {
        return;
    }
    static uint8_t expected[PAYLOAD_BYTES_MAX + 8];
    uint64_t number = got->entry.number;
    payload_fill(number, expected, payload_bytes(number));
    assert_int_equal(got->entry.parts[0].count, payload_bytes(number));
    assert_memory_equal(got->entry.parts[0].data, expected, payload_bytes(number));
    if (life->first == UINT64_MAX) {
        life->first = number;
    } else {
        assert_int_equal(number, life->next);
    }
    life->next = number + 1;
}

/* Begin a life on @disk: open, replay, start. */
static enum pyr_err life_begin(struct life *life, struct sim_disk *disk, uint64_t seed)
{
    memset(life, 0, sizeof *life);
    life->sim = sim_create(&(struct sim_options){.disk = disk, .seed = seed});
    life->io = sim_io(life->sim);
    CHECK_INT(io_loop_create(life->io, &(struct io_loop_options){.ops_max = 16}, &life->loop), 0);
    struct wal_options wal_options = options();
    enum pyr_err err = wal_open(life->loop, &wal_options, &life->wal, &life->error);
    if (err != PYR_OK) {
        return err;
    }
    struct bytes body = wal_checkpoint_body(life->wal);
    life->covered = body.count == 8 ? get_le64(body.data) : 0;
    life->first = UINT64_MAX;
    life->next = life->covered;
    const struct wal_replay_entry *got = NULL;
    do {
        err = wal_replay_next(life->wal, &got, &life->error);
        if (err == PYR_OK && got) {
            life_take(life, got);
        }
    } while (err == PYR_OK && got);
    if (err == PYR_OK) {
        err = wal_start(life->wal, &life->error);
    }
    if (err != PYR_OK) {
        wal_destroy(life->wal);
        life->wal = NULL;
    }
    life->acked = life->next;
    return err;
}

static void life_turn(struct life *life)
{
    wal_kick(life->wal);
    io_loop_wait(life->loop, io_now_mono_ns(life->io) + NS_PER_MS);
    (void)io_loop_dispatch(life->loop);
    while (life->acked < life->next &&
           life->ends[life->acked % 1024] <= wal_durable_position(life->wal)) {
        life->acked++;
    }
}

/* Append the next number; return what wal_append says. */
static enum pyr_err life_append(struct life *life)
{
    static uint8_t payload[PAYLOAD_BYTES_MAX + 8];
    size_t count = payload_bytes(life->next);
    payload_fill(life->next, payload, count);
    struct wal_entry entry = {
        .kind = WAL_ENTRY_APPEND,
        .log = {{4}},
        .offset = (int64_t)life->next,
        .number = life->next,
        .parts[0] = {payload, count},
        .checked_bytes = (uint32_t)count,
    };
    struct wal_need need = {life->need, io_now_mono_ns(life->io) + NS_PER_MS};
    enum pyr_err err =
        wal_append(life->wal, &entry, need, &life->ends[life->next % 1024], &life->error);
    life->next += err == PYR_OK ? 1 : 0;
    return err;
}

static void life_checkpoint(struct life *life)
{
    uint8_t body[8];
    put_le64(body, life->acked);
    if (life->acked == 0) {
        return;
    }
    enum pyr_err err = wal_checkpoint_begin(life->wal, (struct bytes){body, 8},
                                            life->ends[(life->acked - 1) % 1024], &life->error);
    CHECK(err == PYR_OK || err == PYR_ERR_BUSY || err == PYR_ERR_FAILED);
}

/* Append up to @burst entries, ending at @end or where the journal refuses one. */
static void life_burst(struct life *life, uint64_t burst, uint64_t end)
{
    for (uint64_t index = 0; index < burst && life->next < end; index++) {
        if (life_append(life) != PYR_OK) {
            return;
        }
    }
}

/* Append @count entries, with checkpoints, promises, truncates and rests between. */
static void life_work(struct life *life, struct sim_disk *disk, uint64_t count)
{
    uint64_t end = life->next + count;
    uint64_t rounds = 0;
    while (life->acked < end && wal_state(life->wal, NULL) == WAL_STATE_OPEN && rounds < 20000) {
        uint64_t burst = rounds++ % 4 + 1;
        life_burst(life, burst, end);
        if (rounds % 9 == 0) {
            struct wal_entry promise = {.kind = rounds % 2 ? WAL_ENTRY_PROMISE : WAL_ENTRY_TRUNCATE,
                                        .epoch = 1};
            uint64_t position = 0;
            enum pyr_err err =
                wal_append(life->wal, &promise, (struct wal_need){0}, &position, NULL);
            (void)err;
        }
        if (rounds % 7 == 0) {
            life_checkpoint(life);
        }
        life_turn(life);
        if (rounds % 31 == 0) {
            sim_advance(life->sim, 15 * NS_PER_MS); /* Long enough for the empty flush. */
            life_turn(life);
        }
        if (disk) {
            sim_record_mark(disk, life->acked);
        }
    }
}

/* Check @life, begun on a crash image of a workload that had acknowledged @acked numbers. */
static void life_check(const struct life *life, uint64_t acked, const char *text)
{
    bool is_gapless = life->first == UINT64_MAX || life->first <= life->covered;
    if (!is_gapless || life->next < acked) {
        print_message("# %s: first %lld, covered %llu, next %llu, acknowledged %llu\n", text,
                      (long long)life->first, (unsigned long long)life->covered,
                      (unsigned long long)life->next, (unsigned long long)acked);
    }
    CHECK(is_gapless);
    CHECK(life->next >= acked);
}

/* Open the image of @disk's recording before event @index with @seed, and check what it gives. */
static void image_check(struct sim_disk *disk, size_t index, uint64_t seed)
{
    static struct life life;
    uint64_t mark = 0;
    struct sim_disk *image =
        sim_record_image(disk, index, SIM_CRASH_RANDOM, index * 1000 + seed, &mark);
    enum pyr_err err = life_begin(&life, image, seed);
    if (err != PYR_OK) {
        print_message("# event %zu '%s', seed %llu: %s\n", index, sim_record_text(disk, index),
                      (unsigned long long)seed, life.error.message);
    }
    CHECK_INT(err, PYR_OK);
    life_check(&life, mark, sim_record_text(disk, index));
    life_end(&life);
    sim_disk_destroy(image);
}

/* Open every image of @disk's recording, @seeds times each, and check what it gives. */
static void images_check(struct sim_disk *disk, uint64_t seeds, size_t step)
{
    size_t count = sim_record_count(disk);
    for (size_t index = 0; index < count; index += step) {
        for (uint64_t seed = 0; seed < seeds; seed++) {
            image_check(disk, index, seed);
        }
    }
}

/* Every event of a workload that rolls, recycles and checkpoints, with what was not flushed kept,
 * lost or torn at random: nothing acknowledged is missing, nothing comes back that was not next,
 * and checkpoint and run are always the old or the new ones (TWIN-1). */
static void crash_everywhere(enum wal_need_kind need, uint64_t entries, uint64_t seeds)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    sim_record_start(disk);
    CHECK_INT(life_begin(&life, disk, 3), PYR_OK);
    life.need = need;
    life_work(&life, disk, entries);
    CHECK(life.acked >= entries || need == WAL_NEED_WRITTEN_BY);
    struct wal_counters counters;
    wal_counters(life.wal, &counters);
    CHECK(counters.checkpoints > 3);
    CHECK(counters.files_recycled > 1);
    sim_record_stop(disk);
    life_end(&life);

    print_message("# %zu events, %llu flushes, %llu recycled\n", sim_record_count(disk),
                  (unsigned long long)counters.flushes,
                  (unsigned long long)counters.files_recycled);
    images_check(disk, seeds, 1);
    sim_disk_destroy(disk);
}

TEST(crash, loses_nothing_that_was_acknowledged_as_durable)
{
    crash_everywhere(WAL_NEED_DURABLE_NOW, 300, 4);
}

TEST(crash, loses_nothing_that_was_acknowledged_under_batch)
{
    crash_everywhere(WAL_NEED_DURABLE_BY, 200, 2);
}

/* Entries that are not durable by themselves, with a sync now and then: what the sync covered is
 * there. The plain writes before a durable one are the trap: its flag does not cover them. */
static void crash_with_syncs(enum wal_need_kind need)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    sim_record_start(disk);
    CHECK_INT(life_begin(&life, disk, 5), PYR_OK);
    for (int round = 0; round < 120; round++) {
        life.need = round % 5 == 4 ? WAL_NEED_DURABLE_NOW : need;
        (void)life_append(&life);
        if (round % 7 == 3) {
            (void)wal_sync(life.wal);
        }
        if (round % 13 == 12) {
            life_checkpoint(&life);
        }
        life_turn(&life);
        sim_record_mark(disk, life.acked);
    }
    uint64_t position = wal_sync(life.wal);
    while (wal_durable_position(life.wal) < position) {
        life_turn(&life);
    }
    struct wal_counters counters;
    wal_counters(life.wal, &counters);
    CHECK(counters.syncs > 5);
    sim_record_mark(disk, life.acked);
    sim_record_stop(disk);
    life_end(&life);

    images_check(disk, 3, 1);
    sim_disk_destroy(disk);
}

TEST(crash, loses_nothing_that_a_sync_covered)
{
    crash_with_syncs(WAL_NEED_WRITTEN_BY);
}

/* Likewise for entries handed over at once, in open flushes. */
TEST(crash, loses_nothing_of_an_open_flush_that_a_sync_covered)
{
    crash_with_syncs(WAL_NEED_WRITTEN_NOW);
}

/* A crash, a short life, and a crash again: flushes of the first life that were cut lie behind what
 * the second one wrote, and must not come back. */
TEST(crash, loses_and_revives_nothing_when_it_crashes_again)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    sim_record_start(disk);
    CHECK_INT(life_begin(&life, disk, 3), PYR_OK);
    life_work(&life, disk, 60);
    sim_record_stop(disk);
    life_end(&life);

    size_t count = sim_record_count(disk);
    for (size_t index = 20; index < count; index += 5) {
        uint64_t mark = 0;
        struct sim_disk *image = sim_record_image(disk, index, SIM_CRASH_SECTORS, index, &mark);
        sim_record_start(image);
        CHECK_INT(life_begin(&life, image, 4), PYR_OK);
        sim_record_mark(image, life.acked);
        life_work(&life, image, 8);
        sim_record_stop(image);
        life_end(&life);
        images_check(image, 1, 1);
        sim_disk_destroy(image);
    }
    sim_disk_destroy(disk);
}

/* -- Faults -- */

/* Turn until everything appended is durable, or the journal has failed. */
static void life_sync(struct life *life)
{
    uint64_t position = wal_sync(life->wal);
    while (wal_durable_position(life->wal) < position &&
           wal_state(life->wal, NULL) == WAL_STATE_OPEN) {
        life_turn(life);
    }
}

/* Check that @life has failed for good, and says why. */
static void life_check_failed(struct life *life)
{
    struct pyr_error reason = {0};
    uint64_t position = wal_durable_position(life->wal);
    CHECK_INT(wal_state(life->wal, &reason), WAL_STATE_FAILED);
    CHECK_INT(reason.code, PYR_ERR_IO);
    CHECK(strstr(reason.message, "/0") != NULL);
    CHECK_INT(life_append(life), PYR_ERR_FAILED);
    life_turn(life);
    CHECK(wal_durable_position(life->wal) == position);
}

/* Work while the @nth call of @kind fails, then restart and check. Return whether it came so far.
 */
static bool fail_nth(enum sim_kind kind, uint64_t nth)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, nth), PYR_OK);
    uint64_t before = sim_fault_count(life.sim);
    sim_fault_add(life.sim, &(struct sim_fault){.kind = kind, .nth = nth});
    life.need = nth % 3 == 0 ? WAL_NEED_WRITTEN_BY : WAL_NEED_DURABLE_NOW;
    life_work(&life, NULL, 60);
    if (life.need == WAL_NEED_WRITTEN_BY && wal_state(life.wal, NULL) == WAL_STATE_OPEN) {
        life_sync(&life);
    }
    bool was_hit = sim_fault_count(life.sim) > before;
    uint64_t acked = life.acked;
    if (was_hit) {
        life_check_failed(&life);
    }
    life_end(&life);
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_RANDOM, nth);
    CHECK_INT(life_begin(&life, image, nth), PYR_OK);
    life_check(&life, acked, "after a failure");
    life_end(&life);
    sim_disk_destroy(image);
    sim_disk_destroy(disk);
    return was_hit;
}

/* The n-th write of a journal file fails, for every n: the journal fails and says why, and what was
 * acknowledged before is there after a restart (WAL-4). */
TEST(fault, fails_for_good_when_any_write_or_sync_fails)
{
    static const enum sim_kind kinds[] = {SIM_WRITE, SIM_SYNC, SIM_SYNC_FOLDER, SIM_RENAME};

    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        uint64_t failures = 0;
        while (failures < 199 && fail_nth(kinds[kind], failures + 1)) {
            failures++;
        }
        CHECK(failures > 2);
    }
}

/* A failed sync loses what it should have flushed, and the next one succeeds: believing that one
 * is the mistake that lost data in many systems. */
TEST(fault, never_believes_a_sync_after_a_failed_one)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, 1), PYR_OK);
    life_turn(&life);
    while (io_loop_pending(life.loop) > 0) {
        life_turn(&life);
    }
    life.need = WAL_NEED_WRITTEN_BY;
    CHECK_INT(life_append(&life), PYR_OK);
    sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_SYNC});
    uint64_t before = wal_durable_position(life.wal);

    uint64_t position = wal_sync(life.wal);
    for (int turn = 0; turn < 20; turn++) {
        if (wal_state(life.wal, NULL) == WAL_STATE_OPEN && turn < 10) {
            sim_advance(life.sim, NS_PER_MS);
        }
        life_turn(&life);
    }

    /* Written with the durable flag, no sync was needed: then nothing failed. */
    bool is_failed = wal_state(life.wal, NULL) == WAL_STATE_FAILED;
    CHECK(is_failed || wal_durable_position(life.wal) >= position);
    CHECK(!is_failed || wal_durable_position(life.wal) == before);
    life_end(&life);
    sim_disk_destroy(disk);
}

/* Handing over writes while the caller waits: when that fails nobody knows what the file holds, so
 * it is refused there and then, and for good. */
TEST(fault, fails_for_good_when_a_write_at_once_fails)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, 1), PYR_OK);
    while (io_loop_pending(life.loop) > 0) {
        life_turn(&life);
    }
    life.need = WAL_NEED_WRITTEN_NOW;
    CHECK_INT(life_append(&life), PYR_OK);
    uint64_t written = wal_written_position(life.wal);
    CHECK(written >= life.ends[0]);
    sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_WRITE});

    CHECK_INT(life_append(&life), PYR_ERR_FAILED);

    CHECK(strstr(life.error.message, "write to ") != NULL);
    CHECK_INT(wal_state(life.wal, NULL), WAL_STATE_FAILED);
    CHECK(wal_written_position(life.wal) == written);
    CHECK_INT(life_append(&life), PYR_ERR_FAILED); /* The disk would take it now. */
    life_end(&life);
    CHECK_INT(life_begin(&life, disk, 2), PYR_OK);
    CHECK(life.next >= 1);
    life_end(&life);
    sim_disk_destroy(disk);
}

/* The same behind a plain write that is already out: here only a sync can help. */
TEST(fault, fails_when_the_sync_of_a_plain_write_fails)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, 1), PYR_OK);
    while (io_loop_pending(life.loop) > 0) {
        life_turn(&life);
    }
    life.need = WAL_NEED_WRITTEN_BY;
    CHECK_INT(life_append(&life), PYR_OK);
    sim_advance(life.sim, 2 * NS_PER_MS);
    while (wal_written_position(life.wal) < life.ends[0]) {
        life_turn(&life);
    }
    sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_SYNC});
    uint64_t before = wal_durable_position(life.wal);

    uint64_t position = wal_sync(life.wal);
    for (int turn = 0; turn < 20; turn++) {
        life_turn(&life);
    }

    CHECK(before < position);
    CHECK_INT(wal_state(life.wal, NULL), WAL_STATE_FAILED);
    CHECK(wal_durable_position(life.wal) == before);
    life_end(&life);
    sim_disk_destroy(disk);
}

/* Short writes everywhere change nothing but the time it takes. */
TEST(fault, resumes_short_writes_before_it_acknowledges)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    sim_record_start(disk);
    CHECK_INT(life_begin(&life, disk, 2), PYR_OK);
    for (uint64_t rule = 0; rule < 14; rule++) {
        sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_WRITE,
                                                    .name = ".wal",
                                                    .effect = SIM_SHORT,
                                                    .nth = 2 + 5 * rule});
    }
    life_work(&life, disk, 200);
    CHECK(sim_fault_count(life.sim) >= 4);
    CHECK(life.acked >= 200);
    sim_record_stop(disk);
    life_end(&life);

    images_check(disk, 1, 1);
    sim_disk_destroy(disk);
}

/* A full disk stops the making of files, not the journal: appends are refused with that word, and
 * go on by themselves when there is room. */
TEST(fault, refuses_appends_on_a_full_disk_and_resumes)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, 2), PYR_OK);
    while (io_loop_pending(life.loop) > 0) {
        life_turn(&life);
    }
    sim_disk_set_space(disk, 3);
    life.need = WAL_NEED_DURABLE_NOW;
    enum pyr_err err = PYR_OK;
    for (int count = 0; err != PYR_ERR_DISK_FULL && count < 2000; count++) {
        err = life_append(&life);
        life_turn(&life);
    }
    uint64_t acked = life.acked;
    CHECK_INT(err, PYR_ERR_DISK_FULL);
    CHECK_INT(wal_state(life.wal, NULL), WAL_STATE_OPEN);

    sim_disk_set_space(disk, UINT64_MAX);
    for (int count = 0; err != PYR_OK && count < 2000; count++) {
        life_turn(&life);
        err = life_append(&life);
    }
    CHECK_INT(err, PYR_OK);
    struct wal_counters counters;
    wal_counters(life.wal, &counters);
    CHECK(counters.disk_full > 0);
    life_end(&life);
    CHECK_INT(life_begin(&life, disk, 3), PYR_OK);
    life_check(&life, acked, "after a full disk");
    life_end(&life);
    sim_disk_destroy(disk);
}

/* A checkpoint that meets a full disk leaves the old one, and a later one works. */
TEST(fault, keeps_the_old_checkpoint_when_the_disk_is_full)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, 2), PYR_OK);
    while (io_loop_pending(life.loop) > 0) {
        life_turn(&life);
    }
    CHECK_INT(life_append(&life), PYR_OK);
    while (life.acked < 1) {
        life_turn(&life);
    }
    sim_disk_set_space(disk, 0);
    life_checkpoint(&life);
    while (wal_checkpoint_is_running(life.wal)) {
        life_turn(&life);
    }
    CHECK_INT(wal_checkpoint_result(life.wal, &life.error), PYR_ERR_DISK_FULL);
    CHECK_INT(wal_state(life.wal, NULL), WAL_STATE_OPEN);

    sim_disk_set_space(disk, UINT64_MAX);
    life_checkpoint(&life);
    while (wal_checkpoint_is_running(life.wal)) {
        life_turn(&life);
    }

    CHECK_INT(wal_checkpoint_result(life.wal, &life.error), PYR_OK);
    life_end(&life);
    sim_disk_destroy(disk);
}

/* Begin a checkpoint, which may fail for want of memory. */
static void life_checkpoint_scarce(struct life *life)
{
    uint8_t body[8];
    put_le64(body, life->acked);
    enum pyr_err err = wal_checkpoint_begin(life->wal, (struct bytes){body, 8},
                                            life->ends[(life->acked - 1) % 1024], &life->error);
    CHECK(err == PYR_OK || err == PYR_ERR_BUSY || err == PYR_ERR_NO_MEMORY);
}

/* Append 40 entries one by one, and begin a checkpoint behind every fifth. */
static void life_work_scarce(struct life *life)
{
    for (int count = 0; count < 40; count++) {
        (void)life_append(life);
        life_turn(life);
        if (count % 5 == 4) {
            life_checkpoint_scarce(life);
        }
    }
}

/* The n-th allocation of a running journal fails, for every n: a checkpoint is put off, nothing
 * else notices. */
TEST(fault, survives_the_failure_of_any_allocation)
{
    static struct life life;
    for (uint64_t nth = 1; nth < 40; nth++) {
        struct sim_disk *disk = sim_disk_create();
        CHECK_INT(life_begin(&life, disk, 2), PYR_OK);
        io_testing_fail_allocation(life.io, nth);
        life_work_scarce(&life);
        io_testing_fail_allocation(life.io, 0);
        CHECK_INT(wal_state(life.wal, NULL), WAL_STATE_OPEN);
        uint64_t acked = life.acked;
        life_end(&life);
        CHECK_INT(life_begin(&life, disk, 3), PYR_OK);
        life_check(&life, acked, "after a failed allocation");
        life_end(&life);
        sim_disk_destroy(disk);
    }
}

/* Work while the @nth write has @effect, then restart and check. Return whether it was noticed. */
static bool lose_nth(enum sim_effect effect, uint64_t nth)
{
    static struct life life;
    struct sim_disk *disk = sim_disk_create();
    CHECK_INT(life_begin(&life, disk, nth), PYR_OK);
    sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_WRITE,
                                                .name = "00000000.wal",
                                                .effect = effect,
                                                .nth = nth});
    for (int count = 0; count < 20; count++) {
        (void)life_append(&life);
        life_turn(&life);
    }
    uint64_t acked = life.acked;
    life_end(&life);
    enum pyr_err err = life_begin(&life, disk, nth);
    CHECK(err == PYR_OK || err == PYR_ERR_CORRUPT);
    if (err == PYR_OK) {
        life_check(&life, acked, "after a write that was lost");
    }
    life_end(&life);
    sim_disk_destroy(disk);
    return err == PYR_ERR_CORRUPT;
}

/* A lost or misdirected write that the device called done: found by the chain, or, at the very tail
 * that no later flush covers, the stated limit. Never a wrong record. */
TEST(fault, reports_a_write_that_the_device_lost)
{
    static const enum sim_effect effects[] = {SIM_LOST, SIM_MISDIRECTED, SIM_FLIP};

    size_t found = 0;
    for (size_t effect = 0; effect < 3; effect++) {
        for (uint64_t nth = 1; nth < 30; nth++) {
            found += lose_nth(effects[effect], nth) ? 1 : 0;
        }
    }
    CHECK(found > 20);
}
