/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/epochs - looking up, adding and cutting stretches.
 */
#include "replication/epochs.h"

static void table_check(const struct epoch_table *table)
{
    ASSERT(table->count <= table->count_max);
    ASSERT(table->count == 0 || table->rows[table->count - 1].offset_start <= table->offset_end);
    ASSERT(table->count < 2 ||
           table->rows[table->count - 2].epoch < table->rows[table->count - 1].epoch); /* EPT-1 */
}

/* Return the index of the row whose stretch holds @offset: the last one that starts at or below it.
 * The table's count if there is none. */
static uint32_t row_of(const struct epoch_table *table, int64_t offset)
{
    ASSERT(offset < table->offset_end);

    uint32_t index = table->count;
    while (index > 0 && table->rows[index - 1].offset_start > offset) {
        index--;
    }
    return index == 0 ? table->count : index - 1;
}

int32_t epochs_before_any(const struct epoch_table *table, int64_t offset_end)
{
    table_check(table);

    ASSERT(offset_end >= 0);
    if (table->count == 0 || offset_end <= table->rows[0].offset_start ||
        offset_end > table->offset_end) {
        return EPOCH_NONE;
    }
    uint32_t index = row_of(table, offset_end - 1);
    ASSERT(index < table->count);
    return table->rows[index].epoch;
}

void epochs_append(struct epoch_table *table, int32_t epoch, int64_t offset_end)
{
    table_check(table);
    ASSERT(offset_end > table->offset_end);
    ASSERT(epoch > EPOCH_NONE);
    ASSERT(table->rows);

    struct epoch_row *last = table->count > 0 ? &table->rows[table->count - 1] : NULL;
    if (!last || last->epoch != epoch) {
        ASSERT(!last || last->epoch < epoch); /* EPT-1 */
        ASSERT(epochs_has_room(table));
        table->rows[table->count++] = (struct epoch_row){epoch, table->offset_end};
    }
    table->offset_end = offset_end;
}

void epochs_truncate(struct epoch_table *table, int64_t offset_end)
{
    table_check(table);
    ASSERT(offset_end <= table->offset_end);
    ASSERT(offset_end >= 0);

    while (table->count > 0 && table->rows[table->count - 1].offset_start >= offset_end) {
        table->count--;
    }
    table->offset_end = offset_end;
}

void epochs_forget(struct epoch_table *table, int64_t offset_start)
{
    table_check(table);
    ASSERT(offset_start <= table->offset_end);
    ASSERT(offset_start >= 0);

    uint32_t gone = 0;
    while (gone + 1 < table->count && table->rows[gone + 1].offset_start < offset_start) {
        gone++;
    }
    for (uint32_t index = gone; index < table->count; index++) {
        table->rows[index - gone] = table->rows[index];
    }
    table->count -= gone;
}

struct quorum_position epochs_end_of_any(const struct epoch_table *table, int32_t epoch)
{
    table_check(table);

    uint32_t count = table->count;
    while (count > 0 && table->rows[count - 1].epoch > epoch) {
        count--;
    }
    int64_t offset_end =
        count == table->count ? table->offset_end : table->rows[count].offset_start;
    int32_t newest = count > 0 ? table->rows[count - 1].epoch : EPOCH_NONE;
    return (struct quorum_position){newest, offset_end};
}

int64_t epochs_fork(const struct epoch_table *table, struct quorum_position theirs, int64_t tried)
{
    table_check(table);
    ASSERT(tried <= table->offset_end);
    ASSERT(tried > 0);

    struct quorum_position ours = epochs_end_of(table, theirs.epoch);
    if (ours.epoch == theirs.epoch && theirs.end < ours.end) {
        ours.end = theirs.end;
    }
    if (ours.end < tried) {
        return ours.end;
    }
    /* An answer to another question, or from a broken peer: a step back all the same. */
    int32_t before = epochs_before(table, tried);
    return epochs_end_of(table, before == EPOCH_NONE ? EPOCH_NONE : before - 1).end;
}
