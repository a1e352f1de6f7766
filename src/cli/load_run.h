/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_run - one load from the opening of the store to the report.
 *
 * Threads: the main one.
 */
#ifndef CLI_LOAD_RUN_H
#define CLI_LOAD_RUN_H

#include "cli/load_options.h"

/** Load, report, and verify if that is asked for; return the exit status. */
int load_run(const struct load_options *options);

/** Verify against a file of acknowledgements; return the exit status. */
int load_verify_against(const struct load_options *options);

/** Show the log at work: load in a process of its own, kill, recover, verify; return the exit
 * status. */
int load_demo(const struct load_options *options);

#endif /* CLI_LOAD_RUN_H */
