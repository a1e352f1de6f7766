/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world - a whole cluster in one process, under one virtual time, driven by one seed.
 *
 *      seed -> [world_options_draw] -> options -> [world_run] -> verdict, counts, hash
 *
 *      clients ---> node 1: member, partition, shard, journal, segments -> sim_io -> sim_disk
 *         |    .       ^ letters
 *         |     .      v
 *         |      -> node 2: ...             each with a clock of its own, fast or slow
 *         v
 *      [judge]  what was acknowledged stays, everywhere, in its order, durable
 *
 * The nodes are the real code from src/ down to the bytes of the journal; the network, the disks,
 * the clocks and the clients are not. A run has three phases. In the first everything breaks: nodes
 * crash at any completion of an operation and come back, links lose, delay, repeat, reorder and
 * cut, disks are slow, clocks drift and jump. Then all of it ends, for a random core of nodes that
 * can elect and commit: it must come to agree, hold everything that was acknowledged, and commit
 * more. Then for the rest.
 *
 * The judge looks after every step of every node; see world_judge.c for what it holds to be true.
 *
 * Options are all a run depends on: the same options give the same run, event for event, and the
 * hash says so. Every number of them can be changed after the draw.
 *
 * Threads: a world belongs to one; several may run in several.   Memory: plain malloc.
 */
#ifndef CLUSTER_WORLD_H
#define CLUSTER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    WORLD_NODES_MAX = 7,
    WORLD_LOGS_MAX = 3,
    WORLD_IN_FLIGHT_MAX = 63,
    WORLD_VIOLATION_BYTES = 512,
};

/* Nanoseconds, for the bounds of world_numbers.def. */
#define WORLD_MS   UINT64_C(1000000)
#define WORLD_S    UINT64_C(1000000000)
#define WORLD_HOUR UINT64_C(3600000000000)

/* What can be made to happen, X(name, what it is). Those below the line go beyond what the nodes
 * promise to survive so far: their weights are 0 unless somebody sets them. */
#define WORLD_FAULTS(X)                                                                \
    X(crash, "a node falls")                                                           \
    X(crash_leader, "the node that leads some log falls")                              \
    X(crash_later, "a node falls after a few more of its events")                      \
    X(crash_promise, "a node falls in the moment of its next promise")                 \
    X(crash_lead, "a node falls soon after it next opens an epoch")                    \
    X(blink, "a node falls and is back at once")                                       \
    X(crash_all, "all nodes fall at once")                                             \
    X(isolate, "a node hears and reaches nobody")                                      \
    X(isolate_leader, "a node that leads hears and reaches nobody")                    \
    X(cut_in, "a node hears nobody")                                                   \
    X(cut_out, "a node reaches nobody")                                                \
    X(cut_link, "one link is cut, one way")                                            \
    X(cut_leader, "one node does not hear the leader of a log")                        \
    X(siege, "one is deaf to the leader; then the leader is cut off and others blink") \
    X(split, "two groups do not hear each other")                                      \
    X(storm, "all links lose every third letter")                                      \
    X(slow_link, "the links of a node take a large part of the timeout")               \
    X(pause, "a node stands still for a while, its clock goes on")                     \
    X(slow_disk, "a node's disk is a hundred times slower")                            \
    X(sync_error, "a write or sync of the journal fails: the node stops and starts")   \
    X(wall_jump, "a wall clock jumps by hours")                                        \
    X(disk_full, "a disk is full for a while")                                         \
    X(hand_over, "a leader is asked to hand over")                                     \
    /* -- */                                                                           \
    X(damage, "a bit of a node's disk flips while it is down")                         \
    X(empty_disk, "a node comes back with an empty disk")                              \
    X(roll_back, "a node comes back with the disk of an earlier moment")

enum world_fault {

#define X(name, text) WORLD_FAULT_##name,
    WORLD_FAULTS(X)
#undef X
        WORLD_FAULT_END,
};

