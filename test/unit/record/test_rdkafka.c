/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outside judge: librdkafka makes batches that we read, and reads batches that we make.
 *
 * The path is librdkafka's producer -> its mock broker -> our raw Fetch -> our reader, and our
 * builder -> our raw Produce -> the mock broker -> librdkafka's consumer with its own check of the
 * CRC. Nothing of ours is between its encoder and our decoder, or the other way round.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/prng.h"
#include "lib/case.h"
#include "record/batch.h"
#include "record/broker.h"
#include "record/builder.h"
#include "record/compress.h"
#include "record/partitioner.h"
#include "record/walk.h"

enum { RECORD_COUNT = 700, VALUE_BYTES_MAX = 400, CONSUME_MS = 20000 };

#define TIMESTAMP INT64_C(1700000000000)

/* -- The records that go both ways: the n-th is the same on either side. -- */

struct sample {
    char key[32];
    char value[VALUE_BYTES_MAX + 1];
    struct record_header headers[2];
    struct record record;
};

/* Null keys, tombstones, empty ones, headers with null values, times out of order. */
static void sample_make(struct sample *sample, int64_t number)
{
    memset(sample, 0, sizeof *sample);
    (void)snprintf(sample->key, sizeof sample->key, "key-%" PRId64, number % 50);
    size_t count = (size_t)(number * 37 % VALUE_BYTES_MAX);
    memset(sample->value, 'a' + (int)(number % 26), count);
    sample->headers[0].key = bytes_of_text("trace");
    sample->headers[0].value = bytes_of_text("0123456789abcdef");
    sample->headers[1].key = bytes_of_text("nothing");
    sample->record = (struct record){
        .timestamp = TIMESTAMP + number * 7 % 1000,
        .key = number % 5 == 0 ? (struct bytes){.data = NULL} : bytes_of_text(sample->key),
        .value = number % 11 == 3 ? (struct bytes){.data = NULL} : bytes_of_text(sample->value),
        .headers = sample->headers,
        .header_count = (size_t)(number % 3),
    };
}

static void check_field(struct bytes actual, struct bytes expected)
{
    CHECK(record_is_null(actual) == record_is_null(expected));
    CHECK(bytes_equal(actual, expected));
}

/* -- Theirs, read by us -- */

static rd_kafka_headers_t *theirs_headers(const struct sample *sample)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    for (size_t nth = 0; nth < sample->record.header_count; nth++) {
        const struct record_header *header = &sample->headers[nth];
        CHECK_INT(rd_kafka_header_add(headers, (const char *)header->key.data,
                                      (ssize_t)header->key.count, header->value.data,
                                      (ssize_t)header->value.count),
                  0);
    }
    return headers;
}

static void theirs_produce(const struct broker *broker, const char *codec)
{
    rd_kafka_t *producer = broker_client(broker, RD_KAFKA_PRODUCER, "compression.codec", codec);
    for (int64_t number = 0; number < RECORD_COUNT; number++) {
        struct sample sample;
        sample_make(&sample, number);
        const struct record *record = &sample.record;
        rd_kafka_vu_t parts[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = BROKER_TOPIC},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_KEY,
             .u.mem = {bytes_unconst(record->key.data), record->key.count}},
            {.vtype = RD_KAFKA_VTYPE_VALUE,
             .u.mem = {bytes_unconst(record->value.data), record->value.count}},
            {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = theirs_headers(&sample)},
        };
        CHECK(!rd_kafka_produceva(producer, parts, sizeof parts / sizeof parts[0]));
    }
    CHECK_INT(rd_kafka_flush(producer, CONSUME_MS), 0);
    rd_kafka_destroy(producer);
}

/* Walk one batch of theirs against the samples from @number on; return the next number. It is
 * packed with @codec, or not at all, since librdkafka leaves plain what does not shrink; those that
 * are packed are counted. */
