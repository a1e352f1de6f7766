/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/kernel - choosing the backend, the two clocks, and threads that take no signals.
 */
#include "io/kernel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"

#define NS_PER_S  UINT64_C(1000000000)
#define MS_PER_S  INT64_C(1000)
#define NS_PER_MS 1000000

/* -- Slots -- */

uint64_t kernel_now_mono_ns(struct io *io)
{
    (void)io;
    struct timespec now;

    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    ASSERT(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t kernel_now_wall_ms(struct io *io)
{
    (void)io;
    struct timespec now;

    int result = clock_gettime(CLOCK_REALTIME, &now);
    ASSERT(result == 0);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

void kernel_job_start(struct io_loop *loop, struct io_job *job)
{
    pool_push(&kernel_of(io_loop_io(loop))->pool, job);
}

int kernel_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *ctx), void *ctx)
{
    ASSERT(ret_thread);
    ASSERT(run);

    /* A new thread inherits the mask of its maker, so that no signal can slip in at its start. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    ASSERT(error == 0);
    error = pthread_create(ret_thread, NULL, run, ctx);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        (void)pthread_setname_np(*ret_thread, name); /* A name is a convenience. */
    }
    return error;
}

/* -- Creating and destroying -- */

/* Choose the table for the backend asked for, and say which and why in `description`. */
static const struct io_ops *backend_choose(enum io_backend backend,
                                           char description[IO_DESCRIPTION_BYTES_MAX],
                                           int *ret_refusal)
{
    int refusal = backend == IO_BACKEND_POSIX ? 0 : uring_probe();
    if (backend == IO_BACKEND_POSIX || refusal == 0) {
        bool is_posix = backend == IO_BACKEND_POSIX;
        (void)snprintf(description, IO_DESCRIPTION_BYTES_MAX, "%s", is_posix ? "posix" : "uring");
        *ret_refusal = 0;
        return is_posix ? &posix_ops : &uring_ops;
    }

    char text[64];
    (void)snprintf(description, IO_DESCRIPTION_BYTES_MAX, "posix (io_uring: %s)",
                   strerror_r(refusal, text, sizeof text));
    *ret_refusal = refusal;
    return &posix_ops;
}

enum pyr_err kernel_create(const struct io_options *options,
                           struct io **ret_io,
                           struct pyr_error *reterr)
{
    ASSERT(options);
    ASSERT(ret_io);

    char description[IO_DESCRIPTION_BYTES_MAX];
    int refusal = 0;
    const struct io_ops *ops = backend_choose(options->backend, description, &refusal);
    if (refusal != 0 && options->backend == IO_BACKEND_URING) {
        (void)err_set_errno(reterr, refusal, "use io_uring");
        return err_recode(reterr, PYR_ERR_UNSUPPORTED); /* Whatever the reason: not on this host. */
    }

    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "create the environment: out of memory");
    }
    io_init(&kernel->base, ops, options->seed);
    memcpy(kernel->base.description, description, sizeof description);
    kernel->without_direct = options->without_direct;
    kernel->block_bytes = options->block_bytes;
    atomic_init(&kernel->without_dsync, options->without_dsync);
    (void)pthread_mutex_init(&kernel->probe_lock, NULL);

    int error = pool_start(&kernel->pool, options->job_threads > 0 ? options->job_threads : 1);
    if (error != 0) {
        (void)pthread_mutex_destroy(&kernel->probe_lock);
        free(kernel);
        return err_set_errno(reterr, error, "start the job threads");
    }
    *ret_io = &kernel->base;
    return PYR_OK;
}

void kernel_destroy(struct io *io)
{
    struct kernel *kernel = kernel_of(io);

    pool_stop(&kernel->pool);
    io_deinit(io);
    (void)pthread_mutex_destroy(&kernel->probe_lock);
    free(kernel);
}
