/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/batch - reading, checking, patching and sealing a batch's header.
 *
 * The checks stand in the order of what they cost and of what they need: first that a whole batch
 * is there at all, then one pass for the checksum, and only when the bytes are known to be those
 * that were written are the fields held against each other. So a flipped bit reads as corruption,
 * and a rule that is broken on purpose reads as an invalid batch.
 */
#include "record/batch.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "base/limits.h"

ASSERT_STATIC(BATCH_BYTES_MAX <= INT32_MAX, "a batch's length fits into its signed field");

const char *batch_codec_name(enum batch_codec codec)
{
    switch (codec) {
    case BATCH_CODEC_NONE:
        return "none";
    case BATCH_CODEC_GZIP:
        return "gzip";
    case BATCH_CODEC_SNAPPY:
        return "snappy";
    case BATCH_CODEC_LZ4:
        return "lz4";
    case BATCH_CODEC_ZSTD:
        return "zstd";
    }
    return "unknown";
}

static struct batch_header header_decode(const uint8_t *data)
{
    ASSERT(data);
    ASSERT(data[BATCH_MAGIC_POSITION] == BATCH_MAGIC);
    return (struct batch_header){
        .base_offset = (int64_t)get_be64(data + BATCH_OFFSET_POSITION),
        .length = (int32_t)get_be32(data + BATCH_LENGTH_POSITION),
        .epoch = (int32_t)get_be32(data + BATCH_EPOCH_POSITION),
        .crc = get_be32(data + BATCH_CRC_POSITION),
        .attributes = get_be16(data + BATCH_ATTRIBUTES_POSITION),
        .last_offset_delta = (int32_t)get_be32(data + BATCH_LAST_OFFSET_DELTA_POSITION),
        .base_timestamp = (int64_t)get_be64(data + BATCH_BASE_TIMESTAMP_POSITION),
        .max_timestamp = (int64_t)get_be64(data + BATCH_MAX_TIMESTAMP_POSITION),
        .producer_id = (int64_t)get_be64(data + BATCH_PRODUCER_ID_POSITION),
        .producer_epoch = (int16_t)get_be16(data + BATCH_PRODUCER_EPOCH_POSITION),
        .base_sequence = (int32_t)get_be32(data + BATCH_BASE_SEQUENCE_POSITION),
        .record_count = (int32_t)get_be32(data + BATCH_RECORD_COUNT_POSITION),
    };
}

enum pyr_err batch_header_read(struct bytes data,
                               struct batch_header *ret_header,
                               struct pyr_error *reterr)
{
    ASSERT(data.data || data.count == 0);
    ASSERT(ret_header);

    if (data.count < BATCH_HEADER_BYTES) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE, "a batch has at least %d bytes, here are %zu",
                       BATCH_HEADER_BYTES, data.count);
    }
    uint8_t magic = data.data[BATCH_MAGIC_POSITION];
    if (magic > BATCH_MAGIC) {
        return err_set(reterr, PYR_ERR_CORRUPT, "no batch: its magic would be %u", magic);
    }
    if (magic < BATCH_MAGIC) {
        return err_set(reterr, PYR_ERR_INVALID, "batch of the old magic %u", magic);
    }
    struct batch_header header = header_decode(data.data);
    if (header.length < BATCH_LENGTH_MIN) {
        return err_set(reterr, PYR_ERR_CORRUPT, "batch length %" PRId32 " is below %d",
                       header.length, BATCH_LENGTH_MIN);
    }
    if (header.length > BATCH_BYTES_MAX - BATCH_LENGTH_END) {
        return err_set(reterr, PYR_ERR_TOO_LARGE,
                       "batch length %" PRId32 " is above the limit of %" PRId64 " bytes a batch",
                       header.length, (int64_t)BATCH_BYTES_MAX);
    }
    header.bytes = (uint32_t)header.length + BATCH_LENGTH_END;
    if (header.bytes > data.count) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE, "batch of %" PRIu32 " bytes is cut after %zu",
                       header.bytes, data.count);
    }
    ASSERT(header.bytes >= BATCH_HEADER_BYTES);
    ASSERT(header.bytes <= BATCH_BYTES_MAX);
    *ret_header = header;
    return PYR_OK;
}

