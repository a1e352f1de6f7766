/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/rank - the highest value that so many voters have reached.
 *
 * Commit points, leases and reach all ask it: which is the highest number such that at least k
 * voters are there or further? It is the k-th largest value.
 *
 *     A 7   B 5   C 9       k = 2: 7, since A and C have reached it, and only C anything above
 *
 * It is found the way it is defined: for each value count who has reached it. With the three to
 * nine voters that there are, N * N comparisons without a branch are faster than to sort, and need
 * no memory but the values.
 *
 * Threads: pure function.
 */
#ifndef QUORUM_RANK_H
#define QUORUM_RANK_H

#include <stdint.h>

#include "base/assert.h"
#include "base/limits.h"

/** Return the highest of the @count numbers at @values that at least @rank of them reach. Borrows.
 */
static inline uint64_t quorum_ranked(const uint64_t *values, int32_t count, int32_t rank)
{
    ASSERT(count <= QUORUM_VOTERS_MAX);
    ASSERT(rank >= 1);
    ASSERT(rank <= count);

    uint64_t highest = 0;
    for (int32_t index = 0; index < count; index++) {
        uint64_t value = values[index];
        int32_t reached = 0;
        for (int32_t other = 0; other < count; other++) {
            reached += values[other] >= value;
        }
        highest = reached >= rank && value > highest ? value : highest;
    }
    return highest;
}

#endif /* QUORUM_RANK_H */
