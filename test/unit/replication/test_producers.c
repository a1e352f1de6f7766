/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/producers, held against a model that keeps the whole history in an array and folds
 * it from the front for every question.
 *
 * The model knows no rows, chains or undos: a producer is what the batches of the log say, and who
 * has a row is told from the front of the log each time.
 */
#include <stdlib.h>

#include "base/prng.h"
#include "lib/case.h"
#include "replication/producers.h"

enum { ROWS = 4, IDS = 7, UNDOS = 12, HISTORY_MAX = 160, EXPIRY_MS = 40, STATE_BYTES_MAX = 2304 };

/* One batch of the log: a producer's, or a stamp of the clock. */
struct step {
    struct producer_batch batch;
    int64_t stamp_ms; /* -1: a producer's. */
};

struct history {
    struct step steps[HISTORY_MAX];
    int count;
    int64_t offset_end;
    int64_t committed;
};

struct fixture {
    struct producer_row rows[ROWS];
    int32_t heads[ROWS];
    struct producer_undo undos[UNDOS];
    struct producers producers;
};

static void fixture_init(struct fixture *fixture, uint32_t undos, int64_t expiry_ms)
{
    struct producers_options options = {.rows = fixture->rows,
                                        .row_count = ROWS,
                                        .heads = fixture->heads,
                                        .undos = fixture->undos,
                                        .undo_count = undos,
                                        .expiry_ms = expiry_ms};
    producers_init(&fixture->producers, &options, 0);
}

/* -- The model -- */

/* What the front of the history says of one producer. */
struct known {
    bool has_row;
    bool is_expired;
    int16_t epoch;
    int64_t stamp_ms;
    int newest;                             /* Index of its last step. */
    int count;                              /* Remembered. */
    int steps[PRODUCER_BATCHES_REMEMBERED]; /* Oldest first. */
};

struct model {
    struct known known[IDS];
    int64_t lost_id;
    int16_t lost_epoch;
    int64_t lost_end;
    int64_t stamp_ms;
    int64_t stamp_end;
};

static int32_t model_next(const struct producer_batch *batch)
{
    int64_t next = (int64_t)batch->sequence_first + batch->sequence_count;
    return (int32_t)(next > INT32_MAX ? next - INT32_MAX - 1 : next);
}

/* The longest idle producer that has a row; -1: a row is empty, and it has not expired. */
static int model_idle(const struct model *model)
{
    int count = 0;
    int idle = -1;
    for (int id = 0; id < IDS; id++) {
        if (model->known[id].has_row) {
            count++;
            idle = idle < 0 || model->known[id].newest < model->known[idle].newest ? id : idle;
        }
    }
    bool is_over = idle >= 0 && model->known[idle].is_expired;
    return count < ROWS && !is_over ? -1 : idle;
}

/* Take the row of @idle, if it is one, and remember who lost it. */
static void model_lose(struct model *model, int idle, int64_t offset_end)
{
    if (idle < 0) {
        return;
    }
    struct known *known = &model->known[idle];
    known->has_row = false;
    if (known->is_expired) {
        return;
    }
    model->lost_id = idle > model->lost_id ? idle : model->lost_id;
    model->lost_end = offset_end;
    if (known->epoch > model->lost_epoch) {
        model->lost_epoch = known->epoch;
    }
}

static void model_batch(struct model *model, const struct history *history, int index)
{
    const struct producer_batch *batch = &history->steps[index].batch;
    struct known *known = &model->known[batch->id];
    if (!known->has_row) {
        int idle = model_idle(model);
        model_lose(model, idle, batch->offset_end);
        known->count = 0;
    } else if (known->is_expired || known->epoch != batch->epoch ||
               model_next(&history->steps[known->newest].batch) != batch->sequence_first) {
        known->count = 0;
    }
    if (known->count == PRODUCER_BATCHES_REMEMBERED) {
        memmove(known->steps, known->steps + 1, sizeof known->steps - sizeof known->steps[0]);
        known->count--;
    }
    known->steps[known->count++] = index;
    known->newest = index;
    known->has_row = true;
    known->is_expired = false;
    known->epoch = batch->epoch;
    known->stamp_ms = model->stamp_ms;
}

