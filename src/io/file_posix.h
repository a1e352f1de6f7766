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
 * answered with EFBIG here, before it is made. The limit is asked for whenever a file is opened or
 * grown, not at every write, which would cost a tenth of a write to the page cache: a program that
 * lowers it below what it has already written finds out at the next file.
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
bool file_posix_is_above_limit(struct io *io, int64_t end);

/** Ask for this process's RLIMIT_FSIZE. */
void file_posix_limit_refresh(struct io *io);

/* -- The slots of struct io_ops; threads, blocking and errors are documented there. -- */

/** Open the file at @path: slot `open`. Gives: file_posix_close. */
int file_posix_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file);

/** Close @file: slot `close`. */
void file_posix_close(struct io *io, struct io_file *file);

/** Read once at @position: slot `read_at`. */
int file_posix_read_at(struct io *io,
                       struct io_file *file,
                       struct bytes_mut span,
                       int64_t position,
                       size_t *ret_count);

/** Write once at @position, durably if asked: slot `write_at`. IO-2 */
int file_posix_write_at(struct io *io,
                        struct io_file *file,
                        struct bytes span,
                        int64_t position,
                        bool is_durable,
                        size_t *ret_count);

/** Sync @file with fdatasync: slot `sync`. IO-4 */
int file_posix_sync(struct io *io, struct io_file *file);

/** Reserve space with fallocate: slot `allocate`. */
int file_posix_allocate(struct io *io, struct io_file *file, int64_t bytes);

/** Set the length: slot `truncate`. */
int file_posix_truncate(struct io *io, struct io_file *file, int64_t bytes);

/** Return the length: slot `bytes`. */
int file_posix_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes);

/** Map @file: slot `map`. Gives: file_posix_unmap. */
int file_posix_map(struct io *io, struct io_file *file, size_t count, const uint8_t **ret_data);

/** Undo file_posix_map: slot `unmap`. */
void file_posix_unmap(struct io *io, const uint8_t *data, size_t count);

/** Ask mincore: slot `map_is_resident`. */
bool file_posix_map_is_resident(struct io *io, struct bytes span);

/** Rename: slot `rename`. */
int file_posix_rename(struct io *io, const char *from, const char *to);

/** Remove a file or an empty folder: slot `remove`. */
int file_posix_remove(struct io *io, const char *path);

/** Make a folder with mode 0700: slot `make_folder`. */
int file_posix_make_folder(struct io *io, const char *path);

/** Sync the folder @path with fsync: slot `sync_folder`. IO-4 */
int file_posix_sync_folder(struct io *io, const char *path);

/** List a folder: slot `list`. Gives: io_entries_free. */
int file_posix_list(struct io *io, const char *path, struct io_entries *ret_entries);

/** Describe @path: slot `stat`. */
int file_posix_stat(struct io *io, const char *path, struct io_stat *ret_stat);

/** Return the free bytes: slot `space`. */
int file_posix_space(struct io *io, const char *path, uint64_t *ret_bytes);

/** Take the lock file at @path with flock: slot `lock`. Gives: file_posix_close. */
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
