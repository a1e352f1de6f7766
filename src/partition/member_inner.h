/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/member_inner - what the files of a member say to each other.
 *
 * Threads: as member.h.
 */
#ifndef PARTITION_MEMBER_INNER_H
#define PARTITION_MEMBER_INNER_H

#include "base/assert.h"
#include "base/mutant.h"
#include "io/io.h"
#include "partition/fold.h"
#include "partition/member.h"

/* The most that can follow in one step on an effect for which the log has no room. */
enum { MEMBER_REST_MAX = 8 };

/* What one follower is sent; see feed.c. */
struct member_feed {
    struct cache_place place; /* Where the last batches were found. */
    bool is_sent;             /* SENT is to be told, */
    int32_t epoch;            /* with these. */
    int64_t offset_end;
    uint64_t bytes;
    struct feed_read *read;      /* From a segment, under way or done; else NULL. */
    struct replica_message next; /* Wanted behind it, of a newer epoch; or NONE. */
};

struct member {
    struct partition *partition;
    struct replica replica;
    struct member_options options;
    struct member_counts counts;
    struct epoch_row *rows; /* Of the replica's table. */
    struct replica_progress *progress;
    struct member_feed *feeds; /* By peer, like these. */
    int32_t peers_max;
    struct io_timer timer;
    struct pyr_error failure;
    bool is_stopping;
    bool has_reserved; /* Somebody builds a batch. */

    /* What waits for room in the log, and since when. */
    uint64_t waits_ns;
    uint32_t rest_first;
    uint32_t rest_count;
    struct replica_effect rest[MEMBER_REST_MAX];
    uint8_t *held; /* Batches of the letter that the rest is of, or NULL. */
    struct bytes held_left;

    uint32_t reads;                      /* Of segments, under way, */
    uint32_t feeds_busy;                 /* and feeds that have one, or something to tell. */
    struct member_read *asking;          /* Quorum reads under way. */
    struct member_waiter *waiters_first; /* In the order of their appends. */
    struct member_waiter *waiters_last;
    uint64_t questions;        /* Asked so far. */
    struct fold fold;          /* What is known by folding the log. */
    struct fold_save *saving;  /* A snapshot of it, under way or done. */
    enum pyr_err fold_failure; /* Why it is not known. */
    uint32_t fold_failures;    /* In a row. */
    uint64_t fold_retry_ns;
};

/* -- member.c -- */

/** Tell the core of @event, and carry out what follows. @batches are those of its message. */
void member_tell(struct member *member, struct replica_event event, struct bytes batches);

/** Take no part any more, because of @error. */
void member_fail(struct member *member, const struct pyr_error *error);

/** Return whether effects wait for room. */
static inline bool member_waits(const struct member *member)
{
    return member->rest_count > 0;
}

/* -- member_epochs.c -- */

/** Return how many rows the table of @partition should have at first. */
uint32_t member_epochs_count(const struct partition *partition);

/** Fill @table, whose rows are so many, with the epochs of @partition. */
void member_epochs_fill(const struct partition *partition, struct epoch_table *table);

/** See that the next step finds room in the table; false: it never will, and @member has failed.
 * Without memory the core takes no appends and does not stand. */
bool member_epochs_grow(struct member *member);

/* -- effects.c -- */

/** Carry out what the last step of the core asks for, or as much as there is room for. */
void effects_run(struct member *member, struct bytes batches);

/** Go on with what waits. */
void effects_resume(struct member *member);

/** Take from a beat of peer @number, the leader of @epoch, that everything below @committed is,
 * while effects wait: it makes the room that they wait for. */
void effects_commit(struct member *member, int32_t number, int32_t epoch, int64_t committed);

/** Return until when what waits may wait. */
uint64_t effects_patience_ns(const struct member *member);

/** Leave an append that waits as it is: what it took, it has, and the rest was not in the letter.
 */
void effects_shorten(struct member *member);

/** Drop what waits. */
void effects_drop(struct member *member);

/** Return whether what became durable may be told now (MEM-2). */
bool effects_allow_durable(const struct member *member);

/** Send @message to peer number @number, with @batches. */
void member_send(struct member *member,
                 int32_t number,
                 const struct replica_message *message,
                 struct bytes batches);

/* -- feed.c -- */

/** Send batches as @effect says, now or when they are read. */
void feed_begin(struct member *member, const struct replica_effect *effect);

/** Tell the core of one sending that is done; false if there is none. */
bool feed_tell(struct member *member);

/* -- member_read.c -- */

/** Give @letter to the quorum reads under way, if it answers one. */
void member_read_answer(struct member *member, const struct member_letter *letter);

/* -- propose.c -- */

/** Return PYR_OK if appends are taken here. */
MUST_CHECK enum pyr_err propose_check(const struct member *member, struct pyr_error *reterr);

/** Return PYR_OK if they are, and the room that was reserved is there still; else that is gone. */
MUST_CHECK enum pyr_err propose_reserved(struct member *member, struct pyr_error *reterr);

/* -- member_fold.c -- */

/** Fold the log anew, from its snapshot on or from its start. Blocks. Where that cannot be, nothing
 * is known for now, and fold_failure says why. */
void member_fold_build(struct member *member);

/** Do what is due for the fold. */
void member_fold_step(struct member *member);

/** Save it for the last time, if that is worth while. */
void member_fold_stop(struct member *member);

/** Return whether nothing is being saved. */
bool member_fold_is_quiet(const struct member *member);

/** Give its memory back. */
void member_fold_end(struct member *member);

#endif /* PARTITION_MEMBER_INNER_H */
