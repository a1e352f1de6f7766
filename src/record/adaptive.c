/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/adaptive - the rule and its sums.
 */
#include "record/adaptive.h"

#include "base/assert.h"

bool adaptive_should_try(struct adaptive *adaptive, size_t bytes)
{
    ASSERT(adaptive->counters.kept <= adaptive->counters.tried);
    ASSERT(adaptive->counters.tried <= adaptive->counters.batches);
    ASSERT(adaptive->backoff <= ADAPTIVE_BACKOFF_MAX);
    ASSERT(adaptive->skip_left < 1U << adaptive->backoff); /* REC-7: never fewer. */

    adaptive->counters.batches++;
    if (bytes < ADAPTIVE_BYTES_MIN) {
        return false;
    }
    if (adaptive->skip_left > 0) {
        adaptive->skip_left--;
        return false;
    }
    return true;
}

size_t adaptive_room(size_t bytes)
{
    ASSERT(bytes >= ADAPTIVE_BYTES_MIN);
    size_t room = bytes - bytes / ADAPTIVE_SAVED_SHARE;
    ASSERT(room < bytes);
    return room;
}

bool adaptive_learn(struct adaptive *adaptive,
                    size_t bytes,
                    size_t packed_bytes,
                    uint64_t duration_ns)
{
    ASSERT(bytes >= ADAPTIVE_BYTES_MIN);
    ASSERT(adaptive->skip_left == 0);
    ASSERT(adaptive->counters.tried < adaptive->counters.batches); /* It was asked for. */

    bool is_kept = packed_bytes > 0 && packed_bytes <= adaptive_room(bytes); /* REC-7 */
    if (is_kept) {
        adaptive->backoff = 0;
        adaptive->counters.kept++;
    } else {
        if (adaptive->backoff < ADAPTIVE_BACKOFF_MAX) {
            adaptive->backoff++;
        }
        adaptive->skip_left = (1U << adaptive->backoff) - 1;
    }
    adaptive->counters.tried++;
    adaptive->counters.bytes_in += bytes;
    adaptive->counters.bytes_out += is_kept ? packed_bytes : bytes;
    adaptive->counters.duration_ns += duration_ns;
    return is_kept;
}
