/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault/member_case - three members of a replicated log by hand: each with a real shard on a
 * simulated disk of its own, and letters carried between them.
 *
 * There is one trio a process at a time. Clocks stay together, beats are carried, nothing is lost
 * but to members that are cut off or down.
 */
#ifndef FAULT_MEMBER_CASE_H
#define FAULT_MEMBER_CASE_H

#include "fault/shard_case.h"
#include "partition/member.h"

enum {
    MEMBERS = 3,
    MEMBERS_ROUNDS_MAX = 20000, /* Turns that are waited for anything. */
    MEMBERS_LETTERS_MAX = 256,
};

/* A letter on its way. */
struct member_on_way {
    int from;
    int to;
    struct member_letter letter;
    uint8_t *batches; /* Its own copy. */
};

struct member_node {
    int number;
    struct sim_disk *disk;
    struct shard_life life;
    struct member *member; /* NULL: down. */
    struct partition *log;
    uint64_t starts;
    bool is_cut; /* No letter goes in or out. */
};

struct members {
    struct member_node nodes[MEMBERS];
    struct member_on_way letters[MEMBERS_LETTERS_MAX];
    uint32_t letter_count;
    struct quorum_config config;
    uint64_t cache_bytes;
    uint64_t fold_save_bytes; /* As in struct member_options, from the next start on. */
    uint64_t segment_bytes;   /* Of logs that are started from now on. */
    uint32_t corrupt_next;    /* Letters with batches that lose a bit on their way. */
};

/* The trio. */
extern struct members members;

/** Start three members whose commits need @write_quorum of them; @cache as in struct shard_life. */
void members_begin(int32_t write_quorum, uint64_t cache);

/** Stop all and give everything back. */
void members_end(void);

/** Start member @number, on the disk that it has. */
void members_start(int number);

/** Stop member @number: cleanly, or as it stands, with what its disk has not flushed lost. */
void members_stop(int number, bool is_crash);

/** Let everything happen once. */
void members_turn(void);

/** Return who leads and takes appends, or -1. */
int members_lead(void);

/** Turn until somebody leads, and return who. */
int members_lead_wait(void);

/** Append a batch of one record at @number; PYR_ERR_BUSY is waited for. */
MUST_CHECK enum pyr_err members_append(int number,
                                       uint64_t value,
                                       struct member_proposal *ret_proposal);

/** Turn until all that are up have everything, committed. */
void members_level_wait(void);

/** Read all that is committed at @number. Gives: free. */
uint8_t *members_read(int number, size_t *ret_count);

/** Hold the bytes of all that are up against each other. */
void members_check(void);

#endif /* FAULT_MEMBER_CASE_H */
