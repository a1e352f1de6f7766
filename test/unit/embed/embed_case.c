/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/embed_case - what the tests of the embedded log share.
 */
#include "embed_case.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATHS = 8, PATH_BYTES = 512, TEXT_BYTES = 64, THREADS_MAX = 16 };

void embed_check(enum pyr_err actual,
                 enum pyr_err expected,
                 const struct pyr_error *error,
                 const char *file,
                 int line)
{
    if (actual != expected) {
        const char *message = actual == PYR_OK ? "" : error->message;
        print_error("%s where %s was expected: %s\n", pyr_err_name(actual), pyr_err_name(expected),
                    message);
        _fail(file, line);
    }
    if (actual != PYR_OK && (error->code != actual || error->message[0] == '\0')) {
        print_error("%s, but its error says %s: '%s'\n", pyr_err_name(actual),
                    pyr_err_name(error->code), error->message);
        _fail(file, line);
    }
}

/* End the case where the kernel has no io_uring, or does not let us: a null pointer tells. */
static void skip_without_uring(void)
{
    if (syscall(SYS_io_uring_setup, 1, NULL) < 0 && (errno == ENOSYS || errno == EPERM)) {
        case_skip("io_uring is not to be had here");
    }
}

void embed_store_options(struct pyr_store_options *options)
{
    const char *backend = getenv("PYRALOG_TEST_BACKEND");

    pyr_store_options_init(options);
    options->wal_file_bytes = 1 << 20;
    options->wal_files_max = 4;
    options->cache_max_size = 8 << 20;
    if (backend && strcmp(backend, "posix") == 0) {
        options->backend = PYR_BACKEND_POSIX;
    } else if (backend && strcmp(backend, "uring") == 0) {
        skip_without_uring();
        options->backend = PYR_BACKEND_URING;
    }
}

void embed_log_options(struct pyr_log_options *options, enum pyr_sync policy)
{
    pyr_log_options_init(options);
    options->sync = policy;
}

struct pyr_log *embed_open(const char *folder, const struct pyr_log_options *options)
{
    struct pyr_store_options store_options;
    embed_store_options(&store_options);
    struct pyr_log_options log_options;
    pyr_log_options_init(&log_options);
    if (options) {
        log_options = *options;
    }
    if (!log_options.store) {
        log_options.store = &store_options;
    }
    struct pyr_error error;
    struct pyr_log *log = NULL;
    CHECK_OK(pyr_log_open(folder, &log_options, &log, &error), error);
    return log;
}

struct pyr_store *embed_open_store(const char *folder)
{
    struct pyr_store_options options;
    embed_store_options(&options);
    struct pyr_error error;
    struct pyr_store *store = NULL;
    CHECK_OK(pyr_store_open(folder, &options, &store, &error), error);
    return store;
}

struct pyr_record embed_record(const char *text)
{
    return (struct pyr_record){.value = text, .value_bytes = strlen(text)};
}

struct pyr_receipt embed_append(struct pyr_log *log, const char *text)
{
    struct pyr_record record = embed_record(text);
    struct pyr_receipt receipt;
    struct pyr_error error;
    CHECK_OK(pyr_log_append(log, &record, &receipt, &error), error);
    return receipt;
}

void embed_append_numbered(struct pyr_log *log, int64_t first, int64_t count)
{
    for (int64_t number = first; number < first + count; number++) {
        char text[TEXT_BYTES];
        (void)snprintf(text, sizeof text, "record %" PRId64, number);
        CHECK_INT(embed_append(log, text).offset, number);
    }
}

void embed_expect(struct pyr_reader *reader, int64_t offset, const char *text)
{
    struct pyr_record record;
    struct pyr_error error;
    CHECK_OK(pyr_reader_next(reader, PATIENCE_MS, &record, &error), error);
    CHECK_INT(record.offset, offset);
    CHECK_INT(record.value_bytes, strlen(text));
    CHECK_BYTES(record.value, text, strlen(text));
}

void embed_expect_numbered(struct pyr_log *log, int64_t first, int64_t end)
{
    struct pyr_error error;
    struct pyr_reader *reader = NULL;
    CHECK_OK(pyr_reader_open(log, first, &reader, &error), error);
    for (int64_t number = first; number < end; number++) {
        char text[TEXT_BYTES];
        (void)snprintf(text, sizeof text, "record %" PRId64, number);
        embed_expect(reader, number, text);
    }
    struct pyr_record record;
    CHECK_ERR(pyr_reader_next(reader, 0, &record, &error), PYR_ERR_TIMEOUT, error);
    pyr_reader_close(reader);
}

const char *embed_path(const char *folder, const char *name)
{
    static char paths[PATHS][PATH_BYTES];
    static size_t next;

    char *path = paths[next++ % PATHS];
    int count = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    CHECK(count > 0 && count < PATH_BYTES);
    return path;
}

FILE *embed_child(void (*body)(void *ctx), void *ctx, pid_t *ret_child)
{
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        body(ctx);
        (void)fflush(NULL);
        _exit(0);
    }
    (void)close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    CHECK(stream != NULL);
    *ret_child = child;
    return stream;
}

int embed_reap(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        CHECK_INT(errno, EINTR);
    }
    return status;
}

/* -- A crowd -- */

struct crowd_writer {
    pthread_t thread;
    struct pyr_log **logs;
    int count;
    int rounds;
    enum pyr_err err;
};

static void *crowd_run(void *ctx)
{
    struct crowd_writer *writer = ctx;
    for (int round = 0; round < writer->rounds && writer->err == PYR_OK; round++) {
        const struct pyr_record record = {.value = &round, .value_bytes = sizeof round};
        for (int index = 0; index < writer->count && writer->err == PYR_OK; index++) {
            writer->err = pyr_log_append(writer->logs[index], &record, NULL, NULL);
        }
    }
    return NULL;
}

void embed_append_crowd(struct pyr_log **logs, int count, int threads, int rounds)
{
    struct crowd_writer writers[THREADS_MAX];
    CHECK(threads <= THREADS_MAX);
    for (int index = 0; index < threads; index++) {
        struct crowd_writer *writer = &writers[index];
        *writer = (struct crowd_writer){.logs = logs, .count = count, .rounds = rounds};
        CHECK_INT(pthread_create(&writer->thread, NULL, crowd_run, writer), 0);
    }
    for (int index = 0; index < threads; index++) {
        CHECK_INT(pthread_join(writers[index].thread, NULL), 0);
        CHECK_INT(writers[index].err, PYR_OK);
    }
}
