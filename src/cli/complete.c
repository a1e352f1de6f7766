/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/complete - the completion of bash, made from the tables of options.
 *
 * The scripts are kept in src/cli/completion/, so that they can be installed when programs for
 * another machine are built; a test holds them against what this prints.
 */
#include <string.h>

#include "base/assert.h"
#include "cli/commands.h"
#include "cli/load_options.h"
#include "cli/sim_options.h"

/* Print the options of @command as words. */
static void print_options(const struct args_command *command, FILE *out)
{
    ASSERT(command->words != NULL);

    for (size_t index = 0; index < command->option_count; index++) {
        const struct args_option *option = &command->options[index];
        (void)fprintf(out, "--%s%s ", option->name, option->kind == ARGS_FLAG ? "" : "=");
    }
    (void)fprintf(out, "--help --version");
}

/* Print the case for the values of a choice. */
static void print_choice(const struct args_option *option, FILE *out)
{
    ASSERT(option->kind == ARGS_CHOICE);

    (void)fprintf(out, "    --%s) words=\"", option->name);
    for (size_t index = 0; index < option->name_count; index++) {
        (void)fprintf(out, "%s%s", index > 0 ? " " : "", option->names[index]);
    }
    (void)fprintf(out, "\" ;;\n");
}

/* Print the cases for the values of @command's options. */
static void print_values(const struct args_command *command, FILE *out)
{
    ASSERT(command->words != NULL);

    for (size_t index = 0; index < command->option_count; index++) {
        const struct args_option *option = &command->options[index];
        bool is_path = option->kind == ARGS_TEXT &&
                       (strcmp(option->value, "DIR") == 0 || strcmp(option->value, "FILE") == 0);
        if (option->kind == ARGS_CHOICE) {
            print_choice(option, out);
        } else if (is_path) {
            (void)fprintf(out, "    --%s) files=%s ;;\n", option->name,
                          strcmp(option->value, "DIR") == 0 ? "-d" : "-f");
        }
    }
}

/* Print what every completion begins with. */
static void print_begin(const char *function, FILE *out)
{
    ASSERT(function != NULL);

    (void)fprintf(out,
                  "# SPDX-License-Identifier: Apache-2.0\n"
                  "# Made by `pyralog completion`; do not edit.\n"
                  "%s()\n"
                  "{\n"
                  "  local word=${COMP_WORDS[COMP_CWORD]} option= words= files=\n"
                  "  # Bash breaks an option, its = and its value into three words.\n"
                  "  if [ \"$word\" = = ]; then option=${COMP_WORDS[COMP_CWORD-1]} word=\n"
                  "  elif [ \"${COMP_WORDS[COMP_CWORD-1]}\" = = ]; then "
                  "option=${COMP_WORDS[COMP_CWORD-2]}\n"
                  "  fi\n",
                  function);
}

/* Print what every completion ends with. */
static void print_end(const char *function, const char *program, FILE *out)
{
    ASSERT(program != NULL);

    (void)fprintf(out,
                  "  if [ -n \"$files\" ]; then\n"
                  "    compopt -o filenames\n"
                  "    mapfile -t COMPREPLY < <(compgen $files -- \"$word\")\n"
                  "  else\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                  "    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
                  "  fi\n"
                  "}\n"
                  "complete -F %s %s\n",
                  function, program);
}

/* Print the completion of @program, which has no commands but one table. */
static void print_single(const struct args_command *command,
                         const char *function,
                         const char *program,
                         FILE *out)
{
    ASSERT(command != NULL);

    print_begin(function, out);
    (void)fprintf(out, "  case $option in\n");
    print_values(command, out);
    (void)fprintf(out, "    '') words=\"");
    print_options(command, out);
    (void)fprintf(out, "\" ;;\n  esac\n");
    print_end(function, program, out);
}

static void print_sim(FILE *out)
{
    struct args_command *command = sim_command_create();
    ASSERT(command != NULL);
    print_single(command, "_pyralog_sim", "pyralog-sim", out);
    sim_command_destroy(command);
}

