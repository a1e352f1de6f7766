/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/scrub - looking for damage in an open log before a reader meets it, in steps.
 *
 * Part of the path:  owner's schedule -> [scrub] -> read -> stage -> files
 *
 * A step reads some bytes of one segment as a reader would, checksums, chain and points, but past
 * the page cache; at the end of a closed segment its index files are compared too. It covers what
 * is on stable storage, the segment that is written to included. How often a step is taken is the
 * owner's business. Segments that a job compacts or removes are passed over: their names change.
 *
 *      plan   owner       the next segment, by name; false if the log is through
 *      run    any thread  opens its files, reads, closes them
 *      apply  owner       says what was found, and moves on
 *
 * Damage ends the step. It is found again by whoever reads there, with the same error; nothing is
 * changed, and the scrub goes on with the next segment.
 *
 * Threads: as above.   Memory: io_alloc.
 */
#ifndef SEGMENT_SCRUB_H
#define SEGMENT_SCRUB_H

#include "segment/log.h"
#include "segment/read.h"
#include "segment/stage.h"

/* One scrub; of one log at a time. */
struct segment_scrub {
    int64_t offset;        /* Next to be looked at. */
    int64_t offset_target; /* Where it ends: what was on stable storage when it began. */
    struct segment_cursor cursor;

    /* A step between plan and apply. */
    struct segment_view view;
    int64_t offset_end;    /* What is on stable storage of the segment. */
    uint64_t bytes_max;    /* About so many in this step. */
    bool checks_index;     /* The segment is closed: at its end its index files are compared. */
    struct bytes_mut room; /* What is read at once; grows to the largest batch. */
    struct segment_stage stage;
    enum pyr_err err;
    struct pyr_error error;

    /* Results of a step. */
    uint64_t bytes;   /* Read and checked. */
    uint64_t batches; /* In them. */
    int64_t segment;  /* Base offset of its segment. */
    int64_t damage; /* With PYR_ERR_CORRUPT and PYR_ERR_IO: the first offset that cannot be read. */
};

/** Set up @scrub to read @stretch_bytes, a multiple of BLOCK_BYTES, from the disk at once.
 * PYR_ERR_NO_MEMORY. Gives: segment_scrub_deinit. */
MUST_CHECK enum pyr_err segment_scrub_init(struct segment_scrub *scrub,
                                           struct io *io,
                                           size_t stretch_bytes);

/** Free what @scrub holds; zeroed memory is accepted. No step is planned. */
void segment_scrub_deinit(struct segment_scrub *scrub, struct io *io);

/** Begin with @log at @offset, or where it begins behind that. Before the first plan of each log.
 */
void segment_scrub_begin(struct segment_scrub *scrub,
                         const struct segment_log *log,
                         int64_t offset);

/** Plan to check about @bytes_max more bytes of @log; false if there is nothing more in it. */
bool segment_scrub_plan(struct segment_scrub *scrub, struct segment_log *log, uint64_t bytes_max);

/** Read and check. Any thread; blocks. */
void segment_scrub_run(struct segment_scrub *scrub);

/**
 * Fold the step in.
 *
 * PYR_ERR_CORRUPT: damage; the message names file, position and offset. PYR_ERR_IO: it could not be
 * read. After both the rest of the segment is passed over. PYR_ERR_NO_MEMORY: plan it again later.
 */
MUST_CHECK enum pyr_err segment_scrub_apply(struct segment_scrub *scrub,
                                            struct segment_log *log,
                                            struct pyr_error *reterr);

#endif /* SEGMENT_SCRUB_H */
