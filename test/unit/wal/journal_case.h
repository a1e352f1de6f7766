/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit/wal/journal_case - a journal under test: its environment, and short names for what tests do.
 *
 * Everything goes through the seam, damage included, so the same tests run on every implementation
 * of it. A "kill" is a copy of the folder taken at that moment: what a program that dies there
 * leaves behind (test/fault does the same with a disk that forgets what was not synced).
 */
#ifndef WAL_JOURNAL_CASE_H
#define WAL_JOURNAL_CASE_H

#include "lib/case.h"
#include "unit/io/seam.h"
#include "wal/format.h"
#include "wal/wal.h"

enum {
    CASE_FILE_BYTES = 64 << 10,
    CASE_REPLAYED_MAX = 4096,
    CASE_TEXT_BYTES_MAX = 64,
};

/* An entry as replay gave it, its payload cut to a text. */
struct case_replayed {
    enum wal_entry_kind kind;
    int64_t offset;
    int32_t epoch;
    uint64_t number;
    size_t payload_bytes;
    char text[CASE_TEXT_BYTES_MAX];
};

struct journal_case {
    struct io *io;
    struct io_loop *loop;
    struct wal_options options;
    struct wal *wal;
    uint64_t number; /* Of the next entry. */
    struct pyr_error error;
    struct wal_replay_report report;
    struct case_replayed *replayed;
    size_t replayed_count;
    char body[64]; /* The checkpoint's body, as a text. */
};

/** Set up an environment and the options of a journal with small files and no idle flush. */
void journal_case_init(struct journal_case *c);

/** Give everything back; the journal is closed cleanly if it is open. */
void journal_case_deinit(struct journal_case *c);

/** Open and replay the journal without starting it, and close it: nothing in it changes. */
enum pyr_err journal_case_replay(struct journal_case *c);

/** Open, replay and start the journal; return the first error. */
enum pyr_err journal_case_open(struct journal_case *c);

/** Open and start, and require that it works. */
void journal_case_start(struct journal_case *c);

/** Stop cleanly and destroy. */
void journal_case_stop(struct journal_case *c);

/** Append @text, padded with dots to @bytes if that is more, and return what wal_append says. */
enum pyr_err journal_case_try(struct journal_case *c,
                              const char *text,
                              size_t bytes,
                              uint64_t *ret_position);

/** Append @text, durable now, waiting for room; return its end position. */
uint64_t journal_case_append(struct journal_case *c, const char *text, size_t bytes);

/** Append @text and wait until it is durable. */
void journal_case_durable(struct journal_case *c, const char *text);

/** Kick and dispatch once, waiting at most @wait_ns. */
void journal_case_turn(struct journal_case *c, uint64_t wait_ns);

/** Kick and dispatch until everything up to @position is durable or the journal has failed. */
void journal_case_wait(struct journal_case *c, uint64_t position);

/** Dispatch until the three spare files are ready. */
void journal_case_settle(struct journal_case *c);

/** Checkpoint everything up to @position with @body as body, and wait until files are freed. */
void journal_case_checkpoint(struct journal_case *c, const char *body, uint64_t position);

/** Leave the running journal as a kill would, stop it, and let the case go on with the copy. */
void journal_case_kill(struct journal_case *c);

/** Write @bytes at @position of the file @name in the journal's folder. */
void journal_case_damage(struct journal_case *c,
                         const char *name,
                         int64_t position,
                         struct bytes bytes);

/** Flip bit @bit of the byte at @position of the file @name. */
void journal_case_flip(struct journal_case *c, const char *name, int64_t position, unsigned bit);

/** Read @span at @position of the file @name. */
void journal_case_read(struct journal_case *c,
                       const char *name,
                       int64_t position,
                       struct bytes_mut span);

/** Copy the files of the folder @from into the new folder @to. */
void journal_case_copy(struct journal_case *c, const char *from, const char *to);

/** Return the texts replayed, joined by spaces; padding is left out. Rotating buffer. */
const char *journal_case_texts(const struct journal_case *c);

#endif /* WAL_JOURNAL_CASE_H */
