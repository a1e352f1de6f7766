/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/budget - the memory traffic that storing large batches cannot do without.
 *
 * A batch of 1 MiB that is journalled and then stored in a segment is at least
 *
 *   copied into the write cache       one pass of reading, one of writing (records into a batch)
 *   checksummed                       one of reading
 *   copied into the journal's buffer  one of reading, one of writing (direct I/O takes it there)
 *   copied into a segment's buffer    one of reading, one of writing (likewise)
 *
 * Doing just that, on one thread, with nothing stored and no log around it, is the memory-copy
 * budget. The page cache has no part in it: large batches go past it (segment/stream).
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
    uint8_t *cache;   /* Where they are put together: as large. */
    uint8_t *journal; /* Stands for the journal's buffers. */
    uint8_t *segment; /* Stands for the buffer of direct writes. */
    uint64_t next;    /* Which batch comes next. */
};

/** Make the buffers, and touch them. Gives: budget_close. */
void budget_open(struct budget *budget);

/** Pass one batch, once through each stage. */
void budget_pass(struct budget *budget);

/** Free the buffers. */
void budget_close(struct budget *budget);

#endif /* BENCH_BUDGET_H */
