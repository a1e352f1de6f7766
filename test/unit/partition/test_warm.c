/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the cache that is there before an append needs it.
 */
#include "base/limits.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/warm.h"
#include "record/batch.h"

enum { PUT_BYTES = 64 << 10 };

struct stove {
    struct io *io;
    struct io_loop *loop;
    struct cache cache;
    struct cache_log log;
    struct warm warm;
    int64_t offset;
};

static void stove_open(struct stove *stove, uint64_t cache_bytes_max)
{
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .seed = 1};
    *stove = (struct stove){0};
    CHECK_INT(io_create(&options, &stove->io, NULL), PYR_OK);
    CHECK_INT(io_loop_create(stove->io, &(struct io_loop_options){.ops_max = 2}, &stove->loop), 0);
    cache_init(&stove->cache, stove->io, cache_bytes_max);
    warm_init(&stove->warm, stove->loop, &stove->cache);
}

static void stove_close(struct stove *stove)
{
    cache_clear(&stove->cache, &stove->log);
    warm_end(&stove->warm);
    cache_deinit(&stove->cache);
    io_loop_destroy(stove->loop);
    CHECK_INT(io_testing_allocations_live(stove->io), 0);
    io_destroy(stove->io);
}

/* Append one batch. */
static void stove_put(struct stove *stove)
{
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    uint8_t *room = cache_reserve(&stove->cache, &stove->log, PUT_BYTES, &room_bytes, &err);
    CHECK(room != NULL);
    memset(room, 0, PUT_BYTES);
    struct batch_header header = {.base_offset = stove->offset, .record_count = 1};
    batch_seal((struct bytes_mut){room, PUT_BYTES}, &header);
    cache_commit(&stove->cache, &stove->log, PUT_BYTES, stove->offset, stove->offset + 1);
    stove->offset++;
}

/* Append one batch, and let the warm step look. */
static void stove_turn(struct stove *stove)
{
    stove_put(stove);
    warm_step(&stove->warm);
}

/* Memory that the next chunk finds touched. */
static uint64_t stove_ready_bytes(const struct stove *stove)
{
    return cache_free_bytes(&stove->cache) - stove->cache.arenas.bytes_cold;
}

/* The point of it: an append that begins a new chunk allocates nothing, and so waits for nothing;
 * and what it gets was touched. */
TEST(warm, has_the_next_pages_ready_before_they_are_needed)
{
    struct stove stove;
    stove_open(&stove, UINT64_C(64) << 20);
    warm_step(&stove.warm);
    CHECK(!stove.warm.block); /* No log is busy. */
    while (!stove.warm.block) {
        stove_turn(&stove); /* Through the small chunks. */
    }
    CHECK(stove.warm.block->bytes == IO_LARGE_PAGE_BYTES);
    CHECK_INT(stove_ready_bytes(&stove), IO_LARGE_PAGE_BYTES); /* It counts as free meanwhile. */
    for (int turn = 0; turn < 4; turn++) {
        warm_end(&stove.warm); /* The job had its time. */
        warm_step(&stove.warm);
    }
    CHECK(!stove.warm.block); /* The arena is touched to its end. */
    CHECK_INT(stove_ready_bytes(&stove), CACHE_ARENA_BYTES_MAX);

    uint64_t arenas = 1;
    for (int batch = 0; batch < 400; batch++) {
        uint64_t bytes = stove.cache.bytes;
        uint64_t ready = stove_ready_bytes(&stove);
        stove_turn(&stove);
        bool is_new = stove.cache.bytes > bytes;
        CHECK(!is_new || ready >= CACHE_CHUNK_BYTES_MAX);
        arenas = stove.cache.arenas.bytes / CACHE_ARENA_BYTES_MAX;
        warm_end(&stove.warm);
    }
    CHECK(arenas >= 4);

    stove_close(&stove);
}

