/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/format - encoding and decoding; the byte tables stand in the header.
 *
 * Every length is compared with what encloses it before it is used, and the checksum is asked
 * before any other field but those lengths is believed.
 */
#include "wal/format.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "base/mutant.h"

enum {
    FILE_CHECKED_BYTES = 48,  /* The file header's checksum covers what stands before it. */
    FLUSH_CHECKED_BYTES = 64, /* Likewise the flush header's. */
    ENTRY_CHECKED_FROM = 8,   /* An entry's covers what follows it. */
};

ASSERT_STATIC(FILE_CHECKED_BYTES + 8 == WAL_FILE_HEADER_BYTES, "the checksum comes last");
ASSERT_STATIC(FLUSH_CHECKED_BYTES + 8 == WAL_FLUSH_HEADER_BYTES, "the checksum comes last");
ASSERT_STATIC(WAL_FLUSH_HEADER_BYTES % WAL_ENTRY_ALIGNMENT == 0, "the first entry is aligned");
ASSERT_STATIC(WAL_ENTRY_HEADER_BYTES % WAL_ENTRY_ALIGNMENT == 0, "a payload is aligned");
ASSERT_STATIC(WAL_FLUSH_HEADER_BYTES <= SECTOR_BYTES, "no crash tears a flush header");
ASSERT_STATIC(WAL_FILE_BYTES_MAX <= UINT32_MAX, "a position in a file fits 32 bits");

void wal_file_header_encode(const struct wal_file_header *header, uint8_t block[BLOCK_BYTES])
{
    ASSERT(header->generation >= 1);
    ASSERT(header->identity.file_bytes % BLOCK_BYTES == 0);

    memset(block, 0, BLOCK_BYTES);
    put_le32(block, WAL_FILE_MAGIC);
    put_le16(block + 4, WAL_FORMAT_VERSION);
    memcpy(block + 8, header->identity.storage_id, WAL_STORAGE_ID_BYTES);
    put_le32(block + 24, header->identity.shard);
    put_le32(block + 28, header->slot);
    put_le64(block + 32, header->generation);
    put_le64(block + 40, header->identity.file_bytes);
    put_le64(block + FILE_CHECKED_BYTES,
             checksum_hash64(WAL_FILE_MAGIC, (struct bytes){block, FILE_CHECKED_BYTES}));
}

static bool is_zero(const uint8_t *data, size_t count)
{
    ASSERT(data);
    ASSERT(count > 0);

    return data[0] == 0 && memcmp(data, data + 1, count - 1) == 0;
}

enum wal_header_verdict wal_file_header_decode(const uint8_t block[BLOCK_BYTES],
                                               struct wal_file_header *ret_header)
{
    ASSERT(block);
    ASSERT(ret_header);

    if (is_zero(block, BLOCK_BYTES)) {
        return WAL_HEADER_ZERO;
    }
    uint64_t checksum = checksum_hash64(WAL_FILE_MAGIC, (struct bytes){block, FILE_CHECKED_BYTES});
    if (get_le32(block) != WAL_FILE_MAGIC || get_le64(block + FILE_CHECKED_BYTES) != checksum) {
        return WAL_HEADER_BAD;
    }
    if (get_le16(block + 4) != WAL_FORMAT_VERSION) {
        return WAL_HEADER_VERSION;
    }

    struct wal_file_header header = {
        .identity.shard = get_le32(block + 24),
        .identity.file_bytes = get_le64(block + 40),
        .slot = get_le32(block + 28),
        .generation = get_le64(block + 32),
    };
    memcpy(header.identity.storage_id, block + 8, WAL_STORAGE_ID_BYTES);
    bool is_plausible = header.generation >= 1 &&
                        header.identity.file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN &&
                        header.identity.file_bytes <= (uint64_t)WAL_FILE_BYTES_MAX &&
                        header.identity.file_bytes % BLOCK_BYTES == 0 &&
                        header.generation < UINT64_MAX / header.identity.file_bytes;
    if (!is_plausible) {
        return WAL_HEADER_BAD;
    }
    *ret_header = header;
    return WAL_HEADER_GOOD;
}

