/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/recovery - what a start does with checkpoint, segments and journal.
 *
 *     1. the checkpoint's rows: each log is opened in its folder and held against its claim, which
 * says how far its synced segments reach; what lies beyond is cut, because the journal brings it
 * again. Several are opened side by side, and so are the empty folders of step 3 (opening.h)
 *     2. the journal, in its order: each append is held against the log's end
 *            offset == end                  it goes into the cache, as if appended now
 *            offset <  end, same epoch      the claim covers it already: skipped
 *            offset <  end, higher epoch    it replaces the tail: the log is cut back first
 *            offset >  end                  a hole: corruption, nothing is guessed
 *     In a replicated log nothing that segments hold gives way (PAR-9), so there an append below
 * the end, or of an epoch below the last batch's, is of what was cut or stands already, and a cut
 *     goes no deeper than the segments.
 *        and so is its running number, which follows the one before or is covered by the checkpoint
 *     3. folders that neither rows nor journal know: a log made in the moment of the crash is empty
 * and is taken; anything that holds batches goes to quarantine (FLD-3)
 *     4. the run number is raised, appends are taken
 *
 * Work is proportional to what was not checkpointed: a claim is checked by its last points, not by
 * reading the log.
 *
 * When you change what an append leaves behind (append.c), also change step 2.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "partition/opening.h"
#include "record/batch.h"

/* -- The cache -- */

/* Put the batch of @entry into the cache, writing others to their segments if it is full. */
static enum pyr_err recover_cache(struct partition *partition,
                                  const struct wal_entry *entry,
                                  struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(entry->epoch >= 0);

    struct shard *shard = partition->shard;
    struct bytes batch = entry->parts[0];
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    uint8_t *room =
        cache_reserve(&shard->cache, &partition->cached, batch.count, &room_bytes, &err);
    while (!room && err == PYR_ERR_BUSY && shard->dirty_first) {
        enum pyr_err flush_err = flush_now(shard, shard->dirty_first, reterr);
        if (flush_err != PYR_OK) {
            return flush_err;
        }
        room = cache_reserve(&shard->cache, &partition->cached, batch.count, &room_bytes, &err);
    }
    while (!room && err == PYR_ERR_BUSY && shard->cache.bytes_max < UINT64_MAX / 2) {
        /* What is left may not be written yet (PAR-9), and has to be kept: a cache that was larger
         * before the start, or whose notes of commits came late, was no promise. */
        shard->cache.bytes_max += batch.count + CACHE_CHUNK_BYTES_MIN;
        room = cache_reserve(&shard->cache, &partition->cached, batch.count, &room_bytes, &err);
    }
    if (!room) {
        return err_set(reterr, err, "log '%s': no memory for the journal's appends",
                       partition->name);
    }
    struct batch_header header;
    err = batch_header_read(batch, &header, reterr);
    ASSERT(err == PYR_OK); /* recovery_verify has accepted it. */
    memcpy(room, batch.data, batch.count);
    cache_commit(&shard->cache, &partition->cached, batch.count, header.base_offset,
                 batch_offset_end(&header));
    partition->offset_end = batch_offset_end(&header);
    if (!partition->is_replicated) {
        shard_dirty(shard, partition);
    }
    partition->epoch_last = header.epoch;
    int64_t clock_ms = 0;
    if (clock_read(batch, &header, &clock_ms) && clock_ms > partition->clock_ms) {
        partition->clock_ms = clock_ms;
    }
    return PYR_OK;
}

/* Put what the checkpoint's row has beyond the segments, @batches, into the cache. */
static enum pyr_err recover_cached(struct partition *partition,
                                   struct bytes batches,
                                   struct pyr_error *reterr)
{
    ASSERT(batches.count == 0 || partition->is_replicated);
    ASSERT(partition->offset_written <= partition->offset_end);

    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && batches.count > 0) {
        struct batch_header header;
        err = batch_header_read(batches, &header, reterr);
        if (err != PYR_OK || header.base_offset != partition->offset_end) {
            return err_set(reterr, PYR_ERR_CORRUPT,
                           "the checkpoint's row of log '%s' has no batch at offset %" PRId64,
                           partition->name, partition->offset_end);
        }
        const struct wal_entry entry = {.kind = WAL_ENTRY_APPEND,
                                        .offset = header.base_offset,
                                        .epoch = header.epoch,
                                        .parts = {{batches.data, header.bytes}}};
        err = recover_cache(partition, &entry, reterr);
        batches = (struct bytes){batches.data + header.bytes, batches.count - header.bytes};
    }
    return err;
}

