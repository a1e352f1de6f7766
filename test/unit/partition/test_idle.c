/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shard does when nobody touches it, driven by its timers alone: partition/idle.c, with
 * retention.c, clock.c and compaction.c.
 */
#include "base/limits.h"
#include "fault/shard_case.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/shard_inner.h"
#include "record/builder.h"

#define SECOND_NS UINT64_C(1000000000)
#define HOUR_MS   INT64_C(3600000)
#define DAY_MS    (24 * HOUR_MS)
#define DAY_S     UINT64_C(86400)

enum { ORDERS = 0, AUDIT = 2, KEYS = 3, SYNCED = 5 };

/* -- Helpers -- */

static void life_begin(struct shard_life *life, struct sim_disk *disk, uint32_t mask)
{
    shard_case_init(life, disk, 5);
    life->mask = mask;
    assert_int_equal(shard_case_open(life), PYR_OK);
}

/* Nobody does anything for @seconds: the loop turns when something is due, as a store's keeper has
 * it. Return how often. */
static int rest(struct shard_life *life, uint64_t seconds)
{
    int turns = 0;
    uint64_t end_ns = io_now_mono_ns(life->io) + seconds * SECOND_NS;
    for (;;) {
        io_loop_wait(life->loop, end_ns);
        if (io_now_mono_ns(life->io) >= end_ns) {
            return turns;
        }
        (void)io_loop_dispatch(life->loop);
        shard_step(life->shard);
        turns++;
    }
}

/* Append to log @index, @seconds apart. */
static void fill(struct shard_life *life, size_t index, int rounds, uint64_t seconds)
{
    for (int round = 0; round < rounds; round++) {
        assert_int_equal(shard_case_append(life, index, 10), PYR_OK);
        assert_int_equal(shard_case_settle(life), PYR_OK);
        (void)rest(life, seconds);
    }
}

/* Give log @index its limits of age, as its options would. */
static struct partition *limit(struct shard_life *life,
                               size_t index,
                               int64_t keep_ms,
                               int64_t age_ms)
{
    struct partition *log = life->logs[index];
    log->options.retention_ms = (uint64_t)keep_ms;
    log->options.segment_age_ms = (uint64_t)age_ms;
    segment_log_configure(log->segments, (int64_t)log->options.segment_bytes, age_ms, false);
    shard_look_soon(life->shard);
    return log;
}

/* -- Expiry -- */

/* What is old goes though nobody appends: a log that was filled and left must not keep for ever
 * what it was told to keep for a day. */
TEST(idle, lets_records_expire)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    struct partition *log = limit(&life, ORDERS, DAY_MS, 0);
    fill(&life, ORDERS, 40, 2);
    size_t segments = segment_log_segments(log->segments);
    int64_t end = log->offset_end;
    CHECK(segments > 3);

    (void)rest(&life, 86000);
    CHECK_INT(log->offset_start, 0);
    CHECK_INT(log->offset_end, end);
    int turns = rest(&life, 1000);

    CHECK_INT(segment_log_segments(log->segments), 1); /* The newest stays. */
    CHECK_INT(log->start_durable, log->offset_start);
    CHECK(log->offset_start > 300);
    CHECK(log->offset_end - end <= (int64_t)segments); /* A stamp for each that went, at most. */
    CHECK(turns < 2000);
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* Where nothing can expire yet no stamp is written, however busy the shard is with other logs: a
 * stamp a second would make a quiet log grow by itself. */
TEST(idle, writes_no_stamp_that_lets_nothing_expire)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS | 1U << AUDIT);
    struct partition *log = limit(&life, ORDERS, DAY_MS, 0);
    fill(&life, ORDERS, 40, 0);
    CHECK(segment_log_segments(log->segments) > 3);
    CHECK(log->clock_ms > 0);
    int64_t end = log->offset_end;

    fill(&life, AUDIT, 100, 1);

    CHECK_INT(log->offset_end, end);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* The age of what was there before retention was turned on counts from the first stamp, and where
 * nobody appends one has to come by itself. */
TEST(idle, begins_the_clock_of_a_log_without_one)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    fill(&life, ORDERS, 40, 0);
    CHECK_INT(life.logs[ORDERS]->clock_ms, 0);

    struct partition *log = limit(&life, ORDERS, DAY_MS, 0);
    (void)rest(&life, 10);

    CHECK(log->clock_ms > 0);
    CHECK_INT(log->offset_end, 401);
    CHECK_INT(log->offset_start, 0);
    (void)rest(&life, DAY_S + 60);
    CHECK(log->offset_start > 300);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A wall clock that is set forward, by less than what is held back, is followed within a minute. */
