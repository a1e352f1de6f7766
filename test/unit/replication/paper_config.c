/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/paper - configurations: records of the log that say who decides.
 *
 * A record whose value is PAPER_CONFIG_VALUE or more is a configuration, the one at that place of
 * the list of all that were ever written. A node goes by the newest in its log.
 */
#include <string.h>

#include "paper.h"

struct quorum_member paper_member(int32_t number)
{
    return (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
}

int32_t paper_config_newest(const struct paper_record *records, int64_t end, int64_t *ret_end)
{
    for (int64_t offset = end - 1; offset >= 0; offset--) {
        if (records[offset].value >= PAPER_CONFIG_VALUE) {
            *ret_end = offset + 1;
            return (int32_t)(records[offset].value - PAPER_CONFIG_VALUE);
        }
    }
    *ret_end = 0;
    return 0;
}

bool paper_config_event(struct paper *paper, int32_t number, struct replica_event *ret_event)
{
    struct paper_node *node = &paper->nodes[number];
    int64_t end = 0;
    int32_t index = paper_config_newest(node->log.records, node->log.offset_end, &end);
    if (index == node->config_index && end == node->config_end) {
        return false;
    }
    node->config_index = index;
    node->config_end = end;
    const struct paper_config *config = &paper->configs[index];
    *ret_event = (struct replica_event){.kind = REPLICA_EVENT_CONFIG,
                                        .now_ns = paper->now_ns,
                                        .offset_end = end,
                                        .config = &config->config,
                                        .config_next = config->is_joint ? &config->next : NULL};
    return true;
}

/* Return the record of a new configuration, or false if there are too many. */
static bool config_add(struct paper *paper,
                       int32_t number,
                       const struct paper_config *config,
                       struct paper_record *ret_record)
{
    const struct paper_node *node = &paper->nodes[number];
    if (paper->config_count == PAPER_CONFIGS_MAX || node->log.offset_end == PAPER_OFFSETS_MAX) {
        return false;
    }
    paper->configs[paper->config_count] = *config;
    *ret_record =
        (struct paper_record){node->replica.promise, PAPER_CONFIG_VALUE + paper->config_count};
    paper->config_count++;
    return true;
}

bool paper_change(struct paper *paper, int32_t number, const struct quorum_config *next)
{
    struct paper_node *node = &paper->nodes[number];
    bool has_room =
        paper->config_count < PAPER_CONFIGS_MAX / 2 && node->log.offset_end < PAPER_OFFSETS_MAX / 2;
    if (!node->is_up || !has_room || !replica_may_change(&node->replica)) {
        return false;
    }
    const struct quorum_config *now = &paper->configs[node->config_index].config;
    bool is_joint = now->rules.voter_count != next->rules.voter_count ||
                    now->rules.write_quorum != next->rules.write_quorum ||
                    memcmp(now->voters, next->voters, sizeof now->voters) != 0;
    struct paper_config change = {.config = is_joint ? *now : *next,
                                  .next = *next,
                                  .is_joint = is_joint};
    struct paper_record record;
    if (!config_add(paper, number, &change, &record)) {
        return false;
    }
    paper->counts.changes += is_joint;
    paper_append(paper, number, record);
    paper_tell(
        paper, number,
        (struct replica_event){.kind = REPLICA_EVENT_APPENDED, .offset_end = node->log.offset_end},
        NULL);
    return true;
}

bool paper_change_end(struct paper *paper, int32_t number)
{
    const struct paper_config *joint = &paper->configs[paper->nodes[number].config_index];
    struct paper_record record;
    bool is_possible =
        config_add(paper, number, &(struct paper_config){.config = joint->next}, &record);
    if (is_possible) {
        paper->counts.changes_ended++;
        paper_append(paper, number, record);
    }
    return is_possible;
}

const struct paper_config *paper_config_committed(const struct paper *paper)
{
    int64_t end = 0;
    return &paper->configs[paper_config_newest(paper->committed, paper->committed_end, &end)];
}

bool paper_is_peer(const struct quorum_config *config, int32_t number)
{
    struct quorum_member member = paper_member(number);
    bool is_peer = false;
    for (int32_t index = 0; index < config->rules.voter_count; index++) {
        is_peer = is_peer || quorum_member_equal(&config->voters[index], &member);
    }
    for (int32_t index = 0; index < config->learner_count; index++) {
        is_peer = is_peer || quorum_member_equal(&config->learners[index], &member);
    }
    return is_peer;
}

void paper_config_draw(struct paper *paper, struct quorum_config *ret_config)
{
    struct quorum_config config = {0};
    int32_t first = (int32_t)prng_below(&paper->prng, (uint64_t)paper->node_count);
    int32_t wanted = 1 + (int32_t)prng_below(&paper->prng, (uint64_t)paper->node_count);
    for (int32_t index = 0; index < paper->node_count; index++) {
        struct quorum_member member = paper_member((first + index) % paper->node_count);
        if (config.rules.voter_count < wanted && prng_below(&paper->prng, 4) > 0) {
            config.voters[config.rules.voter_count++] = member;
        } else if (prng_below(&paper->prng, 4) == 0) {
            config.learners[config.learner_count++] = member;
        }
    }
    if (config.rules.voter_count == 0) {
        config.voters[config.rules.voter_count++] = paper_member(first);
        config.learner_count = 0;
    }
    int32_t n = config.rules.voter_count;
    config.rules.write_quorum = 1 + (int32_t)prng_below(&paper->prng, (uint64_t)n);
    config.rules.read_quorum = n - config.rules.write_quorum + 1;
    *ret_config = config;
}

void paper_config_draw_learners(struct paper *paper,
                                int32_t number,
                                struct quorum_config *ret_config)
{
    struct quorum_config config = paper->configs[paper->nodes[number].config_index].config;
    struct quorum_config drawn;
    paper_config_draw(paper, &drawn);
    memset(config.learners, 0, sizeof config.learners);
    config.learner_count = 0;
    for (int32_t index = 0; index < drawn.learner_count; index++) {
        bool votes = false;
        for (int32_t voter = 0; voter < config.rules.voter_count; voter++) {
            votes = votes || quorum_member_equal(&config.voters[voter], &drawn.learners[index]);
        }
        if (!votes) {
            config.learners[config.learner_count++] = drawn.learners[index];
        }
    }
    *ret_config = config;
}
