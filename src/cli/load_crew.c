/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_crew - opening the store, starting and ending the threads, and their pace.
 */
#include "cli/load_crew.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    KEY_BYTES = 16,
    STREAM_FILLER = 0xf1,
};

#define NS_PER_SECOND UINT64_C(1000000000)

/* A sleeper looks this often whether it shall stop. */
#define SLEEP_NS_MAX (NS_PER_SECOND / 10)

/* -- Pace -- */

bool crew_is_over(const struct load_member *member)
{
    const struct load_crew *crew = member->crew;
    ASSERT(crew->stop_ns > 0);
    return atomic_load_explicit(&crew->board->must_stop, memory_order_relaxed) ||
           (crew->stop_ns != UINT64_MAX && load_now_ns() >= crew->stop_ns);
}

uint64_t crew_take(struct load_member *member)
{
    const struct load_options *options = member->crew->options;
    ASSERT(options->batch > 0);

    if (crew_is_over(member)) {
        return 0;
    }
    if (options->count == 0) {
        return (uint64_t)options->batch;
    }
    long long taken = atomic_fetch_add(&member->crew->board->records_taken, options->batch);
    long long left = options->count - taken;
    return left <= 0 ? 0 : (uint64_t)(left < options->batch ? left : options->batch);
}

uint64_t crew_due_ns(const struct load_member *member)
{
    const struct load_crew *crew = member->crew;
    const struct load_options *options = crew->options;
    if (options->rate == 0) {
        return load_now_ns();
    }
    uint64_t turn = member->round * (uint64_t)options->threads + member->number;
    double pace_ns = (double)options->batch * (double)NS_PER_SECOND / (double)options->rate;
    ASSERT(pace_ns > 0);
    return crew->board->start_ns + (uint64_t)((double)turn * pace_ns);
}

void crew_sleep_until(const struct load_member *member, uint64_t due_ns)
{
    uint64_t now_ns = load_now_ns();
    ASSERT(now_ns > 0);
    while (now_ns < due_ns && !crew_is_over(member)) {
        uint64_t until_ns = due_ns - now_ns > SLEEP_NS_MAX ? now_ns + SLEEP_NS_MAX : due_ns;
        const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_SECOND),
                                       .tv_nsec = (long)(until_ns % NS_PER_SECOND)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        now_ns = load_now_ns();
    }
}

void crew_fail(struct load_member *member,
               const char *what,
               uint32_t partition,
               struct pyr_error *error)
{
    ASSERT(error->code != PYR_OK);

    err_wrap(error, "%s log '%s-%u'", what, member->crew->options->topic, partition);
    board_fail(member->crew->board, error);
}

/* -- Opening -- */

static enum pyr_err logs_open(struct load_crew *crew, struct pyr_error *reterr)
{
    const struct load_options *options = crew->options;
    struct pyr_log_options log_options = load_log_options(options);
    ASSERT(options->partitions > 0);

    for (int64_t index = 0; index < options->partitions; index++) {
        enum pyr_err err = pyr_store_log(crew->store, options->topic, (uint32_t)index, &log_options,
                                         &crew->logs[index], reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}

/* Give @member what an appender needs. */
static bool member_equip(struct load_member *member)
{
    const struct load_options *options = member->crew->options;
    size_t batch = (size_t)options->batch;
    ASSERT(batch > 0);

    member->sequences = calloc((size_t)options->partitions, sizeof *member->sequences);
    member->acked = calloc((size_t)options->partitions, sizeof *member->acked);
    member->values = malloc(batch * (size_t)options->record_bytes);
    member->records = calloc(batch, sizeof *member->records);
    member->keys = options->keys > 0 ? malloc(batch * KEY_BYTES) : NULL;
    size_t places = options->async_max > 0 ? (size_t)options->async_max : 1;
    member->pending = calloc(places, sizeof *member->pending);
    return member->sequences && member->acked && member->values && member->records &&
           member->pending && (options->keys == 0 || member->keys);
}

static enum pyr_err members_make(struct load_crew *crew, struct pyr_error *reterr)
{
    const struct load_options *options = crew->options;
    uint32_t writers = load_writer_count(options);
    ASSERT(crew->board->lane_count >= writers);

    crew->members = calloc(crew->board->lane_count, sizeof *crew->members);
    bool has_memory = crew->members != NULL;
    crew->member_count = has_memory ? crew->board->lane_count : 0;
    for (uint32_t index = 0; index < crew->member_count && has_memory; index++) {
        struct load_member *member = &crew->members[index];
        member->crew = crew;
        member->lane = &crew->board->lanes[index];
        member->number = index < writers ? index : index - writers;
        member->prng = prng_of((uint64_t)options->seed, index);
        has_memory = index >= writers || member_equip(member);
    }
    if (!has_memory) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for %u threads",
                       crew->board->lane_count);
    }
    return PYR_OK;
}

/* Get the filler, and touch it. */
static enum pyr_err filler_make(struct load_crew *crew, struct pyr_error *reterr)
{
    size_t bytes = CREW_FILLER_BYTES(crew->options->record_bytes);
    ASSERT(bytes > (size_t)crew->options->record_bytes);

    crew->filler = malloc(bytes);
    if (!crew->filler) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for records");
    }
    struct prng prng = prng_of((uint64_t)crew->options->seed, STREAM_FILLER);
    prng_fill(&prng, (struct bytes_mut){crew->filler, bytes});
    return PYR_OK;
}

