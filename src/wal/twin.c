/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/twin - writing, reading and judging the two copies.
 */
#include "wal/twin.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "base/mutant.h"
#include "io/io.h"
#include "wal/disk.h"

enum {
    TWIN_MAGIC = 0x544c5750, /* "PWLT" */
    CHECKED_BYTES = 40,      /* Of the header. */
    COPIES = 2,
};

#define TWIN_BYTES_MAX (COPIES * (WAL_CHECKPOINT_BYTES_MAX + BLOCK_BYTES))

enum verdict {
    VERDICT_GOOD,
    VERDICT_BAD,
    VERDICT_VERSION,
    VERDICT_FOREIGN,
};

uint64_t wal_twin_image_bytes(uint64_t body_bytes)
{
    ASSERT(body_bytes <= (uint64_t)(WAL_CHECKPOINT_BYTES_MAX + BLOCK_BYTES));

    return align_up(WAL_TWIN_HEADER_BYTES + body_bytes, BLOCK_BYTES);
}

static uint64_t twin_checksum(const uint8_t *image, uint64_t body_bytes)
{
    ASSERT(image);
    ASSERT(body_bytes <= (uint64_t)TWIN_BYTES_MAX);

    uint64_t seed = checksum_hash64(TWIN_MAGIC, (struct bytes){image, CHECKED_BYTES});
    return checksum_hash64(seed, (struct bytes){image + WAL_TWIN_HEADER_BYTES, (size_t)body_bytes});
}

void wal_twin_seal(struct bytes_mut image,
                   enum wal_twin_kind kind,
                   const struct wal_identity *identity,
                   uint64_t body_bytes)
{
    ASSERT(image.count == wal_twin_image_bytes(body_bytes));
    ASSERT(identity);

    uint8_t *data = image.data;
    memset(data, 0, WAL_TWIN_HEADER_BYTES);
    put_le32(data, TWIN_MAGIC);
    put_le16(data + 4, WAL_FORMAT_VERSION);
    put_le16(data + 6, (uint16_t)kind);
    memcpy(data + 8, identity->storage_id, WAL_STORAGE_ID_BYTES);
    put_le32(data + 24, identity->shard);
    put_le64(data + 32, body_bytes);
    put_le64(data + CHECKED_BYTES, twin_checksum(data, body_bytes));
    size_t used = WAL_TWIN_HEADER_BYTES + (size_t)body_bytes;
    memset(data + used, 0, image.count - used);
}

/* Make both copies of @image the synced contents of @file; return 0 or an errno value. */
static int twin_fill(struct io *io, struct io_file *file, struct bytes image)
{
    ASSERT(image.count > 0);
    ASSERT(image.count % BLOCK_BYTES == 0);

    int error = io_truncate(io, file, 0); /* A crash may have left a longer one. */
    for (size_t copy = 0; copy < COPIES && error == 0; copy++) {
        error = io_write_whole(io, file, image, (int64_t)(copy * image.count), false);
    }
    return error != 0 ? error : io_sync(io, file);
}

static int twin_write_new(struct io *io, const char *path, struct bytes image)
{
    ASSERT(path);
    ASSERT(image.data);

    struct io_file *file = NULL;
    int error = io_open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (error != 0) {
        return error;
    }
    error = twin_fill(io, file, image);
    io_close(io, file);
    return error;
}

enum pyr_err wal_twin_write(struct io *io,
                            const struct wal_twin_name *name,
                            struct bytes image,
                            struct pyr_error *reterr)
{
    ASSERT(name->folder);
    ASSERT(name->file);

    char path_new[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", name->folder, name->file);
    (void)snprintf(path_new, sizeof path_new, "%s/%s.new", name->folder, name->file);

    int error = twin_write_new(io, path_new, image);
    if (error != 0) {
        /* Only to give back its space: the next write replaces it anyway. */
        int ignored = io_remove(io, path_new);
        (void)ignored;
        return err_set_errno(reterr, error, "write '%s'", path_new);
    }
    error = io_rename(io, path_new, path);
    if (error != 0) {
        return err_set_errno(reterr, error, "rename '%s'", path_new);
    }
    if (MUTANT(no_folder_sync)) {
        return PYR_OK;
    }
    error = io_sync_folder(io, name->folder); /* TWIN-1 */
    if (error != 0) {
        /* Whether the rename is durable is not known: no code that invites to try again. */
        (void)err_set_errno(reterr, error, "sync folder '%s'", name->folder);
        return err_recode(reterr, PYR_ERR_IO);
    }
    return PYR_OK;
}

static enum verdict twin_judge(struct bytes copy,
                               enum wal_twin_kind kind,
                               const struct wal_identity *identity,
                               struct wal_twin *twin)
{
    ASSERT(copy.count % BLOCK_BYTES == 0);
    ASSERT(copy.count >= BLOCK_BYTES);

