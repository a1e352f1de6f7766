/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/retain - which segments may go, and their removal in two halves.
 *
 * Age is judged by the log's clock alone: each segment remembers in its END point what that clock
 * said at its last append. A client's timestamps play no part, so a record dated 2100, or a node
 * whose own clock is ten years off, removes nothing. A segment from before the log
 * had a clock counts from the first time that it has: turning retention on removes nothing at once.
 *
 * The start moves first (memory, then the owner's checkpoint), so that no crash can find a log that
 * begins before its files. Then whole segments below it are renamed to *.deleted, lowest first, and
 * after a grace time, in which a reader that holds only a name can still be told, removed.
 *
 *      start ---------------------v
 *      | seg 0 | seg 1 |   seg 2  |...      0 and 1 go, 2 stays with its first part unreadable
 */
#include "base/assert.h"
#include "segment/remove.h"
#include "segment/state.h"

/* Return the first time that the log's clock stands at in @log. What was appended before it, when
 * the log had no use for a clock, is no older than that for all we know. */
static int64_t first_clock_ms(const struct segment_log *log)
{
    ASSERT(log->count <= log->capacity);

    for (size_t index = 0; index < log->count; index++) {
        if (log->rows[index]->shape.end.clock_ms > 0) {
            return log->rows[index]->shape.end.clock_ms;
        }
    }
    return INT64_MAX;
}

int64_t segment_retention_start(const struct segment_log *log,
                                const struct segment_retention *retention)
{
    ASSERT(log->count <= log->capacity);

    uint64_t bytes = segment_log_bytes(log);
    int64_t start = log->offset_start;
    int64_t clock_ms = first_clock_ms(log);
    ASSERT(retention->age_max_ms >= 0);
    for (size_t index = 0; index + 1 < log->count; index++) {
        const struct segment_shape *shape = &log->rows[index]->shape;
        clock_ms = shape->end.clock_ms > clock_ms ? shape->end.clock_ms : clock_ms;
        bool is_old = retention->age_max_ms > 0 && retention->clock_ms > clock_ms &&
                      retention->clock_ms - clock_ms > retention->age_max_ms;
        bool is_above =
            retention->bytes_max > 0 && bytes - shape->end.position >= retention->bytes_max;
        if ((!is_old && !is_above) || shape->end.offset > retention->offset_limit) {
            break;
        }
        bytes -= shape->end.position;
        start = shape->end.offset > start ? shape->end.offset : start;
    }
    ASSERT(start >= log->offset_start);
    return start;
}

int64_t segment_retention_due_ms(const struct segment_log *log,
                                 int64_t offset_start,
                                 int64_t age_max_ms)
{
    ASSERT(log->count <= log->capacity);
    ASSERT(age_max_ms > 0);

    int64_t clock_ms = first_clock_ms(log);
    for (size_t index = 0; index + 1 < log->count; index++) {
        const struct segment_shape *shape = &log->rows[index]->shape;
        clock_ms = shape->end.clock_ms > clock_ms ? shape->end.clock_ms : clock_ms;
        if (shape->end.offset > offset_start) {
            return clock_ms < INT64_MAX - age_max_ms ? clock_ms + age_max_ms + 1 : INT64_MAX;
        }
    }
    return INT64_MAX;
}

int64_t segment_roll_due_ms(const struct segment_log *log, int64_t *ret_base)
{
    ASSERT(log->count <= log->capacity);
    ASSERT(ret_base);

    const struct segment *last = log->count > 0 ? log->rows[log->count - 1] : NULL;
    if (!last || last->shape.end.position == 0 || log->age_max_ms <= 0) {
        return INT64_MAX;
    }
    *ret_base = last->shape.identity.offset_base;
    int64_t clock_ms = last->shape.start.clock_ms;
    return clock_ms < INT64_MAX - log->age_max_ms ? clock_ms + log->age_max_ms : INT64_MAX;
}

bool segment_removal_plan(struct segment_log *log, struct segment_removal *job)
{
    ASSERT(job);

    size_t end = 0;
    if (log->is_removing || log->is_truncating) {
        return false;
    }
    *job = (struct segment_removal){.io = log->io, .folder = log->folder};
    if (log->retired_count > 0) {
        memcpy(job->bases, log->retired, sizeof job->bases);
        job->count = log->retired_count;
        job->is_second = true;
        log->retired_count = 0;
        log->is_removing = true;
        return true;
    }
    while (end + 1 < log->count && job->count < SEGMENT_REMOVE_MAX) {
        const struct segment *segment = log->rows[end];
        bool may_go =
            segment->shape.end.offset <= log->offset_start && !segment->is_claimed &&
            (segment->state == SEGMENT_STATE_SEALED || segment->state == SEGMENT_STATE_CLEANED);
        if (!may_go) {
            break;
        }
        job->bases[job->count++] = segment->shape.identity.offset_base;
        job->bytes += segment->shape.end.position;
        end++;
    }
    if (job->count == 0) {
        return false;
    }
    segment_log_drop(log, 0, end);
    ASSERT(log->count > 0);
    segment_log_clip_epochs(log, log->rows[0]->shape.identity.offset_base);
    log->is_removing = true;
    return true;
}

/* Rename the files away, lowest first. */
static enum pyr_err retire(struct segment_removal *job)
{
    ASSERT(job->count > 0);
    ASSERT(!job->is_second);

    enum pyr_err err = PYR_OK;
    for (uint32_t index = 0; index < job->count && err == PYR_OK; index++) {
        err = segment_files_retire(job->io, job->folder, job->bases[index], &job->error);
    }
    if (err != PYR_OK) {
        return err;
    }
    int number = io_sync_folder(job->io, job->folder);
    return number == 0 ? PYR_OK
                       : err_set_errno(&job->error, number, "sync the folder '%s'", job->folder);
}

/* Remove the renamed files of the segment at @offset_base. */
static void remove_files(struct segment_removal *job, int64_t offset_base)
{
    for (enum segment_kind kind = 0; kind < SEGMENT_KIND_COUNT; kind++) {
        char path[PATH_BYTES_MAX];
        if (segment_path(path, job->folder, offset_base, kind, SEGMENT_SUFFIX_DELETED)) {
            /* A name that stays is removed at the next open. */
            (void)!io_remove(job->io, path);
        }
    }
}

static enum pyr_err remove_retired(struct segment_removal *job)
{
    ASSERT(job->count > 0);
    ASSERT(job->is_second);

    for (uint32_t index = 0; index < job->count; index++) {
        remove_files(job, job->bases[index]);
    }
    return PYR_OK;
}

void segment_removal_run(struct segment_removal *job)
{
    ASSERT(job->io);
    ASSERT(job->folder);
    ASSERT(job->count <= SEGMENT_REMOVE_MAX);
    job->err = job->is_second ? remove_retired(job) : retire(job);
    job->is_second = true;
}

enum pyr_err segment_removal_apply(struct segment_log *log,
                                   struct segment_removal *job,
                                   struct pyr_error *reterr)
{
    ASSERT(job->folder == log->folder);
    ASSERT(log->is_removing);
    ASSERT(job->is_second);
    log->is_removing = false;
    if (job->err != PYR_OK) {
        /* The list has let go of them; the next open removes what lies below the start. */
        segment_give_error(reterr, &job->error);
    }
    return job->err;
}
