/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/journal - struct wal itself, shared by the files of this room and by nobody else.
 *
 * Who owns which part: open.c fills it and takes it apart; flush.c has the flushes and the
 * positions; checkpoint.c the checkpoint and the landmarks; wal.c the state, the timers and the
 * preparation of files, and the one function, wal_pump(), that looks at everything and moves what
 * can be moved.
 *
 *   order_first                                                        order_last
 *     IN_FLIGHT -> WRITTEN -> IN_FLIGHT -> QUEUED -> QUEUED -> GATHERING
 *         |                                   ^
 *         +- retired from the front, in       +- queue_first
 *            order, once it is WRITTEN
 *
 * Threads: the journal's owner.
 */
#ifndef WAL_JOURNAL_H
#define WAL_JOURNAL_H

#include "io/transfer.h"
#include "wal/checkpoint.h"
#include "wal/files.h"
#include "wal/replay.h"

/* The payload of an entry of state, kept for its repetition. */
#define WAL_STATE_PAYLOAD_BYTES_MAX 128

enum wal_flush_state {
    WAL_FLUSH_STATE_FREE,
    WAL_FLUSH_STATE_GATHERING, /* Takes entries; its place is known. */
    WAL_FLUSH_STATE_QUEUED,    /* Closed: its header is written. */
    WAL_FLUSH_STATE_IN_FLIGHT, /* The buffer is pinned. */
    WAL_FLUSH_STATE_OPEN,      /* Grows by small writes that block (handover.c). */
    WAL_FLUSH_STATE_WRITTEN,   /* Done; waits for those before it. */
};

/* One flush and its buffer. */
struct wal_flush {
    enum wal_flush_state state;
    uint8_t *data;
    uint32_t capacity;
    struct wal *wal;
    struct wal_flush *next; /* In the order, or in the list of free ones. */
    struct wal_file *file;
    struct wal_flush_header header;
    uint64_t seed;        /* Of its entries. */
    uint32_t used;        /* Header, repeats and entries. */
    uint32_t entry_count; /* Repeats included. */
    uint32_t state_count; /* Entries of state, for the next flush to repeat. */
    uint32_t written;     /* Open: how much of `used` is with the kernel. */
    bool needs_durable;   /* Some entry needs stable storage. */
    bool is_due;          /* Goes at once. */
    uint64_t deadline_ns; /* Goes then at the latest. */
    struct io_transfer transfer;
};

/* An entry of state as the next flush repeats it. */
struct wal_repeat {
    struct wal_entry entry;
    uint8_t payload[WAL_STATE_PAYLOAD_BYTES_MAX];
};

/* What an append may take of the files that are ready. */
enum wal_class {
    WAL_CLASS_DATA,  /* Leaves two. */
    WAL_CLASS_STATE, /* Leaves one. */
    WAL_CLASS_MARK,  /* May take the last: it is what frees others. */
};

/* A sync of what was written without the durable flag, file by file. */
struct wal_sync {
    bool is_running;
    struct io_op op;
    uint64_t upto;         /* Everything written below it is durable when the round ends. */
    struct wal_file *file; /* In flight. */
};

enum wal_checkpoint_state {
    WAL_CHECKPOINT_NONE,
    WAL_CHECKPOINT_WRITING, /* The job has the image. */
    WAL_CHECKPOINT_MARKING, /* The file is durable; its mark is not in the journal yet. */
    WAL_CHECKPOINT_MARKED,  /* The mark is in the journal, and not yet durable. */
};

struct wal {
    /* What it was opened with. */
    struct io_loop *loop;
    struct io *io;
    char folder[PATH_BYTES_MAX];
    struct wal_options options; /* Defaults filled in; folder points to the copy. */
    struct wal_identity identity;

    /* State. */
    enum wal_state state;
    struct pyr_error reason; /* Of FAILED. */
    struct wal_counters counters;

    /* Files. */
    struct wal_files files;
    struct wal_file *active; /* Where the next flush goes, if it fits. */
    uint64_t run;
    bool is_reserve_taken; /* An entry of state took a reserved file: data wait till it is back. */
    bool is_prepare_due;   /* Fewer files may be ready than wanted. */
    bool is_disk_full;     /* The last try to make a file met a full disk. */
    bool is_preparing;
    struct io_job prepare_job;
    struct wal_prepare prepare;
    uint8_t *zeros; /* wal_zero_bytes() and one block behind. */

    /* Opening. */
    struct wal_twin twin;         /* The checkpoint as it was read, */
    struct bytes body;            /* its body, */
    uint64_t replay_durable_upto; /* and how far it knows the journal durable. */
    struct wal_replay replay;

