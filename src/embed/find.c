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

/* Ask the segments; leaves *@ret_offset as it is if they hold nothing that late. */
static enum pyr_err find_in_segments(struct pyr_log *log,
                                     int64_t timestamp_ms,
                                     int64_t *ret_offset,
                                     struct pyr_error *reterr)
{
    struct segment_view view;
    store_lock(log->store);
    enum pyr_err err = segment_log_view_time(log->partition->segments, timestamp_ms, &view, reterr);
    store_unlock(log->store);
    if (err == PYR_ERR_NOT_FOUND) {
        return PYR_OK;
    }
    if (err != PYR_OK) {
        return err;
    }
    int64_t offset = 0;
    err = segment_view_find_time(&view, timestamp_ms, &offset, reterr);
    store_lock(log->store);
    segment_log_view_release(log->partition->segments, &view);
    store_unlock(log->store);
    if (err == PYR_OK) {
        *ret_offset = offset;
    }
    return err == PYR_ERR_OUT_OF_RANGE ? PYR_OK : err;
}

enum pyr_err pyr_log_find_time(struct pyr_log *log,
                               int64_t timestamp_ms,
                               struct pyr_position *ret_position,
                               struct pyr_error *reterr)
{
    enum pyr_err err = store_check_fork(log->store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    store_lock(log->store);
    int64_t offset = log->partition->offset_written;
    int64_t first = log->partition->offset_start;
    store_unlock(log->store);
    err = find_in_segments(log, timestamp_ms, &offset, reterr);
    if (err != PYR_OK) {
        return err;
    }

    /* The batch is known, or the cache's tail has to be looked through: walk to the record. */
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    err = pyr_reader_open(log, offset > first ? offset : first, &reader, reterr);
    if (err != PYR_OK) {
        return err;
    }
    do {
        *ret_position = pyr_reader_position(reader);
        err = pyr_reader_next(reader, 0, &record, reterr);
    } while (err == PYR_OK && record.timestamp_ms < timestamp_ms);
    if (err == PYR_OK) {
        ret_position->offset = record.offset;
    }
    pyr_reader_close(reader);
    return err == PYR_ERR_TIMEOUT ? PYR_OK : err;
}
