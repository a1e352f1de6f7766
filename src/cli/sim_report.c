/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_report - a line, a few lines, a page.
 */
#include "cli/sim_report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "pyralog.h"

#include "base/assert.h"
#include "cli/show.h"

enum { SEEDS_NAMED = 10, VERDICT_BYTES = 512, BAR_COLUMNS = 30 };

#define NS_PER_S 1e9

/* -- The verdict -- */

static uint64_t seeds_asked(const struct sim_report *report)
{
    ASSERT(report->seed_first <= report->seed_last);
    return report->seed_last - report->seed_first + 1;
}

/* Put the seeds that violated something. */
static void put_violated(struct text *text, const struct sim_tally *tally)
{
    size_t named = tally->violation_count < SEEDS_NAMED ? tally->violation_count : SEEDS_NAMED;
    ASSERT(named <= tally->violated);
    for (size_t index = 0; index < named; index++) {
        text_format(text, "%s%" PRIu64, index > 0 ? ", " : "", tally->violations[index].seed);
    }
    if (named < tally->violated) {
        text_format(text, " and %" PRIu64 " more", tally->violated - named);
    }
}

void sim_report_put_verdict(struct text *text, const struct sim_report *report)
{
    const struct sim_tally *tally = report->tally;
    uint64_t asked = seeds_asked(report);
    ASSERT(tally->done <= asked);
    if (report->was_interrupted) {
        text_put(text, "interrupted: ");
    }
    if (tally->violated > 0) {
        text_format(text, "%" PRIu64 " of %" PRIu64 " seed%s violated: ", tally->violated,
                    tally->done, tally->done == 1 ? "" : "s");
        put_violated(text, tally);
        return;
    }
    text_format(text, "%" PRIu64, tally->done);
    if (report->was_interrupted) {
        text_format(text, " of %" PRIu64, asked);
    }
    text_format(text, " seed%s, %" PRIu64 " counted, no violation", asked == 1 ? "" : "s",
                tally->counted);
}

int sim_report_status(const struct sim_report *report)
{
    bool is_good = report->tally->violated == 0 && !report->was_interrupted;
    ASSERT(!is_good || report->tally->done == seeds_asked(report));
    return is_good ? 0 : 1;
}

/* -- Sums -- */

static double per(double value, double whole)
{
    ASSERT(whole >= 0);
    return whole > 0 ? value / whole : 0;
}

/* Print what one second is worth, in seeds and in virtual seconds. */
static void print_speed(const struct sim_tally *tally, FILE *out)
{
    double seconds = (double)tally->processor_ns / NS_PER_S;
    double wall = (double)tally->wall_ns / NS_PER_S;
    ASSERT(seconds >= 0);
    (void)fprintf(out, "%.1f seeds a core-second, %.0f virtual seconds a second",
                  per((double)tally->done, seconds),
                  per((double)tally->virtual_ns / NS_PER_S, wall));
}

void sim_report_print(const struct sim_report *report, FILE *out)
{
    const struct sim_tally *tally = report->tally;
    ASSERT(tally->done <= seeds_asked(report));
    (void)fprintf(out, "%s events in %s of virtual time; ",
                  show_count(tally->counts[WORLD_COUNT_events]).text,
                  show_duration(tally->virtual_ns).text);
    print_speed(tally, out);
    (void)fprintf(out, "\n%" PRIu64 " seeds were run twice; the slowest core agreed within %s\n",
                  tally->repeated, show_duration(tally->heal_ns_max).text);
}

/* -- The page -- */

