/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two theorems that all safety rests on, by enumeration over every set of voters, with the
 * code's own decisions as what a quorum is (quorum/commit.c, quorum/votes.c, quorum/set.c).
 *
 *   1. Every write quorum meets every election quorum, W + E > N; with E one less it does not.
 *   2. In a change from one configuration to another, every write quorum of the joint set meets
 * every election quorum of the old, the joint and the new; those of the old and the new alone do
 * not meet each other.
 */
#include "draw.h"
#include "lib/case.h"
#include "quorum/commit.h"
#include "quorum/votes.h"

enum { NODES = 5, MASKS = 1 << NODES, CHOICES_MAX = 80 };

/* Which sets of nodes are quorums, by the code's own decision. */
struct quorums {
    bool commits[MASKS];
    bool elects[MASKS];
};

/* Ask the code about every set of nodes under @set. */
static void quorums_of(const struct quorum_set *set, struct quorums *quorums)
{
    for (uint32_t mask = 0; mask < MASKS; mask++) {
        int64_t ends[QUORUM_MEMBERS_MAX];
        enum quorum_answer answers[QUORUM_MEMBERS_MAX];
        for (int32_t member = 0; member < set->member_count; member++) {
            bool is_in = mask & draw_bit(set, member);
            ends[member] = is_in ? 1 : QUORUM_END_UNKNOWN;
            answers[member] = is_in ? QUORUM_ANSWER_GRANTED : QUORUM_ANSWER_REFUSED;
        }
        quorums->commits[mask] = quorum_commit_end(set, ends, 0, 0) == 1;
        quorums->elects[mask] = quorum_decide_election(set, answers) == QUORUM_DECISION_YES;
    }
}

/* Return whether every set in @left meets every set in @right. */
static bool all_meet(const bool *left, const bool *right)
{
    for (uint32_t pair = 0; pair < MASKS * MASKS; pair++) {
        uint32_t mask = pair / MASKS;
        uint32_t other = pair % MASKS;
        if (left[mask] && right[other] && (mask & other) == 0) {
            return false;
        }
    }
    return true;
}

/* Fill @configs with each choice of voters out of the nodes and of W; return how many. */
static size_t choices_fill(struct quorum_config *configs)
{
    size_t count = 0;
    for (uint32_t mask = 1; mask < MASKS; mask++) {
        for (int32_t write = 1; write <= __builtin_popcount(mask); write++) {
            CHECK(count < CHOICES_MAX);
            configs[count++] = draw_mask(mask, write);
        }
    }
    return count;
}

/* QUO-3: and one vote less is one too few, for every N up to five and every W. */
TEST(quorum_theorem, every_write_quorum_meets_every_election_quorum)
{
    static struct quorum_config configs[CHOICES_MAX];
    size_t count = choices_fill(configs);
    CHECK_INT(count, CHOICES_MAX);

    for (size_t index = 0; index < count; index++) {
        struct quorum_set set;
        struct quorums quorums;
        quorum_set_init(&set, &configs[index], NULL);
        quorums_of(&set, &quorums);
        CHECK(all_meet(quorums.commits, quorums.elects));

        if (set.halves[0].election == 1) {
            continue; /* W = N: without any vote nobody is elected. */
        }
        set.halves[0].election--; /* W + E = N. */
        quorums_of(&set, &quorums);
        CHECK(!all_meet(quorums.commits, quorums.elects));
    }
}

/* An unclean election is one that may miss a write quorum: the flag says neither more nor less. */
TEST(quorum_theorem, fails_exactly_where_records_may_be_lost)
{
    static struct quorum_config configs[CHOICES_MAX];
    size_t count = choices_fill(configs);

    for (size_t index = 0; index < count; index++) {
        configs[index].rules.read_quorum = 1;
        configs[index].rules.unclean_election = true;
        struct quorum_set set;
        struct quorums quorums;
        quorum_set_init(&set, &configs[index], NULL);
        quorums_of(&set, &quorums);
        CHECK_INT(all_meet(quorums.commits, quorums.elects),
                  !quorum_may_lose(&configs[index].rules));
    }
}

/* QUO-3, QUO-7: over all 6,400 changes between configurations of five nodes. */
TEST(quorum_theorem, holds_across_every_change_of_members)
{
    static struct quorum_config configs[CHOICES_MAX];
    static struct quorums alone[CHOICES_MAX];
    size_t count = choices_fill(configs);
    for (size_t index = 0; index < count; index++) {
        struct quorum_set set;
        quorum_set_init(&set, &configs[index], NULL);
        quorums_of(&set, &alone[index]);
    }

    size_t apart = 0; /* Changes for which a switch at once would not be safe. */
    for (size_t pair = 0; pair < count * count; pair++) {
        size_t from = pair / count;
        size_t to = pair % count;
        struct quorum_set set;
        struct quorums joint;
        quorum_set_init(&set, &configs[from], &configs[to]);
        quorums_of(&set, &joint);
        CHECK(all_meet(joint.commits, alone[from].elects));
        CHECK(all_meet(joint.commits, joint.elects));
        CHECK(all_meet(joint.commits, alone[to].elects));
        CHECK(all_meet(alone[from].commits, joint.elects));
        CHECK(all_meet(alone[to].commits, joint.elects));
        apart += !all_meet(alone[from].commits, alone[to].elects) ||
                 !all_meet(alone[to].commits, alone[from].elects);
    }
    CHECK(apart > count);
}
