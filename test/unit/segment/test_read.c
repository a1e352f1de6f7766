/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a read goes about it: how often it asks the disk, where it begins, and that no short cut goes
 * round a check. On the simulated disk, which counts. Covers segment/read.c and segment/points.c.
 */
#include "base/prng.h"
#include "lib/case.h"
#include "log_case.h"
#include "record/batch.h"
#include "sim/sim_io.h"

enum { MEMORY_BYTES = 1 << 20 };

struct fixture {
    struct sim_disk *disk;
    struct sim *sim;
    struct log_case log;
    struct segment_cursor cursor;
    struct segment_run run; /* Of the last read. */
    uint64_t reads;         /* That the last read made. */
    uint8_t *memory;        /* Where runs are read to, */
    size_t memory_bytes;    /* so much of it. */
};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){.disk = sim_disk_create(), .memory_bytes = MEMORY_BYTES};
    fixture->sim = sim_create(&(struct sim_options){.disk = fixture->disk, .seed = 3});
    fixture->memory = malloc(MEMORY_BYTES);
    assert_non_null(fixture->memory);
    log_case_init(&fixture->log, sim_io(fixture->sim), "/log", 1 << 24);
    CHECK_INT(log_case_open(&fixture->log), PYR_OK);
}

static void end(struct fixture *fixture)
{
    log_case_close(&fixture->log);
    free(fixture->memory);
    sim_destroy(fixture->sim);
    sim_disk_destroy(fixture->disk);
}

/* Read a run at @offset, through the cursor. */
static enum pyr_err read_at(struct fixture *fixture, int64_t offset, size_t bytes_max)
{
    struct segment_view view;
    struct segment_read want = {
        .offset = offset,
        .offset_end = INT64_MAX,
        .bytes_max = bytes_max,
        .buffer = {fixture->memory, fixture->memory_bytes},
        .cursor = &fixture->cursor,
    };
    CHECK_INT(segment_log_view(fixture->log.log, offset, &view, &fixture->log.error), PYR_OK);
    CHECK_INT(segment_view_open(&view, &fixture->log.error), PYR_OK);
    uint64_t before = sim_count(fixture->sim, SIM_READ);
    enum pyr_err err = segment_view_read(&view, &want, &fixture->run, &fixture->log.error);
    fixture->reads = sim_count(fixture->sim, SIM_READ) - before;
    segment_log_view_release(fixture->log.log, &view);
    return err;
}

/* Read a run at @offset and check that it begins with the batch of it and holds what it should. */
static void expect_at(struct fixture *fixture, int64_t offset, size_t bytes_max)
{
    CHECK_INT(read_at(fixture, offset, bytes_max), PYR_OK);
    CHECK(fixture->run.data.count > 0);
    int64_t next = offset;
    for (size_t used = 0; used < fixture->run.data.count;) {
        struct bytes rest = {fixture->run.data.data + used, fixture->run.data.count - used};
        size_t bytes = 0;
        int64_t count = log_case_check(rest, next, INT64_MAX, &bytes);
        CHECK(count > 0);
        next += count;
        used += bytes;
    }
    CHECK_INT(fixture->run.offset_next, next);
}

/* -- How often -- */

/* What is looked for lies between two points. They are found in one block of points, since there
 * are few; what lies between them is read at once, however many batches it is. */
TEST(segment_read, reads_what_lies_between_two_points_at_once)
{
    struct prng prng = prng_of(1, 1);
    for (uint32_t value_bytes = 10; value_bytes <= 10000; value_bytes *= 10) {
        struct fixture fixture;
        begin(&fixture);
        fixture.log.value_bytes = value_bytes;
        CHECK_INT(log_case_append(&fixture.log, 60), PYR_OK);

        for (int round = 0; round < 100; round++) {
            fixture.cursor = (struct segment_cursor){0};
            expect_at(&fixture, (int64_t)prng_below(&prng, 180), 1);
            CHECK_INT(fixture.reads, 2);
            CHECK_INT(fixture.run.batches, 1);
        }
        end(&fixture);
    }
}

/* A reader that goes on where it ended needs no search: the bytes, and the points behind them, also
 * where there are many points. Up to the next point, which it has met, not even those. */
TEST(segment_read, goes_on_without_a_search)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.log.value_bytes = 300;
    for (int round = 0; round < 4; round++) {
        CHECK_INT(log_case_append(&fixture.log, 500), PYR_OK);
    }

    for (size_t bytes_max = 1; bytes_max <= 300000; bytes_max = bytes_max * 10 + 1) {
        uint64_t reads = 0;
        uint64_t runs = 0;
        expect_at(&fixture, 0, bytes_max);
        while (fixture.run.offset_next < log_case_end(&fixture.log)) {
            expect_at(&fixture, fixture.run.offset_next, bytes_max);
            CHECK(fixture.reads <= 3); /* The bytes, points, and the headers up to there. */
            reads += fixture.reads;
            runs++;
        }
        CHECK(bytes_max > 1 || reads < runs * 3 / 2);
        fixture.cursor = (struct segment_cursor){0};
    }
    end(&fixture);
}

/* What lies far ahead of the cursor is searched for: a walk would read all between. */
TEST(segment_read, searches_rather_than_walks_far)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.log.value_bytes = 1000;
    CHECK_INT(log_case_append(&fixture.log, 500), PYR_OK);
    CHECK_INT(log_case_append(&fixture.log, 500), PYR_OK);
    expect_at(&fixture, 0, 1);

    expect_at(&fixture, 2900, 1);

    CHECK(fixture.reads <= 10);
    expect_at(&fixture, 100, 1); /* And back. */
    CHECK(fixture.reads <= 10);
    end(&fixture);
}

