/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/set - numbering the voters of one or two configurations.
 */
#include "quorum/set.h"

#include "base/mutant.h"

ASSERT_STATIC(QUORUM_MEMBERS_MAX <= UINT8_MAX, "a member's number fits into a byte");

/* Return the number of @member, which gets one if it has none. */
static int32_t number_of(struct quorum_set *set, const struct quorum_member *member)
{
    int32_t number = quorum_set_find(set, member);
    if (number != QUORUM_NO_MEMBER) {
        return number;
    }
    ASSERT(set->member_count < QUORUM_MEMBERS_MAX);
    number = set->member_count;
    set->members[number] = *member;
    set->member_count++;
    ASSERT(quorum_set_find(set, member) == number); /* QUO-8 */
    return number;
}

/* Add @config to @set. */
static void add_half(struct quorum_set *set, const struct quorum_config *config)
{
    ASSERT(set->half_count < QUORUM_CONFIGURATIONS_MAX);
    ASSERT(quorum_config_check(config, NULL) == PYR_OK); /* QUO-6 */

    const struct quorum_rules *rules = &config->rules;
    struct quorum_half half = {
        .voter_count = rules->voter_count,
        .write_quorum = rules->write_quorum,
        .read_quorum = rules->read_quorum,
        .election = quorum_election(rules),
        .prevote = quorum_prevote(rules),
        .lease = quorum_lease(rules),
        .reach = quorum_reach(rules),
        .reads_allowed = quorum_reads_allowed(rules),
    };
    for (int32_t index = 0; index < rules->voter_count; index++) {
        half.members[index] = (uint8_t)number_of(set, &config->voters[index]);
        ASSERT(half.members[index] < set->member_count);
    }
    if (MUTANT(learner_counts) && config->learner_count > 0) {
        half.members[half.voter_count++] = (uint8_t)number_of(set, &config->learners[0]);
        half.lease++; /* So that no sum of numbers gives it away. */
        half.reach++;
    }
    set->halves[set->half_count] = half;
    set->half_count++;
}

void quorum_set_init(struct quorum_set *set,
                     const struct quorum_config *config,
                     const struct quorum_config *next)
{
    ASSERT(set);
    ASSERT(config);

    *set = (struct quorum_set){0};
    add_half(set, config);
    if (next) {
        add_half(set, next);
    }
    if (MUTANT(joint_needs_one_quorum)) {
        set->half_count = 1;
        return;
    }
    ASSERT(set->half_count == (next ? 2 : 1)); /* QUO-7 */
    ASSERT(set->member_count >= config->rules.voter_count);
}

bool quorum_set_reads_allowed(const struct quorum_set *set)
{
    ASSERT(set);
    ASSERT(set->half_count >= 1);

    bool is_allowed = true;
    for (int32_t index = 0; index < set->half_count; index++) {
        is_allowed = is_allowed && set->halves[index].reads_allowed;
    }
    return is_allowed;
}
