/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_set - the draw, the wishes above it, and words for both.
 */
#include "cli/sim_set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "config/read.h"
#include "config/settle.h"
#include "quorum/rules.h"

enum { LINE_COLUMNS = 96, WORD_BYTES = 64 };

/* -- The configuration -- */

/* What reading a configuration needs, too large for the stack. */
struct workspace {
    struct config_loaded loaded;
    struct config_scan scan;
    struct config_problems problems;
    uint8_t bytes[CONFIG_FILE_BYTES_MAX + 1];
};

static enum pyr_err file_read(const char *path,
                              struct workspace *space,
                              struct bytes *ret_bytes,
                              struct pyr_error *reterr)
{
    ASSERT(path != NULL);
    FILE *file = fopen(path, "re");
    if (!file) {
        return err_set_errno(reterr, errno, "open '%s'", path);
    }
    /* One byte more than a configuration may have: the reader refuses what is too long. */
    size_t count = fread(space->bytes, 1, sizeof space->bytes, file);
    int error = ferror(file) ? errno : 0;
    (void)fclose(file);
    if (error != 0) {
        return err_set_errno(reterr, error, "read '%s'", path);
    }
    *ret_bytes = (struct bytes){space->bytes, count};
    return PYR_OK;
}

/* Let @number be @value unless it was typed. */
static void take(struct sim_options *options, enum sim_number number, int64_t value)
{
    ASSERT(value >= 0);
    if (options->numbers[number] == SIM_NOT_TYPED) {
        options->numbers[number] = value;
    }
}

enum pyr_err sim_set_configure(struct sim_options *options,
                               const char *path,
                               struct pyr_error *reterr)
{
    ASSERT(path != NULL);
    struct workspace *space = calloc(1, sizeof *space);
    ASSERT(space);
    struct bytes bytes = {NULL, 0};
    struct config_target target = config_begin(&space->loaded);
    enum pyr_err err = file_read(path, space, &bytes, reterr);
    if (err == PYR_OK) {
        err = config_read(&target, path, bytes, &space->scan, &space->problems, reterr);
    }
    if (err == PYR_OK) {
        config_settle(&target, &space->problems);
        err = config_problems_end(&space->problems, reterr);
    }
    if (err == PYR_OK) {
        const struct config_topic *topic = &space->loaded.config.topic;
        take(options, SIM_NUMBER_nodes, topic->replication_factor);
        take(options, SIM_NUMBER_write_quorum, topic->write_quorum);
        take(options, SIM_NUMBER_read_quorum, topic->read_quorum);
        take(options, SIM_NUMBER_unclean_election, topic->unclean_election ? 1 : 0);
    } else {
        err_wrap(reterr, "--config");
    }
    free(space);
    return err;
}

/* -- Expanding -- */

/* Where each number stands in struct world_options. */
static const struct {
    size_t offset;
    size_t bytes; /* 4 or 8; no number is below 0. */
} fields[] = {

#define WORLD_NUMBER(group, type, name, kind, least, most, text) \
    {offsetof(struct world_options, name), sizeof(type)},
#include "sim/cluster/world_numbers.def"
#undef WORLD_NUMBER
};

uint64_t sim_set_number(const struct world_options *world, enum sim_number number)
{
    ASSERT(number < SIM_NUMBER_END);
    const char *field = (const char *)world + fields[number].offset;
    uint32_t narrow = 0;
    uint64_t wide = 0;
    if (fields[number].bytes == sizeof wide) {
        memcpy(&wide, field, sizeof wide);
        return wide;
    }
    ASSERT(fields[number].bytes == sizeof narrow);
    memcpy(&narrow, field, sizeof narrow);
    return narrow;
}

static void number_set(struct world_options *world, enum sim_number number, int64_t value)
{
    ASSERT(value >= 0);
    char *field = (char *)world + fields[number].offset;
    uint64_t wide = (uint64_t)value;
    uint32_t narrow = (uint32_t)wide;
    if (fields[number].bytes == sizeof wide) {
        memcpy(field, &wide, sizeof wide);
        return;
    }
    ASSERT(narrow == wide);
    memcpy(field, &narrow, sizeof narrow);
}

static bool is_typed(const struct sim_options *options, enum sim_number number)
{
    ASSERT(number < SIM_NUMBER_END);
    return options->numbers[number] != SIM_NOT_TYPED;
}

static int32_t larger(int32_t left, int32_t right)
{
    return left > right ? left : right;
}

static int32_t smaller(int32_t left, int32_t right)
{
    return left < right ? left : right;
}

