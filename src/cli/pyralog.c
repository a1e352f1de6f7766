/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/pyralog - the program: finds the command by its words and runs it.
 */
#include <string.h>

#include "base/assert.h"
#include "cli/commands.h"

/* The program itself, for its own errors and its own help. */
static const struct args_command program = {.words = "pyralog", .summary = "an append-only log"};

static bool is_help(const char *word)
{
    ASSERT(word != NULL);
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv)
{
    ASSERT(argc > 0);

    if (argc == 1) {
        commands_help(NULL, stderr);
        return 2;
    }
    if (is_help(argv[1]) && argc == 2) {
        commands_help(NULL, stdout);
        return args_end(&program, 0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        args_version(&program);
        return args_end(&program, 0);
    }
    /* "pyralog help log dump" is "pyralog log dump --help". */
    bool asks_help = is_help(argv[1]);
    int first = asks_help ? 2 : 1;
    bool asks_noun = argc == first + 1 ? asks_help : argc == first + 2 && is_help(argv[first + 1]);
    const struct args_command *command = NULL;
    int word_count = 0;
    struct pyr_error error;
    enum pyr_err err = commands_find(argc - first, (const char *const *)argv + first, &command,
                                     &word_count, &error);
    if (err != PYR_OK && asks_noun && commands_has_noun(argv[first])) {
        commands_help(argv[first], stdout);
        return args_end(&program, 0);
    }
    if (err != PYR_OK) {
        return args_fail(&program, &error);
    }
    if (asks_help) {
        args_help(command, stdout);
        return args_end(&program, 0);
    }
    int used = first + word_count;
    return args_end(command, command->run(command, argc - used, argv + used));
}
