/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyralog.h - the public interface of Pyralog: an append-only log inside a program.
 *
 * C99 with a C++ guard. Handles are opaque; every call that can fail returns enum pyr_err and fills
 * the caller's struct pyr_error, if one is given, with a sentence that names what failed and where.
 */
#ifndef PYRALOG_H
#define PYRALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports. Everything else is hidden. */
#define PYR_API __attribute__((visibility("default")))

/* The compiler warns when a result of this kind is dropped. */
#define PYR_MUST_CHECK __attribute__((warn_unused_result))

/* -- Errors --
 *
 * Values are numbered by hand and never reused: they travel on the wire and stand in files. The
 * text, the exit status and whether a retry can help stand in one table (src/base/err.def).
 *
 *     struct pyr_error error;
 *     struct pyr_log *log;
 *     enum pyr_err err = pyr_log_open("/dev/null/data", NULL, &log, &error);
 *     if (err != PYR_OK) {
 *         printf("%s (%s): %s\n", pyr_err_name(err), pyr_err_text(err), error.message);
 *     } else {
 *         pyr_log_close(log);
 *     }
 */
enum pyr_err {
    PYR_OK = 0,
    PYR_ERR_INVALID = 1,   /* An argument or an option makes no sense. */
    PYR_ERR_CORRUPT = 2,   /* Bytes on disk or from a peer fail their check. */
    PYR_ERR_IO = 3,        /* The operating system reported an error. */
    PYR_ERR_DISK_FULL = 4, /* No space is left; appends resume by themselves when there is. */
    PYR_ERR_FAILED = 5, /* A sync or a durable write failed before: this handle takes no appends. */
    PYR_ERR_BUSY = 6,   /* A bounded queue is full; try again. */
    PYR_ERR_NO_MEMORY = 7,    /* An allocation failed. */
    PYR_ERR_NOT_FOUND = 8,    /* The named thing does not exist. */
    PYR_ERR_OUT_OF_RANGE = 9, /* The offset lies before the log's start or past its end. */
    PYR_ERR_LOCKED = 10,  /* Another process, or another handle of this one, has the folder open. */
    PYR_ERR_VERSION = 11, /* The format is newer than this program. */
    PYR_ERR_FOREIGN = 12, /* The folder, file or log belongs to something else. */
    PYR_ERR_TOO_LARGE = 13,   /* A record or batch is above its limit. */
    PYR_ERR_CLOSED = 14,      /* The handle is closing. */
    PYR_ERR_TIMEOUT = 15,     /* The deadline passed first. */
    PYR_ERR_UNSUPPORTED = 16, /* This build or this host cannot do it. */
    PYR_ERR_FORKED = 17,      /* The handle was opened before a fork, and this is the child. */
    PYR_ERR_CONDITION = 18,   /* A conditional request found something else. */
    PYR_ERR_EXISTS = 19,      /* The thing to be made is there already. */
    PYR_ERR_NOT_LEADER = 20,  /* Another replica leads this log, or none does. */
};

/* The longest message, with its closing zero. */
#define PYR_ERROR_MESSAGE_MAX 512

/* One error: a code for programs and a sentence for people. It belongs to the caller. */
struct pyr_error {
    enum pyr_err code;
    char message[PYR_ERROR_MESSAGE_MAX];
};

/** Return the name of @err, such as "PYR_ERR_CORRUPT". Never NULL. */
PYR_API const char *pyr_err_name(enum pyr_err err);

/** Return one line that says what @err means. Never NULL. */
PYR_API const char *pyr_err_text(enum pyr_err err);

/* -- Version --
 *
 *     printf("%s: %s\n", pyr_version(), pyr_version_details());
 */

/** Return this library's version, such as "0.1.0". */
PYR_API const char *pyr_version(void);

/** Return one line with version, commit, the libraries inside and the backends built in. */
PYR_API const char *pyr_version_details(void);

