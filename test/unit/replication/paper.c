/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/paper - carrying out effects, and choosing what happens next.
 */
#include "paper.h"

#include <string.h>

#define TIMEOUT_NS UINT64_C(1000000)

static void violate(struct paper *paper, const char *what)
{
    if (!paper->violation) {
        paper->violation = what;
    }
}

/* -- Journals -- */

static void log_apply(struct paper_log *log, const struct paper_op *op)
{
    switch (op->kind) {
    case PAPER_OP_PROMISE:
        log->promise = op->offset > log->promise ? (int32_t)op->offset : log->promise;
        return;
    case PAPER_OP_TRUNCATE:
        log->offset_end = op->offset;
        return;
    case PAPER_OP_APPEND:
        log->records[op->offset] = op->record;
        log->offset_end = op->offset + 1;
        return;
    }
}

static void journal(struct paper *paper, struct paper_node *node, struct paper_op op)
{
    log_apply(&node->log, &op);
    if (node->op_count == PAPER_OPS_MAX) {
        violate(paper, "the paper journal is too short");
        return;
    }
    node->ops[node->op_count++] = op;
}

/* How much of the log in memory the image has. */
static int64_t durable_end(const struct paper_node *node)
{
    int64_t end = node->image.offset_end;
    for (uint32_t index = 0; index < node->op_count; index++) {
        const struct paper_op *op = &node->ops[index];
        bool ends_it = op->kind != PAPER_OP_PROMISE && op->offset < end;
        end = ends_it ? op->offset : end;
    }
    return end;
}

static void ops_flush(struct paper_node *node, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++) {
        log_apply(&node->image, &node->ops[index]);
    }
    node->op_count -= count;
    memmove(node->ops, node->ops + count, node->op_count * sizeof node->ops[0]);
}

static bool drawn(struct paper *paper, uint32_t weight)
{
    return prng_below(&paper->prng, 1000) < weight;
}

static void crash(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    ops_flush(node,
              (uint32_t)prng_below(&paper->prng, node->op_count + 1)); /* Some had got there. */
    node->op_count = 0;
    node->is_up = false;
    paper->counts.crashes++;
}

/* -- Messages -- */

static struct paper_message *post(struct paper *paper,
                                  enum paper_kind kind,
                                  int32_t from,
                                  int32_t to)
{
    if (paper->message_count == PAPER_MESSAGES_MAX) { /* A full link loses what it likes. */
        uint64_t lost = prng_below(&paper->prng, PAPER_MESSAGES_MAX);
        paper->messages[lost] = paper->messages[--paper->message_count];
    }
    struct paper_message *message = &paper->messages[paper->message_count++];
    *message = (struct paper_message){.kind = kind, .from = from, .to = to};
    message->envelope = paper->nodes[from].replica.self;
    return message;
}

/* -- Checks -- */

static void check_commit(struct paper *paper, int32_t number, int64_t begin, int64_t end)
{
    struct paper_node *node = &paper->nodes[number];
    for (int64_t offset = begin; offset < end; offset++) {
        const struct paper_record *record = &node->log.records[offset];
        if (!paper->is_committed[offset]) {
            paper->is_committed[offset] = true;
            paper->committed[offset] = *record;
            paper->counts.commits++;
            paper->committed_end =
                offset + 1 > paper->committed_end ? offset + 1 : paper->committed_end;
        }
        const struct paper_record *known = &paper->committed[offset];
        if (known->epoch != record->epoch || known->value != record->value) {
            violate(paper, "two records are committed at one offset");
        }
    }
    if (node->replica.role != REPLICA_LEADER) {
        return;
    }
    int32_t copies = 0;
    for (int32_t other = 0; other < paper->config.rules.voter_count; other++) {
        const struct paper_log *image = &paper->nodes[other].image;
        bool has_all = image->offset_end >= end;
        for (int64_t offset = begin; has_all && offset < end; offset++) {
            has_all = image->records[offset].epoch == paper->committed[offset].epoch &&
                      image->records[offset].value == paper->committed[offset].value;
        }
        copies += has_all;
    }
    if (copies < paper->config.rules.write_quorum) {
        violate(paper, "committed with fewer than W copies on disk");
    }
}

