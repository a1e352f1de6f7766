/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a log: append, roll, sync, close, open, read, truncate, remove; on each
 * implementation of the seam. Covers segment/append.c, segment/chain.c, segment/files.c,
 * segment/find.c, segment/format.c, segment/log.c, segment/points.c, segment/read.c,
 * segment/rebuild.c, segment/recover.c, segment/remove.c, segment/retain.c, segment/segment.c,
 * segment/sync.c, segment/truncate.c and segment/writer.c.
 */
#include <errno.h>

#include "base/codec.h"
#include "lib/case.h"
#include "log_case.h"
#include "unit/io/seam.h"

/* -- Fixture -- */

struct fixture {
    struct io *io;
    struct log_case log;
};

static void begin(struct fixture *fixture, int64_t segment_bytes)
{
    fixture->io = seam_create(&(struct seam_options){0});
    const char *folder = seam_path(seam_folder(fixture->io), "topic-0");
    log_case_init(&fixture->log, fixture->io, strdup(folder), segment_bytes);
    CHECK_INT(log_case_open(&fixture->log), PYR_OK);
}

static void end(struct fixture *fixture)
{
    log_case_close(&fixture->log);
    free(bytes_unconst(fixture->log.folder));
    io_destroy(fixture->io);
}

static void reopen(struct fixture *fixture)
{
    log_case_close(&fixture->log);
    CHECK_INT(log_case_open(&fixture->log), PYR_OK);
}

/* -- Append and read -- */

/* What went in comes out, from the first record and from the middle of a batch. */
TEST(segment_log, reads_back_what_was_appended)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20);

    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);

    CHECK_INT(log_case_end(&fixture.log), 300);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 300);
    CHECK_INT(log_case_read(&fixture.log, 151, 100), 149);
    CHECK_INT(log_case_read(&fixture.log, 299, 1), 1);
    end(&fixture);
}

/* The same through mappings, over segment borders, in pieces of one batch. */
TEST(segment_log, reads_through_mappings)
{
    struct fixture fixture;
    begin(&fixture, 4096);
    fixture.log.options.use_mmap = true;
    reopen(&fixture);

    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    CHECK_INT(log_case_read(&fixture.log, 0, 1), 300);
    CHECK_INT(log_case_append(&fixture.log, 200), PYR_OK);

    CHECK(segment_log_segments(fixture.log.log) > 5);
    CHECK_INT(log_case_read(&fixture.log, 0, 1), 900);
    CHECK_INT(log_case_read(&fixture.log, 450, 3000), 450);
    end(&fixture);
}

/* A guard as the owner of a process gives it. */
struct watch {
    struct segment_guard guard;
    int runs;
    int error; /* What a mapped page that cannot be read comes to. */
};

static int watch_run(const struct segment_guard *guard, void (*work)(void *arg), void *arg)
{
    struct watch *watch = container_of(bytes_unconst(guard), struct watch, guard);
    watch->runs++;
    if (watch->error == 0) {
        work(arg);
    }
    return watch->error;
}

/* Mapped memory is touched under the owner's guard only, and what it caught is a read error that
 * names the file. Without a mapping there is nothing to guard. */
TEST(segment_guard, turns_a_fault_into_a_read_error)
{
    for (int mapped = 0; mapped < 2; mapped++) {
        struct fixture fixture;
        struct watch watch = {.guard = {.run = watch_run}};
        begin(&fixture, 4096);
        fixture.log.options.use_mmap = mapped == 1;
        fixture.log.options.guard = &watch.guard;
        reopen(&fixture);
        CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);

        CHECK_INT(log_case_read(&fixture.log, 0, 1000), 300);

        CHECK((watch.runs > 0) == (mapped == 1));
        watch.error = EIO;
        CHECK_INT(log_case_read(&fixture.log, 0, 1000), mapped == 1 ? -1 : 300);
        CHECK(mapped == 0 || fixture.log.error.code == PYR_ERR_IO);
        CHECK(mapped == 0 || strstr(fixture.log.error.message, ".log"));
        end(&fixture);
    }
}

