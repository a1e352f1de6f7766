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

void wal_window_init(struct wal_window *window, const struct wal_files *files, struct io_loop *loop)
{
    ASSERT(window);
    ASSERT(files);

    uint64_t eighth = align_down(files->identity.file_bytes / 8, (uint64_t)2 * BLOCK_BYTES);
    size_t piece_bytes = eighth < WAL_WINDOW_BYTES ? (size_t)eighth : (size_t)WAL_WINDOW_BYTES;
    *window = (struct wal_window){.files = files,
                                  .loop = loop,
                                  .piece_bytes = piece_bytes,
                                  .room_bytes = piece_bytes / 2};
    ASSERT(window->room_bytes > 0);
    ASSERT(window->room_bytes % BLOCK_BYTES == 0);
}

/* -- The page cache's view -- */

static void view_close(struct wal_window *window)
{
    ASSERT(window->view || !window->map);
    ASSERT(!window->ahead.is_running); /* WIN-1 */

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

/* -- One piece -- */

/* Return whether most of @piece seems to be in memory. */
static bool piece_is_resident(const struct wal_piece *piece)
{
    ASSERT(piece->view);
    ASSERT(piece->map);

    size_t samples = 0;
    size_t resident = 0;
    for (size_t at = 0; at < piece->span.count; at += SAMPLE_BYTES) {
        struct bytes one = {piece->map + piece->position + at, 1};
        samples++;
        resident += io_map_is_resident(piece->io, one) ? 1 : 0;
    }
    return resident > samples / 2;
}

/* Read @piece, from memory if it is there; touches nothing but @piece and its span. */
static void piece_read(struct wal_piece *piece)
{
    ASSERT(piece->span.count > 0);
    ASSERT(piece->position % BLOCK_BYTES == 0);

    piece->error = 0;
    piece->is_cached = piece->view && piece_is_resident(piece) &&
                       wal_disk_read(piece->io, piece->view, piece->span, piece->position) == 0;
    if (!piece->is_cached) {
        piece->error = wal_disk_read(piece->io, piece->device, piece->span, piece->position);
    }
}

static void piece_run(struct io_job *job)
{
    ASSERT(job->ctx);

    piece_read(job->ctx);
}

static void piece_done(struct io_job *job)
{
    struct wal_piece *piece = job->ctx;
    ASSERT(piece->is_running);

    piece->is_running = false;
}

/* Return the read of @span at @position of @file. */
static struct wal_piece piece_of(struct wal_window *window,
                                 const struct wal_file *file,
                                 int64_t position,
                                 struct bytes_mut span)
{
    ASSERT(file->file);
    ASSERT(position + (int64_t)span.count <= (int64_t)window->files->identity.file_bytes);

    view_open(window, file);
    struct wal_piece piece = {.file = file,
                              .device = file->file,
                              .io = window->files->io,
                              .position = position,
                              .span = span};
    if (!window->is_distrusted) {
        piece.view = window->view;
        piece.map = window->map;
    }
    return piece;
}

/* -- The buffers -- */

/* Make buffer @turn hold at least @bytes; what the window holds in it is kept. */
static enum pyr_err buffer_grow(struct wal_window *window,
                                uint32_t turn,
                                size_t bytes,
                                struct pyr_error *reterr)
{
    ASSERT(turn < 2);
    ASSERT(!window->ahead.is_running); /* WIN-1 */

    if (window->bytes_max[turn] >= bytes) {
        return PYR_OK;
    }
    size_t whole = window->room_bytes + window->piece_bytes;
    size_t wanted = bytes > whole ? bytes : whole;
    struct io *io = window->files->io;
    size_t alignment = wanted >= IO_LARGE_PAGE_BYTES ? IO_LARGE_PAGE_BYTES : BLOCK_BYTES;
    uint8_t *buffer = io_alloc_raw(io, wanted, alignment);
    if (!buffer) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to read %llu bytes of the journal",
                       (unsigned long long)wanted);
    }
    if (window->buffers[turn] && turn == window->turn && window->count > 0) {
        ASSERT(window->count <= wanted);
        memcpy(buffer, window->data, window->count);
        window->data = buffer;
    }
    io_free(io, window->buffers[turn]);
    window->buffers[turn] = buffer;
    window->bytes_max[turn] = wanted;
    return PYR_OK;
}

/* -- Reading ahead -- */

