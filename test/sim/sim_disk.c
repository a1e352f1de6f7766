/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/disk - files of the virtual disk: nodes, writes, flushes, space.
 */
#include "sim/sim_disk.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/sim_disk_parts.h"

/* What a disk without a limit says is free: a tebibyte. */
#define SPACE_BLOCKS_UNLIMITED ((UINT64_C(1) << 40) / BLOCK_BYTES)

enum { NODES_FIRST = 16 };

void *sim_must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

/* -- Writes and pending entries -- */

void write_unref(struct sim_write *write)
{
    ASSERT(write->users > 0);
    write->users--;
    if (write->users > 0) {
        return;
    }
    for (size_t index = 0; index < write->block_count; index++) {
        block_unref(write->blocks[index]);
    }
    free(write);
}

uint32_t write_mask(const struct sim_write *write, size_t block)
{
    int64_t first_block = write->position / BLOCK_BYTES;
    int64_t block_begin = (first_block + (int64_t)block) * BLOCK_BYTES;
    int64_t end = write->position + (int64_t)write->count;
    uint32_t mask = 0;

    for (uint32_t sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
        int64_t begin = block_begin + (int64_t)sector * SECTOR_BYTES;
        if (begin + SECTOR_BYTES > write->position && begin < end) {
            mask |= 1U << sector;
        }
    }
    return mask;
}

void pending_unref(struct pending *pending)
{
    while (pending) {
        ASSERT(pending->users > 0);
        pending->users--;
        if (pending->users > 0) {
            return;
        }
        struct pending *older = pending->older;
        if (pending->write) {
            write_unref(pending->write);
        }
        free(pending);
        pending = older;
    }
}

/* Put `entry` on top of *list. A use of its write is taken over. */
static void pending_push(struct pending **list, struct pending entry)
{
    struct pending *pending = sim_must(malloc(sizeof *pending));
    *pending = entry;
    pending->users = 1;
    pending->older = *list;
    pending->depth = *list ? (*list)->depth + 1 : 1;
    *list = pending;
}

struct pending **pending_array(struct pending *newest, size_t *ret_count)
{
    size_t count = newest ? newest->depth : 0;
    struct pending **array = sim_must(malloc((count + 1) * sizeof(struct pending *)));

    *ret_count = count;
    for (struct pending *entry = newest; entry; entry = entry->older) {
        array[--count] = entry;
    }
    ASSERT(count == 0);
    return array;
}

void pending_apply(struct sim_content **content, const struct pending *entry)
{
    const struct sim_write *write = entry->write;

    if (!write) {
        content_set_bytes(content, entry->bytes);
        return;
    }
    uint64_t first = (uint64_t)write->position / BLOCK_BYTES;
    for (size_t index = 0; index < write->block_count; index++) {
        content_put_sectors(content, first + index, write_mask(write, index), write->blocks[index]);
    }
}

/* Rebuild *list without those that `drop` names: up to a number, or one write. */
static void pending_drop(struct pending **list, uint64_t number_last, const struct sim_write *write)
{
    size_t count = 0;
    struct pending **array = pending_array(*list, &count);
    struct pending *kept = NULL;

    for (size_t index = 0; index < count; index++) {
        struct pending *entry = array[index];
        if (entry->number <= number_last || (write && entry->write == write)) {
            continue;
        }
        if (entry->write) {
            entry->write->users++;
        }
        pending_push(&kept, *entry);
    }
    free(array);
    pending_unref(*list);
    *list = kept;
}

/* -- Nodes -- */

struct node *node_create(bool is_folder)
{
    struct node *node = sim_must(calloc(1, sizeof *node));
    node->users = 1;
    node->is_folder = is_folder;
    if (is_folder) {
        node->names_durable = sim_must(calloc(1, sizeof(struct names)));
        node->names_durable->users = 1;
        node->names_cached = names_ref(node->names_durable);
    } else {
        node->durable = content_create();
        node->cached = content_ref(node->durable);
    }
    return node;
}

void node_unref(struct node *node)
{
    if (!node) {
        return;
    }
    ASSERT(node->users > 0);
    node->users--;
    if (node->users > 0) {
        return;
    }
    if (node->is_folder) {
        names_unref(node->names_durable);
        names_unref(node->names_cached);
    } else {
        content_unref(node->durable);
        content_unref(node->cached);
        pending_unref(node->pending);
        pending_unref(node->flights);
    }
    free(node);
}

void pending_ref_all(struct node *node)
{
    if (node->pending) {
        node->pending->users++;
    }
    if (node->flights) {
        node->flights->users++;
    }
}

struct node *node_own(struct sim_disk *disk, uint32_t number)
{
    ASSERT(number < disk->node_count);
    struct node *node = disk->nodes[number];
    ASSERT(node);
    if (node->users == 1) {
        return node;
    }

