/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's life: append, acknowledge, roll, checkpoint, recycle, stop, open.
 */
#include <stdio.h>

#include "io/testing.h"
#include "unit/wal/journal_case.h"

#define NS_PER_MS UINT64_C(1000000)

/* What was acknowledged comes back, in order, with all its fields. */
TEST(wal, gives_back_what_was_durable_in_order)
{
    struct journal_case c;
    journal_case_init(&c);
    journal_case_start(&c);

    journal_case_durable(&c, "one");
    journal_case_durable(&c, "two");
    journal_case_durable(&c, "three");
    journal_case_stop(&c);
    journal_case_start(&c);

    CHECK_TEXT(journal_case_texts(&c), "one two three");
    CHECK_INT(c.replayed[2].offset, 2);
    CHECK_INT(c.replayed[2].epoch, 3);
    CHECK_INT(c.replayed[2].number, 2);
    CHECK_INT(c.replayed[2].kind, WAL_ENTRY_APPEND);
    CHECK(c.report.was_clean);
    CHECK_INT(c.report.cut, WAL_CUT_NONE);
    journal_case_deinit(&c);
}
