/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/state - what a checkpoint says of each log: the bytes of the journal's checkpoint body.
 *
 * Part of the path:  shard -> [state] -> wal's checkpoint -> [state] -> recovery
 *
 * All numbers little-endian. The journal's checkpoint file carries the checksum over all of it.
 *
 *   0   4  "PSTA"                       each log, one row after the other:
 *   4   2  version, 2                    0   4  bytes of this row
 *   6   2  zero                          4  16  log id
 *   8   4  rows                         20   4  promise: the highest epoch agreed to
 *   12  4  zero                         24   4  epoch of the last batch in segments, -1 if none
 *                                       28   8  log start
 *                                       36   8  end of what stands in synced segments
 *                                       44   8  base offset of the segment it ends in
 *                                       52   4  position in that segment's file
 *                                       56   8  running digest there
 *                                       64   8  running entry number in the journal
 *                                       72   8  the log's clock, milliseconds
 *                                       80   8  compaction has been below here
 *                                       88   4  epochs, then as many of: epoch (4), start (8)
 *                                       92   2  bytes of the name, then the name
 *                                        .   2  bytes of the tail, then the tail
 *                                        .   4  flags: 1 replicated
 *                                        .   4  bytes of cached batches, then those
 *
 * The tail is the part of the last block below the claimed end. A later append rewrites that block,
 * and a power cut may then tear it; the journal may have forgotten its entries by then, so the
 * checkpoint holds the bytes itself, and recovery puts them back.
 *
 * The cached batches are what follows on the claimed end and is not committed yet: segments hold
 * none of it (PAR-9), and the journal is about to forget it. A row of version 1 ends with its tail.
 *
 * Invariants:
 *   STA-1  what state_encode wrote, state_decode gives back; a body of a newer version is refused
 *
 * Threads: pure functions.   Reference: docs/formats/state.md.
 */
#ifndef PARTITION_STATE_H
#define PARTITION_STATE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log_id.h"
#include "segment/format.h"

/* One log, as a checkpoint remembers it. */
struct log_state {
    struct log_id id;
    char name[LOG_NAME_BYTES_MAX];
    int32_t promise;
    int32_t epoch_last;
    int64_t offset_start;
    int64_t offset_end;
    int64_t segment_base;
    uint32_t segment_position;
    uint64_t digest;
    uint64_t entry_number;
    int64_t clock_ms;
    int64_t cleaned_to;
    const struct segment_epoch
        *epochs; /* Encoding: borrowed. Decoding: NULL, see state_epoch_get. */
    uint32_t epoch_count;
    struct bytes tail;        /* From the last block boundary to segment_position. Borrowed. */
    struct bytes epoch_bytes; /* Decoding: where the rows lie. */
    bool is_replicated;
    size_t cached_bytes; /* Encoding: of batches that the caller puts at the end of the row. */
    struct bytes cached; /* Decoding: those. Borrowed. */
};

/** Return the bytes that @state takes in a body. */
size_t state_row_bytes(const struct log_state *state);

/** Return the bytes of a body before its first row. */
size_t state_header_bytes(void);

/** Put the header for @count rows at @data. */
void state_header_put(uint8_t *data, uint32_t count);

/** Put @state at @data, which has state_row_bytes of room; return those bytes. The last
 * cached_bytes of them are left for the caller to fill. */
size_t state_row_put(uint8_t *data, const struct log_state *state);

/** Read the header of @body: PYR_ERR_CORRUPT, PYR_ERR_VERSION. */
MUST_CHECK enum pyr_err state_header_get(struct bytes body,
                                         uint32_t *ret_count,
                                         struct pyr_error *reterr);

/** Read the row at *@position of @body and move *@position behind it. Borrows from @body. */
MUST_CHECK enum pyr_err state_row_get(struct bytes body,
                                      size_t *position,
                                      struct log_state *ret_state,
                                      struct pyr_error *reterr);

/** Return row @index of the epochs of a decoded @state. */
struct segment_epoch state_epoch_get(const struct log_state *state, uint32_t index);

#endif /* PARTITION_STATE_H */
