/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_options - the table of pyralog-load, and what follows from it.
 */
#include "cli/load_options.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "cli/load_record.h"

enum {
    THREADS_MAX = 1024,
    PARTITIONS_MAX = 100000,
    BATCH_MAX = 1 << 20,
    READ_BATCH = 1000,
    DEMO_THREADS = 16,
    SYNC_INTERVAL_MS = 5,
};

/* 31 years. */
#define DURATION_MAX_NS INT64_C(1000000000000000000)
#define NS_PER_MS       INT64_C(1000000)
#define DURATION_NS     (INT64_C(10000) * NS_PER_MS)

static const char *const mode_names[] = {"append", "read", "mixed"};
static const char *const order_names[] = {"sequential", "random"};
static const char *const backend_names[] = {"auto", "posix", "uring"};
static const char *const compression_names[] = {"none", "lz4"};

#define FIELD(name) .field = offsetof(struct load_options, name)
#define NAMES(list) .names = (list), .name_count = sizeof(list) / sizeof *(list)

static const struct args_option load_table[] = {
    {"embedded", "DIR", NULL, "folder of the store, made if it is missing", ARGS_TEXT,
     FIELD(folder)},
    {"demo", NULL, NULL,
     "load a log in a temporary folder for 10 s in a process of its own, kill that with -9, "
     "recover, and verify that everything acknowledged is there",
     ARGS_FLAG, FIELD(is_demo)},
    {"mode", "MODE", "append",
     "append, read, or mixed: --threads append while --readers wait for what they append",
     ARGS_CHOICE, FIELD(mode), NAMES(mode_names)},
    {"size", "BYTES", "100B", "bytes of a record's value, 32B or more", ARGS_BYTES,
     FIELD(record_bytes), .range = {LOAD_RECORD_BYTES_MIN, BATCH_BYTES_MAX}},
    {"batch", "RECORDS", NULL,
     "records of one append, which is one measured operation; when reading, of one measured "
     "operation (default: 1; 1000 when reading sequentially)",
     ARGS_NUMBER, FIELD(batch), .range = {1, BATCH_MAX}},
    {"threads", "N", NULL, "threads that append, or read (default: 1; 16 with --demo)", ARGS_NUMBER,
     FIELD(threads), .range = {1, THREADS_MAX}},
    {"readers", "N", "1", "mixed: threads that read", ARGS_NUMBER, FIELD(readers),
     .range = {1, THREADS_MAX}},
    {"async", "N", "0",
     "appends that a thread may have outstanding; 0: it waits for each before the next",
     ARGS_NUMBER, FIELD(async_max), .range = {0, 65536}},
    {"sync", "POLICY", "always",
     "what an acknowledgement means: always (on stable storage), batch:5ms (in memory, on stable "
     "storage that much later), os (in memory, with the kernel within 1 ms), os-now (with the "
     "kernel)",
     ARGS_TEXT, FIELD(sync_text)},
    {"duration", "TIME", NULL,
     "how long, without the warm-up (default: 10s, or without limit if --count is given; reading "
     "sequentially: once through the log)",
     ARGS_DURATION, FIELD(duration_ns), .range = {1, DURATION_MAX_NS}},
    {"count", "RECORDS", NULL, "how many records, of all threads together", ARGS_NUMBER,
     FIELD(count), .range = {1, INT64_MAX}},
    {"rate", "RECORDS", NULL,
     "records a second, of all threads together; latency counts from when each append was due "
     "(default: as fast as it goes)",
     ARGS_NUMBER, FIELD(rate), .range = {1, 1000000000}},
    {"warmup", "TIME", "0s", "time before anything is counted", ARGS_DURATION, FIELD(warmup_ns),
     .range = {0, DURATION_MAX_NS}},
    {"order", "ORDER", "sequential", "reading: sequential or random", ARGS_CHOICE, FIELD(order),
     NAMES(order_names)},
    {"keys", "N", "0", "give each record one of N keys; 0: none", ARGS_NUMBER, FIELD(keys),
     .range = {0, UINT32_MAX}},
    {"partitions", "N", "1", "logs of the store; each thread goes round", ARGS_NUMBER,
     FIELD(partitions), .range = {1, PARTITIONS_MAX}},
    {"topic", "NAME", "load", "name of the logs", ARGS_TEXT, FIELD(topic)},
    {"backend", "NAME", "auto", "how files are written: auto, posix or uring", ARGS_CHOICE,
     FIELD(backend), NAMES(backend_names)},
    {"compression", "NAME", "none", "none or lz4", ARGS_CHOICE, FIELD(compression),
     NAMES(compression_names)},
    {"segment-bytes", "BYTES", NULL, "bytes of a segment file (default: the library's)", ARGS_BYTES,
     FIELD(segment_bytes), .range = {1, INT64_MAX}},
    {"wal-file-bytes", "BYTES", NULL, "bytes of a journal file (default: the library's)",
     ARGS_BYTES, FIELD(wal_file_bytes), .range = {WAL_FILE_BYTES_MIN, WAL_FILE_BYTES_MAX}},
    {"wal-files", "N", NULL, "the most journal files (default: the library's)", ARGS_NUMBER,
     FIELD(wal_files), .range = {WAL_FILES_MIN, WAL_FILES_MAX}},
    {"shards", "N", "0",
     "journals of the store; another number than it has changes that first; 0: what it has",
     ARGS_NUMBER, FIELD(shards), .range = {0, STORE_SHARDS_MAX}},
    {"cache-bytes", "BYTES", NULL, "bytes of the write cache (default: the library's)", ARGS_BYTES,
     FIELD(cache_bytes), .range = {1, INT64_MAX}},
    {"no-cache", NULL, NULL, "every append goes to its segment at once", ARGS_FLAG,
     FIELD(without_cache)},
    {"mmap", NULL, NULL, "read through mappings", ARGS_FLAG, FIELD(use_mmap)},
    {"ack-file", "FILE", NULL,
     "write a line for each acknowledged append to FILE (added at its end; may be a pipe)",
     ARGS_TEXT, FIELD(ack_file)},
    {"verify", NULL, NULL,
     "then read everything back: nothing acknowledged may be missing, repeated, out of order or "
     "changed",
     ARGS_FLAG, FIELD(must_verify)},
    {"verify-against", "FILE", NULL, "only verify, against the lines that --ack-file wrote",
     ARGS_TEXT, FIELD(verify_against)},
    {"seed", "N", "1", "seed of keys, filler and random offsets", ARGS_NUMBER, FIELD(seed),
     .range = {0, INT64_MAX}},
    {"json", NULL, NULL, "print one JSON object, as pyralog-load(1) describes it", ARGS_FLAG,
     FIELD(is_json)},
    {"quiet", NULL, NULL, "no live line on a terminal", ARGS_FLAG, FIELD(is_quiet)},
};

