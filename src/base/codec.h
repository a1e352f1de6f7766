/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/codec - fixed-width numbers in bytes, with the width and the byte order in the name.
 *
 * The only place where numbers become bytes and bytes numbers. Our own formats are little-endian
 * (le), those we share with Kafka are big-endian (be). The calls do not check bounds: the caller
 * has, once, for the whole header.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CODEC_LE(width, value) (value)
#define CODEC_BE(width, value) __builtin_bswap##width(value)
#else
#define CODEC_LE(width, value) __builtin_bswap##width(value)
#define CODEC_BE(width, value) (value)
#endif

/* Define get_<name> and put_<name> for one width and one byte order. */
#define CODEC_PAIR(name, width, order)                               \
    static inline uint##width##_t get_##name(const void *data)       \
    {                                                                \
        uint##width##_t value;                                       \
        memcpy(&value, data, sizeof value);                          \
        return order(width, value);                                  \
    }                                                                \
    static inline void put_##name(void *data, uint##width##_t value) \
    {                                                                \
        value = order(width, value);                                 \
        memcpy(data, &value, sizeof value);                          \
    }

CODEC_PAIR(le16, 16, CODEC_LE)
CODEC_PAIR(le32, 32, CODEC_LE)
CODEC_PAIR(le64, 64, CODEC_LE)
CODEC_PAIR(be16, 16, CODEC_BE)
CODEC_PAIR(be32, 32, CODEC_BE)
CODEC_PAIR(be64, 64, CODEC_BE)

#undef CODEC_PAIR
#undef CODEC_LE
#undef CODEC_BE

#endif /* BASE_CODEC_H */
