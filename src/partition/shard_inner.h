/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/shard_inner - the shard's state, for the files of this room that act on it.
 *
 * Threads: the shard's owner.
 */
#ifndef PARTITION_SHARD_INNER_H
#define PARTITION_SHARD_INNER_H

#include "partition/notes.h"
#include "partition/shard.h"
#include "partition/warm.h"
#include "partition/work.h"
#include "record/batch.h"
#include "wal/wal.h"

/* Steps of a checkpoint.
 *
 *      IDLE --urge, or journal half full--> FLUSHING --all synced to their targets--> WRITING --+
 *       ^                                                                                       |
 *       +----------------------------- the journal's checkpoint ended --------------------------+
 */
enum shard_checkpoint_state {
    SHARD_CHECKPOINT_IDLE,
    SHARD_CHECKPOINT_FLUSHING,
    SHARD_CHECKPOINT_WRITING,
};

/* A folder that no row of the checkpoint names; see strangers.c. */
struct shard_stranger {
    struct log_id id;
    bool is_known;     /* It is decided on: opened, or moved away. */
    bool is_nothing;   /* It is no log's folder. */
    bool has_state;    /* It was restored: its folder says what it holds. */
    bool has_segments; /* Only the journal can say what they are, unless it has a state. */
    char name[LOG_NAME_BYTES_MAX];
};

struct shard_strangers {
    struct shard_stranger *rows;
    size_t count;
};

/* The background scrub; see scrub.c. */
struct shard_scrub {
    struct segment_scrub inner;
    struct partition *partition; /* The log that is looked at, while passing. */
    bool is_passing;
    bool is_running;  /* A step is. */
    uint64_t due_ns;  /* The next step, or while not passing the next pass; never: IO_TIME_NEVER. */
    uint64_t step_ns; /* When the last step began. */
    uint64_t pass_due_ns; /* When the next pass begins at the soonest. */
    struct io_timer timer;
    struct shard_scrub_report report;
};

struct shard {
    struct io *io;
    struct io_loop *loop;
    struct folder *folder;
    struct shard_options options;
    struct wal *wal;
    struct cache cache;
    struct warm warm;
    struct segment_files files;
    struct shard_strangers strangers; /* Used while opening. */
    struct partition *partitions;
    struct partition *by_id[SHARD_LOG_CHAINS]; /* See logs.c. */
    struct partition *by_name[SHARD_LOG_CHAINS];
    uint32_t partition_count;

    /* Appends that the journal has but not yet durably; a ring (SHD-2). */
    struct partition_pending *pending;
    uint32_t pending_first;
    uint32_t pending_count;
    uint64_t
        pending_since_ns; /* Since when the journal owes the oldest: that, or the last one paid. */

    uint64_t position_end; /* Journal position behind the last append. */
    uint64_t progress;
    uint64_t durable_seen; /* The journal's durable position at the last step. */

    /* Logs with unwritten bytes, oldest first, and the writes under way. */
    struct partition *dirty_first;
    struct partition *dirty_last;
    struct work works[SHARD_WORKS_MAX];
    bool is_flush_urged; /* Someone waits for room: write the oldest now. */
    struct io_timer flush_timer;
    uint64_t appended_seen; /* `position_end` when it last moved, */
    uint64_t appended_ns;   /* and when that was seen. */

    enum shard_checkpoint_state checkpoint_state;
    uint64_t checkpoint_position;
    struct partition *checkpoint_next; /* The next log to bring to its target. */
    uint64_t checkpoint_retry_ns;
    bool is_checkpoint_urged;
    uint64_t checkpoints;

    struct shard_scrub scrub;
    struct shard_notes notes;

    struct replica_effect *effects; /* Of the step of one of its members; NULL: it has had none. */

    struct deleted *deleted; /* Logs whose folders wait for their grace to end; see deleted.h. */
    uint32_t deleted_count;
    struct io_timer deleted_timer;
    struct partition *deleted_held; /* Deleted logs that someone has open still. */

