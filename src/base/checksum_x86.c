/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/checksum_x86 - CRC32C by the processor: the crc32 instruction, and ISA-L's folding.
 *
 * Built on x86-64 only; elsewhere checksum_other.c stands in its place.
 */
#include <immintrin.h>
#include <isa-l/crc.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"

/* ISA-L counts in int, so that a longer input goes piece by piece. */
#define FOLD_BYTES_MAX (UINT64_C(1) << 30)

bool checksum_has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) uint32_t checksum_crc32c_serial(uint32_t seed_crc,
                                                                  struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    const uint8_t *at = data.data;
    size_t rest = data.count;
    uint64_t crc = ~seed_crc;
    for (; rest >= sizeof(uint64_t); rest -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        crc = _mm_crc32_u64(crc, get_le64(at));
    }
    uint32_t tail_crc = (uint32_t)crc;
    if (rest & sizeof(uint32_t)) {
        tail_crc = _mm_crc32_u32(tail_crc, get_le32(at));
        at += sizeof(uint32_t);
    }
    if (rest & sizeof(uint16_t)) {
        tail_crc = _mm_crc32_u16(tail_crc, get_le16(at));
        at += sizeof(uint16_t);
    }
    if (rest & 1U) {
        tail_crc = _mm_crc32_u8(tail_crc, *at);
    }
    return ~tail_crc;
}

/* Mark the upper halves of the vector registers as unused. ISA-L 2.30 leaves them in use, and from
 * then on every SSE instruction of the thread must preserve them: XXH3 falls from 32 to 5 GB/s. */
__attribute__((target("avx"))) static void clear_upper_halves(void)
{
    _mm256_zeroupper();
}

uint32_t checksum_crc32c_fold(uint32_t seed_crc, struct bytes data)
{
    ASSERT(data.data || data.count == 0);

    /* crc32_iscsi() works on the bare register: the inversion before and after is ours. It takes
     * its input without const and only reads it. */
    unsigned char *at = bytes_unconst(data.data);
    size_t rest = data.count;
    uint32_t crc = ~seed_crc;
    while (rest > 0) {
        size_t piece = rest < FOLD_BYTES_MAX ? rest : FOLD_BYTES_MAX;
        crc = crc32_iscsi(at, (int)piece, crc);
        at += piece;
        rest -= piece;
    }
    if (__builtin_cpu_supports("avx")) {
        clear_upper_halves(); /* SUM-4 */
    }
    return ~crc;
}
