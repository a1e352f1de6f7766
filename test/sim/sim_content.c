/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/content - blocks, chunks and contents with counts of users, copied when they are changed.
 */
#include "sim/sim_content.h"

#include <stdlib.h>

#include "base/assert.h"

#define CHUNK_BYTES ((int64_t)CHUNK_BLOCKS * BLOCK_BYTES)
#define MASK_ALL    ((1U << SECTORS_PER_BLOCK) - 1)

struct sim_chunk {
    uint32_t users;
    struct sim_block *blocks[CHUNK_BLOCKS];
};

struct sim_content {
    uint32_t users;
    int64_t bytes;
    uint64_t blocks_used;
    size_t chunk_count;
    struct sim_chunk **chunks;
};

/* Stands for every reserved block; it is never counted, changed or freed. */
static const struct sim_block zero_block = {.users = 1};

static void *must(void *memory)
{
    if (!memory) {
        abort(); /* The simulator itself is not under test. */
    }
    return memory;
}

static struct sim_block *zeros(void)
{
    return bytes_unconst(&zero_block);
}

/* -- Blocks -- */

struct sim_block *block_create(const uint8_t *data)
{
    struct sim_block *block = must(malloc(sizeof *block));
    block->users = 1;
    if (data) {
        memcpy(block->data, data, BLOCK_BYTES);
    } else {
        memset(block->data, 0, BLOCK_BYTES);
    }
    return block;
}

struct sim_block *block_ref(struct sim_block *block)
{
    if (block != &zero_block) {
        block->users++;
    }
    return block;
}

void block_unref(struct sim_block *block)
{
    if (!block || block == &zero_block) {
        return;
    }
    ASSERT(block->users > 0);
    block->users--;
    if (block->users == 0) {
        free(block);
    }
}

/* -- Chunks -- */

static void chunk_unref(struct sim_chunk *chunk)
{
    if (!chunk) {
        return;
    }
    ASSERT(chunk->users > 0);
    chunk->users--;
    if (chunk->users > 0) {
        return;
    }
    for (size_t index = 0; index < CHUNK_BLOCKS; index++) {
        block_unref(chunk->blocks[index]);
    }
    free(chunk);
}

/* Make the chunk at *place one that only its content uses. */
static struct sim_chunk *chunk_own(struct sim_chunk **place)
{
    struct sim_chunk *chunk = *place;
    if (chunk && chunk->users == 1) {
        return chunk;
    }
    struct sim_chunk *own = must(calloc(1, sizeof *own));
    own->users = 1;
    for (size_t index = 0; chunk && index < CHUNK_BLOCKS; index++) {
        own->blocks[index] = chunk->blocks[index] ? block_ref(chunk->blocks[index]) : NULL;
    }
    chunk_unref(chunk);
    *place = own;
    return own;
}

/* -- Contents -- */

struct sim_content *content_create(void)
{
    struct sim_content *content = must(calloc(1, sizeof *content));
    content->users = 1;
    return content;
}

struct sim_content *content_ref(struct sim_content *content)
{
    ASSERT(content->users > 0);
    content->users++;
    return content;
}

void content_unref(struct sim_content *content)
{
    ASSERT(content->users > 0);
    content->users--;
    if (content->users > 0) {
        return;
    }
    for (size_t index = 0; index < content->chunk_count; index++) {
        chunk_unref(content->chunks[index]);
    }
    free(content->chunks);
    free(content);
}

/* Return a content with one user, the chunks of `content` and room for `chunk_count`. */
static struct sim_content *content_copy(const struct sim_content *content, size_t chunk_count)
{
    struct sim_content *own = must(malloc(sizeof *own));
    *own = *content;
    own->users = 1;
    own->chunks = must(calloc(chunk_count + 1, sizeof(struct sim_chunk *)));

    for (size_t index = 0; index < content->chunk_count; index++) {
        own->chunks[index] = content->chunks[index];
        if (own->chunks[index]) {
            own->chunks[index]->users++;
        }
    }
    return own;
}

