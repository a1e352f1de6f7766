/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/cache - chunks: where they come from, how they fill, and when they may go.
 *
 * A chunk is in one of three places: in its partition's list (readable), there and in the list of
 * written chunks (readable, may be evicted), or free. A reference by a reader keeps its memory
 * alive after it has left the lists.
 */
#include "partition/cache.h"

#include "base/assert.h"
#include "base/limits.h"
#include "record/batch.h"

void cache_init(struct cache *cache, struct io *io, uint64_t bytes_max)
{
    ASSERT(cache);
    ASSERT(io);

    *cache = (struct cache){.io = io, .bytes_max = bytes_max};
}

/* -- The free list: large chunks, kept warm -- */

ASSERT_STATIC(2 * CACHE_CHUNK_BYTES_MAX == IO_LARGE_PAGE_BYTES, "two chunks make a large page");

static void free_push(struct cache_chunk *chunk)
{
    ASSERT(!chunk->is_free);
    ASSERT(chunk->bytes_max >= CACHE_CHUNK_BYTES_MAX);

    struct cache *cache = chunk->cache;
    chunk->is_free = true;
    chunk->free_prev = NULL;
    chunk->next = cache->free_first;
    if (cache->free_first) {
        cache->free_first->free_prev = chunk;
    }
    cache->free_first = chunk;
    cache->free_bytes += chunk->bytes_max;
}

static void free_remove(struct cache_chunk *chunk)
{
    ASSERT(chunk->is_free);
    ASSERT(chunk->cache->free_bytes >= chunk->bytes_max);

    struct cache *cache = chunk->cache;
    if (chunk->free_prev) {
        chunk->free_prev->next = chunk->next;
    } else {
        ASSERT(cache->free_first == chunk);
        cache->free_first = chunk->next;
    }
    if (chunk->next) {
        chunk->next->free_prev = chunk->free_prev;
    }
    chunk->next = NULL;
    chunk->is_free = false;
    cache->free_bytes -= chunk->bytes_max;
}

bool cache_wants_page(const struct cache *cache)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(cache->free_first || cache->free_bytes == 0);

    return cache->takes_pages && cache->free_bytes < IO_LARGE_PAGE_BYTES &&
           cache->bytes + cache->free_bytes + IO_LARGE_PAGE_BYTES <= cache->bytes_max;
}

bool cache_give_page(struct cache *cache, uint8_t *data)
{
    ASSERT(data);
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    struct cache_chunk *pair = io_alloc(cache->io, 2 * sizeof *pair, _Alignof(struct cache_chunk));
    if (!pair) {
        io_free(cache->io, data);
        return false;
    }
    for (size_t half = 2; half-- > 0;) {
        pair[half] = (struct cache_chunk){.cache = cache,
                                          .twin = &pair[1 - half],
                                          .data = data + half * CACHE_CHUNK_BYTES_MAX,
                                          .bytes_max = CACHE_CHUNK_BYTES_MAX};
        free_push(&pair[half]);
    }
    return true;
}

/* Put the two halves of a fresh large page into the free list. */
static bool pair_create(struct cache *cache)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    uint8_t *data = io_alloc_raw(cache->io, IO_LARGE_PAGE_BYTES, IO_LARGE_PAGE_BYTES);
    return data && cache_give_page(cache, data);
}

/* Give the free @chunk back to the heap, unless the other half of its large page is in use. */
static void free_drop(struct cache_chunk *chunk)
{
    ASSERT(chunk->is_free);

    struct io *io = chunk->cache->io;
    struct cache_chunk *twin = chunk->twin;
    if (twin && !twin->is_free) {
        return; /* CCH-4 */
    }
    free_remove(chunk);
    struct cache_chunk *first = chunk;
    if (twin) {
        ASSERT(twin->twin == chunk);
        free_remove(twin);
        first = twin->data < chunk->data ? twin : chunk;
    }
    io_free(io, first->data);
    io_free(io, first);
}

/* Take a kept chunk of exactly @bytes_max, or NULL. Batches of one size need chunks of one size: if
 * the kept ones are of another, one of them makes way for those to come. */
static struct cache_chunk *free_take(struct cache *cache, size_t bytes_max)
{
    ASSERT(bytes_max > 0);
    ASSERT(cache->free_first || cache->free_bytes == 0);

    if (bytes_max < CACHE_CHUNK_BYTES_MAX) {
        return NULL;
    }
    struct cache_chunk *chunk = cache->free_first;
    while (chunk && chunk->bytes_max != bytes_max) {
        chunk = chunk->next;
    }
    if (chunk) {
        free_remove(chunk);
    } else if (cache->free_first) {
        free_drop(cache->free_first);
    }
    return chunk;
}

