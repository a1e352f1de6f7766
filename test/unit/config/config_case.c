/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/config_case - the two tables, and the checks.
 */
#include "config/config_case.h"

#include "lib/case.h"

enum { NAME_BYTES_MAX = 8, NODES_MAX = 3 };

static const struct config_key other_keys[] = {
    {.path = "node.name",
     .type = CONFIG_TYPE_TEXT,
     .offset = offsetof(struct config_other, name),
     .range = {.min = 1, .max = NAME_BYTES_MAX},
     .default_text = "one",
     .help = "A name."},
    {.path = "node.nodes",
     .type = CONFIG_TYPE_TEXTS,
     .offset = offsetof(struct config_other, nodes),
     .range = {.min = 1, .max = NODES_MAX},
     .help = "The nodes."},
};

static const struct config_table other_table = {.keys = other_keys, .count = 2};

void config_case_begin(struct config_case *at)
{
    at->problems = (struct config_problems){0};
    at->target = config_begin(&at->loaded);
}

void config_case_begin_other(struct config_case *at)
{
    at->problems = (struct config_problems){0};
    at->target = (struct config_target){.table = &other_table,
                                        .values = &at->other,
                                        .origins = at->other_origins,
                                        .file_name = ""};
    config_defaults(&at->target);
}

void config_case_read_bytes(struct config_case *at, struct bytes input)
{
    struct pyr_error error = {0};
    enum pyr_err err = config_read(&at->target, "c.json", input, &at->scan, &at->problems, &error);
    CHECK_TEXT(error.message, "");
    CHECK_INT(err, PYR_OK);
}

void config_case_read(struct config_case *at, const char *text)
{
    config_case_read_bytes(at, bytes_of_text(text));
}

void config_case_check(const struct config_case *at, const char *message)
{
    CHECK_TEXT(at->problems.count > 0 ? at->problems.list[0].message : "none",
               message ? message : "none");
    CHECK_INT(at->problems.count, message ? 1 : 0);
}
