/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/offline - opening, and adding up what checkpoint and journal say.
 */
#include "cli/offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "partition/deleted.h"
#include "segment/log.h"

enum { LOGS_MIN = 16 };

void offline_hex(const uint8_t *data, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    ASSERT(data != NULL);

    for (size_t index = 0; index < count; index++) {
        text[2 * index] = digits[data[index] >> 4];
        text[2 * index + 1] = digits[data[index] & 15];
    }
    text[2 * count] = '\0';
}

/* -- The table of logs -- */

struct offline_log *offline_log_find(const struct offline *offline,
                                     const char *name,
                                     const struct log_id *id)
{
    ASSERT(name != NULL || id != NULL);

    for (size_t index = 0; index < offline->log_count; index++) {
        struct offline_log *log = &offline->logs[index];
        bool is_it = name ? strcmp(log->name, name) == 0 : log_id_equal(&log->id, id);
        if (is_it) {
            return log;
        }
    }
    return NULL;
}

static struct offline_log *log_add(struct offline *offline, const struct offline_log *log)
{
    ASSERT(offline->log_count <= offline->log_room);

    if (offline->log_count == offline->log_room) {
        size_t room = offline->log_room ? offline->log_room * 2 : LOGS_MIN;
        struct offline_log *logs = realloc(offline->logs, room * sizeof *logs);
        if (!logs) {
            return NULL;
        }
        offline->logs = logs;
        offline->log_room = room;
    }
    offline->logs[offline->log_count] = *log;
    return &offline->logs[offline->log_count++];
}

/* -- Folders -- */

/* Count the segments of @log. */
static enum pyr_err log_count_segments(struct offline *offline,
                                       struct offline_log *log,
                                       const char *path,
                                       struct pyr_error *reterr)
{
    struct io_entries entries;
    int error = io_list(offline->io, path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list '%s'", path);
    }
    for (size_t index = 0; index < entries.count; index++) {
        int64_t base;
        enum segment_kind kind;
        enum segment_suffix suffix;
        char file[PATH_BYTES_MAX];
        struct io_stat stat;
        const char *name = entries.rows[index].name;
        bool is_log = segment_name_parse(name, &base, &kind, &suffix) && kind == SEGMENT_KIND_LOG &&
                      suffix == SEGMENT_SUFFIX_NONE;
        if (is_log && segment_path_join(file, path, name) &&
            io_stat(offline->io, file, &stat) == 0) {
            ASSERT(stat.bytes >= 0);
            log->segments++;
            log->bytes += (uint64_t)stat.bytes;
        }
    }
    io_entries_free(offline->io, &entries);
    return PYR_OK;
}

/* Take the folder @name if it is a log's. */
static enum pyr_err folder_take(struct offline *offline, const char *name, struct pyr_error *reterr)
{
    char path[PATH_BYTES_MAX];
    struct segment_metadata metadata;
    folder_path(&offline->folder, name, path);
    ASSERT(path[0] != '\0');
    if (segment_log_identify(offline->io, path, &metadata, NULL) != PYR_OK) {
        return PYR_OK; /* Verify says what is wrong with it. */
    }
    char name_before[LOG_NAME_BYTES_MAX];
    struct log_id id;
    struct offline_log log = {.id = metadata.log,
                              .has_folder = true,
                              .is_deleted = deleted_name_get(name, name_before, &id),
                              .epoch = -1};
    if (strlen(name) >= sizeof log.name) {
        return PYR_OK;
    }
    (void)snprintf(log.name, sizeof log.name, "%s", name);
    struct bytes_mut body = {NULL, 0};
    struct log_state state;
    if (log.is_deleted &&
        deleted_state_get(offline->io, path, &log.id, &body, &state, NULL) == PYR_OK) {
        log.has_row = true;
        memcpy(log.name_deleted, state.name, sizeof log.name_deleted);
        log.offset_start = state.offset_start;
        log.offset_segments = state.offset_end;
        log.offset_end = state.offset_end;
        log.epoch = state.epoch_last;
        log.entry_number = state.entry_number;
        io_free(offline->io, body.data);
    }
    enum pyr_err err = log_count_segments(offline, &log, path, reterr);
    if (err == PYR_OK && !log_add(offline, &log)) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the table of logs");
    }
    return err;
}

