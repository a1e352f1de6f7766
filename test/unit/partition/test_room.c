/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for chunks: memory is used again whatever size it had, and both bounds hold whoever holds
 * what.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/prng.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/room.h"

#define KIBI ((size_t)1 << 10)
#define MEBI ((size_t)1 << 20)

/* A little above a chunk of 1 MiB: a batch of 1 MiB of records has a header besides. */
#define LARGE_BYTES (CACHE_CHUNK_BYTES_MAX + 100)

struct hall {
    struct io *io;
    struct cache cache;
    struct cache_log log;
    struct prng prng;
    int64_t offset;
};

static void hall_open(struct hall *hall, uint64_t bytes_max, uint64_t seed)
{
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .seed = 1};
    *hall = (struct hall){.prng = prng_of(seed, 1)};
    assert_int_equal(io_create(&options, &hall->io, NULL), PYR_OK);
    cache_init(&hall->cache, hall->io, bytes_max);
}

static void hall_close(struct hall *hall)
{
    cache_clear(&hall->cache, &hall->log);
    CHECK_INT(hall->cache.bytes, 0);
    CHECK(cache_free_bytes(&hall->cache) <= CACHE_FREE_BYTES_MAX); /* ARN-3 */
    cache_deinit(&hall->cache);
    CHECK_INT(io_testing_allocations_live(hall->io), 0);
    io_destroy(hall->io);
}

/* Append @bytes to @log that stay unwritten. Their content matters to nobody here. */
static enum pyr_err hall_put_to(struct hall *hall, struct cache_log *log, size_t bytes)
{
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    uint8_t *room = cache_reserve(&hall->cache, log, bytes, &room_bytes, &err);
    if (!room) {
        return err;
    }
    CHECK(room_bytes >= bytes);
    room[0] = 1;
    room[bytes - 1] = 1;
    cache_commit(&hall->cache, log, bytes, hall->offset, hall->offset + 1);
    hall->offset++;
    return PYR_OK;
}

static enum pyr_err hall_put(struct hall *hall, size_t bytes)
{
    return hall_put_to(hall, &hall->log, bytes);
}

static void hall_write(struct hall *hall, struct cache_log *log)
{
    cache_written(&hall->cache, log, log->bytes_unwritten);
}

/* Touch a step ahead, if there is one. */
static void hall_warm(struct hall *hall)
{
    struct arena_block *block = cache_warm_begin(&hall->cache);
    if (block) {
        cache_warm_end(&hall->cache, block);
    }
}

/* What is appended in one stretch: batches of @first to @last bytes. */
struct stretch {
    size_t first;
    size_t last;
};

/* Append and write three times what the cache holds. */
static void hall_stretch(struct hall *hall, const struct stretch *stretch, bool is_warmed)
{
    uint64_t limit = hall->cache.bytes_max + CACHE_FREE_BYTES_MAX;
    uint64_t total = 0;
    while (total < 3 * hall->cache.bytes_max) {
        size_t bytes =
            (size_t)prng_between(&hall->prng, (int64_t)stretch->first, (int64_t)stretch->last);
        CHECK_INT(hall_put(hall, bytes), PYR_OK);
        hall_write(hall, &hall->log);
        total += bytes;
        CHECK(hall->cache.bytes <= hall->cache.bytes_max); /* CCH-1 */
        CHECK(cache_footprint(&hall->cache) <= limit);     /* CCH-6 */
        if (is_warmed) {
            hall_warm(hall);
        }
    }
}

/* -- Memory is used again -- */

/* The point of it: small batches after large ones, large after small, and mixed ones, all find the
 * memory of those before them. Fresh memory costs as much as writing it to the device. */
TEST(room, uses_memory_again_whatever_size_it_had)
{
    static const struct stretch stretches[] = {{60 * KIBI, 70 * KIBI}, {LARGE_BYTES, LARGE_BYTES},
                                               {100 * KIBI, 4 * MEBI}, {3 * MEBI, 3 * MEBI},
                                               {900 * KIBI, MEBI},     {200, 5 * MEBI}};

    enum { COUNT = sizeof stretches / sizeof stretches[0] };

    for (uint64_t seed = 1; seed <= 4; seed++) {
        (void)printf("# seed %" PRIu64 "\n", seed);
        static struct hall hall;
        hall_open(&hall, (seed % 2 ? 64 : 256) * MEBI, seed);
        bool is_warmed = seed > 2;
        for (size_t index = 0; index < (size_t)2 * COUNT; index++) {
            hall_stretch(&hall, &stretches[index % COUNT], is_warmed);
        }
        uint64_t allocations = io_testing_allocations(hall.io);

        for (int round = 0; round < 12; round++) {
            hall_stretch(&hall, &stretches[prng_below(&hall.prng, COUNT)], is_warmed);
        }

        CHECK_INT(io_testing_allocations(hall.io), allocations);
        CHECK(hall.cache.arenas.bytes <= hall.cache.bytes_max + CACHE_ARENA_BYTES_MAX);
        hall_close(&hall);
    }
}

