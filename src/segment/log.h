/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/log - one partition's folder: the list of its segments, and the work on it.
 *
 * Part of the path:  write cache -> [log] -> files;  files -> [log] -> readers
 *
 * The owner (whoever runs the loop) holds the list and all numbers in memory; files are touched
 * only by work that may block and runs elsewhere. Each piece of work is therefore three calls on
 * one job struct that the caller provides:
 *
 *   plan    owner       copies what is needed into the job; refuses what cannot be (PYR_ERR_BUSY)
 *   run     any thread  blocking file work; touches the job only
 *   apply   owner       folds the result in; always follows a plan that succeeded
 *
 *       owner:   plan ----------------------------> apply     state moves here, at once
 *       thread:         run: write, sync, rename             files move here
 *
 * Between run and apply a crash finds files ahead of what any owner knew: open() cuts them back to
 * the owner's claim, or takes them over if the claim allows a scan.
 *
 * What may overlap: one append, one sync, one prepare, one removal and one compaction at a time,
 * with any number of views. A truncation is alone but for views; it is refused while a view has yet
 * to open a segment that it would cut.
 *
 * The log's end is what has been handed to the file (flushed); the synced end is what is on stable
 * storage and goes into the owner's next claim. What was appended but not flushed lives above, in
 * the write cache.
 *
 * Failure modes: full disk, no memory -> the job fails, nothing has changed, try again later
 *                a write or a sync fails -> SEG-6; reads go on
 *                damage -> PYR_ERR_CORRUPT with file and position, never a wrong record
 *
 * Invariants:
 *   SEG-6  After a failed write or sync the log takes no append, sync or truncation any more.
 *   SEG-7  Segments are in order: each begins at the offset and digest where the one before ends.
 *   SEG-8  The synced end never passes the end, nor a segment that is FULL.
 *
 * Threads: as above.   Memory: io_alloc.   Reference: docs/design/segment.md.
 */
#ifndef SEGMENT_LOG_H
#define SEGMENT_LOG_H

#include "io/io.h"
#include "segment/files.h"
#include "segment/segment.h"

struct segment_log;
struct segment_stage;

/* Runs a piece of work that reads mapped memory. The owner of the process may install a SIGBUS
 * handler and give this: it calls @work(@arg) and returns 0, or EIO if a mapped page could not be
 * read. That is the node, whose process is its own. The embedded log is a guest, installs nothing
 * and gives none: there a fault in a mapping is the program's (docs/durability.md). */
struct segment_guard {
    int (*run)(const struct segment_guard *guard, void (*work)(void *arg), void *arg);
};

/* How a log is opened. */
struct segment_log_options {
    struct io *io;                     /* Kept. */
    struct segment_files *files;       /* Kept; shared by the logs of one owner. */
    const char *folder;                /* Copied. */
    struct log_id log;                 /* Whose folder it must be. */
    int64_t segment_bytes_max;         /* 0 or above SEGMENT_BYTES_MAX: SEGMENT_BYTES_MAX. */
    int64_t segment_age_max_ms;        /* By the clock given to append; 0: never. */
    bool use_mmap;                     /* Views map the files. */
    const struct segment_guard *guard; /* Kept; NULL: none. */
};

/* What the owner knows about the log from its checkpoint, its journal, or nowhere. */
struct segment_claim {
    int64_t offset_start; /* Everything below may be gone, and is removed by whole segments. */
    int64_t offset_end;   /* Everything from start to here must be there, checked. */
    bool has_end_point;   /* These are known too, and must match: */
    uint64_t digest;
    int32_t epoch;
    bool may_scan; /* Batches beyond the claim that check out are taken over; else they are cut,
                      since the journal will bring them again. */
};

/* What opening found and did. */
struct segment_report {
    uint64_t segments;
    uint64_t batches;       /* Read and found valid. */
    uint64_t records;       /* In them. */
    uint64_t bytes_scanned; /* Of .log files. */
    uint64_t bytes_cut;     /* Behind the end that holds. */
    uint64_t indexes_rebuilt;
    uint64_t files_removed;    /* Below the start, past the end, or left by unfinished work. */
    uint64_t quarantined;      /* Files that nothing explains, moved to quarantine/. */
    char quarantined_name[64]; /* The first of them. */
    char cut_reason[160];      /* Why bytes were cut; empty if none were. */
};

