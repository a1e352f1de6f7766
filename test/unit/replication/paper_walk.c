/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/paper - choosing what happens next.
 */
#include <string.h>

#include "paper.h"

static void time_pass(struct paper *paper)
{
    paper->now_ns += 1 + prng_below(&paper->prng, PAPER_TIMEOUT_NS / 20);
    for (int32_t number = 0; number < paper->node_count; number++) {
        struct paper_node *node = &paper->nodes[number];
        if (node->is_up && replica_deadline_ns(&node->replica) <= paper->now_ns) {
            bool hangs = node->op_count > 0 && prng_below(&paper->prng, 8) == 0;
            paper_tell(paper, number,
                       (struct replica_event){.kind = REPLICA_EVENT_TIME,
                                              .waiting_ns = hangs ? 2 * PAPER_TIMEOUT_NS : 0},
                       NULL);
        }
        if (node->is_up && node->replica.role == REPLICA_LEADER &&
            prng_below(&paper->prng, 4) == 0) {
            paper_beat(paper, number);
        }
        paper->counts.leases += node->is_up && replica_lease_holds(&node->replica, paper->now_ns);
    }
}

static void flush(struct paper *paper, int32_t number)
{
    const struct paper_node *node = &paper->nodes[number];
    if (node->op_count > 0) {
        paper_flush(paper, number, 1 + (uint32_t)prng_below(&paper->prng, node->op_count));
    }
}

static void trouble(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    int32_t other = (int32_t)prng_below(&paper->prng, (uint64_t)paper->node_count);
    bool is_leader = node->replica.role == REPLICA_LEADER;
    uint32_t crash_weight = is_leader ? paper->weights.crash_leader : paper->weights.crash;
    if (node->is_up && paper_chance(paper, crash_weight)) {
        paper_crash(paper, number, (uint32_t)prng_below(&paper->prng, node->op_count + 1));
    }
    if (paper_chance(paper, paper->weights.cut) && other != number) {
        paper->cuts[number][other] = true;
    }
    if (paper_chance(paper, paper->weights.heal)) {
        memset(paper->cuts, 0, sizeof paper->cuts);
    }
    if (paper_chance(paper, paper->weights.hand_over) && node->is_up && other != number) {
        paper_tell(paper, number,
                   (struct replica_event){.kind = REPLICA_EVENT_HAND_OVER, .member = other}, NULL);
    }
}

void paper_step(struct paper *paper)
{
    paper->counts.steps++;
    int32_t number = (int32_t)prng_below(&paper->prng, (uint64_t)paper->node_count);
    trouble(paper, number);
    if (!paper->nodes[number].is_up) {
        if (paper_chance(paper, paper->weights.restart)) {
            paper_start(paper, number);
        }
        return;
    }
    if (paper_chance(paper, paper->weights.read)) {
        paper_read_begin(paper, number, prng_below(&paper->prng, 2) == 0);
    }
    if (paper_chance(paper, paper->weights.change)) {
        struct quorum_config next;
        if (prng_below(&paper->prng, 4) == 0) {
            paper_config_draw_learners(paper, number, &next);
        } else {
            paper_config_draw(paper, &next);
        }
        (void)paper_change(paper, number, &next);
    }
    if (paper_chance(paper, paper->weights.time)) {
        time_pass(paper);
    } else if (paper_chance(paper, paper->weights.propose)) {
        (void)paper_propose(paper, number);
    } else if (paper_chance(paper, paper->weights.flush)) {
        flush(paper, number);
    } else if (paper->message_count > 0) {
        uint64_t index = prng_below(&paper->prng, paper->message_count);
        if (paper_chance(paper, paper->weights.lose)) {
            paper->messages[index] = paper->messages[--paper->message_count];
        } else {
            paper_deliver(paper, index, paper_chance(paper, paper->weights.repeat));
        }
    }
}

struct paper_weights paper_calm(void)
{
    return (
        struct paper_weights){.time = 60, .propose = 20, .flush = 250, .restart = 50, .read = 10};
}

struct paper_weights paper_drawn(uint64_t seed)
{
    struct prng prng = prng_of(seed, 2);
    struct paper_weights weights = paper_calm();
    weights.time = 20 + (uint32_t)prng_below(&prng, 100);
    weights.flush = 10 + (uint32_t)prng_below(&prng, 300);
    weights.read = (uint32_t)prng_below(&prng, 40);
    weights.restart = 5 + (uint32_t)prng_below(&prng, 200);
    uint32_t *troubles[] = {&weights.lose,          &weights.repeat,       &weights.crash,
                            &weights.crash_promise, &weights.crash_leader, &weights.cut,
                            &weights.heal,          &weights.hand_over};
    static const uint32_t most[] = {200, 200, 4, 400, 10, 8, 8, 4};
    for (size_t kind = 0; kind < sizeof most / sizeof most[0]; kind++) {
        *troubles[kind] = (uint32_t)prng_below(&prng, 2 * most[kind] + 1);
        *troubles[kind] = *troubles[kind] > most[kind] ? 0 : *troubles[kind];
    }
    weights.heal += 1;
    return weights;
}

static bool is_settled(const struct paper *paper, uint64_t commits)
{
    const struct paper_config *config = paper_config_committed(paper);
    bool is_level = paper->counts.commits > commits && !config->is_joint;
    for (int32_t number = 0; number < paper->node_count; number++) {
        const struct paper_node *node = &paper->nodes[number];
        bool is_told = node->is_up && node->replica.committed == paper->committed_end;
        is_level = is_level && (is_told || !paper_is_peer(&config->config, number));
    }
    return is_level;
}

bool paper_settle(struct paper *paper, uint64_t steps)
{
    paper->weights = paper_calm();
    paper->is_settling = true;
    memset(paper->cuts, 0, sizeof paper->cuts);
    paper->message_count = 0;
    uint64_t commits = paper->counts.commits;
    for (uint64_t step = 0; step < steps; step++) {
        paper_step(paper);
        if (is_settled(paper, commits)) {
            return true;
        }
    }
    return false;
}
