/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a replicated log, each with a real shard on a simulated disk of its own, and letters
 * carried by hand between them.
 *
 * This covers partition/member.c, partition/effects.c, partition/feed.c, partition/propose.c and
 * partition/member_read.c: what the core decides is really done to the log, and what becomes of the
 * log is really told. What a network and crashes do to it is the simulator's business (test/sim);
 * here each way is walked once, on purpose.
 */
#include <inttypes.h>
#include <stdio.h>

#include "fault/shard_case.h"
#include "lib/case.h"
#include "partition/member.h"
#include "partition/shard_inner.h"
#include "record/builder.h"
#include "segment/read.h"

enum {
    NODES = 3,
    LETTERS_MAX = 256,
    LOG_BYTES_MAX = 4 << 20,
    VALUE_BYTES = 3000,
    ROUNDS_MAX = 20000,
};

#define TIMEOUT_NS UINT64_C(50000000)

struct letter {
    int from;
    int to;
    struct member_letter letter;
    uint8_t *batches; /* Its own copy. */
};

struct node {
    int number;
    struct sim_disk *disk;
    struct shard_life life;
    struct member *member; /* NULL: down. */
    struct partition *log;
    uint64_t starts;
    bool is_cut; /* No letter goes in or out. */
};

static struct node nodes[NODES];
static struct letter letters[LETTERS_MAX];
static uint32_t letter_count;
static struct quorum_config config;
static uint64_t cache_bytes;
static uint32_t corrupt_next; /* Letters with batches that lose a bit on their way. */

/* -- The cluster -- */

static int node_of(const struct quorum_member *member)
{
    return (int)member->node.value - 1;
}

static void node_send(void *ctx, const struct quorum_member *to, const struct member_letter *letter)
{
    struct node *node = ctx;
    if (node->is_cut || letter_count == LETTERS_MAX) {
        return; /* Lost, as on any network. */
    }
    struct letter *kept = &letters[letter_count++];
    *kept = (struct letter){.from = node->number, .to = node_of(to), .letter = *letter};
    if (letter->batches.count > 0) {
        kept->batches = malloc(letter->batches.count);
        assert_non_null(kept->batches);
        memcpy(kept->batches, letter->batches.data, letter->batches.count);
        kept->letter.batches.data = kept->batches;
    }
}

static void node_start(int number)
{
    struct node *node = &nodes[number];
    shard_case_init(&node->life, node->disk, (uint64_t)number + 1 + 7 * node->starts);
    node->life.mask = 0;
    node->life.cache_bytes_max = cache_bytes;
    const struct partition_options options = {.policy = PARTITION_POLICY_ALWAYS,
                                              .is_cached = true,
                                              .is_replicated = true,
                                              .id = {.value = {7, 7}},
                                              .segment_bytes = 64 << 10};
    assert_int_equal(shard_case_open(&node->life), PYR_OK);
    assert_int_equal(
        shard_partition_open(node->life.shard, "replica-0", &options, &node->log, NULL), PYR_OK);
    const struct member_options member = {.config = &config,
                                          .self = config.voters[number],
                                          .incarnation = ++node->starts,
                                          .run = node->starts,
                                          .timeout_ns = TIMEOUT_NS,
                                          .seed = (uint64_t)number + 99 * node->starts,
                                          .send = node_send,
                                          .ctx = node};
    assert_int_equal(member_open(node->log, &member, &node->member, NULL), PYR_OK);
    node->is_cut = false;
}

/* Stop @number: cleanly, or as it stands, with what its disk has not flushed lost. */
static void node_stop(int number, bool is_crash)
{
    struct node *node = &nodes[number];
    if (!node->member) {
        return;
    }
    member_stop(node->member);
    while (!member_is_quiet(node->member)) {
        shard_case_turn(&node->life);
    }
    member_close(node->member);
    node->member = NULL;
    if (is_crash) {
        shard_case_abandon(&node->life);
        struct sim_disk *image = sim_disk_crash(node->disk, SIM_CRASH_RANDOM, node->starts);
        sim_disk_destroy(node->disk);
        node->disk = image;
    } else {
        shard_case_end(&node->life);
    }
}

