/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_snappy - unpack snappy, in the two forms that clients make.
 *
 *   librdkafka  one raw block
 *   Java        82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version 4 | compatible 4 | (bytes 4 | raw block)*
 *
 * The forms cannot be mixed up: a raw block that begins with Java's magic would copy from output
 * that is not there yet. Each block says its own unpacked size in front, so that it is held against
 * the room before anything is written. The library's call takes no memory of its own.
 */
#include <snappy-c.h>

#include "base/assert.h"
#include "base/codec.h"
#include "record/codec_table.h"
#include "record/compress.h"

static const uint8_t java_magic[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

enum {
    JAVA_HEADER_BYTES = 16,
    JAVA_PREFIX_BYTES = 4,
};

/* The raw blocks of a blob, one after the other. */
struct blocks {
    struct bytes rest;
    bool is_java;
};

static enum pyr_err corrupt(struct pyr_error *reterr, const char *reason)
{
    ASSERT(reason);
    return err_set(reterr, PYR_ERR_CORRUPT, "%s", reason);
}

static struct blocks blocks_of(struct bytes packed)
{
    struct blocks blocks = {.rest = packed};
    if (packed.count >= JAVA_HEADER_BYTES &&
        memcmp(packed.data, java_magic, sizeof java_magic) == 0) {
        blocks.is_java = true;
        blocks.rest.data += JAVA_HEADER_BYTES;
        blocks.rest.count -= JAVA_HEADER_BYTES;
    }
    return blocks;
}

/* Take the next raw block and how much it declares to unpack to. */
static enum pyr_err blocks_next(struct blocks *blocks,
                                struct bytes *ret_block,
                                size_t *ret_unpacked_bytes,
                                struct pyr_error *reterr)
{
    ASSERT(blocks->rest.count > 0);
    struct bytes block = blocks->rest;
    if (blocks->is_java) {
        if (block.count < JAVA_PREFIX_BYTES) {
            return corrupt(reterr, "cut between blocks");
        }
        size_t count = get_be32(block.data);
        if (count > block.count - JAVA_PREFIX_BYTES) {
            return corrupt(reterr, "block longer than what is left");
        }
        block = (struct bytes){.data = block.data + JAVA_PREFIX_BYTES, .count = count};
    }
    size_t unpacked_bytes = 0;
    if (snappy_uncompressed_length((const char *)block.data, block.count, &unpacked_bytes) !=
        SNAPPY_OK) {
        return corrupt(reterr, "block without a size");
    }
    ASSERT(block.data >= blocks->rest.data);
    ASSERT(block.data + block.count <= blocks->rest.data + blocks->rest.count);
    blocks->rest.count -= (size_t)(block.data + block.count - blocks->rest.data);
    blocks->rest.data = block.data + block.count;
    *ret_block = block;
    *ret_unpacked_bytes = unpacked_bytes;
    return PYR_OK;
}

static size_t snappy_workspace_bytes(void)
{
    return 0;
}

static enum pyr_err snappy_bytes_max(struct bytes packed,
                                     uint64_t *ret_bytes,
                                     bool *ret_is_exact,
                                     struct pyr_error *reterr)
{
    struct blocks blocks = blocks_of(packed);
    uint64_t bytes = 0;
    if (!blocks.is_java && packed.count == 0) {
        return corrupt(reterr, "nothing there");
    }
    /* Each turn takes at least one byte of the input. */
    while (blocks.rest.count > 0) {
        struct bytes block = {.data = NULL};
        size_t unpacked_bytes = 0;
        enum pyr_err err = blocks_next(&blocks, &block, &unpacked_bytes, reterr);
        if (err != PYR_OK) {
            return err;
        }
        bytes += unpacked_bytes;
    }
    *ret_bytes = bytes;
    *ret_is_exact = true;
    return PYR_OK;
}

static enum pyr_err snappy_unpack(struct bytes packed,
                                  struct bytes_mut workspace,
                                  struct bytes_mut out,
                                  size_t *ret_bytes,
                                  struct pyr_error *reterr)
{
    (void)workspace;
    ASSERT(out.data);
    if (packed.count == 0) {
        return corrupt(reterr, "nothing there");
    }
    struct blocks blocks = blocks_of(packed);
    size_t used = 0;
    while (blocks.rest.count > 0) {
        struct bytes block = {.data = NULL};
        size_t bytes = 0;
        enum pyr_err err = blocks_next(&blocks, &block, &bytes, reterr);
        if (err != PYR_OK) {
            return err;
        }
        if (bytes > out.count - used) {
            return err_set(reterr, PYR_ERR_TOO_LARGE, "it declares more than %zu bytes", out.count);
        }
        if (snappy_uncompress((const char *)block.data, block.count, (char *)out.data + used,
                              &bytes) != SNAPPY_OK) {
            return corrupt(reterr, "a block does not unpack");
        }
        used += bytes;
        ASSERT(used <= out.count); /* REC-6 */
    }
    *ret_bytes = used;
    return PYR_OK;
}

const struct codec_row codec_row_snappy = {
    .workspace_bytes = snappy_workspace_bytes,
    .bytes_max = snappy_bytes_max,
    .unpack = snappy_unpack,
};