/* Batches that fit no arena use each other's memory, in a small cache and in a large one. */
TEST(room, uses_memory_of_the_largest_batches_again)
{
    for (int is_small = 0; is_small < 2; is_small++) {
        static struct hall hall;
        hall_open(&hall, is_small ? 8 * MEBI : 64 * MEBI, 1);
        size_t bytes = is_small ? LARGE_BYTES : CACHE_ARENA_BYTES_MAX + 1;
        hall_stretch(&hall, &(struct stretch){bytes, bytes}, false);
        uint64_t allocations = io_testing_allocations(hall.io);
        hall_stretch(&hall, &(struct stretch){bytes, bytes + 200}, false);
        CHECK_INT(io_testing_allocations(hall.io), allocations);

        /* Memory of another size does not keep out what is in use now. */
        hall_stretch(&hall, &(struct stretch){bytes + bytes / 2, bytes + bytes / 2}, false);
        allocations = io_testing_allocations(hall.io);
        hall_stretch(&hall, &(struct stretch){bytes + bytes / 2, bytes + bytes / 2}, false);
        CHECK_INT(io_testing_allocations(hall.io), allocations);

        /* Sizes that never come twice use what is not much larger. */
        hall_stretch(&hall, &(struct stretch){bytes, 2 * bytes - 200}, false);
        allocations = io_testing_allocations(hall.io);
        int64_t batches = hall.offset;
        hall_stretch(&hall, &(struct stretch){bytes, 2 * bytes - 200}, false);
        batches = hall.offset - batches;
        CHECK((io_testing_allocations(hall.io) - allocations) / 2 <= (uint64_t)batches / 4);
        hall_close(&hall);
    }
}

/* -- What a log wishes -- */

/* A chunk of its own for each batch of little more than 1 MiB would waste half of it. Small batches
 * do not get such chunks: a reader would have to walk over thousands of them. */
TEST(room, gives_large_batches_chunks_that_hold_several)
{
    static struct hall hall;
    hall_open(&hall, 256 * MEBI, 1);

    for (int batch = 0; batch < 1 + 3 + 1 + 7; batch++) {
        CHECK_INT(hall_put(&hall, LARGE_BYTES), PYR_OK);
    }

    CHECK_INT(hall.log.first->bytes_max, 2 * MEBI);
    CHECK_INT(hall.log.first->next->bytes_max, 4 * MEBI);
    CHECK_INT(hall.log.first->next->next->bytes_max, 2 * MEBI); /* The rest of that arena. */
    CHECK_INT(hall.log.last->bytes_max, 8 * MEBI);
    CHECK_INT(hall.log.bytes, 16 * MEBI);
    while (hall.log.bytes == 16 * MEBI) {
        CHECK_INT(hall_put(&hall, 1000), PYR_OK);
    }
    CHECK_INT(hall.log.last->bytes_max, CACHE_CHUNK_BYTES_MAX);
    CHECK_INT(hall_put(&hall, LARGE_BYTES), PYR_OK);
    CHECK_INT(hall.log.last->bytes_max, 4 * MEBI); /* The rest of that arena. */
    CHECK_INT(hall_put(&hall, 3 * LARGE_BYTES), PYR_OK);
    CHECK_INT(hall.log.last->bytes_max, 8 * MEBI);

    hall_close(&hall);
}

