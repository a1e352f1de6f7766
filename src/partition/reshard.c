/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/reshard - the five steps of a change, each of which a crash may end.
 *
 * The set of journals has a number of its own, which is raised with each change and never used
 * again: a half-made set of an earlier try is never taken for this one's.
 */
#include "partition/reshard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/parse.h"
#include "partition/shard_inner.h"

/* The rows of one journal to be made: a checkpoint's body. */
struct table {
    uint8_t *data;
    size_t bytes;
    size_t room;
    uint32_t rows;
};

/* A change under way. */
struct change {
    struct io *io;
    struct io_loop *loop;
    struct shard_options options; /* Of each shard in its turn. */
    struct table *tables;         /* One for each journal to be made. */
    uint32_t shards;              /* How many there will be. */
    uint32_t journals;            /* And their set's number. */
};

/* -- Step 1: the rows -- */

/* Make room for @bytes more in @table. */
static bool table_grow(struct io *io, struct table *table, size_t bytes)
{
    ASSERT(table->bytes <= table->room);
    ASSERT(bytes > 0);

    if (table->room - table->bytes >= bytes) {
        return true;
    }
    size_t room = 2 * table->room + bytes;
    uint8_t *data = io_alloc(io, room, 16);
    if (!data) {
        return false;
    }
    if (table->bytes > 0) {
        memcpy(data, table->data, table->bytes);
    }
    io_free(io, table->data);
    table->data = data;
    table->room = room;
    ASSERT(table->room - table->bytes >= bytes);
    return true;
}

/* Put the row of @partition into the table of the journal that it will have. */
static enum pyr_err row_take(struct change *change,
                             const struct partition *partition,
                             struct pyr_error *reterr)
{
    ASSERT(partition->offset_synced == flush_end(partition)); /* Its journal is not needed. */
    ASSERT(change->shards > 0);

    struct log_state state;
    checkpoint_row_fill(partition, &state);
    ASSERT(state.offset_end == flush_end(partition));
    struct table *table = &change->tables[folder_shard_of(state.name, change->shards)]; /* RSH-3 */
    if (table->rows == SHARD_PARTITIONS_MAX) {
        return err_set(reterr, PYR_ERR_TOO_LARGE,
                       "with %" PRIu32 " shards, one would have more than %d logs", change->shards,
                       SHARD_PARTITIONS_MAX);
    }
    if (!table_grow(change->io, table, state_row_bytes(&state))) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the rows of all logs");
    }
    table->bytes += checkpoint_row_put(partition, &state, table->data + table->bytes);
    ASSERT(table->bytes <= table->room);
    table->rows++;
    return PYR_OK;
}

/* Recover shard @index under the old number, save it, and take its rows. */
static enum pyr_err shard_take(struct change *change,
                               uint32_t index,
                               struct shard_report *report,
                               struct pyr_error *reterr)
{
    ASSERT(index < change->options.folder->shards);
    ASSERT(!report->has_changed);

    struct shard *shard = NULL;
    struct shard_report found;
    change->options.index = index;
    enum pyr_err err = shard_open(change->loop, &change->options, &shard, &found, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(shard);
    ASSERT(shard->pending_count == 0);
    found.partitions = 0; /* They are opened again, and counted then. */
    found.segments = 0;
    shard_report_add(report, &found);
    err = shard_save(shard, reterr);
    for (struct partition *at = shard->partitions; err == PYR_OK && at; at = at->next) {
        err = row_take(change, at, reterr);
    }
    struct wal_usage usage;
    wal_usage(shard->wal, &usage);
    if (change->options.wal_file_bytes == 0) {
        change->options.wal_file_bytes = usage.file_bytes; /* The new journals are as the first. */
    }
    shard_close(shard);
    return err;
}

static enum pyr_err shards_take(struct change *change,
                                struct shard_report *report,
                                struct pyr_error *reterr)
{
    ASSERT(change->tables);
    ASSERT(change->shards > 0);

