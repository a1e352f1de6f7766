/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real backends are shown to sync: the device itself counts the flushes.
 *
 * On a loop device of its own, with a file system, N single durable writes must raise the device's
 * count of flushes (field 16 of its stat) by at least N. A backend that drops the durable flag does
 * not: no other test can see that, since the bytes are there either way.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/io.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "seam.h"

enum {
    WRITES = 50,
    FILE_BLOCKS = 16,
    COMMAND_BYTES = 1024,
    FLUSHES_FIELD = 16, /* In /sys/block/<device>/stat, from 1. */
};

/* -- The device -- */

struct device {
    char name[32]; /* "loop7". */
    char folder[256];
};

/* Run `command` and return its first line, without its end; empty if it failed. */
static const char *run(const char *command)
{
    static char line[256];
    line[0] = 0;
    FILE *output = popen(command, "r");
    CHECK(output);
    if (!fgets(line, sizeof line, output)) {
        line[0] = 0;
    }
    int status = pclose(output);
    line[strcspn(line, "\n")] = 0;
    if (status != 0) {
        line[0] = 0;
    }
    return line;
}

static void device_destroy(const struct device *device)
{
    char command[COMMAND_BYTES];
    (void)umount2(device->folder, MNT_DETACH);
    (void)snprintf(command, sizeof command, "losetup -d /dev/%s 2>/dev/null && echo", device->name);
    (void)run(command);
}

/* Make a loop device with an ext4 file system. Return why not, or NULL. */
static const char *device_create(const char *folder, struct device *device)
{
    char command[COMMAND_BYTES];
    if (geteuid() != 0) {
        return "a loop device needs root";
    }
    (void)snprintf(command, sizeof command,
                   "truncate -s 64M '%s/image' && mkfs.ext4 -q '%s/image' 2>/dev/null && "
                   "losetup --find --show '%s/image' 2>/dev/null",
                   folder, folder, folder);
    const char *path = run(command);
    if (strncmp(path, "/dev/loop", 9) != 0) {
        return "no loop device can be made here";
    }
    (void)snprintf(device->name, sizeof device->name, "%s", path + strlen("/dev/"));
    (void)snprintf(device->folder, sizeof device->folder, "%s/mount", folder);
    (void)snprintf(
        command, sizeof command,
        "mkdir '%s' && mount /dev/%s '%s' 2>/dev/null && cat /sys/block/%s/queue/write_cache",
        device->folder, device->name, device->folder, device->name);
    const char *cache = run(command);
    if (strcmp(cache, "write back") != 0) {
        device_destroy(device);
        return cache[0] == 0 ? "no file system can be mounted here"
                             : "the loop device is write-through";
    }
    return NULL;
}

static long device_flushes(const struct device *device)
{
    char command[COMMAND_BYTES];
    (void)snprintf(command, sizeof command, "awk '{print $%d}' /sys/block/%s/stat", FLUSHES_FIELD,
                   device->name);
    return strtol(run(command), NULL, 10);
}

/* -- The writes -- */

static void ignore_completion(struct io_op *op)
{
    (void)op;
}

/* Write `WRITES` blocks, one at a time, durably, into a file that was written before. Return 0 or
 * the first error. */
static int write_durably(struct io *io, struct io_loop *loop, const char *folder, bool by_loop)
{
    struct io_file *file = NULL;
    uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT;
    int error = io_open(io, seam_path(folder, "a"), flags, &file);
    if (error != 0) {
        return error;
    }
    uint8_t *data = io_alloc(io, (size_t)FILE_BLOCKS * BLOCK_BYTES, BLOCK_BYTES);
    for (int index = 0; index < WRITES && error == 0; index++) {
        int64_t position = (int64_t)(index % FILE_BLOCKS) * BLOCK_BYTES;
        struct io_op op = {.kind = IO_OP_WRITE,
                           .is_durable = true,
                           .file = file,
                           .data = data,
                           .count = BLOCK_BYTES,
                           .position = position,
                           .complete = ignore_completion};
        if (by_loop) {
            io_submit(loop, &op);
            seam_drain(loop);
            error = op.error;
        } else {
            error = io_write_whole(io, file, (struct bytes){data, BLOCK_BYTES}, position, true);
        }
    }
    io_free(io, data);
    io_close(io, file);
    return error;
}

/* Fill the file, so that the writes that count change neither its length nor its blocks. */
static int fill_file(struct io *io, const char *folder)
{
    struct io_file *file = NULL;
    int error = io_open(io, seam_path(folder, "a"), IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (error != 0) {
        return error;
    }
    uint8_t *data = io_alloc(io, (size_t)FILE_BLOCKS * BLOCK_BYTES, BLOCK_BYTES);
    error =
        io_write_whole(io, file, (struct bytes){data, (size_t)FILE_BLOCKS * BLOCK_BYTES}, 0, false);
    error = error != 0 ? error : io_sync(io, file);
    io_free(io, data);
    io_close(io, file);
    sync(); /* The file system's own first commits are over when we begin to count. */
    return error;
}

/* Return by how much the device's flushes rise; -1 after an error. */
static long count_flushes(const struct device *device,
                          const struct seam_options *options,
                          bool by_loop)
{
    struct io *io = seam_create(options);
    struct io_loop *loop = seam_loop(io, options);
    int error = fill_file(io, device->folder);
    long before = device_flushes(device);
    error = error != 0 ? error : write_durably(io, loop, device->folder, by_loop);
    long after = device_flushes(device);
    io_loop_destroy(loop);
    io_destroy(io);
    return error == 0 ? after - before : -1;
}

/* IO-2 on a loop, in blocking calls, and with the flag refused. */
TEST(device, counts_a_flush_for_every_durable_write)
{
    struct device device = {{0}, {0}};
    const char *reason = device_create(case_folder(), &device);
    if (reason) {
        case_skip(reason);
    }

    long on_loop = count_flushes(&device, &(struct seam_options){0}, true);
    long helping =
        count_flushes(&device, &(struct seam_options){.helps_while_waiting = true}, true);
    long blocking = count_flushes(&device, &(struct seam_options){0}, false);
    long without = count_flushes(&device, &(struct seam_options){.without_dsync = true}, true);
    device_destroy(&device);

    CHECK(on_loop >= WRITES);
    CHECK(helping >= WRITES);
    CHECK(blocking >= WRITES);
    CHECK(without >= WRITES);
}
