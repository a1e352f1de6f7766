/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/log_verify - pyralog log verify: every byte of a store held against its checks.
 *
 * The journal is followed as a start would, each log's folder is checked by segment/verify:
 * batches, chains, digests, indexes, names. Findings are told one by one with file and position;
 * nothing is changed.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline.h"
#include "cli/show.h"
#include "segment/verify.h"

struct verify_options {
    bool is_json;
};

/* A verification under way. */
struct verification {
    const struct verify_options *options;
    struct offline *offline;
    struct segment_verdict *verdict; /* Of the log at hand; large. */
    uint64_t findings;
    uint64_t logs;
    uint64_t segments;
    uint64_t batches;
    uint64_t records;
    uint64_t bytes;
    uint64_t unexplained;
};

/* Tell one thing that is wrong. @log is NULL for the journal. */
static void finding_tell(struct verification *verification, const char *log, const char *text)
{
    ASSERT(text != NULL);

    if (verification->options->is_json) {
        (void)printf("%s{", verification->findings > 0 ? "," : "");
        json_field(false, "log", log ? log : "");
        json_field(true, "text", text);
        (void)printf("}");
    } else {
        (void)printf("DAMAGED  %s%s%s\n", log ? log : "", log ? ": " : "", text);
    }
    verification->findings++;
}

static void journals_verify(struct verification *verification)
{
    const struct offline *offline = verification->offline;
    ASSERT(offline->journals != NULL);

    for (uint32_t index = 0; index < offline->journal_count; index++) {
        const struct offline_journal *journal = &offline->journals[index];
        if (journal->end.is_corrupt) {
            finding_tell(verification, NULL, journal->end.reason);
        }
        if (journal->info.checkpoint_copies_bad > 0) {
            char text[PATH_BYTES_MAX + 96];
            (void)snprintf(text, sizeof text,
                           "'%s/checkpoint': one of its two copies is damaged; a start goes on "
                           "with the other",
                           journal->folder);
            finding_tell(verification, NULL, text);
        }
    }
}

/* Tell what checkpoint, journal and the folder's name say of @log that cannot be. */
static void place_verify(struct verification *verification, const struct offline_log *log)
{
    char text[2 * PATH_BYTES_MAX];
    const struct offline *offline = verification->offline;
    ASSERT(log->shard < offline->folder.shards);
    const char *journal = offline->journals[log->shard].folder;
    if (log->name_wanted[0] != '\0') {
        (void)snprintf(text, sizeof text,
                       "'%s/%s' holds the log that the checkpoint of '%s' calls '%s'",
                       offline->folder.path, log->name, journal, log->name_wanted);
        finding_tell(verification, log->name, text);
    }
    if (log->is_misplaced) {
        (void)snprintf(text, sizeof text,
                       "the checkpoint of '%s' names it, which another shard has", journal);
        finding_tell(verification, log->name, text);
    }
    if (log->has_hole) {
        (void)snprintf(text, sizeof text,
                       "the entries in '%s' do not follow each other, or what its segments hold",
                       journal);
        finding_tell(verification, log->name, text);
    }
}

static enum pyr_err log_verify(struct verification *verification,
                               const struct offline_log *log,
                               struct pyr_error *reterr)
{
    struct segment_verdict *verdict = verification->verdict;
    char folder[PATH_BYTES_MAX];
    ASSERT(verdict != NULL);
    if (log->is_deleted && !log->has_row) {
        return PYR_OK; /* Some of it is removed already. */
    }
    folder_path(&verification->offline->folder, log->name, folder);
    place_verify(verification, log);
    enum pyr_err err = segment_verify_folder(verification->offline->io, folder,
                                             log->has_row ? log->offset_start : -1,
                                             log->offset_segments, verdict, reterr);
    if (err == PYR_ERR_NOT_FOUND && !log->has_folder) {
        finding_tell(verification, log->name, reterr->message);
        return PYR_OK;
    }
    if (err != PYR_OK) {
        return err;
    }
    if (!log_id_equal(&verdict->metadata.log, &log->id) && verdict->finding_count == 0) {
        finding_tell(verification, log->name, "its folder holds another log");
        return PYR_OK;
    }
    uint64_t told = verdict->finding_count < SEGMENT_FINDINGS_MAX ? verdict->finding_count
                                                                  : SEGMENT_FINDINGS_MAX;
    for (uint64_t index = 0; index < told; index++) {
        finding_tell(verification, log->name, verdict->findings[index].text);
    }
    if (verdict->finding_count > told) {
        char text[64];
        (void)snprintf(text, sizeof text, "and %" PRIu64 " more", verdict->finding_count - told);
        finding_tell(verification, log->name, text);
    }
    verification->logs++;
    verification->segments += verdict->segments;
    verification->batches += verdict->batches;
    verification->records += verdict->records;
    verification->bytes += verdict->bytes;
    verification->unexplained += verdict->unknown;
    if (!verification->options->is_json) {
        (void)printf("%-24s %8s segments %12s batches %14s records %10s%s\n", log->name,
                     show_count(verdict->segments).text, show_count(verdict->batches).text,
                     show_count(verdict->records).text, show_bytes(verdict->bytes).text,
                     verdict->finding_count > 0 ? "  DAMAGED" : "");
        (void)fflush(stdout);
    }
    return PYR_OK;
}

