/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/reshard - changing the number of shards of a data folder, on purpose, at start.
 *
 * Part of the path:  open -> [reshard] -> shard, wal, folder -> shard_open under the new mapping
 *
 * Which shard a log belongs to follows from its name and the number of shards (folder.h), so that
 * another number gives most logs another journal. What a journal holds cannot be moved; it can be
 * made superfluous. Once every log's bytes are in synced segments, all there is to say of a log is
 * its row in a checkpoint, and a row can stand in any journal.
 *
 *      1. each shard under the old number: recover it, bring it to a checkpoint, keep its rows
 *      2. what an earlier change left behind goes
 *      3. each journal under the new number: made beside the old ones, with a checkpoint of the
 *         rows that belong to it
 *      4. the marker: new number, new set of journals; one rename
 *      5. the old journals go
 *
 *         wal/1.0 ----+                  +----> wal/2.0
 *                     +---- rows of all -+----> wal/2.1      marker: shards 1, journals 1
 *                                        +----> wal/2.2        -> shards 3, journals 2
 *
 * Failure modes:   a crash up to 4 -> the old number, with the old journals, which are whole
 *                  a crash from 4 on -> the new number; a sweep at the next start takes the rest
 *                  an error up to 4 (full disk, no memory) -> returned; the folder is as it was
 *                  an error in 4 -> either number is on the disk, and both sets of journals are
 *
 * Invariants:
 *   RSH-1  the marker names a set of journals only after all of it is durable
 *   RSH-2  only sets that the durable marker does not name are removed, and only files that a
 *          journal is made of
 *   RSH-3  every row stands in the journal of the shard that its log's name maps to
 *
 * Threads: the one that opens; nothing else drives the loop.   Memory: the rows of all logs, and
 * one shard at a time.   Reference: docs/formats/folder.md.
 */
#ifndef PARTITION_RESHARD_H
#define PARTITION_RESHARD_H

#include "partition/shard.h"

/**
 * Give options->folder @shards shards (0: leave it), where it has another number.
 *
 * No shard of it is open; options are those of shard_open, their index is not used. What recovering
 * under the old number found is added to @report, but for logs and segments, which are opened again
 * afterwards. PYR_ERR_INVALID above FOLDER_SHARDS_MAX, PYR_ERR_TOO_LARGE if a shard would have too
 * many logs, else errors as shard_open. Blocks.
 */
MUST_CHECK enum pyr_err reshard_run(struct io_loop *loop,
                                    const struct shard_options *options,
                                    uint32_t shards,
                                    struct shard_report *report,
                                    struct pyr_error *reterr);

/** Remove the journals that an earlier change left behind. What cannot be removed stays for the
 * next time. The folder's own journals have all been opened. Blocks. */
void reshard_sweep(struct folder *folder);

#endif /* PARTITION_RESHARD_H */
