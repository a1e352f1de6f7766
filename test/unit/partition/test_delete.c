/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting logs and restoring them, on a virtual disk, and with a power cut at every event:
 * partition/delete.c and partition/deleted.c.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

enum {
    TURNS_MAX = 20000,
    LOG = 0, /* The one that is deleted, orders-0; */
    OTHER = 1,
    RECORDS = 200,
};

/* -- Helpers -- */

static void life_begin(struct shard_life *life, struct sim_disk *disk)
{
    shard_case_init(life, disk, 5);
    life->mask = 1U << LOG | 1U << OTHER;
    assert_int_equal(shard_case_open(life), PYR_OK);
}

static void fill(struct shard_life *life, size_t log, int records)
{
    for (int count = 0; count < records; count += 10) {
        assert_int_equal(shard_case_append(life, log, 10), PYR_OK);
    }
    assert_int_equal(shard_case_settle(life), PYR_OK);
}

static enum pyr_err delete_log(struct shard_life *life)
{
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
        err = shard_partition_delete(life->shard, shard_case_name(LOG), &life->error);
        shard_case_turn(life);
    }
    return err;
}

static enum pyr_err restore_log(struct shard_life *life, const struct log_id *id)
{
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
        err = shard_partition_restore(life->shard, shard_case_name(LOG), id, &life->error);
        shard_case_turn(life);
    }
    return err;
}

/* Let go of the deleted log, as its holder does. */
static void let_go(struct shard_life *life)
{
    shard_partition_release(life->logs[LOG]);
    life->logs[LOG] = NULL;
}

/* Open log LOG again, or anew. */
static void open_log(struct shard_life *life)
{
    const struct partition_options options = {.is_cached = true, .segment_bytes = 16 << 10};
    CHECK_INT(shard_partition_open(life->shard, shard_case_name(LOG), &options, &life->logs[LOG],
                                   &life->error),
              PYR_OK);
    life->ends[LOG] = 0;
}

static bool folder_is_there(struct shard_life *life, const struct log_id *id)
{
    char name[DELETED_NAME_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    struct io_stat stat;
    deleted_name_put(shard_case_name(LOG), id, name);
    folder_path(&life->folder, name, path);
    return io_stat(life->io, path, &stat) == 0;
}

/* -- Names -- */

/* What was put is got, and what is no name of a deleted folder is none. */
TEST(deleted_name, goes_there_and_back)
{
    const struct log_id id = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xab, 0xcd, 0xef, 13, 14, 255}};
    char entry[DELETED_NAME_BYTES_MAX];
    char name[LOG_NAME_BYTES_MAX];
    struct log_id found;

    deleted_name_put("a.b-c-0", &id, entry);
    CHECK_TEXT(entry, "a.b-c-0.00010203040506070809abcdef0d0eff-deleted");
    CHECK(deleted_name_get(entry, name, &found));
    CHECK_TEXT(name, "a.b-c-0");
    CHECK(log_id_equal(&id, &found));

    CHECK(!deleted_name_get("orders-0", name, &found));
    CHECK(!deleted_name_get("-deleted", name, &found));
    CHECK(!deleted_name_get(".00010203040506070809abcdef0d0eff-deleted", name, &found));
    CHECK(!deleted_name_get("a-0.00010203040506070809abcdef0d0efg-deleted", name, &found));
    CHECK(!deleted_name_get("a-0-00010203040506070809abcdef0d0eff-deleted", name, &found));
    char longest[LOG_NAME_BYTES_MAX];
    memset(longest, 'x', sizeof longest);
    longest[214] = '\0';
    deleted_name_put(longest, &id, entry);
    CHECK_INT(strlen(entry), 255);
    CHECK(deleted_name_get(entry, name, &found));
    CHECK_TEXT(name, longest);

    /* A longer one is cut, and what is left of it names the same folder. */
    longest[214] = 'x';
    longest[253] = '-';
    longest[254] = '7';
    longest[255] = '\0';
    deleted_name_put(longest, &id, entry);
    CHECK(strlen(entry) <= 255);
    CHECK(deleted_name_get(entry, name, &found));
    CHECK(log_id_equal(&id, &found));
    CHECK(strchr(name, '~'));
    char again[DELETED_NAME_BYTES_MAX];
    deleted_name_put(name, &found, again);
    CHECK_TEXT(again, entry);
}

