/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/inspect - a journal looked at offline: dump, verify, stat, and the repair that cuts it.
 *
 * Part of the path:  pyralog log dump|verify|stat|repair -> [inspect] -> replay -> files
 *
 * An inspection opens everything for reading only, syncs nothing, removes nothing and needs no
 * loop. The data folder's lock is its caller's business. It follows the chain as a start would:
 *
 *   wal_inspect_open -> wal_inspect_flush, wal_inspect_entry ... -> end, or PYR_ERR_CORRUPT
 *                         then, behind the end:  wal_inspect_rest, wal_inspect_entry ...
 *
 * What lies behind damage can still be read where it is whole: flushes that will be lost, with
 * their entries, whose running numbers show exactly what is missing, and whose repeats carry the
 * promises and truncations of a flush that cannot be read. A tool adds these up and shows them;
 * only then does wal_inspect_repair() make the cut:
 *
 *   1. the run number is raised above every run that was seen, durably
 *   2. if the checkpoint says that more was durable, it is replaced by one that does not
 *   3. a file whose headers are both bad is renamed to <slot>.damaged and kept
 *   4. an empty flush of the new run, marked as a cut, is written where the chain ended, durably
 *
 * After step 4 what lay behind is of lower runs, which count for nothing. A crash before it leaves
 * the journal as damaged as it was.
 *
 * Invariants:
 *   INSP-1  Nothing but wal_inspect_repair() writes.
 *   INSP-2  A repair loses what lies behind the end of the chain, and nothing before it.
 *
 * Threads: one; blocks.   Memory: given back by wal_inspect_close.
 */
#ifndef WAL_INSPECT_H
#define WAL_INSPECT_H

#include "wal/format.h"

struct io;
struct wal_inspect;

/* What is known without reading the flushes. */
struct wal_inspect_info {
    uint8_t storage_id[WAL_STORAGE_ID_BYTES];
    uint32_t shard;
    uint64_t file_bytes;
    uint32_t files;
    bool is_run_readable;
    uint64_t run;
    uint64_t checkpoint_number;
    uint64_t resume_position;
    uint64_t durable_upto;
    struct bytes checkpoint_body;   /* Borrowed until the close. */
    uint32_t checkpoint_copies_bad; /* 0 or 1. */
};

/* One file. */
struct wal_inspect_file {
    uint32_t slot;
    uint64_t generation; /* 0 if both headers are bad. */
    uint32_t headers_bad;
    bool is_needed; /* A replay may read it. */
};

/* One entry. */
struct wal_inspect_entry {
    struct wal_entry entry;
    bool is_repeat;
    uint64_t position;
};

/* Where the chain ended and what a start makes of it. */
struct wal_inspect_end {
    bool is_corrupt;       /* A start refuses. */
    uint64_t position;     /* Journal position of the end. */
    uint32_t slot;         /* Its file, */
    int64_t in_file;       /* and the position there. */
    uint64_t durable_upto; /* What is known to have been durable. */
    char reason[PYR_ERROR_MESSAGE_MAX];
};

/** Open the journal in @folder for looking at. @verify may be NULL: then payloads that carry their
 * own checksum are believed. Gives: wal_inspect_close. Without a readable checkpoint nothing can
 * be said: PYR_ERR_CORRUPT. Blocks. */
MUST_CHECK enum pyr_err wal_inspect_open(struct io *io,
                                         const char *folder,
                                         wal_verify_fn verify,
                                         void *verify_ctx,
                                         struct wal_inspect **ret_inspect,
                                         struct pyr_error *reterr);

/** Close @inspect (NULL does nothing). */
void wal_inspect_close(struct wal_inspect *inspect);

/** Fill @ret_info. */
void wal_inspect_info(const struct wal_inspect *inspect, struct wal_inspect_info *ret_info);

/** Fill @ret_file for file @index; return false if there is none. */
bool wal_inspect_file(const struct wal_inspect *inspect,
                      uint32_t index,
                      struct wal_inspect_file *ret_file);

/** Give the next flush of the chain, or NULL at its end; PYR_ERR_CORRUPT if a start would refuse
 * there. Borrows until the next call. Blocks. */
MUST_CHECK enum pyr_err wal_inspect_flush(struct wal_inspect *inspect,
                                          const struct wal_flush_header **ret_header,
                                          struct pyr_error *reterr);

/** Give the next whole entry of the flush at hand; false if there is none left. Its payload is
 * valid until the next flush. */
bool wal_inspect_entry(struct wal_inspect *inspect, struct wal_inspect_entry *ret_entry);

/** Fill @ret_end, once wal_inspect_flush has met the end. */
void wal_inspect_end(const struct wal_inspect *inspect, struct wal_inspect_end *ret_end);

/** Give the next whole flush behind the end that belongs to the chain or a later run: what a repair
 * loses. NULL if there is no more. Blocks. */
MUST_CHECK enum pyr_err wal_inspect_rest(struct wal_inspect *inspect,
                                         const struct wal_flush_header **ret_header,
                                         struct pyr_error *reterr);

/** Cut the journal where its chain ends (INSP-2), after wal_inspect_flush has met the end. Nothing
 * is done to a journal that a start would accept. Blocks. */
MUST_CHECK enum pyr_err wal_inspect_repair(struct wal_inspect *inspect, struct pyr_error *reterr);

#endif /* WAL_INSPECT_H */
