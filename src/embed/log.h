/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/log - an open log: the batch that gathers, and what its policy asks.
 *
 * Records that are appended while the journal is busy gather in one batch, built in place at the
 * tail of the write cache. It is sealed, that is, given its checksum, offsets and journal entry,
 * when the journal can take a flush (policy always), when its time or its room is up (batch, os),
 * or when someone asks for a sync. Under `always` an append that was started and that nobody waits
 * for lingers a moment even beside an idle journal: a program that starts many before it waits gets
 * one flush for all of them, not one for the first and one for the rest. An append of several
 * records is a batch of its own, since a crash keeps all of it or nothing.
 *
 *      log end                  next offset
 *        |  record  record  record  |
 *        +------ gathering ---------+   offsets are promised here, and kept: a gathering batch is
 * never dropped while anyone was told an offset of it
 *
 * Invariants:
 *   EMB-4  an offset that was handed out is used for that record or for none
 *   EMB-6  a read that begins after an append was acknowledged sees it
 *
 * Threads: with the store's lock.   Memory: the room is the write cache's.
 */
#ifndef EMBED_LOG_H
#define EMBED_LOG_H

#include "embed/pack.h"
#include "embed/store.h"
#include "record/builder.h"

struct pyr_log {
    struct pyr_store *store;
    struct partition *partition;
    struct pyr_log_options options;
    bool owns_store;

    /* The batch that gathers. */
    struct builder builder;
    struct packer packer;
    bool has_room;  /* Room is reserved and the builder begun. */
    bool is_sealed; /* It is sealed, and waits for the journal to take it. */
    size_t sealed_bytes;
    enum pyr_err seal_err; /* What the journal said to it last. */
    bool has_promised;     /* Someone went off with an offset of it: it is never dropped. EMB-4 */
    bool is_listed;        /* It stands in the store's list of gathering logs. */
    struct pyr_log *next;  /* In that list. */
    uint64_t gathered_since_ns;
};

/** Write the name of the log @topic-@partition to @ret_name, which has LOG_NAME_BYTES_MAX bytes.
 * PYR_ERR_INVALID if it is too long. */
MUST_CHECK enum pyr_err log_name_put(const char *topic,
                                     uint32_t partition,
                                     char *ret_name,
                                     struct pyr_error *reterr);

/** Return one past the last offset handed out. With the lock. */
int64_t log_offset_next(const struct pyr_log *log);

/**
 * Seal what gathers in @log and give it to the journal. With the lock.
 *
 * PYR_ERR_BUSY or PYR_ERR_DISK_FULL: it stays as it is and is tried again; PYR_ERR_FAILED.
 */
MUST_CHECK enum pyr_err log_seal(struct pyr_log *log, struct pyr_error *reterr);

/** Wait until everything below @offset_end has what the log's policy promises. The lock is held by
 * the caller, and given back before the return. Errors as store_wait_unlock, with text. */
enum pyr_err log_wait_promise_unlock(struct pyr_log *log,
                                     int64_t offset_end,
                                     uint64_t deadline_ns,
                                     struct pyr_error *reterr);

/** Drop what gathers in @log, which has failed. With the lock. */
void log_drop(struct pyr_log *log);

/** Drop the batches that the journal refuses for want of space, where all who appended to them
 * still wait: they are told. With the lock; the waiters are looked at before it is given back. */
void log_refuse_full(struct pyr_store *store);

/** Return whether the journal refuses the batch that @log has sealed, for want of space. With the
 * lock. */
bool log_is_refused_full(const struct pyr_log *log);

/**
 * Let readers see what was acknowledged (EMB-6): seal what gathers in @log, unless its policy waits
 * for the disk. Where the journal has no room it stays unseen until it has. With the lock.
 */
void log_show(struct pyr_log *log);

/* What asks for a round of sealing. */
enum seal_round {
    SEAL_ROUND_DUE,    /* A turn of the wheel: what is due goes; what nobody waits for lingers. */
    SEAL_ROUND_WAITED, /* Somebody is about to wait: nothing lingers. */
    SEAL_ROUND_ALL,    /* A sync: everything goes, due or not. */
};

/** Seal the logs of @store whose turn it is in a round of kind @round, and kick the journal. With
 * the lock. */
void log_seal_ready(struct pyr_store *store, enum seal_round round);

#endif /* EMBED_LOG_H */
