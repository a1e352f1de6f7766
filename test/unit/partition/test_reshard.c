/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the number of shards of a folder. What a crash or an error in the middle leaves stands
 * in fault/test_shards.c.
 */
#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/reshard.h"
#include "partition/shard_inner.h"

static enum pyr_err life_try(struct shard_life *life, struct sim_disk *disk, uint32_t shards)
{
    shard_case_init(life, disk, 3);
    life->shards_wanted = shards;
    return shard_case_open(life);
}

static void life_begin(struct shard_life *life, struct sim_disk *disk, uint32_t shards)
{
    enum pyr_err err = life_try(life, disk, shards);
    if (err != PYR_OK) {
        (void)print_message("# %s\n", life->error.message);
    }
    assert_int_equal(err, PYR_OK);
}

static void append_to_all(struct shard_life *life, size_t count)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        CHECK_INT(shard_case_append(life, index, count), PYR_OK);
    }
    CHECK_INT(shard_case_settle(life), PYR_OK);
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        while (life->logs[index]->offset_committed < life->logs[index]->offset_end) {
            shard_case_turn(life);
        }
    }
}

/* A disk as a power cut leaves it, with records of all logs in the journals of @shards shards. */
static struct sim_disk *disk_with(uint32_t shards)
{
    static struct shard_life life;
    struct sim_disk *disk = sim_disk_create();
    life_begin(&life, disk, shards);
    append_to_all(&life, 20);
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_ALL, 0);
    shard_case_abandon(&life);
    sim_disk_destroy(disk);
    return image;
}

/* The reason for all of this: a machine with more cores, or fewer, takes the folder over. */
TEST(reshard_run, keeps_every_record_from_1_to_3_to_2)
{
    static const uint32_t numbers[] = {3, 2, 1};
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);
    int64_t end = 20;

    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) {
        life_begin(&life, disk, numbers[at]);
        CHECK_INT(life.folder.shards, numbers[at]);
        CHECK_INT(life.folder.journals, 2 + at);
        append_to_all(&life, 5);
        end += 5;
        for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
            CHECK(shard_case_check(&life, index, false));
            CHECK_INT(life.logs[index]->offset_committed, end);
        }
        shard_case_end(&life);
    }

    sim_disk_destroy(disk);
}

/* The folder's number wins over the default: a program that does not care changes nothing. */
TEST(reshard_run, leaves_the_number_that_the_folder_has)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(3);

    life_begin(&life, disk, 0);

    CHECK_INT(life.folder.shards, 3);
    CHECK_INT(life.folder.journals, 1);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* RSH-3: a log that stood in two journals would have two ends. */
TEST(reshard_run, spreads_the_logs_by_their_names)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);

    life_begin(&life, disk, 3);

    uint32_t logs = 0;
    for (uint32_t index = 0; index < 3; index++) {
        const struct partition *at = life.shards[index]->partitions;
        for (; at; at = at->next, logs++) {
            CHECK_INT(folder_shard_of(at->name, 3), index);
        }
        CHECK(life.shards[index]->partition_count < SHARD_CASE_LOGS);
    }
    CHECK_INT(logs, SHARD_CASE_LOGS);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* What a recovery found is told, although the shards that found it are gone when the open ends. */
TEST(reshard_run, reports_what_the_old_shards_replayed)
{
    static struct shard_life plain;
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);
    struct sim_disk *copy = sim_disk_copy(disk);
    life_begin(&plain, copy, 0);
    shard_case_abandon(&plain);

    life_begin(&life, disk, 3);

    CHECK(!life.report.was_clean);
    CHECK(plain.report.batches > 0);
    CHECK_INT(life.report.batches, plain.report.batches);
    CHECK_INT(life.report.records, plain.report.records);
    CHECK_INT(life.report.partitions, SHARD_CASE_LOGS);
    shard_case_end(&life);
    sim_disk_destroy(copy);
    sim_disk_destroy(disk);
}

/* A typing mistake must not make ten thousand journals. */
TEST(reshard_run, refuses_more_shards_than_the_limit_and_changes_nothing)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);

    enum pyr_err err = life_try(&life, disk, FOLDER_SHARDS_MAX + 1);

    CHECK_INT(err, PYR_ERR_INVALID);
    CHECK(strstr(life.error.message, "above 1024") != NULL);
    shard_case_abandon(&life);
    life_begin(&life, disk, 0);
    CHECK_INT(life.folder.shards, 1);
    CHECK_INT(life.folder.journals, 1);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A disk without room for more journals refuses the change; the folder works on as it was. */
