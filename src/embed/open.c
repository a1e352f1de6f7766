/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/open - defaults, opening and closing of stores and logs, and the keeper's thread.
 *
 * The store owns its environment (src/io), loop, folder and shards, in this order; closing undoes
 * them in the other. The keeper drives while operations are in flight that nobody waits for, and
 * looks after timers. It blocks all signals: they belong to the program.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/assert.h"
#include "embed/log.h"

enum { FORK_MARK_BYTES = 4096 };

/* -- Options -- */

void pyr_store_options_init(struct pyr_store_options *options)
{
    *options = (struct pyr_store_options){
        .backend = PYR_BACKEND_AUTO,
        .cache_enabled = true,
        .cache_max_size = CACHE_BYTES_DEFAULT,
        .max_buffer_time_ms = BUFFER_TIME_MS_DEFAULT,
        .delete_grace_ms = DELETE_GRACE_MS_DEFAULT,
        .scrub_bytes_per_s = SCRUB_BYTES_PER_S_DEFAULT,
        .scrub_interval_ms = SCRUB_INTERVAL_MS_DEFAULT,
    };
}

void pyr_log_options_init(struct pyr_log_options *options)
{
    *options = (struct pyr_log_options){
        .sync = PYR_SYNC_ALWAYS,
        .sync_interval_ms = SYNC_INTERVAL_MS_DEFAULT,
        .segment_max_size = SEGMENT_BYTES_DEFAULT,
    };
}

static enum pyr_err store_options_check(const struct pyr_store_options *options,
                                        struct pyr_error *reterr)
{
    if (options->backend > PYR_BACKEND_URING) {
        return err_set(reterr, PYR_ERR_INVALID, "backend: %d is none", (int)options->backend);
    }
    if (options->cache_max_size < CACHE_BYTES_MIN) {
        return err_set(reterr, PYR_ERR_INVALID, "cache_max_size: %" PRIu64 " is below %" PRIu64,
                       options->cache_max_size, CACHE_BYTES_MIN);
    }
    bool is_file =
        options->wal_file_bytes == 0 || (options->wal_file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN &&
                                         options->wal_file_bytes <= (uint64_t)WAL_FILE_BYTES_MAX &&
                                         options->wal_file_bytes % BLOCK_BYTES == 0);
    if (!is_file) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "wal_file_bytes: %" PRIu64 " is not a multiple of %d from %" PRId64
                       " to %" PRId64,
                       options->wal_file_bytes, BLOCK_BYTES, (int64_t)WAL_FILE_BYTES_MIN,
                       (int64_t)WAL_FILE_BYTES_MAX);
    }
    if (options->wal_files_max != 0 &&
        (options->wal_files_max < WAL_FILES_MIN || options->wal_files_max > WAL_FILES_MAX)) {
        return err_set(reterr, PYR_ERR_INVALID, "wal_files_max: %" PRIu32 " is not from %d to %d",
                       options->wal_files_max, WAL_FILES_MIN, WAL_FILES_MAX);
    }
    if (options->shards > STORE_SHARDS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "shards: %" PRIu32 " is above %d", options->shards,
                       STORE_SHARDS_MAX);
    }
    if (options->scrub_bytes_per_s != 0 && (options->scrub_bytes_per_s < SCRUB_BYTES_PER_S_MIN ||
                                            options->scrub_bytes_per_s > SCRUB_BYTES_PER_S_MAX)) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "scrub_bytes_per_s: %" PRIu64 " is not 0, nor from %" PRIu64 " to %" PRIu64,
                       options->scrub_bytes_per_s, SCRUB_BYTES_PER_S_MIN, SCRUB_BYTES_PER_S_MAX);
    }
    if (options->delete_grace_ms > (uint64_t)TIMEOUT_MS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "delete_grace_ms: %" PRIu64 " is above %" PRId64,
                       options->delete_grace_ms, TIMEOUT_MS_MAX);
    }
    if (options->scrub_interval_ms > (uint64_t)TIMEOUT_MS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "scrub_interval_ms: %" PRIu64 " is above %" PRId64,
                       options->scrub_interval_ms, TIMEOUT_MS_MAX);
    }
    return PYR_OK;
}

static enum pyr_err log_options_check(const struct pyr_store *store,
                                      const struct pyr_log_options *options,
                                      struct pyr_error *reterr)
{
    ASSERT(store->loop);