static void write_head(const struct sim_report *report, FILE *file)
{
    const struct sim_tally *tally = report->tally;
    char line[VERDICT_BYTES];
    struct text verdict = text_of(line, sizeof line);
    sim_report_put_verdict(&verdict, report);
    ASSERT(verdict.count > 0);
    (void)fprintf(file,
                  "# Simulated clusters: %s seeds\n\n"
                  "Made by `pyralog-sim --results`; [testing](../testing.md) says what a seed is, "
                  "and `test/sim/cluster/world_judge.c` what\nis judged. A seed counts if in it at "
                  "least 1,000 batches were acknowledged, 20 faults of 5 kinds happened, 2 nodes "
                  "crashed,\nthe leader changed twice and a log was cut.\n\n"
                  "| | |\n|---|---|\n",
                  show_count(tally->done).text);
    (void)fprintf(file, "| verdict | **%s** |\n", verdict.data);
    (void)fprintf(file, "| command | `pyralog-sim --seeds=%" PRIu64 "-%" PRIu64 "%s` |\n",
                  report->seed_first, report->seed_last, report->wishes);
    (void)fprintf(file, "| build | %s (%s) |\n", report->build, pyr_version_details());
    (void)fprintf(file, "| seeds done |");
    for (size_t index = 0; index < tally->range_count; index++) {
        (void)fprintf(file, " %" PRIu64 "-%" PRIu64, tally->ranges[index].first,
                      tally->ranges[index].last);
    }
    (void)fprintf(file, " |\n| counted | %s, %.1f %% |\n", show_count(tally->counted).text,
                  100 * per((double)tally->counted, (double)tally->done));
    (void)fprintf(file, "| run twice, event for event the same | %s |\n",
                  show_count(tally->repeated).text);
    (void)fprintf(file, "| virtual time | %s |\n", show_duration(tally->virtual_ns).text);
    (void)fprintf(file, "| time taken | %s, %s of processors |\n",
                  show_duration(tally->wall_ns).text, show_duration(tally->processor_ns).text);
    (void)fprintf(file, "| speed | ");
    print_speed(tally, file);
    (void)fprintf(file, " |\n| longest until a healed core agreed | %s |\n",
                  show_duration(tally->heal_ns_max).text);
}

static void write_row(const char *name, uint64_t value, const struct sim_tally *tally, FILE *file)
{
    ASSERT(name != NULL);
    (void)fprintf(file, "| %s | %s | %.2f |\n", name, show_count(value).text,
                  per((double)value, (double)tally->done));
}

static void write_counts(const struct sim_tally *tally, FILE *file)
{
    static const char *const texts[] = {
#define X(name, text) text,
        WORLD_FAULTS(X)
#undef X
    };
    (void)fprintf(file, "\n## Faults\n\n| fault | times | a seed |\n|---|---|---|\n");
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        ASSERT(texts[fault] != NULL);
        write_row(texts[fault], tally->faults[fault], tally, file);
    }
    (void)fprintf(file, "\n## What happened\n\n| what | times | a seed |\n|---|---|---|\n");
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        write_row(world_count_name((enum world_count)count), tally->counts[count], tally, file);
    }
}

static void write_events(const struct sim_tally *tally, FILE *file)
{
    uint64_t most = 1;
    for (int bucket = 0; bucket < SIM_EVENT_BUCKETS; bucket++) {
        most = tally->events[bucket] > most ? tally->events[bucket] : most;
    }
    ASSERT(most > 0);
    (void)fprintf(file, "\n## Events of a seed\n\n| events | seeds | |\n|---|---|---|\n");
    for (int bucket = 0; bucket < SIM_EVENT_BUCKETS; bucket++) {
        uint64_t seeds = tally->events[bucket];
        uint64_t first = UINT64_C(1) << bucket;
        if (seeds > 0) {
            (void)fprintf(file, "| %s to %s | %s | %s |\n", show_count(first).text,
                          show_count(2 * first - 1).text, show_count(seeds).text,
                          show_bar((double)seeds, (double)most, BAR_COLUMNS).text);
        }
    }
}

static void write_violations(const struct sim_tally *tally, FILE *file)
{
    ASSERT(tally->violation_count <= tally->violated);
    if (tally->violated == 0) {
        return;
    }
    (void)fprintf(file, "\n## Violations\n\n| seed | what |\n|---|---|\n");
    for (size_t index = 0; index < tally->violation_count; index++) {
        (void)fprintf(file, "| %" PRIu64 " | %s |\n", tally->violations[index].seed,
                      tally->violations[index].text);
    }
}

enum pyr_err sim_report_write(const struct sim_report *report,
                              const char *path,
                              struct pyr_error *reterr)
{
    ASSERT(path != NULL);
    FILE *file = fopen(path, "we");
    if (!file) {
        return err_set_errno(reterr, errno, "--results: create '%s'", path);
    }
    write_head(report, file);
    write_violations(report->tally, file);
    write_counts(report->tally, file);
    write_events(report->tally, file);
    bool is_written = fflush(file) == 0 && !ferror(file);
    int error = errno;
    is_written = fclose(file) == 0 && is_written;
    return is_written ? PYR_OK : err_set_errno(reterr, error, "--results: write '%s'", path);
}
