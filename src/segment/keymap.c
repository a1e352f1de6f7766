/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/keymap - open addressing: a key stands in the first free row from its hash on.
 */
#include "segment/keymap.h"

#include "base/assert.h"
#include "base/checksum.h"

/* At least so many rows, however little memory is granted. */
enum { ROWS_MIN = 1024 };

enum pyr_err segment_keymap_init(struct segment_keymap *map,
                                 struct io *io,
                                 uint64_t bytes,
                                 uint64_t seed)
{
    ASSERT(map);
    ASSERT(io);

    uint64_t row_count = ROWS_MIN;
    while (row_count * 2 * sizeof(struct segment_keymap_entry) <= bytes) {
        row_count *= 2;
    }
    *map = (struct segment_keymap){.io = io, .row_count = row_count, .seed = seed};
    map->rows = io_alloc(io, row_count * sizeof *map->rows, 64);
    if (!map->rows) {
        return PYR_ERR_NO_MEMORY;
    }
    for (uint64_t index = 0; index < row_count; index++) {
        map->rows[index].offset = -1;
    }
    ASSERT((map->row_count & (map->row_count - 1)) == 0);
    return PYR_OK;
}

void segment_keymap_deinit(struct segment_keymap *map)
{
    ASSERT(!map->rows || map->row_count >= ROWS_MIN);
    ASSERT(map->used <= map->row_count);

    if (map->rows) {
        io_free(map->io, map->rows);
        map->rows = NULL;
    }
}

uint64_t segment_keymap_room(const struct segment_keymap *map)
{
    ASSERT(map->row_count >= ROWS_MIN);

    uint64_t limit = map->row_count / 4 * 3;
    ASSERT(map->used <= limit);
    return limit - map->used;
}

/* Return the row of the key, or the free one where it would go. */
static struct segment_keymap_entry *find(const struct segment_keymap *map,
                                         enum segment_keymap_kind kind,
                                         struct bytes key,
                                         uint64_t *hash)
{
    ASSERT(map->rows);
    ASSERT(map->used < map->row_count);
    ASSERT(kind <= SEGMENT_KEYMAP_PRODUCER);

    hash[0] = checksum_hash64(map->seed + kind, key);
    hash[1] = checksum_hash64(~map->seed - kind, key);
    uint64_t mask = map->row_count - 1;
    for (uint64_t step = 0; step < map->row_count; step++) {
        struct segment_keymap_entry *row = &map->rows[(hash[0] + step) & mask];
        if (row->offset < 0 || (row->hash[0] == hash[0] && row->hash[1] == hash[1])) {
            return row;
        }
    }
    ASSERT(false); /* A quarter is always free. */
    return NULL;
}

void segment_keymap_put(struct segment_keymap *map,
                        enum segment_keymap_kind kind,
                        struct bytes key,
                        int64_t offset)
{
    ASSERT(map->rows);

    uint64_t hash[2];
    struct segment_keymap_entry *row = find(map, kind, key, hash);
    ASSERT(offset >= 0);
    if (row->offset < 0) {
        ASSERT(segment_keymap_room(map) > 0);
        *row = (struct segment_keymap_entry){.hash = {hash[0], hash[1]}, .offset = offset};
        map->used++;
    } else if (offset > row->offset) {
        row->offset = offset;
    }
}

int64_t segment_keymap_get(const struct segment_keymap *map,
                           enum segment_keymap_kind kind,
                           struct bytes key)
{
    ASSERT(map->rows);

    uint64_t hash[2];
    const struct segment_keymap_entry *row = find(map, kind, key, hash);
    ASSERT(row);
    return row->offset;
}
