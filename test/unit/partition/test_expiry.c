/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves a log and when: partition/retention.c, partition/clock.c and partition/compaction.c.
 */
#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

#define DAY_MS INT64_C(86400000)

static struct shard_life life_begin(struct sim_disk *disk)
{
    struct shard_life life;
    assert_int_equal(shard_case_begin(&life, disk, 5), PYR_OK);
    return life;
}

/* Append until log 0 has several segments, all written. */
static void fill(struct shard_life *life, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        assert_int_equal(shard_case_append(life, 0, 10), PYR_OK);
        shard_case_turn(life);
    }
    assert_int_equal(shard_case_settle(life), PYR_OK);
    for (int turn = 0; turn < 60; turn++) {
        shard_case_turn(life);
    }
}

/* Let virtual seconds pass, turning. */
static void pass(struct shard_life *life, int seconds)
{
    for (int second = 0; second < seconds; second++) {
        sim_advance(life->sim, UINT64_C(1000000000));
        for (int turn = 0; turn < 30; turn++) {
            shard_case_turn(life);
        }
    }
}

/* Delete-before is instant for readers, takes whole segments, and holds across a crash once it is
 * durable. */
TEST(partition_delete_before, removes_whole_segments_after_the_start_is_durable)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    fill(&life, 40);
    size_t segments = segment_log_segments(log->segments);
    CHECK(segments > 3);

    CHECK_INT(partition_delete_before(log, 300, NULL), PYR_OK);

    struct partition_view view;
    CHECK_INT(partition_view_take(log, 299, &(struct cache_place){0}, &view, NULL),
              PYR_ERR_OUT_OF_RANGE);
    CHECK_INT(segment_log_segments(log->segments), segments);
    pass(&life, 2);
    CHECK_INT(log->start_durable, 300);
    CHECK(segment_log_segments(log->segments) < segments);
    CHECK(shard_case_check(&life, 0, false));
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_NONE, 1);
    struct shard_life after = life_begin(image);
    CHECK_INT(after.logs[0]->offset_start, 300);
    CHECK(shard_case_check(&after, 0, false));
    shard_case_end(&after);
    shard_case_end(&life);
    sim_disk_destroy(image);
    sim_disk_destroy(disk);
}

/* Past the end there is nothing to delete, and saying so beats guessing. */
TEST(partition_delete_before, refuses_an_offset_past_the_committed_end)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    fill(&life, 1);

    CHECK_INT(partition_delete_before(life.logs[0], 11, NULL), PYR_ERR_OUT_OF_RANGE);

    CHECK_INT(life.logs[0]->offset_start, 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Retention by bytes keeps the newest segments. */
TEST(retention, by_bytes_removes_the_oldest)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    fill(&life, 40);
    uint64_t bytes = segment_log_bytes(log->segments);
    log->options.retention_bytes = bytes / 2;

    pass(&life, 3);

    CHECK(log->offset_start > 0);
    CHECK(segment_log_bytes(log->segments) <= bytes / 2 + 2 * log->options.segment_bytes);
    CHECK_INT(log->offset_committed, 400);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A wall clock at plus ten years, or at minus ten, deletes nothing: it is held back. */
TEST(clock, that_jumps_by_years_deletes_nothing)
{
    const int64_t steps_ms[] = {3650 * DAY_MS, -3650 * DAY_MS};
    for (size_t index = 0; index < 2; index++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life = life_begin(disk);
        struct partition *log = life.logs[0];
        log->options.retention_ms = (uint64_t)DAY_MS;
        (void)clock_now_ms(log);
        int64_t before_ms = clock_now_ms(log);

        sim_step_wall(life.sim, steps_ms[index]);
        pass(&life, 3);

        int64_t after_ms = clock_now_ms(log);
        CHECK(log->is_clock_held);
        CHECK(after_ms >= before_ms);
        CHECK(after_ms < before_ms + 60000);
        CHECK_INT(log->offset_start, 0);
        log->options.retention_ms = 0;
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* A small step of the wall clock is followed, as ntp makes them. */
TEST(clock, follows_small_steps_and_never_goes_back)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    int64_t first_ms = clock_now_ms(log);

    sim_step_wall(life.sim, 60000);
    int64_t forward_ms = clock_now_ms(log);
    log->clock_ms = forward_ms;
    sim_step_wall(life.sim, -60000);
    int64_t backward_ms = clock_now_ms(log);

    CHECK(forward_ms >= first_ms + 60000);
    CHECK(backward_ms >= forward_ms);
    CHECK(!log->is_clock_held);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Time in the log comes from its own stamps; a log that expires by time gets them ahead of its
 * appends, and they survive a restart. */
TEST(clock, stamps_a_log_that_expires_by_time)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[2];
    log->options.retention_ms = (uint64_t)DAY_MS;
    struct bytes_mut room;

    CHECK_INT(partition_reserve(log, 100, &room, NULL), PYR_OK);

    partition_unreserve(log);
    CHECK_INT(log->offset_end, 1); /* The stamp is a control batch of one offset. */
    int64_t stamp_ms = log->clock_ms;
    CHECK(stamp_ms > 0);
    CHECK_INT(shard_case_settle(&life), PYR_OK);
    shard_case_end(&life);
    life = life_begin(disk);
    CHECK_INT(life.logs[2]->clock_ms, stamp_ms);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A log that was opened with retention by time only today has segments from before it had a clock.
 * Their age is unknown: if that counted as very old, they would all be gone within a second. */
TEST(retention, by_time_turned_on_later_deletes_nothing_at_once)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[0];
    fill(&life, 40);
    CHECK(segment_log_segments(log->segments) > 2);
    CHECK_INT(log->clock_ms, 0);
    log->options.retention_ms = (uint64_t)DAY_MS;
    fill(&life, 4);

    pass(&life, 3);

    CHECK(log->clock_ms > 0);
    CHECK_INT(log->offset_start, 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A log that is to roll by age, and expires nothing, needs the clock as well. */
TEST(clock, stamps_a_log_that_rolls_by_age)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[2];
    log->options.segment_age_ms = (uint64_t)DAY_MS;
    struct bytes_mut room;

    CHECK_INT(partition_reserve(log, 100, &room, NULL), PYR_OK);

    partition_unreserve(log);
    CHECK(log->clock_ms > 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A log that expired by time once, and was then opened without, goes on with its clock: its
 * segments of that time would pass for as old as the last stamp, and go when expiry is back. */
TEST(clock, goes_on_once_there_was_a_stamp)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    struct partition *log = life.logs[2];
    log->options.retention_ms = (uint64_t)DAY_MS;
    struct bytes_mut room;
    CHECK_INT(partition_reserve(log, 100, &room, NULL), PYR_OK);
    partition_unreserve(log);
    int64_t stamp_ms = log->clock_ms;
    log->options.retention_ms = 0;
    sim_advance(life.sim, UINT64_C(5000000000));

    CHECK_INT(partition_reserve(log, 100, &room, NULL), PYR_OK);

    partition_unreserve(log);
    CHECK(log->clock_ms >= stamp_ms + 5000);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A log that keeps everything by default must never begin to compact. */
TEST(compaction, leaves_other_logs_alone)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life = life_begin(disk);
    fill(&life, 40);

    pass(&life, 3);

    CHECK(life.logs[0]->compact == NULL);
    CHECK_INT(life.logs[0]->records_compacted, 0);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}
