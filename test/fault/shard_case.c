/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault/shard_case - opening, working and judging a shard on a virtual disk.
 */
#include "fault/shard_case.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/limits.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/reshard.h"
#include "partition/shard_inner.h"
#include "record/builder.h"
#include "record/walk.h"
#include "segment/read.h"

enum {
    VALUE_BYTES_MAX = 600,
    VALUE_BYTES_MAX_SMALL = 48,
    SMALL_FACTOR = 16,      /* Of segments, */
    SMALL_FACTOR_KEYED = 4, /* which leaves a compacted log some segments, not many. */
    BATCH_ROOM = 64 << 10,
    READ_BYTES = 64 << 10,
    KEYS = 24,
    TURNS_MAX = 10000,
    SALT_SHIFT = 8,
    CACHE_BYTES = 256 << 10,
    BUFFER_NS = 5000000,
    WAL_FILES = 4,
};

#define HOUR_NS UINT64_C(3600000000000)

/* Segments differ in size so that they roll at different times. */
static const struct {
    const char *name;
    struct partition_options options;
} rows[SHARD_CASE_LOGS] = {
    {"orders-0", {PARTITION_POLICY_ALWAYS, .is_cached = true, .segment_bytes = 16 << 10}},
    {"orders-1", {PARTITION_POLICY_BATCH, 2000000, .is_cached = true, .segment_bytes = 24 << 10}},
    {"audit-0", {PARTITION_POLICY_ALWAYS, .is_cached = true, .segment_bytes = 32 << 10}},
    {"keys-0",
     {PARTITION_POLICY_ALWAYS, .is_cached = true, .is_compacted = true, .segment_bytes = 8 << 10}},
    {"plain-0", {PARTITION_POLICY_ALWAYS, .segment_bytes = 12 << 10}},
    {"plain-1", {PARTITION_POLICY_ALWAYS, .sync_on_write = true, .segment_bytes = 20 << 10}},
    {"lazy-0", {PARTITION_POLICY_OS, 1000000, .is_cached = true, .segment_bytes = 16 << 10}},
};

const char *shard_case_name(size_t index)
{
    return rows[index].name;
}

/* -- Records: number n of log k in the life with salt s -- */

static bool is_keyed(size_t index)
{
    return rows[index].options.is_compacted;
}

static size_t value_bytes(const struct shard_life *life, size_t index, uint64_t number)
{
    size_t bytes_max = life->is_small ? VALUE_BYTES_MAX_SMALL : VALUE_BYTES_MAX;
    return 16 + (size_t)(number * 2654435761u + index * 977) % (bytes_max - 16);
}

/* Write @count bytes of a value to @data. */
static void value_fill(size_t index, uint64_t number, uint64_t salt, uint8_t *data, size_t count)
{
    put_le64(data, number);
    put_le64(data + 8, index | salt << SALT_SHIFT);
    for (size_t at = 16; at < count; at++) {
        data[at] = (uint8_t)(number * 31 + index * 7 + salt * 5 + at);
    }
}

static uint8_t key_of(uint64_t number)
{
    return (uint8_t)('a' + (number * number + number / 3) % KEYS);
}

/* Every 13th record of a keyed log says that its key is gone. */
static bool is_tombstone(size_t index, uint64_t number)
{
    return is_keyed(index) && number % 13 == 12;
}

/* Build record @number in the memory given; @key is one byte. */
static struct record record_make(const struct shard_life *life,
                                 size_t index,
                                 uint64_t number,
                                 uint64_t salt,
                                 uint8_t *key,
                                 uint8_t *value)
{
    struct record record = {.timestamp = 1 + (int64_t)number};
    if (is_keyed(index)) {
        *key = key_of(number);
        record.key = (struct bytes){key, 1};
    }
    if (!is_tombstone(index, number)) {
        size_t count = value_bytes(life, index, number);
        value_fill(index, number, salt, value, count);
        record.value = (struct bytes){value, count};
    }
    return record;
}

static bool record_is_right(const struct shard_life *life,
                            size_t index,
                            const struct record_view *view)
{
    uint64_t number = (uint64_t)view->offset;
    uint64_t salt = view->offset < life->ends[index] ? life->salt_before : life->salt;
    uint8_t key;
    uint8_t value[VALUE_BYTES_MAX];
    struct record record = record_make(life, index, number, salt, &key, value);
    return view->timestamp == record.timestamp && bytes_equal(view->key, record.key) &&
           record_is_null(view->value) == record_is_null(record.value) &&
           bytes_equal(view->value, record.value);
}

