/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/err - one error type: a code, and a sentence that each level may extend.
 *
 * The message belongs to the caller and is passed last as `reterr`, which may be NULL. The level
 * that finds the error sets it; each level above may wrap it with what it was doing, so that the
 * reader gets "open segment 'p3/000..': read header: input/output error".
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "pyralog.h"

#define MUST_CHECK __attribute__((warn_unused_result))
#define ERR_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

/** Return the name of @err, such as "PYR_ERR_CORRUPT"; "PYR_ERR_UNKNOWN" for a number not in the
 * table. */
const char *err_name(enum pyr_err err);

/** Return the one-line text of @err. */
const char *err_text(enum pyr_err err);

/** Return whether the same call can succeed later without a change by the caller. */
bool err_can_retry(enum pyr_err err);

/** Return the exit status of a program that ends with @err. */
int err_exit_status(enum pyr_err err);

/**
 * Fill @reterr (which may be NULL) with @err and a formatted message; return @err, so that a guard
 * is one line.
 */
enum pyr_err err_set(struct pyr_error *reterr, enum pyr_err err, const char *format, ...)
    ERR_PRINTF(3, 4);

/**
 * Put a formatted text and ": " before the message in @reterr (which may be NULL). The end of a
 * message that becomes too long is cut.
 */
void err_wrap(struct pyr_error *reterr, const char *format, ...) ERR_PRINTF(2, 3);

/** Make @err the code in @reterr (which may be NULL), whose message stays; return @err. */
enum pyr_err err_recode(struct pyr_error *reterr, enum pyr_err err);

/** Return the code that stands for the errno value @number (0 gives PYR_OK). */
enum pyr_err err_from_errno(int number);

/**
 * Fill @reterr (which may be NULL) from the errno value @number: "<formatted text>: <system's
 * text>". Return err_from_errno(@number).
 */
enum pyr_err err_set_errno(struct pyr_error *reterr, int number, const char *format, ...)
    ERR_PRINTF(3, 4);

#endif /* BASE_ERR_H */