static void model_stamp(struct model *model, const struct step *step, int64_t expiry_ms)
{
    if (step->stamp_ms <= model->stamp_ms) {
        return;
    }
    model->stamp_ms = step->stamp_ms;
    model->stamp_end = step->batch.offset_end;
    for (int id = 0; id < IDS && expiry_ms > 0; id++) {
        struct known *known = &model->known[id];
        known->is_expired = known->stamp_ms >= 0 && model->stamp_ms - known->stamp_ms > expiry_ms;
    }
}

static void model_fold(struct model *model, const struct history *history, int64_t expiry_ms)
{
    *model = (struct model){.lost_id = -1, .lost_epoch = -1, .stamp_ms = -1};
    for (int index = 0; index < history->count; index++) {
        if (history->steps[index].stamp_ms < 0) {
            model_batch(model, history, index);
        } else {
            model_stamp(model, &history->steps[index], expiry_ms);
        }
    }
}

/* What a producer is told that is not known, or not any more. */
static struct producer_answer model_unknown(const struct model *model,
                                            const struct history *history,
                                            int64_t expiry_ms,
                                            const struct producer_batch *batch)
{
    struct producer_answer answer = {.verdict = PRODUCER_ACCEPTED};
    if (batch->id <= model->lost_id &&
        (batch->epoch <= model->lost_epoch || batch->sequence_first != 0)) {
        answer.verdict = PRODUCER_LOST;
        bool is_clock = expiry_ms > 0 && model->stamp_end > model->lost_end;
        answer.offset_end = is_clock ? model->stamp_end : model->lost_end;
        return answer;
    }
    int idle = model_idle(model);
    if (model->known[batch->id].has_row || idle < 0 || model->known[idle].is_expired) {
        return answer;
    }
    int newest = model->known[idle].newest;
    bool is_full = history->steps[newest].batch.offset_end > history->committed;
    answer.verdict = is_full ? PRODUCER_FULL : PRODUCER_ACCEPTED;
    return answer;
}

/* What one is told in the epoch that it had. */
static struct producer_answer model_known(const struct known *known,
                                          const struct history *history,
                                          const struct producer_batch *batch)
{
    for (int index = 0; index < known->count; index++) {
        const struct producer_batch *had = &history->steps[known->steps[index]].batch;
        if (had->sequence_first == batch->sequence_first &&
            had->sequence_count == batch->sequence_count) {
            return (struct producer_answer){.verdict = PRODUCER_DUPLICATE,
                                            .entry = {.offset_first = had->offset_first,
                                                      .offset_end = had->offset_end,
                                                      .refusal = had->refusal},
                                            .offset_end = had->offset_end};
        }
    }
    const struct producer_batch *newest = &history->steps[known->newest].batch;
    int64_t ahead = (int64_t)batch->sequence_first - model_next(newest);
    if (ahead == 0) {
        return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
    }
    ahead += ahead < 0 ? (int64_t)INT32_MAX + 1 : 0;
    return (struct producer_answer){.verdict = ahead > INT32_MAX / 2 ? PRODUCER_OLD : PRODUCER_GAP,
                                    .offset_end = newest->offset_end};
}

static struct producer_answer model_check(const struct model *model,
                                          const struct history *history,
                                          int64_t expiry_ms,
                                          const struct producer_batch *batch)
{
    const struct known *known = &model->known[batch->id];
    if (!known->has_row || known->is_expired) {
        return model_unknown(model, history, expiry_ms, batch);
    }
    if (batch->epoch == known->epoch) {
        return model_known(known, history, batch);
    }
    if (batch->epoch > known->epoch && batch->sequence_first == 0) {
        return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
    }
    return (struct producer_answer){.verdict = batch->epoch < known->epoch ? PRODUCER_FENCED
                                                                           : PRODUCER_GAP,
                                    .offset_end = history->steps[known->newest].batch.offset_end};
}

/* -- The walk -- */

static void check_answer(struct producer_answer found, struct producer_answer wanted)
{
    CHECK_INT(found.verdict, wanted.verdict);
    CHECK_INT(found.offset_end, wanted.offset_end);
    CHECK_INT(found.entry.offset_first, wanted.entry.offset_first);
    CHECK_INT(found.entry.offset_end, wanted.entry.offset_end);
    CHECK_INT(found.entry.refusal, wanted.entry.refusal);
}