static void check_opening(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    for (int64_t offset = 0; offset < paper->committed_end; offset++) {
        if (offset >= node->log.offset_end ||
            node->log.records[offset].epoch != paper->committed[offset].epoch ||
            node->log.records[offset].value != paper->committed[offset].value) {
            violate(paper, "a leader lacks what is committed");
        }
    }
    for (uint32_t index = 0; index < paper->epoch_count; index++) {
        if (paper->epochs_opened[index] == node->replica.promise) {
            violate(paper, "an epoch was opened twice");
        }
    }
    if (paper->epoch_count < PAPER_EPOCHS_MAX) {
        paper->epochs_opened[paper->epoch_count++] = node->replica.promise;
    }
    for (int32_t other = 0; other < paper->config.rules.voter_count; other++) {
        const struct paper_node *old = &paper->nodes[other];
        if (other == number || !old->is_up || old->replica.role != REPLICA_LEADER) {
            continue;
        }
        paper->counts.rivals++;
        if (replica_lease_holds(&old->replica, paper->now_ns)) {
            violate(paper, "an epoch was opened under another's lease");
        }
    }
    paper->counts.openings++;
}

/* -- Effects -- */

/* Tell node @number @event as soon as the effects of this step are carried out. */
static void later(struct paper *paper, int32_t number, struct replica_event event)
{
    if (paper->told_count == PAPER_TOLD_MAX) {
        violate(paper, "too many steps follow from one");
        return;
    }
    paper->told[paper->told_count++] = (struct paper_told){number, event};
}

static void append_opening(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    if (node->log.offset_end == PAPER_OFFSETS_MAX) {
        return;
    }
    journal(paper, node,
            (struct paper_op){PAPER_OP_APPEND, node->log.offset_end, {node->replica.promise, 0}});
    later(
        paper, number,
        (struct replica_event){.kind = REPLICA_EVENT_APPENDED, .offset_end = node->log.offset_end});
}

static void send_batches(struct paper *paper, int32_t number, const struct replica_effect *effect)
{
    struct paper_node *node = &paper->nodes[number];
    struct paper_message *message = post(paper, PAPER_MESSAGE, number, effect->member);
    message->message = effect->message;
    struct replica_batches *batches = &message->message.as.batches;
    int64_t count = 1 + (int64_t)prng_below(&paper->prng, PAPER_BATCH_MAX);
    int64_t end = batches->before.end + count;
    batches->offset_end = end < batches->offset_end ? end : batches->offset_end;
    for (int64_t offset = batches->before.end; offset < batches->offset_end; offset++) {
        message->records[offset - batches->before.end] = node->log.records[offset];
        if (node->log.records[offset].epoch != batches->epoch) {
            violate(paper, "a message with batches of two epochs");
        }
    }
    struct replica_event event = {.kind = REPLICA_EVENT_SENT,
                                  .member = effect->member,
                                  .epoch = effect->message.epoch,
                                  .offset_end = batches->offset_end,
                                  .bytes = 100};
    later(paper, number, event);
}

static void take_batches(struct paper *paper,
                         struct paper_node *node,
                         const struct replica_effect *effect,
                         const struct paper_message *message)
{
    const struct replica_batches *batches = &message->message.as.batches;
    for (int64_t offset = effect->offset; offset < batches->offset_end; offset++) {
        struct paper_record record = message->records[offset - batches->before.end];
        journal(paper, node, (struct paper_op){PAPER_OP_APPEND, offset, record});
    }
}

static void carry_out(struct paper *paper,
                      int32_t number,
                      const struct replica_effect *effect,
                      const struct paper_message *message,
                      int64_t *committed)
{
    struct paper_node *node = &paper->nodes[number];
    switch (effect->kind) {
    case REPLICA_EFFECT_PROMISE:
        journal(paper, node, (struct paper_op){PAPER_OP_PROMISE, effect->epoch, {0, 0}});
        return;
    case REPLICA_EFFECT_TRUNCATE:
        paper->counts.truncations++;
        journal(paper, node, (struct paper_op){PAPER_OP_TRUNCATE, effect->offset, {0, 0}});
        return;
    case REPLICA_EFFECT_APPEND:
        take_batches(paper, node, effect, message);
        return;
    case REPLICA_EFFECT_OPEN:
        check_opening(paper, number);
        append_opening(paper, number);
        return;
    case REPLICA_EFFECT_SEND:
        post(paper, PAPER_MESSAGE, number, effect->member)->message = effect->message;
        return;
    case REPLICA_EFFECT_BATCHES:
        send_batches(paper, number, effect);
        return;
    case REPLICA_EFFECT_COMMIT:
        check_commit(paper, number, *committed, effect->offset);
        *committed = effect->offset;
        return;
    case REPLICA_EFFECT_STOP:
        paper->counts.stops++;
        violate(paper, "told to cut what is committed");
        return;
    case REPLICA_EFFECT_ROLE:
        return;
    }
}

static void step(struct paper *paper,
                 int32_t number,
                 struct replica_event event,
                 const struct paper_message *message)
{
    struct paper_node *node = &paper->nodes[number];
    int64_t committed = node->replica.committed;
    event.now_ns = paper->now_ns;
    replica_step(&node->replica, &event);
    bool has_promised = false;
    for (uint32_t index = 0; index < node->replica.effect_count; index++) {
        const struct replica_effect *effect = &node->replica.effects[index];
        has_promised |= effect->kind == REPLICA_EFFECT_PROMISE;
        carry_out(paper, number, effect, message, &committed);
    }
    if (has_promised && drawn(paper, paper->weights.crash_promise)) {
        crash(paper, number);
    }
}

