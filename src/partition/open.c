/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/open - making, opening and closing: a shard, and the logs in it.
 *
 * A log is made durable in an order that a crash may cut anywhere (see strangers.c): folder and
 * metadata first, then the journal's promise, which names the log and its epoch. Each opening of a
 * log raises its epoch, so that what is appended after a crash never shares (log id, epoch, offset)
 * with what was torn. The epochs of a replicated log are those that its replicas agree on.
 */
#include <stdio.h>

#include "base/assert.h"
#include "partition/opening.h"

/* -- The shard -- */

static void shard_free(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    io_timer_stop(shard->loop, &shard->notes.timer);
    shard_scrub_end(shard);
    shard_idle_end(shard);
    deleted_free(shard);
    while (shard->deleted_held) {
        struct partition *partition = shard->deleted_held;
        shard->deleted_held = partition->next;
        logs_close(shard, partition);
    }
    while (shard->partitions) {
        struct partition *partition = shard->partitions;
        logs_remove(shard, partition);
        logs_close(shard, partition);
    }
    io_timer_stop(shard->loop, &shard->flush_timer); /* A replay that ended badly began it. */
    wal_destroy(shard->wal);
    warm_end(&shard->warm);
    cache_deinit(&shard->cache);
    segment_files_deinit(&shard->files);
    io_free(shard->io, shard->strangers.rows);
    io_free(shard->io, shard->pending);
    io_free(shard->io, shard->effects);
    io_free(shard->io, shard);
}

enum pyr_err shard_journal_open(struct io_loop *loop,
                                const struct shard_options *given,
                                uint32_t journals,
                                bool may_create,
                                struct wal **ret_wal,
                                struct pyr_error *reterr)
{
    ASSERT(loop);
    ASSERT(journals > 0);
    ASSERT(given->index < FOLDER_SHARDS_MAX);

    char path[PATH_BYTES_MAX];
    folder_journal_path(given->folder, journals, given->index, path);
    struct wal_options options = {.folder = path,
                                  .shard = given->index,
                                  .may_create = may_create,
                                  .file_bytes = given->wal_file_bytes,
                                  .files_max = given->wal_files_max,
                                  .depth = given->wal_depth,
                                  .without_direct = given->without_direct,
                                  .verify = recovery_verify};
    memcpy(options.storage_id, given->folder->storage_id, sizeof options.storage_id);
    return wal_open(loop, &options, ret_wal, reterr);
}

void shard_report_add(struct shard_report *sum, const struct shard_report *report)
{
    ASSERT(sum != report);
    ASSERT(!report->has_changed);

    sum->partitions += report->partitions;
    sum->segments += report->segments;
    sum->batches += sum->has_changed ? 0 : report->batches;
    sum->records += sum->has_changed ? 0 : report->records;
    sum->bytes_scanned += report->bytes_scanned;
    sum->bytes_cut += report->bytes_cut;
    sum->indexes_rebuilt += report->indexes_rebuilt;
    sum->quarantined += report->quarantined;
    sum->was_clean &= report->was_clean;
    if (sum->cut_reason[0] == '\0') {
        memcpy(sum->cut_reason, report->cut_reason, sizeof sum->cut_reason);
    }
}

static void shard_describe_build(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    (void)snprintf(shard->describe, sizeof shard->describe, "%s, %s", io_describe(shard->io),
                   wal_describe(shard->wal));
}

enum pyr_err shard_open(struct io_loop *loop,
                        const struct shard_options *options,
                        struct shard **ret_shard,
                        struct shard_report *ret_report,
                        struct pyr_error *reterr)
{
    ASSERT(loop);
    ASSERT(options->folder);
    ASSERT(options->cache_bytes_max > 0);

    struct io *io = io_loop_io(loop);
    struct shard *shard = io_alloc(io, sizeof *shard, _Alignof(struct shard));
    if (!shard) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "open shard %u", (unsigned)options->index);
    }
    shard->io = io;
    shard->loop = loop;
    shard->folder = options->folder;
    shard->options = *options;
    shard->flush_timer.deadline_ns = IO_TIME_NEVER;
    shard->deleted_timer.deadline_ns = IO_TIME_NEVER;
    shard->idle_timer.deadline_ns = IO_TIME_NEVER;
    shard->notes.timer.deadline_ns = IO_TIME_NEVER;
    cache_init(&shard->cache, io, options->cache_bytes_max);
    warm_init(&shard->warm, loop, &shard->cache);
    segment_files_init(&shard->files, io,
                       options->segment_handles_max > 0 ? options->segment_handles_max
                                                        : SHARD_SEGMENT_HANDLES_MAX);
    if (options->direct_batch_bytes > 0) {
        shard->files.direct_batch_bytes = options->direct_batch_bytes;
        shard->files.direct_buffer_bytes = options->direct_buffer_bytes;
    }

    struct shard_report report = {.was_clean = true};
    enum pyr_err err = PYR_OK;
    shard->pending = io_alloc(io, SHARD_PENDING_MAX * sizeof *shard->pending,
                              _Alignof(struct partition_pending));
    if (!shard->pending) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "open shard %u", (unsigned)options->index);
    }
    if (err == PYR_OK) {
        const struct folder *folder = options->folder;
        err = shard_journal_open(loop, options, folder->journals, folder->is_new, &shard->wal,
                                 reterr);
    }
    if (err == PYR_OK) {
        err = recovery_run(shard, &report, reterr);
    }
    if (err == PYR_OK) {
        err = wal_start(shard->wal, reterr);
    }
    if (err != PYR_OK) {
        shard_free(shard);
        return err;
    }
    shard_describe_build(shard);
    notes_load(shard);
    shard_scrub_begin(shard);
    shard_idle_begin(shard);
    *ret_report = report;
    *ret_shard = shard;
    return PYR_OK;
}

