/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/position - how far a log reaches, which of two is ahead, and what a quorum read waits for.
 *
 * Logs are compared by the epoch of their last entry, then by their end. Longer is not further:
 *
 *     A   epoch 1: 0..9                 end 10        B is ahead: a leader of epoch 3 wrote at 5,
 *     B   epoch 1: 0..4   epoch 3: 5    end  6        so A's 5..9 were not committed then
 *
 * Why that order keeps every committed entry: to commit an entry of epoch e, W voters had a log
 * that ends in e or later. A log that ends in a later epoch holds that leader's opening entry and
 * all that was below it in that leader's log. That leader was elected by E voters, one of them
 * among the W; this one had the entry before it promised the later epoch (afterwards it would not
 * have taken it), and the leader was not behind it. Therefore, by induction over epochs, whoever is
 * not behind one of the W has the entry. A voter grants its vote only to a candidate that is not
 * behind it.
 *
 * The same order serves quorum reads. R voters say how far their logs reach; W + R > N, so one of
 * them has everything that was committed before it was asked, and the furthest of the R is not
 * behind it. A reader that has waited until the partition is committed up to there has seen
 * everything that was acknowledged before it began. What the furthest voter has need not be
 * committed: hence the waiting, and no answer from the copy itself.
 *
 * Invariants:
 *   QUO-13  A read's target is the furthest of the answers of at least R voters of every
 *           configuration.
 *
 * Threads: pure functions.
 */
#ifndef QUORUM_POSITION_H
#define QUORUM_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "quorum/set.h"

/* How far a log reaches. */
struct quorum_position {
    int32_t epoch; /* Of the last entry; EPOCH_NONE or below of an empty log. */
    int64_t end;   /* The offset behind it; QUORUM_END_UNKNOWN in a table: no answer. */
};

/** Return a number below, equal to or above 0 if @left is behind, level with or ahead of @right. */
int quorum_position_compare(struct quorum_position left, struct quorum_position right);

/** Return whether a voter whose log reaches to @own may elect a candidate whose reaches to
 * @candidate. */
bool quorum_candidate_is_level(struct quorum_position candidate, struct quorum_position own);

/**
 * Set @ret_target to the position that a quorum read must wait for; return false while fewer than R
 * voters of some configuration have answered. @set allows quorum reads.
 *
 * @answers  by member: how far its log reaches. Suspects do not answer. Borrowed.
 */
bool quorum_read_target(const struct quorum_set *set,
                        const struct quorum_position *answers,
                        struct quorum_position *ret_target);

/** Add @position to @text as people see it, `round.node:offset`. */
void quorum_position_put_text(struct text *text, struct quorum_position position);

#endif /* QUORUM_POSITION_H */
