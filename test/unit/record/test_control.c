/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of control batches: record/control.c.
 */
#include "base/codec.h"
#include "lib/case.h"
#include "record/control.h"
#include "record/golden.h"

#define GOLDEN(name) ((struct bytes){(name), sizeof(name)})

/* Build @control at @offset in @epoch, and read it back. */
static struct bytes_mut build(uint8_t *memory,
                              const struct control *control,
                              int64_t offset,
                              int32_t epoch)
{
    struct bytes_mut room = {memory, CONTROL_BATCH_BYTES_MAX};
    memset(memory, 0xa5, CONTROL_BATCH_BYTES_MAX);
    struct bytes_mut batch = control_build(room, control, GOLDEN_TIMESTAMP);
    batch_set_offset_and_epoch(batch, offset, epoch);
    return batch;
}

static bool parse(struct bytes batch, struct control *ret_control)
{
    struct batch_header header;
    assert_int_equal(batch_header_read(batch, &header, NULL), PYR_OK);
    assert_int_equal(batch_verify(batch, &header, NULL), PYR_OK);
    return control_read(batch, &header, ret_control);
}

/* The formats stand for ever: each type gives the bytes of another encoder. */
TEST(control_build, gives_the_golden_bytes)
{
    const struct control clock = {.type = CONTROL_CLOCK, .as.clock_ms = GOLDEN_TIMESTAMP};
    const struct control token = {.type = CONTROL_TOKEN, .as.token = 42};
    const struct control refusal = {.type = CONTROL_REFUSAL,
                                    .as.refusal = {7, 2, 41, 3, CONTROL_REASON_END}};
    const struct control gap = {.type = CONTROL_GAP, .as.gap = {4711, 4721, 1025}};

    const struct {
        const struct control *control;
        int64_t offset;
        int32_t epoch;
        struct bytes golden;
    } rows[] = {{&clock, 10, 1025, GOLDEN(golden_clock)},
                {&token, 11, 1025, GOLDEN(golden_token)},
                {&refusal, 12, 1025, GOLDEN(golden_refusal)},
                {&gap, 4721, 2050, GOLDEN(golden_gap)}};

    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        uint8_t memory[CONTROL_BATCH_BYTES_MAX];
        struct bytes_mut batch =
            build(memory, rows[row].control, rows[row].offset, rows[row].epoch);

        CHECK_INT(batch.count, rows[row].golden.count);
        CHECK_BYTES(batch.data, rows[row].golden.data, rows[row].golden.count);
    }
}

/* REC-9, for each type. */
TEST(control_read, gives_what_was_built)
{
    struct control control = {.type = CONTROL_GAP};
    CHECK(parse(GOLDEN(golden_clock), &control));
    CHECK_INT(control.type, CONTROL_CLOCK);
    CHECK_INT(control.as.clock_ms, GOLDEN_TIMESTAMP);

    CHECK(parse(GOLDEN(golden_token), &control));
    CHECK_INT(control.type, CONTROL_TOKEN);
    CHECK_INT(control.as.token, 42);

    CHECK(parse(GOLDEN(golden_refusal), &control));
    CHECK_INT(control.type, CONTROL_REFUSAL);
    CHECK_INT(control.as.refusal.producer_id, 7);
    CHECK_INT(control.as.refusal.producer_epoch, 2);
    CHECK_INT(control.as.refusal.sequence_first, 41);
    CHECK_INT(control.as.refusal.sequence_count, 3);
    CHECK_INT(control.as.refusal.reason, CONTROL_REASON_END);

    CHECK(parse(GOLDEN(golden_gap), &control));
    CHECK_INT(control.type, CONTROL_GAP);
    CHECK_INT(control.as.gap.offset_first, 4711);
    CHECK_INT(control.as.gap.offset_end, 4721);
    CHECK_INT(control.as.gap.epoch, 1025);
}

/* Kafka's own markers, users' batches, and what a later program writes are none of ours. */
TEST(control_read, passes_over_what_is_not_ours)
{
    struct control control = {.type = CONTROL_GAP};
    CHECK(!parse(GOLDEN(golden_abort), &control));
    CHECK(!parse(GOLDEN(golden_batch1), &control));

    static const uint8_t later_version[] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 42};
    static const uint8_t longer[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 42, 7};
    static const uint8_t negative[] = {0, 0, 0xff, 0, 0, 0, 0, 0, 0, 42};
    static const uint8_t empty[] = {0};

    const struct {
        int16_t type;
        struct bytes value;
    } rows[] = {{CONTROL_TOKEN, GOLDEN(later_version)},
                {CONTROL_TOKEN, GOLDEN(longer)},
                {CONTROL_TOKEN, GOLDEN(negative)},
                {CONTROL_CLOCK, GOLDEN(negative)},
                {CONTROL_TOKEN, GOLDEN(empty)},
                {99, GOLDEN(longer)},
                {104, GOLDEN(longer)},
                {CONTROL_GAP, GOLDEN(longer)}};

    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        uint8_t memory[CONTROL_BATCH_BYTES_MAX];
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
        assert_int_equal(builder_add_control(&builder, rows[row].type, rows[row].value, 1, NULL),
                         PYR_OK);
        const struct batch_stamp stamp = BATCH_STAMP_NONE;
        struct bytes_mut batch = builder_seal(&builder, &stamp);
        CHECK(!parse((struct bytes){batch.data, batch.count}, &control));
    }
    CHECK_INT(control.type, CONTROL_GAP); /* Untouched. */
}

/* A refusal without a producer, or a gap of nothing, is damage of a kind that no checksum finds. */
TEST(control_read, refuses_what_cannot_be)
{
    static const struct control rows[] = {
        {.type = CONTROL_REFUSAL, .as.refusal = {-1, 2, 41, 3, CONTROL_REASON_END}},
        {.type = CONTROL_REFUSAL, .as.refusal = {7, -1, 41, 3, CONTROL_REASON_END}},
        {.type = CONTROL_REFUSAL, .as.refusal = {7, 2, -1, 3, CONTROL_REASON_END}},
        {.type = CONTROL_REFUSAL, .as.refusal = {7, 2, 41, 3, (enum control_reason)3}},
        {.type = CONTROL_GAP, .as.gap = {-5, 4, 1}},
        {.type = CONTROL_GAP, .as.gap = {5, 6, -1}},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        uint8_t memory[CONTROL_BATCH_BYTES_MAX];
        struct control control;
        struct bytes_mut batch = build(memory, &rows[row], 1, 1025);
        CHECK(!parse((struct bytes){batch.data, batch.count}, &control));
    }
}
