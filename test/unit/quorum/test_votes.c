/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers decide: drawn cases, and all that the missing answers could still be.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/votes.h"

enum { CASES_PER_SET = 500, CASES_PER_WIDE_SET = 10000, ANSWER_KINDS = 4 };

/* Return the answer of the letter @drawn: + yes, - no, ? cannot tell, . none yet. */
static enum quorum_answer answer_of(char drawn, bool is_vote)
{
    switch (drawn) {
    case '+':
        return is_vote ? QUORUM_ANSWER_GRANTED : QUORUM_ANSWER_NEVER_HAD_IT;
    case '-':
        return is_vote ? QUORUM_ANSWER_REFUSED : QUORUM_ANSWER_MAY_HAVE_HAD;
    case '?':
        return QUORUM_ANSWER_UNREADABLE;
    default:
        return QUORUM_ANSWER_NONE;
    }
}

/* Return a decision as one letter. */
static char letter_of(enum quorum_decision decision)
{
    return "oyns"[decision];
}

/* Drawn cases: what each voter, from A, has answered, and what pre-vote, election and absence come
 * to: y yes, n no, s stuck, o open. */
TEST(quorum_decide, is_what_the_pictures_say)
{
    static const struct {
        const char *voters, *next;
        int32_t write, write_next;
        const char *answers, *expected;
    } cases[] = {
        /* 3 voters, W 2, E 2: two decide either way. */
        {"ABC", NULL, 2, 0, "...", "ooo"},
        {"ABC", NULL, 2, 0, "+..", "ooo"},
        {"ABC", NULL, 2, 0, "+.+", "yyy"},
        {"ABC", NULL, 2, 0, "+-.", "ooo"},
        {"ABC", NULL, 2, 0, "--.", "nnn"},
        {"ABC", NULL, 2, 0, "+--", "nnn"},
        /* One cannot tell: the others can still decide, or not. */
        {"ABC", NULL, 2, 0, "+?.", "ooo"},
        {"ABC", NULL, 2, 0, "+?-", "sss"},
        {"ABC", NULL, 2, 0, "??+", "sss"},
        {"ABC", NULL, 2, 0, "?--", "nnn"},
        {"ABC", NULL, 2, 0, "++?", "yyy"},
        /* W 4 of 5, E 2: a pre-vote wants four to be there, two of them in favour. */
        {"ABCDE", NULL, 4, 0, "++...", "oyy"},
        {"ABCDE", NULL, 4, 0, "++-..", "oyy"},
        {"ABCDE", NULL, 4, 0, "++--.", "yyy"},
        {"ABCDE", NULL, 4, 0, "++-?.", "yyy"},
        {"ABCDE", NULL, 4, 0, "+---.", "ooo"},
        {"ABCDE", NULL, 4, 0, "+----", "nnn"},
        /* W 1 of 3, E 3: one refusal ends it. */
        {"ABC", NULL, 1, 0, "++.", "ooo"},
        {"ABC", NULL, 1, 0, "++-", "nnn"},
        {"ABC", NULL, 1, 0, "++?", "sss"},
        /* W 3 of 3, E 1: one grant elects. */
        {"ABC", NULL, 3, 0, "+..", "oyy"},
        {"ABC", NULL, 3, 0, "+--", "yyy"},
        /* A change ABC -> CDE: both must be in favour; C counts in both. */
        {"ABC", "CDE", 2, 2, "++...", "ooo"},
        {"ABC", "CDE", 2, 2, "+.+..", "ooo"},
        {"ABC", "CDE", 2, 2, "+.++.", "yyy"},
        {"ABC", "CDE", 2, 2, "++.--", "nnn"},
        {"ABC", "CDE", 2, 2, "--+++", "nnn"},
        {"ABC", "CDE", 2, 2, "+++?-", "sss"},
        {"ABC", "CDE", 2, 2, "--+?-", "nnn"},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct quorum_set set = draw_set(cases[index].voters, cases[index].write, cases[index].next,
                                         cases[index].write_next);

        enum quorum_answer votes[QUORUM_MEMBERS_MAX] = {QUORUM_ANSWER_NONE};

        enum quorum_answer denials[QUORUM_MEMBERS_MAX] = {QUORUM_ANSWER_NONE};

        for (int32_t member = 0; member < set.member_count; member++) {
            char drawn = cases[index].answers[set.members[member].node.value - 1];
            votes[member] = answer_of(drawn, true);
            denials[member] = answer_of(drawn, false);
        }
        char decided[] = {letter_of(quorum_decide_prevote(&set, votes)),
                          letter_of(quorum_decide_election(&set, votes)),
                          letter_of(quorum_decide_absence(&set, denials)), 0};
        CHECK_TEXT(decided, cases[index].expected);
    }
}

