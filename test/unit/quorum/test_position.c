/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of logs, and the target of quorum reads.
 */
#include "base/limits.h"
#include "draw.h"
#include "lib/case.h"
#include "quorum/commit.h"
#include "quorum/epoch.h"
#include "quorum/position.h"

enum { CASES_PER_SET = 500, EPOCHS = 3, ENDS = 5, ANSWERS_IN = 4, LETTERS = 5 };

/* The epoch of the last entry comes first: a longer log of an older epoch is behind. */
TEST(quorum_position_compare, goes_by_epoch_then_by_end)
{
    static const struct {
        struct quorum_position left, right;
        int expected;
    } cases[] = {
        {{1025, 10}, {3073, 6}, -1}, {{3073, 6}, {1025, 10}, 1}, {{1025, 10}, {1025, 9}, 1},
        {{1025, 9}, {1025, 10}, -1}, {{1025, 9}, {1025, 9}, 0},  {{EPOCH_NONE, 0}, {1025, 0}, -1},
        {{-1, 0}, {1025, 1}, -1},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        CHECK_INT(quorum_position_compare(cases[index].left, cases[index].right),
                  cases[index].expected);
        CHECK_INT(quorum_candidate_is_level(cases[index].left, cases[index].right),
                  cases[index].expected >= 0);
    }
}

/* Two of three answer: the furthest of them, by epoch first. */
TEST(quorum_read_target, is_the_furthest_of_enough_answers)
{
    struct quorum_config config = draw_config("ABC", 2);
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);
    struct quorum_position answers[] = {{1025, 10},
                                        {0, QUORUM_END_UNKNOWN},
                                        {0, QUORUM_END_UNKNOWN}};
    struct quorum_position target = {7, 7};

    CHECK(!quorum_read_target(&set, answers, &target));
    CHECK_INT(target.end, 7);

    answers[2] = (struct quorum_position){3073, 6};
    CHECK(quorum_read_target(&set, answers, &target));
    CHECK_INT(target.epoch, 3073);
    CHECK_INT(target.end, 6);

    answers[0] = answers[2] = (struct quorum_position){-1, 0}; /* Empty logs are answers. */
    CHECK(quorum_read_target(&set, answers, &target));
    CHECK_INT(target.end, 0);
}

/* Return whether @target is what a plain look at the answers of the letters says. */
static bool is_target(const struct slow *slow,
                      const struct quorum_position *by_letter,
                      const struct quorum_position *target)
{
    uint32_t voters = slow->voters[0] | (slow->half_count == 2 ? slow->voters[1] : 0);
    bool is_there = false;
    for (int32_t letter = 0; letter < slow->letter_count; letter++) {
        const struct quorum_position *answer = &by_letter[letter];
        if (!(voters >> letter & 1) || answer->end == QUORUM_END_UNKNOWN) {
            continue;
        }
        bool is_same_epoch = answer->epoch == target->epoch;
        if (answer->epoch > target->epoch || (is_same_epoch && answer->end > target->end)) {
            return false;
        }
        is_there = is_there || (is_same_epoch && answer->end == target->end);
    }
    return is_there;
}

/* Draw an answer for each letter of @slow into @by_letter; return who has answered. */
static uint32_t answers_draw(struct prng *prng,
                             const struct slow *slow,
                             struct quorum_position *by_letter)
{
    uint32_t answered = 0;
    for (int32_t letter = 0; letter < slow->letter_count; letter++) {
        bool is_there = prng_chance(prng, ANSWERS_IN - 1, ANSWERS_IN);
        by_letter[letter].epoch = (int32_t)prng_below(prng, EPOCHS);
        by_letter[letter].end = is_there ? (int64_t)prng_below(prng, ENDS) : QUORUM_END_UNKNOWN;
        answered |= (uint32_t)is_there << letter;
    }
    return answered;
}

/* Draw a case that allows quorum reads. */
static void draw_readable(struct prng *prng, struct slow *slow, struct quorum_set *set)
{
    do {
        slow_draw(prng, LETTERS, slow, set);
    } while (!quorum_set_reads_allowed(set));
}

/* QUO-4, QUO-13: with random answers; and if there is a target, no write quorum is among those who
 * have not answered. */
TEST(quorum_read_target, is_the_furthest_when_each_write_quorum_was_asked)
{
    static struct slow slow;
    struct prng prng = prng_of(draw_seed("quorum_read_target"), 3);
    struct quorum_set set;
    uint64_t count = case_scale(200000);

    for (uint64_t round = 0; round < count; round++) {
        if (round % CASES_PER_SET == 0) {
            draw_readable(&prng, &slow, &set);
        }
        struct quorum_position by_letter[DRAW_LETTERS_MAX];
        struct quorum_position answers[QUORUM_MEMBERS_MAX] = {{0}};
        uint32_t answered = answers_draw(&prng, &slow, by_letter);
        for (int32_t member = 0; member < set.member_count; member++) {
            answers[member] = by_letter[set.members[member].node.value - 1];
        }
        bool is_enough = true;
        bool is_all_met = true;
        for (int32_t half = 0; half < slow.half_count; half++) {
            int32_t voters = __builtin_popcount(answered & slow.voters[half]);
            is_enough = is_enough && voters >= slow.configs[half].rules.read_quorum;
            is_all_met = is_all_met && !slow.is_write[half][slow.voters[half] & ~answered];
        }

        struct quorum_position target = {0};
        CHECK_INT(quorum_read_target(&set, answers, &target), is_enough);
        CHECK(!is_enough || is_target(&slow, by_letter, &target));
        CHECK(!is_enough || is_all_met);
    }
}

TEST(quorum_position_put_text, shows_epoch_and_offset)
{
    char data[40];
    struct text text = text_of(data, sizeof data);

    quorum_position_put_text(&text, (struct quorum_position){7171, 4500000000});
    CHECK_TEXT(data, "7.3:4500000000");
}
