/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual disk: what a crash leaves, and what faults do. If the simulator is kinder than a
 * disk, every proof that stands on it is worth nothing.
 */
#include <errno.h>

#include "base/limits.h"
#include "io/io.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "sim/sim_io.h"

#define RW (IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE)

enum { SEEDS = 200 };

/* -- Helpers -- */

struct fixture {
    struct sim_disk *disk;
    struct sim *sim;
    struct io *io;
    struct io_file *file;
};

/* A disk with the file "/a", whose name is durable and whose first two blocks hold 'o', durably. */
static struct fixture fixture_create(void)
{
    struct fixture fixture = {.disk = sim_disk_create()};
    fixture.sim = sim_create(&(struct sim_options){.disk = fixture.disk, .seed = 1});
    fixture.io = sim_io(fixture.sim);
    static uint8_t data[2 * BLOCK_BYTES];
    memset(data, 'o', sizeof data);
    CHECK_INT(io_open(fixture.io, "/a", RW, &fixture.file), 0);
    CHECK_INT(io_sync_folder(fixture.io, "/"), 0);
    CHECK_INT(io_write_whole(fixture.io, fixture.file, (struct bytes){data, sizeof data}, 0, true),
              0);
    CHECK(!sim_disk_is_dirty(fixture.disk, "/a"));
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    io_close(fixture->io, fixture->file);
    sim_destroy(fixture->sim);
    sim_disk_destroy(fixture->disk);
}

static void fill(struct fixture *fixture, char letter, int64_t position, size_t count, bool durable)
{
    static uint8_t data[2 * BLOCK_BYTES];
    memset(data, letter, count);
    CHECK_INT(
        io_write_whole(fixture->io, fixture->file, (struct bytes){data, count}, position, durable),
        0);
}

/* Read the file at `path` of `disk` whole. Return its length, or -1 if there is none. */
static int64_t slurp(struct sim_disk *disk, const char *path, uint8_t *data, size_t room)
{
    struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 1});
    struct io_file *file = NULL;
    size_t count = 0;
    if (io_open(sim_io(sim), path, IO_OPEN_READ, &file) != 0) {
        sim_destroy(sim);
        return -1;
    }
    CHECK_INT(io_read_whole(sim_io(sim), file, (struct bytes_mut){data, room}, 0, &count), 0);
    io_close(sim_io(sim), file);
    sim_destroy(sim);
    return (int64_t)count;
}

static size_t letters(const uint8_t *data, size_t count, uint8_t letter)
{
    size_t found = 0;
    for (size_t index = 0; index < count; index++) {
        found += data[index] == letter;
    }
    return found;
}

/* -- Crashes: bytes -- */

/* A completed durable write survives every crash, whatever else is unflushed. */
TEST(sim_crash, never_takes_back_a_durable_write)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    fill(&fixture, 'u', BLOCK_BYTES, BLOCK_BYTES, false);
    fill(&fixture, 'd', 0, BLOCK_BYTES, true);
    fill(&fixture, 'e', BLOCK_BYTES, SECTOR_BYTES, true);

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_RANDOM, seed);
        CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
        CHECK_INT(letters(data, BLOCK_BYTES, 'd'), BLOCK_BYTES);
        CHECK_INT(letters(data + BLOCK_BYTES, SECTOR_BYTES, 'e'), SECTOR_BYTES);
        sim_disk_destroy(image);
    }
    fixture_destroy(&fixture);
}

