/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/wal - the state machine, the calls of the hot path, the timers, and the spare files.
 *
 *   edge                     taken by
 *   REPLAYING -> OPEN        wal_start, when the raised run number is durable
 *   REPLAYING -> CLOSED      wal_stop
 *   OPEN      -> STOPPING    wal_stop
 *   OPEN      -> FAILED      wal_fail
 *   STOPPING  -> FAILED      wal_fail
 *   STOPPING  -> CLOSED      stop_advance, when everything is durable and no job runs
 *
 * Everything that can move on its own is moved by wal_pump(), which is called after whatever may
 * have unblocked it: a kick, a completion, a timer, the end of a job. It asks each part in turn and
 * costs a few comparisons when there is nothing to do.
 */
#include "wal/wal.h"

#include "base/assert.h"
#include "wal/journal.h"

#define NS_PER_MS UINT64_C(1000000)

/* A file that could not be made is tried again after this. */
#define PREPARE_RETRY_NS (100 * NS_PER_MS)

/* Ready files that are wanted: one spare, and those in reserve. */
enum { FILES_READY_WANTED = 1 + WAL_FILES_RESERVED };

/* -- State -- */

static bool edge_is_allowed(enum wal_state from, enum wal_state to)
{
    ASSERT(from <= WAL_STATE_FAILED);
    ASSERT(to <= WAL_STATE_FAILED);

    switch (from) {
    case WAL_STATE_REPLAYING:
        return to == WAL_STATE_OPEN || to == WAL_STATE_CLOSED;
    case WAL_STATE_OPEN:
        return to == WAL_STATE_STOPPING || to == WAL_STATE_FAILED;
    case WAL_STATE_STOPPING:
        return to == WAL_STATE_CLOSED || to == WAL_STATE_FAILED;
    case WAL_STATE_CLOSED:
    case WAL_STATE_FAILED:
        return false;
    }
    return false;
}

void wal_state_set(struct wal *wal, enum wal_state state)
{
    ASSERT(state != WAL_STATE_REPLAYING);
    ASSERT(edge_is_allowed(wal->state, state));

    wal->state = state;
}

static void timers_stop(struct wal *wal)
{
    ASSERT(wal->loop);
    ASSERT(wal->state != WAL_STATE_REPLAYING);

    io_timer_stop(wal->loop, &wal->gather_timer);
    io_timer_stop(wal->loop, &wal->idle_timer);
    io_timer_stop(wal->loop, &wal->retry_timer);
    wal->gather_timer_ns = IO_TIME_NEVER;
    wal->is_idle_timed = false;
}

void wal_fail(struct wal *wal, const struct pyr_error *error)
{
    ASSERT(error->message[0] != 0);
    ASSERT(error->code != PYR_OK);

    bool is_running = wal->state == WAL_STATE_OPEN || wal->state == WAL_STATE_STOPPING;
    if (!is_running) {
        return;
    }
    wal->reason = *error;
    wal_state_set(wal, WAL_STATE_FAILED); /* WAL-4 */
    timers_stop(wal);
}

enum wal_state wal_state(const struct wal *wal, struct pyr_error *ret_reason)
{
    ASSERT(wal->state <= WAL_STATE_FAILED);

    if (wal->state == WAL_STATE_FAILED && ret_reason) {
        ASSERT(wal->reason.code != PYR_OK);
        *ret_reason = wal->reason;
    }
    return wal->state;
}

/* -- Spare files -- */

static void prepare_run(struct io_job *job)
{
    struct wal_prepare *prepare = job->ctx;
    ASSERT(prepare->zeros);
    ASSERT(prepare->block);

    wal_prepare_run(prepare);
}