uint64_t wal_flush_seed(const struct wal_identity *identity, uint64_t generation)
{
    ASSERT(identity->file_bytes % BLOCK_BYTES == 0);
    ASSERT(identity->file_bytes > 0);

    if (MUTANT(recycled_flush_accepted)) {
        generation = 0;
    }

    uint8_t data[WAL_STORAGE_ID_BYTES + 12];
    memcpy(data, identity->storage_id, WAL_STORAGE_ID_BYTES);
    put_le32(data + WAL_STORAGE_ID_BYTES, identity->shard);
    put_le64(data + WAL_STORAGE_ID_BYTES + 4, generation);
    return checksum_hash64(WAL_FLUSH_MAGIC, (struct bytes){data, sizeof data});
}

void wal_flush_header_encode(const struct wal_identity *identity,
                             struct wal_flush_header *header,
                             uint8_t data[WAL_FLUSH_HEADER_BYTES])
{
    ASSERT(header->bytes % BLOCK_BYTES == 0);
    ASSERT(header->bytes_used <= header->bytes);
    ASSERT(header->position % BLOCK_BYTES == 0);
    ASSERT(header->durable_upto <= header->position);

    put_le32(data, WAL_FLUSH_MAGIC);
    put_le16(data + 4, WAL_FORMAT_VERSION);
    put_le16(data + 6, header->flags);
    put_le64(data + 8, header->position);
    put_le64(data + 16, header->sequence);
    put_le64(data + 24, header->run);
    put_le64(data + 32, header->durable_upto);
    put_le64(data + 40, header->previous_checksum);
    put_le32(data + 48, header->bytes);
    put_le32(data + 52, header->bytes_used);
    put_le32(data + 56, header->entry_count);
    put_le32(data + 60, header->previous_used);
    uint64_t seed = wal_flush_seed(identity, wal_generation_of(identity, header->position));
    header->checksum = checksum_hash64(seed, (struct bytes){data, FLUSH_CHECKED_BYTES});
    put_le64(data + FLUSH_CHECKED_BYTES, header->checksum);
}

bool wal_flush_header_decode(const struct wal_identity *identity,
                             uint64_t position,
                             const uint8_t data[WAL_FLUSH_HEADER_BYTES],
                             struct wal_flush_header *ret_header)
{
    ASSERT(ret_header);
    ASSERT(position % BLOCK_BYTES == 0);

    if (get_le32(data) != WAL_FLUSH_MAGIC || get_le16(data + 4) != WAL_FORMAT_VERSION) {
        return false;
    }
    uint64_t seed = wal_flush_seed(identity, wal_generation_of(identity, position));
    uint64_t checksum = checksum_hash64(seed, (struct bytes){data, FLUSH_CHECKED_BYTES});
    if (get_le64(data + FLUSH_CHECKED_BYTES) != checksum) {
        return false;
    }

    struct wal_flush_header header = {
        .flags = get_le16(data + 6),
        .position = get_le64(data + 8),
        .sequence = get_le64(data + 16),
        .run = get_le64(data + 24),
        .durable_upto = get_le64(data + 32),
        .previous_checksum = get_le64(data + 40),
        .bytes = get_le32(data + 48),
        .bytes_used = get_le32(data + 52),
        .entry_count = get_le32(data + 56),
        .previous_used = get_le32(data + 60),
        .checksum = checksum,
    };
    bool is_here = header.position == position || MUTANT(recycled_flush_accepted);
    bool is_inside =
        header.bytes % BLOCK_BYTES == 0 && header.bytes <= wal_file_left(identity, position) &&
        header.bytes_used >= WAL_FLUSH_HEADER_BYTES && header.bytes_used <= header.bytes;
    if (!is_here || !is_inside) {
        return false;
    }
    *ret_header = header;
    return true;
}

uint64_t wal_entry_seed(const struct wal_identity *identity, const struct wal_place *place)
{
    ASSERT(place->position >= identity->file_bytes);
    ASSERT(place->position % BLOCK_BYTES == 0);

    if (MUTANT(checksum_without_place) || MUTANT(recycled_flush_accepted)) {
        return WAL_FLUSH_MAGIC;
    }

    uint8_t data[24];
    put_le64(data, place->position);
    put_le64(data + 8, place->run);
    put_le64(data + 16, place->sequence);
    uint64_t seed = wal_flush_seed(identity, wal_generation_of(identity, place->position));
    return checksum_hash64(seed, (struct bytes){data, sizeof data});
}

