/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_sweep - many seeds: handed out in order, counted as they come back.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/load_board.h"
#include "cli/load_watch.h"
#include "cli/show.h"
#include "cli/sim_crew.h"
#include "cli/sim_keep.h"
#include "cli/sim_report.h"
#include "cli/sim_run.h"
#include "cli/sim_set.h"

enum {
    TICK_MS = 200,
    PLAIN_SECONDS = 10,
    KEEP_SECONDS = 2,
    BUILD_BYTES = 128,
    VERDICT_BYTES = 512
};

#define NS_PER_SECOND UINT64_C(1000000000)

struct sweep {
    const struct args_command *command;
    const struct sim_options *options;
    struct sim_crew crew;
    struct sim_tally tally;
    struct sim_keep keep; /* Its path is NULL if nothing is kept. */
    int signal_fd;
    bool is_terminal;
    bool was_interrupted;
    bool is_handing_out;
    uint64_t next; /* Seed to hand out, if it is not done. */
    uint64_t begin_ns;
    uint64_t done_before;    /* Seeds, by earlier parts, */
    uint64_t wall_before_ns; /* and what they took. */
    uint64_t drawn_ns;       /* When progress was last shown, */
    uint64_t kept_ns;        /* and the tally last kept. */
    char build[BUILD_BYTES];
    char wishes[SIM_SET_WISHES_BYTES];
};

/* -- Progress -- */

static void progress_print(const struct sweep *sweep, uint64_t now_ns)
{
    const struct sim_tally *tally = &sweep->tally;
    uint64_t asked = sweep->options->seed_last - sweep->options->seed_first + 1;
    double seconds = (double)(now_ns - sweep->begin_ns) / (double)NS_PER_SECOND;
    double done_here = (double)(tally->done - sweep->done_before);
    double pace = seconds > 0 ? done_here / seconds : 0;
    ASSERT(tally->done <= asked);
    (void)fprintf(stderr, "%s  %s of %s seeds  %.1f/s  %" PRIu64 " violated",
                  sweep->is_terminal ? "\r\033[K" : "", show_count(tally->done).text,
                  show_count(asked).text, pace, tally->violated);
    if (pace > 0) {
        unsigned left = (unsigned)((double)(asked - tally->done) / pace);
        (void)fprintf(stderr, "  %um%02us left", left / 60, left % 60);
    }
    (void)fprintf(stderr, "%s", sweep->is_terminal ? "" : "\n");
}

/* Take the live line away, so that something else can be printed. */
static void progress_clear(const struct sweep *sweep)
{
    ASSERT(sweep->options != NULL);
    if (sweep->is_terminal && !sweep->options->is_quiet) {
        (void)fprintf(stderr, "\r\033[K");
    }
}

static enum pyr_err keep_now(struct sweep *sweep, uint64_t now_ns, struct pyr_error *reterr)
{
    ASSERT(now_ns >= sweep->begin_ns);
    sweep->kept_ns = now_ns;
    sweep->tally.wall_ns = sweep->wall_before_ns + now_ns - sweep->begin_ns;
    return sweep->keep.path ? sim_keep_write(&sweep->keep, &sweep->tally, reterr) : PYR_OK;
}

/* Show progress and keep the tally, where it is time for either. */
static enum pyr_err sweep_tick(struct sweep *sweep, struct pyr_error *reterr)
{
    uint64_t now_ns = load_now_ns();
    uint64_t pause_ns =
        sweep->is_terminal ? TICK_MS * UINT64_C(1000000) : PLAIN_SECONDS * NS_PER_SECOND;
    ASSERT(now_ns >= sweep->drawn_ns);
    if (!sweep->options->is_quiet && now_ns >= sweep->drawn_ns + pause_ns) {
        sweep->drawn_ns = now_ns;
        progress_print(sweep, now_ns);
    }
    bool is_time = now_ns >= sweep->kept_ns + KEEP_SECONDS * NS_PER_SECOND;
    return is_time ? keep_now(sweep, now_ns, reterr) : PYR_OK;
}