/* Beside a full cache, too, one arena is ahead, of which all is touched, and then no more. */
TEST(warm, ends_one_arena_above_a_full_cache)
{
    struct stove stove;
    const uint64_t bytes_max = UINT64_C(64) << 20;
    stove_open(&stove, bytes_max);
    while (stove.cache.bytes + 2 * CACHE_CHUNK_BYTES_MAX < bytes_max) {
        stove_turn(&stove);
        warm_end(&stove.warm);
        CHECK(cache_footprint(&stove.cache) <= bytes_max + CACHE_ARENA_BYTES_MAX);
    }
    cache_written(&stove.cache, &stove.log, stove.log.bytes_unwritten);
    uint64_t allocations = 0;
    for (int batch = 0; batch < 2500; batch++) {
        stove_turn(&stove);
        cache_written(&stove.cache, &stove.log, PUT_BYTES);
        warm_end(&stove.warm);
        /* Once the small chunks of the beginning are gone, what is evicted is used again. */
        allocations = batch < 300 ? io_testing_allocations(stove.io) : allocations;
        CHECK_INT(io_testing_allocations(stove.io), allocations);
        CHECK(cache_footprint(&stove.cache) <= bytes_max + CACHE_ARENA_BYTES_MAX);
    }
    CHECK(stove.cache.evictions > 60);
    CHECK_INT(stove.cache.arenas.bytes_cold, 0);
    CHECK(cache_free_bytes(&stove.cache) >= CACHE_ARENA_BYTES_MAX / 2);

    stove_close(&stove);
}

/* A page that is only read is the kernel's page of zeros: each has to be written to. */
TEST(warm, writes_to_each_page)
{
    struct stove stove;
    stove_open(&stove, UINT64_C(64) << 20);
    while (!stove.warm.block) {
        stove_turn(&stove);
    }
    warm_end(&stove.warm);
    struct warm by_hand = {.block = cache_warm_begin(&stove.cache)};
    assert_non_null(by_hand.block);
    memset(by_hand.block->data, 0xff, by_hand.block->bytes);

    struct io_job job = {.ctx = &by_hand};
    stove.warm.job.run(&job);

    for (size_t at = 0; at < by_hand.block->bytes; at += BLOCK_BYTES) {
        CHECK_INT(by_hand.block->data[at], 0);
    }
    cache_warm_end(&stove.cache, by_hand.block);
    stove_close(&stove);
}

/* An appender that is faster than the job takes what is left, touched or not, and the job's step
 * stays the job's (ARN-4). */
TEST(warm, does_not_hold_up_an_append)
{
    struct stove stove;
    stove_open(&stove, UINT64_C(64) << 20);
    while (!stove.warm.block) {
        stove_turn(&stove);
    }
    const struct arena_block *block = stove.warm.block;

    for (int batch = 0; batch < 200; batch++) {
        stove_put(&stove);
        const uint8_t *data = stove.log.last->data;
        CHECK(data + stove.log.last->bytes_max <= block->data ||
              data >= block->data + block->bytes);
    }

    warm_end(&stove.warm);
    stove_close(&stove);
}

/* Without memory nothing is ahead, and the append makes its arena itself. */
TEST(warm, does_without_where_there_is_no_memory)
{
    struct stove stove;
    stove_open(&stove, UINT64_C(64) << 20);
    for (uint64_t nth = 1; nth <= 2; nth++) { /* What describes the arena, and its memory. */
        while (stove.cache.next_bytes == 0) {
            stove_put(&stove);
        }
        uint64_t free_bytes = cache_free_bytes(&stove.cache);
        CHECK_INT(free_bytes, 0);
        io_testing_fail_allocation(stove.io, nth);
        warm_step(&stove.warm);
        CHECK(!stove.warm.block);
        CHECK_INT(cache_free_bytes(&stove.cache), free_bytes);
        warm_step(&stove.warm);
        CHECK(!stove.warm.block); /* Not again and again: when the next chunk is taken. */
        stove.log.chunk_bytes = CACHE_CHUNK_BYTES_MAX / 2; /* Which is a small one here. */
    }
    int64_t offset = stove.offset;
    while (stove.offset < offset + 100) {
        stove_put(&stove);
    }

    stove_close(&stove);
}
