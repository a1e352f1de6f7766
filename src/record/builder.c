/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/builder - encoding records at their final place.
 *
 * The common record (a key and a value of less than 8 KiB, deltas below 8192, no headers) has
 * varints of one or two bytes; these are written inline, and everything else takes the general
 * way.
 */
#include "record/builder.h"

#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/varint.h"

enum {
    /* A null key or value has this for a length. */
    NULL_LENGTH = -1,

    /* Length, attributes, timestamp delta, offset delta, key and value length, header count. */
    RECORD_OVERHEAD_BYTES_MAX = 5 * VARINT32_BYTES_MAX + VARINT64_BYTES_MAX + 1,

    CONTROL_KEY_BYTES = 4,
};

ASSERT_STATIC(BATCH_BYTES_MAX <= INT32_MAX / 2, "a record's length fits into its varint");

void builder_init(struct builder *builder, struct bytes_mut memory)
{
    ASSERT(builder);
    ASSERT(memory.data);
    ASSERT(memory.count >= BATCH_HEADER_BYTES);

    *builder = (struct builder){
        .data = memory.data,
        .capacity = memory.count < BATCH_BYTES_MAX ? memory.count : BATCH_BYTES_MAX,
        .used = BATCH_HEADER_BYTES,
        .max_timestamp = -1,
        .last_offset_delta = -1,
        .kept_offset_delta = -1,
    };
}

void builder_init_from(struct builder *builder,
                       struct bytes_mut memory,
                       const struct batch_header *header)
{
    ASSERT(header->last_offset_delta >= 0);
    ASSERT(header->record_count >= 0);
    ASSERT((header->attributes & ~BATCH_ATTRIBUTE_KNOWN_MASK) == 0);

    builder_init(builder, memory);
    builder->base_timestamp = header->base_timestamp;
    builder->kept_offset_delta = header->last_offset_delta;
    builder->attributes = header->attributes & (uint16_t) ~(BATCH_ATTRIBUTE_CODEC_MASK);
    /* All records of such a batch have its max timestamp, so it stays when some go. */
    if (batch_has_append_time(header)) {
        builder->max_timestamp = header->max_timestamp;
    }
}

/* Write @value as a zig-zag varint at @out and return the place behind it. */
static inline uint8_t *put_varint(uint8_t *out, int64_t value)
{
    uint64_t folded = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    if (folded < 0x80) {
        *out = (uint8_t)folded;
        return out + 1;
    }
    if (folded < 0x4000) {
        out[0] = (uint8_t)(folded | 0x80);
        out[1] = (uint8_t)(folded >> 7);
        return out + 2;
    }
    return out + varint_put(out, value);
}

/* Write @field with its length in front, -1 for a null one, and return the place behind it. */
static inline uint8_t *put_field(uint8_t *out, struct bytes field)
{
    if (!field.data) {
        *out = 1; /* -1 folded. */
        return out + 1;
    }
    out = put_varint(out, (int64_t)field.count);
    memcpy(out, field.data, field.count);
    return out + field.count;
}

static inline size_t field_bytes(struct bytes field)
{
    ASSERT(field.data || field.count == 0);
    return field.data ? varint_bytes((int64_t)field.count) + field.count : 1;
}

static size_t headers_bytes(const struct record *record)
{
    ASSERT(record->headers || record->header_count == 0);
    size_t bytes = 0;
    for (size_t index = 0; index < record->header_count; index++) {
        ASSERT(record->headers[index].key.data);
        bytes += field_bytes(record->headers[index].key);
        bytes += field_bytes(record->headers[index].value);
    }
    return bytes;
}

static uint8_t *put_headers(uint8_t *out, const struct record *record)
{
    ASSERT(out);
    ASSERT(record->headers);
    for (size_t index = 0; index < record->header_count; index++) {
        out = put_field(out, record->headers[index].key);
        out = put_field(out, record->headers[index].value);
    }
    return out;
}

static enum pyr_err too_large(const struct builder *builder, size_t bytes, struct pyr_error *reterr)
{
    ASSERT(builder->used <= builder->capacity);
    ASSERT(bytes > builder->capacity - builder->used);
    return err_set(reterr, PYR_ERR_TOO_LARGE, "record of %zu bytes, room for %zu", bytes,
                   builder->capacity - builder->used);
}

/* Count a record of @offset_delta and @timestamp that now ends at @used. */
static inline void record_count_in(struct builder *builder,
                                   size_t used,
                                   int32_t offset_delta,
                                   int64_t timestamp)
{
    ASSERT(used > builder->used);
    ASSERT(used <= builder->capacity);
    ASSERT(offset_delta > builder->last_offset_delta);

    builder->used = used;
    builder->record_count++;
    builder->last_offset_delta = offset_delta;
    if (timestamp > builder->max_timestamp) {
        builder->max_timestamp = timestamp;
    }
}

enum pyr_err builder_add(struct builder *builder,
                         const struct record *record,
                         struct pyr_error *reterr)
{
    ASSERT(builder->data);
    ASSERT(builder->used <= builder->capacity);
    ASSERT(builder->last_offset_delta == builder->record_count - 1); /* No hole. */
    ASSERT(builder->kept_offset_delta < 0); /* A continued batch takes only encoded records. */
    ASSERT(record->headers || record->header_count == 0);

