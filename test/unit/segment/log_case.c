/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log under test: jobs run in line, records that prove themselves.
 */
#include "log_case.h"

#include <stdio.h>

#include "io/transfer.h"
#include "lib/case.h"
#include "record/builder.h"
#include "record/walk.h"

enum {
    RECORDS_DEFAULT = 3,
    BATCH_MEMORY = 1 << 20,
    READ_MEMORY = 1 << 21,
    PARTS_MAX = 512,
};

static const struct log_id case_log = {{7, 1, 4, 9}};

void log_case_init(struct log_case *subject,
                   struct io *io,
                   const char *folder,
                   int64_t segment_bytes)
{
    *subject = (struct log_case){.io = io, .folder = folder, .epoch = 0, .timestamp_ms = 1000};
    segment_files_init(&subject->files, io, 4);
    subject->options = (struct segment_log_options){
        .io = io,
        .files = &subject->files,
        .folder = folder,
        .log = case_log,
        .segment_bytes_max = segment_bytes,
    };
    subject->claim = (struct segment_end){.epoch = -1};
    struct segment_metadata metadata = {.log = case_log, .topic = {{1, 2, 3}}};
    enum pyr_err err = segment_log_create(io, folder, &metadata, &subject->error);
    CHECK(err == PYR_OK || err == PYR_ERR_EXISTS);
}

enum pyr_err log_case_open(struct log_case *subject)
{
    struct segment_claim claim = {
        .offset_start = subject->start,
        .offset_end = subject->claim.offset,
        .has_end_point = true,
        .digest = subject->claim.digest,
        .epoch = subject->claim.epoch,
        .may_scan = subject->may_scan,
    };
    CHECK(!subject->log);
    return segment_log_open(&subject->options, &claim, &subject->report, &subject->log,
                            &subject->error);
}

void log_case_close(struct log_case *subject)
{
    segment_log_close(subject->log);
    subject->log = NULL;
    segment_files_deinit(&subject->files);
}

int64_t log_case_end(const struct log_case *subject)
{
    return segment_log_end(subject->log).offset;
}

/* The value of the record at @offset: text, then filling. */
static size_t value_of(int64_t offset, int32_t epoch, uint32_t extra, char *value, size_t room)
{
    size_t count =
        (size_t)snprintf(value, room, "value %lld of epoch %d", (long long)offset, epoch);
    assert_true(count + extra < room);
    memset(value + count, (int)('a' + offset % 26), extra);
    return count + extra;
}

struct bytes log_case_batch(struct log_case *subject, struct bytes_mut memory, int64_t offset)
{
    static char value[BATCH_MEMORY];
    struct builder builder;
    uint32_t count = subject->records_of_batch ? subject->records_of_batch : RECORDS_DEFAULT;

    builder_init(&builder, memory);
    for (uint32_t index = 0; index < count; index++) {
        size_t bytes =
            value_of(offset + index, subject->epoch, subject->value_bytes, value, sizeof value);
        struct record record = {
            .timestamp = subject->timestamp_ms,
            .key = subject->key ? bytes_of_text(subject->key) : (struct bytes){0},
            .value = {.data = (const uint8_t *)value, .count = bytes},
        };
        assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
    }
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    stamp.base_offset = offset;
    stamp.epoch = subject->epoch;
    struct bytes_mut batch = builder_seal(&builder, &stamp);
    subject->timestamp_ms += 10;
    return (struct bytes){.data = batch.data, .count = batch.count};
}

/* Run one append job over @parts; *@ret_taken bytes were. */
static enum pyr_err append_once(struct log_case *subject,
                                const struct bytes *parts,
                                size_t count,
                                uint64_t *ret_taken)
{
    struct segment_append *job = calloc(1, sizeof *job);
    assert_non_null(job);
    enum pyr_err err =
        segment_append_plan(subject->log, job, parts, count, subject->clock_ms, &subject->error);
    if (err == PYR_OK) {
        segment_append_run(job);
        err = segment_append_apply(subject->log, job, &subject->error);
        *ret_taken = job->bytes_taken;
    }
    free(job);
    return err;
}

enum pyr_err log_case_append(struct log_case *subject, uint32_t batches)
{
    static uint8_t *memory[PARTS_MAX];
    static struct bytes parts[PARTS_MAX];
    int64_t offset = log_case_end(subject);
    enum pyr_err err = PYR_OK;

    assert_true(batches <= PARTS_MAX);
    uint32_t records = subject->records_of_batch ? subject->records_of_batch : RECORDS_DEFAULT;
    for (uint32_t index = 0; index < batches; index++) {
        size_t room = (size_t)records * (subject->value_bytes + 128) + 256;
        memory[index] = malloc(room);
        assert_non_null(memory[index]);
        parts[index] = log_case_batch(
            subject, (struct bytes_mut){.data = memory[index], .count = room}, offset);
        offset += records;
    }
    size_t first = 0;
    while (err == PYR_OK && first < batches) {
        uint64_t taken = 0;
        err = append_once(subject, parts + first, batches - first, &taken);
        while (taken > 0) {
            assert_true(taken >= parts[first].count);
            taken -= parts[first].count;
            first++;
        }
    }
    for (uint32_t index = 0; index < batches; index++) {
        free(memory[index]);
    }
    return err;
}

