/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/log - the list of segments and what the owner asks of it; views.
 *
 * The list is an array in order of offset, so that the segment of an offset is found by halving.
 * Nothing here touches a file.
 */
#include "segment/log.h"

#include <inttypes.h>

#include "base/assert.h"
#include "segment/state.h"

/* -- The list -- */

struct segment *segment_log_last(const struct segment_log *log)
{
    ASSERT(log->count == 0 || log->rows);
    ASSERT(log->count <= log->capacity);
    return log->count ? log->rows[log->count - 1] : NULL;
}

struct segment_point segment_log_point(const struct segment_log *log)
{
    const struct segment *last = segment_log_last(log);
    if (!last) {
        return log->first;
    }
    struct segment_point point = last->shape.end;
    point.digest = last->shape.history_digest;
    ASSERT(point.offset >= last->shape.identity.offset_base);
    return point;
}

size_t segment_log_index_of(const struct segment_log *log, int64_t offset)
{
    ASSERT(log->count <= log->capacity);

    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->rows[middle]->shape.end.offset > offset) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    ASSERT(low <= log->count);
    return low;
}

/* Make the array at *@rows of @row_bytes an element hold @count more than @used. */
static enum pyr_err grow(struct io *io,
                         void **rows,
                         size_t row_bytes,
                         size_t used,
                         size_t count,
                         size_t *capacity)
{
    ASSERT(row_bytes > 0);
    ASSERT(count > 0);
    ASSERT(used <= *capacity);
    ASSERT(*rows || *capacity == 0);

    if (used + count <= *capacity) {
        return PYR_OK;
    }
    size_t wanted = *capacity ? *capacity * 2 : 8;
    wanted = wanted < used + count ? used + count : wanted;
    void *fresh = io_alloc(io, wanted * row_bytes, _Alignof(max_align_t));
    if (!fresh) {
        return PYR_ERR_NO_MEMORY;
    }
    if (used > 0) {
        memcpy(fresh, *rows, used * row_bytes);
    }
    io_free(io, *rows);
    *rows = fresh;
    *capacity = wanted;
    ASSERT(*capacity >= used + count);
    return PYR_OK;
}

enum pyr_err segment_log_reserve(struct segment_log *log, size_t count)
{
    ASSERT(count > 0);
    ASSERT(log->count <= log->capacity);

    void *rows = log->rows;
    enum pyr_err err =
        grow(log->io, &rows, sizeof(struct segment *), log->count, count, &log->capacity);
    log->rows = rows;
    return err;
}

enum pyr_err segment_log_reserve_epochs(struct segment_log *log, size_t count)
{
    ASSERT(count > 0);
    ASSERT(log->epoch_count <= log->epoch_capacity);
    ASSERT(log->epoch_count <= SEGMENT_EPOCHS_MAX);

    if (log->epoch_count + count > SEGMENT_EPOCHS_MAX) {
        return PYR_ERR_TOO_LARGE;
    }
    void *rows = log->epochs;
    enum pyr_err err = grow(log->io, &rows, sizeof(struct segment_epoch), log->epoch_count, count,
                            &log->epoch_capacity);
    log->epochs = rows;
    return err;
}

void segment_log_push(struct segment_log *log, struct segment *segment)
{
    ASSERT(segment->state != SEGMENT_STATE_DELETED);
    ASSERT(segment->serial == 0);
    ASSERT(segment->views == 0);
    ASSERT(!segment->handle);
    ASSERT(log->count < log->capacity);
    if (log->count > 0) {
        struct segment_point end = segment_log_point(log);
        ASSERT(segment->shape.identity.offset_base == end.offset); /* SEG-7 */
        ASSERT(segment->shape.start.digest == end.digest);         /* SEG-7 */
    }
    segment->serial = ++log->serial_last;
    log->rows[log->count++] = segment;
}

void segment_log_reap(struct segment_log *log, struct segment *segment)
{
    ASSERT(segment->views_unopened <= segment->views);
    ASSERT(segment->state == SEGMENT_STATE_DELETED);
    if (segment->views == 0) {
        segment_destroy(log->io, segment);
    }
}

void segment_log_drop(struct segment_log *log, size_t first, size_t end)
{
    ASSERT(log->count <= log->capacity);
    ASSERT(first <= end && end <= log->count);
    if (first == end) {
        return;
    }
    for (size_t index = first; index < end; index++) {
        struct segment *segment = log->rows[index];
        ASSERT(!segment->is_claimed);
        segment_files_drop(log->files, segment);
        segment_state_set(segment, SEGMENT_STATE_DELETED);
        segment_log_reap(log, segment);
    }
    memmove(&log->rows[first], &log->rows[end], (log->count - end) * sizeof(struct segment *));
    log->count -= end - first;
}

