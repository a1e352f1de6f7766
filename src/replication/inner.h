/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/inner - what the files of a replica say to each other.
 *
 * Threads: as replica.h.
 */
#ifndef REPLICATION_INNER_H
#define REPLICATION_INNER_H

#include "base/assert.h"
#include "base/mutant.h"
#include "quorum/commit.h"
#include "quorum/lease.h"
#include "replication/replica.h"

/* -- peers.c -- */

/** Return whether @number is of a peer or of a stranger. */
static inline bool peers_know(const struct replica *replica, int32_t number)
{
    bool is_stranger = number == REPLICA_STRANGER_FOLLOWED || number == REPLICA_STRANGER_ASKING;
    return number >= 0 && (number < replica->peer_count || is_stranger);
}

/** Return whether nobody else has ever voted: there is no lease but the own. Under a configuration
 * of the log somebody who is struck off may still be leading, and rely on this voter. */
static inline bool peers_are_none(const struct replica *replica)
{
    return replica->set.member_count == 1 && replica->number == 0 && replica->config_end == 0;
}

/** Return whether this replica stands when it hears no leader: if it votes; and if it does not, but
 * may have until a final configuration that it does not know to be committed. Its log may be the
 * only one that has that, so that nobody else can win: then it leads, without counting itself. Not
 * if it was told that it is removed. */
static inline bool peers_may_stand(const struct replica *replica)
{
    bool is_struck_off = replica->set.half_count == 1 && replica->committed < replica->config_end;
    return !replica->is_removed && (replica->number != QUORUM_NO_MEMBER || is_struck_off);
}

/** Begin with @config, and @next during a change to it, else NULL: who decides, who learns, and
 * which of them this replica is. Borrows. */
void peers_init(struct replica *replica,
                const struct quorum_config *config,
                const struct quorum_config *next);

/** Return the number of the sender of a message, who may be a stranger; QUORUM_NO_MEMBER: it is
 * nobody to listen to. */
int32_t peers_sender(struct replica *replica, const struct replica_event *event);

/** Return whether @member, who asks in @event, is removed: a final configuration without it is
 * committed, and it knows of no newer one. */
bool peers_have_removed(const struct replica *replica,
                        const struct replica_event *event,
                        int32_t member);

/** Return the number of @member from now on, when it is followed or was granted a vote. */
int32_t peers_follow(struct replica *replica, int32_t member);

/** Return whether those vote, and by those rules, who vote now. */
bool peers_vote_alike(const struct replica *replica, const struct quorum_config *config);

/** Go by the configuration of @event from now on. */
void peers_change(struct replica *replica, const struct replica_event *event);

/* -- Effects -- */

/** Add an effect to this step. Its message is not set. */
static inline struct replica_effect *effect_add(struct replica *replica,
                                                enum replica_effect_kind kind)
{
    ASSERT(replica->effect_count < REPLICA_EFFECTS_MAX);
    ASSERT(replica->role != REPLICA_STOPPED);

    struct replica_effect *effect = &replica->effects[replica->effect_count++];
    effect->kind = kind;
    effect->member = QUORUM_NO_MEMBER;
    effect->epoch = EPOCH_NONE;
    effect->offset = -1;
    return effect;
}

/** Add a message of @kind about @epoch to @member, its body zeroed. */
static inline struct replica_message *effect_send(struct replica *replica,
                                                  int32_t member,
                                                  enum replica_message_kind kind,
                                                  int32_t epoch)
{
    ASSERT(peers_know(replica, member));
    ASSERT(member != replica->peer);

    struct replica_effect *effect = effect_add(replica, REPLICA_EFFECT_SEND);
    effect->member = member;
    effect->message = (struct replica_message){.kind = kind,
                                               .epoch = epoch,
                                               .promise = replica->promise_durable,
                                               .config_end = replica->config_end};
    return &effect->message;
}

/* -- replica.c -- */

/** Raise the promise to @epoch, above it: whatever was led, stood for or owed under a lower one is
 * over. */
void replica_promise(struct replica *replica, int32_t epoch, uint64_t now_ns);