/* A batch that does not fit behind what was read before it is moved to the front of the buffer, and
 * what is missing of it is read, wherever it was cut. */
TEST(segment_read, reads_on_for_a_larger_batch)
{
    struct fixture fixture;
    begin(&fixture);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    fixture.log.value_bytes = 10000;
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    fixture.memory_bytes = 100;
    CHECK_INT(read_at(&fixture, 30, 1), PYR_ERR_TOO_LARGE);
    size_t needed = fixture.run.bytes_needed;
    CHECK(needed > 30000 && needed < 31000);

    for (size_t spare = 0; spare < 3000; spare += 7) {
        fixture.cursor = (struct segment_cursor){0};
        fixture.memory_bytes = needed + spare;
        expect_at(&fixture, 31, 1);
        CHECK_INT(fixture.run.batches, 1);
        CHECK_INT(fixture.run.data.count, needed);
        CHECK(fixture.reads <= 3);
    }
    end(&fixture);
}

/* -- What is checked -- */

/* Write @value over the byte at @at of the batch that begins at @offset. */
static void poke_batch(struct fixture *fixture, int64_t offset, size_t at, uint8_t value)
{
    const char *path = log_case_path(&fixture->log, 0, SEGMENT_KIND_LOG);
    size_t count = 0;
    uint8_t *data = log_case_load(sim_io(fixture->sim), path, &count);
    assert_non_null(data);
    size_t position = 0;
    struct batch_header header = {.base_offset = -1};
    while (header.base_offset != offset) {
        position += header.bytes;
        struct bytes rest = {data + position, count - position};
        CHECK_INT(batch_header_read(rest, &header, NULL), PYR_OK);
    }
    log_case_poke(sim_io(fixture->sim), path, (int64_t)(position + at), (struct bytes){&value, 1});
    free(data);
}

/* SEG-9: an epoch is under no checksum of the batch. A reader that stands between two points still
 * meets the one behind. */
TEST(segment_read, finds_a_changed_epoch_behind_the_cursor)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.log.value_bytes = 100;
    CHECK_INT(log_case_append(&fixture.log, 60), PYR_OK);
    expect_at(&fixture, 90, 1);
    int64_t last = fixture.cursor.goal.offset - 3; /* The next one's epoch is not walked to. */
    CHECK(last > 90);

    poke_batch(&fixture, last, BATCH_EPOCH_POSITION + 3, 1);

    CHECK_INT(read_at(&fixture, last, 1), PYR_ERR_CORRUPT);
    CHECK(strstr(fixture.log.error.message, ".log' at position"));
    fixture.cursor = (struct segment_cursor){0};
    CHECK_INT(read_at(&fixture, 90, 1), PYR_ERR_CORRUPT); /* Nor is what shares the stretch. */
    expect_at(&fixture, 0, 1);
    end(&fixture);
}

/* A cursor holds for what it was taken of. After a truncation the same offsets are other batches.
 */
TEST(segment_read, forgets_the_cursor_over_a_truncation)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.log.value_bytes = 100;
    CHECK_INT(log_case_append(&fixture.log, 60), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    expect_at(&fixture, 90, 1);

    CHECK_INT(log_case_truncate(&fixture.log, 87), PYR_OK);
    fixture.log.epoch = 2;
    fixture.log.records_of_batch = 1;
    fixture.log.value_bytes = 150;
    CHECK_INT(log_case_append(&fixture.log, 50), PYR_OK);

    expect_at(&fixture, 93, 1);
    expect_at(&fixture, 94, 2000);
    end(&fixture);
}

/* Flip a bit of the point in @slot. */
static void damage_point(struct fixture *fixture, uint32_t slot)
{
    const char *path = log_case_path(&fixture->log, 0, SEGMENT_KIND_DIGEST);
    size_t count = 0;
    uint8_t *digest = log_case_load(sim_io(fixture->sim), path, &count);
    assert_non_null(digest);
    int64_t position = segment_point_position(slot) + 8;
    CHECK(position < (int64_t)count);
    digest[position] ^= 4;
    log_case_poke(sim_io(fixture->sim), path, position, (struct bytes){digest + position, 1});
    free(digest);
}

/* A damaged point is stepped over, in the search and behind the run: the walk is a little longer,
 * and no less checked. */
TEST(segment_read, steps_over_a_damaged_point)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.log.value_bytes = 1500;
    CHECK_INT(log_case_append(&fixture.log, 200), PYR_OK);

    for (uint32_t slot = 1; slot < 200; slot += 11) {
        damage_point(&fixture, slot);
        for (int64_t offset = 0; offset < 600; offset += 13) {
            fixture.cursor = (struct segment_cursor){0};
            expect_at(&fixture, offset, 1);
            CHECK(fixture.reads <= 8);
            expect_at(&fixture, fixture.run.offset_next < 600 ? fixture.run.offset_next : 0, 9000);
            CHECK(fixture.reads <= 8);
        }
        damage_point(&fixture, slot); /* And back. */
    }
    end(&fixture);
}

/* Where the search had to go round damage, the point behind that it met may be far: the nearest one
 * is looked for before anything is walked. */
TEST(segment_read, proves_by_the_nearest_point)
{
    struct fixture fixture;
    begin(&fixture);
    fixture.log.value_bytes = 1500;
    CHECK_INT(log_case_append(&fixture.log, 200), PYR_OK);
    for (uint32_t slot = 100; slot < 104; slot++) {
        damage_point(&fixture, slot); /* The first that is looked at, and those beside it. */
    }

    expect_at(&fixture, 294, 1);

    CHECK(fixture.reads <= 10);
    CHECK_INT(fixture.cursor.goal.offset, 309);
    end(&fixture);
}
