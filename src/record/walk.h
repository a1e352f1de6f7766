/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/walk - visit the records of a batch where they lie.
 *
 * Part of the path:  journal, segment, network -> batch_verify -> [walk] -> application, index
 *
 * A walk is a place in the records' bytes. Each step decodes one record into a view that points
 * into those bytes; nothing is allocated and nothing copied. Every length is held against what is
 * left before it is used, and a record's parts must fill its stated length to the byte. The headers
 * are stepped over too, so that going through them later cannot fail.
 *
 *   records  | record | record | record | ... |
 *                     ^ next                  ^ end
 *
 * A step returns false at the end and at the first mistake alike, so that a loop is one line;
 * walk_end then says which of the two it was.
 *
 *     struct walk walk;
 *     walk_init(&walk, &header, records);
 *     struct record_view view;
 *     while (walk_next(&walk, &view)) {
 *         ...
 *     }
 *     err = walk_end(&walk, reterr);
 *
 * Invariants:
 *   REC-3  No byte outside the records is read, and every view lies inside them, whatever they
 *          hold.
 *   REC-4  A walk that ends well has seen as many records as the header says, their offsets
 *          ascending within the header's bounds, and no byte is left over.
 *
 * Threads: a walk belongs to one thread.   Memory: the views live as long as the records' bytes.
 * Reference: docs/formats/batch.md.
 */
#ifndef RECORD_WALK_H
#define RECORD_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"
#include "record/builder.h"

/* The header that lets a record expire: milliseconds as a decimal number, "60000". */
#define RECORD_TTL_HEADER "pyr.ttl"

/* A record where it lies. A null key or value has data NULL; an empty one has data and count 0. */
struct record_view {
    int64_t offset;
    int64_t timestamp; /* Milliseconds. */
    struct bytes key;
    struct bytes value;
    struct bytes headers; /* Encoded; record_header_next goes through them. */
    int32_t header_count;
    int32_t offset_delta;
    struct bytes encoded; /* The whole record, its length varint included. */
};

/* What ended a walk. */
enum walk_state {
    WALK_STATE_GOING = 0,
    WALK_STATE_ENDED, /* All records were seen, and nothing is left over. */
    WALK_STATE_BROKEN,
};

/* A place in the records. Fields are private. */
struct walk {
    const uint8_t *next;
    const uint8_t *end;
    const uint8_t *first;
    int64_t base_offset;
    int64_t base_timestamp;
    int64_t append_time; /* Every record's time if has_append_time. */
    int32_t record_count;
    int32_t records_seen;
    int32_t offset_delta_seen; /* -1 before the first. */
    int32_t last_offset_delta;
    bool has_append_time;
    enum walk_state state;
    const char *reason; /* Of WALK_STATE_BROKEN. */
};

/**
 * Begin a walk over @records, the unpacked records of the batch that @header describes.
 *
 * @header has passed batch_verify. Keeps @records as long as the walk or a view is used. For a
 * batch that is not packed @records is batch_records(); for others what compress_unpack made.
 */
void walk_init(struct walk *walk, const struct batch_header *header, struct bytes records);

/** Step to the next record and return whether there was one; @ret_view is untouched if not. */
bool walk_next(struct walk *walk, struct record_view *ret_view);

/**
 * Return whether the walk saw the whole batch.
 *
 * Called after walk_next returned false. PYR_ERR_CORRUPT names the first mistake and the number of
 * its record.
 */
MUST_CHECK enum pyr_err walk_end(const struct walk *walk, struct pyr_error *reterr);

/** Return whether the key or value @field is null, which is not the same as empty. */
static inline bool record_is_null(struct bytes field)
{
    return field.data == NULL;
}

/**
 * Take the first header off @headers, a view's headers or what an earlier call left of them, and
 * return whether there was one.
 */
bool record_header_next(struct bytes *headers, struct record_header *ret_header);

/** Find the last header of @view named @key and return whether there is one. */
bool record_header_find(const struct record_view *view,
                        struct bytes key,
                        struct record_header *ret_header);

/** Return whether @view carries a well-formed time to live; if so put it into @ret_ttl_ms. */
bool record_ttl_ms(const struct record_view *view, int64_t *ret_ttl_ms);

#endif /* RECORD_WALK_H */
