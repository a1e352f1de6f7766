/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/read - the walk over cJSON's tree, and over the places beside it.
 *
 * Both have the order of the text, so that the item and the place of a value are stepped together:
 * the item has its decoded name and strings, the place its line and the digits of its number. The
 * walk keeps a stack of fixed depth, of the siblings that come next and the path so far.
 */
#include "config/read.h"

#include <cjson/cJSON.h>

#include "base/assert.h"
#include "base/parse.h"
#include "config/value.h"

/* An object that is being read. */
struct level {
    const cJSON *item;  /* The object. */
    const cJSON *next;  /* Its member that comes next. */
    size_t first_place; /* The place of its first member. */
    size_t path_bytes;  /* Of the path, up to and with this object. */
};

/* A file being read. */
struct reader {
    struct config_target *target;
    const struct config_scan *scan;
    struct config_problems *problems;
    size_t place; /* Of the member at hand. */
    char path_room[CONFIG_PATH_BYTES_MAX * 2];
    struct text path; /* Of the member at hand. */
    struct level levels[CONFIG_DEPTH_MAX + 1];
    size_t depth;
};

/* -- Problems -- */

/* Add the problem @what of the member at hand at @spot. */
static void problem_at(struct reader *reader, struct config_spot spot, const struct text *what)
{
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text message = text_of(room, sizeof room);
    ASSERT(spot.line > 0);

    text_format(&message, "%s:%u:%u: ", reader->target->file_name, spot.line, spot.column);
    if (reader->path.count > 0) {
        config_put_shown(&message,
                         (struct bytes){(const uint8_t *)reader->path.data, reader->path.count});
        text_put(&message, ": ");
    }
    text_put(&message, what->data);
    config_problem_add(reader->problems, &message);
}

/* Put what stands at @place, as the file has it. */
static void put_found(struct text *text, const struct config_place *place)
{
    ASSERT(place->source.count > 0);

    text_put(text, "found ");
    if (place->kind == CONFIG_KIND_OBJECT || place->kind == CONFIG_KIND_LIST) {
        text_put(text, place->kind == CONFIG_KIND_OBJECT ? "an object" : "a list");
    } else {
        config_put_shown(text, place->source);
    }
    text_put(text, "; allowed: ");
}

static void problem_unknown(struct reader *reader, const struct config_place *place)
{
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text what = text_of(room, sizeof room);
    struct bytes path = {(const uint8_t *)reader->path.data, reader->path.count};
    struct bytes nearest;
    ASSERT(path.count < sizeof reader->path_room);

    text_put(&what, "unknown key");
    if (config_nearest(reader->target->table, path, &nearest)) {
        bool is_same = bytes_equal(nearest, path);
        text_put(&what, is_same ? "; a dot is no part of a name, write sections as objects: '"
                                : "; did you mean '");
        text_put_bytes(&what, nearest);
        text_put(&what, is_same ? "'" : "'?");
    } else {
        text_put(&what, "; docs/configuration.md has all keys");
    }
    problem_at(reader, place->key, &what);
}

static void problem_value(struct reader *reader,
                          const struct config_place *place,
                          const struct config_key *key)
{
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text what = text_of(room, sizeof room);
    ASSERT(place->value.line > 0);

    put_found(&what, place);
    if (key) {
        config_put_allowed(key, &what);
    } else {
        text_put(&what, "an object, {...}");
    }
    problem_at(reader, place->value, &what);
}

/* -- Values -- */

/* Set @key to the number at @place, whose digits are not rounded. */
static bool set_number(const struct config_key *key, void *values, struct bytes digits)
{
    static const struct parse_range any = {.min = INT64_MIN + 1, .max = INT64_MAX};
    char text[CONFIG_NUMBER_BYTES_MAX + 1] = {0};
    ASSERT(digits.count < sizeof text);

    memcpy(text, digits.data, digits.count);
    int64_t number = 0;
    return parse_number(text, any, &number, NULL) == PYR_OK &&
           config_set_number(key, values, number);
}

static bool set_list(const struct config_key *key, void *values, const cJSON *item)
{
    ASSERT(cJSON_IsArray(item));

    struct config_texts list = {0};
    for (const cJSON *element = item->child; element; element = element->next) {
        size_t count = cJSON_IsString(element) ? strlen(element->valuestring) : SIZE_MAX;
        if (count >= CONFIG_TEXT_BYTES_MAX || list.count == CONFIG_TEXTS_MAX) {
            return false;
        }
        memcpy(list.texts[list.count++], element->valuestring, count);
    }
    return config_set_texts(key, values, &list);
}

/* Set @key to what stands at @place, which is @item. */
static bool set_value(const struct config_key *key,
                      void *values,
                      const struct config_place *place,
                      const cJSON *item)
{
    switch (place->kind) {
    case CONFIG_KIND_TRUE:
    case CONFIG_KIND_FALSE:
        return config_set_flag(key, values, place->kind == CONFIG_KIND_TRUE);
    case CONFIG_KIND_NUMBER:
        return set_number(key, values, place->source);
    case CONFIG_KIND_STRING:
        ASSERT(cJSON_IsString(item)); /* CFG-4 */
        return config_set_string(key, values, item->valuestring);
    case CONFIG_KIND_LIST:
        return set_list(key, values, item);
    case CONFIG_KIND_OBJECT:
    case CONFIG_KIND_NULL:
        break;
    }
    return false;
}

