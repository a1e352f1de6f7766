/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/rebuild - side files brought in line with a .log, and the check of one that was sealed.
 *
 * Part of the path:  recover, truncate, scrub -> [rebuild] -> points, writer
 *
 * Truth goes one way: from the .log and the claim to the side files, never back. What a .digest
 * says up to a trusted offset was synced with the .log and is kept, so that only what came later is
 * read; what is behind that offset, or damaged, or missing, is made again batch by batch, each with
 * its checksum. Kafka's index files follow from the points and are compared with them, entry by
 * entry.
 *
 *      .digest   P P P P P | P x            x: damaged, or behind the trusted offset
 *      .log      ##########|########0000
 *                kept      | walked     end
 *
 * Threads: any.   Memory: io_alloc.
 */
#ifndef SEGMENT_REBUILD_H
#define SEGMENT_REBUILD_H

#include "segment/log.h"
#include "segment/points.h"

/* One segment to bring in line. */
struct segment_rebuild {
    struct io *io;
    const char *folder;
    struct segment_shape shape; /* In: identity and start. Out: all of it. */
    int64_t offset_trusted;     /* Points before it may be kept. */
    int64_t offset_end;         /* Batches must go to here exactly... */
    bool may_pass;              /* ...and may go on for as long as they are good. */
    bool is_sealed;             /* Write the END point, cut, sync. */
    bool is_dry;                /* Write nothing: only look. */
    uint64_t batches;           /* Out: walked. */
    uint64_t records;
    uint64_t bytes_scanned;
    uint64_t bytes_behind; /* Of the file, behind the end, up to its last batch-like byte. */
    uint32_t rebuilt;      /* Out: side files that were missing or wrong. */
    char why[96];          /* Out: what ended the walk, if not the end; empty if nothing. */
};

/**
 * Bring the side files of a segment in line with its .log.
 *
 * PYR_ERR_CORRUPT if good batches end before offset_end; PYR_ERR_INVALID if offset_end is inside a
 * batch. Then the .log is as it was. Files are not synced unless is_sealed.
 */
MUST_CHECK enum pyr_err segment_rebuild(struct segment_rebuild *rebuild, struct pyr_error *reterr);

/* What a look at a sealed segment's ends found. */
enum segment_look {
    SEGMENT_LOOK_GOOD,      /* All four files agree. */
    SEGMENT_LOOK_INDEX_BAD, /* One of Kafka's two is missing or wrong. */
    SEGMENT_LOOK_OPEN,      /* Points are good, but there is no END point at the file's end. */
    SEGMENT_LOOK_BAD,       /* The .digest is missing or damaged. */
};

/**
 * Look at the ends of a segment's files, without reading it.
 *
 * *@ret_shape holds what could be believed: everything of a GOOD one, of an OPEN one identity and
 * start; of a cleaned one whose .log does not fit (BAD), what its .digest says.
 */
MUST_CHECK enum pyr_err segment_look_at(struct io *io,
                                        const char *folder,
                                        const struct segment_identity *identity,
                                        enum segment_look *ret_look,
                                        struct segment_shape *ret_shape,
                                        struct pyr_error *reterr);

/** Bring Kafka's two index files of a sealed segment in line with its points; *@ret_rebuilt counts
 * those that were not (@is_dry: and are not). */
MUST_CHECK enum pyr_err segment_rebuild_index(struct io *io,
                                              const char *folder,
                                              const struct segment_shape *shape,
                                              bool is_dry,
                                              uint32_t *ret_rebuilt,
                                              struct pyr_error *reterr);

/* Which file of which segment. */
struct segment_file_name {
    const char *folder;
    int64_t offset_base;
    enum segment_kind kind;
};

/** Open the file @name of a segment; *@ret_file is NULL if it is not there and @flags do not make
 * it. */
MUST_CHECK enum pyr_err segment_file_open(struct io *io,
                                          const struct segment_file_name *name,
                                          uint32_t flags,
                                          struct io_file **ret_file,
                                          struct pyr_error *reterr);

#endif /* SEGMENT_REBUILD_H */
