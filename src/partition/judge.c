/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/judge - appends that a leader judges before it makes them.
 *
 *      the batch in its room --> fold --> repeat?  ---------> the offsets that it has
 *                                         token?   --+
 *                                         end?     --+------> refused; of a producer: a control
 *                                         holds    -------->  appended     batch in its place
 *
 * Between the look at the fold and the append nothing can come: the room is this batch's. What is
 * judged rests on what the log holds, committed or not, so each answer names the batch that has to
 * be committed before it leaves (PRD-4): the epoch at an end, of which the table of epochs says
 * whether it still stands (EPT-2).
 *
 * Some answers say that something is missing: a gap, an end that the log does not have. A leader
 * that was overthrown and does not know it yet might say so of what its successor has. They leave
 * only behind a barrier, a round of beats sent after the judgement.
 *
 * A leader judges once its opening batch is committed. Before, it cannot know whether what its log
 * ends with will stay; an answer would only wait for the same thing.
 */
#include <inttypes.h>

#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "record/control.h"

/* Return PYR_OK if appends are judged here now. */
static enum pyr_err judge_check(const struct member *member, struct pyr_error *reterr)
{
    const struct replica *replica = &member->replica;
    ASSERT(member->partition);

    enum pyr_err err = propose_check(member, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(replica->role == REPLICA_LEADER);
    if (member->partition->offset_committed <= replica->opening) {
        return err_set(reterr, PYR_ERR_BUSY, "log '%s': its leader does not know all of it yet",
                       member->partition->name);
    }
    if (!member->fold.is_known) {
        enum pyr_err failure = member->fold_failure;
        return err_set(reterr, failure == PYR_OK ? PYR_ERR_BUSY : failure,
                       "log '%s' has to be read for what it says of producers",
                       member->partition->name);
    }
    return PYR_OK;
}

/* Return the batch that ends at @offset_end, of which nothing but the end is known. */
static struct member_proposal batch_before(const struct member *member, int64_t offset_end)
{
    const struct epoch_table *epochs = &member->replica.epochs;
    ASSERT(offset_end >= 0);
    ASSERT(offset_end <= member->partition->offset_end);

    if (offset_end == 0) {
        return (struct member_proposal){0};
    }
    /* What the core has not been told of is this leader's own: a stamp of the clock. */
    bool is_told = offset_end <= epochs->offset_end;
    return (struct member_proposal){.epoch = is_told ? epochs_before(epochs, offset_end)
                                                     : member->partition->epoch,
                                    .offset = offset_end - 1,
                                    .offset_end = offset_end};
}

static enum member_verdict verdict_of(enum producer_verdict verdict, enum condition_reason reason)
{
    ASSERT(verdict <= PRODUCER_FULL);
    ASSERT(reason <= CONDITION_END);

    if (reason != CONDITION_HOLDS) {
        return MEMBER_REFUSED;
    }
    switch (verdict) {
    case PRODUCER_ACCEPTED:
        return MEMBER_APPENDED;
    case PRODUCER_DUPLICATE:
        return MEMBER_REPEATED;
    case PRODUCER_OLD:
        return MEMBER_OLD;
    case PRODUCER_GAP:
        return MEMBER_GAP;
    case PRODUCER_FENCED:
        return MEMBER_FENCED;
    case PRODUCER_LOST:
        return MEMBER_LOST;
    case PRODUCER_FULL:
        return MEMBER_FULL;
    }
    ASSERT(false);
    return MEMBER_FULL;
}

/* Answer as @judged says, with nothing appended. */
static struct member_answer answer_of(const struct member *member,
                                      const struct condition_answer *judged)
{
    ASSERT(judged->action == CONDITION_ANSWER);

    const struct producer_answer *producer = &judged->producer;
    struct member_answer answer = {.verdict = verdict_of(producer->verdict, judged->reason),
                                   .reason = judged->reason,
                                   .proposal = {.offset = -1},
                                   .rests_on = batch_before(member, producer->offset_end),
                                   .epoch = member->replica.promise,
                                   .judged_ns = io_now_mono_ns(member->partition->shard->io)};
    bool is_repeat = producer->verdict == PRODUCER_DUPLICATE;
    if (is_repeat) {
        answer.proposal = batch_before(member, producer->entry.offset_end);
        answer.proposal.offset = producer->entry.offset_first;
    }
    answer.needs_barrier =
        answer.verdict == MEMBER_GAP ||
        (!is_repeat && answer.verdict == MEMBER_REFUSED && answer.reason == CONDITION_END);
    ASSERT(answer.verdict != MEMBER_APPENDED);
    return answer;
}

/* Answer that @proposal was appended, as the batch itself or as one that says it is refused. */
static struct member_answer answer_appended(const struct member *member,
                                            const struct member_proposal *proposal,
                                            enum condition_reason reason)
{
    ASSERT(proposal->offset < proposal->offset_end);
    ASSERT(reason <= CONDITION_END);

