/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The histogram against sorted values.
 */
#include "base/histogram.h"
#include "base/prng.h"
#include "lib/case.h"

enum { VALUES = 900 };

/* -- Helpers -- */

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static struct histogram *histogram_new(void)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    CHECK(histogram);
    return histogram;
}

/* Fill @values with numbers of every magnitude. */
static void fill(uint64_t *values, size_t count, uint64_t seed)
{
    struct prng prng = prng_of(seed, 1);
    for (size_t index = 0; index < count; index++) {
        values[index] = prng_below(&prng, HISTOGRAM_VALUE_MAX) >> prng_below(&prng, 42);
    }
}

/* -- Percentiles -- */

/* HIS-1: never below the true value, and within 0.8 %. */
TEST(histogram_percentile, is_within_one_part_in_128_of_the_sorted_values)
{
    struct histogram *histogram = histogram_new();
    uint64_t values[VALUES];
    fill(values, VALUES, 1);
    for (size_t index = 0; index < VALUES; index++) {
        histogram_record(histogram, values[index], 1);
    }
    qsort(values, VALUES, sizeof values[0], compare);

    for (size_t rank = 1; rank <= VALUES; rank++) {
        uint64_t truth = values[rank - 1];
        uint64_t shown = histogram_percentile(histogram, 100.0 * (double)rank / VALUES);
        CHECK(shown >= truth);
        CHECK(shown - truth <= truth / 128);
    }
    CHECK(histogram_percentile(histogram, 0) >= values[0]);
    CHECK(histogram_percentile(histogram, 100) == values[VALUES - 1]);
    CHECK(histogram->min == values[0]);
    CHECK(histogram->max == values[VALUES - 1]);
    free(histogram);
}

/* A thousand values have a 99.9th percentile that is the 999th, whatever 99.9 is in binary. */
TEST(histogram_percentile, is_not_moved_by_rounding)
{
    struct histogram *histogram = histogram_new();
    histogram_record(histogram, 10, 999);
    histogram_record(histogram, 1000, 1);

    CHECK_INT(histogram_percentile(histogram, 99.9), 10);
    CHECK_INT(histogram_percentile(histogram, 99.95), 1000);
    free(histogram);
}

TEST(histogram_percentile, is_zero_without_values)
{
    struct histogram *histogram = histogram_new();

    CHECK_INT(histogram_percentile(histogram, 50), 0);
    CHECK(histogram_mean(histogram) < 0.5);
    free(histogram);
}

/* The borders of the buckets are where an index goes wrong by one. */
TEST(histogram_record, keeps_every_power_of_two_and_its_neighbours)
{
    struct histogram *histogram = histogram_new();

    for (unsigned round = 0; round < 3 * 40; round++) {
        uint64_t value = (UINT64_C(2) << round / 3) - 1 + round % 3;
        struct histogram_bucket bucket = {0};
        size_t cursor = 0;
        histogram_clear(histogram);
        histogram_record(histogram, value, 1);
        CHECK(histogram_next(histogram, &cursor, &bucket));
        CHECK(bucket.first <= value);
        CHECK(bucket.last >= value);
        CHECK((bucket.last - bucket.first) * 128 <= value);
        CHECK(!histogram_next(histogram, &cursor, &bucket));
    }
    free(histogram);
}

/* An outage longer than an hour must neither be lost nor pass for an hour. */
TEST(histogram_record, counts_too_large_values_apart)
{
    struct histogram *histogram = histogram_new();

    histogram_record(histogram, HISTOGRAM_VALUE_MAX, 1);
    histogram_record(histogram, UINT64_MAX, 2);

    CHECK_INT(histogram->count, 3);
    CHECK_INT(histogram->too_large, 2);
    CHECK(histogram->max == HISTOGRAM_VALUE_MAX);
    free(histogram);
}

/* HIS-2: each thread has its own, and the report is about all. */
TEST(histogram_merge, equals_recording_in_one)
{
    struct histogram *whole = histogram_new();
    struct histogram *part_a = histogram_new();
    struct histogram *part_b = histogram_new();
    struct histogram *empty = histogram_new();
    uint64_t values[VALUES];
    fill(values, VALUES, 2);

    for (size_t index = 0; index < VALUES; index++) {
        histogram_record(whole, values[index], 1);
        histogram_record(index % 3 == 0 ? part_a : part_b, values[index], 1);
    }
    histogram_merge(part_a, empty);
    histogram_merge(empty, part_b);
    histogram_merge(part_a, empty);

    CHECK_BYTES(part_a, whole, sizeof *whole);
    histogram_clear(whole);
    CHECK_INT(whole->count, 0);
    free(whole);
    free(part_a);
    free(part_b);
    free(empty);
}

/* Reports print all counts: none may be skipped, and the buckets must not overlap. */
TEST(histogram_next, shows_every_count_in_order)
{
    struct histogram *histogram = histogram_new();
    uint64_t values[VALUES];
    fill(values, VALUES, 3);
    for (size_t index = 0; index < VALUES; index++) {
        histogram_record(histogram, values[index], 1);
    }

    uint64_t seen = 0;
    uint64_t end = 0;
    size_t cursor = 0;
    struct histogram_bucket bucket = {0};
    while (histogram_next(histogram, &cursor, &bucket)) {
        CHECK(bucket.first >= end);
        CHECK(bucket.count > 0);
        end = bucket.last + 1;
        seen += bucket.count;
    }
    CHECK_INT(seen, VALUES);
    free(histogram);
}
