/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where replay ends: torn, corrupt, left over.
 *
 * The single flushes of these tests take one block each and follow the two header blocks, so flush
 * number n stands at position 8192 + 4096 * n of the first file.
 */
#include <stdio.h>

#include "unit/wal/journal_case.h"

#define NS_PER_MS UINT64_C(1000000)

static const char first_file[] = "00000000.wal";

/* Return the position of flush number @number in the first file. */
static int64_t place(int number)
{
    return WAL_FILE_DATA_POSITION + (int64_t)number * BLOCK_BYTES;
}

/* Set up a journal that a kill left with @count flushes of one entry each, named "0", "1", ... */
static void killed_with(struct journal_case *c, int count)
{
    journal_case_init(c);
    journal_case_start(c);
    for (int index = 0; index < count; index++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", index);
        journal_case_durable(c, text);
    }
    journal_case_kill(c);
}

/* Zeros over the last flush: nobody says that it was durable, so it counts as never written. */
TEST(replay, ends_quietly_where_nothing_follows)
{
    struct journal_case c;
    killed_with(&c, 3);
    static const uint8_t zeros[BLOCK_BYTES];
    journal_case_damage(&c, first_file, place(2), (struct bytes){zeros, sizeof zeros});

    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "0 1");
    CHECK_INT(c.report.cut, WAL_CUT_NONE);
    CHECK(!c.report.was_clean);
    journal_case_deinit(&c);
}

/* A torn last flush is cut, and the report says where and how much. */
TEST(replay, cuts_a_torn_tail_and_says_so)
{
    struct journal_case c;
    killed_with(&c, 3);
    journal_case_flip(&c, first_file, place(2) + WAL_FLUSH_HEADER_BYTES + 20, 3);

    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "0 1");
    CHECK_INT(c.report.cut, WAL_CUT_TORN);
    CHECK_INT(c.report.bytes_cut, BLOCK_BYTES);
    CHECK(strstr(c.report.cut_reason, "00000000.wal' at position 16384") != NULL);
    journal_case_deinit(&c);
}

/* The journal goes on where it was cut, and the cut flush never comes back. */
TEST(replay, goes_on_where_it_cut)
{
    struct journal_case c;
    killed_with(&c, 3);
    journal_case_flip(&c, first_file, place(2) + 100, 3);
    journal_case_start(&c);

    journal_case_durable(&c, "new");
    journal_case_kill(&c);
    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "0 1 new");
    journal_case_deinit(&c);
}

/* Damage in the middle: a later flush knows that it was durable, so it is corruption, whatever
 * follows: never cut (REPL-2). The error names file and position. */
TEST(replay, reports_damage_that_a_later_flush_covers)
{
    for (int number = 0; number < 3; number++) {
        struct journal_case c;
        killed_with(&c, 4);
        journal_case_flip(&c, first_file, place(number) + WAL_FLUSH_HEADER_BYTES + 64, 0);
        char expected[64];
        (void)snprintf(expected, sizeof expected, "00000000.wal' at position %lld",
                       (long long)place(number));

        CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

        CHECK(strstr(c.error.message, expected) != NULL);
        CHECK_INT(c.replayed_count, number);
        journal_case_deinit(&c);
    }
}

/* The same for a damaged header. */
TEST(replay, reports_a_damaged_header_that_a_later_flush_covers)
{
    struct journal_case c;
    killed_with(&c, 4);
    journal_case_flip(&c, first_file, place(1) + 30, 7);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    journal_case_deinit(&c);
}

/* An acknowledged flush at an idle tail is covered by the empty flush behind it. */
TEST(replay, reports_damage_to_an_idle_tail)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.idle_ns = NS_PER_MS;
    journal_case_start(&c);
    journal_case_durable(&c, "0");
    struct wal_counters counters = {0};
    while (counters.flushes_empty == 0 || wal_durable_position(c.wal) < wal_sync(c.wal)) {
        journal_case_turn(&c, NS_PER_MS);
        wal_counters(c.wal, &counters);
    }
    journal_case_kill(&c);
    journal_case_flip(&c, first_file, place(0) + 80, 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    journal_case_deinit(&c);
}

/* So is the tail of a clean stop. */
TEST(replay, reports_damage_to_the_tail_of_a_clean_stop)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "0");
    journal_case_stop(&c);
    journal_case_flip(&c, first_file, place(0) + 80, 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    journal_case_deinit(&c);
}

