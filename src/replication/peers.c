/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/peers - numbering those whom a replica speaks with.
 *
 *      0 .. voters               as in the set: of one configuration, or of two
 *      voters .. peer_count      learners of the newest configuration
 *
 * The numbers of voters are those of the set, so that whoever is counted is found in the tables of
 * src/quorum, and a learner never is: its number is past their end.
 */
#include "replication/inner.h"

void peers_configure(struct replica *replica,
                     const struct quorum_config *config,
                     const struct quorum_config *next)
{
    ASSERT(config);
    ASSERT(quorum_config_check(next ? next : config, NULL) == PYR_OK);

    quorum_set_init(&replica->set, config, next);
    const struct quorum_config *newest = next ? next : config;
    int32_t learner_count = 0;
    for (int32_t index = 0; index < newest->learner_count; index++) {
        const struct quorum_member *learner = &newest->learners[index];
        if (quorum_set_find(&replica->set, learner) == QUORUM_NO_MEMBER) {
            replica->learners[learner_count++] = *learner;
        }
    }
    replica->peer_count = replica->set.member_count + learner_count;
    ASSERT(replica->peer_count <= replica->progress_max);
    replica->number = quorum_set_find(&replica->set, &replica->self.from);
    replica->peer = replica_find(replica, &replica->self.from);
}

int32_t replica_find(const struct replica *replica, const struct quorum_member *member)
{
    ASSERT(replica->peer_count >= replica->set.member_count);
    ASSERT(replica->peer_count <= REPLICA_PEERS_MAX);

    int32_t voters = replica->set.member_count;
    int32_t number = quorum_set_find(&replica->set, member);
    for (int32_t peer = voters; number == QUORUM_NO_MEMBER && peer < replica->peer_count; peer++) {
        if (quorum_member_equal(&replica->learners[peer - voters], member)) {
            number = peer;
        }
    }
    return number;
}

const struct quorum_member *replica_peer(const struct replica *replica, int32_t number)
{
    ASSERT(number >= 0);
    ASSERT(number < replica->peer_count);

    int32_t voters = replica->set.member_count;
    return number < voters ? &replica->set.members[number] : &replica->learners[number - voters];
}
