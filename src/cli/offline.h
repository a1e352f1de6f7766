/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/offline - a data folder looked at while nobody has it open.
 *
 * Part of the path:  pyralog log stat|dump|verify|repair -> [offline] -> folder, wal/inspect, files
 *
 * Takes the folder's lock, as a start does, and writes nothing. What a log holds is the sum of two
 * things: the checkpoint's row says how far its segments reach, and the journal's entries go on
 * from there.
 *
 *     checkpoint row:  offset_end 4,000      journal: append 4,000..4,009, append 4,010..4,019
 *     the log ends at 4,020
 *
 * Invariants:
 *   OFF-1  Looking changes nothing in the folder but the process id in its lock file.
 *
 * Threads: the one that calls; blocks.   Memory: the heap.
 */
#ifndef CLI_OFFLINE_H
#define CLI_OFFLINE_H

#include "partition/folder.h"
#include "partition/state.h"
#include "record/batch.h"
#include "wal/inspect.h"

/* A log of the folder. */
struct offline_log {
    struct log_id id;
    char name[LOG_NAME_BYTES_MAX];
    uint32_t shard;
    bool has_folder;
    bool is_deleted;                       /* Its folder waits to be removed. */
    bool has_row;                          /* In a checkpoint, or in a deleted log's folder. */
    bool is_misplaced;                     /* That of another shard than its name maps to. */
    char name_wanted[LOG_NAME_BYTES_MAX];  /* What the row calls it, if that is not `name`. */
    char name_deleted[LOG_NAME_BYTES_MAX]; /* What a deleted log was called, or empty. */
    int64_t offset_start;
    int64_t offset_segments; /* Synced segments reach so far, by the checkpoint. */
    int64_t offset_end;      /* With what the journal brings. */
    int32_t epoch;           /* Of the last batch; -1 if none. */
    uint64_t segments;       /* .log files. */
    uint64_t bytes;          /* Of them. */
    uint64_t journal_batches;
    uint64_t journal_records;
    uint64_t journal_bytes;
    uint64_t entry_number; /* Of its last entry. */
    bool has_hole;         /* The journal's next entry does not follow. */
};

/* What a shard's journal came to. */
struct offline_journal {
    struct wal_inspect *inspect;
    struct wal_inspect_info info;
    struct wal_inspect_end end;
    char folder[PATH_BYTES_MAX];
    uint64_t flushes;
    uint64_t entries;
    bool was_clean; /* The last flush is that of a clean stop. */
};

/* An open folder. */
struct offline {
    struct io *io;
    struct io_loop *loop;
    struct folder folder;
    struct offline_journal *journals; /* One a shard; their chains are read to the end. */
    uint32_t journal_count;
    struct offline_log *logs; /* By name. */
    size_t log_count;
    size_t log_room;
    uint64_t quarantined; /* Entries of quarantine/. */
};

/** Open the store in the folder @path and read its checkpoints and journals. Gives: offline_close.
 *
 * PYR_ERR_CORRUPT only if nothing can be said; damage of a chain stands in journals[].end. */
MUST_CHECK enum pyr_err offline_open(const char *path,
                                     struct offline *ret_offline,
                                     struct pyr_error *reterr);

/** Close @offline and give the lock back. A zeroed one is accepted. */
void offline_close(struct offline *offline);

/** Open the journal of shard @index again, to read it from its beginning. Gives: wal_inspect_close.
 */
MUST_CHECK enum pyr_err offline_journal_open(const struct offline *offline,
                                             uint32_t index,
                                             struct wal_inspect **ret_inspect,
                                             struct pyr_error *reterr);

/** Return the log called @name or with id @id (either may be NULL), or NULL. */
struct offline_log *offline_log_find(const struct offline *offline,
                                     const char *name,
                                     const struct log_id *id);

/** Write @count bytes at @data in hexadecimal into @text, which has room for twice as many and a
 * zero. */
void offline_hex(const uint8_t *data, size_t count, char *text);

#endif /* CLI_OFFLINE_H */
