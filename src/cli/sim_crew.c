/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_crew - fork, two pipes and a piece of memory for each process.
 */
#include "cli/sim_crew.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "cli/sim_set.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* A pipe hands over what is no larger than this in one piece. */
ASSERT_STATIC(sizeof(struct sim_outcome) <= PIPE_BUF, "an outcome is never read in part");

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);
    ASSERT(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

size_t sim_crew_jobs(const struct sim_options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    ASSERT(options->jobs >= 0);
    if (options->jobs > 0) {
        return (size_t)options->jobs;
    }
    return cores > 0 ? (size_t)cores : 1;
}

/* -- Inside a process -- */

void sim_crew_run(const struct sim_options *options, uint64_t seed, struct sim_outcome *ret_outcome)
{
    struct world_options world;
    struct sim_outcome outcome = {.seed = seed};
    enum pyr_err err = sim_set_expand(options, seed, &world, NULL);
    ASSERT(err == PYR_OK); /* It was tried with the first seed. */
    uint64_t begin_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    world_run(&world, &outcome.result);
    if (seed % SIM_REPEAT_EVERY == 0 && outcome.result.verdict == WORLD_GOOD) {
        struct world_result again;
        world_run(&world, &again);
        outcome.was_repeated = true;
        if (again.hash != outcome.result.hash) {
            outcome.result.verdict = WORLD_VIOLATED;
            (void)snprintf(outcome.result.violation, sizeof outcome.result.violation,
                           "it does not repeat: hash %016" PRIx64 " and then %016" PRIx64,
                           outcome.result.hash, again.hash);
        }
    }
    outcome.processor_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
    *ret_outcome = outcome;
}

/* Run seeds until there are no more orders. */
static _Noreturn void worker_live(const struct sim_options *options, int order_fd, int outcome_fd)
{
    uint64_t seed = 0;
    while (read(order_fd, &seed, sizeof seed) == (ssize_t)sizeof seed) {
        struct sim_outcome outcome;
        /* What earlier seeds wrote is not about this one. */
        (void)lseek(STDERR_FILENO, 0, SEEK_SET);
        if (ftruncate(STDERR_FILENO, 0) != 0) {
            _exit(1);
        }
        sim_crew_run(options, seed, &outcome);
        ASSERT(outcome.seed == seed);
        if (write(outcome_fd, &outcome, sizeof outcome) != (ssize_t)sizeof outcome) {
            _exit(1);
        }
    }
    _exit(0);
}

/* -- Starting and ending -- */

void sim_crew_init(struct sim_crew *crew, const struct sim_options *options, size_t count)
{
    ASSERT(count > 0);
    *crew = (struct sim_crew){.options = options, .count = count};
    crew->workers = calloc(count, sizeof *crew->workers);
    crew->fds = calloc(count + 1, sizeof *crew->fds);
    ASSERT(crew->workers);
    ASSERT(crew->fds);
}

/* Wait for the end of @worker's process; return how it ended. */
static int worker_bury(struct sim_worker *worker)
{
    int status = 0;
    ASSERT(worker->pid > 0);
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR) {
    }
    (void)close(worker->order_fd);
    (void)close(worker->outcome_fd);
    (void)close(worker->errors_fd);
    *worker = (struct sim_worker){.pid = 0};
    return status;
}

void sim_crew_deinit(struct sim_crew *crew)
{
    ASSERT(crew->count > 0);
    for (size_t index = 0; index < crew->count; index++) {
        struct sim_worker *worker = &crew->workers[index];
        if (worker->pid > 0) {
            (void)kill(worker->pid, SIGKILL);
            (void)worker_bury(worker);
        }
    }
    free(crew->workers);
    free(crew->fds);
}

/* The ends of a process's pipes, and the memory that its errors go to. */
struct ends {
    int orders[2];
    int outcomes[2];
    int errors_fd;
};

/* Become the process of a worker. */
static _Noreturn void worker_become(const struct sim_options *options,
                                    const struct ends *ends,
                                    pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(ends->errors_fd, STDERR_FILENO) < 0) {
        _exit(1);
    }
    ASSERT(ends->errors_fd != STDERR_FILENO);
    (void)close(ends->orders[1]);
    (void)close(ends->outcomes[0]);
    worker_live(options, ends->orders[0], ends->outcomes[1]);
}

static enum pyr_err ends_open(struct ends *ends, struct pyr_error *reterr)
{
    enum pyr_err err = PYR_OK;
    ASSERT(ends->errors_fd < 0);
    if (pipe2(ends->orders, O_CLOEXEC) != 0) {
        return err_set_errno(reterr, errno, "make a pipe");
    }
    if (pipe2(ends->outcomes, O_CLOEXEC) != 0) {
        err = err_set_errno(reterr, errno, "make a pipe");
        goto fail_close_orders;
    }
    ends->errors_fd = memfd_create("errors", MFD_CLOEXEC);
    if (ends->errors_fd < 0) {
        err = err_set_errno(reterr, errno, "make memory for the errors of a process");
        goto fail_close_outcomes;
    }
    return PYR_OK;

fail_close_outcomes:
    (void)close(ends->outcomes[0]);
    (void)close(ends->outcomes[1]);
fail_close_orders:
    (void)close(ends->orders[0]);
    (void)close(ends->orders[1]);
    return err;
}