/* Make *place a content with one user and with room for `bytes`. */
static struct sim_content *content_own(struct sim_content **place, int64_t bytes)
{
    struct sim_content *content = *place;
    size_t chunk_count = (size_t)((bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);
    chunk_count = chunk_count > content->chunk_count ? chunk_count : content->chunk_count;

    if (content->users > 1) {
        *place = content_copy(content, chunk_count);
        content->users--;
    } else if (chunk_count > content->chunk_count) {
        content->chunks = must(realloc(content->chunks, chunk_count * sizeof(struct sim_chunk *)));
        memset(content->chunks + content->chunk_count, 0,
               (chunk_count - content->chunk_count) * sizeof(struct sim_chunk *));
    }
    (*place)->chunk_count = chunk_count;
    return *place;
}

int64_t content_bytes(const struct sim_content *content)
{
    return content->bytes;
}

uint64_t content_blocks_used(const struct sim_content *content)
{
    return content->blocks_used;
}

struct sim_block *content_block(const struct sim_content *content, uint64_t index)
{
    size_t chunk = index / CHUNK_BLOCKS;
    if (chunk >= content->chunk_count || !content->chunks[chunk]) {
        return NULL;
    }
    return content->chunks[chunk]->blocks[index % CHUNK_BLOCKS];
}

/* Put `block` (a use of it is taken over; NULL makes a hole) at `index`. The content is owned. */
static void block_set(struct sim_content *content, uint64_t index, struct sim_block *block)
{
    ASSERT(index / CHUNK_BLOCKS < content->chunk_count);

    struct sim_chunk *chunk = chunk_own(&content->chunks[index / CHUNK_BLOCKS]);
    struct sim_block *before = chunk->blocks[index % CHUNK_BLOCKS];
    content->blocks_used += (uint64_t)(block != NULL) - (uint64_t)(before != NULL);
    chunk->blocks[index % CHUNK_BLOCKS] = block;
    block_unref(before);
}

/* Return block `index` as one that may be changed. The content is owned. */
static struct sim_block *block_own(struct sim_content *content, uint64_t index)
{
    struct sim_block *block = content_block(content, index);
    bool is_own = block && block != &zero_block && block->users == 1 &&
                  content->chunks[index / CHUNK_BLOCKS]->users == 1;
    if (!is_own) {
        block = block_create(block ? block->data : NULL);
        block_set(content, index, block);
    }
    return block;
}

uint64_t content_blocks_missing(const struct sim_content *content, int64_t begin, int64_t end)
{
    uint64_t missing = 0;

    for (int64_t at = (int64_t)align_down((uint64_t)begin, BLOCK_BYTES); at < end;
         at += BLOCK_BYTES) {
        missing += content_block(content, (uint64_t)at / BLOCK_BYTES) == NULL;
    }
    return missing;
}

size_t content_read(const struct sim_content *content, int64_t position, struct bytes_mut span)
{
    if (position >= content->bytes) {
        return 0;
    }
    size_t left = (size_t)(content->bytes - position);
    size_t count = span.count < left ? span.count : left;
    size_t done = 0;
    while (done < count) {
        uint64_t at = (uint64_t)position + done;
        size_t within = at % BLOCK_BYTES;
        size_t piece = BLOCK_BYTES - within < count - done ? BLOCK_BYTES - within : count - done;
        const struct sim_block *block = content_block(content, at / BLOCK_BYTES);
        if (block) {
            memcpy(span.data + done, block->data + within, piece);
        } else {
            memset(span.data + done, 0, piece);
        }
        done += piece;
    }
    return count;
}

void content_trim(struct sim_content **place)
{
    int64_t bytes = (*place)->bytes;
    uint64_t keep = ((uint64_t)bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint64_t end = (*place)->chunk_count * (uint64_t)CHUNK_BLOCKS;
    size_t within = (size_t)bytes % BLOCK_BYTES;

    for (uint64_t index = keep; index < end; index++) {
        if (content_block(*place, index)) {
            block_set(content_own(place, bytes), index, NULL);
        }
    }
    if (within != 0 && content_block(*place, keep - 1)) {
        struct sim_content *content = content_own(place, bytes);
        memset(block_own(content, keep - 1)->data + within, 0, BLOCK_BYTES - within);
    }
}

void content_set_bytes(struct sim_content **place, int64_t bytes)
{
    ASSERT(bytes >= 0);
    int64_t bytes_before = (*place)->bytes;
    if (bytes_before == bytes) {
        return;
    }

    content_own(place, bytes)->bytes = bytes;
    if (bytes < bytes_before) {
        content_trim(place);
    }
}

void content_reserve(struct sim_content **place, int64_t bytes)
{
    struct sim_content *content = content_own(place, bytes);
    uint64_t end = ((uint64_t)bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;

    for (uint64_t index = 0; index < end; index++) {
        if (!content_block(content, index)) {
            block_set(content, index, zeros());
        }
    }
    content->bytes = content->bytes > bytes ? content->bytes : bytes;
}

void content_write(struct sim_content **place, int64_t position, struct bytes span)
{
    int64_t end = position + (int64_t)span.count;
    struct sim_content *content = content_own(place, end);
    size_t done = 0;

    while (done < span.count) {
        uint64_t at = (uint64_t)position + done;
        size_t within = at % BLOCK_BYTES;
        size_t piece = BLOCK_BYTES - within;
        piece = piece < span.count - done ? piece : span.count - done;
        if (piece == BLOCK_BYTES) {
            block_set(content, at / BLOCK_BYTES, block_create(span.data + done));
        } else {
            memcpy(block_own(content, at / BLOCK_BYTES)->data + within, span.data + done, piece);
        }
        done += piece;
    }
    content->bytes = content->bytes > end ? content->bytes : end;
}

void content_put_sectors(struct sim_content **place,
                         uint64_t index,
                         uint32_t mask,
                         struct sim_block *block)
{
    ASSERT(mask <= MASK_ALL);
    if (mask == 0) {
        return;
    }

    struct sim_content *content = content_own(place, (int64_t)(index + 1) * BLOCK_BYTES);
    if (mask == MASK_ALL) {
        block_set(content, index, block_ref(block));
        return;
    }
    struct sim_block *own = block_own(content, index);
    for (size_t sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
        if ((mask >> sector & 1U) != 0) {
            memcpy(own->data + sector * SECTOR_BYTES, block->data + sector * SECTOR_BYTES,
                   SECTOR_BYTES);
        }
    }
}
