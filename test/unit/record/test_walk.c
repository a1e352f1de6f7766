/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk: golden records, what was built comes back (against an obvious oracle: the list that was
 * added), and bytes that lie.
 */
#include "base/checksum.h"
#include "base/codec.h"
#include "base/prng.h"
#include "base/varint.h"
#include "lib/case.h"
#include "record/builder.h"
#include "record/golden.h"
#include "record/walk.h"

enum { ROUNDS = 3000, RECORDS_MAX = 40, HEADERS_MAX = 3, MEMORY_BYTES = 1 << 18 };

/* -- Helpers -- */

static struct walk walk_over(struct bytes data, struct batch_header *ret_header)
{
    CHECK_INT(batch_header_read(data, ret_header, NULL), PYR_OK);
    CHECK_INT(batch_verify(data, ret_header, NULL), PYR_OK);
    struct walk walk;
    walk_init(&walk, ret_header, batch_records(data, ret_header));
    return walk;
}

static void check_field(struct bytes actual, struct bytes expected)
{
    CHECK(record_is_null(actual) == record_is_null(expected));
    CHECK(bytes_equal(actual, expected));
}

/* Null, empty, short, and now and then long enough for three bytes of length. */
static struct bytes random_field(struct prng *prng, const uint8_t *noise)
{
    uint64_t kind = prng_below(prng, 20);
    if (kind == 0) {
        return (struct bytes){.data = NULL};
    }
    size_t count = kind == 1 ? 0 : prng_below(prng, kind == 2 ? 9000 : kind < 6 ? 200 : 20);
    return (struct bytes){.data = noise + prng_below(prng, 1000), .count = count};
}

static int64_t random_timestamp(struct prng *prng)
{
    uint64_t kind = prng_below(prng, 8);
    if (kind == 0) {
        return (int64_t)prng_next(prng);
    }
    return GOLDEN_TIMESTAMP + (int64_t)prng_below(prng, kind < 4 ? 10000 : 10);
}

/* -- Golden batches -- */

/* Another program's records, with a null key, a header, and times from deltas. */
TEST(walk, reads_the_golden_records)
{
    struct batch_header header;
    struct walk walk = walk_over((struct bytes){golden_batch1, sizeof golden_batch1}, &header);
    struct record_view view;
    struct record_header field;

    CHECK(walk_next(&walk, &view));
    CHECK_INT(view.offset, 0);
    CHECK_INT(view.timestamp, GOLDEN_TIMESTAMP);
    check_field(view.key, bytes_of_text("k1"));
    check_field(view.value, bytes_of_text("hello"));
    CHECK_INT(view.header_count, 1);
    CHECK(record_header_find(&view, bytes_of_text("h"), &field));
    check_field(field.value, bytes_of_text("1"));
    CHECK(!record_header_find(&view, bytes_of_text("H"), &field));

    CHECK(walk_next(&walk, &view));
    CHECK_INT(view.offset, 1);
    CHECK_INT(view.timestamp, GOLDEN_TIMESTAMP + 5);
    CHECK(record_is_null(view.key));
    check_field(view.value, bytes_of_text("world!"));
    CHECK_INT(view.header_count, 0);

    CHECK(!walk_next(&walk, &view));
    CHECK_INT(walk_end(&walk, NULL), PYR_OK);
}

/* Where the log gives the time, the producer's times are not told. */
TEST(walk, tells_the_append_time_if_the_batch_has_one)
{
    uint8_t data[sizeof golden_batch1];
    memcpy(data, golden_batch1, sizeof data);
    batch_set_append_time((struct bytes_mut){data, sizeof data}, 77);
    struct batch_header header;
    struct walk walk = walk_over((struct bytes){data, sizeof data}, &header);
    struct record_view view;

    while (walk_next(&walk, &view)) {
        CHECK_INT(view.timestamp, 77);
    }

    CHECK_INT(walk_end(&walk, NULL), PYR_OK);
}

/* -- Against the oracle -- */

/* The list that was added: the oracle. */
struct oracle {
    uint8_t noise[10000];
    struct record records[RECORDS_MAX];
    struct record_header headers[RECORDS_MAX][HEADERS_MAX];
    size_t count;
    int64_t max_timestamp;
};

/* Draw a list of records and add as many of them to @builder as fit. */
static void oracle_draw(struct oracle *oracle, struct prng *prng, struct builder *builder)
{
    size_t count = 1 + prng_below(prng, RECORDS_MAX);
    oracle->max_timestamp = -1;
    for (oracle->count = 0; oracle->count < count; oracle->count++) {
        struct record *record = &oracle->records[oracle->count];
        struct record_header *headers = oracle->headers[oracle->count];
        *record = (struct record){.timestamp = random_timestamp(prng),
                                  .key = random_field(prng, oracle->noise),
                                  .value = random_field(prng, oracle->noise),
                                  .headers = headers,
                                  .header_count = prng_below(prng, HEADERS_MAX + 1)};
        for (size_t nth = 0; nth < record->header_count; nth++) {
            headers[nth].key = (struct bytes){oracle->noise, prng_below(prng, 100)};
            headers[nth].value = random_field(prng, oracle->noise);
        }
        if (builder_add(builder, record, NULL) != PYR_OK) {
            return;
        }
        if (record->timestamp > oracle->max_timestamp) {
            oracle->max_timestamp = record->timestamp;
        }
    }
}

