/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/ops - the table behind io.h: what an implementation of the seam supplies.
 *
 * Part of the path:  io.h calls -> io.c -> [struct io_ops] -> posix, uring, test/sim
 *
 * Only implementations and io.c include this header. An implementation embeds `struct io`,
 * `struct io_file` and `struct io_loop` (io/loop.h) as the first member of its own structs. Memory,
 * timers, mailboxes and the delivery of completions are common to all and not in the table.
 *
 * Each slot says when it is called, by which thread, whether it may block, whether it is idempotent
 * and which errors it gives. "blocking" in a slot's comment stands for: any thread, may block,
 * never on the hot path; the result is 0 or an errno value, out-parameters are untouched on
 * failure.
 */
#ifndef IO_OPS_H
#define IO_OPS_H

#include <stdatomic.h>

#include "io/io.h"

struct io_ops {
    /* -- The environment -- */

    /* Once, at the end, when no loop and no file is left; owner's thread; joins threads. Frees the
     * environment itself. No errors. */
    void (*destroy)(struct io *io);

    /* Any time, any thread, never blocks, no errors. Never goes backwards. */
    uint64_t (*now_mono_ns)(struct io *io);

    /* Any time, any thread, never blocks, no errors. May step. */
    int64_t (*now_wall_ms)(struct io *io);

    /* -- Files, blocking -- */

    /* blocking. Not idempotent with EXCLUSIVE. ENOENT, EEXIST, EACCES, EROFS, EMFILE, ENOSPC,
     * EINVAL (no direct I/O here, or not a regular file), EISDIR. */
    int (*open)(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file);

    /* blocking. Once per file, with nothing in flight on it. No errors: what had to be durable was
     * synced before. */
    void (*close)(struct io *io, struct io_file *file);

    /* blocking. Idempotent. EIO, EINVAL (unaligned direct read). Short at the end. */
    int (*read_at)(struct io *io,
                   struct io_file *file,
                   struct bytes_mut span,
                   int64_t position,
                   size_t *ret_count);

    /* blocking. Idempotent until an error. EIO, ENOSPC, EDQUOT, EFBIG. After a failed durable write
     * nothing is known about the bytes (IO-4). May be short. */
    int (*write_at)(struct io *io,
                    struct io_file *file,
                    struct bytes span,
                    int64_t position,
                    bool is_durable,
                    size_t *ret_count);

    /* blocking. Idempotent until an error; an error is final (IO-4). EIO, ENOSPC. */
    int (*sync)(struct io *io, struct io_file *file);

    /* blocking. Idempotent. ENOSPC, EDQUOT, EFBIG, EOPNOTSUPP. */
    int (*allocate)(struct io *io, struct io_file *file, int64_t bytes);

    /* blocking. Idempotent. EIO, ENOSPC, EFBIG. */
    int (*truncate)(struct io *io, struct io_file *file, int64_t bytes);

    /* Any thread, does not wait for the disk. Idempotent. EIO. */
    int (*bytes)(struct io *io, struct io_file *file, int64_t *ret_bytes);

    /* blocking. ENOMEM, ENODEV. Touching the mapping may block and may raise SIGBUS. */
    int (*map)(struct io *io, struct io_file *file, size_t count, const uint8_t **ret_data);

    /* Any thread; once per mapping; nobody touches it any more. No errors. */
    void (*unmap)(struct io *io, const uint8_t *data, size_t count);

    /* Any thread, never waits for the disk. Idempotent. On doubt: false. */
    bool (*map_is_resident)(struct io *io, struct bytes span);

    /* blocking. Not idempotent: a second call gives ENOENT. Also EIO, ENOSPC, EXDEV. */
    int (*rename)(struct io *io, const char *from, const char *to);

    /* blocking. Not idempotent: a second call gives ENOENT. Also ENOTEMPTY, EIO. */
    int (*remove)(struct io *io, const char *path);

    /* blocking. Not idempotent: a second call gives EEXIST. Also ENOENT, ENOSPC, EIO. */
    int (*make_folder)(struct io *io, const char *path);

    /* blocking. Idempotent until an error. ENOENT, EIO. */
    int (*sync_folder)(struct io *io, const char *path);

    /* blocking. Idempotent. ENOENT, ENOTDIR, ENOMEM, EIO. Rows come from io_alloc, sorted. */
    int (*list)(struct io *io, const char *path, struct io_entries *ret_entries);

    /* blocking. Idempotent. ENOENT, EACCES, EIO. */
    int (*stat)(struct io *io, const char *path, struct io_stat *ret_stat);

    /* blocking. Idempotent. ENOENT, EIO. */
    int (*space)(struct io *io, const char *path, uint64_t *ret_bytes);

    /* blocking. Not idempotent: a second call gives EWOULDBLOCK, and only then the holder is set
     * too. Also what open gives. */
    int (*lock)(struct io *io, const char *path, int64_t *ret_holder, struct io_file **ret_file);

    /* -- Loops -- */

    /* Any thread, may block for a moment. ENOMEM, EAGAIN (no thread), EMFILE. */
    int (*loop_create)(struct io *io,
                       const struct io_loop_options *options,
                       struct io_loop **ret_loop);

    /* Once per loop, with nothing pending and nobody waiting; joins the loop's threads. */
    void (*loop_destroy)(struct io_loop *loop);

    /* Owner, also while another thread waits. Never blocks. Each op once until it completed.
     * Errors arrive in the op. */
    void (*submit)(struct io_loop *loop, struct io_op *op);

    /* Owner, also while another thread waits. Never blocks for the disk. Idempotent. */
    void (*flush)(struct io_loop *loop);

    /* One thread at a time, with or without the owner's lock. Blocks. Idempotent. */
    void (*wait)(struct io_loop *loop, uint64_t deadline_ns);

    /* Owner, at the start of each dispatch: move what the kernel has finished to the loop's list of
     * completed operations. Never blocks. Idempotent. */
    void (*reap)(struct io_loop *loop);

    /* Any thread and signal handlers, when loop.c knows that a thread sleeps in wait: end its
     * sleep. Never blocks. Idempotent. */
    void (*kick)(struct io_loop *loop);

    /* Owner. Never blocks. Each job once until it is done. */
    void (*job_start)(struct io_loop *loop, struct io_job *job);
};

/* The part of an environment that all implementations share. */
struct io {
    const struct io_ops *ops;
    _Atomic uint64_t seed_state;         /* State of the generator of seeds. */
    _Atomic uint64_t allocations;        /* Calls of io_alloc so far. */
    _Atomic uint64_t allocations_live;   /* Given and not yet freed. */
    _Atomic uint64_t allocation_fail_at; /* The call that fails; 0 is none. See io/testing.h. */
    char description[IO_DESCRIPTION_BYTES_MAX];
};

/* The part of an open file that all implementations share. */
struct io_file {
    struct io *io;
};

/** Set up the common part @io for @ops; @seed 0 draws one from the system. */
void io_init(struct io *io, const struct io_ops *ops, uint64_t seed);

/** Check that all memory was given back. The implementation's destroy calls it last. */
void io_deinit(struct io *io);

#endif /* IO_OPS_H */