/* An unflushed write may be there, not there, torn between any two sectors, or garbage. */
TEST(sim_crash, tears_an_unflushed_write_at_sectors_and_sometimes_leaves_garbage)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    int whole = 0;
    int none = 0;
    int torn = 0;
    int garbage = 0;
    fill(&fixture, 'n', 0, BLOCK_BYTES, false);

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_RANDOM, seed);
        CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
        CHECK_INT(letters(data + BLOCK_BYTES, BLOCK_BYTES, 'o'), BLOCK_BYTES);
        size_t new = 0;
        size_t old = 0;
        for (size_t at = 0; at < BLOCK_BYTES; at += SECTOR_BYTES) {
            new += letters(data + at, SECTOR_BYTES, 'n') == SECTOR_BYTES;
            old += letters(data + at, SECTOR_BYTES, 'o') == SECTOR_BYTES;
        }
        whole += new == 8;
        none += old == 8;
        torn += new > 0 && old > 0;
        garbage += new + old < 8;
        sim_disk_destroy(image);
    }

    CHECK(whole > 0 && none > 0 && torn > 0 && garbage > 0);
    fixture_destroy(&fixture);
}

/* A sync makes what was written before it certain. */
TEST(sim_crash, keeps_what_a_sync_covered)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[3 * BLOCK_BYTES];
    fill(&fixture, 's', BLOCK_BYTES, (size_t)2 * BLOCK_BYTES, false);
    CHECK_INT(io_sync(fixture.io, fixture.file), 0);
    fill(&fixture, 'u', 0, 100, false);

    struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);

    CHECK_INT(slurp(image, "/a", data, sizeof data), 3 * BLOCK_BYTES);
    CHECK_INT(letters(data, BLOCK_BYTES, 'o'), BLOCK_BYTES);
    CHECK_INT(letters(data + BLOCK_BYTES, (size_t)2 * BLOCK_BYTES, 's'), (size_t)2 * BLOCK_BYTES);
    sim_disk_destroy(image);
    fixture_destroy(&fixture);
}

/* A failed flush forgets: reads still see the bytes, the next sync "succeeds", a crash takes them.
 * That is why a failed sync is final. IO-4 */
TEST(sim_fault, failed_sync_loses_data_and_the_next_one_lies)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    fill(&fixture, 'n', 0, BLOCK_BYTES, false);
    sim_fault_add(fixture.sim, &(struct sim_fault){.kind = SIM_SYNC});

    CHECK_INT(io_sync(fixture.io, fixture.file), EIO);
    CHECK_INT(io_sync(fixture.io, fixture.file), 0);

    size_t count = 0;
    CHECK_INT(io_read_whole(fixture.io, fixture.file, (struct bytes_mut){data, 1}, 0, &count), 0);
    CHECK_INT(data[0], 'n');
    struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_ALL, 1);
    CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
    CHECK_INT(letters(data, BLOCK_BYTES, 'o'), BLOCK_BYTES);
    sim_disk_destroy(image);
    fixture_destroy(&fixture);
}

/* The length is a matter of its own: a longer file may come back short, with or without its bytes.
 */
TEST(sim_crash, may_take_back_a_length_that_was_not_synced)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[4 * BLOCK_BYTES];
    bool was_short = false;
    bool was_long = false;
    bool had_zeros = false;
    fill(&fixture, 'x', (int64_t)2 * BLOCK_BYTES, BLOCK_BYTES, false);

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_RANDOM, seed);
        int64_t bytes = slurp(image, "/a", data, sizeof data);
        CHECK(bytes == (int64_t)2 * BLOCK_BYTES || bytes == (int64_t)3 * BLOCK_BYTES);
        was_short = was_short || bytes == (int64_t)2 * BLOCK_BYTES;
        was_long = was_long || bytes == (int64_t)3 * BLOCK_BYTES;
        had_zeros =
            had_zeros || (bytes == (int64_t)3 * BLOCK_BYTES &&
                          letters(data + (size_t)2 * BLOCK_BYTES, BLOCK_BYTES, 0) == BLOCK_BYTES);
        sim_disk_destroy(image);
    }

    CHECK(was_short && was_long && had_zeros);
    fixture_destroy(&fixture);
}

