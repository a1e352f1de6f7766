/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/scripted - steps of a table, and how a replica looks in it.
 */
#include "scripted.h"

#include <stdio.h>

#include "lib/case.h"
#include "paper.h"

enum {
    CELL_BYTES = 64,
    LINE_BYTES = 256,
    TRACE_BYTES = 16384,
    LATE_MAX = 16,
    ROUNDS_MAX = 1000, /* Of a talk. More: it never ends. */
};

struct scripted {
    struct paper paper;
    char cells[PAPER_NODES_MAX][CELL_BYTES]; /* As last shown. */
    struct paper_message late[LATE_MAX];
    uint32_t late_count;
    char trace[TRACE_BYTES];
    size_t trace_bytes;
};

/* What a step names. */
struct scripted_step {
    int32_t from; /* The first node. */
    int32_t to;   /* The second. */
    uint32_t nodes;
    uint64_t number;
    char letter;
};

/* -- How a replica looks -- */

static size_t put_char(char *text, size_t bytes, char letter)
{
    CHECK(bytes + 1 < CELL_BYTES);
    text[bytes] = letter;
    text[bytes + 1] = '\0';
    return bytes + 1;
}

static size_t put_epoch(char *text, size_t bytes, int32_t epoch)
{
    if (epoch == EPOCH_NONE) {
        return put_char(text, bytes, '0');
    }
    int count = snprintf(text + bytes, CELL_BYTES - bytes, "%d%c", epoch_round(epoch),
                         'A' + epoch_node(epoch).value - 1);
    CHECK(count >= 0 && bytes + (size_t)count < CELL_BYTES);
    return bytes + (size_t)count;
}

/* Of an opening batch, and of the records as they come. */
static const char letters[] = "oabcdefghijklmn";

static char letter_of(const struct scripted *scripted, const struct paper_record *record)
{
    if (record->value >= PAPER_CONFIG_VALUE) {
        return scripted->paper.configs[record->value - PAPER_CONFIG_VALUE].is_joint ? '&' : '=';
    }
    CHECK(record->value < sizeof letters - 1);
    return letters[record->value];
}

static size_t put_log(const struct scripted *scripted,
                      char *text,
                      size_t bytes,
                      const struct paper_log *log,
                      int64_t committed,
                      int64_t durable)
{
    int32_t epoch = EPOCH_NONE;
    for (int64_t offset = 0; offset <= log->offset_end; offset++) {
        bytes = offset == committed ? put_char(text, bytes, '|') : bytes;
        if (offset == log->offset_end) {
            break;
        }
        bytes = offset == durable ? put_char(text, bytes, '/') : bytes;
        const struct paper_record *record = &log->records[offset];
        bytes = record->epoch == epoch ? bytes : put_epoch(text, bytes, record->epoch);
        epoch = record->epoch;
        bytes = put_char(text, bytes, letter_of(scripted, record));
    }
    return bytes;
}

static void look(const struct scripted *scripted, int32_t number, char *text)
{
    const struct paper_node *node = &scripted->paper.nodes[number];
    const struct replica *replica = &node->replica;
    if (!node->is_up) {
        (void)memcpy(text, "down:", sizeof "down:");
        (void)put_log(scripted, text, strlen(text), &node->image, -1, -1);
        return;
    }
    static const char roles[] = {[REPLICA_FOLLOWER] = 'F',
                                 [REPLICA_CANDIDATE] = 'C',
                                 [REPLICA_LEADER] = 'L',
                                 [REPLICA_STOPPED] = 'S'};
    bool is_prevote = replica->role == REPLICA_CANDIDATE && replica->is_prevote;
    size_t bytes = put_char(text, 0, roles[replica->role]);
    if (is_prevote) {
        text[0] = 'P';
    }
    if (replica->is_removed) {
        text[0] = 'R';
    }
    if (replica_lease_holds(replica, scripted->paper.now_ns)) {
        bytes = put_char(text, bytes, '+');
    }
    bytes = put_epoch(text, bytes, replica->promise);
    if (replica->promise_durable < replica->promise) {
        bytes = put_char(text, bytes, '?');
    }
    bytes = put_char(text, bytes, ':');
    (void)put_log(scripted, text, bytes, &node->log, replica->committed, replica->durable);
}

/* -- Messages -- */

/* Return the place of the oldest message from @from to @to in the bag, or the count of the bag. */
static uint32_t oldest(const struct paper *paper, int32_t from, int32_t to)
{
    uint32_t found = paper->message_count;
    for (uint32_t index = 0; index < paper->message_count; index++) {
        const struct paper_message *message = &paper->messages[index];
        bool is_theirs = message->from == from && message->to == to;
        bool is_older =
            found == paper->message_count || message->number < paper->messages[found].number;
        found = is_theirs && is_older ? index : found;
    }
    return found;
}

