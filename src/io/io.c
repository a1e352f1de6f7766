/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/io - the calls of io.h: checks that hold for every implementation, then the table.
 *
 * What is the same everywhere is done here: choosing the backend, memory, seeds. The rest of the
 * calls on loops are in io/loop.c.
 */
#include "io/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/kernel.h"
#include "io/ops.h"
#include "io/testing.h"

/* One step of splitmix64: a full-period generator that needs no warm-up, so that neighbouring seeds
 * give unrelated streams. */
#define SEED_STEP UINT64_C(0x9e3779b97f4a7c15)

static uint64_t seed_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint64_t seed_draw(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        /* Early in a machine's life there is no entropy yet; the clock is good enough for seeds. */
        struct timespec now = {0};
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (uint64_t)now.tv_sec * SEED_STEP + (uint64_t)now.tv_nsec;
    }
    return seed;
}

void io_init(struct io *io, const struct io_ops *ops, uint64_t seed)
{
    ASSERT(io);
    ASSERT(ops);

    io->ops = ops;
    atomic_init(&io->seed_state, seed != 0 ? seed : seed_draw());
    atomic_init(&io->allocations, 0);
    atomic_init(&io->allocations_live, 0);
    atomic_init(&io->allocation_fail_at, 0);
    io->description[0] = 0;
}

void io_deinit(struct io *io)
{
    ASSERT(io);
    ASSERT(atomic_load(&io->allocations_live) == 0); /* IO-9 */
}

/* -- The environment -- */

enum pyr_err io_create(const struct io_options *options,
                       struct io **ret_io,
                       struct pyr_error *reterr)
{
    ASSERT(options);
    ASSERT(ret_io);

    if (options->job_threads > IO_JOB_THREADS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "%u job threads: the most are %d",
                       options->job_threads, IO_JOB_THREADS_MAX);
    }
    if (options->block_bytes != 0 && (options->block_bytes & (options->block_bytes - 1)) != 0) {
        return err_set(reterr, PYR_ERR_INVALID, "a block of %u bytes is not a power of two",
                       options->block_bytes);
    }
    return kernel_create(options, ret_io, reterr);
}

void io_destroy(struct io *io)
{
    if (io) {
        io->ops->destroy(io);
    }
}

const char *io_describe(const struct io *io)
{
    ASSERT(io);
    ASSERT(io->description[0] != 0);

    return io->description;
}

/* -- Memory, time, randomness -- */

static void *memory_take(struct io *io, size_t count, size_t alignment, bool is_zeroed)
{
    ASSERT(io);
    ASSERT(count > 0);
    ASSERT(alignment > 0);
    ASSERT((alignment & (alignment - 1)) == 0);

    uint64_t number = atomic_fetch_add_explicit(&io->allocations, 1, memory_order_relaxed) + 1;
    if (number == atomic_load_explicit(&io->allocation_fail_at, memory_order_relaxed)) {
        return NULL;
    }
    void *memory = NULL;
    if (alignment <= _Alignof(max_align_t)) {
        memory = is_zeroed ? calloc(1, count) : malloc(count);
    } else if (posix_memalign(&memory, alignment, count) != 0) {
        memory = NULL;
    } else if (is_zeroed) {
        memset(memory, 0, count);
    }
    if (memory) {
        (void)atomic_fetch_add_explicit(&io->allocations_live, 1, memory_order_relaxed);
    }
    return memory;
}

void *io_alloc(struct io *io, size_t count, size_t alignment)
{
    return memory_take(io, count, alignment, true);
}

void *io_alloc_raw(struct io *io, size_t count, size_t alignment)
{
    void *memory = memory_take(io, count, alignment, false);
    bool is_large = alignment >= IO_LARGE_PAGE_BYTES && count >= IO_LARGE_PAGE_BYTES;
    if (memory && is_large) {
        /* A wish: where it is refused, the pages are small ones. */
        (void)madvise(memory, count - count % IO_LARGE_PAGE_BYTES, MADV_HUGEPAGE);
    }
    return memory;
}

void io_free(struct io *io, void *memory)
{
    ASSERT(io);

    if (memory) {
        uint64_t live = atomic_fetch_sub_explicit(&io->allocations_live, 1, memory_order_relaxed);
        ASSERT(live > 0); /* IO-9 */
        free(memory);
    }
}

void io_testing_fail_allocation(struct io *io, uint64_t nth)
{
    ASSERT(io);

    uint64_t number = nth == 0 ? 0 : atomic_load(&io->allocations) + nth;
    atomic_store(&io->allocation_fail_at, number);
}

uint64_t io_testing_allocations(struct io *io)
{
    ASSERT(io);

    return atomic_load(&io->allocations);
}

uint64_t io_testing_allocations_live(struct io *io)
{
    ASSERT(io);

    return atomic_load(&io->allocations_live);
}

uint64_t io_now_mono_ns(struct io *io)
{
    ASSERT(io);

    return io->ops->now_mono_ns(io);
}

