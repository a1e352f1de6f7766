/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/opening - a log is opened by its claim; many are, side by side.
 */
#include "partition/opening.h"

#include <errno.h>

#include "base/assert.h"
#include "io/transfer.h"

/* What was cut from a segment behind its claim is not counted as cut: the journal brings it again.
 */
static void report_add(struct shard_report *report, const struct segment_report *found)
{
    ASSERT(report);
    ASSERT(found);

    report->segments += found->segments;
    report->batches += found->batches;
    report->records += found->records;
    report->bytes_scanned += found->bytes_scanned;
    report->indexes_rebuilt += found->indexes_rebuilt;
    report->quarantined += found->quarantined;
}

/* Put the claimed tail back: the block it lies in may have been rewritten, and torn, after the
 * checkpoint. */
static enum pyr_err partition_tail_restore(struct partition *partition,
                                           const struct log_state *state,
                                           struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(state->offset_start <= state->offset_end);

    struct io *io = partition->shard->io;
    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    ASSERT(state->tail.count < BLOCK_BYTES);
    partition->tail_bytes = (uint32_t)state->tail.count;
    if (state->tail.count == 0) {
        return PYR_OK;
    }
    ASSERT(partition->tail);
    memcpy(partition->tail, state->tail.data, state->tail.count);
    folder_path(partition->shard->folder, partition->name, folder);
    if (!segment_path(path, folder, state->segment_base, SEGMENT_KIND_LOG, SEGMENT_SUFFIX_NONE)) {
        return err_set(reterr, PYR_ERR_INVALID, "log '%s': the path is too long", partition->name);
    }
    struct io_file *file = NULL;
    int error = io_open(io, path, IO_OPEN_READ | IO_OPEN_WRITE, &file);
    if (error == ENOENT) {
        return PYR_OK; /* Opening the log says what that means. */
    }
    uint8_t found[BLOCK_BYTES];
    size_t count = 0;
    int64_t position = (int64_t)state->segment_position - (int64_t)state->tail.count;
    if (error == 0) {
        struct bytes_mut span = {found, state->tail.count};
        error = io_read_whole(io, file, span, position, &count);
    }
    bool is_torn = error == 0 && !bytes_equal(state->tail, (struct bytes){found, count});
    if (is_torn) {
        error = io_write_whole(io, file, state->tail, position, false);
    }
    if (is_torn && error == 0) {
        error = io_sync(io, file);
    }
    io_close(io, file);
    if (error != 0) {
        return err_set_errno(reterr, error, "log '%s': restore the end of '%s'", partition->name,
                             path);
    }
    return PYR_OK;
}

/* Open the segments of @partition as the claim of @state says. */
static enum pyr_err partition_segments_open(struct partition *partition,
                                            const struct log_state *state,
                                            struct segment_report *ret_found,
                                            struct pyr_error *reterr)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(state->offset_start <= state->offset_end);
    ASSERT(ret_found);

    struct shard *shard = partition->shard;
    char folder[PATH_BYTES_MAX];
    folder_path(shard->folder, partition->name, folder);
    const struct segment_log_options options = {
        .io = shard->io,
        .files = &shard->files,
        .folder = folder,
        .log = partition->id,
        .segment_bytes_max = retention_limit(partition->options.segment_bytes),
        .segment_age_max_ms = retention_limit(partition->options.segment_age_ms),
        .use_mmap = partition->options.use_mmap,
    };
    const struct segment_claim claim = {
        .offset_start = state->offset_start,
        .offset_end = state->offset_end,
        .has_end_point = state->offset_end > 0,
        .digest = state->digest,
        .epoch = state->epoch_last,
    };
    enum pyr_err err = segment_log_open(&options, &claim, ret_found, &partition->segments, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s'", partition->name);
    }
    return err;
}

/* Make the log that @state describes, in no list, as one that stands where its segments end. */
static struct partition *partition_make(struct shard *shard, const struct log_state *state)
{
    ASSERT(state->offset_start <= state->offset_end);