void cache_deinit(struct cache *cache)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(cache->bytes == 0);
    ASSERT(!cache->evictable_first);

    while (cache->free_first) {
        free_drop(cache->free_first);
    }
    ASSERT(cache->free_bytes == 0);
}

/* -- Chunks -- */

static void chunk_retire(struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);

    struct cache *cache = chunk->cache;
    ASSERT(cache->bytes >= chunk->bytes_max);

    cache->bytes -= chunk->bytes_max;
    if (chunk->bytes_max < CACHE_CHUNK_BYTES_MAX) {
        io_free(cache->io, chunk->data);
        io_free(cache->io, chunk);
        return;
    }
    free_push(chunk);
    if (cache->free_bytes > CACHE_FREE_BYTES_MAX) {
        free_drop(chunk);
    }
}

void cache_chunk_acquire(struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);

    unsigned before = atomic_fetch_add_explicit(&chunk->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void cache_chunk_release(struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);

    unsigned before = atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);

    if (before == 1) {
        chunk_retire(chunk);
    }
}

/* Put @chunk at the end of the evictable list, or take it out, so that CCH-2 holds. */
static void evictable_update(struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);

    struct cache *cache = chunk->cache;
    bool should_be = chunk->log && chunk->bytes_written == chunk->bytes_used && !chunk->is_reserved;
    /* An empty one, left by an append that was refused, waits until those before it are gone. */
    should_be = should_be && (chunk->bytes_used > 0 || chunk->log->first == chunk);
    if (should_be == chunk->is_evictable) {
        return;
    }
    chunk->is_evictable = should_be;
    if (should_be) {
        chunk->evict_prev = cache->evictable_last;
        chunk->evict_next = NULL;
        if (cache->evictable_last) {
            cache->evictable_last->evict_next = chunk;
        } else {
            cache->evictable_first = chunk;
        }
        cache->evictable_last = chunk;
        return;
    }
    if (chunk->evict_prev) {
        chunk->evict_prev->evict_next = chunk->evict_next;
    } else {
        ASSERT(cache->evictable_first == chunk);
        cache->evictable_first = chunk->evict_next;
    }
    if (chunk->evict_next) {
        chunk->evict_next->evict_prev = chunk->evict_prev;
    } else {
        ASSERT(cache->evictable_last == chunk);
        cache->evictable_last = chunk->evict_prev;
    }
    chunk->evict_prev = NULL;
    chunk->evict_next = NULL;
}

/* Unlink the first chunk of @log and give the list's reference back. */
static void log_drop_first(struct cache_log *log)
{
    ASSERT(log->bytes_unwritten <= log->bytes);

    struct cache_chunk *chunk = log->first;
    ASSERT(chunk);
    ASSERT(log->bytes >= chunk->bytes_max);

    log->first = chunk->next;
    if (!log->first) {
        log->last = NULL;
    }
    log->bytes -= chunk->bytes_max;
    chunk->log = NULL;
    chunk->next = NULL;
    evictable_update(chunk);
    cache_chunk_release(chunk);
    if (log->first) {
        evictable_update(log->first);
    }
}

/* Evict the oldest written chunk; false if there is none. The chunks of one partition are written
 * in order, so an evictable chunk that comes first in the list is the first of its partition. */
static bool evict_one(struct cache *cache)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    struct cache_chunk *chunk = cache->evictable_first;
    if (!chunk) {
        return false;
    }
    ASSERT(chunk->log->first == chunk);
    ASSERT(chunk->bytes_written == chunk->bytes_used); /* CCH-2 */

    log_drop_first(chunk->log);
    cache->evictions++;
    return true;
}

static struct cache_chunk *chunk_create(struct cache *cache, size_t bytes_max)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    if (bytes_max >= CACHE_CHUNK_BYTES_MAX) {
        cache->takes_pages = bytes_max == CACHE_CHUNK_BYTES_MAX;
    }
    struct cache_chunk *chunk = free_take(cache, bytes_max);
    if (chunk) {
        return chunk;
    }
    if (bytes_max == CACHE_CHUNK_BYTES_MAX) {
        return pair_create(cache) ? free_take(cache, bytes_max) : NULL;
    }
    chunk = io_alloc(cache->io, sizeof *chunk, _Alignof(struct cache_chunk));
    if (!chunk) {
        return NULL;
    }
    chunk->data = io_alloc_raw(cache->io, bytes_max, BLOCK_BYTES);
    if (!chunk->data) {
        io_free(cache->io, chunk);
        return NULL;
    }
    return chunk;
}

/* Make room for @bytes_max below the bound; false if unwritten chunks fill it (CCH-1). */
static bool cache_make_room(struct cache *cache, size_t bytes_max)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    while (cache->bytes > 0 && cache->bytes + bytes_max > cache->bytes_max) {
        if (!evict_one(cache)) {
            return false;
        }
    }
    return true;
}

