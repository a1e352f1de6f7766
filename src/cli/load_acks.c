/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_acks - the lines, the table of streams, and the judgement.
 */
#include "cli/load_acks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"

enum {
    SLOTS_MIN = 64,
    RANGES_MIN = 4,
    NUMBERS_A_LINE = 5,
};

/* Bytes of a file read at once. */
#define READ_BYTES 65536

#define TITLE "pyralog-load acks 1\n"

/* -- Lines -- */

const char *acks_title(void)
{
    return TITLE;
}

size_t acks_line(const struct ack *ack, char *line)
{
    ASSERT(ack->count > 0);

    int bytes = snprintf(line, ACKS_LINE_BYTES_MAX,
                         "%" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRId64 "\n", ack->run,
                         ack->stream, ack->sequence, ack->count, ack->offset);
    ASSERT(bytes > 0);
    ASSERT(bytes < ACKS_LINE_BYTES_MAX);
    return (size_t)bytes;
}

/* Take a decimal number and the sign behind it off the front of *@line. */
static bool number_take(struct bytes *line, uint8_t behind, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t count = 0;
    while (count < line->count && line->data[count] >= '0' && line->data[count] <= '9') {
        uint64_t digit = (uint64_t)(line->data[count] - '0');
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        count++;
    }
    if (count == 0 || count == line->count || line->data[count] != behind) {
        return false;
    }
    ASSERT(value <= max);
    *ret_value = value;
    *line = (struct bytes){line->data + count + 1, line->count - count - 1};
    return true;
}

/* Read one whole line, its end included. */
static bool line_parse(struct bytes line, struct ack *ret_ack)
{
    ASSERT(line.count > 0);

    uint64_t numbers[NUMBERS_A_LINE];
    const uint64_t max[NUMBERS_A_LINE] = {UINT32_MAX, UINT32_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    for (size_t index = 0; index < NUMBERS_A_LINE; index++) {
        uint8_t behind = index + 1 < NUMBERS_A_LINE ? ' ' : '\n';
        if (!number_take(&line, behind, max[index], &numbers[index])) {
            return false;
        }
    }
    *ret_ack = (struct ack){.run = (uint32_t)numbers[0],
                            .stream = (uint32_t)numbers[1],
                            .sequence = numbers[2],
                            .count = numbers[3],
                            .offset = (int64_t)numbers[4]};
    return line.count == 0 && ret_ack->count > 0;
}

static enum pyr_err line_add(struct acks *acks, struct pyr_error *reterr)
{
    struct bytes line = {(const uint8_t *)acks->line, acks->line_bytes};
    ASSERT(line.count > 0);

    acks->line_number++;
    acks->line_bytes = 0;
    if (bytes_equal(line, bytes_of_text(TITLE))) {
        return PYR_OK;
    }
    struct ack ack;
    if (!line_parse(line, &ack)) {
        return err_set(reterr, PYR_ERR_CORRUPT, "line %" PRIu64 ": no acknowledgement: '%.*s'",
                       acks->line_number, (int)line.count - 1, acks->line);
    }
    enum pyr_err err = acks_add(acks, &ack, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "line %" PRIu64, acks->line_number);
    }
    return err;
}

enum pyr_err acks_feed(struct acks *acks, struct bytes data, struct pyr_error *reterr)
{
    ASSERT(data.data != NULL || data.count == 0);

    for (size_t index = 0; index < data.count; index++) {
        if (acks->line_bytes == sizeof acks->line) {
            return err_set(reterr, PYR_ERR_CORRUPT,
                           "line %" PRIu64 ": too long; is this a file of acknowledgements?",
                           acks->line_number + 1);
        }
        acks->line[acks->line_bytes++] = (char)data.data[index];
        if (data.data[index] != '\n') {
            continue;
        }
        enum pyr_err err = line_add(acks, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}

enum pyr_err acks_read(struct acks *acks, const char *path, struct pyr_error *reterr)
{
    ASSERT(path != NULL);

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(reterr, errno, "open '%s'", path);
    }
    uint8_t data[READ_BYTES / 16];
    enum pyr_err err = PYR_OK;
    ssize_t count = 1;
    while (count > 0 && err == PYR_OK) {
        count = read(fd, data, sizeof data);
        struct bytes lines = {data, count > 0 ? (size_t)count : 0};
        err = count < 0 ? err_set_errno(reterr, errno, "read") : acks_feed(acks, lines, reterr);
    }
    if (err != PYR_OK) {
        err_wrap(reterr, "'%s'", path);
    }
    (void)close(fd);
    return err;
}

/* -- The table of streams -- */

static size_t slot_of(const struct acks *acks, uint32_t run, uint32_t stream)
{
    ASSERT(acks->slot_count > 0);

    uint8_t key[8];
    put_le32(key, run);
    put_le32(key + 4, stream);
    size_t slot = checksum_hash64(0, (struct bytes){key, sizeof key}) & (acks->slot_count - 1);
    while (acks->slots[slot] != 0) {
        const struct ack_stream *row = &acks->rows[acks->slots[slot] - 1];
        if (row->run == run && row->stream == stream) {
            break;
        }
        slot = (slot + 1) & (acks->slot_count - 1);
    }
    return slot;
}

/* Double the table. */
static enum pyr_err table_grow(struct acks *acks, struct pyr_error *reterr)
{
    size_t slot_count = acks->slot_count ? acks->slot_count * 2 : SLOTS_MIN;
    ASSERT((slot_count & (slot_count - 1)) == 0);

    struct ack_stream *rows = realloc(acks->rows, slot_count / 2 * sizeof *rows);
    if (!rows) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for %zu streams", slot_count / 2);
    }
    acks->rows = rows;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!slots) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for %zu streams", slot_count / 2);
    }
    free(acks->slots);
    acks->slots = slots;
    acks->slot_count = slot_count;
    for (size_t index = 0; index < acks->row_count; index++) {
        slots[slot_of(acks, rows[index].run, rows[index].stream)] = (uint32_t)index + 1;
    }
    return PYR_OK;
}

