/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/follower - taking what the leader sends: where it belongs, what gives way to it, what
 * is acknowledged.
 *
 *     ours      |1.1 .......|2.3 ....|          before = (2.3, 47): there, so that all below is
 *     append            (2.3, 47)|5.2 .....|    alike (EPT-2); what follows is taken
 *
 *     ours      |1.1 .......|2.3 ....|3.1 ...|  likewise, but 3.1 stands where 5.2 shall be:
 *     append            (2.3, 47)|5.2 .....|    cut at 47, in the journal, before it goes on
 *
 *     ours      |1.1 .......|3.1 .......|       2.3 is not there: the answer says where our newest
 *     append            (2.3, 47)|5.2 .....|    epoch up to 2.3 ends, and the leader tries below
 *
 * Only what differs is cut (RPL-4). An append that was delayed, or sent twice, may end before the
 * log does, or lie wholly inside it: what is there already stays, with everything behind it. What
 * is acknowledged is the end of what was compared, and not of the log: behind it there may be
 * batches of a leader that lost (RPL-3). For the same reason a commit end that the leader tells is
 * believed only up to what was found alike since this epoch began here (RPL-5). Who starts anew in
 * an epoch has found nothing alike; it says so when it hears that leader, and is asked.
 */
#include "replication/inner.h"

static bool place_is_there(const struct replica *replica, struct quorum_position before)
{
    ASSERT(before.end >= 0);
    ASSERT(before.epoch <= replica->promise);

    return before.end <= replica->epochs.offset_end &&
           epochs_before(&replica->epochs, before.end) == before.epoch;
}

/* Return how far the log holds what the leader sends, from its place on. */
static int64_t held_end(const struct replica *replica, const struct replica_batches *batches)
{
    const struct epoch_table *epochs = &replica->epochs;
    int64_t place = batches->before.end;
    ASSERT(place <= epochs->offset_end);
    ASSERT(batches->offset_end >= place);

    if (place == epochs->offset_end || epochs_before(epochs, place + 1) != batches->epoch) {
        return place;
    }
    int64_t end = epochs_end_of(epochs, batches->epoch).end;
    return end < batches->offset_end ? end : batches->offset_end;
}

/* Cut what differs at @offset. False: it is committed, and the replica stands still. */
static bool cut(struct replica *replica, int64_t offset)
{
    ASSERT(offset < replica->epochs.offset_end);
    ASSERT(offset >= 0);

    if (offset < replica->committed) {
        replica_stop(replica, replica->promise, offset);
        return false;
    }
    effect_add(replica, REPLICA_EFFECT_TRUNCATE)->offset = offset;
    epochs_truncate(&replica->epochs, offset);
    replica->durable = replica->durable < offset ? replica->durable : offset;
    return true;
}

/* The leader says that everything below @committed is. */
static void commit_notice(struct replica *replica, int64_t committed)
{
    ASSERT(replica->role == REPLICA_FOLLOWER);
    ASSERT(replica->alike <= replica->epochs.offset_end);

    int64_t known = replica->alike; /* RPL-5 */
    if (MUTANT(notice_before_match)) {
        known = replica->epochs.offset_end;
    }
    replica_commit(replica, committed < known ? committed : known);
}

static void take(struct replica *replica, const struct replica_batches *batches)
{
    ASSERT(batches->before.end <= replica->epochs.offset_end);
    ASSERT(epochs_has_room(&replica->epochs));

    int64_t held = held_end(replica, batches);
    if (MUTANT(cut_by_short_append) && batches->offset_end < replica->epochs.offset_end) {
        (void)cut(replica, batches->offset_end);
    }
    if (held < batches->offset_end) {
        if (held < replica->epochs.offset_end && !cut(replica, held)) {
            return;
        }
        effect_add(replica, REPLICA_EFFECT_APPEND)->offset = held;
        epochs_append(&replica->epochs, batches->epoch, batches->offset_end);
    }
    replica->alike = replica->alike > batches->offset_end ? replica->alike : batches->offset_end;
    replica->owes_answer |= replica->durable >= batches->offset_end;
    commit_notice(replica, batches->committed);
}

/* Follow the leader of @epoch, which is @member. Its first message makes a new count. */
static void follow(struct replica *replica, int32_t epoch, int32_t member, uint64_t now_ns)
{
    ASSERT(epoch >= replica->promise);
    ASSERT(member != replica->peer);

    if (epoch > replica->promise && !MUTANT(append_without_promise)) {
        replica_promise(replica, epoch, now_ns);
    }
    if (replica->role != REPLICA_FOLLOWER) {
        replica_become(replica, REPLICA_FOLLOWER, now_ns);
    }
    replica->leader = peers_follow(replica, member);
    replica->owes_ballot = false;
    replica->failures = 0;
    replica->is_removed = false;
    replica->live_ns = now_ns;
    replica->patient_ns = now_ns;
}