    return (struct member_answer){.verdict =
                                      reason == CONDITION_HOLDS ? MEMBER_APPENDED : MEMBER_REFUSED,
                                  .reason = reason,
                                  .proposal = *proposal,
                                  .rests_on = *proposal,
                                  .epoch = member->replica.promise,
                                  .judged_ns = io_now_mono_ns(member->partition->shard->io)};
}

/* Append @control, in the reserved room. After an error the room holds what it held. */
static enum pyr_err control_append(struct member *member,
                                   const struct control *control,
                                   struct member_proposal *ret_proposal,
                                   struct pyr_error *reterr)
{
    struct partition *partition = member->partition;
    struct cache_chunk *chunk = partition->cached.last;
    ASSERT(cache_is_reserved(&partition->cached));
    ASSERT(chunk->bytes_max - chunk->bytes_used >= CONTROL_BATCH_BYTES_MAX);

    uint8_t held[CONTROL_BATCH_BYTES_MAX];
    uint8_t *room = chunk->data + chunk->bytes_used;
    memcpy(held, room, sizeof held);
    size_t bytes =
        control_build((struct bytes_mut){room, sizeof held}, control, clock_now_ms(partition))
            .count;
    enum pyr_err err = member_append(member, bytes, 0, ret_proposal, reterr);
    if (err != PYR_OK && member->has_reserved) {
        memcpy(room, held, sizeof held);
    }
    return err;
}

/* Append, in place of @batch, a control batch that takes its sequences. */
static enum pyr_err judge_refuse(struct member *member,
                                 const struct producer_batch *batch,
                                 enum condition_reason reason,
                                 struct member_answer *ret_answer,
                                 struct pyr_error *reterr)
{
    ASSERT(batch->id >= 0);
    ASSERT(reason != CONDITION_HOLDS);

    struct member_proposal proposal;
    const struct control control = {.type = CONTROL_REFUSAL,
                                    .as.refusal = {.producer_id = batch->id,
                                                   .producer_epoch = batch->epoch,
                                                   .sequence_first = batch->sequence_first,
                                                   .sequence_count = batch->sequence_count,
                                                   .reason = (enum control_reason)reason}};
    enum pyr_err err = control_append(member, &control, &proposal, reterr);
    if (err == PYR_OK) {
        *ret_answer = answer_appended(member, &proposal, reason); /* CND-2 */
    }
    return err;
}

/* Read the batch of @bytes in the reserved room, as one that a client may append. */
static enum pyr_err batch_read(const struct member *member,
                               size_t bytes,
                               struct producer_batch *ret_batch,
                               struct pyr_error *reterr)
{
    const struct cache_chunk *chunk = member->partition->cached.last;
    ASSERT(cache_is_reserved(&member->partition->cached));
    ASSERT(bytes <= chunk->bytes_max - chunk->bytes_used);

    struct batch_header header;
    struct bytes batch = {chunk->data + chunk->bytes_used, bytes};
    enum pyr_err err = batch_header_read(batch, &header, reterr);
    if (err == PYR_OK && header.bytes != bytes) {
        err = err_set(reterr, PYR_ERR_INVALID, "a batch of %" PRIu32 " bytes in %zu", header.bytes,
                      bytes);
    }
    if (err == PYR_OK) {
        err = batch_check_produced(&header, reterr);
    }
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s'", member->partition->name);
        return err;
    }
    header.base_offset = member->partition->offset_end;
    *ret_batch = (struct producer_batch){.id = PRODUCER_NO_ID};
    (void)fold_producer(&header, ret_batch); /* Else it is nobody's. */
    return PYR_OK;
}

/* Judge @batch under @request. */
static enum pyr_err judge(struct member *member,
                          const struct producer_batch *batch,
                          const struct member_request *request,
                          struct condition_answer *ret_judged,
                          struct pyr_error *reterr)
{
    struct fold *fold = &member->fold;
    ASSERT(fold->is_known);
    ASSERT(fold->conditions.offset_end == member->partition->offset_end); /* FOL-1 */

