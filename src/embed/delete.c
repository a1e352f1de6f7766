/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/delete - moving a log's first offset; deleting logs, and restoring them.
 */
#include <inttypes.h>
#include <stdio.h>

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

/* -- Whole logs -- */

enum pyr_err log_name_put(const char *topic,
                          uint32_t partition,
                          char *ret_name,
                          struct pyr_error *reterr)
{
    ASSERT(ret_name);

    char name[LOG_NAME_BYTES_MAX];
    int written = snprintf(name, sizeof name, "%s-%" PRIu32, topic ? topic : "", partition);
    if (!topic || written < 0 || (size_t)written >= sizeof name) {
        return err_set(reterr, PYR_ERR_INVALID, "a topic's name has 1 to %d bytes",
                       TOPIC_NAME_BYTES_MAX);
    }
    memcpy(ret_name, name, sizeof name);
    return PYR_OK;
}

enum pyr_err pyr_store_delete_log(struct pyr_store *store,
                                  const char *topic,
                                  uint32_t partition,
                                  struct pyr_error *reterr)
{
    ASSERT(store->loop);

    char name[LOG_NAME_BYTES_MAX];
    enum pyr_err err = store_check_fork(store, reterr);
    if (err == PYR_OK) {
        err = log_name_put(topic, partition, name, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct shard *shard = store_shard_of(store, name);
    store_lock(store);
    log_seal_ready(store, SEAL_ROUND_ALL);
    err = shard_partition_delete(shard, name, reterr);
    while (err == PYR_ERR_BUSY) {
        log_seal_ready(store, SEAL_ROUND_ALL);
        store_wait_room(store, shard);
        err = shard_partition_delete(shard, name, reterr);
    }
    if (err == PYR_OK) {
        /* Readers that wait at its end are told by the turn that this begins. */
        store_wait_room(store, shard);
    }
    store_tend(store);
    store_unlock(store);
    return err;
}

enum pyr_err pyr_store_restore_log(struct pyr_store *store,
                                   const char *topic,
                                   uint32_t partition,
                                   const char *log_id,
                                   struct pyr_error *reterr)
{
    ASSERT(store->loop);

    char name[LOG_NAME_BYTES_MAX];
    struct log_id id;
    enum pyr_err err = store_check_fork(store, reterr);
    if (err == PYR_OK) {
        err = log_name_put(topic, partition, name, reterr);
    }
    if (err == PYR_OK && log_id && !deleted_id_get(log_id, &id)) {
        err = err_set(reterr, PYR_ERR_INVALID, "log_id: '%.64s' is not 32 hexadecimal digits",
                      log_id);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct shard *shard = store_shard_of(store, name);
    const struct log_id *given = log_id ? &id : NULL;
    store_lock(store);
    err = shard_partition_restore(shard, name, given, reterr);
    while (err == PYR_ERR_BUSY) {
        store_wait_room(store, shard);
        err = shard_partition_restore(shard, name, given, reterr);
    }
    store_tend(store);
    store_unlock(store);
    return err;
}
