/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_image - what a crash of every node at this moment would leave, opened and looked
 * at.
 *
 * The counting of copies in world_judge.c believes what a partition says is durable. This does not:
 * the disks are copied as if the power went now and took all that was not flushed, and a recovery
 * must bring the batch back on W of them.
 */
#include <string.h>

#include "partition/partition.h"
#include "record/batch.h"
#include "sim/cluster/world_parts.h"

struct search {
    const struct world_batch *wanted;
    bool is_found;
};

static bool find(void *ctx, const struct batch_header *header, struct bytes batch)
{
    struct search *search = ctx;
    (void)batch;
    search->is_found |= header->base_offset == search->wanted->offset &&
                        header->epoch == search->wanted->epoch &&
                        header->crc == search->wanted->crc;
    return true;
}

/* Return whether the image of @node has @batch. */
static bool image_has(struct world *world,
                      const struct world_node *node,
                      uint32_t log,
                      const struct world_batch *batch)
{
    struct world_node *image = &world->image;
    struct pyr_error error = {0};
    struct search search = {.wanted = batch};
    image->disk = sim_disk_crash(node->disk, SIM_CRASH_NONE, 0);
    sim_disk_set_space(image->disk, UINT64_MAX);
    image->sim = sim_create(
        &(struct sim_options){.disk = image->disk, .seed = prng_next(&world->judge_prng)});
    struct world_replica *replica = &image->replicas[log];
    replica->place = (struct cache_place){0};
    replica->node = node->number;
    replica->log = log;
    if (world_disk_open(world->options, image, &error)) {
        struct partition *partition = replica->partition;
        enum pyr_err err = partition_commit_to(partition, partition->offset_end, &error);
        ASSERT(err == PYR_OK); /* So that segments are read, too. */
        (void)read_walk(world, replica, partition->offset_start, partition->offset_end, find,
                        &search);
    } else if (!node->is_forgetful) {
        world_violate(world, "node %d: a crash image does not open: %s", node->number + 1,
                      error.message);
    }
    world_disk_leave(image);
    sim_disk_destroy(image->disk);
    return search.is_found;
}

void image_check(struct world *world, uint32_t log, const struct world_batch *batch)
{
    int32_t copies = 0;
    world_count(world, WORLD_COUNT_images);
    for (int32_t number = 0; number < world->options->nodes; number++) {
        copies += image_has(world, &world->nodes[number], log, batch);
    }
    if (copies < world->options->write_quorum) {
        world_violate(world, "log %u: offset %lld is acknowledged and in %d crash images", log,
                      (long long)batch->offset, copies);
    }
}
