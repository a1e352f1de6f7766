/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/writer - gathering, and the making of the side files.
 */
#include "segment/writer.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "io/transfer.h"
#include "record/batch.h"

enum {
    POINTS_BYTES = SEGMENT_POINTS_BUFFERED * SEGMENT_POINT_BYTES,
    INDEX_BYTES = SEGMENT_POINTS_BUFFERED * SEGMENT_INDEX_ENTRY_BYTES,
    TIMES_BYTES = SEGMENT_POINTS_BUFFERED * SEGMENT_TIME_ENTRY_BYTES,
};

/* -- Small steps -- */

static enum pyr_err file_error(const struct segment_writer *writer,
                               enum segment_kind kind,
                               int number,
                               const char *what,
                               struct pyr_error *reterr)
{
    ASSERT(number != 0);
    ASSERT(what);

    char path[PATH_BYTES_MAX] = "";
    if (!segment_path(path, writer->folder, writer->shape->identity.offset_base, kind,
                      writer->suffix)) {
        path[0] = '\0';
    }
    return err_set_errno(reterr, number, "%s '%s'", what, path);
}

/* Open the file of @kind unless it is open. */
static enum pyr_err need_file(struct segment_writer *writer,
                              enum segment_kind kind,
                              uint32_t flags,
                              struct pyr_error *reterr)
{
    ASSERT(writer->shape);
    ASSERT(kind < SEGMENT_KIND_COUNT);

    if (writer->files[kind]) {
        return PYR_OK;
    }
    char path[PATH_BYTES_MAX];
    if (!segment_path(path, writer->folder, writer->shape->identity.offset_base, kind,
                      writer->suffix)) {
        return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", writer->folder);
    }
    int number =
        io_open(writer->io, path, IO_OPEN_READ | IO_OPEN_WRITE | flags, &writer->files[kind]);
    if (number != 0) {
        return err_set_errno(reterr, number, "open '%s'", path);
    }
    ASSERT(writer->files[kind]);
    return PYR_OK;
}

static enum pyr_err write_at(struct segment_writer *writer,
                             enum segment_kind kind,
                             struct bytes data,
                             int64_t position,
                             struct pyr_error *reterr)
{
    ASSERT(position >= 0);
    ASSERT(data.data || data.count == 0);

    if (data.count == 0) {
        return PYR_OK;
    }
    enum pyr_err err = need_file(writer, kind, IO_OPEN_CREATE, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int number = io_write_whole(writer->io, writer->files[kind], data, position, false);
    if (number != 0) {
        return file_error(writer, kind, number, "write", reterr);
    }
    return PYR_OK;
}

/* -- The .log -- */

/* Reserve space, so that blocks lie together. A disk without room or without the call shows it when
 * the batches are written; it is asked once, since one that is nearly full may take and give back
 * all that it has left before it refuses. */
static void allocate_ahead(struct segment_writer *writer, int64_t bytes)
{
    ASSERT(bytes >= 0);
    ASSERT(writer->bytes_max > 0);

    struct segment_shape *shape = writer->shape;
    if (!writer->allocates || bytes <= shape->bytes_allocated || !writer->files[SEGMENT_KIND_LOG]) {
        return;
    }
    int64_t step = shape->bytes_allocated;
    step = step < SEGMENT_ALLOCATE_BYTES_MIN ? SEGMENT_ALLOCATE_BYTES_MIN : step;
    step = step > SEGMENT_ALLOCATE_BYTES_MAX ? SEGMENT_ALLOCATE_BYTES_MAX : step;
    int64_t want = bytes + step;
    want = want > writer->bytes_max ? writer->bytes_max : want;
    want = want < bytes ? bytes : want;
    ASSERT(want >= bytes);
    if (!writer->is_refused) {
        writer->is_refused = io_allocate(writer->io, writer->files[SEGMENT_KIND_LOG], want) != 0;
    }
    shape->bytes_allocated = writer->is_refused ? bytes : want;
}

/* Take @data, which goes right behind what is gathered. */
static enum pyr_err gather(struct segment_writer *writer,
                           struct bytes data,
                           struct pyr_error *reterr)
{
    ASSERT(data.count > 0);
    ASSERT(writer->shape->end.position >= data.count);

