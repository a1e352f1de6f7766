/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shard and its logs on a virtual disk: partition/append.c, partition/commit.c, partition/read.c,
 * partition/flush.c, partition/dirty.c, partition/work.c, partition/checkpoint.c,
 * partition/shard.c, partition/open.c, partition/recovery.c and partition/strangers.c.
 *
 * The records are numbered (fault/shard_case.h), so that a wrong one is seen. What a crash may do
 * to all of this stands in test/fault.
 */
#include <errno.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard.h"
#include "partition/shard_inner.h"

static struct shard_life life_begin(struct sim_disk *disk)
{
    struct shard_life life;
    enum pyr_err err = shard_case_begin(&life, disk, 3);
    if (err != PYR_OK) {
        (void)print_message("# %s\n", life.error.message);
    }
    assert_int_equal(err, PYR_OK);
    return life;
}

static void turn_many(struct shard_life *life, int count)
{
    for (int turn = 0; turn < count; turn++) {
        shard_case_turn(life);
    }
}

/* PAR-2 and PAR-4: what is not on stable storage is not acknowledged and not shown to a reader. */
TEST(partition_append, commits_only_what_the_journal_has_durable)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    struct partition_view view;

    enum pyr_err err = shard_case_append(&life, 0, 5);

    CHECK_INT(err, PYR_OK);
    CHECK_INT(log->offset_end, 5);
    CHECK_INT(log->offset_committed, 0); /* PAR-4 */
    CHECK_INT(partition_view_take(log, 0, &(struct cache_place){0}, &view, NULL), PYR_OK);
    CHECK_INT(view.kind, PARTITION_VIEW_NONE); /* PAR-2 */
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    CHECK_INT(log->offset_committed, 5);
    CHECK_INT(partition_view_take(log, 0, &(struct cache_place){0}, &view, NULL), PYR_OK);
    CHECK_INT(view.kind, PARTITION_VIEW_CACHE);
    partition_view_release(log, &view);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* The policy `batch` acknowledges from memory, and the disk follows within its interval. */
TEST(partition_append, commits_from_memory_under_the_policy_batch)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[1];

    enum pyr_err err = shard_case_append(&life, 1, 2);

    CHECK_INT(err, PYR_OK);
    CHECK_INT(log->offset_committed, 2);
    CHECK_INT(log->offset_durable, 0);
    uint64_t begin_ns = io_now_mono_ns(life.io);
    while (log->offset_durable < 2) {
        shard_case_turn(&life);
    }
    CHECK(io_now_mono_ns(life.io) - begin_ns < 4 * log->options.interval_ns);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* PAR-3: whatever comes in which order, a reader's end never moves back. */
