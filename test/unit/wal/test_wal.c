/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's life: append, acknowledge, roll, checkpoint, recycle, stop, open. Covers
 * wal/open.c, wal/checkpoint.c and wal/files.c beside wal/wal.c.
 */
#include <stdio.h>

#include "base/checksum.h"
#include "base/codec.h"
#include "io/testing.h"
#include "unit/wal/journal_case.h"
#include "wal/twin.h"

#define NS_PER_MS UINT64_C(1000000)

/* What was acknowledged comes back, in order, with all its fields. */
TEST(wal, gives_back_what_was_durable_in_order)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);

    journal_case_durable(&c, "one");
    journal_case_durable(&c, "two");
    journal_case_durable(&c, "three");
    journal_case_stop(&c);
    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "one two three");
    CHECK_INT(c.replayed[2].offset, 2);
    CHECK_INT(c.replayed[2].epoch, 3);
    CHECK_INT(c.replayed[2].number, 2);
    CHECK_INT(c.replayed[2].kind, WAL_ENTRY_APPEND);
    CHECK(c.report.was_clean);
    CHECK_INT(c.report.cut, WAL_CUT_NONE);
    journal_case_deinit(&c);
}

/* A position is final when it is returned, and grows with every entry. */
TEST(wal, returns_positions_that_grow)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);

    uint64_t first = journal_case_append(&c, "a", 0);
    uint64_t second = journal_case_append(&c, "b", 0);
    journal_case_wait(&c, second);

    CHECK(second > first);
    CHECK(wal_durable_position(c.wal) >= second);
    CHECK(wal_written_position(c.wal) >= wal_durable_position(c.wal));
    journal_case_deinit(&c);
}

/* Nothing is durable before the device said so: the number that answers a producer (WAL-1). */
TEST(wal, does_not_call_an_entry_durable_before_its_write_completed)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t before = wal_durable_position(c.wal);

    uint64_t position = journal_case_append(&c, "a", 0);
    wal_kick(c.wal);

    CHECK(wal_durable_position(c.wal) == before);
    journal_case_wait(&c, position);
    CHECK(wal_durable_position(c.wal) >= position);
    journal_case_deinit(&c);
}

/* Entries larger than a file's rest go to the next file; the journal reads on there. */
TEST(wal, rolls_over_files_and_replays_them_all)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_settle(&c);

    for (int index = 0; index < 10; index++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", index);
        journal_case_wait(&c, journal_case_append(&c, text, 14000));
    }
    struct wal_usage usage;
    wal_usage(c.wal, &usage);
    journal_case_stop(&c);
    journal_case_start(&c);

    CHECK(usage.files_used >= 3);
    CHECK_TEXT(journal_case_texts(&c), "0 1 2 3 4 5 6 7 8 9");
    CHECK_INT(c.replayed[9].payload_bytes, 14000);
    journal_case_deinit(&c);
}

/* Try to append 30000 bytes for 50 turns, until the journal has room; return what it said last. */
static enum pyr_err try_for_room(struct journal_case *c, uint64_t *ret_position)
{
    enum pyr_err err = PYR_ERR_BUSY;
    for (int turn = 0; turn < 50 && err == PYR_ERR_BUSY; turn++) {
        journal_case_turn(c, NS_PER_MS);
        err = journal_case_try(c, "x", 30000, ret_position);
    }
    return err;
}

/* A full journal refuses data, takes state, and goes on after a checkpoint: it can always get out
 * of being full (WAL-8). */
