/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.c - one thread writes, another follows: a queue that survives the program.
 *
 *     cc tail.c $(pkg-config --cflags --libs pyralog) -pthread -o tail
 *     ./tail ./data
 *
 * The reader waits inside pyr_reader_next, without burning a processor, until a record is
 * committed. It never sees one that could still be lost: with the default policy, committed means
 * on stable storage.
 */
#include <pthread.h>
#include <pyralog.h>
#include <stdio.h>
#include <string.h>

enum { RECORDS = 10, PATIENCE_MS = 30000 };

/* A log may be shared by any number of threads; a reader belongs to one thread at a time. */
static void *write_records(void *context)
{
    struct pyr_log *log = (struct pyr_log *)context;
    for (int number = 1; number <= RECORDS; number++) {
        char text[32];
        int count = snprintf(text, sizeof text, "record %d", number);
        struct pyr_record record = {.value = text, .value_bytes = (size_t)count};
        struct pyr_error error;
        if (pyr_log_append(log, &record, NULL, &error) != PYR_OK) {
            fprintf(stderr, "append: %s\n", error.message);
            break;
        }
    }
    return NULL;
}

/* Print what comes until all records of this run were seen. */
static enum pyr_err follow(struct pyr_log *log, struct pyr_error *error)
{
    struct pyr_reader *reader;
    enum pyr_err err = pyr_reader_open(log, PYR_READ_END, &reader, error);
    if (err != PYR_OK) {
        return err;
    }
    pthread_t writer;
    if (pthread_create(&writer, NULL, write_records, log) != 0) {
        pyr_reader_close(reader);
        return PYR_ERR_NO_MEMORY;
    }
    for (int seen = 0; seen < RECORDS && err == PYR_OK; seen++) {
        struct pyr_record record;
        err = pyr_reader_next(reader, PATIENCE_MS, &record, error);
        if (err == PYR_OK) {
            printf("%lld: %.*s\n", (long long)record.offset, (int)record.value_bytes,
                   (const char *)record.value);
        }
    }
    pthread_join(writer, NULL);
    pyr_reader_close(reader);
    return err;
}

int main(int argument_count, char **arguments)
{
    struct pyr_error error;
    struct pyr_log *log;
    const char *folder = argument_count > 1 ? arguments[1] : "./data";
    if (pyr_log_open(folder, NULL, &log, &error) != PYR_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    enum pyr_err err = follow(log, &error);
    if (err != PYR_OK) {
        fprintf(stderr, "%s: %s\n", pyr_err_name(err), pyr_err_text(err));
    }
    pyr_log_close(log);
    return err == PYR_OK ? 0 : 1;
}
