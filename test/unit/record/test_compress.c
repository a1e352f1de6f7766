/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing and unpacking: every codec's own library on the other side, bombs, and damage. Goes
 * through record/compress.c, record/codec_lz4.c, record/codec_gzip.c, record/codec_snappy.c and
 * record/codec_zstd.c.
 */
#include <lz4frame.h>

#include "base/checksum.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/prng.h"
#include "lib/case.h"
#include "record/batch.h"
#include "record/compress.h"
#include "record/golden.h"
#include "record/pack.h"
#include "record/walk.h"

/* -- Helpers -- */

enum { GUARD_BYTES = 64, GUARD = 0xa7 };

/* LZ4 wants some room more than it fills. */
enum { MARGIN_BYTES = 32 };

/* Memory of exactly some bytes with a guard behind, so that a write past it is seen without a
 * sanitizer too. */
static struct bytes_mut guarded(size_t count)
{
    struct bytes_mut memory = {.data = malloc(count + GUARD_BYTES), .count = count};
    CHECK(memory.data);
    memset(memory.data + count, GUARD, GUARD_BYTES);
    return memory;
}

static void guarded_free(struct bytes_mut memory)
{
    for (size_t index = 0; index < GUARD_BYTES; index++) {
        CHECK_INT(memory.data[memory.count + index], GUARD);
    }
    free(memory.data);
}

static struct bytes view(struct bytes_mut memory)
{
    return (struct bytes){.data = memory.data, .count = memory.count};
}

/* Text-like bytes: noise among repeats, @noise_share of 8. */
static struct bytes_mut text_make(size_t count, uint64_t seed, unsigned noise_share)
{
    struct bytes_mut text = {.data = malloc(count + 1), .count = count};
    CHECK(text.data);
    struct prng prng = prng_of(seed, 0);
    for (size_t index = 0; index < count; index++) {
        bool is_noise = index < 64 || prng_below(&prng, 8) < noise_share;
        text.data[index] = is_noise ? (uint8_t)prng_next(&prng) : text.data[index - 64];
    }
    return text;
}

/* Unpack into memory of @room bytes and hold it against @expected if it succeeds. */
static enum pyr_err unpack(enum batch_codec codec,
                           struct bytes packed,
                           size_t room,
                           struct bytes expected)
{
    struct bytes_mut out = guarded(room);
    struct bytes_mut workspace = guarded(compress_unpack_workspace_bytes(codec));
    size_t bytes = 0;
    struct pyr_error error = {.message = ""};
    enum pyr_err err = compress_unpack(codec, packed, workspace, out, &bytes, &error);
    if (err == PYR_OK) {
        CHECK(bytes <= room);
        CHECK(bytes_equal((struct bytes){out.data, bytes}, expected));
    } else {
        CHECK_INT(bytes, 0);
        CHECK(strlen(error.message) > 0);
    }
    guarded_free(out);
    guarded_free(workspace);
    return err;
}

static const size_t sizes[] = {0, 1, 100, 4096, 65535, 65536, 65537, 200000, 5000000};

/* -- compress_unpack -- */

/* Pack @text in @way and have it back, with as much memory as was told, as needed, and less. */
static void round_trip(enum pack_way way, struct bytes_mut text)
{
    struct bytes_mut packed = pack(way, view(text));
    enum batch_codec codec = (enum batch_codec)pack_codec(way);
    size_t room = 0;
    CHECK_INT(compress_unpacked_bytes_max(codec, view(packed), &room, NULL), PYR_OK);
    CHECK(room >= text.count);
    CHECK_INT(unpack(codec, view(packed), room, view(text)), PYR_OK);
    if (text.count > 1) {
        CHECK_INT(unpack(codec, view(packed), text.count, view(text)), PYR_OK);
        CHECK_INT(unpack(codec, view(packed), text.count - 1, view(text)), PYR_ERR_TOO_LARGE);
    }
    free(packed.data);
}

/* Whatever a client packed, in any of its forms and sizes, comes back; memory of the size that was
 * told is enough, and one byte less than needed is refused without a write past it. */
TEST(compress_unpack, reads_what_each_codecs_own_library_packed)
{
    for (size_t nth = 0; nth < sizeof sizes / sizeof sizes[0]; nth++) {
        for (enum pack_way way = 0; way < PACK_WAY_END; way++) {
            struct bytes_mut text = text_make(sizes[nth], nth, 2);

            round_trip(way, text);

            free(text.data);
        }
    }
}

