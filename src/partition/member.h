/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/member - one replica of a log: the core that decides, joined to the log that keeps.
 *
 * Part of the path:  server, simulator -> [member] -> replica_step; partition -> wal, segment
 *
 *      letters, time, beats, appends ---> [member] ---> replica_step ---> effects
 *                                            ^                               |
 *            what became durable, read,      |                               v
 *            appended: told as events -------+---- partition: promise, cut, batches, commit
 *                                                  letters: send()
 *
 * The core decides and does nothing; the partition does and decides nothing. A member carries the
 * one's effects to the other, in their order, and tells it later what became of them. One file for
 * each way: effects.c (from the core to the log), feed.c (from the log to the followers), propose.c
 * (appends of a leader, and their fate), member_fold.c (what the log says of producers and tokens),
 * member.c (what is due).
 *
 * The log may have no room just now, when an effect wants it: the cache or the journal is full.
 * Then the rest of the effects waits, and with it everything but the news of what became durable:
 * no letter is taken, no time is told, until a step finds room. What waits is bounded: the rest of
 * one step, and the batches of one letter.
 *
 * Life: member_open -> member_step after each shard_step -> member_close, before the shard's close.
 *
 *      OPEN ---- an effect fails for good, or a cut below the commit point is asked ----> FAILED
 *
 * Invariants:
 *   MEM-1  the core's table of epochs ends where the log does, but while effects wait
 *   MEM-2  nothing is told durable of a stretch that is still to be cut
 *   MEM-3  batches are looked at, as a whole, before the core hears of them
 *
 * Threads: the shard's owner.   Memory: allocated at open, but for one buffer of each segment read
 * and the batches that wait.   Reference: docs/design/replication.md.
 */
#ifndef PARTITION_MEMBER_H
#define PARTITION_MEMBER_H

#include "partition/partition.h"
#include "replication/conditions.h"
#include "replication/reads.h"
#include "replication/replica.h"

struct member;
struct fold;

/* What goes from member to member. All is borrowed for the call. */
struct member_letter {
    struct replica_envelope envelope;
    struct replica_message message;
    struct bytes batches; /* Of an APPEND: whole batches, as they stand in the log. */
};

struct member_options {
    const struct quorum_config *config; /* Copied. */
    struct quorum_member self;
    uint64_t incarnation; /* Of the node, */
    uint64_t run;         /* and of this start of it. */
    uint64_t timeout_ns;  /* The minimum timeout of an election. */
    uint64_t seed;
    uint64_t fold_save_bytes; /* Bytes of batches from one snapshot of the fold to the next; 0: the
                                 default. */
    /** Send @letter to @to; it may be lost. Called from within the calls below, and calls none of
     * them, of no member of this shard. */
    void (*send)(void *ctx, const struct quorum_member *to, const struct member_letter *letter);
    void *ctx;
};

/* What a member has done since it was opened. */
struct member_counts {
    uint64_t promises;
    uint64_t cuts;
    uint64_t appends; /* Letters whose batches were taken, whole or in part. */
    uint64_t openings;
    uint64_t letters_bad; /* Refused because their batches are. */
    uint64_t letters_busy;
    uint64_t waits;     /* Steps whose effects had to wait, */
    uint64_t shortened; /* and of those, appends that were left as they were. */
    uint64_t segment_reads;
    uint64_t segment_read_errors;
    uint64_t fold_builds;    /* How often the log was folded anew, the open included; */
    uint64_t fold_snapshots; /* of these, from a snapshot on. */
    uint64_t fold_saves;
};

/**
 * Join @partition, which was opened as replicated and stays open, to a replica of it. Gives:
 * member_close. PYR_ERR_INVALID: the configuration is none; PYR_ERR_NO_MEMORY.
 */
MUST_CHECK enum pyr_err member_open(struct partition *partition,
                                    const struct member_options *options,
                                    struct member **ret_member,
                                    struct pyr_error *reterr);

/** Free @member (NULL does nothing), which member_is_quiet. Its log stays as it is. Without a
 * member_stop before, as a crash does: nothing is saved. */
void member_close(struct member *member);

/** Begin no reads any more, so that @member becomes quiet; and save what the next start can use. */
void member_stop(struct member *member);

/** Return whether none of its reads is under way. */
bool member_is_quiet(const struct member *member);

/** Return PYR_OK, or why @member takes no part any more. */
enum pyr_err member_health(const struct member *member, struct pyr_error *reterr);

