/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shard knows again after a start: partition/notes.c, with deleted.c and scrub.c.
 */
#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

#define SECOND_NS UINT64_C(1000000000)
#define MINUTE_S  UINT64_C(60)
#define HOUR_S    UINT64_C(3600)
#define YEAR_MS   INT64_C(31536000000)
#define NOTES     "/data/wal/1.0/notes"

enum { LOG = 0, OTHER = 2, TURNS_MAX = 1000 };

/* -- Helpers -- */

/* A store that keeps deleted logs for an hour, and scrubs at @rate. */
static void life_begin(struct shard_life *life, struct sim_disk *disk, uint32_t mask, uint64_t rate)
{
    shard_case_init(life, disk, 5);
    life->mask = mask;
    life->scrub_bytes_per_s = rate;
    life->scrub_interval_ns = 24 * HOUR_S * SECOND_NS;
    assert_int_equal(shard_case_open(life), PYR_OK);
}

/* Nobody does anything for @seconds. */
static void rest(struct shard_life *life, uint64_t seconds)
{
    uint64_t end_ns = io_now_mono_ns(life->io) + seconds * SECOND_NS;
    while (io_now_mono_ns(life->io) < end_ns) {
        io_loop_wait(life->loop, end_ns);
        (void)io_loop_dispatch(life->loop);
        shard_step(life->shard);
    }
}

static void fill(struct shard_life *life, size_t log, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        assert_int_equal(shard_case_append(life, log, 10), PYR_OK);
        shard_case_turn(life);
    }
    assert_int_equal(shard_case_settle(life), PYR_OK);
}

static void delete_one(struct shard_life *life, size_t log)
{
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
        err = shard_partition_delete(life->shard, shard_case_name(log), &life->error);
        shard_case_turn(life);
    }
    assert_int_equal(err, PYR_OK);
    if (life->logs[log]) {
        shard_partition_release(life->logs[log]);
        life->logs[log] = NULL;
    }
}

static void delete_log(struct shard_life *life)
{
    delete_one(life, LOG);
}

/* Make a store with a deleted log. */
static void deleted_begin(struct shard_life *life, struct sim_disk *disk)
{
    life_begin(life, disk, 1U << LOG | 1U << OTHER, 0);
    fill(life, LOG, 4);
    fill(life, OTHER, 2);
    delete_log(life);
}

static bool has_notes(struct shard_life *life)
{
    struct io_stat stat;
    return io_stat(life->io, NOTES, &stat) == 0;
}

/* -- Graces -- */

/* The grace goes on where it was: a store that is open for ten minutes a day removes a log whose
 * grace is an hour on the seventh day, and not before. */
TEST(notes, add_up_the_waits_of_short_lives)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    deleted_begin(&life, disk);
    for (int day = 0; day < 5; day++) {
        rest(&life, 10 * MINUTE_S);
        shard_case_end(&life);
        CHECK_INT(life.allocations_live, 0);
        life_begin(&life, disk, 1U << OTHER, 0);
    }

    rest(&life, 9 * MINUTE_S);
    CHECK_INT(shard_partitions_deleted(life.shard), 1);
    rest(&life, 2 * MINUTE_S);
    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Who is killed loses a minute or two of the wait, not all of it. */
TEST(notes, survive_a_kill)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    deleted_begin(&life, disk);
    for (int day = 0; day < 6; day++) {
        rest(&life, 10 * MINUTE_S);
        CHECK_INT(shard_partitions_deleted(life.shard), 1);
        struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_NONE, 1);
        shard_case_abandon(&life);
        sim_disk_destroy(disk);
        disk = image;
        life_begin(&life, disk, 1U << OTHER, 0);
    }

    rest(&life, 12 * MINUTE_S);
    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* NTE-1: a log that comes back and is deleted again has its whole grace again, whatever crash is
 * between. */
TEST(notes, forget_a_log_that_is_restored)
{
    for (int round = 0; round < 2; round++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        deleted_begin(&life, disk);
        rest(&life, 50 * MINUTE_S);
        shard_case_end(&life);
        life_begin(&life, disk, 1U << OTHER, 0);
        enum pyr_err err = PYR_ERR_BUSY;
        for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
            err = shard_partition_restore(life.shard, shard_case_name(LOG), NULL, &life.error);
            shard_case_turn(&life);
        }
        CHECK_INT(err, PYR_OK);
        delete_log(&life);

        struct sim_disk *image =
            sim_disk_crash(disk, round == 0 ? SIM_CRASH_NONE : SIM_CRASH_ALL, 1);
        shard_case_abandon(&life);
        life_begin(&life, image, 1U << OTHER, 0);
        rest(&life, 55 * MINUTE_S);

        CHECK_INT(shard_partitions_deleted(life.shard), 1);
        rest(&life, 6 * MINUTE_S);
        CHECK_INT(shard_partitions_deleted(life.shard), 0);
        shard_case_end(&life);
        sim_disk_destroy(image);
        sim_disk_destroy(disk);
    }
}

