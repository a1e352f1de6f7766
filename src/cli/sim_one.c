/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_one - one seed: judged in a process of its own, then told by another.
 *
 * The history is not kept while the seed runs, since most runs are good; a run that was not is
 * simply run again, and is the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/load_watch.h"
#include "cli/show.h"
#include "cli/sim_crew.h"
#include "cli/sim_keep.h"
#include "cli/sim_report.h"
#include "cli/sim_run.h"
#include "cli/sim_set.h"

enum { VERDICT_BYTES = 512, WAIT_MS = 1000 };

#define NS_PER_SECOND INT64_C(1000000000)

/* Run @world with its history on stdout, and end. */
static _Noreturn void teller_live(const struct sim_options *options, struct world_options *world)
{
    struct world_result result;
    int64_t seconds = options->patience_ns / NS_PER_SECOND + 1;
    ASSERT(seconds < UINT_MAX);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm((unsigned)seconds); /* A run that hangs hangs here too. */
    world->history = stdout;
    world->has_letters = options->has_letters;
    world_run(world, &result);
    (void)fflush(stdout);
    _exit(0);
}

void sim_run_tell(const struct args_command *command,
                  const struct sim_options *options,
                  uint64_t seed)
{
    struct world_options world;
    enum pyr_err err = sim_set_expand(options, seed, &world, NULL);
    ASSERT(err == PYR_OK); /* It was expanded before. */
    sim_set_print(command, &world, stdout);
    (void)printf("\n");
    (void)fflush(stdout);
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* A process that dies leaves whole lines. */
    pid_t pid = fork();
    if (pid == 0) {
        teller_live(options, &world);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    (void)printf("\n");
}

static void print_result(const struct world_result *result)
{
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        (void)printf("  %-24s %12s\n", world_count_name((enum world_count)count),
                     show_count(result->counts[count]).text);
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        if (result->faults[fault] > 0) {
            (void)printf("  fault: %-17s %12s\n", world_fault_name((enum world_fault)fault),
                         show_count(result->faults[fault]).text);
        }
    }
    ASSERT(result->trouble_ns <= result->virtual_ns);
    (void)printf("virtual time %s, of which trouble %s; the core agreed after %s\n",
                 show_duration(result->virtual_ns).text, show_duration(result->trouble_ns).text,
                 show_duration(result->heal_ns).text);
    (void)printf("hash %016" PRIx64 "\n", result->hash);
}

/* Judge the seed. Returns false if a signal came first. */
static enum pyr_err one_judge(const struct sim_options *options,
                              struct sim_outcome *ret_outcome,
                              bool *ret_was_interrupted,
                              struct pyr_error *reterr)
{
    struct sim_crew crew;
    int signal_fd = watch_signals_block();
    sim_crew_init(&crew, options, 1);
    enum pyr_err err = sim_crew_order(&crew, sim_crew_idle(&crew), options->seed_first, reterr);
    bool is_done = err != PYR_OK;
    while (!is_done && !*ret_was_interrupted) {
        is_done = sim_crew_wait(&crew, signal_fd, WAIT_MS, ret_outcome);
        *ret_was_interrupted = !is_done && watch_signal_take(signal_fd) != 0;
    }
    ASSERT(is_done || *ret_was_interrupted);
    sim_crew_deinit(&crew);
    if (signal_fd >= 0) {
        (void)close(signal_fd);
    }
    return err;
}

int sim_run_one(const struct args_command *command, const struct sim_options *options)
{
    struct sim_outcome outcome = {.seed = options->seed_first};
    struct sim_tally tally;
    struct pyr_error error;
    bool was_interrupted = false;
    char line[VERDICT_BYTES];
    struct text text = text_of(line, sizeof line);
    ASSERT(options->seed_first == options->seed_last);
    if (one_judge(options, &outcome, &was_interrupted, &error) != PYR_OK) {
        return args_fail(command, &error);
    }
    sim_keep_put_build(&text);
    (void)printf("pyralog-sim %s, seed %" PRIu64 "\n", text.data, outcome.seed);
    bool is_bad = outcome.result.verdict != WORLD_GOOD;
    bool is_slow = strcmp(outcome.result.violation, SIM_SLOW_TEXT) == 0;
    if (!was_interrupted && ((is_bad && !is_slow) || options->has_history)) {
        sim_run_tell(command, options, outcome.seed);
    } else {
        struct world_options world;
        enum pyr_err err = sim_set_expand(options, outcome.seed, &world, NULL);
        ASSERT(err == PYR_OK); /* It was expanded before. */
        sim_set_print(command, &world, stdout);
    }
    sim_tally_init(&tally);
    if (!was_interrupted) {
        sim_tally_add(&tally, &outcome);
        print_result(&outcome.result);
    }
    if (is_bad) {
        (void)printf("seed %" PRIu64 ": %s\n", outcome.seed, outcome.result.violation);
    }
    const struct sim_report report = {.tally = &tally,
                                      .seed_first = outcome.seed,
                                      .seed_last = outcome.seed,
                                      .was_interrupted = was_interrupted};
    text_clear(&text);
    sim_report_put_verdict(&text, &report);
    (void)printf("%s\n", text.data);
    sim_tally_deinit(&tally);
    return sim_report_status(&report);
}