/* Let the loop turn until @is_over says so. Nobody else drives any more. */
static void shard_turn_until(struct shard *shard, bool (*is_over)(const struct shard *shard))
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    shard_step(shard);
    while (!is_over(shard)) {
        /* Bounded, because what is tried again by the clock starts nothing by itself. */
        io_loop_wait(shard->loop, io_now_mono_ns(shard->io) + ROOM_RETRY_NS);
        (void)io_loop_dispatch(shard->loop);
        shard_step(shard);
    }
}

/* Everything appended is in synced segments and in a checkpoint, or never will be. */
static bool shard_is_saved(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    if (shard->failure.code != PYR_OK || shard->is_disk_full) {
        return true;
    }
    return shard->pending_count == 0 && shard->checkpoint_state == SHARD_CHECKPOINT_IDLE &&
           (!shard->is_checkpoint_urged || shard->checkpoint_retry_ns != 0);
}

static bool shard_is_quiet(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    for (size_t index = 0; index < SHARD_WORKS_MAX; index++) {
        if (shard->works[index].state != WORK_STATE_FREE) {
            return false;
        }
    }
    return wal_is_quiet(shard->wal);
}

enum pyr_err shard_save(struct shard *shard, struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    shard_sync_begin(shard);
    shard_checkpoint_request(shard);
    shard_turn_until(shard, shard_is_saved);
    enum pyr_err err = shard_health(shard, reterr);
    ASSERT(err != PYR_OK || shard->is_disk_full || shard->pending_count == 0);
    if (err == PYR_OK) {
        err = shard_space(shard, reterr);
    }
    if (err == PYR_OK && shard->is_checkpoint_urged) {
        err = wal_checkpoint_result(shard->wal, reterr);
        /* What kept it from being begun leaves no result. */
        err =
            err != PYR_OK ? err : err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a checkpoint");
    }
    return err;
}

void shard_close(struct shard *shard)
{
    if (!shard) {
        return;
    }
    shard->is_stopping = true;
    if (shard->position_end > 0) {
        shard_sync_begin(shard);
        shard_checkpoint_request(shard);
    }
    shard_turn_until(shard, shard_is_saved);
    wal_stop(shard->wal);
    shard_turn_until(shard, shard_is_quiet);
    notes_save(shard);
    io_timer_stop(shard->loop, &shard->flush_timer);
    shard_free(shard);
}

/* -- Logs -- */

/* Kafka's rule for topics, and "-<partition>" behind it. */
static bool name_is_good(const char *name)
{
    ASSERT(name);

    size_t bytes = strlen(name);
    if (bytes < 3 || bytes >= LOG_NAME_BYTES_MAX) {
        return false;
    }
    const char *dash = strrchr(name, '-');
    if (!dash || dash == name || dash[1] == '\0') {
        return false;
    }
    for (const char *at = dash + 1; *at; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
    }
    for (const char *at = name; at < dash; at++) {
        bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        bool is_other = (*at >= '0' && *at <= '9') || *at == '.' || *at == '_' || *at == '-';
        if (!is_letter && !is_other) {
            return false;
        }
    }
    return name[0] != '.';
}

/* Make the folder of a new log and add it to the shard. */
static enum pyr_err log_make(struct shard *shard,
                             const char *name,
                             const struct partition_options *options,
                             struct partition **ret_partition,
                             struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);

    struct log_state state = {.epoch_last = -1, .is_replicated = options->is_replicated};
    if (options->is_replicated) {
        state.id = options->id;
    } else {
        uint64_t random[2] = {io_random_seed(shard->io), io_random_seed(shard->io)};
        memcpy(state.id.value, random, sizeof state.id.value);
    }
    (void)snprintf(state.name, sizeof state.name, "%s", name);

    char path[PATH_BYTES_MAX];
    folder_path(shard->folder, name, path);
    const struct segment_metadata metadata = {.log = state.id, .topic = state.id};
    enum pyr_err err = segment_log_create(shard->io, path, &metadata, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "make log '%s'", name);
        return err;
    }
    int error = io_sync_folder(shard->io, shard->folder->path);
    if (error != 0) {
        return err_set_errno(reterr, error, "make log '%s': sync folder '%s'", name,
                             shard->folder->path);
    }
    struct shard_report report = {0};
    return opening_add(shard, &state, &report, ret_partition, reterr);
}

