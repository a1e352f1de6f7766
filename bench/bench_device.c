/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_device - what does a durable write cost here, with nothing above the device?
 *
 * Method: writes of four sizes, durable when they return, into a file written before (device.h),
 * with one and with two outstanding (the second through io_uring). All other rows about durable
 * appends are read against these. bench/run compares the first with the one kept for this machine
 * in bench/baseline/, and says so when the machine is not itself.
 *
 * What would make it a lie: a file on a memory file system (refused, it has no O_DIRECT), a file
 * that grows, a device whose cache claims to be safe.
 */
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "device.h"

enum { DEPTH = 2, WARM_UP_WRITES = 50 };

#define KIB_BYTES ((size_t)1024)

static void one_outstanding(const char *name, const struct bench_options *options, size_t bytes)
{
    struct device device;
    device_open(&device, options);
    for (int write = 0; write < WARM_UP_WRITES; write++) {
        (void)device_write(&device, bytes);
    }

    struct histogram *latency = bench_histogram();
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    uint64_t start_ns = bench_begin();
    while (bench_now_ns() - start_ns < limit_ns) {
        histogram_record(latency, device_write(&device, bytes), 1);
    }
    uint64_t spent_ns = bench_end(start_ns);

    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(latency->count * bytes, spent_ns),
                                       .unit = "bytes/s",
                                       .sync = "always",
                                       .latency = latency});
    free(latency);
    device_close(&device, options);
}

/* Hand one write of @bytes to the ring; its completion carries when it began. */
static void submit(struct io_uring *ring, struct device *device, size_t bytes)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    if (!entry) {
        bench_fail("the io_uring has no room for a write");
    }
    io_uring_prep_write(entry, device->fd, device->buffer, (unsigned)bytes,
                        device_advance(device, bytes));
    entry->rw_flags = RWF_DSYNC;
    entry->user_data = bench_now_ns();
    int submitted = io_uring_submit(ring);
    if (submitted != 1) {
        bench_fail("submit a write: %s", strerror(-submitted));
    }
}

/* Wait for one write, and return its nanoseconds. */
static uint64_t reap(struct io_uring *ring, size_t bytes)
{
    struct io_uring_cqe *completion = NULL;
    int err = io_uring_wait_cqe(ring, &completion);
    if (err != 0 || completion->res != (int)bytes) {
        bench_fail("write to the device: %s", strerror(err != 0 ? -err : -completion->res));
    }
    uint64_t spent_ns = bench_now_ns() - completion->user_data;
    io_uring_cqe_seen(ring, completion);
    return spent_ns;
}

static void two_outstanding(const char *name, const struct bench_options *options, size_t bytes)
{
    struct io_uring ring;
    int err = io_uring_queue_init(DEPTH, &ring, 0);
    if (err != 0) {
        bench_fail("io_uring is not available here: %s", strerror(-err));
    }
    struct device device;
    device_open(&device, options);

    struct histogram *latency = bench_histogram();
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    for (int write = 0; write < DEPTH; write++) {
        submit(&ring, &device, bytes);
    }
    uint64_t start_ns = bench_begin();
    while (bench_now_ns() - start_ns < limit_ns) {
        histogram_record(latency, reap(&ring, bytes), 1);
        submit(&ring, &device, bytes);
    }
    uint64_t spent_ns = bench_end(start_ns);
    for (int write = 0; write < DEPTH; write++) {
        (void)reap(&ring, bytes);
    }

    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(latency->count * bytes, spent_ns),
                                       .unit = "bytes/s",
                                       .sync = "always",
                                       .latency = latency});
    free(latency);
    device_close(&device, options);
    io_uring_queue_exit(&ring);
}

static void one_4_kib(const char *name, const struct bench_options *options)
{
    one_outstanding(name, options, 4 * KIB_BYTES);
}

static void one_64_kib(const char *name, const struct bench_options *options)
{
    one_outstanding(name, options, 64 * KIB_BYTES);
}

static void one_256_kib(const char *name, const struct bench_options *options)
{
    one_outstanding(name, options, 256 * KIB_BYTES);
}

static void one_1_mib(const char *name, const struct bench_options *options)
{
    one_outstanding(name, options, 1024 * KIB_BYTES);
}

static void two_4_kib(const char *name, const struct bench_options *options)
{
    two_outstanding(name, options, 4 * KIB_BYTES);
}

static void two_64_kib(const char *name, const struct bench_options *options)
{
    two_outstanding(name, options, 64 * KIB_BYTES);
}

static void two_256_kib(const char *name, const struct bench_options *options)
{
    two_outstanding(name, options, 256 * KIB_BYTES);
}

static void two_1_mib(const char *name, const struct bench_options *options)
{
    two_outstanding(name, options, 1024 * KIB_BYTES);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"durable 4 KiB, 1 outstanding", one_4_kib},
        {"durable 64 KiB, 1 outstanding", one_64_kib},
        {"durable 256 KiB, 1 outstanding", one_256_kib},
        {"durable 1 MiB, 1 outstanding", one_1_mib},
        {"durable 4 KiB, 2 outstanding", two_4_kib},
        {"durable 64 KiB, 2 outstanding", two_64_kib},
        {"durable 256 KiB, 2 outstanding", two_256_kib},
        {"durable 1 MiB, 2 outstanding", two_1_mib},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
