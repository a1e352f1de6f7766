/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/files - opening and counting handles, and the list in order of use.
 */
#include "segment/files.h"

#include <errno.h>

#include "base/assert.h"

/* -- Handles -- */

static enum pyr_err open_one(struct io *io,
                             const struct segment_handle_options *options,
                             enum segment_kind kind,
                             struct io_file **ret_file,
                             struct pyr_error *reterr)
{
    ASSERT(options->folder);
    ASSERT(options->offset_base >= 0);
    ASSERT(kind == SEGMENT_KIND_LOG || kind == SEGMENT_KIND_DIGEST);

    char path[PATH_BYTES_MAX];
    if (!segment_path(path, options->folder, options->offset_base, kind, SEGMENT_SUFFIX_NONE)) {
        return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", options->folder);
    }
    uint32_t flags = IO_OPEN_READ | (options->is_writable ? (uint32_t)IO_OPEN_WRITE : 0);
    int number = io_open(io, path, flags, ret_file);
    if (number == ENOENT) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "'%s' is not there", path);
    }
    if (number != 0) {
        return err_set_errno(reterr, number, "open '%s'", path);
    }
    ASSERT(*ret_file);
    return PYR_OK;
}

static enum pyr_err map_log(struct segment_handle *handle, struct pyr_error *reterr)
{
    ASSERT(handle->log);
    ASSERT(!handle->log_map);

    int64_t bytes = 0;
    int number = io_bytes(handle->io, handle->log, &bytes);
    if (number == 0 && bytes > 0) {
        number = io_map(handle->io, handle->log, (size_t)bytes, &handle->log_map);
    }
    if (number != 0) {
        return err_set_errno(reterr, number, "map a segment");
    }
    handle->log_map_bytes = (size_t)bytes;
    ASSERT(handle->log_map || bytes == 0);
    return PYR_OK;
}

enum pyr_err segment_handle_open(struct io *io,
                                 const struct segment_handle_options *options,
                                 struct segment_handle **ret_handle,
                                 struct pyr_error *reterr)
{
    ASSERT(options->folder);
    ASSERT(!options->is_writable || !options->use_mmap);
    ASSERT(ret_handle);

    struct segment_handle *handle = io_alloc(io, sizeof *handle, _Alignof(struct segment_handle));
    if (!handle) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a segment's handle");
    }
    handle->io = io;
    handle->is_writable = options->is_writable;
    atomic_init(&handle->references, 1);

    enum pyr_err err = open_one(io, options, SEGMENT_KIND_LOG, &handle->log, reterr);
    if (err != PYR_OK) {
        goto fail_free;
    }
    err = open_one(io, options, SEGMENT_KIND_DIGEST, &handle->digest, reterr);
    if (err != PYR_OK) {
        goto fail_close_log;
    }
    if (options->use_mmap) {
        err = map_log(handle, reterr);
    }
    if (err != PYR_OK) {
        goto fail_close_digest;
    }
    *ret_handle = handle;
    return PYR_OK;

fail_close_digest:
    io_close(io, handle->digest);
fail_close_log:
    io_close(io, handle->log);
fail_free:
    io_free(io, handle);
    return err;
}

