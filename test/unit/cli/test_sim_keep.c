/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_keep.c and cli/sim_tally.c - which seeds are done, counted once, kept and read back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/prng.h"
#include "cli/sim_keep.h"
#include "lib/case.h"

enum { SEEDS = 300, ROUNDS = 20, LINE_MAX_BYTES = 256 };

/* -- Helpers -- */

static struct sim_outcome outcome_of(uint64_t seed)
{
    struct sim_outcome outcome = {.seed = seed, .processor_ns = seed, .was_repeated = seed == 100};
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        outcome.result.counts[count] = seed * 100 + (uint64_t)count;
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        outcome.result.faults[fault] = seed;
    }
    outcome.result.virtual_ns = 1000 * seed;
    outcome.result.heal_ns = seed;
    if (seed % 50 == 7) {
        outcome.result.verdict = WORLD_VIOLATED;
        (void)snprintf(outcome.result.violation, sizeof outcome.result.violation,
                       "log 0: lost  its  place %d", (int)seed);
    }
    return outcome;
}

static void check_same(const struct sim_tally *left, const struct sim_tally *right)
{
    CHECK_INT(left->range_count, right->range_count);
    CHECK_BYTES(left->ranges, right->ranges, left->range_count * sizeof *left->ranges);
    CHECK_INT(left->done, right->done);
    CHECK_INT(left->counted, right->counted);
    CHECK_INT(left->repeated, right->repeated);
    CHECK_INT(left->violated, right->violated);
    CHECK_INT(left->violation_count, right->violation_count);
    for (size_t index = 0; index < left->violation_count; index++) {
        CHECK_INT(left->violations[index].seed, right->violations[index].seed);
        CHECK_TEXT(left->violations[index].text, right->violations[index].text);
    }
    CHECK_INT(left->processor_ns, right->processor_ns);
    CHECK_INT(left->wall_ns, right->wall_ns);
    CHECK_INT(left->virtual_ns, right->virtual_ns);
    CHECK_INT(left->heal_ns_max, right->heal_ns_max);
    CHECK_BYTES(left->counts, right->counts, sizeof left->counts);
    CHECK_BYTES(left->faults, right->faults, sizeof left->faults);
    CHECK_BYTES(left->events, right->events, sizeof left->events);
}

/* Add a seed to the tally @ctx, where it is already. */
static void add_again(void *ctx)
{
    struct sim_outcome outcome = outcome_of(4);
    sim_tally_add(ctx, &outcome);
}

static const struct sim_keep keep = {.path = "kept", .build = "0.1.0 abc", .wishes = " --nodes=3"};

/* Write @text as the file and read it; return what the reader said, in @ret_error. */
static enum pyr_err read_text(const char *text, struct pyr_error *ret_error)
{
    struct sim_tally tally;
    FILE *file = fopen(keep.path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_INT(fclose(file), 0);
    sim_tally_init(&tally);
    enum pyr_err err = sim_keep_read(&keep, &tally, ret_error);
    sim_tally_deinit(&tally);
    return err;
}

#define HEAD "pyralog-sim resume 1\nbuild 0.1.0 abc\noptions --nodes=3\n"

/* -- The tally -- */

/* Mark random seeds, and hold the answers against a plain list. */
static void marks_try(struct prng *prng, struct sim_tally *tally)
{
    bool is_done[SEEDS + 1] = {false};
    for (int step = 0; step < SEEDS * 2; step++) {
        uint64_t seed = prng_below(prng, SEEDS);
        uint64_t next = seed;
        while (is_done[next]) {
            next++;
        }

        CHECK(sim_tally_has(tally, seed) == is_done[seed]);
        CHECK_INT(sim_tally_next(tally, seed), next);
        if (!is_done[seed]) {
            sim_tally_mark(tally, (struct sim_range){seed, seed});
            is_done[seed] = true;
        }
    }
}

/* SMP-2: in whatever order seeds end, each is done once, and none is handed out again. */
TEST(sim_tally, grows_ranges_together_in_any_order)
{
    struct prng prng = prng_of(3, 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct sim_tally tally;
        sim_tally_init(&tally);

        marks_try(&prng, &tally);

        for (size_t index = 1; index < tally.range_count; index++) {
            CHECK(tally.ranges[index - 1].last + 1 < tally.ranges[index].first);
        }
        sim_tally_deinit(&tally);
    }
}

/* A seed that counted twice would make a sweep look longer than it was. */
TEST(sim_tally, refuses_a_seed_that_is_done)
{
    struct sim_tally tally;
    sim_tally_init(&tally);
    struct sim_outcome outcome = outcome_of(4);
    sim_tally_add(&tally, &outcome);

    EXPECT_ABORT(add_again, &tally);
    sim_tally_deinit(&tally);
}

/* What is told of violations has an end, what is counted has none. */
TEST(sim_tally, counts_more_violations_than_it_keeps)
{
    struct sim_tally tally;
    sim_tally_init(&tally);
    for (uint64_t seed = 1000; seed > 1000 - 2 * SIM_VIOLATIONS_KEPT; seed--) {
        struct sim_outcome outcome = {.seed = seed, .result.verdict = WORLD_STUCK};
        sim_tally_add(&tally, &outcome);
    }

    CHECK_INT(tally.violated, 2 * SIM_VIOLATIONS_KEPT);
    CHECK_INT(tally.violation_count, SIM_VIOLATIONS_KEPT);
    for (size_t index = 1; index < tally.violation_count; index++) {
        CHECK(tally.violations[index - 1].seed < tally.violations[index].seed);
    }
    sim_tally_deinit(&tally);
}

/* -- The file -- */

/* SMP-3: else a sweep that goes on would forget what it found. */
TEST(sim_keep, reads_back_what_was_written)
{
    CHECK_INT(chdir(case_folder()), 0);
    struct sim_tally tally;
    struct sim_tally again;
    sim_tally_init(&tally);
    sim_tally_init(&again);
    CHECK_INT(sim_keep_read(&keep, &again, NULL), PYR_OK); /* There is no file yet. */
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_outcome outcome = outcome_of(seed);
        if (seed % 40 != 9) {
            sim_tally_add(&tally, &outcome);
        }
    }
    tally.wall_ns = 5;

