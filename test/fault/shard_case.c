/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault/shard_case - opening, working and judging a shard on a virtual disk.
 */
#include "fault/shard_case.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/limits.h"
#include "lib/case.h"
#include "partition/shard_inner.h"
#include "record/builder.h"
#include "record/walk.h"
#include "segment/read.h"

enum {
    VALUE_BYTES_MAX = 600,
    BATCH_ROOM = 64 << 10,
    READ_BYTES = 64 << 10,
};

const char *shard_case_name(size_t index)
{
    static const char *const names[SHARD_CASE_LOGS] = {"orders-0", "orders-1", "audit-0"};
    return names[index];
}

/* Log 1 is `batch`, the others `always`. Segments differ in size so that they roll at different
 * times. */
static struct partition_options case_options(size_t index)
{
    return (struct partition_options){
        .policy = index == 1 ? PARTITION_POLICY_BATCH : PARTITION_POLICY_ALWAYS,
        .interval_ns = 2000000,
        .is_cached = true,
        .segment_bytes = (uint64_t)(16 + 8 * index) * 1024,
    };
}

/* -- Values: record n of log k -- */

static size_t value_bytes(size_t index, uint64_t number)
{
    return 16 + (size_t)(number * 2654435761u + index * 977) % (VALUE_BYTES_MAX - 16);
}

static void value_fill(size_t index, uint64_t number, uint8_t *data)
{
    size_t count = value_bytes(index, number);
    put_le64(data, number);
    put_le64(data + 8, index);
    for (size_t at = 16; at < count; at++) {
        data[at] = (uint8_t)(number * 31 + index * 7 + at);
    }
}

static bool value_is_right(size_t index, uint64_t number, struct bytes value)
{
    uint8_t expected[VALUE_BYTES_MAX];
    value_fill(index, number, expected);
    return bytes_equal(value, (struct bytes){expected, value_bytes(index, number)});
}

/* -- Life -- */

enum pyr_err shard_case_begin(struct shard_life *life, struct sim_disk *disk, uint64_t seed)
{
    *life = (struct shard_life){.disk = disk};
    life->sim = sim_create(&(struct sim_options){.disk = disk, .seed = seed});
    life->io = sim_io(life->sim);
    assert_int_equal(
        io_loop_create(life->io, &(struct io_loop_options){.ops_max = 64}, &life->loop), 0);
    const struct folder_options folder_options = {.path = "/data", .shards = 1};
    enum pyr_err err = folder_open(life->loop, &folder_options, &life->folder, &life->error);
    if (err != PYR_OK) {
        return err;
    }
    const struct shard_options options = {
        .folder = &life->folder,
        .cache_bytes_max = 256 * 1024,
        .buffer_time_ns = 5000000,
        .wal_file_bytes = 64 * 1024,
        .wal_files_max = 4,
    };
    err = shard_open(life->loop, &options, &life->shard, &life->report, &life->error);
    if (err == PYR_OK) {
        err = folder_set_ready(&life->folder, &life->error);
    }
    for (size_t index = 0; err == PYR_OK && index < SHARD_CASE_LOGS; index++) {
        const struct partition_options log_options = case_options(index);
        do {
            err = shard_partition_open(life->shard, shard_case_name(index), &log_options,
                                       &life->logs[index], &life->error);
            if (err == PYR_ERR_BUSY) {
                shard_case_turn(life);
            }
        } while (err == PYR_ERR_BUSY);
    }
    return err;
}

void shard_case_turn(struct shard_life *life)
{
    shard_kick(life->shard);
    io_loop_wait(life->loop, io_now_mono_ns(life->io) + 1000000);
    (void)io_loop_dispatch(life->loop);
    shard_step(life->shard);
}

void shard_case_end(struct shard_life *life)
{
    shard_close(life->shard);
    if (life->folder.lock) {
        folder_close(&life->folder);
    }
    io_loop_destroy(life->loop);
    sim_destroy(life->sim);
    *life = (struct shard_life){0};
}

void shard_case_abandon(struct shard_life *life)
{
    if (life->shard) {
        struct pyr_error crash = {.code = PYR_ERR_IO, .message = "crash"};
        shard_fail(life->shard, &crash);
    }
    shard_case_end(life);
}

/* -- Work -- */

