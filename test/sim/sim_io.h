/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/io - the third implementation of the seam: a virtual disk and a virtual clock, from a seed.
 *
 * Part of the path:  wal, segment, partition -> io.h -> [sim_io] -> sim_disk
 *
 *      struct sim_disk *disk = sim_disk_create();
 *      struct sim *sim = sim_create(&(struct sim_options){.disk = disk, .seed = 7});
 *      ... everything that takes a struct io takes sim_io(sim); paths begin at "/" ...
 *      sim_destroy(sim);
 *
 * Operations and jobs become events at a virtual time; io_loop_wait moves the clock to the next one
 * and carries it out, so that a run takes no real time and the same seed gives the same run.
 * Latency is drawn from the seed, hence completions come in any order. Blocking calls take no
 * virtual time, unless a fault makes them slow. A wait that nothing can ever end aborts: the
 * program hangs.
 *
 * Faults are rules ("the 3rd write of a file whose path holds 'wal' fails with EIO", see struct
 * sim_fault) or chances per million operations. Every operation is counted by kind, so that a test
 * can fail the n-th of a kind for every n. Memory fails by io/testing.h, space by
 * sim_disk_set_space. What a crash leaves is sim_disk.h's business.
 *
 * The buffer of a write is compared at completion with what it was at submission: changing it
 * before is a mistake that a real device punishes rarely, and this one always.
 *
 * Threads: one.   Memory: the disk belongs to the caller and outlives the environment.
 */
#ifndef SIM_SIM_IO_H
#define SIM_SIM_IO_H

#include "io/io.h"
#include "sim/sim_disk.h"

struct sim;

/* Kinds of operations, for counting and for faults; on a loop or blocking alike. */
enum sim_kind {
    SIM_OPEN,
    SIM_READ,
    SIM_WRITE,
    SIM_SYNC,
    SIM_ALLOCATE,
    SIM_TRUNCATE,
    SIM_MAP,
    SIM_RENAME,
    SIM_REMOVE,
    SIM_MAKE_FOLDER,
    SIM_SYNC_FOLDER,
    SIM_LIST,
    SIM_STAT,
    SIM_LOCK,
    SIM_KIND_END,
};

enum sim_effect {
    SIM_FAIL,  /* With the rule's error. A failed write may have stored any first part; a failed
                  sync forgets what it should have flushed, and the next one succeeds; reads through
                  the page cache still see it, direct ones do not. */
    SIM_SHORT, /* A transfer moves only a first part. */
    SIM_LOST,  /* A write is reported as done and was never stored. */
    SIM_MISDIRECTED, /* A write lands on another block of its file. */
    SIM_FLIP,        /* A write lands with one bit flipped. */
    SIM_SLOW,        /* It takes delay_ns longer. */
    SIM_HANG,        /* It takes a day. */
};

/* A rule: from the @nth matching operation from now on, @times of them. */
struct sim_fault {
    enum sim_kind kind;
    const char *name; /* Only paths that hold this text; NULL is any. Borrowed until cleared. */
    int64_t position_first; /* Only transfers that touch this range of bytes ... */
    int64_t position_end;   /* ... 0 is no limit. */
    uint64_t nth;           /* 0 and 1 are the next one. */
    uint64_t times;         /* 0 is once; UINT64_MAX for ever. */
    enum sim_effect effect;
    int error; /* For SIM_FAIL; 0 is EIO. */
    uint64_t delay_ns;
};

/* Chances per million operations. */
struct sim_chances {
    uint32_t read_error;
    uint32_t write_error;
    uint32_t sync_error;
    uint32_t short_transfer;
    uint32_t lost_write;
    uint32_t misdirected_write;
    uint32_t bit_flip;
    uint32_t slow; /* Up to one second. */
};

struct sim_options {
    struct sim_disk *disk; /* Keeps. */
    uint64_t seed;
    bool without_direct;     /* As in struct io_options. */
    uint32_t block_bytes;    /* Likewise. */
    uint64_t latency_ns_min; /* Of an operation on a loop; both 0 is 50 to 150 us. */
    uint64_t latency_ns_max;
    int64_t wall_ms; /* The wall clock at the start; 0 is a day in 2026. */
    uint64_t now_ns; /* The virtual clock at the start; 0 is one second. */
    struct sim_chances chances;
};

/** Create an environment. Gives: sim_destroy. */
struct sim *sim_create(const struct sim_options *options);

/** Destroy @sim (NULL does nothing). Files and loops are closed before. */
void sim_destroy(struct sim *sim);

/** Return the environment as the rest of the program sees it. io_destroy on it is sim_destroy. */
struct io *sim_io(struct sim *sim);

/** Return the environment around @io, which is a simulated one. */
struct sim *sim_of(struct io *io);

/** Add the rule @fault; at most 16. */
void sim_fault_add(struct sim *sim, const struct sim_fault *fault);

/** Take all rules back; chances stay. */
void sim_faults_clear(struct sim *sim);

/** Return how many operations of @kind there were. */
uint64_t sim_count(const struct sim *sim, enum sim_kind kind);

/** Return how many faults were injected. */
uint64_t sim_fault_count(const struct sim *sim);

/** Move the virtual clock on by @ns. What is due then happens at the next wait or dispatch. */
void sim_advance(struct sim *sim, uint64_t ns);

/* Several environments under one clock: whoever has it asks each when something happens there next,
 * moves the environment's clock to that time, and dispatches. */

/** Return the virtual clock. */
uint64_t sim_now_ns(const struct sim *sim);

/** Move the virtual clock to @now_ns, or leave it if it is past that. */
void sim_set_now(struct sim *sim, uint64_t now_ns);

/** Return when a dispatch of @loop, the only one of @sim, would next find something to do: 0 for at
 * once, IO_TIME_NEVER for never. */
uint64_t sim_next_ns(struct sim *sim, struct io_loop *loop);

/** Let operations take from @ns_min to @ns_max from now on. */
void sim_set_latency(struct sim *sim, uint64_t ns_min, uint64_t ns_max);

/** Step the wall clock by @ms, forwards or backwards. */
void sim_step_wall(struct sim *sim, int64_t ms);

/** Let io_map_is_resident answer false, as for a file that is not in memory. */
void sim_set_cold(struct sim *sim, bool is_cold);

/** Let reads through the page cache of files whose path holds @name give zeros, as if it had missed
 * what was written past it; NULL: of none. Borrows @name until the next call. */
void sim_set_stale(struct sim *sim, const char *name);

/** Return a hash over all that happened: the same seed and program give the same. */
uint64_t sim_trace(const struct sim *sim);

#endif /* SIM_SIM_IO_H */
