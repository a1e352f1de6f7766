/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_clients - who proposes batches, remembers what was acknowledged, and reads.
 *
 * A proposal goes to whoever led last, or, as a stray, to anybody; who refuses is not asked again
 * at once. Each value carries a number of its own, so that no two proposals are alike, and what is
 * proposed anew after a loss is another batch. Bytes follow from the number.
 */
#include "base/codec.h"
#include "record/builder.h"
#include "sim/cluster/world_parts.h"

enum { VALUE_BYTES_MIN = 16, VALUE_ROOM = 4096, BURST_ONE_IN = 8, BURST_MAX = 6, MORE_WANTED = 2 };

/* Build a batch of new values in @room; return its bytes. */
static size_t batch_build(struct world *world, struct world_log *log, struct bytes_mut room)
{
    const struct world_options *options = world->options;
    uint8_t value[VALUE_ROOM];
    uint64_t records = 1 + prng_below(&world->client_prng, options->records_max);
    struct builder builder;
    builder_init(&builder, room);
    for (uint64_t index = 0; index < records; index++) {
        uint64_t number = ++log->value_last;
        size_t range = options->value_bytes_max - VALUE_BYTES_MIN;
        size_t count = VALUE_BYTES_MIN + (size_t)prng_below(&world->client_prng, range + 1);
        put_le64(value, number);
        put_le64(value + 8, (uint64_t)(log - world->logs));
        memset(value + 16, (int)(number & 0xff), count - 16);
        const struct record record = {.timestamp = (int64_t)number, .value = {value, count}};
        enum pyr_err err = builder_add(&builder, &record, NULL);
        ASSERT(err == PYR_OK);
    }
    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    return builder_seal(&builder, &stamp).count;
}

static void note(struct world *world,
                 struct world_replica *replica,
                 const struct member_proposal *proposal,
                 const struct batch_header *built)
{
    ASSERT(replica->proposal_count < PROPOSALS_MAX);
    uint32_t slot = (replica->proposal_first + replica->proposal_count++) % PROPOSALS_MAX;
    replica->proposals[slot] = (struct world_proposal){*proposal, built->crc};
    struct batch_header header = *built;
    header.base_offset = proposal->offset;
    header.epoch = proposal->epoch;
    judge_written(world, replica->log, &header);
    if (batch_offset_end(&header) != proposal->offset_end) {
        world_violate(world, "node %d log %u: a proposal got offsets %lld to %lld",
                      replica->node + 1, replica->log, (long long)proposal->offset,
                      (long long)proposal->offset_end);
    }
}

static enum pyr_err propose(struct world *world, struct world_replica *replica)
{
    struct world_log *log = &world->logs[replica->log];
    struct bytes_mut room;
    struct pyr_error error = {0};
    size_t bytes_max =
        (size_t)world->options->records_max * (world->options->value_bytes_max + 64) +
        BATCH_HEADER_BYTES;
    enum pyr_err err = member_reserve(replica->member, bytes_max, &room, &error);
    if (err != PYR_OK) {
        return err;
    }
    size_t bytes = batch_build(world, log, room);
    struct batch_header built;
    struct member_proposal proposal;
    err = batch_header_read((struct bytes){room.data, bytes}, &built, &error);
    ASSERT(err == PYR_OK);
    err = member_append(replica->member, bytes, 0, &proposal, &error);
    if (err != PYR_OK) {
        member_unreserve(replica->member);
        return err;
    }
    note(world, replica, &proposal, &built);
    return PYR_OK;
}

static bool can_hear(const struct world *world, int32_t number)
{
    const struct world_node *node = &world->nodes[number];
    return node->state == NODE_UP && node->paused_ns <= world->now_ns;
}

