/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several journals in one store, and changing how many: embed/shards.c.
 *
 * What a crash in the middle of a change leaves stands in fault/test_shards.c.
 */
#include <signal.h>
#include <unistd.h>

#include "embed_case.h"

enum { LOGS = 12, WRITERS = 4, ROUNDS = 40, RECORDS = 50 };

/* Open the store in @folder with @shards shards; @error may be NULL: then it must succeed. */
static struct pyr_store *store_open(const char *folder, uint32_t shards, struct pyr_error *error)
{
    struct pyr_store_options options;
    struct pyr_store *store = NULL;
    struct pyr_error local = {0};
    embed_store_options(&options);
    options.shards = shards;
    enum pyr_err err = pyr_store_open(folder, &options, &store, error ? error : &local);
    if (!error) {
        CHECK_OK(err, local);
    }
    return store;
}

static uint32_t shards_of(struct pyr_store *store)
{
    struct pyr_store_stat stat;
    pyr_store_stat(store, &stat);
    return stat.shards;
}

static void logs_open(struct pyr_store *store, struct pyr_log **logs)
{
    struct pyr_error error = {0};
    for (uint32_t index = 0; index < LOGS; index++) {
        struct pyr_log_options options;
        embed_log_options(&options, (enum pyr_sync)(index % 3));
        CHECK_OK(pyr_store_log(store, "t", index, &options, &logs[index], &error), error);
    }
}

static void logs_close(struct pyr_log **logs)
{
    for (uint32_t index = 0; index < LOGS; index++) {
        pyr_log_close(logs[index]);
    }
}

/* EMB-1 to EMB-3 hold for many journals too: whoever drives, drives all of them. */
TEST(shards, serve_many_threads_from_one_loop)
{
    struct pyr_store *store = store_open(embed_path(case_folder(), "data"), 3, NULL);
    struct pyr_log *logs[LOGS];
    struct pyr_error error = {0};
    logs_open(store, logs);
    embed_append_crowd(logs, LOGS, WRITERS, ROUNDS);

    CHECK_INT(shards_of(store), 3);
    CHECK(strstr(pyr_store_describe(store), ", 3 shards") != NULL);
    for (int index = 0; index < LOGS; index++) {
        struct pyr_log_stat stat;
        CHECK_OK(pyr_log_sync(logs[index], &error), error);
        pyr_log_stat(logs[index], &stat);
        CHECK_INT(stat.offset_durable, WRITERS * ROUNDS);
    }
    logs_close(logs);
    pyr_store_close(store);
}

/* What a program appended it finds again, whatever number of shards it opens the store with. */
TEST(shards, change_from_1_to_3_to_2_and_lose_nothing)
{
    static const uint32_t numbers[] = {1, 3, 2};
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *logs[LOGS];

    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) {
        struct pyr_store *store = store_open(folder, numbers[at], NULL);
        struct pyr_recovery recovery;
        int64_t before = (int64_t)at * RECORDS;
        CHECK_INT(shards_of(store), numbers[at]);
        pyr_store_recovery(store, &recovery);
        CHECK_INT(recovery.partitions, at == 0 ? 0 : LOGS);
        CHECK_INT(recovery.was_clean, at > 0); /* A new store has had no stop. */
        logs_open(store, logs);
        for (int index = 0; index < LOGS; index++) {
            embed_expect_numbered(logs[index], 0, before);
            embed_append_numbered(logs[index], before, RECORDS);
        }
        logs_close(logs);
        pyr_store_close(store);
    }

    struct pyr_store *store = store_open(folder, 0, NULL);
    CHECK_INT(shards_of(store), 2); /* The folder's number wins over the default. */
    logs_open(store, logs);
    for (int index = 0; index < LOGS; index++) {
        embed_expect_numbered(logs[index], 0, INT64_C(3) * RECORDS);
    }
    logs_close(logs);
    pyr_store_close(store);
}

struct victim {
    const char *folder;
};

static void append_and_wait(void *ctx)
{
    const struct victim *victim = ctx;
    struct pyr_store *store = store_open(victim->folder, 2, NULL);
    struct pyr_log *logs[LOGS];
    logs_open(store, logs);
    for (int index = 0; index < LOGS; index++) {
        embed_append_numbered(logs[index], 0, RECORDS);
        struct pyr_error error;
        CHECK_OK(pyr_log_sync(logs[index], &error), error);
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)pause();
}

/* After a kill the journals hold records that no segment has: they are replayed under the old
 * number, and said to have been, although those shards are gone when the open returns. */
TEST(shards, change_after_a_kill_and_report_the_replay)
{
    struct victim victim = {.folder = embed_path(case_folder(), "data")};
    pid_t child = -1;
    char line[16];
    FILE *out = embed_child(append_and_wait, &victim, &child);
    CHECK(fgets(line, sizeof line, out) != NULL);
    CHECK_INT(kill(child, SIGKILL), 0);
    (void)fclose(out);
    (void)embed_reap(child);

    struct pyr_store *store = store_open(victim.folder, 3, NULL);

    struct pyr_recovery recovery;
    struct pyr_log *logs[LOGS];
    pyr_store_recovery(store, &recovery);
    CHECK_INT(recovery.partitions, LOGS);
    CHECK_INT(recovery.records, LOGS * RECORDS);
    CHECK(recovery.bytes_scanned > 0);
    logs_open(store, logs);
    for (int index = 0; index < LOGS; index++) {
        embed_expect_numbered(logs[index], 0, RECORDS);
    }
    logs_close(logs);
    pyr_store_close(store);
}

/* A number that nothing here can open is refused before anything is touched. */
TEST(shards, above_the_limit_are_refused)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_error error = {0};

    struct pyr_store *store = store_open(folder, 65, &error);

    CHECK(!store);
    CHECK_INT(error.code, PYR_ERR_INVALID);
    CHECK(strstr(error.message, "shards: 65 is above 64") != NULL);
    CHECK(access(folder, F_OK) != 0);
}
