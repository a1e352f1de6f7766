/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/arena - blocks: split, merged, found by what was touched.
 *
 * A search walks the lists of free blocks. They are short: no more blocks are free than units, and
 * a chunk that is taken is at least a unit of appends away from the next.
 */
#include "partition/arena.h"

#include "base/assert.h"

ASSERT_STATIC(ARENA_UNITS_MAX *ARENA_UNIT_BYTES == CACHE_ARENA_BYTES_MAX, "units make an arena");
ASSERT_STATIC(1 << (ARENA_LISTS - 2) == ARENA_UNITS_MAX, "a list for each number of units");
ASSERT_STATIC(IO_LARGE_PAGE_BYTES % ARENA_UNIT_BYTES == 0, "a large page is made of units");

#define LIST_WHOLE (ARENA_LISTS - 1)

/* Where a block can be cut out of a free one. */
struct spot {
    struct arena_block *block; /* NULL: nowhere. */
    uint32_t index;            /* Of its first unit, in the arena. */
    uint32_t units;
};

void arena_init(struct arenas *arenas, struct io *io, size_t arena_bytes)
{
    ASSERT(io);
    ASSERT(arena_bytes <= CACHE_ARENA_BYTES_MAX);
    ASSERT(arena_bytes % ARENA_UNIT_BYTES == 0);
    ASSERT((arena_bytes & (arena_bytes - 1)) == 0);

    *arenas = (struct arenas){.io = io, .arena_bytes = arena_bytes};
}

/* -- Units -- */

static uint32_t block_index(const struct arena_block *block)
{
    ASSERT(block >= block->arena->blocks);

    return (uint32_t)(block - block->arena->blocks);
}

/* The units of @block; memory that is never split counts as one. */
static uint32_t block_units(const struct arena_block *block)
{
    ASSERT(block->bytes > 0);

    return block->arena->is_whole ? 1 : (uint32_t)(block->bytes / ARENA_UNIT_BYTES);
}

/* The bits of @units units from @index on. */
static uint32_t units_mask(uint32_t index, uint32_t units)
{
    ASSERT(units > 0);
    ASSERT(index + units <= ARENA_UNITS_MAX);

    return ((UINT32_C(1) << units) - 1) << index;
}

static uint32_t block_mask(const struct arena_block *block)
{
    ASSERT(block->bytes > 0);

    return units_mask(block_index(block), block_units(block));
}

static uint64_t block_cold_bytes(const struct arena_block *block)
{
    ASSERT(block->bytes > 0);

    uint32_t cold = block_mask(block) & ~block->arena->touched;
    return (uint64_t)__builtin_popcount(cold) * ARENA_UNIT_BYTES;
}

/* The list for blocks of @units: a power of two. */
static uint32_t units_list(uint32_t units)
{
    ASSERT(units > 0);
    ASSERT((units & (units - 1)) == 0);

    return (uint32_t)__builtin_ctz(units);
}

/* -- The lists of free blocks -- */

static uint32_t block_list(const struct arena_block *block)
{
    ASSERT(block->bytes > 0);

    return block->arena->is_whole ? LIST_WHOLE : units_list(block_units(block));
}

static void free_push(struct arenas *arenas, struct arena_block *block)
{
    ASSERT(!block->is_free);
    ASSERT(block->bytes > 0);

    struct arena_block **first = &arenas->free_first[block_list(block)];
    block->prev = NULL;
    block->next = *first;
    if (*first) {
        (*first)->prev = block;
    }
    *first = block;
    block->is_free = true;
    arenas->bytes_cold += block_cold_bytes(block);
}

static void free_remove(struct arenas *arenas, struct arena_block *block)
{
    ASSERT(block->is_free);
    ASSERT(arenas->bytes_cold >= block_cold_bytes(block));

    if (block->prev) {
        block->prev->next = block->next;
    } else {
        ASSERT(arenas->free_first[block_list(block)] == block);
        arenas->free_first[block_list(block)] = block->next;
    }
    if (block->next) {
        block->next->prev = block->prev;
    }
    block->prev = NULL;
    block->next = NULL;
    block->is_free = false;
    arenas->bytes_cold -= block_cold_bytes(block);
}

/* -- Splitting and merging -- */

/* Cut what @spot names out of its free block; the other halves stay free. */
static struct arena_block *spot_cut(struct arenas *arenas, const struct spot *spot)
{
    struct arena_block *block = spot->block;
    ASSERT(block->is_free);
    ASSERT(block_units(block) >= spot->units);

    free_remove(arenas, block);
    while (block_units(block) > spot->units) {
        struct arena_block *upper = block + block_units(block) / 2;
        ASSERT(upper->bytes == 0); /* ARN-1 */
        block->bytes /= 2;
        upper->bytes = block->bytes;
        bool is_upper = spot->index >= block_index(upper);
        free_push(arenas, is_upper ? block : upper);
        block = is_upper ? upper : block;
    }
    ASSERT(block_index(block) == spot->index);
    return block;
}

