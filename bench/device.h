/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/device - the raw device under a file: what a durable write costs with nothing above it.
 *
 * The best that any log on this machine could do with one write outstanding: an aligned write from
 * aligned memory, around the page cache (O_DIRECT), durable when it returns (RWF_DSYNC), into a
 * file whose blocks were all written before. A block that is only allocated, or a file that grows,
 * costs a commit of the file system's journal with each write, and would make the device look slow
 * and us fast.
 *
 *   written before:  |####|####|####|####| ... round and round
 *                     ^ next write
 *
 * Threads: one owner.
 */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "bench.h"

/* The file is larger than what devices take for the same place, and small enough to fill fast. */
#define DEVICE_FILE_BYTES (UINT64_C(256) << 20)
/* The largest single write. */
#define DEVICE_WRITE_BYTES_MAX ((size_t)1 << 20)

/* An open file on the device. */
struct device {
    int fd;            /* Around the page cache. */
    int fd_cached;     /* Through it. */
    uint64_t position; /* Of the next write. */
    uint8_t *buffer;   /* DEVICE_WRITE_BYTES_MAX of noise. */
};

/** Create the file "<folder>/device" of @options, fully written, and open it around the page cache.
 * Ends the program if the file system cannot. Gives: device_close. */
void device_open(struct device *device, const struct bench_options *options);

/** Return the position for the next write of @bytes_count bytes, and go past it. */
uint64_t device_advance(struct device *device, size_t bytes_count);

/** Write @bytes_count bytes, a multiple of the block, durably. Return the nanoseconds it took. */
uint64_t device_write(struct device *device, size_t bytes_count);

/** Write @bytes_count bytes through the page cache, and leave it at that. Return the nanoseconds.
 */
uint64_t device_write_cached(struct device *device, size_t bytes_count);

/** Close and remove the file. */
void device_close(struct device *device, const struct bench_options *options);

#endif /* BENCH_DEVICE_H */
