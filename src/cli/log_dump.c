/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/log_dump - pyralog log dump: the batches of segment files, or the journal's entries.
 *
 * Segment files are read as they are: batch after batch, without index or digest, so that a file
 * that a start refuses can still be looked at. What is found below the end that the checkpoint
 * claims must be whole; behind it lies what a crash may have left, which the journal brings again.
 */
#include "cli/log_dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/show.h"
#include "segment/format.h"

/* -- Segments -- */

/* Read @count bytes of @file at @position; *@ret_count is less at its end. */
static enum pyr_err bytes_read(struct dump *dump,
                               struct io_file *file,
                               int64_t position,
                               size_t count,
                               size_t *ret_count,
                               struct pyr_error *reterr)
{
    if (count > dump->batch_bytes) {
        uint8_t *grown = realloc(dump->batch, count);
        if (!grown) {
            return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a batch of %zu bytes", count);
        }
        dump->batch = grown;
        dump->batch_bytes = count;
    }
    size_t done = 0;
    size_t moved = 1;
    while (done < count && moved > 0) {
        struct bytes_mut rest = {dump->batch + done, count - done};
        int error = io_read_at(dump->offline->io, file, rest, position + (int64_t)done, &moved);
        if (error != 0) {
            return err_set_errno(reterr, error, "read at position %" PRId64, position);
        }
        done += moved;
    }
    ASSERT(done <= count);
    *ret_count = done;
    return PYR_OK;
}

/* Read the batch at @position into dump->batch. *@ret_count is 0 where the file has no more.
 * PYR_ERR_CORRUPT and its like: none stands there. */
static enum pyr_err batch_read(struct dump *dump,
                               struct io_file *file,
                               int64_t position,
                               size_t *ret_count,
                               struct pyr_error *reterr)
{
    static const uint8_t nothing[BATCH_HEADER_BYTES] = {0};
    size_t count = 0;
    *ret_count = 0;
    enum pyr_err err = bytes_read(dump, file, position, BATCH_HEADER_BYTES, &count, reterr);
    if (err != PYR_OK || count == 0 || memcmp(dump->batch, nothing, count) == 0) {
        return err;
    }
    struct batch_header header;
    err = batch_header_read((struct bytes){dump->batch, count}, &header, reterr);
    if (err != PYR_ERR_OUT_OF_RANGE && err != PYR_OK) {
        return err;
    }
    /* The header says how long it is; length and magic were looked at before the bytes were. */
    bool has_length = count >= BATCH_HEADER_BYTES;
    uint32_t length = has_length ? get_be32(dump->batch + BATCH_LENGTH_POSITION) : 0;
    size_t whole = (size_t)length + BATCH_LENGTH_END;
    if (whole < BATCH_HEADER_BYTES || whole > BATCH_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_CORRUPT, "no whole batch stands there");
    }
    err = bytes_read(dump, file, position, whole, &count, reterr);
    if (err == PYR_OK && count < whole) {
        return err_set(reterr, PYR_ERR_CORRUPT, "the file ends within the batch");
    }
    ASSERT(err != PYR_OK || count == whole);
    *ret_count = whole;
    return err;
}

/* Say that no batch stands at @position of @file, and whether that is damage. */
static void damage_tell(const struct offline_log *log,
                        const char *file,
                        int64_t position,
                        bool is_damage,
                        const struct pyr_error *error)
{
    ASSERT(error->code != PYR_OK);

    (void)fflush(stdout);
    (void)fprintf(stderr, "pyralog: log dump: '%s/%s', position %" PRId64 ": %s%s\n", log->name,
                  file, position, error->message,
                  is_damage ? "; pyralog log verify tells what else is damaged"
                            : "; it lies behind what is known to be written");
}