TEST(partition_commit, never_moves_back)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    int64_t committed = 0;

    for (int round = 0; round < 100; round++) {
        CHECK_INT(shard_case_append(&life, 0, 1 + (size_t)round % 4), PYR_OK);
        shard_case_turn(&life);
        CHECK(life.logs[0]->offset_committed >= committed); /* PAR-3 */
        committed = life.logs[0]->offset_committed;
    }

    CHECK(committed > 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* What is appended reaches its segment within the buffer time, and is read back from there after
 * the cache has let go of it. */
TEST(partition_flush, writes_within_the_buffer_time)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    CHECK_INT(shard_case_append(&life, 0, 9), PYR_OK);
    CHECK_INT(log->offset_written, 0);

    turn_many(&life, 40);

    CHECK_INT(log->offset_written, 9);
    CHECK_INT(log->cached.bytes_unwritten, 0);
    cache_clear(&life.shard->cache, &log->cached);
    struct partition_view view;
    CHECK_INT(partition_view_take(log, 3, &(struct cache_place){0}, &view, NULL), PYR_OK);
    CHECK_INT(view.kind, PARTITION_VIEW_SEGMENT);
    partition_view_release(log, &view);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A write that nobody waits for leaves the device to the journal while appends go on and the cache
 * has room, and not for longer. */
TEST(partition_flush, gives_way_while_appends_go_on)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    turn_many(&life, 40); /* The journal makes its files. */
    life.shard->cache.bytes_max = UINT64_C(4) << 20;
    life.shard->options.buffer_time_ns = UINT64_C(1000000000);
    CHECK_INT(shard_case_append(&life, 0, 9), PYR_OK);
    log->is_large = true; /* As if that were enough for a good write. */

    uint64_t begin_ns = io_now_mono_ns(life.io);
    while (io_now_mono_ns(life.io) - begin_ns < 4 * FLUSH_QUIET_NS) {
        CHECK_INT(shard_case_append(&life, 2, 1), PYR_OK);
        shard_case_turn(&life);
        CHECK_INT(log->offset_written, 0);
        sim_advance(life.sim, FLUSH_QUIET_NS / 3);
    }
    uint64_t quiet_ns = io_now_mono_ns(life.io);
    while (log->offset_written == 0 && io_now_mono_ns(life.io) - quiet_ns < 4 * FLUSH_QUIET_NS) {
        shard_case_turn(&life);
    }
    CHECK_INT(log->offset_written, 9);

    /* A cache that fills up does not wait for quiet. */
    uint64_t full_ns = io_now_mono_ns(life.io);
    CHECK_INT(shard_case_append(&life, 0, 9), PYR_OK);
    log->is_large = true;
    life.logs[2]->is_large = true; /* It stands before, and would hold up the other. */
    life.shard->cache.bytes_max = (FLUSH_GIVES_WAY_SHARE - 1) * life.shard->cache.bytes_unwritten;
    shard_case_turn(&life);
    CHECK(io_now_mono_ns(life.io) - full_ns < FLUSH_QUIET_NS);
    CHECK(log->works[WORK_APPEND] || log->offset_written == 18);

    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* One write takes no more than it may, however large the chunks are: on a full disk what is worth a
 * write, so that a little room is enough to go on. It ends with a batch. */
TEST(partition_flush, writes_no_more_at_once_than_it_may)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    shard_case_init(&life, disk, 5);
    life.mask = 1U;
    life.cache_bytes_max = 16 << 20;
    life.wal_files_max = 128;
    life.buffer_time_ns = UINT64_C(10000000000);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    struct partition *log = life.logs[0];
    segment_log_configure(log->segments, 16 << 20, 0, false);
    while (log->cached.bytes_unwritten < 2 * FLUSH_BYTES_TARGET) {
        CHECK_INT(shard_case_append(&life, 0, 10), PYR_OK);
        shard_case_turn(&life);
    }
    size_t unwritten = log->cached.bytes_unwritten;
    struct work *work = shard_work_free(life.shard);
    life.shard->is_disk_full = true;

    CHECK(flush_plan_append(log, work));

    size_t bytes = 0;
    for (size_t part = 0; part < work->parts.count; part++) {
        bytes += work->parts.spans[part].count;
    }
    CHECK(bytes <= FLUSH_BYTES_TARGET);
    CHECK(bytes > FLUSH_BYTES_TARGET - FLUSH_BYTES_TARGET / 8);
    work_run_now(work);
    flush_apply(work);
    CHECK_INT(log->cached.bytes_unwritten, unwritten - bytes);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A full cache is back-pressure: the append is refused, nothing is lost, and it goes through later.
 */
TEST(partition_reserve, refuses_while_the_cache_is_full_of_unwritten_bytes)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    struct bytes_mut room;
    struct pyr_error error;
    life.shard->cache.bytes_max = UINT64_C(16) * 1024;
    CHECK_INT(shard_case_append(&life, 0, 20), PYR_OK);

    enum pyr_err err = partition_reserve(log, UINT64_C(63) * 1024, &room, &error);

    CHECK_INT(err, PYR_ERR_BUSY);
    CHECK(strstr(error.message, "write cache is full") != NULL);
    turn_many(&life, 40);
    CHECK_INT(partition_reserve(log, UINT64_C(12) * 1024, &room, &error), PYR_OK);
    partition_unreserve(log);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* SHD-1: many journal files' worth of appends go through a journal of four, because checkpoints
 * free them. */
TEST(shard_checkpoint, lets_the_journal_run_round)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);

    for (int round = 0; round < 300; round++) {
        CHECK_INT(shard_case_append(&life, (size_t)round % SHARD_CASE_LOGS, 8), PYR_OK);
        shard_case_turn(&life);
    }

    CHECK_INT(shard_case_settle(&life), PYR_OK);
    CHECK(life.shard->checkpoints > 3);
    struct wal_usage usage;
    wal_usage(life.shard->wal, &usage);
    CHECK(usage.files_used <= usage.files_max + 2);
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        CHECK(shard_case_check(&life, index, false));
    }
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A clean stop leaves a checkpoint: the next start has nothing to replay but what opening itself
 * wrote. */
TEST(shard_open, after_a_clean_stop_replays_nothing)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    for (int round = 0; round < 50; round++) {
        CHECK_INT(shard_case_append(&life, 0, 3), PYR_OK);
    }
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    shard_case_end(&life);

    life = life_begin(disk);

    CHECK(life.report.was_clean);
    CHECK_INT(life.report.partitions, SHARD_CASE_LOGS);
    CHECK_INT(life.report.bytes_cut, 0);
    CHECK_INT(life.logs[0]->offset_end, 150);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Each opening appends under a higher epoch, so that what was torn and what replaced it differ by
 * name. */
TEST(shard_partition_open, raises_the_epoch)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    int32_t first = life.logs[0]->epoch;
    CHECK_INT(shard_case_append(&life, 0, 1), PYR_OK);
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    shard_case_end(&life);

    life = life_begin(disk);

    CHECK(life.logs[0]->epoch > first);
    CHECK_INT(life.logs[0]->epoch % EPOCH_NODES, EPOCH_NODE_EMBEDDED);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* One log has one owner; a second opener is told so by name. */