    for (uint32_t index = 0; index < change->shards; index++) {
        struct table *table = &change->tables[index];
        if (!table_grow(change->io, table, state_header_bytes())) {
            return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the rows of all logs");
        }
        table->bytes = state_header_bytes();
    }
    for (uint32_t index = 0; index < change->options.folder->shards; index++) {
        enum pyr_err err = shard_take(change, index, report, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}

/* -- Steps 2 and 5: sweeping -- */

/* Read "<journals>.<shard>", the name of a journal's folder. */
static bool journal_name_parse(const char *name, uint32_t *ret_journals)
{
    ASSERT(name);
    ASSERT(ret_journals);

    char text[64];
    const char *dot = strchr(name, '.');
    if (!dot || strlen(name) >= sizeof text) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%s", name);
    text[dot - name] = '\0';
    int64_t journals = 0;
    int64_t index = 0;
    const struct parse_range range = {0, UINT32_MAX};
    bool is_pair = parse_number(text, range, &journals, NULL) == PYR_OK &&
                   parse_number(dot + 1, range, &index, NULL) == PYR_OK;
    if (!is_pair) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%" PRId64 ".%" PRId64, journals, index);
    *ret_journals = (uint32_t)journals;
    return strcmp(name, text) == 0;
}

/* Return whether a journal is made of files with such names; see docs/formats/wal.md. */
static bool is_journal_file(const char *name)
{
    ASSERT(name);

    static const char *const endings[] = {".wal", ".new"};
    static const char *const names[] = {"checkpoint", "checkpoint.new", "run",
                                        "run.new",    NOTES_FILE_NAME,  NOTES_NEW_FILE_NAME};
    size_t digits = strspn(name, "0123456789");
    for (size_t index = 0; digits > 0 && index < sizeof endings / sizeof *endings; index++) {
        if (strcmp(name + digits, endings[index]) == 0) {
            return true;
        }
    }
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        if (strcmp(name, names[index]) == 0) {
            return true;
        }
    }
    return false;
}

/* Remove the journal in the folder @name of wal/. What else lies there stays, and its folder. */
static void journal_remove(struct folder *folder, const char *name)
{
    ASSERT(folder->lock);
    ASSERT(name);

    char wal[64 + 256];
    char path[PATH_BYTES_MAX];
    char file[PATH_BYTES_MAX + 256];
    (void)snprintf(wal, sizeof wal, "wal/%s", name);
    folder_path(folder, wal, path);
    struct io_entries entries;
    if (io_list(folder->io, path, &entries) != 0) {
        return;
    }
    for (size_t index = 0; index < entries.count; index++) {
        if (is_journal_file(entries.rows[index].name)) {
            (void)snprintf(file, sizeof file, "%s/%s", path, entries.rows[index].name);
            int error = io_remove(folder->io, file);
            (void)error; /* The next sweep finds it again. */
        }
    }
    io_entries_free(folder->io, &entries);
    int error = io_remove(folder->io, path);
    (void)error; /* It is not empty: something else was put there. RSH-2 */
}

void reshard_sweep(struct folder *folder)
{
    ASSERT(folder->lock);
    ASSERT(folder->journals > 0);

    char path[PATH_BYTES_MAX];
    folder_path(folder, "wal", path);
    struct io_entries entries;
    if (io_list(folder->io, path, &entries) != 0) {
        return;
    }
    bool has_removed = false;
    for (size_t index = 0; index < entries.count; index++) {
        const struct io_entry *entry = &entries.rows[index];
        uint32_t journals = 0;
        bool is_other = entry->kind == IO_KIND_FOLDER &&
                        journal_name_parse(entry->name, &journals) && journals != folder->journals;
        if (is_other) {
            journal_remove(folder, entry->name); /* RSH-2 */
            has_removed = true;
        }
    }
    io_entries_free(folder->io, &entries);
    if (has_removed) {
        int error = io_sync_folder(folder->io, path);
        (void)error; /* What comes back is swept again. */
    }
}

/* Find a number for the new set that no folder of wal/ has. */
static enum pyr_err journals_number(struct change *change, struct pyr_error *reterr)
{
    const struct folder *folder = change->options.folder;
    ASSERT(folder->lock);
    ASSERT(!folder->is_new);

    char path[PATH_BYTES_MAX];
    folder_path(folder, "wal", path);
    struct io_entries entries;
    int error = io_list(change->io, path, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list folder '%s'", path);
    }
    uint32_t last = folder->journals;
    for (size_t index = 0; index < entries.count; index++) {
        uint32_t journals = 0;
        if (journal_name_parse(entries.rows[index].name, &journals) && journals > last) {
            last = journals;
        }
    }
    io_entries_free(change->io, &entries);
    if (last == UINT32_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s' has used all numbers for journals", path);
    }
    change->journals = last + 1;
    return PYR_OK;
}

/* -- Step 3: the journals -- */

/* Let the loop turn until @is_over says so, or the journal fails. */
static void turn_until(struct change *change, struct wal *wal, bool (*is_over)(const struct wal *))
{
    ASSERT(wal);
    ASSERT(change->loop);

    while (!is_over(wal)) {
        io_loop_wait(change->loop, io_now_mono_ns(change->io) + ROOM_RETRY_NS);
        (void)io_loop_dispatch(change->loop);
    }
}

/* The checkpoint has ended, one way or the other. */
static bool checkpoint_is_over(const struct wal *wal)
{
    ASSERT(wal);

    return !wal_checkpoint_is_running(wal) || wal_state(wal, NULL) != WAL_STATE_OPEN;
}

/* Start the empty @wal and give it a checkpoint with the rows of @table. */
static enum pyr_err journal_fill(struct change *change,
                                 struct wal *wal,
                                 const struct table *table,
                                 struct pyr_error *reterr)
{
    ASSERT(wal_state(wal, NULL) == WAL_STATE_REPLAYING);
    ASSERT(table->bytes >= state_header_bytes());
    ASSERT(table->rows <= SHARD_PARTITIONS_MAX);

