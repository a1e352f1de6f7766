/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/chain - one step of the walk, and the rule for when a point is due.
 *
 * A point is due before a batch if more than the index interval lies behind the last .index entry
 * (Kafka's rule), if the batch begins an epoch, or if the batch before it ended at or past a new
 * multiple of the stride.
 */
#include "segment/chain.h"

#include "base/assert.h"
#include "base/codec.h"
#include "record/batch.h"

/* Decode what the step needs. Only the header is at hand, so record/batch's reader, which wants the
 * whole batch, does not serve. */
const char *segment_batch_peek(const uint8_t *header,
                               int64_t bytes_left,
                               struct segment_batch *ret_batch)
{
    ASSERT(ret_batch);

    if (bytes_left < BATCH_HEADER_BYTES) {
        return "fewer bytes than a batch header";
    }
    if (header[BATCH_MAGIC_POSITION] != BATCH_MAGIC) {
        return "no batch starts here";
    }
    int64_t length = (int32_t)get_be32(header + BATCH_LENGTH_POSITION);
    int64_t bytes = length + BATCH_LENGTH_END;
    if (length < BATCH_LENGTH_MIN || bytes > BATCH_BYTES_MAX) {
        return "the batch's length is out of bounds";
    }
    if (bytes > bytes_left) {
        return "the batch goes on behind the end";
    }
    int64_t offset_base = (int64_t)get_be64(header + BATCH_OFFSET_POSITION);
    int32_t delta = (int32_t)get_be32(header + BATCH_LAST_OFFSET_DELTA_POSITION);
    if (offset_base < 0 || delta < 0 || offset_base > INT64_MAX - 1 - delta) {
        return "the batch's offsets are out of bounds";
    }
    int32_t records = (int32_t)get_be32(header + BATCH_RECORD_COUNT_POSITION);
    if (records < 0) {
        return "the batch's record count is out of bounds";
    }
    *ret_batch = (struct segment_batch){
        .offset_base = offset_base,
        .offset_end = offset_base + delta + 1,
        .bytes = (uint32_t)bytes,
        .epoch = (int32_t)get_be32(header + BATCH_EPOCH_POSITION),
        .crc = get_be32(header + BATCH_CRC_POSITION),
        .record_count = (uint32_t)records,
        .timestamp_max = (int64_t)get_be64(header + BATCH_MAX_TIMESTAMP_POSITION),
    };
    ASSERT(ret_batch->offset_end > ret_batch->offset_base);
    return NULL;
}

/* Say why @batch does not follow @point, or NULL if it does (SEG-4). */
static const char *follow(const struct segment_shape *shape,
                          const struct segment_point *point,
                          const struct segment_batch *batch)
{
    ASSERT(point->offset >= shape->identity.offset_base);
    ASSERT(batch->offset_end > batch->offset_base);
    ASSERT(point->position <= SEGMENT_BYTES_MAX);

    if (!shape->is_cleaned && batch->offset_base != point->offset) {
        return "the batch's offset does not follow from the one before";
    }
    if (batch->offset_base < point->offset) {
        return "the batch's offset lies before the one before";
    }
    if (batch->epoch < 0 || batch->epoch < point->epoch) {
        return "the batch's epoch is below that of the one before";
    }
    if (batch->offset_end - 1 - shape->identity.offset_base > INT32_MAX) {
        return "the batch's offset is too far from the segment's base";
    }
    if ((int64_t)point->position + batch->bytes > SEGMENT_BYTES_MAX) {
        return "the batch ends past the largest segment";
    }
    return NULL;
}

enum pyr_err segment_chain_step(const struct segment_shape *shape,
                                const uint8_t *header,
                                int64_t bytes_left,
                                struct segment_point *point,
                                struct segment_batch *ret_batch,
                                const char **ret_why)
{
    ASSERT(point);
    ASSERT(ret_why);

    struct segment_batch batch;

    const char *why = segment_batch_peek(header, bytes_left, &batch);
    if (!why) {
        why = follow(shape, point, &batch);
    }
    if (why) {
        *ret_why = why;
        return PYR_ERR_CORRUPT;
    }

    struct segment_step step = {
        .log = shape->identity.log,
        .offset_base = batch.offset_base,
        .epoch = batch.epoch,
        .bytes = batch.bytes,
        .crc = batch.crc,
    };
    if (batch.timestamp_max > point->timestamp_max) {
        point->timestamp_max = batch.timestamp_max;
        point->timestamp_offset = (uint32_t)(batch.offset_end - 1 - shape->identity.offset_base);
    }
    point->digest = segment_digest_next(point->digest, &step);
    point->position += batch.bytes;
    point->offset = batch.offset_end;
    point->epoch = batch.epoch;
    *ret_batch = batch;
    ASSERT(point->offset > batch.offset_base);
    ASSERT(point->position <= SEGMENT_BYTES_MAX);
    ASSERT(point->epoch >= 0);
    return PYR_OK;
}

/* Which kinds of point are due between @shape's end and @batch. */
static uint16_t point_due(const struct segment_shape *shape, const struct segment_batch *batch)
{
    ASSERT(shape->end.position >= shape->index_position);
    ASSERT(batch->epoch >= shape->end.epoch);

    unsigned kind = 0;
    if (shape->end.position - shape->index_position > SEGMENT_INDEX_INTERVAL_BYTES) {
        kind |= SEGMENT_POINT_INDEX;
    }
    if (batch->epoch != shape->end.epoch) {
        kind |= SEGMENT_POINT_EPOCH;
    }
    if (shape->is_stride_due) {
        kind |= SEGMENT_POINT_STRIDE;
    }
    return (uint16_t)kind;
}

bool segment_shape_count(struct segment_shape *shape, const struct segment_point *point)
{
    ASSERT(shape->point_count > shape->history_count);
    ASSERT(shape->time_count <= shape->index_count);
    ASSERT(point->kind != 0);
    ASSERT(point->offset >= shape->identity.offset_base);

    shape->point_count++;
    if (!(point->kind & SEGMENT_POINT_INDEX)) {
        return false;
    }
    shape->index_count++;
    shape->index_position = point->position;
    if (point->timestamp_max <= shape->time_last) {
        return false;
    }
    shape->time_last = point->timestamp_max;
    shape->time_count++;
    return true;
}

enum pyr_err segment_shape_add(struct segment_shape *shape,
                               struct bytes data,
                               int64_t clock_ms,
                               struct segment_point *ret_point,
                               struct segment_batch *ret_batch,
                               const char **ret_why)
{
    ASSERT(shape->end.offset >= shape->start.offset);
    ASSERT(shape->point_count > shape->history_count);

    struct segment_point next = shape->end;
    struct segment_batch batch;
    enum pyr_err err =
        segment_chain_step(shape, data.data, (int64_t)data.count, &next, &batch, ret_why);
    if (err != PYR_OK) {
        return err;
    }

    struct segment_point point = shape->end;
    point.kind = point_due(shape, &batch);
    point.clock_ms = clock_ms;
    point.timestamp_max = next.timestamp_max;
    point.timestamp_offset = next.timestamp_offset;
    point.batch_delta = (uint32_t)(batch.offset_end - 1 - shape->end.offset);
    point.batch_epoch = batch.epoch;

    shape->is_stride_due =
        next.offset / SEGMENT_STRIDE_OFFSETS > shape->end.offset / SEGMENT_STRIDE_OFFSETS;
    next.clock_ms = clock_ms;
    shape->end = next;
    if (!shape->is_cleaned) {
        shape->history_digest = next.digest;
    }
    ASSERT(shape->end.offset >= shape->start.offset);
    *ret_point = point;
    *ret_batch = batch;
    ASSERT(shape->end.offset == batch.offset_end);
    return PYR_OK;
}

struct segment_point segment_shape_end_point(const struct segment_shape *shape)
{
    ASSERT(shape->end.offset >= shape->start.offset);
    ASSERT(shape->index_count < shape->point_count);

    struct segment_point point = shape->end;

    point.kind = SEGMENT_POINT_END;
    if (shape->is_stride_due) {
        point.kind |= SEGMENT_POINT_STRIDE;
    }
    point.batch_epoch = point.epoch;
    point.batch_delta = shape->index_count; /* The END point has no batch; it holds the count. */
    ASSERT(point.offset >= shape->identity.offset_base);
    return point;
}
