/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/budget - the memory traffic that storing large batches cannot do without.
 *
 * A batch of 1 MiB that is journalled and then stored in a segment is at least
 *
 *   checksummed                       one pass of reading
 *   copied into the journal's buffer  one of reading, one of writing (direct I/O takes it there)
 *   copied into the page cache        one of reading, one of writing (its segment, which grows)
 *
 * Doing just that, with nothing stored durably and no log around it, is the memory-copy budget: no
 * log of this shape can append faster on this machine, however fast the device is.
 *
 * Threads: one owner.
 */
#ifndef BENCH_BUDGET_H
#define BENCH_BUDGET_H

#include "bench.h"

/* The batch that the budget is reckoned for. */
#define BUDGET_BATCH_BYTES ((size_t)1 << 20)

/* What a budget is measured with. */
struct budget {
    uint8_t *batches; /* The caller's data: a region larger than the last cache. */
    uint8_t *journal; /* Stands for the journal's buffers. */
    int segment_fd;   /* A file in the page cache. */
    uint64_t next;    /* Which batch comes next. */
};

/** Make the buffers, and the file "<folder>/budget" of @options. Gives: budget_close. */
void budget_open(struct budget *budget, const struct bench_options *options);

/** Pass one batch, once through each stage. */
void budget_pass(struct budget *budget);

/** Free the buffers and remove the file. */
void budget_close(struct budget *budget, const struct bench_options *options);

#endif /* BENCH_BUDGET_H */
