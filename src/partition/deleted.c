/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/deleted - names and states of deleted logs, and the clearing of their folders.
 *
 * The grace is reckoned by the monotonic clock, from the deletion, or from the start of the store
 * that found the folder and what the notes say of the time before: a wall clock that steps takes
 * nothing away too early.
 */
#include "partition/deleted.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "io/transfer.h"
#include "partition/shard_inner.h"
#include "segment/writer.h"

#define DELETED_SUFFIX "-deleted"

enum {
    ID_DIGITS = 2 * LOG_ID_BYTES,
    SUFFIX_BYTES = sizeof DELETED_SUFFIX - 1,
    TAIL_BYTES = 1 + ID_DIGITS + SUFFIX_BYTES, /* Behind the log's name. */
    CRC_BYTES = 4,
    CUT_BYTES = 200, /* Of a name too long for its folder's. */
    KEY_DIGITS = 8,
    STATE_FILE_BYTES_MAX = 4 << 20, /* An epoch table of the largest kind, and a block. */
};

/* -- Names -- */

void deleted_name_put(const char *name, const struct log_id *id, char *ret_name)
{
    ASSERT_STATIC(CUT_BYTES + 1 + KEY_DIGITS + TAIL_BYTES < DELETED_NAME_BYTES_MAX, "it fits");
    ASSERT(name[0] != '\0');
    ASSERT(ret_name);

    char digits[ID_DIGITS + 1];
    for (size_t index = 0; index < LOG_ID_BYTES; index++) {
        (void)snprintf(digits + 2 * index, 3, "%02x", id->value[index]);
    }
    if (strlen(name) + TAIL_BYTES < DELETED_NAME_BYTES_MAX) {
        (void)snprintf(ret_name, DELETED_NAME_BYTES_MAX, "%s.%s" DELETED_SUFFIX, name, digits);
        return;
    }
    (void)snprintf(ret_name, DELETED_NAME_BYTES_MAX, "%.*s~%08" PRIx32 ".%s" DELETED_SUFFIX,
                   CUT_BYTES, name, folder_shard_key(name), digits);
}

