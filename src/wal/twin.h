/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/twin - a small file that is replaced as a whole and holds its contents twice.
 *
 * The checkpoint and the run number are kept so. Replacing: write `<name>.new`, sync it, rename it
 * over `<name>`, sync the folder; a crash leaves the old or the new one, never a mixture. Two
 * copies, because one bad sector in a file that is needed at every start must not keep the journal
 * shut. An older version is not kept beside: what it refers to may have been recycled, so falling
 * back to it would lose records silently instead of refusing.
 *
 *   +--------+------+-------+--------+------+-------+
 *   | header | body | zeros | header | body | zeros |      both halves are whole blocks
 *   +--------+------+-------+--------+------+-------+
 *
 *   header:  0 u32 magic   4 u16 version   6 u16 kind   8 16 storage id   24 u32 shard   28 u32
 * zero 32 u64 body bytes   40 u64 checksum of 0 to 40 and the body
 *
 * Failure modes: PYR_ERR_DISK_FULL, PYR_ERR_NO_MEMORY -> the old file stands, try again later;
 *                another error -> the old or the new file stands, trust neither before a restart
 *
 * Invariants:
 *   TWIN-1  After wal_twin_write() succeeded, the new contents survive any crash; before, a crash
 *           leaves the old contents or the new.
 *   TWIN-2  Damage to one copy changes nothing of what is read.
 *
 * Threads: any; blocks.   Memory: the caller's image; a read one is freed by wal_twin_free.
 */
#ifndef WAL_TWIN_H
#define WAL_TWIN_H

#include "wal/format.h"

struct io;

#define WAL_TWIN_HEADER_BYTES 48

enum wal_twin_kind {
    WAL_TWIN_CHECKPOINT = 1,
    WAL_TWIN_RUN = 2,
};

/* Which twin file. */
struct wal_twin_name {
    enum wal_twin_kind kind;
    const char *folder;
    const char *file; /* "checkpoint" or "run". */
};

/* A twin file as it was read. */
struct wal_twin {
    uint8_t *memory;
    struct wal_identity identity; /* Whose it is; file_bytes is 0. */
    struct bytes body;            /* Inside memory. */
    uint32_t copies_bad;          /* 0 or 1. */
};

/** Return the bytes of an image, one of the two copies, whose body has @body_bytes. */
uint64_t wal_twin_image_bytes(uint64_t body_bytes);

/**
 * Complete the image of a twin file.
 *
 * The body stands behind WAL_TWIN_HEADER_BYTES of @image already; image.count is
 * wal_twin_image_bytes(@body_bytes). The header is written and the rest zeroed.
 */
void wal_twin_seal(struct bytes_mut image,
                   enum wal_twin_kind kind,
                   const struct wal_identity *identity,
                   uint64_t body_bytes);

/** Replace the file @name by two copies of the sealed @image (TWIN-1). Borrows. Blocks. */
MUST_CHECK enum pyr_err wal_twin_write(struct io *io,
                                       const struct wal_twin_name *name,
                                       struct bytes image,
                                       struct pyr_error *reterr);

/**
 * Read the file @name (TWIN-2).
 *
 * Gives: wal_twin_free. PYR_ERR_NOT_FOUND; PYR_ERR_CORRUPT if both copies are bad; PYR_ERR_VERSION;
 * PYR_ERR_FOREIGN if it belongs to another storage or shard than @identity, whose file_bytes do not
 * count. @identity may be NULL. Blocks.
 */
MUST_CHECK enum pyr_err wal_twin_read(struct io *io,
                                      const struct wal_twin_name *name,
                                      const struct wal_identity *identity,
                                      struct wal_twin *ret_twin,
                                      struct pyr_error *reterr);

/** Free what wal_twin_read gave; a zeroed one is fine. */
void wal_twin_free(struct io *io, struct wal_twin *twin);

#endif /* WAL_TWIN_H */
