/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a damaged journal, saying what a repair would lose, and the repair.
 */
#include <stdio.h>

#include "unit/wal/journal_case.h"
#include "wal/inspect.h"

static const char first_file[] = "00000000.wal";

static int64_t place(int number)
{
    return WAL_FILE_DATA_POSITION + (int64_t)number * BLOCK_BYTES;
}

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

/* What an inspection found. */
struct findings {
    enum pyr_err err;
    int flushes;
    int entries;
    int lost_flushes;
    int lost_entries;
    int64_t lost_first; /* Offset of the first whole entry behind the end; -1: none. */
    struct wal_inspect_end end;
};

/* Look at the journal of @c, count, and repair it if @is_repair. */
static struct findings look(struct journal_case *c, bool is_repair)
{
    struct findings found = {.lost_first = -1};
    struct wal_inspect *inspect = NULL;
    found.err = wal_inspect_open(c->io, c->options.folder, NULL, NULL, &inspect, &c->error);
    if (found.err != PYR_OK) {
        return found;
    }
    const struct wal_flush_header *header = NULL;
    struct wal_inspect_entry entry;
    do {
        found.err = wal_inspect_flush(inspect, &header, &c->error);
        found.flushes += header ? 1 : 0;
        while (header && wal_inspect_entry(inspect, &entry)) {
            found.entries++;
        }
    } while (header);
    wal_inspect_end(inspect, &found.end);
    do {
        CHECK_INT(wal_inspect_rest(inspect, &header, &c->error), PYR_OK);
        found.lost_flushes += header ? 1 : 0;
        while (header && wal_inspect_entry(inspect, &entry)) {
            found.lost_first = found.lost_first < 0 ? entry.entry.offset : found.lost_first;
            found.lost_entries++;
        }
    } while (header);
    if (is_repair) {
        CHECK_INT(wal_inspect_repair(inspect, &c->error), PYR_OK);
    }
    wal_inspect_close(inspect);
    return found;
}

/* A sound journal is read to its end and left as it is by a repair. */
TEST(inspect, reads_a_sound_journal_and_repairs_nothing)
{
    struct journal_case c;
    killed_with(&c, 3);

    struct findings found = look(&c, true);

    CHECK_INT(found.err, PYR_OK);
    CHECK_INT(found.entries, 3);
    CHECK_INT(found.lost_flushes, 0);
    CHECK(!found.end.is_corrupt);
    CHECK_INT(found.end.in_file, place(3));
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1 2");
    CHECK_INT(c.report.flushes, 3);
    journal_case_deinit(&c);
}

/* An inspection gives file, generation and identity of each file. */
TEST(inspect, describes_journal_and_files)
{
    struct journal_case c;
    killed_with(&c, 1);
    struct wal_inspect *inspect = NULL;
    CHECK_INT(wal_inspect_open(c.io, c.options.folder, NULL, NULL, &inspect, &c.error), PYR_OK);

    struct wal_inspect_info info;
    wal_inspect_info(inspect, &info);
    struct wal_inspect_file file;
    CHECK(wal_inspect_file(inspect, 0, &file));

    CHECK_INT(info.shard, 7);
    CHECK_INT(info.storage_id[1], 2);
    CHECK_INT(info.run, 1);
    CHECK_INT(info.files, 4);
    CHECK_INT(file.generation, 1);
    CHECK(file.is_needed);
    CHECK(!wal_inspect_file(inspect, info.files, &file));
    wal_inspect_close(inspect);
    journal_case_deinit(&c);
}

/* Damage that is covered: what is whole behind it is shown before it is lost, the repair cuts there
 * and nowhere else (INSP-2), and the journal goes on; what was given up never comes back. */
TEST(inspect, shows_what_a_repair_loses_and_cuts_there)
{
    struct journal_case c;
    killed_with(&c, 5);
    journal_case_flip(&c, first_file, place(2) + WAL_FLUSH_HEADER_BYTES + 64, 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);
    struct findings before = look(&c, false);
    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT); /* INSP-1 */
    struct findings found = look(&c, true);

    CHECK_INT(before.err, PYR_ERR_CORRUPT);
    CHECK_INT(found.err, PYR_ERR_CORRUPT);
    CHECK_INT(found.entries, 2);
    CHECK(found.end.is_corrupt);
    CHECK_INT(found.end.in_file, place(2));
    CHECK_INT(found.lost_flushes, 3);
    CHECK_INT(found.lost_entries, 2); /* Flush 2 itself cannot be read: 2 is missing before 3. */
    CHECK_INT(found.lost_first, 3);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1");
    journal_case_durable(&c, "new");
    journal_case_kill(&c);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1 new");
    journal_case_deinit(&c);
}