    if (request->token < CONDITION_NONE || request->expected_end < CONDITION_NONE) {
        return err_set(reterr, PYR_ERR_INVALID, "log '%s': a token or expected end below -1",
                       member->partition->name);
    }
    enum pyr_err err = fold_reserve(fold, batch->id);
    if (err != PYR_OK) {
        return err_set(reterr, err, "log '%s': no memory for a producer", member->partition->name);
    }
    const struct condition_request asked = {.token = request->token,
                                            .expected_end = request->expected_end};
    ASSERT(fold->conditions.committed == member->partition->offset_committed);
    *ret_judged = conditions_judge(&fold->conditions, &fold->producers, batch, &asked);
    bool is_repeat = ret_judged->producer.verdict == PRODUCER_DUPLICATE;
    if (MUTANT(repeat_gets_new_offset) && is_repeat) {
        *ret_judged = (struct condition_answer){.action = CONDITION_APPEND};
    }
    return PYR_OK;
}

enum pyr_err member_append_if(struct member *member,
                              size_t bytes,
                              const struct member_request *request,
                              struct member_answer *ret_answer,
                              struct pyr_error *reterr)
{
    ASSERT(bytes > 0);
    ASSERT(ret_answer);

    struct producer_batch batch;
    struct condition_answer judged = {.action = CONDITION_ANSWER};
    struct member_proposal proposal;
    enum pyr_err err = propose_reserved(member, reterr);
    if (err == PYR_OK) {
        err = judge_check(member, reterr);
    }
    if (err == PYR_OK) {
        err = batch_read(member, bytes, &batch, reterr);
    }
    if (err == PYR_OK) {
        err = judge(member, &batch, request, &judged, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    switch (judged.action) {
    case CONDITION_ANSWER:
        member_unreserve(member);
        *ret_answer = answer_of(member, &judged);
        member_step(member); /* A stamp that came with the room. */
        return PYR_OK;
    case CONDITION_REFUSE:
        return judge_refuse(member, &batch, judged.reason, ret_answer, reterr);
    case CONDITION_APPEND:
        break;
    }
    err = member_append(member, bytes, request->since_ns, &proposal, reterr);
    if (err == PYR_OK) {
        *ret_answer = answer_appended(member, &proposal, CONDITION_HOLDS);
    }
    return err;
}

enum pyr_err member_raise_token(struct member *member,
                                int64_t token,
                                struct member_answer *ret_answer,
                                struct pyr_error *reterr)
{
    ASSERT(ret_answer);
    ASSERT(member->partition);

    enum pyr_err err = judge_check(member, reterr);
    if (err == PYR_OK && token < 0) {
        err =
            err_set(reterr, PYR_ERR_INVALID, "log '%s': a token below 0", member->partition->name);
    }
    if (err == PYR_OK && member->has_reserved) {
        err = err_set(reterr, PYR_ERR_BUSY, "log '%s': a batch is being built",
                      member->partition->name);
    }
    if (err != PYR_OK) {
        return err;
    }
    const struct conditions *conditions = &member->fold.conditions;
    if (token <= conditions->token) {
        bool is_there = token == conditions->token;
        *ret_answer = answer_of(
            member,
            &(struct condition_answer){.action = CONDITION_ANSWER,
                                       .reason = is_there ? CONDITION_HOLDS : CONDITION_TOKEN,
                                       .producer = {.verdict = PRODUCER_DUPLICATE,
                                                    .entry = {.offset_end = conditions->offset_end},
                                                    .offset_end = conditions->offset_end}});
        ret_answer->proposal = (struct member_proposal){.offset = -1};
        return PYR_OK;
    }
    struct bytes_mut room;
    struct member_proposal proposal;
    const struct control control = {.type = CONTROL_TOKEN, .as.token = token};
    err = member_reserve(member, CONTROL_BATCH_BYTES_MAX, &room, reterr);
    if (err == PYR_OK) {
        err = control_append(member, &control, &proposal, reterr);
        member_unreserve(member);
    }
    if (err == PYR_OK) {
        *ret_answer = answer_appended(member, &proposal, CONDITION_HOLDS);
    }
    return err;
}

enum member_fate member_answer_fate(const struct member *member, const struct member_answer *answer)
{
    const struct replica *replica = &member->replica;
    ASSERT(member->partition);
    ASSERT(answer->rests_on.offset_end >= 0);

    enum member_fate fate = MEMBER_FATE_COMMITTED;
    if (answer->rests_on.offset_end > 0) {
        fate = member_fate(member, &answer->rests_on); /* PRD-4 */
    }
    if (fate != MEMBER_FATE_COMMITTED || !answer->needs_barrier) {
        return fate;
    }
    bool is_led = replica->role == REPLICA_LEADER && replica->promise == answer->epoch &&
                  member->failure.code == PYR_OK;
    if (!is_led) {
        return MEMBER_FATE_LOST;
    }
    return member_barrier_holds(member, answer->judged_ns) ? MEMBER_FATE_COMMITTED
                                                           : MEMBER_FATE_OPEN;
}
