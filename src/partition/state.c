/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/state - putting and getting the rows of a checkpoint body.
 */
#include "partition/state.h"

#include "base/assert.h"
#include "base/codec.h"

enum {
    STATE_VERSION = 2,
    STATE_HEADER_BYTES = 16,
    ROW_FIXED_BYTES = 96, /* Without the epochs, the name and the tail. */
    ROW_END_BYTES = 8,    /* Behind the tail, from version 2 on; without the cached batches. */
    ROW_FLAG_REPLICATED = 1,
    ROW_EPOCH_BYTES = 12,
    ROW_EPOCHS_POSITION = 92,
};

static const uint8_t state_magic[4] = {'P', 'S', 'T', 'A'};

size_t state_header_bytes(void)
{
    return STATE_HEADER_BYTES;
}

size_t state_row_bytes(const struct log_state *state)
{
    ASSERT(state->offset_start <= state->offset_end);

    size_t name_bytes = strlen(state->name);
    ASSERT(name_bytes < LOG_NAME_BYTES_MAX);
    return ROW_FIXED_BYTES + (size_t)ROW_EPOCH_BYTES * state->epoch_count + name_bytes +
           state->tail.count + ROW_END_BYTES + state->cached_bytes;
}

void state_header_put(uint8_t *data, uint32_t count)
{
    ASSERT(data);

    memset(data, 0, STATE_HEADER_BYTES);
    memcpy(data, state_magic, sizeof state_magic);
    put_le16(data + 4, STATE_VERSION);
    put_le32(data + 8, count);
}

size_t state_row_put(uint8_t *data, const struct log_state *state)
{
    size_t bytes = state_row_bytes(state);
    size_t name_bytes = strlen(state->name);
    ASSERT(bytes <= UINT32_MAX);

    put_le32(data, (uint32_t)bytes);
    memcpy(data + 4, state->id.value, LOG_ID_BYTES);
    put_le32(data + 20, (uint32_t)state->promise);
    put_le32(data + 24, (uint32_t)state->epoch_last);
    put_le64(data + 28, (uint64_t)state->offset_start);
    put_le64(data + 36, (uint64_t)state->offset_end);
    put_le64(data + 44, (uint64_t)state->segment_base);
    put_le32(data + 52, state->segment_position);
    put_le64(data + 56, state->digest);
    put_le64(data + 64, state->entry_number);
    put_le64(data + 72, (uint64_t)state->clock_ms);
    put_le64(data + 80, (uint64_t)state->cleaned_to);
    put_le32(data + 88, state->epoch_count);
    uint8_t *cursor = data + ROW_EPOCHS_POSITION;
    for (uint32_t index = 0; index < state->epoch_count; index++) {
        put_le32(cursor, (uint32_t)state->epochs[index].epoch);
        put_le64(cursor + 4, (uint64_t)state->epochs[index].offset_start);
        cursor += ROW_EPOCH_BYTES;
    }
    put_le16(cursor, (uint16_t)name_bytes);
    memcpy(cursor + 2, state->name, name_bytes);
    cursor += 2 + name_bytes;
    ASSERT(state->tail.count < BLOCK_BYTES);
    put_le16(cursor, (uint16_t)state->tail.count);
    if (state->tail.count > 0) {
        memcpy(cursor + 2, state->tail.data, state->tail.count);
    }
    cursor += 2 + state->tail.count;
    put_le32(cursor, state->is_replicated ? ROW_FLAG_REPLICATED : 0);
    put_le32(cursor + 4, (uint32_t)state->cached_bytes);
    ASSERT(cursor + ROW_END_BYTES + state->cached_bytes == data + bytes);
    return bytes;
}

enum pyr_err state_header_get(struct bytes body, uint32_t *ret_count, struct pyr_error *reterr)
{
    ASSERT(ret_count);

    bool is_ours =
        body.count >= STATE_HEADER_BYTES && memcmp(body.data, state_magic, sizeof state_magic) == 0;
    if (!is_ours) {
        return err_set(reterr, PYR_ERR_CORRUPT, "the checkpoint's body is not a state table");
    }
    uint16_t version = get_le16(body.data + 4);
    if (version > STATE_VERSION) {
        return err_set(reterr, PYR_ERR_VERSION,
                       "the checkpoint has state version %u, this program knows %d", version,
                       STATE_VERSION);
    }
    *ret_count = get_le32(body.data + 8);
    return PYR_OK;
}