void segment_log_replace(struct segment_log *log, size_t first, size_t end, struct segment *segment)
{
    ASSERT(segment->state == SEGMENT_STATE_CLEANED);
    ASSERT(segment->serial == 0);
    ASSERT(segment->shape.history_digest == log->rows[end - 1]->shape.history_digest);
    ASSERT(first < end && end <= log->count);
    ASSERT(segment->shape.identity.offset_base == log->rows[first]->shape.identity.offset_base);
    ASSERT(segment->shape.end.offset == log->rows[end - 1]->shape.end.offset); /* SEG-7 */
    segment_log_drop(log, first, end);
    ASSERT(log->count < log->capacity);
    memmove(&log->rows[first + 1], &log->rows[first],
            (log->count - first) * sizeof(struct segment *));
    segment->serial = ++log->serial_last;
    log->rows[first] = segment;
    log->count++;
}

void segment_log_cut_epochs(struct segment_log *log, int64_t offset)
{
    ASSERT(offset >= 0);
    ASSERT(log->epoch_count <= log->epoch_capacity);

    while (log->epoch_count > 0 && log->epochs[log->epoch_count - 1].offset_start >= offset) {
        log->epoch_count--;
        log->epochs_dirty = true;
    }
}

void segment_log_clip_epochs(struct segment_log *log, int64_t offset)
{
    ASSERT(offset >= 0);
    ASSERT(log->epoch_count <= log->epoch_capacity);

    size_t gone = 0;
    while (gone + 1 < log->epoch_count && log->epochs[gone + 1].offset_start <= offset) {
        gone++;
    }
    if (log->epoch_count == 0 || log->epochs[gone].offset_start >= offset) {
        return;
    }
    log->epoch_count -= gone;
    memmove(log->epochs, log->epochs + gone, log->epoch_count * sizeof log->epochs[0]);
    log->epochs[0].offset_start = offset;
    log->epochs_dirty = true;
    ASSERT(log->epoch_count > 0);
}

struct segment_end segment_end_of(const struct segment_shape *shape)
{
    ASSERT(shape->identity.offset_base >= 0);
    ASSERT(shape->end.offset >= shape->identity.offset_base);

    return (struct segment_end){
        .segment = shape->identity.offset_base,
        .bytes = shape->end.position,
        .offset = shape->end.offset,
        .digest = shape->history_digest,
        .epoch = shape->end.epoch,
    };
}

enum pyr_err segment_log_check(const struct segment_log *log, struct pyr_error *reterr)
{
    ASSERT(log->folder);

    if (log->has_failed) {
        return err_set(reterr, PYR_ERR_FAILED, "'%s' failed before and is only read from",
                       log->folder);
    }
    return PYR_OK;
}

void segment_log_note(struct segment_log *log, enum pyr_err err)
{
    ASSERT(err != PYR_ERR_BUSY);

    bool is_passing = err == PYR_OK || err == PYR_ERR_DISK_FULL || err == PYR_ERR_NO_MEMORY ||
                      err == PYR_ERR_INVALID;
    if (!is_passing) {
        log->has_failed = true; /* SEG-6 */
    }
}

void segment_log_free(struct segment_log *log)
{
    ASSERT(log->folder);
    ASSERT(log->count <= log->capacity);

    for (size_t index = 0; index < log->count; index++) {
        struct segment *segment = log->rows[index];
        segment_files_drop(log->files, segment);
        segment_destroy(log->io, segment);
    }
    io_free(log->io, log->rows);
    io_free(log->io, log->epochs);
    io_free(log->io, log->folder);
    io_free(log->io, log);
}

/* Cut the file being written to its true size. Best effort: what is behind the end is cut at open
 * as well. */
static void cut_open_file(struct segment_log *log)
{
    ASSERT(!log->has_failed);
    ASSERT(log->folder);

    const struct segment *last = segment_log_last(log);
    if (!last || last->state != SEGMENT_STATE_OPEN ||
        last->shape.bytes_allocated <= last->shape.end.position) {
        return;
    }
    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    if (segment_path(path, log->folder, last->shape.identity.offset_base, SEGMENT_KIND_LOG,
                     SEGMENT_SUFFIX_NONE) &&
        io_open(log->io, path, IO_OPEN_READ | IO_OPEN_WRITE, &file) == 0) {
        (void)!io_truncate(log->io, file, last->shape.end.position);
        io_close(log->io, file);
    }
}