static const char *const load_usage[] = {
    "pyralog-load --embedded=DIR [--mode=append|read|mixed] [options]",
    "pyralog-load --embedded=DIR --verify-against=FILE",
    "pyralog-load --demo [options]",
    NULL,
};

static const char *const load_about[] = {
    "Latency is that of one append (with --batch, of the batch) until it is acknowledged,",
    "in mixed mode also from the append to its arrival at a reader. Sizes are written 100B,",
    "64KiB, 1MiB; times 500us, 5ms, 10s, 1m.",
    NULL,
};

static const char *const load_examples[] = {
    "pyralog-load --embedded=/tmp/log --threads=64 --size=100B --duration=10s --verify",
    "pyralog-load --embedded=/tmp/log --mode=read --json",
    "pyralog-load --embedded=/tmp/log --rate=10000 --sync=batch:5ms --warmup=2s",
    NULL,
};

static const struct args_command load_program = {
    .words = "pyralog-load",
    .summary = "load an embedded log, measure it, and verify what it kept",
    .usage = load_usage,
    .about = load_about,
    .options = load_table,
    .option_count = sizeof load_table / sizeof *load_table,
    .operand = "argument",
    .examples = load_examples,
};

const struct args_command *load_command(void)
{
    ASSERT_STATIC(sizeof mode_names / sizeof *mode_names == LOAD_MODE_MIXED + 1, "a name a mode");
    ASSERT_STATIC(sizeof order_names / sizeof *order_names == LOAD_ORDER_RANDOM + 1,
                  "a name an order");
    return &load_program;
}

/* Read the policy: always, batch, batch:TIME, os, os-now. */
static enum pyr_err sync_settle(struct load_options *options, struct pyr_error *reterr)
{
    const char *text = options->sync_text;
    ASSERT(text != NULL);

    options->sync_interval_ms = SYNC_INTERVAL_MS;
    if (strcmp(text, "always") == 0) {
        options->sync = PYR_SYNC_ALWAYS;
        return PYR_OK;
    }
    if (strcmp(text, "os") == 0 || strcmp(text, "os-now") == 0) {
        options->sync = PYR_SYNC_OS;
        options->hand_over_at_once = text[2] != '\0';
        return PYR_OK;
    }
    if (strncmp(text, "batch", 5) != 0 || (text[5] != '\0' && text[5] != ':')) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--sync: '%s' is none of always, batch:TIME, os, os-now", text);
    }
    options->sync = PYR_SYNC_BATCH;
    if (text[5] == '\0') {
        return PYR_OK;
    }
    int64_t interval_ns = 0;
    const struct parse_range range = {NS_PER_MS, INT64_C(3600000) * NS_PER_MS};
    enum pyr_err err = parse_duration_ns(text + 6, range, &interval_ns, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "--sync: batch");
        return err;
    }
    options->sync_interval_ms = (uint32_t)(interval_ns / NS_PER_MS);
    return PYR_OK;
}

