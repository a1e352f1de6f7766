/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_wal - whatever stands in a journal's files: open, replay, inspect, repair, open again.
 *
 * The input is a list of changes to a small good journal on a simulated disk, six bytes each: a
 * byte is set, a block is copied, or a flush header, an entry or the checkpoint is sealed anew
 * after changes, since no fuzzer finds a checksum by chance. What must hold: no call leaves its
 * memory or hangs; replay gives a result or a named error; an inspection comes to the same verdict
 * as an opening; after a repair that worked, the journal opens and takes appends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "io/io.h"
#include "sim/sim_io.h"
#include "wal/checkpoint.h"
#include "wal/inspect.h"

enum {
    FILE_BYTES = 64 << 10,
    CHANGE_BYTES = 6,
    CHANGES_MAX = 64,
    TURNS_MAX = 1000,
};

/* A journal's environment for one life. */
struct life {
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct wal *wal;
};

static const struct wal_identity identity = {.storage_id = {7},
                                             .shard = 1,
                                             .file_bytes = FILE_BYTES};

static enum pyr_err life_begin(struct life *life, struct sim_disk *disk)
{
    *life = (struct life){.sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1})};
    life->io = sim_io(life->sim);
    int error = io_loop_create(life->io, &(struct io_loop_options){.ops_max = 8}, &life->loop);
    ASSERT(error == 0);
    struct wal_options options = {
        .folder = "/0",
        .storage_id = {7},
        .shard = 1,
        .may_create = true,
        .file_bytes = FILE_BYTES,
        .files_max = 2,
        .gather_count = 2,
    };
    enum pyr_err err = wal_open(life->loop, &options, &life->wal, NULL);
    const struct wal_replay_entry *entry = NULL;
    uint64_t position = 0;
    for (bool is_more = err == PYR_OK; is_more; is_more = err == PYR_OK && entry) {
        err = wal_replay_next(life->wal, &entry, NULL);
        if (err == PYR_OK && entry) {
            ASSERT(entry->position_end > position); /* Replay never goes back. */
            position = entry->position_end;
        }
    }
    return err;
}

static void life_end(struct life *life)
{
    if (life->wal) {
        wal_stop(life->wal);
        for (int turn = 0; turn < TURNS_MAX && !wal_is_quiet(life->wal); turn++) {
            io_loop_wait(life->loop, io_now_mono_ns(life->io) + 1000000);
            (void)io_loop_dispatch(life->loop);
        }
        wal_destroy(life->wal);
    }
    io_loop_destroy(life->loop);
    sim_destroy(life->sim);
}

/* Append one entry of each kind, by each need, and wait. */
static void life_append(struct life *life)
{
    static const enum wal_entry_kind kinds[] = {
        WAL_ENTRY_APPEND, WAL_ENTRY_PROMISE,         WAL_ENTRY_APPEND, WAL_ENTRY_TRUNCATE,
        WAL_ENTRY_APPEND, WAL_ENTRY_APPEND_INDIRECT, WAL_ENTRY_APPEND, WAL_ENTRY_COMMIT};

    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        struct wal_entry entry = {.kind = kinds[index], .number = index};
        entry.parts[0] = bytes_of_text("a payload of some bytes");
        entry.checked_bytes = index == 2 ? 7 : (uint32_t)entry.parts[0].count;
        struct wal_need need = {index == 4 ? WAL_NEED_WRITTEN_NOW : WAL_NEED_DURABLE_NOW, 0};
        uint64_t position = 0;
        enum pyr_err err = wal_append(life->wal, &entry, need, &position, NULL);
        for (int turn = 0;
             turn < TURNS_MAX && err == PYR_OK && wal_written_position(life->wal) < position;
             turn++) {
            wal_kick(life->wal);
            io_loop_wait(life->loop, io_now_mono_ns(life->io) + 1000000);
            (void)io_loop_dispatch(life->loop);
        }
    }
}

/* Return a disk with a good journal, made once. */
static struct sim_disk *journal_make(void)
{
    struct sim_disk *disk = sim_disk_create();
    struct life life;
    enum pyr_err err = life_begin(&life, disk);
    ASSERT(err == PYR_OK);
    err = wal_start(life.wal, NULL);
    ASSERT(err == PYR_OK);
    life_append(&life);
    err = wal_checkpoint_begin(life.wal, bytes_of_text("body"), 0, NULL);
    ASSERT(err == PYR_OK);
    for (int turn = 0; turn < TURNS_MAX && wal_checkpoint_is_running(life.wal); turn++) {
        io_loop_wait(life.loop, io_now_mono_ns(life.io) + 1000000);
        (void)io_loop_dispatch(life.loop);
    }
    life_end(&life);
    return disk;
}

/* -- Changes -- */

static void flush_seal(uint8_t *file, uint32_t block)
{
    uint8_t *data = file + (size_t)block * BLOCK_BYTES;
    uint64_t seed = wal_flush_seed(&identity, 1);
    put_le64(data + 8, FILE_BYTES + (uint64_t)block * BLOCK_BYTES);
    put_le64(data + 64, checksum_hash64(seed, (struct bytes){data, 64}));
}

