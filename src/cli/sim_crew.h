/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_crew - processes that run seeds, a seed at a time.
 *
 *     sweep --order: a seed--> [process] --outcome--> sweep
 *                                 |
 *                                 +-- dies: the seed is named, what it wrote to stderr is its
 * reason
 *
 * A process and not a thread, so that an assertion that fails ends one seed and not the sweep: the
 * rest goes on, in a process that takes the place of the dead one. Each writes its errors into
 * memory of its own, emptied before each seed. A process that takes too long is killed. All of them
 * die with the one that started them.
 *
 * Every hundredth seed is run twice; both runs must be the same, event for event.
 *
 * Threads: the one that calls.   Memory: the heap.
 */
#ifndef CLI_SIM_CREW_H
#define CLI_SIM_CREW_H

#include <poll.h>
#include <sys/types.h>

#include "cli/sim_options.h"
#include "cli/sim_tally.h"

/* Seeds that this divides are run twice. */
enum { SIM_REPEAT_EVERY = 100 };

/* The sentence for a seed that was killed for its slowness: its history would be endless too. */
#define SIM_SLOW_TEXT "it took longer than --patience"

/* One process. */
struct sim_worker {
    pid_t pid;      /* 0: none. */
    int order_fd;   /* Seeds go in here, */
    int outcome_fd; /* and struct sim_outcome come out. */
    int errors_fd;  /* Its stderr, in memory. */
    bool is_busy;
    uint64_t seed;     /* That it runs while it is busy, */
    uint64_t since_ns; /* since then. */
};

struct sim_crew {
    const struct sim_options *options;
    size_t count;
    struct sim_worker *workers;
    struct pollfd *fds; /* One a worker, and one for signals. */
};

/** Return how many processes @options ask for. */
size_t sim_crew_jobs(const struct sim_options *options);

/** Run @seed in this process, once or twice, and fill @ret_outcome. */
void sim_crew_run(const struct sim_options *options,
                  uint64_t seed,
                  struct sim_outcome *ret_outcome);

/** Prepare @count processes; none is started yet. Keeps @options. */
void sim_crew_init(struct sim_crew *crew, const struct sim_options *options, size_t count);

/** End all processes, whatever they do, and free what @crew holds. */
void sim_crew_deinit(struct sim_crew *crew);

/** Return a worker that has nothing to do, or NULL. */
struct sim_worker *sim_crew_idle(struct sim_crew *crew);

/** Return whether some worker is busy. */
bool sim_crew_is_busy(const struct sim_crew *crew);

/** Have the idle @worker run @seed, in a new process if it has none. */
MUST_CHECK enum pyr_err sim_crew_order(struct sim_crew *crew,
                                       struct sim_worker *worker,
                                       uint64_t seed,
                                       struct pyr_error *reterr);

/** Wait until a worker has an outcome, @signal_fd has a signal, or @timeout_ms have passed. Return
 * whether there is an outcome, in @ret_outcome. A process that died or was too slow has one too. */
bool sim_crew_wait(struct sim_crew *crew,
                   int signal_fd,
                   int timeout_ms,
                   struct sim_outcome *ret_outcome);

#endif /* CLI_SIM_CREW_H */
