/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/compress - choosing the codec, and the checks that all of them share.
 */
#include "record/compress.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/limits.h"
#include "record/codec_table.h"

/* Return the row of @codec, or NULL if it is none, unknown or not built in. */
static const struct codec_row *row_find(enum batch_codec codec)
{
    const struct codec_row *row = NULL;
    switch (codec) {
    case BATCH_CODEC_NONE:
        break;
    case BATCH_CODEC_GZIP:
        row = &codec_row_gzip;
        break;
    case BATCH_CODEC_SNAPPY:
        row = &codec_row_snappy;
        break;
    case BATCH_CODEC_LZ4:
        row = &codec_row_lz4;
        break;
    case BATCH_CODEC_ZSTD:
        row = &codec_row_zstd;
        break;
    }
    if (!row || !row->unpack) {
        return NULL;
    }
    ASSERT(row->workspace_bytes);
    ASSERT(row->bytes_max);
    return row;
}

static enum pyr_err unsupported(enum batch_codec codec, struct pyr_error *reterr)
{
    ASSERT(!row_find(codec));
    return err_set(reterr, PYR_ERR_UNSUPPORTED, "codec %d (%s) is not built in", (int)codec,
                   batch_codec_name(codec));
}

bool compress_is_built_in(enum batch_codec codec)
{
    return codec == BATCH_CODEC_NONE || row_find(codec);
}

size_t compress_unpack_workspace_bytes(enum batch_codec codec)
{
    const struct codec_row *row = row_find(codec);
    size_t bytes = row ? row->workspace_bytes() : 0;
    ASSERT((int64_t)bytes <= MIB); /* Small beside what it unpacks. */
    return bytes;
}

enum pyr_err compress_unpacked_bytes_max(enum batch_codec codec,
                                         struct bytes packed,
                                         size_t *ret_bytes,
                                         struct pyr_error *reterr)
{
    ASSERT(packed.data || packed.count == 0);
    ASSERT(ret_bytes);

    const struct codec_row *row = row_find(codec);
    if (!row) {
        return unsupported(codec, reterr);
    }
    uint64_t bytes = 0;
    bool is_exact = false;
    enum pyr_err err = row->bytes_max(packed, &bytes, &is_exact, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (bytes > BATCH_UNPACKED_BYTES_MAX) {
        if (is_exact) {
            return err_set(reterr, PYR_ERR_TOO_LARGE,
                           "%s declares %" PRIu64 " bytes, the limit is %" PRId64,
                           batch_codec_name(codec), bytes, (int64_t)BATCH_UNPACKED_BYTES_MAX);
        }
        bytes = BATCH_UNPACKED_BYTES_MAX;
    }
    ASSERT(bytes <= BATCH_UNPACKED_BYTES_MAX);
    *ret_bytes = bytes > 0 ? (size_t)bytes : 1;
    return PYR_OK;
}

enum pyr_err compress_unpack(enum batch_codec codec,
                             struct bytes packed,
                             struct bytes_mut workspace,
                             struct bytes_mut out,
                             size_t *ret_bytes,
                             struct pyr_error *reterr)
{
    ASSERT(packed.data || packed.count == 0);
    ASSERT(ret_bytes);
    ASSERT(out.data);
    ASSERT(out.count > 0);
    ASSERT((uintptr_t)workspace.data % COMPRESS_WORKSPACE_ALIGNMENT == 0);
    ASSERT(workspace.count >= compress_unpack_workspace_bytes(codec));

    const struct codec_row *row = row_find(codec);
    if (!row) {
        return unsupported(codec, reterr);
    }
    size_t bytes = 0;
    enum pyr_err err = row->unpack(packed, workspace, out, &bytes, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "unpack %s", batch_codec_name(codec));
        return err;
    }
    ASSERT(bytes <= out.count); /* REC-6 */
    *ret_bytes = bytes;
    return PYR_OK;
}
