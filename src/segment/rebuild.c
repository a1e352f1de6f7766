/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/rebuild - the walk over a .log, the comparison of indexes, the look at the ends.
 *
 * Length: the walk, the comparison and the look share the same small helpers.
 */
#include "segment/rebuild.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "io/transfer.h"
#include "record/batch.h"
#include "segment/writer.h"

enum {
    ENTRIES_HELD = 256, /* Index entries compared at once. */
};

/* The walk reads so much at once, and more if a batch needs it. */
#define SCAN_BYTES (1 * MIB)

/* -- Files -- */

enum pyr_err segment_file_open(struct io *io,
                               const struct segment_file_name *name,
                               uint32_t flags,
                               struct io_file **ret_file,
                               struct pyr_error *reterr)
{
    ASSERT(name->folder);
    ASSERT(ret_file);
    ASSERT(name->kind < SEGMENT_KIND_COUNT);

    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    if (!segment_path(path, name->folder, name->offset_base, name->kind, SEGMENT_SUFFIX_NONE)) {
        return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", name->folder);
    }
    int number = io_open(io, path, flags, &file);
    if (number != 0 && (number != ENOENT || (flags & IO_OPEN_CREATE))) {
        return err_set_errno(reterr, number, "open '%s'", path);
    }
    ASSERT(number != 0 || file);
    *ret_file = number == 0 ? file : NULL;
    return PYR_OK;
}

/* -- Kafka's indexes, held against the points -- */

/* One of the two files, and the entries it should have. */
struct index_file {
    struct io *io;
    struct io_file *file; /* NULL: missing, and only looked at. */
    size_t entry_bytes;
    uint8_t held[ENTRIES_HELD * SEGMENT_TIME_ENTRY_BYTES];
    uint32_t held_count;
    uint32_t count; /* Entries before those held. */
    bool is_dry;
    bool is_wrong;
    int error;
};

/* Hold the entries against the file, and write them where it differs. */
static void index_flush(struct index_file *index)
{
    ASSERT(index->held_count <= ENTRIES_HELD);
    ASSERT(index->entry_bytes > 0);

    uint8_t there[sizeof index->held];
    size_t bytes = index->held_count * index->entry_bytes;
    size_t got = 0;
    int64_t position = (int64_t)index->count * (int64_t)index->entry_bytes;

    index->count += index->held_count;
    index->held_count = 0;
    if (index->error != 0 || bytes == 0) {
        return;
    }
    if (!index->file) {
        index->is_wrong = true;
        return;
    }
    index->error = io_read_whole(index->io, index->file,
                                 (struct bytes_mut){.data = there, .count = bytes}, position, &got);
    if (index->error != 0 || (got == bytes && memcmp(there, index->held, bytes) == 0)) {
        return;
    }
    index->is_wrong = true;
    if (!index->is_dry) {
        index->error =
            io_write_whole(index->io, index->file,
                           (struct bytes){.data = index->held, .count = bytes}, position, false);
    }
}

static void index_hold(struct index_file *index, const uint8_t *entry)
{
    ASSERT(entry);
    ASSERT(index->held_count <= ENTRIES_HELD);

    if (index->held_count == ENTRIES_HELD) {
        index_flush(index);
    }
    ASSERT(index->held_count < ENTRIES_HELD);
    memcpy(index->held + index->held_count * index->entry_bytes, entry, index->entry_bytes);
    index->held_count++;
}

/* Both, fed by the points in order. */
struct index_check {
    struct segment_point_visit visit;
    const struct segment_shape *shape;
    int64_t time_last;
    struct index_file index;
    struct index_file times;
};

static void check_point(struct segment_point_visit *visit, const struct segment_point *point)
{
    ASSERT(visit);
    ASSERT(point->kind != 0);

    struct index_check *check = container_of(visit, struct index_check, visit);
    uint8_t entry[SEGMENT_TIME_ENTRY_BYTES];
    bool has_index = (point->kind & SEGMENT_POINT_INDEX) != 0;
    bool is_end = (point->kind & SEGMENT_POINT_END) != 0;
    if (has_index) {
        segment_index_entry_put(entry, check->shape->identity.offset_base, point);
        index_hold(&check->index, entry);
    }
    if ((has_index || is_end) && point->timestamp_max > check->time_last) {
        segment_time_entry_put(entry, point);
        index_hold(&check->times, entry);
        check->time_last = point->timestamp_max;
    }
}

