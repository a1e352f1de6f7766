/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/conditions, held against a log that is an array of batches.
 */
#include "base/prng.h"
#include "lib/case.h"
#include "replication/conditions.h"

enum { BATCHES_MAX = 60, UNDOS = 8, ROWS = 2 };

struct batch {
    bool is_control;
    int64_t token;
    int64_t offset_end;
};

struct fixture {
    struct batch batches[BATCHES_MAX];
    int count;
    struct condition_undo undos[UNDOS];
    struct conditions conditions;
    struct producer_row rows[ROWS];
    int32_t heads[ROWS];
    struct producer_undo producer_undos[1];
    struct producers producers;
};

static void fixture_init(struct fixture *fixture)
{
    fixture->count = 0;
    conditions_init(&fixture->conditions, fixture->undos, UNDOS, 0);
    struct producers_options options = {.rows = fixture->rows,
                                        .row_count = ROWS,
                                        .heads = fixture->heads,
                                        .undos = fixture->producer_undos,
                                        .undo_count = 1};
    producers_init(&fixture->producers, &options, 0);
}

static struct condition_answer judge(const struct fixture *fixture,
                                     int64_t id,
                                     int32_t sequence,
                                     struct condition_request request)
{
    struct producer_batch batch = {.id = id, .sequence_first = sequence, .sequence_count = 1};
    return conditions_judge(&fixture->conditions, &fixture->producers, &batch, &request);
}

static void check_equal(const struct fixture *fixture)
{
    int64_t token = CONDITION_NONE;
    int64_t users_end = 0;
    int64_t end = 0;
    for (int index = 0; index < fixture->count; index++) {
        const struct batch *batch = &fixture->batches[index];
        end = batch->offset_end;
        users_end = batch->is_control ? users_end : end;
        token = batch->token > token ? batch->token : token;
    }
    for (int64_t expected = 0; expected <= end + 1; expected++) {
        struct condition_request request = {.token = CONDITION_NONE, .expected_end = expected};
        bool holds = expected >= users_end && expected <= end;
        CHECK_INT(judge(fixture, PRODUCER_NO_ID, 0, request).reason,
                  holds ? CONDITION_HOLDS : CONDITION_END);
    }
    for (int64_t asked = 0; asked < 12; asked++) {
        struct condition_request request = {.token = asked, .expected_end = CONDITION_NONE};
        CHECK_INT(judge(fixture, PRODUCER_NO_ID, 0, request).reason,
                  asked < token ? CONDITION_TOKEN : CONDITION_HOLDS);
    }
}

static void fold(struct conditions *conditions, const struct batch *batch)
{
    conditions_append(conditions, batch->is_control, batch->token, batch->offset_end);
}

static void cut(struct fixture *fixture, int64_t offset_end)
{
    while (fixture->count > 0 && fixture->batches[fixture->count - 1].offset_end > offset_end) {
        fixture->count--;
    }
    if (conditions_truncate(&fixture->conditions, offset_end)) {
        return;
    }
    int64_t committed = fixture->conditions.committed;
    conditions_init(&fixture->conditions, fixture->undos, UNDOS, 0);
    conditions_commit(&fixture->conditions, committed);
    for (int index = 0; index < fixture->count; index++) {
        fold(&fixture->conditions, &fixture->batches[index]);
    }
}

/* A batch's end, at or past the commit end. */
static int64_t draw_place(struct prng *prng, const struct fixture *fixture)
{
    int64_t committed = fixture->conditions.committed;
    if (fixture->count == 0) {
        return committed;
    }
    uint64_t index = prng_below(prng, (uint64_t)fixture->count);
    int64_t place = fixture->batches[index].offset_end;
    return place > committed ? place : committed;
}

/* Commit, cut or append, as drawn. */
static void happen(struct prng *prng, struct fixture *fixture)
{
    int64_t place = draw_place(prng, fixture);
    uint64_t draw = prng_below(prng, 10);
    if (draw == 0) {
        conditions_commit(&fixture->conditions, place);
        return;
    }
    if (draw == 1) {
        cut(fixture, place);
        return;
    }
    struct batch *batch = &fixture->batches[fixture->count++];
    batch->is_control = prng_chance(prng, 1, 2);
    batch->token = batch->is_control ? prng_between(prng, -1, 9) : CONDITION_NONE;
    batch->offset_end = fixture->conditions.offset_end + prng_between(prng, 1, 3);
    fold(&fixture->conditions, batch);
}

/* CND-3: whatever is appended, committed, cut and folded anew. */
TEST(conditions, are_what_the_log_says)
{
    struct prng prng = prng_of(1, 1);
    struct fixture fixture;
    for (int round = 0; round < 200; round++) {
        fixture_init(&fixture);
        while (fixture.count < BATCHES_MAX) {
            happen(&prng, &fixture);
            check_equal(&fixture);
        }
    }
}

/* CND-1, CND-2: repeat, token, condition; a refusal takes its sequence, and is told again. */
TEST(conditions, are_asked_in_their_order)
{
    struct fixture fixture;
    fixture_init(&fixture);
    conditions_append(&fixture.conditions, false, CONDITION_NONE, 1);
    conditions_append(&fixture.conditions, true, 5, 2);
    struct condition_request both = {.token = 4, .expected_end = 0};
    CHECK_INT(judge(&fixture, 1, 0, both).action, CONDITION_REFUSE);
    CHECK_INT(judge(&fixture, 1, 0, both).reason, CONDITION_TOKEN);
    both.token = 5;
    CHECK_INT(judge(&fixture, 1, 0, both).reason, CONDITION_END);

    struct producer_batch refusal = {.id = 1,
                                     .sequence_count = 1,
                                     .offset_first = 2,
                                     .offset_end = 3,
                                     .refusal = CONDITION_END};
    producers_append(&fixture.producers, &refusal);
    conditions_append(&fixture.conditions, true, CONDITION_NONE, 3);
    struct condition_request good = {.token = 5, .expected_end = 1};
    struct condition_answer again = judge(&fixture, 1, 0, good);
    CHECK_INT(again.action, CONDITION_ANSWER);
    CHECK_INT(again.producer.verdict, PRODUCER_DUPLICATE);
    CHECK_INT(again.reason, CONDITION_END); /* What the first try got. */
    CHECK_INT(judge(&fixture, 1, 1, good).action, CONDITION_APPEND);

    /* Without a producer there is no sequence to take: the answer waits for what it rests on. */
    struct condition_answer held = judge(&fixture, PRODUCER_NO_ID, 0, both);
    CHECK_INT(held.action, CONDITION_ANSWER);
    CHECK_INT(held.producer.offset_end, 3);
}
