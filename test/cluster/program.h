/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/program - running the real programs and looking at what they said.
 */
#ifndef CLUSTER_PROGRAM_H
#define CLUSTER_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

/* Enough for a help text or a report. */
enum { PROGRAM_TEXT_BYTES = 1 << 17 };

/* What a program did. */
struct program {
    int status; /* Exit status, or 128 plus the signal that ended it. */
    char out[PROGRAM_TEXT_BYTES];
    char err[PROGRAM_TEXT_BYTES];
};

/** Run @words (words[0] is the name of a program) to its end. Fails the test if it cannot be
 * started. Gives: free. */
struct program *program_run(const char *const *words);

/** Start @words with its stdout on a pipe whose end is *@ret_fd. Gives: program_end. */
pid_t program_start(const char *const *words, int *ret_fd);

/** Wait for @child and return its status as in struct program. */
int program_end(pid_t child);

#define PROGRAM(...) program_run((const char *const[]){__VA_ARGS__, NULL})

#endif /* CLUSTER_PROGRAM_H */