static bool batches_make_sense(const struct replica_message *message)
{
    const struct replica_batches *batches = &message->as.batches;
    ASSERT(message->kind == REPLICA_APPEND);
    ASSERT(epoch_is_valid(message->epoch));

    bool is_empty = batches->offset_end == batches->before.end;
    bool is_risen =
        is_empty || (epoch_is_valid(batches->epoch) && batches->epoch >= batches->before.epoch &&
                     batches->epoch <= message->epoch);
    return batches->before.end >= 0 && batches->before.epoch <= message->epoch &&
           batches->offset_end >= batches->before.end && is_risen;
}

void follower_append(struct replica *replica, const struct replica_event *event, int32_t member)
{
    const struct replica_message *message = event->message;
    const struct replica_batches *batches = &message->as.batches;
    ASSERT(message->kind == REPLICA_APPEND);
    ASSERT(member != replica->peer);

    if (message->epoch < replica->promise) { /* RPL-1; the promise in the answer says why. */
        struct replica_message *answer =
            effect_send(replica, member, REPLICA_APPEND_ANSWER, message->epoch);
        answer->as.answer.place = batches->before.end;
        answer->as.answer.durable = QUORUM_END_UNKNOWN;
        return;
    }
    if (!batches_make_sense(message) || !epochs_has_room(&replica->epochs)) {
        return;
    }
    follow(replica, message->epoch, member, event->now_ns);
    replica->place = batches->before.end;
    replica->place_epoch = batches->before.epoch;
    if (place_is_there(replica, batches->before)) {
        take(replica, batches);
    } else {
        replica->owes_fork = true;
        if (MUTANT(cut_at_commit) && replica->committed < replica->epochs.offset_end) {
            (void)cut(replica, replica->committed);
        }
    }
    follower_durable(replica);
}

void follower_live(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->kind == REPLICA_EVENT_LIVE);
    ASSERT(peers_know(replica, event->member));

    bool is_theirs =
        event->epoch >= replica->promise && event->member != replica->peer &&
        epoch_is_credible(event->epoch, replica->promise) &&
        node_id_equal(epoch_node(event->epoch), replica_peer(replica, event->member)->node);
    if (!is_theirs) {
        return;
    }
    follow(replica, event->epoch, event->member, event->now_ns);
    commit_notice(replica, event->committed);
    /* Nothing, or only what an old message brought, was compared since the start. */
    replica->owes_unknown =
        replica->alike == QUORUM_END_UNKNOWN || replica->alike < event->committed;
    follower_durable(replica);
}

void follower_durable(struct replica *replica)
{
    ASSERT(replica->promise_durable <= replica->promise);
    ASSERT(replica->durable <= replica->epochs.offset_end);

    bool may_speak = replica->role == REPLICA_FOLLOWER && replica->leader != QUORUM_NO_MEMBER &&
                     replica->promise_durable == replica->promise; /* RPL-2 */
    if (!may_speak) {
        return;
    }
    if (replica->owes_fork) {
        struct replica_message *message =
            effect_send(replica, replica->leader, REPLICA_APPEND_ANSWER, replica->promise);
        message->as.answer =
            (struct replica_answer){.outcome = REPLICA_OUTCOME_FORK,
                                    .place = replica->place,
                                    .durable = QUORUM_END_UNKNOWN,
                                    .fork = epochs_end_of(&replica->epochs, replica->place_epoch)};
        replica->owes_fork = false;
    }
    if (replica->owes_unknown) {
        struct replica_message *message =
            effect_send(replica, replica->leader, REPLICA_APPEND_ANSWER, replica->promise);
        message->as.answer = (struct replica_answer){.outcome = REPLICA_OUTCOME_UNKNOWN,
                                                     .durable = QUORUM_END_UNKNOWN};
        replica->owes_unknown = false;
    }
    int64_t durable = replica->alike < replica->durable ? replica->alike : replica->durable;
    if (MUTANT(ack_own_length) && replica->alike >= 0) {
        durable = replica->durable;
    }
    if (MUTANT(ack_before_flush)) {
        durable = replica->alike;
    }
    if (durable > replica->answered || replica->owes_answer) {
        struct replica_message *message =
            effect_send(replica, replica->leader, REPLICA_APPEND_ANSWER, replica->promise);
        message->as.answer = (struct replica_answer){.outcome = REPLICA_OUTCOME_ALIKE,
                                                     .place = replica->place,
                                                     .durable = durable};
        bool is_alike = durable <= replica->alike || MUTANT(ack_own_length);
        ASSERT(is_alike); /* RPL-3 */
        replica->answered = durable;
        replica->owes_answer = false;
    }
}
