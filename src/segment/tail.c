/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/tail - writing and reading the two slots.
 */
#include "segment/tail.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "io/transfer.h"
#include "segment/files.h"
#include "segment/rebuild.h"

#define TAIL_MAGIC "PYRTAIL1"

enum { TAIL_MAGIC_BYTES = 8, TAIL_HEADER_BYTES = 24, TAIL_CHECK_AT = 20 };

static int64_t slot_position(uint32_t turn)
{
    ASSERT(SEGMENT_TAIL_BYTES > BLOCK_BYTES);

    return SEGMENT_TAIL_AT + (int64_t)(turn % 2) * SEGMENT_TAIL_BYTES;
}

static uint32_t tail_check(const uint8_t *header,
                           const struct segment_identity *identity,
                           struct bytes data)
{
    ASSERT(header);
    ASSERT(data.count > 0);
    ASSERT(data.count < BLOCK_BYTES);

    uint8_t seed[LOG_ID_BYTES + 8];
    memcpy(seed, identity->log.value, LOG_ID_BYTES);
    put_le64(seed + LOG_ID_BYTES, (uint64_t)identity->offset_base);
    uint32_t crc = checksum_crc32c(0, (struct bytes){.data = seed, .count = sizeof seed});
    crc = checksum_crc32c(crc, (struct bytes){.data = header, .count = TAIL_CHECK_AT});
    return checksum_crc32c(crc, data);
}

enum pyr_err segment_tail_save(struct io *io,
                               struct segment_handle *handle,
                               const struct segment_shape *shape,
                               uint32_t turn,
                               struct pyr_error *reterr)
{
    ASSERT(handle->is_writable);
    ASSERT(shape->end.position <= SEGMENT_BYTES_MAX);

    uint8_t data[BLOCK_BYTES];
    uint8_t header[TAIL_HEADER_BYTES];
    uint32_t position = (uint32_t)align_down(shape->end.position, BLOCK_BYTES);
    size_t count = shape->end.position - position;
    size_t got = 0;
    if (count == 0) {
        return PYR_OK;
    }
    ASSERT(count < BLOCK_BYTES);
    int number = io_read_whole(io, handle->log, (struct bytes_mut){.data = data, .count = count},
                               position, &got);
    if (number != 0) {
        (void)err_set_errno(reterr, number, "copy the end of segment %020lld",
                            (long long)shape->identity.offset_base);
        return err_recode(reterr, PYR_ERR_IO);
    }
    if (got != count) {
        return err_set(reterr, PYR_ERR_IO,
                       "copy the end of segment %020lld: the file ends %zu bytes before",
                       (long long)shape->identity.offset_base, count - got);
    }
    struct bytes bytes = {.data = data, .count = count};
    memcpy(header, TAIL_MAGIC, TAIL_MAGIC_BYTES);
    put_le32(header + 8, position);
    put_le32(header + 12, (uint32_t)count);
    put_le32(header + 16, turn);
    put_le32(header + TAIL_CHECK_AT, tail_check(header, &shape->identity, bytes));
    number = io_write_whole(io, handle->digest, bytes, slot_position(turn) + BLOCK_BYTES, false);
    if (number == 0) {
        number = io_write_whole(io, handle->digest,
                                (struct bytes){.data = header, .count = sizeof header},
                                slot_position(turn), false);
    }
    return number == 0 ? PYR_OK
                       : err_set_errno(reterr, number, "copy the end of segment %020lld",
                                       (long long)shape->identity.offset_base);
}

/* What a slot holds. */
struct slot {
    uint8_t data[BLOCK_BYTES];
    uint32_t position;
    uint32_t turn;
    size_t count; /* 0: nothing whole. */
};

/* Read slot @turn modulo 2. */
static int read_slot(struct io *io,
                     struct io_file *digest,
                     const struct segment_identity *identity,
                     uint32_t turn,
                     struct slot *slot)
{
    ASSERT(digest);
    ASSERT(slot);