/** Be @role from now on. */
void replica_become(struct replica *replica, enum replica_role role, uint64_t now_ns);

/** Move the commit end up to @offset, if that is further. */
void replica_commit(struct replica *replica, int64_t offset);

/** Do nothing any more: a leader of @epoch wants a cut at @offset, below the commit end. */
void replica_stop(struct replica *replica, int32_t epoch, int64_t offset);

/* -- voter.c -- */

/** Tell @member whether it would be elected. */
void voter_prevote(struct replica *replica, const struct replica_event *event, int32_t member);

/** Grant @member its vote, or refuse it. */
void voter_vote(struct replica *replica, const struct replica_event *event, int32_t member);

/** Answer the vote that waited for the promise to be durable. */
void voter_durable(struct replica *replica);

/* -- candidate.c -- */

/** Ask all voters whether they would elect this replica. */
void candidate_begin(struct replica *replica, uint64_t now_ns);

/** Stand at once, as the leader of @epoch asked, which may be this replica. If it cannot, it is a
 * follower. */
void candidate_succeed(struct replica *replica, int32_t epoch, uint64_t now_ns);

/** Count the answer of @member to a vote or pre-vote. */
void candidate_answer(struct replica *replica, const struct replica_event *event, int32_t member);

/** Ask for votes, once the own promise is durable. */
void candidate_durable(struct replica *replica, uint64_t now_ns);

/* -- leader.c -- */

/** Lead the epoch of the promise, for which enough was granted. */
void leader_begin(struct replica *replica, uint64_t now_ns);

/** Note that the log goes on, and send it. */
void leader_appended(struct replica *replica, const struct replica_event *event);

/** Note what the own journal has. */
void leader_durable(struct replica *replica);

/** Look around: who is in reach, who has been silent, whether the own disk is slow. */
void leader_time(struct replica *replica, const struct replica_event *event);

/** Go on under the configuration that has just changed. */
void leader_changed(struct replica *replica, uint64_t now_ns);

/** Begin to hand over. */
void leader_hand_over(struct replica *replica, const struct replica_event *event);

/** Commit what W voters have, now that @peer has more than before, and hand over if it is the
 * successor and level. Only who has more than is committed can move the commit end. */
void leader_matched(struct replica *replica, int32_t peer);

/* -- progress.c -- */

/** Begin anew with all followers. */
void progress_begin(struct replica *replica, uint64_t now_ns);

/** Send every follower what it may be sent. */
void progress_send(struct replica *replica);

/** Begin with follower @peer, of whom nothing is known. */
void progress_meet(struct replica *replica, int32_t peer, uint64_t now_ns);

/** Note what was sent to a follower, and send it more. */
void progress_sent(struct replica *replica, const struct replica_event *event);

/** Note what @member has, or where to try next. */
void progress_answer(struct replica *replica, const struct replica_event *event, int32_t member);

/** Ask followers again that have been silent for too long. */
void progress_time(struct replica *replica, uint64_t now_ns);

/* -- follower.c -- */

/** Take what @member sent, if it leads: see the opening comment of follower.c. */
void follower_append(struct replica *replica, const struct replica_event *event, int32_t member);

/** Note that a leader is alive. */
void follower_live(struct replica *replica, const struct replica_event *event);

/** Acknowledge what has become durable. */
void follower_durable(struct replica *replica);

/* -- slow.c -- */

/** Note that batches up to @offset_end went to a follower. */
void slow_sent(struct replica_progress *progress, int64_t offset_end, uint64_t now_ns);

/** Note that a follower has the log durable up to @durable. */
void slow_answered(struct replica_progress *progress, int64_t durable, uint64_t now_ns);

/** Return the voter that should lead instead, since the own disk, whose oldest flush has been under
 * way for @waiting_ns, is far slower than others; QUORUM_NO_MEMBER: none. */
int32_t slow_successor(struct replica *replica, const struct replica_event *event);

/* -- reads.c -- */

/** Tell @member how far the log reaches. */
void reads_tail(struct replica *replica, const struct replica_event *event, int32_t member);

#endif /* REPLICATION_INNER_H */
