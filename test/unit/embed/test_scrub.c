/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_scrub - the background scrub on real files, as a program sees it: embed/stat.c too.
 */
#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include "embed_case.h"

/* Open a store in @folder that scrubs pass after pass. */
static struct pyr_store *store_scrubbing(const char *folder)
{
    struct pyr_store_options options;
    struct pyr_store *store = NULL;
    struct pyr_error error;
    embed_store_options(&options);
    options.scrub_bytes_per_s = UINT64_C(1) << 30;
    options.scrub_interval_ms = 0;
    CHECK_OK(pyr_store_open(folder, &options, &store, &error), error);
    return store;
}

/* Wait for @count more passes, and return the numbers behind them. */
static struct pyr_store_stat passes(struct pyr_store *store, uint64_t count)
{
    struct pyr_store_stat stat;
    pyr_store_stat(store, &stat);
    uint64_t goal = stat.scrub_passes + count;
    for (int64_t waited_ms = 0; stat.scrub_passes < goal; waited_ms++) {
        CHECK(waited_ms < PATIENCE_MS);
        (void)usleep(1000);
        pyr_store_stat(store, &stat);
    }
    return stat;
}

/* Change a byte in the second .log of the log's @folder. */
static void damage(const char *folder)
{
    glob_t found;
    CHECK_INT(glob(embed_path(folder, "events-0/*.log"), 0, NULL, &found), 0);
    CHECK(found.gl_pathc > 2);
    int file = open(found.gl_pathv[1], O_RDWR | O_CLOEXEC);
    CHECK(file >= 0);
    uint8_t byte = 0;
    CHECK_INT(pread(file, &byte, 1, 3000), 1);
    byte ^= 0x40;
    CHECK_INT(pwrite(file, &byte, 1, 3000), 1);
    CHECK_INT(fsync(file), 0);
    (void)close(file);
    globfree(&found);
}

/* A disk that loses a byte is found out while the program runs and before it reads there; the
 * program is told where, and goes on. */
TEST(scrub, tells_of_damage_in_files)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store *store = store_scrubbing(folder);
    struct pyr_log_options options;
    struct pyr_log *log = NULL;
    struct pyr_error error;
    embed_log_options(&options, PYR_SYNC_OS);
    options.segment_max_size = 32 << 10;
    CHECK_OK(pyr_store_log(store, "events", 0, &options, &log, &error), error);
    embed_append_numbered(log, 0, 8000);
    pyr_log_close(log);
    pyr_store_close(store); /* All of it is in synced segments. */
    store = store_scrubbing(folder);
    CHECK_OK(pyr_store_log(store, "events", 0, &options, &log, &error), error);
    struct pyr_store_stat sound = passes(store, 2);
    CHECK_INT(sound.logs, 1);
    CHECK_INT(sound.scrub_damages + sound.scrub_errors, 0);
    CHECK_TEXT(sound.scrub_first, "");
    struct pyr_log_stat log_stat;
    pyr_log_stat(log, &log_stat);
    CHECK(log_stat.scrub_bytes >= log_stat.bytes);
    CHECK_INT(log_stat.damage_segment, -1);

    damage(folder);
    struct pyr_store_stat stat = passes(store, 2);

    CHECK(stat.scrub_damages >= 1);
    CHECK_INT(stat.scrub_errors, 0);
    CHECK(strstr(stat.scrub_first, "log 'events-0'") && strstr(stat.scrub_first, ".log'"));
    pyr_log_stat(log, &log_stat);
    CHECK(log_stat.scrub_damages >= 1);
    CHECK(log_stat.damage_segment > 0);
    CHECK(log_stat.damage_offset >= log_stat.damage_segment);
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    CHECK_OK(pyr_reader_open(log, log_stat.damage_offset, &reader, &error), error);
    CHECK_ERR(pyr_reader_next(reader, PATIENCE_MS, &record, &error), PYR_ERR_CORRUPT, error);
    pyr_reader_close(reader);
    embed_append_numbered(log, 8000, 10);
    pyr_log_close(log);
    pyr_store_close(store);
}

/* A pace that makes no sense is refused by name. */
TEST(scrub, refuses_a_pace_out_of_range)
{
    struct pyr_store_options options;
    struct pyr_store *store = NULL;
    struct pyr_error error;
    embed_store_options(&options);
    options.scrub_bytes_per_s = 1;
    const char *folder = embed_path(case_folder(), "data");

    CHECK_ERR(pyr_store_open(folder, &options, &store, &error), PYR_ERR_INVALID, error);

    CHECK(strstr(error.message, "scrub_bytes_per_s"));
    options.scrub_bytes_per_s = 0;
    options.scrub_interval_ms = UINT64_MAX;
    CHECK_ERR(pyr_store_open(folder, &options, &store, &error), PYR_ERR_INVALID, error);
    CHECK(strstr(error.message, "scrub_interval_ms"));
}
