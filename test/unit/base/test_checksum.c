/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC32C against published vectors and against a bit-by-bit oracle, and the two hashes. Covers
 * base/checksum_x86.c or, on another machine, base/checksum_other.c, through the same names.
 */
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "base/checksum.h"
#include "lib/case.h"

enum { INPUT_BYTES = 4096, ROUNDS = 4000 };

typedef uint32_t (*crc_way)(uint32_t seed_crc, struct bytes data);

/* -- Helpers -- */

/* Compute CRC32C by the definition, a bit at a time: slow, and obviously right. */
static uint32_t crc_oracle(uint32_t seed_crc, struct bytes data)
{
    uint32_t crc = ~seed_crc;
    for (size_t index = 0; index < data.count; index++) {
        crc ^= data.data[index];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1U) ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;
        }
    }
    return ~crc;
}

static uint64_t noise_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void fill_with_noise(uint8_t *data, size_t count, uint64_t seed)
{
    for (size_t index = 0; index < count; index++) {
        data[index] = (uint8_t)noise_next(&seed);
    }
}

static void check_against_oracle(crc_way way)
{
    uint8_t data[INPUT_BYTES];
    fill_with_noise(data, sizeof data, 1);
    uint64_t noise = 7;
    for (int round = 0; round < ROUNDS; round++) {
        size_t first = noise_next(&noise) % 64;
        size_t count = noise_next(&noise) % (round % 4 == 0 ? INPUT_BYTES - 64 : 600);
        uint32_t seed_crc = (uint32_t)(noise_next(&noise) << 1);
        struct bytes input = {.data = data + first, .count = count};
        CHECK_INT(way(seed_crc, input), crc_oracle(seed_crc, input));
    }
}

#ifdef __x86_64__
/* Ask the processor which parts of its state are in use (XGETBV with 1, bit 2). */
__attribute__((target("xsave"))) static bool upper_halves_are_in_use(void)
{
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    bool is_known = __get_cpuid_count(0xD, 1, &eax, &ebx, &ecx, &edx) && (eax & 4U);
    if (!is_known) {
        case_skip("this processor does not say which of its state is in use");
    }
    return (_xgetbv(1) & 4) != 0;
}
#else
static bool upper_halves_are_in_use(void)
{
    return false;
}
#endif

static void skip_without_instruction(void)
{
    if (!checksum_has_instruction()) {
        case_skip("this processor has no CRC32C instruction");
    }
}

/* -- CRC32C -- */

/* The check value of the CRC catalogue and the vectors of RFC 3720, B.4, fix polynomial, bit order
 * and inversion all at once. */
TEST(checksum_crc32c, gives_the_published_vectors)
{
    static const uint8_t read_command[48] = {
        0x01, 0xC0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2,    0, 0, 0, 0, 0, 0, 0};
    uint8_t data[4][32];
    memset(data[0], 0x00, sizeof data[0]);
    memset(data[1], 0xFF, sizeof data[1]);
    for (uint8_t index = 0; index < 32; index++) {
        data[2][index] = index;
        data[3][index] = (uint8_t)(31 - index);
    }

    static const crc_way ways[] = {checksum_crc32c, checksum_crc32c_table, checksum_crc32c_serial,
                                   checksum_crc32c_fold};
    size_t way_count = checksum_has_instruction() ? 4 : 2;
    for (size_t way = 0; way < way_count; way++) {
        CHECK_INT(ways[way](0, bytes_of_text("123456789")), 0xE3069283U);
        CHECK_INT(ways[way](0, (struct bytes){data[0], 32}), 0x8A9136AAU);
        CHECK_INT(ways[way](0, (struct bytes){data[1], 32}), 0x62A8AB43U);
        CHECK_INT(ways[way](0, (struct bytes){data[2], 32}), 0x46DD794EU);
        CHECK_INT(ways[way](0, (struct bytes){data[3], 32}), 0x113FDB5CU);
        CHECK_INT(ways[way](0, (struct bytes){read_command, 48}), 0xD9963A56U);
        CHECK_INT(ways[way](0x12345678, (struct bytes){NULL, 0}), 0x12345678U);
    }
}

/* SUM-1: the table way runs where nothing else does, so that nobody would notice it wrong here. */
TEST(checksum_crc32c, table_agrees_with_the_oracle)
{
    check_against_oracle(checksum_crc32c_table);
}

/* SUM-1 */
TEST(checksum_crc32c, serial_agrees_with_the_oracle)
{
    skip_without_instruction();

    check_against_oracle(checksum_crc32c_serial);
}

