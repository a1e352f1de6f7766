/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction: what stays, what goes, and what a reader sees meanwhile; held against a plain list of
 * the newest value of each key. Covers segment/compact.c, segment/keymap.c and segment/rewrite.c.
 */
#include <stdio.h>

#include "base/prng.h"
#include "lib/case.h"
#include "log_case.h"
#include "record/compress.h"
#include "record/walk.h"
#include "segment/compact.h"
#include "segment/keymap.h"
#include "unit/io/seam.h"

/* -- Fixture: a log of keyed records, and a list of what was written -- */

enum { KEYS = 40, RECORDS_MAX = 4000, BATCH_ROOM = 65536 };

struct fixture {
    struct io *io;
    struct log_case log;
    struct prng prng;
    int key[RECORDS_MAX];      /* Of each record; -1: none; -2: not written by append. */
    bool is_null[RECORDS_MAX]; /* A tombstone. */
    int64_t count;
};

static void begin(struct fixture *fixture, int64_t segment_bytes)
{
    fixture->io = seam_create(&(struct seam_options){0});
    const char *folder = seam_path(seam_folder(fixture->io), "topic-0");
    log_case_init(&fixture->log, fixture->io, strdup(folder), segment_bytes);
    CHECK_INT(log_case_open(&fixture->log), PYR_OK);
    fixture->prng = prng_of(7, 0);
    fixture->count = 0;
}

static void end(struct fixture *fixture)
{
    log_case_close(&fixture->log);
    free(bytes_unconst(fixture->log.folder));
    io_destroy(fixture->io);
}

static size_t key_text(int key, char *text)
{
    return (size_t)snprintf(text, 32, "key-%d", key);
}

static size_t value_text(int64_t offset, char *text)
{
    return (size_t)snprintf(text, 64, "value of the record at offset %lld", (long long)offset);
}

/* Pack the records of @batch with LZ4 into @out. */
static struct bytes pack(struct builder *builder,
                         const struct batch_stamp *stamp,
                         struct bytes_mut out)
{
    static uint8_t workspace[1 << 16] __attribute__((aligned(16)));
    size_t count = 0;
    assert_true(compress_pack_workspace_bytes() <= sizeof workspace);
    assert_int_equal(compress_pack(builder_records(builder),
                                   (struct bytes_mut){workspace, sizeof workspace},
                                   (struct bytes_mut){out.data + BATCH_HEADER_BYTES,
                                                      out.count - BATCH_HEADER_BYTES},
                                   &count, NULL),
                     PYR_OK);
    struct bytes_mut packed = {.data = out.data, .count = BATCH_HEADER_BYTES + count};
    builder_seal_packed(builder, stamp, BATCH_CODEC_LZ4, packed);
    return (struct bytes){.data = packed.data, .count = packed.count};
}

static void append_bytes(struct fixture *fixture, struct bytes batch)
{
    struct segment_append job;
    uint64_t taken = 0;
    while (taken < batch.count) {
        assert_int_equal(
            segment_append_plan(fixture->log.log, &job, &batch, 1, fixture->log.clock_ms, NULL),
            PYR_OK);
        segment_append_run(&job);
        assert_int_equal(segment_append_apply(fixture->log.log, &job, &fixture->log.error), PYR_OK);
        taken += job.bytes_taken;
    }
}

/* Add a record of a random key, or none. */
static void add_keyed(struct fixture *fixture, struct builder *builder)
{
    char key[32];
    char value[64];
    int64_t offset = fixture->count;
    int number = (int)prng_below(&fixture->prng, KEYS + 2);
    fixture->key[offset] = number < KEYS ? number : -1;
    fixture->is_null[offset] = number < KEYS && prng_below(&fixture->prng, 5) == 0;
    struct record row = {.timestamp = 1000 + offset};
    if (number < KEYS) {
        row.key = (struct bytes){(const uint8_t *)key, key_text(number, key)};
    }
    if (!fixture->is_null[offset]) {
        row.value = (struct bytes){(const uint8_t *)value, value_text(offset, value)};
    }
    assert_int_equal(builder_add(builder, &row, NULL), PYR_OK);
    fixture->count++;
}