    const struct wal_replay_entry *entry = NULL;
    enum pyr_err err = wal_replay_next(wal, &entry, reterr);
    if (err == PYR_OK && entry) {
        err = err_set(reterr, PYR_ERR_CORRUPT, "a new journal holds an entry");
    }
    if (err == PYR_OK) {
        err = wal_start(wal, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct bytes body = {table->data, table->bytes};
    err = wal_checkpoint_begin(wal, body, wal_durable_position(wal), reterr);
    if (err == PYR_OK) {
        turn_until(change, wal, checkpoint_is_over);
        err = wal_state(wal, reterr) == WAL_STATE_FAILED ? PYR_ERR_FAILED
                                                         : wal_checkpoint_result(wal, reterr);
    }
    wal_stop(wal);
    turn_until(change, wal, wal_is_quiet);
    if (err == PYR_OK && wal_state(wal, reterr) == WAL_STATE_FAILED) {
        err = PYR_ERR_FAILED;
    }
    return err;
}

/* Make journal @index of the new set. It is durable when this returns. */
static enum pyr_err journal_make(struct change *change, uint32_t index, struct pyr_error *reterr)
{
    ASSERT(index < change->shards);
    ASSERT(change->tables);
    ASSERT(change->journals > 1);

    struct table *table = &change->tables[index];
    state_header_put(table->data, table->rows);
    struct wal *wal = NULL;
    change->options.index = index;
    enum pyr_err err =
        shard_journal_open(change->loop, &change->options, change->journals, true, &wal, reterr);
    if (err != PYR_OK) {
        return err;
    }
    err = journal_fill(change, wal, table, reterr);
    wal_destroy(wal);
    return err;
}

/* -- The change -- */

static void tables_free(struct change *change)
{
    ASSERT(change->shards > 0);

    for (uint32_t index = 0; change->tables && index < change->shards; index++) {
        io_free(change->io, change->tables[index].data);
    }
    io_free(change->io, change->tables);
    change->tables = NULL;
}

/* Steps 1 and 2: all that comes before the new journals. */
static enum pyr_err change_prepare(struct change *change,
                                   struct shard_report *report,
                                   struct pyr_error *reterr)
{
    struct folder *folder = change->options.folder;
    ASSERT(folder->shards != change->shards);

    change->tables =
        io_alloc(change->io, change->shards * sizeof *change->tables, _Alignof(struct table));
    enum pyr_err err =
        change->tables ? PYR_OK : err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the rows");
    if (err == PYR_OK) {
        err = shards_take(change, report, reterr);
    }
    if (err == PYR_OK) {
        reshard_sweep(folder);
        err = journals_number(change, reterr);
    }
    return err;
}

/* Step 3. */
static enum pyr_err journals_make(struct change *change, struct pyr_error *reterr)
{
    ASSERT(change->tables);
    ASSERT(change->shards > 0);

    enum pyr_err err = PYR_OK;
    for (uint32_t index = 0; err == PYR_OK && index < change->shards; index++) {
        err = journal_make(change, index, reterr);
    }
    if (err != PYR_OK) {
        reshard_sweep(change->options.folder); /* What was made of the new set. */
    }
    return err;
}

enum pyr_err reshard_run(struct io_loop *loop,
                         const struct shard_options *options,
                         uint32_t shards,
                         struct shard_report *report,
                         struct pyr_error *reterr)
{
    struct folder *folder = options->folder;
    ASSERT(folder->lock);
    ASSERT(folder->shards > 0);
    ASSERT(report);

    if (shards == 0 || shards == folder->shards) {
        return PYR_OK;
    }
    if (shards > FOLDER_SHARDS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "shards: %" PRIu32 " is above %d", shards,
                       FOLDER_SHARDS_MAX);
    }
    struct change change = {.io = io_loop_io(loop),
                            .loop = loop,
                            .options = *options,
                            .shards = shards,
                            .journals = folder->journals + 1};
    change.options.scrub_bytes_per_s = 0;
    enum pyr_err err = PYR_OK;
    bool is_stored = false;
    if (!folder->is_new) { /* Else there are no journals yet, and no logs. */
        err = change_prepare(&change, report, reterr);
        if (err == PYR_OK && MUTANT(shards_stored_first)) {
            is_stored = true;
            err = folder_set_shards(folder, shards, change.journals, reterr);
        }
        if (err == PYR_OK) {
            err = journals_make(&change, reterr);
        }
        tables_free(&change);
    }
    if (err == PYR_OK && !is_stored) {
        /* Should this fail, nobody knows which number is on the disk: neither set is touched. */
        err = folder_set_shards(folder, shards, change.journals, reterr); /* RSH-1 */
    }
    if (err != PYR_OK) {
        ASSERT(folder->shards != shards || is_stored);
        err_wrap(reterr, "change the number of shards to %" PRIu32, shards);
        return err;
    }
    ASSERT(folder->shards == shards);
    ASSERT(folder->journals == change.journals);
    reshard_sweep(folder);
    report->has_changed = true;
    return PYR_OK;
}