/* -- Embedded log --
 *
 * The engine inside a program, without a network: a store is a folder, and holds logs. Many threads
 * may append to one log and read from it. The library is a guest: it installs no signal handler,
 * changes no process-wide state, never prints and never exits.
 *
 *     struct pyr_error error;
 *     struct pyr_log *log;
 *     if (pyr_log_open("./data", NULL, &log, &error) != PYR_OK) {
 *         fprintf(stderr, "%s\n", error.message);
 *         return 1;
 *     }
 *     struct pyr_record record = {.value = "hello", .value_bytes = 5};
 *     struct pyr_receipt receipt;
 *     if (pyr_log_append(log, &record, &receipt, &error) == PYR_OK) {
 *         printf("offset %lld, on stable storage: %u\n", (long long)receipt.offset,
 *                receipt.copies_durable);
 *     }
 *     pyr_log_close(log);
 */

/* What an acknowledged append has reached (docs/durability.md has the whole table). */
enum pyr_sync {
    PYR_SYNC_ALWAYS = 0, /* Stable storage. Survives a power cut. */
    PYR_SYNC_BATCH = 1,  /* Memory; stable storage at most sync_interval_ms later. */
    PYR_SYNC_OS = 2,     /* Memory; handed to the kernel at most 1 ms or 256 KiB later. */
};

/* How files are written. */
enum pyr_backend {
    PYR_BACKEND_AUTO = 0,  /* io_uring where the host allows it, else posix. */
    PYR_BACKEND_POSIX = 1, /* pwritev2. */
    PYR_BACKEND_URING = 2, /* io_uring, or an error. */
};

/* Compression of the batches that this handle makes. */
enum pyr_compression {
    PYR_COMPRESSION_NONE = 0,
    PYR_COMPRESSION_LZ4 = 1, /* Kept only where it saves an eighth or more. */
};

/* How a store is opened. Fill it with pyr_store_options_init, then change what you need. */
struct pyr_store_options {
    enum pyr_backend backend;
    bool must_exist;             /* Fail rather than create a new store. */
    bool cache_enabled;          /* false: every append goes to its segment at once. */
    uint64_t cache_max_size;     /* Bytes of appends held in memory, written to segments or not. */
    uint32_t max_buffer_time_ms; /* The longest an append stays only in cache and journal. */
    uint64_t wal_file_bytes;     /* One journal file. */
    uint32_t wal_files_max;      /* The most journal files; what is full is checkpointed. */
    uint64_t delete_grace_ms;    /* How long it is open before a deleted log is removed. */
    uint64_t scrub_bytes_per_s;  /* The pace of the background scrub; 0: none. */
    uint64_t scrub_interval_ms;  /* From the beginning of a pass of it to that of the next. */
    bool accept_clock_step; /* Confirm a step of the wall clock that retention holds back for. */
    uint32_t
        shards; /* Journals, each with its share of the logs; 0: as many as the store has, 1
                   for a new one. Another number than it has changes that, see pyr_store_open. */
};

/* How a log of a store is opened. Fill it with pyr_log_options_init, then change what you need. */
struct pyr_log_options {
    enum pyr_sync sync;
    uint32_t sync_interval_ms; /* PYR_SYNC_BATCH: the bound. */
    bool hand_over_at_once;    /* PYR_SYNC_OS: every append is with the kernel when it returns. */
    bool sync_on_write; /* Segments are synced before an append returns; only with the cache off. */
    bool use_mmap;      /* Read through mappings. Mind SIGBUS if the files are cut by others. */
    bool is_compacted;  /* Keep the newest record of each key rather than all. */
    enum pyr_compression compression;
    uint64_t segment_max_size;   /* Bytes of a segment file; at most 2 GiB - 1. */
    uint64_t segment_max_age_ms; /* Roll a segment older than this, used or not; 0: never. */
    uint64_t retention_ms;       /* Delete segments older than this by the log's clock; 0: never. */
    uint64_t retention_bytes;    /* Delete oldest segments above this; 0: never. */
    const struct pyr_store_options *store; /* pyr_log_open: the store's options, or NULL. */
};

/* A header of a record. */
struct pyr_header {
    const char *key; /* UTF-8, not zero-terminated. */
    size_t key_bytes;
    const void *value; /* NULL is a null value. */
    size_t value_bytes;
};

/* A record to append, or a view of one read. A NULL key or value is null, not empty. */
struct pyr_record {
    int64_t offset;       /* Set when read. */
    int64_t timestamp_ms; /* 0 when appending: now. */
    const void *key;
    size_t key_bytes;
    const void *value;
    size_t value_bytes;
    const struct pyr_header *headers;
    size_t header_count;
};

