/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/paper - nodes, journals, messages, and the carrying out of effects.
 */
#include "paper.h"

#include <string.h>

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

bool paper_chance(struct paper *paper, uint32_t weight)
{
    return prng_below(&paper->prng, 1000) < weight;
}

void paper_crash(struct paper *paper, int32_t number, uint32_t op_count)
{
    struct paper_node *node = &paper->nodes[number];
    ops_flush(node, op_count);
    node->op_count = 0;
    node->is_up = false;
    paper->counts.crashes++;
    paper_reads_drop(paper, number);
}

/* -- Messages -- */

struct paper_message *paper_post(struct paper *paper,
                                 enum paper_kind kind,
                                 int32_t from,
                                 int32_t to)
{
    if (paper->message_count == PAPER_MESSAGES_MAX) { /* A full link loses what it likes. */
        uint64_t lost = prng_below(&paper->prng, PAPER_MESSAGES_MAX);
        paper->messages[lost] = paper->messages[--paper->message_count];
    }
    struct paper_message *message = &paper->messages[paper->message_count++];
    *message = (struct paper_message){.kind = kind,
                                      .number = ++paper->message_last,
                                      .from = from,
                                      .to = to};
    message->envelope = paper->nodes[from].replica.self;
    return message;
}

/* -- Checks -- */

/* Check that W voters of configuration @index have what is committed in their images. */
static void check_copies(struct paper *paper,
                         const struct replica *replica,
                         int32_t index,
                         int64_t begin,
                         int64_t end)
{
    const struct quorum_half *half = &replica->set.halves[index];
    int32_t copies = 0;
    for (int32_t voter = 0; voter < half->voter_count; voter++) {
        int32_t other = replica->set.members[half->members[voter]].node.value - 1;
        const struct paper_log *image = &paper->nodes[other].image;
        bool has_all = image->offset_end >= end;
        for (int64_t offset = begin; has_all && offset < end; offset++) {
            has_all = image->records[offset].epoch == paper->committed[offset].epoch &&
                      image->records[offset].value == paper->committed[offset].value;
        }
        copies += has_all;
    }
    if (copies < half->write_quorum) {
        violate(paper, "committed with fewer than W copies on disk");
    }
}

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
    for (int32_t index = 0; index < node->replica.set.half_count; index++) {
        check_copies(paper, &node->replica, index, begin, end);
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
    for (int32_t other = 0; other < paper->node_count; other++) {
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

/* Return which node peer @peer of node @number is. */
static int32_t node_of(const struct paper *paper, int32_t number, int32_t peer)
{
    return replica_peer(&paper->nodes[number].replica, peer)->node.value - 1;
}

/* Tell node @number @event as soon as the effects of this step are carried out. */
static void later(struct paper *paper, int32_t number, int32_t peer, struct replica_event event)
{
    if (paper->told_count == PAPER_TOLD_MAX) {
        violate(paper, "too many steps follow from one");
        return;
    }
    paper->told[paper->told_count++] = (struct paper_told){number, peer, event};
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
        paper, number, -1,
        (struct replica_event){.kind = REPLICA_EVENT_APPENDED, .offset_end = node->log.offset_end});
}

static void send_batches(struct paper *paper, int32_t number, const struct replica_effect *effect)
{
    struct paper_node *node = &paper->nodes[number];
    struct paper_message *message =
        paper_post(paper, PAPER_MESSAGE, number, node_of(paper, number, effect->member));
    message->message = effect->message;
    struct replica_batches *batches = &message->message.as.batches;
    int64_t count = PAPER_BATCH_MAX;
    if (!paper->is_scripted) {
        count = 1 + (int64_t)prng_below(&paper->prng, PAPER_BATCH_MAX);
    }
    int64_t end = batches->before.end + count;
    batches->offset_end = end < batches->offset_end ? end : batches->offset_end;
    for (int64_t offset = batches->before.end; offset < batches->offset_end; offset++) {
        message->records[offset - batches->before.end] = node->log.records[offset];
        if (node->log.records[offset].epoch != batches->epoch) {
            violate(paper, "a message with batches of two epochs");
        }
    }
    struct replica_event event = {.kind = REPLICA_EVENT_SENT,
                                  .epoch = effect->message.epoch,
                                  .offset_end = batches->offset_end,
                                  .bytes = 100};
    later(paper, number, message->to, event);
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
        if (message) {
            take_batches(paper, node, effect, message);
        } else {
            violate(paper, "batches of no message");
        }
        return;
    case REPLICA_EFFECT_OPEN:
        check_opening(paper, number);
        append_opening(paper, number);
        return;
    case REPLICA_EFFECT_SEND:
        paper_post(paper, PAPER_MESSAGE, number, node_of(paper, number, effect->member))->message =
            effect->message;
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
    case REPLICA_EFFECT_CONFIG:
        if (paper_change_end(paper, number)) {
            later(paper, number, -1,
                  (struct replica_event){.kind = REPLICA_EVENT_APPENDED,
                                         .offset_end = node->log.offset_end});
        }
        return;
    case REPLICA_EFFECT_ROLE:
        return;
    }
}

