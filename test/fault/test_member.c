/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a replicated log, each with a real shard on a simulated disk of its own, and letters
 * carried by hand between them.
 *
 * This covers partition/member.c, partition/effects.c, partition/feed.c, partition/propose.c and
 * partition/member_read.c, partition/member_epochs.c: what the core decides is really done to the
 * log, and what becomes of the log is really told. What a network and crashes do to it is the
 * simulator's business (test/sim); here each way is walked once, on purpose.
 */
#include <inttypes.h>
#include <stdio.h>

#include "fault/member_case.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/shard_inner.h"

/* -- The cases -- */

static void nothing_send(void *ctx,
                         const struct quorum_member *to,
                         const struct member_letter *letter)
{
    (void)ctx;
    (void)to;
    (void)letter;
}

/* The whole way once: elected, appended, durable on two, committed on three, and so after all of
 * them fell and came back. */
TEST(member, takes_an_append_to_all_disks)
{
    members_begin(2, 0);
    struct member_proposal proposal = {0};
    int lead = members_lead_wait();

    enum pyr_err err = members_append(lead, 1, &proposal);
    CHECK_INT(err, PYR_OK);
    CHECK_INT(member_fate(members.nodes[lead].member, &proposal), MEMBER_FATE_OPEN);
    members_level_wait();

    CHECK_INT(member_fate(members.nodes[lead].member, &proposal), MEMBER_FATE_COMMITTED);
    CHECK(member_lease_holds(members.nodes[lead].member));
    CHECK_INT(members_append((lead + 1) % MEMBERS, 2, &proposal), PYR_ERR_NOT_LEADER);
    members_check();
    int64_t committed = members.nodes[lead].log->offset_committed;
    for (int number = 0; number < MEMBERS; number++) {
        members_stop(number, true);
    }
    for (int number = 0; number < MEMBERS; number++) {
        members_start(number);
    }
    (void)members_lead_wait();
    members_level_wait();
    CHECK(members.nodes[0].log->offset_committed > committed); /* And an opening batch. */
    members_check();
    members_end();
}

/* What a leader appended while nobody heard it gives way, in journal and cache, and its fate says
 * so. */
TEST(member, cuts_what_a_newer_leader_does_not_have)
{
    members_begin(2, 0);
    struct member_proposal kept = {0};
    struct member_proposal lost = {0};
    int old = members_lead_wait();
    assert_int_equal(members_append(old, 1, &kept), PYR_OK);
    members_level_wait();

    members.nodes[old].is_cut = true;
    assert_int_equal(members_append(old, 2, &lost), PYR_OK);
    CHECK_INT(member_fate(members.nodes[old].member, &lost), MEMBER_FATE_OPEN);
    int new = members_lead_wait();
    CHECK(new != old);
    assert_int_equal(members_append(new, 4, &kept), PYR_OK);
    members.nodes[old].is_cut = false;
    members_level_wait();

    CHECK_INT(member_fate(members.nodes[old].member, &lost), MEMBER_FATE_LOST);
    CHECK_INT(member_fate(members.nodes[new].member, &kept), MEMBER_FATE_COMMITTED);
    CHECK(member_counts(members.nodes[old].member)->cuts > 0);
    members_check();
    members_stop(old, true); /* The cut is in the journal. */
    members_start(old);
    members_level_wait();
    members_check();
    members_end();
}

/* Whoever waits for the fate of an append must not wait for ever in a log to which nobody appends
 * any more: behind what is committed of a newer epoch nothing older can stand. */
