/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/set - the configurations that decide at the moment: one, or two during a change.
 *
 * Part of the path:  configuration batches of the log -> [set] -> commit, votes, lease, reads
 *
 * To change members one cannot switch at once: replicas learn of the new configuration at different
 * times, and a quorum of the old one and a quorum of the new one need not meet.
 *
 *     old {A B C}, W 2, E 2      A B . . .   elects by the old,
 *     new {C D E}, W 2, E 2      . . . D E   commits by the new: nobody is in both.
 *
 * So a change is joint: from the moment that the joint entry is in a replica's log, its elections
 * and commits need their quorum in the old AND in the new configuration. Why that is safe, for any
 * N, W and E on either side: at each time the replicas that act hold the old one, the joint one or
 * the new one. A joint decision is also a decision of the old and one of the new, so it meets
 * whatever either of them decides. And the old alone and the new alone never act at the same time:
 * the new is written only when the joint entry is committed, so every old election quorum has a
 * voter that holds it, and a candidate whose log lacks it is refused there. (Where elections may
 * miss what W voters have, "committed" is not enough for that: see quorum_settled_end.)
 *
 * The set gives the voters of both one numbering, members 0 to member_count - 1: first the voters
 * of the first configuration in their order, then those that only the second has. Whoever is in
 * both is one member, counted in both. All tables of this room are arrays by member; a replica that
 * is no voter (a learner, a stranger, a known node with another storage) has no number, so nothing
 * can be counted for it by mistake.
 *
 * Invariants:
 *   QUO-7  A decision holds in every configuration of the set.
 *   QUO-8  Only voters have a place in the tables, each one: by node and storage, not node alone.
 *
 * Threads: one owner; after init it is only read.   Memory: a plain value, the caller's.
 * Reference: D. Ongaro, "Consensus: bridging theory and practice", 2014, section 4.3.
 */
#ifndef QUORUM_SET_H
#define QUORUM_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/limits.h"
#include "quorum/config.h"

/* What quorum_set_find returns for whoever is no voter. */
#define QUORUM_NO_MEMBER (-1)

/* One configuration of a set, its numbers worked out once. */
struct quorum_half {
    int32_t voter_count;
    int32_t write_quorum;
    int32_t read_quorum;
    int32_t election;
    int32_t prevote;
    int32_t lease;
    int32_t reach;
    bool reads_allowed;
    uint8_t members[QUORUM_VOTERS_MAX]; /* Its voters, as members of the set. */
};

/* What decides. */
struct quorum_set {
    int32_t half_count;   /* 1, or 2 during a change. */
    int32_t member_count; /* From 1 to QUORUM_MEMBERS_MAX. */
    struct quorum_half halves[QUORUM_CONFIGURATIONS_MAX];
    struct quorum_member members[QUORUM_MEMBERS_MAX];
};

/** Make @set of @config, which was checked, and of @next during a change to it, else NULL. Borrows
 * both. */
void quorum_set_init(struct quorum_set *set,
                     const struct quorum_config *config,
                     const struct quorum_config *next);

/** Return the number of @member in @set, or QUORUM_NO_MEMBER if it is no voter. */
static inline int32_t quorum_set_find(const struct quorum_set *set,
                                      const struct quorum_member *member)
{
    ASSERT(set->member_count <= QUORUM_MEMBERS_MAX);

    for (int32_t number = 0; number < set->member_count; number++) {
        if (quorum_member_equal(&set->members[number], member)) {
            return number;
        }
    }
    return QUORUM_NO_MEMBER;
}

/** Return whether quorum reads are served: both configurations must allow them. */
bool quorum_set_reads_allowed(const struct quorum_set *set);

#endif /* QUORUM_SET_H */
