/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/warm - memory for the cache, made and touched before an append needs it.
 *
 * Part of the path:  [warm] -> cache -> append
 *
 * The first touch of a large page clears 2 MiB, and on a virtual machine the host has to find them
 * besides: milliseconds, in the middle of an append, each 2 MiB until the cache has its full size.
 * A job does that beside the appends, one page ahead of them.
 *
 *      cache     [page][page][page|....]   free: [page]   <- touched by the job, while the one
 *                                                            before it fills
 *
 * Failure modes: no memory -> nothing is ahead, and the append that needs a page makes it itself
 *
 * Threads: the shard's owner; the job touches its own page only.   Memory: one page under way.
 */
#ifndef PARTITION_WARM_H
#define PARTITION_WARM_H

#include "partition/cache.h"

/* The page that is being made. Zeroed is none. */
struct warm {
    struct io_loop *loop;
    struct cache *cache;
    struct io_job job;
    bool is_running;
    uint8_t *data; /* The job's until it is done. */
};

/** Set up @warm to make pages for @cache by jobs on @loop. Borrows both. */
void warm_init(struct warm *warm, struct io_loop *loop, struct cache *cache);

/** Begin the next page if the cache will want it. */
void warm_step(struct warm *warm);

/** Wait for the page that is being made. Accepts a zeroed @warm. */
void warm_end(struct warm *warm);

#endif /* PARTITION_WARM_H */