static void prepare_done(struct io_job *job)
{
    struct wal_prepare *prepare = job->ctx;
    struct wal *wal = container_of(prepare, struct wal, prepare);
    ASSERT(wal->files.count <= wal->files.rows_max);
    ASSERT(wal->is_preparing);

    wal->is_preparing = false;
    enum pyr_err err = prepare->err;
    wal_prepare_end(&wal->files, prepare);
    wal->is_disk_full = err == PYR_ERR_DISK_FULL;
    if (err == PYR_OK) {
        wal->counters.files_recycled += prepare->is_recycling ? 1 : 0;
        wal->counters.files_made += prepare->is_recycling ? 0 : 1;
        wal->is_prepare_due = true;
        bool is_reserve_back = wal_files_count(&wal->files, WAL_FILE_READY) >= WAL_FILES_RESERVED;
        wal->is_reserve_taken = wal->is_reserve_taken && !is_reserve_back;
    } else if (err == PYR_ERR_DISK_FULL || err == PYR_ERR_NO_MEMORY) {
        wal->counters.disk_full += err == PYR_ERR_DISK_FULL ? 1 : 0;
        if (wal->state == WAL_STATE_OPEN) {
            io_timer_start(wal->loop, &wal->retry_timer,
                           io_now_mono_ns(wal->io) + PREPARE_RETRY_NS);
        }
    } else {
        wal_fail(wal, &prepare->reason); /* A file that may be half made is not built upon. */
    }
    wal_pump(wal);
}

/* Have the next file made or recycled, if fewer are ready than wanted. */
static void prepare_start(struct wal *wal)
{
    ASSERT(wal->active);

    bool is_wanted = wal->is_prepare_due && !wal->is_preparing && wal->state == WAL_STATE_OPEN;
    if (!is_wanted) {
        return;
    }
    wal->is_prepare_due = false;
    bool is_enough = wal_files_count(&wal->files, WAL_FILE_READY) >= FILES_READY_WANTED;
    if (is_enough || !wal_prepare_begin(&wal->files, &wal->prepare)) {
        return;
    }
    ASSERT(wal->prepare.header.generation > wal->active->generation);
    wal->prepare.zeros = wal->zeros;
    wal->prepare.block = wal->zeros + wal_zero_bytes(&wal->identity);
    wal->is_preparing = true;
    wal->prepare_job =
        (struct io_job){.run = prepare_run, .done = prepare_done, .ctx = &wal->prepare};
    io_job_start(wal->loop, &wal->prepare_job);
}

static void retry_fire(struct io_timer *timer)
{
    struct wal *wal = timer->ctx;
    ASSERT(wal->state == WAL_STATE_OPEN);
    ASSERT(timer == &wal->retry_timer);

    wal->is_prepare_due = true;
    wal_pump(wal);
}

/* -- The idle tail and the stop -- */

/* Return whether everything that was appended is durable. */
static bool tail_is_durable(const struct wal *wal)
{
    ASSERT(!wal->gathering || !wal->open);
    ASSERT(wal->tail_end <= wal->link.position);

    uint64_t end = wal->open ? wal->entries_end : wal->tail_end;
    return !wal->gathering && wal->durable_position == end;
}

static void idle_fire(struct io_timer *timer)
{
    struct wal *wal = timer->ctx;
    ASSERT(timer == &wal->idle_timer);

    wal->is_idle_timed = false;
    if (wal->state != WAL_STATE_OPEN) {
        return;
    }
    bool is_idle = tail_is_durable(wal) && wal->idle_position == wal->durable_position;
    if (!is_idle || (wal->is_last_empty && !wal->open)) {
        wal_pump(wal);
        return;
    }
    uint64_t deadline_ns = wal->idle_from_ns + wal->options.idle_ns;
    if (io_now_mono_ns(wal->io) < deadline_ns) {
        wal->is_idle_timed = true;
        io_timer_start(wal->loop, &wal->idle_timer, deadline_ns);
        return;
    }
    (void)wal_flush_empty(wal, 0); /* Nobody waits for it; without room it stays out. */
    wal_pump(wal);
}

/* See to it that a durable tail gets its empty flush (WAL-6). */
static void idle_watch(struct wal *wal)
{
    ASSERT(wal->state == WAL_STATE_OPEN);
    ASSERT(wal->options.idle_ns > 0);

    bool is_tail = tail_is_durable(wal) && (!wal->is_last_empty || wal->open);
    if (!is_tail || wal->idle_position == wal->durable_position) {
        return;
    }
    wal->idle_position = wal->durable_position;
    wal->idle_from_ns = io_now_mono_ns(wal->io);
    if (!wal->is_idle_timed) {
        wal->is_idle_timed = true;
        io_timer_start(wal->loop, &wal->idle_timer, wal->idle_from_ns + wal->options.idle_ns);
    }
}

