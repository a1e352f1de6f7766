/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/truncate - the log cut back to an offset.
 *
 * The owner has made the truncation durable in its journal before. Segments that go are removed
 * from the last one down, so that at each moment what is left is a prefix of the log; then the one
 * that holds the offset is walked from its last point below and cut, its side files with it, and
 * synced. It is OPEN again. A segment that ends exactly at the offset stays as it is, and the next
 * append begins a new one.
 *
 *      |  seg 0  |  seg 1  |  seg 2  | seg 3 |          order: 3, 2, then cut 1
 *                     ^ offset
 */
#include <errno.h>
#include <inttypes.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "segment/rebuild.h"
#include "segment/remove.h"
#include "segment/state.h"
#include "segment/tail.h"
#include "segment/writer.h"

/* -- Plan -- */

static enum pyr_err can_truncate(const struct segment_log *log,
                                 int64_t offset,
                                 size_t first,
                                 struct pyr_error *reterr)
{
    ASSERT(first <= log->count);
    ASSERT(!log->has_failed);

    bool is_busy = log->is_appending || log->is_syncing || log->is_preparing ||
                   log->is_truncating || log->is_removing || log->is_compacting;
    if (is_busy) {
        return err_set(reterr, PYR_ERR_BUSY, "'%s' is being worked on", log->folder);
    }
    if (offset < log->offset_start || offset > segment_log_point(log).offset) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE, "offset %" PRId64 " is not in '%s'", offset,
                       log->folder);
    }
    for (size_t index = first; index < log->count; index++) {
        const struct segment *segment = log->rows[index];
        if (segment->views_unopened > 0) { /* SEG-3 */
            return err_set(reterr, PYR_ERR_BUSY, "'%s' is being read", log->folder);
        }
        if (segment->state == SEGMENT_STATE_CLEANED) {
            return err_set(reterr, PYR_ERR_INVALID,
                           "offset %" PRId64 " of '%s' lies in what was compacted", offset,
                           log->folder);
        }
    }
    return PYR_OK;
}

static enum pyr_err take_tables(struct segment_log *log,
                                struct segment_truncate *job,
                                size_t first_gone)
{
    ASSERT(first_gone <= log->count);
    ASSERT(!job->bases);
    ASSERT(!job->epochs);
    ASSERT(job->epoch_count == 0);

    job->base_count = log->count - first_gone;
    job->bases = io_alloc(log->io, (job->base_count + 1) * sizeof *job->bases, sizeof(int64_t));
    job->epochs = io_alloc(log->io, (log->epoch_count + 1) * sizeof *job->epochs,
                           _Alignof(struct segment_epoch));
    if (!job->bases || !job->epochs) {
        io_free(log->io, job->bases);
        io_free(log->io, job->epochs);
        return PYR_ERR_NO_MEMORY;
    }
    for (size_t index = 0; index < job->base_count; index++) {
        job->bases[index] = log->rows[log->count - 1 - index]->shape.identity.offset_base;
    }
    for (size_t index = 0; index < log->epoch_count; index++) {
        if (log->epochs[index].offset_start < job->offset) {
            job->epochs[job->epoch_count++] = log->epochs[index];
        }
    }
    ASSERT(job->epoch_count <= log->epoch_count);
    return PYR_OK;
}

enum pyr_err segment_truncate_plan(struct segment_log *log,
                                   struct segment_truncate *job,
                                   int64_t offset,
                                   struct pyr_error *reterr)
{
    ASSERT(job);

