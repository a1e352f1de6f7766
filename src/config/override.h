/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/override - values from the environment and from the command line.
 *
 * The environment wins over the file, the command line over both; of two the later wins. A variable
 * is PYRALOG_ and the path in capitals, with '_' for each dot: PYRALOG_STORAGE_WAL_FILES_MAX. A
 * variable of a section that the table has, but of no key, is a mistake; other PYRALOG_ names
 * belong to others.
 *
 * Threads: one owner.   Memory: no allocation.
 */
#ifndef CONFIG_OVERRIDE_H
#define CONFIG_OVERRIDE_H

#include "config/keys.h"
#include "config/problems.h"

/** Put the name of the variable of @key. */
void config_put_variable(const struct config_key *key, struct text *text);

/** Take values from @environment, "NAME=value" each and NULL at its end. Borrows it. */
void config_environment(struct config_target *target,
                        const char *const *environment,
                        struct config_problems *problems);

/** Take the value of one option --set, @assignment "key=value". Borrows it. */
void config_override(struct config_target *target,
                     const char *assignment,
                     struct config_problems *problems);

#endif /* CONFIG_OVERRIDE_H */