/* A batch that another program packed, from header to records. */
TEST(compress_unpack, reads_the_golden_batch)
{
    struct bytes data = {golden_batch_lz4, sizeof golden_batch_lz4};
    struct batch_header header;
    CHECK_INT(batch_header_read(data, &header, NULL), PYR_OK);
    CHECK_INT(batch_verify(data, &header, NULL), PYR_OK);
    uint8_t records[96];
    size_t bytes = 0;

    CHECK_INT(compress_unpack(batch_codec(&header), batch_records(data, &header),
                              (struct bytes_mut){.data = NULL},
                              (struct bytes_mut){records, sizeof records}, &bytes, NULL),
              PYR_OK);

    CHECK_INT(bytes, 96);
    struct walk walk;
    walk_init(&walk, &header, (struct bytes){records, bytes});
    struct record_view record;
    char expected[] = "pyralog-pyralog-pyralog-0";
    while (walk_next(&walk, &record)) {
        CHECK(record_is_null(record.key));
        CHECK(bytes_equal(record.value, bytes_of_text(expected)));
        CHECK_INT(record.timestamp, GOLDEN_TIMESTAMP + record.offset);
        expected[sizeof expected - 2]++;
    }
    CHECK_INT(walk_end(&walk, NULL), PYR_OK);
    CHECK_TEXT(expected, "pyralog-pyralog-pyralog-3");
}

/* One frame to its last byte: what is left over would be bytes that nobody ever looks at. */
TEST(compress_unpack, refuses_bytes_left_over_and_bytes_missing)
{
    struct bytes_mut text = text_make(3000, 5, 2);
    for (enum pack_way way = 0; way < PACK_WAY_END; way++) {
        struct bytes_mut packed = pack(way, view(text));
        enum batch_codec codec = (enum batch_codec)pack_codec(way);
        struct bytes_mut longer = guarded(packed.count + 1);
        memcpy(longer.data, packed.data, packed.count);
        longer.data[packed.count] = 0;

        CHECK_INT(unpack(codec, view(longer), 200000, view(text)), PYR_ERR_CORRUPT);
        guarded_free(longer);
        longer = guarded(2 * packed.count); /* Two frames, each of them good. */
        memcpy(longer.data, packed.data, packed.count);
        memcpy(longer.data + packed.count, packed.data, packed.count);
        CHECK_INT(unpack(codec, view(longer), 200000, view(text)), PYR_ERR_CORRUPT);
        for (size_t count = 0; count < packed.count; count++) {
            /* Java's snappy has no end mark: cut between blocks, nothing is missed, and the batch's
             * crc and record count are what finds it. */
            bool is_between = way == PACK_WAY_SNAPPY_JAVA && count == 16;
            uint8_t *cut = malloc(count + 1);
            CHECK(cut);
            memcpy(cut, packed.data, count);
            enum pyr_err err = unpack(codec, (struct bytes){cut, count}, 200000,
                                      is_between ? (struct bytes){.data = NULL} : view(text));
            CHECK_INT(err, is_between ? PYR_OK : PYR_ERR_CORRUPT);
            free(cut);
        }
        guarded_free(longer);
        free(packed.data);
    }
    free(text.data);
}

/* Unpack @packed into @out whatever becomes of it. */
static void unpack_damaged(enum batch_codec codec,
                           struct bytes packed,
                           struct bytes_mut workspace,
                           struct bytes_mut out)
{
    size_t bytes = 0;
    if (compress_unpack(codec, packed, workspace, out, &bytes, NULL) == PYR_OK) {
        CHECK(bytes <= out.count);
    }
}

/* REC-6: damage is found or harmless; no write leaves the memory (guards, and sanitizers). */
TEST(compress_unpack, stays_inside_whatever_bit_is_flipped)
{
    struct bytes_mut text = text_make(700, 9, 1);
    struct bytes_mut out = guarded(1000);
    for (enum pack_way way = 0; way < PACK_WAY_END; way++) {
        struct bytes_mut packed = pack(way, view(text));
        enum batch_codec codec = (enum batch_codec)pack_codec(way);
        struct bytes_mut workspace = guarded(compress_unpack_workspace_bytes(codec));
        for (size_t bit = 0; bit < packed.count * 8; bit++) {
            packed.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            unpack_damaged(codec, view(packed), workspace, out);
            packed.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        }
        guarded_free(workspace);
        free(packed.data);
    }
    guarded_free(out);
    free(text.data);
}

