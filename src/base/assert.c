/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/assert - what happens when an assertion fails: one line to stderr, then abort.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "pyralog: assertion failed: %s, at %s:%d\n", condition, file, line);
    abort();
}