static void entry_seal(uint8_t *file, uint32_t block, uint32_t at)
{
    uint8_t *data = file + (size_t)block * BLOCK_BYTES;
    at = at / WAL_ENTRY_ALIGNMENT * WAL_ENTRY_ALIGNMENT % (BLOCK_BYTES - WAL_ENTRY_HEADER_BYTES);
    struct wal_place place = {get_le64(data + 8), get_le64(data + 24), get_le64(data + 16)};
    if (place.position % BLOCK_BYTES != 0 || place.position < FILE_BYTES) {
        return;
    }
    uint32_t room = BLOCK_BYTES - WAL_ENTRY_HEADER_BYTES - at;
    uint32_t checked = get_le32(data + at + 56) % room;
    struct bytes covered = {data + at + 8, WAL_ENTRY_HEADER_BYTES - 8 + (size_t)checked};
    put_le64(data + at, checksum_hash64(wal_entry_seed(&identity, &place) + at, covered));
}

static void change_apply(uint8_t *file, uint8_t *checkpoint, const uint8_t *change)
{
    uint32_t block = change[1] % (FILE_BYTES / BLOCK_BYTES);
    uint32_t at = get_le16(change + 2) % BLOCK_BYTES;
    switch (change[0] % 6) {
    case 0:
    case 1:
        file[(size_t)block * BLOCK_BYTES + at] = change[4];
        break;
    case 2:
        flush_seal(file, block);
        break;
    case 3:
        entry_seal(file, block, at);
        break;
    case 4:
        memmove(file + (size_t)block * BLOCK_BYTES,
                file + (size_t)(change[4] % (FILE_BYTES / BLOCK_BYTES)) * BLOCK_BYTES, BLOCK_BYTES);
        break;
    default:
        checkpoint[WAL_TWIN_HEADER_BYTES + at % WAL_CHECKPOINT_HEADER_BYTES] = change[4];
        wal_twin_seal((struct bytes_mut){checkpoint, BLOCK_BYTES}, WAL_TWIN_CHECKPOINT, &identity,
                      WAL_CHECKPOINT_HEADER_BYTES + 4);
        memcpy(checkpoint + BLOCK_BYTES, checkpoint, BLOCK_BYTES);
        break;
    }
}

static void slurp(struct sim_disk *disk, const char *path, uint8_t *data, size_t count)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1});
    struct io_file *file = NULL;
    int error = io_open(sim_io(sim), path, IO_OPEN_READ, &file);
    ASSERT(error == 0);
    size_t done = 0;
    error = io_read_at(sim_io(sim), file, (struct bytes_mut){data, count}, 0, &done);
    ASSERT(error == 0 && done == count);
    io_close(sim_io(sim), file);
    sim_destroy(sim);
}

/* -- The three ways to look -- */

/* Walk all flushes and entries of @view; return why it ended. */
static enum pyr_err inspect_walk(struct wal_inspect *view)
{
    const struct wal_flush_header *header = NULL;
    struct wal_inspect_entry entry;
    enum pyr_err err = PYR_OK;
    do {
        err = wal_inspect_flush(view, &header, NULL);
        while (header && wal_inspect_entry(view, &entry)) {
            ASSERT(entry.entry.parts[0].count <= FILE_BYTES);
        }
    } while (header);
    return err;
}

/* Inspect the journal on @disk and repair it if it is bad; return what a repair said, or why there
 * was none. */
static enum pyr_err inspect(struct sim_disk *disk, bool *ret_is_corrupt)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1});
    struct wal_inspect *view = NULL;
    enum pyr_err err = wal_inspect_open(sim_io(sim), "/0", NULL, NULL, &view, NULL);
    *ret_is_corrupt = true;
    if (err == PYR_OK) {
        err = inspect_walk(view);
        ASSERT(err == PYR_OK || err == PYR_ERR_CORRUPT);
        struct wal_inspect_end end;
        wal_inspect_end(view, &end);
        *ret_is_corrupt = end.is_corrupt;
        err = wal_inspect_repair(view, NULL);
    }
    wal_inspect_close(view);
    sim_destroy(sim);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static struct sim_disk *good;
    static uint8_t file[FILE_BYTES];
    static uint8_t checkpoint[2 * BLOCK_BYTES];
    good = good ? good : journal_make();
    slurp(good, "/0/00000000.wal", file, sizeof file);
    slurp(good, "/0/checkpoint", checkpoint, sizeof checkpoint);
    for (size_t index = 0; index < CHANGES_MAX && (index + 1) * CHANGE_BYTES <= count; index++) {
        change_apply(file, checkpoint, data + index * CHANGE_BYTES);
    }
    struct sim_disk *disk = sim_disk_copy(good);
    bool is_there =
        sim_disk_poke(disk, "/0/00000000.wal", 0, (struct bytes){file, sizeof file}) &&
        sim_disk_poke(disk, "/0/checkpoint", 0, (struct bytes){checkpoint, sizeof checkpoint});
    ASSERT(is_there);

    struct life life;
    (void)life_begin(&life, disk);
    life_end(&life);
    bool is_corrupt = false;
    enum pyr_err err = inspect(disk, &is_corrupt);
    if (err == PYR_OK) {
        enum pyr_err open_err = life_begin(&life, disk);
        if (open_err == PYR_OK && wal_start(life.wal, NULL) == PYR_OK) {
            life_append(&life);
        }
        life_end(&life);
    }
    sim_disk_destroy(disk);
    return 0;
}
