/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scrub's steps against what happens to a log between them. Covers segment/scrub.c and
 * segment/stage.c.
 */
#include "lib/case.h"
#include "log_case.h"
#include "segment/scrub.h"
#include "unit/io/seam.h"

/* -- Fixture: a log of several segments, all synced, and a scrub -- */

struct fixture {
    struct io *io;
    struct log_case log;
    struct segment_scrub scrub;
};

static void begin(struct fixture *fixture, int64_t segment_bytes, uint32_t batches)
{
    fixture->io = seam_create(&(struct seam_options){0});
    const char *folder = seam_path(seam_folder(fixture->io), "topic-0");
    log_case_init(&fixture->log, fixture->io, strdup(folder), segment_bytes);
    CHECK_INT(log_case_open(&fixture->log), PYR_OK);
    CHECK_INT(log_case_append(&fixture->log, batches), PYR_OK);
    CHECK_INT(log_case_sync(&fixture->log), PYR_OK);
    CHECK_INT(segment_scrub_init(&fixture->scrub, fixture->io, 16 * (size_t)BLOCK_BYTES), PYR_OK);
    segment_scrub_begin(&fixture->scrub, fixture->log.log, 0);
}

static void end(struct fixture *fixture)
{
    segment_scrub_deinit(&fixture->scrub, fixture->io);
    log_case_close(&fixture->log);
    free(bytes_unconst(fixture->log.folder));
    io_destroy(fixture->io);
}

static enum pyr_err step(struct fixture *fixture, uint64_t bytes)
{
    CHECK(segment_scrub_plan(&fixture->scrub, fixture->log.log, bytes));
    segment_scrub_run(&fixture->scrub);
    return segment_scrub_apply(&fixture->scrub, fixture->log.log, &fixture->log.error);
}

/* -- Tests -- */

/* Files that are removed between plan and run are no damage: the log has let go of them. */
TEST(segment_scrub, takes_removed_files_for_no_damage)
{
    struct fixture fixture;
    begin(&fixture, 12000, 300);
    CHECK(segment_log_segments(fixture.log.log) > 2);
    CHECK(segment_scrub_plan(&fixture.scrub, fixture.log.log, 100));
    struct segment_removal job;

    segment_log_set_start(fixture.log.log, log_case_end(&fixture.log));
    CHECK(segment_removal_plan(fixture.log.log, &job));
    segment_removal_run(&job);
    CHECK_INT(segment_removal_apply(fixture.log.log, &job, NULL), PYR_OK);
    segment_scrub_run(&fixture.scrub);

    CHECK_INT(segment_scrub_apply(&fixture.scrub, fixture.log.log, NULL), PYR_OK);
    CHECK_INT(step(&fixture, 1 << 20), PYR_OK);
    CHECK(!segment_scrub_plan(&fixture.scrub, fixture.log.log, 100));
    end(&fixture);
}

/* A file that is gone although the log counts on it is damage, and named. */
TEST(segment_scrub, takes_missing_files_for_damage)
{
    struct fixture fixture;
    begin(&fixture, 12000, 300);
    const char *path = log_case_path(&fixture.log, 0, SEGMENT_KIND_LOG);

    CHECK_INT(io_remove(fixture.io, path), 0);

    CHECK_INT(step(&fixture, 100), PYR_ERR_CORRUPT);
    CHECK(strstr(fixture.log.error.message, path));
    CHECK(fixture.scrub.offset > 0);
    CHECK_INT(step(&fixture, 100), PYR_OK);
    end(&fixture);
}

/* Segments that a compaction has claimed are passed over: their names change under it, and it reads
 * them itself. */
TEST(segment_scrub, passes_over_claimed_segments)
{
    struct fixture fixture;
    begin(&fixture, 12000, 300);
    struct segment_view view;
    CHECK_INT(segment_log_view(fixture.log.log, 0, &view, NULL), PYR_OK);
    struct segment *first = view.segment;
    int64_t first_end = view.shape.end.offset;
    segment_log_view_release(fixture.log.log, &view);

    first->is_claimed = true;
    CHECK_INT(step(&fixture, 100), PYR_OK);
    first->is_claimed = false;

    CHECK_INT(fixture.scrub.segment, first_end);
    end(&fixture);
}

/* What was read ahead of the segment's end, before it was written, is not taken for its bytes. */
TEST(segment_scrub, reads_anew_what_was_written_since)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20, 6);
    CHECK_INT(segment_log_segments(fixture.log.log), 1);
    CHECK_INT(step(&fixture, 100), PYR_OK);
    CHECK(fixture.scrub.offset < fixture.scrub.offset_target);

    CHECK_INT(log_case_append(&fixture.log, 40), PYR_OK);

    CHECK_INT(step(&fixture, 100), PYR_OK);
    CHECK_INT(step(&fixture, 1 << 20), PYR_OK);
    CHECK(!segment_scrub_plan(&fixture.scrub, fixture.log.log, 100)); /* It ends where it began. */
    end(&fixture);
}

/* Two logs have segments of the same number: nothing of one is taken for the other's. */
TEST(segment_scrub, keeps_two_logs_apart)
{
    struct fixture fixture;
    begin(&fixture, 12000, 60);
    struct log_case other;
    char *folder = strdup(seam_path(seam_folder(fixture.io), "topic-1"));
    log_case_init(&other, fixture.io, folder, 12000);
    other.value_bytes = 10;
    other.records_of_batch = 2;
    CHECK_INT(log_case_open(&other), PYR_OK);
    CHECK_INT(log_case_append(&other, 20), PYR_OK);
    CHECK_INT(log_case_sync(&other), PYR_OK);
    CHECK_INT(step(&fixture, 1000), PYR_OK);

    segment_scrub_begin(&fixture.scrub, other.log, 0);

    CHECK(segment_scrub_plan(&fixture.scrub, other.log, 1 << 20));
    segment_scrub_run(&fixture.scrub);
    CHECK_INT(segment_scrub_apply(&fixture.scrub, other.log, NULL), PYR_OK);
    CHECK_INT(fixture.scrub.offset, log_case_end(&other));
    log_case_close(&other);
    free(folder);
    end(&fixture);
}

/* A batch above the stretch that is read at once is read all the same. */
TEST(segment_scrub, reads_batches_of_any_size)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20, 0);
    fixture.log.value_bytes = 100000;
    fixture.log.records_of_batch = 1;
    CHECK_INT(log_case_append(&fixture.log, 3), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    segment_scrub_begin(&fixture.scrub, fixture.log.log, 0);

    while (fixture.scrub.offset < log_case_end(&fixture.log)) {
        CHECK_INT(step(&fixture, 100), PYR_OK);
    }

    end(&fixture);
}
