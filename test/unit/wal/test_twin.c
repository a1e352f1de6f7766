/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two small files that every start needs, and what happens when they are damaged or stale
 * (wal/twin.c, wal/checkpoint.c).
 */
#include <stdio.h>

#include "unit/wal/journal_case.h"

/* Set up a journal with one checkpoint that a kill left. */
static void killed_with_checkpoint(struct journal_case *c)
{
    journal_case_init(c);
    journal_case_start(c);
    journal_case_durable(c, "one");
    journal_case_checkpoint(c, "body", wal_durable_position(c->wal));
    journal_case_durable(c, "two");
    journal_case_kill(c);
}

static int64_t file_bytes(struct journal_case *c, const char *name)
{
    struct io_stat stat;
    CHECK_INT(io_stat(c->io, seam_path(c->options.folder, name), &stat), 0);
    return stat.bytes;
}

/* One bad sector in a file that is needed at every start must not keep the journal shut
 * (TWIN-2). */
TEST(twin, reads_on_when_one_copy_is_bad)
{
    static const char *const names[] = {"checkpoint", "run"};
    for (size_t name = 0; name < 2; name++) {
        for (int64_t copy = 0; copy < 2; copy++) {
            struct journal_case c;
            killed_with_checkpoint(&c);
            int64_t half = file_bytes(&c, names[name]) / 2;
            journal_case_flip(&c, names[name], copy * half + 50, 5);

            journal_case_start(&c);

            CHECK_TEXT(c.body, "body");
            CHECK_TEXT(journal_case_texts(&c), "two");
            journal_case_deinit(&c);
        }
    }
}

/* Two are corruption, by name, and not the start of a new journal. */
TEST(twin, refuses_when_both_copies_are_bad)
{
    static const char *const names[] = {"checkpoint", "run"};
    for (size_t name = 0; name < 2; name++) {
        struct journal_case c;
        killed_with_checkpoint(&c);
        int64_t half = file_bytes(&c, names[name]) / 2;
        journal_case_flip(&c, names[name], 50, 5);
        journal_case_flip(&c, names[name], half + 50, 5);

        CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

        CHECK(strstr(c.error.message, names[name]) != NULL);
        journal_case_deinit(&c);
    }
}

/* A file that is gone is not a file that never was. */
TEST(twin, refuses_when_a_file_is_missing)
{
    static const char *const names[] = {"checkpoint", "run"};
    for (size_t name = 0; name < 2; name++) {
        struct journal_case c;
        killed_with_checkpoint(&c);
        CHECK_INT(io_remove(c.io, seam_path(c.options.folder, names[name])), 0);

        CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

        CHECK(strstr(c.error.message, names[name]) != NULL);
        journal_case_deinit(&c);
    }
}

/* Every byte of either file with one bit flipped: the contents are the same. */
TEST(twin, gives_the_same_for_any_flipped_bit)
{
    struct journal_case c;
    killed_with_checkpoint(&c);
    for (int64_t number = 0; number < INT64_C(2) * BLOCK_BYTES * 8; number++) {
        int64_t position = number / 8;
        bool is_in = position % BLOCK_BYTES <= 150;
        if ((!is_in && number % 1021 != 0) || (seam_is_real() && number % 97 != 0)) {
            continue;
        }
        journal_case_flip(&c, "checkpoint", position, (unsigned)(number % 8));

        CHECK_INT(journal_case_replay(&c), PYR_OK);

        CHECK_TEXT(c.body, "body");
        journal_case_flip(&c, "checkpoint", position, (unsigned)(number % 8));
    }
    journal_case_deinit(&c);
}

/* An older checkpoint that came back (from a backup, by a lost rename) is found out by the mark of
 * the newer one: what it needs may have been recycled. */
TEST(wal_checkpoint, refuses_a_checkpoint_older_than_its_mark)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "one");
    static uint8_t old[2 * BLOCK_BYTES];
    journal_case_read(&c, "checkpoint", 0, (struct bytes_mut){old, sizeof old});
    journal_case_checkpoint(&c, "newer", wal_durable_position(c.wal));
    journal_case_kill(&c);
    journal_case_damage(&c, "checkpoint", 0, (struct bytes){old, sizeof old});

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    CHECK(strstr(c.error.message, "checkpoint") != NULL);
    journal_case_deinit(&c);
}

/* A run number that came back is found out by the flushes of the later run. */
TEST(wal_start, refuses_a_run_below_that_of_the_journal)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "one");
    static uint8_t old[2 * BLOCK_BYTES];
    journal_case_read(&c, "run", 0, (struct bytes_mut){old, sizeof old});
    journal_case_stop(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "two");
    journal_case_kill(&c);
    journal_case_damage(&c, "run", 0, (struct bytes){old, sizeof old});

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);

    CHECK(strstr(c.error.message, "run") != NULL);
    journal_case_deinit(&c);
}

/* A half-made file of a crash is removed and made again; nothing else is touched. */
TEST(wal_open, removes_half_made_files_only)
{
    struct journal_case c;
    killed_with_checkpoint(&c);
    struct io_file *file = NULL;
    const char *names[] = {"00000077.new", "notes.txt"};
    for (size_t index = 0; index < 2; index++) {
        CHECK_INT(io_open(c.io, seam_path(c.options.folder, names[index]),
                          IO_OPEN_WRITE | IO_OPEN_CREATE, &file),
                  0);
        io_close(c.io, file);
    }

    journal_case_start(&c);

    struct io_stat stat;
    CHECK(io_stat(c.io, seam_path(c.options.folder, names[0]), &stat) != 0);
    CHECK(io_stat(c.io, seam_path(c.options.folder, names[1]), &stat) == 0);
    journal_case_deinit(&c);
}
