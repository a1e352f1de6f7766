/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/notes - writing and reading the notes.
 *
 *      "PNOT"  version (2)  has a place (2)  rows (4)  place: log id (16), offset (8)
 *      rows: log id (16), time it has waited in milliseconds (8)          CRC32C of all that (4)
 */
#include "partition/notes.h"

#include <errno.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "io/transfer.h"
#include "partition/shard_inner.h"
#include "segment/writer.h"

static const uint8_t magic[4] = {'P', 'N', 'O', 'T'};

enum {
    NOTES_VERSION = 1,
    HEAD_BYTES = 4 + 2 + 2 + 4,
    PLACE_BYTES = LOG_ID_BYTES + 8,
    ROW_BYTES = LOG_ID_BYTES + 8,
    CRC_BYTES = 4,
    LEAST_BYTES = HEAD_BYTES + PLACE_BYTES + CRC_BYTES,
};

static void notes_folder(const struct shard *shard, char *ret_path)
{
    ASSERT(ret_path);
    ASSERT(shard->options.index < shard->folder->shards);

    folder_journal_path(shard->folder, shard->folder->journals, shard->options.index, ret_path);
}

/* -- Reading -- */

/* Take what the sound @body says. */
static void notes_take(struct shard *shard, struct bytes body)
{
    ASSERT(body.count >= HEAD_BYTES + PLACE_BYTES);
    ASSERT(!shard->scrub.is_passing);

    struct shard_notes *notes = &shard->notes;
    notes->has_place = get_le16(body.data + 6) == 1;
    const uint8_t *at = body.data + HEAD_BYTES;
    memcpy(notes->place.log.value, at, LOG_ID_BYTES);
    notes->place.offset = (int64_t)get_le64(at + LOG_ID_BYTES);
    notes->has_place = notes->has_place && notes->place.offset >= 0;
    uint32_t rows = get_le32(body.data + 8);
    at += PLACE_BYTES;
    notes->is_doubtful = false;
    for (uint32_t row = 0; row < rows; row++) {
        struct log_id id;
        memcpy(id.value, at, LOG_ID_BYTES);
        uint64_t waited_ms = get_le64(at + LOG_ID_BYTES);
        waited_ms = waited_ms < (uint64_t)TIMEOUT_MS_MAX ? waited_ms : (uint64_t)TIMEOUT_MS_MAX;
        notes->is_doubtful |= !deleted_set_waited(shard, &id, waited_ms * 1000000);
        at += ROW_BYTES;
    }
}

static bool body_is_sound(struct bytes body)
{
    ASSERT(body.data);

    if (body.count < LEAST_BYTES || memcmp(body.data, magic, sizeof magic) != 0 ||
        get_le16(body.data + 4) != NOTES_VERSION) {
        return false;
    }
    uint64_t rows = get_le32(body.data + 8);
    struct bytes checked = {body.data, body.count - CRC_BYTES};
    return body.count == LEAST_BYTES + rows * ROW_BYTES &&
           get_le32(body.data + checked.count) == checksum_crc32c(0, checked);
}

void notes_load(struct shard *shard)
{
    ASSERT(!shard->notes.may_exist);
    ASSERT(!shard->notes.has_place);

    struct io *io = shard->io;
    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    int64_t bytes = 0;
    notes_folder(shard, folder);
    if (!segment_path_join(path, folder, NOTES_FILE_NAME)) {
        return;
    }
    int error = io_open(io, path, IO_OPEN_READ, &file);
    shard->notes.may_exist = error != ENOENT;
    shard->notes.is_doubtful = shard->notes.may_exist; /* Until it is read. */
    if (error != 0) {
        return;
    }
    error = io_bytes(io, file, &bytes);
    bool is_ours = error == 0 && bytes >= LEAST_BYTES &&
                   bytes <= LEAST_BYTES + (int64_t)NOTES_ROWS_MAX * ROW_BYTES;
    uint8_t *data = is_ours ? io_alloc(io, (size_t)bytes, 1) : NULL;
    if (data) {
        size_t count = 0;
        error = io_read_whole(io, file, (struct bytes_mut){data, (size_t)bytes}, 0, &count);
        struct bytes body = {data, count};
        if (error == 0 && body_is_sound(body)) {
            notes_take(shard, (struct bytes){body.data, body.count - CRC_BYTES});
        }
        io_free(io, data);
    }
    io_close(io, file);
}

/* -- Writing -- */

/* Build what is to be said now. NULL without memory. Gives: io_free. */
static uint8_t *notes_build(struct shard *shard, size_t *ret_count)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(ret_count);

    struct shard_notes *notes = &shard->notes;
    uint32_t rows = shard->deleted_count;
    rows = rows < NOTES_ROWS_MAX ? rows : NOTES_ROWS_MAX; /* The others wait longer. */
    size_t count = LEAST_BYTES + (size_t)rows * ROW_BYTES;
    uint8_t *data = io_alloc(shard->io, count, 1);
    if (!data) {
        return NULL;
    }
    memcpy(data, magic, sizeof magic);
    put_le16(data + 4, NOTES_VERSION);
    put_le16(data + 6, notes->has_place ? 1 : 0);
    put_le32(data + 8, rows);
    uint8_t *at = data + HEAD_BYTES;
    memcpy(at, notes->place.log.value, LOG_ID_BYTES);
    put_le64(at + LOG_ID_BYTES, (uint64_t)notes->place.offset);
    at += PLACE_BYTES;
    uint64_t now_ns = io_now_mono_ns(shard->io);
    const struct deleted *deleted = shard->deleted;
    for (uint32_t row = 0; row < rows; row++) {
        ASSERT(deleted);
        memcpy(at, deleted->id.value, LOG_ID_BYTES);
        put_le64(at + LOG_ID_BYTES, deleted_waited_ns(deleted, now_ns) / 1000000);
        at += ROW_BYTES;
        deleted = deleted->next;
    }
    ASSERT(at == data + count - CRC_BYTES);
    put_le32(at, checksum_crc32c(0, (struct bytes){data, count - CRC_BYTES}));
    *ret_count = count;
    return data;
}

