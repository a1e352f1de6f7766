/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_open - opening, closing, locking and coming back; options that make no sense.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embed_case.h"

/* -- Making and finding -- */

/* The ten minutes of a new user begin with a folder that does not exist. */
TEST(open, makes_a_store_that_only_its_owner_can_read)
{
    const char *folder = embed_path(case_folder(), "data");
    mode_t before = umask(0);

    struct pyr_log *log = embed_open(folder, NULL);
    (void)umask(before);

    struct stat info;
    CHECK_INT(stat(folder, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0700);
    CHECK(pyr_log_store(log) != NULL);
    CHECK(strlen(pyr_store_describe(pyr_log_store(log))) > 0);
    pyr_log_close(log);
}

/* What a clean stop left is found whole, and the report says that the stop was clean. */
TEST(open, finds_everything_after_a_clean_close)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = embed_open(folder, NULL);
    embed_append_numbered(log, 0, 100);
    pyr_log_close(log);

    log = embed_open(folder, NULL);

    struct pyr_recovery recovery;
    pyr_store_recovery(pyr_log_store(log), &recovery);
    CHECK(recovery.was_clean);
    CHECK_INT(recovery.partitions, 1);
    CHECK_INT(recovery.bytes_cut, 0);
    CHECK_TEXT(recovery.cut_reason, "");
    CHECK_INT(recovery.quarantined, 0);
    embed_expect_numbered(log, 0, 100);
    embed_append_numbered(log, 100, 10);
    embed_expect_numbered(log, 0, 110);
    pyr_log_close(log);
}

/* Ten lives in a row, each adding a little: nothing may depend on being the first or the second. */
TEST(open, keeps_on_through_many_lives)
{
    const char *folder = embed_path(case_folder(), "data");

    for (int64_t life = 0; life < 10; life++) {
        struct pyr_log *log = embed_open(folder, NULL);
        embed_expect_numbered(log, 0, life * 7);
        embed_append_numbered(log, life * 7, 7);
        pyr_log_close(log);
    }

    struct pyr_log *log = embed_open(folder, NULL);
    embed_expect_numbered(log, 0, 70);
    pyr_log_close(log);
}

/* A backup script that opens the wrong folder must not make a new one. */
TEST(open, with_must_exist_makes_nothing)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store_options options;
    embed_store_options(&options);
    options.must_exist = true;
    struct pyr_store *store = NULL;
    struct pyr_error error;

    CHECK_ERR(pyr_store_open(folder, &options, &store, &error), PYR_ERR_NOT_FOUND, error);

    CHECK(store == NULL);
    CHECK(strstr(error.message, folder) != NULL);
    struct stat info;
    CHECK_INT(stat(folder, &info), -1);
}

/* Somebody's photos are no store, and stay as they are. */
TEST(open, leaves_a_foreign_folder_alone)
{
    const char *folder = case_folder();
    int fd = open(embed_path(folder, "photo.jpg"), O_CREAT | O_WRONLY, 0644);
    CHECK(fd >= 0);
    (void)close(fd);
    struct pyr_store_options options;
    embed_store_options(&options);
    struct pyr_store *store = NULL;
    struct pyr_error error;

    CHECK_ERR(pyr_store_open(folder, &options, &store, &error), PYR_ERR_FOREIGN, error);

    CHECK(strstr(error.message, folder) != NULL);
    CHECK_INT(unlink(embed_path(folder, "photo.jpg")), 0);
    CHECK_INT(rmdir(folder), 0); /* It was empty again: nothing had been made. */
}

/* A path that leads nowhere is named. */
TEST(open, names_a_path_that_cannot_be)
{
    struct pyr_error error;
    struct pyr_log *log = NULL;

    enum pyr_err err = pyr_log_open("/dev/null/data", NULL, &log, &error);

    CHECK(err != PYR_OK);
    CHECK_INT(error.code, err);
    CHECK(strstr(error.message, "/dev/null/data") != NULL);
    CHECK(log == NULL);
    CHECK(pyr_log_open("", NULL, &log, &error) != PYR_OK);
    CHECK_ERR(pyr_log_open(NULL, NULL, &log, &error), PYR_ERR_INVALID, error);
    CHECK_INT(pyr_log_open("/dev/null/data", NULL, &log, NULL), err); /* No error wanted. */
}

