/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/log_repair - pyralog log repair: say what a cut would lose, and make it if told to.
 *
 * A start refuses a journal with damage below what is known to have been durable: something that
 * was acknowledged cannot be read. Only a person can decide to go on without it. The journal is cut
 * where its chain ends; what lies behind is lost, although most of it may be whole, since entries
 * without those before them would leave a hole in a log.
 *
 *     good flush <- good flush <- DAMAGED    good flush    good flush
 *                               ^ the cut    \______ listed, then lost ______/
 *
 * Invariants:
 *   FIX-1  Nothing is written without --yes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline.h"
#include "cli/show.h"

struct repair_options {
    bool is_dry_run;
    bool is_agreed;
    bool is_json;
};

/* What one log loses. */
struct loss {
    const struct offline_log *log;
    int64_t offset_end; /* One past the last lost record that can be read; -1: none can. */
    uint64_t batches;   /* That can still be read, behind the cut. */
    uint64_t records;
    uint64_t unreadable; /* Entries that its running numbers say are missing. */
    uint64_t number;     /* Of the last entry seen behind the cut. */
    uint64_t truncates;  /* Truncations that are forgotten. */
};

/* Count an entry that lies behind the cut. */
static void loss_count(struct loss *loss, const struct wal_inspect_entry *view)
{
    const struct wal_entry *entry = &view->entry;
    struct batch_header header;
    if (!loss->log) {
        return;
    }
    uint64_t before = loss->number ? loss->number : loss->log->entry_number;
    if (view->is_repeat || entry->number <= before) {
        return;
    }
    loss->unreadable += entry->number - before - 1;
    loss->number = entry->number;
    loss->truncates += entry->kind == WAL_ENTRY_TRUNCATE ? 1 : 0;
    if (entry->kind == WAL_ENTRY_APPEND &&
        batch_header_read(entry->parts[0], &header, NULL) == PYR_OK) {
        loss->batches++;
        loss->records += (uint64_t)header.record_count;
        int64_t end = batch_offset_end(&header);
        loss->offset_end = end > loss->offset_end ? end : loss->offset_end;
    }
}

/* Read what lies behind the end of @journal's chain. */
static enum pyr_err losses_read(const struct offline *offline,
                                const struct offline_journal *journal,
                                struct loss *losses,
                                uint64_t *ret_flushes,
                                struct pyr_error *reterr)
{
    const struct wal_flush_header *header = NULL;
    uint64_t flushes = 0;
    enum pyr_err err = wal_inspect_rest(journal->inspect, &header, reterr);
    while (err == PYR_OK && header) {
        struct wal_inspect_entry entry;
        flushes++;
        while (wal_inspect_entry(journal->inspect, &entry)) {
            const struct offline_log *log = offline_log_find(offline, NULL, &entry.entry.log);
            /* Behind the logs there is a place for entries of none. */
            size_t index = log ? (size_t)(log - offline->logs) : offline->log_count;
            loss_count(&losses[index], &entry);
        }
        err = wal_inspect_rest(journal->inspect, &header, reterr);
    }
    ASSERT(err != PYR_OK || header == NULL);
    *ret_flushes = flushes;
    return err;
}

/* -- Telling -- */

static void loss_print(const struct loss *loss)
{
    ASSERT(loss->log != NULL);

    (void)printf("  %s: it will end at offset %" PRId64, loss->log->name, loss->log->offset_end);
    if (loss->offset_end > loss->log->offset_end) {
        (void)printf("; offsets %" PRId64 " to %" PRId64 " are lost", loss->log->offset_end,
                     loss->offset_end - 1);
    }
    (void)printf("\n    %s batches with %s records can still be read behind the damage\n",
                 show_count(loss->batches).text, show_count(loss->records).text);
    if (loss->unreadable > 0) {
        (void)printf("    %s entries cannot be read at all\n", show_count(loss->unreadable).text);
    }
    if (loss->truncates > 0) {
        (void)printf("    %s truncations are forgotten: what they cut comes back\n",
                     show_count(loss->truncates).text);
    }
}

static void losses_print(const struct offline *offline,
                         uint32_t index,
                         const struct loss *losses,
                         uint64_t flushes)
{
    const struct offline_journal *journal = &offline->journals[index];
    ASSERT(journal->end.is_corrupt);

    (void)printf("journal %" PRIu32 " (%s) is damaged:\n  %s\n", index, journal->folder,
                 journal->end.reason);
    (void)printf("A repair cuts it at position %" PRIu64 " (file %" PRIu32 ", position %" PRId64
                 "). %s flushes behind that are lost:\n",
                 journal->end.position, journal->end.slot, journal->end.in_file,
                 show_count(flushes).text);
    bool has_any = false;
    for (size_t log = 0; log < offline->log_count; log++) {
        bool has_loss = losses[log].number > 0;
        has_any |= has_loss;
        if (has_loss) {
            loss_print(&losses[log]);
        }
    }
    if (!has_any) {
        (void)printf("  no entry behind the damage can be read\n");
    }
    (void)printf("  The damaged place itself may have held records of other logs, too.\n");
}

