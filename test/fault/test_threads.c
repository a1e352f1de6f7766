/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's lock, driver and keeper (EMB-1, EMB-2, EMB-3) with everything at once: appenders of
 * all policies, readers, waits that run out, syncs, deletions and look-ups.
 *
 * Under the thread sanitizer this shows that no data race is left; in any build that nobody waits
 * for ever, and that every appender finds its records where its receipts say.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "pyralog.h"

#include "lib/case.h"

enum {
    APPENDERS = 16,
    LOGS = 4,
    READERS = 4,
    SECONDS = 2,
    DRAINED_MS = 20000,
};

/* What all threads share. */
struct stage {
    struct pyr_store *store;
    struct pyr_log *logs[LOGS];
    atomic_bool is_over;
    atomic_ulong appended;
    atomic_ulong read;
    atomic_ulong timeouts;
    atomic_ulong wrong; /* Things that must not be. */
};

struct actor {
    struct stage *stage;
    int number;
    pthread_t thread;
};

static void hold(struct stage *stage, bool is_right)
{
    if (!is_right) {
        atomic_fetch_add(&stage->wrong, 1);
    }
}

/* The record with @number of appender @actor; the receipt's offset is not known before. */
static struct pyr_record record_of(char value[32], int actor, uint64_t number)
{
    (void)snprintf(value, 32, "%02d:%020llu", actor, (unsigned long long)number);
    return (struct pyr_record){.value = value, .value_bytes = 23};
}

static void *append_body(void *arg)
{
    struct actor *actor = arg;
    struct stage *stage = actor->stage;
    struct pyr_log *log = stage->logs[actor->number % LOGS];
    int64_t last = -1;
    for (uint64_t number = 0; !atomic_load(&stage->is_over); number++) {
        char value[32];
        struct pyr_record record = record_of(value, actor->number, number);
        struct pyr_record pair[2] = {record, record};
        struct pyr_receipt receipt = {0};
        enum pyr_err err = PYR_OK;
        switch (number % 4) {
        case 0:
            err = pyr_log_append_start(log, &record, 1, &receipt, NULL);
            hold(stage, err == PYR_OK);
            err = pyr_log_wait(log, receipt.offset_end, 1, NULL);
            atomic_fetch_add(&stage->timeouts, err == PYR_ERR_TIMEOUT);
            err = err == PYR_ERR_TIMEOUT ? PYR_OK : err;
            break;
        case 1:
            err = pyr_log_append_batch(log, pair, 2, &receipt, NULL);
            break;
        default:
            err = pyr_log_append(log, &record, &receipt, NULL);
            break;
        }
        hold(stage, err == PYR_OK && receipt.offset > last);
        last = receipt.offset;
        atomic_fetch_add(&stage->appended, 1);
    }
    return NULL;
}

/* Read from the end of a log on, with waits that run out; begin again where records were deleted.
 */
static void *read_body(void *arg)
{
    struct actor *actor = arg;
    struct stage *stage = actor->stage;
    struct pyr_log *log = stage->logs[actor->number % LOGS];
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    int64_t next = -1;
    hold(stage, pyr_reader_open(log, PYR_READ_FIRST, &reader, NULL) == PYR_OK);
    while (reader && !atomic_load(&stage->is_over)) {
        enum pyr_err err = pyr_reader_next(reader, 3, &record, NULL);
        if (err == PYR_OK) {
            hold(stage, record.value_bytes == 23 && (next < 0 || record.offset == next));
            next = record.offset + 1;
            atomic_fetch_add(&stage->read, 1);
        } else if (err == PYR_ERR_OUT_OF_RANGE) {
            hold(stage, pyr_reader_seek(reader, PYR_READ_FIRST, NULL) == PYR_OK);
            next = -1;
        } else {
            hold(stage, err == PYR_ERR_TIMEOUT);
            atomic_fetch_add(&stage->timeouts, 1);
        }
    }
    pyr_reader_close(reader);
    return NULL;
}

