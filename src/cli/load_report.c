/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_report - the text.
 */
#include "cli/load_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "cli/show.h"

enum {
    ROWS_MAX = 12, /* Of the throughput over time. */
    BAR_COLUMNS = 30,
};

#define NS_PER_SECOND 1e9

/* The rest of a second that is shorter says nothing about the rate. */
#define SAMPLE_NS_MIN 250000000

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* -- What is done -- */

static const char *sync_phrase(const struct load_options *options, struct show *room)
{
    ASSERT(room != NULL);

    switch (options->sync) {
    case PYR_SYNC_ALWAYS:
        return "always synced";
    case PYR_SYNC_BATCH:
        (void)snprintf(room->text, sizeof room->text, "synced within %" PRIu32 " ms",
                       options->sync_interval_ms);
        return room->text;
    case PYR_SYNC_OS:
        return options->hand_over_at_once ? "handed to the kernel at once" : "left to the kernel";
    }
    return "";
}

void report_work(const struct load_options *options, const char *describe)
{
    struct show room;
    uint64_t threads = (uint64_t)options->threads;
    ASSERT(threads > 0);
    if (options->mode == LOAD_MODE_READ) {
        (void)printf("read: %s thread%s, %s", show_count(threads).text, plural(threads),
                     options->order == LOAD_ORDER_RANDOM ? "at random offsets" : "sequentially");
        if (options->batch > 1) {
            (void)printf(", measured in runs of %" PRId64 " records", options->batch);
        }
    } else {
        (void)printf("append: %s thread%s, records of %s, %s", show_count(threads).text,
                     plural(threads), show_bytes((uint64_t)options->record_bytes).text,
                     sync_phrase(options, &room));
        if (options->batch > 1) {
            (void)printf(", %" PRId64 " an append", options->batch);
        }
        if (options->async_max > 0) {
            (void)printf(", %" PRId64 " appends outstanding each", options->async_max);
        }
    }
    if (options->partitions > 1) {
        (void)printf(", %s logs", show_count((uint64_t)options->partitions).text);
    }
    if (options->rate > 0) {
        (void)printf(", %s records/s wanted", show_count((uint64_t)options->rate).text);
    }
    (void)printf("\n");
    if (describe && describe[0]) {
        (void)printf("  files      %s\n", describe);
    }
}

/* -- What it came to -- */

void report_tally(const struct load_tally *tally, const char *indent)
{
    double seconds = tally_seconds(tally);
    double rate = seconds > 0 ? (double)tally->records / seconds : 0;
    double bytes = seconds > 0 ? (double)tally->bytes / seconds : 0;
    const struct histogram *latency = &tally->latency;
    ASSERT(rate >= 0);

    (void)printf("%sthroughput %s records/s, %s/s  (%s records in %.1f s)\n", indent,
                 show_count((uint64_t)rate).text, show_bytes((uint64_t)bytes).text,
                 show_count(tally->records).text, seconds);
    if (latency->count == 0) {
        return;
    }
    (void)printf("%slatency    p50 %s, p90 %s, p99 %s, p99.9 %s, p99.99 %s, max %s\n", indent,
                 show_duration(histogram_percentile(latency, 50)).text,
                 show_duration(histogram_percentile(latency, 90)).text,
                 show_duration(histogram_percentile(latency, 99)).text,
                 show_duration(histogram_percentile(latency, 99.9)).text,
                 show_duration(histogram_percentile(latency, 99.99)).text,
                 show_duration(latency->max).text);
}

/* Put samples @first to @end of @tally together. */
static struct load_sample samples_join(const struct load_tally *tally, uint64_t first, uint64_t end)
{
    ASSERT(first < end);

    struct load_sample joined = {.end_ns = 0};
    for (uint64_t index = first; index < end; index++) {
        const struct load_sample *sample = tally_sample(tally, index);
        joined.end_ns = sample->end_ns;
        joined.duration_ns += sample->duration_ns;
        joined.records += sample->records;
        joined.max_ns = sample->max_ns > joined.max_ns ? sample->max_ns : joined.max_ns;
    }
    return joined;
}

void report_over_time(const struct load_tally *tally, const char *indent)
{
    uint64_t count = tally_sample_count(tally);
    if (count < 3) {
        return;
    }
    uint64_t step = (count + ROWS_MAX - 1) / ROWS_MAX;
    ASSERT(step > 0);
    double best = 0;
    for (uint64_t first = 0; first < count; first += step) {
        struct load_sample row =
            samples_join(tally, first, first + step < count ? first + step : count);
        double rate = (double)row.records / (double)row.duration_ns;
        if (row.duration_ns < SAMPLE_NS_MIN) {
            continue;
        }
        best = rate > best ? rate : best;
    }
    (void)printf("%sover time\n", indent);
    for (uint64_t first = 0; first < count; first += step) {
        struct load_sample row =
            samples_join(tally, first, first + step < count ? first + step : count);
        double rate = (double)row.records / (double)row.duration_ns;
        if (row.duration_ns < SAMPLE_NS_MIN) {
            continue;
        }
        (void)printf("%s  %5.0f s  %12s records/s  max %8s  %s\n", indent,
                     (double)row.end_ns / NS_PER_SECOND,
                     show_count((uint64_t)(rate * NS_PER_SECOND)).text,
                     show_duration(row.max_ns).text, show_bar(rate, best, BAR_COLUMNS).text);
    }
}

