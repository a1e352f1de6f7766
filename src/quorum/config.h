/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/config - a configuration: who votes, who learns, and by which rules.
 *
 * It travels as a control batch in the partition's own log, so all replicas that hold the same
 * prefix hold the same configuration. A member is a node's id together with the identity of its
 * storage. Both count: a node that comes back with an empty disk has forgotten its promises and its
 * acknowledgements, and if it voted under its number alone, a write quorum that it was part of
 * would have lost a member without anybody knowing.
 *
 *     {3, storage 9c..}  voted       the disk dies       {3, storage 41..}  is a stranger, until
 *                                                        a change of members admits it
 *
 * For the same reason one storage is never two voters, nor one node: a quorum counts things that
 * fail apart. A learner receives and acknowledges but does not count. It may carry the id of a
 * voter, with another storage: so a node with a new disk catches up while its dead self is still in
 * the list.
 *
 * Invariants:
 *   QUO-6  In a configuration that was checked no node is two voters, and no storage two members.
 *
 * Threads: pure functions.   Memory: plain values, the caller's.
 */
#ifndef QUORUM_CONFIG_H
#define QUORUM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/node_id.h"
#include "quorum/rules.h"

/* A replica's identity. */
struct quorum_member {
    struct node_id node;
    struct storage_id storage;
};

/* One configuration. Unused members are zero. */
struct quorum_config {
    struct quorum_rules rules; /* Its voter_count says how many voters are used. */
    int32_t learner_count;     /* From 0 to QUORUM_LEARNERS_MAX. */
    struct quorum_member voters[QUORUM_VOTERS_MAX];
    struct quorum_member learners[QUORUM_LEARNERS_MAX];
};

/** Return whether @left and @right are the same replica: node and storage. */
static inline bool quorum_member_equal(const struct quorum_member *left,
                                       const struct quorum_member *right)
{
    return node_id_equal(left->node, right->node) &&
           storage_id_equal(&left->storage, &right->storage);
}

/**
 * Check that @config can be used, and say what is wrong if not. Borrows.
 *
 * PYR_ERR_INVALID: its rules (quorum_rules_check), its number of learners, a node id out of range,
 * a member without storage identity, or a node or storage that stands in it twice.
 */
MUST_CHECK enum pyr_err quorum_config_check(const struct quorum_config *config,
                                            struct pyr_error *reterr);

#endif /* QUORUM_CONFIG_H */
