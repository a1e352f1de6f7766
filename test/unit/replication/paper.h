/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/paper - a cluster on paper: the core of each replica is real, all else is an array.
 *
 * A record is one number. A node has a log in memory and an image of what would survive a crash;
 * between them stands its journal, a queue of things done that become durable in their order. The
 * network is a bag of messages, of which any may be taken next, twice or never. One seed decides
 * all of it. What the protocol promises is checked as it happens:
 *
 *   - an offset that was committed anywhere holds the same record everywhere it is committed
 *   - whoever opens an epoch has all that was committed, and nobody else opened it
 *   - at a leader's commit, W voters of each configuration have the record in their images
 *   - no replica is ever told to cut what is committed
 *   - while a lease holds, nobody else opens an epoch
 *   - a read, by lease, barrier or quorum, has all that was committed anywhere when it began
 *
 * A violation ends the test with the seed, and the history of the last steps.
 */
#ifndef REPLICATION_PAPER_H
#define REPLICATION_PAPER_H

#include "base/prng.h"
#include "replication/reads.h"

#define PAPER_TIMEOUT_NS UINT64_C(1000000)

enum {
    PAPER_NODES_MAX = 5,
    PAPER_OFFSETS_MAX = 512,
    PAPER_MESSAGES_MAX = 512,
    PAPER_OPS_MAX = 512,
    PAPER_BATCH_MAX = 4,
    PAPER_EPOCHS_MAX = 128,
    PAPER_TOLD_MAX = 64,
    PAPER_READS_MAX = 8,
    PAPER_CONFIGS_MAX = 256,
    PAPER_CONFIG_VALUE = 1000000, /* A record with this value or more is a configuration. */
};

/* What may happen, each in so many of a thousand steps; what is left is delivery of messages. */
struct paper_weights {
    uint32_t time;
    uint32_t propose;
    uint32_t flush;
    uint32_t restart; /* Of a node that is down. */
    uint32_t lose;
    uint32_t repeat;
    uint32_t crash;
    uint32_t crash_promise; /* Of a node that has just promised. */
    uint32_t crash_leader;
    uint32_t cut; /* A link, one way. */
    uint32_t heal;
    uint32_t hand_over;
    uint32_t read;
    uint32_t change;
};

/* What has happened. */
struct paper_counts {
    uint64_t steps;
    uint64_t commits; /* Records, once each. */
    uint64_t openings;
    uint64_t truncations;
    uint64_t crashes;
    uint64_t rivals;   /* Openings while some other believed itself the leader. */
    uint64_t leases;   /* Times that a leader looked, and held one. */
    uint64_t reads;    /* That were answered, */
    uint64_t barriers; /* and of them through a barrier. */
    uint64_t changes;  /* Of members that were begun, */
    uint64_t changes_ended;
    uint64_t stops;
};

struct paper_record {
    int32_t epoch;
    uint32_t value;
};

struct paper_log {
    struct paper_record records[PAPER_OFFSETS_MAX];
    int64_t offset_end;
    int32_t promise;
};

enum paper_op_kind { PAPER_OP_PROMISE, PAPER_OP_TRUNCATE, PAPER_OP_APPEND };

/* One entry of a journal. */
struct paper_op {
    enum paper_op_kind kind;
    int64_t offset;
    struct paper_record record;
};

struct paper_node {
    struct replica replica;
    struct epoch_row rows[PAPER_OFFSETS_MAX];
    struct replica_progress progress[PAPER_NODES_MAX];
    struct paper_log log;
    struct paper_log image;
    struct paper_op ops[PAPER_OPS_MAX];
    uint32_t op_count;
    int32_t config_index; /* That the core goes by, */
    int64_t config_end;   /* and where it ends in the log. */
    bool is_up;
    uint64_t starts;
};

enum paper_kind { PAPER_MESSAGE, PAPER_LIVE, PAPER_CONFIRM };

struct paper_message {
    enum paper_kind kind;
    uint64_t number; /* In the order of sending. */
    int32_t from;
    int32_t to;
    struct replica_envelope envelope;
    struct replica_message message;
    struct paper_record records[PAPER_BATCH_MAX];
    int32_t epoch;
    int64_t committed;
    uint64_t sent_ns;
};

/* A configuration that was written: a joint one leads to `next`. */
struct paper_config {
    struct quorum_config config;
    struct quorum_config next;
    bool is_joint;
};

/* A read that was begun. */
struct paper_read {
    int32_t number; /* Of the node. */
    bool is_barrier;
    uint64_t since_ns;
    struct quorum_read quorum;
    int64_t floor; /* What was committed anywhere at its begin. */
};

/* A step that follows from another. */
struct paper_told {
    int32_t number;
    int32_t peer; /* SENT: to which node. */
    struct replica_event event;
};

