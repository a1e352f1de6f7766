/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/candidate - standing for an election.
 *
 *      silence --> PREVOTE to all -- max(E, W) answered, E would grant --+
 *                     ^                                                 v
 *                     |                          promise the next round, make it durable
 *                     | patience over,                                  |
 *                     | longer each time                                v
 *                     +<---------------------------------------- VOTE to all -- E granted: LEADER
 *
 * The pre-vote changes nothing anywhere. Without it, a replica that is cut off would raise its
 * round again and again, and end the leadership of the others when it comes back. It wants answers
 * of max(E, W) voters: with W = 4 of 5 two voters can elect, but a leader that reaches only those
 * can never commit, and would only take the place of one that can.
 */
#include "replication/inner.h"

static void ask_all(struct replica *replica, enum replica_message_kind kind)
{
    ASSERT(kind == REPLICA_PREVOTE || kind == REPLICA_VOTE);
    ASSERT(replica->role == REPLICA_CANDIDATE);

    for (int32_t member = 0; member < replica->set.member_count; member++) {
        if (member == replica->number) {
            continue;
        }
        struct replica_message *ask = effect_send(replica, member, kind, replica->epoch_wanted);
        ask->as.candidacy = (struct replica_candidacy){.log = epochs_position(&replica->epochs),
                                                       .handed_over = replica->handed_over};
    }
}

static void answers_begin(struct replica *replica)
{
    ASSERT(replica->role == REPLICA_CANDIDATE);
    ASSERT(replica->set.member_count <= QUORUM_MEMBERS_MAX);

    for (int32_t member = 0; member < QUORUM_MEMBERS_MAX; member++) {
        replica->answers[member] = QUORUM_ANSWER_NONE;
    }
}

/* Count the own vote, if it votes. */
static void grant_itself(struct replica *replica)
{
    ASSERT(replica->role == REPLICA_CANDIDATE);
    ASSERT(replica->number < replica->set.member_count);

    if (replica->number != QUORUM_NO_MEMBER) {
        replica->answers[replica->number] = QUORUM_ANSWER_GRANTED;
    }
}

static void stand(struct replica *replica, uint64_t now_ns)
{
    int32_t epoch = replica->epoch_wanted;
    ASSERT(epoch > replica->promise);
    ASSERT(node_id_equal(epoch_node(epoch), replica->self.from.node)); /* QUO-1 */

    int32_t handed_over = replica->handed_over;
    replica_promise(replica, epoch, now_ns);
    replica_become(replica, REPLICA_CANDIDATE, now_ns);
    replica->is_prevote = false;
    replica->has_asked = false;
    replica->handed_over = handed_over;
    answers_begin(replica);
}

/* Go where the answers lead. */
static void decide(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_CANDIDATE);
    ASSERT(replica->is_prevote || replica->epoch_wanted == replica->promise);

    if (replica->is_prevote) {
        if (quorum_decide_prevote(&replica->set, replica->answers) == QUORUM_DECISION_YES) {
            stand(replica, now_ns);
        }
        return;
    }
    if (quorum_decide_election(&replica->set, replica->answers) == QUORUM_DECISION_YES) {
        leader_begin(replica, now_ns);
    }
}

/* Choose the epoch to stand for. False if the rounds are used up. */
static bool epoch_choose(struct replica *replica)
{
    ASSERT(peers_may_stand(replica));
    ASSERT(replica->role != REPLICA_STOPPED);

    int32_t above = replica->promise;
    if (replica->epoch_seen > above && epoch_is_credible(replica->epoch_seen, above)) {
        above = replica->epoch_seen;
    }
    return epoch_next(above, replica->self.from.node, &replica->epoch_wanted) == PYR_OK;
}

void candidate_begin(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role != REPLICA_LEADER);
    ASSERT(peers_may_stand(replica));

    replica->failures += replica->role == REPLICA_CANDIDATE;
    if (!epochs_has_room(&replica->epochs) ||
        !epoch_choose(replica)) { /* It could open no epoch. */
        replica_become(replica, REPLICA_FOLLOWER, now_ns);
        return;
    }
    replica_become(replica, REPLICA_CANDIDATE, now_ns);
    replica->is_prevote = true;
    replica->handed_over = EPOCH_NONE;
    answers_begin(replica);
    grant_itself(replica);
    ask_all(replica, REPLICA_PREVOTE);
    decide(replica, now_ns);
}

void candidate_succeed(struct replica *replica, int32_t epoch, uint64_t now_ns)
{
    ASSERT(epoch == replica->promise);
    ASSERT(replica->role == REPLICA_FOLLOWER || replica->role == REPLICA_LEADER);

    if (replica->number != QUORUM_NO_MEMBER && epochs_has_room(&replica->epochs) &&
        epoch_choose(replica)) {
        replica->handed_over = epoch;
        stand(replica, now_ns);
    } else if (replica->role == REPLICA_LEADER) {
        replica_become(replica, REPLICA_FOLLOWER, now_ns);
    }
}

void candidate_answer(struct replica *replica, const struct replica_event *event, int32_t member)
{
    const struct replica_message *message = event->message;
    bool is_prevote = message->kind == REPLICA_PREVOTE_ANSWER;
    ASSERT(is_prevote || message->kind == REPLICA_VOTE_ANSWER);
    ASSERT(member != replica->peer);

    bool is_asked = replica->role == REPLICA_CANDIDATE && replica->is_prevote == is_prevote &&
                    message->epoch == replica->epoch_wanted && member < replica->set.member_count;
    if (!is_asked) {
        return;
    }
    const struct replica_ballot *ballot = &message->as.ballot;
    if (is_prevote && ballot->is_removed && message->config_end >= replica->config_end) {
        replica->is_removed = true;
        replica_become(replica, REPLICA_FOLLOWER, event->now_ns);
        return;
    }
    enum quorum_answer answer = ballot->is_granted ? QUORUM_ANSWER_GRANTED : QUORUM_ANSWER_REFUSED;
    (void)quorum_answer_put(&replica->set, replica->answers, member, answer);
    decide(replica, event->now_ns);
}

void candidate_durable(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->promise_durable <= replica->promise);
    ASSERT(replica->set.member_count > 0);

    bool is_ready = replica->role == REPLICA_CANDIDATE && !replica->is_prevote &&
                    !replica->has_asked && replica->promise_durable == replica->promise;
    if (!is_ready) {
        return;
    }
    replica->has_asked = true;
    grant_itself(replica); /* RPL-2: only now. */
    ask_all(replica, REPLICA_VOTE);
    decide(replica, now_ns);
}
