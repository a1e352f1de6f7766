/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_demo - the log at work: load, kill -9, recover, verify.
 *
 *     parent                                     child
 *     folder, board, pipe, fork ------------->   opens the store, loads
 *     live line from the shared board            each acknowledgement -> a line in the pipe
 *     10 s: kill -9  --------------------------> is gone
 *     reads the pipe to its end
 *     opens the store: recovery
 *     reads everything, holds it against the lines
 *
 * The child has no part in the proof: what was acknowledged is what arrived in the parent.
 *
 * Failure modes:   the child fails first -> its error is printed, exit 1
 *                  a signal -> the child is killed, the folder removed, death by that signal
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "cli/load_crew.h"
#include "cli/load_report.h"
#include "cli/load_run.h"
#include "cli/load_watch.h"
#include "cli/show.h"

/* Folders open at once while removing. */
enum { FOLDERS_OPEN_MAX = 16 };

/* What the demonstration holds. */
struct demo {
    struct load_options options;
    char folder[PATH_BYTES_MAX];
    char data[PATH_BYTES_MAX];
    struct load_board *board;
    struct load_result *result;
    struct acks acks;
    struct pyr_recovery recovery;
    struct verify_report verify;
    int signal_fd;
    int pipe_fd;
    int signal; /* The one that interrupted; 0: none. */
    pid_t child;
};

/* -- The folder -- */

static int entry_remove(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)stat;
    (void)kind;
    (void)place;
    ASSERT(path != NULL);
    return remove(path);
}

static void folder_remove(const char *folder)
{
    ASSERT(folder[0] == '/' || folder[0] == '.' || folder[0] != '\0');

    if (nftw(folder, entry_remove, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS) != 0) {
        (void)fprintf(stderr, "pyralog-load: could not remove '%s': %s\n", folder, strerror(errno));
    }
}

static enum pyr_err folder_make(struct demo *demo, struct pyr_error *reterr)
{
    const char *base = getenv("TMPDIR");
    base = base && base[0] ? base : "/tmp";
    int bytes = snprintf(demo->folder, sizeof demo->folder, "%s/pyralog-demo-XXXXXX", base);
    if (bytes < 0 || (size_t)bytes + sizeof "/data" > sizeof demo->folder) {
        demo->folder[0] = '\0';
        return err_set(reterr, PYR_ERR_INVALID, "TMPDIR is longer than %d bytes", PATH_BYTES_MAX);
    }
    if (!mkdtemp(demo->folder)) {
        demo->folder[0] = '\0';
        return err_set_errno(reterr, errno, "make a folder in '%s' (set TMPDIR to choose another)",
                             base);
    }
    (void)snprintf(demo->data, sizeof demo->data, "%s/data", demo->folder);
    demo->options.folder = demo->data;
    ASSERT(demo->options.folder[0] != '\0');
    return PYR_OK;
}

/* -- The child -- */

/* Load until killed. What goes wrong stands on the board. */
_Noreturn static void child_main(struct demo *demo, int ack_fd)
{
    struct load_crew crew;
    struct pyr_error error;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* Never outlive the parent. */
    demo->options.duration_ns = 0;          /* The parent ends it. */
    if (crew_open(&demo->options, demo->board, &crew, &error) != PYR_OK) {
        board_fail(demo->board, &error);
        _exit(1);
    }
    ASSERT(ack_fd >= 0);
    crew.ack_fd = ack_fd;
    crew_start(&crew);
    crew_join(&crew);
    _exit(1); /* Only after a failure, which stands on the board. */
}

static enum pyr_err child_start(struct demo *demo, struct pyr_error *reterr)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set_errno(reterr, errno, "make a pipe");
    }
    /* A larger pipe keeps the writers from waiting for this process. Without it they just may. */
    (void)fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    (void)fflush(stdout);
    demo->child = fork();
    if (demo->child == 0) {
        (void)close(ends[0]);
        child_main(demo, ends[1]);
    }
    int number = errno;
    (void)close(ends[1]);
    demo->pipe_fd = ends[0];
    if (demo->child < 0) {
        return err_set_errno(reterr, number, "start a process");
    }
    ASSERT(demo->child > 0);
    return PYR_OK;
}

/* Kill the child, and wait until it is gone. */
static void child_kill(struct demo *demo)
{
    if (demo->child <= 0) {
        return;
    }
    (void)kill(demo->child, SIGKILL);
    pid_t gone = waitpid(demo->child, NULL, 0);
    ASSERT(gone == demo->child);
    demo->child = 0;
}

/* -- The steps -- */

static void step(const struct demo *demo, const char *name, const char *text)
{
    ASSERT(name != NULL);
    if (!demo->options.is_json) {
        (void)printf("\n%s  %s\n", name, text);
        (void)fflush(stdout);
    }
}

