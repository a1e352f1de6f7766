/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/voter - what is granted, and when the answer may leave.
 *
 *     asked       epoch above   log not     nobody    answered
 *                 the promise   behind      leads
 *     PREVOTE     yes           yes         yes       at once
 *     VOTE        yes           yes         yes       when its promise is durable
 *     VOTE, as    yes           yes         who leads       likewise
 *     successor                             asked
 *
 * A voter that grants has promised never to take anything of a lower epoch again. If that promise
 * could be forgotten in a crash, a lower leader might still find its W voters here while the higher
 * one leads: so it is durable before the answer leaves (RPL-2). A vote that is refused promises
 * nothing: who cannot win shall not end the leadership that stands.
 *
 * Why "nobody leads" counts: a leader that serves reads under a lease relies on its voters to grant
 * nobody for a minimum timeout after they heard it; and a replica that has just started may have
 * confirmed such a lease before it fell (RPL-7).
 */
#include "replication/inner.h"

/* Return whether a live leader may be relying on this voter's silence. */
static bool is_bound(const struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->set.member_count > 0);
    ASSERT(now_ns >= replica->live_ns);

    return !peers_are_none(replica) && /* RPL-7 */
           (replica->role == REPLICA_LEADER || now_ns < replica->live_ns + replica->timeout_ns);
}

static bool would_grant(const struct replica *replica,
                        const struct replica_message *message,
                        uint64_t now_ns)
{
    ASSERT(message->kind == REPLICA_PREVOTE || message->kind == REPLICA_VOTE);
    ASSERT(epoch_is_valid(message->epoch));

    const struct replica_candidacy *candidacy = &message->as.candidacy;
    bool is_handed = candidacy->handed_over != EPOCH_NONE &&
                     candidacy->handed_over == replica->promise && message->kind == REPLICA_VOTE;
    bool is_free = is_handed || !is_bound(replica, now_ns);
    if (candidacy->log.end < 0) {
        return false; /* Anything may come. */
    }
    bool is_level = quorum_candidate_is_level(candidacy->log, epochs_position(&replica->epochs)) ||
                    MUTANT(vote_without_log);
    return is_free && is_level && message->epoch > replica->promise;
}

static void ballot_send(struct replica *replica,
                        int32_t member,
                        enum replica_message_kind kind,
                        int32_t epoch,
                        struct replica_ballot ballot)
{
    bool may_leave = !ballot.is_granted || kind == REPLICA_PREVOTE_ANSWER ||
                     replica->promise_durable >= epoch || MUTANT(promise_after_answer);
    ASSERT(may_leave); /* RPL-2 */
    ASSERT(kind == REPLICA_PREVOTE_ANSWER || kind == REPLICA_VOTE_ANSWER);
    struct replica_message *answer = effect_send(replica, member, kind, epoch);
    answer->as.ballot = ballot;
}

void voter_prevote(struct replica *replica, const struct replica_event *event, int32_t member)
{
    const struct replica_message *message = event->message;
    ASSERT(message->kind == REPLICA_PREVOTE);
    ASSERT(member != replica->peer);

    bool is_granted = would_grant(replica, message, event->now_ns);
    ballot_send(replica, member, REPLICA_PREVOTE_ANSWER, message->epoch,
                (struct replica_ballot){.is_granted = is_granted,
                                        .is_removed = peers_have_removed(replica, event, member)});
}

void voter_vote(struct replica *replica, const struct replica_event *event, int32_t member)
{
    const struct replica_message *message = event->message;
    ASSERT(message->kind == REPLICA_VOTE);
    ASSERT(member != replica->peer);

    if (message->epoch == replica->promise && replica->candidate == member) {
        replica->owes_ballot = true; /* Asked again: the answer may have been lost. */
        voter_durable(replica);
        return;
    }
    if (!would_grant(replica, message, event->now_ns)) {
        ballot_send(replica, member, REPLICA_VOTE_ANSWER, message->epoch,
                    (struct replica_ballot){.is_granted = false});
        return;
    }
    replica_promise(replica, message->epoch, event->now_ns);
    replica->owes_ballot = true;
    replica->candidate = peers_follow(replica, member);
    if (MUTANT(promise_after_answer)) {
        voter_durable(replica);
    }
}

void voter_durable(struct replica *replica)
{
    ASSERT(replica->promise_durable <= replica->promise);
    ASSERT(!replica->owes_ballot || replica->candidate != QUORUM_NO_MEMBER);

    bool is_durable = replica->promise_durable == replica->promise; /* RPL-2 */
    if (replica->owes_ballot && (is_durable || MUTANT(promise_after_answer))) {
        replica->owes_ballot = false;
        ballot_send(replica, replica->candidate, REPLICA_VOTE_ANSWER, replica->promise,
                    (struct replica_ballot){.is_granted = true});
    }
}
