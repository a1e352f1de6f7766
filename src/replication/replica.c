/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/replica - the step: fencing, roles, and when to be called again.
 */
#include "replication/replica.h"

#include "replication/inner.h"

enum {
    /* Of the minimum timeout: how often a leader looks around, and how far apart the voters stand.
     */
    LEADER_TIMES = 4,
    STAGGER_TIMES = 8,

    /* Patience doubles so often with each election that came to nothing. */
    BACK_OFF_MAX = 6,

    /* A lease is believed for all but this part of a timeout: clocks drift. */
    LEASE_MARGIN = 8,
};

/* -- Changes of state -- */

static void jitter_draw(struct replica *replica)
{
    ASSERT(replica->timeout_ns > 0);
    ASSERT(replica->number >= QUORUM_NO_MEMBER);

    uint32_t doublings = replica->failures < BACK_OFF_MAX ? replica->failures : BACK_OFF_MAX;
    bool is_voter = replica->number != QUORUM_NO_MEMBER;
    int32_t place = is_voter ? replica->number : replica->set.member_count;
    uint64_t stagger_ns = (uint64_t)(place + 1) * (replica->timeout_ns / STAGGER_TIMES);
    replica->jitter_ns = stagger_ns + prng_below(&replica->prng, replica->timeout_ns << doublings);
}

void replica_become(struct replica *replica, enum replica_role role, uint64_t now_ns)
{
    ASSERT(replica->role != REPLICA_STOPPED);
    ASSERT(role != REPLICA_LEADER || replica->role == REPLICA_CANDIDATE);

    if (replica->role != role) {
        effect_add(replica, REPLICA_EFFECT_ROLE);
    }
    replica->role = role;
    replica->leader = QUORUM_NO_MEMBER;
    replica->patient_ns = now_ns;
    jitter_draw(replica);
}

void replica_promise(struct replica *replica, int32_t epoch, uint64_t now_ns)
{
    ASSERT(epoch > replica->promise); /* RPL-1 */
    ASSERT(epoch_is_valid(epoch));

    replica->promise = epoch;
    replica->alike = QUORUM_END_UNKNOWN;
    replica->answered = QUORUM_END_UNKNOWN;
    replica->owes_answer = false;
    replica->owes_fork = false;
    replica->owes_unknown = false;
    replica->owes_ballot = false;
    replica->candidate = QUORUM_NO_MEMBER;
    replica_become(replica, REPLICA_FOLLOWER, now_ns);
    effect_add(replica, REPLICA_EFFECT_PROMISE)->epoch = epoch;
}

void replica_commit(struct replica *replica, int64_t offset)
{
    ASSERT(offset <= replica->epochs.offset_end);
    ASSERT(replica->committed >= 0);

    if (offset > replica->committed) {
        replica->committed = offset;
        effect_add(replica, REPLICA_EFFECT_COMMIT)->offset = offset;
    }
}

void replica_stop(struct replica *replica, int32_t epoch, int64_t offset)
{
    ASSERT(offset < replica->committed); /* RPL-4 */
    ASSERT(replica->role != REPLICA_STOPPED);

    struct replica_effect *effect = effect_add(replica, REPLICA_EFFECT_STOP);
    effect->epoch = epoch;
    effect->offset = offset;
    replica->role = REPLICA_STOPPED;
}

