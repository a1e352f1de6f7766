/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/commands - the table of pyralog's commands.
 *
 * A new command is a struct args_command in a file of its own, and a line in commands.c; help,
 * completion and the golden help texts follow from the table.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/args.h"

/* The commands, one file each. */
extern const struct args_command log_stat_command;
extern const struct args_command log_dump_command;
extern const struct args_command log_verify_command;
extern const struct args_command log_repair_command;
extern const struct args_command completion_command;

/** Return command number @index, or NULL if there are no more. */
const struct args_command *commands_at(size_t index);

/** Find the command that the words at @argv name, and how many of them do. PYR_ERR_INVALID names
 * the word that is unknown and the nearest known one. */
MUST_CHECK enum pyr_err commands_find(int argc,
                                      const char *const *argv,
                                      const struct args_command **ret_command,
                                      int *ret_word_count,
                                      struct pyr_error *reterr);

/** Return whether @noun begins some command. */
bool commands_has_noun(const char *noun);

/** Print the list of commands that begin with @noun, all if it is NULL. */
void commands_help(const char *noun, FILE *out);

/** Print the bash completion of @program: "pyralog", "pyralog-load" or "pyralog-sim". */
void complete_bash(const char *program, FILE *out);

#endif /* CLI_COMMANDS_H */