/* Print the sums. @is_through: all could be looked at. */
static void summary_print(const struct verification *verification, bool is_through)
{
    uint64_t journal_batches = 0;
    for (size_t index = 0; index < verification->offline->log_count; index++) {
        journal_batches += verification->offline->logs[index].journal_batches;
    }
    ASSERT(verification->offline->io != NULL);
    if (verification->options->is_json) {
        (void)printf("],\"logs\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"batches\":%" PRIu64
                     ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"journal_batches\":%" PRIu64
                     ",\"unexplained_files\":%" PRIu64 ",\"passed\":%s}\n",
                     verification->logs, verification->segments, verification->batches,
                     verification->records, verification->bytes, journal_batches,
                     verification->unexplained,
                     is_through && verification->findings == 0 ? "true" : "false");
        return;
    }
    if (verification->unexplained > 0) {
        (void)printf("%s files that nothing explains; a start moves them to quarantine/\n",
                     show_count(verification->unexplained).text);
    }
    (void)printf("%s log%s, %s in segments, %s batches in the journal: %s\n",
                 show_count(verification->logs).text, verification->logs == 1 ? "" : "s",
                 show_bytes(verification->bytes).text, show_count(journal_batches).text,
                 verification->findings > 0 ? "DAMAGED"
                 : is_through               ? "all is whole"
                                            : "whole as far as it was read");
}

static enum pyr_err verify_all(struct verification *verification, struct pyr_error *reterr)
{
    const struct offline *offline = verification->offline;
    enum pyr_err err = PYR_OK;
    ASSERT(offline->io != NULL);
    if (verification->options->is_json) {
        (void)printf("{\"program\":\"pyralog log verify\",\"format\":1,\"findings\":[");
    }
    journals_verify(verification);
    for (size_t index = 0; index < offline->log_count && err == PYR_OK; index++) {
        err = log_verify(verification, &offline->logs[index], reterr);
    }
    summary_print(verification, err == PYR_OK);
    return err;
}

static int verify_run(const struct args_command *command, int argc, char **argv)
{
    struct verify_options options = {.is_json = false};
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
    struct verification verification = {.options = &options,
                                        .offline = &offline,
                                        .verdict = calloc(1, sizeof *verification.verdict)};
    enum pyr_err err = verification.verdict ? verify_all(&verification, &error)
                                            : err_set(&error, PYR_ERR_NO_MEMORY, "no memory");
    status = err != PYR_OK               ? args_fail(command, &error)
             : verification.findings > 0 ? err_exit_status(PYR_ERR_CORRUPT)
                                         : 0;
    free(verification.verdict);
    offline_close(&offline);
    return status;
}

static const struct args_option verify_table[] = {
    {.name = "json",
     .kind = ARGS_FLAG,
     .field = offsetof(struct verify_options, is_json),
     .help = "print one JSON object"},
};

static const char *const verify_usage[] = {"pyralog log verify [--json] DIR", NULL};
static const char *const verify_about[] = {
    "Reads every byte of the store's folder DIR and holds it against its checks: batches, chains,",
    "digests, indexes, the journal. Each thing that is wrong is told with file and position; then",
    "the exit status is 3. Nothing may have the store open; nothing is changed.", NULL};
static const char *const verify_examples[] = {"pyralog log verify ./data",
                                              "pyralog log verify --json ./data", NULL};

const struct args_command log_verify_command = {
    .words = "pyralog log verify",
    .summary = "check every byte of a store",
    .usage = verify_usage,
    .about = verify_about,
    .options = verify_table,
    .option_count = sizeof verify_table / sizeof *verify_table,
    .operand = "DIR",
    .operands_min = 1,
    .operands_max = 1,
    .examples = verify_examples,
    .run = verify_run,
};
