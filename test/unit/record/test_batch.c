/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch header: golden bytes, every flipped bit, every broken rule.
 */
#include "base/checksum.h"
#include "base/codec.h"
#include "base/limits.h"
#include "lib/case.h"
#include "record/batch.h"
#include "record/golden.h"

/* -- Helpers -- */

/* Read and verify the batch at the front of @data. */
static enum pyr_err check(struct bytes data, struct batch_header *ret_header)
{
    struct pyr_error error = {.message = ""};
    enum pyr_err err = batch_header_read(data, ret_header, &error);
    if (err == PYR_OK) {
        err = batch_verify(data, ret_header, &error);
    }
    CHECK((err == PYR_OK) == (error.message[0] == '\0'));
    return err;
}

#define GOLDEN(name) ((struct bytes){.data = (name), .count = sizeof(name)})

/* One field of BATCH1 set to something else, sealed so that the crc is right, and what becomes of
 * it. */
struct rule_case {
    const char *name;
    struct batch_header header;
    enum pyr_err expected;
};

static struct batch_header golden_header(void)
{
    struct batch_header header;
    CHECK_INT(check(GOLDEN(golden_batch1), &header), PYR_OK);
    return header;
}

static enum pyr_err check_sealed(const struct batch_header *header, struct batch_header *ret_header)
{
    uint8_t data[sizeof golden_batch1];
    memcpy(data, golden_batch1, sizeof data);
    /* By hand and not by batch_seal, which refuses to make a bad batch. */
    struct batch_header plain = *header;
    plain.attributes = 0;
    plain.last_offset_delta = 1;
    plain.record_count = 2;
    batch_seal((struct bytes_mut){.data = data, .count = sizeof data}, &plain);
    put_be16(data + BATCH_ATTRIBUTES_POSITION, header->attributes);
    put_be32(data + BATCH_LAST_OFFSET_DELTA_POSITION, (uint32_t)header->last_offset_delta);
    put_be32(data + BATCH_RECORD_COUNT_POSITION, (uint32_t)header->record_count);
    put_be32(data + BATCH_CRC_POSITION,
             checksum_crc32c(0, (struct bytes){.data = data + BATCH_ATTRIBUTES_POSITION,
                                               .count = sizeof data - BATCH_ATTRIBUTES_POSITION}));
    return check((struct bytes){.data = data, .count = sizeof data}, ret_header);
}

/* -- batch_header_read -- */

/* The bytes of another program's batch mean what that program meant. */
TEST(batch_header_read, decodes_each_field_of_a_known_batch)
{
    struct batch_header header;

    enum pyr_err err = check(GOLDEN(golden_batch_lz4), &header);

    CHECK_INT(err, PYR_OK);
    CHECK_INT(header.base_offset, 0);
    CHECK_INT(header.length, sizeof golden_batch_lz4 - 12);
    CHECK_INT(header.bytes, sizeof golden_batch_lz4);
    CHECK_INT(header.epoch, -1);
    CHECK_INT(header.crc, 0x7a9f0aa5);
    CHECK_INT(batch_codec(&header), BATCH_CODEC_LZ4);
    CHECK_INT(header.last_offset_delta, 2);
    CHECK_INT(header.base_timestamp, GOLDEN_TIMESTAMP);
    CHECK_INT(header.max_timestamp, GOLDEN_TIMESTAMP + 2);
    CHECK_INT(header.producer_id, 4242);
    CHECK_INT(header.producer_epoch, 0);
    CHECK_INT(header.base_sequence, 7);
    CHECK_INT(header.record_count, 3);
    CHECK_INT(batch_offset_end(&header), 3);
}

/* A marker of a transaction is told from users' records. */
TEST(batch_header_read, knows_a_control_batch)
{
    struct batch_header header;

    CHECK_INT(check(GOLDEN(golden_abort), &header), PYR_OK);

    CHECK(batch_is_control(&header));
    CHECK(batch_is_transactional(&header));
    CHECK(!batch_has_append_time(&header));
    CHECK_INT(header.base_offset, 10);
    CHECK_INT(batch_check_produced(&header, NULL), PYR_ERR_INVALID);
}

