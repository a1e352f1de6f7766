/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/keymap - the newest offset of each key, in bounded memory.
 *
 * A table of 24 bytes a key: a 128-bit hash of the key under a seed that nobody outside knows, and
 * the offset. The key itself is not kept: two keys with one hash would be taken for one, which for
 * 128 bits and a secret seed does not happen. The table does not grow; when three quarters are used
 * it takes no new key, and compaction ends its range there.
 *
 * Threads: one.   Memory: one io_alloc.
 */
#ifndef SEGMENT_KEYMAP_H
#define SEGMENT_KEYMAP_H

#include "io/io.h"

struct segment_keymap_entry {
    uint64_t hash[2];
    int64_t offset; /* -1: free. */
};

/* The table. */
struct segment_keymap {
    struct io *io;
    struct segment_keymap_entry *rows;
    uint64_t row_count; /* A power of two. */
    uint64_t used;
    uint64_t seed;
};

/* What a key stands for: records' keys and producers' ids share the table. */
enum segment_keymap_kind {
    SEGMENT_KEYMAP_RECORD,
    SEGMENT_KEYMAP_PRODUCER,
};

/** Set up @map in at most @bytes. PYR_ERR_NO_MEMORY. Gives: segment_keymap_deinit. */
MUST_CHECK enum pyr_err segment_keymap_init(struct segment_keymap *map,
                                            struct io *io,
                                            uint64_t bytes,
                                            uint64_t seed);

/** Free the table; accepts a zeroed one. */
void segment_keymap_deinit(struct segment_keymap *map);

/** Return how many new keys @map still takes. */
uint64_t segment_keymap_room(const struct segment_keymap *map);

/** Note that @key has a record at @offset; there is room. The highest offset stays. */
void segment_keymap_put(struct segment_keymap *map,
                        enum segment_keymap_kind kind,
                        struct bytes key,
                        int64_t offset);

/** Return the highest offset of @key, or -1 if it is not in @map. */
int64_t segment_keymap_get(const struct segment_keymap *map,
                           enum segment_keymap_kind kind,
                           struct bytes key);

#endif /* SEGMENT_KEYMAP_H */
