/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_gzip - unpack gzip, as clients other than ours may have packed.
 *
 * One member is unpacked in one call into the whole output. zlib takes its state and window from
 * the workspace through its allocation hooks: a pointer that only moves up.
 */
#include <stdalign.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "record/codec_table.h"
#include "record/compress.h"

enum {
    /* 15 bits of window, which is deflate's largest, and 16: gzip's header and trailer only. */
    WINDOW_BITS = 15 + 16,

    /* zlib 1.2 takes about 7 KiB of state and 32 KiB of window; twice that leaves room. */
    WORKSPACE_BYTES = 80 * 1024,

    MEMBER_BYTES_MIN = 18,
    TRAILER_BYTES_AT_END = 4, /* The size of the content, modulo 2^32. */
};

ASSERT_STATIC(BATCH_UNPACKED_BYTES_MAX <= UINT32_MAX, "the trailer's size is not cut at our limit");

static void *workspace_take(void *opaque, unsigned count, unsigned bytes_each)
{
    struct bytes_mut *left = opaque;
    ASSERT(left->data);
    ASSERT((uintptr_t)left->data % COMPRESS_WORKSPACE_ALIGNMENT == 0);
    uint64_t bytes = align_up((uint64_t)count * bytes_each, COMPRESS_WORKSPACE_ALIGNMENT);
    if (bytes > left->count) {
        return NULL;
    }
    void *taken = left->data;
    left->data += bytes;
    left->count -= (size_t)bytes;
    return taken;
}

static void workspace_give(void *opaque, void *address)
{
    (void)opaque;
    (void)address;
}

static size_t gzip_workspace_bytes(void)
{
    return WORKSPACE_BYTES;
}

static enum pyr_err gzip_bytes_max(struct bytes packed,
                                   uint64_t *ret_bytes,
                                   bool *ret_is_exact,
                                   struct pyr_error *reterr)
{
    if (packed.count < MEMBER_BYTES_MIN) {
        return err_set(reterr, PYR_ERR_CORRUPT, "gzip cut after %zu bytes", packed.count);
    }
    *ret_bytes = get_le32(packed.data + packed.count - TRAILER_BYTES_AT_END);
    *ret_is_exact = true;
    return PYR_OK;
}

static enum pyr_err gzip_unpack(struct bytes packed,
                                struct bytes_mut workspace,
                                struct bytes_mut out,
                                size_t *ret_bytes,
                                struct pyr_error *reterr)
{
    ASSERT(workspace.count >= WORKSPACE_BYTES);
    ASSERT(packed.count <= UINT32_MAX);
    ASSERT(out.count <= UINT32_MAX);

    struct bytes_mut left = workspace;
    z_stream stream = {
        .next_in = packed.data,
        .avail_in = (unsigned)packed.count,
        .next_out = out.data,
        .avail_out = (unsigned)out.count,
        .zalloc = workspace_take,
        .zfree = workspace_give,
        .opaque = &left,
    };
    int status = inflateInit2(&stream, WINDOW_BITS);
    if (status != Z_OK) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED, "zlib does not start: status %d", status);
    }
    status = inflate(&stream, Z_FINISH);
    unsigned left_in = stream.avail_in;
    size_t bytes = out.count - stream.avail_out;
    ASSERT(bytes <= out.count); /* REC-6 */
    (void)inflateEnd(&stream);  /* Nothing to release: the workspace is the caller's. */

    if (status == Z_STREAM_END && left_in == 0) {
        *ret_bytes = bytes;
        return PYR_OK;
    }
    if (status == Z_STREAM_END) {
        return err_set(reterr, PYR_ERR_CORRUPT, "%u bytes are left over", left_in);
    }
    if (status == Z_BUF_ERROR && bytes == out.count && left_in > 0) {
        return err_set(reterr, PYR_ERR_TOO_LARGE, "it reaches more than %zu bytes", out.count);
    }
    return err_set(reterr, PYR_ERR_CORRUPT, "damaged or cut after %zu bytes of output", bytes);
}

const struct codec_row codec_row_gzip = {
    .workspace_bytes = gzip_workspace_bytes,
    .bytes_max = gzip_bytes_max,
    .unpack = gzip_unpack,
};
