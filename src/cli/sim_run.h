/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_run - one seed with all its circumstances, or a sweep over many.
 *
 *     one     the set of options as a command -> the run -> its history, if it failed -> verdict
 *     sweep   seeds -> [crew] -> tally -> file to go on from, page of results -> verdict
 *
 * Threads: the one that calls; blocks.
 */
#ifndef CLI_SIM_RUN_H
#define CLI_SIM_RUN_H

#include "cli/sim_options.h"

/** Run one seed and print what came of it; return the exit status. */
int sim_run_one(const struct args_command *command, const struct sim_options *options);

/** Print the command of @seed and the history of its run, in a process of its own. */
void sim_run_tell(const struct args_command *command,
                  const struct sim_options *options,
                  uint64_t seed);

/** Run all seeds that @options ask for and that are not done yet, and print what came of them;
 * return the exit status. A first signal ends it with what was done until then. */
int sim_run_sweep(const struct args_command *command, const struct sim_options *options);

#endif /* CLI_SIM_RUN_H */
