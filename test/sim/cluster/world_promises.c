/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_promises - what a node may not forget, and what a leader may not lack.
 *
 * What left a node as promised, and what it knew to be durable, is there after any crash. Who opens
 * an epoch has all that was committed below it, nobody opened that epoch before, and no leader of a
 * lower one believes in its lease at that moment.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "partition/member_inner.h"
#include "sim/cluster/world_parts.h"

/* -- Durable copies -- */

static int32_t epoch_in(const struct epoch_row *rows, uint32_t count, int64_t offset)
{
    int32_t epoch = EPOCH_NONE;
    for (uint32_t index = 0; index < count && rows[index].offset_start <= offset; index++) {
        epoch = rows[index].epoch;
    }
    return epoch;
}

/* Return up to where the table of epochs says what the log holds: where effects wait, a cut may be
 * among them that the table has had. */
static int64_t table_end(const struct member *member)
{
    int64_t end = INT64_MAX;
    for (uint32_t index = member->rest_first; index < member->rest_first + member->rest_count;
         index++) {
        const struct replica_effect *effect = &member->rest[index];
        bool is_cut = effect->kind == REPLICA_EFFECT_TRUNCATE && effect->offset < end;
        end = is_cut ? effect->offset : end;
    }
    return end;
}

int32_t judge_copies(struct world *world, uint32_t index, int32_t epoch, int64_t offset_end)
{
    int32_t copies = 0;
    for (int32_t number = 0; number < world->options->nodes; number++) {
        const struct world_node *node = &world->nodes[number];
        const struct world_replica *replica = &node->replicas[index];
        if (node->state == NODE_UP) {
            const struct replica *core = member_replica(replica->member);
            copies += partition_durable_end(replica->partition) >= offset_end &&
                      table_end(replica->member) >= offset_end &&
                      epochs_before(&core->epochs, offset_end) == epoch;
        } else {
            copies += replica->durable_end >= offset_end &&
                      epoch_in(replica->rows, replica->row_count, offset_end - 1) == epoch;
        }
    }
    return copies;
}

/* -- Leaders -- */

/* Return whether all that was committed below its epoch stands in the log of @core. A late vote may
 * let a candidate win when a higher epoch has committed long since: that one it cannot know. */
static bool has_committed(const struct world_log *log, const struct replica *core)
{
    size_t place = log->committed_count;
    while (place > 0 && log->committed[place - 1].committed_epoch > core->promise) {
        place--;
    }
    if (place > 0 && core->epochs.offset_end < log->committed[place - 1].offset_end) {
        return false;
    }
    while (place > 0) { /* A look per epoch, from the newest: EPT-2. */
        const struct world_batch *batch = &log->committed[place - 1];
        if (epochs_before(&core->epochs, batch->offset_end) != batch->epoch) {
            return core->epochs.count > 0 && batch->offset_end <= core->epochs.rows[0].offset_start;
        }
        while (place > 0 && log->committed[place - 1].epoch == batch->epoch) {
            place--;
        }
    }
    return true;
}

static void opening_note(struct world *world, struct world_replica *replica, int32_t epoch)
{
    struct world_log *log = &world->logs[replica->log];
    const struct world_node *node = &world->nodes[replica->node];
    for (size_t index = 0; index < log->opening_count; index++) {
        if (log->openings[index].epoch == epoch) {
            world_violate(world, "log %u: epoch %d is opened by node %d and was by node %d",
                          replica->log, epoch, replica->node + 1, log->openings[index].node + 1);
        }
    }
    if (log->opening_count == log->opening_room) {
        log->opening_room *= 2;
        log->openings = realloc(log->openings, log->opening_room * sizeof *log->openings);
        ASSERT(log->openings);
    }
    log->openings[log->opening_count++] =
        (struct world_opening){epoch, replica->node, node->incarnation};
    world_count(world, WORLD_COUNT_openings);
    if (log->leader_last != replica->node) {
        world_count(world, WORLD_COUNT_leader_changes);
    }
    log->leader_last = replica->node;
}

static void rivals_check(struct world *world, const struct world_replica *replica)
{
    for (int32_t number = 0; number < world->options->nodes; number++) {
        struct world_node *node = &world->nodes[number];
        if (number == replica->node || node->state != NODE_UP) {
            continue;
        }
        struct member *member = node->replicas[replica->log].member;
        const struct replica *core = member_replica(member);
        if (core->role != REPLICA_LEADER) {
            continue;
        }
        world_count(world, WORLD_COUNT_rivals);
        node_clock_set(world, node);
        if (core->promise < replica->promise && member_lease_holds(member)) {
            world_violate(world, "log %u: node %d opens an epoch under the lease of node %d",
                          replica->log, replica->node + 1, number + 1);
        }
    }
}