    if (options->sync > PYR_SYNC_OS) {
        return err_set(reterr, PYR_ERR_INVALID, "sync: %d is no policy", (int)options->sync);
    }
    if (options->sync == PYR_SYNC_BATCH && options->sync_interval_ms == 0) {
        return err_set(reterr, PYR_ERR_INVALID, "sync_interval_ms: 0; use PYR_SYNC_ALWAYS instead");
    }
    if (options->hand_over_at_once && options->sync != PYR_SYNC_OS) {
        return err_set(reterr, PYR_ERR_INVALID, "hand_over_at_once: only with PYR_SYNC_OS");
    }
    if (options->sync_on_write && store->is_cached) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "sync_on_write: only in a store with cache_enabled = false");
    }
    if (options->compression > PYR_COMPRESSION_LZ4) {
        return err_set(reterr, PYR_ERR_INVALID, "compression: %d is none",
                       (int)options->compression);
    }
    if (options->segment_max_size < SEGMENT_BYTES_MIN) {
        return err_set(reterr, PYR_ERR_INVALID, "segment_max_size: %" PRIu64 " is below %" PRIu64,
                       options->segment_max_size, SEGMENT_BYTES_MIN);
    }
    return PYR_OK;
}

/* -- The keeper -- */

/* Return whether the keeper has to drive: a timer is due, or operations are in flight and nobody
 * has driven since it looked last. A thread that appends and waits drives better than the keeper,
 * whose news would have to wake it: so the keeper leaves it the turn if it comes for it. */
static bool keeper_must_drive(struct pyr_store *store, uint64_t now_ns)
{
    ASSERT(store->loop);

    bool is_left_alone = store->turns == store->keeper_turns;
    store->keeper_turns = store->turns;
    if (store->is_driven) {
        return false;
    }
    bool is_late = io_loop_timer_ns(store->loop) <= now_ns;
    return is_late || (is_left_alone && io_loop_pending(store->loop) > 0);
}

/* Sleep until woken or @until_ns. With the lock. */
static void keeper_sleep(struct pyr_store *store, uint64_t until_ns)
{
    ASSERT(store->loop);

    store->keeper_until_ns = until_ns;
    int error = 0;
    if (until_ns == IO_TIME_NEVER) {
        error = pthread_cond_wait(&store->keeper_wake, &store->lock);
    } else {
        const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                       .tv_nsec = (long)(until_ns % 1000000000)};
        error = pthread_cond_timedwait(&store->keeper_wake, &store->lock, &until);
    }
    ASSERT(error == 0 || error == ETIMEDOUT);
    store->keeper_until_ns = 0;
}

/* Return when the keeper looks again if nobody wakes it. */
static uint64_t keeper_until_ns(struct pyr_store *store, uint64_t now_ns)
{
    ASSERT(store->loop);
    ASSERT(!store->is_closing);

    uint64_t nap_ns = store->has_started ? SEAL_LINGER_NS : KEEPER_NAP_NS;
    bool is_busy = store->has_started || store->is_driven || io_loop_pending(store->loop) > 0;
    uint64_t until_ns = store->is_driven ? IO_TIME_NEVER : io_loop_timer_ns(store->loop);
    store->has_started = false;
    return is_busy && now_ns + nap_ns < until_ns ? now_ns + nap_ns : until_ns;
}

static void *keeper_run(void *ctx)
{
    struct pyr_store *store = ctx;
    store_lock(store);
    while (!store->is_closing) {
        uint64_t now_ns = io_now_mono_ns(store->io);
        if (keeper_must_drive(store, now_ns)) {
            bool has_served = store_drive(store, IO_TIME_NEVER);
            /* Who was served may come again, and drive. */
            store->keeper_turns = has_served ? store->keeper_turns : store->turns;
            store_tend(store);
            continue;
        }
        keeper_sleep(store, keeper_until_ns(store, now_ns));
    }
    store_unlock(store);
    return NULL;
}

static enum pyr_err keeper_start(struct pyr_store *store, struct pyr_error *reterr)
{
    ASSERT(store->loop);

    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    ASSERT(error == 0);
    error = pthread_create(&store->keeper, NULL, keeper_run, store);
    int mask_error = pthread_sigmask(SIG_SETMASK, &before, NULL);
    ASSERT(mask_error == 0);
    if (error != 0) {
        return err_set_errno(reterr, error, "start the store's thread");
    }
    store->has_keeper = true;
    return PYR_OK;
}

static void keeper_stop(struct pyr_store *store)
{
    ASSERT(store->loop);

    if (!store->has_keeper) {
        return;
    }
    store_lock(store);
    store->is_closing = true;
    int error = pthread_cond_signal(&store->keeper_wake);
    ASSERT(error == 0);
    store_unlock(store);
    io_loop_wake(store->loop);
    error = pthread_join(store->keeper, NULL);
    ASSERT(error == 0);
    store->has_keeper = false;
}

