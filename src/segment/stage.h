/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/stage - a .log read past the page cache, a stretch at a time.
 *
 * Part of the path:  scrub -> read -> [stage] -> file
 *
 * Who looks for damage wants the bytes that are on the disk, not those that memory remembers of
 * them, and must not push what readers need out of that memory. The stage reads large aligned
 * stretches directly into a buffer of its own, and the small reads of a walk are copied out of it.
 * Where the file system knows no direct reads it goes through the page cache.
 *
 *      .log     |-----------[ stretch of the stage ]----------------|
 *      reads                  [hdr]  [hdr][ run    ]
 *
 * What it holds stays true from step to step, since what lies below a segment's end never changes:
 * nothing above the end that it was told is ever taken from a stretch.
 *
 * Threads: one at a time.   Memory: the buffer, from io_alloc.
 */
#ifndef SEGMENT_STAGE_H
#define SEGMENT_STAGE_H

#include "segment/log.h"

struct segment_stage {
    struct io_file *file;    /* While open. */
    struct bytes_mut buffer; /* Whole blocks, aligned to them. */
    uint64_t serial;         /* Of the segment that the stretch is of; 0: none. */
    int64_t position;        /* Of the stretch in the file. */
    size_t count;            /* Its bytes, */
    int64_t position_end;    /* none of them at or past this. */
    uint64_t bytes_read;     /* From files so far. */
};

/** Open the .log of @view behind @stage, and let @view read through it. Blocks. Gives:
 * segment_stage_close. Errors as segment_view_open. */
MUST_CHECK enum pyr_err segment_stage_open(struct segment_stage *stage,
                                           struct segment_view *view,
                                           struct pyr_error *reterr);

/** Close the file (one that is not open is accepted); the stretch stays. Blocks. */
void segment_stage_close(struct segment_stage *stage, struct io *io);

/** Read @span at @position; *@ret_count is short only where the file, or what may be read of it,
 * ends. Blocks. Returns 0 or an errno value. */
MUST_CHECK int segment_stage_read(struct segment_stage *stage,
                                  struct io *io,
                                  struct bytes_mut span,
                                  int64_t position,
                                  size_t *ret_count);

#endif /* SEGMENT_STAGE_H */