static void check_both(const struct producers *producers,
                       const struct model *model,
                       const struct history *history,
                       const struct producer_batch *batch)
{
    check_answer(producers_check(producers, batch),
                 model_check(model, history, producers->expiry_ms, batch));
}

/* Ask both about producer @id around its last sequence and epoch. */
static void check_around(const struct producers *producers,
                         const struct model *model,
                         const struct history *history,
                         int id)
{
    const struct known *known = &model->known[id];
    int32_t next = known->has_row ? model_next(&history->steps[known->newest].batch) : 0;
    struct producer_batch batch = {.id = id, .sequence_count = 1};
    for (int delta = -2; delta <= 2; delta++) {
        batch.sequence_first = (int32_t)(((uint32_t)next + (uint32_t)delta) & INT32_MAX);
        for (int change = known->epoch > 0 ? -1 : 0; change <= 1; change++) {
            batch.epoch = (int16_t)(known->epoch + change);
            check_both(producers, model, history, &batch);
        }
    }
}

/* Ask both about every producer, and about every batch that was sent. */
static void check_equal(const struct producers *producers, const struct history *history)
{
    struct model model;
    model_fold(&model, history, producers->expiry_ms);
    for (int id = 0; id < IDS; id++) {
        check_around(producers, &model, history, id);
    }
    for (int index = 0; index < history->count; index++) {
        if (history->steps[index].stamp_ms < 0) {
            check_both(producers, &model, history, &history->steps[index].batch);
        }
    }
}

static void fold_step(struct producers *producers, const struct step *step)
{
    if (step->stamp_ms < 0) {
        producers_append(producers, &step->batch);
    } else {
        producers_stamp(producers, step->stamp_ms, step->batch.offset_end);
    }
}

static void fold_history(struct producers *producers, const struct history *history)
{
    producers_reset(producers, 0);
    for (int index = 0; index < history->count; index++) {
        fold_step(producers, &history->steps[index]);
    }
}

static void history_cut(struct history *history, int64_t offset_end)
{
    while (history->count > 0 && history->steps[history->count - 1].batch.offset_end > offset_end) {
        history->count--;
    }
    history->offset_end = offset_end;
}

/* A batch that is mostly the next of its producer, at times a repeat or wrong. */
static struct producer_batch draw_batch(struct prng *prng, const struct history *history)
{
    struct producer_batch batch = {.id = (int64_t)prng_below(prng, IDS),
                                   .sequence_count = 1 + (int32_t)prng_below(prng, 3),
                                   .refusal = (uint8_t)prng_below(prng, 3)};
    for (int index = history->count; index > 0; index--) {
        const struct step *step = &history->steps[index - 1];
        if (step->stamp_ms >= 0 || step->batch.id != batch.id) {
            continue;
        }
        if (prng_chance(prng, 1, 8)) {
            return step->batch;
        }
        batch.epoch = step->batch.epoch;
        batch.sequence_first = model_next(&step->batch);
        if (prng_chance(prng, 1, 12)) {
            batch.epoch++;
            batch.sequence_first = 0;
        }
        return batch;
    }
    batch.sequence_first = prng_chance(prng, 1, 2) ? 0 : INT32_MAX - (int32_t)prng_below(prng, 20);
    return batch;
}

static void walk_append(struct prng *prng, struct producers *producers, struct history *history)
{
    struct step step = {.batch = draw_batch(prng, history), .stamp_ms = -1};
    struct model model;
    model_fold(&model, history, producers->expiry_ms);
    if (prng_chance(prng, 1, 10)) {
        step.stamp_ms = (model.stamp_ms < 0 ? 0 : model.stamp_ms) + prng_between(prng, -3, 20);
        step.stamp_ms = step.stamp_ms < 0 ? 0 : step.stamp_ms;
    } else {
        struct producer_answer answer = producers_check(producers, &step.batch);
        check_answer(answer, model_check(&model, history, producers->expiry_ms, &step.batch));
        /* A leader does as the answer says; what another one wrote is taken as it is. */
        if (answer.verdict != PRODUCER_ACCEPTED && !prng_chance(prng, 1, 30)) {
            return;
        }
    }
    step.batch.offset_first = history->offset_end + (int64_t)prng_below(prng, 3);
    step.batch.offset_end = step.batch.offset_first + step.batch.sequence_count;
    history->offset_end = step.batch.offset_end;
    history->steps[history->count++] = step;
    fold_step(producers, &step);
}

