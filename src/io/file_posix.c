/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/file_posix - blocking file calls on a real kernel: data. Names and folders: io/folder_posix.
 */
#include "io/file_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

enum {
    FILE_MODE = 0600,
    OPEN_TRIES_MAX = 8,       /* Rounds of "missing, make it, somebody else made it". */
    LOCK_TEXT_BYTES = 32,     /* Room for a process id in text. */
    RESIDENT_PAGES_MAX = 256, /* Pages that one mincore call is asked about. */
};

void file_posix_limit_refresh(struct io *io)
{
    struct rlimit limit;
    bool is_limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;

    atomic_store_explicit(&kernel_of(io)->file_bytes_max, is_limited ? limit.rlim_cur : UINT64_MAX,
                          memory_order_relaxed);
}

bool file_posix_is_above_limit(struct io *io, int64_t end)
{
    ASSERT(end >= 0);

    return (uint64_t)end >
           atomic_load_explicit(&kernel_of(io)->file_bytes_max, memory_order_relaxed);
}

/* -- Opening -- */

/* Open `path` once. A file made here gets its mode by fchmod, since the umask may take away bits
 * from what open() is told. */
static int open_once(const char *path, int flags, bool make, int *ret_fd)
{
    int fd = open(path, flags | (make ? O_CREAT | O_EXCL : 0), FILE_MODE);
    if (fd < 0) {
        return errno;
    }
    if (make && fchmod(fd, FILE_MODE) != 0) {
        int error = errno;
        (void)unlink(path); /* Made by us a moment ago; the error that counts is the first. */
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* Open `path` and say whether it was made now. */
static int open_or_make(const char *path, int flags, uint32_t wanted, int *ret_fd, bool *ret_made)
{
    bool may_make = (wanted & IO_OPEN_CREATE) != 0;
    bool must_make = (wanted & IO_OPEN_EXCLUSIVE) != 0;

    int error = ENOENT;
    for (int round = 0; round < OPEN_TRIES_MAX; round++) {
        bool make = must_make || (may_make && round % 2 == 1);
        error = open_once(path, flags, make, ret_fd);
        if (error == 0) {
            *ret_made = make;
            return 0;
        }
        bool is_worth_a_round =
            error == EINTR || (may_make && !must_make && (error == ENOENT || error == EEXIST));
        if (!is_worth_a_round) {
            return error;
        }
    }
    return error;
}

/* Check that `fd` is a plain file, and set its lasting flags. O_DIRECT is added only now: open()
 * with it makes the file before it finds that the file system cannot do it. O_NONBLOCK, which kept
 * open() from waiting for a FIFO's other end, goes: io_uring would take it for "do not wait for the
 * disk".
 */
static int open_finish(int fd, uint32_t wanted)
{
    struct stat info;

    if (fstat(fd, &info) != 0) {
        return errno;
    }
    if (!S_ISREG(info.st_mode)) {
        return S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    }
    if (fcntl(fd, F_SETFL, (wanted & IO_OPEN_DIRECT) != 0 ? O_DIRECT : 0) != 0) {
        return errno;
    }
    return 0;
}

int file_posix_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file)
{
    ASSERT(path);
    ASSERT(ret_file);

    if ((flags & IO_OPEN_DIRECT) != 0 && kernel_of(io)->without_direct) {
        return EINVAL;
    }
    struct file_posix *file = io_alloc(io, sizeof *file, _Alignof(struct file_posix));
    if (!file) {
        return ENOMEM;
    }

    int mode = O_RDONLY;
    if ((flags & IO_OPEN_WRITE) != 0) {
        mode = (flags & IO_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
    }
    file_posix_limit_refresh(io);
    bool was_made = false;
    int fd = -1;
    int error = open_or_make(path, mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, flags, &fd, &was_made);
    if (error != 0) {
        goto fail_free_file;
    }
    error = open_finish(fd, flags);
    if (error != 0) {
        goto fail_close_fd;
    }

    *file = (struct file_posix){.base = {.io = io}, .fd = fd};
    *ret_file = &file->base;
    return 0;

fail_close_fd:
    if (was_made) {
        (void)unlink(path); /* Leave nothing behind; the first error is the one that counts. */
    }
    (void)close(fd);
fail_free_file:
    io_free(io, file);
    return error;
}

void file_posix_close(struct io *io, struct io_file *file)
{
    ASSERT(file_posix_fd(file) >= 0);

    /* An error of close() says nothing that a sync would not have said. */
    (void)close(file_posix_fd(file));
    io_free(io, container_of(file, struct file_posix, base));
}

/* -- Data -- */

int file_posix_read_at(struct io *io,
                       struct io_file *file,
                       struct bytes_mut span,
                       int64_t position,
                       size_t *ret_count)
{
    (void)io;
    ssize_t count = 0;

    do {
        count = pread(file_posix_fd(file), span.data, span.count, position);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return errno;
    }
    *ret_count = (size_t)count;
    return 0;
}

/* Write once with the flags of pwritev2. Return the count or the negative errno value. */
static ssize_t write_once(int fd, struct bytes span, int64_t position, int flags)
{
    struct iovec row = {.iov_base = bytes_unconst(span.data), .iov_len = span.count};
    ssize_t count = 0;

    do {
        count = flags != 0 ? pwritev2(fd, &row, 1, position, flags)
                           : pwrite(fd, span.data, span.count, position);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

static int sync_once(int fd)
{
    int result = 0;

    do {
        result = fdatasync(fd);
    } while (result != 0 && errno == EINTR); /* Any other error is final. IO-4 */
    return result == 0 ? 0 : errno;
}

int file_posix_write_at(struct io *io,
                        struct io_file *file,
                        struct bytes span,
                        int64_t position,
                        bool is_durable,
                        size_t *ret_count)
{
    struct kernel *kernel = kernel_of(io);
    int fd = file_posix_fd(file);

    if (file_posix_is_above_limit(io, position + 1)) {
        return EFBIG;
    }
    if (MUTANT(no_durable_flag_posix)) {
        is_durable = false;
    }
    ssize_t count = -EOPNOTSUPP;
    bool with_flag =
        is_durable && !atomic_load_explicit(&kernel->without_dsync, memory_order_relaxed);
    if (with_flag) {
        count = write_once(fd, span, position, RWF_DSYNC);
        if (count == -EOPNOTSUPP) {
            atomic_store_explicit(&kernel->without_dsync, true, memory_order_relaxed);
            with_flag = false;
        }
    }
    if (!with_flag) {
        count = write_once(fd, span, position, 0);
    }
    if (count < 0) {
        return (int)-count;
    }
    if (is_durable && !with_flag) {
        int error = sync_once(fd);
        if (error != 0) {
            return error; /* IO-2 */
        }
    }
    *ret_count = (size_t)count;
    return 0;
}

int file_posix_sync(struct io *io, struct io_file *file)
{
    (void)io;

    return sync_once(file_posix_fd(file));
}

/* -- Shape -- */

int file_posix_allocate(struct io *io, struct io_file *file, int64_t bytes)
{
    int result = 0;

    file_posix_limit_refresh(io);
    if (file_posix_is_above_limit(io, bytes)) {
        return EFBIG;
    }
    do {
        result = fallocate(file_posix_fd(file), 0, 0, bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

int file_posix_truncate(struct io *io, struct io_file *file, int64_t bytes)
{
    int64_t bytes_before = 0;
    int error = file_posix_bytes(io, file, &bytes_before);
    if (error != 0) {
        return error;
    }
    file_posix_limit_refresh(io);
    if (bytes > bytes_before && file_posix_is_above_limit(io, bytes)) {
        return EFBIG;
    }
    int result = 0;
    do {
        result = ftruncate(file_posix_fd(file), bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

int file_posix_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes)
{
    (void)io;
    struct stat info;

    if (fstat(file_posix_fd(file), &info) != 0) {
        return errno;
    }
    *ret_bytes = info.st_size;
    return 0;
}

/* -- Mappings -- */

int file_posix_map(struct io *io, struct io_file *file, size_t count, const uint8_t **ret_data)
{
    (void)io;
    void *data = mmap(NULL, count, PROT_READ, MAP_SHARED, file_posix_fd(file), 0);

    if (data == MAP_FAILED) {
        return errno;
    }
    *ret_data = data;
    return 0;
}

void file_posix_unmap(struct io *io, const uint8_t *data, size_t count)
{
    (void)io;

    int result = munmap(bytes_unconst(data), count);
    ASSERT(result == 0);
}

/* Return whether mincore() found all of the `count` pages in memory. */
static bool pages_are_resident(const unsigned char *pages, uint64_t count)
{
    for (uint64_t index = 0; index < count; index++) {
        if ((pages[index] & 1) == 0) {
            return false;
        }
    }
    return true;
}

bool file_posix_map_is_resident(struct io *io, struct bytes span)
{
    (void)io;
    unsigned char pages[RESIDENT_PAGES_MAX];
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t begin = align_down((uint64_t)(uintptr_t)span.data, page_bytes);
    uint64_t end = align_up((uint64_t)(uintptr_t)span.data + span.count, page_bytes);

    while (begin < end) {
        uint64_t count = (end - begin) / page_bytes;
        count = count < RESIDENT_PAGES_MAX ? count : RESIDENT_PAGES_MAX;
        const uint8_t *first = span.data - ((uint64_t)(uintptr_t)span.data - begin);
        if (mincore(bytes_unconst(first), count * page_bytes, pages) != 0 ||
            !pages_are_resident(pages, count)) {
            return false;
        }
        begin += count * page_bytes;
        span.data = first + count * page_bytes;
    }
    return true;
}

/* -- The lock -- */

/* Read the process id that stands in the lock file, 0 if there is none. */
static int64_t lock_holder(int fd)
{
    char text[LOCK_TEXT_BYTES] = {0};
    int64_t holder = 0;

    if (pread(fd, text, sizeof text - 1, 0) > 0) {
        holder = strtoll(text, NULL, 10);
    }
    return holder > 0 ? holder : 0;
}

/* Write our process id into the lock file. It is for people; the lock holds without it. */
static void lock_sign(struct io *io, int fd)
{
    char text[LOCK_TEXT_BYTES];
    int count = snprintf(text, sizeof text, "%lld\n", (long long)getpid());
    ASSERT(count > 0);

    if (ftruncate(fd, 0) == 0 && !file_posix_is_above_limit(io, count)) {
        (void)write_once(fd, (struct bytes){.data = (uint8_t *)text, .count = (size_t)count}, 0, 0);
    }
}

/* flock belongs to the open file, not to the process, so that it also keeps out a second handle of
 * this process, and a close() elsewhere in it does not drop it, as it would with fcntl's locks. */
int file_posix_lock(struct io *io, const char *path, int64_t *ret_holder, struct io_file **ret_file)
{
    struct io_file *file = NULL;
    int error = file_posix_open(io, path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, &file);
    if (error != 0) {
        return error;
    }

    int fd = file_posix_fd(file);
    int result = 0;
    do {
        result = flock(fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        error = errno;
        if (error == EWOULDBLOCK) {
            *ret_holder = lock_holder(fd);
        }
        goto fail_close_file;
    }

    lock_sign(io, fd);
    *ret_file = file;
    return 0;

fail_close_file:
    file_posix_close(io, file);
    return error;
}
