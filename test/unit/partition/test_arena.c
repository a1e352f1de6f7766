/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas: blocks that are split and merged, against a map of units that knows nothing of buddies.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/prng.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/arena.h"

enum { ARENAS_MAX = 6, TAKEN_MAX = ARENAS_MAX * ARENA_UNITS_MAX, STEPS = 6000 };

#define UNIT ARENA_UNIT_BYTES

static struct io *world_open(void)
{
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .seed = 1};
    struct io *io = NULL;
    assert_int_equal(io_create(&options, &io, NULL), PYR_OK);
    return io;
}

/* -- The model: what each unit of each arena is -- */

struct model {
    struct arenas arenas;
    struct prng prng;
    const struct arena *known[ARENAS_MAX]; /* NULL: none. */
    bool is_used[ARENAS_MAX][ARENA_UNITS_MAX];
    bool is_touched[ARENAS_MAX][ARENA_UNITS_MAX];
    struct arena_block *taken[TAKEN_MAX];
    size_t taken_count;
    struct arena_block *cold; /* Being touched. */
};

/* The model's number of the arena of @block, which it learns here. */
static size_t model_arena(struct model *model, const struct arena_block *block)
{
    size_t empty = ARENAS_MAX;
    for (size_t number = 0; number < ARENAS_MAX; number++) {
        if (model->known[number] == block->arena) {
            return number;
        }
        empty = model->known[number] ? empty : number;
    }
    assert_true(empty < ARENAS_MAX);
    model->known[empty] = block->arena;
    return empty;
}

/* Note that the units of @block are used from now on, or no longer. */
static void model_mark(struct model *model, const struct arena_block *block, bool is_used)
{
    size_t number = model_arena(model, block);
    size_t first = (size_t)(block->data - block->arena->data) / UNIT;
    CHECK_INT((size_t)(block->data - block->arena->data) % block->bytes, 0); /* ARN-1 */
    for (size_t unit = first; unit < first + block->bytes / UNIT; unit++) {
        CHECK(model->is_used[number][unit] != is_used); /* ARN-1: no overlap. */
        model->is_used[number][unit] = is_used;
    }
}

static void model_touch(struct model *model, const struct arena_block *block, size_t bytes)
{
    size_t number = model_arena(model, block);
    size_t first = (size_t)(block->data - block->arena->data) / UNIT;
    for (size_t unit = first; unit < first + (bytes + UNIT - 1) / UNIT; unit++) {
        model->is_touched[number][unit] = true;
    }
}

/* Return whether @units in a row, at a multiple of that, are free, and touched if @is_touched. */
static bool model_has(const struct model *model, size_t units, bool is_touched)
{
    bool has = false;
    for (size_t run = 0; run < (size_t)TAKEN_MAX / units; run++) {
        size_t number = run * units / ARENA_UNITS_MAX;
        size_t first = run * units % ARENA_UNITS_MAX;
        bool is_good = model->known[number] != NULL;
        for (size_t unit = first; unit < first + units; unit++) {
            is_good = is_good && !model->is_used[number][unit] &&
                      (!is_touched || model->is_touched[number][unit]);
        }
        has = has || is_good;
    }
    return has;
}

/* The bytes that a take should give; 0: it should find nothing. */
static size_t model_expects(const struct model *model, size_t least, size_t most)
{
    size_t touched = 0;
    size_t any = 0;
    for (size_t units = 1; units <= ARENA_UNITS_MAX; units *= 2) {
        bool fits = units * UNIT >= least && units * UNIT <= most;
        touched = fits && model_has(model, units, true) ? units * UNIT : touched;
        any = fits && model_has(model, units, false) ? units * UNIT : any;
    }
    return touched > 0 ? touched : any;
}

static void model_check(const struct model *model)
{
    const struct arenas *arenas = &model->arenas;
    uint64_t used = 0;
    for (size_t index = 0; index < model->taken_count; index++) {
        const struct arena_block *block = model->taken[index];
        used += block->bytes;
        CHECK_INT(block->data[0], (uint8_t)block->bytes / UNIT + 1);
        CHECK_INT(block->data[block->bytes - 1], 7);
    }
    uint64_t cold = 0;
    uint64_t bytes = 0;
    for (size_t number = 0; number < ARENAS_MAX; number++) {
        bytes += model->known[number] ? CACHE_ARENA_BYTES_MAX : 0;
        for (size_t unit = 0; model->known[number] && unit < ARENA_UNITS_MAX; unit++) {
            bool is_cold = !model->is_used[number][unit] && !model->is_touched[number][unit];
            cold += is_cold ? UNIT : 0;
        }
    }
    CHECK_INT(arenas->bytes_used, used);
    CHECK_INT(arenas->bytes, bytes);
    CHECK_INT(arenas->bytes_cold, cold); /* ARN-4: what is being touched is neither. */
}

