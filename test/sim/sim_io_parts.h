/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/io_parts - the structs of the simulated environment, for its own files.
 */
#ifndef SIM_SIM_IO_PARTS_H
#define SIM_SIM_IO_PARTS_H

#include "io/loop.h"
#include "io/ops.h"
#include "sim/sim_io.h"
#include "sim/sim_random.h"

enum { FAULTS_MAX = 16 };

struct fault {
    struct sim_fault rule;
    uint64_t seen; /* Matching operations so far. */
};

/* What is to happen to one operation. */
struct outcome {
    bool is_fault;
    enum sim_effect effect;
    int error;
    uint64_t delay_ns;
};

/* Something that happens at a virtual time: an operation completes, or a job runs. */
struct event {
    uint64_t time_ns;
    uint64_t order; /* Events of one time happen in the order in which they were made. */
    struct io_loop *loop;
    struct io_op *op;        /* Or NULL. */
    struct io_job *job;      /* Or NULL. */
    struct sim_write *write; /* Of a write. */
    size_t count;            /* Bytes that a write may store. */
    uint64_t sync_point;     /* Of a sync. */
    struct outcome outcome;
};

struct mapping {
    struct mapping *next;
    uint32_t number;
    size_t count;
    uint8_t *data;
};

struct sim {
    struct io base;
    struct sim_options options;
    struct sim_disk *disk;
    uint64_t now_ns;
    int64_t wall_step_ms;
    bool is_cold;
    const char *stale_name; /* Of files whose cached pages are stale; NULL: of none. */

    struct sim_random latency_random; /* One generator per subsystem. */
    struct sim_random fault_random;

    size_t event_count; /* A binary heap. */
    size_t event_room;
    struct event *events;
    uint64_t event_order;

    uint64_t counts[SIM_KIND_END];
    uint64_t fault_count;
    size_t rule_count;
    struct fault rules[FAULTS_MAX];

    struct mapping *mappings;
    uint64_t trace;
};

struct sim_file {
    struct io_file base;
    uint32_t number;
    uint32_t flags;
    bool is_lock;
    char *path;
};

struct sim_loop {
    struct io_loop base;
    uint32_t ops_max;
    uint32_t ops_in_flight;
    struct io_op *waiting_first; /* Above ops_max, oldest first. */
    struct io_op *waiting_last;
};

/** Return the file around @file. */
struct sim_file *sim_file_of(struct io_file *file);

/** Count an operation and decide what happens to it. */
struct outcome sim_decide(struct sim *sim,
                          enum sim_kind kind,
                          const char *path,
                          int64_t position,
                          size_t count);

/** Mix @value into the trace. */
void sim_note(struct sim *sim, uint64_t value);

/** Return how much of @count bytes a short transfer moves. */
size_t sim_short_count(struct sim *sim, size_t count);

/** Return 0 if a transfer on @file is allowed, with how many bytes there is space for. */
int sim_transfer_check(struct sim *sim,
                       struct sim_file *file,
                       bool is_write,
                       struct bytes span,
                       int64_t position,
                       size_t *ret_count);

/** End a write with its outcome. Return the error and the count to report. */
int sim_write_finish(struct sim *sim,
                     uint32_t number,
                     struct sim_write *write,
                     size_t count,
                     const struct outcome *outcome,
                     size_t *ret_count);

/** Show mappings of file @number the bytes as they are now. */
void sim_mappings_refresh(struct sim *sim, uint32_t number, int64_t position, size_t count);

/* The slots of the table. */
int sim_file_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file);
void sim_file_close(struct io *io, struct io_file *base);
int sim_file_read_at(struct io *io,
                     struct io_file *base,
                     struct bytes_mut span,
                     int64_t position,
                     size_t *ret_count);
int sim_file_write_at(struct io *io,
                      struct io_file *base,
                      struct bytes span,
                      int64_t position,
                      bool is_durable,
                      size_t *ret_count);
int sim_file_sync(struct io *io, struct io_file *base);
int sim_file_allocate(struct io *io, struct io_file *base, int64_t bytes);
int sim_file_truncate(struct io *io, struct io_file *base, int64_t bytes);
int sim_file_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes);
int sim_file_map(struct io *io, struct io_file *base, size_t count, const uint8_t **ret_data);
void sim_file_unmap(struct io *io, const uint8_t *data, size_t count);
bool sim_file_map_is_resident(struct io *io, struct bytes span);
int sim_file_rename(struct io *io, const char *from, const char *to);
int sim_file_remove(struct io *io, const char *path);
int sim_file_make_folder(struct io *io, const char *path);
int sim_file_sync_folder(struct io *io, const char *path);
int sim_file_list(struct io *io, const char *path, struct io_entries *ret_entries);
int sim_file_stat(struct io *io, const char *path, struct io_stat *ret_stat);
int sim_file_space(struct io *io, const char *path, uint64_t *ret_bytes);
int sim_file_lock(struct io *io, const char *path, int64_t *ret_holder, struct io_file **ret_file);
int sim_loop_create(struct io *io,
                    const struct io_loop_options *options,
                    struct io_loop **ret_loop);
void sim_loop_destroy(struct io_loop *base);
void sim_submit(struct io_loop *base, struct io_op *op);
void sim_flush(struct io_loop *loop);
void sim_wait(struct io_loop *loop, uint64_t deadline_ns);
void sim_reap(struct io_loop *loop);
void sim_kick(struct io_loop *loop);
void sim_job_start(struct io_loop *loop, struct io_job *job);

#endif /* SIM_SIM_IO_PARTS_H */
