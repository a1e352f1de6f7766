/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/checkpoint - letting the journal forget: bring every log to a target, then say so.
 *
 * A checkpoint replaces all journal entries below a position. It begins by noting that position and
 * every log's end at that moment; then each log is written and synced up to there, a few at a time
 * while appends go on; then the journal is given one row per log. What the rows claim is in synced
 * segments (SHD-1), and what came after the position is still in the journal: replay skips what a
 * claim already covers.
 *
 * What is not committed may be in no segment (PAR-9). It would hold up the checkpoint for as long
 * as its quorum is away, and the journal of all logs with it; so a log that has nothing to write
 * but that is ready too, and its row carries those batches.
 *
 *      IDLE -> FLUSHING: P = journal's end, targets = ends
 *           -> WRITING:  rows to the journal, which writes a file, renames it, and marks it durable
 *           -> IDLE:     files of the journal below P are recycled
 */
#include "base/assert.h"
#include "base/mutant.h"
#include "partition/shard_inner.h"

void shard_checkpoint_urge(struct shard *shard, enum pyr_err err)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (err == PYR_ERR_BUSY || err == PYR_ERR_DISK_FULL) {
        struct wal_usage usage;
        wal_usage(shard->wal, &usage);
        shard->is_checkpoint_urged |= usage.files_used > 1;
    }
}

void shard_checkpoint_request(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    shard->is_checkpoint_urged = true;
}

/* Return whether the journal is so full that its oldest files should be freed. */
static bool checkpoint_is_due(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->is_checkpoint_urged) {
        return true;
    }
    struct wal_usage usage;
    wal_usage(shard->wal, &usage);
    return 2 * usage.files_used > usage.files_max && usage.files_used > 1;
}

static void checkpoint_begin(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(shard->checkpoint_state == SHARD_CHECKPOINT_IDLE);

    shard->is_checkpoint_urged = false;
    /* Behind the last append the journal has marks of its own only: it may forget those as well. */
    struct wal_usage usage;
    wal_usage(shard->wal, &usage);
    shard->checkpoint_position =
        usage.position_end > shard->position_end ? usage.position_end : shard->position_end;
    for (struct partition *partition = shard->partitions; partition; partition = partition->next) {
        partition->checkpoint_target = partition->offset_end;
        partition->checkpoint_number = partition->entry_number;
    }
    shard->checkpoint_next = shard->partitions;
    shard->checkpoint_state = SHARD_CHECKPOINT_FLUSHING;
}

/* Return up to where the segments of @partition are to be synced: as far as its target is
 * committed. */
static int64_t row_target(const struct partition *partition)
{
    ASSERT(partition->checkpoint_target <= partition->offset_end);
    ASSERT(partition->offset_written <= flush_end(partition));

    int64_t end = flush_end(partition);
    return partition->checkpoint_target < end ? partition->checkpoint_target : end;
}

/* Return whether a row can say where @partition was when the checkpoint began: what the segments do
 * not have of it is all in the cache. */
static bool row_is_ready(const struct partition *partition)
{
    ASSERT(partition->offset_synced <= partition->offset_written);
    ASSERT(partition->checkpoint_target <= partition->offset_end);

    if (partition->offset_synced >= partition->checkpoint_target) {
        return true;
    }
    return partition->offset_synced == partition->offset_written &&
           partition->offset_written >= row_target(partition);
}

/* Start what brings @partition nearer to its target; false if nothing could be started. */
static bool checkpoint_advance(struct shard *shard, struct partition *partition)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->offset_written <= partition->offset_end);

    struct work *work = shard_work_free(shard);
    if (!work) {
        return false;
    }
    int64_t target = row_target(partition);
    bool is_planned = partition->offset_written < target ? flush_plan_append(partition, work)
                                                         : flush_plan_sync(partition, work);
    if (is_planned) {
        work_start(work, shard->loop);
    }
    return is_planned;
}

