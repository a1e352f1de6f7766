/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world - one run: what happens next, phases, verdict.
 *
 *      TROUBLE --enough acknowledged, enough faults--> CORE --it agrees--> ALL --all agree--> OVER
 *
 * The nodes, the network, the clients and the faults each say when they next do something. The
 * earliest does it, and the time is then.
 */
#include "sim/cluster/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cluster/world_parts.h"

enum { SETTLE_TIMEOUTS = 400, SETTLE_LOOK_EVENTS = 16, MORE_WANTED = 1, AROUND_TENTHS = 20 };

/* -- What all files use -- */

void world_violate(struct world *world, const char *format, ...)
{
    world->is_over = true;
    if (world->result->verdict != WORLD_GOOD) {
        return;
    }
    world->result->verdict = WORLD_VIOLATED;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world->result->violation, sizeof world->result->violation, format, arguments);
    va_end(arguments);
    HISTORY(world, NOBODY, WORLD_LOGS_MAX, "VIOLATION: %s", world->result->violation);
    for (uint32_t log = 0; log < world->options->logs; log++) {
        HISTORY(world, NOBODY, log, "at the end");
    }
}

void world_mix(struct world *world, uint64_t value)
{
    /* FNV-1a over words: enough to tell two runs apart. */
    world->result->hash = (world->result->hash ^ value) * UINT64_C(0x100000001b3);
}

uint64_t world_around(struct prng *prng, uint64_t mean_ns)
{
    return mean_ns / 10 + prng_below(prng, mean_ns * (AROUND_TENTHS - 1) / 10 + 1);
}

int32_t world_leader(struct world *world, uint32_t log)
{
    uint64_t first = prng_below(&world->fault_prng, (uint64_t)world->options->nodes);
    for (int32_t index = 0; index < world->options->nodes; index++) {
        int32_t number = (int32_t)((first + (uint64_t)index) % (uint64_t)world->options->nodes);
        const struct world_node *node = &world->nodes[number];
        int32_t epoch;
        if (node->state == NODE_UP && member_leads(node->replicas[log].member, &epoch)) {
            return number;
        }
    }
    return NOBODY;
}

/* -- Phases -- */

static bool is_in(const struct world *world, int32_t number)
{
    return (world->core >> number & 1) != 0;
}

/* Return whether all of the core have all of @log, committed, and something of this phase. */
static bool is_level(struct world *world, uint32_t index)
{
    const struct world_log *log = &world->logs[index];
    if (log->phase_acknowledged < MORE_WANTED) {
        return false;
    }
    for (int32_t number = 0; number < world->options->nodes; number++) {
        const struct world_node *node = &world->nodes[number];
        const struct world_replica *replica = &node->replicas[index];
        if (!is_in(world, number)) {
            continue;
        }
        if (node->state != NODE_UP || replica->proposal_count > 0 ||
            replica->partition->offset_committed != log->committed_end ||
            replica->partition->offset_end != log->committed_end) {
            return false;
        }
    }
    return true;
}

static void phase_begin(struct world *world, enum world_phase phase)
{
    world->phase = phase;
    world->phase_ns = world->now_ns;
    for (uint32_t log = 0; log < world->options->logs; log++) {
        world->logs[log].phase_acknowledged = 0;
    }
}

/* Let the nodes outside the core be down, and those of it up soon. */
static void core_begin(struct world *world)
{
    const struct world_options *options = world->options;
    int32_t election = quorum_election(&world->config.rules);
    int32_t least = election > options->write_quorum ? election : options->write_quorum;
    uint64_t range = (uint64_t)(options->nodes - least) + 1;
    int32_t wanted = least + (int32_t)prng_below(&world->fault_prng, range);
    world->core = 0;
    for (int32_t chosen = 0; chosen < wanted;) {
        uint64_t number = prng_below(&world->fault_prng, (uint64_t)options->nodes);
        chosen += (world->core >> number & 1) == 0;
        world->core |= UINT32_C(1) << number;
    }
    faults_end(world);
    for (int32_t number = 0; number < options->nodes; number++) {
        struct world_node *node = &world->nodes[number];
        if (!is_in(world, number) && node->state != NODE_DOWN) {
            node_crash(world, node, NEVER);
        }
        if (node->state == NODE_DOWN) {
            node->start_ns = is_in(world, number) ? world->now_ns : NEVER;
        }
        node_plan(world, node);
    }
    HISTORY(world, NOBODY, 0, "all faults end, core %x", world->core);
    phase_begin(world, PHASE_CORE);
}

static void all_begin(struct world *world)
{
    world->core = (UINT32_C(1) << world->options->nodes) - 1;
    for (int32_t number = 0; number < world->options->nodes; number++) {
        struct world_node *node = &world->nodes[number];
        if (node->state == NODE_DOWN) {
            node->start_ns = world->now_ns;
        }
        node_plan(world, node);
    }
    HISTORY(world, NOBODY, 0, "all nodes may come back");
    phase_begin(world, PHASE_ALL);
}

/* All that was acknowledged is in the history by now, and the history nowhere misses. */
static void walk_core(struct world *world)
{
    for (int32_t number = 0; number < world->options->nodes && !world->is_over; number++) {
        for (uint32_t log = 0; is_in(world, number) && log < world->options->logs; log++) {
            judge_walk(world, &world->nodes[number].replicas[log], true);
        }
    }
}

