/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault/member_case - starting, stopping and turning three members.
 */
#include "fault/member_case.h"

#include <stdio.h>

#include "lib/case.h"
#include "partition/shard_inner.h"
#include "record/builder.h"
#include "segment/read.h"

enum {
    LOG_BYTES_MAX = 4 << 20,
    VALUE_BYTES = 3000,
};

#define TIMEOUT_NS UINT64_C(50000000)

struct members members;

/* -- The cluster -- */

static int node_of(const struct quorum_member *member)
{
    return (int)member->node.value - 1;
}

static void node_send(void *ctx, const struct quorum_member *to, const struct member_letter *letter)
{
    struct member_node *node = ctx;
    if (node->is_cut || members.letter_count == MEMBERS_LETTERS_MAX) {
        return; /* Lost, as on any network. */
    }
    struct member_on_way *kept = &members.letters[members.letter_count++];
    *kept = (struct member_on_way){.from = node->number, .to = node_of(to), .letter = *letter};
    if (letter->batches.count > 0) {
        kept->batches = malloc(letter->batches.count);
        assert_non_null(kept->batches);
        memcpy(kept->batches, letter->batches.data, letter->batches.count);
        kept->letter.batches.data = kept->batches;
    }
}

void members_start(int number)
{
    struct member_node *node = &members.nodes[number];
    shard_case_init(&node->life, node->disk, (uint64_t)number + 1 + 7 * node->starts);
    node->life.mask = 0;
    node->life.cache_bytes_max = members.cache_bytes;
    const struct partition_options options = {.policy = PARTITION_POLICY_ALWAYS,
                                              .is_cached = true,
                                              .is_replicated = true,
                                              .id = {.value = {7, 7}},
                                              .segment_bytes = members.segment_bytes};
    assert_int_equal(shard_case_open(&node->life), PYR_OK);
    assert_int_equal(
        shard_partition_open(node->life.shard, "replica-0", &options, &node->log, NULL), PYR_OK);
    const struct member_options member = {.config = &members.config,
                                          .self = members.config.voters[number],
                                          .incarnation = ++node->starts,
                                          .run = node->starts,
                                          .timeout_ns = TIMEOUT_NS,
                                          .seed = (uint64_t)number + 99 * node->starts,
                                          .fold_save_bytes = members.fold_save_bytes,
                                          .send = node_send,
                                          .ctx = node};
    assert_int_equal(member_open(node->log, &member, &node->member, NULL), PYR_OK);
    node->is_cut = false;
}

