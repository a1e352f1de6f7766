/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/epochs - which epoch wrote which part of a log: the map by which forks are found.
 *
 * Part of the path:  follower, leader -> [epochs]
 *
 * A log is a row of stretches, each written under one epoch, and the epochs rise. The table holds
 * where each stretch begins; the last one ends where the log ends:
 *
 *      epoch     1.1         2.3      5.2
 *      offsets   |0 ....... 40|40 . 47|47 ......... 90|        rows: (1.1, 0) (2.3, 40) (5.2, 47)
 *
 * Two logs that hold the same (epoch, offset) are alike up to there (EPT-2), since a leader never
 * writes two different batches at one offset under one epoch, and never under an epoch that is not
 * its own. Where they part is therefore found from the tables alone, a stretch at a time: this is
 * what replaces a walk back entry by entry, and what a follower's own commit point, which may be
 * old, must never replace (KIP-101).
 *
 * Invariants:
 *   EPT-1  rows rise strictly in epoch and in start
 *   EPT-2  same epoch at the same offset in two logs: the same bytes there and everywhere below
 *
 * Threads: pure functions over the caller's rows.   Memory: the caller's.
 */
#ifndef REPLICATION_EPOCHS_H
#define REPLICATION_EPOCHS_H

#include "base/assert.h"
#include "quorum/epoch.h"
#include "quorum/position.h"

/* From here on, up to the next row, batches were appended under this epoch. */
struct epoch_row {
    int32_t epoch;
    int64_t offset_start;
};

/* The epochs of one log. */
struct epoch_table {
    struct epoch_row *rows; /* Borrowed. */
    uint32_t count;
    uint32_t count_max;
    int64_t offset_end; /* Of the log. */
};

/** As epochs_before, by looking through the table. */
int32_t epochs_before_any(const struct epoch_table *table, int64_t offset_end);

/** As epochs_end_of, by looking through the table. */
struct quorum_position epochs_end_of_any(const struct epoch_table *table, int32_t epoch);

/** Return the last stretch, NULL if there is none: that of nearly all questions, so that the two
 * below look at it before they look at the others. */
static inline const struct epoch_row *epochs_last(const struct epoch_table *table)
{
    ASSERT(table->count <= table->count_max);
    return table->count > 0 ? &table->rows[table->count - 1] : NULL;
}

/** Return the epoch of the batch that holds the offset before @offset_end: EPOCH_NONE where the
 * table begins and past the log's end. */
static inline int32_t epochs_before(const struct epoch_table *table, int64_t offset_end)
{
    ASSERT(offset_end >= 0);
    const struct epoch_row *last = epochs_last(table);
    bool is_last = last && offset_end > last->offset_start && offset_end <= table->offset_end;
    return is_last ? last->epoch : epochs_before_any(table, offset_end);
}

/** Return where the log stands. */
static inline struct quorum_position epochs_position(const struct epoch_table *table)
{
    const struct epoch_row *last = epochs_last(table);
    ASSERT(!last || last->offset_start <= table->offset_end);
    return (struct quorum_position){last ? last->epoch : EPOCH_NONE, table->offset_end};
}

/** Return whether another append can begin a row. */
static inline bool epochs_has_room(const struct epoch_table *table)
{
    ASSERT(table->count <= table->count_max);
    return table->count < table->count_max;
}

/** Let the log go on to @offset_end under @epoch, which is not below its last one. */
void epochs_append(struct epoch_table *table, int32_t epoch, int64_t offset_end);

/** Let the log end at @offset_end. */
void epochs_truncate(struct epoch_table *table, int64_t offset_end);

/** Forget the rows that end at or below @offset_start. What begins below and goes on stays as it
 * is, so that the epoch of the batch before the log's start is known. */
void epochs_forget(struct epoch_table *table, int64_t offset_start);

/**
 * Return where the stretch of the newest epoch at or below @epoch ends in this log, and that epoch:
 * the answer of a leader to a follower whose log ends in @epoch, and of a follower to a leader.
 * Epoch EPOCH_NONE and the start of the table if all its epochs are above.
 */
static inline struct quorum_position epochs_end_of(const struct epoch_table *table, int32_t epoch)
{
    const struct epoch_row *last = epochs_last(table);
    if (last && last->epoch <= epoch) {
        return (struct quorum_position){last->epoch, table->offset_end};
    }
    return epochs_end_of_any(table, epoch);
}

/**
 * Return the offset at which to try next, below @tried, after a log that does not hold the batch
 * before @tried answered @theirs: its epochs_end_of(the epoch of that batch).
 *
 * If both logs have that epoch they are alike up to the earlier of its two ends; else nothing above
 * the end of our next older epoch is common. Each step leaves an epoch behind, so that there are at
 * most as many steps as epochs, and mostly one or two. The start of the table: nothing is common.
 */
int64_t epochs_fork(const struct epoch_table *table, struct quorum_position theirs, int64_t tried);

#endif /* REPLICATION_EPOCHS_H */
