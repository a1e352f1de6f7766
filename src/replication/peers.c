/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/peers - numbering those whom a replica speaks with, and what changes with them.
 *
 *      0 .. voters                 as in the set: of one configuration, or of two
 *      voters .. peer_count        learners of the newest configuration
 *      REPLICA_STRANGER_FOLLOWED   a leader, or a candidate that was granted a vote, of whom no
 *                                  configuration in this log knows
 *      REPLICA_STRANGER_ASKING     somebody else of that kind, for the answer of this very step
 *
 * The numbers of voters are those of the set, so that whoever is counted is found in the tables of
 * src/quorum, and a learner never is: its number is past their end.
 *
 * Strangers. Configurations are batches of the log, so a replica that was away may be asked by a
 * candidate, or sent batches by a leader, that was admitted meanwhile; and one that holds a final
 * configuration which will be cut, by a leader that it has struck off. Were they ignored, it would
 * never learn better, and its vote may be the one that is missing. Nothing is lost by answering: it
 * is the asker who counts, by its own configuration, and an answer from somebody whom the asker
 * does not know is not counted. Refused is only who has the number of a known node and another
 * storage, without knowing a newer configuration that explains it: a disk that was put in its
 * place.
 *
 * A new configuration renumbers. What a leader knows of a peer goes with the peer; of a new one it
 * knows nothing, and asks.
 */
#include "replication/inner.h"

/* Set the numbers by @config and @next. */
static void number_all(struct replica *replica,
                       const struct quorum_config *config,
                       const struct quorum_config *next)
{
    ASSERT(config);
    ASSERT(!next || quorum_config_check(next, NULL) == PYR_OK);

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

void peers_init(struct replica *replica,
                const struct quorum_config *config,
                const struct quorum_config *next)
{
    ASSERT(replica->progress);
    ASSERT(replica->progress_max <= REPLICA_PEERS_MAX);

    replica->strangers[0] = (struct quorum_member){0};
    replica->strangers[1] = (struct quorum_member){0};
    number_all(replica, config, next);
}

int32_t replica_find(const struct replica *replica, const struct quorum_member *member)
{
    ASSERT(replica->peer_count >= replica->set.member_count);
    ASSERT(replica->peer_count <= REPLICA_PEERS_MAX);

    if (!epoch_node_is_valid(member->node)) {
        return QUORUM_NO_MEMBER; /* Anything may come, and a stranger's place may be empty. */
    }
    int32_t voters = replica->set.member_count;
    int32_t number = quorum_set_find(&replica->set, member);
    for (int32_t peer = voters; number == QUORUM_NO_MEMBER && peer < replica->peer_count; peer++) {
        if (quorum_member_equal(&replica->learners[peer - voters], member)) {
            number = peer;
        }
    }
    bool is_followed =
        number == QUORUM_NO_MEMBER && quorum_member_equal(&replica->strangers[0], member);
    return is_followed ? REPLICA_STRANGER_FOLLOWED : number;
}

const struct quorum_member *replica_peer(const struct replica *replica, int32_t number)
{
    ASSERT(peers_know(replica, number));
    ASSERT(replica->peer_count >= replica->set.member_count);

    int32_t voters = replica->set.member_count;
    if (number >= REPLICA_STRANGER_FOLLOWED) {
        return &replica->strangers[number - REPLICA_STRANGER_FOLLOWED];
    }
    return number < voters ? &replica->set.members[number] : &replica->learners[number - voters];
}

/* -- Strangers -- */

/* Return whether @from has the number of a node that is known with another storage. */
static bool is_other_disk(const struct replica *replica, const struct quorum_member *from)
{
    ASSERT(replica->peer_count <= REPLICA_PEERS_MAX);
    ASSERT(from->node.value > 0);

    bool is_known = node_id_equal(from->node, replica->self.from.node);
    for (int32_t peer = 0; peer < replica->peer_count; peer++) {
        is_known = is_known || node_id_equal(replica_peer(replica, peer)->node, from->node);
    }
    return is_known;
}

int32_t peers_sender(struct replica *replica, const struct replica_event *event)
{
    const struct quorum_member *from = &event->from->from;
    const struct replica_message *message = event->message;
    ASSERT(message->kind < REPLICA_MESSAGE_KINDS);

    int32_t number = replica_find(replica, from);
    if (number != QUORUM_NO_MEMBER) {
        return number;
    }
    bool asks = message->kind == REPLICA_PREVOTE || message->kind == REPLICA_VOTE ||
                message->kind == REPLICA_APPEND || message->kind == REPLICA_TAIL;
    if (!epoch_node_is_valid(from->node) || !asks) {
        return QUORUM_NO_MEMBER;
    }
    bool is_self = quorum_member_equal(from, &replica->self.from);
    bool is_explained = !is_other_disk(replica, from) || message->config_end > replica->config_end;
    if (is_self || !is_explained) {
        return QUORUM_NO_MEMBER;
    }
    replica->strangers[1] = *from;
    ASSERT(quorum_member_equal(replica_peer(replica, REPLICA_STRANGER_ASKING), from));
    return REPLICA_STRANGER_ASKING;
}

bool peers_have_removed(const struct replica *replica,
                        const struct replica_event *event,
                        int32_t member)
{
    ASSERT(peers_know(replica, member));
    ASSERT(event->message->kind == REPLICA_PREVOTE);

    bool is_known = member < replica->peer_count;
    bool is_committed = replica->set.half_count == 1 && replica->config_end > 0 &&
                        replica->committed >= replica->config_end; /* RPL-9 */
    return !is_known && is_committed && event->message->config_end <= replica->config_end;
}

int32_t peers_follow(struct replica *replica, int32_t member)
{
    ASSERT(peers_know(replica, member));
    ASSERT(member != replica->peer);

    if (member != REPLICA_STRANGER_ASKING) {
        return member;
    }
    if (replica->leader == REPLICA_STRANGER_FOLLOWED) {
        replica->leader = QUORUM_NO_MEMBER;
    }
    if (replica->candidate == REPLICA_STRANGER_FOLLOWED) {
        replica->candidate = QUORUM_NO_MEMBER;
        replica->owes_ballot = false;
    }
    replica->strangers[0] = replica->strangers[1];
    return REPLICA_STRANGER_FOLLOWED;
}

/* -- Another configuration -- */

/* Who each row of the leader's tables is about. */
struct row_owners {
    struct quorum_member members[REPLICA_PEERS_MAX];
};

static void rows_swap(struct replica *replica, struct row_owners *owners, int32_t a, int32_t b)
{
    ASSERT(a < replica->progress_max);
    ASSERT(b < replica->progress_max);

    struct quorum_member owner = owners->members[a];
    owners->members[a] = owners->members[b];
    owners->members[b] = owner;
    struct replica_progress progress = replica->progress[a];
    replica->progress[a] = replica->progress[b];
    replica->progress[b] = progress;
    int64_t match = replica->matches[a];
    replica->matches[a] = replica->matches[b];
    replica->matches[b] = match;
    uint64_t confirmed_ns = replica->confirmed_ns[a];
    replica->confirmed_ns[a] = replica->confirmed_ns[b];
    replica->confirmed_ns[b] = confirmed_ns;
}

/* Return whether @owner, of a row, is a peer under the new configuration as well. */
static bool stays(const struct replica *replica, const struct quorum_member *owner)
{
    int32_t number = replica_find(replica, owner);
    ASSERT(number >= QUORUM_NO_MEMBER);
    ASSERT(number <= REPLICA_STRANGER_FOLLOWED);
    return number != QUORUM_NO_MEMBER && number < replica->peer_count;
}

/* Give @peer a row of nothing. Whoever has it and stays changes places with somebody who goes:
 * there is one, since there are as many rows as peers at least. */
static void row_begin(struct replica *replica, struct row_owners *owners, int32_t peer)
{
    int32_t free = peer;
    while (stays(replica, &owners->members[free])) {
        free++;
        ASSERT(free < replica->progress_max);
    }
    rows_swap(replica, owners, peer, free);
    owners->members[peer] = *replica_peer(replica, peer);
    replica->matches[peer] = QUORUM_END_UNKNOWN;
    replica->confirmed_ns[peer] = 0;
    ASSERT(free >= peer);
}

/* Put the rows of the leader's tables into the order of the new numbers. */
static void rows_renumber(struct replica *replica, struct row_owners *owners, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->peer_count <= replica->progress_max);

    for (int32_t peer = 0; peer < replica->peer_count; peer++) {
        const struct quorum_member *member = replica_peer(replica, peer);
        int32_t row = peer;
        while (row < replica->progress_max && !quorum_member_equal(&owners->members[row], member)) {
            row++;
        }
        if (row < replica->progress_max) {
            rows_swap(replica, owners, peer, row);
        } else {
            row_begin(replica, owners, peer);
            progress_meet(replica, peer, now_ns);
        }
    }
}