/* -- Seeds -- */

/* Hand seeds to all who have nothing to do. */
static enum pyr_err sweep_hand_out(struct sweep *sweep, struct pyr_error *reterr)
{
    enum pyr_err err = PYR_OK;
    struct sim_worker *worker = sim_crew_idle(&sweep->crew);
    while (err == PYR_OK && worker && sweep->is_handing_out) {
        sweep->next = sim_tally_next(&sweep->tally, sweep->next);
        if (sweep->next > sweep->options->seed_last) {
            sweep->is_handing_out = false;
            break;
        }
        err = sim_crew_order(&sweep->crew, worker, sweep->next, reterr);
        ASSERT(sweep->next >= sweep->options->seed_first);
        sweep->next++;
        worker = sim_crew_idle(&sweep->crew);
    }
    return err;
}

static void outcome_take(struct sweep *sweep, const struct sim_outcome *outcome)
{
    ASSERT(outcome->seed < sweep->next);
    sim_tally_add(&sweep->tally, outcome);
    if (outcome->result.verdict != WORLD_GOOD && sweep->tally.violated <= SIM_VIOLATIONS_KEPT) {
        progress_clear(sweep);
        (void)printf("seed %" PRIu64 ": %s\n", outcome->seed, outcome->result.violation);
        (void)fflush(stdout);
    }
}

static enum pyr_err sweep_run(struct sweep *sweep, struct pyr_error *reterr)
{
    enum pyr_err err = sweep_hand_out(sweep, reterr);
    while (err == PYR_OK && sim_crew_is_busy(&sweep->crew) && !sweep->was_interrupted) {
        struct sim_outcome outcome;
        ASSERT(sweep->crew.count > 0);
        if (sim_crew_wait(&sweep->crew, sweep->signal_fd, TICK_MS, &outcome)) {
            outcome_take(sweep, &outcome);
            err = sweep_hand_out(sweep, reterr);
        }
        sweep->was_interrupted = watch_signal_take(sweep->signal_fd) != 0;
        err = err == PYR_OK ? sweep_tick(sweep, reterr) : err;
    }
    progress_clear(sweep);
    struct pyr_error later;
    enum pyr_err kept = keep_now(sweep, load_now_ns(), err == PYR_OK ? reterr : &later);
    return err == PYR_OK ? kept : err;
}

/* Take up what earlier parts of the sweep did. */
static enum pyr_err sweep_resume(struct sweep *sweep, struct pyr_error *reterr)
{
    const struct sim_options *options = sweep->options;
    struct sim_tally *tally = &sweep->tally;
    enum pyr_err err = sweep->keep.path ? sim_keep_read(&sweep->keep, tally, reterr) : PYR_OK;
    if (err != PYR_OK) {
        return err;
    }
    size_t count = tally->range_count;
    bool is_inside = count == 0 || (tally->ranges[0].first >= options->seed_first &&
                                    tally->ranges[count - 1].last <= options->seed_last);
    if (!is_inside) {
        return err_set(
            reterr, PYR_ERR_INVALID,
            "--resume: '%s' holds seeds outside of --seeds=%s: ask for these too, or use "
            "another file",
            sweep->keep.path, options->seeds);
    }
    sweep->done_before = tally->done;
    sweep->wall_before_ns = tally->wall_ns;
    ASSERT(sweep->done_before == tally->done);
    return PYR_OK;
}

/* -- From start to verdict -- */