TEST(member, knows_the_fate_of_what_lay_behind_the_end_of_a_quiet_log)
{
    members_begin(2, 0);
    struct member_proposal first = {0};
    struct member_proposal far = {0};
    int old = members_lead_wait();
    members_level_wait();

    members.nodes[old].is_cut = true;
    assert_int_equal(members_append(old, 8, &first), PYR_OK);
    assert_int_equal(members_append(old, 1, &far), PYR_OK);
    int new = members_lead_wait();
    CHECK(new != old);
    members.nodes[old].is_cut = false;
    members_level_wait();

    CHECK(members.nodes[old].log->offset_end <= far.offset);
    CHECK_INT(member_fate(members.nodes[old].member, &first), MEMBER_FATE_LOST);
    CHECK_INT(member_fate(members.nodes[old].member, &far), MEMBER_FATE_LOST);
    members_end();
}

/* Each of many who wait is told once, in the order of their appends, and what became of it. */
TEST(member, tells_those_who_wait_in_order)
{
    members_begin(2, 0);
    struct member_waiter waiters[8] = {0};
    int old = members_lead_wait();
    for (uint64_t index = 0; index < 8; index++) {
        members.nodes[old].is_cut = index >= 5;
        assert_int_equal(members_append(old, index, &waiters[index].proposal), PYR_OK);
        member_wait(members.nodes[old].member, &waiters[index]);
        while (index == 4 && member_settled(members.nodes[old].member) != &waiters[4]) {
            members_turn();
        }
    }
    CHECK(!member_settled(members.nodes[old].member));
    (void)members_lead_wait();
    members.nodes[old].is_cut = false;
    members_level_wait();

    for (int index = 5; index < 8; index++) {
        CHECK(member_settled(members.nodes[old].member) == &waiters[index]);
        CHECK_INT(waiters[index].fate, MEMBER_FATE_LOST);
        CHECK_INT(waiters[index - 5].fate, MEMBER_FATE_COMMITTED);
    }
    CHECK(!member_settled(members.nodes[old].member));
    members_end();
}

/* A batch that is being built when the lead is lost must not go into the log of another's epoch. */
TEST(member, takes_the_room_back_with_the_lead)
{
    members_begin(2, 0);
    int old = members_lead_wait();
    struct bytes_mut room;
    struct member_proposal proposal = {0};
    members.nodes[old].is_cut = true;
    assert_int_equal(members_append(old, 1, &proposal), PYR_OK);
    assert_int_equal(member_reserve(members.nodes[old].member, 100, &room, NULL), PYR_OK);
    (void)members_lead_wait();

    members.nodes[old].is_cut = false;
    members_level_wait();

    CHECK_INT(member_append(members.nodes[old].member, 100, 0, &proposal, NULL),
              PYR_ERR_NOT_LEADER);
    members_check();
    members_end();
}

/* A follower that was away gets from the segments what the leader's cache has no more. */
TEST(member, feeds_a_late_follower_from_segments)
{
    members_begin(2, 128 << 10);
    int lead = members_lead_wait();
    int late = (lead + 1) % MEMBERS;
    members_stop(late, false);
    struct member_proposal proposal = {0};
    for (uint64_t value = 0; value < 200; value++) {
        assert_int_equal(members_append(lead, value, &proposal), PYR_OK);
    }

    members_start(late);
    members_level_wait();

    CHECK(member_counts(members.nodes[members_lead()].member)->segment_reads > 0);
    CHECK_INT(member_counts(members.nodes[members_lead()].member)->segment_read_errors, 0);
    CHECK(member_counts(members.nodes[late].member)->appends > 0);
    members_check();
    members_end();
}

/* A follower whose cache is smaller than what comes makes room by the commit that came with it. */
TEST(member, waits_for_room_and_goes_on)
{
    members_begin(3, 64 << 10);
    int lead = members_lead_wait();
    struct member_proposal proposal = {0};
    uint64_t waits = 0;
    for (uint64_t value = 0; value < 300; value++) {
        assert_int_equal(members_append(lead, value, &proposal), PYR_OK);
    }
    members_level_wait();

    for (int number = 0; number < MEMBERS; number++) {
        waits += member_counts(members.nodes[number].member)->waits;
        CHECK_INT(member_health(members.nodes[number].member, NULL), PYR_OK);
    }
    (void)printf("# waited %" PRIu64 " times\n", waits);
    CHECK_INT(member_fate(members.nodes[lead].member, &proposal), MEMBER_FATE_COMMITTED);
    members_check();
    members_end();
}