static void cluster_begin(int32_t write_quorum, uint64_t cache)
{
    cache_bytes = cache;
    letter_count = 0;
    corrupt_next = 0;
    config = (struct quorum_config){.rules = {.voter_count = NODES,
                                              .write_quorum = write_quorum,
                                              .read_quorum = NODES + 1 - write_quorum}};
    for (int number = 0; number < NODES; number++) {
        config.voters[number] =
            (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
        nodes[number] = (struct node){.number = number, .disk = sim_disk_create()};
    }
    for (int number = 0; number < NODES; number++) {
        node_start(number);
    }
}

static void cluster_end(void)
{
    for (int number = 0; number < NODES; number++) {
        node_stop(number, false);
        sim_disk_destroy(nodes[number].disk);
    }
    for (uint32_t index = 0; index < letter_count; index++) {
        free(letters[index].batches);
    }
}

/* Deliver the first letter; what is not taken now comes again behind the others. */
static void letter_deliver(void)
{
    struct letter letter = letters[0];
    letter_count--;
    memmove(letters, letters + 1, letter_count * sizeof letters[0]);
    struct node *node = &nodes[letter.to];
    bool is_lost = !node->member || node->is_cut;
    enum pyr_err err = PYR_OK;
    if (!is_lost && corrupt_next > 0 && letter.letter.batches.count > 0) {
        letter.batches[letter.letter.batches.count - 1] ^= 1;
        corrupt_next--;
    }
    if (!is_lost) {
        err = member_receive(node->member, &letter.letter, NULL);
    }
    if (err == PYR_ERR_BUSY && letter_count < LETTERS_MAX) {
        letters[letter_count++] = letter;
        return;
    }
    free(letter.batches);
}

static void beats(int number)
{
    int32_t epoch = 0;
    struct node *node = &nodes[number];
    if (!node->member || !member_leads(node->member, &epoch) || node->is_cut) {
        return;
    }
    uint64_t sent_ns = io_now_mono_ns(node->life.io);
    for (int other = 0; other < NODES; other++) {
        bool is_there = other != number && nodes[other].member && !nodes[other].is_cut;
        if (is_there && member_heard(nodes[other].member, &config.voters[number], epoch,
                                     node->log->offset_committed)) {
            member_confirmed(node->member, &config.voters[other], epoch, sent_ns);
        }
    }
}

/* Let everything happen once. Clocks stay together: who is behind goes first. */
static void cluster_turn(void)
{
    int number = -1;
    for (int other = 0; other < NODES; other++) {
        bool is_behind =
            nodes[other].member && (number < 0 || io_now_mono_ns(nodes[other].life.io) <
                                                      io_now_mono_ns(nodes[number].life.io));
        number = is_behind ? other : number;
    }
    shard_case_turn(&nodes[number].life);
    member_step(nodes[number].member);
    beats(number);
    for (uint32_t count = letter_count; count > 0 && letter_count > 0; count--) {
        letter_deliver();
    }
}

static int leader(void)
{
    for (int number = 0; number < NODES; number++) {
        struct node *node = &nodes[number];
        int32_t epoch = 0;
        if (node->member && !node->is_cut && member_leads(node->member, &epoch) &&
            replica_takes_proposals(member_replica(node->member))) {
            return number;
        }
    }
    return -1;
}

static int leader_wait(void)
{
    for (int round = 0; round < ROUNDS_MAX && leader() < 0; round++) {
        cluster_turn();
    }
    CHECK(leader() >= 0);
    return leader();
}

/* Append a batch of one record at @number; PYR_ERR_BUSY is waited for. */
static enum pyr_err append(int number, uint64_t value, struct member_proposal *ret_proposal)
{
    uint8_t data[VALUE_BYTES];
    memset(data, (int)value & 0xff, sizeof data);
    struct record record = {.timestamp = (int64_t)value, .value = {data, sizeof data}};
    struct member *member = nodes[number].member;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct bytes_mut room;
        enum pyr_err err = member_reserve(member, VALUE_BYTES + 200, &room, NULL);
        if (err == PYR_OK) {
            struct builder builder;
            builder_init(&builder, room);
            assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
            const struct batch_stamp stamp = BATCH_STAMP_NONE;
            size_t bytes = builder_seal(&builder, &stamp).count;
            err = member_append(member, bytes, 0, ret_proposal, NULL);
            member_unreserve(member);
        }
        if (err != PYR_ERR_BUSY) {
            return err;
        }
        cluster_turn();
    }
    return PYR_ERR_BUSY;
}

