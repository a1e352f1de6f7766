/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_options - the table of pyralog-sim, and what follows from it.
 */
#include "cli/sim_options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"

enum { JOBS_MAX = 256, WEIGHT_MAX = 1000000, NAME_BYTES = 32 };

#define SEEDS_MAX INT64_C(1000000000)
#define HOUR_NS   INT64_C(3600000000000)

#define FIELD(name) .field = offsetof(struct sim_options, name)

/* Which seeds, and how. */
static const struct args_option own_table[] = {
    {"seed", "N", NULL,
     "run this seed; print all that it decides, and if something is violated the history",
     ARGS_NUMBER, FIELD(seed), .range = {0, INT64_MAX}},
    {"seeds", "A-B", NULL, "run all seeds from A to B, and count", ARGS_TEXT, FIELD(seeds)},
    {"config", "FILE", NULL,
     "take N, W, R and unclean_election from this configuration, as pyralog's nodes read it",
     ARGS_TEXT, FIELD(config)},
    {"jobs", "N", "0", "processes that run seeds; 0: one a core", ARGS_NUMBER, FIELD(jobs),
     .range = {0, JOBS_MAX}},
    {"resume", "FILE", NULL,
     "keep what is done in FILE, and go on from what it holds; only with the same build and the "
     "same options",
     ARGS_TEXT, FIELD(resume)},
    {"results", "FILE", NULL, "write a page of results, in Markdown", ARGS_TEXT, FIELD(results)},
    {"patience", "TIME", "5m", "the longest that a seed may take before that is a violation",
     ARGS_DURATION, FIELD(patience_ns), .range = {1000000, HOUR_NS}},
    {"history", NULL, NULL, "with --seed: print the history in any case", ARGS_FLAG,
     FIELD(has_history)},
    {"letters", NULL, NULL, "a history with a line for every letter between nodes too", ARGS_FLAG,
     FIELD(has_letters)},
    {"quiet", NULL, NULL, "no progress", ARGS_FLAG, FIELD(is_quiet)},
};

enum {
    OWN_COUNT = sizeof own_table / sizeof *own_table,
    OPTION_COUNT = (int)OWN_COUNT + (int)SIM_NUMBER_END + (int)WORLD_FAULT_END,
};

ASSERT_STATIC((int)OPTION_COUNT <= ARGS_OPTIONS_MAX, "args.c makes a list of them");

/* -- The rows made from the simulator's tables -- */

enum group {
    GROUP_CLUSTER,
    GROUP_NODES,
    GROUP_NETWORK,
    GROUP_CLIENTS,
    GROUP_TROUBLE,
    GROUP_JUDGE,
};

static const char *const headings[] = {
    [GROUP_CLUSTER] = "The cluster (what is not given is drawn from the seed, here and below):",
    [GROUP_NODES] = "The nodes:",
    [GROUP_NETWORK] = "The network:",
    [GROUP_CLIENTS] = "The clients:",
    [GROUP_TROUBLE] = "The trouble:",
    [GROUP_JUDGE] = "The judge:",
};

/* One number of a world, as its table has it. */
struct number_row {
    enum group group;
    const char *name;
    enum args_kind kind;
    struct parse_range range;
    const char *text;
};

