/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_tally - what a sweep came to so far: which seeds are done, and the sums over them.
 *
 *     done      1-4710  4712-4712          ranges, ascending, never touching each other
 *     events    2^14: 210 seeds  2^15: 4501 seeds ...
 *
 * Seeds end in another order than they begin, by as many as there are processes; a sweep that is
 * taken up again begins with the gaps. So a few ranges are all that there ever are.
 *
 * Invariants:
 *   SMP-2  No seed is counted twice.
 *
 * Threads: one owner.   Memory: the heap.
 */
#ifndef CLI_SIM_TALLY_H
#define CLI_SIM_TALLY_H

#include "base/err.h"
#include "sim/cluster/world.h"

enum {
    SIM_EVENT_BUCKETS = 40,
    SIM_VIOLATIONS_KEPT = 100, /* More are counted, and told while they happen. */
};

/* Of one seed, as it comes from the process that ran it. */
struct sim_outcome {
    uint64_t seed;
    struct world_result result;
    uint64_t processor_ns;
    bool was_repeated;    /* It was run twice, */
    bool is_unrepeatable; /* and was not the same run. */
};

/* Seeds from first to last, both included. */
struct sim_range {
    uint64_t first;
    uint64_t last;
};

/* A seed that violated something, and the sentence. */
struct sim_violation {
    uint64_t seed;
    char text[WORLD_VIOLATION_BYTES];
};

struct sim_tally {
    struct sim_range *ranges; /* Of done seeds. */
    size_t range_count;
    size_t range_room;
    uint64_t done;
    uint64_t counted; /* By world_result_counts. */
    uint64_t repeated;
    uint64_t violated;
    struct sim_violation *violations; /* The first of them. */
    size_t violation_count;
    uint64_t processor_ns;
    uint64_t wall_ns; /* Of all parts. */
    uint64_t virtual_ns;
    uint64_t heal_ns_max;
    uint64_t counts[WORLD_COUNT_END];
    uint64_t faults[WORLD_FAULT_END];
    uint64_t events[SIM_EVENT_BUCKETS]; /* Seeds with 2^n to 2^(n+1) - 1 events. */
};

/** Make @tally empty. */
void sim_tally_init(struct sim_tally *tally);

/** Free what @tally holds. */
void sim_tally_deinit(struct sim_tally *tally);

/** Return whether @seed is done. */
bool sim_tally_has(const struct sim_tally *tally, uint64_t seed);

/** Return the first seed from @seed on that is not done. */
uint64_t sim_tally_next(const struct sim_tally *tally, uint64_t seed);

/** Note seeds as done, none of which is. */
void sim_tally_mark(struct sim_tally *tally, struct sim_range range);

/** Add a violation to those kept, if there is room. Borrows @text. */
void sim_tally_violation(struct sim_tally *tally, uint64_t seed, const char *text);

/** Add @outcome, of a seed that is not done yet. */
void sim_tally_add(struct sim_tally *tally, const struct sim_outcome *outcome);

#endif /* CLI_SIM_TALLY_H */
