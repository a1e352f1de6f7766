/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test/model/election.pml - election and commit of one partition, for spin to search in full.
 *
 * N replicas, W durable copies before a commit, E grants before a leader. Each step below is one
 * that a replica takes by itself or on one message; spin tries every order of all of them.
 *
 *   stand     take a free epoch above the promise, make that promise durable, then ask for grants
 *   grant     promise an epoch to a candidate whose log is not behind, durably, then answer
 *   lead      with E grants: open the epoch with an entry
 *   propose   the leader appends one more entry
 *   append    a replica takes one entry of a leader's log, or cuts what conflicts with it
 *   flush     all that was journaled becomes durable; what that allows is acknowledged
 *   commit    the leader finds its highest own entry on W replicas
 *   crash     memory and whatever was not flushed are gone
 *
 * Messages: what the leader of an epoch ever sent is kept for ever as its log and commit point
 * (epoch_log, epoch_commit), and any part of it may arrive at any time, often, or never: so it is
 * lost, late, repeated and reordered. Grants and acknowledgements only allow something to one
 * candidate or leader, so they are noted there when sent; being late or lost is its not acting yet.
 *
 * A log is a number with one octal digit an entry, lowest digit first. The digit is the entry's
 * epoch, never 0: epoch and offset identify an entry's bytes. So logs are compared as numbers.
 *
 * Invariants:
 *   MODEL-1  an epoch has at most one leader
 *   MODEL-2  each leader has all that a leader of a lower epoch committed, now or later
 *   MODEL-3  no two different entries are committed at one offset
 *   MODEL-4  nothing is cut below a commit point that the replica knows
 *   MODEL-5  what a replica takes for committed is what was committed
 *   MODEL-6  logs that have an entry in common have all before it in common
 *
 * Defines: N, W, EPOCHS, ENTRIES, CRASHES; SYMMETRY; and the mistakes of test/model/README.md.
 * Reference: docs/design/model.md.
 */
#ifndef N
#define N 3
#endif
#ifndef W
#define W 2
#endif
#ifndef EPOCHS
#define EPOCHS 4
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

#ifdef MISTAKE_QUORUM
#define E (N - W) /* The mistake: an election need not meet each commit. */
#else
#define E (N - W + 1)
#endif

#define NOBODY 7
#define FORMER 6 /* Whoever took it has it in its durable promise. */
#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2

/* Entry number at of a log, 0 where it has none; its first count entries; its end. */
#define ENTRY(log, at) (((log) >> (3 * (at))) & 7)
#define FIRST(log, count) ((log) & ((1 << (3 * (count))) - 1))
#define END(log) (((log) > 0) + ((log) > 7) + ((log) > 63))
/* What a vote compares: the last entry's epoch, then the end. */
#define RANK(log) (4 * ENTRY(log, END(log) - ((log) > 0)) + END(log))
#define MIN(a, b) ((a) < (b) -> (a) : (b))

typedef replica {
    /* On the disk. */
    byte durable_promise;
    short durable_log;
    /* In memory. */
    byte promise;
    short log;
    byte durable_end; /* So many entries of log are durable. */
    byte role;
    byte commit;   /* So many are known to be committed. */
    byte votes;    /* A candidate's grants, a bit a replica. */
    byte acked[N]; /* So much of a leader's log each replica has acknowledged, itself included. */
};
replica r[N];

/* Per epoch: who took it, and all that its leader has sent. The log is not empty once it leads. */
byte epoch_owner[EPOCHS + 1] = NOBODY;
short epoch_log[EPOCHS + 1];
byte epoch_commit[EPOCHS + 1];
byte crash_count;

/* What the properties need: all that was ever committed, and the lowest epoch that committed it. */
short committed;
short committed_by;

/* Scratch, no part of a state; a search by breadth wants it in there, so it is 0 between steps. */
#ifdef BREADTH
#define SCRATCH
#else
#define SCRATCH hidden
#endif
SCRATCH byte k, j, low, count, length;
#ifdef SYMMETRY
SCRATCH short swap;
SCRATCH int key[N];
#endif

