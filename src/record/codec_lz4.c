/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_lz4 - LZ4 frames, written and read by hand over LZ4's block calls.
 *
 * LZ4's own frame calls keep their state on the heap; a frame is little more than a list of blocks,
 * so we go through that list ourselves, and the blocks need no memory but input and output.
 *
 *   FLG bit   7-6 version 01 | 5 independent | 4 block checksums | 3 content size |
 *             2 content checksum | 1 reserved 0 | 0 dictionary
 *   BD        bits 6-4: 4, 5, 6, 7 for blocks of up to 64 KiB, 256 KiB, 1 MiB, 4 MiB
 *
 * Read is what any client may have made: linked blocks too, although Java refuses them, because the
 * blocks are unpacked next to one another in any case, so that the last 64 KiB are at hand.
 */
#include <lz4.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "base/limits.h"
#include "record/codec_table.h"
#include "record/compress.h"

#define LZ4_MAGIC UINT32_C(0x184D2204)

/* A block whose bytes are stored as they are. */
#define LZ4_STORED UINT32_C(0x80000000)

enum {
    FLG_VERSION_MASK = 0xc0,
    FLG_VERSION = 0x40,
    FLG_INDEPENDENT = 0x20,
    FLG_BLOCK_CHECKSUM = 0x10,
    FLG_CONTENT_BYTES = 0x08,
    FLG_CONTENT_CHECKSUM = 0x04,
    FLG_REFUSED_MASK = 0x03, /* Reserved, and a dictionary that nobody has agreed on. */

    BD_REFUSED_MASK = 0x8f,
    BD_SHIFT = 4,
    BD_MIN = 4, /* 64 KiB; each step is four times more. */

    MAGIC_BYTES = 4,
    FLG_POSITION = 4,
    BD_POSITION = 5,
    CONTENT_POSITION = 6,
    HEADER_BYTES_MIN = 7,
    HEADER_BYTES_MAX = 15,
    BLOCK_PREFIX_BYTES = 4,
    CHECKSUM_BYTES = 4,
    WINDOW_BYTES = 64 * 1024,
    PACK_BLOCK_BYTES = 64 * 1024,
    EXPANSION_MAX = 255, /* No block unpacks to more than this many times its bytes. */
};

/* A frame being read. */
struct frame {
    struct bytes packed;
    size_t position; /* Of the next block in `packed`. */
    uint8_t flags;
    size_t block_bytes_max;
    uint64_t content_bytes; /* If FLG_CONTENT_BYTES. */
};

/* One block of a frame. */
struct block {
    struct bytes data;
    bool is_stored;
    bool is_end; /* No block, but the mark behind the last. */
};

static enum pyr_err corrupt(struct pyr_error *reterr, const char *reason)
{
    ASSERT(reason);
    return err_set(reterr, PYR_ERR_CORRUPT, "%s", reason);
}

/* Return the checksum byte of the frame descriptor @data. */
static uint8_t header_check(const uint8_t *data, size_t count)
{
    ASSERT(data);
    ASSERT(count >= HEADER_BYTES_MIN - MAGIC_BYTES - 1);
    ASSERT(count <= HEADER_BYTES_MAX - MAGIC_BYTES - 1);
    return (uint8_t)(checksum_xxh32((struct bytes){.data = data, .count = count}) >> 8);
}

