/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_node - the life of a node: start, turn, fall.
 *
 *      DOWN --start_ns--> OPENING --its own clock is reached--> UP --crash--> DOWN
 *
 * A node recovers at once, as the calls that do it block; its clock runs ahead meanwhile, and until
 * the world's time has caught up nobody hears of it. What a crash in the middle of that leaves is
 * taken from a recording.
 *
 * Two times: the world's, which all that is planned goes by, and the node's own, which everything
 * inside it sees. They go at slightly different rates.
 *
 *      local = local_ns + (world - world_ns) * (1 + drift)
 */
#include <inttypes.h>
#include <string.h>

#include "partition/shard_inner.h"
#include "sim/cluster/world_parts.h"

enum { LEAD_EVENTS_MAX = 40 };

#define CLOCK_START_MAX (3600 * NS_PER_S)

/* -- Clocks -- */

static uint64_t local_of(const struct world_node *node, uint64_t world_ns)
{
    ASSERT(world_ns >= node->world_ns);
    uint64_t passed = world_ns - node->world_ns;
    return node->local_ns + passed * (uint64_t)((int64_t)MILLION + node->drift_ppm) / MILLION;
}

/* Return the first world time at which the node's clock shows at least @local_ns. */
static uint64_t world_of(const struct world_node *node, uint64_t local_ns)
{
    if (local_ns == NEVER || local_ns <= node->local_ns) {
        return local_ns == NEVER ? NEVER : node->world_ns;
    }
    uint64_t rate = (uint64_t)((int64_t)MILLION + node->drift_ppm);
    return node->world_ns + ((local_ns - node->local_ns) * MILLION + rate - 1) / rate;
}

void node_clock_set(struct world *world, struct world_node *node)
{
    ASSERT(node->state != NODE_DOWN);
    sim_set_now(node->sim, local_of(node, world->now_ns));
}

/* -- Start -- */

static void letter_send(void *ctx,
                        const struct quorum_member *to,
                        const struct member_letter *inner)
{
    struct world_replica *replica = ctx;
    struct world *world = replica->world;
    struct world_node *node = &world->nodes[replica->node];
    if (node->state != NODE_UP) {
        return; /* It is being left. */
    }
    struct world_letter letter = {.kind = LETTER_MESSAGE,
                                  .from = replica->node,
                                  .to = to->node.value - 1,
                                  .log = replica->log,
                                  .inner = *inner};
    judge_send(world, replica, &letter);
    network_send(world, &letter);
}

static bool members_open(struct world *world, struct world_node *node, struct pyr_error *error)
{
    uint64_t run = prng_next(&world->node_prng);
    for (uint32_t log = 0; log < world->options->logs; log++) {
        struct world_replica *replica = &node->replicas[log];
        const struct member_options options = {.config = &world->config,
                                               .self = node->self,
                                               .incarnation = node->incarnation,
                                               .run = run,
                                               .timeout_ns = world->options->timeout_ns,
                                               .seed = prng_next(&world->node_prng),
                                               .send = letter_send,
                                               .ctx = replica};
        if (member_open(replica->partition, &options, &replica->member, error) != PYR_OK) {
            return false;
        }
        replica->place = (struct cache_place){0};
    }
    return true;
}

static void sim_begin(struct world *world, struct world_node *node)
{
    const struct world_options *options = world->options;
    node->world_ns = world->now_ns;
    node->local_ns = NS_PER_S + prng_below(&world->node_prng, CLOCK_START_MAX);
    node->drift_ppm = (int32_t)prng_between(&world->node_prng, -(int64_t)options->drift_ppm_max,
                                            options->drift_ppm_max);
    node->sim = sim_create(&(struct sim_options){.disk = node->disk,
                                                 .seed = prng_next(&world->node_prng),
                                                 .latency_ns_min = options->disk_ns_min,
                                                 .latency_ns_max = options->disk_ns_max,
                                                 .now_ns = node->local_ns});
    sim_step_wall(node->sim, node->wall_ms - (int64_t)(node->local_ns / NS_PER_MS) +
                                 (int64_t)(world->now_ns / NS_PER_MS));
}

/* Let the node fall in the middle of its recovery, which was recorded from event @first on. */
static bool falls_opening(struct world *world, struct world_node *node, size_t first)
{
    size_t count = sim_record_count(node->disk);
    if (count == first) {
        return false;
    }
    size_t event = first + (size_t)prng_below(&world->node_prng, count - first);
    uint64_t mark = 0;
    struct sim_disk *image =
        sim_record_image(node->disk, event, SIM_CRASH_RANDOM, prng_next(&world->node_prng), &mark);
    world_disk_leave(node);
    sim_disk_destroy(node->disk);
    node->disk = image;
    node->state = NODE_DOWN;
    node->start_ns =
        world->now_ns + world_around(&world->node_prng, world->options->fault_life_ns / 4);
    world_count(world, WORLD_COUNT_crashes_opening);
    world_count(world, WORLD_COUNT_crashes);
    HISTORY(world, node->number, WORLD_LOGS_MAX, "falls while it recovers");
    return true;
}

