/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/prng - seeded random numbers that one seed repeats exactly, on any machine.
 *
 * The generator is xoshiro256**, its state filled by splitmix64. It is for choices that a test must
 * be able to repeat (fault injection, back-off, sampling), never for secrets.
 *
 * Each subsystem has a generator of its own, so that one more draw in one does not shift the others
 * and a failing seed still fails after an unrelated change:
 *
 *   seed --+-- prng_of(seed, 1): disk faults
 *          +-- prng_of(seed, 2): network delays
 *          +-- prng_of(seed, 3): the workload --+-- prng_split(): first client
 *                                               +-- prng_split(): second client
 *
 * Invariants:
 *   RND-1  The same seed and the same calls give the same numbers, on every machine and for ever.
 *   RND-2  Every number of a range comes equally often: no modulo bias.
 *   RND-3  What prng_of() returns depends on seed and stream alone.
 *
 * Threads: one owner for each struct prng.
 * Reference: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", 2021;
 * D. Lemire, "Fast random integer generation in an interval", 2019.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* One generator. A plain value: a copy goes on with the same numbers. */
struct prng {
    uint64_t state[4]; /* Never all zero. */
};

/** Return the generator of @stream under @seed. Streams of one seed are independent. */
struct prng prng_of(uint64_t seed, uint64_t stream);

/** Return a new generator, independent of @prng, from one draw of it. */
struct prng prng_split(struct prng *prng);

/** Return the next 64 random bits. */
uint64_t prng_next(struct prng *prng);

/** Return a number from 0 to @end - 1, each equally likely. @end is above 0. */
uint64_t prng_below(struct prng *prng, uint64_t end);

/** Return a number from @first to @last, both included, each equally likely. */
int64_t prng_between(struct prng *prng, int64_t first, int64_t last);

/** Return true in @hits of @tries cases; @hits is at most @tries, and @tries above 0. */
bool prng_chance(struct prng *prng, uint64_t hits, uint64_t tries);

/** Return a number at least 0 and below 1. */
double prng_unit(struct prng *prng);

/** Fill @data with random bytes. Borrows @data. */
void prng_fill(struct prng *prng, struct bytes_mut data);

#endif /* BASE_PRNG_H */