/* The checksum of the entry whose header stands at @entry, at @at of its flush. */
static uint64_t entry_checksum(uint64_t seed, const uint8_t *entry, uint32_t at, uint32_t checked)
{
    ASSERT(at >= WAL_FLUSH_HEADER_BYTES || at == 0);
    ASSERT(at % WAL_ENTRY_ALIGNMENT == 0);

    uint64_t place_seed = MUTANT(checksum_without_place) ? seed : seed + at;
    struct bytes covered = {
        .data = entry + ENTRY_CHECKED_FROM,
        .count = WAL_ENTRY_HEADER_BYTES - ENTRY_CHECKED_FROM + (size_t)checked,
    };
    return checksum_hash64(place_seed, covered);
}

uint64_t wal_entry_payload_bytes(const struct wal_entry *entry)
{
    ASSERT(entry->parts[0].data || entry->parts[0].count == 0);
    ASSERT(entry->parts[1].data || entry->parts[1].count == 0);

    uint64_t reference = entry->kind == WAL_ENTRY_APPEND_INDIRECT ? WAL_SEGMENT_REF_BYTES : 0;
    return reference + entry->parts[0].count + entry->parts[1].count;
}

uint64_t wal_entry_bytes(const struct wal_entry *entry)
{
    ASSERT(entry->kind >= WAL_ENTRY_APPEND);
    ASSERT(entry->kind <= WAL_ENTRY_COMMIT);

    bool is_absurd = entry->parts[0].count > (size_t)WAL_FILE_BYTES_MAX ||
                     entry->parts[1].count > (size_t)WAL_FILE_BYTES_MAX;
    if (is_absurd) {
        return UINT64_MAX;
    }
    return align_up(WAL_ENTRY_HEADER_BYTES + wal_entry_payload_bytes(entry), WAL_ENTRY_ALIGNMENT);
}

static uint8_t *put_part(uint8_t *data, struct bytes part)
{
    ASSERT(data);

    if (part.count > 0) {
        ASSERT(part.data);
        memcpy(data, part.data, part.count);
    }
    return data + part.count;
}

static uint8_t *put_reference(uint8_t *data, const struct wal_segment_ref *segment)
{
    ASSERT(segment->position >= 0);
    ASSERT(segment->segment_base >= 0);

    put_le64(data, (uint64_t)segment->segment_base);
    put_le64(data + 8, (uint64_t)segment->position);
    put_le32(data + 16, segment->count);
    put_le32(data + 20, segment->crc);
    put_le64(data + 24, 0);
    return data + WAL_SEGMENT_REF_BYTES;
}

void wal_entry_encode(const struct wal_entry *entry,
                      uint8_t flags,
                      uint64_t seed,
                      uint8_t *flush,
                      uint32_t at)
{
    uint64_t bytes = wal_entry_bytes(entry);
    uint64_t payload_bytes = wal_entry_payload_bytes(entry);
    ASSERT(bytes <= UINT32_MAX);
    ASSERT(entry->kind != WAL_ENTRY_APPEND || entry->checked_bytes <= payload_bytes);

    /* Only a batch carries a checksum of its own. */
    uint32_t checked =
        entry->kind == WAL_ENTRY_APPEND ? entry->checked_bytes : (uint32_t)payload_bytes;
    uint8_t *data = flush + at;
    put_le32(data + 8, (uint32_t)bytes);
    data[12] = (uint8_t)entry->kind;
    data[13] = flags;
    put_le16(data + 14, 0);
    memcpy(data + 16, entry->log.value, LOG_ID_BYTES);
    put_le64(data + 32, (uint64_t)entry->offset);
    put_le64(data + 40, entry->number);
    put_le32(data + 48, (uint32_t)entry->epoch);
    put_le32(data + 52, (uint32_t)payload_bytes);
    put_le32(data + 56, checked);
    put_le32(data + 60, entry->commit_lag);

    uint8_t *payload = data + WAL_ENTRY_HEADER_BYTES;
    if (entry->kind == WAL_ENTRY_APPEND_INDIRECT) {
        payload = put_reference(payload, &entry->segment);
    }
    payload = put_part(payload, entry->parts[0]);
    payload = put_part(payload, entry->parts[1]);
    memset(payload, 0, (size_t)(data + bytes - payload));
    put_le64(data, entry_checksum(seed, data, at, checked));
}

