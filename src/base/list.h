/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/list - a doubly linked list whose links lie inside its elements.
 *
 * The list allocates nothing and its operations take constant time. It is a circle through a node
 * of its own, so that no operation has a special case for the first or the last element:
 *
 *   +--> ends <--> element's node <--> element's node <--+
 *   +----------------------------------------------------+
 *
 *   struct timer { ...; struct list_node node; };
 *   list_push_back(&timers, &timer->node);
 *   LIST_FOREACH(node, &timers) {
 *       struct timer *timer = container_of(node, struct timer, node);
 *   }
 *
 * Invariants:
 *   LST-1  A node is in at most one list; outside of one both links are NULL.
 *   LST-2  Both neighbours of a node point back at it.
 *
 * Threads: the owner of the list.   Memory: the elements belong to the caller.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"
#include "base/bytes.h"

/* The links of one element. Zeroed memory is a node outside of every list. */
struct list_node {
    struct list_node *previous;
    struct list_node *next;
};

/* A list. list_init() first. */
struct list {
    struct list_node ends;
};

/** Make @list empty, whatever it held. */
static inline void list_init(struct list *list)
{
    ASSERT(list);

    list->ends = (struct list_node){.previous = &list->ends, .next = &list->ends};
}

/** Return whether @list has no element. */
static inline bool list_is_empty(const struct list *list)
{
    ASSERT(list->ends.next);

    return list->ends.next == &list->ends;
}

/** Return whether @node is in a list. */
static inline bool list_is_linked(const struct list_node *node)
{
    return node->next != NULL;
}

/** Put @node between @previous and what follows it. Keeps @node until list_remove(). */
static inline void list_insert_after(struct list_node *previous, struct list_node *node)
{
    ASSERT(!list_is_linked(node)); /* LST-1 */
    ASSERT(list_is_linked(previous));

    node->previous = previous;
    node->next = previous->next;
    previous->next->previous = node;
    previous->next = node;
}

/** Put @node first in @list. Keeps @node until list_remove(). */
static inline void list_push_front(struct list *list, struct list_node *node)
{
    list_insert_after(&list->ends, node);
}

/** Put @node last in @list. Keeps @node until list_remove(). */
static inline void list_push_back(struct list *list, struct list_node *node)
{
    list_insert_after(list->ends.previous, node);
}

/** Take @node out of the list that it is in. */
static inline void list_remove(struct list_node *node)
{
    ASSERT(list_is_linked(node));
    ASSERT(node->previous->next == node); /* LST-2 */
    ASSERT(node->next->previous == node); /* LST-2 */

    node->previous->next = node->next;
    node->next->previous = node->previous;
    *node = (struct list_node){.previous = NULL, .next = NULL};
}

/** Return the first node of @list, NULL if it is empty. */
static inline struct list_node *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->ends.next;
}

/** Return the last node of @list, NULL if it is empty. */
static inline struct list_node *list_last(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->ends.previous;
}

/** Take the first node out of @list and return it, NULL if the list is empty. */
static inline struct list_node *list_pop_front(struct list *list)
{
    struct list_node *node = list_first(list);
    if (node) {
        list_remove(node);
    }
    return node;
}

/* Walk @list from the first node to the last. The body may remove the node it stands on. */
#define LIST_FOREACH(node, list)                                                     \
    for (struct list_node * (node) = (list)->ends.next, *node##_next = (node)->next; \
         (node) != &(list)->ends; (node) = node##_next, node##_next = (node)->next)

#endif /* BASE_LIST_H */
