/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/settle - quorums, and policies that exclude each other.
 *
 * W + R > N makes every quorum read meet every acknowledged record. A topic without that may lose
 * records at a failover, and so has to say that it takes it: unclean_election.
 */
#include "config/settle.h"

#include <inttypes.h>

#include "base/assert.h"
#include "config/value.h"

/* Add the problem of the key named @path, @what. */
static void refuse(const struct config_target *target,
                   const char *path,
                   const char *what,
                   struct config_problems *problems)
{
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text message = text_of(room, sizeof room);
    size_t index = 0;
    bool is_found = config_find(target->table, bytes_of_text(path), &index);
    ASSERT(is_found);

    config_put_origin(target, index, &message);
    text_format(&message, ": %s: found ", path);
    config_put_value(&target->table->keys[index], target->values, &message);
    text_format(&message, "; allowed: %s", what);
    config_problem_add(problems, &message);
}

/* Settle one quorum. Return false if it is larger than there are replicas. */
static bool quorum_settle(const struct config_target *target,
                          const char *path,
                          int64_t *quorum,
                          struct config_problems *problems)
{
    const struct config *config = target->values;
    int64_t replicas = config->topic.replication_factor;
    ASSERT(replicas >= 1);

    if (*quorum == 0) {
        *quorum = replicas / 2 + 1;
    }
    if (*quorum <= replicas) {
        return true;
    }
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text what = text_of(room, sizeof room);
    text_format(&what, "at most replication_factor, which is %" PRId64, replicas);
    refuse(target, path, what.data, problems);
    return false;
}

static void quorums_settle(struct config_target *target, struct config_problems *problems)
{
    struct config_topic *topic = &((struct config *)target->values)->topic;
    ASSERT(topic->replication_factor >= 1);

    bool has_write =
        quorum_settle(target, "replication.quorum.write_quorum", &topic->write_quorum, problems);
    bool has_read =
        quorum_settle(target, "replication.quorum.read_quorum", &topic->read_quorum, problems);
    if (!has_write || !has_read || topic->unclean_election ||
        topic->write_quorum + topic->read_quorum > topic->replication_factor) {
        return; /* CFG-6 */
    }
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text what = text_of(room, sizeof room);
    text_format(&what,
                "more than replication_factor %" PRId64 " together with read_quorum %" PRId64
                "; or unclean_election true, where a failover may lose acknowledged records",
                topic->replication_factor, topic->read_quorum);
    refuse(target, "replication.quorum.write_quorum", what.data, problems);
}

void config_settle(struct config_target *target, struct config_problems *problems)
{
    ASSERT(target->table == config_table());
    ASSERT(target->values);

    const struct config *config = target->values;
    quorums_settle(target, problems);
    if (config->topic.hand_over_at_once && config->topic.sync != PYR_SYNC_OS) {
        refuse(target, "topics.defaults.hand_over_at_once",
               "true only where topics.defaults.sync is \"os\"", problems);
    }
    if (config->topic.sync_on_write && config->node.cache_enabled) {
        refuse(target, "storage.segment_config.sync_on_write",
               "true only where storage.cache_config.enabled is false", problems);
    }
}
