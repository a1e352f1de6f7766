/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/case - the runner behind case.h: it collects the registered tests, runs those whose name
 * holds the first argument (all without one), prints TAP, and removes its folders.
 */
#include "lib/case.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CASES_MAX = 2048, FOLDERS_MAX = 2048 };

static struct case_entry *entries_first;
static char *folders[FOLDERS_MAX];
static size_t folder_count;

void case_register(struct case_entry *entry)
{
    entry->next = entries_first;
    entries_first = entry;
}

bool case_aborts(void (*body)(void *ctx), void *ctx)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null_fd >= 0) {
            (void)dup2(null_fd, STDERR_FILENO);
        }
        (void)signal(SIGABRT, SIG_DFL);
        body(ctx);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    (void)chmod(path, 0700);
    return remove(path);
}

static void remove_folders(void)
{
    for (size_t index = 0; index < folder_count; index++) {
        (void)nftw(folders[index], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(folders[index]);
    }
    folder_count = 0;
}

const char *case_folder(void)
{
    assert_true(folder_count < FOLDERS_MAX);
    const char *base = getenv("TMPDIR");
    char path[512];
    (void)snprintf(path, sizeof path, "%s/pyralog-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    folders[folder_count] = strdup(path);
    assert_non_null(folders[folder_count]);
    return folders[folder_count++];
}

_Noreturn void case_skip(const char *reason)
{
    (void)printf("# SKIP %s\n", reason);
    skip();
    abort();
}

int main(int argument_count, char **arguments)
{
    static struct CMUnitTest tests[CASES_MAX];
    size_t test_count = 0;
    const char *filter = argument_count > 1 ? arguments[1] : "";
    for (struct case_entry *entry = entries_first; entry; entry = entry->next) {
        if (strstr(entry->name, filter) && test_count < CASES_MAX) {
            tests[test_count++] = (struct CMUnitTest){.name = entry->name, .test_func = entry->run};
        }
    }
    if (test_count == 0) {
        (void)fprintf(stderr, "no test matches '%s'\n", filter);
        return 2;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = _cmocka_run_group_tests("cases", tests, test_count, NULL, NULL);
    remove_folders();
    return failed == 0 ? 0 : 1;
}
