/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/replica - one replica of one log: what happened goes in, what is to be done comes
 * out.
 *
 * Part of the path:  partition -> [replica_step] -> partition: journal, truncate, send, commit
 *
 *                 event                                          effects
 *      message, time, durable up to, ... --> replica_step --> promise, truncate, append,
 *                                                              commit, send, open, stop
 *
 * The core does no I/O, reads no clock and draws from a generator of its own: the same events give
 * the same effects, in a node and in the simulator. It knows offsets and epochs of the log, never
 * bytes. Whoever drives it carries out the effects in their order, all of them, before the next
 * step, and tells it later what became durable. What waits for that, a granted vote, an
 * acknowledgement, is kept here and becomes an effect of the step that tells.
 *
 * Roles, one file each:
 *
 *               silence              E grants
 *      FOLLOWER -------> CANDIDATE ------------> LEADER
 *          ^                |  (first a pre-vote,    |
 *          |   higher epoch |   which promises       | higher epoch, out of reach,
 *          +----------------+   nothing)             | handed over
 *          +-----------------------------------------+
 *      STOPPED: told to cut what is committed; nothing is done any more, whatever comes
 *
 * Files in the order of a log's life: peers.c (who is who), voter.c (what is granted), candidate.c,
 * leader.c (opening, commit), progress.c (what each follower is sent), slow.c (a leader with a slow
 * disk), follower.c (taking, cutting, acknowledging), replica.c (the step, the lease).
 *
 * Invariants:
 *   RPL-1  Nothing that leads to a commit is taken from an epoch below the promise, and whatever is
 *          taken from a higher one raises it
 *   RPL-2  Nothing that depends on a promise, or on bytes, leaves before they are durable
 *   RPL-3  What is acknowledged is alike with that leader's log: a length, never the own end
 *   RPL-4  The log is cut only where it differs from the leader's, and never below the commit end
 *   RPL-5  A follower's commit end is at most what was found alike in that very epoch
 *   RPL-6  A leader commits by counting only what is of its own epoch
 *   RPL-7  Nothing is granted, and nobody stands, within a minimum timeout of a live leader or of a
 *          start
 *   RPL-8  A read barrier holds only by rounds that were sent after the read began
 *   RPL-9  A change of members begins and ends only on what is committed; whoever it strikes off
 *          leads until the end is
 *
 * Threads: one owner.   Memory: the caller's; none is allocated. A node has thousands of replicas
 * and most of them follow, so what is large stands beside the struct: the effects, which those of a
 * thread share, and a row for each peer, of which there are three or five.
 * Reference: docs/design/replication.md.
 */
#ifndef REPLICATION_REPLICA_H
#define REPLICATION_REPLICA_H

#include "base/limits.h"
#include "base/prng.h"
#include "quorum/set.h"
#include "quorum/votes.h"
#include "replication/epochs.h"
#include "replication/message.h"

enum replica_role {
    REPLICA_FOLLOWER,
    REPLICA_CANDIDATE,
    REPLICA_LEADER,
    REPLICA_STOPPED,
};

/* Peers of a replica: the voters of all configurations that decide, and the learners of the newest.
 */
#define REPLICA_PEERS_MAX (QUORUM_MEMBERS_MAX + QUORUM_LEARNERS_MAX)

/* Numbers of two peers that no configuration here knows, see peers.c. */
#define REPLICA_STRANGER_FOLLOWED REPLICA_PEERS_MAX
#define REPLICA_STRANGER_ASKING   (REPLICA_PEERS_MAX + 1)

/* At most a promise, a cut, an append, a commit, a configuration, two changes of the role, and two
 * messages for every peer. */
#define REPLICA_EFFECTS_MAX (8 + 2 * REPLICA_PEERS_MAX)

/* What is known when a replica starts: what the journal and the segments gave back. */
struct replica_start {
    struct replica_envelope self;
    int32_t promise;
    struct epoch_table epochs; /* Rows borrowed for the replica's life; its end is the log's. */
    int64_t committed;         /* What is known to be, at least the log's start. */
    const struct quorum_config *config;
    const struct quorum_config *config_next; /* During a change, else NULL. */
    int64_t config_end;  /* Where their batch in the log ends; 0: they come from outside. */
    uint64_t timeout_ns; /* The minimum timeout of an election. */
    uint64_t seed;
    uint64_t now_ns;

    /* Memory, borrowed for the replica's life. */
    struct replica_effect *effects;    /* REPLICA_EFFECTS_MAX. Replicas of one thread may share. */
    struct replica_progress *progress; /* One for each peer that it may ever have. */
    int32_t progress_max;              /* Up to REPLICA_PEERS_MAX. */
};

/* -- Events -- */

