/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_options - what pyralog-sim is told: its table of options, and what was typed.
 *
 * A few options say which seeds, how and where to; the others are the numbers and the faults of a
 * world, a row each, made from the simulator's own tables (world_numbers.def, WORLD_FAULTS), so
 * that none can be missing here:
 *
 *     WORLD_NUMBER(NETWORK, uint64_t, link_ns_max, DURATION, ...)   ->   --link-max=TIME
 *     X(crash_leader, "the node that leads some log falls")         ->   --weight-crash-leader=N
 *
 * What is not typed is left to the seed. Only headers of the simulator are used here, so that the
 * table can stand where it is completed and explained too.
 *
 * Threads: pure functions.   Memory: the heap.
 */
#ifndef CLI_SIM_OPTIONS_H
#define CLI_SIM_OPTIONS_H

#include "cli/args.h"
#include "sim/cluster/world.h"

/* A number that was not typed; no bound of a number is below 0. */
#define SIM_NOT_TYPED INT64_C(-1)

/* A number of struct world_options. */
enum sim_number {

#define WORLD_NUMBER(group, type, name, kind, least, most, text) SIM_NUMBER_##name,
#include "sim/cluster/world_numbers.def"
#undef WORLD_NUMBER
    SIM_NUMBER_END,
};

/* What was typed. */
struct sim_options {
    int64_t seed;
    const char *seeds;  /* "A-B". */
    const char *config; /* Files. */
    const char *resume;
    const char *results;
    int64_t jobs;        /* Processes; 0: as many as there are cores. */
    int64_t patience_ns; /* The longest that a seed may take. */
    bool has_history;
    bool has_letters;
    bool is_quiet;
    int64_t numbers[SIM_NUMBER_END]; /* Or SIM_NOT_TYPED. */
    int64_t weights[WORLD_FAULT_END];
    /* From seed or seeds. */
    uint64_t seed_first;
    uint64_t seed_last;
};

/** Return the table of pyralog-sim. Gives: sim_command_destroy. */
struct args_command *sim_command_create(void);

/** Free what sim_command_create gave; NULL is nothing. */
void sim_command_destroy(struct args_command *command);

/** Return the option of @number, such as "link-max", in the table @command. */
const struct args_option *sim_number_option(const struct args_command *command,
                                            enum sim_number number);

/** Return the option of the weight of @fault in the table @command. */
const struct args_option *sim_weight_option(const struct args_command *command,
                                            enum world_fault fault);

/** Return options with nothing typed. */
struct sim_options sim_options_untyped(void);

/** Fill in what follows from what was typed, and refuse what does not fit together. */
MUST_CHECK enum pyr_err sim_options_settle(struct sim_options *options, struct pyr_error *reterr);

#endif /* CLI_SIM_OPTIONS_H */
