/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/parse - digits, then a unit from a table, then the bounds.
 */
#include "base/parse.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/text.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit byte_units[] = {
    {"B", 1}, {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {"TiB", GIB *KIB},
};

static const struct unit time_units[] = {
    {"ns", 1},
    {"us", INT64_C(1000)},
    {"ms", INT64_C(1000000)},
    {"s", INT64_C(1000000000)},
    {"m", INT64_C(60000000000)},
    {"h", INT64_C(3600000000000)},
};

/* Read the digits at the start of @text. Return where they end, or NULL if there are none or the
 * number needs more than 63 bits. */
static const char *read_digits(const char *text, int64_t *ret_value)
{
    ASSERT(text);

    int64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value)) {
            return NULL; /* PRS-1 */
        }
    }
    if (at == text) {
        return NULL;
    }
    *ret_value = value;
    return at;
}

/* Return the factor of the unit named @name, 0 if there is none. */
static int64_t unit_factor(const struct unit *units, size_t unit_count, const char *name)
{
    ASSERT(unit_count > 0);

    for (size_t index = 0; index < unit_count; index++) {
        if (strcmp(units[index].name, name) == 0) {
            return units[index].factor;
        }
    }
    return 0;
}

/* Refuse @value if it is outside of @range; @bound_unit is added to the bound in the message. */
static enum pyr_err check_range(const char *text,
                                int64_t value,
                                struct parse_range range,
                                const char *bound_unit,
                                struct pyr_error *reterr)
{
    ASSERT(range.min <= range.max);

    if (value < range.min) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s' is below %lld%s", text, (long long)range.min,
                       bound_unit);
    }
    if (value > range.max) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s' is above %lld%s", text, (long long)range.max,
                       bound_unit);
    }
    return PYR_OK;
}

enum pyr_err parse_number(const char *text,
                          struct parse_range range,
                          int64_t *ret_value,
                          struct pyr_error *reterr)
{
    ASSERT(text);
    ASSERT(ret_value);

    bool is_negative = text[0] == '-';
    int64_t value = 0;
    const char *end = read_digits(text + (is_negative ? 1 : 0), &value);
    if (!end || *end != '\0') {
        return err_set(reterr, PYR_ERR_INVALID, "'%s' is not a whole number", text);
    }
    value = is_negative ? -value : value;
    enum pyr_err err = check_range(text, value, range, "", reterr);
    if (err != PYR_OK) {
        return err;
    }
    *ret_value = value;
    return PYR_OK;
}

enum pyr_err parse_bytes(const char *text,
                         struct parse_range range,
                         int64_t *ret_bytes,
                         struct pyr_error *reterr)
{
    ASSERT(text);
    ASSERT(ret_bytes);

    int64_t value = 0;
    const char *unit = read_digits(text, &value);
    int64_t factor = 0;
    if (unit) {
        factor = *unit == '\0'
                     ? 1
                     : unit_factor(byte_units, sizeof byte_units / sizeof byte_units[0], unit);
    }
    if (factor == 0 || __builtin_mul_overflow(value, factor, &value)) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "'%s' is not an amount of bytes: write a whole number and B, KiB, MiB, GiB "
                       "or TiB, such as 64MiB",
                       text);
    }
    enum pyr_err err = check_range(text, value, range, " bytes", reterr);
    if (err != PYR_OK) {
        return err;
    }
    *ret_bytes = value;
    return PYR_OK;
}

enum pyr_err parse_duration_ns(const char *text,
                               struct parse_range range,
                               int64_t *ret_ns,
                               struct pyr_error *reterr)
{
    ASSERT(text);
    ASSERT(ret_ns);

    int64_t value = 0;
    const char *unit = read_digits(text, &value);
    int64_t factor = 0;
    if (unit && *unit == '\0' && value == 0) {
        factor = 1;
    } else if (unit) {
        factor = unit_factor(time_units, sizeof time_units / sizeof time_units[0], unit);
    }
    if (factor == 0 || __builtin_mul_overflow(value, factor, &value)) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "'%s' %s: write a whole number and ns, us, ms, s, m or h, such as 10ms",
                       text, unit && *unit == '\0' ? "has no unit" : "is not a duration");
    }
    enum pyr_err err = check_range(text, value, range, " ns", reterr);
    if (err != PYR_OK) {
        return err;
    }
    *ret_ns = value;
    return PYR_OK;
}

enum pyr_err parse_choice(const char *text,
                          const char *const *names,
                          size_t name_count,
                          size_t *ret_index,
                          struct pyr_error *reterr)
{
    ASSERT(text);
    ASSERT(name_count > 0);

    char buffer[PYR_ERROR_MESSAGE_MAX];
    struct text list = text_of(buffer, sizeof buffer);
    for (size_t index = 0; index < name_count; index++) {
        if (strcmp(names[index], text) == 0) {
            *ret_index = index;
            return PYR_OK;
        }
        text_format(&list, "%s%s",
                    index == 0               ? ""
                    : index + 1 < name_count ? ", "
                                             : " or ",
                    names[index]);
    }
    return err_set(reterr, PYR_ERR_INVALID, "'%s' is none of %s", text, list.data);
}