/* Where a log ends: what goes into the owner's checkpoint, and comes back as a claim. */
struct segment_end {
    int64_t segment; /* Base offset of the segment. */
    uint32_t bytes;  /* Of its .log. */
    int64_t offset;  /* One past the last record. */
    uint64_t digest; /* Over all batches appended since the log's first. */
    int32_t epoch;   /* Of the last batch; -1 if none. */
};

/**
 * Make the folder of a new log, with its metadata file, on stable storage. Blocks.
 *
 * PYR_ERR_EXISTS if it is there already. The folder above must exist.
 */
MUST_CHECK enum pyr_err segment_log_create(struct io *io,
                                           const char *folder,
                                           const struct segment_metadata *metadata,
                                           struct pyr_error *reterr);

/** Read whose log is in @folder. Blocks. PYR_ERR_NOT_FOUND if it has no metadata file. */
MUST_CHECK enum pyr_err segment_log_identify(struct io *io,
                                             const char *folder,
                                             struct segment_metadata *ret_metadata,
                                             struct pyr_error *reterr);

/**
 * Open the log in a folder: finish or undo what a crash interrupted, hold it against @claim, cut or
 * take over what lies beyond, rebuild indexes that are missing or wrong. Blocks; any thread, which
 * then is the owner. @ret_report may be NULL. Gives: segment_log_close.
 *
 * PYR_ERR_FOREIGN, PYR_ERR_NOT_FOUND: not this log's folder; nothing is changed.
 * PYR_ERR_CORRUPT: what the claim names is not there or does not check out; no segment is changed.
 */
MUST_CHECK enum pyr_err segment_log_open(const struct segment_log_options *options,
                                         const struct segment_claim *claim,
                                         struct segment_report *ret_report,
                                         struct segment_log **ret_log,
                                         struct pyr_error *reterr);

/** Cut the file being written to its true size and close @log (NULL does nothing). Does not sync.
 * No job is between plan and apply, and no view is left. Blocks. */
void segment_log_close(struct segment_log *log);

/* -- State, for the owner -- */

/** Set how large and how old a segment gets, and whether views map, from the next append and view
 * on. */
void segment_log_configure(struct segment_log *log,
                           int64_t segment_bytes_max,
                           int64_t segment_age_max_ms,
                           bool use_mmap);

/** Return whether no job is between plan and apply and no view has yet to open its files: the
 * folder can be given another name. */
bool segment_log_is_idle(const struct segment_log *log);

/** Let go of the folder, whose name is about to be, or has been, given away: nothing is written
 * there any more, not even at the close. Open files are read from as before. */
void segment_log_leave(struct segment_log *log);

/** Return the first offset that may be read. */
int64_t segment_log_start(const struct segment_log *log);

/** Move the first offset that may be read up to @offset, at most the end. The owner makes it
 * durable before it plans a removal. */
void segment_log_set_start(struct segment_log *log, int64_t offset);

/** Return where the flushed batches end. */
struct segment_end segment_log_end(const struct segment_log *log);

/** Return where the batches on stable storage end. */
struct segment_end segment_log_synced(const struct segment_log *log);

/** Return whether a write or sync failed (SEG-6). */
bool segment_log_has_failed(const struct segment_log *log);

/** Return the number of segments. */
size_t segment_log_segments(const struct segment_log *log);

/** Return the bytes of all segments. */
uint64_t segment_log_bytes(const struct segment_log *log);

/** Return the base offset of the segment that holds @offset, or will. */
int64_t segment_log_segment_of(const struct segment_log *log, int64_t offset);

/** Return the largest segment that this log makes, and in *@ret_is_capped whether the option asked
 * for more. */
int64_t segment_log_bytes_max(const struct segment_log *log, bool *ret_is_capped);

/** Return the epoch table: *@ret_count rows, ascending. Borrowed until the log's next change. */
const struct segment_epoch *segment_log_epochs(const struct segment_log *log, size_t *ret_count);