/* Return the number that @name's shard is drawn from, which a cut name says itself. */
static uint32_t key_of(const char *name)
{
    ASSERT(name[0] != '\0');
    ASSERT(strlen(name) < LOG_NAME_BYTES_MAX);

    const char *cut = strchr(name, '~');
    return cut ? (uint32_t)strtoul(cut + 1, NULL, 16) : folder_shard_key(name);
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

bool deleted_id_get(const char *text, struct log_id *ret_id)
{
    ASSERT(text);
    ASSERT(ret_id);

    struct log_id id = {{0}};
    if (strnlen(text, ID_DIGITS + 1) != ID_DIGITS) {
        return false;
    }
    for (size_t index = 0; index < LOG_ID_BYTES; index++) {
        int high = digit_of(text[2 * index]);
        int low = digit_of(text[2 * index + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id.value[index] = (uint8_t)(high * 16 + low);
    }
    *ret_id = id;
    return true;
}

bool deleted_name_get(const char *entry, char *ret_name, struct log_id *ret_id)
{
    ASSERT(ret_name);
    ASSERT(ret_id);

    size_t bytes = strlen(entry);
    if (bytes <= TAIL_BYTES || bytes - TAIL_BYTES >= LOG_NAME_BYTES_MAX ||
        strcmp(entry + bytes - SUFFIX_BYTES, DELETED_SUFFIX) != 0) {
        return false;
    }
    const char *dot = entry + bytes - TAIL_BYTES;
    char digits[ID_DIGITS + 1] = {0};
    struct log_id id;
    memcpy(digits, dot + 1, ID_DIGITS);
    if (*dot != '.' || !deleted_id_get(digits, &id)) {
        return false;
    }
    memcpy(ret_name, entry, bytes - TAIL_BYTES);
    ret_name[bytes - TAIL_BYTES] = '\0';
    *ret_id = id;
    return true;
}

/* -- States -- */

enum pyr_err deleted_state_put(struct io *io,
                               const char *path,
                               const struct log_state *state,
                               struct pyr_error *reterr)
{
    ASSERT(path);
    ASSERT(state->offset_start <= state->offset_end);

    size_t bytes = state_header_bytes() + state_row_bytes(state);
    uint8_t *data = io_alloc(io, bytes + CRC_BYTES, 1);
    if (!data) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the state of '%s'", path);
    }
    state_header_put(data, 1);
    size_t used = state_header_bytes() + state_row_put(data + state_header_bytes(), state);
    ASSERT(used == bytes);
    put_le32(data + bytes, checksum_crc32c(0, (struct bytes){data, bytes}));
    struct bytes whole = {data, bytes + CRC_BYTES};
    enum pyr_err err = segment_file_replace(io, path, DELETED_STATE_FILE_NAME, whole, reterr);
    io_free(io, data);
    return err;
}

/* Read the file at @path whole into memory for io_free. */
static int load(struct io *io, const char *path, struct bytes_mut *ret_body)
{
    ASSERT(path);
    ASSERT(ret_body);

    struct io_file *file = NULL;
    int64_t bytes = 0;
    int error = io_open(io, path, IO_OPEN_READ, &file);
    if (error != 0) {
        return error;
    }
    error = io_bytes(io, file, &bytes);
    bytes = bytes < STATE_FILE_BYTES_MAX ? bytes : STATE_FILE_BYTES_MAX;
    struct bytes_mut body = {NULL, (size_t)bytes};
    if (error == 0) {
        body.data = io_alloc(io, body.count + 1, 1);
        error = body.data ? 0 : ENOMEM;
    }
    if (error == 0) {
        error = io_read_whole(io, file, body, 0, &body.count);
    }
    io_close(io, file);
    if (error != 0) {
        io_free(io, body.data);
        return error;
    }
    *ret_body = body;
    return 0;
}

enum pyr_err deleted_state_get(struct io *io,
                               const char *path,
                               const struct log_id *id,
                               struct bytes_mut *ret_body,
                               struct log_state *ret_state,
                               struct pyr_error *reterr)
{
    ASSERT(path);
    ASSERT(ret_body);
    ASSERT(ret_state);

    char file[PATH_BYTES_MAX];
    struct bytes_mut body = {NULL, 0};
    if (!segment_path_join(file, path, DELETED_STATE_FILE_NAME)) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s': the path is too long", path);
    }
    int error = load(io, file, &body);
    if (error == ENOENT) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "'%s' is not there", file);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "read '%s'", file);
    }
    struct bytes rows = {body.data, body.count >= CRC_BYTES ? body.count - CRC_BYTES : 0};
    uint32_t count = 0;
    size_t position = state_header_bytes();
    struct log_state state = {0};
    enum pyr_err err = PYR_ERR_CORRUPT;
    if (rows.count > 0 && get_le32(body.data + rows.count) == checksum_crc32c(0, rows)) {
        err = state_header_get(rows, &count, reterr);
    }
    if (err == PYR_OK) {
        err = count == 1 ? state_row_get(rows, &position, &state, reterr) : PYR_ERR_CORRUPT;
    }
    if (err == PYR_OK && !log_id_equal(&state.id, id)) {
        err = PYR_ERR_FOREIGN;
    }
    if (err != PYR_OK) {
        io_free(io, body.data);
        return err_set(reterr, err, "'%s': %s", file, err_text(err));
    }
    *ret_body = body;
    *ret_state = state;
    return PYR_OK;
}

/* -- The list -- */

struct deleted *deleted_add(struct shard *shard, const char *name, const struct log_id *id)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(strlen(name) < LOG_NAME_BYTES_MAX);

    struct deleted *deleted = io_alloc(shard->io, sizeof *deleted, _Alignof(struct deleted));
    if (!deleted) {
        return NULL;
    }
    deleted->id = *id;
    (void)snprintf(deleted->name, sizeof deleted->name, "%s", name);
    deleted->since_ns = io_now_mono_ns(shard->io);
    deleted->checkpoint = shard->checkpoints + 1;
    deleted->position = shard->position_end; /* All its entries lie below. */
    deleted->next = shard->deleted;
    shard->deleted = deleted;
    shard->deleted_count++;
    return deleted;
}

