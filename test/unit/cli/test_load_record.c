/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_record - a value that proves itself.
 */
#include "cli/load_record.h"
#include "lib/case.h"

enum { VALUE_BYTES = 40 };

static void value_make(uint8_t *value)
{
    memset(value, 0x5a, VALUE_BYTES);
    const struct load_record record = {.run = 7, .stream = 9, .sequence = 11, .sent_ns = 13};
    load_record_put((struct bytes_mut){value, VALUE_BYTES}, &record);
}

/* What was put must come back, or a verification compares noise. */
TEST(load_record, gives_back_what_was_put)
{
    uint8_t value[VALUE_BYTES];
    struct load_record record;
    value_make(value);

    CHECK_INT(load_record_get((struct bytes){value, VALUE_BYTES}, &record), LOAD_RECORD_GOOD);

    CHECK_INT(record.run, 7);
    CHECK_INT(record.stream, 9);
    CHECK_INT(record.sequence, 11);
    CHECK_INT(record.sent_ns, 13);
}

/* LDR-1: the verification would pass a changed record otherwise. */
TEST(load_record, notices_a_change_of_any_bit)
{
    uint8_t value[VALUE_BYTES];
    struct load_record record;

    for (size_t bit = 0; bit < (size_t)VALUE_BYTES * 8; bit++) {
        value_make(value);
        value[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK(load_record_get((struct bytes){value, VALUE_BYTES}, &record) != LOAD_RECORD_GOOD);
    }
}

/* Somebody else's records may be anything, also short. */
TEST(load_record, calls_other_values_foreign)
{
    struct load_record record;

    CHECK_INT(load_record_get((struct bytes){NULL, 0}, &record), LOAD_RECORD_FOREIGN);
    CHECK_INT(load_record_get(bytes_of_text("a text that is long enough to be a value"), &record),
              LOAD_RECORD_FOREIGN);
}
