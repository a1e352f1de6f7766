/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_writer - one appending thread.
 *
 * Happy path:      1. records that prove themselves   2. append, or start appending
 *                  3. acknowledged: note the latency, write the line of the ack file
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/load_crew.h"

enum { KEY_BYTES = 16 };

#define NS_PER_MS UINT64_C(1000000)

/* The filler of a stream's records begins at steps of a cache line. */
#define FILLER_STEP  64
#define FILLER_STEPS 1024

/* Make the batch's records for @partition, meant to be appended at @begin_ns. */
static void records_make(struct load_member *member,
                         uint64_t count,
                         uint32_t partition,
                         uint64_t begin_ns)
{
    const struct load_options *options = member->crew->options;
    size_t record_bytes = (size_t)options->record_bytes;
    ASSERT(count <= (uint64_t)options->batch);

    for (uint64_t index = 0; index < count; index++) {
        uint64_t sequence = member->sequences[partition] + index;
        uint8_t *value = member->values + index * record_bytes;
        memcpy(value, member->crew->filler + sequence % FILLER_STEPS * FILLER_STEP, record_bytes);
        const struct load_record record = {
            .run = member->crew->board->run,
            .stream = (uint32_t)(member->number * options->partitions + partition),
            .sequence = sequence,
            .sent_ns = begin_ns,
        };
        load_record_put((struct bytes_mut){value, record_bytes}, &record);
        member->records[index] = (struct pyr_record){.value = value, .value_bytes = record_bytes};
        if (member->keys) {
            char *key = member->keys + index * KEY_BYTES;
            uint64_t drawn = prng_below(&member->prng, (uint64_t)options->keys);
            int key_bytes = snprintf(key, KEY_BYTES, "key-%010" PRIu64, drawn);
            member->records[index].key = key;
            member->records[index].key_bytes = (size_t)key_bytes;
        }
    }
}

/* Tell the outside that @ack was acknowledged. Returns false if it could not be told. */
static bool ack_tell(struct load_member *member, const struct ack *ack)
{
    int fd = member->crew->ack_fd;
    if (fd < 0) {
        return true;
    }
    char line[ACKS_LINE_BYTES_MAX];
    size_t bytes = acks_line(ack, line);
    ASSERT(bytes > 0);
    ssize_t written = write(fd, line, bytes);
    if (written == (ssize_t)bytes) {
        return true;
    }
    struct pyr_error error;
    (void)err_set_errno(&error, written < 0 ? errno : ENOSPC, "write to the ack file");
    board_fail(member->crew->board, &error);
    return false;
}

/* An append was acknowledged. */
static bool append_done(struct load_member *member,
                        const struct crew_pending *pending,
                        uint64_t now_ns)
{
    const struct ack *ack = &pending->ack;
    uint64_t bytes = ack->count * (uint64_t)member->crew->options->record_bytes;
    ASSERT(member->acked[pending->partition] == ack->sequence);

    board_note(member->lane, ack->count, bytes, pending->begin_ns, now_ns);
    if (!ack_tell(member, ack)) {
        return false;
    }
    member->acked[pending->partition] = ack->sequence + ack->count;
    return true;
}

/* -- Outstanding appends -- */

static struct crew_pending *pending_at(const struct load_member *member, uint64_t index)
{
    uint64_t places = (uint64_t)member->crew->options->async_max;
    ASSERT(places > 0);
    return &member->pending[index % places];
}

/* Wait at most @timeout_ms (negative: without limit) for the oldest outstanding append, and take
 * all that are acknowledged then. Returns false after a failure. */
