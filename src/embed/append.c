/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/append - from a program's record to a sealed batch in the journal's hands.
 *
 * Happy path:      1. room is reserved in the cache   2. the record is encoded into it, under the
 * lock
 *                  3. it is sealed when its policy says   4. the caller waits for what the policy
 * promises
 *
 * A batch that was sealed but that the journal would not take yet (no spare file, pool full) stays
 * in its room and is tried again at every turn; nothing else of its log is built meanwhile.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "embed/log.h"

int64_t log_offset_next(const struct pyr_log *log)
{
    ASSERT(log->store->loop);

    return log->partition->offset_end + (log->has_room ? log->builder.record_count : 0);
}

/* -- The list of logs with something to seal -- */

static void gathering_add(struct pyr_log *log)
{
    ASSERT(log->store->loop);

    if (log->is_listed) {
        return;
    }
    log->is_listed = true;
    log->next = log->store->gathering;
    log->store->gathering = log;
    log->gathered_since_ns = io_now_mono_ns(log->store->io);
}

static void gathering_remove(struct pyr_log *log)
{
    ASSERT(log->store->loop);

    struct pyr_log **at = &log->store->gathering;
    while (*at && *at != log) {
        at = &(*at)->next;
    }
    ASSERT(*at == log);
    *at = log->next;
    log->next = NULL;
    log->is_listed = false;
}

/* -- Sealing -- */

enum pyr_err log_seal(struct pyr_log *log, struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    if (!log->has_room) {
        return PYR_OK;
    }
    if (!log->is_sealed) {
        ASSERT(log->builder.record_count > 0);
        log->sealed_bytes = packer_seal(&log->packer, &log->builder);
        log->is_sealed = true;
    }

    int64_t promised = log->partition->offset_end;
    int64_t offset = 0;
    enum pyr_err err = partition_append(log->partition, log->sealed_bytes, log->gathered_since_ns,
                                        &offset, reterr);
    log->seal_err = err;
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(offset == promised); /* EMB-4 */
    log->is_sealed = false;
    log->has_room = false;
    gathering_remove(log);
    return PYR_OK;
}

void log_drop(struct pyr_log *log)
{
    ASSERT(log->store->loop);
    ASSERT(log->has_room);

    partition_unreserve(log->partition);
    log->has_room = false;
    log->is_sealed = false;
    if (log->is_listed) {
        gathering_remove(log);
    }
}

bool log_is_refused_full(const struct pyr_log *log)
{
    ASSERT(log->store->loop);

    bool is_refused =
        log->seal_err == PYR_ERR_DISK_FULL ||
        (log->seal_err == PYR_ERR_BUSY && shard_space(log->partition->shard, NULL) != PYR_OK);
    return log->has_room && log->is_sealed && is_refused;
}

void log_refuse_full(struct pyr_store *store)
{
    struct pyr_log *log = store->gathering;
    while (log) {
        struct pyr_log *next = log->next;
        if (log_is_refused_full(log) && !log->has_promised) {
            log_drop(log);
        }
        log = next;
    }
}

/* Return when @log's batch has to be sealed in a round of kind @round: now (0), at a time, or,
 * while the journal is busy and a turn comes with its completion, never. */
static uint64_t seal_deadline_ns(const struct pyr_log *log, enum seal_round round)
{
    ASSERT(log->store->loop);
    ASSERT(log->has_room);

    const struct partition_options *options = &log->partition->options;
    if (round == SEAL_ROUND_ALL || log->is_sealed) {
        return 0;
    }
    if (options->policy != PARTITION_POLICY_ALWAYS) {
        return log->gathered_since_ns + options->interval_ns / 2; /* The rest is the journal's. */
    }
    if (!shard_is_idle(log->partition->shard)) {
        return IO_TIME_NEVER;
    }
    bool is_waited = round == SEAL_ROUND_WAITED || log->store->waiters_first;
    return is_waited ? 0 : log->gathered_since_ns + SEAL_LINGER_NS;
}

/* Waking is all the timer is for: the turn after the dispatch seals what is due. */
static void gather_timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

