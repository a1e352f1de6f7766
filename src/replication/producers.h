/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/producers - the producers' sequences of one log: what makes a retry safe.
 *
 * Part of the path:  client's append -> [producers_check] -> log -> [producers_append] -> state
 *
 * A producer numbers its records. A batch whose number comes next is appended; one that came before
 * gets the offsets that it has; one that leaves a gap is refused, since what is between may still
 * come. The numbers are Kafka's: 0 to INT32_MAX and then 0 again, anew in each producer epoch.
 *
 *      producer 7, epoch 2:   [41..43 at 900] [44..44 at 907] [45..49 at 908]    next: 50
 *                                      remembered: the last 16
 *
 * The state is a fold over the log's batches and over nothing else, so that every replica that
 * folds the same batches has the same state, and a new leader knows what the old one took. It runs
 * ahead of the commit end. Each step changes one row and overwrites one remembered batch; what
 * stood there goes to a ring of undos, and a truncation takes the steps back one by one:
 *
 *      log     ...... | committed | b1 | b2 | b3 |          cut after b1: undo b3, undo b2
 *      undos                       [u1] [u2] [u3]           committed up to b1: u1 is dropped
 *
 * A ring that is full drops its oldest undo; a cut below that says so, and the state is rebuilt
 * from the log's batches.
 *
 * A new producer takes the row of the longest idle one if that has expired, or else an empty row,
 * or else that of the longest idle one. So it does not matter how many empty rows there are, but
 * for the very most: the caller may begin with few, or none, and give larger memory when all are in
 * use. Whoever loses its row without having expired is not accepted as a new one: a mark holds the
 * highest id and the highest epoch lost, and an unknown producer at or below both is told so. It
 * goes on with a higher epoch, at sequence 0, or another id. Expired ones, by the stamps of the
 * log's own clock, are forgotten as Kafka forgets them.
 *
 * Invariants:
 *   PRD-1  A repeat of a remembered batch gets its offsets, and is never appended again
 *   PRD-2  The batches remembered of a row follow one upon the other, in sequence and in offset
 *   PRD-3  After a truncation the state is the fold of what is left
 *   PRD-4  An answer that rests on the log says at which commit end it may leave
 *   PRD-5  Who lost its row before it expired is told so, and is not taken for a new producer
 *
 * Threads: one owner.   Memory: the caller's; none is allocated.
 * Reference: docs/design/replication.md.
 */
#ifndef REPLICATION_PRODUCERS_H
#define REPLICATION_PRODUCERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

/* No row, no producer. */
enum { PRODUCER_NO_ROW = -1, PRODUCER_NO_ID = -1 };

/* A batch of a producer, as the log has it or will have it. */
struct producer_batch {
    int64_t id;
    int16_t epoch;
    uint8_t refusal; /* It stands for an append that a condition refused: why, an enum
                        condition_reason (replication/conditions); else 0. */
    int32_t sequence_first;
    int32_t sequence_count; /* At least 1. */
    int64_t offset_first;   /* Where it stands; not looked at by producers_check. */
    int64_t offset_end;
};

/* A batch that is remembered. */
struct producer_entry {
    int64_t offset_first;
    int64_t offset_end;
    int32_t sequence_first;
    int32_t sequence_count;
    uint8_t refusal;
};

/* What is known of one producer. */
struct producer_row {
    int64_t id;       /* PRODUCER_NO_ID: the row is empty. */
    int64_t stamp_ms; /* The log's clock at its last batch; -1: it had none, no expiry. */
    int32_t chain;    /* The next row of its chain. */
    int16_t epoch;    /* Of its last batch. */
    uint8_t count;    /* Batches remembered of that epoch; the newest stands before `place`. */
    uint8_t place;    /* Where the next one goes. */
    struct producer_entry entries[PRODUCER_BATCHES_REMEMBERED];
};

/* Whoever was lost is at or below both. */
struct producer_lost {
    int64_t id; /* PRODUCER_NO_ID: nobody was. */
    int16_t epoch;
    int64_t offset_end; /* Of the batch that last took somebody's row. */
};

/* The log's clock. */
struct producer_clock {
    int64_t stamp_ms;   /* -1: none yet. */
    int64_t offset_end; /* Of the batch that has it. */
};

/* One step of the fold, as it was before. */
struct producer_undo {
    int64_t offset_end; /* Of the batch that did it. */
    int64_t before;     /* Of the batch folded before it. */
    int32_t row;        /* PRODUCER_NO_ROW: a stamp of the clock. */
    int64_t id;
    int64_t stamp_ms;
    int16_t epoch;
    uint8_t count;
    struct producer_entry entry;
    struct producer_lost lost;
    struct producer_clock clock;
};

struct producers {
    struct producer_row *rows; /* Borrowed, as are heads and undos. */
    int32_t row_count;
    int32_t *heads; /* First row of each chain, as many as rows. */
    struct producer_undo *undos;
    uint32_t undo_count_max;
    uint32_t undo_first;
    uint32_t undo_count;
    int64_t undo_start; /* A cut below this cannot be undone. */
    int64_t expiry_ms;  /* 0: nobody expires. */
    int64_t offset_end; /* Of the last batch folded. */
    int64_t committed;
    struct producer_lost lost;
    struct producer_clock clock;
};

