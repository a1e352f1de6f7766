/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/member - opening and closing, letters, and what is due.
 *
 * A turn, after the shard's: what waited goes on, then the core hears, as long as there is news,
 *
 *      what became durable      (also while something waits: an acknowledgement may be what the
 *                                leader needs before it can commit, and so make room here)
 *      that the own log went on (the opening batch; a leader's stamp of the clock)
 *      which batches were sent
 *      that its time has come
 */
#include "partition/member.h"

#include <inttypes.h>
#include <stdio.h>

#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

/* -- Opening and closing -- */

/* Waking is all the timer is for: the owner steps after each dispatch. */
static void timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

static void timer_set(struct member *member)
{
    struct io_loop *loop = member->partition->shard->loop;
    uint64_t deadline_ns = member_deadline_ns(member);
    ASSERT(member->timer.fire == timer_fire);
    ASSERT(loop);

    if (deadline_ns == UINT64_MAX) {
        io_timer_stop(loop, &member->timer);
        return;
    }
    /* A later deadline is seen when the earlier one has come. */
    if (!member->timer.is_started || deadline_ns < member->timer.deadline_ns) {
        io_timer_start(loop, &member->timer, deadline_ns);
    }
}

static void member_free(struct member *member)
{
    struct io *io = member->partition->shard->io;
    ASSERT(member->reads == 0);
    ASSERT(!member->timer.is_started);

    io_free(io, member->held);
    io_free(io, member->rows);
    io_free(io, member->progress);
    io_free(io, member->feeds);
    io_free(io, member);
}

/* Set up the core of @member, whose memory is there. */
static void core_init(struct member *member, uint32_t rows)
{
    struct partition *partition = member->partition;
    const struct member_options *options = &member->options;
    ASSERT(partition->is_replicated);
    ASSERT(rows > 0);

    struct replica_start start = {
        .self = {.log = partition->id,
                 .from = options->self,
                 .incarnation = options->incarnation,
                 .run = options->run},
        .epochs = {.rows = member->rows, .count_max = rows},
        .committed = partition->offset_committed,
        .promise = partition->epoch,
        .config = options->config,
        .timeout_ns = options->timeout_ns,
        .seed = options->seed,
        .now_ns = io_now_mono_ns(partition->shard->io),
        .effects = partition->shard->effects,
        .progress = member->progress,
        .progress_max = member->peers_max,
    };
    member_epochs_fill(partition, &start.epochs);
    replica_init(&member->replica, &start);
}

/* Take the memory of @member, which is zeroed; false without. */
static bool member_allocate(struct member *member,
                            struct partition *partition,
                            const struct quorum_config *config,
                            uint32_t rows)
{
    struct shard *shard = partition->shard;
    struct io *io = shard->io;
    ASSERT(!member->rows && !member->progress && !member->feeds);
    ASSERT(config->rules.voter_count > 0);

    member->partition = partition;
    member->peers_max = config->rules.voter_count + config->learner_count;
    member->rows = io_alloc(io, rows * sizeof *member->rows, _Alignof(struct epoch_row));
    member->progress = io_alloc(io, (size_t)member->peers_max * sizeof *member->progress,
                                _Alignof(struct replica_progress));
    member->feeds = io_alloc(io, (size_t)member->peers_max * sizeof *member->feeds,
                             _Alignof(struct member_feed));
    if (!shard->effects) {
        shard->effects = io_alloc(io, REPLICA_EFFECTS_MAX * sizeof *shard->effects,
                                  _Alignof(struct replica_effect));
    }
    return member->rows && member->progress && member->feeds && shard->effects;
}

enum pyr_err member_open(struct partition *partition,
                         const struct member_options *options,
                         struct member **ret_member,
                         struct pyr_error *reterr)
{
    ASSERT(partition->is_replicated);
    ASSERT(options->send);

    struct io *io = partition->shard->io;
    enum pyr_err err = quorum_config_check(options->config, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }
    struct member *member = io_alloc(io, sizeof *member, _Alignof(struct member));
    uint32_t rows = member_epochs_count(partition);
    bool has_memory = member && member_allocate(member, partition, options->config, rows);
    if (!has_memory) {
        if (member) {
            member_free(member);
        }
        return err_set(reterr, PYR_ERR_NO_MEMORY, "log '%s': join its replica", partition->name);
    }
    member->options = *options;
    member->timer = (struct io_timer){.fire = timer_fire, .deadline_ns = IO_TIME_NEVER};
    core_init(member, rows);
    fold_init(&member->fold, io);
    member_fold_build(member);
    partition->fold = &member->fold;
    timer_set(member);
    *ret_member = member;
    return PYR_OK;
}

static void member_halt(struct member *member)
{
    ASSERT(member->partition);
    ASSERT(member->reads <= REPLICA_PEERS_MAX);

    member->is_stopping = true;
    io_timer_stop(member->partition->shard->loop, &member->timer);
}

void member_stop(struct member *member)
{
    ASSERT(member->partition);
    ASSERT(member->reads <= REPLICA_PEERS_MAX);

    if (!member->is_stopping) {
        member_fold_stop(member);
        member_halt(member);
    }
}

bool member_is_quiet(const struct member *member)
{
    ASSERT(member->partition);
    ASSERT(member->reads <= REPLICA_PEERS_MAX);

    return member->reads == 0 && member_fold_is_quiet(member);
}

void member_close(struct member *member)
{
    if (!member) {
        return;
    }
    ASSERT(member_is_quiet(member));
    ASSERT(!member->asking); /* Whoever reads gives that up before. */
    member_halt(member);
    while (feed_tell(member)) { /* What was read and not sent gives its memory back. */
    }
    member_unreserve(member);
    effects_drop(member);
    member_fold_end(member);
    member_free(member);
}

enum pyr_err member_health(const struct member *member, struct pyr_error *reterr)
{
    ASSERT(member->partition);

    if (member->failure.code != PYR_OK) {
        return err_set(reterr, member->failure.code, "%s", member->failure.message);
    }
    return PYR_OK;
}

void member_fail(struct member *member, const struct pyr_error *error)
{
    ASSERT(error->code != PYR_OK);
    ASSERT(member->partition);

    if (member->failure.code == PYR_OK) {
        member->failure = *error;
        effects_drop(member);
        io_timer_stop(member->partition->shard->loop, &member->timer);
    }
}

/* -- Steps -- */

void member_tell(struct member *member, struct replica_event event, struct bytes batches)
{
    ASSERT(member->failure.code == PYR_OK);
    ASSERT(!member_waits(member) || event.kind == REPLICA_EVENT_DURABLE);

    if (!member_epochs_grow(member)) {
        return;
    }
    event.now_ns = io_now_mono_ns(member->partition->shard->io);
    replica_step(&member->replica, &event);
    effects_run(member, batches);
    bool is_behind = member_waits(member) || member->replica.role == REPLICA_STOPPED ||
                     member->failure.code != PYR_OK;
    ASSERT(is_behind ||
           member->replica.epochs.offset_end <= member->partition->offset_end); /* MEM-1 */
}

/* Tell of what became durable since it was last told; false if nothing did. */
static bool tell_durable(struct member *member)
{
    const struct replica *replica = &member->replica;
    int64_t durable = partition_durable_end(member->partition);
    int32_t promise = partition_promise_durable(member->partition);
    ASSERT(promise <= replica->promise);
    ASSERT(durable <= member->partition->offset_end);

    int64_t end = replica->epochs.offset_end; /* The own log may be ahead: APPENDED comes first. */
    durable = durable < end ? durable : end;
    bool is_news = durable > replica->durable || promise > replica->promise_durable;
    if (!is_news || !effects_allow_durable(member)) {
        return false;
    }
    member_tell(member,
                (struct replica_event){.kind = REPLICA_EVENT_DURABLE,
                                       .offset_end = durable,
                                       .epoch = promise},
                (struct bytes){0});
    return true;
}

/* Tell a leader that its log went on; false if it did not. */
static bool tell_appended(struct member *member)
{
    int64_t offset_end = member->partition->offset_end;
    ASSERT(member->partition->offset_committed <= offset_end);

    if (member->replica.role != REPLICA_LEADER || offset_end == member->replica.epochs.offset_end) {
        return false;
    }
    member_tell(member,
                (struct replica_event){.kind = REPLICA_EVENT_APPENDED, .offset_end = offset_end},
                (struct bytes){0});
    return true;
}

static bool tell_time(struct member *member)
{
    ASSERT(member->replica.timeout_ns > 0);

    uint64_t deadline_ns = replica_deadline_ns(&member->replica);
    if (io_now_mono_ns(member->partition->shard->io) < deadline_ns) {
        return false;
    }
    const struct shard *shard = member->partition->shard;
    member_tell(
        member,
        (struct replica_event){.kind = REPLICA_EVENT_TIME,
                               .waiting_ns = shard_waiting_ns(shard),
                               .is_full = shard_full_ns(shard) > member->replica.timeout_ns},
        (struct bytes){0});
    return replica_deadline_ns(&member->replica) != deadline_ns;
}

/* Tell the core all news there is. */
static void member_go_on(struct member *member)
{
    ASSERT(member->partition->is_replicated);

    bool is_news = true;
    while (is_news && member->failure.code == PYR_OK && member->replica.role != REPLICA_STOPPED) {
        if (member_waits(member)) {
            effects_resume(member);
        }
        if (member->failure.code == PYR_OK && member_waits(member) &&
            io_now_mono_ns(member->partition->shard->io) >= effects_patience_ns(member)) {
            effects_shorten(member);
        }
        is_news = false;
        if (member->failure.code == PYR_OK) {
            is_news = tell_durable(member);
        }
        if (!is_news && member->failure.code == PYR_OK && !member_waits(member)) {
            is_news = tell_appended(member) || feed_tell(member) || tell_time(member);
        }
    }
    if (!member->is_stopping && member->failure.code == PYR_OK) {
        timer_set(member);
    }
}

void member_step(struct member *member)
{
    ASSERT(member->partition);

    struct pyr_error error;
    if (member->failure.code == PYR_OK &&
        shard_health(member->partition->shard, &error) != PYR_OK) {
        member_fail(member, &error);
    }
    if (member->failure.code == PYR_OK && !member->is_stopping) {
        member_go_on(member);
    }
    if (member->failure.code == PYR_OK && !member->is_stopping) {
        member_fold_step(member);
    }
}

uint64_t member_deadline_ns(const struct member *member)
{
    ASSERT(member->partition);

    bool is_over = member->failure.code != PYR_OK || member->is_stopping;
    if (is_over) {
        return UINT64_MAX;
    }
    /* What waits for room is woken by what makes room: no time is told meanwhile, and a timer for
     * it would fire over and over at one instant. */
    return member_waits(member) ? effects_patience_ns(member)
                                : replica_deadline_ns(&member->replica);
}

/* -- Letters -- */

/* Hold the batches of @letter against what its message says of them (MEM-3). */
static enum pyr_err letter_check(const struct member *member,
                                 const struct member_letter *letter,
                                 struct pyr_error *reterr)
{
    const struct replica_batches *said = &letter->message.as.batches;
    ASSERT(member->partition);
    bool has_batches =
        letter->message.kind == REPLICA_APPEND && said->offset_end > said->before.end;
    if (!has_batches) {
        return letter->batches.count == 0
                   ? PYR_OK
                   : err_set(reterr, PYR_ERR_INVALID, "log '%s': batches that no message speaks of",
                             member->partition->name);
    }
    ASSERT(said->offset_end > said->before.end);
    return partition_follow_check(member->partition, letter->batches,
                                  &(struct partition_stretch){.epoch = said->epoch,
                                                              .offset = said->before.end,
                                                              .offset_end = said->offset_end},
                                  reterr);
}

enum pyr_err member_receive(struct member *member,
                            const struct member_letter *letter,
                            struct pyr_error *reterr)
{
    ASSERT(member->partition);
    ASSERT(letter->batches.data || letter->batches.count == 0);

    if (letter->message.kind >= REPLICA_MESSAGE_KINDS) {
        member->counts.letters_bad++;
        return err_set(reterr, PYR_ERR_INVALID, "log '%s': a message of unknown kind %d",
                       member->partition->name, (int)letter->message.kind);
    }
    enum pyr_err err = member_health(member, reterr);
    if (err == PYR_OK && letter->message.epoch > member->replica.promise) {
        effects_shorten(member); /* Somebody newer speaks. */
    }
    if (err == PYR_OK && (member_waits(member) || member->is_stopping)) {
        member->counts.letters_busy++;
        err = err_set(reterr, PYR_ERR_BUSY, "log '%s' waits for room", member->partition->name);
    }
    if (err != PYR_OK || letter->message.kind == REPLICA_MESSAGE_NONE) {
        return err;
    }
    err = letter_check(member, letter, reterr);
    if (err != PYR_OK) {
        member->counts.letters_bad++;
        return err;
    }
    member_read_answer(member, letter);
    member_tell(member,
                (struct replica_event){.kind = REPLICA_EVENT_MESSAGE,
                                       .from = &letter->envelope,
                                       .message = &letter->message},
                letter->batches);
    member_go_on(member);
    return PYR_OK;
}

/* -- Who is alive -- */

bool member_leads(const struct member *member, int32_t *ret_epoch)
{
    ASSERT(member->partition);
    ASSERT(ret_epoch);

    *ret_epoch = member->replica.promise;
    /* A leader waits for nothing but room for its opening batch; others may have it meanwhile. */
    return member->replica.role == REPLICA_LEADER && member->failure.code == PYR_OK &&
           !member_waits(member);
}

/* Return whether the core may be told something now that may as well be lost. */
static bool member_listens(const struct member *member)
{
    ASSERT(member->partition);

    return member->failure.code == PYR_OK && !member_waits(member) && !member->is_stopping;
}

bool member_heard(struct member *member,
                  const struct quorum_member *from,
                  int32_t epoch,
                  int64_t committed)
{
    struct replica *replica = &member->replica;
    int32_t number = replica_find(replica, from);
    ASSERT(member->partition);
    ASSERT(number <= REPLICA_STRANGER_ASKING);

    if (member->failure.code == PYR_OK && epoch > replica->promise) {
        effects_shorten(member); /* Somebody newer speaks. */
    }
    if (member_waits(member)) {
        effects_commit(member, number, epoch, committed);
    }
    if (number == QUORUM_NO_MEMBER || !member_listens(member)) {
        return false;
    }
    member_tell(member,
                (struct replica_event){.kind = REPLICA_EVENT_LIVE,
                                       .member = number,
                                       .epoch = epoch,
                                       .committed = committed},
                (struct bytes){0});
    member_go_on(member);
    return member->failure.code == PYR_OK && replica->role == REPLICA_FOLLOWER &&
           replica->leader == number && replica->promise == epoch &&
           replica->promise_durable == epoch;
}

void member_confirmed(struct member *member,
                      const struct quorum_member *by,
                      int32_t epoch,
                      uint64_t sent_ns)
{
    int32_t number = replica_find(&member->replica, by);
    ASSERT(member->partition);
    ASSERT(number <= REPLICA_STRANGER_ASKING);

    if (number != QUORUM_NO_MEMBER && member_listens(member)) {
        member_tell(member,
                    (struct replica_event){.kind = REPLICA_EVENT_CONFIRMED,
                                           .member = number,
                                           .epoch = epoch,
                                           .sent_ns = sent_ns},
                    (struct bytes){0});
        member_go_on(member);
    }
}

void member_hand_over(struct member *member, const struct quorum_member *to)
{
    int32_t number = replica_find(&member->replica, to);
    ASSERT(member->partition);
    ASSERT(number <= REPLICA_STRANGER_ASKING);

    if (number != QUORUM_NO_MEMBER && member_listens(member)) {
        member_tell(member,
                    (struct replica_event){.kind = REPLICA_EVENT_HAND_OVER, .member = number},
                    (struct bytes){0});
        member_go_on(member);
    }
}

bool member_lease_holds(const struct member *member)
{
    ASSERT(member->partition);

    uint64_t now_ns = io_now_mono_ns(member->partition->shard->io);
    return member->failure.code == PYR_OK && replica_lease_holds(&member->replica, now_ns);
}

/* -- Looking -- */

const struct replica *member_replica(const struct member *member)
{
    ASSERT(member->partition);

    return &member->replica;
}

struct partition *member_partition(const struct member *member)
{
    ASSERT(member->partition);

    return member->partition;
}

const struct member_counts *member_counts(const struct member *member)
{
    ASSERT(member->partition);

    return &member->counts;
}
