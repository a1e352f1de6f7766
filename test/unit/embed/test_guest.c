/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_guest - the library is a guest in the program: it changes nothing that is not its own.
 *
 * Each test looks at the process from outside, through the kernel, before, while and after a store
 * is at work. The tests fork with stores open, which a thread sanitizer does not like: this file is
 * a runner of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embed_case.h"

enum { SIGNALS = 64, LIMITS = RLIM_NLIMITS, TEXT_BYTES = 64 };

/* Work a store in every way: append, read, wait, roll segments, delete, sync, close, open again. */
static void work(const char *folder)
{
    struct pyr_log_options options;
    pyr_log_options_init(&options);
    options.segment_max_size = 64 << 10;
    struct pyr_log *log = embed_open(folder, &options);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    embed_append_numbered(log, stat.offset_end, 50);
    static char data[8000];
    memset(data, 'd', sizeof data);
    struct pyr_error error;
    struct pyr_receipt receipt = {0};
    for (int index = 0; index < 40; index++) {
        const struct pyr_record record = {.value = data, .value_bytes = sizeof data};
        CHECK_OK(pyr_log_append_start(log, &record, 1, &receipt, &error), error);
    }
    CHECK_OK(pyr_log_wait(log, receipt.offset_end, -1, &error), error);
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    while (pyr_reader_next(reader, 1, &record, &error) == PYR_OK) {
    }
    pyr_reader_close(reader);
    CHECK_OK(pyr_log_sync(log, &error), error);
    CHECK_OK(pyr_log_delete_before(log, receipt.offset_end, &error), error);
    pyr_log_close(log);
}

/* -- Signals -- */

/* Return the value of the line "@key:" of the status of task @task, as a hexadecimal number. */
static uint64_t task_mask(const char *task, const char *key)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    char line[256];
    uint64_t mask = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            mask = strtoull(line + strlen(key) + 1, NULL, 16);
        }
    }
    (void)fclose(file);
    return mask;
}

/* A signal that the program waits for must not land in a thread of the library. */
TEST(guest, threads_block_every_signal)
{
    /* All but those that cannot be blocked, and the two that the C library keeps for itself. */
    const uint64_t kept = UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1) |
                          UINT64_C(1) << 31 | UINT64_C(1) << 32;
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    embed_append_numbered(log, 0, 20);
    char self[16];
    (void)snprintf(self, sizeof self, "%ld", (long)getpid());
    int threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);

    for (struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        if (task->d_name[0] == '.' || strcmp(task->d_name, self) == 0) {
            continue;
        }
        threads++;
        CHECK_INT(task_mask(task->d_name, "SigBlk:") | kept, UINT64_MAX);
    }

    (void)closedir(tasks);
    CHECK(threads > 0);
    pyr_log_close(log);
}

/* No handler is installed, no disposition changed, and the caller's own mask is as before. */
TEST(guest, leaves_the_signals_of_the_program_alone)
{
    static struct sigaction before[SIGNALS + 1];
    sigset_t mask_before;
    memset(before, 0, sizeof before);
    for (int number = 1; number <= SIGNALS; number++) {
        (void)sigaction(number, NULL, &before[number]);
    }
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &mask_before), 0);
    const char *folder = embed_path(case_folder(), "data");

    work(folder);
    struct pyr_log *log = embed_open(folder, NULL);

    for (int number = 1; number <= SIGNALS; number++) {
        struct sigaction after = {0};
        (void)sigaction(number, NULL, &after);
        CHECK(after.sa_handler == before[number].sa_handler);
        CHECK_INT(after.sa_flags, before[number].sa_flags);
    }
    sigset_t mask_after;
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &mask_after), 0);
    for (int number = 1; number <= SIGNALS; number++) {
        CHECK_INT(sigismember(&mask_after, number), sigismember(&mask_before, number));
    }
    pyr_log_close(log);
}

static volatile sig_atomic_t interruptions;

