/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_parts - the structs of a world, and what its files say to each other.
 */
#ifndef CLUSTER_WORLD_PARTS_H
#define CLUSTER_WORLD_PARTS_H

#include "base/assert.h"
#include "base/prng.h"
#include "partition/member.h"
#include "partition/shard.h"
#include "record/batch.h"
#include "replication/replica.h"
#include "sim/cluster/world.h"
#include "sim/sim_io.h"

#define NEVER        UINT64_MAX
#define NS_PER_MS    UINT64_C(1000000)
#define NS_PER_S     UINT64_C(1000000000)
#define MILLION      UINT64_C(1000000)
#define THOUSAND     1000
#define NOBODY       (-1)
#define WORLD_FOLDER "/data"

enum {
    PROPOSALS_MAX = 64,  /* In flight at one replica. */
    EPOCH_ROWS_MAX = 64, /* Kept of a node that is down; older ones are of committed batches. */
    LETTERS_MAX = 1024,
    ACTIVE_MAX = 32,
    READ_BYTES = 64 << 10,
    READS_MAX = 16,
};

/* -- The judge's memory -- */

/* One batch, as it was seen first. */
struct world_batch {
    int64_t offset;
    int64_t offset_end;
    int32_t epoch;
    uint32_t crc;
    int32_t committed_epoch; /* Of whoever first called it committed. */
    bool is_acknowledged;
};

struct world_opening {
    int32_t epoch;
    int32_t node;
    uint64_t incarnation;
};

/* What was seen of one log. */
struct world_log {
    char name[16];

    struct world_batch *committed; /* In their order, without a hole. */
    size_t committed_count;
    size_t committed_room;
    uint32_t *places; /* By offset: which batch of these. */
    size_t places_room;
    int64_t committed_end;
    int64_t acknowledged_end;
    uint64_t acknowledged;

    struct world_batch
        *written; /* A hash table by epoch and offset: whatever was written anywhere. */
    size_t written_count;
    size_t written_room; /* A power of two. */

    struct world_opening *openings;
    size_t opening_count;
    size_t opening_room;

    int32_t leader_last; /* Who opened the last epoch. */
    int32_t guess;       /* Where clients go. */
    uint64_t value_last;
    uint64_t phase_acknowledged; /* In this phase. */
};

/* -- Reads -- */

enum world_read_kind { READ_NONE, READ_BARRIER, READ_QUORUM };

/* One under way. */
struct world_read {
    enum world_read_kind kind;
    int32_t node;
    uint32_t log;
    uint64_t begin_ns; /* World time. */
    uint64_t since_ns; /* The node's. */
    int64_t wanted_end;
    struct member_read inner;
};

/* -- Nodes -- */

/* A batch that a client proposed. */
struct world_proposal {
    struct member_proposal proposal;
    uint32_t crc;
};

/* What a node has of one log. */
struct world_replica {
    struct world *world;
    int32_t node;
    uint32_t log;
    struct partition *partition; /* NULL while the node is down. */
    struct member *member;
    struct cache_place place;

    /* At the last look. */
    enum replica_role role;
    int32_t promise;
    struct quorum_position position;
    int64_t committed; /* And held against the history. */

    uint32_t proposal_first; /* A ring. */
    uint32_t proposal_count;
    struct world_proposal proposals[PROPOSALS_MAX];

    int32_t promise_told; /* The highest that left the node, in any life. */

    /* Of its last life, while the node is down. */
    int64_t durable_end;
    int32_t promise_durable;
    uint32_t row_count;
    struct epoch_row rows[EPOCH_ROWS_MAX];
};

enum world_node_state {
    NODE_DOWN,
    NODE_OPENING, /* It recovers until its own clock, which ran ahead, is reached. */
    NODE_UP,
};

struct world_node {
    int32_t number; /* From 0; its node id is one more. */
    enum world_node_state state;
    struct quorum_member self;
    uint64_t incarnation;
    struct sim_disk *disk;
    struct sim_disk *disk_before; /* For roll_back. */

    /* While it is not down. */
    struct sim *sim;
    struct io_loop *loop;
    struct folder folder;
    struct shard *shard;
    struct shard_report report;

    /* Its monotonic clock: at world time `world_ns` it showed `local_ns`, and it goes on faster by
     * drift_ppm. */
    uint64_t world_ns;
    uint64_t local_ns;
    int32_t drift_ppm;
    int64_t wall_ms; /* How far the wall clock is off. */

    uint64_t beat_ns;     /* By its clock: when the next heartbeats go. */
    uint64_t start_ns;    /* When it starts again, while down. */
    uint64_t paused_ns;   /* It stands still until then. */
    uint64_t ready_ns;    /* When it has recovered. */
    uint32_t crash_after; /* So many events from now; 0: not. */
    bool crash_at_promise;
    bool crash_at_lead;
    bool may_fail;     /* A failing sync was injected. */
    bool is_forgetful; /* Its disk was damaged or changed. */
    uint32_t slow_disk;
    uint32_t full_disk;
    uint32_t reads;    /* Under way here. */
    uint32_t impaired; /* Faults that hold it back. */

