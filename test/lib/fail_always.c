/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/fail_always - one test of each outcome, the last a crash: proof that the runner can fail.
 *
 * tools/canary.py runs it and compares the count with what stands here: 1 passed, 1 skipped,
 * 1 failed by a check, and the one that ends the program.
 */
#include <stdio.h>
#include <unistd.h>

#include "lib/case.h"

/* A passing test may print what it likes. */
TEST(fail_always, passes)
{
    (void)printf("ok 1 - not a result\n");

    CHECK(access(case_folder(), W_OK) == 0);
}

/* A skip must carry its reason to the closing lines. */
TEST(fail_always, skips)
{
    case_skip("for a reason");
}

/* A failed check must be counted once and name its values. */
TEST(fail_always, fails)
{
    CHECK_INT(1 + 1, 3);
}

/* A program that dies must not count as one that ended. */
TEST(fail_always, crashes)
{
    abort();
}

/* This one is never reached. */
TEST(fail_always, is_not_reached)
{
    CHECK(true);
}