    int64_t base_timestamp =
        builder->record_count > 0 ? builder->base_timestamp : record->timestamp;
    /* Wraps as the readers' addition does. */
    int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp - (uint64_t)base_timestamp);
    int32_t offset_delta = builder->last_offset_delta + 1;

    size_t body = 1 + varint_bytes(timestamp_delta) + varint_bytes(offset_delta) +
                  field_bytes(record->key) + field_bytes(record->value) +
                  varint_bytes((int64_t)record->header_count);
    if (record->header_count > 0) {
        body += headers_bytes(record);
    }
    size_t bytes = varint_bytes((int64_t)body) + body;
    if (bytes > builder->capacity - builder->used) {
        return too_large(builder, bytes, reterr);
    }

    uint8_t *out = put_varint(builder->data + builder->used, (int64_t)body);
    *out++ = 0; /* Attributes: none are defined. */
    out = put_varint(out, timestamp_delta);
    out = put_varint(out, offset_delta);
    out = put_field(out, record->key);
    out = put_field(out, record->value);
    out = put_varint(out, (int64_t)record->header_count);
    if (record->header_count > 0) {
        out = put_headers(out, record);
    }

    ASSERT(out == builder->data + builder->used + bytes);
    builder->base_timestamp = base_timestamp;
    record_count_in(builder, builder->used + bytes, offset_delta, record->timestamp);
    return PYR_OK;
}

enum pyr_err builder_add_encoded(struct builder *builder,
                                 struct bytes encoded,
                                 int32_t offset_delta,
                                 int64_t timestamp,
                                 struct pyr_error *reterr)
{
    ASSERT(builder->data);
    ASSERT(encoded.data);
    ASSERT(encoded.count >= BATCH_RECORD_BYTES_MIN);
    ASSERT(offset_delta > builder->last_offset_delta);

    if (encoded.count > builder->capacity - builder->used) {
        return too_large(builder, encoded.count, reterr);
    }
    memcpy(builder->data + builder->used, encoded.data, encoded.count);
    record_count_in(builder, builder->used + encoded.count, offset_delta, timestamp);
    return PYR_OK;
}

enum pyr_err builder_add_control(struct builder *builder,
                                 int16_t type,
                                 struct bytes value,
                                 int64_t timestamp,
                                 struct pyr_error *reterr)
{
    ASSERT(builder->record_count == 0);
    ASSERT((builder->attributes & BATCH_ATTRIBUTE_CONTROL) == 0);
    ASSERT(type >= 0);

    uint8_t key[CONTROL_KEY_BYTES];
    put_be16(key, 0);
    put_be16(key + sizeof(uint16_t), (uint16_t)type);
    struct record record = {
        .timestamp = timestamp,
        .key = {.data = key, .count = sizeof key},
        .value = value,
    };
    enum pyr_err err = builder_add(builder, &record, reterr);
    if (err == PYR_OK) {
        builder->attributes |= BATCH_ATTRIBUTE_CONTROL;
    }
    return err;
}

struct bytes builder_records(const struct builder *builder)
{
    ASSERT(builder->data);
    ASSERT(builder->used >= BATCH_HEADER_BYTES);
    return (struct bytes){.data = builder->data + BATCH_HEADER_BYTES,
                          .count = builder->used - BATCH_HEADER_BYTES};
}

size_t builder_record_bytes_max(const struct record *record)
{
    ASSERT(record->headers || record->header_count == 0);
    return RECORD_OVERHEAD_BYTES_MAX + record->key.count + record->value.count +
           headers_bytes(record);
}

static struct batch_header header_compose(const struct builder *builder,
                                          const struct batch_stamp *stamp,
                                          enum batch_codec codec)
{
    ASSERT(stamp->base_offset >= 0);
    ASSERT((builder->attributes & BATCH_ATTRIBUTE_CODEC_MASK) == 0);
    int32_t last_offset_delta = builder->last_offset_delta;
    if (last_offset_delta < builder->kept_offset_delta) {
        last_offset_delta = builder->kept_offset_delta;
    }
    ASSERT(last_offset_delta >= 0);
    ASSERT(builder->record_count - 1 <= last_offset_delta); /* REC-1 */

    uint16_t attributes = builder->attributes | (uint16_t)codec;
    if (stamp->is_transactional) {
        attributes |= BATCH_ATTRIBUTE_TRANSACTIONAL;
    }
    return (struct batch_header){
        .base_offset = stamp->base_offset,
        .epoch = stamp->epoch,
        .attributes = attributes,
        .last_offset_delta = last_offset_delta,
        .base_timestamp = builder->base_timestamp,
        .max_timestamp = builder->max_timestamp,
        .producer_id = stamp->producer_id,
        .producer_epoch = stamp->producer_epoch,
        .base_sequence = stamp->base_sequence,
        .record_count = builder->record_count,
    };
}

struct bytes_mut builder_seal(struct builder *builder, const struct batch_stamp *stamp)
{
    ASSERT(builder->used >= BATCH_HEADER_BYTES);
    ASSERT(builder->used <= builder->capacity);
    ASSERT(stamp);

    struct batch_header header = header_compose(builder, stamp, BATCH_CODEC_NONE);
    struct bytes_mut batch = {.data = builder->data, .count = builder->used};
    batch_seal(batch, &header);
    return batch;
}

void builder_seal_packed(const struct builder *builder,
                         const struct batch_stamp *stamp,
                         enum batch_codec codec,
                         struct bytes_mut packed)
{
    ASSERT(codec != BATCH_CODEC_NONE);
    ASSERT(codec <= BATCH_CODEC_ZSTD);
    ASSERT(!(builder->attributes & BATCH_ATTRIBUTE_CONTROL)); /* REC-1: never packed. */
    ASSERT(packed.data != builder->data);
    ASSERT(packed.count > BATCH_HEADER_BYTES);

    struct batch_header header = header_compose(builder, stamp, codec);
    batch_seal(packed, &header);
}
