/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/wal - one journal per shard: it makes the appends of all its partitions durable together.
 *
 * Part of the path:  partition -> [wal] -> io -> one direct, aligned, durable write
 *
 * The journal is a sequence of flushes in fixed-size files that were written with zeros before they
 * are needed and are recycled after a checkpoint, so that a commit never changes a file's length or
 * extents. wal_append() copies an entry into the flush that gathers; wal_kick() hands flushes to
 * the device. While `depth` flushes are in flight the next one gathers: group commit without a
 * timer.
 *
 *   wal_append -> gathering --seal--> queued --submit--> in flight --complete--> written
 *                                                          in order of the journal: durable
 *
 * A place in the journal is one number for ever, the journal position: generation of the file times
 * bytes of a file, plus position in the file. It only grows.
 *
 * Life:            1. wal_open     reads, changes nothing but a missing journal; blocks
 *                  2. wal_replay_next until it gives NULL; blocks
 *                  3. wal_start    raises the run number durably; blocks
 *                  4. wal_append, wal_kick, and after each io_loop_dispatch(): wal_state(),
 *                     wal_written_position(), wal_durable_position()
 *                  5. wal_checkpoint_begin when wal_usage() says that files should be freed
 *                  6. wal_stop, dispatch until wal_is_quiet(), wal_destroy
 *
 *               wal_start             wal_stop               last flush durable
 *   REPLAYING ------------> OPEN ----------------> STOPPING --------------------> CLOSED
 *       |                    |                        |
 *       | wal_stop           | write or sync fails    | write or sync fails
 *       v                    v                        v
 *     CLOSED              FAILED <--------------------+
 *
 * What is true in each state: REPLAYING: nothing is in flight, the folder is as it was found.
 * OPEN: appends are taken. STOPPING: none is taken; what was is being made durable. CLOSED: all of
 * it is durable, nothing is in flight. FAILED: no position moves any more; operations in flight
 * may still end.
 *
 * Failure modes:   a durable write, a sync or a job's write fails -> FAILED, for good (WAL-4)
 *                  no spare file, or the gather pool is full -> PYR_ERR_BUSY, a counter, try again
 *                  disk full while a spare is made -> appends get PYR_ERR_DISK_FULL until there is
 *                  room; entries of state (truncate, promise, checkpoint) have two files in reserve
 *
 * Invariants:
 *   WAL-1  wal_durable_position() passes an entry only after its flush and all flushes before it
 *          are on stable storage.
 *   WAL-2  A durable byte of the journal is never written again before its file is recycled.
 *   WAL-3  Flushes follow each other: sequence by one, position by the flush before or the next
 *          file, each naming the checksum of the header before it.
 *   WAL-4  After the first failed write or sync nothing more is acknowledged and nothing retried.
 *   WAL-5  A file is reused only after the mark of a checkpoint that covers all its entries is
 *          durable.
 *   WAL-6  An empty flush is never followed by another.
 *   WAL-7  Every flush of a run is written after the run's number is durable.
 *   WAL-8  Two files stay ready for entries of state; no append of data takes them.
 *   WAL-9  Replay hands out an unbroken prefix of what was appended, and cuts nothing that a
 *          durable_upto covers.
 *
 * Threads: the owner of the loop, for every call. Memory: all of it is taken in wal_open(), but for
 * a checkpoint's copy of its body. Reference: docs/design/wal.md, docs/formats/wal.md.
 */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include "base/assert.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log_id.h"

struct io;
struct io_loop;
struct wal;

#define WAL_STORAGE_ID_BYTES 16

enum wal_state {
    WAL_STATE_REPLAYING,
    WAL_STATE_OPEN,
    WAL_STATE_STOPPING,
    WAL_STATE_CLOSED,
    WAL_STATE_FAILED,
};

/* The numbers stand in the file format. */
enum wal_entry_kind {
    WAL_ENTRY_APPEND = 1,          /* The bytes of a batch. */
    WAL_ENTRY_APPEND_INDIRECT = 2, /* Where in a segment the bytes of a batch are. */
    WAL_ENTRY_TRUNCATE = 3,        /* The log ends at `offset`. */
    WAL_ENTRY_PROMISE = 4,         /* No epoch below `epoch` is followed any more. */
    WAL_ENTRY_CHECKPOINT = 5,      /* Written by the journal itself. */
    WAL_ENTRY_COMMIT = 6,          /* A replicated log is committed below `offset`. */
};

