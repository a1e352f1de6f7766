/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/broker - librdkafka's mock broker, and requests to it made by hand.
 *
 * The broker keeps batches as the bytes that came; so what librdkafka produced can be looked at
 * raw, and what we produced raw can be consumed by librdkafka. It listens on the loopback only, at
 * a port of the kernel's choice.
 */
#ifndef RECORD_BROKER_H
#define RECORD_BROKER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/bytes.h"

#define BROKER_TOPIC "judge"

/* One mock cluster of one broker with one topic of one partition, and a raw connection to it. */
struct broker {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    const char *address; /* "127.0.0.1:port". */
    int socket;
    int32_t correlation_id;
};

/** Start a broker. */
struct broker broker_start(void);

/** Stop @broker. */
void broker_stop(struct broker *broker);

/** Make a client of @broker with one more setting @name = @value (NULL: none). Gives:
 * rd_kafka_destroy. */
rd_kafka_t *broker_client(const struct broker *broker,
                          rd_kafka_type_t type,
                          const char *name,
                          const char *value);

/** Send @batch in a Produce request of version 7 and return the base offset that it was given. */
int64_t broker_produce(struct broker *broker, struct bytes batch);

/** Fetch from @offset with a Fetch request of version 11; return the raw records, of which there
 * may be none. Gives: free. */
struct bytes_mut broker_fetch(struct broker *broker, int64_t offset);

#endif /* RECORD_BROKER_H */