/* After a repair the flushes that were given up prove nothing, even if the next flush is torn. */
TEST(inspect, leaves_no_proof_behind_the_cut)
{
    struct journal_case c;
    killed_with(&c, 5);
    journal_case_flip(&c, first_file, place(1) + 80, 0);
    (void)look(&c, true);
    journal_case_start(&c);
    journal_case_durable(&c, "new"); /* At place 2: the cut took place 1. */
    journal_case_kill(&c);
    journal_case_flip(&c, first_file, place(2) + WAL_FLUSH_HEADER_BYTES + 64, 0);

    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "0");
    CHECK_INT(c.report.cut, WAL_CUT_TORN);
    journal_case_deinit(&c);
}

/* The tail that only the checkpoint covers. */
TEST(inspect, repairs_a_tail_that_the_checkpoint_covers)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t positions[12];
    for (int index = 0; index < 12; index++) {
        positions[index] = journal_case_append(&c, "x", 3000);
        journal_case_wait(&c, positions[index]);
    }
    journal_case_checkpoint(&c, "body", positions[4]);
    journal_case_kill(&c);
    for (int number = 9; number < 13; number++) {
        journal_case_flip(&c, first_file, place(number) + 20, 0);
    }

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);
    CHECK(strstr(c.error.message, "checkpoint") != NULL);
    struct findings found = look(&c, true);

    CHECK(found.end.is_corrupt);
    CHECK_INT(found.lost_flushes, 0); /* Nothing behind can be read: the report says so. */
    CHECK(found.end.durable_upto > found.end.position);
    journal_case_start(&c);
    CHECK_TEXT(c.body, "body");
    journal_case_deinit(&c);
}

/* A file whose headers are both bad is kept aside, and what stands before it is kept. */
TEST(inspect, puts_a_file_without_headers_aside)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_settle(&c);
    for (int index = 0; index < 8; index++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", index);
        journal_case_wait(&c, journal_case_append(&c, text, 14000));
    }
    journal_case_kill(&c);
    journal_case_flip(&c, "00000001.wal", 10, 0);
    journal_case_flip(&c, "00000001.wal", BLOCK_BYTES + 10, 0);

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);
    struct findings found = look(&c, true);

    CHECK(found.lost_entries > 0);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1 2");
    struct io_stat stat;
    CHECK_INT(io_stat(c.io, seam_path(c.options.folder, "00000001.damaged"), &stat), 0);
    journal_case_deinit(&c);
}

/* So is the file that replay begins at: everything in it is lost, and the rest goes on. */
TEST(inspect, repairs_a_journal_whose_first_file_is_gone)
{
    struct journal_case c;
    killed_with(&c, 2);
    CHECK_INT(io_remove(c.io, seam_path(c.options.folder, first_file)), 0);
    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    (void)look(&c, false);
    struct wal_inspect *inspect = NULL;
    CHECK_INT(wal_inspect_open(c.io, c.options.folder, NULL, NULL, &inspect, &c.error), PYR_OK);
    const struct wal_flush_header *header = NULL;
    enum pyr_err err = wal_inspect_flush(inspect, &header, &c.error);
    CHECK(!header);
    CHECK(err == PYR_OK || err == PYR_ERR_CORRUPT);
    CHECK_INT(wal_inspect_repair(inspect, &c.error), PYR_OK);
    wal_inspect_close(inspect);

    journal_case_start(&c);
    CHECK_INT(c.replayed_count, 0);
    journal_case_durable(&c, "new");
    journal_case_deinit(&c);
}

/* A lost run number is found again from the flushes. */
TEST(inspect, repairs_a_lost_run_number)
{
    struct journal_case c;
    killed_with(&c, 2);
    journal_case_flip(&c, "run", 50, 0);
    journal_case_flip(&c, "run", BLOCK_BYTES + 50, 0);
    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    (void)look(&c, true);

    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1");
    journal_case_deinit(&c);
}

