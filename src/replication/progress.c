/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/progress - what the leader sends each follower, and how it finds where to begin.
 *
 *              new leader, or silence for too long
 *                            |
 *                            v        alike at `next`
 *        not there: --->  PROBING  --------------------> STREAMING --+
 *        try below the       ^                             |         | batches, up to a window,
 *        fork (epochs.h)     +-------- not there ----------+ <-------+ without waiting
 *
 * A probe is an APPEND without batches: is the batch before `next` in your log? While it is out,
 * nothing else goes, so that a follower that is far off costs one small message a try. A stream
 * does not wait: up to REPLICA_FLIGHTS_MAX messages and REPLICA_WINDOW_BYTES of batches are on
 * their way, each of one epoch, so that the follower can keep its own table of epochs. An
 * acknowledgement names a length and stands for everything below, so that a lost one is mended by
 * the next, and a lost batch by asking again after a while.
 *
 * What is believed of a follower only ever grows within an epoch: an answer that was delayed, or
 * comes twice, changes nothing.
 */
#include "replication/inner.h"

static void flights_clear(struct replica_progress *progress)
{
    ASSERT(progress->flight_count <= REPLICA_FLIGHTS_MAX);
    ASSERT(progress->flight_count > 0 || progress->bytes == 0);

    progress->flight_first = 0;
    progress->flight_count = 0;
    progress->bytes = 0;
}

static void probe_from(struct replica_progress *progress, int64_t next, uint64_t now_ns)
{
    ASSERT(next >= 0);
    ASSERT(progress->flight_count <= REPLICA_FLIGHTS_MAX);

    flights_clear(progress);
    progress->next = next;
    progress->is_probing = true;
    progress->has_asked = false;
    progress->moved_ns = now_ns;
}

void progress_meet(struct replica *replica, int32_t peer, uint64_t now_ns)
{
    ASSERT(peer < replica->progress_max);
    ASSERT(replica->role == REPLICA_LEADER);

    replica->progress[peer] = (struct replica_progress){0};
    probe_from(&replica->progress[peer], replica->epochs.offset_end, now_ns);
}

void progress_begin(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(now_ns == replica->leading_ns);

    for (int32_t member = 0; member < replica->peer_count; member++) {
        progress_meet(replica, member, now_ns);
    }
}

/* Put what follows on `next` into @message: the place, and batches of one epoch up to @offset_end.
 */
static void batches_put(const struct replica *replica,
                        int64_t next,
                        int64_t offset_end,
                        struct replica_message *message)
{
    ASSERT(next <= offset_end);
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(offset_end <= replica->epochs.offset_end);

    message->as.batches =
        (struct replica_batches){.before = {epochs_before(&replica->epochs, next), next},
                                 .offset_end = offset_end,
                                 .committed = replica->committed};
    if (offset_end > next) {
        int32_t epoch = epochs_before(&replica->epochs, next + 1);
        int64_t stretch_end = epochs_end_of(&replica->epochs, epoch).end;
        message->as.batches.epoch = epoch;
        message->as.batches.offset_end = stretch_end < offset_end ? stretch_end : offset_end;
    }
}

/* Send @member what it may be sent. */
static void member_send(struct replica *replica, int32_t member)
{
    struct replica_progress *progress = &replica->progress[member];
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(progress->next <= replica->epochs.offset_end);

    if (progress->is_probing) {
        if (!progress->has_asked) {
            progress->has_asked = true;
            struct replica_message *probe =
                effect_send(replica, member, REPLICA_APPEND, replica->promise);
            batches_put(replica, progress->next, progress->next, probe);
        }
        return;
    }
    bool has_room = progress->flight_count < REPLICA_FLIGHTS_MAX &&
                    progress->bytes < REPLICA_WINDOW_BYTES && !progress->is_reading;
    if (has_room && progress->next < replica->epochs.offset_end) {
        progress->is_reading = true;
        struct replica_effect *effect = effect_add(replica, REPLICA_EFFECT_BATCHES);
        effect->member = member;
        effect->message.kind = REPLICA_APPEND;
        effect->message.epoch = replica->promise;
        effect->message.promise = replica->promise_durable;
        effect->message.config_end = replica->config_end;
        batches_put(replica, progress->next, replica->epochs.offset_end, &effect->message);
    }
}

void progress_send(struct replica *replica)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->opening >= 0);

    for (int32_t member = 0; member < replica->peer_count; member++) {
        if (member != replica->peer) {
            member_send(replica, member);
        }
    }
}

