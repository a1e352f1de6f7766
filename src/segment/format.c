/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/format - putting and getting the fields, and the texts, that format.h draws.
 *
 * Numbers in texts are read by hand, since what stands there may be anything: every digit is
 * checked, and an overflow is malformed rather than wrapped.
 */
#include "segment/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"

#define DIGEST_MAGIC        "PYRDIGST"
#define DIGEST_VERSION      1
#define DIGEST_FLAG_CLEANED 1

enum {
    MAGIC_BYTES = 8,
    HEADER_CHECK_AT = 60,
    POINT_CHECK_AT = 56,
    STEP_BYTES = 36,
    SEED_BYTES = 28,
    BASE64_TEXT_BYTES = 22, /* 16 bytes without padding. */
    DECIMAL = 10,
    HEX_DIGITS = 2 * LOG_ID_BYTES,
};

ASSERT_STATIC(HEADER_CHECK_AT + 4 == SEGMENT_DIGEST_HEADER_BYTES, "the check ends the header");
ASSERT_STATIC((int)SEGMENT_TAIL_AT + 2 * (int)SEGMENT_TAIL_BYTES == (int)SEGMENT_POINTS_AT,
              "the copies fill the gap");
ASSERT_STATIC(POINT_CHECK_AT + 4 == SEGMENT_POINT_BYTES, "the check ends the point");

static const char *const kind_text[SEGMENT_KIND_COUNT] = {
    [SEGMENT_KIND_LOG] = ".log",
    [SEGMENT_KIND_INDEX] = ".index",
    [SEGMENT_KIND_TIMEINDEX] = ".timeindex",
    [SEGMENT_KIND_DIGEST] = ".digest",
};

static const char *const suffix_text[SEGMENT_SUFFIX_COUNT] = {
    [SEGMENT_SUFFIX_NONE] = "",
    [SEGMENT_SUFFIX_CLEANED] = ".cleaned",
    [SEGMENT_SUFFIX_SWAP] = ".swap",
    [SEGMENT_SUFFIX_DELETED] = ".deleted",
};

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* -- Names -- */

bool segment_path(char *path,
                  const char *folder,
                  int64_t offset_base,
                  enum segment_kind kind,
                  enum segment_suffix suffix)
{
    ASSERT(path);
    ASSERT(folder);
    ASSERT(offset_base >= 0);
    ASSERT(kind < SEGMENT_KIND_COUNT);
    ASSERT(suffix < SEGMENT_SUFFIX_COUNT);

    char name[PATH_BYTES_MAX];
    int count = snprintf(name, sizeof name, "%s/%020" PRId64 "%s%s", folder, offset_base,
                         kind_text[kind], suffix_text[suffix]);
    if (count < 0 || count >= PATH_BYTES_MAX) {
        return false;
    }
    memcpy(path, name, (size_t)count + 1);
    return true;
}