TEST(reshard_run, on_a_full_disk_keeps_the_old_number)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);
    life_begin(&life, disk, 0); /* Everything is in its segments. */
    shard_case_end(&life);
    sim_disk_set_space(disk, 40);

    enum pyr_err err = life_try(&life, disk, 4);

    CHECK_INT(err, PYR_ERR_DISK_FULL);
    shard_case_abandon(&life);
    life_begin(&life, disk, 0);
    CHECK_INT(life.folder.shards, 1);
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        CHECK(shard_case_check(&life, index, false));
        CHECK_INT(life.logs[index]->offset_committed, 20);
    }
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

static void file_put(struct shard_life *life, const char *path)
{
    struct io_file *file = NULL;
    CHECK_INT(io_open(life->io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
    io_close(life->io, file);
}

static bool is_there(struct shard_life *life, const char *path)
{
    struct io_stat stat;
    return io_stat(life->io, path, &stat) == 0;
}

/* A first open that was cut off has made journals, and no log yet: the number can just be set. */
TEST(reshard_run, of_a_folder_that_was_never_ready_sets_the_number)
{
    static struct shard_life life;
    struct sim_disk *disk = sim_disk_create();
    shard_case_init(&life, disk, 3);
    CHECK_INT(io_loop_create(life.io, &(struct io_loop_options){.ops_max = 8}, &life.loop), 0);
    const struct folder_options options = {.path = "/data"};
    const struct shard_options shard_options = {.folder = &life.folder,
                                                .cache_bytes_max = CACHE_BYTES_MIN,
                                                .wal_file_bytes = 65536};
    CHECK_INT(folder_open(life.loop, &options, &life.folder, &life.error), PYR_OK);
    CHECK_INT(shard_open(life.loop, &shard_options, &life.shards[0], &life.report, &life.error),
              PYR_OK);
    shard_case_abandon(&life);

    life_begin(&life, disk, 3);

    CHECK_INT(life.folder.shards, 3);
    CHECK(!is_there(&life, "/data/wal/1.0"));
    CHECK(!is_there(&life, "/data/quarantine"));
    append_to_all(&life, 5);
    shard_case_end(&life);
    life_begin(&life, disk, 0);
    CHECK_INT(life.folder.shards, 3);
    CHECK_INT(life.logs[0]->offset_committed, 5);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* RSH-2: what a repair put aside in a journal's folder is somebody's last copy. */
TEST(reshard_sweep, removes_what_a_journal_is_made_of_and_nothing_else)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(2);
    life_begin(&life, disk, 0);
    file_put(&life, "/data/wal/1.1/00000000.wal.damaged");
    file_put(&life, "/data/wal/notes");
    shard_case_end(&life);

    life_begin(&life, disk, 3);

    CHECK(!is_there(&life, "/data/wal/1.0"));
    CHECK(!is_there(&life, "/data/wal/1.1/00000000.wal"));
    CHECK(!is_there(&life, "/data/wal/1.1/checkpoint"));
    CHECK(is_there(&life, "/data/wal/1.1/00000000.wal.damaged"));
    CHECK(is_there(&life, "/data/wal/notes"));
    CHECK(is_there(&life, "/data/wal/2.0/checkpoint"));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A set's number is never used twice: what an earlier try left must not be taken for this one's. */
TEST(reshard_run, takes_a_number_of_journals_that_no_folder_has)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);
    life_begin(&life, disk, 0);
    CHECK_INT(io_make_folder(life.io, "/data/wal/7.0"), 0);
    file_put(&life, "/data/wal/7.0/kept");
    shard_case_end(&life);

    life_begin(&life, disk, 2);

    CHECK_INT(life.folder.journals, 8);
    CHECK(is_there(&life, "/data/wal/7.0/kept"));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* RSH-3: a marker that was edited by hand is found out before a log gets a second journal. */
TEST(recovery_run, refuses_the_row_of_a_log_that_is_another_shards)
{
    static struct shard_life life;
    struct sim_disk *disk = disk_with(1);
    life_begin(&life, disk, 0);
    shard_case_end(&life);
    shard_case_init(&life, disk, 3);
    CHECK_INT(io_loop_create(life.io, &(struct io_loop_options){.ops_max = 8}, &life.loop), 0);
    const struct folder_options options = {.path = "/data"};
    CHECK_INT(folder_open(life.loop, &options, &life.folder, &life.error), PYR_OK);
    CHECK_INT(folder_set_shards(&life.folder, 3, 2, &life.error), PYR_OK);
    CHECK_INT(io_rename(life.io, "/data/wal/1.0", "/data/wal/2.0"), 0);
    shard_case_end(&life);

    enum pyr_err err = life_try(&life, disk, 0);

    CHECK_INT(err, PYR_ERR_CORRUPT);
    CHECK(strstr(life.error.message, "the checkpoint of shard 0 names log") != NULL);
    shard_case_abandon(&life);
    sim_disk_destroy(disk);
}
