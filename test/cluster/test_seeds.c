/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole clusters, many of them: a sweep of pyralog-sim, as a user would start it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "lib/case.h"
#include "program.h"

enum { SEEDS = 2000 };

/* What is promised is kept whatever breaks; each seed breaks something else. */
TEST(seeds, keep_what_was_promised)
{
    char seeds[64];
    (void)snprintf(seeds, sizeof seeds, "--seeds=1-%" PRIu64, (uint64_t)case_scale(SEEDS));

    struct program *program = PROGRAM("pyralog-sim", seeds, "--quiet");

    for (const char *line = program->out; *line; line += strcspn(line, "\n") + 1) {
        print_message("# %.*s\n", (int)strcspn(line, "\n"), line);
    }
    CHECK_INT(program->status, 0);
    CHECK_TEXT(program->err, "");
    free(program);
}
