/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Voters as letters; what quorums are, by looking at every set there is.
 */
#include "draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED_BASE = 10, RULES_TRIES_MAX = 1000, UNCLEAN_IN = 8 };

struct quorum_member draw_member(char letter)
{
    bool is_other = letter >= 'a';
    struct quorum_member member = {.node = {letter - (is_other ? 'a' : 'A') + 1}};
    memset(member.storage.value, letter, sizeof member.storage.value);
    return member;
}

struct quorum_rules draw_rules(int32_t voter_count, int32_t write_quorum, int32_t read_quorum)
{
    return (struct quorum_rules){.voter_count = voter_count,
                                 .write_quorum = write_quorum,
                                 .read_quorum = read_quorum};
}

struct quorum_config draw_config(const char *voters, int32_t write_quorum)
{
    int32_t count = (int32_t)strlen(voters);
    struct quorum_config config = {.rules =
                                       draw_rules(count, write_quorum, count - write_quorum + 1)};
    for (int32_t index = 0; index < count; index++) {
        config.voters[index] = draw_member(voters[index]);
    }
    return config;
}

struct quorum_config draw_mask(uint32_t mask, int32_t write_quorum)
{
    char voters[DRAW_LETTERS_MAX + 1] = "";
    int32_t count = 0;
    for (int32_t letter = 0; letter < DRAW_LETTERS_MAX; letter++) {
        if (mask >> letter & 1) {
            voters[count++] = (char)('A' + letter);
        }
    }
    return draw_config(voters, write_quorum);
}

struct quorum_set draw_set(const char *voters,
                           int32_t write_quorum,
                           const char *next,
                           int32_t next_write_quorum)
{
    struct quorum_config from = draw_config(voters, write_quorum);
    struct quorum_config to = {0};
    if (next) {
        to = draw_config(next, next_write_quorum);
    }
    struct quorum_set set;
    quorum_set_init(&set, &from, next ? &to : NULL);
    return set;
}

uint32_t draw_voters(const struct quorum_config *config)
{
    uint32_t mask = 0;
    for (int32_t index = 0; index < config->rules.voter_count; index++) {
        mask |= UINT32_C(1) << (config->voters[index].node.value - 1);
    }
    return mask;
}

uint32_t draw_bit(const struct quorum_set *set, int32_t member)
{
    return UINT32_C(1) << (set->members[member].node.value - 1);
}

/* Return whether @mask has a voter of each set of voters of configuration @half for which @is_one
 * holds. */
static bool meets_each(const struct slow *slow, int32_t half, uint32_t mask, const bool *is_one)
{
    uint32_t voters = slow->voters[half];
    for (uint32_t other = voters; other != 0; other = (other - 1) & voters) {
        if (is_one[other] && (other & mask) == 0) {
            return false;
        }
    }
    return true;
}

static bool is_majority(const struct slow *slow, int32_t half, uint32_t mask)
{
    uint32_t in = mask & slow->voters[half];
    return __builtin_popcount(in) > __builtin_popcount(slow->voters[half] & ~in);
}

void slow_fill(struct slow *slow)
{
    uint32_t mask_end = UINT32_C(1) << slow->letter_count;
    for (int32_t half = 0; half < slow->half_count; half++) {
        const struct quorum_rules *rules = &slow->configs[half].rules;
        bool is_unclean = rules->unclean_election &&
                          rules->write_quorum + rules->read_quorum <= rules->voter_count;
        slow->voters[half] = draw_voters(&slow->configs[half]);
        for (uint32_t mask = 0; mask < mask_end; mask++) {
            slow->is_write[half][mask] =
                __builtin_popcount(mask & slow->voters[half]) >= rules->write_quorum;
        }
        for (uint32_t mask = 0; mask < mask_end; mask++) {
            slow->is_election[half][mask] = meets_each(slow, half, mask, slow->is_write[half]) ||
                                            (is_unclean && is_majority(slow, half, mask));
        }
        for (uint32_t mask = 0; mask < mask_end; mask++) {
            bool is_exempt = !is_unclean || rules->write_quorum > 1;
            slow->is_lease[half][mask] = meets_each(slow, half, mask, slow->is_election[half]);
            slow->is_reach[half][mask] = slow->is_write[half][mask] && slow->is_lease[half][mask] &&
                                         (is_exempt || is_majority(slow, half, mask));
        }
    }
}

/* Draw a configuration out of @letter_count letters that passes the check. */
static struct quorum_config draw_one(struct prng *prng, int32_t letter_count)
{
    for (int32_t tries = 0; tries < RULES_TRIES_MAX; tries++) {
        uint32_t mask = 1 + (uint32_t)prng_below(prng, (UINT64_C(1) << letter_count) - 1);
        int32_t count = __builtin_popcount(mask);
        if (count > QUORUM_VOTERS_MAX) {
            continue;
        }
        struct quorum_config config = draw_mask(mask, (int32_t)prng_between(prng, 1, count));
        config.rules.read_quorum = (int32_t)prng_between(prng, 1, count);
        config.rules.unclean_election = prng_chance(prng, 1, UNCLEAN_IN);
        if (quorum_config_check(&config, NULL) == PYR_OK) {
            return config;
        }
    }
    abort(); /* Of so many some pass. */
}

void slow_draw(struct prng *prng, int32_t letter_count, struct slow *slow, struct quorum_set *set)
{
    slow->letter_count = letter_count;
    slow->half_count = prng_chance(prng, 1, 2) ? 2 : 1;
    for (int32_t half = 0; half < slow->half_count; half++) {
        slow->configs[half] = draw_one(prng, letter_count);
    }
    slow_fill(slow);
    quorum_set_init(set, &slow->configs[0], slow->half_count == 2 ? &slow->configs[1] : NULL);
}

uint64_t draw_seed(const char *name)
{
    const char *given = getenv("PYRALOG_SEED");
    uint64_t seed = given ? strtoull(given, NULL, SEED_BASE) : 1;
    (void)printf("# %s: PYRALOG_SEED=%" PRIu64 "\n", name, seed);
    return seed;
}