/* -- One opener at a time -- */

/* Two handles on one folder would each think that the end is theirs. */
TEST(open, refuses_a_second_handle_in_this_process)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_log *log = embed_open(folder, NULL);
    struct pyr_error error;
    struct pyr_log *second = NULL;

    CHECK_ERR(pyr_log_open(folder, NULL, &second, &error), PYR_ERR_LOCKED, error);

    char pid[32];
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    CHECK(strstr(error.message, pid) != NULL);
    CHECK(second == NULL);
    embed_append_numbered(log, 0, 1); /* The first is none the worse for it. */
    pyr_log_close(log);
    log = embed_open(folder, NULL);
    pyr_log_close(log);
}

static void open_and_wait(void *ctx)
{
    struct pyr_log *log = embed_open(ctx, NULL);
    (void)printf("open\n");
    (void)fflush(stdout);
    (void)pause();
    pyr_log_close(log);
}

/* Another process holds it: the message says which, so that an operator can look it up. */
TEST(open, refuses_a_second_process_and_names_the_first)
{
    const char *folder = embed_path(case_folder(), "data");
    pid_t child = 0;
    FILE *stream = embed_child(open_and_wait, bytes_of(folder), &child);
    char line[64] = "";
    CHECK(fgets(line, sizeof line, stream) != NULL);
    CHECK_TEXT(line, "open\n");
    struct pyr_log *log = NULL;
    struct pyr_error error;

    CHECK_ERR(pyr_log_open(folder, NULL, &log, &error), PYR_ERR_LOCKED, error);

    char pid[32];
    (void)snprintf(pid, sizeof pid, "%ld", (long)child);
    CHECK(strstr(error.message, pid) != NULL);
    CHECK_INT(kill(child, SIGKILL), 0);
    (void)embed_reap(child);
    (void)fclose(stream);
    log = embed_open(folder, NULL); /* A dead process holds nothing. */
    pyr_log_close(log);
}

/* -- Several logs -- */

/* Logs of one store share a journal, not their records. */
TEST(open, keeps_the_logs_of_a_store_apart)
{
    const char *folder = embed_path(case_folder(), "data");
    struct pyr_store *store = embed_open_store(folder);
    struct pyr_error error;
    struct pyr_log *logs[3];
    const char *topics[] = {"orders", "orders", "Payments_2.x"};
    const uint32_t partitions[] = {0, 7, 0};
    for (int index = 0; index < 3; index++) {
        CHECK_OK(pyr_store_log(store, topics[index], partitions[index], NULL, &logs[index], &error),
                 error);
        embed_append_numbered(logs[index], 0, 5 + index);
    }
    for (int index = 0; index < 3; index++) {
        pyr_log_close(logs[index]);
    }
    pyr_store_close(store);

    store = embed_open_store(folder);

    struct pyr_recovery recovery;
    pyr_store_recovery(store, &recovery);
    CHECK_INT(recovery.partitions, 3);
    for (int index = 0; index < 3; index++) {
        CHECK_OK(pyr_store_log(store, topics[index], partitions[index], NULL, &logs[index], &error),
                 error);
        embed_expect_numbered(logs[index], 0, 5 + index);
        pyr_log_close(logs[index]);
    }
    pyr_store_close(store);
}

/* One log, one handle. */
TEST(open, refuses_a_log_that_is_open_already)
{
    struct pyr_store *store = embed_open_store(embed_path(case_folder(), "data"));
    struct pyr_error error;
    struct pyr_log *log = NULL;
    struct pyr_log *second = NULL;
    CHECK_OK(pyr_store_log(store, "orders", 0, NULL, &log, &error), error);

    CHECK_ERR(pyr_store_log(store, "orders", 0, NULL, &second, &error), PYR_ERR_LOCKED, error);

    CHECK(strstr(error.message, "orders-0") != NULL);
    pyr_log_close(log);
    CHECK_OK(pyr_store_log(store, "orders", 0, NULL, &second, &error), error);
    pyr_log_close(second);
    pyr_store_close(store);
}

