/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/lease - the times of confirmations, ranked.
 */
#include "quorum/lease.h"

#include "base/assert.h"
#include "quorum/rank.h"

/* Return the highest time that @needed voters of @half have confirmed. */
static uint64_t confirmed_by(const struct quorum_half *half,
                             const uint64_t *confirmed_ns,
                             int32_t needed)
{
    ASSERT(confirmed_ns);
    ASSERT(half->voter_count >= 1);
    ASSERT(needed + half->election > half->voter_count); /* QUO-5 */

    uint64_t times[QUORUM_VOTERS_MAX];
    for (int32_t voter = 0; voter < half->voter_count; voter++) {
        times[voter] = confirmed_ns[half->members[voter]];
    }
    return quorum_ranked(times, half->voter_count, needed); /* QUO-14 */
}

uint64_t quorum_lease_since_ns(const struct quorum_set *set, const uint64_t *confirmed_ns)
{
    ASSERT(set);
    ASSERT(set->half_count >= 1);

    uint64_t earliest = UINT64_MAX;
    for (int32_t index = 0; index < set->half_count; index++) {
        const struct quorum_half *half = &set->halves[index];
        uint64_t since = confirmed_by(half, confirmed_ns, half->lease);
        earliest = since < earliest ? since : earliest; /* QUO-7 */
    }
    return earliest;
}

uint64_t quorum_reach_since_ns(const struct quorum_set *set, const uint64_t *confirmed_ns)
{
    ASSERT(set);
    ASSERT(set->half_count >= 1);

    uint64_t earliest = UINT64_MAX;
    for (int32_t index = 0; index < set->half_count; index++) {
        const struct quorum_half *half = &set->halves[index];
        uint64_t since = confirmed_by(half, confirmed_ns, half->reach);
        earliest = since < earliest ? since : earliest; /* QUO-7 */
    }
    return earliest;
}
