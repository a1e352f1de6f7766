/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/parse - numbers, amounts of bytes and durations from what a person typed.
 *
 * Strict: the whole text must be one number, without blanks, signs where none belong, or a unit
 * left to be guessed. The message names the text, what is wrong with it, and what is right:
 *
 *   '70000' is above 65535
 *   '64MB ' is not an amount of bytes: write a whole number and B, KiB, MiB, GiB or TiB, such as
 * 64MiB '10' has no unit: write a whole number and ns, us, ms, s, m or h, such as 10ms
 *
 * Invariants:
 *   PRS-1  What is accepted lies within the bounds asked for; nothing wraps around.
 *
 * Threads: pure functions.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The bounds of a number, both included. */
struct parse_range {
    int64_t min;
    int64_t max;
};

/** Read a whole number in decimal digits, with '-' in front if @range goes below 0.
 *
 * PYR_ERR_INVALID: it is no number, or outside of @range. */
MUST_CHECK enum pyr_err parse_number(const char *text,
                                     struct parse_range range,
                                     int64_t *ret_value,
                                     struct pyr_error *reterr);

/** Read an amount of bytes: a whole number and B, KiB, MiB, GiB, TiB, or just the number.
 *
 * PYR_ERR_INVALID: it is none, or outside of @range. */
MUST_CHECK enum pyr_err parse_bytes(const char *text,
                                    struct parse_range range,
                                    int64_t *ret_bytes,
                                    struct pyr_error *reterr);

/** Read a duration in nanoseconds: a whole number and ns, us, ms, s, m or h, or just 0.
 *
 * PYR_ERR_INVALID: it is none, has no unit, or is outside of @range. */
MUST_CHECK enum pyr_err parse_duration_ns(const char *text,
                                          struct parse_range range,
                                          int64_t *ret_ns,
                                          struct pyr_error *reterr);

/** Find @text among the @name_count @names.
 *
 * PYR_ERR_INVALID: it is not there; the message lists the names. */
MUST_CHECK enum pyr_err parse_choice(const char *text,
                                     const char *const *names,
                                     size_t name_count,
                                     size_t *ret_index,
                                     struct pyr_error *reterr);

#endif /* BASE_PARSE_H */
