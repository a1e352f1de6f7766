/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/file - blocking calls of the simulated environment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "sim/sim_disk_parts.h"
#include "sim/sim_io_parts.h"

enum {
    HOLDER = 4711, /* The process id that a lock names. */
};

struct sim_file *sim_file_of(struct io_file *file)
{
    return container_of(file, struct sim_file, base);
}

/* Decide on a call that names a path. Return its error; a slow one moves the clock. */
static int decide_path(struct sim *sim, enum sim_kind kind, const char *path)
{
    struct outcome outcome = sim_decide(sim, kind, path, 0, 0);

    sim->now_ns += outcome.delay_ns;
    return outcome.is_fault && outcome.effect == SIM_FAIL ? outcome.error : 0;
}

/* -- Opening -- */

static int open_number(struct sim *sim, const char *path, uint32_t flags, uint32_t *ret_number)
{
    uint32_t number = 0;
    int error = disk_find(sim->disk, path, &number);

    if (error == ENOENT && (flags & IO_OPEN_CREATE) != 0) {
        error = disk_make(sim->disk, path, false, &number);
    } else if (error == 0 && (flags & IO_OPEN_EXCLUSIVE) != 0) {
        return EEXIST;
    }
    if (error != 0) {
        return error;
    }
    if (disk_is_folder(sim->disk, number)) {
        return EISDIR;
    }
    *ret_number = number;
    return 0;
}

static int open_file(struct sim *sim, const char *path, uint32_t flags, struct io_file **ret_file)
{
    if ((flags & IO_OPEN_DIRECT) != 0 && sim->options.without_direct) {
        return EINVAL;
    }
    size_t path_bytes = strlen(path) + 1;
    struct sim_file *file =
        io_alloc(&sim->base, sizeof *file + path_bytes, _Alignof(struct sim_file));
    if (!file) {
        return ENOMEM;
    }

    uint32_t number = 0;
    int error = open_number(sim, path, flags, &number);
    if (error != 0) {
        io_free(&sim->base, file);
        return error;
    }
    *file = (struct sim_file){.base = {.io = &sim->base}, .number = number, .flags = flags};
    file->path = (char *)(file + 1);
    memcpy(file->path, path, path_bytes);
    disk_open(sim->disk, number);
    *ret_file = &file->base;
    return 0;
}

int sim_file_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file)
{
    struct sim *sim = sim_of(io);
    int error = decide_path(sim, SIM_OPEN, path);

    return error != 0 ? error : open_file(sim, path, flags, ret_file);
}

void sim_file_close(struct io *io, struct io_file *base)
{
    struct sim_file *file = sim_file_of(base);

    if (file->is_lock) {
        disk_unlock(sim_of(io)->disk, file->number);
    }
    disk_close(sim_of(io)->disk, file->number);
    io_free(io, file);
}

