/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replicated log, driven as a replica does: promises, batches of rising epochs, cuts, while the
 * log flushes, rolls segments and checkpoints; and every crash point of it.
 *
 * This covers partition/promise.c, partition/follow.c and partition/truncate.c.
 *
 * Every operation makes a state: which epoch wrote each offset, and the promise. The journal keeps
 * their order, so what a crash leaves is one of these states, whole, and none older than the last
 * that was told durable: no batch that was cut durably, no promise lost. The promise may be a
 * newer one: a checkpoint has the promise of the moment it is written.
 *
 *      states    s0 s1 s2 s3 s4 s5        told durable: s2     a start may find: s2, s3, s4, s5
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/prng.h"
#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/shard_inner.h"
#include "record/builder.h"
#include "segment/read.h"

enum {
    STATES_MAX = 3000,
    OFFSETS_MAX = 900,
    VALUE_BYTES = 300,
    READ_BYTES = 64 << 10,
    OPERATIONS = 1500,
    IMAGES_DEFAULT = 20000,
};

/* The log after an operation. */
struct state {
    int64_t end;
    int32_t promise;
    uint64_t position; /* Of the journal behind it. */
    int32_t epochs[OFFSETS_MAX];
};

static struct state states[STATES_MAX];
static size_t state_count;
static size_t told[STATES_MAX * 2]; /* At each mark: the state that is durable. */
static size_t made[STATES_MAX * 2]; /* And the newest one. */
static struct shard_life life;
static struct partition *replica;
static uint64_t cuts;

/* -- The log -- */

static enum pyr_err log_open(struct sim_disk *disk, uint64_t seed)
{
    const struct partition_options options = {.policy = PARTITION_POLICY_ALWAYS,
                                              .is_cached = true,
                                              .is_replicated = true,
                                              .id = {.value = {7, 7}},
                                              .segment_bytes = 16 << 10};
    shard_case_init(&life, disk, seed);
    life.mask = 0;
    enum pyr_err err = shard_case_open(&life);
    return err != PYR_OK
               ? err
               : shard_partition_open(life.shard, "replica-0", &options, &replica, &life.error);
}

/* Build the batch of @epoch at @offset in @data; return its bytes. */
static size_t batch_build(uint8_t *data, size_t room, int64_t offset, int32_t epoch)
{
    uint8_t value[VALUE_BYTES];
    memset(value, (int)(offset * 7 + epoch) & 0xff, sizeof value);
    struct record record = {.timestamp = (int64_t)epoch * 100000 + offset,
                            .value = {value, 20 + (size_t)(offset * 37 % 280)}};
    struct builder builder;
    builder_init(&builder, (struct bytes_mut){data, room});
    assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    size_t bytes = builder_seal(&builder, &stamp).count;
    batch_set_offset_and_epoch((struct bytes_mut){data, bytes}, offset, epoch);
    return bytes;
}

/* Hold the batches of @run against @state from *@offset on. */
static bool run_is_of(struct bytes run, const struct state *state, int64_t *offset)
{
    while (run.count > 0) {
        uint8_t expected[1024];
        struct batch_header header;
        if (batch_header_read(run, &header, NULL) != PYR_OK || *offset >= state->end) {
            return false;
        }
        size_t bytes = batch_build(expected, sizeof expected, *offset, state->epochs[*offset]);
        if (header.bytes != bytes || memcmp(expected, run.data, bytes) != 0) {
            return false;
        }
        run = (struct bytes){run.data + bytes, run.count - bytes};
        *offset += 1;
    }
    return true;
}

/* Return whether the open log is @state, byte for byte. */
static bool log_is(const struct state *state)
{
    static uint8_t buffer[READ_BYTES];
    if (replica->offset_end != state->end || replica->epoch < state->promise) {
        return false;
    }
    struct cache_place place = {0};
    int64_t offset = 0;
    bool is_good = partition_commit_to(replica, state->end, &life.error) == PYR_OK;
    while (is_good && offset < state->end) {
        struct partition_view view;
        struct segment_run run = {0};
        assert_int_equal(partition_view_take(replica, offset, &place, &view, &life.error), PYR_OK);
        if (view.kind == PARTITION_VIEW_CACHE) {
            run.data = view.data;
        } else {
            const struct segment_read want = {.offset = offset,
                                              .offset_end = view.offset_end,
                                              .bytes_max = sizeof buffer,
                                              .buffer = {buffer, sizeof buffer}};
            is_good = segment_view_read(&view.segment, &want, &run, &life.error) == PYR_OK;
        }
        is_good = is_good && run.data.count > 0 && run_is_of(run.data, state, &offset);
        partition_view_release(replica, &view);
    }
    return is_good;
}

/* -- The work -- */

