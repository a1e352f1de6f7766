/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/cache - chunks: where they come from, how they fill, and when they may go.
 *
 * A chunk is in its partition's list (readable), or there and in the list of written chunks
 * (readable, may be evicted). A reference by a reader keeps its memory alive after it has left the
 * lists; after the last one the memory goes to where it came from, a large chunk's to the arenas.
 */
#include "partition/cache.h"

#include "base/assert.h"
#include "base/limits.h"
#include "partition/room.h"
#include "record/batch.h"

void cache_init(struct cache *cache, struct io *io, uint64_t bytes_max)
{
    ASSERT(cache);
    ASSERT(io);

    *cache = (struct cache){.io = io, .bytes_max = bytes_max};
    room_init(cache);
}

void cache_deinit(struct cache *cache)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(cache->bytes == 0);
    ASSERT(!cache->evictable_first);

    room_deinit(cache);
}

/* -- Chunks -- */

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
        room_give(chunk);
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

/* Give the list's reference of @chunk back, which was unlinked from @log. */
static void log_let_go(struct cache_log *log, struct cache_chunk *chunk)
{
    ASSERT(log->bytes >= chunk->bytes_max);
    ASSERT(chunk->cache->bytes_of_logs >= chunk->bytes_max);

    log->bytes -= chunk->bytes_max;
    chunk->cache->bytes_of_logs -= chunk->bytes_max;
    chunk->log = NULL;
    chunk->next = NULL;
    evictable_update(chunk);
    cache_chunk_release(chunk);
}

/* Drop the first chunk of @log. */
static void log_drop_first(struct cache_log *log)
{
    ASSERT(log->bytes_unwritten <= log->bytes);

    struct cache_chunk *chunk = log->first;
    ASSERT(chunk);

    log->first = chunk->next;
    if (!log->first) {
        log->last = NULL;
    }
    log_let_go(log, chunk);
    if (log->first) {
        evictable_update(log->first);
    }
}

/* Let the next chunk of @log be half of the last one, which it hardly used: a log that was busy
 * once does not hold a large chunk for ever. */
static void log_lower_wish(struct cache_log *log)
{
    ASSERT(log->last);
    ASSERT(log->chunk_bytes >= CACHE_CHUNK_BYTES_MIN);

    size_t wish = CACHE_CHUNK_BYTES_MIN;
    while (4 * wish <= log->last->bytes_max) {
        wish *= 2;
    }
    log->chunk_bytes = wish < log->chunk_bytes ? wish : log->chunk_bytes;
}

/* The chunks of one partition are written in order, so an evictable chunk that comes first in the
 * list is the first of its partition. */
bool cache_evict_one(struct cache *cache)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);

    struct cache_chunk *chunk = cache->evictable_first;
    if (!chunk) {
        return false;
    }
    struct cache_log *log = chunk->log;
    ASSERT(log->first == chunk);
    ASSERT(chunk->bytes_written == chunk->bytes_used); /* CCH-2 */

    if (log->last == chunk && chunk->bytes_used < chunk->bytes_max / 2) {
        log_lower_wish(log);
    }
    log_drop_first(log);
    cache->evictions++;
    return true;
}

/* Return what a chunk for a batch of @bytes in @log is best made of: a wish. Small batches do not
 * get the chunks of large ones, where a reader would have to walk over too many of them. */
static size_t log_wish(const struct cache *cache, const struct cache_log *log, size_t bytes)
{
    ASSERT(bytes > 0);
    ASSERT(log->bytes_unwritten <= log->bytes);

    size_t share = (size_t)(cache->bytes_max / CACHE_CHUNKS_MIN);
    size_t most = cache->arenas.arena_bytes > 0 ? cache->arenas.arena_bytes : share;
    most = bytes <= CACHE_CHUNK_BYTES_MAX && most > CACHE_CHUNK_BYTES_MAX ? CACHE_CHUNK_BYTES_MAX
                                                                          : most;
    size_t wish = log->chunk_bytes < most ? log->chunk_bytes : most;
    return wish > CACHE_CHUNK_BYTES_MIN ? wish : CACHE_CHUNK_BYTES_MIN;
}

/* Note that @log got a chunk that was wished to be of @wish, for a batch of @bytes. */
static void log_grow_wish(struct cache *cache, struct cache_log *log, size_t wish, size_t bytes)
{
    ASSERT(wish >= CACHE_CHUNK_BYTES_MIN);
    ASSERT(cache->next_bytes <= cache->arenas.arena_bytes);

    size_t most = CACHE_CHUNK_BYTES_MAX;
    if (bytes > CACHE_CHUNK_BYTES_MAX) {
        most = CACHE_ARENA_BYTES_MAX;
        while (wish < bytes && wish < most) {
            wish *= 2;
        }
    }
    size_t doubled = 2 * wish < most ? 2 * wish : most;
    log->chunk_bytes = doubled > log->chunk_bytes ? doubled : log->chunk_bytes;
    size_t next = log_wish(cache, log, bytes);
    if (next >= CACHE_CHUNK_BYTES_MAX) {
        cache->next_bytes = next;
    }
}

/* Put a fresh chunk with room for @bytes at the tail of @log. */
static enum pyr_err log_extend(struct cache *cache, struct cache_log *log, size_t bytes)
{
    ASSERT(cache->bytes_unwritten <= cache->bytes);
    ASSERT(log->bytes_unwritten <= log->bytes);

    size_t wish = log_wish(cache, log, bytes);
    size_t step = bytes > CACHE_CHUNK_BYTES_MAX ? CACHE_CHUNK_LARGE_STEP_BYTES : BLOCK_BYTES;
    size_t needed = (size_t)align_up(bytes, step);
    size_t wanted = wish;
    if (wish < bytes) {
        wanted = needed;
    } else if (wish < needed) {
        needed = wish;
    }
    struct cache_chunk *chunk = NULL;
    enum pyr_err err = room_take(cache, needed, wanted, &chunk);
    if (err != PYR_OK) {
        return err;
    }
    chunk->cache = cache;
    chunk->serial = ++cache->serial_last;
    atomic_store_explicit(&chunk->references, 1, memory_order_relaxed);
    chunk->offset_first = -1;
    chunk->offset_end = -1;
    chunk->log = log;
    if (log->last) {
        log->last->next = chunk;
    } else {
        log->first = chunk;
    }
    log->last = chunk;
    log->bytes += chunk->bytes_max;
    cache->bytes += chunk->bytes_max;
    cache->bytes_of_logs += chunk->bytes_max;
    log_grow_wish(cache, log, wish, bytes);
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
    bool is_most = chunk->bytes_used > chunk->bytes_touched;
    chunk->bytes_touched = is_most ? chunk->bytes_used : chunk->bytes_touched;
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
    log_let_go(log, chunk);
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

    while (log->last && (log->last->bytes_used == 0 || log->last->offset_first >= offset)) {
        ASSERT(log->last->cache == cache);
        log_drop_last(log);
    }
    struct cache_chunk *chunk = log->last;
    if (!chunk || chunk->offset_end <= offset) {
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

int64_t cache_chunk_floor(const struct cache_chunk *chunk,
                          int64_t offset,
                          struct cache_place *place)
{
    ASSERT(chunk_holds(chunk, offset));
    ASSERT(place->position <= chunk->bytes_used || place->serial != chunk->serial);

    if (place->serial != chunk->serial || place->offset > offset) { /* CCH-5 */
        *place = (struct cache_place){.serial = chunk->serial, .offset = chunk->offset_first};
    }
    place_walk(chunk, offset, place);
    return place->offset;
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