/* What the checkpoint knows to be durable is covered too, though no flush follows. */
TEST(replay, reports_damage_that_the_checkpoint_covers)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t first = journal_case_append(&c, "0", 0);
    journal_case_wait(&c, first);
    journal_case_durable(&c, "1");
    journal_case_durable(&c, "2");
    /* The checkpoint is durable, its mark is not yet written: the kill comes between. */
    CHECK_INT(wal_checkpoint_begin(c.wal, (struct bytes){0}, first, &c.error), PYR_OK);
    while (io_loop_pending(c.loop) > 0) {
        io_loop_wait(c.loop, IO_TIME_NEVER);
        struct io_stat stat;
        if (io_stat(c.io, seam_path(c.options.folder, "checkpoint"), &stat) == 0) {
            break;
        }
    }
    journal_case_kill(&c);
    static const uint8_t zeros[INT64_C(16) * BLOCK_BYTES - WAL_FILE_DATA_POSITION];
    journal_case_damage(&c, first_file, place(1),
                        (struct bytes){zeros, sizeof zeros - BLOCK_BYTES});

    enum pyr_err err = journal_case_open(&c);

    /* The copy may have been taken before the rename: then nothing covers it. */
    CHECK(err == PYR_ERR_CORRUPT || err == PYR_OK);
    journal_case_deinit(&c);
}

/* The case that only the run number decides, shown by a model: run 1 loses flush A at P but keeps
 * its successor B. Run 2 writes A' at P and dies. B must neither be replayed behind A' nor prove
 * that something is missing; and what run 2 acknowledged must come back. */
TEST(replay, ignores_flushes_of_lower_runs)
{
    struct journal_case c;
    killed_with(&c, 4);
    journal_case_flip(&c, first_file, place(2) + 90, 1); /* A torn, B behind it whole: but B says */
    uint8_t header[WAL_FLUSH_HEADER_BYTES];              /* that A was durable. Make it not so. */
    journal_case_read(&c, first_file, place(3), (struct bytes_mut){header, sizeof header});
    struct wal_identity identity = {.shard = 7, .file_bytes = CASE_FILE_BYTES};
    memcpy(identity.storage_id, c.options.storage_id, sizeof identity.storage_id);
    struct wal_flush_header b;
    CHECK(wal_flush_header_decode(&identity, CASE_FILE_BYTES + (uint64_t)place(3), header, &b));
    b.durable_upto = CASE_FILE_BYTES + (uint64_t)place(2);
    wal_flush_header_encode(&identity, &b, header);
    journal_case_damage(&c, first_file, place(3), (struct bytes){header, sizeof header});

    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1");
    CHECK_INT(c.report.cut, WAL_CUT_TORN);
    journal_case_durable(&c, "new");
    journal_case_kill(&c);
    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "0 1 new");
    CHECK_INT(c.report.cut, WAL_CUT_LEFTOVER);
    journal_case_deinit(&c);
}

/* The same flush copied to another place is not valid there (WALF-2). */
TEST(replay, does_not_take_a_flush_from_another_place)
{
    struct journal_case c;
    killed_with(&c, 3);
    uint8_t block[BLOCK_BYTES];
    journal_case_read(&c, first_file, place(2), (struct bytes_mut){block, sizeof block});
    journal_case_damage(&c, first_file, place(3), (struct bytes){block, sizeof block});

    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "0 1 2");
    journal_case_deinit(&c);
}

/* Two entries of one flush, of equal length, swapped: each is whole, and at the wrong place
 * (WALF-3). */
TEST(replay, does_not_take_an_entry_from_another_place)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    (void)journal_case_append(&c, "0", 0);
    (void)journal_case_append(&c, "1", 0);
    journal_case_wait(&c, journal_case_append(&c, "2", 0));
    journal_case_kill(&c);
    uint8_t entries[2][WAL_ENTRY_HEADER_BYTES + 8];
    int64_t position = place(0) + WAL_FLUSH_HEADER_BYTES;
    int64_t step = sizeof entries[0];
    for (int64_t index = 0; index < 2; index++) {
        journal_case_read(&c, first_file, position + (1 + index) * step,
                          (struct bytes_mut){entries[index], sizeof entries[0]});
    }
    for (int64_t index = 0; index < 2; index++) {
        journal_case_damage(&c, first_file, position + (1 + index) * step,
                            (struct bytes){entries[1 - index], sizeof entries[0]});
    }

    CHECK_INT(journal_case_replay(&c), PYR_OK);

    CHECK_INT(c.replayed_count, 0); /* The flush is cut whole. */
    CHECK_INT(c.report.cut, WAL_CUT_TORN);
    journal_case_deinit(&c);
}

/* A payload whose own check fails spoils its flush, as a bad checksum does. */
static bool refuse_two(void *ctx, const struct wal_replay_entry *entry)
{
    (void)ctx;
    return entry->entry.parts[0].data[0] != '2';
}

