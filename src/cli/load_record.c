/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_record - putting and getting.
 */
#include "cli/load_record.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"

enum {
    MARK_POSITION = 0,
    RUN_POSITION = 4,
    STREAM_POSITION = 8,
    CRC_POSITION = 12,
    SEQUENCE_POSITION = 16,
    SENT_POSITION = 24,
};

/* "PYRL" as a little-endian number. */
#define MARK UINT32_C(0x4c525950)

static uint32_t value_crc(struct bytes data)
{
    ASSERT(data.count >= LOAD_RECORD_BYTES_MIN);

    struct bytes head = {data.data, CRC_POSITION};
    struct bytes tail = {data.data + SEQUENCE_POSITION, data.count - SEQUENCE_POSITION};
    return checksum_crc32c(checksum_crc32c(0, head), tail);
}

void load_record_put(struct bytes_mut data, const struct load_record *record)
{
    ASSERT(data.count >= LOAD_RECORD_BYTES_MIN);

    put_le32(data.data + MARK_POSITION, MARK);
    put_le32(data.data + RUN_POSITION, record->run);
    put_le32(data.data + STREAM_POSITION, record->stream);
    put_le64(data.data + SEQUENCE_POSITION, record->sequence);
    put_le64(data.data + SENT_POSITION, record->sent_ns);
    put_le32(data.data + CRC_POSITION, value_crc((struct bytes){data.data, data.count}));
}

enum load_record_kind load_record_get(struct bytes data, struct load_record *ret_record)
{
    ASSERT(data.data != NULL || data.count == 0);

    if (data.count < LOAD_RECORD_BYTES_MIN || get_le32(data.data + MARK_POSITION) != MARK) {
        return LOAD_RECORD_FOREIGN;
    }
    if (get_le32(data.data + CRC_POSITION) != value_crc(data)) {
        return LOAD_RECORD_DAMAGED;
    }
    *ret_record = (struct load_record){.run = get_le32(data.data + RUN_POSITION),
                                       .stream = get_le32(data.data + STREAM_POSITION),
                                       .sequence = get_le64(data.data + SEQUENCE_POSITION),
                                       .sent_ns = get_le64(data.data + SENT_POSITION)};
    return LOAD_RECORD_GOOD;
}
