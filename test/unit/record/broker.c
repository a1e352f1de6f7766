/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/broker - the mock broker and two of Kafka's requests, byte by byte.
 */
#include "record/broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/codec.h"
#include "lib/case.h"

enum {
    API_PRODUCE = 0,
    API_FETCH = 1,
    PRODUCE_VERSION = 7,
    FETCH_VERSION = 11,
    REQUEST_BYTES_BEFORE_RECORDS = 256,
    TIMEOUT_S = 20,
};

/* A request being written; the first four bytes are its size. */
struct request {
    uint8_t *data;
    size_t used;
};

/* An answer being read. */
struct answer {
    uint8_t *data;
    size_t count;
    size_t position;
};

static void put_i16(struct request *request, int16_t value)
{
    put_be16(request->data + request->used, (uint16_t)value);
    request->used += sizeof value;
}

static void put_i32(struct request *request, int32_t value)
{
    put_be32(request->data + request->used, (uint32_t)value);
    request->used += sizeof value;
}

static void put_i64(struct request *request, int64_t value)
{
    put_be64(request->data + request->used, (uint64_t)value);
    request->used += sizeof value;
}

static void put_string(struct request *request, const char *text)
{
    size_t count = strlen(text);
    put_i16(request, (int16_t)count);
    memcpy(request->data + request->used, text, count);
    request->used += count;
}

static struct request request_new(struct broker *broker,
                                  int16_t api,
                                  int16_t version,
                                  size_t records_bytes)
{
    struct request request = {.data = malloc(REQUEST_BYTES_BEFORE_RECORDS + records_bytes)};
    CHECK(request.data);
    put_i32(&request, 0);
    put_i16(&request, api);
    put_i16(&request, version);
    put_i32(&request, ++broker->correlation_id);
    put_string(&request, "judge");
    return request;
}

static const uint8_t *take(struct answer *answer, size_t count)
{
    CHECK(count <= answer->count - answer->position);
    const uint8_t *at = answer->data + answer->position;
    answer->position += count;
    return at;
}

static int16_t take_i16(struct answer *answer)
{
    return (int16_t)get_be16(take(answer, sizeof(int16_t)));
}

static int32_t take_i32(struct answer *answer)
{
    return (int32_t)get_be32(take(answer, sizeof(int32_t)));
}

static int64_t take_i64(struct answer *answer)
{
    return (int64_t)get_be64(take(answer, sizeof(int64_t)));
}

static void socket_read(int socket_fd, uint8_t *data, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t bytes = recv(socket_fd, data + done, count - done, 0);
        CHECK(bytes > 0);
        done += (size_t)bytes;
    }
}

/* Send @request, free it, and wait for its answer. */
static struct answer exchange(struct broker *broker, struct request request)
{
    put_be32(request.data, (uint32_t)(request.used - sizeof(int32_t)));
    for (size_t done = 0; done < request.used;) {
        ssize_t bytes =
            send(broker->socket, request.data + done, request.used - done, MSG_NOSIGNAL);
        CHECK(bytes > 0);
        done += (size_t)bytes;
    }
    free(request.data);

    uint8_t prefix[sizeof(int32_t)];
    socket_read(broker->socket, prefix, sizeof prefix);
    struct answer answer = {.count = get_be32(prefix)};
    answer.data = malloc(answer.count);
    CHECK(answer.data);
    socket_read(broker->socket, answer.data, answer.count);
    CHECK_INT(take_i32(&answer), broker->correlation_id);
    return answer;
}

/* Step over "one topic, its name, one partition, its index". */
static void take_topic(struct answer *answer)
{
    CHECK_INT(take_i32(answer), 1);
    size_t count = (size_t)take_i16(answer);
    CHECK_INT(count, strlen(BROKER_TOPIC));
    CHECK_BYTES(take(answer, count), BROKER_TOPIC, count);
    CHECK_INT(take_i32(answer), 1);
    CHECK_INT(take_i32(answer), 0);
}

int64_t broker_produce(struct broker *broker, struct bytes batch)
{
    struct request request = request_new(broker, API_PRODUCE, PRODUCE_VERSION, batch.count);
    put_i16(&request, -1); /* No transaction. */
    put_i16(&request, -1); /* All acknowledge. */
    put_i32(&request, TIMEOUT_S * 1000);
    put_i32(&request, 1);
    put_string(&request, BROKER_TOPIC);
    put_i32(&request, 1);
    put_i32(&request, 0);
    put_i32(&request, (int32_t)batch.count);
    memcpy(request.data + request.used, batch.data, batch.count);
    request.used += batch.count;

    struct answer answer = exchange(broker, request);
    take_topic(&answer);
    CHECK_INT(take_i16(&answer), 0);
    int64_t base_offset = take_i64(&answer);
    free(answer.data);
    return base_offset;
}

