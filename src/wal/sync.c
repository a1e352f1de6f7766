/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/sync - making durable what was written without the durable flag.
 *
 * The flag of a later write does not cover an earlier one, so behind a plain flush a sync is needed
 * before any position moves:
 *
 *   order        F1 plain     F2 durable     F3 durable            unsynced_end = end of F1
 *                written      written        written               written_position = end of F3
 *                                                                  durable_position = begin of F1
 *   sync round of all files with plain writes done                 durable_position = end of F3
 *
 * If F4, plain, was retired while the round ran, only what lies below its upto is known durable.
 *
 * Failure modes: error of a sync -> wal_fail; it is never tried again (WAL-4)
 *
 * Threads: the journal's owner; completions arrive inside io_loop_dispatch().
 */
#include "base/assert.h"
#include "base/mutant.h"
#include "wal/journal.h"

/* Return the file with the lowest generation that this round has still to sync, or NULL. */
static struct wal_file *sync_next(struct wal *wal)
{
    ASSERT(wal->files.count > 0);
    ASSERT(!wal->open || wal->open->written <= wal->open->used);

    struct wal_file *found = NULL;
    for (uint32_t index = 0; index < wal->files.count; index++) {
        struct wal_file *file = &wal->files.rows[index];
        bool is_lower = file->is_sync_due && (!found || file->generation < found->generation);
        found = is_lower ? file : found;
    }
    return found;
}

/* Nothing of the round is left: what was written below its upto is durable. */
static void sync_end(struct wal *wal)
{
    ASSERT(wal->sync.is_running);
    ASSERT(wal->sync.upto <= wal->written_position);

    wal->sync.is_running = false;
    uint64_t position = wal->sync.upto;
    if (wal->unsynced_end == wal->sync.upto) {
        wal->unsynced_end = 0;
        position = wal->written_position; /* What follows was written with the durable flag. */
    }
    wal->durable_position =
        position > wal->durable_position ? position : wal->durable_position; /* WAL-1 */
}

static void sync_complete(struct io_op *op);

static void sync_start(struct wal *wal, struct wal_file *file)
{
    ASSERT(file->file);
    ASSERT(wal->sync.is_running);

    file->is_sync_due = false;
    wal->sync.file = file;
    wal->sync.op = (struct io_op){
        .kind = IO_OP_SYNC,
        .file = file->file,
        .complete = sync_complete,
        .ctx = wal,
    };
    wal->counters.syncs++;
    io_submit(wal->loop, &wal->sync.op);
}

static void sync_complete(struct io_op *op)
{
    struct wal *wal = op->ctx;
    ASSERT(op->kind == IO_OP_SYNC);
    ASSERT(wal->sync.is_running);

    if (wal->state == WAL_STATE_FAILED) {
        wal->sync.is_running = false;
        return; /* WAL-4 */
    }
    if (op->error != 0 && MUTANT(retry_failed_sync)) {
        sync_start(wal, wal->sync.file);
        return;
    }
    if (op->error != 0) {
        wal->sync.is_running = false;
        wal_flush_fail(wal, wal->sync.file, "sync", op->error);
        return;
    }
    struct wal_file *next = sync_next(wal);
    if (next) {
        sync_start(wal, next);
        return;
    }
    sync_end(wal);
    wal_pump(wal);
}

void wal_flush_sync(struct wal *wal)
{
    ASSERT(wal->unsynced_end <= wal->written_position);

    bool is_wanted = wal->unsynced_end > wal->durable_position &&
                     wal->durable_wanted > wal->durable_position && !wal->sync.is_running;
    if (!is_wanted) {
        return;
    }
    if (wal->open) {
        /* WAL-2: what comes after the sync must not share a block with what it made durable. */
        wal_handover_close(wal);
    }
    /* Only what has been retired is certainly written; the round covers no more. */
    for (uint32_t index = 0; index < wal->files.count; index++) {
        struct wal_file *file = &wal->files.rows[index];
        file->is_sync_due = file->is_unsynced;
        file->is_unsynced = false;
    }
    struct wal_file *first = sync_next(wal);
    ASSERT(first);
    wal->sync.is_running = true;
    wal->sync.upto = wal->unsynced_end;
    sync_start(wal, first);
}