enum replica_event_kind {
    REPLICA_EVENT_TIME,      /* replica_deadline_ns() has come. */
    REPLICA_EVENT_MESSAGE,   /* A message came, with its batches if it is an APPEND. */
    REPLICA_EVENT_APPENDED,  /* Leader: the log goes on to `offset_end` with own batches. */
    REPLICA_EVENT_SENT,      /* Leader: batches up to `offset_end` went to `member`. */
    REPLICA_EVENT_DURABLE,   /* The log up to `offset_end`, and the promise `epoch`, are. */
    REPLICA_EVENT_LIVE,      /* The leader of `epoch` was heard; `committed` is its commit end. */
    REPLICA_EVENT_CONFIRMED, /* Voter `member` has confirmed `epoch` in the round sent at `sent_ns`.
                              */
    REPLICA_EVENT_CONFIG, /* The newest configuration in the log is `config`, in a batch that ends
                             at `offset_end`: the step before has put it there, or has cut the
                             one above it. */
    REPLICA_EVENT_HAND_OVER, /* An operator, or the balance, wants `member` to lead. */
};

struct replica_event {
    enum replica_event_kind kind;
    uint64_t now_ns;
    int32_t member; /* A peer, see replica_find. */
    int32_t epoch;
    int64_t offset_end;
    int64_t committed;
    uint64_t sent_ns;
    uint64_t bytes;      /* SENT: of the batches. */
    uint64_t waiting_ns; /* TIME: how long the own journal's oldest flush that is
                            under way has been so; 0: none is. */
    bool is_full;        /* TIME: the own disk has been full for longer than a timeout. */
    const struct replica_envelope *from; /* MESSAGE. Borrowed for the step. */
    const struct replica_message *message;
    const struct quorum_config *config;      /* CONFIG, checked. Borrowed for the step. */
    const struct quorum_config *config_next; /* Of a joint one what it leads to, else NULL. */
};

/* -- Effects -- */

enum replica_effect_kind {
    REPLICA_EFFECT_PROMISE,  /* Journal the promise `epoch`. */
    REPLICA_EFFECT_TRUNCATE, /* Cut the log at `offset`, in the journal before what follows. */
    REPLICA_EFFECT_APPEND,   /* Append the message's batches from `offset` on. */
    REPLICA_EFFECT_OPEN,     /* Append the opening batch of `epoch`, then tell APPENDED. */
    REPLICA_EFFECT_SEND,     /* Send `message` to `member`. */
    REPLICA_EFFECT_BATCHES,  /* Send `member` an APPEND as in `message`, with batches up to its end
                                at most; then tell SENT. */
    REPLICA_EFFECT_COMMIT,   /* The commit end is `offset`. */
    REPLICA_EFFECT_CONFIG, /* The joint configuration is settled: append what it leads to, then tell
                              APPENDED and CONFIG. */
    REPLICA_EFFECT_ROLE,   /* The role has changed. */
    REPLICA_EFFECT_STOP,   /* A leader of `epoch` wants the log cut at `offset`, below what is
                              committed: an operator has to look. */
};

struct replica_effect {
    enum replica_effect_kind kind;
    int32_t member; /* A peer, see replica_peer. */
    int32_t epoch;
    int64_t offset;
    struct replica_message message;
};

/* -- The replica -- */

/* What was sent to a follower and not yet acknowledged. */
struct replica_flight {
    int64_t offset_end;
    uint64_t bytes;
};

/* What the leader knows of a follower. */
struct replica_progress {
    int64_t next;       /* What it is sent next begins here. */
    bool is_probing;    /* Whether it holds the batch before `next` is being asked. */
    bool has_asked;     /* The probe is out. */
    bool is_reading;    /* Batches for it are being read: SENT will come. */
    uint64_t moved_ns;  /* When it was last asked, or answered. */
    uint64_t bytes;     /* Of its flights. */
    int64_t timed_end;  /* Batches up to here are timed; 0: none, see slow.c. */
    uint64_t timed_ns;  /* Since when. */
    uint64_t answer_ns; /* How long such batches take to be durable there, */
    bool has_answered;  /* if it is known. */
    uint32_t flight_first;
    uint32_t flight_count;
    struct replica_flight flights[REPLICA_FLIGHTS_MAX];
};

struct replica {
    struct replica_envelope self;
    struct quorum_set set;
    uint64_t configured; /* How often the set has changed. */
    int64_t config_end;  /* Where the batch that says it ends. */
    int32_t number;      /* Of this replica in the set; QUORUM_NO_MEMBER: no voter. */
    bool is_removed;     /* A voter of its configuration says that one without it is committed. */
    int32_t peer;        /* Likewise among the peers; QUORUM_NO_MEMBER: in no configuration. */
    int32_t peer_count;  /* Voters by their number in the set, and behind them learners. */
    struct quorum_member learners[QUORUM_LEARNERS_MAX];
    struct quorum_member strangers[2];
    enum replica_role role;
    struct prng prng;

    struct epoch_table epochs; /* And with it the log's end. */
    int64_t durable;           /* The log is, up to here. */
    int64_t committed;
    int32_t promise;
    int32_t promise_durable;