int sim_file_lock(struct io *io, const char *path, int64_t *ret_holder, struct io_file **ret_file)
{
    struct sim *sim = sim_of(io);
    struct io_file *file = NULL;
    int error = decide_path(sim, SIM_LOCK, path);
    if (error == 0) {
        error = open_file(sim, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    }
    if (error != 0) {
        return error;
    }

    if (!disk_lock(sim->disk, sim_file_of(file)->number)) {
        sim_file_close(io, file);
        *ret_holder = HOLDER;
        return EWOULDBLOCK;
    }
    sim_file_of(file)->is_lock = true;
    *ret_file = file;
    return 0;
}

/* -- Transfers -- */

size_t sim_short_count(struct sim *sim, size_t count)
{
    size_t sectors = (count + SECTOR_BYTES - 1) / SECTOR_BYTES;

    if (sectors > 1) {
        return (size_t)SECTOR_BYTES *
               (1 + sim_random_below(&sim->fault_random, (uint32_t)sectors - 1));
    }
    return count > 1 ? 1 + sim_random_below(&sim->fault_random, (uint32_t)count - 1) : count;
}

int sim_transfer_check(struct sim *sim,
                       struct sim_file *file,
                       bool is_write,
                       struct bytes span,
                       int64_t position,
                       size_t *ret_count)
{
    if ((file->flags & (is_write ? IO_OPEN_WRITE : IO_OPEN_READ)) == 0) {
        return EBADF;
    }
    bool is_aligned = position % BLOCK_BYTES == 0 && span.count % BLOCK_BYTES == 0 &&
                      (uintptr_t)span.data % BLOCK_BYTES == 0;
    if ((file->flags & IO_OPEN_DIRECT) != 0 && !is_aligned) {
        return EINVAL;
    }
    *ret_count = span.count;
    if (is_write && span.count > 0) {
        *ret_count = disk_room(sim->disk, file->number, position, span.count);
        return *ret_count == 0 ? ENOSPC : 0;
    }
    return 0;
}

void sim_mappings_refresh(struct sim *sim, uint32_t number, int64_t position, size_t count)
{
    for (struct mapping *mapping = sim->mappings; mapping; mapping = mapping->next) {
        if (mapping->number != number || position >= (int64_t)mapping->count) {
            continue;
        }
        size_t left = mapping->count - (size_t)position;
        struct bytes_mut span = {mapping->data + position, count < left ? count : left};
        size_t done = disk_read(sim->disk, number, position, span);
        memset(span.data + done, 0, span.count - done);
    }
}

/* Let the write land on another block of its file, if it has another. */
static void misdirect(struct sim *sim, uint32_t number, const struct sim_write *write)
{
    uint64_t blocks = (uint64_t)disk_bytes(sim->disk, number) / BLOCK_BYTES;
    uint64_t own = (uint64_t)write->position / BLOCK_BYTES;

    if (blocks < 2) {
        return;
    }
    uint64_t other = sim_random_next(&sim->fault_random) % (blocks - 1);
    other += other >= own;
    struct node *node = node_own(sim->disk, number);
    uint32_t mask = write_mask(write, 0);
    content_put_sectors(&node->durable, other, mask, write->blocks[0]);
    content_put_sectors(&node->cached, other, mask, write->blocks[0]);
    sim_mappings_refresh(sim, number, (int64_t)other * BLOCK_BYTES, BLOCK_BYTES);
}

static void flip_bit(struct sim *sim, uint32_t number, int64_t position, size_t count)
{
    uint64_t bit = sim_random_next(&sim->fault_random) % (count * 8);
    struct node *node = node_own(sim->disk, number);
    int64_t at = position + (int64_t)(bit / 8);
    uint8_t byte = 0;

    if (content_read(node->cached, at, (struct bytes_mut){&byte, 1}) == 1) {
        byte ^= (uint8_t)(1U << (bit % 8));
        content_write(&node->cached, at, (struct bytes){&byte, 1});
        if (content_bytes(node->durable) > at) {
            content_write(&node->durable, at, (struct bytes){&byte, 1});
        }
        node->has_lost = true; /* A later flush must not mend it. */
    }
}

int sim_write_finish(struct sim *sim,
                     uint32_t number,
                     struct sim_write *write,
                     size_t count,
                     const struct outcome *outcome,
                     size_t *ret_count)
{
    int64_t position = write->position;
    size_t stored = count;
    bool is_fault = outcome->is_fault;
    if (is_fault && outcome->effect == SIM_FAIL) {
        /* Nobody knows how much of it is there. */
        size_t sectors = count / SECTOR_BYTES;
        stored = SECTOR_BYTES * (size_t)sim_random_below(&sim->fault_random, (uint32_t)sectors + 1);
    } else if (is_fault && outcome->effect == SIM_SHORT) {
        stored = sim_short_count(sim, count);
        count = stored;
    } else if (is_fault && (outcome->effect == SIM_LOST || outcome->effect == SIM_MISDIRECTED)) {
        stored = 0;
    }
    if (is_fault && outcome->effect == SIM_MISDIRECTED) {
        misdirect(sim, number, write);
    }
    if (is_fault && outcome->effect == SIM_FAIL) {
        write->is_durable = false; /* Nor whether it will be there after a crash. */
    }

    disk_write_end(sim->disk, number, write, stored);
    if (is_fault && outcome->effect == SIM_FLIP) {
        flip_bit(sim, number, position, stored);
    }
    sim_mappings_refresh(sim, number, position, stored);
    if (is_fault && outcome->effect == SIM_FAIL) {
        return outcome->error;
    }
    *ret_count = count;
    return 0;
}

int sim_file_read_at(struct io *io,
                     struct io_file *base,
                     struct bytes_mut span,
                     int64_t position,
                     size_t *ret_count)
{
    struct sim *sim = sim_of(io);
    struct sim_file *file = sim_file_of(base);
    struct outcome outcome = sim_decide(sim, SIM_READ, file->path, position, span.count);
    size_t room = 0;
    struct bytes target = {.data = span.data, .count = span.count};
    int error = sim_transfer_check(sim, file, false, target, position, &room);
    sim->now_ns += outcome.delay_ns;
    if (error != 0) {
        return error;
    }
    if (outcome.is_fault && outcome.effect == SIM_FAIL) {
        return outcome.error;
    }

    if (outcome.is_fault && outcome.effect == SIM_SHORT) {
        span.count = sim_short_count(sim, span.count);
    }
    bool is_direct = (file->flags & IO_OPEN_DIRECT) != 0;
    *ret_count = is_direct ? disk_read_direct(sim->disk, file->number, position, span)
                           : disk_read(sim->disk, file->number, position, span);
    if (!is_direct && sim->stale_name && strstr(file->path, sim->stale_name)) {
        memset(span.data, 0, *ret_count);
    }
    return 0;
}

int sim_file_write_at(struct io *io,
                      struct io_file *base,
                      struct bytes span,
                      int64_t position,
                      bool is_durable,
                      size_t *ret_count)
{
    struct sim *sim = sim_of(io);
    struct sim_file *file = sim_file_of(base);
    struct outcome outcome = sim_decide(sim, SIM_WRITE, file->path, position, span.count);
    size_t room = 0;
    int error = sim_transfer_check(sim, file, true, span, position, &room);
    sim->now_ns += outcome.delay_ns;
    if (error != 0 || span.count == 0) {
        *ret_count = error == 0 ? 0 : *ret_count;
        return error;
    }

    struct sim_write *write = disk_write_begin(sim->disk, file->number, position, span, is_durable);
    return sim_write_finish(sim, file->number, write, room, &outcome, ret_count);
}

int sim_file_sync(struct io *io, struct io_file *base)
{
    struct sim *sim = sim_of(io);
    struct sim_file *file = sim_file_of(base);
    int error = decide_path(sim, SIM_SYNC, file->path);

    disk_sync_end(sim->disk, file->number, disk_sync_begin(sim->disk, file->number), error != 0);
    return error;
}

/* -- Shape -- */

int sim_file_allocate(struct io *io, struct io_file *base, int64_t bytes)
{
    struct sim *sim = sim_of(io);
    struct sim_file *file = sim_file_of(base);
    int error = decide_path(sim, SIM_ALLOCATE, file->path);
    if (error != 0) {
        return error;
    }

    if (disk_room(sim->disk, file->number, 0, (size_t)bytes) < (size_t)bytes) {
        return ENOSPC;
    }
    disk_reserve(sim->disk, file->number, bytes);
    return 0;
}

int sim_file_truncate(struct io *io, struct io_file *base, int64_t bytes)
{
    struct sim *sim = sim_of(io);
    struct sim_file *file = sim_file_of(base);
    int error = decide_path(sim, SIM_TRUNCATE, file->path);
    if (error != 0) {
        return error;
    }

    disk_set_bytes(sim->disk, file->number, bytes);
    sim_mappings_refresh(sim, file->number, bytes, SIZE_MAX);
    return 0;
}

int sim_file_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes)
{
    *ret_bytes = disk_bytes(sim_of(io)->disk, sim_file_of(file)->number);
    return 0;
}