/* Start work for the logs that are behind their targets. Returns whether none is. */
static bool checkpoint_flush(struct shard *shard)
{
    ASSERT(shard->checkpoint_state == SHARD_CHECKPOINT_FLUSHING);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    /* Everything before `checkpoint_next` was ready. Who reached its target stays so; who waits for
     * a commit may have got one, and is looked at again in the end. */
    while (shard->checkpoint_next && row_is_ready(shard->checkpoint_next)) {
        shard->checkpoint_next = shard->checkpoint_next->next;
    }
    if (!shard->checkpoint_next) {
        shard->checkpoint_next = shard->partitions;
        while (shard->checkpoint_next && row_is_ready(shard->checkpoint_next)) {
            shard->checkpoint_next = shard->checkpoint_next->next;
        }
    }
    struct partition *partition = shard->checkpoint_next;
    for (uint32_t looked = 0; partition && looked < CHECKPOINT_LOOK_AHEAD; looked++) {
        if (!row_is_ready(partition) && !checkpoint_advance(shard, partition) &&
            !shard_work_free(shard)) {
            break;
        }
        partition = partition->next;
    }
    return !shard->checkpoint_next;
}

/* Return the batches of @chunk that a row up to @target carries, from *@offset on, and move it. */
static struct bytes cached_part(const struct cache_chunk *chunk, int64_t target, int64_t *offset)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);
    ASSERT(*offset >= 0);

    bool is_in = *offset < target && chunk->bytes_used > 0 && *offset >= chunk->offset_first &&
                 *offset < chunk->offset_end;
    if (!is_in) {
        return (struct bytes){0};
    }
    struct cache_place place = {0};
    struct bytes part = cache_chunk_part(chunk, *offset, target, &place);
    *offset = place.offset;
    return part;
}

/* Copy the batches that the row of @partition carries to @data, unless it is NULL; return their
 * bytes. */
static size_t cached_walk(const struct partition *partition, uint8_t *data)
{
    ASSERT(partition->checkpoint_target <= partition->offset_end);
    ASSERT(row_is_ready(partition));

    if (MUTANT(checkpoint_forgets_tail)) {
        return 0;
    }
    int64_t offset = partition->offset_synced;
    size_t bytes = 0;
    for (const struct cache_chunk *chunk = partition->cached.first; chunk; chunk = chunk->next) {
        struct bytes part = cached_part(chunk, partition->checkpoint_target, &offset);
        if (data && part.count > 0) {
            memcpy(data + bytes, part.data, part.count);
        }
        bytes += part.count;
    }
    ASSERT(offset >= partition->checkpoint_target); /* SHD-1 */
    return bytes;
}

size_t checkpoint_row_put(const struct partition *partition,
                          const struct log_state *state,
                          uint8_t *data)
{
    ASSERT(log_id_equal(&partition->id, &state->id));
    ASSERT(data);

    size_t bytes = state_row_put(data, state);
    size_t cached = cached_walk(partition, data + bytes - state->cached_bytes);
    ASSERT(cached == state->cached_bytes);
    return bytes;
}

/* Return the log start that may be claimed: not past what is synced. */
static int64_t row_start(const struct partition *partition, const struct segment_end *end)
{
    ASSERT(end->offset <= partition->offset_end);
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(end);

    return partition->offset_start < end->offset ? partition->offset_start : end->offset;
}

/* The claim is what is synced now, which is at or past the target, or the cache has the rest. */
void checkpoint_row_fill(const struct partition *partition, struct log_state *state)
{
    ASSERT(partition->offset_written <= partition->offset_end);

    struct segment_end end = segment_log_synced(partition->segments);
    ASSERT(row_is_ready(partition)); /* SHD-1 */
    ASSERT(partition->tail_bytes == end.bytes % BLOCK_BYTES);

    *state = (struct log_state){.id = partition->id,
                                .promise = partition->epoch,
                                .epoch_last = end.epoch,
                                .offset_start = row_start(partition, &end),
                                .offset_end = end.offset,
                                .segment_base = end.segment,
                                .segment_position = end.bytes,
                                .tail = {partition->tail, partition->tail_bytes},
                                .digest = end.digest,
                                .entry_number = partition->checkpoint_number,
                                .clock_ms = partition->clock_ms,
                                .cleaned_to = partition->cleaned_to,
                                .is_replicated = partition->is_replicated,
                                .cached_bytes = cached_walk(partition, NULL)};
    memcpy(state->name, partition->name, sizeof state->name);
    size_t epoch_count = 0;
    state->epochs = segment_log_epochs(partition->segments, &epoch_count);
    state->epoch_count = (uint32_t)epoch_count;
}

