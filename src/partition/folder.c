/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/folder - opening a data folder without ever harming one that is not ours.
 *
 * The marker is a short text, so that a person who finds the folder knows what it is:
 *
 *     pyralog-store 1
 *     storage 00112233445566778899aabbccddeeff
 *     shards 1
 *     journals 1
 *     state ready               `new` until the journals are made for the first time
 *     created-by 0.1.0
 *     check 1a2b3c4d            CRC32C of all lines above
 */
#include "partition/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/checksum.h"

#define MARKER_NAME      "pyralog.store"
#define MARKER_NEW_NAME  "pyralog.store.new"
#define LOCK_NAME        "lock"
#define FORMAT_VERSION   1
#define STATE_NEW        "new"
#define STATE_READY      "ready"
#define MARKER_BYTES_MAX 1024
#define LOCK_WAIT_NS     UINT64_C(1000000000)
#define LOCK_RETRY_NS    UINT64_C(20000000)
#define QUARANTINE_TRIES 10000

void folder_path(const struct folder *folder, const char *name, char *ret_path)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    int written = snprintf(ret_path, PATH_BYTES_MAX, "%s/%s", folder->path, name);
    ASSERT(written > 0);
    ASSERT(written < PATH_BYTES_MAX);
}

void folder_journal_path(const struct folder *folder,
                         uint32_t journals,
                         uint32_t index,
                         char *ret_path)
{
    ASSERT(index < FOLDER_SHARDS_MAX);
    ASSERT(journals > 0);

    char name[64];
    (void)snprintf(name, sizeof name, "wal/%" PRIu32 ".%" PRIu32, journals, index);
    folder_path(folder, name, ret_path);
}

uint32_t folder_shard_key(const char *name)
{
    ASSERT(name);

    const char *dash = strrchr(name, '-');
    if (!dash || dash[1] == '\0') {
        return 0;
    }
    uint32_t partition = 0;
    for (const char *at = dash + 1; *at; at++) {
        if (*at < '0' || *at > '9') {
            return 0;
        }
        partition = partition * 10 + (uint32_t)(*at - '0'); /* A sum that wraps is as good. */
    }
    ASSERT(dash >= name);
    struct bytes topic = {(const uint8_t *)name, (size_t)(dash - name)};
    return checksum_crc32c(0, topic) + partition;
}

uint32_t folder_shard_of(const char *name, uint32_t shards)
{
    ASSERT(name);
    ASSERT(shards > 0);

    return folder_shard_key(name) % shards;
}

/* What stands in the folder before anything is done to it. */
enum folder_content {
    CONTENT_EMPTY, /* Nothing, or only what an interrupted first open left. */
    CONTENT_STORE,
    CONTENT_FOREIGN,
};

static enum pyr_err content_read(struct folder *folder,
                                 enum folder_content *ret_content,
                                 struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    struct io_entries entries;
    int error = io_list(folder->io, folder->path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list folder '%s'", folder->path);
    }

    enum folder_content content = CONTENT_EMPTY;
    for (size_t index = 0; index < entries.count; index++) {
        const char *name = entries.rows[index].name;
        if (strcmp(name, MARKER_NAME) == 0) {
            content = CONTENT_STORE;
            break;
        }
        if (strcmp(name, LOCK_NAME) != 0 && strcmp(name, MARKER_NEW_NAME) != 0) {
            content = CONTENT_FOREIGN;
        }
    }
    io_entries_free(folder->io, &entries);
    *ret_content = content;
    return PYR_OK;
}

/* Make the folder, and its name durable: without that a power cut takes the whole store with it. */
static enum pyr_err folder_make(struct folder *folder, struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    char parent[PATH_BYTES_MAX];
    memcpy(parent, folder->path, strlen(folder->path) + 1);
    char *end = parent + strlen(parent);
    while (end > parent + 1 && end[-1] == '/') {
        *--end = '\0';
    }
    char *slash = strrchr(parent, '/');
    if (!slash) {
        memcpy(parent, ".", 2);
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }

    int error = io_make_folder(folder->io, folder->path);
    if (error == 0) {
        error = io_sync_folder(folder->io, parent);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "make folder '%s'", folder->path);
    }
    return PYR_OK;
}

/* Make the folder if it is missing and may be made; say plainly what is wrong with it otherwise. */
static enum pyr_err folder_find(struct folder *folder, bool must_exist, struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    struct io_stat stat;
    int error = io_stat(folder->io, folder->path, &stat);
    if (error == ENOENT && must_exist) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "no folder at '%s'", folder->path);
    }
    if (error == ENOENT) {
        return folder_make(folder, reterr);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "look at '%s'", folder->path);
    }
    if (stat.kind != IO_KIND_FOLDER) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s' is not a folder", folder->path);
    }
    if (!stat.is_own) {
        return err_set(
            reterr, PYR_ERR_FOREIGN,
            "folder '%s' belongs to another user; run as that user or choose another folder",
            folder->path);
    }
    return PYR_OK;
}

