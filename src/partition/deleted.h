/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/deleted - the folders of deleted logs: their names, what is in them, and their end.
 *
 * Part of the path:  shard_partition_delete -> [deleted] -> shard_partition_restore, or nothing
 *
 * A log is deleted by the rename of its folder, which is whole by then: all it holds is in synced
 * segments, and the file deleted.state has the row that a checkpoint would have of it.
 *
 *      orders-0/  --delete-->  orders-0.00112233445566778899aabbccddeeff-deleted/  --grace--> gone
 *                 <--restore--
 *
 * Where that would be over 255 bytes, the log's name is cut, and the number that its shard is drawn
 * from stands behind it (in hexadecimal; no log has a '~' in its name). The name is in the state.
 *
 *      xxxxx...xxx~0123abcd.00112233445566778899aabbccddeeff-deleted/
 *
 * The name decides, and nothing else: what checkpoint and journal still say of the log id in it is
 * passed over at the next start. So the folder goes only after a checkpoint that began after the
 * rename, behind which neither has anything of it to say; and then what names it goes last: first
 * deleted.state, without which it cannot be restored, then the segments, then the metadata.
 *
 *      deleted.state:   the body of a checkpoint with one row (state.h), then its CRC32C
 *
 * Invariants:
 *   DEL-1  a log whose folder has been renamed durably comes back by a restore only
 *   DEL-2  a deleted folder is cleared only when no start would find its log in checkpoint or
 * journal
 *
 * Threads: the shard's owner; deleted_clear_run on the pool.
 */
#ifndef PARTITION_DELETED_H
#define PARTITION_DELETED_H

#include "partition/state.h"

struct shard;
struct shard_report;
struct work;

#define DELETED_STATE_FILE_NAME SEGMENT_DELETED_FILE_NAME

/* The longest name of a folder that file systems take, with its closing zero. */
#define DELETED_NAME_BYTES_MAX 256

/* One deleted log of a shard. */
struct deleted {
    struct log_id id;
    char name[LOG_NAME_BYTES_MAX]; /* It had; or the cut one, if its state is gone. */
    uint64_t since_ns;             /* When it was deleted, or found deleted at the start. */
    uint64_t waited_ns;            /* What it had waited by then; see notes.h. */
    uint64_t checkpoint;           /* It may go once so many checkpoints were made, */
    uint64_t position;             /* and the journal is replayed from behind this on (DEL-2). */
    bool is_clearing;
    struct deleted *next;
};

/* The clearing of one folder. */
struct deleted_clear {
    struct io *io;
    const char *parent; /* The data folder. */
    char path[PATH_BYTES_MAX];
    struct deleted *deleted;
    int error;
};

/** Write the name of the deleted folder of log @name, cut or not, with @id to @ret_name, which has
 * DELETED_NAME_BYTES_MAX bytes. */
void deleted_name_put(const char *name, const struct log_id *id, char *ret_name);

/** Read a log id of 32 hexadecimal digits; false if @text is none. */
bool deleted_id_get(const char *text, struct log_id *ret_id);

/** Take the name of a deleted folder apart; false if @entry is none. @ret_name may be cut. */
bool deleted_name_get(const char *entry, char *ret_name, struct log_id *ret_id);

/** Write @state into the log's folder at @path, on stable storage. Blocks. */
MUST_CHECK enum pyr_err deleted_state_put(struct io *io,
                                          const char *path,
                                          const struct log_state *state,
                                          struct pyr_error *reterr);

/** Read the state of the log with @id from its folder at @path. It borrows from *@ret_body, which
 * is for io_free. Blocks. PYR_ERR_NOT_FOUND, PYR_ERR_CORRUPT, PYR_ERR_FOREIGN. */
MUST_CHECK enum pyr_err deleted_state_get(struct io *io,
                                          const char *path,
                                          const struct log_id *id,
                                          struct bytes_mut *ret_body,
                                          struct log_state *ret_state,
                                          struct pyr_error *reterr);

/** Note the folders of @shard's deleted logs, and move away what only looks like one. Blocks. */
MUST_CHECK enum pyr_err deleted_find(struct shard *shard,
                                     struct shard_report *report,
                                     struct pyr_error *reterr);

/** Add a row for the log @name with @id; NULL without memory. */
struct deleted *deleted_add(struct shard *shard, const char *name, const struct log_id *id);

/** Take @deleted, which is @shard's and is not being cleared, out of the list and free it. */
void deleted_remove(struct shard *shard, struct deleted *deleted);

/** Note that the deleted log with @id waited for @waited_ns in earlier lives; false if it is none.
 */
bool deleted_set_waited(struct shard *shard, const struct log_id *id, uint64_t waited_ns);

/** Return how long @deleted has waited at @now_ns. */
uint64_t deleted_waited_ns(const struct deleted *deleted, uint64_t now_ns);

/** Free all rows. */
void deleted_free(struct shard *shard);

/** Return whether the log with @id is deleted. */
bool deleted_has(const struct shard *shard, const struct log_id *id);

/** Begin to clear a folder whose grace is over, if there is one. */
void shard_deleted_step(struct shard *shard);

/** Clear the folder. On the pool; blocks. */
void deleted_clear_run(struct deleted_clear *clear);

/** Fold a clearing in. */
void deleted_clear_apply(struct shard *shard, struct work *work);

#endif /* PARTITION_DELETED_H */