/* Propose to @number, and go elsewhere the next time if it refuses. */
static void try_node(struct world *world, uint32_t index, int32_t number, uint64_t proposals)
{
    struct world_log *log = &world->logs[index];
    struct world_node *node = &world->nodes[number];
    struct world_replica *replica = &node->replicas[index];
    enum pyr_err err = PYR_ERR_IO;
    bool is_heard = can_hear(world, number);
    if (is_heard) {
        node_clock_set(world, node);
    }
    for (uint64_t more = 0; is_heard && more < proposals; more++) {
        if (replica->proposal_count >= world->options->in_flight_max) {
            err = PYR_OK; /* It does not refuse; it is slow, or cut off. */
            number = prng_below(&world->client_prng, 4) == 0 ? NOBODY : number;
            break;
        }
        err = propose(world, replica);
        world_mix(world, (uint64_t)err);
        if (err != PYR_OK) {
            world_count(world, err == PYR_ERR_BUSY ? WORLD_COUNT_busy : WORLD_COUNT_refused);
            break;
        }
    }
    bool is_taken = err == PYR_OK || err == PYR_ERR_BUSY;
    log->guess = is_taken && number != NOBODY
                     ? number
                     : (int32_t)prng_below(&world->client_prng, (uint64_t)world->options->nodes);
    if (is_heard && !world->is_over) {
        node_turn(world, node);
    }
}

static void read_somewhere(struct world *world, uint32_t index)
{
    int32_t number = (int32_t)prng_below(&world->client_prng, (uint64_t)world->options->nodes);
    if (can_hear(world, number)) {
        node_clock_set(world, &world->nodes[number]);
        judge_read(world, &world->nodes[number].replicas[index]);
        if (!world->is_over) {
            reads_begin_at(world, number, index);
            node_turn(world, &world->nodes[number]);
        }
    }
    for (int32_t other = 0; other < world->options->nodes && !world->is_over; other++) {
        if (can_hear(world, other)) {
            node_clock_set(world, &world->nodes[other]);
            judge_lease_read(world, &world->nodes[other].replicas[index]);
        }
    }
}

void clients_happen(struct world *world)
{
    const struct world_options *options = world->options;
    struct prng *prng = &world->client_prng;
    uint64_t think_ns = world_around(prng, options->think_ns / options->logs);
    world->next_ns[ACTOR_CLIENTS] = world->now_ns + 1 + think_ns;
    uint32_t index = (uint32_t)prng_below(prng, options->logs);
    struct world_log *log = &world->logs[index];
    bool has_enough = world->phase != PHASE_TROUBLE && log->phase_acknowledged >= MORE_WANTED;
    if (has_enough || world->now_ns < world->lull_ns) {
        return;
    }
    bool is_stray = world->phase == PHASE_TROUBLE && prng_below(prng, THOUSAND) < options->strays;
    bool reads = prng_below(prng, THOUSAND) < options->reads;
    int32_t number = is_stray ? (int32_t)prng_below(prng, (uint64_t)options->nodes) : log->guess;
    uint64_t burst = prng_below(prng, BURST_ONE_IN) == 0 ? 1 + prng_below(prng, BURST_MAX) : 1;
    try_node(world, index, number, burst);
    if (reads && !world->is_over) {
        read_somewhere(world, index);
    }
}

void clients_look(struct world *world, struct world_replica *replica)
{
    while (replica->proposal_count > 0 && !world->is_over) {
        const struct world_proposal *oldest = &replica->proposals[replica->proposal_first];
        enum member_fate fate = member_fate(replica->member, &oldest->proposal);
        if (fate == MEMBER_FATE_OPEN) {
            return;
        }
        if (fate == MEMBER_FATE_COMMITTED) {
            judge_acknowledge(world, replica, oldest);
        } else {
            world_count(world, WORLD_COUNT_lost);
        }
        replica->proposal_first = (replica->proposal_first + 1) % PROPOSALS_MAX;
        replica->proposal_count--;
    }
}

void clients_forget(struct world *world, struct world_replica *replica)
{
    world->result->counts[WORLD_COUNT_unknown] += replica->proposal_count;
    replica->proposal_count = 0;
}