static void settle_look(struct world *world)
{
    bool are_level = true;
    for (uint32_t log = 0; log < world->options->logs && are_level; log++) {
        are_level = is_level(world, log);
    }
    if (are_level) {
        walk_core(world);
        if (world->phase == PHASE_CORE && !world->is_over) {
            world->result->heal_ns = world->now_ns - world->phase_ns;
            all_begin(world);
        } else {
            world->is_over = true;
        }
        return;
    }
    if (world->now_ns > world->phase_ns + SETTLE_TIMEOUTS * world->options->timeout_ns) {
        world_violate(world, "%s does not come to agree",
                      world->phase == PHASE_CORE ? "the core" : "the cluster");
        world->result->verdict = WORLD_STUCK;
    }
}

static void trouble_look(struct world *world)
{
    const struct world_options *options = world->options;
    bool has_enough =
        world->result->counts[WORLD_COUNT_acknowledged] >= options->acknowledged_wanted &&
        world->fault_total >= options->faults_wanted &&
        world->result->counts[WORLD_COUNT_truncations] >= options->cuts_wanted;
    if (has_enough || world->now_ns >= options->trouble_ns_max) {
        world->result->trouble_ns = world->now_ns;
        core_begin(world);
    }
}

/* -- The run -- */

static void config_set(struct world *world)
{
    const struct world_options *options = world->options;
    world->config.rules = (struct quorum_rules){.voter_count = options->nodes,
                                                .write_quorum = options->write_quorum,
                                                .read_quorum = options->read_quorum,
                                                .unclean_election = options->unclean_election != 0};
    for (int32_t number = 0; number < options->nodes; number++) {
        world->config.voters[number] =
            (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
    }
}

static struct world *world_create(const struct world_options *options, struct world_result *result)
{
    struct world *world = calloc(1, sizeof *world);
    ASSERT(world);
    world->options = options;
    world->result = result;
    world->now_ns = NS_PER_MS;
    world->buffer = malloc(READ_BYTES);
    ASSERT(world->buffer);
    world->node_prng = prng_of(options->seed, 1);
    world->client_prng = prng_of(options->seed, 2);
    world->fault_prng = prng_of(options->seed, 3);
    world->judge_prng = prng_of(options->seed, 4);
    world->network.prng = prng_of(options->seed, 5);
    config_set(world);
    judge_init(world);
    network_init(world);
    struct sim_disk *disk = world_disk_create(options);
    for (int32_t number = 0; number < WORLD_NODES_MAX; number++) {
        world->next_ns[number] = NEVER;
    }
    for (int32_t number = 0; number < options->nodes; number++) {
        node_init(world, number, sim_disk_copy(disk));
    }
    sim_disk_destroy(disk);
    world->next_ns[ACTOR_CLIENTS] = world->now_ns + options->timeout_ns;
    world->fault_next_ns = world->now_ns + 2 * options->timeout_ns;
    world->next_ns[ACTOR_FAULTS] = world->fault_next_ns;
    return world;
}

static void world_destroy(struct world *world)
{
    for (int32_t number = 0; number < world->options->nodes; number++) {
        node_deinit(world, &world->nodes[number]);
    }
    judge_deinit(world);
    network_deinit(world);
    free(world->buffer);
    free(world);
}

/* Let the next thing happen. */
static void world_step(struct world *world)
{
    int first = 0;
    for (int actor = 1; actor < ACTORS; actor++) {
        first = world->next_ns[actor] < world->next_ns[first] ? actor : first;
    }
    uint64_t next_ns = world->next_ns[first];
    ASSERT(next_ns != NEVER);
    world->now_ns = next_ns > world->now_ns ? next_ns : world->now_ns;
    world_mix(world, world->now_ns);
    world_mix(world, (uint64_t)first);
    world_count(world, WORLD_COUNT_events);
    switch (first) {
    case ACTOR_NETWORK:
        network_happen(world);
        return;
    case ACTOR_CLIENTS:
        clients_happen(world);
        return;
    case ACTOR_FAULTS:
        faults_happen(world);
        return;
    default:
        node_happen(world, &world->nodes[first]);
        return;
    }
}

void world_run(const struct world_options *options, struct world_result *ret_result)
{
    ASSERT(options->nodes >= 1 && options->nodes <= WORLD_NODES_MAX);
    ASSERT(options->logs >= 1 && options->logs <= WORLD_LOGS_MAX);
    ASSERT_STATIC((int)WORLD_IN_FLIGHT_MAX < (int)PROPOSALS_MAX,
                  "each has its place in a replica's ring");
    ASSERT(options->in_flight_max <= WORLD_IN_FLIGHT_MAX);
    *ret_result = (struct world_result){.hash = UINT64_C(0xcbf29ce484222325)};
    struct world *world = world_create(options, ret_result);
    while (!world->is_over) {
        world_step(world);
        if (world->is_over) {
            break;
        }
        if (world->phase == PHASE_TROUBLE) {
            trouble_look(world);
        } else if (ret_result->counts[WORLD_COUNT_events] % SETTLE_LOOK_EVENTS == 0) {
            settle_look(world);
        }
    }
    ret_result->virtual_ns = world->now_ns;
    world_destroy(world);
}