/* Draw the number that tells this run's records from those of others. */
static uint32_t run_draw(void)
{
    struct prng prng = prng_of(load_now_ns(), (uint64_t)getpid());
    uint64_t drawn = prng_below(&prng, UINT32_MAX);
    ASSERT(drawn < UINT32_MAX);
    return (uint32_t)drawn + 1;
}

enum pyr_err crew_open(const struct load_options *options,
                       struct load_board *board,
                       struct load_crew *ret_crew,
                       struct pyr_error *reterr)
{
    struct load_crew *crew = ret_crew;
    *crew = (struct load_crew){.options = options,
                               .board = board,
                               .ack_fd = -1,
                               .done_fd = -1,
                               .stop_ns = UINT64_MAX};
    ASSERT(board->run == 0);

    board->run = run_draw();
    crew->logs = calloc((size_t)options->partitions, sizeof(struct pyr_log *));
    enum pyr_err err = crew->logs ? members_make(crew, reterr)
                                  : err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for logs");
    if (err == PYR_OK) {
        err = filler_make(crew, reterr);
    }
    struct pyr_store_options store_options = load_store_options(options);
    if (err == PYR_OK) {
        err = pyr_store_open(options->folder, &store_options, &crew->store, reterr);
    }
    if (err == PYR_OK) {
        err = logs_open(crew, reterr);
    }
    if (err != PYR_OK) {
        crew_close(crew);
        return err;
    }
    pyr_store_recovery(crew->store, &board->recovery);
    (void)snprintf(board->describe, sizeof board->describe, "%s", pyr_store_describe(crew->store));
    return PYR_OK;
}

void crew_close(struct load_crew *crew)
{
    ASSERT(crew->member_started == 0);

    for (int64_t index = 0; crew->logs && index < crew->options->partitions; index++) {
        pyr_log_close(crew->logs[index]);
    }
    pyr_store_close(crew->store);
    for (uint32_t index = 0; index < crew->member_count; index++) {
        struct load_member *member = &crew->members[index];
        free(member->sequences);
        free(member->acked);
        free(member->values);
        free(member->records);
        free(member->keys);
        free(member->pending);
    }
    free(crew->members);
    free(crew->filler);
    free(crew->logs);
    *crew = (struct load_crew){.ack_fd = -1};
}

/* -- Threads -- */

/* Count @ended members as ended, and tell when all are. */
static void members_end(struct load_crew *crew, int ended)
{
    int left = atomic_fetch_sub(&crew->members_left, ended) - ended;
    ASSERT(left >= 0);
    if (left == 0 && crew->done_fd >= 0) {
        (void)close(crew->done_fd);
    }
}

static void *member_main(void *arg)
{
    struct load_member *member = arg;
    struct load_crew *crew = member->crew;
    /* The clock's slack of 50 us would be counted as latency. */
    (void)prctl(PR_SET_TIMERSLACK, 1);
    if (member->lane->role == LANE_ROLE_WRITER) {
        crew_write(member);
        (void)atomic_fetch_sub(&crew->board->writers_left, 1);
    } else {
        crew_read(member);
    }
    members_end(crew, 1);
    return NULL;
}

void crew_start(struct load_crew *crew)
{
    const struct load_options *options = crew->options;
    ASSERT(crew->member_started == 0);

    crew->board->start_ns = load_now_ns();
    if (options->duration_ns > 0) {
        crew->stop_ns =
            crew->board->start_ns + (uint64_t)(options->warmup_ns + options->duration_ns);
    }
    atomic_store(&crew->members_left, (int)crew->member_count);
    atomic_store(&crew->board->has_started, true);
    for (uint32_t index = 0; index < crew->member_count; index++) {
        struct load_member *member = &crew->members[index];
        int error = pthread_create(&member->thread, NULL, member_main, member);
        if (error) {
            struct pyr_error failure;
            (void)err_set_errno(&failure, error, "start thread %u of %u", index + 1,
                                crew->member_count);
            board_fail(crew->board, &failure);
            /* Those that never started have ended, too. */
            members_end(crew, (int)(crew->member_count - index));
            return;
        }
        crew->member_started++;
    }
}

void crew_join(struct load_crew *crew)
{
    for (uint32_t index = 0; index < crew->member_started; index++) {
        int error = pthread_join(crew->members[index].thread, NULL);
        ASSERT(error == 0);
    }
    crew->member_started = 0;
}

enum pyr_err crew_acks(const struct load_crew *crew, struct acks *acks, struct pyr_error *reterr)
{
    int64_t partitions = crew->options->partitions;
    enum pyr_err err = PYR_OK;
    ASSERT(crew->member_started == 0);

    for (uint32_t index = 0; index < load_writer_count(crew->options); index++) {
        const struct load_member *member = &crew->members[index];
        for (int64_t partition = 0; partition < partitions; partition++) {
            const struct ack ack = {.run = crew->board->run,
                                    .stream = (uint32_t)(member->number * partitions + partition),
                                    .count = member->acked[partition],
                                    .offset = -1};
            bool must_add = ack.count > 0 && err == PYR_OK;
            err = must_add ? acks_add(acks, &ack, reterr) : err;
        }
    }
    return err;
}