    struct node *own = sim_must(malloc(sizeof *own));
    *own = *node;
    own->users = 1;
    if (own->is_folder) {
        (void)names_ref(own->names_durable);
        (void)names_ref(own->names_cached);
    } else {
        (void)content_ref(own->durable);
        (void)content_ref(own->cached);
        pending_ref_all(own);
    }
    node->users--;
    disk->nodes[number] = own;
    return own;
}

uint32_t node_add(struct sim_disk *disk, struct node *node)
{
    if (disk->node_count == disk->node_room) {
        disk->node_room = disk->node_room == 0 ? NODES_FIRST : disk->node_room * 2;
        disk->nodes = sim_must(realloc(disk->nodes, disk->node_room * sizeof(struct node *)));
        disk->live = sim_must(realloc(disk->live, disk->node_room * sizeof *disk->live));
    }
    disk->nodes[disk->node_count] = node;
    disk->live[disk->node_count] = (struct live){0};
    return (uint32_t)disk->node_count++;
}

static struct node *file_node(const struct sim_disk *disk, uint32_t number)
{
    ASSERT(number < disk->node_count);
    ASSERT(disk->nodes[number]);
    ASSERT(!disk->nodes[number]->is_folder);

    return disk->nodes[number];
}

/* -- The disk -- */

struct sim_disk *sim_disk_create(void)
{
    struct sim_disk *disk = sim_must(calloc(1, sizeof *disk));
    disk->blocks_max = UINT64_MAX;
    (void)node_add(disk, node_create(true));
    disk->live[0].links = 1;
    return disk;
}

void sim_disk_destroy(struct sim_disk *disk)
{
    if (!disk) {
        return;
    }
    record_free(disk);
    for (size_t index = 0; index < disk->node_count; index++) {
        node_unref(disk->nodes[index]);
    }
    for (size_t index = 0; index < disk->change_count; index++) {
        change_free(&disk->changes[index]);
    }
    free(disk->changes);
    free(disk->nodes);
    free(disk->live);
    free(disk);
}

void sim_disk_wipe(struct sim_disk *disk)
{
    struct sim_disk *fresh = sim_disk_create();
    struct sim_disk old = *disk;

    for (size_t index = 0; index < old.node_count; index++) {
        ASSERT(old.live[index].opens == 0);
    }
    *disk = *fresh;
    *fresh = old;
    disk->blocks_max = old.blocks_max;
    sim_disk_destroy(fresh);
}

/* -- Space -- */

static uint64_t blocks_used(const struct sim_disk *disk)
{
    uint64_t used = 0;

    for (size_t index = 0; index < disk->node_count; index++) {
        const struct node *node = disk->nodes[index];
        bool is_alive = disk->live[index].links > 0 || disk->live[index].opens > 0;
        if (node && !node->is_folder && is_alive) {
            used += content_blocks_used(node->cached);
        }
    }
    return used;
}

void sim_disk_set_space(struct sim_disk *disk, uint64_t blocks)
{
    disk->blocks_max = blocks == UINT64_MAX ? blocks : blocks_used(disk) + blocks;
}

uint64_t disk_blocks_free(const struct sim_disk *disk)
{
    if (disk->blocks_max == UINT64_MAX) {
        return SPACE_BLOCKS_UNLIMITED;
    }
    uint64_t used = blocks_used(disk);
    return used < disk->blocks_max ? disk->blocks_max - used : 0;
}

size_t disk_room(const struct sim_disk *disk, uint32_t number, int64_t position, size_t count)
{
    if (disk->blocks_max == UINT64_MAX) {
        return count;
    }
    const struct node *node = file_node(disk, number);
    uint64_t left = disk_blocks_free(disk);
    int64_t end = position + (int64_t)count;
    int64_t at = position;
    while (at < end) {
        int64_t next = ((at / BLOCK_BYTES) + 1) * BLOCK_BYTES;
        uint64_t missing = content_blocks_missing(node->cached, at, at + 1);
        if (missing > left) {
            return (size_t)(at - position);
        }
        left -= missing;
        at = next < end ? next : end;
    }
    return count;
}

/* -- Reading and writing -- */

int64_t disk_bytes(const struct sim_disk *disk, uint32_t number)
{
    return content_bytes(file_node(disk, number)->cached);
}

size_t disk_read(const struct sim_disk *disk,
                 uint32_t number,
                 int64_t position,
                 struct bytes_mut span)
{
    return content_read(file_node(disk, number)->cached, position, span);
}

size_t disk_read_direct(const struct sim_disk *disk,
                        uint32_t number,
                        int64_t position,
                        struct bytes_mut span)
{
    struct node *node = file_node(disk, number);
    bool is_forgotten = node->has_lost && !node->pending;

    return content_read(is_forgotten ? node->durable : node->cached, position, span);
}

