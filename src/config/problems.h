/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/problems - what is wrong with a configuration: all of it, in a bounded list.
 *
 * A start that names one mistake at a time is run ten times. So reading goes on behind a mistake
 * where it can, and each one is a sentence of its own:
 *
 *   node.json:4:14: storage.shards: found 70; allowed: a whole number from 0 to 64
 *
 * Invariants:
 *   CFG-3  Each problem is counted; the first CONFIG_PROBLEMS_MAX are kept, each on one line.
 *
 * Threads: one owner.   Memory: the caller's; too large for a stack.
 */
#ifndef CONFIG_PROBLEMS_H
#define CONFIG_PROBLEMS_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"

/* One problem: a whole sentence without its full stop. */
struct config_problem {
    char message[CONFIG_PROBLEM_BYTES_MAX];
};

/* All problems of one configuration. Begins as zeros. */
struct config_problems {
    size_t count; /* Of all that were found. */
    struct config_problem list[CONFIG_PROBLEMS_MAX];
};

/** Add the problem @message, which may be cut. Borrows @message. */
void config_problem_add(struct config_problems *problems, const struct text *message);

/** Return how many of @problems stand in its list. */
size_t config_problems_kept(const struct config_problems *problems);

/** Return PYR_OK if there is no problem, else PYR_ERR_INVALID with the first in @reterr, and how
 * many more there are. */
MUST_CHECK enum pyr_err config_problems_end(const struct config_problems *problems,
                                            struct pyr_error *reterr);

/** Put @bytes, valid UTF-8, so that they stay on one line: control characters become '?', and what
 * is behind CONFIG_SHOWN_BYTES_MAX becomes "...". */
void config_put_shown(struct text *text, struct bytes bytes);

#endif /* CONFIG_PROBLEMS_H */