    uint64_t timeout_ns;
    uint64_t live_ns;    /* When a live leader was last heard, or the replica started. */
    uint64_t patient_ns; /* From when its patience counts: that, or the last step of an election. */
    uint64_t jitter_ns;  /* What is added to it, so that not all stand at once. */
    uint64_t deadline_ns; /* When the step wants to be called with TIME. */
    uint32_t failures;    /* Elections that came to nothing, since one did not. */
    int32_t epoch_seen;   /* The highest promise that anybody told. */

    /* Follower, in the epoch of the promise. */
    int32_t leader;      /* As peer; QUORUM_NO_MEMBER: not heard yet. */
    int64_t alike;       /* Found alike with that leader's log; -1: nothing yet. */
    int64_t answered;    /* What it was told is durable. */
    bool owes_answer;    /* At once, or as soon as the promise is durable. */
    bool owes_fork;      /* Likewise: that the place was not there. */
    bool owes_unknown;   /* Likewise: that nothing was compared yet. */
    int64_t place;       /* Of the last append. */
    int32_t place_epoch; /* The batch before it, as the leader has it. */

    /* Voter: a grant that waits for its promise. */
    bool owes_ballot;
    int32_t candidate; /* As peer. */

    /* Candidate. */
    bool is_prevote;
    int32_t epoch_wanted; /* That of the pre-vote. */
    bool has_asked;       /* For votes: its own promise is durable. */
    int32_t handed_over;  /* The epoch whose leader asked, else EPOCH_NONE. */
    enum quorum_answer answers[QUORUM_MEMBERS_MAX];

    /* Leader. */
    int64_t opening;     /* Offset of its opening batch; -1: not yet appended. */
    uint64_t leading_ns; /* Since when. */
    int32_t successor;   /* As voter, while handing over; else QUORUM_NO_MEMBER. */
    bool has_handed_over;
    bool owes_final;                          /* The final configuration was asked for. */
    int64_t slow_mark;                        /* See slow.c: what has to be durable here, */
    uint64_t slow_ns;                         /* and was committed then. */
    int64_t matches[REPLICA_PEERS_MAX];       /* Durable and alike, by peer. */
    uint64_t confirmed_ns[REPLICA_PEERS_MAX]; /* Likewise, see quorum/lease.h. */
    struct replica_progress *progress;        /* Borrowed. By peer. */
    int32_t progress_max;

    uint32_t effect_count;
    struct replica_effect *effects; /* Borrowed: of the last step, of whoever shares them. */
};

/** Set up @replica as a follower that has heard nobody. Borrows the rows of start->epochs, effects
 * and progress for the replica's life. */
void replica_init(struct replica *replica, const struct replica_start *start);

/** Take in @event: what is to be done stands in replica->effects afterwards, until the next step of
 * any replica that shares them. */
void replica_step(struct replica *replica, const struct replica_event *event);

/**
 * Note that of the batches which the last step appended the log took only those below @offset_end.
 *
 * It is as if the letter had ended there, and its answer had been lost: the leader finds out, and
 * sends the rest again.
 */
void replica_undone(struct replica *replica, int64_t offset_end);

/** Return when the step wants to be called with TIME. */
static inline uint64_t replica_deadline_ns(const struct replica *replica)
{
    return replica->deadline_ns;
}

/** Return the number of @member among those whom @replica knows, QUORUM_NO_MEMBER if it is none of
 * them. Numbers are good until the next CONFIG. Borrows. */
int32_t replica_find(const struct replica *replica, const struct quorum_member *member);

/** Return who peer @number is: of an effect, say. The answer is good until the next step. */
const struct quorum_member *replica_peer(const struct replica *replica, int32_t number);

/**
 * Return whether a joint configuration may be appended now, or a final one at once that differs in
 * its learners only: it leads, the final configuration
 * before is committed, and so is a batch of its own epoch. So there is one change at a time, and
 * whoever asks for it knows what it follows on.
 */
bool replica_may_change(const struct replica *replica);

/** Return whether proposals are taken: it leads, and is not handing over. */
bool replica_takes_proposals(const struct replica *replica);

/** Return whether a linearizable read may be answered from home now, before and after the value is
 * read: the opening batch is committed, and no other can have been elected yet. */
bool replica_lease_holds(const struct replica *replica, uint64_t now_ns);

/**
 * Return whether a linearizable read that began at @since_ns may be answered from home, up to the
 * commit end of now or later: the opening batch is committed, and of a round sent after @since_ns
 * as many have confirmed this epoch as a lease needs, itself included.
 *
 * Those voters had promised nobody a higher epoch when they confirmed, after the read began. They
 * leave fewer than E, so nobody had been elected above this leader by then, and all that had been
 * acknowledged is in its log: by itself, or by those before it, below its opening batch. No clock
 * but this leader's own is needed, which may stand still but not go back, and handing over changes
 * nothing. A round with the very time of @since_ns may have been sent before, and does not count.
 */
bool replica_barrier_holds(const struct replica *replica, uint64_t since_ns);

#endif /* REPLICATION_REPLICA_H */
