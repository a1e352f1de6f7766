/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/remove - taking files away, and putting aside what nothing explains.
 *
 * A segment's .log goes first: side files without a .log are known for what they are and removed at
 * the next open, while a .log without side files would have to be read in full.
 *
 * Threads: any.
 */
#ifndef SEGMENT_REMOVE_H
#define SEGMENT_REMOVE_H

#include "segment/log.h"

/** Remove the four files of a segment; those that are gone already are no error. */
MUST_CHECK enum pyr_err segment_files_remove(struct io *io,
                                             const char *folder,
                                             int64_t offset_base,
                                             struct pyr_error *reterr);

/** Rename the four files of a segment to *.deleted, the .log first. */
MUST_CHECK enum pyr_err segment_files_retire(struct io *io,
                                             const char *folder,
                                             int64_t offset_base,
                                             struct pyr_error *reterr);

/** Move @name from @folder to its quarantine/, under a name that is free there. */
MUST_CHECK enum pyr_err segment_quarantine(struct io *io,
                                           const char *folder,
                                           const char *name,
                                           struct pyr_error *reterr);

/**
 * Let a cleaned segment take the place of those that it was made from: finish, from whatever step,
 * what began with the .log.swap of @offset_base, whose batches end at @offset_end.
 */
MUST_CHECK enum pyr_err segment_swap_finish(struct io *io,
                                            const char *folder,
                                            int64_t offset_base,
                                            int64_t offset_end,
                                            struct pyr_error *reterr);

/** Begin a swap: name the synced .log.cleaned .log.swap, durably. From here on it is decided. */
MUST_CHECK enum pyr_err segment_swap_begin(struct io *io,
                                           const char *folder,
                                           int64_t offset_base,
                                           struct pyr_error *reterr);

/** Remove the half-made *.cleaned files of @offset_base. */
MUST_CHECK enum pyr_err segment_cleaned_remove(struct io *io,
                                               const char *folder,
                                               int64_t offset_base,
                                               struct pyr_error *reterr);

/* The base offsets of a folder's segments, ascending. */
struct segment_bases {
    int64_t *rows; /* For io_free. */
    size_t count;
};

/**
 * Clear @folder of what unfinished work left: finish swaps, drop half-made and deleted files, move
 * what is unknown to quarantine. Gives in *@ret_bases the segments that are there.
 */
MUST_CHECK enum pyr_err segment_folder_clear(struct io *io,
                                             const char *folder,
                                             const struct log_id *log,
                                             struct segment_report *report,
                                             struct segment_bases *ret_bases,
                                             struct pyr_error *reterr);

/* -- Removal below the start -- */

/* One removal. All for the calls. */
struct segment_removal {
    struct io *io;
    const char *folder;
    int64_t bases[SEGMENT_REMOVE_MAX];
    uint32_t count;
    bool is_second; /* The second half: the files themselves. */
    enum pyr_err err;
    struct pyr_error error;
    uint64_t bytes; /* Result: what was removed. */
};

/* What may go. */
struct segment_retention {
    int64_t clock_ms;     /* The log's clock now. */
    int64_t age_max_ms;   /* Segments whose last batch is older by the log's clock; 0: never. */
    uint64_t bytes_max;   /* The oldest segments above so many in all; 0: never. */
    int64_t offset_limit; /* The start may not move past it: the committed end. */
};

/** Return where the log should start under @retention: the base of the first segment that stays.
 * At least the present start; the last segment always stays. */
int64_t segment_retention_start(const struct segment_log *log,
                                const struct segment_retention *retention);

/** Return what the log's clock has to show for the first segment that ends past @offset_start to be
 * older than @age_max_ms; INT64_MAX if that is the last one, which always stays, or has no time. */
int64_t segment_retention_due_ms(const struct segment_log *log,
                                 int64_t offset_start,
                                 int64_t age_max_ms);

/** Return what the log's clock has to show for the last segment to be left for its age by the next
 * append, and in *@ret_base that segment's base; INT64_MAX if it holds nothing, or never. */
int64_t segment_roll_due_ms(const struct segment_log *log, int64_t *ret_base);

/**
 * Plan to remove the segments that lie whole below the log's start, which the owner has made
 * durable. Returns false if there is none, or other work has them. They leave the list at once;
 * their files are renamed to *.deleted by the run. What opening has renamed comes first, and is
 * removed by the first run already.
 */
bool segment_removal_plan(struct segment_log *log, struct segment_removal *job);

/** Rename, then (the second time) remove. Any thread; blocks. */
void segment_removal_run(struct segment_removal *job);

/**
 * Fold the first half in. The owner keeps the job for the grace time and runs it once more, after
 * which the files are gone; a job that it drops is finished at the next open.
 */
MUST_CHECK enum pyr_err segment_removal_apply(struct segment_log *log,
                                              struct segment_removal *job,
                                              struct pyr_error *reterr);

#endif /* SEGMENT_REMOVE_H */
