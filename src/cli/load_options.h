/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_options - what pyralog-load is asked to do.
 *
 * Threads: plain values, filled before any thread starts.
 */
#ifndef CLI_LOAD_OPTIONS_H
#define CLI_LOAD_OPTIONS_H

#include "cli/args.h"

/* What the threads do. */
enum load_mode {
    LOAD_MODE_APPEND,
    LOAD_MODE_READ,
    LOAD_MODE_MIXED, /* Some append, some read what arrives. */
};

/* In which order records are read. */
enum load_order {
    LOAD_ORDER_SEQUENTIAL,
    LOAD_ORDER_RANDOM,
};

/* Numbers are int64_t because the table of options fills them; 0 stands for "not given" where a
 * comment does not say otherwise. */
struct load_options {
    const char *folder;
    const char *ack_file;
    const char *verify_against;
    const char *topic;
    const char *sync_text;
    bool is_demo;
    bool is_json;
    bool is_quiet;
    bool must_verify;
    bool use_mmap;
    bool without_cache;
    int64_t mode;        /* enum load_mode */
    int64_t order;       /* enum load_order */
    int64_t backend;     /* enum pyr_backend */
    int64_t compression; /* enum pyr_compression */
    int64_t record_bytes;
    int64_t batch;
    int64_t threads;
    int64_t readers;
    int64_t async_max; /* Appends outstanding per thread; 0: each is waited for. */
    int64_t duration_ns;
    int64_t warmup_ns;
    int64_t count; /* Records, of all threads. */
    int64_t rate;  /* Records a second, of all threads. */
    int64_t keys;
    int64_t partitions;
    int64_t seed;
    int64_t segment_bytes;
    int64_t wal_file_bytes;
    int64_t wal_files;
    int64_t shards; /* 0: what the store has. */
    int64_t cache_bytes;
    /* From sync_text. */
    enum pyr_sync sync;
    uint32_t sync_interval_ms;
    bool hand_over_at_once;
};

/** Return the table of pyralog-load. */
const struct args_command *load_command(void);

/** Fill in what follows from what was typed, and refuse what does not fit together. */
MUST_CHECK enum pyr_err load_options_settle(struct load_options *options, struct pyr_error *reterr);

/** Return the library's options for the store. */
struct pyr_store_options load_store_options(const struct load_options *options);

/** Return the library's options for a log. */
struct pyr_log_options load_log_options(const struct load_options *options);

/** Return how many threads append. */
uint32_t load_writer_count(const struct load_options *options);

/** Return how many threads read. */
uint32_t load_reader_count(const struct load_options *options);

#endif /* CLI_LOAD_OPTIONS_H */
