/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/peers: who has which number, and what goes with a peer when the numbers change.
 */
#include "base/prng.h"
#include "lib/case.h"
#include "quorum/commit.h"
#include "quorum/epoch.h"
#include "replication/replica.h"

#define TIMEOUT_NS UINT64_C(1000)

enum { NODES = 12, LOG_END = 100, DRAWS = 2000, VOTERS_MOST = 5 };

/* One replica, of node 1, that leads. */
struct fixture {
    struct epoch_row rows[2];
    struct replica_effect effects[REPLICA_EFFECTS_MAX];
    struct replica_progress progress[REPLICA_PEERS_MAX];
    struct replica replica;
};

static struct fixture fixture;

static struct quorum_member member_of(int32_t node)
{
    return (struct quorum_member){.node = {node}, .storage = {{(uint8_t)node}}};
}

/* A configuration whose voters and learners are the nodes of these letters, A is 1. */
static struct quorum_config config_of(const char *voters, const char *learners)
{
    struct quorum_config config = {0};
    for (; *voters != '\0'; voters++) {
        config.voters[config.rules.voter_count++] = member_of(*voters - 'A' + 1);
    }
    for (; *learners != '\0'; learners++) {
        config.learners[config.learner_count++] = member_of(*learners - 'A' + 1);
    }
    config.rules.write_quorum = config.rules.voter_count;
    config.rules.read_quorum = 1;
    return config;
}

static void begin(const struct quorum_config *config, const struct quorum_config *next)
{
    memset(&fixture, 0, sizeof fixture);
    struct replica_start start = {.self.from = member_of(1),
                                  .promise = epoch_of(1, (struct node_id){1}),
                                  .epochs = {.rows = fixture.rows, .count_max = 2},
                                  .config = config,
                                  .config_next = next,
                                  .timeout_ns = TIMEOUT_NS,
                                  .seed = 1,
                                  .now_ns = TIMEOUT_NS,
                                  .effects = fixture.effects,
                                  .progress = fixture.progress,
                                  .progress_max = REPLICA_PEERS_MAX};
    epochs_append(&start.epochs, start.promise, LOG_END);
    replica_init(&fixture.replica, &start);
    fixture.replica.role = REPLICA_LEADER;
    fixture.replica.opening = LOG_END - 1;
    fixture.replica.leading_ns = TIMEOUT_NS;
}

static void tell(const struct quorum_config *config, const struct quorum_config *next)
{
    replica_step(&fixture.replica, &(struct replica_event){.kind = REPLICA_EVENT_CONFIG,
                                                           .now_ns = TIMEOUT_NS,
                                                           .offset_end = LOG_END,
                                                           .config = config,
                                                           .config_next = next});
}

/* The letters of all peers by number. */
static const char *peers_text(void)
{
    static char text[REPLICA_PEERS_MAX + 1];
    int32_t count = fixture.replica.peer_count;
    for (int32_t peer = 0; peer < count; peer++) {
        const struct quorum_member *member = replica_peer(&fixture.replica, peer);
        text[peer] = (char)('A' + member->node.value - 1);
        CHECK_INT(replica_find(&fixture.replica, member), peer);
    }
    text[count] = '\0';
    return text;
}

/* Voters as the set has them, of both configurations, then learners of the newest that vote in
 * neither. */
TEST(peers, are_numbered_voters_first)
{
    static const struct {
        const char *voters;
        const char *learners;
        const char *next_voters; /* NULL: no change. */
        const char *next_learners;
        const char *peers;
        int32_t number; /* Of A. */
        int32_t peer;
    } table[] = {
        {"ABC", "", NULL, "", "ABC", 0, 0},
        {"BCA", "DE", NULL, "", "BCADE", 2, 2},
        {"BC", "DA", NULL, "", "BCDA", QUORUM_NO_MEMBER, 3},
        {"BC", "D", NULL, "", "BCD", QUORUM_NO_MEMBER, QUORUM_NO_MEMBER},
        {"ABC", "DE", "BCD", "", "ABCD", 0, 0},
        {"ABC", "DE", "BCD", "AE", "ABCDE", 0, 0},
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        struct quorum_config config = config_of(table[row].voters, table[row].learners);
        bool is_joint = table[row].next_voters != NULL;
        struct quorum_config next = config;
        if (is_joint) {
            next = config_of(table[row].next_voters, table[row].next_learners);
        }
        begin(&config, is_joint ? &next : NULL);
        CHECK_TEXT(peers_text(), table[row].peers);
        CHECK_INT(fixture.replica.number, table[row].number);
        CHECK_INT(fixture.replica.peer, table[row].peer);
    }
}