/* Tell node @number @event, and all nodes what follows from it. */
static void tell(struct paper *paper,
                 int32_t number,
                 struct replica_event event,
                 const struct paper_message *message)
{
    paper->told_count = 0;
    step(paper, number, event, message);
    for (uint32_t index = 0; index < paper->told_count; index++) {
        struct paper_told told = paper->told[index];
        if (paper->nodes[told.number].is_up) {
            step(paper, told.number, told.event, NULL);
        }
    }
    const struct paper_node *node = &paper->nodes[number];
    if (node->is_up && node->log.offset_end != node->replica.epochs.offset_end) {
        violate(paper, "the core and the log disagree");
    }
}

/* -- What happens -- */

static void start(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    node->log = node->image;
    node->is_up = true;
    node->starts++;
    struct replica_start start = {
        .self = {.from = paper->config.voters[number],
                 .incarnation = node->starts,
                 .run = prng_next(&paper->prng)},
        .promise = node->log.promise,
        .epochs = {.rows = node->rows, .count_max = PAPER_OFFSETS_MAX},
        .config = &paper->config,
        .timeout_ns = TIMEOUT_NS,
        .seed = prng_next(&paper->prng),
        .now_ns = paper->now_ns,
    };
    for (int64_t offset = 0; offset < node->log.offset_end; offset++) {
        epochs_append(&start.epochs, node->log.records[offset].epoch, offset + 1);
    }
    replica_init(&node->replica, &start);
}

static void flush(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    if (node->op_count == 0) {
        return;
    }
    ops_flush(node, 1 + (uint32_t)prng_below(&paper->prng, node->op_count));
    struct replica_event event = {.kind = REPLICA_EVENT_DURABLE,
                                  .offset_end = durable_end(node),
                                  .epoch = node->image.promise};
    tell(paper, number, event, NULL);
}

static void deliver(struct paper *paper, uint64_t index, bool is_kept)
{
    struct paper_message message = paper->messages[index];
    if (!is_kept) {
        paper->messages[index] = paper->messages[--paper->message_count];
    }
    struct paper_node *node = &paper->nodes[message.to];
    if (!node->is_up || paper->cuts[message.from][message.to]) {
        return;
    }
    if (message.kind == PAPER_MESSAGE) {
        tell(paper, message.to,
             (struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                    .from = &message.envelope,
                                    .message = &message.message},
             &message);
        return;
    }
    bool is_live = message.kind == PAPER_LIVE;
    tell(paper, message.to,
         (struct replica_event){.kind = is_live ? REPLICA_EVENT_LIVE : REPLICA_EVENT_CONFIRMED,
                                .member = message.from,
                                .epoch = message.epoch,
                                .committed = message.committed,
                                .sent_ns = message.sent_ns},
         &message);
    bool confirms = is_live && node->replica.role == REPLICA_FOLLOWER &&
                    node->replica.promise == message.epoch &&
                    node->replica.promise_durable == message.epoch;
    if (confirms) {
        struct paper_message *answer = post(paper, PAPER_CONFIRM, message.to, message.from);
        answer->epoch = message.epoch;
        answer->sent_ns = message.sent_ns;
    }
}

static void beat(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    for (int32_t other = 0; other < paper->config.rules.voter_count; other++) {
        if (other != number) {
            struct paper_message *message = post(paper, PAPER_LIVE, number, other);
            message->epoch = node->replica.promise;
            message->committed = node->replica.committed;
            message->sent_ns = paper->now_ns;
        }
    }
}

static void time_pass(struct paper *paper)
{
    paper->now_ns += 1 + prng_below(&paper->prng, TIMEOUT_NS / 20);
    for (int32_t number = 0; number < paper->config.rules.voter_count; number++) {
        struct paper_node *node = &paper->nodes[number];
        if (node->is_up && replica_deadline_ns(&node->replica) <= paper->now_ns) {
            tell(paper, number, (struct replica_event){.kind = REPLICA_EVENT_TIME}, NULL);
        }
        if (node->is_up && node->replica.role == REPLICA_LEADER &&
            prng_below(&paper->prng, 4) == 0) {
            beat(paper, number);
        }
        paper->counts.leases += node->is_up && replica_lease_holds(&node->replica, paper->now_ns);
    }
}