/* Print the batches of one segment. */
static enum pyr_err segment_dump(struct dump *dump,
                                 const struct offline_log *log,
                                 const char *name,
                                 struct pyr_error *reterr)
{
    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    struct io_file *file;
    folder_path(&dump->offline->folder, log->name, folder);
    if (!segment_path_join(path, folder, name)) {
        return err_set(reterr, PYR_ERR_INVALID, "path of '%s' is too long", name);
    }
    int error = io_open(dump->offline->io, path, IO_OPEN_READ, &file);
    if (error != 0) {
        return err_set_errno(reterr, error, "open '%s'", path);
    }
    dump_heading(dump, log->name, name);
    int64_t position = 0;
    int64_t offset_next = -1;
    struct pyr_error damage = {.code = PYR_OK};
    enum pyr_err err = PYR_OK;
    while (!dump_is_full(dump)) {
        size_t count = 0;
        err = batch_read(dump, file, position, &count, &damage);
        if (err != PYR_OK || count == 0) {
            break;
        }
        struct bytes batch = {dump->batch, count};
        err = dump_batch(dump, log->name, name, position, batch, &damage);
        if (err != PYR_OK) {
            break;
        }
        struct batch_header header;
        err = batch_header_read(batch, &header, &damage);
        ASSERT(err == PYR_OK); /* dump_batch has read it. */
        offset_next = batch_offset_end(&header);
        position += (int64_t)count;
    }
    io_close(dump->offline->io, file);
    if (err == PYR_ERR_IO || err == PYR_ERR_NO_MEMORY) {
        err_wrap(&damage, "'%s'", path);
        *reterr = damage;
        return err;
    }
    if (err != PYR_OK) {
        bool is_damage = offset_next < log->offset_segments;
        dump->damaged += is_damage ? 1 : 0;
        damage_tell(log, name, position, is_damage, &damage);
    }
    return PYR_OK;
}

static enum pyr_err log_dump(struct dump *dump,
                             const struct offline_log *log,
                             struct pyr_error *reterr)
{
    char folder[PATH_BYTES_MAX];
    struct io_entries entries;
    folder_path(&dump->offline->folder, log->name, folder);
    int error = io_list(dump->offline->io, folder, &entries);
    if (error != 0) {
        return err_set_errno(reterr, error, "list '%s'", folder);
    }
    ASSERT(entries.rows != NULL || entries.count == 0);
    enum pyr_err err = PYR_OK;
    for (size_t index = 0; index < entries.count && err == PYR_OK && !dump_is_full(dump); index++) {
        int64_t base = 0;
        enum segment_kind kind = SEGMENT_KIND_LOG;
        enum segment_suffix suffix = SEGMENT_SUFFIX_NONE;
        bool is_segment = segment_name_parse(entries.rows[index].name, &base, &kind, &suffix) &&
                          kind == SEGMENT_KIND_LOG && suffix == SEGMENT_SUFFIX_NONE;
        if (is_segment) {
            err = segment_dump(dump, log, entries.rows[index].name, reterr);
        }
    }
    io_entries_free(dump->offline->io, &entries);
    if (err == PYR_OK && log->journal_batches > 0 && !dump->options->is_json) {
        (void)printf("%s: %s batches with %s records are still in the journal: --wal shows them\n",
                     log->name, show_count(log->journal_batches).text,
                     show_count(log->journal_records).text);
    }
    return err;
}

/* -- Journal -- */

static const char *entry_kind_name(enum wal_entry_kind kind)
{
    ASSERT(kind >= WAL_ENTRY_APPEND);

    switch (kind) {
    case WAL_ENTRY_APPEND:
        return "append";
    case WAL_ENTRY_APPEND_INDIRECT:
        return "append-indirect";
    case WAL_ENTRY_TRUNCATE:
        return "truncate";
    case WAL_ENTRY_PROMISE:
        return "promise";
    case WAL_ENTRY_CHECKPOINT:
        return "checkpoint";
    case WAL_ENTRY_COMMIT:
        return "commit";
    }
    return "unknown";
}

static enum pyr_err entry_dump(struct dump *dump,
                               const struct wal_inspect_entry *view,
                               struct pyr_error *reterr)
{
    const struct wal_entry *entry = &view->entry;
    const struct offline_log *log = offline_log_find(dump->offline, NULL, &entry->log);
    const char *name = log ? log->name : "-";
    bool is_other = dump->options->log && strcmp(dump->options->log, name) != 0;
    if (is_other || entry->offset < dump->options->from) {
        return PYR_OK;
    }
    ASSERT(entry->parts[1].count == 0);
    bool is_append = entry->kind == WAL_ENTRY_APPEND;
    if (dump->options->shows_records && (!is_append || view->is_repeat)) {
        return PYR_OK;
    }
    if (dump->options->shows_records) {
        return dump_batch(dump, name, "", (int64_t)view->position, entry->parts[0], reterr);
    }
    dump->printed++;
    if (dump->options->is_json) {
        (void)printf("{");
        json_field(false, "entry", entry_kind_name(entry->kind));
        json_field(true, "log", name);
        (void)printf(",\"position\":%" PRIu64 ",\"offset\":%" PRId64 ",\"epoch\":%" PRId32
                     ",\"number\":%" PRIu64 ",\"bytes\":%zu,\"is_repeat\":%s}\n",
                     view->position, entry->offset, entry->epoch, entry->number,
                     entry->parts[0].count, view->is_repeat ? "true" : "false");
        return PYR_OK;
    }
    (void)printf("%16" PRIu64 "  %-15s %-24s %14" PRId64 " %6" PRId32 " %10zu%s\n", view->position,
                 entry_kind_name(entry->kind), name, entry->offset, entry->epoch,
                 entry->parts[0].count, view->is_repeat ? "  repeated" : "");
    return PYR_OK;
}