    /* Flushes. */
    struct wal_link link; /* The end of the last closed flush. */
    uint64_t entries_end; /* The end of the last entry. */
    struct wal_flush *flushes;
    uint32_t flush_count;   /* gather_count, and the large one behind them. */
    uint8_t *gather_memory; /* Of all but the large one. */
    uint8_t *large_memory;
    struct wal_flush *free_first;
    struct wal_flush *large; /* For an entry that fits no other; NULL while it is in use. */
    struct wal_flush *order_first;
    struct wal_flush *order_last;
    struct wal_flush *queue_first;
    struct wal_flush *gathering;
    struct wal_flush *open; /* The open flush, or NULL. */
    uint32_t extent_bytes;  /* Its extent; the next one's is double. */
    uint64_t tail_end;      /* What positions report at the end of the last closed flush. */
    uint32_t in_flight;
    bool is_last_empty;         /* The last flush closed is an empty one. */
    struct wal_repeat *repeats; /* Two lists of WAL_STATE_ENTRIES_MAX. */
    uint32_t repeat_list;       /* Which one the gathering flush fills. */
    uint32_t repeat_count;      /* How many the flush before had. */

    /* Positions. */
    uint64_t written_position;
    uint64_t durable_position;
    uint64_t durable_wanted; /* Somebody waits for this much to be durable. */
    uint64_t unsynced_end; /* End of the last flush written without the flag; 0: all are synced. */
    struct wal_sync sync;

    /* Timers. */
    struct io_timer gather_timer;
    struct io_timer idle_timer;
    struct io_timer retry_timer;
    uint64_t gather_timer_ns; /* IO_TIME_NEVER: not running. */
    bool is_idle_timed;
    uint64_t idle_position; /* The tail that was seen durable, */
    uint64_t idle_from_ns;  /* and when. */
    bool is_clean_written;  /* Stopping: the last empty flush is on its way. */

    /* Checkpoint. */
    struct wal_checkpoint_work checkpoint;
    struct wal_link resume; /* Where replay would begin. */
    struct wal_link *landmarks;
    uint32_t landmark_count;
    uint32_t landmarks_max;
};

/* -- wal.c -- */

/** Look at everything and move what can be moved. Called after each append, completion and timer.
 */
void wal_pump(struct wal *wal);

/** Go to FAILED with @error (WAL-4), unless it is there already. */
void wal_fail(struct wal *wal, const struct pyr_error *error);

/** Take the edge to @state; asserts that it is in the table. */
void wal_state_set(struct wal *wal, enum wal_state state);

/** Set up the timers of a zeroed @wal. */
void wal_timers_init(struct wal *wal);

/* -- flush.c -- */

/** Copy @entry into the gathering flush, opening one if need be; errors as wal_append(). */
MUST_CHECK enum pyr_err wal_flush_append(struct wal *wal,
                                         const struct wal_entry *entry,
                                         enum wal_class class,
                                         uint64_t *ret_position,
                                         struct pyr_error *reterr);

/** Close the gathering flush: write its header and queue it. */
void wal_flush_close(struct wal *wal);

/** Queue an empty flush with @flags; return false if there is no place for it. */
bool wal_flush_empty(struct wal *wal, uint16_t flags);

/** Take a buffer and a place for a flush whose first entry takes @entry_bytes, whatever gathers or
 * is open being closed; it is the last of the order, with its repeats in it. If @extent_bytes is
 * not 0, header.bytes is set to that much, as far as it fits. Errors as wal_append(). */
MUST_CHECK enum pyr_err wal_flush_begin(struct wal *wal,
                                        uint64_t entry_bytes,
                                        uint32_t extent_bytes,
                                        enum wal_class class,
                                        struct wal_flush **ret_flush,
                                        struct pyr_error *reterr);

/** Take what is written from the front of the order, and move the positions. */
void wal_flush_retire(struct wal *wal);

/** Hand over queued flushes, and the gathering one if it should go, while `depth` allows. */
void wal_flush_submit(struct wal *wal);

/** Fail the journal: @what was done to @file ended with the errno value @error. */
void wal_flush_fail(struct wal *wal, const struct wal_file *file, const char *what, int error);

/* -- sync.c -- */

/** Begin a sync round if one is wanted and none runs. */
void wal_flush_sync(struct wal *wal);

/* -- handover.c -- */

/** Write @entry into the open flush, beginning one if need be; it is with the kernel on return.
 * Errors as wal_append(); a failed write fails the journal. Blocks on the page cache. */
MUST_CHECK enum pyr_err wal_handover_append(struct wal *wal,
                                            const struct wal_entry *entry,
                                            uint64_t *ret_position,
                                            struct pyr_error *reterr);

/** Close the open flush. */
void wal_handover_close(struct wal *wal);

/** Report what of the open flush is written, if nothing before it is still on its way. */
void wal_handover_progress(struct wal *wal);

/* -- checkpoint.c -- */

/** Remember the current link as a place where a replay can begin, if the last is far enough. */
void wal_landmark_add(struct wal *wal, const struct wal_link *link);

/** Move the running checkpoint on: append its mark, or free files once that is durable (WAL-5). */
void wal_checkpoint_advance(struct wal *wal);

#endif /* WAL_JOURNAL_H */
