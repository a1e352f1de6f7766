/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking calls of the seam, on every implementation: io/io.c, and on a real kernel
 * io/file_posix.c and io/folder_posix.c.
 */
#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "io/io.h"
#include "io/testing.h"
#include "io/transfer.h"
#include "lib/case.h"
#include "seam.h"

#define RW (IO_OPEN_READ | IO_OPEN_WRITE)

/* -- Helpers -- */

static struct io_file *open_new(struct io *io, const char *path)
{
    struct io_file *file = NULL;
    CHECK_INT(io_open(io, path, RW | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE, &file), 0);
    return file;
}

static struct bytes text(const char *letters)
{
    return bytes_of_text(letters);
}

static bool holds(struct io *io, struct io_file *file, int64_t position, const char *expected)
{
    uint8_t data[64];
    size_t count = 0;
    struct bytes_mut span = {.data = data, .count = sizeof data};
    return io_read_whole(io, file, span, position, &count) == 0 &&
           bytes_equal((struct bytes){data, count}, text(expected));
}

/* -- Opening -- */

/* Who makes a file must be able to tell that it was not there before. */
TEST(io_open, makes_a_file_only_once_when_exclusive)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    struct io_file *again = NULL;

    struct io_file *file = open_new(io, seam_path(folder, "a"));
    int error =
        io_open(io, seam_path(folder, "a"), RW | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE, &again);

    CHECK_INT(error, EEXIST);
    CHECK(!again);
    io_close(io, file);
    io_destroy(io);
}

/* CREATE without EXCLUSIVE takes what is there, bytes and all. */
TEST(io_open, takes_the_existing_file_without_exclusive)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *path = seam_path(seam_folder(io), "a");
    struct io_file *file = open_new(io, path);
    CHECK_INT(io_write_whole(io, file, text("kept"), 0, false), 0);
    io_close(io, file);

    CHECK_INT(io_open(io, path, RW | IO_OPEN_CREATE, &file), 0);

    CHECK(holds(io, file, 0, "kept"));
    io_close(io, file);
    io_destroy(io);
}

TEST(io_open, reports_what_is_missing_or_a_folder)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    struct io_file *file = NULL;

    CHECK_INT(io_open(io, seam_path(folder, "none"), IO_OPEN_READ, &file), ENOENT);
    CHECK_INT(io_open(io, seam_path(folder, "none/deeper"), RW | IO_OPEN_CREATE, &file), ENOENT);
    CHECK_INT(io_open(io, folder, IO_OPEN_READ, &file), EISDIR);

    CHECK(!file);
    io_destroy(io);
}

/* Some file systems have no direct I/O. The refusal must leave nothing behind. */
TEST(io_open, refuses_direct_where_there_is_none_and_makes_no_file)
{
    struct io *io = seam_create(&(struct seam_options){.without_direct = true});
    const char *path = seam_path(seam_folder(io), "a");
    struct io_file *file = NULL;
    struct io_stat stat;

    CHECK_INT(io_open(io, path, RW | IO_OPEN_CREATE | IO_OPEN_DIRECT, &file), EINVAL);

    CHECK_INT(io_stat(io, path, &stat), ENOENT);
    io_destroy(io);
}

/* -- Reading and writing -- */

TEST(io_write_at, gives_back_what_was_written_and_ends_at_the_files_end)
{
    struct io *io = seam_create(&(struct seam_options){0});
    struct io_file *file = open_new(io, seam_path(seam_folder(io), "a"));
    int64_t bytes = 0;

    CHECK_INT(io_write_whole(io, file, text("hello world"), 0, false), 0);
    CHECK_INT(io_write_whole(io, file, text("W"), 6, true), 0);

    CHECK(holds(io, file, 0, "hello World"));
    CHECK(holds(io, file, 6, "World"));
    CHECK(holds(io, file, 100, ""));
    CHECK_INT(io_bytes(io, file, &bytes), 0);
    CHECK_INT(bytes, 11);
    io_close(io, file);
    io_destroy(io);
}

/* A gap reads as zeros: zero-filling and holes look alike to a reader. */
TEST(io_write_at, leaves_zeros_in_a_gap)
{
    struct io *io = seam_create(&(struct seam_options){0});
    struct io_file *file = open_new(io, seam_path(seam_folder(io), "a"));
    uint8_t data[10] = {0};
    size_t count = 0;

    CHECK_INT(io_write_whole(io, file, text("z"), 9000, false), 0);

    CHECK_INT(io_read_whole(io, file, (struct bytes_mut){data, 10}, 8995, &count), 0);
    CHECK_INT(count, 6);
    CHECK_BYTES(data, "\0\0\0\0\0z", 6);
    io_close(io, file);
    io_destroy(io);
}