TEST(wal, keeps_two_files_for_state_when_it_is_full)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_settle(&c);
    uint64_t position = 0;
    enum pyr_err err = PYR_OK;
    uint64_t last = 0;
    for (int count = 0; err == PYR_OK && count < 100; count++) {
        err = try_for_room(&c, &position);
        if (err == PYR_OK) {
            last = position;
            journal_case_wait(&c, position);
        }
    }

    struct wal_entry promise = {.kind = WAL_ENTRY_PROMISE, .log = {{9}}, .epoch = 8};
    enum pyr_err promise_err =
        wal_append(c.wal, &promise, (struct wal_need){0}, &position, &c.error);
    struct wal_usage full;
    wal_usage(c.wal, &full);
    journal_case_checkpoint(&c, "all", last);
    journal_case_settle(&c);
    enum pyr_err after = journal_case_try(&c, "y", 30000, &position);

    CHECK_INT(err, PYR_ERR_BUSY);
    CHECK_INT(promise_err, PYR_OK);
    CHECK_INT(full.files_used, 4);
    CHECK_INT(full.files_ready, 2);
    CHECK_INT(after, PYR_OK);
    struct wal_counters counters;
    wal_counters(c.wal, &counters);
    CHECK(counters.waits_spare > 0);
    journal_case_deinit(&c);
}

/* Recycled files hold old flushes between the new ones; none of them comes back. */
TEST(wal, replays_only_what_follows_the_checkpoint_in_recycled_files)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    char expected[256] = "";
    for (int index = 0; index < 40; index++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", index);
        uint64_t position = journal_case_append(&c, text, 9000);
        journal_case_wait(&c, position);
        if (index % 10 == 9) {
            journal_case_checkpoint(&c, text, position);
            expected[0] = '\0';
        } else {
            size_t used = strlen(expected);
            (void)snprintf(expected + used, sizeof expected - used, used ? " %s" : "%s", text);
        }
    }
    journal_case_wait(&c, journal_case_append(&c, "40", 9000));
    struct wal_counters counters;
    wal_counters(c.wal, &counters);
    journal_case_kill(&c);
    journal_case_start(&c);

    CHECK(counters.files_recycled > 2);
    CHECK_TEXT(journal_case_texts(&c), "40");
    CHECK_TEXT(c.body, "39");
    journal_case_deinit(&c);
}

/* The journal never has more files than it was told, and none of them grows. */
TEST(wal, bounds_its_files)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    for (int index = 0; index < 60; index++) {
        uint64_t position = journal_case_append(&c, "x", 20000);
        journal_case_wait(&c, position);
        if (index % 3 == 2) {
            journal_case_checkpoint(&c, "", position);
        }
    }
    journal_case_stop(&c);

    struct io_entries entries;
    CHECK_INT(io_list(c.io, c.options.folder, &entries), 0);
    int files = 0;
    for (size_t index = 0; index < entries.count; index++) {
        struct io_stat stat;
        CHECK_INT(io_stat(c.io, seam_path(c.options.folder, entries.rows[index].name), &stat), 0);
        bool is_file = strstr(entries.rows[index].name, ".wal") != NULL;
        files += is_file ? 1 : 0;
        CHECK(!is_file || stat.bytes == CASE_FILE_BYTES);
    }
    io_entries_free(c.io, &entries);
    CHECK(files <= 6);
    journal_case_deinit(&c);
}

/* The checkpoint's body is what the owner gave, and entries below it are not read again. */
TEST(wal_checkpoint, gives_its_body_back_and_shortens_the_replay)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "one");
    journal_case_checkpoint(&c, "state after one", wal_durable_position(c.wal));
    journal_case_durable(&c, "two");
    journal_case_stop(&c);

    journal_case_start(&c);

    CHECK_TEXT(c.body, "state after one");
    CHECK_TEXT(journal_case_texts(&c), "two");
    journal_case_deinit(&c);
}

/* A checkpoint below the end starts at a flush at or below its position: nothing above is lost. */
TEST(wal_checkpoint, never_resumes_above_its_position)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t positions[12];
    for (int index = 0; index < 12; index++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", index);
        positions[index] = journal_case_append(&c, text, 5000);
        journal_case_wait(&c, positions[index]);
    }
    journal_case_checkpoint(&c, "", positions[6]);
    journal_case_stop(&c);

    journal_case_start(&c);

    CHECK(strstr(journal_case_texts(&c), "7 8 9 10 11") != NULL);
    CHECK(c.replayed_count < 12);
    journal_case_deinit(&c);
}