/* End the comparison of one file: what is behind its last entry is cut. */
static enum pyr_err index_end(struct index_file *index, struct pyr_error *reterr)
{
    ASSERT(index->entry_bytes > 0);

    int64_t bytes = 0;
    index_flush(index);
    int64_t want = (int64_t)index->count * (int64_t)index->entry_bytes;
    if (index->error == 0 && index->file) {
        index->error = io_bytes(index->io, index->file, &bytes);
    }
    if (index->error == 0 && (bytes != want || !index->file)) {
        index->is_wrong = true;
        if (!index->is_dry) {
            index->error = io_truncate(index->io, index->file, want);
        }
    }
    if (index->error != 0) {
        return err_set_errno(reterr, index->error, "bring an index in line");
    }
    ASSERT(index->held_count == 0);
    return PYR_OK;
}

static enum pyr_err index_open(struct index_file *index,
                               struct io *io,
                               const char *folder,
                               int64_t offset_base,
                               enum segment_kind kind,
                               struct pyr_error *reterr)
{
    ASSERT(!index->file);
    ASSERT(kind == SEGMENT_KIND_INDEX || kind == SEGMENT_KIND_TIMEINDEX);

    uint32_t flags = index->is_dry ? (uint32_t)IO_OPEN_READ
                                   : (uint32_t)(IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE);
    index->io = io;
    index->entry_bytes = kind == SEGMENT_KIND_INDEX ? (size_t)SEGMENT_INDEX_ENTRY_BYTES
                                                    : (size_t)SEGMENT_TIME_ENTRY_BYTES;
    return segment_file_open(io, &(struct segment_file_name){folder, offset_base, kind}, flags,
                             &index->file, reterr);
}

/* Set up @check, which is heap memory since it is large. */
static enum pyr_err check_open(struct index_check *check,
                               struct io *io,
                               const char *folder,
                               const struct segment_shape *shape,
                               bool is_dry,
                               struct pyr_error *reterr)
{
    ASSERT(!check->index.file);
    ASSERT(!check->times.file);

    check->visit.take = check_point;
    check->shape = shape;
    check->time_last = -1;
    check->index.is_dry = is_dry;
    check->times.is_dry = is_dry;
    int64_t offset_base = shape->identity.offset_base;
    enum pyr_err err =
        index_open(&check->index, io, folder, offset_base, SEGMENT_KIND_INDEX, reterr);
    if (err == PYR_OK) {
        err = index_open(&check->times, io, folder, offset_base, SEGMENT_KIND_TIMEINDEX, reterr);
    }
    return err;
}

static void check_close(struct index_check *check, struct io *io)
{
    ASSERT(check);

    io_close(io, check->index.file);
    io_close(io, check->times.file);
    io_free(io, check);
}

/* The points of an open .digest, all of them, through @check. */
static enum pyr_err check_points(struct index_check *check,
                                 struct io *io,
                                 struct io_file *digest,
                                 struct pyr_error *reterr)
{
    ASSERT(digest);
    ASSERT(check->index.count == 0);
    ASSERT(check->times.count == 0);

