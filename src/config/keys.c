/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/keys - the table made of keys.def, its defaults, and looking up names.
 *
 * What was meant by an unknown name: the key or section at the least edit distance, if that is at
 * most a quarter of its letters (two at least); else a key of the same last word, which stands in
 * another section.
 */
#include "config/keys.h"

#include "base/assert.h"
#include "config/value.h"

/* A misspelt name differs in so many letters at least, or one in so many. */
enum { DISTANCE_MIN = 2, DISTANCE_SHARE = 4 };

#define CONFIG_MEMBER_NODE  node
#define CONFIG_MEMBER_SHARD shard
#define CONFIG_MEMBER_TOPIC topic

static const struct config_key rows[] = {
#define CONFIG_KEY(row_scope, row_type, field, row_path, allowed, initial, row_help) \
    {.path = (row_path),                                                             \
     .type = CONFIG_TYPE_##row_type,                                                 \
     .scope = CONFIG_SCOPE_##row_scope,                                              \
     .offset = offsetof(struct config, CONFIG_MEMBER_##row_scope.field),             \
     allowed,                                                                        \
     initial,                                                                        \
     .help = (row_help)},
#include "config/keys.def"
#undef CONFIG_KEY
};

static const struct config_table table_of_all = {.keys = rows, .count = CONFIG_KEY_COUNT};

/* -- Names -- */

/* Return @path behind its last dot. */
static struct bytes last_word(struct bytes path)
{
    ASSERT(path.data);

    size_t at = path.count;
    while (at > 0 && path.data[at - 1] != '.') {
        at--;
    }
    return (struct bytes){.data = path.data + at, .count = path.count - at};
}

static size_t least_of(size_t first, size_t second)
{
    return first < second ? first : second;
}

/* -- The table -- */

const struct config_table *config_table(void)
{
    ASSERT_STATIC(sizeof rows / sizeof *rows == CONFIG_KEY_COUNT, "each row is counted");
    return &table_of_all;
}

struct config_target config_begin(struct config_loaded *loaded)
{
    ASSERT(loaded);

    struct config_target target = {
        .table = &table_of_all,
        .values = &loaded->config,
        .origins = loaded->origins,
        .file_name = "",
    };
    loaded->config = (struct config){0};
    config_defaults(&target);
    return target;
}

void config_defaults(struct config_target *target)
{
    ASSERT(target->values);

    for (size_t index = 0; index < target->table->count; index++) {
        config_value_default(&target->table->keys[index], target->values);
        target->origins[index] = (struct config_origin){.source = CONFIG_SOURCE_DEFAULT};
    }
}

bool config_find(const struct config_table *table, struct bytes path, size_t *ret_index)
{
    ASSERT(ret_index);

    for (size_t index = 0; index < table->count; index++) {
        if (bytes_equal(bytes_of_text(table->keys[index].path), path)) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

bool config_is_section(const struct config_table *table, struct bytes path)
{
    ASSERT(path.data || path.count == 0);

    for (size_t index = 0; index < table->count; index++) {
        struct bytes key = bytes_of_text(table->keys[index].path);
        bool is_longer = key.count > path.count && key.data[path.count] == '.';
        if (is_longer && path.count > 0 && memcmp(key.data, path.data, path.count) == 0) {
            return true;
        }
    }
    return false;
}

size_t config_distance(struct bytes left, struct bytes right)
{
    left.count = least_of(left.count, CONFIG_PATH_BYTES_MAX);
    right.count = least_of(right.count, CONFIG_PATH_BYTES_MAX);
    ASSERT(left.data || left.count == 0);

    /* The row of distances from the first letters of `left` to each beginning of `right`. */
    size_t row[CONFIG_PATH_BYTES_MAX + 1];
    for (size_t at = 0; at <= right.count; at++) {
        row[at] = at;
    }
    for (size_t letter = 0; letter < left.count; letter++) {
        size_t diagonal = row[0];
        row[0] = letter + 1;
        for (size_t at = 1; at <= right.count; at++) {
            size_t changed = diagonal + (left.data[letter] == right.data[at - 1] ? 0 : 1);
            diagonal = row[at];
            row[at] = least_of(changed, least_of(row[at], row[at - 1]) + 1);
        }
    }
    return row[right.count];
}

/* A name of the table, and how far it is from the one looked for. */
struct candidate {
    struct bytes name;
    size_t distance;
};

/* Make @best the closest to @path of itself, of @key and of the sections that @key stands in. */
static void closest_of(struct bytes key, struct bytes path, struct candidate *best)
{
    ASSERT(key.count > 0);

    for (size_t end = 1; end <= key.count; end++) {
        struct bytes name = {.data = key.data, .count = end};
        bool is_name = end == key.count || key.data[end] == '.';
        size_t distance = is_name ? config_distance(path, name) : SIZE_MAX;
        if (distance < best->distance) {
            *best = (struct candidate){.name = name, .distance = distance};
        }
    }
}

bool config_nearest(const struct config_table *table, struct bytes path, struct bytes *ret_path)
{
    ASSERT(table->count > 0);

    struct candidate best = {.distance = SIZE_MAX};
    for (size_t index = 0; index < table->count; index++) {
        closest_of(bytes_of_text(table->keys[index].path), path, &best);
    }
    size_t bound = best.name.count / DISTANCE_SHARE;
    if (best.distance <= (bound > DISTANCE_MIN ? bound : DISTANCE_MIN)) {
        *ret_path = best.name;
        return true;
    }
    for (size_t index = 0; path.data && index < table->count; index++) {
        struct bytes key = bytes_of_text(table->keys[index].path);
        if (bytes_equal(last_word(key), last_word(path))) {
            *ret_path = key;
            return true;
        }
    }
    return false;
}

void config_put_origin(const struct config_target *target, size_t index, struct text *text)
{
    ASSERT(index < target->table->count);

    const struct config_origin *origin = &target->origins[index];
    switch (origin->source) {
    case CONFIG_SOURCE_DEFAULT:
        text_put(text, "default");
        break;
    case CONFIG_SOURCE_FILE:
        text_format(text, "%s:%u:%u", target->file_name, origin->line, origin->column);
        break;
    case CONFIG_SOURCE_ENVIRONMENT:
        text_put(text, "environment");
        break;
    case CONFIG_SOURCE_COMMAND_LINE:
        text_put(text, "--set");
        break;
    }
}