/* -- Deleting -- */

/* A deleted log is gone for its holder, at once; its name is free; the others go on. */
TEST(partition_delete, is_final_at_once)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk);
    fill(&life, LOG, RECORDS);
    fill(&life, OTHER, 50);
    struct partition_view view;
    struct bytes_mut room;
    struct log_id id = life.logs[LOG]->id;

    CHECK_INT(delete_log(&life), PYR_OK);

    struct partition *log = life.logs[LOG];
    CHECK_INT(partition_view_take(log, 5, &(struct cache_place){0}, &view, &life.error),
              PYR_ERR_NOT_FOUND);
    CHECK_INT(partition_reserve(log, 100, &room, &life.error), PYR_ERR_NOT_FOUND);
    CHECK_INT(partition_delete_before(log, 5, &life.error), PYR_ERR_NOT_FOUND);
    CHECK(strstr(life.error.message, "was deleted"));
    CHECK_INT(shard_partition_delete(life.shard, "orders-0", NULL), PYR_ERR_NOT_FOUND);
    CHECK_INT(shard_partitions(life.shard), 1);
    CHECK_INT(shard_partitions_deleted(life.shard), 1);
    CHECK(folder_is_there(&life, &id));
    struct partition *old = life.logs[LOG];
    open_log(&life);
    fill(&life, LOG, 30);
    fill(&life, OTHER, 20);
    CHECK(shard_case_check(&life, LOG, false));
    CHECK(shard_case_check(&life, OTHER, false));
    shard_partition_release(old);
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    sim_disk_destroy(disk);
}

/* Delete log LOG with the @nth operation of @kind on the folder failing; return whether it was the
 * one that @text tells of. */
static bool delete_fails(struct shard_life *life,
                         enum sim_kind kind,
                         uint64_t nth,
                         const char *text,
                         enum pyr_err *ret_err)
{
    const struct sim_fault refusal = {.kind = kind, .name = "/data", .nth = nth};
    fill(life, LOG, RECORDS);
    fill(life, OTHER, 50);
    sim_fault_add(life->sim, &refusal);
    *ret_err = delete_log(life);
    sim_faults_clear(life->sim);
    CHECK(nth < 50);
    return *ret_err != PYR_OK && strstr(life->error.message, text) != NULL;
}

/* A folder that cannot be renamed is a log that is not deleted: it goes on as if nothing was, and
 * the next try deletes it. */
TEST(partition_delete, leaves_the_log_as_it_was_if_the_rename_fails)
{
    bool is_own = false;
    for (uint64_t nth = 1; !is_own; nth++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk);
        enum pyr_err err = PYR_OK;

        is_own = delete_fails(&life, SIM_RENAME, nth, "rename '/data/orders-0' to", &err);

        if (is_own) {
            CHECK_INT(err, PYR_ERR_IO);
            CHECK_INT(shard_health(life.shard, &life.error), PYR_OK);
            CHECK_INT(shard_partitions_deleted(life.shard), 0);
            fill(&life, LOG, 50);
            CHECK(shard_case_check(&life, LOG, false));
            CHECK_INT(delete_log(&life), PYR_OK);
            let_go(&life);
            CHECK_INT(shard_partitions_deleted(life.shard), 1);
        }
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* After a failed sync nobody knows which name is on the disk: nothing goes on, and the next start
 * finds the whole log under one name or the other. */
TEST(partition_delete, ends_the_shard_if_the_sync_of_the_folder_fails)
{
    bool is_own = false;
    for (uint64_t nth = 1; !is_own; nth++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk);
        enum pyr_err err = PYR_OK;

        is_own = delete_fails(&life, SIM_SYNC_FOLDER, nth, "'orders-0': sync folder '/data'", &err);

        CHECK(!is_own || shard_health(life.shard, &life.error) == PYR_ERR_FAILED);
        shard_case_end(&life);
        life_begin(&life, disk);
        int64_t found = life.logs[LOG]->offset_end;
        CHECK(found == RECORDS || (found == 0 && shard_partitions_deleted(life.shard) == 1));
        CHECK_INT(life.logs[OTHER]->offset_end, 50);
        CHECK(shard_case_check(&life, LOG, false));
        CHECK(shard_case_check(&life, OTHER, false));
        shard_case_end(&life);
        sim_disk_destroy(disk);
    }
}