/* A reader at the tail of a file must know "not all here yet" from "not a batch". */
TEST(batch_header_read, asks_for_more_at_every_truncation)
{
    for (size_t count = 0; count < sizeof golden_batch1; count++) {
        /* Memory of exactly this size, so that a sanitizer sees a read past it. */
        uint8_t *data = malloc(count + (count == 0));
        CHECK(data);
        memcpy(data, golden_batch1, count);
        struct batch_header header = {.bytes = 77};

        enum pyr_err err = batch_header_read((struct bytes){data, count}, &header, NULL);

        CHECK_INT(err, PYR_ERR_OUT_OF_RANGE);
        CHECK_INT(header.bytes, 77);
        free(data);
    }
}

/* Lengths that would make a caller read backwards, or reserve gigabytes. */
TEST(batch_header_read, refuses_lengths_out_of_bounds)
{
    static const struct {
        uint32_t length;
        enum pyr_err expected;
    } cases[] = {
        {0, PYR_ERR_CORRUPT},
        {48, PYR_ERR_CORRUPT},
        {0xffffffff, PYR_ERR_CORRUPT},
        {0x80000000, PYR_ERR_CORRUPT},
        {0x7fffffff, PYR_ERR_TOO_LARGE},
        {(uint32_t)BATCH_BYTES_MAX - 11, PYR_ERR_TOO_LARGE},
        {(uint32_t)BATCH_BYTES_MAX - 12, PYR_ERR_OUT_OF_RANGE},
        {49, PYR_OK},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        uint8_t data[sizeof golden_batch1];
        memcpy(data, golden_batch1, sizeof data);
        put_be32(data + BATCH_LENGTH_POSITION, cases[index].length);
        struct batch_header header;

        enum pyr_err err = batch_header_read((struct bytes){data, sizeof data}, &header, NULL);

        CHECK_INT(err, cases[index].expected);
    }
}

/* -- batch_verify -- */

/* REC-1: one flipped bit anywhere is found, but for the fields in front of the checksum, which are
 * listed here by name: others' checksums cover those. */
TEST(batch_verify, finds_every_flipped_bit_under_the_crc)
{
    size_t found = 0;
    for (size_t bit = 0; bit < sizeof golden_batch1 * 8; bit++) {
        uint8_t data[sizeof golden_batch1];
        memcpy(data, golden_batch1, sizeof data);
        data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        size_t position = bit / 8;
        struct batch_header header;

        enum pyr_err err = check((struct bytes){data, sizeof data}, &header);

        bool is_base_offset = position < BATCH_LENGTH_POSITION;
        bool is_epoch = position >= BATCH_EPOCH_POSITION && position < BATCH_MAGIC_POSITION;
        if (is_epoch || is_base_offset) {
            /* The sign bit of the offset is refused; the rest is for the segment's digest. */
            CHECK_INT(err, bit == 7 ? PYR_ERR_INVALID : PYR_OK);
        } else {
            CHECK(err != PYR_OK);
            found++;
        }
    }
    CHECK_INT(found, (sizeof golden_batch1 - 12) * 8);
}

/* A batch that nobody damaged may still contradict itself. */
TEST(batch_verify, refuses_what_contradicts_itself)
{
    struct batch_header good = golden_header();
    struct rule_case cases[] = {
        {"as it is", good, PYR_OK},
        {"codec 5", good, PYR_ERR_UNSUPPORTED},
        {"reserved bit 7", good, PYR_ERR_INVALID},
        {"reserved bit 15", good, PYR_ERR_INVALID},
        {"packed control", good, PYR_ERR_INVALID},
        {"negative delta", good, PYR_ERR_INVALID},
        {"more records than offsets", good, PYR_ERR_INVALID},
        {"negative count", good, PYR_ERR_INVALID},
        {"more records than bytes", good, PYR_ERR_INVALID},
        {"holes", good, PYR_OK},
        {"empty", good, PYR_OK},
        {"offset overflows", good, PYR_ERR_INVALID},
        {"highest offset", good, PYR_OK},
    };
    cases[1].header.attributes = 5;
    cases[2].header.attributes = 0x80;
    cases[3].header.attributes = 0x8000;
    cases[4].header.attributes = BATCH_ATTRIBUTE_CONTROL | BATCH_CODEC_LZ4;
    cases[5].header.last_offset_delta = -1;
    cases[6].header.record_count = 3;
    cases[7].header.record_count = -1;
    cases[8].header.record_count = 5;
    cases[8].header.last_offset_delta = 4;
    cases[9].header.last_offset_delta = 1000;
    cases[10].header.record_count = 0;
    cases[11].header.base_offset = INT64_MAX - 1;
    cases[12].header.base_offset = INT64_MAX - 2;
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct batch_header header;

        enum pyr_err err = check_sealed(&cases[index].header, &header);

        if (err != cases[index].expected) {
            print_message("case '%s'\n", cases[index].name);
        }
        CHECK_INT(err, cases[index].expected);
    }
}

