/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/problems - the bounded list.
 */
#include "config/problems.h"

#include "base/assert.h"

/* The first byte that is no control character, the one above the others, and the bits that mark a
 * byte inside a UTF-8 character. */
enum { BLANK = 0x20, DELETE = 0x7F, UTF8_INNER_MASK = 0xC0, UTF8_INNER = 0x80 };

void config_problem_add(struct config_problems *problems, const struct text *message)
{
    ASSERT(message->count < message->bytes_room);

    if (problems->count < CONFIG_PROBLEMS_MAX) {
        struct config_problem *problem = &problems->list[problems->count];
        struct text kept = text_of(problem->message, sizeof problem->message);
        text_put(&kept, message->data);
    }
    problems->count++; /* CFG-3 */
}

size_t config_problems_kept(const struct config_problems *problems)
{
    ASSERT(problems);
    return problems->count < CONFIG_PROBLEMS_MAX ? problems->count : CONFIG_PROBLEMS_MAX;
}

enum pyr_err config_problems_end(const struct config_problems *problems, struct pyr_error *reterr)
{
    ASSERT(problems);

    if (problems->count == 0) {
        return PYR_OK;
    }
    if (problems->count == 1) {
        return err_set(reterr, PYR_ERR_INVALID, "%s", problems->list[0].message);
    }
    return err_set(reterr, PYR_ERR_INVALID, "%s (and %zu more)", problems->list[0].message,
                   problems->count - 1);
}

void config_put_shown(struct text *text, struct bytes bytes)
{
    ASSERT(bytes.data || bytes.count == 0);

    size_t end = bytes.count;
    if (end > CONFIG_SHOWN_BYTES_MAX) {
        end = CONFIG_SHOWN_BYTES_MAX;
        while (end > 0 && (bytes.data[end] & UTF8_INNER_MASK) == UTF8_INNER) {
            end--;
        }
    }
    for (size_t at = 0; at < end; at++) {
        bool is_control = bytes.data[at] < BLANK || bytes.data[at] == DELETE;
        uint8_t shown = is_control ? '?' : bytes.data[at];
        text_put_bytes(text, (struct bytes){.data = &shown, .count = 1});
    }
    text_put(text, end < bytes.count ? "..." : "");
}