void deleted_remove(struct shard *shard, struct deleted *deleted)
{
    ASSERT(shard->deleted_count > 0);
    ASSERT(!deleted->is_clearing);

    struct deleted **link = &shard->deleted;
    while (*link != deleted) {
        ASSERT(*link);
        link = &(*link)->next;
    }
    *link = deleted->next;
    shard->deleted_count--;
    io_free(shard->io, deleted);
}

bool deleted_set_waited(struct shard *shard, const struct log_id *id, uint64_t waited_ns)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(id);

    bool is_deleted = false;
    for (struct deleted *at = shard->deleted; at; at = at->next) {
        if (log_id_equal(&at->id, id)) {
            at->waited_ns = waited_ns;
            is_deleted = true;
        }
    }
    return is_deleted;
}

uint64_t deleted_waited_ns(const struct deleted *deleted, uint64_t now_ns)
{
    ASSERT(deleted->name[0] != '\0');
    ASSERT(deleted->waited_ns <= UINT64_MAX - now_ns);

    /* A clearing that is to be tried again begins in the future. */
    return deleted->waited_ns + (now_ns > deleted->since_ns ? now_ns - deleted->since_ns : 0);
}

/* Return when the grace of @deleted is over. */
static uint64_t deleted_due_ns(const struct shard *shard, const struct deleted *deleted)
{
    uint64_t grace_ns = shard->options.delete_grace_ns;
    ASSERT(deleted->name[0] != '\0');
    ASSERT(shard->deleted_count > 0);

    return deleted->since_ns + (grace_ns > deleted->waited_ns ? grace_ns - deleted->waited_ns : 0);
}

void deleted_free(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    io_timer_stop(shard->loop, &shard->deleted_timer);
    while (shard->deleted) {
        deleted_remove(shard, shard->deleted);
    }
    ASSERT(shard->deleted_count == 0);
}

bool deleted_has(const struct shard *shard, const struct log_id *id)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(id);

    for (const struct deleted *at = shard->deleted; at; at = at->next) {
        if (log_id_equal(&at->id, id)) {
            return true;
        }
    }
    return false;
}

/* Put the whole name of the deleted log in the folder @entry, at @path, to @name, which is cut. It
 * stays so if the state is gone or says another: then there is nothing to restore. One that cannot
 * be read now may be read by the next start, so this one fails. */
static enum pyr_err name_complete(struct shard *shard,
                                  const char *entry,
                                  const char *path,
                                  const struct log_id *id,
                                  char *name,
                                  struct pyr_error *reterr)
{
    ASSERT(strchr(name, '~'));
    ASSERT(path);

    struct bytes_mut body = {NULL, 0};
    struct log_state state;
    char again[DELETED_NAME_BYTES_MAX];
    enum pyr_err err = deleted_state_get(shard->io, path, id, &body, &state, reterr);
    if (err == PYR_OK) {
        deleted_name_put(state.name, id, again);
        if (strcmp(again, entry) == 0) {
            memcpy(name, state.name, sizeof state.name);
        }
    }
    io_free(shard->io, body.data);
    return err == PYR_ERR_NO_MEMORY || err == PYR_ERR_IO ? err : PYR_OK;
}

/* Note the folder @entry as that of the deleted log @name, if it is that: it says so itself, or
 * nothing is left in it. Anything else is moved away. */
static enum pyr_err deleted_look(struct shard *shard,
                                 const char *entry,
                                 char *name,
                                 const struct log_id *id,
                                 struct shard_report *report,
                                 struct pyr_error *reterr)
{
    ASSERT(entry);
    ASSERT(name);