/* What an acknowledgement states. */
struct pyr_receipt {
    int64_t offset;          /* Of the first record. */
    int64_t offset_end;      /* One past the last record. */
    int32_t epoch;           /* Under whose leadership. */
    uint32_t copies_memory;  /* Copies in memory at least. */
    uint32_t copies_durable; /* Copies known to be on stable storage when the call returned. */
};

/* A place in a log: the segment's first offset, and the record's offset. */
struct pyr_position {
    int64_t segment;
    int64_t offset;
};

/* What opening found and did. */
struct pyr_recovery {
    uint32_t partitions;
    uint64_t segments;      /* Segment files opened. */
    uint64_t batches;       /* Batches read from the journal and found valid. */
    uint64_t records;       /* Records in them. */
    uint64_t bytes_scanned; /* Journal and segment bytes read. */
    uint64_t bytes_cut; /* Bytes that were torn by the crash and cut off; none was acknowledged. */
    uint64_t indexes_rebuilt;
    uint64_t quarantined; /* Files moved to quarantine/, because nothing explains them. */
    uint64_t duration_us;
    bool was_clean;       /* The last stop was a clean one. */
    char cut_reason[160]; /* Why bytes were cut; empty if none were. */
};

/* The state of a log. */
struct pyr_log_stat {
    int64_t offset_first;     /* Log start. */
    int64_t offset_end;       /* One past the last append. */
    int64_t offset_committed; /* Readers see everything below. */
    int64_t offset_durable;   /* Everything below is on stable storage. */
    int64_t segment;          /* First offset of the segment that is written to. */
    uint64_t segment_bytes;   /* Its bytes, those still in the cache included. */
    uint64_t segments;
    uint64_t bytes; /* Of all segments. */
    uint64_t cache_bytes;
    uint64_t appends_waiting; /* Times an append had to wait for room. */
    bool has_failed;          /* A sync failed: see pyr_log_append's errors. */
    uint64_t scrub_passes;    /* How often the background scrub got through the log, */
    uint64_t scrub_bytes;     /* what it read of it, */
    uint64_t scrub_damages;   /* the segments that it met damaged, counted again in each pass, */
    uint64_t scrub_errors;    /* and those that it could not read. */
    int64_t damage_segment;   /* First offset of the first of both; -1: none. */
    int64_t damage_offset;    /* Where it cannot be read. */
};

/* The state of a store, since it was opened. */
struct pyr_store_stat {
    uint64_t logs;
    uint32_t shards;
    uint64_t logs_deleted; /* Whose grace is not over. */
    uint64_t scrub_passes; /* Passes over all logs that are over. The rest as in pyr_log_stat. */
    uint64_t scrub_bytes;
    uint64_t scrub_damages;
    uint64_t scrub_errors;
    char scrub_first[320]; /* The first damage or error: log, file, position, offset; or empty. */
};

struct pyr_store;
struct pyr_log;
struct pyr_reader;

/** Set every field of @options to its default. */
PYR_API void pyr_store_options_init(struct pyr_store_options *options);

/** Set every field of @options to its default. */
PYR_API void pyr_log_options_init(struct pyr_log_options *options);

/**
 * Open the store in the folder @path, recovering what a crash left; create it if it is missing.
 *
 * @options may be NULL. Gives: pyr_store_close. Fails with PYR_ERR_LOCKED if another handle or
 * process has it, PYR_ERR_CORRUPT if bytes that were acknowledged cannot be read, PYR_ERR_FOREIGN
 * if the folder holds something else; nothing is changed then. Blocks for the recovery.
 *
 * The store keeps its number of shards. If options->shards asks for another, everything is
 * recovered and written to segments first, then journals for the new number are made, and storing
 * it is the last step: a crash leaves the one or the other, and every record. An error before that
 * (PYR_ERR_DISK_FULL, say) leaves the store as it was. PYR_ERR_INVALID above 64 shards;
 * PYR_ERR_UNSUPPORTED if the store has more, and no other number is asked for.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_store_open(const char *path,
                                                   const struct pyr_store_options *options,
                                                   struct pyr_store **ret_store,
                                                   struct pyr_error *reterr);

/** Write what is in memory, sync it, and close @store (NULL does nothing). Its logs are closed
 * before. */