    struct segment_restored restored;
    struct segment_shape start = *check->shape;
    start.index_count = 0;
    start.time_count = 0;
    start.index_position = 0;
    start.time_last = -1;
    struct segment_points points = {.io = io, .digest = digest, .shape = &start};
    enum pyr_err err = segment_points_restore(&points, INT64_MAX, &check->visit, &restored, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (!restored.is_sound) {
        return err_set(reterr, PYR_ERR_CORRUPT, "%020" PRId64 ".digest: a point is damaged",
                       start.identity.offset_base);
    }
    if (restored.has_end) {
        check_point(&check->visit, &restored.end);
    }
    err = index_end(&check->index, reterr);
    return err == PYR_OK ? index_end(&check->times, reterr) : err;
}

enum pyr_err segment_rebuild_index(struct io *io,
                                   const char *folder,
                                   const struct segment_shape *shape,
                                   bool is_dry,
                                   uint32_t *ret_rebuilt,
                                   struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(ret_rebuilt);

    struct io_file *digest = NULL;
    struct index_check *check = io_alloc(io, sizeof *check, _Alignof(struct index_check));
    if (!check) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to check an index");
    }
    enum pyr_err err = check_open(check, io, folder, shape, is_dry, reterr);
    if (err == PYR_OK) {
        err = segment_file_open(
            io,
            &(struct segment_file_name){folder, shape->identity.offset_base, SEGMENT_KIND_DIGEST},
            IO_OPEN_READ, &digest, reterr);
    }
    if (err == PYR_OK && !digest) {
        err = err_set(reterr, PYR_ERR_CORRUPT, "%020" PRId64 ".digest is missing",
                      shape->identity.offset_base);
    }
    if (err == PYR_OK) {
        err = check_points(check, io, digest, reterr);
    }
    if (err == PYR_OK) {
        ASSERT(check->index.held_count == 0 && check->times.held_count == 0);
        *ret_rebuilt = (uint32_t)check->index.is_wrong + (uint32_t)check->times.is_wrong;
    }
    io_close(io, digest);
    check_close(check, io);
    return err;
}

/* -- The walk -- */

/* One walk under way. */
struct walk {
    struct segment_rebuild *rebuild;
    struct io_file *log;
    struct io_file *digest; /* Dry: what is walked is held against its points. */
    int64_t log_bytes;
    struct bytes_mut buffer;
    uint32_t buffer_position; /* Of its first byte in the .log. */
    size_t buffer_count;
    struct segment_writer writer;
};

/* Make the buffer hold @count bytes; what it held is lost if it grows. */
static enum pyr_err walk_grow(struct walk *walk, size_t count, struct pyr_error *reterr)
{
    struct io *io = walk->rebuild->io;
    if (count <= walk->buffer.count) {
        return PYR_OK;
    }
    uint8_t *data = io_alloc(io, count, BLOCK_BYTES);
    if (!data) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to scan a segment");
    }
    io_free(io, walk->buffer.data);
    walk->buffer = (struct bytes_mut){.data = data, .count = count};
    return PYR_OK;
}

/* Bring at least @count bytes from the writer's place on into the buffer, or as many as there are.
 */
static enum pyr_err walk_need(struct walk *walk,
                              size_t count,
                              struct bytes *ret_data,
                              struct pyr_error *reterr)
{
    ASSERT(walk->log);
    ASSERT(walk->buffer.data);
    ASSERT(walk->buffer_count <= walk->buffer.count);

    struct segment_rebuild *rebuild = walk->rebuild;
    uint32_t position = rebuild->shape.end.position;
    size_t skip = position - walk->buffer_position;
    bool is_there = position >= walk->buffer_position && skip + count <= walk->buffer_count;
    if (!is_there) {
        enum pyr_err err = walk_grow(walk, count, reterr);
        if (err != PYR_OK) {
            return err;
        }
        int number =
            io_read_whole(rebuild->io, walk->log, walk->buffer, position, &walk->buffer_count);
        if (number != 0) {
            return err_set_errno(reterr, number, "scan '%s/%020" PRId64 ".log'", rebuild->folder,
                                 rebuild->shape.identity.offset_base);
        }
        walk->buffer_position = position;
        skip = 0;
    }
    *ret_data =
        (struct bytes){.data = walk->buffer.data + skip, .count = walk->buffer_count - skip};
    ASSERT(skip <= walk->buffer_count);
    return PYR_OK;
}

/* Check the next batch. Sets the reason if there is no good one; *@ret_data is then of no use. */
static enum pyr_err walk_next(struct walk *walk,
                              struct bytes *ret_data,
                              struct segment_batch *ret_batch,
                              struct pyr_error *reterr)
{
    ASSERT(ret_data);
    ASSERT(walk->rebuild->shape.end.position < walk->log_bytes);

