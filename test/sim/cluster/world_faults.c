/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_faults - what goes wrong, when, and how much of it at once.
 *
 * Every so often a fault is drawn by the weights of the options and begins; what lasts ends after a
 * drawn time. Two bounds make up the atlas. Nodes held back (down, paused, cut off) are at most
 * down_max at once, which is drawn: within what still elects and commits, so that there is progress
 * under way, or above it, so that nothing goes for a while. And faults that destroy what a node has
 * acknowledged hit at most as many nodes, over the whole run, as the configuration can lose.
 */
#include <string.h>

#include "sim/cluster/world_parts.h"

enum {
    CRASH_LATER_MAX = 60,
    JUMP_HOURS_MAX = 30,
    DRAWS_MAX = 4,
    BLINK_PARTS = 40,
    LULL_TIMEOUTS = 3
};

#define HOUR_MS INT64_C(3600000)

static int32_t draw_node(struct world *world)
{
    return (int32_t)prng_below(&world->fault_prng, (uint64_t)world->options->nodes);
}

static int32_t draw_leader(struct world *world)
{
    uint32_t log = (uint32_t)prng_below(&world->fault_prng, world->options->logs);
    return world_leader(world, log);
}

static bool is_held_back(const struct world *world, const struct world_node *node)
{
    return node->state != NODE_UP || node->paused_ns > world->now_ns || node->impaired > 0;
}

bool faults_may_impair(const struct world *world, int32_t number)
{
    int32_t held_back = 0;
    for (int32_t other = 0; other < world->options->nodes; other++) {
        held_back += other == number || is_held_back(world, &world->nodes[other]);
    }
    return held_back <= world->options->down_max;
}

/* -- Cuts -- */

static void link_cut(struct world *world, int32_t from, int32_t to, bool is_begin)
{
    uint32_t *cuts = &world->network.cuts[from][to];
    if (is_begin) {
        (*cuts)++;
    } else if (*cuts > 0) {
        (*cuts)--;
    }
}

static void node_cut(struct world *world, const struct world_active *active, bool is_begin)
{
    bool is_in = active->fault != WORLD_FAULT_cut_out;
    bool is_out = active->fault != WORLD_FAULT_cut_in;
    for (int32_t other = 0; other < world->options->nodes; other++) {
        if (other != active->node && is_in) {
            link_cut(world, other, active->node, is_begin);
        }
        if (other != active->node && is_out) {
            link_cut(world, active->node, other, is_begin);
        }
    }
    struct world_node *node = &world->nodes[active->node];
    node->impaired = is_begin ? node->impaired + 1 : node->impaired - (node->impaired > 0);
}

static bool are_parted(const struct world_active *split, int32_t from, int32_t to)
{
    return (split->group >> from & 1) != (split->group >> to & 1);
}

static void group_cut(struct world *world, const struct world_active *active, bool is_begin)
{
    int32_t nodes = world->options->nodes;
    for (int32_t link = 0; link < nodes * nodes; link++) {
        if (are_parted(active, link / nodes, link % nodes)) {
            link_cut(world, link / nodes, link % nodes, is_begin);
        }
    }
}

/* -- What lasts: begin and end -- */

static void latency_set(struct world *world, struct world_node *node)
{
    uint64_t times = node->slow_disk > 0 ? 100 : 1;
    if (node->state == NODE_UP) {
        sim_set_latency(node->sim, world->options->disk_ns_min * times,
                        world->options->disk_ns_max * times);
    }
}

static void space_set(struct world_node *node, bool is_full)
{
    sim_disk_set_space(node->disk, is_full ? 0 : UINT64_MAX);
}

