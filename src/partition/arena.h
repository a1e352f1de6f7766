/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/arena - memory for the cache's large chunks, which moves from one size to another.
 *
 * Part of the path:  io_alloc_raw -> [arena] -> cache -> append
 *
 * The first touch of memory fresh from the kernel is dear: a large page is cleared, and on a
 * virtual machine the host has to find it besides, which can take milliseconds. So what was touched
 * once is kept and used again, also for chunks of another size. Memory kept by exact size does not
 * do that: whenever a log's batches change their size, all of it is of the wrong one.
 *
 * An arena is one piece from the kernel. It is split into halves, those into halves again, down to
 * CACHE_CHUNK_BYTES_MAX, its unit; a block whose other half, its buddy, is free too is merged with
 * it at once (the buddy scheme, Knuth 2.5). So eight chunks of 1 MiB that are given back one after
 * the other are one block of 8 MiB again, and no search for neighbours is needed: a block's buddy
 * is where its index has one other bit.
 *
 *      index      0      1      2      3      4      5      6      7
 *              |<------------------------ 8 MiB ------------------------>|
 *              |<-------- 4 MiB --------->|<--------- 4 MiB ------------>|
 *              | used |free  |  used      |  free                        |
 *      touched    x      x      x      x      x      .      .      .
 *
 * Each arena knows which of its units were ever touched. Who wants memory gets what was touched,
 * even if it is smaller than wished, as long as it is enough; of that, what was given back last.
 * What was never touched is cold: it can be taken step by step to be touched, by a job (warm.h),
 * and is nobody's meanwhile.
 *
 * What is larger than an arena is allocated at its own size. It is kept and given back as arenas
 * are, never split, and used again for what is not much smaller.
 *
 * Failure modes: no memory -> arena_grow says so, and nothing has changed
 *
 * Invariants:
 *   ARN-1  the blocks of an arena cover it, none overlaps another, and each is aligned to its bytes
 *   ARN-2  no two free buddies stand beside each other: what can be merged is merged
 *   ARN-3  an arena is given back only while it is wholly free and more is free than is to be kept
 *   ARN-4  a block that is being touched is neither free nor used, and its bytes count as free
 *
 * Threads: the shard's owner; the job touches its own block only.   Memory: descriptors lie in
 * their arena's, so that taking and giving allocate nothing.
 */
#ifndef PARTITION_ARENA_H
#define PARTITION_ARENA_H

#include "base/limits.h"
#include "io/io.h"

/* What an arena is split down to, and how many of those it has at most. */
#define ARENA_UNIT_BYTES CACHE_CHUNK_BYTES_MAX
#define ARENA_UNITS_MAX  8

/* Lists of free blocks: of 1, 2, 4 and 8 units, and of memory that is never split. */
#define ARENA_LISTS 5

struct arena;

/* A piece of an arena. */
struct arena_block {
    struct arena *arena;
    struct arena_block
        *prev; /* Neighbours among the free ones; those given back last come first. */
    struct arena_block *next;
    uint8_t *data;
    size_t bytes; /* 0: no block begins here. */
    bool is_free; /* It stands in a list. */
};

/* One piece of memory from the kernel. */
struct arena {
    uint8_t *data;
    size_t bytes;
    bool is_whole;                              /* It is never split. */
    uint32_t touched;                           /* A bit for each unit. */
    struct arena_block blocks[ARENA_UNITS_MAX]; /* By the index of the first unit. */
};

/* The arenas of one cache. */
struct arenas {
    struct io *io;
    size_t arena_bytes;  /* Of one that is split; 0: there are none. */
    uint64_t bytes;      /* Of all arenas. */
    uint64_t bytes_used; /* Of the blocks that were taken. */
    uint64_t bytes_cold; /* Of free blocks that were never touched. */
    struct arena_block *free_first[ARENA_LISTS];
};

/** Set up @arenas of @arena_bytes each: a power of two of units, or 0. Borrows @io. */
void arena_init(struct arenas *arenas, struct io *io, size_t arena_bytes);

/** Free all memory of @arenas. All blocks were given back. */
void arena_deinit(struct arenas *arenas);

/**
 * Return a block of @bytes_wanted or the nearest below that is free, at least @bytes_min; NULL if
 * there is none.
 *
 * Memory that was touched comes first, if it is smaller, too. Allocates nothing. Gives: arena_give.
 */
struct arena_block *arena_take(struct arenas *arenas, size_t bytes_min, size_t bytes_wanted);

/** Give @block back, of which the first @bytes_touched were touched. Takes it. */
void arena_give(struct arenas *arenas, struct arena_block *block, size_t bytes_touched);

/** Add a free arena, or, if @bytes are not those of one, free memory of just @bytes. Returns false
 * if there is no memory. */
bool arena_grow(struct arenas *arenas, size_t bytes);

/** Give wholly free arenas back, those longest free first, while more than @bytes_kept are free. */
void arena_trim(struct arenas *arenas, uint64_t bytes_kept);

/** Return a free block of a large page at most that was never touched, wholly or in part, or NULL.
 * It may be written to by any thread. Gives: arena_cold_give. */
struct arena_block *arena_cold_take(struct arenas *arenas);

/** Give @block back, touched now. Takes it. */
void arena_cold_give(struct arenas *arenas, struct arena_block *block);

/** Return the bytes that are not used. */
static inline uint64_t arena_free_bytes(const struct arenas *arenas)
{
    return arenas->bytes - arenas->bytes_used;
}

#endif /* PARTITION_ARENA_H */