    uint64_t retention_due_ns; /* When log starts are looked at again. */
    uint32_t compactions;      /* Logs that are being compacted. */
    bool has_removals;         /* Some log has segments to remove. */

    /* What wakes a shard that nobody touches; see idle.c. */
    struct io_timer idle_timer;
    uint64_t idle_progress; /* `progress` when the timer was last set for it. */
    uint64_t idle_position; /* `position_end` at the last look. */
    bool wants_look;        /* The next one is to come as soon as it may. */

    uint64_t disk_full_ns; /* Since when. */
    bool is_disk_full;     /* Appends are refused until a write to a segment, or a checkpoint, goes
                              through again. */
    char disk_full_reason[256];
    uint64_t disk_retry_ns;

    bool is_stopping;
    struct pyr_error failure; /* Its code is PYR_OK while the shard is well. */
    char describe[192];
};

/** Put a row at the end of the pending ring, which has room. */
void shard_pending_push(struct shard *shard,
                        struct partition *partition,
                        uint64_t position,
                        int64_t offset_end);

/** Return how long the oldest append has waited for its flush of the journal. */
uint64_t shard_waiting_ns(const struct shard *shard);

/** Return how long the disk has been full. */
uint64_t shard_full_ns(const struct shard *shard);

/** Note that @partition has unwritten bytes that may be written. */
void shard_dirty(struct shard *shard, struct partition *partition);

/** Put @partition, which is not in it, into the list of logs with bytes to write. */
void dirty_link(struct partition *partition, bool is_front);

/** Take @partition out of that list. */
void dirty_unlink(struct partition *partition);

/** Return up to where @partition may be written to its segments (PAR-9). */
int64_t flush_end(const struct partition *partition);

/** Return what the journal's entry about @offset says of the commit point. */
uint32_t append_commit_lag(const struct partition *partition, int64_t offset);

/** Refuse more of a replicated log, with PYR_ERR_BUSY, when too much of it or of all waits in
 * memory: what is not committed can only be kept there and in the journal. A leader has a @slack of
 * 1, a follower more, so that it can take all that its leader may have. */
MUST_CHECK enum pyr_err append_room_check(struct partition *partition,
                                          size_t bytes,
                                          uint64_t slack,
                                          struct pyr_error *reterr);

/** Note in the journal that the replicated @partition is committed as far as its segments go. A
 * start then has no more to keep in memory than there was. */
void commit_note(struct partition *partition);

/** Tell the journal, with the first entry of a new replicated log, that it is there. */
MUST_CHECK enum pyr_err promise_first(struct partition *partition, struct pyr_error *reterr);

/** Translate the log's policy into what the journal is asked for, for what came at @since_ns (0:
 * now). */
struct wal_need append_need(const struct partition *partition, uint64_t since_ns);

/** Put an entry of state, a promise or a cut, into the journal, with a row in the ring that tells
 * when it is durable. @offset_end is the log's end behind it, @epoch the promise. PYR_ERR_BUSY,
 * PYR_ERR_DISK_FULL, PYR_ERR_FAILED: nothing has changed. */
MUST_CHECK enum pyr_err promise_journal(struct partition *partition,
                                        const struct wal_entry *entry,
                                        int64_t offset_end,
                                        struct pyr_error *reterr);

/** Cut the cache of @partition back to @offset, and all that goes by its end. Nothing at or past it
 * stands in a segment, or is being written. */
void truncate_cache(struct partition *partition, int64_t offset);

/** Ask that the oldest unwritten bytes go to their segments now, because someone waits for room. */
void shard_flush_urge(struct shard *shard);

/** Ask for a checkpoint if @err says that the journal has no room. */
void shard_checkpoint_urge(struct shard *shard, enum pyr_err err);

/** Return a free slot for background work, or NULL. */
struct work *shard_work_free(struct shard *shard);

/** Note that the starts in the checkpoint just made are durable. */
void retention_checkpoint_done(struct shard *shard);

