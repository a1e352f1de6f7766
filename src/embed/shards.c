/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/shards - the shards of one store, on one loop, under one lock.
 *
 *      appends of log A --> shard 0: journal 0 --+
 *      appends of log B --> shard 1: journal 1 --+-- one loop -- whoever waits drives them all
 *
 * In a node each shard has a thread and a loop of its own. Here they share the store's, so that
 * who drives turns all of them, and nothing else of the store needs to know how many there are: a
 * log's shard is its partition's. What the options bound for a store is shared out between them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "embed/store.h"
#include "partition/reshard.h"

/* Segments that each shard may keep open whatever their number. */
enum { SEGMENT_HANDLES_MIN = 8 };

/* -- All of them -- */

void store_step(struct pyr_store *store)
{
    ASSERT(store->shard_count > 0);

    for (uint32_t index = 0; index < store->shard_count; index++) {
        shard_step(store->shards[index]);
    }
}

void store_kick(struct pyr_store *store)
{
    ASSERT(store->shard_count > 0);

    for (uint32_t index = 0; index < store->shard_count; index++) {
        shard_kick(store->shards[index]);
    }
}

struct shard *store_shard_of(const struct pyr_store *store, const char *name)
{
    ASSERT(store->shard_count == store->folder.shards);

    return store->shards[folder_shard_of(name, store->shard_count)];
}

/* -- Opening -- */

static void recovery_fill(struct pyr_store *store,
                          const struct shard_report *report,
                          uint64_t duration_ns)
{
    ASSERT(store->loop);
    ASSERT(report);

    store->recovery = (struct pyr_recovery){
        .partitions = report->partitions,
        .segments = report->segments,
        .batches = report->batches,
        .records = report->records,
        .bytes_scanned = report->bytes_scanned,
        .bytes_cut = report->bytes_cut,
        .indexes_rebuilt = report->indexes_rebuilt,
        .quarantined = report->quarantined,
        .duration_us = duration_ns / 1000,
        .was_clean = report->was_clean,
    };
    memcpy(store->recovery.cut_reason, report->cut_reason, sizeof store->recovery.cut_reason);
}

/* Return the options of each of @shards shards. */
static struct shard_options shard_options_of(struct pyr_store *store,
                                             const struct pyr_store_options *options,
                                             uint32_t shards)
{
    ASSERT(shards > 0);
    ASSERT(options);

    uint64_t cache_bytes = options->cache_max_size / shards;
    uint32_t handles = SHARD_SEGMENT_HANDLES_MAX / shards;
    uint64_t scrub_bytes = options->scrub_bytes_per_s;
    return (struct shard_options){
        .folder = &store->folder,
        .cache_bytes_max = cache_bytes > CACHE_BYTES_MIN ? cache_bytes : CACHE_BYTES_MIN,
        .buffer_time_ns = (uint64_t)options->max_buffer_time_ms * 1000000,
        .wal_file_bytes = options->wal_file_bytes,
        .wal_files_max = options->wal_files_max,
        .segment_handles_max = handles > SEGMENT_HANDLES_MIN ? handles : SEGMENT_HANDLES_MIN,
        .scrub_bytes_per_s = scrub_bytes > shards ? scrub_bytes / shards : scrub_bytes,
        .scrub_interval_ns = options->scrub_interval_ms * 1000000,
        .delete_grace_ns = options->delete_grace_ms * 1000000,
        .accepts_clock_step = options->accept_clock_step,
    };
}

/* Open all shards that the folder has now, adding to @report. */
static enum pyr_err shards_open(struct pyr_store *store,
                                struct shard_options *options,
                                struct shard_report *report,
                                struct pyr_error *reterr)
{
    ASSERT(store->shard_count == 0);
    ASSERT(store->folder.shards <= STORE_SHARDS_MAX);

    store->shards = calloc(store->folder.shards, sizeof(struct shard *));
    if (!store->shards) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "open the store's shards");
    }
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && store->shard_count < store->folder.shards) {
        struct shard_report found;
        options->index = store->shard_count;
        err = shard_open(store->loop, options, &store->shards[store->shard_count], &found, reterr);
        if (err == PYR_OK) {
            store->shard_count++;
            shard_report_add(report, &found);
        }
    }
    return err;
}

/* Change the number of shards if @wanted (0: no) is another one. */
static enum pyr_err shards_change(struct pyr_store *store,
                                  const struct shard_options *options,
                                  uint32_t wanted,
                                  struct shard_report *report,
                                  struct pyr_error *reterr)
{
    ASSERT(store->shard_count == 0);
    ASSERT(wanted <= STORE_SHARDS_MAX);

    if (wanted == 0 && store->folder.shards > STORE_SHARDS_MAX) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "folder '%s' has %" PRIu32 " shards; inside a program at most %d are opened",
                       store->folder.path, store->folder.shards, STORE_SHARDS_MAX);
    }
    return reshard_run(store->loop, options, wanted, report, reterr);
}

enum pyr_err store_shards_open(struct pyr_store *store,
                               const char *path,
                               const struct pyr_store_options *options,
                               struct pyr_error *reterr)
{
    ASSERT(store->loop);
    ASSERT(path);
    ASSERT(options);

    const struct folder_options folder_options = {.path = path,
                                                  .must_exist = options->must_exist,
                                                  .shards = options->shards};
    enum pyr_err err = folder_open(store->loop, &folder_options, &store->folder, reterr);
    if (err != PYR_OK) {
        return err;
    }
    uint64_t begin_ns = io_now_mono_ns(store->io);
    struct shard_report report = {.was_clean = true};
    uint32_t shards = options->shards > 0 ? options->shards : store->folder.shards;
    struct shard_options shard_options = shard_options_of(store, options, shards);
    err = shards_change(store, &shard_options, options->shards, &report, reterr);
    if (err == PYR_OK) {
        err = shards_open(store, &shard_options, &report, reterr);
    }
    if (err == PYR_OK) {
        err = folder_set_ready(&store->folder, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    reshard_sweep(&store->folder);
    recovery_fill(store, &report, io_now_mono_ns(store->io) - begin_ns);
    const char *how = shard_describe(store->shards[0]);
    if (store->shard_count == 1) {
        (void)snprintf(store->describe, sizeof store->describe, "%s", how);
    } else {
        (void)snprintf(store->describe, sizeof store->describe, "%s, %" PRIu32 " shards", how,
                       store->shard_count);
    }
    return PYR_OK;
}

void store_shards_close(struct pyr_store *store)
{
    ASSERT(store->shard_count <= STORE_SHARDS_MAX);

    for (uint32_t index = 0; index < store->shard_count; index++) {
        shard_close(store->shards[index]);
    }
    store->shard_count = 0;
    free(store->shards);
    store->shards = NULL;
}
