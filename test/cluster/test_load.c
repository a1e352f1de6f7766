/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyralog-load as a user runs it: cli/load.c, cli/load_run.c, cli/load_crew.c, cli/load_writer.c,
 * cli/load_reader.c, cli/load_watch.c, cli/load_verify.c, cli/load_report.c, cli/load_json.c and
 * cli/load_demo.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/case.h"
#include "program.h"

/* Small journal files: the default ones take a while to be filled. */
#define SMALL "--wal-file-bytes=1MiB"

/* -- Helpers -- */

/* Work in a fresh folder, and return it. */
static const char *enter(void)
{
    const char *folder = case_folder();
    CHECK_INT(chdir(folder), 0);
    return folder;
}

/* Set TMPDIR back to @kept, which may be NULL. */
static void temporary_restore(char *kept)
{
    CHECK_INT(kept ? setenv("TMPDIR", kept, 1) : unsetenv("TMPDIR"), 0);
    free(kept);
}

/* The program must have ended with @status and, unless it is "", complained with @message. */
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
    if (!strstr(text, part)) {
        CHECK_TEXT(text, part);
    }
}

/* -- Loading -- */

/* The main use: append, and prove that all is there; then read it. */
TEST(load, appends_verifies_and_reads)
{
    const char *store = "--embedded=store";
    (void)enter();

    struct program *program = PROGRAM("pyralog-load", store, SMALL, "--count=3000", "--threads=4",
                                      "--batch=3", "--verify");
    check_contains(program->out, "append: 4 threads, records of 100 B, always synced, 3 an append");
    check_contains(program->out, "(3,000 records in ");
    check_contains(program->out, "3,000 acknowledged: none missing, repeated, out of order");
    check_end(program, 0, "");

    program = PROGRAM("pyralog-load", store, "--mode=read", "--json");
    check_contains(program->out, "\"read\":{");
    check_contains(program->out, "\"records\":3000,");
    check_end(program, 0, "");

    program = PROGRAM("pyralog-load", store, "--mode=read", "--order=random", "--count=50");
    check_contains(program->out, "(50 records in ");
    check_end(program, 0, "");
}

/* Every policy and way of appending keeps what it acknowledges while nothing is killed. */
TEST(load, verifies_under_every_policy)
{
    (void)enter();
    static const char *const ways[][3] = {
        {"--sync=batch:2ms", "--async=32", "--partitions=3"},
        {"--sync=os", "--threads=3", "--keys=10"},
        {"--sync=os-now", "--compression=lz4", "--mmap"},
        {"--sync=always", "--async=8", "--backend=posix"},
        {"--sync=always", "--no-cache", "--segment-bytes=64KiB"},
    };
    for (size_t index = 0; index < sizeof ways / sizeof *ways; index++) {
        char name[32];
        (void)snprintf(name, sizeof name, "--embedded=store-%zu", index);
        struct program *program =
            PROGRAM("pyralog-load", name, SMALL, "--count=500", "--mode=mixed", "--verify",
                    ways[index][0], ways[index][1], ways[index][2]);
        check_contains(program->out, "500 acknowledged: none missing");
        check_end(program, 0, "");
    }
}

/* The rate is a promise of the load, and latency counts from the intended start. */
TEST(load, keeps_the_rate_and_leaves_the_warm_up_out)
{
    (void)enter();
    struct program *program = PROGRAM("pyralog-load", "--embedded=store", SMALL, "--rate=400",
                                      "--json", "--duration=1s", "--warmup=500ms", "--sync=os");

    const char *records = strstr(program->out, "\"records\":");
    CHECK(records != NULL);
    long count = records ? strtol(records + strlen("\"records\":"), NULL, 10) : 0;
    CHECK(count >= 200);
    CHECK(count <= 500);
    check_contains(program->out, "\"p99.99\":");
    check_end(program, 0, "");
}

/* Ctrl-C in a long load: the report is what the user wants to see. */
TEST(load, reports_what_it_has_when_interrupted)
{
    (void)enter();
    char text[4096];
    size_t count = 0;
    int fd = -1;
    const char *const words[] = {"pyralog-load", "--embedded=store", SMALL, "--duration=60s",
                                 "--ack-file",   "/dev/stdout",      NULL};
    pid_t child = program_start(words, &fd);

    ssize_t bytes = read(fd, text, sizeof text); /* It is at work. */
    CHECK(bytes > 0);
    CHECK_INT(kill(child, SIGINT), 0);
    do {
        /* Keep the end only. */
        count = bytes > 0 ? (size_t)bytes : count;
        bytes = read(fd, text, sizeof text - 1);
    } while (bytes > 0);
    (void)close(fd);

    CHECK_INT(program_end(child), 1);
}

/* -- Verifying against a file -- */

/* What one process acknowledged is proved by another; a second run goes on in the same folder. */
TEST(verify_against, passes_over_several_runs)
{
    const char *store = "--embedded=store";
    (void)enter();
    const char *acks = "acks";

    for (int run = 0; run < 3; run++) {
        check_end(
            PROGRAM("pyralog-load", store, SMALL, "--count=200", "--threads=2", "--ack-file", acks),
            0, "");
    }
    struct program *program = PROGRAM("pyralog-load", store, "--verify-against", acks);
    check_contains(program->out, "600 acknowledged: none missing, repeated, out of order");
    check_end(program, 0, "");

    /* An acknowledgement of a record that is not there must be found out. */
    FILE *file = fopen(acks, "a");
    CHECK(file != NULL);
    CHECK(fprintf(file, "4000000000 0 0 1 600\n") > 0);
    CHECK_INT(fclose(file), 0);
    program = PROGRAM("pyralog-load", store, "--verify-against", acks);
    check_contains(program->out, "1 acknowledged records are MISSING");
    check_end(program, 3, "");
}

