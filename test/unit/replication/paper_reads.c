/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/paper - reads under way: what was committed anywhere when one began is not missing.
 */
#include "paper.h"

void paper_read_begin(struct paper *paper, int32_t number, bool is_barrier)
{
    struct paper_node *node = &paper->nodes[number];
    bool is_possible = is_barrier ? node->replica.role == REPLICA_LEADER
                                  : quorum_set_reads_allowed(&node->replica.set);
    if (!is_possible || paper->read_count == PAPER_READS_MAX) {
        return;
    }
    struct paper_read *read = &paper->reads[paper->read_count++];
    *read = (struct paper_read){.number = number,
                                .is_barrier = is_barrier,
                                .since_ns = paper->now_ns,
                                .floor = paper->committed_end};
    if (is_barrier) {
        return;
    }
    reads_begin(&read->quorum, &node->replica, ++paper->read_last);
    for (int32_t member = 0; member < node->replica.set.member_count; member++) {
        if (reads_asks(&read->quorum, &node->replica, member)) {
            paper_post(paper, PAPER_MESSAGE, number, member)->message =
                reads_question(&read->quorum, &node->replica);
        }
    }
}

void paper_reads_answer(struct paper *paper, const struct paper_message *message)
{
    for (uint32_t index = 0; index < paper->read_count; index++) {
        struct paper_read *read = &paper->reads[index];
        if (read->number == message->to && !read->is_barrier) {
            reads_answer(&read->quorum, &paper->nodes[message->to].replica, &message->envelope.from,
                         &message->message);
        }
    }
}

static enum reads_state state_of(const struct paper *paper, const struct paper_read *read)
{
    const struct paper_node *node = &paper->nodes[read->number];
    if (!read->is_barrier) {
        return reads_state(&read->quorum, &node->replica);
    }
    if (node->replica.role != REPLICA_LEADER) {
        return READS_AGAIN;
    }
    return replica_barrier_holds(&node->replica, read->since_ns) ? READS_DONE : READS_WAITING;
}

void paper_reads_drop(struct paper *paper, int32_t number)
{
    uint32_t kept = 0;
    for (uint32_t index = 0; index < paper->read_count; index++) {
        if (paper->reads[index].number != number) {
            paper->reads[kept++] = paper->reads[index];
        }
    }
    paper->read_count = kept;
}

const char *paper_reads_check(struct paper *paper)
{
    const char *violation = NULL;
    uint32_t kept = 0;
    for (uint32_t index = 0; index < paper->read_count; index++) {
        struct paper_read read = paper->reads[index];
        enum reads_state state = state_of(paper, &read);
        bool is_behind = paper->nodes[read.number].replica.committed < read.floor;
        if (state == READS_DONE) {
            paper->counts.reads++;
            paper->counts.barriers += read.is_barrier;
        }
        if (state == READS_DONE && is_behind) { /* QRD-2, RPL-8 */
            violation = read.is_barrier ? "a read through a barrier missed what was committed"
                                        : "a quorum read missed what was committed";
        }
        if (state == READS_ASKING || state == READS_WAITING) {
            paper->reads[kept++] = read;
        }
    }
    paper->read_count = kept;
    return violation;
}

const char *paper_leases_check(const struct paper *paper)
{
    for (int32_t number = 0; number < paper->node_count; number++) {
        const struct paper_node *node = &paper->nodes[number];
        if (node->is_up && replica_lease_holds(&node->replica, paper->now_ns) &&
            node->replica.committed < paper->committed_end) {
            return "a read under a lease missed what was committed";
        }
    }
    return NULL;
}