static bool is_level(void)
{
    int64_t committed = -1;
    for (int number = 0; number < NODES; number++) {
        const struct node *node = &nodes[number];
        if (!node->member) {
            continue;
        }
        bool is_alike = committed < 0 || node->log->offset_committed == committed;
        committed = node->log->offset_committed;
        if (!is_alike || node->log->offset_committed != node->log->offset_end) {
            return false;
        }
    }
    return true;
}

static void level_wait(void)
{
    for (int round = 0; round < ROUNDS_MAX && (leader() < 0 || !is_level()); round++) {
        cluster_turn();
    }
    CHECK(is_level());
}

/* Read all that is committed at @number; return the bytes in a fresh allocation. */
static uint8_t *log_read(int number, size_t *ret_count)
{
    static uint8_t buffer[64 << 10];
    struct partition *log = nodes[number].log;
    uint8_t *data = malloc(LOG_BYTES_MAX);
    assert_non_null(data);
    struct cache_place place = {0};
    int64_t offset = 0;
    *ret_count = 0;
    while (offset < log->offset_committed) {
        struct partition_view view;
        struct segment_run run = {0};
        assert_int_equal(partition_view_take(log, offset, &place, &view, NULL), PYR_OK);
        if (view.kind == PARTITION_VIEW_CACHE) {
            run.data = view.data;
            run.offset_next = view.offset_next;
        } else {
            const struct segment_read want = {.offset = offset,
                                              .offset_end = view.offset_end,
                                              .bytes_max = sizeof buffer,
                                              .buffer = {buffer, sizeof buffer}};
            assert_int_equal(segment_view_read(&view.segment, &want, &run, NULL), PYR_OK);
        }
        assert_true(run.data.count > 0 && *ret_count + run.data.count <= LOG_BYTES_MAX);
        memcpy(data + *ret_count, run.data.data, run.data.count);
        *ret_count += run.data.count;
        offset = run.offset_next;
        partition_view_release(log, &view);
    }
    return data;
}

/* All members that are up have the same bytes. */
static void logs_check(void)
{
    uint8_t *first = NULL;
    size_t first_count = 0;
    for (int number = 0; number < NODES; number++) {
        if (!nodes[number].member) {
            continue;
        }
        size_t count = 0;
        uint8_t *data = log_read(number, &count);
        if (first) {
            CHECK_INT(count, first_count);
            CHECK(count == first_count && memcmp(data, first, count) == 0);
            free(data);
        } else {
            first = data;
            first_count = count;
        }
    }
    free(first);
}

/* -- The cases -- */

/* The whole way once: elected, appended, durable on two, committed on three, and so after all of
 * them fell and came back. */
TEST(member, takes_an_append_to_all_disks)
{
    cluster_begin(2, 0);
    struct member_proposal proposal = {0};
    int lead = leader_wait();

    enum pyr_err err = append(lead, 1, &proposal);
    CHECK_INT(err, PYR_OK);
    CHECK_INT(member_fate(nodes[lead].member, &proposal), MEMBER_FATE_OPEN);
    level_wait();

    CHECK_INT(member_fate(nodes[lead].member, &proposal), MEMBER_FATE_COMMITTED);
    CHECK(member_lease_holds(nodes[lead].member));
    CHECK_INT(append((lead + 1) % NODES, 2, &proposal), PYR_ERR_NOT_LEADER);
    logs_check();
    int64_t committed = nodes[lead].log->offset_committed;
    for (int number = 0; number < NODES; number++) {
        node_stop(number, true);
    }
    for (int number = 0; number < NODES; number++) {
        node_start(number);
    }
    (void)leader_wait();
    level_wait();
    CHECK(nodes[0].log->offset_committed > committed); /* And an opening batch. */
    logs_check();
    cluster_end();
}

