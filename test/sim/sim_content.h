/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/content - the bytes of one simulated file, shared by all copies of it that are alike.
 *
 * A file's content is a tree of three levels with a count of users at each: content, chunks of 64
 * blocks, blocks of 4 KiB. A copy is one more user; a change copies only the path to what it
 * changes. So each event of a workload can keep a whole image of the disk, and a hundred thousand
 * crash images cost only what differs in them.
 *
 *      content  [bytes | chunk 0 | chunk 1 | ...]
 *                          |
 *      chunk            [block 0 | (hole) | block 2 | ... 64]
 *                          |
 *      block            [4096 bytes]
 *
 * A missing block is a hole: it reads as zeros and takes no space. A reserved block (io_allocate)
 * reads as zeros and takes space: one block of zeros stands for all of them.
 *
 * Threads: one.   Memory: content_unref and block_unref free what has no user left.
 */
#ifndef SIM_SIM_CONTENT_H
#define SIM_SIM_CONTENT_H

#include "base/bytes.h"
#include "base/limits.h"

enum {
    SECTORS_PER_BLOCK = BLOCK_BYTES / SECTOR_BYTES,
    CHUNK_BLOCKS = 64,
};

struct sim_block {
    uint32_t users;
    uint8_t data[BLOCK_BYTES];
};

struct sim_content;

/** Return an empty content with one user. Gives: content_unref. */
struct sim_content *content_create(void);

/** Add a user to @content and return it. */
struct sim_content *content_ref(struct sim_content *content);

/** Take a user from @content. */
void content_unref(struct sim_content *content);

/** Return the length of @content. */
int64_t content_bytes(const struct sim_content *content);

/** Return how many blocks of @content take space. */
uint64_t content_blocks_used(const struct sim_content *content);

/** Return how many blocks of the half-open byte range take no space yet. */
uint64_t content_blocks_missing(const struct sim_content *content, int64_t begin, int64_t end);

/** Return the block with number @index, NULL for a hole. Borrows. */
struct sim_block *content_block(const struct sim_content *content, uint64_t index);

/** Copy up to @span.count bytes at @position, not past the length, to @span. Return how many. */
size_t content_read(const struct sim_content *content, int64_t position, struct bytes_mut span);

/** Set the length of *@place, dropping what is above. Replaces *@place if it has other users,
 * like the next three. */
void content_set_bytes(struct sim_content **place, int64_t bytes);

/** Drop what *@place holds above its length, which content_put_sectors may have put there. */
void content_trim(struct sim_content **place);

/** Reserve space for all of *@place below @bytes; its length becomes at least that. */
void content_reserve(struct sim_content **place, int64_t bytes);

/** Write @span at @position into *@place and extend its length if need be. */
void content_write(struct sim_content **place, int64_t position, struct bytes span);

/** Put the sectors of @mask of @block into block @index of *@place; the length stays. Borrows
 * @block, or keeps a use of it if the mask is full. */
void content_put_sectors(struct sim_content **place,
                         uint64_t index,
                         uint32_t mask,
                         struct sim_block *block);

/** Return a block with @data, or zeros for NULL. Gives: block_unref. */
struct sim_block *block_create(const uint8_t *data);

/** Add a user to @block and return it. */
struct sim_block *block_ref(struct sim_block *block);

/** Take a user from @block (NULL does nothing). */
void block_unref(struct sim_block *block);

#endif /* SIM_SIM_CONTENT_H */
