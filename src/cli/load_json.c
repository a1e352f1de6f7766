/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_json - the same as one JSON object.
 *
 * When you change a field, also change docs/man/pyralog-load.1; add fields, never rename one.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "cli/json.h"
#include "cli/load_report.h"

static void print_latency(const struct histogram *latency)
{
    static const struct {
        const char *name;
        double percent;
    } rows[] = {
        {"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99},
    };

    ASSERT(latency != NULL);

    (void)printf("\"latency_ns\":{\"count\":%" PRIu64 ",\"min\":%" PRIu64 ",\"mean\":%.0f",
                 latency->count, latency->min, histogram_mean(latency));
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        (void)printf(",\"%s\":%" PRIu64, rows[index].name,
                     histogram_percentile(latency, rows[index].percent));
    }
    (void)printf(",\"max\":%" PRIu64 "}", latency->max);
}

static void print_tally(const char *name, const struct load_tally *tally)
{
    double seconds = tally_seconds(tally);
    ASSERT(seconds >= 0);

    (void)printf(",\"%s\":{\"seconds\":%.6f,\"operations\":%" PRIu64 ",\"records\":%" PRIu64
                 ",\"bytes\":%" PRIu64 ",\"records_per_second\":%.1f,\"bytes_per_second\":%.1f,",
                 name, seconds, tally->latency.count, tally->records, tally->bytes,
                 seconds > 0 ? (double)tally->records / seconds : 0,
                 seconds > 0 ? (double)tally->bytes / seconds : 0);
    print_latency(&tally->latency);
    (void)printf(",\"over_time\":[");
    for (uint64_t index = 0; index < tally_sample_count(tally); index++) {
        const struct load_sample *sample = tally_sample(tally, index);
        (void)printf("%s{\"end_ns\":%" PRIu64 ",\"duration_ns\":%" PRIu64 ",\"records\":%" PRIu64
                     ",\"bytes\":%" PRIu64 ",\"p50_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64
                     ",\"max_ns\":%" PRIu64 "}",
                     index > 0 ? "," : "", sample->end_ns, sample->duration_ns, sample->records,
                     sample->bytes, sample->p50_ns, sample->p99_ns, sample->max_ns);
    }
    (void)printf("]}");
}

static void print_options(const struct load_options *options)
{
    static const char *const modes[] = {"append", "read", "mixed"};
    ASSERT(options->mode <= LOAD_MODE_MIXED);

    (void)printf("\"options\":{");
    json_field(false, "mode", modes[options->mode]);
    (void)printf(",");
    json_field(false, "sync", options->sync_text);
    (void)printf(",\"record_bytes\":%" PRId64 ",\"batch\":%" PRId64 ",\"threads\":%" PRId64
                 ",\"readers\":%" PRId64 ",\"async\":%" PRId64 ",\"rate\":%" PRId64
                 ",\"partitions\":%" PRId64 ",\"keys\":%" PRId64 ",\"warmup_ns\":%" PRId64 "}",
                 options->record_bytes, options->batch, options->threads, options->readers,
                 options->async_max, options->rate, options->partitions, options->keys,
                 options->warmup_ns);
}

static void print_recovery(const struct pyr_recovery *recovery)
{
    ASSERT(recovery != NULL);

    (void)printf(",\"recovery\":{\"was_clean\":%s,\"duration_us\":%" PRIu64
                 ",\"partitions\":%" PRIu32 ",\"segments\":%" PRIu64 ",\"batches\":%" PRIu64
                 ",\"records\":%" PRIu64 ",\"bytes_scanned\":%" PRIu64 ",\"bytes_cut\":%" PRIu64
                 ",\"indexes_rebuilt\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",",
                 recovery->was_clean ? "true" : "false", recovery->duration_us,
                 recovery->partitions, recovery->segments, recovery->batches, recovery->records,
                 recovery->bytes_scanned, recovery->bytes_cut, recovery->indexes_rebuilt,
                 recovery->quarantined);
    json_field(false, "cut_reason", recovery->cut_reason);
    (void)printf("}");
}

static void print_verify(const struct verify_report *verify)
{
    ASSERT(verify != NULL);

    (void)printf(",\"verify\":{\"passed\":%s,\"interrupted\":%s,\"records\":%" PRIu64
                 ",\"bytes\":%" PRIu64 ",\"streams\":%" PRIu64 ",\"acked\":%" PRIu64
                 ",\"beyond\":%" PRIu64 ",\"others\":%" PRIu64 ",\"missing\":%" PRIu64
                 ",\"gaps\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"misplaced\":%" PRIu64
                 ",\"damaged\":%" PRIu64 ",\"foreign\":%" PRIu64 ",\"duration_ns\":%" PRIu64 ",",
                 verify_has_passed(verify) ? "true" : "false", verify->signal ? "true" : "false",
                 verify->records, verify->bytes, verify->streams, verify->acked, verify->beyond,
                 verify->others, verify->missing, verify->gaps, verify->repeated, verify->misplaced,
                 verify->damaged, verify->foreign, verify->duration_ns);
    json_field(false, "first_problem", verify->first_problem);
    (void)printf("}");
}

void report_json(const struct load_report *report)
{
    const struct load_result *result = report->result;
    ASSERT(report->options != NULL);

    (void)printf("{\"program\":\"pyralog-load\",\"format\":1,");
    json_field(false, "version", pyr_version());
    (void)printf(",");
    print_options(report->options);
    if (report->describe) {
        (void)printf(",");
        json_field(false, "files", report->describe);
    }
    if (result) {
        (void)printf(",\"interrupted\":%s", result->was_interrupted ? "true" : "false");
        if (load_writer_count(report->options) > 0) {
            print_tally("append", &result->tallies[LANE_ROLE_WRITER]);
        }
        if (load_reader_count(report->options) > 0) {
            print_tally("read", &result->tallies[LANE_ROLE_READER]);
        }
    }
    if (report->recovery) {
        print_recovery(report->recovery);
    }
    if (report->verify) {
        print_verify(report->verify);
    }
    (void)printf("}\n");
}