void members_stop(int number, bool is_crash)
{
    struct member_node *node = &members.nodes[number];
    if (!node->member) {
        return;
    }
    if (!is_crash) {
        member_stop(node->member);
    }
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

void members_begin(int32_t write_quorum, uint64_t cache)
{
    members.cache_bytes = cache;
    members.segment_bytes = 64 << 10;
    members.fold_save_bytes = 0;
    members.letter_count = 0;
    members.corrupt_next = 0;
    members.config = (struct quorum_config){.rules = {.voter_count = MEMBERS,
                                                      .write_quorum = write_quorum,
                                                      .read_quorum = MEMBERS + 1 - write_quorum}};
    for (int number = 0; number < MEMBERS; number++) {
        members.config.voters[number] =
            (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
        members.nodes[number] = (struct member_node){.number = number, .disk = sim_disk_create()};
    }
    for (int number = 0; number < MEMBERS; number++) {
        members_start(number);
    }
}

void members_end(void)
{
    for (int number = 0; number < MEMBERS; number++) {
        members_stop(number, false);
        sim_disk_destroy(members.nodes[number].disk);
    }
    for (uint32_t index = 0; index < members.letter_count; index++) {
        free(members.letters[index].batches);
    }
}

/* Deliver the first letter; what is not taken now comes again behind the others. */
static void letter_deliver(void)
{
    struct member_on_way letter = members.letters[0];
    members.letter_count--;
    memmove(members.letters, members.letters + 1, members.letter_count * sizeof members.letters[0]);
    struct member_node *node = &members.nodes[letter.to];
    bool is_lost = !node->member || node->is_cut;
    enum pyr_err err = PYR_OK;
    if (!is_lost && members.corrupt_next > 0 && letter.letter.batches.count > 0) {
        letter.batches[letter.letter.batches.count - 1] ^= 1;
        members.corrupt_next--;
    }
    if (!is_lost) {
        err = member_receive(node->member, &letter.letter, NULL);
    }
    if (err == PYR_ERR_BUSY && members.letter_count < MEMBERS_LETTERS_MAX) {
        members.letters[members.letter_count++] = letter;
        return;
    }
    free(letter.batches);
}

static void beats(int number)
{
    int32_t epoch = 0;
    struct member_node *node = &members.nodes[number];
    if (!node->member || !member_leads(node->member, &epoch) || node->is_cut) {
        return;
    }
    uint64_t sent_ns = io_now_mono_ns(node->life.io);
    for (int other = 0; other < MEMBERS; other++) {
        bool is_there =
            other != number && members.nodes[other].member && !members.nodes[other].is_cut;
        if (is_there && member_heard(members.nodes[other].member, &members.config.voters[number],
                                     epoch, node->log->offset_committed)) {
            member_confirmed(node->member, &members.config.voters[other], epoch, sent_ns);
        }
    }
}

/* Clocks stay together: who is behind goes first. */
void members_turn(void)
{
    int number = -1;
    for (int other = 0; other < MEMBERS; other++) {
        bool is_behind = members.nodes[other].member &&
                         (number < 0 || io_now_mono_ns(members.nodes[other].life.io) <
                                            io_now_mono_ns(members.nodes[number].life.io));
        number = is_behind ? other : number;
    }
    shard_case_turn(&members.nodes[number].life);
    member_step(members.nodes[number].member);
    beats(number);
    for (uint32_t count = members.letter_count; count > 0 && members.letter_count > 0; count--) {
        letter_deliver();
    }
}

int members_lead(void)
{
    for (int number = 0; number < MEMBERS; number++) {
        struct member_node *node = &members.nodes[number];
        int32_t epoch = 0;
        if (node->member && !node->is_cut && member_leads(node->member, &epoch) &&
            replica_takes_proposals(member_replica(node->member))) {
            return number;
        }
    }
    return -1;
}

int members_lead_wait(void)
{
    for (int round = 0; round < MEMBERS_ROUNDS_MAX && members_lead() < 0; round++) {
        members_turn();
    }
    CHECK(members_lead() >= 0);
    return members_lead();
}

enum pyr_err members_append(int number, uint64_t value, struct member_proposal *ret_proposal)
{
    uint8_t data[VALUE_BYTES];
    memset(data, (int)value & 0xff, sizeof data);
    struct record record = {.timestamp = (int64_t)value, .value = {data, sizeof data}};
    struct member *member = members.nodes[number].member;
    for (int round = 0; round < MEMBERS_ROUNDS_MAX; round++) {
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
        members_turn();
    }
    return PYR_ERR_BUSY;
}

static bool is_level(void)
{
    int64_t committed = -1;
    for (int number = 0; number < MEMBERS; number++) {
        const struct member_node *node = &members.nodes[number];
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

void members_level_wait(void)
{
    for (int round = 0; round < MEMBERS_ROUNDS_MAX && (members_lead() < 0 || !is_level());
         round++) {
        members_turn();
    }
    CHECK(is_level());
}

uint8_t *members_read(int number, size_t *ret_count)
{
    static uint8_t buffer[64 << 10];
    struct partition *log = members.nodes[number].log;
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

void members_check(void)
{
    uint8_t *first = NULL;
    size_t first_count = 0;
    for (int number = 0; number < MEMBERS; number++) {
        if (!members.nodes[number].member) {
            continue;
        }
        size_t count = 0;
        uint8_t *data = members_read(number, &count);
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