    struct segment_rebuild *rebuild = walk->rebuild;
    int64_t left = walk->log_bytes - rebuild->shape.end.position;
    struct pyr_error why_error = {0};
    struct batch_header header;
    struct bytes data = {0};

    enum pyr_err err = walk_need(
        walk, left < BATCH_HEADER_BYTES ? (size_t)left : BATCH_HEADER_BYTES, &data, reterr);
    if (err != PYR_OK) {
        return err;
    }
    const char *why = data.count < BATCH_HEADER_BYTES
                          ? "fewer bytes than a batch header"
                          : segment_batch_peek(data.data, left, ret_batch);
    if (!why) {
        err = walk_need(walk, ret_batch->bytes, &data, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    if (!why && (batch_header_read(data, &header, &why_error) != PYR_OK ||
                 batch_verify(data, &header, &why_error) != PYR_OK)) {
        why = why_error.message;
    }
    struct segment_point point = rebuild->shape.end;
    struct segment_batch batch;
    if (!why) {
        err = segment_chain_step(&rebuild->shape, data.data, left, &point, &batch, &why);
        ASSERT(err == PYR_OK || why);
    }
    (void)snprintf(rebuild->why, sizeof rebuild->why, "%s", why ? why : "");
    *ret_data = data;
    return PYR_OK;
}

/* Whether the rest of the file is the zeros of space reserved ahead. */
static bool is_blank(struct walk *walk)
{
    ASSERT(walk->log);
    ASSERT(walk->rebuild->shape.end.position <= walk->log_bytes);

    struct bytes data = {0};
    int64_t left = walk->log_bytes - walk->rebuild->shape.end.position;
    size_t count = left < BATCH_HEADER_BYTES ? (size_t)left : BATCH_HEADER_BYTES;
    if (walk_need(walk, count, &data, NULL) != PYR_OK) {
        return false;
    }
    for (size_t index = 0; index < data.count && index < count; index++) {
        if (data.data[index] != 0) {
            return false;
        }
    }
    return true;
}

/* What ends a walk: the end wanted, or the last good batch if it may go on. */
static enum pyr_err walk_ended(struct walk *walk, struct pyr_error *reterr)
{
    ASSERT(walk->rebuild->shape.end.offset >= walk->rebuild->shape.start.offset);

    struct segment_rebuild *rebuild = walk->rebuild;
    const struct segment_shape *shape = &rebuild->shape;
    if (shape->end.offset < rebuild->offset_end || shape->end.position > walk->log_bytes) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64 ".log' at position %" PRIu32 ", offset %" PRId64
                       ": %s, but batches up to offset %" PRId64 " were there",
                       rebuild->folder, shape->identity.offset_base, shape->end.position,
                       shape->end.offset, rebuild->why, rebuild->offset_end);
    }
    bool is_tail_blank = is_blank(walk);
    if (is_tail_blank) {
        rebuild->why[0] = '\0';
    } else {
        rebuild->bytes_behind = (uint64_t)(walk->log_bytes - shape->end.position);
    }
    return PYR_OK;
}

/* Whether @point is what the .digest holds in that slot, if that is whole. */
static bool is_point_there(const struct walk *walk, const struct segment_point *point)
{
    ASSERT(walk->rebuild->is_dry);
    ASSERT(point->kind != 0);

    const struct segment_shape *shape = &walk->rebuild->shape;
    uint8_t data[SEGMENT_POINT_BYTES];
    struct segment_point there;
    size_t count = 0;
    if (!walk->digest ||
        io_read_whole(walk->rebuild->io, walk->digest,
                      (struct bytes_mut){.data = data, .count = sizeof data},
                      segment_point_position(shape->point_count), &count) != 0 ||
        count < sizeof data ||
        !segment_point_get(data, &shape->identity, shape->point_count, &there)) {
        return true;
    }
    return there.digest == point->digest && there.position == point->position &&
           there.offset == point->offset;
}

/* Add the batch at @data: to the side files, or only to the shape. */
static enum pyr_err walk_take(struct walk *walk,
                              struct bytes data,
                              struct segment_batch *ret_batch,
                              const char **ret_why,
                              struct pyr_error *reterr)
{
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT(ret_why);