/* -- Mappings -- */

int sim_file_map(struct io *io, struct io_file *base, size_t count, const uint8_t **ret_data)
{
    struct sim *sim = sim_of(io);
    struct sim_file *file = sim_file_of(base);
    int error = decide_path(sim, SIM_MAP, file->path);
    if (error != 0) {
        return error;
    }

    struct mapping *mapping = sim_must(calloc(1, sizeof *mapping));
    mapping->number = file->number;
    mapping->count = count;
    mapping->data = sim_must(malloc(count));
    mapping->next = sim->mappings;
    sim->mappings = mapping;
    sim_mappings_refresh(sim, file->number, 0, count);
    *ret_data = mapping->data;
    return 0;
}

void sim_file_unmap(struct io *io, const uint8_t *data, size_t count)
{
    struct mapping **place = &sim_of(io)->mappings;

    while (*place && (*place)->data != data) {
        place = &(*place)->next;
    }
    struct mapping *mapping = *place;
    ASSERT(mapping);
    ASSERT(mapping->count == count);
    *place = mapping->next;
    free(mapping->data);
    free(mapping);
}

bool sim_file_map_is_resident(struct io *io, struct bytes span)
{
    (void)span;

    return !sim_of(io)->is_cold;
}

/* -- Names -- */

int sim_file_rename(struct io *io, const char *from, const char *to)
{
    int error = decide_path(sim_of(io), SIM_RENAME, from);

    return error != 0 ? error : disk_rename(sim_of(io)->disk, from, to);
}