/**
 * Take in @letter, which came from outside and may be anything.
 *
 * PYR_ERR_BUSY: the log has no room; give it again after a step, or drop it, as a network may.
 * PYR_ERR_CORRUPT, PYR_ERR_INVALID: its batches are not what the message says; nothing was taken.
 * PYR_ERR_FAILED: as member_health.
 */
MUST_CHECK enum pyr_err member_receive(struct member *member,
                                       const struct member_letter *letter,
                                       struct pyr_error *reterr);

/** Do what is due. After each shard_step; a timer of the loop wakes it for member_deadline_ns. The
 * owner calls shard_kick afterwards. */
void member_step(struct member *member);

/** Return when @member wants a step even if nothing happens. */
uint64_t member_deadline_ns(const struct member *member);

/* -- Appends -- */

/* Where an append of this leader went. */
struct member_proposal {
    int32_t epoch;
    int64_t offset;
    int64_t offset_end;
};

enum member_fate {
    MEMBER_FATE_OPEN,
    MEMBER_FATE_COMMITTED,
    MEMBER_FATE_LOST, /* Something else is committed there. */
};

/** As partition_reserve, at a leader; PYR_ERR_NOT_LEADER elsewhere. */
MUST_CHECK enum pyr_err member_reserve(struct member *member,
                                       size_t bytes,
                                       struct bytes_mut *ret_room,
                                       struct pyr_error *reterr);

/** Give the room back unused; it may be gone already. */
void member_unreserve(struct member *member);

/** As partition_append, into the room of member_reserve. PYR_ERR_NOT_LEADER: it has ceased to lead
 * since, and the room is gone. */
MUST_CHECK enum pyr_err member_append(struct member *member,
                                      size_t bytes,
                                      uint64_t since_ns,
                                      struct member_proposal *ret_proposal,
                                      struct pyr_error *reterr);

/** Return what became of @proposal, made at this @member, as far as it knows. */
enum member_fate member_fate(const struct member *member, const struct member_proposal *proposal);

/* Somebody who waits for the fate of an append; the caller's, zeroed but for the proposal. */
struct member_waiter {
    struct member_proposal proposal;
    enum member_fate fate; /* When it is given back. */
    struct member_waiter *next;
};

/** Wait with @waiter for the fate of its proposal, the newest of @member's so far. Kept until it is
 * given back, or the member is closed and its fate never known. */
void member_wait(struct member *member, struct member_waiter *waiter);

/** Return the next waiter, in the order of their appends, whose fate is known, or NULL: so who
 * appended first is told first. */
struct member_waiter *member_settled(struct member *member);

/* What an append has reached. */
struct member_receipt {
    int32_t epoch; /* With the offset: its position. */
    int64_t offset;
    uint32_t copies;         /* Voters that are known to have it, this one included. */
    uint32_t copies_durable; /* Of these, on stable storage; under another policy than `always` of
                                none it is known. */
};

/** Tell what @proposal has reached by now. PYR_ERR_NOT_LEADER: not known here; PYR_ERR_NOT_FOUND:
 * something else stands there. */
MUST_CHECK enum pyr_err member_receipt(const struct member *member,
                                       const struct member_proposal *proposal,
                                       struct member_receipt *ret_receipt,
                                       struct pyr_error *reterr);

/* -- Appends that are judged --
 *
 * The batch of a producer is appended once, however often it is sent; one under a token, or for an
 * expected end, only if that holds. See judge.c, and replication/producers and conditions for what
 * is asked, in which order. Other batches may be appended between as ever: what they say is known,
 * too. */

/* What an append asks for. */
struct member_request {
    int64_t token; /* The log's is not above this; CONDITION_NONE: any. */
    int64_t
        expected_end;  /* Nothing but control batches stands from here on; CONDITION_NONE: any. */
    uint64_t since_ns; /* As for partition_append; 0: now. */
};

enum member_verdict {
    MEMBER_APPENDED,
    MEMBER_REPEATED, /* It was before: the answer has those offsets. */
    MEMBER_REFUSED,  /* Because of token or end. A producer's sequences are taken. */
    MEMBER_OLD,      /* As in enum producer_verdict, likewise the rest. */
    MEMBER_GAP,
    MEMBER_FENCED,
    MEMBER_LOST,
    MEMBER_FULL,
};

struct member_answer {
    enum member_verdict verdict;
    enum condition_reason reason;    /* Of REFUSED. */
    struct member_proposal proposal; /* Where it stands, or what took its sequences; offset -1:
                                        nowhere. */

