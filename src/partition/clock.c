/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/clock - time in a log is a fact of the log: stamps in control batches.
 *
 * Expiry is judged only by the log's clock, never by a client's timestamp and never by a wall clock
 * that jumps. The clock is the newest stamp; a stamp is a control batch, written just ahead of an
 * append when the newest is over a second old, and alone when by what it would say a segment
 * expires or is too old to be written to. Stamps never go back. Stamps alone are no reason for a
 * stamp: a log that holds nothing else rests.
 *
 *      wall clock near (stamp + monotonic time since)?   yes: the stamp is the wall clock
 *                                                        no, over an hour off: it is held back, and
 * time goes on from the last stamp by the monotonic clock
 *
 * So a machine at plus or minus ten years deletes nothing: expiry is at worst late. Opening with
 * the operator's confirmation accepts the step. A log that neither expires by time nor
 * rolls by age needs no stamps; once it has had one it goes on, or what is appended without would
 * pass for as old as that one.
 *
 * The stamp's batch: record/control.h.
 */
#include "base/assert.h"
#include "partition/shard_inner.h"
#include "record/control.h"

/* Return whether the last segment, which ends at @end, holds one stamp and nothing else. It is so
 * short that its only block is the one kept for checkpoints. */
static bool is_one_stamp(const struct partition *partition, const struct segment_end *end)
{
    ASSERT(partition->tail_bytes < BLOCK_BYTES);
    ASSERT(end->offset >= end->segment);

    struct bytes batch = {partition->tail, partition->tail_bytes};
    struct batch_header header;
    int64_t clock_ms = 0;
    return end->offset - end->segment == 1 && end->bytes <= CONTROL_BATCH_BYTES_MAX &&
           end->offset == partition->offset_synced && end->bytes == batch.count &&
           batch_header_read(batch, &header, NULL) == PYR_OK && header.bytes == batch.count &&
           batch_verify(batch, &header, NULL) == PYR_OK && header.base_offset == end->segment &&
           clock_read(batch, &header, &clock_ms);
}

void clock_begin(struct partition *partition, bool accepts_step)
{
    ASSERT(partition->clock_ms >= 0);
    ASSERT(partition->offset_written <= partition->offset_end);

    struct io *io = partition->shard->io;
    partition->clock_mono_ns = io_now_mono_ns(io);
    partition->clock_base_ms = partition->clock_ms;
    if (partition->clock_ms == 0 || accepts_step) {
        partition->clock_base_ms = io_now_wall_ms(io);
    }
    /* What a start cannot tell for a stamp counts as more: at worst one more stamp is written. */
    struct segment_end end = segment_log_end(partition->segments);
    if (partition->stamps_end == 0 && partition->clock_ms > 0 &&
        end.offset == partition->offset_end && is_one_stamp(partition, &end)) {
        partition->stamps_start = end.segment;
        partition->stamps_end = end.offset;
    }
}

int64_t clock_now_ms(struct partition *partition)
{
    ASSERT(partition->clock_ms >= 0);
    ASSERT(partition->offset_written <= partition->offset_end);

    struct io *io = partition->shard->io;
    uint64_t mono_ns = io_now_mono_ns(io);
    ASSERT(mono_ns >= partition->clock_mono_ns);
    int64_t wall_ms = io_now_wall_ms(io);
    int64_t expected_ms =
        partition->clock_base_ms + (int64_t)((mono_ns - partition->clock_mono_ns) / 1000000);
    int64_t step_ms = wall_ms - expected_ms;
    partition->is_clock_held = step_ms > CLOCK_STEP_MS_MAX || step_ms < -CLOCK_STEP_MS_MAX;
    if (!partition->is_clock_held) {
        partition->clock_base_ms = wall_ms;
        partition->clock_mono_ns = mono_ns;
        expected_ms = wall_ms;
    }
    return expected_ms > partition->clock_ms ? expected_ms : partition->clock_ms;
}

bool clock_is_due(struct partition *partition)
{
    ASSERT(partition->clock_ms >= 0);
    ASSERT(partition->offset_written <= partition->offset_end);

    const struct partition_options *options = &partition->options;
    bool has_use =
        options->retention_ms > 0 || options->segment_age_ms > 0 || partition->clock_ms > 0;
    return has_use && clock_now_ms(partition) - partition->clock_ms > CLOCK_STAMP_MS;
}

/* Return whether nothing but stamps lies from @offset on. */
static bool is_stamps(const struct partition *partition, int64_t offset)
{
    ASSERT(partition->stamps_start <= partition->stamps_end);
    ASSERT(partition->stamps_end <= partition->offset_end);

    return partition->stamps_end == partition->offset_end && offset >= partition->stamps_start;
}

int64_t clock_wanted_ms(const struct partition *partition)
{
    ASSERT(partition->clock_ms >= 0);
    ASSERT(partition->offset_start <= partition->offset_end);

    const struct partition_options *options = &partition->options;
    int64_t wanted_ms = INT64_MAX;
    if (options->is_replicated) {
        return INT64_MAX; /* Only a leader appends, and nobody here knows whether it is one. */
    }
    if (is_stamps(partition, partition->offset_start) ||
        partition->offset_start == partition->offset_end) {
        return INT64_MAX;
    }
    if (options->retention_ms > 0) {
        /* Without a stamp nothing has an age: it begins with the first one. */
        wanted_ms = partition->clock_ms == 0
                        ? 0
                        : segment_retention_due_ms(partition->segments, partition->offset_start,
                                                   retention_age_ms(partition));
    }
    int64_t base = 0;
    int64_t roll_ms = segment_roll_due_ms(partition->segments, &base);
    /* What is not written yet rolls by its own stamp, or is looked at when it is written. */
    bool may_roll =
        partition->offset_written == partition->offset_end && !is_stamps(partition, base);
    return may_roll && roll_ms < wanted_ms ? roll_ms : wanted_ms;
}

enum pyr_err clock_stamp(struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(!cache_is_reserved(&partition->cached));
    ASSERT(partition->offset_written <= partition->offset_end);

    struct shard *shard = partition->shard;
    size_t room_bytes = 0;
    enum pyr_err err = PYR_OK;
    uint8_t *room = cache_reserve(&shard->cache, &partition->cached, CONTROL_BATCH_BYTES_MAX,
                                  &room_bytes, &err);
    if (!room) {
        return err_set(reterr, err, "log '%s': no room for a clock batch", partition->name);
    }

    int64_t now_ms = clock_now_ms(partition);
    const struct control control = {.type = CONTROL_CLOCK, .as.clock_ms = now_ms};
    size_t bytes = control_build((struct bytes_mut){room, room_bytes}, &control, now_ms).count;
    int64_t offset = 0;
    err = partition_append(partition, bytes, 0, &offset, reterr);
    if (err != PYR_OK) {
        partition_unreserve(partition);
        return err;
    }
    partition->clock_ms = now_ms;
    partition->stamps_start = offset == partition->stamps_end ? partition->stamps_start : offset;
    partition->stamps_end = partition->offset_end;
    return PYR_OK;
}

bool clock_read(struct bytes batch, const struct batch_header *header, int64_t *ret_ms)
{
    ASSERT(batch.count >= BATCH_HEADER_BYTES);
    ASSERT(header->bytes >= BATCH_HEADER_BYTES);

    struct control control;
    bool is_clock = control_read(batch, header, &control) && control.type == CONTROL_CLOCK;
    if (is_clock) {
        *ret_ms = control.as.clock_ms;
    }
    return is_clock;
}
