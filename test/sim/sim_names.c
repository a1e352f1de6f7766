/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/names - folders of the virtual disk: paths, names, and changes of names that are not flushed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/sim_disk.h"
#include "sim/sim_disk_parts.h"

enum { NAME_BYTES_MAX = 255 };

/* -- Names -- */

struct name_text *name_create(const char *text, size_t count)
{
    struct name_text *name = sim_must(malloc(sizeof *name + count + 1));
    name->users = 1;
    memcpy(name->text, text, count);
    name->text[count] = 0;
    return name;
}

struct name_text *name_ref(struct name_text *name)
{
    name->users++;
    return name;
}

void name_unref(struct name_text *name)
{
    if (name) {
        ASSERT(name->users > 0);
        name->users--;
        if (name->users == 0) {
            free(name);
        }
    }
}

struct names *names_ref(struct names *names)
{
    names->users++;
    return names;
}

void names_unref(struct names *names)
{
    ASSERT(names->users > 0);
    names->users--;
    if (names->users > 0) {
        return;
    }
    for (size_t index = 0; index < names->count; index++) {
        name_unref(names->rows[index].name);
    }
    free(names);
}

/* Compare a name with the first `count` bytes of `text`. */
static int compare_name(const struct name_text *name, const char *text, size_t count)
{
    int order = strncmp(name->text, text, count);

    return order != 0 ? order : name->text[count] != 0;
}

/* Return the place at which `text` stands or would stand. */
static size_t names_place(const struct names *names, const char *text, size_t count)
{
    size_t first = 0;
    size_t end = names->count;

    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (compare_name(names->rows[middle].name, text, count) < 0) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return first;
}

uint32_t names_find(const struct names *names, const char *text, size_t count)
{
    size_t place = names_place(names, text, count);

    if (place < names->count && compare_name(names->rows[place].name, text, count) == 0) {
        return names->rows[place].number;
    }
    return SIM_NO_FILE;
}

void names_set(struct names **names, struct name_text *name, uint32_t number)
{
    const struct names *old = *names;
    size_t count = strlen(name->text);
    size_t place = names_place(old, name->text, count);
    bool is_there =
        place < old->count && compare_name(old->rows[place].name, name->text, count) == 0;
    struct names *fresh =
        sim_must(malloc(sizeof *fresh + (old->count + 1) * sizeof(struct name_row)));

    fresh->users = 1;
    fresh->count = 0;
    for (size_t index = 0; index <= old->count; index++) {
        if (index == place && number != SIM_NO_FILE) {
            fresh->rows[fresh->count++] = (struct name_row){name_ref(name), number};
        }
        if (index < old->count && !(index == place && is_there)) {
            fresh->rows[fresh->count] = old->rows[index];
            (void)name_ref(fresh->rows[fresh->count++].name);
        }
    }
    names_unref(*names);
    *names = fresh;
}

/* -- Paths -- */

/* Split `path` into the number of its folder and its last name. A path "/" has an empty name. */
static int resolve(const struct sim_disk *disk,
                   const char *path,
                   uint32_t *ret_folder,
                   struct bytes *ret_name)
{
    uint32_t folder = 0;
    const char *at = path;

    for (;;) {
        while (*at == '/') {
            at++;
        }
        size_t count = strcspn(at, "/");
        if (count > NAME_BYTES_MAX) {
            return ENAMETOOLONG;
        }
        const char *next = at + count;
        while (*next == '/') {
            next++;
        }
        if (*next == 0) {
            *ret_folder = folder;
            *ret_name = (struct bytes){(const uint8_t *)at, count};
            return 0;
        }
        uint32_t number = names_find(disk->nodes[folder]->names_cached, at, count);
        if (number == SIM_NO_FILE) {
            return ENOENT;
        }
        if (!disk->nodes[number]->is_folder) {
            return ENOTDIR;
        }
        folder = number;
        at = next;
    }
}

static uint32_t look_up(const struct sim_disk *disk, uint32_t folder, struct bytes name)
{
    if (name.count == 0) {
        return folder;
    }
    return names_find(disk->nodes[folder]->names_cached, (const char *)name.data, name.count);
}

int disk_find(const struct sim_disk *disk, const char *path, uint32_t *ret_number)
{
    uint32_t folder = 0;
    struct bytes name;
    int error = resolve(disk, path, &folder, &name);
    if (error != 0) {
        return error;
    }

    uint32_t number = look_up(disk, folder, name);
    if (number == SIM_NO_FILE) {
        return ENOENT;
    }
    *ret_number = number;
    return 0;
}

bool disk_is_folder(const struct sim_disk *disk, uint32_t number)
{
    ASSERT(disk->nodes[number]);

    return disk->nodes[number]->is_folder;
}

const char *disk_name(const struct sim_disk *disk,
                      uint32_t number,
                      size_t index,
                      uint32_t *ret_number)
{
    ASSERT(disk_is_folder(disk, number));
    const struct names *names = disk->nodes[number]->names_cached;

    if (index >= names->count) {
        return NULL;
    }
    *ret_number = names->rows[index].number;
    return names->rows[index].name->text;
}

