/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/producers - finding a producer's row, judging a batch, folding it in, and back.
 *
 * Rows are found by chains of a table that has as many as there are rows. A new producer looks at
 * all rows for the longest idle one; that is rare, and bounded.
 *
 * Length: the fold, its undoing and its copy in bytes read and write the same rows; apart, the
 * insides of a row would stand in a header.
 */
#include "replication/producers.h"

#include "base/codec.h"
#include "base/mutant.h"

/* Sequences count modulo this: INT32_MAX is followed by 0. */
#define SEQUENCE_MASK ((uint32_t)INT32_MAX)

/* A sequence at most this far behind is an old one, else it is ahead. */
#define SEQUENCES_BEHIND_MAX (INT32_MAX / 2)

enum {
    STATE_VERSION = 1,
    STATE_HEADER_BYTES = 56,
    STATE_ROW_BYTES = 24,
    STATE_ENTRY_BYTES = 32,
    REFUSAL_MAX = 2,
};

static int32_t sequence_after(int32_t sequence, int32_t count)
{
    ASSERT(sequence >= 0);
    ASSERT(count >= 0);
    return (int32_t)(((uint32_t)sequence + (uint32_t)count) & SEQUENCE_MASK);
}

/* -- Rows and chains -- */

static int32_t *head_of(const struct producers *producers, int64_t id)
{
    ASSERT(id > PRODUCER_NO_ID);
    ASSERT(producers->row_count > 0);
    /* Fibonacci hashing: ids that are handed out in blocks spread. */
    uint64_t mixed = ((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    return &producers->heads[mixed % (uint64_t)producers->row_count];
}

static int32_t row_find(const struct producers *producers, int64_t id)
{
    ASSERT(id > PRODUCER_NO_ID);

    int32_t row = producers->row_count > 0 ? *head_of(producers, id) : PRODUCER_NO_ROW;
    while (row != PRODUCER_NO_ROW && producers->rows[row].id != id) {
        ASSERT(row < producers->row_count);
        row = producers->rows[row].chain;
    }
    return row;
}

/* Make @row that of @id, which has none. Either may be none. */
static void row_rename(struct producers *producers, int32_t row, int64_t id)
{
    ASSERT(row >= 0);
    ASSERT(row < producers->row_count);
    struct producer_row *renamed = &producers->rows[row];
    if (renamed->id != PRODUCER_NO_ID) {
        int32_t *link = head_of(producers, renamed->id);
        while (*link != row) {
            link = &producers->rows[*link].chain;
        }
        *link = renamed->chain;
    }
    renamed->id = id;
    if (id != PRODUCER_NO_ID) {
        int32_t *head = head_of(producers, id);
        renamed->chain = *head;
        *head = row;
    }
}

/* Return the newest batch of @row, which has one. */
static const struct producer_entry *entry_newest(const struct producer_row *row)
{
    ASSERT(row->count > 0);
    ASSERT(row->place < PRODUCER_BATCHES_REMEMBERED);
    return &row->entries[(row->place + PRODUCER_BATCHES_REMEMBERED - 1) %
                         PRODUCER_BATCHES_REMEMBERED];
}

/* Return the @index-th oldest batch of @row. */
static const struct producer_entry *entry_at(const struct producer_row *row, int index)
{
    ASSERT(index < row->count);
    ASSERT(row->count <= PRODUCER_BATCHES_REMEMBERED);
    return &row->entries[(row->place + PRODUCER_BATCHES_REMEMBERED - row->count + index) %
                         PRODUCER_BATCHES_REMEMBERED];
}

static bool is_expired(const struct producers *producers, const struct producer_row *row)
{
    ASSERT(row->stamp_ms <= producers->clock.stamp_ms);
    ASSERT(producers->expiry_ms >= 0);
    return producers->expiry_ms > 0 && row->stamp_ms >= 0 &&
           producers->clock.stamp_ms - row->stamp_ms > producers->expiry_ms;
}

/* Return the row for a new producer: that of the longest idle one if it has expired, else an empty
 * one, else that of the longest idle. Stamps rise with offsets, so that none is expired if this is
 * not. */
static int32_t row_idle(const struct producers *producers)
{
    ASSERT(producers->row_count > 0);
    int32_t idle = PRODUCER_NO_ROW;
    int32_t empty = PRODUCER_NO_ROW;
    int64_t idle_end = INT64_MAX;
    for (int32_t row = 0; row < producers->row_count; row++) {
        const struct producer_row *seen = &producers->rows[row];
        if (seen->id == PRODUCER_NO_ID) {
            empty = empty == PRODUCER_NO_ROW ? row : empty;
        } else if (entry_newest(seen)->offset_end < idle_end) {
            idle = row;
            idle_end = entry_newest(seen)->offset_end;
        }
    }
    ASSERT(idle != PRODUCER_NO_ROW || empty != PRODUCER_NO_ROW);
    bool is_over = idle != PRODUCER_NO_ROW && is_expired(producers, &producers->rows[idle]);
    return is_over || empty == PRODUCER_NO_ROW ? idle : empty;
}

bool producers_wants_row(const struct producers *producers, int64_t id)
{
    ASSERT(id > PRODUCER_NO_ID);
    ASSERT(producers->row_count >= 0);

    if (row_find(producers, id) != PRODUCER_NO_ROW) {
        return false;
    }
    if (producers->row_count == 0) {
        return true;
    }
    const struct producer_row *row = &producers->rows[row_idle(producers)];
    return row->id != PRODUCER_NO_ID && !is_expired(producers, row);
}

/* -- Setting up -- */

/* Let the rows from @first on be empty, and all chains. */
static void rows_clear(struct producers *producers, int32_t first)
{
    ASSERT(first >= 0);
    ASSERT(first <= producers->row_count);

    for (int32_t row = first; row < producers->row_count; row++) {
        producers->rows[row] = (struct producer_row){.id = PRODUCER_NO_ID, .stamp_ms = -1};
    }
    for (int32_t row = 0; row < producers->row_count; row++) {
        producers->heads[row] = PRODUCER_NO_ROW;
    }
}

void producers_reset(struct producers *producers, int64_t offset_start)
{
    ASSERT(offset_start >= 0);
    ASSERT(producers->row_count >= 0);

    rows_clear(producers, 0);
    producers->undo_first = 0;
    producers->undo_count = 0;
    producers->undo_start = offset_start;
    producers->offset_end = offset_start;
    producers->lost = (struct producer_lost){.id = PRODUCER_NO_ID, .epoch = -1};
    producers->clock = (struct producer_clock){.stamp_ms = -1};
}

void producers_init(struct producers *producers,
                    const struct producers_options *options,
                    int64_t offset_start)
{
    ASSERT(options->row_count >= 0);
    ASSERT(options->expiry_ms >= 0);

    *producers = (struct producers){
        .rows = options->rows,
        .row_count = options->row_count,
        .heads = options->heads,
        .undos = options->undos,
        .undo_count_max = options->undo_count,
        .expiry_ms = options->expiry_ms,
        .committed = offset_start,
    };
    producers_reset(producers, offset_start);
}

/* -- Other memory -- */

/* Chain the rows below @row_count, which are filled, and let the others be empty. */
static void rows_chain(struct producers *producers, int32_t row_count)
{
    ASSERT(row_count <= producers->row_count);
    ASSERT(producers->row_count == 0 || producers->heads);

    rows_clear(producers, row_count);
    for (int32_t row = 0; row < row_count; row++) {
        struct producer_row *chained = &producers->rows[row];
        if (chained->id != PRODUCER_NO_ID) {
            int32_t *head = head_of(producers, chained->id);
            chained->chain = *head;
            *head = row;
        }
    }
}

void producers_move_rows(struct producers *producers,
                         struct producer_row *rows,
                         int32_t *heads,
                         int32_t row_count)
{
    ASSERT(row_count >= producers->row_count);
    ASSERT(rows != producers->rows);

    int32_t count = producers->row_count;
    if (count > 0) {
        memcpy(rows, producers->rows, (size_t)count * sizeof *rows);
    }
    producers->rows = rows;
    producers->heads = heads;
    producers->row_count = row_count;
    rows_chain(producers, count);
}

void producers_move_undos(struct producers *producers,
                          struct producer_undo *undos,
                          uint32_t undo_count)
{
    ASSERT(undo_count >= producers->undo_count);
    ASSERT(undos != producers->undos || undo_count == 0);

    for (uint32_t index = 0; index < producers->undo_count; index++) {
        undos[index] =
            producers->undos[(producers->undo_first + index) % producers->undo_count_max];
    }
    producers->undos = undos;
    producers->undo_count_max = undo_count;
    producers->undo_first = 0;
}

void producers_copy(const struct producers *producers,
                    struct producer_row *rows,
                    int32_t *heads,
                    struct producers *ret_copy)
{
    ASSERT(ret_copy != producers);
    ASSERT(producers->row_count == 0 || rows != producers->rows);

    size_t count = (size_t)producers->row_count;
    *ret_copy = *producers;
    ret_copy->rows = rows;
    ret_copy->heads = heads;
    if (count > 0) {
        memcpy(rows, producers->rows, count * sizeof *rows);
        memcpy(heads, producers->heads, count * sizeof *heads);
    }
}

/* -- Judging -- */

static int64_t later(int64_t left, int64_t right)
{
    ASSERT(left >= 0);
    ASSERT(right >= 0);
    return left > right ? left : right;
}

/* The answer to a producer that has no row, or an expired one. */
static struct producer_answer answer_unknown(const struct producers *producers,
                                             const struct producer_batch *batch,
                                             bool has_row)
{
    ASSERT(batch->id > PRODUCER_NO_ID);
    ASSERT(batch->epoch >= 0);

    const struct producer_lost *lost = &producers->lost;
    bool is_anew = batch->epoch > lost->epoch && batch->sequence_first == 0;
    if (batch->id <= lost->id && !is_anew) { /* PRD-5 */
        /* That a row had expired, and was not lost, rests on the clock. */
        int64_t clock_end = producers->expiry_ms > 0 ? producers->clock.offset_end : 0;
        return (struct producer_answer){.verdict = PRODUCER_LOST,
                                        .offset_end = later(lost->offset_end, clock_end)};
    }
    if (has_row) {
        return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
    }
    if (producers->row_count == 0) {
        return (struct producer_answer){.verdict = PRODUCER_FULL};
    }
    const struct producer_row *row = &producers->rows[row_idle(producers)];
    if (row->id != PRODUCER_NO_ID && !is_expired(producers, row) &&
        entry_newest(row)->offset_end > producers->committed) {
        return (struct producer_answer){.verdict = PRODUCER_FULL};
    }
    return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
}

/* Return the remembered batch of @row with just the sequences of @batch, or NULL. */
static const struct producer_entry *entry_find(const struct producer_row *row,
                                               const struct producer_batch *batch)
{
    ASSERT(row->id == batch->id);
    ASSERT(row->epoch == batch->epoch);
    for (int index = 0; index < row->count; index++) {
        const struct producer_entry *entry = entry_at(row, index);
        if (entry->sequence_first == batch->sequence_first &&
            entry->sequence_count == batch->sequence_count) {
            return entry;
        }
    }
    return NULL;
}

/* The answer to a producer in the epoch of its row. */
static struct producer_answer answer_known(const struct producer_row *row,
                                           const struct producer_batch *batch)
{
    const struct producer_entry *newest = entry_newest(row);
    const struct producer_entry *entry = entry_find(row, batch);
    if (MUTANT(retry_appended_again) && entry) {
        return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
    }
    if (entry) { /* PRD-1 */
        return (struct producer_answer){.verdict = PRODUCER_DUPLICATE,
                                        .entry = *entry,
                                        .offset_end = entry->offset_end};
    }
    int32_t next = sequence_after(newest->sequence_first, newest->sequence_count);
    if (batch->sequence_first == next) {
        return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
    }
    uint32_t behind = ((uint32_t)next - (uint32_t)batch->sequence_first) & SEQUENCE_MASK;
    ASSERT(behind > 0);
    return (struct producer_answer){.verdict = behind <= SEQUENCES_BEHIND_MAX ? PRODUCER_OLD
                                                                              : PRODUCER_GAP,
                                    .offset_end = newest->offset_end};
}

struct producer_answer producers_check(const struct producers *producers,
                                       const struct producer_batch *batch)
{
    ASSERT(batch->epoch >= 0); /* batch_check_produced: a whole identity, or none. */
    ASSERT(batch->sequence_first >= 0);
    ASSERT(batch->sequence_count > 0);

    int32_t index = row_find(producers, batch->id);
    if (index == PRODUCER_NO_ROW) {
        return answer_unknown(producers, batch, false);
    }
    const struct producer_row *row = &producers->rows[index];
    if (is_expired(producers, row)) {
        return answer_unknown(producers, batch, true);
    }
    if (batch->epoch == row->epoch) {
        return answer_known(row, batch);
    }
    if (batch->epoch > row->epoch && batch->sequence_first == 0) {
        return (struct producer_answer){.verdict = PRODUCER_ACCEPTED};
    }
    return (struct producer_answer){.verdict =
                                        batch->epoch < row->epoch ? PRODUCER_FENCED : PRODUCER_GAP,
                                    .offset_end = entry_newest(row)->offset_end};
}

/* -- The fold -- */

/* Keep how things are before the batch that ends at @offset_end changes @row. */
static void undo_push(struct producers *producers, int32_t row, int64_t offset_end)
{
    ASSERT(offset_end > producers->offset_end);
    ASSERT(producers->undo_count <= producers->undo_count_max);

    if (offset_end <= producers->committed) {
        producers->undo_start = offset_end;
        return;
    }
    ASSERT(producers->undo_count_max > 0);
    if (producers->undo_count == producers->undo_count_max) {
        producers->undo_start = producers->undos[producers->undo_first].offset_end;
        producers->undo_first = (producers->undo_first + 1) % producers->undo_count_max;
        producers->undo_count--;
    }
    uint32_t place = (producers->undo_first + producers->undo_count) % producers->undo_count_max;
    struct producer_undo *undo = &producers->undos[place];
    *undo = (struct producer_undo){.offset_end = offset_end,
                                   .before = producers->offset_end,
                                   .row = row,
                                   .lost = producers->lost,
                                   .clock = producers->clock};
    if (row != PRODUCER_NO_ROW) {
        const struct producer_row *changed = &producers->rows[row];
        undo->id = changed->id;
        undo->stamp_ms = changed->stamp_ms;
        undo->epoch = changed->epoch;
        undo->count = changed->count;
        undo->entry = changed->entries[changed->place];
    }
    producers->undo_count++;
}

/* Let whoever has @row be lost to a batch that ends at @offset_end, unless it expired. */
static void row_lose(struct producers *producers,
                     const struct producer_row *row,
                     int64_t offset_end)
{
    ASSERT(offset_end > producers->offset_end);
    if (row->id == PRODUCER_NO_ID || is_expired(producers, row)) {
        return;
    }
    struct producer_lost *lost = &producers->lost;
    lost->id = row->id > lost->id ? row->id : lost->id;
    if (row->epoch > lost->epoch) {
        lost->epoch = row->epoch;
    }
    lost->offset_end = offset_end;
    ASSERT(lost->id > PRODUCER_NO_ID); /* PRD-5 */
}

void producers_append(struct producers *producers, const struct producer_batch *batch)
{
    ASSERT(batch->epoch >= 0);
    ASSERT(batch->sequence_count > 0);
    ASSERT(batch->offset_first >= producers->offset_end);
    ASSERT(batch->offset_end > batch->offset_first);

    if (MUTANT(producers_not_rebuilt) && batch->offset_end <= producers->committed) {
        return;
    }
    int32_t index = row_find(producers, batch->id);
    bool is_new = index == PRODUCER_NO_ROW;
    if (is_new) {
        index = row_idle(producers);
    }
    undo_push(producers, index, batch->offset_end);

    struct producer_row *row = &producers->rows[index];
    if (is_new) {
        row_lose(producers, row, batch->offset_end);
        row_rename(producers, index, batch->id);
        row->count = 0;
    } else if (row->epoch != batch->epoch || is_expired(producers, row)) {
        row->count = 0;
    } else {
        const struct producer_entry *newest = entry_newest(row);
        int32_t next = sequence_after(newest->sequence_first, newest->sequence_count);
        row->count = batch->sequence_first == next ? row->count : 0; /* PRD-2 */
    }
    row->epoch = batch->epoch;
    row->stamp_ms = producers->clock.stamp_ms;
    row->entries[row->place] = (struct producer_entry){.offset_first = batch->offset_first,
                                                       .offset_end = batch->offset_end,
                                                       .sequence_first = batch->sequence_first,
                                                       .sequence_count = batch->sequence_count,
                                                       .refusal = batch->refusal};
    row->place = (uint8_t)((row->place + 1) % PRODUCER_BATCHES_REMEMBERED);
    row->count = (uint8_t)(row->count + (row->count < PRODUCER_BATCHES_REMEMBERED));
    producers->offset_end = batch->offset_end;
}

void producers_stamp(struct producers *producers, int64_t stamp_ms, int64_t offset_end)
{
    ASSERT(stamp_ms >= 0);
    ASSERT(offset_end > producers->offset_end);

    undo_push(producers, PRODUCER_NO_ROW, offset_end);
    if (stamp_ms > producers->clock.stamp_ms) {
        producers->clock = (struct producer_clock){stamp_ms, offset_end};
    }
    producers->offset_end = offset_end;
}

void producers_commit(struct producers *producers, int64_t offset_end)
{
    ASSERT(offset_end >= producers->committed);
    ASSERT(producers->undo_first == 0 || producers->undo_first < producers->undo_count_max);

    producers->committed = offset_end;
    while (producers->undo_count > 0 &&
           producers->undos[producers->undo_first].offset_end <= offset_end) {
        producers->undo_start = producers->undos[producers->undo_first].offset_end;
        producers->undo_first = (producers->undo_first + 1) % producers->undo_count_max;
        producers->undo_count--;
    }
}

static void undo_apply(struct producers *producers, const struct producer_undo *undo)
{
    ASSERT(undo->offset_end == producers->offset_end);
    ASSERT(undo->offset_end > producers->committed);

    producers->lost = undo->lost;
    producers->clock = undo->clock;
    producers->offset_end = undo->before;
    if (undo->row == PRODUCER_NO_ROW) {
        return;
    }
    struct producer_row *row = &producers->rows[undo->row];
    if (row->id != undo->id) {
        row_rename(producers, undo->row, undo->id);
    }
    row->stamp_ms = undo->stamp_ms;
    row->epoch = undo->epoch;
    row->count = undo->count;
    row->place =
        (uint8_t)((row->place + PRODUCER_BATCHES_REMEMBERED - 1) % PRODUCER_BATCHES_REMEMBERED);
    row->entries[row->place] = undo->entry;
}

bool producers_truncate(struct producers *producers, int64_t offset_end)
{
    ASSERT(offset_end >= producers->committed);
    ASSERT(producers->undo_count <= producers->undo_count_max);

    if (offset_end < producers->undo_start) {
        return false;
    }
    while (producers->offset_end > offset_end && producers->undo_count > 0) {
        uint32_t newest =
            (producers->undo_first + producers->undo_count - 1) % producers->undo_count_max;
        undo_apply(producers, &producers->undos[newest]);
        producers->undo_count--;
    }
    ASSERT(producers->offset_end <= offset_end); /* PRD-3 */
    return true;
}

/* -- Comparing -- */

static bool entry_equal(const struct producer_entry *left, const struct producer_entry *right)
{
    ASSERT(left->sequence_count > 0);
    ASSERT(right->sequence_count > 0);

    return left->offset_first == right->offset_first && left->offset_end == right->offset_end &&
           left->sequence_first == right->sequence_first &&
           left->sequence_count == right->sequence_count && left->refusal == right->refusal;
}

/* Return whether @left and @right, of one producer, are alike. */
static bool row_equal(const struct producer_row *left, const struct producer_row *right)
{
    ASSERT(left->id == right->id);
    ASSERT(left->count > 0);

    bool is_equal = left->epoch == right->epoch && left->stamp_ms == right->stamp_ms &&
                    left->count == right->count;
    for (int index = 0; is_equal && index < left->count; index++) {
        is_equal = entry_equal(entry_at(left, index), entry_at(right, index));
    }
    return is_equal;
}

static int32_t rows_used(const struct producers *producers)
{
    ASSERT(producers->row_count >= 0);

    int32_t count = 0;
    for (int32_t row = 0; row < producers->row_count; row++) {
        count += producers->rows[row].id != PRODUCER_NO_ID;
    }
    return count;
}

bool producers_equal(const struct producers *left, const struct producers *right)
{
    ASSERT(left->offset_end >= 0);
    ASSERT(right->offset_end >= 0);

    bool is_equal =
        left->offset_end == right->offset_end && left->clock.stamp_ms == right->clock.stamp_ms &&
        left->clock.offset_end == right->clock.offset_end && left->lost.id == right->lost.id &&
        left->lost.epoch == right->lost.epoch && left->lost.offset_end == right->lost.offset_end &&
        rows_used(left) == rows_used(right);
    for (int32_t row = 0; is_equal && row < left->row_count; row++) {
        const struct producer_row *mine = &left->rows[row];
        int32_t other = mine->id == PRODUCER_NO_ID ? row : row_find(right, mine->id);
        is_equal = mine->id == PRODUCER_NO_ID ||
                   (other != PRODUCER_NO_ROW && row_equal(mine, &right->rows[other]));
    }
    return is_equal;
}

/* -- The state in bytes -- */

int32_t producers_encoded_rows(struct bytes data)
{
    ASSERT(data.data);

    if (data.count < STATE_HEADER_BYTES) {
        return -1;
    }
    uint64_t count = get_le32(data.data + 4);
    bool is_there = count * (STATE_ROW_BYTES + STATE_ENTRY_BYTES) <= data.count;
    return is_there ? (int32_t)count : -1;
}

size_t producers_encoded_bytes(const struct producers *producers)
{
    ASSERT(producers->row_count >= 0);

    size_t bytes = STATE_HEADER_BYTES;
    for (int32_t row = 0; row < producers->row_count; row++) {
        const struct producer_row *counted = &producers->rows[row];
        if (counted->id != PRODUCER_NO_ID) {
            bytes += STATE_ROW_BYTES + (size_t)counted->count * STATE_ENTRY_BYTES;
        }
    }
    ASSERT(bytes >= STATE_HEADER_BYTES);
    return bytes;
}

static uint8_t *row_encode(const struct producer_row *row, uint8_t *to)
{
    ASSERT(row->id > PRODUCER_NO_ID);
    ASSERT(row->count > 0);

    memset(to, 0, STATE_ROW_BYTES);
    put_le64(to, (uint64_t)row->id);
    put_le64(to + 8, (uint64_t)row->stamp_ms);
    put_le16(to + 16, (uint16_t)row->epoch);
    put_le16(to + 18, row->count);
    to += STATE_ROW_BYTES;
    for (int index = 0; index < row->count; index++) {
        const struct producer_entry *entry = entry_at(row, index);
        memset(to, 0, STATE_ENTRY_BYTES);
        put_le64(to, (uint64_t)entry->offset_first);
        put_le64(to + 8, (uint64_t)entry->offset_end);
        put_le32(to + 16, (uint32_t)entry->sequence_first);
        put_le32(to + 20, (uint32_t)entry->sequence_count);
        to[24] = entry->refusal;
        to += STATE_ENTRY_BYTES;
    }
    return to;
}

void producers_encode(const struct producers *producers, struct bytes_mut data)
{
    ASSERT(data.count == producers_encoded_bytes(producers));

    uint32_t count = 0;
    uint8_t *to = data.data + STATE_HEADER_BYTES;
    for (int32_t row = 0; row < producers->row_count; row++) {
        if (producers->rows[row].id != PRODUCER_NO_ID) {
            to = row_encode(&producers->rows[row], to);
            count++;
        }
    }
    ASSERT(to == data.data + data.count);
    memset(data.data, 0, STATE_HEADER_BYTES);
    put_le32(data.data, STATE_VERSION);
    put_le32(data.data + 4, count);
    put_le64(data.data + 8, (uint64_t)producers->offset_end);
    put_le64(data.data + 16, (uint64_t)producers->clock.stamp_ms);
    put_le64(data.data + 24, (uint64_t)producers->clock.offset_end);
    put_le64(data.data + 32, (uint64_t)producers->lost.id);
    put_le64(data.data + 40, (uint64_t)producers->lost.offset_end);
    put_le16(data.data + 48, (uint16_t)producers->lost.epoch);
}

/* Return whether all of @data is 0. */
static bool is_zero(const uint8_t *data, size_t count)
{
    ASSERT(data);
    for (size_t index = 0; index < count; index++) {
        if (data[index] != 0) {
            return false;
        }
    }
    return true;
}

static enum pyr_err header_decode(struct producers *producers, const uint8_t *from)
{
    ASSERT(producers->undo_count == 0);

    if (get_le32(from) != STATE_VERSION) {
        return get_le32(from) > STATE_VERSION ? PYR_ERR_VERSION : PYR_ERR_CORRUPT;
    }
    if (get_le32(from + 4) > (uint32_t)producers->row_count) {
        return PYR_ERR_TOO_LARGE;
    }
    producers->offset_end = (int64_t)get_le64(from + 8);
    struct producer_clock clock = {(int64_t)get_le64(from + 16), (int64_t)get_le64(from + 24)};
    struct producer_lost lost = {.id = (int64_t)get_le64(from + 32),
                                 .epoch = (int16_t)get_le16(from + 48),
                                 .offset_end = (int64_t)get_le64(from + 40)};
    bool is_clock = clock.offset_end >= 0 && clock.offset_end <= producers->offset_end &&
                    clock.stamp_ms >= -1 && (clock.stamp_ms >= 0) == (clock.offset_end > 0);
    bool is_lost = lost.offset_end >= 0 && lost.offset_end <= producers->offset_end &&
                   lost.id >= PRODUCER_NO_ID && lost.epoch >= -1 &&
                   (lost.id >= 0) == (lost.offset_end > 0) && (lost.id >= 0) == (lost.epoch >= 0);
    if (!is_clock || !is_lost || !is_zero(from + 50, 6)) {
        return PYR_ERR_CORRUPT;
    }
    producers->clock = clock;
    producers->lost = lost;
    producers->undo_start = producers->offset_end;
    return PYR_OK;
}

/* Decode one batch behind those that @row has. */
static bool entry_decode(struct producer_row *row, int64_t offset_end, const uint8_t *from)
{
    ASSERT(row->count < PRODUCER_BATCHES_REMEMBERED);
    ASSERT(offset_end >= 0);

    struct producer_entry entry = {.offset_first = (int64_t)get_le64(from),
                                   .offset_end = (int64_t)get_le64(from + 8),
                                   .sequence_first = (int32_t)get_le32(from + 16),
                                   .sequence_count = (int32_t)get_le32(from + 20),
                                   .refusal = from[24]};
    if (entry.offset_first < 0 || entry.offset_end <= entry.offset_first ||
        entry.offset_end > offset_end || entry.sequence_first < 0 || entry.sequence_count < 1 ||
        from[24] > REFUSAL_MAX || !is_zero(from + 25, 7)) {
        return false;
    }
    if (row->count > 0) {
        const struct producer_entry *before = &row->entries[row->count - 1];
        int32_t next = sequence_after(before->sequence_first, before->sequence_count);
        if (entry.offset_first < before->offset_end || entry.sequence_first != next) { /* PRD-2 */
            return false;
        }
    }
    row->entries[row->count++] = entry;
    return true;
}

/* Decode row @index from the front of @data. Return what it takes, 0 if it cannot be. */
static size_t row_decode(struct producers *producers, int32_t index, struct bytes data)
{
    ASSERT(index < producers->row_count);
    if (data.count < STATE_ROW_BYTES) {
        return 0;
    }
    int64_t id = (int64_t)get_le64(data.data);
    int64_t stamp_ms = (int64_t)get_le64(data.data + 8);
    int16_t epoch = (int16_t)get_le16(data.data + 16);
    size_t count = get_le16(data.data + 18);
    size_t bytes = STATE_ROW_BYTES + count * STATE_ENTRY_BYTES;
    if (id < 0 || row_find(producers, id) != PRODUCER_NO_ROW || stamp_ms < -1 ||
        stamp_ms > producers->clock.stamp_ms || epoch < 0 || count < 1 ||
        count > PRODUCER_BATCHES_REMEMBERED || bytes > data.count || !is_zero(data.data + 20, 4)) {
        return 0;
    }
    struct producer_row *row = &producers->rows[index];
    row_rename(producers, index, id);
    row->stamp_ms = stamp_ms;
    row->epoch = epoch;
    for (size_t entry = 0; entry < count; entry++) {
        const uint8_t *from = data.data + STATE_ROW_BYTES + entry * STATE_ENTRY_BYTES;
        if (!entry_decode(row, producers->offset_end, from)) {
            return 0;
        }
    }
    row->place = (uint8_t)(row->count % PRODUCER_BATCHES_REMEMBERED);
    ASSERT(row->count == count);
    return bytes;
}

enum pyr_err producers_decode(struct producers *producers, struct bytes data)
{
    producers_reset(producers, 0);
    if (data.count < STATE_HEADER_BYTES) {
        return PYR_ERR_CORRUPT;
    }
    enum pyr_err err = header_decode(producers, data.data);
    if (err != PYR_OK) {
        producers_reset(producers, 0);
        return err;
    }
    size_t position = STATE_HEADER_BYTES;
    int32_t count = (int32_t)get_le32(data.data + 4);
    for (int32_t row = 0; row < count; row++) {
        ASSERT(position <= data.count);
        size_t bytes =
            row_decode(producers, row, (struct bytes){data.data + position, data.count - position});
        position += bytes;
        if (bytes == 0) {
            producers_reset(producers, 0);
            return PYR_ERR_CORRUPT;
        }
    }
    if (position != data.count) {
        producers_reset(producers, 0);
        return PYR_ERR_CORRUPT;
    }
    return PYR_OK;
}
