/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every crash point of a workload that rolls segments, recycles journal files, checkpoints, removes
 * and reopens: from each image that a power cut could leave, the shard must come back with
 * everything that was acknowledged, nothing else, and go on.
 *
 * The number of images is CRASH_IMAGES from the environment (the default is the suite's); each
 * event of the workload is cut equally often, with random subsets of the unflushed sectors and
 * names surviving.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "fault/shard_case.h"
#include "lib/case.h"

enum {
    ROUNDS = 60,
    IMAGES_DEFAULT = 5000,
    IMAGES_AT_EVENT_MIN = 1,
};

/* What was acknowledged in each log, 21 bits each, as the mark of a recorded event. */
static uint64_t mark_pack(const struct shard_life *life)
{
    uint64_t mark = 0;
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        uint64_t acked = (uint64_t)life->logs[index]->offset_durable;
        ASSERT(acked < (1 << 21));
        mark |= acked << (21 * index);
    }
    return mark;
}

static int64_t mark_of(uint64_t mark, size_t index)
{
    return (int64_t)((mark >> (21 * index)) & ((1 << 21) - 1));
}

/* Record a workload on @disk: appends of all sizes on three logs, deletions, a clean stop and a
 * second life. */
static void workload_record(struct sim_disk *disk)
{
    struct shard_life life;
    sim_record_start(disk);
    sim_record_mark(disk, 0);
    for (int part = 0; part < 2; part++) {
        assert_int_equal(shard_case_begin(&life, disk, 11 + (uint64_t)part), PYR_OK);
        for (uint64_t round = 0; round < ROUNDS; round++) {
            size_t index = (size_t)(round * 7 % 5) % SHARD_CASE_LOGS;
            size_t count = 1 + (size_t)(round * round % 13);
            assert_int_equal(shard_case_append(&life, index, count), PYR_OK);
            shard_case_turn(&life);
            sim_record_mark(disk, mark_pack(&life));
            if (round % 20 == 19) {
                struct partition *log = life.logs[round % SHARD_CASE_LOGS];
                assert_int_equal(shard_case_settle(&life), PYR_OK);
                sim_record_mark(disk, mark_pack(&life));
                int64_t half = (log->offset_start + log->offset_committed) / 2;
                assert_int_equal(partition_delete_before(log, half, &life.error), PYR_OK);
            }
        }
        assert_int_equal(shard_case_settle(&life), PYR_OK);
        sim_record_mark(disk, mark_pack(&life));
        shard_case_end(&life);
    }
    sim_record_stop(disk);
}

/* Open the shard on @image and hold it against what was acknowledged. Returns false with a
 * sentence. */
static bool image_judge(struct sim_disk *image,
                        uint64_t mark,
                        uint64_t seed,
                        struct pyr_error *error)
{
    struct shard_life life;
    enum pyr_err err = shard_case_begin(&life, image, seed);
    bool is_good = err == PYR_OK;
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        int64_t acked = mark_of(mark, index);
        if (life.logs[index]->offset_committed < acked) {
            (void)err_set(&life.error, PYR_ERR_CORRUPT,
                          "log %zu: %" PRId64 " was acknowledged, and the log ends at %" PRId64
                          "; %" PRIu64 " batches replayed; cut: %s",
                          index, acked, life.logs[index]->offset_committed, life.report.batches,
                          life.report.cut_reason);
            is_good = false;
        }
        is_good = is_good && shard_case_check(&life, index, false);
        is_good = is_good && shard_case_append(&life, index, 3) == PYR_OK;
    }
    is_good = is_good && shard_case_settle(&life) == PYR_OK;
    for (size_t index = 0; is_good && index < SHARD_CASE_LOGS; index++) {
        is_good = shard_case_check(&life, index, false);
    }
    *error = life.error;
    if (is_good) {
        shard_case_end(&life);
    } else {
        shard_case_abandon(&life);
    }
    return is_good;
}

static size_t images_wanted(void)
{
    const char *text = getenv("CRASH_IMAGES");
    return text ? (size_t)strtoull(text, NULL, 10) : IMAGES_DEFAULT;
}

/* A power cut at any moment loses nothing that was acknowledged, and invents nothing. */
TEST(crash, at_every_point_loses_nothing_acknowledged)
{
    struct sim_disk *disk = sim_disk_create();
    workload_record(disk);
    size_t events = sim_record_count(disk);
    size_t images = images_wanted();
    CHECK(events > 200);

    size_t first = getenv("CRASH_FIRST") ? (size_t)strtoull(getenv("CRASH_FIRST"), NULL, 10) : 0;
    for (size_t number = first; number < images; number++) {
        size_t event = number % events;
        uint64_t seed = number / events;
        uint64_t mark = 0;
        enum sim_crash how = seed == 0   ? SIM_CRASH_NONE
                             : seed == 1 ? SIM_CRASH_ALL
                                         : SIM_CRASH_RANDOM;
        struct sim_disk *image = sim_record_image(disk, event, how, seed, &mark);
        struct pyr_error error;
        bool is_good = image_judge(image, mark, 1 + number, &error);
        if (!is_good) {
            for (size_t at = 0; getenv("CRASH_EVENTS") && at <= event + 2 && at < events; at++) {
                (void)printf("#   %zu %s\n", at, sim_record_text(disk, at));
            }
            (void)printf("# image %zu: crash after event %zu of %zu (%s), seed %" PRIu64 ": %s\n",
                         number, event, events, sim_record_text(disk, event), seed, error.message);
        }
        CHECK(is_good);
        sim_disk_destroy(image);
    }
    (void)printf("# %zu images of %zu events\n", images, events);
    sim_disk_destroy(disk);
}
