/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/work - from planned to finished.
 */
#include "partition/work.h"

#include <errno.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/transfer.h"

/* Read the part of the last block below the synced end, for the checkpoint (state.h). */
static void work_tail_read(struct work *work)
{
    ASSERT(work->kind == WORK_SYNC);
    ASSERT(work->kind < WORK_KINDS);

    const struct segment_sync *sync = &work->as.sync;
    char path[PATH_BYTES_MAX];
    int64_t position = (int64_t)align_down(sync->end.bytes, BLOCK_BYTES);
    work->tail_bytes = sync->end.bytes - (uint32_t)position;
    work->tail_error = 0;
    if (sync->err != PYR_OK || work->tail_bytes == 0) {
        return;
    }
    if (!segment_path(path, sync->folder, sync->end.segment, SEGMENT_KIND_LOG,
                      SEGMENT_SUFFIX_NONE)) {
        work->tail_error = ENAMETOOLONG;
        return;
    }
    struct io_file *file = NULL;
    size_t count = 0;
    work->tail_error = io_open(sync->io, path, IO_OPEN_READ, &file);
    if (work->tail_error == 0) {
        struct bytes_mut span = {work->tail, work->tail_bytes};
        work->tail_error = io_read_whole(sync->io, file, span, position, &count);
        io_close(sync->io, file);
    }
    if (work->tail_error == 0 && count != work->tail_bytes) {
        work->tail_error = EIO;
    }
    enum pyr_err err = err_from_errno(work->tail_error);
    if (err == PYR_ERR_DISK_FULL || err == PYR_ERR_NO_MEMORY) {
        /* It passes: the sync counts as not done, and is done again. */
        work->as.sync.err =
            err_set_errno(&work->as.sync.error, work->tail_error, "read back '%s'", path);
    }
}

/* On a pool thread: touches only what the plan put into the slot. */
static void work_run(struct io_job *job)
{
    ASSERT(job->ctx);

    struct work *work = job->ctx;
    switch (work->kind) {
    case WORK_APPEND:
        segment_append_run(&work->as.append);
        return;
    case WORK_SYNC:
        segment_sync_run(&work->as.sync);
        work_tail_read(work);
        return;
    case WORK_PREPARE:
        segment_prepare_run(&work->as.prepare);
        return;
    case WORK_REMOVE:
        segment_removal_run(&work->as.removal);
        return;
    case WORK_COMPACT:
        segment_compact_run(work->as.compact, COMPACT_STEP_BYTES);
        return;
    case WORK_SCRUB:
        segment_scrub_run(work->as.scrub);
        return;
    case WORK_CLEAR:
        deleted_clear_run(&work->as.clear);
        return;
    case WORK_NOTES:
        notes_run(&work->as.notes);
        return;
    case WORK_KINDS:
        break;
    }
    ASSERT(false);
}

static void work_done(struct io_job *job)
{
    ASSERT(job->ctx);
    ASSERT(job->ctx);

    struct work *work = job->ctx;
    ASSERT(work->state == WORK_STATE_RUNNING);
    work->state = WORK_STATE_FINISHED;
}

void work_start(struct work *work, struct io_loop *loop)
{
    ASSERT(work->kind < WORK_KINDS);
    ASSERT(loop);
    ASSERT(work->state != WORK_STATE_RUNNING);

    work->state = WORK_STATE_RUNNING;
    work->job = (struct io_job){.run = work_run, .done = work_done, .ctx = work};
    io_job_start(loop, &work->job);
}

void work_run_now(struct work *work)
{
    ASSERT(work->kind < WORK_KINDS);
    ASSERT(work->state != WORK_STATE_RUNNING);

    work->job = (struct io_job){.run = work_run, .done = work_done, .ctx = work};
    work_run(&work->job);
    work->state = WORK_STATE_FINISHED;
}
