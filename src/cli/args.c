/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/args - parsing, help and the nearest known word.
 */
#include "cli/args.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

enum {
    HELP_COLUMNS = 79,
    HELP_INDENT = 25,    /* Where the explanation of an option begins. */
    WORD_BYTES_MAX = 48, /* Longer words have no near one. */
    OPTION_TEXT_BYTES = 64,
};

/* -- The nearest known word -- */

/* Return in how many steps (insert, delete, replace, swap neighbours) @from becomes @to. */
static size_t distance(const char *from, const char *to)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    size_t from_count = strlen(from);
    size_t to_count = strlen(to);
    ASSERT(from_count <= WORD_BYTES_MAX);
    ASSERT(to_count <= WORD_BYTES_MAX);

    for (size_t column = 0; column <= to_count; column++) {
        rows[0][column] = column;
    }
    for (size_t row = 1; row <= from_count; row++) {
        size_t *now = rows[row % 3];
        const size_t *last = rows[(row + 2) % 3];
        const size_t *before = rows[(row + 1) % 3];
        now[0] = row;
        for (size_t column = 1; column <= to_count; column++) {
            size_t is_other = from[row - 1] != to[column - 1] ? 1 : 0;
            size_t best = last[column - 1] + is_other;
            best = last[column] + 1 < best ? last[column] + 1 : best;
            best = now[column - 1] + 1 < best ? now[column - 1] + 1 : best;
            bool can_swap = row > 1 && column > 1 && from[row - 1] == to[column - 2] &&
                            from[row - 2] == to[column - 1];
            size_t swapped = can_swap ? before[column - 2] + 1 : best;
            now[column] = swapped < best ? swapped : best;
        }
    }
    return rows[from_count % 3][to_count];
}

const char *args_nearest(const char *word, const char *const *names, size_t name_count)
{
    ASSERT(word != NULL);

    size_t word_count = strlen(word);
    if (word_count == 0 || word_count > WORD_BYTES_MAX) {
        return NULL;
    }
    const char *best = NULL;
    /* A third of the letters may be wrong, but not more than three; more would be guessing. */
    size_t steps_max = (word_count + 2) / 3;
    size_t best_distance = (steps_max > 3 ? 3 : steps_max) + 1;
    for (size_t index = 0; index < name_count; index++) {
        size_t steps = distance(word, names[index]);
        if (steps < best_distance) {
            best = names[index];
            best_distance = steps;
        }
    }
    return best;
}

/* -- Parsing -- */

static const struct args_option *option_find(const struct args_command *command,
                                             const char *name,
                                             size_t name_bytes)
{
    ASSERT(command->option_count == 0 || command->options != NULL);

    for (size_t index = 0; index < command->option_count; index++) {
        const char *known = command->options[index].name;
        if (strlen(known) == name_bytes && memcmp(known, name, name_bytes) == 0) {
            return &command->options[index];
        }
    }
    return NULL;
}

/* Put the value @text of @option into its field of @values. */
static enum pyr_err option_set(const struct args_option *option,
                               const char *text,
                               void *values,
                               struct pyr_error *reterr)
{
    ASSERT(option->kind == ARGS_FLAG || text != NULL);

    char *field = (char *)values + option->field;
    int64_t number = 0;
    size_t choice = 0;
    enum pyr_err err = PYR_OK;
    switch (option->kind) {
    case ARGS_FLAG:
        *(bool *)(void *)field = true;
        return PYR_OK;
    case ARGS_TEXT:
        *(const char **)(void *)field = text;
        return PYR_OK;
    case ARGS_NUMBER:
        err = parse_number(text, option->range, &number, reterr);
        break;
    case ARGS_BYTES:
        err = parse_bytes(text, option->range, &number, reterr);
        break;
    case ARGS_DURATION:
        err = parse_duration_ns(text, option->range, &number, reterr);
        break;
    case ARGS_CHOICE:
        err = parse_choice(text, option->names, option->name_count, &choice, reterr);
        number = (int64_t)choice;
        break;
    }
    if (err != PYR_OK) {
        err_wrap(reterr, "--%s", option->name);
        return err;
    }
    *(int64_t *)(void *)field = number;
    return PYR_OK;
}

static enum pyr_err option_unknown(const struct args_command *command,
                                   const char *typed,
                                   int typed_bytes,
                                   struct pyr_error *reterr)
{
    ASSERT(typed_bytes >= 0);

