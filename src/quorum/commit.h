/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/commit - how far the log is committed.
 *
 * Part of the path:  acknowledgements (durable ends by voter) -> [commit] -> readers, producers
 *
 * The leader knows of each voter up to where its log matches the leader's own and is on stable
 * storage. The commit end is the highest end that W voters of each configuration have reached:
 *
 *     W = 2 of 3            0        5    7  9
 *     A (leader)   durable  |--------|----|          the leader's disk may lag behind:
 *     B            durable  |--------|               it counts like any other
 *     C            durable  |--------|----|--|       commit end = 7
 *
 * Below it every later leader has everything: each election quorum holds one of those W voters, and
 * a candidate behind that voter's log is refused by it (quorum/position.h).
 *
 * That argument needs the entry's epoch to be the leader's own. An entry of an older epoch may lie
 * on W voters and still be cut, by a candidate whose log ends in a newer epoch that these voters
 * have not seen:
 *
 *     epoch   1    2                 1. A leads 2, writes x to itself alone.
 *     A      [a]  [x]                2. B leads 3, writes y to itself alone.
 *     B      [a]       [y: epoch 3]  3. A leads 4 and copies x to C: x lies on 2 of 3.
 *     C      [a]  [x]                4. If it counted, x would be committed. But B's log ends in
 *                                       epoch 3, above 2: C may elect B, and B cuts x.
 *
 * Once an entry of epoch 4 is on W voters, B is behind each of them and cannot win. So the caller
 * says where its own epoch begins, and below that nothing commits by counting: what is older
 * commits together with the first own entry above it.
 *
 * Ends are exclusive, the offset behind the last durable record; -1 stands for a voter of which
 * nothing is known in this epoch.
 *
 * Invariants:
 *   QUO-9   The commit end moves only to an end above the first offset of the leader's own epoch
 *           that W voters of each configuration have durable.
 *   QUO-10  The commit end never goes back.
 *   QUO-15  Every election quorum has a voter that has what is settled, whatever E is.
 *
 * Threads: pure functions, called at every acknowledgement: no memory, no sorting, no surprises.
 * Reference: D. Ongaro, J. Ousterhout, "In search of an understandable consensus algorithm", 2014,
 * figure 8 and section 5.4.2.
 */
#ifndef QUORUM_COMMIT_H
#define QUORUM_COMMIT_H

#include <stdint.h>

#include "quorum/set.h"

/* The end of a voter of which nothing is known. */
#define QUORUM_END_UNKNOWN INT64_C(-1)

/** Return the highest end that W voters of each configuration of @set have durable, by their
 * @durable_ends by member; QUORUM_END_UNKNOWN if there is none. Says nothing of epochs: what is
 * committed says quorum_commit_end. Borrows. */
int64_t quorum_durable_end(const struct quorum_set *set, const int64_t *durable_ends);

/**
 * Return the highest end that N - E + 1 voters of each configuration of @set have durable, so that
 * every election quorum has a voter that has it too. Borrows.
 *
 * Where no election may miss a record, N - E + 1 is W, and this is quorum_durable_end. Under
 * unclean rules it is more: there a committed record may be lost, but not a configuration, or two
 * groups of voters go on side by side for ever, each by the configuration that it knows. So the end
 * of a joint configuration's entry must be committed and settled before the new one is written.
 */
int64_t quorum_settled_end(const struct quorum_set *set, const int64_t *durable_ends);

/**
 * Return the new commit end of a leader.
 *
 * @durable_ends  by member: how far its log matches the leader's and is durable, or
 *                QUORUM_END_UNKNOWN. Borrowed.
 * @own_first     the offset of the first entry of the leader's own epoch, its opening batch.
 * @commit_end    the commit end so far, at least 0; never returned lower.
 */
int64_t quorum_commit_end(const struct quorum_set *set,
                          const int64_t *durable_ends,
                          int64_t own_first,
                          int64_t commit_end);

#endif /* QUORUM_COMMIT_H */