static void node_start(struct world *world, struct world_node *node)
{
    struct pyr_error error = {0};
    bool is_first = node->incarnation == 0;
    bool is_recorded = !is_first && world->phase == PHASE_TROUBLE &&
                       prng_below(&world->node_prng, THOUSAND) < world->options->crash_opening;
    node->incarnation++;
    if (world->options->weights[WORLD_FAULT_roll_back] > 0 && !is_first) {
        sim_disk_destroy(node->disk_before);
        node->disk_before = sim_disk_copy(node->disk);
    }
    sim_begin(world, node);
    size_t recorded_first = sim_record_count(node->disk);
    if (is_recorded) {
        sim_record_start(node->disk);
    }
    node->state = NODE_OPENING;
    bool is_open = world_disk_open(world->options, node, &error);
    if (is_recorded) {
        sim_record_stop(node->disk);
    }
    if (is_open && is_recorded && falls_opening(world, node, recorded_first)) {
        return;
    }
    bool is_excused = node->full_disk > 0 || node->is_forgetful;
    if (!is_open && is_excused) { /* A clear stop. */
        world_disk_leave(node);
        node->state = NODE_DOWN;
        node->start_ns = world->now_ns + world->options->fault_life_ns + 1;
        world_count(world, WORLD_COUNT_stops);
        return;
    }
    if (!is_open || !members_open(world, node, &error)) {
        world_violate(world, "node %d does not start: %s", node->number + 1, error.message);
        return;
    }
    node->ready_ns = world_of(node, sim_now_ns(node->sim));
    if (!is_first) {
        world_count(world, WORLD_COUNT_starts);
    }
}

static void node_ready(struct world *world, struct world_node *node)
{
    node->state = NODE_UP;
    node->beat_ns = 0;
    node->crash_after = 0;
    node->crash_at_promise = false;
    node->crash_at_lead = false;
    node->may_fail = false;
    if (node->slow_disk > 0) {
        sim_set_latency(node->sim, world->options->disk_ns_min * 100,
                        world->options->disk_ns_max * 100);
    }
    for (uint32_t log = 0; log < world->options->logs; log++) {
        judge_start(world, &node->replicas[log]);
    }
    HISTORY(world, node->number, WORLD_LOGS_MAX, "is up");
}

void node_init(struct world *world, int32_t number, struct sim_disk *disk)
{
    struct world_node *node = &world->nodes[number];
    node->number = number;
    node->disk = disk;
    node->self = world->config.voters[number];
    for (uint32_t log = 0; log < WORLD_LOGS_MAX; log++) {
        node->replicas[log].world = world;
        node->replicas[log].node = number;
        node->replicas[log].log = log;
    }
    node_plan(world, node);
}

/* -- Fall -- */

void node_crash(struct world *world, struct world_node *node, uint64_t start_ns)
{
    ASSERT(node->state != NODE_DOWN);
    HISTORY(world, node->number, WORLD_LOGS_MAX, "falls");
    if (node->state == NODE_UP) {
        world->result->counts[WORLD_COUNT_checkpoints] += node->shard->checkpoints;
        reads_forget(world, node);
        for (uint32_t log = 0; log < world->options->logs; log++) {
            judge_crash(&node->replicas[log]);
            clients_forget(world, &node->replicas[log]);
        }
    }
    world_mix(world, sim_trace(node->sim));
    node->state = NODE_DOWN;
    if (prng_below(&world->node_prng, 2) == 0) {
        network_forget(world, node->number);
    }
    struct sim_disk *image =
        sim_disk_crash(node->disk, SIM_CRASH_RANDOM, prng_next(&world->node_prng));
    world_disk_leave(node);
    sim_disk_destroy(node->disk);
    node->disk = image;
    node->start_ns = start_ns;
    node->paused_ns = 0;
    world_count(world, WORLD_COUNT_crashes);
    node_plan(world, node);
}

void node_deinit(struct world *world, struct world_node *node)
{
    if (node->state != NODE_DOWN) {
        if (node->state == NODE_UP) {
            world->result->counts[WORLD_COUNT_checkpoints] += node->shard->checkpoints;
            reads_forget(world, node);
        }
        world_mix(world, sim_trace(node->sim));
        node->state = NODE_DOWN;
        world_disk_leave(node);
    }
    sim_disk_destroy(node->disk);
    sim_disk_destroy(node->disk_before);
}

/* -- Turn -- */

