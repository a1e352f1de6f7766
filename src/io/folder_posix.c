/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/folder_posix - blocking calls on a real kernel that name a path: folders, names, devices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/file_posix.h"

enum {
    FOLDER_MODE = 0700,
    ROWS_FIRST = 32, /* Entries that a listing has room for before it grows. */
};

/* -- Names -- */

int file_posix_rename(struct io *io, const char *from, const char *to)
{
    (void)io;

    return rename(from, to) == 0 ? 0 : errno;
}

int file_posix_remove(struct io *io, const char *path)
{
    (void)io;

    if (unlink(path) == 0) {
        return 0;
    }
    int error = errno;
    /* Linux says EISDIR for a folder, POSIX EPERM. */
    if (error != EISDIR && error != EPERM) {
        return error;
    }
    if (rmdir(path) == 0) {
        return 0;
    }
    return errno == ENOTDIR ? error : errno;
}

int file_posix_make_folder(struct io *io, const char *path)
{
    (void)io;

    if (mkdir(path, FOLDER_MODE) != 0) {
        return errno;
    }
    /* The umask may have taken bits away. */
    if (chmod(path, FOLDER_MODE) != 0) {
        int error = errno;
        (void)rmdir(path); /* Made by us a moment ago; the first error counts. */
        return error;
    }
    return 0;
}

int file_posix_sync_folder(struct io *io, const char *path)
{
    (void)io;
    int fd = -1;

    do {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return errno;
    }
    int result = 0;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR); /* Any other error is final. IO-4 */
    int error = result == 0 ? 0 : errno;
    (void)close(fd);
    /* A file system that has nothing to sync for a folder says EINVAL. */
    return error == EINVAL ? 0 : error;
}

/* -- Listing -- */

static enum io_kind kind_of_mode(uint32_t mode)
{
    if (S_ISREG(mode)) {
        return IO_KIND_FILE;
    }
    return S_ISDIR(mode) ? IO_KIND_FOLDER : IO_KIND_OTHER;
}

/* Some file systems do not tell the kind with the name. */
static enum io_kind kind_of_entry(int fd, const struct dirent *found)
{
    struct stat info;

    if (found->d_type == DT_REG) {
        return IO_KIND_FILE;
    }
    if (found->d_type == DT_DIR) {
        return IO_KIND_FOLDER;
    }
    if (found->d_type != DT_UNKNOWN ||
        fstatat(fd, found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return IO_KIND_OTHER;
    }
    return kind_of_mode(info.st_mode);
}

/* Make room for one more row, where *room rows have room: twice as many if all are taken. Return
 * false, with the rows kept, without memory. */
static bool rows_grow(struct io *io, struct io_entries *entries, size_t *room)
{
    if (entries->count < *room) {
        return true;
    }
    size_t more = *room == 0 ? ROWS_FIRST : *room * 2;
    struct io_entry *grown = io_alloc(io, more * sizeof *grown, _Alignof(struct io_entry));
    if (!grown) {
        return false;
    }
    if (entries->rows) {
        memcpy(grown, entries->rows, entries->count * sizeof *grown);
        io_free(io, entries->rows);
    }
    entries->rows = grown;
    *room = more;
    return true;
}

static int compare_rows(const void *left, const void *right)
{
    return strcmp(((const struct io_entry *)left)->name, ((const struct io_entry *)right)->name);
}

/* Read all entries of `folder` into `entries`, whose rows are the caller's to free on failure too.
 */
static int list_rows(struct io *io, DIR *folder, struct io_entries *entries)
{
    size_t room = 0;

    errno = 0;
    for (const struct dirent *found = readdir(folder); found; found = readdir(folder)) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) {
            continue;
        }
        if (!rows_grow(io, entries, &room)) {
            return ENOMEM;
        }
        struct io_entry *row = &entries->rows[entries->count++];
        (void)snprintf(row->name, sizeof row->name, "%s", found->d_name);
        row->kind = kind_of_entry(dirfd(folder), found);
        errno = 0;
    }
    return errno;
}

int file_posix_list(struct io *io, const char *path, struct io_entries *ret_entries)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        int error = errno;
        (void)close(fd);
        return error;
    }

    struct io_entries entries = {0};
    int error = list_rows(io, folder, &entries);
    (void)closedir(folder); /* Opened for reading: nothing can be lost. */
    if (error != 0) {
        io_free(io, entries.rows);
        return error;
    }
    if (entries.count > 0) {
        qsort(entries.rows, entries.count, sizeof *entries.rows, compare_rows);
    }
    *ret_entries = entries;
    return 0;
}

/* -- Devices -- */

/* Read the number in the file at `path`; 0 if there is none. */
static uint32_t number_in_file(const char *path)
{
    char text[32] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }
    ssize_t count = read(fd, text, sizeof text - 1);
    (void)close(fd);
    unsigned long number = count > 0 ? strtoul(text, NULL, 10) : 0;
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

/* Ask sysfs for the physical block of `device`; for a partition its disk answers, one folder up. */
static uint32_t block_bytes_ask(uint64_t device)
{
    static const char *const places[] = {"queue", "../queue"};

    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        char path[PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s/physical_block_size",
                       major(device), minor(device), places[index]);
        uint32_t bytes = number_in_file(path);
        if (bytes != 0) {
            return bytes;
        }
    }
    return BLOCK_BYTES;
}

/* Return the physical block below `device`. A data folder lies on one device, so the last answer is
 * nearly always the right one. */
static uint32_t block_bytes_of(struct kernel *kernel, uint64_t device)
{
    if (kernel->block_bytes != 0) {
        return kernel->block_bytes;
    }
    (void)pthread_mutex_lock(&kernel->probe_lock);
    if (kernel->probe_block_bytes == 0 || kernel->probe_device != device) {
        kernel->probe_block_bytes = block_bytes_ask(device);
        kernel->probe_device = device;
    }
    uint32_t bytes = kernel->probe_block_bytes;
    (void)pthread_mutex_unlock(&kernel->probe_lock);
    ASSERT(bytes > 0);
    return bytes;
}

int file_posix_stat(struct io *io, const char *path, struct io_stat *ret_stat)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        return errno;
    }
    *ret_stat = (struct io_stat){
        .kind = kind_of_mode(info.st_mode),
        .bytes = info.st_size,
        .mode = info.st_mode & 07777,
        .block_bytes = block_bytes_of(kernel_of(io), info.st_dev),
        .is_own = info.st_uid == geteuid(),
    };
    return 0;
}

int file_posix_space(struct io *io, const char *path, uint64_t *ret_bytes)
{
    (void)io;
    struct statvfs info;
    int result = 0;

    do {
        result = statvfs(path, &info);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return errno;
    }
    *ret_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    return 0;
}