/* A bomb: 200 MB of zeros take a few KB. The one that says so is refused before a byte is written,
 * the one that does not is refused at the limit. */
TEST(compress_unpack, refuses_bombs)
{
    struct bytes_mut zeros = {.data = calloc(1, 3 * (size_t)BATCH_UNPACKED_BYTES_MAX),
                              .count = 3 * (size_t)BATCH_UNPACKED_BYTES_MAX};
    CHECK(zeros.data);
    for (enum pack_way way = 0; way < PACK_WAY_END; way++) {
        struct bytes_mut packed = pack(way, view(zeros));
        enum batch_codec codec = (enum batch_codec)pack_codec(way);
        size_t room = 0;

        enum pyr_err err = compress_unpacked_bytes_max(codec, view(packed), &room, NULL);

        bool is_declared =
            way != PACK_WAY_ZSTD_STREAM && way != PACK_WAY_LZ4_JAVA && way != PACK_WAY_LZ4_DEFAULTS;
        CHECK_INT(err, is_declared ? PYR_ERR_TOO_LARGE : PYR_OK);
        CHECK(is_declared || room == (size_t)BATCH_UNPACKED_BYTES_MAX);
        CHECK_INT(unpack(codec, view(packed), 1 << 20, view(zeros)), PYR_ERR_TOO_LARGE);
        free(packed.data);
    }
    free(zeros.data);
}

/* The optional checksums of a frame are looked at: the content's last four bytes, and the four
 * behind the only block. */
TEST(compress_unpack, checks_what_a_frame_says_of_its_content)
{
    struct bytes_mut text = text_make(3000, 5, 2);
    struct bytes_mut packed = pack(PACK_WAY_LZ4_CHECKED, view(text));
    CHECK_INT(unpack(BATCH_CODEC_LZ4, view(packed), 3000, view(text)), PYR_OK);

    packed.data[packed.count - 1] ^= 1;
    CHECK_INT(unpack(BATCH_CODEC_LZ4, view(packed), 3000, view(text)), PYR_ERR_CORRUPT);
    packed.data[packed.count - 1] ^= 1;
    packed.data[packed.count - 9] ^= 1;
    CHECK_INT(unpack(BATCH_CODEC_LZ4, view(packed), 3000, view(text)), PYR_ERR_CORRUPT);

    free(packed.data);
    free(text.data);
}

/* A frame that declares little and brings much is damage, not a large batch. */
TEST(compress_unpack, refuses_a_frame_that_declares_another_count)
{
    struct bytes_mut text = text_make(3000, 5, 2);
    struct bytes_mut packed = pack(PACK_WAY_LZ4_CHECKED, view(text));
    static const uint64_t declared[] = {0, 1, 2999, 3001, 100000, UINT64_MAX};
    for (size_t index = 0; index < sizeof declared / sizeof declared[0]; index++) {
        put_le64(packed.data + 6, declared[index]);
        packed.data[14] = (uint8_t)(checksum_xxh32((struct bytes){packed.data + 4, 10}) >> 8);

        enum pyr_err err = unpack(BATCH_CODEC_LZ4, view(packed), 200000, view(text));

        CHECK_INT(err, declared[index] > 200000 ? PYR_ERR_TOO_LARGE : PYR_ERR_CORRUPT);
    }
    free(packed.data);
    free(text.data);
}

/* A frame of a kind that nobody has agreed on, its header's check being right. */
TEST(compress_unpack, refuses_frames_of_unknown_kinds)
{
    static const struct {
        uint8_t flags;
        uint8_t descriptor;
        enum pyr_err expected;
    } cases[] = {
        {0x60, 0x40, PYR_OK},          {0x60, 0x30, PYR_ERR_CORRUPT}, {0x60, 0xc0, PYR_ERR_CORRUPT},
        {0x60, 0x41, PYR_ERR_CORRUPT}, {0x61, 0x40, PYR_ERR_CORRUPT}, {0x62, 0x40, PYR_ERR_CORRUPT},
        {0x20, 0x40, PYR_ERR_CORRUPT}, {0xa0, 0x40, PYR_ERR_CORRUPT}, {0x40, 0x70, PYR_OK},
    };
    struct bytes_mut text = text_make(3000, 5, 2);
    struct bytes_mut packed = pack(PACK_WAY_LZ4_JAVA, view(text));
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        packed.data[4] = cases[index].flags;
        packed.data[5] = cases[index].descriptor;
        packed.data[6] = (uint8_t)(checksum_xxh32((struct bytes){packed.data + 4, 2}) >> 8);

        CHECK_INT(unpack(BATCH_CODEC_LZ4, view(packed), 5000000, view(text)),
                  cases[index].expected);
    }
    free(packed.data);
    free(text.data);
}

