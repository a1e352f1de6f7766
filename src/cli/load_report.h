/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_report - what a load came to: text for people, one JSON object for programs.
 *
 * The JSON is a contract: "format" is 1, fields are only ever added, times are in nanoseconds
 * (names end in _ns) or seconds, amounts in bytes. pyralog-load(1) lists them.
 *
 * Threads: the one that calls; prints to stdout.
 */
#ifndef CLI_LOAD_REPORT_H
#define CLI_LOAD_REPORT_H

#include "cli/load_board.h"
#include "cli/load_verify.h"

/* All that can be reported; NULL is left out. */
struct load_report {
    const struct load_options *options;
    const struct load_result *result; /* NULL: nothing was loaded. */
    const char *describe;
    const struct pyr_recovery *recovery;
    const struct verify_report *verify;
};

/** Print @report for people. */
void report_text(const struct load_report *report);

/** Print @report as one JSON object on one line. */
void report_json(const struct load_report *report);

/** Print one role's line of rate and one of latency, each after @indent. */
void report_tally(const struct load_tally *tally, const char *indent);

/** Print the throughput of each second, or of equal runs of seconds. */
void report_over_time(const struct load_tally *tally, const char *indent);

/** Print what a recovery found, after @indent. */
void report_recovery(const struct pyr_recovery *recovery, const char *indent);

/** Print what a verification found, after @indent. */
void report_verify(const struct verify_report *verify, const char *indent);

/** Print one line that says what is appended, or read, and how. */
void report_work(const struct load_options *options, const char *describe);

#endif /* CLI_LOAD_REPORT_H */
