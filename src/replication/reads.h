/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/reads - a linearizable read at any replica, without the leader and without a clock.
 *
 *      begin     ASKING     TAIL to all voters, TAIL_ANSWER: how far their logs reach, (epoch, end)
 *        |          |
 *        |          v  R of every configuration have answered, itself included if it votes
 *        |       WAITING    the target is the furthest of the answers
 *        |          |
 *        |          v  what is committed here is not behind the target
 *        |        DONE      read up to the commit end of now, or later
 *        |
 *        +---> AGAIN        the configuration has changed: begin anew
 *
 * Why it misses nothing: let x be acknowledged before the read began. W voters had x, so one of the
 * R has it, and what that one answers, and all the more the target, is not behind x. Now let the
 * last committed batch here be of epoch e.
 *
 *      e is the target's     x is of e and ends no later, so it stands below in the log of the only
 *                            leader of e; or x is of an older epoch, see next line
 *      e is newer            whatever is committed of older epochs, the leader of e had when it was
 *                            elected, and its batch stands above it
 *
 * So it does not matter whether the target itself is ever committed. Where the furthest answer was
 * the tail of a leader that fell, its place is taken by another epoch, whose opening batch, once
 * committed here, is further by its epoch: the read goes on and need not ask a second time.
 *
 * The R are of the configuration that this log knows. If it has been changed, W of the old one hold
 * the batch that says so, one of them answers, and with each answer comes where the responder's
 * newest configuration ends: a read that has learnt of a newer one than its own log has stays
 * ASKING until that has come, and is then begun anew. (It may not come, if it is cut: so a read
 * that lasts too long is begun anew, too.)
 *
 * An answer counts only for the question that it answers, told apart by a number and the run of the
 * process: what a voter had before the read began says nothing about what was committed meanwhile.
 *
 * Invariants:
 *   QRD-1  Only answers to this very question count, of voters, each one
 *   QRD-2  A read is done only when what is committed here is not behind the furthest of R answers
 *   QRD-3  No read is done by a configuration that is older than one that an answer has shown
 *
 * Threads: the replica's owner.   Memory: the caller's, one struct for each read under way.
 * Reference: quorum/position.h, docs/design/replication.md.
 */
#ifndef REPLICATION_READS_H
#define REPLICATION_READS_H

#include "replication/replica.h"

enum reads_state {
    READS_ASKING,
    READS_WAITING,
    READS_DONE,
    READS_AGAIN,
};

/* A read under way, at a replica that was not set up anew since. */
struct quorum_read {
    uint64_t number;                                    /* Of the question. */
    uint64_t configured;                                /* replica->configured at its begin. */
    int64_t config_end;                                 /* The newest that an answer told. */
    struct quorum_position answers[QUORUM_MEMBERS_MAX]; /* By member of the set. */
};

/**
 * Begin @read at @replica, whose set allows quorum reads (quorum_set_reads_allowed). Borrows.
 *
 * @number  not used before in this run of the process for this log.
 */
void reads_begin(struct quorum_read *read, const struct replica *replica, uint64_t number);

/** Return whether @member of @replica's set is still to be asked, first or again. Borrows. */
bool reads_asks(const struct quorum_read *read, const struct replica *replica, int32_t member);

/** Return the question, the same for all members. Borrows. */
struct replica_message reads_question(const struct quorum_read *read,
                                      const struct replica *replica);

/** Take @message, a TAIL_ANSWER that came from @from; also if it answers something else. Borrows.
 */
void reads_answer(struct quorum_read *read,
                  const struct replica *replica,
                  const struct quorum_member *from,
                  const struct replica_message *message);

/** Return how far @read is. When it is DONE, what is committed by then may be read, and nothing
 * that was committed before it began is missing. Borrows. */
enum reads_state reads_state(const struct quorum_read *read, const struct replica *replica);

#endif /* REPLICATION_READS_H */
