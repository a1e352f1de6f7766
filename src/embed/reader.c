/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/reader - records in order, without a copy where none is needed.
 *
 * Part of the path:  cache chunk or segment -> [reader] -> the program
 *
 * A reader takes a run of whole batches at a time: a part of a cache chunk, which it holds a
 * reference of, or a verified piece of a segment, in a mapping or in its own buffer. It walks the
 * batches of the run and their records without the store's lock; a packed batch is unpacked into a
 * second buffer. The lock is taken once per run.
 *
 * Every byte of a run is checked, so the first run at a new place is small: who seeks for one
 * record pays for its batch. Each run that goes on from there is larger.
 *
 *      run    | batch | batch | batch |          batch  | header | record | record |
 *                       ^ run_position                             ^ walk
 *
 * Invariants:
 *   EMB-5  a record that was handed out stays where it is until the next call with the reader
 *
 * Threads: one at a time per reader.   Memory: two buffers of the reader's own, made when first
 * needed.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "embed/log.h"
#include "record/compress.h"
#include "record/walk.h"
#include "segment/read.h"

/* Files that are not there are asked for again so many times in a row: a segment may have been
 * removed or swapped meanwhile, but one that somebody took away does not come back. */
#define MISSING_MAX 100

struct pyr_reader {
    struct pyr_log *log;
    int64_t offset; /* Of the next record wanted. */

    /* The run. */
    struct partition_view view;    /* Holds the chunk of a run from the cache. */
    struct segment_handle *handle; /* Holds the mapping of a run from a segment. */
    struct bytes run;
    size_t run_position;
    int64_t run_next; /* Where to go on after the run. */

    /* The batch within the run. */
    struct walk walk;
    bool is_walking;
    struct pyr_header headers[RECORD_HEADERS_MAX];

    struct cache_place place;
    struct segment_cursor cursor;
    size_t read_bytes; /* What the next run may have: READ_BYTES_FIRST after a seek. */
    uint32_t missing;  /* How often in a row the segment's file was not there. */
    uint8_t *buffer;   /* Runs read without a mapping. */
    size_t buffer_bytes;
    uint8_t *unpacked; /* The records of a packed batch. */
    size_t unpacked_bytes;
    uint8_t *workspace; /* For unpacking. */
    size_t workspace_bytes;
};

void log_show(struct pyr_log *log)
{
    ASSERT(log->store->loop);

    bool waits_for_disk = log->partition->options.policy == PARTITION_POLICY_ALWAYS;
    if (log->has_room && !waits_for_disk && log_seal(log, NULL) == PYR_OK) {
        shard_kick(log->partition->shard); /* The journal watches its deadline from now on. */
        store_tend(log->store);
    }
}

static void run_release(struct pyr_reader *reader)
{
    ASSERT(reader->run_position <= reader->run.count);

    if (reader->view.kind != PARTITION_VIEW_NONE) {
        store_lock(reader->log->store);
        partition_view_release(reader->log->partition, &reader->view);
        store_unlock(reader->log->store);
    }
    segment_handle_release(reader->handle);
    reader->handle = NULL;
    reader->run = (struct bytes){NULL, 0};
    reader->run_position = 0;
    reader->is_walking = false;
}

static enum pyr_err buffer_grow(uint8_t **buffer,
                                size_t *bytes,
                                size_t wanted,
                                struct pyr_error *reterr)
{
    if (*bytes >= wanted) {
        return PYR_OK;
    }
    size_t rounded = (size_t)align_up(wanted, BLOCK_BYTES);
    uint8_t *grown = aligned_alloc(BLOCK_BYTES, rounded);
    if (!grown) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "a read needs %zu bytes", rounded);
    }
    free(*buffer);
    *buffer = grown;
    *bytes = rounded;
    return PYR_OK;
}

/* Read a run from the segment view that the reader holds; give the view back. */
static enum pyr_err run_from_segment(struct pyr_reader *reader, struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    struct segment_run run = {0};
    enum pyr_err err =
        buffer_grow(&reader->buffer, &reader->buffer_bytes, READ_BYTES_DEFAULT, reterr);
    struct segment_read want = {.offset = reader->offset,
                                .offset_end = reader->view.offset_end,
                                .bytes_max = reader->read_bytes,
                                .cursor = &reader->cursor};
    while (err == PYR_OK) {
        want.buffer = (struct bytes_mut){reader->buffer, reader->buffer_bytes};
        err = segment_view_read(&reader->view.segment, &want, &run, reterr);
        if (err != PYR_ERR_TOO_LARGE || run.bytes_needed <= reader->buffer_bytes) {
            break;
        }
        err = buffer_grow(&reader->buffer, &reader->buffer_bytes, run.bytes_needed, reterr);
    }
    store_lock(reader->log->store);
    partition_view_release(reader->log->partition, &reader->view);
    store_unlock(reader->log->store);
    if (err != PYR_OK) {
        return err;
    }
    size_t grown = reader->read_bytes * READ_BYTES_GROWTH;
    reader->read_bytes = grown < READ_BYTES_DEFAULT ? grown : READ_BYTES_DEFAULT;
    reader->handle = run.handle;
    reader->run = run.data;
    reader->run_next = run.offset_next;
    return PYR_OK;
}