/* Other memory, taken in turns. */
static struct {
    struct producer_row rows[2][ROWS];
    int32_t heads[2][ROWS];
    struct producer_undo undos[2][UNDOS];
} pool;

/* Move to memory with room for one more producer, up to ROWS, and one more undo. */
static void walk_grow(struct producers *producers)
{
    int turn = producers->rows == pool.rows[0];
    if (producers->row_count < ROWS && producers_wants_row(producers, IDS)) {
        producers_move_rows(producers, pool.rows[turn], pool.heads[turn], producers->row_count + 1);
    }
    turn = producers->undos == pool.undos[0];
    uint32_t wanted = producers->undo_count + 1 < UNDOS ? producers->undo_count + 1 : UNDOS;
    producers_move_undos(producers, pool.undos[turn], wanted);
}

static void walk_copy(struct producers *producers, const struct history *history)
{
    uint8_t data[STATE_BYTES_MAX];
    size_t count = producers_encoded_bytes(producers);
    CHECK(count <= sizeof data);
    producers_encode(producers, (struct bytes_mut){data, count});

    struct fixture *other = calloc(1, sizeof *other);
    CHECK(other);
    fixture_init(other, UNDOS, producers->expiry_ms);
    producers_commit(&other->producers, history->committed);
    CHECK_INT(producers_encoded_rows((struct bytes){data, count}), data[4]);
    CHECK_INT(producers_decode(&other->producers, (struct bytes){data, count}), PYR_OK);
    CHECK(producers_equal(&other->producers, producers));
    check_equal(&other->producers, history);
    CHECK_INT(producers_encoded_bytes(&other->producers), count);
    free(other);
}

/* A copy can be taken back to what is committed, and the state itself stays as it is. */
static void walk_back(struct producers *producers, const struct history *history)
{
    struct producer_row rows[ROWS];
    int32_t heads[ROWS];
    struct producers copy;
    struct fixture *other = calloc(1, sizeof *other);
    struct history *committed = calloc(1, sizeof *committed);
    CHECK(other && committed);
    producers_copy(producers, rows, heads, &copy);
    if (producers_truncate(&copy, history->committed)) {
        *committed = *history;
        history_cut(committed, history->committed);
        fixture_init(other, UNDOS, producers->expiry_ms);
        fold_history(&other->producers, committed);
        CHECK(producers_equal(&copy, &other->producers));
    }
    free(committed);
    free(other);
}

static void walk_cut(struct prng *prng, struct producers *producers, struct history *history)
{
    history_cut(history, prng_between(prng, history->committed, history->offset_end));
    if (producers_truncate(producers, history->offset_end)) {
        return;
    }
    /* Only a ring that was too short, or a copy, makes it necessary. */
    CHECK(history->offset_end < producers->undo_start);
    fold_history(producers, history);
}

/* The state is the one that a fold from the front leaves, in whatever memory. */
static void check_plain(const struct producers *producers, const struct history *history)
{
    struct fixture *plain = calloc(1, sizeof *plain);
    CHECK(plain);
    fixture_init(plain, UNDOS, producers->expiry_ms);
    fold_history(&plain->producers, history);
    CHECK(producers_equal(producers, &plain->producers));
    CHECK(producers_equal(&plain->producers, producers));
    free(plain);
}