/* A segment is full before the batch that would pass its bound, and the next one begins there. */
TEST(segment_log, rolls_by_bytes)
{
    struct fixture fixture;
    begin(&fixture, 4096);

    CHECK_INT(log_case_append(&fixture.log, 300), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);

    size_t segments = segment_log_segments(fixture.log.log);
    CHECK(segments >= 10);
    CHECK_INT(segment_log_segment_of(fixture.log.log, 0), 0);
    int64_t second = segment_log_segment_of(fixture.log.log, 90);
    CHECK(second > 0 && second <= 90);
    size_t count = 0;
    uint8_t *data =
        log_case_load(fixture.io, log_case_path(&fixture.log, 0, SEGMENT_KIND_LOG), &count);
    CHECK(count <= 4096 && count > 3500);
    free(data);
    reopen(&fixture);
    CHECK_INT(segment_log_segments(fixture.log.log), segments);
    CHECK_INT(fixture.log.report.bytes_cut, 0);
    CHECK_INT(fixture.log.report.indexes_rebuilt, 0);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 900);
    end(&fixture);
}

/* Age counts by the clock that the owner gives, and an empty segment never rolls. */
TEST(segment_log, rolls_by_age)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20);
    fixture.log.options.segment_age_max_ms = 1000;
    reopen(&fixture);

    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    fixture.log.clock_ms = 999;
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    CHECK_INT(segment_log_segments(fixture.log.log), 1);
    fixture.log.clock_ms = 1000;
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);

    CHECK_INT(segment_log_segments(fixture.log.log), 2);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 9);
    end(&fixture);
}

/* A segment bound above what Kafka's positions can say is capped, and the log says so. */
TEST(segment_log, caps_the_segment_size)
{
    struct fixture fixture;
    begin(&fixture, 3 * GIB);
    bool is_capped = false;

    CHECK(segment_log_bytes_max(fixture.log.log, &is_capped) == SEGMENT_BYTES_MAX);

    CHECK(is_capped);
    end(&fixture);
}

/* Batches that do not follow are refused, and nothing has changed. */
TEST(segment_append, refuses_what_does_not_follow)
{
    struct fixture fixture;
    uint8_t memory[4096];
    struct segment_append job;
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 2), PYR_OK);
    struct bytes part =
        log_case_batch(&fixture.log, (struct bytes_mut){.data = memory, .count = sizeof memory}, 7);

    CHECK_INT(segment_append_plan(fixture.log.log, &job, &part, 1, 0, NULL), PYR_OK);
    segment_append_run(&job);
    CHECK_INT(segment_append_apply(fixture.log.log, &job, NULL), PYR_ERR_INVALID);

    CHECK_INT(log_case_end(&fixture.log), 6);
    CHECK_INT(log_case_append(&fixture.log, 2), PYR_OK);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 12);
    end(&fixture);
}

/* A prepared file is used by the roll, and leaves no trace. */
TEST(segment_prepare, makes_the_next_file_ahead)
{
    struct fixture fixture;
    struct segment_prepare job;
    begin(&fixture, 4096);
    CHECK(!segment_prepare_plan(fixture.log.log, &job));
    CHECK_INT(log_case_append(&fixture.log, 25), PYR_OK);

    CHECK(segment_prepare_plan(fixture.log.log, &job));
    segment_prepare_run(&job);
    segment_prepare_apply(fixture.log.log, &job);
    CHECK(!segment_prepare_plan(fixture.log.log, &job));
    CHECK_INT(log_case_append(&fixture.log, 25), PYR_OK);

    struct io_stat stat;
    char path[PATH_BYTES_MAX];
    CHECK(segment_path_join(path, fixture.log.folder, SEGMENT_PREPARED_FILE_NAME));
    CHECK(io_stat(fixture.io, path, &stat) != 0);
    CHECK_INT(segment_log_segments(fixture.log.log), 2);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    reopen(&fixture);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 150);
    end(&fixture);
}

/* -- Find -- */

/* Time finds the first batch that is late enough, across segments; beyond all there is none. */
TEST(segment_view, finds_by_time)
{
    struct fixture fixture;
    struct segment_view view;
    int64_t offset = -1;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 200), PYR_OK);

    for (int64_t batch = 0; batch < 200; batch += 7) {
        int64_t timestamp = 1000 + 10 * batch;
        CHECK_INT(segment_log_view_time(fixture.log.log, timestamp - 4, &view, NULL), PYR_OK);
        CHECK_INT(segment_view_find_time(&view, timestamp - 4, &offset, NULL), PYR_OK);
        segment_log_view_release(fixture.log.log, &view);
        CHECK_INT(offset, batch * 3);
    }
    CHECK_INT(segment_log_view_time(fixture.log.log, 1000 + 10 * 200, &view, NULL),
              PYR_ERR_NOT_FOUND);
    end(&fixture);
}

