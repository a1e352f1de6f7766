/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_segment - whatever bytes stand in a log's files: open, read, verify.
 *
 * The input's first byte picks a file of a small good log on a simulated disk and how the log is
 * opened; the rest are changes of five bytes each: position 2, kind of change 1, value 2. What must
 * hold: no call reads outside its memory or aborts; each batch that is handed out matches its
 * checksum and belongs where it was asked for.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "fuzz/fuzz.h"
#include "record/builder.h"
#include "segment/log.h"
#include "segment/read.h"
#include "segment/verify.h"
#include "sim/sim_io.h"

enum { CHANGE_BYTES = 5, BATCHES = 40, SEGMENT_BYTES = 9000, ROOM = 1 << 16 };

static const struct log_id fuzz_log = {{1, 2, 3}};

static struct segment_log *open_log(struct io *io,
                                    struct segment_files *files,
                                    const struct segment_claim *claim,
                                    bool use_mmap)
{
    struct segment_log_options options = {
        .io = io,
        .files = files,
        .folder = "/log",
        .log = fuzz_log,
        .segment_bytes_max = SEGMENT_BYTES,
        .use_mmap = use_mmap,
    };
    struct segment_log *log = NULL;
    segment_files_init(files, io, 4);
    return segment_log_open(&options, claim, NULL, &log, NULL) == PYR_OK ? log : NULL;
}

static void append_batch(struct segment_log *log, int64_t offset)
{
    uint8_t memory[1024];
    static const uint8_t value[600] = {1};
    struct builder builder;
    struct segment_append job;
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    stamp.base_offset = offset;
    stamp.epoch = (int32_t)(offset / 16);
    builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
    struct record record = {.timestamp = offset, .value = {value, sizeof value}};
    ASSERT(builder_add(&builder, &record, NULL) == PYR_OK);
    struct bytes_mut batch = builder_seal(&builder, &stamp);
    struct bytes part = {batch.data, batch.count};
    uint64_t taken = 0;
    while (taken == 0) {
        ASSERT(segment_append_plan(log, &job, &part, 1, 0, NULL) == PYR_OK);
        segment_append_run(&job);
        ASSERT(segment_append_apply(log, &job, NULL) == PYR_OK);
        taken = job.bytes_taken;
    }
}

/* Make the good log; return what its owner would claim. */
static struct segment_claim make(struct sim_disk *disk)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1});
    struct io *io = sim_io(sim);
    struct segment_metadata metadata = {.log = fuzz_log};
    struct segment_claim claim = {.epoch = -1, .has_end_point = true};
    struct segment_files files;
    struct segment_sync sync;
    ASSERT(segment_log_create(io, "/log", &metadata, NULL) == PYR_OK);
    struct segment_log *log = open_log(io, &files, &claim, false);
    ASSERT(log);
    for (int64_t offset = 0; offset < BATCHES; offset++) {
        append_batch(log, offset);
    }
    ASSERT(segment_sync_plan(log, &sync, NULL) == PYR_OK);
    segment_sync_run(&sync);
    ASSERT(segment_sync_apply(log, &sync, NULL) == PYR_OK);
    struct segment_end end = segment_log_synced(log);
    claim.offset_end = end.offset;
    claim.digest = end.digest;
    claim.epoch = end.epoch;
    segment_log_close(log);
    segment_files_deinit(&files);
    sim_destroy(sim);
    return claim;
}

/* Change one file of @disk as the input says. */
static void change(struct sim_disk *disk, const uint8_t *data, size_t count)
{
    char path[PATH_BYTES_MAX] = "";
    size_t files = sim_disk_file_count(disk);
    (void)sim_disk_file(disk, data[0] % files,
                        (struct bytes_mut){(uint8_t *)path, sizeof path - 1});
    for (size_t at = 1; at + CHANGE_BYTES <= count; at += CHANGE_BYTES) {
        int64_t position = get_le16(data + at);
        uint8_t kind = data[at + 2];
        if (kind % 4 == 0) {
            (void)sim_disk_flip(disk, path, position, kind / 4 % 8);
        } else if (kind % 4 == 1) {
            (void)sim_disk_cut(disk, path, position);
        } else {
            (void)sim_disk_poke(disk, path, position, (struct bytes){data + at + 3, 2});
        }
    }
}

/* Read the whole log; what comes is right, or nothing comes. */
static void read_all(struct segment_log *log, bool is_claimed)
{
    static uint8_t memory[ROOM];
    int64_t offset = segment_log_start(log);
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && offset < segment_log_end(log).offset) {
        struct segment_view view;
        struct segment_run run = {0};
        struct segment_read want = {.offset = offset,
                                    .offset_end = INT64_MAX,
                                    .bytes_max = 3000,
                                    .buffer = {memory, ROOM}};
        err = segment_log_view(log, offset, &view, NULL);
        if (err != PYR_OK) {
            break;
        }
        err = segment_view_read(&view, &want, &run, NULL);
        if (err == PYR_OK && run.data.count > 0) {
            struct batch_header header;
            ASSERT(batch_header_read(run.data, &header, NULL) == PYR_OK);
            ASSERT(batch_verify(run.data, &header, NULL) == PYR_OK);
            ASSERT(header.base_offset == offset); /* SEG-9 */
            /* A scan without a claim has nothing to hold an epoch against. */
            ASSERT(!is_claimed || header.epoch == offset / 16);
        }
        if (err == PYR_OK) {
            ASSERT(run.offset_next > offset);
            offset = run.offset_next;
            segment_handle_release(run.handle);
        }
        segment_log_view_release(log, &view);
    }
}

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static struct sim_disk *good;
    static struct segment_claim claim;
    static struct segment_verdict verdict;
    if (!good) {
        good = sim_disk_create();
        claim = make(good);
        (void)mallopt(M_MMAP_THRESHOLD, 32 << 20); /* Keep memory between inputs. */
        (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    }
    if (count < 2) {
        return 0;
    }
    struct sim_disk *disk = sim_disk_copy(good);
    change(disk, data, count);
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1});
    struct segment_files files;
    struct segment_claim now = claim;
    if (data[0] & 0x80) {
        now = (struct segment_claim){.may_scan = true};
    }
    if (data[1] % 32 == 0) { /* Its buffer is large. */
        (void)!segment_verify_folder(sim_io(sim), "/log", -1, -1, &verdict, NULL);
    }
    struct segment_log *log = open_log(sim_io(sim), &files, &now, data[0] & 0x40);
    if (log) {
        read_all(log, !now.may_scan);
        segment_log_close(log);
    }
    segment_files_deinit(&files);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return 0;
}
