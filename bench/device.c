/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/device - making, writing and removing the file.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"

#define DEVICE_NAME "device"

void device_open(struct device *device, const struct bench_options *options)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, DEVICE_NAME, path, sizeof path);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        bench_fail("open '%s' around the page cache: %s: use a --folder on a disk", path,
                   strerror(errno));
    }
    uint8_t *buffer = bench_memory(DEVICE_WRITE_BYTES_MAX);
    for (uint64_t position = 0; position < DEVICE_FILE_BYTES; position += DEVICE_WRITE_BYTES_MAX) {
        if (pwrite(fd, buffer, DEVICE_WRITE_BYTES_MAX, (off_t)position) !=
            (ssize_t)DEVICE_WRITE_BYTES_MAX) {
            bench_fail("write '%s': %s", path, strerror(errno));
        }
    }
    if (fsync(fd) != 0) {
        bench_fail("sync '%s': %s", path, strerror(errno));
    }
    int fd_cached = open(path, O_RDWR | O_CLOEXEC);
    if (fd_cached < 0) {
        bench_fail("open '%s': %s", path, strerror(errno));
    }
    *device = (struct device){.fd = fd, .fd_cached = fd_cached, .buffer = buffer};
}

uint64_t device_advance(struct device *device, size_t bytes_count)
{
    ASSERT(bytes_count <= DEVICE_WRITE_BYTES_MAX);
    ASSERT(bytes_count % BLOCK_BYTES == 0);

    if (device->position + bytes_count > DEVICE_FILE_BYTES) {
        device->position = 0;
    }
    uint64_t position = device->position;
    device->position += bytes_count;
    return position;
}

/* Write the next @bytes_count bytes to @fd, as @flags say; return the nanoseconds. */
static uint64_t write_next(struct device *device, int fd, size_t bytes_count, int flags)
{
    ASSERT(fd >= 0);

    struct iovec piece = {.iov_base = device->buffer, .iov_len = bytes_count};
    off_t position = (off_t)device_advance(device, bytes_count);
    uint64_t start_ns = bench_now_ns();
    ssize_t written = pwritev2(fd, &piece, 1, position, flags);
    uint64_t end_ns = bench_now_ns();
    if (written != (ssize_t)bytes_count) {
        bench_fail("write to the device: %s", written < 0 ? strerror(errno) : "short write");
    }
    return end_ns - start_ns;
}

uint64_t device_write(struct device *device, size_t bytes_count)
{
    return write_next(device, device->fd, bytes_count, RWF_DSYNC);
}

uint64_t device_write_cached(struct device *device, size_t bytes_count)
{
    return write_next(device, device->fd_cached, bytes_count, 0);
}

void device_close(struct device *device, const struct bench_options *options)
{
    (void)close(device->fd_cached);
    (void)close(device->fd);
    free(device->buffer);
    bench_remove(options, DEVICE_NAME);
}