    uint8_t header[TAIL_HEADER_BYTES];
    size_t got = 0;
    slot->count = 0;
    int number =
        io_read_whole(io, digest, (struct bytes_mut){.data = header, .count = sizeof header},
                      slot_position(turn), &got);
    size_t count = got == sizeof header ? get_le32(header + 12) : 0;
    if (number != 0 || count == 0 || count >= BLOCK_BYTES ||
        memcmp(header, TAIL_MAGIC, TAIL_MAGIC_BYTES) != 0) {
        return number;
    }
    number = io_read_whole(io, digest, (struct bytes_mut){.data = slot->data, .count = count},
                           slot_position(turn) + BLOCK_BYTES, &got);
    struct bytes bytes = {.data = slot->data, .count = count};
    if (number == 0 && got == count &&
        tail_check(header, identity, bytes) == get_le32(header + TAIL_CHECK_AT)) {
        slot->position = get_le32(header + 8);
        slot->turn = get_le32(header + 16);
        slot->count = count;
    }
    return number;
}

/* Hold @bytes against the .log at @position and write them where they differ. */
static int put_back(struct io *io,
                    struct io_file *log,
                    struct bytes bytes,
                    uint32_t position,
                    bool *ret_changed)
{
    ASSERT(log);
    ASSERT(bytes.count > 0);
    ASSERT(bytes.count < BLOCK_BYTES);
    ASSERT(!*ret_changed);

    uint8_t there[SECTOR_BYTES];
    int64_t log_bytes = 0;
    bool is_same = true;
    int error = io_bytes(io, log, &log_bytes);
    if (error != 0 || log_bytes < position + (int64_t)bytes.count) {
        return error; /* A torn write shortens nothing: this is other damage. */
    }
    for (size_t at = 0; at < bytes.count && is_same; at += sizeof there) {
        size_t got = 0;
        size_t count = bytes.count - at < sizeof there ? bytes.count - at : sizeof there;
        int number = io_read_whole(io, log, (struct bytes_mut){.data = there, .count = count},
                                   position + (int64_t)at, &got);
        if (number != 0) {
            return number;
        }
        is_same = got == count && memcmp(there, bytes.data + at, count) == 0;
    }
    if (is_same) {
        return 0;
    }
    *ret_changed = true;
    return io_write_whole(io, log, bytes, position, false);
}

enum pyr_err segment_tail_restore(struct io *io,
                                  const char *folder,
                                  const struct segment_identity *identity,
                                  uint32_t turn,
                                  bool *ret_changed,
                                  struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(identity->offset_base >= 0);
    ASSERT(ret_changed);

    struct slot slot = {.count = 0};
    struct io_file *digest = NULL;
    struct io_file *log = NULL;
    bool has_changed = false;
    enum pyr_err err = segment_file_open(
        io, &(struct segment_file_name){folder, identity->offset_base, SEGMENT_KIND_DIGEST},
        IO_OPEN_READ, &digest, reterr);
    if (err == PYR_OK) {
        err = segment_file_open(
            io, &(struct segment_file_name){folder, identity->offset_base, SEGMENT_KIND_LOG},
            IO_OPEN_READ | IO_OPEN_WRITE, &log, reterr);
    }
    int number = 0;
    if (err == PYR_OK && digest && log) {
        number = read_slot(io, digest, identity, turn, &slot);
    }
    if (number == 0 && slot.count > 0) {
        number = put_back(io, log, (struct bytes){.data = slot.data, .count = slot.count},
                          slot.position, &has_changed);
    }
    io_close(io, digest);
    io_close(io, log);
    if (number != 0) {
        return err_set_errno(reterr, number, "restore the end of segment %020lld",
                             (long long)identity->offset_base);
    }
    *ret_changed = has_changed;
    return err;
}

enum pyr_err segment_tail_turn(struct io *io,
                               const char *folder,
                               const struct segment_identity *identity,
                               uint32_t *ret_turn,
                               struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(identity->offset_base >= 0);
    ASSERT(ret_turn);

    struct slot slot = {.count = 0};
    struct io_file *digest = NULL;
    uint32_t newest = 0;
    int number = 0;
    enum pyr_err err = segment_file_open(
        io, &(struct segment_file_name){folder, identity->offset_base, SEGMENT_KIND_DIGEST},
        IO_OPEN_READ, &digest, reterr);
    for (uint32_t turn = 0; turn < 2 && digest && number == 0; turn++) {
        number = read_slot(io, digest, identity, turn, &slot);
        if (number == 0 && slot.count > 0 && (newest == 0 || slot.turn - newest < INT32_MAX)) {
            newest = slot.turn;
        }
    }
    io_close(io, digest);
    if (number != 0) {
        return err_set_errno(reterr, number, "look for the copy of a segment's end");
    }
    *ret_turn = newest;
    return err;
}