/* Move the stop on: everything durable, then the empty flush, then CLOSED. */
static void stop_advance(struct wal *wal)
{
    ASSERT(wal->state == WAL_STATE_STOPPING);
    ASSERT(!wal->is_idle_timed);

    wal->durable_wanted = wal->open ? wal->entries_end : wal->tail_end;
    bool is_settled =
        tail_is_durable(wal) && wal->in_flight == 0 && wal->checkpoint.state == WAL_CHECKPOINT_NONE;
    if (!is_settled) {
        return;
    }
    if (!wal->is_clean_written) {
        wal->is_clean_written = true;
        bool is_empty = wal->is_last_empty && !wal->open;
        if (!is_empty && wal_flush_empty(wal, WAL_FLUSH_CLEAN)) {
            wal_flush_submit(wal);
            return;
        }
    }
    if (!wal->is_preparing && !wal->sync.is_running) {
        wal_state_set(wal, WAL_STATE_CLOSED);
        timers_stop(wal);
    }
}

/* What holds of a running journal between any two steps. */
static void invariants_check(const struct wal *wal)
{
    ASSERT(wal->durable_position <= wal->written_position);
    ASSERT(wal->written_position <= wal->link.position || wal->open);
    ASSERT(wal->entries_end <= wal->tail_end || wal->gathering || wal->open);
    ASSERT(wal->tail_end <= wal->link.position);
    ASSERT(wal->resume.position <= wal->link.position);
    ASSERT(wal->link.run <= wal->run); /* WAL-7 */
    ASSERT(wal->in_flight <= wal->options.depth);
    ASSERT((wal->order_first == NULL) == (wal->order_last == NULL));
    ASSERT(!wal->gathering || wal->gathering == wal->order_last);
    ASSERT(!wal->gathering || wal->gathering->state == WAL_FLUSH_STATE_GATHERING);
    ASSERT(!wal->open || wal->open == wal->order_last);
    ASSERT(!wal->open || wal->open->state == WAL_FLUSH_STATE_OPEN);
    ASSERT(!wal->queue_first || wal->queue_first->state == WAL_FLUSH_STATE_QUEUED);
    ASSERT(!wal->gathering || !wal->open);
    ASSERT(wal->active->state == WAL_FILE_USED);
    ASSERT(wal->active->generation == wal_generation_of(&wal->identity, wal->link.position));
    ASSERT(wal->unsynced_end <= wal->written_position);
    ASSERT(!wal->sync.is_running || wal->sync.upto <= wal->written_position);
    ASSERT(wal->repeat_count <= WAL_STATE_ENTRIES_MAX);
    ASSERT(wal->landmark_count <= wal->landmarks_max);
    ASSERT(wal->files.count <= wal->files.rows_max);
}

void wal_pump(struct wal *wal)
{
    if (wal->state != WAL_STATE_OPEN && wal->state != WAL_STATE_STOPPING) {
        return;
    }
    invariants_check(wal);
    wal_checkpoint_advance(wal);
    wal_flush_submit(wal);
    wal_flush_sync(wal);
    prepare_start(wal);
    if (wal->state == WAL_STATE_STOPPING) {
        stop_advance(wal);
        wal_flush_sync(wal);
    } else {
        idle_watch(wal);
    }
}

/* -- Appending -- */

static void gather_fire(struct io_timer *timer)
{
    struct wal *wal = timer->ctx;
    ASSERT(timer == &wal->gather_timer);
    ASSERT(wal->state == WAL_STATE_OPEN);

    wal->gather_timer_ns = IO_TIME_NEVER;
    wal_pump(wal);
}

