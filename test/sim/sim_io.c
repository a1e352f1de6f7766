/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/io - the simulated environment: creating it, its clock, and deciding on faults.
 */
#include "sim/sim_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "sim/sim_disk_parts.h"
#include "sim/sim_io_parts.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)

/* The wall clock's default start: 2026-01-01. */
#define WALL_MS INT64_C(1767225600000)

#define LATENCY_NS_MIN (50 * NS_PER_US)
#define LATENCY_NS_MAX (150 * NS_PER_US)
#define HANG_NS        ((uint64_t)24 * 3600 * NS_PER_S)

enum { MILLION = 1000000 };

/* -- Clock -- */

static uint64_t sim_now_mono_ns(struct io *io)
{
    return sim_of(io)->now_ns;
}

static int64_t sim_now_wall_ms(struct io *io)
{
    const struct sim *sim = sim_of(io);

    return sim->options.wall_ms + sim->wall_step_ms + (int64_t)(sim->now_ns / NS_PER_MS);
}

void sim_advance(struct sim *sim, uint64_t ns)
{
    sim->now_ns += ns;
}

uint64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

void sim_set_now(struct sim *sim, uint64_t now_ns)
{
    sim->now_ns = now_ns > sim->now_ns ? now_ns : sim->now_ns;
}

uint64_t sim_next_ns(struct sim *sim, struct io_loop *loop)
{
    ASSERT(loop->io == &sim->base);

    if (loop_has_news(loop)) {
        return 0;
    }
    uint64_t event_ns = sim->event_count > 0 ? sim->events[0].time_ns : IO_TIME_NEVER;
    return loop_sleep_deadline_ns(loop, event_ns);
}

void sim_set_latency(struct sim *sim, uint64_t ns_min, uint64_t ns_max)
{
    ASSERT(ns_min <= ns_max);

    sim->options.latency_ns_min = ns_min;
    sim->options.latency_ns_max = ns_max;
}

void sim_step_wall(struct sim *sim, int64_t ms)
{
    sim->wall_step_ms += ms;
}

void sim_set_cold(struct sim *sim, bool is_cold)
{
    sim->is_cold = is_cold;
}

void sim_set_stale(struct sim *sim, const char *name)
{
    sim->stale_name = name;
}

/* -- Trace and counts -- */

void sim_note(struct sim *sim, uint64_t value)
{
    /* FNV-1a over words: enough to tell two runs apart. */
    sim->trace = (sim->trace ^ value) * UINT64_C(0x100000001b3);
}

uint64_t sim_trace(const struct sim *sim)
{
    return sim->trace;
}

uint64_t sim_count(const struct sim *sim, enum sim_kind kind)
{
    ASSERT(kind < SIM_KIND_END);

    return sim->counts[kind];
}

uint64_t sim_fault_count(const struct sim *sim)
{
    return sim->fault_count;
}

/* -- Faults -- */

void sim_fault_add(struct sim *sim, const struct sim_fault *fault)
{
    ASSERT(sim->rule_count < FAULTS_MAX);

    struct fault *added = &sim->rules[sim->rule_count++];
    *added = (struct fault){.rule = *fault};
    added->rule.nth = fault->nth == 0 ? 1 : fault->nth;
    added->rule.times = fault->times == 0 ? 1 : fault->times;
    added->rule.error = fault->error == 0 ? EIO : fault->error;
}

void sim_faults_clear(struct sim *sim)
{
    sim->rule_count = 0;
}

static bool rule_matches(const struct sim_fault *rule,
                         enum sim_kind kind,
                         const char *path,
                         int64_t position,
                         size_t count)
{
    if (rule->kind != kind || (rule->name && !strstr(path, rule->name))) {
        return false;
    }
    return (rule->position_first == 0 && rule->position_end == 0) ||
           (position < rule->position_end && position + (int64_t)count > rule->position_first);
}

static bool draw(struct sim *sim, uint32_t chance)
{
    return chance > 0 && sim_random_below(&sim->fault_random, MILLION) < chance;
}

/* Draw a fault by the chances. */
static struct outcome decide_by_chance(struct sim *sim, enum sim_kind kind)
{
    const struct sim_chances *chances = &sim->options.chances;
    struct outcome outcome = {.error = EIO};
    bool is_write = kind == SIM_WRITE;
    bool is_transfer = is_write || kind == SIM_READ;