/* Put a fresh chunk with room for @bytes at the tail of @log. */
static enum pyr_err log_extend(struct cache *cache, struct cache_log *log, size_t bytes)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(log->bytes_unwritten <= log->bytes);

    size_t share = (size_t)(cache->bytes_max / CACHE_CHUNKS_MIN);
    size_t wanted = log->chunk_bytes ? log->chunk_bytes : CACHE_CHUNK_BYTES_MIN;
    if (wanted > share && wanted > CACHE_CHUNK_BYTES_MIN) {
        wanted = share > CACHE_CHUNK_BYTES_MIN ? share : CACHE_CHUNK_BYTES_MIN;
    }
    size_t step = bytes > CACHE_CHUNK_BYTES_MAX ? CACHE_CHUNK_LARGE_STEP_BYTES : BLOCK_BYTES;
    size_t bytes_max = wanted >= bytes ? wanted : (size_t)align_up(bytes, step);
    if (!cache_make_room(cache, bytes_max)) {
        return PYR_ERR_BUSY;
    }
    struct cache_chunk *chunk = chunk_create(cache, bytes_max);
    if (!chunk) {
        return PYR_ERR_NO_MEMORY;
    }

    *chunk = (struct cache_chunk){.cache = cache,
                                  .serial = ++cache->serial_last,
                                  .references = 1,
                                  .twin = chunk->twin,
                                  .data = chunk->data,
                                  .bytes_max = bytes_max,
                                  .offset_first = -1,
                                  .offset_end = -1,
                                  .log = log};
    if (log->last) {
        log->last->next = chunk;
    } else {
        log->first = chunk;
    }
    log->last = chunk;
    log->bytes += bytes_max;
    cache->bytes += bytes_max;
    size_t doubled = 2 * wanted;
    log->chunk_bytes = doubled > CACHE_CHUNK_BYTES_MAX ? CACHE_CHUNK_BYTES_MAX : doubled;
    return PYR_OK;
}

uint8_t *cache_reserve(struct cache *cache,
                       struct cache_log *log,
                       size_t bytes,
                       size_t *ret_bytes,
                       enum pyr_err *ret_err)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(bytes > 0);
    ASSERT(!log->last || !log->last->is_reserved);

    struct cache_chunk *chunk = log->last;
    if (!chunk || chunk->bytes_max - chunk->bytes_used < bytes) {
        enum pyr_err err = log_extend(cache, log, bytes);
        if (err != PYR_OK) {
            *ret_err = err;
            return NULL;
        }
        chunk = log->last;
    }
    chunk->is_reserved = true;
    evictable_update(chunk);
    *ret_bytes = chunk->bytes_max - chunk->bytes_used;
    return chunk->data + chunk->bytes_used;
}

void cache_commit(struct cache *cache,
                  struct cache_log *log,
                  size_t bytes,
                  int64_t offset_first,
                  int64_t offset_end)
{
    struct cache_chunk *chunk = log->last;
    ASSERT(chunk);
    ASSERT(chunk->is_reserved);
    ASSERT(bytes <= chunk->bytes_max - chunk->bytes_used);
    ASSERT(offset_first < offset_end);

    if (chunk->bytes_used == 0) {
        chunk->offset_first = offset_first;
    }
    chunk->bytes_used += bytes;
    chunk->offset_end = offset_end;
    chunk->is_reserved = false;
    log->bytes_unwritten += bytes;
    cache->bytes_unwritten += bytes;
    evictable_update(chunk);
}

void cache_unreserve(struct cache *cache, struct cache_log *log)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(log->bytes_unwritten <= log->bytes);

    struct cache_chunk *chunk = log->last;
    if (!chunk || !chunk->is_reserved) {
        return;
    }
    ASSERT(chunk->cache == cache);
    chunk->is_reserved = false;
    evictable_update(chunk);
}

void cache_written(struct cache *cache, struct cache_log *log, size_t bytes)
{
    ASSERT(bytes <= log->bytes_unwritten);
    ASSERT(bytes <= cache->bytes_unwritten);

    log->bytes_unwritten -= bytes;
    cache->bytes_unwritten -= bytes;
    for (struct cache_chunk *chunk = cache_unwritten(log); chunk && bytes > 0;
         chunk = chunk->next) {
        size_t left = chunk->bytes_used - chunk->bytes_written;
        size_t taken = bytes < left ? bytes : left;
        chunk->bytes_written += taken;
        bytes -= taken;
        evictable_update(chunk);
    }
    ASSERT(bytes == 0);
}

