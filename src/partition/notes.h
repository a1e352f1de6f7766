/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/notes - what a shard would like to know again after a start, and can do without.
 *
 * Part of the path:  deleted, scrub -> [notes] -> a small file beside the journal -> the next start
 *
 * How long each deleted log has waited for its grace to end, and where the scrub is. The file is
 * advice: one that is missing, damaged or of another format says nothing, and then graces and the
 * pass begin anew. It is written by a job while there is something to say, once a minute or less
 * often, and when the shard is closed; who is killed loses that much.
 *
 *      wait of a log = time that stores were open since it was deleted, by their monotonic clocks
 *
 * Why not the wall time of the deletion, which needs no file kept up to date: a clock set forward
 * while the store is closed would end a grace that has just begun, and what is removed stays
 * removed. Time that a process has counted itself is never too long; it errs late. It is also what
 * the grace is for: a log can only be restored in a store that is open.
 *
 * A log that is deleted, restored and deleted again waits anew, under the same log id. So the file
 * goes, durably, before the rename of a restore: what it says of an id is of its present deletion.
 * So it does before a deletion if it may say something of a log that is not deleted, as when a
 * folder was given its name back by hand.
 * It lies beside the journal, whose folder's name is never used again when the number of shards is
 * changed, and so cannot come back years later with the same number.
 *
 * Invariants:
 *   NTE-1  no wait in the file is longer than the log has been deleted
 *
 * Threads: the shard's owner; notes_run on the pool.
 */
#ifndef PARTITION_NOTES_H
#define PARTITION_NOTES_H

#include "base/limits.h"
#include "base/log_id.h"
#include "io/io.h"

struct shard;
struct work;

#define NOTES_FILE_NAME     "notes"
#define NOTES_NEW_FILE_NAME "notes.new" /* While it is being written. */

/* Where the scrub is. Logs are passed in the order of their ids. */
struct notes_place {
    struct log_id log;
    int64_t offset; /* Next to be looked at. */
};

/* The state of a shard's notes. */
struct shard_notes {
    bool may_exist;   /* A file may be there. */
    bool is_stale;    /* It says something that is over. */
    bool is_doubtful; /* It may have rows of logs that were not deleted when it was read. */
    bool is_running;  /* It is being written. */
    uint64_t due_ns;  /* When it is written next; 0: nothing to say so far. */
    struct io_timer timer;

    /* Of the file, when the shard was opened; or of the pass under way. */
    bool has_place;
    struct notes_place place;
};

/* The writing of the file. */
struct notes_write {
    struct io *io;
    char folder[PATH_BYTES_MAX]; /* The journal's. */
    uint8_t *data;
    size_t count;
    enum pyr_err err;
};

/** Read the notes of @shard, whose deleted logs are known. Blocks. What is not there, or cannot be
 * read, is passed over. */
void notes_load(struct shard *shard);

/** Write them if it is time and there is something to say. */
void shard_notes_step(struct shard *shard);

/** Write the file. On the pool; blocks. */
void notes_run(struct notes_write *write);

/** Fold that in. */
void notes_apply(struct shard *shard, struct work *work);

/** Write them here and now, for closing. Blocks. A failure loses them, no more. */
void notes_save(struct shard *shard);

/**
 * Remove the file, on stable storage, before a log is restored, or deleted while it is doubtful
 * (NTE-1). Blocks.
 *
 * PYR_ERR_BUSY while it is being written.
 */
MUST_CHECK enum pyr_err notes_forget(struct shard *shard, struct pyr_error *reterr);

#endif /* PARTITION_NOTES_H */