    struct world_replica replicas[WORLD_LOGS_MAX];
};

/* -- Network -- */

enum world_letter_kind { LETTER_MESSAGE, LETTER_LIVE, LETTER_CONFIRM };

struct world_letter {
    enum world_letter_kind kind;
    int32_t from;
    int32_t to;
    uint32_t log;
    struct member_letter inner; /* MESSAGE; its batches lie in `data`. */
    int32_t epoch;              /* LIVE, CONFIRM; likewise: */
    int64_t committed;
    uint64_t sent_ns;

    uint8_t *data;
    size_t room;
    bool is_gone;    /* Its sender fell, and it was still there. */
    bool is_spoiled; /* A bit of its batches was flipped on the way. */
    uint32_t users;  /* Arrivals that are still to come. */
    uint32_t next_free;
};

struct world_arrival {
    uint64_t time_ns;
    uint64_t order;
    uint32_t letter;
};

struct world_network {
    struct prng prng;
    struct world_letter *letters;
    uint32_t free_first;
    uint32_t letter_count;
    struct world_arrival *arrivals; /* A heap. */
    uint32_t arrival_count;
    uint64_t order;
    uint64_t last_ns[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* The latest arrival, by link. */
    uint32_t cuts[WORLD_NODES_MAX][WORLD_NODES_MAX];    /* How many faults cut a link. */
    uint32_t slow[WORLD_NODES_MAX];
    uint32_t storms;
};

/* -- Faults -- */

struct world_active {
    enum world_fault fault;
    uint64_t end_ns;
    int32_t node;
    int32_t other;
    uint32_t group; /* Of a split: a bit per node. */
};

enum world_phase { PHASE_TROUBLE, PHASE_CORE, PHASE_ALL, PHASE_OVER };

struct world {
    const struct world_options *options;
    struct world_result *result;
    struct quorum_config config;
    uint64_t now_ns;
    enum world_phase phase;
    uint64_t phase_ns; /* When it began. */
    bool is_over;
    bool is_ending; /* All faults end. */
    uint32_t core;  /* A bit per node. */

    struct prng node_prng;
    struct prng client_prng;
    struct prng fault_prng;
    struct prng judge_prng;

    struct world_node nodes[WORLD_NODES_MAX];
    struct world_log logs[WORLD_LOGS_MAX];
    struct world_network network;

    /* When each next does something: the nodes, and behind them these. */
    uint64_t next_ns[WORLD_NODES_MAX + 3];

    uint32_t active_count;
    struct world_active actives[ACTIVE_MAX];
    uint64_t fault_total;
    uint64_t fault_next_ns;
    uint64_t lull_ns; /* Clients are silent until then. */