enum pyr_err checkpoint_body_build(struct shard *shard, struct bytes_mut *ret_body)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(ret_body);

    size_t bytes = state_header_bytes();
    struct log_state state;
    for (struct partition *partition = shard->partitions; partition; partition = partition->next) {
        checkpoint_row_fill(partition, &state);
        bytes += state_row_bytes(&state);
    }
    uint8_t *data = io_alloc(shard->io, bytes, 16);
    if (!data) {
        return PYR_ERR_NO_MEMORY;
    }
    state_header_put(data, shard->partition_count);
    size_t position = state_header_bytes();
    for (struct partition *partition = shard->partitions; partition; partition = partition->next) {
        checkpoint_row_fill(partition, &state);
        partition->start_written = state.offset_start;
        partition->claim_written = state.segment_base;
        position += checkpoint_row_put(partition, &state, data + position);
    }
    ASSERT(position == bytes);
    *ret_body = (struct bytes_mut){data, bytes};
    return PYR_OK;
}

static void checkpoint_retry_later(struct shard *shard)
{
    ASSERT(shard->checkpoint_state != SHARD_CHECKPOINT_IDLE);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    shard->checkpoint_state = SHARD_CHECKPOINT_IDLE;
    shard->is_checkpoint_urged = true;
    shard->checkpoint_retry_ns = io_now_mono_ns(shard->io) + DISK_FULL_RETRY_NS;
}

static void checkpoint_write(struct shard *shard)
{
    ASSERT(shard->checkpoint_state == SHARD_CHECKPOINT_FLUSHING);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct bytes_mut body;
    if (checkpoint_body_build(shard, &body) != PYR_OK) {
        checkpoint_retry_later(shard);
        return;
    }
    struct pyr_error error;
    struct bytes given = {body.data, body.count};
    enum pyr_err err = wal_checkpoint_begin(shard->wal, given, shard->checkpoint_position, &error);
    io_free(shard->io, body.data);
    if (err != PYR_OK) {
        checkpoint_retry_later(shard);
        return;
    }
    shard->checkpoint_state = SHARD_CHECKPOINT_WRITING;
}

void shard_checkpoint_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->failure.code != PYR_OK) {
        return;
    }
    if (shard->checkpoint_state == SHARD_CHECKPOINT_IDLE) {
        bool must_wait = shard->checkpoint_retry_ns != 0 &&
                         io_now_mono_ns(shard->io) < shard->checkpoint_retry_ns;
        if (must_wait || !checkpoint_is_due(shard)) {
            return;
        }
        shard->checkpoint_retry_ns = 0;
        checkpoint_begin(shard);
    }
    bool is_paused = shard->is_disk_full && io_now_mono_ns(shard->io) < shard->disk_retry_ns;
    if (shard->checkpoint_state == SHARD_CHECKPOINT_FLUSHING && !is_paused &&
        checkpoint_flush(shard)) {
        checkpoint_write(shard);
    }
    if (shard->checkpoint_state == SHARD_CHECKPOINT_WRITING &&
        !wal_checkpoint_is_running(shard->wal)) {
        struct pyr_error error;
        enum pyr_err err = wal_checkpoint_result(shard->wal, &error);
        if (err != PYR_OK) {
            checkpoint_retry_later(shard);
        }
        if (err == PYR_ERR_DISK_FULL) {
            shard_disk_full(shard, &error); /* The journal will run full, and nothing frees it. */
        }
        if (err != PYR_OK) {
            return;
        }
        shard_disk_has_room(shard);
        shard->checkpoint_state = SHARD_CHECKPOINT_IDLE;
        shard->checkpoints++;
        retention_checkpoint_done(shard);
        delete_checkpoint_done(shard);
        shard->has_removals = true;
        shard->progress++;
    }
}