/* Where in a segment file the bytes of an indirect append lie. */
struct wal_segment_ref {
    int64_t segment_base; /* The segment's first offset, which names its file. */
    int64_t position;     /* First byte in the file. */
    uint32_t count;       /* How many bytes. */
    uint32_t crc;         /* Their CRC32C, by the caller's reckoning. */
};

/* One entry to journal. Fields that a kind does not use are zero. */
struct wal_entry {
    enum wal_entry_kind kind;
    struct log_id log;
    int64_t offset;      /* Append: base offset. Truncate: the log's new end. */
    int32_t epoch;       /* Append: of the batch. Promise: the promised epoch. */
    uint64_t number;     /* Running entry number of the log. */
    uint32_t commit_lag; /* 0: the log has no replicas. Else one more than how far its commit point
                            was below `offset` when this was journalled; see wal_entry_commit. */
    struct bytes parts[2];  /* The payload in two pieces, header and body. Borrows. */
    uint32_t checked_bytes; /* Append: the entry's checksum covers this many first bytes of the
                               payload; the rest carries its own. Other kinds are covered whole. */
    struct wal_segment_ref segment; /* Append indirect. */
};

/** Return the commit lag of an entry at @offset of a replicated log that is committed up to
 * @committed. */
static inline uint32_t wal_commit_lag(int64_t offset, int64_t committed)
{
    ASSERT(committed <= offset);

    return offset - committed < (int64_t)UINT32_MAX - 1 ? 1 + (uint32_t)(offset - committed)
                                                        : UINT32_MAX;
}

/** Return up to where the replicated log of @entry was known to be committed, or -1: @entry does
 * not say. */
static inline int64_t wal_entry_commit(const struct wal_entry *entry)
{
    bool is_said = entry->commit_lag > 0 && entry->commit_lag < UINT32_MAX;
    return is_said ? entry->offset + 1 - (int64_t)entry->commit_lag : -1;
}

/* How soon an entry must have got how far. Truncates and promises are always durable now. */
enum wal_need_kind {
    WAL_NEED_DURABLE_NOW, /* Policy always. */
    WAL_NEED_DURABLE_BY, /* Policy batch: the durable write begins at the deadline at the latest. */
    WAL_NEED_WRITTEN_BY, /* Policy os: handed to the kernel, begins at the deadline at the latest.
                          */
    WAL_NEED_WRITTEN_NOW, /* Policy os, at once: with the kernel when the call returns, and
                             sure to be replayed once the written position is there. */
};

struct wal_need {
    enum wal_need_kind kind;
    uint64_t deadline_ns; /* Of the monotonic clock, for the two kinds with BY. */
};

/* One entry as replay gives it back. Everything is valid until the next call. */
struct wal_replay_entry {
    struct wal_entry entry;  /* parts[0] is the whole payload; parts[1] is empty. */
    uint64_t position;       /* Journal position of its first byte. */
    uint64_t position_end;   /* As wal_append returned it. */
    uint64_t flush_position; /* Of the flush that holds it. */
    uint64_t run;            /* Under which start it was written. */
};

/**
 * Return whether the payload of @entry is whole, by the checksum that its unchecked bytes carry.
 * Called at replay for each append whose checked_bytes do not cover it all.
 */
typedef bool (*wal_verify_fn)(void *ctx, const struct wal_replay_entry *entry);

struct wal_options {
    const char *folder; /* <data>/wal/<journals>.<shard>; its parent exists. */
    uint8_t storage_id[WAL_STORAGE_ID_BYTES]; /* Of the data folder; seeds every checksum. */
    uint32_t shard;
    bool may_create;       /* Make the journal if there is none; else PYR_ERR_NOT_FOUND. */
    uint64_t file_bytes;   /* Of one file: a multiple of BLOCK_BYTES; 0: WAL_FILE_BYTES_DEFAULT.
                              An existing journal keeps its own. */
    uint32_t files_max;    /* Files for data, beside the two for state; 0: the default. */
    uint32_t depth;        /* Flushes in flight; 0: the default. */
    uint32_t gather_count; /* Buffers of the gather pool; 0: the default. */
    uint32_t flush_bytes_target; /* A flush that reached this is handed over; 0: the default. */
    uint32_t entry_bytes_max;    /* Largest payload; 0: what fits, at most BATCH_BYTES_MAX. */
    uint64_t idle_ns;            /* An idle tail gets its empty flush after this; 0: the default. */
    bool without_direct;         /* Go through the page cache; for tests of the fall-back. */
    wal_verify_fn verify;        /* May be NULL if every payload is checked whole. */
    void *verify_ctx;
};

