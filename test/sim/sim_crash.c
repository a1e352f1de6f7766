/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/crash - what a crash leaves of a virtual disk, and the recording of a workload's events.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/sim_disk.h"
#include "sim/sim_disk_parts.h"
#include "sim/sim_random.h"

enum { SNAPSHOTS_FIRST = 256 };

/* How the sectors of one crash are chosen. */
enum choice {
    CHOICE_NONE,
    CHOICE_ALL,
    CHOICE_HALF,   /* Each sector by a coin. */
    CHOICE_FEW,    /* One sector in 16 survives. */
    CHOICE_MOST,   /* One sector in 16 is lost. */
    CHOICE_WRITES, /* Each write whole or not at all. */
    CHOICE_PREFIX, /* Writes in their order up to one that is torn. */
    CHOICE_END,
};

struct crash {
    enum choice choice;
    enum choice name_choice;
    uint32_t garbage_one_in; /* Of the lost sectors; 0 is none. */
    struct sim_random random;
};

static struct crash crash_begin(enum sim_crash how, uint64_t seed)
{
    struct crash crash = {.random = sim_random_of(seed)};

    switch (how) {
    case SIM_CRASH_NONE:
        crash.choice = CHOICE_NONE;
        crash.name_choice = CHOICE_NONE;
        break;
    case SIM_CRASH_ALL:
        crash.choice = CHOICE_ALL;
        crash.name_choice = CHOICE_ALL;
        break;
    case SIM_CRASH_DATA:
        crash.choice = CHOICE_ALL;
        crash.name_choice = CHOICE_NONE;
        break;
    case SIM_CRASH_NAMES:
        crash.choice = CHOICE_NONE;
        crash.name_choice = CHOICE_ALL;
        break;
    case SIM_CRASH_SECTORS:
        crash.choice = CHOICE_HALF;
        crash.name_choice = CHOICE_HALF;
        break;
    case SIM_CRASH_RANDOM:
        crash.choice = (enum choice)sim_random_below(&crash.random, CHOICE_END);
        crash.name_choice = (enum choice)sim_random_below(&crash.random, CHOICE_HALF + 1);
        crash.garbage_one_in = sim_random_below(&crash.random, 8) == 0 ? 4 : 0;
        break;
    }
    return crash;
}

/* -- Files -- */

/* Choose which of the sectors of `mask` survive. `write_survives` was drawn for the whole write. */
static uint32_t choose_sectors(struct crash *crash, uint32_t mask, bool write_survives)
{
    uint32_t one_in = 0;

    switch (crash->choice) {
    case CHOICE_NONE:
    case CHOICE_END:
        return 0;
    case CHOICE_ALL:
        return mask;
    case CHOICE_WRITES:
        return write_survives ? mask : 0;
    case CHOICE_HALF:
    case CHOICE_PREFIX:
        return mask & (uint32_t)sim_random_next(&crash->random);
    case CHOICE_FEW:
    case CHOICE_MOST:
        one_in = 16;
        break;
    }
    uint32_t drawn = 0;
    for (uint32_t sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
        drawn |= (uint32_t)(sim_random_below(&crash->random, one_in) == 0) << sector;
    }
    return crash->choice == CHOICE_FEW ? mask & drawn : mask & ~drawn;
}

/* Fill some of the sectors of `mask` with garbage. */
static void spill_garbage(struct crash *crash,
                          struct sim_content **content,
                          uint64_t index,
                          uint32_t mask)
{
    if (crash->garbage_one_in == 0 || mask == 0) {
        return;
    }
    struct sim_block *block = block_create(NULL);
    uint32_t chosen = 0;
    for (uint32_t sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
        if (sim_random_below(&crash->random, crash->garbage_one_in) == 0) {
            chosen |= 1U << sector;
        }
    }
    for (size_t at = 0; at < BLOCK_BYTES; at += sizeof(uint64_t)) {
        uint64_t value = sim_random_next(&crash->random);
        memcpy(block->data + at, &value, sizeof value);
    }
    content_put_sectors(content, index, mask & chosen, block);
    block_unref(block);
}

/* Apply a part of `write` to *content: all of it if `is_certain`. */
static void crash_write(struct crash *crash,
                        struct sim_content **content,
                        const struct sim_write *write,
                        bool is_certain)
{
    uint64_t first = (uint64_t)write->position / BLOCK_BYTES;
    bool write_survives = sim_random_below(&crash->random, 2) == 0;

    for (size_t index = 0; index < write->block_count; index++) {
        uint32_t mask = write_mask(write, index);
        uint32_t kept = is_certain ? mask : choose_sectors(crash, mask, write_survives);
        content_put_sectors(content, first + index, kept, write->blocks[index]);
        if (!is_certain) {
            spill_garbage(crash, content, first + index, mask & ~kept);
        }
    }
}

