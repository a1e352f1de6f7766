/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/propose - appends of a leader, and what becomes of them.
 *
 * An append goes into the own journal and to the followers at once; it is committed when W of them,
 * this one or others, have it on stable storage. Nobody has to be remembered for that: an append is
 * an epoch and an end, and the table of epochs says of any such pair whether it stands in the log.
 *
 *      epoch at that end    commit point
 *      the same             past it           committed
 *      the same             below it          open
 *      another, or none     past its offset   lost: something else stands there for good
 *      another, or none     below             open: it was cut here, but another leader may have it
 */
#include <inttypes.h>

#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "record/control.h"

enum pyr_err propose_check(const struct member *member, struct pyr_error *reterr)
{
    ASSERT(member->partition);

    enum pyr_err err = member_health(member, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (member->is_stopping || !replica_takes_proposals(&member->replica)) {
        return err_set(reterr, PYR_ERR_NOT_LEADER, "log '%s' is not led from here",
                       member->partition->name);
    }
    ASSERT(!member_waits(member)); /* Who leads, and has opened its epoch, is asked for nothing. */
    return PYR_OK;
}

enum pyr_err member_reserve(struct member *member,
                            size_t bytes,
                            struct bytes_mut *ret_room,
                            struct pyr_error *reterr)
{
    ASSERT(!member->has_reserved);
    ASSERT(bytes > 0);

    /* What stands for an append that is refused finds room where that was to be. */
    size_t least = CONTROL_BATCH_BYTES_MAX;
    enum pyr_err err = propose_check(member, reterr);
    if (err == PYR_OK) {
        err = partition_reserve(member->partition, bytes > least ? bytes : least, ret_room, reterr);
    }
    member->has_reserved = err == PYR_OK;
    return err;
}

void member_unreserve(struct member *member)
{
    ASSERT(member->partition);

    if (member->has_reserved) {
        partition_unreserve(member->partition);
        member->has_reserved = false;
    }
}

enum pyr_err propose_reserved(struct member *member, struct pyr_error *reterr)
{
    ASSERT(member->partition);

    enum pyr_err err = propose_check(member, reterr);
    if (err == PYR_OK && !member->has_reserved) { /* It was led by somebody else meanwhile. */
        err = err_set(reterr, PYR_ERR_NOT_LEADER, "log '%s' was not led from here for a while",
                      member->partition->name);
    }
    if (err != PYR_OK) {
        member_unreserve(member);
    }
    ASSERT(err != PYR_OK || member->has_reserved);
    return err;
}

enum pyr_err member_append(struct member *member,
                           size_t bytes,
                           uint64_t since_ns,
                           struct member_proposal *ret_proposal,
                           struct pyr_error *reterr)
{
    ASSERT(bytes > 0);
    ASSERT(ret_proposal);

    enum pyr_err err = propose_reserved(member, reterr);
    if (err != PYR_OK) {
        return err;
    }
    int64_t offset = 0;
    err = partition_append(member->partition, bytes, since_ns, &offset, reterr);
    if (err != PYR_OK) {
        return err;
    }
    member->has_reserved = false;
    *ret_proposal = (struct member_proposal){.epoch = member->partition->epoch,
                                             .offset = offset,
                                             .offset_end = member->partition->offset_end};
    member_step(member);
    return PYR_OK;
}

enum member_fate member_fate(const struct member *member, const struct member_proposal *proposal)
{
    const struct epoch_table *epochs = &member->replica.epochs;
    ASSERT(member->partition);
    ASSERT(proposal->offset < proposal->offset_end);

    bool is_there = proposal->offset_end <= epochs->offset_end &&
                    epochs_before(epochs, proposal->offset_end) == proposal->epoch;
    int64_t committed = member->partition->offset_committed;
    /* Behind what is committed of a newer epoch nothing older can ever stand. */
    bool is_overtaken =
        committed > proposal->offset || epochs_before(epochs, committed) > proposal->epoch;
    if (!is_there) {
        return is_overtaken ? MEMBER_FATE_LOST : MEMBER_FATE_OPEN;
    }
    return committed >= proposal->offset_end ? MEMBER_FATE_COMMITTED : MEMBER_FATE_OPEN;
}

enum pyr_err member_receipt(const struct member *member,
                            const struct member_proposal *proposal,
                            struct member_receipt *ret_receipt,
                            struct pyr_error *reterr)
{
    const struct replica *replica = &member->replica;
    ASSERT(member->partition);
    ASSERT(proposal->offset < proposal->offset_end);

    if (replica->role != REPLICA_LEADER || member->failure.code != PYR_OK) {
        return err_set(reterr, PYR_ERR_NOT_LEADER, "log '%s': only its leader knows who has what",
                       member->partition->name);
    }
    bool is_there = proposal->offset_end <= replica->epochs.offset_end &&
                    epochs_before(&replica->epochs, proposal->offset_end) == proposal->epoch;
    if (!is_there) {
        return err_set(reterr, PYR_ERR_NOT_FOUND,
                       "log '%s': what was appended at offset %" PRId64 " is not there",
                       member->partition->name, proposal->offset);
    }
    struct member_receipt receipt = {.epoch = proposal->epoch, .offset = proposal->offset};
    for (int32_t number = 0; number < replica->set.member_count; number++) {
        receipt.copies += replica->matches[number] >= proposal->offset_end;
    }
    bool is_synced = member->partition->options.policy == PARTITION_POLICY_ALWAYS;
    receipt.copies_durable = is_synced ? receipt.copies : 0;
    *ret_receipt = receipt;
    return PYR_OK;
}

void member_wait(struct member *member, struct member_waiter *waiter)
{
    const struct member_waiter *last = member->waiters_last;
    ASSERT(waiter->proposal.offset < waiter->proposal.offset_end);
    ASSERT(!last || last->proposal.epoch <= waiter->proposal.epoch);

    waiter->next = NULL;
    if (last) {
        member->waiters_last->next = waiter;
    } else {
        member->waiters_first = waiter;
    }
    member->waiters_last = waiter;
}

struct member_waiter *member_settled(struct member *member)
{
    struct member_waiter *waiter = member->waiters_first;
    ASSERT(member->partition);
    ASSERT(!waiter == !member->waiters_last);

    if (!waiter) {
        return NULL;
    }
    waiter->fate = member_fate(member, &waiter->proposal);
    if (waiter->fate == MEMBER_FATE_OPEN) {
        return NULL;
    }
    member->waiters_first = waiter->next;
    member->waiters_last = waiter->next ? member->waiters_last : NULL;
    waiter->next = NULL;
    return waiter;
}