/* -- The walk -- */

/* Add a problem if an earlier member of @level has the name of @item, too. */
static bool is_doubled(struct reader *reader, const struct level *level, const cJSON *item)
{
    size_t place = level->first_place;
    for (const cJSON *other = level->item->child; other != item; other = other->next) {
        ASSERT(place < reader->place);
        if (strcmp(other->string, item->string) != 0) {
            place = reader->scan->places[place].end;
            continue;
        }
        char room[CONFIG_PROBLEM_BYTES_MAX];
        struct text what = text_of(room, sizeof room);
        text_format(&what, "doubled key; it stands in line %u before, allowed: once",
                    reader->scan->places[place].key.line);
        problem_at(reader, reader->scan->places[reader->place].key, &what);
        return true;
    }
    return false;
}

/* Go into the object @item at the place at hand. */
static void level_push(struct reader *reader, const cJSON *item)
{
    ASSERT(reader->depth <= CONFIG_DEPTH_MAX);

    reader->levels[reader->depth++] = (struct level){.item = item,
                                                     .next = item->child,
                                                     .first_place = reader->place + 1,
                                                     .path_bytes = reader->path.count};
    reader->place++;
}

/* Read the member @item at the place at hand, and go on behind it, or into it. */
static void member_read(struct reader *reader, const struct level *level, const cJSON *item)
{
    ASSERT(reader->place < reader->scan->place_count); /* CFG-4 */
    const struct config_place *place = &reader->scan->places[reader->place];
    struct config_target *target = reader->target;
    ASSERT(place->key.line > 0); /* CFG-4: it has a name, as its item. */

    struct bytes path = {(const uint8_t *)reader->path.data, reader->path.count};
    bool is_name = !strchr(item->string, '.') && !reader->path.is_cut;
    size_t index = 0;
    if (is_doubled(reader, level, item)) {
        reader->place = place->end;
    } else if (is_name && config_find(target->table, path, &index)) {
        const struct config_key *key = &target->table->keys[index];
        if (set_value(key, target->values, place, item)) {
            target->origins[index] =
                (struct config_origin){CONFIG_SOURCE_FILE, place->value.line, place->value.column};
        } else {
            problem_value(reader, place, key); /* CFG-5 */
        }
        reader->place = place->end;
    } else if (is_name && config_is_section(target->table, path)) {
        if (place->kind == CONFIG_KIND_OBJECT) {
            level_push(reader, item);
            return;
        }
        problem_value(reader, place, NULL);
        reader->place = place->end;
    } else {
        problem_unknown(reader, place);
        reader->place = place->end;
    }
}

static void walk(struct reader *reader, const cJSON *root)
{
    if (!cJSON_IsObject(root)) {
        problem_value(reader, &reader->scan->places[0], NULL);
        return;
    }
    level_push(reader, root);
    while (reader->depth > 0) {
        struct level *level = &reader->levels[reader->depth - 1];
        const cJSON *item = level->next;
        if (!item) {
            reader->depth--;
            continue;
        }
        level->next = item->next;
        ASSERT(reader->place < reader->scan->place_count); /* CFG-4 */
        reader->path.count = level->path_bytes;
        reader->path.data[level->path_bytes] = '\0';
        reader->path.is_cut = false;
        text_put(&reader->path, level->path_bytes > 0 ? "." : "");
        text_put(&reader->path, item->string);
        member_read(reader, level, item);
    }
    ASSERT(reader->place == reader->scan->place_count); /* CFG-4 */
}

enum pyr_err config_read(struct config_target *target,
                         const char *file_name,
                         struct bytes input,
                         struct config_scan *scan,
                         struct config_problems *problems,
                         struct pyr_error *reterr)
{
    ASSERT(file_name);
    ASSERT(target->values);

    struct reader reader = {.target = target, .scan = scan, .problems = problems};
    reader.path = text_of(reader.path_room, sizeof reader.path_room);
    target->file_name = file_name;
    char room[CONFIG_PROBLEM_BYTES_MAX];
    struct text why = text_of(room, sizeof room);
    struct config_spot spot;
    if (!config_scan(input, scan, &spot, &why)) {
        problem_at(&reader, spot, &why);
        return PYR_OK;
    }
    cJSON *root = cJSON_ParseWithLength(scan->plain, scan->plain_count);
    if (!root) {
        /* CFG-4: cJSON takes whatever the scan takes, so that only memory can be missing. */
        return err_set(reterr, PYR_ERR_NO_MEMORY, "read '%s': out of memory", file_name);
    }
    walk(&reader, root);
    cJSON_Delete(root);
    return PYR_OK;
}
