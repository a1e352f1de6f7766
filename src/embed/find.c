/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/find - the first record at or after a time.
 *
 * The segments' points lead to a batch; what is only in the cache, and the records within the
 * batch, are walked.
 */
#include "base/assert.h"
#include "embed/log.h"
#include "segment/read.h"

/* Return in *@ret_offset where to begin looking for @timestamp_ms: the first batch of the segments
 * that has it, or what is not in segments yet. Records before it are older. */
static enum pyr_err time_place(struct pyr_log *log,
                               int64_t timestamp_ms,
                               int64_t *ret_offset,
                               struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    struct pyr_store *store = log->store;
    struct partition *partition = log->partition;
    struct segment_view view;
    store_lock(store);
    int64_t offset = partition->offset_written;
    enum pyr_err err = partition_check(partition, reterr);
    if (err != PYR_OK) {
        store_unlock(store);
        return err;
    }
    err = segment_log_view_time(partition->segments, timestamp_ms, &view, reterr);
    store_unlock(store);
    if (err == PYR_OK) {
        err = segment_view_find_time(&view, timestamp_ms, &offset, reterr);
        store_lock(store);
        segment_log_view_release(partition->segments, &view);
        store_unlock(store);
    }
    if (err == PYR_OK || err == PYR_ERR_NOT_FOUND || err == PYR_ERR_OUT_OF_RANGE) {
        *ret_offset = offset;
        return PYR_OK;
    }
    return err;
}

/* Move @reader forward to the first record at or after @timestamp_ms; *@ret_offset is the log's end
 * if there is none. */
static enum pyr_err time_scan(struct pyr_reader *reader,
                              int64_t timestamp_ms,
                              int64_t *ret_offset,
                              struct pyr_error *reterr)
{
    ASSERT(reader);

    struct pyr_record record = {.timestamp_ms = INT64_MIN};
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && record.timestamp_ms < timestamp_ms) {
        err = pyr_reader_next(reader, 0, &record, reterr);
    }
    *ret_offset = err == PYR_OK ? record.offset : pyr_reader_position(reader).offset;
    return err == PYR_ERR_TIMEOUT ? PYR_OK : err;
}

enum pyr_err pyr_log_find_time(struct pyr_log *log,
                               int64_t timestamp_ms,
                               struct pyr_position *ret_position,
                               struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    struct pyr_store *store = log->store;
    struct pyr_reader *reader = NULL;
    int64_t offset = 0;
    enum pyr_err err = store_check_fork(store, reterr);
    if (err == PYR_OK) {
        err = time_place(log, timestamp_ms, &offset, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    store_lock(store);
    int64_t first = log->partition->offset_start;
    int64_t end = log->partition->offset_committed;
    store_unlock(store);
    offset = offset < first ? first : offset > end ? end : offset;
    err = pyr_reader_open(log, offset, &reader, reterr);
    if (err != PYR_OK) {
        return err;
    }
    err = time_scan(reader, timestamp_ms, &offset, reterr);
    pyr_reader_close(reader);
    if (err != PYR_OK) {
        return err;
    }
    store_lock(store);
    ASSERT(offset <= log->partition->offset_committed);
    *ret_position =
        (struct pyr_position){.segment = segment_log_segment_of(log->partition->segments, offset),
                              .offset = offset};
    store_unlock(store);
    return PYR_OK;
}
