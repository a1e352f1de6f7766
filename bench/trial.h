/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/trial - one store with given options, and what may be asked about it.
 *
 * Part of the path:  bench_keys.c (which option, which question) -> [trial] -> the library
 *
 * Each question works a fresh store for half a second or so, or appends so many bytes to it, and
 * answers with one number. It is asked twice in a run: of a store with the defaults, and of one
 * with a single option changed.
 *
 * Threads: as the calls of include/pyralog.h.
 */
#ifndef BENCH_TRIAL_H
#define BENCH_TRIAL_H

#include <stdbool.h>

#include "embedded.h"

/* One side of a comparison. */
struct trial {
    const struct bench_options *options;
    struct embedded_options wanted;
    struct embedded embedded;
    bool is_text;              /* Values are lines of a log, rather than noise. */
    bool has_keys;             /* Each record of the batch has a key of its own. */
    double seconds;            /* How long a question measures. */
    uint64_t open_ns;          /* How long opening took. */
    struct histogram *latency; /* Of the question's appends or reads, if it has any. */
};

/* Ask a store; the answer's unit is the question's. */
typedef double (*trial_question)(struct trial *trial);

/** Return the answer to @question of a fresh store. The rest of @trial but options, wanted, is_text
 * and has_keys is filled here. Gives: free() of latency. */
double trial_ask(struct trial *trial, trial_question question);

/** Return the median time of an append, in microseconds. */
double trial_append_us(struct trial *trial);

/** Return the records appended a second, by one thread. */
double trial_append_rate(struct trial *trial);

/** Return the records appended a second, by 64 threads. */
double trial_team_rate(struct trial *trial);

/** Return the MiB a second at which 256 MiB are taken. */
double trial_burst_mib_s(struct trial *trial);

/** Return the MiB of appends that are held in memory after 64 MiB were appended and written. */
double trial_memory_mib(struct trial *trial);

/** Return the write calls a second that 1,000 appends a second lead to, io_uring's not among them:
 * those are the journal's. */
double trial_write_calls(struct trial *trial);

/** Return the most records that a crash would have taken, at 1,000 appends a second. */
double trial_at_risk(struct trial *trial);

/** Return the MiB that the journal takes on the disk. */
double trial_journal_mib(struct trial *trial);

/** Return the milliseconds that opening an empty store took. */
double trial_open_ms(struct trial *trial);

/** Return the milliseconds of opening a store after a kill in the middle of 256 MiB of appends. */
double trial_recovery_ms(struct trial *trial);

/** Return the segments of a log of 64 MiB. */
double trial_segments(struct trial *trial);

/** Return the segments after 2,000 appends of a millisecond each. */
double trial_segments_in_time(struct trial *trial);

/** Return the MiB of segments left of 64 MiB, 2,000 appends of a millisecond each later. */
double trial_kept_mib(struct trial *trial);

/** Return the records a second of a reader that goes through 64 MiB again and again. */
double trial_read_rate(struct trial *trial);

/** Return the MiB a second of a reader of whole batches. */
double trial_read_mib_s(struct trial *trial);

/** Return the median time of reading one record at a random offset, in microseconds. */
double trial_read_random_us(struct trial *trial);

/** Return the MiB a second that the scrub reads of a log of 64 MiB. */
double trial_scrub_mib_s(struct trial *trial);

/** Return the passes that the scrub made over a small log in a second. */
double trial_scrub_passes(struct trial *trial);

#endif /* BENCH_TRIAL_H */