static void on_signal(int number)
{
    (void)number;
    interruptions++;
}

/* A program with a busy timer: calls that are interrupted go on, and nothing is lost. */
TEST(guest, goes_on_when_the_program_is_interrupted)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    const struct sigaction action = {.sa_handler = on_signal}; /* Without SA_RESTART. */
    struct sigaction before;
    CHECK_INT(sigaction(SIGALRM, &action, &before), 0);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    CHECK_INT(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    const struct itimerspec often = {.it_interval = {.tv_nsec = 200000},
                                     .it_value = {.tv_nsec = 200000}};
    CHECK_INT(timer_settime(timer, 0, &often, NULL), 0);

    embed_append_numbered(log, 0, 300);
    embed_expect_numbered(log, 0, 300);
    struct pyr_reader *reader = NULL;
    struct pyr_record record;
    struct pyr_error error;
    CHECK_OK(pyr_reader_open(log, PYR_READ_END, &reader, &error), error);
    CHECK_ERR(pyr_reader_next(reader, 20, &record, &error), PYR_ERR_TIMEOUT, error);

    CHECK_INT(timer_delete(timer), 0);
    CHECK_INT(sigaction(SIGALRM, &before, NULL), 0);
    CHECK(interruptions > 10);
    pyr_reader_close(reader);
    pyr_log_close(log);
}

/* -- What belongs to the whole process -- */

/* Umask, limits, locale, folder and environment are the program's. */
TEST(guest, leaves_the_process_as_it_was)
{
    const mode_t mask = 0123;
    mode_t mask_before = umask(mask);
    struct rlimit limits[LIMITS];
    for (int which = 0; which < LIMITS; which++) {
        CHECK_INT(getrlimit((__rlimit_resource_t)which, &limits[which]), 0);
    }
    char folder_before[512];
    char folder_after[512];
    CHECK(getcwd(folder_before, sizeof folder_before) != NULL);
    char *locale_before = strdup(setlocale(LC_ALL, NULL)); /* It only asks. */
    CHECK(locale_before != NULL);

    work(embed_path(case_folder(), "data"));

    CHECK_INT(umask(mask_before), mask);
    for (int which = 0; which < LIMITS; which++) {
        struct rlimit limit;
        CHECK_INT(getrlimit((__rlimit_resource_t)which, &limit), 0);
        CHECK_INT(limit.rlim_cur, limits[which].rlim_cur);
        CHECK_INT(limit.rlim_max, limits[which].rlim_max);
    }
    CHECK(getcwd(folder_after, sizeof folder_after) != NULL);
    CHECK_TEXT(folder_after, folder_before);
    CHECK_TEXT(setlocale(LC_ALL, NULL), locale_before);
    free(locale_before);
}

static int open_files(void)
{
    int count = 0;
    DIR *files = opendir("/proc/self/fd");
    CHECK(files != NULL);
    while (readdir(files)) {
        count++;
    }
    (void)closedir(files);
    return count;
}

static int threads_of_process(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        count += task->d_name[0] != '.';
    }
    (void)closedir(tasks);
    return count;
}

/* When the store is closed, its files and its threads are gone; so are those of a failed open. */
TEST(guest, leaves_neither_files_nor_threads_behind)
{
    const char *folder = embed_path(case_folder(), "data");
    work(folder);
    int files = open_files();
    struct pyr_error error;
    struct pyr_log *log = NULL;

    for (int round = 0; round < 5; round++) {
        work(folder);
        CHECK(pyr_log_open("/dev/null/data", NULL, &log, &error) != PYR_OK);
        CHECK(pyr_log_open("/proc", NULL, &log, &error) != PYR_OK);
    }

    CHECK_INT(open_files(), files);
    /* The kernel's own threads for io_uring take a moment to leave. */
    for (int64_t waited_ms = 0; threads_of_process() > 1 && waited_ms < PATIENCE_MS; waited_ms++) {
        (void)usleep(1000);
    }
    CHECK_INT(threads_of_process(), 1);
}