static void flush_dump(const struct dump *dump, const struct wal_flush_header *header)
{
    ASSERT(header->bytes > 0);

    const char *mark = header->flags & WAL_FLUSH_CLEAN   ? "  clean stop"
                       : header->flags & WAL_FLUSH_CUT   ? "  cut by a repair"
                       : header->flags & WAL_FLUSH_EMPTY ? "  empty"
                                                         : "";
    if (dump->options->is_json) {
        (void)printf("{\"flush\":%" PRIu64 ",\"position\":%" PRIu64 ",\"run\":%" PRIu64
                     ",\"durable_upto\":%" PRIu64 ",\"bytes\":%" PRIu32 ",\"entries\":%" PRIu32
                     "}\n",
                     header->sequence, header->position, header->run, header->durable_upto,
                     header->bytes, header->entry_count);
        return;
    }
    (void)printf("flush %" PRIu64 " at %" PRIu64 ", run %" PRIu64 ", durable up to %" PRIu64
                 ", %" PRIu32 " bytes%s\n",
                 header->sequence, header->position, header->run, header->durable_upto,
                 header->bytes, mark);
}

/* Print the flushes that @next gives, with their entries. *@ret_is_damage: @next met damage. */
static enum pyr_err flushes_dump(struct dump *dump,
                                 struct wal_inspect *inspect,
                                 enum pyr_err (*next)(struct wal_inspect *inspect,
                                                      const struct wal_flush_header **ret_header,
                                                      struct pyr_error *reterr),
                                 bool *ret_is_damage,
                                 struct pyr_error *reterr)
{
    const struct wal_flush_header *header = NULL;
    bool shows_flush = !dump->options->log && !dump->options->shows_records;
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && !dump_is_full(dump)) {
        err = next(inspect, &header, reterr);
        *ret_is_damage = err == PYR_ERR_CORRUPT;
        if (err != PYR_OK || !header) {
            break;
        }
        if (shows_flush) {
            flush_dump(dump, header);
        }
        struct wal_inspect_entry entry;
        while (err == PYR_OK && !dump_is_full(dump) && wal_inspect_entry(inspect, &entry)) {
            err = entry_dump(dump, &entry, reterr);
        }
    }
    return err;
}

/* Print what is whole behind the damage that @error tells of, and that a repair loses. The damage
 * stays the command's result. */
static enum pyr_err rest_dump(struct dump *dump,
                              struct wal_inspect *inspect,
                              const struct pyr_error *error)
{
    struct wal_inspect_end end;
    struct pyr_error rest_error;
    bool is_damage = false;
    wal_inspect_end(inspect, &end);
    ASSERT(error->code == PYR_ERR_CORRUPT);
    if (dump->options->is_json) {
        (void)printf("{");
        json_field(false, "damage", error->message);
        (void)printf(",\"position\":%" PRIu64 "}\n", end.position);
    } else {
        (void)printf("Damaged at %" PRIu64 ". What follows is whole, and lost by a repair:\n",
                     end.position);
    }
    enum pyr_err err = flushes_dump(dump, inspect, wal_inspect_rest, &is_damage, &rest_error);
    return err == PYR_ERR_IO || err == PYR_ERR_NO_MEMORY ? err : PYR_ERR_CORRUPT;
}

