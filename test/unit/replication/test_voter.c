/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/voter: one replica of three, asked for its vote.
 */
#include "lib/case.h"
#include "quorum/epoch.h"
#include "replication/replica.h"

#define TIMEOUT_NS UINT64_C(1000)

/* B, the second of A, B, C. Its log is 10 offsets of epoch 1.1. */
struct voter {
    struct quorum_config config;
    struct epoch_row rows[8];
    struct replica_effect effects[REPLICA_EFFECTS_MAX];
    struct replica_progress progress[3];
    struct replica replica;
};

static int32_t epoch_at(int32_t round, int32_t node)
{
    return epoch_of(round, (struct node_id){node});
}

static void voter_begin(struct voter *voter)
{
    memset(voter, 0, sizeof *voter);
    voter->config.rules =
        (struct quorum_rules){.voter_count = 3, .write_quorum = 2, .read_quorum = 2};
    for (int32_t index = 0; index < 3; index++) {
        voter->config.voters[index] =
            (struct quorum_member){.node = {index + 1}, .storage = {{(uint8_t)(index + 1)}}};
    }
    struct replica_start start = {.self.from = voter->config.voters[1],
                                  .promise = epoch_at(1, 1),
                                  .epochs = {.rows = voter->rows, .count_max = 8},
                                  .config = &voter->config,
                                  .timeout_ns = TIMEOUT_NS,
                                  .seed = 1,
                                  .now_ns = TIMEOUT_NS,
                                  .effects = voter->effects,
                                  .progress = voter->progress,
                                  .progress_max = 3};
    epochs_append(&start.epochs, epoch_at(1, 1), 10);
    replica_init(&voter->replica, &start);
}

/* Who (0: A) asks for what, in which epoch, with a log up to where, and when. */
struct asked {
    enum replica_message_kind kind;
    int32_t from;
    int32_t epoch;
    struct quorum_position log;
    int32_t handed_over;
    uint64_t now_ns;
};

static void ask(struct voter *voter, struct asked asked)
{
    struct replica_envelope envelope = {.from = voter->config.voters[asked.from]};
    struct replica_message message = {
        .kind = asked.kind,
        .epoch = asked.epoch,
        .as.candidacy = {.log = asked.log, .handed_over = asked.handed_over}};
    replica_step(&voter->replica, &(struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                                          .now_ns = asked.now_ns,
                                                          .from = &envelope,
                                                          .message = &message});
}

static void durable(struct voter *voter, int32_t promise)
{
    replica_step(&voter->replica, &(struct replica_event){.kind = REPLICA_EVENT_DURABLE,
                                                          .now_ns = 3 * TIMEOUT_NS,
                                                          .offset_end = 10,
                                                          .epoch = promise});
}

static uint32_t effects_of(const struct voter *voter, enum replica_effect_kind kind)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < voter->replica.effect_count; index++) {
        count += voter->replica.effects[index].kind == kind;
    }
    return count;
}

/* The only answer of the last step. */
static bool is_granted(const struct voter *voter)
{
    for (uint32_t index = 0; index < voter->replica.effect_count; index++) {
        const struct replica_effect *effect = &voter->replica.effects[index];
        if (effect->kind == REPLICA_EFFECT_SEND) {
            return effect->message.as.ballot.is_granted;
        }
    }
    fail_msg("there is no answer");
    return false;
}

TEST(voter, answers_only_when_its_promise_is_durable)
{
    static struct voter voter;
    voter_begin(&voter);
    struct quorum_position level = {epoch_at(1, 1), 10};

    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS});

    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_PROMISE), 1);
    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_SEND), 0); /* RPL-2 */
    durable(&voter, epoch_at(1, 1));
    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_SEND), 0);
    durable(&voter, epoch_at(2, 3));
    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_SEND), 1);
    CHECK(is_granted(&voter));
}

TEST(voter, repeats_a_grant_that_may_have_been_lost)
{
    static struct voter voter;
    voter_begin(&voter);
    struct quorum_position level = {epoch_at(1, 1), 10};
    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS});
    durable(&voter, epoch_at(2, 3));

    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS});

    CHECK(is_granted(&voter));
    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_PROMISE), 0);
}

