/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/files - the table of files, and the making and recycling of one.
 *
 * The table has a row per file and is small (at most WAL_FILES_MAX and the reserved ones), so it is
 * searched from end to end: rolls and checkpoints are the only ones who ask.
 */
#include "wal/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "wal/disk.h"

enum { SLOT_DIGITS = 8 };

void wal_files_path(const struct wal_files *files, uint32_t slot, char path[PATH_BYTES_MAX])
{
    ASSERT(path);
    ASSERT(files->folder);

    (void)snprintf(path, PATH_BYTES_MAX, "%s/%08u.wal", files->folder, slot);
}

/* Return whether @name is that of a journal file, and its slot; or of one half made, with @suffix
 * ".new". */
static bool name_has_slot(const char *name, const char *suffix, uint32_t *ret_slot)
{
    ASSERT(name);
    ASSERT(ret_slot);

    uint32_t slot = 0;
    for (size_t index = 0; index < SLOT_DIGITS; index++) {
        if (name[index] < '0' || name[index] > '9') {
            return false;
        }
        slot = slot * 10 + (uint32_t)(name[index] - '0');
    }
    if (strcmp(name + SLOT_DIGITS, suffix) != 0) {
        return false;
    }
    *ret_slot = slot;
    return true;
}

/* Open the file at @path, past the page cache where the file system can. */
static int file_open(struct io *io,
                     const char *path,
                     uint32_t flags,
                     bool *inout_is_direct,
                     struct io_file **ret_file)
{
    ASSERT(path);
    ASSERT(ret_file);

    if (*inout_is_direct) {
        int error = io_open(io, path, flags | IO_OPEN_DIRECT, ret_file);
        if (error != EINVAL) {
            return error;
        }
        *inout_is_direct = false;
    }
    return io_open(io, path, flags, ret_file);
}

/* -- Reading headers -- */

static enum pyr_err identity_check(const struct wal_files *files,
                                   const struct wal_file_header *header,
                                   const char *path,
                                   struct pyr_error *reterr)
{
    ASSERT(files->has_identity);
    ASSERT(header->generation >= 1);

    const struct wal_identity *ours = &files->identity;
    const struct wal_identity *its = &header->identity;
    bool is_ours = memcmp(ours->storage_id, its->storage_id, WAL_STORAGE_ID_BYTES) == 0 &&
                   ours->shard == its->shard;
    if (!is_ours) {
        return err_set(reterr, PYR_ERR_FOREIGN, "'%s' belongs to another storage or shard", path);
    }
    if (ours->file_bytes != its->file_bytes) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s' is one of files of %llu bytes, not of %llu",
                       path, (unsigned long long)its->file_bytes,
                       (unsigned long long)ours->file_bytes);
    }
    return PYR_OK;
}

/* Fill @file from the two headers at @blocks. */
static enum pyr_err headers_judge(struct wal_files *files,
                                  struct wal_file *file,
                                  const uint8_t *blocks,
                                  const char *path,
                                  struct pyr_error *reterr)
{
    ASSERT(file->generation == 0);
    ASSERT(file->headers_bad == 0);

    struct wal_file_header headers[WAL_FILE_HEADER_COPIES];
    uint64_t generation_min = UINT64_MAX;
    for (size_t copy = 0; copy < WAL_FILE_HEADER_COPIES; copy++) {
        enum wal_header_verdict verdict =
            wal_file_header_decode(blocks + copy * BLOCK_BYTES, &headers[copy]);
        if (verdict == WAL_HEADER_VERSION) {
            return err_set(reterr, PYR_ERR_VERSION, "'%s' was written by a newer version", path);
        }
        if (verdict != WAL_HEADER_GOOD) {
            file->headers_bad++;
            continue;
        }
        if (files->identity.file_bytes == 0) {
            files->identity.file_bytes = headers[copy].identity.file_bytes;
        }
        if (!files->has_identity) {
            files->identity = headers[copy].identity; /* An inspection takes what is there. */
            files->has_identity = true;
        }
        enum pyr_err err = identity_check(files, &headers[copy], path, reterr);
        if (err != PYR_OK) {
            return err;
        }
        uint64_t generation = headers[copy].generation;
        generation_min = generation < generation_min ? generation : generation_min;
        file->generation = generation > file->generation ? generation : file->generation;
    }
    if (file->headers_bad == WAL_FILE_HEADER_COPIES) {
        file->state = WAL_FILE_DAMAGED;
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s': both headers fail their checksum", path);
    }
    ASSERT(file->generation >= 1);
    file->is_half = generation_min != file->generation;
    return PYR_OK;
}

/* Sync what was found before it is trusted, and read its headers. */
static enum pyr_err file_examine(struct wal_files *files,
                                 struct wal_file *file,
                                 uint8_t *blocks,
                                 const char *path,
                                 struct pyr_error *reterr)
{
    ASSERT(file->file);
    ASSERT(blocks);