/* -- Stores -- */

/* The lock is held for a fraction of a microsecond at a time: who finds it taken spins a little
 * before sleeping. */
static int store_lock_init(struct pyr_store *store)
{
    ASSERT(store);

    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error == 0) {
        error = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    }
    if (error == 0) {
        error = pthread_mutex_init(&store->lock, &attributes);
    }
    (void)pthread_mutexattr_destroy(&attributes);
    return error;
}

static enum pyr_err store_sync_init(struct pyr_store *store, struct pyr_error *reterr)
{
    ASSERT(store);

    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error == 0) {
        error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    }
    if (error == 0) {
        error = pthread_cond_init(&store->keeper_wake, &attributes);
    }
    if (error == 0) {
        error = store_lock_init(store);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "make the store's lock");
    }
    (void)pthread_condattr_destroy(&attributes);

    void *page =
        mmap(NULL, FORK_MARK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return err_set_errno(reterr, errno, "map a page");
    }
    *(uint8_t *)page = 1;
    (void)madvise(page, FORK_MARK_BYTES, MADV_WIPEONFORK); /* Without it a fork is not noticed. */
    store->fork_mark = page;
    return PYR_OK;
}

static enum pyr_err store_world_open(struct pyr_store *store,
                                     const struct pyr_store_options *options,
                                     struct pyr_error *reterr)
{
    ASSERT(store);
    ASSERT(options);

    const enum io_backend backends[] = {IO_BACKEND_AUTO, IO_BACKEND_POSIX, IO_BACKEND_URING};
    const struct io_options io_options = {.backend = backends[options->backend], .job_threads = 2};
    enum pyr_err err = io_create(&io_options, &store->io, reterr);
    if (err != PYR_OK) {
        return err;
    }
    const struct io_loop_options loop_options = {.ops_max = STORE_OPS_MAX,
                                                 .helps_while_waiting = true};
    int error = io_loop_create(store->io, &loop_options, &store->loop);
    if (error != 0) {
        return err_set_errno(reterr, error, "make the store's loop");
    }
    return PYR_OK;
}

/* Undo what was opened, in reverse; accepts a half-open store. */
static void store_free(struct pyr_store *store)
{
    ASSERT(store);

    store_shards_close(store);
    if (store->loop) {
        io_timer_stop(store->loop, &store->gather_timer);
    }
    if (store->folder.lock) {
        folder_close(&store->folder);
    }
    io_loop_destroy(store->loop);
    io_destroy(store->io);
    if (store->fork_mark) {
        (void)munmap(bytes_unconst(store->fork_mark), FORK_MARK_BYTES);
    }
    (void)pthread_cond_destroy(&store->keeper_wake);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

enum pyr_err pyr_store_open(const char *path,
                            const struct pyr_store_options *options,
                            struct pyr_store **ret_store,
                            struct pyr_error *reterr)
{
    struct pyr_store_options defaults;
    pyr_store_options_init(&defaults);
    const struct pyr_store_options *given = options ? options : &defaults;
    if (!path || !ret_store) {
        return err_set(reterr, PYR_ERR_INVALID, "path or ret_store is NULL");
    }
    enum pyr_err err = store_options_check(given, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct pyr_store *store = calloc(1, sizeof *store);
    if (!store) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "open store '%s'", path);
    }
    store->gather_timer.deadline_ns = IO_TIME_NEVER;
    store->is_cached = given->cache_enabled;
    err = store_sync_init(store, reterr);
    if (err == PYR_OK) {
        err = store_world_open(store, given, reterr);
    }
    if (err == PYR_OK) {
        err = store_shards_open(store, path, given, reterr);
    }
    if (err == PYR_OK) {
        err = keeper_start(store, reterr);
    }
    if (err != PYR_OK) {
        store_free(store);
        err_wrap(reterr, "open store '%s'", path);
        return err;
    }
    *ret_store = store;
    return PYR_OK;
}

void pyr_store_close(struct pyr_store *store)
{
    if (!store || store_check_fork(store, NULL) != PYR_OK) {
        return; /* A forked child leaves its parent's store alone. */
    }
    ASSERT(store->log_count == 0);
    keeper_stop(store);
    store_free(store);
}

void pyr_store_recovery(struct pyr_store *store, struct pyr_recovery *ret_recovery)
{
    ASSERT(store->loop);

    *ret_recovery = store->recovery;
}

const char *pyr_store_describe(struct pyr_store *store)
{
    ASSERT(store->loop);

    return store->describe;
}

/* -- Logs -- */