/* Everything that was appended comes back, what was in the cache only included, in this life or in
 * a later one; and the log goes on where it ended. */
TEST(partition_restore, brings_every_record_back)
{
    for (int round = 0; round < 3; round++) {
        struct sim_disk *disk = sim_disk_create();
        struct shard_life life;
        life_begin(&life, disk);
        fill(&life, LOG, RECORDS);
        CHECK_INT(partition_delete_before(life.logs[LOG], 20, NULL), PYR_OK);
        CHECK_INT(delete_log(&life), PYR_OK);
        let_go(&life);
        struct sim_disk *image = NULL;
        if (round > 0) {
            image = sim_disk_crash(disk, round == 1 ? SIM_CRASH_NONE : SIM_CRASH_ALL, 3);
            shard_case_end(&life);
            shard_case_init(&life, image, 6);
            life.mask = 1U << OTHER;
            CHECK_INT(shard_case_open(&life), PYR_OK);
            CHECK_INT(shard_partitions_deleted(life.shard), 1);
        }

        CHECK_INT(restore_log(&life, NULL), PYR_OK);

        open_log(&life);
        CHECK_INT(life.logs[LOG]->offset_start, 20);
        CHECK_INT(life.logs[LOG]->offset_end, RECORDS);
        fill(&life, LOG, 30);
        CHECK(shard_case_check(&life, LOG, false));
        CHECK_INT(shard_partitions_deleted(life.shard), 0);
        shard_case_end(&life);
        shard_case_init(&life, round > 0 ? image : disk, 7);
        life.mask = 1U << LOG | 1U << OTHER;
        CHECK_INT(shard_case_open(&life), PYR_OK);
        CHECK_INT(life.logs[LOG]->offset_end, RECORDS + 30);
        CHECK(shard_case_check(&life, LOG, false));
        CHECK_INT(life.report.quarantined, 0);
        shard_case_end(&life);
        sim_disk_destroy(image);
        sim_disk_destroy(disk);
    }
}

/* A name that has been taken again is not taken from its new log; and of several deleted logs of
 * one name the id says which. */
TEST(partition_restore, refuses_a_name_in_use)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    life_begin(&life, disk);
    struct log_id first = life.logs[LOG]->id;
    fill(&life, LOG, 30);
    CHECK_INT(restore_log(&life, NULL), PYR_ERR_NOT_FOUND);
    CHECK_INT(delete_log(&life), PYR_OK);
    let_go(&life);
    open_log(&life);
    fill(&life, LOG, 20);

    CHECK_INT(restore_log(&life, NULL), PYR_ERR_EXISTS);

    CHECK(strstr(life.error.message, "taken"));
    CHECK_INT(delete_log(&life), PYR_OK);
    let_go(&life);
    CHECK_INT(restore_log(&life, NULL), PYR_ERR_CONDITION);
    CHECK_INT(restore_log(&life, &first), PYR_OK);
    open_log(&life);
    CHECK_INT(life.logs[LOG]->offset_end, 30);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

static void long_init(struct shard_life *life, struct sim_disk *disk, uint32_t shards)
{
    shard_case_init(life, disk, 5);
    life->shards_wanted = shards;
    life->mask = 1U << OTHER;
    life->delete_grace_ns = UINT64_C(60000000000);
}

/* Open the store on @disk with @shards, and return the shard of the log @name. */
static struct shard *long_begin(struct shard_life *life,
                                struct sim_disk *disk,
                                uint32_t shards,
                                const char *name)
{
    long_init(life, disk, shards);
    CHECK_INT(shard_case_open(life), PYR_OK);
    CHECK_INT(life->report.quarantined, 0);
    return life->shards[folder_shard_of(name, shards)];
}