static enum pyr_err frame_open(struct bytes packed,
                               struct frame *ret_frame,
                               struct pyr_error *reterr)
{
    if (packed.count < HEADER_BYTES_MIN || get_le32(packed.data) != LZ4_MAGIC) {
        return corrupt(reterr, "no frame");
    }
    uint8_t flags = packed.data[FLG_POSITION];
    uint8_t descriptor = packed.data[BD_POSITION];
    if ((flags & FLG_VERSION_MASK) != FLG_VERSION || (flags & FLG_REFUSED_MASK) ||
        (descriptor & BD_REFUSED_MASK) || descriptor >> BD_SHIFT < BD_MIN) {
        return corrupt(reterr, "frame of an unknown kind");
    }
    size_t header_bytes = flags & FLG_CONTENT_BYTES ? HEADER_BYTES_MAX : HEADER_BYTES_MIN;
    if (packed.count < header_bytes) {
        return corrupt(reterr, "frame cut in its header");
    }
    const uint8_t *described = packed.data + FLG_POSITION;
    size_t described_bytes = header_bytes - MAGIC_BYTES - 1;
    if (packed.data[header_bytes - 1] != header_check(described, described_bytes)) {
        return corrupt(reterr, "frame header does not match its check");
    }
    ASSERT(header_bytes <= packed.count);
    *ret_frame = (struct frame){
        .packed = packed,
        .position = header_bytes,
        .flags = flags,
        .block_bytes_max = (size_t)WINDOW_BYTES << 2 * ((descriptor >> BD_SHIFT) - BD_MIN),
        .content_bytes = flags & FLG_CONTENT_BYTES ? get_le64(packed.data + CONTENT_POSITION) : 0,
    };
    return PYR_OK;
}

/* Take the next block, or the mark behind the last. */
static enum pyr_err frame_next(struct frame *frame,
                               struct block *ret_block,
                               struct pyr_error *reterr)
{
    ASSERT(frame->position <= frame->packed.count);

    size_t rest = frame->packed.count - frame->position;
    if (rest < BLOCK_PREFIX_BYTES) {
        return corrupt(reterr, "frame cut between blocks");
    }
    const uint8_t *at = frame->packed.data + frame->position;
    uint32_t prefix = get_le32(at);
    if (prefix == 0) {
        frame->position += BLOCK_PREFIX_BYTES;
        *ret_block = (struct block){.is_end = true};
        return PYR_OK;
    }
    size_t count = prefix & ~LZ4_STORED;
    size_t trailer = frame->flags & FLG_BLOCK_CHECKSUM ? CHECKSUM_BYTES : 0;
    if (count > frame->block_bytes_max || count + trailer > rest - BLOCK_PREFIX_BYTES) {
        return corrupt(reterr, "block larger than its frame allows");
    }
    struct bytes data = {.data = at + BLOCK_PREFIX_BYTES, .count = count};
    if (trailer > 0 && get_le32(data.data + count) != checksum_xxh32(data)) {
        return corrupt(reterr, "block does not match its checksum");
    }
    frame->position += BLOCK_PREFIX_BYTES + count + trailer;
    ASSERT(frame->position <= frame->packed.count);
    *ret_block = (struct block){.data = data, .is_stored = (prefix & LZ4_STORED) != 0};
    return PYR_OK;
}

/* Check what stands behind the last block: the content's checksum, and then nothing. */
static enum pyr_err frame_close(const struct frame *frame,
                                struct bytes content,
                                struct pyr_error *reterr)
{
    ASSERT(frame->position <= frame->packed.count);
    ASSERT(content.data);
    size_t rest = frame->packed.count - frame->position;
    size_t trailer = frame->flags & FLG_CONTENT_CHECKSUM ? CHECKSUM_BYTES : 0;
    if (rest < trailer) {
        return corrupt(reterr, "frame cut in its checksum");
    }
    if (rest > trailer) {
        return corrupt(reterr, "bytes are left over behind the frame");
    }
    const uint8_t *check = frame->packed.data + frame->position;
    if (trailer > 0 && get_le32(check) != checksum_xxh32(content)) {
        return corrupt(reterr, "content does not match its checksum");
    }
    if ((frame->flags & FLG_CONTENT_BYTES) && frame->content_bytes != content.count) {
        return corrupt(reterr, "content is shorter than declared");
    }
    return PYR_OK;
}

