/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs: whose they are, which comes next, and which are too far off.
 */
#include "base/limits.h"
#include "lib/case.h"
#include "quorum/epoch.h"

#define NODE(number) ((struct node_id){number})

static const int32_t last_round = EPOCH_ROUNDS_MAX;

/* QUO-1: two nodes that stand at the same time never share an epoch, whatever both have seen. */
TEST(epoch_next, is_above_what_was_seen_and_belongs_to_one_node)
{
    static const int32_t nodes[] = {1, 2, 511, 1022, 1023};
    static const int32_t rounds[] = {1, 2, 3, 65536, EPOCH_ROUNDS_MAX - 1};

    static const size_t node_count = sizeof nodes / sizeof nodes[0];
    static const size_t round_count = sizeof rounds / sizeof rounds[0];

    for (size_t seen = 0; seen < round_count * node_count; seen++) {
        int32_t above = epoch_of(rounds[seen / node_count], NODE(nodes[seen % node_count]));
        for (size_t index = 0; index < node_count; index++) {
            int32_t epoch = 0;
            CHECK_INT(epoch_next(above, NODE(nodes[index]), &epoch), PYR_OK);
            CHECK(epoch > above);
            CHECK(epoch_is_valid(epoch));
            CHECK_INT(epoch_node(epoch).value, nodes[index]);
            CHECK_INT(epoch_round(epoch), rounds[seen / node_count] + 1);
        }
    }
}

/* A new log has seen none. What Kafka's formats call no epoch, -1, is none either. */
TEST(epoch_next, begins_with_round_one)
{
    int32_t epoch = 0;

    CHECK_INT(epoch_next(EPOCH_NONE, NODE(3), &epoch), PYR_OK);
    CHECK_INT(epoch, EPOCH_NODES + 3);
    CHECK_INT(epoch_next(-1, NODE(3), &epoch), PYR_OK);
    CHECK_INT(epoch, EPOCH_NODES + 3);
}

/* At the end of the range it stops; it does not begin anew below what was promised. */
TEST(epoch_next, refuses_when_the_rounds_are_used_up)
{
    int32_t epoch = 77;

    CHECK_INT(epoch_next(epoch_of(last_round, NODE(1)), NODE(1023), &epoch), PYR_ERR_FAILED);
    CHECK_INT(epoch_next(INT32_MAX, NODE(1), &epoch), PYR_ERR_FAILED);
    CHECK_INT(epoch, 77);
    CHECK_INT(epoch_next(epoch_of(last_round - 1, NODE(1)), NODE(1023), &epoch), PYR_OK);
    CHECK(epoch > 0);
}

TEST(epoch_is_valid, wants_a_round_and_a_node)
{
    static const struct {
        int32_t epoch;
        bool is_valid;
    } cases[] = {
        {INT32_MIN, false},
        {-1, false},
        {0, false},
        {1, false}, /* No round. */
        {1023, false},
        {1024, false}, /* No node. */
        {1025, true},
        {2047, true},
        {2048, false},
        {EPOCH_ROUNDS_MAX * EPOCH_NODES + 1023, true},
        {(EPOCH_ROUNDS_MAX + 1) * EPOCH_NODES + 1, false},
        {INT32_MAX, false},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        CHECK_INT(epoch_is_valid(cases[index].epoch), cases[index].is_valid);
    }
}

/* QUO-2: one forged or damaged number must not carry a whole cluster to the end of the range. */
TEST(epoch_is_credible, refuses_a_round_far_above_the_receivers)
{
    int32_t own = epoch_of(10, NODE(5));

    CHECK(epoch_is_credible(epoch_of(10 + 65536, NODE(1023)), own));
    CHECK(!epoch_is_credible(epoch_of(10 + 65537, NODE(1)), own));
    CHECK(epoch_is_credible(epoch_of(65536, NODE(1)), EPOCH_NONE));
    CHECK(!epoch_is_credible(epoch_of(65537, NODE(1)), EPOCH_NONE));
    CHECK(!epoch_is_credible(INT32_MAX, own));
    CHECK(!epoch_is_credible(-1, own));
    CHECK(!epoch_is_credible(EPOCH_NONE, own));
    /* What is lower is credible; the promise refuses it, with an answer that helps. */
    CHECK(epoch_is_credible(epoch_of(1, NODE(1)), own));
    CHECK(epoch_is_credible(epoch_of(1, NODE(1)), epoch_of(last_round, NODE(1))));
}

/* There is time to act: as many rounds again are left. */
TEST(epoch_is_alarming, past_half_of_the_range)
{
    CHECK(!epoch_is_alarming(EPOCH_NONE));
    CHECK(!epoch_is_alarming(epoch_of(last_round / 2, NODE(1023))));
    CHECK(epoch_is_alarming(epoch_of(last_round / 2 + 1, NODE(1))));
}

TEST(epoch_put_text, shows_round_and_node)
{
    static const struct {
        int32_t epoch;
        const char *expected;
    } cases[] = {
        {7171, "7.3"},
        {EPOCH_NONE, "none"},
        {-1, "invalid epoch -1"},
        {EPOCH_ROUNDS_MAX * EPOCH_NODES + 1023, "2097150.1023"},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        char data[32];
        struct text text = text_of(data, sizeof data);
        epoch_put_text(&text, cases[index].epoch);
        CHECK_TEXT(data, cases[index].expected);
    }
}