/* Append batches of random keys; every fourth packed, every fifth record a tombstone or so. */
static void append_keyed(struct fixture *fixture, int batches)
{
    static uint8_t memory[BATCH_ROOM];
    static uint8_t packed[BATCH_ROOM];
    for (int index = 0; index < batches; index++) {
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
        struct batch_stamp stamp = BATCH_STAMP_NONE;
        stamp.base_offset = fixture->count;
        stamp.epoch = fixture->log.epoch;
        uint64_t records = 1 + prng_below(&fixture->prng, 6);
        for (uint64_t record = 0; record < records; record++) {
            add_keyed(fixture, &builder);
        }
        if (index % 4 == 0) {
            append_bytes(fixture,
                         pack(&builder, &stamp, (struct bytes_mut){packed, sizeof packed}));
        } else {
            struct bytes_mut batch = builder_seal(&builder, &stamp);
            append_bytes(fixture, (struct bytes){batch.data, batch.count});
        }
    }
}

static struct segment_compact_options options_up_to(struct fixture *fixture, int64_t clean)
{
    return (struct segment_compact_options){
        .offset_clean = clean,
        .offset_limit = fixture->log.claim.offset,
        .map_bytes = 1 << 20,
        .seed = 99,
    };
}

/* Run a compaction to its end; return its report. */
static struct segment_compact_report compact(struct fixture *fixture,
                                             const struct segment_compact_options *options)
{
    struct segment_compact *compaction = NULL;
    struct segment_compact_report report = {0};
    assert_int_equal(
        segment_compact_create(fixture->log.log, options, &compaction, &fixture->log.error),
        PYR_OK);
    if (!compaction) {
        return report;
    }
    enum segment_compact_step step = segment_compact_next(compaction);
    while (step == SEGMENT_COMPACT_RUN) {
        segment_compact_run(compaction, 500);
        step = segment_compact_next(compaction);
    }
    (void)segment_compact_error(compaction, &fixture->log.error);
    assert_int_equal(step, SEGMENT_COMPACT_DONE);
    report = segment_compact_report(compaction);
    segment_compact_destroy(compaction);
    return report;
}

/* Whether the record at @offset must still be there, after compaction up to @limit. */
static bool must_stay(const struct fixture *fixture, int64_t offset, int64_t limit, int64_t purge)
{
    int key = fixture->key[offset];
    if (key < 0 || offset >= limit) {
        return true;
    }
    for (int64_t later = offset + 1; later < limit; later++) {
        if (fixture->key[later] == key) {
            return false;
        }
    }
    return !(fixture->is_null[offset] && offset < purge);
}

/* Note and check one record that was read. */
static void check_record(const struct fixture *fixture, const struct record_view *view, bool *seen)
{
    char text[64];
    int64_t offset = view->offset;
    assert_true(offset < fixture->count && !seen[offset]);
    seen[offset] = true;
    if (fixture->key[offset] == -1) {
        assert_true(record_is_null(view->key));
    } else {
        size_t count = key_text(fixture->key[offset], text);
        assert_int_equal(view->key.count, count);
        assert_memory_equal(view->key.data, text, count);
    }
    assert_int_equal(record_is_null(view->value), fixture->is_null[offset]);
    if (!fixture->is_null[offset]) {
        size_t count = value_text(offset, text);
        assert_int_equal(view->value.count, count);
        assert_memory_equal(view->value.data, text, count);
    }
    assert_int_equal(view->timestamp, 1000 + offset);
}

static void check_batch(const struct fixture *fixture, struct bytes data, bool *seen)
{
    static uint8_t unpacked[BATCH_ROOM];
    static uint8_t workspace[1 << 16] __attribute__((aligned(16)));
    struct batch_header header;
    struct walk walk;
    struct record_view view;
    assert_int_equal(batch_header_read(data, &header, NULL), PYR_OK);
    struct bytes records = batch_records(data, &header);
    if (batch_codec(&header) != BATCH_CODEC_NONE) {
        size_t count = 0;
        assert_int_equal(compress_unpack(batch_codec(&header), records,
                                         (struct bytes_mut){workspace, sizeof workspace},
                                         (struct bytes_mut){unpacked, sizeof unpacked}, &count,
                                         NULL),
                         PYR_OK);
        records = (struct bytes){unpacked, count};
    }
    walk_init(&walk, &header, records);
    while (walk_next(&walk, &view)) {
        check_record(fixture, &view, seen);
    }
    assert_int_equal(walk_end(&walk, NULL), PYR_OK);
}

