/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The background scrub on a virtual disk: partition/scrub.c, and segment/scrub.c and stage.c below
 * it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

enum {
    SECOND_NS = 1000000000,
    TURNS_MAX = 20000,
};

/* -- Helpers -- */

/* A shard that scrubs at @rate bytes a second, pass after pass, and whose logs of @mask are open.
 */
static void life_begin(struct shard_life *life, struct sim_disk *disk, uint64_t rate, uint32_t mask)
{
    shard_case_init(life, disk, 5);
    life->scrub_bytes_per_s = rate;
    life->mask = mask;
    assert_int_equal(shard_case_open(life), PYR_OK);
}

static void fill(struct shard_life *life, size_t log, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        assert_int_equal(shard_case_append(life, log, 10), PYR_OK);
        shard_case_turn(life);
    }
    assert_int_equal(shard_case_settle(life), PYR_OK);
    shard_checkpoint_request(life->shard); /* What is synced is what the scrub reads. */
    for (int turn = 0; turn < 60; turn++) {
        shard_case_turn(life);
    }
}

static struct shard_scrub_report report_of(const struct shard_life *life)
{
    struct shard_scrub_report report;
    shard_scrub_report(life->shard, &report);
    return report;
}

/* Turn until @passes more passes are over. */
static void passes(struct shard_life *life, uint64_t count)
{
    uint64_t goal = report_of(life).passes + count;
    for (int turn = 0; report_of(life).passes < goal; turn++) {
        CHECK(turn < TURNS_MAX);
        shard_case_turn(life);
    }
}

/* The path of the .log of log @index's segment number @number. */
static const char *log_path(const struct shard_life *life, size_t index, int number, char *path)
{
    int64_t base = 0;
    struct segment_view view;
    for (int at = 0; at <= number; at++) {
        CHECK_INT(segment_log_view(life->logs[index]->segments, base, &view, NULL), PYR_OK);
        (void)snprintf(path, PATH_BYTES_MAX, "/data/%s/%020" PRId64 ".log", shard_case_name(index),
                       view.shape.identity.offset_base);
        base = view.shape.end.offset;
        segment_log_view_release(life->logs[index]->segments, &view);
    }
    return path;
}

/* -- What it finds -- */

/* A pass reads every byte that is on stable storage, and finds nothing in a sound log. */
TEST(scrub, reads_everything_that_is_synced)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 100 << 20, UINT32_MAX);
    fill(&life, 0, 40);
    fill(&life, 2, 20);
    CHECK(segment_log_segments(life.logs[0]->segments) > 3);
    passes(&life, 1);
    struct shard_scrub_report before = report_of(&life);

    passes(&life, 1);

    struct shard_scrub_report after = report_of(&life);
    uint64_t bytes =
        segment_log_bytes(life.logs[0]->segments) + segment_log_bytes(life.logs[2]->segments);
    CHECK(after.bytes - before.bytes >= bytes);
    CHECK_INT(after.damages, 0);
    CHECK_INT(after.errors, 0);
    CHECK_TEXT(after.first, "");
    CHECK(life.logs[0]->scrub.passes >= 2);
    CHECK_INT(life.logs[0]->scrub.damage_segment, -1);
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* Damage anywhere, in closed segments and in the open one, is found within one pass and named; and
 * the log goes on: readers get the same error, appends and other records are not touched. */
TEST(scrub, finds_damage_within_one_pass)
{
    for (int number = 0; number < 4; number += 3) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk, 100 << 20, 1);
        fill(&life, 0, 30);
        int segment = number == 0 ? 1 : (int)segment_log_segments(life.logs[0]->segments) - 1;
        char path[PATH_BYTES_MAX];
        passes(&life, 1);
        CHECK_INT(report_of(&life).damages, 0);

        CHECK(sim_disk_flip(disk, log_path(&life, 0, segment, path), 300, 3));
        passes(&life, 2); /* One may be under way. */

        struct shard_scrub_report report = report_of(&life);
        CHECK(report.damages >= 1 && report.damages <= 2);
        CHECK(strstr(report.first, path));
        CHECK(strstr(report.first, "orders-0"));
        CHECK_INT(life.logs[0]->scrub.damages, report.damages);
        CHECK_INT(life.logs[0]->scrub.damage_segment, strtoll(strrchr(path, '/') + 1, NULL, 10));
        CHECK(life.logs[0]->scrub.damage_offset >= life.logs[0]->scrub.damage_segment);
        CHECK_INT(shard_case_append(&life, 0, 1), PYR_OK);
        CHECK_INT(shard_case_settle(&life), PYR_OK);
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* What the page cache still remembers is not what the disk has: the scrub reads past it. */
TEST(scrub, reads_past_the_page_cache)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 100 << 20, 1);
    fill(&life, 0, 30);
    passes(&life, 1);

    sim_set_stale(life.sim, ".log");
    passes(&life, 2);

    CHECK_INT(report_of(&life).damages, 0);
    sim_set_stale(life.sim, NULL);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A read that fails is counted and named, and the pass goes on: the disk may answer next time. */
TEST(scrub, counts_reads_that_fail)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 100 << 20, 1);
    fill(&life, 0, 30);
    passes(&life, 1);

    sim_fault_add(life.sim, &(struct sim_fault){.kind = SIM_READ, .name = ".log", .times = 1});
    passes(&life, 2);

    struct shard_scrub_report report = report_of(&life);
    CHECK_INT(report.errors, 1);
    CHECK_INT(report.damages, 0);
    CHECK(strstr(report.first, ".log"));
    CHECK_INT(shard_health(life.shard, NULL), PYR_OK);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* -- Its pace -- */