/* A read at a follower sees what was acknowledged before it began, also right after a failover, and
 * says nothing while a quorum is out of reach. */
TEST(member, reads_by_quorum_at_a_follower)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    int other = (lead + 1) % MEMBERS;
    struct member_proposal proposal = {0};
    struct member_read read;
    assert_int_equal(members_append(lead, 1, &proposal), PYR_OK);
    while (member_fate(members.nodes[lead].member, &proposal) == MEMBER_FATE_OPEN) {
        members_turn();
    }

    assert_int_equal(member_read_begin(members.nodes[other].member, &read, NULL), PYR_OK);
    CHECK_INT(member_read_step(members.nodes[other].member, &read), READS_ASKING);
    while (member_read_step(members.nodes[other].member, &read) != READS_DONE) {
        members_turn();
    }
    member_read_end(members.nodes[other].member, &read);

    CHECK(members.nodes[other].log->offset_committed >= proposal.offset_end);
    members.nodes[lead].is_cut = true;
    members.nodes[(lead + 2) % MEMBERS].is_cut = true;
    assert_int_equal(member_read_begin(members.nodes[other].member, &read, NULL), PYR_OK);
    for (int turn = 0; turn < 200; turn++) {
        members_turn();
        CHECK_INT(member_read_step(members.nodes[other].member, &read), READS_ASKING);
    }
    member_read_end(members.nodes[other].member, &read);
    members_end();
}

/* The core of a late follower knows what is committed before its log has room for it: a read is
 * done when the log shows it. */
TEST(member, reads_nothing_old_while_its_log_waits_for_room)
{
    members_begin(2, 64 << 10);
    members.segment_bytes = 4 << 20; /* One read may bring more than the cache takes. */
    for (int number = 0; number < MEMBERS; number++) {
        members_stop(number, false);
        members_start(number);
    }
    int lead = members_lead_wait();
    int late = (lead + 1) % MEMBERS;
    members_stop(late, false);
    struct member_proposal proposal = {0};
    for (uint64_t value = 0; value < 60; value++) {
        assert_int_equal(members_append(lead, value, &proposal), PYR_OK);
    }
    while (member_fate(members.nodes[lead].member, &proposal) == MEMBER_FATE_OPEN) {
        members_turn();
    }
    members_start(late);

    for (int count = 0; count < 20; count++) {
        struct member *member = members.nodes[late].member;
        struct member_read read;
        assert_int_equal(member_read_begin(member, &read, NULL), PYR_OK);
        while (member_read_step(member, &read) != READS_DONE) {
            members_turn();
        }
        member_read_end(member, &read);
        CHECK(members.nodes[late].log->offset_committed >= proposal.offset_end);
        members_turn();
    }

    CHECK(member_counts(members.nodes[late].member)->waits > 0);
    members_end();
}

/* Who waits for room gives its vote all the same: the leader whose commit would make room has
 * fallen, and two of three must find another. */
TEST(member, elects_while_it_waits_for_room)
{
    members_begin(2, 1 << 20);
    int lead = members_lead_wait();
    members_level_wait();
    int small = (lead + 1) % MEMBERS;
    int third = (lead + 2) % MEMBERS;
    struct member_proposal proposal = {0};
    members_stop(small, false);
    members_stop(third, false);
    members.cache_bytes = 64 << 10;
    members_start(small);
    for (int turn = 0; turn < 50; turn++) {
        members_turn();
    }
    for (uint64_t value = 0; value < 16; value++) {
        assert_int_equal(members_append(lead, value, &proposal), PYR_OK);
    }

    for (int turn = 0; turn < 20 && member_counts(members.nodes[small].member)->waits == 0;
         turn++) {
        members_turn();
    }
    CHECK(member_counts(members.nodes[small].member)->waits > 0);
    members_stop(lead, true);
    members_start(third);

    int next = members_lead_wait();
    CHECK(next != lead);
    CHECK_INT(members_append(next, 99, &proposal), PYR_OK);
    members_level_wait();
    members_start(lead);
    members_level_wait();
    members_check();
    members_end();
}

