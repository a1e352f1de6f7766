/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/mutant - deliberate mistakes, built in only on request, that the suite must find.
 *
 * A test suite that has never missed a bug on purpose has never shown that it finds any. Each known
 * mistake stands in the code where a tired person would make it:
 *
 *   if (MUTANT(ack_before_durable)) {
 *       durable_position = written_position;
 *   }
 *
 * In a normal build MUTANT(...) is the constant false: the compiler drops the branch, and no name
 * of a mistake is in the program. With -Dmutants=true all are built in, and the environment
 * variable PYRALOG_MUTANT picks at most one by name. A name that is not in base/mutant.def does not
 * compile, and a name in the variable that is not there aborts the program, so that a typing error
 * cannot pass for a mistake that was not found.
 *
 * Invariants:
 *   MUT-1  Without -Dmutants=true every mistake is off, whatever the environment says.
 *   MUT-2  With it, the mistake named by PYRALOG_MUTANT is on, and no other.
 *
 * Threads: any. The environment is read once, at the first question, which is the one exception to
 * the rule against hidden state, and exists in mutant builds only.
 */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

#include <stdbool.h>

/* Every mistake, in the order of the table. */
enum mutant {
    MUTANT_NONE = 0,

#define X(name, text) MUTANT_##name,
#include "base/mutant.def"
#undef X
    MUTANT_END,
};

#ifdef PYR_MUTANTS

/** Return whether @mutant is the mistake chosen for this process. */
bool mutant_is_chosen(enum mutant mutant);

#define MUTANT(name) mutant_is_chosen(MUTANT_##name)

#else

/* False whatever the name, but only a name of the table compiles. clang takes a bare sizeof for a
 * matter of configuration, and does not call the branch unreachable code. */
#define MUTANT(name) !sizeof(char[MUTANT_##name])

#endif

#endif /* BASE_MUTANT_H */