static uint32_t crc_compute(const uint8_t *data, size_t bytes)
{
    ASSERT(data);
    ASSERT(bytes >= BATCH_HEADER_BYTES);
    ASSERT((int64_t)bytes <= BATCH_BYTES_MAX);
    return checksum_crc32c(0, (struct bytes){.data = data + BATCH_ATTRIBUTES_POSITION,
                                             .count = bytes - BATCH_ATTRIBUTES_POSITION});
}

/* Hold the offsets and counts of @header against each other. An empty batch is what compaction
 * leaves of a producer's last one; holes are what it leaves elsewhere. */
static enum pyr_err counts_check(const struct batch_header *header, struct pyr_error *reterr)
{
    if (header->base_offset < 0 || header->last_offset_delta < 0 ||
        header->base_offset > INT64_MAX - 1 - header->last_offset_delta) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "base offset %" PRId64 " and last offset delta %" PRId32
                       " are negative or run past the last offset",
                       header->base_offset, header->last_offset_delta);
    }
    if (header->record_count < 0 || header->record_count - 1 > header->last_offset_delta) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "%" PRId32 " records do not fit into last offset delta %" PRId32,
                       header->record_count, header->last_offset_delta);
    }
    ASSERT(header->last_offset_delta >= 0);
    ASSERT(header->record_count >= 0);
    int64_t records_bytes = (int64_t)header->bytes - BATCH_HEADER_BYTES;
    if (batch_codec(header) != BATCH_CODEC_NONE) {
        records_bytes = BATCH_UNPACKED_BYTES_MAX;
    }
    if (header->record_count > records_bytes / BATCH_RECORD_BYTES_MIN) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "%" PRId32 " records do not fit into %" PRId64 " bytes",
                       header->record_count, records_bytes);
    }
    return PYR_OK;
}

enum pyr_err batch_verify(struct bytes data,
                          const struct batch_header *header,
                          struct pyr_error *reterr)
{
    ASSERT(header);
    ASSERT(data.data);
    ASSERT(header->bytes >= BATCH_HEADER_BYTES);
    ASSERT(header->bytes <= data.count);
    ASSERT(header->crc == get_be32(data.data + BATCH_CRC_POSITION)); /* Of the same bytes. */

    uint32_t crc = crc_compute(data.data, header->bytes);
    if (crc != header->crc) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "batch at offset %" PRId64 " has crc %08" PRIx32
                       ", its bytes give %08" PRIx32,
                       header->base_offset, header->crc, crc);
    }
    if (batch_codec(header) > BATCH_CODEC_ZSTD) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED, "codec %d does not exist",
                       (int)batch_codec(header));
    }
    if (header->attributes & ~BATCH_ATTRIBUTE_KNOWN_MASK) {
        return err_set(reterr, PYR_ERR_INVALID, "reserved bits in attributes %04x",
                       header->attributes);
    }
    if (batch_is_control(header) && batch_codec(header) != BATCH_CODEC_NONE) {
        return err_set(reterr, PYR_ERR_INVALID, "control batch packed with %s",
                       batch_codec_name(batch_codec(header)));
    }
    return counts_check(header, reterr);
}

enum pyr_err batch_check_produced(const struct batch_header *header, struct pyr_error *reterr)
{
    ASSERT(header);
    ASSERT(header->bytes >= BATCH_HEADER_BYTES);
    ASSERT((header->attributes & ~BATCH_ATTRIBUTE_KNOWN_MASK) == 0);

    if (header->record_count < 1 || header->record_count - 1 != header->last_offset_delta) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "%" PRId32 " records with last offset delta %" PRId32
                       ": a new batch has no hole and at least one record",
                       header->record_count, header->last_offset_delta);
    }
    if (batch_is_control(header)) {
        return err_set(reterr, PYR_ERR_INVALID, "control batch from a client");
    }
    if (header->attributes & BATCH_ATTRIBUTE_DELETE_HORIZON) {
        return err_set(reterr, PYR_ERR_INVALID, "delete horizon from a client");
    }
    if (header->producer_id >= 0 && (header->producer_epoch < 0 || header->base_sequence < 0)) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "producer %" PRId64 " without epoch or sequence (%d, %" PRId32 ")",
                       header->producer_id, header->producer_epoch, header->base_sequence);
    }
    return PYR_OK;
}