/* Prepare the writing of what is to be said now; false without memory. */
static bool notes_plan(struct shard *shard, struct notes_write *write)
{
    ASSERT(!shard->notes.is_running);
    ASSERT(write);

    *write = (struct notes_write){.io = shard->io};
    write->data = notes_build(shard, &write->count);
    if (!write->data) {
        return false;
    }
    notes_folder(shard, write->folder);
    shard->notes.may_exist = true;
    shard->notes.is_stale = false;
    return true;
}

void notes_run(struct notes_write *write)
{
    ASSERT(write->data);
    ASSERT(write->count >= LEAST_BYTES);

    ASSERT(write->folder[0] != '\0');

    struct bytes data = {write->data, write->count};
    write->err = segment_file_replace(write->io, write->folder, NOTES_FILE_NAME, data, NULL);
}

void notes_apply(struct shard *shard, struct work *work)
{
    ASSERT(work->state == WORK_STATE_FINISHED);
    ASSERT(shard->notes.is_running);
    ASSERT(work->kind == WORK_NOTES);

    shard->notes.is_running = false;
    shard->notes.is_stale |= work->as.notes.err != PYR_OK;
    shard->notes.is_doubtful &= work->as.notes.err != PYR_OK;
    io_free(shard->io, work->as.notes.data);
    work->state = WORK_STATE_FREE;
}

/* -- When -- */

/* Return whether there is anything to say, or to take back. */
static bool notes_has_news(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    return shard->deleted || shard->scrub.is_passing || shard->notes.is_stale;
}

static uint64_t notes_wait_ns(const struct shard *shard)
{
    ASSERT(notes_has_news(shard));
    ASSERT(shard->failure.code == PYR_OK);

    uint64_t grace_ns = shard->options.delete_grace_ns / NOTES_GRACE_SHARE;
    bool is_slow = !shard->scrub.is_passing && grace_ns > NOTES_WAIT_NS;
    return is_slow ? grace_ns : NOTES_WAIT_NS;
}

/* Waking is all the timer is for: the step after the dispatch looks at what is due. */
static void notes_timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

void shard_notes_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct shard_notes *notes = &shard->notes;
    ASSERT(!notes->is_running || notes->may_exist);
    if (notes->is_running || shard->is_stopping || shard->failure.code != PYR_OK) {
        return;
    }
    if (!notes_has_news(shard)) {
        notes->due_ns = 0;
        return;
    }
    uint64_t now_ns = io_now_mono_ns(shard->io);
    uint64_t wait_ns = notes_wait_ns(shard);
    if (notes->due_ns != 0 && now_ns >= notes->due_ns) {
        struct work *work = shard->is_disk_full ? NULL : shard_work_free(shard);
        if (work && notes_plan(shard, &work->as.notes)) {
            work->kind = WORK_NOTES;
            work->partition = NULL;
            notes->is_running = true;
            work_start(work, shard->loop);
        }
        notes->due_ns = 0;
    }
    notes->due_ns = notes->due_ns == 0 ? now_ns + wait_ns : notes->due_ns;
    if (!notes->timer.is_started || notes->timer.deadline_ns > notes->due_ns) {
        notes->timer.fire = notes_timer_fire;
        io_timer_start(shard->loop, &notes->timer, notes->due_ns);
    }
}

void notes_save(struct shard *shard)
{
    ASSERT(!shard->notes.is_running);
    ASSERT(shard->is_stopping);

    struct notes_write write;
    bool is_well = shard->failure.code == PYR_OK && !shard->is_disk_full;
    if (is_well && notes_has_news(shard) && notes_plan(shard, &write)) {
        notes_run(&write);
        io_free(shard->io, write.data);
    }
}

enum pyr_err notes_forget(struct shard *shard, struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct shard_notes *notes = &shard->notes;
    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    if (notes->is_running) {
        return err_set(reterr, PYR_ERR_BUSY, "the shard's notes are being written");
    }
    notes_folder(shard, folder);
    if (!notes->may_exist || !segment_path_join(path, folder, NOTES_FILE_NAME)) {
        return PYR_OK;
    }
    int error = io_remove(shard->io, path);
    error = error == ENOENT ? 0 : error;
    if (error == 0) {
        error = io_sync_folder(shard->io, folder);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "remove '%s'", path);
    }
    notes->may_exist = false;
    notes->is_doubtful = false;
    /* The waits of the others went with it: they are written soon, however long the grace. */
    uint64_t soon_ns = io_now_mono_ns(shard->io) + NOTES_WAIT_NS;
    notes->due_ns = notes->due_ns == 0 || notes->due_ns > soon_ns ? soon_ns : notes->due_ns;
    return PYR_OK;
}
