/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/scrub - when the logs are looked over for damage, and how fast.
 *
 * A disk forgets in silence: what nobody reads is lost long before somebody asks for it. So a pass
 * over all logs of the shard begins from time to time, and reads what is on stable storage in small
 * steps, each a piece of background work. The step says how many bytes it read, and the next one is
 * due when so many have been paid for at the given rate. A step that is due waits while others need
 * the disk or the slots: for room in the cache, for a checkpoint, for a disk that is full.
 *
 *      IDLE --pass is due--> [step] ..bytes / rate.. [step] ..  log after log  .. --> IDLE
 *
 * Damage is counted, and the first of it is kept as a sentence; readers meet it with the same
 * error. Nothing is changed, since what is damaged may be all there is.
 *
 * The logs of a pass follow each other by their ids, an order that a start does not change. So a
 * place in a pass outlives one (notes.h), and a store that is never open for long gets through its
 * logs all the same. A pass that was not under way begins a minute after the start.
 *
 * Failure modes:   damage, read error -> counted; on with the next segment
 *                  no memory          -> tried again later
 */
#include <stdio.h>

#include "base/assert.h"
#include "partition/shard_inner.h"

/* Waking is all the timer is for: the step after the dispatch looks at what is due. */
static void scrub_timer_fire(struct io_timer *timer)
{
    ASSERT(timer);

    (void)timer;
}

/* Let the next step, or the next pass, be due at @due_ns. */
static void scrub_due(struct shard *shard, uint64_t due_ns)
{
    ASSERT(shard->options.scrub_bytes_per_s > 0);
    ASSERT(!shard->scrub.is_running);

    shard->scrub.due_ns = due_ns;
    io_timer_start(shard->loop, &shard->scrub.timer, due_ns);
}

void shard_scrub_begin(struct shard *shard)
{
    ASSERT(!shard->scrub.is_passing);
    ASSERT(!shard->scrub.partition);

    struct shard_scrub *scrub = &shard->scrub;
    scrub->timer.fire = scrub_timer_fire;
    scrub->timer.deadline_ns = IO_TIME_NEVER;
    scrub->due_ns = IO_TIME_NEVER;
    if (shard->options.scrub_bytes_per_s > 0) {
        uint64_t wait_ns = shard->options.scrub_interval_ns;
        wait_ns = wait_ns < SCRUB_FIRST_NS ? wait_ns : SCRUB_FIRST_NS;
        scrub_due(shard, io_now_mono_ns(shard->io) + wait_ns);
    }
}

void shard_scrub_end(struct shard *shard)
{
    ASSERT(shard->loop);
    ASSERT(!shard->scrub.is_running);

    if (shard->scrub.timer.fire) {
        io_timer_stop(shard->loop, &shard->scrub.timer);
    }
    segment_scrub_deinit(&shard->scrub.inner, shard->io);
}

void shard_scrub_report(const struct shard *shard, struct shard_scrub_report *ret_report)
{
    ASSERT(ret_report);
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    *ret_report = shard->scrub.report;
}

/* -- A pass -- */

/* Return the log whose id comes first behind @id, or @id's own if @is_from; of all, if @id is NULL.
 * Logs that never held anything are passed over. NULL: there is none. */
static struct partition *log_behind(struct shard *shard, const struct log_id *id, bool is_from)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);
    ASSERT(shard->partition_count <= SHARD_PARTITIONS_MAX);

    struct partition *first = NULL;
    for (struct partition *at = shard->partitions; at; at = at->next) {
        int order = id ? memcmp(at->id.value, id->value, LOG_ID_BYTES) : 1;
        bool is_behind = order > 0 || (is_from && order == 0);
        bool is_first = !first || memcmp(at->id.value, first->id.value, LOG_ID_BYTES) < 0;
        if (is_behind && is_first && segment_log_synced(at->segments).offset > 0) {
            first = at;
        }
    }
    return first;
}

/* Note where the pass is. No step is running. */
static void place_note(struct shard *shard)
{
    ASSERT(shard->scrub.partition);
    ASSERT(!shard->scrub.is_running);

    shard->notes.place.log = shard->scrub.partition->id;
    shard->notes.place.offset = shard->scrub.inner.offset;
    shard->notes.has_place = true;
}

static void pass_begin(struct shard *shard, uint64_t now_ns)
{
    ASSERT(!shard->scrub.is_passing);
    ASSERT(!shard->scrub.partition);
    ASSERT(!shard->is_stopping);

    struct shard_scrub *scrub = &shard->scrub;
    if (segment_scrub_init(&scrub->inner, shard->io, SCRUB_STEP_BYTES) != PYR_OK) {
        scrub_due(shard, now_ns + SCRUB_YIELD_NS);
        return;
    }
    scrub->is_passing = true;
    scrub->pass_due_ns = now_ns + shard->options.scrub_interval_ns;
    const struct notes_place *place = shard->notes.has_place ? &shard->notes.place : NULL;
    scrub->partition = log_behind(shard, place ? &place->log : NULL, true);
    if (scrub->partition) {
        bool is_there = place && log_id_equal(&scrub->partition->id, &place->log);
        segment_scrub_begin(&scrub->inner, scrub->partition->segments,
                            is_there ? place->offset : 0);
        place_note(shard);
    }
}