    struct world_node image; /* Where crash images are opened. */
    uint8_t *buffer;         /* READ_BYTES. */
    struct world_read reads[READS_MAX];
};

/* Behind the nodes in next_ns. */
enum { ACTOR_NETWORK = WORLD_NODES_MAX, ACTOR_CLIENTS, ACTOR_FAULTS, ACTORS };

/* -- world.c -- */

/** End the run: something that was promised was not kept. */
void world_violate(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Mix @value into the hash of the run. */
void world_mix(struct world *world, uint64_t value);

/** Count one of @count. */
static inline void world_count(struct world *world, enum world_count count)
{
    world->result->counts[count]++;
}

/** Return a time around @mean_ns: from a tenth to twice of it. */
uint64_t world_around(struct prng *prng, uint64_t mean_ns);

/** Return the node that leads @log and whose member says so, any of several, or NOBODY. */
int32_t world_leader(struct world *world, uint32_t log);

/* -- world_disk.c -- */

/** Return a disk with the folder, the journal and the @logs logs of a node that was never up. The
 * same for all nodes and runs. Gives: sim_disk_destroy. */
struct sim_disk *world_disk_create(const struct world_options *options);

/** Open folder, shard and logs of a node on node->sim. False: @reterr says why. */
bool world_disk_open(const struct world_options *options,
                     struct world_node *node,
                     struct pyr_error *reterr);

/** Close what world_disk_open opened, also where it failed half way, writing nothing. */
void world_disk_leave(struct world_node *node);

/* -- world_node.c -- */

/** Set the clock of @node, which is not down, to the world's. */
void node_clock_set(struct world *world, struct world_node *node);

/** Set up @node with a disk, down, to start at once. */
void node_init(struct world *world, int32_t number, struct sim_disk *disk);

/** Let @node fall, and come back at @start_ns. */
void node_crash(struct world *world, struct world_node *node, uint64_t start_ns);

/** Let the next thing happen at @node. */
void node_happen(struct world *world, struct world_node *node);

/** Do what follows after something came to @node, which is up: turn it, look at it, and plan. */
void node_turn(struct world *world, struct world_node *node);

/** Note when @node next has something to do. */
void node_plan(struct world *world, struct world_node *node);

/** Free what @node holds, crashing it if it is up. */
void node_deinit(struct world *world, struct world_node *node);

/* -- world_network.c -- */

void network_init(struct world *world);
void network_deinit(struct world *world);

/** Send a copy of @letter on its link. */
void network_send(struct world *world, const struct world_letter *letter);

/** Let the next letter arrive. */
void network_happen(struct world *world);

/** Lose what @node has sent and nobody has got yet: it falls. */
void network_forget(struct world *world, int32_t node);

/** End all faults of links. */
void network_heal(struct world *world);

/* -- world_clients.c -- */

/** Propose a batch to some log, perhaps more, perhaps read. */
void clients_happen(struct world *world);

/** Look at what became of the proposals at @replica. */
void clients_look(struct world *world, struct world_replica *replica);

/** Forget the proposals at @replica, whose node falls: nobody knows what becomes of them. */
void clients_forget(struct world *world, struct world_replica *replica);

/* -- world_faults.c -- */

/** Let the next fault begin, or end. */
void faults_happen(struct world *world);

/** End all faults. */
void faults_end(struct world *world);

/** Return whether one more node may be held back. */
bool faults_may_impair(const struct world *world, int32_t node);

/* -- world_read.c -- */

/** What is told of each batch: false ends the walk. */
typedef bool (*read_visit_fn)(void *ctx, const struct batch_header *header, struct bytes batch);

/**
 * Hand @visit the batches of @replica from @offset on that end at or below @offset_end, in the
 * cache and in segments. What is neither committed nor in the cache cannot be read and is left out.
 * False: the visit, or an error, ended it; an error is a violation.
 */
bool read_walk(struct world *world,
               struct world_replica *replica,
               int64_t offset,
               int64_t offset_end,
               read_visit_fn visit,
               void *ctx);

/* -- world_reads.c -- */

/** Begin a read of @log at node @number, which is up: behind a barrier or of a quorum. */
void reads_begin_at(struct world *world, int32_t number, uint32_t log);

/** Ask @node, which is up, for a read this very moment, as one that lay waiting for it would. */
void reads_at_once(struct world *world, struct world_node *node);

/** Look how far the reads at @node are. */
void reads_look(struct world *world, struct world_node *node);

/** End the reads at @node, which falls. */
void reads_forget(struct world *world, struct world_node *node);

/* -- world_judge.c, world_promises.c -- */

/** Look at @replica after its node was turned. */
void judge_look(struct world *world, struct world_replica *replica);

/** Note that @replica has another role, or promise. */
void judge_role(struct world *world, struct world_replica *replica);

/** Note that @replica has started: hold what it brought back against what it told. */
void judge_start(struct world *world, struct world_replica *replica);

/** Keep of @replica, whose node falls, what must still be on its disk. */
void judge_crash(struct world_replica *replica);

/** Note what is said in @letter before it leaves. */
void judge_send(struct world *world,
                struct world_replica *replica,
                const struct world_letter *letter);

/** Note that the batch with @header was written. */
void judge_written(struct world *world, uint32_t index, const struct batch_header *header);

/** Note that a client was told that @proposal, made at @replica, is committed. */
void judge_acknowledge(struct world *world,
                       struct world_replica *replica,
                       const struct world_proposal *proposal);

/** Look at @replica as one that reads under a lease. */
void judge_lease_read(struct world *world, struct world_replica *replica);

/** Read some committed range of @replica. */
void judge_read(struct world *world, struct world_replica *replica);

/** Hold all of @replica's log against the history; @is_final: and its checksums, and the history
 * against it. */
void judge_walk(struct world *world, struct world_replica *replica, bool is_final);

/** Return on how many nodes the batch of @epoch that ends at @offset_end is durable. */
int32_t judge_copies(struct world *world, uint32_t index, int32_t epoch, int64_t offset_end);

void judge_init(struct world *world);
void judge_deinit(struct world *world);

/* -- world_image.c -- */

/** Look for @batch of @log in crash images of the nodes: W of them have it. */
void image_check(struct world *world, uint32_t log, const struct world_batch *batch);

/* -- world_history.c -- */

/** Print a line, if anybody reads: what happened at @node about @log, and how all replicas of the
 * log stand. NOBODY and a log past the last: about all. */
void history_line(struct world *world, int32_t node, uint32_t log, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Print a line about @letter, if anybody wants to read of letters. */
void history_letter(struct world *world, const struct world_letter *letter, const char *what);

/* Whether history_line would print: so that nothing is computed for nobody. */
#define HISTORY(world, ...) \
    ((world)->options->history ? history_line((world), __VA_ARGS__) : (void)0)

#endif /* CLUSTER_WORLD_PARTS_H */
