/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/fold - folding in, taking back, and the memory for it.
 */
#include "partition/fold.h"

#include "base/limits.h"
#include "record/control.h"

ASSERT_STATIC((int)CONTROL_REASON_TOKEN == (int)CONDITION_TOKEN, "one number on disk");
ASSERT_STATIC((int)CONTROL_REASON_END == (int)CONDITION_END, "one number on disk");

/* -- Memory -- */

void fold_init(struct fold *fold, struct io *io)
{
    ASSERT(io);
    ASSERT(fold);

    *fold = (struct fold){.io = io};
}

void fold_forget(struct fold *fold)
{
    ASSERT(fold->io || !fold->is_known);

    if (fold->io) {
        io_free(fold->io, fold->producers.rows);
        io_free(fold->io, fold->producers.heads);
        io_free(fold->io, fold->producers.undos);
        io_free(fold->io, fold->conditions.undos);
    }
    *fold = (struct fold){.io = fold->io};
    ASSERT(!fold->is_known);
}

void fold_begin(struct fold *fold, int64_t offset_start, int64_t committed)
{
    ASSERT(fold->io);
    ASSERT(offset_start >= 0);

    ASSERT(committed >= 0);

    fold_forget(fold);
    const struct producers_options options = {.expiry_ms = PRODUCER_EXPIRY_MS};
    producers_init(&fold->producers, &options, offset_start);
    conditions_init(&fold->conditions, NULL, 0, offset_start);
    fold->producers.committed = committed;
    fold->conditions.committed = committed;
    fold->is_known = true;
}

/* Return how many there are to be instead of @count, which are all in use. */
static uint32_t grown(uint32_t count, uint32_t first, uint32_t most)
{
    ASSERT(count < most);
    ASSERT(first <= most);

    uint32_t wanted = count == 0 ? first : 2 * count;
    return wanted < most ? wanted : most;
}

/* See that one more undo of the producers finds room, as far as there may be any. */
static bool producers_undo_reserve(struct fold *fold)
{
    struct producers *producers = &fold->producers;
    ASSERT(fold->is_known);
    ASSERT(producers->undo_count <= producers->undo_count_max);

    uint32_t count = producers->undo_count_max;
    if (producers->undo_count < count || count == FOLD_UNDOS_MAX) {
        return true;
    }
    count = grown(count, FOLD_UNDOS_FIRST, FOLD_UNDOS_MAX);
    struct producer_undo *undos =
        io_alloc(fold->io, count * sizeof *undos, _Alignof(struct producer_undo));
    if (!undos) {
        return false;
    }
    struct producer_undo *before = producers->undos;
    producers_move_undos(producers, undos, count);
    io_free(fold->io, before);
    return true;
}

/* Likewise of the conditions. */
static bool conditions_undo_reserve(struct fold *fold)
{
    struct conditions *conditions = &fold->conditions;
    ASSERT(fold->is_known);
    ASSERT(conditions->undo_count <= conditions->undo_count_max);

    uint32_t count = conditions->undo_count_max;
    if (conditions->undo_count < count || count == FOLD_UNDOS_MAX) {
        return true;
    }
    count = grown(count, FOLD_UNDOS_FIRST, FOLD_UNDOS_MAX);
    struct condition_undo *undos =
        io_alloc(fold->io, count * sizeof *undos, _Alignof(struct condition_undo));
    if (!undos) {
        return false;
    }
    struct condition_undo *before = conditions->undos;
    conditions_move_undos(conditions, undos, count);
    io_free(fold->io, before);
    return true;
}

/* Have @count rows for producers, more than now. */
static bool rows_reserve(struct fold *fold, int32_t count)
{
    struct producers *producers = &fold->producers;
    ASSERT(count > producers->row_count);
    ASSERT(count <= FOLD_PRODUCERS_MAX);

    size_t rows_bytes = (size_t)count * sizeof(struct producer_row);
    struct producer_row *rows = io_alloc(fold->io, rows_bytes, _Alignof(struct producer_row));
    int32_t *heads = io_alloc(fold->io, (size_t)count * sizeof *heads, _Alignof(int32_t));
    if (!rows || !heads) {
        io_free(fold->io, rows);
        io_free(fold->io, heads);
        return false;
    }
    struct producer_row *rows_before = producers->rows;
    int32_t *heads_before = producers->heads;
    producers_move_rows(producers, rows, heads, count);
    io_free(fold->io, rows_before);
    io_free(fold->io, heads_before);
    return true;
}

enum pyr_err fold_reserve(struct fold *fold, int64_t id)
{
    ASSERT(fold->is_known);
    ASSERT(id >= PRODUCER_NO_ID);

    struct producers *producers = &fold->producers;
    bool is_there = producers_undo_reserve(fold) && conditions_undo_reserve(fold);
    bool wants_row = id != PRODUCER_NO_ID && producers->row_count < FOLD_PRODUCERS_MAX &&
                     producers_wants_row(producers, id);
    if (is_there && wants_row) {
        uint32_t count = (uint32_t)producers->row_count;
        is_there =
            rows_reserve(fold, (int32_t)grown(count, FOLD_PRODUCERS_FIRST, FOLD_PRODUCERS_MAX));
    }
    return is_there ? PYR_OK : PYR_ERR_NO_MEMORY;
}

