/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/checksum - the table way, the choice among the ways, and the hashes.
 *
 * The table way takes eight bytes a step ("slicing by eight"). A table's entry is linear in its
 * index: the entry of a byte is the exclusive or of the entries of its bits. So eight numbers
 * describe a table of 256, and the preprocessor writes the tables out.
 *
 * Combining rests on the same linearity: appending n zero bytes to a message multiplies its
 * checksum, read as a polynomial over GF(2), by x^(8n) modulo the Castagnoli polynomial.
 *
 * Reference: M. Kounavis, F. Berry, "A systematic approach to building high performance,
 * software-based, CRC generators", 2005; zlib's crc32_combine for the reflected multiplication.
 */
#include "base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/codec.h"

/* The Castagnoli polynomial 0x1EDC6F41 with its bits reflected, as the whole computation is. */
#define POLYNOMIAL 0x82F63B78U

enum { SLICES = 8, BYTE_VALUES = 256, CRC_BITS = 32 };

#define BIT(index, bit, entry) (((index) >> (bit)&1U) ? (entry) : 0U)
#define ENTRY(n, a, b, c, d, e, f, g, h)                                                       \
    (BIT(n, 0, a) ^ BIT(n, 1, b) ^ BIT(n, 2, c) ^ BIT(n, 3, d) ^ BIT(n, 4, e) ^ BIT(n, 5, f) ^ \
     BIT(n, 6, g) ^ BIT(n, 7, h))
#define ENTRIES_4(n, ...)                                                              \
    ENTRY(n, __VA_ARGS__), ENTRY((n) + 1U, __VA_ARGS__), ENTRY((n) + 2U, __VA_ARGS__), \
        ENTRY((n) + 3U, __VA_ARGS__)
#define ENTRIES_16(n, ...)                                                                         \
    ENTRIES_4(n, __VA_ARGS__), ENTRIES_4((n) + 4U, __VA_ARGS__), ENTRIES_4((n) + 8U, __VA_ARGS__), \
        ENTRIES_4((n) + 12U, __VA_ARGS__)
#define ENTRIES_64(n, ...)                                          \
    ENTRIES_16(n, __VA_ARGS__), ENTRIES_16((n) + 16U, __VA_ARGS__), \
        ENTRIES_16((n) + 32U, __VA_ARGS__), ENTRIES_16((n) + 48U, __VA_ARGS__)
#define ENTRIES_256(...)                                                                      \
    ENTRIES_64(0U, __VA_ARGS__), ENTRIES_64(64U, __VA_ARGS__), ENTRIES_64(128U, __VA_ARGS__), \
        ENTRIES_64(192U, __VA_ARGS__)

/* tables[k][b] is the checksum register after the byte b and k zero bytes. Each line holds the
 * entries of the eight single bits. */
static const uint32_t tables[SLICES][BYTE_VALUES] = {
    {ENTRIES_256(0xF26B8303U,
                 0xE13B70F7U,
                 0xC79A971FU,
                 0x8AD958CFU,
                 0x105EC76FU,
                 0x20BD8EDEU,
                 0x417B1DBCU,
                 0x82F63B78U)},
    {ENTRIES_256(0x13A29877U,
                 0x274530EEU,
                 0x4E8A61DCU,
                 0x9D14C3B8U,
                 0x3FC5F181U,
                 0x7F8BE302U,
                 0xFF17C604U,
                 0xFBC3FAF9U)},
    {ENTRIES_256(0xA541927EU,
                 0x4F6F520DU,
                 0x9EDEA41AU,
                 0x38513EC5U,
                 0x70A27D8AU,
                 0xE144FB14U,
                 0xC76580D9U,
                 0x8B277743U)},
    {ENTRIES_256(0xDD45AAB8U,
                 0xBF672381U,
                 0x7B2231F3U,
                 0xF64463E6U,
                 0xE964B13DU,
                 0xD725148BU,
                 0xABA65FE7U,
                 0x52A0C93FU)},
    {ENTRIES_256(0x38116FACU,
                 0x7022DF58U,
                 0xE045BEB0U,
                 0xC5670B91U,
                 0x8F2261D3U,
                 0x1BA8B557U,
                 0x37516AAEU,
                 0x6EA2D55CU)},
    {ENTRIES_256(0xEF306B19U,
                 0xDB8CA0C3U,
                 0xB2F53777U,
                 0x6006181FU,
                 0xC00C303EU,
                 0x85F4168DU,
                 0x0E045BEBU,
                 0x1C08B7D6U)},
    {ENTRIES_256(0x68032CC8U,
                 0xD0065990U,
                 0xA5E0C5D1U,
                 0x4E2DFD53U,
                 0x9C5BFAA6U,
                 0x3D5B83BDU,
                 0x7AB7077AU,
                 0xF56E0EF4U)},
    {ENTRIES_256(0x493C7D27U,
                 0x9278FA4EU,
                 0x211D826DU,
                 0x423B04DAU,
                 0x847609B4U,
                 0x0D006599U,
                 0x1A00CB32U,
                 0x34019664U)},
};

