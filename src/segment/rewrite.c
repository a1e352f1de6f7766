/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/rewrite - two passes over a batch's records: count what stays, then build it.
 */
#include "segment/rewrite.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "record/compress.h"

/* -- Scratch -- */

static enum pyr_err need(struct segment_rewrite *rewrite, struct bytes_mut *scratch, size_t count)
{
    ASSERT(scratch);
    ASSERT(rewrite->io);

    if (scratch->count >= count) {
        return PYR_OK;
    }
    uint8_t *data = io_alloc(rewrite->io, count, COMPRESS_WORKSPACE_ALIGNMENT);
    if (!data) {
        return PYR_ERR_NO_MEMORY;
    }
    io_free(rewrite->io, scratch->data);
    *scratch = (struct bytes_mut){.data = data, .count = count};
    ASSERT(scratch->count >= count);
    return PYR_OK;
}

void segment_rewrite_deinit(struct segment_rewrite *rewrite)
{
    ASSERT(!rewrite->map.rows || rewrite->io);

    segment_keymap_deinit(&rewrite->map);
    if (rewrite->io) {
        io_free(rewrite->io, rewrite->unpacked.data);
        io_free(rewrite->io, rewrite->workspace.data);
        io_free(rewrite->io, rewrite->built.data);
        io_free(rewrite->io, rewrite->packed.data);
    }
    *rewrite = (struct segment_rewrite){0};
}

/* -- Decoding -- */

/* Bring the records of a batch under *@ret_records. *@ret_is_readable is false if they cannot be
 * decoded; the error is lack of memory. */
static enum pyr_err unpack(struct segment_rewrite *rewrite,
                           struct bytes data,
                           const struct batch_header *header,
                           struct bytes *ret_records,
                           bool *ret_is_readable)
{
    ASSERT(ret_is_readable);
    ASSERT(data.count >= BATCH_HEADER_BYTES);

    enum batch_codec codec = batch_codec(header);
    struct bytes packed = batch_records(data, header);
    size_t count = 0;
    *ret_is_readable = true;
    *ret_records = packed;
    if (codec == BATCH_CODEC_NONE || header->record_count == 0) {
        return PYR_OK;
    }
    *ret_is_readable = compress_is_built_in(codec) &&
                       compress_unpacked_bytes_max(codec, packed, &count, NULL) == PYR_OK;
    if (!*ret_is_readable) {
        return PYR_OK;
    }
    enum pyr_err err = need(rewrite, &rewrite->unpacked, count);
    if (err == PYR_OK) {
        err = need(rewrite, &rewrite->workspace, compress_unpack_workspace_bytes(codec));
    }
    if (err != PYR_OK) {
        return err;
    }
    size_t got = 0;
    *ret_is_readable =
        compress_unpack(codec, packed, rewrite->workspace, rewrite->unpacked, &got, NULL) == PYR_OK;
    *ret_records = (struct bytes){.data = rewrite->unpacked.data, .count = got};
    return PYR_OK;
}

/* Whether the whole of @records can be walked. */
static bool is_walkable(const struct batch_header *header, struct bytes records)
{
    ASSERT(header);
    ASSERT(records.data || records.count == 0);

    struct walk walk;
    struct record_view view;
    walk_init(&walk, header, records);
    while (walk_next(&walk, &view)) {
    }
    return walk_end(&walk, NULL) == PYR_OK;
}

/* Open the verified batch @data. *@ret_is_whole: it stays as it is, whatever the map says. */
static enum pyr_err open_batch(struct segment_rewrite *rewrite,
                               struct bytes data,
                               struct batch_header *ret_header,
                               struct bytes *ret_records,
                               bool *ret_is_whole)
{
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT(ret_is_whole);

    bool is_readable = false;
    enum pyr_err err = batch_header_read(data, ret_header, NULL);
    ASSERT(err == PYR_OK); /* It was verified. */
    *ret_is_whole = batch_is_control(ret_header) || batch_is_transactional(ret_header);
    if (*ret_is_whole) {
        return PYR_OK;
    }
    err = unpack(rewrite, data, ret_header, ret_records, &is_readable);
    if (err != PYR_OK) {
        return err;
    }
    is_readable = is_readable && is_walkable(ret_header, *ret_records);
    if (!is_readable) {
        rewrite->batches_undecodable++;
    }
    *ret_is_whole = !is_readable;
    return PYR_OK;
}