TEST(replay, asks_the_caller_about_what_the_entry_does_not_check)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t position = 0;
    const char *texts[] = {"1.", "2.", "3."};
    for (size_t index = 0; index < 3; index++) {
        struct wal_entry entry = {.kind = WAL_ENTRY_APPEND,
                                  .parts[0] = bytes_of_text(texts[index]),
                                  .checked_bytes = 1};
        CHECK_INT(wal_append(c.wal, &entry, (struct wal_need){0}, &position, &c.error), PYR_OK);
    }
    journal_case_wait(&c, position);
    journal_case_kill(&c);
    c.options.verify = refuse_two;

    journal_case_start(&c);

    CHECK_INT(c.replayed_count, 0); /* All three stand in one flush. */
    CHECK_INT(c.report.cut, WAL_CUT_TORN);
    journal_case_deinit(&c);
}

/* Every bit of a small journal that says something, flipped one at a time: the replay is the same,
 * or it is a prefix that only the uncovered tail is missing from, or it is refused. Never another
 * record (WAL-9), and the files stay as they are (REPL-3): the flips are taken back one by one. */
TEST(replay, never_gives_a_wrong_record_for_any_flipped_bit)
{
    struct journal_case c;
    killed_with(&c, 4);
    size_t refused = 0;
    size_t same = 0;
    size_t cut = 0;
    for (int64_t number = 0; number < place(4) * 8; number++) {
        int64_t position = number / 8;
        bool is_in = position % BLOCK_BYTES < 144;
        if ((!is_in && number % 1021 != 0) || (seam_is_real() && number % 97 != 0)) {
            continue; /* The padding is sampled, and a real disk's time is spared. */
        }
        unsigned bit = (unsigned)(number % 8);
        journal_case_flip(&c, first_file, position, bit);
        enum pyr_err err = journal_case_replay(&c);
        if (err == PYR_OK) {
            const char *texts = journal_case_texts(&c);
            bool is_same = strcmp(texts, "0 1 2 3") == 0;
            bool is_cut = strcmp(texts, "0 1 2") == 0 && position >= place(3);
            CHECK(is_same || is_cut);
            same += is_same ? 1 : 0;
            cut += is_cut ? 1 : 0;
        } else {
            CHECK_INT(err, PYR_ERR_CORRUPT);
            refused++;
        }
        journal_case_flip(&c, first_file, position, bit);
    }

    CHECK(refused > (seam_is_real() ? 20 : 3000));
    CHECK(cut > (seam_is_real() ? 5 : 500));
    CHECK(same > (seam_is_real() ? 5 : 500));
    journal_case_deinit(&c);
}

/* A file cut short, at any block, is refused or loses only what nothing covers. */
TEST(replay, refuses_a_shortened_file)
{
    struct journal_case c;
    killed_with(&c, 3);
    struct io_file *file = NULL;
    CHECK_INT(io_open(c.io, seam_path(c.options.folder, first_file), IO_OPEN_WRITE, &file), 0);
    CHECK_INT(io_truncate(c.io, file, place(2)), 0);
    io_close(c.io, file);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    CHECK(strstr(c.error.message, first_file) != NULL);
    journal_case_deinit(&c);
}

/* One bad file header is healed; two are corruption, never an empty file. */
TEST(replay, heals_one_file_header_and_reports_two)
{
    struct journal_case c;
    killed_with(&c, 3);
    journal_case_flip(&c, first_file, 10, 0);

    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1 2");
    journal_case_kill(&c);
    journal_case_flip(&c, first_file, BLOCK_BYTES + 10, 0);
    journal_case_start(&c); /* The first was healed, so the second may go bad. */
    journal_case_kill(&c);
    journal_case_flip(&c, first_file, 10, 0);
    journal_case_flip(&c, first_file, BLOCK_BYTES + 10, 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);
    CHECK(strstr(c.error.message, first_file) != NULL);
    journal_case_deinit(&c);
}

/* A missing file of the chain is missed, not skipped. */
TEST(replay, misses_a_file_of_the_chain)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_settle(&c);
    for (int index = 0; index < 8; index++) {
        journal_case_wait(&c, journal_case_append(&c, "x", 14000));
    }
    journal_case_kill(&c);
    CHECK_INT(io_remove(c.io, seam_path(c.options.folder, "00000001.wal")), 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    journal_case_deinit(&c);
}

/* The first file missing is not a journal that begins later. */
TEST(replay, misses_the_file_that_it_begins_at)
{
    struct journal_case c;
    killed_with(&c, 1);
    CHECK_INT(io_remove(c.io, seam_path(c.options.folder, first_file)), 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    journal_case_deinit(&c);
}

/* The last file missing breaks no chain, but it was there at the last start. */
TEST(replay, misses_a_file_behind_the_chain)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_settle(&c);
    journal_case_stop(&c);
    journal_case_start(&c);
    journal_case_stop(&c);
    CHECK_INT(io_remove(c.io, seam_path(c.options.folder, "00000003.wal")), 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    journal_case_deinit(&c);
}
