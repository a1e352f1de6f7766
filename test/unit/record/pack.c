/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/pack - packing with the codecs' own libraries.
 */
#include "record/pack.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/codec.h"
#include "lib/case.h"
#include "record/batch.h"

enum { JAVA_BLOCK_BYTES = 32 * 1024, SLACK_BYTES = 4096 };

int pack_codec(enum pack_way way)
{
    static const int codecs[PACK_WAY_END] = {
        BATCH_CODEC_GZIP, BATCH_CODEC_SNAPPY, BATCH_CODEC_SNAPPY, BATCH_CODEC_LZ4,
        BATCH_CODEC_LZ4,  BATCH_CODEC_LZ4,    BATCH_CODEC_ZSTD,   BATCH_CODEC_ZSTD,
    };
    return codecs[way];
}

static size_t pack_gzip(struct bytes data, struct bytes_mut out)
{
    z_stream stream = {.next_in = bytes_unconst(data.data),
                       .avail_in = (unsigned)data.count,
                       .next_out = out.data,
                       .avail_out = (unsigned)out.count};
    CHECK_INT(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    CHECK_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
    CHECK_INT(deflateEnd(&stream), Z_OK);
    return stream.total_out;
}

static size_t pack_snappy(struct bytes data, struct bytes_mut out)
{
    size_t bytes = out.count;
    CHECK_INT(snappy_compress((const char *)data.data, data.count, (char *)out.data, &bytes), 0);
    return bytes;
}

static size_t pack_snappy_java(struct bytes data, struct bytes_mut out)
{
    static const uint8_t header[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
    memcpy(out.data, header, sizeof header);
    size_t used = sizeof header;
    for (size_t position = 0; position < data.count; position += JAVA_BLOCK_BYTES) {
        size_t rest = data.count - position;
        struct bytes block = {data.data + position,
                              rest < JAVA_BLOCK_BYTES ? rest : JAVA_BLOCK_BYTES};
        size_t bytes =
            pack_snappy(block, (struct bytes_mut){out.data + used + 4, out.count - used - 4});
        put_be32(out.data + used, (uint32_t)bytes);
        used += 4 + bytes;
    }
    return used;
}

static size_t pack_lz4(enum pack_way way, struct bytes data, struct bytes_mut out)
{
    LZ4F_preferences_t preferences = {.autoFlush = 0};
    if (way == PACK_WAY_LZ4_JAVA) {
        preferences.frameInfo.blockMode = LZ4F_blockIndependent;
        preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    }
    if (way == PACK_WAY_LZ4_CHECKED) {
        preferences.frameInfo.blockSizeID = LZ4F_max4MB;
        preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
        preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
        preferences.frameInfo.contentSize = data.count;
    }
    size_t bytes = LZ4F_compressFrame(out.data, out.count, data.data, data.count, &preferences);
    CHECK(!LZ4F_isError(bytes));
    return bytes;
}

static size_t pack_zstd(enum pack_way way, struct bytes data, struct bytes_mut out)
{
    ZSTD_CCtx *encoder = ZSTD_createCCtx();
    CHECK(encoder);
    int is_bytes_told = way == PACK_WAY_ZSTD;
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(encoder, ZSTD_c_contentSizeFlag, is_bytes_told)));
    size_t bytes = ZSTD_compress2(encoder, out.data, out.count, data.data, data.count);
    CHECK(!ZSTD_isError(bytes));
    CHECK_INT(ZSTD_freeCCtx(encoder), 0);
    return bytes;
}

struct bytes_mut pack(enum pack_way way, struct bytes data)
{
    struct bytes_mut out = {.count = 2 * data.count + SLACK_BYTES};
    out.data = malloc(out.count);
    CHECK(out.data);
    switch (way) {
    case PACK_WAY_GZIP:
        out.count = pack_gzip(data, out);
        break;
    case PACK_WAY_SNAPPY_RAW:
        out.count = pack_snappy(data, out);
        break;
    case PACK_WAY_SNAPPY_JAVA:
        out.count = pack_snappy_java(data, out);
        break;
    case PACK_WAY_LZ4_JAVA:
    case PACK_WAY_LZ4_DEFAULTS:
    case PACK_WAY_LZ4_CHECKED:
        out.count = pack_lz4(way, data, out);
        break;
    case PACK_WAY_ZSTD:
    case PACK_WAY_ZSTD_STREAM:
        out.count = pack_zstd(way, data, out);
        break;
    case PACK_WAY_END:
        break;
    }
    return out;
}
