/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/kernel - the environment on a real kernel: what the backends posix and uring share.
 *
 * Both carry out blocking calls in the same way (io/file_posix) and run jobs on the same pool
 * (io/pool); they differ only in how a loop's operations reach the disk.
 */
#ifndef IO_KERNEL_H
#define IO_KERNEL_H

#include <pthread.h>

#include "io/ops.h"
#include "io/pool.h"

struct kernel {
    struct io base;
    struct pool pool;
    bool without_direct;       /* Refuse direct I/O, as asked by the options. */
    atomic_bool without_dsync; /* RWF_DSYNC is not to be had: asked so, or the kernel refused. */
    _Atomic uint64_t file_bytes_max; /* RLIMIT_FSIZE when a file was last opened or grown. */
    uint32_t block_bytes;            /* Claimed physical block; 0 asks the device. */
    pthread_mutex_t probe_lock;      /* Guards the two below. */
    uint64_t probe_device;           /* The device that was asked last; 0 is none. */
    uint32_t probe_block_bytes;      /* What it said. */
};

/** Create an environment of the backend that @options asks for. As io_create. */
MUST_CHECK enum pyr_err kernel_create(const struct io_options *options,
                                      struct io **ret_io,
                                      struct pyr_error *reterr);

/** Destroy @io: the slot of both backends. */
void kernel_destroy(struct io *io);

/** Return the monotonic clock: the slot of both backends. */
uint64_t kernel_now_mono_ns(struct io *io);

/** Return the wall clock: the slot of both backends. */
int64_t kernel_now_wall_ms(struct io *io);

/** Start @job on the pool: the slot of both backends. */
void kernel_job_start(struct io_loop *loop, struct io_job *job);

/** Return the kernel environment around @io. */
static inline struct kernel *kernel_of(struct io *io)
{
    return container_of(io, struct kernel, base);
}

/** Start a thread named @name that runs @run(@ctx), with all signals blocked: a library's threads
 * take no signal meant for its host. Return 0 or an errno value. */
MUST_CHECK int kernel_thread_start(pthread_t *ret_thread,
                                   const char *name,
                                   void *(*run)(void *ctx),
                                   void *ctx);

/* The tables of the two backends. */
extern const struct io_ops posix_ops;
extern const struct io_ops uring_ops;

/** Return 0 if this host lets us use io_uring, else the errno value that says why not. */
MUST_CHECK int uring_probe(void);

#endif /* IO_KERNEL_H */
