/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/folder - the data folder: whose it is, who holds it, and what may lie in it.
 *
 *     <data>/pyralog.store           the marker: format version, storage identity, shards
 *     <data>/lock                    held for life; contains the holder's process id
 *     <data>/wal/<journals>.<shard>/ the journals; <journals> is named by the marker
 *     <data>/<topic>-<partition>/    one log
 *     <data>/quarantine/             what nothing explains; never deleted by us
 *
 * The marker is replaced as a whole (new file, sync, rename, sync of the folder), so a folder
 * either is a store or it is not. A folder that is not empty and has no marker is never touched.
 *
 * A log belongs to the shard that its name maps to: CRC32C of the topic, plus the partition, modulo
 * the number of shards. So the partitions of one topic go round, and topics begin anywhere. The
 * rule is part of the format: under another one a shard would not know its own logs.
 *
 * Failure modes:   anything unexpected -> a refusal that names it; nothing was created or changed
 *
 * Invariants:
 *   FLD-1  nothing is created in a folder that is neither empty nor a store
 *   FLD-2  at most one holder of the lock in the system
 *   FLD-3  a file that nothing explains is moved to quarantine, never removed
 *   FLD-4  what the marker says is durable before anything is built on it
 *
 * Threads: the one that opens.   Reference: docs/formats/folder.md.
 */
#ifndef PARTITION_FOLDER_H
#define PARTITION_FOLDER_H

#include "base/limits.h"
#include "io/io.h"

#define FOLDER_STORAGE_ID_BYTES 16

/* An open data folder. */
struct folder {
    struct io *io;
    struct io_file *lock;
    char path[PATH_BYTES_MAX];
    uint8_t storage_id[FOLDER_STORAGE_ID_BYTES];
    uint32_t shards; /* How many journals there are. */
    uint32_t
        journals; /* Which set of journals is valid: raised when the number of shards changes. */
    bool is_new;  /* Its journals were never made whole: they may be made. */
    uint64_t quarantined; /* Things moved to quarantine since it was opened. */
};

struct folder_options {
    const char *path;
    bool must_exist; /* PYR_ERR_NOT_FOUND rather than a new store. */
    uint32_t shards; /* Of a new store; an existing one keeps its own. */
};

/**
 * Open the data folder, or make it, and take its lock, waiting up to a second for it on @loop.
 *
 * Gives: folder_close. Blocks. Errors: PYR_ERR_LOCKED with the holder's process id,
 * PYR_ERR_FOREIGN, PYR_ERR_VERSION, PYR_ERR_CORRUPT (damaged marker), PYR_ERR_NOT_FOUND,
 * PYR_ERR_UNSUPPORTED (more shards than FOLDER_SHARDS_MAX), PYR_ERR_IO.
 */
MUST_CHECK enum pyr_err folder_open(struct io_loop *loop,
                                    const struct folder_options *options,
                                    struct folder *ret_folder,
                                    struct pyr_error *reterr);

/** Give the lock back. A zeroed @folder is accepted. */
void folder_close(struct folder *folder);

/** Note durably that the journals of all shards are made; from now on a missing one is damage.
 * Blocks. */
MUST_CHECK enum pyr_err folder_set_ready(struct folder *folder, struct pyr_error *reterr);

/** Store @shards and @journals durably in the marker. Blocks. */
MUST_CHECK enum pyr_err folder_set_shards(struct folder *folder,
                                          uint32_t shards,
                                          uint32_t journals,
                                          struct pyr_error *reterr);

/** Write the path of @name inside @folder to @ret_path, which has PATH_BYTES_MAX bytes. */
void folder_path(const struct folder *folder, const char *name, char *ret_path);

/** Write the path of the journal of shard @index in the set @journals to @ret_path, as folder_path.
 */
void folder_journal_path(const struct folder *folder,
                         uint32_t journals,
                         uint32_t index,
                         char *ret_path);

/** Return the number that the shard of the log called @name is drawn from: it modulo the shards. */
uint32_t folder_shard_key(const char *name);

/** Return which of @shards shards the entry @name of a data folder belongs to; 0 for what is no
 * log's name. */
uint32_t folder_shard_of(const char *name, uint32_t shards);

/** Move the entry @name of @folder to quarantine/ under a name that is free there (FLD-3). Blocks.
 */
MUST_CHECK enum pyr_err folder_quarantine(struct folder *folder,
                                          const char *name,
                                          struct pyr_error *reterr);

#endif /* PARTITION_FOLDER_H */
