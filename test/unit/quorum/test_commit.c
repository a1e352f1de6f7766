/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commit point: drawn cases, and a search over all write quorums.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/commit.h"

/* Drawn cases: `-` is a voter of which nothing is known, a digit its durable end. */
TEST(quorum_commit_end, is_what_the_pictures_say)
{
    static const struct {
        const char *voters, *next; /* next: the second configuration of a change. */
        int32_t write, write_next;
        const char *ends; /* By letter, from A. */
        int64_t own_first, commit_end, expected;
    } cases[] = {
        /* A alone is all there is. */
        {"A", NULL, 1, 0, "7", 0, 0, 7},
        /* A 7  B 5  C 9: A and C have 7. */
        {"ABC", NULL, 2, 0, "759", 0, 0, 7},
        /* The leader's own disk lags behind, B and C have 6: committed without it. */
        {"ABC", NULL, 2, 0, "266", 0, 2, 6},
        /* One acknowledgement is enough, or all are needed. */
        {"ABC", NULL, 1, 0, "759", 0, 0, 9},
        {"ABC", NULL, 3, 0, "759", 0, 0, 5},
        /* Nothing is known of two of three. */
        {"ABC", NULL, 2, 0, "9--", 0, 0, 0},
        /* W = 4 of 5 waits for the fourth. */
        {"ABCDE", NULL, 4, 0, "98652", 0, 0, 5},
        /* Only entries from 6 on are the leader's own: 5 on two voters is an old epoch's. */
        {"ABC", NULL, 2, 0, "955", 6, 3, 3},
        /* The end 6 is the end of the last old entry: still nothing own on two voters. */
        {"ABC", NULL, 2, 0, "966", 6, 3, 3},
        /* The first own entry is on two voters: it takes with it what lies below. */
        {"ABC", NULL, 2, 0, "967", 6, 3, 7},
        /* A voter with a lower end than before (a new epoch begins): never back. */
        {"ABC", NULL, 2, 0, "444", 0, 6, 6},
        /* A change ABC -> CDE: old has 7 (A, C), new has 2 (C, D or E): the slower decides. */
        {"ABC", "CDE", 2, 2, "75921", 0, 0, 2},
        {"ABC", "CDE", 2, 2, "75981", 0, 0, 7},
        {"ABC", "CDE", 2, 2, "11999", 0, 0, 1},
        /* The same voters with another W: both hold. */
        {"ABC", "ABC", 1, 3, "759", 0, 0, 5},
        {"ABC", "ABC", 3, 1, "759", 0, 0, 5},
        /* The new ones know nothing yet: nothing moves. */
        {"ABC", "DEF", 2, 2, "999---", 0, 4, 4},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct quorum_set set = draw_set(cases[index].voters, cases[index].write, cases[index].next,
                                         cases[index].write_next);
        int64_t ends[QUORUM_MEMBERS_MAX];
        for (int32_t member = 0; member < set.member_count; member++) {
            char drawn = cases[index].ends[set.members[member].node.value - 1];
            ends[member] = drawn == '-' ? QUORUM_END_UNKNOWN : drawn - '0';
        }
        CHECK_INT(quorum_commit_end(&set, ends, cases[index].own_first, cases[index].commit_end),
                  cases[index].expected);
    }
}

enum { END_MAX = 9, CASES_PER_SET = 500 };

/* Return the highest end at which a quorum of each configuration stands, by trying each end; what a
 * quorum is says @is_one. */
static int64_t end_slow(const struct slow *slow,
                        const int64_t *ends_by_letter,
                        bool (*is_one)[DRAW_MASKS_MAX])
{
    for (int64_t end = END_MAX; end >= 0; end--) {
        uint32_t there = 0;
        for (int32_t letter = 0; letter < slow->letter_count; letter++) {
            there |= (uint32_t)(ends_by_letter[letter] >= end) << letter;
        }
        if (is_one[0][there] && (slow->half_count == 1 || is_one[1][there])) {
            return end;
        }
    }
    return QUORUM_END_UNKNOWN;
}

/* Compare @count random tables of ends with the slow answer, voters out of @letter_count. */
static void compare(struct prng *prng, int32_t letter_count, uint64_t count)
{
    static struct slow slow;
    struct quorum_set set;
    for (uint64_t round = 0; round < count; round++) {
        if (round % CASES_PER_SET == 0) {
            slow_draw(prng, letter_count, &slow, &set);
        }
        int64_t by_letter[DRAW_LETTERS_MAX];
        int64_t ends[QUORUM_MEMBERS_MAX] = {0};
        for (int32_t letter = 0; letter < letter_count; letter++) {
            by_letter[letter] = prng_between(prng, -1, END_MAX);
        }
        for (int32_t member = 0; member < set.member_count; member++) {
            ends[member] = by_letter[set.members[member].node.value - 1];
        }
        int64_t own_first = prng_between(prng, 0, END_MAX);
        int64_t before = prng_between(prng, 0, END_MAX);

        int64_t durable_end = end_slow(&slow, by_letter, slow.is_write);
        int64_t expected = durable_end > own_first && durable_end > before ? durable_end : before;
        CHECK_INT(quorum_durable_end(&set, ends), durable_end);
        CHECK_INT(quorum_settled_end(&set, ends), end_slow(&slow, by_letter, slow.is_lease));
        CHECK_INT(quorum_commit_end(&set, ends, own_first, before), expected);
    }
}

/* QUO-7, QUO-9, QUO-10, QUO-15: against a search over every write quorum, and over every set that
 * meets all election quorums. */
TEST(quorum_commit_end, is_what_a_search_over_all_write_quorums_finds)
{
    struct prng prng = prng_of(draw_seed("quorum_commit_end"), 1);

    compare(&prng, 5, case_scale(400000));
    compare(&prng, DRAW_LETTERS_MAX, case_scale(10000));
}

/* QUO-15: W = 1 of 3 with unclean elections commits on one voter; a configuration needs two. */
TEST(quorum_settled_end, is_what_not_even_an_unclean_election_misses)
{
    struct quorum_config config = draw_config("ABC", 1);
    config.rules.read_quorum = 1;
    config.rules.unclean_election = true;
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    CHECK_INT(quorum_commit_end(&set, (int64_t[]){9, 7, 5}, 0, 0), 9);
    CHECK_INT(quorum_settled_end(&set, (int64_t[]){9, 7, 5}), 7);
}

/* Offsets near the end of their range do not wrap around. */
TEST(quorum_commit_end, takes_the_highest_offset_there_is)
{
    struct quorum_config config = draw_config("ABC", 2);
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    CHECK_INT(quorum_commit_end(&set, (int64_t[]){INT64_MAX, INT64_MAX, -1}, 0, 0), INT64_MAX);
    CHECK_INT(quorum_durable_end(&set, (int64_t[]){-1, INT64_MAX, -1}), QUORUM_END_UNKNOWN);
}
