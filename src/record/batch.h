/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/batch - the header of a record batch: Kafka's RecordBatch v2, byte for byte.
 *
 * Part of the path:  producer -> [batch] -> journal -> segment -> consumer
 *
 * One batch is the unit of everything. The client encodes it once, and the very same bytes are
 * journalled, replicated, stored, read back and handed out. Only the base offset and the epoch
 * change on the way; both lie in front of the checksum, so that patching them costs twelve bytes
 * and no pass over the data. All numbers are big-endian, as Kafka's are.
 *
 *   position  bytes  field                 what it holds
 *   0         8      base offset           of the first record; the leader assigns it
 *   8         4      length                bytes after this field; at least 49
 *   12        4      epoch                 under whose leadership; the leader assigns it
 *   16        1      magic                 2
 *   17        4      crc                   CRC32C of position 21 to the end
 *   21        2      attributes            codec and flags, see BATCH_ATTRIBUTE_*
 *   23        4      last offset delta     last offset = base offset + this
 *   27        8      base timestamp        milliseconds; the records' deltas count from it
 *   35        8      max timestamp         milliseconds; -1 is none
 *   43        8      producer id           -1 is none
 *   51        2      producer epoch        -1 is none
 *   53        4      base sequence         -1 is none
 *   57        4      record count
 *   61        ...    records               one after the other, or one packed blob of them all
 *
 *   | offset, length, epoch, magic, crc | attributes ........................ records |
 *   |<------- not under the crc ------->|<--------------- under the crc ------------->|
 *
 * What the crc does not cover is covered by others: journal entries and segment digests take the
 * place and the first 21 bytes into their own checksums.
 *
 * Failure modes: damaged bytes                              -> PYR_ERR_CORRUPT
 *                a whole batch that breaks a rule           -> PYR_ERR_INVALID
 *                fewer bytes than the batch says it has     -> PYR_ERR_OUT_OF_RANGE
 *                above BATCH_BYTES_MAX                      -> PYR_ERR_TOO_LARGE
 *                a codec that does not exist                -> PYR_ERR_UNSUPPORTED
 *
 * Invariants:
 *   REC-1  A batch that batch_verify accepts has not changed since it was sealed, but for base
 *          offset and epoch, and its counts and offsets cannot overflow or contradict each other.
 *   REC-2  Setting offset and epoch changes no byte under the crc.
 *
 * Threads: pure functions over the caller's memory.
 * Reference: docs/formats/batch.md.
 */
#ifndef RECORD_BATCH_H
#define RECORD_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/err.h"

/* Where the fields stand. */
enum {
    BATCH_OFFSET_POSITION = 0,
    BATCH_LENGTH_POSITION = 8,
    BATCH_EPOCH_POSITION = 12,
    BATCH_MAGIC_POSITION = 16,
    BATCH_CRC_POSITION = 17,
    BATCH_ATTRIBUTES_POSITION = 21,
    BATCH_LAST_OFFSET_DELTA_POSITION = 23,
    BATCH_BASE_TIMESTAMP_POSITION = 27,
    BATCH_MAX_TIMESTAMP_POSITION = 35,
    BATCH_PRODUCER_ID_POSITION = 43,
    BATCH_PRODUCER_EPOCH_POSITION = 51,
    BATCH_BASE_SEQUENCE_POSITION = 53,
    BATCH_RECORD_COUNT_POSITION = 57,
    BATCH_HEADER_BYTES = 61,

    /* The length field counts from here. */
    BATCH_LENGTH_END = 12,
    BATCH_LENGTH_MIN = BATCH_HEADER_BYTES - BATCH_LENGTH_END,

    BATCH_MAGIC = 2,

    /* The smallest record: one byte each for length, attributes, timestamp delta, offset delta, key
     * length, value length and header count. */
    BATCH_RECORD_BYTES_MIN = 7,
};

/* How the records are packed. The numbers are Kafka's, in the low bits of the attributes. */
enum batch_codec {
    BATCH_CODEC_NONE = 0,
    BATCH_CODEC_GZIP = 1,
    BATCH_CODEC_SNAPPY = 2,
    BATCH_CODEC_LZ4 = 3,
    BATCH_CODEC_ZSTD = 4,
};

/* The attributes' bits. */
enum {
    BATCH_ATTRIBUTE_CODEC_MASK = 0x0007,
    BATCH_ATTRIBUTE_APPEND_TIME = 0x0008,    /* Every record's time is the max timestamp. */
    BATCH_ATTRIBUTE_TRANSACTIONAL = 0x0010,  /* Part of a transaction. */
    BATCH_ATTRIBUTE_CONTROL = 0x0020,        /* Not a user's; readers skip it. */
    BATCH_ATTRIBUTE_DELETE_HORIZON = 0x0040, /* Compaction: the base timestamp is a horizon. */
    BATCH_ATTRIBUTE_KNOWN_MASK = 0x007f,
};

