/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder: golden bytes, what does not fit, and the forms that compaction and markers need.
 */
#include "base/codec.h"
#include "lib/case.h"
#include "record/builder.h"
#include "record/golden.h"
#include "record/walk.h"

/* -- Fixture -- */

struct fixture {
    uint8_t memory[4096];
    struct builder builder;
};

static struct fixture *fixture_new(void)
{
    static struct fixture fixture;
    memset(&fixture, 0xcc, sizeof fixture);
    builder_init(&fixture.builder,
                 (struct bytes_mut){.data = fixture.memory, .count = sizeof fixture.memory});
    return &fixture;
}

static struct walk walk_over(struct bytes_mut batch, struct batch_header *ret_header)
{
    struct bytes data = {.data = batch.data, .count = batch.count};
    CHECK_INT(batch_header_read(data, ret_header, NULL), PYR_OK);
    CHECK_INT(batch_verify(data, ret_header, NULL), PYR_OK);
    struct walk walk;
    walk_init(&walk, ret_header, batch_records(data, ret_header));
    return walk;
}

static void add_batch1_records(struct builder *builder)
{
    struct record_header header = {.key = bytes_of_text("h"), .value = bytes_of_text("1")};
    struct record first = {.timestamp = GOLDEN_TIMESTAMP,
                           .key = bytes_of_text("k1"),
                           .value = bytes_of_text("hello"),
                           .headers = &header,
                           .header_count = 1};
    struct record second = {.timestamp = GOLDEN_TIMESTAMP + 5, .value = bytes_of_text("world!")};
    CHECK_INT(builder_add(builder, &first, NULL), PYR_OK);
    CHECK_INT(builder_add(builder, &second, NULL), PYR_OK);
}

static void seal_without_records(void *ctx)
{
    (void)builder_seal(ctx, &BATCH_STAMP_NONE);
}

/* -- builder_add, builder_seal -- */

/* What other programs encode, we encode to the same bytes. */
TEST(builder_seal, gives_the_golden_bytes)
{
    struct fixture *fixture = fixture_new();
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    stamp.epoch = 0;

    add_batch1_records(&fixture->builder);
    struct bytes_mut batch = builder_seal(&fixture->builder, &stamp);

    CHECK_INT(batch.count, sizeof golden_batch1);
    CHECK_BYTES(batch.data, golden_batch1, sizeof golden_batch1);
}

/* A transaction's marker as Kafka's coordinator writes it. */
TEST(builder_add_control, gives_the_golden_marker)
{
    struct fixture *fixture = fixture_new();
    static const uint8_t value[] = {0, 0, 0, 0, 0, 3};
    struct batch_stamp stamp = {.producer_id = 4242,
                                .base_sequence = -1,
                                .base_offset = 10,
                                .epoch = 5,
                                .is_transactional = true};

    CHECK_INT(builder_add_control(&fixture->builder, 0, (struct bytes){value, sizeof value},
                                  GOLDEN_TIMESTAMP + 10, NULL),
              PYR_OK);
    struct bytes_mut batch = builder_seal(&fixture->builder, &stamp);

    CHECK_INT(batch.count, sizeof golden_abort);
    CHECK_BYTES(batch.data, golden_abort, sizeof golden_abort);
}

/* REC-5: the record that does not fit changes nothing, at every size of the room, and no byte
 * behind the room is touched. */
TEST(builder_add, refuses_what_does_not_fit_and_stays_as_it_was)
{
    struct record record = {.timestamp = 5,
                            .key = bytes_of_text("key"),
                            .value = bytes_of_text("value")};
    for (size_t room = 0; room < 64; room++) {
        uint8_t memory[BATCH_HEADER_BYTES + 64 + 1];
        memset(memory, 0x5a, sizeof memory);
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){memory, BATCH_HEADER_BYTES + room});

        size_t count = 0;
        while (builder_add(&builder, &record, NULL) == PYR_OK) {
            count++;
        }

        /* Length, attributes, two deltas, 1 + 3, 1 + 5, header count. */
        CHECK_INT(count, room / 15);
        CHECK_INT(builder_bytes(&builder), BATCH_HEADER_BYTES + count * 15);
        CHECK_INT(builder.record_count, count);
        for (size_t index = builder_bytes(&builder); index < sizeof memory; index++) {
            CHECK_INT(memory[index], 0x5a);
        }
    }
}

