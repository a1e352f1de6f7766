/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Producers, tokens, expected ends and receipts at three members: what is known survives cuts,
 * failovers and starts.
 *
 * This covers partition/judge.c and partition/member_fold.c.
 */
#include <inttypes.h>

#include "fault/member_case.h"
#include "io/testing.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "record/builder.h"

enum { VALUE_BYTES = 700, NO = CONDITION_NONE };

/* What a client sends. */
struct ask {
    int64_t id; /* PRODUCER_NO_ID: no producer. */
    int32_t sequence;
    int32_t count;
    int64_t token;
    int64_t expected_end;
};

static struct ask of(int64_t id, int32_t sequence, int32_t count)
{
    return (struct ask){id, sequence, count, NO, NO};
}

/* Append once what @ask says at @number. */
static enum pyr_err try(int number, const struct ask *ask, struct member_answer *ret_answer)
{
    uint8_t data[VALUE_BYTES] = {0};
    struct member *member = members.nodes[number].member;
    struct bytes_mut room;
    size_t room_bytes = (size_t)ask->count * (VALUE_BYTES + 20) + 100;
    enum pyr_err err = member_reserve(member, room_bytes, &room, NULL);
    if (err != PYR_OK) {
        return err;
    }
    struct builder builder;
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    const struct record record = {.timestamp = 5, .value = {data, sizeof data}};
    builder_init(&builder, room);
    for (int32_t index = 0; index < ask->count; index++) {
        assert_int_equal(builder_add(&builder, &record, NULL), PYR_OK);
    }
    if (ask->id != PRODUCER_NO_ID) {
        stamp.producer_id = ask->id;
        stamp.producer_epoch = 0;
        stamp.base_sequence = ask->sequence;
    }
    size_t bytes = builder_seal(&builder, &stamp).count;
    const struct member_request request = {ask->token, ask->expected_end, 0};
    err = member_append_if(member, bytes, &request, ret_answer, NULL);
    member_unreserve(member);
    return err;
}

/* Likewise, and wait while the log is busy. */
static struct member_answer ask(int number, struct ask ask)
{
    struct member_answer answer = {0};
    enum pyr_err err = try(number, &ask, &answer);
    for (int round = 0; err == PYR_ERR_BUSY && round < MEMBERS_ROUNDS_MAX; round++) {
        members_turn();
        err = try(number, &ask, &answer);
    }
    CHECK_INT(err, PYR_OK);
    return answer;
}

static struct member_answer raise_token(int number, int64_t token)
{
    struct member_answer answer = {0};
    enum pyr_err err = PYR_ERR_BUSY;
    for (int round = 0; err == PYR_ERR_BUSY && round < MEMBERS_ROUNDS_MAX; round++) {
        err = member_raise_token(members.nodes[number].member, token, &answer, NULL);
        members_turn();
    }
    CHECK_INT(err, PYR_OK);
    return answer;
}

static enum member_fate fate(int number, const struct member_answer *answer)
{
    return member_answer_fate(members.nodes[number].member, answer);
}

static void fate_wait(int number, const struct member_answer *answer, enum member_fate wanted)
{
    for (int round = 0; round < 2000 && fate(number, answer) == MEMBER_FATE_OPEN; round++) {
        members_turn();
    }
    CHECK_INT(fate(number, answer), wanted);
}

/* FOL-1: each member knows what a plain fold over its log gives; all is committed. */
static void folds_check(void)
{
    members_level_wait();
    members_check();
    for (int number = 0; number < MEMBERS; number++) {
        const struct member_node *node = &members.nodes[number];
        if (!node->member) {
            continue;
        }
        size_t count = 0;
        uint8_t *data = members_read(number, &count);
        struct fold plain;
        fold_init(&plain, node->life.io);
        fold_begin(&plain, 0, INT64_MAX);
        for (size_t at = 0; at < count;) {
            struct batch_header header;
            struct bytes rest = {data + at, count - at};
            assert_int_equal(batch_header_read(rest, &header, NULL), PYR_OK);
            fold_append(&plain, rest, &header);
            at += header.bytes;
        }
        const struct fold *fold = member_fold(node->member);
        CHECK(fold->is_known);
        CHECK(fold->is_known && fold_equal(fold, &plain));
        fold_forget(&plain);
        free(data);
    }
}

