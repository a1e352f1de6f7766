/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/ring - a bounded queue from many threads to one, that says when the one must be woken.
 *
 * Part of the path:  any thread -> [ring] -> the thread that owns a loop
 *
 * Data crosses threads only here. A cell has a turn number that says whose it is:
 *
 *   turn == position              free, for the producer that takes this position
 *   turn == position + 1          filled, for the consumer
 *   turn == position + capacity   free again, for the next round
 *
 * A producer takes a position by compare-and-swap on the tail, fills the cell, then publishes it
 * by its turn. A full ring refuses: back-pressure, never growth.
 *
 * Waking a sleeping thread costs a system call, so that a producer must know whether it is needed.
 * The consumer arms the ring before it sleeps and looks once more; a producer publishes and then
 * looks at the flag. Both pairs are sequentially consistent, so that at least one sees the other:
 *
 *   consumer: armed = 1 ------> is a cell filled? no: sleep
 *   producer: fill, publish --> armed? take it (only one gets it): wake
 *
 * While the consumer is busy a push makes no system call; while it sleeps, only the first does. A
 * wake may still come late, when the consumer has seen the item by itself: it must bear that.
 *
 * Invariants:
 *   RNG-1  Every item pushed is popped once; items of one producer in the order of their pushes.
 *   RNG-2  If ring_arm() said that the consumer may sleep, the next push says that it must wake it.
 *   RNG-3  The ring never holds more than its capacity.
 *
 * Threads: push from any; pop, arm and disarm from the one consumer.   Memory: the cells are the
 * caller's, the items too.
 * Reference: D. Vyukov, "Bounded MPMC queue"; folly's AtomicNotificationQueue.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What different threads write lies on different cache lines. */
#define RING_LINE_BYTES 64

/* One place of the ring. */
struct ring_cell {
    _Atomic uint64_t turn;
    void *item;
};

/* The queue. Fields are private. */
struct ring {
    alignas(RING_LINE_BYTES) _Atomic uint64_t tail; /* The next position to fill. */
    alignas(RING_LINE_BYTES) _Atomic bool is_armed; /* The consumer sleeps or is about to. */
    alignas(RING_LINE_BYTES) uint64_t head;         /* The next position to pop; the consumer's. */
    struct ring_cell *cells;
    uint64_t cell_mask;
};

/** Make @ring empty, over @cell_count cells, a power of two. Keeps @cells as long as it is used. */
void ring_init(struct ring *ring, struct ring_cell *cells, size_t cell_count);

/**
 * Put @item, not NULL, at the end. From any thread; never blocks.
 *
 * @ret_must_wake says whether the caller must wake the consumer now. Returns false if the ring is
 * full. Keeps @item until it is popped.
 */
bool ring_push(struct ring *ring, void *item, bool *ret_must_wake);

/** Take the first item, or return NULL if there is none. Consumer only; gives the item back. */
void *ring_pop(struct ring *ring);

/**
 * Prepare to sleep. Consumer only.
 *
 * Returns true if the consumer may sleep: the next push will say that it must be woken. Returns
 * false if there is an item to pop first; the ring is then not armed.
 */
bool ring_arm(struct ring *ring);

/** Say that the consumer is awake, by whatever reason. Consumer only. */
void ring_disarm(struct ring *ring);

#endif /* BASE_RING_H */
