/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/epochs, held against logs that are plain arrays of epochs, one for each offset.
 *
 * The logs are made as leaders make them: each takes a log of those before it up to a batch's end,
 * and goes on under an epoch of its own. Two logs are then alike as far as their epochs are
 * (EPT-2).
 */
#include "base/prng.h"
#include "lib/case.h"
#include "replication/epochs.h"

enum { LOG_OFFSETS_MAX = 64, LOGS = 6, ROUNDS = 20000 };

/* A log, and the slow truth about it. */
struct drawn {
    int32_t epochs[LOG_OFFSETS_MAX];
    struct epoch_row rows[LOG_OFFSETS_MAX];
    struct epoch_table table;
};

static void drawn_append(struct drawn *log, int32_t epoch, int64_t count)
{
    int64_t begin = log->table.offset_end;
    int64_t end = begin + count < LOG_OFFSETS_MAX ? begin + count : LOG_OFFSETS_MAX;
    for (int64_t offset = begin; offset < end; offset++) {
        log->epochs[offset] = epoch;
    }
    if (end > begin) {
        epochs_append(&log->table, epoch, end);
    }
}

/* Fill @logs as six leaders, one after the other, would leave them. */
static void draw(struct prng *prng, struct drawn logs[LOGS])
{
    for (int index = 0; index < LOGS; index++) {
        struct drawn *log = &logs[index];
        memset(log, 0, sizeof *log);
        if (index > 0) {
            *log = logs[prng_below(prng, (uint64_t)index)];
        }
        log->table.rows = log->rows;
        log->table.count_max = LOG_OFFSETS_MAX;
        epochs_truncate(&log->table,
                        (int64_t)prng_below(prng, (uint64_t)log->table.offset_end + 1));
        int32_t epoch = 10 * (index + 1);
        for (uint64_t batch = prng_below(prng, 4); batch > 0; batch--) {
            drawn_append(log, epoch, 1 + (int64_t)prng_below(prng, 5));
        }
    }
}

static int64_t alike(const struct drawn *one, const struct drawn *other)
{
    int64_t offset = 0;
    while (offset < one->table.offset_end && offset < other->table.offset_end &&
           one->epochs[offset] == other->epochs[offset]) {
        offset++;
    }
    return offset;
}

static bool holds(const struct epoch_table *table, int64_t offset_end, int32_t epoch)
{
    return offset_end <= table->offset_end && epochs_before(table, offset_end) == epoch;
}

static void check_offsets(const struct drawn *log)
{
    CHECK_INT(epochs_before(&log->table, 0), EPOCH_NONE);
    CHECK_INT(epochs_before(&log->table, log->table.offset_end + 1), EPOCH_NONE);
    for (int64_t end = 1; end <= log->table.offset_end; end++) {
        CHECK_INT(epochs_before(&log->table, end), log->epochs[end - 1]);
    }
}

TEST(epochs, know_the_epoch_of_every_offset)
{
    struct prng prng = prng_of(1, 1);
    struct drawn logs[LOGS];
    for (int round = 0; round < ROUNDS / 10; round++) {
        draw(&prng, logs);
        check_offsets(&logs[prng_below(&prng, LOGS)]);
    }
}

static void check_end_of(const struct drawn *log, int32_t epoch)
{
    int64_t end = log->table.offset_end;
    while (end > 0 && log->epochs[end - 1] > epoch) {
        end--;
    }
    struct quorum_position found = epochs_end_of(&log->table, epoch);
    CHECK_INT(found.end, end);
    CHECK_INT(found.epoch, end > 0 ? log->epochs[end - 1] : EPOCH_NONE);
}

TEST(epochs, say_where_an_epoch_ends)
{
    struct prng prng = prng_of(2, 1);
    struct drawn logs[LOGS];
    for (int round = 0; round < ROUNDS / 10; round++) {
        draw(&prng, logs);
        for (int32_t epoch = 5; epoch <= 10 * LOGS + 5; epoch += 5) {
            check_end_of(&logs[LOGS - 1], epoch);
        }
    }
}

/* What a leader and a follower say to each other until an append would be taken. */
TEST(epochs, lead_to_the_fork_in_few_steps)
{
    struct prng prng = prng_of(3, 1);
    struct drawn logs[LOGS];
    uint64_t steps_sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        draw(&prng, logs);
        const struct drawn *leader = &logs[prng_below(&prng, LOGS)];
        const struct drawn *follower = &logs[prng_below(&prng, LOGS)];
        int64_t tried = leader->table.offset_end;
        uint32_t steps = 0;
        while (!holds(&follower->table, tried, epochs_before(&leader->table, tried))) {
            int32_t asked = epochs_before(&leader->table, tried);
            struct quorum_position theirs = epochs_end_of(&follower->table, asked);
            int64_t next = epochs_fork(&leader->table, theirs, tried);
            CHECK(next < tried);
            tried = next;
            steps++;
        }
        CHECK_INT(tried, alike(leader, follower));
        CHECK(steps <= leader->table.count);
        steps_sum += steps;
    }
    CHECK(steps_sum < (uint64_t)ROUNDS * 2);
}

TEST(epochs, keep_the_epoch_before_the_log_start)
{
    struct prng prng = prng_of(4, 1);
    struct drawn logs[LOGS];
    for (int round = 0; round < ROUNDS / 10; round++) {
        draw(&prng, logs);
        struct drawn *log = &logs[LOGS - 1];
        int64_t start = (int64_t)prng_below(&prng, (uint64_t)log->table.offset_end + 1);
        epochs_forget(&log->table, start);
        for (int64_t end = start > 0 ? start : 1; end <= log->table.offset_end; end++) {
            CHECK_INT(epochs_before(&log->table, end), log->epochs[end - 1]);
        }
        CHECK(log->table.count < 2 || log->table.rows[1].offset_start >= start);
    }
}

TEST(epochs, step_back_at_a_nonsense_answer)
{
    struct epoch_row rows[4];
    struct epoch_table table = {.rows = rows, .count_max = 4};
    epochs_append(&table, 7, 10);
    epochs_append(&table, 9, 20);
    CHECK_INT(epochs_fork(&table, (struct quorum_position){9, 25}, 20), 10);
    CHECK_INT(epochs_fork(&table, (struct quorum_position){7, 15}, 10), 0);
}

static void append_below(void *ctx)
{
    epochs_append(ctx, 8, 30);
}

TEST(epochs, never_fall)
{
    struct epoch_row rows[4];
    struct epoch_table table = {.rows = rows, .count_max = 4};
    epochs_append(&table, 9, 20);
    EXPECT_ABORT(append_below, &table); /* EPT-1 */
}
