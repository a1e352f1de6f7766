/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write cache: what may be evicted, what may not, and what readers keep.
 */
#include "base/codec.h"
#include "base/limits.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/cache.h"
#include "record/batch.h"

static struct io *world_open(void)
{
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .seed = 1};
    struct io *io = NULL;
    assert_int_equal(io_create(&options, &io, NULL), PYR_OK);
    return io;
}

/* Append one batch of @bytes and one record at @offset; returns false if there was no room. */
static bool batch_put(struct cache *cache, struct cache_log *log, size_t bytes, int64_t offset)
{
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    uint8_t *room = cache_reserve(cache, log, bytes, &room_bytes, &err);
    if (!room) {
        CHECK_INT(err, PYR_ERR_BUSY);
        return false;
    }
    CHECK(room_bytes >= bytes);
    memset(room, 0, bytes);
    struct batch_header header = {.base_offset = offset, .record_count = 1};
    batch_seal((struct bytes_mut){room, bytes}, &header);
    cache_commit(cache, log, bytes, offset, offset + 1);
    return true;
}

/* CCH-2: an append that is nowhere else must stay, whoever asks for room. */
TEST(cache_reserve, refuses_rather_than_drop_what_is_not_written)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    cache_init(&cache, io, UINT64_C(64) * 1024);

    int64_t offset = 0;
    while (batch_put(&cache, &log, 4096, offset)) {
        offset++;
    }

    CHECK(offset >= 4);
    CHECK(cache.bytes <= cache.bytes_max); /* CCH-1 */
    CHECK_INT(cache.evictions, 0);
    CHECK_INT(cache_first(&log), 0);
    CHECK_INT(log.bytes_unwritten, (size_t)offset * 4096);

    cache_clear(&cache, &log);
    cache_deinit(&cache);
    io_destroy(io);
}

/* CCH-2: an append that was refused after it had got a fresh chunk leaves it empty, behind chunks
 * that are not written. Whoever asks for room next must not take it for the log's oldest. */
TEST(cache_reserve, keeps_an_empty_chunk_behind_unwritten_ones)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    struct cache_log other = {0};
    cache_init(&cache, io, UINT64_C(64) * 1024);
    int64_t offset = 0;
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    CHECK(batch_put(&cache, &log, 4096, offset++));
    size_t rest = log.last->bytes_max - log.last->bytes_used;
    CHECK(cache_reserve(&cache, &log, rest + 1, &room_bytes, &err) != NULL);
    cache_unreserve(&cache, &log);
    CHECK_INT(log.last->bytes_used, 0);
    CHECK(log.first != log.last);

    int64_t other_offset = 0;
    while (batch_put(&cache, &other, 4096, other_offset)) {
        other_offset++;
    }

    CHECK_INT(cache.evictions, 0);
    CHECK_INT(cache_first(&log), 0);
    cache_written(&cache, &log, log.bytes_unwritten);
    while (batch_put(&cache, &other, 4096, other_offset)) {
        other_offset++;
    }
    CHECK_INT(cache.evictions, 2); /* The written one, and then the empty one. */
    CHECK_INT(log.bytes, 0);
    cache_clear(&cache, &other);
    cache_deinit(&cache);
    io_destroy(io);
}

/* What stands in a segment gives way, oldest first, and the newest stays for readers of the tail.
 */
TEST(cache_reserve, evicts_the_oldest_written_chunk_first)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    cache_init(&cache, io, UINT64_C(64) * 1024);
    int64_t offset = 0;
    while (batch_put(&cache, &log, 4096, offset)) {
        offset++;
    }
    cache_written(&cache, &log, log.bytes_unwritten);

    bool is_put = batch_put(&cache, &log, 4096, offset);

    CHECK(is_put);
    CHECK(cache.evictions > 0);
    CHECK(cache_first(&log) > 0);
    struct cache_chunk *chunk = cache_acquire(&log, offset);
    CHECK(chunk != NULL);
    cache_chunk_release(chunk);
    CHECK(cache_acquire(&log, 0) == NULL);

    cache_clear(&cache, &log);
    cache_deinit(&cache);
    io_destroy(io);
}

/* CCH-3: a reader's bytes stay as they are after the chunk has left the cache. */
TEST(cache_chunk, outlives_its_eviction_while_a_reader_holds_it)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    cache_init(&cache, io, UINT64_C(1024) * 1024);
    CHECK(batch_put(&cache, &log, 512, 0));
    struct cache_chunk *chunk = cache_acquire(&log, 0);
    assert_non_null(chunk);

    cache_written(&cache, &log, 512);
    cache_clear(&cache, &log);

    struct batch_header header;
    struct bytes held = {chunk->data, chunk->bytes_used};
    CHECK_INT(batch_header_read(held, &header, NULL), PYR_OK);
    CHECK_INT(header.base_offset, 0);
    CHECK(cache.bytes > 0);
    cache_chunk_release(chunk);
    CHECK_INT(cache.bytes, 0);
    cache_deinit(&cache);
    io_destroy(io);
}

/* A batch that is being built at the tail pins its chunk, even if all before it is written. */
TEST(cache_reserve, keeps_the_chunk_in_which_a_batch_is_built)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    struct cache_log other = {0};
    cache_init(&cache, io, UINT64_C(64) * 1024);
    CHECK(batch_put(&cache, &log, 512, 0));
    cache_written(&cache, &log, 512);
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    CHECK(cache_reserve(&cache, &log, 512, &room_bytes, &err) != NULL);

    int64_t offset = 0;
    while (batch_put(&cache, &other, 4096, offset)) {
        offset++;
    }

    CHECK_INT(cache_first(&log), 0); /* CCH-2 */
    cache_unreserve(&cache, &log);
    CHECK(batch_put(&cache, &other, 4096, offset));
    CHECK_INT(cache_first(&log), -1);
    cache_clear(&cache, &log);
    cache_clear(&cache, &other);
    cache_deinit(&cache);
    io_destroy(io);
}

