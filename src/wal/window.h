/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/window - the piece of the journal that replay looks at: read ahead, from memory or the
 * device.
 *
 * Part of the path:  files -> [window] -> replay
 *
 * One buffer of a few MiB moves forwards over one file after the other. It is made of large pages,
 * since the device moves a contiguous buffer twice as fast as one of scattered 4 KiB pages.
 *
 *      file      ....[ flush ][ flush ][ flush ][ fl|ush ]......
 *                              |<---- window ------>|
 *                                             |<-kept->|<---- read next ---->
 *
 * The journal is written past the page cache, so normally nothing of it is there, and the window is
 * read past it too. What does happen to be in memory (a copy was made, another program looked) is
 * taken from there, at a multiple of the device's rate. The two can differ:
 *
 * - An open flush (wal/handover) is written through the page cache. If its sync failed, the cache
 *   holds bytes, marked clean, that the device never got: they would be believed now and be gone
 *   after the next power cut.
 * - Some file systems let a cached page outlive a direct write below it.
 *
 * So the caller believes the page cache only where it proves a flush that was written past it, and
 * else says wal_window_distrust() and looks again, at what the device says (REPL-4).
 *
 * Failure modes: the page cache's view cannot be opened or read -> the device is read instead
 *                the device cannot be read -> PYR_ERR_IO with file and position
 *
 * Threads: the caller's; blocks.   Memory: one buffer, grown for a longer flush.
 */
#ifndef WAL_WINDOW_H
#define WAL_WINDOW_H

#include "wal/files.h"

/* The device is read in pieces of this size, memory in pieces that stay in a processor's cache. */
#define WAL_WINDOW_BYTES        (4 << 20)
#define WAL_WINDOW_CACHED_BYTES (512 << 10)

struct wal_window {
    const struct wal_files *files; /* Borrowed. */
    uint8_t *data;
    size_t bytes_max;
    /* What it holds: `count` bytes of `file` from `position`. */
    const struct wal_file *file;
    int64_t position;
    size_t count;
    bool is_cached;     /* Some of it came from the page cache. */
    bool is_distrusted; /* The next bytes come from the device. */
    uint64_t bytes_read;
    /* The page cache's view of one file. */
    const struct wal_file *view_file;
    struct io_file *view; /* NULL: it cannot be had. */
    const uint8_t *map;   /* Asked what is resident, never touched. */
};

/** Set up an empty window over @files. */
void wal_window_init(struct wal_window *window, const struct wal_files *files);

/** Free the buffer. Accepts a zeroed @window. */
void wal_window_deinit(struct wal_window *window);

/** Give @bytes of @file at @position in *@ret_data, which stay where they are until the next call.
 * What the window holds from there on is kept, the rest is read. PYR_ERR_NO_MEMORY, PYR_ERR_IO.
 * Blocks. */
MUST_CHECK enum pyr_err wal_window_need(struct wal_window *window,
                                        const struct wal_file *file,
                                        int64_t position,
                                        size_t bytes,
                                        const uint8_t **ret_data,
                                        struct pyr_error *reterr);

/** Forget what the window holds, and read the next bytes from the device. */
void wal_window_distrust(struct wal_window *window);

#endif /* WAL_WINDOW_H */
