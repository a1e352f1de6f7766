/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/override - names of variables, and values as a person types them.
 */
#include "config/override.h"

#include "base/assert.h"
#include "config/value.h"

#define PREFIX "PYRALOG_"

/* Distance up to which a name is taken for a misspelt one. */
enum { DISTANCE_MAX = 3 };

/* Put @path in capitals with '_' for each dot. */
static void put_capitals(struct bytes path, struct text *text)
{
    ASSERT(path.data);

    for (size_t at = 0; at < path.count; at++) {
        uint8_t sign = path.data[at];
        bool is_small = sign >= 'a' && sign <= 'z';
        sign = is_small ? (uint8_t)(sign - 'a' + 'A') : sign;
        sign = sign == '.' ? '_' : sign;
        text_put_bytes(text, (struct bytes){.data = &sign, .count = 1});
    }
}

void config_put_variable(const struct config_key *key, struct text *text)
{
    ASSERT(key->path);

    text_put(text, PREFIX);
    put_capitals(bytes_of_text(key->path), text);
}

/* Set row @index from @value, or add the problem, which begins with @where. */
static void take(struct config_target *target,
                 size_t index,
                 const char *value,
                 enum config_source source,
                 struct text *where,
                 struct config_problems *problems)
{
    const struct config_key *key = &target->table->keys[index];
    ASSERT(index < target->table->count);
    ASSERT(source > CONFIG_SOURCE_FILE);

    if (config_set_typed(key, target->values, value)) {
        target->origins[index] = (struct config_origin){.source = source};
        return;
    }
    text_put(where, ": found '");
    config_put_shown(where, bytes_of_text(value));
    text_put(where, "'; allowed: ");
    config_put_allowed(key, where);
    config_problem_add(problems, where);
}

/* -- The environment -- */

/* Return whether @name begins as the variables of some section of @table do. */
static bool is_of_section(const struct config_table *table, struct bytes name)
{
    for (size_t index = 0; index < table->count; index++) {
        const char *path = table->keys[index].path;
        const char *dot = strchr(path, '.');
        ASSERT(dot); /* CFG-2: each key stands in a section. */
        char room[CONFIG_PATH_BYTES_MAX * 2];
        struct text start = text_of(room, sizeof room);
        text_put(&start, PREFIX);
        put_capitals((struct bytes){(const uint8_t *)path, (size_t)(dot - path) + 1}, &start);
        if (name.count >= start.count && memcmp(name.data, start.data, start.count) == 0) {
            return true;
        }
    }
    return false;
}

static void variable_take(struct config_target *target,
                          const char *variable,
                          struct config_problems *problems)
{
    const char *equals = strchr(variable, '=');
    ASSERT(equals);

    struct bytes name = {(const uint8_t *)variable, (size_t)(equals - variable)};
    char where_room[CONFIG_PROBLEM_BYTES_MAX];
    struct text where = text_of(where_room, sizeof where_room);
    config_put_shown(&where, name);
    size_t best = SIZE_MAX;
    char best_room[CONFIG_PATH_BYTES_MAX * 2] = "";
    for (size_t index = 0; index < target->table->count; index++) {
        char room[CONFIG_PATH_BYTES_MAX * 2];
        struct text text = text_of(room, sizeof room);
        config_put_variable(&target->table->keys[index], &text);
        struct bytes own = {(const uint8_t *)text.data, text.count};
        if (bytes_equal(own, name)) {
            take(target, index, equals + 1, CONFIG_SOURCE_ENVIRONMENT, &where, problems);
            return;
        }
        size_t distance = config_distance(own, name);
        if (distance < best) {
            best = distance;
            memcpy(best_room, room, text.count + 1);
        }
    }
    if (!is_of_section(target->table, name)) {
        return;
    }
    text_put(&where, ": unknown variable");
    if (best <= DISTANCE_MAX) {
        text_format(&where, "; did you mean '%s'?", best_room);
    } else {
        text_put(&where, "; docs/configuration.md has all keys");
    }
    config_problem_add(problems, &where);
}

void config_environment(struct config_target *target,
                        const char *const *environment,
                        struct config_problems *problems)
{
    ASSERT(environment);

    for (; *environment; environment++) {
        bool is_ours = strncmp(*environment, PREFIX, sizeof PREFIX - 1) == 0;
        if (is_ours && strchr(*environment, '=')) {
            variable_take(target, *environment, problems);
        }
    }
}

/* -- The command line -- */

void config_override(struct config_target *target,
                     const char *assignment,
                     struct config_problems *problems)
{
    ASSERT(assignment);

    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text where = text_of(room, sizeof room);
    const char *equals = strchr(assignment, '=');
    if (!equals) {
        text_put(&where, "--set: '");
        config_put_shown(&where, bytes_of_text(assignment));
        text_put(&where, "' has no '='; allowed: key=value");
        config_problem_add(problems, &where);
        return;
    }
    struct bytes path = {(const uint8_t *)assignment, (size_t)(equals - assignment)};
    size_t index = 0;
    text_put(&where, "--set: ");
    config_put_shown(&where, path);
    if (config_find(target->table, path, &index)) {
        take(target, index, equals + 1, CONFIG_SOURCE_COMMAND_LINE, &where, problems);
        return;
    }
    struct bytes nearest;
    if (config_is_section(target->table, path)) {
        text_put(&where, ": is a section; allowed: a key of it, as in section.key=value");
    } else if (config_nearest(target->table, path, &nearest)) {
        text_put(&where, ": unknown key; did you mean '");
        text_put_bytes(&where, nearest);
        text_put(&where, "'?");
    } else {
        text_put(&where, ": unknown key; docs/configuration.md has all keys");
    }
    config_problem_add(problems, &where);
}