    CHECK_INT(sim_keep_write(&keep, &tally, NULL), PYR_OK);
    CHECK_INT(sim_keep_read(&keep, &again, NULL), PYR_OK);

    check_same(&tally, &again);
    CHECK(access("kept.new", F_OK) != 0);
    sim_tally_deinit(&tally);
    sim_tally_deinit(&again);
}

/* SMP-3: half a file would count half of what was violated. */
TEST(sim_keep, refuses_every_beginning_of_a_file)
{
    CHECK_INT(chdir(case_folder()), 0);
    struct sim_tally tally;
    sim_tally_init(&tally);
    for (uint64_t seed = 5; seed < 9; seed++) {
        struct sim_outcome outcome = outcome_of(seed);
        sim_tally_add(&tally, &outcome);
    }
    CHECK_INT(sim_keep_write(&keep, &tally, NULL), PYR_OK);
    sim_tally_deinit(&tally);
    char *text = calloc(1, 1 << 16);
    CHECK(text != NULL);
    FILE *file = fopen(keep.path, "r");
    CHECK(file != NULL);
    size_t bytes = fread(text, 1, (1 << 16) - 1, file);
    CHECK(bytes > 100);
    CHECK_INT(fclose(file), 0);

    for (size_t left = bytes - 1; left > 0; left--) {
        struct pyr_error error;
        text[left] = '\0';
        CHECK_INT(read_text(text, &error), PYR_ERR_INVALID);
    }
    free(text);
}

/* The file is text, and somebody will edit it. */
TEST(sim_keep, names_the_line_that_it_cannot_read)
{
    static const char *const lines[] = {
        "done 5 4\n",
        "done 5\n",
        "done 1 2\ndone 2 3\n",
        "done -1 2\n",
        "sum nothing 3\n",
        "count letters\n",
        "fault crash x\n",
        "events 40 1\n",
        "hello\n",
        "\n",
        "done 1 2\nend\nend\n",
        "end",
        "violated\n",
        "fault nonsense 1\n",
        "count x 1\n",
        "sum counted 1 2\nend\n",
        "done 1 2 3\nend\n",
    };
    CHECK_INT(chdir(case_folder()), 0);
    struct pyr_error error;
    CHECK_INT(read_text(HEAD "end\n", &error), PYR_OK);
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        char text[LINE_MAX_BYTES];
        (void)snprintf(text, sizeof text, HEAD "%s", lines[index]);

        CHECK_INT(read_text(text, &error), PYR_ERR_INVALID);

        if (!strstr(error.message, "'kept', line ")) {
            CHECK_TEXT(error.message, lines[index]);
        }
    }
    CHECK_INT(read_text("pyralog-sim resume 2\n", &error), PYR_ERR_INVALID);
    CHECK_INT(read_text("", &error), PYR_ERR_INVALID);
}

/* Two builds prove nothing together. */
TEST(sim_keep, refuses_another_build_and_other_options)
{
    CHECK_INT(chdir(case_folder()), 0);
    struct pyr_error error;
    CHECK_INT(read_text("pyralog-sim resume 1\nbuild 0.1.0 abd\noptions --nodes=3\nend\n", &error),
              PYR_ERR_INVALID);
    CHECK(strstr(error.message, "another build ('0.1.0 abd', this is '0.1.0 abc')") != NULL);
    CHECK_INT(read_text("pyralog-sim resume 1\nbuild 0.1.0 abc\noptions\nend\n", &error),
              PYR_ERR_INVALID);
    CHECK(strstr(error.message, "another set of options") != NULL);
}
