/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/member_read - linearizable reads at a member.
 *
 * A quorum read is a question to all voters, asked again of who is silent, and a target that the
 * own commit point has to reach (replication/reads.h). The reads under way stand in a list, and an
 * answer is shown to all of them: each takes what answers its own question. A read that finds the
 * configuration changed begins anew by itself. The core may know of a commit before the log has
 * room for it (effects.c): a read is done when the log shows it.
 */
#include "partition/member_inner.h"
#include "partition/shard_inner.h"

/* Whether the log shows what the core knows to be committed: not while that waits for room. */
static bool log_is_level(const struct member *member)
{
    ASSERT(member->partition);

    return member->partition->offset_committed >= member->replica.committed;
}

bool member_barrier_holds(const struct member *member, uint64_t since_ns)
{
    ASSERT(member->partition);
    ASSERT(since_ns > 0);

    return member->failure.code == PYR_OK && log_is_level(member) &&
           replica_barrier_holds(&member->replica, since_ns);
}

/* Ask all who have not answered. */
static void read_ask(struct member *member, struct member_read *read)
{
    const struct replica *replica = &member->replica;
    ASSERT(member->failure.code == PYR_OK);
    ASSERT(read->inner.number > 0);

    struct replica_message question = reads_question(&read->inner, replica);
    read->asked_ns = io_now_mono_ns(member->partition->shard->io);
    for (int32_t number = 0; number < replica->set.member_count; number++) {
        if (number != replica->number && reads_asks(&read->inner, replica, number)) {
            member_send(member, number, &question, (struct bytes){0});
        }
    }
}

enum pyr_err member_read_begin(struct member *member,
                               struct member_read *read,
                               struct pyr_error *reterr)
{
    ASSERT(member->partition);
    ASSERT(read);

    enum pyr_err err = member_health(member, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (!quorum_set_reads_allowed(&member->replica.set)) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "log '%s': its quorums do not meet, so no quorum can tell what is committed",
                       member->partition->name);
    }
    *read = (struct member_read){.next = member->asking};
    member->asking = read;
    reads_begin(&read->inner, &member->replica, ++member->questions);
    read_ask(member, read);
    return PYR_OK;
}

enum reads_state member_read_step(struct member *member, struct member_read *read)
{
    ASSERT(member->asking);
    ASSERT(read->inner.number > 0);

    enum reads_state state = reads_state(&read->inner, &member->replica);
    if (member->failure.code != PYR_OK || member->is_stopping) {
        return READS_ASKING; /* It never will. */
    }
    uint64_t now_ns = io_now_mono_ns(member->partition->shard->io);
    bool is_late = now_ns > read->asked_ns + member->replica.timeout_ns / 4;
    if (state == READS_AGAIN) {
        reads_begin(&read->inner, &member->replica, ++member->questions);
        read_ask(member, read);
        state = READS_ASKING;
    } else if (state == READS_ASKING && is_late) {
        read_ask(member, read);
    }
    return state == READS_DONE && !log_is_level(member) ? READS_WAITING : state;
}

void member_read_end(struct member *member, struct member_read *read)
{
    ASSERT(member->asking);
    ASSERT(read->inner.number > 0);

    struct member_read **link = &member->asking;
    while (*link != read) {
        ASSERT(*link);
        link = &(*link)->next;
    }
    *link = read->next;
}

void member_read_answer(struct member *member, const struct member_letter *letter)
{
    ASSERT(member->failure.code == PYR_OK);
    ASSERT(letter->message.kind < REPLICA_MESSAGE_KINDS);

    if (letter->message.kind != REPLICA_TAIL_ANSWER ||
        !log_id_equal(&letter->envelope.log, &member->partition->id)) {
        return;
    }
    for (struct member_read *read = member->asking; read; read = read->next) {
        reads_answer(&read->inner, &member->replica, &letter->envelope.from, &letter->message);
    }
}
