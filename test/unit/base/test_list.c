/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intrusive list, against an array that does the same.
 */
#include "base/list.h"
#include "base/prng.h"
#include "lib/case.h"

enum { NODES = 32 };

static void push_twice(void *ctx)
{
    struct list list;
    list_init(&list);
    struct list_node node = {0};
    list_push_back(&list, &node);
    list_push_back(ctx ? ctx : &list, &node);
}

static void remove_unlinked(void *ctx)
{
    (void)ctx;
    struct list_node node = {0};
    list_remove(&node);
}

TEST(list, is_empty_at_first)
{
    struct list list;

    list_init(&list);

    CHECK(list_is_empty(&list));
    CHECK(!list_first(&list));
    CHECK(!list_last(&list));
    CHECK(!list_pop_front(&list));
}

/* LST-1: an element in two lists corrupts both. */
TEST(list, aborts_when_a_node_is_pushed_twice_or_removed_from_nowhere)
{
    EXPECT_ABORT(push_twice, NULL);
    EXPECT_ABORT(remove_unlinked, NULL);
}

/* Timers are removed by the walk that fires them. */
TEST(list, lets_a_walk_remove_the_node_it_stands_on)
{
    struct list list;
    list_init(&list);
    struct list_node nodes[4] = {0};
    for (int index = 0; index < 4; index++) {
        list_push_back(&list, &nodes[index]);
    }

    int walked = 0;
    LIST_FOREACH (node, &list) {
        CHECK(node == &nodes[walked]);
        if (walked % 2 == 0) {
            list_remove(node);
        }
        walked++;
    }

    CHECK_INT(walked, 4);
    CHECK(list_first(&list) == &nodes[1]);
    CHECK(list_last(&list) == &nodes[3]);
    CHECK(!list_is_linked(&nodes[0]));
}

/* An array of node numbers that does what the list should do. */
struct oracle {
    size_t order[NODES];
    size_t count;
};

static void oracle_insert(struct oracle *oracle, size_t at, size_t which)
{
    memmove(oracle->order + at + 1, oracle->order + at, (oracle->count - at) * sizeof(size_t));
    oracle->order[at] = which;
    oracle->count++;
}

static void oracle_remove(struct oracle *oracle, size_t which)
{
    size_t kept = 0;
    for (size_t at = 0; at < oracle->count; at++) {
        if (oracle->order[at] != which) {
            oracle->order[kept++] = oracle->order[at];
        }
    }
    oracle->count = kept;
}

static bool oracle_agrees(const struct oracle *oracle,
                          const struct list *list,
                          const struct list_node *nodes)
{
    size_t at = 0;
    LIST_FOREACH (node, list) {
        if (at == oracle->count || node != &nodes[oracle->order[at]]) {
            return false;
        }
        at++;
    }
    return at == oracle->count;
}

/* LST-2: random operations, with an array of numbers as the oracle. */
TEST(list, behaves_like_an_array)
{
    struct list list;
    list_init(&list);
    struct list_node nodes[NODES] = {0};
    struct oracle oracle = {0};
    struct prng prng = prng_of(1, 1);

    for (int round = 0; round < 20000; round++) {
        size_t which = prng_below(&prng, NODES);
        if (list_is_linked(&nodes[which])) {
            oracle_remove(&oracle, which);
            list_remove(&nodes[which]);
        } else if (prng_chance(&prng, 1, 2)) {
            oracle_insert(&oracle, 0, which);
            list_push_front(&list, &nodes[which]);
        } else {
            oracle_insert(&oracle, oracle.count, which);
            list_push_back(&list, &nodes[which]);
        }
        CHECK(oracle_agrees(&oracle, &list, nodes));
    }
}