int64_t io_now_wall_ms(struct io *io)
{
    ASSERT(io);

    return io->ops->now_wall_ms(io);
}

uint64_t io_random_seed(struct io *io)
{
    ASSERT(io);

    uint64_t state = atomic_fetch_add(&io->seed_state, SEED_STEP) + SEED_STEP;
    return seed_mix(state);
}

/* -- Files, blocking -- */

int io_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file)
{
    ASSERT(io);
    ASSERT(path);
    ASSERT(ret_file);
    ASSERT((flags & (IO_OPEN_READ | IO_OPEN_WRITE)) != 0);
    if ((flags & IO_OPEN_CREATE) != 0) {
        ASSERT((flags & IO_OPEN_WRITE) != 0);
    }
    if ((flags & IO_OPEN_EXCLUSIVE) != 0) {
        ASSERT((flags & IO_OPEN_CREATE) != 0);
    }

    return io->ops->open(io, path, flags, ret_file);
}

void io_close(struct io *io, struct io_file *file)
{
    ASSERT(io);

    if (file) {
        ASSERT(file->io == io);
        io->ops->close(io, file);
    }
}

int io_read_at(struct io *io,
               struct io_file *file,
               struct bytes_mut span,
               int64_t position,
               size_t *ret_count)
{
    ASSERT(file->io == io);
    ASSERT(span.data || span.count == 0);
    ASSERT(position >= 0);
    ASSERT(ret_count);

    int error = io->ops->read_at(io, file, span, position, ret_count);
    if (error == 0) {
        ASSERT(*ret_count <= span.count);
    }
    return error;
}

int io_write_at(struct io *io,
                struct io_file *file,
                struct bytes span,
                int64_t position,
                bool is_durable,
                size_t *ret_count)
{
    ASSERT(file->io == io);
    ASSERT(span.data || span.count == 0);
    ASSERT(position >= 0);
    ASSERT(ret_count);

    int error = io->ops->write_at(io, file, span, position, is_durable, ret_count);
    if (error == 0) {
        ASSERT(*ret_count <= span.count);
    }
    return error;
}

int io_sync(struct io *io, struct io_file *file)
{
    ASSERT(file->io == io);

    return io->ops->sync(io, file);
}

int io_allocate(struct io *io, struct io_file *file, int64_t bytes)
{
    ASSERT(file->io == io);
    ASSERT(bytes >= 0);

    return bytes == 0 ? 0 : io->ops->allocate(io, file, bytes);
}

int io_truncate(struct io *io, struct io_file *file, int64_t bytes)
{
    ASSERT(file->io == io);
    ASSERT(bytes >= 0);

    return io->ops->truncate(io, file, bytes);
}

int io_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes)
{
    ASSERT(file->io == io);
    ASSERT(ret_bytes);

    return io->ops->bytes(io, file, ret_bytes);
}

int io_map(struct io *io, struct io_file *file, size_t count, const uint8_t **ret_data)
{
    ASSERT(file->io == io);
    ASSERT(count > 0);
    ASSERT(ret_data);

    return io->ops->map(io, file, count, ret_data);
}

void io_unmap(struct io *io, const uint8_t *data, size_t count)
{
    ASSERT(io);
    ASSERT(data);
    ASSERT(count > 0);

    io->ops->unmap(io, data, count);
}

bool io_map_is_resident(struct io *io, struct bytes span)
{
    ASSERT(io);

    return span.count == 0 || io->ops->map_is_resident(io, span);
}

int io_rename(struct io *io, const char *from, const char *to)
{
    ASSERT(from);
    ASSERT(to);

    return io->ops->rename(io, from, to);
}

int io_remove(struct io *io, const char *path)
{
    ASSERT(path);

    return io->ops->remove(io, path);
}

int io_make_folder(struct io *io, const char *path)
{
    ASSERT(path);

    return io->ops->make_folder(io, path);
}

int io_sync_folder(struct io *io, const char *path)
{
    ASSERT(path);

    return io->ops->sync_folder(io, path);
}

int io_list(struct io *io, const char *path, struct io_entries *ret_entries)
{
    ASSERT(path);
    ASSERT(ret_entries);

    return io->ops->list(io, path, ret_entries);
}

void io_entries_free(struct io *io, struct io_entries *entries)
{
    ASSERT(io);
    ASSERT(entries);

    io_free(io, entries->rows);
    *entries = (struct io_entries){0};
}

int io_stat(struct io *io, const char *path, struct io_stat *ret_stat)
{
    ASSERT(path);
    ASSERT(ret_stat);

    return io->ops->stat(io, path, ret_stat);
}

int io_space(struct io *io, const char *path, uint64_t *ret_bytes)
{
    ASSERT(path);
    ASSERT(ret_bytes);

    return io->ops->space(io, path, ret_bytes);
}

int io_lock(struct io *io, const char *path, int64_t *ret_holder, struct io_file **ret_file)
{
    ASSERT(path);
    ASSERT(ret_holder);
    ASSERT(ret_file);

    return io->ops->lock(io, path, ret_holder, ret_file);
}
