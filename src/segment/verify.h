/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/verify - looking for damage in a folder that nobody has open.
 *
 * It goes through the read path, so that what it checks is what readers rely on, changes nothing,
 * and tells everything that is wrong. The scrub of an open log is scrub.h.
 *
 * Threads: any.   Memory: io_alloc.
 */
#ifndef SEGMENT_VERIFY_H
#define SEGMENT_VERIFY_H

#include "segment/log.h"

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
 * more; the owner says that @offset_start to @offset_end are there (negative: it does not say), and
 * less is a finding; damage in segments behind that is none.
 */
MUST_CHECK enum pyr_err segment_verify_folder(struct io *io,
                                              const char *folder,
                                              int64_t offset_start,
                                              int64_t offset_end,
                                              struct segment_verdict *ret_verdict,
                                              struct pyr_error *reterr);

#endif /* SEGMENT_VERIFY_H */