/* The numbers 5 to 7 are no codecs, and "none" is not packed. */
TEST(compress_unpack, refuses_codecs_that_do_not_exist)
{
    for (int codec = 5; codec <= 7; codec++) {
        CHECK(!compress_is_built_in((enum batch_codec)codec));
        CHECK_INT(unpack((enum batch_codec)codec, bytes_of_text("x"), 10, bytes_of_text("x")),
                  PYR_ERR_UNSUPPORTED);
    }
    CHECK(compress_is_built_in(BATCH_CODEC_LZ4));
}

/* -- compress_pack -- */

/* LZ4's own frame reader takes what we pack, and so does ours; each frame is of independent 64 KiB
 * blocks (FLG bit 5), which is what Java insists on, above one block too. */
TEST(compress_pack, makes_frames_that_others_read)
{
    for (size_t nth = 0; nth < sizeof sizes / sizeof sizes[0]; nth++) {
        for (unsigned noise_share = 0; noise_share <= 8; noise_share += 4) {
            struct bytes_mut text = text_make(sizes[nth], nth, noise_share);
            struct bytes_mut workspace = guarded(compress_pack_workspace_bytes());
            struct bytes_mut out = guarded(compress_packed_bytes_max(text.count));
            size_t bytes = 0;

            CHECK_INT(compress_pack(view(text), workspace, out, &bytes, NULL), PYR_OK);

            CHECK_INT(out.data[4], 0x68);
            CHECK_INT(out.data[5], 0x40);
            CHECK_INT(unpack(BATCH_CODEC_LZ4, (struct bytes){out.data, bytes}, text.count + 1,
                             view(text)),
                      PYR_OK);
            struct bytes_mut back = guarded(text.count);
            LZ4F_dctx *decoder = NULL;
            CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&decoder, LZ4F_VERSION)));
            size_t back_bytes = back.count;
            size_t taken = bytes;
            CHECK_INT(LZ4F_decompress(decoder, back.data, &back_bytes, out.data, &taken, NULL), 0);
            CHECK_INT(taken, bytes);
            CHECK(bytes_equal((struct bytes){back.data, back_bytes}, view(text)));
            CHECK_INT(LZ4F_freeDecompressionContext(decoder), 0);
            guarded_free(back);
            guarded_free(out);
            guarded_free(workspace);
            free(text.data);
        }
    }
}

/* Pack into ever more room: no write past it, and the same bytes once it is enough. */
static void pack_into_every_room(unsigned noise_share)
{
    struct bytes_mut text = text_make(70000, 3, noise_share);
    struct bytes_mut workspace = guarded(compress_pack_workspace_bytes());
    struct bytes_mut whole = guarded(compress_packed_bytes_max(text.count));
    size_t needed = 0;
    CHECK_INT(compress_pack(view(text), workspace, whole, &needed, NULL), PYR_OK);
    for (size_t room = 0; room <= needed + 100;
         room += room < 100 || room > needed - 200 ? 1 : 97) {
        struct bytes_mut out = guarded(room);
        size_t bytes = 0;

        enum pyr_err err = compress_pack(view(text), workspace, out, &bytes, NULL);

        if (err == PYR_OK) {
            CHECK(bytes <= room);
            CHECK(bytes_equal((struct bytes){out.data, bytes}, (struct bytes){whole.data, needed}));
        } else {
            CHECK_INT(err, PYR_ERR_TOO_LARGE);
            CHECK(room < needed + MARGIN_BYTES);
        }
        guarded_free(out);
    }
    guarded_free(whole);
    guarded_free(workspace);
    free(text.data);
}

/* Short room is how the adaptive rule stops a useless try. Noise is stored as it is, which is
 * another way to run past the room. */
TEST(compress_pack, stops_at_the_room_given)
{
    pack_into_every_room(4);
    pack_into_every_room(8);
}
