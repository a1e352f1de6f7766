/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyralog as a user runs it: cli/pyralog.c, cli/commands.c, cli/complete.c, cli/offline.c,
 * cli/log_stat.c, cli/log_dump.c, cli/dump_batch.c, cli/log_verify.c, cli/log_repair.c and
 * cli/json.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pyralog.h"

#include "lib/case.h"
#include "program.h"

/* Small journal files: the default ones take a while to be filled. */
#define SMALL "--wal-file-bytes=1MiB"

/* Where the first journal file's flushes of a new store begin: behind its two header blocks. */
enum { JOURNAL_FLUSHES = 8192 };

/* -- Helpers -- */

static void check_end(struct program *program, int status, const char *message)
{
    if (program->status != status) {
        print_message("# stdout: %s\n# stderr: %s\n", program->out, program->err);
    }
    CHECK_INT(program->status, status);
    if (message[0] == '\0') {
        CHECK_TEXT(program->err, "");
    } else if (!strstr(program->err, message)) {
        CHECK_TEXT(program->err, message);
    }
    free(program);
}

static void check_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part)) {
        CHECK_TEXT(text ? text : "", part);
    }
}

/* Make a store of two logs with 600 records each, in several segments, in a folder of its own. */
static void store_make(void)
{
    CHECK_INT(chdir(case_folder()), 0);
    check_end(PROGRAM("pyralog-load", "--embedded=store", SMALL, "--count=1200", "--batch=10",
                      "--partitions=2", "--segment-bytes=16KiB", "--keys=3", "--compression=lz4"),
              0, "");
}

/* Kill the writer @words after @lines_min acknowledgements. */
static void store_kill(const char *const *words, size_t lines_min)
{
    CHECK_INT(chdir(case_folder()), 0);
    int fd = -1;
    pid_t child = program_start(words, &fd);
    char text[4096];
    size_t lines = 0;
    while (lines < lines_min) {
        ssize_t count = read(fd, text, sizeof text);
        CHECK(count > 0);
        for (ssize_t index = 0; index < count; index++) {
            lines += text[index] == '\n' ? 1 : 0;
        }
    }
    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(program_end(child), 128 + SIGKILL);
    (void)close(fd);
}

/* Make a store whose writer was killed, so that its journal has much to bring back. */
static void store_make_killed(void)
{
    const char *const words[] = {"pyralog-load", "--embedded=store", SMALL, "--duration=1h",
                                 "--ack-file",   "/dev/stdout",      NULL};
    store_kill(words, 40);
}

/* Change the byte at @position of the file at @path. */
static void byte_flip(const char *path, off_t position)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_INT(pread(fd, &byte, 1, position), 1);
    byte ^= 0x10;
    CHECK_INT(pwrite(fd, &byte, 1, position), 1);
    CHECK_INT(close(fd), 0);
}

/* -- The frame -- */

/* The nearest known word helps more than a page of help. */
TEST(pyralog, names_the_nearest_command)
{
    check_end(PROGRAM("pyralog", "lgo"), 2,
              "pyralog: unknown command 'lgo', did you mean 'log'?\n");
    check_end(PROGRAM("pyralog", "log", "dmup"), 2,
              "pyralog: unknown command 'log dmup', did you mean 'log dump'?\n");
    check_end(PROGRAM("pyralog", "log", "frobnicate"), 2, "pyralog log --help lists them\n");
    check_end(PROGRAM("pyralog", "log"), 2, "pyralog log --help lists it\n");
    check_end(PROGRAM("pyralog", "log", "stat"), 2,
              "pyralog: log stat: DIR is missing: pyralog log stat DIR\n");
    check_end(PROGRAM("pyralog", "log", "dump", "--limit=0", "x"), 2,
              "pyralog: log dump: --limit: '0' is below 1\n");
    check_end(PROGRAM("pyralog"), 2, "Commands:");
}

/* A bug report begins with the version. */
TEST(pyralog, tells_its_version)
{
    struct program *program = PROGRAM("pyralog", "--version");
    check_contains(program->out, "pyralog 0.");
    check_contains(program->out, "backends");
    check_end(program, 0, "");

    program = PROGRAM("pyralog", "log", "stat", "--version");
    check_contains(program->out, "pyralog 0.");
    check_end(program, 0, "");
}