static uint32_t oldest_there(const struct paper *paper, const struct scripted_step *step)
{
    uint32_t index = oldest(paper, step->from, step->to);
    if (index == paper->message_count) {
        fail_msg("there is no message from %c to %c", 'A' + step->from, 'A' + step->to);
    }
    return index;
}

static void do_one(struct scripted *scripted, const struct scripted_step *step)
{
    paper_deliver(&scripted->paper, oldest_there(&scripted->paper, step), false);
}

static void do_silent(struct scripted *scripted, const struct scripted_step *step)
{
    CHECK_INT(oldest(&scripted->paper, step->from, step->to), scripted->paper.message_count);
}

static void do_repeat(struct scripted *scripted, const struct scripted_step *step)
{
    paper_deliver(&scripted->paper, oldest_there(&scripted->paper, step), true);
}

static void do_all(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    uint32_t index = oldest_there(paper, step);
    while (index < paper->message_count) {
        paper_deliver(paper, index, false);
        index = oldest(paper, step->from, step->to);
    }
}

static void do_alien(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    uint32_t index = oldest_there(paper, step);
    paper->messages[index].envelope.from.storage = (struct storage_id){{99}};
    paper_deliver(paper, index, false);
}

static void do_drop(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    uint32_t index = 0;
    while (index < paper->message_count) {
        const struct paper_message *message = &paper->messages[index];
        if (message->from == step->from && (step->to < 0 || message->to == step->to)) {
            paper->messages[index] = paper->messages[--paper->message_count];
        } else {
            index++;
        }
    }
}

static void do_delay(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    uint32_t index = oldest_there(paper, step);
    CHECK(scripted->late_count < LATE_MAX);
    scripted->late[scripted->late_count++] = paper->messages[index];
    paper->messages[index] = paper->messages[--paper->message_count];
}

static void do_late(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    for (uint32_t index = 0; index < scripted->late_count; index++) {
        struct paper_message *message = &scripted->late[index];
        if (message->from != step->from || message->to != step->to) {
            continue;
        }
        CHECK(paper->message_count < PAPER_MESSAGES_MAX);
        paper->messages[paper->message_count++] = *message;
        *message = scripted->late[--scripted->late_count];
        paper_deliver(paper, paper->message_count - 1, false);
        return;
    }
    fail_msg("nothing is late from %c to %c", 'A' + step->from, 'A' + step->to);
}

/* Let node @from flush, and let what it told those of @nodes arrive, one message each. False: there
 * was nothing to do. */
static bool talk_one(struct paper *paper, int32_t from, uint32_t nodes)
{
    struct paper_node *node = &paper->nodes[from];
    bool has_done = node->is_up && node->op_count > 0;
    if (has_done) {
        paper_flush(paper, from, node->op_count);
    }
    for (int32_t to = 0; to < paper->node_count; to++) {
        uint32_t index = oldest(paper, from, to);
        if ((nodes & (1U << to)) != 0 && index < paper->message_count) {
            paper_deliver(paper, index, false);
            has_done = true;
        }
    }
    return has_done;
}

static bool talk_round(struct paper *paper, uint32_t nodes)
{
    bool has_done = false;
    for (int32_t from = 0; from < paper->node_count; from++) {
        bool is_named = (nodes & (1U << from)) != 0;
        has_done = (is_named && talk_one(paper, from, nodes)) || has_done;
    }
    return has_done;
}

static void do_talk(struct scripted *scripted, const struct scripted_step *step)
{
    uint32_t nodes = step->nodes != 0 ? step->nodes : UINT32_MAX;
    int rounds = 0;
    while (talk_round(&scripted->paper, nodes)) {
        CHECK(++rounds < ROUNDS_MAX);
    }
}

/* -- Nodes -- */

static void do_append(struct scripted *scripted, const struct scripted_step *step)
{
    CHECK(paper_propose(&scripted->paper, step->from));
    CHECK_INT(step->letter, 'a' + (int32_t)scripted->paper.value_last - 1);
}

static void do_refuse(struct scripted *scripted, const struct scripted_step *step)
{
    CHECK(!paper_propose(&scripted->paper, step->from));
}

static void do_flush(struct scripted *scripted, const struct scripted_step *step)
{
    uint32_t count = scripted->paper.nodes[step->from].op_count;
    CHECK(count > 0);
    bool is_all = step->number == 0 || step->number > count;
    paper_flush(&scripted->paper, step->from, is_all ? count : (uint32_t)step->number);
}

static void do_crash(struct scripted *scripted, const struct scripted_step *step)
{
    paper_crash(&scripted->paper, step->from, 0);
}

static void do_start(struct scripted *scripted, const struct scripted_step *step)
{
    CHECK(!scripted->paper.nodes[step->from].is_up);
    paper_start(&scripted->paper, step->from);
}

