/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core of replication in clusters on paper, under everything that may happen to messages,
 * journals and nodes: replication/replica.c with replication/peers.c, replication/voter.c,
 * replication/candidate.c, replication/leader.c, replication/progress.c, replication/slow.c,
 * replication/follower.c and replication/reads.c.
 */
#include <stdio.h>

#include "lib/case.h"
#include "paper.h"

enum { STEPS = 20000, SETTLE_STEPS = 60000, CHANGE_WEIGHT = 10 };

/* A kind of walk. */
struct walk {
    const struct quorum_rules *rules;
    int32_t learner_count;
    int32_t spare_count; /* Nodes for changes of members, which happen if there are any. */
    bool is_calm;
};

static void walk_seed(const struct walk *walk, uint64_t seed, struct paper_counts *sum)
{
    static struct paper paper;
    paper_begin_with(&paper, seed, walk->rules, walk->learner_count);
    paper_spare(&paper, walk->spare_count);
    paper.weights = walk->is_calm ? paper_calm() : paper_drawn(seed);
    paper.weights.change = walk->spare_count > 0 ? CHANGE_WEIGHT : 0;
    for (int step = 0; step < STEPS && !paper.violation; step++) {
        paper_step(&paper);
    }
    bool is_settled = paper.violation || paper_settle(&paper, SETTLE_STEPS);
    if (paper.violation || !is_settled) {
        fail_msg("N %d, W %d, seed %llu, step %llu: %s", walk->rules->voter_count,
                 walk->rules->write_quorum, (unsigned long long)seed,
                 (unsigned long long)paper.counts.steps,
                 paper.violation ? paper.violation : "does not settle");
    }
    sum->commits += paper.counts.commits;
    sum->openings += paper.counts.openings;
    sum->truncations += paper.counts.truncations;
    sum->crashes += paper.counts.crashes;
    sum->rivals += paper.counts.rivals;
    sum->leases += paper.counts.leases;
    sum->reads += paper.counts.reads;
    sum->barriers += paper.counts.barriers;
    sum->changes += paper.counts.changes;
    sum->changes_ended += paper.counts.changes_ended;
}

static void walk_seeds(const struct walk *walk, uint64_t seeds)
{
    struct paper_counts sum = {0};
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        walk_seed(walk, seed, &sum);
    }
    print_message("# N %d, W %d: %llu commits, %llu openings, %llu cuts, %llu crashes, %llu "
                  "rivals, %llu leases, %llu reads, %llu of them by barrier, %llu changes, %llu "
                  "ended\n",
                  walk->rules->voter_count, walk->rules->write_quorum,
                  (unsigned long long)sum.commits, (unsigned long long)sum.openings,
                  (unsigned long long)sum.truncations, (unsigned long long)sum.crashes,
                  (unsigned long long)sum.rivals, (unsigned long long)sum.leases,
                  (unsigned long long)sum.reads, (unsigned long long)sum.barriers,
                  (unsigned long long)sum.changes, (unsigned long long)sum.changes_ended);
    CHECK(sum.commits > seeds);
    CHECK(sum.openings >= seeds);
    CHECK(sum.barriers > seeds);
    CHECK(sum.reads > sum.barriers);
    CHECK(walk->spare_count == 0 || sum.changes_ended > seeds);
}

static const struct quorum_rules all_rules[] = {
    {.voter_count = 1, .write_quorum = 1, .read_quorum = 1},
    {.voter_count = 2, .write_quorum = 2, .read_quorum = 1},
    {.voter_count = 3, .write_quorum = 1, .read_quorum = 3},
    {.voter_count = 3, .write_quorum = 2, .read_quorum = 2},
    {.voter_count = 3, .write_quorum = 3, .read_quorum = 1},
    {.voter_count = 4, .write_quorum = 3, .read_quorum = 2},
    {.voter_count = 5, .write_quorum = 3, .read_quorum = 3},
    {.voter_count = 5, .write_quorum = 4, .read_quorum = 2},
};

static void walk_all(bool is_calm, uint64_t seeds)
{
    for (size_t index = 0; index < sizeof all_rules / sizeof all_rules[0]; index++) {
        walk_seeds(&(struct walk){.rules = &all_rules[index], .is_calm = is_calm},
                   case_scale(seeds));
    }
}

TEST(replica, keeps_its_promises_in_calm_weather)
{
    walk_all(true, 20);
}

TEST(replica, keeps_its_promises_in_all_weathers)
{
    walk_all(false, 1000);
}

TEST(replica, keeps_its_promises_with_learners)
{
    for (size_t index = 0; index < sizeof all_rules / sizeof all_rules[0]; index++) {
        struct walk walk = {.rules = &all_rules[index], .learner_count = 1 + (int32_t)index % 2};
        if (walk.rules->voter_count + walk.learner_count <= PAPER_NODES_MAX) {
            walk_seeds(&walk, case_scale(300));
        }
    }
}

/* Any configuration of five nodes may follow on any other, with any W, under all that may happen
 * to messages, journals and nodes meanwhile. */
TEST(replica, keeps_its_promises_while_members_change)
{
    for (size_t index = 0; index < sizeof all_rules / sizeof all_rules[0]; index++) {
        struct walk walk = {.rules = &all_rules[index],
                            .spare_count = PAPER_NODES_MAX - all_rules[index].voter_count};
        if (walk.spare_count > 0) {
            walk_seeds(&walk, case_scale(300));
        }
    }
}