static void propose(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    bool has_room =
        node->log.offset_end < (paper->is_settling ? PAPER_OFFSETS_MAX : PAPER_OFFSETS_MAX / 2);
    if (node->is_up && has_room && replica_takes_proposals(&node->replica)) {
        journal(paper, node,
                (struct paper_op){PAPER_OP_APPEND,
                                  node->log.offset_end,
                                  {node->replica.promise, ++paper->value_last}});
        tell(paper, number,
             (struct replica_event){.kind = REPLICA_EVENT_APPENDED,
                                    .offset_end = node->log.offset_end},
             NULL);
    }
}

static void trouble(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    int32_t other = (int32_t)prng_below(&paper->prng, (uint64_t)paper->config.rules.voter_count);
    bool is_leader = node->replica.role == REPLICA_LEADER;
    uint32_t crash_weight = is_leader ? paper->weights.crash_leader : paper->weights.crash;
    if (node->is_up && drawn(paper, crash_weight)) {
        crash(paper, number);
    }
    if (drawn(paper, paper->weights.cut) && other != number) {
        paper->cuts[number][other] = true;
    }
    if (drawn(paper, paper->weights.heal)) {
        memset(paper->cuts, 0, sizeof paper->cuts);
    }
    if (drawn(paper, paper->weights.hand_over) && node->is_up && other != number) {
        tell(paper, number,
             (struct replica_event){.kind = REPLICA_EVENT_HAND_OVER, .member = other}, NULL);
    }
}

void paper_step(struct paper *paper)
{
    paper->counts.steps++;
    int32_t number = (int32_t)prng_below(&paper->prng, (uint64_t)paper->config.rules.voter_count);
    trouble(paper, number);
    if (!paper->nodes[number].is_up) {
        if (drawn(paper, paper->weights.restart)) {
            start(paper, number);
        }
        return;
    }
    if (drawn(paper, paper->weights.time)) {
        time_pass(paper);
    } else if (drawn(paper, paper->weights.propose)) {
        propose(paper, number);
    } else if (drawn(paper, paper->weights.flush)) {
        flush(paper, number);
    } else if (paper->message_count > 0) {
        uint64_t index = prng_below(&paper->prng, paper->message_count);
        if (drawn(paper, paper->weights.lose)) {
            paper->messages[index] = paper->messages[--paper->message_count];
        } else {
            deliver(paper, index, drawn(paper, paper->weights.repeat));
        }
    }
}

struct paper_weights paper_calm(void)
{
    return (struct paper_weights){.time = 60, .propose = 20, .flush = 250, .restart = 50};
}

struct paper_weights paper_drawn(uint64_t seed)
{
    struct prng prng = prng_of(seed, 2);
    struct paper_weights weights = paper_calm();
    weights.time = 20 + (uint32_t)prng_below(&prng, 100);
    weights.flush = 10 + (uint32_t)prng_below(&prng, 300);
    weights.restart = 5 + (uint32_t)prng_below(&prng, 200);
    uint32_t *troubles[] = {&weights.lose,          &weights.repeat,       &weights.crash,
                            &weights.crash_promise, &weights.crash_leader, &weights.cut,
                            &weights.heal,          &weights.hand_over};
    static const uint32_t most[] = {200, 200, 4, 400, 10, 8, 8, 4};
    for (size_t kind = 0; kind < sizeof most / sizeof most[0]; kind++) {
        *troubles[kind] = (uint32_t)prng_below(&prng, 2 * most[kind] + 1);
        *troubles[kind] = *troubles[kind] > most[kind] ? 0 : *troubles[kind];
    }
    weights.heal += 1;
    return weights;
}

static bool is_settled(const struct paper *paper, uint64_t commits)
{
    bool is_level = paper->counts.commits > commits;
    for (int32_t number = 0; number < paper->config.rules.voter_count; number++) {
        const struct paper_node *node = &paper->nodes[number];
        is_level = is_level && node->is_up && node->replica.committed == paper->committed_end;
    }
    return is_level;
}

bool paper_settle(struct paper *paper, uint64_t steps)
{
    paper->weights = paper_calm();
    paper->is_settling = true;
    memset(paper->cuts, 0, sizeof paper->cuts);
    paper->message_count = 0;
    uint64_t commits = paper->counts.commits;
    for (uint64_t step = 0; step < steps; step++) {
        paper_step(paper);
        if (is_settled(paper, commits)) {
            return true;
        }
    }
    return false;
}

void paper_begin(struct paper *paper, uint64_t seed, const struct quorum_rules *rules)
{
    memset(paper, 0, sizeof *paper);
    paper->seed = seed;
    paper->prng = prng_of(seed, 1);
    paper->now_ns = TIMEOUT_NS;
    paper->config.rules = *rules;
    for (int32_t number = 0; number < rules->voter_count; number++) {
        paper->config.voters[number] =
            (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
    }
    for (int32_t number = 0; number < rules->voter_count; number++) {
        start(paper, number);
    }
}
