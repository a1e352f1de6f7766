/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/cache - the write cache: what was appended lately, in memory, as plain runs of batches.
 *
 * Part of the path:  append -> [cache] -> segments (big writes), and -> readers of the tail
 *
 * A partition's tail lives in chunks. A chunk is a piece of memory that holds whole batches one
 * after the other, exactly as they will stand in the segment file, so a batch is built in place, is
 * never copied, and a flush writes few large pieces. Chunks start small and double with use, so a
 * thousand quiet partitions cost little and a busy one gets 1 MiB pieces.
 *
 *     cache_log      first                                   last
 *                     |                                       |
 *                  [chunk] -> [chunk] -> [chunk|.......] -> [chunk|....]
 *                  written    written     ^ written up to here      ^ reserve() hands out this
 *                  (may be evicted)
 *
 * Chunks of 1 MiB are made two at a time, as the halves of one large page: a log that grows, and
 * above all a replay, which fills the whole cache in one go, then waits for a page fault every 2
 * MiB instead of every 4 KiB. The half that is not needed yet waits in the free list.
 *
 * All chunks of a shard are counted against one bound. What is written to segments stays readable
 * until its memory is needed, oldest first; what is not written is never dropped: reserve() fails
 * instead (back-pressure), and the caller waits for a flush.
 *
 * Invariants:
 *   CCH-1  bytes of all chunks together never exceed the bound, but for one batch in an empty cache
 *   CCH-2  a chunk is evictable exactly if all its batches are written and none is being built in
 *          it; an empty one, if it is the first of its log besides
 *   CCH-3  bytes below a chunk's `bytes_used` never change while anyone holds a reference
 *   CCH-4  memory of a large page is given back only when both its halves are free
 *   CCH-5  a place is used only in the chunk that it was taken in, and only if that was not cut
 *
 * Threads: the shard's owner. A reader that holds a reference may read bytes below the committed
 * end without it.   Memory: chunks come from io_alloc and are reused through a free list.
 */
#ifndef PARTITION_CACHE_H
#define PARTITION_CACHE_H

#include <stdatomic.h>

#include "io/io.h"

struct cache;

/* One piece of a partition's tail. */
struct cache_chunk {
    struct cache *cache;
    uint64_t serial;                /* Another one after a cut: what places go by. */
    atomic_uint references;         /* The list holds one while the chunk is in it. */
    struct cache_chunk *next;       /* Next of the same partition, or of the free list. */
    struct cache_chunk *free_prev;  /* The one before it in the free list. */
    struct cache_chunk *twin;       /* The other half of its large page; NULL: it stands alone. */
    bool is_free;                   /* It stands in the free list. */
    struct cache_chunk *evict_prev; /* Neighbours in the list of evictable chunks. */
    struct cache_chunk *evict_next;
    bool is_evictable; /* It stands in that list. */
    bool is_reserved;  /* Someone is building a batch at its end. */
    uint8_t *data;
    size_t bytes_max;
    size_t bytes_used;    /* Whole batches. */
    size_t bytes_written; /* Of those, in the segment file. */
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
    uint64_t bytes_unwritten;            /* Of all batches not yet in a segment. */
    uint64_t evictions;                  /* Chunks dropped to make room. */
    uint64_t serial_last;                /* Of its chunks. */
    struct cache_chunk *evictable_first; /* Written chunks, oldest first. */
    struct cache_chunk *evictable_last;
    struct cache_chunk *free_first; /* Large chunks, kept warm; used last comes first. */
    uint64_t free_bytes;            /* Of those. */
    bool takes_pages;               /* The last large chunk was half a large page. */
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

/** Return whether the next large page is best made now, before it is needed. */
bool cache_wants_page(const struct cache *cache);

/** Keep @data, a large page from io_alloc_raw, for the chunks to come. Takes it, also where there
 * is no memory to keep it: then it is freed and false returned. */
bool cache_give_page(struct cache *cache, uint8_t *data);

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

/** Return the first chunk of @log with unwritten bytes, or NULL. Borrows. */
struct cache_chunk *cache_unwritten(struct cache_log *log);

/** Take one more reference of @chunk. Any thread that holds one. */
void cache_chunk_acquire(struct cache_chunk *chunk);

/** Give a reference of @chunk back. The shard's owner. */
void cache_chunk_release(struct cache_chunk *chunk);

#endif /* PARTITION_CACHE_H */
