/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_tally - ranges that grow together, and sums.
 */
#include "cli/sim_tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { RANGES_FIRST = 16 };

void sim_tally_init(struct sim_tally *tally)
{
    *tally = (struct sim_tally){.range_room = RANGES_FIRST};
    tally->ranges = calloc(RANGES_FIRST, sizeof *tally->ranges);
    tally->violations = calloc(SIM_VIOLATIONS_KEPT, sizeof *tally->violations);
    ASSERT(tally->ranges);
    ASSERT(tally->violations);
}

void sim_tally_deinit(struct sim_tally *tally)
{
    ASSERT(tally->range_count <= tally->range_room);
    free(tally->ranges);
    free(tally->violations);
}

/* Return the first range that does not end before @seed. */
static size_t range_find(const struct sim_tally *tally, uint64_t seed)
{
    size_t index = 0;
    while (index < tally->range_count && tally->ranges[index].last < seed) {
        index++;
    }
    ASSERT(index <= tally->range_count);
    return index;
}

bool sim_tally_has(const struct sim_tally *tally, uint64_t seed)
{
    size_t index = range_find(tally, seed);
    ASSERT(index == tally->range_count || tally->ranges[index].last >= seed);
    return index < tally->range_count && tally->ranges[index].first <= seed;
}

uint64_t sim_tally_next(const struct sim_tally *tally, uint64_t seed)
{
    size_t index = range_find(tally, seed);
    bool is_done = index < tally->range_count && tally->ranges[index].first <= seed;
    uint64_t next = is_done ? tally->ranges[index].last + 1 : seed;
    ASSERT(next >= seed);
    return next; /* Ranges never touch. */
}

/* Take range @index out. */
static void range_remove(struct sim_tally *tally, size_t index)
{
    ASSERT(index < tally->range_count);
    tally->range_count--;
    memmove(&tally->ranges[index], &tally->ranges[index + 1],
            (tally->range_count - index) * sizeof *tally->ranges);
}

void sim_tally_mark(struct sim_tally *tally, struct sim_range range)
{
    ASSERT(range.first <= range.last);
    size_t index = range_find(tally, range.first);
    ASSERT(index == tally->range_count || tally->ranges[index].first > range.last); /* SMP-2 */
    tally->done += range.last - range.first + 1;
    bool joins_before = index > 0 && tally->ranges[index - 1].last + 1 == range.first;
    bool joins_behind = index < tally->range_count && tally->ranges[index].first == range.last + 1;
    if (joins_before && joins_behind) {
        tally->ranges[index - 1].last = tally->ranges[index].last;
        range_remove(tally, index);
        return;
    }
    if (joins_before) {
        tally->ranges[index - 1].last = range.last;
        return;
    }
    if (joins_behind) {
        tally->ranges[index].first = range.first;
        return;
    }
    if (tally->range_count == tally->range_room) {
        tally->range_room *= 2;
        ASSERT(tally->range_room > 0);
        tally->ranges = realloc(tally->ranges, tally->range_room * sizeof *tally->ranges);
        ASSERT(tally->ranges);
    }
    memmove(&tally->ranges[index + 1], &tally->ranges[index],
            (tally->range_count - index) * sizeof *tally->ranges);
    tally->ranges[index] = range;
    tally->range_count++;
}

void sim_tally_violation(struct sim_tally *tally, uint64_t seed, const char *text)
{
    ASSERT(text != NULL);
    if (tally->violation_count == SIM_VIOLATIONS_KEPT) {
        return;
    }
    size_t place = tally->violation_count++;
    for (; place > 0 && tally->violations[place - 1].seed > seed; place--) {
        tally->violations[place] = tally->violations[place - 1];
    }
    tally->violations[place].seed = seed;
    (void)snprintf(tally->violations[place].text, sizeof tally->violations[place].text, "%s", text);
}

/* Return n where @events are 2^n to 2^(n+1) - 1. */
static size_t bucket_of(uint64_t events)
{
    size_t bucket = 0;
    while (bucket < SIM_EVENT_BUCKETS - 1 && events >> (bucket + 1) > 0) {
        bucket++;
    }
    ASSERT(bucket < SIM_EVENT_BUCKETS);
    return bucket;
}

void sim_tally_add(struct sim_tally *tally, const struct sim_outcome *outcome)
{
    const struct world_result *result = &outcome->result;
    ASSERT(!sim_tally_has(tally, outcome->seed)); /* SMP-2 */
    sim_tally_mark(tally, (struct sim_range){outcome->seed, outcome->seed});
    tally->repeated += outcome->was_repeated ? 1 : 0;
    tally->counted += world_result_counts(result) ? 1 : 0;
    if (result->verdict != WORLD_GOOD) {
        tally->violated++;
        sim_tally_violation(tally, outcome->seed, result->violation);
    }
    tally->processor_ns += outcome->processor_ns;
    tally->virtual_ns += result->virtual_ns;
    tally->heal_ns_max =
        result->heal_ns > tally->heal_ns_max ? result->heal_ns : tally->heal_ns_max;
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        tally->counts[count] += result->counts[count];
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        tally->faults[fault] += result->faults[fault];
    }
    uint64_t events = result->counts[WORLD_COUNT_events];
    tally->events[bucket_of(events)] += events > 0 ? 1 : 0; /* 0: its process died. */
}