void log_seal_ready(struct pyr_store *store, enum seal_round round)
{
    ASSERT(store->loop);
    ASSERT(round <= SEAL_ROUND_ALL);

    uint64_t now_ns = store->gathering ? io_now_mono_ns(store->io) : 0;
    uint64_t next_ns = IO_TIME_NEVER;
    bool has_sealed = false;
    struct pyr_log *log = store->gathering;
    while (log) {
        struct pyr_log *next = log->next;
        uint64_t deadline_ns = seal_deadline_ns(log, round);
        if (deadline_ns <= now_ns && log_seal(log, NULL) == PYR_OK) {
            has_sealed = true;
            deadline_ns = IO_TIME_NEVER;
        } else if (deadline_ns <= now_ns) {
            /* Refused: what frees room may wait for a time that nobody watches. Look again soon. */
            deadline_ns = now_ns + ROOM_RETRY_NS;
        }
        next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
        log = next;
    }
    if (has_sealed || round == SEAL_ROUND_ALL) {
        store_kick(store);
    }
    if (next_ns != IO_TIME_NEVER) {
        store->gather_timer.fire = gather_timer_fire;
        io_timer_start(store->loop, &store->gather_timer, next_ns);
    }
}

/* -- Gathering -- */

static struct record record_of(const struct pyr_record *record, int64_t now_ms)
{
    ASSERT(record);

    return (struct record){
        .timestamp = record->timestamp_ms != 0 ? record->timestamp_ms : now_ms,
        .key = {.data = record->key, .count = record->key_bytes},
        .value = {.data = record->value, .count = record->value_bytes},
    };
}

/* Encode @record, with its headers, into the log's builder. */
static enum pyr_err log_encode(struct pyr_log *log,
                               const struct pyr_record *record,
                               int64_t now_ms,
                               struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(record);

    struct record encoded = record_of(record, now_ms);
    struct record_header headers[RECORD_HEADERS_MAX];
    for (size_t index = 0; index < record->header_count; index++) {
        const struct pyr_header *header = &record->headers[index];
        headers[index].key = (struct bytes){(const uint8_t *)header->key, header->key_bytes};
        headers[index].value = (struct bytes){header->value, header->value_bytes};
    }
    encoded.headers = record->header_count > 0 ? headers : NULL;
    encoded.header_count = record->header_count;
    return builder_add(&log->builder, &encoded, reterr);
}

/* Return an upper bound of what @record takes, without copying its headers. */
static size_t record_bytes_max(const struct pyr_record *record)
{
    ASSERT(record);

    struct record plain = record_of(record, 1);
    size_t bytes = builder_record_bytes_max(&plain);
    for (size_t index = 0; index < record->header_count; index++) {
        bytes += record->headers[index].key_bytes + record->headers[index].value_bytes;
        bytes += RECORD_HEADER_OVERHEAD_BYTES;
    }
    return bytes;
}

/* Begin a batch with room for @bytes of records at least. */
static enum pyr_err log_begin(struct pyr_log *log, size_t bytes, struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(!log->has_room);

    struct bytes_mut room;
    enum pyr_err err = partition_reserve(log->partition, bytes + BATCH_HEADER_BYTES, &room, reterr);
    if (err != PYR_OK) {
        return err;
    }
    size_t wanted = bytes + BATCH_HEADER_BYTES;
    size_t bytes_max = wanted > GATHER_BYTES_MAX ? wanted : GATHER_BYTES_MAX;
    room.count = room.count < bytes_max ? room.count : bytes_max;
    builder_init(&log->builder, room);
    log->has_room = true;
    log->has_promised = false;
    log->seal_err = PYR_OK;
    return PYR_OK;
}

/* What one call appends. */
struct appended {
    const struct pyr_record *records;
    size_t count;
    size_t bytes_max; /* What they take at most. */
};