/* Wait until something is committed at the reader's offset. The lock is held, and given back. */
static enum pyr_err run_wait_unlock(struct pyr_reader *reader,
                                    uint64_t deadline_ns,
                                    struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    struct pyr_store *store = reader->log->store;
    if (deadline_ns == 0) {
        store_unlock(store);
        return err_set(reterr, PYR_ERR_TIMEOUT, "the end of log '%s'",
                       reader->log->partition->name);
    }
    struct waiter waiter = {.kind = WAITER_COMMITTED,
                            .is_passive = true,
                            .log = reader->log,
                            .offset_end = reader->offset + 1};
    store_tend(store);
    enum pyr_err err = store_wait_unlock(store, &waiter, deadline_ns);
    if (err == PYR_ERR_TIMEOUT) {
        return err_set(reterr, err, "the end of log '%s'", reader->log->partition->name);
    }
    if (err != PYR_OK) {
        return err_set(reterr, err, "log '%s' has failed: nothing more will come",
                       reader->log->partition->name);
    }
    return PYR_OK;
}

/* Turn the view just taken, under the store's lock, into a run, and give the lock back. The run may
 * be empty: then ask again. */
static enum pyr_err run_from_view_unlock(struct pyr_reader *reader,
                                         uint64_t deadline_ns,
                                         struct pyr_error *reterr)
{
    ASSERT(reader->run.count == 0);

    enum pyr_err err = PYR_OK;
    switch (reader->view.kind) {
    case PARTITION_VIEW_NONE:
        return run_wait_unlock(reader, deadline_ns, reterr);
    case PARTITION_VIEW_CACHE:
        store_unlock(reader->log->store);
        reader->run = reader->view.data;
        reader->run_next = reader->view.offset_next;
        return PYR_OK;
    case PARTITION_VIEW_SEGMENT:
        store_unlock(reader->log->store);
        err = run_from_segment(reader, reterr);
        if (err == PYR_ERR_NOT_FOUND && reader->missing < MISSING_MAX) {
            reader->missing++;
            return PYR_OK; /* Removed or swapped meanwhile: ask again. */
        }
        reader->missing = 0;
        if (err == PYR_OK && reader->run.count == 0) {
            reader->offset = reader->run_next;
        }
        return err;
    }
    ASSERT(false);
    return err;
}

/* Get the next run with at least one batch. */
static enum pyr_err run_fetch(struct pyr_reader *reader,
                              uint64_t deadline_ns,
                              struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    enum pyr_err err = PYR_OK;
    run_release(reader);
    while (err == PYR_OK && reader->run.count == 0) {
        store_lock(reader->log->store);
        if (reader->offset >= reader->log->partition->offset_committed) {
            log_show(reader->log);
        }
        err = partition_view_take(reader->log->partition, reader->offset, &reader->place,
                                  &reader->view, reterr);
        if (err != PYR_OK) {
            store_unlock(reader->log->store);
            return err;
        }
        err = run_from_view_unlock(reader, deadline_ns, reterr);
    }
    return err;
}

