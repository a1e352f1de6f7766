/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed trace events.
 */
#include "base/trace.h"
#include "lib/case.h"

enum { EVENTS = 4 };

static void check_line(const struct trace *trace, uint64_t sequence, const char *expected)
{
    const struct trace_event *event = trace_get(trace, sequence);
    CHECK(event);
    char buffer[256];
    struct text text = text_of(buffer, sizeof buffer);
    trace_print(event, &text);
    CHECK_TEXT(buffer, expected);
}

/* Histories of the simulator are compared as text: the form is a promise. */
TEST(trace, prints_kind_and_named_fields)
{
    struct trace_event events[EVENTS];
    struct trace trace;
    trace_init(&trace, events, EVENTS);

    trace.time_ns = 1500;
    trace_wal_roll(&trace, 3, 4096);
    trace.time_ns = UINT64_C(12345678901);
    trace_recovery_end(&trace, 1, 2, -3, 4);

    check_line(&trace, 0, "[       1500] wal_roll file_number=3 position_first=4096");
    check_line(&trace, 1,
               "[12345678901] recovery_end position_first=1 position_end=2 bytes_cut=-3 "
               "latency_ns=4");
}

/* TRC-1: a reader that comes late sees that it missed something, not a mix of old and new. */
TEST(trace, keeps_the_newest_events)
{
    struct trace_event events[EVENTS];
    struct trace trace;
    trace_init(&trace, events, EVENTS);

    for (int64_t number = 0; number < 10; number++) {
        CHECK(trace_sequence_first(&trace) == (uint64_t)(number < EVENTS ? 0 : number - EVENTS));
        trace_wal_roll(&trace, number, 0);
    }

    CHECK_INT(trace_sequence_first(&trace), 6);
    CHECK(!trace_get(&trace, 5));
    CHECK(!trace_get(&trace, 10));
    for (uint64_t sequence = 6; sequence < 10; sequence++) {
        CHECK_INT(trace_get(&trace, sequence)->fields[0], sequence);
    }
}

/* A room without a listener costs a comparison. */
TEST(trace, does_nothing_when_nobody_listens)
{
    trace_wal_fail(NULL, 3, 4);
}

/* TRC-2: the table is complete whatever is added to it. */
TEST(trace, names_every_kind_and_field)
{
    for (int number = 0; number < TRACE_KIND_END; number++) {
        enum trace_kind kind = (enum trace_kind)number;
        CHECK(trace_kind_name(kind)[0] != '\0');
        CHECK(trace_field_count(kind) >= 1);
        for (size_t index = 0; index < trace_field_count(kind); index++) {
            CHECK(trace_field_name(kind, index)[0] != '\0');
        }
    }
}
