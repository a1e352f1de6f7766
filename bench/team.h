/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/team - many threads that do the same thing for a while, each waiting for its own.
 *
 * A member calls the step again and again, one at a time, and counts how long each took. All begin
 * together, and all stop when the time is over.
 *
 * Threads: team_run() starts and ends them; the step runs on them.
 */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include <stdint.h>

#include "bench.h"

/* The most members of a team. */
#define TEAM_MEMBERS_MAX 256

/* One step of one member: @member from 0, @round counts its steps. */
typedef void (*team_step)(void *ctx, uint64_t member, uint64_t round);

/* What a team does. */
struct team_options {
    uint64_t members;
    double seconds;
    team_step step;
    void *ctx;
    uint64_t steps_a_second; /* Of the whole team, evenly; latency counts from the intended start.
                                0: as fast as it can. */
};

/** Run the team, and fill @ret_latency with the nanoseconds of all steps. Return the nanoseconds
 * from the first step to the last. */
uint64_t team_run(const struct team_options *options, struct histogram *ret_latency);

#endif /* BENCH_TEAM_H */