/* Print the first words of the commands. */
static void print_nouns(FILE *out)
{
    const char *last = "";
    for (size_t index = 0; commands_at(index); index++) {
        const char *words = strchr(commands_at(index)->words, ' ') + 1;
        size_t bytes = strcspn(words, " ");
        ASSERT(bytes > 0);
        if (strncmp(last, words, bytes) != 0) {
            (void)fprintf(out, "%.*s ", (int)bytes, words);
        }
        last = words;
    }
}

/* Print the words that follow "log". */
static void print_verbs(FILE *out)
{
    for (size_t index = 0; commands_at(index); index++) {
        const char *words = strchr(commands_at(index)->words, ' ') + 1;
        ASSERT(words[0] != '\0');
        if (strncmp(words, "log ", 4) == 0) {
            (void)fprintf(out, "%s ", words + 4);
        }
    }
}

static void print_pyralog(FILE *out)
{
    print_begin("_pyralog", out);
    (void)fprintf(out, "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"");
    print_nouns(out);
    (void)fprintf(out, "help --help --version\"\n"
                       "  elif [ \"$COMP_CWORD\" -eq 2 ] && [ \"${COMP_WORDS[1]}\" = log ]; then "
                       "words=\"");
    print_verbs(out);
    (void)fprintf(out, "--help\"\n  else case \"${COMP_WORDS[1]} ${COMP_WORDS[2]-}\" in\n");
    for (size_t index = 0; commands_at(index); index++) {
        const struct args_command *command = commands_at(index);
        const char *words = strchr(command->words, ' ') + 1;
        ASSERT(words[0] != '\0');
        (void)fprintf(out, "  \"%s%s) case $option in\n", words,
                      strchr(words, ' ') ? "\"" : " \"*");
        print_values(command, out);
        (void)fprintf(out, "    '') case $word in -*) words=\"");
        print_options(command, out);
        (void)fprintf(out, "\" ;;%s esac ;;\n    esac ;;\n",
                      command->operands_max > 0 ? " *) files=-d ;;" : "");
    }
    (void)fprintf(out, "  esac; fi\n");
    print_end("_pyralog", "pyralog", out);
}

void complete_bash(const char *program, FILE *out)
{
    ASSERT(program != NULL);

    if (strcmp(program, "pyralog-load") == 0) {
        print_single(load_command(), "_pyralog_load", "pyralog-load", out);
    } else if (strcmp(program, "pyralog-sim") == 0) {
        print_sim(out);
    } else {
        print_pyralog(out);
    }
}

/* -- The command -- */

static const char *const programs[] = {"pyralog", "pyralog-load", "pyralog-sim"};

struct completion_options {
    int64_t program;
};

static int completion_run(const struct args_command *command, int argc, char **argv)
{
    struct completion_options options = {.program = 0};
    struct args_found found;
    int status = args_begin(command, argc, argv, &options, &found);
    if (status >= 0) {
        return status;
    }
    ASSERT(options.program < (int64_t)(sizeof programs / sizeof *programs));
    complete_bash(programs[options.program], stdout);
    return 0;
}

static const struct args_option completion_table[] = {
    {.name = "program",
     .value = "NAME",
     .fallback = "pyralog",
     .kind = ARGS_CHOICE,
     .field = offsetof(struct completion_options, program),
     .names = programs,
     .name_count = sizeof programs / sizeof *programs,
     .help = "of pyralog, of pyralog-load or of pyralog-sim"},
};

static const char *const completion_usage[] = {"pyralog completion [--program=NAME]", NULL};
static const char *const completion_about[] = {
    "Prints the completion of bash. Installed packages bring it along.", NULL};
static const char *const completion_examples[] = {
    "source <(pyralog completion)",
    "pyralog completion --program=pyralog-load > "
    "~/.local/share/bash-completion/completions/pyralog-load",
    NULL};

const struct args_command completion_command = {
    .words = "pyralog completion",
    .summary = "print the completion of bash",
    .usage = completion_usage,
    .about = completion_about,
    .options = completion_table,
    .option_count = sizeof completion_table / sizeof *completion_table,
    .operand = "argument",
    .examples = completion_examples,
    .run = completion_run,
};
