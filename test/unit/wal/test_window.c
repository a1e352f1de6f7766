/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replay takes from the page cache, and what only from the device.
 */
#include <stdio.h>

#include "base/limits.h"
#include "io/testing.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "sim/sim_io.h"
#include "wal/wal.h"
#include "wal/window.h"

#define NS_PER_MS UINT64_C(1000000)

enum { FILE_BYTES = 64 << 10, ENTRIES_BIG = 40, ENTRY_BYTES = 6000 };

/* One life of a journal whose entries say their number in their first byte. */
struct reader {
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct wal *wal;
    struct pyr_error error;
    uint64_t next;
    struct wal_replay_report report;
};

static void reader_turn(struct reader *reader)
{
    wal_kick(reader->wal);
    io_loop_wait(reader->loop, io_now_mono_ns(reader->io) + NS_PER_MS);
    (void)io_loop_dispatch(reader->loop);
}

/* Replay the journal on @disk, with cached pages stale if @is_stale, and start it if all is well.
 */
static enum pyr_err reader_begin(struct reader *reader, struct sim_disk *disk, bool is_stale)
{
    memset(reader, 0, sizeof *reader);
    reader->sim = sim_create(&(struct sim_options){.disk = disk, .seed = 3});
    reader->io = sim_io(reader->sim);
    sim_set_stale(reader->sim, is_stale ? ".wal" : NULL);
    CHECK_INT(io_loop_create(reader->io, &(struct io_loop_options){.ops_max = 16}, &reader->loop),
              0);
    const struct wal_options options = {.folder = "/0",
                                        .may_create = true,
                                        .file_bytes = FILE_BYTES,
                                        .files_max = 8,
                                        .idle_ns = NS_PER_MS * 10};
    enum pyr_err err = wal_open(reader->loop, &options, &reader->wal, &reader->error);
    const struct wal_replay_entry *got = NULL;
    do {
        got = NULL;
        err = err == PYR_OK ? wal_replay_next(reader->wal, &got, &reader->error) : err;
        if (got) {
            assert_int_equal(got->entry.number, reader->next);
            assert_int_equal(got->entry.parts[0].data[0], reader->next);
            reader->next++;
        }
    } while (got);
    if (err == PYR_OK) {
        wal_replay_report(reader->wal, &reader->report);
        err = wal_start(reader->wal, &reader->error);
    }
    return err;
}

static void reader_append(struct reader *reader, enum wal_need_kind kind)
{
    static uint8_t payload[ENTRY_BYTES];
    memset(payload, (int)reader->next, sizeof payload);
    const struct wal_entry entry = {.kind = WAL_ENTRY_APPEND,
                                    .number = reader->next,
                                    .parts[0] = {payload, sizeof payload},
                                    .checked_bytes = sizeof payload};
    uint64_t position = 0;
    enum pyr_err err = PYR_OK;
    do {
        err = wal_append(reader->wal, &entry, (struct wal_need){.kind = kind}, &position, NULL);
        reader_turn(reader);
    } while (err == PYR_ERR_BUSY);
    CHECK_INT(err, PYR_OK);
    reader->next++;
    while (kind == WAL_NEED_DURABLE_NOW && wal_durable_position(reader->wal) < position) {
        reader_turn(reader);
    }
}

static void reader_end(struct reader *reader)
{
    if (reader->wal && wal_state(reader->wal, NULL) != WAL_STATE_REPLAYING) {
        wal_stop(reader->wal);
        while (!wal_is_quiet(reader->wal)) {
            reader_turn(reader);
        }
    }
    wal_destroy(reader->wal);
    io_loop_destroy(reader->loop);
    sim_destroy(reader->sim);
}

/* REPL-4: a page that missed a direct write says that the chain ends there; the device knows
 * better. Nothing of the journal is lost, over several files, after a clean stop and after a kill.
 */
TEST(window, asks_the_device_before_it_ends_the_chain)
{
    struct sim_disk *disk = sim_disk_create();
    struct reader reader;
    CHECK_INT(reader_begin(&reader, disk, false), PYR_OK);
    sim_record_start(disk);
    for (int index = 0; index < ENTRIES_BIG; index++) {
        reader_append(&reader, WAL_NEED_DURABLE_NOW);
    }
    uint64_t mark = 0;
    struct sim_disk *killed =
        sim_record_image(disk, sim_record_count(disk) - 1, SIM_CRASH_ALL, 1, &mark);
    reader_end(&reader);

    CHECK_INT(reader_begin(&reader, disk, true), PYR_OK);
    CHECK_INT(reader.next, ENTRIES_BIG);
    CHECK(reader.report.was_clean);
    reader_end(&reader);
    CHECK_INT(reader_begin(&reader, killed, true), PYR_OK);
    CHECK_INT(reader.next, ENTRIES_BIG);
    reader_end(&reader);
    sim_disk_destroy(killed);
    sim_disk_destroy(disk);
}

/* REPL-4: after a failed sync the page cache shows an open flush that the device never got. It must
 * not be taken for durable: what is appended behind it would be lost with it. */