/* @undos 0: rows and undos begin with none, and grow. */
static void walk(uint64_t seed, uint32_t undos, int64_t expiry_ms)
{
    struct prng prng = prng_of(seed, 1);
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct history *history = calloc(1, sizeof *history);
    CHECK(fixture && history);
    struct producers *producers = &fixture->producers;
    fixture_init(fixture, undos, expiry_ms);
    producers->row_count = undos > 0 ? ROWS : 0;
    while (history->count < HISTORY_MAX - 1) {
        if (undos == 0) {
            walk_grow(producers);
        }
        uint64_t draw = prng_below(&prng, 100);
        if (draw < 80) {
            walk_append(&prng, producers, history);
        } else if (draw < 90) {
            history->committed = prng_between(&prng, history->committed, history->offset_end);
            producers_commit(producers, history->committed);
        } else if (draw < 96) {
            walk_cut(&prng, producers, history);
        } else if (draw < 98) {
            fold_history(producers, history);
        } else {
            walk_copy(producers, history);
            walk_back(producers, history);
        }
        if (undos == 0) {
            walk_grow(producers);
        }
        check_equal(producers, history);
        check_plain(producers, history);
    }
    free(history);
    free(fixture);
}

/* PRD-1, PRD-2, PRD-3, PRD-5: after every step both answer alike, whatever was cut or rebuilt. */
TEST(producers, are_what_the_log_says)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        walk(seed, UNDOS, seed % 2 == 0 ? EXPIRY_MS : 0);
        walk(seed, 1 + (uint32_t)(seed % 5), EXPIRY_MS);
        walk(seed, 0, EXPIRY_MS);
    }
}

/* -- Drawn cases -- */

static struct producer_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t count)
{
    return (struct producer_batch){.id = id,
                                   .epoch = epoch,
                                   .sequence_first = sequence,
                                   .sequence_count = count};
}

static void append(struct producers *producers, struct producer_batch batch)
{
    batch.offset_first = producers->offset_end;
    batch.offset_end = batch.offset_first + batch.sequence_count;
    producers_append(producers, &batch);
}

static enum producer_verdict verdict_of(const struct producers *producers,
                                        struct producer_batch batch)
{
    return producers_check(producers, &batch).verdict;
}

/* A new producer takes the row of an expired one before an empty one: with two rows or with four,
 * the same are known afterwards. */
TEST(producers, take_rows_by_what_is_known)
{
    struct fixture small;
    struct fixture large;
    fixture_init(&small, UNDOS, EXPIRY_MS);
    fixture_init(&large, UNDOS, EXPIRY_MS);
    small.producers.row_count = 2;
    struct producers *both[] = {&small.producers, &large.producers};
    for (size_t index = 0; index < 2; index++) {
        producers_stamp(both[index], 1, 1);
        append(both[index], batch_of(1, 0, 0, 1));
        append(both[index], batch_of(2, 0, 0, 1));
        producers_stamp(both[index], 2 + EXPIRY_MS, both[index]->offset_end + 1);
        CHECK(!producers_wants_row(both[index], 3));
        append(both[index], batch_of(3, 0, 0, 1));
    }
    CHECK(producers_equal(both[0], both[1]));
}

struct row {
    int16_t epoch;
    int32_t sequence;
    int32_t count;
    enum producer_verdict verdict;
};

/* After 10..14 and 15..16 in epoch 3. */
TEST(producers, judge_as_the_table_says)
{
    static const struct row rows_wanted[] = {
        {3, 17, 1, PRODUCER_ACCEPTED},  {3, 17, 99, PRODUCER_ACCEPTED},
        {3, 10, 5, PRODUCER_DUPLICATE}, {3, 15, 2, PRODUCER_DUPLICATE},
        {3, 15, 1, PRODUCER_OLD},       {3, 16, 1, PRODUCER_OLD},
        {3, 10, 7, PRODUCER_OLD},       {3, 0, 1, PRODUCER_OLD},
        {3, 18, 1, PRODUCER_GAP},       {2, 17, 1, PRODUCER_FENCED},
        {2, 10, 5, PRODUCER_FENCED},    {2, 0, 1, PRODUCER_FENCED},
        {4, 0, 1, PRODUCER_ACCEPTED},   {4, 1, 1, PRODUCER_GAP},
        {4, 17, 1, PRODUCER_GAP},       {9, 0, 1, PRODUCER_ACCEPTED},
    };
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, 0);
    append(&fixture.producers, batch_of(7, 3, 10, 5));
    append(&fixture.producers, batch_of(7, 3, 15, 2));
    for (size_t index = 0; index < sizeof rows_wanted / sizeof rows_wanted[0]; index++) {
        const struct row *row = &rows_wanted[index];
        CHECK_INT(
            verdict_of(&fixture.producers, batch_of(7, row->epoch, row->sequence, row->count)),
            row->verdict);
    }
    CHECK_INT(verdict_of(&fixture.producers, batch_of(8, 0, 12345, 1)), PRODUCER_ACCEPTED);
}

