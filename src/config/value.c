/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/value - fields by their offset, amounts with units, and what a row allows in words.
 */
#include "config/value.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/parse.h"

#define NS_PER_MS INT64_C(1000000)

static const struct parse_range any_number = {.min = INT64_MIN + 1, .max = INT64_MAX};
static const struct parse_range any_amount = {.min = 0, .max = INT64_MAX};

/* -- Fields -- */

static void *field_of(const struct config_key *key, void *values)
{
    ASSERT(values);
    return (char *)values + key->offset;
}

static const void *field_in(const struct config_key *key, const void *values)
{
    ASSERT(values);
    return (const char *)values + key->offset;
}

static bool is_numeric(const struct config_key *key)
{
    ASSERT(key->type <= CONFIG_TYPE_TEXTS);

    return key->type == CONFIG_TYPE_NUMBER || key->type == CONFIG_TYPE_BYTES ||
           key->type == CONFIG_TYPE_MILLISECONDS;
}

static bool is_in_range(const struct config_range *range, int64_t number)
{
    ASSERT(range->min <= range->max);

    if (range->has_zero && number == 0) {
        return true;
    }
    bool is_step = range->step == 0 || number % range->step == 0;
    return number >= range->min && number <= range->max && is_step;
}

/* Copy @text, which fits, into @room of CONFIG_TEXT_BYTES_MAX, whose rest is zeroed. */
static void text_keep(char *room, const char *text)
{
    size_t count = strlen(text);
    ASSERT(count < CONFIG_TEXT_BYTES_MAX);

    memset(room, 0, CONFIG_TEXT_BYTES_MAX);
    memcpy(room, text, count + 1);
}

bool config_next_choice(struct bytes *rest, struct bytes *ret_word)
{
    ASSERT(ret_word);

    if (rest->count == 0) {
        return false;
    }
    const uint8_t *bar = memchr(rest->data, '|', rest->count);
    size_t count = bar ? (size_t)(bar - rest->data) : rest->count;
    size_t taken = bar ? count + 1 : count;
    *ret_word = (struct bytes){.data = rest->data, .count = count};
    *rest = (struct bytes){.data = rest->data + taken, .count = rest->count - taken};
    return true;
}

static bool set_choice(const struct config_key *key, void *values, const char *text)
{
    ASSERT(key->choices);

    struct bytes rest = bytes_of_text(key->choices);
    struct bytes word;
    for (uint32_t number = 0; config_next_choice(&rest, &word); number++) {
        if (bytes_equal(word, bytes_of_text(text))) {
            *(uint32_t *)field_of(key, values) = number;
            return true;
        }
    }
    return false;
}

static bool set_text(const struct config_key *key, void *values, const char *text)
{
    ASSERT(key->range.max < CONFIG_TEXT_BYTES_MAX);

    if (!is_in_range(&key->range, (int64_t)strlen(text))) {
        return false;
    }
    text_keep(field_of(key, values), text);
    return true;
}

static bool set_milliseconds(const struct config_key *key, void *values, const char *text)
{
    ASSERT(key->type == CONFIG_TYPE_MILLISECONDS);

    int64_t time_ns = 0;
    if (parse_duration_ns(text, any_amount, &time_ns, NULL) != PYR_OK || time_ns % NS_PER_MS != 0) {
        return false;
    }
    return config_set_number(key, values, time_ns / NS_PER_MS);
}

/* Set texts from @text with commas between them; an empty text is the empty list. */
static bool set_typed_texts(const struct config_key *key, void *values, const char *text)
{
    ASSERT(key->type == CONFIG_TYPE_TEXTS);

    struct config_texts list = {0};
    const char *at = text;
    while (*at != '\0') {
        const char *comma = strchr(at, ',');
        size_t count = comma ? (size_t)(comma - at) : strlen(at);
        if (list.count == CONFIG_TEXTS_MAX || count >= CONFIG_TEXT_BYTES_MAX) {
            return false;
        }
        memcpy(list.texts[list.count++], at, count);
        at += count + (comma ? 1 : 0);
        if (comma && *at == '\0') {
            return false; /* A comma ends the text: what follows it was forgotten. */
        }
    }
    return config_set_texts(key, values, &list);
}

