/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_report - what pyralog-sim says at the end: the verdict, and the page of results.
 *
 * The verdict is the last line, for people and for scripts:
 *
 *     2000 seeds, 1987 counted, no violation
 *     2 of 2000 seeds violated: 4711, 4720
 *     interrupted: 812 of 2000 seeds, 806 counted, no violation
 *
 * Threads: pure functions, but for those that print or write.
 */
#ifndef CLI_SIM_REPORT_H
#define CLI_SIM_REPORT_H

#include "base/text.h"
#include "cli/sim_tally.h"

/* What a report is about. */
struct sim_report {
    const struct sim_tally *tally;
    const char *build;  /* From sim_keep_put_build. */
    const char *wishes; /* From sim_set_put_wishes. */
    uint64_t seed_first;
    uint64_t seed_last;
    size_t jobs;
    bool was_interrupted;
};

/** Put the verdict. */
void sim_report_put_verdict(struct text *text, const struct sim_report *report);

/** Return the exit status that goes with it. */
int sim_report_status(const struct sim_report *report);

/** Print the sums of a few lines. */
void sim_report_print(const struct sim_report *report, FILE *out);

/** Write the page of results to the file @path. */
MUST_CHECK enum pyr_err sim_report_write(const struct sim_report *report,
                                         const char *path,
                                         struct pyr_error *reterr);

#endif /* CLI_SIM_REPORT_H */