static void pass_end(struct shard *shard, uint64_t now_ns)
{
    ASSERT(shard->scrub.is_passing);
    ASSERT(!shard->scrub.partition);

    struct shard_scrub *scrub = &shard->scrub;
    segment_scrub_deinit(&scrub->inner, shard->io);
    scrub->is_passing = false;
    scrub->report.passes++;
    shard->notes.has_place = false;
    shard->notes.is_stale = shard->notes.may_exist;
    /* Passes that find nothing to read follow each other no faster than this. */
    uint64_t soonest_ns = now_ns + SCRUB_YIELD_NS;
    scrub_due(shard, scrub->pass_due_ns > soonest_ns ? scrub->pass_due_ns : soonest_ns);
}

/* The log under the scrub is through: go on with the next. */
static void pass_next(struct shard *shard)
{
    struct shard_scrub *scrub = &shard->scrub;
    ASSERT(scrub->is_passing);
    ASSERT(scrub->partition);
    ASSERT(!scrub->is_running);

    scrub->partition->scrub.passes++;
    scrub->partition = log_behind(shard, &scrub->partition->id, false);
    if (scrub->partition) {
        segment_scrub_begin(&scrub->inner, scrub->partition->segments, 0);
        place_note(shard);
    }
}

/* Return whether others need what a step would take. */
static bool scrub_must_yield(const struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    uint32_t busy = 0;
    for (size_t index = 0; index < SHARD_WORKS_MAX; index++) {
        busy += shard->works[index].state != WORK_STATE_FREE;
    }
    return 2 * busy > SHARD_WORKS_MAX || shard->is_flush_urged || shard->is_disk_full ||
           shard->checkpoint_state == SHARD_CHECKPOINT_FLUSHING;
}

void shard_scrub_step(struct shard *shard)
{
    ASSERT(shard->pending_count <= SHARD_PENDING_MAX);

    ASSERT(shard->scrub.is_passing || !shard->scrub.partition);
    struct shard_scrub *scrub = &shard->scrub;
    bool is_over = shard->is_stopping || shard->failure.code != PYR_OK;
    if (scrub->is_running || is_over || io_now_mono_ns(shard->io) < scrub->due_ns) {
        return;
    }
    uint64_t now_ns = io_now_mono_ns(shard->io);
    if (scrub_must_yield(shard) || (scrub->partition && scrub->partition->is_deleting)) {
        scrub_due(shard, now_ns + SCRUB_YIELD_NS);
        return;
    }
    if (!scrub->is_passing) {
        pass_begin(shard, now_ns);
    }
    if (!scrub->is_passing) {
        return;
    }
    while (scrub->partition &&
           !segment_scrub_plan(&scrub->inner, scrub->partition->segments, SCRUB_STEP_BYTES)) {
        pass_next(shard);
    }
    if (!scrub->partition) {
        pass_end(shard, now_ns);
        return;
    }
    struct work *work = shard_work_free(shard);
    ASSERT(work);
    ASSERT(!scrub->partition->works[WORK_SCRUB]);
    work->kind = WORK_SCRUB;
    work->partition = scrub->partition;
    work->as.scrub = &scrub->inner;
    scrub->partition->works[WORK_SCRUB] = true;
    scrub->is_running = true;
    scrub->step_ns = now_ns;
    work_start(work, shard->loop);
}

void scrub_forget(struct partition *partition)
{
    struct shard_scrub *scrub = &partition->shard->scrub;
    ASSERT(!partition->works[WORK_SCRUB]);
    ASSERT(!scrub->is_running || scrub->partition != partition);

    if (scrub->partition == partition) {
        pass_next(partition->shard);
    }
}

/* -- What a step found -- */

static void scrub_note(struct partition *partition, enum pyr_err err, const struct pyr_error *error)
{
    ASSERT(err == PYR_ERR_CORRUPT || err == PYR_ERR_IO);
    ASSERT(error);

    struct shard_scrub *scrub = &partition->shard->scrub;
    struct shard_scrub_report *report = &scrub->report;
    report->damages += err == PYR_ERR_CORRUPT;
    report->errors += err == PYR_ERR_IO;
    if (report->first[0] == '\0') {
        (void)snprintf(report->first, sizeof report->first, "log '%s': %s", partition->name,
                       error->message);
    }
    partition->scrub.damages += err == PYR_ERR_CORRUPT;
    partition->scrub.errors += err == PYR_ERR_IO;
    if (partition->scrub.damage_segment < 0) {
        partition->scrub.damage_segment = scrub->inner.segment;
        partition->scrub.damage_offset = scrub->inner.damage;
    }
    partition->shard->progress++;
}

void scrub_apply(struct partition *partition)
{
    struct shard *shard = partition->shard;
    struct shard_scrub *scrub = &shard->scrub;
    ASSERT(scrub->is_running);
    ASSERT(scrub->partition == partition);

    scrub->is_running = false;
    struct pyr_error error;
    uint64_t bytes = scrub->inner.bytes;
    enum pyr_err err = segment_scrub_apply(&scrub->inner, partition->segments, &error);
    scrub->report.bytes += bytes;
    partition->scrub.bytes += bytes;
    place_note(shard);
    if (err == PYR_ERR_CORRUPT || err == PYR_ERR_IO) {
        scrub_note(partition, err, &error);
    }
    if (shard->is_stopping) {
        return;
    }
    /* Opening files costs as well: a folder of a million small ones is no reason to hurry. */
    uint64_t paid = bytes > SCRUB_COST_BYTES_MIN ? bytes : SCRUB_COST_BYTES_MIN;
    uint64_t wait_ns = paid * UINT64_C(1000000000) / shard->options.scrub_bytes_per_s;
    wait_ns = err == PYR_ERR_NO_MEMORY && wait_ns < SCRUB_YIELD_NS ? SCRUB_YIELD_NS : wait_ns;
    scrub_due(shard, scrub->step_ns + wait_ns);
}