/* Return how many of the entries' length changes survive: at least those before the last certain
 * write. */
static size_t choose_lengths(struct crash *crash, struct pending **entries, size_t count)
{
    size_t all = 0;
    size_t least = 0;

    for (size_t index = 0; index < count; index++) {
        all += !entries[index]->write;
        least = entries[index]->is_certain ? all : least;
    }
    if (crash->choice == CHOICE_NONE) {
        return least;
    }
    if (crash->choice == CHOICE_ALL || all == least) {
        return all;
    }
    return least + sim_random_below(&crash->random, (uint32_t)(all - least + 1));
}

/* Apply a part of a list to *content. */
static void crash_list(struct crash *crash, struct sim_content **content, struct pending *list)
{
    size_t count = 0;
    struct pending **entries = pending_array(list, &count);
    size_t lengths = choose_lengths(crash, entries, count);
    size_t prefix = count == 0 ? 0 : sim_random_below(&crash->random, (uint32_t)count + 1);
    enum choice choice = crash->choice;

    for (size_t index = 0; index < count; index++) {
        bool is_length = !entries[index]->write;
        if (is_length && lengths > 0) {
            content_set_bytes(content, entries[index]->bytes);
            lengths--;
        }
        if (is_length) {
            continue;
        }
        if (choice == CHOICE_PREFIX && index != prefix) {
            crash->choice = index < prefix ? CHOICE_ALL : CHOICE_NONE;
        }
        crash_write(crash, content, entries[index]->write, entries[index]->is_certain);
        crash->choice = choice;
    }
    free(entries);
}

/* Let some of the writes in flight make the file longer, up to the end of any of their sectors. */
static void crash_extend(struct crash *crash, struct sim_content **content, struct pending *flights)
{
    for (const struct pending *entry = flights; entry; entry = entry->older) {
        int64_t sectors = ((int64_t)entry->write->count + SECTOR_BYTES - 1) / SECTOR_BYTES;
        int64_t end = entry->write->position + (int64_t)entry->write->count;
        if (crash->choice != CHOICE_ALL) {
            sectors = sim_random_below(&crash->random, (uint32_t)sectors + 1);
            int64_t reached = entry->write->position + sectors * SECTOR_BYTES;
            end = reached < end ? reached : end;
        }
        if (crash->choice != CHOICE_NONE && end > content_bytes(*content)) {
            content_set_bytes(content, end);
        }
    }
}

/* Return what a crash leaves of a file; `node` itself if nothing was at stake. */
static struct node *crash_file(struct crash *crash, struct node *node)
{
    if (!node->pending && !node->flights && node->durable == node->cached) {
        node->users++;
        return node;
    }
    struct node *left = sim_must(calloc(1, sizeof *left));
    left->users = 1;
    left->durable = content_ref(node->durable);
    crash_list(crash, &left->durable, node->pending);
    crash_extend(crash, &left->durable, node->flights);
    crash_list(crash, &left->durable, node->flights);
    content_trim(&left->durable);
    left->cached = content_ref(left->durable);
    return left;
}

/* -- Names -- */

/* Apply a part of the changes to the durable names of `image`: of each name a first part. */
static void crash_names(struct crash *crash, struct sim_disk *image, const struct sim_disk *disk)
{
    bool *lost = sim_must(calloc(disk->change_count + 1, sizeof *lost));

    for (size_t index = 0; index < disk->change_count; index++) {
        const struct change *change = &disk->changes[index];
        if (crash->name_choice == CHOICE_NONE) {
            lost[index] = true;
        } else if (crash->name_choice != CHOICE_ALL) {
            lost[index] = sim_random_below(&crash->random, 2) == 0;
        }
        for (size_t before = 0; before < index && !lost[index]; before++) {
            lost[index] = lost[before] && changes_meet(&disk->changes[before], change);
        }
        if (!lost[index]) {
            change_apply(image, change);
        }
    }
    free(lost);
}

/* -- Images -- */