/* -- Changes -- */

void change_free(struct change *change)
{
    name_unref(change->from);
    name_unref(change->to);
}

void change_apply(struct sim_disk *disk, const struct change *change)
{
    if (change->from && disk->nodes[change->from_folder]) {
        struct node *folder = node_own(disk, change->from_folder);
        const char *text = change->from->text;
        if (names_find(folder->names_durable, text, strlen(text)) == change->number) {
            names_set(&folder->names_durable, change->from, SIM_NO_FILE);
        }
    }
    if (change->to && disk->nodes[change->to_folder]) {
        names_set(&node_own(disk, change->to_folder)->names_durable, change->to, change->number);
    }
}

/* Note a change and carry it out in the cached state. The names are taken over. */
static void change_add(struct sim_disk *disk, struct change change)
{
    if (change.from) {
        names_set(&node_own(disk, change.from_folder)->names_cached, change.from, SIM_NO_FILE);
        disk->live[change.number].links--;
    }
    if (change.to) {
        struct node *folder = node_own(disk, change.to_folder);
        uint32_t before =
            names_find(folder->names_cached, change.to->text, strlen(change.to->text));
        if (before != SIM_NO_FILE) {
            disk->live[before].links--;
        }
        names_set(&folder->names_cached, change.to, change.number);
        disk->live[change.number].links++;
    }
    disk->changes =
        sim_must(realloc(disk->changes, (disk->change_count + 1) * sizeof(struct change)));
    disk->changes[disk->change_count++] = change;
    record_event(disk, "name '%s' -> '%s'", change.from ? change.from->text : "",
                 change.to ? change.to->text : "");
}

static struct name_text *name_of(struct bytes name)
{
    return name_create((const char *)name.data, name.count);
}

int disk_make(struct sim_disk *disk, const char *path, bool is_folder, uint32_t *ret_number)
{
    uint32_t folder = 0;
    struct bytes name;
    int error = resolve(disk, path, &folder, &name);
    if (error != 0) {
        return error;
    }
    if (look_up(disk, folder, name) != SIM_NO_FILE) {
        return EEXIST;
    }
    if (disk_blocks_free(disk) == 0) {
        return ENOSPC;
    }

    uint32_t number = node_add(disk, node_create(is_folder));
    change_add(disk, (struct change){.number = number, .to_folder = folder, .to = name_of(name)});
    *ret_number = number;
    return 0;
}

int disk_rename(struct sim_disk *disk, const char *from, const char *to)
{
    uint32_t from_folder = 0;
    uint32_t to_folder = 0;
    struct bytes from_name;
    struct bytes to_name;
    int error = resolve(disk, from, &from_folder, &from_name);
    error = error != 0 ? error : resolve(disk, to, &to_folder, &to_name);
    if (error != 0) {
        return error;
    }
    uint32_t number = look_up(disk, from_folder, from_name);
    uint32_t before = look_up(disk, to_folder, to_name);
    if (number == SIM_NO_FILE) {
        return ENOENT;
    }
    if (number == before) {
        return 0;
    }
    if (before != SIM_NO_FILE && disk_is_folder(disk, before)) {
        if (!disk_is_folder(disk, number)) {
            return EISDIR;
        }
        if (disk->nodes[before]->names_cached->count > 0) {
            return ENOTEMPTY;
        }
    }
    if (before != SIM_NO_FILE && !disk_is_folder(disk, before) && disk_is_folder(disk, number)) {
        return ENOTDIR;
    }

    change_add(disk, (struct change){.number = number,
                                     .from_folder = from_folder,
                                     .to_folder = to_folder,
                                     .from = name_of(from_name),
                                     .to = name_of(to_name)});
    return 0;
}

int disk_remove(struct sim_disk *disk, const char *path)
{
    uint32_t folder = 0;
    struct bytes name;
    int error = resolve(disk, path, &folder, &name);
    if (error != 0) {
        return error;
    }
    uint32_t number = look_up(disk, folder, name);
    if (number == SIM_NO_FILE) {
        return ENOENT;
    }
    if (name.count == 0) {
        return EBUSY;
    }
    if (disk_is_folder(disk, number) && disk->nodes[number]->names_cached->count > 0) {
        return ENOTEMPTY;
    }

    change_add(disk,
               (struct change){.number = number, .from_folder = folder, .from = name_of(name)});
    return 0;
}

bool changes_meet(const struct change *one, const struct change *two)
{
    const struct name_text *ones[2] = {one->from, one->to};
    const struct name_text *twos[2] = {two->from, two->to};
    uint32_t one_folders[2] = {one->from_folder, one->to_folder};
    uint32_t two_folders[2] = {two->from_folder, two->to_folder};

    for (size_t index = 0; index < 4; index++) {
        const struct name_text *left = ones[index / 2];
        const struct name_text *right = twos[index % 2];
        if (left && right && one_folders[index / 2] == two_folders[index % 2] &&
            strcmp(left->text, right->text) == 0) {
            return true;
        }
    }
    return false;
}

