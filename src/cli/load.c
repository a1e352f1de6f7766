/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load - pyralog-load: load a log, measure it, and prove that it kept what it acknowledged.
 *
 * The engine is reached through include/pyralog.h alone, as a user's program would.
 */
#include "base/assert.h"
#include "cli/load_run.h"

int main(int argc, char **argv)
{
    const struct args_command *command = load_command();
    struct load_options options = {.folder = NULL};
    struct args_found found;
    struct pyr_error error;
    ASSERT(argc > 0);

    int status = args_begin(command, argc - 1, argv + 1, &options, &found);
    if (status >= 0) {
        return status;
    }
    if (load_options_settle(&options, &error) != PYR_OK) {
        return args_fail(command, &error);
    }
    status = options.is_demo          ? load_demo(&options)
             : options.verify_against ? load_verify_against(&options)
                                      : load_run(&options);
    return args_end(command, status);
}