/* Append to the log @name of @shard, which has @end records, and delete it. */
static void long_delete(struct shard_life *life, struct shard *shard, const char *name, int end)
{
    const struct partition_options options = {.is_cached = true, .segment_bytes = 16 << 10};
    struct partition *log = NULL;
    CHECK_INT(shard_partition_open(shard, name, &options, &log, &life->error), PYR_OK);
    CHECK_INT(log->offset_end, end);
    life->logs[LOG] = log;
    fill(life, LOG, 10);
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; err == PYR_ERR_BUSY && turn < TURNS_MAX; turn++) {
        err = shard_partition_delete(shard, name, &life->error);
        shard_case_turn(life);
    }
    CHECK_INT(err, PYR_OK);
    let_go(life);
}

/* A log whose name leaves no room for its id is deleted and comes back like any other, in a later
 * life too, in a store of several shards; and when its grace is over, its folder goes. */
TEST(partition_delete, takes_the_longest_names)
{
    char name[256];
    memset(name, 'x', sizeof name);
    int number = 4711; /* Of a shard that a cut name by itself would not be taken for. */
    do {
        (void)snprintf(name + 250, sizeof name - 250, "-%d", number++);
    } while (folder_shard_of(name, 2) == 0 || folder_shard_of(name, 3) == 0);
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    struct shard *shard = long_begin(&life, disk, 2, name);
    long_delete(&life, shard, name, 0);
    for (int round = 1; round < 4; round++) {
        shard_case_end(&life);
        CHECK_INT(life.allocations_live, 0);
        shard = long_begin(&life, disk, round == 2 ? 3 : 2, name);
        CHECK_INT(shard_partitions_deleted(shard), 1);
        CHECK_INT(shard_partition_restore(shard, name, NULL, &life.error), PYR_OK);
        long_delete(&life, shard, name, 10 * round);
    }

    sim_advance(life.sim, UINT64_C(61000000000));
    for (int turn = 0; turn < 300; turn++) {
        shard_case_turn(&life);
    }

    CHECK_INT(shard_partitions_deleted(shard), 0);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* Where the state with the whole name cannot be read just now, the start fails: with the cut name
 * the log could not be restored though all of it is there. The next one finds it. */
TEST(partition_delete, waits_for_a_long_name_that_cannot_be_read)
{
    char name[256];
    memset(name, 'x', sizeof name);
    memcpy(name + 250, "-4711", sizeof "-4711");
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    struct shard *shard = long_begin(&life, disk, 1, name);
    long_delete(&life, shard, name, 0);
    shard_case_end(&life);
    const struct sim_fault refusal = {.kind = SIM_READ, .name = DELETED_STATE_FILE_NAME};
    long_init(&life, disk, 1);
    sim_fault_add(life.sim, &refusal);

    CHECK_INT(shard_case_open(&life), PYR_ERR_IO);

    CHECK_INT(sim_fault_count(life.sim), 1);
    CHECK(strstr(life.error.message, DELETED_STATE_FILE_NAME));
    shard_case_end(&life);
    CHECK_INT(life.allocations_live, 0);
    shard = long_begin(&life, disk, 1, name);
    CHECK_INT(shard_partition_restore(shard, name, NULL, &life.error), PYR_OK);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* The folder goes when its grace is over, and not before; nothing of it is found afterwards. */
TEST(deleted, goes_after_the_grace)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    shard_case_init(&life, disk, 5);
    life.mask = 1U << LOG | 1U << OTHER;
    life.delete_grace_ns = UINT64_C(60000000000);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    fill(&life, LOG, RECORDS);
    struct log_id id = life.logs[LOG]->id;
    CHECK_INT(delete_log(&life), PYR_OK);
    let_go(&life);

    sim_advance(life.sim, UINT64_C(59000000000));
    for (int turn = 0; turn < 300; turn++) {
        shard_case_turn(&life);
    }
    CHECK(folder_is_there(&life, &id));
    sim_advance(life.sim, UINT64_C(1000000000));
    for (int turn = 0; turn < 300; turn++) {
        shard_case_turn(&life);
    }

    CHECK(!folder_is_there(&life, &id));
    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    CHECK_INT(restore_log(&life, NULL), PYR_ERR_NOT_FOUND);
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_NONE, 1);
    struct shard_life after;
    shard_case_init(&after, image, 6);
    after.mask = 1U << OTHER;
    CHECK_INT(shard_case_open(&after), PYR_OK);
    CHECK_INT(shard_partitions(after.shard), 1);
    shard_case_end(&after);
    sim_disk_destroy(image);
    shard_case_end(&life);
    sim_disk_destroy(disk);
}

