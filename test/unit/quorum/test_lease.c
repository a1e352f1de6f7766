/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases and reach: drawn cases, and a search over all election quorums.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/lease.h"

enum { CASES_PER_SET = 500, CASES_PER_WIDE_SET = 10000, TIME_MAX = 9 };

/* Drawn cases: when the last round was sent that each voter, from A, has confirmed; 0 none. A is
 * the leader, and it is 9 now. */
TEST(quorum_lease_since_ns, is_what_the_pictures_say)
{
    static const struct {
        const char *voters, *next;
        int32_t write, write_next;
        const char *times;
        uint64_t lease, reach;
    } cases[] = {
        /* Alone. */
        {"A", NULL, 1, 0, "9", 9, 9},
        /* W 2, E 2 of 3: one other beside the leader. */
        {"ABC", NULL, 2, 0, "900", 0, 0},
        {"ABC", NULL, 2, 0, "950", 5, 5},
        {"ABC", NULL, 2, 0, "957", 7, 7},
        /* W 1, E 3 of 3: nobody is elected without the leader. */
        {"ABC", NULL, 1, 0, "900", 9, 9},
        /* W 3, E 1 of 3: anybody may be elected, so all must have confirmed. */
        {"ABC", NULL, 3, 0, "957", 5, 5},
        {"ABC", NULL, 3, 0, "950", 0, 0},
        /* W 2, E 4 of 5. */
        {"ABCDE", NULL, 2, 0, "90700", 7, 7},
        /* A change ABC -> CDE, led by A: both, and A counts only in the old. */
        {"ABC", "CDE", 2, 2, "97000", 0, 0},
        {"ABC", "CDE", 2, 2, "97530", 3, 3},
        {"ABC", "CDE", 2, 2, "97058", 5, 5},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct quorum_set set = draw_set(cases[index].voters, cases[index].write, cases[index].next,
                                         cases[index].write_next);
        uint64_t times[QUORUM_MEMBERS_MAX] = {0};
        for (int32_t member = 0; member < set.member_count; member++) {
            times[member] =
                (uint64_t)(cases[index].times[set.members[member].node.value - 1] - '0');
        }
        CHECK_INT(quorum_lease_since_ns(&set, times), cases[index].lease);
        CHECK_INT(quorum_reach_since_ns(&set, times), cases[index].reach);
    }
}

/* A leader of W = 1 with unclean elections is not content with itself. */
TEST(quorum_reach_since_ns, is_a_majority_under_one_write_and_unclean_elections)
{
    struct quorum_config config = draw_config("ABCD", 1);
    config.rules.read_quorum = 1;
    config.rules.unclean_election = true;
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    CHECK_INT(quorum_reach_since_ns(&set, (uint64_t[]){9, 7, 5, 0}), 5);
    CHECK_INT(quorum_lease_since_ns(&set, (uint64_t[]){9, 7, 5, 0}), 7);
}

/* Return the latest time since which those confirmed for whom @is_one holds in every configuration,
 * by trying each time. */
static uint64_t since_slow(const struct slow *slow,
                           const uint64_t *by_letter,
                           bool (*is_one)[DRAW_MASKS_MAX])
{
    for (uint64_t time = TIME_MAX; time > 0; time--) {
        uint32_t confirmed = 0;
        for (int32_t letter = 0; letter < slow->letter_count; letter++) {
            confirmed |= (uint32_t)(by_letter[letter] >= time) << letter;
        }
        if (is_one[0][confirmed] && (slow->half_count == 1 || is_one[1][confirmed])) {
            return time;
        }
    }
    return 0;
}

/* QUO-5, QUO-7, QUO-14: those who confirmed meet every election quorum, found by enumeration, and
 * at no later time do they. */
TEST(quorum_lease_since_ns, is_the_latest_time_at_which_no_other_can_be_elected)
{
    static struct slow slow;
    struct prng prng = prng_of(draw_seed("quorum_lease_since_ns"), 4);
    struct quorum_set set;
    uint64_t count = case_scale(200000);

    for (uint64_t round = 0; round < count; round++) {
        if (round % CASES_PER_SET == 0) {
            slow_draw(&prng, round % CASES_PER_WIDE_SET == 0 ? DRAW_LETTERS_MAX : 5, &slow, &set);
        }
        uint64_t by_letter[DRAW_LETTERS_MAX];
        uint64_t times[QUORUM_MEMBERS_MAX] = {0};
        for (int32_t letter = 0; letter < slow.letter_count; letter++) {
            by_letter[letter] = prng_below(&prng, TIME_MAX + 1);
        }
        for (int32_t member = 0; member < set.member_count; member++) {
            times[member] = by_letter[set.members[member].node.value - 1];
        }
        CHECK_INT(quorum_lease_since_ns(&set, times), since_slow(&slow, by_letter, slow.is_lease));
        CHECK_INT(quorum_reach_since_ns(&set, times), since_slow(&slow, by_letter, slow.is_reach));
    }
}
