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

/* The point of it: an append that begins a new page allocates nothing, and so waits for nothing. */
TEST(warm, has_the_next_page_ready_before_it_is_needed)
{
    struct stove stove;
    stove_open(&stove, UINT64_C(64) << 20);
    warm_step(&stove.warm);
    CHECK(!stove.warm.is_running); /* No log is busy. */
    while (!stove.warm.is_running) {
        stove_turn(&stove); /* Through the small chunks, and into the first page. */
    }
    for (int page = 0; page < 8; page++) {
        warm_end(&stove.warm); /* The job had its time. */
        uint64_t allocations = io_testing_allocations(stove.io);
        CHECK(stove.cache.free_bytes >= IO_LARGE_PAGE_BYTES);

        while (!stove.warm.is_running) {
            CHECK_INT(io_testing_allocations(stove.io), allocations);
            stove_turn(&stove);
        }
    }

    stove_close(&stove);
}

/* It adds nothing to what the cache may hold (CCH-1), and a full one stops it. */
TEST(warm, ends_where_the_cache_is_full)
{
    struct stove stove;
    const uint64_t bytes_max = UINT64_C(8) << 20;
    stove_open(&stove, bytes_max);
    while (stove.cache.bytes + 2 * CACHE_CHUNK_BYTES_MAX < bytes_max) {
        stove_turn(&stove);
        warm_end(&stove.warm);
        CHECK(stove.cache.bytes + stove.cache.free_bytes <= bytes_max);
    }
    cache_written(&stove.cache, &stove.log, stove.log.bytes_unwritten);
    uint64_t allocations = 0;
    for (int batch = 0; batch < 700; batch++) {
        stove_turn(&stove);
        cache_written(&stove.cache, &stove.log, PUT_BYTES);
        warm_end(&stove.warm);
        /* Once the small chunks of the beginning are gone, what is evicted is used again. */
        allocations = batch < 300 ? io_testing_allocations(stove.io) : allocations;
        CHECK_INT(io_testing_allocations(stove.io), allocations);
    }
    CHECK(stove.cache.evictions > 20);

    stove_close(&stove);
}

/* Without memory nothing is ahead, and the append makes its page itself. */
TEST(warm, does_without_where_there_is_no_memory)
{
    struct stove stove;
    stove_open(&stove, UINT64_C(64) << 20);
    for (uint64_t nth = 1; nth <= 2; nth++) { /* The page, and what describes it. */
        while (!cache_wants_page(&stove.cache)) {
            stove_put(&stove);
        }
        uint64_t free_bytes = stove.cache.free_bytes;
        io_testing_fail_allocation(stove.io, nth);
        warm_step(&stove.warm);
        CHECK(stove.warm.is_running);
        warm_end(&stove.warm);
        CHECK_INT(stove.cache.free_bytes, free_bytes);
        warm_step(&stove.warm);
        CHECK(!stove.warm.is_running); /* Not again and again: when the next chunk is taken. */
    }
    int64_t offset = stove.offset;
    while (stove.offset < offset + 100) {
        stove_put(&stove);
    }

    stove_close(&stove);
}
