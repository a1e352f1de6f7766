/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/feed - from the leader's log to a follower: out of the cache, or out of a segment.
 *
 * What was appended lately is in the cache, and goes out at once. A follower that is behind gets
 * what the cache has no more from the segments: a job reads it, so that the shard does not wait for
 * a disk, and the letter goes when the job is done, if this still leads. One read a follower at a
 * time; its buffer lives as long as the read.
 *
 *      BATCHES from 4711 --> in the cache?  yes: send, SENT is told at the next turn
 *                                           no:  view of the segment, job --> send, SENT
 *
 * What cannot be read is not sent. The core is told so, and tries again when there is more to send:
 * another leader may have it whole.
 *
 * Segments hold only what is committed (PAR-9), so what a job reads cannot be cut meanwhile. What
 * comes from the cache may be; but it goes out within the call.
 */
#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "segment/read.h"

enum {
    FEED_BYTES_MAX = 1 << 20,     /* Of one letter, but for one batch that is larger. */
    FEED_READ_BYTES = 256 * 1024, /* Of one read. */
};

/* A read of a segment for one follower. */
struct feed_read {
    struct io_job job;
    struct member *member;
    struct replica_message message;
    struct segment_view view;
    struct bytes_mut buffer;
    struct segment_run run;
    enum pyr_err err;
    bool is_done;
};

/* -- Sending -- */

/* Note that batches up to @offset_end went to peer @number, or none. */
static void feed_sent(struct member *member,
                      int32_t number,
                      const struct replica_message *message,
                      int64_t offset_end,
                      size_t bytes)
{
    struct member_feed *feed = &member->feeds[number];
    ASSERT(!feed->is_sent);
    ASSERT(offset_end >= message->as.batches.before.end);

    feed->is_sent = true;
    member->feeds_busy++;
    feed->epoch = message->epoch;
    feed->offset_end = offset_end;
    feed->bytes = bytes;
}

/* Send peer @number @batches, which end at @offset_end. */
static void feed_send(struct member *member,
                      int32_t number,
                      const struct replica_message *wanted,
                      struct bytes batches,
                      int64_t offset_end)
{
    struct replica_message message = *wanted;
    ASSERT(batches.count > 0);
    ASSERT(offset_end > message.as.batches.before.end);
    ASSERT(offset_end <= message.as.batches.offset_end);

    message.as.batches.offset_end = offset_end;
    message.as.batches.committed = member->replica.committed;
    member_send(member, number, &message, batches);
    feed_sent(member, number, &message, offset_end, batches.count);
}

/* Cut @batches, of whole ones, to FEED_BYTES_MAX; return where they end. */
static int64_t batches_limit(struct bytes *batches)
{
    ASSERT(batches->count > 0);

    size_t bytes = 0;
    int64_t offset_end = -1;
    while (bytes < batches->count) {
        struct batch_header header;
        struct bytes rest = {batches->data + bytes, batches->count - bytes};
        enum pyr_err err = batch_header_read(rest, &header, NULL);
        ASSERT(err == PYR_OK);
        if (bytes > 0 && bytes + header.bytes > FEED_BYTES_MAX) {
            break;
        }
        bytes += header.bytes;
        offset_end = batch_offset_end(&header);
    }
    batches->count = bytes;
    return offset_end;
}

/* Send from the cache; false if it does not hold the place. */
static bool feed_cached(struct member *member,
                        int32_t number,
                        const struct replica_message *message)
{
    const struct replica_batches *wanted = &message->as.batches;
    struct partition *partition = member->partition;
    ASSERT(wanted->offset_end <= partition->offset_end);
    ASSERT(wanted->before.end < wanted->offset_end);

    struct cache_chunk *chunk = cache_acquire(&partition->cached, wanted->before.end);
    if (!chunk) {
        ASSERT(wanted->before.end < partition->offset_written); /* PAR-9 */
        return false;
    }
    struct member_feed *feed = &member->feeds[number];
    struct bytes batches =
        cache_chunk_part(chunk, wanted->before.end, wanted->offset_end, &feed->place);
    int64_t offset_end = feed->place.offset;
    if (batches.count > FEED_BYTES_MAX) {
        offset_end = batches_limit(&batches);
        feed->place = (struct cache_place){0};
    }
    feed_send(member, number, message, batches, offset_end);
    cache_chunk_release(chunk);
    return true;
}

/* -- Reading -- */

static void read_run(struct io_job *job)
{
    struct feed_read *read = job->ctx;
    const struct replica_batches *wanted = &read->message.as.batches;
    ASSERT(!read->is_done);
    ASSERT(read->buffer.data);

    const struct segment_read want = {.offset = wanted->before.end,
                                      .offset_end = wanted->offset_end,
                                      .bytes_max = read->buffer.count,
                                      .buffer = read->buffer};
    read->err = segment_view_read(&read->view, &want, &read->run, NULL);
}

static void read_done(struct io_job *job)
{
    struct feed_read *read = job->ctx;
    ASSERT(!read->is_done);
    ASSERT(read->member->reads > 0);

    read->is_done = true;
    read->member->reads--;
}

