/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/state - the inside of a log, for the files of this room only.
 *
 * Threads: the log's owner.   Memory: rows, epochs and folder come from io_alloc.
 */
#ifndef SEGMENT_STATE_H
#define SEGMENT_STATE_H

#include "segment/log.h"

struct segment_log {
    struct io *io;
    struct segment_files *files;
    char *folder;
    struct log_id log;
    int64_t bytes_max; /* Of a segment. */
    bool is_capped;    /* The option asked for more. */
    int64_t age_max_ms;
    bool use_mmap;
    const struct segment_guard *guard;

    struct segment **rows; /* In order of offset (SEG-7). */
    size_t count;
    size_t capacity;
    uint64_t serial_last;       /* Of its segments. */
    struct segment_point first; /* Where the log stands if there is no segment. */
    int64_t offset_start;
    struct segment_end synced;
    uint32_t tail_turn; /* Of the last sync. */

    struct segment_epoch *epochs;
    size_t epoch_count;
    size_t epoch_capacity;

    /* Segments that opening found beyond the end and named *.deleted; the next removal takes the
     * files away, so that opening does not wait for that. */
    int64_t retired[SEGMENT_REMOVE_MAX];
    uint32_t retired_count;

    bool epochs_dirty; /* The epoch file is behind the table. */
    bool folder_dirty; /* A name was made or changed since the folder was synced. */
    bool has_prepared; /* next.prepared waits. */
    bool has_failed;   /* SEG-6. */

    bool is_appending; /* Between plan and apply, likewise the others. */
    bool is_syncing;
    bool is_preparing;
    bool is_truncating;
    bool is_removing;
    bool is_compacting;
};

/** Return the last segment, or NULL. */
struct segment *segment_log_last(const struct segment_log *log);

/** Return where the next batch goes: offset, digest of the appended history, epoch. */
struct segment_point segment_log_point(const struct segment_log *log);

/** Return the index of the first segment that ends past @offset; the count if none does. */
size_t segment_log_index_of(const struct segment_log *log, int64_t offset);

/** Make room for @count more segments. */
MUST_CHECK enum pyr_err segment_log_reserve(struct segment_log *log, size_t count);

/** Make room for @count more epochs. */
MUST_CHECK enum pyr_err segment_log_reserve_epochs(struct segment_log *log, size_t count);

/** Take @segment as the last one; there is room. Takes. */
void segment_log_push(struct segment_log *log, struct segment *segment);

/** Take the segments of index [@first, @end) out of the list, mark them deleted and free those
 * without views. */
void segment_log_drop(struct segment_log *log, size_t first, size_t end);

/** Let @segment, which covers the same offsets, stand in the place of the segments [@first, @end).
 * Takes. */
void segment_log_replace(struct segment_log *log,
                         size_t first,
                         size_t end,
                         struct segment *segment);

/** Take a view of @segment. */
void segment_log_take_view(struct segment_log *log,
                           struct segment *segment,
                           struct segment_view *ret_view);

/** Free @segment, which is deleted, if nobody views it any more. */
void segment_log_reap(struct segment_log *log, struct segment *segment);

/** Drop the epochs that begin at or past @offset. */
void segment_log_cut_epochs(struct segment_log *log, int64_t offset);

/** Let the epoch table begin at @offset, where the log now does. */
void segment_log_clip_epochs(struct segment_log *log, int64_t offset);

/** Return @shape's end as the world sees it. */
struct segment_end segment_end_of(const struct segment_shape *shape);

/** Free @log and all in it; no views. */
void segment_log_free(struct segment_log *log);

/** Return PYR_OK, or the error of SEG-6. */
MUST_CHECK enum pyr_err segment_log_check(const struct segment_log *log, struct pyr_error *reterr);

/** Note the failure @err of a job: all but a full disk and lack of memory are final (SEG-6). */
void segment_log_note(struct segment_log *log, enum pyr_err err);

/** Copy the error of a job to the caller's @reterr (may be NULL). */
static inline void segment_give_error(struct pyr_error *reterr, const struct pyr_error *error)
{
    if (reterr) {
        *reterr = *error;
    }
}

#endif /* SEGMENT_STATE_H */
