/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/sync - what is flushed onto stable storage, in order.
 *
 * A sync takes the segments that are FULL, oldest first, gives each its END point and its true
 * size, and syncs its four files; then, if it got through them, the .log and .digest of the OPEN
 * one. Names come last: the epoch file and the folder. The synced end moves only when all of it
 * succeeded, so a claim never names bytes whose file, size or name could be lost.
 *
 *     FULL   FULL   OPEN            one sync
 *      1      2      3   names 4
 *
 * A sync that fails is an input/output error whatever its errno, and final: the kernel may have
 * dropped the bytes, and a second call would not say so.
 *
 * The OPEN one's last block will be rewritten by the next append, so it is copied first
 * (segment/tail).
 *
 * Kafka's index files of the OPEN segment are not synced: opening makes them anew if they differ.
 */
#include "base/assert.h"
#include "base/mutant.h"
#include "segment/state.h"
#include "segment/tail.h"
#include "segment/writer.h"

/* -- Plan -- */

/* Copy the epoch table if the file is behind. */
static enum pyr_err copy_epochs(struct segment_log *log, struct segment_sync *job)
{
    ASSERT(!job->epochs);
    ASSERT(job->epoch_count == 0);

    if (!log->epochs_dirty) {
        return PYR_OK;
    }
    size_t bytes = (log->epoch_count + 1) * sizeof *job->epochs;
    job->epochs = io_alloc(log->io, bytes, _Alignof(struct segment_epoch));
    if (!job->epochs) {
        return PYR_ERR_NO_MEMORY;
    }
    if (log->epoch_count > 0) {
        memcpy(job->epochs, log->epochs, log->epoch_count * sizeof *job->epochs);
    }
    job->epoch_count = log->epoch_count;
    return PYR_OK;
}

static void take_segments(struct segment_log *log, struct segment_sync *job)
{
    ASSERT(job->count == 0);
    ASSERT(job->full_count == 0);

    for (size_t index = 0; index < log->count; index++) {
        struct segment *segment = log->rows[index];
        bool is_full = segment->state == SEGMENT_STATE_FULL;
        if (!is_full && segment->state != SEGMENT_STATE_OPEN) {
            continue;
        }
        ASSERT(is_full || index + 1 == log->count);
        if (job->count == SEGMENT_SYNC_SEGMENTS_MAX) {
            return;
        }
        job->handles[job->count] = segment_files_get(log->files, segment, 0, true);
        job->shapes[job->count] = segment->shape;
        job->count++;
        job->full_count += is_full;
        job->end = segment_end_of(&segment->shape);
    }
}

enum pyr_err segment_sync_plan(struct segment_log *log,
                               struct segment_sync *job,
                               struct pyr_error *reterr)
{
    ASSERT(job);

    enum pyr_err err = segment_log_check(log, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (log->is_syncing || log->is_truncating) {
        return err_set(reterr, PYR_ERR_BUSY, "'%s' is being synced", log->folder);
    }
    *job = (struct segment_sync){
        .io = log->io,
        .folder = log->folder,
        .syncs_folder = log->folder_dirty,
        .tail_turn = ++log->tail_turn,
        .end = segment_log_end(log),
    };
    err = copy_epochs(log, job);
    if (err != PYR_OK) {
        return err_set(reterr, err, "no memory to sync '%s'", log->folder);
    }
    take_segments(log, job);
    ASSERT(job->full_count <= job->count);
    ASSERT(job->end.offset >= log->synced.offset); /* SEG-8 */
    log->is_syncing = true;
    log->folder_dirty = false;
    log->epochs_dirty = false;
    return PYR_OK;
}

/* -- Run -- */

static enum pyr_err seal(struct segment_sync *job, uint32_t index)
{
    ASSERT(index < job->full_count);
    ASSERT(job->handles[index]);

    struct segment_writer writer = {0};
    struct segment_handle *handle = job->handles[index];
    enum pyr_err err = segment_writer_open(&writer, job->io, job->folder, SEGMENT_SUFFIX_NONE,
                                           &job->shapes[index], &job->error);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(handle->is_writable);
    segment_writer_lend(&writer, SEGMENT_KIND_LOG, handle->log);
    segment_writer_lend(&writer, SEGMENT_KIND_DIGEST, handle->digest);
    err = segment_writer_end(&writer, &job->error);
    if (err == PYR_OK) {
        err = segment_writer_sync(&writer, &job->error);
    }
    segment_writer_close(&writer);
    return err;
}

static enum pyr_err sync_open(struct segment_sync *job, uint32_t index)
{
    ASSERT(index >= job->full_count);
    ASSERT(index < job->count);
    ASSERT(job->handles[index]);