/* -- Life -- */

enum pyr_err shard_case_begin(struct shard_life *life, struct sim_disk *disk, uint64_t seed)
{
    shard_case_init(life, disk, seed);
    return shard_case_open(life);
}

void shard_case_init(struct shard_life *life, struct sim_disk *disk, uint64_t seed)
{
    *life = (struct shard_life){.disk = disk, .salt = 1, .salt_before = 1, .mask = UINT32_MAX};
    life->sim = sim_create(&(struct sim_options){.disk = disk, .seed = seed});
    life->io = sim_io(life->sim);
}

bool shard_case_has(const struct shard_life *life, size_t index)
{
    return (life->mask >> index & 1) != 0;
}

/* Open log @index, waiting while the shard is busy. */
static enum pyr_err open_log(struct shard_life *life, size_t index)
{
    struct partition_options log_options = rows[index].options;
    log_options.use_mmap = life->use_mmap;
    if (life->is_small) {
        log_options.segment_bytes /= is_keyed(index) ? SMALL_FACTOR_KEYED : SMALL_FACTOR;
    }
    enum pyr_err err = PYR_ERR_BUSY;
    while (err == PYR_ERR_BUSY) {
        uint32_t owner = folder_shard_of(shard_case_name(index), life->folder.shards);
        err = shard_partition_open(life->shards[owner], shard_case_name(index), &log_options,
                                   &life->logs[index], &life->error);
        if (err == PYR_ERR_BUSY) {
            shard_case_turn(life);
        }
    }
    life->ends[index] = err == PYR_OK ? life->logs[index]->offset_end : 0;
    return err;
}

/* Change the number of shards if that is wanted, and open them all. */
static enum pyr_err open_shards(struct shard_life *life)
{
    struct shard_options options = {
        .folder = &life->folder,
        .cache_bytes_max = life->cache_bytes_max > 0 ? life->cache_bytes_max : CACHE_BYTES,
        .buffer_time_ns = life->buffer_time_ns > 0 ? life->buffer_time_ns : BUFFER_NS,
        .wal_file_bytes = 64 * UINT64_C(1024),
        .wal_files_max = life->wal_files_max > 0 ? life->wal_files_max : WAL_FILES,
        .direct_batch_bytes = 600, /* Both ways to a segment, mixed. */
        .direct_buffer_bytes = 2 * BLOCK_BYTES,
        .scrub_bytes_per_s = life->scrub_bytes_per_s,
        .scrub_interval_ns = life->scrub_interval_ns,
        .delete_grace_ns = life->delete_grace_ns > 0 ? life->delete_grace_ns : HOUR_NS,
    };
    life->report = (struct shard_report){.was_clean = true};
    enum pyr_err err =
        reshard_run(life->loop, &options, life->shards_wanted, &life->report, &life->error);
    for (uint32_t index = 0; err == PYR_OK && index < life->folder.shards; index++) {
        assert_true(index < SHARD_CASE_SHARDS_MAX);
        struct shard_report found;
        options.index = index;
        err = shard_open(life->loop, &options, &life->shards[index], &found, &life->error);
        if (err == PYR_OK) {
            shard_report_add(&life->report, &found);
        }
    }
    life->shard = life->shards[0];
    return err;
}

enum pyr_err shard_case_open(struct shard_life *life)
{
    int error = io_loop_create(life->io, &(struct io_loop_options){.ops_max = 64}, &life->loop);
    if (error != 0) {
        return err_set_errno(&life->error, error, "create loop");
    }
    const struct folder_options folder_options = {.path = "/data", .shards = life->shards_wanted};
    enum pyr_err err = folder_open(life->loop, &folder_options, &life->folder, &life->error);
    if (err == PYR_OK) {
        err = open_shards(life);
    }
    if (err == PYR_OK) {
        err = folder_set_ready(&life->folder, &life->error);
    }
    if (err == PYR_OK) {
        reshard_sweep(&life->folder);
    }
    for (size_t index = 0; err == PYR_OK && index < SHARD_CASE_LOGS; index++) {
        if (shard_case_has(life, index)) {
            err = open_log(life, index);
        }
    }
    return err;
}

void shard_case_turn(struct shard_life *life)
{
    for (uint32_t index = 0; index < life->folder.shards; index++) {
        shard_kick(life->shards[index]);
    }
    io_loop_wait(life->loop, io_now_mono_ns(life->io) + 1000000);
    (void)io_loop_dispatch(life->loop);
    for (uint32_t index = 0; index < life->folder.shards; index++) {
        shard_step(life->shards[index]);
    }
}