/* Files that a store has open are closed when the program runs another one. */
TEST(guest, closes_its_files_on_exec)
{
    struct pyr_log *log = embed_open(embed_path(case_folder(), "data"), NULL);
    embed_append_numbered(log, 0, 3);

    for (int fd = 3; fd < 64; fd++) {
        char path[64];
        char target[512] = "";
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t count = readlink(path, target, sizeof target - 1);
        bool is_ours = count > 0 && (strstr(target, "pyralog-test-") ||
                                     strstr(target, "io_uring") || strstr(target, "eventfd"));
        if (is_ours) {
            CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        }
    }

    pyr_log_close(log);
}

/* Nothing is printed: not when it works, not when it fails. */
TEST(guest, prints_nothing)
{
    int catcher = memfd_create("printed", MFD_CLOEXEC);
    CHECK(catcher >= 0);
    const char *folder = embed_path(case_folder(), "data");
    (void)fflush(NULL);
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    CHECK(out >= 0 && err >= 0);
    CHECK(dup2(catcher, STDOUT_FILENO) >= 0 && dup2(catcher, STDERR_FILENO) >= 0);

    work(folder);
    struct pyr_error error;
    struct pyr_log *log = NULL;
    enum pyr_err failed = pyr_log_open("/dev/null/data", NULL, &log, &error);

    (void)fflush(NULL);
    CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    (void)close(out);
    (void)close(err);
    CHECK(failed != PYR_OK);
    struct stat info;
    CHECK_INT(fstat(catcher, &info), 0);
    CHECK_INT(info.st_size, 0);
    (void)close(catcher);
}

static void work_closed(void *ctx)
{
    (void)close(STDIN_FILENO);
    (void)close(STDERR_FILENO);
    work(ctx);
    work(ctx);
    (void)printf("done\n");
}

/* A daemon without stdin or stderr: a store's files may get the numbers 0 and 2. */
TEST(guest, works_with_closed_streams)
{
    const char *folder = embed_path(case_folder(), "data");
    pid_t child = 0;
    FILE *stream = embed_child(work_closed, bytes_of(folder), &child);

    char line[TEXT_BYTES] = "";
    CHECK(fgets(line, sizeof line, stream) != NULL);

    CHECK_TEXT(line, "done\n");
    (void)fclose(stream);
    CHECK_INT(embed_reap(child), 0);
}

/* -- Forking -- */

struct forked {
    struct pyr_store *store;
    struct pyr_log *log;
    struct pyr_reader *reader;
};

/* Try every call in the child, and print what they returned. */
static void try_all(void *ctx)
{
    const struct forked *forked = ctx;
    struct pyr_record record = {.value = "c", .value_bytes = 1};
    struct pyr_receipt receipt;
    struct pyr_error error;
    struct pyr_log *log = NULL;
    struct pyr_reader *reader = NULL;
    struct pyr_position position;
    struct pyr_log_stat stat;
    const void *data = NULL;
    size_t count = 0;

    const enum pyr_err results[] = {
        pyr_log_append(forked->log, &record, &receipt, &error),
        pyr_log_append_batch(forked->log, &record, 1, &receipt, &error),
        pyr_log_append_start(forked->log, &record, 1, &receipt, &error),
        pyr_log_wait(forked->log, 1, -1, &error),
        pyr_log_sync(forked->log, &error),
        pyr_log_delete_before(forked->log, 1, &error),
        pyr_log_find_time(forked->log, 1, &position, &error),
        pyr_store_log(forked->store, "other", 0, NULL, &log, &error),
        pyr_reader_open(forked->log, 0, &reader, &error),
        pyr_reader_seek(forked->reader, 0, &error),
        pyr_reader_next(forked->reader, -1, &record, &error),
        pyr_reader_next_bytes(forked->reader, -1, &data, &count, &error),
    };

    pyr_log_stat(forked->log, &stat);
    (void)pyr_reader_position(forked->reader);
    pyr_reader_close(forked->reader);
    pyr_log_close(forked->log);
    pyr_store_close(forked->store);
    for (size_t index = 0; index < sizeof results / sizeof results[0]; index++) {
        (void)printf("%s\n", pyr_err_name(results[index]));
    }
}