static const struct number_row number_rows[] = {
#define WORLD_NUMBER(group, type, name, kind, least, most, text) \
    {GROUP_##group, #name, ARGS_##kind, {(int64_t)(least), (int64_t)(most)}, text},
#include "sim/cluster/world_numbers.def"
#undef WORLD_NUMBER
};

static const struct {
    const char *name;
    const char *text;
} fault_rows[] = {

#define X(name, text) {#name, text},
    WORLD_FAULTS(X)
#undef X
};

/* A table, with the room for the names that are made. */
struct table {
    struct args_command command;
    struct args_option options[OPTION_COUNT];
    char names[OPTION_COUNT][NAME_BYTES];
};

/* Return whether @text begins with the unit of time that a value carries by itself. */
static bool is_unit(const char *text)
{
    ASSERT(text != NULL);
    return strncmp(text, "_ns", 3) == 0 && (text[3] == '\0' || text[3] == '_');
}

/* Put @prefix and the field's name @from into @name, as an option is written: with dashes, and
 * without its unit of time. */
static void name_make(char *name, const char *prefix, const char *from)
{
    struct text text = text_of(name, NAME_BYTES);
    text_put(&text, prefix);
    while (*from) {
        const size_t skipped = is_unit(from) ? 3 : 0;
        from += skipped;
        const size_t count = skipped > 0 ? 0 : *from == '_' ? 1 : strcspn(from, "_");
        text_format(&text, "%.*s", (int)count, *from == '_' ? "-" : from);
        from += count;
    }
    ASSERT(!text.is_cut);
}

static const char *value_name(enum args_kind kind)
{
    ASSERT(kind == ARGS_NUMBER || kind == ARGS_BYTES || kind == ARGS_DURATION);
    return kind == ARGS_DURATION ? "TIME" : kind == ARGS_BYTES ? "BYTES" : "N";
}

static const char *const sim_usage[] = {
    "pyralog-sim --seed=N [options]",
    "pyralog-sim --seeds=A-B [--resume=FILE] [--results=FILE] [options]",
    NULL,
};

static const char *const sim_about[] = {
    "Runs whole clusters in virtual time: the nodes' real code on simulated disks, clocks and",
    "links, with crashes, cuts and delays. After every step a judge looks whether what was",
    "promised is kept. A seed decides everything, and repeats exactly in the same build.",
    "Sizes are written 100B, 64KiB, 1MiB; times 500us, 5ms, 10s, 1m.",
    NULL,
};

static const char *const sim_examples[] = {
    "pyralog-sim --seeds=1-2000",
    "pyralog-sim --seed=4711 --history",
    "pyralog-sim --seeds=1-100000 --resume=sweep.txt --results=sweep.md",
    "pyralog-sim --seeds=1-500 --nodes=5 --write-quorum=2 --weight-crash-leader=50",
    NULL,
};

static const char *const sim_statuses[] = {
    "0  all asked for was run, and nothing was violated",
    "1  something was violated; or interrupted, or failed",
    "2  wrong usage",
    NULL,
};

static const struct args_command sim_program = {
    .words = "pyralog-sim",
    .summary = "run whole clusters in virtual time, and judge them",
    .usage = sim_usage,
    .about = sim_about,
    .option_count = OPTION_COUNT,
    .operand = "argument",
    .examples = sim_examples,
    .statuses = sim_statuses,
};

struct args_command *sim_command_create(void)
{
    struct table *table = calloc(1, sizeof *table);
    ASSERT(table);
    table->command = sim_program;
    table->command.options = table->options;
    memcpy(table->options, own_table, sizeof own_table);
    size_t at = OWN_COUNT;
    for (int number = 0; number < SIM_NUMBER_END; number++, at++) {
        const struct number_row *row = &number_rows[number];
        bool is_first = number == 0 || row->group != number_rows[number - 1].group;
        name_make(table->names[at], "", row->name);
        table->options[at] = (struct args_option){
            .name = table->names[at],
            .value = value_name(row->kind),
            .help = row->text,
            .kind = row->kind,
            .field = offsetof(struct sim_options, numbers) + (size_t)number * sizeof(int64_t),
            .range = row->range,
            .heading = is_first ? headings[row->group] : NULL,
        };
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++, at++) {
        name_make(table->names[at], "weight-", fault_rows[fault].name);
        table->options[at] = (struct args_option){
            .name = table->names[at],
            .value = "N",
            .help = fault_rows[fault].text,
            .kind = ARGS_NUMBER,
            .field = offsetof(struct sim_options, weights) + (size_t)fault * sizeof(int64_t),
            .range = {0, WEIGHT_MAX},
            .heading = fault == 0 ? "How often each fault, against the others; 0: never:" : NULL,
        };
    }
    ASSERT(at == OPTION_COUNT);
    return &table->command;
}

void sim_command_destroy(struct args_command *command)
{
    ASSERT(!command || command->option_count == OPTION_COUNT);
    free(command); /* It is the first of its table. */
}

ASSERT_STATIC(offsetof(struct table, command) == 0, "a command is freed as its table");

const struct args_option *sim_number_option(const struct args_command *command,
                                            enum sim_number number)
{
    ASSERT(number < SIM_NUMBER_END);
    return &command->options[(size_t)OWN_COUNT + number];
}

const struct args_option *sim_weight_option(const struct args_command *command,
                                            enum world_fault fault)
{
    ASSERT(fault < WORLD_FAULT_END);
    return &command->options[(size_t)OWN_COUNT + (size_t)SIM_NUMBER_END + fault];
}

/* -- What was typed -- */

struct sim_options sim_options_untyped(void)
{
    struct sim_options options = {.seed = SIM_NOT_TYPED};
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        options.numbers[number] = SIM_NOT_TYPED;
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        options.weights[fault] = SIM_NOT_TYPED;
    }
    ASSERT(options.seeds == NULL);
    return options;
}