/* The journal's way: direct, aligned, durable, into a file that is there already. */
TEST(io_write_at, writes_direct_and_durable_with_and_without_the_flag)
{
    for (int without = 0; without < 2; without++) {
        struct io *io = seam_create(&(struct seam_options){.without_dsync = without == 1});
        const char *path = seam_path(seam_folder(io), "a");
        struct io_file *file = NULL;
        if (io_open(io, path, RW | IO_OPEN_CREATE | IO_OPEN_DIRECT, &file) == EINVAL) {
            io_destroy(io);
            case_skip("the file system below $TMPDIR has no direct I/O");
        }
        uint8_t *data = io_alloc(io, (size_t)2 * BLOCK_BYTES, BLOCK_BYTES);
        memset(data, 7, BLOCK_BYTES);
        size_t count = 0;

        CHECK_INT(io_write_whole(io, file, (struct bytes){data, BLOCK_BYTES}, BLOCK_BYTES, true),
                  0);
        CHECK_INT(
            io_read_whole(io, file, (struct bytes_mut){data, (size_t)2 * BLOCK_BYTES}, 0, &count),
            0);

        CHECK_INT(count, 2 * BLOCK_BYTES);
        CHECK_INT(data[0], 0);
        CHECK_INT(data[BLOCK_BYTES], 7);
        io_free(io, data);
        io_close(io, file);
        io_destroy(io);
    }
}

TEST(io_truncate, cuts_and_extends_with_zeros)
{
    struct io *io = seam_create(&(struct seam_options){0});
    struct io_file *file = open_new(io, seam_path(seam_folder(io), "a"));
    CHECK_INT(io_write_whole(io, file, text("abcdef"), 0, false), 0);

    CHECK_INT(io_truncate(io, file, 3), 0);
    CHECK(holds(io, file, 0, "abc"));
    CHECK_INT(io_truncate(io, file, 5), 0);
    CHECK_INT(io_sync(io, file), 0);

    int64_t bytes = 0;
    CHECK_INT(io_bytes(io, file, &bytes), 0);
    CHECK_INT(bytes, 5);
    uint8_t data[5];
    size_t count = 0;
    CHECK_INT(io_read_whole(io, file, (struct bytes_mut){data, 5}, 0, &count), 0);
    CHECK_BYTES(data, "abc\0\0", 5);
    io_close(io, file);
    io_destroy(io);
}

TEST(io_allocate, makes_room_and_never_shrinks)
{
    struct io *io = seam_create(&(struct seam_options){0});
    struct io_file *file = open_new(io, seam_path(seam_folder(io), "a"));
    int64_t bytes = 0;

    int error = io_allocate(io, file, 65536);
    if (error == EOPNOTSUPP) {
        case_skip("the file system below $TMPDIR cannot reserve space");
    }
    CHECK_INT(error, 0);
    CHECK_INT(io_allocate(io, file, 4096), 0);

    CHECK_INT(io_bytes(io, file, &bytes), 0);
    CHECK_INT(bytes, 65536);
    io_close(io, file);
    io_destroy(io);
}

TEST(io_map, shows_the_files_bytes)
{
    struct io *io = seam_create(&(struct seam_options){0});
    struct io_file *file = open_new(io, seam_path(seam_folder(io), "a"));
    CHECK_INT(io_write_whole(io, file, text("mapped"), 0, false), 0);
    const uint8_t *data = NULL;

    CHECK_INT(io_map(io, file, 6, &data), 0);

    CHECK_BYTES(data, "mapped", 6);
    CHECK(io_map_is_resident(io, (struct bytes){data + 2, 3}));
    io_unmap(io, data, 6);
    io_close(io, file);
    io_destroy(io);
}

/* A folder with more entries than a listing has room for at first: none is missing or twice. */
TEST(io_list, gives_every_entry_of_a_large_folder)
{
    enum { FILES = 300 };
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    struct io_entries entries;
    char name[16];
    for (int number = 0; number < FILES; number++) {
        (void)snprintf(name, sizeof name, "%03d", number * 7 % FILES);
        io_close(io, open_new(io, seam_path(folder, name)));
    }

    CHECK_INT(io_list(io, folder, &entries), 0);

    CHECK_INT(entries.count, FILES);
    for (int number = 0; number < FILES; number++) {
        (void)snprintf(name, sizeof name, "%03d", number);
        CHECK_TEXT(entries.rows[number].name, name);
    }
    io_entries_free(io, &entries);
    io_destroy(io);
}