/* A batch larger than the buffer is named with what it needs. */
TEST(segment_view, says_which_buffer_a_batch_needs)
{
    struct fixture fixture;
    struct segment_view view;
    uint8_t memory[100];
    struct segment_run run = {0};
    struct segment_read want = {.offset_end = INT64_MAX,
                                .bytes_max = 50,
                                .buffer = {memory, sizeof memory}};
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 2), PYR_OK);

    CHECK_INT(segment_log_view(fixture.log.log, 0, &view, NULL), PYR_OK);
    CHECK_INT(segment_view_read(&view, &want, &run, NULL), PYR_ERR_TOO_LARGE);
    segment_log_view_release(fixture.log.log, &view);

    CHECK(run.bytes_needed > 100 && run.bytes_needed < 300);
    end(&fixture);
}

/* A mapping made when there was less, which a view of then gave to the cache, does not serve a log
 * that has grown since and maps no more. */
TEST(segment_view, does_not_read_behind_an_old_mapping)
{
    struct fixture fixture;
    struct segment_view view;
    begin(&fixture, 1 << 24);
    fixture.log.options.use_mmap = true;
    fixture.log.value_bytes = 4096;
    reopen(&fixture);
    CHECK_INT(log_case_append(&fixture.log, 20), PYR_OK);
    CHECK_INT(segment_log_view(fixture.log.log, 0, &view, &fixture.log.error), PYR_OK);
    CHECK_INT(segment_view_open(&view, &fixture.log.error), PYR_OK);
    for (int round = 0; round < 4; round++) {
        CHECK_INT(log_case_append(&fixture.log, 40), PYR_OK);
    }
    CHECK(view.handle->log_map_bytes < segment_log_bytes(fixture.log.log));

    segment_log_view_release(fixture.log.log, &view);
    segment_log_configure(fixture.log.log, 1 << 24, 0, false);

    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), log_case_end(&fixture.log));
    end(&fixture);
}

/* A point whose check is right but which no writer makes is no point: what goes by it may rely on
 * its bounds. */
TEST(segment_point, is_refused_out_of_its_bounds)
{
    const struct segment_identity identity = {.offset_base = 100};
    struct segment_point point = {.offset = 105, .epoch = 0, .kind = SEGMENT_POINT_INDEX};
    struct segment_point got;
    uint8_t data[SEGMENT_POINT_BYTES];

    point.batch_delta = INT32_MAX - 5;
    segment_point_put(data, &identity, 1, &point);
    CHECK(segment_point_get(data, &identity, 1, &got)); /* SEG-1 */
    CHECK(!segment_point_get(data, &identity, 2, &got));
    point.batch_delta++;
    segment_point_put(data, &identity, 1, &point);
    CHECK(!segment_point_get(data, &identity, 1, &got));
}

/* A reader sees nothing at or past its limit: batches that end above it are not handed out. */
TEST(segment_view, stops_at_the_committed_end)
{
    struct fixture fixture;
    struct segment_view view;
    static uint8_t memory[1 << 16];
    struct segment_run run = {0};
    struct segment_read want = {.offset_end = 8,
                                .bytes_max = sizeof memory,
                                .buffer = {memory, sizeof memory}};
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 5), PYR_OK);

    CHECK_INT(segment_log_view(fixture.log.log, 0, &view, NULL), PYR_OK);
    CHECK_INT(segment_view_read(&view, &want, &run, NULL), PYR_OK);
    segment_log_view_release(fixture.log.log, &view);

    CHECK_INT(run.batches, 2);
    CHECK_INT(run.records, 6);
    CHECK_INT(run.offset_next, 6);
    CHECK_INT(segment_log_view(fixture.log.log, 15, &view, NULL), PYR_ERR_OUT_OF_RANGE);
    end(&fixture);
}

/* -- Open -- */

/* What lies beyond the claim is cut, since the journal brings it again. */
TEST(segment_open, cuts_what_the_claim_does_not_name)
{
    struct fixture fixture;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);

    reopen(&fixture);

    CHECK_INT(log_case_end(&fixture.log), 30);
    CHECK(fixture.log.report.bytes_cut > 0);
    CHECK(fixture.log.report.files_removed >= 2);
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 330);
    end(&fixture);
}