    const char *names[ARGS_OPTIONS_MAX + 2];
    size_t count = 0;
    names[count++] = "help";
    names[count++] = "version";
    ASSERT(command->option_count + count <= sizeof names / sizeof *names);
    for (size_t index = 0; index < command->option_count; index++) {
        names[count++] = command->options[index].name;
    }
    char word[WORD_BYTES_MAX + 2];
    (void)snprintf(word, sizeof word, "%.*s", typed_bytes, typed);
    const char *near = args_nearest(word, names, count);
    if (near) {
        return err_set(reterr, PYR_ERR_INVALID, "unknown option '--%.*s', did you mean '--%s'?",
                       typed_bytes, typed, near);
    }
    return err_set(reterr, PYR_ERR_INVALID, "unknown option '--%.*s'; %s --help lists them",
                   typed_bytes, typed, command->words);
}

/* Take the option at argv[*index], and its value, which may be the next word. */
static enum pyr_err option_take(const struct args_command *command,
                                const char *const *argv,
                                int *index,
                                void *values,
                                struct pyr_error *reterr)
{
    ASSERT(argv[*index] != NULL);

    const char *typed = argv[*index] + 2;
    const char *equals = strchr(typed, '=');
    size_t name_bytes = equals ? (size_t)(equals - typed) : strlen(typed);
    const struct args_option *option = option_find(command, typed, name_bytes);
    if (!option) {
        return option_unknown(command, typed, (int)name_bytes, reterr);
    }
    const char *text = equals ? equals + 1 : NULL;
    if (option->kind == ARGS_FLAG && text) {
        return err_set(reterr, PYR_ERR_INVALID, "--%s takes no value", option->name);
    }
    if (option->kind != ARGS_FLAG && !text) {
        text = argv[*index + 1];
        if (!text) {
            return err_set(reterr, PYR_ERR_INVALID, "--%s needs a value: --%s=%s", option->name,
                           option->name, option->value);
        }
        *index += 1;
    }
    if (option->kind == ARGS_TEXT && text[0] == '\0') {
        return err_set(reterr, PYR_ERR_INVALID, "--%s: the value is empty", option->name);
    }
    return option_set(option, text, values, reterr);
}

static enum pyr_err operand_take(const struct args_command *command,
                                 const char *word,
                                 struct args_found *found,
                                 struct pyr_error *reterr)
{
    ASSERT(command->operands_max <= ARGS_OPERANDS_MAX);

    if (found->operand_count == command->operands_max) {
        return err_set(reterr, PYR_ERR_INVALID, "unexpected argument '%s'", word);
    }
    if (word[0] == '\0') {
        return err_set(reterr, PYR_ERR_INVALID, "%s is empty", command->operand);
    }
    found->operands[found->operand_count++] = word;
    return PYR_OK;
}

static enum pyr_err defaults_set(const struct args_command *command,
                                 void *values,
                                 struct pyr_error *reterr)
{
    ASSERT(values != NULL || command->option_count == 0);