void shard_case_end(struct shard_life *life)
{
    for (size_t index = 0; index < SHARD_CASE_SHARDS_MAX; index++) {
        shard_close(life->shards[index]);
    }
    if (life->folder.lock) {
        folder_close(&life->folder);
    }
    io_loop_destroy(life->loop);
    life->allocations_live = io_testing_allocations_live(life->io);
    sim_destroy(life->sim);
    life->sim = NULL;
}

void shard_case_abandon(struct shard_life *life)
{
    const struct pyr_error crash = {.code = PYR_ERR_IO, .message = "crash"};
    for (size_t index = 0; index < SHARD_CASE_SHARDS_MAX; index++) {
        if (life->shards[index]) {
            shard_fail(life->shards[index], &crash);
        }
    }
    shard_case_end(life);
}

/* -- Work -- */

/* Build a batch of the next @count records of log @index in @room, and append it. */
static enum pyr_err append_batch(struct shard_life *life,
                                 size_t index,
                                 size_t count,
                                 struct bytes_mut room)
{
    struct partition *log = life->logs[index];
    uint8_t key;
    uint8_t value[VALUE_BYTES_MAX];
    struct builder builder;
    builder_init(&builder, room);
    for (size_t at = 0; at < count; at++) {
        uint64_t number = (uint64_t)log->offset_end + at;
        struct record record = record_make(life, index, number, life->salt, &key, value);
        assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
    }
    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    size_t bytes = builder_seal(&builder, &stamp).count;
    int64_t offset = 0;
    enum pyr_err err = partition_append(log, bytes, 0, &offset, &life->error);
    if (err != PYR_OK) {
        partition_unreserve(log);
    }
    return err;
}

enum pyr_err shard_case_append(struct shard_life *life, size_t index, size_t count)
{
    struct partition *log = life->logs[index];
    enum pyr_err err = PYR_ERR_BUSY;
    for (int tries = 0; err == PYR_ERR_BUSY && tries < TURNS_MAX; tries++) {
        struct bytes_mut room;
        err = partition_reserve(log, BATCH_ROOM, &room, &life->error);
        if (err == PYR_OK) {
            err = append_batch(life, index, count, room);
        }
        if (err == PYR_ERR_BUSY) {
            shard_case_turn(life);
        }
    }
    shard_kick(log->shard);
    return err;
}

enum pyr_err shard_case_settle(struct shard_life *life)
{
    for (uint32_t index = 0; index < life->folder.shards; index++) {
        shard_sync_begin(life->shards[index]);
    }
    enum pyr_err err = PYR_OK;
    bool is_settled = false;
    for (int turn = 0; err == PYR_OK && !is_settled; turn++) {
        if (turn == TURNS_MAX) {
            return err_set(&life->error, PYR_ERR_BUSY, "nothing settles");
        }
        shard_case_turn(life);
        for (uint32_t index = 0; err == PYR_OK && index < life->folder.shards; index++) {
            err = shard_health(life->shards[index], &life->error);
        }
        is_settled = true;
        for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
            const struct partition *log = life->logs[index];
            is_settled &= !log || log->offset_durable == log->offset_end;
        }
    }
    return err;
}

int64_t shard_case_acked(const struct shard_life *life, size_t index)
{
    const struct partition *log = life->logs[index];
    if (!log) {
        return 0;
    }
    bool is_always = rows[index].options.policy == PARTITION_POLICY_ALWAYS;
    return is_always ? log->offset_committed : log->offset_durable;
}

/* -- Judging -- */

/* What was seen of a log so far. */
struct sight {
    int64_t next;        /* The offset expected next; of a keyed log, the least. */
    int64_t newest[256]; /* Of each key, the newest record seen; -1 is none. */
    struct cache_place place;
};

static bool wrong(struct shard_life *life, size_t index, int64_t offset, const char *what)
{
    (void)err_set(&life->error, PYR_ERR_CORRUPT, "log %zu: offset %" PRId64 ": %s", index, offset,
                  what);
    return false;
}

/* Hold one record against its number. */
static bool record_check(struct shard_life *life,
                         size_t index,
                         const struct record_view *view,
                         struct sight *sight)
{
    bool is_next = view->offset == sight->next || (is_keyed(index) && view->offset > sight->next);
    if (!is_next) {
        return wrong(life, index, view->offset, "not the next one");
    }
    if (!record_is_right(life, index, view)) {
        return wrong(life, index, view->offset, "wrong record");
    }
    if (is_keyed(index)) {
        sight->newest[view->key.data[0]] = view->offset;
    }
    sight->next = view->offset + 1;
    return true;
}

