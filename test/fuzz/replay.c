/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/replay - run a fuzz target over its corpus, as it is and with seeded changes.
 *
 *   replay_batch FOLDER [CHANGES [SEED]]
 *
 * For each file of the folder the target is run on the file, and on CHANGES changes of it. It
 * prints TAP with one case a file, and the seed. The same seed gives the same inputs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "fuzz/fuzz.h"

enum {
    FILES_MAX = 1024,
    FILE_BYTES_MAX = 1 << 20,
    CHANGES_DEFAULT = 2000,
    EDITS_MAX = 4,
    FEW_BYTES = 8,
    KINDS = 6
};

/* Numbers at which decoders break. */
static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x3f, 0x40};

static uint8_t *file_read(const char *path, size_t *ret_count)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    uint8_t *data = malloc(FILE_BYTES_MAX);
    if (data) {
        *ret_count = fread(data, 1, FILE_BYTES_MAX, file);
    }
    (void)fclose(file);
    return data;
}

/* Change something at and behind @position of @data; return the new count of bytes. */
static size_t edit(struct prng *prng, uint8_t *data, size_t count, size_t position)
{
    size_t rest = count - position;
    size_t few = 1 + prng_below(prng, FEW_BYTES);
    uint8_t edge = edges[prng_below(prng, sizeof edges)];
    switch (prng_below(prng, KINDS)) {
    case 0:
        data[position] ^= (uint8_t)(1U << prng_below(prng, 8));
        return count;
    case 1:
        data[position] = edge;
        return count;
    case 2:
        data[position] = (uint8_t)prng_next(prng);
        return count;
    case 3:
        memset(data + position, edge, few < rest ? few : rest);
        return count;
    case 4: /* Move the rest over a few bytes. */
        memmove(data + position, data + position + rest / 4, rest - rest / 4);
        return count;
    default:
        return prng_chance(prng, 1, 4) ? position + 1 : count;
    }
}

/* Change @data, of which there is at least one byte, in place; return its new count. */
static size_t change(struct prng *prng, uint8_t *data, size_t count)
{
    uint64_t edits = 1 + prng_below(prng, EDITS_MAX);
    for (uint64_t nth = 0; nth < edits; nth++) {
        count = edit(prng, data, count, prng_below(prng, count));
    }
    return count;
}

/* Run the target on the file and its changes. */
static int replay(const char *path, uint64_t changes, struct prng *prng)
{
    size_t count = 0;
    uint8_t *data = file_read(path, &count);
    if (!data) {
        return 1;
    }
    (void)LLVMFuzzerTestOneInput(data, count);
    for (uint64_t round = 0; round < changes && count > 0; round++) {
        /* Of exactly its size, so that a sanitizer sees a read past it. */
        uint8_t *changed = malloc(count);
        if (!changed) {
            free(data);
            return 1;
        }
        memcpy(changed, data, count);
        size_t changed_count = change(prng, changed, count);
        uint8_t *shrunk = realloc(changed, changed_count);
        (void)LLVMFuzzerTestOneInput(shrunk ? shrunk : changed, changed_count);
        free(shrunk ? shrunk : changed);
    }
    free(data);
    return 0;
}

static int name_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* List the files of @folder in the order of their names. */
static size_t folder_list(const char *folder, char **ret_names)
{
    DIR *entries = opendir(folder);
    if (!entries) {
        return 0;
    }
    size_t count = 0;
    for (struct dirent *entry = readdir(entries); entry && count < FILES_MAX;
         entry = readdir(entries)) {
        if (entry->d_name[0] != '.') {
            ret_names[count] = strdup(entry->d_name);
            count += ret_names[count] != NULL;
        }
    }
    (void)closedir(entries);
    qsort(ret_names, count, sizeof ret_names[0], name_compare);
    return count;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) {
        (void)fprintf(stderr, "usage: %s FOLDER [CHANGES [SEED]]\n", arguments[0]);
        return 2;
    }
    uint64_t changes = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : CHANGES_DEFAULT;
    uint64_t seed = argument_count > 3 ? strtoull(arguments[3], NULL, 10) : 1;
    static char *names[FILES_MAX];
    size_t count = folder_list(arguments[1], names);
    (void)printf("1..%zu\n# %llu changes a file, seed %llu\n", count, (unsigned long long)changes,
                 (unsigned long long)seed);
    int failed = count == 0;
    for (size_t index = 0; index < count; index++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", arguments[1], names[index]);
        struct prng prng = prng_of(seed, index);
        int result = replay(path, changes, &prng);
        (void)printf("%s %zu - %s\n", result == 0 ? "ok" : "not ok", index + 1, names[index]);
        (void)fflush(stdout); /* The next file may abort. */
        failed |= result;
        free(names[index]);
    }
    return failed;
}
