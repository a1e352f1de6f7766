/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_options - what a seed decides: the cluster, its speeds, and what goes wrong in it.
 *
 * Each seed has some kinds of trouble and not others, so that each kind is met alone, in pairs and
 * in crowds. The kinds without which a run proves little, falls and lonely leaders, are always in.
 */
#include <inttypes.h>

#include "sim/cluster/world_parts.h"

#define NS_PER_US UINT64_C(1000)

/* N and W; small ones more often, since they are fast. */
static const struct {
    int32_t nodes;
    int32_t write_quorum;
} clusters[] = {{3, 2}, {3, 2}, {3, 2}, {3, 2}, {3, 2}, {3, 2}, {4, 3}, {4, 3}, {4, 3},
                {3, 3}, {3, 1}, {5, 3}, {5, 3}, {5, 4}, {4, 2}, {5, 2}, {6, 4}, {7, 4}};

/* How likely a kind is in a seed, in tenths, and how much of it there is at most. */
static const struct {
    uint32_t tenths;
    uint32_t weight_max;
} kinds[WORLD_FAULT_END] = {
    [WORLD_FAULT_crash] = {10, 8},
    [WORLD_FAULT_crash_leader] = {10, 12},
    [WORLD_FAULT_crash_later] = {6, 10},
    [WORLD_FAULT_crash_promise] = {6, 10},
    [WORLD_FAULT_crash_lead] = {6, 10},
    [WORLD_FAULT_blink] = {6, 10},
    [WORLD_FAULT_siege] = {5, 8},
    [WORLD_FAULT_cut_leader] = {6, 10},
    [WORLD_FAULT_crash_all] = {4, 4},
    [WORLD_FAULT_isolate] = {5, 8},
    [WORLD_FAULT_isolate_leader] = {10, 12},
    [WORLD_FAULT_cut_in] = {5, 8},
    [WORLD_FAULT_cut_out] = {5, 8},
    [WORLD_FAULT_cut_link] = {5, 12},
    [WORLD_FAULT_split] = {5, 8},
    [WORLD_FAULT_storm] = {4, 6},
    [WORLD_FAULT_slow_link] = {4, 8},
    [WORLD_FAULT_pause] = {5, 10},
    [WORLD_FAULT_slow_disk] = {4, 8},
    [WORLD_FAULT_sync_error] = {4, 6},
    [WORLD_FAULT_wall_jump] = {4, 8},
    [WORLD_FAULT_disk_full] = {3, 6},
    [WORLD_FAULT_hand_over] = {5, 12},
};

static bool is_chosen(struct prng *prng, uint64_t tenths)
{
    return prng_below(prng, 10) < tenths;
}

static void cluster_draw(struct prng *prng, struct world_options *options)
{
    size_t cluster = (size_t)prng_below(prng, sizeof clusters / sizeof clusters[0]);
    options->nodes = clusters[cluster].nodes;
    options->write_quorum = clusters[cluster].write_quorum;
    options->read_quorum = options->nodes - options->write_quorum + 1;
    options->logs = is_chosen(prng, 6) ? 1 : 1 + (uint32_t)prng_below(prng, WORLD_LOGS_MAX);
    options->timeout_ns = (40 + prng_below(prng, 160)) * NS_PER_MS;
    options->beat_ns = options->timeout_ns / (3 + prng_below(prng, 4));
    options->cache_bytes = is_chosen(prng, 8) ? 256 * KIB : 64 * KIB;
    options->buffer_time_ns = (5 + prng_below(prng, 400)) * NS_PER_MS;
    options->wal_files = 4 + (uint32_t)prng_below(prng, 4);
    options->segment_bytes = (8 + prng_below(prng, 56)) * KIB;
    options->disk_ns_min = (10 + prng_below(prng, 100)) * NS_PER_US;
    options->disk_ns_max = options->disk_ns_min * (2 + prng_below(prng, 20));
    options->drift_ppm_max = is_chosen(prng, 5) ? 100 : (uint32_t)prng_below(prng, 50000);
}

static void network_draw(struct prng *prng, struct world_options *options)
{
    options->link_ns_min = (20 + prng_below(prng, 500)) * NS_PER_US;
    options->link_ns_max = options->link_ns_min * (2 + prng_below(prng, 6));
    options->lose = is_chosen(prng, 5) ? 0 : (uint32_t)prng_below(prng, 40);
    options->repeat = is_chosen(prng, 5) ? 0 : (uint32_t)prng_below(prng, 60);
    options->lose_openings = is_chosen(prng, 7) ? 0 : (uint32_t)prng_below(prng, 700);
    options->spoil = is_chosen(prng, 7) ? 0 : (uint32_t)prng_below(prng, 20);
    options->delay = is_chosen(prng, 5) ? 0 : (uint32_t)prng_below(prng, 30);
}

