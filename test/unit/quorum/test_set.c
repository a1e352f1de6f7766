/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbering of voters over one or two configurations.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/set.h"

/* Return the letters of @set's members in their order. */
static const char *letters_of(const struct quorum_set *set)
{
    static char letters[QUORUM_MEMBERS_MAX + 1];
    for (int32_t member = 0; member < set->member_count; member++) {
        letters[member] = (char)set->members[member].storage.value[0];
    }
    letters[set->member_count] = 0;
    return letters;
}

/* The leader's tables go by this numbering, so it must be the one that the header says. */
TEST(quorum_set_init, numbers_the_old_voters_first_and_then_the_new)
{
    struct quorum_config from = draw_config("BAC", 2);
    struct quorum_config to = draw_config("DCbA", 3);
    struct quorum_set set;

    quorum_set_init(&set, &from, NULL);
    CHECK_TEXT(letters_of(&set), "BAC");
    CHECK_INT(set.half_count, 1);

    quorum_set_init(&set, &from, &to);
    CHECK_TEXT(letters_of(&set), "BACDb");
    CHECK_INT(set.half_count, 2);
    CHECK_INT(set.halves[1].voter_count, 4);
    CHECK_BYTES(set.halves[1].members, ((uint8_t[]){3, 2, 4, 1}), 4);
    CHECK_INT(set.halves[1].write_quorum, 3);
}

/* QUO-8: a voter whose disk was exchanged has forgotten what it promised. */
TEST(quorum_set_find, knows_only_voters_by_node_and_storage)
{
    struct quorum_config config = draw_config("ABC", 2);
    config.learner_count = 1;
    config.learners[0] = draw_member('D');
    struct quorum_set set;
    quorum_set_init(&set, &config, NULL);

    struct quorum_member voter = draw_member('C');
    struct quorum_member exchanged = draw_member('c');
    struct quorum_member learner = draw_member('D');
    CHECK_INT(quorum_set_find(&set, &voter), 2);
    CHECK_INT(quorum_set_find(&set, &exchanged), QUORUM_NO_MEMBER);
    CHECK_INT(quorum_set_find(&set, &learner), QUORUM_NO_MEMBER);
}

/* Nine that are replaced by nine others are the most there can be. */
TEST(quorum_set_init, has_room_for_two_whole_configurations)
{
    struct quorum_config from = draw_config("ABCDEFGHI", 5);
    struct quorum_config to = draw_config("JKLMNOPQR", 5);
    struct quorum_set set;

    quorum_set_init(&set, &from, &to);

    CHECK_INT(set.member_count, QUORUM_MEMBERS_MAX);
    CHECK_INT(set.halves[1].members[8], 17);
}

/* QUO-4: reads need R + W > N on both sides. */
TEST(quorum_set_reads_allowed, only_if_both_configurations_allow_them)
{
    struct quorum_config good = draw_config("ABC", 2);
    struct quorum_config lossy = draw_config("ABC", 1);
    lossy.rules.read_quorum = 1;
    lossy.rules.unclean_election = true;
    struct quorum_set set;

    quorum_set_init(&set, &good, NULL);
    CHECK(quorum_set_reads_allowed(&set));
    quorum_set_init(&set, &lossy, NULL);
    CHECK(!quorum_set_reads_allowed(&set));
    quorum_set_init(&set, &good, &lossy);
    CHECK(!quorum_set_reads_allowed(&set));
    quorum_set_init(&set, &lossy, &good);
    CHECK(!quorum_set_reads_allowed(&set));
}

static void init_unchecked(void *ctx)
{
    struct quorum_config config = draw_config("AAB", 2);
    quorum_set_init(ctx, &config, NULL);
}

TEST(quorum_set_init, ends_the_process_over_a_configuration_that_cannot_be)
{
    struct quorum_set set;

    EXPECT_ABORT(init_unchecked, &set);
}
