/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/reads, and the barrier of replica.h: one replica of three, and what it is told.
 */
#include "lib/case.h"
#include "quorum/epoch.h"
#include "replication/reads.h"

#define TIMEOUT_NS UINT64_C(1000)

enum { ROWS_MAX = 4, NUMBER = 7, RUN = 70 };

/* B, the second of A, B, C. */
struct reader {
    struct quorum_config config;
    struct epoch_row rows[ROWS_MAX];
    struct replica_effect effects[REPLICA_EFFECTS_MAX];
    struct replica_progress progress[3];
    struct replica replica;
};

static struct reader reader;

static int32_t epoch_at(int32_t round, int32_t node)
{
    return epoch_of(round, (struct node_id){node});
}

/* Ten offsets of 1.1, then five of 2.3. */
static void reader_begin(int64_t committed)
{
    memset(&reader, 0, sizeof reader);
    reader.config.rules =
        (struct quorum_rules){.voter_count = 3, .write_quorum = 2, .read_quorum = 2};
    for (int32_t index = 0; index < 3; index++) {
        reader.config.voters[index] =
            (struct quorum_member){.node = {index + 1}, .storage = {{(uint8_t)(index + 1)}}};
    }
    struct replica_start start = {.self = {.from = reader.config.voters[1], .run = RUN},
                                  .promise = epoch_at(2, 3),
                                  .epochs = {.rows = reader.rows, .count_max = ROWS_MAX},
                                  .committed = committed,
                                  .config = &reader.config,
                                  .timeout_ns = TIMEOUT_NS,
                                  .seed = 1,
                                  .now_ns = TIMEOUT_NS,
                                  .effects = reader.effects,
                                  .progress = reader.progress,
                                  .progress_max = 3};
    epochs_append(&start.epochs, epoch_at(1, 1), 10);
    epochs_append(&start.epochs, epoch_at(2, 3), 15);
    replica_init(&reader.replica, &start);
}

static struct replica_message answer_of(uint64_t run, uint64_t number, struct quorum_position log)
{
    return (struct replica_message){.kind = REPLICA_TAIL_ANSWER,
                                    .as.tail = {.run = run, .number = number, .log = log}};
}

/* The answer of A, which reaches further than anybody. */
static enum reads_state state_after(struct quorum_member from, struct replica_message answer)
{
    struct quorum_read read;
    reads_begin(&read, &reader.replica, NUMBER);
    reads_answer(&read, &reader.replica, &from, &answer);
    return reads_state(&read, &reader.replica);
}

/* -- Quorum reads -- */

TEST(reads, ask_every_voter_but_themselves)
{
    reader_begin(12);
    struct quorum_read read;

    reads_begin(&read, &reader.replica, NUMBER);

    CHECK(reads_asks(&read, &reader.replica, 0));
    CHECK(!reads_asks(&read, &reader.replica, 1));
    CHECK(reads_asks(&read, &reader.replica, 2));
    CHECK_INT(reads_question(&read, &reader.replica).kind, REPLICA_TAIL);
    CHECK_INT(reads_question(&read, &reader.replica).as.tail.number, NUMBER);
    CHECK_INT(reads_state(&read, &reader.replica), READS_ASKING);
}

/* What is committed here, (epoch, end), against the furthest answer (QRD-2). Its own log ends at
 * 2.3:15 and is among them. */
TEST(reads, wait_for_the_furthest_answer)
{
    const struct {
        int64_t committed;
        struct quorum_position answer;
        enum reads_state state;
    } table[] = {
        {12, {epoch_at(2, 3), 12}, READS_WAITING}, /* Its own log is further. */
        {15, {epoch_at(2, 3), 12}, READS_DONE},    /* Nobody has more than is committed. */
        {15, {epoch_at(2, 3), 16}, READS_WAITING}, /* One more record. */
        {15, {epoch_at(1, 1), 99}, READS_DONE},    /* A tail that 2.3 has cut. */
        {15, {epoch_at(3, 1), 11}, READS_WAITING}, /* Shorter, but newer. */
        {15, {EPOCH_NONE, 0}, READS_DONE},         /* It has nothing. */
        {10, {EPOCH_NONE, 0}, READS_WAITING},
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        reader_begin(table[row].committed);
        enum reads_state reached =
            state_after(reader.config.voters[0], answer_of(RUN, NUMBER, table[row].answer));
        CHECK_INT(reached, table[row].state);
    }
}

/* What a voter had before the read began says nothing about what was committed meanwhile. */
TEST(reads, count_answers_to_their_own_question_only)
{
    struct quorum_position level = {epoch_at(2, 3), 15};

    const struct {
        struct replica_message answer;
        enum reads_state state;
    } table[] = {
        {answer_of(RUN, NUMBER, level), READS_DONE},
        {answer_of(RUN, NUMBER - 1, level), READS_ASKING}, /* QRD-1: an earlier read's. */
        {answer_of(RUN - 1, NUMBER, level), READS_ASKING}, /* Of an earlier run of this process. */
        {answer_of(RUN, NUMBER, (struct quorum_position){EPOCH_NONE, -1}), READS_ASKING},
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        reader_begin(15);
        CHECK_INT(state_after(reader.config.voters[0], table[row].answer), table[row].state);
    }
}

