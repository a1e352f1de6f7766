/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyralog-sim as a user runs it: cli/sim.c, cli/sim_one.c, cli/sim_sweep.c, cli/sim_crew.c,
 * cli/sim_report.c and what they stand on.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/case.h"
#include "program.h"

/* Little work for a seed: a few batches, no faults wanted. */
#define LIGHT "--acknowledged-wanted=50", "--faults-wanted=2", "--trouble-max=2s"

/* A network slower than every timeout: nobody is ever elected, which is a violation. */
#define HOPELESS "--link-min=20s", "--link-max=20s", "--trouble-max=1s"

enum { WORDS_MAX = 128 };

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

/* Check that the last line of @text is @line. */
static void check_last(const char *text, const char *line)
{
    size_t bytes = strlen(text);
    CHECK(bytes > 1 && text[bytes - 1] == '\n');
    size_t first = bytes - 1;
    while (first > 0 && text[first - 1] != '\n') {
        first--;
    }
    char last[1024];
    (void)snprintf(last, sizeof last, "%.*s", (int)(bytes - 1 - first), text + first);
    CHECK_TEXT(last, line);
}

/* Return what @text has between @begin and the end of that line. */
static const char *value_after(const char *text, const char *begin, char *room, size_t room_bytes)
{
    const char *at = strstr(text, begin);
    CHECK(at != NULL);
    at += strlen(begin);
    (void)snprintf(room, room_bytes, "%.*s", (int)strcspn(at, "\n"), at);
    return room;
}

static void file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_INT(fclose(file), 0);
}

/* Read the file at @path; NULL if there is none. Gives: free. */
static char *file_read(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        return NULL;
    }
    char *text = calloc(1, PROGRAM_TEXT_BYTES);
    CHECK(text != NULL);
    CHECK(fread(text, 1, PROGRAM_TEXT_BYTES - 1, file) < PROGRAM_TEXT_BYTES);
    (void)fclose(file);
    return text;
}

/* -- What was typed -- */

/* A slip of the finger must not become a run of something else. */
TEST(sim, refuses_what_makes_no_sense)
{
    check_end(PROGRAM("pyralog-sim"), 2, "--seed=N or --seeds=A-B is missing");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--seeds=1-2"), 2, "give one of them");
    check_end(PROGRAM("pyralog-sim", "--sed=1"), 2,
              "pyralog-sim: unknown option '--sed', did you mean '--seed'?\n");
    check_end(PROGRAM("pyralog-sim", "--seeds=5-2"), 2, "'5-2' ends before it begins");
    check_end(PROGRAM("pyralog-sim", "--seeds=5"), 2, "write A-B, such as 1-2000");
    check_end(PROGRAM("pyralog-sim", "--seeds=1-x"), 2, "--seeds: 'x' is not");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--nodes=8"), 2, "--nodes: '8' is above 7");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--nodes=3", "--write-quorum", "4"), 2,
              "--write-quorum is above --nodes");
    check_end(
        PROGRAM("pyralog-sim", "--seed=1", "--nodes=3", "--write-quorum=1", "--read-quorum=1"), 2,
        "raise one of them");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--link-min=1s", "--link-max=1ms"), 2,
              "--link-min is above --link-max");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--timeout=10"), 2, "'10' has no unit");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--resume=x"), 2, "leave --jobs, --resume");
    check_end(PROGRAM("pyralog-sim", "--seeds=1-2", "--history"), 2, "are for one --seed");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--weight-crash=-1"), 2, "--weight-crash: '-1'");
    check_end(PROGRAM("pyralog-sim", "--seed=1", "--config=/nowhere"), 1,
              "--config: open '/nowhere'");
}

/* -- One seed -- */

/* Run @text, a command over several lines as pyralog-sim prints it. */
static struct program *command_run(char *text)
{
    const char *words[WORDS_MAX + 1];
    size_t count = 0;
    char *rest = text;
    while (*rest && count < WORDS_MAX) {
        rest += strspn(rest, " \\\n");
        size_t bytes = strcspn(rest, " \\\n");
        if (bytes > 0) {
            words[count++] = rest;
        }
        rest += bytes;
        *rest = '\0';
        rest += 1;
    }
    words[count] = NULL;
    return program_run(words);
}

