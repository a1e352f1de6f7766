/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/log_dump - printing batches, records and journal entries.
 *
 * Threads: the one that calls.
 */
#ifndef CLI_LOG_DUMP_H
#define CLI_LOG_DUMP_H

#include "cli/offline.h"

/* What is wanted of a dump. */
struct dump_options {
    const char *log;
    int64_t from;
    int64_t limit; /* 0: none. */
    bool shows_records;
    bool shows_wal;
    bool is_json;
};

/* A dump under way. */
struct dump {
    const struct dump_options *options;
    struct offline *offline;
    uint64_t printed;   /* Batches, records or entries, towards the limit. */
    uint64_t damaged;   /* Places below a log's claim that are no whole batch. */
    uint8_t *batch;     /* The batch at hand. */
    size_t batch_bytes; /* Its room. */
    uint8_t *unpacked;  /* Its records, if they were packed. */
};

/** Return whether --limit is reached. */
bool dump_is_full(const struct dump *dump);

/** Print a batch of @log at @position of @file ("" for the journal), with its records if they are
 * wanted. @data is a whole batch whose header is @header. */
MUST_CHECK enum pyr_err dump_batch(struct dump *dump,
                                   const char *log,
                                   const char *file,
                                   int64_t position,
                                   struct bytes data,
                                   struct pyr_error *reterr);

/** Print the heading of the batches of @file. */
void dump_heading(const struct dump *dump, const char *log, const char *file);

#endif /* CLI_LOG_DUMP_H */
