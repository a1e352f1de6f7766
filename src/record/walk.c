/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/walk - the decoder of records, written for bytes that nobody has vouched for.
 *
 * A record is decoded by a cursor that is held by value in one function's registers. A mistake is
 * not returned from each step but kept: the cursor goes to its end and is marked, so that the
 * common way has few branches, and they are the ones that never happen.
 */
#include "record/walk.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/varint.h"

/* Bytes left to decode, and whether every step so far was well. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool is_broken;
};

static inline struct bytes cursor_rest(const struct cursor *cursor)
{
    return (struct bytes){.data = cursor->at, .count = (size_t)(cursor->end - cursor->at)};
}

static inline void cursor_break(struct cursor *cursor)
{
    ASSERT(cursor->at <= cursor->end); /* REC-3 */
    cursor->at = cursor->end;
    cursor->is_broken = true;
}

static inline int32_t cursor_varint32(struct cursor *cursor)
{
    int32_t value = 0;
    size_t bytes = varint_get32(cursor_rest(cursor), &value);
    if (bytes == 0) {
        cursor_break(cursor);
    }
    cursor->at += bytes;
    return value;
}

static inline int64_t cursor_varint64(struct cursor *cursor)
{
    int64_t value = 0;
    size_t bytes = varint_get64(cursor_rest(cursor), &value);
    if (bytes == 0) {
        cursor_break(cursor);
    }
    cursor->at += bytes;
    return value;
}

/* Take a field with its length in front; -1 is null. */
static inline struct bytes cursor_field(struct cursor *cursor)
{
    int32_t count = cursor_varint32(cursor);
    if (count == -1) {
        return (struct bytes){.data = NULL};
    }
    /* REC-3: a negative length becomes larger than any rest. */
    if ((uint64_t)(int64_t)count > (uint64_t)(cursor->end - cursor->at)) {
        cursor_break(cursor);
        return (struct bytes){.data = NULL};
    }
    struct bytes field = {.data = cursor->at, .count = (size_t)count};
    cursor->at += count;
    return field;
}

/* Step over @count headers. Each takes two bytes at least, so the loop is bound by the bytes. */
static void cursor_headers(struct cursor *cursor, int32_t count)
{
    ASSERT(cursor->at <= cursor->end); /* REC-3 */
    ASSERT(count != 0);
    for (int32_t index = 0; index < count && !cursor->is_broken; index++) {
        struct bytes key = cursor_field(cursor);
        (void)cursor_field(cursor);
        if (!key.data) {
            cursor_break(cursor);
        }
    }
}

void walk_init(struct walk *walk, const struct batch_header *header, struct bytes records)
{
    ASSERT(walk);
    ASSERT(records.data);
    ASSERT(header->record_count >= 0);
    ASSERT(header->record_count - 1 <= header->last_offset_delta);

    *walk = (struct walk){
        .next = records.data,
        .end = records.data + records.count,
        .first = records.data,
        .base_offset = header->base_offset,
        .base_timestamp = header->base_timestamp,
        .append_time = header->max_timestamp,
        .record_count = header->record_count,
        .offset_delta_seen = -1,
        .last_offset_delta = header->last_offset_delta,
        .has_append_time = batch_has_append_time(header),
    };
}

static bool walk_break(struct walk *walk, const char *reason)
{
    ASSERT(walk->state == WALK_STATE_GOING);
    ASSERT(reason);

    walk->state = WALK_STATE_BROKEN;
    walk->reason = reason;
    return false;
}

/* All records were seen, or it is broken already. */
static bool walk_stop(struct walk *walk)
{
    if (walk->state != WALK_STATE_GOING) {
        return false;
    }
    ASSERT(walk->records_seen == walk->record_count);
    ASSERT(!walk->reason);
    if (walk->next != walk->end) {
        return walk_break(walk, "bytes are left over behind the last record");
    }
    walk->state = WALK_STATE_ENDED;
    return false;
}