/* Add one record to the batch that gathers. */
static enum pyr_err log_gather_one(struct pyr_log *log,
                                   const struct appended *appended,
                                   struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(appended->count == 1);

    const struct pyr_record *record = appended->records;
    int64_t now_ms = io_now_wall_ms(log->store->io);

    enum pyr_err err = shard_health(log->partition->shard, reterr);
    if (err == PYR_OK && log->is_sealed) {
        err = log_seal(log, reterr);
    }
    if (err == PYR_OK && log->has_room) {
        err = log_encode(log, record, now_ms, reterr);
        if (err != PYR_ERR_TOO_LARGE) {
            return err;
        }
        err = log_seal(log, reterr);
        shard_kick(log->partition->shard);
    }
    if (err == PYR_OK) {
        err = log_begin(log, appended->bytes_max, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    err = log_encode(log, record, now_ms, reterr);
    ASSERT(err == PYR_OK);
    gathering_add(log);
    return PYR_OK;
}

/* Build the records as a batch of their own, and seal it. */
static enum pyr_err log_gather_batch(struct pyr_log *log,
                                     const struct appended *appended,
                                     struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(appended->records);

    enum pyr_err err = log_seal(log, reterr);
    if (err == PYR_OK) {
        err = log_begin(log, appended->bytes_max, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    int64_t now_ms = io_now_wall_ms(log->store->io);
    for (size_t index = 0; index < appended->count; index++) {
        err = log_encode(log, &appended->records[index], now_ms, reterr);
        ASSERT(err == PYR_OK);
    }
    gathering_add(log);
    err = log_seal(log, reterr);
    bool is_kept = err == PYR_ERR_BUSY || err == PYR_ERR_DISK_FULL;
    return is_kept ? PYR_OK : err; /* Its offsets are promised; it is tried again at every turn. */
}

/* -- The calls -- */

/* Return whether @record could not be stored as it is: NULL with a length, a header without a key,
 * a negative timestamp. */
static bool record_is_odd(const struct pyr_record *record)
{
    ASSERT(record);

    bool is_odd = (!record->key && record->key_bytes > 0) ||
                  (!record->value && record->value_bytes > 0) ||
                  (!record->headers && record->header_count > 0) || record->timestamp_ms < 0;
    for (size_t index = 0; !is_odd && index < record->header_count; index++) {
        const struct pyr_header *header = &record->headers[index];
        is_odd = !header->key || (!header->value && header->value_bytes > 0);
    }
    return is_odd;
}

/* Add what @record takes at most to *@bytes. False if it is above @bytes_max: no sum wraps, since
 * each part is compared first. */
static bool record_bytes_add(const struct pyr_record *record, size_t bytes_max, size_t *bytes)
{
    ASSERT(record);

    bool is_large = record->key_bytes > bytes_max || record->value_bytes > bytes_max;
    size_t headers = 0;
    for (size_t index = 0; !is_large && index < record->header_count; index++) {
        const struct pyr_header *header = &record->headers[index];
        is_large = header->key_bytes > bytes_max || header->value_bytes > bytes_max;
        headers += is_large ? 0 : header->key_bytes + header->value_bytes;
        is_large |= headers > bytes_max;
    }
    *bytes += is_large ? 0 : record_bytes_max(record);
    return !is_large && *bytes <= bytes_max;
}

/* Check what a caller gave, and note what it takes at most. */
static enum pyr_err records_check(const struct pyr_log *log,
                                  struct appended *appended,
                                  struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(appended->bytes_max == 0);

    const struct pyr_record *records = appended->records;
    size_t count = appended->count;
    enum pyr_err err = store_check_fork(log->store, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (!records || count == 0) {
        return err_set(reterr, PYR_ERR_INVALID, "there is no record to append");
    }
    size_t bytes_max = shard_batch_bytes_max(log->partition->shard);
    size_t bytes = BATCH_HEADER_BYTES;
    for (size_t index = 0; index < count; index++) {
        const struct pyr_record *record = &records[index];
        if (record->header_count > RECORD_HEADERS_MAX) {
            return err_set(reterr, PYR_ERR_TOO_LARGE,
                           "record %zu has %zu headers; at most %d are taken", index,
                           record->header_count, RECORD_HEADERS_MAX);
        }
        if (record_is_odd(record)) {
            return err_set(reterr, PYR_ERR_INVALID,
                           "record %zu: NULL with a length, a header without a key, or a negative "
                           "timestamp",
                           index);
        }
        if (!record_bytes_add(record, bytes_max, &bytes)) {
            return err_set(reterr, PYR_ERR_TOO_LARGE,
                           "with record %zu the batch is above the %zu bytes that it may have "
                           "here: 16 MiB, or what a journal file holds (wal_file_bytes)",
                           index, bytes_max);
        }
    }
    appended->bytes_max = bytes - BATCH_HEADER_BYTES;
    return PYR_OK;
}

/* Gather, waiting for room as long as the queues are full. With the lock, before and after. */
static enum pyr_err log_gather(struct pyr_log *log,
                               const struct appended *appended,
                               struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(appended->count > 0);

    struct pyr_store *store = log->store;
    enum pyr_err err = PYR_ERR_BUSY;
    while (err == PYR_ERR_BUSY) {
        err = appended->count == 1 ? log_gather_one(log, appended, reterr)
                                   : log_gather_batch(log, appended, reterr);
        if (err == PYR_ERR_BUSY && shard_space(log->partition->shard, reterr) != PYR_OK) {
            return PYR_ERR_DISK_FULL; /* Room comes with space, and nobody knows when. */
        }
        if (err == PYR_ERR_BUSY) {
            store_wait_room(store, log->partition->shard);
        }
    }
    return err;
}

/* Give the journal what the policy wants to have there now; @round says whether the caller is about
 * to wait for it. */
static enum pyr_err log_push(struct pyr_log *log, enum seal_round round, struct pyr_error *reterr)
{
    ASSERT(log->store->loop);
    ASSERT(round != SEAL_ROUND_ALL);

    const struct partition_options *options = &log->partition->options;
    bool is_first = log->is_listed && log->builder.record_count == 1;
    enum pyr_err err = PYR_OK;
    if (options->policy == PARTITION_POLICY_ALWAYS) {
        if (is_first || round == SEAL_ROUND_WAITED) {
            log_seal_ready(log->store, round);
        }
        if (!log->is_listed || log->is_sealed) {
            shard_kick(log->partition->shard);
        }
    } else if (options->hand_over_at_once || !options->is_cached) {
        err = log_seal(log, reterr);
        shard_kick(log->partition->shard);
    } else if (is_first) {
        log_seal_ready(log->store, round); /* Sets the timer that seals it. */
    }
    if (!options->is_cached) {
        shard_step(log->partition->shard); /* Begins the segment's write beside the journal's. */
    }
    /* The batch is kept then, and tried again at every turn; see log_refuse_full. */
    bool is_kept = err == PYR_ERR_BUSY || err == PYR_ERR_DISK_FULL;
    return is_kept ? PYR_OK : err;
}

static void receipt_fill(const struct pyr_log *log,
                         int64_t offset_end,
                         size_t count,
                         struct pyr_receipt *receipt)
{
    ASSERT(log->store->loop);
    ASSERT(receipt);

    *receipt = (struct pyr_receipt){
        .offset = offset_end - (int64_t)count,
        .offset_end = offset_end,
        .epoch = log->partition->epoch,
        .copies_memory = 1,
        .copies_durable = log->partition->offset_durable >= offset_end ? 1 : 0,
    };
}

enum pyr_err pyr_log_append_start(struct pyr_log *log,
                                  const struct pyr_record *records,
                                  size_t count,
                                  struct pyr_receipt *ret_receipt,
                                  struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    struct appended appended = {.records = records, .count = count};
    enum pyr_err err = records_check(log, &appended, reterr);
    if (err != PYR_OK) {
        return err;
    }
    store_lock(log->store);
    err = log_gather(log, &appended, reterr);
    int64_t offset_end = log_offset_next(log);
    if (err == PYR_OK) {
        log->store->has_started = true;
        err = log_push(log, SEAL_ROUND_DUE, reterr);
    }
    if (err == PYR_OK) {
        log->has_promised = true;
    }
    if (err == PYR_OK && ret_receipt) {
        receipt_fill(log, offset_end, count, ret_receipt);
    }
    store_tend(log->store);
    store_unlock(log->store);
    return err;
}

enum pyr_err pyr_log_append_batch(struct pyr_log *log,
                                  const struct pyr_record *records,
                                  size_t count,
                                  struct pyr_receipt *ret_receipt,
                                  struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    struct pyr_receipt receipt;
    struct appended appended = {.records = records, .count = count};
    enum pyr_err err = records_check(log, &appended, reterr);
    if (err != PYR_OK) {
        return err;
    }
    store_lock(log->store);
    err = log_gather(log, &appended, reterr);
    int64_t offset_end = log_offset_next(log);
    if (err == PYR_OK) {
        err = log_push(log, SEAL_ROUND_WAITED, reterr);
    }
    receipt_fill(log, offset_end, count, &receipt);
    if (err != PYR_OK) {
        store_tend(log->store);
        store_unlock(log->store);
        return err;
    }
    bool is_always = log->partition->options.policy == PARTITION_POLICY_ALWAYS;
    err = log_wait_promise_unlock(log, offset_end, IO_TIME_NEVER, reterr);
    if (err == PYR_OK && ret_receipt) {
        receipt.copies_durable = is_always ? 1 : receipt.copies_durable;
        *ret_receipt = receipt;
    }
    return err;
}

enum pyr_err pyr_log_append(struct pyr_log *log,
                            const struct pyr_record *record,
                            struct pyr_receipt *ret_receipt,
                            struct pyr_error *reterr)
{
    ASSERT(log->store->loop);

    return pyr_log_append_batch(log, record, 1, ret_receipt, reterr);
}