/* What the memory is, and how long an idle producer is known. */
struct producers_options {
    struct producer_row *rows; /* Borrowed for the life of the state, as are heads and undos. */
    int32_t row_count;         /* 0: no producer can be folded in before there are more. */
    int32_t *heads;            /* As many as rows. */
    struct producer_undo *undos;
    uint32_t undo_count; /* As many batches as may be uncommitted; 0: none before there are more. */
    int64_t expiry_ms;
};

/** Go on in other memory, @rows and @heads, @row_count of each and no fewer than before. What was
 * borrowed until now is the caller's again. */
void producers_move_rows(struct producers *producers,
                         struct producer_row *rows,
                         int32_t *heads,
                         int32_t row_count);

/** Likewise for undos. */
void producers_move_undos(struct producers *producers,
                          struct producer_undo *undos,
                          uint32_t undo_count);

/** Make @ret_copy a state of its own, in @rows and @heads, as many as @producers has; it borrows
 * the undos, too, and may be truncated, but not appended to. */
void producers_copy(const struct producers *producers,
                    struct producer_row *rows,
                    int32_t *heads,
                    struct producers *ret_copy);

/** Return whether a batch of @id would take a row that somebody needs, if there are no more. */
bool producers_wants_row(const struct producers *producers, int64_t id);

/** Return whether both know the same, wherever it stands. */
bool producers_equal(const struct producers *left, const struct producers *right);

enum producer_verdict {
    PRODUCER_ACCEPTED,  /* It may be appended. */
    PRODUCER_DUPLICATE, /* It was: the answer has its offsets. */
    PRODUCER_OLD,       /* It was, but is not remembered any more, or was in other batches. */
    PRODUCER_GAP,       /* Something is missing before it. */
    PRODUCER_FENCED,    /* A higher epoch of this producer was seen. */
    PRODUCER_LOST,      /* Perhaps known once, but its row was needed: begin anew. */
    PRODUCER_FULL, /* No row for a new producer now: all have batches that are not committed. */
};

struct producer_answer {
    enum producer_verdict verdict;
    struct producer_entry entry; /* Of a duplicate. */
    int64_t offset_end; /* The answer may leave once the commit end is here; 0: at once. Not for
                           ACCEPTED, whose batch has an end of its own. */
};

/** Set up @producers without state, for a log that begins, or is folded from, @offset_start. */
void producers_init(struct producers *producers,
                    const struct producers_options *options,
                    int64_t offset_start);

/** Forget everything, to fold the log's batches anew from @offset_start on. The commit end stays.
 */
void producers_reset(struct producers *producers, int64_t offset_start);

/** Return what becomes of @batch if it is appended now. Its offsets are not looked at. */
struct producer_answer producers_check(const struct producers *producers,
                                       const struct producer_batch *batch);

/** Fold in @batch, which the log has now. Whatever a leader wrote is taken. */
void producers_append(struct producers *producers, const struct producer_batch *batch);

/** Fold in a stamp of the log's clock, in the batch that ends at @offset_end. */
void producers_stamp(struct producers *producers, int64_t stamp_ms, int64_t offset_end);

/** Raise the commit end to @offset_end: what is below is never undone. */
void producers_commit(struct producers *producers, int64_t offset_end);

/**
 * Take back all that came from batches that end above @offset_end, where the log was cut.
 *
 * False, and nothing is done, if the undos do not go back so far: reset and fold anew.
 */
MUST_CHECK bool producers_truncate(struct producers *producers, int64_t offset_end);

/** Return whether @answer may leave: all that it rests on is committed. Answers that are held when
 * the log is cut are thrown away, and their outcome is unknown. */
static inline bool producers_is_settled(const struct producers *producers,
                                        const struct producer_answer *answer)
{
    ASSERT(answer->offset_end >= 0);
    ASSERT(producers->committed >= 0);
    return answer->offset_end <= producers->committed; /* PRD-4 */
}

/* -- A copy of the state, for a log's head --
 *
 *   position  bytes  what it holds, little-endian
 *   0         4      version, 1
 *   4         4      rows
 *   8         8      end of the last batch folded
 *   16        16     the clock: stamp, end of its batch
 *   32        8      highest id lost, -1: none
 *   40        8      end of the batch that last took a row
 *   48        2      highest epoch lost
 *   50        6      0
 *   56        ...    rows: id 8, stamp 8, epoch 2, entries 2, 4 of 0; and for each entry, oldest
 *                    first: offset 8, end 8, sequence 4, count 4, refusal 1 (0: none,
 *                    else why), 7 of 0
 *
 * It has no checksum: what it is put into has one. */

/** Return how many bytes producers_encode() takes. */
size_t producers_encoded_bytes(const struct producers *producers);

/** Write the state to @data, which holds exactly as much as that takes. */
void producers_encode(const struct producers *producers, struct bytes_mut data);

/** Return the rows that producers_decode() needs for @data, which may be anything; -1: it cannot
 * have been encoded. */
int32_t producers_encoded_rows(struct bytes data);

/**
 * Replace the state of @producers, set up before, by that in @data; nothing of it can be undone.
 *
 * Borrows. On failure there is no state, as after a reset. PYR_ERR_CORRUPT: it cannot have been
 * encoded. PYR_ERR_VERSION: by a newer program. PYR_ERR_TOO_LARGE: more rows than there are here.
 */
MUST_CHECK enum pyr_err producers_decode(struct producers *producers, struct bytes data);

#endif /* REPLICATION_PRODUCERS_H */