TEST(window, does_not_believe_an_open_flush_that_a_failed_sync_forgot)
{
    struct sim_disk *disk = sim_disk_create();
    struct reader reader;
    CHECK_INT(reader_begin(&reader, disk, false), PYR_OK);
    reader_append(&reader, WAL_NEED_DURABLE_NOW);
    reader_append(&reader, WAL_NEED_WRITTEN_NOW);
    sim_fault_add(reader.sim, &(struct sim_fault){.kind = SIM_SYNC, .name = ".wal"});
    (void)wal_sync(reader.wal);
    while (wal_state(reader.wal, NULL) == WAL_STATE_OPEN) {
        reader_turn(&reader);
    }
    CHECK_INT(wal_state(reader.wal, NULL), WAL_STATE_FAILED);
    reader_end(&reader);

    CHECK_INT(reader_begin(&reader, disk, false), PYR_OK);

    CHECK_INT(reader.next, 1);
    reader_end(&reader);
    sim_disk_destroy(disk);
}

/* Behind a clean stop nothing can stand, so nothing is read there; behind a kill all of it is. */
TEST(window, reads_the_spares_after_a_kill_only)
{
    struct sim_disk *disk = sim_disk_create();
    struct reader reader;
    CHECK_INT(reader_begin(&reader, disk, false), PYR_OK);
    CHECK(reader.report.bytes_scanned < UINT64_C(2) * FILE_BYTES); /* Just made. */
    sim_record_start(disk);
    reader_append(&reader, WAL_NEED_DURABLE_NOW);
    while (io_loop_pending(reader.loop) > 0) {
        reader_turn(&reader);
    }
    uint64_t mark = 0;
    struct sim_disk *killed =
        sim_record_image(disk, sim_record_count(disk) - 1, SIM_CRASH_ALL, 1, &mark);
    reader_end(&reader);

    CHECK_INT(reader_begin(&reader, killed, false), PYR_OK);
    uint64_t killed_bytes = reader.report.bytes_scanned;
    reader_end(&reader);
    CHECK_INT(reader_begin(&reader, disk, false), PYR_OK);
    CHECK(reader.report.bytes_scanned + UINT64_C(2) * FILE_BYTES < killed_bytes);
    reader_end(&reader);
    sim_disk_destroy(killed);
    sim_disk_destroy(disk);
}

/* -- Reading ahead -- */

enum { WALK_PIECE_BYTES = FILE_BYTES / 8, WALK_ROOM_BYTES = WALK_PIECE_BYTES / 2 };

/* A window over one file whose blocks say their number in every byte. */
struct walk {
    struct sim_disk *disk;
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct wal_files files;
    struct wal_file file;
    struct wal_window window;
    struct pyr_error error;
};

static void walk_begin(struct walk *walk)
{
    static _Alignas(BLOCK_BYTES) uint8_t content[FILE_BYTES];
    for (size_t at = 0; at < sizeof content; at++) {
        content[at] = (uint8_t)(1 + at / BLOCK_BYTES);
    }
    memset(walk, 0, sizeof *walk);
    walk->disk = sim_disk_create();
    walk->sim = sim_create(&(struct sim_options){.disk = walk->disk, .seed = 3});
    walk->io = sim_io(walk->sim);
    CHECK_INT(io_loop_create(walk->io, &(struct io_loop_options){.ops_max = 4}, &walk->loop), 0);
    walk->files = (struct wal_files){.io = walk->io,
                                     .folder = "/0",
                                     .identity.file_bytes = FILE_BYTES,
                                     .is_direct = true};
    walk->file.slot = 7;
    char path[PATH_BYTES_MAX];
    wal_files_path(&walk->files, walk->file.slot, path);
    CHECK_INT(io_make_folder(walk->io, "/0"), 0);
    uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT;
    CHECK_INT(io_open(walk->io, path, flags, &walk->file.file), 0);
    struct bytes all = {content, sizeof content};
    CHECK_INT(io_write_whole(walk->io, walk->file.file, all, 0, false), 0);
    wal_window_init(&walk->window, &walk->files, walk->loop);
}

static void walk_end(struct walk *walk)
{
    wal_window_deinit(&walk->window);
    io_close(walk->io, walk->file.file);
    io_loop_destroy(walk->loop);
    sim_destroy(walk->sim);
    sim_disk_destroy(walk->disk);
}

/* Ask for @blocks from block @first on, and hold what comes against the file. */
static enum pyr_err walk_need(struct walk *walk, size_t first, size_t blocks)
{
    const uint8_t *data = NULL;
    size_t bytes = blocks * BLOCK_BYTES;
    enum pyr_err err = wal_window_need(&walk->window, &walk->file, (int64_t)(first * BLOCK_BYTES),
                                       bytes, &data, &walk->error);
    for (size_t at = 0; err == PYR_OK && at < bytes; at++) {
        assert_int_equal(data[at], 1 + first + at / BLOCK_BYTES);
    }
    return err;
}

/* The next piece is under way while the caller looks at this one, nothing is read twice, and what
 * lies across the border of two pieces comes in one. Flushes of three blocks lie across every one.
 */