/* Only one empty flush follows a busy time, however long the idling lasts (WAL-6). */
TEST(wal, writes_one_empty_flush_when_idle)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.idle_ns = 2 * NS_PER_MS;
    journal_case_start(&c);
    journal_case_durable(&c, "a");

    uint64_t end = io_now_mono_ns(c.io) + 30 * NS_PER_MS;
    while (io_now_mono_ns(c.io) < end) {
        journal_case_turn(&c, NS_PER_MS);
    }
    struct wal_counters counters;
    wal_counters(c.wal, &counters);

    CHECK_INT(counters.flushes_empty, 1);
    CHECK_INT(counters.flushes, 2);
    journal_case_deinit(&c);
}

/* A small gather pool refuses rather than grows, and takes more when flushes have completed. */
TEST(wal, refuses_when_the_gather_pool_is_full)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.gather_count = 2;
    c.options.file_bytes = 8 << 20;
    c.options.flush_bytes_target = 4096;
    journal_case_start(&c);
    uint64_t position = 0;
    enum pyr_err err = PYR_OK;
    for (int count = 0; err == PYR_OK && count < 10; count++) {
        err = journal_case_try(&c, "x", 5000, &position);
    }

    CHECK_INT(err, PYR_ERR_BUSY);
    struct wal_counters counters;
    wal_counters(c.wal, &counters);
    CHECK_INT(counters.waits_gather, 1);
    journal_case_wait(&c, position);
    CHECK_INT(journal_case_try(&c, "x", 5000, &position), PYR_OK);
    journal_case_deinit(&c);
}

/* What can never fit is refused by name, not waited for. */
TEST(wal, refuses_an_entry_above_its_limit)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.entry_bytes_max = 1000;
    journal_case_start(&c);
    uint64_t position = 0;

    CHECK_INT(journal_case_try(&c, "x", 1001, &position), PYR_ERR_TOO_LARGE);
    CHECK(strstr(c.error.message, "1001") != NULL);
    CHECK_INT(journal_case_try(&c, "x", 1000, &position), PYR_OK);
    journal_case_deinit(&c);
}

/* The largest entry that the options allow fits, in every size of file. */
TEST(wal, takes_the_largest_entry_that_fits)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_settle(&c);
    uint64_t position = 0;

    size_t bytes = CASE_FILE_BYTES;
    while (journal_case_try(&c, "x", bytes, &position) == PYR_ERR_TOO_LARGE) {
        bytes--;
    }
    journal_case_wait(&c, position);
    journal_case_stop(&c);
    journal_case_start(&c);

    CHECK(bytes > 20000);
    CHECK_INT(c.replayed_count, 1);
    CHECK_INT(c.replayed[0].payload_bytes, bytes);
    journal_case_deinit(&c);
}

/* After the stop nothing is taken, and everything that was is durable. */
TEST(wal_stop, makes_everything_durable_and_takes_nothing_more)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    uint64_t position = journal_case_append(&c, "last", 0);

    wal_stop(c.wal);
    uint64_t refused = 0;
    enum pyr_err err = journal_case_try(&c, "late", 0, &refused);
    while (!wal_is_quiet(c.wal)) {
        journal_case_turn(&c, NS_PER_MS);
    }

    CHECK_INT(err, PYR_ERR_CLOSED);
    CHECK_INT(wal_state(c.wal, NULL), WAL_STATE_CLOSED);
    CHECK(wal_durable_position(c.wal) >= position);
    journal_case_stop(&c);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "last");
    journal_case_deinit(&c);
}

/* A journal is made only where its caller allows it: a missing one is not taken for an empty one.
 */
TEST(wal_open, does_not_make_a_journal_that_should_be_there)
{
    struct journal_case c;
    journal_case_init(&c);
    c.options.may_create = false;

    CHECK_INT(journal_case_open(&c), PYR_ERR_CORRUPT);
    CHECK(strstr(c.error.message, c.options.folder) != NULL);

    struct io_stat stat;
    CHECK(io_stat(c.io, c.options.folder, &stat) != 0);
    journal_case_deinit(&c);
}

