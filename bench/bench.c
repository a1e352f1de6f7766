/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench - the command line of a measuring program, and its helpers.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/prng.h"
#include "base/text.h"
#include "io/io.h"

enum { LINE_BYTES_MAX = 2048, OPEN_FOLDERS = 16, EXIT_USAGE = 2 };

#define NS_A_SECOND 1e9
#define NS_A_US     1e3

#define PROFILER_VARIABLE "PYRALOG_BENCH_PROFILER"

#define WARM_NAME        "warm"
#define WARM_PIECE_BYTES ((size_t)1 << 20)

/* The value of "--@name=VALUE", or NULL if @argument is another. */
static const char *option_value(const char *argument, const char *name)
{
    size_t count = strlen(name);
    if (strncmp(argument, name, count) != 0 || argument[count] != '=') {
        return NULL;
    }
    return argument + count + 1;
}

static int usage(const char *program)
{
    (void)fprintf(stderr, "usage: %s [--case=NAME] [--folder=PATH] [--seconds=N] [--list]\n",
                  program);
    return EXIT_USAGE;
}

static double seconds_of(const char *text)
{
    int64_t seconds = 0;
    struct pyr_error error;
    bench_must(parse_number(text, (struct parse_range){.min = 1, .max = 3600}, &seconds, &error),
               &error, "--seconds");
    return (double)seconds;
}

static int run_cases(const struct bench_options *options,
                     const char *wanted,
                     const struct bench_case *cases,
                     size_t case_count)
{
    size_t run_count = 0;
    for (size_t index = 0; index < case_count; index++) {
        if (!wanted || strcmp(cases[index].name, wanted) == 0) {
            cases[index].run(cases[index].name, options);
            run_count++;
        }
    }
    if (run_count == 0) {
        (void)fprintf(stderr, "--case: there is no case '%s', see --list\n", wanted);
        return EXIT_USAGE;
    }
    return 0;
}

/* Read one argument into @options or @wanted; return false if it is none of ours. */
static bool read_argument(const char *argument, struct bench_options *options, const char **wanted)
{
    const char *value = option_value(argument, "--case");
    if (value) {
        *wanted = value;
        return true;
    }
    value = option_value(argument, "--folder");
    if (value) {
        options->folder = value;
        return true;
    }
    value = option_value(argument, "--seconds");
    if (value) {
        options->seconds = seconds_of(value);
    }
    return value != NULL;
}

int bench_main(int argument_count,
               char **arguments,
               const struct bench_case *cases,
               size_t case_count)
{
    struct bench_options options = {.folder = ".", .seconds = 2};
    const char *wanted = NULL;
    if (argument_count == 2 && strcmp(arguments[1], "--list") == 0) {
        for (size_t row = 0; row < case_count; row++) {
            (void)puts(cases[row].name);
        }
        return 0;
    }
    for (int index = 1; index < argument_count; index++) {
        if (!read_argument(arguments[index], &options, &wanted)) {
            return usage(arguments[0]);
        }
    }
    return run_cases(&options, wanted, cases, case_count);
}

