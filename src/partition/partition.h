/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/partition - one log put together: cache, journal, segments and the commit line.
 *
 * Part of the path:  server, embed -> [partition] -> wal, segment, cache
 *
 * An append takes one offset range, one journal entry and a place in the cache; the journal makes
 * it durable, the commit rule moves the commit point, the flush brings it to its segment later.
 * There is one file per path, so that none of them becomes the place where everything meets:
 *
 *     append.c     reserve room, take offsets, journal, cache
 *     commit.c     the one rule that says what is committed
 *     promise.c    replicated: no epoch below this one
 *     follow.c     replicated: a leader's batches as they are
 *     truncate.c   replicated: the tail that gives way
 *     read.c       where an offset's bytes are: in the cache or in a segment
 *     flush.c      cache to segments, in big writes, as background jobs
 *     retention.c  log start, deletion, compaction, the log's clock
 *     recovery.c   what a start does with checkpoint, segments and journal
 *
 *     log start      written        durable       committed          end
 *        |-- segments --|----------- write cache ----------------------|
 *                       |-- journal covers from the checkpoint on -----|
 *
 * Invariants:
 *   PAR-1  offset_start <= offset_written <= offset_end, and no offset is used twice in an epoch
 *   PAR-2  a reader sees nothing at or past the commit point
 *   PAR-3  the commit point never moves back
 *   PAR-4  under the policy `always` the commit point of a log alone never passes what the journal
 *          has durable; that of a replica may: its quorum was others
 *   PAR-5  behind the checkpoint, the running numbers of a log's journal entries have no gap
 *   PAR-6  no two logs of a shard have the same id, or the same name
 *   PAR-8  a replicated log takes no batch of an epoch above its promise, or below its last batch's
 *   PAR-9  the segments of a replicated log hold nothing that is not committed; so no cut, which is
 *          never below the commit point, touches a segment
 *
 * Threads: the shard's owner.   Memory: allocated when the log is opened, freed with the shard.
 */
#ifndef PARTITION_PARTITION_H
#define PARTITION_PARTITION_H

#include "base/log_id.h"
#include "partition/cache.h"
#include "partition/state.h"
#include "partition/work.h"

struct shard;
struct fold;

/* What an acknowledged append has reached. */
enum partition_policy {
    PARTITION_POLICY_ALWAYS, /* Stable storage. */
    PARTITION_POLICY_BATCH,  /* Memory; stable storage within the interval. */
    PARTITION_POLICY_OS,     /* Memory; the kernel within the interval, or at once. */
};

struct partition_options {
    enum partition_policy policy;
    uint64_t interval_ns;    /* Batch and os: the bound. */
    bool hand_over_at_once;  /* Os: with the kernel before the append returns. */
    bool sync_on_write;      /* With the cache off: the segment is synced before it is committed. */
    bool is_cached;          /* false: every append goes to its segment at once. */
    bool use_mmap;           /* Segments are read through mappings. */
    bool is_compacted;       /* Keep the newest record of each key. */
    bool is_replicated;      /* What is committed is said from outside, see commit.c. */
    struct log_id id;        /* Replicated: which log it is one of the replicas of. */
    uint64_t segment_bytes;  /* Roll at this. */
    uint64_t segment_age_ms; /* Roll at this age; 0: never. */
    uint64_t retention_ms;   /* Delete what is older by the log's clock; 0: never. */
    uint64_t retention_bytes; /* Delete the oldest above this; 0: never. */
};

/* Journalled but not yet durable: one row per batch, truncation or promise, in the order of the
 * journal. */
struct partition_pending {
    struct partition *partition;
    uint64_t position; /* Of the journal: durable when the journal is durable up to here. */
    int64_t offset_end;
    int32_t promise; /* What was promised by then. */
};

/* What the scrub found in a log since the shard was opened; see scrub.c. */
struct partition_scrub {
    uint64_t passes; /* How often it got through the log. */
    uint64_t bytes;
    uint64_t damages;       /* Segments that were met damaged; again in each pass. */
    uint64_t errors;        /* Likewise, that could not be read. */
    int64_t damage_segment; /* Of the first of both; -1: none. */
    int64_t damage_offset;
};

/* One log. */
struct partition {
    struct shard *shard;
    struct partition *next;       /* Of the shard; */
    struct partition *next_by_id; /* in its tables, see logs.c. */
    struct partition *next_by_name;
    struct log_id id;
    char name[LOG_NAME_BYTES_MAX];
    struct partition_options options;
    bool is_held;        /* Someone has it open. */
    bool is_deleting;    /* It takes no calls any more. */
    bool is_deleted;     /* It is out of the shard, and only its holder knows it; see delete.c. */
    bool has_state_file; /* It was restored, and no checkpoint knows it yet. */

    /* The four lines of the picture above. */
    int64_t offset_start;
    int64_t offset_end;
    int64_t offset_committed;
    int64_t offset_durable;
    int64_t offset_written; /* In segment files, synced or not. */
    int64_t offset_synced;  /* In segment files, synced. */

