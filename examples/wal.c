/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal.c - a log as a program's own write-ahead log: a store of counters that survives kill -9.
 *
 *     cc wal.c $(pkg-config --cflags --libs pyralog) -o wal
 *     printf 'apples 3\npears 1\napples 2\n' | ./wal ./data
 *     printf '?\n' | ./wal ./data
 *
 * Each line of input adds to a counter, "?" prints them all, "!" cuts the log short. An answer is
 * printed only after its change is on stable storage, so whatever was answered is there after a
 * crash, and a change that was not answered is there in whole or not at all.
 *
 *     start:   read the log from its first record; each one sets a counter
 *     change:  append "name -> new total", and only then change memory and answer
 *     cut:     append all totals as one batch, then delete everything before that batch
 *
 * The records hold totals and not differences: to read one twice does no harm. A total is stored in
 * the machine's own byte order, which a program with users on several machines would not do.
 */
#include <inttypes.h>
#include <pyralog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTERS_MAX = 50, NAME_BYTES_MAX = 32, LINE_BYTES_MAX = 128 };

struct counter {
    char name[NAME_BYTES_MAX];
    int64_t total;
};

struct counters {
    struct counter rows[COUNTERS_MAX];
    int count;
};

/* Return the counter called @name, made if it is missing, or NULL if there is no room. */
static struct counter *counter_named(struct counters *counters, const char *name, size_t bytes)
{
    for (int index = 0; index < counters->count; index++) {
        struct counter *row = &counters->rows[index];
        if (strlen(row->name) == bytes && memcmp(row->name, name, bytes) == 0) {
            return row;
        }
    }
    if (counters->count == COUNTERS_MAX || bytes >= NAME_BYTES_MAX) {
        return NULL;
    }
    struct counter *row = &counters->rows[counters->count++];
    memcpy(row->name, name, bytes);
    row->name[bytes] = '\0';
    row->total = 0;
    return row;
}

/* Bring the counters back from the log. */
static enum pyr_err recover(struct pyr_log *log, struct counters *counters, struct pyr_error *error)
{
    struct pyr_reader *reader;
    enum pyr_err err = pyr_reader_open(log, PYR_READ_FIRST, &reader, error);
    if (err != PYR_OK) {
        return err;
    }
    struct pyr_record record;
    while ((err = pyr_reader_next(reader, 0, &record, error)) == PYR_OK) {
        struct counter *row = counter_named(counters, (const char *)record.key, record.key_bytes);
        if (row && record.value_bytes == sizeof row->total) {
            memcpy(&row->total, record.value, sizeof row->total);
        }
    }
    pyr_reader_close(reader);
    return err == PYR_ERR_TIMEOUT ? PYR_OK : err; /* The time-out is the log's end. */
}

/* Describe @row as a record, without copying it. */
static struct pyr_record record_of(const struct counter *row)
{
    struct pyr_record record = {0, 0, NULL, 0, NULL, 0, NULL, 0};
    record.key = row->name;
    record.key_bytes = strlen(row->name);
    record.value = &row->total;
    record.value_bytes = sizeof row->total;
    return record;
}

/* Add @delta to the counter called @name: first in the log, then in memory. */
static enum pyr_err change(struct pyr_log *log,
                           struct counters *counters,
                           const char *name,
                           int64_t delta,
                           struct pyr_error *error)
{
    struct counter *row = counter_named(counters, name, strlen(name));
    if (!row) {
        printf("no room for %s\n", name);
        return PYR_OK;
    }
    struct counter changed = *row;
    changed.total += delta;
    struct pyr_record record = record_of(&changed);
    enum pyr_err err = pyr_log_append(log, &record, NULL, error);
    if (err == PYR_OK) {
        *row = changed;
        printf("%s %" PRId64 "\n", row->name, row->total);
    }
    return err;
}

/* Cut the log short. A crash between the two calls leaves more than is needed, never less. */
static enum pyr_err cut(struct pyr_log *log, struct counters *counters, struct pyr_error *error)
{
    struct pyr_record records[COUNTERS_MAX];
    for (int index = 0; index < counters->count; index++) {
        records[index] = record_of(&counters->rows[index]);
    }
    if (counters->count == 0) {
        return PYR_OK;
    }
    struct pyr_receipt receipt;
    enum pyr_err err = pyr_log_append_batch(log, records, (size_t)counters->count, &receipt, error);
    if (err == PYR_OK) {
        err = pyr_log_delete_before(log, receipt.offset, error);
    }
    if (err == PYR_OK) {
        printf("the log begins at %" PRId64 "\n", receipt.offset);
    }
    return err;
}

/* Carry out one line of input. */
static enum pyr_err obey(struct pyr_log *log,
                         struct counters *counters,
                         char *line,
                         struct pyr_error *error)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "!") == 0) {
        return cut(log, counters, error);
    }
    if (strcmp(line, "?") == 0) {
        for (int index = 0; index < counters->count; index++) {
            printf("%s %" PRId64 "\n", counters->rows[index].name, counters->rows[index].total);
        }
        return PYR_OK;
    }
    char *gap = strchr(line, ' ');
    int64_t delta = gap ? strtoll(gap + 1, NULL, 10) : 1;
    if (gap) {
        *gap = '\0';
    }
    return change(log, counters, line, delta, error);
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
    struct counters counters;
    memset(&counters, 0, sizeof counters);
    enum pyr_err err = recover(log, &counters, &error);
    char line[LINE_BYTES_MAX];
    while (err == PYR_OK && fgets(line, sizeof line, stdin)) {
        err = obey(log, &counters, line, &error);
        fflush(stdout);
    }
    if (err != PYR_OK) {
        fprintf(stderr, "%s\n", error.message);
    }
    pyr_log_close(log);
    return err == PYR_OK ? 0 : 1;
}