/* What is not committed has to be kept at a start, however little memory the node has now. */
TEST(member, starts_with_a_smaller_cache_than_it_needs)
{
    members_begin(2, 1 << 20);
    int lead = members_lead_wait();
    members_level_wait();
    struct member_proposal proposal = {0};
    members_stop((lead + 1) % MEMBERS, false);
    members_stop((lead + 2) % MEMBERS, false);
    for (uint64_t value = 0; value < 60; value++) {
        assert_int_equal(members_append(lead, value, &proposal), PYR_OK);
    }
    for (int turn = 0; turn < 20; turn++) {
        members_turn(); /* Durable at home. */
    }
    int64_t end = members.nodes[lead].log->offset_end;

    members_stop(lead, true);
    members.cache_bytes = 64 << 10;
    for (int number = 0; number < MEMBERS; number++) {
        members_start(number);
    }

    CHECK_INT(members.nodes[lead].log->offset_end, end);
    members_level_wait();
    members_check();
    members_end();
}

/* Without a clock: a round of beats sent after the read began says that it still leads; one who is
 * cut off never gets it. */
TEST(member, reads_behind_a_barrier)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    members_level_wait();
    uint64_t since_ns = io_now_mono_ns(members.nodes[lead].life.io);

    CHECK(!member_barrier_holds(members.nodes[lead].member, since_ns + 1));
    for (int turn = 0; turn < 50; turn++) {
        members_turn();
    }
    CHECK(member_barrier_holds(members.nodes[lead].member, since_ns + 1));

    members.nodes[lead].is_cut = true;
    since_ns = io_now_mono_ns(members.nodes[lead].life.io);
    for (int turn = 0; turn < 500; turn++) {
        members_turn();
        CHECK(!member_barrier_holds(members.nodes[lead].member, since_ns + 1));
    }
    members_end();
}

/* A leader without space takes nothing, although others have room: it lets one of them lead. */
TEST(member, hands_over_when_its_disk_is_full)
{
    members_begin(2, 0);
    int old = members_lead_wait();
    struct member_proposal proposal = {0};
    sim_disk_set_space(members.nodes[old].disk, 0);

    for (int turn = 0; turn < 5000 && members_lead() == old; turn++) {
        if (turn < 20) {
            enum pyr_err err = members_append(old, (uint64_t)turn, &proposal);
            CHECK(err == PYR_OK || err == PYR_ERR_DISK_FULL || err == PYR_ERR_NOT_LEADER);
        }
        members_turn();
    }
    int new = members_lead_wait();

    CHECK(new != old);
    CHECK_INT(members_append(new, 99, &proposal), PYR_OK);
    for (int turn = 0;
         turn < 5000 && member_fate(members.nodes[new].member, &proposal) == MEMBER_FATE_OPEN;
         turn++) {
        members_turn();
    }
    CHECK_INT(member_fate(members.nodes[new].member, &proposal), MEMBER_FATE_COMMITTED);
    sim_disk_set_space(members.nodes[old].disk, UINT64_MAX);
    members_level_wait();
    members_check();
    members_end();
}

/* A letter may come when the store has failed and nobody has told the member: it fails, with the
 * store's reason, and the process goes on. */
