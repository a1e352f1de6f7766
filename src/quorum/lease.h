/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/lease - since when a leader is known to be the leader.
 *
 * A leader sends rounds and notes when it sent each. A voter that confirms a round says: up to now
 * I have promised nobody a higher epoch, and for a minimum timeout I will grant nobody. The table
 * holds for each voter the send time of the last round that it confirmed:
 *
 *     N = 5, E = 3, lease N - E + 1 = 3        now
 *     A (leader)  ------------------------------*     itself: now
 *     B           ----------------*                   these three have confirmed what was
 *     C           -----------*                        sent at C's time
 *     D           ------*
 *     E           (never)                             since C's time
 *
 * Why N - E + 1: that leaves E - 1 voters, too few to elect anybody. So from the send time on, and
 * until a minimum timeout later, there is no other leader, and a read may be answered from home. It
 * is the send time that counts, not the time at which the answer came: the voter's timeout runs
 * from when it heard the round, which is later than the one and earlier than the other. In a change
 * the candidate may hold the old, the joint or the new configuration, so the lease needs its quorum
 * in each of the set, as a candidate of the joint one would.
 *
 * The same with max(W, N - E + 1) tells since when a leader has its following within reach. If that
 * is longer ago than an election timeout it steps down: it can commit nothing, or another leads.
 *
 * Margins for clocks that drift are the caller's.
 *
 * Invariants:
 *   QUO-14  At least N - E + 1 voters of each configuration have confirmed a round sent at or after
 *           the time that is returned; for the reach at least max(W, N - E + 1).
 *
 * Threads: pure functions. They read no clock: times are numbers of the caller.
 * Reference: D. Ongaro, "Consensus: bridging theory and practice", 2014, section 6.4.1.
 */
#ifndef QUORUM_LEASE_H
#define QUORUM_LEASE_H

#include <stdint.h>

#include "quorum/set.h"

/**
 * Return the send time since which the leader's lease is confirmed; 0 if it is not.
 *
 * @confirmed_ns  by member: when the last round that it confirmed in this epoch was sent, 0 if
 * none; for the leader itself, if it is a voter, now. Borrowed.
 */
uint64_t quorum_lease_since_ns(const struct quorum_set *set, const uint64_t *confirmed_ns);

/** Return the send time since which as many voters as a leader needs to go on have confirmed; 0 if
 * they have not. @confirmed_ns as above. Borrows. */
uint64_t quorum_reach_since_ns(const struct quorum_set *set, const uint64_t *confirmed_ns);

#endif /* QUORUM_LEASE_H */
