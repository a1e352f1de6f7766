/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/disk_parts - the structs of the virtual disk, for its own files: files, names, changes,
 * crash.
 *
 * Everything that a snapshot shares has a count of users and is replaced, not changed, while it has
 * more than one: nodes, contents, lists of names, pending entries. The live part (what is open or
 * locked) belongs to one disk and is not copied.
 */
#ifndef SIM_SIM_DISK_PARTS_H
#define SIM_SIM_DISK_PARTS_H

#include "sim/sim_content.h"
#include "sim/sim_disk.h"

/* A write: the blocks it touches as they look after it. Shared. */
struct sim_write {
    uint32_t users;
    bool is_durable;
    int64_t position;
    size_t count;
    size_t block_count;
    struct sim_block *blocks[];
};

/* One unflushed change of a file; the list goes from the newest to the oldest. Shared. */
struct pending {
    uint32_t users;
    bool is_certain;         /* A durable write: no crash takes it back. */
    size_t depth;            /* Entries from here to the oldest, this one included. */
    uint64_t number;         /* Order of all entries of the file, ever. */
    struct sim_write *write; /* Or NULL for a change of length. */
    int64_t bytes;           /* The new length. */
    struct pending *older;
};

/* A name as a text. Shared. */
struct name_text {
    uint32_t users;
    char text[];
};

struct name_row {
    struct name_text *name;
    uint32_t number;
};

/* The names of one folder, sorted. Shared. */
struct names {
    uint32_t users;
    size_t count;
    struct name_row rows[];
};

/* A file or a folder. Shared. */
struct node {
    uint32_t users;
    bool is_folder;
    bool has_lost; /* Durable and cached differ beyond what is pending: a fault was injected. */

    /* A file. */
    struct sim_content *durable;
    struct sim_content *cached;
    struct pending *pending;
    struct pending *flights; /* Writes that have not completed. */
    uint64_t pending_count;  /* Entries ever. */

    /* A folder. */
    struct names *names_durable;
    struct names *names_cached;
};

/* One unflushed change of names. `from` is empty for a new name, `to` for a removed one. */
struct change {
    uint32_t number;
    uint32_t from_folder;
    uint32_t to_folder;
    struct name_text *from;
    struct name_text *to;
};

struct live {
    uint32_t links; /* Names in the cached state. */
    uint32_t opens;
    bool is_locked;
};

struct snapshot {
    struct sim_disk *disk;
    uint64_t mark;
    char text[96];
};

struct sim_disk {
    size_t node_count;
    size_t node_room;
    struct node **nodes; /* By number; NULL where a file is gone for good. The root is number 0. */
    struct live *live;   /* By number. */
    size_t change_count;
    struct change *changes; /* Oldest first. */
    uint64_t blocks_max;

    bool is_recording;
    size_t snapshot_count;
    size_t snapshot_room;
    struct snapshot *snapshots;
};

/* Abort without memory: the simulator is not under test. */
void *sim_must(void *memory);

struct node *node_create(bool is_folder);
void node_unref(struct node *node);
/* Return node `number` as one that may be changed. */
struct node *node_own(struct sim_disk *disk, uint32_t number);
/* Add a node, with one user taken over, and return its number. */
uint32_t node_add(struct sim_disk *disk, struct node *node);

struct name_text *name_create(const char *text, size_t count);
struct name_text *name_ref(struct name_text *name);
void name_unref(struct name_text *name);
struct names *names_ref(struct names *names);
void names_unref(struct names *names);
/* Return the number that stands under `text`, or SIM_NO_FILE. */
uint32_t names_find(const struct names *names, const char *text, size_t count);
/* Replace *names by one in which `name` stands for `number` (SIM_NO_FILE: for nothing). */
void names_set(struct names **names, struct name_text *name, uint32_t number);

void pending_ref_all(struct node *node);
void pending_unref(struct pending *pending);
void write_unref(struct sim_write *write);
/* Return which sectors of the block with index `block` in its list the write touches. */
uint32_t write_mask(const struct sim_write *write, size_t block);
/* Put the entries of a list, oldest first, into a new array of `depth`. Gives: free. */
struct pending **pending_array(struct pending *newest, size_t *ret_count);
/* Apply one entry whole to *content. */
void pending_apply(struct sim_content **content, const struct pending *entry);

/* Apply a change to the durable names. */
void change_apply(struct sim_disk *disk, const struct change *change);
void change_free(struct change *change);
/* Return whether two changes touch one name. */
bool changes_meet(const struct change *one, const struct change *two);
/* Count the cached names of every node anew. */
void live_count(struct sim_disk *disk);

/* Keep a snapshot if the disk is recording. */
void record_event(struct sim_disk *disk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void record_free(struct sim_disk *disk);

#endif /* SIM_SIM_DISK_PARTS_H */