    if ((kind == SIM_READ && draw(sim, chances->read_error)) ||
        (is_write && draw(sim, chances->write_error)) ||
        (kind == SIM_SYNC && draw(sim, chances->sync_error))) {
        outcome.effect = SIM_FAIL;
    } else if (is_transfer && draw(sim, chances->short_transfer)) {
        outcome.effect = SIM_SHORT;
    } else if (is_write && draw(sim, chances->lost_write)) {
        outcome.effect = SIM_LOST;
    } else if (is_write && draw(sim, chances->misdirected_write)) {
        outcome.effect = SIM_MISDIRECTED;
    } else if (is_write && draw(sim, chances->bit_flip)) {
        outcome.effect = SIM_FLIP;
    } else if (draw(sim, chances->slow)) {
        outcome.effect = SIM_SLOW;
        outcome.delay_ns = sim_random_next(&sim->fault_random) % NS_PER_S;
    } else {
        return (struct outcome){0};
    }
    outcome.is_fault = true;
    return outcome;
}

struct outcome sim_decide(struct sim *sim,
                          enum sim_kind kind,
                          const char *path,
                          int64_t position,
                          size_t count)
{
    struct outcome outcome = decide_by_chance(sim, kind);
    sim->counts[kind]++;

    for (size_t index = 0; index < sim->rule_count; index++) {
        struct fault *fault = &sim->rules[index];
        if (!rule_matches(&fault->rule, kind, path, position, count)) {
            continue;
        }
        fault->seen++;
        if (fault->seen >= fault->rule.nth && fault->seen - fault->rule.nth < fault->rule.times) {
            outcome = (struct outcome){.is_fault = true,
                                       .effect = fault->rule.effect,
                                       .error = fault->rule.error,
                                       .delay_ns = fault->rule.delay_ns};
        }
    }
    if (outcome.is_fault && outcome.effect == SIM_HANG) {
        outcome.delay_ns = HANG_NS;
    }
    sim->fault_count += outcome.is_fault;
    sim_note(sim, (uint64_t)kind);
    sim_note(sim, (uint64_t)position);
    sim_note(sim, count);
    sim_note(sim, outcome.is_fault ? (uint64_t)outcome.effect + 1 : 0);
    sim_note(sim, sim->now_ns);
    return outcome;
}

/* -- Creating and destroying -- */

struct sim *sim_of(struct io *io)
{
    return container_of(io, struct sim, base);
}

struct io *sim_io(struct sim *sim)
{
    return &sim->base;
}

static void sim_io_destroy(struct io *io)
{
    struct sim *sim = sim_of(io);

    ASSERT(!sim->mappings);
    for (size_t index = 0; index < sim->event_count; index++) {
        ASSERT(!sim->events[index].job); /* What hangs may stay; jobs are over. */
    }
    io_deinit(io);
    free(sim->events);
    free(sim);
}

void sim_destroy(struct sim *sim)
{
    if (sim) {
        io_destroy(&sim->base);
    }
}

static const struct io_ops sim_ops = {
    .destroy = sim_io_destroy,
    .now_mono_ns = sim_now_mono_ns,
    .now_wall_ms = sim_now_wall_ms,
    .open = sim_file_open,
    .close = sim_file_close,
    .read_at = sim_file_read_at,
    .write_at = sim_file_write_at,
    .sync = sim_file_sync,
    .allocate = sim_file_allocate,
    .truncate = sim_file_truncate,
    .bytes = sim_file_bytes,
    .map = sim_file_map,
    .unmap = sim_file_unmap,
    .map_is_resident = sim_file_map_is_resident,
    .rename = sim_file_rename,
    .remove = sim_file_remove,
    .make_folder = sim_file_make_folder,
    .sync_folder = sim_file_sync_folder,
    .list = sim_file_list,
    .stat = sim_file_stat,
    .space = sim_file_space,
    .lock = sim_file_lock,
    .loop_create = sim_loop_create,
    .loop_destroy = sim_loop_destroy,
    .submit = sim_submit,
    .flush = sim_flush,
    .wait = sim_wait,
    .reap = sim_reap,
    .kick = sim_kick,
    .job_start = sim_job_start,
};

struct sim *sim_create(const struct sim_options *options)
{
    ASSERT(options->disk);
    ASSERT(options->latency_ns_min <= options->latency_ns_max);

    struct sim *sim = sim_must(calloc(1, sizeof *sim));
    struct sim_random seeds = sim_random_of(options->seed);
    io_init(&sim->base, &sim_ops, sim_random_next(&seeds) | 1);
    sim->options = *options;
    sim->disk = options->disk;
    sim->now_ns = options->now_ns > 0 ? options->now_ns : NS_PER_S;
    sim->latency_random = sim_random_of(sim_random_next(&seeds));
    sim->fault_random = sim_random_of(sim_random_next(&seeds));
    if (options->latency_ns_max == 0) {
        sim->options.latency_ns_min = LATENCY_NS_MIN;
        sim->options.latency_ns_max = LATENCY_NS_MAX;
    }
    if (options->wall_ms == 0) {
        sim->options.wall_ms = WALL_MS;
    }
    (void)snprintf(sim->base.description, sizeof sim->base.description, "sim");
    return sim;
}
