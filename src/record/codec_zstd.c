/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_zstd - unpack zstd, as clients other than ours may have packed.
 *
 * One frame is unpacked in one call: the output is the window, so that a frame which asks for a
 * window of gigabytes costs nothing. The decoder's state is placed into the workspace; the calls
 * for that belong to zstd's "static" interface, which its shared library exports since 1.4 and
 * which the build checks for. Frames of zstd before 0.8 are refused: their decoders use the heap.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "base/assert.h"
#include "base/codec.h"
#include "record/codec_table.h"
#include "record/compress.h"

static enum pyr_err corrupt(struct pyr_error *reterr, const char *reason)
{
    ASSERT(reason);
    return err_set(reterr, PYR_ERR_CORRUPT, "%s", reason);
}

/* Check that @packed is one frame from its first byte to its last. */
static enum pyr_err frame_check(struct bytes packed, struct pyr_error *reterr)
{
    if (packed.count < sizeof(uint32_t) || get_le32(packed.data) != ZSTD_MAGICNUMBER) {
        return corrupt(reterr, "no frame");
    }
    size_t frame_bytes = ZSTD_findFrameCompressedSize(packed.data, packed.count);
    if (ZSTD_isError(frame_bytes)) {
        return corrupt(reterr, ZSTD_getErrorName(frame_bytes));
    }
    if (frame_bytes != packed.count) {
        return corrupt(reterr, "bytes are left over behind the frame");
    }
    return PYR_OK;
}

static size_t zstd_workspace_bytes(void)
{
    size_t bytes = ZSTD_estimateDCtxSize();
    ASSERT(!ZSTD_isError(bytes));
    ASSERT(bytes > 0);
    return bytes;
}

static enum pyr_err zstd_bytes_max(struct bytes packed,
                                   uint64_t *ret_bytes,
                                   bool *ret_is_exact,
                                   struct pyr_error *reterr)
{
    enum pyr_err err = frame_check(packed, reterr);
    if (err != PYR_OK) {
        return err;
    }
    unsigned long long bytes = ZSTD_getFrameContentSize(packed.data, packed.count);
    if (bytes == ZSTD_CONTENTSIZE_ERROR) {
        return corrupt(reterr, "no frame");
    }
    *ret_is_exact = bytes != ZSTD_CONTENTSIZE_UNKNOWN;
    if (!*ret_is_exact) {
        bytes = ZSTD_decompressBound(packed.data, packed.count);
    }
    *ret_bytes = bytes;
    return PYR_OK;
}

static enum pyr_err zstd_unpack(struct bytes packed,
                                struct bytes_mut workspace,
                                struct bytes_mut out,
                                size_t *ret_bytes,
                                struct pyr_error *reterr)
{
    enum pyr_err err = frame_check(packed, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(out.data);
    ZSTD_DCtx *decoder = ZSTD_initStaticDCtx(workspace.data, workspace.count);
    ASSERT(decoder);
    size_t bytes = ZSTD_decompressDCtx(decoder, out.data, out.count, packed.data, packed.count);
    if (!ZSTD_isError(bytes)) {
        ASSERT(bytes <= out.count); /* REC-6 */
        *ret_bytes = bytes;
        return PYR_OK;
    }
    if (ZSTD_getErrorCode(bytes) == ZSTD_error_dstSize_tooSmall) {
        return err_set(reterr, PYR_ERR_TOO_LARGE, "it reaches more than %zu bytes", out.count);
    }
    return corrupt(reterr, ZSTD_getErrorName(bytes));
}

const struct codec_row codec_row_zstd = {
    .workspace_bytes = zstd_workspace_bytes,
    .bytes_max = zstd_bytes_max,
    .unpack = zstd_unpack,
};