static void losses_json(const struct offline *offline, uint32_t index, const struct loss *losses)
{
    const struct offline_journal *journal = &offline->journals[index];
    ASSERT(journal->end.is_corrupt);

    (void)printf("{\"shard\":%" PRIu32 ",\"position\":%" PRIu64 ",\"file\":%" PRIu32
                 ",\"position_in_file\":%" PRId64,
                 index, journal->end.position, journal->end.slot, journal->end.in_file);
    json_field(true, "reason", journal->end.reason);
    (void)printf(",\"lost\":[");
    bool is_next = false;
    for (size_t log = 0; log < offline->log_count; log++) {
        const struct loss *loss = &losses[log];
        if (loss->number == 0) {
            continue;
        }
        (void)printf("%s{", is_next ? "," : "");
        json_field(false, "log", loss->log->name);
        (void)printf(",\"offset_first\":%" PRId64 ",\"offset_end\":%" PRId64 ",\"batches\":%" PRIu64
                     ",\"records\":%" PRIu64 ",\"entries_unreadable\":%" PRIu64
                     ",\"truncates\":%" PRIu64 "}",
                     loss->log->offset_end, loss->offset_end, loss->batches, loss->records,
                     loss->unreadable, loss->truncates);
        is_next = true;
    }
    (void)printf("]}");
}

/* -- The command -- */

/* Look at journal @index, tell, and cut it if that is agreed. */
static enum pyr_err journal_repair(const struct repair_options *options,
                                   struct offline *offline,
                                   uint32_t index,
                                   bool is_next,
                                   struct pyr_error *reterr)
{
    struct offline_journal *journal = &offline->journals[index];
    struct loss *losses = calloc(offline->log_count + 1, sizeof *losses);
    uint64_t flushes = 0;
    if (!losses) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the list of losses");
    }
    for (size_t log = 0; log < offline->log_count; log++) {
        losses[log] = (struct loss){.log = &offline->logs[log], .offset_end = -1};
    }
    enum pyr_err err = losses_read(offline, journal, losses, &flushes, reterr);
    if (err == PYR_OK && options->is_json) {
        (void)printf("%s", is_next ? "," : "");
        losses_json(offline, index, losses);
    } else if (err == PYR_OK) {
        losses_print(offline, index, losses, flushes);
    }
    free(losses);
    if (err == PYR_OK && options->is_agreed) {
        ASSERT(!options->is_dry_run); /* FIX-1 */
        err = wal_inspect_repair(journal->inspect, reterr);
    }
    return err;
}

static enum pyr_err repair_all(const struct repair_options *options,
                               struct offline *offline,
                               uint32_t *ret_damaged,
                               struct pyr_error *reterr)
{
    uint32_t damaged = 0;
    enum pyr_err err = PYR_OK;
    ASSERT(offline->io != NULL);
    if (options->is_json) {
        (void)printf("{\"program\":\"pyralog log repair\",\"format\":1,\"journals\":[");
    }
    for (uint32_t index = 0; index < offline->journal_count && err == PYR_OK; index++) {
        if (offline->journals[index].end.is_corrupt) {
            err = journal_repair(options, offline, index, damaged > 0, reterr);
            damaged++;
        }
    }
    bool is_done = err == PYR_OK && damaged > 0 && options->is_agreed;
    if (options->is_json) {
        (void)printf("],\"is_repaired\":%s}\n", is_done ? "true" : "false");
    } else if (err == PYR_OK) {
        (void)printf("%s\n", damaged == 0 ? "Nothing to repair: a start would accept the journals."
                             : is_done    ? "Repaired: a start will accept the journals."
                                       : "Nothing was changed. Copy the folder away, then repair "
                                         "with: pyralog log repair --yes DIR");
    }
    *ret_damaged = damaged;
    return err;
}

static int repair_run(const struct args_command *command, int argc, char **argv)
{
    struct repair_options options = {.is_json = false};
    struct args_found found;
    struct offline offline = {.io = NULL};
    struct pyr_error error;
    uint32_t damaged = 0;
    int status = args_begin(command, argc, argv, &options, &found);
    if (status >= 0) {
        return status;
    }
    ASSERT(found.operand_count == 1);
    enum pyr_err err = options.is_agreed && options.is_dry_run
                           ? err_set(&error, PYR_ERR_INVALID, "--dry-run or --yes, not both")
                           : offline_open(found.operands[0], &offline, &error);
    if (err != PYR_OK) {
        return args_fail(command, &error);
    }
    err = repair_all(&options, &offline, &damaged, &error);
    bool is_left = damaged > 0 && !options.is_agreed;
    status = err != PYR_OK ? args_fail(command, &error)
             : is_left     ? err_exit_status(PYR_ERR_CORRUPT)
                           : 0;
    offline_close(&offline);
    return status;
}

static const struct args_option repair_table[] = {
    {.name = "dry-run",
     .kind = ARGS_FLAG,
     .field = offsetof(struct repair_options, is_dry_run),
     .help = "only say what would be lost; this is what it does without --yes, too"},
    {.name = "yes",
     .kind = ARGS_FLAG,
     .field = offsetof(struct repair_options, is_agreed),
     .help = "say it, and do it"},
    {.name = "json",
     .kind = ARGS_FLAG,
     .field = offsetof(struct repair_options, is_json),
     .help = "print one JSON object"},
};

static const char *const repair_usage[] = {"pyralog log repair [--dry-run|--yes] [--json] DIR",
                                           NULL};
static const char *const repair_about[] = {
    "For a store that refuses to start because its journal is damaged where it was durable: says",
    "exactly which records are lost if the journal is cut there, and cuts it with --yes. Exit",
    "status 3 means that there is damage, and it was left. Damage in segments is not repaired",
    "here: pyralog log verify finds it.", NULL};
static const char *const repair_examples[] = {"pyralog log repair ./data",
                                              "pyralog log repair --yes ./data", NULL};

const struct args_command log_repair_command = {
    .words = "pyralog log repair",
    .summary = "cut a damaged journal, having said what is lost",
    .usage = repair_usage,
    .about = repair_about,
    .options = repair_table,
    .option_count = sizeof repair_table / sizeof *repair_table,
    .operand = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .examples = repair_examples,
    .run = repair_run,
};