/* A restore takes the file of all the shard's deleted logs away. With a long grace it is written
 * seldom, but again soon after that: the others would lose hours by a kill. */
TEST(notes, of_other_logs_are_written_soon_after_a_restore)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    shard_case_init(&life, disk, 5);
    life.mask = 1U << LOG | 1U << OTHER;
    life.delete_grace_ns = 128 * HOUR_S * SECOND_NS;
    CHECK_INT(shard_case_open(&life), PYR_OK);
    fill(&life, LOG, 4);
    fill(&life, OTHER, 4);
    delete_one(&life, OTHER);
    delete_log(&life);
    rest(&life, 2 * HOUR_S + MINUTE_S);
    CHECK(has_notes(&life));
    CHECK_INT(shard_partition_restore(life.shard, shard_case_name(LOG), NULL, NULL), PYR_OK);
    CHECK(!has_notes(&life));
    shard_step(life.shard);

    rest(&life, 2 * MINUTE_S);

    CHECK(has_notes(&life));
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_NONE, 1);
    shard_case_abandon(&life);
    life_begin(&life, image, 1U << LOG, 0);
    CHECK_INT(shard_partitions_deleted(life.shard), 1);
    CHECK(life.shard->deleted->waited_ns >= 2 * HOUR_S * SECOND_NS);
    shard_case_abandon(&life);
    sim_disk_destroy(image);
    sim_disk_destroy(disk);
}

/* NTE-1: so does a log whose folder was given its name back by hand while the store was closed. */
TEST(notes, forget_a_log_that_is_restored_by_hand)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    char name[DELETED_NAME_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    deleted_begin(&life, disk);
    deleted_name_put(shard_case_name(LOG), &life.shard->deleted->id, name);
    folder_path(&life.folder, name, path);
    rest(&life, 50 * MINUTE_S);
    shard_case_end(&life);
    shard_case_init(&life, disk, 5);
    CHECK_INT(io_rename(life.io, path, "/data/orders-0"), 0);
    CHECK_INT(io_sync_folder(life.io, "/data"), 0);
    life.mask = 1U << LOG | 1U << OTHER;
    CHECK_INT(shard_case_open(&life), PYR_OK);
    CHECK_INT(life.logs[LOG]->offset_end, 40);
    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    delete_log(&life);

    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_NONE, 1);
    shard_case_abandon(&life);
    life_begin(&life, image, 1U << OTHER, 0);
    rest(&life, 55 * MINUTE_S);

    CHECK_INT(shard_partitions_deleted(life.shard), 1);
    rest(&life, 6 * MINUTE_S);
    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    shard_case_end(&life);
    sim_disk_destroy(image);
    sim_disk_destroy(disk);
}

/* A log is not restored while its notes are being written: what they say of it would come back. */
TEST(notes, hold_up_a_restore_while_they_are_written)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    deleted_begin(&life, disk);
    for (int turn = 0; !life.shard->notes.is_running; turn++) {
        CHECK(turn < TURNS_MAX);
        io_loop_wait(life.loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(life.loop);
        shard_step(life.shard);
    }

    CHECK_INT(shard_partition_restore(life.shard, shard_case_name(LOG), NULL, NULL), PYR_ERR_BUSY);

    rest(&life, 1);
    CHECK(has_notes(&life));
    CHECK_INT(shard_partition_restore(life.shard, shard_case_name(LOG), NULL, NULL), PYR_OK);
    CHECK(!has_notes(&life));
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* A wall clock that was set ten years forward while the store was closed ends no grace. */
TEST(notes, believe_no_wall_clock)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    deleted_begin(&life, disk);
    shard_case_end(&life);
    shard_case_init(&life, disk, 5);
    life.mask = 1U << OTHER;
    sim_step_wall(life.sim, 10 * YEAR_MS);
    CHECK_INT(shard_case_open(&life), PYR_OK);

    rest(&life, 59 * MINUTE_S);

    CHECK_INT(shard_partitions_deleted(life.shard), 1);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Notes that are damaged anywhere, or cut short, say nothing: the wait begins anew. */
TEST(notes, are_believed_whole_or_not_at_all)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    deleted_begin(&life, disk);
    rest(&life, 50 * MINUTE_S);
    shard_case_end(&life);
    int64_t bytes = 0;
    life_begin(&life, disk, 1U << OTHER, 0);
    struct io_stat stat;
    CHECK_INT(io_stat(life.io, NOTES, &stat), 0);
    bytes = stat.bytes;
    CHECK(life.shard->deleted->waited_ns >= 49 * MINUTE_S * SECOND_NS);
    CHECK(life.shard->deleted->waited_ns <= 51 * MINUTE_S * SECOND_NS);
    shard_case_abandon(&life);

    for (int64_t at = 0; at < bytes; at++) {
        CHECK(sim_disk_flip(disk, NOTES, at, (uint32_t)at % 8));
        life_begin(&life, disk, 1U << OTHER, 0);
        CHECK_INT(life.shard->deleted->waited_ns, 0);
        CHECK(!life.shard->notes.has_place);
        shard_case_abandon(&life);
        CHECK(sim_disk_flip(disk, NOTES, at, (uint32_t)at % 8));
    }
    for (int64_t end = bytes - 1; end >= 0; end--) {
        life_begin(&life, disk, 0, 0);
        struct io_file *file = NULL;
        CHECK_INT(io_open(life.io, NOTES, IO_OPEN_READ | IO_OPEN_WRITE, &file), 0);
        CHECK_INT(io_truncate(life.io, file, end), 0);
        io_close(life.io, file);
        shard_case_abandon(&life);
        life_begin(&life, disk, 0, 0);
        CHECK_INT(life.shard->deleted->waited_ns, 0);
        shard_case_abandon(&life);
    }
    sim_disk_destroy(disk);
}