    struct segment_handle *handle = job->handles[index];
    enum pyr_err err =
        segment_tail_save(job->io, handle, &job->shapes[index], job->tail_turn, &job->error);
    if (err != PYR_OK) {
        return err;
    }
    int number = io_sync(job->io, handle->log);
    if (number == 0) {
        number = io_sync(job->io, handle->digest);
    }
    if (number != 0) {
        (void)err_set_errno(&job->error, number, "sync segment %020lld of '%s'",
                            (long long)job->shapes[index].identity.offset_base, job->folder);
        return err_recode(&job->error, PYR_ERR_IO);
    }
    return PYR_OK;
}

static enum pyr_err sync_one(struct segment_sync *job, uint32_t index)
{
    ASSERT(index < job->count);
    ASSERT(job->folder);

    struct segment_handle_options options = {
        .folder = job->folder,
        .offset_base = job->shapes[index].identity.offset_base,
        .is_writable = true,
    };
    if (!job->handles[index]) {
        enum pyr_err err =
            segment_handle_open(job->io, &options, &job->handles[index], &job->error);
        if (err != PYR_OK) {
            return err;
        }
    }
    return index < job->full_count ? seal(job, index) : sync_open(job, index);
}

/* Put the names on stable storage: those of segments, and that of the epoch file. */
static enum pyr_err sync_names(struct segment_sync *job)
{
    ASSERT(job->err == PYR_OK);
    ASSERT(job->epochs || job->epoch_count == 0);

    if (job->epochs) {
        enum pyr_err err =
            segment_epochs_write(job->io, job->folder, job->epochs, job->epoch_count, &job->error);
        if (err != PYR_OK) {
            return err;
        }
    }
    if ((!job->syncs_folder && !job->epochs) || MUTANT(no_folder_sync)) {
        return PYR_OK;
    }
    int number = io_sync_folder(job->io, job->folder);
    if (number != 0) {
        (void)err_set_errno(&job->error, number, "sync the folder '%s'", job->folder);
        return err_recode(&job->error, PYR_ERR_IO);
    }
    return PYR_OK;
}

void segment_sync_run(struct segment_sync *job)
{
    ASSERT(job->io);
    ASSERT(job->full_count <= job->count);
    ASSERT(job->count <= SEGMENT_SYNC_SEGMENTS_MAX);
    ASSERT(job->err == PYR_OK);
    for (uint32_t index = 0; index < job->count && job->err == PYR_OK; index++) {
        job->err = sync_one(job, index);
    }
    if (job->err == PYR_OK) {
        job->err = sync_names(job);
    }
}

/* -- Apply -- */

static void seal_planned(struct segment_log *log, struct segment_sync *job)
{
    ASSERT(job->err == PYR_OK);
    ASSERT(job->count <= SEGMENT_SYNC_SEGMENTS_MAX);

    for (uint32_t index = 0; index < job->count; index++) {
        size_t row = segment_log_index_of(log, job->shapes[index].identity.offset_base);
        bool is_there = row < log->count && log->rows[row]->shape.identity.offset_base ==
                                                job->shapes[index].identity.offset_base;
        if (!is_there) {
            continue; /* An empty one: it holds no offset yet. */
        }
        struct segment *segment = log->rows[row];
        if (index < job->full_count) {
            ASSERT(segment->state == SEGMENT_STATE_FULL);
            segment->shape = job->shapes[index];
            segment_state_set(segment, SEGMENT_STATE_SEALED);
        }
        ASSERT(job->handles[index]);
        segment_files_put(log->files, segment, job->handles[index]);
    }
}

enum pyr_err segment_sync_apply(struct segment_log *log,
                                struct segment_sync *job,
                                struct pyr_error *reterr)
{
    ASSERT(job->folder == log->folder);
    ASSERT(!log->is_truncating);
    ASSERT(log->is_syncing);
    log->is_syncing = false;
    if (job->err == PYR_OK) {
        seal_planned(log, job);
        ASSERT(job->end.offset >= log->synced.offset);
        log->synced = job->end;
        ASSERT(log->synced.offset <= segment_log_point(log).offset); /* SEG-8 */
    } else {
        segment_log_note(log, job->err); /* SEG-6 */
        log->folder_dirty = log->folder_dirty || job->syncs_folder;
        log->epochs_dirty = log->epochs_dirty || job->epochs;
        segment_give_error(reterr, &job->error);
    }
    for (uint32_t index = 0; index < job->count; index++) {
        segment_handle_release(job->handles[index]);
        job->handles[index] = NULL;
    }
    io_free(log->io, job->epochs);
    job->epochs = NULL;
    return job->err;
}