/* Unpack the records of a batch, or point at them if they are not packed. */
static enum pyr_err batch_unpack(struct pyr_reader *reader,
                                 struct bytes batch,
                                 const struct batch_header *header,
                                 struct bytes *ret_records,
                                 struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);
    ASSERT(header->bytes >= BATCH_HEADER_BYTES);
    ASSERT(ret_records);

    if (batch_codec(header) == BATCH_CODEC_NONE) {
        *ret_records = batch_records(batch, header);
        return PYR_OK;
    }
    enum batch_codec codec = batch_codec(header);
    struct bytes packed = batch_records(batch, header);
    size_t bytes_max = 0;
    size_t bytes = 0;
    enum pyr_err err = PYR_OK;
    if (!compress_is_built_in(codec)) {
        err = err_set(reterr, PYR_ERR_UNSUPPORTED, "this build cannot unpack %s",
                      batch_codec_name(codec));
    }
    if (err == PYR_OK) {
        err = compress_unpacked_bytes_max(codec, packed, &bytes_max, reterr);
    }
    if (err == PYR_OK) {
        err = buffer_grow(&reader->unpacked, &reader->unpacked_bytes, bytes_max, reterr);
    }
    if (err == PYR_OK) {
        size_t workspace_bytes = compress_unpack_workspace_bytes(codec);
        err = buffer_grow(&reader->workspace, &reader->workspace_bytes, workspace_bytes, reterr);
    }
    if (err == PYR_OK) {
        struct bytes_mut workspace = {reader->workspace, reader->workspace_bytes};
        struct bytes_mut out = {reader->unpacked, bytes_max};
        err = compress_unpack(codec, packed, workspace, out, &bytes, reterr);
    }
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s', batch at offset %" PRId64, reader->log->partition->name,
                 header->base_offset);
        return err;
    }
    *ret_records = (struct bytes){reader->unpacked, bytes};
    return PYR_OK;
}

/* Begin to walk the next batch of the run; skip control batches. */
static enum pyr_err batch_next(struct pyr_reader *reader, struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    struct bytes rest = {reader->run.data + reader->run_position,
                         reader->run.count - reader->run_position};
    struct batch_header header;
    enum pyr_err err = batch_header_read(rest, &header, reterr);
    if (err != PYR_OK) {
        return err;
    }
    reader->run_position += header.bytes;
    reader->is_walking = !batch_is_control(&header);
    if (!reader->is_walking) {
        return PYR_OK;
    }
    struct bytes records = {NULL, 0};
    err = batch_unpack(reader, rest, &header, &records, reterr);
    if (err != PYR_OK) {
        return err;
    }
    walk_init(&reader->walk, &header, records);
    return PYR_OK;
}

/* Describe @view to the program. */
static void record_fill(struct pyr_reader *reader,
                        const struct record_view *view,
                        struct pyr_record *record)
{
    ASSERT(reader->run_position <= reader->run.count);
    ASSERT(view);
    ASSERT(record);

    *record = (struct pyr_record){.offset = view->offset,
                                  .timestamp_ms = view->timestamp,
                                  .key = view->key.data,
                                  .key_bytes = view->key.count,
                                  .value = view->value.data,
                                  .value_bytes = view->value.count};
    if (view->header_count == 0) {
        return;
    }
    struct bytes headers = view->headers;
    struct record_header header;
    while (record->header_count < RECORD_HEADERS_MAX && record_header_next(&headers, &header)) {
        reader->headers[record->header_count++] = (struct pyr_header){
            .key = (const char *)header.key.data,
            .key_bytes = header.key.count,
            .value = header.value.data,
            .value_bytes = header.value.count,
        };
    }
    record->headers = reader->headers;
}

/* Step to the next record of the batch being walked at or past the reader's offset. False at the
 * end of the batch, and when none is being walked. */
static bool batch_next_record(struct pyr_reader *reader, struct record_view *view)
{
    ASSERT(view);

    while (reader->is_walking && walk_next(&reader->walk, view)) {
        if (view->offset >= reader->offset) {
            return true;
        }
    }
    return false;
}

/* Step to the next record of the run at or past the reader's offset. False at the end of the run.
 */
static bool run_next_record(struct pyr_reader *reader,
                            struct record_view *view,
                            enum pyr_err *ret_err,
                            struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);
    ASSERT(view);

    for (;;) {
        if (batch_next_record(reader, view)) {
            return true;
        }
        if (reader->is_walking) {
            reader->is_walking = false;
            *ret_err = walk_end(&reader->walk, reterr);
        }
        bool is_over = reader->run_position == reader->run.count;
        if (*ret_err != PYR_OK || is_over) {
            return false;
        }
        *ret_err = batch_next(reader, reterr);
        if (*ret_err != PYR_OK) {
            return false;
        }
    }
}

