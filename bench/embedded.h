/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/embedded - our own log as the cases use it: a fresh store, records of one size.
 *
 * Only what a user of include/pyralog.h has. A case gets a store with the library's defaults, but
 * for what its question is about.
 *
 * Threads: as the calls of include/pyralog.h.
 */
#ifndef BENCH_EMBEDDED_H
#define BENCH_EMBEDDED_H

#include <stddef.h>

#include "bench.h"

/* The record that the promises speak of. */
#define EMBEDDED_RECORD_BYTES ((size_t)100)

/* A fresh store with one log, and records to append to it. */
struct embedded {
    struct pyr_store *store;
    struct pyr_log *log;
    struct pyr_record *records;
    size_t record_count; /* Of a batch. */
    size_t record_bytes; /* Of each value. */
    uint8_t *values;
};

/* What a case asks for. */
struct embedded_options {
    const char *name;               /* The store's folder below the bench's. */
    struct pyr_store_options store; /* After pyr_store_options_init(). */
    struct pyr_log_options log;     /* After pyr_log_options_init(). */
    size_t record_count;            /* Records of a batch. */
    size_t record_bytes;            /* Of each value. */
};

/** Return options with the library's defaults: one record of EMBEDDED_RECORD_BYTES, @sync, and
 * retention that bounds the disk that a case takes. */
struct embedded_options embedded_defaults(enum pyr_sync sync);

/** Remove what an earlier run left, then open the store and its log and make the records. Ends the
 * program if it cannot. Gives: embedded_close. */
void embedded_open(struct embedded *embedded,
                   const struct bench_options *options,
                   const struct embedded_options *wanted);

/** Open the store of @wanted, which is there, and its log; else as embedded_open. Gives:
 * embedded_leave, or embedded_close. */
void embedded_again(struct embedded *embedded,
                    const struct bench_options *options,
                    const struct embedded_options *wanted);

/**
 * Append until the log has used all the memory that it will use, and wait until it is written; then
 * warm the machine's memory for @bytes_expected bytes of segments.
 *
 * What is measured after it is the steady state: a log's cache and journal are not fresh but for
 * its first second.
 */
void embedded_warm(struct embedded *embedded,
                   const struct bench_options *options,
                   size_t bytes_expected);

/** Append all records as one batch and wait for the policy. Ends the program if it fails. */
void embedded_append(struct embedded *embedded);

/** Return a reader of the log from @offset on. Gives: pyr_reader_close. */
struct pyr_reader *embedded_reader(struct embedded *embedded, int64_t offset);

/** Return one past the last offset of the log. */
int64_t embedded_end(struct embedded *embedded);

/** Read every batch once; return how many bytes there were. */
uint64_t embedded_pass_bytes(struct embedded *embedded);

/** Close the store and remove its folder. */
void embedded_close(struct embedded *embedded,
                    const struct bench_options *options,
                    const struct embedded_options *wanted);

/** Close the store and leave its folder. */
void embedded_leave(struct embedded *embedded);

/** Return the word for @sync. */
const char *embedded_sync_name(enum pyr_sync sync);

#endif /* BENCH_EMBEDDED_H */
