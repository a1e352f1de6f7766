/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_read - walking the batches of a replica, in its cache and in its segments.
 */
#include "record/batch.h"
#include "segment/read.h"
#include "sim/cluster/world_parts.h"

/* A walk under way. */
struct walk_state {
    struct world *world;
    struct world_replica *replica;
    int64_t offset; /* The next wanted. */
    int64_t offset_end;
    read_visit_fn visit;
    void *ctx;
};

/* Hand on the batches of @run. */
static bool run_visit(struct walk_state *walk, struct bytes run)
{
    while (run.count > 0) {
        struct batch_header header;
        struct pyr_error error;
        if (batch_header_read(run, &header, &error) != PYR_OK) {
            world_violate(walk->world, "node %d log %u: offset %lld: %s", walk->replica->node + 1,
                          walk->replica->log, (long long)walk->offset, error.message);
            return false;
        }
        if (batch_offset_end(&header) > walk->offset_end) {
            walk->offset = walk->offset_end;
            return true;
        }
        walk->offset = batch_offset_end(&header);
        if (!walk->visit(walk->ctx, &header, (struct bytes){run.data, header.bytes})) {
            return false;
        }
        run = (struct bytes){run.data + header.bytes, run.count - header.bytes};
    }
    return true;
}

/* Go on in a segment. */
static bool segment_visit(struct walk_state *walk)
{
    struct world *world = walk->world;
    struct partition *partition = walk->replica->partition;
    struct pyr_error error = {0};
    struct partition_view view;
    struct cache_place place = {0};
    struct segment_run run = {0};
    int64_t offset = walk->offset;
    enum pyr_err err = partition_view_take(partition, offset, &place, &view, &error);
    bool is_taken = err == PYR_OK;
    if (err == PYR_OK && view.kind == PARTITION_VIEW_SEGMENT) {
        const struct segment_read want = {.offset = offset,
                                          .offset_end = view.offset_end,
                                          .bytes_max = READ_BYTES,
                                          .buffer = {world->buffer, READ_BYTES}};
        err = segment_view_read(&view.segment, &want, &run, &error);
    }
    bool is_good = err == PYR_OK && run_visit(walk, run.data);
    if (run.handle) {
        segment_handle_release(run.handle);
    }
    if (is_taken) {
        partition_view_release(partition, &view);
    }
    if (err == PYR_ERR_CORRUPT && world->nodes[walk->replica->node].is_forgetful) {
        return false; /* Its disk was damaged, and it says so. */
    }
    if (err != PYR_OK || (is_good && walk->offset == offset)) {
        world_violate(world, "node %d log %u: reading at %lld: %s", walk->replica->node + 1,
                      walk->replica->log, (long long)offset,
                      err == PYR_OK ? "nothing is there" : error.message);
        return false;
    }
    return is_good;
}

/* Go on in a chunk of the cache, whose rest may be of a batch that ends above: then that is all. */
static bool chunk_visit(struct walk_state *walk, struct cache_chunk *chunk)
{
    int64_t before = walk->offset;
    struct bytes part =
        cache_chunk_part(chunk, walk->offset, walk->offset_end, &walk->replica->place);
    bool is_good = run_visit(walk, part);
    cache_chunk_release(chunk);
    if (walk->offset == before) {
        walk->offset = walk->offset_end;
    }
    return is_good;
}

bool read_walk(struct world *world,
               struct world_replica *replica,
               int64_t offset,
               int64_t offset_end,
               read_visit_fn visit,
               void *ctx)
{
    struct walk_state walk = {world, replica, offset, offset_end, visit, ctx};
    struct partition *partition = replica->partition;
    bool is_good = true;
    while (is_good && walk.offset < offset_end) {
        struct cache_chunk *chunk = cache_acquire(&partition->cached, walk.offset);
        if (!chunk && walk.offset >= partition->offset_committed) {
            return true;
        }
        is_good = chunk ? chunk_visit(&walk, chunk) : segment_visit(&walk);
    }
    return is_good;
}