/* Send @beat to all others. */
static void beat_send(struct world *world, struct world_letter *beat)
{
    for (int32_t other = 0; other < world->options->nodes; other++) {
        beat->to = other;
        if (other != beat->from) {
            world_count(world, WORLD_COUNT_beats);
            network_send(world, beat);
        }
    }
}

static void beats_send(struct world *world, struct world_node *node)
{
    uint64_t now_ns = sim_now_ns(node->sim);
    node->beat_ns = now_ns + world->options->beat_ns;
    for (uint32_t log = 0; log < world->options->logs; log++) {
        struct world_letter letter = {.kind = LETTER_LIVE,
                                      .from = node->number,
                                      .log = log,
                                      .sent_ns = now_ns,
                                      .committed = node->replicas[log].partition->offset_committed};
        if (!member_leads(node->replicas[log].member, &letter.epoch)) {
            continue;
        }
        beat_send(world, &letter);
    }
}

void node_plan(struct world *world, struct world_node *node)
{
    uint64_t *next_ns = &world->next_ns[node->number];
    switch (node->state) {
    case NODE_DOWN:
        *next_ns = node->start_ns;
        return;
    case NODE_OPENING:
        *next_ns = node->ready_ns;
        return;
    case NODE_UP:
        break;
    }
    uint64_t local_ns = sim_next_ns(node->sim, node->loop);
    local_ns = node->beat_ns < local_ns ? node->beat_ns : local_ns;
    *next_ns = world_of(node, local_ns);
    *next_ns = node->paused_ns > *next_ns ? node->paused_ns : *next_ns;
}

/* Return whether the node has to fall: its journal failed, or it was to fall now. */
static bool falls_now(struct world *world, struct world_node *node)
{
    struct pyr_error error;
    if (shard_health(node->shard, &error) != PYR_OK) {
        if (!node->may_fail && !node->is_forgetful) {
            world_violate(world, "node %d: %s", node->number + 1, error.message);
        }
        return true;
    }
    if (node->crash_after > 0) {
        node->crash_after--;
        return node->crash_after == 0;
    }
    return false;
}

/* Let the node fall soon after it opened an epoch, or cut its log, if that is drawn. */
static void crash_arm(struct world *world, struct world_node *node, bool has_opened, bool has_cut)
{
    const struct world_options *options = world->options;
    if (world->phase != PHASE_TROUBLE || node->crash_after > 0 || (!has_opened && !has_cut)) {
        return;
    }
    uint64_t chance = has_opened ? options->crash_leads : options->crash_cuts;
    bool is_drawn = prng_below(&world->node_prng, THOUSAND) < chance;
    if (is_drawn || (has_opened && node->crash_at_lead)) {
        node->crash_at_lead = false;
        node->crash_after = 1 + (uint32_t)prng_below(&world->node_prng, LEAD_EVENTS_MAX);
    }
}

void node_turn(struct world *world, struct world_node *node)
{
    ASSERT(node->state == NODE_UP);
    uint64_t promises = world->result->counts[WORLD_COUNT_promises];
    uint64_t cuts = world->result->counts[WORLD_COUNT_truncations];
    uint64_t openings = world->result->counts[WORLD_COUNT_openings];
    (void)io_loop_dispatch(node->loop);
    shard_step(node->shard);
    for (uint32_t log = 0; log < world->options->logs; log++) {
        member_step(node->replicas[log].member);
    }
    if (node->beat_ns <= sim_now_ns(node->sim)) {
        beats_send(world, node);
    }
    shard_kick(node->shard);
    for (uint32_t log = 0; log < world->options->logs && !world->is_over; log++) {
        judge_look(world, &node->replicas[log]);
    }
    if (node->reads > 0 && !world->is_over) {
        reads_look(world, node);
    }
    bool has_opened = world->result->counts[WORLD_COUNT_openings] > openings;
    bool has_cut = world->result->counts[WORLD_COUNT_truncations] > cuts;
    crash_arm(world, node, has_opened, has_cut);
    bool has_promised = world->result->counts[WORLD_COUNT_promises] > promises;
    if (falls_now(world, node) || (node->crash_at_promise && has_promised)) {
        uint64_t down_ns = world_around(&world->node_prng, world->options->fault_life_ns);
        node_crash(world, node, world->now_ns + down_ns);
        return;
    }
    node_plan(world, node);
}

void node_happen(struct world *world, struct world_node *node)
{
    switch (node->state) {
    case NODE_DOWN:
        node_start(world, node);
        node_plan(world, node);
        return;
    case NODE_OPENING:
        node_ready(world, node);
        node_clock_set(world, node);
        node_plan(world, node);
        return;
    case NODE_UP:
        node_clock_set(world, node);
        if (node->paused_ns > 0) {
            node->paused_ns = 0;
            reads_at_once(world, node);
        }
        node_turn(world, node);
        return;
    }
}