/* Return a write of `count` bytes whose blocks are those of `content`, with `data` put over them.
 */
static struct sim_write *write_create(const struct sim_content *content,
                                      int64_t position,
                                      const uint8_t *data,
                                      size_t count)
{
    uint64_t first = (uint64_t)position / BLOCK_BYTES;
    uint64_t end = ((uint64_t)position + count + BLOCK_BYTES - 1) / BLOCK_BYTES;
    size_t block_count = (size_t)(end - first);
    struct sim_write *write =
        sim_must(malloc(sizeof *write + block_count * sizeof(struct sim_block *)));
    *write = (struct sim_write){.users = 1,
                                .position = position,
                                .count = count,
                                .block_count = block_count};

    size_t done = 0;
    for (size_t index = 0; index < block_count; index++) {
        size_t within = index == 0 ? (size_t)((uint64_t)position % BLOCK_BYTES) : 0;
        size_t piece = BLOCK_BYTES - within < count - done ? BLOCK_BYTES - within : count - done;
        struct sim_block *before = content_block(content, first + index);
        if (piece == BLOCK_BYTES) {
            write->blocks[index] = block_create(data + done);
        } else {
            write->blocks[index] = block_create(before ? before->data : NULL);
            memcpy(write->blocks[index]->data + within, data + done, piece);
        }
        done += piece;
    }
    return write;
}

struct sim_write *disk_write_begin(struct sim_disk *disk,
                                   uint32_t number,
                                   int64_t position,
                                   struct bytes span,
                                   bool is_durable)
{
    ASSERT(span.count > 0);
    (void)file_node(disk, number);

    struct node *node = node_own(disk, number);
    struct sim_write *write = write_create(node->cached, position, span.data, span.count);
    write->is_durable = is_durable;
    write->users++; /* One use for the list, one for the caller. */
    node->pending_count++;
    pending_push(&node->flights, (struct pending){.number = node->pending_count, .write = write});
    record_event(disk, "begin write %u %lld+%zu%s", number, (long long)position, span.count,
                 is_durable ? " durable" : "");
    return write;
}

/* Return the first `count` bytes of `write` as a write that shows them over `content` as it is now:
 * what lies around them may have changed since it began. */
static struct sim_write *write_settle(const struct sim_content *content,
                                      const struct sim_write *write,
                                      size_t count)
{
    bool is_whole = count == write->count && write->position % BLOCK_BYTES == 0 &&
                    write->count % BLOCK_BYTES == 0;
    if (is_whole) {
        struct sim_write *same = bytes_unconst(write);
        same->users++;
        return same;
    }

    uint8_t *data = sim_must(malloc(count));
    size_t done = 0;
    for (size_t index = 0; done < count; index++) {
        size_t within = index == 0 ? (size_t)((uint64_t)write->position % BLOCK_BYTES) : 0;
        size_t piece = BLOCK_BYTES - within < count - done ? BLOCK_BYTES - within : count - done;
        memcpy(data + done, write->blocks[index]->data + within, piece);
        done += piece;
    }
    struct sim_write *settled = write_create(content, write->position, data, count);
    settled->is_durable = write->is_durable;
    free(data);
    return settled;
}

/* Show the first `count` bytes of `write` in the cache of `node`, and make them durable or pending.
 */
static void write_land(struct node *node, const struct sim_write *write, size_t count)
{
    struct sim_write *settled = write_settle(node->cached, write, count);
    int64_t end = settled->position + (int64_t)count;
    bool extends = end > content_bytes(node->cached);
    bool at_once = settled->is_durable && !node->pending;
    struct pending length = {.number = ++node->pending_count, .bytes = end};
    struct pending data = {.number = ++node->pending_count,
                           .is_certain = settled->is_durable,
                           .write = settled};

    if (extends) {
        content_set_bytes(&node->cached, end);
    }
    pending_apply(&node->cached, &data);
    if (at_once && extends) {
        content_set_bytes(&node->durable, end);
    }
    if (at_once) {
        pending_apply(&node->durable, &data);
        write_unref(settled);
        return;
    }
    if (extends) {
        pending_push(&node->pending, length);
    }
    pending_push(&node->pending, data);
}

void disk_write_end(struct sim_disk *disk, uint32_t number, struct sim_write *write, size_t count)
{
    ASSERT(count <= write->count);

    struct node *node = node_own(disk, number);
    pending_drop(&node->flights, 0, write);
    if (count > 0) {
        write_land(node, write, count);
    }
    record_event(disk, "end write %u %lld+%zu of %zu", number, (long long)write->position, count,
                 write->count);
    write_unref(write);
}