    const uint8_t *data = copy.data;
    uint64_t body_bytes = get_le64(data + 32);
    bool is_whole = get_le32(data) == TWIN_MAGIC &&
                    body_bytes <= copy.count - WAL_TWIN_HEADER_BYTES &&
                    get_le64(data + CHECKED_BYTES) == twin_checksum(data, body_bytes);
    if (!is_whole) {
        return VERDICT_BAD;
    }
    if (get_le16(data + 4) != WAL_FORMAT_VERSION) {
        return VERDICT_VERSION;
    }
    if (get_le16(data + 6) != (uint16_t)kind) {
        return VERDICT_BAD;
    }
    bool is_ours =
        !identity || (memcmp(data + 8, identity->storage_id, WAL_STORAGE_ID_BYTES) == 0 &&
                      get_le32(data + 24) == identity->shard);
    if (!is_ours) {
        return VERDICT_FOREIGN;
    }
    twin->body = (struct bytes){data + WAL_TWIN_HEADER_BYTES, (size_t)body_bytes};
    memcpy(twin->identity.storage_id, data + 8, WAL_STORAGE_ID_BYTES);
    twin->identity.shard = get_le32(data + 24);
    return VERDICT_GOOD;
}

static enum pyr_err verdict_error(enum verdict verdict, const char *path, struct pyr_error *reterr)
{
    ASSERT(path);
    ASSERT(verdict <= VERDICT_FOREIGN);

    switch (verdict) {
    case VERDICT_GOOD:
        return PYR_OK;
    case VERDICT_VERSION:
        return err_set(reterr, PYR_ERR_VERSION, "'%s' was written by a newer version", path);
    case VERDICT_FOREIGN:
        return err_set(reterr, PYR_ERR_FOREIGN, "'%s' belongs to another storage or shard", path);
    case VERDICT_BAD:
        break;
    }
    return err_set(reterr, PYR_ERR_CORRUPT, "'%s': both copies fail their checksum", path);
}

/* Judge the copies in the @count bytes at @memory and fill *@ret_twin from the first good one. */
static enum verdict twin_choose(struct bytes whole,
                                enum wal_twin_kind kind,
                                const struct wal_identity *identity,
                                struct wal_twin *twin)
{
    ASSERT(!twin->body.data);
    ASSERT(whole.count % (COPIES * (size_t)BLOCK_BYTES) == 0);

    size_t half = whole.count / COPIES;
    enum verdict worst = VERDICT_BAD;
    for (size_t copy = 0; copy < COPIES; copy++) {
        struct bytes half_bytes = {whole.data + copy * half, half};
        enum verdict verdict = twin_judge(half_bytes, kind, identity, twin);
        if (verdict != VERDICT_GOOD) {
            twin->copies_bad++;
            worst = verdict != VERDICT_BAD ? verdict : worst;
        }
    }
    return twin->body.data ? VERDICT_GOOD : worst; /* TWIN-2 */
}

/* Read all of @file into memory of @twin and tell how much it is in @ret_bytes. */
static enum pyr_err twin_load(struct io *io,
                              struct io_file *file,
                              const char *path,
                              struct wal_twin *twin,
                              size_t *ret_bytes,
                              struct pyr_error *reterr)
{
    ASSERT(path);
    ASSERT(!twin->memory);

    int64_t bytes = 0;
    int error = io_bytes(io, file, &bytes);
    if (error != 0) {
        return err_set_errno(reterr, error, "measure '%s'", path);
    }
    if (bytes <= 0 || bytes > TWIN_BYTES_MAX || bytes % (INT64_C(1) * COPIES * BLOCK_BYTES) != 0) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s' has %lld bytes, which cannot be", path,
                       (long long)bytes);
    }
    twin->memory = io_alloc(io, (size_t)bytes, BLOCK_BYTES);
    if (!twin->memory) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to read '%s'", path);
    }
    error = wal_disk_read(io, file, (struct bytes_mut){twin->memory, (size_t)bytes}, 0);
    if (error != 0) {
        return err_set_errno(reterr, error, "read '%s'", path);
    }
    *ret_bytes = (size_t)bytes;
    return PYR_OK;
}

enum pyr_err wal_twin_read(struct io *io,
                           const struct wal_twin_name *name,
                           const struct wal_identity *identity,
                           struct wal_twin *ret_twin,
                           struct pyr_error *reterr)
{
    ASSERT(name->folder);
    ASSERT(ret_twin);

    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", name->folder, name->file);
    struct io_file *file = NULL;
    int error = io_open(io, path, IO_OPEN_READ, &file);
    if (error != 0) {
        return err_set_errno(reterr, error, "open '%s'", path);
    }
    struct wal_twin twin = {0};
    size_t bytes = 0;
    enum pyr_err err = twin_load(io, file, path, &twin, &bytes, reterr);
    io_close(io, file);
    if (err == PYR_OK) {
        struct bytes whole = {twin.memory, bytes};
        err = verdict_error(twin_choose(whole, name->kind, identity, &twin), path, reterr);
    }
    if (err != PYR_OK) {
        io_free(io, twin.memory);
        return err;
    }
    ASSERT(twin.body.data);
    *ret_twin = twin;
    return PYR_OK;
}

void wal_twin_free(struct io *io, struct wal_twin *twin)
{
    ASSERT(io);
    ASSERT(twin);

    io_free(io, twin->memory);
    *twin = (struct wal_twin){0};
}
