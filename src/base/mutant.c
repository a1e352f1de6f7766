/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/mutant - the choice of one deliberate mistake. Built with -Dmutants=true only.
 */
#include "base/mutant.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define MUTANT_VARIABLE "PYRALOG_MUTANT"

static const char *const mutant_names[MUTANT_END] = {
    [MUTANT_NONE] = "",
#define X(name, text) [MUTANT_##name] = #name,
#include "base/mutant.def"
#undef X
};

/* Return the mistake that the environment names; end the program if it names none that we know. */
static enum mutant choose(void)
{
    const char *wanted = getenv(MUTANT_VARIABLE);
    if (!wanted) {
        return MUTANT_NONE;
    }
    for (int mutant = MUTANT_NONE; mutant < MUTANT_END; mutant++) {
        if (strcmp(mutant_names[mutant], wanted) == 0) {
            return (enum mutant)mutant;
        }
    }
    (void)fprintf(stderr, "pyralog: " MUTANT_VARIABLE ": '%s' is not in base/mutant.def\n", wanted);
    abort();
}

bool mutant_is_chosen(enum mutant mutant)
{
    ASSERT(mutant > MUTANT_NONE);
    ASSERT(mutant < MUTANT_END);

    /* The listed exception to "no hidden state": one value, the same for the whole life of the
     * process, whichever thread computes it first. */
    static _Atomic int chosen_once = -1;
    int chosen = atomic_load_explicit(&chosen_once, memory_order_relaxed);
    if (chosen < 0) {
        chosen = (int)choose();
        atomic_store_explicit(&chosen_once, chosen, memory_order_relaxed);
    }
    return chosen == (int)mutant;
}