    struct segment_shape *shape = &walk->rebuild->shape;
    struct segment_point point = {0};
    if (!walk->rebuild->is_dry) {
        return segment_writer_add(&walk->writer, data, shape->end.clock_ms, ret_batch, ret_why,
                                  reterr);
    }
    enum pyr_err err =
        segment_shape_add(shape, data, shape->end.clock_ms, &point, ret_batch, ret_why);
    if (err == PYR_OK && point.kind != 0) {
        if (!is_point_there(walk, &point)) {
            return err_set(reterr, PYR_ERR_CORRUPT,
                           "'%s/%020" PRId64 ".log' at position %" PRIu32 ", offset %" PRId64
                           ": offsets, epochs or lengths before here were changed",
                           walk->rebuild->folder, shape->identity.offset_base, point.position,
                           point.offset);
        }
        (void)segment_shape_count(shape, &point);
    }
    return err;
}

static enum pyr_err walk_batches(struct walk *walk, struct pyr_error *reterr)
{
    ASSERT(walk->log_bytes >= 0);
    ASSERT(walk->rebuild->batches == 0);

    struct segment_rebuild *rebuild = walk->rebuild;
    struct segment_shape *shape = &rebuild->shape;
    bool is_good = true;
    while (is_good && shape->end.position < walk->log_bytes &&
           (rebuild->may_pass || shape->end.offset < rebuild->offset_end)) {
        struct segment_batch batch = {0};
        struct bytes data = {0};
        enum pyr_err err = walk_next(walk, &data, &batch, reterr);
        if (err != PYR_OK) {
            return err;
        }
        is_good = rebuild->why[0] == '\0';
        if (!is_good) {
            break;
        }
        if (batch.offset_base < rebuild->offset_end && batch.offset_end > rebuild->offset_end) {
            return err_set(reterr, PYR_ERR_INVALID, "offset %" PRId64 " of '%s' is inside a batch",
                           rebuild->offset_end, rebuild->folder);
        }
        const char *why = NULL;
        err = walk_take(walk, data, &batch, &why, reterr);
        if (err != PYR_OK) {
            return err;
        }
        rebuild->batches++;
        rebuild->records += batch.record_count;
        rebuild->bytes_scanned += batch.bytes;
    }
    if (is_good && shape->end.position >= walk->log_bytes) {
        (void)snprintf(rebuild->why, sizeof rebuild->why, "the file ends");
    }
    return walk_ended(walk, reterr);
}

/* -- The whole -- */

/* Take over what the .digest holds up to the trusted offset. *@ret_is_new: it holds nothing. */
static enum pyr_err restore(struct segment_rebuild *rebuild,
                            struct io_file *digest,
                            bool *ret_is_new,
                            struct pyr_error *reterr)
{
    ASSERT(!rebuild->is_dry);
    ASSERT(!rebuild->shape.is_cleaned);
    ASSERT(rebuild->offset_trusted > rebuild->shape.identity.offset_base);

    uint8_t data[SEGMENT_DIGEST_HEADER_BYTES + SEGMENT_POINT_BYTES];
    struct segment_digest_header header;
    struct segment_point start;
    struct segment_restored restored;
    size_t count = 0;

    *ret_is_new = true;
    if (!digest) {
        return PYR_OK;
    }
    int number = io_read_whole(rebuild->io, digest,
                               (struct bytes_mut){.data = data, .count = sizeof data}, 0, &count);
    if (number != 0) {
        return err_set_errno(reterr, number, "read a .digest of '%s'", rebuild->folder);
    }
    if (count < sizeof data ||
        segment_digest_header_get(data, &rebuild->shape.identity, &header) != PYR_OK ||
        header.is_cleaned ||
        !segment_point_get(data + SEGMENT_DIGEST_HEADER_BYTES, &rebuild->shape.identity, 0,
                           &start) ||
        start.digest != rebuild->shape.start.digest) {
        return PYR_OK;
    }
    rebuild->shape.start.clock_ms = start.clock_ms;
    rebuild->shape.end = rebuild->shape.start;
    struct segment_points points = {.io = rebuild->io, .digest = digest, .shape = &rebuild->shape};
    enum pyr_err err =
        segment_points_restore(&points, rebuild->offset_trusted, NULL, &restored, reterr);
    if (err == PYR_OK) {
        rebuild->shape = restored.shape;
        *ret_is_new = false;
    }
    return err;
}

