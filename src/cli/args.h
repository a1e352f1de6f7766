/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/args - one table per command: its options are parsed, explained and completed from it.
 *
 *   --key=value   --key value   --flag   -h   --   words
 *
 * A row of the table says where in the command's own struct the value goes, what it may be, and in
 * which words it is explained. The default is a text that goes through the same parser, so that the
 * help cannot name another. Everything is checked before a command touches a file, and an error is
 * one line that names the option and the value:
 *
 *   pyralog-load: --size: '70000000' is above 16777216
 *   pyralog-load: unknown option '--tread', did you mean '--threads'?
 *
 * Invariants:
 *   ARG-1  A command runs only with values that lie within the ranges of its table.
 *
 * Threads: pure functions, but for those that print.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdio.h>

#include "base/parse.h"

/* What a value is, and the type of the field that takes it. */
enum args_kind {
    ARGS_FLAG,     /* bool; no value. */
    ARGS_NUMBER,   /* int64_t */
    ARGS_BYTES,    /* int64_t, bytes. */
    ARGS_DURATION, /* int64_t, nanoseconds. */
    ARGS_TEXT,     /* const char *, borrowed from argv. */
    ARGS_CHOICE,   /* int64_t, the index of the name. */
};

/* One option. */
struct args_option {
    const char *name;     /* Without the dashes. */
    const char *value;    /* What stands for the value in the help; NULL for a flag. */
    const char *fallback; /* The default, as one would type it; NULL: the field stays zero. */
    const char *help;     /* A phrase; the help adds the default to it. */
    enum args_kind kind;
    size_t field;             /* offsetof the field in the command's struct. */
    struct parse_range range; /* ARGS_NUMBER, ARGS_BYTES, ARGS_DURATION. */
    const char *const *names; /* ARGS_CHOICE. */
    size_t name_count;
    const char *heading; /* Not NULL: in the help, a line before this option. */
};

/* One command, or a whole program. */
struct args_command {
    const char *words;        /* As typed: "pyralog log dump". */
    const char *summary;      /* One line, for lists and manual pages. */
    const char *const *usage; /* Lines; NULL at the end. */
    const char *const *about; /* Lines of a paragraph; NULL at the end. */
    const struct args_option *options;
    size_t option_count;
    const char *operand; /* What stands for an operand in messages, such as "DIR". */
    size_t operands_min;
    size_t operands_max;
    const char *const *examples; /* Lines; NULL at the end. */
    const char *const *statuses; /* Lines on the exit status; NULL: what most commands have. */
    int (*run)(const struct args_command *command, int argc, char **argv); /* After the words. */
};

/* The most words that are not options, and the most options of a command. */
#define ARGS_OPERANDS_MAX 4
#define ARGS_OPTIONS_MAX  126

/* What stood on the command line besides options. */
struct args_found {
    bool wants_help;
    bool wants_version;
    const char *operands[ARGS_OPERANDS_MAX];
    size_t operand_count;
};

/**
 * Read @argv (after the command's words) into @values by the table of @command: first all defaults,
 * then what was typed.
 *
 * @values keeps pointers into @argv. PYR_ERR_INVALID names the option and what is wrong. With
 * --help or --version the rest is not checked.
 */
MUST_CHECK enum pyr_err args_parse(const struct args_command *command,
                                   int argc,
                                   const char *const *argv,
                                   void *values,
                                   struct args_found *ret_found,
                                   struct pyr_error *reterr);

/** Print the help of @command to @out. */
void args_help(const struct args_command *command, FILE *out);

/** Return the one of @names that @word was probably meant to be, or NULL if none is near. */
const char *args_nearest(const char *word, const char *const *names, size_t name_count);

/** Print "<words of @command>: <message>" to stderr and return the exit status for @error. */
int args_fail(const struct args_command *command, const struct pyr_error *error);

/**
 * Parse as args_parse, and answer --help and --version.
 *
 * Returns -1 if the command shall run, else the exit status to end with.
 */
MUST_CHECK int args_begin(const struct args_command *command,
                          int argc,
                          char **argv,
                          void *values,
                          struct args_found *ret_found);

/** Print the name and version of the program of @command, and what is inside. */
void args_version(const struct args_command *command);

/** Flush stdout and return @status, or 1 with a message if what was printed did not arrive. */
int args_end(const struct args_command *command, int status);

#endif /* CLI_ARGS_H */
