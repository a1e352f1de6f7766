/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/pool - the threads that run jobs.
 *
 * Part of the path:  io_job_start -> [queue] -> a pool thread: job->run() -> the loop: job->done()
 *
 * One queue in order of arrival, a few threads. They block all signals. A pool that is stopped has
 * no job left: each loop is drained before it is destroyed, and the pool is stopped after the
 * loops.
 *
 * Threads: pool_push from any thread. Memory: jobs belong to their submitter.
 */
#ifndef IO_POOL_H
#define IO_POOL_H

#include <pthread.h>

#include "base/limits.h"
#include "io/io.h"

struct pool {
    pthread_mutex_t lock; /* Guards all below. */
    pthread_cond_t arrived;
    struct io_job *first; /* Jobs that no thread has taken, oldest first. */
    struct io_job *last;
    bool is_stopping;
    uint32_t thread_count;
    pthread_t threads[IO_JOB_THREADS_MAX];
};

/** Start @pool with @thread_count threads. Return 0 or an errno value. Undone by pool_stop. */
MUST_CHECK int pool_start(struct pool *pool, uint32_t thread_count);

/** Stop @pool when its queue is empty, and join its threads. */
void pool_stop(struct pool *pool);

/** Queue @job, which the pool keeps until its loop has it back. */
void pool_push(struct pool *pool, struct io_job *job);

#endif /* IO_POOL_H */