void report_recovery(const struct pyr_recovery *recovery, const char *indent)
{
    ASSERT(recovery != NULL);

    (void)printf("%s%s; it took %s\n", indent,
                 recovery->was_clean ? "the last stop was a clean one"
                                     : "the last stop was a crash",
                 show_duration(recovery->duration_us * 1000).text);
    (void)printf("%s%s log%s, %s segment%s; %s read: %s records in %s batches came back from "
                 "the journal\n",
                 indent, show_count(recovery->partitions).text, plural(recovery->partitions),
                 show_count(recovery->segments).text, plural(recovery->segments),
                 show_bytes(recovery->bytes_scanned).text, show_count(recovery->records).text,
                 show_count(recovery->batches).text);
    if (recovery->bytes_cut > 0) {
        (void)printf("%s%s torn by the crash were cut off; none of them was acknowledged\n", indent,
                     show_bytes(recovery->bytes_cut).text);
    }
    if (recovery->cut_reason[0]) {
        (void)printf("%s(%s)\n", indent, recovery->cut_reason);
    }
    if (recovery->indexes_rebuilt > 0) {
        (void)printf("%s%s index%s rebuilt\n", indent, show_count(recovery->indexes_rebuilt).text,
                     recovery->indexes_rebuilt == 1 ? " was" : "es were");
    }
    if (recovery->quarantined > 0) {
        (void)printf("%s%s file%s that nothing explains moved to quarantine/\n", indent,
                     show_count(recovery->quarantined).text, plural(recovery->quarantined));
    }
}

static void verify_count(const char *indent, uint64_t count, const char *what)
{
    ASSERT(what != NULL);
    if (count > 0) {
        (void)printf("%s%s %s\n", indent, show_count(count).text, what);
    }
}

void report_verify(const struct verify_report *verify, const char *indent)
{
    ASSERT(verify != NULL);

    (void)printf("%s%s records, %s, read back in %s\n", indent, show_count(verify->records).text,
                 show_bytes(verify->bytes).text, show_duration(verify->duration_ns).text);
    if (verify->signal) {
        (void)printf("%sinterrupted: nothing is proved\n", indent);
        return;
    }
    if (verify_has_passed(verify)) {
        (void)printf("%s%s acknowledged: none missing, repeated, out of order or changed\n", indent,
                     show_count(verify->acked).text);
        verify_count(indent, verify->beyond,
                     "more are whole and in order, written but not yet acknowledged at the end");
        verify_count(indent, verify->others, "records of other runs are whole and in order");
        return;
    }
    verify_count(indent, verify->missing, "acknowledged records are MISSING");
    verify_count(indent, verify->gaps, "gaps in the sequence of a stream");
    verify_count(indent, verify->repeated, "records are repeated or out of order");
    verify_count(indent, verify->misplaced, "records are not at their acknowledged offset");
    verify_count(indent, verify->damaged, "records are changed");
    verify_count(indent, verify->foreign, "records are not pyralog-load's");
    (void)printf("%sfirst: %s\n", indent, verify->first_problem);
}

void report_text(const struct load_report *report)
{
    const struct load_options *options = report->options;
    ASSERT(options != NULL);

    if (report->result) {
        const struct load_result *result = report->result;
        const struct load_tally *writers = &result->tallies[LANE_ROLE_WRITER];
        const struct load_tally *readers = &result->tallies[LANE_ROLE_READER];
        bool is_read = options->mode == LOAD_MODE_READ;
        report_work(options, report->describe);
        report_tally(is_read ? readers : writers, "  ");
        report_over_time(is_read ? readers : writers, "  ");
        if (options->mode == LOAD_MODE_MIXED) {
            (void)printf("read: %" PRId64 " thread%s; latency is from append to arrival\n",
                         options->readers, plural((uint64_t)options->readers));
            report_tally(readers, "  ");
        }
        if (result->was_interrupted) {
            (void)printf("  interrupted\n");
        }
    }
    if (report->recovery && !report->result) {
        (void)printf("recovery:\n");
        report_recovery(report->recovery, "  ");
    }
    if (report->verify) {
        (void)printf("verify:\n");
        report_verify(report->verify, "  ");
    }
}
