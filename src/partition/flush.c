/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/flush - from the cache to the segments, in big writes.
 *
 * A log with unwritten bytes stands in the shard's dirty list, oldest first. It is written when the
 * oldest byte has been there for the buffer time, when enough has gathered for a good write, when
 * someone waits for room, or when a checkpoint wants it. A good write waits while appends go on and
 * the cache has room: nobody waits for it, but for the journal, and the two share one device. What
 * is written stays in the cache for readers until its memory is needed.
 *
 *      dirty list:   [oldest] [..] [..]        (dirty.c)
 *                       |
 *                       v   a free slot
 *                    WORK_APPEND --apply--> written; WORK_SYNC if the checkpoint waits for it;
 *                                           WORK_PREPARE if the next segment's file is wanted
 *
 * A full disk is not the end: what is in memory and journal stays there, appends are refused, and
 * the write is tried again by a timer. Any other failure is (SEG-6, SHD: FAILED).
 */
#include <stdio.h>

#include "base/assert.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

void shard_flush_urge(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    shard->is_flush_urged = true;
}

/* Waking is all the timer is for: the step after the dispatch looks at what is due. */
static void flush_timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

void shard_flush_timer(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    uint64_t deadline_ns = IO_TIME_NEVER;
    if (shard->dirty_first) {
        deadline_ns = shard->dirty_first->dirty_since_ns + shard->options.buffer_time_ns;
        uint64_t quiet_ns = shard->appended_ns + FLUSH_QUIET_NS;
        bool is_sooner = shard->dirty_first->is_large && quiet_ns < deadline_ns;
        deadline_ns = is_sooner ? quiet_ns : deadline_ns;
    }
    if (shard->is_disk_full) {
        deadline_ns = shard->disk_retry_ns; /* Nothing is written before, however old it is. */
    }
    shard->flush_timer.fire = flush_timer_fire;
    if (deadline_ns == IO_TIME_NEVER) {
        io_timer_stop(shard->loop, &shard->flush_timer);
        return;
    }
    io_timer_start(shard->loop, &shard->flush_timer, deadline_ns);
}

/* -- One append -- */

/* Return how many of the first bytes of @span are whole batches of at most @bytes_max together, or
 * the first batch, if that is larger. */
static size_t batches_within(struct bytes span, size_t bytes_max)
{
    ASSERT(span.count > 0);

    size_t bytes = 0;
    while (bytes < span.count) {
        struct batch_header header;
        struct bytes rest = {span.data + bytes, span.count - bytes};
        enum pyr_err err = batch_header_read(rest, &header, NULL);
        ASSERT(err == PYR_OK);
        if (bytes > 0 && bytes + header.bytes > bytes_max) {
            break;
        }
        bytes += header.bytes;
    }
    return bytes;
}

int64_t flush_end(const struct partition *partition)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(partition->offset_committed <= partition->offset_end);

    return partition->is_replicated ? partition->offset_committed : partition->offset_end;
}

/* Return the unwritten batches of @chunk that may be written. */
static struct bytes span_of(const struct partition *partition, const struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);
    ASSERT(chunk->log == &partition->cached);

    int64_t end = flush_end(partition);
    size_t bytes_end = chunk->bytes_used;
    if (chunk->offset_end > end) {
        /* The first unwritten chunk is written up to the log's line, those behind it not at all. */
        int64_t first = chunk->bytes_written > 0 ? partition->offset_written : chunk->offset_first;
        struct cache_place place = {chunk->serial, chunk->bytes_written, first};
        if (first < end) {
            (void)cache_chunk_part(chunk, first, end, &place);
        }
        bytes_end = place.position;
    }
    ASSERT(bytes_end >= chunk->bytes_written); /* PAR-9 */
    return (struct bytes){chunk->data + chunk->bytes_written, bytes_end - chunk->bytes_written};
}

/* Take references of the unwritten pieces, up to what one write takes. */
static void parts_take(struct partition *partition, struct work_parts *parts)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(parts->count <= FLUSH_PARTS_MAX);

    size_t bytes = 0;
    /* On a full disk in small pieces: where there is room for one, it goes on. */
    size_t bytes_max = partition->shard->is_disk_full ? FLUSH_BYTES_TARGET : FLUSH_BYTES_MAX;
    parts->count = 0;
    struct cache_chunk *chunk = cache_unwritten(&partition->cached);
    while (chunk && parts->count < FLUSH_PARTS_MAX && bytes < bytes_max) {
        struct bytes span = span_of(partition, chunk);
        if (span.count > bytes_max - bytes) {
            span.count = batches_within(span, bytes_max - bytes);
        }
        if (parts->count > 0 && span.count > bytes_max - bytes) {
            break; /* A single batch, too large for the rest of this write. */
        }
        if (span.count > 0) {
            cache_chunk_acquire(chunk);
            parts->chunks[parts->count] = chunk;
            parts->spans[parts->count] = span;
            parts->count++;
            bytes += span.count;
        }
        bool is_whole = span.data + span.count == chunk->data + chunk->bytes_used;
        chunk = is_whole ? chunk->next : NULL;
    }
    ASSERT(parts->count > 0);
}

