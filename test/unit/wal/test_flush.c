/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups, needs and positions: which entries share a flush, when it goes, and what is reported
 * (wal/flush.c, wal/sync.c, wal/handover.c).
 */
#include <stdio.h>

#include "unit/wal/journal_case.h"
#include "wal/inspect.h"

#define NS_PER_MS UINT64_C(1000000)

/* Append @text with @need; return its end position. */
static uint64_t append_need(struct journal_case *c, const char *text, struct wal_need need)
{
    struct wal_entry entry = {.kind = WAL_ENTRY_APPEND, .number = c->number++};
    entry.parts[0] = bytes_of_text(text);
    entry.checked_bytes = (uint32_t)entry.parts[0].count;
    uint64_t position = 0;
    CHECK_INT(wal_append(c->wal, &entry, need, &position, &c->error), PYR_OK);
    return position;
}

static uint64_t flush_count(const struct journal_case *c)
{
    struct wal_counters counters;
    wal_counters(c->wal, &counters);
    return counters.flushes;
}

/* What is appended before the kick, and while flushes are in flight, shares a flush: group commit
 * without a timer. */
TEST(flush, gathers_while_others_are_in_flight)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.depth = 1;
    journal_case_start(&c);
    struct wal_need now = {WAL_NEED_DURABLE_NOW, 0};

    (void)append_need(&c, "a", now);
    (void)append_need(&c, "b", now);
    wal_kick(c.wal);
    uint64_t first = flush_count(&c);
    (void)append_need(&c, "c", now);
    wal_kick(c.wal);
    uint64_t position = append_need(&c, "d", now);
    wal_kick(c.wal);
    uint64_t second = flush_count(&c);
    journal_case_wait(&c, position);

    CHECK_INT(first, 1);  /* "a" and "b" went together, */
    CHECK_INT(second, 1); /* "c" and "d" wait for them, */
    CHECK_INT(flush_count(&c), 2);
    journal_case_deinit(&c);
}

/* Two in flight: the second goes before the first has come back. */
TEST(flush, keeps_as_many_in_flight_as_it_may)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.depth = 2;
    journal_case_start(&c);
    struct wal_need now = {WAL_NEED_DURABLE_NOW, 0};

    for (int index = 0; index < 3; index++) {
        (void)append_need(&c, "a", now);
        wal_kick(c.wal);
    }

    CHECK_INT(flush_count(&c), 2);
    journal_case_deinit(&c);
}

/* Policy batch: nothing goes before its milliseconds, everything by then, and it is durable. */
TEST(flush, waits_for_the_deadline_of_a_batch)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    seam_drain(c.loop);
    uint64_t deadline = io_now_mono_ns(c.io) + 5 * NS_PER_MS;
    struct wal_need by = {WAL_NEED_DURABLE_BY, deadline};

    uint64_t position = append_need(&c, "a", by);
    wal_kick(c.wal);
    uint64_t early = flush_count(&c);
    while (wal_durable_position(c.wal) < position) {
        io_loop_wait(c.loop, io_now_mono_ns(c.io) + 100 * NS_PER_MS);
        (void)io_loop_dispatch(c.loop);
    }

    CHECK_INT(early, 0);
    CHECK(io_now_mono_ns(c.io) >= deadline);
    journal_case_deinit(&c);
}

/* One that needs it now takes those that could wait along. */
TEST(flush, goes_at_once_when_one_entry_needs_it)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t later = io_now_mono_ns(c.io) + 3600000 * NS_PER_MS;

    (void)append_need(&c, "a", (struct wal_need){WAL_NEED_DURABLE_BY, later});
    uint64_t position = append_need(&c, "b", (struct wal_need){WAL_NEED_DURABLE_NOW, 0});
    journal_case_wait(&c, position);

    CHECK_INT(flush_count(&c), 1);
    CHECK(wal_durable_position(c.wal) >= position);
    journal_case_deinit(&c);
}

