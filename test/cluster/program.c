/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/program - fork, exec, and two temporary files for what it prints.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/case.h"

/* Replace this process by the program. */
static void program_become(const char *const *words)
{
    (void)signal(SIGHUP, SIG_DFL); /* Also where the suite was started to outlive a hang-up. */
    const char *folder = getenv("PYRALOG_PROGRAMS");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", words[0]);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);

    union {
        const char *const *in;
        char *const *out;
    } both = {.in = words};

    (void)execv(path, both.out);
    (void)fprintf(stderr, "exec '%s': %s\n", path, strerror(errno));
    _exit(127);
}

int program_end(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        CHECK_INT(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Read what stands in @file into @text, which it must fit. */
static void text_take(FILE *file, char *text)
{
    rewind(file);
    size_t count = fread(text, 1, PROGRAM_TEXT_BYTES - 1, file);
    text[count] = '\0';
    (void)fclose(file);
}

struct program *program_run(const char *const *words)
{
    struct program *program = calloc(1, sizeof *program);
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    CHECK(program && out && err);

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(fileno(out), STDOUT_FILENO);
        (void)dup2(fileno(err), STDERR_FILENO);
        program_become(words);
    }
    program->status = program_end(child);
    text_take(out, program->out);
    text_take(err, program->err);
    return program;
}

pid_t program_start(const char *const *words, int *ret_fd)
{
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        program_become(words);
    }
    (void)close(ends[1]);
    *ret_fd = ends[0];
    return child;
}