    size_t first = segment_log_index_of(log, offset);
    enum pyr_err err = segment_log_check(log, reterr);
    if (err == PYR_OK) {
        err = can_truncate(log, offset, first, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    *job = (struct segment_truncate){.io = log->io,
                                     .folder = log->folder,
                                     .offset = offset,
                                     .tail_turn = ++log->tail_turn};
    size_t first_gone = first;
    if (first < log->count && log->rows[first]->shape.identity.offset_base < offset) {
        job->cuts = true;
        job->shape = log->rows[first]->shape;
        first_gone = first + 1;
    }
    err = take_tables(log, job, first_gone);
    if (err != PYR_OK) {
        return err_set(reterr, err, "no memory to truncate '%s'", log->folder);
    }
    log->is_truncating = true;
    return PYR_OK;
}

/* -- Run -- */

/* Find the place of the cut, with the side files cut there; the .log is as it was. */
static enum pyr_err find_cut(struct segment_truncate *job)
{
    ASSERT(job->cuts);
    ASSERT(job->offset > job->shape.identity.offset_base);
    ASSERT(!job->shape.is_cleaned);

    struct segment_shape *shape = &job->shape;
    struct segment_rebuild rebuild = {
        .io = job->io,
        .folder = job->folder,
        .shape = {.identity = shape->identity,
                  .start = shape->start,
                  .end = shape->start,
                  .history_digest = shape->start.digest,
                  .point_count = 1,
                  .time_last = -1},
        .offset_trusted = job->offset,
        .offset_end = job->offset,
    };
    enum pyr_err err = segment_rebuild(&rebuild, &job->error);
    if (err == PYR_OK) {
        ASSERT(rebuild.shape.end.offset == job->offset);
        job->shape = rebuild.shape;
        job->shape.bytes_allocated = job->shape.end.position;
    }
    return err;
}

/* Copy the block in which the log will end: the next append rewrites it. */
static enum pyr_err save_tail(struct segment_truncate *job)
{
    ASSERT(job->cuts);
    ASSERT(job->shape.end.offset == job->offset);

    struct segment_handle_options options = {
        .folder = job->folder,
        .offset_base = job->shape.identity.offset_base,
        .is_writable = true,
    };
    struct segment_handle *handle = NULL;
    enum pyr_err err = segment_handle_open(job->io, &options, &handle, &job->error);
    if (err == PYR_OK) {
        err = segment_tail_save(job->io, handle, &job->shape, job->tail_turn, &job->error);
    }
    segment_handle_release(handle);
    return err;
}

/* Cut the .log and sync all four files. */
static enum pyr_err cut(struct segment_truncate *job)
{
    ASSERT(job->cuts);
    ASSERT(job->shape.bytes_allocated == job->shape.end.position);

    enum pyr_err saved = save_tail(job);
    if (saved != PYR_OK) {
        return saved;
    }
    for (enum segment_kind kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        struct io_file *file = NULL;
        enum pyr_err err = segment_file_open(
            job->io,
            &(struct segment_file_name){job->folder, job->shape.identity.offset_base, kind},
            IO_OPEN_READ | IO_OPEN_WRITE, &file, &job->error);
        if (err != PYR_OK || !file) {
            return err != PYR_OK ? err : err_set(&job->error, PYR_ERR_CORRUPT, "a file vanished");
        }
        int number =
            kind == SEGMENT_KIND_LOG ? io_truncate(job->io, file, job->shape.end.position) : 0;
        if (number == 0) {
            number = io_sync(job->io, file);
        }
        io_close(job->io, file);
        if (number != 0) {
            (void)err_set_errno(&job->error, number, "cut '%s'", job->folder);
            return err_recode(&job->error, PYR_ERR_IO);
        }
    }
    return PYR_OK;
}

void segment_truncate_run(struct segment_truncate *job)
{
    ASSERT(job->bases);
    ASSERT(job->epochs);
    ASSERT(job->err == PYR_OK);
    if (job->cuts) {
        job->err = find_cut(job);
    }
    for (size_t index = 0; index < job->base_count && job->err == PYR_OK; index++) {
        job->err = segment_files_remove(job->io, job->folder, job->bases[index], &job->error);
    }
    if (job->err == PYR_OK && job->cuts) {
        job->err = cut(job);
    }
    if (job->err == PYR_OK) {
        job->err =
            segment_epochs_write(job->io, job->folder, job->epochs, job->epoch_count, &job->error);
    }
    if (job->err == PYR_OK && !MUTANT(no_folder_sync)) {
        int number = io_sync_folder(job->io, job->folder);
        if (number != 0) {
            (void)err_set_errno(&job->error, number, "sync the folder '%s'", job->folder);
            job->err = PYR_ERR_IO;
        }
    }
}

/* -- Apply -- */

static void fold_in(struct segment_log *log, struct segment_truncate *job)
{
    ASSERT(job->err == PYR_OK);
    ASSERT(job->base_count <= log->count);

    if (job->base_count > 0 && job->base_count == log->count) {
        log->first = log->rows[0]->shape.start;
    }
    segment_log_drop(log, log->count - job->base_count, log->count);
    struct segment *last = segment_log_last(log);
    if (job->cuts) {
        ASSERT(last->shape.identity.offset_base == job->shape.identity.offset_base);
        segment_files_drop(log->files, last); /* Opened for reading, or mapped longer than it is. */
        last->shape = job->shape;
        last->serial = ++log->serial_last; /* Cursors into what was cut hold no more. */
        if (last->state != SEGMENT_STATE_OPEN) {
            segment_state_set(last, SEGMENT_STATE_OPEN);
        }
    }
    segment_log_cut_epochs(log, job->offset);
    log->epochs_dirty = false;
    log->folder_dirty = false;
    if (log->synced.offset > job->offset || job->cuts) {
        log->synced = segment_log_end(log);
    }
    ASSERT(segment_log_point(log).offset == job->offset);
}

enum pyr_err segment_truncate_apply(struct segment_log *log,
                                    struct segment_truncate *job,
                                    struct pyr_error *reterr)
{
    ASSERT(job->folder == log->folder);
    ASSERT(!log->is_appending);
    ASSERT(!log->is_syncing);
    ASSERT(log->is_truncating);
    log->is_truncating = false;
    if (job->err == PYR_OK) {
        fold_in(log, job);
    } else {
        if (job->err != PYR_ERR_INVALID) {
            log->has_failed = true; /* SEG-6: files may be cut and the list does not know. */
        }
        segment_give_error(reterr, &job->error);
    }
    io_free(log->io, job->bases);
    io_free(log->io, job->epochs);
    job->bases = NULL;
    job->epochs = NULL;
    return job->err;
}