/* A durable write that makes the file longer takes its length along. */
TEST(sim_crash, keeps_the_length_of_a_durable_write)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[4 * BLOCK_BYTES];
    fill(&fixture, 'u', (int64_t)2 * BLOCK_BYTES, 10, false);
    fill(&fixture, 'd', (int64_t)3 * BLOCK_BYTES, 10, true);

    struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);

    CHECK_INT(slurp(image, "/a", data, sizeof data), 3 * BLOCK_BYTES + 10);
    CHECK_INT(letters(data + (size_t)3 * BLOCK_BYTES, 10, 'd'), 10);
    CHECK_INT(letters(data + (size_t)2 * BLOCK_BYTES, BLOCK_BYTES, 0), BLOCK_BYTES);
    sim_disk_destroy(image);
    fixture_destroy(&fixture);
}

/* -- Crashes: names -- */

/* A name is durable only after its folder was synced; syncing the file is not enough. */
TEST(sim_crash, may_lose_a_new_name_until_its_folder_is_synced)
{
    struct fixture fixture = fixture_create();
    struct io_file *file = NULL;
    uint8_t data[10];
    CHECK_INT(io_open(fixture.io, "/b", RW, &file), 0);
    CHECK_INT(io_write_whole(fixture.io, file, bytes_of_text("b"), 0, true), 0);
    CHECK_INT(io_sync(fixture.io, file), 0);
    io_close(fixture.io, file);

    struct sim_disk *before = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);
    struct sim_disk *lucky = sim_disk_crash(fixture.disk, SIM_CRASH_ALL, 1);
    CHECK_INT(io_sync_folder(fixture.io, "/"), 0);
    struct sim_disk *after = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);

    CHECK_INT(slurp(before, "/b", data, 10), -1);
    CHECK_INT(slurp(lucky, "/b", data, 10), 1);
    CHECK_INT(slurp(after, "/b", data, 10), 1);
    sim_disk_destroy(before);
    sim_disk_destroy(lucky);
    sim_disk_destroy(after);
    fixture_destroy(&fixture);
}

/* The bytes of a file and its name go their own ways: a crash may take the one and leave the other.
 */
TEST(sim_crash, takes_names_or_bytes_alone)
{
    struct fixture fixture = fixture_create();
    struct io_file *file = NULL;
    static uint8_t data[BLOCK_BYTES];
    CHECK_INT(io_open(fixture.io, "/b", RW, &file), 0);
    CHECK_INT(io_sync(fixture.io, file), 0);
    CHECK_INT(io_sync_folder(fixture.io, "/"), 0);
    CHECK_INT(io_write_whole(fixture.io, file, bytes_of_text("b"), 0, false), 0);
    CHECK_INT(io_rename(fixture.io, "/b", "/c"), 0);

    struct sim_disk *names_lost = sim_disk_crash(fixture.disk, SIM_CRASH_DATA, 1);
    struct sim_disk *bytes_lost = sim_disk_crash(fixture.disk, SIM_CRASH_NAMES, 1);

    CHECK_INT(slurp(names_lost, "/b", data, sizeof data), 1);
    CHECK_INT(slurp(names_lost, "/c", data, sizeof data), -1);
    CHECK_INT(slurp(bytes_lost, "/b", data, sizeof data), -1);
    CHECK(slurp(bytes_lost, "/c", data, sizeof data) >= 0);
    CHECK(data[0] != 'b' || slurp(bytes_lost, "/c", data, sizeof data) == 0);
    io_close(fixture.io, file);
    sim_disk_destroy(names_lost);
    sim_disk_destroy(bytes_lost);
    fixture_destroy(&fixture);
}

/* A replaced name leads to the old file or the new one, never to none; and two names are in no
 * order. */
