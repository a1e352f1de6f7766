/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka's variable-length numbers.
 */
#include "base/prng.h"
#include "base/varint.h"
#include "lib/case.h"

struct row {
    int64_t value;
    size_t count;
    uint8_t bytes[VARINT64_BYTES_MAX];
};

/* The borders of each length, and the examples of the Protocol Buffers page. */
static const struct row rows[] = {
    {0, 1, {0x00}},
    {-1, 1, {0x01}},
    {1, 1, {0x02}},
    {-64, 1, {0x7F}},
    {64, 2, {0x80, 0x01}},
    {-65, 2, {0x81, 0x01}},
    {300, 2, {0xD8, 0x04}},
    {8191, 2, {0xFE, 0x7F}},
    {-8192, 2, {0xFF, 0x7F}},
    {8192, 3, {0x80, 0x80, 0x01}},
    {INT32_MAX, 5, {0xFE, 0xFF, 0xFF, 0xFF, 0x0F}},
    {INT32_MIN, 5, {0xFF, 0xFF, 0xFF, 0xFF, 0x0F}},
    {(int64_t)INT32_MAX + 1, 5, {0x80, 0x80, 0x80, 0x80, 0x10}},
    {INT64_MAX, 10, {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}},
    {INT64_MIN, 10, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}},
};

static bool fits_32(int64_t value)
{
    return value >= INT32_MIN && value <= INT32_MAX;
}

/* VAR-1: the very bytes, since Kafka's clients read them. */
TEST(varint_put, writes_the_known_bytes)
{
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        uint8_t data[VARINT64_BYTES_MAX];
        size_t count = varint_put(data, rows[index].value);
        CHECK_INT(count, rows[index].count);
        CHECK_INT(varint_bytes(rows[index].value), rows[index].count);
        CHECK_BYTES(data, rows[index].bytes, count);
    }
}

/* VAR-1 */
TEST(varint_get, reads_the_known_bytes)
{
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct bytes data = {.data = rows[index].bytes, .count = VARINT64_BYTES_MAX};
        int64_t value = 0;
        CHECK_INT(varint_get64(data, &value), rows[index].count);
        CHECK(value == rows[index].value);
        value = 0;
        CHECK_INT(varint_get64_slow(data, &value), rows[index].count);
        CHECK(value == rows[index].value);
        int32_t narrow = 0;
        CHECK_INT(varint_get32(data, &narrow), fits_32(rows[index].value) ? rows[index].count : 0);
        CHECK(!fits_32(rows[index].value) || narrow == rows[index].value);
    }
}

/* VAR-2: a record cut by the end of its batch; the bytes lie at the end of their own allocation, so
 * that the address sanitizer sees a read past them. */
TEST(varint_get, refuses_a_number_that_is_cut)
{
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        for (size_t count = 0; count < rows[index].count; count++) {
            uint8_t *data = malloc(count > 0 ? count : 1);
            CHECK(data);
            memcpy(data, rows[index].bytes, count);
            int64_t value = 77;
            int32_t narrow = 77;
            CHECK_INT(varint_get64((struct bytes){data, count}, &value), 0);
            CHECK_INT(varint_get32((struct bytes){data, count}, &narrow), 0);
            CHECK_INT(value, 77);
            CHECK_INT(narrow, 77);
            free(data);
        }
    }
}

/* A number that never ends would otherwise shift bits out of the type unseen. */
TEST(varint_get, refuses_what_is_longer_than_the_type)
{
    static const uint8_t endless[16] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    static const uint8_t bit_64[10] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02};
    static const uint8_t bit_32[5] = {0x80, 0x80, 0x80, 0x80, 0x10};
    int64_t value = 0;
    int32_t narrow = 0;

    CHECK_INT(varint_get64((struct bytes){endless, sizeof endless}, &value), 0);
    CHECK_INT(varint_get32((struct bytes){endless, sizeof endless}, &narrow), 0);
    CHECK_INT(varint_get64((struct bytes){bit_64, sizeof bit_64}, &value), 0);
    CHECK_INT(varint_get32((struct bytes){bit_32, sizeof bit_32}, &narrow), 0);
}

/* Kafka's readers accept zero groups at the end; a producer's batch must not be refused for it. */
TEST(varint_get, accepts_zero_groups_within_the_type)
{
    static const uint8_t padded[5] = {0x82, 0x80, 0x80, 0x80, 0x00};
    int64_t value = 0;
    int32_t narrow = 0;

    CHECK_INT(varint_get64((struct bytes){padded, sizeof padded}, &value), 5);
    CHECK_INT(varint_get32((struct bytes){padded, sizeof padded}, &narrow), 5);
    CHECK_INT(value, 1);
    CHECK_INT(narrow, 1);
}

/* VAR-1: every length, at random. */
TEST(varint, reads_back_what_it_wrote)
{
    struct prng prng = prng_of(1, 1);

    for (int round = 0; round < 100000; round++) {
        int64_t value = (int64_t)prng_next(&prng) >> prng_below(&prng, 64);
        uint8_t data[VARINT64_BYTES_MAX];
        size_t count = varint_put(data, value);
        int64_t read = 0;
        CHECK_INT(varint_get64((struct bytes){data, count}, &read), count);
        CHECK(read == value);
        int32_t narrow = 0;
        CHECK_INT(varint_get32((struct bytes){data, count}, &narrow), fits_32(value) ? count : 0);
        CHECK(!fits_32(value) || narrow == value);
    }
}