/* Cut @chunk, the last of its log, back to @bytes_used and @offset_end. */
static void chunk_cut(struct cache_chunk *chunk, size_t bytes_used, int64_t offset_end)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);

    struct cache_log *log = chunk->log;
    ASSERT(bytes_used <= chunk->bytes_used);

    size_t written = chunk->bytes_written < bytes_used ? chunk->bytes_written : bytes_used;
    size_t gone = (chunk->bytes_used - chunk->bytes_written) - (bytes_used - written);
    log->bytes_unwritten -= gone;
    chunk->cache->bytes_unwritten -= gone;
    chunk->bytes_used = bytes_used;
    chunk->bytes_written = written;
    chunk->offset_end = offset_end;
    chunk->serial = ++chunk->cache->serial_last; /* CCH-5 */
    evictable_update(chunk);
}

/* Take the last chunk of @log out of it. */
static void log_drop_last(struct cache_log *log)
{
    ASSERT(log->bytes_unwritten <= log->bytes);

    struct cache_chunk *chunk = log->last;
    chunk_cut(chunk, 0, chunk->offset_first);
    if (log->first == chunk) {
        log_drop_first(log);
        return;
    }
    struct cache_chunk *before = log->first;
    while (before->next != chunk) {
        before = before->next;
    }
    before->next = NULL;
    log->last = before;
    log->bytes -= chunk->bytes_max;
    chunk->log = NULL;
    evictable_update(chunk);
    cache_chunk_release(chunk);
}

/* Move @place over the batches of @chunk that end at or below @offset. */
static void place_walk(const struct cache_chunk *chunk, int64_t offset, struct cache_place *place)
{
    ASSERT(place->serial == chunk->serial);
    ASSERT(place->position <= chunk->bytes_used);

    while (place->position < chunk->bytes_used) {
        struct bytes rest = {chunk->data + place->position, chunk->bytes_used - place->position};
        struct batch_header header;
        enum pyr_err err = batch_header_read(rest, &header, NULL);
        ASSERT(err == PYR_OK);
        if (batch_offset_end(&header) > offset) {
            break;
        }
        place->position += header.bytes;
        place->offset = batch_offset_end(&header);
    }
}

void cache_truncate(struct cache *cache, struct cache_log *log, int64_t offset)
{
    ASSERT(!log->last || !log->last->is_reserved);

    while (log->last && log->last->bytes_used > 0 && log->last->offset_first >= offset) {
        ASSERT(log->last->cache == cache);
        log_drop_last(log);
    }
    struct cache_chunk *chunk = log->last;
    if (!chunk || chunk->bytes_used == 0 || chunk->offset_end <= offset) {
        return;
    }
    struct cache_place place = {.serial = chunk->serial};
    place_walk(chunk, offset, &place);
    chunk_cut(chunk, place.position, offset);
}

void cache_clear(struct cache *cache, struct cache_log *log)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(cache->bytes_unwritten >= log->bytes_unwritten);

    cache->bytes_unwritten -= log->bytes_unwritten;
    log->bytes_unwritten = 0;
    while (log->first) {
        log_drop_first(log);
    }
    ASSERT(log->bytes == 0);
}

int64_t cache_first(const struct cache_log *log)
{
    ASSERT(log->bytes_unwritten <= log->bytes);

    if (!log->first || log->first->bytes_used == 0) {
        return -1;
    }
    return log->first->offset_first;
}

static bool chunk_holds(const struct cache_chunk *chunk, int64_t offset)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);

    return chunk->bytes_used > 0 && offset >= chunk->offset_first && offset < chunk->offset_end;
}

struct cache_chunk *cache_acquire(struct cache_log *log, int64_t offset)
{
    ASSERT(log->bytes_unwritten <= log->bytes);

    struct cache_chunk *chunk =
        log->last && chunk_holds(log->last, offset) ? log->last : log->first;
    while (chunk && !chunk_holds(chunk, offset)) {
        chunk = chunk->next;
    }
    if (chunk) {
        cache_chunk_acquire(chunk);
    }
    return chunk;
}

struct bytes cache_chunk_part(const struct cache_chunk *chunk,
                              int64_t offset,
                              int64_t offset_end,
                              struct cache_place *place)
{
    ASSERT(chunk_holds(chunk, offset));
    ASSERT(offset < offset_end);

    if (place->serial != chunk->serial || place->offset > offset) { /* CCH-5 */
        *place = (struct cache_place){.serial = chunk->serial, .offset = chunk->offset_first};
    }
    place_walk(chunk, offset, place);
    size_t first = place->position;
    if (chunk->offset_end <= offset_end) {
        place->position = chunk->bytes_used;
        place->offset = chunk->offset_end;
    } else {
        place_walk(chunk, offset_end, place);
    }
    return (struct bytes){chunk->data + first, place->position - first};
}

struct cache_chunk *cache_unwritten(struct cache_log *log)
{
    ASSERT(log->bytes_unwritten <= log->bytes);

    for (struct cache_chunk *chunk = log->first; chunk; chunk = chunk->next) {
        if (chunk->bytes_written < chunk->bytes_used) {
            return chunk;
        }
    }
    return NULL;
}
