/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_verify - the walk through the logs.
 */
#include "cli/load_verify.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "cli/load_board.h"
#include "cli/load_watch.h"

/* Signals are looked for once in so many records. */
enum { SIGNAL_RECORDS = 4096 };

/* Keep the first problem's sentence. */
static void problem_note(struct verify_report *report,
                         const struct load_options *options,
                         uint32_t partition,
                         int64_t offset,
                         const char *what)
{
    ASSERT(what != NULL);

    if (report->first_problem[0] == '\0') {
        (void)snprintf(report->first_problem, sizeof report->first_problem,
                       "log '%s-%u', offset %" PRId64 ": %s", options->topic, partition, offset,
                       what);
    }
}

/* Count what acks_check found. */
static void verdict_note(struct verify_report *report,
                         const struct load_options *options,
                         uint32_t partition,
                         int64_t offset,
                         enum acks_verdict verdict,
                         int64_t detail)
{
    char what[96] = "";
    switch (verdict) {
    case ACKS_FINE:
        return;
    case ACKS_GAP:
        report->gaps++;
        (void)snprintf(what, sizeof what, "%" PRId64 " records of its stream are missing before it",
                       detail);
        break;
    case ACKS_REPEATED:
        report->repeated++;
        (void)snprintf(what, sizeof what, "the record is repeated or out of order");
        break;
    case ACKS_MISPLACED:
        report->misplaced++;
        (void)snprintf(what, sizeof what, "the record was acknowledged at offset %" PRId64, detail);
        break;
    }
    ASSERT(what[0] != '\0');
    problem_note(report, options, partition, offset, what);
}

/* Judge one record. Returns PYR_ERR_NO_MEMORY or PYR_OK. */
static enum pyr_err record_judge(const struct load_options *options,
                                 uint32_t partition,
                                 const struct pyr_record *record,
                                 int64_t offset_start,
                                 struct acks *acks,
                                 struct verify_report *report)
{
    ASSERT(record->offset >= offset_start);

    struct load_record view;
    struct bytes value = {record->value, record->value_bytes};
    enum acks_verdict verdict = ACKS_FINE;
    int64_t detail = 0;
    enum pyr_err err = PYR_OK;
    report->records++;
    report->bytes += record->key_bytes + record->value_bytes;
    switch (load_record_get(value, &view)) {
    case LOAD_RECORD_FOREIGN:
        report->foreign++;
        problem_note(report, options, partition, record->offset,
                     "the record was not written by pyralog-load");
        break;
    case LOAD_RECORD_DAMAGED:
        report->damaged++;
        problem_note(report, options, partition, record->offset,
                     "the record's value is not the one that was appended");
        break;
    case LOAD_RECORD_GOOD:
        err = acks_check(acks, &view, record->offset, offset_start, &verdict, &detail);
        verdict_note(report, options, partition, record->offset, verdict, detail);
        break;
    }
    return err;
}

/* Count what was acknowledged in log number @partition and did not come. */
static void missing_count(const struct load_options *options,
                          uint32_t partition,
                          const struct pyr_log_stat *stat,
                          const struct acks *acks,
                          struct verify_report *report)
{
    ASSERT(options->partitions > 0);

    for (size_t index = 0; index < acks->row_count; index++) {
        const struct ack_stream *stream = &acks->rows[index];
        if (stream->stream % (uint64_t)options->partitions != partition) {
            continue;
        }
        uint64_t missing = acks_missing(stream, stat->offset_first);
        if (missing > 0) {
            char what[160];
            (void)snprintf(what, sizeof what,
                           "the log ends, but %" PRIu64 " acknowledged records of stream %" PRIu32
                           " (run %" PRIu32 ") never came",
                           missing, stream->stream, stream->run);
            problem_note(report, options, partition, stat->offset_committed, what);
        }
        report->missing += missing;
        report->streams++;
        report->acked += stream->acked_end;
        uint64_t more =
            stream->seen_end > stream->acked_end ? stream->seen_end - stream->acked_end : 0;
        report->beyond += stream->acked_end > 0 ? more : 0;
        report->others += stream->acked_end > 0 ? 0 : more;
    }
}

/* What a walk through one log needs. */
struct verify_walk {
    const struct load_options *options;
    struct acks *acks;
    int signal_fd;
    struct verify_report *report;
};

/* Read log number @partition from its start to its end, and judge its records. *@ret_next is where
 * it ended. PYR_ERR_TIMEOUT at the end, PYR_OK after a signal. */