void bench_print(const struct bench_figure *figure)
{
    ASSERT(figure->name);
    ASSERT(figure->unit);

    char line[LINE_BYTES_MAX];
    struct text text = text_of(line, sizeof line);
    text_put(&text, "{\"case\":");
    text_put_json_string(&text, bytes_of_text(figure->name));
    text_format(&text, ",\"value\":%.6g,\"unit\":", figure->value);
    text_put_json_string(&text, bytes_of_text(figure->unit));
    if (figure->sync) {
        text_put(&text, ",\"sync\":");
        text_put_json_string(&text, bytes_of_text(figure->sync));
    }
    if (figure->latency && figure->latency->count > 0) {
        text_format(&text, ",\"p50\":%.4g,\"p99\":%.4g,\"p999\":%.4g,\"worst\":%.4g",
                    (double)histogram_percentile(figure->latency, 50) / NS_A_US,
                    (double)histogram_percentile(figure->latency, 99) / NS_A_US,
                    (double)histogram_percentile(figure->latency, 99.9) / NS_A_US,
                    (double)figure->latency->max / NS_A_US);
    }
    if (figure->against) {
        text_put(&text, ",\"against\":");
        text_put_json_string(&text, bytes_of_text(figure->against));
        text_format(&text, ",\"against_value\":%.6g", figure->against_value);
    }
    text_put(&text, "}");
    ASSERT(!text.is_cut);
    (void)puts(line);
    (void)fflush(stdout);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Tell the profiler that bench/run attached, if there is one. */
static void tell_profiler(const char *command)
{
    const char *path = getenv(PROFILER_VARIABLE);
    int fd = path ? open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    if (write(fd, command, strlen(command)) < 0) {
        bench_fail("write '%s': %s", path, strerror(errno));
    }
    (void)close(fd);
}

uint64_t bench_begin(void)
{
    tell_profiler("enable\n");
    return bench_now_ns();
}

uint64_t bench_end(uint64_t begin_ns)
{
    uint64_t spent_ns = bench_now_ns() - begin_ns;
    tell_profiler("disable\n");
    return spent_ns;
}

double bench_rate(uint64_t count, uint64_t ns)
{
    return ns == 0 ? 0.0 : (double)count * NS_A_SECOND / (double)ns;
}

uint8_t *bench_memory(size_t bytes_count)
{
    bool is_large = bytes_count >= IO_LARGE_PAGE_BYTES / 2;
    size_t alignment = is_large ? IO_LARGE_PAGE_BYTES : BLOCK_BYTES;
    size_t whole = (size_t)align_up(bytes_count, alignment);
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, whole) != 0) {
        bench_fail("no memory for %zu bytes", bytes_count);
    }
    if (is_large) {
        (void)madvise(memory, whole, MADV_HUGEPAGE); /* A wish. */
    }
    struct prng prng = prng_of(1, bytes_count);
    prng_fill(&prng, (struct bytes_mut){.data = memory, .count = bytes_count});
    return memory;
}

struct histogram *bench_histogram(void)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    if (!histogram) {
        bench_fail("no memory for a histogram");
    }
    histogram_clear(histogram); /* Touches the pages, which calloc may have left to the kernel. */
    return histogram;
}

/* Write a file of @bytes_count bytes from @piece and remove it before it reaches the device. */
static void warm_page_cache(const struct bench_options *options,
                            const uint8_t *piece,
                            size_t bytes_count)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, WARM_NAME, path, sizeof path);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        bench_fail("open '%s': %s", path, strerror(errno));
    }
    for (size_t done = 0; done < bytes_count; done += WARM_PIECE_BYTES) {
        if (write(fd, piece, WARM_PIECE_BYTES) != (ssize_t)WARM_PIECE_BYTES) {
            bench_fail("write '%s': %s", path, strerror(errno));
        }
    }
    (void)close(fd);
    bench_remove(options, WARM_NAME);
}

void bench_warm_memory(const struct bench_options *options, size_t bytes_count)
{
    ASSERT(bytes_count >= WARM_PIECE_BYTES);

    uint8_t *memory =
        mmap(NULL, bytes_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        bench_fail("no memory for %zu bytes", bytes_count);
    }
    /* Large pages come from other free memory than small ones, and break up into those. */
    (void)madvise(memory, bytes_count, MADV_HUGEPAGE);
    memset(memory, 1, bytes_count);
    warm_page_cache(options, memory, bytes_count);
    (void)munmap(memory, bytes_count); /* Last, so that it is taken first. */
}

void bench_use(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

void bench_path(const struct bench_options *options, const char *name, char *path, size_t bytes)
{
    int count = snprintf(path, bytes, "%s/%s", options->folder, name);
    if (count < 0 || (size_t)count >= bytes) {
        bench_fail("--folder: '%s' is too long", options->folder);
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bench_remove(const struct bench_options *options, const char *name)
{
    char path[PATH_BYTES_MAX];
    bench_path(options, name, path, sizeof path);
    if (nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        bench_fail("remove '%s': %s", path, strerror(errno));
    }
}

void bench_must(enum pyr_err err, const struct pyr_error *error, const char *what)
{
    if (err != PYR_OK) {
        bench_fail("%s: %s", what, error->message);
    }
}

_Noreturn void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    exit(EXIT_FAILURE);
}