/* So is one whose file is gone altogether, which a start refuses too: the end says so. */
TEST(inspect, says_that_the_run_is_missing_and_repairs_it)
{
    struct journal_case c;
    killed_with(&c, 2);
    CHECK_INT(io_remove(c.io, seam_path(c.options.folder, "run")), 0);
    c.options.may_create = false;
    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    struct findings found = look(&c, true);

    CHECK(found.end.is_corrupt);
    CHECK(strstr(found.end.reason, "/run'") != NULL);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1");
    journal_case_deinit(&c);
}

/* A start refuses a spare without headers, although no flush is missing: so does the end, and a
 * repair puts it aside. */
TEST(inspect, says_that_a_spare_is_damaged_and_puts_it_aside)
{
    struct journal_case c;
    killed_with(&c, 2);
    journal_case_flip(&c, "00000001.wal", 10, 0);
    journal_case_flip(&c, "00000001.wal", BLOCK_BYTES + 10, 0);
    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    struct findings found = look(&c, true);

    CHECK(found.end.is_corrupt);
    CHECK(strstr(found.end.reason, "00000001.wal'") != NULL);
    CHECK_INT(found.lost_entries, 0);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "0 1");
    journal_case_deinit(&c);
}

/* Without a checkpoint nothing can be said, and that is said. */
TEST(inspect, refuses_without_a_checkpoint)
{
    struct journal_case c;
    killed_with(&c, 2);
    journal_case_flip(&c, "checkpoint", 50, 0);
    journal_case_flip(&c, "checkpoint", BLOCK_BYTES + 50, 0);

    struct findings found = look(&c, false);

    CHECK_INT(found.err, PYR_ERR_CORRUPT);
    CHECK(strstr(c.error.message, "checkpoint") != NULL);
    CHECK_INT(io_remove(c.io, seam_path(c.options.folder, "checkpoint")), 0);
    found = look(&c, false);
    CHECK_INT(found.err, PYR_ERR_CORRUPT);
    CHECK(strstr(c.error.message, "/checkpoint' is missing") != NULL);
    journal_case_deinit(&c);
}

/* A promise and a truncation stand in the next flush again, where a repair finds them if their own
 * flush cannot be read; a replay gives each once. */
TEST(inspect, finds_promises_and_truncations_repeated)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t position = 0;
    struct wal_entry promise = {.kind = WAL_ENTRY_PROMISE, .epoch = 8, .number = 100};
    struct wal_entry cut = {.kind = WAL_ENTRY_TRUNCATE, .offset = 55, .number = 101};
    cut.parts[0] = bytes_of_text("why");
    CHECK_INT(wal_append(c.wal, &promise, (struct wal_need){0}, &position, &c.error), PYR_OK);
    CHECK_INT(wal_append(c.wal, &cut, (struct wal_need){0}, &position, &c.error), PYR_OK);
    journal_case_wait(&c, position);
    journal_case_durable(&c, "next");
    journal_case_durable(&c, "later");
    journal_case_kill(&c);

    CHECK_INT(journal_case_replay(&c), PYR_OK);
    CHECK_INT(c.replayed_count, 4);
    journal_case_flip(&c, first_file, place(0) + 80, 0);
    struct wal_inspect *inspect = NULL;
    CHECK_INT(wal_inspect_open(c.io, c.options.folder, NULL, NULL, &inspect, &c.error), PYR_OK);
    const struct wal_flush_header *header = NULL;
    CHECK_INT(wal_inspect_flush(inspect, &header, &c.error), PYR_ERR_CORRUPT);
    struct wal_inspect_entry entries[4];
    int count = 0;
    do {
        CHECK_INT(wal_inspect_rest(inspect, &header, &c.error), PYR_OK);
        while (header && count < 4 && wal_inspect_entry(inspect, &entries[count])) {
            count++;
        }
    } while (header && count < 4);

    CHECK_INT(count, 4); /* Two repeats, "next", and in the flush after that no repeat: "later". */
    CHECK(entries[0].is_repeat);
    CHECK_INT(entries[0].entry.kind, WAL_ENTRY_PROMISE);
    CHECK_INT(entries[0].entry.epoch, 8);
    CHECK_INT(entries[0].entry.number, 100);
    CHECK(entries[1].is_repeat);
    CHECK_INT(entries[1].entry.offset, 55);
    CHECK_INT(entries[1].entry.parts[0].count, 3);
    CHECK(!entries[2].is_repeat);
    CHECK(!entries[3].is_repeat);
    wal_inspect_close(inspect);
    journal_case_deinit(&c);
}
