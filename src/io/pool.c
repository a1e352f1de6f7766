/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/pool - job threads: take the oldest job, run it, hand it to its loop.
 */
#include "io/pool.h"

#include <errno.h>

#include "base/assert.h"
#include "io/kernel.h"
#include "io/loop.h"

/* Take the oldest job, or NULL when the pool stops. */
static struct io_job *pool_take(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->is_stopping) {
        (void)pthread_cond_wait(&pool->arrived, &pool->lock);
    }
    struct io_job *job = pool->first;
    if (job) {
        pool->first = job->next;
        pool->last = pool->first ? pool->last : NULL;
        job->next = NULL;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *pool_run(void *ctx)
{
    struct pool *pool = ctx;

    for (struct io_job *job = pool_take(pool); job; job = pool_take(pool)) {
        job->run(job);
        loop_job_finished(job->loop, job);
    }
    return NULL;
}

int pool_start(struct pool *pool, uint32_t thread_count)
{
    ASSERT(pool);
    ASSERT(thread_count > 0);
    ASSERT(thread_count <= IO_JOB_THREADS_MAX);

    *pool = (struct pool){0};
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->arrived, NULL);
    for (uint32_t index = 0; index < thread_count; index++) {
        int error = kernel_thread_start(&pool->threads[index], "pyr-job", pool_run, pool);
        if (error != 0) {
            pool_stop(pool);
            return error;
        }
        pool->thread_count++;
    }
    return 0;
}

void pool_stop(struct pool *pool)
{
    ASSERT(pool);

    (void)pthread_mutex_lock(&pool->lock);
    ASSERT(!pool->is_stopping);
    pool->is_stopping = true;
    (void)pthread_cond_broadcast(&pool->arrived);
    (void)pthread_mutex_unlock(&pool->lock);

    for (uint32_t index = 0; index < pool->thread_count; index++) {
        (void)pthread_join(pool->threads[index], NULL);
    }
    ASSERT(!pool->first); /* IO-1: no job is dropped. */
    (void)pthread_cond_destroy(&pool->arrived);
    (void)pthread_mutex_destroy(&pool->lock);
}

void pool_push(struct pool *pool, struct io_job *job)
{
    ASSERT(pool);
    ASSERT(job->run);
    ASSERT(job->loop);

    job->next = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    ASSERT(!pool->is_stopping);
    if (pool->last) {
        pool->last->next = job;
    } else {
        pool->first = job;
    }
    pool->last = job;
    (void)pthread_cond_signal(&pool->arrived);
    (void)pthread_mutex_unlock(&pool->lock);
}
