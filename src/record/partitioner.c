/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/partitioner - murmur2, with Kafka's seed.
 *
 * Reference: A. Appleby's MurmurHash2; org.apache.kafka.common.utils.Utils.murmur2.
 */
#include "record/partitioner.h"

#include "base/assert.h"
#include "base/codec.h"

#define MURMUR_SEED   UINT32_C(0x9747b28c)
#define MURMUR_FACTOR UINT32_C(0x5bd1e995)

enum { WORD_BYTES = 4, WORD_SHIFT = 24, END_SHIFT_FIRST = 13, END_SHIFT_SECOND = 15 };

uint32_t partitioner_murmur2(struct bytes key)
{
    ASSERT(key.data || key.count == 0);
    ASSERT(key.count <= INT32_MAX);

    uint32_t hash = MURMUR_SEED ^ (uint32_t)key.count;
    const uint8_t *at = key.data;
    size_t rest = key.count;
    for (; rest >= WORD_BYTES; rest -= WORD_BYTES, at += WORD_BYTES) {
        uint32_t word = get_le32(at) * MURMUR_FACTOR;
        word = (word ^ word >> WORD_SHIFT) * MURMUR_FACTOR;
        hash = hash * MURMUR_FACTOR ^ word;
    }
    if (rest > 0) {
        /* The last bytes, the first of them lowest. */
        uint32_t tail = 0;
        for (size_t index = rest; index > 0; index--) {
            tail = tail << 8 | at[index - 1];
        }
        hash = (hash ^ tail) * MURMUR_FACTOR;
    }
    hash = (hash ^ hash >> END_SHIFT_FIRST) * MURMUR_FACTOR;
    return hash ^ hash >> END_SHIFT_SECOND;
}

int32_t partitioner_partition(struct bytes key, int32_t partition_count)
{
    ASSERT(partition_count >= 1);

    int32_t partition = (int32_t)(partitioner_murmur2(key) & INT32_MAX) % partition_count;
    ASSERT(partition >= 0);
    return partition;
}