TEST(voter, grants_nothing_within_a_timeout_of_its_start)
{
    static struct voter voter;
    voter_begin(&voter);
    struct quorum_position level = {epoch_at(1, 1), 10};

    ask(&voter,
        (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS - 1});

    CHECK(!is_granted(&voter)); /* RPL-7 */
    CHECK_INT(voter.replica.promise, epoch_at(1, 1));
    ask(&voter,
        (struct asked){REPLICA_PREVOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS - 1});
    CHECK(!is_granted(&voter));
    ask(&voter,
        (struct asked){REPLICA_PREVOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS});
    CHECK(is_granted(&voter));
    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_PROMISE), 0); /* A pre-vote promises nothing. */
}

TEST(voter, is_free_when_the_leader_it_follows_hands_over)
{
    static struct voter voter;
    voter_begin(&voter);
    struct quorum_position level = {epoch_at(1, 1), 10};
    uint64_t bound_ns = TIMEOUT_NS + 1;

    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, epoch_at(1, 2), bound_ns});
    CHECK(!is_granted(&voter)); /* Of some other leader. */
    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, epoch_at(1, 1), bound_ns});

    CHECK_INT(effects_of(&voter, REPLICA_EFFECT_PROMISE), 1);
}

TEST(voter, compares_the_last_epoch_before_the_length)
{
    static const struct {
        struct quorum_position log;
        bool is_granted;
    } table[] = {
        {{1025, 10}, true}, {{1025, 9}, false}, {{1025, 11}, true},
        {{2049, 3}, true},  {{0, 0}, false},
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        static struct voter voter;
        voter_begin(&voter);
        ask(&voter, (struct asked){REPLICA_PREVOTE, 2, epoch_at(3, 3), table[row].log, EPOCH_NONE,
                                   2 * TIMEOUT_NS});
        CHECK_INT(is_granted(&voter), table[row].is_granted);
    }
}

TEST(voter, takes_nothing_from_strangers_or_in_anothers_name)
{
    static struct voter voter;
    voter_begin(&voter);
    struct quorum_position level = {epoch_at(1, 1), 10};

    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 1), level, EPOCH_NONE, 2 * TIMEOUT_NS});
    CHECK_INT(voter.replica.effect_count, 0); /* C stands for an epoch of A. */
    voter.config.voters[2].storage.value[0] = 99;
    ask(&voter, (struct asked){REPLICA_VOTE, 2, epoch_at(2, 3), level, EPOCH_NONE, 2 * TIMEOUT_NS});
    CHECK_INT(voter.replica.effect_count, 0); /* C, but with another disk. */
}

/* One wild number, in the epoch or in the promise that each message tells besides, must not use up
 * the epochs of all: a candidate could go above it never again. */
TEST(voter, takes_no_message_with_a_wild_promise)
{
    static struct voter voter;
    voter_begin(&voter);
    struct replica_envelope envelope = {.from = voter.config.voters[2]};
    struct replica_message message = {.kind = REPLICA_PREVOTE_ANSWER,
                                      .epoch = epoch_at(2, 2),
                                      .promise = INT32_MAX};

    replica_step(&voter.replica, &(struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                                         .now_ns = 2 * TIMEOUT_NS,
                                                         .from = &envelope,
                                                         .message = &message});

    CHECK(voter.replica.epoch_seen < INT32_MAX);
}

/* A sign of life makes a follower patient, so nobody gives one in another's name. */
TEST(voter, believes_a_sign_of_life_of_the_leader_only)
{
    static struct voter voter;
    voter_begin(&voter);
    struct replica_event live = {.kind = REPLICA_EVENT_LIVE,
                                 .now_ns = 2 * TIMEOUT_NS,
                                 .member = 2,
                                 .epoch = epoch_at(2, 1)}; /* C tells of A's. */

    replica_step(&voter.replica, &live);
    CHECK_INT(voter.replica.promise, epoch_at(1, 1));
    live.member = 0;
    replica_step(&voter.replica, &live);
    CHECK_INT(voter.replica.promise, epoch_at(2, 1));
}