enum pyr_err pyr_reader_next(struct pyr_reader *reader,
                             int64_t timeout_ms,
                             struct pyr_record *ret_record,
                             struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    struct record_view view;
    enum pyr_err err = store_check_fork(reader->log->store, reterr);
    if (err == PYR_OK && run_next_record(reader, &view, &err, reterr)) {
        reader->offset = view.offset + 1;
        record_fill(reader, &view, ret_record);
        return PYR_OK;
    }
    uint64_t deadline_ns = timeout_ms == 0 ? 0 : store_deadline_ns(reader->log->store, timeout_ms);
    while (err == PYR_OK) {
        if (reader->run.count > 0) {
            reader->offset = reader->run_next > reader->offset ? reader->run_next : reader->offset;
        }
        err = run_fetch(reader, deadline_ns, reterr);
        if (err == PYR_OK && run_next_record(reader, &view, &err, reterr)) {
            reader->offset = view.offset + 1;
            record_fill(reader, &view, ret_record);
            return PYR_OK;
        }
    }
    return err;
}

enum pyr_err pyr_reader_next_bytes(struct pyr_reader *reader,
                                   int64_t timeout_ms,
                                   const void **ret_data,
                                   size_t *ret_bytes,
                                   struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    enum pyr_err err = store_check_fork(reader->log->store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    uint64_t deadline_ns = timeout_ms == 0 ? 0 : store_deadline_ns(reader->log->store, timeout_ms);
    err = run_fetch(reader, deadline_ns, reterr);
    if (err != PYR_OK) {
        return err;
    }
    *ret_data = reader->run.data;
    *ret_bytes = reader->run.count;
    reader->offset = reader->run_next;
    reader->run_position = reader->run.count;
    return PYR_OK;
}

/* Translate PYR_READ_FIRST and PYR_READ_END, and check the range. */
static enum pyr_err offset_resolve(struct pyr_log *log,
                                   int64_t offset,
                                   int64_t *ret_offset,
                                   struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    store_lock(log->store);
    if (offset == PYR_READ_END || offset > log->partition->offset_committed) {
        log_show(log);
    }
    int64_t first = log->partition->offset_start;
    int64_t end = log->partition->offset_committed;
    store_unlock(log->store);
    int64_t resolved = offset == PYR_READ_FIRST ? first : offset == PYR_READ_END ? end : offset;
    if (resolved < first || resolved > end) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "offset %" PRId64 " of log '%s' is outside of %" PRId64 " to %" PRId64,
                       offset, log->partition->name, first, end);
    }
    *ret_offset = resolved;
    return PYR_OK;
}

enum pyr_err pyr_reader_open(struct pyr_log *log,
                             int64_t offset,
                             struct pyr_reader **ret_reader,
                             struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    int64_t resolved = 0;
    enum pyr_err err = store_check_fork(log->store, reterr);
    if (err == PYR_OK) {
        err = offset_resolve(log, offset, &resolved, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct pyr_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "open a reader");
    }
    reader->log = log;
    reader->offset = resolved;
    reader->read_bytes = READ_BYTES_FIRST;
    *ret_reader = reader;
    return PYR_OK;
}

void pyr_reader_close(struct pyr_reader *reader)
{
    if (!reader || store_check_fork(reader->log->store, NULL) != PYR_OK) {
        return;
    }
    run_release(reader);
    free(reader->buffer);
    free(reader->unpacked);
    free(reader->workspace);
    free(reader);
}

/* Whether the run, which is held until the next one is wanted, holds @offset. */
static bool run_holds(const struct pyr_reader *reader, int64_t offset)
{
    ASSERT(offset >= 0);

    struct batch_header header;
    return reader->run.count > 0 && offset < reader->run_next &&
           batch_header_read(reader->run, &header, NULL) == PYR_OK && offset >= header.base_offset;
}

enum pyr_err pyr_reader_seek(struct pyr_reader *reader, int64_t offset, struct pyr_error *reterr)
{
    ASSERT(reader->run_position <= reader->run.count);

    int64_t resolved = 0;
    enum pyr_err err = store_check_fork(reader->log->store, reterr);
    if (err == PYR_OK) {
        err = offset_resolve(reader->log, offset, &resolved, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    reader->offset = resolved;
    if (run_holds(reader, resolved)) {
        reader->run_position = 0; /* Read and checked a moment ago: walk it again. */
        reader->is_walking = false;
        return PYR_OK;
    }
    run_release(reader);
    reader->read_bytes = READ_BYTES_FIRST;
    return PYR_OK;
}

struct pyr_position pyr_reader_position(const struct pyr_reader *reader)
{
    if (store_check_fork(reader->log->store, NULL) != PYR_OK) {
        return (struct pyr_position){.segment = 0, .offset = reader->offset};
    }
    store_lock(reader->log->store);
    int64_t segment = segment_log_segment_of(reader->log->partition->segments, reader->offset);
    store_unlock(reader->log->store);
    return (struct pyr_position){.segment = segment, .offset = reader->offset};
}