inline forget_role(i) {
    r[i].role = FOLLOWER;
    r[i].votes = 0;
    for (k : 0 .. N - 1) {
        r[i].acked[k] = 0
    }
}

/* The journal is one and in order: with a promise all before it is durable. */
inline flush(i) {
    r[i].durable_promise = r[i].promise;
    r[i].durable_log = r[i].log;
    r[i].durable_end = END(r[i].log)
}

inline raise(i, e) {
    if
    :: r[i].promise < e ->
        forget_role(i);
        r[i].promise = e
    :: else
    fi
}

/* MODEL-2, as seen from the leader of epoch e with this log. */
inline check_complete(e, log_) {
    for (k : 0 .. ENTRIES - 1) {
        assert(ENTRY(committed, k) == 0 || ENTRY(committed_by, k) >= e ||
               ENTRY(committed, k) == ENTRY(log_, k))
    }
}

inline note_commit(i, e, end) {
    for (k : 0 .. end - 1) {
        assert(ENTRY(committed, k) == 0 || ENTRY(committed, k) == ENTRY(r[i].log, k)); /* MODEL-3 */
        if
        :: ENTRY(committed, k) == 0 ->
            committed = committed | (ENTRY(r[i].log, k) << (3 * k));
            committed_by = committed_by | (e << (3 * k))
        :: ENTRY(committed, k) != 0 && ENTRY(committed_by, k) > e ->
            committed_by = committed_by & (~(7 << (3 * k)));
            committed_by = committed_by | (e << (3 * k))
        :: else
        fi
    }
#ifdef REACH_END
    assert(crash_count < CRASHES || e < EPOCHS || END(committed) < ENTRIES ||
           ENTRY(committed, 0) == ENTRY(committed, ENTRIES - 1));
#endif
    for (j : e + 1 .. EPOCHS) {
        if
        :: epoch_log[j] != 0 -> check_complete(j, epoch_log[j]) /* MODEL-2, elected before. */
        :: else
        fi
    }
}

#ifdef MISTAKE_OLD_EPOCH
#define IS_OWN(i, end) true /* The mistake: an older epoch's entry may still be cut. */
#else
#define IS_OWN(i, end) ((end) > 0 && ENTRY(r[i].log, (end) - 1) == r[i].promise)
#endif

/*
 * Send each acknowledgement as soon as it is true, and each commit point: what a replica has of its
 * leader's log is durable there. An append that shows it may have come just now.
 */
inline answer(i) {
    count = 0;
    do
    :: count < ENTRIES && ENTRY(r[i].log, count) != 0 &&
       ENTRY(r[i].log, count) == ENTRY(epoch_log[r[i].promise], count) -> count++
    :: else -> break
    od;
#ifdef MISTAKE_NOTICE_BEFORE_MATCH
    length = MIN(epoch_commit[r[i].promise], END(r[i].log));
#else
    length = MIN(epoch_commit[r[i].promise], count);
#endif
    if
    :: length > r[i].commit ->
        r[i].commit = length;
        assert(FIRST(r[i].log, length) == FIRST(committed, length)) /* MODEL-5 */
    :: else
    fi;
#ifdef MISTAKE_ACK_OWN_LENGTH
    count = END(r[i].log);
#endif
#ifndef MISTAKE_ACK_BEFORE_FLUSH
    count = (r[i].durable_promise == r[i].promise -> MIN(count, r[i].durable_end) : 0);
#endif
    for (k : 0 .. N - 1) {
        if
        :: r[k].role == LEADER && r[k].promise == r[i].promise && r[k].acked[i] < count ->
            r[k].acked[i] = count
        :: else
        fi
    }
    count = 0;
    length = 0
}

/*
 * Make states equal that differ in nothing that can still matter: what no replica can take any
 * more, nor after a crash; and with no crash left, when a flush ends.
 */