/* Another storage's journal, copied here by mistake, is refused and left alone. */
TEST(wal_open, refuses_the_journal_of_another_storage_or_shard)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_stop(&c);

    c.options.shard = 8;
    CHECK_INT(journal_case_open(&c), PYR_ERR_FOREIGN);
    c.options.shard = 7;
    c.options.storage_id[0] = 77;
    CHECK_INT(journal_case_open(&c), PYR_ERR_FOREIGN);
    c.options.storage_id[0] = 1;
    CHECK_INT(journal_case_open(&c), PYR_OK);
    journal_case_deinit(&c);
}

/* Give the block at @position of @file the next version, with a checksum that fits: over @checked
 * bytes, and then over the body if there is one at @body_position. */
static void make_newer(struct journal_case *c,
                       const char *file,
                       int64_t position,
                       size_t checked,
                       size_t body_position)
{
    uint8_t block[BLOCK_BYTES];
    journal_case_read(c, file, position, (struct bytes_mut){block, sizeof block});
    put_le16(block + 4, WAL_FORMAT_VERSION + 1);
    uint64_t checksum = checksum_hash64(get_le32(block), (struct bytes){block, checked});
    if (body_position > 0) {
        struct bytes body = {block + body_position, (size_t)get_le64(block + 32)};
        checksum = checksum_hash64(checksum, body);
    }
    put_le64(block + checked, checksum);
    journal_case_damage(c, file, position, (struct bytes){block, sizeof block});
}

/* A newer version's journal is neither damaged nor empty: it is refused with a code of its own, so
 * that nobody repairs it. One header of a journal file is enough, of `run` both copies. */
TEST(wal_open, refuses_what_a_newer_version_wrote)
{
    for (int kind = 0; kind < 2; kind++) {
        struct journal_case c;
        journal_case_init(&c);
        journal_case_start(&c);
        journal_case_durable(&c, "a");
        journal_case_stop(&c);
        const char *file = kind == 0 ? "00000000.wal" : "run";

        make_newer(&c, file, BLOCK_BYTES, kind == 0 ? 48 : 40,
                   kind == 0 ? 0 : WAL_TWIN_HEADER_BYTES);
        if (kind == 1) {
            make_newer(&c, file, 0, 40, WAL_TWIN_HEADER_BYTES);
        }

        CHECK_INT(journal_case_open(&c), PYR_ERR_VERSION);
        CHECK(strstr(c.error.message, file) != NULL);
        CHECK(strstr(c.error.message, "newer version") != NULL);
        journal_case_deinit(&c);
    }
}

/* A journal keeps the length of its files, whatever the options say later. */
TEST(wal_open, keeps_the_length_of_an_existing_journals_files)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "a");
    journal_case_stop(&c);
    c.options.file_bytes = UINT64_C(2) * CASE_FILE_BYTES;

    journal_case_start(&c);

    struct wal_usage usage;
    wal_usage(c.wal, &usage);
    CHECK_INT(usage.file_bytes, CASE_FILE_BYTES);
    CHECK_TEXT(journal_case_texts(&c), "a");
    journal_case_deinit(&c);
}

/* Options that make no sense are named before anything is touched. */
TEST(wal_open, refuses_options_that_make_no_sense)
{
    struct wal_options bad[] = {
        {.file_bytes = 4096},
        {.file_bytes = CASE_FILE_BYTES + 1},
        {.file_bytes = UINT64_C(1) << 40},
        {.files_max = 1},
        {.depth = 1000},
        {.gather_count = 1},
        {.entry_bytes_max = CASE_FILE_BYTES},
    };
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        struct journal_case c;
        journal_case_init(&c);
        bad[index].folder = c.options.folder;
        bad[index].may_create = true;
        if (bad[index].file_bytes == 0) {
            bad[index].file_bytes = CASE_FILE_BYTES;
        }
        c.options = bad[index];

        CHECK_INT(journal_case_open(&c), PYR_ERR_INVALID);
        journal_case_deinit(&c);
    }
}

