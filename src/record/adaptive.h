/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/adaptive - decide whether packing a stream's next batch is worth the try.
 *
 * Part of the path:  builder -> [adaptive] -> pack or plain -> seal
 *
 * Data that does not shrink costs the processor and saves nothing, and a stream that did not shrink
 * a moment ago will hardly shrink now. So a packed batch is kept only if it saves an eighth or
 * more; after k tries in a row that did not, only one batch in 2^k is tried, at most one in 64; one
 * that did sets k back to 0. Batches under 1 KiB are left plain: the frame alone eats the gain.
 *
 *   k      0        1           2                6
 *   tries  every -> 1 in 2  ->  1 in 4 -> ... -> 1 in 64       a kept batch leads back to 0
 *
 * The rule is a value and a few sums: the caller packs, and tells how long it took.
 *
 * Invariants:
 *   REC-7  A packed batch is kept only if it saves an eighth or more; of a stream that never
 *          shrinks, at most one batch in 64 is tried in the long run, and never fewer.
 *
 * Threads: belongs to its stream's one writer.
 * Reference: docs/formats/batch.md.
 */
#ifndef RECORD_ADAPTIVE_H
#define RECORD_ADAPTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ADAPTIVE_BYTES_MIN = 1024,
    ADAPTIVE_SAVED_SHARE = 8, /* Keep if one in so many bytes is saved. */
    ADAPTIVE_BACKOFF_MAX = 6, /* 1 in 2^6 = 64. */
};

/* What happened so far, for metrics. */
struct adaptive_counters {
    uint64_t batches;     /* Asked about. */
    uint64_t tried;       /* Packed to see. */
    uint64_t kept;        /* Of these, worth it. */
    uint64_t bytes_in;    /* Of the tried, before packing. */
    uint64_t bytes_out;   /* Of the tried, as they were kept: packed or plain. */
    uint64_t duration_ns; /* Spent packing. */
};

/* One stream's state. All zero is a fresh one. */
struct adaptive {
    unsigned backoff;   /* k. */
    unsigned skip_left; /* Batches to leave plain before the next try. */
    struct adaptive_counters counters;
};

/** Return whether to try the stream's next batch, of @bytes records. Each batch is asked about
 * once. */
bool adaptive_should_try(struct adaptive *adaptive, size_t bytes);

/** Return the room to give to compress_pack for @bytes, so that it stops when it will not be kept.
 */
size_t adaptive_room(size_t bytes);

/**
 * Learn how a try went, and return whether to keep the packed batch.
 *
 * @packed_bytes is 0 if it did not fit into adaptive_room(). @duration_ns is what it took.
 */
bool adaptive_learn(struct adaptive *adaptive,
                    size_t bytes,
                    size_t packed_bytes,
                    uint64_t duration_ns);

#endif /* RECORD_ADAPTIVE_H */