/* With leave to scan, what checks out is taken over, and only the torn rest is cut. */
TEST(segment_open, takes_over_what_checks_out_if_it_may_scan)
{
    struct fixture fixture;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    struct segment_end last = segment_log_end(fixture.log.log);
    log_case_close(&fixture.log);
    log_case_poke(fixture.io, log_case_path(&fixture.log, last.segment, SEGMENT_KIND_LOG),
                  (int64_t)last.bytes - 1,
                  (struct bytes){.data = (const uint8_t *)"!", .count = 1});

    fixture.log.may_scan = true;
    CHECK_INT(log_case_open(&fixture.log), PYR_OK);

    CHECK_INT(log_case_end(&fixture.log), 327);
    CHECK(fixture.log.report.bytes_cut > 0);
    CHECK(strstr(fixture.log.report.cut_reason, "offset 327"));
    CHECK_INT(fixture.log.report.records, 327);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 327);
    CHECK_INT(segment_log_synced(fixture.log.log).offset, 30);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    fixture.log.may_scan = false;
    reopen(&fixture);
    CHECK_INT(fixture.log.report.bytes_cut, 0);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 327);
    end(&fixture);
}

/* A claim that the files do not bear out is corruption, not a shorter log. */
TEST(segment_open, refuses_a_claim_that_is_not_met)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 60), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    struct segment_end claim = fixture.log.claim;
    log_case_close(&fixture.log);

    log_case_poke(fixture.io, log_case_path(&fixture.log, 0, SEGMENT_KIND_LOG),
                  (int64_t)claim.bytes - 5000, (struct bytes){0});
    CHECK_INT(log_case_open(&fixture.log), PYR_ERR_CORRUPT);

    CHECK(strstr(fixture.log.error.message, "00000000000000000000.log"));
    CHECK_INT(log_case_open(&fixture.log), PYR_ERR_CORRUPT);
    fixture.log.claim = (struct segment_end){.epoch = -1};
    CHECK_INT(log_case_open(&fixture.log), PYR_OK);
    end(&fixture);
}

/* Another log's folder is not touched. */
TEST(segment_open, refuses_another_logs_folder)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    log_case_close(&fixture.log);

    fixture.log.options.log.value[3] ^= 1;
    CHECK_INT(log_case_open(&fixture.log), PYR_ERR_FOREIGN);

    fixture.log.options.log.value[3] ^= 1;
    CHECK_INT(log_case_open(&fixture.log), PYR_OK);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 3);
    end(&fixture);
}

/* What nothing explains is put aside under its name, and never removed. */
TEST(segment_open, moves_unknown_files_to_quarantine)
{
    struct fixture fixture;
    char path[PATH_BYTES_MAX];
    size_t count = 0;
    begin(&fixture, 1 << 20);
    CHECK(segment_path_join(path, fixture.log.folder, "precious.txt"));
    log_case_poke(fixture.io, path, 0, bytes_of_text("keep me"));
    CHECK(segment_path_join(path, fixture.log.folder, "00000000000000000000.snapshot"));
    log_case_poke(fixture.io, path, 0, bytes_of_text("me too"));

    reopen(&fixture);

    CHECK_INT(fixture.log.report.quarantined, 2);
    CHECK(segment_path_join(path, fixture.log.folder, "quarantine/precious.txt"));
    uint8_t *data = log_case_load(fixture.io, path, &count);
    CHECK_INT(count, 7);
    CHECK_BYTES(data, "keep me", 7);
    free(data);
    end(&fixture);
}

/* Spoil the index @kind of the segment of @offset, and see that opening makes it anew: @cut is its
 * new length, or -1 to remove it, or 12 to add twelve bytes. */
