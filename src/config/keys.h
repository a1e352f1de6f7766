/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/keys - the table of keys, and the structs that hold their values.
 *
 * Part of the path:  file, environment, command line -> read, override -> [keys] -> who uses them
 *
 * One line of keys.def makes a field, and a row here that says where the field lies and what it may
 * be. Everything else (parser, overrides, schema, pages) goes through rows, and knows no key by
 * name; tests bring a table of their own for types that no key uses yet. Only config/settle names
 * keys, since it holds them against one another.
 *
 *   "storage.wal.files_max" -> row {type NUMBER, 2 to 1024, default 16} ->
 * config.shard.wal_files_max
 *
 * Invariants:
 *   CFG-1  Every field that is set by a file, a variable or an option lies within its row's range.
 *   CFG-2  No path is the section of another key, and no two keys share a variable's name.
 *
 * Threads: the table is constant; a target has one owner.   Memory: all of it is the caller's.
 */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/text.h"

/* What a value is. */
enum config_type {
    CONFIG_TYPE_NUMBER,       /* A whole number; int64_t. */
    CONFIG_TYPE_BYTES,        /* A number of bytes, or a text such as "64MiB"; int64_t. */
    CONFIG_TYPE_MILLISECONDS, /* A number of milliseconds, or a text such as "10ms"; int64_t. */
    CONFIG_TYPE_FLAG,         /* Bool. */
    CONFIG_TYPE_CHOICE,       /* One of some words; uint32_t, the number of the word. */
    CONFIG_TYPE_TEXT,         /* Char[CONFIG_TEXT_BYTES_MAX], closed by a zero. */
    CONFIG_TYPE_TEXTS,        /* Struct config_texts. */
};

/* Of what a value is a property. */
enum config_scope {
    CONFIG_SCOPE_NODE,
    CONFIG_SCOPE_SHARD,
    CONFIG_SCOPE_TOPIC,
};

/* Where a value came from; a later one wins over an earlier one. */
enum config_source {
    CONFIG_SOURCE_DEFAULT,
    CONFIG_SOURCE_FILE,
    CONFIG_SOURCE_ENVIRONMENT,
    CONFIG_SOURCE_COMMAND_LINE,
};

/* A list of texts. */
struct config_texts {
    size_t count;
    char texts[CONFIG_TEXTS_MAX][CONFIG_TEXT_BYTES_MAX];
};

/* Bounds, both included: of a number, of a text's bytes, of a list's elements. */
struct config_range {
    int64_t min;
    int64_t max;
    int64_t step;  /* The value is a multiple of this; 0: any. */
    bool has_zero; /* 0 is allowed besides. */
};

/* One row of the table. */
struct config_key {
    const char *path; /* Sections and name, with dots between. */
    enum config_type type;
    enum config_scope scope;
    size_t offset; /* Of the field in the table's struct. */
    struct config_range range;
    const char *choices; /* "one|two" for a choice, else NULL. */
    int64_t default_number;
    const char *default_text; /* Of a choice or a text. */
    const char *help;         /* One sentence. */
};

/* Rows; those of one section stand together. */
struct config_table {
    const struct config_key *keys;
    size_t count;
};

/* Where one value came from. */
struct config_origin {
    enum config_source source;
    uint32_t line; /* In the file, from 1; 0 elsewhere. */
    uint32_t column;
};

/* What is filled: the values that a table describes, and the origin of each. */
struct config_target {
    const struct config_table *table;
    void *values;
    struct config_origin *origins; /* As many as the table has rows. */
    const char *file_name;         /* Of the file read, "" before. */
};

#define CONFIG_FIELD_NUMBER(field)       int64_t field;
#define CONFIG_FIELD_BYTES(field)        int64_t field;
#define CONFIG_FIELD_MILLISECONDS(field) int64_t field;
#define CONFIG_FIELD_FLAG(field)         bool field;
#define CONFIG_FIELD_CHOICE(field)       uint32_t field;
#define CONFIG_FIELD_TEXT(field)         char field[CONFIG_TEXT_BYTES_MAX];
#define CONFIG_FIELD_TEXTS(field)        struct config_texts field;

