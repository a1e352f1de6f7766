/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/slow - a leader whose own disk has become slow, and who should lead instead.
 *
 * A disk that fails seldom stops: it takes a hundred times as long. A leader with such a disk goes
 * on committing, since W voters are enough, and yet everything it does waits sooner or later for
 * it: the promise, the batches it sends that are no longer in memory, its readers. Nobody else can
 * see it, so it is for the leader to say.
 *
 *     commit end    |------------>|------>|---->      W others have it
 *     own durable   |-->|                             not within a timeout of its commit: slow
 *                       mark: the commit end at a look; it must be durable here a timeout later
 *
 * Against a mark and not against the commit end of now, which is always ahead under load. The same
 * follows at once if the driver says that one flush alone has been under way for a timeout. Where
 * this disk is one of the W that a commit needs, the commit end waits for it and it is not slower
 * than anybody: then nothing would be won by handing over.
 *
 * The successor is the voter that answers fastest among those that have all that is committed and
 * were heard within a timeout. How fast is a running mean of the time from sending a batch to the
 * answer that it is durable, one batch at a time.
 */
#include "replication/inner.h"

enum {
    /* Of the mean: the share of the past, against one part of what is new. */
    PAST_TIMES = 7,
};

void slow_sent(struct replica_progress *progress, int64_t offset_end, uint64_t now_ns)
{
    ASSERT(offset_end > 0);

    bool is_timing = progress->timed_end > 0;
    if (!is_timing) {
        progress->timed_end = offset_end;
        progress->timed_ns = now_ns;
    }
    ASSERT(progress->timed_end > 0);
}

void slow_answered(struct replica_progress *progress, int64_t durable, uint64_t now_ns)
{
    ASSERT(progress->timed_end >= 0);
    ASSERT(now_ns >= progress->timed_ns);

    if (progress->timed_end == 0 || durable < progress->timed_end) {
        return;
    }
    uint64_t spent_ns = now_ns - progress->timed_ns;
    bool is_first = !progress->has_answered;
    progress->answer_ns =
        is_first ? spent_ns : (PAST_TIMES * progress->answer_ns + spent_ns) / (PAST_TIMES + 1);
    progress->has_answered = true;
    progress->timed_end = 0;
}

/* Return the voter that should lead, QUORUM_NO_MEMBER if nobody would do better. */
static int32_t successor_of(const struct replica *replica, uint64_t now_ns)
{
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(replica->set.half_count >= 1);

    const struct quorum_half *newest = &replica->set.halves[replica->set.half_count - 1];
    int32_t best = QUORUM_NO_MEMBER;
    for (int32_t voter = 0; voter < newest->voter_count; voter++) {
        int32_t member = newest->members[voter];
        const struct replica_progress *progress = &replica->progress[member];
        bool is_level = member != replica->number && progress->has_answered &&
                        replica->matches[member] >= replica->committed &&
                        replica->confirmed_ns[member] + replica->timeout_ns > now_ns;
        bool is_faster =
            best == QUORUM_NO_MEMBER || progress->answer_ns < replica->progress[best].answer_ns;
        best = is_level && is_faster ? member : best;
    }
    return best;
}

int32_t slow_successor(struct replica *replica, const struct replica_event *event)
{
    uint64_t now_ns = event->now_ns;
    ASSERT(replica->role == REPLICA_LEADER);
    ASSERT(now_ns >= replica->leading_ns);

    if (replica->number == QUORUM_NO_MEMBER || replica->durable >= replica->slow_mark) {
        replica->slow_mark = replica->committed;
        replica->slow_ns = now_ns;
    }
    bool is_behind = replica->number != QUORUM_NO_MEMBER && replica->durable < replica->committed;
    bool is_slow = is_behind && (event->waiting_ns > replica->timeout_ns ||
                                 now_ns > replica->slow_ns + replica->timeout_ns);
    bool lets_go = is_slow || (event->is_full && replica->number != QUORUM_NO_MEMBER);
    return lets_go ? successor_of(replica, now_ns) : QUORUM_NO_MEMBER;
}