void replica_init(struct replica *replica, const struct replica_start *start)
{
    ASSERT(start->timeout_ns >= STAGGER_TIMES);
    ASSERT(start->committed <= start->epochs.offset_end);
    ASSERT(start->promise >= epochs_position(&start->epochs).epoch);
    ASSERT(start->effects);
    ASSERT(start->progress);

    *replica = (struct replica){
        .self = start->self,
        .prng = prng_of(start->seed, 1),
        .epochs = start->epochs,
        .durable = start->epochs.offset_end,
        .committed = start->committed,
        .promise = start->promise,
        .promise_durable = start->promise,
        .timeout_ns = start->timeout_ns,
        .live_ns = start->now_ns, /* RPL-7: as if a leader had just been heard. */
        .patient_ns = start->now_ns,
        .leader = QUORUM_NO_MEMBER,
        .alike = QUORUM_END_UNKNOWN,
        .answered = QUORUM_END_UNKNOWN,
        .candidate = QUORUM_NO_MEMBER,
        .successor = QUORUM_NO_MEMBER,
        .opening = -1,
        .config_end = start->config_end,
        .progress = start->progress,
        .progress_max = start->progress_max,
        .effects = start->effects,
    };
    peers_init(replica, start->config, start->config_next);
    jitter_draw(replica);
    if (MUTANT(lease_survives_restart)) {
        replica->live_ns -= replica->timeout_ns;
    }
    bool is_alone = peers_are_none(replica);
    replica->deadline_ns = is_alone ? start->now_ns : UINT64_MAX;
    if (!is_alone && peers_may_stand(replica)) {
        replica->deadline_ns = start->now_ns + replica->timeout_ns + replica->jitter_ns;
    }
}

/* -- Messages -- */

/* Whether @message can only come from who leads its epoch, or stands for it, and does not. */
static bool is_forged(const struct replica_message *message, const struct quorum_member *from)
{
    ASSERT(message->kind < REPLICA_MESSAGE_KINDS);
    ASSERT(from->node.value > 0);

    bool is_leaders = message->kind == REPLICA_PREVOTE || message->kind == REPLICA_VOTE ||
                      message->kind == REPLICA_APPEND || message->kind == REPLICA_HAND_OVER;
    return is_leaders && (!epoch_is_valid(message->epoch) ||
                          !node_id_equal(epoch_node(message->epoch), from->node));
}

static void take_hand_over(struct replica *replica,
                           const struct replica_event *event,
                           int32_t member)
{
    ASSERT(event->message->kind == REPLICA_HAND_OVER);
    ASSERT(member != replica->peer);

    bool is_from_leader = event->message->epoch == replica->promise &&
                          replica->role == REPLICA_FOLLOWER && replica->leader == member;
    if (is_from_leader) {
        candidate_succeed(replica, event->message->epoch, event->now_ns);
    }
}

/* Whether @epoch is near enough to what is known here to be somebody's. */
static bool is_credible(const struct replica *replica, int32_t epoch)
{
    ASSERT(replica->promise >= EPOCH_NONE);

    return epoch <= replica->promise || epoch_is_credible(epoch, replica->promise);
}

static void take_message(struct replica *replica, const struct replica_event *event)
{
    const struct replica_message *message = event->message;
    ASSERT(message->kind > REPLICA_MESSAGE_NONE && message->kind < REPLICA_MESSAGE_KINDS);

    bool is_our_log = log_id_equal(&event->from->log, &replica->self.log);
    int32_t member = is_our_log ? peers_sender(replica, event) : QUORUM_NO_MEMBER;
    bool is_ours = member != QUORUM_NO_MEMBER && member != replica->peer;
    if (!is_ours || !is_credible(replica, message->epoch) ||
        !is_credible(replica, message->promise) || is_forged(message, &event->from->from)) {
        return;
    }
    if (message->promise > replica->epoch_seen) {
        replica->epoch_seen = message->promise;
    }
    bool is_overtaken = replica->role == REPLICA_LEADER && message->promise > replica->promise &&
                        message->epoch == replica->promise && !MUTANT(refused_leader_goes_on);
    if (is_overtaken) { /* RPL-1: a refusal is enough. */
        replica_become(replica, REPLICA_FOLLOWER, event->now_ns);
        return;
    }
    switch (message->kind) {
    case REPLICA_PREVOTE:
        voter_prevote(replica, event, member);
        return;
    case REPLICA_VOTE:
        voter_vote(replica, event, member);
        return;
    case REPLICA_PREVOTE_ANSWER:
    case REPLICA_VOTE_ANSWER:
        candidate_answer(replica, event, member);
        return;
    case REPLICA_APPEND:
        follower_append(replica, event, member);
        return;
    case REPLICA_APPEND_ANSWER:
        progress_answer(replica, event, member);
        return;
    case REPLICA_HAND_OVER:
        take_hand_over(replica, event, member);
        return;
    case REPLICA_TAIL:
        reads_tail(replica, event, member);
        return;
    case REPLICA_TAIL_ANSWER: /* The reader has it. */
    case REPLICA_MESSAGE_NONE:
    case REPLICA_MESSAGE_KINDS:
        return;
    }
}