bool segment_path_join(char *path, const char *folder, const char *name)
{
    ASSERT(path);
    ASSERT(folder);
    ASSERT(name);

    char joined[PATH_BYTES_MAX];
    int count = snprintf(joined, sizeof joined, "%s/%s", folder, name);
    ASSERT(count > 0);
    if (count >= PATH_BYTES_MAX) {
        return false;
    }
    memcpy(path, joined, (size_t)count + 1);
    return true;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Read decimal digits from the front of *@text, at most @digits_max of them, into a non-negative
 * int64, and move *@text past them. */
static bool parse_decimal(struct bytes *text, size_t digits_max, int64_t *ret_value)
{
    ASSERT(digits_max > 0);
    ASSERT(digits_max <= SEGMENT_NAME_DIGITS);

    int64_t value = 0;
    size_t index = 0;
    while (index < text->count && index < digits_max && is_digit((char)text->data[index])) {
        int digit = text->data[index] - '0';
        if (value > (INT64_MAX - digit) / DECIMAL) {
            return false;
        }
        value = value * DECIMAL + digit;
        index++;
    }
    if (index == 0) {
        return false;
    }
    *text = (struct bytes){.data = text->data + index, .count = text->count - index};
    *ret_value = value;
    ASSERT(value >= 0);
    return true;
}

/* Find the kind and suffix whose texts make up the whole @tail of a name. */
static bool parse_tail(struct bytes tail,
                       enum segment_kind *ret_kind,
                       enum segment_suffix *ret_suffix)
{
    for (int index = 0; index < SEGMENT_KIND_COUNT * SEGMENT_SUFFIX_COUNT; index++) {
        enum segment_kind kind = (enum segment_kind)(index / SEGMENT_SUFFIX_COUNT);
        enum segment_suffix suffix = (enum segment_suffix)(index % SEGMENT_SUFFIX_COUNT);
        char text[SEGMENT_NAME_DIGITS + SEGMENT_NAME_DIGITS];
        (void)snprintf(text, sizeof text, "%s%s", kind_text[kind], suffix_text[suffix]);
        if (bytes_equal(tail, bytes_of_text(text))) {
            *ret_kind = kind;
            *ret_suffix = suffix;
            return true;
        }
    }
    return false;
}

bool segment_name_parse(const char *name,
                        int64_t *ret_offset_base,
                        enum segment_kind *ret_kind,
                        enum segment_suffix *ret_suffix)
{
    ASSERT(name);
    ASSERT(ret_offset_base);
    ASSERT(ret_kind);
    ASSERT(ret_suffix);

    struct bytes text = bytes_of_text(name);
    int64_t offset_base = 0;
    if (!parse_decimal(&text, SEGMENT_NAME_DIGITS, &offset_base)) {
        return false;
    }
    if (text.data != (const uint8_t *)name + SEGMENT_NAME_DIGITS) {
        return false;
    }
    if (!parse_tail(text, ret_kind, ret_suffix)) {
        return false;
    }
    *ret_offset_base = offset_base;
    return true;
}

/* -- Digest file -- */

uint64_t segment_digest_next(uint64_t digest, const struct segment_step *step)
{
    ASSERT(step->offset_base >= 0);
    ASSERT(step->bytes > 0);

    uint8_t data[STEP_BYTES];

    memcpy(data, step->log.value, LOG_ID_BYTES);
    put_le64(data + 16, (uint64_t)step->offset_base);
    put_le32(data + 24, (uint32_t)step->epoch);
    put_le32(data + 28, step->bytes);
    put_le32(data + 32, step->crc);
    return checksum_digest64(digest, (struct bytes){.data = data, .count = sizeof data});
}

void segment_digest_header_put(uint8_t *data, const struct segment_digest_header *header)
{
    ASSERT(data);
    ASSERT(header->identity.offset_base >= 0);
    ASSERT(header->is_cleaned || header->history_count == 0);

    memset(data, 0, SEGMENT_DIGEST_HEADER_BYTES);
    memcpy(data, DIGEST_MAGIC, MAGIC_BYTES);
    put_le16(data + 8, DIGEST_VERSION);
    put_le16(data + 10, header->is_cleaned ? DIGEST_FLAG_CLEANED : 0);
    put_le32(data + 12, SEGMENT_POINT_BYTES);
    memcpy(data + 16, header->identity.log.value, LOG_ID_BYTES);
    put_le64(data + 32, (uint64_t)header->identity.offset_base);
    put_le32(data + 40, header->history_count);
    put_le32(data + HEADER_CHECK_AT,
             checksum_crc32c(0, (struct bytes){.data = data, .count = HEADER_CHECK_AT}));
}

enum pyr_err segment_digest_header_get(const uint8_t *data,
                                       const struct segment_identity *identity,
                                       struct segment_digest_header *ret_header)
{
    ASSERT(data);
    ASSERT(identity->offset_base >= 0);
    ASSERT(ret_header);

    uint32_t check = checksum_crc32c(0, (struct bytes){.data = data, .count = HEADER_CHECK_AT});
    if (check != get_le32(data + HEADER_CHECK_AT) || memcmp(data, DIGEST_MAGIC, MAGIC_BYTES) != 0) {
        return PYR_ERR_CORRUPT;
    }
    if (get_le16(data + 8) != DIGEST_VERSION || get_le32(data + 12) != SEGMENT_POINT_BYTES) {
        return PYR_ERR_VERSION;
    }
    if (memcmp(data + 16, identity->log.value, LOG_ID_BYTES) != 0 ||
        get_le64(data + 32) != (uint64_t)identity->offset_base) {
        return PYR_ERR_FOREIGN;
    }
    *ret_header = (struct segment_digest_header){
        .identity = *identity,
        .is_cleaned = (get_le16(data + 10) & DIGEST_FLAG_CLEANED) != 0,
        .history_count = get_le32(data + 40),
    };
    return PYR_OK;
}

/* The check covers the place as well as the bytes: log id, base offset and slot go in first. */
static uint32_t point_check(const uint8_t *data,
                            const struct segment_identity *identity,
                            uint32_t slot)
{
    ASSERT(data);
    ASSERT(identity->offset_base >= 0);

    uint8_t seed[SEED_BYTES];

    memcpy(seed, identity->log.value, LOG_ID_BYTES);
    put_le64(seed + 16, (uint64_t)identity->offset_base);
    put_le32(seed + 24, slot);
    uint32_t crc = checksum_crc32c(0, (struct bytes){.data = seed, .count = sizeof seed});
    return checksum_crc32c(crc, (struct bytes){.data = data, .count = POINT_CHECK_AT});
}

void segment_point_put(uint8_t *data,
                       const struct segment_identity *identity,
                       uint32_t slot,
                       const struct segment_point *point)
{
    ASSERT(point->position <= SEGMENT_BYTES_MAX);
    ASSERT(point->timestamp_offset <= INT32_MAX);
    ASSERT(point->epoch >= -1);
    ASSERT(point->offset >= identity->offset_base);
    ASSERT(point->kind != 0);

    memset(data, 0, SEGMENT_POINT_BYTES);
    put_le64(data, (uint64_t)point->offset);
    put_le64(data + 8, point->digest);
    put_le64(data + 16, (uint64_t)point->timestamp_max);
    put_le64(data + 24, (uint64_t)point->clock_ms);
    put_le32(data + 32, point->position);
    put_le32(data + 36, (uint32_t)point->epoch);
    put_le32(data + 40, point->timestamp_offset);
    put_le32(data + 44, point->batch_delta);
    put_le16(data + 48, point->kind);
    put_le32(data + 52, (uint32_t)point->batch_epoch);
    put_le32(data + POINT_CHECK_AT, point_check(data, identity, slot));
}

/* Whether @point can stand in a segment that begins at @offset_base: what it says is within the
 * bounds that every writer keeps, and that the index files need. */
static bool is_point_possible(const struct segment_point *point, int64_t offset_base)
{
    ASSERT(offset_base >= 0);

    if (point->kind == 0 || point->offset < offset_base || point->epoch < -1 ||
        point->position > SEGMENT_BYTES_MAX || point->timestamp_offset > INT32_MAX) {
        return false;
    }
    int64_t relative = point->offset - offset_base;
    ASSERT(relative >= 0);
    bool has_batch = (point->kind & SEGMENT_POINT_INDEX) != 0;
    return !has_batch || relative <= (int64_t)INT32_MAX - point->batch_delta;
}

bool segment_point_get(const uint8_t *data,
                       const struct segment_identity *identity,
                       uint32_t slot,
                       struct segment_point *ret_point)
{
    ASSERT(data);
    ASSERT(ret_point);

    if (get_le32(data + POINT_CHECK_AT) != point_check(data, identity, slot)) {
        return false; /* SEG-1 */
    }
    *ret_point = (struct segment_point){
        .offset = (int64_t)get_le64(data),
        .digest = get_le64(data + 8),
        .timestamp_max = (int64_t)get_le64(data + 16),
        .clock_ms = (int64_t)get_le64(data + 24),
        .position = get_le32(data + 32),
        .epoch = (int32_t)get_le32(data + 36),
        .timestamp_offset = get_le32(data + 40),
        .batch_delta = get_le32(data + 44),
        .kind = get_le16(data + 48),
        .batch_epoch = (int32_t)get_le32(data + 52),
    };
    return is_point_possible(ret_point, identity->offset_base);
}

int64_t segment_point_position(uint32_t slot)
{
    ASSERT(slot < UINT32_MAX);

    if (slot == 0) {
        return SEGMENT_DIGEST_HEADER_BYTES;
    }
    return SEGMENT_POINTS_AT + (int64_t)(slot - 1) * SEGMENT_POINT_BYTES;
}

uint32_t segment_point_slots(int64_t bytes)
{
    ASSERT(bytes >= 0);

    if (bytes < SEGMENT_DIGEST_HEADER_BYTES + SEGMENT_POINT_BYTES) {
        return 0;
    }
    if (bytes < SEGMENT_POINTS_AT) {
        return 1;
    }
    int64_t slots = 1 + (bytes - SEGMENT_POINTS_AT) / SEGMENT_POINT_BYTES;
    ASSERT(slots >= 1);
    return slots > UINT32_MAX ? UINT32_MAX : (uint32_t)slots;
}

/* -- Kafka's index files -- */

void segment_index_entry_put(uint8_t *data, int64_t offset_base, const struct segment_point *point)
{
    ASSERT(data);
    ASSERT(offset_base >= 0);

    int64_t relative = point->offset + point->batch_delta - offset_base;
    ASSERT(relative >= 0 && relative <= INT32_MAX);
    ASSERT(point->kind & SEGMENT_POINT_INDEX);

    put_be32(data, (uint32_t)relative);
    put_be32(data + 4, point->position);
}

void segment_time_entry_put(uint8_t *data, const struct segment_point *point)
{
    ASSERT(data);
    ASSERT(point->timestamp_offset <= INT32_MAX);
    ASSERT(point->timestamp_max != INT64_MIN);

    put_be64(data, (uint64_t)point->timestamp_max);
    put_be32(data + 8, point->timestamp_offset);
}

/* -- partition.metadata -- */

/* Sixteen bytes as Kafka's Uuid prints them: base64 with '-' and '_', without padding. */
static void topic_id_put(char *text, const uint8_t *topic_id)
{
    ASSERT(text);
    ASSERT(topic_id);

    for (size_t digit = 0; digit < BASE64_TEXT_BYTES; digit++) {
        size_t bit = digit * 6;
        unsigned high = topic_id[bit / 8];
        unsigned low = bit / 8 + 1 < LOG_ID_BYTES ? topic_id[bit / 8 + 1] : 0;
        text[digit] = base64_digits[((high << 8 | low) >> (10 - bit % 8)) & 63];
    }
}

static bool topic_id_get(struct bytes text, uint8_t *ret_topic_id)
{
    ASSERT(ret_topic_id);
    ASSERT(text.data || text.count == 0);

    uint8_t topic_id[LOG_ID_BYTES + 1] = {0};
    if (text.count != BASE64_TEXT_BYTES) {
        return false;
    }
    for (size_t digit = 0; digit < BASE64_TEXT_BYTES; digit++) {
        const char *at = text.data[digit] ? strchr(base64_digits, text.data[digit]) : NULL;
        if (!at) {
            return false;
        }
        size_t bit = digit * 6;
        unsigned value = (unsigned)(at - base64_digits) << (10 - bit % 8);
        topic_id[bit / 8] |= (uint8_t)(value >> 8);
        topic_id[bit / 8 + 1] |= (uint8_t)value;
    }
    memcpy(ret_topic_id, topic_id, LOG_ID_BYTES);
    return topic_id[LOG_ID_BYTES] == 0;
}

size_t segment_metadata_put(char *text, const struct segment_metadata *metadata)
{
    ASSERT(text);
    ASSERT(metadata);

    char topic_text[BASE64_TEXT_BYTES + 1] = {0};
    topic_id_put(topic_text, metadata->topic.value);
    char log_text[HEX_DIGITS + 1];
    for (size_t index = 0; index < LOG_ID_BYTES; index++) {
        (void)snprintf(log_text + 2 * index, 3, "%02x", metadata->log.value[index]);
    }
    int count = snprintf(text, SEGMENT_METADATA_BYTES_MAX, "version: 0\ntopic_id: %s\nlog_id: %s\n",
                         topic_text, log_text);
    ASSERT(count > 0 && count < SEGMENT_METADATA_BYTES_MAX);
    return (size_t)count;
}

/* If *@text begins with @prefix, move it past that. */
static bool skip_prefix(struct bytes *text, const char *prefix)
{
    ASSERT(prefix[0] != '\0');
    ASSERT(text->data || text->count == 0);

    struct bytes want = bytes_of_text(prefix);
    if (text->count < want.count || memcmp(text->data, want.data, want.count) != 0) {
        return false;
    }
    *text = (struct bytes){.data = text->data + want.count, .count = text->count - want.count};
    return true;
}

/* Cut the first line, without its end, from the front of *@text; false if there is no line end. */
static bool next_line(struct bytes *text, struct bytes *ret_line)
{
    ASSERT(ret_line);
    ASSERT(text->data || text->count == 0);

    const uint8_t *end = text->count ? memchr(text->data, '\n', text->count) : NULL;
    if (!end) {
        return false;
    }
    *ret_line = (struct bytes){.data = text->data, .count = (size_t)(end - text->data)};
    *text = (struct bytes){.data = end + 1, .count = text->count - ret_line->count - 1};
    return true;
}

static bool log_id_get(struct bytes text, struct log_id *ret_log)
{
    ASSERT(ret_log);
    ASSERT(text.data || text.count == 0);

    struct log_id log = {{0}};
    if (text.count != HEX_DIGITS) {
        return false;
    }
    for (size_t index = 0; index < HEX_DIGITS; index++) {
        uint8_t digit = text.data[index];
        bool is_letter = digit >= 'a' && digit <= 'f';
        if (!is_letter && !is_digit((char)digit)) {
            return false;
        }
        int value = is_letter ? digit - 'a' + DECIMAL : digit - '0';
        log.value[index / 2] = (uint8_t)(log.value[index / 2] << 4 | value);
    }
    *ret_log = log;
    return true;
}

enum pyr_err segment_metadata_get(struct bytes text, struct segment_metadata *ret_metadata)
{
    ASSERT(ret_metadata);
    ASSERT(text.data || text.count == 0);

    struct segment_metadata metadata = {0};
    struct bytes line = {0};
    int64_t version = 0;

    if (!next_line(&text, &line) || !skip_prefix(&line, "version: ") ||
        !parse_decimal(&line, SEGMENT_NAME_DIGITS, &version) || line.count != 0) {
        return PYR_ERR_CORRUPT;
    }
    if (version != 0) {
        return PYR_ERR_VERSION;
    }
    if (!next_line(&text, &line) || !skip_prefix(&line, "topic_id: ") ||
        !topic_id_get(line, metadata.topic.value)) {
        return PYR_ERR_CORRUPT;
    }
    if (text.count == 0) {
        return PYR_ERR_FOREIGN;
    }
    if (!next_line(&text, &line) || !skip_prefix(&line, "log_id: ") ||
        !log_id_get(line, &metadata.log)) {
        return PYR_ERR_CORRUPT;
    }
    *ret_metadata = metadata;
    return PYR_OK;
}

/* -- leader-epoch-checkpoint -- */

size_t segment_epochs_put(char *text,
                          size_t text_bytes,
                          const struct segment_epoch *rows,
                          size_t count)
{
    ASSERT(text);
    ASSERT(rows || count == 0);
    ASSERT(count <= SEGMENT_EPOCHS_MAX);

    if (text_bytes < (count + 1) * SEGMENT_EPOCH_ROW_BYTES_MAX) {
        return 0;
    }
    size_t used = (size_t)snprintf(text, text_bytes, "0\n%zu\n", count);
    for (size_t index = 0; index < count; index++) {
        ASSERT(rows[index].epoch >= 0 && rows[index].offset_start >= 0);
        used += (size_t)snprintf(text + used, text_bytes - used, "%" PRId32 " %" PRId64 "\n",
                                 rows[index].epoch, rows[index].offset_start);
    }
    ASSERT(used < text_bytes);
    return used;
}

/* Read a line that is one number and nothing else. */
static bool number_line(struct bytes *text, int64_t *ret_value)
{
    ASSERT(text);
    ASSERT(ret_value);

    struct bytes line = {0};
    return next_line(text, &line) && parse_decimal(&line, SEGMENT_NAME_DIGITS, ret_value) &&
           line.count == 0;
}

static bool epoch_line(struct bytes *text, struct segment_epoch *ret_row)
{
    ASSERT(text);
    ASSERT(ret_row);

    struct bytes line = {0};
    int64_t epoch = 0;
    int64_t offset_start = 0;
    bool is_good = next_line(text, &line) && parse_decimal(&line, SEGMENT_NAME_DIGITS, &epoch) &&
                   skip_prefix(&line, " ") &&
                   parse_decimal(&line, SEGMENT_NAME_DIGITS, &offset_start) && line.count == 0;
    if (!is_good || epoch > INT32_MAX) {
        return false;
    }
    *ret_row = (struct segment_epoch){.epoch = (int32_t)epoch, .offset_start = offset_start};
    return true;
}

bool segment_epochs_get(struct bytes text,
                        struct segment_epoch *rows,
                        size_t count_max,
                        size_t *ret_count)
{
    ASSERT(rows || count_max == 0);
    ASSERT(ret_count);

    int64_t version = 0;
    int64_t count = 0;
    if (!number_line(&text, &version) || version != 0 || !number_line(&text, &count)) {
        return false;
    }
    if (count < 0 || (uint64_t)count > count_max) {
        return false;
    }
    for (size_t index = 0; index < (size_t)count; index++) {
        if (!epoch_line(&text, &rows[index])) {
            return false;
        }
        if (index > 0 && (rows[index].epoch <= rows[index - 1].epoch ||
                          rows[index].offset_start <= rows[index - 1].offset_start)) {
            return false;
        }
    }
    if (text.count != 0) {
        return false;
    }
    *ret_count = (size_t)count;
    return true;
}
