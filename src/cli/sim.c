/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim - pyralog-sim: whole clusters in virtual time, judged, a seed at a time.
 */
#include "base/assert.h"
#include "cli/sim_run.h"
#include "cli/sim_set.h"

/* Run what @options ask for; return the exit status. */
static int sim_start(const struct args_command *command, struct sim_options *options)
{
    struct world_options world;
    struct pyr_error error;
    enum pyr_err err = sim_options_settle(options, &error);
    if (err == PYR_OK && options->config) {
        err = sim_set_configure(options, options->config, &error);
    }
    if (err == PYR_OK) {
        err = sim_options_settle(options, &error); /* Also with what the file says. */
    }
    if (err == PYR_OK) {
        err = sim_set_expand(options, options->seed_first, &world, &error);
    }
    if (err != PYR_OK) {
        return args_fail(command, &error);
    }
    ASSERT(options->seed_first <= options->seed_last);
    int status = options->seeds ? sim_run_sweep(command, options) : sim_run_one(command, options);
    return args_end(command, status);
}

int main(int argc, char **argv)
{
    struct args_command *command = sim_command_create();
    struct sim_options options = sim_options_untyped();
    struct args_found found;
    ASSERT(argc > 0);

    int status = args_begin(command, argc - 1, argv + 1, &options, &found);
    if (status < 0) {
        status = sim_start(command, &options);
    }
    sim_command_destroy(command);
    return status;
}