/* Policy os: written at the deadline, and nothing is said about stable storage. */
TEST(flush, writes_os_entries_without_calling_them_durable)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t before = wal_durable_position(c.wal);

    uint64_t position = append_need(
        &c, "a", (struct wal_need){WAL_NEED_WRITTEN_BY, io_now_mono_ns(c.io) + NS_PER_MS});
    while (wal_written_position(c.wal) < position) {
        journal_case_turn(&c, NS_PER_MS);
    }
    CHECK(wal_durable_position(c.wal) == before);

    /* A durable entry behind it is durable only with everything before it: a sync comes first. */
    uint64_t durable = append_need(&c, "b", (struct wal_need){WAL_NEED_DURABLE_NOW, 0});
    journal_case_wait(&c, durable);
    struct wal_counters counters;
    wal_counters(c.wal, &counters);
    CHECK_INT(counters.syncs, 1);
    CHECK(wal_durable_position(c.wal) >= durable);
    journal_case_deinit(&c);
}

/* Past 256 KiB os entries go without waiting for the deadline. */
TEST(flush, hands_over_much_os_data_before_its_deadline)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.file_bytes = 4 << 20;
    journal_case_start(&c);
    static char text[100 << 10];
    memset(text, 'x', sizeof text - 1);
    struct wal_need by = {WAL_NEED_WRITTEN_BY, io_now_mono_ns(c.io) + 3600000 * NS_PER_MS};
    for (int index = 0; index < 2; index++) {
        (void)append_need(&c, text, by);
        wal_kick(c.wal);
    }
    uint64_t before = flush_count(&c);

    (void)append_need(&c, text, by);
    wal_kick(c.wal);

    CHECK_INT(before, 0);
    CHECK_INT(flush_count(&c), 1);
    journal_case_deinit(&c);
}

/* wal_sync makes waiting entries durable now. */
TEST(wal_sync, makes_everything_durable_whatever_it_needed)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t later = io_now_mono_ns(c.io) + 3600000 * NS_PER_MS;
    uint64_t position = append_need(&c, "a", (struct wal_need){WAL_NEED_WRITTEN_BY, later});

    uint64_t target = wal_sync(c.wal);
    journal_case_wait(&c, target);

    CHECK(target >= position);
    CHECK(wal_durable_position(c.wal) >= position);
    journal_case_deinit(&c);
}

/* Nothing to sync: the position is there already. */
TEST(wal_sync, has_nothing_to_do_when_all_is_durable)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "a");

    CHECK(wal_sync(c.wal) <= wal_durable_position(c.wal));

    journal_case_deinit(&c);
}

/* Handed over at once: it is with the kernel when the call returns, so it survives a kill of the
 * process without any dispatch. */
TEST(handover, survives_a_kill_right_after_the_append)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    seam_drain(c.loop);
    struct wal_need now = {WAL_NEED_WRITTEN_NOW, 0};
    uint64_t position = 0;
    for (int index = 0; index < 300; index++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%d", index);
        position = append_need(&c, text, now);
        CHECK(wal_written_position(c.wal) == position);
    }
    CHECK(wal_durable_position(c.wal) < position);

    journal_case_kill(&c);
    journal_case_start(&c);

    CHECK_INT(c.replayed_count, 300);
    CHECK_TEXT(c.replayed[299].text, "299");
    journal_case_deinit(&c);
}

/* Open flushes and ordinary ones follow each other in one order. */
TEST(handover, keeps_the_order_among_other_needs)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.file_bytes = 1 << 20;
    journal_case_start(&c);
    char expected[1024] = "";
    for (int index = 0; index < 40; index++) {
        struct wal_need need = {index % 3 == 2 ? WAL_NEED_DURABLE_NOW : WAL_NEED_WRITTEN_NOW, 0};
        char text[16];
        (void)snprintf(text, sizeof text, "%d", index);
        uint64_t position = append_need(&c, text, need);
        if (index % 3 == 2) {
            journal_case_wait(&c, position);
            CHECK(wal_durable_position(c.wal) >= position);
        }
        size_t used = strlen(expected);
        (void)snprintf(expected + used, sizeof expected - used, used ? " %s" : "%s", text);
    }
    journal_case_kill(&c);

    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), expected);
    journal_case_deinit(&c);
}

/* Flushes that wait for the device on both sides of one that was handed over all go in the end: the
 * second was forgotten once, and the journal stood still. */