void segment_log_close(struct segment_log *log)
{
    if (!log) {
        return;
    }
    ASSERT(!log->is_appending && !log->is_syncing && !log->is_preparing);
    ASSERT(!log->is_truncating && !log->is_removing && !log->is_compacting);
    ASSERT(log->synced.offset <= segment_log_point(log).offset); /* SEG-8 */
    if (!log->has_failed) {
        cut_open_file(log);
    }
    segment_log_free(log);
}

bool segment_log_is_idle(const struct segment_log *log)
{
    ASSERT(log->count <= log->capacity);

    uint32_t unopened = 0;
    for (size_t index = 0; index < log->count; index++) {
        unopened += log->rows[index]->views_unopened;
    }
    return unopened == 0 && !log->is_appending && !log->is_syncing && !log->is_preparing &&
           !log->is_truncating && !log->is_removing;
}

void segment_log_leave(struct segment_log *log)
{
    ASSERT(segment_log_is_idle(log));

    log->has_failed = true; /* SEG-6 keeps everything away from the files. */
}

/* -- State -- */

int64_t segment_log_start(const struct segment_log *log)
{
    ASSERT(log->offset_start >= 0);
    ASSERT(log->offset_start <= segment_log_point(log).offset);

    return log->offset_start;
}

void segment_log_set_start(struct segment_log *log, int64_t offset)
{
    ASSERT(offset >= log->offset_start);
    ASSERT(offset <= segment_log_point(log).offset);
    log->offset_start = offset;
}

struct segment_end segment_log_end(const struct segment_log *log)
{
    ASSERT(log->first.offset >= 0);

    const struct segment *last = segment_log_last(log);
    if (last) {
        return segment_end_of(&last->shape);
    }
    return (struct segment_end){
        .segment = log->first.offset,
        .offset = log->first.offset,
        .digest = log->first.digest,
        .epoch = log->first.epoch,
    };
}

struct segment_end segment_log_synced(const struct segment_log *log)
{
    ASSERT(log->synced.offset >= 0);
    ASSERT(log->synced.offset <= segment_log_point(log).offset); /* SEG-8 */
    return log->synced;
}

bool segment_log_has_failed(const struct segment_log *log)
{
    return log->has_failed;
}

size_t segment_log_segments(const struct segment_log *log)
{
    ASSERT(log->count <= log->capacity);

    return log->count;
}

uint64_t segment_log_bytes(const struct segment_log *log)
{
    ASSERT(log->count <= log->capacity);

    uint64_t bytes = 0;
    for (size_t index = 0; index < log->count; index++) {
        bytes += log->rows[index]->shape.end.position;
    }
    return bytes;
}

int64_t segment_log_segment_of(const struct segment_log *log, int64_t offset)
{
    ASSERT(offset >= 0);

    size_t index = segment_log_index_of(log, offset);
    if (index < log->count) {
        return log->rows[index]->shape.identity.offset_base;
    }
    return segment_log_end(log).segment;
}

int64_t segment_log_bytes_max(const struct segment_log *log, bool *ret_is_capped)
{
    ASSERT(log->bytes_max > 0);
    ASSERT(log->bytes_max <= SEGMENT_BYTES_MAX);
    *ret_is_capped = log->is_capped;
    return log->bytes_max;
}

const struct segment_epoch *segment_log_epochs(const struct segment_log *log, size_t *ret_count)
{
    ASSERT(log->epoch_count <= log->epoch_capacity);
    ASSERT(log->epochs || log->epoch_count == 0);

    *ret_count = log->epoch_count;
    return log->epochs;
}

/* -- Views -- */

void segment_log_take_view(struct segment_log *log,
                           struct segment *segment,
                           struct segment_view *ret_view)
{
    ASSERT(segment->serial != 0);
    ASSERT(segment->views_unopened <= segment->views);

    struct segment_view *view = ret_view;
    uint32_t map_bytes = log->use_mmap ? segment->shape.end.position : 0;

    ASSERT(segment->state != SEGMENT_STATE_DELETED);
    *view = (struct segment_view){
        .segment = segment,
        .handle = segment_files_get(log->files, segment, map_bytes, false),
        .serial = segment->serial,
        .shape = segment->shape,
        .io = log->io,
        .folder = log->folder,
        .guard = log->guard,
        .use_mmap = log->use_mmap,
    };
    if (!view->handle && segment->pinned) {
        segment_handle_acquire(segment->pinned);
        view->handle = segment->pinned;
    }
    view->was_open = view->handle != NULL;
    segment->views++;
    if (!view->was_open) {
        segment->views_unopened++; /* SEG-3 */
    }
}

