/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a checkpoint body.
 */
#include "base/codec.h"
#include "lib/case.h"
#include "partition/state.h"

enum { BODY_BYTES = 1024 };

static const struct segment_epoch epochs[] = {{1025, 0}, {2049, 700}};

static struct log_state state_sample(void)
{
    return (struct log_state){.id = {.value = {1, 2, 3}},
                              .name = "orders-7",
                              .promise = 2049,
                              .epoch_last = 2049,
                              .offset_start = 10,
                              .offset_end = 4711,
                              .segment_base = 700,
                              .segment_position = 4096,
                              .digest = UINT64_C(0x1122334455667788),
                              .entry_number = 99,
                              .clock_ms = INT64_C(1700000000000),
                              .cleaned_to = 5,
                              .epochs = epochs,
                              .epoch_count = 2};
}

/* Build a body of one row; return its bytes. */
static size_t body_build(uint8_t *body, const struct log_state *state)
{
    state_header_put(body, 1);
    return state_header_bytes() + state_row_put(body + state_header_bytes(), state);
}

/* STA-1: recovery starts from exactly what the checkpoint claimed. */
TEST(state_row, comes_back_as_it_was_put)
{
    uint8_t body[BODY_BYTES];
    const struct log_state put = state_sample();
    size_t bytes = body_build(body, &put);
    struct log_state got;
    uint32_t count = 0;
    size_t position = state_header_bytes();

    enum pyr_err header_err = state_header_get((struct bytes){body, bytes}, &count, NULL);
    enum pyr_err row_err = state_row_get((struct bytes){body, bytes}, &position, &got, NULL);

    CHECK_INT(header_err, PYR_OK);
    CHECK_INT(row_err, PYR_OK);
    CHECK_INT(count, 1);
    CHECK_INT(position, bytes);
    CHECK(log_id_equal(&got.id, &put.id));
    CHECK_TEXT(got.name, "orders-7");
    CHECK_INT(got.promise, 2049);
    CHECK_INT(got.offset_start, 10);
    CHECK_INT(got.offset_end, 4711);
    CHECK_INT(got.segment_base, 700);
    CHECK_INT(got.segment_position, 4096);
    CHECK(got.digest == put.digest);
    CHECK_INT(got.entry_number, 99);
    CHECK_INT(got.clock_ms, put.clock_ms);
    CHECK_INT(got.cleaned_to, 5);
    CHECK_INT(state_epoch_get(&got, 1).epoch, 2049);
    CHECK_INT(state_epoch_get(&got, 1).offset_start, 700);
}

/* A claim that ends before its own tail begins would have recovery write before a file's beginning.
 */
TEST(state_row, refuses_what_no_log_can_be)
{
    static const uint8_t tail[100] = {1};
    struct log_state bad[2] = {state_sample(), state_sample()};
    bad[0].segment_base = -1;
    bad[1].tail = (struct bytes){tail, sizeof tail};
    bad[1].segment_position = 99;
    for (size_t index = 0; index < 2; index++) {
        uint8_t body[BODY_BYTES];
        struct log_state got;
        size_t bytes = body_build(body, &bad[index]);
        size_t position = state_header_bytes();
        enum pyr_err err = state_row_get((struct bytes){body, bytes}, &position, &got, NULL);
        CHECK_INT(err, PYR_ERR_CORRUPT);
    }
}

/* A body that ends early must give an error at every length, and never a read past its end. */
TEST(state_row, refuses_every_truncation)
{
    uint8_t body[BODY_BYTES];
    const struct log_state put = state_sample();
    size_t bytes = body_build(body, &put);

    for (size_t cut = state_header_bytes(); cut < bytes; cut++) {
        uint8_t *copy = malloc(cut);
        assert_non_null(copy);
        memcpy(copy, body, cut);
        struct log_state got;
        size_t position = state_header_bytes();
        enum pyr_err err = state_row_get((struct bytes){copy, cut}, &position, &got, NULL);
        free(copy);
        CHECK_INT(err, PYR_ERR_CORRUPT);
        CHECK_INT(position, state_header_bytes());
    }
}

/* PAR-9: what no segment may have yet is in the row, or a checkpoint would lose it. */
TEST(state_row, carries_the_batches_of_a_replica)
{
    uint8_t body[BODY_BYTES];
    struct log_state put = state_sample();
    put.is_replicated = true;
    put.cached_bytes = 5;
    size_t bytes = body_build(body, &put);
    static const uint8_t batch[5] = {1, 2, 3, 4, 5};
    memcpy(body + bytes - sizeof batch, batch, sizeof batch);
    struct log_state got;
    size_t position = state_header_bytes();

    enum pyr_err err = state_row_get((struct bytes){body, bytes}, &position, &got, NULL);

    CHECK_INT(err, PYR_OK);
    CHECK(got.is_replicated);
    CHECK_INT(got.cached.count, 5);
    CHECK_INT(memcmp(got.cached.data, batch, sizeof batch), 0);
}

/* Folders of the first version are still opened: their rows end with the tail. */
TEST(state_row, of_version_1_is_a_log_alone)
{
    uint8_t body[BODY_BYTES];
    const struct log_state put = state_sample();
    size_t bytes = body_build(body, &put) - 8;
    put_le16(body + 4, 1);
    put_le32(body + state_header_bytes(), (uint32_t)(bytes - state_header_bytes()));
    struct log_state got;
    size_t position = state_header_bytes();

    enum pyr_err err = state_row_get((struct bytes){body, bytes}, &position, &got, NULL);

    CHECK_INT(err, PYR_OK);
    CHECK(!got.is_replicated);
    CHECK_INT(got.offset_end, 4711);
    CHECK_INT(got.cached.count, 0);
}

/* A folder written by a later version must not be half understood. */
TEST(state_header, refuses_a_newer_version_by_number)
{
    uint8_t body[BODY_BYTES];
    const struct log_state put = state_sample();
    size_t bytes = body_build(body, &put);
    put_le16(body + 4, 3);
    uint32_t count = 0;
    struct pyr_error error;

    enum pyr_err err = state_header_get((struct bytes){body, bytes}, &count, &error);

    CHECK_INT(err, PYR_ERR_VERSION);
    CHECK(strstr(error.message, "version 3") != NULL);
}
