/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a data folder: what is refused, by which sentence, and that nothing was changed.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checksum.h"
#include "lib/case.h"
#include "partition/folder.h"

struct fixture {
    struct io *io;
    struct io_loop *loop;
    char path[512];
};

static struct fixture fixture_open(void)
{
    struct fixture fixture = {0};
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .seed = 7};
    const struct io_loop_options loop_options = {.ops_max = 8};
    assert_int_equal(io_create(&options, &fixture.io, NULL), PYR_OK);
    assert_int_equal(io_loop_create(fixture.io, &loop_options, &fixture.loop), 0);
    (void)snprintf(fixture.path, sizeof fixture.path, "%s/data", case_folder());
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    io_loop_destroy(fixture->loop);
    io_destroy(fixture->io);
}

static enum pyr_err folder_try(struct fixture *fixture,
                               struct folder *folder,
                               struct pyr_error *error)
{
    const struct folder_options options = {.path = fixture->path, .shards = 1};
    return folder_open(fixture->loop, &options, folder, error);
}

static void file_write(const char *folder, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

/* The identity is drawn once and stays; everything else that carries it would be foreign otherwise.
 */
TEST(folder_open, keeps_the_identity_that_it_drew)
{
    struct fixture fixture = fixture_open();
    struct folder first;
    struct folder second;
    CHECK_INT(folder_try(&fixture, &first, NULL), PYR_OK);
    CHECK(first.is_new);
    CHECK_INT(folder_set_ready(&first, NULL), PYR_OK);
    folder_close(&first);

    enum pyr_err err = folder_try(&fixture, &second, NULL);

    CHECK_INT(err, PYR_OK);
    CHECK(!second.is_new);
    CHECK_BYTES(first.storage_id, second.storage_id, FOLDER_STORAGE_ID_BYTES);
    folder_close(&second);
    fixture_close(&fixture);
}

/* The folder holds other people's records: nobody else may read it, whatever the umask is. */
TEST(folder_open, makes_private_files_whatever_the_umask)
{
    struct fixture fixture = fixture_open();
    struct folder folder;
    mode_t before = umask(0);

    enum pyr_err err = folder_try(&fixture, &folder, NULL);

    (void)umask(before);
    CHECK_INT(err, PYR_OK);
    struct stat info;
    CHECK_INT(stat(fixture.path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0700);
    char marker[600];
    (void)snprintf(marker, sizeof marker, "%s/pyralog.store", fixture.path);
    CHECK_INT(stat(marker, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0600);
    folder_close(&folder);
    fixture_close(&fixture);
}

/* FLD-1: a typing mistake in a path must not litter somebody's home folder. */
TEST(folder_open, leaves_a_foreign_folder_as_it_is)
{
    struct fixture fixture = fixture_open();
    CHECK_INT(mkdir(fixture.path, 0700), 0);
    file_write(fixture.path, "letter.txt", "dear diary");
    struct folder folder;
    struct pyr_error error;

    enum pyr_err err = folder_try(&fixture, &folder, &error);

    CHECK_INT(err, PYR_ERR_FOREIGN);
    CHECK(strstr(error.message, "not a Pyralog store") != NULL);
    struct io_entries entries;
    CHECK_INT(io_list(fixture.io, fixture.path, &entries), 0);
    CHECK_INT(entries.count, 1);
    io_entries_free(fixture.io, &entries);
    fixture_close(&fixture);
}

/* FLD-2: two writers on one journal would destroy it. */
TEST(folder_open, refuses_a_second_holder_and_names_the_first)
{
    struct fixture fixture = fixture_open();
    struct folder first;
    struct folder second;
    struct pyr_error error;
    char holder[64];
    (void)snprintf(holder, sizeof holder, "process %d", (int)getpid());
    CHECK_INT(folder_try(&fixture, &first, NULL), PYR_OK);

    enum pyr_err err = folder_try(&fixture, &second, &error);

    CHECK_INT(err, PYR_ERR_LOCKED);
    CHECK(strstr(error.message, holder) != NULL);
    folder_close(&first);
    CHECK_INT(folder_try(&fixture, &second, &error), PYR_OK);
    folder_close(&second);
    fixture_close(&fixture);
}

/* Each byte of the marker counts: a flipped bit anywhere is noticed before anything is read by it.
 */
TEST(folder_open, notices_every_flipped_bit_of_the_marker)
{
    struct fixture fixture = fixture_open();
    struct folder folder;
    CHECK_INT(folder_try(&fixture, &folder, NULL), PYR_OK);
    folder_close(&folder);
    char marker[600];
    char text[1024];
    (void)snprintf(marker, sizeof marker, "%s/pyralog.store", fixture.path);
    FILE *file = fopen(marker, "r");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    CHECK(bytes > 100);

    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
        file = fopen(marker, "w");
        assert_non_null(file);
        CHECK_INT(fwrite(text, 1, bytes, file), bytes);
        (void)fclose(file);
        enum pyr_err err = folder_try(&fixture, &folder, NULL);
        CHECK(err == PYR_ERR_CORRUPT || err == PYR_ERR_VERSION);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
    }
    fixture_close(&fixture);
}

/* A crash between creating the folder and writing the marker leaves nothing that could be lost. */
TEST(folder_open, finishes_an_interrupted_first_open)
{
    struct fixture fixture = fixture_open();
    CHECK_INT(mkdir(fixture.path, 0700), 0);
    file_write(fixture.path, "lock", "");
    file_write(fixture.path, "pyralog.store.new", "pyralog-st");
    struct folder folder;

    enum pyr_err err = folder_try(&fixture, &folder, NULL);

    CHECK_INT(err, PYR_OK);
    CHECK(folder.is_new);
    folder_close(&folder);
    fixture_close(&fixture);
}

/* FLD-3: what nothing explains is kept, under a name that tells where it came from. */
TEST(folder_quarantine, moves_and_never_overwrites)
{
    struct fixture fixture = fixture_open();
    struct folder folder;
    CHECK_INT(folder_try(&fixture, &folder, NULL), PYR_OK);
    file_write(fixture.path, "odd", "first");
    CHECK_INT(folder_quarantine(&folder, "odd", NULL), PYR_OK);
    file_write(fixture.path, "odd", "second");

    enum pyr_err err = folder_quarantine(&folder, "odd", NULL);

    CHECK_INT(err, PYR_OK);
    CHECK_INT(folder.quarantined, 2);
    char path[600];
    (void)snprintf(path, sizeof path, "%s/quarantine/odd.0", fixture.path);
    CHECK_INT(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "%s/quarantine/odd.1", fixture.path);
    CHECK_INT(access(path, F_OK), 0);
    folder_close(&folder);
    fixture_close(&fixture);
}

/* Clean-up code closes what it has, also what was never opened or is closed already. */
TEST(folder_close, accepts_what_is_not_open)
{
    struct fixture fixture = fixture_open();
    struct pyr_error error;
    struct folder folder = {0};
    folder_close(&folder);
    assert_int_equal(folder_try(&fixture, &folder, &error), PYR_OK);

    folder_close(&folder);
    folder_close(&folder);

    assert_null(folder.lock);
    fixture_close(&fixture);
}

/* The rule is part of the format: under another one, no shard would know its own logs. */
TEST(folder_shard_of, keeps_to_its_rule)
{
    static const struct {
        const char *name;
        uint32_t shards;
        uint32_t shard;
    } rows[] = {
        {"orders-0", 1, 0},
        {"123456789-0", 1000, 0xe3069283u % 1000}, /* The check value of CRC32C. */
        {"123456789-1", 1000, 0xe3069284u % 1000},
        {"123456789-4294967295", 1000, 0xe3069282u % 1000},
        {"quarantine", 5, 0},
        {"orders-", 5, 0},
        {"orders-0.cafe-deleted", 5, 0},
    };

    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        CHECK_INT(folder_shard_of(rows[index].name, rows[index].shards), rows[index].shard);
    }
}

/* A folder that a larger machine made is refused by number, not taken for damaged. */
TEST(folder_open, refuses_more_shards_than_it_can_open)
{
    struct fixture fixture = fixture_open();
    char text[512];
    int bytes = snprintf(text, sizeof text,
                         "pyralog-store 1\nstorage 00112233445566778899aabbccddeeff\nshards %d\n"
                         "journals 1\nstate ready\ncreated-by 0.1.0\n",
                         FOLDER_SHARDS_MAX + 1);
    uint32_t crc = checksum_crc32c(0, (struct bytes){(const uint8_t *)text, (size_t)bytes});
    (void)snprintf(text + bytes, sizeof text - (size_t)bytes, "check %08x\n", crc);
    CHECK_INT(mkdir(fixture.path, 0700), 0);
    file_write(fixture.path, "pyralog.store", text);
    struct folder folder;
    struct pyr_error error;

    enum pyr_err err = folder_try(&fixture, &folder, &error);

    CHECK_INT(err, PYR_ERR_UNSUPPORTED);
    CHECK(strstr(error.message, "has 1025 shards; this program opens at most 1024") != NULL);
    fixture_close(&fixture);
}