    struct partition *partition =
        io_alloc(shard->io, sizeof *partition, _Alignof(struct partition));
    if (!partition) {
        return NULL;
    }
    partition->tail = io_alloc(shard->io, BLOCK_BYTES, 16);
    if (!partition->tail) {
        io_free(shard->io, partition);
        return NULL;
    }
    partition->shard = shard;
    partition->id = state->id;
    memcpy(partition->name, state->name, sizeof partition->name);
    partition->options = (struct partition_options){.is_cached = true};
    partition->is_replicated = state->is_replicated;
    partition->epoch = state->promise;
    partition->entry_number = state->entry_number;
    partition->entry_claimed = state->entry_number;
    partition->clock_ms = state->clock_ms;
    partition->offset_start = state->offset_start;
    partition->cleaned_to = state->cleaned_to;
    partition->claim_written = state->segment_base;
    partition->claim_durable = state->segment_base;
    partition->start_written = state->offset_start;
    partition->start_durable = state->offset_start;
    partition->has_removal = true; /* Of what opening put aside, if it did. */
    partition->scrub.damage_segment = -1;
    partition->scrub.damage_offset = -1;
    return partition;
}

/* Look, then open: what takes long. Any thread (PAR-7). */
static void opening_run(struct opening *opening)
{
    ASSERT(opening->shard);
    ASSERT(!opening->partition); /* PAR-7 */

    if (opening->look && !opening->look(opening)) {
        return;
    }
    struct io *io = opening->shard->io;
    const struct log_state *state = &opening->state;
    struct partition *partition = partition_make(opening->shard, state);
    if (!partition) {
        opening->err = err_set(&opening->error, PYR_ERR_NO_MEMORY, "log '%s'", state->name);
        return;
    }
    opening->err = partition_tail_restore(partition, state, &opening->error);
    if (opening->err == PYR_OK) {
        opening->err = partition_segments_open(partition, state, &opening->found, &opening->error);
    }
    if (opening->err != PYR_OK) {
        io_free(io, partition->tail);
        io_free(io, partition);
        return;
    }
    int64_t offset_end = segment_log_end(partition->segments).offset;
    partition->offset_written = offset_end;
    partition->offset_synced = segment_log_synced(partition->segments).offset;
    partition->offset_end = offset_end;
    partition->offset_durable = offset_end;
    partition->offset_committed = offset_end;
    partition->epoch_last = segment_log_end(partition->segments).epoch;
    opening->partition = partition;
}

/* Hand on an error that was kept. */
static enum pyr_err err_hand(enum pyr_err err,
                             const struct pyr_error *error,
                             struct pyr_error *reterr)
{
    ASSERT(err == PYR_OK || err == error->code);

    if (err != PYR_OK && reterr) {
        *reterr = *error;
    }
    return err;
}

/* Free what @opening still holds. */
static void opening_deinit(struct opening *opening)
{
    ASSERT(!opening->is_running);

    if (opening->partition) {
        logs_close(opening->shard, opening->partition);
        opening->partition = NULL;
    }
}

enum pyr_err opening_take(struct opening *opening,
                          struct shard_report *report,
                          struct pyr_error *reterr)
{
    ASSERT(opening->partition);
    ASSERT(report);

    struct shard *shard = opening->shard;
    struct partition *partition = opening->partition;
    if (shard->partition_count == SHARD_PARTITIONS_MAX) {
        return err_set(reterr, PYR_ERR_BUSY, "a shard holds at most %d logs", SHARD_PARTITIONS_MAX);
    }
    if (logs_named(shard, partition->name)) {
        return err_set(reterr, PYR_ERR_EXISTS, "there are two logs called '%s'", partition->name);
    }
    const struct partition *other = logs_find(shard, &partition->id);
    if (other) {
        return err_set(reterr, PYR_ERR_EXISTS, "the folders of logs '%s' and '%s' have one log id",
                       other->name, partition->name);
    }
    logs_add(shard, partition);
    opening->partition = NULL;
    report_add(report, &opening->found);
    report->partitions++;
    return PYR_OK;
}