static struct sim_disk *disk_shell(const struct sim_disk *disk)
{
    struct sim_disk *shell = sim_must(calloc(1, sizeof *shell));
    shell->blocks_max = disk->blocks_max;
    shell->node_count = disk->node_count;
    shell->node_room = disk->node_count;
    shell->nodes = sim_must(calloc(shell->node_room, sizeof(struct node *)));
    shell->live = sim_must(calloc(shell->node_room, sizeof *shell->live));
    return shell;
}

struct sim_disk *sim_disk_copy(const struct sim_disk *disk)
{
    struct sim_disk *copy = disk_shell(disk);

    for (size_t index = 0; index < disk->node_count; index++) {
        copy->nodes[index] = disk->nodes[index];
        if (copy->nodes[index]) {
            copy->nodes[index]->users++;
        }
        copy->live[index].links = disk->live[index].links;
    }
    copy->change_count = disk->change_count;
    copy->changes = sim_must(calloc(disk->change_count + 1, sizeof(struct change)));
    for (size_t index = 0; index < disk->change_count; index++) {
        copy->changes[index] = disk->changes[index];
        if (copy->changes[index].from) {
            (void)name_ref(copy->changes[index].from);
        }
        if (copy->changes[index].to) {
            (void)name_ref(copy->changes[index].to);
        }
    }
    return copy;
}

struct sim_disk *sim_disk_crash(const struct sim_disk *disk, enum sim_crash how, uint64_t seed)
{
    struct crash crash = crash_begin(how, seed);
    struct sim_disk *image = disk_shell(disk);

    for (size_t index = 0; index < disk->node_count; index++) {
        struct node *node = disk->nodes[index];
        if (node && !node->is_folder) {
            image->nodes[index] = crash_file(&crash, node);
        } else if (node) {
            node->users++;
            image->nodes[index] = node;
        }
    }
    crash_names(&crash, image, disk);
    for (size_t index = 0; index < image->node_count; index++) {
        struct node *node = image->nodes[index];
        if (node && node->is_folder && node->names_cached != node->names_durable) {
            node = node_own(image, (uint32_t)index);
            names_unref(node->names_cached);
            node->names_cached = names_ref(node->names_durable);
        }
    }
    live_count(image);
    return image;
}

/* -- Recording -- */

void record_event(struct sim_disk *disk, const char *format, ...)
{
    if (!disk->is_recording) {
        return;
    }
    if (disk->snapshot_count == disk->snapshot_room) {
        disk->snapshot_room = disk->snapshot_room == 0 ? SNAPSHOTS_FIRST : disk->snapshot_room * 2;
        disk->snapshots =
            sim_must(realloc(disk->snapshots, disk->snapshot_room * sizeof *disk->snapshots));
    }
    size_t count = disk->snapshot_count;
    struct snapshot *snapshot = &disk->snapshots[count];
    *snapshot = (struct snapshot){.disk = sim_disk_copy(disk)};
    snapshot->mark = count > 0 ? disk->snapshots[count - 1].mark : 0;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(snapshot->text, sizeof snapshot->text, format, arguments);
    va_end(arguments);
    disk->snapshot_count++;
}

void record_free(struct sim_disk *disk)
{
    for (size_t index = 0; index < disk->snapshot_count; index++) {
        sim_disk_destroy(disk->snapshots[index].disk);
    }
    free(disk->snapshots);
    disk->snapshots = NULL;
    disk->snapshot_count = 0;
    disk->snapshot_room = 0;
    disk->is_recording = false;
}

void sim_record_start(struct sim_disk *disk)
{
    ASSERT(!disk->is_recording);

    disk->is_recording = true;
    record_event(disk, "start");
}

void sim_record_stop(struct sim_disk *disk)
{
    disk->is_recording = false;
}

void sim_record_mark(struct sim_disk *disk, uint64_t mark)
{
    if (disk->is_recording) {
        ASSERT(disk->snapshot_count > 0);
        disk->snapshots[disk->snapshot_count - 1].mark = mark;
    }
}

size_t sim_record_count(const struct sim_disk *disk)
{
    return disk->snapshot_count;
}

struct sim_disk *sim_record_image(const struct sim_disk *disk,
                                  size_t index,
                                  enum sim_crash how,
                                  uint64_t seed,
                                  uint64_t *ret_mark)
{
    ASSERT(index < disk->snapshot_count);

    *ret_mark = disk->snapshots[index].mark;
    return sim_disk_crash(disk->snapshots[index].disk, how, seed);
}

const char *sim_record_text(const struct sim_disk *disk, size_t index)
{
    ASSERT(index < disk->snapshot_count);

    return disk->snapshots[index].text;
}