/* -- Setting -- */

void config_value_default(const struct config_key *key, void *values)
{
    bool is_set = true;
    if (is_numeric(key)) {
        is_set = config_set_number(key, values, key->default_number);
    } else if (key->type == CONFIG_TYPE_FLAG) {
        is_set = config_set_flag(key, values, key->default_number != 0);
    } else if (key->type == CONFIG_TYPE_TEXTS) {
        *(struct config_texts *)field_of(key, values) = (struct config_texts){0};
    } else {
        is_set = config_set_string(key, values, key->default_text);
    }
    ASSERT(is_set); /* CFG-1: a default lies in its range. */
}

bool config_set_number(const struct config_key *key, void *values, int64_t number)
{
    if (!is_numeric(key) || !is_in_range(&key->range, number)) {
        return false; /* CFG-1 */
    }
    *(int64_t *)field_of(key, values) = number;
    return true;
}

bool config_set_flag(const struct config_key *key, void *values, bool flag)
{
    if (key->type != CONFIG_TYPE_FLAG) {
        return false;
    }
    *(bool *)field_of(key, values) = flag;
    return true;
}

bool config_set_string(const struct config_key *key, void *values, const char *text)
{
    ASSERT(text);

    int64_t number = 0;
    switch (key->type) {
    case CONFIG_TYPE_BYTES:
        return parse_bytes(text, any_amount, &number, NULL) == PYR_OK &&
               config_set_number(key, values, number);
    case CONFIG_TYPE_MILLISECONDS:
        return set_milliseconds(key, values, text);
    case CONFIG_TYPE_CHOICE:
        return set_choice(key, values, text);
    case CONFIG_TYPE_TEXT:
        return set_text(key, values, text);
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_FLAG:
    case CONFIG_TYPE_TEXTS:
        break;
    }
    return false;
}

bool config_set_texts(const struct config_key *key, void *values, const struct config_texts *list)
{
    ASSERT(list->count <= CONFIG_TEXTS_MAX);

    if (key->type != CONFIG_TYPE_TEXTS || !is_in_range(&key->range, (int64_t)list->count)) {
        return false;
    }
    for (size_t index = 0; index < list->count; index++) {
        if (list->texts[index][0] == '\0') {
            return false;
        }
    }
    *(struct config_texts *)field_of(key, values) = *list;
    return true;
}

bool config_set_typed(const struct config_key *key, void *values, const char *text)
{
    ASSERT(text);

    if (key->type == CONFIG_TYPE_FLAG) {
        bool is_true = strcmp(text, "true") == 0;
        bool is_false = strcmp(text, "false") == 0;
        return (is_true || is_false) && config_set_flag(key, values, is_true);
    }
    if (key->type == CONFIG_TYPE_TEXTS) {
        return set_typed_texts(key, values, text);
    }
    int64_t number = 0;
    if (is_numeric(key) && parse_number(text, any_number, &number, NULL) == PYR_OK) {
        return config_set_number(key, values, number);
    }
    return config_set_string(key, values, text);
}

/* -- Back to text -- */

/* Put @number bytes with the largest unit that divides it. */
static void put_bytes(int64_t number, struct text *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    ASSERT(number >= 0);

    size_t unit = 0;
    while (number > 0 && number % KIB == 0 && unit + 1 < sizeof units / sizeof *units) {
        number /= KIB;
        unit++;
    }
    text_format(text, "%" PRId64 "%s", number, units[unit]);
}

/* Put @number milliseconds with the largest unit that divides it. */
static void put_time(int64_t number, struct text *text)
{
    static const struct {
        const char *name;
        int64_t factor; /* Of the unit before. */
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60}, {"h", 60}};

    ASSERT(number >= 0);

    size_t unit = 0;
    while (number > 0 && unit + 1 < sizeof units / sizeof *units &&
           number % units[unit + 1].factor == 0) {
        unit++;
        number /= units[unit].factor;
    }
    text_format(text, "%" PRId64 "%s", number, units[unit].name);
}

