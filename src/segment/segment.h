/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/segment - one segment: where it starts and ends, what state it is in, its open files.
 *
 * Part of the path:  log -> [segment] -> files, chain
 *
 * A segment is three things that live apart. Its *shape* is a value: all numbers that a piece of
 * work needs. A job copies the shape, works on the copy on another thread, and the owner puts the
 * copy back. Its *handle* is the open files and the mapping, immutable and counted, so that readers
 * go on with it while the owner drops, swaps or deletes the segment. The segment itself ties both
 * to a state, and belongs to the owner alone.
 *
 *   create --> OPEN --segment is full--> FULL --cut to size, synced--> SEALED    create --> CLEANED
 *               ^                         |                              |                     |
 *               +------- truncated -------+------------------------------+                     |
 *               |                         |                              |                     |
 *               +----------- deleted -----+------------------------------+---------------------+
 *                                         v
 *                                      DELETED
 *
 *   state    what is true                                          edge taken by
 *   OPEN     last of its log; batches may be added                 segment_append_apply, truncate
 *   FULL     takes no batches; may be longer than its batches      segment_append_apply
 *   SEALED   exact length, END point written, all files synced     segment_sync_apply
 *   CLEANED  as SEALED, offsets may have holes, own chain          born so: segment_compact_next
 *   DELETED  its names are gone or going; only handles remain      remove, truncate, compact
 *
 * Invariants:
 *   SEG-2  A segment changes state only along the edges above.
 *   SEG-3  Files of a segment with a view that has not opened them are not swapped or cut.
 *
 * Threads: the owner, but for handles (any thread).   Memory: io_alloc.
 */
#ifndef SEGMENT_SEGMENT_H
#define SEGMENT_SEGMENT_H

#include "io/io.h"
#include "segment/format.h"

struct segment_handle;

enum segment_state {
    SEGMENT_STATE_OPEN,
    SEGMENT_STATE_FULL,
    SEGMENT_STATE_SEALED,
    SEGMENT_STATE_CLEANED,
    SEGMENT_STATE_DELETED,
    SEGMENT_STATE_COUNT,
};

/* The numbers of a segment. */
struct segment_shape {
    struct segment_identity identity;
    bool is_cleaned;
    struct segment_point start; /* Before its first batch. */
    struct segment_point end;   /* After its last batch; `position` is the bytes known good. */
    uint64_t history_digest;    /* Digest of the appended history at the end; end.digest unless
                                   cleaned. */
    bool is_stride_due;         /* The last batch end is at or past a new multiple of the stride. */
    uint32_t history_count;     /* History points in front of the chain; cleaned only. */
    uint32_t point_count;       /* Slots of the .digest in use, history included. */
    uint32_t index_count;       /* Entries of the .index. */
    uint32_t time_count;        /* Entries of the .timeindex. */
    int64_t time_last;          /* Timestamp of the last of them; -1 if none. */
    uint32_t index_position;    /* Where the batch of the last .index entry starts; 0 if none. */
    int64_t bytes_allocated;    /* Length of the file while it is OPEN. */
};

/* One segment of a log. */
struct segment {
    struct segment_shape shape;
    enum segment_state state;
    uint64_t serial;               /* Of this log, never used again: what cursors go by. */
    uint32_t views;                /* Not yet released. */
    uint32_t views_unopened;       /* Of those, without a handle (SEG-3). */
    bool is_claimed;               /* A job compacts or removes it. */
    struct segment_handle *pinned; /* While claimed: what views get, since names may change. */
    struct segment_handle *handle; /* In the cache of open files, or NULL. */
    struct segment *lru_prev;      /* Neighbours in that cache. */
    struct segment *lru_next;
};

/** Return the name of @state, such as "SEALED". */
const char *segment_state_name(enum segment_state state);

/** Return whether a segment may go from @from to @to (SEG-2). */
bool segment_state_can(enum segment_state from, enum segment_state to);

/** Move @segment to @state, along an edge of the picture. */
void segment_state_set(struct segment *segment, enum segment_state state);

/** Make a segment from @shape in its first state. Gives: segment_destroy. NULL without memory. */
struct segment *segment_create(struct io *io,
                               const struct segment_shape *shape,
                               enum segment_state state);

/** Free @segment (NULL does nothing), which is in no cache and has no views. */
void segment_destroy(struct io *io, struct segment *segment);

/** Return the shape of a new, empty segment that begins where the log stands: at @end. */
struct segment_shape segment_shape_after(const struct log_id *log,
                                         const struct segment_point *end,
                                         int64_t clock_ms);

#endif /* SEGMENT_SEGMENT_H */
