/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seeded generator: repeatable, without bias, independent by stream.
 */
#include "base/prng.h"
#include "lib/case.h"

static void draw_below_zero(void *ctx)
{
    (void)prng_below(ctx, 0);
}

/* RND-1: the reference implementation's first numbers from the state 1, 2, 3, 4. */
TEST(prng_next, gives_the_numbers_of_xoshiro256)
{
    struct prng prng = {.state = {1, 2, 3, 4}};

    CHECK(prng_next(&prng) == 11520);
    CHECK(prng_next(&prng) == 0);
    CHECK(prng_next(&prng) == 1509978240);
    CHECK(prng_next(&prng) == UINT64_C(1215971899390074240));
}

/* RND-1: a seed in a bug report must give the same run in a year, so that these never change. */
TEST(prng_of, gives_the_same_numbers_for_ever)
{
    struct prng prng = prng_of(42, 1);

    CHECK(prng_next(&prng) == UINT64_C(0x584870A53E6DDCDF));
    CHECK(prng_between(&prng, -1000, 1000) == -715);
    uint8_t data[11];
    prng_fill(&prng, (struct bytes_mut){data, sizeof data});
    CHECK_BYTES(data, "\x9E\x70\x59\x4C\xEA\xF7\x7A\xB7\xC3\xDF\xBD", sizeof data);
}

/* RND-3: seeds and streams are small numbers that people count up; no two may coincide. */
TEST(prng_of, gives_different_numbers_for_each_seed_and_stream)
{
    enum { SIDE = 24, COUNT = SIDE * SIDE };

    uint64_t seen[COUNT];
    for (uint64_t index = 0; index < COUNT; index++) {
        struct prng prng = prng_of(index / SIDE, index % SIDE);
        seen[index] = prng_next(&prng);
    }

    int same = 0;
    for (size_t left = 0; left < COUNT; left++) {
        for (size_t right = left + 1; right < COUNT; right++) {
            same += seen[left] == seen[right];
        }
    }

    CHECK_INT(same, 0);
}

/* RND-2: a range of three quarters of the type is where a wrong method is plainly wrong: a plain
 * modulo would give the lower third twice as often, a plain product every third number. */
TEST(prng_below, has_no_bias)
{
    enum { DRAWS = 300000, TOLERANCE = 6 * 258 }; /* Six standard deviations. */
    struct prng prng = prng_of(1, 1);
    uint64_t third = UINT64_C(1) << 62;
    int lower_third = 0;
    int multiples_of_3 = 0;

    for (int draw = 0; draw < DRAWS; draw++) {
        uint64_t value = prng_below(&prng, 3 * third);
        lower_third += value < third;
        multiples_of_3 += value % 3 == 0;
    }

    CHECK(abs(lower_third - DRAWS / 3) < TOLERANCE);
    CHECK(abs(multiples_of_3 - DRAWS / 3) < TOLERANCE);
}

/* The middle of the range, where rounding of the product and redrawing meet. */
TEST(prng_below, reaches_every_number_of_a_small_range)
{
    struct prng prng = prng_of(1, 2);
    int counts[7] = {0};

    for (int draw = 0; draw < 70000; draw++) {
        counts[prng_below(&prng, 7)]++;
    }

    for (int value = 0; value < 7; value++) {
        CHECK(counts[value] > 9400);
        CHECK(counts[value] < 10600);
    }
}

TEST(prng_below, aborts_on_an_empty_range)
{
    struct prng prng = prng_of(1, 3);

    EXPECT_ABORT(draw_below_zero, &prng);
}

/* The widest range has no end that fits into the type. */
TEST(prng_between, includes_both_ends_of_any_range)
{
    struct prng prng = prng_of(1, 4);
    bool has_first = false;
    bool has_last = false;

    for (int draw = 0; draw < 200; draw++) {
        int64_t value = prng_between(&prng, -1, 1);
        has_first = has_first || value == -1;
        has_last = has_last || value == 1;
        CHECK(value >= -1 && value <= 1);
        (void)prng_between(&prng, INT64_MIN, INT64_MAX);
        CHECK(prng_between(&prng, INT64_MAX, INT64_MAX) == INT64_MAX);
    }

    CHECK(has_first);
    CHECK(has_last);
}

/* Fault rates are given as chances: never and always must be exact. */
TEST(prng_chance, is_exact_at_never_and_always)
{
    struct prng prng = prng_of(1, 5);
    int hits = 0;

    for (int draw = 0; draw < 10000; draw++) {
        CHECK(!prng_chance(&prng, 0, 3));
        CHECK(prng_chance(&prng, 3, 3));
        hits += prng_chance(&prng, 1, 4);
        double unit = prng_unit(&prng);
        CHECK(unit >= 0.0 && unit < 1.0);
    }

    CHECK(hits > 2250);
    CHECK(hits < 2750);
}

/* A client that draws once more must not change what the next client does. */
TEST(prng_split, gives_a_generator_of_its_own)
{
    struct prng parent_a = prng_of(9, 9);
    struct prng parent_b = prng_of(9, 9);
    struct prng child_a = prng_split(&parent_a);
    struct prng child_b = prng_split(&parent_b);

    (void)prng_next(&child_a);
    (void)prng_next(&child_a);

    CHECK(prng_next(&parent_a) == prng_next(&parent_b));
    CHECK(prng_next(&child_b) != prng_next(&parent_b));
}

/* A part of a word at the end is filled, and not a byte more. */
TEST(prng_fill, fills_exactly_the_bytes_given)
{
    struct prng prng = prng_of(1, 6);
    uint8_t data[64];
    for (size_t count = 0; count < sizeof data; count++) {
        memset(data, 0xAA, sizeof data);
        prng_fill(&prng, (struct bytes_mut){data, count});
        CHECK_INT(data[count], 0xAA);
    }

    int touched = 0;
    for (int round = 0; round < 64; round++) {
        data[12] = 0xAA;
        prng_fill(&prng, (struct bytes_mut){data, 13});
        touched += data[12] != 0xAA;
    }
    CHECK(touched > 50);
}
