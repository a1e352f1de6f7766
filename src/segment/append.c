/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/append - a run of batches to the end of the log, and the file made ahead for it.
 *
 * An append writes to one segment: the one that is open, or a fresh one if that is full or too old.
 * It stops before the batch that does not fit, and the next append begins the next segment. The
 * fresh one's file was prepared by a job of its own and only gets its name here, so that rolling
 * costs a rename and three small files and no sync; the segment left behind is cut to size and
 * synced by the next sync.
 *
 *   plan: shape of the open segment  -->  run: walk, gather, write  -->  apply: shape back
 *         or a fresh one behind it
 */
#include <errno.h>

#include "base/assert.h"
#include "segment/state.h"
#include "segment/writer.h"

/* -- Plan -- */

static bool must_roll(const struct segment_log *log, const struct segment *last, int64_t clock_ms)
{
    ASSERT(log->bytes_max > 0);
    ASSERT(log->bytes_max <= SEGMENT_BYTES_MAX);

    if (!last || last->state != SEGMENT_STATE_OPEN) {
        return true;
    }
    bool is_empty = last->shape.end.position == 0;
    bool is_old = log->age_max_ms > 0 && clock_ms - last->shape.start.clock_ms >= log->age_max_ms;
    return !is_empty && (is_old || last->shape.end.position >= log->bytes_max);
}

/* Whether @parts begin with a large batch of a log that nobody maps: they go past the page cache.
 */
static bool is_direct(const struct segment_log *log, const struct bytes *parts, size_t part_count)
{
    ASSERT(parts || part_count == 0);
    ASSERT(log->files->direct_buffer_bytes % BLOCK_BYTES == 0);

    struct segment_batch batch;
    return !log->use_mmap && part_count > 0 &&
           !segment_batch_peek(parts[0].data, (int64_t)parts[0].count, &batch) &&
           batch.bytes >= log->files->direct_batch_bytes;
}

enum pyr_err segment_append_plan(struct segment_log *log,
                                 struct segment_append *job,
                                 const struct bytes *parts,
                                 size_t part_count,
                                 int64_t clock_ms,
                                 struct pyr_error *reterr)
{
    ASSERT(parts || part_count == 0);