/* Return who peer @number is, nobody if it is none. */
static struct quorum_member who_is(const struct replica *replica, int32_t number)
{
    struct quorum_member nobody = {0};
    ASSERT(number >= QUORUM_NO_MEMBER);
    ASSERT(!storage_id_is_set(&nobody.storage));
    return number == QUORUM_NO_MEMBER ? nobody : *replica_peer(replica, number);
}

bool peers_vote_alike(const struct replica *replica, const struct quorum_config *config)
{
    ASSERT(config);
    ASSERT(replica->set.half_count >= 1);

    const struct quorum_half *half = &replica->set.halves[0];
    bool is_alike = half->voter_count == config->rules.voter_count &&
                    half->write_quorum == config->rules.write_quorum &&
                    half->read_quorum == config->rules.read_quorum;
    for (int32_t index = 0; index < config->rules.voter_count; index++) {
        is_alike =
            is_alike && quorum_set_find(&replica->set, &config->voters[index]) != QUORUM_NO_MEMBER;
    }
    return is_alike;
}

void peers_change(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->config);
    ASSERT(event->offset_end <= replica->epochs.offset_end);
    ASSERT(replica->role != REPLICA_CANDIDATE);

    struct row_owners owners = {0};
    for (int32_t peer = 0; peer < replica->peer_count; peer++) {
        owners.members[peer] = *replica_peer(replica, peer);
    }
    struct quorum_member leader = who_is(replica, replica->leader);
    struct quorum_member candidate = who_is(replica, replica->candidate);
    number_all(replica, event->config, event->config_next);
    replica->configured++;
    replica->is_removed = false;
    replica->config_end = event->offset_end;
    if (replica->role == REPLICA_LEADER) {
        rows_renumber(replica, &owners, event->now_ns);
    }
    if (replica->leader !=
        QUORUM_NO_MEMBER) { /* Struck off, it leads on until that is committed. */
        replica->strangers[0] = leader;
        replica->leader = replica_find(replica, &leader);
    }
    bool is_granted = replica->candidate != QUORUM_NO_MEMBER;
    replica->candidate = is_granted ? replica_find(replica, &candidate) : QUORUM_NO_MEMBER;
    replica->owes_ballot = replica->owes_ballot && replica->candidate != QUORUM_NO_MEMBER;
}
