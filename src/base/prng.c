/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/prng - xoshiro256**, splitmix64, and ranges without bias.
 */
#include "base/prng.h"

#include "base/assert.h"
#include "base/codec.h"

__extension__ typedef unsigned __int128 prng_u128;

enum { WORD_BITS = 64, UNIT_BITS = 53 };

/* The constants of splitmix64: the golden ratio, and two multipliers that mix well. */
#define SPLITMIX_STEP  UINT64_C(0x9E3779B97F4A7C15)
#define SPLITMIX_MIX_A UINT64_C(0xBF58476D1CE4E5B9)
#define SPLITMIX_MIX_B UINT64_C(0x94D049BB133111EB)

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * SPLITMIX_MIX_A;
    value = (value ^ (value >> 27)) * SPLITMIX_MIX_B;
    return value ^ (value >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (WORD_BITS - bits));
}

struct prng prng_of(uint64_t seed, uint64_t stream)
{
    /* Mix the stream before it meets the seed, or seed 1 stream 2 would be seed 2 stream 1. */
    uint64_t state = seed ^ mix(stream + SPLITMIX_STEP);
    struct prng prng;
    for (size_t index = 0; index < sizeof prng.state / sizeof prng.state[0]; index++) {
        state += SPLITMIX_STEP;
        prng.state[index] = mix(state);
    }

    /* mix() is one-to-one and its four inputs differ, so that at most one word is zero. */
    ASSERT(prng.state[0] | prng.state[1]);
    return prng;
}

struct prng prng_split(struct prng *prng)
{
    uint64_t seed = prng_next(prng);
    return prng_of(seed, prng_next(prng));
}

uint64_t prng_next(struct prng *prng)
{
    ASSERT(prng->state[0] | prng->state[1] | prng->state[2] | prng->state[3]);

    uint64_t *state = prng->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t end)
{
    ASSERT(end > 0);

    /* The high half of a 128-bit product is the number. Each has 2^64 / end products, but for the
     * first 2^64 mod end low halves, which are drawn again (Lemire, algorithm 5). */
    prng_u128 product = (prng_u128)prng_next(prng) * end;
    if ((uint64_t)product < end) {
        uint64_t biased_end = (0 - end) % end;
        while ((uint64_t)product < biased_end) {
            product = (prng_u128)prng_next(prng) * end;
        }
    }

    uint64_t result = (uint64_t)(product >> WORD_BITS);
    ASSERT(result < end); /* RND-2 */
    return result;
}

int64_t prng_between(struct prng *prng, int64_t first, int64_t last)
{
    ASSERT(first <= last);

    uint64_t distance_max = (uint64_t)last - (uint64_t)first;
    uint64_t distance =
        distance_max == UINT64_MAX ? prng_next(prng) : prng_below(prng, distance_max + 1);
    return (int64_t)((uint64_t)first + distance);
}

bool prng_chance(struct prng *prng, uint64_t hits, uint64_t tries)
{
    ASSERT(tries > 0);
    ASSERT(hits <= tries);

    return prng_below(prng, tries) < hits;
}

double prng_unit(struct prng *prng)
{
    /* A double holds 53 bits exactly, so that the result cannot round up to 1. */
    return (double)(prng_next(prng) >> (WORD_BITS - UNIT_BITS)) /
           (double)(UINT64_C(1) << UNIT_BITS);
}

void prng_fill(struct prng *prng, struct bytes_mut data)
{
    ASSERT(data.data || data.count == 0);

    uint8_t word[sizeof(uint64_t)];
    for (size_t done = 0; done < data.count; done += sizeof word) {
        /* Through the codec, so that a big-endian machine fills the same bytes (RND-1). */
        put_le64(word, prng_next(prng));
        size_t rest = data.count - done;
        memcpy(data.data + done, word, rest < sizeof word ? rest : sizeof word);
    }
}