/* Unpack @block behind the @used bytes of @out, and return how many it gives, or -1. */
static int block_unpack(const struct frame *frame,
                        const struct block *block,
                        struct bytes_mut out,
                        size_t used)
{
    ASSERT(used <= out.count);
    ASSERT(!block->is_end);
    ASSERT(block->data.count <= frame->block_bytes_max);
    size_t room = out.count - used;
    if (room > frame->block_bytes_max) {
        room = frame->block_bytes_max;
    }
    if (block->is_stored) {
        if (block->data.count > room) {
            return -1;
        }
        memcpy(out.data + used, block->data.data, block->data.count);
        return (int)block->data.count;
    }
    const char *source = (const char *)block->data.data;
    char *target = (char *)out.data + used;
    if (frame->flags & FLG_INDEPENDENT) {
        return LZ4_decompress_safe(source, target, (int)block->data.count, (int)room);
    }
    size_t window = used < WINDOW_BYTES ? used : WINDOW_BYTES;
    return LZ4_decompress_safe_usingDict(source, target, (int)block->data.count, (int)room,
                                         target - window, (int)window);
}

static size_t lz4_workspace_bytes(void)
{
    return 0;
}

static enum pyr_err lz4_bytes_max(struct bytes packed,
                                  uint64_t *ret_bytes,
                                  bool *ret_is_exact,
                                  struct pyr_error *reterr)
{
    struct frame frame = {.position = 0};
    enum pyr_err err = frame_open(packed, &frame, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (frame.flags & FLG_CONTENT_BYTES) {
        *ret_bytes = frame.content_bytes;
        *ret_is_exact = true;
        return PYR_OK;
    }
    uint64_t bytes = 0;
    struct block block = {.is_end = false};
    for (err = frame_next(&frame, &block, reterr); err == PYR_OK && !block.is_end;
         err = frame_next(&frame, &block, reterr)) {
        uint64_t most = (uint64_t)block.data.count * (block.is_stored ? 1 : EXPANSION_MAX);
        bytes += most < frame.block_bytes_max ? most : frame.block_bytes_max;
    }
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(frame.position <= packed.count);
    *ret_bytes = bytes;
    *ret_is_exact = false;
    return PYR_OK;
}

static enum pyr_err lz4_unpack(struct bytes packed,
                               struct bytes_mut workspace,
                               struct bytes_mut out,
                               size_t *ret_bytes,
                               struct pyr_error *reterr)
{
    (void)workspace;
    ASSERT(out.data);
    struct frame frame = {.position = 0};
    enum pyr_err err = frame_open(packed, &frame, reterr);
    if (err != PYR_OK) {
        return err;
    }
    bool is_declared = (frame.flags & FLG_CONTENT_BYTES) != 0;
    if (is_declared) {
        if (frame.content_bytes > out.count) {
            return err_set(reterr, PYR_ERR_TOO_LARGE, "it declares more than %zu bytes", out.count);
        }
        out.count = (size_t)frame.content_bytes;
    }
    size_t used = 0;
    struct block block = {.is_end = false};
    /* Each turn takes four bytes of the input at least. */
    for (err = frame_next(&frame, &block, reterr); err == PYR_OK && !block.is_end;
         err = frame_next(&frame, &block, reterr)) {
        bool is_room_short = out.count - used < frame.block_bytes_max;
        int bytes = block_unpack(&frame, &block, out, used);
        if (bytes < 0 && is_room_short && !is_declared) {
            return err_set(reterr, PYR_ERR_TOO_LARGE, "it reaches more than %zu bytes", out.count);
        }
        if (bytes < 0) {
            return corrupt(reterr, "a block does not unpack");
        }
        used += (size_t)bytes;
        ASSERT(used <= out.count); /* REC-6 */
    }
    if (err != PYR_OK) {
        return err;
    }
    err = frame_close(&frame, (struct bytes){.data = out.data, .count = used}, reterr);
    if (err == PYR_OK) {
        *ret_bytes = used;
    }
    return err;
}

const struct codec_row codec_row_lz4 = {
    .workspace_bytes = lz4_workspace_bytes,
    .bytes_max = lz4_bytes_max,
    .unpack = lz4_unpack,
};

size_t compress_pack_workspace_bytes(void)
{
    int bytes = LZ4_sizeofState();
    ASSERT(bytes > 0);
    return (size_t)bytes;
}

size_t compress_packed_bytes_max(size_t bytes)
{
    /* A block that does not shrink is stored. */
    ASSERT((int64_t)bytes <= BATCH_UNPACKED_BYTES_MAX);
    size_t blocks = (bytes + PACK_BLOCK_BYTES - 1) / PACK_BLOCK_BYTES;
    return HEADER_BYTES_MAX + bytes + (blocks + 1) * BLOCK_PREFIX_BYTES;
}

/* Pack @data behind the room for its prefix at @out; return the bytes taken, 0 if it does not fit.
 */
static size_t block_pack(struct bytes data, struct bytes_mut workspace, struct bytes_mut out)
{
    ASSERT(data.count > 0);
    ASSERT(data.count <= PACK_BLOCK_BYTES);

    if (out.count <= BLOCK_PREFIX_BYTES) {
        return 0;
    }
    size_t room = out.count - BLOCK_PREFIX_BYTES;
    char *target = (char *)out.data + BLOCK_PREFIX_BYTES;
    int packed =
        LZ4_compress_fast_extState(workspace.data, (const char *)data.data, target, (int)data.count,
                                   (int)(room < data.count ? room : data.count - 1), 1);
    ASSERT(packed < (int)data.count);
    if (packed > 0) {
        put_le32(out.data, (uint32_t)packed);
        return BLOCK_PREFIX_BYTES + (size_t)packed;
    }
    if (room < data.count) {
        return 0;
    }
    put_le32(out.data, (uint32_t)data.count | LZ4_STORED);
    memcpy(target, data.data, data.count);
    return BLOCK_PREFIX_BYTES + data.count;
}

enum pyr_err compress_pack(struct bytes records,
                           struct bytes_mut workspace,
                           struct bytes_mut out,
                           size_t *ret_bytes,
                           struct pyr_error *reterr)
{
    ASSERT(records.data);
    ASSERT((int64_t)records.count <= BATCH_BYTES_MAX);
    ASSERT(workspace.count >= compress_pack_workspace_bytes());
    ASSERT((uintptr_t)workspace.data % COMPRESS_WORKSPACE_ALIGNMENT == 0);