/* Return the name of `number` among `names`, NULL if it has none there. */
static const char *name_of_number(const struct names *names, size_t number)
{
    for (size_t row = 0; row < names->count; row++) {
        if (names->rows[row].number == number) {
            return names->rows[row].name->text;
        }
    }
    return NULL;
}

/* Return whether the durable names of any folder have `number`. */
static bool has_durable_name(const struct sim_disk *disk, size_t number)
{
    for (size_t folder = 0; folder < disk->node_count; folder++) {
        const struct node *node = disk->nodes[folder];
        if (node && node->is_folder && name_of_number(node->names_durable, number)) {
            return true;
        }
    }
    return false;
}

/* Files that no name, durable or cached, no change and no handle knows any more are gone. */
static void sweep(struct sim_disk *disk)
{
    for (size_t number = 1; number < disk->node_count; number++) {
        bool is_used =
            !disk->nodes[number] || disk->live[number].links > 0 || disk->live[number].opens > 0;
        for (size_t index = 0; index < disk->change_count && !is_used; index++) {
            const struct change *change = &disk->changes[index];
            is_used = change->number == number || (change->from && change->from_folder == number) ||
                      (change->to && change->to_folder == number);
        }
        if (!is_used && !has_durable_name(disk, number)) {
            node_unref(disk->nodes[number]);
            disk->nodes[number] = NULL;
        }
    }
}

int disk_sync_folder(struct sim_disk *disk, const char *path)
{
    uint32_t folder = 0;
    int error = disk_find(disk, path, &folder);
    if (error != 0) {
        return error;
    }
    if (!disk_is_folder(disk, folder)) {
        return ENOTDIR;
    }

    /* From the newest to the oldest: what touches the folder, and what an already chosen change of
     * the same name must not overtake. */
    bool *chosen = sim_must(calloc(disk->change_count + 1, sizeof *chosen));
    for (size_t index = disk->change_count; index-- > 0;) {
        const struct change *change = &disk->changes[index];
        chosen[index] = (change->from && change->from_folder == folder) ||
                        (change->to && change->to_folder == folder);
        for (size_t later = index + 1; later < disk->change_count && !chosen[index]; later++) {
            chosen[index] = chosen[later] && changes_meet(change, &disk->changes[later]);
        }
    }
    size_t kept = 0;
    for (size_t index = 0; index < disk->change_count; index++) {
        struct change change = disk->changes[index];
        if (chosen[index]) {
            change_apply(disk, &change);
            change_free(&change);
        } else {
            disk->changes[kept++] = change;
        }
    }
    bool has_changed = kept != disk->change_count;
    disk->change_count = kept;
    free(chosen);
    if (has_changed) {
        sweep(disk);
        record_event(disk, "sync folder '%s'", path);
    }
    return 0;
}

void live_count(struct sim_disk *disk)
{
    for (size_t index = 0; index < disk->node_count; index++) {
        const struct node *node = disk->nodes[index];
        size_t count = node && node->is_folder ? node->names_cached->count : 0;
        for (size_t row = 0; row < count; row++) {
            disk->live[node->names_cached->rows[row].number].links++;
        }
    }
    disk->live[0].links = 1;
}

/* -- Listing files -- */

size_t sim_disk_file_count(const struct sim_disk *disk)
{
    size_t count = 0;

    for (size_t index = 0; index < disk->node_count; index++) {
        count +=
            disk->nodes[index] && !disk->nodes[index]->is_folder && disk->live[index].links > 0;
    }
    return count;
}

/* Put "/" and the name of `number`, and the names of its folders before it, at the end of `path`.
 * Return where they begin. */
static size_t path_before(const struct sim_disk *disk, uint32_t number, struct bytes_mut path)
{
    size_t begin = path.count - 1;
    path.data[begin] = 0;

    for (size_t folder = 0; folder < disk->node_count && number != 0; folder++) {
        const struct node *node = disk->nodes[folder];
        bool is_folder = node && node->is_folder;
        const char *text = is_folder ? name_of_number(node->names_cached, number) : NULL;
        if (!text) {
            continue;
        }
        size_t letters = strlen(text);
        ASSERT(begin > letters);
        begin -= letters + 1;
        path.data[begin] = '/';
        memcpy(path.data + begin + 1, text, letters);
        number = (uint32_t)folder;
        folder = SIZE_MAX; /* Look for the folder's own name, from the start. */
    }
    return begin;
}

int64_t sim_disk_file(const struct sim_disk *disk, size_t index, struct bytes_mut path)
{
    for (size_t number = 0; number < disk->node_count; number++) {
        const struct node *node = disk->nodes[number];
        if (!node || node->is_folder || disk->live[number].links == 0) {
            continue;
        }
        if (index-- == 0) {
            size_t begin = path_before(disk, (uint32_t)number, path);
            memmove(path.data, path.data + begin, path.count - begin);
            return content_bytes(node->cached);
        }
    }
    ASSERT(index == 0 && false);
    return 0;
}