/* Odd folders: each a clear refusal that names the path, and nothing is created. */
TEST(pyralog_folder, refuses_what_is_no_store)
{
    static const char *const verbs[] = {"stat", "dump", "verify", "repair"};
    CHECK_INT(chdir(case_folder()), 0);
    CHECK_INT(mkdir("empty", 0700), 0);
    int fd = open("file", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_INT(close(fd), 0);
    char long_path[3000];
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';

    for (size_t index = 0; index < sizeof verbs / sizeof *verbs; index++) {
        struct program *program = PROGRAM("pyralog", "log", verbs[index], "none");
        check_contains(program->err, "'none'");
        check_end(program, 1, "pyralog: log ");
        program = PROGRAM("pyralog", "log", verbs[index], "empty");
        check_contains(program->err, "'empty'");
        CHECK(program->status == 1);
        free(program);
        program = PROGRAM("pyralog", "log", verbs[index], "file");
        check_contains(program->err, "'file'");
        CHECK(program->status == 1 || program->status == 2);
        free(program);
        program = PROGRAM("pyralog", "log", verbs[index], long_path);
        CHECK(program->status == 1 || program->status == 2);
        free(program);
    }
    CHECK_INT(rmdir("empty"), 0);
    CHECK(access("none", F_OK) != 0);
}

/* What is in use must not be looked at half-way through a write. */
TEST(pyralog_folder, names_the_holder_of_the_lock)
{
    CHECK_INT(chdir(case_folder()), 0);
    char text[256];
    char holder[32];
    int fd = -1;
    const char *const words[] = {"pyralog-load", "--embedded=store", SMALL, "--duration=1h",
                                 "--ack-file",   "/dev/stdout",      NULL};
    pid_t child = program_start(words, &fd);
    CHECK(read(fd, text, sizeof text) > 0);
    (void)snprintf(holder, sizeof holder, "%ld", (long)child);

    check_end(PROGRAM("pyralog", "log", "stat", "store"), 1, holder);

    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(program_end(child), 128 + SIGKILL);
    (void)close(fd);
}

/* -- stat, dump, verify of a whole store -- */

/* What was appended is what is shown. */
TEST(log_stat, shows_logs_and_journal)
{
    store_make();

    struct program *program = PROGRAM("pyralog", "log", "stat", "store");
    check_contains(program->out, "shards      1\njournal 0\n");
    check_contains(program->out, "last stop   clean");
    check_contains(program->out, "load-0                                0            600");
    check_end(program, 0, "");

    program = PROGRAM("pyralog", "log", "stat", "--json", "store");
    check_contains(program->out, "\"shards\":1,");
    check_contains(program->out, "\"name\":\"load-1\"");
    check_contains(program->out, "\"offset_end\":600");
    check_contains(program->out, "\"was_clean\":true,\"is_corrupt\":false");
    check_end(program, 0, "");
}

/* A deleted log is restored by the name that it had, and the longest names are cut in the folder's:
 * the one to give is shown. */
TEST(log_stat, shows_what_a_deleted_log_was_called)
{
    char topic[248];
    memset(topic, 'n', sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    CHECK_INT(chdir(case_folder()), 0);
    struct pyr_store *store = NULL;
    struct pyr_log *log = NULL;
    CHECK_INT(pyr_store_open("store", NULL, &store, NULL), PYR_OK);
    CHECK_INT(pyr_store_log(store, topic, 0, NULL, &log, NULL), PYR_OK);
    pyr_log_close(log);
    CHECK_INT(pyr_store_delete_log(store, topic, 0, NULL), PYR_OK);
    pyr_store_close(store);

    char wanted[300];
    struct program *program = PROGRAM("pyralog", "log", "stat", "store");
    (void)snprintf(wanted, sizeof wanted, "  deleted, was %s-0\n", topic);
    check_contains(program->out, wanted);
    check_end(program, 0, "");
    program = PROGRAM("pyralog", "log", "stat", "--json", "store");
    (void)snprintf(wanted, sizeof wanted, "\"is_deleted\":true,\"deleted_name\":\"%s-0\"}", topic);
    check_contains(program->out, wanted);
    check_end(program, 0, "");
}

/* Of a store with several journals, all of them are shown, and whose each log is. */
TEST(log_stat, shows_every_journal_after_the_number_was_changed)
{
    store_make();
    check_end(PROGRAM("pyralog-load", "--embedded=store", SMALL, "--count=1200", "--batch=10",
                      "--partitions=2", "--shards=3"),
              0, "");

    struct program *program = PROGRAM("pyralog", "log", "stat", "store");
    check_contains(program->out, "shards      3\njournal 0\n");
    check_contains(program->out, "journal 2\n");
    check_contains(program->out, "load-0                                0          1,200");
    check_end(program, 0, "");
    program = PROGRAM("pyralog", "log", "stat", "--json", "store");
    check_contains(program->out, "\"shards\":3,");
    check_contains(program->out, "{\"shard\":2,");
    check_end(program, 0, "");
    program = PROGRAM("pyralog", "log", "verify", "store");
    CHECK_INT(program->status, 0);
    free(program);
}

/* After a kill the records are in the journal; a stat that forgot them would frighten. */
TEST(log_stat, counts_what_the_journal_brings_back)
{
    store_make_killed();

    struct program *program = PROGRAM("pyralog", "log", "stat", "store");
    check_contains(program->out, "last stop   a crash, or a kill");
    check_end(program, 0, "");
    program = PROGRAM("pyralog", "log", "stat", "--json", "store");
    CHECK(!strstr(program->out, "\"journal_records\":0"));
    check_end(program, 0, "");
    program = PROGRAM("pyralog", "log", "dump", "--wal", "store");
    check_contains(program->out, "append          load-0");
    check_end(program, 0, "");
    program =
        PROGRAM("pyralog", "log", "dump", "--wal", "--records", "--json", "--limit=3", "store");
    check_contains(program->out, "\"offset\":2,");
    CHECK(!strstr(program->out, "\"offset\":3,"));
    check_end(program, 0, "");
}

/* The limits and the start are what one looks at a large log with. */
TEST(log_dump, shows_batches_and_records)
{
    store_make();

    struct program *program =
        PROGRAM("pyralog", "log", "dump", "--log=load-1", "--from=35", "--limit=2", "store");
    check_contains(program->out, "  30..39  ");
    check_contains(program->out, "  40..49  ");
    CHECK(!strstr(program->out, "  50..59  "));
    CHECK(!strstr(program->out, "load-0"));
    check_end(program, 0, "");

    program = PROGRAM("pyralog", "log", "dump", "--records", "--from=35", "--limit=2", "store");
    check_contains(program->out, "          35  20");
    check_contains(program->out, "'key-000000000");
    check_end(program, 0, "");

    program = PROGRAM("pyralog", "log", "dump", "--json", "--limit=1", "store");
    check_contains(program->out, "{\"log\":\"load-0\",\"file\":\"00000000000000000000.log\","
                                 "\"position\":0,\"offset_first\":0,\"offset_last\":9,");
    check_end(program, 0, "");

    check_end(PROGRAM("pyralog", "log", "dump", "--log=orders-0", "store"), 1,
              "pyralog: log dump: --log: 'orders-0' is no log of this store");
}

/* Whole stores pass, clean or killed, and looking changes nothing: OFF-1. */
TEST(log_verify, passes_a_whole_store)
{
    store_make_killed();
    struct program *program = PROGRAM("pyralog", "log", "verify", "store");
    check_contains(program->out, "all is whole");
    check_end(program, 0, "");

    store_make();
    program = PROGRAM("pyralog", "log", "verify", "--json", "store");
    check_contains(program->out, "\"findings\":[],");
    check_contains(program->out, "\"records\":1200,");
    check_contains(program->out, "\"passed\":true");
    check_end(program, 0, "");
}

/* Segments that were full when their writer was killed, and not synced yet, are no damage. */
TEST(log_verify, passes_full_segments_that_were_not_synced)
{
    const char *const words[] = {"pyralog-load",  "--embedded=store",     SMALL,
                                 "--duration=1h", "--segment-bytes=4KiB", "--no-cache",
                                 "--ack-file",    "/dev/stdout",          NULL};
    store_kill(words, 200);

    struct program *program = PROGRAM("pyralog", "log", "verify", "store");
    check_contains(program->out, "all is whole");
    check_end(program, 0, "");
}

/* -- Damage -- */

/* A damaged batch is named with file and position by every tool that meets it. */
TEST(log_verify, names_file_and_position_of_damage)
{
    store_make();
    byte_flip("store/load-0/00000000000000000000.log", 100);

    struct program *program = PROGRAM("pyralog", "log", "verify", "store");
    check_contains(program->out,
                   "DAMAGED  load-0: 'store/load-0/00000000000000000000.log' at position 0");
    check_end(program, 3, "");
    program = PROGRAM("pyralog", "log", "verify", "--json", "store");
    check_contains(program->out, "\"passed\":false");
    check_end(program, 3, "");
    check_end(PROGRAM("pyralog", "log", "dump", "store"), 3,
              "pyralog: log dump: 'load-0/00000000000000000000.log', position 0: ");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--mode=read"), 3,
              "00000000000000000000.log' at position 0");
}

/* Check that verify finds @finding in the store, and that a start refuses it with @status. */
static void check_refused(const char *finding, int status, const char *message)
{
    struct program *program = PROGRAM("pyralog", "log", "verify", "store");
    check_contains(program->out, "DAMAGED");
    check_contains(program->out, finding);
    check_end(program, 3, "");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--mode=read"), status, message);
}

/* What a start refuses, verify finds, such as that a log's first segment is gone. */
TEST(log_verify, misses_the_first_segment)
{
    store_make();
    CHECK_INT(unlink("store/load-0/00000000000000000000.log"), 0);
    check_refused("load-0: 'store/load-0' begins at offset ", 3,
                  "'store/load-0' begins at offset ");
}

/* So it does if the log's folder is none any more, or gone. */
TEST(log_verify, misses_a_log)
{
    store_make();
    CHECK_INT(unlink("store/load-0/partition.metadata"), 0);
    check_refused("load-0: 'store/load-0' is no log's folder", 3, "has no partition.metadata");
    CHECK_INT(rename("store/load-0", "elsewhere"), 0);
    check_refused("load-0: 'store/load-0' is no log's folder", 3, "has no partition.metadata");
}

/* Two folders with their names exchanged hold nothing that is damaged in itself. */
TEST(log_verify, tells_two_logs_apart)
{
    store_make();
    CHECK_INT(rename("store/load-0", "store/x"), 0);
    CHECK_INT(rename("store/load-1", "store/load-0"), 0);
    CHECK_INT(rename("store/x", "store/load-1"), 0);
    check_refused("'store/load-0' holds the log that the checkpoint of 'store/wal/1.0' calls "
                  "'load-1'",
                  1, "belongs to another log");
}

/* Nor do two journals; without them nothing else can be said. */
TEST(log_verify, tells_two_journals_apart)
{
    CHECK_INT(chdir(case_folder()), 0);
    check_end(PROGRAM("pyralog-load", "--embedded=store", SMALL, "--count=20", "--shards=2"), 0,
              "");
    CHECK_INT(rename("store/wal/1.0", "store/wal/x"), 0);
    CHECK_INT(rename("store/wal/1.1", "store/wal/1.0"), 0);
    CHECK_INT(rename("store/wal/x", "store/wal/1.1"), 0);

    const char *message = "belongs to another storage or shard";
    check_end(PROGRAM("pyralog", "log", "verify", "store"), 1, message);
    check_end(PROGRAM("pyralog", "log", "repair", "--yes", "store"), 1, message);
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--mode=read"), 1, message);
}

/* A journal may lack what it needs besides its flushes: that a repair mends. */
TEST(log_repair, makes_a_lost_run_anew)
{
    store_make();
    CHECK_INT(unlink("store/wal/1.0/run"), 0);
    check_refused("'store/wal/1.0/run' is missing", 3, "'store/wal/1.0/run' is missing");

    check_end(PROGRAM("pyralog", "log", "repair", "store"), 3, "");
    check_end(PROGRAM("pyralog", "log", "repair", "--yes", "store"), 0, "");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--partitions=2", "--count=5"), 0, "");
    check_end(PROGRAM("pyralog", "log", "verify", "store"), 0, "");
}

/* A journal that is gone is damage, and not a journal to be made. */
TEST(log_verify, misses_a_journal)
{
    store_make();
    CHECK_INT(rename("store/wal/1.0", "elsewhere"), 0);
    check_end(PROGRAM("pyralog", "log", "verify", "store"), 3,
              "'store/wal/1.0/checkpoint' is miss");
    check_end(PROGRAM("pyralog", "log", "repair", "store"), 3,
              "'store/wal/1.0/checkpoint' is miss");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--mode=read"), 3,
              "the journal 'store/wal/1.0' is missing");
}