/* -- batch_check_produced -- */

/* What compaction may leave, a client may not send. */
TEST(batch_check_produced, holds_clients_to_more)
{
    struct batch_header good = golden_header();
    struct rule_case cases[] = {
        {"as it is", good, PYR_OK},          {"hole", good, PYR_ERR_INVALID},
        {"empty", good, PYR_ERR_INVALID},    {"control", good, PYR_ERR_INVALID},
        {"horizon", good, PYR_ERR_INVALID},  {"no sequence", good, PYR_ERR_INVALID},
        {"no epoch", good, PYR_ERR_INVALID}, {"whole identity", good, PYR_OK},
    };
    cases[1].header.last_offset_delta = 2;
    cases[2].header.record_count = 0;
    cases[3].header.attributes = BATCH_ATTRIBUTE_CONTROL;
    cases[4].header.attributes = BATCH_ATTRIBUTE_DELETE_HORIZON;
    cases[5].header.producer_id = 7;
    cases[5].header.producer_epoch = 0;
    cases[6].header.producer_id = 7;
    cases[6].header.base_sequence = 0;
    cases[7].header.producer_id = 7;
    cases[7].header.producer_epoch = 0;
    cases[7].header.base_sequence = 0;
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        CHECK_INT(batch_check_produced(&cases[index].header, NULL), cases[index].expected);
    }
}

/* -- Patching -- */

/* REC-2: the leader patches twelve bytes and leaves the checksum as the client made it. */
TEST(batch_set_offset_and_epoch, keeps_the_crc)
{
    uint8_t data[sizeof golden_batch1];
    memcpy(data, golden_batch1, sizeof data);
    struct batch_header header;

    batch_set_offset_and_epoch((struct bytes_mut){data, sizeof data}, 1000, 7);

    CHECK_INT(check((struct bytes){data, sizeof data}, &header), PYR_OK);
    CHECK_INT(header.base_offset, 1000);
    CHECK_INT(header.epoch, 7);
    CHECK_INT(batch_offset_last(&header), 1001);
    CHECK_INT(header.crc, 0xc28597e6);
    CHECK_BYTES(data + BATCH_MAGIC_POSITION, golden_batch1 + BATCH_MAGIC_POSITION,
                sizeof data - BATCH_MAGIC_POSITION);
}

/* A log that stamps records itself changes bytes under the crc, so the crc is made anew. */
TEST(batch_set_append_time, seals_the_batch_again)
{
    uint8_t data[sizeof golden_batch1];
    memcpy(data, golden_batch1, sizeof data);
    struct batch_header header;

    batch_set_append_time((struct bytes_mut){data, sizeof data}, GOLDEN_TIMESTAMP + 9);

    CHECK_INT(check((struct bytes){data, sizeof data}, &header), PYR_OK);
    CHECK(batch_has_append_time(&header));
    CHECK_INT(header.max_timestamp, GOLDEN_TIMESTAMP + 9);
}

/* Sealing the same fields over the same records gives the other program's bytes. */
TEST(batch_seal, gives_the_golden_bytes)
{
    struct batch_header header = golden_header();
    uint8_t data[sizeof golden_batch1];
    memcpy(data, golden_batch1, sizeof data);
    memset(data, 0xee, BATCH_HEADER_BYTES);

    batch_seal((struct bytes_mut){data, sizeof data}, &header);

    CHECK_BYTES(data, golden_batch1, sizeof data);
}