/* Let node @number take one step. Return whether it has promised. */
static bool step_one(struct paper *paper,
                     int32_t number,
                     const struct replica_event *event,
                     const struct paper_message *message)
{
    struct paper_node *node = &paper->nodes[number];
    int64_t committed = node->replica.committed;
    replica_step(&node->replica, event);
    bool has_promised = false;
    for (uint32_t index = 0; index < node->replica.effect_count; index++) {
        const struct replica_effect *effect = &node->replica.effects[index];
        has_promised |= effect->kind == REPLICA_EFFECT_PROMISE;
        carry_out(paper, number, effect, message, &committed);
    }
    return has_promised;
}

static void step(struct paper *paper,
                 int32_t number,
                 struct replica_event event,
                 const struct paper_message *message)
{
    event.now_ns = paper->now_ns;
    bool has_promised = step_one(paper, number, &event, message);
    struct replica_event change;
    const struct paper_node *node = &paper->nodes[number];
    bool is_told = node->log.offset_end == node->replica.epochs.offset_end; /* APPENDED, that is. */
    if (is_told && paper_config_event(paper, number, &change)) {
        (void)step_one(paper, number, &change, NULL);
    }
    if (has_promised && paper_chance(paper, paper->weights.crash_promise)) {
        paper_crash(paper, number, (uint32_t)prng_below(&paper->prng, node->op_count + 1));
    }
}

/* Tell node @number @event, and all nodes what follows from it. */
void paper_tell(struct paper *paper,
                int32_t number,
                struct replica_event event,
                const struct paper_message *message)
{
    paper->told_count = 0;
    step(paper, number, event, message);
    for (uint32_t index = 0; index < paper->told_count; index++) {
        struct paper_told told = paper->told[index];
        const struct paper_node *node = &paper->nodes[told.number];
        if (node->is_up && told.peer >= 0) {
            struct quorum_member peer = paper_member(told.peer);
            told.event.member = replica_find(&node->replica, &peer);
        }
        if (node->is_up && (told.peer < 0 || told.event.member != QUORUM_NO_MEMBER)) {
            step(paper, told.number, told.event, NULL);
        }
    }
    const struct paper_node *node = &paper->nodes[number];
    if (node->is_up && node->log.offset_end != node->replica.epochs.offset_end) {
        violate(paper, "the core and the log disagree");
    }
    const char *wrong = paper_reads_check(paper);
    wrong = wrong ? wrong : paper_leases_check(paper);
    if (wrong) {
        violate(paper, wrong);
    }
}

/* -- What happens -- */

void paper_append(struct paper *paper, int32_t number, struct paper_record record)
{
    struct paper_node *node = &paper->nodes[number];
    journal(paper, node, (struct paper_op){PAPER_OP_APPEND, node->log.offset_end, record});
}

void paper_start(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    node->log = node->image;
    node->is_up = true;
    node->starts++;
    node->config_index =
        paper_config_newest(node->log.records, node->log.offset_end, &node->config_end);
    struct replica_start start = {
        .self = {.from = paper_member(number),
                 .incarnation = node->starts,
                 .run = prng_next(&paper->prng)},
        .promise = node->log.promise,
        .epochs = {.rows = node->rows, .count_max = PAPER_OFFSETS_MAX},
        .config = &paper->configs[node->config_index].config,
        .config_next = paper->configs[node->config_index].is_joint
                           ? &paper->configs[node->config_index].next
                           : NULL,
        .config_end = node->config_end,
        .timeout_ns = PAPER_TIMEOUT_NS,
        .seed = prng_next(&paper->prng),
        .now_ns = paper->now_ns,
        .effects = paper->effects,
        .progress = node->progress,
        .progress_max = PAPER_NODES_MAX,
    };
    for (int64_t offset = 0; offset < node->log.offset_end; offset++) {
        epochs_append(&start.epochs, node->log.records[offset].epoch, offset + 1);
    }
    replica_init(&node->replica, &start);
}

