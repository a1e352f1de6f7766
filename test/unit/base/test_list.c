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

/* LST-2: random operations, with an array of numbers as the oracle. */
TEST(list, behaves_like_an_array)
{
    struct list list;
    list_init(&list);
    struct list_node nodes[NODES] = {0};
    size_t order[NODES];
    size_t count = 0;
    struct prng prng = prng_of(1, 1);

    for (int round = 0; round < 20000; round++) {
        size_t which = prng_below(&prng, NODES);
        if (list_is_linked(&nodes[which])) {
            size_t at = 0;
            while (order[at] != which) {
                at++;
            }
            memmove(order + at, order + at + 1, (count - at - 1) * sizeof order[0]);
            count--;
            list_remove(&nodes[which]);
        } else if (prng_chance(&prng, 1, 2)) {
            memmove(order + 1, order, count * sizeof order[0]);
            order[0] = which;
            count++;
            list_push_front(&list, &nodes[which]);
        } else {
            order[count++] = which;
            list_push_back(&list, &nodes[which]);
        }

        size_t at = 0;
        LIST_FOREACH (node, &list) {
            CHECK(at < count);
            CHECK(node == &nodes[order[at]]);
            at++;
        }
        CHECK_INT(at, count);
    }
}
