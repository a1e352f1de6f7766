/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading of what a person typed, and the sentences that say what is wrong.
 */
#include "base/limits.h"
#include "base/parse.h"
#include "lib/case.h"

typedef enum pyr_err (*parser)(const char *text,
                               struct parse_range range,
                               int64_t *ret_value,
                               struct pyr_error *reterr);

static const struct parse_range everything = {.min = INT64_MIN, .max = INT64_MAX};

static void check_reads(parser parse, const char *text, int64_t expected)
{
    int64_t value = -99;
    struct pyr_error error = {0};
    CHECK_INT(parse(text, everything, &value, &error), PYR_OK);
    CHECK(value == expected);
}

static void check_refuses(parser parse, const char *text, const char *message)
{
    int64_t value = -99;
    struct pyr_error error = {0};
    CHECK_INT(parse(text, (struct parse_range){10, 65535}, &value, &error), PYR_ERR_INVALID);
    CHECK_INT(value, -99);
    CHECK_TEXT(error.message, message);
}

TEST(parse_number, reads_whole_numbers_to_the_ends_of_the_type)
{
    check_reads(parse_number, "0", 0);
    check_reads(parse_number, "007", 7);
    check_reads(parse_number, "-5", -5);
    check_reads(parse_number, "9223372036854775807", INT64_MAX);
    check_reads(parse_number, "-9223372036854775807", -INT64_MAX);
}

/* PRS-1 */
TEST(parse_number, refuses_everything_else)
{
    check_refuses(parse_number, "", "'' is not a whole number");
    check_refuses(parse_number, "-", "'-' is not a whole number");
    check_refuses(parse_number, "+5", "'+5' is not a whole number");
    check_refuses(parse_number, " 5", "' 5' is not a whole number");
    check_refuses(parse_number, "5 ", "'5 ' is not a whole number");
    check_refuses(parse_number, "12x", "'12x' is not a whole number");
    check_refuses(parse_number, "1e3", "'1e3' is not a whole number");
    check_refuses(parse_number, "0x10", "'0x10' is not a whole number");
    check_refuses(parse_number, "9223372036854775808",
                  "'9223372036854775808' is not a whole number");
    check_refuses(parse_number, "99999999999999999999999",
                  "'99999999999999999999999' is not a whole number");
    check_refuses(parse_number, "70000", "'70000' is above 65535");
    check_refuses(parse_number, "9", "'9' is below 10");
    check_refuses(parse_number, "-9", "'-9' is below 10");
}

TEST(parse_bytes, reads_amounts_with_and_without_a_unit)
{
    check_reads(parse_bytes, "512", 512);
    check_reads(parse_bytes, "512B", 512);
    check_reads(parse_bytes, "4KiB", 4096);
    check_reads(parse_bytes, "64MiB", 64 * MIB);
    check_reads(parse_bytes, "2GiB", 2 * GIB);
    check_reads(parse_bytes, "1TiB", 1024 * GIB);
}

/* MB means two things to two people, so that it means nothing here. */
TEST(parse_bytes, refuses_unclear_units_and_what_wraps_around)
{
    check_refuses(parse_bytes, "64MB",
                  "'64MB' is not an amount of bytes: write a whole number and B, KiB, MiB, GiB or "
                  "TiB, such as 64MiB");
    check_refuses(parse_bytes, "9999999TiB",
                  "'9999999TiB' is not an amount of bytes: write a whole number and B, KiB, MiB, "
                  "GiB or TiB, such as 64MiB");
    check_refuses(parse_bytes, "-1",
                  "'-1' is not an amount of bytes: write a whole number and B, KiB, MiB, GiB or "
                  "TiB, such as 64MiB");
    check_refuses(parse_bytes, "64KiB", "'64KiB' is above 65535 bytes");
}

TEST(parse_duration_ns, reads_every_unit)
{
    check_reads(parse_duration_ns, "0", 0);
    check_reads(parse_duration_ns, "7ns", 7);
    check_reads(parse_duration_ns, "7us", 7000);
    check_reads(parse_duration_ns, "10ms", 10000000);
    check_reads(parse_duration_ns, "3s", INT64_C(3000000000));
    check_reads(parse_duration_ns, "2m", INT64_C(120000000000));
    check_reads(parse_duration_ns, "24h", INT64_C(86400000000000));
}

/* A bare 10 would be read as milliseconds by one person and as seconds by the next. */
TEST(parse_duration_ns, refuses_a_number_without_its_unit)
{
    check_refuses(parse_duration_ns, "10",
                  "'10' has no unit: write a whole number and ns, us, ms, s, m or h, such as 10ms");
    check_refuses(
        parse_duration_ns, "fast",
        "'fast' is not a duration: write a whole number and ns, us, ms, s, m or h, such as 10ms");
    check_refuses(
        parse_duration_ns, "1d",
        "'1d' is not a duration: write a whole number and ns, us, ms, s, m or h, such as 10ms");
    check_refuses(parse_duration_ns, "9999999999h",
                  "'9999999999h' is not a duration: write a whole number and ns, us, ms, s, m or "
                  "h, such as 10ms");
    check_refuses(parse_duration_ns, "1ms", "'1ms' is above 65535 ns");
}

/* The message is the help that the user needs. */
TEST(parse_choice, lists_the_choices)
{
    static const char *const names[] = {"always", "batch", "os"};
    struct pyr_error error = {0};
    size_t index = 9;

    CHECK_INT(parse_choice("never", names, 3, &index, &error), PYR_ERR_INVALID);
    CHECK_TEXT(error.message, "'never' is none of always, batch or os");
    CHECK_INT(index, 9);
    CHECK_INT(parse_choice("os", names, 3, &index, &error), PYR_OK);
    CHECK_INT(index, 2);
}