static void lasting(struct world *world, const struct world_active *active, bool is_begin)
{
    struct world_node *node = &world->nodes[active->node];
    uint32_t *count = NULL;
    switch ((int)active->fault) {
    case WORLD_FAULT_isolate:
    case WORLD_FAULT_isolate_leader:
    case WORLD_FAULT_cut_in:
    case WORLD_FAULT_cut_out:
        node_cut(world, active, is_begin);
        return;
    case WORLD_FAULT_cut_link:
    case WORLD_FAULT_cut_leader:
    case WORLD_FAULT_siege:
        link_cut(world, active->node, active->other, is_begin);
        return;
    case WORLD_FAULT_split:
        group_cut(world, active, is_begin);
        return;
    case WORLD_FAULT_storm:
        count = &world->network.storms;
        break;
    case WORLD_FAULT_slow_link:
        count = &world->network.slow[active->node];
        break;
    case WORLD_FAULT_slow_disk:
        count = &node->slow_disk;
        break;
    case WORLD_FAULT_disk_full:
        count = &node->full_disk;
        break;
    default:
        return;
    }
    *count = is_begin ? *count + 1 : *count - (*count > 0);
    if (active->fault == WORLD_FAULT_slow_disk) {
        latency_set(world, node);
    } else if (active->fault == WORLD_FAULT_disk_full) {
        space_set(node, *count > 0);
    }
}

static uint64_t end_draw(struct world *world, enum world_fault fault)
{
    uint64_t timeout_ns = world->options->timeout_ns;
    if (fault == WORLD_FAULT_siege) { /* About when who is deaf stands. */
        return world->now_ns + timeout_ns + prng_below(&world->fault_prng, timeout_ns);
    }
    return world->now_ns + world_around(&world->fault_prng, world->options->fault_life_ns);
}

static bool lasting_begin(struct world *world, enum world_fault fault, int32_t node)
{
    if (world->active_count == ACTIVE_MAX || node == NOBODY) {
        return false;
    }
    bool holds_back = fault == WORLD_FAULT_isolate || fault == WORLD_FAULT_isolate_leader ||
                      fault == WORLD_FAULT_cut_in || fault == WORLD_FAULT_cut_out;
    if (holds_back && !faults_may_impair(world, node)) {
        return false;
    }
    struct world_active active = {.fault = fault, .node = node, .other = draw_node(world)};
    active.end_ns = end_draw(world, fault);
    active.group = (uint32_t)prng_below(&world->fault_prng, UINT64_C(1) << world->options->nodes);
    bool is_link = fault == WORLD_FAULT_cut_link || fault == WORLD_FAULT_cut_leader ||
                   fault == WORLD_FAULT_siege;
    if (is_link && active.other == node) {
        return false;
    }
    if (fault == WORLD_FAULT_siege) { /* Who is deaf must not fall behind. */
        world->lull_ns = world->now_ns + LULL_TIMEOUTS * world->options->timeout_ns;
    }
    world->actives[world->active_count++] = active;
    lasting(world, &active, true);
    return true;
}

/* The second part of a siege: nobody hears the leader, and all but the deaf one fall and are back
 * at once: who voted for its lease has forgotten whom it heard. */
static void siege_on(struct world *world, const struct world_active *siege)
{
    (void)lasting_begin(world, WORLD_FAULT_cut_out, siege->node);
    for (int32_t number = 0; number < world->options->nodes; number++) {
        struct world_node *node = &world->nodes[number];
        bool falls = number != siege->node && number != siege->other && node->state == NODE_UP;
        if (falls) {
            uint64_t down_ns = world->options->timeout_ns / BLINK_PARTS;
            node_crash(world, node, world->now_ns + world_around(&world->fault_prng, down_ns));
        }
    }
}

static void lasting_end(struct world *world, uint32_t index)
{
    struct world_active active = world->actives[index];
    world->actives[index] = world->actives[--world->active_count];
    lasting(world, &active, false);
    HISTORY(world, active.node, WORLD_LOGS_MAX, "ends: %s", world_fault_name(active.fault));
    if (active.fault == WORLD_FAULT_siege && world->phase == PHASE_TROUBLE && !world->is_ending) {
        siege_on(world, &active);
    }
}

/* -- What happens once -- */

static bool crash(struct world *world, int32_t number, uint64_t life_ns)
{
    if (number == NOBODY || !faults_may_impair(world, number) ||
        world->nodes[number].state != NODE_UP) {
        return false;
    }
    uint64_t down_ns = world_around(&world->fault_prng, life_ns);
    node_crash(world, &world->nodes[number], world->now_ns + down_ns);
    return true;
}

static bool crash_all(struct world *world)
{
    bool has_crashed = false;
    for (int32_t number = 0; number < world->options->nodes; number++) {
        struct world_node *node = &world->nodes[number];
        if (node->state == NODE_UP) {
            uint64_t down_ns = world_around(&world->fault_prng, world->options->timeout_ns / 4);
            node_crash(world, node, world->now_ns + down_ns);
            has_crashed = true;
        }
    }
    return has_crashed;
}