/* -- The step -- */

static void take_durable(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->offset_end <= replica->epochs.offset_end);
    ASSERT(event->epoch <= replica->promise);
    ASSERT(replica->promise_durable <= replica->promise);

    if (event->offset_end > replica->durable) {
        replica->durable = event->offset_end;
    }
    if (event->epoch > replica->promise_durable) {
        replica->promise_durable = event->epoch;
    }
    switch (replica->role) {
    case REPLICA_FOLLOWER:
        voter_durable(replica);
        follower_durable(replica);
        return;
    case REPLICA_CANDIDATE:
        candidate_durable(replica, event->now_ns);
        return;
    case REPLICA_LEADER:
        leader_durable(replica);
        return;
    case REPLICA_STOPPED:
        return;
    }
}

static void take_time(struct replica *replica, const struct replica_event *event)
{
    uint64_t now_ns = event->now_ns;
    ASSERT(replica->role != REPLICA_STOPPED);
    ASSERT(now_ns >= replica->live_ns);

    if (now_ns < replica->deadline_ns) {
        return;
    }
    if (replica->role == REPLICA_LEADER) {
        leader_time(replica, event);
    } else if (peers_may_stand(replica)) {
        candidate_begin(replica, now_ns);
    }
}

static void take_confirmed(struct replica *replica, const struct replica_event *event)
{
    ASSERT(peers_know(replica, event->member));

    bool is_ours = replica->role == REPLICA_LEADER && event->epoch == replica->promise &&
                   event->member < replica->peer_count && event->sent_ns <= event->now_ns;
    if (is_ours && event->sent_ns > replica->confirmed_ns[event->member]) {
        replica->confirmed_ns[event->member] = event->sent_ns;
    }
}

static void take_config(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->config);
    ASSERT(event->offset_end >= 0);

    if (replica->role == REPLICA_CANDIDATE) { /* Its log does not change while it stands. */
        replica_become(replica, REPLICA_FOLLOWER, event->now_ns);
    }
    bool ends = !event->config_next && replica->set.half_count > 1;
    if (replica->role == REPLICA_LEADER && !ends) { /* RPL-9 */
        ASSERT(replica_may_change(replica));
        ASSERT(event->config_next || peers_vote_alike(replica, event->config));
    }
    peers_change(replica, event);
    if (replica->role == REPLICA_LEADER) {
        leader_changed(replica, event->now_ns);
    }
}

/* Say when to be called again. A leader's deadline moves only when it has looked around: were it
 * moved by whatever comes after it, a busy leader would never look. */
static void deadline_set(struct replica *replica, bool has_looked, uint64_t now_ns)
{
    ASSERT(replica->timeout_ns > 0);
    ASSERT(replica->role != REPLICA_LEADER || now_ns >= replica->leading_ns);

    if (replica->role == REPLICA_LEADER) {
        bool is_over = has_looked && replica->deadline_ns <= now_ns;
        if (is_over || replica->leading_ns == now_ns) {
            replica->deadline_ns = now_ns + replica->timeout_ns / LEADER_TIMES;
        }
    } else if (replica->role == REPLICA_STOPPED || !peers_may_stand(replica)) {
        replica->deadline_ns = UINT64_MAX;
    } else {
        replica->deadline_ns = replica->patient_ns + replica->timeout_ns + replica->jitter_ns;
    }
}

