/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/commit - counting who has what.
 */
#include "quorum/commit.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "quorum/rank.h"

/* Return the highest end that @needed voters of @half have durable. */
static int64_t reached_by(const struct quorum_half *half,
                          const int64_t *durable_ends,
                          int32_t needed)
{
    ASSERT(durable_ends);

    /* One more than the end, so that what is unknown is 0, the lowest there is. */
    uint64_t reached[QUORUM_VOTERS_MAX];
    for (int32_t voter = 0; voter < half->voter_count; voter++) {
        int64_t end = durable_ends[half->members[voter]];
        ASSERT(end >= QUORUM_END_UNKNOWN);
        reached[voter] = (uint64_t)end + 1;
    }
    return (int64_t)(quorum_ranked(reached, half->voter_count, needed) - 1);
}

int64_t quorum_durable_end(const struct quorum_set *set, const int64_t *durable_ends)
{
    ASSERT(set);
    ASSERT(set->half_count >= 1);

    int64_t lowest = INT64_MAX;
    for (int32_t index = 0; index < set->half_count; index++) {
        const struct quorum_half *half = &set->halves[index];
        int64_t end = reached_by(half, durable_ends, half->write_quorum);
        lowest = end < lowest ? end : lowest; /* QUO-7: the slower configuration decides. */
    }
    ASSERT(lowest >= QUORUM_END_UNKNOWN);
    return lowest;
}

int64_t quorum_settled_end(const struct quorum_set *set, const int64_t *durable_ends)
{
    ASSERT(set);
    ASSERT(set->half_count >= 1);

    int64_t lowest = INT64_MAX;
    for (int32_t index = 0; index < set->half_count; index++) {
        const struct quorum_half *half = &set->halves[index];
        ASSERT(half->lease >= half->write_quorum); /* QUO-15 */
        int64_t end = reached_by(half, durable_ends, half->lease);
        lowest = end < lowest ? end : lowest; /* QUO-7 */
    }
    return lowest;
}

/* Return whether W voters of the first configuration have more than @commit_end: seldom, and
 * cheaper to see than how much more. */
static bool may_move(const struct quorum_set *set, const int64_t *durable_ends, int64_t commit_end)
{
    const struct quorum_half *half = &set->halves[0];
    ASSERT(half->write_quorum >= 1);
    ASSERT(durable_ends);

    int32_t further = 0;
    for (int32_t voter = 0; voter < half->voter_count; voter++) {
        further += durable_ends[half->members[voter]] > commit_end;
    }
    return further >= half->write_quorum;
}

int64_t quorum_commit_end(const struct quorum_set *set,
                          const int64_t *durable_ends,
                          int64_t own_first,
                          int64_t commit_end)
{
    ASSERT(own_first >= 0);
    ASSERT(commit_end >= 0);

    if (!may_move(set, durable_ends, commit_end)) {
        return commit_end;
    }
    int64_t durable_end = quorum_durable_end(set, durable_ends);
    bool is_own = durable_end > own_first || MUTANT(commit_counts_old_epoch);
    if (!is_own || durable_end <= commit_end) {
        return commit_end;
    }
    ASSERT(durable_end > commit_end); /* QUO-10 */
    return durable_end;
}