/* Cut the leader off, and return who leads then. */
static int fail_over(int old)
{
    members.nodes[old].is_cut = true;
    int new = members_lead_wait();
    CHECK(new != old);
    return new;
}

/* -- Retries -- */

/* PRD-1, across leaders: who did not hear the answer sends again, and gets the offsets of the first
 * try, from whoever leads by then. */
TEST(judge, keeps_the_offsets_of_a_retry_over_a_failover)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member_answer first = ask(lead, of(7, 0, 3));
    struct member_answer second = ask(lead, of(7, 3, 2));
    CHECK_INT(first.verdict, MEMBER_APPENDED);
    CHECK_INT(second.verdict, MEMBER_APPENDED);
    CHECK_INT(second.proposal.offset, first.proposal.offset_end);
    members_level_wait();

    int new = fail_over(lead);
    struct member_answer again = ask(new, of(7, 0, 3));
    struct member_answer next = ask(new, of(7, 5, 1));

    CHECK_INT(again.verdict, MEMBER_REPEATED);
    CHECK_INT(again.proposal.offset, first.proposal.offset);
    CHECK_INT(again.proposal.offset_end, first.proposal.offset_end);
    CHECK_INT(again.proposal.epoch, first.proposal.epoch);
    CHECK_INT(fate(new, &again), MEMBER_FATE_COMMITTED);
    CHECK_INT(next.verdict, MEMBER_APPENDED);
    members.nodes[lead].is_cut = false;
    folds_check();
    members_end();
}

/* What was cut was never there: the retry is appended anew, and the old leader forgets it. */
TEST(judge, appends_anew_what_was_cut)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    (void)ask(lead, of(7, 0, 1));
    members_level_wait();
    members.nodes[lead].is_cut = true;
    struct member_answer lost = ask(lead, of(7, 1, 2));
    struct member_answer repeated = ask(lead, of(7, 1, 2));
    CHECK_INT(lost.verdict, MEMBER_APPENDED);
    CHECK_INT(repeated.verdict, MEMBER_REPEATED);
    CHECK_INT(fate(lead, &repeated), MEMBER_FATE_OPEN); /* PRD-4 */

    int new = members_lead_wait();
    struct member_answer again = ask(new, of(7, 1, 2));
    CHECK_INT(again.verdict, MEMBER_APPENDED);
    members.nodes[lead].is_cut = false;
    folds_check();

    CHECK_INT(fate(lead, &lost), MEMBER_FATE_LOST);
    CHECK_INT(fate(lead, &repeated), MEMBER_FATE_LOST);
    CHECK_INT(fate(new, &again), MEMBER_FATE_COMMITTED);
    members_end();
}

/* A repeat of what is not committed may not be told before it is. */
TEST(judge, holds_an_answer_until_what_it_rests_on_is_committed)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member_answer first = ask(lead, of(7, 0, 1));
    struct member_answer again = ask(lead, of(7, 0, 1));

    CHECK_INT(again.verdict, MEMBER_REPEATED);
    CHECK_INT(fate(lead, &first), MEMBER_FATE_OPEN);
    CHECK_INT(fate(lead, &again), MEMBER_FATE_OPEN);
    fate_wait(lead, &again, MEMBER_FATE_COMMITTED);
    CHECK_INT(fate(lead, &first), MEMBER_FATE_COMMITTED);
    members_end();
}

/* A gap is refused, and takes nothing; it is told only when it is sure that nobody else leads, who
 * might have what is missing. */
