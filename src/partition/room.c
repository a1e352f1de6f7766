/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/room - room for a chunk, within the bounds.
 */
#include "partition/room.h"

#include "base/assert.h"
#include "base/limits.h"

/* The largest power of two from CACHE_CHUNK_BYTES_MAX to CACHE_ARENA_BYTES_MAX that a log may take
 * of a cache of @bytes_max at once; 0: even the smallest is too much. */
static size_t arena_bytes_of(uint64_t bytes_max)
{
    ASSERT(CACHE_CHUNKS_MIN > 1);

    size_t bytes = CACHE_ARENA_BYTES_MAX;
    while (bytes >= CACHE_CHUNK_BYTES_MAX && bytes > bytes_max / CACHE_CHUNKS_MIN) {
        bytes /= 2;
    }
    return bytes >= CACHE_CHUNK_BYTES_MAX ? bytes : 0;
}

void room_init(struct cache *cache)
{
    ASSERT(cache->io);
    ASSERT(cache->bytes == 0);

    arena_init(&cache->arenas, cache->io, arena_bytes_of(cache->bytes_max));
}

void room_deinit(struct cache *cache)
{
    ASSERT(cache->bytes == 0);
    ASSERT(cache->bytes_of_logs == 0);

    while (cache->spare_first) {
        struct cache_chunk *chunk = cache->spare_first;
        cache->spare_first = chunk->next;
        io_free(cache->io, chunk);
    }
    arena_deinit(&cache->arenas);
}

/* -- What the bounds leave -- */

/* Evict until @wanted bytes fit below the bound (CCH-1) or there is nothing to evict. Return how
 * many fit, @wanted at most; 0 if not even @needed. */
static size_t cache_make_room(struct cache *cache, size_t needed, size_t wanted)
{
    ASSERT(cache->bytes_of_logs <= cache->bytes);
    ASSERT(needed <= wanted);

    bool can_evict = true;
    while (can_evict && cache->bytes + wanted > cache->bytes_max) {
        can_evict = cache_evict_one(cache);
    }
    uint64_t room = cache->bytes < cache->bytes_max ? cache->bytes_max - cache->bytes : 0;
    if (room >= needed) {
        return room < wanted ? (size_t)room : wanted;
    }
    /* What is left is the readers'. They may be waiting for this append, so one batch goes in. */
    bool is_bare = cache->bytes_of_logs == 0 && cache->bytes <= cache->bytes_max;
    return is_bare ? needed : 0;
}

/* Return whether @growth bytes of fresh memory keep all of it within the bound and @free_max; free
 * memory makes way for them. */
static bool cache_may_grow(struct cache *cache, size_t growth, uint64_t free_max)
{
    ASSERT(growth > 0);
    ASSERT(free_max <= CACHE_FREE_BYTES_MAX); /* CCH-6 */

    uint64_t limit = cache->bytes_max + free_max;
    uint64_t used = cache->bytes + growth;
    if (used <= limit) {
        arena_trim(&cache->arenas, limit - used);
    }
    return used + cache_free_bytes(cache) <= limit;
}

/* Return whether one batch may break CCH-6, since nothing can be evicted. */
static bool cache_may_grow_once(const struct cache *cache)
{
    ASSERT(!cache->evictable_first);
    ASSERT(cache->bytes_of_logs <= cache->bytes);

    return cache_footprint(cache) <= cache->bytes_max + CACHE_FREE_BYTES_MAX;
}

/* -- Large chunks -- */

/* The smallest block of an arena, whatever arenas there are, for @needed bytes. */
static size_t block_bytes(size_t needed)
{
    ASSERT(needed > 0);

    size_t bytes = CACHE_CHUNK_BYTES_MAX;
    while (bytes < needed) {
        bytes *= 2;
    }
    return bytes;
}

/* The most memory that is worth to be used again for @needed bytes, of what fits. */
static size_t whole_most(const struct cache *cache, size_t needed)
{
    ASSERT(needed > 0);

    uint64_t room = cache->bytes < cache->bytes_max ? cache->bytes_max - cache->bytes : 0;
    size_t most = room < 2 * needed ? (size_t)room : 2 * needed;
    return most > needed ? most : needed;
}

/* Take a block for a batch of @needed bytes, of @wanted if there is one: of memory that is there,
 * else of a new arena, else of what eviction sets free, else just what is needed. */
static enum pyr_err block_take(struct cache *cache,
                               size_t needed,
                               size_t wanted,
                               struct arena_block **ret_block)
{
    ASSERT(needed <= wanted);
    ASSERT(needed >= CACHE_CHUNK_BYTES_MAX);

    struct arenas *arenas = &cache->arenas;
    size_t halved = block_bytes(needed); /* What is cut from an arena for it. */
    bool is_whole = halved > arenas->arena_bytes;
    wanted = is_whole || wanted > halved ? wanted : halved;
    size_t fits = 0;
    size_t growth = 0;
    bool may_grow = false;
    do {
        fits = cache_make_room(cache, needed, wanted);
        if (fits == 0) {
            return PYR_ERR_BUSY;
        }
        *ret_block = arena_take(arenas, needed, is_whole ? whole_most(cache, needed) : fits);
        if (*ret_block) {
            return PYR_OK;
        }
        is_whole = is_whole || halved > fits;
        growth = is_whole ? needed : arenas->arena_bytes;
        may_grow = cache_may_grow(cache, growth, is_whole ? CACHE_FREE_BYTES_MAX : growth);
    } while (!may_grow && cache_evict_one(cache));
    if (!may_grow && !cache_may_grow(cache, growth, CACHE_FREE_BYTES_MAX)) {
        if (!cache_may_grow_once(cache)) {
            return PYR_ERR_BUSY;
        }
        growth = needed;
    }
    if (!arena_grow(arenas, growth)) {
        return PYR_ERR_NO_MEMORY;
    }
    *ret_block = arena_take(arenas, needed, fits);
    ASSERT(*ret_block);
    return PYR_OK;
}