/* A refused record says how large it was and what room there is. */
TEST(builder_add, names_the_sizes_when_it_refuses)
{
    uint8_t memory[BATCH_HEADER_BYTES + 10];
    struct builder builder;
    builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
    struct record record = {.value = bytes_of_text("0123456789")};
    struct pyr_error error;

    CHECK_INT(builder_add(&builder, &record, &error), PYR_ERR_TOO_LARGE);

    CHECK_TEXT(error.message, "record of 17 bytes, room for 10");
}

/* The bound that callers size their memory by. */
TEST(builder_record_bytes_max, is_never_below_the_truth)
{
    static uint8_t value[40000];
    static const size_t counts[] = {0, 1, 63, 64, 8191, 8192, sizeof value};
    for (size_t index = 0; index < sizeof counts / sizeof counts[0]; index++) {
        static uint8_t memory[BATCH_HEADER_BYTES + 2 * 41000];
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
        struct record record = {.timestamp = 0, .value = {value, counts[index]}};
        CHECK_INT(builder_add(&builder, &record, NULL), PYR_OK);
        size_t before = builder_bytes(&builder);
        record.timestamp = INT64_MIN; /* The longest delta. */

        CHECK_INT(builder_add(&builder, &record, NULL), PYR_OK);

        CHECK(builder_bytes(&builder) - before <= builder_record_bytes_max(&record));
    }
}

/* Neither Kafka nor we know a batch without records, unless compaction left it so. */
TEST(builder_seal, aborts_without_records)
{
    struct fixture *fixture = fixture_new();

    EXPECT_ABORT(seal_without_records, &fixture->builder);
}

/* Producer identity and flags stand in the header. */
TEST(builder_seal, stamps_the_batch)
{
    struct fixture *fixture = fixture_new();
    struct batch_stamp stamp = {.producer_id = INT64_MAX,
                                .producer_epoch = INT16_MAX,
                                .base_sequence = INT32_MAX,
                                .base_offset = INT64_MAX - 2,
                                .epoch = INT32_MAX,
                                .is_transactional = true};
    struct batch_header header;

    add_batch1_records(&fixture->builder);
    (void)walk_over(builder_seal(&fixture->builder, &stamp), &header);

    CHECK_INT(header.producer_id, INT64_MAX);
    CHECK_INT(header.producer_epoch, INT16_MAX);
    CHECK_INT(header.base_sequence, INT32_MAX);
    CHECK_INT(header.base_offset, INT64_MAX - 2);
    CHECK_INT(header.epoch, INT32_MAX);
    CHECK(batch_is_transactional(&header));
    CHECK_INT(batch_check_produced(&header, NULL), PYR_OK);
}

/* -- builder_init_from, builder_add_encoded -- */

/* Continue BATCH1 with those of its records whose bit is set, as compaction does. */
static struct bytes_mut compact(struct builder *builder,
                                struct bytes_mut memory,
                                unsigned kept_bits)
{
    struct batch_header header;
    struct bytes_mut original = {.data = bytes_unconst(golden_batch1),
                                 .count = sizeof golden_batch1};
    struct walk walk = walk_over(original, &header);
    builder_init_from(builder, memory, &header);
    struct record_view view;
    while (walk_next(&walk, &view)) {
        if (kept_bits >> view.offset_delta & 1U) {
            CHECK_INT(
                builder_add_encoded(builder, view.encoded, view.offset_delta, view.timestamp, NULL),
                PYR_OK);
        }
    }
    CHECK_INT(walk_end(&walk, NULL), PYR_OK);
    return builder_seal(builder, &BATCH_STAMP_NONE);
}

/* Compaction keeps some records as they are; the batch keeps offsets, base time and identity, so
 * that producers' sequences can be read from it still. */
TEST(builder_add_encoded, keeps_what_compaction_must_keep)
{
    for (unsigned kept_bits = 0; kept_bits < 4; kept_bits++) {
        struct fixture *fixture = fixture_new();

        struct bytes_mut batch =
            compact(&fixture->builder, (struct bytes_mut){fixture->memory, sizeof fixture->memory},
                    kept_bits);

        struct batch_header left;
        struct walk walk = walk_over(batch, &left);
        CHECK_INT(left.last_offset_delta, 1);
        CHECK_INT(left.base_timestamp, GOLDEN_TIMESTAMP);
        CHECK_INT(left.record_count, __builtin_popcount(kept_bits));
        struct record_view view;
        while (walk_next(&walk, &view)) {
            CHECK(kept_bits >> view.offset_delta & 1U);
            CHECK_INT(view.timestamp, GOLDEN_TIMESTAMP + INT64_C(5) * view.offset_delta);
        }
        CHECK_INT(walk_end(&walk, NULL), PYR_OK);
    }
}
