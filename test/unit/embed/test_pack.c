/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pack - compression of what is appended, kept only where it pays.
 */
#include "embed_case.h"

enum {
    ROUNDS = 50,
    BATCH_RECORDS = 100,
};

/* Fill @count bytes at @value with @seed's noise, or all alike if it is 0; return the next seed. */
static uint32_t value_fill(char *value, size_t count, uint32_t seed)
{
    for (size_t byte = 0; byte < count; byte++) {
        seed = seed * 1664525u + (seed != 0 ? 1013904223u : 0u);
        value[byte] = (char)(seed != 0 ? seed >> 24 : 'a');
    }
    return seed;
}

/* Append batches whose values are @seed's noise, or all alike if it is 0; return the log's bytes on
 * disk. */
static uint64_t bytes_of_appends(const char *folder,
                                 enum pyr_compression compression,
                                 uint32_t seed)
{
    struct pyr_log_options options;
    struct pyr_error error;
    embed_log_options(&options, PYR_SYNC_OS);
    options.compression = compression;
    struct pyr_log *log = embed_open(folder, &options);
    static char values[BATCH_RECORDS][200];
    struct pyr_record records[BATCH_RECORDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int at = 0; at < BATCH_RECORDS; at++) {
            seed = value_fill(values[at], sizeof values[at], seed);
            records[at] =
                (struct pyr_record){.value = values[at], .value_bytes = sizeof values[at]};
        }
        CHECK_OK(pyr_log_append_batch(log, records, BATCH_RECORDS, NULL, &error), error);
    }
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    CHECK_OK(pyr_log_sync(log, &error), error);
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    for (int64_t offset = 0; offset < (int64_t)ROUNDS * BATCH_RECORDS; offset++) {
        CHECK_OK(pyr_reader_next(reader, PATIENCE_MS, &record, &error), error);
        CHECK_INT(record.offset, offset);
        CHECK_INT(record.value_bytes, sizeof values[0]);
    }
    CHECK_BYTES(record.value, values[BATCH_RECORDS - 1], sizeof values[0]);
    pyr_reader_close(reader);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    pyr_log_close(log);
    return stat.segment_bytes;
}

/* Values that repeat take a fraction of their bytes, and come back as they were. */
TEST(pack, shrinks_what_repeats)
{
    uint64_t plain = bytes_of_appends(case_folder(), PYR_COMPRESSION_NONE, 0);

    uint64_t packed = bytes_of_appends(case_folder(), PYR_COMPRESSION_LZ4, 0);

    CHECK(packed * 10 < plain);
}

/* Noise does not shrink: it is stored plain, and nothing is lost by having tried. */
TEST(pack, leaves_noise_as_it_is)
{
    uint64_t plain = bytes_of_appends(case_folder(), PYR_COMPRESSION_NONE, 7);

    uint64_t packed = bytes_of_appends(case_folder(), PYR_COMPRESSION_LZ4, 7);

    CHECK_INT(packed, plain);
}