/* What a leader appended while nobody heard it gives way, in journal and cache, and its fate says
 * so. */
TEST(member, cuts_what_a_newer_leader_does_not_have)
{
    cluster_begin(2, 0);
    struct member_proposal kept = {0};
    struct member_proposal lost = {0};
    int old = leader_wait();
    assert_int_equal(append(old, 1, &kept), PYR_OK);
    level_wait();

    nodes[old].is_cut = true;
    assert_int_equal(append(old, 2, &lost), PYR_OK);
    assert_int_equal(append(old, 3, &lost), PYR_OK);
    int new = leader_wait();
    CHECK(new != old);
    assert_int_equal(append(new, 4, &kept), PYR_OK);
    nodes[old].is_cut = false;
    level_wait();

    CHECK_INT(member_fate(nodes[old].member, &lost), MEMBER_FATE_LOST);
    CHECK_INT(member_fate(nodes[new].member, &kept), MEMBER_FATE_COMMITTED);
    CHECK(member_counts(nodes[old].member)->cuts > 0);
    logs_check();
    node_stop(old, true); /* The cut is in the journal. */
    node_start(old);
    level_wait();
    logs_check();
    cluster_end();
}

/* A batch that is being built when the lead is lost must not go into the log of another's epoch. */
TEST(member, takes_the_room_back_with_the_lead)
{
    cluster_begin(2, 0);
    int old = leader_wait();
    struct bytes_mut room;
    struct member_proposal proposal = {0};
    nodes[old].is_cut = true;
    assert_int_equal(append(old, 1, &proposal), PYR_OK);
    assert_int_equal(member_reserve(nodes[old].member, 100, &room, NULL), PYR_OK);
    (void)leader_wait();

    nodes[old].is_cut = false;
    level_wait();

    CHECK_INT(member_append(nodes[old].member, 100, 0, &proposal, NULL), PYR_ERR_NOT_LEADER);
    logs_check();
    cluster_end();
}

/* A follower that was away gets from the segments what the leader's cache has no more. */
TEST(member, feeds_a_late_follower_from_segments)
{
    cluster_begin(2, 128 << 10);
    int lead = leader_wait();
    int late = (lead + 1) % NODES;
    node_stop(late, false);
    struct member_proposal proposal = {0};
    for (uint64_t value = 0; value < 200; value++) {
        assert_int_equal(append(lead, value, &proposal), PYR_OK);
    }

    node_start(late);
    level_wait();

    CHECK(member_counts(nodes[leader()].member)->segment_reads > 0);
    CHECK_INT(member_counts(nodes[leader()].member)->segment_read_errors, 0);
    CHECK(member_counts(nodes[late].member)->appends > 0);
    logs_check();
    cluster_end();
}

/* A follower whose cache is smaller than what comes makes room by the commit that came with it. */
TEST(member, waits_for_room_and_goes_on)
{
    cluster_begin(3, 64 << 10);
    int lead = leader_wait();
    struct member_proposal proposal = {0};
    uint64_t waits = 0;
    for (uint64_t value = 0; value < 300; value++) {
        assert_int_equal(append(lead, value, &proposal), PYR_OK);
    }
    level_wait();

    for (int number = 0; number < NODES; number++) {
        waits += member_counts(nodes[number].member)->waits;
        CHECK_INT(member_health(nodes[number].member, NULL), PYR_OK);
    }
    (void)printf("# waited %" PRIu64 " times\n", waits);
    CHECK_INT(member_fate(nodes[lead].member, &proposal), MEMBER_FATE_COMMITTED);
    logs_check();
    cluster_end();
}