void segment_handle_acquire(struct segment_handle *handle)
{
    ASSERT(handle->log);
    ASSERT(handle->digest);

    unsigned before = atomic_fetch_add_explicit(&handle->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void segment_handle_release(struct segment_handle *handle)
{
    if (!handle) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&handle->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) {
        return;
    }
    if (handle->log_map) {
        io_unmap(handle->io, handle->log_map, handle->log_map_bytes);
    }
    io_close(handle->io, handle->digest);
    io_close(handle->io, handle->log);
    io_free(handle->io, handle);
}

/* -- The cache -- */

void segment_files_init(struct segment_files *files, struct io *io, uint32_t handles_max)
{
    ASSERT(files);
    ASSERT(io);
    ASSERT(handles_max > 0);
    *files = (struct segment_files){
        .io = io,
        .handles_max = handles_max,
        .direct_batch_bytes = SEGMENT_DIRECT_BATCH_BYTES,
        .direct_buffer_bytes = SEGMENT_DIRECT_BUFFER_BYTES,
    };
}

void segment_files_deinit(struct segment_files *files)
{
    ASSERT(!files->lru_last);
    ASSERT(files->handle_count == 0);
    ASSERT(!files->lru_first);

    while (files->buffer_count > 0) {
        io_free(files->io, files->buffers[--files->buffer_count]);
    }
}

uint8_t *segment_files_take_buffer(struct segment_files *files)
{
    ASSERT(files->buffer_count <= SEGMENT_DIRECT_BUFFERS_MAX);
    ASSERT(files->io);

    if (files->buffer_count > 0) {
        return files->buffers[--files->buffer_count];
    }
    /* Out of a large page, a write is one piece for the device, and not hundreds. */
    size_t bytes = files->direct_buffer_bytes;
    if (bytes < IO_LARGE_PAGE_BYTES / 2) {
        return io_alloc_raw(files->io, bytes, BLOCK_BYTES);
    }
    return io_alloc_raw(files->io, (size_t)align_up(bytes, IO_LARGE_PAGE_BYTES),
                        IO_LARGE_PAGE_BYTES);
}

void segment_files_give_buffer(struct segment_files *files, uint8_t *buffer)
{
    ASSERT(files->buffer_count <= SEGMENT_DIRECT_BUFFERS_MAX);
    ASSERT(files->io);

    if (buffer && files->buffer_count < SEGMENT_DIRECT_BUFFERS_MAX) {
        files->buffers[files->buffer_count++] = buffer;
        return;
    }
    io_free(files->io, buffer);
}

static void list_remove(struct segment_files *files, struct segment *segment)
{
    ASSERT(segment->handle);
    ASSERT(files->lru_first);
    ASSERT(files->lru_last);
    ASSERT(files->handle_count > 0);
    *(segment->lru_prev ? &segment->lru_prev->lru_next : &files->lru_first) = segment->lru_next;
    *(segment->lru_next ? &segment->lru_next->lru_prev : &files->lru_last) = segment->lru_prev;
    segment->lru_prev = NULL;
    segment->lru_next = NULL;
    files->handle_count--;
}

static void list_append(struct segment_files *files, struct segment *segment)
{
    ASSERT(segment->handle);
    ASSERT(!segment->lru_prev);
    ASSERT(files->handle_count < files->handles_max);
    ASSERT(!segment->lru_next);
    segment->lru_prev = files->lru_last;
    *(files->lru_last ? &files->lru_last->lru_next : &files->lru_first) = segment;
    files->lru_last = segment;
    files->handle_count++;
}

struct segment_handle *segment_files_get(struct segment_files *files,
                                         struct segment *segment,
                                         uint32_t map_bytes,
                                         bool is_writable)
{
    ASSERT(segment->state != SEGMENT_STATE_DELETED);
    ASSERT(files->handle_count <= files->handles_max);

    struct segment_handle *handle = segment->handle;
    if (!handle || handle->log_map_bytes < map_bytes || (is_writable && !handle->is_writable)) {
        return NULL;
    }
    if (handle->log_map && handle->log_map_bytes < segment->shape.end.position) {
        return NULL; /* Mapped when there was less, by a log that maps no more. */
    }
    list_remove(files, segment);
    list_append(files, segment);
    segment_handle_acquire(handle);
    return handle;
}

void segment_files_put(struct segment_files *files,
                       struct segment *segment,
                       struct segment_handle *handle)
{
    ASSERT(handle);
    ASSERT(files->handle_count <= files->handles_max);
    ASSERT(segment->state != SEGMENT_STATE_DELETED); /* SEG-5 */
    if (segment->handle == handle) {
        return;
    }
    segment_files_drop(files, segment);
    if (files->handle_count == files->handles_max) {
        segment_files_drop(files, files->lru_first);
    }
    segment_handle_acquire(handle);
    segment->handle = handle;
    list_append(files, segment);
    ASSERT(files->handle_count <= files->handles_max); /* SEG-5 */
}

void segment_files_drop(struct segment_files *files, struct segment *segment)
{
    ASSERT(!segment->handle || files->handle_count > 0);

    struct segment_handle *handle = segment->handle;
    if (!handle) {
        return;
    }
    list_remove(files, segment);
    segment->handle = NULL;
    segment_handle_release(handle);
}