struct paper {
    uint64_t seed;
    struct prng prng;
    struct paper_config configs[PAPER_CONFIGS_MAX]; /* The first is that of the begin. */
    uint32_t config_count;
    struct paper_weights weights;
    struct paper_counts counts;
    int32_t node_count;
    struct paper_node nodes[PAPER_NODES_MAX];
    struct replica_effect effects[REPLICA_EFFECTS_MAX];
    bool cuts[PAPER_NODES_MAX][PAPER_NODES_MAX];
    struct paper_message messages[PAPER_MESSAGES_MAX];
    uint32_t message_count;
    uint64_t message_last;
    struct paper_read reads[PAPER_READS_MAX];
    uint32_t read_count;
    uint64_t read_last;
    struct paper_told told[PAPER_TOLD_MAX];
    uint32_t told_count;
    uint64_t now_ns;
    uint32_t value_last;
    struct paper_record committed[PAPER_OFFSETS_MAX];
    bool is_committed[PAPER_OFFSETS_MAX];
    int64_t committed_end;
    int32_t epochs_opened[PAPER_EPOCHS_MAX];
    uint32_t epoch_count;
    bool is_settling;
    bool is_scripted;      /* Nothing is drawn that a reader would have to guess. */
    const char *violation; /* NULL: none. */
};

/** Set up a cluster of blank nodes, all up: the voters of @rules. */
void paper_begin(struct paper *paper, uint64_t seed, const struct quorum_rules *rules);

/** Likewise with @learner_count learners behind them. */
void paper_begin_with(struct paper *paper,
                      uint64_t seed,
                      const struct quorum_rules *rules,
                      int32_t learner_count);

/** Add @count nodes that are in no configuration yet. */
void paper_spare(struct paper *paper, int32_t count);

/* -- What can happen -- */

/** Tell node @number @event, and all nodes what follows from it. @message: whose batches it takes,
 * or NULL. */
void paper_tell(struct paper *paper,
                int32_t number,
                struct replica_event event,
                const struct paper_message *message);

/** Start node @number, which is down, from its image. */
void paper_start(struct paper *paper, int32_t number);

/** Let node @number fall, when the first @op_count entries of its journal had got to its image. */
void paper_crash(struct paper *paper, int32_t number, uint32_t op_count);

/** Let the first @op_count entries of node @number's journal become durable, and tell it. */
void paper_flush(struct paper *paper, int32_t number, uint32_t op_count);

/** Deliver message @index, which stays in the bag if it @is_kept. */
void paper_deliver(struct paper *paper, uint64_t index, bool is_kept);

/** Let node @number, which leads, tell everybody that it is alive. */
void paper_beat(struct paper *paper, int32_t number);

/** Let node @number begin a change of members to @next. False: it may not. */
bool paper_change(struct paper *paper, int32_t number, const struct quorum_config *next);

/** Begin a read at node @number, which is up: through a barrier or by a quorum. */
void paper_read_begin(struct paper *paper, int32_t number, bool is_barrier);

/** Propose a record to node @number. False: it is not taken. */
bool paper_propose(struct paper *paper, int32_t number);

/* -- For the files of the paper -- */

/** Return who node @number is. */
struct quorum_member paper_member(int32_t number);

/** Append @record to the log of node @number. */
void paper_append(struct paper *paper, int32_t number, struct paper_record record);

/** Return the newest configuration of @records up to @end, and where its record ends. */
int32_t paper_config_newest(const struct paper_record *records, int64_t end, int64_t *ret_end);

/** Find out whether the newest configuration of node @number has changed, and what to tell it. */
bool paper_config_event(struct paper *paper, int32_t number, struct replica_event *ret_event);

/** Append the final configuration at node @number. False: there is no room. */
bool paper_change_end(struct paper *paper, int32_t number);

/** Return the newest configuration that was committed anywhere. */
const struct paper_config *paper_config_committed(const struct paper *paper);

/** Return whether node @number votes or learns in @config. */
bool paper_is_peer(const struct quorum_config *config, int32_t number);

/** Draw a configuration with the voters that node @number knows, and other learners. */
void paper_config_draw_learners(struct paper *paper,
                                int32_t number,
                                struct quorum_config *ret_config);

/** Draw a configuration of the nodes that there are. */
void paper_config_draw(struct paper *paper, struct quorum_config *ret_config);

/** Put a message into the bag. */
struct paper_message *paper_post(struct paper *paper,
                                 enum paper_kind kind,
                                 int32_t from,
                                 int32_t to);

/** Give @message, a TAIL_ANSWER that arrived, to the reads under way. */
void paper_reads_answer(struct paper *paper, const struct paper_message *message);

/** Forget the reads of node @number. */
void paper_reads_drop(struct paper *paper, int32_t number);

/** Forget the reads that are over. Return what is wrong with one of them, or NULL. */
const char *paper_reads_check(struct paper *paper);

/** Return what is wrong with the leases that hold, or NULL. */
const char *paper_leases_check(const struct paper *paper);

/* -- Random walks: paper_walk.c -- */

/** Return whether what happens @weight times of a thousand happens now. */
bool paper_chance(struct paper *paper, uint32_t weight);

/** Return weights of a world without faults. */
struct paper_weights paper_calm(void);

/** Return weights drawn for @seed: some of the kinds of trouble, each more or less. */
struct paper_weights paper_drawn(uint64_t seed);

/** Let one thing happen. */
void paper_step(struct paper *paper);

/** End all faults, and let things happen until everybody has all that is committed and one more
 * record is. False if that did not come in @steps. */
bool paper_settle(struct paper *paper, uint64_t steps);

#endif /* REPLICATION_PAPER_H */
