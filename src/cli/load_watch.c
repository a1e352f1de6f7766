/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_watch - one poll loop.
 */
#include "cli/load_watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/show.h"

/* The live line moves this often. */
enum { TICK_MS = 200 };

#define NS_PER_SECOND UINT64_C(1000000000)

int watch_signals_block(void)
{
    sigset_t set;
    int result = sigemptyset(&set);
    ASSERT(result == 0);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    /* A closed pipe is an error of write, not a death that leaves a folder behind. */
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return fd;
}

int watch_signal_take(int signal_fd)
{
    struct signalfd_siginfo info;
    if (signal_fd < 0 || read(signal_fd, &info, sizeof info) != (ssize_t)sizeof info) {
        return 0;
    }
    ASSERT(info.ssi_signo > 0);
    return (int)info.ssi_signo;
}

void watch_signal_die(int number)
{
    ASSERT(number > 0);

    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)fflush(stdout);
    (void)raise(number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    exit(1); /* Only if the signal was ignored from the start. */
}

/* -- The live line -- */

static void live_draw(const struct load_watch *watch, uint64_t now_ns)
{
    bool is_reading = load_writer_count(watch->options) == 0;
    const struct load_tally *tally =
        &watch->result->tallies[is_reading ? LANE_ROLE_READER : LANE_ROLE_WRITER];
    const struct load_sample *last =
        tally->sample_count > 0 ? tally_sample(tally, tally_sample_count(tally) - 1) : NULL;
    double seconds = (double)(now_ns - watch->board->start_ns) / (double)NS_PER_SECOND;
    ASSERT(seconds >= 0);

    if (!watch->result->is_warm) {
        (void)fprintf(stderr, "\r\033[K  %4u s  warming up", (unsigned)seconds);
        return;
    }
    /* Until the first second is over, what there is of it. */
    const struct load_sample begun = {
        .duration_ns = now_ns - tally->second_begin_ns,
        .records = tally->second_records,
        .bytes = tally->second_bytes,
        .p50_ns = histogram_percentile(&tally->second_latency, 50),
        .p99_ns = histogram_percentile(&tally->second_latency, 99),
        .max_ns = tally->second_latency.max,
    };
    last = last ? last : &begun;
    if (last->duration_ns == 0) {
        return;
    }
    double second = (double)last->duration_ns / (double)NS_PER_SECOND;
    (void)fprintf(stderr, "\r\033[K  %4u s  %12s records/s  %10s/s  p50 %s  p99 %s  max %s",
                  (unsigned)seconds, show_count((uint64_t)((double)last->records / second)).text,
                  show_bytes((uint64_t)((double)last->bytes / second)).text,
                  show_duration(last->p50_ns).text, show_duration(last->p99_ns).text,
                  show_duration(last->max_ns).text);
}

/* -- Watching -- */

/* Take what came over the pipe. Returns false at its end. */
static bool pipe_read(const struct load_watch *watch, struct pyr_error *reterr)
{
    uint8_t data[4096];
    ssize_t count = read(watch->fd, data, sizeof data);
    ASSERT(count <= (ssize_t)sizeof data);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    if (count > 0 && watch->acks) {
        struct bytes lines = {data, (size_t)count};
        return acks_feed(watch->acks, lines, reterr) == PYR_OK;
    }
    return count > 0;
}

static void watch_collect(const struct load_watch *watch)
{
    ASSERT(watch->result != NULL);

    if (!atomic_load(&watch->board->has_started)) {
        return;
    }
    uint64_t now_ns = load_now_ns();
    board_collect(watch->board, watch->result, now_ns,
                  watch->board->start_ns + (uint64_t)watch->options->warmup_ns);
    if (watch->is_live) {
        live_draw(watch, now_ns);
    }
}

static bool watch_is_late(const struct load_watch *watch)
{
    if (watch->deadline_ns == UINT64_MAX || !atomic_load(&watch->board->has_started)) {
        return false;
    }
    ASSERT(watch->board->start_ns > 0);
    return load_now_ns() >= watch->board->start_ns + watch->deadline_ns;
}

enum watch_end watch_run(const struct load_watch *watch, int *ret_signal, struct pyr_error *reterr)
{
    struct pollfd fds[2] = {{.fd = watch->fd, .events = POLLIN},
                            {.fd = watch->signal_fd, .events = POLLIN}};
    struct pyr_error error = {.code = PYR_OK};
    uint64_t collected_ns = 0;
    enum watch_end end = WATCH_END_DONE;
    ASSERT(watch->fd >= 0);
    for (;;) {
        int ready = poll(fds, 2, TICK_MS);
        int number = ready > 0 ? watch_signal_take(watch->signal_fd) : 0;
        if (number) {
            *ret_signal = number;
            end = WATCH_END_SIGNAL;
            break;
        }
        if (ready > 0 && fds[0].revents && !pipe_read(watch, &error)) {
            end = error.code == PYR_OK ? WATCH_END_DONE : WATCH_END_ERROR;
            break;
        }
        if (watch_is_late(watch)) {
            end = WATCH_END_DEADLINE;
            break;
        }
        if (load_now_ns() >= collected_ns + TICK_MS * UINT64_C(1000000)) {
            collected_ns = load_now_ns();
            watch_collect(watch);
        }
    }
    if (watch->is_live) {
        (void)fprintf(stderr, "\r\033[K");
    }
    if (reterr && error.code != PYR_OK) {
        *reterr = error;
    }
    return end;
}

enum pyr_err watch_drain(const struct load_watch *watch, struct pyr_error *reterr)
{
    struct pyr_error error = {.code = PYR_OK};
    ASSERT(watch->fd >= 0);
    while (pipe_read(watch, &error)) {
    }
    if (error.code != PYR_OK && reterr) {
        *reterr = error;
    }
    return error.code;
}
