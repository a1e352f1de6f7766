/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/replay - reading the chain of flushes, and telling a torn tail from corruption.
 *
 * Part of the path:  files -> [replay] -> wal_replay_next, inspect
 *
 * Begins at a link (the checkpoint's) and follows it: the flush at the link's position, or, if none
 * stands there, the first flush of the next file. A flush continues the chain if its header is
 * valid at its place, names the checksum and the used bytes of the header before it, is the next in
 * sequence and has a run not below that of the one before. It is good if all its entries are too.
 * Each flush is verified whole before its first entry is handed out.
 *
 *   run    4        4         5             5          4 (left over)    5
 *        +------+ +------+ +------+      +------+    +------+        +------+
 *        | good |<| good |<| good |<-- ? | bad  |    | old  |        | good |  durable_upto = D
 *        +------+ +------+ +------+      +------+    +------+        +------+
 *                                 P
 *
 * At the first flush that is not good, at P, the whole rest of the journal is searched for proof
 * that P was durable once: a valid header whose run is not below that of the last good flush, with
 * durable_upto past P; or the checkpoint's durable_upto past P. With proof it is corruption,
 * reported and never cut. Without, nobody was ever told that P is durable for longer than the idle
 * time, and the tail is cut at P: a crash tore it. Flushes of lower runs are left over from before
 * an earlier crash; they neither continue the chain nor prove anything.
 *
 * Why the run: after a crash that lost flush A at P but kept its successor B behind it, the next
 * start writes A' at P. If B could follow A' it would be replayed, with entries that were cut
 * before and perhaps answered differently since. B names the checksum of A, not of A', and its run
 * is lower than that of A'.
 *
 * The search is left out where nothing can be found: behind the flush of a clean stop of the newest
 * run, which was the last of its run, and in a journal that no run has written to.
 *
 * Failure modes: a read fails -> PYR_ERR_IO with file and position; nothing is cut for it
 *
 * Invariants:
 *   REPL-1  What is handed out is a prefix of what was appended, in order, without gaps.
 *   REPL-2  Nothing is cut that a durable_upto of the same chain, or the checkpoint's, covers.
 *   REPL-3  Nothing is written.
 *   REPL-4  The chain ends only where the device says so, and an open flush counts only as far as
 *           the device has it, whatever the page cache holds.
 *
 * Threads: the caller's; blocks.   Memory: a window of the file, grown for a longer flush.
 */
#ifndef WAL_REPLAY_H
#define WAL_REPLAY_H

#include "wal/window.h"

struct wal_replay_options {
    const struct wal_files *files; /* Borrowed until deinit. */
    struct io_loop *loop;          /* For reading ahead; NULL: nothing is. */
    struct wal_link start;
    uint64_t checkpoint_number;
    uint64_t checkpoint_durable_upto;
    bool has_run;         /* `run` is known. */
    uint64_t run;         /* No flush was ever written in a higher one (WAL-7). */
    wal_verify_fn verify; /* May be NULL. */
    void *verify_ctx;
};

struct wal_replay {
    struct wal_replay_options options;
    struct wal_link link; /* Of the last good flush. */
    uint64_t good_end;    /* Of the last good flush; of an open one, where its good entries end. */
    bool is_ended;
    bool is_last_empty; /* The last good flush is an empty one. */
    struct wal_window window;
    /* The current flush, inside the window. */
    struct wal_flush_header header;
    const uint8_t *flush;
    uint64_t seed;
    uint32_t at;  /* Of the next entry. */
    uint32_t end; /* Where the entries end. */
    struct wal_replay_entry entry;
    struct wal_replay_report report;
    /* The search behind the end. */
    const struct wal_file *rest_file; /* NULL: done. */
    int64_t rest_position;
    uint64_t proof_upto; /* The highest durable_upto known at the end. */
};

/** Prepare @replay; it reads nothing yet. */
void wal_replay_init(struct wal_replay *replay, const struct wal_replay_options *options);

/** Free the memory. Accepts a zeroed @replay. */
void wal_replay_deinit(struct wal_replay *replay);

/** Go to the next good flush and give its header, or NULL at the end of the chain; the entries left
 * of the one before are skipped. Errors as wal_replay_next(). Blocks. */
MUST_CHECK enum pyr_err wal_replay_flush(struct wal_replay *replay,
                                         const struct wal_flush_header **ret_header,
                                         struct pyr_error *reterr);

/** Give the next entry of the current flush, of any kind, repeats and marks included; false if
 * there is none left. */
bool wal_replay_entry(struct wal_replay *replay, struct wal_entry_view *ret_view);

/** Give the next entry that a caller of the journal wrote, or NULL at the end of the chain. Errors
 * as wal_replay_next(). Blocks. */
MUST_CHECK enum pyr_err wal_replay_entry_next(struct wal_replay *replay,
                                              const struct wal_replay_entry **ret_entry,
                                              struct pyr_error *reterr);

/* -- What lies behind the end, for the verdict and for an inspection -- */

/** Begin to search behind the last good flush, once the chain has ended, well or not. */
void wal_replay_rest_begin(struct wal_replay *replay);

/** Give the next header that is valid at its place, or NULL behind the last file. It belongs to the
 * chain that was lost, or to an older run. Blocks. */
MUST_CHECK enum pyr_err wal_replay_rest_next(struct wal_replay *replay,
                                             const struct wal_flush_header **ret_header,
                                             struct pyr_error *reterr);

/** Read the entries of the flush that wal_replay_rest_next gave; wal_replay_entry then gives those
 * before the first bad one. Blocks. */
MUST_CHECK enum pyr_err wal_replay_rest_entries(struct wal_replay *replay,
                                                struct pyr_error *reterr);

#endif /* WAL_REPLAY_H */
