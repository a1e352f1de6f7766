/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/varint - whole numbers in as few bytes as they need, as in Kafka's records.
 *
 * A signed number is folded so that small magnitudes become small numbers (zig-zag: 0, -1, 1, -2
 * become 0, 1, 2, 3), then written seven bits a byte, lowest first; the high bit of a byte says
 * that another follows (LEB128).
 *
 *   300  ->  zig-zag 600 = 0b100'1011000  ->  1 1011000, 0 0000100  =  D8 04
 *
 * Most numbers of a record take one or two bytes: those are decoded inline. A number that would
 * need more bits than its type has, or that goes on past the bytes at hand, is refused. Zero
 * groups behind a number's last bit (80 00 for 0) are accepted within the type's length, although
 * they make a second spelling of it: Kafka's own readers accept them, and a batch is kept as it
 * came. Our writer never makes them.
 *
 * Invariants:
 *   VAR-1  What put writes, get reads back, from as many bytes as put said.
 *   VAR-2  get never reads past the bytes it is given, whatever they hold.
 *
 * Threads: pure functions.
 * Reference: docs/formats/ (the record); Protocol Buffers, "Encoding".
 */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* The most bytes that a number of 32 and of 64 bits takes: a group of seven bits each. */
#define VARINT32_BYTES_MAX 5
#define VARINT64_BYTES_MAX 10

/** Return how many bytes varint_put() writes for @value. */
static inline size_t varint_bytes(int64_t value)
{
    uint64_t folded = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    unsigned bits = 64U - (unsigned)__builtin_clzll(folded | 1U);
    return (bits + 6U) / 7U;
}

/**
 * Write @value to @data, which has room for varint_bytes(@value); return how many bytes that were.
 *
 * A 32-bit number takes the same bytes as the 64-bit number of the same value. Borrows @data.
 */
size_t varint_put(uint8_t *data, int64_t value);

/** Decode a number of any length, as varint_get64() does. */
size_t varint_get64_slow(struct bytes data, int64_t *ret_value);

/** Decode a number of any length, as varint_get32() does. */
size_t varint_get32_slow(struct bytes data, int32_t *ret_value);

/**
 * Read a number of at most 64 bits from the start of @data.
 *
 * Returns how many bytes it took, or 0 if the number does not end within @data or within its type;
 * @ret_value is then untouched. Borrows @data.
 */
static inline size_t varint_get64(struct bytes data, int64_t *ret_value)
{
    if (data.count >= 1 && data.data[0] < 0x80) {
        uint32_t folded = data.data[0];
        *ret_value = (int32_t)((folded >> 1) ^ (0U - (folded & 1U)));
        return 1;
    }
    if (data.count >= 2 && data.data[1] < 0x80) {
        uint32_t folded = (data.data[0] & 0x7FU) | ((uint32_t)data.data[1] << 7);
        *ret_value = (int32_t)((folded >> 1) ^ (0U - (folded & 1U)));
        return 2;
    }
    return varint_get64_slow(data, ret_value);
}

/** Read a number of at most 32 bits from the start of @data, as varint_get64() does. */
static inline size_t varint_get32(struct bytes data, int32_t *ret_value)
{
    if (data.count >= 1 && data.data[0] < 0x80) {
        uint32_t folded = data.data[0];
        *ret_value = (int32_t)((folded >> 1) ^ (0U - (folded & 1U)));
        return 1;
    }
    if (data.count >= 2 && data.data[1] < 0x80) {
        uint32_t folded = (data.data[0] & 0x7FU) | ((uint32_t)data.data[1] << 7);
        *ret_value = (int32_t)((folded >> 1) ^ (0U - (folded & 1U)));
        return 2;
    }
    return varint_get32_slow(data, ret_value);
}

#endif /* BASE_VARINT_H */
