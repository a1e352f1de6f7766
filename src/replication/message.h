/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/message - what the replicas of one log say to each other.
 *
 * Part of the path:  replica_step -> [message] -> transport, simulator -> replica_step elsewhere
 *
 *     PREVOTE     would you elect me?         PREVOTE_ANSWER  promises nothing
 *     VOTE        elect me for this epoch     VOTE_ANSWER     the promise is durable by now
 *     APPEND      batches behind this place   APPEND_ANSWER   durable and alike up to here, or
 *                                                             where our logs may part
 *     HAND_OVER   stand at once, you are level
 *     TAIL        how far is your log?        TAIL_ANSWER     for quorum reads (reads.h)
 *
 * Every message says whose it is down to the storage and the run of the process, and which log it
 * is about, so that nothing of a node's former disk or of a deleted namesake is ever taken. And
 * every message carries an epoch, answers and refusals too: all of them are fenced (RPL-1). The
 * batches of an APPEND travel beside it; the core never sees their bytes.
 *
 * Threads: plain values.
 */
#ifndef REPLICATION_MESSAGE_H
#define REPLICATION_MESSAGE_H

#include "base/log_id.h"
#include "quorum/config.h"
#include "quorum/position.h"

enum replica_message_kind {
    REPLICA_MESSAGE_NONE,
    REPLICA_PREVOTE,
    REPLICA_PREVOTE_ANSWER,
    REPLICA_VOTE,
    REPLICA_VOTE_ANSWER,
    REPLICA_APPEND,
    REPLICA_APPEND_ANSWER,
    REPLICA_HAND_OVER,
    REPLICA_TAIL,
    REPLICA_TAIL_ANSWER,
    REPLICA_MESSAGE_KINDS
};

/* PREVOTE and VOTE. */
struct replica_candidacy {
    struct quorum_position log; /* How far the candidate's log reaches. */
    int32_t handed_over;        /* The epoch whose leader asked for it, else EPOCH_NONE. */
};

/* PREVOTE_ANSWER and VOTE_ANSWER. */
struct replica_ballot {
    bool is_granted;
    bool is_removed; /* A committed configuration does not have the candidate any more. */
};

/* APPEND: batches of one epoch that follow on a place. Without batches it only asks whether that
 * place is there. */
struct replica_batches {
    struct quorum_position before; /* Where they follow, and the epoch of the batch before. */
    int32_t epoch;                 /* Of all of them. */
    int64_t offset_end;            /* Where they end; before.end: there are none. */
    int64_t committed;             /* The leader's commit end. */
};

enum replica_outcome {
    REPLICA_OUTCOME_REFUSED, /* The epoch is overtaken. */
    REPLICA_OUTCOME_ALIKE,   /* The place before the batches was there. */
    REPLICA_OUTCOME_FORK,    /* It was not. */
    REPLICA_OUTCOME_UNKNOWN, /* Less than is committed was compared: ask. */
};

/* APPEND_ANSWER. */
struct replica_answer {
    enum replica_outcome outcome;
    int64_t place;               /* Where the batches begin. */
    int64_t durable;             /* Alike: with the leader's log, and on stable storage. */
    struct quorum_position fork; /* Fork: epochs_end_of(the epoch that was missing). */
};

/* TAIL and TAIL_ANSWER. */
struct replica_tail {
    uint64_t run;               /* Answer: the asker's, of its envelope. */
    uint64_t number;            /* Of the question. */
    struct quorum_position log; /* Answer: how far the responder's reaches. */
};

struct replica_message {
    enum replica_message_kind kind;
    int32_t epoch;      /* The one it stands for, leads, follows or answers to. */
    int32_t promise;    /* The sender's, durable. */
    int64_t config_end; /* Where the newest configuration in its log ends. */

    union {
        struct replica_candidacy candidacy;
        struct replica_ballot ballot;
        struct replica_batches batches;
        struct replica_answer answer;
        struct replica_tail tail;
    } as;
};

/* Whose it is, and about what: the same for all messages of one replica and one run. */
struct replica_envelope {
    struct log_id log;
    struct quorum_member from;
    uint64_t incarnation; /* Of the sender's node: counts its starts, */
    uint64_t run;         /* and was drawn at random at this one. */
};

#endif /* REPLICATION_MESSAGE_H */
