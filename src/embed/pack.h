/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/pack - the packing of a log's batches, where it pays.
 *
 * A batch that gathered is packed at its sealing: its records go through LZ4 into scratch memory,
 * and only if an eighth is saved do they come back, behind the same header, into the room in the
 * cache. A stream that does not shrink is left alone for a while (record/adaptive).
 *
 * Threads: with the store's lock.   Memory: made when a log asks for compression; the store's lock
 * guards it.
 */
#ifndef EMBED_PACK_H
#define EMBED_PACK_H

#include "base/err.h"
#include "record/adaptive.h"
#include "record/builder.h"

struct io;

/* Scratch memory and state of one log. Zeroed packs nothing. */
struct packer {
    struct io *io;
    struct bytes_mut workspace;
    struct bytes_mut scratch; /* A packed batch. */
    struct adaptive adaptive;
};

/** Get @packer ready. Gives: packer_deinit. PYR_ERR_NO_MEMORY. */
MUST_CHECK enum pyr_err packer_init(struct packer *packer, struct io *io, struct pyr_error *reterr);

/** Free what @packer holds; a zeroed one is accepted. */
void packer_deinit(struct packer *packer);

/** Seal @builder's batch in its room, packed if that pays, and return its bytes. */
size_t packer_seal(struct packer *packer, struct builder *builder);

#endif /* EMBED_PACK_H */