    /* When it may be told, see member_answer_fate. */
    struct member_proposal rests_on; /* This is to be committed; offset_end 0: nothing is. */
    bool needs_barrier;              /* And nobody else to lead since. */
    int32_t epoch;
    uint64_t judged_ns;
};

/**
 * Append the batch of @bytes in the room of member_reserve if @request, and what is known of its
 * producer, allow it.
 *
 * The batch is one that batch_verify accepts. With PYR_OK *@ret_answer says what became of it, and
 * the room is taken or given back. PYR_ERR_NOT_LEADER as member_append. PYR_ERR_BUSY: the log has
 * no room, or the leader has not committed its opening batch yet: try again. PYR_ERR_INVALID: no
 * client may append this, or ask for that; PYR_ERR_NO_MEMORY; others: the log could not be read for
 * what it says of producers. After those the room is still the caller's, and nothing has happened.
 */
MUST_CHECK enum pyr_err member_append_if(struct member *member,
                                         size_t bytes,
                                         const struct member_request *request,
                                         struct member_answer *ret_answer,
                                         struct pyr_error *reterr);

/**
 * Raise the log's token to @token: appends under lower ones are refused from here on.
 *
 * APPENDED; REPEATED: it is that high already; REFUSED: it is higher. Errors as member_append_if;
 * PYR_ERR_BUSY also while a batch is being built.
 */
MUST_CHECK enum pyr_err member_raise_token(struct member *member,
                                           int64_t token,
                                           struct member_answer *ret_answer,
                                           struct pyr_error *reterr);

/** Return whether @answer, given by @member, may be told (COMMITTED), has to wait (OPEN), or was
 * thrown away (LOST): what it says is not known any more, ask again. */
enum member_fate member_answer_fate(const struct member *member,
                                    const struct member_answer *answer);

/* -- Who is alive -- */

/** Return whether @member leads, and the epoch: then its beats go to all others. */
bool member_leads(const struct member *member, int32_t *ret_epoch);

/** Note a beat of @from, the leader of @epoch, which is committed up to @committed. Return whether
 * it is to be answered: it confirms the lease of that leader. */
bool member_heard(struct member *member,
                  const struct quorum_member *from,
                  int32_t epoch,
                  int64_t committed);

/** Note that @by has confirmed @epoch, answering a beat sent at @sent_ns of the own clock. */
void member_confirmed(struct member *member,
                      const struct quorum_member *by,
                      int32_t epoch,
                      uint64_t sent_ns);

/** Hand the lead over to @to, when it is level. */
void member_hand_over(struct member *member, const struct quorum_member *to);

/** Return whether a linearizable read may be answered from here now. */
bool member_lease_holds(const struct member *member);

/* -- Linearizable reads --
 *
 * Three ways to read up to a point below which nothing is missing that was committed before the
 * read began: at the leader under its lease, checked again after the value was read; at the leader
 * behind a barrier, a round of beats sent after the read began; at any member by asking R of them.
 * Then the log is read as ever, up to the commit point. */

/** Return whether a round of beats that was sent at or after @since_ns, of the own clock, has shown
 * that no other leads: what was committed before @since_ns is committed here. */
bool member_barrier_holds(const struct member *member, uint64_t since_ns);

/* A quorum read, the caller's. Not to be moved while it is under way. */
struct member_read {
    struct quorum_read inner;
    struct member_read *next; /* Of the member's. */
    uint64_t asked_ns;
};

/** Begin @read at @member, and ask. It is under way until member_read_end. PYR_ERR_UNSUPPORTED: the
 * quorums of the log do not meet; PYR_ERR_FAILED. */
MUST_CHECK enum pyr_err member_read_begin(struct member *member,
                                          struct member_read *read,
                                          struct pyr_error *reterr);

/** Return how far @read is, asking again who has been silent for too long. READS_DONE: what is
 * committed now may be read. */
enum reads_state member_read_step(struct member *member, struct member_read *read);

/** Give @read up, or end it. */
void member_read_end(struct member *member, struct member_read *read);

/* -- Looking -- */

/** Return the core of @member. Borrows. */
const struct replica *member_replica(const struct member *member);

/** Return the log of @member. Borrows. */
struct partition *member_partition(const struct member *member);

/** Return what @member knows by folding its log. Borrows. */
const struct fold *member_fold(const struct member *member);

/** Return what @member has done. Borrows. */
const struct member_counts *member_counts(const struct member *member);

#endif /* PARTITION_MEMBER_H */
