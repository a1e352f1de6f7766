/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c - many records in flight: start appends without waiting, then wait for all of them.
 *
 *     cc batch.c $(pkg-config --cflags --libs pyralog) -o batch
 *     ./batch ./data 100000
 *
 * Waiting for the disk after each record costs one trip to the disk a record. pyr_log_append_start
 * copies the records, gives them their offsets and returns; what was started meanwhile goes to the
 * disk in one piece. pyr_log_wait says when it is there. Nothing is acknowledged before that, so a
 * program answers its own callers only after the wait.
 */
#include <inttypes.h>
#include <pyralog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records a batch: after a crash all of them are there, or none. */
enum { BATCH_RECORDS = 10 };

/* Append @count records, in batches, and wait for all of them at the end. */
static enum pyr_err append_all(struct pyr_log *log, long count, struct pyr_error *error)
{
    struct pyr_receipt receipt = {0, 0, 0, 0, 0};
    for (long done = 0; done < count; done += BATCH_RECORDS) {
        char texts[BATCH_RECORDS][32];
        struct pyr_record records[BATCH_RECORDS];
        memset(records, 0, sizeof records);
        for (int index = 0; index < BATCH_RECORDS; index++) {
            int bytes = snprintf(texts[index], sizeof texts[index], "event %ld", done + index);
            records[index].value = texts[index];
            records[index].value_bytes = (size_t)bytes;
        }
        enum pyr_err err = pyr_log_append_start(log, records, BATCH_RECORDS, &receipt, error);
        if (err != PYR_OK) {
            return err;
        }
    }
    printf("all were started; known to be on stable storage before the wait: %s\n",
           receipt.copies_durable > 0 ? "all" : "not all");

    /* A negative time-out waits without limit. */
    return pyr_log_wait(log, receipt.offset_end, -1, error);
}

int main(int argument_count, char **arguments)
{
    const char *folder = argument_count > 1 ? arguments[1] : "./data";
    long count = argument_count > 2 ? strtol(arguments[2], NULL, 10) : 1000;
    struct pyr_error error;
    struct pyr_log *log;
    if (pyr_log_open(folder, NULL, &log, &error) != PYR_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    enum pyr_err err = append_all(log, count, &error);
    if (err == PYR_OK) {
        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        printf("durable up to offset %" PRId64 "\n", stat.offset_durable);
    } else {
        fprintf(stderr, "%s\n", error.message);
    }
    pyr_log_close(log);
    return err == PYR_OK ? 0 : 1;
}
