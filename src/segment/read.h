/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/read - runs of whole, verified batches out of a view, without the owner.
 *
 * Part of the path:  view -> [read] -> consumer, follower, compaction, scrub
 *
 * A read finds the last point at or before the offset, walks from there, and hands out the batches
 * from the one that holds the offset on. Before a byte is handed out, each batch of the run has its
 * checksum verified, and the chain is walked on to the first point behind the run and must meet its
 * digest.
 *
 *      point              offset                        point
 *   ----|--------|----------|==========|==========|--------|-----
 *       walk: header only   run: header and checksum  header only
 *
 * With a mapping the run points into it and holds a count on the handle. Without one the stretch
 * from point to point, or as much as the run may have if that is more, is read into the caller's
 * buffer at once, and the run lies somewhere in it; only a batch that is larger makes a second
 * read.
 *
 * A reader that goes on keeps a cursor: where it stands, and the points around. What begins there,
 * or before the next point, is read without a search. Anything further on is searched for: to walk
 * there would read all that lies between.
 *
 * Invariants:
 *   SEG-9  A run is handed out only if each of its batches matches its checksum and the chain from
 *          a point at or before it to one at or behind it holds.
 *
 * Threads: any, one at a time per view and cursor.   Memory: none.
 */
#ifndef SEGMENT_READ_H
#define SEGMENT_READ_H

#include "segment/log.h"

/* Where a sequential reader stands. Zeroed stands nowhere. */
struct segment_cursor {
    uint64_t serial;            /* Of its segment; 0: nowhere. */
    struct segment_point point; /* Behind the last run. */
    struct segment_point
        goal;      /* What the run was proven by: a stored point at or behind `point`. */
    uint32_t slot; /* About where `goal` is stored: a guess is enough. */
};

/* What is wanted. */
struct segment_read {
    int64_t offset;                /* The first record wanted. */
    int64_t offset_end;            /* Only batches that end at or below; INT64_MAX: all. */
    size_t bytes_max;              /* At most so many, but one batch at least. */
    struct bytes_mut buffer;       /* Without a mapping: the run is read here, not to its front. */
    struct segment_cursor *cursor; /* Or NULL. */
};

/* What was read. */
struct segment_run {
    struct bytes data;   /* Whole batches; empty if there are none up to the limits. */
    int64_t offset_next; /* Where to go on: the next batch, or the segment's end. */
    uint32_t batches;
    uint32_t records;              /* By the batches' headers. */
    size_t bytes_needed;           /* With PYR_ERR_TOO_LARGE: the buffer that the batch needs. */
    struct segment_handle *handle; /* Mapped: a count, for segment_handle_release. Else NULL. */
};

/** Open the files of @view now rather than at the first read; again does nothing. Blocks. Errors as
 * segment_view_read. */
MUST_CHECK enum pyr_err segment_view_open(struct segment_view *view, struct pyr_error *reterr);

/**
 * Read a run from @view.
 *
 * The first batch is the one that holds `offset`, or the next if `offset` lies in a gap that
 * compaction left. An empty run whose offset_next is the segment's end says that the next segment
 * has it. Blocks. @ret_run is written on success and, for bytes_needed, with PYR_ERR_TOO_LARGE.
 *
 * PYR_ERR_CORRUPT: damage; names file, position and offset.
 * PYR_ERR_TOO_LARGE: the buffer is smaller than the batch.
 * PYR_ERR_NOT_FOUND: the segment was removed meanwhile: ask the owner for another view.
 */
MUST_CHECK enum pyr_err segment_view_read(struct segment_view *view,
                                          const struct segment_read *want,
                                          struct segment_run *ret_run,
                                          struct pyr_error *reterr);

/**
 * Find the first batch of @view with a timestamp at or after @timestamp_ms; return its first
 * offset. The records within are the caller's to look at. Errors as segment_view_read;
 * PYR_ERR_OUT_OF_RANGE if there is none. Blocks.
 */
MUST_CHECK enum pyr_err segment_view_find_time(struct segment_view *view,
                                               int64_t timestamp_ms,
                                               int64_t *ret_offset,
                                               struct pyr_error *reterr);

#endif /* SEGMENT_READ_H */