static void check_index_rebuilt(int64_t offset, int64_t cut, enum segment_kind kind)
{
    struct fixture fixture;
    begin(&fixture, 30000);
    fixture.log.value_bytes = 200;
    CHECK_INT(log_case_append(&fixture.log, 75), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    int64_t base = segment_log_segment_of(fixture.log.log, offset);
    const char *path = log_case_path(&fixture.log, base, kind);
    size_t count = 0;
    size_t count_again = 0;
    uint8_t *good = log_case_load(fixture.io, path, &count);
    CHECK(count >= 24);
    log_case_close(&fixture.log);
    if (cut < 0) {
        CHECK_INT(io_remove(fixture.io, path), 0);
    } else if (cut == 12) {
        log_case_poke(fixture.io, path, (int64_t)count, bytes_of_text("twelve bytes"));
    } else {
        log_case_poke(fixture.io, path, cut, (struct bytes){0});
    }

    CHECK_INT(log_case_open(&fixture.log), PYR_OK);

    uint8_t *again = log_case_load(fixture.io, path, &count_again);
    CHECK_INT(count_again, count);
    CHECK_BYTES(again, good, count);
    CHECK(fixture.log.report.indexes_rebuilt > 0 || (int64_t)count == cut);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 225);
    free(good);
    free(again);
    end(&fixture);
}

/* An index that is missing, cut, longer or older than its log is made anew, whatever it says
 * (mutant stale_index_trusted). */
TEST(segment_open, rebuilds_indexes_that_are_wrong)
{
    static const int64_t cuts[] = {-1, 0, 8, 12, 24};
    for (size_t index = 0; index < sizeof cuts / sizeof cuts[0]; index++) {
        for (enum segment_kind kind = SEGMENT_KIND_INDEX; kind <= SEGMENT_KIND_TIMEINDEX; kind++) {
            check_index_rebuilt(0, cuts[index], kind);
            check_index_rebuilt(224, cuts[index], kind);
        }
    }
}

/* A digest file that is missing is made from the log, and still guards it. */
TEST(segment_open, rebuilds_a_missing_digest)
{
    for (int place = 0; place < 2; place++) {
        struct fixture fixture;
        begin(&fixture, 30000);
        fixture.log.value_bytes = 200;
        CHECK_INT(log_case_append(&fixture.log, 75), PYR_OK);
        CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
        int64_t base = segment_log_segment_of(fixture.log.log, place == 0 ? 0 : 224);
        const char *path = log_case_path(&fixture.log, base, SEGMENT_KIND_DIGEST);
        size_t count = 0;
        size_t count_again = 0;
        uint8_t *good = log_case_load(fixture.io, path, &count);
        log_case_close(&fixture.log);
        CHECK_INT(io_remove(fixture.io, path), 0);

        CHECK_INT(log_case_open(&fixture.log), PYR_OK);

        uint8_t *again = log_case_load(fixture.io, path, &count_again);
        CHECK_INT(count_again, count);
        memset(good + SEGMENT_TAIL_AT, 0, 2 * (size_t)SEGMENT_TAIL_BYTES); /* Made by a sync. */
        CHECK_BYTES(again, good, count);
        CHECK(fixture.log.report.indexes_rebuilt > 0);
        free(good);
        free(again);
        end(&fixture);
    }
}

/* -- Epochs -- */

/* The table and Kafka's file follow appends, truncation and opening. */
TEST(segment_log, keeps_the_epoch_table)
{
    struct fixture fixture;
    char path[PATH_BYTES_MAX];
    size_t count = 0;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 2), PYR_OK);
    fixture.log.epoch = 5;
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    fixture.log.epoch = 9;
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);

    CHECK(segment_path_join(path, fixture.log.folder, SEGMENT_EPOCH_FILE_NAME));
    uint8_t *text = log_case_load(fixture.io, path, &count);
    CHECK_INT(count, strlen("0\n3\n0 0\n5 6\n9 306\n"));
    CHECK_BYTES(text, "0\n3\n0 0\n5 6\n9 306\n", count);
    free(text);
    CHECK_INT(log_case_truncate(&fixture.log, 306), PYR_OK);
    text = log_case_load(fixture.io, path, &count);
    CHECK_BYTES(text, "0\n2\n0 0\n5 6\n", count);
    free(text);
    CHECK_INT(io_remove(fixture.io, path), 0);
    reopen(&fixture);

    const struct segment_epoch *rows = segment_log_epochs(fixture.log.log, &count);
    CHECK_INT(count, 2);
    CHECK_INT(rows[1].epoch, 5);
    CHECK_INT(rows[1].offset_start, 6);
    CHECK_INT(log_case_read(&fixture.log, 0, 4096), 306);
    end(&fixture);
}

/* -- Truncate -- */

