/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/budget - the passes over a batch.
 */
#include "budget.h"

#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"

/* 64 MiB of batches: more than the last cache of the machine at hand. The buffers of the journal
 * and of direct writes are few and stay warm, as in the log. */
enum { BATCHES = 64, JOURNAL_BATCHES = 4 };

void budget_open(struct budget *budget)
{
    *budget = (struct budget){.batches = bench_memory(BATCHES * BUDGET_BATCH_BYTES),
                              .cache = bench_memory(BATCHES * BUDGET_BATCH_BYTES),
                              .journal = bench_memory(JOURNAL_BATCHES * BUDGET_BATCH_BYTES),
                              .segment = bench_memory(BUDGET_BATCH_BYTES)};
    for (int batch = 0; batch < BATCHES; batch++) {
        budget_pass(budget);
    }
}

void budget_pass(struct budget *budget)
{
    size_t place = budget->next % BATCHES * BUDGET_BATCH_BYTES;
    uint8_t *cached = budget->cache + place;
    uint8_t *journal = budget->journal + budget->next % JOURNAL_BATCHES * BUDGET_BATCH_BYTES;

    memcpy(cached, budget->batches + place, BUDGET_BATCH_BYTES);
    bench_use(checksum_crc32c(0, (struct bytes){.data = cached, .count = BUDGET_BATCH_BYTES}));
    memcpy(journal, cached, BUDGET_BATCH_BYTES);
    bench_use(journal[BUDGET_BATCH_BYTES - 1]);
    memcpy(budget->segment, cached, BUDGET_BATCH_BYTES);
    bench_use(budget->segment[BUDGET_BATCH_BYTES - 1]);
    budget->next++;
}

void budget_close(struct budget *budget)
{
    free(budget->batches);
    free(budget->cache);
    free(budget->journal);
    free(budget->segment);
}