struct bytes_mut broker_fetch(struct broker *broker, int64_t offset)
{
    struct request request = request_new(broker, API_FETCH, FETCH_VERSION, 0);
    put_i32(&request, -1);  /* No replica. */
    put_i32(&request, 100); /* Wait so many milliseconds. */
    put_i32(&request, 1);
    put_i32(&request, INT32_MAX);
    request.data[request.used++] = 0; /* Uncommitted too. */
    put_i32(&request, 0);             /* No session. */
    put_i32(&request, -1);
    put_i32(&request, 1);
    put_string(&request, BROKER_TOPIC);
    put_i32(&request, 1);
    put_i32(&request, 0);
    put_i32(&request, -1); /* Any epoch. */
    put_i64(&request, offset);
    put_i64(&request, -1);
    put_i32(&request, INT32_MAX);
    put_i32(&request, 0); /* Nothing to forget. */
    put_string(&request, "");

    struct answer answer = exchange(broker, request);
    (void)take_i32(&answer); /* Throttle. */
    CHECK_INT(take_i16(&answer), 0);
    (void)take_i32(&answer); /* Session. */
    take_topic(&answer);
    CHECK_INT(take_i16(&answer), 0);
    (void)take(&answer, 3 * sizeof(int64_t)); /* High watermark, last stable, log start. */
    int32_t aborted = take_i32(&answer);
    for (int32_t index = 0; index < aborted; index++) {
        (void)take(&answer, 2 * sizeof(int64_t));
    }
    (void)take_i32(&answer); /* Preferred replica. */
    int32_t count = take_i32(&answer);
    struct bytes_mut records = {.count = count > 0 ? (size_t)count : 0};
    records.data = malloc(records.count + 1);
    CHECK(records.data);
    memcpy(records.data, take(&answer, records.count), records.count);
    CHECK_INT(answer.position, answer.count);
    free(answer.data);
    return records;
}

static int broker_connect(const char *address)
{
    const char *colon = strrchr(address, ':');
    CHECK(colon);
    struct sockaddr_in target = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(socket_fd >= 0);
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    CHECK_INT(setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    CHECK_INT(connect(socket_fd, (const struct sockaddr *)&target, sizeof target), 0);
    return socket_fd;
}

rd_kafka_t *broker_client(const struct broker *broker,
                          rd_kafka_type_t type,
                          const char *name,
                          const char *value)
{
    char text[512];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    CHECK(settings);
    if (broker->address) {
        CHECK_INT(
            rd_kafka_conf_set(settings, "bootstrap.servers", broker->address, text, sizeof text),
            RD_KAFKA_CONF_OK);
    }
    CHECK_INT(rd_kafka_conf_set(settings, "log_level", "3", text, sizeof text), RD_KAFKA_CONF_OK);
    if (type == RD_KAFKA_CONSUMER) {
        CHECK_INT(rd_kafka_conf_set(settings, "group.id", "judge", text, sizeof text),
                  RD_KAFKA_CONF_OK);
    } else {
        CHECK_INT(rd_kafka_conf_set(settings, "linger.ms", "50", text, sizeof text),
                  RD_KAFKA_CONF_OK);
    }
    if (name) {
        CHECK_INT(rd_kafka_conf_set(settings, name, value, text, sizeof text), RD_KAFKA_CONF_OK);
    }
    rd_kafka_t *client = rd_kafka_new(type, settings, text, sizeof text);
    CHECK(client);
    return client;
}

struct broker broker_start(void)
{
    struct broker broker = {.socket = -1};
    broker.owner = broker_client(&broker, RD_KAFKA_PRODUCER, NULL, NULL);
    broker.cluster = rd_kafka_mock_cluster_new(broker.owner, 1);
    CHECK(broker.cluster);
    CHECK_INT(rd_kafka_mock_topic_create(broker.cluster, BROKER_TOPIC, 1, 1), 0);
    broker.address = rd_kafka_mock_cluster_bootstraps(broker.cluster);
    broker.socket = broker_connect(broker.address);
    return broker;
}

void broker_stop(struct broker *broker)
{
    CHECK_INT(close(broker->socket), 0);
    rd_kafka_mock_cluster_destroy(broker->cluster);
    rd_kafka_destroy(broker->owner);
}