/* A thousand logs that were busy once must not each take a large chunk for one small batch. */
TEST(room, halves_the_wish_of_a_log_that_hardly_uses_its_chunk)
{
    static struct hall hall;
    hall_open(&hall, 64 * MEBI, 1);
    struct cache_log busy = {0};
    hall.log.chunk_bytes = CACHE_ARENA_BYTES_MAX;
    size_t wish = CACHE_ARENA_BYTES_MAX / 2;

    for (int round = 0; round < 10; round++) {
        CHECK_INT(hall_put(&hall, round == 0 ? LARGE_BYTES : 100), PYR_OK);
        hall_write(&hall, &hall.log);
        while (hall.log.bytes > 0) {
            CHECK_INT(hall_put_to(&hall, &busy, 500 * KIBI), PYR_OK);
            hall_write(&hall, &busy);
        }
        CHECK_INT(hall.log.chunk_bytes, wish);
        wish = wish > CACHE_CHUNK_BYTES_MAX ? CACHE_CHUNK_BYTES_MAX : wish; /* Small ones now. */
        wish = wish > CACHE_CHUNK_BYTES_MIN ? wish / 2 : wish;
    }
    CHECK_INT(hall.log.chunk_bytes, CACHE_CHUNK_BYTES_MIN);

    CHECK_INT(busy.chunk_bytes, CACHE_CHUNK_BYTES_MAX); /* Its chunks were full. */
    cache_clear(&hall.cache, &busy);
    hall_close(&hall);
}

/* Memory of which a log was cut was touched all the same: it need not be touched ahead. */
TEST(room, knows_that_what_was_cut_was_touched)
{
    static struct hall hall;
    hall_open(&hall, 64 * MEBI, 1);
    hall.log.chunk_bytes = CACHE_ARENA_BYTES_MAX;
    for (int batch = 0; batch < 6; batch++) {
        CHECK_INT(hall_put(&hall, LARGE_BYTES), PYR_OK);
    }
    CHECK_INT(hall.log.bytes, CACHE_ARENA_BYTES_MAX);

    cache_truncate(&hall.cache, &hall.log, 0);

    CHECK_INT(hall.log.bytes, 0);
    CHECK_INT(hall.cache.arenas.bytes_cold, CACHE_CHUNK_BYTES_MAX); /* The last of eight. */
    hall_close(&hall);
}

/* -- The bounds -- */

/* What is wished is given up where the bound leaves only what is needed, to the last block. */
TEST(room, fills_the_cache_to_its_bound)
{
    static struct hall hall;
    hall_open(&hall, 64 * MEBI, 1);
    hall.log.chunk_bytes = CACHE_CHUNK_BYTES_MAX;
    for (int chunk = 0; chunk < 58; chunk++) {
        CHECK_INT(hall_put(&hall, CACHE_CHUNK_BYTES_MAX), PYR_OK);
    }

    /* 6 MiB are left, and 8 would be a block. */
    CHECK_INT(hall_put(&hall, 6 * MEBI + 1), PYR_ERR_BUSY);
    CHECK_INT(hall_put(&hall, 5 * MEBI), PYR_OK);
    CHECK_INT(hall_put(&hall, 900 * KIBI), PYR_OK);
    CHECK_INT(hall.cache.bytes, 64 * MEBI);
    CHECK_INT(hall_put(&hall, 124 * KIBI), PYR_OK); /* The rest of that chunk. */
    CHECK_INT(hall_put(&hall, 1), PYR_ERR_BUSY);
    CHECK_INT(hall.cache.bytes, 64 * MEBI); /* CCH-1 */
    CHECK_INT(hall.cache.evictions, 0);

    hall_write(&hall, &hall.log);
    CHECK_INT(hall_put(&hall, 1), PYR_OK);
    hall_close(&hall);
}

/* Less than 1 MiB is left, and a log that wishes 1 MiB has a small batch. */
TEST(room, gives_a_small_chunk_where_no_large_one_fits)
{
    static struct hall hall;
    hall_open(&hall, 64 * MEBI + 20 * KIBI, 1);
    hall.log.chunk_bytes = CACHE_CHUNK_BYTES_MAX;
    for (int chunk = 0; chunk < 64; chunk++) {
        CHECK_INT(hall_put(&hall, CACHE_CHUNK_BYTES_MAX), PYR_OK);
    }

    CHECK_INT(hall_put(&hall, 20 * KIBI + 1), PYR_ERR_BUSY);
    CHECK_INT(hall_put(&hall, 15 * KIBI), PYR_OK);
    CHECK_INT(hall_put(&hall, 4 * KIBI), PYR_OK);
    CHECK_INT(hall.cache.bytes, hall.cache.bytes_max);

    hall_close(&hall);
}

