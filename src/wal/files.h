/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/files - the journal's files: found at open, made and recycled in the background.
 *
 * Part of the path:  flush -> [files] -> io
 *
 * A file is named by its slot number and keeps its name, length and extents for life. What it holds
 * is said by the generation in its header, which is raised each time the file is used anew;
 * generations give the order of the files in the journal.
 *
 *        made (job)                        a flush goes there         checkpoint's mark is durable
 *   -- --------------> READY (generation) ------------------> USED ---------------------------+
 *                        ^                                                                    |
 *                        +---- PREPARING <---- recycled (job): a raised generation ---- FREE <+
 *
 * Making:     1. create `<slot>.new`, reserve its space   2. write zeros and both headers
 *             3. sync   4. rename to `<slot>.wal`   5. sync the folder
 * Recycling:  1. write header copy 0 durably   2. copy 1 durably
 *
 * So a file named .wal always has its full length, written extents, and one good header at least;
 * if none is good, something else than a crash did it.
 *
 * Failure modes: disk full while making -> the .new file is removed, PYR_ERR_DISK_FULL
 *                anything else -> the journal fails (a file that may be half made is not trusted)
 *
 * Invariants:
 *   WALX-1  A READY or USED file has two good headers on stable storage, and its name too.
 *   WALX-2  Generations are never used twice, whatever crashes come between.
 *
 * Threads: the journal's owner; wal_prepare_run() on a pool thread, touching its own struct only.
 */
#ifndef WAL_FILES_H
#define WAL_FILES_H

#include "io/io.h"
#include "wal/format.h"

/* Zeros are written in pieces of this size. */
#define WAL_ZERO_BYTES (1 << 20)

enum wal_file_state {
    WAL_FILE_FREE,      /* Nothing in it is needed. */
    WAL_FILE_PREPARING, /* A job has it. */
    WAL_FILE_READY,     /* A spare. */
    WAL_FILE_USED,      /* Flushes of the journal are in it, or go to it. */
    WAL_FILE_DAMAGED,   /* Both headers are bad; only met by an inspection. */
};

struct wal_file {
    enum wal_file_state state;
    uint32_t slot;
    uint64_t generation; /* 0: not known. */
    struct io_file *file;
    struct io_file *buffered; /* Through the page cache; opened when it is needed. */
    bool is_unsynced;         /* Has written bytes that no sync or durable write covers. */
    bool is_sync_due;         /* The sync round has it before it. */
    bool is_half;             /* Its two headers differ: a crash met its recycling. */
    uint8_t headers_bad;      /* How many of the two failed their check. */
};

struct wal_files {
    struct io *io;
    struct wal_identity identity;
    bool has_identity;
    const char *folder; /* Borrowed from the journal. */
    bool is_direct;
    bool is_read_only;
    bool is_frugal; /* Files are recycled, but none is made. */
    struct wal_file *rows;
    uint32_t count;
    uint32_t rows_max;
    uint64_t generation_next;
};

struct wal_files_options {
    struct io *io;
    const char *folder;
    const struct wal_identity
        *identity;     /* file_bytes 0: not known yet. NULL: take what is there. */
    uint32_t rows_max; /* At least; more if more are there. */
    bool is_read_only; /* Inspection: sync nothing, change nothing. */
    bool without_direct;
};

/** Open all files in the folder, sync them, and read their headers. @files is deinit'ed after
 * failure too. PYR_ERR_CORRUPT names a file whose headers are both bad or whose length is wrong
 * (but for a read-only opening, which marks it). Blocks. */
MUST_CHECK enum pyr_err wal_files_open(struct wal_files *files,
                                       const struct wal_files_options *options,
                                       struct pyr_error *reterr);

/** Close all files. Accepts a zeroed @files. */
void wal_files_close(struct wal_files *files);

/** Return the file of @generation, or NULL. */
struct wal_file *wal_files_find(const struct wal_files *files, uint64_t generation);

/** Return the file with the lowest generation above @generation that is not damaged, or NULL. */
struct wal_file *wal_files_after(const struct wal_files *files, uint64_t generation);

/** Return how many files are in @state. */
uint32_t wal_files_count(const struct wal_files *files, enum wal_file_state state);

/** Write the name of the file in @slot, with its folder, to @path. */
void wal_files_path(const struct wal_files *files, uint32_t slot, char path[PATH_BYTES_MAX]);

/** Write both headers of @file anew, durably, where one was found bad. Blocks. */
MUST_CHECK enum pyr_err wal_files_heal(struct wal_files *files,
                                       struct wal_file *file,
                                       struct pyr_error *reterr);

/** Return how many zeros are written at a time. */
static inline size_t wal_zero_bytes(const struct wal_identity *identity)
{
    ASSERT(identity->file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN);
    ASSERT(identity->file_bytes % BLOCK_BYTES == 0);

    uint64_t bytes = identity->file_bytes;
    return bytes < WAL_ZERO_BYTES ? (size_t)bytes : WAL_ZERO_BYTES;
}

/* -- Preparation: the making or recycling of one file, as straight-line blocking code -- */

struct wal_prepare {
    struct io *io;
    struct wal_file_header header; /* Slot and generation to be. */
    struct io_file *file;          /* Recycling: the open file. Making: the result. */
    bool is_direct;
    bool is_recycling;
    const char *folder;
    uint8_t *zeros;          /* wal_zero_bytes() of them, aligned, borrowed. */
    uint8_t *block;          /* BLOCK_BYTES, aligned, borrowed; holds the header. */
    enum pyr_err err;        /* Result. */
    struct pyr_error reason; /* Result. */
};

/** Take a FREE file, or the next slot, for @prepare, and give it the next generation. Return false
 * if there is neither. */
bool wal_prepare_begin(struct wal_files *files, struct wal_prepare *prepare);

/** Do the work; touches nothing but @prepare. Blocks; any thread. */
void wal_prepare_run(struct wal_prepare *prepare);

/** Put the outcome into the table: READY, or as it was before. */
void wal_prepare_end(struct wal_files *files, struct wal_prepare *prepare);

#endif /* WAL_FILES_H */