PYR_API void pyr_store_close(struct pyr_store *store);

/** Fill @ret_recovery with what opening @store found. Any thread. */
PYR_API void pyr_store_recovery(struct pyr_store *store, struct pyr_recovery *ret_recovery);

/** Describe how @store writes, such as "uring, O_DIRECT, RWF_DSYNC". Valid until it is closed. */
PYR_API const char *pyr_store_describe(struct pyr_store *store);

/**
 * Fill @ret_stat with the state of @store; in a forked child with zeros. Any thread.
 *
 * The background scrub reads all logs over, from time to time and slowly, past the page cache, to
 * find what the disk has lost while a copy may still exist elsewhere. Damage is counted here, and
 * met by readers as PYR_ERR_CORRUPT; the scrub changes nothing.
 */
PYR_API void pyr_store_stat(struct pyr_store *store, struct pyr_store_stat *ret_stat);

/**
 * Open the log @topic-@partition of @store; create it if it is missing.
 *
 * @options may be NULL. Gives: pyr_log_close. Fails with PYR_ERR_LOCKED if it is open already.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_store_log(struct pyr_store *store,
                                                  const char *topic,
                                                  uint32_t partition,
                                                  const struct pyr_log_options *options,
                                                  struct pyr_log **ret_log,
                                                  struct pyr_error *reterr);

/**
 * Delete the log @topic-@partition: it is gone at once and for good, also after a crash, and its
 * name is free again. Blocks.
 *
 * Its folder is renamed, and removed once the store was open for delete_grace_ms since then; until
 * then pyr_store_restore_log undoes it. Who has the log open gets
 * PYR_ERR_NOT_FOUND from its calls, and closes it as ever; what a reader holds stays valid. Any
 * thread.
 *
 * PYR_ERR_NOT_FOUND: there is no such log. PYR_ERR_DISK_FULL: what the log has in memory only finds
 * no room. After an error the log is there as before.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_store_delete_log(struct pyr_store *store,
                                                         const char *topic,
                                                         uint32_t partition,
                                                         struct pyr_error *reterr);

/**
 * Undo the deletion of the log @topic-@partition: all its records are there again. Blocks. Any
 * thread.
 *
 * @log_id, 32 hexadecimal digits as in the folder's name, says which one if several logs of that
 * name were deleted; NULL: the only one. PYR_ERR_EXISTS: the name has been taken again.
 * PYR_ERR_NOT_FOUND: there is none, or its grace is over. PYR_ERR_CONDITION: there are several.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_store_restore_log(struct pyr_store *store,
                                                          const char *topic,
                                                          uint32_t partition,
                                                          const char *log_id,
                                                          struct pyr_error *reterr);

/**
 * Open a store that holds one log, in the folder @path: pyr_store_open and pyr_store_log in one
 * call. Closing the log closes the store. The errors are those of both.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_open(const char *path,
                                                 const struct pyr_log_options *options,
                                                 struct pyr_log **ret_log,
                                                 struct pyr_error *reterr);

/**
 * Wait for what was appended to be synced and close @log (NULL does nothing). No other call is
 * running.
 *
 * On a full disk it waits a second for space at most; what is then still in memory only is dropped.
 * Under the policies batch and os that can be acknowledged records: pyr_log_sync before says which.
 */
PYR_API void pyr_log_close(struct pyr_log *log);

/** Return the store of @log. */
PYR_API struct pyr_store *pyr_log_store(struct pyr_log *log);

/**
 * Append one record, and wait for what the log's policy promises.
 *
 * @ret_receipt may be NULL. Any thread. Errors: PYR_ERR_DISK_FULL (nothing was appended, try
 * again), PYR_ERR_TOO_LARGE, PYR_ERR_INVALID, and PYR_ERR_FAILED once a sync has failed: the record
 * may or may not survive, reads go on, and only closing and opening again helps.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_append(struct pyr_log *log,
                                                   const struct pyr_record *record,
                                                   struct pyr_receipt *ret_receipt,
                                                   struct pyr_error *reterr);

/** Append @count records as one batch: after a crash all of them are there, or none. As
 * pyr_log_append. */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_append_batch(struct pyr_log *log,
                                                         const struct pyr_record *records,
                                                         size_t count,
                                                         struct pyr_receipt *ret_receipt,
                                                         struct pyr_error *reterr);