TEST(judge, refuses_a_gap_and_says_so_behind_a_barrier)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    (void)ask(lead, of(7, 0, 1));
    members_level_wait();
    int64_t end = members.nodes[lead].log->offset_end;

    struct member_answer gap = ask(lead, of(7, 2, 1));
    CHECK_INT(gap.verdict, MEMBER_GAP);
    CHECK_INT(fate(lead, &gap), MEMBER_FATE_OPEN);
    CHECK_INT(members.nodes[lead].log->offset_end, end);
    fate_wait(lead, &gap, MEMBER_FATE_COMMITTED);

    int new = fail_over(lead);
    (void)ask(new, of(7, 1, 1));
    gap = (struct member_answer){0};
    const struct ask late = of(7, 2, 1);
    enum pyr_err err = try(lead, &late, &gap); /* Who does not know that it was overthrown. */
    if (err == PYR_OK) {
        CHECK_INT(gap.verdict, MEMBER_GAP);
        CHECK(fate(lead, &gap) != MEMBER_FATE_COMMITTED);
        members.nodes[lead].is_cut = false;
        members_level_wait();
        CHECK_INT(fate(lead, &gap), MEMBER_FATE_LOST);
    }
    members.nodes[lead].is_cut = false;
    folds_check();
    members_end();
}

/* -- Conditions -- */

/* CND-1, CND-2: the refusal takes the sequence, here and after a failover, and a repeat gets it
 * again, whatever holds by then. */
TEST(judge, refuses_again_after_a_failover)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member_answer first = ask(lead, of(7, 0, 2));
    struct ask late = of(7, 2, 3);
    late.expected_end = first.proposal.offset;
    struct member_answer refused = ask(lead, late);
    CHECK_INT(refused.verdict, MEMBER_REFUSED);
    CHECK_INT(refused.reason, CONDITION_END);
    CHECK_INT(refused.proposal.offset_end - refused.proposal.offset, 1);
    CHECK_INT(fate(lead, &refused), MEMBER_FATE_OPEN);
    members_level_wait();
    CHECK_INT(fate(lead, &refused), MEMBER_FATE_COMMITTED);

    int new = fail_over(lead);
    late.expected_end = NO; /* It would hold. */
    struct member_answer again = ask(new, late);
    struct ask good = of(7, 5, 1);
    good.expected_end = first.proposal.offset_end; /* Behind it are control batches only. */
    struct member_answer next = ask(new, good);

    CHECK_INT(again.verdict, MEMBER_REFUSED);
    CHECK_INT(again.reason, CONDITION_END);
    CHECK_INT(again.proposal.offset, refused.proposal.offset);
    CHECK_INT(again.proposal.epoch, refused.proposal.epoch);
    CHECK_INT(next.verdict, MEMBER_APPENDED);
    members.nodes[lead].is_cut = false;
    folds_check();
    members_end();
}

/* Without a producer a refusal leaves nothing, and waits for what it rests on. */
TEST(judge, refuses_without_a_producer_and_leaves_nothing)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member_answer first = ask(lead, of(PRODUCER_NO_ID, 0, 1));
    struct ask late = of(PRODUCER_NO_ID, 0, 1);
    late.expected_end = first.proposal.offset;
    int64_t end = members.nodes[lead].log->offset_end;

    struct member_answer refused = ask(lead, late);
    late.expected_end = first.proposal.offset_end;
    struct member_answer good = ask(lead, late);

    CHECK_INT(refused.verdict, MEMBER_REFUSED);
    CHECK_INT(refused.proposal.offset, -1);
    CHECK_INT(refused.rests_on.offset_end, end);
    CHECK_INT(good.verdict, MEMBER_APPENDED);
    CHECK_INT(good.proposal.offset, end);
    CHECK_INT(fate(lead, &refused), MEMBER_FATE_OPEN);
    fate_wait(lead, &refused, MEMBER_FATE_COMMITTED);
    folds_check();
    members_end();
}

