/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded text builder and JSON's escapes.
 */
#include "base/prng.h"
#include "base/text.h"
#include "lib/case.h"

/* TXT-1: whatever is added and however small the buffer, the byte behind it is untouched. */
TEST(text, never_leaves_its_buffer)
{
    char buffer[24];
    for (size_t room = 1; room < sizeof buffer; room++) {
        memset(buffer, '#', sizeof buffer);
        struct text text = text_of(buffer, room);
        for (int round = 0; round < 5; round++) {
            text_put(&text, "ab");
            CHECK_INT(strlen(buffer), text.count);
            text_format(&text, "%d", 100 + round);
            CHECK_INT(strlen(buffer), text.count);
            text_put_json_string(&text, bytes_of_text("\n\x01"));
            CHECK_INT(strlen(buffer), text.count);
        }
        CHECK(text.is_cut);
        CHECK_INT(buffer[room], '#');
    }
}

/* A gap in the middle would make a cut text look whole. */
TEST(text, adds_nothing_after_it_was_cut)
{
    char buffer[8];
    struct text text = text_of(buffer, sizeof buffer);

    text_put(&text, "12345678901");
    text_put(&text, "x");
    text_format(&text, "y");

    CHECK_TEXT(buffer, "1234567");
    CHECK(text.is_cut);
    text_clear(&text);
    CHECK_TEXT(buffer, "");
    CHECK(!text.is_cut);
}

/* Exactly full is not cut. */
TEST(text, fills_its_buffer_to_the_last_byte)
{
    char buffer[8];
    struct text text = text_of(buffer, sizeof buffer);

    text_format(&text, "%s", "123");
    text_put(&text, "4567");

    CHECK_TEXT(buffer, "1234567");
    CHECK(!text.is_cut);
}

/* TXT-2: the escapes that JSON demands, and the bytes that are no text. */
TEST(text_put_json_string, escapes_what_json_cannot_hold)
{
    static const struct {
        const char *value;
        const char *expected;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\t\r\x01\x7F", "\"\\n\\t\\u000d\\u0001\\u007f\""},
        {"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x8D",
         "\"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x8D\""},
        {"\xFF", "\"\\ufffd\""},
        {"a\xC3", "\"a\\ufffd\""},                                /* Cut in the middle. */
        {"\xC0\xAF", "\"\\ufffd\\ufffd\""},                       /* Overlong. */
        {"\xE0\x80\xAF", "\"\\ufffd\\ufffd\\ufffd\""},            /* Overlong. */
        {"\xED\xA0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* A surrogate. */
        {"\xF4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* Above U+10FFFF. */
        {"\xE2\x28\xA1", "\"\\ufffd(\\ufffd\""},
    };

    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        char buffer[128];
        struct text text = text_of(buffer, sizeof buffer);
        text_put_json_string(&text, bytes_of_text(rows[index].value));
        CHECK_TEXT(buffer, rows[index].expected);
        CHECK(!text.is_cut);
    }
}

/* A zero inside is data. */
TEST(text_put_json_string, takes_zero_bytes)
{
    char buffer[32];
    struct text text = text_of(buffer, sizeof buffer);

    text_put_json_string(&text, (struct bytes){(const uint8_t *)"a\0b", 3});

    CHECK_TEXT(buffer, "\"a\\u0000b\"");
}

/* Half a string would make the whole document unreadable. */
TEST(text_put_json_string, leaves_out_a_string_that_does_not_fit)
{
    char buffer[12];
    struct text text = text_of(buffer, sizeof buffer);

    text_put(&text, "x:");
    text_put_json_string(&text, bytes_of_text("123456789"));

    CHECK_TEXT(buffer, "x:");
    CHECK(text.is_cut);
}
