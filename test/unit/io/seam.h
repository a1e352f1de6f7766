/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/seam - what the shared suite of the seam needs to know about the implementation under test.
 *
 * The same tests (test_seam_*.c) are linked into one runner for each implementation; only the file
 * seam_<implementation>.c differs. So a difference in behaviour between them fails a test.
 */
#ifndef IO_SEAM_H
#define IO_SEAM_H

#include "io/io.h"

/* What a test may ask of its environment beyond the defaults. */
struct seam_options {
    bool without_direct;
    bool without_dsync;
    uint32_t block_bytes;
    bool helps_while_waiting; /* For seam_loop. */
};

/** Create an environment of the implementation under test. */
struct io *seam_create(const struct seam_options *options);

/** Return an empty folder in @io. The runner owns the string. */
const char *seam_folder(struct io *io);

/** Return the path of @name below @folder, in one of a few rotating buffers. */
const char *seam_path(const char *folder, const char *name);

/** Return a loop of @io. */
struct io_loop *seam_loop(struct io *io, const struct seam_options *options);

/** Wait and dispatch until nothing is pending on @loop. */
void seam_drain(struct io_loop *loop);

/* Under the thread sanitizer a forked child may not start threads. */
#ifdef __SANITIZE_THREAD__
#define SEAM_CAN_FORK false
#else
#define SEAM_CAN_FORK true
#endif

/** Return whether this implementation runs jobs and loops on real threads. */
bool seam_is_real(void);

#endif /* IO_SEAM_H */