/**
 * Start appending @count records as one batch and return without waiting for the policy; the
 * records are copied. pyr_log_wait with the receipt's offset_end waits for them. As pyr_log_append
 * otherwise; it waits only while the log's bounded memory is full.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_append_start(struct pyr_log *log,
                                                         const struct pyr_record *records,
                                                         size_t count,
                                                         struct pyr_receipt *ret_receipt,
                                                         struct pyr_error *reterr);

/**
 * Wait until everything below @offset_end has reached what the log's policy promises, at most
 * @timeout_ms (negative: without limit). PYR_ERR_TIMEOUT if not, PYR_ERR_FAILED if it never will.
 * Any thread.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_wait(struct pyr_log *log,
                                                 int64_t offset_end,
                                                 int64_t timeout_ms,
                                                 struct pyr_error *reterr);

/**
 * Put everything appended so far on stable storage, whatever the policy. PYR_ERR_DISK_FULL: the
 * records that the message names are in memory only, for want of space; the log goes on trying to
 * store them. Blocks. Any thread.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_sync(struct pyr_log *log, struct pyr_error *reterr);

/** Fill @ret_stat with the state of @log; in a forked child with zeros and has_failed. Any thread.
 */
PYR_API void pyr_log_stat(struct pyr_log *log, struct pyr_log_stat *ret_stat);

/**
 * Delete whole segments below @offset and make it the log's first offset. Instant, and safe against
 * a crash. PYR_ERR_OUT_OF_RANGE if @offset is past the committed end. Any thread.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_delete_before(struct pyr_log *log,
                                                          int64_t offset,
                                                          struct pyr_error *reterr);

/** Find the first record with a timestamp at or after @timestamp_ms; the log's end if there is
 * none. */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_log_find_time(struct pyr_log *log,
                                                      int64_t timestamp_ms,
                                                      struct pyr_position *ret_position,
                                                      struct pyr_error *reterr);

/* Where a reader may begin, besides an offset: the log's start, and behind its last record. */
#define PYR_READ_FIRST INT64_C(-2)
#define PYR_READ_END   INT64_C(-1)

/**
 * Open a reader that starts at @offset, or at PYR_READ_FIRST or PYR_READ_END. Gives:
 * pyr_reader_close. A reader belongs to one thread at a time. PYR_ERR_OUT_OF_RANGE if @offset lies
 * below the log's start or past its end.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_reader_open(struct pyr_log *log,
                                                    int64_t offset,
                                                    struct pyr_reader **ret_reader,
                                                    struct pyr_error *reterr);

/** Close @reader (NULL does nothing); what it handed out is gone. */
PYR_API void pyr_reader_close(struct pyr_reader *reader);

/**
 * Return the next record, waiting at most @timeout_ms at the end of the log (negative: without
 * limit).
 *
 * @ret_record's memory is not copied: it is valid until the next call with this reader.
 * PYR_ERR_TIMEOUT at the end of the log. PYR_ERR_CORRUPT names file, position and offset, and the
 * reader stays before the damage: a wrong record is never returned. PYR_ERR_OUT_OF_RANGE if the
 * records were deleted meanwhile.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_reader_next(struct pyr_reader *reader,
                                                    int64_t timeout_ms,
                                                    struct pyr_record *ret_record,
                                                    struct pyr_error *reterr);

/**
 * Return the next run of whole record batches, in Kafka's format, for programs that walk or forward
 * them.
 * *@ret_data is valid until the next call with this reader. Errors as pyr_reader_next.
 */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_reader_next_bytes(struct pyr_reader *reader,
                                                          int64_t timeout_ms,
                                                          const void **ret_data,
                                                          size_t *ret_bytes,
                                                          struct pyr_error *reterr);

/** Move @reader to @offset, as pyr_reader_open. */
PYR_API PYR_MUST_CHECK enum pyr_err pyr_reader_seek(struct pyr_reader *reader,
                                                    int64_t offset,
                                                    struct pyr_error *reterr);

/** Return where the next record will be read. */
PYR_API struct pyr_position pyr_reader_position(const struct pyr_reader *reader);

#ifdef __cplusplus
}
#endif

#endif /* PYRALOG_H */
