/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_judge - what must be true of the logs, looked at after every step of a node.
 *
 *   - an offset that is committed anywhere is committed with the same batch everywhere, and the
 *     committed batches follow each other without a hole
 *   - nobody writes two different batches at one offset under one epoch
 *   - what a leader calls committed, and what a client is told, is durable on W nodes
 *   - nobody is told to cut what is committed
 *   - who may read to a point has everything that was acknowledged
 *
 * What nodes may not forget is world_promises.c.
 *
 * The history of a log is the list of its committed batches, each noted by the first replica that
 * called it committed. Batches are told apart by epoch, offset and checksum, which covers all but
 * these two.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "record/batch.h"
#include "sim/cluster/world_parts.h"

enum { BATCHES_FIRST = 4096, OPENINGS_FIRST = 64 };

/* -- Batches -- */

static struct world_batch batch_of(const struct batch_header *header)
{
    return (struct world_batch){.offset = header->base_offset,
                                .offset_end = batch_offset_end(header),
                                .epoch = header->epoch,
                                .crc = header->crc};
}

static bool is_same(const struct world_batch *left, const struct world_batch *right)
{
    return left->offset == right->offset && left->offset_end == right->offset_end &&
           left->epoch == right->epoch && left->crc == right->crc;
}

static void *grown(void *memory, size_t room, size_t bytes)
{
    void *more = realloc(memory, room * bytes);
    ASSERT(more);
    return more;
}

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    ASSERT(memory);
    return memory;
}

static size_t written_slot(const struct world_log *log, const struct world_batch *batch)
{
    uint64_t key = ((uint64_t)batch->epoch << 32 ^ (uint64_t)batch->offset);
    size_t slot = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (log->written_room - 1);
    while (log->written[slot].offset_end > 0 && (log->written[slot].epoch != batch->epoch ||
                                                 log->written[slot].offset != batch->offset)) {
        slot = (slot + 1) & (log->written_room - 1);
    }
    return slot;
}

static void written_grow(struct world_log *log)
{
    struct world_batch *before = log->written;
    size_t room = log->written_room;
    log->written_room = room * 2;
    log->written = zeroed(log->written_room, sizeof *log->written);
    for (size_t slot = 0; slot < room; slot++) {
        if (before[slot].offset_end > 0) {
            log->written[written_slot(log, &before[slot])] = before[slot];
        }
    }
    free(before);
}

void judge_written(struct world *world, uint32_t index, const struct batch_header *header)
{
    struct world_log *log = &world->logs[index];
    struct world_batch batch = batch_of(header);
    struct world_batch *known = &log->written[written_slot(log, &batch)];
    if (known->offset_end > 0) {
        if (!is_same(known, &batch)) {
            world_violate(world, "log %u: two batches of epoch %d at offset %" PRId64, index,
                          batch.epoch, batch.offset);
        }
        return;
    }
    *known = batch;
    log->written_count++;
    if (log->written_count * 2 > log->written_room) {
        written_grow(log);
    }
}

/* -- The history -- */

static void history_add(struct world_log *log, const struct world_batch *batch)
{
    if (log->committed_count == log->committed_room) {
        log->committed_room *= 2;
        log->committed = grown(log->committed, log->committed_room, sizeof *log->committed);
    }
    while ((size_t)batch->offset_end > log->places_room) {
        log->places_room *= 2;
        log->places = grown(log->places, log->places_room, sizeof *log->places);
    }
    for (int64_t offset = batch->offset; offset < batch->offset_end; offset++) {
        log->places[offset] = (uint32_t)log->committed_count;
    }
    log->committed[log->committed_count++] = *batch;
    log->committed_end = batch->offset_end;
}

/* Return the committed batch that holds @offset, or NULL. */
static struct world_batch *history_find(struct world_log *log, int64_t offset)
{
    return offset < log->committed_end ? &log->committed[log->places[offset]] : NULL;
}

/* Return the committed batch that holds @offset, which is below the end. */
static const struct world_batch *history_at(const struct world_log *log, int64_t offset)
{
    ASSERT(offset >= 0 && offset < log->committed_end);
    return &log->committed[log->places[offset]];
}

/* A walk over one replica. */
struct judging {
    struct world *world;
    struct world_replica *replica;
    int64_t offset_next;
    bool is_committed; /* What is walked is, so it becomes history. */
    bool is_verified;  /* Checksums too. */
};

