/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of docs/formats/wal.md, held against what the encoder makes, and damaged at random.
 */
#include "base/bytes.h"
#include "base/codec.h"
#include "base/prng.h"
#include "lib/case.h"
#include "wal/checkpoint.h"
#include "wal/format.h"

static const struct wal_identity identity = {
    .storage_id = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    .shard = 0x01020304,
    .file_bytes = 64 << 10,
};

/* Yesterday's journals must be readable tomorrow: the bytes are pinned. */
TEST(format, writes_the_file_header_as_documented)
{
    static uint8_t block[BLOCK_BYTES];
    struct wal_file_header header = {.identity = identity, .slot = 5, .generation = 0x0807};
    static const uint8_t expected[WAL_FILE_HEADER_BYTES - 8] = {
        0x50, 0x57, 0x4c, 0x4a, 1,  0,  0,  0,  0,    1,    2,    3,    4, 5, 6, 7,
        8,    9,    10,   11,   12, 13, 14, 15, 0x04, 0x03, 0x02, 0x01, 5, 0, 0, 0,
        0x07, 0x08, 0,    0,    0,  0,  0,  0,  0,    0,    1,    0,    0, 0, 0, 0};

    wal_file_header_encode(&header, block);
    struct wal_file_header got;

    CHECK_BYTES(block, expected, sizeof expected);
    CHECK_INT(wal_file_header_decode(block, &got), WAL_HEADER_GOOD);
    CHECK_INT(got.slot, 5);
    CHECK_INT(got.generation, 0x0807);
    CHECK_INT(got.identity.shard, identity.shard);
}

/* The flush header, with its checksum: a change of the seed or of a field's place changes it. */
TEST(format, writes_the_flush_header_as_documented)
{
    uint8_t data[WAL_FLUSH_HEADER_BYTES];
    struct wal_flush_header header = {
        .flags = WAL_FLUSH_EMPTY | WAL_FLUSH_CLEAN,
        .position = 3 * (64 << 10) + 8192,
        .sequence = 0x11,
        .run = 0x22,
        .durable_upto = 0x1000,
        .previous_checksum = 0x3333,
        .bytes = 4096,
        .bytes_used = 72,
        .entry_count = 0,
        .previous_used = 0x44,
    };
    static const uint8_t expected[WAL_FLUSH_HEADER_BYTES] = {
        0x50, 0x57, 0x4c, 0x46, 1,  0, 3, 0, 0,    0x20, 3, 0, 0,    0, 0, 0,
        0x11, 0,    0,    0,    0,  0, 0, 0, 0x22, 0,    0, 0, 0,    0, 0, 0,
        0,    0x10, 0,    0,    0,  0, 0, 0, 0x33, 0x33, 0, 0, 0,    0, 0, 0,
        0,    0x10, 0,    0,    72, 0, 0, 0, 0,    0,    0, 0, 0x44, 0, 0, 0};

    wal_flush_header_encode(&identity, &header, data);
    struct wal_flush_header got;

    CHECK_BYTES(data, expected, sizeof expected - 8);
    CHECK(wal_flush_header_decode(&identity, header.position, data, &got));
    CHECK_INT(got.checksum, header.checksum);
    CHECK(header.checksum == UINT64_C(0x609db10eebb68e50));
}

/* A flush header is valid at no other position and in no other generation (WALF-2). */
TEST(format, binds_a_flush_header_to_its_place)
{
    uint8_t data[WAL_FLUSH_HEADER_BYTES];
    struct wal_flush_header header = {.position = 3 * (64 << 10) + 8192,
                                      .bytes = 4096,
                                      .bytes_used = 72};
    wal_flush_header_encode(&identity, &header, data);
    struct wal_flush_header got;

    CHECK(!wal_flush_header_decode(&identity, header.position + 4096, data, &got));
    CHECK(!wal_flush_header_decode(&identity, header.position + (64 << 10), data, &got));
    struct wal_identity other = identity;
    other.shard++;
    CHECK(!wal_flush_header_decode(&other, header.position, data, &got));
    other = identity;
    other.storage_id[15]++;
    CHECK(!wal_flush_header_decode(&other, header.position, data, &got));
}

