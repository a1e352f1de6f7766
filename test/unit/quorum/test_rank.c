/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The k-th largest against sorting (quorum/rank.h).
 */
#include <stdlib.h>

#include "draw.h"
#include "lib/case.h"
#include "quorum/rank.h"

static int descending(const void *left, const void *right)
{
    uint64_t first = *(const uint64_t *)left;
    uint64_t second = *(const uint64_t *)right;
    return (first < second) - (first > second);
}

/* Equal values, zeros and the largest number there is: what sorting says. */
TEST(quorum_ranked, is_the_kth_of_the_sorted_values)
{
    struct prng prng = prng_of(draw_seed("quorum_ranked"), 5);
    static const uint64_t some[] = {0, 0, 1, 2, 3, 5, UINT64_MAX - 1, UINT64_MAX};

    enum { SOME = sizeof some / sizeof some[0] };

    uint64_t count = case_scale(200000);

    for (uint64_t round = 0; round < count; round++) {
        uint64_t values[QUORUM_VOTERS_MAX];
        uint64_t sorted[QUORUM_VOTERS_MAX];
        int32_t voters = (int32_t)prng_between(&prng, 1, QUORUM_VOTERS_MAX);
        for (int32_t voter = 0; voter < voters; voter++) {
            values[voter] = sorted[voter] = some[prng_below(&prng, SOME)];
        }
        qsort(sorted, (size_t)voters, sizeof sorted[0], descending);
        for (int32_t rank = 1; rank <= voters; rank++) {
            CHECK(quorum_ranked(values, voters, rank) == sorted[rank - 1]);
        }
    }
}