static void model_take(struct model *model)
{
    size_t most = UNIT + prng_below(&model->prng, CACHE_ARENA_BYTES_MAX);
    size_t least = 1 + prng_below(&model->prng, most);
    size_t expected = model_expects(model, least, most);

    struct arena_block *block = arena_take(&model->arenas, least, most);

    CHECK_INT(block ? block->bytes : 0, expected);
    if (block) {
        model_mark(model, block, true);
        block->data[0] = (uint8_t)((uint8_t)block->bytes / UNIT + 1);
        block->data[block->bytes - 1] = 7;
        model->taken[model->taken_count++] = block;
    }
}

static void model_give(struct model *model)
{
    if (model->taken_count == 0) {
        return;
    }
    size_t index = prng_below(&model->prng, model->taken_count);
    struct arena_block *block = model->taken[index];
    model->taken[index] = model->taken[--model->taken_count];
    size_t touched = prng_below(&model->prng, block->bytes + 1);
    model_mark(model, block, false);
    model_touch(model, block, touched);
    arena_give(&model->arenas, block, touched);
}

/* Begin or end touching ahead. */
static void model_warm(struct model *model)
{
    if (model->cold) {
        model_mark(model, model->cold, false);
        model_touch(model, model->cold, model->cold->bytes);
        arena_cold_give(&model->arenas, model->cold);
        model->cold = NULL;
        return;
    }
    bool is_expected = model->arenas.bytes_cold > 0;
    model->cold = arena_cold_take(&model->arenas);
    CHECK_INT(model->cold != NULL, is_expected);
    if (model->cold) {
        CHECK(model->cold->bytes <= IO_LARGE_PAGE_BYTES);
        model_mark(model, model->cold, true);
    }
}

/* Add an arena, or give some back. */
static void model_resize(struct model *model, bool may_grow)
{
    size_t count = model->arenas.bytes / CACHE_ARENA_BYTES_MAX;
    if (may_grow && count < ARENAS_MAX) {
        CHECK(arena_grow(&model->arenas, CACHE_ARENA_BYTES_MAX));
        (void)model_arena(model, model->arenas.free_first[ARENA_LISTS - 2]);
        return;
    }
    uint64_t kept = prng_below(&model->prng, 4) * CACHE_ARENA_BYTES_MAX;
    size_t wholes = 0;
    for (size_t number = 0; number < ARENAS_MAX; number++) {
        bool is_whole = model->known[number] != NULL;
        for (size_t unit = 0; unit < ARENA_UNITS_MAX; unit++) {
            is_whole = is_whole && !model->is_used[number][unit];
        }
        wholes += is_whole;
    }
    uint64_t before = arena_free_bytes(&model->arenas);

    arena_trim(&model->arenas, kept);

    uint64_t after = arena_free_bytes(&model->arenas);
    uint64_t dropped = (before - after) / CACHE_ARENA_BYTES_MAX;
    CHECK(after <= kept || dropped == wholes);                   /* ARN-3 */
    CHECK(dropped == 0 || after + CACHE_ARENA_BYTES_MAX > kept); /* No more than that. */
    /* Which they were is seen in the lists: what is left of the wholly free ones. */
    for (size_t number = 0; dropped > 0 && number < ARENAS_MAX; number++) {
        bool is_left = false;
        struct arena_block *block = model->arenas.free_first[ARENA_LISTS - 2];
        for (; block; block = block->next) {
            is_left = is_left || block->arena == model->known[number];
        }
        bool is_whole = model->known[number] != NULL;
        for (size_t unit = 0; unit < ARENA_UNITS_MAX; unit++) {
            is_whole = is_whole && !model->is_used[number][unit];
        }
        if (is_whole && !is_left) {
            model->known[number] = NULL;
            memset(model->is_touched[number], 0, sizeof model->is_touched[number]);
        }
    }
}

static void model_step(struct model *model)
{
    uint64_t draw = prng_below(&model->prng, 100);
    if (draw < 40) {
        model_take(model);
    } else if (draw < 85) {
        model_give(model);
    } else if (draw < 95) {
        model_warm(model);
    } else {
        model_resize(model, draw < 98);
    }
    model_check(model);
}

/* -- Cases -- */

/* ARN-1, ARN-2, ARN-4: whatever is taken and given in whatever order, a block is found exactly if
 * a map of units has room for one, what was touched first, and at the end all is whole again. */
