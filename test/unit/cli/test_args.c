/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/args - the parser and its messages.
 */
#include "cli/args.h"
#include "lib/case.h"

static const char *const colours[] = {"red", "green"};
static const char *const no_lines[] = {NULL};

struct values {
    bool is_loud;
    int64_t count;
    int64_t bytes;
    int64_t wait_ns;
    int64_t colour;
    const char *name;
};

static const struct args_option table[] = {
    {.name = "loud", .kind = ARGS_FLAG, .field = offsetof(struct values, is_loud), .help = "h"},
    {.name = "count",
     .value = "N",
     .fallback = "3",
     .kind = ARGS_NUMBER,
     .field = offsetof(struct values, count),
     .range = {1, 10},
     .help = "h"},
    {.name = "bytes",
     .value = "BYTES",
     .kind = ARGS_BYTES,
     .field = offsetof(struct values, bytes),
     .range = {0, INT64_MAX},
     .help = "h"},
    {.name = "wait",
     .value = "TIME",
     .kind = ARGS_DURATION,
     .field = offsetof(struct values, wait_ns),
     .range = {0, INT64_MAX},
     .help = "h"},
    {.name = "colour",
     .value = "NAME",
     .fallback = "green",
     .kind = ARGS_CHOICE,
     .field = offsetof(struct values, colour),
     .names = colours,
     .name_count = 2,
     .help = "h"},
    {.name = "name",
     .value = "TEXT",
     .kind = ARGS_TEXT,
     .field = offsetof(struct values, name),
     .help = "h"},
};

static const struct args_command command = {.words = "tool",
                                            .summary = "does it",
                                            .usage = no_lines,
                                            .about = no_lines,
                                            .options = table,
                                            .option_count = sizeof table / sizeof *table,
                                            .operand = "DIR",
                                            .operands_min = 1,
                                            .operands_max = 1,
                                            .examples = no_lines};

/* -- Helpers -- */

static enum pyr_err parse(const char *const *words, struct values *values, struct pyr_error *reterr)
{
    struct args_found found;
    int count = 0;
    while (words[count]) {
        count++;
    }
    *values = (struct values){.count = 0};
    return args_parse(&command, count, words, values, &found, reterr);
}

static void check_refused(const char *const *words, const char *message)
{
    struct values values;
    struct pyr_error error;

    CHECK_INT(parse(words, &values, &error), PYR_ERR_INVALID);

    CHECK_TEXT(error.message, message);
}

#define WORDS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

/* -- args_parse -- */

/* Both ways of writing a value are common; a tool that takes only one is a nuisance. */
TEST(args_parse, takes_values_behind_an_equals_sign_and_in_the_next_word)
{
    struct values values;
    struct pyr_error error;

    CHECK_INT(parse(WORDS("--count=7", "--bytes", "64KiB", "dir", "--loud", "--wait=5ms",
                          "--colour=red", "--name", "x"),
                    &values, &error),
              PYR_OK);

    CHECK_INT(values.count, 7);
    CHECK_INT(values.bytes, 65536);
    CHECK_INT(values.wait_ns, 5000000);
    CHECK_INT(values.colour, 0);
    CHECK(values.is_loud);
    CHECK_TEXT(values.name, "x");
}

/* The help prints the default's text; the value must be the one it names. */
TEST(args_parse, sets_defaults_from_the_text_in_the_table)
{
    struct values values;
    struct pyr_error error;

    CHECK_INT(parse(WORDS("dir"), &values, &error), PYR_OK);

    CHECK_INT(values.count, 3);
    CHECK_INT(values.colour, 1);
    CHECK(!values.is_loud);
}

/* Words after "--" are operands, whatever they look like: a folder may be called --loud. */
TEST(args_parse, takes_words_behind_two_dashes_as_operands)
{
    struct values values;
    struct pyr_error error;

    CHECK_INT(parse(WORDS("--", "--loud"), &values, &error), PYR_OK);

    CHECK(!values.is_loud);
}

/* ARG-1, and the message must name option, value and what is right. */
TEST(args_parse, refuses_what_the_table_does_not_allow)
{
    check_refused(WORDS("dir", "--count=11"), "--count: '11' is above 10");
    check_refused(WORDS("dir", "--cuont=1"), "unknown option '--cuont', did you mean '--count'?");
    check_refused(WORDS("dir", "--zzzzzzzz"),
                  "unknown option '--zzzzzzzz'; tool --help lists them");
    check_refused(WORDS("dir", "-x"), "unknown option '-x'; tool --help lists them");
    check_refused(WORDS("dir", "--count"), "--count needs a value: --count=N");
    check_refused(WORDS("dir", "--loud=yes"), "--loud takes no value");
    check_refused(WORDS("dir", "--name="), "--name: the value is empty");
    check_refused(WORDS("dir", "more"), "unexpected argument 'more'");
    check_refused(WORDS("--loud"), "DIR is missing: tool DIR");
    check_refused(WORDS(""), "DIR is empty");
}

/* -- args_nearest -- */

/* A hint that is far off sends the reader the wrong way. */
TEST(args_nearest, finds_a_slip_and_leaves_other_words_alone)
{
    static const char *const names[] = {"verify", "repair", "dump", "stat"};

    CHECK_TEXT(args_nearest("verfiy", names, 4), "verify");
    CHECK_TEXT(args_nearest("repare", names, 4), "repair");
    CHECK_TEXT(args_nearest("stats", names, 4), "stat");
    CHECK(args_nearest("compact", names, 4) == NULL);
    CHECK(args_nearest("", names, 4) == NULL);
}