TEST(member, fails_when_a_letter_finds_its_store_failed)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    members_level_wait();
    struct member_node *node = &members.nodes[(lead + 1) % MEMBERS];
    struct pyr_error error = {0};
    (void)err_set(&error, PYR_ERR_IO, "the disk is gone");
    struct member_proposal proposal = {0};
    shard_fail(node->life.shard, &error);

    assert_int_equal(members_append(lead, 1, &proposal), PYR_OK);
    for (uint32_t index = 0; index < members.letter_count; index++) {
        if (members.letters[index].to == node->number) {
            enum pyr_err err = member_receive(node->member, &members.letters[index].letter, NULL);
            CHECK(err == PYR_OK || err == PYR_ERR_FAILED);
        }
    }

    CHECK_INT(member_health(node->member, &error), PYR_ERR_FAILED);
    CHECK(strstr(error.message, "the disk is gone"));
    members_stop(node->number, true);
    members_level_wait();
    members_end();
}

/* MEM-3: a batch that lost a bit on its way is not followed, and comes again. */
TEST(member, refuses_damaged_batches)
{
    members_begin(3, 0);
    int lead = members_lead_wait();
    members_level_wait();
    members.corrupt_next = 3;
    struct member_proposal proposal = {0};

    assert_int_equal(members_append(lead, 1, &proposal), PYR_OK);
    members_level_wait();

    uint64_t bad = 0;
    for (int number = 0; number < MEMBERS; number++) {
        bad += member_counts(members.nodes[number].member)->letters_bad;
    }
    CHECK_INT(bad, 3);
    members_check();
    members_end();
}

/* Without memory a member is not opened, nothing is left behind, and the next try finds the log as
 * it was. */
TEST(member, is_opened_whole_or_not_at_all)
{
    members_begin(2, 0);
    members_level_wait();
    struct member_node *node = &members.nodes[0];
    const struct member_options options = {.config = &members.config,
                                           .self = members.config.voters[0],
                                           .timeout_ns = 1000000,
                                           .send = nothing_send};
    member_stop(node->member);
    member_close(node->member);
    uint64_t live = io_testing_allocations_live(node->life.io);
    enum pyr_err err = PYR_ERR_NO_MEMORY;
    uint64_t failures = 0;

    while (err == PYR_ERR_NO_MEMORY) {
        CHECK_INT(io_testing_allocations_live(node->life.io), live);
        io_testing_fail_allocation(node->life.io, ++failures);
        err = member_open(node->log, &options, &node->member, NULL);
    }
    io_testing_fail_allocation(node->life.io, 0);

    CHECK_INT(err, PYR_OK);
    CHECK(failures > 4);
    CHECK(member_replica(node->member)->committed > 0);
    members_end();
}

/* A replica is one, or it is not: a log opened as the other would be written by two. */
TEST(member, is_not_opened_alone_or_as_another_log)
{
    members_begin(2, 0);
    members_level_wait();
    members_stop(0, false);
    struct shard_life *life = &members.nodes[0].life;
    shard_case_init(life, members.nodes[0].disk, 5);
    life->mask = 0;
    assert_int_equal(shard_case_open(life), PYR_OK);
    struct partition *log = NULL;
    struct partition_options options = {.is_cached = true};

    enum pyr_err alone = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);
    options.is_replicated = true;
    enum pyr_err foreign = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);
    options.id.value[0] = 7;
    options.id.value[1] = 7;
    options.policy = PARTITION_POLICY_OS;
    enum pyr_err unsynced = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);
    options.policy = PARTITION_POLICY_ALWAYS;
    options.retention_ms = 1000;
    enum pyr_err aging = shard_partition_open(life->shard, "replica-0", &options, &log, NULL);

    CHECK_INT(alone, PYR_ERR_INVALID);
    CHECK_INT(foreign, PYR_ERR_FOREIGN);
    CHECK_INT(unsynced, PYR_ERR_UNSUPPORTED);
    CHECK_INT(aging, PYR_ERR_UNSUPPORTED);
    shard_case_end(life);
    members_end();
}