/* Take the next epoch, and name it in the journal before anything is appended under it. */
static enum pyr_err log_begin_epoch(struct partition *partition, struct pyr_error *reterr)
{
    ASSERT(partition);
    ASSERT(partition->offset_written <= partition->offset_end);

    struct shard *shard = partition->shard;
    int32_t round = partition->epoch / EPOCH_NODES;
    if (round >= EPOCH_ROUNDS_MAX) {
        return err_set(reterr, PYR_ERR_FAILED, "log '%s' has used all its epochs", partition->name);
    }
    int32_t epoch = (round + 1) * EPOCH_NODES + EPOCH_NODE_EMBEDDED;
    struct wal_entry entry = {.kind = WAL_ENTRY_PROMISE,
                              .log = partition->id,
                              .epoch = epoch,
                              .number = partition->entry_number + 1};
    struct wal_need need = {.kind = WAL_NEED_DURABLE_NOW};
    uint64_t position = 0;
    enum pyr_err err = wal_append(shard->wal, &entry, need, &position, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }
    shard->position_end = position;
    partition->entry_number++;
    partition->epoch = epoch;
    wal_kick(shard->wal);
    return PYR_OK;
}

/* Refuse to have @partition open as something that it is not. */
static enum pyr_err options_check(struct partition *partition,
                                  const struct partition_options *options,
                                  struct pyr_error *reterr)
{
    ASSERT(partition);
    ASSERT(partition->offset_written <= partition->offset_end);

    partition->is_replicated |= options->is_replicated && partition->entry_number == 0 &&
                                partition->offset_end == 0; /* A crash left no more of it. */
    if (partition->is_replicated != options->is_replicated) {
        return err_set(reterr, PYR_ERR_INVALID, "log '%s' %s", partition->name,
                       partition->is_replicated ? "is a replica, and cannot be opened alone"
                                                : "was made without replicas, and stays so");
    }
    if (!options->is_replicated) {
        return PYR_OK;
    }
    if (!log_id_equal(&partition->id, &options->id)) {
        return err_set(reterr, PYR_ERR_FOREIGN, "the replica '%s' found here is of another log",
                       partition->name);
    }
    if (options->policy == PARTITION_POLICY_OS) { /* Nobody would ask for a sync, ever. */
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "log '%s': a replica acknowledges what is on stable storage, which policy "
                       "'os' never waits for",
                       partition->name);
    }
    if (!options->is_cached || options->retention_ms > 0 || options->retention_bytes > 0 ||
        options->is_compacted) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "log '%s': a replica has a write cache, and no retention or compaction yet",
                       partition->name);
    }
    return PYR_OK;
}

enum pyr_err shard_partition_open(struct shard *shard,
                                  const char *name,
                                  const struct partition_options *options,
                                  struct partition **ret_partition,
                                  struct pyr_error *reterr)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(name);
    ASSERT(options);

    enum pyr_err err = shard_health(shard, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (!name_is_good(name)) {
        return err_set(
            reterr, PYR_ERR_INVALID,
            "'%s' is no log's name: letters, digits, '.', '_' and '-', then '-' and a number",
            name);
    }
    struct partition *partition = logs_named(shard, name);
    if (partition && partition->is_deleting) {
        return err_set(reterr, PYR_ERR_BUSY, "log '%s' is being deleted", name);
    }
    if (partition && partition->is_held) {
        return err_set(reterr, PYR_ERR_LOCKED, "log '%s' is open already", name);
    }
    if (!partition) {
        err = log_make(shard, name, options, &partition, reterr);
    }
    if (err == PYR_OK) {
        err = options_check(partition, options, reterr);
    }
    if (err == PYR_OK) {
        err = options->is_replicated ? promise_first(partition, reterr)
                                     : log_begin_epoch(partition, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    partition->options = *options;
    segment_log_configure(partition->segments, retention_limit(options->segment_bytes),
                          retention_limit(options->segment_age_ms), options->use_mmap);
    clock_begin(partition, shard->options.accepts_clock_step);
    partition->is_held = true;
    shard_look_soon(shard); /* Its options may want something. */
    *ret_partition = partition;
    return PYR_OK;
}

void shard_partition_release(struct partition *partition)
{
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(partition->is_held);
    partition->is_held = false;
    if (!partition->is_deleted) {
        return;
    }
    struct partition **link = &partition->shard->deleted_held;
    while (*link != partition) {
        ASSERT(*link);
        link = &(*link)->next;
    }
    *link = partition->next;
    logs_close(partition->shard, partition);
}