static void sweep_init(struct sweep *sweep,
                       const struct args_command *command,
                       const struct sim_options *options)
{
    ASSERT(options->seeds != NULL);
    *sweep = (struct sweep){.command = command,
                            .options = options,
                            .next = options->seed_first,
                            .is_handing_out = true,
                            .is_terminal = show_is_terminal(stderr)};
    struct text build = text_of(sweep->build, sizeof sweep->build);
    struct text wishes = text_of(sweep->wishes, sizeof sweep->wishes);
    sim_keep_put_build(&build);
    sim_set_put_wishes(command, options, &wishes);
    sweep->keep = (struct sim_keep){options->resume, sweep->build, sweep->wishes};
    sim_tally_init(&sweep->tally);
    sweep->signal_fd = watch_signals_block();
    sweep->begin_ns = load_now_ns();
    sweep->drawn_ns = sweep->begin_ns;
    sweep->kept_ns = sweep->begin_ns;
}

static void sweep_deinit(struct sweep *sweep)
{
    ASSERT(sweep->command != NULL);
    sim_tally_deinit(&sweep->tally);
    if (sweep->signal_fd >= 0) {
        (void)close(sweep->signal_fd);
    }
}

static void print_begin(const struct sweep *sweep, size_t jobs)
{
    ASSERT(jobs > 0);
    (void)printf("pyralog-sim %s, seeds %" PRIu64 "-%" PRIu64 "%s, %zu process%s\n", sweep->build,
                 sweep->options->seed_first, sweep->options->seed_last, sweep->wishes, jobs,
                 jobs == 1 ? "" : "es");
    if (sweep->done_before > 0) {
        (void)printf("%" PRIu64 " of them are done already\n", sweep->done_before);
    }
    (void)fflush(stdout);
}

/* Tell the first violation that has an end. */
static void violation_tell(const struct sweep *sweep)
{
    const struct sim_tally *tally = &sweep->tally;
    size_t index = 0;
    ASSERT(tally->violation_count <= SIM_VIOLATIONS_KEPT);
    while (index < tally->violation_count &&
           strcmp(tally->violations[index].text, SIM_SLOW_TEXT) == 0) {
        index++;
    }
    if (index < tally->violation_count) {
        (void)printf("\n");
        sim_run_tell(sweep->command, sweep->options, tally->violations[index].seed);
        (void)printf("seed %" PRIu64 ": %s\n", tally->violations[index].seed,
                     tally->violations[index].text);
    }
}

/* Print what came of @sweep, and write the page; return the exit status. */
static int sweep_end(struct sweep *sweep, size_t jobs)
{
    const struct sim_report report = {.tally = &sweep->tally,
                                      .build = sweep->build,
                                      .wishes = sweep->wishes,
                                      .seed_first = sweep->options->seed_first,
                                      .seed_last = sweep->options->seed_last,
                                      .jobs = jobs,
                                      .was_interrupted = sweep->was_interrupted};
    struct pyr_error error;
    int status = sim_report_status(&report);
    if (!sweep->was_interrupted) {
        violation_tell(sweep);
    }
    sim_report_print(&report, stdout);
    const char *path = sweep->options->results;
    if (path && sim_report_write(&report, path, &error) != PYR_OK) {
        (void)args_fail(sweep->command, &error);
        status = 1;
    }
    char line[VERDICT_BYTES];
    struct text verdict = text_of(line, sizeof line);
    sim_report_put_verdict(&verdict, &report);
    ASSERT(verdict.count > 0);
    (void)printf("%s\n", verdict.data);
    return status;
}

int sim_run_sweep(const struct args_command *command, const struct sim_options *options)
{
    struct sweep *sweep = malloc(sizeof *sweep);
    struct pyr_error error;
    ASSERT(sweep);
    sweep_init(sweep, command, options);
    size_t jobs = sim_crew_jobs(options);
    int status = 1;
    enum pyr_err err = sweep_resume(sweep, &error);
    if (err == PYR_OK) {
        print_begin(sweep, jobs);
        sim_crew_init(&sweep->crew, options, jobs);
        err = sweep_run(sweep, &error);
        sim_crew_deinit(&sweep->crew);
    }
    if (err == PYR_OK) {
        status = sweep_end(sweep, jobs);
    } else {
        status = args_fail(command, &error);
    }
    sweep_deinit(sweep);
    free(sweep);
    return status;
}
