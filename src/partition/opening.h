/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/opening - logs opened in their folders, one alone or many side by side.
 *
 * Part of the path:  checkpoint's rows, folders, new logs -> [opening] -> the shard's logs
 *
 * To open a log is to wait for the disk: its folder is listed, the ends of its newest files are
 * read, and what its claim does not cover is cut. None of that concerns another log, so a start
 * runs a few at once on the pool, and takes them into the shard in the order in which they were
 * asked for:
 *
 *      openings_next -> fill in -> openings_start    job: opening_run (look, then open)
 *      ...                                           job: ...
 *      ring full, or openings_end:  wait for the oldest -> take -> its slot is free
 *
 * The first error stands, as it would one by one: what was opened behind it is closed again and not
 * reported. What a start leaves on the disk may differ by logs behind the failed one that were
 * brought in line with their claims already; the next start finds nothing left to do in those.
 *
 * Invariants:
 *   PAR-7  a job touches one folder and its own struct opening; logs enter the shard on its owner,
 *          in the order asked for
 *
 * Threads: the shard's owner; opening_run on the pool.   Memory: one ring while opening.
 */
#ifndef PARTITION_OPENING_H
#define PARTITION_OPENING_H

#include "partition/shard_inner.h"

/* One log on its way into the shard. */
struct opening {
    struct shard *shard;
    struct log_state state; /* What it is opened as; its tail is borrowed. */
    /* Called before the log is opened, on the pool: may fill in what is still missing of `state`;
     * returns whether to open it. NULL: it is. */
    bool (*look)(struct opening *opening);
    void *ctx; /* For the caller. */

    struct partition *partition; /* Out: made and opened, in no list; NULL: left shut, or failed. */
    struct segment_report found; /* Out. */
    enum pyr_err err;            /* Out. */
    struct pyr_error error;      /* Out, if err is not PYR_OK. */
    struct io_job job;
    bool is_running;
};

/* Several at once. */
struct openings {
    struct shard *shard;
    struct shard_report *report;
    /* Called in the order of openings_start, on the owner, for what went well. It brings a
     * partition into the shard by opening_take, or leaves it to be closed. */
    enum pyr_err (*take)(struct openings *openings,
                         struct opening *opening,
                         struct pyr_error *reterr);
    struct opening *slots; /* A ring of SHARD_OPENINGS_MAX. */
    uint32_t first;
    uint32_t count;
    enum pyr_err err;       /* The first one, */
    struct pyr_error error; /* and what it says. */
};

/** Open the log that @state describes and add it to @shard. Blocks. @ret_partition may be NULL.
 * PYR_ERR_EXISTS: the shard has a log of that id or name. */
MUST_CHECK enum pyr_err opening_add(struct shard *shard,
                                    const struct log_state *state,
                                    struct shard_report *report,
                                    struct partition **ret_partition,
                                    struct pyr_error *reterr);

/** Add the log that @opening has opened to the shard, and what was found to @report. Errors as
 * opening_add. */
MUST_CHECK enum pyr_err opening_take(struct opening *opening,
                                     struct shard_report *report,
                                     struct pyr_error *reterr);

/** Set up @openings, whose shard, report and take are filled in. Undone by openings_end. */
MUST_CHECK enum pyr_err openings_begin(struct openings *openings, struct pyr_error *reterr);

/** Return a zeroed slot for the caller to fill in and start, with its shard set; NULL once
 * something failed. Waits for room. */
struct opening *openings_next(struct openings *openings);

/** Start the slot that openings_next returned. */
void openings_start(struct openings *openings);

/** Wait for all, and return the first error. */
MUST_CHECK enum pyr_err openings_end(struct openings *openings, struct pyr_error *reterr);

#endif /* PARTITION_OPENING_H */
