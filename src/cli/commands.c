/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/commands - finding a command by its words, and the list of all.
 */
#include "cli/commands.h"

#include <string.h>

#include "base/assert.h"

/* Where the words of a command begin: behind "pyralog ". */
#define PROGRAM_BYTES (sizeof "pyralog " - 1)

enum {
    WORD_BYTES = 32,
    NAMES_MAX = 32,
    COMMAND_COUNT = 5,
};

static const struct args_command *const commands[COMMAND_COUNT] = {
    &log_stat_command,   &log_dump_command,   &log_verify_command,
    &log_repair_command, &completion_command,
};

const struct args_command *commands_at(size_t index)
{
    if (index >= COMMAND_COUNT) {
        return NULL;
    }
    ASSERT(strncmp(commands[index]->words, "pyralog ", PROGRAM_BYTES) == 0);
    return commands[index];
}

/* Copy word number @number of @command to @word; false if it has fewer. */
static bool command_word(const struct args_command *command, int number, char word[WORD_BYTES])
{
    const char *at = command->words + PROGRAM_BYTES;
    for (int skipped = 0; skipped < number; skipped++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    size_t bytes = strcspn(at, " ");
    ASSERT(bytes < WORD_BYTES);
    memcpy(word, at, bytes);
    word[bytes] = '\0';
    return bytes > 0;
}

bool commands_has_noun(const char *noun)
{
    ASSERT(noun != NULL);

    char word[WORD_BYTES];
    for (size_t index = 0; commands_at(index); index++) {
        if (command_word(commands_at(index), 0, word) && strcmp(word, noun) == 0) {
            return true;
        }
    }
    return false;
}

/* Complain about @typed, which is word number @number behind the noun @noun (NULL for the first).
 */
static enum pyr_err word_unknown(const char *noun, const char *typed, struct pyr_error *reterr)
{
    char words[NAMES_MAX][WORD_BYTES];
    const char *names[NAMES_MAX];
    size_t count = 0;
    ASSERT(typed != NULL);
    for (size_t index = 0; commands_at(index) && count < NAMES_MAX; index++) {
        char first[WORD_BYTES];
        bool is_same =
            command_word(commands_at(index), 0, first) && noun && strcmp(first, noun) == 0;
        if ((!noun || is_same) && command_word(commands_at(index), noun ? 1 : 0, words[count])) {
            names[count] = words[count];
            count++;
        }
    }
    const char *near = args_nearest(typed, names, count);
    const char *blank = noun ? " " : "";
    if (near) {
        return err_set(reterr, PYR_ERR_INVALID, "unknown command '%s%s%s', did you mean '%s%s%s'?",
                       noun ? noun : "", blank, typed, noun ? noun : "", blank, near);
    }
    return err_set(reterr, PYR_ERR_INVALID,
                   "unknown command '%s%s%s'; pyralog%s%s --help lists them", noun ? noun : "",
                   blank, typed, blank, noun ? noun : "");
}

enum pyr_err commands_find(int argc,
                           const char *const *argv,
                           const struct args_command **ret_command,
                           int *ret_word_count,
                           struct pyr_error *reterr)
{
    ASSERT(argc > 0);

    for (size_t index = 0; commands_at(index); index++) {
        char word[WORD_BYTES];
        int matched = 0;
        while (matched < argc && command_word(commands_at(index), matched, word) &&
               strcmp(word, argv[matched]) == 0) {
            matched++;
        }
        if (!command_word(commands_at(index), matched, word)) {
            *ret_command = commands_at(index);
            *ret_word_count = matched;
            return PYR_OK;
        }
    }
    if (!commands_has_noun(argv[0])) {
        return word_unknown(NULL, argv[0], reterr);
    }
    if (argc == 1 || argv[1][0] == '-') {
        return err_set(reterr, PYR_ERR_INVALID, "what shall be done? pyralog %s --help lists it",
                       argv[0]);
    }
    return word_unknown(argv[0], argv[1], reterr);
}

void commands_help(const char *noun, FILE *out)
{
    (void)fprintf(out,
                  "pyralog%s%s - %s\n\nUsage:\n  pyralog%s%s COMMAND [options] [arguments]\n\n"
                  "Commands:\n",
                  noun ? " " : "", noun ? noun : "",
                  noun ? "look after the logs of a store, while nobody has it open"
                       : "an append-only log",
                  noun ? " " : "", noun ? noun : "");
    for (size_t index = 0; commands_at(index); index++) {
        char first[WORD_BYTES];
        bool has_word = command_word(commands_at(index), 0, first);
        ASSERT(has_word);
        if (!noun || strcmp(first, noun) == 0) {
            (void)fprintf(out, "  %-14s %s\n", commands_at(index)->words + PROGRAM_BYTES,
                          commands_at(index)->summary);
        }
    }
    (void)fprintf(out,
                  "\n"
                  "pyralog COMMAND --help explains a command, pyralog --version names what is\n"
                  "inside. pyralog-load(1) loads and measures a log.\n");
}