/* Who has nothing to say writes nothing. */
TEST(notes, are_not_written_without_need)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, UINT32_MAX, 0);
    fill(&life, LOG, 4);
    rest(&life, 10 * MINUTE_S);
    CHECK(!has_notes(&life));
    shard_case_end(&life);
    life_begin(&life, disk, UINT32_MAX, 0);
    CHECK(!has_notes(&life));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* -- The scrub's place -- */

/* Make a store with two logs, and return what a pass over them reads. */
static uint64_t scrubbed_begin(struct sim_disk *disk)
{
    struct shard_life life;
    life_begin(&life, disk, 1U << LOG | 1U << OTHER, 0);
    fill(&life, LOG, 60);
    fill(&life, OTHER, 60);
    shard_case_end(&life);
    life_begin(&life, disk, 1U << LOG | 1U << OTHER, 1 << 30);
    rest(&life, 70);
    struct shard_scrub_report report;
    shard_scrub_report(life.shard, &report);
    CHECK_INT(report.passes, 1);
    shard_case_end(&life);
    return report.bytes;
}

/* Short lives get through the logs together: each goes on where the one before was, and a pass is
 * over when all has been read once. */
TEST(notes, keep_the_place_of_the_scrub)
{
    struct sim_disk *disk = sim_disk_create();
    uint64_t whole = scrubbed_begin(disk);
    struct shard_scrub_report report = {0};
    uint64_t read = 0;
    int lives = 0;
    for (; report.passes == 0; lives++) {
        struct shard_life life;
        CHECK(lives < 40);
        life_begin(&life, disk, 1U << LOG | 1U << OTHER, 16 << 10);
        rest(&life, 62);
        shard_scrub_report(life.shard, &report);
        read += report.bytes;
        CHECK_INT(report.damages + report.errors, 0);
        shard_case_end(&life);
    }

    CHECK(lives > 10);
    CHECK(read >= whole);
    CHECK(read <= whole + whole / 8);
    sim_disk_destroy(disk);
}

/* So do lives that end by a kill, but for what was read since the last note. */
TEST(notes, keep_the_place_of_the_scrub_through_kills)
{
    struct sim_disk *disk = sim_disk_create();
    uint64_t whole = scrubbed_begin(disk);
    struct shard_scrub_report report = {0};
    uint64_t read = 0;
    int lives = 0;
    for (; report.passes == 0; lives++) {
        struct shard_life life;
        CHECK(lives < 10);
        life_begin(&life, disk, 1U << LOG | 1U << OTHER, 4 << 10);
        rest(&life, 125);
        shard_scrub_report(life.shard, &report);
        read += report.bytes;
        struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_NONE, 1);
        shard_case_abandon(&life);
        sim_disk_destroy(disk);
        disk = image;
    }

    CHECK(lives > 1);
    CHECK(read >= whole);
    sim_disk_destroy(disk);
}

/* A log that the scrub stood at and that is gone takes the place with it, and the pass goes on
 * behind it. */
TEST(notes, lose_the_place_with_its_log)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << LOG | 1U << OTHER, 1 << 30);
    fill(&life, LOG, 10);
    fill(&life, OTHER, 10);
    life.shard->notes.has_place = true;
    memset(life.shard->notes.place.log.value, 0xff, LOG_ID_BYTES);
    life.shard->notes.is_stale = true;
    shard_case_end(&life);
    life_begin(&life, disk, 1U << LOG | 1U << OTHER, 1 << 30);
    CHECK(life.shard->notes.has_place);

    rest(&life, 70);

    struct shard_scrub_report report;
    shard_scrub_report(life.shard, &report);
    CHECK_INT(report.passes, 1); /* Nothing is behind it: */
    CHECK_INT(report.bytes, 0);
    rest(&life, 25 * HOUR_S);
    shard_scrub_report(life.shard, &report);
    CHECK_INT(report.passes, 2); /* the next begins with the first. */
    CHECK(report.bytes > 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}