/* Who holds an older token is fenced, by whichever leader. */
TEST(judge, fences_by_tokens)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member_answer raised = raise_token(lead, 5);
    CHECK_INT(raised.verdict, MEMBER_APPENDED);
    fate_wait(lead, &raised, MEMBER_FATE_COMMITTED);
    members_level_wait();

    int new = fail_over(lead);
    struct ask old = of(PRODUCER_NO_ID, 0, 1);
    struct ask produced = of(9, 0, 1);
    old.token = 4;
    produced.token = 4;
    struct member_answer fenced = ask(new, old);
    struct member_answer produced_fenced = ask(new, produced);
    old.token = 5;
    struct member_answer good = ask(new, old);

    CHECK_INT(fenced.verdict, MEMBER_REFUSED);
    CHECK_INT(fenced.reason, CONDITION_TOKEN);
    CHECK_INT(produced_fenced.verdict, MEMBER_REFUSED);
    CHECK_INT(produced_fenced.reason, CONDITION_TOKEN);
    CHECK_INT(good.verdict, MEMBER_APPENDED);
    CHECK_INT(raise_token(new, 4).verdict, MEMBER_REFUSED);
    CHECK_INT(raise_token(new, 5).verdict, MEMBER_REPEATED);
    CHECK_INT(raise_token(new, 6).verdict, MEMBER_APPENDED);
    CHECK_INT(ask(new, old).verdict, MEMBER_REFUSED);
    members.nodes[lead].is_cut = false;
    folds_check();
    members_end();
}

/* A leader that does not know yet what of its inheritance is committed judges nothing; and nothing
 * that no client may send is appended. */
TEST(judge, waits_for_its_opening_batch)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member *member = members.nodes[lead].member;
    struct member_answer answer;
    const struct ask wanted = of(7, 0, 1);
    CHECK(members.nodes[lead].log->offset_committed <= member_replica(member)->opening);
    CHECK_INT(try(lead, &wanted, &answer), PYR_ERR_BUSY);
    CHECK_INT(member_raise_token(member, 1, &answer, NULL), PYR_ERR_BUSY);
    members_level_wait();

    CHECK_INT(try((lead + 1) % MEMBERS, &wanted, &answer), PYR_ERR_NOT_LEADER);
    struct ask bad = wanted;
    bad.token = -2;
    CHECK_INT(try(lead, &bad, &answer), PYR_ERR_INVALID);
    bad = of(7, -1, 1);
    CHECK_INT(try(lead, &bad, &answer), PYR_ERR_INVALID);
    CHECK_INT(member_raise_token(member, -1, &answer, NULL), PYR_ERR_INVALID);
    struct bytes_mut room;
    assert_int_equal(member_reserve(member, 100, &room, NULL), PYR_OK);
    memset(room.data, 0, 100);
    const struct member_request any = {NO, NO, 0};
    CHECK(member_append_if(member, 100, &any, &answer, NULL) != PYR_OK);
    CHECK_INT(member_raise_token(member, 1, &answer, NULL), PYR_ERR_BUSY);
    member_unreserve(member);
    folds_check();
    members_end();
}

/* -- Receipts -- */

/* A receipt counts who has it, as far as the leader knows when it is asked. */
TEST(judge, gives_receipts)
{
    members_begin(2, 0);
    int lead = members_lead_wait();
    struct member_answer answer = ask(lead, of(7, 0, 1));
    struct member *member = members.nodes[lead].member;
    struct member_receipt receipt;
    CHECK_INT(member_receipt(member, &answer.proposal, &receipt, NULL), PYR_OK);
    CHECK_INT(receipt.copies, 0); /* Not even its own disk has it. */
    fate_wait(lead, &answer, MEMBER_FATE_COMMITTED);
    CHECK_INT(member_receipt(member, &answer.proposal, &receipt, NULL), PYR_OK);
    CHECK(receipt.copies >= 2);
    CHECK_INT(receipt.copies_durable, receipt.copies);
    members_level_wait();
    for (int turn = 0; turn < 50; turn++) {
        members_turn();
    }

    CHECK_INT(member_receipt(member, &answer.proposal, &receipt, NULL), PYR_OK);
    CHECK_INT(receipt.copies, MEMBERS);
    CHECK_INT(receipt.epoch, answer.proposal.epoch);
    CHECK_INT(receipt.offset, answer.proposal.offset);
    members.nodes[lead].log->options.policy = PARTITION_POLICY_BATCH;
    CHECK_INT(member_receipt(member, &answer.proposal, &receipt, NULL), PYR_OK);
    CHECK_INT(receipt.copies, MEMBERS);
    CHECK_INT(receipt.copies_durable, 0);
    struct member_proposal other = answer.proposal;
    other.epoch++;
    CHECK_INT(member_receipt(member, &other, &receipt, NULL), PYR_ERR_NOT_FOUND);
    CHECK_INT(member_receipt(members.nodes[(lead + 1) % MEMBERS].member, &answer.proposal, &receipt,
                             NULL),
              PYR_ERR_NOT_LEADER);
    members_end();
}

