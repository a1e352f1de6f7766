/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/text - the bounded builder, and JSON's escapes.
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

struct text text_of(char *data, size_t bytes_room)
{
    ASSERT(data);
    ASSERT(bytes_room > 0);

    data[0] = '\0';
    return (struct text){.data = data, .bytes_room = bytes_room};
}

void text_clear(struct text *text)
{
    ASSERT(text->data);

    *text = text_of(text->data, text->bytes_room);
}

void text_put(struct text *text, const char *more)
{
    text_put_bytes(text, bytes_of_text(more));
}

void text_put_bytes(struct text *text, struct bytes more)
{
    ASSERT(text->count < text->bytes_room); /* TXT-1 */
    ASSERT(more.data || more.count == 0);

    if (text->is_cut || more.count == 0) {
        return;
    }
    size_t room = text->bytes_room - 1 - text->count;
    size_t taken = more.count < room ? more.count : room;
    memcpy(text->data + text->count, more.data, taken);
    text->count += taken;
    text->data[text->count] = '\0';
    text->is_cut = taken < more.count;
}

void text_format(struct text *text, const char *format, ...)
{
    ASSERT(text->count < text->bytes_room); /* TXT-1 */

    if (text->is_cut) {
        return;
    }
    size_t room = text->bytes_room - text->count;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text->data + text->count, room, format, arguments);
    va_end(arguments);
    ASSERT(written >= 0);
    text->is_cut = (size_t)written >= room;
    text->count += text->is_cut ? room - 1 : (size_t)written;
}

/* Return how many bytes the valid UTF-8 character at the start of @bytes has, 0 if there is none
 * (Unicode 15.0, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
static size_t utf8_bytes(struct bytes bytes)
{
    ASSERT(bytes.count > 0);

    uint8_t lead = bytes.data[0];
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    size_t count = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (bytes.count < count) {
        return 0;
    }
    uint8_t second_min = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t second_max = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (bytes.data[1] < second_min || bytes.data[1] > second_max) {
        return 0;
    }
    for (size_t index = 2; index < count; index++) {
        if ((bytes.data[index] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return count;
}

/* Add the one character at the start of @rest, escaped; return how many bytes it took there. */
static size_t put_json_character(struct text *text, struct bytes rest)
{
    size_t count = utf8_bytes(rest);
    uint8_t lead = rest.data[0];
    if (count == 0) {
        text_put(text, "\\ufffd");
        return 1;
    }
    if (lead == '"' || lead == '\\') {
        text_format(text, "\\%c", lead);
    } else if (lead == '\n') {
        text_put(text, "\\n");
    } else if (lead == '\t') {
        text_put(text, "\\t");
    } else if (lead < 0x20 || lead == 0x7F) {
        text_format(text, "\\u%04x", lead);
    } else {
        text_put_bytes(text, (struct bytes){.data = rest.data, .count = count});
    }
    return count;
}

void text_put_json_string(struct text *text, struct bytes value)
{
    ASSERT(value.data || value.count == 0);

    size_t count_before = text->count;
    text_put(text, "\"");
    for (size_t done = 0; done < value.count && !text->is_cut;) {
        done += put_json_character(
            text, (struct bytes){.data = value.data + done, .count = value.count - done});
    }
    text_put(text, "\"");
    if (text->is_cut) {
        text->count = count_before;
        text->data[text->count] = '\0';
    }
}
