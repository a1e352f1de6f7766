/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_main - runs a range of seeds, by hand.
 *
 *     world 7             one seed, with what happened in it
 *     world 7 2000        all of a range, and the sums; the first violations by seed
 *     world 7 -h [-l]     one seed with its history on standard error; -l: and all letters
 *     world 1 99 nodes=5 disk_full=8      with other numbers or weights than those drawn
 *
 * Each seed runs in a child, so that an assertion that fails names its seed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/cluster/world.h"

/* What the command line says. */
struct wish {
    uint64_t seed_first;
    uint64_t seed_end; /* 0: one seed. */
    bool has_history;
    bool has_letters;
    int change_count;
    char **changes; /* name=value, of numbers and of weights. */
};

struct sums {
    uint64_t seeds;
    uint64_t counted;
    uint64_t bad;
    uint64_t heal_ns_max;
    struct world_result sum;
};

static bool is_called(const char *known, const char *name, size_t count)
{
    return strlen(known) == count && strncmp(known, name, count) == 0;
}

static bool change(struct world_options *options, const char *name, size_t count, uint64_t value)
{
    static const struct {
        const char *name;
        size_t offset;
        size_t bytes;
    } numbers[] = {

#define WORLD_NUMBER(group, type, field, kind, least, most, text) \
    {#field, offsetof(struct world_options, field), sizeof(type)},
#include "sim/cluster/world_numbers.def"
#undef WORLD_NUMBER
    };
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        uint32_t narrow = (uint32_t)value;
        bool is_narrow = numbers[index].bytes == sizeof narrow;
        if (is_called(numbers[index].name, name, count)) {
            memcpy((char *)options + numbers[index].offset,
                   is_narrow ? (const void *)&narrow : (const void *)&value, numbers[index].bytes);
            return true;
        }
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        if (is_called(world_fault_name((enum world_fault)fault), name, count)) {
            options->weights[fault] = (uint32_t)value;
            return true;
        }
    }
    return false;
}

/* Draw the options of @seed and change what @wish changes. */
static void draw(const struct wish *wish, uint64_t seed, struct world_options *options)
{
    world_options_draw(seed, options);
    options->history = wish->has_history ? stderr : NULL;
    options->has_letters = wish->has_letters;
    for (int index = 0; index < wish->change_count; index++) {
        const char *text = wish->changes[index];
        const char *equal = strchr(text, '=');
        bool is_known =
            equal && change(options, text, (size_t)(equal - text), strtoull(equal + 1, NULL, 10));
        if (!is_known) {
            (void)fprintf(stderr, "world: '%s' is no number and no fault\n", text);
            exit(2);
        }
    }
}

static void print_result(const struct world_result *result, uint64_t seeds)
{
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        (void)printf("  %-20s %12" PRIu64 " %10.1f a seed\n",
                     world_count_name((enum world_count)count), result->counts[count],
                     (double)result->counts[count] / (double)seeds);
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        (void)printf("  fault %-14s %12" PRIu64 " %10.2f a seed\n",
                     world_fault_name((enum world_fault)fault), result->faults[fault],
                     (double)result->faults[fault] / (double)seeds);
    }
}

static void add(struct sums *sums, uint64_t seed, const struct world_result *result)
{
    sums->seeds++;
    sums->counted += world_result_counts(result);
    sums->heal_ns_max = result->heal_ns > sums->heal_ns_max ? result->heal_ns : sums->heal_ns_max;
    sums->sum.virtual_ns += result->virtual_ns;
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        sums->sum.counts[count] += result->counts[count];
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        sums->sum.faults[fault] += result->faults[fault];
    }
    if (result->verdict != WORLD_GOOD) {
        sums->bad++;
        (void)printf("seed %" PRIu64 ": %s\n", seed, result->violation);
        (void)fflush(stdout);
    }
}

_Noreturn static void child_main(const struct wish *wish, uint64_t seed, int out)
{
    for (; seed < wish->seed_end; seed++) {
        struct world_options options;
        struct world_result result;
        draw(wish, seed, &options);
        world_run(&options, &result);
        if (write(out, &result, sizeof result) != (ssize_t)sizeof result) {
            _exit(1);
        }
    }
    _exit(0);
}

/* Take in results until the child has no more. */
static void results_take(int in, uint64_t *seed, struct sums *sums)
{
    struct world_result result;
    size_t got = 0;
    ssize_t more = read(in, &result, sizeof result);
    while (more > 0) {
        got += (size_t)more;
        if (got == sizeof result) {
            add(sums, (*seed)++, &result);
            got = 0;
        }
        more = read(in, (char *)&result + got, sizeof result - got);
    }
}

/* Run seeds from *@seed to below @seed_end in a child, which writes its results; return when it is
 * done or dead. */
static void run_child(const struct wish *wish, uint64_t *seed, struct sums *sums)
{
    int ends[2];
    if (pipe(ends) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        child_main(wish, *seed, ends[1]);
    }
    (void)close(ends[1]);
    results_take(ends[0], seed, sums);
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (status != 0) {
        struct world_result dead = {.verdict = WORLD_VIOLATED, .violation = "an assertion failed"};
        add(sums, (*seed)++, &dead);
    }
}

static int run_one(const struct wish *wish)
{
    struct world_options options;
    struct world_result result;
    draw(wish, wish->seed_first, &options);
    world_options_print(&options, stdout);
    (void)fflush(stdout);
    world_run(&options, &result);
    print_result(&result, 1);
    (void)printf("virtual %.3f s, trouble %.3f s, healed in %.3f s, hash %016" PRIx64 "\n%s %s\n",
                 (double)result.virtual_ns / 1e9, (double)result.trouble_ns / 1e9,
                 (double)result.heal_ns / 1e9, result.hash,
                 result.verdict == WORLD_GOOD ? "good" : "VIOLATION:", result.violation);
    return result.verdict == WORLD_GOOD ? 0 : 1;
}

int main(int count, char **arguments)
{
    if (count < 2) {
        (void)fprintf(stderr, "world: which seed?\n");
        return 2;
    }
    struct wish wish = {.seed_first = strtoull(arguments[1], NULL, 10)};
    int at = 2;
    for (; at < count && !strchr(arguments[at], '='); at++) {
        wish.has_history |= strcmp(arguments[at], "-h") == 0;
        wish.has_letters |= strcmp(arguments[at], "-l") == 0;
        if (arguments[at][0] != '-') {
            wish.seed_end = strtoull(arguments[at], NULL, 10) + 1;
        }
    }
    wish.changes = arguments + at;
    wish.change_count = count - at;
    if (wish.seed_end == 0) {
        return run_one(&wish);
    }
    uint64_t seed = wish.seed_first;
    struct sums sums = {0};
    while (seed < wish.seed_end) {
        run_child(&wish, &seed, &sums);
    }
    print_result(&sums.sum, sums.seeds);
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " count, %" PRIu64 " bad, %.1f virtual s, healed in "
                 "%.3f s at most\n",
                 sums.seeds, sums.counted, sums.bad, (double)sums.sum.virtual_ns / 1e9,
                 (double)sums.heal_ns_max / 1e9);
    return sums.bad == 0 ? 0 : 1;
}