    int error = files->is_read_only ? 0 : io_sync(files->io, file->file);
    if (error != 0) {
        return err_set_errno(reterr, error, "sync '%s'", path);
    }
    int64_t bytes = 0;
    error = io_bytes(files->io, file->file, &bytes);
    if (error != 0) {
        return err_set_errno(reterr, error, "measure '%s'", path);
    }
    if (bytes < WAL_FILE_DATA_POSITION) {
        file->state = WAL_FILE_DAMAGED;
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s' was cut to %lld bytes", path,
                       (long long)bytes);
    }
    error =
        wal_disk_read(files->io, file->file, (struct bytes_mut){blocks, WAL_FILE_DATA_POSITION}, 0);
    if (error != 0) {
        return err_set_errno(reterr, error, "read the headers of '%s'", path);
    }
    enum pyr_err err = headers_judge(files, file, blocks, path, reterr);
    if (err == PYR_OK && (uint64_t)bytes != files->identity.file_bytes) {
        file->state = WAL_FILE_DAMAGED;
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s' has %lld bytes instead of %llu", path,
                       (long long)bytes, (unsigned long long)files->identity.file_bytes);
    }
    return err;
}

static enum pyr_err file_add(struct wal_files *files,
                             uint32_t slot,
                             uint8_t *blocks,
                             struct pyr_error *reterr)
{
    ASSERT(blocks);
    ASSERT(files->count < files->rows_max);

    char path[PATH_BYTES_MAX];
    wal_files_path(files, slot, path);
    struct wal_file *file = &files->rows[files->count];
    *file = (struct wal_file){.slot = slot, .state = WAL_FILE_USED};
    uint32_t flags = files->is_read_only ? IO_OPEN_READ : IO_OPEN_READ | IO_OPEN_WRITE;
    int error = file_open(files->io, path, flags, &files->is_direct, &file->file);
    if (error != 0) {
        return err_set_errno(reterr, error, "open '%s'", path);
    }
    files->count++;
    enum pyr_err err = file_examine(files, file, blocks, path, reterr);
    if (err == PYR_ERR_CORRUPT && files->is_read_only) {
        file->state = WAL_FILE_DAMAGED;
        return PYR_OK;
    }
    if (err != PYR_OK) {
        return err;
    }
    bool is_twice = false;
    for (uint32_t index = 0; index + 1 < files->count; index++) {
        is_twice = is_twice || files->rows[index].generation == file->generation;
    }
    if (is_twice && !files->is_read_only) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s' has the generation %llu of another file",
                       path, (unsigned long long)file->generation);
    }
    files->generation_next =
        file->generation >= files->generation_next ? file->generation + 1 : files->generation_next;
    return PYR_OK;
}

/* Remove what a crash left half made, and count the others. */
static enum pyr_err entries_sift(struct wal_files *files,
                                 const struct io_entries *entries,
                                 uint32_t *ret_count,
                                 struct pyr_error *reterr)
{
    ASSERT(files->folder);
    ASSERT(ret_count);

    uint32_t count = 0;
    for (size_t index = 0; index < entries->count; index++) {
        const char *name = entries->rows[index].name;
        uint32_t slot = 0;
        if (name_has_slot(name, ".wal", &slot)) {
            count++;
        }
        if (files->is_read_only || !name_has_slot(name, ".new", &slot)) {
            continue;
        }
        char path[PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", files->folder, name);
        int error = io_remove(files->io, path);
        if (error != 0) {
            return err_set_errno(reterr, error, "remove '%s'", path);
        }
    }
    *ret_count = count;
    return PYR_OK;
}

static enum pyr_err entries_add(struct wal_files *files,
                                const struct io_entries *entries,
                                struct pyr_error *reterr)
{
    ASSERT(files->rows);
    ASSERT(files->count == 0);

    uint8_t *blocks = io_alloc(files->io, WAL_FILE_DATA_POSITION, BLOCK_BYTES);
    if (!blocks) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to read '%s'", files->folder);
    }
    enum pyr_err err = PYR_OK;
    for (size_t index = 0; index < entries->count && err == PYR_OK; index++) {
        uint32_t slot = 0;
        if (name_has_slot(entries->rows[index].name, ".wal", &slot)) {
            err = file_add(files, slot, blocks, reterr);
        }
    }
    io_free(files->io, blocks);
    return err;
}

enum pyr_err wal_files_open(struct wal_files *files,
                            const struct wal_files_options *options,
                            struct pyr_error *reterr)
{
    ASSERT(options->io);
    ASSERT(options->folder);