/* Sync, delete, ask, look up, with pauses. */
static void *tend_body(void *arg)
{
    struct actor *actor = arg;
    struct stage *stage = actor->stage;
    for (uint64_t turn = 0; !atomic_load(&stage->is_over); turn++) {
        struct pyr_log *log = stage->logs[turn % LOGS];
        struct pyr_log_stat stat;
        struct pyr_position position;
        hold(stage, pyr_log_sync(log, NULL) == PYR_OK);
        pyr_log_stat(log, &stat);
        hold(stage, stat.offset_first <= stat.offset_committed);
        hold(stage, stat.offset_committed <= stat.offset_end);
        if (turn % 5 == 0 && stat.offset_committed > 2000) {
            int64_t offset = stat.offset_committed - 2000;
            enum pyr_err err = pyr_log_delete_before(log, offset, NULL);
            hold(stage, err == PYR_OK);
        }
        enum pyr_err err = pyr_log_find_time(log, 1, &position, NULL);
        hold(stage, err == PYR_OK || err == PYR_ERR_OUT_OF_RANGE);
        const struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void stage_open(struct stage *stage)
{
    static const char *const topics[LOGS] = {"always", "batch", "os", "handed"};

    static const enum pyr_sync policies[LOGS] = {PYR_SYNC_ALWAYS, PYR_SYNC_BATCH, PYR_SYNC_OS,
                                                 PYR_SYNC_OS};
    struct pyr_store_options options;
    pyr_store_options_init(&options);
    options.wal_file_bytes = 1 << 20;
    options.cache_max_size = 4 << 20;
    options.max_buffer_time_ms = 50;
    assert_int_equal(pyr_store_open(case_folder(), &options, &stage->store, NULL), PYR_OK);
    for (int index = 0; index < LOGS; index++) {
        struct pyr_log_options log_options;
        pyr_log_options_init(&log_options);
        log_options.sync = policies[index];
        log_options.hand_over_at_once = index == 3;
        log_options.segment_max_size = 128 << 10;
        assert_int_equal(
            pyr_store_log(stage->store, topics[index], 0, &log_options, &stage->logs[index], NULL),
            PYR_OK);
    }
}

/* Everything at once, for two seconds: no race, no wait for ever, no receipt that is not kept. */
TEST(threads, of_all_kinds_share_one_store)
{
    static struct stage stage;
    static struct actor actors[APPENDERS + READERS + 2];
    const int count = APPENDERS + READERS + 2;
    stage_open(&stage);
    for (int index = 0; index < count; index++) {
        void *(*body)(void *) = index < APPENDERS             ? append_body
                                : index < APPENDERS + READERS ? read_body
                                                              : tend_body;
        actors[index] = (struct actor){.stage = &stage, .number = index};
        assert_int_equal(pthread_create(&actors[index].thread, NULL, body, &actors[index]), 0);
    }
    const struct timespec run = {.tv_sec = SECONDS};
    (void)nanosleep(&run, NULL);
    atomic_store(&stage.is_over, true);
    for (int index = 0; index < count; index++) {
        assert_int_equal(pthread_join(actors[index].thread, NULL), 0);
    }

    (void)printf("# %lu appends, %lu records read, %lu waits ran out\n",
                 atomic_load(&stage.appended), atomic_load(&stage.read),
                 atomic_load(&stage.timeouts));
    CHECK_INT(atomic_load(&stage.wrong), 0);
    CHECK(atomic_load(&stage.appended) > 0);
    for (int index = 0; index < LOGS; index++) {
        struct pyr_log_stat stat;
        pyr_log_stat(stage.logs[index], &stat);
        assert_int_equal(pyr_log_wait(stage.logs[index], stat.offset_end, DRAINED_MS, NULL),
                         PYR_OK);
        pyr_log_close(stage.logs[index]);
    }
    pyr_store_close(stage.store);
}