/* Why replay ended where it did. */
enum wal_cut {
    WAL_CUT_NONE,     /* Nothing follows the last flush. */
    WAL_CUT_TORN,     /* A flush that no durable_upto covers failed its check and was cut. */
    WAL_CUT_LEFTOVER, /* Only flushes from before an earlier crash follow. */
};

struct wal_replay_report {
    uint64_t flushes; /* Good flushes from the checkpoint on, empty ones included. */
    uint64_t entries; /* Entries handed out. */
    uint64_t bytes_scanned;
    uint64_t bytes_cut; /* Bytes of the flushes that were cut. */
    uint64_t position;  /* Where the next flush goes. */
    uint64_t run;       /* Of the last good flush. */
    bool was_clean;     /* The last flush is that of a clean stop. */
    enum wal_cut cut;
    char cut_reason[160]; /* A sentence with file and position; empty if nothing was cut. */
};

struct wal_usage {
    uint64_t position_oldest; /* Replay would begin here. */
    uint64_t position_end;    /* The next flush goes here. */
    uint64_t file_bytes;
    uint32_t files_used;  /* Files that hold what a replay would read. */
    uint32_t files_ready; /* Spares, the two in reserve included. */
    uint32_t files_max;   /* As opened. */
};

struct wal_counters {
    uint64_t entries;
    uint64_t flushes;
    uint64_t flushes_empty;
    uint64_t bytes_entries; /* Entries with their headers. */
    uint64_t bytes_written; /* Flushes with headers and padding. */
    uint64_t syncs;
    uint64_t short_writes;
    uint64_t waits_spare;  /* Appends refused because no spare file was ready. */
    uint64_t waits_gather; /* Appends refused because the gather pool was full. */
    uint64_t disk_full;    /* Times a file could not be made because the disk is full. */
    uint64_t files_made;
    uint64_t files_recycled;
    uint64_t checkpoints;
};

/**
 * Open the journal in options->folder, or make it, and get ready to replay.
 *
 * @loop carries all its operations; options are borrowed. Everything found is synced before it is
 * trusted. Gives: wal_destroy. Errors: PYR_ERR_NOT_FOUND (none there, may_create is false),
 * PYR_ERR_CORRUPT (checkpoint, run or a file's header damaged; names the file), PYR_ERR_FOREIGN
 * (of another storage or shard), PYR_ERR_VERSION, PYR_ERR_UNSUPPORTED (device block above
 * BLOCK_BYTES), PYR_ERR_INVALID, PYR_ERR_NO_MEMORY, PYR_ERR_IO, PYR_ERR_DISK_FULL. Blocks.
 */
MUST_CHECK enum pyr_err wal_open(struct io_loop *loop,
                                 const struct wal_options *options,
                                 struct wal **ret_wal,
                                 struct pyr_error *reterr);

/** Return the body of the checkpoint that replay begins at, empty for a new journal. Borrows from
 * @wal until wal_start. */
struct bytes wal_checkpoint_body(const struct wal *wal);

/**
 * Give the next entry in the journal's order, or NULL at its end.
 *
 * @ret_entry is valid until the next call. The flush that holds it was verified whole before. What
 * supersedes what (truncates, epochs) is the caller's to decide; the journal keeps order only.
 * PYR_ERR_CORRUPT if damage is covered by a later durable_upto: names file and position, changes
 * nothing; then only wal_destroy and an offline repair are left. Blocks.
 */
MUST_CHECK enum pyr_err wal_replay_next(struct wal *wal,
                                        const struct wal_replay_entry **ret_entry,
                                        struct pyr_error *reterr);

/** Write the name of the file that holds @entry, the last one given by wal_replay_next, to @path,
 * and return where in it the entry stands. */
int64_t wal_replay_where(const struct wal *wal,
                         const struct wal_replay_entry *entry,
                         char path[PATH_BYTES_MAX]);