/* Kafka's: INT32_MAX is followed by 0, also within a batch. */
TEST(producers, wrap_where_kafka_wraps)
{
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, 0);
    append(&fixture.producers, batch_of(1, 0, INT32_MAX - 1, 2));
    CHECK_INT(verdict_of(&fixture.producers, batch_of(1, 0, 0, 1)), PRODUCER_ACCEPTED);
    CHECK_INT(verdict_of(&fixture.producers, batch_of(1, 0, 1, 1)), PRODUCER_GAP);
    append(&fixture.producers, batch_of(2, 0, INT32_MAX, 3));
    CHECK_INT(verdict_of(&fixture.producers, batch_of(2, 0, 2, 1)), PRODUCER_ACCEPTED);
    CHECK_INT(verdict_of(&fixture.producers, batch_of(2, 0, INT32_MAX, 3)), PRODUCER_DUPLICATE);
}

/* A client may have 16 batches in flight, and repeat every one of them (PRD-1). */
TEST(producers, remember_sixteen)
{
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, 0);
    for (int32_t sequence = 0; sequence <= PRODUCER_BATCHES_REMEMBERED; sequence++) {
        append(&fixture.producers, batch_of(1, 0, sequence, 1));
    }
    CHECK_INT(verdict_of(&fixture.producers, batch_of(1, 0, 0, 1)), PRODUCER_OLD);
    for (int32_t sequence = 1; sequence <= PRODUCER_BATCHES_REMEMBERED; sequence++) {
        struct producer_batch batch = batch_of(1, 0, sequence, 1);
        struct producer_answer answer = producers_check(&fixture.producers, &batch);
        CHECK_INT(answer.verdict, PRODUCER_DUPLICATE);
        CHECK_INT(answer.entry.offset_first, sequence);
    }
}

/* PRD-4: a repeat of what is not committed waits for it, and a refusal for what it rests on. */
TEST(producers, hold_answers_until_what_they_rest_on_is_committed)
{
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, 0);
    struct producers *producers = &fixture.producers;
    append(producers, batch_of(1, 0, 0, 5));
    append(producers, batch_of(1, 0, 5, 5));
    struct producer_batch first = batch_of(1, 0, 0, 5);
    struct producer_batch gap = batch_of(1, 0, 11, 1);
    struct producer_answer repeat = producers_check(producers, &first);
    struct producer_answer refused = producers_check(producers, &gap);
    CHECK(!producers_is_settled(producers, &repeat));
    producers_commit(producers, 5);
    CHECK(producers_is_settled(producers, &repeat));
    CHECK(!producers_is_settled(producers, &refused));
    producers_commit(producers, 10);
    CHECK(producers_is_settled(producers, &refused));
}

/* PRD-5: full, then the longest idle one below the commit end gives way, and learns that it did. */
TEST(producers, tell_who_lost_its_row)
{
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, 0);
    struct producers *producers = &fixture.producers;
    for (int64_t id = 1; id <= ROWS; id++) {
        append(producers, batch_of(id, 2, 0, 1));
    }
    CHECK_INT(verdict_of(producers, batch_of(9, 0, 0, 1)), PRODUCER_FULL);
    producers_commit(producers, 1);
    CHECK_INT(verdict_of(producers, batch_of(9, 0, 0, 1)), PRODUCER_ACCEPTED);
    append(producers, batch_of(9, 0, 0, 1));
    producers_commit(producers, producers->offset_end);
    CHECK_INT(verdict_of(producers, batch_of(1, 2, 0, 1)), PRODUCER_LOST);
    CHECK_INT(verdict_of(producers, batch_of(1, 2, 1, 1)), PRODUCER_LOST);
    CHECK_INT(verdict_of(producers, batch_of(1, 3, 1, 1)), PRODUCER_LOST);
    CHECK_INT(verdict_of(producers, batch_of(1, 3, 0, 1)), PRODUCER_ACCEPTED);
    CHECK_INT(verdict_of(producers, batch_of(10, 0, 5, 1)), PRODUCER_ACCEPTED);
}