static enum pyr_err worker_start(const struct sim_crew *crew,
                                 struct sim_worker *worker,
                                 struct pyr_error *reterr)
{
    struct ends ends = {.errors_fd = -1};
    pid_t parent = getpid();
    ASSERT(worker->pid == 0);
    enum pyr_err err = ends_open(&ends, reterr);
    if (err != PYR_OK) {
        return err;
    }
    (void)fflush(stdout); /* Or each process would print it again. */
    pid_t pid = fork();
    int error = errno;
    if (pid == 0) {
        worker_become(crew->options, &ends, parent);
    }
    (void)close(ends.orders[0]);
    (void)close(ends.outcomes[1]);
    if (pid < 0) {
        (void)close(ends.orders[1]);
        (void)close(ends.outcomes[0]);
        (void)close(ends.errors_fd);
        return err_set_errno(reterr, error, "start a process");
    }
    *worker = (struct sim_worker){.pid = pid,
                                  .order_fd = ends.orders[1],
                                  .outcome_fd = ends.outcomes[0],
                                  .errors_fd = ends.errors_fd};
    return PYR_OK;
}

/* -- Orders -- */

struct sim_worker *sim_crew_idle(struct sim_crew *crew)
{
    ASSERT(crew->workers);
    for (size_t index = 0; index < crew->count; index++) {
        if (!crew->workers[index].is_busy) {
            return &crew->workers[index];
        }
    }
    return NULL;
}

bool sim_crew_is_busy(const struct sim_crew *crew)
{
    ASSERT(crew->workers);
    for (size_t index = 0; index < crew->count; index++) {
        if (crew->workers[index].is_busy) {
            return true;
        }
    }
    return false;
}

enum pyr_err sim_crew_order(struct sim_crew *crew,
                            struct sim_worker *worker,
                            uint64_t seed,
                            struct pyr_error *reterr)
{
    ASSERT(!worker->is_busy);
    enum pyr_err err = worker->pid == 0 ? worker_start(crew, worker, reterr) : PYR_OK;
    if (err != PYR_OK) {
        return err;
    }
    /* Should it be dead, its closed end tells of it, and of this seed. */
    if (write(worker->order_fd, &seed, sizeof seed) < 0 && errno != EPIPE) {
        return err_set_errno(reterr, errno, "hand a seed to a process");
    }
    worker->is_busy = true;
    worker->seed = seed;
    worker->since_ns = clock_ns(CLOCK_MONOTONIC);
    return PYR_OK;
}

/* -- Outcomes -- */

/* Put the first assertion among what the process wrote, or else its first line, into @text. */
static void errors_take(int errors_fd, struct text *text)
{
    char errors[2048];
    ssize_t count = pread(errors_fd, errors, sizeof errors - 1, 0);
    ASSERT(count < (ssize_t)sizeof errors);
    errors[count > 0 ? count : 0] = '\0';
    const char *mark = strstr(errors, "assertion failed");
    mark = mark ? mark : strstr(errors, "ERROR: ");
    mark = mark ? mark : strstr(errors, "runtime error");
    const char *line = mark ? mark : errors;
    text_format(text, "%.*s", (int)strcspn(line, "\n"), line);
}

/* Make the outcome of a seed whose process is dead, or is to be killed for its slowness. */
static void worker_fail(struct sim_worker *worker, bool is_slow, struct sim_outcome *ret_outcome)
{
    struct sim_outcome outcome = {.seed = worker->seed};
    struct text text = text_of(outcome.result.violation, sizeof outcome.result.violation);
    ASSERT(worker->is_busy);
    outcome.result.verdict = WORLD_VIOLATED;
    if (is_slow) {
        (void)kill(worker->pid, SIGKILL);
        text_put(&text, SIM_SLOW_TEXT);
    } else {
        errors_take(worker->errors_fd, &text);
    }
    int status = worker_bury(worker);
    if (text.count == 0 && WIFSIGNALED(status)) {
        text_format(&text, "its process died of signal %d", WTERMSIG(status));
    } else if (text.count == 0) {
        text_format(&text, "its process ended with status %d", WEXITSTATUS(status));
    }
    *ret_outcome = outcome;
}

/* Take the outcome of @worker, whose end of the pipe has something or is closed. */
static bool outcome_take(struct sim_worker *worker, struct sim_outcome *ret_outcome)
{
    struct sim_outcome outcome;
    ssize_t count = read(worker->outcome_fd, &outcome, sizeof outcome);
    if (count < 0 && errno == EINTR) {
        return false;
    }
    if (count != (ssize_t)sizeof outcome) {
        worker_fail(worker, false, ret_outcome);
        return true;
    }
    ASSERT(outcome.seed == worker->seed);
    worker->is_busy = false;
    *ret_outcome = outcome;
    return true;
}

bool sim_crew_wait(struct sim_crew *crew,
                   int signal_fd,
                   int timeout_ms,
                   struct sim_outcome *ret_outcome)
{
    ASSERT(timeout_ms >= 0);
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    crew->fds[crew->count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    for (size_t index = 0; index < crew->count; index++) {
        struct sim_worker *worker = &crew->workers[index];
        uint64_t patience_ns = (uint64_t)crew->options->patience_ns;
        if (worker->is_busy && now_ns > worker->since_ns + patience_ns) {
            worker_fail(worker, true, ret_outcome);
            return true;
        }
        crew->fds[index] =
            (struct pollfd){.fd = worker->is_busy ? worker->outcome_fd : -1, .events = POLLIN};
    }
    if (poll(crew->fds, crew->count + 1, timeout_ms) <= 0) {
        return false;
    }
    for (size_t index = 0; index < crew->count; index++) {
        if (crew->fds[index].revents != 0) {
            return outcome_take(&crew->workers[index], ret_outcome);
        }
    }
    return false;
}