/* Draw a configuration of which A is a voter. */
static struct quorum_config config_draw(struct prng *prng)
{
    char nodes[NODES + 1] = "ABCDEFGHIJKL";
    for (uint64_t index = NODES - 1; index > 1; index--) {
        uint64_t other = 1 + prng_below(prng, index);
        char letter = nodes[index];
        nodes[index] = nodes[other];
        nodes[other] = letter;
    }
    size_t voters = 1 + (size_t)prng_below(prng, VOTERS_MOST);
    size_t learners = (size_t)prng_below(prng, 3);
    char voter_text[NODES + 1] = "";
    char learner_text[NODES + 1] = "";
    memcpy(voter_text, nodes, voters);
    memcpy(learner_text, nodes + voters, learners);
    size_t place = (size_t)prng_below(prng, voters); /* Of A. */
    voter_text[0] = voter_text[place];
    voter_text[place] = 'A';
    return config_of(voter_text, learner_text);
}

/* What a leader knows of a peer, and what it believes nothing of. */
static void check_row(const struct quorum_member *member, int32_t peer, bool was_there)
{
    const struct replica *replica = &fixture.replica;
    int32_t node = member->node.value;
    bool is_self = node == 1;
    if (!is_self) {
        CHECK_INT(replica->matches[peer], was_there ? node : QUORUM_END_UNKNOWN);
    }
    CHECK_INT((int64_t)replica->confirmed_ns[peer], was_there ? 10 * node : 0);
    CHECK_INT(fixture.progress[peer].next, was_there ? node : LOG_END);
    CHECK(was_there || fixture.progress[peer].is_probing);
}

/* From any configuration to any other: whatever was known of a peer is known of it afterwards, and
 * nothing of anybody else. */
TEST(peers, keep_what_is_known_of_them_when_the_numbers_change)
{
    struct prng prng = prng_of(1, 1);
    for (int draw = 0; draw < DRAWS; draw++) {
        struct quorum_config old = config_draw(&prng);
        struct quorum_config next = config_draw(&prng);
        bool ends = prng_below(&prng, 2) == 0;
        begin(&old, ends ? &next : NULL);
        bool was_there[NODES + 1] = {false};
        for (int32_t peer = 0; peer < fixture.replica.peer_count; peer++) {
            int32_t node = replica_peer(&fixture.replica, peer)->node.value;
            was_there[node] = true;
            fixture.replica.matches[peer] = node;
            fixture.replica.confirmed_ns[peer] = (uint64_t)node * 10;
            fixture.progress[peer] = (struct replica_progress){.next = node, .is_reading = true};
        }
        fixture.replica.committed = LOG_END;

        tell(ends ? &next : &old, ends ? NULL : &next);

        for (int32_t peer = 0; peer < fixture.replica.peer_count; peer++) {
            const struct quorum_member *member = replica_peer(&fixture.replica, peer);
            check_row(member, peer, was_there[member->node.value]);
        }
    }
}

/* -- When -- */

