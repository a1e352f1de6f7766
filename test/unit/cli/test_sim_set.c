/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_set.c and cli/sim_options.c - from what was typed to a whole set of options, and back to
 * words.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "cli/sim_set.h"
#include "lib/case.h"
#include "quorum/rules.h"

enum { WORDS_MAX = 128, TEXT_BYTES = 8192, DRAWS = 2000 };

/* -- Helpers -- */

static enum pyr_err settle(const char *const *words,
                           struct sim_options *options,
                           struct pyr_error *reterr)
{
    struct args_command *command = sim_command_create();
    struct args_found found;
    int count = 0;
    while (words[count]) {
        count++;
    }
    *options = sim_options_untyped();
    enum pyr_err err = args_parse(command, count, words, options, &found, reterr);
    sim_command_destroy(command);
    return err == PYR_OK ? sim_options_settle(options, reterr) : err;
}

#define WORDS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

/* Expand @words for @seed. */
static struct world_options expand(const char *const *words, uint64_t seed)
{
    struct sim_options options;
    struct world_options world = {0};
    struct pyr_error error = {0};
    CHECK_INT(settle(words, &options, &error), PYR_OK);
    if (sim_set_expand(&options, seed, &world, &error) != PYR_OK) {
        CHECK_TEXT(error.message, "");
    }
    return world;
}

static void check_same(const struct world_options *left, const struct world_options *right)
{
    CHECK(left->seed == right->seed);
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        CHECK_INT(sim_set_number(left, (enum sim_number)number),
                  sim_set_number(right, (enum sim_number)number));
    }
    CHECK_BYTES(left->weights, right->weights, sizeof left->weights);
}

/* Type a random value within the bounds of the options of some numbers. */
static void wishes_draw(const struct args_command *command,
                        struct prng *prng,
                        struct sim_options *options)
{
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        const struct args_option *option = sim_number_option(command, (enum sim_number)number);
        if (prng_below(prng, 8) == 0) {
            options->numbers[number] = prng_between(prng, option->range.min, option->range.max);
        }
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        if (prng_below(prng, 8) == 0) {
            options->weights[fault] = (int64_t)prng_below(prng, 100);
        }
    }
}

/* Parse the command @text, as it was printed, and expand it. Changes @text. */
static struct world_options reread(char *text)
{
    const char *words[WORDS_MAX + 1];
    size_t count = 0;
    char *rest = text;
    while (*rest && count < WORDS_MAX) {
        rest += strspn(rest, " \\\n");
        size_t bytes = strcspn(rest, " \\\n");
        words[count] = rest;
        count += bytes > 0 ? 1 : 0;
        rest += bytes;
        rest += *rest ? 1 : 0;
        if (bytes > 0) {
            rest[-1] = '\0';
        }
    }
    words[count] = NULL;
    CHECK_TEXT(words[0], "pyralog-sim");
    struct sim_options options;
    struct world_options world = {0};
    struct pyr_error error = {0};
    if (settle(words + 1, &options, &error) != PYR_OK ||
        sim_set_expand(&options, options.seed_first, &world, &error) != PYR_OK) {
        CHECK_TEXT(error.message, "");
    }
    return world;
}

/* -- Expanding -- */

/* Without a wish a seed is what the simulator draws. */
TEST(sim_set, leaves_to_the_seed_what_is_not_typed)
{
    for (uint64_t seed = 1; seed < 100; seed++) {
        struct world_options drawn;
        world_options_draw(seed, &drawn);

        struct world_options world = expand(WORDS("--seed=1"), seed);

        check_same(&world, &drawn);
    }
}

/* A wish that a drawn number contradicts would otherwise fail in some seeds of a sweep. */
TEST(sim_set, lets_the_drawn_give_way_to_the_typed)
{
    for (uint64_t seed = 1; seed < 100; seed++) {
        struct world_options world = expand(WORDS("--seed=1", "--nodes=3"), seed);
        CHECK_INT(world.nodes, 3);
        CHECK(world.write_quorum <= 3);
        CHECK_INT(world.read_quorum, 4 - world.write_quorum);

        world = expand(WORDS("--seed=1", "--write-quorum=6"), seed);
        CHECK(world.nodes >= 6);

        world = expand(WORDS("--seed=1", "--write-quorum=1", "--read-quorum=2"), seed);
        CHECK_INT(world.nodes, 2);

        world = expand(WORDS("--seed=1", "--link-min=3s"), seed);
        CHECK_INT(world.link_ns_min, 3 * WORLD_S);
        CHECK_INT(world.link_ns_max, 3 * WORLD_S);

        world = expand(WORDS("--seed=1", "--disk-max=0"), seed);
        CHECK_INT(world.disk_ns_min, 0);
    }
}