TEST(handover, goes_on_with_what_is_queued_behind_an_open_flush)
{
    const struct wal_need durable = {WAL_NEED_DURABLE_NOW, 0};
    const struct wal_need at_once = {WAL_NEED_WRITTEN_NOW, 0};
    struct journal_case c;
    journal_case_init(&c);
    c.options.depth = 1;
    c.options.gather_count = 8;
    journal_case_start(&c);
    (void)append_need(&c, "flying", durable);
    wal_kick(c.wal);
    (void)append_need(&c, "queued", durable);
    (void)append_need(&c, "handed", at_once);
    uint64_t position = append_need(&c, "behind", durable);
    (void)append_need(&c, "last", at_once);

    for (int turn = 0; turn < 1000 && wal_durable_position(c.wal) < position; turn++) {
        journal_case_turn(&c, NS_PER_MS);
    }

    CHECK(wal_durable_position(c.wal) >= position);
    journal_case_stop(&c);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "flying queued handed behind last");
    journal_case_deinit(&c);
}

/* Damage inside an open flush below what a sync covered is corruption; beyond, a torn tail. */
TEST(handover, tells_damage_below_a_sync_from_a_torn_tail)
{
    for (int damaged = 0; damaged < 3; damaged++) {
        struct journal_case c;
        journal_case_init(&c);
        journal_case_start(&c);
        seam_drain(c.loop);
        struct wal_need now = {WAL_NEED_WRITTEN_NOW, 0};
        (void)append_need(&c, "a", now);
        (void)append_need(&c, "b", now);
        (void)append_need(&c, "c", now);
        if (damaged < 2) {
            journal_case_wait(&c, wal_sync(c.wal));
            journal_case_durable(&c, "d");
        }
        journal_case_kill(&c);
        int64_t entry = WAL_ENTRY_HEADER_BYTES + WAL_ENTRY_ALIGNMENT;
        int64_t position = WAL_FILE_DATA_POSITION + WAL_FLUSH_HEADER_BYTES + entry * damaged;
        journal_case_flip(&c, "00000000.wal", position + WAL_ENTRY_HEADER_BYTES, 1);

        enum pyr_err err = journal_case_replay(&c);

        CHECK_INT(err, damaged < 2 ? PYR_ERR_CORRUPT : PYR_OK);
        CHECK_INT(c.replayed_count, damaged);
        journal_case_deinit(&c);
    }
}

/* A clean stop closes the open flush, makes it durable and says so. */
TEST(handover, is_durable_after_a_clean_stop)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    (void)append_need(&c, "a", (struct wal_need){WAL_NEED_WRITTEN_NOW, 0});

    journal_case_stop(&c);
    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "a");
    CHECK(c.report.was_clean);
    journal_case_deinit(&c);
}

/* An indirect append carries its reference and what is kept inline. */
TEST(flush, carries_a_reference_to_segment_bytes)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    struct wal_entry entry = {
        .kind = WAL_ENTRY_APPEND_INDIRECT,
        .offset = 77,
        .parts[0] = bytes_of_text("tail"),
        .segment = {.segment_base = 70, .position = 4096, .count = 123456, .crc = 0xdeadbeef},
    };
    uint64_t position = 0;
    CHECK_INT(wal_append(c.wal, &entry, (struct wal_need){0}, &position, &c.error), PYR_OK);
    journal_case_wait(&c, position);
    journal_case_kill(&c);

    struct wal *wal = NULL;
    const struct wal_replay_entry *got = NULL;
    CHECK_INT(wal_open(c.loop, &c.options, &wal, &c.error), PYR_OK);
    CHECK_INT(wal_replay_next(wal, &got, &c.error), PYR_OK);

    CHECK(got);
    CHECK_INT(got->entry.segment.segment_base, 70);
    CHECK_INT(got->entry.segment.position, 4096);
    CHECK_INT(got->entry.segment.count, 123456);
    CHECK_INT(got->entry.segment.crc, 0xdeadbeef);
    CHECK_INT(got->entry.parts[0].count, 4);
    CHECK_BYTES(got->entry.parts[0].data, "tail", 4);
    wal_destroy(wal);
    journal_case_deinit(&c);
}
