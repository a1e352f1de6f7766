/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_record - the value of a record that pyralog-load appends: it proves itself.
 *
 * A stream is what one writer appends to one log during one run. Its records count from 0, so that
 * a reader sees by itself whether one is missing, repeated or out of order. All little-endian:
 *
 *    0  4  "PYRL"
 *    4  4  run: drawn at random by each start of pyralog-load
 *    8  4  stream within the run
 *   12  4  CRC32C of all other bytes of the value
 *   16  8  sequence: this is the stream's so-manieth record
 *   24  8  the writer's monotonic clock when it meant to append, nanoseconds
 *   32     filler
 *
 * Invariants:
 *   LDR-1  A value of which one byte was changed is not taken for a record of pyralog-load.
 *
 * Threads: pure functions.
 */
#ifndef CLI_LOAD_RECORD_H
#define CLI_LOAD_RECORD_H

#include "base/bytes.h"

enum { LOAD_RECORD_BYTES_MIN = 32 };

/* What a value says. */
struct load_record {
    uint32_t run;
    uint32_t stream;
    uint64_t sequence;
    uint64_t sent_ns;
};

/* How a value turned out. */
enum load_record_kind {
    LOAD_RECORD_GOOD,
    LOAD_RECORD_FOREIGN, /* Too short, or without the mark: somebody else's. */
    LOAD_RECORD_DAMAGED, /* The checksum does not match. */
};

/** Make the value @data (LOAD_RECORD_BYTES_MIN at least), whose filler stands there already. */
void load_record_put(struct bytes_mut data, const struct load_record *record);

/** Read the value @data; @ret_record is written if it is good. Borrows. */
enum load_record_kind load_record_get(struct bytes data, struct load_record *ret_record);

#endif /* CLI_LOAD_RECORD_H */