/* A command that is printed with a violation is all that another person needs. */
TEST(sim_one, prints_a_command_that_repeats_the_run)
{
    char hash[64];
    char again[64];
    char *text = calloc(1, PROGRAM_TEXT_BYTES);
    struct program *first = PROGRAM("pyralog-sim", "--seed=7", LIGHT, "--nodes=5", "--delay=30");
    const char *begin = strstr(first->out, "pyralog-sim --seed=7 --nodes=5 ");
    const char *end = begin ? strstr(begin, "\n  acknowledged") : NULL;
    CHECK(end != NULL);
    (void)snprintf(text, PROGRAM_TEXT_BYTES, "%.*s ", (int)(end - begin), begin);

    struct program *second = command_run(text);

    check_contains(first->out, " --delay=30 ");
    CHECK_TEXT(value_after(second->out, "\nhash ", again, sizeof again),
               value_after(first->out, "\nhash ", hash, sizeof hash));
    CHECK(strstr(second->out, "\n[") == NULL);
    check_last(second->out, "1 seed, 0 counted, no violation");
    check_end(first, 0, "");
    check_end(second, 0, "");
    free(text);
}

/* The history says what happened to which replica; a run that fails shows it unasked. */
TEST(sim_one, tells_the_history)
{
    struct program *program = PROGRAM("pyralog-sim", "--seed=3", LIGHT, "--nodes=3", "--history");
    check_contains(program->out, "node 1 is up");
    check_contains(program->out, ": leads");
    check_contains(program->out, "| 3 F ");
    CHECK(strstr(program->out, " sent: ") == NULL);
    check_end(program, 0, "");

    program = PROGRAM("pyralog-sim", "--seed=3", LIGHT, "--history", "--letters");
    check_contains(program->out, " sent: ");
    check_end(program, 0, "");

    program = PROGRAM("pyralog-sim", "--seed=3", HOPELESS);
    check_contains(program->out, "node 1 is up");
    check_contains(program->out, "\nseed 3: the core does not come to agree\n");
    check_last(program->out, "1 of 1 seed violated: 3");
    check_end(program, 1, "");
}

/* A run that never ends must not end the sweep's usefulness. */
TEST(sim_one, gives_up_a_seed_that_takes_too_long)
{
    struct program *program = PROGRAM("pyralog-sim", "--seeds=1-1", "--patience=300ms",
                                      "--acknowledged-wanted=1000000", "--trouble-max=1000h");

    check_contains(program->out, "seed 1: it took longer than --patience\n");
    check_last(program->out, "1 of 1 seed violated: 1");
    check_end(program, 1, "");
}

/* The quorums of a user's own configuration are those that are tried. */
TEST(sim_one, takes_quorums_from_a_configuration)
{
    CHECK_INT(chdir(case_folder()), 0);
    file_write("own.json", "{\"replication\": {\"quorum\": {\"replication_factor\": 5, // five\n"
                           "\"write_quorum\": 4, \"read_quorum\": 2}}}\n");
    file_write("bad.json", "{\"replication\": {\"quorum\": {\"write_quorom\": 4}}}\n");

    struct program *program = PROGRAM("pyralog-sim", "--seed=1", LIGHT, "--config=own.json");
    check_contains(program->out, "--nodes=5 --write-quorum=4 --read-quorum=2 ");
    check_end(program, 0, "");

    program = PROGRAM("pyralog-sim", "--seed=1", LIGHT, "--config=own.json", "--write-quorum=5");
    check_contains(program->out, "--nodes=5 --write-quorum=5 --read-quorum=2 ");
    check_end(program, 0, "");

    check_end(PROGRAM("pyralog-sim", "--seed=1", "--config=bad.json"), 2, "write_quorom");
}

/* -- Sweeps -- */

/* The last line is what a script reads. */
TEST(sim_sweep, ends_with_its_verdict)
{
    CHECK_INT(chdir(case_folder()), 0);

    struct program *program =
        PROGRAM("pyralog-sim", "--seeds=98-103", LIGHT, "--results=page.md", "--jobs=2");

    check_contains(program->out, "\n1 seeds were run twice;");
    check_last(program->out, "6 seeds, 0 counted, no violation");
    check_end(program, 0, "");
    char *page = file_read("page.md");
    check_contains(page, "| verdict | **6 seeds, 0 counted, no violation** |\n");
    check_contains(page, "| command | `pyralog-sim --seeds=98-103 --acknowledged-wanted=50 "
                         "--faults-wanted=2 --trouble-max=2s` |\n");
    check_contains(page, "| seeds done | 98-103 |\n");
    check_contains(page, "## Events of a seed\n");
    free(page);
}

/* One bad seed of many is named, told, and changes the exit status. */
TEST(sim_sweep, names_the_seeds_that_violate)
{
    struct program *program = PROGRAM("pyralog-sim", "--seeds=3-5", HOPELESS);

    check_contains(program->out, "seed 4: the core does not come to agree\n");
    check_contains(program->out, "\npyralog-sim --seed=3 --nodes=");
    check_contains(program->out, "node 1 is up");
    check_last(program->out, "3 of 3 seeds violated: 3, 4, 5");
    check_end(program, 1, "");
}

/* -- Going on -- */