/* A read at a follower sees what was acknowledged before it began, also right after a failover, and
 * says nothing while a quorum is out of reach. */
TEST(member, reads_by_quorum_at_a_follower)
{
    cluster_begin(2, 0);
    int lead = leader_wait();
    int other = (lead + 1) % NODES;
    struct member_proposal proposal = {0};
    struct member_read read;
    assert_int_equal(append(lead, 1, &proposal), PYR_OK);
    while (member_fate(nodes[lead].member, &proposal) == MEMBER_FATE_OPEN) {
        cluster_turn();
    }

    assert_int_equal(member_read_begin(nodes[other].member, &read, NULL), PYR_OK);
    CHECK_INT(member_read_step(nodes[other].member, &read), READS_ASKING);
    while (member_read_step(nodes[other].member, &read) != READS_DONE) {
        cluster_turn();
    }
    member_read_end(nodes[other].member, &read);

    CHECK(nodes[other].log->offset_committed >= proposal.offset_end);
    nodes[lead].is_cut = true;
    nodes[(lead + 2) % NODES].is_cut = true;
    assert_int_equal(member_read_begin(nodes[other].member, &read, NULL), PYR_OK);
    for (int turn = 0; turn < 200; turn++) {
        cluster_turn();
        CHECK_INT(member_read_step(nodes[other].member, &read), READS_ASKING);
    }
    member_read_end(nodes[other].member, &read);
    cluster_end();
}

/* Without a clock: a round of beats sent after the read began says that it still leads; one who is
 * cut off never gets it. */
TEST(member, reads_behind_a_barrier)
{
    cluster_begin(2, 0);
    int lead = leader_wait();
    level_wait();
    uint64_t since_ns = io_now_mono_ns(nodes[lead].life.io);

    CHECK(!member_barrier_holds(nodes[lead].member, since_ns + 1));
    for (int turn = 0; turn < 50; turn++) {
        cluster_turn();
    }
    CHECK(member_barrier_holds(nodes[lead].member, since_ns + 1));

    nodes[lead].is_cut = true;
    since_ns = io_now_mono_ns(nodes[lead].life.io);
    for (int turn = 0; turn < 500; turn++) {
        cluster_turn();
        CHECK(!member_barrier_holds(nodes[lead].member, since_ns + 1));
    }
    cluster_end();
}

/* MEM-3: a batch that lost a bit on its way is not followed, and comes again. */
TEST(member, refuses_damaged_batches)
{
    cluster_begin(3, 0);
    int lead = leader_wait();
    level_wait();
    corrupt_next = 3;
    struct member_proposal proposal = {0};

    assert_int_equal(append(lead, 1, &proposal), PYR_OK);
    level_wait();

    uint64_t bad = 0;
    for (int number = 0; number < NODES; number++) {
        bad += member_counts(nodes[number].member)->letters_bad;
    }
    CHECK_INT(bad, 3);
    logs_check();
    cluster_end();
}

/* A replica is one, or it is not: a log opened as the other would be written by two. */
TEST(member, is_not_opened_alone_or_as_another_log)
{
    cluster_begin(2, 0);
    level_wait();
    node_stop(0, false);
    struct shard_life *life = &nodes[0].life;
    shard_case_init(life, nodes[0].disk, 5);
    life->mask = 0;
    assert_int_equal(shard_case_open(life), PYR_OK);
    struct partition *log = NULL;
    struct partition_options options = {.is_cached = true};

    enum pyr_err alone = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);
    options.is_replicated = true;
    enum pyr_err foreign = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);
    options.id.value[0] = 7;
    options.id.value[1] = 7;
    options.retention_ms = 1000;
    enum pyr_err aging = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);

    CHECK_INT(alone, PYR_ERR_INVALID);
    CHECK_INT(foreign, PYR_ERR_FOREIGN);
    CHECK_INT(aging, PYR_ERR_UNSUPPORTED);
    shard_case_end(life);
    cluster_end();
}