TEST(sim_crash, keeps_a_rename_whole_and_names_in_no_order)
{
    struct fixture fixture = fixture_create();
    static const char *const made[] = {"/new", "/c", "/d"};
    for (int index = 0; index < 3; index++) {
        struct io_file *file = NULL;
        CHECK_INT(io_open(fixture.io, made[index], RW, &file), 0);
        CHECK_INT(io_write_whole(fixture.io, file, bytes_of_text("new"), 0, true), 0);
        io_close(fixture.io, file);
    }
    CHECK_INT(io_rename(fixture.io, "/new", "/a"), 0);
    int seen[2][2][2] = {0};
    static uint8_t data[2 * BLOCK_BYTES];

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_RANDOM, seed);
        int64_t bytes = slurp(image, "/a", data, sizeof data);
        CHECK(bytes == 3 || bytes == (int64_t)2 * BLOCK_BYTES);
        int has_new = bytes == 3;
        seen[has_new][slurp(image, "/c", data, 3) > 0][slurp(image, "/d", data, 3) > 0] = 1;
        sim_disk_destroy(image);
    }

    for (int index = 0; index < 8; index++) {
        CHECK_INT(seen[index >> 2][index >> 1 & 1][index & 1], 1);
    }
    fixture_destroy(&fixture);
}

/* A removed file may come back, with its bytes; not after its folder was synced. */
TEST(sim_crash, may_bring_back_a_removed_file)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    CHECK_INT(io_remove(fixture.io, "/a"), 0);

    struct sim_disk *before = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);
    CHECK_INT(io_sync_folder(fixture.io, "/"), 0);
    struct sim_disk *after = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);

    CHECK_INT(slurp(before, "/a", data, sizeof data), 2 * BLOCK_BYTES);
    CHECK_INT(slurp(after, "/a", data, sizeof data), -1);
    sim_disk_destroy(before);
    sim_disk_destroy(after);
    fixture_destroy(&fixture);
}

/* -- Writes in flight -- */

static void count_completion(struct io_op *op)
{
    int *count = op->ctx;
    (*count)++;
}

/* While a durable write is in flight any of its sectors may be old or new. */
TEST(sim_crash, tears_a_durable_write_in_flight)
{
    struct fixture fixture = fixture_create();
    struct io_loop *loop = NULL;
    CHECK_INT(io_loop_create(fixture.io, &(struct io_loop_options){.ops_max = 4}, &loop), 0);
    static uint8_t new[BLOCK_BYTES];
    memset(new, 'n', sizeof new);
    int count = 0;
    struct io_op op = {.kind = IO_OP_WRITE,
                       .is_durable = true,
                       .file = fixture.file,
                       .data = new,
                       .count = sizeof new,
                       .complete = count_completion,
                       .ctx = &count};
    static uint8_t data[2 * BLOCK_BYTES];
    int torn = 0;

    sim_record_start(fixture.disk);
    io_submit(loop, &op);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_SECTORS, seed);
        CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
        size_t found = letters(data, BLOCK_BYTES, 'n');
        CHECK_INT(found % SECTOR_BYTES, 0);
        torn += found > 0 && found < BLOCK_BYTES;
        sim_disk_destroy(image);
    }
    io_loop_wait(loop, IO_TIME_NEVER);
    (void)io_loop_dispatch(loop);
    sim_record_mark(fixture.disk, 1);

    CHECK(torn > SEEDS / 2);
    CHECK_INT(count, 1);
    CHECK_INT(sim_record_count(fixture.disk), 3);
    uint64_t mark = 0;
    struct sim_disk *image = sim_record_image(fixture.disk, 2, SIM_CRASH_NONE, 1, &mark);
    CHECK_INT(mark, 1);
    CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
    CHECK_INT(letters(data, BLOCK_BYTES, 'n'), BLOCK_BYTES);
    sim_disk_destroy(image);
    image = sim_record_image(fixture.disk, 0, SIM_CRASH_ALL, 1, &mark);
    CHECK_INT(mark, 0);
    CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
    CHECK_INT(letters(data, BLOCK_BYTES, 'o'), BLOCK_BYTES);
    sim_disk_destroy(image);
    io_loop_destroy(loop);
    fixture_destroy(&fixture);
}

