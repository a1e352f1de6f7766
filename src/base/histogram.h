/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/histogram - how often which value came: counts in buckets of at most 0.8 % width.
 *
 * Below 256 every value has a bucket of its own. From there each power of two is cut into 128 equal
 * buckets, so that a bucket is as wide as its values are large, and recording is a shift and an
 * increment:
 *
 *   value   0 1 2 ... 255 | 256 258 ... 510 | 512 516 ... 1020 | ... up to an hour in nanoseconds
 *   width   1             | 2               | 4                |
 *
 * A percentile is the last value of its bucket, so that it is never below the true one and at most
 * one part in 128 above. Larger values than the largest count as the largest, and are also counted
 * apart, so that a report can say so.
 *
 * Invariants:
 *   HIS-1  A reported percentile is at least the true one and at most 1/128 above it.
 *   HIS-2  Merging gives what recording everything in one histogram would have given.
 *
 * Threads: one owner each; merge the owners' histograms to report.   Memory: 37 KiB, the caller's.
 * Reference: G. Tene, HdrHistogram.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One bucket in this many of a power of two: the error is at most its inverse, 0.78 %. */
#define HISTOGRAM_SUB_BUCKETS ((size_t)128)

/* An hour in nanoseconds: whatever takes longer is no latency but an outage. */
#define HISTOGRAM_VALUE_MAX UINT64_C(3600000000000)

/* The bucket of HISTOGRAM_VALUE_MAX, which lies below 2^42, is the last one. */
#define HISTOGRAM_BUCKETS ((42 - 8 + 2) * HISTOGRAM_SUB_BUCKETS)

/* A histogram. Zeroed memory is an empty one. */
struct histogram {
    uint64_t count;     /* Values recorded. */
    uint64_t sum;       /* Of the values as recorded, the too large ones at the maximum. */
    uint64_t too_large; /* Values above HISTOGRAM_VALUE_MAX. */
    uint64_t min;       /* Exact; 0 if there are none. */
    uint64_t max;       /* Exact; 0 if there are none. */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* What histogram_next() shows: @count values from @first to @last, both included. */
struct histogram_bucket {
    uint64_t first;
    uint64_t last;
    uint64_t count;
};

/** Forget all values. */
void histogram_clear(struct histogram *histogram);

/** Count @value @times times. */
void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times);

/** Count in @histogram everything that @other counted. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/** Return the value that @percent (0 to 100) of the values do not exceed; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/** Return the mean of the values, 0 if there are none. */
double histogram_mean(const struct histogram *histogram);

/**
 * Show the next bucket with a count, smallest values first.
 *
 * @cursor is 0 to begin and belongs to the walk. Returns false at the end; @ret_bucket is then
 * untouched.
 */
bool histogram_next(const struct histogram *histogram,
                    size_t *cursor,
                    struct histogram_bucket *ret_bucket);

#endif /* BASE_HISTOGRAM_H */
