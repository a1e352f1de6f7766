/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/show - numbers as people read them.
 *
 * Each call returns a small struct with the text inside, so that it stands in an argument list:
 *
 *     printf("%s records in %s\n", show_count(count).text, show_duration(ns).text);
 *
 * Threads: pure functions, but for show_is_terminal.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A short text. */
struct show {
    char text[40];
};

/** Return @count with a comma at each thousand: "1,234,567". */
struct show show_count(uint64_t count);

/** Return @bytes in the unit that suits: "512 B", "11.8 MiB". */
struct show show_bytes(uint64_t bytes);

/** Return @bytes as a person would type it: "64MiB", "100B". */
struct show show_bytes_typed(uint64_t bytes);

/** Return @ns with three digits or so: "61.2 us", "2.10 ms", "3.4 s". */
struct show show_duration(uint64_t ns);

/** Return the wall clock's @ms since 1970 in UTC: "2026-11-21T11:17:40.123Z", or "-" if it is
 * negative. */
struct show show_time(int64_t ms);

/** Return @value of @whole as a bar of at most @columns (up to 39) signs. */
struct show show_bar(double value, double whole, int columns);

/** Return whether @out is a terminal that can redraw a line. */
bool show_is_terminal(FILE *out);

#endif /* CLI_SHOW_H */