/* Cut the .digest behind its last point, and sync or not. */
static enum pyr_err finish(struct segment_rebuild *rebuild,
                           struct segment_writer *writer,
                           struct pyr_error *reterr)
{
    ASSERT(!rebuild->is_dry);
    ASSERT(writer->shape == &rebuild->shape);

    enum pyr_err err = PYR_OK;
    if (rebuild->is_sealed) {
        err = segment_writer_end(writer, reterr);
        return err == PYR_OK ? segment_writer_sync(writer, reterr) : err;
    }
    err = segment_writer_flush(writer, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int number = io_truncate(rebuild->io, writer->files[SEGMENT_KIND_DIGEST],
                             segment_point_position(rebuild->shape.point_count));
    if (number != 0) {
        return err_set_errno(reterr, number, "cut a .digest of '%s'", rebuild->folder);
    }
    return PYR_OK;
}

static enum pyr_err walk_log(struct segment_rebuild *rebuild,
                             struct walk *walk,
                             bool is_new,
                             struct pyr_error *reterr)
{
    ASSERT(!rebuild->is_dry);
    ASSERT(walk->rebuild == rebuild);

    enum pyr_err err = segment_writer_open(&walk->writer, rebuild->io, rebuild->folder,
                                           SEGMENT_SUFFIX_NONE, &rebuild->shape, reterr);
    if (err == PYR_OK && is_new) {
        rebuild->rebuilt++;
        err = segment_writer_begin(&walk->writer, reterr);
    }
    if (err == PYR_OK && !walk->writer.files[SEGMENT_KIND_DIGEST]) {
        err = segment_file_open(
            rebuild->io,
            &(struct segment_file_name){rebuild->folder, rebuild->shape.identity.offset_base,
                                        SEGMENT_KIND_DIGEST},
            IO_OPEN_READ | IO_OPEN_WRITE, &walk->writer.files[SEGMENT_KIND_DIGEST], reterr);
    }
    if (err == PYR_OK) {
        err = walk_batches(walk, reterr);
    }
    if (err == PYR_OK) {
        err = finish(rebuild, &walk->writer, reterr);
    }
    segment_writer_close(&walk->writer);
    return err;
}

enum pyr_err segment_rebuild(struct segment_rebuild *rebuild, struct pyr_error *reterr)
{
    ASSERT(!rebuild->is_sealed || !rebuild->may_pass);

    struct walk walk = {.rebuild = rebuild};
    struct io_file *digest = NULL;
    int64_t offset_base = rebuild->shape.identity.offset_base;
    bool is_new = true;

    ASSERT(rebuild->offset_end >= offset_base);
    ASSERT(!rebuild->shape.is_cleaned);
    enum pyr_err err = segment_file_open(
        rebuild->io, &(struct segment_file_name){rebuild->folder, offset_base, SEGMENT_KIND_LOG},
        IO_OPEN_READ, &walk.log, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (!walk.log) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s/%020" PRId64 ".log' is missing",
                       rebuild->folder, offset_base);
    }
    int number = io_bytes(rebuild->io, walk.log, &walk.log_bytes);
    size_t room = walk.log_bytes < SCAN_BYTES ? (size_t)walk.log_bytes + 1 : (size_t)SCAN_BYTES;
    walk.buffer =
        (struct bytes_mut){.data = io_alloc(rebuild->io, room, BLOCK_BYTES), .count = room};
    if (number != 0) {
        err = err_set_errno(reterr, number, "look at a segment of '%s'", rebuild->folder);
    } else if (!walk.buffer.data) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to scan a segment");
    } else {
        err = segment_file_open(
            rebuild->io,
            &(struct segment_file_name){rebuild->folder, offset_base, SEGMENT_KIND_DIGEST},
            IO_OPEN_READ, &digest, reterr);
    }
    if (err == PYR_OK && !rebuild->is_dry) {
        err = restore(rebuild, digest, &is_new, reterr);
    }
    if (err == PYR_OK && rebuild->is_dry) {
        walk.digest = digest;
        err = walk_batches(&walk, reterr);
    }
    io_close(rebuild->io, digest);
    if (rebuild->is_dry) {
        ASSERT(!rebuild->is_sealed);
    } else if (err == PYR_OK) {
        err = walk_log(rebuild, &walk, is_new, reterr);
    }
    io_free(rebuild->io, walk.buffer.data);
    io_close(rebuild->io, walk.log);
    if (err == PYR_OK && !rebuild->is_dry && !MUTANT(stale_index_trusted)) {
        uint32_t rebuilt = 0;
        err = segment_rebuild_index(rebuild->io, rebuild->folder, &rebuild->shape, false, &rebuilt,
                                    reterr);
        rebuild->rebuilt += is_new ? 0 : rebuilt;
    }
    return err;
}