static void parts_release(struct work_parts *parts)
{
    ASSERT(parts->count <= FLUSH_PARTS_MAX);

    for (size_t index = 0; index < parts->count; index++) {
        cache_chunk_release(parts->chunks[index]);
    }
    parts->count = 0;
}

/* What has no memory now is tried again by a step, and somebody has to make one. */
static void plan_refused(struct shard *shard, enum pyr_err err, const struct pyr_error *error)
{
    ASSERT(err != PYR_OK);
    ASSERT(error);

    if (err == PYR_ERR_NO_MEMORY) {
        shard->wants_look = true;
    } else if (err != PYR_ERR_BUSY) {
        shard_fail(shard, error);
    }
}

bool flush_plan_append(struct partition *partition, struct work *work)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    if (partition->works[WORK_APPEND] || partition->offset_written == flush_end(partition)) {
        return false;
    }
    parts_take(partition, &work->parts);
    struct pyr_error error;
    enum pyr_err err = segment_append_plan(partition->segments, &work->as.append, work->parts.spans,
                                           work->parts.count, partition->clock_ms, &error);
    if (err != PYR_OK) {
        parts_release(&work->parts);
        plan_refused(partition->shard, err, &error);
        return false;
    }
    work->kind = WORK_APPEND;
    work->partition = partition;
    partition->works[WORK_APPEND] = true;
    return true;
}

bool flush_plan_sync(struct partition *partition, struct work *work)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    if (partition->works[WORK_SYNC] || partition->offset_synced == partition->offset_written) {
        return false;
    }
    struct pyr_error error;
    enum pyr_err err = segment_sync_plan(partition->segments, &work->as.sync, &error);
    if (err != PYR_OK) {
        plan_refused(partition->shard, err, &error);
        if (err == PYR_ERR_NO_MEMORY) {
            shard_checkpoint_request(partition->shard); /* It syncs all, and is tried again. */
        }
        return false;
    }
    work->kind = WORK_SYNC;
    work->partition = partition;
    partition->works[WORK_SYNC] = true;
    return true;
}

static bool flush_plan_prepare(struct partition *partition, struct work *work)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    if (partition->works[WORK_PREPARE] ||
        !segment_prepare_plan(partition->segments, &work->as.prepare)) {
        return false;
    }
    work->kind = WORK_PREPARE;
    work->partition = partition;
    partition->works[WORK_PREPARE] = true;
    return true;
}

/* -- Applying -- */

void shard_disk_full(struct shard *shard, const struct pyr_error *error)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(error);

    shard->disk_full_ns = shard->is_disk_full ? shard->disk_full_ns : io_now_mono_ns(shard->io);
    shard->is_disk_full = true;
    wal_set_frugal(shard->wal, true); /* What is freed is for the segments: they free journal. */
    shard->disk_retry_ns = io_now_mono_ns(shard->io) + DISK_FULL_RETRY_NS;
    (void)snprintf(shard->disk_full_reason, sizeof shard->disk_full_reason, "%s", error->message);
    shard->progress++;
    shard_flush_timer(shard);
}

void shard_disk_has_room(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->is_disk_full) {
        shard->is_disk_full = false;
        wal_set_frugal(shard->wal, false);
    }
}

