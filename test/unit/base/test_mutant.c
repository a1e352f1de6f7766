/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch for deliberate mistakes. The choice is made once a process, so that each case asks in
 * a child of its own.
 */
#include "base/mutant.h"
#include "lib/case.h"

static void abort_if_named_mutant_is_on(void *ctx)
{
    (void)setenv("PYRALOG_MUTANT", ctx, 1);
    if (MUTANT(ack_before_durable)) {
        abort();
    }
}

#ifndef PYR_MUTANTS

/* MUT-1: a variable in somebody's environment must not change what a release build does. */
TEST(mutant, is_off_without_the_build_option)
{
    char name[] = "ack_before_durable";

    CHECK(!case_aborts(abort_if_named_mutant_is_on, name));
}

#else

/* MUT-2 */
TEST(mutant, is_on_when_named)
{
    char name[] = "ack_before_durable";

    CHECK(case_aborts(abort_if_named_mutant_is_on, name));
}

/* MUT-2: with two mistakes on at once nobody knows which one was found. */
TEST(mutant, is_off_when_another_is_named)
{
    char name[] = "no_folder_sync";

    CHECK(!case_aborts(abort_if_named_mutant_is_on, name));
}

/* A typing error in the script must not count as a mistake that the suite did not find. */
TEST(mutant, refuses_an_unknown_name)
{
    char name[] = "no_such_mistake";

    CHECK(case_aborts(abort_if_named_mutant_is_on, name));
}

#endif
