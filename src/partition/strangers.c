/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/strangers - the folders that no checkpoint names.
 *
 * A log is made in three steps: its folder with its metadata, a journal entry that names it, and
 * from the next checkpoint on a row. A crash between them leaves a folder that the checkpoint does
 * not know:
 *
 *     it has a deleted.state    it was restored (delete.c): opened as that says
 *     it holds no segments      a log being made, or all of it is in the journal: opened, empty
 *     the journal names it      its entries bring everything back; opened when the first one comes
 *     nothing names it, and it holds segments, or no metadata
 *                               nobody can say what it is: moved to quarantine, never removed
 * (FLD-3)
 */
#include <stdio.h>

#include "base/assert.h"
#include "partition/opening.h"

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

/* Return whether the log's folder at @path holds any segment. */
static enum pyr_err folder_has_segments(struct io *io,
                                        const char *path,
                                        bool *ret_has,
                                        struct pyr_error *reterr)
{
    ASSERT(path);

    struct io_entries entries;
    int error = io_list(io, path, &entries);
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
    io_entries_free(io, &entries);
    *ret_has = has;
    return PYR_OK;
}

/* Return whether the folder at @path says what its log holds, as that of a restored one does. */
static enum pyr_err folder_has_state(struct io *io,
                                     const char *path,
                                     const struct log_id *id,
                                     bool *ret_has,
                                     struct pyr_error *reterr)
{
    ASSERT(path);

    struct bytes_mut body = {NULL, 0};
    struct log_state state;
    enum pyr_err err = deleted_state_get(io, path, id, &body, &state, reterr);
    io_free(io, body.data);
    bool has_none = err == PYR_ERR_NOT_FOUND || err == PYR_ERR_CORRUPT || err == PYR_ERR_FOREIGN;
    if (err != PYR_OK && !has_none) {
        return err;
    }
    *ret_has = !has_none;
    return PYR_OK;
}

/* Look what the folder of a stranger is, on the pool; return whether to open it, which is so if its
 * log is empty: whoever opens another cuts what is behind its claim, and must not do that to a
 * copy. */
static bool stranger_look(struct opening *opening)
{
    struct shard_stranger *stranger = opening->ctx;
    ASSERT(!stranger->is_known);

    struct io *io = opening->shard->io;
    struct pyr_error *error = &opening->error;
    char path[PATH_BYTES_MAX];
    folder_path(opening->shard->folder, stranger->name, path);
    struct segment_metadata metadata;
    enum pyr_err err = segment_log_identify(io, path, &metadata, error);
    if (err == PYR_ERR_NOT_FOUND || err == PYR_ERR_CORRUPT || err == PYR_ERR_FOREIGN) {
        stranger->is_nothing = true;
        return false;
    }
    if (err == PYR_OK) {
        stranger->id = metadata.log;
        err = folder_has_state(io, path, &metadata.log, &stranger->has_state, error);
    }
    if (err == PYR_OK) {
        err = folder_has_segments(io, path, &stranger->has_segments, error);
    }
    opening->err = err;
    opening->state = (struct log_state){.id = stranger->id, .epoch_last = -1};
    memcpy(opening->state.name, stranger->name, sizeof opening->state.name);
    return err == PYR_OK && !stranger->has_state && !stranger->has_segments;
}

/* Decide on a stranger that has been looked at. One that has a state is left for later, and one
 * that holds what only the journal can explain to the journal. */
static enum pyr_err stranger_take(struct openings *openings,
                                  struct opening *opening,
                                  struct pyr_error *reterr)
{
    struct shard_stranger *stranger = opening->ctx;
    struct shard *shard = opening->shard;
    ASSERT(!stranger->is_known);
    ASSERT(opening->err == PYR_OK);
    struct partition *partition = opening->partition;
    bool is_copy = partition && logs_find(shard, &stranger->id); /* PAR-6 */
    stranger->is_known = stranger->is_nothing || partition;
    if (stranger->is_nothing || is_copy) {
        openings->report->quarantined++;
        return folder_quarantine(shard->folder, stranger->name, reterr);
    }
    return partition ? opening_take(opening, openings->report, reterr) : PYR_OK;
}