    enum pyr_err err = segment_log_check(log, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (log->is_appending || log->is_truncating) {
        return err_set(reterr, PYR_ERR_BUSY, "'%s' is being written to", log->folder);
    }
    err = segment_log_reserve(log, 1);
    if (err == PYR_OK) {
        err = segment_log_reserve_epochs(log, SEGMENT_APPEND_EPOCHS_MAX);
    }
    if (err != PYR_OK) {
        return err_set(reterr, err, "the tables of '%s' cannot grow", log->folder);
    }

    struct segment *last = segment_log_last(log);
    *job = (struct segment_append){
        .io = log->io,
        .folder = log->folder,
        .parts = parts,
        .part_count = part_count,
        .clock_ms = clock_ms,
        .bytes_max = log->bytes_max,
        .has_prepared = log->has_prepared,
    };
    if (must_roll(log, last, clock_ms)) {
        struct segment_point end = segment_log_point(log);
        job->shape = segment_shape_after(&log->log, &end, clock_ms);
        job->fresh = segment_create(log->io, &job->shape, SEGMENT_STATE_OPEN);
        if (!job->fresh) {
            return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a segment");
        }
    } else {
        job->shape = last->shape;
        job->handle = segment_files_get(log->files, last, 0, true);
    }
    ASSERT(job->shape.end.offset == segment_log_point(log).offset);
    if (is_direct(log, parts, part_count)) {
        job->buffer.data = segment_files_take_buffer(log->files); /* Without it, as usual. */
        job->buffer.count = log->files->direct_buffer_bytes;
    }
    log->is_appending = true;
    return PYR_OK;
}

/* -- Run -- */

/* Give the prepared file, if there is one, the fresh segment's name. */
static void take_prepared(struct segment_append *job, const char *path)
{
    ASSERT(path);
    ASSERT(job->fresh);

    char from[PATH_BYTES_MAX];
    if (job->has_prepared && segment_path_join(from, job->folder, SEGMENT_PREPARED_FILE_NAME) &&
        io_rename(job->io, from, path) == 0) {
        job->has_prepared = false;
    }
}

/* Make the files of the fresh segment. A file that an append left when it failed half way is begun
 * anew. */
static enum pyr_err begin_segment(struct segment_append *job)
{
    ASSERT(job->fresh);
    ASSERT(!job->handle);
    ASSERT(job->shape.end.position == 0);

    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    if (!segment_path(path, job->folder, job->shape.identity.offset_base, SEGMENT_KIND_LOG,
                      SEGMENT_SUFFIX_NONE)) {
        return err_set(&job->error, PYR_ERR_INVALID, "the path of '%s' is too long", job->folder);
    }
    bool had_prepared = job->has_prepared;
    take_prepared(job, path);
    bool is_prepared = had_prepared && !job->has_prepared;
    int number = io_open(job->io, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (number != 0) {
        return err_set_errno(&job->error, number, "open '%s'", path);
    }
    number = is_prepared ? io_bytes(job->io, file, &job->shape.bytes_allocated)
                         : io_truncate(job->io, file, 0);
    io_close(job->io, file);
    if (number != 0) {
        return err_set_errno(&job->error, number, "cut '%s'", path);
    }
    struct segment_writer sides = {0};
    enum pyr_err err = segment_writer_open(&sides, job->io, job->folder, SEGMENT_SUFFIX_NONE,
                                           &job->shape, &job->error);
    if (err == PYR_OK) {
        err = segment_writer_begin(&sides, &job->error);
    }
    segment_writer_close(&sides);
    return err;
}

/* Whether @batch belongs into the next segment. */
static bool is_past_segment(const struct segment_append *job, const struct segment_batch *batch)
{
    ASSERT(job->bytes_max > 0);
    ASSERT(batch->offset_end > batch->offset_base);

    if (job->shape.end.position == 0) {
        return false;
    }
    return (int64_t)job->shape.end.position + batch->bytes > job->bytes_max ||
           batch->offset_end - 1 - job->shape.identity.offset_base > INT32_MAX;
}

/* Note the epoch that begins with @batch, if one does. Returns false if there is no room. */
static bool note_epoch(struct segment_append *job, const struct segment_batch *batch)
{
    ASSERT(job->epoch_count <= SEGMENT_APPEND_EPOCHS_MAX);
    ASSERT(batch->bytes > 0);

    if (batch->epoch == job->shape.end.epoch) {
        return true;
    }
    if (job->epoch_count == SEGMENT_APPEND_EPOCHS_MAX) {
        return false;
    }
    job->epochs[job->epoch_count++] =
        (struct segment_epoch){.epoch = batch->epoch, .offset_start = batch->offset_base};
    return true;
}

/* Add the batches of one part. Sets *@ret_is_done if the append ends before the part does. */
static enum pyr_err add_part(struct segment_append *job,
                             struct segment_writer *writer,
                             struct bytes part,
                             bool *ret_is_done)
{
    ASSERT(writer->shape == &job->shape);
    ASSERT(!*ret_is_done);

    while (part.count > 0) {
        struct segment_batch batch;
        const char *why = segment_batch_peek(part.data, (int64_t)part.count, &batch);
        if (!why && is_past_segment(job, &batch)) {
            job->is_full = true;
            *ret_is_done = true;
            return PYR_OK;
        }
        if (!why && !note_epoch(job, &batch)) {
            *ret_is_done = true;
            return PYR_OK;
        }
        if (why) {
            return err_set(&job->error, PYR_ERR_INVALID, "append to '%s': %s", job->folder, why);
        }
        enum pyr_err err =
            segment_writer_add(writer, part, job->clock_ms, &batch, &why, &job->error);
        if (err == PYR_ERR_CORRUPT && why) {
            return err_set(&job->error, PYR_ERR_INVALID, "append to '%s': %s", job->folder, why);
        }
        if (err != PYR_OK) {
            return err;
        }
        job->bytes_taken += batch.bytes;
        part = (struct bytes){.data = part.data + batch.bytes, .count = part.count - batch.bytes};
    }
    return PYR_OK;
}

/* Return the .log of @job past the page cache, or NULL where that cannot be. */
static struct io_file *open_direct(struct segment_append *job)
{
    ASSERT(job->folder);
    ASSERT(job->shape.end.position <= SEGMENT_BYTES_MAX);

    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    if (!job->buffer.data || !segment_path(path, job->folder, job->shape.identity.offset_base,
                                           SEGMENT_KIND_LOG, SEGMENT_SUFFIX_NONE)) {
        return NULL;
    }
    int number = io_open(job->io, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_DIRECT, &file);
    return number == 0 ? file : NULL;
}

static enum pyr_err write_parts(struct segment_append *job)
{
    ASSERT(job->handle);
    ASSERT(job->handle->is_writable);
    ASSERT(job->bytes_taken == 0);