enum pyr_err opening_add(struct shard *shard,
                         const struct log_state *state,
                         struct shard_report *report,
                         struct partition **ret_partition,
                         struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(state->offset_start <= state->offset_end);
    ASSERT(report);

    struct opening opening = {.shard = shard, .state = *state};
    opening_run(&opening);
    if (opening.err != PYR_OK) {
        return err_hand(opening.err, &opening.error, reterr);
    }
    struct partition *partition = opening.partition;
    enum pyr_err err = opening_take(&opening, report, reterr);
    opening_deinit(&opening);
    if (err == PYR_OK && ret_partition) {
        *ret_partition = partition;
    }
    return err;
}

/* -- Several at once -- */

static void job_run(struct io_job *job)
{
    opening_run(job->ctx);
}

static void job_done(struct io_job *job)
{
    struct opening *opening = job->ctx;
    ASSERT(opening->shard);
    ASSERT(opening->is_running);
    ASSERT(opening->job.ctx == opening);
    opening->is_running = false;
}

/* Wait for the oldest and take it, or close it if something failed before. */
static void openings_settle(struct openings *openings)
{
    ASSERT(openings->count > 0);
    ASSERT(openings->count <= SHARD_OPENINGS_MAX);
    ASSERT(openings->first < SHARD_OPENINGS_MAX);

    struct opening *opening = &openings->slots[openings->first];
    struct io_loop *loop = openings->shard->loop;
    while (opening->is_running) {
        io_loop_wait(loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(loop);
    }
    if (openings->err == PYR_OK) {
        openings->err = err_hand(opening->err, &opening->error, &openings->error);
    }
    if (openings->err == PYR_OK) {
        openings->err = openings->take(openings, opening, &openings->error);
    }
    opening_deinit(opening);
    openings->first = (openings->first + 1) % SHARD_OPENINGS_MAX;
    openings->count--;
}

enum pyr_err openings_begin(struct openings *openings, struct pyr_error *reterr)
{
    ASSERT(openings->shard);
    ASSERT(openings->report);
    ASSERT(openings->take);
    ASSERT(!openings->slots);

    openings->slots = io_alloc(openings->shard->io, SHARD_OPENINGS_MAX * sizeof *openings->slots,
                               _Alignof(struct opening));
    if (!openings->slots) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "open logs");
    }
    return PYR_OK;
}

struct opening *openings_next(struct openings *openings)
{
    ASSERT(openings->slots);
    ASSERT(openings->count <= SHARD_OPENINGS_MAX);

    if (openings->count == SHARD_OPENINGS_MAX) {
        openings_settle(openings);
    }
    if (openings->err != PYR_OK) {
        return NULL;
    }
    uint32_t index = (openings->first + openings->count) % SHARD_OPENINGS_MAX;
    struct opening *opening = &openings->slots[index];
    *opening = (struct opening){.shard = openings->shard};
    return opening;
}

void openings_start(struct openings *openings)
{
    ASSERT(openings->count < SHARD_OPENINGS_MAX);
    ASSERT(openings->err == PYR_OK);

    uint32_t index = (openings->first + openings->count) % SHARD_OPENINGS_MAX;
    struct opening *opening = &openings->slots[index];
    openings->count++;
    ASSERT(opening->shard == openings->shard);
    ASSERT(!opening->is_running);
    opening->is_running = true;
    opening->job = (struct io_job){.run = job_run, .done = job_done, .ctx = opening};
    io_job_start(openings->shard->loop, &opening->job);
}

enum pyr_err openings_end(struct openings *openings, struct pyr_error *reterr)
{
    ASSERT(openings->slots);

    while (openings->count > 0) {
        openings_settle(openings);
    }
    io_free(openings->shard->io, openings->slots);
    openings->slots = NULL;
    return err_hand(openings->err, &openings->error, reterr);
}