    if (!writer->writes_log) {
        return PYR_OK;
    }
    enum pyr_err err = need_file(writer, SEGMENT_KIND_LOG, IO_OPEN_CREATE, reterr);
    if (err != PYR_OK) {
        return err;
    }
    allocate_ahead(writer, (int64_t)writer->shape->end.position);
    if (!writer->stream.file) {
        segment_stream_init(&writer->stream, writer->io, writer->files[SEGMENT_KIND_LOG],
                            (int64_t)writer->shape->end.position - (int64_t)data.count);
    }
    int number = segment_stream_put(&writer->stream, data);
    return number == 0 ? PYR_OK : file_error(writer, SEGMENT_KIND_LOG, number, "write", reterr);
}

static enum pyr_err flush_log(struct segment_writer *writer, struct pyr_error *reterr)
{
    ASSERT(writer->shape);
    ASSERT(writer->writes_log || !writer->stream.file);

    int number = segment_stream_flush(&writer->stream);
    return number == 0 ? PYR_OK : file_error(writer, SEGMENT_KIND_LOG, number, "write", reterr);
}

/* -- The side files -- */

static enum pyr_err flush_sides(struct segment_writer *writer, struct pyr_error *reterr)
{
    ASSERT(writer->point_count <= SEGMENT_POINTS_BUFFERED);
    ASSERT(writer->index_count <= writer->point_count);
    ASSERT(writer->time_count <= writer->index_count);

