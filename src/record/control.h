/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/control - the catalogue of our control batches: what a log says to itself.
 *
 * Part of the path:  leader -> [control_build] -> log -> [control_read] -> clock, fold
 *
 * A control batch holds one record and takes one offset; no reader sees it. Its key is Kafka's:
 * version 0 and a type, both of 2 bytes. Kafka's own types end at 6, and its clients skip those
 * that they do not know; ours begin at 100. A value begins with its version, 0. All numbers are
 * big-endian, as in the batch around them.
 *
 *   type  what                       value, behind 2 bytes of version
 *   100   stamp of the log's clock   milliseconds (8)
 *   101   fencing token              token (8)
 *   102   refusal                    why (2): 1 the token, 2 the expected end; sequences that it
 *                                    takes (4). Whose they are, and the first, says the header
 *   103   gap: a range was lost      first offset (8), end (8), epoch of the last batch (4)
 *
 * What is of another type, of a later version or of another length is none of ours, and is passed
 * over: a log outlives the program that wrote it.
 *
 * Invariants:
 *   REC-9  What control_build wrote, control_read gives back
 *
 * Threads: pure functions over the caller's memory.   Reference: docs/formats/control.md.
 */
#ifndef RECORD_CONTROL_H
#define RECORD_CONTROL_H

#include "record/builder.h"

/* Types of control batches; on disk for ever. */
enum control_type {
    CONTROL_CLOCK = 100,
    CONTROL_TOKEN = 101,
    CONTROL_REFUSAL = 102,
    CONTROL_GAP = 103,
};

/* Room for any of them. */
enum { CONTROL_BATCH_BYTES_MAX = 128 };

/* Why an append was refused; on disk for ever. */
enum control_reason {
    CONTROL_REASON_TOKEN = 1,
    CONTROL_REASON_END = 2,
};

/* An append of a producer that was refused takes its sequences. */
struct control_refusal {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence_first;
    int32_t sequence_count; /* At least 1. */
    enum control_reason reason;
};

/* What stood at these offsets is not known any more. */
struct control_gap {
    int64_t offset_first;
    int64_t offset_end;
    int32_t epoch; /* Of the last batch lost. */
};

struct control {
    enum control_type type;

    union {
        int64_t clock_ms;
        int64_t token; /* At least 0. */
        struct control_refusal refusal;
        struct control_gap gap;
    } as;
};

/** Build the batch of @control, written at @timestamp_ms, at the front of @memory, which has room
 * for CONTROL_BATCH_BYTES_MAX. Return it; offset and epoch are the log's to set. */
struct bytes_mut control_build(struct bytes_mut memory,
                               const struct control *control,
                               int64_t timestamp_ms);

/** Return whether the whole @batch, which @header was read from, is one of ours, and what it says.
 * Its checksum is not looked at. Borrows. */
bool control_read(struct bytes batch,
                  const struct batch_header *header,
                  struct control *ret_control);

#endif /* RECORD_CONTROL_H */
