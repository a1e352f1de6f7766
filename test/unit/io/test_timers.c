/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap of timers against a slow, obvious oracle.
 */
#include "io/timers.h"
#include "lib/case.h"

enum { TIMERS = 60, STEPS = 20000 };

/* Return the timer that must be first, by looking at all. */
static struct io_timer *first_of(struct io_timer *timers)
{
    struct io_timer *first = NULL;
    for (int index = 0; index < TIMERS; index++) {
        struct io_timer *timer = &timers[index];
        bool is_earlier =
            timer->is_started &&
            (!first || timer->deadline_ns < first->deadline_ns ||
             (timer->deadline_ns == first->deadline_ns && timer->order < first->order));
        first = is_earlier ? timer : first;
    }
    return first;
}

/* Whatever is added and removed, in whatever order, the root is the earliest. IO-6 */
TEST(timers, always_have_the_earliest_first)
{
    static struct io_timer timers[TIMERS];
    struct io_timer *root = NULL;
    uint64_t number = 12345;

    for (uint64_t step = 0; step < STEPS; step++) {
        number = number * 6364136223846793005U + 1442695040888963407U;
        struct io_timer *timer = &timers[(number >> 33) % TIMERS];
        if (timer->is_started) {
            timers_remove(&root, timer);
        } else {
            timer->deadline_ns = (number >> 40) % 50;
            timer->order = step;
            timers_add(&root, timer);
        }
        if (step % 3 == 0 && root) {
            timers_remove(&root, root);
        }
        CHECK(root == first_of(timers));
    }
}