/** Plan to remove segments below @partition's durable start; false if there is nothing to do. */
bool retention_plan_removal(struct partition *partition, struct work *work);

/** Look at the log starts if it is time, and start removals. */
void shard_retention_step(struct shard *shard);

/** Return the age past which @partition's segments expire, in milliseconds. */
int64_t retention_age_ms(const struct partition *partition);

/** Return @limit, of age or bytes, as segments take it: signed, and the highest for what is above.
 */
int64_t retention_limit(uint64_t limit);

/** Let the first look of a shard that nobody touches be due. */
void shard_idle_begin(struct shard *shard);

/** Stop the timer. */
void shard_idle_end(struct shard *shard);

/** Have the shard turned for its next look, as soon as that may be. */
void shard_look_soon(struct shard *shard);

/** Note that all logs were looked at, and that one wants it again at @due_ns. */
void shard_looked(struct shard *shard, uint64_t due_ns);

/** Have the shard turned for its next look if something happened since the last one. */
void shard_idle_step(struct shard *shard);

/** Return whether nothing was appended since the last look. */
bool shard_is_unused(const struct shard *shard);

/** Begin compactions that are due, if it is time to look, and run the next steps of those under
 * way. */
void shard_compaction_step(struct shard *shard, bool is_look_due);

/** Plan the next step of @partition's compaction in the free slot @work; false if none is to be
 * run. */
bool compaction_plan(struct partition *partition, struct work *work);

/** Give up the compaction of @partition, if there is one. None of its steps is running. */
void compaction_stop(struct partition *partition);

/** Let the first pass of the scrub be due, if there are to be any. */
void shard_scrub_begin(struct shard *shard);

/** Give up the pass under way, and free what it holds. No step is running. */
void shard_scrub_end(struct shard *shard);

/** Take the next step of the scrub, if it is due. */
void shard_scrub_step(struct shard *shard);

/** Fold in a step over @partition, and let the next one be due. */
void scrub_apply(struct partition *partition);

/** Let the scrub go on with the log behind @partition, which is taken out of the shard. */
void scrub_forget(struct partition *partition);

/** Note that a checkpoint has rows of all logs: the states of restored ones are not needed. */
void delete_checkpoint_done(struct shard *shard);

/** Begin @partition's clock at its newest stamp; @accepts_step: at the wall clock instead. */
void clock_begin(struct partition *partition, bool accepts_step);

/** Return what a stamp would say now: never below the newest. */
int64_t clock_now_ms(struct partition *partition);

/** Return whether @partition expires by time and its newest stamp is over a second old. */
bool clock_is_due(struct partition *partition);

/** Return what the log's clock has to show for something of @partition to expire, or to be rolled
 * by age; INT64_MAX: nothing will by time alone. */
int64_t clock_wanted_ms(const struct partition *partition);

/** Append a stamp. Nobody has room reserved. Errors as partition_append. */
MUST_CHECK enum pyr_err clock_stamp(struct partition *partition, struct pyr_error *reterr);

/** Return whether the @batch with @header is a stamp, and what it says. */
bool clock_read(struct bytes batch, const struct batch_header *header, int64_t *ret_ms);

/**
 * Open the journal of shard options->index in the set @journals; make it if it is missing and
 * @may_create says so. Gives: wal_destroy. Blocks. Errors as wal_open.
 */
MUST_CHECK enum pyr_err shard_journal_open(struct io_loop *loop,
                                           const struct shard_options *given,
                                           uint32_t journals,
                                           bool may_create,
                                           struct wal **ret_wal,
                                           struct pyr_error *reterr);

/**
 * Bring all that @shard has to synced segments and into a checkpoint. Blocks, and drives the loop.
 *
 * Nothing is appended meanwhile. On an error (PYR_ERR_DISK_FULL, PYR_ERR_FAILED, PYR_ERR_NO_MEMORY)
 * nothing is lost: it is in the journal still.
 */
MUST_CHECK enum pyr_err shard_save(struct shard *shard, struct pyr_error *reterr);

