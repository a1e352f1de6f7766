/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/delete - moving a log's first offset.
 */
#include "base/assert.h"
#include "embed/log.h"

enum pyr_err pyr_log_delete_before(struct pyr_log *log, int64_t offset, struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    struct pyr_store *store = log->store;
    enum pyr_err err = store_check_fork(store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    store_lock(store);
    err = shard_health(log->partition->shard, reterr);
    if (err == PYR_OK) {
        log_show(log);
        err = partition_delete_before(log->partition, offset, reterr);
    }
    while (err == PYR_OK && log->partition->start_durable < offset) {
        shard_step(log->partition->shard);
        struct waiter waiter = {.kind = WAITER_PROGRESS, .log = log};
        err = store_wait_unlock(store, &waiter, io_now_mono_ns(store->io) + ROOM_RETRY_NS);
        store_lock(store);
        err = err == PYR_ERR_TIMEOUT ? PYR_OK : err;
        if (err == PYR_OK) {
            err = shard_health(log->partition->shard, reterr);
        }
    }
    store_tend(store);
    store_unlock(store);
    return err;
}
