/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that runs full, at many moments: appends are refused with PYR_ERR_DISK_FULL, reads go on,
 * nothing acknowledged is lost, and appends resume when there is space again.
 *
 * On the simulated disk the space is taken away after every number of blocks; in a real file system
 * (test_full_real.c) once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

enum {
    BLOCKS_MAX = 400,
    ROUNDS = 40,
    RESUME_TRIES = 50,
};

struct tally {
    uint64_t runs;
    uint64_t refused;
    uint64_t full;
    uint64_t fitted;
};

static void acked_note(const struct shard_life *life, int64_t *acked)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        acked[index] = shard_case_acked(life, index);
    }
}

static bool all_right(struct shard_life *life, const int64_t *acked)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        if (life->logs[index]->offset_committed < acked[index] ||
            !shard_case_check(life, index, false)) {
            (void)printf("# log %zu: %s\n", index, life->error.message);
            return false;
        }
    }
    return true;
}

/* Append until the disk is full; returns the first error that is not "busy". */
static enum pyr_err fill(struct shard_life *life)
{
    enum pyr_err err = PYR_OK;
    for (uint64_t round = 0; round < ROUNDS && err == PYR_OK; round++) {
        err = shard_case_append(life, (size_t)(round % SHARD_CASE_LOGS), 1 + (size_t)round % 12);
        shard_case_turn(life);
    }
    return err;
}

/* There is space again: within five seconds of the disk's clock every log takes an append. */
static bool resumes(struct shard_life *life)
{
    for (size_t index = 0; index < SHARD_CASE_LOGS; index++) {
        enum pyr_err err = PYR_ERR_DISK_FULL;
        for (int tries = 0; err == PYR_ERR_DISK_FULL && tries < RESUME_TRIES; tries++) {
            sim_advance(life->sim, 100000000);
            shard_case_turn(life);
            err = shard_case_append(life, index, 2);
        }
        if (err != PYR_OK) {
            (void)printf("# does not resume: %s\n", life->error.message);
            return false;
        }
    }
    return shard_case_settle(life) == PYR_OK;
}

/* Run with space for @blocks more blocks after opening (@is_late) or before. */
static bool run(uint64_t blocks, bool is_late, struct tally *tally)
{
    static struct shard_life life;
    int64_t acked[SHARD_CASE_LOGS] = {0};
    struct sim_disk *disk = sim_disk_create();
    tally->runs++;
    shard_case_init(&life, disk, 7 + blocks);
    if (!is_late) {
        sim_disk_set_space(disk, blocks);
    }
    enum pyr_err err = shard_case_open(&life);
    bool is_good = err == PYR_OK || (!is_late && err == PYR_ERR_DISK_FULL);
    tally->refused += err != PYR_OK;
    if (err == PYR_OK) {
        sim_disk_set_space(disk, is_late ? blocks : UINT64_MAX);
        err = fill(&life);
        tally->full += err == PYR_ERR_DISK_FULL;
        tally->fitted += err == PYR_OK;
        is_good = err == PYR_OK || err == PYR_ERR_DISK_FULL;
        acked_note(&life, acked);
        is_good = is_good && all_right(&life, acked);
        sim_disk_set_space(disk, UINT64_MAX);
        is_good = is_good && resumes(&life) && all_right(&life, acked);
        acked_note(&life, acked);
    }
    if (!is_good) {
        (void)printf("# space for %" PRIu64 " blocks %s opening: error %d: %s\n", blocks,
                     is_late ? "after" : "before", (int)err, life.error.message);
    }
    struct sim_disk *image = sim_disk_crash(disk, SIM_CRASH_RANDOM, blocks);
    shard_case_end(&life);
    sim_disk_destroy(disk);
    sim_disk_set_space(image, UINT64_MAX);
    bool is_back = shard_case_begin(&life, image, 8) == PYR_OK && all_right(&life, acked);
    if (!is_back) {
        (void)printf("# after a crash, %" PRIu64 " blocks: %s\n", blocks, life.error.message);
    }
    shard_case_abandon(&life);
    sim_disk_destroy(image);
    return is_good && is_back;
}

/* A full disk is a state that passes, wherever it begins. */
TEST(full, disk_refuses_appends_and_takes_them_again)
{
    struct tally tally = {0};
    bool is_good = true;
    for (uint64_t blocks = 0; blocks < BLOCKS_MAX; blocks += case_step()) {
        is_good &= run(blocks, true, &tally);
        is_good &= run(blocks, false, &tally);
    }
    (void)printf("# %" PRIu64 " runs: %" PRIu64 " refused to open, %" PRIu64 " full, %" PRIu64
                 " fitted\n",
                 tally.runs, tally.refused, tally.full, tally.fitted);
    CHECK(is_good);
    CHECK(tally.full > 0);
    CHECK(tally.refused > 0);
}

/* Where only the checkpoint finds no space, the journal runs full: appends are refused too, instead
 * of waiting for a file that nothing frees, and go on once the checkpoint can be written. */
TEST(full, disk_without_room_for_a_checkpoint_refuses_appends)
{
    static struct shard_life life;
    int64_t acked[SHARD_CASE_LOGS] = {0};
    struct sim_disk *disk = sim_disk_create();
    assert_int_equal(shard_case_begin(&life, disk, 7), PYR_OK);
    const struct sim_fault fault = {.kind = SIM_WRITE,
                                    .name = "0/checkpoint",
                                    .times = UINT64_MAX,
                                    .effect = SIM_FAIL,
                                    .error = ENOSPC};
    sim_fault_add(life.sim, &fault);

    enum pyr_err err = PYR_OK;
    for (int tries = 0; tries < 10 && err == PYR_OK; tries++) {
        err = fill(&life);
    }

    assert_int_equal(err, PYR_ERR_DISK_FULL);
    acked_note(&life, acked);
    CHECK(all_right(&life, acked));
    sim_faults_clear(life.sim);
    CHECK(resumes(&life));
    CHECK(all_right(&life, acked));
    shard_case_end(&life);
    sim_disk_destroy(disk);
}