/* Let @flush go as soon, and be as safe, as @need asks. */
static void need_apply(struct wal_flush *flush, struct wal_need need)
{
    ASSERT(need.kind <= WAL_NEED_WRITTEN_NOW);
    ASSERT(flush->state == WAL_FLUSH_STATE_GATHERING);

    uint64_t deadline_ns = need.deadline_ns;
    switch (need.kind) {
    case WAL_NEED_DURABLE_NOW:
        flush->needs_durable = true;
        flush->is_due = true;
        break;
    case WAL_NEED_DURABLE_BY:
        flush->needs_durable = true;
        flush->deadline_ns = deadline_ns < flush->deadline_ns ? deadline_ns : flush->deadline_ns;
        break;
    case WAL_NEED_WRITTEN_BY:
        flush->deadline_ns = deadline_ns < flush->deadline_ns ? deadline_ns : flush->deadline_ns;
        flush->is_due = flush->is_due || flush->used >= WAL_WRITTEN_BYTES_MAX;
        break;
    case WAL_NEED_WRITTEN_NOW:
        flush->is_due = true; /* Only for entries of state, which are durable now anyway. */
        break;
    }
}

static enum pyr_err append_check(const struct wal *wal,
                                 const struct wal_entry *entry,
                                 struct pyr_error *reterr)
{
    ASSERT(wal->options.entry_bytes_max > 0);
    ASSERT(entry->kind >= WAL_ENTRY_APPEND);

    if (wal->state == WAL_STATE_FAILED) {
        return err_set(reterr, PYR_ERR_FAILED, "the journal has failed: %s", wal->reason.message);
    }
    if (wal->state != WAL_STATE_OPEN) {
        return err_set(reterr, PYR_ERR_CLOSED, "the journal in '%s' is not open", wal->folder);
    }
    bool is_state = entry->kind == WAL_ENTRY_TRUNCATE || entry->kind == WAL_ENTRY_PROMISE;
    uint64_t bytes_max = is_state ? WAL_STATE_PAYLOAD_BYTES_MAX : wal->options.entry_bytes_max;
    if (entry->parts[0].count > bytes_max || entry->parts[1].count > bytes_max ||
        entry->parts[0].count + entry->parts[1].count > bytes_max) {
        return err_set(
            reterr, PYR_ERR_TOO_LARGE, "an entry of %zu bytes is above the journal's limit of %llu",
            entry->parts[0].count + entry->parts[1].count, (unsigned long long)bytes_max);
    }
    return PYR_OK;
}

enum pyr_err wal_append(struct wal *wal,
                        const struct wal_entry *entry,
                        struct wal_need need,
                        uint64_t *ret_position,
                        struct pyr_error *reterr)
{
    ASSERT(entry->kind != WAL_ENTRY_CHECKPOINT);
    ASSERT(ret_position);