TEST(idle, follows_a_wall_clock_that_is_set_forward)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    struct partition *log = limit(&life, ORDERS, HOUR_MS, 0);
    fill(&life, ORDERS, 40, 0);
    (void)rest(&life, 600);
    CHECK_INT(log->offset_start, 0);

    sim_step_wall(life.sim, 55 * HOUR_MS / 60);
    (void)rest(&life, 70);

    CHECK(log->offset_start > 300);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A wall clock ten years on does nothing here either. */
TEST(idle, lets_nothing_expire_by_a_clock_that_jumps)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    struct partition *log = limit(&life, ORDERS, DAY_MS, HOUR_MS);
    fill(&life, ORDERS, 40, 0);
    int64_t end = log->offset_end;

    sim_step_wall(life.sim, 3650 * DAY_MS);
    (void)rest(&life, 600);

    CHECK(log->is_clock_held);
    CHECK_INT(log->offset_start, 0);
    CHECK_INT(log->offset_end, end);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* -- Age of segments -- */

/* The segment that is written to is left for its age, once, and so may expire; and then there is
 * rest, or a quiet log would fill its folder with segments of stamps. */
TEST(idle, leaves_an_old_segment_once)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    struct partition *log = limit(&life, ORDERS, DAY_MS, HOUR_MS);
    fill(&life, ORDERS, 1, 2);
    int64_t end = log->offset_end;
    CHECK_INT(segment_log_segments(log->segments), 1);

    (void)rest(&life, 3500);
    CHECK_INT(log->offset_end, end);
    (void)rest(&life, 36000);
    CHECK_INT(log->offset_end, end + 1);
    CHECK_INT(segment_log_segments(log->segments), 2);
    (void)rest(&life, DAY_S);

    CHECK_INT(log->offset_start, end); /* Every record is gone, */
    int64_t stamps_end = log->offset_end;
    CHECK(stamps_end <= end + 2);
    int turns = rest(&life, 40 * DAY_S);
    CHECK_INT(log->offset_end, stamps_end); /* and what is left is left alone. */
    CHECK(turns < 10);
    shard_case_end(&life);
    life_begin(&life, disk, 1U << ORDERS);
    log = limit(&life, ORDERS, DAY_MS, HOUR_MS);
    (void)rest(&life, 40 * DAY_S);
    CHECK(log->offset_end <= stamps_end + 1);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Append one record of @bytes to @log. */
static void append_one(struct shard_life *life, struct partition *log, size_t bytes)
{
    static const uint8_t value[8 << 10];
    struct bytes_mut room;
    assert_int_equal(partition_reserve(log, 16 << 10, &room, &life->error), PYR_OK);
    struct builder builder;
    builder_init(&builder, room);
    struct record record = {.timestamp = 1, .value = {value, bytes}};
    assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    int64_t offset = 0;
    size_t count = builder_seal(&builder, &stamp).count;
    assert_int_equal(partition_append(log, count, 0, &offset, &life->error), PYR_OK);
    assert_int_equal(shard_case_settle(life), PYR_OK);
}

/* A start that finds one record alone in the last segment must not take it for a stamp: it would
 * keep it for ever, as stamps are kept. A large batch stands alone, and a small one may. */
TEST(idle, lets_a_record_expire_that_stands_alone)
{
    const size_t bytes[] = {8 << 10, 1};
    for (size_t index = 0; index < 2; index++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk, 1U << ORDERS);
        struct partition *log = limit(&life, ORDERS, DAY_MS, HOUR_MS);
        segment_log_configure(log->segments, 4 << 10, HOUR_MS, false);
        append_one(&life, log, 8 << 10);
        append_one(&life, log, 8 << 10);
        append_one(&life, log, bytes[index]);
        int64_t end = log->offset_end;
        CHECK_INT(partition_delete_before(log, end - 1, NULL), PYR_OK);
        (void)rest(&life, 10);
        CHECK_INT(log->start_durable, end - 1);
        shard_case_end(&life);

        life_begin(&life, disk, 1U << ORDERS);
        log = limit(&life, ORDERS, DAY_MS, HOUR_MS);
        CHECK_INT(log->offset_start, end - 1);
        CHECK_INT(segment_log_end(log->segments).segment, end - 1);
        (void)rest(&life, 3 * DAY_S);

        CHECK(log->offset_start >= end); /* Nothing but stamps is left, */
        CHECK(log->offset_end <= end + 2);
        CHECK(rest(&life, 40 * DAY_S) < 10); /* and they rest. */
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* -- Compaction -- */

/* A log of keys that is left alone is compacted: the checkpoint that it waits for comes, because
 * nobody else will make the journal full. */
TEST(idle, compacts)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << KEYS);
    fill(&life, KEYS, 12, 0);
    struct partition *log = life.logs[KEYS];
    CHECK(segment_log_segments(log->segments) > 2);
    CHECK_INT(log->records_compacted, 0);
    CHECK_INT(life.shard->checkpoints, 0);

    (void)rest(&life, 20);

    CHECK(log->records_compacted > 0);
    CHECK(!log->compact);
    CHECK_INT(life.shard->checkpoints, 1);
    CHECK(shard_case_check(&life, KEYS, false));
    CHECK(rest(&life, DAY_S) < 10);
    CHECK_INT(life.shard->checkpoints, 1);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A reader holds up a compaction, and says nothing when it goes. */
