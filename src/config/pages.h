/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/pages - the table for people and other programs: JSON Schema, Markdown, current values.
 *
 * The schema is draft 2020-12, one property a key, nested as a file is, and refuses unknown ones.
 * It knows each key by itself; what several must be together is config/settle's.
 *
 * Threads: pure functions.   Memory: the caller's text, cut if it is too small.
 */
#ifndef CONFIG_PAGES_H
#define CONFIG_PAGES_H

#include "config/keys.h"

/** Put the JSON Schema of @table, with a line end behind it. */
void config_put_schema(const struct config_table *table, struct text *text);

/** Put @table as a table of Markdown. */
void config_put_markdown(const struct config_table *table, struct text *text);

/** Put the values of @target, "key = value", one a line, each with where it came from. */
void config_put_values(const struct config_target *target, struct text *text);

#endif /* CONFIG_PAGES_H */