/* Read the whole log and note which offsets are there. */
static void read_all(struct fixture *fixture, bool *seen)
{
    static uint8_t memory[BATCH_ROOM];
    int64_t offset = 0;
    memset(seen, 0, RECORDS_MAX * sizeof *seen);
    while (offset < log_case_end(&fixture->log)) {
        struct segment_view view;
        struct segment_run run;
        struct segment_read want = {.offset = offset,
                                    .offset_end = INT64_MAX,
                                    .bytes_max = 4000,
                                    .buffer = {memory, sizeof memory}};
        assert_int_equal(segment_log_view(fixture->log.log, offset, &view, NULL), PYR_OK);
        enum pyr_err err = segment_view_read(&view, &want, &run, &fixture->log.error);
        segment_log_view_release(fixture->log.log, &view);
        assert_int_equal(err, PYR_OK);
        for (size_t used = 0; used < run.data.count;) {
            struct batch_header header;
            struct bytes rest = {run.data.data + used, run.data.count - used};
            assert_int_equal(batch_header_read(rest, &header, NULL), PYR_OK);
            check_batch(fixture, (struct bytes){rest.data, header.bytes}, seen);
            used += header.bytes;
        }
        segment_handle_release(run.handle);
        assert_true(run.offset_next > offset);
        offset = run.offset_next;
    }
}

static void check_all(struct fixture *fixture, int64_t limit, int64_t purge)
{
    static bool seen[RECORDS_MAX];
    read_all(fixture, seen);
    for (int64_t offset = 0; offset < fixture->count; offset++) {
        if (seen[offset] != must_stay(fixture, offset, limit, purge)) {
            print_message("offset %lld, key %d, limit %lld\n", (long long)offset,
                          fixture->key[offset], (long long)limit);
        }
        assert_int_equal(seen[offset], must_stay(fixture, offset, limit, purge));
    }
}

/* -- What stays -- */

/* After each of several compactions with appends between them, exactly the newest record of each
 * key is there, in a log opened again too (mutant compaction_drops_newest). */
TEST(segment_compact, keeps_exactly_the_newest_of_each_key)
{
    static struct fixture fixture;
    int64_t clean = 0;
    begin(&fixture, 4096);

    for (int round = 0; round < 4; round++) {
        append_keyed(&fixture, 150);
        fixture.log.epoch++;
        CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
        struct segment_compact_options options = options_up_to(&fixture, clean);

        struct segment_compact_report report = compact(&fixture, &options);

        CHECK(report.records_dropped > 0);
        CHECK(report.bytes_after < report.bytes_before);
        CHECK(report.offset_end > clean);
        clean = report.offset_end;
        check_all(&fixture, clean, 0); /* SEG-11 */
        log_case_close(&fixture.log);
        CHECK_INT(log_case_open(&fixture.log), PYR_OK);
        CHECK_INT(fixture.log.report.indexes_rebuilt, 0);
        CHECK_INT(fixture.log.report.quarantined, 0);
        check_all(&fixture, clean, 0);
    }
    size_t epochs = 0;
    (void)segment_log_epochs(fixture.log.log, &epochs);
    CHECK_INT(epochs, 4);
    end(&fixture);
}

/* Tombstones go below the purge horizon only. */
TEST(segment_compact, drops_tombstones_below_the_horizon_only)
{
    static struct fixture fixture;
    begin(&fixture, 4096);
    append_keyed(&fixture, 300);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    struct segment_compact_options options = options_up_to(&fixture, 0);
    options.purge_horizon = fixture.count - 50;

    struct segment_compact_report report = compact(&fixture, &options);

    CHECK(report.tombstones_dropped > 0);
    check_all(&fixture, report.offset_end, options.purge_horizon);
    end(&fixture);
}

