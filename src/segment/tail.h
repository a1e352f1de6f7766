/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/tail - a copy of the last, partly filled block of a .log, for the case that it is torn.
 *
 * Batches stand one after the other without padding, so the next append rewrites the block in which
 * the last synced batch ends. If the power goes at that moment, the device may leave a sector of it
 * neither old nor new, and bytes that were acknowledged, and freed from the journal, are gone. Each
 * sync of the OPEN segment therefore first puts the filled part of that block into one of two slots
 * at the front of the .digest, which is synced with it anyway; the two are used in turn, so that
 * the copy that the owner's last claim needs is never the one being written.
 *
 *      .log     ...|########|########|###    |      ### ends at the synced end
 *                                      |
 *      .digest  | header, START | slot A | slot B | points ...
 *      at         0               4096     12288    20480
 *
 * A slot, little-endian: 0 8 "PYRTAIL1", 8 4 position of the block, 12 4 bytes, 16 4 CRC32C of
 * 0..15 and the bytes, begun with the identity; the bytes at 4096.
 *
 * A block that later syncs have gone past is not rewritten any more, and needs no copy.
 *
 * Threads: any.
 */
#ifndef SEGMENT_TAIL_H
#define SEGMENT_TAIL_H

#include "io/io.h"
#include "segment/segment.h"

/** Copy the filled part of the block in which @shape ends into slot @turn modulo 2. Does not sync.
 * Blocks. */
MUST_CHECK enum pyr_err segment_tail_save(struct io *io,
                                          struct segment_handle *handle,
                                          const struct segment_shape *shape,
                                          uint32_t turn,
                                          struct pyr_error *reterr);

/** Put the bytes of slot @turn modulo 2 back into the .log if the slot is whole and they differ.
 * *@ret_changed says whether they did. Blocks. */
MUST_CHECK enum pyr_err segment_tail_restore(struct io *io,
                                             const char *folder,
                                             const struct segment_identity *identity,
                                             uint32_t turn,
                                             bool *ret_changed,
                                             struct pyr_error *reterr);

/** Return the turn of the newest whole copy, 0 if there is none: the next one takes the other slot.
 * Blocks. */
MUST_CHECK enum pyr_err segment_tail_turn(struct io *io,
                                          const char *folder,
                                          const struct segment_identity *identity,
                                          uint32_t *ret_turn,
                                          struct pyr_error *reterr);

#endif /* SEGMENT_TAIL_H */