/* The rate is kept by the clock, neither faster nor much slower. */
TEST(scrub, keeps_its_rate)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 64 << 10, 1);
    fill(&life, 0, 60);
    uint64_t begin_ns = io_now_mono_ns(life.io);
    uint64_t begin_bytes = report_of(&life).bytes;

    while (io_now_mono_ns(life.io) - begin_ns < 20 * (uint64_t)SECOND_NS) {
        shard_case_turn(&life);
    }

    uint64_t read = report_of(&life).bytes - begin_bytes;
    CHECK(read <= (20 * 64 << 10) + 2 * SCRUB_STEP_BYTES);
    CHECK(read >= 10 * 64 << 10);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* With a rate of 0 nothing is read; a pass does not begin before its time. */
TEST(scrub, begins_when_it_is_due_and_not_before)
{
    struct sim_disk *disk = sim_disk_create();
    for (int rate = 0; rate < 2; rate++) {
        struct shard_life life;
        shard_case_init(&life, disk, 5);
        life.scrub_bytes_per_s = rate == 0 ? 0 : 100 << 20;
        life.scrub_interval_ns = 3600 * (uint64_t)SECOND_NS;
        CHECK_INT(shard_case_open(&life), PYR_OK);
        fill(&life, 0, 10);

        CHECK_INT(report_of(&life).bytes, 0);
        sim_advance(life.sim, SCRUB_FIRST_NS);
        for (int turn = 0; turn < 300; turn++) {
            shard_case_turn(&life);
        }

        CHECK_INT(report_of(&life).passes, rate);
        uint64_t bytes = report_of(&life).bytes;
        CHECK((bytes > 0) == (rate == 1));
        sim_advance(life.sim, 3000 * (uint64_t)SECOND_NS);
        for (int turn = 0; turn < 300; turn++) {
            shard_case_turn(&life);
        }
        CHECK_INT(report_of(&life).passes, rate);
        sim_advance(life.sim, 600 * (uint64_t)SECOND_NS);
        for (int turn = 0; turn < 300; turn++) {
            shard_case_turn(&life);
        }
        CHECK_INT(report_of(&life).passes, 2 * rate);
        shard_case_end(&life);
    }
    sim_disk_destroy(disk);
}

/* While a full disk is waited for, the scrub stays away from it. */
TEST(scrub, gives_way_on_a_full_disk)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 100 << 20, 1);
    fill(&life, 0, 30);
    struct pyr_error error = {.code = PYR_ERR_DISK_FULL, .message = "full"};

    shard_disk_full(life.shard, &error);
    life.shard->disk_retry_ns = UINT64_MAX;
    shard_case_turn(&life);
    uint64_t bytes = report_of(&life).bytes;
    for (int turn = 0; turn < 500; turn++) {
        shard_case_turn(&life);
    }

    CHECK_INT(report_of(&life).bytes, bytes);
    shard_disk_has_room(life.shard);
    passes(&life, 1);
    CHECK(report_of(&life).bytes > bytes);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* -- What happens under it -- */

/* Segments are compacted, removed and appended to while they are read: none of it is damage. */
TEST(scrub, takes_no_change_for_damage)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 100 << 20, UINT32_MAX);
    for (int round = 0; round < 200; round++) {
        CHECK_INT(shard_case_append(&life, 0, 10), PYR_OK);
        CHECK_INT(shard_case_append(&life, 3, 10), PYR_OK);
        if (round % 20 == 19) {
            struct partition *log = life.logs[0];
            CHECK_INT(partition_delete_before(log, log->offset_committed, NULL), PYR_OK);
        }
        sim_advance(life.sim, SECOND_NS / 20);
        for (int turn = 0; turn < 8; turn++) {
            shard_case_turn(&life);
        }
    }
    passes(&life, 1);

    struct shard_scrub_report report = report_of(&life);
    CHECK_TEXT(report.first, "");
    CHECK_INT(report.damages + report.errors, 0);
    CHECK(report.passes > 3);
    CHECK(life.logs[3]->records_compacted > 0);
    CHECK(life.logs[0]->start_durable > 0);
    CHECK(shard_case_check(&life, 3, false));
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* A shard closes in the middle of a pass, a step under way included, and nothing is left. */
TEST(scrub, ends_with_the_shard)
{
    for (int turns = 0; turns < 12; turns++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk, 1 << 20, 1);
        fill(&life, 0, 20);
        passes(&life, 1);
        for (int turn = 0; turn < turns; turn++) {
            shard_case_turn(&life);
        }

        shard_case_end(&life);

        CHECK_INT(life.allocations_live, 0);
        sim_disk_destroy(disk);
    }
}

/* Without memory a pass or a step is put off; nothing else happens. */
TEST(scrub, waits_for_memory)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk, 100 << 20, 1);
    fill(&life, 0, 20);
    passes(&life, 1);

    for (uint64_t nth = 1; nth < 12; nth++) {
        io_testing_fail_allocation(life.io, nth);
        for (int turn = 0; turn < 200; turn++) {
            shard_case_turn(&life);
        }
    }
    io_testing_fail_allocation(life.io, 0);

    passes(&life, 1);
    CHECK_INT(report_of(&life).damages + report_of(&life).errors, 0);
    CHECK_INT(shard_health(life.shard, NULL), PYR_OK);
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}