/* The smallest caches hold one batch of any size, and have no arenas to be larger than they are. */
TEST(room, takes_any_batch_into_a_tiny_cache)
{
    static const uint64_t sizes[] = {CACHE_BYTES_MIN, UINT64_C(100000), MEBI, 8 * MEBI - 1,
                                     8 * MEBI};
    for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        static struct hall hall;
        hall_open(&hall, sizes[index], 1);
        CHECK_INT(hall.cache.arenas.arena_bytes, sizes[index] == 8 * MEBI ? MEBI : 0);

        for (size_t bytes = 100; bytes <= BATCH_BYTES_MAX; bytes *= 3) {
            CHECK_INT(hall_put(&hall, bytes), PYR_OK);
            bool is_above = bytes > sizes[index];
            CHECK(!is_above || hall_put(&hall, CACHE_CHUNK_LARGE_STEP_BYTES) == PYR_ERR_BUSY);
            hall_write(&hall, &hall.log);
            CHECK_INT(hall_put(&hall, 1000), PYR_OK);
            hall_write(&hall, &hall.log);
        }

        hall_close(&hall);
    }
}

/* Readers that each hold a chunk keep every arena in pieces. Appends of batches that no piece is
 * large enough for go on, and what they take beyond the bound is one batch (CCH-6). */
TEST(room, goes_on_between_chunks_that_readers_hold)
{
    enum { HELD = 32, CHUNKS = 256, BATCH_BYTES = 5 * 1024 * 1024 };
    static struct hall hall;
    hall_open(&hall, 256 * MEBI, 1);
    uint64_t limit = hall.cache.bytes_max + CACHE_FREE_BYTES_MAX;
    hall.log.chunk_bytes = CACHE_CHUNK_BYTES_MAX;
    struct cache_chunk *held[HELD];
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
        CHECK_INT(hall_put(&hall, CACHE_CHUNK_BYTES_MAX), PYR_OK);
    }
    for (int index = 0; index < HELD; index++) {
        held[index] = cache_acquire(&hall.log, (int64_t)index * CHUNKS / HELD);
        assert_non_null(held[index]);
    }
    cache_clear(&hall.cache, &hall.log);
    CHECK_INT(hall.cache.bytes, HELD * MEBI);
    CHECK_INT(cache_footprint(&hall.cache), CHUNKS * MEBI);

    enum pyr_err err = hall_put(&hall, BATCH_BYTES);
    while (err == PYR_OK) {
        err = hall_put(&hall, BATCH_BYTES);
    }

    CHECK_INT(err, PYR_ERR_BUSY);
    CHECK_INT(cache_footprint(&hall.cache), limit + BATCH_BYTES);
    for (int batch = 0; batch < 100; batch++) {
        hall_write(&hall, &hall.log);
        CHECK_INT(hall_put(&hall, BATCH_BYTES), PYR_OK);
        CHECK(cache_footprint(&hall.cache) <= limit + BATCH_BYTES);
    }
    for (int index = 0; index < HELD; index++) {
        cache_chunk_release(held[index]);
    }
    hall_close(&hall);
}

/* The whole cache is one reader's: it may be the one that appends, so that an append must not wait
 * for it. The next one does, until one of the two is gone. */
TEST(room, takes_one_batch_into_a_cache_that_readers_hold)
{
    static struct hall hall;
    hall_open(&hall, CACHE_BYTES_MIN, 1);
    CHECK_INT(hall_put(&hall, CACHE_BYTES_MIN), PYR_OK);
    hall_write(&hall, &hall.log);
    struct cache_chunk *held = cache_acquire(&hall.log, 0);

    CHECK_INT(hall_put(&hall, 5000), PYR_OK);
    CHECK_INT(hall.cache.bytes, CACHE_BYTES_MIN + 8192); /* CCH-1: no more than it needs. */
    CHECK_INT(hall_put(&hall, 5000), PYR_ERR_BUSY);
    hall_write(&hall, &hall.log);
    CHECK_INT(hall_put(&hall, 5000), PYR_OK);
    hall_write(&hall, &hall.log);

    cache_chunk_release(held);
    hall_close(&hall);
}

enum { LOGS = 12, READERS = 6 };

/* Some logs, and readers that hold a chunk each. */
struct crowd {
    struct hall hall;
    struct cache_log logs[LOGS];
    struct cache_chunk *held[READERS];
};

static void crowd_write_all(struct crowd *crowd)
{
    for (size_t index = 0; index < LOGS; index++) {
        hall_write(&crowd->hall, &crowd->logs[index]);
    }
}

static void crowd_let_go(struct crowd *crowd)
{
    for (size_t index = 0; index < READERS; index++) {
        if (crowd->held[index]) {
            cache_chunk_release(crowd->held[index]);
            crowd->held[index] = NULL;
        }
    }
}

