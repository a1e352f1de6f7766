/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/timers - adding to and removing from the pairing heap.
 */
#include "io/timers.h"

#include "base/assert.h"

static bool is_before(const struct io_timer *one, const struct io_timer *two)
{
    if (one->deadline_ns != two->deadline_ns) {
        return one->deadline_ns < two->deadline_ns;
    }
    return one->order < two->order;
}

/* Make one heap of two, each of which may be NULL and has no siblings. */
static struct io_timer *meld(struct io_timer *left, struct io_timer *right)
{
    if (!left || !right) {
        return left ? left : right;
    }
    ASSERT(!left->sibling);
    ASSERT(!right->sibling);

    struct io_timer *root = is_before(right, left) ? right : left;
    struct io_timer *lower = root == left ? right : left;
    lower->sibling = root->child;
    if (root->child) {
        root->child->back = lower;
    }
    lower->back = root;
    root->child = lower;
    return root;
}

/* Take the first of the siblings at *first off their list. */
static struct io_timer *shift(struct io_timer **first)
{
    struct io_timer *timer = *first;
    if (timer) {
        *first = timer->sibling;
        timer->sibling = NULL;
        timer->back = NULL;
    }
    return timer;
}

/* Make one heap of the siblings at `first`: in pairs from left to right, then from right to left.
 * That order is what makes the cost logarithmic. */
static struct io_timer *meld_siblings(struct io_timer *first)
{
    struct io_timer *pairs = NULL;
    while (first) {
        struct io_timer *left = shift(&first);
        struct io_timer *pair = meld(left, shift(&first));
        pair->sibling = pairs;
        pairs = pair;
    }

    struct io_timer *root = NULL;
    while (pairs) {
        root = meld(root, shift(&pairs));
    }
    return root;
}

void timers_add(struct io_timer **root, struct io_timer *timer)
{
    ASSERT(root);
    ASSERT(!timer->is_started);

    timer->child = NULL;
    timer->sibling = NULL;
    timer->back = NULL;
    timer->is_started = true;
    *root = meld(*root, timer);
}

void timers_remove(struct io_timer **root, struct io_timer *timer)
{
    ASSERT(*root);
    ASSERT(timer->is_started);

    if (timer == *root) {
        ASSERT(!timer->back);
        *root = meld_siblings(timer->child);
    } else {
        ASSERT(timer->back);
        if (timer->back->child == timer) {
            timer->back->child = timer->sibling;
        } else {
            timer->back->sibling = timer->sibling;
        }
        if (timer->sibling) {
            timer->sibling->back = timer->back;
        }
        *root = meld(*root, meld_siblings(timer->child));
    }
    timer->child = NULL;
    timer->sibling = NULL;
    timer->back = NULL;
    timer->is_started = false;
}