/* A truncation takes whole batches off the end and leaves the rest readable. */
TEST(cache_truncate, cuts_at_a_batch)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    cache_init(&cache, io, UINT64_C(1024) * 1024);
    for (int64_t offset = 0; offset < 100; offset++) {
        CHECK(batch_put(&cache, &log, 700, offset));
    }

    cache_truncate(&cache, &log, 37);

    struct cache_chunk *kept = cache_acquire(&log, 36);
    CHECK(kept != NULL);
    CHECK(cache_acquire(&log, 37) == NULL);
    CHECK_INT(log.bytes_unwritten, 37 * 700);
    CHECK_INT(cache.bytes_unwritten, 37 * 700);
    CHECK(batch_put(&cache, &log, 700, 37));
    cache_chunk_release(kept);
    cache_clear(&cache, &log);
    cache_deinit(&cache);
    io_destroy(io);
}

/* -- Places -- */

/* A reader of the tail begins where it ended, and not at the chunk's front: a chunk of small
 * batches has thousands before it. The front is made unreadable here, so that a walk from there
 * would be seen. */
TEST(cache_chunk_part, goes_on_where_the_last_one_ended)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    struct cache_place place = {0};
    cache_init(&cache, io, UINT64_C(1024) * 1024);
    for (int64_t offset = 0; offset < 50; offset++) {
        CHECK(batch_put(&cache, &log, 70, offset));
    }
    struct cache_chunk *chunk = cache_acquire(&log, 10);

    struct bytes part = cache_chunk_part(chunk, 10, 20, &place); /* Up to the commit point. */
    CHECK(part.data == chunk->data + 700);
    CHECK_INT(part.count, 700);
    CHECK_INT(place.offset, 20);
    memset(chunk->data, 0xff, 1400);
    part = cache_chunk_part(chunk, 20, 30, &place);
    CHECK(part.data == chunk->data + 1400);
    CHECK_INT(part.count, 700);
    part = cache_chunk_part(chunk, 33, 50, &place); /* A little ahead, and to the end. */
    CHECK(part.data == chunk->data + 2310);
    CHECK_INT(part.count, 17 * 70);
    CHECK(batch_put(&cache, &log, 70, 50));
    part = cache_chunk_part(chunk, 50, 51, &place);
    CHECK(part.data == chunk->data + 3500);
    CHECK_INT(part.count, 70);

    cache_chunk_release(chunk);
    cache_clear(&cache, &log);
    cache_deinit(&cache);
    io_destroy(io);
}

/* A place behind the offset is of no use: the walk begins at the front. */
TEST(cache_chunk_part, goes_back)
{
    struct io *io = world_open();
    struct cache cache;
    struct cache_log log = {0};
    struct cache_place place = {0};
    cache_init(&cache, io, UINT64_C(1024) * 1024);
    for (int64_t offset = 0; offset < 50; offset++) {
        CHECK(batch_put(&cache, &log, 70, offset));
    }
    struct cache_chunk *chunk = cache_acquire(&log, 0);
    (void)cache_chunk_part(chunk, 40, 50, &place);

    struct bytes part = cache_chunk_part(chunk, 7, 9, &place);

    CHECK(part.data == chunk->data + 490);
    CHECK_INT(part.count, 140);
    CHECK_INT(place.offset, 9);
    cache_chunk_release(chunk);
    cache_clear(&cache, &log);
    cache_deinit(&cache);
    io_destroy(io);
}

/* CCH-5: after a cut other batches stand in the same chunk, and begin elsewhere. A chunk that was
 * dropped comes back as another one, with the same memory. */
TEST(cache_chunk_part, forgets_the_place_in_a_chunk_that_was_cut_or_dropped)
{
    for (int dropped = 0; dropped < 2; dropped++) {
        struct io *io = world_open();
        struct cache cache;
        struct cache_log log = {.chunk_bytes = CACHE_CHUNK_BYTES_MAX};
        struct cache_place place = {0};
        cache_init(&cache, io, UINT64_C(64) * CACHE_CHUNK_BYTES_MAX);
        for (int64_t offset = 0; offset < 50; offset++) {
            CHECK(batch_put(&cache, &log, 70, offset));
        }
        struct cache_chunk *chunk = cache_acquire(&log, 20);
        uint8_t *memory = chunk->data;
        (void)cache_chunk_part(chunk, 20, 40, &place);
        cache_chunk_release(chunk);

        int64_t first = dropped ? 0 : 15;
        if (dropped) {
            cache_clear(&cache, &log);
            log.chunk_bytes = CACHE_CHUNK_BYTES_MAX;
        } else {
            cache_truncate(&cache, &log, first);
        }
        for (int64_t offset = first; offset < 60; offset++) {
            CHECK(batch_put(&cache, &log, 100, offset));
        }

        chunk = cache_acquire(&log, 40);
        CHECK(chunk->data == memory);
        struct bytes part = cache_chunk_part(chunk, 40, 60, &place);
        size_t before = (size_t)first * 70 + (size_t)(40 - first) * 100;
        CHECK(part.data == chunk->data + before);
        CHECK_INT(part.count, 2000);
        cache_chunk_release(chunk);
        cache_clear(&cache, &log);
        cache_deinit(&cache);
        io_destroy(io);
    }
}