/** Fill @ret_report with what replay found; complete once wal_replay_next gave NULL. */
void wal_replay_report(const struct wal *wal, struct wal_replay_report *ret_report);

/** Raise the run number durably and begin to take appends where the replay ended (WAL-7). The
 * replay has given its last entry. Blocks. */
MUST_CHECK enum pyr_err wal_start(struct wal *wal, struct pyr_error *reterr);

/**
 * Copy @entry into the flush that gathers.
 *
 * The entry has got as far as @need asks once the written or the durable position is at or past
 * *@ret_position. Nothing is handed to the device before wal_kick(), unless a flush became full.
 * PYR_ERR_BUSY: no spare file or the gather pool is full, dispatch and try again;
 * PYR_ERR_DISK_FULL: no spare file, because the disk is full; PYR_ERR_TOO_LARGE; PYR_ERR_FAILED
 * with the reason; PYR_ERR_CLOSED. After an error nothing was appended.
 */
MUST_CHECK enum pyr_err wal_append(struct wal *wal,
                                   const struct wal_entry *entry,
                                   struct wal_need need,
                                   uint64_t *ret_position,
                                   struct pyr_error *reterr);

/** Hand to the device what should go now; deadlines of the rest are watched by a timer. Call it
 * once after a group of appends. */
void wal_kick(struct wal *wal);

/** Make no new file while @is_frugal: the disk is full, and what is freed is wanted by those who
 * let the journal recycle files. */
void wal_set_frugal(struct wal *wal, bool is_frugal);

/** Return whether a flush that is handed over now goes to the device at once: fewer than `depth`
 * are in flight. Who can wait gathers while it is false. */
bool wal_can_flush(const struct wal *wal);

/** Ask that everything appended so far becomes durable now, whatever it needed; return the position
 * to wait for. */
uint64_t wal_sync(struct wal *wal);

/** Return the journal position up to which everything is with the kernel. */
uint64_t wal_written_position(const struct wal *wal);

/** Return the journal position up to which everything is on stable storage (WAL-1). */
uint64_t wal_durable_position(const struct wal *wal);

/** Return the state; for WAL_STATE_FAILED with the reason in @ret_reason, which may be NULL. */
enum wal_state wal_state(const struct wal *wal, struct pyr_error *ret_reason);

/** Fill @ret_usage with how full the journal is. */
void wal_usage(const struct wal *wal, struct wal_usage *ret_usage);

/** Fill @ret_counters with what has been counted since the start. */
void wal_counters(const struct wal *wal, struct wal_counters *ret_counters);

/** Return the largest payload that an entry may have. */
uint64_t wal_entry_bytes_max(const struct wal *wal);

/** Describe how the journal writes, such as "direct, durable flag". Borrows from @wal. */
const char *wal_describe(const struct wal *wal);

/**
 * Begin a checkpoint: @body replaces every entry that ends at or below @position.
 *
 * Those entries are in synced segments or in @body, which is copied. Once the checkpoint is durable
 * and its mark too, files below it are recycled. PYR_ERR_BUSY while one is running;
 * PYR_ERR_TOO_LARGE, PYR_ERR_NO_MEMORY, PYR_ERR_FAILED, PYR_ERR_CLOSED.
 */
MUST_CHECK enum pyr_err wal_checkpoint_begin(struct wal *wal,
                                             struct bytes body,
                                             uint64_t position,
                                             struct pyr_error *reterr);

/** Return whether a checkpoint is running. */
bool wal_checkpoint_is_running(const struct wal *wal);

/** Return PYR_OK if the last checkpoint that ended was made, or why not (PYR_ERR_DISK_FULL,
 * PYR_ERR_NO_MEMORY: begin another later); the reason goes to @reterr. */
enum pyr_err wal_checkpoint_result(const struct wal *wal, struct pyr_error *reterr);

/** Begin a clean stop: no append is taken any more, what was is made durable, and an empty flush
 * says so. Dispatch until wal_is_quiet(). */
void wal_stop(struct wal *wal);

/** Return whether nothing is in flight and nothing more will be: CLOSED, or FAILED and drained. */
bool wal_is_quiet(const struct wal *wal);

/** Destroy @wal (NULL does nothing). It is quiet, or replaying. Closes its files; blocks. */
void wal_destroy(struct wal *wal);

#endif /* WAL_WAL_H */