/* Hold the records of one batch from offset @from on against their numbers. */
static bool batch_check(struct shard_life *life,
                        size_t index,
                        struct bytes batch,
                        int64_t from,
                        struct sight *sight,
                        size_t *ret_bytes)
{
    struct batch_header header;
    if (batch_header_read(batch, &header, &life->error) != PYR_OK ||
        batch_verify(batch, &header, &life->error) != PYR_OK) {
        return false;
    }
    struct walk walk;
    struct record_view view;
    walk_init(&walk, &header, batch_records(batch, &header));
    while (walk_next(&walk, &view)) {
        if (view.offset >= from && !record_check(life, index, &view, sight)) {
            return false;
        }
    }
    if (walk_end(&walk, &life->error) != PYR_OK) {
        return false;
    }
    *ret_bytes = header.bytes;
    return true;
}

/* Hold the records of a run against their numbers. */
static bool run_check(struct shard_life *life, size_t index, struct bytes run, struct sight *sight)
{
    int64_t from = sight->next;
    size_t position = 0;
    while (position < run.count) {
        struct bytes rest = {run.data + position, run.count - position};
        size_t bytes = 0;
        if (!batch_check(life, index, rest, from, sight, &bytes)) {
            return false;
        }
        position += bytes;
    }
    return true;
}

/* Read one view of log @index at sight->next and judge it. */
static enum pyr_err view_check(struct shard_life *life,
                               size_t index,
                               struct segment_cursor *cursor,
                               struct sight *sight)
{
    static uint8_t buffer[READ_BYTES];
    struct partition *log = life->logs[index];
    struct partition_view view;
    enum pyr_err err = partition_view_take(log, sight->next, &sight->place, &view, &life->error);
    if (err != PYR_OK) {
        return err;
    }
    struct segment_run run = {.offset_next = view.offset_next, .data = view.data};
    if (view.kind == PARTITION_VIEW_SEGMENT) {
        const struct segment_read want = {.offset = sight->next,
                                          .offset_end = view.offset_end,
                                          .bytes_max = sizeof buffer,
                                          .buffer = {buffer, sizeof buffer},
                                          .cursor = cursor};
        err = segment_view_read(&view.segment, &want, &run, &life->error);
    }
    int64_t before = sight->next;
    if (err == PYR_OK && !run_check(life, index, run.data, sight)) {
        err = PYR_ERR_FAILED;
    }
    if (run.handle) {
        segment_handle_release(run.handle);
    }
    partition_view_release(log, &view);
    if (err == PYR_OK && is_keyed(index) && run.offset_next > sight->next) {
        sight->next = run.offset_next;
    }
    if (err == PYR_OK && sight->next == before) {
        (void)wrong(life, index, before, "nothing there");
        err = PYR_ERR_FAILED;
    }
    return err;
}

/* Of each key of the keyed log @index, the newest record below its end was seen. */
static bool keys_check(struct shard_life *life, size_t index, const struct sight *sight)
{
    const struct partition *log = life->logs[index];
    bool is_met[256] = {false};
    for (int64_t offset = log->offset_committed - 1; offset >= log->offset_start; offset--) {
        uint8_t key = key_of((uint64_t)offset);
        if (!is_met[key] && sight->newest[key] != offset) {
            return wrong(life, index, offset, "the newest of its key, and missing");
        }
        is_met[key] = true;
    }
    return true;
}

bool shard_case_check_from(struct shard_life *life, size_t index, int64_t offset, bool may_refuse)
{
    struct segment_cursor cursor = {0};
    struct sight sight = {.next = offset};
    memset(sight.newest, 0xff, sizeof sight.newest);
    while (sight.next < life->logs[index]->offset_committed) {
        enum pyr_err err = view_check(life, index, &cursor, &sight);
        if (err == PYR_ERR_CORRUPT && may_refuse) {
            return true;
        }
        if (err != PYR_OK) {
            return false;
        }
    }
    bool is_whole = offset == life->logs[index]->offset_start;
    return !is_keyed(index) || !is_whole || keys_check(life, index, &sight);
}

bool shard_case_check(struct shard_life *life, size_t index, bool may_refuse)
{
    int64_t start = life->logs[index]->offset_start;
    return shard_case_check_from(life, index, start, may_refuse);
}