static struct state *state_next(void)
{
    assert_true(state_count < STATES_MAX);
    states[state_count] = states[state_count - 1];
    return &states[state_count];
}

static void state_done(enum pyr_err err)
{
    if (err == PYR_OK && replica->position_end > states[state_count - 1].position) {
        states[state_count++].position = replica->position_end;
    }
}

/* Note what is told durable now, and hold it against the states. */
static void mark(size_t *count)
{
    size_t durable = *count > 0 ? told[*count - 1] : 0;
    while (durable + 1 < state_count && states[durable + 1].position <= life.shard->durable_seen) {
        durable++;
    }
    int64_t end = states[durable].end;
    for (size_t at = durable; at < state_count; at++) {
        end = states[at].end < end ? states[at].end : end;
    }
    CHECK_INT(partition_durable_end(replica), end);
    CHECK_INT(partition_promise_durable(replica), states[durable].promise);
    told[*count] = durable;
    made[*count] = state_count - 1;
    sim_record_mark(life.disk, (*count)++);
}

static void operation_follow(void)
{
    struct state *state = state_next();
    uint8_t data[1024];
    size_t taken = 0;
    state->epochs[state->end] = state->promise;
    size_t bytes = batch_build(data, sizeof data, state->end, state->promise);
    state->end++;
    enum pyr_err err =
        partition_follow(replica, (struct bytes){data, bytes}, 0, &taken, &life.error);
    CHECK(err == PYR_OK || err == PYR_ERR_BUSY);
    CHECK_INT(taken, err == PYR_OK ? bytes : 0);
    state_done(err);
}

static void operation_cut(uint64_t back)
{
    struct state *state = state_next();
    state->end = state->end > (int64_t)back ? state->end - (int64_t)back : 0;
    bool is_committed = state->end < replica->offset_committed;
    enum pyr_err err = partition_truncate(replica, state->end, &life.error);
    CHECK(err == PYR_OK ? !is_committed : is_committed || err == PYR_ERR_BUSY);
    cuts += err == PYR_OK;
    state_done(err);
    state = state_next();
    state->promise++;
    state_done(partition_promise(replica, state->promise, &life.error));
}

/* One life: batches, cuts by the next leader, checkpoints and commits, in any order. A commit may
 * come before the own journal has it: the quorum was others. */
static void work(size_t *marks)
{
    struct prng prng = prng_of(11, 1);
    for (uint64_t number = 1; number < OPERATIONS && states[state_count - 1].end < OFFSETS_MAX - 1;
         number++) {
        if (prng_chance(&prng, 1, 10)) {
            operation_cut(1 + prng_below(&prng, 9));
        } else {
            operation_follow();
        }
        if (prng_chance(&prng, 1, 20)) {
            shard_checkpoint_request(life.shard);
        }
        if (prng_chance(&prng, 1, 8)) {
            int64_t committed = prng_between(&prng, replica->offset_committed, replica->offset_end);
            CHECK_INT(partition_commit_to(replica, committed, &life.error), PYR_OK);
        }
        if (prng_chance(&prng, 1, 4)) {
            shard_case_turn(&life);
            CHECK(replica->offset_written <= replica->offset_committed); /* PAR-9 */
            mark(marks);
        }
    }
}

/* -- The images -- */

static bool image_judge(struct sim_disk *image, uint64_t seed, size_t first, size_t last)
{
    if (log_open(image, seed) != PYR_OK) {
        return false;
    }
    bool is_found = false;
    for (size_t at = first; at <= last && !is_found; at++) {
        is_found = log_is(&states[at]);
    }
    if (!is_found && life.error.code == PYR_OK) {
        (void)err_set(&life.error, PYR_ERR_CORRUPT,
                      "end %" PRId64 " and promise %" PRId32 " are of none of states %zu to %zu",
                      replica->offset_end, replica->epoch, first, last);
    }
    return is_found && replica->epoch <= states[last].promise;
}

