/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_board - the shared mapping, and folding lanes into tallies.
 */
#include "cli/load_board.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/assert.h"

#define NS_PER_SECOND UINT64_C(1000000000)

uint64_t load_now_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    ASSERT(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* -- The mapping -- */

static size_t board_bytes(uint32_t lane_count)
{
    ASSERT(lane_count > 0);
    return sizeof(struct load_board) + lane_count * sizeof(struct load_lane);
}

/* Take @lock. A process that was killed with it left the counts whole but for its last operation.
 */
static void lock_take(pthread_mutex_t *lock)
{
    int error = pthread_mutex_lock(lock);
    if (error == EOWNERDEAD) {
        error = pthread_mutex_consistent(lock);
    }
    ASSERT(error == 0);
}

static void lock_give(pthread_mutex_t *lock)
{
    int error = pthread_mutex_unlock(lock);
    ASSERT(error == 0);
}

static void locks_init(struct load_board *board)
{
    pthread_mutexattr_t kind;
    int error = pthread_mutexattr_init(&kind);
    error = error ? error : pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    error = error ? error : pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    error = error ? error : pthread_mutex_init(&board->error_lock, &kind);
    for (uint32_t index = 0; index < board->lane_count && !error; index++) {
        error = pthread_mutex_init(&board->lanes[index].lock, &kind);
    }
    ASSERT(error == 0);
    (void)pthread_mutexattr_destroy(&kind);
}

enum pyr_err board_create(const struct load_options *options,
                          struct load_board **ret_board,
                          struct pyr_error *reterr)
{
    uint32_t writers = load_writer_count(options);
    uint32_t lane_count = writers + load_reader_count(options);
    ASSERT(lane_count > 0);

    void *memory = mmap(NULL, board_bytes(lane_count), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return err_set_errno(reterr, errno, "memory for the measurements of %u threads",
                             lane_count);
    }
    struct load_board *board = memory;
    board->lane_count = lane_count;
    atomic_init(&board->writers_left, (int)writers);
    for (uint32_t index = 0; index < lane_count; index++) {
        board->lanes[index].role = index < writers ? LANE_ROLE_WRITER : LANE_ROLE_READER;
    }
    locks_init(board);
    *ret_board = board;
    return PYR_OK;
}

void board_destroy(struct load_board *board)
{
    if (!board) {
        return;
    }
    int result = munmap(board, board_bytes(board->lane_count));
    ASSERT(result == 0);
}

/* -- Writing -- */

void board_note(struct load_lane *lane,
                uint64_t records,
                uint64_t bytes,
                uint64_t begin_ns,
                uint64_t end_ns)
{
    ASSERT(end_ns > 0);

    lock_take(&lane->lock);
    lane->records += records;
    lane->bytes += bytes;
    lane->end_ns = end_ns;
    histogram_record(&lane->latency, end_ns > begin_ns ? end_ns - begin_ns : 0, 1);
    lock_give(&lane->lock);
}

void board_fail(struct load_board *board, const struct pyr_error *error)
{
    ASSERT(error->code != PYR_OK);

    lock_take(&board->error_lock);
    if (!board->has_failed) {
        board->error = *error;
        board->has_failed = true;
    }
    lock_give(&board->error_lock);
    atomic_store(&board->must_stop, true);
}

bool board_failure(struct load_board *board, struct pyr_error *ret_error)
{
    lock_take(&board->error_lock);
    bool has_failed = board->has_failed;
    if (has_failed) {
        *ret_error = board->error;
    }
    lock_give(&board->error_lock);
    ASSERT(!has_failed || ret_error->code != PYR_OK);
    return has_failed;
}

/* -- Folding -- */

/* Close the second under way in @tally at @now_ns. */
static void second_close(struct load_tally *tally, uint64_t now_ns)
{
    ASSERT(now_ns >= tally->second_begin_ns);

    const struct histogram *latency = &tally->second_latency;
    tally->samples[tally->sample_count % LOAD_SAMPLES_MAX] = (struct load_sample){
        .end_ns = now_ns - tally->begin_ns,
        .duration_ns = now_ns - tally->second_begin_ns,
        .records = tally->second_records,
        .bytes = tally->second_bytes,
        .p50_ns = histogram_percentile(latency, 50),
        .p99_ns = histogram_percentile(latency, 99),
        .max_ns = latency->max,
    };
    tally->sample_count++;
    histogram_merge(&tally->latency, latency);
    tally->records += tally->second_records;
    tally->bytes += tally->second_bytes;
    tally->second_begin_ns = now_ns;
    tally->second_records = 0;
    tally->second_bytes = 0;
    histogram_clear(&tally->second_latency);
}

/* Move what @lane measured to @tally. */
static void lane_collect(struct load_lane *lane, struct load_tally *tally)
{
    lock_take(&lane->lock);
    tally->second_records += lane->records;
    tally->second_bytes += lane->bytes;
    tally->end_ns = lane->end_ns > tally->end_ns ? lane->end_ns : tally->end_ns;
    if (lane->latency.count > 0) {
        histogram_merge(&tally->second_latency, &lane->latency);
        histogram_clear(&lane->latency);
    }
    lane->records = 0;
    lane->bytes = 0;
    lock_give(&lane->lock);
    ASSERT(lane->role < LANE_ROLE_COUNT);
}

/* Begin to count at @now_ns, or, without a warm-up, at the start, and forget what came before. */
static void tally_begin(struct load_tally *tally,
                        uint64_t start_ns,
                        bool has_warmup,
                        uint64_t now_ns)
{
    ASSERT(tally->sample_count == 0);

    tally->begin_ns = has_warmup ? now_ns : start_ns;
    tally->second_begin_ns = tally->begin_ns;
    if (has_warmup) {
        tally->second_records = 0;
        tally->second_bytes = 0;
        histogram_clear(&tally->second_latency);
    }
}

void board_collect(struct load_board *board,
                   struct load_result *result,
                   uint64_t now_ns,
                   uint64_t warm_until_ns)
{
    ASSERT(board->lane_count > 0);

    for (uint32_t index = 0; index < board->lane_count; index++) {
        struct load_lane *lane = &board->lanes[index];
        lane_collect(lane, &result->tallies[lane->role]);
    }
    bool becomes_warm = !result->is_warm && now_ns >= warm_until_ns;
    for (int role = 0; role < LANE_ROLE_COUNT; role++) {
        struct load_tally *tally = &result->tallies[role];
        if (!result->is_warm) {
            tally_begin(tally, board->start_ns, warm_until_ns > board->start_ns, now_ns);
        }
        if (now_ns >= tally->second_begin_ns + NS_PER_SECOND) {
            second_close(tally, now_ns);
        }
    }
    result->is_warm |= becomes_warm;
}

void board_collect_end(struct load_board *board, struct load_result *result)
{
    ASSERT(board->lane_count > 0);

    for (uint32_t index = 0; index < board->lane_count; index++) {
        struct load_lane *lane = &board->lanes[index];
        lane_collect(lane, &result->tallies[lane->role]);
    }
    for (int role = 0; role < LANE_ROLE_COUNT; role++) {
        struct load_tally *tally = &result->tallies[role];
        if (tally->begin_ns == 0) {
            /* It ended before anything was collected. */
            tally->begin_ns = board->start_ns;
            tally->second_begin_ns = board->start_ns;
        }
        if (tally->second_records > 0) {
            bool is_later = tally->end_ns > tally->second_begin_ns;
            second_close(tally, is_later ? tally->end_ns : tally->second_begin_ns + 1);
        }
    }
}

/* -- Reading the tallies -- */

uint64_t tally_sample_count(const struct load_tally *tally)
{
    ASSERT(tally->sample_count == 0 || tally->begin_ns > 0);
    return tally->sample_count < LOAD_SAMPLES_MAX ? tally->sample_count : LOAD_SAMPLES_MAX;
}

const struct load_sample *tally_sample(const struct load_tally *tally, uint64_t index)
{
    ASSERT(index < tally_sample_count(tally));

    uint64_t first = tally->sample_count - tally_sample_count(tally);
    return &tally->samples[(first + index) % LOAD_SAMPLES_MAX];
}

double tally_seconds(const struct load_tally *tally)
{
    if (tally->end_ns <= tally->begin_ns) {
        return 0;
    }
    double seconds = (double)(tally->end_ns - tally->begin_ns) / (double)NS_PER_SECOND;
    ASSERT(seconds > 0);
    return seconds;
}