    if (out.count < HEADER_BYTES_MAX + BLOCK_PREFIX_BYTES) {
        return err_set(reterr, PYR_ERR_TOO_LARGE, "no room for a frame");
    }
    put_le32(out.data, LZ4_MAGIC);
    out.data[FLG_POSITION] = FLG_VERSION | FLG_INDEPENDENT | FLG_CONTENT_BYTES;
    out.data[BD_POSITION] = BD_MIN << BD_SHIFT;
    put_le64(out.data + CONTENT_POSITION, records.count);
    out.data[HEADER_BYTES_MAX - 1] =
        header_check(out.data + FLG_POSITION, HEADER_BYTES_MAX - MAGIC_BYTES - 1);

    size_t used = HEADER_BYTES_MAX;
    size_t out_end = out.count - BLOCK_PREFIX_BYTES; /* The end mark's room is kept. */
    for (size_t position = 0; position < records.count; position += PACK_BLOCK_BYTES) {
        size_t rest = records.count - position;
        struct bytes data = {.data = records.data + position,
                             .count = rest < PACK_BLOCK_BYTES ? rest : PACK_BLOCK_BYTES};
        size_t bytes = block_pack(
            data, workspace, (struct bytes_mut){.data = out.data + used, .count = out_end - used});
        if (bytes == 0) {
            return err_set(reterr, PYR_ERR_TOO_LARGE, "packing does not fit into %zu bytes",
                           out.count);
        }
        used += bytes;
    }
    put_le32(out.data + used, 0);
    used += BLOCK_PREFIX_BYTES;
    ASSERT(used <= out.count);
    ASSERT(used <= compress_packed_bytes_max(records.count));
    *ret_bytes = used;
    return PYR_OK;
}
