/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyralog.h - the public interface of Pyralog: an append-only log inside a program.
 *
 * C99 with a C++ guard. Handles are opaque; every call that can fail returns enum pyr_err and fills
 * the caller's struct pyr_error, if one is given, with a sentence that names what failed and where.
 */
#ifndef PYRALOG_H
#define PYRALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports. Everything else is hidden. */
#define PYR_API __attribute__((visibility("default")))

/* The compiler warns when a result of this kind is dropped. */
#define PYR_MUST_CHECK __attribute__((warn_unused_result))

/* -- Errors --
 *
 * Values are numbered by hand and never reused: they travel on the wire and stand in files. The
 * text, the exit status and whether a retry can help stand in one table (src/base/err.def).
 */
enum pyr_err {
    PYR_OK = 0,
    PYR_ERR_INVALID = 1,   /* An argument or an option makes no sense. */
    PYR_ERR_CORRUPT = 2,   /* Bytes on disk or from a peer fail their check. */
    PYR_ERR_IO = 3,        /* The operating system reported an error. */
    PYR_ERR_DISK_FULL = 4, /* No space is left; appends resume by themselves when there is. */
    PYR_ERR_FAILED = 5, /* A sync or a durable write failed before: this handle takes no appends. */
    PYR_ERR_BUSY = 6,   /* A bounded queue is full; try again. */
    PYR_ERR_NO_MEMORY = 7,    /* An allocation failed. */
    PYR_ERR_NOT_FOUND = 8,    /* The named thing does not exist. */
    PYR_ERR_OUT_OF_RANGE = 9, /* The offset lies before the log's start or past its end. */
    PYR_ERR_LOCKED = 10,  /* Another process, or another handle of this one, has the folder open. */
    PYR_ERR_VERSION = 11, /* The format is newer than this program. */
    PYR_ERR_FOREIGN = 12, /* The folder, file or log belongs to something else. */
    PYR_ERR_TOO_LARGE = 13,   /* A record or batch is above its limit. */
    PYR_ERR_CLOSED = 14,      /* The handle is closing. */
    PYR_ERR_TIMEOUT = 15,     /* The deadline passed first. */
    PYR_ERR_UNSUPPORTED = 16, /* This build or this host cannot do it. */
    PYR_ERR_FORKED = 17,      /* The handle was opened before a fork, and this is the child. */
    PYR_ERR_CONDITION = 18,   /* A conditional request found something else. */
    PYR_ERR_EXISTS = 19,      /* The thing to be made is there already. */
};

/* The longest message, with its closing zero. */
#define PYR_ERROR_MESSAGE_MAX 512

/* One error: a code for programs and a sentence for people. It belongs to the caller. */
struct pyr_error {
    enum pyr_err code;
    char message[PYR_ERROR_MESSAGE_MAX];
};

#ifdef __cplusplus
}
#endif

#endif /* PYRALOG_H */