int sim_file_remove(struct io *io, const char *path)
{
    int error = decide_path(sim_of(io), SIM_REMOVE, path);

    return error != 0 ? error : disk_remove(sim_of(io)->disk, path);
}

int sim_file_make_folder(struct io *io, const char *path)
{
    uint32_t number = 0;
    int error = decide_path(sim_of(io), SIM_MAKE_FOLDER, path);

    return error != 0 ? error : disk_make(sim_of(io)->disk, path, true, &number);
}

int sim_file_sync_folder(struct io *io, const char *path)
{
    int error = decide_path(sim_of(io), SIM_SYNC_FOLDER, path);

    return error != 0 ? error : disk_sync_folder(sim_of(io)->disk, path);
}

int sim_file_list(struct io *io, const char *path, struct io_entries *ret_entries)
{
    struct sim *sim = sim_of(io);
    uint32_t folder = 0;
    uint32_t number = 0;
    int error = decide_path(sim, SIM_LIST, path);
    error = error != 0 ? error : disk_find(sim->disk, path, &folder);
    if (error != 0) {
        return error;
    }
    if (!disk_is_folder(sim->disk, folder)) {
        return ENOTDIR;
    }

    size_t count = 0;
    while (disk_name(sim->disk, folder, count, &number)) {
        count++;
    }
    struct io_entries entries = {.count = count};
    if (count > 0) {
        entries.rows = io_alloc(io, count * sizeof *entries.rows, _Alignof(struct io_entry));
        if (!entries.rows) {
            return ENOMEM;
        }
    }
    for (size_t index = 0; index < count; index++) {
        const char *name = disk_name(sim->disk, folder, index, &number);
        struct io_entry *row = &entries.rows[index];
        (void)snprintf(row->name, sizeof row->name, "%s", name);
        row->kind = disk_is_folder(sim->disk, number) ? IO_KIND_FOLDER : IO_KIND_FILE;
    }
    *ret_entries = entries;
    return 0;
}

int sim_file_stat(struct io *io, const char *path, struct io_stat *ret_stat)
{
    struct sim *sim = sim_of(io);
    uint32_t number = 0;
    int error = decide_path(sim, SIM_STAT, path);
    error = error != 0 ? error : disk_find(sim->disk, path, &number);
    if (error != 0) {
        return error;
    }

    bool is_folder = disk_is_folder(sim->disk, number);
    uint32_t block_bytes = sim->options.block_bytes;
    *ret_stat = (struct io_stat){.kind = is_folder ? IO_KIND_FOLDER : IO_KIND_FILE,
                                 .bytes = is_folder ? 0 : disk_bytes(sim->disk, number),
                                 .mode = is_folder ? 0700 : 0600,
                                 .block_bytes = block_bytes != 0 ? block_bytes : BLOCK_BYTES,
                                 .is_own = true};
    return 0;
}

int sim_file_space(struct io *io, const char *path, uint64_t *ret_bytes)
{
    uint32_t number = 0;
    int error = disk_find(sim_of(io)->disk, path, &number);

    if (error == 0) {
        *ret_bytes = disk_blocks_free(sim_of(io)->disk) * BLOCK_BYTES;
    }
    return error;
}