void replica_step(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->kind <= REPLICA_EVENT_HAND_OVER);

    replica->effect_count = 0;
    if (replica->role == REPLICA_STOPPED) {
        return;
    }
    ASSERT(replica->committed <= replica->epochs.offset_end);
    switch (event->kind) {
    case REPLICA_EVENT_TIME:
        take_time(replica, event);
        break;
    case REPLICA_EVENT_MESSAGE:
        take_message(replica, event);
        break;
    case REPLICA_EVENT_APPENDED:
        leader_appended(replica, event);
        break;
    case REPLICA_EVENT_SENT:
        progress_sent(replica, event);
        break;
    case REPLICA_EVENT_DURABLE:
        take_durable(replica, event);
        break;
    case REPLICA_EVENT_LIVE:
        follower_live(replica, event);
        break;
    case REPLICA_EVENT_CONFIRMED:
        take_confirmed(replica, event);
        break;
    case REPLICA_EVENT_CONFIG:
        take_config(replica, event);
        break;
    case REPLICA_EVENT_HAND_OVER:
        leader_hand_over(replica, event);
        break;
    }
    deadline_set(replica, event->kind == REPLICA_EVENT_TIME, event->now_ns);
    ASSERT(replica->durable <= replica->epochs.offset_end);
}

bool replica_may_change(const struct replica *replica)
{
    ASSERT(replica->set.half_count >= 1);

    bool is_committed = replica->opening >= 0 && replica->committed > replica->opening &&
                        replica->committed >= replica->config_end; /* RPL-9 */
    return replica_takes_proposals(replica) && replica->set.half_count == 1 && is_committed;
}

bool replica_takes_proposals(const struct replica *replica)
{
    ASSERT(replica->set.member_count > 0);

    return replica->role == REPLICA_LEADER && replica->opening >= 0 &&
           replica->successor == QUORUM_NO_MEMBER;
}

/* Return since when enough voters have confirmed this leader, itself as of @own_ns; 0: they have
 * not, or it does not lead, or does not know yet what of its inheritance is committed. */
static uint64_t confirmed_since_ns(const struct replica *replica, uint64_t own_ns)
{
    ASSERT(replica->set.member_count > 0);
    ASSERT(own_ns > 0);

    bool is_open = replica->role == REPLICA_LEADER && replica->opening >= 0 &&
                   replica->committed > replica->opening;
    if (!is_open) {
        return 0;
    }
    uint64_t confirmed_ns[QUORUM_MEMBERS_MAX];
    memcpy(confirmed_ns, replica->confirmed_ns, sizeof confirmed_ns);
    if (replica->number != QUORUM_NO_MEMBER) {
        confirmed_ns[replica->number] = own_ns;
    }
    return quorum_lease_since_ns(&replica->set, confirmed_ns);
}

bool replica_lease_holds(const struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->timeout_ns > 0);

    uint64_t since_ns = confirmed_since_ns(replica, now_ns);
    uint64_t length_ns = replica->timeout_ns - replica->timeout_ns / LEASE_MARGIN;
    return since_ns > 0 && !replica->has_handed_over && now_ns < since_ns + length_ns;
}

bool replica_barrier_holds(const struct replica *replica, uint64_t since_ns)
{
    ASSERT(since_ns < UINT64_MAX);

    uint64_t confirmed_ns = confirmed_since_ns(replica, UINT64_MAX);
    return confirmed_ns > (MUTANT(barrier_reuses_confirmation) ? 0 : since_ns); /* RPL-8 */
}

void replica_undone(struct replica *replica, int64_t offset_end)
{
    ASSERT(replica->role != REPLICA_LEADER);
    ASSERT(offset_end <= replica->epochs.offset_end);

    epochs_truncate(&replica->epochs, offset_end);
    replica->alike = replica->alike < offset_end ? replica->alike : offset_end;
    replica->durable = replica->durable < offset_end ? replica->durable : offset_end;
    replica->committed = replica->committed < offset_end ? replica->committed : offset_end;
}
