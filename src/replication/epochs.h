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

/** Return the epoch of the batch that holds the offset before @offset_end: EPOCH_NONE where the
 * table begins and past the log's end. */
int32_t epochs_before(const struct epoch_table *table, int64_t offset_end);

/** Return where the log stands. */
struct quorum_position epochs_position(const struct epoch_table *table);

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
struct quorum_position epochs_end_of(const struct epoch_table *table, int32_t epoch);

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