inline forget_dead() {
    low = EPOCHS + 1;
    for (k : 0 .. N - 1) {
        if
        :: crash_count == CRASHES -> flush(k)
        :: else
        fi;
        if
        :: r[k].durable_promise < low -> low = r[k].durable_promise
        :: else
        fi
    }
    for (j : 0 .. N - 1) {
        answer(j)
    }
    for (k : 1 .. EPOCHS) {
        if
        :: k < low ->
            epoch_owner[k] = NOBODY;
            epoch_log[k] = 0;
            epoch_commit[k] = 0
        :: else
        fi
    }
#ifndef MISTAKE_WIPED
    for (k : 1 .. EPOCHS) {
        if
        :: epoch_owner[k] < N && r[epoch_owner[k] % N].durable_promise >= k ->
            epoch_owner[k] = FORMER
        :: else
        fi
    }
    for (k : 0 .. ENTRIES - 1) {
        if
        :: ENTRY(committed_by, k) != 0 && ENTRY(committed_by, k) <= low ->
            committed_by = (committed_by & (~(7 << (3 * k)))) | (1 << (3 * k))
        :: else
        fi
    }
#endif
    for (k : 0 .. N - 1) {
        for (j : 0 .. N - 1) {
            if
            :: r[k].acked[j] <= r[k].commit || !IS_OWN(k, r[k].acked[j]) -> r[k].acked[j] = 0
            :: else
            fi
        }
    }
    k = 0;
    j = 0;
    low = 0
}

#ifdef SYMMETRY
#define EXCHANGE(a, b) swap = a; a = b; b = swap
#define KEY(i)                                                                                     \
    (((((((r[i].log << 9 | r[i].durable_log) << 3 | r[i].promise) << 3 | r[i].durable_promise)     \
           << 2 | r[i].role) << 2 | r[i].commit) << 2 | r[i].durable_end))

/* Exchange the replicas a and b in all that names them. */
inline exchange(a, b) {
    EXCHANGE(r[a].durable_promise, r[b].durable_promise);
    EXCHANGE(r[a].durable_log, r[b].durable_log);
    EXCHANGE(r[a].promise, r[b].promise);
    EXCHANGE(r[a].log, r[b].log);
    EXCHANGE(r[a].durable_end, r[b].durable_end);
    EXCHANGE(r[a].role, r[b].role);
    EXCHANGE(r[a].commit, r[b].commit);
    EXCHANGE(r[a].votes, r[b].votes);
    for (k : 0 .. N - 1) {
        EXCHANGE(r[a].acked[k], r[b].acked[k])
    }
    for (k : 0 .. N - 1) {
        EXCHANGE(r[k].acked[a], r[k].acked[b]);
        if
        :: ((r[k].votes >> (a)) & 1) != ((r[k].votes >> (b)) & 1) ->
            r[k].votes = r[k].votes ^ ((1 << (a)) | (1 << (b)))
        :: else
        fi
    }
    for (k : 1 .. EPOCHS) {
        if
        :: epoch_owner[k] == a -> epoch_owner[k] = b
        :: epoch_owner[k] == b -> epoch_owner[k] = a
        :: else
        fi
    }
    swap = 0
}

/* Replicas differ by number only, so states that differ by numbering are one: sort them. */
inline settle() {
    forget_dead();
    for (j : 0 .. N - 1) {
        key[j] = KEY(j)
    }
    low = 1;
    do
    :: low == 0 -> break
    :: else ->
        low = 0;
        for (j : 0 .. N - 2) {
            if
            :: key[j] > key[j + 1] ->
                swap = 0;
                count = j + 1;
                exchange(j, count);
                length = 0;
                key[j] = key[j] ^ key[j + 1];
                key[j + 1] = key[j] ^ key[j + 1];
                key[j] = key[j] ^ key[j + 1];
                low = 1
            :: else
            fi
        }
    od;
    count = 0
}
#else
inline settle() {
    forget_dead()
}
#endif

#define MAY_STAND(i, e)                                                                            \
    (r[i].promise < e && (epoch_owner[e] == NOBODY || epoch_owner[e] == i))