TEST(idle, compacts_when_a_reader_has_gone)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << KEYS);
    fill(&life, KEYS, 12, 0);
    shard_case_end(&life);
    life_begin(&life, disk, 1U << KEYS); /* So that no file is open yet. */
    struct partition *log = life.logs[KEYS];
    struct segment_view view;
    CHECK_INT(segment_log_view(log->segments, 0, &view, NULL), PYR_OK);
    (void)rest(&life, 20);
    CHECK_INT(log->records_compacted, 0);
    CHECK(log->compact != NULL);

    segment_log_view_release(log->segments, &view);
    (void)rest(&life, 20);

    CHECK(log->records_compacted > 0);
    CHECK(!log->compact);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* -- The rest -- */

/* A checkpoint that found no memory is made later. */
TEST(idle, makes_a_checkpoint_that_failed)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    fill(&life, ORDERS, 4, 3);
    shard_checkpoint_request(life.shard);
    for (int turn = 0; turn < 100; turn++) {
        shard_case_turn(&life);
    }
    (void)rest(&life, 10);
    CHECK_INT(life.shard->checkpoints, 1);
    shard_checkpoint_request(life.shard);
    io_testing_fail_allocation(life.io, 1);
    shard_step(life.shard);
    io_testing_fail_allocation(life.io, 0);
    CHECK(life.shard->checkpoint_retry_ns > 0);

    (void)rest(&life, 5);

    CHECK_INT(life.shard->checkpoints, 2);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A look between the failure of a checkpoint and the time to try again must not end the waiting:
 * nothing has moved, and nobody else would ever ask. */
TEST(idle, makes_a_checkpoint_that_failed_just_before_a_look)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    fill(&life, ORDERS, 4, 3);
    shard_checkpoint_request(life.shard);
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    (void)rest(&life, 10);
    CHECK_INT(life.shard->checkpoints, 1);
    shard_step(life.shard); /* A look. */
    sim_advance(life.sim, SECOND_NS - SECOND_NS / 20);
    shard_checkpoint_request(life.shard);
    io_testing_fail_allocation(life.io, 1);
    shard_step(life.shard);
    io_testing_fail_allocation(life.io, 0);
    CHECK(life.shard->checkpoint_retry_ns > life.shard->retention_due_ns);

    (void)rest(&life, 5);

    CHECK_INT(life.shard->checkpoints, 2);
    CHECK(rest(&life, DAY_S) < 10);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Whatever allocation of a checkpoint fails, that of the write it begins with among them, it is
 * made though nobody asks again. */