bool disk_write_holds(const struct sim_write *write, const uint8_t *data)
{
    size_t done = 0;

    for (size_t index = 0; index < write->block_count; index++) {
        size_t within = index == 0 ? (size_t)((uint64_t)write->position % BLOCK_BYTES) : 0;
        size_t piece = BLOCK_BYTES - within;
        piece = piece < write->count - done ? piece : write->count - done;
        if (memcmp(write->blocks[index]->data + within, data + done, piece) != 0) {
            return false;
        }
        done += piece;
    }
    return true;
}

/* -- Flushing and length -- */

uint64_t disk_sync_begin(const struct sim_disk *disk, uint32_t number)
{
    return file_node(disk, number)->pending_count;
}

void disk_sync_end(struct sim_disk *disk, uint32_t number, uint64_t point, bool is_lost)
{
    struct node *node = node_own(disk, number);
    size_t count = 0;
    struct pending **array = pending_array(node->pending, &count);

    for (size_t index = 0; index < count; index++) {
        bool is_covered = array[index]->number <= point;
        if (is_covered && (!is_lost || array[index]->is_certain)) {
            pending_apply(&node->durable, array[index]);
        }
    }
    free(array);
    pending_drop(&node->pending, point, NULL);
    node->has_lost = node->has_lost || is_lost;
    if (!node->pending && !node->has_lost) {
        content_unref(node->durable);
        node->durable = content_ref(node->cached); /* The same bytes, now also the same memory. */
    }
    record_event(disk, "%s %u", is_lost ? "lost sync" : "sync", number);
}

void disk_set_bytes(struct sim_disk *disk, uint32_t number, int64_t bytes)
{
    struct node *node = node_own(disk, number);

    if (content_bytes(node->cached) != bytes) {
        content_set_bytes(&node->cached, bytes);
        pending_push(&node->pending,
                     (struct pending){.number = ++node->pending_count, .bytes = bytes});
        record_event(disk, "length %u %lld", number, (long long)bytes);
    }
}

void disk_reserve(struct sim_disk *disk, uint32_t number, int64_t bytes)
{
    struct node *node = node_own(disk, number);

    int64_t before = content_bytes(node->cached);
    content_reserve(&node->cached, bytes);
    if (bytes > before) {
        pending_push(&node->pending,
                     (struct pending){.number = ++node->pending_count, .bytes = bytes});
    }
    record_event(disk, "reserve %u %lld", number, (long long)bytes);
}

/* -- Handles -- */

void disk_open(struct sim_disk *disk, uint32_t number)
{
    ASSERT(disk->nodes[number]);

    disk->live[number].opens++;
}

void disk_close(struct sim_disk *disk, uint32_t number)
{
    ASSERT(disk->live[number].opens > 0);

    disk->live[number].opens--;
}

bool disk_lock(struct sim_disk *disk, uint32_t number)
{
    bool was_free = !disk->live[number].is_locked;

    disk->live[number].is_locked = true;
    return was_free;
}

void disk_unlock(struct sim_disk *disk, uint32_t number)
{
    ASSERT(disk->live[number].is_locked);

    disk->live[number].is_locked = false;
}

/* -- Damage -- */

bool sim_disk_poke(struct sim_disk *disk, const char *path, int64_t position, struct bytes span)
{
    uint32_t number = 0;

    if (disk_find(disk, path, &number) != 0 || disk_is_folder(disk, number)) {
        return false;
    }
    struct node *node = node_own(disk, number);
    bool was_one = node->durable == node->cached;
    content_write(&node->durable, position, span);
    if (was_one) {
        content_unref(node->cached);
        node->cached = content_ref(node->durable);
    } else {
        content_write(&node->cached, position, span);
    }
    return true;
}

bool sim_disk_flip(struct sim_disk *disk, const char *path, int64_t position, uint32_t bit)
{
    uint32_t number = 0;
    uint8_t byte = 0;
    ASSERT(bit < 8);

    if (disk_find(disk, path, &number) != 0 || disk_is_folder(disk, number) ||
        disk_read(disk, number, position, (struct bytes_mut){&byte, 1}) == 0) {
        return false;
    }
    byte ^= (uint8_t)(1U << bit);
    return sim_disk_poke(disk, path, position, (struct bytes){&byte, 1});
}

bool sim_disk_cut(struct sim_disk *disk, const char *path, int64_t bytes)
{
    uint32_t number = 0;

    if (disk_find(disk, path, &number) != 0 || disk_is_folder(disk, number)) {
        return false;
    }
    struct node *node = node_own(disk, number);
    content_set_bytes(&node->durable, bytes);
    content_set_bytes(&node->cached, bytes);
    return true;
}

bool sim_disk_is_dirty(const struct sim_disk *disk, const char *path)
{
    uint32_t number = 0;

    if (disk_find(disk, path, &number) != 0 || disk_is_folder(disk, number)) {
        return false;
    }
    const struct node *node = file_node(disk, number);
    return node->pending || node->flights || node->has_lost;
}