/* What a row allows and begins with; see keys.def. */
#define CONFIG_FROM(least, most)        .range = {.min = (least), .max = (most)}
#define CONFIG_ZERO_OR(least, most)     .range = {.min = (least), .max = (most), .has_zero = true}
#define CONFIG_STEPS(least, most, each) .range = {.min = (least), .max = (most), .step = (each)}
#define CONFIG_OF(words)                .choices = (words)
#define CONFIG_ANY                      .choices = NULL
#define CONFIG_IS(number)               .default_number = (int64_t)(number)
#define CONFIG_IS_TEXT(words)           .default_text = (words)

/* Each struct takes the rows of its scope. */
#define CONFIG_NODE_NODE(declaration) declaration
#define CONFIG_NODE_SHARD(declaration)
#define CONFIG_NODE_TOPIC(declaration)
#define CONFIG_SHARD_NODE(declaration)
#define CONFIG_SHARD_SHARD(declaration) declaration
#define CONFIG_SHARD_TOPIC(declaration)
#define CONFIG_TOPIC_NODE(declaration)
#define CONFIG_TOPIC_SHARD(declaration)
#define CONFIG_TOPIC_TOPIC(declaration) declaration

/* Values of a node. Fields: keys.def. */
struct config_node {
#define CONFIG_KEY(scope, type, field, path, allowed, initial, help) \
    CONFIG_NODE_##scope(CONFIG_FIELD_##type(field))
#include "config/keys.def"
#undef CONFIG_KEY
};

/* Values of each shard of a node. */
struct config_shard {
#define CONFIG_KEY(scope, type, field, path, allowed, initial, help) \
    CONFIG_SHARD_##scope(CONFIG_FIELD_##type(field))
#include "config/keys.def"
#undef CONFIG_KEY
};

/* Values that a topic has unless it says otherwise. */
struct config_topic {
#define CONFIG_KEY(scope, type, field, path, allowed, initial, help) \
    CONFIG_TOPIC_##scope(CONFIG_FIELD_##type(field))
#include "config/keys.def"
#undef CONFIG_KEY
};

/* All values. */
struct config {
    struct config_node node;
    struct config_shard shard;
    struct config_topic topic;
};

/* A byte for each key, to count them. */
struct config_counter {
#define CONFIG_KEY(scope, type, field, path, allowed, initial, help) uint8_t field;
#include "config/keys.def"
#undef CONFIG_KEY
};

#define CONFIG_KEY_COUNT sizeof(struct config_counter)

/* All values with their origins. */
struct config_loaded {
    struct config config;
    struct config_origin origins[CONFIG_KEY_COUNT];
};

/** Return the table of all keys, whose struct is struct config. */
const struct config_table *config_table(void);

/** Set @loaded to the defaults and return the target that fills it. Keeps @loaded while the target
 * is used. */
struct config_target config_begin(struct config_loaded *loaded);

/** Set every value of @target to its default. */
void config_defaults(struct config_target *target);

/** Find the key named @path. Return whether there is one; *@ret_index is its row. */
bool config_find(const struct config_table *table, struct bytes path, size_t *ret_index);

/** Return whether @path is a section: some key begins with it and a dot. */
bool config_is_section(const struct config_table *table, struct bytes path);

/** Find the key or section whose name is most like @path. Return whether one is near enough to be
 * meant. *@ret_path lies in the table. */
bool config_nearest(const struct config_table *table, struct bytes path, struct bytes *ret_path);

/** Return how many letters have to be put in, left out or changed to make @left into @right. Both
 * are cut to CONFIG_PATH_BYTES_MAX. */
size_t config_distance(struct bytes left, struct bytes right);

/** Put where the value of row @index came from: "default", "node.json:3:7", "environment", "--set".
 */
void config_put_origin(const struct config_target *target, size_t index, struct text *text);

#endif /* CONFIG_KEYS_H */