TEST(reads, count_voters_only_and_each_once)
{
    reader_begin(15);
    struct replica_message answer =
        answer_of(RUN, NUMBER, (struct quorum_position){epoch_at(2, 3), 15});
    struct quorum_member other_disk = reader.config.voters[0];
    other_disk.storage.value[0] = 99;
    struct quorum_member stranger = {.node = {9}, .storage = {{9}}};

    CHECK_INT(state_after(other_disk, answer), READS_ASKING);
    CHECK_INT(state_after(stranger, answer), READS_ASKING);
    CHECK_INT(state_after(reader.config.voters[1], answer), READS_ASKING); /* Itself, once more. */
    CHECK_INT(state_after(reader.config.voters[2], answer), READS_DONE);
}

/* In every role: a follower here. */
TEST(reads, are_answered_with_the_end_of_the_log)
{
    reader_begin(12);
    struct replica_envelope envelope = {.from = reader.config.voters[2], .run = 33};
    struct replica_message question = {.kind = REPLICA_TAIL, .as.tail = {.number = 5}};

    replica_step(&reader.replica, &(struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                                          .now_ns = TIMEOUT_NS,
                                                          .from = &envelope,
                                                          .message = &question});

    CHECK_INT(reader.replica.effect_count, 1);
    const struct replica_effect *effect = &reader.effects[0];
    CHECK_INT(effect->kind, REPLICA_EFFECT_SEND);
    CHECK_INT(effect->member, 2);
    CHECK_INT(effect->message.kind, REPLICA_TAIL_ANSWER);
    CHECK_INT(effect->message.promise, epoch_at(2, 3));
    CHECK_INT(effect->message.as.tail.run, 33);
    CHECK_INT(effect->message.as.tail.number, 5);
    CHECK_INT(effect->message.as.tail.log.epoch, epoch_at(2, 3));
    CHECK_INT(effect->message.as.tail.log.end, 15);
}

/* The reader's configuration is of old, and R of it meet no write quorum of the newer one. */
TEST(reads, wait_for_a_configuration_that_an_answer_knows)
{
    reader_begin(15);
    struct replica_message answer =
        answer_of(RUN, NUMBER, (struct quorum_position){epoch_at(2, 3), 15});
    answer.config_end = 15;

    CHECK_INT(state_after(reader.config.voters[0], answer), READS_ASKING); /* QRD-3 */
    reader.replica.config_end = 15;
    CHECK_INT(state_after(reader.config.voters[0], answer), READS_DONE);
}

TEST(reads, begin_anew_when_the_configuration_changes)
{
    reader_begin(15);
    struct quorum_read read;
    reads_begin(&read, &reader.replica, NUMBER);

    reader.replica.configured++;

    CHECK_INT(reads_state(&read, &reader.replica), READS_AGAIN);
    CHECK(!reads_asks(&read, &reader.replica, 0));
}

/* -- The barrier -- */

/* A read began at 100. The leader is B; its opening batch is the one at 14. */
TEST(barrier, holds_by_rounds_sent_after_the_read_began)
{
    const struct {
        enum replica_role role;
        int64_t committed;
        uint64_t confirmed_ns[3];
        bool holds;
    } table[] = {
        {REPLICA_LEADER, 15, {101, 0, 0}, true},      /* With itself, two of three. */
        {REPLICA_LEADER, 15, {0, 0, 101}, true},      /* Whosever. */
        {REPLICA_LEADER, 15, {0, 0, 0}, false},       /* Itself alone. */
        {REPLICA_LEADER, 15, {99, 0, 99}, false},     /* RPL-8: confirmed, but before. */
        {REPLICA_LEADER, 15, {100, 0, 50}, false},    /* Sent at that very time: perhaps before. */
        {REPLICA_LEADER, 14, {101, 0, 101}, false},   /* It does not know what is committed. */
        {REPLICA_FOLLOWER, 15, {101, 0, 101}, false}, /* No more. */
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        reader_begin(table[row].committed);
        reader.replica.role = table[row].role;
        reader.replica.opening = 14;
        memcpy(reader.replica.confirmed_ns, table[row].confirmed_ns,
               sizeof table[row].confirmed_ns);
        CHECK_INT(replica_barrier_holds(&reader.replica, 100), table[row].holds);
    }
}

/* It is about what was, not about what may come: unlike the lease. */
TEST(barrier, holds_while_a_leader_hands_over)
{
    reader_begin(15);
    reader.replica.role = REPLICA_LEADER;
    reader.replica.opening = 14;
    reader.replica.has_handed_over = true;
    reader.replica.confirmed_ns[0] = 101;

    CHECK(replica_barrier_holds(&reader.replica, 100));
    CHECK(!replica_lease_holds(&reader.replica, 102));
}
