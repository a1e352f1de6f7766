/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_disk - opening and leaving what a node has on its disk.
 */
#include <stdio.h>
#include <stdlib.h>

#include "partition/shard_inner.h"
#include "sim/cluster/world_parts.h"

enum { LOOP_OPS = 64, TURNS_MAX = 100000, DIRECT_BATCH = 600, FIRST_TURNS = 100 };

#define WAL_FILE_BYTES (64 * KIB)
#define HOUR_NS        (3600 * NS_PER_S)
#define DISK_SEED      UINT64_C(0x70797261)

static void turn(struct world_node *node)
{
    shard_kick(node->shard);
    io_loop_wait(node->loop, sim_now_ns(node->sim) + NS_PER_MS);
    (void)io_loop_dispatch(node->loop);
    shard_step(node->shard);
}

static enum pyr_err open_logs(const struct world_options *options,
                              struct world_node *node,
                              struct pyr_error *reterr)
{
    struct partition_options log_options = {.policy = PARTITION_POLICY_ALWAYS,
                                            .is_cached = true,
                                            .is_replicated = true,
                                            .segment_bytes = options->segment_bytes};
    enum pyr_err err = PYR_OK;
    for (uint32_t log = 0; err == PYR_OK && log < options->logs; log++) {
        char name[16];
        (void)snprintf(name, sizeof name, "log-%u", log);
        log_options.id.value[0] = (uint8_t)(1 + log);
        struct partition **place = &node->replicas[log].partition;
        err = shard_partition_open(node->shard, name, &log_options, place, reterr);
        while (err == PYR_ERR_BUSY) {
            turn(node);
            err = shard_partition_open(node->shard, name, &log_options, place, reterr);
        }
    }
    return err;
}

bool world_disk_open(const struct world_options *options,
                     struct world_node *node,
                     struct pyr_error *reterr)
{
    int error = io_loop_create(sim_io(node->sim), &(struct io_loop_options){.ops_max = LOOP_OPS},
                               &node->loop);
    if (error != 0) {
        (void)err_set_errno(reterr, error, "create loop");
        return false;
    }
    const struct folder_options folder_options = {.path = WORLD_FOLDER, .shards = 1};
    if (folder_open(node->loop, &folder_options, &node->folder, reterr) != PYR_OK) {
        return false;
    }
    const struct shard_options shard_options = {
        .folder = &node->folder,
        .cache_bytes_max = options->cache_bytes,
        .buffer_time_ns = options->buffer_time_ns,
        .wal_file_bytes = WAL_FILE_BYTES,
        .wal_files_max = options->wal_files,
        .direct_batch_bytes = DIRECT_BATCH,
        .direct_buffer_bytes = 2 * BLOCK_BYTES,
        .delete_grace_ns = HOUR_NS,
    };
    node->report = (struct shard_report){0};
    return shard_open(node->loop, &shard_options, &node->shard, &node->report, reterr) == PYR_OK &&
           folder_set_ready(&node->folder, reterr) == PYR_OK &&
           open_logs(options, node, reterr) == PYR_OK;
}

void world_disk_leave(struct world_node *node)
{
    const struct pyr_error crash = {.code = PYR_ERR_IO, .message = "crash"};
    if (node->shard) {
        shard_fail(node->shard, &crash);
    }
    for (uint32_t log = 0; log < WORLD_LOGS_MAX; log++) {
        struct world_replica *replica = &node->replicas[log];
        if (replica->member) {
            member_stop(replica->member);
        }
        for (uint32_t turns = 0; replica->member && !member_is_quiet(replica->member); turns++) {
            ASSERT(turns < TURNS_MAX);
            turn(node);
            member_step(replica->member);
        }
        if (replica->member) {
            member_close(replica->member);
        }
        replica->member = NULL;
        replica->partition = NULL;
    }
    shard_close(node->shard);
    if (node->folder.lock) {
        folder_close(&node->folder);
    }
    io_loop_destroy(node->loop);
    sim_destroy(node->sim);
    node->shard = NULL;
    node->folder = (struct folder){0};
    node->loop = NULL;
    node->sim = NULL;
}

struct sim_disk *world_disk_create(const struct world_options *options)
{
    struct world_node *node = calloc(1, sizeof *node);
    ASSERT(node);
    struct pyr_error error = {0};
    node->disk = sim_disk_create();
    node->sim = sim_create(&(struct sim_options){.disk = node->disk, .seed = DISK_SEED});
    bool is_open = world_disk_open(options, node, &error);
    if (!is_open) {
        (void)fprintf(stderr, "world: %s\n", error.message);
    }
    ASSERT(is_open);
    for (int turns = 0; turns < FIRST_TURNS; turns++) {
        turn(node);
    }
    struct sim_disk *image = sim_disk_crash(node->disk, SIM_CRASH_NONE, 0);
    world_disk_leave(node);
    sim_disk_destroy(node->disk);
    free(node);
    return image;
}
