/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/trace - what happened inside, as typed events in a bounded ring.
 *
 * Library code does not log. It tells its owner what happened by an event: a kind from the table in
 * trace.def, the time, and up to four named numbers. Recording is a few stores; the text is made
 * only when somebody reads. The server turns events into log lines, the simulator into histories, a
 * test into the text that it expects.
 *
 *   trace_wal_roll(trace, 3, 4096);   ->   "[       1500] wal_roll file_number=3
 * position_first=4096"
 *
 * Each kind has a function of its own, so that a forgotten or swapped field is seen where it is
 * written. The ring keeps the newest events; an event has a sequence number for life, so that a
 * reader who comes too late sees how many it missed.
 *
 * Invariants:
 *   TRC-1  The ring holds the newest events, in order, and never more than its capacity.
 *   TRC-2  Every kind has a name and a name for each of its fields.
 *
 * Threads: one owner.   Memory: the events lie in the caller's array.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define TRACE_FIELDS_MAX 4

/* Every kind, in the order of the table. */
enum trace_kind {

#define TRACE_1(kind, a)          TRACE_KIND_##kind,
#define TRACE_2(kind, a, b)       TRACE_KIND_##kind,
#define TRACE_3(kind, a, b, c)    TRACE_KIND_##kind,
#define TRACE_4(kind, a, b, c, d) TRACE_KIND_##kind,
#include "base/trace.def"
#undef TRACE_1
#undef TRACE_2
#undef TRACE_3
#undef TRACE_4
    TRACE_KIND_END,
};

/* One event. */
struct trace_event {
    uint64_t time_ns; /* By the clock that the owner sets. */
    enum trace_kind kind;
    int64_t fields[TRACE_FIELDS_MAX]; /* In the order of the table; unused ones are 0. */
};

/* The newest events of one owner. */
struct trace {
    struct trace_event *events;
    size_t event_count_max; /* A power of two. */
    uint64_t sequence_end;  /* The number of the next event: how many there have been. */
    uint64_t time_ns;       /* The owner sets it before the work of each turn. */
};

/** Make @trace empty, over @event_count events, a power of two. Keeps @events while it is used. */
void trace_init(struct trace *trace, struct trace_event *events, size_t event_count);

/** Record an event. @trace may be NULL: then nobody listens. Use the kind's own function. */
void trace_add(struct trace *trace, enum trace_kind kind, const int64_t *fields);

/** Return the number of the oldest event that is still there. */
uint64_t trace_sequence_first(const struct trace *trace);

/** Return the event numbered @sequence, NULL if it is gone or has not come yet. Lives until the
 * ring comes round. */
const struct trace_event *trace_get(const struct trace *trace, uint64_t sequence);

/** Return the name of @kind. */
const char *trace_kind_name(enum trace_kind kind);

/** Return how many fields @kind has. */
size_t trace_field_count(enum trace_kind kind);

/** Return the name of the field of @kind at @index. */
const char *trace_field_name(enum trace_kind kind, size_t index);

/** Add @event to @text, one line without its end. */
void trace_print(const struct trace_event *event, struct text *text);

/* One recording function a kind. */
#define TRACE_1(kind, a)                                            \
    static inline void trace_##kind(struct trace *trace, int64_t a) \
    {                                                               \
        trace_add(trace, TRACE_KIND_##kind, (int64_t[4]){(a)});     \
    }
#define TRACE_2(kind, a, b)                                                    \
    static inline void trace_##kind(struct trace *trace, int64_t a, int64_t b) \
    {                                                                          \
        trace_add(trace, TRACE_KIND_##kind, (int64_t[4]){(a), (b)});           \
    }
#define TRACE_3(kind, a, b, c)                                                            \
    static inline void trace_##kind(struct trace *trace, int64_t a, int64_t b, int64_t c) \
    {                                                                                     \
        trace_add(trace, TRACE_KIND_##kind, (int64_t[4]){(a), (b), (c)});                 \
    }
#define TRACE_4(kind, a, b, c, d)                                                         \
    static inline void trace_##kind(struct trace *trace, int64_t a, int64_t b, int64_t c, \
                                    int64_t d)                                            \
    {                                                                                     \
        trace_add(trace, TRACE_KIND_##kind, (int64_t[4]){(a), (b), (c), (d)});            \
    }
#include "base/trace.def"
#undef TRACE_1
#undef TRACE_2
#undef TRACE_3
#undef TRACE_4

#endif /* BASE_TRACE_H */