static bool pending_reap(struct load_member *member, int64_t timeout_ms)
{
    bool is_going = true;
    while (is_going && member->pending_first < member->pending_end) {
        const struct crew_pending *oldest = pending_at(member, member->pending_first);
        struct pyr_error error = {.code = PYR_OK};
        enum pyr_err err = pyr_log_wait(member->crew->logs[oldest->partition], oldest->offset_end,
                                        timeout_ms, timeout_ms == 0 ? NULL : &error);
        if (err == PYR_ERR_TIMEOUT) {
            return true;
        }
        if (err != PYR_OK) {
            (void)(error.code == PYR_OK ? err_set(&error, err, "%s", pyr_err_text(err)) : err);
            crew_fail(member, "append to", oldest->partition, &error);
            return false;
        }
        is_going = append_done(member, oldest, load_now_ns());
        member->pending_first++;
        timeout_ms = 0; /* The rest only if they are acknowledged already. */
    }
    ASSERT(member->pending_first <= member->pending_end);
    return is_going;
}

/* Wait until @due_ns, taking acknowledgements meanwhile. */
static bool pending_wait_until(struct load_member *member, uint64_t due_ns)
{
    for (;;) {
        uint64_t now_ns = load_now_ns();
        ASSERT(now_ns > 0);
        bool is_near = due_ns < now_ns + NS_PER_MS;
        if (is_near || member->pending_first == member->pending_end || crew_is_over(member)) {
            return true;
        }
        if (!pending_reap(member, (int64_t)((due_ns - now_ns) / NS_PER_MS))) {
            return false;
        }
    }
}

/* -- Appending -- */

/* Append @count records to @partition; @begin_ns is when that was due. */
static bool append_batch(struct load_member *member,
                         uint64_t count,
                         uint32_t partition,
                         uint64_t begin_ns)
{
    struct pyr_log *log = member->crew->logs[partition];
    bool is_async = member->crew->options->async_max > 0;
    struct pyr_receipt receipt;
    struct pyr_error error;
    ASSERT(count > 0);

    enum pyr_err err =
        is_async     ? pyr_log_append_start(log, member->records, count, &receipt, &error)
        : count == 1 ? pyr_log_append(log, member->records, &receipt, &error)
                     : pyr_log_append_batch(log, member->records, count, &receipt, &error);
    if (err != PYR_OK) {
        crew_fail(member, "append to", partition, &error);
        return false;
    }
    const struct crew_pending pending = {
        .ack = {.run = member->crew->board->run,
                .stream =
                    (uint32_t)(member->number * member->crew->options->partitions + partition),
                .sequence = member->sequences[partition],
                .count = count,
                .offset = receipt.offset},
        .begin_ns = begin_ns,
        .offset_end = receipt.offset_end,
        .partition = partition,
    };
    member->sequences[partition] += count;
    if (!is_async) {
        return append_done(member, &pending, load_now_ns());
    }
    *pending_at(member, member->pending_end) = pending;
    member->pending_end++;
    bool is_full =
        member->pending_end - member->pending_first == (uint64_t)member->crew->options->async_max;
    return is_full ? pending_reap(member, -1) : true;
}

/* Wait until the next append is due; false if it is over, or something failed. */
static bool append_wait(struct load_member *member, uint64_t due_ns)
{
    if (member->crew->options->rate == 0) {
        return true;
    }
    ASSERT(due_ns > 0);
    bool is_going = pending_wait_until(member, due_ns);
    crew_sleep_until(member, due_ns);
    return is_going && !crew_is_over(member);
}

void crew_write(struct load_member *member)
{
    const struct load_options *options = member->crew->options;
    bool is_going = true;
    uint64_t count = crew_take(member);
    while (is_going && count > 0) {
        uint64_t due_ns = crew_due_ns(member);
        if (!append_wait(member, due_ns)) {
            break;
        }
        uint64_t partition = (member->round + member->number) % (uint64_t)options->partitions;
        records_make(member, count, (uint32_t)partition, due_ns);
        is_going = append_batch(member, count, (uint32_t)partition, due_ns);
        member->round++;
        count = crew_take(member);
    }
    while (is_going && member->pending_first < member->pending_end) {
        is_going = pending_reap(member, -1);
    }
    ASSERT(!is_going || member->pending_first == member->pending_end);
}
