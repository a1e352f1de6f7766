/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Voters as letters, and the slow truth about them.
 *
 * A test says "ABC", W = 2. A is node 1, B node 2; a small letter is the same node with another
 * storage. A set of voters is a mask of letters: bit 0 is A.
 *
 * struct slow answers by definition and enumeration what src/quorum reckons: an election quorum is
 * a set that meets every set of W voters, found by looking at every one of them. It knows no
 * formula but W itself.
 */
#ifndef QUORUM_DRAW_H
#define QUORUM_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "quorum/set.h"

enum { DRAW_LETTERS_MAX = 10, DRAW_MASKS_MAX = 1 << DRAW_LETTERS_MAX };

/* A case: one or two configurations, and what holds in them by enumeration. */
struct slow {
    int32_t half_count;
    int32_t letter_count;
    uint32_t voters[2];
    struct quorum_config configs[2];
    bool is_write[2][DRAW_MASKS_MAX]; /* W voters are in it. */
    bool is_election[2]
                    [DRAW_MASKS_MAX]; /* It meets every write quorum, or is an unclean majority. */
    bool is_lease[2][DRAW_MASKS_MAX]; /* It meets every election quorum. */
    bool is_reach[2][DRAW_MASKS_MAX]; /* Both of the first and the last, and the exception. */
};

/** Return the member of @letter. */
struct quorum_member draw_member(char letter);

/** Return the configuration of @voters, one letter each, with @write_quorum and the least
 * @read_quorum that goes with it. */
struct quorum_config draw_config(const char *voters, int32_t write_quorum);

/** Return the configuration of the voters in @mask. */
struct quorum_config draw_mask(uint32_t mask, int32_t write_quorum);

/** Return the rules of @voter_count voters. */
struct quorum_rules draw_rules(int32_t voter_count, int32_t write_quorum, int32_t read_quorum);

/** Return the set of the configuration of @voters and @write_quorum and, unless @next is NULL, of
 * the change to that of @next and @next_write_quorum. */
struct quorum_set draw_set(const char *voters,
                           int32_t write_quorum,
                           const char *next,
                           int32_t next_write_quorum);

/** Return the letters of @config as a mask. */
uint32_t draw_voters(const struct quorum_config *config);

/** Draw a case with voters out of the first @letter_count letters into @slow, and its set. */
void slow_draw(struct prng *prng, int32_t letter_count, struct slow *slow, struct quorum_set *set);

/** Fill the tables of @slow, whose configurations are there. */
void slow_fill(struct slow *slow);

/** Return the letter's bit of @member of @set. */
uint32_t draw_bit(const struct quorum_set *set, int32_t member);

/** Return a seed for the test called @name, fixed unless $PYRALOG_SEED gives another; printed. */
uint64_t draw_seed(const char *name);

#endif /* QUORUM_DRAW_H */