/* The opening batch is the one at 90, and the newest configuration ends at 95. */
TEST(peers, change_one_at_a_time_and_on_what_is_committed)
{
    static const struct {
        enum replica_role role;
        int64_t opening;
        int64_t committed;
        int32_t successor;
        bool is_joint;
        bool may_change;
    } table[] = {
        {REPLICA_LEADER, 90, 95, QUORUM_NO_MEMBER, false, true},
        {REPLICA_LEADER, 90, 94, QUORUM_NO_MEMBER, false, false}, /* RPL-9 */
        {REPLICA_LEADER, 97, 96, QUORUM_NO_MEMBER, false, false}, /* Nothing own is committed. */
        {REPLICA_LEADER, -1, 96, QUORUM_NO_MEMBER, false, false}, /* It has not opened its epoch. */
        {REPLICA_LEADER, 90, 95, QUORUM_NO_MEMBER, true, false},  /* One is under way. */
        {REPLICA_LEADER, 90, 95, 1, false, false},                /* It hands over. */
        {REPLICA_FOLLOWER, 90, 95, QUORUM_NO_MEMBER, false, false},
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        struct quorum_config config = config_of("ABC", "");
        struct quorum_config next = config_of("ABD", "");
        begin(&config, table[row].is_joint ? &next : NULL);
        fixture.replica.config_end = 95;
        fixture.replica.role = table[row].role;
        fixture.replica.opening = table[row].opening;
        fixture.replica.committed = table[row].committed;
        fixture.replica.successor = table[row].successor;
        CHECK_INT(replica_may_change(&fixture.replica), table[row].may_change);
    }
}

static void tell_alone(void *ctx)
{
    tell(ctx, NULL);
}

/* Other learners need no joint configuration: nobody counts differently. */
TEST(peers, take_other_learners_at_once_and_nothing_else)
{
    struct quorum_config config = config_of("ABC", "D");
    struct quorum_config learners = config_of("ABC", "EF");
    struct quorum_config voters = config_of("ABD", "");
    begin(&config, NULL);
    fixture.replica.committed = LOG_END;

    tell(&learners, NULL);

    CHECK_TEXT(peers_text(), "ABCEF");
    EXPECT_ABORT(tell_alone, &voters); /* RPL-9 */
}

/* -- Strangers -- */

static struct replica_message vote_of(int64_t config_end, int32_t node)
{
    return (struct replica_message){
        .kind = REPLICA_VOTE,
        .epoch = epoch_of(2, (struct node_id){node}),
        .config_end = config_end,
        .as.candidacy = {.log = {epoch_of(1, (struct node_id){1}), LOG_END}}};
}

/* Who is in no configuration here is heard, but not in the name of a known node from another disk,
 * unless it knows of a newer configuration. */
TEST(peers, listen_to_strangers)
{
    struct quorum_member other_disk = member_of(2);
    other_disk.storage.value[1] = 1;
    struct quorum_member own_disk = member_of(1);
    own_disk.storage.value[1] = 1;

    const struct {
        struct quorum_member from;
        struct replica_message message;
        bool is_heard;
    } table[] = {
        {member_of(9), vote_of(0, 9), true},
        {other_disk, vote_of(0, 2), false},
        {other_disk, vote_of(LOG_END, 2), true},
        {own_disk, vote_of(0, 1), false},
        {member_of(9),
         {.kind = REPLICA_VOTE_ANSWER, .epoch = epoch_of(1, (struct node_id){1})},
         false},
        {member_of(9),
         {.kind = REPLICA_HAND_OVER, .epoch = epoch_of(2, (struct node_id){9})},
         false},
    };

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        struct quorum_config config = config_of("ABC", "");
        begin(&config, NULL);
        fixture.replica.role = REPLICA_FOLLOWER;
        struct replica_envelope envelope = {.from = table[row].from};
        replica_step(&fixture.replica, &(struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                                               .now_ns = 5 * TIMEOUT_NS,
                                                               .from = &envelope,
                                                               .message = &table[row].message});
        CHECK_INT(fixture.replica.effect_count > 0, table[row].is_heard);
        int32_t number = replica_find(&fixture.replica, &table[row].from);
        CHECK_INT(number == REPLICA_STRANGER_FOLLOWED, table[row].is_heard);
        CHECK_INT(fixture.replica.candidate == REPLICA_STRANGER_FOLLOWED, table[row].is_heard);
    }
}
