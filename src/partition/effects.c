/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/effects - carrying out what the core of a member asks for.
 *
 *      PROMISE    partition_promise       TRUNCATE   partition_truncate
 *      APPEND     partition_follow        OPEN       a stamp of the log's clock, of the new epoch
 *      COMMIT     partition_commit_to     SEND       the letter
 *      BATCHES    feed.c                  STOP       nothing any more
 *
 * In their order, and all of them before the next step. The first four need room in the log. Where
 * there is none the rest waits, with a copy of the batches that it is about:
 *
 *      step:  [promise] [cut] [append a b c] [commit 70] [send]
 *                                  ^ no room for b: the rest is [append b c] [commit 70] [send]
 *
 * Only what is committed can leave the cache, so an append that waits takes from the commit behind
 * it as much as is here already: else a follower far behind would wait for room that only this very
 * commit makes. The leader's beats are heard for the same reason. But a leader may fall before it
 * tells of that commit, and then who waits must not wait for ever, nor keep its vote from the next:
 * an append that waits for a timeout, or past whom a newer epoch speaks, is left as it is. It was a
 * shorter letter then, and what was not taken comes again.
 */
#include <inttypes.h>

#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

void member_send(struct member *member,
                 int32_t number,
                 const struct replica_message *message,
                 struct bytes batches)
{
    ASSERT(message->kind != REPLICA_MESSAGE_NONE);
    ASSERT(number >= 0 && number <= REPLICA_STRANGER_ASKING);

    const struct quorum_member *to = replica_peer(&member->replica, number);
    const struct member_letter letter = {.envelope = member->replica.self,
                                         .message = *message,
                                         .batches = batches};
    if (!member->is_stopping) {
        member->options.send(member->options.ctx, to, &letter);
    }
}

/* -- One effect -- */

/* Whether an error is one that room, or time, may mend. */
static bool may_pass(enum pyr_err err)
{
    ASSERT(err != PYR_OK);

    return err == PYR_ERR_BUSY || err == PYR_ERR_DISK_FULL || err == PYR_ERR_NO_MEMORY;
}

/* Append those of @batches that begin at or past @offset; leave in it what was not taken. */
static enum pyr_err run_append(struct member *member,
                               int64_t offset,
                               struct bytes *batches,
                               struct pyr_error *reterr)
{
    ASSERT(offset <= member->partition->offset_end);
    ASSERT(batches->count > 0);

    struct batch_header header;
    enum pyr_err err = batch_header_read(*batches, &header, NULL);
    while (err == PYR_OK && header.base_offset < member->partition->offset_end &&
           header.bytes < batches->count) {
        *batches = (struct bytes){batches->data + header.bytes, batches->count - header.bytes};
        err = batch_header_read(*batches, &header, NULL);
    }
    ASSERT(err == PYR_OK); /* MEM-3 */
    if (header.base_offset != member->partition->offset_end) {
        return err_set(reterr, PYR_ERR_FAILED,
                       "log '%s': the leader's batches of epoch %" PRId32
                       " do not end at offset %" PRId64 " as those here do",
                       member->partition->name, header.epoch, member->partition->offset_end);
    }
    size_t taken = 0;
    err = partition_follow(member->partition, *batches, 0, &taken, reterr);
    *batches = (struct bytes){batches->data + taken, batches->count - taken};
    return err;
}

static enum pyr_err run_cut(struct member *member, int64_t offset, struct pyr_error *reterr)
{
    ASSERT(offset >= 0);
    ASSERT(member->partition->is_replicated);

    member_unreserve(member); /* Who builds a batch there is told when it comes with it. */
    return partition_truncate(member->partition, offset, reterr);
}

/* Carry out @effect, of a step with @batches. */
static enum pyr_err effect_run(struct member *member,
                               const struct replica_effect *effect,
                               struct bytes *batches,
                               struct pyr_error *reterr)
{
    struct partition *partition = member->partition;
    struct member_counts *counts = &member->counts;
    enum pyr_err err = PYR_OK;
    ASSERT(partition->is_replicated);
    ASSERT(member->failure.code == PYR_OK);

    switch (effect->kind) {
    case REPLICA_EFFECT_PROMISE:
        err = partition_promise(partition, effect->epoch, reterr);
        counts->promises += err == PYR_OK;
        break;
    case REPLICA_EFFECT_TRUNCATE:
        err = run_cut(member, effect->offset, reterr);
        counts->cuts += err == PYR_OK;
        break;
    case REPLICA_EFFECT_APPEND:
        err = run_append(member, effect->offset, batches, reterr);
        counts->appends += err == PYR_OK;
        break;
    case REPLICA_EFFECT_OPEN:
        err = clock_stamp(partition, reterr);
        counts->openings += err == PYR_OK;
        if (MUTANT(sequences_lost_at_failover) && err == PYR_OK && member->fold.is_known) {
            producers_reset(&member->fold.producers, partition->offset_end);
        }
        break;
    case REPLICA_EFFECT_COMMIT:
        err = partition_commit_to(partition, effect->offset, reterr);
        ASSERT(err == PYR_OK); /* MEM-1 */
        break;
    case REPLICA_EFFECT_SEND:
        member_send(member, effect->member, &effect->message, (struct bytes){0});
        break;
    case REPLICA_EFFECT_BATCHES:
        feed_begin(member, effect);
        break;
    case REPLICA_EFFECT_CONFIG: /* A member has told the core of no joint configuration. */
        break;
    case REPLICA_EFFECT_ROLE:
        partition->shard->progress++; /* Who waits to append looks again. */
        break;
    case REPLICA_EFFECT_STOP:
        err = err_set(reterr, PYR_ERR_FAILED,
                      "log '%s' is committed up to %" PRId64 ", and the leader of epoch %" PRId32
                      " wants it cut at %" PRId64 ": one of them has lost what it had",
                      partition->name, partition->offset_committed, effect->epoch, effect->offset);
        break;
    }
    return err;
}