/* -- Bad input -- */

/* Everything that was typed is checked before a file is touched. */
TEST(load_usage, refuses_bad_words_with_one_line)
{
    (void)enter();
    check_end(
        PROGRAM("pyralog-load"), 2,
        "pyralog-load: --embedded=DIR is missing (or --demo); pyralog-load --help explains\n");
    check_end(PROGRAM("pyralog-load", "--embeded=x"), 2, "did you mean '--embedded'?\n");
    check_end(PROGRAM("pyralog-load", "--embedded=x", "--size=1GiB"), 2, "--size: '1GiB'");
    check_end(PROGRAM("pyralog-load", "--embedded=x", "--mode=raed"), 2, "--mode: 'raed'");
    check_end(PROGRAM("pyralog-load", "--embedded=x", "extra"), 2, "unexpected argument 'extra'\n");
    check_end(PROGRAM("pyralog-load", "--demo", "--count=5"), 2, "--demo appends and verifies");
    CHECK(access("x", F_OK) != 0);
}

/* Odd folders: each a clear refusal that names the path. */
TEST(load_folder, refuses_what_is_no_store)
{
    const char *file = "file";
    (void)enter();
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_INT(close(fd), 0);
    CHECK_INT(mkdir("foreign", 0700), 0);
    fd = open("foreign/letter.txt", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_INT(close(fd), 0);

    check_end(PROGRAM("pyralog-load", "--embedded", file, "--count=1"), 2,
              "'file' is not a folder\n");
    check_end(PROGRAM("pyralog-load", "--embedded=foreign", "--count=1"), 1, "foreign'");
    check_end(PROGRAM("pyralog-load", "--embedded=none", "--mode=read"), 1, "none'");
    check_end(PROGRAM("pyralog-load", "--embedded=a/b/c", "--count=1"), 1, "a/b/c");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--verify-against", "no-acks"), 1,
              "no-acks': No such file or directory\n");
    check_end(PROGRAM("pyralog-load", "--embedded=store", "--count=1", "--ack-file", "/dev/full"),
              1, "--ack-file: write '/dev/full': No space left on device\n");
    CHECK(access("none", F_OK) != 0);
    CHECK(access("foreign/lock", F_OK) != 0);
}

/* A folder that is in use is refused with who has it. */
TEST(load_folder, names_the_holder_of_the_lock)
{
    (void)enter();
    char text[256];
    int fd = -1;
    const char *const words[] = {"pyralog-load", "--embedded=store", SMALL, "--duration=60s",
                                 "--ack-file",   "/dev/stdout",      NULL};
    pid_t child = program_start(words, &fd);
    CHECK(read(fd, text, sizeof text) > 0);
    char holder[32];
    (void)snprintf(holder, sizeof holder, "%ld", (long)child);

    check_end(PROGRAM("pyralog-load", "--embedded=store", "--count=1"), 1, holder);

    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(program_end(child), 128 + SIGKILL);
    (void)close(fd);
}

/* Results that never arrive must not end in success. */
TEST(load_output, fails_when_stdout_is_full)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = open("/dev/full", O_WRONLY);
        (void)dup2(fd, STDOUT_FILENO);
        (void)close(STDERR_FILENO);
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/pyralog-load", getenv("PYRALOG_PROGRAMS"));
        (void)execl(path, "pyralog-load", "--help", (char *)NULL);
        _exit(127);
    }
    CHECK_INT(program_end(child), 1);
}

/* -- Demonstration -- */

/* tools/run.sh shows this to a new user; it must prove what it says and leave nothing behind. */
TEST(demo, kills_recovers_verifies_and_cleans_up)
{
    const char *folder = enter();
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    CHECK_INT(setenv("TMPDIR", folder, 1), 0);

    struct program *program =
        PROGRAM("pyralog-load", "--demo", SMALL, "--duration=1s", "--threads=4");

    check_contains(program->out, "was killed at work");
    check_contains(program->out, "the last stop was a crash");
    check_contains(program->out, "none missing, repeated, out of order or changed");
    check_contains(program->out, "Passed: no acknowledged record was lost.");
    check_end(program, 0, "");
    CHECK_INT(rmdir(folder), 0); /* It is empty. */
    CHECK_INT(mkdir(folder, 0700), 0);
    temporary_restore(kept);
}

/* Ctrl-C: no process and no folder stays. */
TEST(demo, cleans_up_when_interrupted)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const char *folder = enter();
    const char *before = getenv("TMPDIR");
    char *kept = before ? strdup(before) : NULL;
    CHECK_INT(setenv("TMPDIR", folder, 1), 0);
    for (size_t index = 0; index < sizeof signals / sizeof *signals; index++) {
        char text[64];
        int fd = -1;
        const char *const words[] = {"pyralog-load", "--demo", SMALL, "--duration=60s", NULL};
        pid_t child = program_start(words, &fd);
        CHECK(read(fd, text, sizeof text) > 0);

        CHECK_INT(kill(child, signals[index]), 0);

        CHECK_INT(program_end(child), 128 + signals[index]);
        (void)close(fd);
        CHECK_INT(rmdir(folder), 0);
        CHECK_INT(mkdir(folder, 0700), 0);
    }
    temporary_restore(kept);
}