static bool crash_armed(struct world *world, struct world_node *node, enum world_fault fault)
{
    if (node->state != NODE_UP || !faults_may_impair(world, node->number)) {
        return false;
    }
    if (fault == WORLD_FAULT_crash_promise) {
        node->crash_at_promise = true;
    } else if (fault == WORLD_FAULT_crash_lead) {
        node->crash_at_lead = true;
    } else {
        node->crash_after = 1 + (uint32_t)prng_below(&world->fault_prng, CRASH_LATER_MAX);
    }
    return true;
}

static bool pause_node(struct world *world, struct world_node *node)
{
    if (node->state != NODE_UP || !faults_may_impair(world, node->number)) {
        return false;
    }
    node->paused_ns =
        world->now_ns + world_around(&world->fault_prng, world->options->fault_life_ns);
    node_plan(world, node);
    return true;
}

static bool sync_fail(struct world *world, struct world_node *node)
{
    if (node->state != NODE_UP || node->may_fail || !faults_may_impair(world, node->number)) {
        return false;
    }
    const struct sim_fault fault = {.kind = SIM_WRITE,
                                    .name = "/wal/",
                                    .nth = 1 + prng_below(&world->fault_prng, DRAWS_MAX),
                                    .effect = SIM_FAIL};
    sim_fault_add(node->sim, &fault);
    node->may_fail = true;
    return true;
}

static bool wall_jump(struct world *world, struct world_node *node)
{
    int64_t step_ms = prng_between(&world->fault_prng, -JUMP_HOURS_MAX, JUMP_HOURS_MAX) * HOUR_MS;
    node->wall_ms += step_ms;
    if (node->state != NODE_DOWN) {
        sim_step_wall(node->sim, step_ms);
    }
    return true;
}

static bool hand_over(struct world *world)
{
    uint32_t log = (uint32_t)prng_below(&world->fault_prng, world->options->logs);
    int32_t leader = world_leader(world, log);
    int32_t to = draw_node(world);
    if (leader == NOBODY || to == leader) {
        return false;
    }
    struct world_node *node = &world->nodes[leader];
    if (node->paused_ns > world->now_ns) {
        return false;
    }
    node_clock_set(world, node);
    member_hand_over(node->replicas[log].member, &world->config.voters[to]);
    node_turn(world, node);
    return true;
}

/* Let a node fall and its disk be another when it comes back. As many nodes may lose what they have
 * acknowledged, over the whole run, as the configuration can lose: E - 1 that forgot could not
 * elect against a write quorum, and W - 1 that forgot leave a copy. */
static bool disk_change(struct world *world, struct world_node *node, enum world_fault fault)
{
    int32_t election = quorum_election(&world->config.rules);
    int32_t write = world->options->write_quorum;
    int32_t most = (election < write ? election : write) - 1;
    int32_t forgetful = node->is_forgetful ? 0 : 1;
    for (int32_t number = 0; number < world->options->nodes; number++) {
        forgetful += world->nodes[number].is_forgetful;
    }
    if (forgetful > most || !crash(world, node->number, world->options->fault_life_ns)) {
        return false;
    }
    node->is_forgetful = true;
    if (fault == WORLD_FAULT_damage) {
        char path[PATH_BYTES_MAX];
        size_t file = prng_below(&world->fault_prng, sim_disk_file_count(node->disk));
        int64_t bytes =
            sim_disk_file(node->disk, file, (struct bytes_mut){(uint8_t *)path, sizeof path});
        if (bytes > 0) {
            (void)sim_disk_flip(node->disk, path,
                                (int64_t)prng_below(&world->fault_prng, (uint64_t)bytes),
                                (uint32_t)prng_below(&world->fault_prng, 8));
        }
        return true;
    }
    sim_disk_destroy(node->disk);
    node->disk = fault == WORLD_FAULT_empty_disk || !node->disk_before
                     ? world_disk_create(world->options)
                     : sim_disk_copy(node->disk_before);
    return true;
}