static int64_t theirs_walk(struct bytes data,
                           enum batch_codec codec,
                           int64_t number,
                           int *packed_count)
{
    struct batch_header header;
    CHECK_INT(batch_header_read(data, &header, NULL), PYR_OK);
    CHECK_INT(batch_verify(data, &header, NULL), PYR_OK);
    CHECK_INT(batch_check_produced(&header, NULL), PYR_OK);
    CHECK(batch_codec(&header) == codec || batch_codec(&header) == BATCH_CODEC_NONE);
    CHECK_INT(header.base_offset, number);
    *packed_count += batch_codec(&header) == codec;
    codec = batch_codec(&header);

    struct bytes records = batch_records(data, &header);
    struct bytes_mut unpacked = {.data = NULL};
    struct bytes_mut workspace = {.count = compress_unpack_workspace_bytes(codec)};
    workspace.data = malloc(workspace.count + 1);
    CHECK(workspace.data);
    if (codec != BATCH_CODEC_NONE) {
        CHECK_INT(compress_unpacked_bytes_max(codec, records, &unpacked.count, NULL), PYR_OK);
        unpacked.data = malloc(unpacked.count);
        CHECK(unpacked.data);
        size_t bytes = 0;
        CHECK_INT(compress_unpack(codec, records, workspace, unpacked, &bytes, NULL), PYR_OK);
        records = (struct bytes){unpacked.data, bytes};
    }
    struct walk walk;
    walk_init(&walk, &header, records);
    struct record_view view;
    while (walk_next(&walk, &view)) {
        struct sample sample;
        sample_make(&sample, number);
        CHECK_INT(view.offset, number);
        CHECK_INT(view.timestamp, sample.record.timestamp);
        check_field(view.key, sample.record.key);
        check_field(view.value, sample.record.value);
        CHECK_INT(view.header_count, sample.record.header_count);
        struct bytes rest = view.headers;
        struct record_header field;
        for (size_t nth = 0; record_header_next(&rest, &field); nth++) {
            check_field(field.key, sample.headers[nth].key);
            check_field(field.value, sample.headers[nth].value);
        }
        number++;
    }
    CHECK_INT(walk_end(&walk, NULL), PYR_OK);
    free(workspace.data);
    free(unpacked.data);
    return number;
}

static void theirs_check(const char *name, enum batch_codec codec)
{
    struct broker broker = broker_start();
    theirs_produce(&broker, name);
    int64_t number = 0;
    int packed_count = 0;
    while (number < RECORD_COUNT) {
        struct bytes_mut records = broker_fetch(&broker, number);
        CHECK(records.count > 0);
        for (size_t position = 0; position < records.count;) {
            struct bytes rest = {records.data + position, records.count - position};
            struct batch_header header;
            CHECK_INT(batch_header_read(rest, &header, NULL), PYR_OK);
            number = theirs_walk(rest, codec, number, &packed_count);
            position += header.bytes;
        }
        free(records.data);
    }
    CHECK_INT(number, RECORD_COUNT);
    CHECK(packed_count > 0);
    broker_stop(&broker);
}

/* What librdkafka encodes and does not pack. */
TEST(theirs, is_read_when_plain)
{
    theirs_check("none", BATCH_CODEC_NONE);
}

/* librdkafka's LZ4 frames. */
TEST(theirs, is_read_when_lz4)
{
    theirs_check("lz4", BATCH_CODEC_LZ4);
}

/* librdkafka's use of zlib. */
TEST(theirs, is_read_when_gzip)
{
    theirs_check("gzip", BATCH_CODEC_GZIP);
}

/* librdkafka's own snappy encoder, raw blocks. */
TEST(theirs, is_read_when_snappy)
{
    theirs_check("snappy", BATCH_CODEC_SNAPPY);
}

/* librdkafka's use of zstd. */
TEST(theirs, is_read_when_zstd)
{
    theirs_check("zstd", BATCH_CODEC_ZSTD);
}

/* -- Ours, read by them -- */

