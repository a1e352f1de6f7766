/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/scrub - looking for damage before a reader meets it: in the background, and offline.
 *
 * Both go through the read path, so that what they check is what readers rely on. The background
 * scrub takes a step of bounded bytes at a time; its pace is the caller's. Offline verification
 * takes a folder that nobody has open, changes nothing, and tells everything that is wrong.
 *
 * Threads: any.   Memory: io_alloc.
 */
#ifndef SEGMENT_SCRUB_H
#define SEGMENT_SCRUB_H

#include "segment/log.h"
#include "segment/read.h"

/* A background scrub of one log. Zeroed stands at the log's start. */
struct segment_scrub {
    int64_t offset; /* Next to be looked at. */
    struct segment_cursor cursor;
    uint64_t bytes; /* Checked so far. */
    uint64_t batches;
};

/**
 * Check about @bytes of @view from scrub->offset on, which @view holds, and move on. At a sealed
 * segment's end its index files are compared as well. Any thread; blocks. @buffer is for views that
 * do not map; PYR_ERR_TOO_LARGE as for segment_view_read, with *@ret_bytes_needed.
 */
MUST_CHECK enum pyr_err segment_scrub_step(struct segment_scrub *scrub,
                                           struct segment_view *view,
                                           uint64_t bytes,
                                           struct bytes_mut buffer,
                                           size_t *ret_bytes_needed,
                                           struct pyr_error *reterr);

/* One thing that is wrong. */
struct segment_finding {
    enum pyr_err err;
    int64_t segment; /* Base offset; -1: the folder itself. */
    char text[256];  /* File, position, offset, and what. */
};

/* What offline verification found. */
struct segment_verdict {
    struct segment_metadata metadata;
    uint64_t segments;
    uint64_t cleaned; /* Of those, compacted ones. */
    uint64_t batches;
    uint64_t records;
    uint64_t bytes;
    uint64_t bytes_behind; /* Behind the last good batch of the last segment. */
    int64_t offset_start;  /* Base of the first segment. */
    int64_t offset_end;    /* Behind the last good batch of the last segment. */
    uint64_t digest;       /* At that end. */
    uint64_t unknown;      /* Files that nothing explains. */
    uint64_t unfinished;   /* Files of work that a crash interrupted; the next open clears them. */
    uint64_t finding_count;
    struct segment_finding findings[SEGMENT_FINDINGS_MAX]; /* The first of them. */
};

/**
 * Check every byte of the log in @folder: metadata, names, each batch, each chain from segment to
 * segment, indexes, epoch file. Changes nothing. Blocks.
 *
 * Fails only if it cannot look (PYR_ERR_NOT_FOUND, PYR_ERR_IO, PYR_ERR_NO_MEMORY); damage is a
 * finding. The end of the last segment is where its good batches end, since only the owner knows
 * more; @offset_end, if not negative, is what the owner says, and less is a finding.
 */
MUST_CHECK enum pyr_err segment_verify_folder(struct io *io,
                                              const char *folder,
                                              int64_t offset_end,
                                              struct segment_verdict *ret_verdict,
                                              struct pyr_error *reterr);

#endif /* SEGMENT_SCRUB_H */
