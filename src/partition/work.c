/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/work - from planned to finished.
 */
#include "partition/work.h"

#include "base/assert.h"

/* On a pool thread: touches only what the plan put into the slot. */
static void work_run(struct io_job *job)
{
    struct work *work = job->ctx;
    switch (work->kind) {
    case WORK_APPEND:
        segment_append_run(&work->as.append);
        return;
    case WORK_SYNC:
        segment_sync_run(&work->as.sync);
        return;
    case WORK_PREPARE:
        segment_prepare_run(&work->as.prepare);
        return;
    case WORK_REMOVE:
        segment_removal_run(&work->as.removal);
        return;
    case WORK_KINDS:
        break;
    }
    ASSERT(false);
}

static void work_done(struct io_job *job)
{
    struct work *work = job->ctx;
    ASSERT(work->state == WORK_STATE_RUNNING);
    work->state = WORK_STATE_FINISHED;
}

void work_start(struct work *work, struct io_loop *loop)
{
    ASSERT(work->state != WORK_STATE_RUNNING);

    work->state = WORK_STATE_RUNNING;
    work->job = (struct io_job){.run = work_run, .done = work_done, .ctx = work};
    io_job_start(loop, &work->job);
}

void work_run_now(struct work *work)
{
    ASSERT(work->state != WORK_STATE_RUNNING);

    work->job = (struct io_job){.run = work_run, .done = work_done, .ctx = work};
    work_run(&work->job);
    work->state = WORK_STATE_FINISHED;
}
