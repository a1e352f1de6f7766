/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/file_posix - files of a real kernel: the blocking calls of both real backends.
 *
 * Everything is made with its exact mode, 0600 or 0700, whatever the umask, and without touching
 * the umask, which belongs to the whole process. Every descriptor is closed on exec. EINTR is
 * retried, other errors never.
 *
 * A durable write is one pwritev2 with RWF_DSYNC; where that is refused (old kernels, some file
 * systems, io_options.without_dsync), a write followed by fdatasync.
 *
 * RLIMIT_FSIZE is a full disk and not a signal: a call that the kernel would answer with SIGXFSZ is
 * answered with EFBIG here, before it is made.
 *
 * Threads: any; a file has no state that changes after it was opened.
 */
#ifndef IO_FILE_POSIX_H
#define IO_FILE_POSIX_H

#include "io/kernel.h"

struct file_posix {
    struct io_file base;
    int fd;
};

/** Return the descriptor of @file. */
static inline int file_posix_fd(struct io_file *file)
{
    return container_of(file, struct file_posix, base)->fd;
}

/** Return whether a write or a new length that ends at @end is above this process's RLIMIT_FSIZE;
 * writes that begin below it are merely cut short by the kernel, so pass their begin + 1. */
bool file_posix_is_above_limit(int64_t end);

/* The slots of struct io_ops; they are documented there. */
int file_posix_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file);
void file_posix_close(struct io *io, struct io_file *file);
int file_posix_read_at(struct io *io,
                       struct io_file *file,
                       struct bytes_mut span,
                       int64_t position,
                       size_t *ret_count);
int file_posix_write_at(struct io *io,
                        struct io_file *file,
                        struct bytes span,
                        int64_t position,
                        bool is_durable,
                        size_t *ret_count);
int file_posix_sync(struct io *io, struct io_file *file);
int file_posix_allocate(struct io *io, struct io_file *file, int64_t bytes);
int file_posix_truncate(struct io *io, struct io_file *file, int64_t bytes);
int file_posix_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes);
int file_posix_map(struct io *io, struct io_file *file, size_t count, const uint8_t **ret_data);
void file_posix_unmap(struct io *io, const uint8_t *data, size_t count);
bool file_posix_map_is_resident(struct io *io, struct bytes span);
int file_posix_rename(struct io *io, const char *from, const char *to);
int file_posix_remove(struct io *io, const char *path);
int file_posix_make_folder(struct io *io, const char *path);
int file_posix_sync_folder(struct io *io, const char *path);
int file_posix_list(struct io *io, const char *path, struct io_entries *ret_entries);
int file_posix_stat(struct io *io, const char *path, struct io_stat *ret_stat);
int file_posix_space(struct io *io, const char *path, uint64_t *ret_bytes);
int file_posix_lock(struct io *io,
                    const char *path,
                    int64_t *ret_holder,
                    struct io_file **ret_file);

/* The file slots of a table, for the initialisers of both backends. */
#define FILE_POSIX_SLOTS                                                                       \
    .open = file_posix_open, .close = file_posix_close, .read_at = file_posix_read_at,         \
    .write_at = file_posix_write_at, .sync = file_posix_sync, .allocate = file_posix_allocate, \
    .truncate = file_posix_truncate, .bytes = file_posix_bytes, .map = file_posix_map,         \
    .unmap = file_posix_unmap, .map_is_resident = file_posix_map_is_resident,                  \
    .rename = file_posix_rename, .remove = file_posix_remove,                                  \
    .make_folder = file_posix_make_folder, .sync_folder = file_posix_sync_folder,              \
    .list = file_posix_list, .stat = file_posix_stat, .space = file_posix_space,               \
    .lock = file_posix_lock

#endif /* IO_FILE_POSIX_H */