/* -- Names -- */

TEST(io_list, is_sorted_and_tells_kinds)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    struct io_entries entries;
    io_close(io, open_new(io, seam_path(folder, "b")));
    io_close(io, open_new(io, seam_path(folder, "a")));
    CHECK_INT(io_make_folder(io, seam_path(folder, "c")), 0);
    io_close(io, open_new(io, seam_path(folder, "c/below")));

    CHECK_INT(io_list(io, folder, &entries), 0);

    CHECK_INT(entries.count, 3);
    CHECK_TEXT(entries.rows[0].name, "a");
    CHECK_TEXT(entries.rows[1].name, "b");
    CHECK_TEXT(entries.rows[2].name, "c");
    CHECK_INT(entries.rows[1].kind, IO_KIND_FILE);
    CHECK_INT(entries.rows[2].kind, IO_KIND_FOLDER);
    io_entries_free(io, &entries);
    CHECK_INT(io_list(io, seam_path(folder, "none"), &entries), ENOENT);
    CHECK_INT(io_list(io, seam_path(folder, "a"), &entries), ENOTDIR);
    io_destroy(io);
}

TEST(io_rename, replaces_and_keeps_open_files_alive)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    struct io_file *old = open_new(io, seam_path(folder, "b"));
    struct io_file *new = open_new(io, seam_path(folder, "a"));
    CHECK_INT(io_write_whole(io, old, text("old"), 0, false), 0);
    CHECK_INT(io_write_whole(io, new, text("new"), 0, false), 0);

    CHECK_INT(io_rename(io, seam_path(folder, "a"), seam_path(folder, "b")), 0);
    CHECK_INT(io_sync_folder(io, folder), 0);

    struct io_file *named = NULL;
    CHECK_INT(io_open(io, seam_path(folder, "b"), IO_OPEN_READ, &named), 0);
    CHECK(holds(io, named, 0, "new"));
    CHECK(holds(io, old, 0, "old"));
    CHECK_INT(io_rename(io, seam_path(folder, "a"), seam_path(folder, "b")), ENOENT);
    io_close(io, named);
    io_close(io, old);
    io_close(io, new);
    io_destroy(io);
}

TEST(io_remove, takes_files_and_empty_folders_only)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    CHECK_INT(io_make_folder(io, seam_path(folder, "c")), 0);
    CHECK_INT(io_make_folder(io, seam_path(folder, "c")), EEXIST);
    io_close(io, open_new(io, seam_path(folder, "c/a")));

    CHECK_INT(io_remove(io, seam_path(folder, "c")), ENOTEMPTY);
    CHECK_INT(io_remove(io, seam_path(folder, "c/a")), 0);
    CHECK_INT(io_remove(io, seam_path(folder, "c/a")), ENOENT);
    CHECK_INT(io_remove(io, seam_path(folder, "c")), 0);

    struct io_stat stat;
    CHECK_INT(io_stat(io, seam_path(folder, "c"), &stat), ENOENT);
    io_destroy(io);
}

/* A folder that moves takes its files along: a deleted partition is renamed first. */
TEST(io_rename, moves_a_folder_with_its_files)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *folder = seam_folder(io);
    CHECK_INT(io_make_folder(io, seam_path(folder, "c")), 0);
    io_close(io, open_new(io, seam_path(folder, "c/a")));

    CHECK_INT(io_rename(io, seam_path(folder, "c"), seam_path(folder, "d")), 0);

    struct io_stat stat;
    CHECK_INT(io_stat(io, seam_path(folder, "d/a"), &stat), 0);
    CHECK_INT(io_stat(io, seam_path(folder, "c/a"), &stat), ENOENT);
    io_destroy(io);
}

