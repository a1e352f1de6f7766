/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/ring - the bounded queue and its wake flag.
 */
#include "base/ring.h"

#include "base/assert.h"

void ring_init(struct ring *ring, struct ring_cell *cells, size_t cell_count)
{
    ASSERT(cells);
    ASSERT(cell_count >= 2);
    ASSERT((cell_count & (cell_count - 1)) == 0);

    for (size_t index = 0; index < cell_count; index++) {
        atomic_init(&cells[index].turn, index);
        cells[index].item = NULL;
    }
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->is_armed, false);
    ring->head = 0;
    ring->cells = cells;
    ring->cell_mask = cell_count - 1;
}

bool ring_push(struct ring *ring, void *item, bool *ret_must_wake)
{
    ASSERT(item);
    ASSERT(ret_must_wake);

    /* Every failed round means that another producer went ahead, or that the turn seen was old. */
    uint64_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    struct ring_cell *cell = &ring->cells[position & ring->cell_mask];
    for (bool is_taken = false; !is_taken;) {
        uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        int64_t ahead = (int64_t)(turn - position);
        if (ahead < 0) {
            return false; /* RNG-3: the cell still holds the item of the round before. */
        }
        if (ahead > 0) {
            position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        } else {
            is_taken = atomic_compare_exchange_weak_explicit(
                &ring->tail, &position, position + 1, memory_order_relaxed, memory_order_relaxed);
        }
        if (!is_taken) {
            cell = &ring->cells[position & ring->cell_mask];
        }
    }

    cell->item = item;
    /* Both sequentially consistent, against the pair in ring_arm(). */
    atomic_store(&cell->turn, position + 1);
    *ret_must_wake = atomic_load(&ring->is_armed) && atomic_exchange(&ring->is_armed, false);
    return true;
}

void *ring_pop(struct ring *ring)
{
    ASSERT(ring->cells);

    struct ring_cell *cell = &ring->cells[ring->head & ring->cell_mask];
    uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
    if (turn != ring->head + 1) {
        ASSERT(turn == ring->head); /* RNG-1: nobody but us empties a cell. */
        return NULL;
    }

    void *item = cell->item;
    ASSERT(item);
    cell->item = NULL;
    atomic_store_explicit(&cell->turn, ring->head + ring->cell_mask + 1, memory_order_release);
    ring->head++;
    return item;
}

bool ring_arm(struct ring *ring)
{
    ASSERT(ring->cells);

    /* Both sequentially consistent, against the pair in ring_push(). */
    atomic_store(&ring->is_armed, true);
    const struct ring_cell *cell = &ring->cells[ring->head & ring->cell_mask];
    bool is_empty = atomic_load(&cell->turn) == ring->head;
    if (!is_empty) {
        ring_disarm(ring);
    }
    return is_empty;
}

void ring_disarm(struct ring *ring)
{
    atomic_store_explicit(&ring->is_armed, false, memory_order_relaxed);
}
