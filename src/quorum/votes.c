/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/votes - counting answers, and what is still possible.
 */
#include "quorum/votes.h"

#include "base/assert.h"
#include "base/mutant.h"

ASSERT_STATIC((int)QUORUM_ANSWER_UNREADABLE < (int)QUORUM_ANSWER_GRANTED, "it may be mended");
ASSERT_STATIC((int)QUORUM_ANSWER_NEVER_HAD_IT < (int)QUORUM_ANSWER_REFUSED, "refusals stand");

/* Return whether @answer says yes or no, so that it does not change any more. */
static bool is_definite(enum quorum_answer answer)
{
    return answer >= QUORUM_ANSWER_GRANTED;
}

bool quorum_answer_put(const struct quorum_set *set,
                       enum quorum_answer *answers,
                       int32_t member,
                       enum quorum_answer answer)
{
    ASSERT(answers);
    ASSERT(member >= 0); /* QUO-8: who is no voter is not counted. */
    ASSERT(member < set->member_count);
    ASSERT(answer != QUORUM_ANSWER_NONE);
    ASSERT(answer <= QUORUM_ANSWER_MAY_HAVE_HAD);

    enum quorum_answer before = answers[member];
    if (answer > before) {
        answers[member] = answer;
    }
    ASSERT(answers[member] >= before);
    return !is_definite(before) || !is_definite(answer) || before == answer;
}

/* Return whether @answer says yes, where @positive is the one answer that does. */
static bool is_positive(enum quorum_answer answer, enum quorum_answer positive)
{
    ASSERT(positive == QUORUM_ANSWER_GRANTED || positive == QUORUM_ANSWER_NEVER_HAD_IT);

    if (MUTANT(refusal_is_positive) && answer >= QUORUM_ANSWER_REFUSED) {
        return true;
    }
    if (MUTANT(unreadable_is_denial) && answer == QUORUM_ANSWER_UNREADABLE) {
        return true;
    }
    return answer == positive; /* QUO-11 */
}

struct quorum_tally quorum_tally_of(const struct quorum_set *set,
                                    int32_t half,
                                    const enum quorum_answer *answers,
                                    enum quorum_answer positive)
{
    ASSERT(answers);
    ASSERT(half >= 0);
    ASSERT(half < set->half_count);

    const struct quorum_half *voters = &set->halves[half];
    struct quorum_tally tally = {0};
    for (int32_t voter = 0; voter < voters->voter_count; voter++) {
        enum quorum_answer answer = answers[voters->members[voter]];
        if (is_positive(answer, positive)) {
            tally.positive++;
        } else if (answer == QUORUM_ANSWER_NONE) {
            tally.open++;
        } else if (answer == QUORUM_ANSWER_UNREADABLE) {
            tally.unreadable++;
        } else {
            tally.negative++;
        }
    }
    ASSERT(tally.positive + tally.negative + tally.unreadable + tally.open == voters->voter_count);
    return tally;
}

/* Return what @tally decides, if @positive positive answers and @answers answers are needed. */
static enum quorum_decision decide_half(struct quorum_tally tally,
                                        int32_t positive,
                                        int32_t answers)
{
    int32_t answered = tally.positive + tally.negative + tally.unreadable;
    ASSERT(positive >= 1);
    ASSERT(answers >= positive);
    ASSERT(answers <= answered + tally.open);

    if (tally.positive + tally.open + tally.unreadable < positive) {
        return QUORUM_DECISION_NO;
    }
    if (tally.positive + tally.open < positive) {
        return QUORUM_DECISION_STUCK;
    }
    bool is_enough = tally.positive >= positive && answered >= answers;
    return is_enough ? QUORUM_DECISION_YES : QUORUM_DECISION_OPEN;
}

/* Return what holds for both of @left and @right: no, if either is; else what stands in the way of
 * yes, the worse first. */
static enum quorum_decision both(enum quorum_decision left, enum quorum_decision right)
{
    static const enum quorum_decision worst_first[] = {
        QUORUM_DECISION_NO,
        QUORUM_DECISION_STUCK,
        QUORUM_DECISION_OPEN,
    };

    for (size_t index = 0; index < sizeof worst_first / sizeof worst_first[0]; index++) {
        if (left == worst_first[index] || right == worst_first[index]) {
            return worst_first[index];
        }
    }
    ASSERT(left == QUORUM_DECISION_YES);  /* QUO-7 */
    ASSERT(right == QUORUM_DECISION_YES); /* QUO-7 */
    return QUORUM_DECISION_YES;
}

/* Return what @answers decide, if E of them must be @positive and, with @is_prevote, as many as a
 * pre-vote needs must be there. */
static enum quorum_decision decide(const struct quorum_set *set,
                                   const enum quorum_answer *answers,
                                   enum quorum_answer positive,
                                   bool is_prevote)
{
    ASSERT(set);
    ASSERT(set->half_count >= 1);

    enum quorum_decision decision = QUORUM_DECISION_YES;
    for (int32_t half = 0; half < set->half_count; half++) {
        struct quorum_tally tally = quorum_tally_of(set, half, answers, positive);
        int32_t election = set->halves[half].election;
        int32_t needed = is_prevote ? set->halves[half].prevote : election;
        decision = both(decision, decide_half(tally, election, needed));
    }
    return decision;
}

enum quorum_decision quorum_decide_prevote(const struct quorum_set *set,
                                           const enum quorum_answer *answers)
{
    ASSERT(answers);
    return decide(set, answers, QUORUM_ANSWER_GRANTED, true);
}

enum quorum_decision quorum_decide_election(const struct quorum_set *set,
                                            const enum quorum_answer *answers)
{
    ASSERT(answers);
    return decide(set, answers, QUORUM_ANSWER_GRANTED, false);
}

enum quorum_decision quorum_decide_absence(const struct quorum_set *set,
                                           const enum quorum_answer *answers)
{
    ASSERT(answers);
    return decide(set, answers, QUORUM_ANSWER_NEVER_HAD_IT, false);
}

bool quorum_all_answered(const struct quorum_set *set, const enum quorum_answer *answers)
{
    ASSERT(set);
    ASSERT(answers);

    int32_t open = 0;
    for (int32_t member = 0; member < set->member_count; member++) {
        open += answers[member] == QUORUM_ANSWER_NONE;
    }
    return open == 0;
}

bool quorum_enough_heard(const struct quorum_set *set, const enum quorum_answer *answers)
{
    ASSERT(set);
    ASSERT(answers);

    bool is_enough = true;
    for (int32_t index = 0; index < set->half_count; index++) {
        const struct quorum_half *half = &set->halves[index];
        int32_t heard = 0;
        for (int32_t voter = 0; voter < half->voter_count; voter++) {
            heard += answers[half->members[voter]] != QUORUM_ANSWER_NONE;
        }
        if (half->voter_count > 1) {
            ASSERT(half->prevote > 1); /* So somebody else is among those who were heard. */
        }
        is_enough = is_enough && heard >= half->prevote; /* QUO-7 */
    }
    return is_enough;
}