void progress_sent(struct replica *replica, const struct replica_event *event)
{
    ASSERT(event->kind == REPLICA_EVENT_SENT);
    ASSERT(event->member != replica->peer);
    ASSERT(peers_know(replica, event->member));

    bool is_ours = replica->role == REPLICA_LEADER && event->epoch == replica->promise &&
                   event->member < replica->peer_count;
    struct replica_progress *progress = is_ours ? &replica->progress[event->member] : NULL;
    if (!progress || !progress->is_reading) {
        return;
    }
    progress->is_reading = false;
    if (progress->is_probing || event->offset_end <= progress->next) {
        return; /* Nothing could be read; or the follower turned out to be elsewhere meanwhile. */
    }
    ASSERT(progress->flight_count < REPLICA_FLIGHTS_MAX);
    if (progress->flight_count == 0) {
        progress->moved_ns = event->now_ns;
    }
    uint32_t slot = (progress->flight_first + progress->flight_count) % REPLICA_FLIGHTS_MAX;
    progress->flights[slot] = (struct replica_flight){event->offset_end, event->bytes};
    progress->flight_count++;
    progress->bytes += event->bytes;
    progress->next = event->offset_end;
    slow_sent(progress, event->offset_end, event->now_ns);
    member_send(replica, event->member);
}

/* @member has the log up to @durable. */
static void answer_alike(struct replica *replica,
                         const struct replica_answer *answer,
                         int32_t member,
                         uint64_t now_ns)
{
    struct replica_progress *progress = &replica->progress[member];
    ASSERT(answer->durable <= replica->epochs.offset_end);
    ASSERT(member != replica->peer);

    slow_answered(progress, answer->durable, now_ns);
    if (answer->durable > replica->matches[member]) {
        replica->matches[member] = answer->durable;
        progress->moved_ns = now_ns;
        leader_matched(replica, member);
    }
    while (progress->flight_count > 0 &&
           progress->flights[progress->flight_first].offset_end <= answer->durable) {
        progress->bytes -= progress->flights[progress->flight_first].bytes;
        progress->flight_first = (progress->flight_first + 1) % REPLICA_FLIGHTS_MAX;
        progress->flight_count--;
    }
    if (progress->is_probing && answer->place == progress->next) {
        progress->is_probing = false;
        progress->moved_ns = now_ns;
    }
    if (answer->durable > progress->next) {
        progress->next = answer->durable; /* Of messages that were taken for lost. */
        flights_clear(progress);
    }
}

/* @member does not hold the batch before answer->place. */
static void answer_fork(struct replica *replica,
                        const struct replica_answer *answer,
                        int32_t member,
                        uint64_t now_ns)
{
    struct replica_progress *progress = &replica->progress[member];
    int64_t matched = replica->matches[member];
    ASSERT(member != replica->peer);
    ASSERT(matched <= replica->epochs.offset_end);

    bool is_new = answer->place > 0 && answer->place > matched &&
                  answer->place <= replica->epochs.offset_end &&
                  (!progress->is_probing || answer->place == progress->next);
    if (!is_new) {
        return;
    }
    int64_t next = epochs_fork(&replica->epochs, answer->fork, answer->place);
    probe_from(progress, next > matched ? next : matched, now_ns);
}

/* @member has started anew, and holds for alike nothing, or only what a late message brought: it
 * believes no commit end before it is asked, and in an epoch in which nobody appends nothing else
 * would ask it. Where something is under way to it, that will. */
static void answer_unknown(struct replica *replica, int32_t member, uint64_t now_ns)
{
    struct replica_progress *progress = &replica->progress[member];
    int64_t matched = replica->matches[member];
    ASSERT(member != replica->peer);
    ASSERT(matched <= replica->epochs.offset_end);

    bool is_quiet = !progress->is_probing && !progress->is_reading && progress->flight_count == 0;
    if (is_quiet) {
        probe_from(progress, matched > QUORUM_END_UNKNOWN ? matched : progress->next, now_ns);
    }
}

void progress_answer(struct replica *replica, const struct replica_event *event, int32_t member)
{
    const struct replica_message *message = event->message;
    const struct replica_answer *answer = &message->as.answer;
    ASSERT(message->kind == REPLICA_APPEND_ANSWER);
    ASSERT(member != replica->peer);

    bool is_ours = replica->role == REPLICA_LEADER && message->epoch == replica->promise &&
                   member < replica->peer_count;
    if (!is_ours || answer->durable > replica->epochs.offset_end) {
        return;
    }
    if (answer->outcome == REPLICA_OUTCOME_ALIKE) {
        answer_alike(replica, answer, member, event->now_ns);
    } else if (answer->outcome == REPLICA_OUTCOME_FORK) {
        answer_fork(replica, answer, member, event->now_ns);
    } else if (answer->outcome == REPLICA_OUTCOME_UNKNOWN) {
        answer_unknown(replica, member, event->now_ns);
    }
    member_send(replica, member);
}

void progress_time(struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(now_ns >= replica->leading_ns);

    for (int32_t member = 0; member < replica->peer_count; member++) {
        struct replica_progress *progress = &replica->progress[member];
        bool is_waiting = progress->is_probing || progress->flight_count > 0;
        bool is_silent = is_waiting && !progress->is_reading &&
                         now_ns > progress->moved_ns + replica->timeout_ns / 2;
        if (member == replica->peer || !is_silent) {
            continue;
        }
        int64_t matched = replica->matches[member];
        probe_from(progress, matched > QUORUM_END_UNKNOWN ? matched : progress->next, now_ns);
        member_send(replica, member);
    }
}
