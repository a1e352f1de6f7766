/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench - what the measuring programs share: cases, clock, memory, and the line of JSON.
 *
 * Part of the path:  bench/run -> a program of cases -> one line of JSON a figure -> bench/run
 *
 * A program answers one question by a few named cases. bench/run starts it once for each
 * repetition, takes medians, and adds row, aim and machine. What a case compares itself with is
 * measured in the same run, in turns with the thing measured, so that a change of the machine's
 * mood meets both.
 *
 * What would make any figure a lie, and what is done against it here: memory touched for the first
 * time (bench_warm_memory), a file that grows while it is written (device.h), a clock that is read
 * by a system call (it is not), an optimiser that drops the work (bench_use).
 *
 * Threads: the functions that print and allocate belong to the main thread.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "pyralog.h"

#include "base/histogram.h"

/* How a program was called. */
struct bench_options {
    const char *folder; /* Exists; for the case's files, on the device to be measured. */
    double seconds;     /* How long a case measures. */
};

/* One figure, as it is printed. */
struct bench_figure {
    const char *name; /* The case's, or what of it this is. */
    double value;
    const char *unit; /* "records/s", "bytes/s", "us". */
    const char *sync; /* The policy: "always", "batch", "os"; NULL if nothing is stored. */
    const struct histogram *latency; /* In nanoseconds, or NULL. */
    const char *against;             /* What was measured beside it, or NULL. */
    double against_value;            /* In the same unit. */
};

/* One case of a program. */
struct bench_case {
    const char *name;
    void (*run)(const char *name, const struct bench_options *options);
};

/**
 * Run the cases that the command line names, all without one, and return the exit status.
 *
 * Options: --case=NAME, --folder=PATH, --seconds=N, --list.
 */
int bench_main(int argument_count,
               char **arguments,
               const struct bench_case *cases,
               size_t case_count);

/** Print @figure to stdout, one line of JSON. */
void bench_print(const struct bench_figure *figure);

/** Return the nanoseconds of a clock that only goes forward. Any thread. */
uint64_t bench_now_ns(void);

/**
 * Begin what is measured, and return the nanoseconds of now. Main thread.
 *
 * A profiler attached by bench/run looks from here to bench_end() only, and so does not see the
 * warming up. Calls do not nest; there may be several pairs.
 */
uint64_t bench_begin(void);

/** End what is measured, and return the nanoseconds since @begin_ns. Main thread. */
uint64_t bench_end(uint64_t begin_ns);

/** Return the rate of @count things in @ns nanoseconds, a second. */
double bench_rate(uint64_t count, uint64_t ns);

/** Return @bytes_count bytes, page-aligned, in large pages from half of one on (what a device moves
 * most easily), touched and filled with noise. Gives: free(). Ends the
 * program if there are none. */
uint8_t *bench_memory(size_t bytes_count);

/** Return an empty histogram. Gives: free(). */
struct histogram *bench_histogram(void);

/**
 * Touch @bytes_count bytes of the program's memory and as many of page cache, and give them back.
 *
 * A virtual machine takes free pages back from its guest: the first touch of each then costs
 * microseconds. Pages that were in use a moment ago are handed out first and cost nothing. It does
 * not last (a second or two), so call this right before measuring.
 */
void bench_warm_memory(const struct bench_options *options, size_t bytes_count);

/** Keep the compiler from dropping the computation of @value. Any thread. */
void bench_use(uint64_t value);

/** Write "<folder>/<name>" to @path. */
void bench_path(const struct bench_options *options, const char *name, char *path, size_t bytes);

/** Remove the folder or file "<folder>/<name>" and what is in it, if it is there. */
void bench_remove(const struct bench_options *options, const char *name);

/** End the program with "<what>: <message of @error>" if @err is an error. */
void bench_must(enum pyr_err err, const struct pyr_error *error, const char *what);

/** End the program with a formatted message. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* BENCH_BENCH_H */