static void change_buffer_in_flight(void *ctx)
{
    (void)ctx;
    struct fixture fixture = fixture_create();
    struct io_loop *loop = NULL;
    CHECK_INT(io_loop_create(fixture.io, &(struct io_loop_options){.ops_max = 4}, &loop), 0);
    static uint8_t data[BLOCK_BYTES] = {0};
    int count = 0;
    struct io_op op = {.kind = IO_OP_WRITE,
                       .file = fixture.file,
                       .data = data,
                       .count = sizeof data,
                       .complete = count_completion,
                       .ctx = &count};
    io_submit(loop, &op);
    data[77] = 1;
    io_loop_wait(loop, IO_TIME_NEVER);
}

/* The buffer is the kernel's until completion. */
TEST(sim_io, aborts_when_a_buffer_is_changed_in_flight)
{
    EXPECT_ABORT(change_buffer_in_flight, NULL);
}

/* Completions come in another order than submissions. IO-3 */
TEST(sim_io, completes_out_of_order)
{
    struct fixture fixture = fixture_create();
    struct io_loop *loop = NULL;
    CHECK_INT(io_loop_create(fixture.io, &(struct io_loop_options){.ops_max = 16}, &loop), 0);

    enum { OPS = 16 };
    struct io_op ops[OPS];
    uint8_t data[OPS] = {0};
    int count = 0;
    for (int index = 0; index < OPS; index++) {
        ops[index] = (struct io_op){.kind = IO_OP_WRITE,
                                    .file = fixture.file,
                                    .data = &data[index],
                                    .count = 1,
                                    .position = index,
                                    .complete = count_completion,
                                    .ctx = &count};
        io_submit(loop, &ops[index]);
    }

    io_loop_wait(loop, IO_TIME_NEVER);
    CHECK_INT(io_loop_dispatch(loop), 1);
    bool was_first = ops[0].count_done == 1;
    while (io_loop_pending(loop) > 0) {
        io_loop_wait(loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(loop);
    }

    CHECK(!was_first);
    CHECK_INT(count, OPS);
    io_loop_destroy(loop);
    fixture_destroy(&fixture);
}

/* -- Faults -- */

/* The n-th operation of a kind fails, once, for the files that are meant. */
TEST(sim_fault, fails_the_nth_write_of_the_named_file)
{
    struct fixture fixture = fixture_create();
    struct io_file *other = NULL;
    CHECK_INT(io_open(fixture.io, "/other", RW, &other), 0);
    struct bytes one = bytes_of_text("1");
    sim_fault_add(fixture.sim,
                  &(struct sim_fault){.kind = SIM_WRITE, .name = "/a", .nth = 2, .error = ENOSPC});

    CHECK_INT(io_write_whole(fixture.io, fixture.file, one, 0, false), 0);
    CHECK_INT(io_write_whole(fixture.io, other, one, 0, false), 0);
    CHECK_INT(io_write_whole(fixture.io, fixture.file, one, 0, false), ENOSPC);
    CHECK_INT(io_write_whole(fixture.io, fixture.file, one, 0, false), 0);

    CHECK_INT(sim_fault_count(fixture.sim), 1);
    CHECK_INT(sim_count(fixture.sim, SIM_WRITE), 5);
    io_close(fixture.io, other);
    fixture_destroy(&fixture);
}

/* A short write is resumed from a block boundary until all is there. IO-10 */
TEST(sim_fault, short_writes_are_resumed_to_the_last_byte)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    sim_fault_add(fixture.sim,
                  &(struct sim_fault){.kind = SIM_WRITE, .effect = SIM_SHORT, .times = 3});

    fill(&fixture, 'n', 0, (size_t)2 * BLOCK_BYTES, true);

    struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_NONE, 1);
    CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
    CHECK_INT(letters(data, sizeof data, 'n'), sizeof data);
    sim_disk_destroy(image);
    fixture_destroy(&fixture);
}