/* A forced block size lets a test see the refusal of a device with large blocks. */
TEST(io_stat, tells_kind_length_mode_owner_and_block)
{
    struct io *io = seam_create(&(struct seam_options){.block_bytes = 16384});
    const char *folder = seam_folder(io);
    struct io_file *file = open_new(io, seam_path(folder, "a"));
    CHECK_INT(io_write_whole(io, file, text("12345"), 0, false), 0);
    struct io_stat stat;
    uint64_t space = 0;

    CHECK_INT(io_stat(io, seam_path(folder, "a"), &stat), 0);
    CHECK_INT(stat.kind, IO_KIND_FILE);
    CHECK_INT(stat.bytes, 5);
    CHECK_INT(stat.mode, 0600);
    CHECK_INT(stat.block_bytes, 16384);
    CHECK(stat.is_own);
    CHECK_INT(io_stat(io, folder, &stat), 0);
    CHECK_INT(stat.kind, IO_KIND_FOLDER);
    CHECK_INT(io_space(io, folder, &space), 0);
    CHECK(space > 0);
    io_close(io, file);
    io_destroy(io);
}

/* -- The lock -- */

/* Two handles of one process must not share a folder either. */
TEST(io_lock, keeps_a_second_handle_out_and_names_the_holder)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *path = seam_path(seam_folder(io), "lock");
    struct io_file *lock = NULL;
    struct io_file *second = NULL;
    int64_t holder = -1;

    CHECK_INT(io_lock(io, path, &holder, &lock), 0);
    CHECK_INT(holder, -1);
    CHECK_INT(io_lock(io, path, &holder, &second), EWOULDBLOCK);

    CHECK(holder > 0);
    CHECK(!second);
    io_close(io, lock);
    CHECK_INT(io_lock(io, path, &holder, &second), 0);
    io_close(io, second);
    io_destroy(io);
}

/* -- Memory and seeds -- */

/* Each allocation can be made to fail, once, and nothing is leaked by it. IO-9 */
TEST(io_alloc, fails_the_nth_time_when_told)
{
    struct io *io = seam_create(&(struct seam_options){0});

    io_testing_fail_allocation(io, 2);
    void *first = io_alloc(io, 100, 64);
    void *second = io_alloc(io, 100, 64);
    void *third = io_alloc(io, 8192, BLOCK_BYTES);

    CHECK(first);
    CHECK(!second);
    CHECK(third);
    CHECK_INT((uintptr_t)third % BLOCK_BYTES, 0);
    io_free(io, third);
    io_free(io, first);
    CHECK_INT(io_testing_allocations_live(io), 0);
    io_destroy(io);
}

/* Memory in large pages is memory like any other: aligned, whole, counted, and made to fail. */
TEST(io_alloc_raw, gives_large_pages_that_are_counted_and_fail_when_told)
{
    struct io *io = seam_create(&(struct seam_options){0});
    size_t count = IO_LARGE_PAGE_BYTES + BLOCK_BYTES;

    io_testing_fail_allocation(io, 2);
    uint8_t *first = io_alloc_raw(io, count, IO_LARGE_PAGE_BYTES);
    uint8_t *second = io_alloc_raw(io, count, IO_LARGE_PAGE_BYTES);
    uint8_t *third = io_alloc_raw(io, 100, 8);

    CHECK(first);
    CHECK(!second);
    CHECK(third);
    CHECK_INT((uintptr_t)first % IO_LARGE_PAGE_BYTES, 0);
    CHECK_INT(io_testing_allocations_live(io), 2);
    memset(first, 1, count);
    CHECK_INT(first[count - 1], 1);
    io_free(io, third);
    io_free(io, first);
    CHECK_INT(io_testing_allocations_live(io), 0);
    io_destroy(io);
}

TEST(io_open, reports_no_memory_and_leaks_nothing)
{
    struct io *io = seam_create(&(struct seam_options){0});
    const char *path = seam_path(seam_folder(io), "a");
    struct io_file *file = NULL;

    io_testing_fail_allocation(io, 1);
    CHECK_INT(io_open(io, path, RW | IO_OPEN_CREATE, &file), ENOMEM);
    CHECK_INT(io_open(io, path, RW | IO_OPEN_CREATE, &file), 0);

    io_close(io, file);
    io_destroy(io);
}

/* The same seed gives the same seeds to the subsystems: a run can be repeated. */
TEST(io_random_seed, follows_from_the_environments_seed)
{
    struct io *one = seam_create(&(struct seam_options){0});
    struct io *two = seam_create(&(struct seam_options){0});

    uint64_t first = io_random_seed(one);

    CHECK(first == io_random_seed(two));
    CHECK(first != io_random_seed(one));
    io_destroy(one);
    io_destroy(two);
}
