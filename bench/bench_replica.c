/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench_replica - what does the decision core of replication cost, an append at a time?
 *
 * Method: three replicas in one thread, W = 2, with nothing between them: what one sends is handed
 * to the other in place, what is journalled is durable at once. One step is one append by the
 * leader, sent to both followers, taken, durable on all three, acknowledged by both, committed. No
 * batches, no journal, no network: this is the part of an append that is ours and nobody else's.
 *
 * What would make it a lie: a step that does not commit (checked at the end: as many commits as
 * appends), a message that is not made (every one goes through the core's own effects).
 */
#include <string.h>

#include "base/assert.h"
#include "bench.h"
#include "quorum/epoch.h"
#include "replication/replica.h"

enum { REPLICAS = 3, EPOCH_ROWS = 4, ROUND_STEPS = 1000, WAITS = 32 };

#define TIMEOUT_NS UINT64_C(1000000000)

/* Something that will happen to a replica. */
struct waiting {
    int32_t number;
    struct replica_event event;
    struct replica_message message;
};

/* The three of them. */
struct trio {
    struct quorum_config config;
    struct epoch_row rows[REPLICAS][EPOCH_ROWS];
    struct replica_progress progress[REPLICAS][REPLICAS];
    struct replica_effect effects[REPLICA_EFFECTS_MAX];
    struct replica replicas[REPLICAS];
    struct waiting waits[WAITS]; /* A ring: what will happen next. */
    uint64_t wait_first;
    uint64_t wait_end;
    uint64_t now_ns;
};

static void trio_begin(struct trio *trio)
{
    memset(trio, 0, sizeof *trio);
    trio->now_ns = TIMEOUT_NS;
    trio->config.rules = (struct quorum_rules){REPLICAS, 2, 2, false};
    for (int32_t number = 0; number < REPLICAS; number++) {
        trio->config.voters[number] =
            (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
    }
    for (int32_t number = 0; number < REPLICAS; number++) {
        replica_init(
            &trio->replicas[number],
            &(struct replica_start){.self.from = trio->config.voters[number],
                                    .epochs = {.rows = trio->rows[number], .count_max = EPOCH_ROWS},
                                    .config = &trio->config,
                                    .timeout_ns = TIMEOUT_NS,
                                    .seed = (uint64_t)number + 1,
                                    .now_ns = trio->now_ns,
                                    .effects = trio->effects,
                                    .progress = trio->progress[number],
                                    .progress_max = REPLICAS});
    }
}

/* What the kind of event does not use stays as it was: nobody reads it. */
static struct waiting *wait_push(struct trio *trio, int32_t number, enum replica_event_kind kind)
{
    ASSERT(trio->wait_end - trio->wait_first < WAITS);

    struct waiting *waiting = &trio->waits[trio->wait_end++ % WAITS];
    waiting->number = number;
    waiting->event.kind = kind;
    waiting->event.now_ns = trio->now_ns;
    return waiting;
}

static void durable_push(struct trio *trio, int32_t number)
{
    const struct replica *replica = &trio->replicas[number];
    struct waiting *waiting = wait_push(trio, number, REPLICA_EVENT_DURABLE);
    waiting->event.offset_end = replica->epochs.offset_end;
    waiting->event.epoch = replica->promise;
}

/* One more record in the leader's log. */
static void append_push(struct trio *trio, int32_t number)
{
    struct waiting *waiting = wait_push(trio, number, REPLICA_EVENT_APPENDED);
    waiting->event.offset_end = trio->replicas[number].epochs.offset_end + 1;
    waiting->event.epoch = trio->replicas[number].promise;
}

static void message_push(struct trio *trio, int32_t number, const struct replica_effect *effect)
{
    struct waiting *waiting = wait_push(trio, effect->member, REPLICA_EVENT_MESSAGE);
    waiting->event.from = &trio->replicas[number].self;
    waiting->event.message = &waiting->message;
    waiting->message = effect->message;
}

static void carry_out(struct trio *trio, int32_t number, const struct replica_effect *effect)
{
    switch (effect->kind) {
    case REPLICA_EFFECT_PROMISE:
    case REPLICA_EFFECT_APPEND:
        durable_push(trio, number);
        return;
    case REPLICA_EFFECT_OPEN:
        append_push(trio, number);
        return;
    case REPLICA_EFFECT_SEND:
        message_push(trio, number, effect);
        return;
    case REPLICA_EFFECT_BATCHES: {
        message_push(trio, number, effect);
        struct waiting *sent = wait_push(trio, number, REPLICA_EVENT_SENT);
        sent->event.member = effect->member;
        sent->event.epoch = effect->message.epoch;
        sent->event.offset_end = effect->message.as.batches.offset_end;
        sent->event.bytes = 100;
        return;
    }
    case REPLICA_EFFECT_TRUNCATE:
    case REPLICA_EFFECT_COMMIT:
    case REPLICA_EFFECT_CONFIG:
    case REPLICA_EFFECT_ROLE:
    case REPLICA_EFFECT_STOP:
        return;
    }
}

/* Let happen what follows, until nothing does. */
static void settle(struct trio *trio)
{
    while (trio->wait_first < trio->wait_end) {
        struct waiting *waiting = &trio->waits[trio->wait_first % WAITS];
        struct replica *replica = &trio->replicas[waiting->number];
        replica_step(replica, &waiting->event);
        trio->wait_first++;
        if (waiting->event.kind == REPLICA_EVENT_APPENDED) {
            durable_push(trio, waiting->number);
        }
        for (uint32_t index = 0; index < replica->effect_count; index++) {
            carry_out(trio, waiting->number, &replica->effects[index]);
        }
    }
}

static int32_t leader_of(const struct trio *trio)
{
    for (int32_t number = 0; number < REPLICAS; number++) {
        if (trio->replicas[number].role == REPLICA_LEADER) {
            return number;
        }
    }
    return QUORUM_NO_MEMBER;
}

/* Let time pass until one of them leads. */
static int32_t elect(struct trio *trio)
{
    for (int look = 0; look < 100 && leader_of(trio) == QUORUM_NO_MEMBER; look++) {
        trio->now_ns += TIMEOUT_NS / 4;
        for (int32_t number = 0; number < REPLICAS; number++) {
            (void)wait_push(trio, number, REPLICA_EVENT_TIME);
        }
        settle(trio);
    }
    return leader_of(trio);
}

static void append_to_commit(const char *name, const struct bench_options *options)
{
    static struct trio trio;
    trio_begin(&trio);
    int32_t leader = elect(&trio);
    if (leader == QUORUM_NO_MEMBER) {
        bench_fail("nobody was elected");
    }
    const struct replica *replica = &trio.replicas[leader];
    uint64_t limit_ns = (uint64_t)(options->seconds * 1e9);
    int64_t committed = replica->committed;
    uint64_t steps = 0;
    uint64_t start_ns = bench_begin();
    uint64_t spent_ns = 0;
    while (spent_ns < limit_ns) {
        for (int step = 0; step < ROUND_STEPS; step++) {
            append_push(&trio, leader);
            settle(&trio);
            steps++;
        }
        spent_ns = bench_now_ns() - start_ns;
    }
    (void)bench_end(start_ns);
    if (replica->committed - committed != (int64_t)steps) {
        bench_fail("%lld commits after %llu appends", (long long)(replica->committed - committed),
                   (unsigned long long)steps);
    }
    bench_print(&(struct bench_figure){.name = name,
                                       .value = bench_rate(steps, spent_ns),
                                       .unit = "commits/s"});
}

int main(int argument_count, char **arguments)
{
    static const struct bench_case cases[] = {
        {"append to commit, 3 replicas, no I/O", append_to_commit},
    };
    return bench_main(argument_count, arguments, cases, sizeof cases / sizeof cases[0]);
}
