/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_set - the whole set of options of one seed: what was typed, and for the rest the draw.
 *
 *     --config FILE --+
 *     --key=value ----+--> wishes --[sim_set_expand, with what the seed draws]--> struct
 * world_options
 *
 * What is drawn gives way to what is typed: with --nodes=3 a drawn write quorum of 4 becomes 3,
 * with
 * --link-min=1s a drawn longest way of 2 ms becomes 1 s. Only what is typed can contradict itself,
 * and that is told before anything runs.
 *
 * Invariants:
 *   SMP-1  The command that is printed for a set of options expands to that set.
 *
 * Threads: pure functions, but for those that print or read a file.
 */
#ifndef CLI_SIM_SET_H
#define CLI_SIM_SET_H

#include "base/text.h"
#include "cli/sim_options.h"

/** Read the configuration @path, and take its quorums where @options has none typed.
 *
 * PYR_ERR_INVALID: it is none; the message has the first problem, with its line. */
MUST_CHECK enum pyr_err sim_set_configure(struct sim_options *options,
                                          const char *path,
                                          struct pyr_error *reterr);

/** Fill @ret_world with the whole set of options of @seed.
 *
 * PYR_ERR_INVALID: the quorums that were typed cannot be kept; then no seed's can. */
MUST_CHECK enum pyr_err sim_set_expand(const struct sim_options *options,
                                       uint64_t seed,
                                       struct world_options *ret_world,
                                       struct pyr_error *reterr);

/** Return the number @number of @world. */
uint64_t sim_set_number(const struct world_options *world, enum sim_number number);

/** Print the command that runs @world, in the words of the table @command, over several lines. */
void sim_set_print(const struct args_command *command,
                   const struct world_options *world,
                   FILE *out);

/** Put what was typed besides seeds and files as one line of words, each with a blank in front; the
 * same line for the same wishes. @room_bytes are enough for SIM_SET_WISHES_BYTES. */
void sim_set_put_wishes(const struct args_command *command,
                        const struct sim_options *options,
                        struct text *text);

/* The most that sim_set_put_wishes puts. */
enum { SIM_SET_WISHES_BYTES = 8192 };

#endif /* CLI_SIM_SET_H */
