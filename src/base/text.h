/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/text - building text in a buffer that it cannot outgrow.
 *
 * Everything that programs print for people and for other programs is put together here: reports,
 * JSON, trace lines. The text is always closed by a zero. What does not fit is cut, once: from then
 * on nothing more is added, so that a cut text is a true beginning of the whole, and the caller can
 * see that it was cut.
 *
 * Invariants:
 *   TXT-1  Never a byte outside the buffer, and a closing zero after each call.
 *   TXT-2  text_put_json_string() makes a valid JSON string of any bytes.
 *
 * Threads: one owner.   Memory: the buffer is the caller's.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* A text that grows within a buffer. */
struct text {
    char *data;        /* The text and its closing zero. */
    size_t count;      /* Bytes of text, without the zero. */
    size_t bytes_room; /* Of the buffer, the zero included; at least 1. */
    bool is_cut;       /* Something did not fit. */
};

/** Return an empty text over @bytes_room bytes at @data. Keeps @data as long as it is used. */
struct text text_of(char *data, size_t bytes_room);

/** Make @text empty again. */
void text_clear(struct text *text);

/** Add the zero-terminated @more. Borrows @more. */
void text_put(struct text *text, const char *more);

/** Add @more as it is. Borrows @more. */
void text_put_bytes(struct text *text, struct bytes more);

/** Add a formatted text. */
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Add @value as a JSON string with its quotes. Borrows @value.
 *
 * Quotes, backslashes and control characters are escaped; a byte that is not part of valid UTF-8
 * becomes U+FFFD. A string that does not fit is left out as a whole, and the text is cut.
 */
void text_put_json_string(struct text *text, struct bytes value);

#endif /* BASE_TEXT_H */