/* -- The look -- */

/* A file that is looked at, and the errno value of what could not be read. What cannot be read is
 * not damaged: to make it anew would destroy what it says. */
struct looked {
    struct io *io;
    struct io_file *file;
    int error;
};

/* Read @count bytes at @position into @data; false if the file is shorter, or with an error. */
static bool read_exactly(struct looked *looked, uint8_t *data, size_t count, int64_t position)
{
    ASSERT(looked->file);
    ASSERT(data);

    size_t got = 0;
    if (position < 0 || looked->error != 0) {
        return false;
    }
    looked->error = io_read_whole(looked->io, looked->file,
                                  (struct bytes_mut){.data = data, .count = count}, position, &got);
    return looked->error == 0 && got == count;
}

/* Take START, END and the history's end out of an open .digest. */
static enum segment_look look_at_digest(struct looked *digest, struct segment_shape *shape)
{
    ASSERT(digest->file);
    ASSERT(digest->error == 0);
    ASSERT(shape->point_count == 0);

    uint8_t data[SEGMENT_POINT_BYTES + SEGMENT_DIGEST_HEADER_BYTES];
    struct segment_digest_header header;
    struct segment_point point;
    int64_t bytes = 0;

    digest->error = io_bytes(digest->io, digest->file, &bytes);
    if (!read_exactly(digest, data, SEGMENT_DIGEST_HEADER_BYTES, 0) ||
        segment_digest_header_get(data, &shape->identity, &header) != PYR_OK) {
        return SEGMENT_LOOK_BAD;
    }
    uint32_t slots = segment_point_slots(bytes);
    uint32_t first = header.history_count;
    if (slots <= first ||
        !read_exactly(digest, data, SEGMENT_POINT_BYTES, segment_point_position(first)) ||
        !segment_point_get(data, &shape->identity, first, &shape->start) ||
        !(shape->start.kind & SEGMENT_POINT_START)) {
        return SEGMENT_LOOK_BAD;
    }
    shape->is_cleaned = header.is_cleaned;
    shape->history_count = header.history_count;
    shape->end = shape->start;
    shape->point_count = first + 1;
    uint32_t last = slots - 1;
    bool is_whole = bytes == segment_point_position(slots);
    if (!is_whole ||
        !read_exactly(digest, data, SEGMENT_POINT_BYTES, segment_point_position(last)) ||
        !segment_point_get(data, &shape->identity, last, &point) ||
        !(point.kind & SEGMENT_POINT_END)) {
        return header.is_cleaned ? SEGMENT_LOOK_BAD : SEGMENT_LOOK_OPEN;
    }
    shape->end = point;
    shape->point_count = slots;
    shape->index_count = point.batch_delta;
    shape->time_last = point.timestamp_max;
    shape->history_digest = point.digest;
    if (header.is_cleaned) {
        if (first == 0 ||
            !read_exactly(digest, data, SEGMENT_POINT_BYTES, segment_point_position(first - 1)) ||
            !segment_point_get(data, &shape->identity, first - 1, &point)) {
            return SEGMENT_LOOK_BAD;
        }
        shape->history_digest = point.digest;
    }
    return SEGMENT_LOOK_GOOD;
}