static void do_look(struct scripted *scripted, const struct scripted_step *step)
{
    paper_tell(&scripted->paper, step->from,
               (struct replica_event){.kind = REPLICA_EVENT_TIME,
                                      .waiting_ns = step->number * (PAPER_TIMEOUT_NS / 10)},
               NULL);
}

static void do_stand(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    uint64_t deadline_ns = replica_deadline_ns(&paper->nodes[step->from].replica);
    CHECK(deadline_ns < UINT64_MAX);
    paper->now_ns = deadline_ns > paper->now_ns ? deadline_ns : paper->now_ns;
    do_look(scripted, step);
}

static void do_wait(struct scripted *scripted, const struct scripted_step *step)
{
    scripted->paper.now_ns += step->number * (PAPER_TIMEOUT_NS / 10);
}

static void do_beat(struct scripted *scripted, const struct scripted_step *step)
{
    paper_beat(&scripted->paper, step->from);
}

static void do_hand(struct scripted *scripted, const struct scripted_step *step)
{
    paper_tell(&scripted->paper, step->from,
               (struct replica_event){.kind = REPLICA_EVENT_HAND_OVER, .member = step->to}, NULL);
}

static void do_members(struct scripted *scripted, const struct scripted_step *step)
{
    struct paper *paper = &scripted->paper;
    struct quorum_config config = {0};
    int32_t leader = QUORUM_NO_MEMBER;
    for (int32_t number = 0; number < paper->node_count; number++) {
        const struct paper_node *node = &paper->nodes[number];
        leader = node->is_up && node->replica.role == REPLICA_LEADER ? number : leader;
        if ((step->nodes & (1U << number)) != 0) {
            config.voters[config.rules.voter_count++] = paper_member(number);
        }
    }
    config.rules.write_quorum = config.rules.voter_count / 2 + 1;
    config.rules.read_quorum = config.rules.voter_count - config.rules.write_quorum + 1;
    CHECK(leader != QUORUM_NO_MEMBER);
    CHECK(paper_change(paper, leader, &config));
}

static void do_cut(struct scripted *scripted, const struct scripted_step *step)
{
    scripted->paper.cuts[step->from][step->to] = true;
    scripted->paper.cuts[step->to][step->from] = true;
}

static void do_heal(struct scripted *scripted, const struct scripted_step *step)
{
    (void)step;
    memset(scripted->paper.cuts, 0, sizeof scripted->paper.cuts);
}

/* Tell node @number the time if it wants to know, and let it tell all that it lives if it leads. */
static void run_one(struct scripted *scripted, int32_t number)
{
    const struct paper *paper = &scripted->paper;
    const struct paper_node *node = &paper->nodes[number];
    struct scripted_step one = {.from = number};
    if (node->is_up && replica_deadline_ns(&node->replica) <= paper->now_ns) {
        do_look(scripted, &one);
    }
    if (node->is_up && node->replica.role == REPLICA_LEADER) {
        do_beat(scripted, &one);
    }
}

static void do_run(struct scripted *scripted, const struct scripted_step *step)
{
    for (uint64_t tick = 0; tick < 10 * step->number; tick++) {
        scripted->paper.now_ns += PAPER_TIMEOUT_NS / 10;
        for (int32_t number = 0; number < scripted->paper.node_count; number++) {
            run_one(scripted, number);
        }
        do_talk(scripted, &(struct scripted_step){0});
    }
}

/* -- The table -- */

typedef void (*scripted_do)(struct scripted *scripted, const struct scripted_step *step);

static const struct scripted_verb {
    const char *name;
    scripted_do run;
} verbs[] = {
    {"repeat", do_repeat},   {"delay", do_delay},   {"late", do_late},     {"drop", do_drop},
    {"alien", do_alien},     {"talk", do_talk},     {"append", do_append}, {"refuse", do_refuse},
    {"flush", do_flush},     {"crash", do_crash},   {"start", do_start},   {"stand", do_stand},
    {"wait", do_wait},       {"look", do_look},     {"beat", do_beat},     {"hand", do_hand},
    {"members", do_members}, {"silent", do_silent}, {"cut", do_cut},       {"heal", do_heal},
    {"run", do_run},
};

/* Read the nodes, the number and the letter of a step. */
static struct scripted_step step_read(const char *text)
{
    struct scripted_step step = {.from = -1, .to = -1};
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text < 'A' + PAPER_NODES_MAX) {
            int32_t number = *text - 'A';
            step.to = step.from >= 0 && step.to < 0 ? number : step.to;
            step.from = step.from < 0 ? number : step.from;
            step.nodes |= 1U << number;
        } else if (*text >= '0' && *text <= '9') {
            step.number = step.number * 10 + (uint64_t)(*text - '0');
        } else if (*text >= 'a' && *text <= 'z') {
            step.letter = *text;
        }
    }
    return step;
}

