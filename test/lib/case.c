/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/case - the runner behind case.h: it runs the registered tests one by one and prints TAP.
 *
 *   usage: PROGRAM [--list] [PART-OF-NAME]
 *
 * cmocka runs each test as a group of its own, and what it and the test print meanwhile is caught
 * in a memory file. So the runner can write the lines that TAP asks for, where cmocka's own say
 * "not ok" for a skipped test and name no reason:
 *
 *   1..3
 *   # run 1 - wal_append_keeps_order          (so that a crash names its test)
 *   ok 1 - wal_append_keeps_order
 *   ok 2 - real_disk_is_flushed # SKIP no loop device here
 *   # 0x2 != 0x3, test_wal.c:17: error: Failure!
 *   not ok 3 - wal_append_counts_bytes
 *
 * Exit: 0 all passed or skipped, 1 some failed, 2 no such test.
 */
#include "lib/case.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FOLDERS_MAX = 256, LINE_BYTES_MAX = 4096 };

#define SKIP_MARK "# SKIP "

static struct case_entry *entries_first;
static struct case_entry **entries_end = &entries_first;
static char *folders[FOLDERS_MAX];
static size_t folder_count;

void case_register(struct case_entry *entry)
{
    *entries_end = entry;
    entries_end = &entry->next;
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
    int count = snprintf(path, sizeof path, "%s/pyralog-test-XXXXXX", base ? base : "/tmp");
    assert_true(count > 0 && (size_t)count < sizeof path);
    assert_non_null(mkdtemp(path));
    folders[folder_count] = strdup(path);
    assert_non_null(folders[folder_count]);
    return folders[folder_count++];
}

static unsigned long percent_wanted(void)
{
    const char *text = getenv("PYRALOG_TEST_PERCENT");
    return text ? strtoul(text, NULL, 10) : 100;
}

uint64_t case_scale(uint64_t count)
{
    unsigned long percent = percent_wanted();
    uint64_t scaled = count / 100 * percent + count % 100 * percent / 100;
    return scaled > 0 ? scaled : 1;
}

uint64_t case_step(void)
{
    unsigned long percent = percent_wanted();
    return percent == 0 || percent > 50 ? 1 : 100 / percent;
}

_Noreturn void case_skip(const char *reason)
{
    (void)printf(SKIP_MARK "%s\n", reason);
    skip();
    abort();
}

/* Send stdout into @memory_fd and return where it went before. */
static int catch_output(int memory_fd)
{
    (void)fflush(stdout);
    int kept_fd = dup(STDOUT_FILENO);
    if (kept_fd < 0 || ftruncate(memory_fd, 0) != 0 || lseek(memory_fd, 0, SEEK_SET) != 0 ||
        dup2(memory_fd, STDOUT_FILENO) < 0) {
        abort();
    }
    return kept_fd;
}

/* Undo catch_output. */
static void release_output(int kept_fd)
{
    (void)fflush(stdout);
    if (dup2(kept_fd, STDOUT_FILENO) < 0) {
        abort();
    }
    (void)close(kept_fd);
}

/* Return whether @line is one that cmocka prints about its group of one test. */
static bool is_group_line(const char *line)
{
    return strcmp(line, "1..1\n") == 0 || strncmp(line, "ok 1 ", 5) == 0 ||
           strncmp(line, "not ok 1 ", 9) == 0 || strcmp(line, "ok - case\n") == 0 ||
           strcmp(line, "not ok - case\n") == 0;
}

/* Print what the test wrote, as TAP comments, and keep the reason of a skip in @reason. */
static bool print_caught(int memory_fd, char *reason, size_t reason_bytes_max)
{
    bool is_skipped = false;
    int copy_fd = dup(memory_fd);
    FILE *caught = copy_fd >= 0 && lseek(copy_fd, 0, SEEK_SET) == 0 ? fdopen(copy_fd, "r") : NULL;
    if (!caught) {
        abort();
    }
    static char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof line, caught)) {
        if (strncmp(line, SKIP_MARK, strlen(SKIP_MARK)) == 0) {
            is_skipped = true;
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(reason, reason_bytes_max, "%s", line + strlen(SKIP_MARK));
        } else if (!is_group_line(line)) {
            const char *end = strchr(line, '\n') ? "" : "\n";
            (void)printf("%s%s%s", line[0] == '#' ? "" : "# ", line, end);
        }
    }
    (void)fclose(caught);
    return is_skipped;
}

/* Run one test and print its line; return whether it did not fail. */
static bool run_case(const struct case_entry *entry, size_t number, int memory_fd)
{
    char reason[256] = "";
    const struct CMUnitTest test = {.name = entry->name, .test_func = entry->run};
    (void)printf("# run %zu - %s\n", number, entry->name);

    int kept_fd = catch_output(memory_fd);
    int failed = _cmocka_run_group_tests("case", &test, 1, NULL, NULL);
    release_output(kept_fd);
    remove_folders();

    bool is_skipped = print_caught(memory_fd, reason, sizeof reason);
    (void)printf("%sok %zu - %s%s%s\n", failed == 0 ? "" : "not ", number, entry->name,
                 failed == 0 && is_skipped ? " # SKIP " : "",
                 failed == 0 && is_skipped ? reason : "");
    (void)fflush(stdout);
    return failed == 0;
}

static size_t count_matches(const char *filter, bool is_listing)
{
    size_t count = 0;
    for (struct case_entry *entry = entries_first; entry; entry = entry->next) {
        if (!strstr(entry->name, filter)) {
            continue;
        }
        count++;
        if (is_listing) {
            (void)puts(entry->name);
        }
    }
    return count;
}

int main(int argument_count, char **arguments)
{
    bool is_listing = argument_count > 1 && strcmp(arguments[1], "--list") == 0;
    int filter_index = is_listing ? 2 : 1;
    const char *filter = argument_count > filter_index ? arguments[filter_index] : "";
    size_t match_count = count_matches(filter, is_listing);
    if (match_count == 0) {
        (void)fprintf(stderr, "no test matches '%s'\n", filter);
        return 2;
    }
    if (is_listing) {
        return 0;
    }

    int memory_fd = memfd_create("caught", MFD_CLOEXEC);
    if (memory_fd < 0) {
        perror("memfd_create");
        return 1;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)printf("1..%zu\n", match_count);
    size_t number = 0;
    size_t failed_count = 0;
    for (struct case_entry *entry = entries_first; entry; entry = entry->next) {
        if (strstr(entry->name, filter) && !run_case(entry, ++number, memory_fd)) {
            failed_count++;
        }
    }
    return failed_count == 0 ? 0 : 1;
}