/* -- Starts -- */

/* Fill the log with batches of two producers from @sequence on; return where the last one is. */
static struct member_proposal fill(int lead, int32_t sequence, int batches)
{
    struct member_answer answer = {0};
    for (int batch = 0; batch < batches; batch++) {
        (void)ask(lead, of(7, sequence + batch, 1));
        answer = ask(lead, of(8, sequence + batch, 1));
        if (batch % 8 == 0) {
            members_level_wait();
        }
    }
    members_level_wait();
    return answer.proposal;
}

static void restart(int number, bool is_crash)
{
    members_stop(number, is_crash);
    members_start(number);
}

static uint64_t snapshots(int number)
{
    return member_counts(members.nodes[number].member)->fold_snapshots;
}

/* A start reads the snapshot and the log behind it, segments and journal; and knows the same. */
TEST(judge, knows_the_same_after_crashes)
{
    members_begin(2, 128 << 10);
    members.fold_save_bytes = 40 << 10;
    for (int number = 0; number < MEMBERS; number++) {
        restart(number, true);
    }
    struct member_proposal last = fill(members_lead_wait(), 0, 150);
    for (int number = 0; number < MEMBERS; number++) {
        CHECK(member_counts(members.nodes[number].member)->fold_saves > 0);
        CHECK_INT(member_counts(members.nodes[number].member)->fold_builds, 1);
        restart(number, true);
        CHECK_INT(snapshots(number), 1);
    }
    folds_check();

    struct member_answer again = ask(members_lead_wait(), of(8, 149, 1));
    CHECK_INT(again.verdict, MEMBER_REPEATED);
    CHECK_INT(again.proposal.offset, last.offset);
    CHECK_INT(ask(members_lead(), of(7, 150, 1)).verdict, MEMBER_APPENDED);
    CHECK_INT(ask(members_lead(), of(8, 100, 1)).verdict, MEMBER_OLD);
    folds_check();
    members_end();
}

static void path_of(int number, char *path)
{
    char folder[PATH_BYTES_MAX];
    folder_path(&members.nodes[number].life.folder, "replica-0", folder);
    assert_true(segment_path_join(path, folder, FOLD_FILE_NAME));
}

/* Change a byte of the snapshot of @number. */
static void spoil(int number)
{
    struct io *io = members.nodes[number].life.io;
    struct io_file *file = NULL;
    char path[PATH_BYTES_MAX];
    uint8_t byte = 0;
    size_t count = 0;
    path_of(number, path);
    assert_int_equal(io_open(io, path, IO_OPEN_READ | IO_OPEN_WRITE, &file), 0);
    assert_int_equal(io_read_whole(io, file, (struct bytes_mut){&byte, 1}, 30, &count), 0);
    byte ^= 1;
    assert_int_equal(io_write_whole(io, file, (struct bytes){&byte, 1}, 30, true), 0);
    io_close(io, file);
}

/* A clean stop saves, so that the next start reads nothing; a snapshot that is damaged or gone
 * costs time only. */
