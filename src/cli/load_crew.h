/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_crew - the threads that load a store: they open it, append, read, and keep their word.
 *
 * Part of the path:  options -> [crew] -> include/pyralog.h;  measurements -> board
 *
 * A member goes round: take a piece of --count, wait until it is due (--rate), do it, note how long
 * it took from when it was due. Reckoning from the intended start matters: a member that is held up
 * by one slow append would otherwise not count the wait of those behind it.
 *
 *      due        due        due        due
 *       |==========|====append is slow===|==|==|      latency of each counts from its own `|`
 *
 * With --async a member keeps a ring of appends that were started and not yet acknowledged. They
 * are acknowledged in order, so that it waits for the oldest.
 *
 * Failure modes: an append or a read fails -> the first error stands on the board, all stop
 *
 * Threads: one per member; crew_* calls: the thread that opened.   Memory: the heap.
 */
#ifndef CLI_LOAD_CREW_H
#define CLI_LOAD_CREW_H

#include "base/prng.h"
#include "cli/load_acks.h"
#include "cli/load_board.h"

/* An append that was started. */
struct crew_pending {
    struct ack ack;
    uint64_t begin_ns;
    int64_t offset_end;
    uint32_t partition;
};

/* What all members share, and the open store. */
struct load_crew {
    const struct load_options *options;
    struct load_board *board;
    struct pyr_store *store;
    struct pyr_log **logs; /* One per partition. */
    uint8_t *filler;       /* Random bytes that values are cut from. */
    int ack_fd;            /* -1: none. */
    int done_fd;           /* Closed when the last member has ended; -1: none. */
    uint64_t stop_ns;      /* By the monotonic clock; UINT64_MAX: never. */
    atomic_int members_left;
    struct load_member *members;
    uint32_t member_count;
    uint32_t member_started;
};

/* One thread. */
struct load_member {
    struct load_crew *crew;
    struct load_lane *lane;
    uint32_t number; /* Among those of its role. */
    struct prng prng;
    pthread_t thread;
    uint64_t round; /* Operations begun. */
    /* Writers. */
    uint64_t *sequences; /* Next of each partition. */
    uint64_t *acked;     /* Acknowledged of each partition. */
    uint8_t *values;
    char *keys;
    struct pyr_record *records;
    struct crew_pending *pending; /* A ring of --async places. */
    uint64_t pending_first;
    uint64_t pending_end;
};

/** Open the store and its logs, and make the members. Gives: crew_close. */
MUST_CHECK enum pyr_err crew_open(const struct load_options *options,
                                  struct load_board *board,
                                  struct load_crew *ret_crew,
                                  struct pyr_error *reterr);

/** Start the members. What they ran into stands on the board. */
void crew_start(struct load_crew *crew);

/** Wait until all members have ended. */
void crew_join(struct load_crew *crew);

/** Add to @acks what the members know to be acknowledged, without offsets. */
MUST_CHECK enum pyr_err crew_acks(const struct load_crew *crew,
                                  struct acks *acks,
                                  struct pyr_error *reterr);

/** Close the logs and the store. A zeroed @crew is accepted. */
void crew_close(struct load_crew *crew);

/* -- For the files of the crew -- */

/** Append until it is over; the body of a writer. */
void crew_write(struct load_member *member);

/** Read until it is over; the body of a reader. */
void crew_read(struct load_member *member);

/** Return how many records the next operation of @member has, 0 if it is over. */
uint64_t crew_take(struct load_member *member);

/** Return whether @member shall stop now. */
bool crew_is_over(const struct load_member *member);

/** Return when the next operation of @member is due; with --rate that may be far from now. */
uint64_t crew_due_ns(const struct load_member *member);

/** Sleep until @due_ns, or until it is over. */
void crew_sleep_until(const struct load_member *member, uint64_t due_ns);

/** Put an error of @member on the board: "<what> log '<topic>-<partition>': <message>". */
void crew_fail(struct load_member *member,
               const char *what,
               uint32_t partition,
               struct pyr_error *error);

/* Room for the filler: values are cut from it at steps that differ. */
#define CREW_FILLER_BYTES(record_bytes) ((size_t)(record_bytes) + 65536)

#endif /* CLI_LOAD_CREW_H */