/* What is counted beside the faults, X(name). */
#define WORLD_COUNTS(X)                                                                          \
    X(acknowledged) /* Batches, once each. */                                                    \
    X(lost)         /* Proposals whose place another batch took; */                              \
    X(unknown)      /* or whose leader fell first. */                                            \
    X(refused)      /* Proposals that a node did not take, */                                    \
    X(busy)         /* or had no room for. */                                                    \
    X(starts)       /* Of nodes, after the first. */                                             \
    X(crashes)      /* Of nodes, for whatever reason, */                                         \
    X(stops)        /* Starts that ended with a clear error, as damage or a full disk excuse. */ \
    X(crashes_opening) /* and of those, while they recovered. */                                 \
    X(promises)                                                                                  \
    X(openings)       /* Leaders that began an epoch, */                                         \
    X(leader_changes) /* and of those, not the same node as before in that log. */               \
    X(rivals)         /* Openings while another one believed itself the leader. */               \
    X(truncations)    /* Logs that were cut. */                                                  \
    X(letters)        /* Sent. */                                                                \
    X(letters_lost)                                                                              \
    X(letters_cut)                                                                               \
    X(letters_repeated)                                                                          \
    X(letters_late) /* Overtaken by later ones. */                                               \
    X(letters_down) /* That met nobody. */                                                       \
    X(letters_refused)                                                                           \
    X(letters_spoiled)                                                                           \
    X(beats)                                                                                     \
    X(reads)         /* Of committed ranges on some replica. */                                  \
    X(lease_reads)   /* At a leader that held a lease, */                                        \
    X(barrier_reads) /* at one that had asked around since, */                                   \
    X(quorum_reads)  /* and at any node that had asked R. */                                     \
    X(checkpoints)                                                                               \
    X(images) /* Crash images that were opened to find acknowledged batches. */                  \
    X(walks)  /* Whole logs that were held against the history. */                               \
    X(events) /* Of everything that happened. */

enum world_count {

#define X(name) WORLD_COUNT_##name,
    WORLD_COUNTS(X)
#undef X
        WORLD_COUNT_END,
};

struct world_options {
    uint64_t seed;

    /* The numbers. Fields: world_numbers.def. */
#define WORLD_NUMBER(group, type, name, kind, least, most, text) type name;
#include "sim/cluster/world_numbers.def"
#undef WORLD_NUMBER

    uint32_t weights[WORLD_FAULT_END]; /* How often each fault, against the others; 0: never. */

    FILE *history;    /* Not NULL: a line for every change of state goes there. Borrowed. */
    bool has_letters; /* And for every letter. */
};

enum world_verdict {
    WORLD_GOOD,
    WORLD_VIOLATED, /* Something that was promised was not kept. */
    WORLD_STUCK,    /* Nothing was violated, but the core did not come to agree in time. */
};

struct world_result {
    enum world_verdict verdict;
    char violation[WORLD_VIOLATION_BYTES]; /* A sentence; empty when good. */
    uint64_t hash;                         /* Over all that happened. */
    uint64_t virtual_ns;
    uint64_t trouble_ns; /* Of which the first phase, */
    uint64_t heal_ns;    /* and the time that the core took to agree. */
    uint64_t faults[WORLD_FAULT_END];
    uint64_t counts[WORLD_COUNT_END];
};

/** Fill @ret_options with what follows from @seed. */
void world_options_draw(uint64_t seed, struct world_options *ret_options);

/** Print @options to @out, one a line. */
void world_options_print(const struct world_options *options, FILE *out);

/** Return the name of @fault. */
const char *world_fault_name(enum world_fault fault);

/** Return the name of @count. */
const char *world_count_name(enum world_count count);

/** Run the world that @options describes, to its end or the first violation. */
void world_run(const struct world_options *options, struct world_result *ret_result);

/** Return whether @result has enough of everything to count as a seed of the proof: 1,000
 * acknowledged batches, 20 faults of 5 kinds, 2 crashes, 2 changes of leader, 1 cut. */
bool world_result_counts(const struct world_result *result);

#endif /* CLUSTER_WORLD_H */
