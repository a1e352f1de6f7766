/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/trace - the ring of events and their text.
 */
#include "base/trace.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"

struct kind_row {
    const char *name;
    const char *fields[TRACE_FIELDS_MAX];
};

static const struct kind_row kind_rows[] = {
#define TRACE_1(kind, a)          {#kind, {#a}},
#define TRACE_2(kind, a, b)       {#kind, {#a, #b}},
#define TRACE_3(kind, a, b, c)    {#kind, {#a, #b, #c}},
#define TRACE_4(kind, a, b, c, d) {#kind, {#a, #b, #c, #d}},
#include "base/trace.def"
#undef TRACE_1
#undef TRACE_2
#undef TRACE_3
#undef TRACE_4
};

ASSERT_STATIC(sizeof kind_rows / sizeof kind_rows[0] == TRACE_KIND_END, "a row for each kind");

void trace_init(struct trace *trace, struct trace_event *events, size_t event_count)
{
    ASSERT(events);
    ASSERT(event_count > 0);
    ASSERT((event_count & (event_count - 1)) == 0);

    *trace = (struct trace){.events = events, .event_count_max = event_count};
}

void trace_add(struct trace *trace, enum trace_kind kind, const int64_t *fields)
{
    ASSERT(kind < TRACE_KIND_END);

    if (!trace) {
        return;
    }
    ASSERT(trace->event_count_max > 0);
    ASSERT(fields);
    struct trace_event *event =
        &trace->events[trace->sequence_end & (trace->event_count_max - 1)]; /* TRC-1 */
    event->time_ns = trace->time_ns;
    event->kind = kind;
    memcpy(event->fields, fields, sizeof event->fields);
    trace->sequence_end++;
}

uint64_t trace_sequence_first(const struct trace *trace)
{
    return trace->sequence_end <= trace->event_count_max
               ? 0
               : trace->sequence_end - trace->event_count_max;
}

const struct trace_event *trace_get(const struct trace *trace, uint64_t sequence)
{
    if (sequence < trace_sequence_first(trace) || sequence >= trace->sequence_end) {
        return NULL;
    }
    return &trace->events[sequence & (trace->event_count_max - 1)];
}

const char *trace_kind_name(enum trace_kind kind)
{
    ASSERT(kind < TRACE_KIND_END);

    return kind_rows[kind].name;
}

size_t trace_field_count(enum trace_kind kind)
{
    ASSERT(kind < TRACE_KIND_END);

    size_t count = 0;
    while (count < TRACE_FIELDS_MAX && kind_rows[kind].fields[count]) {
        count++;
    }
    return count;
}

const char *trace_field_name(enum trace_kind kind, size_t index)
{
    ASSERT(index < trace_field_count(kind)); /* TRC-2 */

    return kind_rows[kind].fields[index];
}

void trace_print(const struct trace_event *event, struct text *text)
{
    ASSERT(event);

    text_format(text, "[%11" PRIu64 "] %s", event->time_ns, trace_kind_name(event->kind));
    size_t field_count = trace_field_count(event->kind);
    for (size_t index = 0; index < field_count; index++) {
        text_format(text, " %s=%" PRId64, trace_field_name(event->kind, index),
                    event->fields[index]);
    }
}