/* -- Append -- */

/* One append of a run of batches. Only `offset_end` and `bytes_taken` are for the caller. */
struct segment_append {
    struct io *io;
    const char *folder;            /* The log's. */
    struct segment_shape shape;    /* Of the segment written to. */
    struct segment *fresh;         /* Made by plan if this append begins a segment. */
    struct segment_handle *handle; /* Writable. */
    const struct bytes *parts;
    size_t part_count;
    int64_t clock_ms;
    int64_t bytes_max;
    struct bytes_mut buffer; /* For writes past the page cache; NULL: none. */
    bool has_prepared;       /* A prepared file waits; taken if `fresh`. */
    bool is_full;            /* The next append begins a segment. */
    struct segment_epoch epochs[SEGMENT_APPEND_EPOCHS_MAX]; /* That began in this run. */
    uint32_t epoch_count;
    enum pyr_err err;
    struct pyr_error error;
    int64_t offset_end;   /* Result: batches below it are in the file. */
    uint64_t bytes_taken; /* Result: from the front of the parts. */
};

/**
 * Plan to append the batches of @parts, which follow the log's end, at log clock @clock_ms.
 *
 * Each part is a run of whole batches with offsets and epoch set. The parts and their memory are
 * borrowed until apply. An append may take only a prefix, since it writes to one segment: plan
 * another for the rest. PYR_ERR_FAILED, PYR_ERR_BUSY, PYR_ERR_NO_MEMORY.
 */
MUST_CHECK enum pyr_err segment_append_plan(struct segment_log *log,
                                            struct segment_append *job,
                                            const struct bytes *parts,
                                            size_t part_count,
                                            int64_t clock_ms,
                                            struct pyr_error *reterr);

/** Write. Any thread; blocks. */
void segment_append_run(struct segment_append *job);

/** Fold the append in. On failure nothing has changed, and PYR_ERR_DISK_FULL or PYR_ERR_NO_MEMORY
 * may be tried again; anything else is SEG-6. PYR_ERR_INVALID: the batches do not follow. */
MUST_CHECK enum pyr_err segment_append_apply(struct segment_log *log,
                                             struct segment_append *job,
                                             struct pyr_error *reterr);

/* -- Prepare the next file -- */

/* One preparation. All for the calls. */
struct segment_prepare {
    struct io *io;
    const char *folder; /* The log's. */
    int64_t bytes;
    int error;
};

/** Plan to make the next segment's file ahead of need. Returns false if there is nothing to do. */
bool segment_prepare_plan(struct segment_log *log, struct segment_prepare *job);

/** Make and reserve the file. Any thread; blocks. */
void segment_prepare_run(struct segment_prepare *job);

/** Fold it in. A failure is no error: the append that needs the file makes it. */
void segment_prepare_apply(struct segment_log *log, struct segment_prepare *job);

/* -- Sync -- */

/* One sync. All for the calls but `end`. */
struct segment_sync {
    struct io *io;
    const char *folder;                                     /* The log's. */
    struct segment_shape shapes[SEGMENT_SYNC_SEGMENTS_MAX]; /* The FULL ones, then the OPEN one. */
    struct segment_handle *handles[SEGMENT_SYNC_SEGMENTS_MAX];
    uint32_t count;
    uint32_t full_count; /* The first so many are FULL. */
    bool syncs_folder;
    uint32_t tail_turn;           /* Which copy of the last block is written. */
    struct segment_epoch *epochs; /* NULL: the file is current. */
    size_t epoch_count;
    enum pyr_err err;
    struct pyr_error error;
    struct segment_end end; /* Result: synced up to here. */
};

/** Plan to put what is flushed on stable storage, and to cut FULL segments to size.
 * PYR_ERR_FAILED, PYR_ERR_BUSY (one is under way), PYR_ERR_NO_MEMORY. */
MUST_CHECK enum pyr_err segment_sync_plan(struct segment_log *log,
                                          struct segment_sync *job,
                                          struct pyr_error *reterr);