/* Let the child load for the asked time, then kill it. */
static enum pyr_err step_load(struct demo *demo, struct pyr_error *reterr)
{
    const struct load_watch watch = {
        .options = &demo->options,
        .board = demo->board,
        .result = demo->result,
        .acks = &demo->acks,
        .fd = demo->pipe_fd,
        .signal_fd = demo->signal_fd,
        .deadline_ns = (uint64_t)(demo->options.warmup_ns + demo->options.duration_ns),
        .is_live = !demo->options.is_quiet && show_is_terminal(stderr),
    };
    ASSERT(demo->child > 0);
    enum watch_end end = watch_run(&watch, &demo->signal, reterr);
    pid_t child = demo->child;
    child_kill(demo);
    if (end == WATCH_END_SIGNAL || end == WATCH_END_ERROR) {
        return end == WATCH_END_SIGNAL ? PYR_OK : reterr->code;
    }
    if (board_failure(demo->board, reterr)) {
        return reterr->code;
    }
    if (end == WATCH_END_DONE) {
        return err_set(reterr, PYR_ERR_FAILED, "the loading process ended by itself");
    }
    enum pyr_err err = watch_drain(&watch, reterr);
    board_collect_end(demo->board, demo->result);
    if (err == PYR_OK && !demo->options.is_json) {
        const struct load_tally *tally = &demo->result->tallies[LANE_ROLE_WRITER];
        report_work(&demo->options, demo->board->describe);
        report_tally(tally, "  ");
        report_over_time(tally, "  ");
        char text[128];
        (void)snprintf(text, sizeof text,
                       "process %ld was killed at work, having acknowledged %s records",
                       (long)child, show_count(demo->acks.acked).text);
        step(demo, "kill -9", text);
    }
    return err;
}

static enum pyr_err step_verify(struct demo *demo, struct pyr_error *reterr)
{
    enum pyr_err err = verify_store(&demo->options, &demo->acks, demo->signal_fd, &demo->recovery,
                                    &demo->verify, reterr);
    if (err != PYR_OK) {
        return err;
    }
    demo->signal = demo->verify.signal;
    ASSERT(demo->verify.records > 0 || demo->acks.acked == 0 || demo->verify.missing > 0 ||
           demo->signal);
    if (demo->signal || demo->options.is_json) {
        return PYR_OK;
    }
    step(demo, "recover", "the folder was opened again");
    report_recovery(&demo->recovery, "  ");
    step(demo, "verify ", "everything was read back and held against the acknowledgements");
    report_verify(&demo->verify, "  ");
    bool has_passed = verify_has_passed(&demo->verify);
    (void)printf("\n%s\n", has_passed ? "Passed: no acknowledged record was lost."
                                      : "FAILED: the log did not keep its word.");
    return PYR_OK;
}

static enum pyr_err demo_run(struct demo *demo, struct pyr_error *reterr)
{
    enum pyr_err err = folder_make(demo, reterr);
    if (err == PYR_OK) {
        err = board_create(&demo->options, &demo->board, reterr);
    }
    demo->result = err == PYR_OK ? calloc(1, sizeof *demo->result) : NULL;
    if (err == PYR_OK && !demo->result) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the measurements");
    }
    if (err == PYR_OK) {
        char text[PATH_BYTES_MAX + 64];
        (void)snprintf(text, sizeof text, "%s of appends by a process of its own, in %s",
                       show_duration((uint64_t)demo->options.duration_ns).text, demo->data);
        step(demo, "load   ", text);
        err = child_start(demo, reterr);
    }
    if (err == PYR_OK) {
        err = step_load(demo, reterr);
    }
    if (err == PYR_OK && demo->signal == 0) {
        err = step_verify(demo, reterr);
    }
    ASSERT(err == PYR_OK || demo->signal == 0);
    return err;
}

int load_demo(const struct load_options *options)
{
    struct demo demo = {.options = *options, .pipe_fd = -1};
    struct pyr_error error = {.code = PYR_OK};
    ASSERT(options->is_demo);

    demo.signal_fd = watch_signals_block();
    enum pyr_err err = demo_run(&demo, &error);
    child_kill(&demo);
    int status = 0;
    if (err != PYR_OK) {
        status = args_fail(load_command(), &error);
    } else if (demo.signal == 0) {
        const struct load_report report = {.options = options,
                                           .result = demo.result,
                                           .describe = demo.board->describe,
                                           .recovery = &demo.recovery,
                                           .verify = &demo.verify};
        if (options->is_json) {
            report_json(&report);
        }
        status = verify_has_passed(&demo.verify) ? 0 : err_exit_status(PYR_ERR_CORRUPT);
    }
    if (demo.pipe_fd >= 0) {
        (void)close(demo.pipe_fd);
    }
    acks_deinit(&demo.acks);
    free(demo.result);
    board_destroy(demo.board);
    if (demo.folder[0]) {
        folder_remove(demo.folder);
    }
    if (demo.signal) {
        watch_signal_die(demo.signal);
    }
    return status;
}