/* What cannot be read is not called whole. */
TEST(log_verify, does_not_pass_what_it_cannot_read)
{
    store_make();
    CHECK_INT(unlink("store/load-1/partition.metadata"), 0);
    CHECK_INT(mkdir("store/load-1/partition.metadata", 0700), 0);

    struct program *program = PROGRAM("pyralog", "log", "verify", "store");
    check_contains(program->out, "whole as far as it was read");
    check_end(program, 1, "store/load-1/partition.metadata'");
    program = PROGRAM("pyralog", "log", "verify", "--json", "store");
    check_contains(program->out, "\"passed\":false");
    check_end(program, 1, "store/load-1/partition.metadata'");
}

/* The marker is what says that a folder is a store. */
TEST(pyralog_folder, names_a_damaged_marker)
{
    store_make();
    byte_flip("store/pyralog.store", 20);

    check_end(PROGRAM("pyralog", "log", "stat", "store"), 3, "store/pyralog.store'");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--mode=read"), 3,
              "store/pyralog.store'");
}

/* FIX-1: what would be lost is said first, exactly; only then may it be done. */
TEST(log_repair, says_what_is_lost_and_cuts_only_when_told)
{
    store_make_killed();
    /* The tenth flush of the first file; each single append takes a block. */
    byte_flip("store/wal/1.0/00000000.wal", JOURNAL_FLUSHES + 10 * 4096 + 200);

    struct program *program = PROGRAM("pyralog", "log", "stat", "store");
    check_contains(program->out, "CORRUPT     'store/wal/1.0/00000000.wal' at position ");
    check_end(program, 0, "");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--count=1"), 3, "pyralog log repair");
    check_end(PROGRAM("pyralog", "log", "verify", "store"), 3, "");

    program = PROGRAM("pyralog", "log", "dump", "--wal", "store");
    const char *behind = strstr(program->out, "\nDamaged at ");
    CHECK(behind != NULL);
    check_contains(behind, "append          load-0 ");
    check_end(program, 3, "00000000.wal' at position ");
    program = PROGRAM("pyralog", "log", "dump", "--wal", "--records", "--json", "store");
    behind = strstr(program->out, "\n{\"damage\":\"'");
    CHECK(behind != NULL);
    check_contains(behind + 1, "\n{\"log\":\"load-0\"");
    check_end(program, 3, "00000000.wal' at position ");

    program = PROGRAM("pyralog", "log", "repair", "--dry-run", "store");
    check_contains(program->out, "load-0: it will end at offset ");
    check_contains(program->out, "can still be read behind the damage");
    check_contains(program->out, "1 entries cannot be read at all");
    check_contains(program->out, "Nothing was changed.");
    check_end(program, 3, "");
    check_end(PROGRAM("pyralog", "log", "repair", "--dry-run", "--yes", "store"), 2, "not both");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--count=1"), 3, "pyralog log repair");

    program = PROGRAM("pyralog", "log", "repair", "--yes", "store");
    check_contains(program->out, "Repaired: a start will accept the journals.");
    check_end(program, 0, "");
    program = PROGRAM("pyralog", "log", "repair", "store");
    check_contains(program->out, "Nothing to repair");
    check_end(program, 0, "");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--count=5"), 0, "");
    check_end(PROGRAM("pyralog", "log", "verify", "store"), 0, "");
}