/* A read that stays short in the middle of a file is an error, not the file's end. IO-10 */
TEST(sim_fault, short_reads_never_look_like_the_end_of_the_file)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    size_t count = 0;
    struct bytes_mut span = {data, sizeof data};
    sim_fault_add(fixture.sim,
                  &(struct sim_fault){.kind = SIM_READ, .effect = SIM_SHORT, .times = 2});
    CHECK_INT(io_read_whole(fixture.io, fixture.file, span, 0, &count), 0);
    CHECK_INT(count, 2 * BLOCK_BYTES);
    sim_faults_clear(fixture.sim);
    sim_fault_add(fixture.sim,
                  &(struct sim_fault){.kind = SIM_READ, .effect = SIM_SHORT, .times = UINT64_MAX});

    span.count = (size_t)2 * SECTOR_BYTES;
    CHECK_INT(io_read_whole(fixture.io, fixture.file, span, 0, &count), EIO);
    fixture_destroy(&fixture);
}

/* Writes that are lost, land elsewhere or with a flipped bit are all reported as done. */
TEST(sim_fault, lies_are_reported_as_success)
{
    static const enum sim_effect effects[] = {SIM_LOST, SIM_MISDIRECTED, SIM_FLIP};

    for (size_t index = 0; index < 3; index++) {
        struct fixture fixture = fixture_create();
        static uint8_t data[2 * BLOCK_BYTES];
        sim_fault_add(fixture.sim,
                      &(struct sim_fault){.kind = SIM_WRITE, .effect = effects[index]});

        fill(&fixture, 'n', 0, BLOCK_BYTES, true);

        struct sim_disk *image = sim_disk_crash(fixture.disk, SIM_CRASH_ALL, 1);
        CHECK_INT(slurp(image, "/a", data, sizeof data), 2 * BLOCK_BYTES);
        size_t here = letters(data, BLOCK_BYTES, 'n');
        size_t there = letters(data + BLOCK_BYTES, BLOCK_BYTES, 'n');
        CHECK_INT(here, effects[index] == SIM_FLIP ? BLOCK_BYTES - 1 : 0);
        CHECK_INT(there, effects[index] == SIM_MISDIRECTED ? BLOCK_BYTES : 0);
        sim_disk_destroy(image);
        fixture_destroy(&fixture);
    }
}

/* A full disk refuses new blocks, takes overwrites and reserved space, and gives room when freed.
 */
TEST(sim_disk, runs_full_at_the_nth_block)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES] = {0};
    struct bytes two = {data, sizeof data};
    size_t count = 0;
    CHECK_INT(io_allocate(fixture.io, fixture.file, (int64_t)3 * BLOCK_BYTES), 0);
    sim_disk_set_space(fixture.disk, 1);

    CHECK_INT(io_write_at(fixture.io, fixture.file, two, BLOCK_BYTES, true, &count), 0);
    CHECK_INT(count, 2 * BLOCK_BYTES);
    CHECK_INT(io_write_at(fixture.io, fixture.file, two, (int64_t)3 * BLOCK_BYTES, true, &count),
              0);
    CHECK_INT(count, BLOCK_BYTES);
    CHECK_INT(io_write_at(fixture.io, fixture.file, two, (int64_t)4 * BLOCK_BYTES, true, &count),
              ENOSPC);
    CHECK_INT(io_truncate(fixture.io, fixture.file, BLOCK_BYTES), 0);
    CHECK_INT(io_write_at(fixture.io, fixture.file, two, BLOCK_BYTES, true, &count), 0);
    CHECK_INT(count, 2 * BLOCK_BYTES);
    fixture_destroy(&fixture);
}

/* A copy is a point to roll back to; later changes do not reach it. */
TEST(sim_disk, can_be_rolled_back_to_a_copy)
{
    struct fixture fixture = fixture_create();
    static uint8_t data[2 * BLOCK_BYTES];
    struct sim_disk *earlier = sim_disk_copy(fixture.disk);

    fill(&fixture, 'n', 0, BLOCK_BYTES, true);

    CHECK_INT(slurp(earlier, "/a", data, sizeof data), 2 * BLOCK_BYTES);
    CHECK_INT(letters(data, sizeof data, 'o'), sizeof data);
    sim_disk_destroy(earlier);
    fixture_destroy(&fixture);
}