    int32_t epoch;          /* The promise, under which it appends. */
    int32_t epoch_durable;  /* What of it is on stable storage. */
    int32_t epoch_last;     /* Of the last batch; -1: none. */
    bool is_replicated;     /* It was made so, and stays so. */
    uint32_t pending_count; /* Its rows in the shard's ring. */
    int32_t epoch_replayed; /* While recovering: of the last journal entry taken. */
    uint64_t entry_number;  /* Of its last journal entry. */
    uint64_t entry_seen;    /* While recovering: of the last one that the journal gave. */
    uint64_t entry_claimed; /* While recovering: the checkpoint covers this one and all before. */
    uint64_t position_end;  /* Journal position behind its last append since the start. */

    /* The log's clock, see clock.c. */
    int64_t clock_ms;       /* The newest stamp. */
    int64_t clock_base_ms;  /* What it was, */
    uint64_t clock_mono_ns; /* at this time of the monotonic clock. */
    int64_t stamps_start;   /* From here to the next, nothing but stamps was appended. */
    int64_t stamps_end;     /* Where the newest of them ends. */
    bool is_clock_held;     /* The wall clock has stepped, and is not believed. */

    /* Compaction, see compaction.c. */
    struct segment_compact *compact; /* Under way, or NULL. */
    int64_t cleaned_to;              /* Compaction has been below here. */
    int64_t claim_written;           /* Base of the segment that the newest checkpoint ends in, */
    int64_t claim_durable;           /* and in a checkpoint that is durable. */
    uint64_t compacted_bytes;        /* Of the log when it was last compacted. */
    uint64_t batches_undecodable;    /* Kept whole, because this build cannot unpack them. */
    uint64_t records_compacted;      /* Dropped for newer ones. */

    /* The log start on its way to the disk, see retention.c. */
    int64_t start_written; /* In the newest checkpoint's row. */
    int64_t start_durable; /* In a checkpoint that is durable. */
    bool has_removal;      /* Segments below it may be removed. */

    struct fold *fold; /* Of its member, fed with all that happens to the log; NULL: none. */

    struct cache_log cached;
    struct cache_place commit_place; /* Where the last commit ended. */
    struct segment_log *segments;
    uint8_t *tail;          /* One block: */
    uint32_t tail_bytes;    /* the bytes of the segment's last block below the synced end. */
    bool works[WORK_KINDS]; /* Which pieces of background work are under way. */

    /* Its place in the shard's list of logs with unwritten bytes. */
    struct partition *dirty_prev;
    struct partition *dirty_next;
    uint64_t dirty_since_ns; /* When the oldest unwritten byte came. */
    bool is_dirty;
    bool is_large; /* Enough has gathered for a good write. */
    bool goes_on;  /* The last one ended with its segment: the rest follows at once. */

    /* What the checkpoint under way wants of it. */
    int64_t checkpoint_target;  /* To be synced up to here. */
    uint64_t checkpoint_number; /* Its entry number when the checkpoint began. */

    struct partition_scrub scrub;

    uint64_t appends;
    uint64_t appends_bytes;
    uint64_t appends_waited; /* Refused for want of room, and tried again by the caller. */
};

/** Return PYR_OK, or PYR_ERR_NOT_FOUND if the log was deleted. */
enum pyr_err partition_check(const struct partition *partition, struct pyr_error *reterr);

/* -- Append -- */

/**
 * Return room to build a batch of up to @bytes at the tail of @partition, at least that large.
 *
 * The room stays the caller's until partition_append or partition_unreserve. PYR_ERR_BUSY: wait for
 * the shard to make progress; PYR_ERR_DISK_FULL; PYR_ERR_FAILED; PYR_ERR_NO_MEMORY;
 * PYR_ERR_TOO_LARGE.
 */
MUST_CHECK enum pyr_err partition_reserve(struct partition *partition,
                                          size_t bytes,
                                          struct bytes_mut *ret_room,
                                          struct pyr_error *reterr);

/** Give the room back unused. */
void partition_unreserve(struct partition *partition);

/**
 * Append the batch of @bytes that was built in the reserved room: give it offsets and the epoch,
 * journal it.
 *
 * The batch is whole and sealed; @since_ns is when its first record came by the monotonic clock (0:
 * now), which the policy's interval counts from. *@ret_offset is its first offset. After an error
 * the room is still the caller's, and nothing was appended. PYR_ERR_BUSY as above.
 */
MUST_CHECK enum pyr_err partition_append(struct partition *partition,
                                         size_t bytes,
                                         uint64_t since_ns,
                                         int64_t *ret_offset,
                                         struct pyr_error *reterr);

/**
 * Make @offset the log's first: nothing below is read any more, and whole segments below it are
 * removed once a checkpoint says so. PYR_ERR_OUT_OF_RANGE past the commit point.
 */
