/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_reads - linearizable reads: under a lease, behind a barrier, of a quorum.
 *
 * A read notes how far the log was acknowledged when it began. Whenever its node says that it may
 * read, what that node has committed reaches at least as far. A read that gets nowhere is given up
 * after some timeouts; one whose node falls is over.
 */
#include "sim/cluster/world_parts.h"

enum { LIFE_TIMEOUTS = 4 };

static void read_judge(struct world *world, const struct world_read *read, const char *what)
{
    const struct world_replica *replica = &world->nodes[read->node].replicas[read->log];
    if (replica->partition->offset_committed < read->wanted_end) {
        world_violate(world, "node %d log %u: %s may read up to %lld, %lld was acknowledged before",
                      read->node + 1, read->log, what,
                      (long long)replica->partition->offset_committed, (long long)read->wanted_end);
    }
}

/* Look how far @read is; return whether it is over. */
static bool read_look(struct world *world, struct world_read *read)
{
    struct world_replica *replica = &world->nodes[read->node].replicas[read->log];
    bool is_late = world->now_ns > read->begin_ns + LIFE_TIMEOUTS * world->options->timeout_ns;
    if (read->kind == READ_BARRIER) {
        if (member_barrier_holds(replica->member, read->since_ns)) {
            world_count(world, WORLD_COUNT_barrier_reads);
            read_judge(world, read, "behind a barrier it");
            return true;
        }
        return is_late;
    }
    bool is_done = member_read_step(replica->member, &read->inner) == READS_DONE;
    if (is_done) {
        world_count(world, WORLD_COUNT_quorum_reads);
        read_judge(world, read, "by a quorum it");
    }
    if (is_done || is_late) {
        member_read_end(replica->member, &read->inner);
    }
    return is_done || is_late;
}

void reads_at_once(struct world *world, struct world_node *node)
{
    for (uint32_t log = 0; log < world->options->logs && !world->is_over; log++) {
        struct world_replica *replica = &node->replicas[log];
        const struct world_read read = {.node = node->number,
                                        .log = log,
                                        .wanted_end = world->logs[log].acknowledged_end};
        judge_lease_read(world, replica);
        if (member_barrier_holds(replica->member, sim_now_ns(node->sim))) {
            read_judge(world, &read, "behind a barrier at once it");
        }
    }
}

void reads_look(struct world *world, struct world_node *node)
{
    for (uint32_t index = 0; index < READS_MAX && node->reads > 0 && !world->is_over; index++) {
        struct world_read *read = &world->reads[index];
        if (read->kind != READ_NONE && read->node == node->number && read_look(world, read)) {
            read->kind = READ_NONE;
            node->reads--;
        }
    }
}

void reads_forget(struct world *world, struct world_node *node)
{
    for (uint32_t index = 0; index < READS_MAX && node->reads > 0; index++) {
        struct world_read *read = &world->reads[index];
        if (read->kind == READ_NONE || read->node != node->number) {
            continue;
        }
        if (read->kind == READ_QUORUM) {
            member_read_end(node->replicas[read->log].member, &read->inner);
        }
        read->kind = READ_NONE;
        node->reads--;
    }
}

void reads_begin_at(struct world *world, int32_t number, uint32_t log)
{
    struct world_node *node = &world->nodes[number];
    struct member *member = node->replicas[log].member;
    uint32_t index = 0;
    while (index < READS_MAX && world->reads[index].kind != READ_NONE) {
        index++;
    }
    if (index == READS_MAX) {
        return;
    }
    struct world_read *read = &world->reads[index];
    int32_t epoch;
    struct pyr_error error;
    bool is_barrier = member_leads(member, &epoch) && prng_below(&world->judge_prng, 2) == 0;
    *read = (struct world_read){.kind = is_barrier ? READ_BARRIER : READ_QUORUM,
                                .node = number,
                                .log = log,
                                .begin_ns = world->now_ns,
                                .since_ns = sim_now_ns(node->sim),
                                .wanted_end = world->logs[log].acknowledged_end};
    if (!is_barrier && member_read_begin(member, &read->inner, &error) != PYR_OK) {
        read->kind = READ_NONE;
        return;
    }
    node->reads++;
}