/* A map without room for all keys ends the range, and the next compaction goes on there. */
TEST(segment_compact, goes_on_where_the_map_was_full)
{
    struct segment_keymap map;
    struct io *io = seam_create(&(struct seam_options){0});

    CHECK_INT(segment_keymap_init(&map, io, 0, 5), PYR_OK);
    uint64_t room = segment_keymap_room(&map);
    CHECK_INT(room, 768);
    for (uint64_t index = 0; index < room; index++) {
        segment_keymap_put(&map, SEGMENT_KEYMAP_RECORD,
                           (struct bytes){(const uint8_t *)&index, sizeof index}, (int64_t)index);
    }
    CHECK_INT(segment_keymap_room(&map), 0);
    for (uint64_t index = 0; index < room; index++) {
        struct bytes key = {(const uint8_t *)&index, sizeof index};
        CHECK_INT(segment_keymap_get(&map, SEGMENT_KEYMAP_RECORD, key), (int64_t)index);
        CHECK_INT(segment_keymap_get(&map, SEGMENT_KEYMAP_PRODUCER, key), -1);
    }
    segment_keymap_deinit(&map);
    io_destroy(io);
}

/* -- Batches that must not be touched -- */

/* Count how often @text stands in the log. */
static int count_text(struct fixture *fixture, const char *text)
{
    int count = 0;
    for (size_t index = 0; index < segment_log_segments(fixture->log.log); index++) {
        size_t bytes = 0;
        int64_t base = 0;
        for (size_t step = 0; step < index; step++) {
            base = segment_log_segment_of(fixture->log.log, base);
            struct segment_view view;
            assert_int_equal(segment_log_view(fixture->log.log, base, &view, NULL), PYR_OK);
            base = view.shape.end.offset;
            segment_log_view_release(fixture->log.log, &view);
        }
        uint8_t *data = log_case_load(fixture->io,
                                      log_case_path(&fixture->log, base, SEGMENT_KIND_LOG), &bytes);
        const uint8_t *at = data;
        while (data && (at = memmem(at, bytes - (size_t)(at - data), text, strlen(text)))) {
            count++;
            at++;
        }
        free(data);
    }
    return count;
}

static struct bytes one_record(struct builder *builder,
                               struct bytes_mut memory,
                               struct batch_stamp *stamp,
                               const char *key,
                               const char *value)
{
    builder_init(builder, memory);
    struct record row = {.timestamp = 5, .key = bytes_of_text(key), .value = bytes_of_text(value)};
    assert_int_equal(builder_add(builder, &row, NULL), PYR_OK);
    struct bytes_mut batch = builder_seal(builder, stamp);
    return (struct bytes){batch.data, batch.count};
}

/* A batch whose codec is not built in, or whose records are not what they say, is kept whole and
 * counted; a transaction's records supersede nothing; a producer's last batch stays as a header. */
