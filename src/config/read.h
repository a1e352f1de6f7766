/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/read - a file's bytes into values, with every problem at its line and column.
 *
 * Part of the path:  file's bytes -> scan + cJSON -> [read] -> values, origins, problems
 *
 * Who starts a program reads the file; here are only its bytes, its name and a workspace. A text
 * that is no JSON has one problem, the place where it ceases to be; in one that is, reading goes on
 * behind each unknown, doubled or unfitting key. cJSON allocates its tree, bounded by the limits on
 * the text, for the length of the call.
 *
 * Invariants:
 *   CFG-5  A value that is refused changes nothing: field and origin stay as they were.
 *
 * Threads: one owner; cJSON's allocator is the process's.
 */
#ifndef CONFIG_READ_H
#define CONFIG_READ_H

#include "base/err.h"
#include "config/keys.h"
#include "config/problems.h"
#include "config/scan.h"

/**
 * Read @input, the file called @file_name, into @target, and add what is wrong to @problems.
 *
 * Borrows @input and @scan, a workspace; keeps @file_name as long as @target is used.
 * PYR_ERR_NO_MEMORY: nothing was read. PYR_OK says nothing of problems: ask config_problems_end,
 * after the overrides.
 */
MUST_CHECK enum pyr_err config_read(struct config_target *target,
                                    const char *file_name,
                                    struct bytes input,
                                    struct config_scan *scan,
                                    struct config_problems *problems,
                                    struct pyr_error *reterr);

#endif /* CONFIG_READ_H */
