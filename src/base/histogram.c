/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/histogram - from a value to its bucket and back.
 *
 * For a value of n + 8 bits, n > 0, the shift is n: the value shifted right has 8 bits, 128 to 255,
 * and that number plus 128 * n is the index. For n = 0 it is the value itself.
 */
#include "base/histogram.h"

#include <string.h>

#include "base/assert.h"

/* More than a double errs by, less than one rank of any count. */
#define ROUNDING 1e-15

enum { SUB_BITS = 7, EXACT_BITS = SUB_BITS + 1, VALUE_BITS = 64 };

ASSERT_STATIC(HISTOGRAM_SUB_BUCKETS == 1 << SUB_BITS, "the shift gives the sub-bucket");
ASSERT_STATIC(HISTOGRAM_VALUE_MAX < UINT64_C(1) << 42, "the largest value has a bucket");

static unsigned shift_of(uint64_t value)
{
    unsigned bits = VALUE_BITS - (unsigned)__builtin_clzll(value | 1U);
    return bits > EXACT_BITS ? bits - EXACT_BITS : 0;
}

static size_t index_of(uint64_t value)
{
    ASSERT(value <= HISTOGRAM_VALUE_MAX);

    unsigned shift = shift_of(value);
    size_t index = (size_t)shift * HISTOGRAM_SUB_BUCKETS + (size_t)(value >> shift);
    ASSERT(index < HISTOGRAM_BUCKETS);
    return index;
}

/* Return the smallest value of the bucket at @index. */
static uint64_t value_first(size_t index)
{
    ASSERT(index <= HISTOGRAM_BUCKETS);

    if (index < 2 * HISTOGRAM_SUB_BUCKETS) {
        return index;
    }
    size_t shift = index / HISTOGRAM_SUB_BUCKETS - 1;
    return (index - shift * HISTOGRAM_SUB_BUCKETS) << shift;
}

void histogram_clear(struct histogram *histogram)
{
    ASSERT(histogram);

    memset(histogram, 0, sizeof *histogram);
}

void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times)
{
    ASSERT(times > 0);

    if (value > HISTOGRAM_VALUE_MAX) {
        value = HISTOGRAM_VALUE_MAX;
        histogram->too_large += times;
    }
    if (histogram->count == 0 || value < histogram->min) {
        histogram->min = value;
    }
    if (value > histogram->max) {
        histogram->max = value;
    }
    histogram->count += times;
    histogram->sum += value * times;
    histogram->buckets[index_of(value)] += times;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    ASSERT(histogram != other);

    if (other->count == 0) {
        return;
    }
    if (histogram->count == 0 || other->min < histogram->min) {
        histogram->min = other->min;
    }
    if (other->max > histogram->max) {
        histogram->max = other->max;
    }
    histogram->count += other->count;
    histogram->sum += other->sum;
    histogram->too_large += other->too_large;
    for (size_t index = 0; index < HISTOGRAM_BUCKETS; index++) {
        histogram->buckets[index] += other->buckets[index];
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    ASSERT(percent >= 0.0);
    ASSERT(percent <= 100.0);

    /* The rank of the value asked for, counted from 1, rounded up: the nearest-rank definition. A
     * fraction that only rounding made (99.9 % of 1,000) does not count. */
    double rank_exact = percent / 100.0 * (double)histogram->count * (1.0 - ROUNDING);
    uint64_t rank = (uint64_t)rank_exact + 1;
    rank = rank < histogram->count ? rank : histogram->count;
    uint64_t seen = 0;
    for (size_t index = 0; index < HISTOGRAM_BUCKETS; index++) {
        seen += histogram->buckets[index];
        if (seen >= rank) {
            uint64_t value = value_first(index + 1) - 1;
            return value < histogram->max ? value : histogram->max; /* HIS-1 */
        }
    }
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    ASSERT(histogram->sum >= histogram->max);

    return histogram->count == 0 ? 0.0 : (double)histogram->sum / (double)histogram->count;
}

bool histogram_next(const struct histogram *histogram,
                    size_t *cursor,
                    struct histogram_bucket *ret_bucket)
{
    ASSERT(ret_bucket);

    size_t index = *cursor;
    while (index < HISTOGRAM_BUCKETS && histogram->buckets[index] == 0) {
        index++;
    }
    *cursor = index + 1;
    if (index >= HISTOGRAM_BUCKETS) {
        return false;
    }
    *ret_bucket = (struct histogram_bucket){.first = value_first(index),
                                            .last = value_first(index + 1) - 1,
                                            .count = histogram->buckets[index]};
    return true;
}