/* Read "A-B". */
static enum pyr_err seeds_read(struct sim_options *options, struct pyr_error *reterr)
{
    char first[NAME_BYTES];
    const char *text = options->seeds;
    const char *dash = strchr(text, '-');
    if (!dash || (size_t)(dash - text) >= sizeof first) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--seeds: '%s' is no range: write A-B, such as "
                       "1-2000",
                       text);
    }
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = '\0';
    const struct parse_range range = {0, INT64_MAX - 1};
    int64_t from = 0;
    int64_t to = 0;
    enum pyr_err err = parse_number(first, range, &from, reterr);
    err = err == PYR_OK ? parse_number(dash + 1, range, &to, reterr) : err;
    if (err != PYR_OK) {
        err_wrap(reterr, "--seeds");
        return err;
    }
    if (to < from || to - from >= SEEDS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "--seeds: '%s' %s", text,
                       to < from ? "ends before it begins" : "are more than 1000000000 seeds");
    }
    options->seed_first = (uint64_t)from;
    options->seed_last = (uint64_t)to;
    ASSERT(options->seed_first <= options->seed_last);
    return PYR_OK;
}

/* Refuse a pair of numbers whose first is above its second. */
static enum pyr_err pair_check(const struct sim_options *options,
                               enum sim_number low,
                               enum sim_number high,
                               const char *message,
                               struct pyr_error *reterr)
{
    ASSERT(message != NULL);
    bool is_wrong = options->numbers[low] != SIM_NOT_TYPED &&
                    options->numbers[high] != SIM_NOT_TYPED &&
                    options->numbers[low] > options->numbers[high];
    return is_wrong ? err_set(reterr, PYR_ERR_INVALID, "%s", message) : PYR_OK;
}

static enum pyr_err numbers_check(const struct sim_options *options, struct pyr_error *reterr)
{
    static const struct {
        enum sim_number low;
        enum sim_number high;
        const char *message;
    } pairs[] = {
        {SIM_NUMBER_write_quorum, SIM_NUMBER_nodes, "--write-quorum is above --nodes"},
        {SIM_NUMBER_read_quorum, SIM_NUMBER_nodes, "--read-quorum is above --nodes"},
        {SIM_NUMBER_disk_ns_min, SIM_NUMBER_disk_ns_max, "--disk-min is above --disk-max"},
        {SIM_NUMBER_link_ns_min, SIM_NUMBER_link_ns_max, "--link-min is above --link-max"},
    };
    enum pyr_err err = PYR_OK;
    for (size_t pair = 0; pair < sizeof pairs / sizeof *pairs && err == PYR_OK; pair++) {
        err = pair_check(options, pairs[pair].low, pairs[pair].high, pairs[pair].message, reterr);
    }
    ASSERT(err == PYR_OK || err == PYR_ERR_INVALID);
    return err;
}

enum pyr_err sim_options_settle(struct sim_options *options, struct pyr_error *reterr)
{
    bool has_seed = options->seed != SIM_NOT_TYPED;
    if (has_seed == (options->seeds != NULL)) {
        return err_set(reterr, PYR_ERR_INVALID, "%s; pyralog-sim --help explains",
                       has_seed ? "--seed and --seeds: give one of them"
                                : "--seed=N or --seeds=A-B is missing");
    }
    if (has_seed && (options->resume || options->results || options->jobs > 0)) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--seed runs one seed: leave --jobs, --resume and --results out");
    }
    if (!has_seed && (options->has_history || options->has_letters)) {
        return err_set(reterr, PYR_ERR_INVALID, "--history and --letters are for one --seed");
    }
    options->seed_first = (uint64_t)options->seed;
    options->seed_last = (uint64_t)options->seed;
    enum pyr_err err = has_seed ? PYR_OK : seeds_read(options, reterr);
    ASSERT(err == PYR_OK || err == PYR_ERR_INVALID);
    return err == PYR_OK ? numbers_check(options, reterr) : err;
}