void judge_role(struct world *world, struct world_replica *replica)
{
    const struct replica *core = member_replica(replica->member);
    if (core->role == REPLICA_STOPPED) {
        world_violate(world, "node %d log %u: is told to cut what is committed", replica->node + 1,
                      replica->log);
        return;
    }
    bool leads_anew = core->role == REPLICA_LEADER &&
                      (replica->role != REPLICA_LEADER || replica->promise != core->promise);
    if (core->promise > replica->promise) {
        world_count(world, WORLD_COUNT_promises);
    }
    replica->role = core->role;
    replica->promise = core->promise;
    if (leads_anew) {
        opening_note(world, replica, core->promise);
        rivals_check(world, replica);
        if (!has_committed(&world->logs[replica->log], core)) {
            world_violate(world, "node %d log %u: leads and lacks what is committed",
                          replica->node + 1, replica->log);
        }
    }
}

/* -- Promises -- */

void judge_send(struct world *world,
                struct world_replica *replica,
                const struct world_letter *letter)
{
    if (letter->kind == LETTER_CONFIRM) {
        replica->promise_told =
            letter->epoch > replica->promise_told ? letter->epoch : replica->promise_told;
        return;
    }
    const struct replica_message *message = &letter->inner.message;
    bool is_granted = message->kind == REPLICA_VOTE_ANSWER && message->as.ballot.is_granted;
    bool is_alike = message->kind == REPLICA_APPEND_ANSWER &&
                    message->as.answer.outcome == REPLICA_OUTCOME_ALIKE;
    bool is_own = message->kind == REPLICA_VOTE || message->kind == REPLICA_APPEND;
    int32_t told = is_granted || is_alike || is_own ? message->epoch : message->promise;
    told = message->promise > told ? message->promise : told;
    replica->promise_told = told > replica->promise_told ? told : replica->promise_told;
    struct bytes rest = letter->inner.batches;
    while (rest.count > 0) {
        struct batch_header header;
        if (batch_header_read(rest, &header, NULL) != PYR_OK) {
            world_violate(world, "node %d log %u: sends what is no batch", replica->node + 1,
                          replica->log);
            return;
        }
        judge_written(world, replica->log, &header);
        rest = (struct bytes){rest.data + header.bytes, rest.count - header.bytes};
    }
}

void judge_start(struct world *world, struct world_replica *replica)
{
    const struct replica *core = member_replica(replica->member);
    const struct epoch_table *epochs = &core->epochs;
    bool is_forgetful = world->nodes[replica->node].is_forgetful;
    if (is_forgetful) {
        replica->promise_told = core->promise;
        replica->promise_durable = core->promise;
        replica->durable_end = 0;
    }
    if (core->promise < replica->promise_told || core->promise < replica->promise_durable) {
        world_violate(world, "node %d log %u: comes back with promise %d, it had told %d",
                      replica->node + 1, replica->log, core->promise, replica->promise_told);
    }
    int32_t epoch = epoch_in(replica->rows, replica->row_count, replica->durable_end - 1);
    bool is_there = epochs->offset_end >= replica->durable_end &&
                    epochs_before(epochs, replica->durable_end) == epoch;
    if (replica->durable_end > 0 && !is_there) {
        world_violate(world,
                      "node %d log %u: comes back with end %" PRId64 ", %" PRId64 " was durable",
                      replica->node + 1, replica->log, epochs->offset_end, replica->durable_end);
    }
    replica->role = core->role;
    replica->promise = core->promise;
    replica->position = epochs_position(epochs);
    replica->committed = replica->partition->offset_committed;
    replica->proposal_first = 0;
    replica->proposal_count = 0;
    judge_walk(world, replica, true);
}

void judge_crash(struct world_replica *replica)
{
    const struct replica *core = member_replica(replica->member);
    uint32_t count = core->epochs.count < EPOCH_ROWS_MAX ? core->epochs.count : EPOCH_ROWS_MAX;
    memcpy(replica->rows, core->epochs.rows + (core->epochs.count - count),
           count * sizeof replica->rows[0]);
    replica->row_count = count;
    int64_t end = table_end(replica->member);
    replica->durable_end = partition_durable_end(replica->partition);
    replica->durable_end = end < replica->durable_end ? end : replica->durable_end;
    replica->promise_durable = partition_promise_durable(replica->partition);
}

/* -- Leases -- */

void judge_lease_read(struct world *world, struct world_replica *replica)
{
    const struct world_log *log = &world->logs[replica->log];
    if (!member_lease_holds(replica->member)) {
        return;
    }
    world_count(world, WORLD_COUNT_lease_reads);
    if (replica->partition->offset_committed < log->acknowledged_end) {
        world_violate(world,
                      "node %d log %u: holds a lease and knows %" PRId64 " of %" PRId64
                      " acknowledged",
                      replica->node + 1, replica->log, replica->partition->offset_committed,
                      log->acknowledged_end);
    }
}
