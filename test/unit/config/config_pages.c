/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_pages - print the schema or the Markdown of all keys, or check files: for pages.py.
 *
 *   config_pages schema | markdown
 *   config_pages check FILE...        the problems of the files, one a line; exit status 1 if any
 */
#include <stdio.h>
#include <string.h>

#include "config/pages.h"
#include "config/read.h"
#include "config/settle.h"

/* More than both pages need; a cut one fails the comparison. */
static char room[1 << 18];

static struct config_loaded loaded;
static struct config_scan scan;
static struct config_problems problems;

/* Print the problems of the file @name and return how many there are. */
static size_t check(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file) {
        perror(name);
        return 1;
    }
    size_t count = fread(room, 1, sizeof room, file);
    (void)fclose(file); /* Only read. */
    struct config_target target = config_begin(&loaded);
    problems = (struct config_problems){0};
    struct bytes input = {(const uint8_t *)room, count};
    if (config_read(&target, name, input, &scan, &problems, NULL) != PYR_OK) {
        return 1;
    }
    if (problems.count == 0) {
        config_settle(&target, &problems);
    }
    for (size_t index = 0; index < config_problems_kept(&problems); index++) {
        puts(problems.list[index].message);
    }
    return problems.count;
}

int main(int argc, char **argv)
{
    struct text text = text_of(room, sizeof room);
    if (argc == 2 && strcmp(argv[1], "schema") == 0) {
        config_put_schema(config_table(), &text);
    } else if (argc == 2 && strcmp(argv[1], "markdown") == 0) {
        config_put_markdown(config_table(), &text);
    } else if (argc > 2 && strcmp(argv[1], "check") == 0) {
        size_t found = 0;
        for (int index = 2; index < argc; index++) {
            found += check(argv[index]);
        }
        return found > 0 ? 1 : 0;
    } else {
        fputs("usage: config_pages schema | markdown | check FILE...\n", stderr);
        return 2;
    }
    return fputs(text.data, stdout) < 0 || text.is_cut ? 1 : 0;
}
