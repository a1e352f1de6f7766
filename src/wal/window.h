/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/window - the piece of the journal that replay looks at: read ahead, from memory or the
 * device.
 *
 * Part of the path:  files -> [window] -> replay
 *
 * A window of a few MiB moves forwards over one file after the other. Its two buffers take turns:
 * while the caller looks at one, a job reads the next piece into the other, so that checking and
 * copying on one side and reading on the other overlap. What is left of the last piece, the begin
 * of a flush, is put before the new one, into the room that each buffer has for it. They are made
 * of large pages, since the device moves a contiguous buffer twice as fast as one of scattered
 * pages.
 *
 *      file       ....[ flush ][ flush ][ flush ][ fl|ush ]..........
 *      buffer 0        |<-------- held ------------->|
 *      buffer 1                          [ room |kept|<-- read ahead -->|
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
 * Invariants:
 *   WIN-1  While a job reads ahead, nobody touches its piece, its buffer, or the view it reads.
 *
 * Threads: the caller's; blocks.   Memory: two buffers, one of them grown for a longer flush.
 */
#ifndef WAL_WINDOW_H
#define WAL_WINDOW_H

#include "wal/files.h"

/* The file is read in pieces of this size, or of an eighth of a smaller file. */
#define WAL_WINDOW_BYTES (4 << 20)

/* One read of the journal. */
struct wal_piece {
    const struct wal_file *file;
    struct io *io;
    struct io_file *device;
    struct io_file *view; /* NULL: the device is read. */
    const uint8_t *map;
    int64_t position;
    struct bytes_mut span;
    int error;      /* Result: 0 or an errno value, */
    bool is_cached; /* and whether it came from the page cache. */
    struct io_job job;
    bool is_running;
};

struct wal_window {
    const struct wal_files *files; /* Borrowed. */
    struct io_loop *loop;          /* Where jobs run; NULL: nothing is read ahead. */
    size_t piece_bytes;            /* What is read at a time. */
    size_t room_bytes;             /* What a buffer has before a piece, for the rest of the last. */
    uint8_t *buffers[2];
    size_t bytes_max[2];
    uint32_t turn; /* Which buffer holds what the caller sees. */
    /* What it holds: `count` bytes of `file` from `position`. */
    const uint8_t *data;
    const struct wal_file *file;
    int64_t position;
    size_t count;
    bool is_cached;     /* Some of it came from the page cache. */
    bool is_distrusted; /* All bytes come from the device. */
    uint64_t bytes_read;
    /* The next piece, in the other buffer. */
    bool has_ahead;
    struct wal_piece ahead;
    /* The page cache's view of one file. */
    const struct wal_file *view_file;
    struct io_file *view; /* NULL: it cannot be had. */
    const uint8_t *map;   /* Asked what is resident, never touched. */
};

/** Set up an empty window over @files, which reads ahead by jobs on @loop (NULL: it does not). */
void wal_window_init(struct wal_window *window,
                     const struct wal_files *files,
                     struct io_loop *loop);

/** Free the buffers. Accepts a zeroed @window. */
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

/** Forget what the window holds, and read from the device only, until wal_window_trust(). */
void wal_window_distrust(struct wal_window *window);

/** Read from memory again where something is there. */
void wal_window_trust(struct wal_window *window);

#endif /* WAL_WINDOW_H */