/* -- Step 1: the checkpoint -- */

/* Refuse a row of another shard's, which would give one log two journals. */
static enum pyr_err row_check(const struct shard *shard,
                              const struct log_state *state,
                              struct pyr_error *reterr)
{
    ASSERT(state->offset_start <= state->offset_end);

    uint32_t owner = folder_shard_of(state->name, shard->folder->shards);
    if (owner != shard->options.index) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "the checkpoint of shard %" PRIu32 " names log '%s', which is shard %" PRIu32
                       "'s",
                       shard->options.index, state->name, owner); /* RSH-3 */
    }
    return PYR_OK;
}

static enum pyr_err row_take(struct openings *openings,
                             struct opening *opening,
                             struct pyr_error *reterr)
{
    ASSERT(opening->shard == openings->shard);

    struct partition *partition = opening->partition;
    enum pyr_err err = opening_take(opening, openings->report, reterr);
    return err == PYR_OK ? recover_cached(partition, opening->state.cached, reterr) : err;
}

/* Open the logs of the rows of @body, @count from @position on. */
static enum pyr_err rows_open(struct openings *openings,
                              struct bytes body,
                              uint32_t count,
                              struct pyr_error *reterr)
{
    ASSERT(openings->shard->partition_count == 0);
    ASSERT(openings->report);
    ASSERT(body.count > 0);

    struct shard *shard = openings->shard;
    size_t position = state_header_bytes();
    enum pyr_err err = PYR_OK;
    for (uint32_t index = 0; index < count; index++) {
        struct log_state state;
        err = state_row_get(body, &position, &state, reterr);
        if (err == PYR_OK) {
            err = row_check(shard, &state, reterr);
        }
        if (err != PYR_OK) {
            return err;
        }
        if (deleted_has(shard, &state.id)) {
            continue; /* DEL-1 */
        }
        struct opening *opening = openings_next(openings);
        if (!opening) {
            return PYR_OK; /* openings_end says why. */
        }
        opening->state = state;
        openings_start(openings);
    }
    return PYR_OK;
}

static enum pyr_err recover_rows(struct shard *shard,
                                 struct shard_report *report,
                                 struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(report);

    struct bytes body = wal_checkpoint_body(shard->wal);
    if (body.count == 0) {
        return PYR_OK;
    }
    uint32_t count = 0;
    struct openings openings = {.shard = shard, .report = report, .take = row_take};
    enum pyr_err err = state_header_get(body, &count, reterr);
    if (err == PYR_OK) {
        err = openings_begin(&openings, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    err = rows_open(&openings, body, count, reterr);
    enum pyr_err end_err = openings_end(&openings, reterr);
    err = end_err != PYR_OK ? end_err : err; /* It was met first. */
    /* A log that is not there was there when the row was written. */
    bool is_broken = err == PYR_ERR_NOT_FOUND || err == PYR_ERR_EXISTS;
    return is_broken ? err_recode(reterr, PYR_ERR_CORRUPT) : err;
}

/* -- Step 2: the journal -- */

bool recovery_verify(void *ctx, const struct wal_replay_entry *entry)
{
    ASSERT(entry->position < entry->position_end);

    (void)ctx;
    struct bytes batch = entry->entry.parts[0];
    struct batch_header header;
    if (batch_header_read(batch, &header, NULL) != PYR_OK || header.bytes != batch.count) {
        return false;
    }
    return batch_verify(batch, &header, NULL) == PYR_OK;
}

/* Find the log of a journal entry, in the shard or among the folders that no row names. */
static enum pyr_err recover_log(struct shard *shard,
                                const struct wal_replay_entry *entry,
                                struct shard_report *report,
                                struct partition **ret_partition,
                                struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(entry->position < entry->position_end);
    ASSERT(report);

    struct partition *partition = logs_find(shard, &entry->entry.log);
    if (partition || deleted_has(shard, &entry->entry.log)) { /* DEL-1 */
        *ret_partition = partition;
        return PYR_OK;
    }
    for (size_t index = 0; index < shard->strangers.count; index++) {
        struct shard_stranger *stranger = &shard->strangers.rows[index];
        if (!stranger->is_known && log_id_equal(&stranger->id, &entry->entry.log)) {
            return strangers_add(shard, stranger, report, ret_partition, reterr);
        }
    }
    char text[2 * LOG_ID_BYTES + 1];
    for (size_t index = 0; index < LOG_ID_BYTES; index++) {
        (void)snprintf(text + 2 * index, 3, "%02x", entry->entry.log.value[index]);
    }
    return err_set(
        reterr, PYR_ERR_CORRUPT,
        "the journal holds entries of log %s, whose folder is missing in '%s'; restore it, or "
        "run 'pyralog log repair'",
        text, shard->folder->path);
}

/* Cut @partition back to @offset, in cache and segments. */
static enum pyr_err recover_truncate(struct partition *partition,
                                     int64_t offset,
                                     struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);

    if (offset >= partition->offset_end) {
        return PYR_OK;
    }
    struct shard *shard = partition->shard;
    if (partition->is_replicated) {
        bool is_below = offset < partition->offset_committed; /* It was cut before that was. */
        truncate_cache(partition, is_below ? partition->offset_committed : offset);
        return PYR_OK;
    }
    enum pyr_err err = flush_now(shard, partition, reterr);
    if (err != PYR_OK) {
        return err;
    }
    cache_clear(&shard->cache, &partition->cached);
    struct segment_truncate job;
    err = segment_truncate_plan(partition->segments, &job, offset, reterr);
    if (err == PYR_OK) {
        segment_truncate_run(&job);
        err = segment_truncate_apply(partition->segments, &job, reterr);
    }
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s': cut to offset %" PRId64, partition->name, offset);
        return err;
    }
    partition->offset_end = offset;
    partition->offset_written = offset;
    partition->offset_synced = segment_log_synced(partition->segments).offset;
    partition->epoch_last = segment_log_end(partition->segments).epoch;
    return PYR_OK;
}