/* -- The fold -- */

bool fold_producer(const struct batch_header *header, struct producer_batch *ret_batch)
{
    ASSERT(header->last_offset_delta >= 0);
    ASSERT(ret_batch);

    bool is_whole =
        header->producer_id >= 0 && header->producer_epoch >= 0 && header->base_sequence >= 0;
    if (batch_is_control(header) || !is_whole) {
        return false;
    }
    *ret_batch = (struct producer_batch){.id = header->producer_id,
                                         .epoch = header->producer_epoch,
                                         .sequence_first = header->base_sequence,
                                         .sequence_count = header->last_offset_delta + 1,
                                         .offset_first = header->base_offset,
                                         .offset_end = batch_offset_end(header)};
    return true;
}

/* What one batch says. */
struct step {
    bool has_producer;
    struct producer_batch producer;
    int64_t stamp_ms; /* -1: none. */
    int64_t token;    /* CONDITION_NONE: none. */
};

static struct step step_read(struct bytes batch, const struct batch_header *header)
{
    ASSERT(batch.count >= header->bytes);
    ASSERT(header->base_offset >= 0);

    struct step step = {.stamp_ms = -1, .token = CONDITION_NONE};
    struct control control;
    step.has_producer = fold_producer(header, &step.producer);
    if (!control_read(batch, header, &control)) {
        return step;
    }
    const struct control_refusal *refusal = &control.as.refusal;
    switch (control.type) {
    case CONTROL_CLOCK:
        step.stamp_ms = control.as.clock_ms;
        break;
    case CONTROL_TOKEN:
        step.token = control.as.token;
        break;
    case CONTROL_REFUSAL:
        step.has_producer = true;
        step.producer = (struct producer_batch){.id = refusal->producer_id,
                                                .epoch = refusal->producer_epoch,
                                                .refusal = (uint8_t)refusal->reason,
                                                .sequence_first = refusal->sequence_first,
                                                .sequence_count = refusal->sequence_count,
                                                .offset_first = header->base_offset,
                                                .offset_end = batch_offset_end(header)};
        break;
    case CONTROL_GAP:
        break;
    }
    return step;
}

void fold_append(struct fold *fold, struct bytes batch, const struct batch_header *header)
{
    ASSERT(header->bytes <= batch.count);
    ASSERT(header->base_offset >= 0);

    if (!fold->is_known) {
        return;
    }
    ASSERT(header->base_offset == fold->conditions.offset_end); /* FOL-1: nothing is left out. */
    struct step step = step_read(batch, header);
    int64_t id = step.has_producer ? step.producer.id : PRODUCER_NO_ID;
    int64_t offset_end = batch_offset_end(header);
    if (fold_reserve(fold, id) != PYR_OK) {
        fold_forget(fold);
        return;
    }
    if (step.has_producer) {
        producers_append(&fold->producers, &step.producer);
    }
    if (step.stamp_ms >= 0) {
        producers_stamp(&fold->producers, step.stamp_ms, offset_end);
    }
    ASSERT(fold->producers.offset_end <= offset_end);
    conditions_append(&fold->conditions, batch_is_control(header), step.token, offset_end);
    fold->bytes_news += header->bytes;
}

void fold_truncate(struct fold *fold, int64_t offset)
{
    ASSERT(offset >= 0);
    ASSERT(fold->producers.offset_end <= fold->conditions.offset_end);

    if (!fold->is_known || offset >= fold->conditions.offset_end) {
        return;
    }
    bool is_back = offset >= fold->conditions.undo_start && offset >= fold->producers.undo_start &&
                   offset >= fold->conditions.committed;
    if (!is_back || !producers_truncate(&fold->producers, offset) ||
        !conditions_truncate(&fold->conditions, offset)) {
        fold_forget(fold);
        return;
    }
    ASSERT(fold->conditions.offset_end == offset); /* FOL-1 */
}

void fold_commit(struct fold *fold, int64_t offset)
{
    ASSERT(offset >= 0);

    if (!fold->is_known) {
        return;
    }
    struct producers *producers = &fold->producers;
    struct conditions *conditions = &fold->conditions;
    ASSERT(offset >= conditions->committed);
    ASSERT(producers->committed == conditions->committed);
    producers_commit(producers, offset);
    conditions_commit(conditions, offset);
    if (producers->undo_count == 0 && producers->undo_count_max > FOLD_UNDOS_KEPT) {
        io_free(fold->io, producers->undos);
        producers_move_undos(producers, NULL, 0);
    }
    if (conditions->undo_count == 0 && conditions->undo_count_max > FOLD_UNDOS_KEPT) {
        io_free(fold->io, conditions->undos);
        conditions_move_undos(conditions, NULL, 0);
    }
}

bool fold_equal(const struct fold *left, const struct fold *right)
{
    ASSERT(left->is_known);
    ASSERT(right->is_known);

    return producers_equal(&left->producers, &right->producers) &&
           left->conditions.offset_end == right->conditions.offset_end &&
           left->conditions.users_end == right->conditions.users_end &&
           left->conditions.token == right->conditions.token;
}
