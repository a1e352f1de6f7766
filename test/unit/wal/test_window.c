/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replay takes from the page cache, and what only from the device.
 */
#include <stdio.h>

#include "base/limits.h"
#include "lib/case.h"
#include "sim/sim_io.h"
#include "wal/wal.h"

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