    struct segment_writer writer = {0};
    bool is_done = false;
    enum pyr_err err = segment_writer_open(&writer, job->io, job->folder, SEGMENT_SUFFIX_NONE,
                                           &job->shape, &job->error);
    if (err != PYR_OK) {
        return err;
    }
    writer.writes_log = true;
    writer.allocates = true;
    writer.bytes_max = job->bytes_max;
    segment_writer_lend(&writer, SEGMENT_KIND_LOG, job->handle->log);
    segment_writer_lend(&writer, SEGMENT_KIND_DIGEST, job->handle->digest);
    struct io_file *direct = open_direct(job);
    if (direct) {
        segment_writer_lend_direct(&writer, direct, job->buffer);
    }
    for (size_t index = 0; index < job->part_count && !is_done && err == PYR_OK; index++) {
        err = add_part(job, &writer, job->parts[index], &is_done);
    }
    if (err == PYR_OK) {
        err = segment_writer_flush(&writer, &job->error);
    }
    segment_writer_close(&writer);
    io_close(job->io, direct);
    return err;
}

void segment_append_run(struct segment_append *job)
{
    ASSERT(job->io);
    ASSERT(job->folder);
    ASSERT(job->epoch_count == 0);

    struct segment_handle_options options = {
        .folder = job->folder,
        .offset_base = job->shape.identity.offset_base,
        .is_writable = true,
    };
    ASSERT(!job->fresh || !job->handle);

    job->err = job->fresh ? begin_segment(job) : PYR_OK;
    if (job->err == PYR_OK && !job->handle) {
        job->err = segment_handle_open(job->io, &options, &job->handle, &job->error);
    }
    if (job->err == PYR_OK) {
        job->err = write_parts(job);
    }
    job->offset_end = job->shape.end.offset;
}

/* -- Apply -- */

static void fold_in(struct segment_log *log, struct segment_append *job)
{
    ASSERT(job->handle);
    ASSERT(job->err == PYR_OK);
    ASSERT(!job->fresh || log->count < log->capacity);
    ASSERT(log->epoch_count + job->epoch_count <= log->epoch_capacity);

    if (job->fresh) {
        struct segment *last = segment_log_last(log);
        if (last && last->state == SEGMENT_STATE_OPEN) {
            segment_state_set(last, SEGMENT_STATE_FULL);
        }
        segment_log_push(log, job->fresh);
        log->folder_dirty = true;
        job->fresh = NULL;
    }
    struct segment *open = segment_log_last(log);
    ASSERT(open->state == SEGMENT_STATE_OPEN);
    ASSERT(job->shape.end.offset >= open->shape.end.offset);
    open->shape = job->shape;
    for (uint32_t index = 0; index < job->epoch_count; index++) {
        log->epochs[log->epoch_count++] = job->epochs[index];
        log->epochs_dirty = true;
    }
    ASSERT(log->epoch_count <= log->epoch_capacity);
    if (job->is_full) {
        segment_state_set(open, SEGMENT_STATE_FULL);
    }
    segment_files_put(log->files, open, job->handle);
}

enum pyr_err segment_append_apply(struct segment_log *log,
                                  struct segment_append *job,
                                  struct pyr_error *reterr)
{
    ASSERT(job->folder == log->folder);
    ASSERT(!log->is_truncating);
    ASSERT(log->is_appending);
    log->is_appending = false;
    log->has_prepared = job->has_prepared;
    if (job->err == PYR_OK) {
        fold_in(log, job);
    } else {
        segment_log_note(log, job->err); /* SEG-6 */
        job->bytes_taken = 0;
        job->offset_end = segment_log_point(log).offset;
        segment_destroy(log->io, job->fresh);
        job->fresh = NULL;
        segment_give_error(reterr, &job->error);
    }
    segment_files_give_buffer(log->files, job->buffer.data);
    job->buffer = (struct bytes_mut){.data = NULL};
    segment_handle_release(job->handle);
    job->handle = NULL;
    return job->err;
}

/* -- Prepare -- */

bool segment_prepare_plan(struct segment_log *log, struct segment_prepare *job)
{
    ASSERT(log->bytes_max > 0);
    ASSERT(!log->is_preparing || !log->has_prepared);

    const struct segment *last = segment_log_last(log);
    bool is_due = last && last->state == SEGMENT_STATE_OPEN &&
                  (int64_t)last->shape.end.position > log->bytes_max / 2;
    if (!is_due || log->has_prepared || log->is_preparing || log->is_appending ||
        log->is_truncating || log->has_failed) {
        return false;
    }
    int64_t bytes = log->bytes_max;
    *job = (struct segment_prepare){
        .io = log->io,
        .folder = log->folder,
        .bytes = bytes > SEGMENT_ALLOCATE_BYTES_MAX ? SEGMENT_ALLOCATE_BYTES_MAX : bytes,
    };
    log->is_preparing = true;
    return true;
}

void segment_prepare_run(struct segment_prepare *job)
{
    ASSERT(job->io);
    ASSERT(job->folder);
    ASSERT(job->bytes <= SEGMENT_ALLOCATE_BYTES_MAX);

    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    ASSERT(job->bytes > 0);
    if (!segment_path_join(path, job->folder, SEGMENT_PREPARED_FILE_NAME)) {
        job->error = ENAMETOOLONG;
        return;
    }
    job->error = io_open(job->io, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (job->error != 0) {
        return;
    }
    job->error = io_truncate(job->io, file, 0);
    if (job->error == 0) {
        job->error = io_allocate(job->io, file, job->bytes);
    }
    io_close(job->io, file);
}

void segment_prepare_apply(struct segment_log *log, struct segment_prepare *job)
{
    ASSERT(job->folder == log->folder);
    ASSERT(job->error >= 0);
    ASSERT(log->is_preparing);
    ASSERT(!log->has_prepared);
    log->is_preparing = false;
    log->has_prepared = job->error == 0;
}
