/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/checkpoint - what replay begins at, and the run number: the journal's two twin files.
 *
 * Body of `checkpoint`:   0 u64 number        32 u64 run of the flush before
 *                         8 u64 file bytes    40 u64 sequence of it
 *                        16 u64 durable_upto  48 u64 checksum of its header
 *                        24 u64 resume at     56 u32 bytes used of it   60 u32 zero
 *                        64 the caller's body
 * Body of `run`:          0 u64 run            8 u64 a random number drawn at that start
 *                        16 u64 files that the journal had then at least
 *
 * A checkpoint:   1. the job replaces `checkpoint` (new, sync, rename, sync folder)
 *                 2. its mark, with number and place, goes into the journal, durable
 *                 3. files wholly below the place are FREE, to be recycled
 *
 * The mark says that this checkpoint was made: should an older `checkpoint` come back, replay finds
 * a mark with a higher number and refuses, rather than begin at files that hold something else now.
 *
 * A replay can begin only where a flush does, with that flush's predecessor known. Such links are
 * remembered while the journal is written, some 64 a file (landmarks); a checkpoint begins at the
 * last one at or below the position that its caller names.
 *
 * Invariants:
 *   CHK-1  A checkpoint never resumes above the position that its caller named.
 *   CHK-2  A new checkpoint has a higher number and resumes no earlier than the one before.
 *
 * Threads: the journal's owner; the job touches its struct only.   Memory: one image, from begin to
 * the end of the job.
 */
#ifndef WAL_CHECKPOINT_H
#define WAL_CHECKPOINT_H

#include "io/io.h"
#include "wal/twin.h"

#define WAL_CHECKPOINT_HEADER_BYTES 64
#define WAL_RUN_BYTES               24

struct wal_checkpoint {
    uint64_t number;
    uint64_t file_bytes;
    uint64_t durable_upto;
    struct wal_link resume;
    struct bytes body;
};

struct wal_run {
    uint64_t run;
    uint64_t random; /* Tells a rolled-back storage that counts up again from its former self. */
    uint64_t files;  /* Fewer than these at a start: some are missing. */
};

/* A checkpoint on its way. */
struct wal_checkpoint_work {
    int state;       /* enum wal_checkpoint_state. */
    uint64_t number; /* Of the last one that is durable, or of the one on its way. */
    struct wal_link resume;
    uint64_t mark_end; /* Journal position of the mark's end. */
    struct io_job job;
    struct io *io;
    const char *folder;
    struct bytes_mut image;
    enum pyr_err err; /* Result. */
    struct pyr_error reason;
};

/** Write what stands before the caller's body to @data. */
void wal_checkpoint_encode(const struct wal_checkpoint *checkpoint,
                           uint8_t data[WAL_CHECKPOINT_HEADER_BYTES]);

/** Read a checkpoint from @body, which it borrows; return whether it makes sense. */
bool wal_checkpoint_decode(struct bytes body, struct wal_checkpoint *ret_checkpoint);

/** Write a checkpoint file at once, for a new journal or a repair. Blocks. */
MUST_CHECK enum pyr_err wal_checkpoint_write(struct io *io,
                                             const char *folder,
                                             const struct wal_identity *identity,
                                             const struct wal_checkpoint *checkpoint,
                                             struct pyr_error *reterr);

/** Replace the file `run`. Blocks. */
MUST_CHECK enum pyr_err wal_run_write(struct io *io,
                                      const char *folder,
                                      const struct wal_identity *identity,
                                      const struct wal_run *run,
                                      struct pyr_error *reterr);

/** Read the file `run`; errors as wal_twin_read(). @identity may be NULL. Blocks. */
MUST_CHECK enum pyr_err wal_run_read(struct io *io,
                                     const char *folder,
                                     const struct wal_identity *identity,
                                     struct wal_run *ret_run,
                                     struct pyr_error *reterr);

/** Read the file `checkpoint`; errors as wal_twin_read(). @ret_checkpoint's body lies in @ret_twin,
 * which gives: wal_twin_free. Blocks. */
MUST_CHECK enum pyr_err wal_checkpoint_read(struct io *io,
                                            const char *folder,
                                            const struct wal_identity *identity,
                                            struct wal_checkpoint *ret_checkpoint,
                                            struct wal_twin *ret_twin,
                                            struct pyr_error *reterr);

#endif /* WAL_CHECKPOINT_H */