/* Random answers by letter, as masks. */
struct answers {
    uint32_t yes;
    uint32_t no;
    uint32_t unreadable;
    uint32_t open;
};

/* Return whether some way to fill in the answers of @missing gives each configuration of @slow an
 * election quorum beside @yes. */
static bool can_be(const struct slow *slow, uint32_t yes, uint32_t missing)
{
    uint32_t more = missing;
    for (;;) {
        uint32_t granted = yes | more;
        if (slow->is_election[0][granted] &&
            (slow->half_count == 1 || slow->is_election[1][granted])) {
            return true;
        }
        if (more == 0) {
            return false;
        }
        more = (more - 1) & missing;
    }
}

/* Return what is decided, by definition. */
static enum quorum_decision decide_slow(const struct slow *slow,
                                        const struct answers *answers,
                                        bool is_prevote)
{
    if (!can_be(slow, answers->yes, answers->open | answers->unreadable)) {
        return QUORUM_DECISION_NO;
    }
    if (!can_be(slow, answers->yes, answers->open)) {
        return QUORUM_DECISION_STUCK;
    }
    uint32_t answered = answers->yes | answers->no | answers->unreadable;
    bool is_enough = can_be(slow, answers->yes, 0);
    for (int32_t half = 0; half < slow->half_count && is_prevote; half++) {
        is_enough =
            is_enough && slow->is_write[half][answered] && slow->is_election[half][answered];
    }
    return is_enough ? QUORUM_DECISION_YES : QUORUM_DECISION_OPEN;
}

/* Draw an answer for each of @letter_count letters. */
static struct answers answers_draw(struct prng *prng, int32_t letter_count)
{
    struct answers answers = {0};
    uint32_t *const kinds[ANSWER_KINDS] = {&answers.yes, &answers.no, &answers.unreadable,
                                           &answers.open};
    for (int32_t letter = 0; letter < letter_count; letter++) {
        *kinds[prng_below(prng, ANSWER_KINDS)] |= UINT32_C(1) << letter;
    }
    return answers;
}

/* Put @answers into @table, through the public call and in the members' order. */
static void answers_put(const struct quorum_set *set,
                        const struct answers *answers,
                        bool is_vote,
                        enum quorum_answer *table)
{
    for (int32_t member = 0; member < set->member_count; member++) {
        uint32_t bit = draw_bit(set, member);
        char drawn = '?';
        if ((answers->yes | answers->no) & bit) {
            drawn = answers->yes & bit ? '+' : '-';
        }
        if (!(answers->open & bit)) {
            CHECK(quorum_answer_put(set, table, member, answer_of(drawn, is_vote)));
        }
    }
}

/* QUO-7, QUO-11, QUO-12: against every completion of the answers, with election quorums found by
 * looking at every write quorum; and once decided, no further answer changes it. */
TEST(quorum_decide, is_what_all_completions_of_the_answers_allow)
{
    static struct slow slow;
    struct prng prng = prng_of(draw_seed("quorum_decide"), 2);
    struct quorum_set set;
    uint64_t count = case_scale(200000);

    for (uint64_t round = 0; round < count; round++) {
        if (round % CASES_PER_SET == 0) {
            slow_draw(&prng, round % CASES_PER_WIDE_SET == 0 ? DRAW_LETTERS_MAX : 5, &slow, &set);
        }
        struct answers answers = answers_draw(&prng, slow.letter_count);

        enum quorum_answer votes[QUORUM_MEMBERS_MAX] = {QUORUM_ANSWER_NONE};

        enum quorum_answer denials[QUORUM_MEMBERS_MAX] = {QUORUM_ANSWER_NONE};

        answers_put(&set, &answers, true, votes);
        answers_put(&set, &answers, false, denials);

        enum quorum_decision election = quorum_decide_election(&set, votes);
        CHECK_INT(quorum_decide_prevote(&set, votes), decide_slow(&slow, &answers, true));
        CHECK_INT(election, decide_slow(&slow, &answers, false));
        CHECK_INT(quorum_decide_absence(&set, denials), election);

        struct answers more = answers_draw(&prng, slow.letter_count);
        uint32_t pending = answers.open | answers.unreadable;
        more = (struct answers){.yes = more.yes & pending,
                                .no = more.no & pending,
                                .open = ~((more.yes | more.no) & pending)};
        answers_put(&set, &more, true, votes);
        if (election == QUORUM_DECISION_YES || election == QUORUM_DECISION_NO) {
            CHECK_INT(quorum_decide_election(&set, votes), election);
        }
    }
}

