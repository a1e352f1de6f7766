/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c - the first ten minutes: open a log, append a record, read everything back.
 *
 *     cc append.c $(pkg-config --cflags --libs pyralog) -o append
 *     ./append ./data
 *
 * Run it twice: the second run finds the record of the first. Pull the plug between the two, and it
 * still does, because the receipt said that a copy is on stable storage.
 */
#include <pyralog.h>
#include <stdio.h>

int main(int argument_count, char **arguments)
{
    const char *folder = argument_count > 1 ? arguments[1] : "./data";

    /* A log is a folder. It is made if it is missing, and recovered if the last program that had it
     * open was killed. Every error is a code to act on and a sentence to show. */
    struct pyr_error error;
    struct pyr_log *log;
    if (pyr_log_open(folder, NULL, &log, &error) != PYR_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    /* The record is copied: its memory is yours again when the call returns. */
    struct pyr_record record = {.value = "hello", .value_bytes = 5};
    struct pyr_receipt receipt;
    enum pyr_err err = pyr_log_append(log, &record, &receipt, &error);
    if (err == PYR_OK) {
        printf("offset %lld, copies on stable storage: %u\n", (long long)receipt.offset,
               receipt.copies_durable);
    } else {
        fprintf(stderr, "%s\n", error.message);
    }

    /* What a reader hands out is not copied: it is valid until the next call with that reader. With
     * a time-out of 0 the end of the log is PYR_ERR_TIMEOUT. */
    struct pyr_reader *reader;
    if (pyr_reader_open(log, PYR_READ_FIRST, &reader, &error) == PYR_OK) {
        while (pyr_reader_next(reader, 0, &record, &error) == PYR_OK) {
            printf("%lld: %.*s\n", (long long)record.offset, (int)record.value_bytes,
                   (const char *)record.value);
        }
        pyr_reader_close(reader);
    }
    pyr_log_close(log);
    return err == PYR_OK ? 0 : 1;
}