uint32_t checksum_crc32c(uint32_t seed_crc, struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    if (!checksum_has_instruction()) {
        return checksum_crc32c_table(seed_crc, data);
    }
    if (data.count < CHECKSUM_FOLD_BYTES_MIN) {
        return checksum_crc32c_serial(seed_crc, data);
    }
    return checksum_crc32c_fold(seed_crc, data);
}

/* Return the product of two polynomials modulo POLYNOMIAL, both with their bits reflected: the
 * highest bit is the coefficient of x^0. */
static uint32_t multiply(uint32_t left, uint32_t right)
{
    uint32_t product = 0;
    for (unsigned bit = 0; bit < CRC_BITS; bit++) {
        /* Branch-free: the bits of a checksum are noise to a branch predictor. */
        product ^= right & (0U - (left >> (CRC_BITS - 1)));
        left <<= 1;
        right = (right >> 1) ^ (POLYNOMIAL & (0U - (right & 1U)));
    }
    return product;
}

uint32_t checksum_crc32c_combine(uint32_t crc_first, uint32_t crc_second, uint64_t bytes_second)
{
    ASSERT(bytes_second > 0 || crc_second == 0);

    /* Multiply by x^(8 * bytes_second), squaring the power once per bit of the count. */
    uint32_t power = UINT32_C(1) << (CRC_BITS - 1 - 8);
    uint32_t shifted = crc_first;
    for (uint64_t rest = bytes_second; rest > 0; rest >>= 1) {
        if (rest & 1U) {
            shifted = multiply(shifted, power);
        }
        power = multiply(power, power);
    }
    return shifted ^ crc_second;
}

uint64_t checksum_hash64(uint64_t seed, struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    return XXH3_64bits_withSeed(data.data, data.count, seed);
}

uint32_t checksum_xxh32(struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    return XXH32(data.data, data.count, 0);
}

uint64_t checksum_digest64(uint64_t previous, struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    /* The count goes in as well, so that an empty step is a step. */
    uint8_t link[3 * sizeof(uint64_t)];
    put_le64(link, previous);
    put_le64(link + sizeof(uint64_t), data.count);
    put_le64(link + 2 * sizeof(uint64_t), XXH3_64bits(data.data, data.count));
    return XXH3_64bits(link, sizeof link);
}

uint32_t checksum_crc32c_table(uint32_t seed_crc, struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    const uint8_t *at = data.data;
    size_t rest = data.count;
    uint32_t crc = ~seed_crc;
    for (; rest >= SLICES; rest -= SLICES, at += SLICES) {
        uint32_t low = crc ^ get_le32(at);
        uint32_t high = get_le32(at + sizeof low);
        crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
              tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
              tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
    }
    for (; rest > 0; rest--, at++) {
        crc = tables[0][(crc ^ *at) & 0xFF] ^ (crc >> 8);
    }
    return ~crc;
}
