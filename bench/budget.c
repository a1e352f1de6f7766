/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/budget - the three passes over a batch.
 */
#include "budget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/limits.h"

#define BUDGET_NAME "budget"

/* 64 MiB of batches: more than the last cache of the machine at hand. The journal's buffers are few
 * and stay warm, and the segment grows into new pages, both as in the log. */
enum { BATCHES = 64, JOURNAL_BATCHES = 4 };

void budget_open(struct budget *budget, const struct bench_options *options)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, BUDGET_NAME, path, sizeof path);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        bench_fail("open '%s': %s", path, strerror(errno));
    }
    *budget = (struct budget){.batches = bench_memory(BATCHES * BUDGET_BATCH_BYTES),
                              .journal = bench_memory(JOURNAL_BATCHES * BUDGET_BATCH_BYTES),
                              .segment_fd = fd};
    for (int batch = 0; batch < BATCHES; batch++) {
        budget_pass(budget);
    }
}

void budget_pass(struct budget *budget)
{
    const uint8_t *batch = budget->batches + budget->next % BATCHES * BUDGET_BATCH_BYTES;
    uint8_t *journal = budget->journal + budget->next % JOURNAL_BATCHES * BUDGET_BATCH_BYTES;
    off_t position = (off_t)(budget->next * BUDGET_BATCH_BYTES);

    bench_use(checksum_crc32c(0, (struct bytes){.data = batch, .count = BUDGET_BATCH_BYTES}));
    memcpy(journal, batch, BUDGET_BATCH_BYTES);
    bench_use(journal[BUDGET_BATCH_BYTES - 1]);
    if (pwrite(budget->segment_fd, journal, BUDGET_BATCH_BYTES, position) !=
        (ssize_t)BUDGET_BATCH_BYTES) {
        bench_fail("write '" BUDGET_NAME "': %s", strerror(errno));
    }
    budget->next++;
}

void budget_close(struct budget *budget, const struct bench_options *options)
{
    (void)close(budget->segment_fd);
    free(budget->batches);
    free(budget->journal);
    bench_remove(options, BUDGET_NAME);
}
