/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start makes of the journal: partition/recovery.c, where a whole life does not lead.
 * Entries that nobody writes yet, or only a damaged store holds, are put into the journal by hand.
 */
#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard.h"
#include "partition/shard_inner.h"
#include "record/batch.h"
#include "record/builder.h"

enum { HOUR_NS_LOW = 3600, BATCH_ROOM = 4096 };

static const uint64_t hour_ns = HOUR_NS_LOW * UINT64_C(1000000000);

/* Begin a life that leaves everything in the journal, as far as its cache goes. */
static enum pyr_err life_open(struct shard_life *life, struct sim_disk *disk, uint64_t cache_bytes)
{
    shard_case_init(life, disk, 5);
    life->cache_bytes_max = cache_bytes;
    life->buffer_time_ns = hour_ns;
    life->wal_files_max = 16;
    enum pyr_err err = shard_case_open(life);
    if (err != PYR_OK) {
        (void)print_message("# %s\n", life->error.message);
    }
    return err;
}

/* Append @count batches of a record each to log 0 and wait until they are durable. */
static void append_each(struct shard_life *life, int count)
{
    for (int index = 0; index < count; index++) {
        CHECK_INT(shard_case_append(life, 0, 1), PYR_OK);
    }
    CHECK_INT(shard_case_settle(life), PYR_OK);
}

/* Put @entry into the journal and crash once it is durable. */
static void journal_and_crash(struct shard_life *life, const struct wal_entry *entry)
{
    const struct wal_need need = {.kind = WAL_NEED_DURABLE_NOW};
    struct wal *wal = life->shard->wal;
    uint64_t position = 0;
    CHECK_INT(wal_append(wal, entry, need, &position, &life->error), PYR_OK);
    while (wal_durable_position(wal) < position) {
        shard_case_turn(life);
    }
    shard_case_abandon(life);
}

/* Return an entry for @log, of a leader above its own, at @offset. */
static struct wal_entry entry_above(const struct partition *log,
                                    enum wal_entry_kind kind,
                                    int64_t offset)
{
    return (struct wal_entry){.kind = kind,
                              .log = log->id,
                              .offset = offset,
                              .epoch = log->epoch + 1,
                              .number = log->entry_number + 1};
}

/* A new leader cut the log: what was cut may not come back, and what the next life appends in its
 * place is found by the one after it, though the journal still has both. */
TEST(recovery, cuts_what_the_journal_truncates)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    CHECK_INT(life_open(&life, disk, 0), PYR_OK);
    append_each(&life, 5);
    const struct wal_entry entry = entry_above(life.logs[0], WAL_ENTRY_TRUNCATE, 3);
    journal_and_crash(&life, &entry);

    enum pyr_err err = life_open(&life, disk, 0);

    CHECK_INT(err, PYR_OK);
    CHECK_INT(life.logs[0]->offset_end, 3);
    CHECK(life.logs[0]->epoch > entry.epoch); /* That of this life. */
    CHECK(shard_case_check(&life, 0, false));
    life.salt = 2;
    append_each(&life, 4);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_abandon(&life);
    CHECK_INT(life_open(&life, disk, 0), PYR_OK);
    life.ends[0] = 3; /* The others are of the second life. */
    life.salt = 2;
    CHECK_INT(life.logs[0]->offset_end, 7);
    CHECK(shard_case_check(&life, 0, false));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* An append of a higher leader behind no truncation says the same: its offset is the log's end. */
