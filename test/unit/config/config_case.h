/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/config_case - a configuration in a test: read a text, settle it, look at its problems.
 *
 * Besides the table of all keys there is one for types that no key has yet: texts, lists of texts.
 */
#ifndef CONFIG_CONFIG_CASE_H
#define CONFIG_CONFIG_CASE_H

#include "config/keys.h"
#include "config/problems.h"
#include "config/read.h"

/* What the other table describes. */
struct config_other {
    char name[CONFIG_TEXT_BYTES_MAX];
    struct config_texts nodes;
};

/* One configuration under test. Large: let it be static. */
struct config_case {
    struct config_loaded loaded;
    struct config_other other;
    struct config_origin other_origins[2];
    struct config_target target;
    struct config_scan scan;
    struct config_problems problems;
};

/** Begin with the defaults of all keys. */
void config_case_begin(struct config_case *at);

/** Begin with the other table: "node.name", a text of 1 to 8 bytes, "node.nodes", 1 to 3 texts. */
void config_case_begin_other(struct config_case *at);

/** Read @text as the file "c.json"; it must not fail for want of memory. */
void config_case_read(struct config_case *at, const char *text);

/** Read @input likewise. */
void config_case_read_bytes(struct config_case *at, struct bytes input);

/** Check that there is exactly the problem @message, none if it is NULL. */
void config_case_check(const struct config_case *at, const char *message);

#endif /* CONFIG_CONFIG_CASE_H */