static struct partition_options partition_options_of(const struct pyr_store *store,
                                                     const struct pyr_log_options *options)
{
    ASSERT(store->loop);
    ASSERT(options);

    const enum partition_policy policies[] = {PARTITION_POLICY_ALWAYS, PARTITION_POLICY_BATCH,
                                              PARTITION_POLICY_OS};

    uint64_t interval_ms = options->sync == PYR_SYNC_OS ? 1 : options->sync_interval_ms;
    return (struct partition_options){
        .policy = policies[options->sync],
        .interval_ns = interval_ms * 1000000,
        .hand_over_at_once = options->hand_over_at_once,
        .sync_on_write = options->sync_on_write,
        .is_cached = store->is_cached,
        .use_mmap = options->use_mmap,
        .is_compacted = options->is_compacted,
        .segment_bytes = options->segment_max_size,
        .segment_age_ms = options->segment_max_age_ms,
        .retention_ms = options->retention_ms,
        .retention_bytes = options->retention_bytes,
    };
}

enum pyr_err pyr_store_log(struct pyr_store *store,
                           const char *topic,
                           uint32_t partition,
                           const struct pyr_log_options *options,
                           struct pyr_log **ret_log,
                           struct pyr_error *reterr)
{
    ASSERT(store->loop);

    struct pyr_log_options defaults;
    pyr_log_options_init(&defaults);
    const struct pyr_log_options *given = options ? options : &defaults;
    enum pyr_err err = store_check_fork(store, reterr);
    if (err == PYR_OK) {
        err = log_options_check(store, given, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    char name[LOG_NAME_BYTES_MAX];
    err = log_name_put(topic, partition, name, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct pyr_log *log = calloc(1, sizeof *log);
    if (!log) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "open log '%s'", name);
    }
    log->store = store;
    log->options = *given;
    log->options.store = NULL;
    if (given->compression == PYR_COMPRESSION_LZ4) {
        err = packer_init(&log->packer, store->io, reterr);
        if (err != PYR_OK) {
            free(log);
            return err;
        }
    }
    const struct partition_options partition_options = partition_options_of(store, given);
    struct shard *shard = store_shard_of(store, name);
    store_lock(store);
    err = shard_partition_open(shard, name, &partition_options, &log->partition, reterr);
    while (err == PYR_ERR_BUSY) {
        store_wait_room(store, shard);
        err = shard_partition_open(shard, name, &partition_options, &log->partition, reterr);
    }
    store->log_count += err == PYR_OK;
    store_tend(store);
    store_unlock(store);
    if (err != PYR_OK) {
        packer_deinit(&log->packer);
        free(log);
        return err;
    }
    *ret_log = log;
    return PYR_OK;
}

enum pyr_err pyr_log_open(const char *path,
                          const struct pyr_log_options *options,
                          struct pyr_log **ret_log,
                          struct pyr_error *reterr)
{
    struct pyr_store *store = NULL;
    enum pyr_err err = pyr_store_open(path, options ? options->store : NULL, &store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(store);
    struct pyr_log *log = NULL;
    err = pyr_store_log(store, "log", 0, options, &log, reterr);
    if (err != PYR_OK) {
        pyr_store_close(store);
        return err;
    }
    ASSERT(log);
    log->owns_store = true;
    *ret_log = log;
    return PYR_OK;
}

/* Sync @log; on a full disk try again for a while, since space may come back. */
static enum pyr_err log_settle(struct pyr_log *log)
{
    ASSERT(log->store->loop);

    uint64_t deadline_ns = io_now_mono_ns(log->store->io) + CLOSE_FULL_NS;
    enum pyr_err err = pyr_log_sync(log, NULL);
    while (err == PYR_ERR_DISK_FULL && io_now_mono_ns(log->store->io) < deadline_ns) {
        store_lock(log->store);
        store_wait_room(log->store, log->partition->shard);
        store_unlock(log->store);
        err = pyr_log_sync(log, NULL);
    }
    return err;
}

void pyr_log_close(struct pyr_log *log)
{
    if (!log || store_check_fork(log->store, NULL) != PYR_OK) {
        return;
    }
    struct pyr_store *store = log->store;
    enum pyr_err err = log_settle(log);
    store_lock(store);
    if (err != PYR_OK && log->has_room) {
        log_drop(log);
    }
    shard_partition_release(log->partition);
    store->log_count--;
    store_unlock(store);
    bool owns_store = log->owns_store;
    packer_deinit(&log->packer);
    free(log);
    if (owns_store) {
        pyr_store_close(store);
    }
}

struct pyr_store *pyr_log_store(struct pyr_log *log)
{
    ASSERT(log->store->loop);

    return log->store;
}