/* QUO-11: answers to one question say nothing about another. */
TEST(quorum_decide, takes_no_answer_to_another_question_for_a_yes)
{
    struct quorum_config config = draw_config("ABC", 2);
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    enum quorum_answer votes[] = {QUORUM_ANSWER_GRANTED, QUORUM_ANSWER_GRANTED,
                                  QUORUM_ANSWER_GRANTED};

    enum quorum_answer denials[] = {QUORUM_ANSWER_NEVER_HAD_IT, QUORUM_ANSWER_NEVER_HAD_IT,
                                    QUORUM_ANSWER_NEVER_HAD_IT};

    CHECK_INT(quorum_decide_absence(&set, votes), QUORUM_DECISION_NO);
    CHECK_INT(quorum_decide_election(&set, denials), QUORUM_DECISION_NO);
}

/* A repeated answer counts once, "cannot tell" may be mended, and a voter that contradicts itself
 * does not get its way. */
TEST(quorum_answer_put, keeps_what_withholds_the_decision)
{
    struct quorum_config config = draw_config("ABC", 2);
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    enum quorum_answer answers[3] = {QUORUM_ANSWER_NONE};

    CHECK(quorum_answer_put(&set, answers, 0, QUORUM_ANSWER_GRANTED));
    CHECK(quorum_answer_put(&set, answers, 0, QUORUM_ANSWER_GRANTED));
    CHECK_INT(quorum_decide_election(&set, answers), QUORUM_DECISION_OPEN);

    CHECK(quorum_answer_put(&set, answers, 1, QUORUM_ANSWER_UNREADABLE));
    CHECK(quorum_answer_put(&set, answers, 1, QUORUM_ANSWER_GRANTED));
    CHECK(quorum_answer_put(&set, answers, 1, QUORUM_ANSWER_UNREADABLE));
    CHECK_INT(answers[1], QUORUM_ANSWER_GRANTED);

    CHECK(!quorum_answer_put(&set, answers, 1, QUORUM_ANSWER_REFUSED));
    CHECK(!quorum_answer_put(&set, answers, 1, QUORUM_ANSWER_GRANTED));
    CHECK_INT(answers[1], QUORUM_ANSWER_REFUSED);
}

static void put_stranger(void *ctx)
{
    struct quorum_set *set = ctx;

    enum quorum_answer answers[QUORUM_MEMBERS_MAX] = {QUORUM_ANSWER_NONE};
    struct quorum_member stranger = draw_member('a');
    (void)quorum_answer_put(set, answers, quorum_set_find(set, &stranger), QUORUM_ANSWER_GRANTED);
}

/* QUO-8: there is no place for whoever is no voter. */
TEST(quorum_answer_put, ends_the_process_over_a_strangers_vote)
{
    struct quorum_config config = draw_config("ABC", 2);
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    EXPECT_ABORT(put_stranger, &set);
}

/* `pyralog why` must be able to say that all have spoken and it is still undecided. */
TEST(quorum_all_answered, counts_every_voter_of_both_configurations)
{
    struct quorum_config from = draw_config("AB", 2);
    struct quorum_config to = draw_config("BC", 2);
    struct quorum_set set;
    quorum_set_init(&set, &from, &to);

    enum quorum_answer answers[] = {QUORUM_ANSWER_REFUSED, QUORUM_ANSWER_UNREADABLE,
                                    QUORUM_ANSWER_NONE};

    CHECK(!quorum_all_answered(&set, answers));
    answers[2] = QUORUM_ANSWER_GRANTED;
    CHECK(quorum_all_answered(&set, answers));
}

/* A node whose disk was put back must meet somebody who remembers before it votes. */
TEST(quorum_enough_heard, wants_the_larger_quorum_and_somebody_else)
{
    static const struct {
        const char *voters, *next;
        int32_t write, write_next;
        const char *answers;
        bool expected;
    } cases[] = {
        /* A asks: itself and one other of three. */
        {"ABC", NULL, 2, 0, "+..", false},
        {"ABC", NULL, 2, 0, "+-.", true},
        {"ABC", NULL, 2, 0, "+.?", true},
        /* W 4 of 5: four. W 1 of 3: E is all three. */
        {"ABCDE", NULL, 4, 0, "+++..", false},
        {"ABCDE", NULL, 4, 0, "++++.", true},
        {"ABC", NULL, 1, 0, "++.", false},
        /* Alone there is nobody else to ask. */
        {"A", NULL, 1, 0, ".", false},
        {"A", NULL, 1, 0, "+", true},
        /* Both configurations of a change. */
        {"ABC", "CDE", 2, 2, "++...", false},
        {"ABC", "CDE", 2, 2, "+.++.", true},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct quorum_set set = draw_set(cases[index].voters, cases[index].write, cases[index].next,
                                         cases[index].write_next);

        enum quorum_answer answers[QUORUM_MEMBERS_MAX] = {QUORUM_ANSWER_NONE};

        for (int32_t member = 0; member < set.member_count; member++) {
            answers[member] = answer_of(cases[index].answers[member], true);
        }
        CHECK_INT(quorum_enough_heard(&set, answers), cases[index].expected);
    }
}