static void read_free(struct member *member, struct feed_read *read)
{
    struct partition *partition = member->partition;
    struct io *io = partition->shard->io;
    ASSERT(read->member == member);
    ASSERT(read->is_done || member->reads == 0);

    if (read->run.handle) {
        segment_handle_release(read->run.handle);
    }
    segment_log_view_release(partition->segments, &read->view);
    io_free(io, read->buffer.data);
    io_free(io, read);
}

/* Begin to read, into a buffer of @bytes, what @message wants for peer @number. */
static enum pyr_err read_begin(struct member *member,
                               int32_t number,
                               const struct replica_message *message,
                               size_t bytes)
{
    struct partition *partition = member->partition;
    struct io *io = partition->shard->io;
    ASSERT(!member->feeds[number].read);
    ASSERT(bytes > 0);

    struct feed_read *read = io_alloc(io, sizeof *read, _Alignof(struct feed_read));
    uint8_t *data = io_alloc(io, bytes, BLOCK_BYTES);
    enum pyr_err err = read && data ? PYR_OK : PYR_ERR_NO_MEMORY;
    if (err == PYR_OK) {
        err = segment_log_view(partition->segments, message->as.batches.before.end, &read->view,
                               NULL);
    }
    if (err != PYR_OK) {
        io_free(io, data);
        io_free(io, read);
        return err;
    }
    read->member = member;
    read->message = *message;
    read->buffer = (struct bytes_mut){data, bytes};
    read->job = (struct io_job){.run = read_run, .done = read_done, .ctx = read};
    member->feeds[number].read = read;
    member->feeds_busy++;
    member->reads++;
    member->counts.segment_reads++;
    io_job_start(partition->shard->loop, &read->job);
    return PYR_OK;
}

/* Send peer @number what @message wants, now or when it is read. */
static void feed_go(struct member *member, int32_t number, const struct replica_message *message)
{
    ASSERT(!member->feeds[number].read);
    ASSERT(message->kind == REPLICA_APPEND);

    if (feed_cached(member, number, message)) {
        return;
    }
    if (read_begin(member, number, message, FEED_READ_BYTES) != PYR_OK) {
        member->counts.segment_read_errors++;
        feed_sent(member, number, message, message->as.batches.before.end, 0);
    }
}

/* Send what was read for peer @number, or begin again with a larger buffer. */
static void read_end(struct member *member, int32_t number)
{
    struct feed_read *read = member->feeds[number].read;
    const struct replica_message *message = &read->message;
    const struct replica *replica = &member->replica;
    int64_t place = message->as.batches.before.end;
    ASSERT(read->is_done);
    ASSERT(!member->feeds[number].is_sent);

    struct member_feed *feed = &member->feeds[number];
    struct replica_message next = feed->next;
    bool is_led = replica->role == REPLICA_LEADER && !member->is_stopping;
    feed->read = NULL;
    member->feeds_busy--;
    feed->next.kind = REPLICA_MESSAGE_NONE;
    bool is_small = read->err == PYR_ERR_TOO_LARGE && read->run.bytes_needed > read->buffer.count &&
                    read->run.bytes_needed <= (size_t)BATCH_BYTES_MAX;
    if (!is_led || replica->promise != message->epoch) {
        bool is_wanted = is_led && next.kind == REPLICA_APPEND && next.epoch == replica->promise;
        if (is_wanted) {
            feed_go(member, number, &next);
        }
    } else if (read->err == PYR_OK && read->run.data.count > 0) {
        feed_send(member, number, message, read->run.data, read->run.offset_next);
    } else if (!is_small || read_begin(member, number, message, read->run.bytes_needed) != PYR_OK) {
        member->counts.segment_read_errors++;
        feed_sent(member, number, message, place, 0);
    }
    read_free(member, read);
}

/* -- The calls -- */

void feed_begin(struct member *member, const struct replica_effect *effect)
{
    ASSERT(effect->kind == REPLICA_EFFECT_BATCHES);
    ASSERT(!member->feeds[effect->member].is_sent);

    struct member_feed *feed = &member->feeds[effect->member];
    if (feed->read) { /* Of an epoch before. */
        feed->next = effect->message;
        return;
    }
    feed_go(member, effect->member, &effect->message);
}

bool feed_tell(struct member *member)
{
    ASSERT(member->partition);

    uint32_t left = member->feeds_busy;
    for (int32_t number = 0; left > 0 && number < member->peers_max; number++) {
        struct member_feed *feed = &member->feeds[number];
        left -= (uint32_t)feed->is_sent + (feed->read != NULL);
        if (feed->read && feed->read->is_done) {
            read_end(member, number);
        }
        if (!feed->is_sent) {
            continue;
        }
        feed->is_sent = false;
        member->feeds_busy--;
        if (!member->is_stopping) {
            member_tell(member,
                        (struct replica_event){.kind = REPLICA_EVENT_SENT,
                                               .member = number,
                                               .epoch = feed->epoch,
                                               .offset_end = feed->offset_end,
                                               .bytes = feed->bytes},
                        (struct bytes){0});
        }
        return true;
    }
    return false;
}