static void check_record(const struct record_view *view, const struct record *record)
{
    CHECK(view->timestamp == record->timestamp);
    check_field(view->key, record->key);
    check_field(view->value, record->value);
    CHECK_INT(view->header_count, record->header_count);
    struct bytes rest = view->headers;
    struct record_header field = {.key = {.data = NULL}};
    size_t nth = 0;
    for (; record_header_next(&rest, &field); nth++) {
        check_field(field.key, record->headers[nth].key);
        check_field(field.value, record->headers[nth].value);
    }
    CHECK_INT(nth, record->header_count);
}

/* REC-5: whatever is added comes back, null and empty and times before the first one too. */
TEST(walk, gives_back_what_the_builder_was_given)
{
    static struct oracle oracle;
    static uint8_t memory[MEMORY_BYTES];
    struct prng prng = prng_of(1, 0);
    prng_fill(&prng, (struct bytes_mut){oracle.noise, sizeof oracle.noise});
    for (int64_t round = 0; round < ROUNDS; round++) {
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
        oracle_draw(&oracle, &prng, &builder);
        struct bytes_mut batch = builder_seal(&builder, &BATCH_STAMP_NONE);
        batch_set_offset_and_epoch(batch, 1000 * round, 3);

        struct batch_header header;
        struct walk walk = walk_over((struct bytes){batch.data, batch.count}, &header);
        struct record_view view = {.offset = -1};
        size_t seen = 0;
        for (; walk_next(&walk, &view); seen++) {
            CHECK_INT(view.offset, 1000 * round + (int64_t)seen);
            check_record(&view, &oracle.records[seen]);
        }
        CHECK_INT(walk_end(&walk, NULL), PYR_OK);
        CHECK_INT(seen, oracle.count);
        CHECK_INT(header.max_timestamp, oracle.max_timestamp);
    }
}

/* -- Bytes that lie -- */

/* REC-3, REC-4: every flipped bit in the records, with nobody checking a checksum in front: the
 * walk ends, stays inside, and every view lies inside. */
TEST(walk, stays_inside_whatever_bit_is_flipped)
{
    struct batch_header header;
    (void)walk_over((struct bytes){golden_batch1, sizeof golden_batch1}, &header);
    size_t records_bytes = sizeof golden_batch1 - BATCH_HEADER_BYTES;
    size_t refused = 0;
    for (size_t bit = 0; bit < records_bytes * 8; bit++) {
        uint8_t *data = malloc(records_bytes);
        CHECK(data);
        memcpy(data, golden_batch1 + BATCH_HEADER_BYTES, records_bytes);
        data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        struct walk walk;
        walk_init(&walk, &header, (struct bytes){data, records_bytes});
        struct record_view view;
        size_t steps = 0;
        while (walk_next(&walk, &view)) {
            CHECK(view.encoded.data >= data);
            CHECK(view.encoded.data + view.encoded.count <= data + records_bytes);
            CHECK(view.value.count <= records_bytes);
            steps++;
        }
        CHECK(steps <= 2);
        refused += walk_end(&walk, NULL) == PYR_ERR_CORRUPT;
        free(data);
    }
    /* Every flip of a length or a count is refused; those of payload and deltas need not be. */
    CHECK(refused > records_bytes * 2);
}

/* Truncated records end in an error, not in a shorter batch. */
TEST(walk, refuses_every_truncation)
{
    struct batch_header header;
    (void)walk_over((struct bytes){golden_batch1, sizeof golden_batch1}, &header);
    for (size_t count = 1; count < sizeof golden_batch1 - BATCH_HEADER_BYTES; count++) {
        uint8_t *data = malloc(count);
        CHECK(data);
        memcpy(data, golden_batch1 + BATCH_HEADER_BYTES, count);
        struct walk walk;
        walk_init(&walk, &header, (struct bytes){data, count});
        struct record_view view;
        while (walk_next(&walk, &view)) {
        }

        CHECK_INT(walk_end(&walk, NULL), PYR_ERR_CORRUPT);
        CHECK(!walk_next(&walk, &view));
        free(data);
    }
}

