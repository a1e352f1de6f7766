/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/conditions - judging, folding in, and back.
 */
#include "replication/conditions.h"

void conditions_init(struct conditions *conditions,
                     struct condition_undo *undos,
                     uint32_t undo_count,
                     int64_t offset_start)
{
    ASSERT(undos || undo_count == 0);
    ASSERT(offset_start >= 0);
    *conditions = (struct conditions){.undos = undos,
                                      .undo_count_max = undo_count,
                                      .undo_start = offset_start,
                                      .offset_end = offset_start,
                                      .committed = offset_start,
                                      .users_end = offset_start,
                                      .token = CONDITION_NONE};
}

void conditions_move_undos(struct conditions *conditions,
                           struct condition_undo *undos,
                           uint32_t undo_count)
{
    ASSERT(undo_count >= conditions->undo_count);
    ASSERT(undos != conditions->undos || undo_count == 0);

    for (uint32_t index = 0; index < conditions->undo_count; index++) {
        undos[index] =
            conditions->undos[(conditions->undo_first + index) % conditions->undo_count_max];
    }
    conditions->undos = undos;
    conditions->undo_count_max = undo_count;
    conditions->undo_first = 0;
}

static enum condition_reason reason_of(const struct conditions *conditions,
                                       const struct condition_request *request)
{
    ASSERT(conditions->users_end <= conditions->offset_end);
    ASSERT(request->token >= CONDITION_NONE);

    if (request->token != CONDITION_NONE && request->token < conditions->token) {
        return CONDITION_TOKEN;
    }
    if (request->expected_end == CONDITION_NONE) {
        return CONDITION_HOLDS;
    }
    bool holds = request->expected_end >= conditions->users_end &&
                 request->expected_end <= conditions->offset_end;
    return holds ? CONDITION_HOLDS : CONDITION_END;
}

struct condition_answer conditions_judge(const struct conditions *conditions,
                                         const struct producers *producers,
                                         const struct producer_batch *batch,
                                         const struct condition_request *request)
{
    ASSERT(batch->id >= PRODUCER_NO_ID);
    ASSERT(producers->offset_end <= conditions->offset_end);

    struct condition_answer answer = {.action = CONDITION_APPEND};
    if (batch->id != PRODUCER_NO_ID) {
        answer.producer = producers_check(producers, batch);
        if (answer.producer.verdict != PRODUCER_ACCEPTED) { /* CND-1 */
            answer.action = CONDITION_ANSWER;
            answer.reason = (enum condition_reason)answer.producer.entry.refusal;
            return answer;
        }
    }
    answer.reason = reason_of(conditions, request);
    if (answer.reason == CONDITION_HOLDS) {
        return answer;
    }
    if (batch->id != PRODUCER_NO_ID) {
        answer.action = CONDITION_REFUSE; /* CND-2 */
        return answer;
    }
    answer.action = CONDITION_ANSWER;
    answer.producer.offset_end = conditions->offset_end;
    return answer;
}

void conditions_append(struct conditions *conditions,
                       bool is_control,
                       int64_t token,
                       int64_t offset_end)
{
    ASSERT(offset_end > conditions->offset_end);
    ASSERT(is_control || token == CONDITION_NONE);

    if (offset_end <= conditions->committed) {
        conditions->undo_start = offset_end;
    } else {
        ASSERT(conditions->undo_count_max > 0);
        if (conditions->undo_count == conditions->undo_count_max) {
            conditions->undo_start = conditions->undos[conditions->undo_first].offset_end;
            conditions->undo_first = (conditions->undo_first + 1) % conditions->undo_count_max;
            conditions->undo_count--;
        }
        uint32_t place =
            (conditions->undo_first + conditions->undo_count) % conditions->undo_count_max;
        conditions->undos[place] = (struct condition_undo){.offset_end = offset_end,
                                                           .before = conditions->offset_end,
                                                           .users_end = conditions->users_end,
                                                           .token = conditions->token};
        conditions->undo_count++;
    }
    conditions->offset_end = offset_end;
    conditions->users_end = is_control ? conditions->users_end : offset_end;
    conditions->token = token > conditions->token ? token : conditions->token;
}

void conditions_commit(struct conditions *conditions, int64_t offset_end)
{
    ASSERT(offset_end >= conditions->committed);
    ASSERT(conditions->undo_count <= conditions->undo_count_max);

    conditions->committed = offset_end;
    while (conditions->undo_count > 0 &&
           conditions->undos[conditions->undo_first].offset_end <= offset_end) {
        conditions->undo_start = conditions->undos[conditions->undo_first].offset_end;
        conditions->undo_first = (conditions->undo_first + 1) % conditions->undo_count_max;
        conditions->undo_count--;
    }
}

bool conditions_truncate(struct conditions *conditions, int64_t offset_end)
{
    ASSERT(offset_end >= conditions->committed);

    if (offset_end < conditions->undo_start) {
        return false;
    }
    while (conditions->offset_end > offset_end && conditions->undo_count > 0) {
        uint32_t newest =
            (conditions->undo_first + conditions->undo_count - 1) % conditions->undo_count_max;
        const struct condition_undo *undo = &conditions->undos[newest];
        conditions->offset_end = undo->before;
        conditions->users_end = undo->users_end;
        conditions->token = undo->token;
        conditions->undo_count--;
    }
    ASSERT(conditions->offset_end <= offset_end); /* CND-3 */
    return true;
}
