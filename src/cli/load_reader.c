/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_reader - one reading thread: through the log, at random places, or behind the writers.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "cli/load_crew.h"

/* A reader behind the writers looks this often whether it shall stop. */
enum { TAIL_WAIT_MS = 100 };

/* The state of a reading thread. */
struct reading {
    struct pyr_log *log;
    struct pyr_reader *reader;
    uint32_t partition;
};

/* Read up to @count records at the reader's place. Returns PYR_ERR_TIMEOUT at the log's end if none
 * came. */
static enum pyr_err read_some(const struct reading *reading,
                              uint64_t count,
                              uint64_t *ret_records,
                              uint64_t *ret_bytes,
                              struct pyr_error *reterr)
{
    uint64_t records = 0;
    uint64_t bytes = 0;
    enum pyr_err err = PYR_OK;
    ASSERT(count > 0);
    while (records < count) {
        struct pyr_record record;
        err = pyr_reader_next(reading->reader, 0, &record, reterr);
        if (err != PYR_OK) {
            break;
        }
        records++;
        bytes += record.key_bytes + record.value_bytes;
    }
    if (err != PYR_OK && (err != PYR_ERR_TIMEOUT || records == 0)) {
        return err;
    }
    *ret_records = records;
    *ret_bytes = bytes;
    return PYR_OK;
}

/* Go to where the next operation reads. */
static enum pyr_err read_seek(struct load_member *member,
                              const struct reading *reading,
                              struct pyr_error *reterr)
{
    struct pyr_log_stat stat;
    pyr_log_stat(reading->log, &stat);
    ASSERT(stat.offset_first < stat.offset_committed);

    int64_t offset = prng_between(&member->prng, stat.offset_first, stat.offset_committed - 1);
    return pyr_reader_seek(reading->reader, offset, reterr);
}

/* Read what is there, once or until the time is over. */
static enum pyr_err read_stored(struct load_member *member,
                                const struct reading *reading,
                                struct pyr_error *reterr)
{
    const struct load_options *options = member->crew->options;
    bool is_random = options->order == LOAD_ORDER_RANDOM;
    bool is_one_pass = options->duration_ns == 0 && options->count == 0;
    enum pyr_err err = PYR_OK;
    uint64_t count = crew_take(member);
    ASSERT(options->batch > 0);
    while (err == PYR_OK && count > 0) {
        uint64_t due_ns = crew_due_ns(member);
        crew_sleep_until(member, due_ns);
        uint64_t records = 0;
        uint64_t bytes = 0;
        err = is_random ? read_seek(member, reading, reterr) : PYR_OK;
        if (err == PYR_OK) {
            err = read_some(reading, count, &records, &bytes, reterr);
        }
        if (err == PYR_OK) {
            board_note(member->lane, records, bytes, due_ns, load_now_ns());
            member->round++;
            count = crew_take(member);
        } else if (err == PYR_ERR_TIMEOUT && !is_random) {
            /* The end: once more from the beginning, or enough. */
            err = is_one_pass ? PYR_ERR_TIMEOUT
                              : pyr_reader_seek(reading->reader, PYR_READ_FIRST, reterr);
        }
    }
    return err == PYR_ERR_TIMEOUT ? PYR_OK : err;
}

/* Read what the writers append, as it comes; latency is the way from append to here. */
static enum pyr_err read_tail(struct load_member *member,
                              const struct reading *reading,
                              struct pyr_error *reterr)
{
    struct load_board *board = member->crew->board;
    enum pyr_err err = PYR_OK;
    ASSERT(board->run != 0);
    for (;;) {
        bool is_last = atomic_load(&board->writers_left) == 0;
        struct pyr_record record;
        err = pyr_reader_next(reading->reader, is_last ? 0 : TAIL_WAIT_MS, &record, reterr);
        if (err == PYR_ERR_TIMEOUT && !is_last) {
            continue;
        }
        if (err != PYR_OK) {
            return err == PYR_ERR_TIMEOUT ? PYR_OK : err;
        }
        struct load_record view;
        struct bytes value = {record.value, record.value_bytes};
        bool is_ours = load_record_get(value, &view) == LOAD_RECORD_GOOD && view.run == board->run;
        if (is_ours) {
            board_note(member->lane, 1, record.key_bytes + record.value_bytes, view.sent_ns,
                       load_now_ns());
        }
    }
}

void crew_read(struct load_member *member)
{
    const struct load_options *options = member->crew->options;
    uint32_t partition = member->number % (uint32_t)options->partitions;
    bool is_tail = options->mode == LOAD_MODE_MIXED;
    struct reading reading = {.log = member->crew->logs[partition], .partition = partition};
    ASSERT(reading.log != NULL);

    struct pyr_log_stat stat;
    pyr_log_stat(reading.log, &stat);
    struct pyr_error error;
    enum pyr_err err = PYR_OK;
    if (!is_tail && stat.offset_first == stat.offset_committed) {
        err = err_set(&error, PYR_ERR_NOT_FOUND,
                      "it is empty: fill it with pyralog-load --mode=append first");
    }
    if (err == PYR_OK) {
        err = pyr_reader_open(reading.log, is_tail ? PYR_READ_END : PYR_READ_FIRST, &reading.reader,
                              &error);
    }
    if (err == PYR_OK) {
        err = is_tail ? read_tail(member, &reading, &error) : read_stored(member, &reading, &error);
    }
    if (err != PYR_OK) {
        crew_fail(member, "read", partition, &error);
    }
    pyr_reader_close(reading.reader);
}