/* A device that may tear more than our block is refused by its number. */
TEST(wal_open, refuses_a_device_with_larger_blocks)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_stop(&c);
    io_loop_destroy(c.loop);
    io_destroy(c.io);
    struct seam_options options = {.block_bytes = 16384};
    c.io = seam_create(&options);
    c.loop = seam_loop(c.io, &options);
    if (!seam_is_real()) {
        journal_case_deinit(&c);
        case_skip("the simulated disk was replaced with its environment");
    }

    CHECK_INT(journal_case_open(&c), PYR_ERR_UNSUPPORTED);

    CHECK(strstr(c.error.message, "16384") != NULL);
    journal_case_deinit(&c);
}

/* Hosts without direct I/O or without the durable flag lose speed and nothing else. */
TEST(wal_open, works_without_direct_io_and_without_the_durable_flag)
{
    struct journal_case c;
    journal_case_init(&c);
    io_loop_destroy(c.loop);
    io_destroy(c.io);
    struct seam_options options = {.without_direct = true, .without_dsync = true};
    c.io = seam_create(&options);
    c.loop = seam_loop(c.io, &options);
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/0", seam_folder(c.io));
    c.options.folder = path;
    journal_case_start(&c);

    journal_case_durable(&c, "a");
    CHECK(strstr(wal_describe(c.wal), "page cache") != NULL);
    journal_case_stop(&c);
    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "a");
    journal_case_deinit(&c);
}

/* Every allocation of an opening may fail: an error, no leak, and the next opening works. */
TEST(wal_open, survives_the_failure_of_any_allocation)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);
    journal_case_durable(&c, "a");
    journal_case_stop(&c);
    uint64_t live = io_testing_allocations_live(c.io);
    uint64_t failures = 0;

    for (uint64_t nth = 1; nth < 200; nth++) {
        io_testing_fail_allocation(c.io, nth);
        enum pyr_err err = journal_case_open(&c);
        io_testing_fail_allocation(c.io, 0);
        if (err == PYR_OK) {
            journal_case_stop(&c);
            break;
        }
        CHECK_INT(err, PYR_ERR_NO_MEMORY);
        failures++;
        CHECK_INT(io_testing_allocations_live(c.io), live);
    }

    CHECK(failures > 10);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "a");
    journal_case_deinit(&c);
}

/* Likewise while a journal is created: what is half made is made again. */
TEST(wal_open, creates_after_the_failure_of_any_allocation)
{
    struct journal_case c;
    journal_case_init(&c);
    enum pyr_err err = PYR_ERR_NO_MEMORY;
    for (uint64_t nth = 1; nth < 200 && err != PYR_OK; nth++) {
        io_testing_fail_allocation(c.io, nth);
        err = journal_case_open(&c);
        io_testing_fail_allocation(c.io, 0);
        CHECK(err == PYR_OK || err == PYR_ERR_NO_MEMORY);
    }

    CHECK_INT(err, PYR_OK);
    journal_case_durable(&c, "a");
    journal_case_stop(&c);
    journal_case_start(&c);
    CHECK_TEXT(journal_case_texts(&c), "a");
    journal_case_deinit(&c);
}

/* The run number rises at each start, and a checkpoint or a kill does not bring it down (WAL-7). */
TEST(wal_start, raises_the_run_at_each_start)
{
    struct journal_case c;
    journal_case_init(&c);
    uint64_t run = 0;
    for (int start = 0; start < 4; start++) {
        journal_case_start(&c);
        journal_case_durable(&c, "a");
        journal_case_kill(&c);
        journal_case_start(&c);
        CHECK(c.report.run > run);
        run = c.report.run;
        journal_case_stop(&c);
    }
    journal_case_deinit(&c);
}
