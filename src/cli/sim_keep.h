/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_keep - a sweep's tally in a small text file, so that an interrupted sweep can go on.
 *
 *     pyralog-sim resume 1
 *     build 0.1.0 77acbd5a1b2c
 *     options --nodes=3 --weight-crash=9
 *     done 1 4710
 *     done 4712 4712
 *     violated 4711 log 0: two batches of epoch 5 at offset 17
 *     sum counted 4690
 *     count acknowledged 7310022
 *     fault crash 13011
 *     events 14 210
 *     end
 *
 * The file is written anew beside the old one and takes its place in one step, so that it is always
 * whole. Seeds of two builds prove nothing together: a file of another build, or of other options,
 * is refused. A build of changed sources has no commit of its own; there the program's own bytes
 * are part of its name.
 *
 * Invariants:
 *   SMP-3  What was written is read back the same; a file that is not whole is refused.
 *
 * Threads: the one that calls; blocks.
 */
#ifndef CLI_SIM_KEEP_H
#define CLI_SIM_KEEP_H

#include "base/text.h"
#include "cli/sim_tally.h"

/* To whom a tally belongs. */
struct sim_keep {
    const char *path;
    const char *build;  /* One line, from sim_keep_put_build. */
    const char *wishes; /* One line, from sim_set_put_wishes. */
};

/** Put the name of this build: version, commit, and what tells it from others of that commit. */
void sim_keep_put_build(struct text *text);

/** Add what the file of @keep holds to the empty @tally; nothing if there is no such file.
 *
 * PYR_ERR_INVALID: it is of another build or other options, it is no such file, or damaged; the
 * message has the line. */
MUST_CHECK enum pyr_err sim_keep_read(const struct sim_keep *keep,
                                      struct sim_tally *tally,
                                      struct pyr_error *reterr);

/** Write @tally to the file of @keep, in one step. */
MUST_CHECK enum pyr_err sim_keep_write(const struct sim_keep *keep,
                                       const struct sim_tally *tally,
                                       struct pyr_error *reterr);

#endif /* CLI_SIM_KEEP_H */