/* Make a chunk of arenas' memory. */
static enum pyr_err chunk_create_large(struct cache *cache,
                                       size_t needed,
                                       size_t wanted,
                                       struct cache_chunk **ret_chunk)
{
    ASSERT(needed <= wanted);
    ASSERT(wanted >= CACHE_CHUNK_BYTES_MAX);

    struct cache_chunk *chunk = cache->spare_first;
    if (chunk) {
        cache->spare_first = chunk->next;
    } else {
        chunk = io_alloc(cache->io, sizeof *chunk, _Alignof(struct cache_chunk));
    }
    if (!chunk) {
        return PYR_ERR_NO_MEMORY;
    }
    struct arena_block *block = NULL;
    size_t least = needed > CACHE_CHUNK_BYTES_MAX ? needed : CACHE_CHUNK_BYTES_MAX;
    enum pyr_err err = block_take(cache, least, wanted, &block);
    if (err != PYR_OK) {
        chunk->next = cache->spare_first;
        cache->spare_first = chunk;
        return err;
    }
    ASSERT(block->bytes >= needed);
    *chunk = (struct cache_chunk){.block = block, .data = block->data, .bytes_max = block->bytes};
    *ret_chunk = chunk;
    return PYR_OK;
}

/* -- Small chunks, and both -- */

/* Make a chunk of less than an arena is split down to. */
static enum pyr_err chunk_create_small(struct cache *cache,
                                       size_t needed,
                                       size_t wanted,
                                       struct cache_chunk **ret_chunk)
{
    ASSERT(needed <= wanted);
    ASSERT(wanted < CACHE_CHUNK_BYTES_MAX);

    size_t fits = 0;
    bool may_grow = false;
    do {
        fits = cache_make_room(cache, needed, wanted);
        if (fits == 0) {
            return PYR_ERR_BUSY;
        }
        fits = fits < wanted ? needed : wanted;
        may_grow = cache_may_grow(cache, fits, CACHE_FREE_BYTES_MAX);
    } while (!may_grow && cache_evict_one(cache));
    if (!may_grow && !cache_may_grow_once(cache)) {
        return PYR_ERR_BUSY;
    }
    struct cache_chunk *chunk = io_alloc(cache->io, sizeof *chunk, _Alignof(struct cache_chunk));
    if (!chunk) {
        return PYR_ERR_NO_MEMORY;
    }
    chunk->data = io_alloc_raw(cache->io, fits, BLOCK_BYTES);
    if (!chunk->data) {
        io_free(cache->io, chunk);
        return PYR_ERR_NO_MEMORY;
    }
    chunk->bytes_max = fits;
    *ret_chunk = chunk;
    return PYR_OK;
}

enum pyr_err room_take(struct cache *cache,
                       size_t needed,
                       size_t wanted,
                       struct cache_chunk **ret_chunk)
{
    ASSERT(needed > 0);
    ASSERT(needed <= wanted);

    bool may_be_small = needed < CACHE_CHUNK_BYTES_MAX && wanted >= CACHE_CHUNK_BYTES_MAX;
    if (may_be_small && cache_make_room(cache, needed, wanted) < CACHE_CHUNK_BYTES_MAX) {
        wanted = needed;
    }
    return wanted < CACHE_CHUNK_BYTES_MAX ? chunk_create_small(cache, needed, wanted, ret_chunk)
                                          : chunk_create_large(cache, needed, wanted, ret_chunk);
}

void room_give(struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);
    ASSERT(!chunk->log);

    struct cache *cache = chunk->cache;
    ASSERT(cache->bytes >= chunk->bytes_max);

    cache->bytes -= chunk->bytes_max;
    if (!chunk->block) {
        io_free(cache->io, chunk->data);
        io_free(cache->io, chunk);
        return;
    }
    bool was_cut = chunk->bytes_touched > chunk->bytes_used;
    arena_give(&cache->arenas, chunk->block, was_cut ? chunk->bytes_touched : chunk->bytes_used);
    arena_trim(&cache->arenas, CACHE_FREE_BYTES_MAX);
    chunk->block = NULL;
    chunk->next = cache->spare_first;
    cache->spare_first = chunk;
}

/* -- Memory ahead -- */

struct arena_block *cache_warm_begin(struct cache *cache)
{
    ASSERT(cache->next_bytes <= cache->arenas.arena_bytes);
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    if (cache->next_bytes == 0) {
        return NULL;
    }
    struct arena_block *block = arena_cold_take(&cache->arenas);
    if (block) {
        return block;
    }
    size_t half = cache->arenas.arena_bytes / 2;
    size_t ahead = cache->next_bytes > half ? cache->next_bytes : half;
    if (cache_free_bytes(cache) >= ahead || cache_footprint(cache) > cache->bytes_max) {
        return NULL;
    }
    if (!arena_grow(&cache->arenas, cache->arenas.arena_bytes)) {
        cache->next_bytes = 0; /* Until the next chunk is taken: memory is short now. */
        return NULL;
    }
    return arena_cold_take(&cache->arenas);
}

void cache_warm_end(struct cache *cache, struct arena_block *block)
{
    ASSERT(block);
    ASSERT(cache->arenas.arena_bytes > 0);

    arena_cold_give(&cache->arenas, block);
    arena_trim(&cache->arenas, CACHE_FREE_BYTES_MAX);
}