/* Consume the samples up to @count with librdkafka, its check of the CRC on. */
static void ours_consume(const struct broker *broker, int64_t count)
{
    rd_kafka_t *consumer = broker_client(broker, RD_KAFKA_CONSUMER, "check.crcs", "true");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, BROKER_TOPIC, 0)->offset = 0;
    CHECK_INT(rd_kafka_assign(consumer, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    for (int64_t number = 0; number < count; number++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, CONSUME_MS);
        CHECK(message);
        CHECK_INT(message->err, 0);
        struct sample sample;
        sample_make(&sample, number);
        CHECK_INT(message->offset, number);
        CHECK_INT(rd_kafka_message_timestamp(message, NULL), sample.record.timestamp);
        check_field((struct bytes){message->key, message->key_len}, sample.record.key);
        check_field((struct bytes){message->payload, message->len}, sample.record.value);
        rd_kafka_headers_t *headers = NULL;
        (void)rd_kafka_message_headers(message, &headers); /* Fails where there are none. */
        CHECK_INT(headers ? rd_kafka_header_cnt(headers) : 0, sample.record.header_count);
        for (size_t nth = 0; nth < sample.record.header_count; nth++) {
            const char *name = NULL;
            const void *value = NULL;
            size_t value_bytes = 0;
            CHECK_INT(rd_kafka_header_get_all(headers, nth, &name, &value, &value_bytes), 0);
            check_field(bytes_of_text(name), sample.headers[nth].key);
            check_field((struct bytes){value, value_bytes}, sample.headers[nth].value);
        }
        rd_kafka_message_destroy(message);
    }
    CHECK_INT(rd_kafka_consumer_close(consumer), 0);
    rd_kafka_destroy(consumer);
}

/* Build batches of @batch_count samples each, packed by @seal, and have them consumed. */
static void ours_check(int64_t batch_count, struct bytes_mut (*seal)(struct builder *builder))
{
    struct broker broker = broker_start();
    struct bytes_mut memory = {.data = malloc(1 << 20), .count = 1 << 20};
    CHECK(memory.data);
    int64_t number = 0;
    for (int batch = 0; batch < 3; batch++) {
        struct builder builder;
        builder_init(&builder, memory);
        int64_t base_offset = number;
        for (int64_t added = 0; added < batch_count; added++) {
            struct sample sample;
            sample_make(&sample, number++);
            CHECK_INT(builder_add(&builder, &sample.record, NULL), PYR_OK);
        }
        struct bytes_mut sealed = seal(&builder);
        CHECK_INT(broker_produce(&broker, (struct bytes){sealed.data, sealed.count}), base_offset);
        if (sealed.data != memory.data) {
            free(sealed.data);
        }
    }
    ours_consume(&broker, number);
    free(memory.data);
    broker_stop(&broker);
}

static struct bytes_mut seal_plain(struct builder *builder)
{
    return builder_seal(builder, &BATCH_STAMP_NONE);
}

static struct bytes_mut seal_lz4(struct builder *builder)
{
    struct bytes records = builder_records(builder);
    struct bytes_mut out = {.count = BATCH_HEADER_BYTES + compress_packed_bytes_max(records.count)};
    out.data = malloc(out.count);
    struct bytes_mut workspace = {malloc(compress_pack_workspace_bytes()),
                                  compress_pack_workspace_bytes()};
    CHECK(out.data);
    CHECK(workspace.data);
    size_t bytes = 0;
    CHECK_INT(compress_pack(
                  records, workspace,
                  (struct bytes_mut){out.data + BATCH_HEADER_BYTES, out.count - BATCH_HEADER_BYTES},
                  &bytes, NULL),
              PYR_OK);
    out.count = BATCH_HEADER_BYTES + bytes;
    builder_seal_packed(builder, &BATCH_STAMP_NONE, BATCH_CODEC_LZ4, out);
    free(workspace.data);
    return out;
}

/* Our encoding and our checksum. */
TEST(ours, is_consumed_when_plain)
{
    ours_check(100, seal_plain);
}

/* More than 64 KiB in one batch. */
TEST(ours, is_consumed_when_plain_and_large)
{
    ours_check(2000, seal_plain);
}

/* One block. */
TEST(ours, is_consumed_when_lz4)
{
    ours_check(100, seal_lz4);
}

/* Several blocks: where linked blocks would hide in small tests. */
TEST(ours, is_consumed_when_lz4_and_large)
{
    ours_check(2000, seal_lz4);
}

/* -- Partitioner -- */

/* REC-8: random keys, against librdkafka's murmur2. */
TEST(partitioner, agrees_with_theirs)
{
    struct prng prng = prng_of(3, 0);
    for (int round = 0; round < 20000; round++) {
        uint8_t key[64];
        size_t count = prng_below(&prng, sizeof key + 1);
        prng_fill(&prng, (struct bytes_mut){key, count});
        int32_t partition_count = (int32_t)prng_between(&prng, 1, 5000);

        int32_t partition = partitioner_partition((struct bytes){key, count}, partition_count);

        CHECK_INT(partition,
                  rd_kafka_msg_partitioner_murmur2(NULL, key, count, partition_count, NULL, NULL));
    }
}