/* A reader lets its chunk go and takes the newest of @log. */
static void crowd_read(struct crowd *crowd, struct cache_log *log)
{
    size_t reader = prng_below(&crowd->hall.prng, READERS);
    if (crowd->held[reader]) {
        cache_chunk_release(crowd->held[reader]);
        crowd->held[reader] = NULL;
    }
    if (log->last && log->last->bytes_used > 0) {
        crowd->held[reader] = cache_acquire(log, log->last->offset_first);
        assert_non_null(crowd->held[reader]);
    }
}

static void crowd_append(struct crowd *crowd, struct cache_log *log)
{
    struct hall *hall = &crowd->hall;
    size_t most = (size_t)1 << prng_between(&hall->prng, 4, 24);
    size_t bytes = 1 + prng_below(&hall->prng, most);
    enum pyr_err err = hall_put_to(hall, log, bytes);
    if (err == PYR_ERR_BUSY) {
        crowd_write_all(crowd); /* What the caller waits for. */
        uint64_t bytes_max = hall->cache.bytes_max;
        err = hall_put_to(hall, log, bytes);
        uint64_t readers = hall->cache.bytes;
        if (err == PYR_ERR_BUSY) {
            /* Readers hold all there may be, and the one batch that goes beyond it. */
            CHECK(readers > bytes_max ||
                  cache_footprint(&hall->cache) > bytes_max + CACHE_FREE_BYTES_MAX);
            crowd_let_go(crowd);
            err = hall_put_to(hall, log, bytes);
        }
    }
    CHECK_INT(err, PYR_OK);
}

static void crowd_step(struct crowd *crowd)
{
    struct hall *hall = &crowd->hall;
    struct cache_log *log = &crowd->logs[prng_below(&hall->prng, LOGS)];
    uint64_t draw = prng_below(&hall->prng, 100);
    if (draw < 60) {
        crowd_append(crowd, log);
    } else if (draw < 80) {
        hall_write(hall, log);
    } else if (draw < 90) {
        crowd_read(crowd, log);
    } else if (draw < 98) {
        hall_warm(hall);
    } else {
        cache_clear(&hall->cache, log);
    }
}

/* CCH-1, CCH-6: logs, readers and sizes of every kind, in caches of every size. */
TEST(room, keeps_its_bounds_whoever_holds_what)
{
    static const uint64_t sizes[] = {CACHE_BYTES_MIN, MEBI,      9 * MEBI,
                                     21 * MEBI,       64 * MEBI, 100 * MEBI};
    for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        static struct crowd crowd;
        crowd = (struct crowd){0};
        struct hall *hall = &crowd.hall;
        hall_open(hall, sizes[index], 77 + index);
        (void)printf("# seed %zu\n", 77 + index);
        const struct cache *cache = &hall->cache;

        for (int step = 0; step < 6000; step++) {
            crowd_step(&crowd);
            CHECK(cache->bytes <= cache->bytes_max + BATCH_BYTES_MAX);
            CHECK(cache_footprint(cache) <=
                  cache->bytes_max + CACHE_FREE_BYTES_MAX + BATCH_BYTES_MAX);
            CHECK_INT(cache->arenas.bytes_used <= cache->bytes, true);
        }

        crowd_let_go(&crowd);
        for (size_t number = 0; number < LOGS; number++) {
            cache_clear(&hall->cache, &crowd.logs[number]);
        }
        hall_close(hall);
    }
}

/* Every allocation that fails is a clean NO_MEMORY, and the next append is as if nothing had been.
 */
TEST(room, is_clean_where_there_is_no_memory)
{
    static const size_t sizes[] = {100, CACHE_CHUNK_BYTES_MAX, LARGE_BYTES,
                                   CACHE_ARENA_BYTES_MAX + 1};
    for (size_t index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        static struct hall hall;
        hall_open(&hall, 64 * MEBI, 1);
        uint64_t nth = 1;
        io_testing_fail_allocation(hall.io, nth);
        while (hall_put(&hall, sizes[index]) != PYR_OK) {
            CHECK_INT(hall.cache.bytes, 0);
            CHECK_INT(cache_footprint(&hall.cache), 0);
            nth++;
            cache_clear(&hall.cache, &hall.log);
            room_deinit(&hall.cache);
            CHECK_INT(io_testing_allocations_live(hall.io), 0);
            cache_init(&hall.cache, hall.io, 64 * MEBI);
            io_testing_fail_allocation(hall.io, nth);
        }
        CHECK_INT(nth, sizes[index] >= CACHE_CHUNK_BYTES_MAX ? 4 : 3);
        hall_close(&hall);
    }
}