static enum pyr_err log_walk(const struct verify_walk *walk,
                             struct pyr_log *log,
                             uint32_t partition,
                             int64_t offset_start,
                             int64_t *ret_next,
                             struct pyr_error *reterr)
{
    struct verify_report *report = walk->report;
    struct pyr_reader *reader;
    enum pyr_err err = pyr_reader_open(log, PYR_READ_FIRST, &reader, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int64_t next = offset_start;
    ASSERT(report->signal == 0);
    while (err == PYR_OK && report->signal == 0) {
        struct pyr_record record;
        err = pyr_reader_next(reader, 0, &record, reterr);
        if (err != PYR_OK) {
            break;
        }
        err = record_judge(walk->options, partition, &record, offset_start, walk->acks, report);
        next = record.offset + 1;
        bool must_look = report->records % SIGNAL_RECORDS == 0;
        report->signal = must_look ? watch_signal_take(walk->signal_fd) : 0;
    }
    pyr_reader_close(reader);
    *ret_next = next;
    return err;
}

static enum pyr_err verify_log(const struct verify_walk *walk,
                               struct pyr_log *log,
                               uint32_t partition,
                               struct pyr_error *reterr)
{
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    ASSERT(stat.offset_first <= stat.offset_committed);

    int64_t next = 0;
    enum pyr_err err = log_walk(walk, log, partition, stat.offset_first, &next, reterr);
    if (err == PYR_ERR_NO_MEMORY) {
        return err_set(reterr, err, "no memory for another stream");
    }
    if (err != PYR_ERR_TIMEOUT) {
        return err;
    }
    if (next != stat.offset_committed) {
        /* LDV-1 */
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "log '%s-%u' was read to offset %" PRId64 ", but ends at %" PRId64,
                       walk->options->topic, partition, next, stat.offset_committed);
    }
    missing_count(walk->options, partition, &stat, walk->acks, walk->report);
    return PYR_OK;
}

enum pyr_err verify_logs(const struct load_options *options,
                         struct pyr_log *const *logs,
                         struct acks *acks,
                         int signal_fd,
                         struct verify_report *ret_report,
                         struct pyr_error *reterr)
{
    *ret_report = (struct verify_report){.records = 0};
    uint64_t begin_ns = load_now_ns();
    ASSERT(options->partitions > 0);

    enum pyr_err err = PYR_OK;
    const struct verify_walk walk = {.options = options,
                                     .acks = acks,
                                     .signal_fd = signal_fd,
                                     .report = ret_report};
    for (int64_t index = 0; index < options->partitions && err == PYR_OK; index++) {
        err = ret_report->signal == 0 ? verify_log(&walk, logs[index], (uint32_t)index, reterr)
                                      : PYR_OK;
    }
    ret_report->duration_ns = load_now_ns() - begin_ns;
    return err;
}

enum pyr_err verify_store(const struct load_options *options,
                          struct acks *acks,
                          int signal_fd,
                          struct pyr_recovery *ret_recovery,
                          struct verify_report *ret_report,
                          struct pyr_error *reterr)
{
    struct pyr_store_options store_options = load_store_options(options);
    struct pyr_log_options log_options = load_log_options(options);
    struct pyr_store *store = NULL;
    struct pyr_log **logs = calloc((size_t)options->partitions, sizeof(struct pyr_log *));
    store_options.must_exist = true;
    ASSERT(options->folder != NULL);
    if (!logs) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for logs");
    }
    enum pyr_err err = pyr_store_open(options->folder, &store_options, &store, reterr);
    if (err == PYR_OK) {
        pyr_store_recovery(store, ret_recovery);
    }
    for (int64_t index = 0; err == PYR_OK && index < options->partitions; index++) {
        err = pyr_store_log(store, options->topic, (uint32_t)index, &log_options, &logs[index],
                            reterr);
    }
    if (err == PYR_OK) {
        err = verify_logs(options, logs, acks, signal_fd, ret_report, reterr);
    }
    for (int64_t index = 0; index < options->partitions; index++) {
        pyr_log_close(logs[index]);
    }
    pyr_store_close(store);
    free(logs);
    return err;
}

bool verify_has_passed(const struct verify_report *report)
{
    uint64_t wrong = report->missing + report->gaps + report->repeated + report->misplaced +
                     report->damaged + report->foreign;
    ASSERT((wrong > 0) == (report->first_problem[0] != '\0')); /* LDV-1 */
    return wrong == 0 && report->signal == 0;
}