#define STAND(e)                                                                                   \
    :: d_step {                                                                                    \
        MAY_STAND(_pid, e) ->                                                                      \
        printf("replica %d stands in epoch %d\n", _pid, e);                                        \
        raise(_pid, e);                                                                            \
        flush(_pid);                                                                               \
        epoch_owner[e] = _pid;                                                                     \
        r[_pid].role = CANDIDATE;                                                                  \
        r[_pid].votes = 1 << _pid;                                                                 \
        skip                                                                                       \
    }

#ifdef MISTAKE_ANSWER_BEFORE_PROMISE
#define flush_grant(i) skip /* The mistake: the next flush is soon enough. */
#else
#define flush_grant(i) flush(i)
#endif

#ifdef MISTAKE_VOTE_WITHOUT_LOG
#define IS_BEHIND(c, i) false
#else
#define IS_BEHIND(c, i) (RANK(r[c].log) < RANK(r[i].log))
#endif

#define GRANT(c)                                                                                   \
    :: d_step {                                                                                    \
        c != _pid && r[c].role == CANDIDATE && r[c].promise > r[_pid].promise &&                   \
            !IS_BEHIND(c, _pid) ->                                                                 \
        printf("replica %d grants epoch %d to %d\n", _pid, r[c].promise, c);                       \
        raise(_pid, r[c].promise);                                                                 \
        flush_grant(_pid);                                                                         \
        r[c].votes = r[c].votes | (1 << _pid);                                                     \
        skip                                                                                       \
    }

/* The mistake: an answer is an answer. */
#define REFUSE(c)                                                                                  \
    :: d_step {                                                                                    \
        c != _pid && r[c].role == CANDIDATE && !((r[c].votes >> _pid) & 1) &&                      \
            (r[c].promise <= r[_pid].promise || IS_BEHIND(c, _pid)) ->                             \
        printf("replica %d refuses epoch %d to %d\n", _pid, r[c].promise, c);                      \
        r[c].votes = r[c].votes | (1 << _pid);                                                     \
        skip                                                                                       \
    }

/* One message: the epoch, the end and epoch before, one entry; the commit point is in answer(). */
#define APPEND(e, at)                                                                              \
    :: d_step {                                                                                    \
        e >= r[_pid].promise && at < END(epoch_log[e]) ->                                          \
        raise(_pid, e);                                                                            \
        if                                                                                         \
        :: at == 0 || ENTRY(r[_pid].log, at - 1) == ENTRY(epoch_log[e], at - 1) ->                 \
            take(_pid, e, at)                                                                      \
        :: else -> printf("replica %d lacks what is before epoch %d, %d\n", _pid, e, at)           \
        fi;                                                                                        \
        skip                                                                                       \
    }

/* The entry before this one agrees: take it, or make room for it. */
inline take(i, e, at) {
    assert(FIRST(r[i].log, at) == FIRST(epoch_log[e], at)); /* MODEL-6 */
    if
    :: ENTRY(r[i].log, at) == ENTRY(epoch_log[e], at) ->
#ifdef MISTAKE_CUT_BEHIND
        r[i].log = FIRST(r[i].log, at + 1); /* The mistake: this append may be an old one. */
        r[i].durable_end = MIN(r[i].durable_end, at + 1)
#else
        skip
#endif
    :: ENTRY(r[i].log, at) == 0 ->
        printf("replica %d takes epoch %d's entry %d\n", i, e, at);
        r[i].log = r[i].log | (ENTRY(epoch_log[e], at) << (3 * (at)))
    :: else ->
        printf("replica %d cuts at %d for epoch %d\n", i, at, e);
        assert(at >= r[i].commit); /* MODEL-4 */
#ifdef REACH_CUT
        assert(crash_count < CRASHES || r[i].durable_end <= at || r[i].commit == 0);
#endif
        r[i].log = FIRST(r[i].log, at);
        r[i].durable_end = MIN(r[i].durable_end, at)
    fi
}

#define GRANTS(i)                                                                                  \
    ((r[i].votes & 1) + ((r[i].votes >> 1) & 1) + ((r[i].votes >> 2) & 1) + (r[i].votes >> 3))