enum pyr_err segment_log_view(struct segment_log *log,
                              int64_t offset,
                              struct segment_view *ret_view,
                              struct pyr_error *reterr)
{
    ASSERT(ret_view);
    ASSERT(log->offset_start >= 0);

    size_t index = segment_log_index_of(log, offset);
    if (offset < log->offset_start || index == log->count) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "offset %" PRId64 " is not in '%s', which holds %" PRId64 " to %" PRId64,
                       offset, log->folder, log->offset_start, segment_log_point(log).offset);
    }
    segment_log_take_view(log, log->rows[index], ret_view);
    return PYR_OK;
}

enum pyr_err segment_log_view_time(struct segment_log *log,
                                   int64_t timestamp_ms,
                                   struct segment_view *ret_view,
                                   struct pyr_error *reterr)
{
    ASSERT(ret_view);
    ASSERT(log->offset_start >= 0);

    for (size_t index = segment_log_index_of(log, log->offset_start); index < log->count; index++) {
        struct segment *segment = log->rows[index];
        if (segment->shape.end.timestamp_max >= timestamp_ms) {
            segment_log_take_view(log, segment, ret_view);
            return PYR_OK;
        }
    }
    return err_set(reterr, PYR_ERR_NOT_FOUND, "no record of '%s' is as late as %" PRId64,
                   log->folder, timestamp_ms);
}

bool segment_log_view_names(struct segment_log *log,
                            int64_t offset,
                            int64_t offset_end,
                            struct segment_view *ret_view)
{
    ASSERT(ret_view);
    ASSERT(offset >= 0);

    size_t index = segment_log_index_of(log, offset);
    while (index < log->count && log->rows[index]->is_claimed) {
        index++; /* Its names are about to change. */
    }
    if (index == log->count) {
        return false;
    }
    struct segment *segment = log->rows[index];
    int64_t base = segment->shape.identity.offset_base;
    if (offset >= offset_end || base >= offset_end) {
        return false;
    }
    *ret_view = (struct segment_view){
        .segment = segment,
        .serial = segment->serial,
        .shape = segment->shape,
        .io = log->io,
        .folder = log->folder,
    };
    segment->views++;
    segment->views_unopened++; /* SEG-3 */
    return true;
}

bool segment_view_is_stale(const struct segment_view *view)
{
    ASSERT(view->segment);
    ASSERT(view->segment->views > 0);

    return view->segment->state == SEGMENT_STATE_DELETED;
}

/* Whether the handle of @view, which goes, serves @segment better than what that has. */
static bool is_handle_wanted(const struct segment *segment, const struct segment_view *view)
{
    if (!view->handle) {
        return false;
    }
    if (!view->was_open && !segment->handle && !segment->is_claimed) {
        return true;
    }
    return segment->handle && segment->handle->log_map_bytes < view->handle->log_map_bytes;
}

void segment_log_view_release(struct segment_log *log, struct segment_view *view)
{
    ASSERT(view->segment);
    ASSERT(view->serial <= log->serial_last);
    ASSERT(!view->was_open || view->handle);

    struct segment *segment = view->segment;
    ASSERT(segment->views > 0);

    segment->views--;
    if (!view->was_open) {
        ASSERT(segment->views_unopened > 0);
        segment->views_unopened--;
    }
    if (segment->state == SEGMENT_STATE_DELETED) {
        segment_log_reap(log, segment);
    } else if (is_handle_wanted(segment, view)) {
        segment_files_put(log->files, segment, view->handle);
    }
    segment_handle_release(view->handle);
    *view = (struct segment_view){0};
}

void segment_log_configure(struct segment_log *log,
                           int64_t segment_bytes_max,
                           int64_t segment_age_max_ms,
                           bool use_mmap)
{
    ASSERT(segment_bytes_max >= 0);
    ASSERT(segment_age_max_ms >= 0);

    log->is_capped = segment_bytes_max > SEGMENT_BYTES_MAX;
    log->bytes_max =
        segment_bytes_max == 0 || log->is_capped ? SEGMENT_BYTES_MAX : segment_bytes_max;
    log->age_max_ms = segment_age_max_ms;
    log->use_mmap = use_mmap;
}
