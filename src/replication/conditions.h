/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/conditions - appends that hold only if: the end is as expected, the token is no
 * older.
 *
 * Part of the path:  client's append -> [conditions_judge] -> log -> [conditions_append] -> state
 *
 * Who read a log up to an offset, and appends what follows from it, wants nobody to have been in
 * between: the expected end holds if all batches from there to the end are control batches, which
 * no reader sees. Who holds a lock by a token is refused once a control batch has raised the log's
 * token above it.
 *
 *      | users' 0..9 | control 10 | control 11 |       expected end 10, 11, 12: holds; 9, 13: not
 *
 * The order is: repeat, token, condition. A repeat gets what the first try got, whatever holds now.
 * So a refusal has to be remembered, too: it consumes its sequence, with a control batch in its
 * place, and a client's next batch does not find a gap.
 *
 * The state is a fold over the log, and is rolled back as that of replication/producers is.
 *
 * Invariants:
 *   CND-1  A repeat is answered before token and condition are looked at
 *   CND-2  A refused append of a producer consumes its sequence
 *   CND-3  After a truncation token and end are those of the log that is left
 *
 * Threads: one owner.   Memory: the caller's; none is allocated.
 * Reference: docs/design/replication.md.
 */
#ifndef REPLICATION_CONDITIONS_H
#define REPLICATION_CONDITIONS_H

#include "replication/producers.h"

/* "None" of a request's token and expected end, and of a batch's token. */
enum { CONDITION_NONE = -1 };

/* One batch of the log, as it was before. */
struct condition_undo {
    int64_t offset_end; /* Of the batch. */
    int64_t before;     /* The log's end before it. */
    int64_t users_end;
    int64_t token;
};

struct conditions {
    struct condition_undo *undos; /* Borrowed. */
    uint32_t undo_count_max;
    uint32_t undo_first;
    uint32_t undo_count;
    int64_t undo_start; /* A cut below this cannot be undone. */
    int64_t offset_end; /* Of the log. */
    int64_t committed;
    int64_t users_end; /* End of the last batch that is no control batch. */
    int64_t token;     /* CONDITION_NONE: never raised. */
};

/* What an append asks for. */
struct condition_request {
    int64_t token;        /* CONDITION_NONE: it has none. */
    int64_t expected_end; /* CONDITION_NONE: any. */
};

enum condition_action {
    CONDITION_APPEND, /* Append it. */
    CONDITION_REFUSE, /* Append a control batch that takes its sequence, and refuse with that. */
    CONDITION_ANSWER, /* Append nothing: answer. */
};

/* Kept in the log (record/control.h) and in copies of the producers' state. */
enum condition_reason { CONDITION_HOLDS = 0, CONDITION_TOKEN = 1, CONDITION_END = 2 };

struct condition_answer {
    enum condition_action action;
    enum condition_reason reason;    /* Of a repeat, too: what the first try got. */
    struct producer_answer producer; /* With the offset at whose commit an ANSWER may leave. */
};

/** Set up @conditions for a log that begins, or is folded from, @offset_start. Borrows @undos for
 * its life: as many as batches may be uncommitted; 0: none before there are more. */
void conditions_init(struct conditions *conditions,
                     struct condition_undo *undos,
                     uint32_t undo_count,
                     int64_t offset_start);

/** Go on with other undos, @undo_count and no fewer than are in use. What was borrowed until now is
 * the caller's again. */
void conditions_move_undos(struct conditions *conditions,
                           struct condition_undo *undos,
                           uint32_t undo_count);

/** Return what becomes of an append of @batch, of no producer if its id is PRODUCER_NO_ID, under
 * @request. */
struct condition_answer conditions_judge(const struct conditions *conditions,
                                         const struct producers *producers,
                                         const struct producer_batch *batch,
                                         const struct condition_request *request);

/** Fold in a batch that ends at @offset_end; a control batch may raise the token to @token. */
void conditions_append(struct conditions *conditions,
                       bool is_control,
                       int64_t token,
                       int64_t offset_end);

/** Raise the commit end to @offset_end: what is below is never undone. */
void conditions_commit(struct conditions *conditions, int64_t offset_end);

/** Take back what came from batches that end above @offset_end. False, and nothing is done, if the
 * undos do not go back so far: set up and fold anew. */
MUST_CHECK bool conditions_truncate(struct conditions *conditions, int64_t offset_end);

#endif /* REPLICATION_CONDITIONS_H */
