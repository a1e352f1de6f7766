/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of a topic: which are refused and why, and what the others come to.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/rules.h"

/* A person who chose wrong numbers must read what is wrong with them. */
TEST(quorum_rules_check, says_what_is_wrong)
{
    static const struct {
        struct quorum_rules rules;
        const char *message; /* NULL: they are fine. */
    } cases[] = {
        {{0, 1, 1, false}, "0 voters: at least 1 is needed"},
        {{-1, 1, 1, false}, "-1 voters: at least 1 is needed"},
        {{10, 5, 6, false}, "10 voters: at most 9 are possible"},
        {{3, 0, 3, false}, "write_quorum 0 is below 1"},
        {{3, 4, 1, false}, "write_quorum 4 is above the number of voters, 3"},
        {{3, 2, 0, false}, "read_quorum 0 is below 1"},
        {{3, 2, 4, true}, "read_quorum 4 is above the number of voters, 3"},
        {{3, INT32_MAX, INT32_MAX, true},
         "write_quorum 2147483647 is above the number of voters, 3"},
        {{3, 1, 1, false},
         "write_quorum 1 and read_quorum 1 together are not above the 3 voters: raise one of them, "
         "or set unclean_election, and a failover may lose acknowledged records"},
        {{4, 2, 2, false},
         "write_quorum 2 and read_quorum 2 together are not above the 4 voters: raise one of them, "
         "or set unclean_election, and a failover may lose acknowledged records"},
        {{3, 1, 1, true}, NULL},
        {{1, 1, 1, false}, NULL},
        {{3, 2, 2, false}, NULL},
        {{3, 1, 3, false}, NULL},
        {{3, 3, 1, false}, NULL},
        {{9, 5, 5, false}, NULL},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct pyr_error error = {0};
        enum pyr_err err = quorum_rules_check(&cases[index].rules, &error);
        CHECK_INT(err, cases[index].message ? PYR_ERR_INVALID : PYR_OK);
        CHECK_TEXT(error.message, cases[index].message ? cases[index].message : "");
    }
}

/* The table of docs/design/quorum.md, by hand. */
TEST(quorum_rules, come_to_the_numbers_that_the_table_says)
{
    static const struct {
        struct quorum_rules rules;
        int32_t election;
        int32_t prevote;
        int32_t lease;
        int32_t reach;
        bool may_lose;
        bool reads_allowed;
        bool can_spare_one;
    } cases[] = {
        /* N  W  R  unclean       E  pre lease reach loses reads  spare */
        {{1, 1, 1, false}, 1, 1, 1, 1, false, true, false},
        {{2, 1, 2, false}, 2, 2, 1, 1, false, true, false},
        {{2, 2, 1, false}, 1, 2, 2, 2, false, true, false},
        {{3, 2, 2, false}, 2, 2, 2, 2, false, true, true},
        {{3, 1, 3, false}, 3, 3, 1, 1, false, true, false},
        {{3, 3, 1, false}, 1, 3, 3, 3, false, true, false},
        {{4, 3, 2, false}, 2, 3, 3, 3, false, true, true},
        {{5, 3, 3, false}, 3, 3, 3, 3, false, true, true},
        {{5, 4, 2, false}, 2, 4, 4, 4, false, true, true},
        {{5, 2, 4, false}, 4, 4, 2, 2, false, true, true},
        /* Unclean: E is at most a majority, and a leader under W = 1 reaches one. */
        {{3, 1, 1, true}, 2, 2, 2, 2, true, false, true},
        {{4, 1, 1, true}, 3, 3, 2, 3, true, false, true},
        {{5, 2, 1, true}, 3, 3, 3, 3, true, false, true},
        {{6, 2, 1, true}, 4, 4, 3, 3, true, false, true},
        /* Permitted, and nothing is lost: E is N - W + 1 already. */
        {{5, 3, 1, true}, 3, 3, 3, 3, false, false, true},
        /* Permitted but not used: W + R > N. */
        {{3, 1, 3, true}, 3, 3, 1, 1, false, true, false},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        const struct quorum_rules *rules = &cases[index].rules;
        CHECK_INT(quorum_election(rules), cases[index].election);
        CHECK_INT(quorum_prevote(rules), cases[index].prevote);
        CHECK_INT(quorum_lease(rules), cases[index].lease);
        CHECK_INT(quorum_reach(rules), cases[index].reach);
        CHECK_INT(quorum_may_lose(rules), cases[index].may_lose);
        CHECK_INT(quorum_reads_allowed(rules), cases[index].reads_allowed);
        CHECK_INT(quorum_can_spare_one(rules), cases[index].can_spare_one);
    }
}

/* Return the fewest voters of @slow, all of one configuration, for which @is_one holds. */
static int32_t fewest(const struct slow *slow, const bool *is_one)
{
    int32_t least = QUORUM_VOTERS_MAX + 1;
    for (uint32_t mask = 1; mask <= slow->voters[0]; mask++) {
        int32_t count = __builtin_popcount(mask);
        least = is_one[mask] && count < least ? count : least;
    }
    return least;
}

/* Hold the numbers of @rules against enumeration. */
static void check_numbers(const struct quorum_rules *rules)
{
    static struct slow slow;
    struct quorum_config config = draw_mask((UINT32_C(1) << rules->voter_count) - 1, 1);
    config.rules = *rules;
    slow = (struct slow){.half_count = 1, .letter_count = rules->voter_count, .configs = {config}};
    slow_fill(&slow);

    CHECK_INT(quorum_election(rules), fewest(&slow, slow.is_election[0]));
    CHECK_INT(quorum_lease(rules), fewest(&slow, slow.is_lease[0]));
    CHECK_INT(quorum_reach(rules), fewest(&slow, slow.is_reach[0]));
    CHECK(quorum_prevote(rules) >= rules->write_quorum);
    CHECK(quorum_prevote(rules) >= quorum_election(rules));
}

/* QUO-3, QUO-5: each number is the least that meets what it has to meet, found by looking at every
 * set of voters, for all N, W and R that there are. */
TEST(quorum_rules, are_the_least_numbers_that_enumeration_finds)
{
    enum { MOST = QUORUM_VOTERS_MAX, CHOICES = MOST * MOST * MOST * 2 };

    for (int32_t choice = 0; choice < CHOICES; choice++) {
        struct quorum_rules rules = draw_rules(choice / 2 % MOST + 1, choice / 2 / MOST % MOST + 1,
                                               choice / 2 / MOST / MOST + 1);
        rules.unclean_election = choice % 2;
        int32_t voters = rules.voter_count;
        bool is_apart = rules.write_quorum + rules.read_quorum <= voters;
        bool is_right = rules.write_quorum <= voters && rules.read_quorum <= voters &&
                        (!is_apart || rules.unclean_election);
        CHECK_INT(quorum_rules_check(&rules, NULL) == PYR_OK, is_right);
        if (is_right) {
            check_numbers(&rules);
        }
    }
}

static void ask_with_no_voters(void *ctx)
{
    struct quorum_rules rules = draw_rules(0, 0, 0);
    *(int32_t *)ctx = quorum_election(&rules);
}

/* Rules that were never checked are a mistake of ours, and counting with them would be a worse one.
 */
TEST(quorum_rules, that_were_not_checked_end_the_process)
{
    int32_t election = 0;

    EXPECT_ABORT(ask_with_no_voters, &election);
}
