/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_run - the two ways without a kill.
 */
#include "cli/load_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/load_crew.h"
#include "cli/load_report.h"
#include "cli/load_watch.h"
#include "cli/show.h"

/* What one run holds. */
struct run {
    struct load_options options;
    struct load_board *board;
    struct load_crew crew;
    struct load_result *result;
    struct acks acks;
    struct verify_report verify;
    int signal_fd;
    int ack_fd;
};

/* Open the file that acknowledgements go to, and begin it if it is new. */
static enum pyr_err ack_file_open(const char *path, int *ret_fd, struct pyr_error *reterr)
{
    ASSERT(path != NULL);

    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set_errno(reterr, errno, "--ack-file: open '%s'", path);
    }
    struct stat stat;
    bool is_begun = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size > 0;
    size_t bytes = strlen(acks_title());
    if (!is_begun && write(fd, acks_title(), bytes) != (ssize_t)bytes) {
        enum pyr_err err = err_set_errno(reterr, errno, "--ack-file: write '%s'", path);
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return PYR_OK;
}

/* Start the members and watch them until they end. A first signal asks them to. */
static enum pyr_err run_members(struct run *run, struct pyr_error *reterr)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set_errno(reterr, errno, "make a pipe");
    }
    ASSERT(run->result != NULL);
    run->crew.done_fd = ends[1];
    const struct load_watch watch = {
        .options = &run->options,
        .board = run->board,
        .result = run->result,
        .fd = ends[0],
        .signal_fd = run->signal_fd,
        .deadline_ns = UINT64_MAX,
        .is_live = !run->options.is_quiet && show_is_terminal(stderr),
    };
    crew_start(&run->crew);
    int number = 0;
    enum watch_end end = watch_run(&watch, &number, NULL);
    if (end == WATCH_END_SIGNAL) {
        run->result->was_interrupted = true;
        atomic_store(&run->board->must_stop, true);
        end = watch_run(&watch, &number, NULL);
    }
    if (end == WATCH_END_SIGNAL) {
        watch_signal_die(number); /* Asked twice: the store is as a crash leaves it. */
    }
    crew_join(&run->crew);
    board_collect_end(run->board, run->result);
    (void)close(ends[0]);
    return board_failure(run->board, reterr) ? reterr->code : PYR_OK;
}

static enum pyr_err run_all(struct run *run, struct pyr_error *reterr)
{
    const struct load_options *options = &run->options;
    enum pyr_err err = board_create(options, &run->board, reterr);
    run->result = err == PYR_OK ? calloc(1, sizeof *run->result) : NULL;
    if (err == PYR_OK && !run->result) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the measurements");
    }
    if (err == PYR_OK) {
        err = crew_open(options, run->board, &run->crew, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(run->ack_fd == -1);
    if (options->ack_file) {
        err = ack_file_open(options->ack_file, &run->ack_fd, reterr);
        run->crew.ack_fd = run->ack_fd;
    }
    if (err == PYR_OK) {
        err = run_members(run, reterr);
    }
    if (err == PYR_OK && options->must_verify) {
        err = crew_acks(&run->crew, &run->acks, reterr);
        /* What is acknowledged from memory may not be readable yet. */
        ASSERT(run->crew.logs != NULL);
        for (int64_t index = 0; index < options->partitions && err == PYR_OK; index++) {
            err = pyr_log_sync(run->crew.logs[index], reterr);
        }
        if (err == PYR_OK) {
            err = verify_logs(options, run->crew.logs, &run->acks, run->signal_fd, &run->verify,
                              reterr);
        }
    }
    return err;
}

/* Return whether anything was measured: a report of nothing would only hide the error. */
static bool result_has_records(const struct load_result *result)
{
    ASSERT(LANE_ROLE_COUNT == 2);
    return result && (result->tallies[LANE_ROLE_WRITER].records > 0 ||
                      result->tallies[LANE_ROLE_READER].records > 0);
}

int load_run(const struct load_options *options)
{
    struct run run = {.options = *options, .ack_fd = -1, .crew = {.ack_fd = -1}};
    struct pyr_error error = {.code = PYR_OK};
    ASSERT(!options->is_demo);

    run.signal_fd = watch_signals_block();
    enum pyr_err err = run_all(&run, &error);
    int status = 0;
    bool has_measured = run.board && (err == PYR_OK || result_has_records(run.result));
    if (has_measured) {
        const struct load_report report = {
            .options = options,
            .result = run.result,
            .describe = run.board->describe,
            .recovery = &run.board->recovery,
            .verify = options->must_verify && err == PYR_OK ? &run.verify : NULL,
        };
        if (options->is_json) {
            report_json(&report);
        } else {
            report_text(&report);
        }
        bool has_failed = report.verify && !verify_has_passed(report.verify);
        status = has_failed                    ? err_exit_status(PYR_ERR_CORRUPT)
                 : run.result->was_interrupted ? 1
                                               : 0;
    }
    crew_close(&run.crew);
    status = err != PYR_OK ? args_fail(load_command(), &error) : status;
    if (run.ack_fd >= 0) {
        (void)close(run.ack_fd);
    }
    acks_deinit(&run.acks);
    free(run.result);
    board_destroy(run.board);
    return status;
}

int load_verify_against(const struct load_options *options)
{
    struct acks acks = {.rows = NULL};
    struct pyr_recovery recovery = {.partitions = 0};
    struct verify_report verify;
    struct pyr_error error = {.code = PYR_OK};
    ASSERT(options->verify_against != NULL);

    int signal_fd = watch_signals_block();
    enum pyr_err err = acks_read(&acks, options->verify_against, &error);
    if (err == PYR_OK) {
        err = verify_store(options, &acks, signal_fd, &recovery, &verify, &error);
    }
    int status = 0;
    if (err == PYR_OK) {
        const struct load_report report = {.options = options,
                                           .recovery = &recovery,
                                           .verify = &verify};
        if (options->is_json) {
            report_json(&report);
        } else {
            report_text(&report);
        }
        status = verify_has_passed(&verify) ? 0
                 : verify.signal            ? 1
                                            : err_exit_status(PYR_ERR_CORRUPT);
    } else {
        status = args_fail(load_command(), &error);
    }
    acks_deinit(&acks);
    return status;
}
