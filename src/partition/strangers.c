/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/strangers - the folders that no checkpoint names.
 *
 * A log is made in three steps: its folder with its metadata, a journal entry that names it, and
 * from the next checkpoint on a row. A crash between them leaves a folder that the checkpoint does
 * not know:
 *
 *     the journal names it      its entries bring everything back; opened when the first one comes
 *     nothing names it, empty   it was being made: taken as an empty log
 *     nothing names it, and it holds segments, or no metadata
 *                               nobody can say what it is: moved to quarantine, never removed
 * (FLD-3)
 */
#include <stdio.h>

#include "base/assert.h"
#include "partition/shard_inner.h"

/* Names in the data folder that are not logs. */
static bool name_is_reserved(const char *name)
{
    ASSERT(name);

    return strcmp(name, "wal") == 0 || strcmp(name, "quarantine") == 0;
}

/* Return whether the entry @name of the data folder is this shard's to look after. */
static bool name_is_ours(const struct shard *shard, const char *name)
{
    ASSERT(shard->options.index < shard->folder->shards);

    return folder_shard_of(name, shard->folder->shards) == shard->options.index;
}

static bool shard_has_log(const struct shard *shard, const char *name)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);

    for (const struct partition *at = shard->partitions; at; at = at->next) {
        if (strcmp(at->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Return whether the log's folder @name holds any segment. */
static enum pyr_err folder_has_segments(struct shard *shard,
                                        const char *name,
                                        bool *ret_has,
                                        struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);

    char path[PATH_BYTES_MAX];
    folder_path(shard->folder, name, path);
    struct io_entries entries;
    int error = io_list(shard->io, path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list folder '%s'", path);
    }
    bool has = false;
    for (size_t index = 0; index < entries.count; index++) {
        int64_t base = 0;
        enum segment_kind kind = SEGMENT_KIND_LOG;
        enum segment_suffix suffix = SEGMENT_SUFFIX_NONE;
        has |= segment_name_parse(entries.rows[index].name, &base, &kind, &suffix);
    }
    io_entries_free(shard->io, &entries);
    *ret_has = has;
    return PYR_OK;
}

/* Look at the folder @name: note it as a stranger, or move it away if it is no log at all. */
static enum pyr_err stranger_look(struct shard *shard,
                                  const char *name,
                                  struct shard_report *report,
                                  struct pyr_error *reterr)
{
    ASSERT(shard->strangers.rows);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);
    ASSERT(report);

    char path[PATH_BYTES_MAX];
    folder_path(shard->folder, name, path);
    struct segment_metadata metadata;
    enum pyr_err err = segment_log_identify(shard->io, path, &metadata, reterr);
    bool is_nothing = err == PYR_ERR_NOT_FOUND || err == PYR_ERR_CORRUPT ||
                      err == PYR_ERR_FOREIGN || strlen(name) >= LOG_NAME_BYTES_MAX;
    if (is_nothing) {
        report->quarantined++;
        return folder_quarantine(shard->folder, name, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct shard_stranger *stranger = &shard->strangers.rows[shard->strangers.count++];
    stranger->id = metadata.log;
    struct bytes_mut body = {NULL, 0};
    struct log_state state;
    stranger->is_known = false;
    stranger->has_state =
        deleted_state_get(shard->io, path, &metadata.log, &body, &state, NULL) == PYR_OK;
    io_free(shard->io, body.data);
    (void)snprintf(stranger->name, sizeof stranger->name, "%s", name);
    return PYR_OK;
}

enum pyr_err strangers_find(struct shard *shard,
                            struct shard_report *report,
                            struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(report);
    ASSERT(!shard->strangers.rows);

    struct io_entries entries;
    int error = io_list(shard->io, shard->folder->path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list folder '%s'", shard->folder->path);
    }
    enum pyr_err err = PYR_OK;
    size_t bytes = (entries.count + 1) * sizeof *shard->strangers.rows;
    shard->strangers.rows = io_alloc(shard->io, bytes, _Alignof(struct shard_stranger));
    if (!shard->strangers.rows) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "list folder '%s'", shard->folder->path);
    }
    for (size_t index = 0; err == PYR_OK && index < entries.count; index++) {
        const struct io_entry *entry = &entries.rows[index];
        char name[LOG_NAME_BYTES_MAX];
        struct log_id id;
        bool is_candidate = entry->kind == IO_KIND_FOLDER && !name_is_reserved(entry->name) &&
                            !deleted_name_get(entry->name, name, &id) &&
                            name_is_ours(shard, entry->name) && !shard_has_log(shard, entry->name);
        if (is_candidate) {
            err = stranger_look(shard, entry->name, report, reterr);
        }
    }
    io_entries_free(shard->io, &entries);
    return err;
}

enum pyr_err strangers_add(struct shard *shard,
                           struct shard_stranger *stranger,
                           struct shard_report *report,
                           struct partition **ret_partition,
                           struct pyr_error *reterr)
{
    ASSERT(!stranger->is_known);
    ASSERT(report);

    struct bytes_mut body = {NULL, 0};
    struct log_state state = {.id = stranger->id, .epoch_last = -1};
    struct partition *partition = NULL;
    char path[PATH_BYTES_MAX];
    folder_path(shard->folder, stranger->name, path);
    enum pyr_err err = PYR_OK;
    if (stranger->has_state) {
        err = deleted_state_get(shard->io, path, &stranger->id, &body, &state, reterr);
    }
    memcpy(state.name, stranger->name, sizeof state.name);
    stranger->is_known = true;
    if (err == PYR_OK) {
        err = recovery_add(shard, &state, report, &partition, reterr);
    }
    io_free(shard->io, body.data);
    if (err != PYR_OK) {
        return err;
    }
    partition->has_state_file = stranger->has_state;
    if (ret_partition) {
        *ret_partition = partition;
    }
    return PYR_OK;
}

enum pyr_err strangers_settle(struct shard *shard,
                              struct shard_report *report,
                              struct pyr_error *reterr)
{
    ASSERT(shard->strangers.rows);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(report);

    for (size_t index = 0; index < shard->strangers.count; index++) {
        struct shard_stranger *stranger = &shard->strangers.rows[index];
        if (stranger->is_known) {
            continue;
        }
        bool has_segments = false;
        enum pyr_err err = folder_has_segments(shard, stranger->name, &has_segments, reterr);
        if (err == PYR_OK && has_segments && !stranger->has_state) {
            report->quarantined++;
            err = folder_quarantine(shard->folder, stranger->name, reterr); /* FLD-3 */
        } else if (err == PYR_OK) {
            err = strangers_add(shard, stranger, report, NULL, reterr);
        }
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}
