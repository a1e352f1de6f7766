/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/window - reading the journal in big pieces; what is taken from where stands in the header.
 */
#include "wal/window.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "wal/disk.h"

/* Whether a piece is in memory is asked of one page in so many bytes: a hole costs time and nothing
 * else, and asking for each page costs as much as copying it. */
#define SAMPLE_BYTES (128 << 10)

void wal_window_init(struct wal_window *window, const struct wal_files *files)
{
    ASSERT(window);
    ASSERT(files);

    *window = (struct wal_window){.files = files};
}

/* -- The page cache's view -- */

static void view_close(struct wal_window *window)
{
    ASSERT(window->view || !window->map);

    if (window->map) {
        io_unmap(window->files->io, window->map, (size_t)window->files->identity.file_bytes);
    }
    io_close(window->files->io, window->view);
    window->map = NULL;
    window->view = NULL;
    window->view_file = NULL;
}

/* Open the view of @file, or leave it NULL: then everything is read from the device. */
static void view_open(struct wal_window *window, const struct wal_file *file)
{
    ASSERT(file->file);

    const struct wal_files *files = window->files;
    if (window->view_file == file) {
        return;
    }
    view_close(window);
    window->view_file = file;
    char path[PATH_BYTES_MAX];
    wal_files_path(files, file->slot, path);
    struct io_file *view = NULL;
    if (!files->is_direct || io_open(files->io, path, IO_OPEN_READ, &view) != 0) {
        return;
    }
    if (io_map(files->io, view, (size_t)files->identity.file_bytes, &window->map) != 0) {
        io_close(files->io, view);
        return;
    }
    window->view = view;
    ASSERT(window->map);
}

/* Return whether most of @count bytes at @position of the viewed file seem to be in memory. */
static bool view_is_resident(const struct wal_window *window, int64_t position, size_t count)
{
    ASSERT(count > 0);
    ASSERT(position + (int64_t)count <= (int64_t)window->files->identity.file_bytes);

    if (!window->view) {
        return false;
    }
    size_t samples = 0;
    size_t resident = 0;
    for (size_t at = 0; at < count; at += SAMPLE_BYTES) {
        struct bytes one = {window->map + position + at, 1};
        samples++;
        resident += io_map_is_resident(window->files->io, one) ? 1 : 0;
    }
    return resident > samples / 2;
}

/* -- The buffer -- */

void wal_window_deinit(struct wal_window *window)
{
    ASSERT(window->data || window->bytes_max == 0);
    ASSERT(window->count <= window->bytes_max);

    if (window->files) {
        view_close(window);
        io_free(window->files->io, window->data);
    }
    *window = (struct wal_window){0};
}

void wal_window_distrust(struct wal_window *window)
{
    ASSERT(window->files);

    window->count = 0;
    window->is_cached = false;
    window->is_distrusted = true;
}

/* Make the buffer hold at least @bytes. */
static enum pyr_err buffer_grow(struct wal_window *window, size_t bytes, struct pyr_error *reterr)
{
    ASSERT(window->count <= window->bytes_max);
    ASSERT(bytes % BLOCK_BYTES == 0);

    if (window->bytes_max >= bytes) {
        return PYR_OK;
    }
    uint64_t file_bytes = window->files->identity.file_bytes;
    uint64_t wanted = file_bytes < WAL_WINDOW_BYTES ? file_bytes : WAL_WINDOW_BYTES;
    wanted = bytes > wanted ? bytes : wanted;
    struct io *io = window->files->io;
    size_t alignment = wanted >= IO_LARGE_PAGE_BYTES ? IO_LARGE_PAGE_BYTES : BLOCK_BYTES;
    uint8_t *data = io_alloc_raw(io, (size_t)wanted, alignment);
    if (!data) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to read %llu bytes of the journal",
                       (unsigned long long)wanted);
    }
    if (window->data) {
        memcpy(data, window->data, window->count);
        io_free(io, window->data);
    }
    window->data = data;
    window->bytes_max = (size_t)wanted;
    return PYR_OK;
}

/* A read into the buffer. */
struct piece {
    const struct wal_file *file;
    int64_t position;
    struct bytes_mut span;
    size_t count_min; /* So much is needed now; the rest of the span is read ahead. */
};

/* Read @piece, from memory if it is there, and say how much. Return 0 or an errno value. */
static int piece_read(struct wal_window *window,
                      const struct piece *piece,
                      size_t *ret_count,
                      bool *ret_is_cached)
{
    ASSERT(piece->count_min > 0);
    ASSERT(piece->count_min <= piece->span.count);
    ASSERT(piece->position % BLOCK_BYTES == 0);

    struct io *io = window->files->io;
    struct bytes_mut span = piece->span;
    if (!window->is_distrusted) {
        size_t wanted = piece->count_min > (size_t)WAL_WINDOW_CACHED_BYTES
                            ? piece->count_min
                            : (size_t)WAL_WINDOW_CACHED_BYTES;
        span.count = wanted < span.count ? wanted : span.count;
        view_open(window, piece->file);
        if (view_is_resident(window, piece->position, span.count) &&
            wal_disk_read(io, window->view, span, piece->position) == 0) {
            *ret_count = span.count;
            *ret_is_cached = true;
            return 0;
        }
    }
    window->is_distrusted = false;
    *ret_count = piece->span.count;
    *ret_is_cached = false;
    return wal_disk_read(io, piece->file->file, piece->span, piece->position);
}

enum pyr_err wal_window_need(struct wal_window *window,
                             const struct wal_file *file,
                             int64_t position,
                             size_t bytes,
                             const uint8_t **ret_data,
                             struct pyr_error *reterr)
{
    ASSERT(file->file);
    ASSERT(bytes > 0);

    const struct wal_files *files = window->files;
    int64_t file_bytes = (int64_t)files->identity.file_bytes;
    ASSERT(position % BLOCK_BYTES == 0);
    ASSERT(position + (int64_t)bytes <= file_bytes);

    int64_t end = window->position + (int64_t)window->count;
    bool is_near = window->count > 0 && file == window->file && position >= window->position &&
                   position <= end;
    if (is_near && end - position >= (int64_t)bytes) {
        *ret_data = window->data + (position - window->position);
        return PYR_OK;
    }
    enum pyr_err err = buffer_grow(window, bytes, reterr);
    if (err != PYR_OK) {
        return err;
    }
    size_t kept = is_near ? (size_t)(end - position) : 0;
    if (kept > 0) {
        memmove(window->data, window->data + (position - window->position), kept);
    }
    int64_t left = file_bytes - position;
    size_t wanted = left < (int64_t)window->bytes_max ? (size_t)left : window->bytes_max;
    ASSERT(wanted >= bytes);
    bool was_cached = kept > 0 && window->is_cached;
    bool is_cached = false;
    size_t count = 0;
    const struct piece piece = {.file = file,
                                .position = position + (int64_t)kept,
                                .span = {window->data + kept, wanted - kept},
                                .count_min = bytes - kept};
    window->count = 0;
    int error = piece_read(window, &piece, &count, &is_cached);
    if (error != 0) {
        char path[PATH_BYTES_MAX];
        wal_files_path(files, file->slot, path);
        return err_set_errno(reterr, error, "read '%s' at position %lld", path,
                             (long long)position);
    }
    window->bytes_read += count;
    window->file = file;
    window->position = position;
    window->count = kept + count;
    window->is_cached = was_cached || is_cached;
    *ret_data = window->data;
    return PYR_OK;
}
