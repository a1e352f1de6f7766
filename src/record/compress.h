/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/compress - pack a batch's records, and unpack those that any client packed.
 *
 * Part of the path:  builder -> [pack] -> seal;   batch_verify -> [unpack] -> walk
 *
 * All records of a batch are packed as one blob. We pack with LZ4 only, as one frame of independent
 * blocks of 64 KiB with the content's size in front: Java's reader refuses linked blocks, which
 * LZ4's own defaults make for anything above one block, and a reader that knows the size need not
 * guess. Gzip, snappy and zstd batches of other clients are stored and served as they are, and
 * unpacked only where a room needs the records; snappy and zstd are build options.
 *
 *   LZ4 frame   magic 4 | FLG | BD | content size 8 | HC | block | block | ... | 0 0 0 0
 *   block       bytes 4, bit 31: stored as it is | data
 *
 * Unpacking writes into the caller's memory, at most as much as there is, and takes working memory
 * from the caller too: no call here uses the heap. What is unpacked is one frame to its last byte:
 * bytes left over behind it are refused, as librdkafka does. A bomb is refused twice: by what it
 * declares, before anything is written, and by what it reaches.
 *
 * Failure modes: damaged or cut input, bytes left over   -> PYR_ERR_CORRUPT
 *                more output than memory or limit        -> PYR_ERR_TOO_LARGE
 *                codec not built in                      -> PYR_ERR_UNSUPPORTED
 *                The output memory then holds anything.
 *
 * Invariants:
 *   REC-6  Unpacking writes no byte outside the memory given, whatever the input, and succeeds only
 *          if it used every byte of the input.
 *
 * Threads: pure functions; a workspace serves one call at a time.
 * Reference: docs/formats/batch.md; LZ4 frame format 1.6.
 */
#ifndef RECORD_COMPRESS_H
#define RECORD_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"

/* A workspace begins at a multiple of this, as memory from an allocator does. */
#define COMPRESS_WORKSPACE_ALIGNMENT 16

/** Return whether this build can unpack @codec. */
bool compress_is_built_in(enum batch_codec codec);

/** Return the bytes of workspace that compress_pack needs. */
size_t compress_pack_workspace_bytes(void);

/** Return the bytes of workspace that compress_unpack needs for @codec; may be 0. */
size_t compress_unpack_workspace_bytes(enum batch_codec codec);

/** Return the most bytes that compress_pack makes of @bytes. */
size_t compress_packed_bytes_max(size_t bytes);

/**
 * Pack @records with LZ4 into @out.
 *
 * Borrows @workspace of compress_pack_workspace_bytes(). Give less room than
 * compress_packed_bytes_max() to have it stop when packing is not worth it.
 * PYR_ERR_TOO_LARGE: it does not fit into @out.
 */
MUST_CHECK enum pyr_err compress_pack(struct bytes records,
                                      struct bytes_mut workspace,
                                      struct bytes_mut out,
                                      size_t *ret_bytes,
                                      struct pyr_error *reterr);

/**
 * Tell how much memory unpacking @packed takes at most, in @ret_bytes, without unpacking it.
 *
 * Exact where the format says the size (gzip, snappy, most of the others), never above
 * BATCH_UNPACKED_BYTES_MAX, never 0.
 * PYR_ERR_TOO_LARGE: it declares more than BATCH_UNPACKED_BYTES_MAX.
 */
MUST_CHECK enum pyr_err compress_unpacked_bytes_max(enum batch_codec codec,
                                                    struct bytes packed,
                                                    size_t *ret_bytes,
                                                    struct pyr_error *reterr);

/**
 * Unpack @packed, made with @codec (not "none"), into @out; tell in @ret_bytes how much it is.
 *
 * Borrows @workspace of compress_unpack_workspace_bytes(). @out does not overlap @packed, has at
 * least one byte, and is the limit.
 */
MUST_CHECK enum pyr_err compress_unpack(enum batch_codec codec,
                                        struct bytes packed,
                                        struct bytes_mut workspace,
                                        struct bytes_mut out,
                                        size_t *ret_bytes,
                                        struct pyr_error *reterr);

#endif /* RECORD_COMPRESS_H */
