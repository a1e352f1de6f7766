/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several keys must be together.
 */
#include "config/config_case.h"
#include "config/override.h"
#include "config/settle.h"
#include "lib/case.h"

static struct config_case one;

static void settle(const char *text)
{
    config_case_begin(&one);
    config_case_read(&one, text);
    CHECK_INT(one.problems.count, 0);
    config_settle(&one.target, &one.problems);
}

/* Defaults: one node W = R = 1, three nodes W = R = 2. CFG-6 */
TEST(config_settle, takes_the_majority_for_a_quorum_that_is_not_given)
{
    for (int64_t replicas = 1; replicas <= REPLICATION_FACTOR_MAX; replicas++) {
        config_case_begin(&one);
        one.loaded.config.topic.replication_factor = replicas;
        config_settle(&one.target, &one.problems);

        config_case_check(&one, NULL);
        CHECK_INT(one.loaded.config.topic.write_quorum, replicas / 2 + 1);
        CHECK_INT(one.loaded.config.topic.read_quorum, replicas / 2 + 1);
    }
}

/* CFG-6: against the definition, for all that the table allows. */
TEST(config_settle, allows_quorums_that_meet)
{
    for (int number = 0; number < 7 * 7 * 7 * 2; number++) {
        int64_t replicas = number % 7 + 1;
        int64_t write = number / 7 % 7 + 1;
        int64_t read = number / 49 % 7 + 1;
        config_case_begin(&one);
        one.loaded.config.topic.replication_factor = replicas;
        one.loaded.config.topic.write_quorum = write;
        one.loaded.config.topic.read_quorum = read;
        one.loaded.config.topic.unclean_election = number >= 343;
        config_settle(&one.target, &one.problems);

        bool is_possible = write <= replicas && read <= replicas;
        bool is_safe = write + read > replicas || number >= 343;
        CHECK((one.problems.count == 0) == (is_possible && is_safe));
    }
}

/* The problem stands where the value that has to change came from. */
TEST(config_settle, names_the_key_and_where_it_came_from)
{
    settle("{\"replication\": {\"quorum\": {\"replication_factor\": 3,\n\"write_quorum\": 4}}}");
    config_case_check(&one, "c.json:2:17: replication.quorum.write_quorum: found 4; allowed: at "
                            "most replication_factor, which is 3");
    settle("{\"replication\": {\"quorum\": {\"replication_factor\": 3,\n\"read_quorum\": 5}}}");
    config_case_check(&one, "c.json:2:16: replication.quorum.read_quorum: found 5; allowed: at "
                            "most replication_factor, which is 3");
    settle("{\"replication\": {\"quorum\": {\"replication_factor\": 3,\n\"write_quorum\": 1, "
           "\"read_quorum\": 1}}}");
    config_case_check(&one, "c.json:2:17: replication.quorum.write_quorum: found 1; allowed: more "
                            "than replication_factor 3 together with read_quorum 1; or "
                            "unclean_election true, where a failover may lose acknowledged "
                            "records");
    settle("{\"replication\": {\"quorum\": {\"replication_factor\": 3, \"write_quorum\": 1, "
           "\"read_quorum\": 1, \"unclean_election\": true}}}");
    config_case_check(&one, NULL);
    config_case_begin(&one);
    config_override(&one.target, "replication.quorum.write_quorum=2", &one.problems);
    config_settle(&one.target, &one.problems);
    config_case_check(&one, "--set: replication.quorum.write_quorum: found 2; allowed: at most "
                            "replication_factor, which is 1");
}

/* As the embedded log refuses them. */
TEST(config_settle, refuses_policies_that_exclude_each_other)
{
    settle("{\"topics\": {\"defaults\": {\"hand_over_at_once\": true}}}");
    config_case_check(&one, "c.json:1:47: topics.defaults.hand_over_at_once: found true; allowed: "
                            "true only where topics.defaults.sync is \"os\"");
    settle("{\"topics\": {\"defaults\": {\"hand_over_at_once\": true, \"sync\": \"os\"}}}");
    config_case_check(&one, NULL);
    settle("{\"storage\": {\"segment_config\": {\"sync_on_write\": true}}}");
    config_case_check(&one, "c.json:1:50: storage.segment_config.sync_on_write: found true; "
                            "allowed: true only where storage.cache_config.enabled is false");
    settle("{\"storage\": {\"segment_config\": {\"sync_on_write\": true}, "
           "\"cache_config\": {\"enabled\": false}}}");
    config_case_check(&one, NULL);
}