TEST(judge, does_without_a_snapshot)
{
    members_begin(2, 128 << 10);
    (void)fill(members_lead_wait(), 0, 120);
    members.fold_save_bytes = 1 << 10;
    for (int number = 0; number < MEMBERS; number++) {
        restart(number, true); /* Nothing was saved: the whole log is read. */
        CHECK_INT(snapshots(number), 0);
    }
    folds_check();
    (void)fill(members_lead_wait(), 120, 20);
    for (int number = 0; number < MEMBERS; number++) {
        restart(number, false);
        CHECK_INT(snapshots(number), 1);
    }
    folds_check();

    spoil(0);
    restart(0, true);
    CHECK_INT(snapshots(0), 0);
    char path[PATH_BYTES_MAX];
    path_of(1, path);
    assert_int_equal(io_remove(members.nodes[1].life.io, path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(io_sync_folder(members.nodes[1].life.io, path), 0); /* Or it may come back. */
    restart(1, true);
    CHECK_INT(snapshots(1), 0);
    folds_check();
    CHECK_INT(ask(members_lead_wait(), of(8, 139, 1)).verdict, MEMBER_REPEATED);
    members_end();
}

/* FOL-2, FOL-3: what a leader took that nobody else has is in no snapshot, and a snapshot is not
 * taken for a log that went another way. */
TEST(judge, saves_nothing_that_may_be_cut)
{
    members_begin(2, 0);
    members.fold_save_bytes = 2 << 10;
    for (int number = 0; number < MEMBERS; number++) {
        restart(number, true);
    }
    int lead = members_lead_wait();
    (void)fill(lead, 0, 4);
    members.nodes[lead].is_cut = true;
    uint64_t saves = member_counts(members.nodes[lead].member)->fold_saves;
    for (int32_t sequence = 4; sequence < 14; sequence++) {
        CHECK_INT(ask(lead, of(7, sequence, 1)).verdict, MEMBER_APPENDED);
    }
    for (int turn = 0; turn < 30; turn++) {
        members_turn();
    }
    CHECK(member_counts(members.nodes[lead].member)->fold_saves > saves);
    int new = members_lead_wait();
    struct member_answer other = ask(new, of(9, 0, 5));
    CHECK_INT(other.verdict, MEMBER_APPENDED);
    fate_wait(new, &other, MEMBER_FATE_COMMITTED);

    restart(lead, true);
    folds_check();
    struct member_answer again = ask(members_lead_wait(), of(7, 4, 1));
    CHECK_INT(again.verdict, MEMBER_APPENDED);
    folds_check();
    members_end();
}

/* Without memory, or after a cut that is too deep, nothing is known until the log is read again;
 * the log goes on, and judging waits. */
TEST(judge, folds_anew_what_it_forgot)
{
    members_begin(2, 128 << 10);
    int lead = members_lead_wait();
    struct member_proposal last = fill(lead, 0, 60);
    struct member *member = members.nodes[lead].member;
    struct member_answer answer;
    const struct ask again = of(8, 59, 1);
    fold_forget(&member->fold);
    member->fold_retry_ns = UINT64_MAX;

    CHECK_INT(try(lead, &again, &answer), PYR_ERR_BUSY);
    struct member_proposal proposal;
    CHECK_INT(members_append(lead, 1, &proposal), PYR_OK);
    members_turn();
    member->fold_retry_ns = 0;
    answer = ask(lead, again);

    CHECK_INT(answer.verdict, MEMBER_REPEATED);
    CHECK_INT(answer.proposal.offset, last.offset);
    CHECK_INT(member_counts(member)->fold_builds, 2);
    folds_check();
    members_end();
}

/* Whichever allocation of a fold fails: nothing is known, nothing is lost, and the next try knows
 * it all. */
TEST(judge, folds_without_memory_when_there_is_some)
{
    members_begin(2, 64 << 10);
    int lead = members_lead_wait();
    (void)fill(lead, 0, 60);
    struct member *member = members.nodes[lead].member;
    struct io *io = members.nodes[lead].life.io;
    uint64_t failures = 0;
    bool is_over = false;
    for (uint64_t nth = 1; !is_over; nth++) {
        fold_forget(&member->fold);
        uint64_t live = io_testing_allocations_live(io);
        io_testing_fail_allocation(io, nth);
        uint64_t before = io_testing_allocations(io);
        member_fold_build(member);
        is_over = io_testing_allocations(io) < before + nth;
        io_testing_fail_allocation(io, 0);
        if (!member->fold.is_known) {
            CHECK_INT(member->fold_failure, PYR_ERR_NO_MEMORY);
            CHECK_INT(io_testing_allocations_live(io), live);
            failures++;
            member->fold_retry_ns = 0;
            members_turn();
        }
        CHECK(!is_over || member->fold.is_known);
    }
    CHECK(failures >= 3);
    folds_check();
    members_end();
}