static void step_do(struct scripted *scripted, const char *text)
{
    size_t length = strcspn(text, " "); /* Of the verb. */
    struct scripted_step step = step_read(text + (text[0] < 'a' ? 0 : length));
    if (text[0] < 'a') {
        (strchr(text, '>')[1] == '>' ? do_all : do_one)(scripted, &step);
        return;
    }
    for (size_t index = 0; index < sizeof verbs / sizeof verbs[0]; index++) {
        const char *name = verbs[index].name;
        if (strlen(name) == length && strncmp(name, text, length) == 0) {
            verbs[index].run(scripted, &step);
            return;
        }
    }
    fail_msg("there is no step '%s'", text);
}

/* Return where the column of node @number begins in @head, past its end if there is none. */
static size_t column_of(const char *head, int32_t number)
{
    const char *column = strchr(head, 'A' + number);
    size_t bytes = strcspn(head, "\n");
    return column && (size_t)(column - head) < bytes ? (size_t)(column - head) : bytes;
}

static void trace_put(struct scripted *scripted, const char *text, size_t width)
{
    size_t room = sizeof scripted->trace - scripted->trace_bytes;
    int count = snprintf(scripted->trace + scripted->trace_bytes, room, "%-*s", (int)width, text);
    CHECK(count >= 0 && (size_t)count < room);
    scripted->trace_bytes += (size_t)count;
}

/* Show what has changed, in columns that begin where those of @head do. */
static void cells_put(struct scripted *scripted, const char *head)
{
    int32_t count = scripted->paper.node_count;
    for (int32_t number = 0; number < count; number++) {
        char cell[CELL_BYTES] = "";
        look(scripted, number, cell);
        bool is_new = strcmp(cell, scripted->cells[number]) != 0;
        const char *begin = strchr(head, 'A' + number);
        const char *end = strchr(head, 'A' + number + 1);
        bool is_last = number == count - 1;
        trace_put(scripted, is_new ? cell : ".", is_last ? 0 : (size_t)(end - begin));
        memcpy(scripted->cells[number], cell, sizeof cell);
    }
    trace_put(scripted, "\n", 0);
}

static void play_line(struct scripted *scripted, const char *head, const char *line)
{
    char step[LINE_BYTES];
    size_t width = (size_t)(strchr(head, 'A') - head);
    size_t bytes = strcspn(line, "\n");
    bytes = bytes < width ? bytes : width;
    CHECK(bytes < sizeof step);
    memcpy(step, line, bytes);
    step[bytes] = '\0';
    trace_put(scripted, step, width);
    for (char *one = step; *one != '\0' && !scripted->paper.violation;) {
        one += strspn(one, ", ");
        size_t count = strcspn(one, ",");
        bool is_last = one[count] == '\0';
        one[count] = '\0';
        if (count > 0) {
            step_do(scripted, one);
        }
        one += is_last ? count : count + 1;
    }
    cells_put(scripted, head);
    if (scripted->paper.violation) {
        trace_put(scripted, scripted->paper.violation, 0);
        trace_put(scripted, "\n", 0);
    }
}

void scripted_play(int32_t voter_count, int32_t write_quorum, const char *table)
{
    scripted_play_with(voter_count, 0, write_quorum, table);
}

void scripted_play_with(int32_t voter_count,
                        int32_t learner_count,
                        int32_t write_quorum,
                        const char *table)
{
    static struct scripted scripted;
    memset(&scripted, 0, sizeof scripted);
    struct quorum_rules rules = {.voter_count = voter_count,
                                 .write_quorum = write_quorum,
                                 .read_quorum = voter_count - write_quorum + 1};
    paper_begin_with(&scripted.paper, 1, &rules, learner_count);
    scripted.paper.is_scripted = true;
    while (strcspn(table, "\n") > column_of(table, scripted.paper.node_count)) {
        paper_spare(&scripted.paper, 1);
    }
    for (int32_t number = 0; number < scripted.paper.node_count; number++) {
        look(&scripted, number, scripted.cells[number]);
    }
    char head[LINE_BYTES];
    size_t head_bytes = strcspn(table, "\n");
    CHECK(head_bytes < sizeof head);
    memcpy(head, table, head_bytes);
    head[head_bytes] = '\0';
    trace_put(&scripted, head, 0);
    trace_put(&scripted, "\n", 0);
    for (const char *line = table + head_bytes + 1; *line != '\0'; line = strchr(line, '\n') + 1) {
        play_line(&scripted, head, line);
        if (scripted.paper.violation) {
            break;
        }
    }
    if (strcmp(scripted.trace, table) != 0) {
        (void)fputs(scripted.trace, stderr);
        fail_msg("the cluster did not do what the table says");
    }
}