/* -- Crashes -- */

/* What the program was told by the time of a mark. */
enum told {
    TOLD_NOTHING,
    TOLD_LIVE,     /* The log has all its records. */
    TOLD_DELETING, /* A call that deletes or restores it is under way. */
    TOLD_DELETED,
    TOLD_NEW, /* The name is another log's, with NEW_RECORDS. */
    TOLD_END,
};

enum { NEW_RECORDS = 20 };

static void told(struct shard_life *life, enum told what)
{
    sim_record_mark(life->disk, what);
}

/* Delete, restore, delete, take the name again; with a clean stop, and with the folder cleared. */
static void workload(struct sim_disk *disk)
{
    struct shard_life life;
    sim_record_start(disk);
    sim_record_mark(disk, TOLD_NOTHING);
    shard_case_init(&life, disk, 5);
    life.mask = 1U << LOG | 1U << OTHER;
    life.delete_grace_ns = UINT64_C(60000000000);
    CHECK_INT(shard_case_open(&life), PYR_OK);
    fill(&life, LOG, RECORDS);
    told(&life, TOLD_LIVE);
    fill(&life, OTHER, 20);
    for (int round = 0; round < 2; round++) {
        told(&life, TOLD_DELETING);
        CHECK_INT(delete_log(&life), PYR_OK);
        told(&life, TOLD_DELETED);
        let_go(&life);
        fill(&life, OTHER, 20);
        if (round == 1) {
            break;
        }
        told(&life, TOLD_DELETING);
        CHECK_INT(restore_log(&life, NULL), PYR_OK);
        told(&life, TOLD_LIVE);
        fill(&life, OTHER, 20);
        open_log(&life);
        life.ends[LOG] = RECORDS;
        for (int turn = 0; turn < 40; turn++) {
            shard_case_turn(&life);
        }
    }
    open_log(&life);
    fill(&life, LOG, NEW_RECORDS);
    told(&life, TOLD_NEW);
    sim_advance(life.sim, UINT64_C(60000000000));
    for (int turn = 0; turn < 300; turn++) {
        shard_case_turn(&life);
    }
    CHECK_INT(shard_partitions_deleted(life.shard), 0);
    shard_case_end(&life);
    sim_record_stop(disk);
}

/* Judge the store on @image, whose program had been told @what. */
static bool judge(struct sim_disk *image, enum told what, uint64_t seed, struct pyr_error *error)
{
    struct shard_life life;
    shard_case_init(&life, image, seed);
    life.mask = 1U << OTHER;
    bool is_good = shard_case_open(&life) == PYR_OK;
    struct partition *log = is_good ? logs_named(life.shard, shard_case_name(LOG)) : NULL;
    if (is_good && (what == TOLD_LIVE || what == TOLD_NEW)) {
        is_good = log != NULL;
    }
    if (is_good && what == TOLD_DELETED && log) {
        is_good = log->offset_end < RECORDS; /* It may be the new one, being made. */
    }
    if (is_good && log) {
        open_log(&life);
        life.ends[LOG] = life.logs[LOG]->offset_end;
        int64_t end = life.logs[LOG]->offset_end;
        bool is_whole = what == TOLD_LIVE || what == TOLD_DELETING ? end == RECORDS : true;
        is_whole &= what != TOLD_NEW || end == NEW_RECORDS;
        is_good = is_whole && shard_case_check(&life, LOG, false);
    } else if (is_good && what == TOLD_DELETING) {
        is_good = restore_log(&life, NULL) == PYR_OK;
        if (is_good) {
            open_log(&life);
            life.ends[LOG] = RECORDS;
            is_good = life.logs[LOG]->offset_end == RECORDS && shard_case_check(&life, LOG, false);
        }
    }
    /* A folder that was being made may hold nothing that says what it is. */
    bool is_making = what == TOLD_NOTHING || what == TOLD_DELETED;
    is_good = is_good && (is_making || life.report.quarantined == 0);
    is_good = is_good && shard_case_check(&life, OTHER, false);
    *error = life.error;
    shard_case_abandon(&life);
    return is_good;
}