/* Refuse options that contradict each other. */
static enum pyr_err options_agree(const struct load_options *options, struct pyr_error *reterr)
{
    ASSERT(options->topic != NULL);

    if (options->is_demo && options->folder) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--demo uses a temporary folder of its own: leave --embedded out");
    }
    bool is_other = options->verify_against || options->ack_file || options->count > 0 ||
                    options->mode != LOAD_MODE_APPEND;
    if (options->is_demo && is_other) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--demo appends and verifies: leave --mode, --count, --ack-file and "
                       "--verify-against out");
    }
    if (!options->is_demo && !options->folder) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--embedded=DIR is missing (or --demo); pyralog-load --help explains");
    }
    if (options->verify_against && options->ack_file) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--verify-against appends nothing: leave --ack-file out");
    }
    if (options->mode == LOAD_MODE_READ && (options->ack_file || options->async_max > 0)) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--mode=read appends nothing: leave --ack-file and --async out");
    }
    return PYR_OK;
}

enum pyr_err load_options_settle(struct load_options *options, struct pyr_error *reterr)
{
    enum pyr_err err = options_agree(options, reterr);
    if (err == PYR_OK) {
        err = sync_settle(options, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    bool is_one_pass = options->mode == LOAD_MODE_READ && options->order == LOAD_ORDER_SEQUENTIAL;
    if (options->batch == 0) {
        options->batch = is_one_pass ? READ_BATCH : 1;
    }
    if (options->threads == 0) {
        options->threads = options->is_demo ? DEMO_THREADS : 1;
    }
    if (options->duration_ns == 0 && options->count == 0 && !is_one_pass) {
        options->duration_ns = DURATION_NS;
    }
    ASSERT(options->batch > 0);
    ASSERT(options->record_bytes >= LOAD_RECORD_BYTES_MIN);
    /* A record's own numbers take a few bytes; the library knows exactly how many. */
    bool is_appending = options->mode != LOAD_MODE_READ;
    if (is_appending && options->record_bytes * options->batch > BATCH_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "--size times --batch is %" PRId64 " bytes, a batch has at most %" PRId64,
                       options->record_bytes * options->batch, (int64_t)BATCH_BYTES_MAX);
    }
    return PYR_OK;
}

struct pyr_store_options load_store_options(const struct load_options *options)
{
    struct pyr_store_options store;
    pyr_store_options_init(&store);
    ASSERT(store.cache_max_size > 0);

    store.backend = (enum pyr_backend)options->backend;
    store.must_exist = options->mode == LOAD_MODE_READ || options->verify_against;
    store.cache_enabled = !options->without_cache;
    if (options->cache_bytes > 0) {
        store.cache_max_size = (uint64_t)options->cache_bytes;
    }
    if (options->wal_file_bytes > 0) {
        store.wal_file_bytes = (uint64_t)options->wal_file_bytes;
    }
    if (options->wal_files > 0) {
        store.wal_files_max = (uint32_t)options->wal_files;
    }
    store.shards = (uint32_t)options->shards;
    return store;
}

struct pyr_log_options load_log_options(const struct load_options *options)
{
    struct pyr_log_options log;
    pyr_log_options_init(&log);
    ASSERT(log.segment_max_size > 0);

    log.sync = options->sync;
    log.sync_interval_ms = options->sync_interval_ms;
    log.hand_over_at_once = options->hand_over_at_once;
    log.use_mmap = options->use_mmap;
    log.compression = (enum pyr_compression)options->compression;
    if (options->segment_bytes > 0) {
        log.segment_max_size = (uint64_t)options->segment_bytes;
    }
    return log;
}

uint32_t load_writer_count(const struct load_options *options)
{
    ASSERT(options->threads > 0);
    return options->mode == LOAD_MODE_READ ? 0 : (uint32_t)options->threads;
}

uint32_t load_reader_count(const struct load_options *options)
{
    ASSERT(options->threads > 0);

    if (options->mode == LOAD_MODE_READ) {
        return (uint32_t)options->threads;
    }
    return options->mode == LOAD_MODE_MIXED ? (uint32_t)options->readers : 0;
}