/* What must hold of an entry's kind beside its checksum. */
static bool kind_is_known(const struct wal_entry *entry, uint32_t payload_bytes)
{
    ASSERT(entry->checked_bytes <= payload_bytes); /* WALF-1 */
    ASSERT(entry->parts[0].count == payload_bytes);

    switch (entry->kind) {
    case WAL_ENTRY_APPEND:
        return true;
    case WAL_ENTRY_TRUNCATE:
    case WAL_ENTRY_PROMISE:
    case WAL_ENTRY_COMMIT:
        return entry->checked_bytes == payload_bytes;
    case WAL_ENTRY_APPEND_INDIRECT:
        return payload_bytes >= WAL_SEGMENT_REF_BYTES && entry->checked_bytes == payload_bytes;
    case WAL_ENTRY_CHECKPOINT:
        return payload_bytes == WAL_MARK_BYTES && entry->checked_bytes == payload_bytes;
    }
    return false;
}

static void get_reference(struct wal_entry *entry)
{
    ASSERT(entry->kind == WAL_ENTRY_APPEND_INDIRECT);
    ASSERT(entry->parts[0].count >= WAL_SEGMENT_REF_BYTES);

    const uint8_t *data = entry->parts[0].data;
    entry->segment = (struct wal_segment_ref){
        .segment_base = (int64_t)get_le64(data),
        .position = (int64_t)get_le64(data + 8),
        .count = get_le32(data + 16),
        .crc = get_le32(data + 20),
    };
    entry->parts[0].data += WAL_SEGMENT_REF_BYTES;
    entry->parts[0].count -= WAL_SEGMENT_REF_BYTES;
}

bool wal_entry_decode(struct bytes flush,
                      uint32_t at,
                      uint64_t seed,
                      struct wal_entry_view *ret_view)
{
    ASSERT(ret_view);
    ASSERT(at % WAL_ENTRY_ALIGNMENT == 0);

    if (at > flush.count || flush.count - at < WAL_ENTRY_HEADER_BYTES) {
        return false;
    }
    const uint8_t *data = flush.data + at;
    uint32_t bytes = get_le32(data + 8);
    uint32_t payload_bytes = get_le32(data + 52);
    uint32_t checked_bytes = get_le32(data + 56);
    bool is_inside =
        bytes <= flush.count - at && checked_bytes <= payload_bytes &&
        align_up((uint64_t)WAL_ENTRY_HEADER_BYTES + payload_bytes, WAL_ENTRY_ALIGNMENT) == bytes;
    if (!is_inside || get_le64(data) != entry_checksum(seed, data, at, checked_bytes)) {
        return false;
    }

    struct wal_entry_view view = {
        .entry.kind = (enum wal_entry_kind)data[12],
        .entry.offset = (int64_t)get_le64(data + 32),
        .entry.epoch = (int32_t)get_le32(data + 48),
        .entry.number = get_le64(data + 40),
        .entry.commit_lag = get_le32(data + 60),
        .entry.parts[0] = {.data = data + WAL_ENTRY_HEADER_BYTES, .count = payload_bytes},
        .entry.checked_bytes = checked_bytes,
        .flags = data[13],
        .bytes = bytes,
    };
    memcpy(view.entry.log.value, data + 16, LOG_ID_BYTES);
    if (!kind_is_known(&view.entry, payload_bytes)) {
        return false;
    }
    if (view.entry.kind == WAL_ENTRY_APPEND_INDIRECT) {
        get_reference(&view.entry);
    }
    *ret_view = view;
    return true;
}

void wal_mark_encode(const struct wal_mark *mark, uint8_t data[WAL_MARK_BYTES])
{
    ASSERT(mark->resume_position > 0);
    ASSERT(mark->number > 0);

    put_le64(data, mark->number);
    put_le64(data + 8, mark->resume_position);
}

bool wal_mark_decode(struct bytes payload, struct wal_mark *ret_mark)
{
    ASSERT(ret_mark);

    if (payload.count != WAL_MARK_BYTES) {
        return false;
    }
    ASSERT(payload.data);
    *ret_mark = (struct wal_mark){
        .number = get_le64(payload.data),
        .resume_position = get_le64(payload.data + 8),
    };
    return true;
}