MUST_CHECK enum pyr_err partition_delete_before(struct partition *partition,
                                                int64_t offset,
                                                struct pyr_error *reterr);

/* -- Replicated: what a replica is told to do with its log -- */

/**
 * Promise that no epoch below @epoch is followed any more. Durable under every policy once
 * partition_promise_durable() says so. A promise that stands already is none.
 *
 * PYR_ERR_CONDITION below the promise that stands; PYR_ERR_BUSY: turn the wheel and call again;
 * PYR_ERR_DISK_FULL, PYR_ERR_FAILED, PYR_ERR_NOT_FOUND. After an error nothing has changed.
 */
MUST_CHECK enum pyr_err partition_promise(struct partition *partition,
                                          int32_t epoch,
                                          struct pyr_error *reterr);

/** Return the highest promise of @partition that is on stable storage. */
int32_t partition_promise_durable(const struct partition *partition);

/* A part of a log that one leader wrote. */
struct partition_stretch {
    int32_t epoch;
    int64_t offset;
    int64_t offset_end;
};

/**
 * Hold @batches, which came from outside, against @stretch, which they are said to be.
 *
 * PYR_ERR_CORRUPT: one is damaged; PYR_ERR_INVALID: they are something else.
 */
MUST_CHECK enum pyr_err partition_follow_check(const struct partition *partition,
                                               struct bytes batches,
                                               const struct partition_stretch *stretch,
                                               struct pyr_error *reterr);

/**
 * Append the batches of a leader, which partition_follow_check has accepted, as they are.
 *
 * They begin at the log's end and follow each other; their epochs are not above the promise and do
 * not fall (PAR-8). @since_ns as for partition_append. *@ret_bytes says, after an error too, how
 * many of the first bytes were taken: whole batches, each as if it had come alone.
 * PYR_ERR_CONDITION: the next does not belong here; else as partition_reserve and partition_append.
 */
MUST_CHECK enum pyr_err partition_follow(struct partition *partition,
                                         struct bytes batches,
                                         uint64_t since_ns,
                                         size_t *ret_bytes,
                                         struct pyr_error *reterr);

/**
 * Cut @partition back to @offset, which is where a batch begins, or the end.
 *
 * The cut is in the journal before what is appended next. PYR_ERR_CONDITION: @offset is below the
 * commit point; PYR_ERR_OUT_OF_RANGE: past the end; PYR_ERR_INVALID: inside a batch;
 * PYR_ERR_BUSY: turn the wheel and call again; else as
 * partition_promise. After an error nothing has changed.
 */
MUST_CHECK enum pyr_err partition_truncate(struct partition *partition,
                                           int64_t offset,
                                           struct pyr_error *reterr);

/** Return up to where what @partition holds now is on stable storage. */
int64_t partition_durable_end(const struct partition *partition);

/**
 * Note that everything of the replicated @partition below @offset is committed. What is committed
 * already stays so. PYR_ERR_OUT_OF_RANGE past the end.
 */
MUST_CHECK enum pyr_err partition_commit_to(struct partition *partition,
                                            int64_t offset,
                                            struct pyr_error *reterr);

/* -- Commit -- */

/** Note that the journal has everything of @partition below @offset_end on stable storage. */
void partition_commit_durable(struct partition *partition, int64_t offset_end);

/** Note that everything below @offset_end was appended. */
void partition_commit_appended(struct partition *partition, int64_t offset_end);

/** Note that the lines of what is written and synced to segments have moved. */
void partition_commit_written(struct partition *partition);

/* -- Read -- */

enum partition_view_kind {
    PARTITION_VIEW_NONE,    /* Nothing: the offset is the commit point. */
    PARTITION_VIEW_CACHE,   /* `data` holds the batches. */
    PARTITION_VIEW_SEGMENT, /* `segment` is for segment_view_read, on any thread. */
};

/* What a reader takes with it. */
struct partition_view {
    enum partition_view_kind kind;
    int64_t offset_end; /* The commit point: read no batch that ends past it (PAR-2). */

    /* Cache. */
    struct cache_chunk *chunk;
    struct bytes data;   /* Whole batches; the first holds the offset. */
    int64_t offset_next; /* Where to go on. */

    /* Segment. */
    struct segment_view segment;
};

/**
 * Take a view of @partition from @offset on. Gives: partition_view_release.
 *
 * @place is the reader's, zeroed at first: with it a read that goes on where the last one ended
 * finds its place in the cache at once.
 *
 * PYR_ERR_OUT_OF_RANGE below the log start or past the commit point.
 */
MUST_CHECK enum pyr_err partition_view_take(struct partition *partition,
                                            int64_t offset,
                                            struct cache_place *place,
                                            struct partition_view *ret_view,
                                            struct pyr_error *reterr);

/** Give @view back; a view of kind NONE is accepted. */
void partition_view_release(struct partition *partition, struct partition_view *view);

#endif /* PARTITION_PARTITION_H */