    char path[PATH_BYTES_MAX];
    struct segment_metadata metadata = {0};
    struct io_entries entries;
    folder_path(shard->folder, entry, path);
    enum pyr_err err = segment_log_identify(shard->io, path, &metadata, reterr);
    bool is_it = err == PYR_OK && log_id_equal(&metadata.log, id);
    if (err == PYR_ERR_NOT_FOUND) {
        int error = io_list(shard->io, path, &entries);
        if (error != 0) {
            return err_set_errno(reterr, error, "list folder '%s'", path);
        }
        is_it = entries.count == 0;
        io_entries_free(shard->io, &entries);
    }
    enum pyr_err name_err =
        is_it && strchr(name, '~') ? name_complete(shard, entry, path, id, name, reterr) : PYR_OK;
    if (name_err != PYR_OK) {
        return name_err;
    }
    if (is_it) {
        return deleted_add(shard, name, id)
                   ? PYR_OK
                   : err_set(reterr, PYR_ERR_NO_MEMORY, "list the deleted logs");
    }
    bool is_nothing = err == PYR_OK || err == PYR_ERR_NOT_FOUND || err == PYR_ERR_CORRUPT ||
                      err == PYR_ERR_FOREIGN;
    if (!is_nothing) {
        return err;
    }
    report->quarantined++;
    return folder_quarantine(shard->folder, entry, reterr); /* FLD-3 */
}

enum pyr_err deleted_find(struct shard *shard,
                          struct shard_report *report,
                          struct pyr_error *reterr)
{
    ASSERT(report);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(!shard->deleted);

    struct io_entries entries;
    int error = io_list(shard->io, shard->folder->path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list folder '%s'", shard->folder->path);
    }
    enum pyr_err err = PYR_OK;
    for (size_t index = 0; err == PYR_OK && index < entries.count; index++) {
        const struct io_entry *entry = &entries.rows[index];
        char name[LOG_NAME_BYTES_MAX];
        struct log_id id;
        bool is_ours = entry->kind == IO_KIND_FOLDER && deleted_name_get(entry->name, name, &id) &&
                       key_of(name) % shard->folder->shards == shard->options.index;
        if (is_ours) {
            err = deleted_look(shard, entry->name, name, &id, report, reterr);
        }
    }
    io_entries_free(shard->io, &entries);
    return err;
}

/* -- Clearing -- */

/* Remove the files of the folder at @path but the metadata, and its quarantine if it is empty. */
static int clear_files(struct io *io, const char *path, bool is_inner)
{
    ASSERT(path);

    struct io_entries entries;
    int error = io_list(io, path, &entries);
    if (error != 0) {
        return error;
    }
    for (size_t index = 0; index < entries.count && error == 0; index++) {
        const struct io_entry *entry = &entries.rows[index];
        char file[PATH_BYTES_MAX];
        bool is_kept = !is_inner && strcmp(entry->name, SEGMENT_METADATA_FILE_NAME) == 0;
        if (is_kept || entry->kind != IO_KIND_FILE) {
            continue;
        }
        error = segment_path_join(file, path, entry->name) ? io_remove(io, file) : ENAMETOOLONG;
    }
    io_entries_free(io, &entries);
    return error;
}

/* Remove the file or the empty folder @name of the folder at @path; one that is not there is no
 * error. */
static int clear_one(struct io *io, const char *path, const char *name)
{
    ASSERT(path);
    ASSERT(name);

    char file[PATH_BYTES_MAX];
    int error = segment_path_join(file, path, name) ? io_remove(io, file) : ENAMETOOLONG;
    return error == ENOENT ? 0 : error;
}

void deleted_clear_run(struct deleted_clear *clear)
{
    ASSERT(clear->io);
    ASSERT(clear->parent);

    struct io *io = clear->io;
    char inner[PATH_BYTES_MAX];
    int error = clear_one(io, clear->path, DELETED_STATE_FILE_NAME);
    if (error == 0) {
        error = io_sync_folder(io, clear->path);
    }
    if (error == 0 && segment_path_join(inner, clear->path, SEGMENT_QUARANTINE_NAME)) {
        error = clear_files(io, inner, true);
        error = error == ENOENT ? 0 : error;
    }
    if (error == 0) {
        error = clear_one(io, clear->path, SEGMENT_QUARANTINE_NAME);
    }
    if (error == 0) {
        error = clear_files(io, clear->path, false);
    }
    if (error == 0) {
        error = io_sync_folder(io, clear->path);
    }
    if (error == 0) {
        error = clear_one(io, clear->path, SEGMENT_METADATA_FILE_NAME);
    }
    if (error == 0) {
        error = io_remove(io, clear->path);
    }
    clear->error = error != 0 ? error : io_sync_folder(io, clear->parent);
}