void paper_flush(struct paper *paper, int32_t number, uint32_t op_count)
{
    struct paper_node *node = &paper->nodes[number];
    if (node->op_count == 0) {
        return;
    }
    ops_flush(node, op_count);
    struct replica_event event = {.kind = REPLICA_EVENT_DURABLE,
                                  .offset_end = durable_end(node),
                                  .epoch = node->image.promise};
    paper_tell(paper, number, event, NULL);
}

void paper_deliver(struct paper *paper, uint64_t index, bool is_kept)
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
        if (message.message.kind == REPLICA_TAIL_ANSWER) {
            paper_reads_answer(paper, &message);
        }
        paper_tell(paper, message.to,
                   (struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                          .from = &message.envelope,
                                          .message = &message.message},
                   &message);
        return;
    }
    bool is_live = message.kind == PAPER_LIVE;
    int32_t member = replica_find(&node->replica, &message.envelope.from);
    if (member == QUORUM_NO_MEMBER) {
        return;
    }
    paper_tell(
        paper, message.to,
        (struct replica_event){.kind = is_live ? REPLICA_EVENT_LIVE : REPLICA_EVENT_CONFIRMED,
                               .member = member,
                               .epoch = message.epoch,
                               .committed = message.committed,
                               .sent_ns = message.sent_ns},
        &message);
    bool confirms = is_live && node->replica.role == REPLICA_FOLLOWER &&
                    node->replica.promise == message.epoch &&
                    node->replica.promise_durable == message.epoch;
    if (confirms) {
        struct paper_message *answer = paper_post(paper, PAPER_CONFIRM, message.to, message.from);
        answer->epoch = message.epoch;
        answer->sent_ns = message.sent_ns;
    }
}

void paper_beat(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    for (int32_t other = 0; other < paper->node_count; other++) {
        if (other != number) {
            struct paper_message *message = paper_post(paper, PAPER_LIVE, number, other);
            message->epoch = node->replica.promise;
            message->committed = node->replica.committed;
            message->sent_ns = paper->now_ns;
        }
    }
}

bool paper_propose(struct paper *paper, int32_t number)
{
    struct paper_node *node = &paper->nodes[number];
    bool has_room =
        node->log.offset_end < (paper->is_settling ? PAPER_OFFSETS_MAX : PAPER_OFFSETS_MAX / 2);
    if (!node->is_up || !has_room || !replica_takes_proposals(&node->replica)) {
        return false;
    }
    paper_append(paper, number, (struct paper_record){node->replica.promise, ++paper->value_last});
    paper_tell(
        paper, number,
        (struct replica_event){.kind = REPLICA_EVENT_APPENDED, .offset_end = node->log.offset_end},
        NULL);
    return true;
}

void paper_begin(struct paper *paper, uint64_t seed, const struct quorum_rules *rules)
{
    paper_begin_with(paper, seed, rules, 0);
}

void paper_begin_with(struct paper *paper,
                      uint64_t seed,
                      const struct quorum_rules *rules,
                      int32_t learner_count)
{
    memset(paper, 0, sizeof *paper);
    paper->seed = seed;
    paper->prng = prng_of(seed, 1);
    paper->now_ns = PAPER_TIMEOUT_NS;
    struct quorum_config *config = &paper->configs[paper->config_count++].config;
    config->rules = *rules;
    config->learner_count = learner_count;
    for (int32_t number = 0; number < rules->voter_count; number++) {
        config->voters[number] = paper_member(number);
    }
    for (int32_t number = 0; number < learner_count; number++) {
        config->learners[number] = paper_member(rules->voter_count + number);
    }
    paper_spare(paper, rules->voter_count + learner_count);
}

void paper_spare(struct paper *paper, int32_t count)
{
    for (int32_t index = 0; index < count; index++) {
        paper_start(paper, paper->node_count++);
    }
}