/* At every batch border: what is below stays, the files agree, and the log goes on. */
TEST(segment_truncate, cuts_at_every_batch)
{
    for (int64_t offset = 0; offset <= 150; offset += 3) {
        struct fixture fixture;
        begin(&fixture, 2048);
        CHECK_INT(log_case_append(&fixture.log, 50), PYR_OK);
        if (offset % 2 == 0) {
            CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
        }

        CHECK_INT(log_case_truncate(&fixture.log, offset), PYR_OK);

        CHECK_INT(log_case_end(&fixture.log), offset);
        CHECK_INT(log_case_read(&fixture.log, 0, 4096), offset);
        CHECK_INT(segment_log_synced(fixture.log.log).offset, offset);
        fixture.log.epoch = 1;
        CHECK_INT(log_case_append(&fixture.log, 20), PYR_OK);
        CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
        reopen(&fixture);
        CHECK_INT(fixture.log.report.indexes_rebuilt, 0);
        CHECK_INT(log_case_read(&fixture.log, 0, 4096), offset + 60);
        end(&fixture);
    }
}

/* Inside a batch there is no place to cut. */
TEST(segment_truncate, refuses_the_inside_of_a_batch)
{
    struct fixture fixture;
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);

    CHECK_INT(log_case_truncate(&fixture.log, 7), PYR_ERR_INVALID);

    CHECK_INT(log_case_end(&fixture.log), 30);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    CHECK_INT(log_case_read(&fixture.log, 0, 4096), 60);
    end(&fixture);
}

/* A view that has yet to open its segment holds a truncation off. */
TEST(segment_truncate, waits_for_views)
{
    struct fixture fixture;
    struct segment_view view;
    struct segment_truncate job;
    begin(&fixture, 1 << 20);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    reopen(&fixture);

    CHECK_INT(segment_log_view(fixture.log.log, 0, &view, NULL), PYR_OK);
    CHECK_INT(segment_truncate_plan(fixture.log.log, &job, 15, NULL), PYR_ERR_BUSY); /* SEG-3 */

    segment_log_view_release(fixture.log.log, &view);
    CHECK_INT(log_case_truncate(&fixture.log, 15), PYR_OK);
    CHECK_INT(log_case_read(&fixture.log, 0, 4096), 15);
    end(&fixture);
}

/* -- Retention -- */

static void remove_below_start(struct fixture *fixture)
{
    struct segment_removal job;
    while (segment_removal_plan(fixture->log.log, &job)) {
        segment_removal_run(&job);
        CHECK_INT(segment_removal_apply(fixture->log.log, &job, NULL), PYR_OK);
        segment_removal_run(&job);
    }
}

/* Whole segments below the start go; the start itself stays readable. */
TEST(segment_removal, removes_whole_segments_below_the_start)
{
    struct fixture fixture;
    struct io_stat stat;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 300), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    const char *first = log_case_path(&fixture.log, 0, SEGMENT_KIND_LOG);
    size_t before = segment_log_segments(fixture.log.log);

    segment_log_set_start(fixture.log.log, 500);
    fixture.log.start = 500;
    remove_below_start(&fixture);

    CHECK(segment_log_segments(fixture.log.log) < before);
    CHECK(segment_log_segment_of(fixture.log.log, 500) <= 500);
    CHECK(io_stat(fixture.io, first, &stat) != 0);
    CHECK_INT(log_case_read(&fixture.log, 500, 4096), 400);
    struct segment_view view;
    CHECK_INT(segment_log_view(fixture.log.log, 499, &view, NULL), PYR_ERR_OUT_OF_RANGE);
    reopen(&fixture);
    CHECK_INT(fixture.log.report.bytes_cut, 0);
    CHECK_INT(log_case_read(&fixture.log, 500, 4096), 400);
    end(&fixture);
}

/* Return how many files of the log's folder are named *.deleted. */
static size_t count_deleted(struct fixture *fixture)
{
    struct io_entries entries;
    size_t count = 0;
    CHECK_INT(io_list(fixture->io, fixture->log.folder, &entries), 0);
    for (size_t index = 0; index < entries.count; index++) {
        count += strstr(entries.rows[index].name, ".deleted") != NULL;
    }
    io_entries_free(fixture->io, &entries);
    return count;
}

/* Opening only renames what lies beyond the end, since removing what is in the page cache takes its
 * time. The first removal takes it away; what is appended meanwhile under the same name stays. */