/* Calls in a forked child are errors, closing there does nothing, and the parent goes on. */
TEST(guest, refuses_calls_in_a_forked_child)
{
    const char *folder = embed_path(case_folder(), "data");
    struct forked forked = {.store = embed_open_store(folder)};
    struct pyr_error error;
    CHECK_OK(pyr_store_log(forked.store, "orders", 0, NULL, &forked.log, &error), error);
    embed_append_numbered(forked.log, 0, 5);
    CHECK_OK(pyr_reader_open(forked.log, 0, &forked.reader, &error), error);
    embed_expect(forked.reader, 0, "record 0");
    pid_t child = 0;

    FILE *stream = embed_child(try_all, &forked, &child);

    char line[TEXT_BYTES];
    for (int index = 0; index < 12; index++) {
        CHECK(fgets(line, sizeof line, stream) != NULL);
        CHECK_TEXT(line, "PYR_ERR_FORKED\n");
    }
    (void)fclose(stream);
    CHECK_INT(embed_reap(child), 0);
    embed_append_numbered(forked.log, 5, 20); /* The parent never noticed. */
    embed_expect(forked.reader, 1, "record 1");
    embed_expect_numbered(forked.log, 0, 25);
    pyr_reader_close(forked.reader);
    pyr_log_close(forked.log);
    pyr_store_close(forked.store);
    forked.store = embed_open_store(folder);
    CHECK_OK(pyr_store_log(forked.store, "orders", 0, NULL, &forked.log, &error), error);
    embed_expect_numbered(forked.log, 0, 25);
    pyr_log_close(forked.log);
    pyr_store_close(forked.store);
}

struct hammer {
    struct pyr_log *log;
    volatile bool is_over;
    int64_t appended;
};

static void *append_until_over(void *ctx)
{
    struct hammer *hammer = ctx;
    const struct pyr_record record = {.value = "x", .value_bytes = 1};
    while (!hammer->is_over && pyr_log_append(hammer->log, &record, NULL, NULL) == PYR_OK) {
        hammer->appended++;
    }
    return NULL;
}

static void ask_once(void *ctx)
{
    const struct pyr_record record = {.value = "c", .value_bytes = 1};
    struct hammer *hammer = ctx;
    struct pyr_log_stat stat;
    enum pyr_err err = pyr_log_append(hammer->log, &record, NULL, NULL);
    pyr_log_stat(hammer->log, &stat);
    pyr_log_close(hammer->log);
    _exit(err == PYR_ERR_FORKED ? 0 : 1);
}

/* A fork while another thread holds the store's lock: the child's copy stays locked for ever, and
 * yet no call of the child may hang. */
TEST(guest, hangs_no_child_that_was_forked_in_the_middle)
{
    struct pyr_log_options options;
    embed_log_options(&options, PYR_SYNC_OS);
    struct hammer hammer = {.log = embed_open(embed_path(case_folder(), "data"), &options)};
    pthread_t threads[2];
    for (int index = 0; index < 2; index++) {
        CHECK_INT(pthread_create(&threads[index], NULL, append_until_over, &hammer), 0);
    }

    for (int round = 0; round < 100; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            ask_once(&hammer);
        }
        int status = 0;
        int64_t waited_ms = 0;
        while (waitpid(child, &status, WNOHANG) == 0 && waited_ms++ < 10000) {
            (void)usleep(1000);
        }
        if (waited_ms > 10000) {
            (void)kill(child, SIGKILL);
        }
        CHECK(waited_ms <= 10000);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }

    hammer.is_over = true;
    for (int index = 0; index < 2; index++) {
        CHECK_INT(pthread_join(threads[index], NULL), 0);
    }
    pyr_log_close(hammer.log);
}