static bool visit(void *ctx, const struct batch_header *header, struct bytes data)
{
    struct judging *judging = ctx;
    struct world *world = judging->world;
    struct world_replica *replica = judging->replica;
    struct world_log *log = &world->logs[replica->log];
    struct world_batch batch = batch_of(header);
    struct pyr_error error = {0};
    const struct world_batch *known = history_find(log, batch.offset);
    if (!known || !is_same(known, &batch)) { /* What is history was written, and noted. */
        judge_written(world, replica->log, header);
    }
    if (batch.offset != judging->offset_next) {
        world_violate(world, "node %d log %u: a batch at %" PRId64 " where %" PRId64 " comes next",
                      replica->node + 1, replica->log, batch.offset, judging->offset_next);
        return false;
    }
    if (judging->is_verified && batch_verify(data, header, &error) != PYR_OK) {
        world_violate(world, "node %d log %u: %s", replica->node + 1, replica->log, error.message);
        return false;
    }
    judging->offset_next = batch.offset_end;
    if (batch.offset >= replica->partition->offset_committed || !judging->is_committed) {
        return true;
    }
    if (known && !is_same(known, &batch)) {
        world_violate(world,
                      "node %d log %u: at %" PRId64 " it has a batch of epoch %d committed, "
                      "others one of %d",
                      replica->node + 1, replica->log, batch.offset, batch.epoch, known->epoch);
        return false;
    }
    if (!known) {
        batch.committed_epoch = member_replica(replica->member)->promise;
        history_add(log, &batch);
    }
    return true;
}

/* -- What is committed -- */

/* What @replica calls committed anew becomes history, or is held against it. */
static void look_committed(struct world *world, struct world_replica *replica)
{
    struct world_log *log = &world->logs[replica->log];
    int64_t end = replica->partition->offset_committed;
    struct judging judging = {.world = world,
                              .replica = replica,
                              .offset_next = replica->committed,
                              .is_committed = true};
    bool is_good = read_walk(world, replica, replica->committed, end, visit, &judging);
    if (is_good && judging.offset_next != end) {
        world_violate(world, "node %d log %u: committed to %" PRId64 ", batches end at %" PRId64,
                      replica->node + 1, replica->log, end, judging.offset_next);
    }
    replica->committed = end;
    const struct replica *core = member_replica(replica->member);
    if (!is_good || core->role != REPLICA_LEADER) {
        return;
    }
    int32_t epoch = history_at(log, end - 1)->epoch;
    if (judge_copies(world, replica->log, epoch, end) < world->options->write_quorum) {
        world_violate(world, "node %d log %u: committed to %" PRId64 " with fewer than W copies",
                      replica->node + 1, replica->log, end);
    }
}

/* -- The look -- */

/* A member that takes no part any more has a reason, which is its disk's. */
static void look_health(struct world *world, const struct world_replica *replica)
{
    struct pyr_error error;
    if (!world->is_over && member_health(replica->member, &error) != PYR_OK &&
        shard_health(replica->partition->shard, &error) == PYR_OK) {
        (void)member_health(replica->member, &error);
        world_violate(world, "node %d log %u: %s", replica->node + 1, replica->log, error.message);
    }
}

void judge_look(struct world *world, struct world_replica *replica)
{
    static const char *const roles[] = {"follows", "stands", "leads", "stands still"};
    const struct replica *core = member_replica(replica->member);
    struct quorum_position position = epochs_position(&core->epochs);
    bool was_cut = position.end < replica->position.end ||
                   epochs_before(&core->epochs, replica->position.end) != replica->position.epoch;
    replica->position = position;
    if (was_cut) {
        world_count(world, WORLD_COUNT_truncations);
        HISTORY(world, replica->node, replica->log, "is cut");
    }
    if (core->role != replica->role || core->promise != replica->promise) {
        HISTORY(world, replica->node, replica->log, "%s", roles[core->role]);
        judge_role(world, replica);
    }
    if (replica->partition->offset_committed > replica->committed && !world->is_over) {
        look_committed(world, replica);
    }
    if (replica->proposal_count > 0) {
        clients_look(world, replica);
    }
    look_health(world, replica);
    uint32_t walks = world->options->walks;
    if (walks > 0 && prng_below(&world->judge_prng, MILLION) < walks && !world->is_over) {
        judge_walk(world, replica, false);
    }
}