enum pyr_err log_case_sync(struct log_case *subject)
{
    struct segment_sync *job = calloc(1, sizeof *job);
    assert_non_null(job);
    enum pyr_err err = PYR_OK;
    int64_t end = log_case_end(subject);
    do {
        err = segment_sync_plan(subject->log, job, &subject->error);
        if (err == PYR_OK) {
            segment_sync_run(job);
            err = segment_sync_apply(subject->log, job, &subject->error);
        }
    } while (err == PYR_OK && segment_log_synced(subject->log).offset < end);
    if (err == PYR_OK) {
        subject->claim = segment_log_synced(subject->log);
    }
    free(job);
    return err;
}

enum pyr_err log_case_truncate(struct log_case *subject, int64_t offset)
{
    struct segment_truncate *job = calloc(1, sizeof *job);
    assert_non_null(job);
    enum pyr_err err = segment_truncate_plan(subject->log, job, offset, &subject->error);
    if (err == PYR_OK) {
        segment_truncate_run(job);
        err = segment_truncate_apply(subject->log, job, &subject->error);
    }
    if (err == PYR_OK) {
        subject->claim = segment_log_synced(subject->log);
    }
    free(job);
    return err;
}

int64_t log_case_check(struct bytes data, int64_t offset, int64_t offset_end, size_t *ret_bytes)
{
    static char value[BATCH_MEMORY];
    struct batch_header header;
    struct walk walk;
    struct record_view view;
    int64_t count = 0;

    assert_int_equal(batch_header_read(data, &header, NULL), PYR_OK);
    assert_int_equal(batch_verify(data, &header, NULL), PYR_OK);
    walk_init(&walk, &header, batch_records(data, &header));
    while (walk_next(&walk, &view)) {
        /* The text must be that of the offset and epoch; behind it only its filling. */
        size_t bytes = value_of(view.offset, header.epoch, 0, value, sizeof value);
        assert_true(view.value.count >= bytes);
        assert_memory_equal(view.value.data, value, bytes);
        for (size_t at = bytes; at < view.value.count; at++) {
            assert_int_equal(view.value.data[at], 'a' + view.offset % 26);
        }
        count += view.offset >= offset && view.offset < offset_end;
    }
    assert_int_equal(walk_end(&walk, NULL), PYR_OK);
    *ret_bytes = header.bytes;
    return count;
}

int64_t log_case_read(struct log_case *subject, int64_t offset, size_t bytes_max)
{
    static uint8_t memory[READ_MEMORY];
    struct segment_cursor cursor = {0};
    int64_t count = 0;
    int64_t end = log_case_end(subject);
    while (offset < end) {
        struct segment_view view;
        struct segment_run run;
        struct segment_read want = {
            .offset = offset,
            .offset_end = INT64_MAX,
            .bytes_max = bytes_max,
            .buffer = {.data = memory, .count = sizeof memory},
            .cursor = &cursor,
        };
        enum pyr_err err = segment_log_view(subject->log, offset, &view, &subject->error);
        if (err != PYR_OK) {
            return -1;
        }
        err = segment_view_read(&view, &want, &run, &subject->error);
        segment_log_view_release(subject->log, &view);
        if (err != PYR_OK) {
            return -1;
        }
        for (size_t used = 0; used < run.data.count;) {
            size_t bytes = 0;
            struct bytes rest = {.data = run.data.data + used, .count = run.data.count - used};
            count += log_case_check(rest, offset, end, &bytes);
            used += bytes;
        }
        segment_handle_release(run.handle);
        assert_true(run.offset_next > offset);
        offset = run.offset_next;
    }
    return count;
}

const char *log_case_path(struct log_case *subject, int64_t base, enum segment_kind kind)
{
    static char paths[8][PATH_BYTES_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    assert_true(segment_path(path, subject->folder, base, kind, SEGMENT_SUFFIX_NONE));
    return path;
}

uint8_t *log_case_load(struct io *io, const char *path, size_t *ret_count)
{
    struct io_file *file = NULL;
    int64_t bytes = 0;
    if (io_open(io, path, IO_OPEN_READ, &file) != 0) {
        return NULL;
    }
    assert_int_equal(io_bytes(io, file, &bytes), 0);
    uint8_t *data = malloc((size_t)bytes + 1);
    assert_non_null(data);
    assert_int_equal(io_read_whole(io, file,
                                   (struct bytes_mut){.data = data, .count = (size_t)bytes}, 0,
                                   ret_count),
                     0);
    io_close(io, file);
    return data;
}

void log_case_poke(struct io *io, const char *path, int64_t position, struct bytes data)
{
    struct io_file *file = NULL;
    assert_int_equal(io_open(io, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
    if (data.count > 0) {
        assert_int_equal(io_write_whole(io, file, data, position, false), 0);
    } else {
        assert_int_equal(io_truncate(io, file, position), 0);
    }
    io_close(io, file);
}
