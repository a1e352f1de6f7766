/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/epoch - epochs: numbers of leaderships that say whose they are.
 *
 * An epoch is a round times 1024 plus the id of the node that leads it. People see `round.node`:
 *
 *      31            10 9        0
 *     +----------------+----------+
 *     |     round      |   node   |      7 * 1024 + 3 = 7171, shown as 7.3
 *     +----------------+----------+
 *
 * Raft lets a majority vote decide who owns a term, so two election quorums must meet. Ours need
 * not: with W = 3 of 4 an election takes 2 voters, and two candidates may win at the same time with
 * two voters each. They cannot win the same epoch, since each stands only for epochs with its own
 * number in them, and the lower of the two is fenced by the promises of every write quorum that the
 * higher one's voters are part of. So the number is the whole of uniqueness: nobody has to count.
 *
 * A candidate takes the next round, not the next number: then no node's id is an advantage that
 * wins every race of one round. Rounds are worth saving, there are two million of them. So failed
 * elections back off, a round far above the receiver's is refused (one damaged or forged number
 * would else end all elections for ever), and past half of the range somebody is told.
 *
 * Invariants:
 *   QUO-1  Epochs of two nodes are never equal, and a node's next epoch is above the one given.
 *   QUO-2  No epoch is taken up that is not valid, or more than EPOCH_ROUNDS_AHEAD_MAX rounds above
 *          the receiver's.
 *
 * Threads: pure functions.
 * Reference: H. Howard, D. Malkhi, A. Spiegelman, "Flexible Paxos", 2016, on why quorums of one
 * phase need not meet each other.
 */
#ifndef QUORUM_EPOCH_H
#define QUORUM_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/node_id.h"
#include "base/text.h"

/* Nobody's: before the first. Lower than every valid epoch. */
#define EPOCH_NONE 0

/** Return whether @node is the id that a node may have. */
bool epoch_node_is_valid(struct node_id node);

/** Return the epoch of @node in @round, which is from 1 to EPOCH_ROUNDS_MAX. */
int32_t epoch_of(int32_t round, struct node_id node);

/** Return whether @epoch names a round and a node. Any number may be asked. */
static inline bool epoch_is_valid(int32_t epoch)
{
    bool has_node = epoch % EPOCH_NODES != 0;
    return epoch > EPOCH_NODES && epoch / EPOCH_NODES <= EPOCH_ROUNDS_MAX && has_node;
}

/** Return the round of @epoch; 0 for EPOCH_NONE and what is below it. */
int32_t epoch_round(int32_t epoch);

/** Return the node that leads @epoch, which is valid. */
struct node_id epoch_node(int32_t epoch);

/**
 * Set @ret_epoch to the epoch of @node in the round after that of @above, any epoch that was seen.
 *
 * PYR_ERR_FAILED: the rounds are used up.
 */
MUST_CHECK enum pyr_err epoch_next(int32_t above, struct node_id node, int32_t *ret_epoch);

/** Return whether a receiver whose highest epoch is @own may take up @epoch from a message: it is
 * valid and not absurdly far ahead. Says nothing of which of the two is higher. */
bool epoch_is_credible(int32_t epoch, int32_t own);

/** Return whether so much of the range is used at @epoch that an operator should know. */
bool epoch_is_alarming(int32_t epoch);

/** Add @epoch to @text as `round.node`, or `none`. A number that is not valid is shown whole. */
void epoch_put_text(struct text *text, int32_t epoch);

#endif /* QUORUM_EPOCH_H */
