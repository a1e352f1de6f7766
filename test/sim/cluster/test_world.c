/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole clusters under a virtual time: what was promised is kept, and a seed is a run.
 *
 * This covers partition/member.c among all that is below it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "lib/case.h"
#include "sim/cluster/world.h"

enum { SEEDS = 60, SEEDS_TWICE = 5 };

/* Run @seed, which must be good; return whether it counts. */
static bool run_seed(uint64_t seed)
{
    struct world_options options;
    struct world_result result;
    world_options_draw(seed, &options);
    world_run(&options, &result);
    if (result.verdict != WORLD_GOOD) {
        fail_msg("seed %" PRIu64 ": %s", seed, result.violation);
    }
    return world_result_counts(&result);
}

/* A seed that fails is repeated, with its history, by `world SEED -h`. */
TEST(world, keeps_its_promises_in_all_weathers)
{
    uint64_t seeds = case_scale(SEEDS);
    uint64_t counted = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        counted += run_seed(seed);
    }
    (void)printf("# %" PRIu64 " seeds, %" PRIu64 " of which count\n", seeds, counted);
    CHECK(counted * 10 >= seeds * 7);
}

/* Without this, no violation could be looked at twice. */
TEST(world, repeats_a_seed_event_for_event)
{
    for (uint64_t seed = 1; seed <= SEEDS_TWICE; seed++) {
        struct world_options options;
        struct world_result first;
        struct world_result again;
        world_options_draw(seed, &options);

        world_run(&options, &first);
        world_run(&options, &again);

        CHECK(first.hash == again.hash);
        CHECK_BYTES(first.counts, again.counts, sizeof first.counts);
    }
}
