/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/votes - what the voters' answers decide: a pre-vote, an election, that an entry never was.
 *
 * A question goes to all voters of all configurations; the answers come in any order, twice, or not
 * at all, into a table by member. After each answer the caller asks what is decided now:
 *
 *     YES     enough positive answers in every configuration
 *     NO      whatever the others will say, it can no longer be enough in some configuration
 *     STUCK   enough is possible only if a voter that cannot tell now (its data unreadable, or not
 *             yet recovered) comes to know better
 *     OPEN    answers that are still out can decide
 *
 *   question      positive answers     answers in all, of each configuration
 *   pre-vote      E granted            max(E, W): who cannot reach W voters had better not disturb
 *                                      a leader that can
 *   election      E granted            E
 *   never was     E "never had it"     E
 *
 * Why E denials let an entry be dropped: it was committed only if W voters had it. The W include at
 * least one of any E = N - W + 1 voters, and that one would not have denied it. Why only a plain
 * "never had it" is a denial: a voter whose disk cannot be read, or that lost its unsynced tail,
 * may be the one. Silence, an error, "unreadable" and "may have had it" are all one here: not
 * positive. The bugs that came of treating "I cannot read it" as "I do not have it" are among the
 * worst that logs of this kind have had.
 *
 * A voter answers once. If it answers again, what it withholds stands: of two answers to the same
 * question, negative beats positive beats "cannot tell" beats none. So "cannot tell" may be mended,
 * a repeated answer changes nothing, and one that contradicts itself does not help to decide
 * anything. Each question, and each round of it, has a new table, filled with zeros.
 *
 * Invariants:
 *   QUO-11  Only GRANTED is positive in a vote, only NEVER_HAD_IT for an entry; a voter counts once
 *           in each configuration.
 *   QUO-12  YES and NO stay what they are, whatever answers follow from voters that do not
 *           contradict themselves.
 *
 * Threads: pure functions.   Memory: tables of the caller, by member of the set.
 */
#ifndef QUORUM_VOTES_H
#define QUORUM_VOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "quorum/set.h"

/* A voter's answer, in ascending order of what stands if it gives several. */
enum quorum_answer {
    QUORUM_ANSWER_NONE = 0,
    QUORUM_ANSWER_UNREADABLE,   /* It cannot tell: damaged, suspect, not yet recovered. */
    QUORUM_ANSWER_GRANTED,      /* To a vote. */
    QUORUM_ANSWER_NEVER_HAD_IT, /* About an entry. */
    QUORUM_ANSWER_REFUSED,      /* To a vote. */
    QUORUM_ANSWER_MAY_HAVE_HAD, /* About an entry; also if it has it. */
};

/* What is decided. */
enum quorum_decision {
    QUORUM_DECISION_OPEN = 0,
    QUORUM_DECISION_YES,
    QUORUM_DECISION_NO,
    QUORUM_DECISION_STUCK,
};

/* The answers in one configuration, counted. */
struct quorum_tally {
    int32_t positive;
    int32_t negative;
    int32_t unreadable;
    int32_t open; /* No answer yet. */
};

/** Put the answer of @member of @set into @answers; return false if it contradicts what that voter
 * said before, which is then at fault. */
bool quorum_answer_put(const struct quorum_set *set,
                       enum quorum_answer *answers,
                       int32_t member,
                       enum quorum_answer answer);

/** Return the count of @answers by the voters of configuration @half of @set, where @positive is
 * the one answer that says yes to the question. Borrows. */
struct quorum_tally quorum_tally_of(const struct quorum_set *set,
                                    int32_t half,
                                    const enum quorum_answer *answers,
                                    enum quorum_answer positive);

/** Return whether a candidate may go on to a real election. Borrows. */
enum quorum_decision quorum_decide_prevote(const struct quorum_set *set,
                                           const enum quorum_answer *answers);

/** Return whether a candidate is elected; its own answer is in the table like any other, once its
 * promise is durable and if it is a voter. Borrows. */
enum quorum_decision quorum_decide_election(const struct quorum_set *set,
                                            const enum quorum_answer *answers);

/** Return whether an entry was certainly never committed, and may be dropped. Borrows. */
enum quorum_decision quorum_decide_absence(const struct quorum_set *set,
                                           const enum quorum_answer *answers);

/** Return whether every voter of @set has answered something. Borrows. */
bool quorum_all_answered(const struct quorum_set *set, const enum quorum_answer *answers);

/**
 * Return whether enough voters were heard for a node to take part after its start: max(E, W) of
 * each configuration, so that they meet every quorum that it may have been part of before its disk
 * was put back. Any answer counts, its own too; with more than one voter, max(E, W) is more than
 * one, so somebody else is among them. Borrows.
 */
bool quorum_enough_heard(const struct quorum_set *set, const enum quorum_answer *answers);

#endif /* QUORUM_VOTES_H */