TEST(idle, makes_a_checkpoint_though_memory_fails_anywhere)
{
    for (uint64_t nth = 1; nth <= 32; nth++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk, 1U << ORDERS);
        life.shard->options.buffer_time_ns = 60 * SECOND_NS;
        fill(&life, ORDERS, 1, 3);
        CHECK_INT(life.logs[ORDERS]->offset_written, 0);
        CHECK_INT(life.shard->checkpoints, 0);
        shard_step(life.shard); /* A look. */
        sim_advance(life.sim, SECOND_NS - SECOND_NS / 20);
        shard_checkpoint_request(life.shard);
        io_testing_fail_allocation(life.io, nth);
        shard_step(life.shard);

        (void)rest(&life, 10);

        CHECK(life.shard->checkpoints >= 1);
        CHECK_INT(life.logs[ORDERS]->offset_synced, 10);
        io_testing_fail_allocation(life.io, 0);
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* A write that is due and finds no memory is tried again though the timer has fired, wherever it
 * ran out: what was acknowledged from memory would stay there until somebody appends. */
TEST(idle, writes_though_memory_fails_anywhere)
{
    for (uint64_t nth = 1; nth <= 32; nth++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk, 1U << ORDERS);
        life.shard->options.buffer_time_ns = 10 * SECOND_NS;
        fill(&life, ORDERS, 1, 9);
        struct partition *log = life.logs[ORDERS];
        uint64_t due_ns = log->dirty_since_ns + 10 * SECOND_NS;
        io_loop_wait(life.loop, due_ns);
        CHECK_INT(io_now_mono_ns(life.io), due_ns);
        (void)io_loop_dispatch(life.loop);
        CHECK_INT(log->offset_written, 0);
        io_testing_fail_allocation(life.io, nth);
        shard_step(life.shard);

        (void)rest(&life, 5);

        CHECK_INT(log->cached.bytes_unwritten, 0);
        CHECK_INT(log->offset_written, 10);
        io_testing_fail_allocation(life.io, 0);
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* What is committed once its segment is synced is committed, whichever allocation of write and sync
 * fails: its writer waits, and nobody else drives. */
TEST(idle, syncs_though_memory_fails_anywhere)
{
    for (uint64_t nth = 1; nth <= 32; nth++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk, 1U << SYNCED);
        (void)rest(&life, 3);
        struct partition *log = life.logs[SYNCED];
        CHECK_INT(shard_case_append(&life, SYNCED, 10), PYR_OK);
        shard_sync_begin(life.shard);
        io_testing_fail_allocation(life.io, nth);

        (void)rest(&life, 5);

        CHECK_INT(log->offset_committed, 10);
        CHECK_INT(log->offset_synced, 10);
        io_testing_fail_allocation(life.io, 0);
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* What was appended is in its segments when the buffer time is over, though it fills several of
 * them: each is a write of its own, and none begins the time anew. */
TEST(idle, writes_all_segments_within_the_buffer_time)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS);
    life.shard->options.buffer_time_ns = 10 * SECOND_NS;
    for (int round = 0; round < 20; round++) {
        CHECK_INT(shard_case_append(&life, ORDERS, 10), PYR_OK);
    }
    CHECK(life.logs[ORDERS]->offset_written < 200);

    (void)rest(&life, 11);

    CHECK(segment_log_segments(life.logs[ORDERS]->segments) > 3);
    CHECK_INT(life.logs[ORDERS]->offset_written, 200);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A large write that ends with its segment leaves a rest that is neither large nor old. It stands
 * in front of older logs, and must not make them wait for its own time. */
TEST(idle, writes_others_in_time_behind_the_rest_of_a_cut_append)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    shard_case_init(&life, disk, 5);
    life.mask = 1U << ORDERS | 1U << AUDIT;
    life.cache_bytes_max = 16 << 20;
    life.wal_files_max = 128;
    life.buffer_time_ns = 10 * SECOND_NS;
    assert_int_equal(shard_case_open(&life), PYR_OK);
    struct partition *large = life.logs[ORDERS];
    segment_log_configure(large->segments, 1 << 20, 0, false);
    fill(&life, AUDIT, 1, 8);
    while (large->cached.bytes_unwritten < FLUSH_BYTES_TARGET + FLUSH_BYTES_TARGET / 5) {
        CHECK_INT(shard_case_append(&life, ORDERS, 10), PYR_OK);
        shard_case_turn(&life); /* So that the journal has room for the next. */
        CHECK_INT(large->offset_written, 0);
    }
    CHECK_INT(life.shard->checkpoints, 0);

    (void)rest(&life, 1);

    CHECK_INT(segment_log_segments(large->segments), 2);
    CHECK_INT(large->offset_written, large->offset_end);
    CHECK_INT(life.logs[AUDIT]->offset_written, 0);
    (void)rest(&life, 2);
    CHECK_INT(life.logs[AUDIT]->offset_written, 10);
    CHECK_INT(life.shard->checkpoints, 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A shard of which nothing will expire sleeps, though it was busy: days pass in a few turns. */
TEST(idle, sleeps_where_nothing_is_due)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, UINT32_MAX);
    fill(&life, ORDERS, 10, 0);
    fill(&life, KEYS, 10, 0);
    (void)rest(&life, 20);

    int turns = rest(&life, 10 * DAY_S);

    CHECK(turns <= 2);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A store that is opened and never used removes what was deleted before. */
TEST(idle, clears_a_deleted_log_it_found)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 1U << ORDERS | 1U << AUDIT);
    fill(&life, ORDERS, 4, 0);
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < 1000; turn++) {
        err = shard_partition_delete(life.shard, shard_case_name(ORDERS), NULL);
        shard_case_turn(&life);
    }
    CHECK_INT(err, PYR_OK);
    shard_partition_release(life.logs[ORDERS]);
    shard_case_end(&life);
    life_begin(&life, disk, 0);
    CHECK_INT(shard_partitions_deleted(life.shard), 1);

    (void)rest(&life, 3600 + 60);

    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}
