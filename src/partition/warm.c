/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/warm - one page ahead.
 */
#include "partition/warm.h"

#include "base/assert.h"
#include "base/limits.h"

void warm_init(struct warm *warm, struct io_loop *loop, struct cache *cache)
{
    ASSERT(loop);
    ASSERT(cache->io);

    *warm = (struct warm){.loop = loop, .cache = cache};
}

static void warm_run(struct io_job *job)
{
    struct warm *warm = job->ctx;
    ASSERT(warm->is_running);
    ASSERT(!warm->data);

    warm->data = io_alloc_raw(warm->cache->io, IO_LARGE_PAGE_BYTES, IO_LARGE_PAGE_BYTES);
    for (size_t at = 0; warm->data && at < IO_LARGE_PAGE_BYTES; at += BLOCK_BYTES) {
        warm->data[at] = 0;
    }
}

static void warm_done(struct io_job *job)
{
    struct warm *warm = job->ctx;
    ASSERT(warm->is_running);

    warm->is_running = false;
    bool is_given = warm->data && cache_give_page(warm->cache, warm->data);
    warm->data = NULL;
    if (!is_given) {
        warm->cache->takes_pages = false; /* Until the next chunk is taken: memory is short now. */
    }
}

void warm_step(struct warm *warm)
{
    ASSERT(warm->loop);
    ASSERT(warm->is_running || !warm->data);

    if (warm->is_running || !cache_wants_page(warm->cache)) {
        return;
    }
    warm->is_running = true;
    warm->job = (struct io_job){.run = warm_run, .done = warm_done, .ctx = warm};
    io_job_start(warm->loop, &warm->job);
}

void warm_end(struct warm *warm)
{
    ASSERT(warm->loop || !warm->is_running);

    while (warm->is_running) {
        io_loop_wait(warm->loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(warm->loop);
    }
    ASSERT(!warm->data);
}
