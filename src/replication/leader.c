/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/leader - opening an epoch, committing, and letting go.
 *
 *     elected -> OPEN: a control batch of its own epoch -> sent, like all that follows
 *             -> durable on W voters: committed, and with it everything below
 *
 * The opening batch is why a new leader need not wait for a proposal to learn what of its
 * inheritance is committed: entries of older epochs never commit by counting (RPL-6, see
 * quorum/commit.h), they commit below an own one.
 *
 * The leader counts itself like any other voter, by what its own journal has durable, and may
 * commit before that: two followers' disks of W = 2 are enough. It lets go when it hears of a
 * higher epoch, when its round reached too few for a minimum timeout (it could commit nothing, or
 * another leads), or when it has handed over.
 *
 * Handing over is: take no more proposals, wait until the successor is level, tell it to stand at
 * once, and again until it does. From the first time on no lease is believed in this epoch, since
 * that vote may pass the voters' patience, and nobody knows when a message that was delayed comes.
 * So if nothing has come of it after a timeout, this leader cannot go on as before: it hands over
 * to itself, in a new epoch, for which the voters' patience is passed in the same way.
 *
 *     hand over ---> successor level ---> HAND_OVER, once a look ---> its vote: FOLLOWER
 *                         |                        |
 *                         | a timeout              | a timeout
 *                         v                        v
 *                   proposals again          VOTE for an own new epoch, in its own name
 *
 * A change of members is two batches of the log: the joint configuration, and when that is settled
 * the final one, which a later leader writes if this one cannot. Each counts from the moment that
 * it is in the log, so the leader may find itself struck off by a batch that it has appended. It
 * leads on, without counting itself, until that is committed, and then tells the voter that has
 * most to stand.
 */
#include "replication/inner.h"

void leader_begin(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->promise_durable == replica->promise); /* RPL-2 */
    ASSERT(node_id_equal(epoch_node(replica->promise), replica->self.from.node));

    replica_become(replica, REPLICA_LEADER, now_ns);
    replica->opening = -1;
    replica->leading_ns = now_ns;
    replica->successor = QUORUM_NO_MEMBER;
    replica->has_handed_over = false;
    replica->slow_mark = 0;
    replica->owes_final = false;
    replica->failures = 0;
    for (int32_t peer = 0; peer < REPLICA_PEERS_MAX; peer++) {
        replica->matches[peer] = QUORUM_END_UNKNOWN;
        replica->confirmed_ns[peer] = 0;
    }
    progress_begin(replica, now_ns);
    effect_add(replica, REPLICA_EFFECT_OPEN)->epoch = replica->promise;
}

/* Tell the successor to stand, once, if it is level. */
static void successor_tell(struct replica *replica)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->successor != QUORUM_NO_MEMBER);

    bool is_level = replica->matches[replica->successor] == replica->epochs.offset_end;
    if (is_level && !replica->has_handed_over) {
        replica->has_handed_over = true;
        (void)effect_send(replica, replica->successor, REPLICA_HAND_OVER, replica->promise);
    }
}

/* Ask for the final configuration once the joint one is settled (quorum/commit.h). */
static void change_go_on(struct replica *replica)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->config_end <= replica->epochs.offset_end);

    bool is_committed = replica->committed >= replica->config_end || MUTANT(final_too_early);
    bool is_open = replica->opening >= 0 && is_committed && !replica->owes_final;
    if (is_open && replica->set.half_count > 1 && replica->successor == QUORUM_NO_MEMBER) {
        bool is_settled =
            quorum_settled_end(&replica->set, replica->matches) >= replica->config_end ||
            MUTANT(final_too_early);
        if (is_settled) { /* RPL-9 */
            replica->owes_final = true;
            effect_add(replica, REPLICA_EFFECT_CONFIG);
        }
    }
}

void leader_matched(struct replica *replica, int32_t peer)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->opening <= replica->epochs.offset_end);

    bool may_commit = replica->opening >= 0 && replica->matches[peer] > replica->committed;
    if (may_commit) { /* RPL-6 */
        replica_commit(replica, quorum_commit_end(&replica->set, replica->matches, replica->opening,
                                                  replica->committed));
    }
    if (replica->successor == peer) {
        successor_tell(replica);
    }
    if (replica->set.half_count > 1) {
        change_go_on(replica);
    }
}

void leader_appended(struct replica *replica, const struct replica_event *event)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(event->offset_end > replica->epochs.offset_end);
    ASSERT(event->epoch == EPOCH_NONE || event->epoch == replica->promise);

    if (replica->opening < 0) {
        replica->opening = replica->epochs.offset_end;
    }
    epochs_append(&replica->epochs, replica->promise, event->offset_end);
    progress_send(replica);
}

