/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/err - the table of codes and the building of messages.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct err_row {
    enum pyr_err err;
    bool can_retry;
    int exit_status;
    const char *name;
    const char *text;
};

static const struct err_row err_rows[] = {
#define ERR(name, text, can_retry, exit_status) {name, can_retry, exit_status, #name, text},
#include "base/err.def"
#undef ERR
};

static const struct err_row *err_row_find(enum pyr_err err)
{
    for (size_t index = 0; index < sizeof err_rows / sizeof err_rows[0]; index++) {
        if (err_rows[index].err == err) {
            return &err_rows[index];
        }
    }
    return NULL;
}

const char *err_name(enum pyr_err err)
{
    const struct err_row *row = err_row_find(err);
    return row ? row->name : "PYR_ERR_UNKNOWN";
}

const char *err_text(enum pyr_err err)
{
    const struct err_row *row = err_row_find(err);
    return row ? row->text : "unknown error";
}

bool err_can_retry(enum pyr_err err)
{
    const struct err_row *row = err_row_find(err);
    return row ? row->can_retry : false;
}

int err_exit_status(enum pyr_err err)
{
    const struct err_row *row = err_row_find(err);
    return row ? row->exit_status : 1;
}

enum pyr_err err_set(struct pyr_error *reterr, enum pyr_err err, const char *format, ...)
{
    ASSERT(format);

    if (reterr) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(reterr->message, sizeof reterr->message, format, arguments);
        va_end(arguments);
        reterr->code = err;
    }
    return err;
}

void err_wrap(struct pyr_error *reterr, const char *format, ...)
{
    ASSERT(format);

    if (!reterr) {
        return;
    }

    char message[PYR_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    size_t used = written < 0 ? 0 : (size_t)written;
    if (used < sizeof message) {
        (void)snprintf(message + used, sizeof message - used, ": %s", reterr->message);
    }
    memcpy(reterr->message, message, sizeof message);
}

enum pyr_err err_recode(struct pyr_error *reterr, enum pyr_err err)
{
    ASSERT(err != PYR_OK);

    if (reterr) {
        reterr->code = err;
    }
    return err;
}

enum pyr_err err_from_errno(int number)
{
    ASSERT(number >= 0);

    switch (number) {
    case 0:
        return PYR_OK;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return PYR_ERR_DISK_FULL;
    case ENOMEM:
        return PYR_ERR_NO_MEMORY;
    case ENOENT:
        return PYR_ERR_NOT_FOUND;
    case EEXIST:
        return PYR_ERR_EXISTS;
    case EINVAL:
        return PYR_ERR_INVALID;
    case EOPNOTSUPP:
    case ENOSYS:
        return PYR_ERR_UNSUPPORTED;
    default:
        return PYR_ERR_IO;
    }
}

enum pyr_err err_set_errno(struct pyr_error *reterr, int number, const char *format, ...)
{
    ASSERT(number > 0);
    ASSERT(format);

    enum pyr_err err = err_from_errno(number);
    if (reterr) {
        char text[128];
        /* The GNU form of strerror_r: thread-safe, and returns the text, which may be another
         * buffer. */
        const char *reason = strerror_r(number, text, sizeof text);
        va_list arguments;
        va_start(arguments, format);
        int written = vsnprintf(reterr->message, sizeof reterr->message, format, arguments);
        va_end(arguments);
        size_t used = written < 0 ? 0 : (size_t)written;
        if (used < sizeof reterr->message) {
            (void)snprintf(reterr->message + used, sizeof reterr->message - used, ": %s", reason);
        }
        reterr->code = err;
    }
    return err;
}
