/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/warm - a large page at a time.
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
    ASSERT(warm->block);
    ASSERT(!warm->block->is_free); /* ARN-4 */

    for (size_t at = 0; at < warm->block->bytes; at += BLOCK_BYTES) {
        warm->block->data[at] = 0;
    }
}

static void warm_done(struct io_job *job)
{
    struct warm *warm = job->ctx;
    ASSERT(warm->block);

    cache_warm_end(warm->cache, warm->block);
    warm->block = NULL;
}

void warm_step(struct warm *warm)
{
    ASSERT(warm->loop);
    ASSERT(warm->cache);

    if (warm->block) {
        return;
    }
    warm->block = cache_warm_begin(warm->cache);
    if (warm->block) {
        warm->job = (struct io_job){.run = warm_run, .done = warm_done, .ctx = warm};
        io_job_start(warm->loop, &warm->job);
    }
}

void warm_end(struct warm *warm)
{
    ASSERT(warm->loop || !warm->block);

    while (warm->block) {
        io_loop_wait(warm->loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(warm->loop);
    }
}