/* The log's clock alone makes a producer old, and a cut clock makes it young again. */
TEST(producers, expire_by_the_clock_of_the_log)
{
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, EXPIRY_MS);
    struct producers *producers = &fixture.producers;
    producers_stamp(producers, 1000, 1);
    append(producers, batch_of(1, 5, 0, 1));
    producers_stamp(producers, 1000 + EXPIRY_MS, 3);
    CHECK_INT(verdict_of(producers, batch_of(1, 5, 7, 1)), PRODUCER_GAP);
    producers_stamp(producers, 1001 + EXPIRY_MS, 4);
    CHECK_INT(verdict_of(producers, batch_of(1, 0, 7, 1)), PRODUCER_ACCEPTED);
    CHECK(producers_truncate(producers, 3));
    CHECK_INT(verdict_of(producers, batch_of(1, 0, 7, 1)), PRODUCER_FENCED);
}

/* A copy that was damaged is refused or gives a state that can be encoded again, byte for byte. */
TEST(producers, take_no_copy_that_nobody_made)
{
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, EXPIRY_MS);
    producers_stamp(&fixture.producers, 1000, 1);
    for (int64_t id = 1; id <= ROWS + 1; id++) {
        append(&fixture.producers, batch_of(id, 1, 0, 2));
        append(&fixture.producers, batch_of(id, 1, 2, 1));
    }
    uint8_t data[STATE_BYTES_MAX];
    uint8_t *again = malloc(STATE_BYTES_MAX);
    CHECK(again);
    size_t count = producers_encoded_bytes(&fixture.producers);
    producers_encode(&fixture.producers, (struct bytes_mut){data, count});
    struct fixture *other = calloc(1, sizeof *other);
    CHECK(other);
    fixture_init(other, UNDOS, EXPIRY_MS);
    for (size_t bytes = 0; bytes < count; bytes++) {
        CHECK_INT(producers_decode(&other->producers, (struct bytes){data, bytes}),
                  PYR_ERR_CORRUPT);
    }
    for (size_t bit = 0; bit < count * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        if (producers_decode(&other->producers, (struct bytes){data, count}) == PYR_OK) {
            CHECK_INT(producers_encoded_bytes(&other->producers), count);
            producers_encode(&other->producers, (struct bytes_mut){again, count});
            CHECK_BYTES(again, data, count);
        }
        data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    data[0] = 2;
    CHECK_INT(producers_decode(&other->producers, (struct bytes){data, count}), PYR_ERR_VERSION);
    data[0] = 1;
    data[4] = ROWS + 1;
    CHECK_INT(producers_decode(&other->producers, (struct bytes){data, count}), PYR_ERR_TOO_LARGE);
    free(again);
    free(other);
}

/* Rows that no fold leaves behind: two of one producer, batches that overlap, or leave a gap. */
TEST(producers, take_no_copy_that_contradicts_itself)
{
    enum { ENTRY = 56 + 24 + 32, ROW = ENTRY + 32 };

    static const struct {
        size_t position;
        uint8_t byte;
    } changes[] = {{ROW, 1}, {ENTRY, 1}, {ENTRY + 16, 3}};
    struct fixture fixture;
    fixture_init(&fixture, UNDOS, 0);
    for (int64_t id = 1; id <= 2; id++) {
        append(&fixture.producers, batch_of(id, 1, 0, 2));
        append(&fixture.producers, batch_of(id, 1, 2, 1));
    }
    for (size_t index = 0; index < sizeof changes / sizeof changes[0]; index++) {
        uint8_t data[256];
        size_t count = producers_encoded_bytes(&fixture.producers);
        CHECK_INT(count, ROW + ROW - 56);
        producers_encode(&fixture.producers, (struct bytes_mut){data, count});
        CHECK(data[changes[index].position] != changes[index].byte);
        data[changes[index].position] = changes[index].byte;
        struct fixture *other = calloc(1, sizeof *other);
        CHECK(other);
        fixture_init(other, UNDOS, 0);
        CHECK_INT(producers_decode(&other->producers, (struct bytes){data, count}),
                  PYR_ERR_CORRUPT);
        free(other);
    }
}
