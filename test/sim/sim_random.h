/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/random - the simulator's own generator (splitmix64): one per subsystem, so that one more draw
 * in one does not shift the others.
 */
#ifndef SIM_SIM_RANDOM_H
#define SIM_SIM_RANDOM_H

#include <stdint.h>

struct sim_random {
    uint64_t state;
};

/** Return a generator that follows from @seed. */
static inline struct sim_random sim_random_of(uint64_t seed)
{
    return (struct sim_random){.state = seed};
}

/** Return the next 64 bits of @random. */
static inline uint64_t sim_random_next(struct sim_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t value = random->state;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/** Return a number from 0 to @end - 1. */
static inline uint32_t sim_random_below(struct sim_random *random, uint32_t end)
{
    return (uint32_t)(((sim_random_next(random) >> 32) * (uint64_t)end) >> 32);
}

#endif /* SIM_SIM_RANDOM_H */