TEST(sim_disk, lists_its_files_and_can_be_damaged)
{
    struct fixture fixture = fixture_create();
    uint8_t path[64];
    static uint8_t data[2 * BLOCK_BYTES];
    struct io_file *file = NULL;
    CHECK_INT(io_make_folder(fixture.io, "/f"), 0);
    CHECK_INT(io_make_folder(fixture.io, "/f/g"), 0);
    CHECK_INT(io_open(fixture.io, "/f/g/h", RW, &file), 0);
    io_close(fixture.io, file);

    CHECK_INT(sim_disk_file_count(fixture.disk), 2);
    CHECK_INT(sim_disk_file(fixture.disk, 0, (struct bytes_mut){path, 64}), 2 * BLOCK_BYTES);
    CHECK_TEXT((char *)path, "/a");
    CHECK_INT(sim_disk_file(fixture.disk, 1, (struct bytes_mut){path, 64}), 0);
    CHECK_TEXT((char *)path, "/f/g/h");
    CHECK(sim_disk_flip(fixture.disk, "/a", 5, 0));
    CHECK(!sim_disk_flip(fixture.disk, "/a", (int64_t)2 * BLOCK_BYTES, 0));
    CHECK(sim_disk_cut(fixture.disk, "/a", 6));

    CHECK_INT(slurp(fixture.disk, "/a", data, sizeof data), 6);
    CHECK_BYTES(data, "ooooon", 6);
    fixture_destroy(&fixture);
}

/* -- Determinism -- */

static uint64_t run_trace(uint64_t seed)
{
    struct sim_disk *disk = sim_disk_create();
    struct sim_chances chances = {.short_transfer = 300000, .slow = 100000, .lost_write = 50000};
    struct sim *sim =
        sim_create(&(struct sim_options){.disk = disk, .seed = seed, .chances = chances});
    struct io_file *file = NULL;
    struct io_loop *loop = NULL;
    CHECK_INT(io_open(sim_io(sim), "/a", RW, &file), 0);
    CHECK_INT(io_loop_create(sim_io(sim), &(struct io_loop_options){.ops_max = 3}, &loop), 0);
    struct io_op ops[20];
    static uint8_t data[BLOCK_BYTES] = {0};
    int count = 0;
    for (int index = 0; index < 20; index++) {
        ops[index] = (struct io_op){.kind = IO_OP_WRITE,
                                    .file = file,
                                    .data = data,
                                    .count = BLOCK_BYTES,
                                    .position = (int64_t)index * BLOCK_BYTES,
                                    .complete = count_completion,
                                    .ctx = &count};
        io_submit(loop, &ops[index]);
    }
    while (io_loop_pending(loop) > 0) {
        io_loop_wait(loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(loop);
    }
    uint64_t trace = sim_trace(sim);
    io_close(sim_io(sim), file);
    io_loop_destroy(loop);
    sim_destroy(sim);
    sim_disk_destroy(disk);
    return trace;
}

/* One seed, one run. */
TEST(sim_io, repeats_a_run_from_its_seed)
{
    CHECK(run_trace(5) == run_trace(5));
    CHECK(run_trace(5) != run_trace(6));
}

static void wait_for_nothing(void *ctx)
{
    (void)ctx;
    struct fixture fixture = fixture_create();
    struct io_loop *loop = NULL;
    CHECK_INT(io_loop_create(fixture.io, &(struct io_loop_options){.ops_max = 3}, &loop), 0);
    io_loop_wait(loop, IO_TIME_NEVER);
}

/* A program that hangs is found at once, not by a time-out. */
TEST(sim_io, aborts_on_a_wait_that_nothing_can_end)
{
    EXPECT_ABORT(wait_for_nothing, NULL);
}