    *files = (struct wal_files){
        .io = options->io,
        .folder = options->folder,
        .is_direct = !options->without_direct,
        .is_read_only = options->is_read_only,
        .generation_next = 1,
    };
    if (options->identity) {
        files->identity = *options->identity;
        files->has_identity = true;
    }
    struct io_entries entries = {0};
    int error = io_list(files->io, files->folder, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list '%s'", files->folder);
    }
    uint32_t count = 0;
    enum pyr_err err = entries_sift(files, &entries, &count, reterr);
    if (err == PYR_OK) {
        files->rows_max = count > options->rows_max ? count : options->rows_max;
        files->rows = io_alloc(files->io, (files->rows_max + 1) * sizeof files->rows[0],
                               _Alignof(struct wal_file));
        err = files->rows ? entries_add(files, &entries, reterr)
                          : err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for %u files", count);
    }
    io_entries_free(files->io, &entries);
    return err;
}

void wal_files_close(struct wal_files *files)
{
    ASSERT(files->count <= files->rows_max);
    ASSERT(files->rows || files->count == 0);

    for (uint32_t index = 0; index < files->count; index++) {
        io_close(files->io, files->rows[index].buffered);
        io_close(files->io, files->rows[index].file);
    }
    if (files->rows) {
        io_free(files->io, files->rows);
    }
    *files = (struct wal_files){0};
}

struct wal_file *wal_files_find(const struct wal_files *files, uint64_t generation)
{
    ASSERT(files->count <= files->rows_max);
    ASSERT(generation >= 1);

    for (uint32_t index = 0; index < files->count; index++) {
        if (files->rows[index].generation == generation) {
            return &files->rows[index];
        }
    }
    return NULL;
}

struct wal_file *wal_files_after(const struct wal_files *files, uint64_t generation)
{
    ASSERT(files->count <= files->rows_max);

    struct wal_file *found = NULL;
    for (uint32_t index = 0; index < files->count; index++) {
        struct wal_file *file = &files->rows[index];
        bool is_after = file->generation > generation && file->state != WAL_FILE_DAMAGED &&
                        file->state != WAL_FILE_PREPARING && file->state != WAL_FILE_FREE;
        if (is_after && (!found || file->generation < found->generation)) {
            found = file;
        }
    }
    if (found) {
        ASSERT(found->generation > generation);
    }
    return found;
}

uint32_t wal_files_count(const struct wal_files *files, enum wal_file_state state)
{
    ASSERT(state <= WAL_FILE_DAMAGED);

    uint32_t count = 0;
    for (uint32_t index = 0; index < files->count; index++) {
        count += files->rows[index].state == state ? 1 : 0;
    }
    ASSERT(count <= files->count);
    return count;
}

/* -- Preparing -- */

