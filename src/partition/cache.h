/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/cache - the write cache: what was appended lately, in memory, as plain runs of batches.
 *
 * Part of the path:  append -> [cache] -> segments (big writes), and -> readers of the tail
 *
 * A partition's tail lives in chunks. A chunk is a piece of memory that holds whole batches one
 * after the other, exactly as they will stand in the segment file, so a batch is built in place, is
 * never copied, and a flush writes few large pieces. Chunks start small and double with use, so a
 * thousand quiet partitions cost little and a busy one gets 1 MiB pieces; one that appends batches
 * above 1 MiB gets pieces of up to 8 MiB, which hold several. A log whose last chunk is evicted
 * less than half full gets half as much the next time.
 *
 *     cache_log      first                                   last
 *                     |                                       |
 *                  [chunk] -> [chunk] -> [chunk|.......] -> [chunk|....]
 *                  written    written     ^ written up to here      ^ reserve() hands out this
 *                  (may be evicted)
 *
 * Chunks from 1 MiB on are blocks of arenas (arena.h), which were touched before and move from one
 * size to another; smaller ones come from the heap. What a log wishes is taken where it is there;
 * what its batch needs is enough where it is not, or where the bound leaves no more.
 *
 *     arena  [  1 MiB | 1 MiB |     2 MiB     |            4 MiB            ]
 *                 ^       ^          ^ free       ^ a chunk of large batches
 *                 chunks of small ones
 *
 * In a small cache an arena is what one log may take at once, an eighth; if that is below 1 MiB
 * there are none. A batch that fits no arena gets memory of its own size.
 *
 * All chunks of a shard are counted against one bound. What is written to segments stays readable
 * until its memory is needed, oldest first; what is not written is never dropped: reserve() fails
 * instead (back-pressure), and the caller waits for a flush. Free memory comes on top: what is kept
 * for use, and what lies free between chunks and is too small for the next. Where that becomes too
 * much, chunks are evicted until free blocks merge, before fresh memory is asked for.
 *
 * Invariants:
 *   CCH-1  bytes of all chunks together never exceed the bound, but for one batch in a cache of
 *          which no log holds a chunk (readers may); a start raises the bound to what replicas may
 *          not write yet, and as much more as was asked for
 *   CCH-2  a chunk is evictable exactly if all its batches are written and none is being built in
 *          it; an empty one, if it is the first of its log besides
 *   CCH-3  bytes below a chunk's `bytes_used` never change while anyone holds a reference
 *   CCH-5  a place is used only in the chunk that it was taken in, and only if that was not cut
 *   CCH-6  bytes of all chunks and free memory together never exceed the bound and
 *          CACHE_FREE_BYTES_MAX, but for one batch where nothing can be evicted
 *
 * Threads: the shard's owner. A reader that holds a reference may read bytes below the committed
 * end without it.   Memory: large chunks from arenas, with descriptors that are kept; small ones
 * from io_alloc.
 */
#ifndef PARTITION_CACHE_H
#define PARTITION_CACHE_H

#include <stdatomic.h>

#include "io/io.h"
#include "partition/arena.h"

struct cache;

/* One piece of a partition's tail. */
struct cache_chunk {
    struct cache *cache;
    uint64_t serial;                /* Another one after a cut: what places go by. */
    atomic_uint references;         /* The list holds one while the chunk is in it. */
    struct cache_chunk *next;       /* Next of the same partition, or of the spare ones. */
    struct arena_block *block;      /* Its memory; NULL: from the heap. */
    struct cache_chunk *evict_prev; /* Neighbours in the list of evictable chunks. */
    struct cache_chunk *evict_next;
    bool is_evictable; /* It stands in that list. */
    bool is_reserved;  /* Someone is building a batch at its end. */
    uint8_t *data;
    size_t bytes_max;
    size_t bytes_used;    /* Whole batches. */
    size_t bytes_written; /* Of those, in the segment file. */
    size_t bytes_touched; /* The most that were used before a cut. */
    int64_t offset_first; /* First offset in it. */
    int64_t offset_end;   /* One past its last. */
    struct cache_log *log;
};

/* Where a batch begins, or will: what a reader keeps, so that it need not walk there again. It may
 * be kept for any time, whatever becomes of the chunk. Zeroed is nowhere. */
struct cache_place {
    uint64_t serial; /* Of the chunk; 0: nowhere. */
    size_t position; /* In it, between two batches... */
    int64_t offset;  /* ...of which the one before ends here. */
};

/* The cached tail of one partition. Zeroed is empty. */
struct cache_log {
    struct cache_chunk *first;
    struct cache_chunk *last;
    size_t bytes;           /* Of its chunks. */
    size_t bytes_unwritten; /* Of its batches not yet in a segment. */
    size_t chunk_bytes;     /* What the next chunk is made of. */
};

