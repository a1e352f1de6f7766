/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_board - where the threads of a load write what they measured, and the reporter reads it.
 *
 *   writer 0 --> lane 0 --\
 *   writer 1 --> lane 1 ----> board_collect, five times a second --> tally: total, seconds
 *   reader 0 --> lane 2 --/
 *
 * A lane belongs to one thread and is guarded by a lock that nobody contends but the reporter. The
 * board lies in memory that a child process shares, so that its measurements survive when it is
 * killed; the locks are robust for the same reason.
 *
 * Threads: each lane one; the tally: the reporter.   Memory: a shared mapping.
 */
#ifndef CLI_LOAD_BOARD_H
#define CLI_LOAD_BOARD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/histogram.h"
#include "cli/load_options.h"

/* What a lane's thread does. */
enum lane_role {
    LANE_ROLE_WRITER,
    LANE_ROLE_READER,
    LANE_ROLE_COUNT,
};

/* What one thread measured since the last collection. */
struct load_lane {
    pthread_mutex_t lock; /* Guards all below but role. */
    enum lane_role role;
    uint64_t records;
    uint64_t bytes;
    uint64_t end_ns; /* When the last operation ended; never cleared. */
    struct histogram latency;
};

struct load_board {
    atomic_bool must_stop;   /* Written by the reporter. */
    atomic_bool has_started; /* The store is open and start_ns is set. */
    uint64_t start_ns;
    atomic_llong records_taken; /* Of --count. */
    atomic_int writers_left;
    pthread_mutex_t error_lock; /* Guards the two below. */
    bool has_failed;
    struct pyr_error error; /* The first one. */
    char describe[256];     /* How the store writes. */
    struct pyr_recovery recovery;
    uint32_t run;
    uint32_t lane_count;
    struct load_lane lanes[]; /* Writers first. */
};

/* Of how many seconds the samples are kept. Longer runs keep the last ones. */
enum { LOAD_SAMPLES_MAX = 3600 };

/* One second, or the rest of one at the end. */
struct load_sample {
    uint64_t end_ns; /* Since the start of counting. */
    uint64_t duration_ns;
    uint64_t records;
    uint64_t bytes;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

/* What one role came to. */
struct load_tally {
    uint64_t records;
    uint64_t bytes;
    uint64_t begin_ns; /* When counting began. */
    uint64_t end_ns;   /* When the last operation ended. */
    struct histogram latency;
    /* The second that is under way. */
    uint64_t second_begin_ns;
    uint64_t second_records;
    uint64_t second_bytes;
    struct histogram second_latency;
    struct load_sample samples[LOAD_SAMPLES_MAX];
    uint64_t sample_count; /* All there were; the last LOAD_SAMPLES_MAX are kept. */
};

/* What a whole load came to. */
struct load_result {
    struct load_tally tallies[LANE_ROLE_COUNT];
    bool is_warm; /* The warm-up is over. */
    bool was_interrupted;
};

/** Make the board for @options. Gives: board_destroy. */
MUST_CHECK enum pyr_err board_create(const struct load_options *options,
                                     struct load_board **ret_board,
                                     struct pyr_error *reterr);

/** Free @board (NULL does nothing). */
void board_destroy(struct load_board *board);

/** Note an operation of @records records and @bytes bytes that began at @begin_ns and ended at
 * @end_ns in @lane. */
void board_note(struct load_lane *lane,
                uint64_t records,
                uint64_t bytes,
                uint64_t begin_ns,
                uint64_t end_ns);

/** Note a failure; the first one stays. */
void board_fail(struct load_board *board, const struct pyr_error *error);

/** Return the first failure in *@ret_error and whether there was one. */
bool board_failure(struct load_board *board, struct pyr_error *ret_error);

/** Fold what was measured since the last call into @result, at @now_ns; what came before
 * @warm_until_ns is thrown away. */
void board_collect(struct load_board *board,
                   struct load_result *result,
                   uint64_t now_ns,
                   uint64_t warm_until_ns);

/** Close the second that is under way in every tally: nothing more comes. */
void board_collect_end(struct load_board *board, struct load_result *result);

/** Return sample @index of @tally, 0 being the oldest that is kept. */
const struct load_sample *tally_sample(const struct load_tally *tally, uint64_t index);

/** Return how many samples of @tally are kept. */
uint64_t tally_sample_count(const struct load_tally *tally);

/** Return the seconds that @tally counted. */
double tally_seconds(const struct load_tally *tally);

/** Return nanoseconds of the monotonic clock. */
uint64_t load_now_ns(void);

#endif /* CLI_LOAD_BOARD_H */
