/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/loop - loops of the simulated environment: operations and jobs as events in virtual time.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/sim_disk_parts.h"
#include "sim/sim_io_parts.h"

enum { EVENTS_FIRST = 64 };

static struct sim_loop *sim_loop_of(struct io_loop *loop)
{
    return container_of(loop, struct sim_loop, base);
}

/* -- The heap of events -- */

static bool is_before(const struct event *left, const struct event *right)
{
    return left->time_ns != right->time_ns ? left->time_ns < right->time_ns
                                           : left->order < right->order;
}

static void events_push(struct sim *sim, struct event event)
{
    if (sim->event_count == sim->event_room) {
        sim->event_room = sim->event_room == 0 ? EVENTS_FIRST : sim->event_room * 2;
        sim->events = sim_must(realloc(sim->events, sim->event_room * sizeof *sim->events));
    }
    event.order = sim->event_order++;
    size_t place = sim->event_count++;
    while (place > 0 && is_before(&event, &sim->events[(place - 1) / 2])) {
        sim->events[place] = sim->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    sim->events[place] = event;
}

static struct event events_pop(struct sim *sim)
{
    ASSERT(sim->event_count > 0);

    struct event first = sim->events[0];
    struct event last = sim->events[--sim->event_count];
    size_t place = 0;
    for (size_t child = 1; child < sim->event_count; child = 2 * place + 1) {
        if (child + 1 < sim->event_count &&
            is_before(&sim->events[child + 1], &sim->events[child])) {
            child++;
        }
        if (!is_before(&sim->events[child], &last)) {
            break;
        }
        sim->events[place] = sim->events[child];
        place = child;
    }
    if (sim->event_count > 0) {
        sim->events[place] = last;
    }
    return first;
}

static uint64_t draw_time_ns(struct sim *sim, uint64_t delay_ns)
{
    uint64_t range = sim->options.latency_ns_max - sim->options.latency_ns_min;
    uint64_t latency_ns = sim->options.latency_ns_min;

    if (range > 0) {
        latency_ns += sim_random_next(&sim->latency_random) % (range + 1);
    }
    return sim->now_ns + latency_ns + delay_ns;
}

/* -- Starting -- */

static void start_op(struct sim_loop *loop, struct io_op *op)
{
    struct sim *sim = sim_of(loop->base.io);
    struct sim_file *file = sim_file_of(op->file);

    static const enum sim_kind kinds[] =
        {[IO_OP_READ] = SIM_READ, [IO_OP_WRITE] = SIM_WRITE, [IO_OP_SYNC] = SIM_SYNC};
    struct outcome outcome = sim_decide(sim, kinds[op->kind], file->path, op->position, op->count);
    struct event event = {.loop = &loop->base, .op = op, .outcome = outcome, .count = op->count};

    loop->ops_in_flight++;
    event.time_ns = draw_time_ns(sim, outcome.delay_ns);
    if (op->kind == IO_OP_SYNC) {
        event.sync_point = disk_sync_begin(sim->disk, file->number);
        events_push(sim, event);
        return;
    }
    struct bytes span = {.data = op->data, .count = op->count};
    size_t room = 0;
    int error = sim_transfer_check(sim, file, op->kind == IO_OP_WRITE, span, op->position, &room);
    if (error != 0) {
        event.outcome = (struct outcome){.is_fault = true, .effect = SIM_FAIL, .error = error};
    } else if (op->kind == IO_OP_WRITE) {
        event.write = disk_write_begin(sim->disk, file->number, op->position, span, op->is_durable);
        event.count = room;
    }
    events_push(sim, event);
}

void sim_submit(struct io_loop *base, struct io_op *op)
{
    struct sim_loop *loop = sim_loop_of(base);

    if (loop->ops_in_flight < loop->ops_max) {
        start_op(loop, op);
        return;
    }
    if (loop->waiting_last) {
        loop->waiting_last->next = op;
    } else {
        loop->waiting_first = op;
    }
    loop->waiting_last = op;
}

void sim_flush(struct io_loop *loop)
{
    (void)loop; /* Operations start when they are submitted. */
}

void sim_job_start(struct io_loop *loop, struct io_job *job)
{
    struct sim *sim = sim_of(loop->io);

    sim_note(sim, sim->now_ns);
    events_push(sim, (struct event){.time_ns = draw_time_ns(sim, 0), .loop = loop, .job = job});
}

/* -- Happening -- */

static int finish_read(struct sim *sim, const struct event *event, size_t *ret_count)
{
    struct io_op *op = event->op;
    struct sim_file *file = sim_file_of(op->file);
    size_t wanted = op->count;

    if (event->outcome.is_fault && event->outcome.effect == SIM_FAIL) {
        return event->outcome.error;
    }
    if (event->outcome.is_fault && event->outcome.effect == SIM_SHORT) {
        wanted = sim_short_count(sim, wanted);
    }
    struct bytes_mut span = {op->data, wanted};
    bool is_direct = (file->flags & IO_OPEN_DIRECT) != 0;
    *ret_count = is_direct ? disk_read_direct(sim->disk, file->number, op->position, span)
                           : disk_read(sim->disk, file->number, op->position, span);
    return 0;
}

static int finish_write(struct sim *sim, const struct event *event, size_t *ret_count)
{
    struct io_op *op = event->op;
    struct sim_file *file = sim_file_of(op->file);

    if (!event->write) {
        return event->outcome.error;
    }
    ASSERT(disk_write_holds(event->write, op->data)); /* The buffer was changed in flight. */
    return sim_write_finish(sim, file->number, event->write, event->count, &event->outcome,
                            ret_count);
}

static int finish_sync(struct sim *sim, const struct event *event)
{
    bool is_lost = event->outcome.is_fault && event->outcome.effect == SIM_FAIL;

    disk_sync_end(sim->disk, sim_file_of(event->op->file)->number, event->sync_point, is_lost);
    return is_lost ? event->outcome.error : 0;
}

static void happen(struct sim *sim)
{
    struct event event = events_pop(sim);
    sim->now_ns = event.time_ns > sim->now_ns ? event.time_ns : sim->now_ns;
    if (event.job) {
        event.job->run(event.job);
        loop_job_finished(event.loop, event.job);
        return;
    }

    struct sim_loop *loop = sim_loop_of(event.loop);
    size_t count = 0;
    int error = 0;
    switch (event.op->kind) {
    case IO_OP_READ:
        error = finish_read(sim, &event, &count);
        break;
    case IO_OP_WRITE:
        error = finish_write(sim, &event, &count);
        break;
    case IO_OP_SYNC:
        error = finish_sync(sim, &event);
        break;
    }
    sim_note(sim, (uint64_t)error);
    loop_op_completed(event.loop, event.op, error, error == 0 ? count : 0);
    loop->ops_in_flight--;
    if (loop->waiting_first) {
        struct io_op *op = loop->waiting_first;
        loop->waiting_first = op->next;
        loop->waiting_last = op->next ? loop->waiting_last : NULL;
        op->next = NULL;
        start_op(loop, op);
    }
}

void sim_reap(struct io_loop *loop)
{
    struct sim *sim = sim_of(loop->io);

    while (sim->event_count > 0 && sim->events[0].time_ns <= sim->now_ns) {
        happen(sim);
    }
}

void sim_wait(struct io_loop *loop, uint64_t deadline_ns)
{
    struct sim *sim = sim_of(loop->io);
    uint64_t until_ns = loop_sleep_deadline_ns(loop, deadline_ns);

    while (!loop_has_news(loop) && !atomic_load(&loop->is_woken)) {
        bool has_event = sim->event_count > 0 && sim->events[0].time_ns <= until_ns;
        if (!has_event) {
            ASSERT(until_ns != IO_TIME_NEVER); /* Nothing can ever end this wait: it hangs. */
            sim->now_ns = until_ns > sim->now_ns ? until_ns : sim->now_ns;
            return;
        }
        happen(sim);
    }
}

void sim_kick(struct io_loop *loop)
{
    (void)loop; /* The only thread is awake. */
}

/* -- Creating and destroying -- */

int sim_loop_create(struct io *io, const struct io_loop_options *options, struct io_loop **ret_loop)
{
    struct sim_loop *loop = io_alloc(io, sizeof *loop, _Alignof(struct sim_loop));
    if (!loop) {
        return ENOMEM;
    }

    loop_init(&loop->base, io);
    loop->ops_max = options->ops_max;
    *ret_loop = &loop->base;
    return 0;
}

void sim_loop_destroy(struct io_loop *base)
{
    struct sim_loop *loop = sim_loop_of(base);

    loop_deinit(base);
    ASSERT(loop->ops_in_flight == 0);
    io_free(base->io, loop);
}