static enum pyr_err lock_take(struct folder *folder, struct io_loop *loop, struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);
    ASSERT(loop);

    char path[PATH_BYTES_MAX];
    folder_path(folder, LOCK_NAME, path);
    uint64_t deadline_ns = io_now_mono_ns(folder->io) + LOCK_WAIT_NS;
    int64_t holder = 0;
    int error = io_lock(folder->io, path, &holder, &folder->lock);
    while (error == EWOULDBLOCK && io_now_mono_ns(folder->io) < deadline_ns) {
        io_loop_wait(loop, io_now_mono_ns(folder->io) + LOCK_RETRY_NS);
        error = io_lock(folder->io, path, &holder, &folder->lock);
    }
    if (error == EWOULDBLOCK) {
        return err_set(reterr, PYR_ERR_LOCKED, "folder '%s' is open in process %" PRId64,
                       folder->path, holder);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "lock '%s'", path);
    }
    return PYR_OK;
}

static int marker_print(const struct folder *folder, char *text)
{
    char id[2 * FOLDER_STORAGE_ID_BYTES + 1];
    for (size_t index = 0; index < FOLDER_STORAGE_ID_BYTES; index++) {
        (void)snprintf(id + 2 * index, 3, "%02x", folder->storage_id[index]);
    }
    int written = snprintf(text, MARKER_BYTES_MAX,
                           "pyralog-store %d\nstorage %s\nshards %" PRIu32 "\njournals %" PRIu32
                           "\nstate %s\ncreated-by %s\n",
                           FORMAT_VERSION, id, folder->shards, folder->journals,
                           folder->is_new ? STATE_NEW : STATE_READY, PYR_VERSION);
    ASSERT(written > 0);
    uint32_t crc = checksum_crc32c(0, (struct bytes){(const uint8_t *)text, (size_t)written});
    int check = snprintf(text + written, MARKER_BYTES_MAX - (size_t)written, "check %08x\n", crc);
    ASSERT(check > 0);
    ASSERT(written + check < MARKER_BYTES_MAX);
    return written + check;
}

/* Write the marker as a whole: new file, sync, rename, sync of the folder. */
static enum pyr_err marker_write(struct folder *folder, struct pyr_error *reterr)
{
    ASSERT(folder->lock);
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    char path[PATH_BYTES_MAX];
    char path_new[PATH_BYTES_MAX];
    char text[MARKER_BYTES_MAX];
    folder_path(folder, MARKER_NAME, path);
    folder_path(folder, MARKER_NEW_NAME, path_new);
    size_t bytes = (size_t)marker_print(folder, text);

    struct io_file *file = NULL;
    size_t written = 0;
    int error = io_open(folder->io, path_new, IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (error != 0) {
        return err_set_errno(reterr, error, "create '%s'", path_new);
    }
    error = io_truncate(folder->io, file, 0);
    while (error == 0 && written < bytes) {
        size_t count = 0;
        struct bytes span = {(const uint8_t *)text + written, bytes - written};
        error = io_write_at(folder->io, file, span, (int64_t)written, false, &count);
        written += count;
    }
    if (error == 0) {
        error = io_sync(folder->io, file);
    }
    io_close(folder->io, file);
    if (error == 0) {
        error = io_rename(folder->io, path_new, path);
    }
    if (error == 0) {
        error = io_sync_folder(folder->io, folder->path);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "write '%s'", path);
    }
    return PYR_OK;
}

/* Return the text after "@key " in the line at *@cursor and move to the next line, or NULL. */
static const char *line_value(char **cursor, const char *key)
{
    ASSERT(key);

    size_t key_bytes = strlen(key);
    char *line = *cursor;
    if (strncmp(line, key, key_bytes) != 0 || line[key_bytes] != ' ') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    if (!end) {
        return NULL;
    }
    *end = '\0';
    *cursor = end + 1;
    return line + key_bytes + 1;
}

