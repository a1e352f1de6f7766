/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs that a start opens side by side, and the tables in which a shard finds them:
 * partition/opening.c, partition/logs.c and partition/strangers.c.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "partition/opening.h"

enum {
    MANY = 3 * SHARD_OPENINGS_MAX + 5,
    TOGETHER = 2,
    SEEDS = 10,
    TURNS_MAX = 20000,
    CROWD = 2 * SHARD_LOG_CHAINS,
};

#define PATIENCE_NS UINT64_C(20000000000)

/* -- Helpers -- */

static void life_open(struct shard_life *life, struct sim_disk *disk, uint64_t seed)
{
    shard_case_init(life, disk, seed);
    life->mask = 1;
}

static struct partition *log_open(struct shard_life *life, int number)
{
    const struct partition_options options = {.is_cached = true};
    struct partition *log = NULL;
    char name[LOG_NAME_BYTES_MAX];
    (void)snprintf(name, sizeof name, "many-%d", number);
    CHECK_INT(shard_partition_open(life->shard, name, &options, &log, &life->error), PYR_OK);
    return log;
}

/* Make MANY logs, and fill in their ids. */
static void logs_make(struct shard_life *life, struct log_id *ids)
{
    for (int number = 0; number < MANY; number++) {
        struct partition *log = log_open(life, number);
        ids[number] = log->id;
        shard_partition_release(log);
    }
    CHECK_INT(shard_case_append(life, 0, 5), PYR_OK);
    CHECK_INT(shard_case_settle(life), PYR_OK);
}

/* Check that each log of @ids is in the shard, under its name, and nothing else is. */
static void logs_check(struct shard_life *life, const struct log_id *ids)
{
    CHECK_INT(shard_partitions(life->shard), MANY + 1);
    CHECK_INT(life->report.partitions, MANY + 1);
    CHECK_INT(life->report.quarantined, 0);
    for (int number = 0; number < MANY; number++) {
        struct partition *log = logs_find(life->shard, &ids[number]);
        char name[LOG_NAME_BYTES_MAX];
        (void)snprintf(name, sizeof name, "many-%d", number);
        CHECK(log);
        CHECK_TEXT(log->name, name);
        CHECK(logs_named(life->shard, name) == log);
    }
    CHECK(shard_case_check(life, 0, false));
}

static void remove_metadata(struct shard_life *life, const char *log)
{
    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    folder_path(&life->folder, log, folder);
    CHECK(segment_path_join(path, folder, SEGMENT_METADATA_FILE_NAME));
    CHECK_INT(io_remove(life->io, path), 0);
}

/* -- A start -- */

/* More logs than are opened at once come back, whether the checkpoint knows them or, after a crash,
 * only their folders and the journal do. */