/* An entry is valid only at its place in its flush (WALF-3), and every field comes back. */
TEST(format, binds_an_entry_to_its_place)
{
    static uint8_t flush[4096];
    struct wal_place place = {3 * (64 << 10) + 8192, 4, 5};
    uint64_t seed = wal_entry_seed(&identity, &place);
    struct wal_entry entry = {
        .kind = WAL_ENTRY_APPEND,
        .log = {{1, 2, 3}},
        .offset = -5,
        .epoch = -6,
        .number = 7,
        .parts = {bytes_of_text("head"), bytes_of_text("body")},
        .checked_bytes = 4,
    };
    wal_entry_encode(&entry, 0, seed, flush, 72);
    struct wal_entry_view view;
    struct bytes bytes = {flush, sizeof flush};

    CHECK(wal_entry_decode(bytes, 72, seed, &view));
    CHECK_INT(view.entry.offset, -5);
    CHECK_INT(view.entry.epoch, -6);
    CHECK_INT(view.entry.number, 7);
    CHECK_INT(view.bytes, WAL_ENTRY_HEADER_BYTES + 8);
    CHECK_BYTES(view.entry.parts[0].data, "headbody", 8);
    memmove(flush + 80, flush + 72, 80);
    CHECK(!wal_entry_decode(bytes, 80, seed, &view));
    place.sequence++;
    CHECK(!wal_entry_decode(bytes, 72, wal_entry_seed(&identity, &place), &view));
    flush[80 + 64 + 5] ^= 1; /* "body" is not covered here; it has its own checksum. */
    wal_entry_encode(&entry, 0, seed, flush, 72);
    flush[72 + 64 + 5] ^= 1;
    CHECK(wal_entry_decode(bytes, 72, seed, &view));
    flush[72 + 64 + 1] ^= 1;
    CHECK(!wal_entry_decode(bytes, 72, seed, &view));
}

/* Any bytes, any length: decoding stays inside them (WALF-1). */
TEST(format, decodes_any_bytes_without_leaving_them)
{
    struct prng prng = prng_of(7, 0);
    struct wal_place place = {3 * (64 << 10) + 8192, 4, 5};
    uint64_t seed = wal_entry_seed(&identity, &place);
    struct wal_entry entry = {.kind = WAL_ENTRY_APPEND, .parts[0] = bytes_of_text("payload")};
    for (int round = 0; round < 20000; round++) {
        size_t count = (size_t)(prng_next(&prng) % 200);
        uint8_t *data = malloc(count + 1);
        assert_non_null(data);
        uint8_t whole[200] = {0};
        wal_entry_encode(&entry, 0, seed, whole, 0);
        memcpy(data, whole, count);
        for (int flip = 0; flip < 3 && count > 0; flip++) {
            data[prng_next(&prng) % count] = (uint8_t)prng_next(&prng);
        }
        struct wal_entry_view view;
        if (wal_entry_decode((struct bytes){data, count}, 0, seed, &view)) {
            CHECK(view.bytes <= count);
            CHECK(view.entry.parts[0].count <= view.bytes - WAL_ENTRY_HEADER_BYTES);
        }
        free(data);
    }
}

/* A checkpoint that names a place that cannot be is refused. */
TEST(checkpoint, refuses_a_place_that_cannot_be)
{
    uint8_t data[WAL_CHECKPOINT_HEADER_BYTES];
    struct wal_checkpoint good = {.number = 1,
                                  .file_bytes = 64 << 10,
                                  .resume.position = (64 << 10) + 8192};
    struct wal_checkpoint got;
    wal_checkpoint_encode(&good, data);
    CHECK(wal_checkpoint_decode((struct bytes){data, sizeof data}, &got));
    CHECK_INT(got.resume.position, good.resume.position);
    CHECK(!wal_checkpoint_decode((struct bytes){data, sizeof data - 1}, &got));

    good.resume.position = 8192; /* Generation 0. */
    wal_checkpoint_encode(&good, data);
    CHECK(!wal_checkpoint_decode((struct bytes){data, sizeof data}, &got));
    good.resume.position = (64 << 10) + 4096; /* In the file's headers. */
    wal_checkpoint_encode(&good, data);
    CHECK(!wal_checkpoint_decode((struct bytes){data, sizeof data}, &got));
    put_le64(data + 8, 5000); /* Files of 5,000 bytes. */
    CHECK(!wal_checkpoint_decode((struct bytes){data, sizeof data}, &got));
}