/* Wait until nothing reads ahead. */
static void ahead_wait(struct wal_window *window)
{
    ASSERT(window->loop || !window->ahead.is_running);

    while (window->ahead.is_running) {
        io_loop_wait(window->loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(window->loop);
    }
}

static void ahead_drop(struct wal_window *window)
{
    ASSERT(window->has_ahead || !window->ahead.is_running);

    ahead_wait(window);
    window->has_ahead = false;
}

/* Begin to read what follows in the file. Without memory for it nothing is read ahead. */
static void ahead_start(struct wal_window *window)
{
    ASSERT(!window->has_ahead);
    ASSERT(window->count > 0);

    int64_t position = window->position + (int64_t)window->count;
    int64_t left = (int64_t)window->files->identity.file_bytes - position;
    uint32_t turn = 1 - window->turn;
    size_t whole = window->room_bytes + window->piece_bytes;
    if (!window->loop || left <= 0 || buffer_grow(window, turn, whole, NULL) != PYR_OK) {
        return;
    }
    size_t count = left < (int64_t)window->piece_bytes ? (size_t)left : window->piece_bytes;
    struct bytes_mut span = {window->buffers[turn] + window->room_bytes, count};
    struct wal_piece *piece = &window->ahead;
    *piece = piece_of(window, window->file, position, span);
    piece->is_running = true;
    piece->job = (struct io_job){.run = piece_run, .done = piece_done, .ctx = piece};
    window->has_ahead = true;
    io_job_start(window->loop, &piece->job);
}

/* Return how many bytes of the window are of @file from @position on; -1 if it neither holds that
 * position nor ends there. */
static int64_t window_kept(const struct wal_window *window,
                           const struct wal_file *file,
                           int64_t position)
{
    ASSERT(position % BLOCK_BYTES == 0);

    int64_t end = window->position + (int64_t)window->count;
    bool is_near = window->count > 0 && file == window->file && position >= window->position &&
                   position <= end;
    return is_near ? end - position : -1;
}

/* Let the piece read ahead follow what the window holds from @position on, if it does. */
static bool ahead_take(struct wal_window *window, const struct wal_file *file, int64_t position)
{
    ASSERT(!window->has_ahead || window->count > 0);

    int64_t left = window_kept(window, file, position);
    if (!window->has_ahead || left < 0 || left > (int64_t)window->room_bytes) {
        return false;
    }
    size_t kept = (size_t)left;
    ASSERT(window->ahead.file == file);
    ahead_wait(window);
    window->has_ahead = false;
    const struct wal_piece *piece = &window->ahead;
    ASSERT(piece->position == position + (int64_t)kept);
    if (piece->error != 0) {
        return false; /* Read again, and reported, if it is needed. */
    }
    uint8_t *begin = piece->span.data - kept;
    memcpy(begin, window->data + (position - window->position), kept);
    window->turn = 1 - window->turn;
    window->data = begin;
    window->position = position;
    window->count = kept + piece->span.count;
    window->is_cached = (kept > 0 && window->is_cached) || piece->is_cached;
    window->bytes_read += piece->span.count;
    return true;
}

/* -- The window -- */

void wal_window_deinit(struct wal_window *window)
{
    ASSERT(window->files || !window->buffers[0]);
    ASSERT(window->files || !window->has_ahead);

    if (window->files) {
        ahead_drop(window);
        view_close(window);
        io_free(window->files->io, window->buffers[0]);
        io_free(window->files->io, window->buffers[1]);
    }
    *window = (struct wal_window){0};
}

void wal_window_distrust(struct wal_window *window)
{
    ASSERT(window->files);

    ahead_drop(window);
    window->count = 0;
    window->is_cached = false;
    window->is_distrusted = true;
    ASSERT(!window->has_ahead);
}

void wal_window_trust(struct wal_window *window)
{
    ASSERT(window->is_distrusted);
    ASSERT(!window->is_cached);

    window->is_distrusted = false;
}

/* Read on behind what is kept from @position on, until @bytes are there. */
static enum pyr_err window_fill(struct wal_window *window,
                                const struct wal_file *file,
                                int64_t position,
                                size_t bytes,
                                struct pyr_error *reterr)
{
    ASSERT(bytes > 0);

    ahead_drop(window);
    enum pyr_err err = buffer_grow(window, window->turn, bytes, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int64_t held = window_kept(window, file, position);
    size_t kept = held > 0 ? (size_t)held : 0;
    uint8_t *buffer = window->buffers[window->turn];
    if (kept > 0) {
        memmove(buffer, window->data + (position - window->position), kept);
    }
    int64_t left = (int64_t)window->files->identity.file_bytes - position;
    size_t wanted = bytes > window->piece_bytes ? bytes : window->piece_bytes;
    wanted = left < (int64_t)wanted ? (size_t)left : wanted;
    ASSERT(wanted >= bytes);
    ASSERT(wanted <= window->bytes_max[window->turn]);
    struct wal_piece piece = piece_of(window, file, position + (int64_t)kept,
                                      (struct bytes_mut){buffer + kept, wanted - kept});
    bool was_cached = kept > 0 && window->is_cached;
    window->count = 0;
    piece_read(&piece);
    if (piece.error != 0) {
        char path[PATH_BYTES_MAX];
        wal_files_path(window->files, file->slot, path);
        return err_set_errno(reterr, piece.error, "read '%s' at position %lld", path,
                             (long long)position);
    }
    window->bytes_read += piece.span.count;
    window->file = file;
    window->position = position;
    window->data = buffer;
    window->count = kept + piece.span.count;
    window->is_cached = was_cached || piece.is_cached;
    return PYR_OK;
}

enum pyr_err wal_window_need(struct wal_window *window,
                             const struct wal_file *file,
                             int64_t position,
                             size_t bytes,
                             const uint8_t **ret_data,
                             struct pyr_error *reterr)
{
    ASSERT(file->file);
    ASSERT(position % BLOCK_BYTES == 0);
    ASSERT(position + (int64_t)bytes <= (int64_t)window->files->identity.file_bytes);

    bool is_held = window_kept(window, file, position) >= (int64_t)bytes;
    bool is_taken = !is_held && ahead_take(window, file, position);
    if (window_kept(window, file, position) < (int64_t)bytes) {
        enum pyr_err err = window_fill(window, file, position, bytes, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    ASSERT(!is_taken || !window->ahead.is_running); /* WIN-1 */
    if (!is_held && !window->is_distrusted) {
        ahead_start(window);
    }
    *ret_data = window->data + (position - window->position);
    ASSERT(window_kept(window, file, position) >= (int64_t)bytes);
    return PYR_OK;
}