/* Cut @disk after event @index, and see that the store opens and OTHER is whole. */
static void cut_without(const struct sim_disk *disk, size_t index)
{
    uint64_t mark = 0;
    struct shard_life life;
    struct sim_disk *image = sim_record_image(disk, index, SIM_CRASH_RANDOM, 7 * index, &mark);
    shard_case_init(&life, image, 6);
    life.mask = 1U << OTHER;
    bool is_good = shard_case_open(&life) == PYR_OK && life.report.quarantined == 0 &&
                   shard_case_check(&life, OTHER, false);
    struct pyr_error error = life.error;
    shard_case_abandon(&life);
    if (!is_good) {
        fail_msg("event %zu '%s': %s", index, sim_record_text(disk, index), error.message);
    }
    sim_disk_destroy(image);
}

/* DEL-2: without a grace the folder goes as soon as it may, while journal and checkpoint still
 * spoke of the log when it was deleted; no start may miss it. */
TEST(deleted, is_missed_by_no_start)
{
    struct sim_disk *disk = sim_disk_create();
    struct shard_life life;
    shard_case_init(&life, disk, 5);
    life.mask = 1U << LOG | 1U << OTHER;
    life.delete_grace_ns = 1;
    CHECK_INT(shard_case_open(&life), PYR_OK);
    fill(&life, LOG, 20);
    fill(&life, OTHER, 20);
    sim_record_start(disk);
    CHECK_INT(delete_log(&life), PYR_OK);
    let_go(&life);
    for (int turn = 0; turn < 300 || shard_partitions_deleted(life.shard) > 0; turn++) {
        CHECK(turn < TURNS_MAX);
        CHECK_INT(shard_case_append(&life, OTHER, 1), PYR_OK);
        shard_case_turn(&life);
    }
    shard_case_end(&life);
    sim_record_stop(disk);

    for (size_t index = 0; index < sim_record_count(disk); index += (size_t)case_step()) {
        cut_without(disk, index);
    }
    sim_disk_destroy(disk);
}

/* Cut @disk after event @index, and judge what is left. */
static void cut(const struct sim_disk *disk, size_t index, uint64_t seed)
{
    uint64_t mark = 0;
    enum sim_crash how = seed == 0 ? SIM_CRASH_NONE : SIM_CRASH_RANDOM;
    struct sim_disk *image = sim_record_image(disk, index, how, seed, &mark);
    struct pyr_error error = {0};
    CHECK(mark < TOLD_END);
    if (!judge(image, (enum told)mark, 9 + seed, &error)) {
        fail_msg("event %zu '%s', seed %" PRIu64 ", told %d: %s", index,
                 sim_record_text(disk, index), seed, (int)mark, error.message);
    }
    sim_disk_destroy(image);
}

/* DEL-1, DEL-2: from any power cut the store opens, with the log or without it, as was told last,
 * and never with a part of it. */
TEST(partition_delete, survives_a_crash_at_every_event)
{
    struct sim_disk *disk = sim_disk_create();
    workload(disk);
    size_t count = sim_record_count(disk);
    for (size_t index = 0; index < count; index += (size_t)case_step()) {
        cut(disk, index, 0);
        cut(disk, index, 1);
        cut(disk, index, 2);
    }
    sim_disk_destroy(disk);
}