void deleted_clear_apply(struct shard *shard, struct work *work)
{
    struct deleted *deleted = work->as.clear.deleted;
    ASSERT(work->state == WORK_STATE_FINISHED);
    ASSERT(deleted->is_clearing);

    work->state = WORK_STATE_FREE;
    deleted->is_clearing = false;
    if (work->as.clear.error == 0) {
        deleted_remove(shard, deleted);
        shard->progress++;
        return;
    }
    uint64_t now_ns = io_now_mono_ns(shard->io);
    deleted->waited_ns = deleted_waited_ns(deleted, now_ns);
    deleted->since_ns = now_ns + DELETED_RETRY_NS; /* Or at the next start. */
}

/* Waking is all the timer is for: the step after the dispatch looks at what is due. */
static void deleted_timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

/* Return whether a start would find nothing of the log in checkpoint and journal. */
static bool deleted_is_forgotten(struct shard *shard, const struct deleted *deleted)
{
    ASSERT(shard->deleted_count > 0);

    struct wal_usage usage;
    wal_usage(shard->wal, &usage);
    return shard->checkpoints >= deleted->checkpoint && usage.position_oldest >= deleted->position;
}

/* Return the row whose grace ends first, and is not being cleared. */
static struct deleted *deleted_first(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct deleted *first = NULL;
    for (struct deleted *at = shard->deleted; at; at = at->next) {
        if (at->is_clearing) {
            return NULL; /* One at a time. */
        }
        bool is_sooner = !first || deleted_due_ns(shard, at) < deleted_due_ns(shard, first);
        first = is_sooner ? at : first;
    }
    return first;
}

static void deleted_start(struct shard *shard, struct deleted *deleted, struct work *work)
{
    ASSERT(!deleted->is_clearing);
    ASSERT(work->state == WORK_STATE_FREE);

    char name[DELETED_NAME_BYTES_MAX];
    deleted_name_put(deleted->name, &deleted->id, name);
    ASSERT(deleted_is_forgotten(shard, deleted)); /* DEL-2 */

    work->kind = WORK_CLEAR;
    work->partition = NULL;
    work->as.clear =
        (struct deleted_clear){.io = shard->io, .parent = shard->folder->path, .deleted = deleted};
    folder_path(shard->folder, name, work->as.clear.path);
    deleted->is_clearing = true;
    work_start(work, shard->loop);
}

void shard_deleted_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (!shard->deleted || shard->is_stopping || shard->failure.code != PYR_OK) {
        return;
    }
    uint64_t now_ns = io_now_mono_ns(shard->io);
    struct deleted *first = deleted_first(shard);
    if (!first) {
        return;
    }
    uint64_t due_ns = deleted_due_ns(shard, first);
    bool is_forgotten = now_ns >= due_ns && deleted_is_forgotten(shard, first);
    struct work *work = is_forgotten ? shard_work_free(shard) : NULL;
    if (work) {
        deleted_start(shard, first, work);
        return;
    }
    if (now_ns >= due_ns) {
        if (!is_forgotten && shard->checkpoint_state == SHARD_CHECKPOINT_IDLE) {
            shard_checkpoint_request(shard);
        }
        due_ns = now_ns + DELETED_LOOK_NS;
    }
    shard->deleted_timer.fire = deleted_timer_fire;
    if (!shard->deleted_timer.is_started || shard->deleted_timer.deadline_ns > due_ns) {
        io_timer_start(shard->loop, &shard->deleted_timer, due_ns);
    }
}
