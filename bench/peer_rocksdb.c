/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peer_rocksdb - how many records a second does RocksDB's write-ahead log make durable here?
 *
 * The nearest rival inside a process: a C library whose log groups the commits of many threads.
 *
 * Method: records of 100 bytes, 8 of them a sequential key; each write waits for the log's sync.
 * RocksDB gets a memtable that is never full during a case and no compression, so that only its log
 * is compared; the log itself is as RocksDB sets it up.
 *
 * What would make it a lie: a sync that is off (it is set for each write), a stall by compaction
 * (there is none), a value that RocksDB could compress (noise, and compression is off).
 */
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/limits.h"
#include "bench.h"
#include "team.h"

enum { KEY_BYTES = 8, VALUE_BYTES = 92, BATCH_RECORDS = 1000 };

#define MEMTABLE_BYTES ((size_t)1 << 30)
#define FOLDER_NAME    "rocksdb"

struct peer {
    rocksdb_options_t *options;
    rocksdb_t *db;
    rocksdb_writeoptions_t *durable;
    uint8_t *value;
    _Atomic uint64_t next_key;
};

static void must(char *message)
{
    if (message) {
        bench_fail("rocksdb: %s", message);
    }
}

static void peer_open(struct peer *peer, const struct bench_options *options)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, FOLDER_NAME, path, sizeof path);
    bench_remove(options, FOLDER_NAME);
    peer->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(peer->options, 1);
    rocksdb_options_increase_parallelism(peer->options, 2);
    rocksdb_options_set_compression(peer->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(peer->options, MEMTABLE_BYTES);
    char *message = NULL;
    peer->db = rocksdb_open(peer->options, path, &message);
    must(message);
    peer->durable = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(peer->durable, 1);
    peer->value = bench_memory(VALUE_BYTES);
    atomic_init(&peer->next_key, 0);
}

static void peer_close(struct peer *peer, const struct bench_options *options)
{
    free(peer->value);
    rocksdb_writeoptions_destroy(peer->durable);
    rocksdb_close(peer->db);
    rocksdb_options_destroy(peer->options);
    bench_remove(options, FOLDER_NAME);
}

static void put_one(void *ctx, uint64_t member, uint64_t round)
{
    struct peer *peer = ctx;
    (void)member;
    (void)round;
    char key[KEY_BYTES];
    put_be64(key, atomic_fetch_add(&peer->next_key, 1));
    char *message = NULL;
    rocksdb_put(peer->db, peer->durable, key, sizeof key, (const char *)peer->value, VALUE_BYTES,
                &message);
    must(message);
}

static void put_batch(void *ctx, uint64_t member, uint64_t round)
{
    struct peer *peer = ctx;
    (void)member;
    (void)round;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    uint64_t key_first = atomic_fetch_add(&peer->next_key, BATCH_RECORDS);
    for (uint64_t index = 0; index < BATCH_RECORDS; index++) {
        char key[KEY_BYTES];
        put_be64(key, key_first + index);
        rocksdb_writebatch_put(batch, key, sizeof key, (const char *)peer->value, VALUE_BYTES);
    }
    char *message = NULL;
    rocksdb_write(peer->db, peer->durable, batch, &message);
    must(message);
    rocksdb_writebatch_destroy(batch);
}

static void run(const char *name,
                const struct bench_options *options,
                uint64_t threads,
                team_step step,
                uint64_t records_a_step)
{
    struct peer peer;
    peer_open(&peer, options);
    struct histogram *latency = bench_histogram();
    uint64_t spent_ns = team_run(&(struct team_options){.members = threads,
                                                        .seconds = options->seconds,
                                                        .step = step,
                                                        .ctx = &peer},
                                 latency);
    bench_print(
        &(struct bench_figure){.name = name,
                               .value = bench_rate(latency->count * records_a_step, spent_ns),
                               .unit = "records/s",
                               .sync = "always",
                               .latency = latency});
    free(latency);
    peer_close(&peer, options);
}

static void one_thread(const char *name, const struct bench_options *options)
{
    run(name, options, 1, put_one, 1);
}

static void many_threads(const char *name, const struct bench_options *options)
{
    run(name, options, 64, put_one, 1);
}

static void batches(const char *name, const struct bench_options *options)
{
    run(name, options, 1, put_batch, BATCH_RECORDS);
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"always, 1 thread, 100 B", one_thread},
        {"always, 64 threads, 100 B", many_threads},
        {"always, batches of 1000, 100 B", batches},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