/** Ask for a checkpoint at the next step. */
void shard_checkpoint_request(struct shard *shard);

/** Fill @state, which borrows from @partition, with its row: what is synced, its target at least.
 */
void checkpoint_row_fill(const struct partition *partition, struct log_state *state);

/** Put the row of @partition, which checkpoint_row_fill made @state of, at @data, which has
 * state_row_bytes of room; return those bytes. */
size_t checkpoint_row_put(const struct partition *partition,
                          const struct log_state *state,
                          uint8_t *data);

/** Build the rows of all logs, each synced to its target. Gives: io_free of its data. */
MUST_CHECK enum pyr_err checkpoint_body_build(struct shard *shard, struct bytes_mut *ret_body);

/** Fail the shard for good, for the reason in @error. */
void shard_fail(struct shard *shard, const struct pyr_error *error);

/** Note that the disk is full, as @error says: refuse appends, keep what there is, try again later.
 */
void shard_disk_full(struct shard *shard, const struct pyr_error *error);

/** Note that something found room on the disk: appends are taken again. */
void shard_disk_has_room(struct shard *shard);

/** Start the writes to segments that are due. */
void shard_flush_step(struct shard *shard);

/** Set the timer to when the next write to a segment is due. */
void shard_flush_timer(struct shard *shard);

/** Plan a write of @partition's unwritten bytes in the free slot @work; false if there is nothing
 * to do. */
bool flush_plan_append(struct partition *partition, struct work *work);

/** Plan a sync of @partition's segments in the free slot @work; false if there is nothing to do. */
bool flush_plan_sync(struct partition *partition, struct work *work);

/** Fold the finished @work in and free its slot. */
void flush_apply(struct work *work);

/** Write all unwritten bytes of @partition to its segments here and now. Blocks; nothing else runs.
 */
MUST_CHECK enum pyr_err flush_now(struct shard *shard,
                                  struct partition *partition,
                                  struct pyr_error *reterr);

/** Go on with the checkpoint, or begin one if it is due. */
void shard_checkpoint_step(struct shard *shard);

/** Bring the logs of @shard back from checkpoint, segments and journal. Blocks. */
MUST_CHECK enum pyr_err recovery_run(struct shard *shard,
                                     struct shard_report *report,
                                     struct pyr_error *reterr);

/** Return the log with @id, or NULL. */
struct partition *logs_find(struct shard *shard, const struct log_id *id);

/** Return the log called @name, or NULL. */
struct partition *logs_named(struct shard *shard, const char *name);

/** Add @partition, whose id and name no other log has, to the shard, which keeps it. */
void logs_add(struct shard *shard, struct partition *partition);

/** Take @partition out of the shard. */
void logs_remove(struct shard *shard, struct partition *partition);

/** Close the segments of @partition, which is out of the shard, and free it. Nothing of it is
 * written. Blocks. */
void logs_close(struct shard *shard, struct partition *partition);

/** Return whether the payload of a journal entry is a whole batch; see wal_verify_fn. */
bool recovery_verify(void *ctx, const struct wal_replay_entry *entry);

/** Look at the folders that no row names: open those of logs that are empty or were restored, move
 * away what is no log, and note the rest. Blocks. */
MUST_CHECK enum pyr_err strangers_find(struct shard *shard,
                                       struct shard_report *report,
                                       struct pyr_error *reterr);

/** Add the log of @stranger, whose segments the journal brings again, to the shard as an empty one.
 * Blocks. @ret_partition may be NULL. */
MUST_CHECK enum pyr_err strangers_add(struct shard *shard,
                                      struct shard_stranger *stranger,
                                      struct shard_report *report,
                                      struct partition **ret_partition,
                                      struct pyr_error *reterr);

/** Decide on those that the journal did not name either. Blocks. */
MUST_CHECK enum pyr_err strangers_settle(struct shard *shard,
                                         struct shard_report *report,
                                         struct pyr_error *reterr);

#endif /* PARTITION_SHARD_INNER_H */