    struct bytes points = {.data = writer->points,
                           .count = (size_t)writer->point_count * SEGMENT_POINT_BYTES};
    enum pyr_err err = write_at(writer, SEGMENT_KIND_DIGEST, points,
                                segment_point_position(writer->point_first), reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct bytes index = {.data = writer->index,
                          .count = (size_t)writer->index_count * SEGMENT_INDEX_ENTRY_BYTES};
    err = write_at(writer, SEGMENT_KIND_INDEX, index,
                   (int64_t)writer->index_first * SEGMENT_INDEX_ENTRY_BYTES, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct bytes times = {.data = writer->times,
                          .count = (size_t)writer->time_count * SEGMENT_TIME_ENTRY_BYTES};
    err = write_at(writer, SEGMENT_KIND_TIMEINDEX, times,
                   (int64_t)writer->time_first * SEGMENT_TIME_ENTRY_BYTES, reterr);
    if (err != PYR_OK) {
        return err;
    }
    writer->point_first += writer->point_count;
    writer->index_first += writer->index_count;
    writer->time_first += writer->time_count;
    writer->point_count = 0;
    writer->index_count = 0;
    writer->time_count = 0;
    return PYR_OK;
}

/* Hold @point, and what Kafka's files say of it, for the next write. */
static enum pyr_err hold_point(struct segment_writer *writer,
                               const struct segment_point *point,
                               struct pyr_error *reterr)
{
    ASSERT(point->kind != 0);
    ASSERT(writer->point_count <= SEGMENT_POINTS_BUFFERED);

    if (writer->point_count == SEGMENT_POINTS_BUFFERED) {
        enum pyr_err err = flush_sides(writer, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    struct segment_shape *shape = writer->shape;
    ASSERT(writer->point_first + writer->point_count == shape->point_count);
    segment_point_put(writer->points + (size_t)writer->point_count * SEGMENT_POINT_BYTES,
                      &shape->identity, shape->point_count, point);
    writer->point_count++;
    bool has_time = segment_shape_count(shape, point);
    if (point->kind & SEGMENT_POINT_INDEX) {
        segment_index_entry_put(writer->index +
                                    (size_t)writer->index_count * SEGMENT_INDEX_ENTRY_BYTES,
                                shape->identity.offset_base, point);
        writer->index_count++;
    }
    if (has_time) {
        segment_time_entry_put(
            writer->times + (size_t)writer->time_count * SEGMENT_TIME_ENTRY_BYTES, point);
        writer->time_count++;
    }
    return PYR_OK;
}

/* -- The calls -- */

enum pyr_err segment_writer_open(struct segment_writer *writer,
                                 struct io *io,
                                 const char *folder,
                                 enum segment_suffix suffix,
                                 struct segment_shape *shape,
                                 struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(shape->point_count > shape->history_count);
    ASSERT(shape->point_count > 0);
    ASSERT(suffix == SEGMENT_SUFFIX_NONE || suffix == SEGMENT_SUFFIX_CLEANED);

    size_t bytes = POINTS_BYTES + INDEX_BYTES + TIMES_BYTES;
    uint8_t *memory = io_alloc(io, bytes, BLOCK_BYTES);
    if (!memory) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a segment's buffers");
    }
    *writer = (struct segment_writer){
        .io = io,
        .folder = folder,
        .suffix = suffix,
        .shape = shape,
        .memory = memory,
        .points = memory,
        .index = memory + POINTS_BYTES,
        .times = memory + POINTS_BYTES + INDEX_BYTES,
        .point_first = shape->point_count,
        .index_first = shape->index_count,
        .time_first = shape->time_count,
        .bytes_max = SEGMENT_BYTES_MAX,
    };
    return PYR_OK;
}

void segment_writer_lend(struct segment_writer *writer,
                         enum segment_kind kind,
                         struct io_file *file)
{
    ASSERT(file);
    ASSERT(kind < SEGMENT_KIND_COUNT);
    ASSERT(!writer->files[kind]);
    writer->files[kind] = file;
    writer->is_borrowed[kind] = true;
}

void segment_writer_lend_direct(struct segment_writer *writer,
                                struct io_file *direct,
                                struct bytes_mut buffer)
{
    ASSERT(writer->files[SEGMENT_KIND_LOG]);
    ASSERT(!writer->stream.file);

    segment_stream_init(&writer->stream, writer->io, writer->files[SEGMENT_KIND_LOG],
                        writer->shape->end.position);
    segment_stream_lend(&writer->stream, direct, buffer);
}

enum pyr_err segment_writer_begin(struct segment_writer *writer, struct pyr_error *reterr)
{
    ASSERT(writer->memory);
    ASSERT(writer->point_count == 0);

    const struct segment_shape *shape = writer->shape;
    uint8_t head[SEGMENT_DIGEST_HEADER_BYTES + SEGMENT_POINT_BYTES];
    struct segment_digest_header header = {
        .identity = shape->identity,
        .is_cleaned = shape->is_cleaned,
        .history_count = shape->history_count,
    };

    ASSERT(shape->point_count == shape->history_count + 1);
    for (enum segment_kind kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        if (kind == SEGMENT_KIND_LOG && (!writer->writes_log || writer->files[kind])) {
            continue;
        }
        enum pyr_err err = need_file(writer, kind, IO_OPEN_CREATE, reterr);
        if (err != PYR_OK) {
            return err;
        }
        int number = io_truncate(writer->io, writer->files[kind], 0);
        if (number != 0) {
            return file_error(writer, kind, number, "cut", reterr);
        }
    }
    segment_digest_header_put(head, &header);
    enum pyr_err err =
        write_at(writer, SEGMENT_KIND_DIGEST,
                 (struct bytes){.data = head, .count = SEGMENT_DIGEST_HEADER_BYTES}, 0, reterr);
    if (err != PYR_OK) {
        return err;
    }
    uint32_t slot = shape->history_count;
    segment_point_put(head, &shape->identity, slot, &shape->start);
    return write_at(writer, SEGMENT_KIND_DIGEST,
                    (struct bytes){.data = head, .count = SEGMENT_POINT_BYTES},
                    segment_point_position(slot), reterr);
}

enum pyr_err segment_writer_history(struct segment_writer *writer,
                                    const struct segment_point *points,
                                    uint32_t count,
                                    struct pyr_error *reterr)
{
    ASSERT(points || count == 0);
    ASSERT(count == writer->shape->history_count);
    ASSERT(writer->shape->is_cleaned);
    for (uint32_t slot = 0; slot < count; slot++) {
        uint8_t data[SEGMENT_POINT_BYTES];
        segment_point_put(data, &writer->shape->identity, slot, &points[slot]);
        enum pyr_err err = write_at(writer, SEGMENT_KIND_DIGEST,
                                    (struct bytes){.data = data, .count = sizeof data},
                                    segment_point_position(slot), reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}

enum pyr_err segment_writer_add(struct segment_writer *writer,
                                struct bytes data,
                                int64_t clock_ms,
                                struct segment_batch *ret_batch,
                                const char **ret_why,
                                struct pyr_error *reterr)
{
    ASSERT(data.count > 0);
    ASSERT(ret_batch);
    ASSERT(ret_why);

    struct segment_point point;
    struct segment_batch batch;
    enum pyr_err err = segment_shape_add(writer->shape, data, clock_ms, &point, &batch, ret_why);
    if (err != PYR_OK) {
        return err;
    }
    if (point.kind != 0) {
        err = hold_point(writer, &point, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    *ret_batch = batch;
    return gather(writer, (struct bytes){.data = data.data, .count = batch.bytes}, reterr);
}

enum pyr_err segment_writer_flush(struct segment_writer *writer, struct pyr_error *reterr)
{
    ASSERT(writer->memory);
    ASSERT(writer->point_first + writer->point_count == writer->shape->point_count);

    enum pyr_err err = flush_log(writer, reterr);
    if (err == PYR_OK) {
        err = flush_sides(writer, reterr);
    }
    if (err == PYR_OK && writer->stream.file) {
        ASSERT(writer->stream.position == (int64_t)writer->shape->end.position);
    }
    return err;
}

/* Cut the file of @kind to @bytes, opening it if need be. */
static enum pyr_err cut_file(struct segment_writer *writer,
                             enum segment_kind kind,
                             int64_t bytes,
                             struct pyr_error *reterr)
{
    ASSERT(bytes >= 0);
    ASSERT(kind < SEGMENT_KIND_COUNT);

    enum pyr_err err = need_file(writer, kind, IO_OPEN_CREATE, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int number = io_truncate(writer->io, writer->files[kind], bytes);
    return number == 0 ? PYR_OK : file_error(writer, kind, number, "cut", reterr);
}

enum pyr_err segment_writer_end(struct segment_writer *writer, struct pyr_error *reterr)
{
    ASSERT(writer->memory);
    ASSERT(writer->shape->time_count <= writer->shape->index_count);

    struct segment_shape *shape = writer->shape;
    enum pyr_err err = segment_writer_flush(writer, reterr);
    if (err != PYR_OK) {
        return err;
    }
    uint8_t data[SEGMENT_POINT_BYTES];
    struct segment_point end = segment_shape_end_point(shape);
    segment_point_put(data, &shape->identity, shape->point_count, &end);
    err = write_at(writer, SEGMENT_KIND_DIGEST,
                   (struct bytes){.data = data, .count = SEGMENT_POINT_BYTES},
                   segment_point_position(shape->point_count), reterr);
    if (err != PYR_OK) {
        return err;
    }
    shape->point_count++;
    if (end.timestamp_max > shape->time_last) {
        segment_time_entry_put(data, &end);
        err = write_at(writer, SEGMENT_KIND_TIMEINDEX,
                       (struct bytes){.data = data, .count = SEGMENT_TIME_ENTRY_BYTES},
                       (int64_t)shape->time_count * SEGMENT_TIME_ENTRY_BYTES, reterr);
        shape->time_last = end.timestamp_max;
        shape->time_count++;
    }
    const int64_t bytes[SEGMENT_KIND_COUNT] = {
        [SEGMENT_KIND_LOG] = shape->end.position,
        [SEGMENT_KIND_INDEX] = (int64_t)shape->index_count * SEGMENT_INDEX_ENTRY_BYTES,
        [SEGMENT_KIND_TIMEINDEX] = (int64_t)shape->time_count * SEGMENT_TIME_ENTRY_BYTES,
        [SEGMENT_KIND_DIGEST] = segment_point_position(shape->point_count),
    };
    for (enum segment_kind kind = 0; kind < SEGMENT_KIND_COUNT && err == PYR_OK; kind++) {
        err = cut_file(writer, kind, bytes[kind], reterr);
    }
    shape->bytes_allocated = shape->end.position;
    return err;
}

enum pyr_err segment_writer_sync(struct segment_writer *writer, struct pyr_error *reterr)
{
    ASSERT(writer->shape);
    ASSERT(writer->stream.count == 0);

    for (enum segment_kind kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        if (!writer->files[kind]) {
            continue;
        }
        int number = io_sync(writer->io, writer->files[kind]);
        if (number != 0) {
            (void)file_error(writer, kind, number, "sync", reterr);
            return err_recode(reterr, PYR_ERR_IO); /* It is final, whatever its errno. */
        }
    }
    return PYR_OK;
}

void segment_writer_close(struct segment_writer *writer)
{
    ASSERT(writer->memory || !writer->stream.buffer);

    segment_stream_deinit(&writer->stream);
    for (enum segment_kind kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        if (writer->files[kind] && !writer->is_borrowed[kind]) {
            io_close(writer->io, writer->files[kind]);
        }
        writer->files[kind] = NULL;
    }
    if (writer->memory) {
        io_free(writer->io, writer->memory);
        writer->memory = NULL;
    }
}

/* -- Small whole files -- */

/* Write @data as a new file at @path and sync it. */
static enum pyr_err write_new(struct io *io,
                              const char *path,
                              struct bytes data,
                              struct pyr_error *reterr)
{
    ASSERT(path);
    ASSERT(data.count > 0);

    struct io_file *file = NULL;
    int number = io_open(io, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (number != 0) {
        return err_set_errno(reterr, number, "open '%s'", path);
    }
    number = io_truncate(io, file, 0);
    if (number == 0) {
        number = io_write_whole(io, file, data, 0, false);
    }
    if (number == 0) {
        number = io_sync(io, file);
    }
    io_close(io, file);
    return number == 0 ? PYR_OK : err_set_errno(reterr, number, "write '%s'", path);
}

/* Replace the file without the sync of the folder. */
static enum pyr_err replace(struct io *io,
                            const char *folder,
                            const char *name,
                            struct bytes data,
                            struct pyr_error *reterr)
{
    ASSERT(name);
    ASSERT(data.count > 0);

    char path[PATH_BYTES_MAX];
    char path_new[PATH_BYTES_MAX];
    size_t count = segment_path_join(path, folder, name) ? strlen(path) : PATH_BYTES_MAX;
    if (count + sizeof SEGMENT_NEW_SUFFIX > PATH_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", folder);
    }
    memcpy(path_new, path, count + 1);
    memcpy(path_new + count, SEGMENT_NEW_SUFFIX, sizeof SEGMENT_NEW_SUFFIX);
    enum pyr_err err = write_new(io, path_new, data, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int number = io_rename(io, path_new, path);
    return number == 0 ? PYR_OK : err_set_errno(reterr, number, "rename '%s'", path_new);
}

enum pyr_err segment_file_replace(struct io *io,
                                  const char *folder,
                                  const char *name,
                                  struct bytes data,
                                  struct pyr_error *reterr)
{
    ASSERT(name);
    ASSERT(data.count > 0);

    enum pyr_err err = replace(io, folder, name, data, reterr);
    if (err != PYR_OK || MUTANT(no_folder_sync)) {
        return err;
    }
    int number = io_sync_folder(io, folder);
    return number == 0 ? PYR_OK : err_set_errno(reterr, number, "sync the folder '%s'", folder);
}

enum pyr_err segment_epochs_write(struct io *io,
                                  const char *folder,
                                  const struct segment_epoch *rows,
                                  size_t count,
                                  struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(rows || count == 0);
    ASSERT(count <= SEGMENT_EPOCHS_MAX);
    size_t bytes = (count + 1) * SEGMENT_EPOCH_ROW_BYTES_MAX;
    char *text = io_alloc(io, bytes, 1);
    if (!text) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the epoch table");
    }
    size_t used = segment_epochs_put(text, bytes, rows, count);
    ASSERT(used > 0);
    enum pyr_err err =
        replace(io, folder, SEGMENT_EPOCH_FILE_NAME,
                (struct bytes){.data = (const uint8_t *)text, .count = used}, reterr);
    io_free(io, text);
    return err;
}