static bool number_parse(const char *text, uint32_t *ret_number)
{
    if (!text || text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > UINT32_MAX) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool id_parse(const char *text, uint8_t *id)
{
    ASSERT(id);

    static const char digits[] = "0123456789abcdef";
    if (!text || strlen(text) != 2 * (size_t)FOLDER_STORAGE_ID_BYTES) {
        return false;
    }
    for (size_t index = 0; index < FOLDER_STORAGE_ID_BYTES; index++) {
        const char *high = strchr(digits, text[2 * index]);
        const char *low = strchr(digits, text[2 * index + 1]);
        if (!high || !low) {
            return false;
        }
        id[index] = (uint8_t)((high - digits) * 16 + (low - digits));
    }
    return true;
}

static bool state_parse(const char *text, bool *ret_is_new)
{
    if (!text) {
        return false;
    }
    *ret_is_new = strcmp(text, STATE_NEW) == 0;
    return *ret_is_new || strcmp(text, STATE_READY) == 0;
}

/* Return whether the last line of @text is "check <crc of what is before it>". */
static bool marker_is_whole(const char *text, size_t bytes)
{
    ASSERT(text);

    const char *check = strstr(text, "\ncheck ");
    if (!check || strlen(text) != bytes) {
        return false;
    }
    size_t covered = (size_t)(check + 1 - text);
    uint32_t crc = checksum_crc32c(0, (struct bytes){(const uint8_t *)text, covered});
    char expected[32];
    (void)snprintf(expected, sizeof expected, "check %08x\n", crc);
    return strcmp(text + covered, expected) == 0;
}

static enum pyr_err marker_parse(struct folder *folder,
                                 char *text,
                                 size_t bytes,
                                 struct pyr_error *reterr)
{
    ASSERT(bytes < MARKER_BYTES_MAX);
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);
    ASSERT(text);

    bool is_whole = marker_is_whole(text, bytes);
    char *cursor = text;
    uint32_t version = 0;
    uint32_t shards = 0;
    bool has_version = number_parse(line_value(&cursor, "pyralog-store"), &version);
    if (has_version && version > FORMAT_VERSION) {
        return err_set(reterr, PYR_ERR_VERSION,
                       "folder '%s' has format %" PRIu32 ", this program knows %d; use a newer one",
                       folder->path, version, FORMAT_VERSION);
    }
    bool is_good = is_whole && has_version &&
                   id_parse(line_value(&cursor, "storage"), folder->storage_id) &&
                   number_parse(line_value(&cursor, "shards"), &shards) &&
                   number_parse(line_value(&cursor, "journals"), &folder->journals) &&
                   state_parse(line_value(&cursor, "state"), &folder->is_new);
    if (!is_good || shards == 0) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "marker '%s/%s' is damaged; restore it from a copy of this folder",
                       folder->path, MARKER_NAME);
    }
    if (shards > FOLDER_SHARDS_MAX) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "folder '%s' has %" PRIu32 " shards; this program opens at most %d",
                       folder->path, shards, FOLDER_SHARDS_MAX);
    }
    folder->shards = shards;
    return PYR_OK;
}

static enum pyr_err marker_read(struct folder *folder, struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    char path[PATH_BYTES_MAX];
    folder_path(folder, MARKER_NAME, path);
    struct io_file *file = NULL;
    int error = io_open(folder->io, path, IO_OPEN_READ, &file);
    if (error != 0) {
        return err_set_errno(reterr, error, "open '%s'", path);
    }
    char text[MARKER_BYTES_MAX] = {0};
    size_t bytes = 0;
    size_t count = 1;
    while (error == 0 && count > 0 && bytes < sizeof text - 1) {
        struct bytes_mut span = {(uint8_t *)text + bytes, sizeof text - 1 - bytes};
        count = 0;
        error = io_read_at(folder->io, file, span, (int64_t)bytes, &count);
        bytes += count;
    }
    io_close(folder->io, file);
    if (error == 0) {
        /* Whoever put it there may have been killed before its name was durable (FLD-4). */
        error = io_sync_folder(folder->io, folder->path);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "read '%s'", path);
    }
    return marker_parse(folder, text, bytes, reterr);
}

static enum pyr_err folder_create(struct folder *folder, uint32_t shards, struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    uint64_t seeds[2] = {io_random_seed(folder->io), io_random_seed(folder->io)};
    memcpy(folder->storage_id, seeds, sizeof folder->storage_id);
    folder->shards = shards > 0 ? shards : 1;
    folder->journals = 1;
    folder->is_new = true;

    return marker_write(folder, reterr);
}

/* Make the folder of the journals, after the marker: a folder with the marker is ours whatever else
 * is there. */
static enum pyr_err journals_make(struct folder *folder, struct pyr_error *reterr)
{
    ASSERT(folder->is_new);
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    char path[PATH_BYTES_MAX];
    folder_path(folder, "wal", path);
    int error = io_make_folder(folder->io, path);
    if (error == EEXIST) {
        error = 0;
    }
    if (error == 0) {
        error = io_sync_folder(folder->io, folder->path);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "make folder '%s'", path);
    }
    return PYR_OK;
}