/* Hold the running number of @entry against the one before (PAR-5). Those up to the checkpoint's
 * may have gaps: what a policy left to the kernel may be lost in a crash although segments have it,
 * and numbers go on behind the checkpoint's then. */
static enum pyr_err recover_number(struct partition *partition,
                                   const struct wal_entry *entry,
                                   struct pyr_error *reterr)
{
    ASSERT(partition->entry_seen <= partition->entry_number);

    bool is_next = entry->number == partition->entry_number + 1;
    bool is_covered =
        entry->number > partition->entry_seen && entry->number <= partition->entry_number;
    if (!is_next && !is_covered && !MUTANT(entry_gap_accepted)) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "log '%s': the journal gives entry %" PRIu64 " behind entry %" PRIu64
                       "; 'pyralog log verify' says what is there",
                       partition->name, entry->number,
                       entry->number > partition->entry_number ? partition->entry_number
                                                               : partition->entry_seen);
    }
    partition->entry_seen = entry->number;
    if (entry->number > partition->entry_number) {
        partition->entry_number = entry->number;
    }
    return PYR_OK;
}

static enum pyr_err recover_append(struct partition *partition,
                                   const struct wal_entry *entry,
                                   struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(entry->epoch >= 0);

    bool is_past = partition->is_replicated &&
                   (entry->offset < partition->offset_end || entry->epoch < partition->epoch_last);
    if (is_past) {
        return PYR_OK;
    }
    if (entry->offset > partition->offset_end) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "log '%s': the journal goes on at offset %" PRId64
                       ", but the log ends at %" PRId64,
                       partition->name, entry->offset, partition->offset_end);
    }
    if (entry->offset < partition->offset_end) {
        struct segment_end end = segment_log_end(partition->segments);
        if (entry->epoch <= end.epoch || entry->epoch <= partition->epoch_replayed) {
            return PYR_OK; /* The claim covers it. */
        }
        enum pyr_err err = recover_truncate(partition, entry->offset, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    partition->epoch_replayed = entry->epoch;
    return recover_cache(partition, entry, reterr);
}

/* Take from @entry how far its replicated log was committed when it was journalled. */
static void recover_commit(struct partition *partition, const struct wal_entry *entry)
{
    ASSERT(partition->offset_committed <= partition->offset_end || !partition->is_replicated);
    ASSERT(partition->offset_written <= partition->offset_end);

    partition->is_replicated |= entry->commit_lag > 0;
    if (!partition->is_replicated) {
        return;
    }
    int64_t committed = wal_entry_commit(entry);
    committed = committed < partition->offset_end ? committed : partition->offset_end;
    if (committed > partition->offset_committed) {
        partition->offset_committed = committed;
        shard_dirty(partition->shard, partition);
    }
}

/* Return the records of the batch that @entry carries. */
static uint64_t entry_records(const struct wal_entry *entry)
{
    ASSERT(entry->epoch >= 0);

    struct batch_header header;
    enum pyr_err err = batch_header_read(entry->parts[0], &header, NULL);
    ASSERT(err == PYR_OK); /* recovery_verify has accepted it. */
    return (uint64_t)header.record_count;
}

static enum pyr_err recover_entry(struct shard *shard,
                                  const struct wal_replay_entry *entry,
                                  struct shard_report *report,
                                  struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(entry->position < entry->position_end);
    ASSERT(report);

    struct partition *partition = NULL;
    enum pyr_err err = PYR_OK;
    if (entry->entry.kind != WAL_ENTRY_CHECKPOINT) {
        err = recover_log(shard, entry, report, &partition, reterr);
    }
    if (err != PYR_OK || !partition) {
        return err;
    }
    err = recover_number(partition, &entry->entry, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (entry->entry.epoch > partition->epoch) {
        partition->epoch = entry->entry.epoch;
    }
    if (partition->is_replicated && entry->entry.number <= partition->entry_claimed &&
        !MUTANT(covered_entries_replayed)) {
        return PYR_OK; /* What was cut since must not be appended, nor what came since be cut. */
    }
    recover_commit(partition, &entry->entry);
    switch (entry->entry.kind) {
    case WAL_ENTRY_APPEND:
        report->batches++;
        report->records += entry_records(&entry->entry);
        return recover_append(partition, &entry->entry, reterr);
    case WAL_ENTRY_TRUNCATE:
        return recover_truncate(partition, entry->entry.offset, reterr);
    case WAL_ENTRY_APPEND_INDIRECT:
        return err_set(reterr, PYR_ERR_UNSUPPORTED, "the journal holds an indirect append");
    case WAL_ENTRY_PROMISE:
    case WAL_ENTRY_COMMIT: /* recover_commit took it. */
    case WAL_ENTRY_CHECKPOINT:
        break;
    }
    return PYR_OK;
}

/* Leave room in a cache that the start has made larger: who leads a log has to append to it before
 * anything in it can be committed, and so leave. */
static void cache_settle(struct shard *shard)
{
    uint64_t bytes_max = shard->options.cache_bytes_max;
    ASSERT(shard->cache.bytes_max >= bytes_max);
    ASSERT(shard->cache.bytes_unwritten <= shard->cache.bytes);

    if (shard->cache.bytes_max > bytes_max) {
        shard->cache.bytes_max = shard->cache.bytes + bytes_max;
    }
}

static enum pyr_err recover_journal(struct shard *shard,
                                    struct shard_report *report,
                                    struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(report);

    const struct wal_replay_entry *entry = NULL;
    enum pyr_err err = wal_replay_next(shard->wal, &entry, reterr);
    while (err == PYR_OK && entry) {
        shard->position_end = entry->position_end;
        err = recover_entry(shard, entry, report, reterr);
        if (err == PYR_ERR_CORRUPT) {
            char path[PATH_BYTES_MAX];
            int64_t position = wal_replay_where(shard->wal, entry, path);
            err_wrap(reterr, "'%s' at position %" PRId64, path, position);
        }
        if (err == PYR_OK) {
            err = wal_replay_next(shard->wal, &entry, reterr);
        }
    }
    if (err != PYR_OK) {
        return err;
    }
    struct wal_replay_report found;
    wal_replay_report(shard->wal, &found);
    report->bytes_scanned += found.bytes_scanned;
    report->bytes_cut += found.bytes_cut;
    report->was_clean = found.was_clean;
    if (found.cut_reason[0] != '\0') {
        memcpy(report->cut_reason, found.cut_reason, sizeof report->cut_reason);
    }
    for (struct deleted *at = shard->deleted; at; at = at->next) {
        at->position = shard->position_end; /* DEL-2 */
    }
    cache_settle(shard);
    for (struct partition *at = shard->partitions; at; at = at->next) {
        at->offset_durable = at->offset_end;
        at->offset_committed = at->is_replicated ? at->offset_committed : at->offset_end;
        at->epoch_durable = at->epoch;
    }
    return PYR_OK;
}

enum pyr_err recovery_run(struct shard *shard,
                          struct shard_report *report,
                          struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(report);
    ASSERT(shard->partition_count == 0);

    enum pyr_err err = deleted_find(shard, report, reterr);
    if (err == PYR_OK) {
        err = recover_rows(shard, report, reterr);
    }
    if (err == PYR_OK) {
        err = strangers_find(shard, report, reterr);
    }
    if (err == PYR_OK) {
        err = recover_journal(shard, report, reterr);
    }
    if (err == PYR_OK) {
        err = strangers_settle(shard, report, reterr);
    }
    return err;
}