TEST(arena, does_as_a_map_of_units_does)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        (void)printf("# seed %" PRIu64 "\n", seed);
        struct io *io = world_open();
        static struct model model;
        model = (struct model){.prng = prng_of(seed, 1)};
        arena_init(&model.arenas, io, CACHE_ARENA_BYTES_MAX);

        for (int step = 0; step < STEPS; step++) {
            model_step(&model);
        }

        if (model.cold) {
            model_warm(&model);
        }
        while (model.taken_count > 0) {
            model_give(&model);
        }
        uint64_t count = 0;
        struct arena_block *block = model.arenas.free_first[ARENA_LISTS - 2];
        for (; block; block = block->next) {
            CHECK_INT(block->bytes, CACHE_ARENA_BYTES_MAX); /* ARN-2 */
            count++;
        }
        CHECK_INT(count * CACHE_ARENA_BYTES_MAX, model.arenas.bytes);
        arena_deinit(&model.arenas);
        CHECK_INT(io_testing_allocations_live(io), 0);
        io_destroy(io);
    }
}

/* What was given back last is in the processor's caches. */
TEST(arena_take, prefers_what_was_given_back_last)
{
    struct io *io = world_open();
    struct arenas arenas;
    struct arena_block *blocks[ARENA_UNITS_MAX];
    arena_init(&arenas, io, CACHE_ARENA_BYTES_MAX);
    CHECK(arena_grow(&arenas, CACHE_ARENA_BYTES_MAX));
    for (size_t index = 0; index < ARENA_UNITS_MAX; index++) {
        blocks[index] = arena_take(&arenas, UNIT, UNIT);
    }

    /* No two are buddies. */
    arena_give(&arenas, blocks[2], UNIT);
    arena_give(&arenas, blocks[7], UNIT);
    arena_give(&arenas, blocks[4], UNIT);

    CHECK(arena_take(&arenas, UNIT, UNIT) == blocks[4]);
    CHECK(arena_take(&arenas, UNIT, UNIT) == blocks[7]);
    CHECK(arena_take(&arenas, UNIT, UNIT) == blocks[2]);
    CHECK(arena_take(&arenas, UNIT, UNIT) == NULL);
    for (size_t index = 0; index < ARENA_UNITS_MAX; index++) {
        arena_give(&arenas, blocks[index], UNIT);
    }
    arena_deinit(&arenas);
    io_destroy(io);
}

/* Memory that fits no arena is kept too, and used for what it fits, the closest first. */
TEST(arena_take, uses_memory_that_is_never_split)
{
    struct io *io = world_open();
    struct arenas arenas;
    arena_init(&arenas, io, 0);
    CHECK(arena_take(&arenas, 1, SIZE_MAX) == NULL);
    CHECK(arena_grow(&arenas, 3 * UNIT + 100));
    CHECK(arena_grow(&arenas, 9 * UNIT));
    CHECK(arena_grow(&arenas, 5 * UNIT));
    uint64_t allocations = io_testing_allocations(io);

    CHECK(arena_take(&arenas, 6 * UNIT, 8 * UNIT) == NULL);
    struct arena_block *five = arena_take(&arenas, 4 * UNIT, 10 * UNIT);
    struct arena_block *nine = arena_take(&arenas, 4 * UNIT, 10 * UNIT);

    CHECK_INT(five->bytes, 5 * UNIT);
    CHECK_INT(nine->bytes, 9 * UNIT);
    CHECK_INT(arena_free_bytes(&arenas), 3 * UNIT + 100);
    CHECK(arena_cold_take(&arenas) == NULL);
    arena_give(&arenas, five, UNIT);
    arena_give(&arenas, nine, UNIT);
    arena_trim(&arenas, 14 * UNIT);
    CHECK_INT(arena_free_bytes(&arenas), 14 * UNIT); /* ARN-3: the one that was free for longest. */
    CHECK_INT(io_testing_allocations(io), allocations);
    arena_deinit(&arenas);
    CHECK_INT(io_testing_allocations_live(io), 0);
    io_destroy(io);
}

/* Without memory nothing has changed, whichever of the two allocations it was. */
TEST(arena_grow, changes_nothing_where_there_is_no_memory)
{
    struct io *io = world_open();
    struct arenas arenas;
    arena_init(&arenas, io, CACHE_ARENA_BYTES_MAX);

    for (uint64_t nth = 1; nth <= 2; nth++) {
        io_testing_fail_allocation(io, nth);
        CHECK(!arena_grow(&arenas, CACHE_ARENA_BYTES_MAX));
        CHECK_INT(arenas.bytes, 0);
        CHECK(arena_take(&arenas, 1, UNIT) == NULL);
        CHECK_INT(io_testing_allocations_live(io), 0);
    }

    arena_deinit(&arenas);
    io_destroy(io);
}