/* SUM-1 */
TEST(checksum_crc32c, fold_agrees_with_the_oracle)
{
    skip_without_instruction();

    check_against_oracle(checksum_crc32c_fold);
}

/* SUM-4: with their upper halves in use, the thread's SSE code runs six times slower, without any
 * sign of why. */
TEST(checksum_crc32c, leaves_the_vector_registers_clean)
{
    skip_without_instruction();
    uint8_t data[INPUT_BYTES];
    fill_with_noise(data, sizeof data, 2);

    (void)checksum_crc32c_fold(0, (struct bytes){data, sizeof data});
    bool is_in_use = upper_halves_are_in_use();

    CHECK(!is_in_use);
}

/* SUM-1: the choice among the ways, on both sides of the border. */
TEST(checksum_crc32c, chosen_way_agrees_with_the_oracle)
{
    check_against_oracle(checksum_crc32c);
}

/* SUM-2: a frame is checked piece by piece as it is gathered, and as a whole when it is read. */
TEST(checksum_crc32c, extends_across_any_border)
{
    uint8_t data[700];
    fill_with_noise(data, sizeof data, 3);
    uint32_t whole = checksum_crc32c(0, (struct bytes){data, sizeof data});

    for (size_t border = 0; border <= sizeof data; border++) {
        uint32_t crc = checksum_crc32c(0, (struct bytes){data, border});
        crc = checksum_crc32c(crc, (struct bytes){data + border, sizeof data - border});
        CHECK_INT(crc, whole);
    }
}

/* SUM-2: a known checksum becomes part of a larger one without reading the bytes again. */
TEST(checksum_crc32c_combine, equals_reading_both_pieces)
{
    uint8_t data[INPUT_BYTES];
    fill_with_noise(data, sizeof data, 4);
    uint64_t noise = 11;

    for (int round = 0; round < ROUNDS; round++) {
        size_t border = noise_next(&noise) % sizeof data;
        size_t count = border + noise_next(&noise) % (sizeof data - border + 1);
        uint32_t crc_first = checksum_crc32c(0, (struct bytes){data, border});
        uint32_t crc_second = checksum_crc32c(0, (struct bytes){data + border, count - border});
        CHECK_INT(checksum_crc32c_combine(crc_first, crc_second, count - border),
                  checksum_crc32c(0, (struct bytes){data, count}));
    }
}

/* -- Hash and digest -- */

/* The hash stands in files, so that it may never change: these values are XXH3's own. */
TEST(checksum_hash64, gives_the_values_of_xxh3)
{
    CHECK(checksum_hash64(0, (struct bytes){NULL, 0}) == UINT64_C(0x2D06800538D394C2));
    CHECK(checksum_hash64(0, bytes_of_text("123456789")) !=
          checksum_hash64(1, bytes_of_text("123456789")));
}

/* SUM-3: two replicas that took the same steps in another order must not look alike. */
TEST(checksum_digest64, depends_on_steps_order_and_borders)
{
    uint64_t a_then_b =
        checksum_digest64(checksum_digest64(0, bytes_of_text("a")), bytes_of_text("b"));
    uint64_t b_then_a =
        checksum_digest64(checksum_digest64(0, bytes_of_text("b")), bytes_of_text("a"));
    uint64_t ab = checksum_digest64(0, bytes_of_text("ab"));
    uint64_t a_empty =
        checksum_digest64(checksum_digest64(0, bytes_of_text("a")), (struct bytes){NULL, 0});

    CHECK(a_then_b != b_then_a);
    CHECK(a_then_b !=
          checksum_digest64(checksum_digest64(0, bytes_of_text("c")), bytes_of_text("b")));
    CHECK(a_then_b != ab);
    CHECK(a_empty != checksum_digest64(0, bytes_of_text("a")));
    CHECK(checksum_digest64(0, (struct bytes){NULL, 0}) != 0);
    CHECK(checksum_digest64(0, bytes_of_text("a")) == checksum_digest64(0, bytes_of_text("a")));
}

/* The digest stands in files: a change of its definition is a change of the format. */
TEST(checksum_digest64, keeps_its_value)
{
    CHECK(checksum_digest64(0, bytes_of_text("pyralog")) == UINT64_C(0x4431D7065EF51AB4));
    CHECK(checksum_digest64(1, bytes_of_text("pyralog")) == UINT64_C(0x0C22C567E874C5CF));
}
