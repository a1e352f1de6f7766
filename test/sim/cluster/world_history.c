/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_history - what happened, for people: a line for each change, a column per replica.
 *
 *     [   412.093] node 2 log 0: leads 5.2              | 1 F 4.1 40/38 | 2 L 5.2 41/38 | 3 down
 *
 * A column says role, promise, end and commit end. Nothing is drawn or moved for it, so that a run
 * with its history is the same run.
 */
#include <inttypes.h>
#include <stdarg.h>

#include "base/text.h"
#include "sim/cluster/world_parts.h"

enum { LINE_BYTES = 512, WHAT_COLUMN = 56 };

static void put_epoch(struct text *text, int32_t epoch)
{
    if (epoch == EPOCH_NONE) {
        text_put(text, "-");
        return;
    }
    epoch_put_text(text, epoch);
}

static void put_column(struct text *text, const struct world *world, int32_t number, uint32_t log)
{
    static const char *const roles[] = {"F", "C", "L", "S"};
    const struct world_node *node = &world->nodes[number];
    const struct world_replica *replica = &node->replicas[log];
    text_format(text, "| %d ", number + 1);
    if (node->state != NODE_UP || !replica->member) {
        text_put(text, node->state == NODE_OPENING ? "opening " : "down ");
        return;
    }
    const struct replica *core = member_replica(replica->member);
    text_put(text, roles[core->role]);
    text_put(text, " ");
    put_epoch(text, core->promise);
    text_format(text, " %" PRId64 "/%" PRId64 "%s ", core->epochs.offset_end, core->committed,
                node->paused_ns > world->now_ns ? " paused" : "");
}

static void put_time(struct text *text, const struct world *world)
{
    text_format(text, "[%10.3f] ", (double)world->now_ns / (double)NS_PER_MS);
}

void history_line(struct world *world, int32_t node, uint32_t log, const char *format, ...)
{
    char line[LINE_BYTES];
    struct text text = text_of(line, sizeof line);
    put_time(&text, world);
    if (node != NOBODY) {
        text_format(&text, "node %d ", node + 1);
    }
    if (log < world->options->logs) {
        text_format(&text, "log %u: ", log);
    }
    char what[LINE_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    text_put(&text, what);
    while (text.count < WHAT_COLUMN) {
        text_put(&text, " ");
    }
    for (int32_t number = 0; log < world->options->logs && number < world->options->nodes;
         number++) {
        put_column(&text, world, number, log);
    }
    (void)fprintf(world->options->history, "%s\n", line);
}

static void put_message(struct text *text, const struct replica_message *message)
{
    static const char *const names[REPLICA_MESSAGE_KINDS] = {
        "none",   "prevote",       "prevote answer", "vote", "vote answer",
        "append", "append answer", "hand over",      "tail", "tail answer"};
    static const char *const outcomes[] = {"refused", "alike", "fork", "unknown"};
    text_format(text, "%s epoch ", names[message->kind]);
    put_epoch(text, message->epoch);
    text_put(text, " promise ");
    put_epoch(text, message->promise);
    if (message->kind == REPLICA_PREVOTE || message->kind == REPLICA_VOTE) {
        text_put(text, " log ");
        quorum_position_put_text(text, message->as.candidacy.log);
    } else if (message->kind == REPLICA_PREVOTE_ANSWER || message->kind == REPLICA_VOTE_ANSWER) {
        text_put(text, message->as.ballot.is_granted ? " granted" : " refused");
    } else if (message->kind == REPLICA_APPEND) {
        text_put(text, " behind ");
        quorum_position_put_text(text, message->as.batches.before);
        text_format(text, " to %" PRId64 " of ", message->as.batches.offset_end);
        put_epoch(text, message->as.batches.epoch);
        text_format(text, " committed %" PRId64, message->as.batches.committed);
    } else if (message->kind == REPLICA_APPEND_ANSWER) {
        const struct replica_answer *answer = &message->as.answer;
        text_format(text, " %s place %" PRId64 " durable %" PRId64, outcomes[answer->outcome],
                    answer->place, answer->durable);
    }
}

void history_letter(struct world *world, const struct world_letter *letter, const char *what)
{
    if (!world->options->history || !world->options->has_letters) {
        return;
    }
    char line[LINE_BYTES];
    struct text text = text_of(line, sizeof line);
    put_time(&text, world);
    text_format(&text, "  %d -> %d log %u %s: ", letter->from + 1, letter->to + 1, letter->log,
                what);
    if (letter->kind == LETTER_MESSAGE) {
        put_message(&text, &letter->inner.message);
    } else {
        text_put(&text, letter->kind == LETTER_LIVE ? "live epoch " : "confirm epoch ");
        put_epoch(&text, letter->epoch);
        text_format(&text, " committed %" PRId64, letter->committed);
    }
    (void)fprintf(world->options->history, "%s\n", line);
}