TEST(start, opens_many_logs)
{
    static struct log_id ids[MANY];
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_open(&life, disk, 1);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    logs_make(&life, ids);
    shard_case_abandon(&life);

    life_open(&life, disk, 2);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    logs_check(&life, ids);
    shard_case_end(&life);

    life_open(&life, disk, 3);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    logs_check(&life, ids);
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* Of two broken logs the same one is named at each try, whichever job ends first, and nothing that
 * was opened beside it stays open (PAR-7). */
TEST(start, reports_the_first_error)
{
    static struct log_id ids[MANY];
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_open(&life, disk, 1);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    logs_make(&life, ids);
    remove_metadata(&life, "many-7");
    remove_metadata(&life, "many-11");
    shard_case_end(&life);

    struct pyr_error first = {.code = PYR_OK};
    for (uint64_t seed = 2; seed < 2 + SEEDS; seed++) {
        life_open(&life, disk, seed);
        CHECK_INT(shard_case_open(&life), PYR_ERR_CORRUPT);
        first = first.code == PYR_OK ? life.error : first;
        CHECK_TEXT(life.error.message, first.message);
        CHECK(strstr(first.message, "log 'many-11'"));
        shard_case_end(&life);
        CHECK_INT(life.allocations_live, 0);
    }
    sim_disk_destroy(disk);
}

/* A folder that someone has copied has the log id of another: two logs that both took the journal's
 * entries of that id would be mixed up, so the copy is put aside (PAR-6). */
TEST(start, puts_a_copied_log_aside)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_open(&life, disk, 1);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    CHECK_INT(shard_case_append(&life, 0, 5), PYR_OK);
    const struct segment_metadata metadata = {.log = life.logs[0]->id, .topic = life.logs[0]->id};
    shard_case_end(&life);

    life_open(&life, disk, 2);
    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s", "copy-0");
    CHECK_INT(shard_case_open(&life), PYR_OK);
    folder_path(&life.folder, "copy-0", path);
    CHECK_INT(segment_log_create(life.io, path, &metadata, NULL), PYR_OK);
    shard_case_end(&life);

    life_open(&life, disk, 3);
    struct io_stat stat;
    CHECK_INT(shard_case_open(&life), PYR_OK);
    CHECK_INT(life.report.quarantined, 1);
    CHECK_INT(shard_partitions(life.shard), 1);
    CHECK(io_stat(life.io, path, &stat) != 0);
    folder_path(&life.folder, "quarantine/copy-0.0", path);
    CHECK_INT(io_stat(life.io, path, &stat), 0);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* Copy the files of folder @from to the new folder @to, each with a byte behind it. */
static void copy_and_extend(struct shard_life *life, const char *from, const char *to)
{
    enum { ROOM_BYTES = 1 << 20 };

    uint8_t *room = malloc(ROOM_BYTES);
    struct io_entries entries;
    CHECK(room);
    CHECK_INT(io_make_folder(life->io, to), 0);
    CHECK_INT(io_list(life->io, from, &entries), 0);
    for (size_t index = 0; index < entries.count; index++) {
        const char *name = entries.rows[index].name;
        struct io_file *file = NULL;
        char path[PATH_BYTES_MAX];
        size_t count = 0;
        CHECK(segment_path_join(path, from, name));
        CHECK_INT(io_open(life->io, path, IO_OPEN_READ, &file), 0);
        CHECK_INT(
            io_read_whole(life->io, file, (struct bytes_mut){room, ROOM_BYTES - 1}, 0, &count), 0);
        io_close(life->io, file);
        CHECK(segment_path_join(path, to, name));
        CHECK_INT(io_open(life->io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
        bool is_log = strstr(name, ".log");
        room[count] = 'x';
        struct bytes bytes = {room, is_log ? count + 1 : count};
        CHECK_INT(io_write_whole(life->io, file, bytes, 0, false), 0);
        io_close(life->io, file);
    }
    io_entries_free(life->io, &entries);
    free(room);
}

static int64_t log_bytes(struct shard_life *life, const char *folder)
{
    struct io_entries entries;
    int64_t bytes = 0;
    CHECK_INT(io_list(life->io, folder, &entries), 0);
    for (size_t index = 0; index < entries.count; index++) {
        struct io_stat stat;
        char path[PATH_BYTES_MAX];
        CHECK(segment_path_join(path, folder, entries.rows[index].name));
        CHECK_INT(io_stat(life->io, path, &stat), 0);
        const char *end = strstr(entries.rows[index].name, ".log");
        bytes += end && strcmp(end, ".log") == 0 ? stat.bytes : 0;
    }
    io_entries_free(life->io, &entries);
    return bytes;
}

/* The copy of a log that was restored says itself what it holds. It is put aside as it is, and not
 * first cut to what it says: nobody knows what somebody wants of it (FLD-3). */
TEST(start, leaves_a_copied_log_as_it_is)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    char from[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    life_open(&life, disk, 1);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    CHECK_INT(shard_case_append(&life, 0, 5), PYR_OK);
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
        err = shard_partition_delete(life.shard, "orders-0", NULL);
        shard_case_turn(&life);
    }
    CHECK_INT(err, PYR_OK);
    shard_partition_release(life.logs[0]);
    life.logs[0] = NULL;
    err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
        err = shard_partition_restore(life.shard, "orders-0", NULL, NULL);
        shard_case_turn(&life);
    }
    CHECK_INT(err, PYR_OK);
    folder_path(&life.folder, "orders-0", from);
    folder_path(&life.folder, "copy-0", path);
    copy_and_extend(&life, from, path);
    int64_t bytes = log_bytes(&life, path);
    shard_case_end(&life);

    life_open(&life, disk, 2);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    CHECK_INT(life.report.quarantined, 1);
    folder_path(&life.folder, "quarantine/copy-0.0", path);
    CHECK_INT(log_bytes(&life, path), bytes);
    CHECK_INT(life.logs[0]->offset_end, 5);
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* -- Side by side -- */

/* Wait on the pool until another one is here too. */
static bool look_together(struct opening *opening)
{
    atomic_int *here = opening->ctx;
    struct io *io = opening->shard->io;
    uint64_t deadline_ns = io_now_mono_ns(io) + PATIENCE_NS;
    atomic_fetch_add(here, 1);
    while (atomic_load(here) < TOGETHER && io_now_mono_ns(io) < deadline_ns) {
        (void)sched_yield();
    }
    opening->err = atomic_load(here) >= TOGETHER
                       ? PYR_OK
                       : err_set(&opening->error, PYR_ERR_TIMEOUT, "nobody else came");
    return false;
}

static enum pyr_err take_none(struct openings *openings,
                              struct opening *opening,
                              struct pyr_error *reterr)
{
    (void)reterr;
    CHECK(!opening->partition);
    openings->report->segments++;
    return PYR_OK;
}

/* While one log waits for the disk another one is opened: else a start with cold folders would take
 * the sum of all waits. */
TEST(openings, run_side_by_side)
{
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .job_threads = TOGETHER};
    const struct io_loop_options loop_options = {.ops_max = 8};
    struct io *io = NULL;
    struct io_loop *loop = NULL;
    atomic_int here = 0;
    CHECK_INT(io_create(&options, &io, NULL), PYR_OK);
    CHECK_INT(io_loop_create(io, &loop_options, &loop), 0);
    struct shard *shard = io_alloc(io, sizeof *shard, _Alignof(struct shard));
    CHECK(shard);
    shard->io = io;
    shard->loop = loop;

    struct pyr_error error = {.code = PYR_OK};
    struct shard_report report = {0};
    struct openings openings = {.shard = shard, .report = &report, .take = take_none};
    CHECK_INT(openings_begin(&openings, NULL), PYR_OK);
    for (int number = 0; number < TOGETHER; number++) {
        struct opening *opening = openings_next(&openings);
        CHECK(opening);
        opening->look = look_together;
        opening->ctx = &here;
        openings_start(&openings);
    }

    CHECK_INT(openings_end(&openings, &error), PYR_OK);
    CHECK_INT(report.segments, TOGETHER);
    io_free(io, shard);
    io_loop_destroy(loop);
    io_destroy(io);
}

/* -- Tables -- */

/* A log that was taken out is found no more, and those that share its chain still are. */
TEST(logs, are_found_until_removed)
{
    struct shard *shard = calloc(1, sizeof *shard);
    struct partition *logs = calloc(CROWD, sizeof *logs);
    CHECK(shard && logs);
    for (uint32_t number = 0; number < CROWD; number++) {
        memcpy(logs[number].id.value, &number, sizeof number);
        (void)snprintf(logs[number].name, sizeof logs[number].name, "log-%u", (unsigned)number);
        logs_add(shard, &logs[number]);
    }
    for (uint32_t number = 1; number < CROWD; number += 2) {
        logs_remove(shard, &logs[number]);
    }
    CHECK_INT(shard_partitions(shard), CROWD / 2);
    for (uint32_t number = 0; number < CROWD; number++) {
        struct partition *wanted = number % 2 == 0 ? &logs[number] : NULL;
        CHECK(logs_find(shard, &logs[number].id) == wanted);
        CHECK(logs_named(shard, logs[number].name) == wanted);
    }
    free(logs);
    free(shard);
}