/* Merge @block with its buddy, and the result with its own, as far as they are free (ARN-2). */
static void block_release(struct arenas *arenas, struct arena_block *block)
{
    struct arena *arena = block->arena;
    ASSERT(!block->is_free);
    ASSERT(block->bytes <= arena->bytes);

    bool is_merged = true;
    while (is_merged && block->bytes < arena->bytes) {
        struct arena_block *buddy = &arena->blocks[block_index(block) ^ block_units(block)];
        is_merged = buddy->is_free && buddy->bytes == block->bytes;
        if (is_merged) {
            free_remove(arenas, buddy);
            struct arena_block *upper = buddy > block ? buddy : block;
            block = buddy > block ? block : buddy;
            block->bytes *= 2;
            upper->bytes = 0;
        }
    }
    ASSERT((size_t)(block->data - arena->data) % block->bytes == 0); /* ARN-1 */
    free_push(arenas, block);
}

/* -- Finding -- */

/* The most units that @bytes have room for, and an arena has. */
static uint32_t units_within(const struct arenas *arenas, size_t bytes)
{
    ASSERT(arenas->arena_bytes <= CACHE_ARENA_BYTES_MAX);

    uint32_t units = (uint32_t)(arenas->arena_bytes / ARENA_UNIT_BYTES);
    while (units > 0 && units * ARENA_UNIT_BYTES > bytes) {
        units /= 2;
    }
    return units;
}

/* Find @units in @block that were all touched. */
static bool block_find_touched(struct arena_block *block, uint32_t units, struct spot *spot)
{
    ASSERT(block->is_free);
    ASSERT(block_units(block) >= units);

    uint32_t end = block_index(block) + block_units(block);
    for (uint32_t index = block_index(block); index < end; index += units) {
        uint32_t mask = units_mask(index, units);
        if ((block->arena->touched & mask) == mask) {
            *spot = (struct spot){block, index, units};
            return true;
        }
    }
    return false;
}

/* Find @units that were touched: in the smallest block, and of those in the one given back last. */
static struct spot spot_touched(const struct arenas *arenas, uint32_t units)
{
    ASSERT(units > 0);
    ASSERT(arenas->bytes_cold <= arena_free_bytes(arenas));

    struct spot spot = {0};
    for (uint32_t list = units_list(units); !spot.block && list < LIST_WHOLE; list++) {
        struct arena_block *block = arenas->free_first[list];
        while (block && !block_find_touched(block, units, &spot)) {
            block = block->next;
        }
    }
    return spot;
}

/* Find the first of any free @units. */
static struct spot spot_any(const struct arenas *arenas, uint32_t units)
{
    ASSERT(units > 0);
    ASSERT(arenas->bytes_cold <= arena_free_bytes(arenas));

    for (uint32_t list = units_list(units); list < LIST_WHOLE; list++) {
        struct arena_block *block = arenas->free_first[list];
        if (block) {
            return (struct spot){block, block_index(block), units};
        }
    }
    return (struct spot){0};
}

/* Find the smallest memory that is never split of at least @bytes_min and at most @bytes_max. */
static struct spot spot_whole(const struct arenas *arenas, size_t bytes_min, size_t bytes_max)
{
    ASSERT(bytes_min > 0);
    ASSERT(bytes_min <= bytes_max);

    struct arena_block *found = NULL;
    for (struct arena_block *block = arenas->free_first[LIST_WHOLE]; block; block = block->next) {
        bool fits = block->bytes >= bytes_min && block->bytes <= bytes_max;
        if (fits && (!found || block->bytes < found->bytes)) {
            found = block;
        }
    }
    return (struct spot){found, 0, 1};
}

struct arena_block *arena_take(struct arenas *arenas, size_t bytes_min, size_t bytes_wanted)
{
    ASSERT(bytes_min > 0);
    ASSERT(bytes_min <= bytes_wanted);

    struct spot spot = {0};
    uint32_t most = units_within(arenas, bytes_wanted);
    for (uint32_t units = most; !spot.block && units * ARENA_UNIT_BYTES >= bytes_min; units /= 2) {
        spot = spot_touched(arenas, units);
    }
    if (!spot.block) {
        spot = spot_whole(arenas, bytes_min, bytes_wanted);
    }
    for (uint32_t units = most; !spot.block && units * ARENA_UNIT_BYTES >= bytes_min; units /= 2) {
        spot = spot_any(arenas, units);
    }
    if (!spot.block) {
        return NULL;
    }
    struct arena_block *block = spot_cut(arenas, &spot);
    arenas->bytes_used += block->bytes;
    ASSERT(block->bytes >= bytes_min && block->bytes <= bytes_wanted);
    ASSERT(arenas->bytes_used <= arenas->bytes);
    return block;
}

