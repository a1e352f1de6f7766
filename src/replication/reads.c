/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/reads - asking voters how far their logs reach, and waiting for it.
 */
#include "replication/reads.h"

#include "replication/inner.h"

void reads_begin(struct quorum_read *read, const struct replica *replica, uint64_t number)
{
    ASSERT(quorum_set_reads_allowed(&replica->set)); /* QUO-4 */
    ASSERT(replica->set.member_count <= QUORUM_MEMBERS_MAX);

    *read = (struct quorum_read){.number = number,
                                 .configured = replica->configured,
                                 .config_end = replica->config_end};
    for (int32_t member = 0; member < QUORUM_MEMBERS_MAX; member++) {
        read->answers[member] = (struct quorum_position){EPOCH_NONE, QUORUM_END_UNKNOWN};
    }
    bool counts = replica->number != QUORUM_NO_MEMBER && replica->role != REPLICA_STOPPED;
    if (counts) {
        read->answers[replica->number] = epochs_position(&replica->epochs);
    }
}

bool reads_asks(const struct quorum_read *read, const struct replica *replica, int32_t member)
{
    ASSERT(member >= 0);
    ASSERT(member < replica->set.member_count);

    return member != replica->number && read->configured == replica->configured &&
           read->answers[member].end == QUORUM_END_UNKNOWN;
}

struct replica_message reads_question(const struct quorum_read *read, const struct replica *replica)
{
    ASSERT(read->configured <= replica->configured);
    ASSERT(replica->promise_durable <= replica->promise);

    return (struct replica_message){.kind = REPLICA_TAIL,
                                    .epoch = replica->promise,
                                    .promise = replica->promise_durable,
                                    .config_end = replica->config_end,
                                    .as.tail = {.number = read->number}};
}

void reads_answer(struct quorum_read *read,
                  const struct replica *replica,
                  const struct quorum_member *from,
                  const struct replica_message *message)
{
    ASSERT(message->kind == REPLICA_TAIL_ANSWER);
    ASSERT(read->configured <= replica->configured);

    const struct replica_tail *tail = &message->as.tail;
    int32_t member = quorum_set_find(&replica->set, from);
    bool is_asked = tail->number == read->number || MUTANT(read_takes_stale_answer);
    bool is_ours = tail->run == replica->self.run && is_asked; /* QRD-1 */
    bool counts = is_ours && member != QUORUM_NO_MEMBER && reads_asks(read, replica, member);
    if (counts && tail->log.end >= 0 && tail->log.epoch >= EPOCH_NONE) {
        read->answers[member] = tail->log;
    }
    if (is_ours && message->config_end > read->config_end) {
        read->config_end = message->config_end;
    }
}

/* Find the furthest of the answers. False: there are too few. */
static bool target_find(const struct quorum_read *read,
                        const struct replica *replica,
                        struct quorum_position *ret_target)
{
    ASSERT(read->configured == replica->configured);
    ASSERT(replica->set.member_count > 0);

    if (!MUTANT(read_takes_first_answer)) {
        return quorum_read_target(&replica->set, read->answers, ret_target);
    }
    int32_t member = 0;
    while (member < replica->set.member_count && read->answers[member].end < 0) {
        member++;
    }
    *ret_target = read->answers[member % replica->set.member_count];
    return member < replica->set.member_count;
}

enum reads_state reads_state(const struct quorum_read *read, const struct replica *replica)
{
    ASSERT(read->configured <= replica->configured);
    ASSERT(replica->committed <= replica->epochs.offset_end);

    if (read->configured != replica->configured) {
        return READS_AGAIN;
    }
    struct quorum_position target;
    bool is_newest = read->config_end <= replica->config_end || MUTANT(read_by_old_config);
    if (!is_newest || !target_find(read, replica, &target)) {
        return READS_ASKING;
    }
    struct quorum_position here = {epochs_before(&replica->epochs, replica->committed),
                                   replica->committed};
    bool is_done = quorum_position_compare(here, target) >= 0; /* QRD-2 */
    return is_done ? READS_DONE : READS_WAITING;
}

void reads_tail(struct replica *replica, const struct replica_event *event, int32_t member)
{
    ASSERT(event->message->kind == REPLICA_TAIL);
    ASSERT(replica->role != REPLICA_STOPPED);

    struct replica_message *answer =
        effect_send(replica, member, REPLICA_TAIL_ANSWER, event->message->epoch);
    answer->as.tail = (struct replica_tail){.run = event->from->run,
                                            .number = event->message->as.tail.number,
                                            .log = epochs_position(&replica->epochs)};
}
