/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/format - the bytes of a journal file: its header, flushes and entries.
 *
 * Everything is little-endian. A file holds two copies of its header, a block each, and then
 * flushes, each a whole number of blocks:
 *
 *   +---------+---------+-------------------------+----------------+------------------
 *   | header  | header  | flush                   | flush          | what was here
 *   | copy 0  | copy 1  | head entry entry zeros  | head entry ... | before, or zeros
 *   +---------+---------+-------------------------+----------------+------------------
 *   0         4096      8192
 *
 * The last block of a file is never used. Two copies, because a header is overwritten when its file
 * is recycled: they are written one after the other, so that a crash can harm one of them only, and
 * a header that is bad in both is damage and not a crash.
 *
 * file header                          flush header                      entry header
 *   0  u32 magic                         0  u32 magic                      0  u64 checksum
 *   4  u16 version                       4  u16 version                    8  u32 bytes
 *   6  u16 zero                          6  u16 flags                     12  u8  kind
 *   8  16  storage id                    8  u64 position                  13  u8  flags
 *  24  u32 shard                        16  u64 sequence                  14  u16 zero
 *  28  u32 slot                         24  u64 run                       16  16  log id
 *  32  u64 generation                   32  u64 durable_upto              32  i64 offset
 *  40  u64 file bytes                   40  u64 checksum of the header    40  u64 number
 *  48  u64 checksum of 0 to 48                  before                    48  i32 epoch
 *  56  zeros                            48  u32 bytes                     52  u32 payload bytes
 *                                       52  u32 bytes used                56  u32 checked bytes
 *                                       56  u32 entry count               60  u32 commit lag
 *                                       60  u32 bytes used before         64  payload, zeros to 8
 *                                       64  u64 checksum of 0 to 64
 *                                       72  entries
 *
 * The payload of an indirect append begins with 32 bytes: i64 segment base, i64 position, u32
 * count, u32 crc, u64 zero. That of a checkpoint's mark is u64 number, u64 resume position.
 *
 * Checksums are 64-bit hashes under a seed that nobody outside the data folder knows: they resist a
 * record that was made to look like a flush. The seed of a flush header comes from storage id,
 * shard and generation, that of an entry from its flush's place too, so that bytes that are right
 * at another place, or were right here before, fail.
 *
 * Invariants:
 *   WALF-1  Whatever the bytes, decoding reads only inside them and gives lengths that lie inside.
 *   WALF-2  A flush header is valid only at the position, and in the generation, that it names.
 *   WALF-3  An entry's checksum holds only at its place in its flush.
 *
 * When you change a field, also change docs/formats/wal.md, the golden test and the version.
 * Threads: pure functions.
 */
#ifndef WAL_FORMAT_H
#define WAL_FORMAT_H

#include "base/assert.h"
#include "base/limits.h"
#include "wal/wal.h"

#define WAL_FORMAT_VERSION 1

#define WAL_FILE_MAGIC  0x4a4c5750u /* "PWLJ" */
#define WAL_FLUSH_MAGIC 0x464c5750u /* "PWLF" */

#define WAL_FILE_HEADER_BYTES  56
#define WAL_FILE_HEADER_COPIES 2
#define WAL_FILE_DATA_POSITION (INT64_C(1) * WAL_FILE_HEADER_COPIES * BLOCK_BYTES)
#define WAL_FLUSH_HEADER_BYTES 72
#define WAL_ENTRY_HEADER_BYTES 64
#define WAL_ENTRY_ALIGNMENT    8
#define WAL_SEGMENT_REF_BYTES  32
#define WAL_MARK_BYTES         16

enum wal_flush_flag {
    WAL_FLUSH_EMPTY = 1 << 0, /* Holds no new entry; it carries durable_upto, and repeats. */
    WAL_FLUSH_CLEAN = 1 << 1, /* The last one of a clean stop. */
    WAL_FLUSH_OPEN =
        1 << 2,             /* Grows by small writes; its entries end where the next header says. */
    WAL_FLUSH_CUT = 1 << 3, /* Written by a repair: what follows by place was given up. */
};

enum wal_entry_flag {
    WAL_ENTRY_REPEAT = 1 << 0, /* Stood in the flush before already. */
};

/* Which journal: what all its seeds come from. */
struct wal_identity {
    uint8_t storage_id[WAL_STORAGE_ID_BYTES];
    uint32_t shard;
    uint64_t file_bytes;
};

struct wal_file_header {
    struct wal_identity identity;
    uint32_t slot;
    uint64_t generation; /* At least 1. */
};

struct wal_flush_header {
    uint16_t flags;
    uint64_t position;
    uint64_t sequence;
    uint64_t run;
    uint64_t durable_upto;
    uint64_t previous_checksum;
    uint32_t bytes;         /* A multiple of BLOCK_BYTES. */
    uint32_t bytes_used;    /* Header and entries. */
    uint32_t entry_count;   /* Repeats included. */
    uint32_t previous_used; /* bytes_used of the flush before, as it really was. */
    uint64_t checksum;      /* Of this header. */
};