struct bytes batch_records(struct bytes data, const struct batch_header *header)
{
    ASSERT(header);
    ASSERT(data.data);
    ASSERT(header->bytes >= BATCH_HEADER_BYTES);
    ASSERT(header->bytes <= data.count);
    return (struct bytes){.data = data.data + BATCH_HEADER_BYTES,
                          .count = header->bytes - BATCH_HEADER_BYTES};
}

void batch_set_offset_and_epoch(struct bytes_mut data, int64_t base_offset, int32_t epoch)
{
    ASSERT(data.data);
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT(data.data[BATCH_MAGIC_POSITION] == BATCH_MAGIC);
    ASSERT(base_offset >= 0);
    ASSERT(epoch >= -1);
    /* REC-2: both fields end before the crc and what it covers. */
    ASSERT_STATIC(BATCH_EPOCH_POSITION + sizeof(int32_t) <= BATCH_CRC_POSITION, "REC-2");

    put_be64(data.data + BATCH_OFFSET_POSITION, (uint64_t)base_offset);
    put_be32(data.data + BATCH_EPOCH_POSITION, (uint32_t)epoch);
}

void batch_set_append_time(struct bytes_mut data, int64_t timestamp)
{
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT(data.count == get_be32(data.data + BATCH_LENGTH_POSITION) + (size_t)BATCH_LENGTH_END);

    uint16_t attributes = get_be16(data.data + BATCH_ATTRIBUTES_POSITION);
    put_be16(data.data + BATCH_ATTRIBUTES_POSITION, attributes | BATCH_ATTRIBUTE_APPEND_TIME);
    put_be64(data.data + BATCH_MAX_TIMESTAMP_POSITION, (uint64_t)timestamp);
    put_be32(data.data + BATCH_CRC_POSITION, crc_compute(data.data, data.count));
}

void batch_seal(struct bytes_mut data, const struct batch_header *header)
{
    ASSERT(data.data);
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT((int64_t)data.count <= BATCH_BYTES_MAX);
    ASSERT(header->record_count >= 0);
    ASSERT(header->last_offset_delta >= 0);
    ASSERT(header->record_count - 1 <= header->last_offset_delta); /* REC-1 */
    ASSERT((header->attributes & ~BATCH_ATTRIBUTE_KNOWN_MASK) == 0);

    uint8_t *out = data.data;
    put_be64(out + BATCH_OFFSET_POSITION, (uint64_t)header->base_offset);
    put_be32(out + BATCH_LENGTH_POSITION, (uint32_t)(data.count - BATCH_LENGTH_END));
    put_be32(out + BATCH_EPOCH_POSITION, (uint32_t)header->epoch);
    out[BATCH_MAGIC_POSITION] = BATCH_MAGIC;
    put_be16(out + BATCH_ATTRIBUTES_POSITION, header->attributes);
    put_be32(out + BATCH_LAST_OFFSET_DELTA_POSITION, (uint32_t)header->last_offset_delta);
    put_be64(out + BATCH_BASE_TIMESTAMP_POSITION, (uint64_t)header->base_timestamp);
    put_be64(out + BATCH_MAX_TIMESTAMP_POSITION, (uint64_t)header->max_timestamp);
    put_be64(out + BATCH_PRODUCER_ID_POSITION, (uint64_t)header->producer_id);
    put_be16(out + BATCH_PRODUCER_EPOCH_POSITION, (uint16_t)header->producer_epoch);
    put_be32(out + BATCH_BASE_SEQUENCE_POSITION, (uint32_t)header->base_sequence);
    put_be32(out + BATCH_RECORD_COUNT_POSITION, (uint32_t)header->record_count);
    put_be32(out + BATCH_CRC_POSITION, crc_compute(out, data.count));
}
