/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/show - formatting.
 */
#include "cli/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

#define KIB_DOUBLE 1024.0

struct show show_count(uint64_t count)
{
    char digits[24];
    int digit_count = snprintf(digits, sizeof digits, "%" PRIu64, count);
    ASSERT(digit_count > 0);

    struct show show = {{0}};
    size_t place = 0;
    for (int index = 0; index < digit_count; index++) {
        if (index > 0 && (digit_count - index) % 3 == 0) {
            show.text[place++] = ',';
        }
        show.text[place++] = digits[index];
    }
    ASSERT(place < sizeof show.text);
    return show;
}

struct show show_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct show show;
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= KIB_DOUBLE && unit + 1 < sizeof units / sizeof *units) {
        value /= KIB_DOUBLE;
        unit++;
    }
    ASSERT(value >= 0);
    int decimals = unit == 0 || value >= 100 ? 0 : 1;
    (void)snprintf(show.text, sizeof show.text, "%.*f %s", decimals, value, units[unit]);
    return show;
}

struct show show_bytes_typed(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    struct show show;
    size_t unit = 0;
    while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1024;
        unit++;
    }
    ASSERT(unit < sizeof units / sizeof *units);
    (void)snprintf(show.text, sizeof show.text, "%" PRIu64 "%s", bytes, units[unit]);
    return show;
}

struct show show_duration(uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    struct show show;
    double value = (double)ns;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    ASSERT(value >= 0);
    int decimals = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    (void)snprintf(show.text, sizeof show.text, "%.*f %s", decimals, value, units[unit]);
    return show;
}

struct show show_time(int64_t ms)
{
    struct show show = {"-"};
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    if (ms < 0 || !gmtime_r(&seconds, &parts)) {
        return show;
    }
    char text[32];
    size_t count = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    ASSERT(count < sizeof text);
    if (count > 0) {
        (void)snprintf(show.text, sizeof show.text, "%s.%03dZ", text, (int)(ms % 1000));
    }
    return show;
}

struct show show_bar(double value, double whole, int columns)
{
    struct show show = {{0}};
    ASSERT(columns > 0);
    ASSERT((size_t)columns < sizeof show.text);

    double share = whole > 0 ? value / whole : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    memset(show.text, '#', (size_t)(share * columns + 0.5));
    return show;
}

bool show_is_terminal(FILE *out)
{
    ASSERT(out != NULL);

    const char *kind = getenv("TERM");
    return isatty(fileno(out)) == 1 && kind && strcmp(kind, "dumb") != 0;
}
