/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/varint - the writer, and the readers for numbers of more than two bytes.
 */
#include "base/varint.h"

#include "base/assert.h"

enum { GROUP_BITS = 7, GROUP_MASK = 0x7F, MORE_FOLLOWS = 0x80 };

size_t varint_put(uint8_t *data, int64_t value)
{
    ASSERT(data);

    uint64_t folded = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    size_t count = 0;
    for (; folded > GROUP_MASK; folded >>= GROUP_BITS) {
        data[count++] = (uint8_t)(folded | MORE_FOLLOWS);
    }
    data[count++] = (uint8_t)folded;

    ASSERT(count == varint_bytes(value)); /* VAR-1 */
    return count;
}

/* Read a folded number of at most @bytes_max bytes, whose last byte holds at most @last_max. Return
 * how many bytes it took, 0 if it is none. */
static size_t get_folded(struct bytes data,
                         size_t bytes_max,
                         uint8_t last_max,
                         uint64_t *ret_folded)
{
    ASSERT(bytes_max <= VARINT64_BYTES_MAX);
    ASSERT(data.data || data.count == 0);

    uint64_t folded = 0;
    size_t count_max = data.count < bytes_max ? data.count : bytes_max; /* VAR-2 */
    size_t index = 0;
    while (index < count_max && data.data[index] >= MORE_FOLLOWS) {
        folded |= (uint64_t)(data.data[index] & GROUP_MASK) << (GROUP_BITS * index);
        index++;
    }
    if (index == count_max || (index + 1 == bytes_max && data.data[index] > last_max)) {
        return 0;
    }
    *ret_folded = folded | (uint64_t)data.data[index] << (GROUP_BITS * index);
    return index + 1;
}

size_t varint_get64_slow(struct bytes data, int64_t *ret_value)
{
    ASSERT(ret_value);

    /* Nine groups are 63 bits: the tenth byte may hold one more. */
    uint64_t folded = 0;
    size_t count = get_folded(data, VARINT64_BYTES_MAX, 1, &folded);
    if (count > 0) {
        *ret_value = (int64_t)((folded >> 1) ^ (UINT64_C(0) - (folded & 1U)));
    }
    return count;
}

size_t varint_get32_slow(struct bytes data, int32_t *ret_value)
{
    ASSERT(ret_value);

    /* Four groups are 28 bits: the fifth byte may hold four more. */
    uint64_t folded = 0;
    size_t count = get_folded(data, VARINT32_BYTES_MAX, 0x0F, &folded);
    if (count > 0) {
        uint32_t narrow = (uint32_t)folded;
        *ret_value = (int32_t)((narrow >> 1) ^ (0U - (narrow & 1U)));
    }
    return count;
}