TEST(recovery, cuts_where_a_higher_leader_appends)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    CHECK_INT(life_open(&life, disk, 0), PYR_OK);
    append_each(&life, 5);
    uint8_t room[BATCH_ROOM];
    struct builder builder;
    builder_init(&builder, (struct bytes_mut){room, sizeof room});
    struct record record = {.timestamp = 1, .value = {(const uint8_t *)"new", 3}};
    CHECK_INT(builder_add(&builder, &record, NULL), PYR_OK);
    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    size_t bytes = builder_seal(&builder, &stamp).count;
    struct wal_entry entry = entry_above(life.logs[0], WAL_ENTRY_APPEND, 2);
    batch_set_offset_and_epoch((struct bytes_mut){room, bytes}, entry.offset, entry.epoch);
    entry.parts[0] = (struct bytes){room, BATCH_HEADER_BYTES};
    entry.parts[1] = (struct bytes){room + BATCH_HEADER_BYTES, bytes - BATCH_HEADER_BYTES};
    entry.checked_bytes = BATCH_HEADER_BYTES;
    journal_and_crash(&life, &entry);

    enum pyr_err err = life_open(&life, disk, 0);

    CHECK_INT(err, PYR_OK);
    CHECK_INT(life.logs[0]->offset_end, 3);
    CHECK(life.logs[0]->epoch > entry.epoch);  /* That of this life. */
    CHECK(!shard_case_check(&life, 0, false)); /* Record 2 is not the workload's, */
    life.logs[0]->offset_committed = 2;
    CHECK(shard_case_check(&life, 0, false)); /* and those before it are. */
    shard_case_abandon(&life);
    sim_disk_destroy(disk);
}

/* Return how many records of all logs are in segments. */
static int64_t written_in_all(const struct shard_life *life)
{
    int64_t written = 0;
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        written += life->logs[index]->offset_written;
    }
    return written;
}

/* The cache may have been larger when the journal was written: the rest goes to the segments. */
TEST(recovery, replays_more_than_the_cache_holds)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    CHECK_INT(life_open(&life, disk, 1 << 20), PYR_OK);
    static const size_t cached[] = {6, 0, 1, 2, 3};

    enum { CACHED = sizeof cached / sizeof cached[0] };

    for (size_t index = 0; index < (size_t)2 * CACHED; index++) {
        CHECK_INT(shard_case_append(&life, cached[index % CACHED], 30), PYR_OK);
        shard_case_turn(&life); /* An append that has to wait asks for a checkpoint. */
    }
    for (size_t index = 1; index < CACHED; index++) { /* Before them, the one of policy os is. */
        const struct partition *log = life.logs[cached[index]];
        while (log->offset_durable < log->offset_end) {
            shard_case_turn(&life);
        }
    }
    CHECK_INT(written_in_all(&life), 0); /* All of it is in journal and cache only. */
    shard_case_abandon(&life);

    enum pyr_err err = life_open(&life, disk, CACHE_CHUNKS_MIN * CACHE_CHUNK_BYTES_MIN);

    CHECK_INT(err, PYR_OK);
    CHECK(written_in_all(&life) > 0);
    for (size_t index = 0; index < CACHED; index++) {
        CHECK_INT(life.logs[cached[index]]->offset_end, 60);
        CHECK(shard_case_check(&life, cached[index], false));
    }
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* A log whose folder is gone is not forgotten quietly: its entries say that it was there. */
TEST(recovery, refuses_entries_of_a_log_whose_folder_is_missing)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    CHECK_INT(life_open(&life, disk, 0), PYR_OK);
    append_each(&life, 1);
    struct wal_entry entry = entry_above(life.logs[0], WAL_ENTRY_TRUNCATE, 0);
    entry.log.value[0] ^= 0xff;
    journal_and_crash(&life, &entry);

    enum pyr_err err = life_open(&life, disk, 0);

    CHECK_INT(err, PYR_ERR_CORRUPT);
    CHECK(strstr(life.error.message, "whose folder is missing") != NULL);
    CHECK(strstr(life.error.message, "pyralog log repair") != NULL);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* What this version cannot replay it says, instead of leaving a hole. */
TEST(recovery, refuses_an_append_that_lies_elsewhere)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    CHECK_INT(life_open(&life, disk, 0), PYR_OK);
    append_each(&life, 1);
    struct wal_entry entry = entry_above(life.logs[0], WAL_ENTRY_APPEND_INDIRECT, 1);
    journal_and_crash(&life, &entry);

    enum pyr_err err = life_open(&life, disk, 0);

    CHECK_INT(err, PYR_ERR_UNSUPPORTED);
    CHECK(strstr(life.error.message, "indirect") != NULL);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}