/* -- Limits of the process -- */

enum { FILE_BYTES_MAX = 3 << 20, LARGE_BYTES = 100000 };

/* Append until the limit is met; then see that reads go on, and that appends do when it is lifted.
 */
static void fill_up(void *ctx)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit low = {.rlim_cur = FILE_BYTES_MAX, .rlim_max = limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &low), 0);
    CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR); /* It would end the program. */
    struct pyr_log *log = embed_open(ctx, NULL);
    char *data = malloc(LARGE_BYTES);
    CHECK(data != NULL);
    memset(data, 'f', LARGE_BYTES);
    const struct pyr_record record = {.value = data, .value_bytes = LARGE_BYTES};
    struct pyr_error error;
    enum pyr_err err = PYR_OK;
    int64_t appended = 0;
    while (err == PYR_OK && appended < 1000) {
        err = pyr_log_append(log, &record, NULL, &error);
        appended += err == PYR_OK;
    }
    (void)printf("%s after %" PRId64 "\n", pyr_err_name(err), appended);
    struct pyr_reader *reader = NULL;
    struct pyr_record read;
    CHECK_OK(pyr_reader_open(log, PYR_READ_FIRST, &reader, &error), error);
    for (int64_t offset = 0; offset < appended; offset++) {
        CHECK_OK(pyr_reader_next(reader, 0, &read, &error), error);
        CHECK_INT(read.offset, offset);
    }
    pyr_reader_close(reader);

    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int64_t waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 10) {
        err = pyr_log_append(log, &record, NULL, &error);
        if (err != PYR_ERR_DISK_FULL) {
            break;
        }
        (void)usleep(10000);
    }
    CHECK_OK(err, error);
    struct pyr_log_stat stat;
    pyr_log_stat(log, &stat);
    CHECK_INT(stat.offset_end, appended + 1);
    pyr_log_close(log);
    free(data);
    (void)printf("done\n");
}

/* RLIMIT_FSIZE is a full disk and no signal: refused, readable, and well again when it is lifted.
 */
TEST(guest, takes_a_limit_of_file_length_as_a_full_disk)
{
    const char *folder = embed_path(case_folder(), "data");
    pid_t child = 0;
    FILE *stream = embed_child(fill_up, bytes_of(folder), &child);

    char line[TEXT_BYTES] = "";
    CHECK(fgets(line, sizeof line, stream) != NULL);
    if (strncmp(line, "PYR_ERR_DISK_FULL after ", strlen("PYR_ERR_DISK_FULL after ")) != 0) {
        fail_msg("%s", line);
    }
    CHECK(fgets(line, sizeof line, stream) != NULL);
    CHECK_TEXT(line, "done\n");
    (void)fclose(stream);
    CHECK_INT(embed_reap(child), 0);
}

static void open_below_journal(void *ctx)
{
    const struct rlimit low = {.rlim_cur = 100000, .rlim_max = 100000};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &low), 0);
    struct pyr_log *log = NULL;
    struct pyr_error error;
    enum pyr_err err = pyr_log_open(ctx, NULL, &log, &error);
    (void)printf("%s\n", pyr_err_name(err));
}

/* Not even the journal fits: the open says so. */
TEST(guest, says_when_not_even_the_journal_fits)
{
    const char *folder = embed_path(case_folder(), "data");
    pid_t child = 0;
    FILE *stream = embed_child(open_below_journal, bytes_of(folder), &child);

    char line[TEXT_BYTES] = "";
    CHECK(fgets(line, sizeof line, stream) != NULL);

    CHECK_TEXT(line, "PYR_ERR_DISK_FULL\n");
    (void)fclose(stream);
    CHECK_INT(embed_reap(child), 0);
}