static void append_apply(struct partition *partition, struct work *work)
{
    ASSERT(work->kind < WORK_KINDS);

    struct shard *shard = partition->shard;
    struct pyr_error error;
    uint64_t bytes = work->as.append.bytes_taken;
    bool is_cut = work->as.append.is_full; /* It ended with the segment. */
    enum pyr_err err = segment_append_apply(partition->segments, &work->as.append, &error);
    parts_release(&work->parts);
    if (err == PYR_ERR_DISK_FULL) {
        shard_disk_full(shard, &error);
        return;
    }
    if (err == PYR_ERR_NO_MEMORY) {
        shard->wants_look = true; /* Still dirty: tried again at the next step. */
        return;
    }
    if (err != PYR_OK) {
        shard_fail(shard, &error);
        return;
    }

    cache_written(&shard->cache, &partition->cached, (size_t)bytes);
    partition->offset_written = segment_log_end(partition->segments).offset;
    ASSERT(partition->offset_written <= flush_end(partition)); /* PAR-1, PAR-9 */
    partition->is_large = partition->cached.bytes_unwritten >= FLUSH_BYTES_TARGET;
    partition->goes_on = false;
    dirty_unlink(partition);
    if (partition->offset_written < flush_end(partition)) {
        /* What the segment had no room for is as old as before, and goes on at once. */
        partition->dirty_since_ns = is_cut ? partition->dirty_since_ns : io_now_mono_ns(shard->io);
        /* In front of older ones, whose turn nobody sees before this is written. */
        partition->goes_on = is_cut;
        dirty_link(partition, is_cut || partition->is_large);
    }
    shard_disk_has_room(shard);
    partition_commit_written(partition);
    if (partition->is_replicated) {
        commit_note(partition);
    }
    shard->progress++;
    shard_flush_timer(shard);
}

static void sync_apply(struct partition *partition, struct work *work)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    struct pyr_error error;
    struct shard *shard = partition->shard;
    enum pyr_err err = segment_sync_apply(partition->segments, &work->as.sync, &error);
    if (err == PYR_ERR_DISK_FULL || err == PYR_ERR_NO_MEMORY) {
        /* What goes before the sync found no room; nothing was lost. A checkpoint tries again. */
        shard_checkpoint_request(shard);
        if (err == PYR_ERR_DISK_FULL) {
            shard_disk_full(shard, &error);
        }
        return;
    }
    if (err != PYR_OK) {
        shard_fail(shard, &error);
        return;
    }
    if (work->tail_error != 0) {
        (void)err_set_errno(&error, work->tail_error, "read back the end of log '%s'",
                            partition->name);
        shard_fail(shard, &error);
        return;
    }
    memcpy(partition->tail, work->tail, work->tail_bytes);
    partition->tail_bytes = work->tail_bytes;
    partition->offset_synced = segment_log_synced(partition->segments).offset;
    ASSERT(partition->offset_synced <= partition->offset_written);
    partition_commit_written(partition);
    shard_disk_has_room(shard);
    shard->progress++;
    shard_flush_timer(shard);
}

/* The files have been renamed; the next run, or the next open, takes them away. */
static void removal_apply(struct partition *partition, struct work *work)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(work->kind < WORK_KINDS);

    enum pyr_err err = segment_removal_apply(partition->segments, &work->as.removal, NULL);
    if (err != PYR_OK) {
        partition->has_removal = false; /* Tried again when the start moves, or at the next open. */
        return;
    }
    work_run_now(work);
    work->state = WORK_STATE_FREE;
    partition->shard->progress++;
}

void flush_apply(struct work *work)
{
    struct partition *partition = work->partition;
    ASSERT(work->state == WORK_STATE_FINISHED);
    ASSERT(partition->works[work->kind]);

    partition->works[work->kind] = false;
    work->state = WORK_STATE_FREE;
    switch (work->kind) {
    case WORK_APPEND:
        append_apply(partition, work);
        return;
    case WORK_SYNC:
        sync_apply(partition, work);
        return;
    case WORK_PREPARE:
        segment_prepare_apply(partition->segments, &work->as.prepare);
        return;
    case WORK_REMOVE:
        removal_apply(partition, work);
        return;
    case WORK_COMPACT:
        return; /* The next step, or the end, is the next plan's. */
    case WORK_SCRUB:
        scrub_apply(partition);
        return;
    case WORK_CLEAR:
    case WORK_NOTES:
    case WORK_KINDS:
        break;
    }
    ASSERT(false);
}

/* -- Scheduling -- */

/* Note whether appends go on, and have the timer see when they no longer do. */
static void flush_watch_appends(struct shard *shard, uint64_t now_ns)
{
    ASSERT(shard->appended_seen <= shard->position_end);
    ASSERT(shard->dirty_first);

    if (shard->appended_seen == shard->position_end) {
        return;
    }
    shard->appended_seen = shard->position_end;
    shard->appended_ns = now_ns;
    if (shard->dirty_first->is_large) {
        shard_flush_timer(shard);
    }
}

/* Return whether what is worth a write should leave the device to the journal for now. */
static bool flush_gives_way(const struct shard *shard, uint64_t now_ns)
{
    ASSERT(shard->appended_ns <= now_ns);
    ASSERT(shard->cache.bytes_unwritten <= shard->cache.bytes);

    return now_ns < shard->appended_ns + FLUSH_QUIET_NS &&
           shard->cache.bytes_unwritten <= shard->cache.bytes_max / FLUSH_GIVES_WAY_SHARE;
}