    enum pyr_err err = append_check(wal, entry, reterr);
    if (err != PYR_OK) {
        return err;
    }
    bool is_state = entry->kind == WAL_ENTRY_TRUNCATE || entry->kind == WAL_ENTRY_PROMISE;
    if (need.kind == WAL_NEED_WRITTEN_NOW && !is_state) {
        return wal_handover_append(wal, entry, ret_position, reterr);
    }
    err = wal_flush_append(wal, entry, is_state ? WAL_CLASS_STATE : WAL_CLASS_DATA, ret_position,
                           reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (is_state) {
        need.kind = WAL_NEED_DURABLE_NOW;
    }
    need_apply(wal->gathering, need);
    if (wal->gathering->used >= wal->options.flush_bytes_target) {
        wal_flush_close(wal);
        wal_flush_submit(wal);
    }
    return PYR_OK;
}

void wal_kick(struct wal *wal)
{
    ASSERT(wal->state != WAL_STATE_REPLAYING);

    wal_pump(wal);
}

void wal_set_frugal(struct wal *wal, bool is_frugal)
{
    ASSERT(wal->state <= WAL_STATE_FAILED);
    ASSERT(wal->files.count <= wal->files.rows_max);

    wal->is_prepare_due = wal->is_prepare_due || wal->files.is_frugal;
    wal->files.is_frugal = is_frugal;
}

bool wal_can_flush(const struct wal *wal)
{
    ASSERT(wal->in_flight <= wal->options.depth);

    return wal->in_flight < wal->options.depth;
}

uint64_t wal_sync(struct wal *wal)
{
    ASSERT(wal->state != WAL_STATE_REPLAYING);

    uint64_t position = wal->open ? wal->entries_end : wal->tail_end;
    if (wal->gathering) {
        wal->gathering->needs_durable = true;
        wal->gathering->is_due = true;
        position = wal->gathering->header.position + wal->gathering->used;
    }
    ASSERT(position >= wal->durable_position || wal->state != WAL_STATE_OPEN);
    wal->durable_wanted = position > wal->durable_wanted ? position : wal->durable_wanted;
    wal_pump(wal);
    return position;
}

uint64_t wal_written_position(const struct wal *wal)
{
    ASSERT(wal->written_position >= wal->durable_position);

    return wal->written_position;
}

uint64_t wal_durable_position(const struct wal *wal)
{
    ASSERT(wal->durable_position <= wal->written_position); /* WAL-1 */

    return wal->durable_position;
}

/* -- Numbers -- */

void wal_usage(const struct wal *wal, struct wal_usage *ret_usage)
{
    ASSERT(ret_usage);

    *ret_usage = (struct wal_usage){
        .position_oldest = wal->resume.position,
        .position_end = wal->link.position,
        .file_bytes = wal->identity.file_bytes,
        .files_used = wal_files_count(&wal->files, WAL_FILE_USED),
        .files_ready = wal_files_count(&wal->files, WAL_FILE_READY),
        .files_max = wal->options.files_max,
    };
    ASSERT(ret_usage->position_oldest <= ret_usage->position_end);
}

void wal_counters(const struct wal *wal, struct wal_counters *ret_counters)
{
    ASSERT(wal->counters.flushes_empty <= wal->counters.flushes);
    ASSERT(ret_counters);

    *ret_counters = wal->counters;
}

uint64_t wal_entry_bytes_max(const struct wal *wal)
{
    ASSERT(wal->options.entry_bytes_max > 0);
    ASSERT(wal->options.entry_bytes_max <= (uint64_t)BATCH_BYTES_MAX);

    return wal->options.entry_bytes_max;
}

const char *wal_describe(const struct wal *wal)
{
    ASSERT(wal->files.folder);

    return wal->files.is_direct ? "direct, aligned, durable writes"
                                : "durable writes through the page cache";
}

/* -- Stopping -- */

void wal_stop(struct wal *wal)
{
    ASSERT(wal->state <= WAL_STATE_FAILED);

    if (wal->state == WAL_STATE_REPLAYING) {
        wal_state_set(wal, WAL_STATE_CLOSED);
        return;
    }
    if (wal->state != WAL_STATE_OPEN) {
        return;
    }
    wal_state_set(wal, WAL_STATE_STOPPING);
    timers_stop(wal);
    if (wal->gathering) {
        wal->gathering->needs_durable = true;
        wal->gathering->is_due = true;
    }
    wal_pump(wal);
}

bool wal_is_quiet(const struct wal *wal)
{
    ASSERT(wal->in_flight <= wal->options.depth);

    bool is_drained = wal->in_flight == 0 && !wal->sync.is_running && !wal->is_preparing &&
                      wal->checkpoint.state != WAL_CHECKPOINT_WRITING;
    return wal->state == WAL_STATE_CLOSED || (wal->state == WAL_STATE_FAILED && is_drained);
}

/* The rest of the room's files set the timers up through this. */
void wal_timers_init(struct wal *wal)
{
    ASSERT(wal->state == WAL_STATE_REPLAYING);

    wal->gather_timer = (struct io_timer){.fire = gather_fire, .ctx = wal};
    wal->idle_timer = (struct io_timer){.fire = idle_fire, .ctx = wal};
    wal->retry_timer = (struct io_timer){.fire = retry_fire, .ctx = wal};
    wal->gather_timer_ns = IO_TIME_NEVER;
    ASSERT(wal->loop);
}
