/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/timers - the heap of a loop's timers.
 *
 * A pairing heap threaded through the timers themselves: adding is O(1), taking the first or any
 * other one O(log n) on average. A heap in an array would need memory, and starting a timer must
 * not be able to fail; a sorted list is slow with a thousand partitions, each with a timer of its
 * own.
 *
 *      root (earliest)            `child` goes down to the first child, `sibling` right,
 *        |                        `back` to the left sibling, or up from a first child.
 *       [a] - [b] - [c]           No timer is later than its children.
 *        |           |
 *       [d]         [e]
 *
 * Order is by deadline, then by the order of starting, so that equal deadlines replay alike.
 */
#ifndef IO_TIMERS_H
#define IO_TIMERS_H

#include "io/io.h"

/** Add @timer, with its deadline and order set, to the heap at *@root. */
void timers_add(struct io_timer **root, struct io_timer *timer);

/** Remove @timer, which is in it, from the heap at *@root. */
void timers_remove(struct io_timer **root, struct io_timer *timer);

#endif /* IO_TIMERS_H */
