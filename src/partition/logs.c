/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/logs - the logs of a shard: one list, and two tables to find one by its id or its name.
 *
 *     by_id    [..][*][..]  -> log -> log          the journal names a log by its id, once an entry
 *     by_name  [*][..][..]  -> log                 people name it by its name
 *
 * A start asks once for each journal entry and once for each folder, so that with a list alone a
 * thousand logs would be looked through millions of times.
 *
 * When you add a table, also take the log out of it in logs_remove.
 */
#include "base/assert.h"
#include "base/checksum.h"
#include "partition/shard_inner.h"

/* Return where the chain of the logs begins that may be called @name. */
static struct partition **chain_of_name(struct shard *shard, const char *name)
{
    ASSERT(shard);
    ASSERT(name);

    struct bytes text = {(const uint8_t *)name, strlen(name)};
    return &shard->by_name[checksum_hash64(0, text) % SHARD_LOG_CHAINS];
}

/* Return where the chain of the logs begins that may have @id. */
static struct partition **chain_of_id(struct shard *shard, const struct log_id *id)
{
    ASSERT(shard);
    ASSERT(id);

    struct bytes text = {id->value, sizeof id->value};
    return &shard->by_id[checksum_hash64(0, text) % SHARD_LOG_CHAINS];
}

struct partition *logs_find(struct shard *shard, const struct log_id *id)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct partition *at = *chain_of_id(shard, id);
    while (at && !log_id_equal(&at->id, id)) {
        at = at->next_by_id;
    }
    return at;
}

struct partition *logs_named(struct shard *shard, const char *name)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    struct partition *at = *chain_of_name(shard, name);
    while (at && strcmp(at->name, name) != 0) {
        at = at->next_by_name;
    }
    return at;
}

void logs_add(struct shard *shard, struct partition *partition)
{
    ASSERT(shard->partition_count < SHARD_PARTITIONS_MAX);
    ASSERT(!logs_find(shard, &partition->id)); /* PAR-6 */
    ASSERT(!logs_named(shard, partition->name));

    struct partition **by_id = chain_of_id(shard, &partition->id);
    struct partition **by_name = chain_of_name(shard, partition->name);
    partition->next = shard->partitions;
    partition->next_by_id = *by_id;
    partition->next_by_name = *by_name;
    shard->partitions = partition;
    *by_id = partition;
    *by_name = partition;
    shard->partition_count++;
}

void logs_remove(struct shard *shard, struct partition *partition)
{
    ASSERT(shard->partition_count > 0);
    ASSERT(logs_find(shard, &partition->id) == partition);
    ASSERT(logs_named(shard, partition->name) == partition);

    struct partition **link = &shard->partitions;
    while (*link != partition) {
        ASSERT(*link);
        link = &(*link)->next;
    }
    *link = partition->next;
    link = chain_of_id(shard, &partition->id);
    while (*link != partition) {
        ASSERT(*link);
        link = &(*link)->next_by_id;
    }
    *link = partition->next_by_id;
    link = chain_of_name(shard, partition->name);
    while (*link != partition) {
        ASSERT(*link);
        link = &(*link)->next_by_name;
    }
    *link = partition->next_by_name;
    shard->partition_count--;
    ASSERT(!logs_find(shard, &partition->id)); /* PAR-6 */
}

void logs_close(struct shard *shard, struct partition *partition)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(partition->offset_written <= partition->offset_end);

    compaction_stop(partition);
    cache_clear(&shard->cache, &partition->cached);
    segment_log_close(partition->segments);
    io_free(shard->io, partition->tail);
    io_free(shard->io, partition);
}