/* Return how many seeds the file @path says are done, 0 if there is none yet. */
static long done_of(const char *path)
{
    char *text = file_read(path);
    long done = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += line[0] == '\n' ? 1 : 0;
        if (strncmp(line, "done ", 5) == 0) {
            char *end = NULL;
            long first = strtol(line + 5, &end, 10);
            done += strtol(end, NULL, 10) - first + 1;
        }
    }
    free(text);
    return done;
}

/* Start a long sweep that keeps what it does, end it by @number after a few seeds; return its exit
 * status. */
static int sweep_end_by(int number)
{
    const char *const words[] = {"pyralog-sim",   "--seeds=1-1000000", LIGHT,
                                 "--resume=kept", "--quiet",           NULL};
    int fd = -1;
    pid_t child = program_start(words, &fd);
    char text[256];
    CHECK(read(fd, text, sizeof text) > 0); /* It has begun. */
    if (number == SIGKILL) {
        while (done_of("kept") == 0) {
            CHECK(usleep(20000) == 0);
        }
    }
    CHECK_INT(kill(child, number), 0);
    while (read(fd, text, sizeof text) > 0) {
    }
    (void)close(fd);
    return program_end(child);
}

/* What a sweep of hours has done must not be lost with it. */
TEST(sim_resume, goes_on_after_a_kill)
{
    CHECK_INT(chdir(case_folder()), 0);

    CHECK_INT(sweep_end_by(SIGKILL), 128 + SIGKILL);
    long killed = done_of("kept");
    CHECK(killed > 0);
    CHECK_INT(sweep_end_by(SIGINT), 1);
    long interrupted = done_of("kept");
    CHECK(interrupted >= killed);

    /* The same seeds once in parts, once in one go: the same sums. */
    CHECK_INT(unlink("kept"), 0);
    check_end(PROGRAM("pyralog-sim", "--seeds=1-3", LIGHT, "--resume=kept"), 0, "");
    struct program *program = PROGRAM("pyralog-sim", "--seeds=1-9", LIGHT, "--resume=kept");
    check_contains(program->out, "\n3 of them are done already\n");
    check_last(program->out, "9 seeds, 0 counted, no violation");
    check_end(program, 0, "");
    check_end(PROGRAM("pyralog-sim", "--seeds=1-9", LIGHT, "--resume=once"), 0, "");
    char *parts = file_read("kept");
    char *once = file_read("once");
    CHECK(parts && once && strstr(parts, "\ncount "));
    CHECK_TEXT(strstr(parts, "\ncount "), strstr(once, "\ncount "));
    free(parts);
    free(once);
}

/* A Ctrl-C is not a failure of the program: it says how far it came. */
TEST(sim_resume, says_that_it_was_interrupted)
{
    CHECK_INT(chdir(case_folder()), 0);
    const char *const words[] = {"pyralog-sim", "--seeds=1-1000000", LIGHT, NULL};
    int fd = -1;
    pid_t child = program_start(words, &fd);
    char text[4096];
    size_t count = 0;
    ssize_t more = read(fd, text, sizeof text - 1);
    CHECK(more > 0);
    CHECK_INT(kill(child, SIGINT), 0);
    while (more > 0 && count + (size_t)more < sizeof text - 1) {
        count += (size_t)more;
        more = read(fd, text + count, sizeof text - 1 - count);
    }
    text[count] = '\0';
    (void)close(fd);

    CHECK_INT(program_end(child), 1);
    check_contains(text, "\ninterrupted: ");
    check_contains(text, " of 1000000 seeds, ");
}

/* Seeds of other builds, or with other options, prove nothing together with these. */
TEST(sim_resume, refuses_what_does_not_belong_together)
{
    CHECK_INT(chdir(case_folder()), 0);
    check_end(PROGRAM("pyralog-sim", "--seeds=4-5", LIGHT, "--resume=kept"), 0, "");

    check_end(PROGRAM("pyralog-sim", "--seeds=4-5", "--resume=kept"), 2,
              "is of another set of options");
    check_end(PROGRAM("pyralog-sim", "--seeds=5-9", LIGHT, "--resume=kept"), 2,
              "holds seeds outside of --seeds=5-9");
    file_write("other", "pyralog-sim resume 1\nbuild 0.0.0 0123456789ab\noptions\nend\n");
    check_end(PROGRAM("pyralog-sim", "--seeds=4-5", "--resume=other"), 2,
              "is of another build ('0.0.0 0123456789ab', this is '0.");
    file_write("none", "hello\n");
    check_end(PROGRAM("pyralog-sim", "--seeds=4-5", "--resume=none"), 2,
              "'none', line 1: this is not what pyralog-sim wrote");
    check_end(PROGRAM("pyralog-sim", "--seeds=4-5", "--resume=no/folder"), 1, "create");
}