/* Print the journal of shard @index from its checkpoint on. */
static enum pyr_err journal_dump(struct dump *dump, uint32_t index, struct pyr_error *reterr)
{
    struct wal_inspect *inspect;
    enum pyr_err err = offline_journal_open(dump->offline, index, &inspect, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(inspect != NULL);
    if (!dump->options->is_json) {
        (void)printf("%16s  %-15s %-24s %14s %6s %10s\n", "POSITION", "ENTRY", "LOG", "OFFSET",
                     "EPOCH", "BYTES");
    }
    struct pyr_error error = {.code = PYR_OK};
    bool is_damage = false;
    err = flushes_dump(dump, inspect, wal_inspect_flush, &is_damage, &error);
    if (is_damage) {
        err = rest_dump(dump, inspect, &error);
    }
    if (err != PYR_OK) {
        *reterr = error;
    }
    wal_inspect_close(inspect);
    return err;
}

/* -- The command -- */

static enum pyr_err dump_all(struct dump *dump, struct pyr_error *reterr)
{
    struct offline *offline = dump->offline;
    enum pyr_err err = PYR_OK;
    ASSERT(offline->io != NULL);
    if (dump->options->log && !offline_log_find(offline, dump->options->log, NULL)) {
        return err_set(reterr, PYR_ERR_NOT_FOUND,
                       "--log: '%s' is no log of this store; pyralog log stat lists them",
                       dump->options->log);
    }
    for (uint32_t index = 0;
         dump->options->shows_wal && index < offline->journal_count && err == PYR_OK; index++) {
        err = journal_dump(dump, index, reterr);
    }
    for (size_t index = 0; !dump->options->shows_wal && index < offline->log_count && err == PYR_OK;
         index++) {
        const struct offline_log *log = &offline->logs[index];
        bool is_wanted = !dump->options->log || strcmp(dump->options->log, log->name) == 0;
        if (is_wanted && log->has_folder && !dump_is_full(dump)) {
            err = log_dump(dump, log, reterr);
        }
    }
    return err;
}

static int dump_run(const struct args_command *command, int argc, char **argv)
{
    struct dump_options options = {.log = NULL};
    struct args_found found;
    struct offline offline;
    struct pyr_error error;
    int status = args_begin(command, argc, argv, &options, &found);
    if (status >= 0) {
        return status;
    }
    ASSERT(found.operand_count == 1);
    if (offline_open(found.operands[0], &offline, &error) != PYR_OK) {
        return args_fail(command, &error);
    }
    struct dump dump = {.options = &options, .offline = &offline};
    enum pyr_err err = dump_all(&dump, &error);
    status = err != PYR_OK      ? args_fail(command, &error)
             : dump.damaged > 0 ? err_exit_status(PYR_ERR_CORRUPT)
                                : 0;
    free(dump.batch);
    free(dump.unpacked);
    offline_close(&offline);
    return status;
}

static const struct args_option dump_table[] = {
    {.name = "log",
     .value = "NAME",
     .kind = ARGS_TEXT,
     .field = offsetof(struct dump_options, log),
     .help = "only this log, such as orders-0"},
    {.name = "from",
     .value = "OFFSET",
     .fallback = "0",
     .kind = ARGS_NUMBER,
     .field = offsetof(struct dump_options, from),
     .range = {0, INT64_MAX},
     .help = "begin at the batch, or the record, with this offset"},
    {.name = "limit",
     .value = "N",
     .kind = ARGS_NUMBER,
     .field = offsetof(struct dump_options, limit),
     .range = {1, INT64_MAX},
     .help = "stop after N lines (default: no limit)"},
    {.name = "records",
     .kind = ARGS_FLAG,
     .field = offsetof(struct dump_options, shows_records),
     .help = "show each record: offset, time, key = value, [headers]"},
    {.name = "wal",
     .kind = ARGS_FLAG,
     .field = offsetof(struct dump_options, shows_wal),
     .help = "show the journal instead of the segments"},
    {.name = "json",
     .kind = ARGS_FLAG,
     .field = offsetof(struct dump_options, is_json),
     .help = "print one JSON object a line"},
};

static const char *const dump_usage[] = {
    "pyralog log dump [--log=NAME] [--from=OFFSET] [--limit=N] [--records] [--json] DIR",
    "pyralog log dump --wal [--log=NAME] [--from=OFFSET] [--limit=N] [--records] [--json] DIR",
    NULL,
};
static const char *const dump_about[] = {
    "Prints the batches in the segment files of the store's folder DIR, or, with --wal, the",
    "entries that a start would replay, and those behind a damage that makes it refuse. Nothing "
    "may",
    "have the store open; nothing is changed.",
    NULL,
};
static const char *const dump_examples[] = {
    "pyralog log dump --log=orders-0 --from=1000 --limit=10 --records ./data",
    "pyralog log dump --wal ./data",
    NULL,
};

const struct args_command log_dump_command = {
    .words = "pyralog log dump",
    .summary = "print batches, records, or the journal",
    .usage = dump_usage,
    .about = dump_about,
    .options = dump_table,
    .option_count = sizeof dump_table / sizeof *dump_table,
    .operand = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .examples = dump_examples,
    .run = dump_run,
};
