/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/log_stat - pyralog log stat: what a data folder holds.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline.h"
#include "cli/show.h"

struct stat_options {
    bool is_json;
};

static void stat_json(const struct offline *offline)
{
    char id[2 * FOLDER_STORAGE_ID_BYTES + 1];
    ASSERT(offline->io != NULL);

    offline_hex(offline->folder.storage_id, FOLDER_STORAGE_ID_BYTES, id);
    (void)printf("{\"program\":\"pyralog log stat\",\"format\":1");
    json_field(true, "folder", offline->folder.path);
    json_field(true, "storage_id", id);
    json_field(true, "backend", io_describe(offline->io));
    (void)printf(",\"shards\":%" PRIu32 ",\"quarantined\":%" PRIu64 ",\"journals\":[",
                 offline->folder.shards, offline->quarantined);
    for (uint32_t index = 0; index < offline->journal_count; index++) {
        const struct offline_journal *journal = &offline->journals[index];
        (void)printf("%s{\"shard\":%" PRIu32 ",\"files\":%" PRIu32 ",\"file_bytes\":%" PRIu64
                     ",\"run\":%" PRIu64 ",\"checkpoint\":%" PRIu64 ",\"position_first\":%" PRIu64
                     ",\"position_end\":%" PRIu64 ",\"flushes\":%" PRIu64 ",\"entries\":%" PRIu64
                     ",\"was_clean\":%s,\"is_corrupt\":%s",
                     index > 0 ? "," : "", index, journal->info.files, journal->info.file_bytes,
                     journal->info.run, journal->info.checkpoint_number,
                     journal->info.resume_position, journal->end.position, journal->flushes,
                     journal->entries, journal->was_clean ? "true" : "false",
                     journal->end.is_corrupt ? "true" : "false");
        json_field(true, "reason", journal->end.reason);
        (void)printf("}");
    }
    (void)printf("],\"logs\":[");
    for (size_t index = 0; index < offline->log_count; index++) {
        const struct offline_log *log = &offline->logs[index];
        offline_hex(log->id.value, LOG_ID_BYTES, id);
        (void)printf("%s{", index > 0 ? "," : "");
        json_field(false, "name", log->name);
        json_field(true, "log_id", id);
        (void)printf(",\"shard\":%" PRIu32 ",\"offset_first\":%" PRId64 ",\"offset_end\":%" PRId64
                     ",\"epoch\":%" PRId32 ",\"segments\":%" PRIu64 ",\"segment_bytes\":%" PRIu64
                     ",\"journal_batches\":%" PRIu64 ",\"journal_records\":%" PRIu64
                     ",\"journal_bytes\":%" PRIu64 ",\"is_deleted\":%s",
                     log->shard, log->offset_start, log->offset_end, log->epoch, log->segments,
                     log->bytes, log->journal_batches, log->journal_records, log->journal_bytes,
                     log->is_deleted ? "true" : "false");
        if (log->name_deleted[0] != '\0') {
            json_field(true, "deleted_name", log->name_deleted);
        }
        (void)printf("}");
    }
    (void)printf("]}\n");
}

static void journal_print(const struct offline_journal *journal, uint32_t index)
{
    ASSERT(journal->inspect != NULL);

    (void)printf("journal %" PRIu32 "\n", index);
    (void)printf("  files       %" PRIu32 " of %s\n", journal->info.files,
                 show_bytes(journal->info.file_bytes).text);
    (void)printf("  checkpoint  %s, at position %s; run %s\n",
                 show_count(journal->info.checkpoint_number).text,
                 show_count(journal->info.resume_position).text,
                 journal->info.is_run_readable ? show_count(journal->info.run).text : "unreadable");
    (void)printf("  to replay   %s entries in %s flushes, up to position %s\n",
                 show_count(journal->entries).text, show_count(journal->flushes).text,
                 show_count(journal->end.position).text);
    if (journal->end.is_corrupt) {
        (void)printf("  CORRUPT     %s\n", journal->end.reason);
        (void)printf("              pyralog log repair says what a repair would lose\n");
    } else {
        (void)printf("  last stop   %s%s%s%s\n",
                     journal->was_clean ? "clean" : "a crash, or a kill",
                     journal->end.reason[0] ? " (" : "", journal->end.reason,
                     journal->end.reason[0] ? ")" : "");
    }
}

static void stat_text(const struct offline *offline)
{
    char id[2 * FOLDER_STORAGE_ID_BYTES + 1];
    ASSERT(offline->folder.shards > 0);

    offline_hex(offline->folder.storage_id, FOLDER_STORAGE_ID_BYTES, id);
    (void)printf("store %s\n  storage id  %s\n  backend     %s\n  shards      %" PRIu32 "\n",
                 offline->folder.path, id, io_describe(offline->io), offline->folder.shards);
    if (offline->quarantined > 0) {
        (void)printf("  quarantine  %s\n", show_count(offline->quarantined).text);
    }
    for (uint32_t index = 0; index < offline->journal_count; index++) {
        journal_print(&offline->journals[index], index);
    }
    if (offline->log_count == 0) {
        (void)printf("no logs\n");
        return;
    }
    (void)printf("\n%-24s %14s %14s %6s %9s %10s %16s\n", "LOG", "FIRST", "END", "EPOCH",
                 "SEGMENTS", "FILES", "RECORDS TO REPLAY");
    for (size_t index = 0; index < offline->log_count; index++) {
        const struct offline_log *log = &offline->logs[index];
        (void)printf("%-24s %14s %14s %6" PRId32 " %9s %10s %17s%s%s\n", log->name,
                     show_count((uint64_t)log->offset_start).text,
                     show_count((uint64_t)log->offset_end).text, log->epoch,
                     show_count(log->segments).text, show_bytes(log->bytes).text,
                     show_count(log->journal_records).text,
                     log->name_deleted[0] != '\0' ? "  deleted, was "
                     : log->is_deleted            ? "  deleted"
                     : !log->has_folder           ? "  its folder is missing"
                     : log->has_hole              ? "  the journal has a hole"
                                                  : "",
                     log->name_deleted);
    }
}

static int stat_run(const struct args_command *command, int argc, char **argv)
{
    struct stat_options options = {.is_json = false};
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
    if (options.is_json) {
        stat_json(&offline);
    } else {
        stat_text(&offline);
    }
    offline_close(&offline);
    return 0;
}

static const struct args_option stat_table[] = {
    {.name = "json",
     .kind = ARGS_FLAG,
     .field = offsetof(struct stat_options, is_json),
     .help = "print one JSON object"},
};

static const char *const stat_usage[] = {"pyralog log stat [--json] DIR", NULL};
static const char *const stat_about[] = {
    "Shows the logs in the store's folder DIR, its journals, and what a start would replay.",
    "Nothing may have the store open; nothing is changed.", NULL};
static const char *const stat_examples[] = {"pyralog log stat ./data",
                                            "pyralog log stat --json ./data", NULL};

const struct args_command log_stat_command = {
    .words = "pyralog log stat",
    .summary = "show what a store holds",
    .usage = stat_usage,
    .about = stat_about,
    .options = stat_table,
    .option_count = sizeof stat_table / sizeof *stat_table,
    .operand = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .examples = stat_examples,
    .run = stat_run,
};