TEST(shard_partition_open, refuses_bad_names_and_a_second_holder)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    const struct partition_options options = {.is_cached = true, .segment_bytes = 65536};
    struct partition *log = NULL;
    static const char *const bad[] = {"",       "x",     "-1",   "a-",   "a-b",
                                      "../a-1", "a/b-1", ".a-1", "a b-1"};

    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        CHECK_INT(shard_partition_open(life.shard, bad[index], &options, &log, NULL),
                  PYR_ERR_INVALID);
    }
    CHECK_INT(shard_partition_open(life.shard, shard_case_name(0), &options, &log, NULL),
              PYR_ERR_LOCKED);
    CHECK(log == NULL);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A sync that failed is the end: nothing more is acknowledged, reads go on, and a new start sorts
 * it out. */
TEST(shard_health, stays_failed_after_a_failed_write_and_reads_go_on)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    CHECK_INT(shard_case_append(&life, 0, 4), PYR_OK);
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_WRITE, .name = ".wal", .error = EIO});

    CHECK_INT(shard_case_append(&life, 0, 4), PYR_OK);
    enum pyr_err err = shard_case_settle(&life);

    CHECK_INT(err, PYR_ERR_FAILED);
    CHECK(strstr(life.error.message, "takes no appends") != NULL);
    CHECK_INT(life.logs[0]->offset_committed, 4);
    CHECK(shard_case_check(&life, 0, false));
    CHECK_INT(shard_case_append(&life, 0, 1), PYR_ERR_FAILED);
    shard_case_end(&life);
    life = life_begin(disk);
    CHECK(life.logs[0]->offset_end >= 4);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Append to log 0 with its running number moved by @step, crash, and return what a start says. */
static enum pyr_err start_after_step(int step, struct shard_life *life, struct sim_disk *disk)
{
    *life = life_begin(disk);
    for (int round = 0; round < 2; round++) {
        CHECK_INT(shard_case_append(life, 0, 2), PYR_OK);
        CHECK_INT(shard_case_settle(life), PYR_OK);
        life->logs[0]->entry_number += round == 0 ? (uint64_t)(int64_t)step : 0;
    }
    shard_case_abandon(life);
    return shard_case_begin(life, disk, 4);
}

/* PAR-5: the chain of flushes says that no flush is missing; the running numbers say that of each
 * log's entries, whatever made one disappear or come twice. The place is named. */
TEST(shard_open, refuses_a_log_whose_entry_is_missing_or_comes_twice)
{
    for (int step = -1; step <= 1; step++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;

        enum pyr_err err = start_after_step(step, &life, disk);

        CHECK_INT(err, step == 0 ? PYR_OK : PYR_ERR_CORRUPT);
        CHECK(step == 0 || strstr(life.error.message, "/00000000.wal' at position ") != NULL);
        CHECK(step == 0 || strstr(life.error.message, shard_case_name(0)) != NULL);
        CHECK(step <= 0 || strstr(life.error.message, "entry 4 behind entry 2") != NULL);
        CHECK(step >= 0 || strstr(life.error.message, "entry 2 behind entry 2") != NULL);
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* PAR-5: what the checkpoint covers may be missing from the journal, as after a crash under a
 * policy that leaves it to the kernel: the row says 8, the journal gives 4, 5, 9. */
TEST(shard_open, takes_a_gap_that_the_checkpoint_covers)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    CHECK_INT(shard_case_append(&life, 0, 2), PYR_OK);
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    log->entry_number = 8;
    shard_checkpoint_request(life.shard);
    uint64_t checkpoints = life.shard->checkpoints;
    while (life.shard->checkpoints == checkpoints) {
        shard_case_turn(&life);
    }
    static const uint64_t numbers[] = {4, 5, 9};
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        log->entry_number = numbers[index] - 1;
        CHECK_INT(shard_case_append(&life, 0, 1), PYR_OK);
    }
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    shard_case_abandon(&life);

    life = life_begin(disk);

    CHECK_INT(life.ends[0], 5);
    CHECK(life.logs[0]->entry_number >= 9);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* FLD-3: a folder of batches that neither checkpoint nor journal knows is kept aside, and reported.
 */
TEST(strangers, that_hold_batches_go_to_quarantine)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    CHECK_INT(shard_case_append(&life, 0, 4), PYR_OK);
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    shard_case_end(&life);
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 9});
    const struct segment_metadata metadata = {.log = {.value = {9}}, .topic = {.value = {9}}};
    struct io_file *file = NULL;
    CHECK_INT(segment_log_create(sim_io(sim), "/data/odd-0", &metadata, NULL), PYR_OK);
    CHECK_INT(segment_log_create(sim_io(sim), "/data/fresh-0", &metadata, NULL), PYR_OK);
    CHECK_INT(io_open(sim_io(sim), "/data/odd-0/00000000000000000000.log",
                      IO_OPEN_WRITE | IO_OPEN_CREATE, &file),
              0);
    io_close(sim_io(sim), file);
    sim_destroy(sim);

    life = life_begin(disk);

    CHECK_INT(life.report.quarantined, 1);
    struct io_stat stat;
    CHECK_INT(io_stat(life.io, "/data/odd-0", &stat), ENOENT);
    CHECK_INT(io_stat(life.io, "/data/quarantine/odd-0.0", &stat), 0);
    CHECK_INT(io_stat(life.io, "/data/fresh-0", &stat), 0); /* Empty: taken as a log being made. */
    shard_case_end(&life);
    sim_disk_destroy(disk);
}