static enum pyr_err folders_take(struct offline *offline, struct pyr_error *reterr)
{
    struct io_entries entries;
    int error = io_list(offline->io, offline->folder.path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list '%s'", offline->folder.path);
    }
    ASSERT(entries.rows != NULL || entries.count == 0);
    enum pyr_err err = PYR_OK;
    for (size_t index = 0; index < entries.count && err == PYR_OK; index++) {
        const struct io_entry *entry = &entries.rows[index];
        bool is_log = entry->kind == IO_KIND_FOLDER && strcmp(entry->name, "wal") != 0 &&
                      strcmp(entry->name, "quarantine") != 0;
        if (is_log) {
            err = folder_take(offline, entry->name, reterr);
        }
    }
    io_entries_free(offline->io, &entries);
    char path[PATH_BYTES_MAX];
    folder_path(&offline->folder, "quarantine", path);
    if (err == PYR_OK && io_list(offline->io, path, &entries) == 0) {
        offline->quarantined = entries.count;
        io_entries_free(offline->io, &entries);
    }
    return err;
}

/* -- Checkpoint and journal -- */

/* Take the row @state of the checkpoint of @shard. */
static enum pyr_err row_take(struct offline *offline,
                             uint32_t shard,
                             const struct log_state *state,
                             struct pyr_error *reterr)
{
    struct offline_log *log = offline_log_find(offline, NULL, &state->id);
    ASSERT(state->offset_start <= state->offset_end);
    if (log && log->is_deleted) {
        return PYR_OK; /* DEL-1 */
    }
    if (!log) {
        struct offline_log fresh = {.id = state->id, .epoch = -1};
        (void)snprintf(fresh.name, sizeof fresh.name, "%s", state->name);
        log = log_add(offline, &fresh);
    }
    if (!log) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the table of logs");
    }
    if (strcmp(log->name, state->name) != 0) {
        memcpy(log->name_wanted, state->name, sizeof log->name_wanted);
    }
    log->is_misplaced = folder_shard_of(state->name, offline->folder.shards) != shard; /* RSH-3 */
    log->has_row = true;
    log->shard = shard;
    log->offset_start = state->offset_start;
    log->offset_segments = state->offset_end;
    log->offset_end = state->offset_end;
    log->epoch = state->epoch_last;
    log->entry_number = state->entry_number;
    return PYR_OK;
}

/* Take the rows of a checkpoint's body. */
static enum pyr_err rows_take(struct offline *offline,
                              uint32_t shard,
                              struct bytes body,
                              struct pyr_error *reterr)
{
    uint32_t count = 0;
    size_t position = state_header_bytes();
    if (body.count == 0) {
        return PYR_OK;
    }
    ASSERT(body.data != NULL);
    enum pyr_err err = state_header_get(body, &count, reterr);
    for (uint32_t index = 0; index < count && err == PYR_OK; index++) {
        struct log_state state;
        err = state_row_get(body, &position, &state, reterr);
        if (err == PYR_OK) {
            err = row_take(offline, shard, &state, reterr);
        }
    }
    return err;
}

/* Whether the batch of @entry is whole; replay asks for what the journal leaves to it. */
static bool batch_is_whole(void *ctx, const struct wal_replay_entry *entry)
{
    (void)ctx;
    struct bytes batch = entry->entry.parts[0];
    struct batch_header header;
    ASSERT(batch.data != NULL || batch.count == 0);
    return batch_header_read(batch, &header, NULL) == PYR_OK &&
           batch_verify(batch, &header, NULL) == PYR_OK;
}

/* Count an append of the journal as recovery does (partition/recovery.c). */
static void append_count(struct offline_log *log, const struct wal_entry *entry)
{
    struct batch_header header;
    if (batch_header_read(entry->parts[0], &header, NULL) != PYR_OK) {
        return;
    }
    ASSERT(header.bytes <= entry->parts[0].count);
    bool is_covered = entry->offset < log->offset_end && entry->epoch <= log->epoch;
    if (is_covered) {
        return;
    }
    log->has_hole |= entry->offset > log->offset_end;
    log->offset_end = batch_offset_end(&header);
    log->epoch = entry->epoch;
    log->journal_batches++;
    log->journal_records += (uint64_t)header.record_count;
    log->journal_bytes += header.bytes;
}

static void entry_count(struct offline *offline, uint32_t shard, const struct wal_entry *entry)
{
    ASSERT(entry->kind >= WAL_ENTRY_APPEND);

    struct offline_log *log = offline_log_find(offline, NULL, &entry->log);
    if (!log) {
        return;
    }
    log->shard = shard;
    log->has_hole |= entry->number > log->entry_number + 1;
    log->entry_number = entry->number > log->entry_number ? entry->number : log->entry_number;
    if (entry->kind == WAL_ENTRY_APPEND) {
        append_count(log, entry);
    } else if (entry->kind == WAL_ENTRY_TRUNCATE && entry->offset < log->offset_end) {
        log->offset_end = entry->offset;
    }
}

enum pyr_err offline_journal_open(const struct offline *offline,
                                  uint32_t index,
                                  struct wal_inspect **ret_inspect,
                                  struct pyr_error *reterr)
{
    char name[64];
    char path[PATH_BYTES_MAX];
    ASSERT(index < offline->folder.shards);