/* "None" in the producer's fields. */
enum { BATCH_PRODUCER_NONE = -1 };

/* A decoded header. */
struct batch_header {
    int64_t base_offset;
    int32_t length; /* The field as it stands; `bytes` is what one mostly wants. */
    int32_t epoch;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
    uint32_t bytes; /* The whole batch, header included. Not a field: follows from `length`. */
};

/** Return how the records of @header are packed; may be no member of the enum before
 * batch_verify. */
static inline enum batch_codec batch_codec(const struct batch_header *header)
{
    ASSERT(header);
    return (enum batch_codec)(header->attributes & BATCH_ATTRIBUTE_CODEC_MASK);
}

/** Return whether the records of @header are for the system and not for readers. */
static inline bool batch_is_control(const struct batch_header *header)
{
    ASSERT(header);
    return (header->attributes & BATCH_ATTRIBUTE_CONTROL) != 0;
}

/** Return whether @header belongs to a transaction. */
static inline bool batch_is_transactional(const struct batch_header *header)
{
    ASSERT(header);
    return (header->attributes & BATCH_ATTRIBUTE_TRANSACTIONAL) != 0;
}

/** Return whether the log, not the producer, gave the records of @header their time. */
static inline bool batch_has_append_time(const struct batch_header *header)
{
    ASSERT(header);
    return (header->attributes & BATCH_ATTRIBUTE_APPEND_TIME) != 0;
}

/** Return the offset of the last record of @header, a verified one. */
static inline int64_t batch_offset_last(const struct batch_header *header)
{
    ASSERT(header->last_offset_delta >= 0);
    ASSERT(header->base_offset <= INT64_MAX - 1 - header->last_offset_delta); /* REC-1 */
    return header->base_offset + header->last_offset_delta;
}

/** Return one past the offset of the last record of @header, a verified one. */
static inline int64_t batch_offset_end(const struct batch_header *header)
{
    int64_t offset_last = batch_offset_last(header);
    ASSERT(offset_last < INT64_MAX);
    return offset_last + 1;
}

/** Return the name of @codec, such as "lz4", or "unknown". */
const char *batch_codec_name(enum batch_codec codec);

/**
 * Decode the header at the front of @data and check that a whole batch stands there.
 *
 * @data may go on behind the batch. Borrows. Checked are magic, length and that @data holds all of
 * it; the rest is for batch_verify. @ret_header->bytes is where the next batch begins.
 * PYR_ERR_OUT_OF_RANGE: @data ends within the batch, more of it may help.
 * PYR_ERR_CORRUPT: no batch starts here.
 * PYR_ERR_INVALID: a batch of magic 0 or 1, which no client has sent for years.
 * PYR_ERR_TOO_LARGE: the batch is above BATCH_BYTES_MAX.
 */
MUST_CHECK enum pyr_err batch_header_read(struct bytes data,
                                          struct batch_header *ret_header,
                                          struct pyr_error *reterr);

/**
 * Check the checksum and the structure of the batch at the front of @data.
 *
 * @header comes from batch_header_read over the same @data. Borrows both. The records themselves
 * are for record/walk.
 * PYR_ERR_CORRUPT: the checksum does not match.
 * PYR_ERR_INVALID: counts or offsets contradict each other, or a reserved bit is set.
 * PYR_ERR_UNSUPPORTED: codecs 5 to 7, which do not exist.
 */
MUST_CHECK enum pyr_err batch_verify(struct bytes data,
                                     const struct batch_header *header,
                                     struct pyr_error *reterr);

/**
 * Check what only a client's new batch must satisfy: records without a hole, no control batch, a
 * whole producer identity or none.
 *
 * @header has passed batch_verify. PYR_ERR_INVALID names the first rule that it breaks.
 */
MUST_CHECK enum pyr_err batch_check_produced(const struct batch_header *header,
                                             struct pyr_error *reterr);

/** Return the records' bytes, packed or not, of the batch at the front of @data whose header is
 * @header. Borrows: the result points into @data. */
struct bytes batch_records(struct bytes data, const struct batch_header *header);

/** Set base offset and epoch in the whole batch @data, in place. The crc stays right. */
void batch_set_offset_and_epoch(struct bytes_mut data, int64_t base_offset, int32_t epoch);

/** Give all records of the whole batch @data the time @timestamp, in place: set it as max
 * timestamp with the flag that says so, and make the crc anew. */
void batch_set_append_time(struct bytes_mut data, int64_t timestamp);

/**
 * Write @header over the first BATCH_HEADER_BYTES of the whole batch @data, whose records stand
 * there already, and seal it.
 *
 * length, crc and bytes are taken from @data, not from @header.
 */
void batch_seal(struct bytes_mut data, const struct batch_header *header);

#endif /* RECORD_BATCH_H */
