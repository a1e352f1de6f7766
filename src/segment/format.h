/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/format - the bytes of every file of a partition's folder but the batches themselves.
 *
 * Four files stand beside each other for one segment; three of them are Kafka's, so that Kafka's
 * own tools read the folder, and one is ours:
 *
 *   00000000000000004711.log        record batches, one after the other, nothing between them
 *   00000000000000004711.index      Kafka's sparse index, for Kafka's tools
 *   00000000000000004711.timeindex  Kafka's time index, likewise
 *   00000000000000004711.digest     our points: what reads are found by and checked against
 *   leader-epoch-checkpoint         text: where each epoch starts
 *   partition.metadata              text: whose folder this is
 *
 * Kafka's index files carry no check of their own, so a flipped bit there could send a reader past
 * the record it asked for. They are therefore written for others and never read to serve: our
 * points hold the same places, each with its own check.
 *
 * .index, big-endian, 8 bytes an entry:
 *    0  4  last offset of a batch, less the segment's base offset
 *    4  4  position of that batch in the .log
 *
 * .timeindex, big-endian, 12 bytes an entry:
 *    0  8  largest timestamp up to and with a batch, milliseconds
 *    8  4  last offset of the batch that holds it, less the segment's base offset
 *
 * .digest, little-endian: a header of 64 bytes, the first point; at 4096 two
 * copies of the last block (segment/tail); at 20480 the other points, of 60 bytes each. What stands
 * in the first block is written once: a torn write of later points cannot reach it.
 *
 *    0  8  "PYRDIGST"              0  8  offset: everything before it is in `digest`
 *    8  2  version, 1              8  8  digest
 *   10  2  flags: 1 = cleaned     16  8  timestamp_max, ms
 *   12  4  bytes of a point       24  8  clock, ms: the log's clock when the point was made
 *   16 16  log id                 32  4  position in the .log
 *   32  8  base offset            36  4  epoch of the batch before the point, -1 if none
 *   40  4  history points         40  4  timestamp offset, less base: of the batch with the max
 *   44 16  zero                   44  4  last offset, less `offset`, of the batch that starts here
 *   60  4  CRC32C of 0..59        48  2  kind: bits of enum segment_point_kind
 *                                 50  2  zero
 *                                 52  4  epoch of the batch that starts here; START, END: before
 *                                 56  4  CRC32C of 0..55, begun with identity and place
 *
 * A point of kind INDEX stands at a batch that also has an .index entry; its timestamp_max and
 * timestamp offset include that batch, as the .timeindex wants it. The running digest is
 * checksum_digest64 over 36 bytes a batch: log id 16, base offset 8, epoch 4, bytes 4, batch CRC 4.
 * It runs on across segments from the log's first batch.
 *
 * A cleaned file (compaction's output) has other batches than those that were appended. Its chain
 * is its own, begun at its START point; the digests of the appended batches at the places that
 * replicas compare are kept as `history points` between header and chain.
 *
 * Invariants:
 *   SEG-1  A point is believed only if its check, seeded with log id, base offset and its slot in
 *          the file, matches: a point of another file or place is no point.
 *
 * Threads: pure functions.   Reference: docs/formats/segment.md.
 */
#ifndef SEGMENT_FORMAT_H
#define SEGMENT_FORMAT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log_id.h"

enum {
    SEGMENT_INDEX_ENTRY_BYTES = 8,
    SEGMENT_TIME_ENTRY_BYTES = 12,
    SEGMENT_DIGEST_HEADER_BYTES = 64,
    SEGMENT_POINT_BYTES = 60,
    SEGMENT_TAIL_AT = 4096,    /* Where the copies of the last block begin... */
    SEGMENT_TAIL_BYTES = 8192, /* ...and what each takes. */
    SEGMENT_POINTS_AT = 20480, /* Where the points behind the first begin. */
    SEGMENT_METADATA_BYTES_MAX = 256,
    SEGMENT_NAME_DIGITS = 20,
    SEGMENT_EPOCH_ROW_BYTES_MAX = 34, /* Two numbers, a blank, a line end and some to spare. */
};

/* The digest of a log before its first batch. */
#define SEGMENT_DIGEST_FIRST UINT64_C(0)

#define SEGMENT_EPOCH_FILE_NAME    "leader-epoch-checkpoint"
#define SEGMENT_METADATA_FILE_NAME "partition.metadata"
#define SEGMENT_PREPARED_FILE_NAME "next.prepared"
#define SEGMENT_QUARANTINE_NAME    "quarantine"
#define SEGMENT_DELETED_FILE_NAME  "deleted.state" /* The owner's; see partition/deleted.h. */
#define SEGMENT_FOLD_FILE_NAME     "fold"          /* Likewise; see partition/fold.h. */
#define SEGMENT_NEW_SUFFIX         ".new" /* A small file being written, before its rename. */

/* The files of one segment. */
enum segment_kind {
    SEGMENT_KIND_LOG,
    SEGMENT_KIND_INDEX,
    SEGMENT_KIND_TIMEINDEX,
    SEGMENT_KIND_DIGEST,
    SEGMENT_KIND_COUNT,
};

/* What stands behind the name while a step is under way. */
enum segment_suffix {
    SEGMENT_SUFFIX_NONE,
    SEGMENT_SUFFIX_CLEANED, /* Being written by compaction; dropped at open. */
    SEGMENT_SUFFIX_SWAP,    /* Decided: takes the place of the plain file, at open if need be. */
    SEGMENT_SUFFIX_DELETED, /* To be removed after the grace time. */
    SEGMENT_SUFFIX_COUNT,
};

/* Why a point is there. */
enum segment_point_kind {
    SEGMENT_POINT_INDEX = 1 << 0,  /* The .index has an entry for the batch that starts here. */
    SEGMENT_POINT_EPOCH = 1 << 1,  /* The batch that starts here is the first of its epoch. */
    SEGMENT_POINT_STRIDE = 1 << 2, /* First batch end at or past a multiple of the stride. */
    SEGMENT_POINT_START = 1 << 3,  /* First point of the file. */
    SEGMENT_POINT_END = 1 << 4,    /* Last point: the segment takes no more batches. */
};

/* Where a log stands after a batch: everything that is needed to check the next one. */
struct segment_point {
    int64_t offset;            /* One past the last record before the point. */
    uint64_t digest;           /* Over all batches before the point. */
    int64_t timestamp_max;     /* Milliseconds; INT64_MIN if no batch yet. */
    int64_t clock_ms;          /* The log's clock. */
    uint32_t position;         /* In the .log. */
    int32_t epoch;             /* Of the batch before the point; -1 if none. */
    uint32_t timestamp_offset; /* Of the batch that holds timestamp_max, less the base offset. */
    uint32_t batch_delta;      /* Last offset of the batch that starts here, less `offset`. END: the
                                  number of .index entries. */
    int32_t batch_epoch;       /* Of the batch that starts here. START, END: as epoch. */
    uint16_t kind;             /* Bits of enum segment_point_kind. */
};

/* Whose file this is. Part of every check. */
struct segment_identity {
    struct log_id log;
    int64_t offset_base;
};

/* The header of a .digest file. */
struct segment_digest_header {
    struct segment_identity identity;
    bool is_cleaned;
    uint32_t history_count; /* Points of the appended history before the chain; cleaned only. */
};

/* The parts of a batch that its own checksum leaves out, and that checksum. */
struct segment_step {
    struct log_id log;
    int64_t offset_base;
    int32_t epoch;
    uint32_t bytes;
    uint32_t crc;
};

/* What partition.metadata says. */
struct segment_metadata {
    struct log_id log;
    struct log_id topic; /* Kafka's topic id. */
};

/* One row of leader-epoch-checkpoint. */
struct segment_epoch {
    int32_t epoch;
    int64_t offset_start;
};

/** Write into @path (PATH_BYTES_MAX bytes) the name of a segment's file in @folder. Returns false,
 * with nothing written, if it does not fit. */
MUST_CHECK bool segment_path(char *path,
                             const char *folder,
                             int64_t offset_base,
                             enum segment_kind kind,
                             enum segment_suffix suffix);

/** Write into @path (PATH_BYTES_MAX bytes) the path of @name in @folder; false if it does not fit.
 */
MUST_CHECK bool segment_path_join(char *path, const char *folder, const char *name);

/** Read a file's @name as a segment's: false if it is none. */
MUST_CHECK bool segment_name_parse(const char *name,
                                   int64_t *ret_offset_base,
                                   enum segment_kind *ret_kind,
                                   enum segment_suffix *ret_suffix);

/** Return the digest after the batch @step, where @digest is the one before it. */
uint64_t segment_digest_next(uint64_t digest, const struct segment_step *step);

/** Put @header into SEGMENT_DIGEST_HEADER_BYTES at @data. */
void segment_digest_header_put(uint8_t *data, const struct segment_digest_header *header);

/**
 * Get the header at @data, of SEGMENT_DIGEST_HEADER_BYTES.
 *
 * PYR_ERR_CORRUPT if its check fails, PYR_ERR_VERSION if it is of a newer version, PYR_ERR_FOREIGN
 * if it is not @identity's.
 */
MUST_CHECK enum pyr_err segment_digest_header_get(const uint8_t *data,
                                                  const struct segment_identity *identity,
                                                  struct segment_digest_header *ret_header);

/** Put @point, which stands in slot @slot of the file of @identity, into SEGMENT_POINT_BYTES at
 * @data. */
void segment_point_put(uint8_t *data,
                       const struct segment_identity *identity,
                       uint32_t slot,
                       const struct segment_point *point);

/** Get the point in slot @slot of the file of @identity; false if its check fails (SEG-1). */
MUST_CHECK bool segment_point_get(const uint8_t *data,
                                  const struct segment_identity *identity,
                                  uint32_t slot,
                                  struct segment_point *ret_point);

/** Return where slot @slot begins in a .digest file. */
int64_t segment_point_position(uint32_t slot);

/** Return how many slots a .digest file of @bytes has; what is behind the last whole one does not
 * count. */
uint32_t segment_point_slots(int64_t bytes);

/** Put the .index entry of the batch that starts at @point. */
void segment_index_entry_put(uint8_t *data, int64_t offset_base, const struct segment_point *point);

/** Put the .timeindex entry that stands at @point. */
void segment_time_entry_put(uint8_t *data, const struct segment_point *point);

/** Write the text of partition.metadata into @text (SEGMENT_METADATA_BYTES_MAX); return its bytes.
 */
size_t segment_metadata_put(char *text, const struct segment_metadata *metadata);

/** Read the text of partition.metadata. PYR_ERR_VERSION if it is of a newer version,
 * PYR_ERR_FOREIGN if it is Kafka's without our log id, PYR_ERR_CORRUPT otherwise. */
MUST_CHECK enum pyr_err segment_metadata_get(struct bytes text,
                                             struct segment_metadata *ret_metadata);

/** Write the text of leader-epoch-checkpoint for @count rows into @text; return its bytes, or 0 if
 * @text_bytes are too few. */
size_t segment_epochs_put(char *text,
                          size_t text_bytes,
                          const struct segment_epoch *rows,
                          size_t count);

/** Read the text of leader-epoch-checkpoint into at most @count_max @rows. Returns false if it is
 * malformed, not ascending, or longer. */
MUST_CHECK bool segment_epochs_get(struct bytes text,
                                   struct segment_epoch *rows,
                                   size_t count_max,
                                   size_t *ret_count);

#endif /* SEGMENT_FORMAT_H */