/* Open the log of @stranger by the state in its folder, or put it away if it is a copy. */
static enum pyr_err stranger_restore(struct shard *shard,
                                     struct shard_stranger *stranger,
                                     struct shard_report *report,
                                     struct pyr_error *reterr)
{
    ASSERT(stranger->has_state);
    ASSERT(!stranger->is_known);

    stranger->is_known = true;
    if (logs_find(shard, &stranger->id)) { /* PAR-6 */
        report->quarantined++;
        return folder_quarantine(shard->folder, stranger->name, reterr);
    }
    char path[PATH_BYTES_MAX];
    folder_path(shard->folder, stranger->name, path);
    struct bytes_mut body = {NULL, 0};
    struct log_state state;
    struct partition *partition = NULL;
    enum pyr_err err = deleted_state_get(shard->io, path, &stranger->id, &body, &state, reterr);
    if (err != PYR_OK) {
        return err;
    }
    memcpy(state.name, stranger->name, sizeof state.name);
    err = opening_add(shard, &state, report, &partition, reterr);
    io_free(shard->io, body.data);
    if (err == PYR_OK) {
        partition->has_state_file = true;
    }
    return err;
}

/* Start to look at the folder @name. */
static bool stranger_start(struct openings *openings, const char *name)
{
    ASSERT(openings->shard->strangers.rows);
    ASSERT(strlen(name) < LOG_NAME_BYTES_MAX); /* Names of files are shorter still. */

    struct opening *opening = openings_next(openings);
    if (!opening) {
        return false;
    }
    struct shard_strangers *strangers = &openings->shard->strangers;
    struct shard_stranger *stranger = &strangers->rows[strangers->count++];
    *stranger = (struct shard_stranger){.is_known = false};
    (void)snprintf(stranger->name, sizeof stranger->name, "%s", name);
    opening->ctx = stranger;
    opening->look = stranger_look;
    openings_start(openings);
    return true;
}

/* Start to look at those of @entries that may be strangers. */
static void strangers_start(struct openings *openings, const struct io_entries *entries)
{
    ASSERT(openings->shard->strangers.rows);

    struct shard *shard = openings->shard;
    bool goes_on = true;
    for (size_t index = 0; goes_on && index < entries->count; index++) {
        const struct io_entry *entry = &entries->rows[index];
        char name[LOG_NAME_BYTES_MAX];
        struct log_id id;
        bool is_candidate = entry->kind == IO_KIND_FOLDER && !name_is_reserved(entry->name) &&
                            !deleted_name_get(entry->name, name, &id) &&
                            name_is_ours(shard, entry->name) && !logs_named(shard, entry->name);
        if (is_candidate) {
            goes_on = stranger_start(openings, entry->name);
        }
    }
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
    struct openings openings = {.shard = shard, .report = report, .take = stranger_take};
    if (err == PYR_OK) {
        err = openings_begin(&openings, reterr);
    }
    if (err == PYR_OK) {
        strangers_start(&openings, &entries);
        err = openings_end(&openings, reterr);
    }
    for (size_t index = 0; err == PYR_OK && index < shard->strangers.count; index++) {
        struct shard_stranger *stranger = &shard->strangers.rows[index];
        if (stranger->has_state && !stranger->is_known) {
            err = stranger_restore(shard, stranger, report, reterr);
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
    ASSERT(!stranger->has_state);
    ASSERT(report);

    struct log_state state = {.id = stranger->id, .epoch_last = -1};
    memcpy(state.name, stranger->name, sizeof state.name);
    stranger->is_known = true;
    return opening_add(shard, &state, report, ret_partition, reterr);
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
        ASSERT(stranger->has_segments);
        ASSERT(!stranger->has_state);
        report->quarantined++;
        enum pyr_err err = folder_quarantine(shard->folder, stranger->name, reterr); /* FLD-3 */
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}