/* Write both headers of @file, one after the other if @is_durable. Return 0 or an errno value. */
static int headers_write(const struct wal_prepare *prepare, bool is_durable)
{
    ASSERT(prepare->file);
    ASSERT(prepare->block);

    wal_file_header_encode(&prepare->header, prepare->block);
    for (int64_t copy = 0; copy < WAL_FILE_HEADER_COPIES; copy++) {
        int error =
            io_write_whole(prepare->io, prepare->file, (struct bytes){prepare->block, BLOCK_BYTES},
                           copy * BLOCK_BYTES, is_durable);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int zeros_write(const struct wal_prepare *prepare)
{
    ASSERT(prepare->zeros);
    ASSERT(prepare->header.identity.file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN);

    int64_t bytes = (int64_t)prepare->header.identity.file_bytes;
    int error = io_allocate(prepare->io, prepare->file, bytes);
    if (error != 0 && error != EOPNOTSUPP) {
        return error;
    }
    int64_t piece = (int64_t)wal_zero_bytes(&prepare->header.identity);
    for (int64_t position = 0; position < bytes; position += piece) {
        int64_t left = bytes - position;
        size_t count = left < piece ? (size_t)left : (size_t)piece;
        error = io_write_whole(prepare->io, prepare->file, (struct bytes){prepare->zeros, count},
                               position, false);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* Fill the new file at @path_new and give it its name. Return 0 or an errno value. */
static int file_fill(struct wal_prepare *prepare, const char *path_new, const char *path)
{
    ASSERT(prepare->file);
    ASSERT(strcmp(path_new, path) != 0);

    int error = zeros_write(prepare);
    if (error == 0) {
        error = headers_write(prepare, false);
    }
    if (error == 0) {
        error = io_sync(prepare->io, prepare->file);
    }
    if (error == 0) {
        error = io_rename(prepare->io, path_new, path);
    }
    if (error == 0 && !MUTANT(no_folder_sync)) {
        error = io_sync_folder(prepare->io, prepare->folder); /* WALX-1 */
    }
    return error;
}

static void file_make(struct wal_prepare *prepare)
{
    ASSERT(!prepare->is_recycling);
    ASSERT(!prepare->file);

    char path[PATH_BYTES_MAX];
    char path_new[PATH_BYTES_MAX];
    uint32_t slot = prepare->header.slot;
    (void)snprintf(path, sizeof path, "%s/%08u.wal", prepare->folder, slot);
    (void)snprintf(path_new, sizeof path_new, "%s/%08u.new", prepare->folder, slot);
    int error = file_open(prepare->io, path_new, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE,
                          &prepare->is_direct, &prepare->file);
    if (error != 0) {
        prepare->err = err_set_errno(&prepare->reason, error, "create '%s'", path_new);
        return;
    }
    error = file_fill(prepare, path_new, path);
    if (error == 0) {
        return;
    }
    prepare->err = err_set_errno(&prepare->reason, error, "fill '%s'", path_new);
    io_close(prepare->io, prepare->file);
    prepare->file = NULL;
    int ignored = io_remove(prepare->io, path_new); /* Gives back its space; open does so too. */
    (void)ignored;
}

bool wal_prepare_begin(struct wal_files *files, struct wal_prepare *prepare)
{
    ASSERT(!files->is_read_only);
    ASSERT(files->identity.file_bytes > 0);

    struct wal_file *chosen = NULL;
    uint32_t slot_next = 0;
    for (uint32_t index = 0; index < files->count; index++) {
        struct wal_file *file = &files->rows[index];
        slot_next = file->slot >= slot_next ? file->slot + 1 : slot_next;
        if (file->state == WAL_FILE_FREE && !chosen) {
            chosen = file;
        }
    }
    if (!chosen && (files->is_frugal || files->count >= files->rows_max)) {
        return false;
    }
    ASSERT(!chosen || chosen->generation < files->generation_next); /* WALX-2 */
    if (chosen) {
        chosen->state = WAL_FILE_PREPARING;
    }
    prepare->io = files->io;
    prepare->folder = files->folder;
    prepare->is_direct = files->is_direct;
    prepare->is_recycling = chosen != NULL;
    prepare->file = chosen ? chosen->file : NULL;
    prepare->err = PYR_OK;
    prepare->header = (struct wal_file_header){
        .identity = files->identity,
        .slot = chosen ? chosen->slot : slot_next,
        .generation = files->generation_next++, /* WALX-2 */
    };
    return true;
}

void wal_prepare_run(struct wal_prepare *prepare)
{
    ASSERT(prepare->zeros);
    ASSERT(prepare->err == PYR_OK);

    if (!prepare->is_recycling) {
        file_make(prepare);
        return;
    }
    int error = headers_write(prepare, true);
    if (error != 0) {
        prepare->err = err_set_errno(&prepare->reason, error, "recycle '%s/%08u.wal'",
                                     prepare->folder, prepare->header.slot);
    }
}

void wal_prepare_end(struct wal_files *files, struct wal_prepare *prepare)
{
    ASSERT(!files->is_read_only);

    struct wal_file *row = NULL;
    for (uint32_t index = 0; index < files->count; index++) {
        if (files->rows[index].slot == prepare->header.slot) {
            row = &files->rows[index];
        }
    }
    if (prepare->is_recycling) {
        ASSERT(row);
        ASSERT(row->state == WAL_FILE_PREPARING);
        row->state = WAL_FILE_FREE;
    }
    if (prepare->err != PYR_OK) {
        return;
    }
    if (!prepare->is_recycling) {
        ASSERT(!row);
        ASSERT(files->count < files->rows_max);
        row = &files->rows[files->count++];
        files->is_direct = files->is_direct && prepare->is_direct;
    }
    *row = (struct wal_file){
        .state = WAL_FILE_READY,
        .slot = prepare->header.slot,
        .generation = prepare->header.generation,
        .file = prepare->file,
        .buffered = prepare->is_recycling ? row->buffered : NULL,
    };
    prepare->file = NULL;
}

enum pyr_err wal_files_heal(struct wal_files *files,
                            struct wal_file *file,
                            struct pyr_error *reterr)
{
    ASSERT(!files->is_read_only);
    ASSERT(file->generation >= 1);

    uint8_t *block = io_alloc(files->io, BLOCK_BYTES, BLOCK_BYTES);
    if (!block) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to heal a header");
    }
    struct wal_prepare prepare = {
        .io = files->io,
        .file = file->file,
        .block = block,
        .header = {files->identity, file->slot, file->generation},
    };
    int error = headers_write(&prepare, true);
    io_free(files->io, block);
    if (error != 0) {
        return err_set_errno(reterr, error, "heal the header of '%s/%08u.wal'", files->folder,
                             file->slot);
    }
    file->headers_bad = 0;
    return PYR_OK;
}