/* -- Texts that are kept -- */

/* Read the file at @path below the project's root; NULL if there is none. Gives: free. */
static char *root_read(const char *path, char *full, size_t full_bytes)
{
    const char *root = getenv("PYRALOG_SOURCE");
    CHECK(root != NULL);
    (void)snprintf(full, full_bytes, "%s/%s", root, path);
    FILE *file = fopen(full, "r");
    if (!file) {
        return NULL;
    }
    char *text = calloc(1, PROGRAM_TEXT_BYTES);
    CHECK(text != NULL);
    CHECK(fread(text, 1, PROGRAM_TEXT_BYTES - 1, file) > 0);
    (void)fclose(file);
    return text;
}

/* The output of @program must be the text kept at @path; PYRALOG_RECORD=1 keeps it anew. */
static void check_kept(struct program *program, const char *path)
{
    char full[4096];
    CHECK_INT(program->status, 0);
    char *kept = root_read(path, full, sizeof full);
    const char *record = getenv("PYRALOG_RECORD");
    if (record && strcmp(record, "1") == 0) {
        FILE *file = fopen(full, "w");
        CHECK(file != NULL);
        CHECK(fputs(program->out, file) >= 0);
        CHECK_INT(fclose(file), 0);
    } else {
        CHECK(kept != NULL);
        CHECK_TEXT(program->out, kept);
    }
    free(kept);
    free(program);
}