TEST(crash_log, leaves_a_state_not_older_than_what_was_told_durable)
{
    struct sim_disk *disk = sim_disk_create();
    size_t marks = 0;
    state_count = 1;
    sim_record_start(disk);
    assert_int_equal(log_open(disk, 3), PYR_OK);
    /* So that checkpoints take a while, and cuts and commits come in their middle. */
    const struct sim_fault slow = {.kind = SIM_SYNC,
                                   .name = "replica-0",
                                   .times = UINT64_MAX,
                                   .effect = SIM_SLOW,
                                   .delay_ns = 3000000};
    sim_fault_add(life.sim, &slow);
    mark(&marks);
    work(&marks);
    uint64_t checkpoints = life.shard->checkpoints;
    shard_case_abandon(&life);
    sim_record_stop(disk);
    CHECK(checkpoints > 2);
    CHECK(cuts > 10);

    const char *text = getenv("CRASH_IMAGES");
    uint64_t images = text ? strtoull(text, NULL, 10) : case_scale(IMAGES_DEFAULT);
    size_t events = sim_record_count(disk);
    for (uint64_t number = 0; number < images; number++) {
        size_t event = (size_t)(number * 7919 % events);
        uint64_t at = 0;
        enum sim_crash crash = number % 4 == 0 ? SIM_CRASH_NONE : SIM_CRASH_RANDOM;
        struct sim_disk *image = sim_record_image(disk, event, crash, number, &at);
        size_t last = at + 1 < marks ? made[at + 1] : state_count - 1;
        bool is_good = image_judge(image, number + 1, told[at], last);
        if (!is_good) {
            (void)printf("# image %" PRIu64 ": crash after event %zu of %zu: %s\n", number, event,
                         events, life.error.message);
        }
        CHECK(is_good);
        shard_case_abandon(&life);
        sim_disk_destroy(image);
    }
    (void)printf("# %" PRIu64 " images of %zu events, %" PRIu64 " cuts\n", images, events, cuts);
    sim_disk_destroy(disk);
}

/* -- A cut in the midst of a checkpoint -- */

/* Append a batch of @count records and of @epoch. */
static void follow_batch(int count, int32_t epoch)
{
    uint8_t data[1024];
    struct builder builder;
    builder_init(&builder, (struct bytes_mut){data, sizeof data});
    for (int number = 0; number < count; number++) {
        struct record record = {.timestamp = epoch, .value = {(const uint8_t *)"value", 5}};
        assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
    }
    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    size_t bytes = builder_seal(&builder, &stamp).count;
    size_t taken = 0;
    batch_set_offset_and_epoch((struct bytes_mut){data, bytes}, replica->offset_end, epoch);
    assert_int_equal(partition_follow(replica, (struct bytes){data, bytes}, 0, &taken, NULL),
                     PYR_OK);
}

/* While a checkpoint is prepared, one leader's batches come and are cut where the checkpoint found
 * the log's end, and what comes in their place is committed, written and claimed before the row is:
 *
 *      claim               |0 ........... 10|10 ... epoch 1 ... 20|
 *      journal behind it                    |10 2 15|15 .. 2 .. 25|25 2 30|  cut at 10  |10 ...
 *
 * The batch at 25 follows on nothing that a start has by then, and is no hole. */
TEST(crash_log, opens_where_a_claim_lies_beyond_a_cut)
{
    struct sim_disk *disk = sim_disk_create();
    assert_int_equal(log_open(disk, 5), PYR_OK);
    assert_int_equal(partition_promise(replica, 1, NULL), PYR_OK);
    follow_batch(9, 1);
    follow_batch(1, 1);
    assert_int_equal(partition_commit_to(replica, 9, NULL), PYR_OK);
    const struct sim_fault slow = {.kind = SIM_WRITE,
                                   .name = "replica-0",
                                   .times = UINT64_MAX,
                                   .effect = SIM_SLOW,
                                   .delay_ns = 3000000};
    sim_fault_add(life.sim, &slow);
    shard_checkpoint_request(life.shard);
    for (int turn = 0; turn < 100 && life.shard->checkpoint_state == SHARD_CHECKPOINT_IDLE;
         turn++) {
        shard_case_turn(&life);
    }
    CHECK_INT(life.shard->checkpoint_state, SHARD_CHECKPOINT_FLUSHING);
    CHECK_INT(replica->checkpoint_target, 10);

    assert_int_equal(partition_promise(replica, 2, NULL), PYR_OK);
    follow_batch(5, 2);
    follow_batch(10, 2);
    follow_batch(5, 2);
    assert_int_equal(partition_promise(replica, 3, NULL), PYR_OK);
    assert_int_equal(partition_truncate(replica, 10, NULL), PYR_OK);
    follow_batch(10, 1);
    assert_int_equal(partition_commit_to(replica, 20, NULL), PYR_OK);
    for (int turn = 0; turn < 1000 && life.shard->checkpoints == 0; turn++) {
        shard_case_turn(&life);
    }
    CHECK_INT(life.shard->checkpoints, 1);
    CHECK_INT(replica->offset_synced, 20);
    shard_case_abandon(&life);

    enum pyr_err err = log_open(disk, 6);
    if (err != PYR_OK) {
        (void)printf("# %s\n", life.error.message);
    }
    assert_int_equal(err, PYR_OK);
    CHECK_INT(replica->offset_end, 20);
    CHECK_INT(replica->epoch_last, 1);
    shard_case_abandon(&life);
    sim_disk_destroy(disk);
}