/* Return whether the first dirty log should be written now. */
static bool flush_is_due(struct shard *shard, const struct partition *partition, uint64_t now_ns)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->offset_written <= partition->offset_end);

    if (shard->is_disk_full) {
        return now_ns >= shard->disk_retry_ns;
    }
    bool is_pressed = shard->cache.bytes_unwritten > shard->cache.bytes_max / 2;
    bool is_worth = partition->is_large && !flush_gives_way(shard, now_ns);
    bool goes_on = partition->goes_on && !partition->is_large;
    return is_worth || goes_on || is_pressed || shard->is_flush_urged || shard->is_stopping ||
           !partition->options.is_cached ||
           now_ns >= partition->dirty_since_ns + shard->options.buffer_time_ns;
}

struct work *shard_work_free(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    for (size_t index = 0; index < SHARD_WORKS_MAX; index++) {
        if (shard->works[index].state == WORK_STATE_FREE) {
            return &shard->works[index];
        }
    }
    return NULL;
}

/* The next log to write: the first of the dirty list that is due and not being written. Those with
 * enough for a good write stand in front, and may have to give way to older ones behind. */
static struct partition *flush_next(struct shard *shard, uint64_t now_ns)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct partition *partition = shard->dirty_first;
    while (partition) {
        bool is_due = flush_is_due(shard, partition, now_ns);
        if (is_due && !partition->works[WORK_APPEND]) {
            return partition;
        }
        if (!is_due && !partition->is_large) {
            return NULL;
        }
        partition = partition->dirty_next;
    }
    return NULL;
}

/* After an append to a segment: the sync that its log asks for, and the next file. */
static void flush_follow(struct shard *shard, struct partition *partition)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->offset_written <= partition->offset_end);

    struct work *work = shard_work_free(shard);
    bool wants_sync = !partition->options.is_cached && partition->options.sync_on_write;
    if (work && wants_sync && flush_plan_sync(partition, work)) {
        work_start(work, shard->loop);
        work = shard_work_free(shard);
    }
    if (work && flush_plan_prepare(partition, work)) {
        work_start(work, shard->loop);
    }
}

/* Apply the result of the finished @work, and start what it made possible. */
static void flush_finish(struct shard *shard, struct work *work)
{
    ASSERT(work->state == WORK_STATE_FINISHED);
    ASSERT(work->partition->shard == shard);

    struct partition *partition = work->partition;
    /* What made a preparation fail may last: the next append tries again. */
    bool is_followed = work->kind != WORK_PREPARE && work->kind != WORK_SCRUB;
    flush_apply(work);
    if (is_followed && shard->failure.code == PYR_OK) {
        flush_follow(shard, partition);
    }
}

void shard_flush_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    for (size_t index = 0; index < SHARD_WORKS_MAX; index++) {
        struct work *work = &shard->works[index];
        if (work->state == WORK_STATE_FINISHED && work->kind == WORK_CLEAR) {
            deleted_clear_apply(shard, work);
        } else if (work->state == WORK_STATE_FINISHED && work->kind == WORK_NOTES) {
            notes_apply(shard, work);
        } else if (work->state == WORK_STATE_FINISHED) {
            flush_finish(shard, work);
        }
    }
    if (shard->failure.code != PYR_OK || !shard->dirty_first) {
        shard->is_flush_urged = false;
        return;
    }

    uint64_t now_ns = io_now_mono_ns(shard->io);
    flush_watch_appends(shard, now_ns);
    struct work *work = shard_work_free(shard);
    struct partition *partition = flush_next(shard, now_ns);
    while (work && partition && flush_plan_append(partition, work)) {
        work_start(work, shard->loop);
        work = shard_work_free(shard);
        partition = flush_next(shard, now_ns);
        if (shard->is_disk_full) {
            break; /* One write tells whether there is room again. */
        }
    }
    if (shard->cache.bytes_unwritten == 0) {
        shard->is_flush_urged = false;
    }
}

enum pyr_err flush_now(struct shard *shard, struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->offset_written <= partition->offset_end);

    struct work *work = shard_work_free(shard);
    ASSERT(work);

    while (partition->offset_written < flush_end(partition)) {
        if (!flush_plan_append(partition, work)) {
            return err_set(reterr, PYR_ERR_NO_MEMORY, "write log '%s'", partition->name);
        }
        work_run_now(work);
        flush_apply(work);
        if (shard->failure.code != PYR_OK) {
            return shard_health(shard, reterr);
        }
        if (shard->is_disk_full) {
            return err_set(reterr, PYR_ERR_DISK_FULL, "%s", shard->disk_full_reason);
        }
    }
    return PYR_OK;
}