/* The chunks of one shard. */
struct cache {
    struct io *io;
    uint64_t bytes_max;
    uint64_t bytes;                      /* Of all chunks that belong to a partition or a reader. */
    uint64_t bytes_of_logs;              /* Of those that belong to a partition. */
    uint64_t bytes_unwritten;            /* Of all batches not yet in a segment. */
    uint64_t evictions;                  /* Chunks dropped to make room. */
    uint64_t serial_last;                /* Of its chunks. */
    struct cache_chunk *evictable_first; /* Written chunks, oldest first. */
    struct cache_chunk *evictable_last;
    struct cache_chunk *spare_first; /* Descriptors of large chunks to come. */
    struct arenas arenas;
    size_t next_bytes; /* What the next large chunk is likely to be; 0: none is to be expected. */
};

/** Set up @cache with room for @bytes_max. */
void cache_init(struct cache *cache, struct io *io, uint64_t bytes_max);

/** Free what @cache keeps for reuse. All logs are cleared before, and no reader holds a reference.
 */
void cache_deinit(struct cache *cache);

/**
 * Return room for a batch of @bytes at the tail of @log, or NULL: then the cache is full of
 * unwritten bytes (*@ret_err is PYR_ERR_BUSY) or an allocation failed (PYR_ERR_NO_MEMORY). The room
 * is as large as
 * *@ret_bytes, at least @bytes. It stays the caller's until cache_commit or cache_unreserve.
 */
uint8_t *cache_reserve(struct cache *cache,
                       struct cache_log *log,
                       size_t bytes,
                       size_t *ret_bytes,
                       enum pyr_err *ret_err);

/** Take the first @bytes of what cache_reserve returned: a batch of offsets [@first, @end). */
void cache_commit(struct cache *cache,
                  struct cache_log *log,
                  size_t bytes,
                  int64_t offset_first,
                  int64_t offset_end);

/** Give the room back unused. Without a reservation it does nothing. */
void cache_unreserve(struct cache *cache, struct cache_log *log);

/** Note that the first @bytes of the unwritten bytes of @log stand in its segments now. */
void cache_written(struct cache *cache, struct cache_log *log, size_t bytes);

/** Drop everything of @log at or past @offset, which is a batch's first offset or the end. */
void cache_truncate(struct cache *cache, struct cache_log *log, int64_t offset);

/** Drop everything of @log, written or not. */
void cache_clear(struct cache *cache, struct cache_log *log);

/** Evict the oldest written chunk; false if there is none. */
bool cache_evict_one(struct cache *cache);

/** Return memory that the next chunks will need and that was never touched, for a job to touch, or
 * NULL. Allocates an arena where too little is free. Gives: cache_warm_end. */
struct arena_block *cache_warm_begin(struct cache *cache);

/** Note that @block is touched. Takes it. */
void cache_warm_end(struct cache *cache, struct arena_block *block);

/** Return the bytes of memory kept that no chunk uses. */
static inline uint64_t cache_free_bytes(const struct cache *cache)
{
    return arena_free_bytes(&cache->arenas);
}

/** Return the bytes of all memory of @cache but its descriptors (CCH-6). */
static inline uint64_t cache_footprint(const struct cache *cache)
{
    return cache->bytes + cache_free_bytes(cache);
}

/** Return the first offset that @log holds, or -1 if it is empty. */
int64_t cache_first(const struct cache_log *log);

/** Return whether a batch is being built at the tail of @log. */
static inline bool cache_is_reserved(const struct cache_log *log)
{
    return log->last && log->last->is_reserved;
}

/** Return the chunk of @log that holds @offset with a reference, or NULL. Gives:
 * cache_chunk_release. */
struct cache_chunk *cache_acquire(struct cache_log *log, int64_t offset);

/**
 * Return the batches of @chunk from the one that holds @offset to the last that ends at or below
 * @offset_end.
 *
 * Begins at @place if that is of this chunk and not behind @offset, and else walks from the front;
 * it leaves @place behind the last batch returned. Empty if there are none. Borrows.
 */
struct bytes cache_chunk_part(const struct cache_chunk *chunk,
                              int64_t offset,
                              int64_t offset_end,
                              struct cache_place *place);

/** Return where the batch of @chunk begins that holds @offset, which the chunk does. @place is as
 * for cache_chunk_part, and ends there. */
int64_t cache_chunk_floor(const struct cache_chunk *chunk,
                          int64_t offset,
                          struct cache_place *place);

/** Return the first chunk of @log with unwritten bytes, or NULL. Borrows. */
struct cache_chunk *cache_unwritten(struct cache_log *log);

/** Take one more reference of @chunk. Any thread that holds one. */
void cache_chunk_acquire(struct cache_chunk *chunk);

/** Give a reference of @chunk back. The shard's owner. */
void cache_chunk_release(struct cache_chunk *chunk);

#endif /* PARTITION_CACHE_H */