/* SMP-1: who reads a printed command runs what was run; and whatever is typed within the bounds can
 * be expanded, or is refused for its quorums. */
TEST(sim_set, prints_a_command_that_expands_to_the_same)
{
    struct args_command *command = sim_command_create();
    struct prng prng = prng_of(7, 0);
    uint64_t expanded = 0;
    char *text = malloc(TEXT_BYTES);
    CHECK(text != NULL);
    for (int draw = 0; draw < DRAWS; draw++) {
        struct sim_options options = sim_options_untyped();
        struct world_options world;
        struct pyr_error error;
        options.seed = (int64_t)prng_below(&prng, INT64_MAX);
        wishes_draw(command, &prng, &options);
        if (sim_options_settle(&options, &error) != PYR_OK ||
            sim_set_expand(&options, options.seed_first, &world, &error) != PYR_OK) {
            continue;
        }
        memset(text, 0, TEXT_BYTES);
        FILE *out = fmemopen(text, TEXT_BYTES - 1, "w");
        CHECK(out != NULL);
        sim_set_print(command, &world, out);
        CHECK_INT(fclose(out), 0);

        struct world_options again = reread(text);

        check_same(&world, &again);
        const struct quorum_rules rules = {.voter_count = world.nodes,
                                           .write_quorum = world.write_quorum,
                                           .read_quorum = world.read_quorum,
                                           .unclean_election = world.unclean_election != 0};
        CHECK_INT(quorum_rules_check(&rules, NULL), PYR_OK);
        CHECK(world.link_ns_min <= world.link_ns_max);
        CHECK(world.disk_ns_min <= world.disk_ns_max);
        expanded++;
    }
    CHECK(expanded > DRAWS / 2);
    free(text);
    sim_command_destroy(command);
}

/* Typed quorums that cannot be kept are refused for every seed alike. */
TEST(sim_set, refuses_quorums_that_do_not_meet)
{
    struct sim_options options;
    struct world_options world;
    struct pyr_error error;

    CHECK_INT(settle(WORDS("--seed=1", "--nodes=3", "--write-quorum=1", "--read-quorum=1"),
                     &options, &error),
              PYR_OK);
    CHECK_INT(sim_set_expand(&options, 1, &world, &error), PYR_ERR_INVALID);
    options.numbers[SIM_NUMBER_unclean_election] = 1;
    CHECK_INT(sim_set_expand(&options, 1, &world, &error), PYR_OK);
    CHECK_INT(world.unclean_election, 1);
}

/* -- The table -- */

/* Names are made from fields; a reader should not have to know about fields. */
TEST(sim_options, names_options_without_units_and_underscores)
{
    struct args_command *command = sim_command_create();

    CHECK_TEXT(sim_number_option(command, SIM_NUMBER_link_ns_max)->name, "link-max");
    CHECK_TEXT(sim_number_option(command, SIM_NUMBER_timeout_ns)->name, "timeout");
    CHECK_TEXT(sim_number_option(command, SIM_NUMBER_value_bytes_max)->name, "value-bytes-max");
    CHECK_TEXT(sim_weight_option(command, WORLD_FAULT_crash_leader)->name, "weight-crash-leader");
    for (size_t index = 0; index < command->option_count; index++) {
        for (size_t other = 0; other < index; other++) {
            CHECK(strcmp(command->options[index].name, command->options[other].name) != 0);
        }
    }
    sim_command_destroy(command);
}

/* Check that each number of @world can be typed. */
static void check_bounds(const struct args_command *command, const struct world_options *world)
{
    for (int number = 0; number < SIM_NUMBER_END; number++) {
        const struct args_option *option = sim_number_option(command, (enum sim_number)number);
        int64_t value = (int64_t)sim_set_number(world, (enum sim_number)number);
        bool is_inside = value >= option->range.min && value <= option->range.max;
        CHECK_TEXT(is_inside ? "" : option->name, "");
    }
}

/* What a seed draws could otherwise be printed and not typed. */
TEST(sim_options, has_bounds_that_every_seed_keeps)
{
    struct args_command *command = sim_command_create();
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        struct world_options world;
        world_options_draw(seed, &world);
        check_bounds(command, &world);
    }
    sim_command_destroy(command);
}
