/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/room - room for a chunk: what is evicted, what is used again, what is asked of the
 * kernel.
 *
 * Part of the path:  append -> cache -> [room] -> arenas, heap
 *
 * A log wishes a chunk of some size and needs one that holds its batch. In this order:
 *
 *      1. evict until the wish fits below the cache's bound, or there is nothing to evict
 *      2. take a free block of the arenas, of the wish or less, never less than is needed
 *      3. add an arena, while all memory is within the bound, as it is until the cache is full once
 *      4. evict once more, so that free blocks may merge, and begin again
 *      5. add an arena, if CCH-6 allows; else allocate what is needed and no more, once
 *
 * Each chunk that a reader holds, or that is not written, may keep an arena in pieces; the pieces
 * are free memory that no larger chunk can use. Steps 4 and 5 are what bounds it. A batch that fits
 * no arena merges with nothing: for it step 5 comes before step 4.
 *
 * Failure modes: nothing can be evicted and too much is held -> PYR_ERR_BUSY, what was evicted is
 *                no memory -> PYR_ERR_NO_MEMORY, likewise
 *
 * Threads: the shard's owner.   Memory: chunks, until room_give.
 */
#ifndef PARTITION_ROOM_H
#define PARTITION_ROOM_H

#include "partition/cache.h"

/** Set up the arenas of @cache, of which bound and environment are set. */
void room_init(struct cache *cache);

/** Free all memory kept for chunks of @cache. */
void room_deinit(struct cache *cache);

/**
 * Set *@ret_chunk to a chunk of @wanted bytes, or less but at least @needed.
 *
 * It has its memory and is zero else. It counts from when the caller adds it to cache->bytes.
 * PYR_ERR_BUSY: unwritten bytes or readers hold too much. PYR_ERR_NO_MEMORY. Gives: room_give.
 */
enum pyr_err room_take(struct cache *cache,
                       size_t needed,
                       size_t wanted,
                       struct cache_chunk **ret_chunk);

/** Take @chunk, which nobody refers to, and its bytes off its cache. */
void room_give(struct cache_chunk *chunk);

#endif /* PARTITION_ROOM_H */