/* Return the row of a stream, a new one if there is none; NULL if there is no memory. */
static struct ack_stream *stream_of(struct acks *acks, uint32_t run, uint32_t stream)
{
    /* At most half of the slots are taken, so that a search is short and ends. */
    if (acks->row_count * 2 >= acks->slot_count && table_grow(acks, NULL) != PYR_OK) {
        return NULL;
    }
    ASSERT(acks->row_count < acks->slot_count / 2);
    size_t slot = slot_of(acks, run, stream);
    if (acks->slots[slot] == 0) {
        acks->rows[acks->row_count] = (struct ack_stream){.run = run, .stream = stream};
        acks->row_count++;
        acks->slots[slot] = (uint32_t)acks->row_count;
    }
    return &acks->rows[acks->slots[slot] - 1];
}

void acks_deinit(struct acks *acks)
{
    ASSERT(acks->row_count == 0 || acks->rows != NULL);

    for (size_t index = 0; index < acks->row_count; index++) {
        free(acks->rows[index].ranges);
    }
    free(acks->rows);
    free(acks->slots);
    *acks = (struct acks){.rows = NULL};
}

/* Add a range to @stream, or make its last one longer. */
static enum pyr_err range_add(struct ack_stream *stream,
                              const struct ack *ack,
                              struct pyr_error *reterr)
{
    struct ack_range *last =
        stream->range_count > 0 ? &stream->ranges[stream->range_count - 1] : NULL;
    if (last && last->offset + (int64_t)(last->sequence_end - last->sequence) == ack->offset) {
        ASSERT(last->sequence_end == ack->sequence);
        last->sequence_end += ack->count;
        return PYR_OK;
    }
    if (stream->range_count == stream->range_room) {
        size_t room = stream->range_room ? stream->range_room * 2 : RANGES_MIN;
        struct ack_range *ranges = realloc(stream->ranges, room * sizeof *ranges);
        if (!ranges) {
            return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for %zu acknowledgements", room);
        }
        stream->ranges = ranges;
        stream->range_room = room;
    }
    ASSERT(stream->ranges != NULL);
    ASSERT(stream->range_count < stream->range_room);
    stream->ranges[stream->range_count++] = (struct ack_range){
        .sequence = ack->sequence,
        .sequence_end = ack->sequence + ack->count,
        .offset = ack->offset,
    };
    return PYR_OK;
}

enum pyr_err acks_add(struct acks *acks, const struct ack *ack, struct pyr_error *reterr)
{
    ASSERT(ack->count > 0);

    struct ack_stream *stream = stream_of(acks, ack->run, ack->stream);
    if (!stream) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for another stream");
    }
    if (ack->sequence != stream->acked_end) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "stream %" PRIu32 " of run %" PRIu32 " goes on at %" PRIu64
                       ", but was acknowledged up to %" PRIu64,
                       ack->stream, ack->run, ack->sequence, stream->acked_end);
    }
    enum pyr_err err = ack->offset < 0 ? PYR_OK : range_add(stream, ack, reterr);
    if (err == PYR_OK) {
        stream->acked_end += ack->count;
        acks->acked += ack->count;
    }
    return err;
}

/* -- Judging -- */

enum pyr_err acks_check(struct acks *acks,
                        const struct load_record *record,
                        int64_t offset,
                        int64_t offset_start,
                        enum acks_verdict *ret_verdict,
                        int64_t *ret_detail)
{
    ASSERT(offset >= offset_start);

    struct ack_stream *stream = stream_of(acks, record->run, record->stream);
    if (!stream) {
        return PYR_ERR_NO_MEMORY;
    }
    if (!stream->is_seen && offset_start > 0) {
        stream->seen_end = record->sequence;
    }
    stream->is_seen = true;
    if (record->sequence < stream->seen_end) {
        *ret_verdict = ACKS_REPEATED;
        return PYR_OK;
    }
    *ret_verdict = record->sequence > stream->seen_end ? ACKS_GAP : ACKS_FINE;
    *ret_detail = (int64_t)(record->sequence - stream->seen_end);
    stream->seen_end = record->sequence + 1;
    while (stream->cursor < stream->range_count &&
           stream->ranges[stream->cursor].sequence_end <= record->sequence) {
        stream->cursor++;
    }
    if (*ret_verdict == ACKS_FINE && stream->cursor < stream->range_count) {
        const struct ack_range *range = &stream->ranges[stream->cursor];
        int64_t acked = range->offset + (int64_t)(record->sequence - range->sequence);
        if (record->sequence >= range->sequence && acked != offset) {
            *ret_verdict = ACKS_MISPLACED;
            *ret_detail = acked;
        }
    }
    return PYR_OK;
}

uint64_t acks_missing(const struct ack_stream *stream, int64_t offset_start)
{
    ASSERT(offset_start >= 0);

    if (stream->seen_end >= stream->acked_end) {
        return 0;
    }
    uint64_t missing = stream->acked_end - stream->seen_end;
    /* What was acknowledged below the log's start was deleted since, on purpose. */
    for (size_t index = 0; index < stream->range_count; index++) {
        const struct ack_range *range = &stream->ranges[index];
        uint64_t first = range->sequence > stream->seen_end ? range->sequence : stream->seen_end;
        int64_t below = offset_start - range->offset;
        uint64_t end = below > 0 ? range->sequence + (uint64_t)below : range->sequence;
        end = end < range->sequence_end ? end : range->sequence_end;
        missing -= end > first ? end - first : 0;
    }
    return missing;
}