/* Whether the ends of Kafka's two files are what the END point says. */
static bool is_index_good(struct io *io, const char *folder, struct segment_shape *shape)
{
    ASSERT(shape->point_count > shape->history_count);
    ASSERT(shape->time_count == 0);

    struct io_file *index = NULL;
    struct io_file *times = NULL;
    int64_t index_bytes = -1;
    int64_t time_bytes = -1;
    int64_t offset_base = shape->identity.offset_base;
    uint8_t want[SEGMENT_TIME_ENTRY_BYTES];
    uint8_t there[SEGMENT_TIME_ENTRY_BYTES];
    bool is_good =
        segment_file_open(io, &(struct segment_file_name){folder, offset_base, SEGMENT_KIND_INDEX},
                          IO_OPEN_READ, &index, NULL) == PYR_OK &&
        segment_file_open(io,
                          &(struct segment_file_name){folder, offset_base, SEGMENT_KIND_TIMEINDEX},
                          IO_OPEN_READ, &times, NULL) == PYR_OK &&
        index && times && io_bytes(io, index, &index_bytes) == 0 &&
        io_bytes(io, times, &time_bytes) == 0;
    is_good = is_good && index_bytes == (int64_t)shape->index_count * SEGMENT_INDEX_ENTRY_BYTES &&
              time_bytes % SEGMENT_TIME_ENTRY_BYTES == 0;
    if (is_good && shape->end.timestamp_max > -1) {
        segment_time_entry_put(want, &shape->end);
        struct looked looked = {.io = io, .file = times};
        is_good = read_exactly(&looked, there, sizeof there, time_bytes - (int64_t)sizeof there) &&
                  memcmp(want, there, sizeof want) == 0;
    }
    shape->time_count = is_good ? (uint32_t)(time_bytes / SEGMENT_TIME_ENTRY_BYTES) : 0;
    io_close(io, index);
    io_close(io, times);
    return is_good || MUTANT(stale_index_trusted);
}

enum pyr_err segment_look_at(struct io *io,
                             const char *folder,
                             const struct segment_identity *identity,
                             enum segment_look *ret_look,
                             struct segment_shape *ret_shape,
                             struct pyr_error *reterr)
{
    ASSERT(ret_look);
    ASSERT(ret_shape);

    struct segment_shape shape = {.identity = *identity, .time_last = -1};
    struct io_file *digest = NULL;
    struct io_file *log = NULL;
    int64_t log_bytes = -1;
    ASSERT(identity->offset_base >= 0);
    enum pyr_err err = segment_file_open(
        io, &(struct segment_file_name){folder, identity->offset_base, SEGMENT_KIND_DIGEST},
        IO_OPEN_READ, &digest, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct looked looked = {.io = io, .file = digest};
    enum segment_look look = digest ? look_at_digest(&looked, &shape) : SEGMENT_LOOK_BAD;
    io_close(io, digest);
    if (looked.error != 0) {
        return err_set_errno(reterr, looked.error, "read '%s/%020" PRId64 ".digest'", folder,
                             identity->offset_base);
    }
    err = segment_file_open(
        io, &(struct segment_file_name){folder, identity->offset_base, SEGMENT_KIND_LOG},
        IO_OPEN_READ, &log, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (log && io_bytes(io, log, &log_bytes) != 0) {
        log_bytes = -1;
    }
    io_close(io, log);
    if (look == SEGMENT_LOOK_GOOD && log_bytes != shape.end.position) {
        look = shape.is_cleaned ? SEGMENT_LOOK_BAD : SEGMENT_LOOK_OPEN;
    }
    if (look == SEGMENT_LOOK_GOOD && !is_index_good(io, folder, &shape)) {
        look = SEGMENT_LOOK_INDEX_BAD;
    }
    shape.bytes_allocated = shape.end.position;
    *ret_look = look;
    *ret_shape = shape;
    return PYR_OK;
}
