/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/position - the order of logs.
 */
#include "quorum/position.h"

#include <inttypes.h>

#include "base/assert.h"
#include "quorum/commit.h"
#include "quorum/epoch.h"

int quorum_position_compare(struct quorum_position left, struct quorum_position right)
{
    ASSERT(left.end >= 0);
    ASSERT(right.end >= 0);

    if (left.epoch != right.epoch) {
        return left.epoch < right.epoch ? -1 : 1;
    }
    return (left.end > right.end) - (left.end < right.end);
}

bool quorum_candidate_is_level(struct quorum_position candidate, struct quorum_position own)
{
    int order = quorum_position_compare(candidate, own);
    ASSERT(order == -quorum_position_compare(own, candidate));
    return order >= 0;
}

bool quorum_read_target(const struct quorum_set *set,
                        const struct quorum_position *answers,
                        struct quorum_position *ret_target)
{
    ASSERT(answers);
    ASSERT(ret_target);
    ASSERT(quorum_set_reads_allowed(set)); /* QUO-4 */

    for (int32_t index = 0; index < set->half_count; index++) {
        const struct quorum_half *half = &set->halves[index];
        int32_t answered = 0;
        for (int32_t voter = 0; voter < half->voter_count; voter++) {
            answered += answers[half->members[voter]].end != QUORUM_END_UNKNOWN;
        }
        if (answered < half->read_quorum) {
            return false; /* QUO-7 */
        }
    }
    struct quorum_position target = {.epoch = INT32_MIN, .end = 0};
    for (int32_t member = 0; member < set->member_count; member++) {
        bool has_answered = answers[member].end != QUORUM_END_UNKNOWN;
        if (has_answered && quorum_position_compare(answers[member], target) > 0) {
            target = answers[member];
        }
    }
    ASSERT(target.epoch != INT32_MIN); /* QUO-13: R is at least 1. */
    *ret_target = target;
    return true;
}

void quorum_position_put_text(struct text *text, struct quorum_position position)
{
    ASSERT(text);
    ASSERT(position.end >= 0);

    epoch_put_text(text, position.epoch);
    text_format(text, ":%" PRId64, position.end);
}