enum pyr_err folder_open(struct io_loop *loop,
                         const struct folder_options *options,
                         struct folder *ret_folder,
                         struct pyr_error *reterr)
{
    ASSERT(loop);
    ASSERT(ret_folder);
    ASSERT(options->path);

    struct folder folder = {.io = io_loop_io(loop)};
    size_t path_bytes = strlen(options->path);
    if (path_bytes == 0 || path_bytes > FOLDER_PATH_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "the folder's path has %zu bytes; 1 to %d are allowed", path_bytes,
                       FOLDER_PATH_BYTES_MAX);
    }
    memcpy(folder.path, options->path, path_bytes + 1);

    enum pyr_err err = folder_find(&folder, options->must_exist, reterr);
    if (err != PYR_OK) {
        return err;
    }
    enum folder_content content = CONTENT_FOREIGN;
    err = content_read(&folder, &content, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (content == CONTENT_FOREIGN) {
        return err_set(reterr, PYR_ERR_FOREIGN,
                       "folder '%s' is not empty and is not a Pyralog store; choose another",
                       folder.path); /* FLD-1 */
    }
    if (content == CONTENT_EMPTY && options->must_exist) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "no Pyralog store in '%s'", folder.path);
    }
    err = lock_take(&folder, loop, reterr);
    if (err != PYR_OK) {
        return err; /* FLD-2 */
    }

    /* Another opener may have made the store while this one waited for the lock. */
    err = content_read(&folder, &content, reterr);
    if (err == PYR_OK) {
        err = content == CONTENT_STORE ? marker_read(&folder, reterr)
                                       : folder_create(&folder, options->shards, reterr);
    }
    if (err == PYR_OK && folder.is_new) {
        err = journals_make(&folder, reterr);
    }
    if (err != PYR_OK) {
        folder_close(&folder);
        return err;
    }
    *ret_folder = folder;
    return PYR_OK;
}

void folder_close(struct folder *folder)
{
    if (folder->lock) {
        io_close(folder->io, folder->lock);
    }
    folder->lock = NULL;
}

enum pyr_err folder_set_ready(struct folder *folder, struct pyr_error *reterr)
{
    ASSERT(folder->lock);
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);

    if (!folder->is_new) {
        return PYR_OK;
    }
    struct folder changed = *folder;
    changed.is_new = false;
    enum pyr_err err = marker_write(&changed, reterr);
    if (err != PYR_OK) {
        return err;
    }
    folder->is_new = false;
    return PYR_OK;
}

enum pyr_err folder_set_shards(struct folder *folder,
                               uint32_t shards,
                               uint32_t journals,
                               struct pyr_error *reterr)
{
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);
    ASSERT(shards > 0);
    ASSERT(journals > folder->journals);

    struct folder changed = *folder;
    changed.shards = shards;
    changed.journals = journals;
    enum pyr_err err = marker_write(&changed, reterr);
    if (err != PYR_OK) {
        return err;
    }
    folder->shards = shards;
    folder->journals = journals;
    return PYR_OK;
}

enum pyr_err folder_quarantine(struct folder *folder, const char *name, struct pyr_error *reterr)
{
    ASSERT(folder->lock);
    ASSERT(folder->shards <= FOLDER_SHARDS_MAX);
    ASSERT(name);

    char from[PATH_BYTES_MAX];
    char to[PATH_BYTES_MAX];
    char kept[PATH_BYTES_MAX];
    folder_path(folder, name, from);
    folder_path(folder, "quarantine", to);
    int error = io_make_folder(folder->io, to);
    if (error != 0 && error != EEXIST) {
        return err_set_errno(reterr, error, "make folder '%s'", to);
    }

    struct io_stat stat;
    for (int number = 0; number < QUARANTINE_TRIES; number++) {
        (void)snprintf(kept, sizeof kept, "%s/%s.%d", to, name, number);
        error = io_stat(folder->io, kept, &stat);
        if (error == ENOENT) {
            break;
        }
    }
    if (error != ENOENT) {
        return err_set(reterr, PYR_ERR_IO, "no free name for '%s' in '%s'", name, to);
    }
    error = io_rename(folder->io, from, kept);
    if (error == 0) {
        error = io_sync_folder(folder->io, to);
    }
    if (error == 0) {
        error = io_sync_folder(folder->io, folder->path);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "move '%s' to '%s'", from, kept);
    }
    folder->quarantined++;
    return PYR_OK;
}