static struct bytes producer_key(const struct batch_header *header, uint8_t *memory)
{
    ASSERT(memory);
    ASSERT(header->producer_id >= 0);

    put_le64(memory, (uint64_t)header->producer_id);
    return (struct bytes){.data = memory, .count = sizeof(uint64_t)};
}

/* -- Learning -- */

enum pyr_err segment_rewrite_learn(struct segment_rewrite *rewrite,
                                   struct bytes data,
                                   bool *ret_is_full)
{
    ASSERT(ret_is_full);
    ASSERT(data.count >= BATCH_HEADER_BYTES);
    ASSERT(rewrite->map.rows);

    struct batch_header header;
    struct bytes records = {0};
    bool is_whole = false;
    uint8_t memory[sizeof(uint64_t)];
    uint64_t undecodable = rewrite->batches_undecodable;
    enum pyr_err err = open_batch(rewrite, data, &header, &records, &is_whole);
    if (err != PYR_OK) {
        return err;
    }
    rewrite->batches_undecodable = undecodable; /* Counted when it is written. */
    *ret_is_full = segment_keymap_room(&rewrite->map) < (uint64_t)header.record_count + 1;
    if (*ret_is_full) {
        return PYR_OK;
    }
    if (header.producer_id >= 0) {
        segment_keymap_put(&rewrite->map, SEGMENT_KEYMAP_PRODUCER, producer_key(&header, memory),
                           header.base_offset);
    }
    struct walk walk;
    struct record_view view;
    if (is_whole) {
        return PYR_OK;
    }
    walk_init(&walk, &header, records);
    while (walk_next(&walk, &view)) {
        if (!record_is_null(view.key)) {
            segment_keymap_put(&rewrite->map, SEGMENT_KEYMAP_RECORD, view.key, view.offset);
        }
    }
    ASSERT(walk_end(&walk, NULL) == PYR_OK);
    return PYR_OK;
}

/* -- Rewriting -- */

/* Whether @view stays. */
static bool stays(struct segment_rewrite *rewrite, const struct record_view *view)
{
    ASSERT(rewrite->map.rows);

    if (record_is_null(view->key)) {
        return true;
    }
    int64_t newest = segment_keymap_get(&rewrite->map, SEGMENT_KEYMAP_RECORD, view->key);
    if (newest > view->offset || (MUTANT(compaction_drops_newest) && newest == view->offset)) {
        rewrite->records_dropped++;
        return false;
    }
    if (record_is_null(view->value) && view->offset < rewrite->purge_horizon) {
        rewrite->tombstones_dropped++;
        return false;
    }
    return true; /* SEG-11 */
}

/* Build what stays of the batch. */
static enum pyr_err build(struct segment_rewrite *rewrite,
                          const struct batch_header *header,
                          struct bytes records,
                          struct builder *builder)
{
    ASSERT(builder);
    ASSERT(rewrite->map.rows);

    struct walk walk;
    struct record_view view;
    enum pyr_err err = need(rewrite, &rewrite->built, BATCH_HEADER_BYTES + records.count);
    if (err != PYR_OK) {
        return err;
    }
    builder_init_from(builder, rewrite->built, header);
    walk_init(&walk, header, records);
    while (walk_next(&walk, &view)) {
        if (stays(rewrite, &view)) {
            err =
                builder_add_encoded(builder, view.encoded, view.offset_delta, view.timestamp, NULL);
        }
        if (err != PYR_OK) {
            return err;
        }
    }
    ASSERT(builder->record_count <= header->record_count);
    return PYR_OK;
}