TEST(segment_removal, removes_what_opening_found_beyond_the_end)
{
    struct fixture fixture;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);

    reopen(&fixture);
    CHECK(fixture.log.report.files_removed >= 2);
    CHECK(count_deleted(&fixture) >= (size_t)2 * SEGMENT_KIND_COUNT);
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    remove_below_start(&fixture);

    CHECK_INT(count_deleted(&fixture), 0);
    CHECK_INT(log_case_read(&fixture.log, 0, 1 << 20), 330);
    reopen(&fixture);
    reopen(&fixture); /* What no removal took is gone with the next opening. */
    CHECK_INT(count_deleted(&fixture), 0);
    end(&fixture);
}

/* Age goes by the log's clock: a client's year 2100, or 1970, changes nothing. */
TEST(segment_retention, judges_age_by_the_logs_clock)
{
    struct fixture fixture;
    begin(&fixture, 4096);
    fixture.log.clock_ms = 1000000;
    fixture.log.timestamp_ms = INT64_C(4102444800000); /* 2100-01-01. */
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    fixture.log.clock_ms = 2000000;
    fixture.log.timestamp_ms = 0;
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    struct segment_retention retention = {.clock_ms = 2000000,
                                          .age_max_ms = 900000,
                                          .offset_limit = INT64_MAX};

    int64_t start = segment_retention_start(fixture.log.log, &retention);
    CHECK(start > 200 && start <= 300);
    reopen(&fixture);
    CHECK_INT(segment_retention_start(fixture.log.log, &retention), start);

    retention.clock_ms = -1000000000;
    CHECK_INT(segment_retention_start(fixture.log.log, &retention), 0);
    retention.clock_ms = 2000000;
    retention.offset_limit = 10;
    CHECK_INT(segment_retention_start(fixture.log.log, &retention), 0);
    retention = (struct segment_retention){.bytes_max = 8192, .offset_limit = INT64_MAX};
    start = segment_retention_start(fixture.log.log, &retention);
    CHECK(start > 300 && start < 600);
    end(&fixture);
}

/* When the first segment expires, and when the last is left for its age, is known ahead to the
 * millisecond: too early a look finds nothing, and too late a one keeps what should go. */
TEST(segment_retention, knows_when_it_is_due)
{
    struct fixture fixture;
    begin(&fixture, 4096);
    fixture.log.clock_ms = 1000000;
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    fixture.log.clock_ms = 2000000;
    CHECK_INT(log_case_append(&fixture.log, 100), PYR_OK);
    struct segment_log *log = fixture.log.log;
    struct segment_retention retention = {.clock_ms = 1900000,
                                          .age_max_ms = 900000,
                                          .offset_limit = INT64_MAX};

    CHECK_INT(segment_retention_due_ms(log, 0, 900000), 1900001);
    CHECK_INT(segment_retention_start(log, &retention), 0);
    retention.clock_ms++;
    int64_t start = segment_retention_start(log, &retention);
    CHECK(start > 0);
    CHECK_INT(segment_retention_due_ms(log, start, 900000), 2900001);
    CHECK_INT(segment_retention_due_ms(log, 0, INT64_MAX), INT64_MAX);
    int64_t base = segment_log_end(log).segment;
    CHECK_INT(segment_retention_due_ms(log, base, 900000), INT64_MAX); /* The last one stays. */

    int64_t found = -1;
    CHECK_INT(segment_roll_due_ms(log, &found), INT64_MAX);
    segment_log_configure(log, 4096, 600000, false);
    CHECK_INT(segment_roll_due_ms(log, &found), 2600000);
    CHECK_INT(found, base);
    fixture.log.clock_ms = 2599999;
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    CHECK_INT(segment_log_end(log).segment, base);
    fixture.log.clock_ms = 2600000;
    CHECK_INT(log_case_append(&fixture.log, 1), PYR_OK);
    CHECK(segment_log_end(log).segment > base);
    end(&fixture);
}

/* -- Open files -- */

/* Many logs under a bound of few handles all work, and the bound holds. */
TEST(segment_files, keeps_its_bound)
{
    enum { LOGS = 20 };
    struct fixture fixture;
    begin(&fixture, 4096);
    CHECK_INT(log_case_append(&fixture.log, 300), PYR_OK);

    for (int round = 0; round < 2; round++) {
        CHECK_INT(log_case_read(&fixture.log, 0, 256), 900);
        CHECK(fixture.log.files.handle_count <= 4); /* SEG-5 */
    }

    end(&fixture);
}