/* Bring N, W and R together: those drawn give way to those typed, which stand in @world already. */
static void quorums_settle(const struct sim_options *options, struct world_options *world)
{
    bool has_nodes = is_typed(options, SIM_NUMBER_nodes);
    bool has_write = is_typed(options, SIM_NUMBER_write_quorum);
    bool has_read = is_typed(options, SIM_NUMBER_read_quorum);
    bool is_clean = world->unclean_election == 0;
    if (!has_nodes && has_write) {
        world->nodes = larger(world->nodes, world->write_quorum);
    }
    if (!has_nodes && has_read) {
        world->nodes = larger(world->nodes, world->read_quorum);
    }
    if (!has_nodes && has_write && has_read && is_clean) {
        world->nodes = smaller(world->nodes, world->write_quorum + world->read_quorum - 1);
    }
    if (!has_write) {
        world->write_quorum = smaller(world->write_quorum, world->nodes);
    }
    if (!has_write && has_read && is_clean) {
        world->write_quorum = larger(world->write_quorum, world->nodes - world->read_quorum + 1);
    }
    if (!has_read) {
        world->read_quorum = world->nodes - world->write_quorum + 1;
    }
    ASSERT(world->nodes >= 1);
}

/* Let the one of two bounds that was drawn give way to the one that was typed. */
static void bounds_settle(const struct sim_options *options,
                          enum sim_number low,
                          enum sim_number high,
                          struct world_options *world)
{
    ASSERT(low != high);
    uint64_t least = sim_set_number(world, low);
    uint64_t most = sim_set_number(world, high);
    if (least > most && is_typed(options, low)) {
        number_set(world, high, (int64_t)least);
    } else if (least > most) {
        number_set(world, low, (int64_t)most);
    }
}

enum pyr_err sim_set_expand(const struct sim_options *options,
                            uint64_t seed,
                            struct world_options *ret_world,
                            struct pyr_error *reterr)
{
    struct world_options world;
    world_options_draw(seed, &world);
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        if (is_typed(options, (enum sim_number)number)) {
            number_set(&world, (enum sim_number)number, options->numbers[number]);
        }
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        if (options->weights[fault] != SIM_NOT_TYPED) {
            world.weights[fault] = (uint32_t)options->weights[fault];
        }
    }
    quorums_settle(options, &world);
    bounds_settle(options, SIM_NUMBER_disk_ns_min, SIM_NUMBER_disk_ns_max, &world);
    bounds_settle(options, SIM_NUMBER_link_ns_min, SIM_NUMBER_link_ns_max, &world);
    const struct quorum_rules rules = {.voter_count = world.nodes,
                                       .write_quorum = world.write_quorum,
                                       .read_quorum = world.read_quorum,
                                       .unclean_election = world.unclean_election != 0};
    enum pyr_err err = quorum_rules_check(&rules, reterr);
    if (err == PYR_OK) {
        *ret_world = world;
        ASSERT(ret_world->seed == seed);
    }
    return err;
}

/* -- In words -- */

/* Put @value as one would type it for @option. */
static void put_value(struct text *text, const struct args_option *option, uint64_t value)
{
    static const struct {
        const char *name;
        uint64_t times;
    } units[] = {{"s", WORLD_S}, {"ms", WORLD_MS}, {"us", 1000}, {"ns", 1}};

    ASSERT(option->name != NULL);
    text_format(text, "--%s=", option->name);
    if (option->kind == ARGS_DURATION && value > 0) {
        size_t unit = 0;
        while (value % units[unit].times != 0) {
            unit++;
        }
        text_format(text, "%" PRIu64 "%s", value / units[unit].times, units[unit].name);
    } else if (option->kind == ARGS_BYTES && value > 0 && value % KIB == 0) {
        text_format(text, "%" PRIu64 "KiB", value / KIB);
    } else {
        text_format(text, "%" PRIu64, value);
    }
}

/* Print a word of a command that goes over several lines; return the column behind it. */
static size_t word_print(const struct text *word, size_t column, FILE *out)
{
    ASSERT(word->count > 0);
    if (column + 1 + word->count > LINE_COLUMNS) {
        (void)fprintf(out, " \\\n   ");
        column = 3;
    }
    (void)fprintf(out, " %s", word->data);
    return column + 1 + word->count;
}

void sim_set_print(const struct args_command *command, const struct world_options *world, FILE *out)
{
    char room[WORD_BYTES];
    struct text word = text_of(room, sizeof room);
    size_t column = strlen(command->words);
    ASSERT(column > 0);
    (void)fprintf(out, "%s", command->words);
    text_format(&word, "--seed=%" PRIu64, world->seed);
    column = word_print(&word, column, out);
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        text_clear(&word);
        put_value(&word, sim_number_option(command, (enum sim_number)number),
                  sim_set_number(world, (enum sim_number)number));
        column = word_print(&word, column, out);
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        text_clear(&word);
        put_value(&word, sim_weight_option(command, (enum world_fault)fault),
                  world->weights[fault]);
        column = word_print(&word, column, out);
    }
    (void)fprintf(out, "\n");
}

void sim_set_put_wishes(const struct args_command *command,
                        const struct sim_options *options,
                        struct text *text)
{
    ASSERT(command->option_count > 0);
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        if (options->numbers[number] != SIM_NOT_TYPED) {
            text_put(text, " ");
            put_value(text, sim_number_option(command, (enum sim_number)number),
                      (uint64_t)options->numbers[number]);
        }
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        if (options->weights[fault] != SIM_NOT_TYPED) {
            text_put(text, " ");
            put_value(text, sim_weight_option(command, (enum world_fault)fault),
                      (uint64_t)options->weights[fault]);
        }
    }
}
