/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/team - starting the threads together, and their loop.
 *
 * A paced member reckons each step's latency from when it was due, not from when it got round to
 * it: otherwise one long step would hide the wait of all steps behind it (coordinated omission).
 */
#include "team.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

#define NS_A_SECOND UINT64_C(1000000000)

/* What the members share. */
struct team {
    const struct team_options *options;
    pthread_barrier_t start;
};

struct member {
    struct team *team;
    uint64_t number;
    pthread_t thread;
    struct histogram *latency;
    uint64_t end_ns;
};

/* Sleep until @due_ns, unless it is past; return when the step begins to count: when it was due. */
static uint64_t wait_until(uint64_t due_ns, uint64_t now_ns)
{
    if (now_ns < due_ns) {
        struct timespec due = {.tv_sec = (time_t)(due_ns / NS_A_SECOND),
                               .tv_nsec = (long)(due_ns % NS_A_SECOND)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return due_ns;
}

static void *member_run(void *ctx)
{
    struct member *member = ctx;
    const struct team_options *options = member->team->options;
    (void)pthread_barrier_wait(&member->team->start);
    uint64_t start_ns = bench_now_ns();
    uint64_t limit_ns = start_ns + (uint64_t)(options->seconds * 1e9);
    bool is_paced = options->steps_a_second > 0;
    uint64_t pace_ns = is_paced ? NS_A_SECOND * options->members / options->steps_a_second : 0;
    /* The members of a paced team take turns within the first pace. */
    uint64_t due_ns = start_ns + pace_ns * member->number / options->members;

    uint64_t now_ns = start_ns;
    for (uint64_t round = 0; now_ns < limit_ns; round++) {
        /* Without a pace the end of a step is the beginning of the next: one look at the clock. */
        uint64_t begin_ns = is_paced ? wait_until(due_ns, now_ns) : now_ns;
        options->step(options->ctx, member->number, round);
        now_ns = bench_now_ns();
        histogram_record(member->latency, now_ns > begin_ns ? now_ns - begin_ns : 0, 1);
        due_ns += pace_ns;
    }
    member->end_ns = now_ns;
    return NULL;
}

uint64_t team_run(const struct team_options *options, struct histogram *ret_latency)
{
    ASSERT(options->members > 0);
    ASSERT(options->members <= TEAM_MEMBERS_MAX);

    struct team team = {.options = options};
    struct member *members = calloc(options->members, sizeof *members);
    if (!members || pthread_barrier_init(&team.start, NULL, (unsigned)options->members + 1) != 0) {
        bench_fail("no memory for a team");
    }
    for (uint64_t number = 0; number < options->members; number++) {
        members[number] =
            (struct member){.team = &team, .number = number, .latency = bench_histogram()};
        int err = pthread_create(&members[number].thread, NULL, member_run, &members[number]);
        if (err != 0) {
            bench_fail("start a thread: %s", strerror(err));
        }
    }

    uint64_t start_ns = bench_begin();
    (void)pthread_barrier_wait(&team.start);
    uint64_t end_ns = start_ns;
    for (uint64_t number = 0; number < options->members; number++) {
        (void)pthread_join(members[number].thread, NULL);
        histogram_merge(ret_latency, members[number].latency);
        end_ns = members[number].end_ns > end_ns ? members[number].end_ns : end_ns;
        free(members[number].latency);
    }
    (void)bench_end(start_ns);
    (void)pthread_barrier_destroy(&team.start);
    free(members);
    return end_ns - start_ns;
}
