/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/scan - whether a text is JSON, and where each of its values stands.
 *
 * Part of the path:  file's bytes -> [scan] -> cJSON, places -> read
 *
 * cJSON knows no lines, rounds numbers, and takes more than JSON. So this goes over the text first:
 * strict, without recursion, within the limits of base/limits.h. It notes for each value, in the
 * order of the text, where it and its key stand and which bytes it is; cJSON then decodes strings
 * and builds the tree, in the same order. `//` begins a comment to the end of the line; a copy of
 * the text with blanks in place of comments is what cJSON reads.
 *
 *   {"wal": {"files_max": 9}}      places: object 1:1, object 1:9 (key 1:2), number 1:23 (key 1:10)
 *
 * Invariants:
 *   CFG-4  What is accepted is JSON once its comments are blanks: cJSON takes it, with one item for
 *          each place, in the same order.
 *
 * Threads: one owner.   Memory: the caller's; no allocation, a stack of fixed depth.
 */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/text.h"

/* What stands at a place. */
enum config_kind {
    CONFIG_KIND_OBJECT,
    CONFIG_KIND_LIST,
    CONFIG_KIND_STRING,
    CONFIG_KIND_NUMBER,
    CONFIG_KIND_TRUE,
    CONFIG_KIND_FALSE,
    CONFIG_KIND_NULL,
};

/* Line and column, from 1; a column is a character, however many bytes it takes. */
struct config_spot {
    uint32_t line;
    uint32_t column;
};

/* One value of the text. */
struct config_place {
    enum config_kind kind;
    struct config_spot key;   /* Of its name in an object; zeros elsewhere. */
    struct config_spot value; /* Where it begins. */
    struct bytes source;      /* Its bytes; of an object or a list those of its first sign. */
    size_t end;               /* Of the places: one past the last that lies within it. */
};

/* A text and its places. */
struct config_scan {
    char plain[CONFIG_FILE_BYTES_MAX + 1]; /* The text, its comments blank; places point here. */
    size_t plain_count;
    struct config_place places[CONFIG_VALUES_MAX];
    size_t place_count;
};

/** Go over @input and fill @scan. Borrows @input. Return whether it is JSON with comments; if not,
 * *@ret_spot says where it ceases to be, and the sentence in @ret_problem why. */
bool config_scan(struct bytes input,
                 struct config_scan *scan,
                 struct config_spot *ret_spot,
                 struct text *ret_problem);

#endif /* CONFIG_SCAN_H */