/* A topic's name becomes a folder's: it must not lead out of the store. */
TEST(open, refuses_names_that_are_no_topics)
{
    struct pyr_store *store = embed_open_store(embed_path(case_folder(), "data"));
    char too_long[300];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    const char *names[] = {"", ".", "..", "a/b", "../x", "a b", "\xc3\xa4", "a\n", too_long, NULL};

    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        struct pyr_error error;
        struct pyr_log *log = NULL;
        CHECK_ERR(pyr_store_log(store, names[index], 0, NULL, &log, &error), PYR_ERR_INVALID,
                  error);
        CHECK(log == NULL);
    }

    pyr_store_close(store);
}

/* The longest name that Kafka takes works, with the largest number. */
TEST(open, takes_the_longest_name)
{
    struct pyr_store *store = embed_open_store(embed_path(case_folder(), "data"));
    char name[250];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct pyr_error error;
    struct pyr_log *log = NULL;

    enum pyr_err err = pyr_store_log(store, name, 7, NULL, &log, &error);

    /* The folder's name has at most 255 bytes: "-7" still fits, ten digits do not. */
    CHECK_OK(err, error);
    embed_append_numbered(log, 0, 3);
    pyr_log_close(log);
    pyr_store_close(store);
}

/* -- Options -- */

struct bad_store_option {
    const char *names; /* What the message has to name. */
    void (*spoil)(struct pyr_store_options *options);
};

static void spoil_backend(struct pyr_store_options *options)
{
    options->backend = (enum pyr_backend)77;
}

static void spoil_cache(struct pyr_store_options *options)
{
    options->cache_max_size = 1;
}

static void spoil_wal_bytes_small(struct pyr_store_options *options)
{
    options->wal_file_bytes = 4096;
}

static void spoil_wal_bytes_large(struct pyr_store_options *options)
{
    options->wal_file_bytes = UINT64_MAX;
}

static void spoil_wal_files_few(struct pyr_store_options *options)
{
    options->wal_files_max = 1;
}

static void spoil_wal_files_many(struct pyr_store_options *options)
{
    options->wal_files_max = UINT32_MAX;
}

/* Check that @error's message says @name. */
static void check_names(const struct pyr_error *error, const char *name)
{
    if (!strstr(error->message, name)) {
        fail_msg("'%s' does not name %s", error->message, name);
    }
}

/* Each mistake is named, and nothing is made. */
TEST(open, names_the_store_option_that_makes_no_sense)
{
    const struct bad_store_option rows[] = {
        {"backend", spoil_backend},
        {"cache_max_size", spoil_cache},
        {"wal_file_bytes", spoil_wal_bytes_small},
        {"wal_file_bytes", spoil_wal_bytes_large},
        {"wal_files_max", spoil_wal_files_few},
        {"wal_files_max", spoil_wal_files_many},
    };
    const char *folder = embed_path(case_folder(), "data");

    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct pyr_store_options options;
        embed_store_options(&options);
        rows[index].spoil(&options);
        struct pyr_store *store = NULL;
        struct pyr_error error;
        CHECK_ERR(pyr_store_open(folder, &options, &store, &error), PYR_ERR_INVALID, error);
        check_names(&error, rows[index].names);
        struct stat info;
        CHECK_INT(stat(folder, &info), -1);
    }
}

struct bad_log_option {
    const char *names;
    void (*spoil)(struct pyr_log_options *options);
};

static void spoil_sync(struct pyr_log_options *options)
{
    options->sync = (enum pyr_sync)9;
}

static void spoil_interval(struct pyr_log_options *options)
{
    options->sync = PYR_SYNC_BATCH;
    options->sync_interval_ms = 0;
}

static void spoil_hand_over(struct pyr_log_options *options)
{
    options->hand_over_at_once = true;
}

/* The store has its cache: the option would be without effect, and whoever set it relies on it. */
static void spoil_sync_on_write(struct pyr_log_options *options)
{
    options->sync_on_write = true;
}

static void spoil_compression(struct pyr_log_options *options)
{
    options->compression = (enum pyr_compression)5;
}

static void spoil_segment_small(struct pyr_log_options *options)
{
    options->segment_max_size = 10;
}