/* A help text is an interface: it changes on purpose only. */
TEST(help, is_the_text_that_was_reviewed)
{
    check_kept(PROGRAM("pyralog", "--help"), "test/cluster/golden/pyralog.txt");
    check_kept(PROGRAM("pyralog", "log", "--help"), "test/cluster/golden/pyralog-log.txt");
    check_kept(PROGRAM("pyralog", "log", "stat", "--help"),
               "test/cluster/golden/pyralog-log-stat.txt");
    check_kept(PROGRAM("pyralog", "log", "dump", "-h"), "test/cluster/golden/pyralog-log-dump.txt");
    check_kept(PROGRAM("pyralog", "help", "log", "verify"),
               "test/cluster/golden/pyralog-log-verify.txt");
    check_kept(PROGRAM("pyralog", "log", "repair", "--help"),
               "test/cluster/golden/pyralog-log-repair.txt");
    check_kept(PROGRAM("pyralog", "completion", "--help"),
               "test/cluster/golden/pyralog-completion.txt");
    check_kept(PROGRAM("pyralog-load", "--help"), "test/cluster/golden/pyralog-load.txt");
    check_kept(PROGRAM("pyralog-sim", "--help"), "test/cluster/golden/pyralog-sim.txt");
}

/* The installed completion must know today's options. */
TEST(completion, is_current)
{
    check_kept(PROGRAM("pyralog", "completion"), "src/cli/completion/pyralog");
    check_kept(PROGRAM("pyralog", "completion", "--program=pyralog-load"),
               "src/cli/completion/pyralog-load");
    check_kept(PROGRAM("pyralog", "completion", "--program=pyralog-sim"),
               "src/cli/completion/pyralog-sim");
}

/* Check that @page has each option that the completion @script has. */
static void check_options(const char *script, const char *page)
{
    for (const char *at = strstr(script, "--"); at; at = strstr(at + 2, "--")) {
        char name[64];
        size_t bytes = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
        (void)snprintf(name, sizeof name, "Fl -%.*s", (int)bytes, at + 2);
        if (bytes > 0 && !strstr(page, name)) {
            CHECK_TEXT(page, name);
        }
    }
}

/* An option that no manual page knows does not exist for its reader. */
TEST(manual, names_every_option)
{
    static const char *const pages[][2] = {
        {"--program=pyralog", "docs/man/pyralog.1"},
        {"--program=pyralog-load", "docs/man/pyralog-load.1"},
        {"--program=pyralog-sim", "docs/man/pyralog-sim.1"},
    };
    for (size_t index = 0; index < sizeof pages / sizeof *pages; index++) {
        char full[4096];
        char *page = root_read(pages[index][1], full, sizeof full);
        CHECK(page != NULL);
        struct program *program = PROGRAM("pyralog", "completion", pages[index][0]);
        CHECK(strstr(program->out, "--help") != NULL);
        check_options(program->out, page);
        free(program);
        free(page);
    }
}