void arena_give(struct arenas *arenas, struct arena_block *block, size_t bytes_touched)
{
    ASSERT(!block->is_free);
    ASSERT(bytes_touched <= block->bytes);
    ASSERT(arenas->bytes_used >= block->bytes);

    arenas->bytes_used -= block->bytes;
    uint32_t units = (uint32_t)((bytes_touched + ARENA_UNIT_BYTES - 1) / ARENA_UNIT_BYTES);
    if (units > 0 && !block->arena->is_whole) {
        block->arena->touched |= units_mask(block_index(block), units);
    }
    block_release(arenas, block);
}

/* -- From the kernel and back -- */

bool arena_grow(struct arenas *arenas, size_t bytes)
{
    ASSERT(bytes > 0);
    ASSERT(arenas->bytes_used <= arenas->bytes);

    struct arena *arena = io_alloc(arenas->io, sizeof *arena, _Alignof(struct arena));
    if (!arena) {
        return false;
    }
    size_t alignment = bytes >= IO_LARGE_PAGE_BYTES ? IO_LARGE_PAGE_BYTES : BLOCK_BYTES;
    arena->data = io_alloc_raw(arenas->io, bytes, alignment);
    if (!arena->data) {
        io_free(arenas->io, arena);
        return false;
    }
    arena->bytes = bytes;
    arena->is_whole = bytes != arenas->arena_bytes;
    arena->touched = arena->is_whole ? 1 : 0; /* Its taker touches it at once. */
    size_t units = arena->is_whole ? 1 : bytes / ARENA_UNIT_BYTES;
    for (size_t index = 0; index < units; index++) {
        arena->blocks[index] =
            (struct arena_block){.arena = arena, .data = arena->data + index * ARENA_UNIT_BYTES};
    }
    arena->blocks[0].bytes = bytes;
    arenas->bytes += bytes;
    free_push(arenas, &arena->blocks[0]);
    return true;
}

/* Give the wholly free arena of @block back. */
static void arena_drop(struct arenas *arenas, struct arena_block *block)
{
    struct arena *arena = block->arena;
    ASSERT(block->is_free);
    ASSERT(block->bytes == arena->bytes); /* ARN-3 */
    ASSERT(arena_free_bytes(arenas) >= arena->bytes);

    free_remove(arenas, block);
    arenas->bytes -= arena->bytes;
    io_free(arenas->io, arena->data);
    io_free(arenas->io, arena);
}

/* Return the wholly free arena that is given back next, or NULL: those that fit least come first,
 * and of those the one that is free for longest. */
static struct arena_block *whole_last(const struct arenas *arenas)
{
    ASSERT(arenas->bytes_used <= arenas->bytes);

    struct arena_block *last = arenas->free_first[LIST_WHOLE];
    if (!last && arenas->arena_bytes > 0) {
        uint32_t units = (uint32_t)(arenas->arena_bytes / ARENA_UNIT_BYTES);
        last = arenas->free_first[units_list(units)];
    }
    while (last && last->next) {
        last = last->next;
    }
    ASSERT(!last || last->is_free);
    return last;
}

void arena_trim(struct arenas *arenas, uint64_t bytes_kept)
{
    ASSERT(arenas->bytes_used <= arenas->bytes);

    struct arena_block *last = whole_last(arenas);
    while (last && arena_free_bytes(arenas) > bytes_kept) {
        arena_drop(arenas, last);
        last = whole_last(arenas);
    }
    ASSERT(!last || arena_free_bytes(arenas) <= bytes_kept);
}

void arena_deinit(struct arenas *arenas)
{
    ASSERT(arenas->bytes_used == 0);

    arena_trim(arenas, 0);
    ASSERT(arenas->bytes == 0);
    ASSERT(arenas->bytes_cold == 0);
}

/* -- Touching ahead -- */

/* Return the first free block with units that were never touched, of the largest. */
static struct arena_block *cold_find(const struct arenas *arenas)
{
    ASSERT(arenas->bytes_cold > 0);

    struct arena_block *block = NULL;
    for (uint32_t list = LIST_WHOLE; !block && list-- > 0;) {
        block = arenas->free_first[list];
        while (block && block_cold_bytes(block) == 0) {
            block = block->next;
        }
    }
    return block;
}

struct arena_block *arena_cold_take(struct arenas *arenas)
{
    ASSERT(arenas->bytes_cold <= arena_free_bytes(arenas));

    if (arenas->bytes_cold == 0) {
        return NULL;
    }
    struct arena_block *block = cold_find(arenas);
    ASSERT(block);
    uint32_t cold = block_mask(block) & ~block->arena->touched;
    uint32_t step = IO_LARGE_PAGE_BYTES / ARENA_UNIT_BYTES;
    step = step < block_units(block) ? step : block_units(block);
    uint32_t first = (uint32_t)__builtin_ctz(cold);
    struct spot spot = {block, first - first % step, step};
    block = spot_cut(arenas, &spot);
    ASSERT(!block->is_free); /* ARN-4 */
    return block;
}

void arena_cold_give(struct arenas *arenas, struct arena_block *block)
{
    ASSERT(!block->is_free); /* ARN-4 */
    ASSERT(!block->arena->is_whole);

    block->arena->touched |= block_mask(block);
    block_release(arenas, block);
}