inline lead(i) {
    printf("replica %d leads epoch %d\n", i, r[i].promise);
    assert(epoch_log[r[i].promise] == 0);   /* MODEL-1 */
    check_complete(r[i].promise, r[i].log); /* MODEL-2 */
    r[i].role = LEADER;
    r[i].votes = 0;
    epoch_commit[r[i].promise] = r[i].commit; /* What it knew to be committed stays so. */
    propose(i)
}

/* A full log takes no more; its leader still leads. */
inline propose(i) {
    if
    :: END(r[i].log) < ENTRIES ->
        r[i].log = r[i].log | (r[i].promise << (3 * END(r[i].log)))
    :: else
    fi;
    epoch_log[r[i].promise] = r[i].log
}

#define HAS(i, v, end) (v < N && r[i].acked[v % N] >= end)
#define COPIES(i, end) (HAS(i, 0, end) + HAS(i, 1, end) + HAS(i, 2, end) + HAS(i, 3, end))

#define COMMIT(end)                                                                                \
    :: d_step {                                                                                    \
        r[_pid].role == LEADER && r[_pid].commit < end && END(r[_pid].log) >= end &&               \
            IS_OWN(_pid, end) && COPIES(_pid, end) >= W ->                                         \
        printf("replica %d commits %d entries in epoch %d\n", _pid, end, r[_pid].promise);         \
        r[_pid].commit = end;                                                                      \
        epoch_commit[r[_pid].promise] = end;                                                       \
        note_commit(_pid, r[_pid].promise, end);                                                   \
        skip                                                                                       \
    }

/* A crash that loses nothing of this is the same as a replica that is silent for a while. */
#define UNFLUSHED(i)                                                                               \
    (r[i].durable_promise != r[i].promise || r[i].durable_log != r[i].log ||                       \
     r[i].durable_end != END(r[i].log))

inline crash(i) {
    crash_count++;
    forget_role(i);
    r[i].promise = r[i].durable_promise;
    r[i].log = r[i].durable_log;
    r[i].durable_end = END(r[i].log);
    r[i].commit = 0
}

active [N] proctype node() {
end:
    do
    :: atomic {
        if
    STAND(1)
    STAND(2)
    STAND(3)
#if EPOCHS > 3
    STAND(4)
#endif
    GRANT(0)
    GRANT(1)
    GRANT(2)
#if N > 3
    GRANT(3)
#endif
#ifdef MISTAKE_REFUSAL
    REFUSE(0)
    REFUSE(1)
    REFUSE(2)
#endif
    :: d_step {
        r[_pid].role == CANDIDATE && GRANTS(_pid) >= E ->
        lead(_pid);
        skip
    }
    :: d_step {
        r[_pid].role == LEADER && END(r[_pid].log) < ENTRIES ->
        printf("replica %d proposes entry %d\n", _pid, END(r[_pid].log));
        propose(_pid);
        skip
    }
    APPEND(1, 0)
    APPEND(1, 1)
    APPEND(2, 0)
    APPEND(2, 1)
    APPEND(3, 0)
    APPEND(3, 1)
#if EPOCHS > 3
    APPEND(4, 0)
    APPEND(4, 1)
#endif
#if ENTRIES > 2
    APPEND(1, 2)
    APPEND(2, 2)
    APPEND(3, 2)
#if EPOCHS > 3
    APPEND(4, 2)
#endif
#endif
    :: d_step {
        UNFLUSHED(_pid) ->
        printf("replica %d flushes\n", _pid);
        flush(_pid);
        skip
    }
    COMMIT(1)
    COMMIT(2)
#if ENTRIES > 2
    COMMIT(3)
#endif
    :: d_step {
        crash_count < CRASHES && UNFLUSHED(_pid) ->
        printf("replica %d crashes\n", _pid);
        crash(_pid);
        skip
    }
#ifdef MISTAKE_WIPED
    :: d_step {
        crash_count < CRASHES -> /* The mistake: with an empty disk it is still this voter. */
        printf("replica %d comes back with an empty disk\n", _pid);
        r[_pid].durable_promise = 0;
        r[_pid].durable_log = 0;
        crash(_pid);
        skip
    }
#endif
        fi;
        d_step {
            settle()
        }
    }
    od
}