/* Seal what @builder holds, packed if the batch was. PYR_ERR_TOO_LARGE if it does not fit. */
static enum pyr_err seal(struct segment_rewrite *rewrite,
                         const struct batch_header *header,
                         struct builder *builder,
                         struct bytes *ret_data)
{
    ASSERT(ret_data);
    ASSERT(builder->record_count < header->record_count || header->record_count == 0);

    struct batch_stamp stamp = {
        .producer_id = header->producer_id,
        .producer_epoch = header->producer_epoch,
        .base_sequence = header->base_sequence,
        .base_offset = header->base_offset,
        .epoch = header->epoch,
        .is_transactional = batch_is_transactional(header),
    };
    struct bytes records = builder_records(builder);
    if (batch_codec(header) == BATCH_CODEC_NONE || records.count == 0) {
        struct bytes_mut batch = builder_seal(builder, &stamp);
        *ret_data = (struct bytes){.data = batch.data, .count = batch.count};
        return PYR_OK;
    }
    size_t room = BATCH_HEADER_BYTES + compress_packed_bytes_max(records.count);
    size_t count = 0;
    enum pyr_err err = need(rewrite, &rewrite->packed, room);
    if (err == PYR_OK) {
        err = need(rewrite, &rewrite->workspace, compress_pack_workspace_bytes());
    }
    if (err == PYR_OK) {
        struct bytes_mut out = {.data = rewrite->packed.data + BATCH_HEADER_BYTES,
                                .count = rewrite->packed.count - BATCH_HEADER_BYTES};
        err = compress_pack(records, rewrite->workspace, out, &count, NULL);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct bytes_mut batch = {.data = rewrite->packed.data, .count = BATCH_HEADER_BYTES + count};
    if (batch.count > BATCH_BYTES_MAX) {
        return PYR_ERR_TOO_LARGE;
    }
    builder_seal_packed(builder, &stamp, BATCH_CODEC_LZ4, batch);
    *ret_data = (struct bytes){.data = batch.data, .count = batch.count};
    return PYR_OK;
}

/* Whether an empty batch of this producer stays: there is none of its batches behind. */
static bool is_last_of_producer(const struct segment_rewrite *rewrite,
                                const struct batch_header *header)
{
    ASSERT(header);
    ASSERT(rewrite->map.rows);

    uint8_t memory[sizeof(uint64_t)];
    if (header->producer_id < 0) {
        return false;
    }
    return segment_keymap_get(&rewrite->map, SEGMENT_KEYMAP_PRODUCER,
                              producer_key(header, memory)) <= header->base_offset;
}

enum pyr_err segment_rewrite_batch(struct segment_rewrite *rewrite,
                                   struct bytes data,
                                   struct bytes *ret_data)
{
    ASSERT(ret_data);
    ASSERT(data.count >= BATCH_HEADER_BYTES);

    struct batch_header header;
    struct bytes records = {0};
    struct builder builder;
    bool is_whole = false;
    enum pyr_err err = open_batch(rewrite, data, &header, &records, &is_whole);
    if (err != PYR_OK || is_whole) {
        *ret_data = data;
        return err;
    }
    uint64_t dropped = rewrite->records_dropped;
    uint64_t tombstones = rewrite->tombstones_dropped;
    err = build(rewrite, &header, records, &builder);
    if (err == PYR_OK && builder.record_count == header.record_count && header.record_count > 0) {
        *ret_data = data;
        return PYR_OK;
    }
    if (err == PYR_OK && builder.record_count == 0 && !is_last_of_producer(rewrite, &header)) {
        *ret_data = (struct bytes){0};
        return PYR_OK;
    }
    if (err == PYR_OK) {
        err = seal(rewrite, &header, &builder, ret_data);
    }
    if (err == PYR_ERR_TOO_LARGE) {
        /* Packed by a better codec than ours, it would not fit: it stays whole. */
        rewrite->records_dropped = dropped;
        rewrite->tombstones_dropped = tombstones;
        *ret_data = data;
        return PYR_OK;
    }
    return err;
}
