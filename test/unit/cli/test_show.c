/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/show - numbers as people read them.
 */
#include "cli/show.h"
#include "lib/case.h"

/* A million without commas is misread. */
TEST(show_count, puts_a_comma_at_each_thousand)
{
    CHECK_TEXT(show_count(0).text, "0");
    CHECK_TEXT(show_count(999).text, "999");
    CHECK_TEXT(show_count(1000).text, "1,000");
    CHECK_TEXT(show_count(1234567).text, "1,234,567");
    CHECK_TEXT(show_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
}

/* The largest values must fit, too. */
TEST(show_bytes, picks_the_unit_that_suits)
{
    CHECK_TEXT(show_bytes(0).text, "0 B");
    CHECK_TEXT(show_bytes(1023).text, "1023 B");
    CHECK_TEXT(show_bytes(1536).text, "1.5 KiB");
    CHECK_TEXT(show_bytes(64 << 20).text, "64.0 MiB");
    CHECK_TEXT(show_bytes(UINT64_MAX).text, "16.0 EiB");
    CHECK_TEXT(show_bytes_typed(64 << 20).text, "64MiB");
    CHECK_TEXT(show_bytes_typed(100).text, "100B");
}

/* Three digits are what a measurement is worth. */
TEST(show_duration, keeps_about_three_digits)
{
    CHECK_TEXT(show_duration(0).text, "0 ns");
    CHECK_TEXT(show_duration(61234).text, "61.2 us");
    CHECK_TEXT(show_duration(2100000).text, "2.10 ms");
    CHECK_TEXT(show_duration(UINT64_C(3600000000000)).text, "3600 s");
}

/* A log's times are compared with other logs: UTC, to the millisecond. */
TEST(show_time, is_utc_with_milliseconds)
{
    CHECK_TEXT(show_time(0).text, "1970-01-01T00:00:00.000Z");
    CHECK_TEXT(show_time(INT64_C(1795260000123)).text, "2026-11-21T11:20:00.123Z");
    CHECK_TEXT(show_time(-1).text, "-");
    CHECK_TEXT(show_time(INT64_MAX).text, "292278994-08-17T07:12:55.807Z");
}

/* A bar never leaves its columns, whatever the numbers are. */
TEST(show_bar, stays_within_its_columns)
{
    CHECK_TEXT(show_bar(1, 2, 10).text, "#####");
    CHECK_TEXT(show_bar(3, 2, 4).text, "####");
    CHECK_TEXT(show_bar(1, 0, 4).text, "");
}
