/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/embed_case - what the tests of the embedded log share: stores with small files, records of
 * text, a child that is killed.
 *
 * The tests use the public header only. $PYRALOG_TEST_BACKEND picks the backend: "posix", "uring"
 * or, unset, auto.
 */
#ifndef EMBED_EMBED_CASE_H
#define EMBED_EMBED_CASE_H

#include <stdio.h>
#include <sys/types.h>

#include "pyralog.h"

#include "lib/case.h"

/* A wait that no machine takes so long for: it fails a test that would otherwise hang. */
#define PATIENCE_MS INT64_C(60000)

/** Check that @call returned PYR_OK, and show the message of @error if it did not. */
#define CHECK_OK(call, error) embed_check(call, PYR_OK, &(error), __FILE__, __LINE__)

/** Check that @call returned @expected and filled @error with the same code and a sentence. */
#define CHECK_ERR(call, expected, error) embed_check(call, expected, &(error), __FILE__, __LINE__)

/** The macros' function. */
void embed_check(enum pyr_err actual,
                 enum pyr_err expected,
                 const struct pyr_error *error,
                 const char *file,
                 int line);

/** Set @options to defaults with the backend under test and small journal files. */
void embed_store_options(struct pyr_store_options *options);

/** Set @options to defaults with @policy. */
void embed_log_options(struct pyr_log_options *options, enum pyr_sync policy);

/** Open the log in @folder with @options (NULL: defaults) and a store as above. Gives:
 * pyr_log_close. */
struct pyr_log *embed_open(const char *folder, const struct pyr_log_options *options);

/** Open the store in @folder as above. Gives: pyr_store_close. */
struct pyr_store *embed_open_store(const char *folder);

/** Return a record whose value is @text. Borrows. */
struct pyr_record embed_record(const char *text);

/** Append @text to @log and return its receipt. */
struct pyr_receipt embed_append(struct pyr_log *log, const char *text);

/** Append @count records, "record <first>" and so on. */
void embed_append_numbered(struct pyr_log *log, int64_t first, int64_t count);

/** Append @rounds records to each of @count logs, from @threads threads at once, and check that all
 * were taken. */
void embed_append_crowd(struct pyr_log **logs, int count, int threads, int rounds);

/** Check that @reader's next record is @text at @offset. */
void embed_expect(struct pyr_reader *reader, int64_t offset, const char *text);

/** Check that @log holds "record <n>" at offset n, for n from @first to @end, and nothing after. */
void embed_expect_numbered(struct pyr_log *log, int64_t first, int64_t end);

/** Return "@folder/@name" in memory of this file; the last eight stay valid. */
const char *embed_path(const char *folder, const char *name);

/** Return @text as a pointer to pass on; the receiver does not change it. */
static inline void *bytes_of(const char *text)
{
    union {
        const char *in;
        void *out;
    } both = {.in = text};

    return both.out;
}

/** Run @body with @ctx in a child process whose stdout is the returned stream. Gives: fclose;
 * embed_reap. */
FILE *embed_child(void (*body)(void *ctx), void *ctx, pid_t *ret_child);

/** Wait for @child and return its status as waitpid does. */
int embed_reap(pid_t child);

#endif /* EMBED_EMBED_CASE_H */