    for (size_t index = 0; index < command->option_count; index++) {
        const struct args_option *option = &command->options[index];
        if (!option->fallback) {
            continue;
        }
        enum pyr_err err = option_set(option, option->fallback, values, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}

enum pyr_err args_parse(const struct args_command *command,
                        int argc,
                        const char *const *argv,
                        void *values,
                        struct args_found *ret_found,
                        struct pyr_error *reterr)
{
    struct args_found found = {.wants_help = false};
    for (int index = 0; index < argc && strcmp(argv[index], "--") != 0; index++) {
        found.wants_help |= strcmp(argv[index], "--help") == 0 || strcmp(argv[index], "-h") == 0;
        found.wants_version |= strcmp(argv[index], "--version") == 0;
    }
    if (found.wants_help || found.wants_version) {
        *ret_found = found;
        return PYR_OK;
    }

    enum pyr_err err = defaults_set(command, values, reterr);
    ASSERT(err == PYR_OK); /* ARG-1: the defaults stand in our own table. */
    bool is_options = true;
    for (int index = 0; index < argc && err == PYR_OK; index++) {
        const char *word = argv[index];
        if (is_options && strcmp(word, "--") == 0) {
            is_options = false;
        } else if (is_options && word[0] == '-' && word[1] == '-') {
            err = option_take(command, argv, &index, values, reterr);
        } else if (is_options && word[0] == '-' && word[1] != '\0') {
            err = err_set(reterr, PYR_ERR_INVALID, "unknown option '%s'; %s --help lists them",
                          word, command->words);
        } else {
            err = operand_take(command, word, &found, reterr);
        }
    }
    if (err == PYR_OK && found.operand_count < command->operands_min) {
        err = err_set(reterr, PYR_ERR_INVALID, "%s is missing: %s %s", command->operand,
                      command->words, command->operand);
    }
    if (err == PYR_OK) {
        *ret_found = found;
    }
    return err;
}

/* -- Help -- */

/* Print @text, broken at blanks so that no line passes HELP_COLUMNS; lines after the first begin at
 * @indent. The cursor is at @column. */
static void print_wrapped(FILE *out, const char *text, int column, int indent)
{
    ASSERT(indent < HELP_COLUMNS);

    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column > indent && column + 1 + word > HELP_COLUMNS) {
            (void)fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fprintf(out, "%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

static void print_option(FILE *out, const struct args_option *option)
{
    ASSERT(option->help != NULL);

    char head[OPTION_TEXT_BYTES];
    char help[512];
    if (option->heading) {
        (void)fprintf(out, "\n%s\n", option->heading);
    }
    (void)snprintf(head, sizeof head, "  --%s%s%s", option->name, option->value ? "=" : "",
                   option->value ? option->value : "");
    (void)snprintf(help, sizeof help, "%s%s%s%s", option->help,
                   option->fallback ? " (default: " : "", option->fallback ? option->fallback : "",
                   option->fallback ? ")" : "");
    int column = (int)strlen(head);
    (void)fprintf(out, "%s", head);
    if (column + 2 > HELP_INDENT) {
        (void)fputc('\n', out);
        column = 0;
    }
    (void)fprintf(out, "%*s", HELP_INDENT - column, "");
    print_wrapped(out, help, HELP_INDENT, HELP_INDENT);
}

static void print_lines(FILE *out, const char *title, const char *const *lines)
{
    ASSERT(title != NULL);

    if (!lines) {
        return;
    }
    (void)fprintf(out, "%s", title);
    for (size_t index = 0; lines[index]; index++) {
        (void)fprintf(out, "%s%s\n", lines[index][0] ? "  " : "", lines[index]);
    }
}

static const char *const statuses[] = {"0  done", "1  failed", "2  wrong usage", "3  corrupt data",
                                       NULL};

void args_help(const struct args_command *command, FILE *out)
{
    ASSERT(command->usage != NULL);
    ASSERT(command->examples != NULL);

    (void)fprintf(out, "%s - %s\n", command->words, command->summary);
    print_lines(out, "\nUsage:\n", command->usage);
    print_lines(out, "\n", command->about);
    (void)fprintf(out, "\nOptions:\n");
    for (size_t index = 0; index < command->option_count; index++) {
        print_option(out, &command->options[index]);
    }
    const struct args_option help = {.name = "help", .help = "print this help and exit"};
    const struct args_option version = {.name = "version",
                                        .help = "print version, libraries and backends and exit"};
    print_option(out, &help);
    print_option(out, &version);
    print_lines(out, "\nExamples:\n", command->examples);
    print_lines(out, "\nExit status:\n", command->statuses ? command->statuses : statuses);
}

/* -- Beginning and ending -- */

/* Return how many bytes of the words name the program: "pyralog log dump" is pyralog's. */
static int program_bytes(const struct args_command *command)
{
    ASSERT(command->words[0] != '\0');
    return (int)strcspn(command->words, " ");
}

void args_version(const struct args_command *command)
{
    ASSERT(command->words != NULL);
    (void)printf("%.*s %s\n", program_bytes(command), command->words, pyr_version_details());
}

int args_fail(const struct args_command *command, const struct pyr_error *error)
{
    ASSERT(error->code != PYR_OK);

    /* "pyralog log dump" complains as "pyralog: log dump: ...". */
    const char *blank = strchr(command->words, ' ');
    (void)fflush(stdout);
    (void)fprintf(stderr, "%.*s: %s%s%s\n", program_bytes(command), command->words,
                  blank ? blank + 1 : "", blank ? ": " : "", error->message);
    return err_exit_status(error->code);
}

int args_begin(const struct args_command *command,
               int argc,
               char **argv,
               void *values,
               struct args_found *ret_found)
{
    struct pyr_error error;
    enum pyr_err err =
        args_parse(command, argc, (const char *const *)argv, values, ret_found, &error);
    if (err != PYR_OK) {
        ASSERT(err_exit_status(err) == 2);
        return args_fail(command, &error);
    }
    if (ret_found->wants_help) {
        args_help(command, stdout);
        return args_end(command, 0);
    }
    if (ret_found->wants_version) {
        args_version(command);
        return args_end(command, 0);
    }
    return -1;
}

int args_end(const struct args_command *command, int status)
{
    ASSERT(status >= 0);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        struct pyr_error error;
        (void)err_set_errno(&error, errno ? errno : EIO, "write to standard output");
        (void)args_fail(command, &error);
        return 1;
    }
    return status;
}