/** Sync. Any thread; blocks. */
void segment_sync_run(struct segment_sync *job);

/** Fold it in: segment_log_synced moves. It may end before the end planned for if many segments
 * were FULL: plan another. PYR_ERR_DISK_FULL or PYR_ERR_NO_MEMORY may be tried again; any other
 * failure is SEG-6. */
MUST_CHECK enum pyr_err segment_sync_apply(struct segment_log *log,
                                           struct segment_sync *job,
                                           struct pyr_error *reterr);

/* -- Truncate -- */

/* One truncation. All for the calls. */
struct segment_truncate {
    struct io *io;
    const char *folder; /* The log's. */
    int64_t offset;
    struct segment_shape shape; /* Of the segment that is cut. */
    uint32_t tail_turn;         /* Which copy of the last block is written. */
    bool cuts;                  /* There is one; else whole segments go and no more. */
    int64_t *bases;             /* Of the segments that go, last first. */
    size_t base_count;
    struct segment_epoch *epochs;
    size_t epoch_count;
    enum pyr_err err;
    struct pyr_error error;
};

/**
 * Plan to make @offset the log's end. It is a batch's first offset, not below the start, and not
 * inside a CLEANED segment. PYR_ERR_BUSY while any other job is between plan and apply, or a view
 * has yet to open a segment that goes.
 */
MUST_CHECK enum pyr_err segment_truncate_plan(struct segment_log *log,
                                              struct segment_truncate *job,
                                              int64_t offset,
                                              struct pyr_error *reterr);

/** Cut and sync. Any thread; blocks. */
void segment_truncate_run(struct segment_truncate *job);

/** Fold it in: end, synced end and epoch table move. PYR_ERR_INVALID if @offset is inside a batch
 * (nothing has changed); other failures are SEG-6. */
MUST_CHECK enum pyr_err segment_truncate_apply(struct segment_log *log,
                                               struct segment_truncate *job,
                                               struct pyr_error *reterr);

/* -- Views: what a reader takes with it -- */

/* A segment as it stood when the owner was asked. A value; fields are for segment/read. Held for a
 * read or a few, not for long: one that began without open files holds off truncation and the swap
 * of its segment until it is released. What must live on longer is the count of a run. */
struct segment_view {
    struct segment *segment; /* The owner's; not touched by readers. */
    struct segment_handle *handle;
    uint64_t serial; /* The segment's, for cursors. */
    struct segment_shape shape;
    struct io *io;
    const char *folder; /* The log's. */
    const struct segment_guard *guard;
    struct segment_stage *stage; /* Reads go past the page cache through this; NULL: they do not. */
    bool use_mmap;
    bool was_open;
};

/** Take a view of the segment that holds @offset, or of the next if @offset lies in a gap.
 * PYR_ERR_OUT_OF_RANGE below the start or at or past the flushed end. Gives:
 * segment_log_view_release. */
MUST_CHECK enum pyr_err segment_log_view(struct segment_log *log,
                                         int64_t offset,
                                         struct segment_view *ret_view,
                                         struct pyr_error *reterr);

/** Take a view of the first segment that has a timestamp at or after @timestamp_ms, as
 * segment_log_view. PYR_ERR_NOT_FOUND if none has. */
MUST_CHECK enum pyr_err segment_log_view_time(struct segment_log *log,
                                              int64_t timestamp_ms,
                                              struct segment_view *ret_view,
                                              struct pyr_error *reterr);

/**
 * Take a view of the first segment that ends past @offset, begins below @offset_end and is claimed
 * by no job, without open files, so that its names stay until the view is released (SEG-3). Returns
 * false if there is none. It does not map.
 */
bool segment_log_view_names(struct segment_log *log,
                            int64_t offset,
                            int64_t offset_end,
                            struct segment_view *ret_view);

/** Return whether @view is of a segment that was removed or swapped since it was taken. */
bool segment_view_is_stale(const struct segment_view *view);

/** Give @view back; what it opened goes to the cache. Counts on its handle that runs hold stay. */
void segment_log_view_release(struct segment_log *log, struct segment_view *view);

#endif /* SEGMENT_LOG_H */