    (void)snprintf(name, sizeof name, "wal/%u.%u", (unsigned)offline->folder.journals,
                   (unsigned)index);
    folder_path(&offline->folder, name, path);
    return wal_inspect_open(offline->io, path, batch_is_whole, NULL, ret_inspect, reterr);
}

/* Count the entries of the flush at hand. */
static void flush_count(struct offline *offline,
                        uint32_t index,
                        const struct wal_flush_header *header)
{
    struct offline_journal *journal = &offline->journals[index];
    struct wal_inspect_entry entry;
    ASSERT(header->bytes > 0);
    journal->flushes++;
    journal->was_clean = (header->flags & WAL_FLUSH_CLEAN) != 0;
    while (wal_inspect_entry(journal->inspect, &entry)) {
        journal->entries++;
        if (!entry.is_repeat) {
            entry_count(offline, index, &entry.entry);
        }
    }
}

/* Read the journal of shard @index to its end. */
static enum pyr_err journal_read(struct offline *offline, uint32_t index, struct pyr_error *reterr)
{
    struct offline_journal *journal = &offline->journals[index];
    char name[64];
    (void)snprintf(name, sizeof name, "wal/%u.%u", (unsigned)offline->folder.journals,
                   (unsigned)index);
    folder_path(&offline->folder, name, journal->folder);
    enum pyr_err err = offline_journal_open(offline, index, &journal->inspect, reterr);
    if (err != PYR_OK) {
        return err;
    }
    wal_inspect_info(journal->inspect, &journal->info);
    ASSERT(journal->info.file_bytes > 0);
    if (journal->info.shard != index ||
        memcmp(journal->info.storage_id, offline->folder.storage_id, WAL_STORAGE_ID_BYTES) != 0) {
        return err_set(reterr, PYR_ERR_FOREIGN, "'%s' belongs to another storage or shard",
                       journal->folder);
    }
    err = rows_take(offline, index, journal->info.checkpoint_body, reterr);
    if (err != PYR_OK) {
        return err;
    }
    const struct wal_flush_header *header = NULL;
    err = wal_inspect_flush(journal->inspect, &header, reterr);
    while (err == PYR_OK && header) {
        flush_count(offline, index, header);
        err = wal_inspect_flush(journal->inspect, &header, reterr);
    }
    if (err != PYR_OK && err != PYR_ERR_CORRUPT) {
        return err;
    }
    /* Damage is a finding: it stands in the end. */
    wal_inspect_end(journal->inspect, &journal->end);
    return PYR_OK;
}

static int log_compare(const void *left, const void *right)
{
    const struct offline_log *one = left;
    const struct offline_log *two = right;
    ASSERT(one != NULL);
    return strcmp(one->name, two->name);
}

static enum pyr_err offline_read(struct offline *offline, struct pyr_error *reterr)
{
    enum pyr_err err = folders_take(offline, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(offline->folder.shards > 0);
    offline->journals = calloc(offline->folder.shards, sizeof *offline->journals);
    if (!offline->journals) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the journals");
    }
    offline->journal_count = offline->folder.is_new ? 0 : offline->folder.shards;
    for (uint32_t index = 0; index < offline->journal_count && err == PYR_OK; index++) {
        err = journal_read(offline, index, reterr);
    }
    if (err == PYR_OK && offline->log_count > 0) {
        qsort(offline->logs, offline->log_count, sizeof *offline->logs, log_compare);
    }
    return err;
}

enum pyr_err offline_open(const char *path, struct offline *ret_offline, struct pyr_error *reterr)
{
    struct offline *offline = ret_offline;
    *offline = (struct offline){.io = NULL};
    ASSERT(path != NULL);

    enum pyr_err err =
        io_create(&(struct io_options){.backend = IO_BACKEND_AUTO}, &offline->io, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int error =
        io_loop_create(offline->io, &(struct io_loop_options){.ops_max = 16}, &offline->loop);
    err = error ? err_set_errno(reterr, error, "make a loop") : PYR_OK;
    if (err == PYR_OK) {
        const struct folder_options options = {.path = path, .must_exist = true, .shards = 1};
        err = folder_open(offline->loop, &options, &offline->folder, reterr);
    }
    if (err == PYR_OK) {
        err = offline_read(offline, reterr);
    }
    if (err != PYR_OK) {
        offline_close(offline);
    }
    return err;
}

void offline_close(struct offline *offline)
{
    for (uint32_t index = 0; index < offline->journal_count; index++) {
        ASSERT(offline->journals != NULL);
        wal_inspect_close(offline->journals[index].inspect);
    }
    free(offline->journals);
    free(offline->logs);
    if (offline->folder.io) {
        folder_close(&offline->folder);
    }
    io_loop_destroy(offline->loop);
    io_destroy(offline->io);
    *offline = (struct offline){.io = NULL};
}
