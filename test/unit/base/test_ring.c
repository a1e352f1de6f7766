/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue between threads. The cases with threads are also run under the thread sanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "base/ring.h"
#include "lib/case.h"

enum { PRODUCERS = 4, ITEMS_EACH = 20000, CELLS = 16 };

/* -- Fixture: several producers, and a consumer that sleeps on a semaphore -- */

struct item {
    int producer;
    int number;
};

struct stage {
    struct ring ring;
    struct ring_cell cells[CELLS];
    sem_t wake;
    _Atomic uint64_t wakes;
    struct item items[PRODUCERS][ITEMS_EACH];
};

struct producer {
    struct stage *stage;
    int number;
    pthread_t thread;
};

static void *produce(void *ctx)
{
    struct producer *producer = ctx;
    struct stage *stage = producer->stage;
    for (int number = 0; number < ITEMS_EACH; number++) {
        struct item *item = &stage->items[producer->number][number];
        *item = (struct item){.producer = producer->number, .number = number};
        bool must_wake = false;
        while (!ring_push(&stage->ring, item, &must_wake)) {
            (void)sched_yield();
        }
        if (must_wake) {
            stage->wakes++;
            (void)sem_post(&stage->wake);
        }
    }
    return NULL;
}

static uint64_t *word(uint64_t *words, size_t index)
{
    return &words[index];
}

/* -- One thread -- */

/* RNG-3: back-pressure, never growth; and the ring goes on after it was full. */
TEST(ring_push, refuses_when_full)
{
    struct ring ring;
    struct ring_cell cells[4];
    ring_init(&ring, cells, 4);
    uint64_t words[5];
    bool must_wake = true;

    for (int round = 0; round < 3; round++) {
        for (size_t index = 0; index < 4; index++) {
            CHECK(ring_push(&ring, word(words, index), &must_wake));
        }
        CHECK(!ring_push(&ring, word(words, 4), &must_wake));
        CHECK(ring_pop(&ring) == word(words, 0));
        CHECK(ring_push(&ring, word(words, 4), &must_wake));
        for (size_t index = 1; index < 5; index++) {
            CHECK(ring_pop(&ring) == word(words, index));
        }
        CHECK(!ring_pop(&ring));
    }
}

/* A busy consumer must not be woken by a system call for each item, a sleeping one exactly once. */
TEST(ring_push, asks_for_a_wake_once_and_only_when_armed)
{
    struct ring ring;
    struct ring_cell cells[4];
    ring_init(&ring, cells, 4);
    uint64_t words[4];
    bool must_wake = true;

    CHECK(ring_push(&ring, word(words, 0), &must_wake));
    CHECK(!must_wake);
    CHECK(!ring_arm(&ring));
    CHECK(ring_push(&ring, word(words, 1), &must_wake));
    CHECK(!must_wake);
    CHECK(ring_pop(&ring));
    CHECK(ring_pop(&ring));
    CHECK(ring_arm(&ring));
    CHECK(ring_push(&ring, word(words, 2), &must_wake));
    CHECK(must_wake);
    CHECK(ring_push(&ring, word(words, 3), &must_wake));
    CHECK(!must_wake);
}

/* A consumer woken by a timer is awake. */
TEST(ring_disarm, takes_back_the_wish_to_be_woken)
{
    struct ring ring;
    struct ring_cell cells[4];
    ring_init(&ring, cells, 4);
    uint64_t words[1];
    bool must_wake = true;

    CHECK(ring_arm(&ring));
    ring_disarm(&ring);

    CHECK(ring_push(&ring, word(words, 0), &must_wake));
    CHECK(!must_wake);
}

/* -- Many threads -- */

static void sleep_until_woken(struct stage *stage)
{
    int result = -1;
    while (result != 0) {
        result = sem_wait(&stage->wake); /* A signal may end it early. */
    }
}

/* Pop everything, asleep whenever the ring allows it. Return whether each producer's items came in
 * their order; count the sleeps. */
static bool consume(struct stage *stage, uint64_t *sleeps)
{
    int expected[PRODUCERS] = {0};
    bool is_ordered = true;
    for (int popped = 0; popped < PRODUCERS * ITEMS_EACH;) {
        const struct item *item = ring_pop(&stage->ring);
        if (item) {
            is_ordered = is_ordered && item->number == expected[item->producer];
            expected[item->producer]++;
            popped++;
        } else if (ring_arm(&stage->ring)) {
            ++*sleeps;
            sleep_until_woken(stage);
        }
    }
    return is_ordered;
}

/* RNG-1 and RNG-2: nothing is lost, doubled or reordered, and the consumer, which sleeps without a
 * limit whenever it may, never sleeps through an item: a lost wake hangs this test. */
TEST(ring, carries_everything_in_order_between_threads)
{
    struct stage *stage = calloc(1, sizeof *stage);
    CHECK(stage);
    ring_init(&stage->ring, stage->cells, CELLS);
    CHECK_INT(sem_init(&stage->wake, 0, 0), 0);
    struct producer producers[PRODUCERS];
    for (int number = 0; number < PRODUCERS; number++) {
        producers[number] = (struct producer){.stage = stage, .number = number};
        CHECK_INT(pthread_create(&producers[number].thread, NULL, produce, &producers[number]), 0);
    }

    uint64_t sleeps = 0;
    bool is_ordered = consume(stage, &sleeps);
    for (int number = 0; number < PRODUCERS; number++) {
        CHECK_INT(pthread_join(producers[number].thread, NULL), 0);
    }

    CHECK(is_ordered);
    CHECK(!ring_pop(&stage->ring));
    CHECK(stage->wakes >= sleeps); /* One may come just after the consumer looked. */
    (void)sem_destroy(&stage->wake);
    free(stage);
}