void leader_durable(struct replica *replica)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->durable <= replica->epochs.offset_end);

    bool moves =
        replica->number != QUORUM_NO_MEMBER && replica->matches[replica->number] < replica->durable;
    if (moves) {
        replica->matches[replica->number] = replica->durable;
        leader_matched(replica, replica->number);
    }
}

static uint64_t reach_since_ns(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(now_ns >= replica->leading_ns);

    if (replica->number != QUORUM_NO_MEMBER) {
        replica->confirmed_ns[replica->number] = now_ns;
    }
    uint64_t since_ns = quorum_reach_since_ns(&replica->set, replica->confirmed_ns);
    return since_ns > replica->leading_ns ? since_ns : replica->leading_ns;
}

void leader_changed(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->opening >= 0);

    replica->owes_final = false;
    if (replica->number != QUORUM_NO_MEMBER) {
        replica->matches[replica->number] = replica->durable;
    }
    replica_commit(replica, quorum_commit_end(&replica->set, replica->matches, replica->opening,
                                              replica->committed)); /* W may be less now. */
    change_go_on(replica);
    progress_send(replica);
    ASSERT(now_ns >= replica->leading_ns);
}

/* Return whether a final configuration without this leader is committed. */
static bool is_struck_off(const struct replica *replica)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->set.half_count >= 1);

    return replica->number == QUORUM_NO_MEMBER && replica->set.half_count == 1 &&
           replica->opening >= 0 && replica->committed > replica->opening &&
           replica->committed >= replica->config_end; /* RPL-9 */
}

/* Leave the lead to the voter that has most, and lead no more. */
static void leave(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->number == QUORUM_NO_MEMBER);
    ASSERT(replica->set.member_count > 0);

    int32_t best = 0;
    for (int32_t member = 1; member < replica->set.member_count; member++) {
        best = replica->matches[member] > replica->matches[best] ? member : best;
    }
    (void)effect_send(replica, best, REPLICA_HAND_OVER, replica->promise);
    replica_become(replica, REPLICA_FOLLOWER, now_ns);
}

/* Tell the successor once more, or give it up if its time is over. */
static void hand_over_again(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->successor != QUORUM_NO_MEMBER);

    bool is_late = now_ns > replica->patient_ns + replica->timeout_ns;
    if (!is_late) {
        if (replica->has_handed_over) {
            (void)effect_send(replica, replica->successor, REPLICA_HAND_OVER, replica->promise);
        }
        return;
    }
    replica->successor = QUORUM_NO_MEMBER;
    if (replica->has_handed_over && MUTANT(lease_after_hand_over)) {
        replica->has_handed_over = false;
    } else if (replica->has_handed_over) {
        candidate_succeed(replica, replica->promise, now_ns);
    }
}

/* Begin to hand over to @member. */
static void hand_over_begin(struct replica *replica, int32_t member, uint64_t now_ns)
{
    ASSERT(member >= 0 && member < replica->set.member_count);
    ASSERT(member != replica->number);

    replica->successor = member;
    replica->patient_ns = now_ns;
    successor_tell(replica);
}

void leader_time(struct replica *replica, const struct replica_event *event)
{
    uint64_t now_ns = event->now_ns;
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->timeout_ns > 0);

    if (now_ns > reach_since_ns(replica, now_ns) + replica->timeout_ns) {
        replica_become(replica, REPLICA_FOLLOWER, now_ns);
        return;
    }
    if (is_struck_off(replica)) {
        leave(replica, now_ns);
        return;
    }
    replica->owes_final = false; /* It may not have been possible. */
    change_go_on(replica);
    int32_t better = slow_successor(replica, event);
    if (replica->successor != QUORUM_NO_MEMBER) {
        hand_over_again(replica, now_ns);
    } else if (better != QUORUM_NO_MEMBER && replica->opening >= 0) {
        hand_over_begin(replica, better, now_ns);
    }
    if (replica->role == REPLICA_LEADER) {
        progress_time(replica, now_ns);
    }
}

void leader_hand_over(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->kind == REPLICA_EVENT_HAND_OVER);
    ASSERT(event->now_ns >= replica->live_ns);

    bool is_possible = replica->role == REPLICA_LEADER && !replica->has_handed_over &&
                       replica->opening >= 0 && event->member >= 0 &&
                       event->member < replica->set.member_count &&
                       event->member != replica->number;
    if (is_possible) {
        hand_over_begin(replica, event->member, event->now_ns);
    }
}