TEST(segment_compact, keeps_what_it_must_not_touch)
{
    static struct fixture fixture;
    struct builder builder;
    static uint8_t memory[4096];
    struct bytes_mut room = {memory, sizeof memory};
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    begin(&fixture, 1 << 16);
    stamp.epoch = 0;

    stamp.base_offset = 0;
    append_bytes(&fixture, one_record(&builder, room, &stamp, "a", "superseded"));
    stamp.base_offset = 1; /* Records that are garbage under a good checksum. */
    struct bytes batch = one_record(&builder, room, &stamp, "a", "undecodable");
    memory[BATCH_HEADER_BYTES] = 0x7f;
    struct batch_header header;
    assert_int_equal(batch_header_read(batch, &header, NULL), PYR_OK);
    batch_seal((struct bytes_mut){memory, batch.count}, &header);
    append_bytes(&fixture, batch);
    stamp.base_offset = 2;
    append_bytes(&fixture, one_record(&builder, room, &stamp, "a", "newest"));
    stamp.base_offset = 3;
    stamp.is_transactional = true;
    stamp.producer_id = 77;
    stamp.producer_epoch = 1;
    stamp.base_sequence = 4;
    append_bytes(&fixture, one_record(&builder, room, &stamp, "a", "aborted"));
    stamp.is_transactional = false;
    stamp.base_offset = 4;
    stamp.producer_id = 55;
    append_bytes(&fixture, one_record(&builder, room, &stamp, "b", "lastofproducer"));
    stamp = BATCH_STAMP_NONE;
    stamp.epoch = 1;
    stamp.base_offset = 5;
    append_bytes(&fixture, one_record(&builder, room, &stamp, "b", "newest"));
    fixture.log.epoch = 1;
    fixture.log.options.segment_age_max_ms = 10;
    fixture.log.value_bytes = 3000;
    CHECK_INT(log_case_append(&fixture.log, 10), PYR_OK);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    CHECK_INT(segment_log_segments(fixture.log.log), 2);
    struct segment_compact_options options = options_up_to(&fixture, 0);

    struct segment_compact_report report = compact(&fixture, &options);

    CHECK_INT(report.batches_undecodable, 1);
    CHECK_INT(report.records_dropped, 2);
    CHECK_INT(count_text(&fixture, "superseded"), 0);
    CHECK_INT(count_text(&fixture, "undecodable"), 1);
    CHECK_INT(count_text(&fixture, "aborted"), 1);
    CHECK_INT(count_text(&fixture, "newest"), 2);
    CHECK_INT(count_text(&fixture, "lastofproducer"), 0);
    size_t bytes = 0;
    uint8_t *data =
        log_case_load(fixture.io, log_case_path(&fixture.log, 0, SEGMENT_KIND_LOG), &bytes);
    bool has_header = false;
    for (size_t used = 0; used < bytes;) {
        assert_int_equal(
            batch_header_read((struct bytes){data + used, bytes - used}, &header, NULL), PYR_OK);
        has_header = has_header || (header.producer_id == 55 && header.record_count == 0 &&
                                    header.base_offset == 4);
        used += header.bytes;
    }
    CHECK(has_header);
    free(data);
    end(&fixture);
}

/* -- With readers -- */

/* A reader in the middle of a segment goes on with the files it opened; one that has not opened
 * them yet is waited for. */
TEST(segment_compact, lets_readers_finish)
{
    static struct fixture fixture;
    struct segment_view opened;
    struct segment_view unopened;
    struct segment_compact *compaction = NULL;
    static uint8_t memory[BATCH_ROOM];
    struct segment_run run;
    struct segment_read want = {.offset_end = INT64_MAX,
                                .bytes_max = 300,
                                .buffer = {memory, sizeof memory}};
    begin(&fixture, 8192);
    append_keyed(&fixture, 200);
    CHECK_INT(log_case_sync(&fixture.log), PYR_OK);
    log_case_close(&fixture.log);
    CHECK_INT(log_case_open(&fixture.log), PYR_OK);
    struct segment_compact_options options = options_up_to(&fixture, 0);
    CHECK_INT(segment_log_view(fixture.log.log, 0, &unopened, NULL), PYR_OK);
    CHECK_INT(segment_log_view(fixture.log.log, 0, &opened, NULL), PYR_OK);
    CHECK_INT(segment_view_read(&opened, &want, &run, NULL), PYR_OK);
    segment_log_view_release(fixture.log.log, &opened);
    CHECK_INT(segment_log_view(fixture.log.log, 0, &opened, NULL), PYR_OK);
    CHECK(opened.was_open);
    CHECK_INT(segment_compact_create(fixture.log.log, &options, &compaction, NULL), PYR_OK);

    enum segment_compact_step step = segment_compact_next(compaction);
    while (step == SEGMENT_COMPACT_RUN) {
        segment_compact_run(compaction, 1000000);
        step = segment_compact_next(compaction);
    }
    CHECK_INT(step, SEGMENT_COMPACT_WAIT); /* SEG-3 */
    segment_log_view_release(fixture.log.log, &unopened);
    step = segment_compact_next(compaction);
    while (step == SEGMENT_COMPACT_RUN) {
        segment_compact_run(compaction, 1000000);
        step = segment_compact_next(compaction);
    }
    CHECK_INT(step, SEGMENT_COMPACT_DONE);
    segment_compact_destroy(compaction);

    want.offset = run.offset_next;
    CHECK_INT(segment_view_read(&opened, &want, &run, NULL), PYR_OK);
    CHECK(run.batches > 0);
    segment_log_view_release(fixture.log.log, &opened);
    end(&fixture);
}