/* Likewise for a log. */
TEST(open, names_the_log_option_that_makes_no_sense)
{
    const struct bad_log_option rows[] = {
        {"sync", spoil_sync},
        {"sync_interval_ms", spoil_interval},
        {"hand_over_at_once", spoil_hand_over},
        {"sync_on_write", spoil_sync_on_write},
        {"compression", spoil_compression},
        {"segment_max_size", spoil_segment_small},
    };
    struct pyr_store *store = embed_open_store(embed_path(case_folder(), "data"));

    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct pyr_log_options options;
        pyr_log_options_init(&options);
        rows[index].spoil(&options);
        struct pyr_log *log = NULL;
        struct pyr_error error;
        CHECK_ERR(pyr_store_log(store, "orders", 0, &options, &log, &error), PYR_ERR_INVALID,
                  error);
        check_names(&error, rows[index].names);
    }

    pyr_store_close(store);
}

/* A segment file of Kafka's format ends at 2 GiB - 1: what is above rolls there. */
TEST(open, takes_a_segment_size_above_the_limit_as_the_limit)
{
    struct pyr_log_options options;
    pyr_log_options_init(&options);
    options.segment_max_size = UINT64_C(4) << 30;

    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), &options);

    embed_append_numbered(log, 0, 3);
    pyr_log_close(log);
}

/* The highest of numbers is a limit that is never met, and no reason to end the program. */
TEST(open, takes_limits_however_high)
{
    struct pyr_log_options options;
    pyr_log_options_init(&options);
    options.segment_max_size = UINT64_MAX;
    options.segment_max_age_ms = UINT64_MAX;
    options.retention_ms = UINT64_MAX;
    options.retention_bytes = UINT64_MAX;
    const char *folder = embed_path(case_folder(), "data");

    for (int64_t life = 0; life < 2; life++) {
        struct pyr_log *log = embed_open(folder, &options);
        for (int round = 0; round < 3; round++) {
            (void)embed_append(log, "kept");
        }
        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK_INT(stat.offset_first, 0);
        CHECK(stat.offset_end >= 3 * (life + 1));
        pyr_log_close(log);
    }
}

/* -- After kill -9 -- */

enum { ACKS_BEFORE_KILL = 50 };

/* Append for ever, and say what was acknowledged. */
static void append_and_tell(void *ctx)
{
    struct pyr_log *log = embed_open(ctx, NULL);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    for (int64_t number = stat.offset_end;; number++) {
        embed_append_numbered(log, number, 1);
        (void)printf("%" PRId64 "\n", number);
        (void)fflush(stdout);
    }
}

/* The promise itself: kill a writer anywhere, and everything it was told is there. */
TEST(open, finds_everything_acknowledged_after_kill_9)
{
    const char *folder = embed_path(case_folder(), "data");
    int64_t acknowledged = -1;

    for (uint64_t life = 0; life < case_scale(8); life++) {
        pid_t child = 0;
        FILE *stream = embed_child(append_and_tell, bytes_of(folder), &child);
        char line[64];
        for (int count = 0; count < ACKS_BEFORE_KILL; count++) {
            CHECK(fgets(line, sizeof line, stream) != NULL);
            acknowledged = strtoll(line, NULL, 10);
        }
        CHECK_INT(kill(child, SIGKILL), 0);
        (void)embed_reap(child);
        while (fgets(line, sizeof line, stream)) {
            acknowledged = strtoll(line, NULL, 10);
        }
        (void)fclose(stream);

        struct pyr_log *log = embed_open(folder, NULL);
        struct pyr_log_stat stat;
        pyr_log_stat(log, &stat);
        CHECK(stat.offset_end == acknowledged + 1 || stat.offset_end == acknowledged + 2);
        struct pyr_recovery recovery;
        pyr_store_recovery(pyr_log_store(log), &recovery);
        CHECK(!recovery.was_clean);
        embed_expect_numbered(log, 0, stat.offset_end);
        pyr_log_close(log);
    }
}

/* Closing nothing is no mistake. */
TEST(open, closing_null_does_nothing)
{
    pyr_log_close(NULL);
    pyr_store_close(NULL);
    pyr_reader_close(NULL);
}
