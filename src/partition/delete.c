/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/delete - a log is deleted, and comes back.
 *
 *      delete:   settle (all it has in synced segments, nobody at its files)
 *                -> deleted.state -> rename, sync: this is the moment -> out of the shard
 *      restore:  deleted.state -> rename, sync: this is the moment -> opened as a start would
 *
 * A crash before the rename leaves a log with one file too many, which is passed over; a crash
 * after it leaves a deleted folder, and what checkpoint and journal say of the log id in its name
 * is passed over (deleted.h). A crash after the rename of a restore leaves a folder that no
 * checkpoint names, with its state in it: strangers.c takes it at its word. So the state stays in a
 * restored log's folder until a checkpoint has a row of it.
 *
 * Who has the log open keeps the partition, which is out of the shard's list: its calls are
 * refused, and it is freed when it is let go.
 */
#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "partition/opening.h"

/* Return the error of a call with the deleted @partition. */
enum pyr_err partition_check(const struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(partition->name[0] != '\0');

    if (partition->is_deleting) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "log '%s' was deleted", partition->name);
    }
    return PYR_OK;
}

/* -- Delete -- */

/* Bring @partition nearer to rest. PYR_ERR_BUSY until it is there. */
static enum pyr_err delete_settle(struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(partition->is_deleting);
    ASSERT(!partition->is_deleted);

    struct shard *shard = partition->shard;
    enum pyr_err err = shard_health(shard, reterr);
    if (err != PYR_OK) {
        return err;
    }
    bool is_whole = partition->offset_durable == partition->offset_end &&
                    partition->offset_synced == partition->offset_end &&
                    partition->pending_count == 0;
    if (!is_whole) {
        err = shard_space(shard, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    bool is_busy = cache_is_reserved(&partition->cached) || !is_whole ||
                   shard->checkpoint_state != SHARD_CHECKPOINT_IDLE ||
                   !segment_log_is_idle(partition->segments);
    for (size_t kind = 0; kind < WORK_KINDS; kind++) {
        is_busy |= partition->works[kind];
    }
    if (!is_whole && !cache_is_reserved(&partition->cached) &&
        shard->checkpoint_state == SHARD_CHECKPOINT_IDLE) {
        shard_sync_begin(shard);
        shard_checkpoint_request(shard);
    }
    return is_busy ? err_set(reterr, PYR_ERR_BUSY, "log '%s' is at work", partition->name) : PYR_OK;
}

/* Rename @from to @to, on stable storage. */
static enum pyr_err rename_log(struct shard *shard,
                               const char *from,
                               const char *to,
                               struct pyr_error *reterr)
{
    ASSERT(from);
    ASSERT(to);

    char path_from[PATH_BYTES_MAX];
    char path_to[PATH_BYTES_MAX];
    folder_path(shard->folder, from, path_from);
    folder_path(shard->folder, to, path_to);
    int error = io_rename(shard->io, path_from, path_to);
    if (error != 0) {
        return err_set_errno(reterr, error, "rename '%s' to '%s'", path_from, path_to);
    }
    error = io_sync_folder(shard->io, shard->folder->path);
    if (error == 0) {
        return PYR_OK;
    }
    /* Nobody knows what is on the disk now: as with any sync that failed, nothing goes on. */
    enum pyr_err err = err_set_errno(reterr, error, "sync folder '%s'", shard->folder->path);
    struct pyr_error reason = {.code = err};
    (void)snprintf(reason.message, sizeof reason.message, "sync folder '%s'", shard->folder->path);
    shard_fail(shard, &reason);
    return err;
}

/* Take @partition out of the shard. Whoever has it open keeps it. */
static void delete_unlink(struct shard *shard, struct partition *partition)
{
    ASSERT(!partition->is_dirty);
    ASSERT(shard->checkpoint_state == SHARD_CHECKPOINT_IDLE);

    scrub_forget(partition);
    compaction_stop(partition);
    logs_remove(shard, partition);
    shard->compactions =
        shard->compactions < shard->partition_count ? shard->compactions : shard->partition_count;
    partition->is_deleted = true;
    segment_log_leave(partition->segments);
    if (partition->is_held) {
        partition->next = shard->deleted_held;
        shard->deleted_held = partition;
    } else {
        logs_close(shard, partition);
    }
    shard->progress++;
}

static enum pyr_err delete_now(struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(partition->offset_synced == partition->offset_end);
    ASSERT(partition->cached.bytes_unwritten == 0);

    struct shard *shard = partition->shard;
    char path[PATH_BYTES_MAX];
    char name[DELETED_NAME_BYTES_MAX];
    struct log_state state;
    deleted_name_put(partition->name, &partition->id, name);
    folder_path(shard->folder, partition->name, path);
    partition->checkpoint_number = partition->entry_number;
    partition->checkpoint_target = partition->offset_end;
    checkpoint_row_fill(partition, &state);
    enum pyr_err err = shard->notes.is_doubtful ? notes_forget(shard, reterr) : PYR_OK; /* NTE-1 */
    if (err == PYR_OK) {
        err = deleted_state_put(shard->io, path, &state, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct deleted *deleted = deleted_add(shard, partition->name, &partition->id);
    if (!deleted) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "delete log '%s'", partition->name);
    }
    err = rename_log(shard, partition->name, name, reterr);
    if (err != PYR_OK) {
        deleted_remove(shard, deleted);
        return err;
    }
    delete_unlink(shard, partition); /* DEL-1 */
    shard_checkpoint_request(shard); /* DEL-2: so that journal and checkpoint forget it. */
    return PYR_OK;
}

enum pyr_err shard_partition_delete(struct shard *shard, const char *name, struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);

    struct partition *partition = logs_named(shard, name);
    if (!partition) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "there is no log '%s'", name);
    }
    partition->is_deleting = true;
    enum pyr_err err = delete_settle(partition, reterr);
    if (err == PYR_OK) {
        err = delete_now(partition, reterr);
    }
    if (err != PYR_OK && err != PYR_ERR_BUSY) {
        /* What was written into the folder of a log that stays goes with the next checkpoint. */
        partition->has_state_file = true;
        partition->is_deleting = false;
        err_wrap(reterr, "delete log '%s'", name);
    }
    return err;
}

