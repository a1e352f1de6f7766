/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_verify - reading everything back and holding it against what was acknowledged.
 *
 * Invariants:
 *   LDV-1  A verification passes only if every log was read from its start to its end and each
 *          record in it is pyralog-load's, whole, in sequence, and where it was acknowledged.
 *
 * Threads: the one that calls.
 */
#ifndef CLI_LOAD_VERIFY_H
#define CLI_LOAD_VERIFY_H

#include "cli/load_acks.h"
#include "cli/load_options.h"

/* What was found. */
struct verify_report {
    uint64_t records;
    uint64_t bytes;
    uint64_t streams;
    uint64_t acked; /* Records that were acknowledged. */
    uint64_t
        beyond; /* Behind what was acknowledged of a stream: written, and then the kill came. */
    uint64_t others;    /* Of streams of which nothing was acknowledged here: other runs. */
    uint64_t missing;   /* Acknowledged and not there. */
    uint64_t gaps;      /* Places where records of a stream are missing between others. */
    uint64_t repeated;  /* Came again, or too late. */
    uint64_t misplaced; /* At another offset than was acknowledged. */
    uint64_t damaged;
    uint64_t foreign; /* Not pyralog-load's. */
    uint64_t duration_ns;
    int signal;              /* The one that interrupted it; 0: none. */
    char first_problem[256]; /* Empty if there is none. */
};

/** Read all @logs to their ends, judge their records, and fill @ret_report. PYR_ERR_CORRUPT if the
 * library refuses to read one. A signal that @signal_fd (or -1) tells of interrupts. */
MUST_CHECK enum pyr_err verify_logs(const struct load_options *options,
                                    struct pyr_log *const *logs,
                                    struct acks *acks,
                                    int signal_fd,
                                    struct verify_report *ret_report,
                                    struct pyr_error *reterr);

/** Open the store of @options, whose recovery goes to @ret_recovery, and verify its logs. */
MUST_CHECK enum pyr_err verify_store(const struct load_options *options,
                                     struct acks *acks,
                                     int signal_fd,
                                     struct pyr_recovery *ret_recovery,
                                     struct verify_report *ret_report,
                                     struct pyr_error *reterr);

/** Return whether nothing was wrong. */
bool verify_has_passed(const struct verify_report *report);

#endif /* CLI_LOAD_VERIFY_H */
