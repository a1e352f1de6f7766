/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/warm - memory for the cache's large chunks, touched before an append needs it.
 *
 * Part of the path:  [warm] -> cache -> append
 *
 * The first touch of a large page clears 2 MiB, and on a virtual machine the host has to find them
 * besides: milliseconds, in the middle of an append. A job does that beside the appends: as long as
 * the arenas have free memory that was never touched, it takes a step of a large page out of them,
 * touches it, and gives it back. If too little is free, an arena is made for it, also beside a full
 * cache, whose next chunk may be larger than what eviction sets free.
 *
 *      arena     [chunk|chunk|touched      |touching     |.............]
 *                             ^ free: the    ^ the job's,   ^ its next steps
 *                               next chunk     2 MiB
 *
 * Failure modes: no memory -> nothing is ahead, and the append that needs an arena makes it itself
 *                the appender is faster -> it takes what was not touched, and is slow as without
 *
 * Threads: the shard's owner; the job touches its own block only.   Memory: the cache's.
 */
#ifndef PARTITION_WARM_H
#define PARTITION_WARM_H

#include "partition/cache.h"

/* The step under way. Zeroed is none. */
struct warm {
    struct io_loop *loop;
    struct cache *cache;
    struct io_job job;
    struct arena_block *block; /* The job's; NULL: none runs. */
};

/** Set up @warm to touch memory of @cache by jobs on @loop. Borrows both. */
void warm_init(struct warm *warm, struct io_loop *loop, struct cache *cache);

/** Begin the next step if the cache will want it. */
void warm_step(struct warm *warm);

/** Wait for the step under way. Accepts a zeroed @warm. */
void warm_end(struct warm *warm);

#endif /* PARTITION_WARM_H */
