/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/fold - what a replica knows by folding its log: producers, the token, the users' end.
 *
 * Part of the path:  append, follow, cut, commit -> [fold] -> judge;  member -> file -> next start
 *
 * Every batch that enters the log of a member is folded in, whoever wrote it; a cut takes the fold
 * back, and the commit point says what is never taken back (replication/producers, conditions). So
 * a replica that becomes leader knows at once what the leader before it knew.
 *
 *      log     0 ............. | committed | . . . end
 *              |-- snapshot ---|
 *              a start reads the snapshot, and of the log only what is behind it
 *
 * Thousands of logs have no producers: no row is taken before the first one comes, and the few
 * undos that what is not committed needs grow with it. When memory cannot be had, or a cut goes
 * deeper than the undos, nothing is known any more until the log is folded anew: what is asked for
 * meanwhile waits, and the log goes on.
 *
 * The snapshot is a file of the log's folder. It says which place of the log it is of, by offset
 * and epoch: the same epoch at the same offset is the same log up to there (EPT-2), so that one
 * which is ahead of the log, or of what was cut, is known for what it is. One that is missing or
 * damaged costs time and nothing else.
 *
 *   position  bytes  what it holds, little-endian
 *   0         4      "PFLD"
 *   4         2      version, 1
 *   6         2      0
 *   8         16     log id
 *   24        8      offset: all batches below are folded in
 *   32        4      epoch of the last of them; 0: there is none
 *   36        4      bytes of the producers' state
 *   40        8      users' end: behind the last batch that is no control batch
 *   48        8      token, -1: never raised
 *   56        ...    the producers' state (replication/producers.h)
 *   .         4      CRC32C of all before
 *
 * Invariants:
 *   FOL-1  What is known is what a plain fold over the log's batches gives
 *   FOL-2  A snapshot is taken only if the log has its place: that epoch at that offset
 *   FOL-3  A snapshot holds nothing that was not committed when it was made
 *
 * Threads: the shard's owner.   Memory: io_alloc, within the limits FOLD_ of base/limits.h.
 * Reference: docs/design/replication.md, docs/formats/fold.md.
 */
#ifndef PARTITION_FOLD_H
#define PARTITION_FOLD_H

#include "base/log_id.h"
#include "io/io.h"
#include "record/batch.h"
#include "replication/conditions.h"
#include "replication/epochs.h"
#include "segment/format.h"

#define FOLD_FILE_NAME SEGMENT_FOLD_FILE_NAME

struct fold {
    struct io *io;
    bool is_known;       /* false: nothing below means anything; fold anew. */
    uint64_t bytes_news; /* Of batches folded since the last snapshot. */
    struct producers producers;
    struct conditions conditions;
};

/** Set up @fold; nothing is known yet. */
void fold_init(struct fold *fold, struct io *io);

/** Give the memory of @fold back; nothing is known any more. A zeroed one is accepted. */
void fold_forget(struct fold *fold);

/** Let what is known be that of an empty log, to fold from @offset_start on. What lies below
 * @committed will not be cut. */
void fold_begin(struct fold *fold, int64_t offset_start, int64_t committed);

/** Return whether the batch of @header is a producer's, and as what it is folded in. */
bool fold_producer(const struct batch_header *header, struct producer_batch *ret_batch);

/** Take memory for one more batch of the producer @id, or of none (PRODUCER_NO_ID): it is judged as
 * if all memory there may be were there. PYR_ERR_NO_MEMORY: nothing has changed. */
MUST_CHECK enum pyr_err fold_reserve(struct fold *fold, int64_t id);

/** Fold in the whole @batch with @header, whose offsets are the log's. Without memory nothing is
 * known any more. */
void fold_append(struct fold *fold, struct bytes batch, const struct batch_header *header);

/** Take back what came from batches at or past @offset. If that cannot be, nothing is known any
 * more. */
void fold_truncate(struct fold *fold, int64_t offset);

/** Note that what lies below @offset is not cut any more. */
void fold_commit(struct fold *fold, int64_t offset);

/** Return whether both know the same. */
bool fold_equal(const struct fold *left, const struct fold *right);

/* -- Snapshots -- */

/** Return the most bytes of a snapshot. */
size_t fold_encoded_bytes_max(void);

/** Return the snapshot of @fold, of log @log with @epochs, in *@ret_count bytes, or NULL: there is
 * no memory, or it cannot be taken back to what is committed. Gives: io_free. */
uint8_t *fold_encode(const struct fold *fold,
                     const struct log_id *log,
                     const struct epoch_table *epochs,
                     size_t *ret_count);

/**
 * Begin @fold at the snapshot in @data, which may be anything, of log @log with @epochs. As
 * fold_begin, with the rest of the log from conditions.offset_end on to be folded in.
 *
 * After an error nothing is known. PYR_ERR_CORRUPT; PYR_ERR_VERSION; PYR_ERR_FOREIGN: of another
 * log; PYR_ERR_OUT_OF_RANGE: the log does not have its place (FOL-2); PYR_ERR_NO_MEMORY.
 */
MUST_CHECK enum pyr_err fold_decode(struct fold *fold,
                                    struct bytes data,
                                    const struct log_id *log,
                                    const struct epoch_table *epochs,
                                    int64_t committed);

#endif /* PARTITION_FOLD_H */