/* -- Restore -- */

/* Find the deleted log @name; with @id, if that is given, else the only one. */
static enum pyr_err restore_find(struct shard *shard,
                                 const char *name,
                                 const struct log_id *id,
                                 struct deleted **ret_deleted,
                                 struct pyr_error *reterr)
{
    ASSERT(name);
    ASSERT(ret_deleted);

    struct deleted *found = NULL;
    uint32_t count = 0;
    for (struct deleted *at = shard->deleted; at; at = at->next) {
        bool is_it = strcmp(at->name, name) == 0 && (!id || log_id_equal(&at->id, id));
        found = is_it ? at : found;
        count += is_it;
    }
    if (count == 0 || found->is_clearing) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "there is no deleted log '%s'%s", name,
                       count > 0 ? " any more: its grace is over" : "");
    }
    if (count > 1) {
        return err_set(reterr, PYR_ERR_CONDITION,
                       "%u deleted logs were called '%s': say which by its log id", count, name);
    }
    *ret_deleted = found;
    return PYR_OK;
}

/* Give the folder of @deleted its name back, and open it as @state says. */
static enum pyr_err restore_now(struct shard *shard,
                                const struct deleted *deleted,
                                const struct log_state *state,
                                struct pyr_error *reterr)
{
    ASSERT(shard->checkpoint_state == SHARD_CHECKPOINT_IDLE);
    ASSERT(log_id_equal(&deleted->id, &state->id));

    char name[DELETED_NAME_BYTES_MAX];
    deleted_name_put(deleted->name, &deleted->id, name);
    enum pyr_err err = rename_log(shard, name, deleted->name, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct shard_report report = {0};
    struct partition *partition = NULL;
    err = opening_add(shard, state, &report, &partition, reterr);
    if (err != PYR_OK) {
        /* Left there, it would keep the next start from opening the store. */
        enum pyr_err back = rename_log(shard, deleted->name, name, NULL);
        return back == PYR_OK ? err : back;
    }
    partition->has_state_file = true;
    return PYR_OK;
}

enum pyr_err shard_partition_restore(struct shard *shard,
                                     const char *name,
                                     const struct log_id *id,
                                     struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);

    struct deleted *deleted = NULL;
    enum pyr_err err = shard_health(shard, reterr);
    if (err == PYR_OK) {
        err = restore_find(shard, name, id, &deleted, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(deleted);
    char path[PATH_BYTES_MAX];
    struct io_stat stat;
    folder_path(shard->folder, name, path);
    if (logs_named(shard, name) || io_stat(shard->io, path, &stat) != ENOENT) {
        return err_set(reterr, PYR_ERR_EXISTS, "the name of log '%s' has been taken again", name);
    }
    if (shard->checkpoint_state != SHARD_CHECKPOINT_IDLE) {
        return err_set(reterr, PYR_ERR_BUSY, "a checkpoint is being made");
    }
    char folder[DELETED_NAME_BYTES_MAX];
    struct bytes_mut body = {NULL, 0};
    struct log_state state;
    deleted_name_put(name, &deleted->id, folder);
    folder_path(shard->folder, folder, path);
    err = notes_forget(shard, reterr); /* NTE-1 */
    if (err == PYR_OK) {
        err = deleted_state_get(shard->io, path, &deleted->id, &body, &state, reterr);
    }
    if (err == PYR_OK) {
        err = restore_now(shard, deleted, &state, reterr);
        io_free(shard->io, body.data);
    }
    if (err != PYR_OK) {
        err_wrap(reterr, "restore log '%s'", name);
        return err;
    }
    deleted_remove(shard, deleted);
    shard_checkpoint_request(shard);
    shard->progress++;
    return PYR_OK;
}

void delete_checkpoint_done(struct shard *shard)
{
    ASSERT(shard->checkpoint_state == SHARD_CHECKPOINT_IDLE);

    for (struct partition *at = shard->partitions; at; at = at->next) {
        char folder[PATH_BYTES_MAX];
        char path[PATH_BYTES_MAX];
        if (!at->has_state_file) {
            continue;
        }
        folder_path(shard->folder, at->name, folder);
        if (segment_path_join(path, folder, DELETED_STATE_FILE_NAME)) {
            (void)!io_remove(shard->io, path); /* What stays is passed over. */
        }
        at->has_state_file = false;
    }
}