/* Put @number of the type of @key without quotes. */
static void put_amount(const struct config_key *key, int64_t number, struct text *text)
{
    ASSERT(is_numeric(key));

    if (key->type == CONFIG_TYPE_BYTES) {
        put_bytes(number, text);
    } else if (key->type == CONFIG_TYPE_MILLISECONDS) {
        put_time(number, text);
    } else {
        text_format(text, "%" PRId64, number);
    }
}

void config_put_number(const struct config_key *key, int64_t number, struct text *text)
{
    const char *quote = key->type == CONFIG_TYPE_NUMBER ? "" : "\"";
    ASSERT(is_numeric(key));

    text_put(text, quote);
    put_amount(key, number, text);
    text_put(text, quote);
}

static void put_choice(const struct config_key *key, uint32_t number, struct text *text)
{
    ASSERT(key->choices);

    struct bytes rest = bytes_of_text(key->choices);
    struct bytes word = {0};
    for (uint32_t index = 0; index <= number; index++) {
        bool has_word = config_next_choice(&rest, &word);
        ASSERT(has_word);
    }
    text_put_json_string(text, word);
}

static void put_texts(const struct config_texts *list, struct text *text)
{
    ASSERT(list->count <= CONFIG_TEXTS_MAX);

    text_put(text, "[");
    for (size_t index = 0; index < list->count; index++) {
        text_put(text, index == 0 ? "" : ", ");
        text_put_json_string(text, bytes_of_text(list->texts[index]));
    }
    text_put(text, "]");
}

void config_put_value(const struct config_key *key, const void *values, struct text *text)
{
    const void *field = field_in(key, values);
    ASSERT(field);

    switch (key->type) {
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_BYTES:
    case CONFIG_TYPE_MILLISECONDS:
        config_put_number(key, *(const int64_t *)field, text);
        break;
    case CONFIG_TYPE_FLAG:
        text_put(text, *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_TYPE_CHOICE:
        put_choice(key, *(const uint32_t *)field, text);
        break;
    case CONFIG_TYPE_TEXT:
        text_put_json_string(text, bytes_of_text(field));
        break;
    case CONFIG_TYPE_TEXTS:
        put_texts(field, text);
        break;
    }
}

/* -- What is allowed -- */

static void put_range(const struct config_key *key, const char *what, struct text *text)
{
    const struct config_range *range = &key->range;
    ASSERT(is_numeric(key));

    text_format(text, "%s%s from ", range->has_zero ? "0, or " : "", what);
    put_amount(key, range->min, text);
    if (range->max < INT64_MAX) {
        text_put(text, " to ");
        put_amount(key, range->max, text);
    } else {
        text_put(text, " on");
    }
    if (range->step > 0) {
        text_put(text, " in steps of ");
        put_amount(key, range->step, text);
    }
}

static void put_choices(const struct config_key *key, struct text *text)
{
    struct bytes rest = bytes_of_text(key->choices);
    struct bytes word;
    ASSERT(rest.count > 0);

    for (bool is_first = true; config_next_choice(&rest, &word); is_first = false) {
        text_put(text, is_first ? "" : rest.count == 0 ? " or " : ", ");
        text_put_json_string(text, word);
    }
}

void config_put_allowed(const struct config_key *key, struct text *text)
{
    ASSERT(key->path);

    switch (key->type) {
    case CONFIG_TYPE_NUMBER:
        put_range(key, "a whole number", text);
        break;
    case CONFIG_TYPE_BYTES:
        put_range(key, "bytes, such as 4096 or \"64MiB\",", text);
        break;
    case CONFIG_TYPE_MILLISECONDS:
        put_range(key, "a time in milliseconds, such as 10 or \"10ms\",", text);
        break;
    case CONFIG_TYPE_FLAG:
        text_put(text, "true or false");
        break;
    case CONFIG_TYPE_CHOICE:
        put_choices(key, text);
        break;
    case CONFIG_TYPE_TEXT:
        text_format(text, "a text of %" PRId64 " to %" PRId64 " bytes", key->range.min,
                    key->range.max);
        break;
    case CONFIG_TYPE_TEXTS:
        text_format(text, "a list of %" PRId64 " to %" PRId64 " texts of 1 to %d bytes",
                    key->range.min, key->range.max, CONFIG_TEXT_BYTES_MAX - 1);
        break;
    }
}
