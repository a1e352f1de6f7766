/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication/scripted - a cluster on paper that does what a table says, and is held against it.
 *
 * A scenario is one table. Its first column is the script, a step a line; the others say what each
 * replica is after it, or "." if that did not change. So the table is the script, the expected
 * trace and the explanation at once:
 *
 *     step        A          B          C
 *     stand A     P0:|       .          .
 *
 * A cell is role, promise, log. The role is F follower, P in a pre-vote, C candidate, L leader, S
 * stopped, R told that it is removed; `+` behind it: its lease holds. The promise is round and
 * node, 2B; `?` behind it: not durable. The log is a stretch for each epoch, with `o` for an
 * opening batch, `&` for a joint configuration, `=` for a final one, and a letter for each record;
 * what is before `|` is known as committed, what is behind `/` is not durable. A replica that is
 * down is `down`, with the log that its disk has. A line may have several steps, with commas
 * between.
 *
 *     A>B, A>>B      the oldest message, all messages of this link arrive
 *     silent A>B     nothing is on its way from A to B
 *     repeat A>B     the oldest arrives, and will once more
 *     delay A>B      the oldest stays behind until `late A>B`
 *     drop A>B       all messages of this link are lost; drop A: all that A sent
 *     alien A>B      the oldest arrives, as if from another disk of A's node
 *     talk, talk AB  those who are named, or all, flush and deliver until all is said
 *     append A x     A takes the record x; records are called a, b, c as they come
 *     refuse A       A does not take a record
 *     flush A        A's journal is durable, all of it; flush A 1: the first entry
 *     crash A, start A
 *     stand A        time passes to A's deadline, and only A is told
 *     wait 5         five tenths of a minimum timeout pass, and nobody is told
 *     look A         A is told the time; look A 12: and that a flush has been under way for twelve
 *                    tenths of a timeout
 *     beat A         A tells all that it is alive
 *     hand A>B       A shall hand over to B
 *     members BCD    who leads begins to change to these voters, more than half of whom write
 *     cut A-B, heal  nothing passes between them; all links are whole
 *     run 20         twenty timeouts in which everything happens as it does by itself
 */
#ifndef REPLICATION_SCRIPTED_H
#define REPLICATION_SCRIPTED_H

#include <stdint.h>

/** Play @table in a blank cluster of @voter_count nodes with this @write_quorum: the test fails
 * where it differs, or where paper.h finds a violation. */
void scripted_play(int32_t voter_count, int32_t write_quorum, const char *table);

/** Play @table likewise, in a cluster that has @learner_count learners behind its voters. */
void scripted_play_with(int32_t voter_count,
                        int32_t learner_count,
                        int32_t write_quorum,
                        const char *table);

#endif /* REPLICATION_SCRIPTED_H */