/* -- Waiting -- */

/* Take for an append that waits, the first of the rest, what it may of the commit behind it. */
static void commit_early(struct member *member)
{
    struct partition *partition = member->partition;
    ASSERT(member_waits(member));
    ASSERT(partition->offset_committed <= partition->offset_end);

    if (member->rest[member->rest_first].kind != REPLICA_EFFECT_APPEND) {
        return;
    }
    for (uint32_t index = member->rest_first; index < member->rest_first + member->rest_count;
         index++) {
        const struct replica_effect *effect = &member->rest[index];
        if (effect->kind == REPLICA_EFFECT_COMMIT) {
            int64_t end = partition->offset_end;
            enum pyr_err err =
                partition_commit_to(partition, effect->offset < end ? effect->offset : end, NULL);
            ASSERT(err == PYR_OK);
        }
    }
}

void effects_commit(struct member *member, int32_t number, int32_t epoch, int64_t committed)
{
    struct partition *partition = member->partition;
    const struct replica *replica = &member->replica;
    ASSERT(member_waits(member));
    ASSERT(partition->offset_committed <= partition->offset_end);

    /* What stands in the log while an append to it waits was found alike in this very epoch
     * (RPL-5). */
    bool is_known = member->rest[member->rest_first].kind == REPLICA_EFFECT_APPEND &&
                    epoch == replica->promise && number == replica->leader;
    if (is_known) {
        int64_t end = partition->offset_end;
        enum pyr_err err = partition_commit_to(partition, committed < end ? committed : end, NULL);
        ASSERT(err == PYR_OK);
    }
}

/* Keep the effects from @index on, and @batches. Without memory for these the letter is as good as
 * lost on the way, which only a failure can say by now. */
static void rest_keep(struct member *member, uint32_t index, struct bytes batches)
{
    struct replica *replica = &member->replica;
    ASSERT(!member_waits(member));
    ASSERT(index < replica->effect_count);
    ASSERT(replica->effect_count - index <= MEMBER_REST_MAX);

    member->counts.waits++;
    member->waits_ns = io_now_mono_ns(member->partition->shard->io);
    member->rest_first = 0;
    member->rest_count = replica->effect_count - index;
    memcpy(member->rest, &replica->effects[index], member->rest_count * sizeof member->rest[0]);
    if (batches.count > 0) {
        member->held = io_alloc(member->partition->shard->io, batches.count, 16);
        if (!member->held) {
            struct pyr_error error;
            (void)err_set(&error, PYR_ERR_NO_MEMORY, "log '%s': no memory for a leader's batches",
                          member->partition->name);
            member_fail(member, &error);
            return;
        }
        memcpy(member->held, batches.data, batches.count);
        member->held_left = (struct bytes){member->held, batches.count};
    }
    commit_early(member);
}

void effects_run(struct member *member, struct bytes batches)
{
    struct replica *replica = &member->replica;
    ASSERT(replica->effect_count <= REPLICA_EFFECTS_MAX);
    ASSERT(member->failure.code == PYR_OK);

    for (uint32_t index = 0; index < replica->effect_count; index++) {
        struct pyr_error error;
        enum pyr_err err = effect_run(member, &replica->effects[index], &batches, &error);
        if (err != PYR_OK && may_pass(err)) {
            rest_keep(member, index, batches);
            return;
        }
        if (err != PYR_OK) {
            member_fail(member, &error);
            return;
        }
    }
}

void effects_drop(struct member *member)
{
    ASSERT(member->rest_count <= MEMBER_REST_MAX);
    ASSERT(member->partition);

    member->rest_count = 0;
    io_free(member->partition->shard->io, member->held);
    member->held = NULL;
    member->held_left = (struct bytes){0};
}

void effects_resume(struct member *member)
{
    ASSERT(member_waits(member));
    ASSERT(member->failure.code == PYR_OK);

    while (member_waits(member)) {
        struct pyr_error error;
        enum pyr_err err =
            effect_run(member, &member->rest[member->rest_first], &member->held_left, &error);
        if (err != PYR_OK && may_pass(err)) {
            commit_early(member);
            return;
        }
        if (err != PYR_OK) {
            member_fail(member, &error);
            return;
        }
        member->rest_first++;
        member->rest_count--;
    }
    effects_drop(member);
}

uint64_t effects_patience_ns(const struct member *member)
{
    ASSERT(member_waits(member));
    ASSERT(member->replica.timeout_ns > 0);

    bool is_append = member->rest[member->rest_first].kind == REPLICA_EFFECT_APPEND;
    return is_append ? member->waits_ns + member->replica.timeout_ns : UINT64_MAX;
}

void effects_shorten(struct member *member)
{
    ASSERT(member->failure.code == PYR_OK);
    ASSERT(member->rest_count <= MEMBER_REST_MAX);

    bool is_append =
        member_waits(member) && member->rest[member->rest_first].kind == REPLICA_EFFECT_APPEND;
    if (is_append) {
        member->counts.shortened++;
        effects_drop(member);
        replica_undone(&member->replica, member->partition->offset_end); /* MEM-1 */
    }
}

bool effects_allow_durable(const struct member *member)
{
    ASSERT(member->rest_count <= MEMBER_REST_MAX);

    /* MEM-2: what an append leaves out is not in the log; what a cut leaves in, is. */
    return !member_waits(member) || member->rest[member->rest_first].kind == REPLICA_EFFECT_APPEND;
}
