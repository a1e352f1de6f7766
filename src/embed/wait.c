/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/wait - waiting for what an append's policy promises, and asking for more than that.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "embed/log.h"

/* What an append to a log waits for before it is acknowledged. */
enum append_wait {
    APPEND_WAIT_NONE,
    APPEND_WAIT_HANDED,
    APPEND_WAIT_COMMITTED,
};

static enum append_wait append_wait_of(const struct pyr_log *log)
{
    ASSERT(log->store->loop);

    const struct partition_options *options = &log->partition->options;
    if (options->policy == PARTITION_POLICY_ALWAYS || !options->is_cached) {
        return APPEND_WAIT_COMMITTED;
    }
    return options->hand_over_at_once ? APPEND_WAIT_HANDED : APPEND_WAIT_NONE;
}

/* Wait with the lock held for @kind; the lock is given back. */
static enum pyr_err log_wait_unlock(struct pyr_log *log,
                                    enum waiter_kind kind,
                                    int64_t offset_end,
                                    uint64_t deadline_ns,
                                    struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    struct waiter waiter = {.kind = kind, .log = log, .offset_end = offset_end};
    if (waiter_is_ready(log->store, &waiter)) {
        store_tend(log->store);
        store_unlock(log->store);
        return PYR_OK;
    }
    enum pyr_err err = shard_health(log->partition->shard, reterr);
    if (err != PYR_OK) {
        store_unlock(log->store);
        return err;
    }
    err = store_wait_unlock(log->store, &waiter, deadline_ns);
    if (err == PYR_ERR_TIMEOUT) {
        return err_set(reterr, err, "log '%s': not there yet", log->partition->name);
    }
    if (err == PYR_ERR_DISK_FULL) {
        return err_set(reterr, err, "log '%s': the disk is full, and so is the journal",
                       log->partition->name);
    }
    if (err != PYR_OK) {
        store_lock(log->store);
        (void)shard_health(log->partition->shard, reterr); /* For its text. */
        store_unlock(log->store);
    }
    return err;
}

/* Wait with the lock held for what the policy promises below @offset_end; the lock is given back.
 */
enum pyr_err log_wait_promise_unlock(struct pyr_log *log,
                                     int64_t offset_end,
                                     uint64_t deadline_ns,
                                     struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    switch (append_wait_of(log)) {
    case APPEND_WAIT_NONE:
        log->has_promised = true;
        store_tend(log->store);
        store_unlock(log->store);
        return PYR_OK;
    case APPEND_WAIT_HANDED:
        return log_wait_unlock(log, WAITER_HANDED, offset_end, deadline_ns, reterr);
    case APPEND_WAIT_COMMITTED:
        return log_wait_unlock(log, WAITER_COMMITTED, offset_end, deadline_ns, reterr);
    }
    ASSERT(false);
    return PYR_ERR_INVALID;
}

/* Return the time @timeout_ms from now, by the monotonic clock. */
uint64_t store_deadline_ns(const struct pyr_store *store, int64_t timeout_ms)
{
    ASSERT(store->loop);

    if (timeout_ms < 0 || timeout_ms > TIMEOUT_MS_MAX) {
        return IO_TIME_NEVER;
    }
    return io_now_mono_ns(store->io) + (uint64_t)timeout_ms * 1000000;
}

enum pyr_err pyr_log_wait(struct pyr_log *log,
                          int64_t offset_end,
                          int64_t timeout_ms,
                          struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    enum pyr_err err = store_check_fork(log->store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    uint64_t deadline_ns = store_deadline_ns(log->store, timeout_ms);
    store_lock(log->store);
    if (offset_end > log_offset_next(log)) {
        store_unlock(log->store);
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "offset %" PRId64 " of log '%s' was not handed out", offset_end,
                       log->partition->name);
    }
    if (offset_end > log->partition->offset_committed) {
        log_seal_ready(log->store, SEAL_ROUND_WAITED);
    }
    return log_wait_promise_unlock(log, offset_end, deadline_ns, reterr);
}

enum pyr_err pyr_log_sync(struct pyr_log *log, struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    enum pyr_err err = store_check_fork(log->store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    store_lock(log->store);
    int64_t offset_end = log_offset_next(log);
    log_seal_ready(log->store, SEAL_ROUND_ALL);
    shard_sync_begin(log->partition->shard);
    err = log_wait_unlock(log, WAITER_DURABLE, offset_end, IO_TIME_NEVER, reterr);
    if (err == PYR_ERR_DISK_FULL) {
        store_lock(log->store);
        int64_t first = log->partition->offset_end;
        store_unlock(log->store);
        return err_set(reterr, err,
                       "log '%s': the disk is full: offsets %" PRId64 " to %" PRId64
                       " are in memory only",
                       log->partition->name, first, offset_end - 1);
    }
    return err;
}