static void clients_draw(struct prng *prng, struct world_options *options)
{
    options->acknowledged_wanted = 1050;
    options->faults_wanted = 24;
    options->cuts_wanted = options->write_quorum > 1; /* With W = 1 what is durable is committed. */
    options->trouble_ns_max = 400 * options->timeout_ns;
    options->think_ns = options->timeout_ns / (15 + prng_below(prng, 15));
    options->in_flight_max = 2 + (uint32_t)prng_below(prng, 20);
    options->records_max = 1 + (uint32_t)prng_below(prng, 4);
    options->value_bytes_max = 32 + (uint32_t)prng_below(prng, is_chosen(prng, 8) ? 100 : 600);
    options->strays = 20 + (uint32_t)prng_below(prng, 200);
    options->reads = (uint32_t)prng_below(prng, 100);
}

static void trouble_draw(struct prng *prng, struct world_options *options)
{
    int32_t election = options->nodes - options->write_quorum + 1;
    int32_t least = election > options->write_quorum ? election : options->write_quorum;
    int32_t spare = options->nodes - least;
    options->down_max = spare > 0 && is_chosen(prng, 7) ? spare : spare + 1;
    options->down_max = is_chosen(prng, 1) ? options->nodes : options->down_max;
    options->fault_ns = options->timeout_ns / 2 + prng_below(prng, options->timeout_ns * 2);
    options->fault_life_ns = options->timeout_ns / 2 + prng_below(prng, options->timeout_ns * 3);
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        bool is_in = is_chosen(prng, kinds[fault].tenths);
        uint64_t weight =
            prng_below(prng, kinds[fault].weight_max + (kinds[fault].weight_max == 0));
        options->weights[fault] = is_in && kinds[fault].weight_max > 0 ? 1 + (uint32_t)weight : 0;
    }
    options->crash_leads = is_chosen(prng, 7) ? 0 : (uint32_t)prng_below(prng, 600);
    options->crash_cuts = is_chosen(prng, 5) ? 0 : (uint32_t)prng_below(prng, 500);
    options->crash_opening = is_chosen(prng, 5) ? 0 : (uint32_t)prng_below(prng, 300);
}

void world_options_draw(uint64_t seed, struct world_options *ret_options)
{
    struct prng prng = prng_of(seed, 0);
    *ret_options = (struct world_options){.seed = seed, .images = 1, .walks = 100};
    cluster_draw(&prng, ret_options);
    network_draw(&prng, ret_options);
    clients_draw(&prng, ret_options);
    trouble_draw(&prng, ret_options);
}

const char *world_fault_name(enum world_fault fault)
{
    static const char *const names[] = {
#define X(name, text) [WORLD_FAULT_##name] = #name,
        WORLD_FAULTS(X)
#undef X
            [WORLD_FAULT_END] = "none"};
    return names[fault];
}

const char *world_count_name(enum world_count count)
{
    static const char *const names[] = {
#define X(name) [WORLD_COUNT_##name] = #name,
        WORLD_COUNTS(X)
#undef X
            [WORLD_COUNT_END] = "none"};
    return names[count];
}

void world_options_print(const struct world_options *options, FILE *out)
{
#define WORLD_NUMBER(group, type, name, kind, least, most, text) \
    (void)fprintf(out, #name " %" PRIu64 "\n", (uint64_t)options->name);
    (void)fprintf(out, "seed %" PRIu64 "\n", options->seed);
#include "sim/cluster/world_numbers.def"
#undef WORLD_NUMBER
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        (void)fprintf(out, "weight %s %u\n", world_fault_name((enum world_fault)fault),
                      options->weights[fault]);
    }
}

bool world_result_counts(const struct world_result *result)
{
    uint64_t faults = 0;
    int kinds_seen = 0;
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        faults += result->faults[fault];
        kinds_seen += result->faults[fault] > 0;
    }
    return result->verdict == WORLD_GOOD && faults >= 20 && kinds_seen >= 5 &&
           result->counts[WORLD_COUNT_acknowledged] >= 1000 &&
           result->counts[WORLD_COUNT_crashes] >= 2 &&
           result->counts[WORLD_COUNT_leader_changes] >= 2 &&
           result->counts[WORLD_COUNT_truncations] >= 1;
}