/* Where an entry stands: what its checksum covers beside its bytes. */
struct wal_place {
    uint64_t position; /* Of the flush. */
    uint64_t run;
    uint64_t sequence;
};

/* The end of a chain of flushes: what the next flush must follow (WAL-3). */
struct wal_link {
    uint64_t position; /* Where the next flush goes, if its file has room. */
    uint64_t sequence; /* Of the last flush, and so on. */
    uint64_t run;
    uint64_t checksum;
    uint32_t used;
};

/* The mark of a checkpoint, as a payload. */
struct wal_mark {
    uint64_t number;
    uint64_t resume_position;
};

/** Return the generation of the file that holds the journal position @position. */
static inline uint64_t wal_generation_of(const struct wal_identity *identity, uint64_t position)
{
    ASSERT(identity->file_bytes > 0);

    return position / identity->file_bytes;
}

/** Return the position inside its file of the journal position @position. */
static inline int64_t wal_file_position_of(const struct wal_identity *identity, uint64_t position)
{
    ASSERT(identity->file_bytes > 0);

    return (int64_t)(position % identity->file_bytes);
}

/** Return the bytes that flushes may take in a file. The last block stays unused, so that the end
 * of a flush is a position in its own file. */
static inline uint64_t wal_file_room(const struct wal_identity *identity)
{
    ASSERT(identity->file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN);
    ASSERT(identity->file_bytes % BLOCK_BYTES == 0);

    return identity->file_bytes - WAL_FILE_DATA_POSITION - BLOCK_BYTES;
}

/** Return the bytes that flushes may take from the journal position @position on, in its file. */
static inline uint64_t wal_file_left(const struct wal_identity *identity, uint64_t position)
{
    ASSERT(identity->file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN);

    return identity->file_bytes - BLOCK_BYTES - position % identity->file_bytes;
}

/** Write @header as one block at @block. */
void wal_file_header_encode(const struct wal_file_header *header, uint8_t block[BLOCK_BYTES]);

enum wal_header_verdict {
    WAL_HEADER_GOOD,
    WAL_HEADER_ZERO,    /* All zeros: never written. */
    WAL_HEADER_BAD,     /* Fails its checksum. */
    WAL_HEADER_VERSION, /* Good, but newer than this program. */
};

/** Read a file header from @block; *@ret_header is set for WAL_HEADER_GOOD only. */
enum wal_header_verdict wal_file_header_decode(const uint8_t block[BLOCK_BYTES],
                                               struct wal_file_header *ret_header);

/** Return the seed of the flush headers of @generation. */
uint64_t wal_flush_seed(const struct wal_identity *identity, uint64_t generation);

/** Write @header at @data, and set header->checksum. */
void wal_flush_header_encode(const struct wal_identity *identity,
                             struct wal_flush_header *header,
                             uint8_t data[WAL_FLUSH_HEADER_BYTES]);

/**
 * Read the header of a flush that stands at the journal position @position from @data, and return
 * whether it is valid there (WALF-2). *@ret_header is set only if so.
 */
bool wal_flush_header_decode(const struct wal_identity *identity,
                             uint64_t position,
                             const uint8_t data[WAL_FLUSH_HEADER_BYTES],
                             struct wal_flush_header *ret_header);

/** Return the seed of the entries of the flush at @place. */
uint64_t wal_entry_seed(const struct wal_identity *identity, const struct wal_place *place);

/** Return the payload bytes of @entry, an indirect append's reference included. */
uint64_t wal_entry_payload_bytes(const struct wal_entry *entry);

/** Return the bytes that @entry takes in a flush, or UINT64_MAX if it can never fit. */
uint64_t wal_entry_bytes(const struct wal_entry *entry);

/**
 * Write @entry at @flush + @at, where wal_entry_bytes() are free; @seed is wal_entry_seed() of the
 * flush.
 */
void wal_entry_encode(const struct wal_entry *entry,
                      uint8_t flags,
                      uint64_t seed,
                      uint8_t *flush,
                      uint32_t at);

/* An entry as it was read, with what only the format knows. */
struct wal_entry_view {
    struct wal_entry entry; /* parts[0] points into the flush. */
    uint8_t flags;
    uint32_t bytes; /* To the next entry. */
};

/**
 * Read the entry at @at of @flush, whose entries end at @flush.count, under @seed; return whether
 * it is valid there (WALF-1, WALF-3). *@ret_view borrows from @flush and is set only if so.
 */
bool wal_entry_decode(struct bytes flush,
                      uint32_t at,
                      uint64_t seed,
                      struct wal_entry_view *ret_view);

/** Write @mark as a payload. */
void wal_mark_encode(const struct wal_mark *mark, uint8_t data[WAL_MARK_BYTES]);

/** Read a mark from @payload; return whether it has the right length. */
bool wal_mark_decode(struct bytes payload, struct wal_mark *ret_mark);

#endif /* WAL_FORMAT_H */