TEST(window, reads_the_next_piece_while_this_one_is_looked_at)
{
    struct walk walk;
    walk_begin(&walk);
    size_t blocks = FILE_BYTES / BLOCK_BYTES;

    for (size_t first = 0; first + 3 <= blocks; first += 3) {
        CHECK_INT(walk_need(&walk, first, 1), PYR_OK);
        CHECK_INT(walk_need(&walk, first, 3), PYR_OK);
        int64_t held_end = walk.window.position + (int64_t)walk.window.count;
        CHECK_INT(walk.window.has_ahead, held_end < FILE_BYTES);
    }
    CHECK_INT(walk_need(&walk, blocks - 1, 1), PYR_OK);

    CHECK_INT(walk.window.bytes_read, FILE_BYTES);
    walk_end(&walk);
}

/* What a buffer has no room for before a piece, and what does not follow, is read by itself. */
TEST(window, reads_by_itself_what_does_not_follow)
{
    struct walk walk;
    walk_begin(&walk);

    CHECK_INT(walk_need(&walk, 0, 1), PYR_OK);
    CHECK_INT(walk_need(&walk, 9, 2), PYR_OK);  /* Further on, */
    CHECK_INT(walk_need(&walk, 1, 2), PYR_OK);  /* back, */
    CHECK_INT(walk_need(&walk, 1, 12), PYR_OK); /* more than a buffer holds, */
    CHECK_INT(walk_need(&walk, 2, 14), PYR_OK); /* and with more before it than there is room. */

    CHECK(!walk.window.has_ahead); /* The file ends here. */
    walk_end(&walk);
}

/* A piece read ahead that fails is not reported before it is needed, and then read again: it may
 * lie behind the journal's end, where nobody misses it. */
TEST(window, reports_what_cannot_be_read_when_it_is_needed)
{
    struct walk walk;
    walk_begin(&walk);
    struct sim_fault bad = {.kind = SIM_READ,
                            .position_first = WALK_PIECE_BYTES,
                            .position_end = (int64_t)2 * WALK_PIECE_BYTES};
    sim_set_cold(walk.sim, true);
    sim_fault_add(walk.sim, &bad);

    CHECK_INT(walk_need(&walk, 0, 2), PYR_OK);
    io_loop_wait(walk.loop, io_now_mono_ns(walk.io) + NS_PER_MS);
    (void)io_loop_dispatch(walk.loop);
    CHECK_INT(sim_fault_count(walk.sim), 1);   /* It has failed in the job, */
    CHECK_INT(walk_need(&walk, 2, 2), PYR_OK); /* and is read again. */

    sim_faults_clear(walk.sim);
    bad.times = UINT64_MAX;
    sim_fault_add(walk.sim, &bad);
    CHECK_INT(walk_need(&walk, 0, 2), PYR_OK);
    CHECK_INT(walk_need(&walk, 2, 2), PYR_ERR_IO);
    CHECK(strstr(walk.error.message, "'/0/") != NULL);
    CHECK(strstr(walk.error.message, "position 8192") != NULL);
    CHECK_INT(walk_need(&walk, 0, 2), PYR_OK); /* It goes on, if the caller does. */
    walk_end(&walk);
}

/* REPL-4, WIN-1: what a job reads from a page cache that is not to be believed is thrown away, and
 * from then on everything comes from the device, until the caller trusts again. */
TEST(window, throws_away_what_was_read_ahead_from_a_cache_it_distrusts)
{
    struct walk walk;
    walk_begin(&walk);
    CHECK_INT(walk_need(&walk, 0, 1), PYR_OK);
    CHECK(walk.window.ahead.is_running);
    sim_set_stale(walk.sim, "/0/");

    wal_window_distrust(&walk.window);

    CHECK(!walk.window.has_ahead);
    for (size_t first = 0; first < 8; first += 2) {
        CHECK_INT(walk_need(&walk, first, 2), PYR_OK);
        CHECK(!walk.window.is_cached);
    }
    CHECK(!walk.window.has_ahead);
    wal_window_trust(&walk.window);
    const uint8_t *data = NULL;
    int64_t position = (int64_t)8 * BLOCK_BYTES;
    CHECK_INT(wal_window_need(&walk.window, &walk.file, position, 1, &data, NULL), PYR_OK);
    CHECK(walk.window.is_cached);
    CHECK(walk.window.has_ahead);
    CHECK_INT(data[0], 0); /* The stale page. */
    walk_end(&walk);
}

/* Without memory for a second buffer nothing is read ahead, and nothing fails. */
TEST(window, does_without_the_second_buffer)
{
    struct walk walk;
    walk_begin(&walk);
    walk.files.is_direct = false;           /* No view, which would take memory too. */
    io_testing_fail_allocation(walk.io, 2); /* The first buffer is the first. */

    for (size_t first = 0; first < FILE_BYTES / BLOCK_BYTES; first++) {
        CHECK_INT(walk_need(&walk, first, 1), PYR_OK);
        CHECK(first > 0 || !walk.window.has_ahead);
    }

    walk_end(&walk);
}
