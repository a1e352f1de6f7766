/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/fold_file - what is known of a log, as bytes and back.
 *
 * A snapshot is taken of what is committed, while the fold itself is at the log's end: of a copy,
 * which is taken back as a cut would.
 */
#include "base/checksum.h"
#include "base/codec.h"
#include "base/mutant.h"
#include "partition/fold.h"

static const uint8_t magic[4] = {'P', 'F', 'L', 'D'};

enum {
    FOLD_VERSION = 1,
    HEAD_BYTES = 56,
    CRC_BYTES = 4,
    PRODUCERS_BYTES_MIN = 56,  /* Of an encoded state, */
    PRODUCERS_BYTES_ROW = 536, /* and of each row at the most. */
};

size_t fold_encoded_bytes_max(void)
{
    ASSERT_STATIC(PRODUCERS_BYTES_ROW == 24 + PRODUCER_BATCHES_REMEMBERED * 32, "producers.h");

    return HEAD_BYTES + CRC_BYTES + PRODUCERS_BYTES_MIN +
           (size_t)FOLD_PRODUCERS_MAX * PRODUCERS_BYTES_ROW;
}

/* Put the state of @producers and @conditions, which end alike, behind a head. */
static uint8_t *state_put(struct io *io,
                          const struct producers *producers,
                          const struct conditions *conditions,
                          size_t *ret_count)
{
    ASSERT(producers->offset_end <= conditions->offset_end);
    ASSERT(ret_count);

    size_t bytes = producers_encoded_bytes(producers);
    uint8_t *data = io_alloc(io, HEAD_BYTES + bytes + CRC_BYTES, 1);
    if (!data) {
        return NULL;
    }
    memcpy(data, magic, sizeof magic);
    put_le16(data + 4, FOLD_VERSION);
    put_le16(data + 6, 0);
    put_le64(data + 24, (uint64_t)conditions->offset_end);
    put_le32(data + 36, (uint32_t)bytes);
    put_le64(data + 40, (uint64_t)conditions->users_end);
    put_le64(data + 48, (uint64_t)conditions->token);
    producers_encode(producers, (struct bytes_mut){data + HEAD_BYTES, bytes});
    *ret_count = HEAD_BYTES + bytes + CRC_BYTES;
    return data;
}

uint8_t *fold_encode(const struct fold *fold,
                     const struct log_id *log,
                     const struct epoch_table *epochs,
                     size_t *ret_count)
{
    ASSERT(fold->is_known);
    ASSERT(epochs->offset_end >= fold->conditions.committed);

    size_t rows = (size_t)fold->producers.row_count;
    struct producer_row *row_copy =
        io_alloc(fold->io, (rows + 1) * sizeof *row_copy, _Alignof(struct producer_row));
    int32_t *heads = io_alloc(fold->io, (rows + 1) * sizeof *heads, _Alignof(int32_t));
    uint8_t *data = NULL;
    if (row_copy && heads) {
        struct producers producers;
        struct conditions conditions = fold->conditions;
        producers_copy(&fold->producers, row_copy, heads, &producers);
        bool is_back = MUTANT(snapshot_ahead_of_log) ||
                       (producers_truncate(&producers, conditions.committed) &&
                        conditions_truncate(&conditions, conditions.committed)); /* FOL-3 */
        data = is_back ? state_put(fold->io, &producers, &conditions, ret_count) : NULL;
    }
    io_free(fold->io, row_copy);
    io_free(fold->io, heads);
    if (data) {
        size_t checked = *ret_count - CRC_BYTES;
        int64_t offset = (int64_t)get_le64(data + 24);
        ASSERT(*ret_count <= fold_encoded_bytes_max());
        ASSERT(offset <= epochs->offset_end);
        memcpy(data + 8, log->value, LOG_ID_BYTES);
        put_le32(data + 32, (uint32_t)epochs_before(epochs, offset));
        put_le32(data + checked, checksum_crc32c(0, (struct bytes){data, checked}));
    }
    return data;
}

/* Return whether the whole of @data can have been encoded, for log @log. */
static enum pyr_err head_check(struct bytes data, const struct log_id *log)
{
    ASSERT(log);

    if (data.count < HEAD_BYTES + PRODUCERS_BYTES_MIN + CRC_BYTES ||
        memcmp(data.data, magic, sizeof magic) != 0) {
        return PYR_ERR_CORRUPT;
    }
    uint16_t version = get_le16(data.data + 4);
    if (version != FOLD_VERSION) {
        return version > FOLD_VERSION ? PYR_ERR_VERSION : PYR_ERR_CORRUPT;
    }
    size_t checked = data.count - CRC_BYTES;
    bool is_sound =
        get_le32(data.data + checked) == checksum_crc32c(0, (struct bytes){data.data, checked}) &&
        HEAD_BYTES + (size_t)get_le32(data.data + 36) == checked;
    if (!is_sound) {
        return PYR_ERR_CORRUPT;
    }
    return memcmp(data.data + 8, log->value, LOG_ID_BYTES) == 0 ? PYR_OK : PYR_ERR_FOREIGN;
}

/* Take the producers of @data, in rows that they fit. */
static enum pyr_err producers_take(struct fold *fold, struct bytes data)
{
    ASSERT(fold->is_known);
    ASSERT(fold->producers.row_count == 0);

    int32_t count = producers_encoded_rows(data);
    if (count < 0 || count > FOLD_PRODUCERS_MAX) {
        return PYR_ERR_CORRUPT;
    }
    if (count > 0) {
        size_t bytes = (size_t)count * sizeof(struct producer_row);
        struct producer_row *rows = io_alloc(fold->io, bytes, _Alignof(struct producer_row));
        int32_t *heads = io_alloc(fold->io, (size_t)count * sizeof *heads, _Alignof(int32_t));
        if (!rows || !heads) {
            io_free(fold->io, rows);
            io_free(fold->io, heads);
            return PYR_ERR_NO_MEMORY;
        }
        producers_move_rows(&fold->producers, rows, heads, count);
    }
    return producers_decode(&fold->producers, data);
}

enum pyr_err fold_decode(struct fold *fold,
                         struct bytes data,
                         const struct log_id *log,
                         const struct epoch_table *epochs,
                         int64_t committed)
{
    ASSERT(committed >= 0);
    ASSERT(committed <= epochs->offset_end);

    fold_forget(fold);
    enum pyr_err err = head_check(data, log);
    if (err != PYR_OK) {
        return err;
    }
    int64_t offset = (int64_t)get_le64(data.data + 24);
    int32_t epoch = (int32_t)get_le32(data.data + 32);
    int64_t users_end = (int64_t)get_le64(data.data + 40);
    int64_t token = (int64_t)get_le64(data.data + 48);
    if (offset < 0 || users_end < 0 || users_end > offset || token < CONDITION_NONE) {
        return PYR_ERR_CORRUPT;
    }
    bool has_place = offset <= epochs->offset_end && epochs_before(epochs, offset) == epoch;
    if (!has_place && !MUTANT(snapshot_ahead_of_log)) { /* FOL-2 */
        return PYR_ERR_OUT_OF_RANGE;
    }
    fold_begin(fold, offset, committed);
    fold->conditions.users_end = users_end;
    fold->conditions.token = token;
    err = producers_take(fold, (struct bytes){data.data + HEAD_BYTES, get_le32(data.data + 36)});
    if (err == PYR_OK && fold->producers.offset_end > offset) {
        err = PYR_ERR_CORRUPT;
    }
    if (err != PYR_OK) {
        fold_forget(fold);
    }
    ASSERT(fold->is_known == (err == PYR_OK));
    return err;
}
