/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/rules - the numbers of a replicated partition: N, W, R, and what follows from them.
 *
 * N voters hold a partition. A record is committed when W of them have it on stable storage. What
 * has to hold for ever after is that whoever decides anything later hears of that record. That is
 * counting and nothing else: two sets of voters whose sizes add up to more than N share a voter.
 *
 *     N = 5, W = 2, E = 4        A   B   C   D   E
 *     a write quorum             #   #                   2 + 4 > 5:
 *     an election quorum             o   o   o   o       B knows, and its vote tells.
 *
 * So everything is a complement to W:
 *
 *   election E   N - W + 1         must grant a new leader, and must say "I never had it" before
 *                                  an entry may be dropped: fewer may miss a write quorum
 *   read R       any, W + R > N    asked by a quorum read; the user's choice
 *   pre-vote     max(E, W)         must answer before a candidate disturbs anybody: with fewer it
 *                                  could not win, or could win and not commit
 *   lease        N - E + 1         must have confirmed the leader: no E voters are left then that
 *                                  could have elected another meanwhile
 *   reach        max(W, N - E + 1) must be within a leader's reach, or it steps down: with fewer
 *                                  it can commit nothing, or another may lead
 *
 * Elections need not meet each other, since epochs are unique (quorum/epoch.h).
 *
 * What W buys: N = 5, W = 2 commits with the fastest two and elects with four of five; W = 4 waits
 * for four and elects with two. W = N elects with any one voter, but then no voter can be taken out
 * while the others go on: quorum_can_spare_one() says so before somebody tries.
 *
 * UNCLEAN ELECTIONS. With W = 1 of 3 an election needs all three, so one dead node ends them. Who
 * wants low latency more than each record can say unclean_election. If W + R <= N besides, E falls
 * to a majority where that is less, and W + E may be N or less: an election may miss a record
 * that was acknowledged, and it is lost. Quorum reads are refused, since they would pretend. A
 * leader under W = 1 must reach a majority too: alone it could go on for hours acknowledging what a
 * new leader will never have seen.
 *
 * Invariants:
 *   QUO-3  Every write quorum meets every election quorum, W + E > N, unless quorum_may_lose().
 *   QUO-4  Every write quorum meets every read quorum wherever quorum reads are allowed.
 *   QUO-5  The lease's quorum and the reach each meet every election quorum, whatever E is.
 *
 * Threads: pure functions.
 * Reference: H. Howard, D. Malkhi, A. Spiegelman, "Flexible Paxos", 2016; docs/design/quorum.md.
 */
#ifndef QUORUM_RULES_H
#define QUORUM_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What a user chooses for a topic. The functions below, but for the first, want valid rules. */
struct quorum_rules {
    int32_t voter_count;   /* N: from 1 to QUORUM_VOTERS_MAX. */
    int32_t write_quorum;  /* W: from 1 to N. */
    int32_t read_quorum;   /* R: from 1 to N. */
    bool unclean_election; /* Permission to have W + R <= N, and to lose records for it. */
};

/**
 * Check that @rules can be kept, and say what is wrong if not. Borrows.
 *
 * PYR_ERR_INVALID: no voters or too many, W or R out of range, or W + R <= N without permission.
 */
MUST_CHECK enum pyr_err quorum_rules_check(const struct quorum_rules *rules,
                                           struct pyr_error *reterr);

/** Return more than half of the voters. */
int32_t quorum_majority(const struct quorum_rules *rules);

/** Return whether elections may be unclean: they were permitted, and W + R <= N makes use of it. */
bool quorum_is_unclean(const struct quorum_rules *rules);

/** Return E: how many voters must grant an election, or deny an entry. */
int32_t quorum_election(const struct quorum_rules *rules);

/** Return whether an election can miss an acknowledged record: W + E <= N. Needs unclean rules. */
bool quorum_may_lose(const struct quorum_rules *rules);

/** Return whether quorum reads are served: W + R > N. */
bool quorum_reads_allowed(const struct quorum_rules *rules);

/** Return how many voters must answer a pre-vote; E of them positively. */
int32_t quorum_prevote(const struct quorum_rules *rules);

/** Return how many voters, the leader included, must have confirmed a lease. */
int32_t quorum_lease(const struct quorum_rules *rules);

/** Return how many voters, itself included, a leader must reach to go on leading. */
int32_t quorum_reach(const struct quorum_rules *rules);

/** Return whether one voter can be away and the others still elect and commit: what a restart
 * without a pause and the replacement of a dead voter need. */
bool quorum_can_spare_one(const struct quorum_rules *rules);

#endif /* QUORUM_RULES_H */
