/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_config - whatever bytes come as a configuration: scan, parse, read, settle, show.
 *
 * What must hold: no call reads or writes outside its memory; what the scan takes, cJSON takes, in
 * the same shape (CFG-4, asserted by the reader); each problem is one line that begins with a place
 * in the file; and of two readings of the same bytes the outcome is the same. The input's last line
 * is also taken as an option --set and as a variable.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "config/override.h"
#include "config/pages.h"
#include "config/read.h"
#include "config/settle.h"
#include "fuzz/fuzz.h"

/* What one reading needs, and leaves. */
struct reading {
    struct config_loaded loaded;
    struct config_scan scan;
    struct config_problems problems;
    char shown[16384];
};

static void problems_check(const struct config_problems *problems, const char *start)
{
    for (size_t index = 0; index < config_problems_kept(problems); index++) {
        const char *message = problems->list[index].message;
        ASSERT(memchr(message, '\0', CONFIG_PROBLEM_BYTES_MAX));
        ASSERT(!strchr(message, '\n'));
        ASSERT(strncmp(message, start, strlen(start)) == 0);
    }
}

/* Take the last line of @input as an assignment. */
static void line_take(struct config_target *target,
                      struct bytes input,
                      struct config_problems *problems)
{
    size_t first = input.count;
    while (first > 0 && input.data[first - 1] != '\n') {
        first--;
    }
    static const char prefix[] = "PYRALOG_STORAGE_";
    size_t count = input.count - first;
    char *line = malloc(sizeof prefix + count);
    ASSERT(line);
    memcpy(line, prefix, sizeof prefix - 1);
    if (count > 0) {
        memcpy(line + sizeof prefix - 1, input.data + first, count);
    }
    line[sizeof prefix - 1 + count] = '\0';
    config_override(target, line + sizeof prefix - 1, problems);
    const char *const environment[] = {line, NULL};
    config_environment(target, environment, problems);
    free(line);
}

static struct reading *reading_new(struct bytes input)
{
    struct reading *reading = calloc(1, sizeof *reading);
    ASSERT(reading);
    struct config_target target = config_begin(&reading->loaded);
    enum pyr_err err =
        config_read(&target, "c.json", input, &reading->scan, &reading->problems, NULL);
    ASSERT(err == PYR_OK);
    problems_check(&reading->problems, "c.json:");
    line_take(&target, input, &reading->problems);
    problems_check(&reading->problems, "");
    config_settle(&target, &reading->problems);
    struct text shown = text_of(reading->shown, sizeof reading->shown);
    config_put_values(&target, &shown);
    ASSERT(!shown.is_cut);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct bytes input = {.data = data, .count = count};
    struct reading *first = reading_new(input);
    struct reading *second = reading_new(input);
    ASSERT(memcmp(&first->problems, &second->problems, sizeof first->problems) == 0);
    ASSERT(strcmp(first->shown, second->shown) == 0);
    free(first);
    free(second);
    return 0;
}