bool walk_next(struct walk *walk, struct record_view *ret_view)
{
    ASSERT(walk->next <= walk->end); /* REC-3 */
    ASSERT(walk->records_seen <= walk->record_count);

    if (walk->records_seen == walk->record_count || walk->state != WALK_STATE_GOING) {
        return walk_stop(walk);
    }

    struct cursor cursor = {.at = walk->next, .end = walk->end};
    int32_t bytes = cursor_varint32(&cursor);
    if (bytes < BATCH_RECORD_BYTES_MIN - 1 || bytes > cursor.end - cursor.at) {
        return walk_break(walk, "its length does not fit into the batch");
    }
    /* From here on the record's own end is the bound. */
    cursor.end = cursor.at + bytes;
    cursor.at++; /* Attributes: none are defined, and Kafka's readers ignore them. */
    int64_t timestamp_delta = cursor_varint64(&cursor);
    int32_t offset_delta = cursor_varint32(&cursor);
    struct bytes key = cursor_field(&cursor);
    struct bytes value = cursor_field(&cursor);
    int32_t header_count = cursor_varint32(&cursor);
    struct bytes headers = cursor_rest(&cursor);
    if (header_count != 0) {
        cursor_headers(&cursor, header_count);
    }
    if (cursor.is_broken || header_count < 0 || cursor.at != cursor.end) {
        return walk_break(walk, "its parts do not fill its length");
    }
    if (offset_delta <= walk->offset_delta_seen || offset_delta > walk->last_offset_delta) {
        return walk_break(walk, "its offset does not follow, or passes the batch's last");
    }

    /* Wraps, as the builder's subtraction does. */
    int64_t timestamp = (int64_t)((uint64_t)walk->base_timestamp + (uint64_t)timestamp_delta);
    *ret_view = (struct record_view){
        .offset = walk->base_offset + offset_delta,
        .timestamp = walk->has_append_time ? walk->append_time : timestamp,
        .key = key,
        .value = value,
        .headers = headers,
        .header_count = header_count,
        .offset_delta = offset_delta,
        .encoded = {.data = walk->next, .count = (size_t)(cursor.end - walk->next)},
    };
    walk->next = cursor.end;
    walk->records_seen++;
    walk->offset_delta_seen = offset_delta;
    return true;
}

enum pyr_err walk_end(const struct walk *walk, struct pyr_error *reterr)
{
    ASSERT(walk->state != WALK_STATE_GOING);
    ASSERT(walk->state != WALK_STATE_BROKEN || walk->reason);

    if (walk->state == WALK_STATE_BROKEN) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "record %" PRId32 " of the batch at offset %" PRId64 ", at byte %td: %s",
                       walk->records_seen, walk->base_offset, walk->next - walk->first,
                       walk->reason);
    }
    ASSERT(walk->records_seen == walk->record_count); /* REC-4 */
    ASSERT(walk->next == walk->end);
    return PYR_OK;
}

bool record_header_next(struct bytes *headers, struct record_header *ret_header)
{
    ASSERT(headers->data);
    ASSERT(ret_header);
    if (headers->count == 0) {
        return false;
    }
    struct cursor cursor = {.at = headers->data, .end = headers->data + headers->count};
    struct record_header header = {.key = cursor_field(&cursor)};
    header.value = cursor_field(&cursor);
    /* The walk has stepped over these very bytes. */
    ASSERT(!cursor.is_broken);
    ASSERT(header.key.data);

    *headers = cursor_rest(&cursor);
    *ret_header = header;
    return true;
}

bool record_header_find(const struct record_view *view,
                        struct bytes key,
                        struct record_header *ret_header)
{
    ASSERT(key.data);
    ASSERT(view->header_count > 0 || view->headers.count == 0);

    bool is_found = false;
    struct bytes rest = view->headers;
    struct record_header header;
    while (record_header_next(&rest, &header)) {
        if (bytes_equal(header.key, key)) {
            *ret_header = header;
            is_found = true;
        }
    }
    return is_found;
}

bool record_ttl_ms(const struct record_view *view, int64_t *ret_ttl_ms)
{
    enum { DECIMAL = 10, DIGITS_MAX = 18 };

    ASSERT(view->header_count >= 0);
    ASSERT(ret_ttl_ms);
    if (view->header_count == 0) {
        return false;
    }
    struct record_header header;
    if (!record_header_find(view, bytes_of_text(RECORD_TTL_HEADER), &header)) {
        return false;
    }
    /* As many digits as fit into the number for sure. */
    if (header.value.count == 0 || header.value.count > DIGITS_MAX) {
        return false;
    }
    int64_t ttl_ms = 0;
    for (size_t index = 0; index < header.value.count; index++) {
        uint8_t digit = (uint8_t)(header.value.data[index] - '0');
        if (digit >= DECIMAL) {
            return false;
        }
        ttl_ms = ttl_ms * DECIMAL + digit;
    }
    ASSERT(ttl_ms >= 0);
    *ret_ttl_ms = ttl_ms;
    return true;
}