/* Fill the fixed fields of the row at @data. */
static void row_fixed_get(const uint8_t *data, struct log_state *state)
{
    ASSERT(data);
    ASSERT(state->offset_start <= state->offset_end);

    memcpy(state->id.value, data + 4, LOG_ID_BYTES);
    state->promise = (int32_t)get_le32(data + 20);
    state->epoch_last = (int32_t)get_le32(data + 24);
    state->offset_start = (int64_t)get_le64(data + 28);
    state->offset_end = (int64_t)get_le64(data + 36);
    state->segment_base = (int64_t)get_le64(data + 44);
    state->segment_position = get_le32(data + 52);
    state->digest = get_le64(data + 56);
    state->entry_number = get_le64(data + 64);
    state->clock_ms = (int64_t)get_le64(data + 72);
    state->cleaned_to = (int64_t)get_le64(data + 80);
    state->epoch_count = get_le32(data + 88);
}

/* Read @end, what follows on a row's tail. */
static bool row_end_get(struct bytes body, struct bytes end, struct log_state *state)
{
    ASSERT(body.count >= STATE_HEADER_BYTES);
    ASSERT(end.data + end.count <= body.data + body.count);

    if (get_le16(body.data + 4) == 1) {
        return end.count == 0;
    }
    if (end.count < ROW_END_BYTES || get_le32(end.data + 4) != end.count - ROW_END_BYTES) {
        return false;
    }
    state->is_replicated = (get_le32(end.data) & ROW_FLAG_REPLICATED) != 0;
    state->cached = (struct bytes){end.data + ROW_END_BYTES, end.count - ROW_END_BYTES};
    return true;
}

enum pyr_err state_row_get(struct bytes body,
                           size_t *position,
                           struct log_state *ret_state,
                           struct pyr_error *reterr)
{
    ASSERT(ret_state);
    ASSERT(*position <= body.count);

    const uint8_t *data = body.data + *position;
    size_t left = body.count - *position;
    size_t bytes = left >= ROW_FIXED_BYTES ? get_le32(data) : 0;
    if (bytes < ROW_FIXED_BYTES || bytes > left) {
        return err_set(reterr, PYR_ERR_CORRUPT, "state table cut at byte %zu", *position);
    }
    struct log_state state = {0};
    row_fixed_get(data, &state);
    size_t epoch_bytes = (size_t)ROW_EPOCH_BYTES * state.epoch_count;
    if (epoch_bytes > bytes - ROW_FIXED_BYTES) {
        return err_set(reterr, PYR_ERR_CORRUPT, "state table: epochs at byte %zu", *position);
    }
    const uint8_t *name = data + ROW_EPOCHS_POSITION + epoch_bytes;
    size_t name_bytes = get_le16(name);
    size_t tail_bytes = 0;
    bool has_tail = ROW_FIXED_BYTES + epoch_bytes + name_bytes <= bytes;
    if (has_tail) {
        tail_bytes = get_le16(name + 2 + name_bytes);
    }
    size_t used = ROW_FIXED_BYTES + epoch_bytes + name_bytes + tail_bytes;
    bool is_whole = has_tail && tail_bytes < BLOCK_BYTES && used <= bytes &&
                    row_end_get(body, (struct bytes){data + used, bytes - used}, &state);
    if (!is_whole || name_bytes == 0 || name_bytes >= LOG_NAME_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_CORRUPT, "state table: name at byte %zu", *position);
    }
    memcpy(state.name, name + 2, name_bytes);
    state.tail = (struct bytes){name + 2 + name_bytes + 2, tail_bytes};
    bool is_bounded = state.offset_start >= 0 && state.offset_start <= state.offset_end &&
                      state.segment_base >= 0 && state.segment_position >= tail_bytes;
    if (!is_bounded) {
        return err_set(reterr, PYR_ERR_CORRUPT, "state table: bounds of log '%s'", state.name);
    }
    state.epoch_bytes = (struct bytes){data + ROW_EPOCHS_POSITION, epoch_bytes};
    *ret_state = state;
    *position += bytes;
    return PYR_OK;
}

struct segment_epoch state_epoch_get(const struct log_state *state, uint32_t index)
{
    ASSERT(state->offset_start <= state->offset_end);
    ASSERT(index < state->epoch_count);

    const uint8_t *row = state->epoch_bytes.data + (size_t)ROW_EPOCH_BYTES * index;
    return (struct segment_epoch){(int32_t)get_le32(row), (int64_t)get_le64(row + 4)};
}
