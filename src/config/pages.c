/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/pages - one row after the other; sections open and close where paths part.
 */
#include "config/pages.h"

#include <inttypes.h>

#include "base/assert.h"
#include "config/override.h"
#include "config/value.h"

/* What a level of the schema is moved in. */
static const size_t indent = 2;

static const char *const scope_names[] = {"node", "shard", "topic"};

/* -- The schema -- */

static void put_line_start(struct text *text, size_t depth)
{
    ASSERT(depth <= (size_t)CONFIG_DEPTH_MAX * 2);
    text_format(text, "\n%*s", (int)(depth * indent), "");
}

/* Put ', "maximum": ...' and its like for a whole number. */
static void put_bounds(const struct config_range *range, struct text *text)
{
    ASSERT(range->min <= range->max);

    text_format(text, "{\"type\": \"integer\", \"minimum\": %" PRId64, range->min);
    if (range->max < INT64_MAX) {
        text_format(text, ", \"maximum\": %" PRId64, range->max);
    }
    if (range->step > 0) {
        text_format(text, ", \"multipleOf\": %" PRId64, range->step);
    }
    text_put(text, "}");
}

static void put_choices(const struct config_key *key, struct text *text)
{
    struct bytes rest = bytes_of_text(key->choices);
    struct bytes word;
    ASSERT(rest.count > 0);

    text_put(text, "\"enum\": [");
    for (bool is_first = true; config_next_choice(&rest, &word); is_first = false) {
        text_put(text, is_first ? "" : ", ");
        text_put_json_string(text, word);
    }
    text_put(text, "]");
}

/* Put what the value of @key may be, as members of its schema. */
static void put_value_schema(const struct config_key *key, struct text *text)
{
    const struct config_range *range = &key->range;
    ASSERT(range->min >= 0);

    switch (key->type) {
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_BYTES:
    case CONFIG_TYPE_MILLISECONDS:
        text_put(text, "\"anyOf\": [");
        put_bounds(range, text);
        text_put(text, range->has_zero ? ", {\"const\": 0}" : "");
        if (key->type == CONFIG_TYPE_BYTES) {
            text_put(text, ", {\"type\": \"string\", \"pattern\": \"^[0-9]+(B|[KMGT]iB)?$\"}");
        } else if (key->type == CONFIG_TYPE_MILLISECONDS) {
            text_put(text,
                     ", {\"type\": \"string\", \"pattern\": \"^(0|[0-9]+(ns|us|ms|s|m|h))$\"}");
        }
        text_put(text, "]");
        break;
    case CONFIG_TYPE_FLAG:
        text_put(text, "\"type\": \"boolean\"");
        break;
    case CONFIG_TYPE_CHOICE:
        put_choices(key, text);
        break;
    case CONFIG_TYPE_TEXT:
        text_format(text,
                    "\"type\": \"string\", \"minLength\": %" PRId64 ", \"maxLength\": %" PRId64,
                    range->min, range->max);
        break;
    case CONFIG_TYPE_TEXTS:
        text_format(text,
                    "\"type\": \"array\", \"minItems\": %" PRId64 ", \"maxItems\": %" PRId64
                    ", \"items\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": %d}",
                    range->min, range->max, CONFIG_TEXT_BYTES_MAX - 1);
        break;
    }
}

/* Put one property: its name, its sentence, its default, what it may be. */
static void put_property(const struct config_key *key,
                         struct bytes name,
                         size_t depth,
                         struct text *text)
{
    ASSERT(name.count > 0);

    put_line_start(text, depth);
    text_put_json_string(text, name);
    text_put(text, ": {");
    put_line_start(text, depth + 1);
    text_put(text, "\"description\": ");
    text_put_json_string(text, bytes_of_text(key->help));
    text_put(text, ",");
    put_line_start(text, depth + 1);
    put_value_schema(key, text);
    put_line_start(text, depth);
    text_put(text, "}");
}

/* Return how many sections @left and @right have in common; all of them if both are the same. */
static size_t shared_sections(const char *left, const char *right)
{
    ASSERT(left);

    size_t sections = 0;
    for (size_t at = 0; left[at] == right[at] && left[at] != '\0'; at++) {
        sections += left[at] == '.' ? 1 : 0;
    }
    return sections;
}