enum pyr_err shard_case_append(struct shard_life *life, size_t index, size_t count)
{
    struct partition *log = life->logs[index];
    uint8_t value[VALUE_BYTES_MAX];
    enum pyr_err err = PYR_ERR_BUSY;
    for (int tries = 0; err == PYR_ERR_BUSY && tries < 10000; tries++) {
        struct bytes_mut room;
        err = partition_reserve(log, BATCH_ROOM, &room, &life->error);
        if (err == PYR_OK) {
            struct builder builder;
            builder_init(&builder, room);
            for (size_t at = 0; at < count; at++) {
                uint64_t number = (uint64_t)log->offset_end + at;
                value_fill(index, number, value);
                struct record record = {.timestamp = 1 + (int64_t)number,
                                        .value = {value, value_bytes(index, number)}};
                assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
            }
            const struct batch_stamp stamp = BATCH_STAMP_NONE;
            size_t bytes = builder_seal(&builder, &stamp).count;
            int64_t offset = 0;
            err = partition_append(log, bytes, 0, &offset, &life->error);
            if (err != PYR_OK) {
                partition_unreserve(log);
            }
        }
        if (err == PYR_ERR_BUSY) {
            shard_case_turn(life);
        }
    }
    shard_kick(life->shard);
    return err;
}

enum pyr_err shard_case_settle(struct shard_life *life)
{
    shard_sync_begin(life->shard);
    enum pyr_err err = PYR_OK;
    bool is_settled = false;
    while (err == PYR_OK && !is_settled) {
        shard_case_turn(life);
        err = shard_health(life->shard, &life->error);
        is_settled = true;
        for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
            is_settled &= life->logs[index]->offset_durable == life->logs[index]->offset_end;
        }
    }
    return err;
}

/* -- Judging -- */

/* Hold the records of a run against their numbers; *@next is the number expected first. */
static bool run_check(struct shard_life *life,
                      size_t index,
                      struct bytes run,
                      int64_t from,
                      int64_t *next)
{
    size_t position = 0;
    while (position < run.count) {
        struct bytes rest = {run.data + position, run.count - position};
        struct batch_header header;
        if (batch_header_read(rest, &header, &life->error) != PYR_OK ||
            batch_verify(rest, &header, &life->error) != PYR_OK) {
            return false;
        }
        struct walk walk;
        struct record_view view;
        walk_init(&walk, &header, batch_records(rest, &header));
        while (walk_next(&walk, &view)) {
            if (view.offset < from) {
                continue;
            }
            if (view.offset != *next || !value_is_right(index, (uint64_t)view.offset, view.value)) {
                (void)err_set(&life->error, PYR_ERR_CORRUPT,
                              "log %zu: wrong record: offset %" PRId64 ", expected %" PRId64, index,
                              view.offset, *next);
                return false;
            }
            *next = view.offset + 1;
        }
        if (walk_end(&walk, &life->error) != PYR_OK) {
            return false;
        }
        position += header.bytes;
    }
    return true;
}

bool shard_case_check(struct shard_life *life, size_t index, bool may_refuse)
{
    static uint8_t buffer[READ_BYTES];
    struct partition *log = life->logs[index];
    struct segment_cursor cursor = {0};
    int64_t next = log->offset_start;
    while (next < log->offset_committed) {
        struct partition_view view;
        int64_t before = next;
        if (partition_view_take(log, next, &view, &life->error) != PYR_OK) {
            return false;
        }
        struct segment_run run = {0};
        enum pyr_err err = PYR_OK;
        struct bytes data = view.data;
        if (view.kind == PARTITION_VIEW_SEGMENT) {
            const struct segment_read want = {.offset = next,
                                              .offset_end = view.offset_end,
                                              .bytes_max = sizeof buffer,
                                              .buffer = {buffer, sizeof buffer},
                                              .cursor = &cursor};
            err = segment_view_read(&view.segment, &want, &run, &life->error);
            data = run.data;
        }
        bool is_right = err == PYR_OK && run_check(life, index, data, next, &next);
        partition_view_release(log, &view);
        if (err == PYR_ERR_CORRUPT && may_refuse) {
            return true;
        }
        if (!is_right) {
            return false;
        }
        if (next == before) {
            (void)err_set(&life->error, PYR_ERR_CORRUPT, "log %zu: nothing at %" PRId64, index,
                          next);
            return false;
        }
    }
    return true;
}
