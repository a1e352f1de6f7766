/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_watch - the reporting thread: collects, draws the live line, and hears signals.
 *
 * Signals are blocked in every thread and read from a file descriptor, so that no handler and no
 * hidden state is needed. The first one asks for an end; a second one ends the program at once.
 *
 * Threads: the one that calls.
 */
#ifndef CLI_LOAD_WATCH_H
#define CLI_LOAD_WATCH_H

#include "cli/load_acks.h"
#include "cli/load_board.h"

/* What ended a watch. */
enum watch_end {
    WATCH_END_DONE,     /* The other end of `fd` was closed. */
    WATCH_END_DEADLINE, /* Time is up. */
    WATCH_END_SIGNAL,   /* The user wants an end. */
    WATCH_END_ERROR,    /* What came over `fd` made no sense. */
};

struct load_watch {
    const struct load_options *options;
    struct load_board *board;
    struct load_result *result;
    struct acks *acks;    /* What comes over `fd` goes here; NULL: nothing comes. */
    int fd;               /* Closed at the other end when all is done. */
    int signal_fd;        /* From watch_signals_block. */
    uint64_t deadline_ns; /* Since the board's start; UINT64_MAX: none. */
    bool is_live;         /* Draw the live line. */
};

/** Block the signals that end a program, here and in threads started later, and return a descriptor
 * that reads them; -1 if there is none to have. */
int watch_signals_block(void);

/** Return the signal that came, 0 if none did. */
int watch_signal_take(int signal_fd);

/** Clean up after that: unblock @number and die of it, as the shell expects. */
_Noreturn void watch_signal_die(int number);

/** Watch until one of the ends. @reterr is filled for WATCH_END_ERROR, *@ret_signal for
 * WATCH_END_SIGNAL. */
enum watch_end watch_run(const struct load_watch *watch, int *ret_signal, struct pyr_error *reterr);

/** Read what is left in watch->fd up to its end. */
MUST_CHECK enum pyr_err watch_drain(const struct load_watch *watch, struct pyr_error *reterr);

#endif /* CLI_LOAD_WATCH_H */
