/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations: who may stand in one.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/config.h"

/* Return what the check says of @config. */
static const char *verdict(const struct quorum_config *config)
{
    static struct pyr_error error;
    error = (struct pyr_error){0};
    enum pyr_err err = quorum_config_check(config, &error);
    CHECK_INT(err, error.message[0] ? PYR_ERR_INVALID : PYR_OK);
    return error.message;
}

/* QUO-6: a quorum counts what fails apart. One node, or one disk, in two places would be counted
 * twice. */
TEST(quorum_config_check, refuses_whoever_stands_there_twice)
{
    struct quorum_config config = draw_config("ABC", 2);
    CHECK_TEXT(verdict(&config), "");

    config = draw_config("ABA", 2);
    CHECK_TEXT(verdict(&config), "voters: node 1 stands there twice");

    config = draw_config("ABa", 2); /* The same node with another disk. */
    CHECK_TEXT(verdict(&config), "voters: node 1 stands there twice");

    config = draw_config("ABC", 2);
    config.voters[2].storage = config.voters[0].storage;
    CHECK_TEXT(verdict(&config), "voters: nodes 1 and 3 have the same storage identity");

    config = draw_config("ABC", 2);
    config.learner_count = 1;
    config.learners[0] = draw_member('C');
    CHECK_TEXT(verdict(&config), "learners: nodes 3 and 3 have the same storage identity");

    config.learner_count = 2;
    config.learners[0] = draw_member('D');
    config.learners[1] = draw_member('d');
    CHECK_TEXT(verdict(&config), "learners: node 4 stands there twice");
}

/* A node with a new disk learns while its dead self is still in the list. */
TEST(quorum_config_check, lets_a_voters_node_learn_under_another_storage)
{
    struct quorum_config config = draw_config("ABC", 2);
    config.learner_count = 2;
    config.learners[0] = draw_member('c');
    config.learners[1] = draw_member('D');

    CHECK_TEXT(verdict(&config), "");
}

TEST(quorum_config_check, says_what_is_wrong_with_a_member)
{
    struct quorum_config config = draw_config("ABC", 2);
    config.voters[1].node.value = 0;
    CHECK_TEXT(verdict(&config), "voter 0: a node id is from 1 to 1023");

    config.voters[1].node.value = 1024;
    CHECK_TEXT(verdict(&config), "voter 1024: a node id is from 1 to 1023");

    config = draw_config("ABC", 2);
    config.voters[2].storage = (struct storage_id){{0}};
    CHECK_TEXT(verdict(&config), "voter 3 has no storage identity");

    config = draw_config("ABC", 2);
    config.learner_count = 1;
    CHECK_TEXT(verdict(&config), "learner 0: a node id is from 1 to 1023");

    config.learner_count = QUORUM_LEARNERS_MAX + 1;
    CHECK_TEXT(verdict(&config), "10 learners: from 0 to 9 are possible");

    config.learner_count = -1;
    CHECK_TEXT(verdict(&config), "-1 learners: from 0 to 9 are possible");

    config = draw_config("", 1);
    CHECK_TEXT(verdict(&config), "0 voters: at least 1 is needed");
}

TEST(quorum_member_equal, wants_node_and_storage)
{
    struct quorum_member left = draw_member('A');
    struct quorum_member other_storage = draw_member('a');
    struct quorum_member other_node = draw_member('B');
    struct quorum_member same = draw_member('A');
    other_node.storage = left.storage;

    CHECK(quorum_member_equal(&left, &same));
    CHECK(!quorum_member_equal(&left, &other_storage));
    CHECK(!quorum_member_equal(&left, &other_node));
}