/* -- Clients -- */

void judge_acknowledge(struct world *world,
                       struct world_replica *replica,
                       const struct world_proposal *proposal)
{
    struct world_log *log = &world->logs[replica->log];
    const struct member_proposal *place = &proposal->proposal;
    struct world_batch *known = history_find(log, place->offset);
    bool is_there = known && known->offset == place->offset &&
                    known->offset_end == place->offset_end && known->epoch == place->epoch &&
                    known->crc == proposal->crc;
    if (!is_there) {
        world_violate(world,
                      "node %d log %u: acknowledges %" PRId64 ", which is not what is "
                      "committed there",
                      replica->node + 1, replica->log, place->offset);
        return;
    }
    int32_t copies = judge_copies(world, replica->log, place->epoch, place->offset_end);
    if (copies < world->options->write_quorum) {
        world_violate(world, "node %d log %u: acknowledges %" PRId64 " with %d durable copies",
                      replica->node + 1, replica->log, place->offset, copies);
        return;
    }
    known->is_acknowledged = true;
    log->acknowledged++;
    log->phase_acknowledged++;
    log->acknowledged_end =
        known->offset_end > log->acknowledged_end ? known->offset_end : log->acknowledged_end;
    world_count(world, WORLD_COUNT_acknowledged);
    world_mix(world, (uint64_t)place->offset_end);
    if (prng_below(&world->judge_prng, THOUSAND) < world->options->images) {
        image_check(world, replica->log, known);
    }
}

void judge_read(struct world *world, struct world_replica *replica)
{
    struct world_log *log = &world->logs[replica->log];
    int64_t end = replica->partition->offset_committed;
    if (end <= replica->partition->offset_start) {
        return;
    }
    int64_t offset = (int64_t)prng_below(&world->judge_prng, (uint64_t)end);
    const struct world_batch *first = history_at(log, offset);
    int64_t range = 1 + (int64_t)prng_below(&world->judge_prng, 32);
    const struct world_batch *last =
        history_at(log, first->offset + range < end ? first->offset + range : end - 1);
    struct judging judging = {.world = world,
                              .replica = replica,
                              .offset_next = first->offset,
                              .is_committed = true,
                              .is_verified = true};
    int64_t read_end = last->offset_end < end ? last->offset_end : end;
    world_count(world, WORLD_COUNT_reads);
    bool is_good = read_walk(world, replica, first->offset, read_end, visit, &judging);
    if (is_good && judging.offset_next != read_end) {
        world_violate(
            world, "node %d log %u: a read from %" PRId64 " ends at %" PRId64 ", not %" PRId64,
            replica->node + 1, replica->log, first->offset, judging.offset_next, read_end);
    }
}

void judge_walk(struct world *world, struct world_replica *replica, bool is_final)
{
    struct partition *partition = replica->partition;
    struct judging judging = {.world = world,
                              .replica = replica,
                              .offset_next = partition->offset_start,
                              .is_committed = true,
                              .is_verified = is_final};
    world_count(world, WORLD_COUNT_walks);
    bool is_good =
        read_walk(world, replica, partition->offset_start, partition->offset_end, visit, &judging);
    if (is_good && judging.offset_next < partition->offset_committed) {
        world_violate(
            world, "node %d log %u: its batches end at %" PRId64 ", below its commit end %" PRId64,
            replica->node + 1, replica->log, judging.offset_next, partition->offset_committed);
    }
}

/* -- Life -- */

void judge_init(struct world *world)
{
    for (uint32_t index = 0; index < world->options->logs; index++) {
        struct world_log *log = &world->logs[index];
        log->committed_room = BATCHES_FIRST / 2;
        log->committed = zeroed(log->committed_room, sizeof *log->committed);
        log->places_room = BATCHES_FIRST;
        log->places = zeroed(log->places_room, sizeof *log->places);
        log->written_room = BATCHES_FIRST;
        log->written = zeroed(log->written_room, sizeof *log->written);
        log->opening_room = OPENINGS_FIRST;
        log->openings = zeroed(log->opening_room, sizeof *log->openings);
        log->leader_last = NOBODY;
    }
}

void judge_deinit(struct world *world)
{
    for (uint32_t index = 0; index < world->options->logs; index++) {
        free(world->logs[index].committed);
        free(world->logs[index].places);
        free(world->logs[index].written);
        free(world->logs[index].openings);
    }
}