static bool begin(struct world *world, enum world_fault fault)
{
    int32_t number = draw_node(world);
    struct world_node *node = &world->nodes[number];
    switch (fault) {
    case WORLD_FAULT_crash:
        return crash(world, number, world->options->fault_life_ns);
    case WORLD_FAULT_crash_leader:
        return crash(world, draw_leader(world), world->options->fault_life_ns);
    case WORLD_FAULT_blink:
        return crash(world, number, world->options->timeout_ns / BLINK_PARTS);
    case WORLD_FAULT_crash_later:
    case WORLD_FAULT_crash_promise:
    case WORLD_FAULT_crash_lead:
        return crash_armed(world, node, fault);
    case WORLD_FAULT_crash_all:
        return crash_all(world);
    case WORLD_FAULT_isolate_leader:
    case WORLD_FAULT_cut_leader:
    case WORLD_FAULT_siege:
        return lasting_begin(world, fault, draw_leader(world));
    case WORLD_FAULT_isolate:
    case WORLD_FAULT_cut_in:
    case WORLD_FAULT_cut_out:
    case WORLD_FAULT_cut_link:
    case WORLD_FAULT_split:
    case WORLD_FAULT_storm:
    case WORLD_FAULT_slow_link:
    case WORLD_FAULT_slow_disk:
    case WORLD_FAULT_disk_full:
        return lasting_begin(world, fault, number);
    case WORLD_FAULT_pause:
        return pause_node(world, node);
    case WORLD_FAULT_sync_error:
        return sync_fail(world, node);
    case WORLD_FAULT_wall_jump:
        return wall_jump(world, node);
    case WORLD_FAULT_hand_over:
        return hand_over(world);
    case WORLD_FAULT_damage:
    case WORLD_FAULT_empty_disk:
    case WORLD_FAULT_roll_back:
        return disk_change(world, node, fault);
    case WORLD_FAULT_END:
        return false;
    }
    return false;
}

/* -- The turn -- */

static enum world_fault draw_fault(struct world *world)
{
    uint64_t sum = 0;
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        sum += world->options->weights[fault];
    }
    if (sum == 0) {
        return WORLD_FAULT_END;
    }
    uint64_t drawn = prng_below(&world->fault_prng, sum);
    int fault = 0;
    while (drawn >= world->options->weights[fault]) {
        drawn -= world->options->weights[fault];
        fault++;
    }
    return (enum world_fault)fault;
}

static void plan(struct world *world)
{
    uint64_t next_ns = world->fault_next_ns;
    for (uint32_t index = 0; index < world->active_count; index++) {
        uint64_t end_ns = world->actives[index].end_ns;
        next_ns = end_ns < next_ns ? end_ns : next_ns;
    }
    world->next_ns[ACTOR_FAULTS] = next_ns;
}

static void fault_begin(struct world *world)
{
    enum world_fault fault = draw_fault(world);
    world->fault_next_ns =
        world->now_ns + 1 + world_around(&world->fault_prng, world->options->fault_ns);
    HISTORY(world, NOBODY, WORLD_LOGS_MAX, "fault: %s", world_fault_name(fault));
    if (fault != WORLD_FAULT_END && begin(world, fault)) {
        world->result->faults[fault]++;
        world->fault_total++;
    }
}

void faults_happen(struct world *world)
{
    for (uint32_t index = world->active_count; index > 0; index--) {
        if (world->actives[index - 1].end_ns <= world->now_ns) {
            lasting_end(world, index - 1);
        }
    }
    if (world->fault_next_ns <= world->now_ns) {
        fault_begin(world);
    }
    plan(world);
}

void faults_end(struct world *world)
{
    world->lull_ns = 0;
    world->is_ending = true;
    while (world->active_count > 0) {
        lasting_end(world, world->active_count - 1);
    }
    for (int32_t number = 0; number < world->options->nodes; number++) {
        struct world_node *node = &world->nodes[number];
        node->paused_ns = 0;
        node->impaired = 0;
        node->slow_disk = 0;
        node->crash_after = 0;
        node->crash_at_promise = false;
        node->crash_at_lead = false;
        if (node->state == NODE_UP) {
            sim_faults_clear(node->sim);
            latency_set(world, node);
        }
        node_plan(world, node);
    }
    network_heal(world);
    world->fault_next_ns = NEVER;
    world->next_ns[ACTOR_FAULTS] = NEVER;
}
