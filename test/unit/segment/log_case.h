/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/log_case - a log under test, whose records say by themselves whether they are right.
 *
 * The value of each record follows from its offset, its epoch and a salt, so that a reader needs no
 * list to tell a wrong record from a right one, also after crashes and truncations.
 */
#ifndef SEGMENT_LOG_CASE_H
#define SEGMENT_LOG_CASE_H

#include "segment/log.h"
#include "segment/read.h"
#include "segment/remove.h"

/* One log under test. */
struct log_case {
    struct io *io;
    const char *folder;
    struct segment_files files;
    struct segment_log_options options;
    struct segment_log *log;
    struct segment_report report; /* Of the last open. */
    struct pyr_error error;       /* Of the last call that failed. */
    struct segment_end claim;     /* What the last sync returned. */
    int64_t start;                /* Of the next claim. */
    bool may_scan;
    int32_t epoch;
    int64_t clock_ms;
    int64_t timestamp_ms;      /* Of the next batch. */
    uint32_t records_of_batch; /* 0 stands for 3. */
    uint32_t value_bytes;      /* Beyond its text; filled up. */
    const char *key;           /* Of each record; NULL: none. */
};

/** Set up @subject in @io with a new log in @folder, segments of @segment_bytes, not yet open. */
void log_case_init(struct log_case *subject,
                   struct io *io,
                   const char *folder,
                   int64_t segment_bytes);

/** Open with the claim; return the error. */
enum pyr_err log_case_open(struct log_case *subject);

/** Close, if it is open. */
void log_case_close(struct log_case *subject);

/** Append @batches, in one job or as many as it takes; return the error. */
enum pyr_err log_case_append(struct log_case *subject, uint32_t batches);

/** Sync, and take the result as the claim; return the error. */
enum pyr_err log_case_sync(struct log_case *subject);

/** Truncate; return the error. */
enum pyr_err log_case_truncate(struct log_case *subject, int64_t offset);

/** Return the end's offset. */
int64_t log_case_end(const struct log_case *subject);

/** Read all records from @offset to the end in pieces of @bytes_max; check each; return how many
 * there were, or -1 with the error in subject->error. */
int64_t log_case_read(struct log_case *subject, int64_t offset, size_t bytes_max);

/** Check the batch at the front of @data; return how many of its records lie in [@offset,
 * @offset_end), and its bytes in *@ret_bytes. */
int64_t log_case_check(struct bytes data, int64_t offset, int64_t offset_end, size_t *ret_bytes);

/** Build a batch of @records records from @offset on into @memory, as log_case_append does. */
struct bytes log_case_batch(struct log_case *subject, struct bytes_mut memory, int64_t offset);

/** Return the path of a segment's file, in one of a few rotating buffers. */
const char *log_case_path(struct log_case *subject, int64_t base, enum segment_kind kind);

/** Read a whole file into memory for free(); *@ret_count bytes. NULL if it is not there. */
uint8_t *log_case_load(struct io *io, const char *path, size_t *ret_count);

/** Write @data at @position of the file at @path, making it if need be, or cut it to position if
 * @data is empty. */
void log_case_poke(struct io *io, const char *path, int64_t position, struct bytes data);

#endif /* SEGMENT_LOG_CASE_H */
