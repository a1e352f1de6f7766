/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/stream on each implementation of the seam: whatever the way, the file holds what was put.
 */
#include "base/limits.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "log_case.h"
#include "segment/stream.h"
#include "unit/io/seam.h"

enum { BUFFER_BYTES = 3 * BLOCK_BYTES, FILE_BYTES = 16 * BLOCK_BYTES, BEFORE = 'b' };

/* A file with bytes of before, and a stream behind them. */
struct fixture {
    struct io *io;
    const char *path;
    struct io_file *file;
    struct io_file *direct;
    uint8_t *buffer;
    struct segment_stream stream;
};

static void begin(struct fixture *fixture, int64_t position)
{
    static uint8_t before[FILE_BYTES];
    memset(before, BEFORE, sizeof before);
    *fixture = (struct fixture){.io = seam_create(&(struct seam_options){0})};
    fixture->path = seam_path(seam_folder(fixture->io), "stream");
    uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE;
    CHECK_INT(io_open(fixture->io, fixture->path, flags | IO_OPEN_CREATE, &fixture->file), 0);
    struct bytes data = {.data = before, .count = (size_t)position};
    CHECK_INT(io_write_whole(fixture->io, fixture->file, data, 0, false), 0);
    CHECK_INT(io_open(fixture->io, fixture->path, flags | IO_OPEN_DIRECT, &fixture->direct), 0);
    fixture->buffer = io_alloc(fixture->io, BUFFER_BYTES, BLOCK_BYTES);
    assert_non_null(fixture->buffer);
    memset(fixture->buffer, '?', BUFFER_BYTES); /* Of another file. */
    segment_stream_init(&fixture->stream, fixture->io, fixture->file, position);
    segment_stream_lend(&fixture->stream, fixture->direct,
                        (struct bytes_mut){.data = fixture->buffer, .count = BUFFER_BYTES});
}

static void end(struct fixture *fixture)
{
    segment_stream_deinit(&fixture->stream);
    io_free(fixture->io, fixture->buffer);
    io_close(fixture->io, fixture->direct);
    io_close(fixture->io, fixture->file);
    io_destroy(fixture->io);
}

/* Put @pieces pieces of @bytes each, flush, and check the whole file. */
static bool goes_through(int64_t position, size_t bytes, size_t pieces)
{
    struct fixture fixture;
    static uint8_t data[FILE_BYTES];
    begin(&fixture, position);
    size_t total = bytes * pieces;
    for (size_t index = 0; index < total; index++) {
        data[index] = (uint8_t)(1 + index % 251);
    }
    int number = 0;
    for (size_t piece = 0; number == 0 && piece < pieces; piece++) {
        struct bytes part = {.data = data + piece * bytes, .count = bytes};
        number = segment_stream_put(&fixture.stream, part);
    }
    number = number == 0 ? segment_stream_flush(&fixture.stream) : number;

    bool is_good = number == 0 && fixture.stream.position == position + (int64_t)total;
    size_t count = 0;
    uint8_t *there = log_case_load(fixture.io, fixture.path, &count);
    is_good = is_good && count == (size_t)position + total;
    for (size_t index = 0; is_good && index < (size_t)position; index++) {
        is_good = there[index] == BEFORE; /* SEG-12 */
    }
    is_good = is_good && memcmp(there + position, data, total) == 0;
    free(there);
    end(&fixture);
    return is_good;
}

/* From any place, in pieces below, at and above a block and the buffer: the bytes before stay, and
 * all that was put is there, nothing behind it. */
TEST(segment_stream, puts_every_byte_in_its_place)
{
    static const int64_t positions[] = {0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 700};
    static const size_t counts[] = {1, 700, BLOCK_BYTES, 3000, BUFFER_BYTES, BUFFER_BYTES + 5};
    for (size_t at = 0; at < sizeof positions / sizeof positions[0]; at++) {
        for (size_t piece = 0; piece < sizeof counts / sizeof counts[0]; piece++) {
            CHECK(goes_through(positions[at], counts[piece], 1));
            CHECK(goes_through(positions[at], counts[piece], 3));
        }
    }
}

/* A stream goes on where it was flushed, in the middle of a block. */
TEST(segment_stream, goes_on_behind_a_flush)
{
    struct fixture fixture;
    static uint8_t data[2 * BLOCK_BYTES];
    memset(data, 'x', sizeof data);
    begin(&fixture, 10);

    for (int round = 0; round < 3; round++) {
        struct bytes part = {.data = data, .count = sizeof data - 100};
        CHECK_INT(segment_stream_put(&fixture.stream, part), 0);
        CHECK_INT(segment_stream_flush(&fixture.stream), 0);
    }

    size_t count = 0;
    uint8_t *there = log_case_load(fixture.io, fixture.path, &count);
    CHECK_INT(count, 10 + 3 * (sizeof data - 100));
    for (size_t index = 0; index < count; index++) {
        CHECK_INT(there[index], index < 10 ? BEFORE : 'x');
    }
    free(there);
    end(&fixture);
}

/* Large batches past the page cache are read back like any others, and where the file system knows
 * no such writes they go the usual way. */
TEST(segment_stream, carries_large_batches)
{
    for (int without = 0; without < 2; without++) {
        struct log_case log;
        struct io *io = seam_create(&(struct seam_options){.without_direct = without == 1});
        char *folder = strdup(seam_path(seam_folder(io), "topic-0"));
        log_case_init(&log, io, folder, 1 << 20);
        CHECK_INT(log_case_open(&log), PYR_OK);
        log.value_bytes = 100 << 10;

        CHECK_INT(log_case_append(&log, 1), PYR_OK);
        CHECK_INT(log.files.buffer_count, 1); /* The batch is large enough. */
        CHECK_INT(log_case_append(&log, 7), PYR_OK);
        CHECK_INT(log_case_sync(&log), PYR_OK);

        CHECK_INT(log_case_read(&log, 0, 1 << 20), 24);
        log_case_close(&log);
        CHECK_INT(log_case_open(&log), PYR_OK);
        CHECK_INT(log_case_read(&log, 0, 1 << 20), 24);
        log_case_close(&log);
        free(folder);
        io_destroy(io);
    }
}