static size_t count_sections(const char *path)
{
    size_t sections = shared_sections(path, path);
    ASSERT(sections < CONFIG_DEPTH_MAX);
    return sections;
}

static void put_object_start(struct text *text, size_t depth)
{
    put_line_start(text, depth);
    text_put(text, "\"type\": \"object\",");
    put_line_start(text, depth);
    text_put(text, "\"additionalProperties\": false,");
    put_line_start(text, depth);
    text_put(text, "\"properties\": {");
    ASSERT(depth > 0);
}

static void put_object_end(struct text *text, size_t depth)
{
    ASSERT(depth > 0);

    put_line_start(text, depth);
    text_put(text, "}");
    put_line_start(text, depth - 1);
    text_put(text, "}");
}

/* Return the word of @path behind @sections dots. */
static struct bytes path_word(const char *path, size_t sections)
{
    const char *at = path;
    for (size_t passed = 0; passed < sections; passed++) {
        at = strchr(at, '.');
        ASSERT(at);
        at++;
    }
    const char *dot = strchr(at, '.');
    return (struct bytes){(const uint8_t *)at, dot ? (size_t)(dot - at) : strlen(at)};
}

void config_put_schema(const struct config_table *table, struct text *text)
{
    ASSERT(table->count > 0);

    text_put(text, "{");
    put_line_start(text, 1);
    text_put(text, "\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",");
    put_line_start(text, 1);
    text_put(text, "\"title\": \"Pyralog's configuration\",");
    put_object_start(text, 1);
    const char *before = "";
    size_t open = 0;
    for (size_t index = 0; index < table->count; index++) {
        const struct config_key *key = &table->keys[index];
        size_t kept = shared_sections(before, key->path);
        while (open > kept) {
            put_object_end(text, 2 * open + 1);
            open--;
        }
        text_put(text, index == 0 ? "" : ",");
        for (size_t sections = count_sections(key->path); open < sections; open++) {
            put_line_start(text, 2 * open + 2);
            text_put_json_string(text, path_word(key->path, open));
            text_put(text, ": {");
            put_object_start(text, 2 * open + 3);
        }
        put_property(key, path_word(key->path, open), 2 * open + 2, text);
        before = key->path;
    }
    for (; open > 0; open--) {
        put_object_end(text, 2 * open + 1);
    }
    put_object_end(text, 1);
    text_put(text, "\n");
}

/* -- For people -- */

/* Put the default of @key. */
static void put_default(const struct config_key *key, struct text *text)
{
    ASSERT(key->path);

    switch (key->type) {
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_BYTES:
    case CONFIG_TYPE_MILLISECONDS:
        config_put_number(key, key->default_number, text);
        break;
    case CONFIG_TYPE_FLAG:
        text_put(text, key->default_number != 0 ? "true" : "false");
        break;
    case CONFIG_TYPE_CHOICE:
    case CONFIG_TYPE_TEXT:
        text_put_json_string(text, bytes_of_text(key->default_text));
        break;
    case CONFIG_TYPE_TEXTS:
        text_put(text, "[]");
        break;
    }
}

void config_put_markdown(const struct config_table *table, struct text *text)
{
    ASSERT_STATIC(sizeof scope_names / sizeof *scope_names == CONFIG_SCOPE_TOPIC + 1, "all scopes");
    ASSERT(table->count > 0);

    text_put(text, "| key | of a | default | allowed | what it is |\n|---|---|---|---|---|\n");
    for (size_t index = 0; index < table->count; index++) {
        const struct config_key *key = &table->keys[index];
        text_format(text, "| `%s` | %s | `", key->path, scope_names[key->scope]);
        put_default(key, text);
        text_put(text, "` | ");
        config_put_allowed(key, text);
        text_format(text, " | %s |\n", key->help);
    }
}

void config_put_values(const struct config_target *target, struct text *text)
{
    ASSERT(target->values);

    for (size_t index = 0; index < target->table->count; index++) {
        const struct config_key *key = &target->table->keys[index];
        text_format(text, "%s = ", key->path);
        config_put_value(key, target->values, text);
        text_put(text, "  (");
        if (target->origins[index].source == CONFIG_SOURCE_ENVIRONMENT) {
            config_put_variable(key, text);
        } else {
            config_put_origin(target, index, text);
        }
        text_put(text, ")\n");
    }
}