/* Records with one thing wrong each. The header says one record, last offset delta 5. */
TEST(walk, refuses_records_that_lie)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t count;
        enum pyr_err expected;
    } cases[] = {

#define CASE(name, text, expected) {(name), (text), sizeof(text) - 1, (expected)}
        CASE("smallest", "\x0c\0\0\0\1\1\0", PYR_OK),
        CASE("empty key and value", "\x0c\0\0\0\0\0\0", PYR_OK),
        CASE("attributes are ignored", "\x0c\7\0\0\1\1\0", PYR_OK),
        CASE("overlong varint within its type", "\x0e\0\0\0\x81\0\1\0", PYR_OK),
        CASE("left over in the record", "\x0e\0\0\0\1\1\0\0", PYR_ERR_CORRUPT),
        CASE("left over behind it", "\x0c\0\0\0\1\1\0\0", PYR_ERR_CORRUPT),
        CASE("length too short", "\x0a\0\0\0\1\1\0", PYR_ERR_CORRUPT),
        CASE("length too long", "\x0e\0\0\0\1\1\0", PYR_ERR_CORRUPT),
        CASE("length negative", "\x0b\0\0\0\1\1\0", PYR_ERR_CORRUPT),
        CASE("key length -2", "\x0c\0\0\0\3\1\0", PYR_ERR_CORRUPT),
        CASE("value length -2", "\x0c\0\0\0\1\3\0", PYR_ERR_CORRUPT),
        CASE("key past the record", "\x0c\0\0\0\x08\1\0", PYR_ERR_CORRUPT),
        CASE("header count -1", "\x0c\0\0\0\1\1\1", PYR_ERR_CORRUPT),
        CASE("header count without headers", "\x0c\0\0\0\1\1\2", PYR_ERR_CORRUPT),
        CASE("header with a null key", "\x10\0\0\0\1\1\2\1\1", PYR_ERR_CORRUPT),
        CASE("header with a null value", "\x10\0\0\0\1\1\2\0\1", PYR_OK),
        CASE("two billion headers", "\x14\0\0\0\1\1\xfe\xff\xff\xff\x0f", PYR_ERR_CORRUPT),
        CASE("offset delta -1", "\x0c\0\0\1\1\1\0", PYR_ERR_CORRUPT),
        CASE("offset delta 5", "\x0c\0\0\x0a\1\1\0", PYR_OK),
        CASE("offset delta 6", "\x0c\0\0\x0c\1\1\0", PYR_ERR_CORRUPT),
        CASE("varint without an end", "\xff\xff\xff\xff\xff\xff\xff", PYR_ERR_CORRUPT),
        CASE("varint of six bytes", "\x16\0\0\0\x80\x80\x80\x80\x80\0\1\0", PYR_ERR_CORRUPT),
#undef CASE
    };
    struct batch_header header = {.record_count = 1, .last_offset_delta = 5};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        uint8_t *data = malloc(cases[index].count);
        CHECK(data);
        memcpy(data, cases[index].bytes, cases[index].count);
        struct walk walk;
        walk_init(&walk, &header, (struct bytes){data, cases[index].count});
        struct record_view view;
        while (walk_next(&walk, &view)) {
        }

        enum pyr_err err = walk_end(&walk, NULL);

        if (err != cases[index].expected) {
            print_message("case '%s'\n", cases[index].name);
        }
        CHECK_INT(err, cases[index].expected);
        free(data);
    }
}

/* The error names the record and the byte, so that a dump can show it. */
TEST(walk, names_the_place_of_the_first_mistake)
{
    struct batch_header header = {.base_offset = 40, .record_count = 2, .last_offset_delta = 1};
    static const uint8_t data[] = {0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 0, 1, 1, 0};
    struct walk walk;
    walk_init(&walk, &header, (struct bytes){data, sizeof data});
    struct record_view view;
    struct pyr_error error;

    CHECK(walk_next(&walk, &view));
    CHECK(!walk_next(&walk, &view));

    CHECK_INT(walk_end(&walk, &error), PYR_ERR_CORRUPT);
    CHECK_TEXT(error.message, "record 1 of the batch at offset 40, at byte 7: its offset does not "
                              "follow, or passes the batch's last");
}

/* -- pyr.ttl -- */

/* Only a plain decimal number is a time to live; anything else is as if it were not there. */
TEST(record_ttl_ms, reads_decimal_milliseconds)
{
    static const struct {
        const char *text; /* NULL: a null value. */
        int64_t expected; /* -1: none. */
    } cases[] = {
        {"60000", 60000},
        {"0", 0},
        {"000000000000000001", 1},
        {"999999999999999999", 999999999999999999},
        {"9999999999999999999", -1},
        {"", -1},
        {NULL, -1},
        {"-1", -1},
        {"12a", -1},
        {" 12", -1},
        {"1:", -1},
        {"1/", -1},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        uint8_t memory[256];
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
        struct record_header headers[] = {
            {.key = bytes_of_text("pyr.ttl"), .value = bytes_of_text("7")},
            {.key = bytes_of_text("pyr.ttl")},
            {.key = bytes_of_text("other"), .value = bytes_of_text("8")},
        };
        if (cases[index].text) {
            headers[1].value = bytes_of_text(cases[index].text);
        }
        struct record record = {.headers = headers, .header_count = 3};
        CHECK_INT(builder_add(&builder, &record, NULL), PYR_OK);
        struct bytes_mut batch = builder_seal(&builder, &BATCH_STAMP_NONE);
        struct batch_header header;
        struct walk walk = walk_over((struct bytes){batch.data, batch.count}, &header);
        struct record_view view;
        CHECK(walk_next(&walk, &view));
        int64_t ttl_ms = -1;

        bool has_ttl = record_ttl_ms(&view, &ttl_ms);

        CHECK(has_ttl == (cases[index].expected >= 0));
        CHECK_INT(ttl_ms, cases[index].expected);
    }
}
