/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/builder - build a batch record by record in memory that the caller gives.
 *
 * Part of the path:  application -> [builder] -> (compress) -> seal -> journal
 *
 * The first 61 bytes of the memory are kept free for the header; each record is encoded behind the
 * one before, once, at its final place; sealing writes the header and makes one pass for the
 * checksum. A record begins with its own length as a varint, so its length is summed up before its
 * first byte is written, which also tells whether it fits: a record that does not fit changes
 * nothing, and the caller seals what there is.
 *
 *   memory   | header, free | record 0 | record 1 | ... | room |
 *            0              61                          used    capacity
 *
 *   record   | length | attributes | timestamp delta | offset delta | key | value | headers |
 *
 * A packed batch is sealed elsewhere: the caller packs builder_records() into other memory, behind
 * 61 free bytes, and builder_seal_packed writes the header in front of it.
 *
 * Invariants:
 *   REC-5  What is added is what a walk over the sealed batch yields: null, empty and bytes are
 *          three things for a key and a value. A record that is refused leaves the builder as it
 *          was.
 *
 * Threads: the builder belongs to one thread.   Memory: the caller's, from init to seal.
 * Reference: docs/formats/batch.md.
 */
#ifndef RECORD_BUILDER_H
#define RECORD_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"

/* One header of a record. The key is UTF-8 and never null; a value without data is null. */
struct record_header {
    struct bytes key;
    struct bytes value;
};

/* A record to add. A key or value whose data is NULL is null; an empty one has data and count 0. */
struct record {
    int64_t timestamp; /* Milliseconds. */
    struct bytes key;
    struct bytes value;
    const struct record_header *headers; /* NULL if there are none. */
    size_t header_count;
};

/* What a batch says of itself beyond its records. Start from BATCH_STAMP_NONE. */
struct batch_stamp {
    int64_t producer_id; /* -1 is none. */
    int16_t producer_epoch;
    int32_t base_sequence;
    int64_t base_offset; /* A leader patches it later; compaction keeps the old one. */
    int32_t epoch;
    bool is_transactional;
};

#define BATCH_STAMP_NONE                                      \
    ((struct batch_stamp){.producer_id = BATCH_PRODUCER_NONE, \
                          .producer_epoch = -1,               \
                          .base_sequence = -1,                \
                          .epoch = -1})

/* A batch being built. Fields are private but for reading. */
struct builder {
    uint8_t *data;
    size_t capacity;
    size_t used; /* BATCH_HEADER_BYTES and the records. */
    int64_t base_timestamp;
    int64_t max_timestamp;
    int32_t record_count;
    int32_t last_offset_delta; /* Of the last record added; -1 before the first. */
    int32_t kept_offset_delta; /* The batch ends no earlier; -1 unless it continues another. */
    uint16_t attributes;       /* Flags that the batch begins with: control. */
};

/**
 * Begin a batch in @memory, which has room for BATCH_HEADER_BYTES at least.
 *
 * Keeps @memory until the batch is sealed or begun again. Room past BATCH_BYTES_MAX is not used.
 */
void builder_init(struct builder *builder, struct bytes_mut memory);

/**
 * Add @record with the next offset. Borrows.
 *
 * The first record's timestamp becomes the batch's base.
 * PYR_ERR_TOO_LARGE: it does not fit into the room left.
 */
MUST_CHECK enum pyr_err builder_add(struct builder *builder,
                                    const struct record *record,
                                    struct pyr_error *reterr);

/**
 * Begin a batch that continues @header: its base timestamp, flags and offsets stay.
 *
 * For compaction, which takes records out of a batch: those kept are added by builder_add_encoded
 * with the bytes they have, and the batch's last offset stays even if its record goes. Keeps
 * @memory as builder_init does.
 */
void builder_init_from(struct builder *builder,
                       struct bytes_mut memory,
                       const struct batch_header *header);

/**
 * Add the encoded record @encoded, its length varint included, as it is.
 *
 * @offset_delta and @timestamp are those that a walk found in it. Offset deltas ascend.
 * PYR_ERR_TOO_LARGE: it does not fit into the room left.
 */
MUST_CHECK enum pyr_err builder_add_encoded(struct builder *builder,
                                            struct bytes encoded,
                                            int32_t offset_delta,
                                            int64_t timestamp,
                                            struct pyr_error *reterr);

/**
 * Make the empty @builder a control batch and add its one record: key (version 0, @type), @value.
 *
 * Readers skip it. Type 0 is abort, 1 commit, 2 to 6 are Kafka's own. Borrows @value.
 */
MUST_CHECK enum pyr_err builder_add_control(struct builder *builder,
                                            int16_t type,
                                            struct bytes value,
                                            int64_t timestamp,
                                            struct pyr_error *reterr);

/** Return the bytes of the batch so far, header included. */
static inline size_t builder_bytes(const struct builder *builder)
{
    ASSERT(builder->used >= BATCH_HEADER_BYTES);
    ASSERT(builder->used <= builder->capacity);
    return builder->used;
}

/** Return the encoded records so far, for a compressor. Borrows the builder's memory. */
struct bytes builder_records(const struct builder *builder);

/** Return an upper bound of the bytes that builder_add takes for @record. */
size_t builder_record_bytes_max(const struct record *record);

/** Seal the batch where it stands and return it; it lies in the memory given at init. The builder
 * is done until it is begun again. A batch may be empty only if it continues another. */
struct bytes_mut builder_seal(struct builder *builder, const struct batch_stamp *stamp);

/** Seal the batch in @packed, whose bytes behind BATCH_HEADER_BYTES hold builder_records() packed
 * with @codec; the builder gives the counts and times. @packed is then the batch. */
void builder_seal_packed(const struct builder *builder,
                         const struct batch_stamp *stamp,
                         enum batch_codec codec,
                         struct bytes_mut packed);

#endif /* RECORD_BUILDER_H */
