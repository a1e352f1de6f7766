/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/checksum - the checks over bytes: CRC32C, a 64-bit hash, and a running 64-bit digest.
 *
 * CRC32C (Castagnoli, reflected, as in iSCSI and in Kafka's batches) guards everything on disk. It
 * is chained by extending: the checksum of the bytes so far goes in, that of all bytes comes out,
 * and 0 stands for "nothing so far":
 *
 *   checksum_crc32c(checksum_crc32c(0, head), tail) == checksum_crc32c(0, head followed by tail)
 *
 * Three ways compute it, and one inline question to the processor picks among them, so that no
 * pointer in writable memory is called:
 *
 *   bytes          processor with SSE 4.2                   any other
 *   < 256          serial: one crc32 instruction a word     table
 *   >= 256         folding: ISA-L, 128 to 512 bits a step   table
 *
 * The border lies at 256 because ISA-L falls to a byte loop below it.
 *
 * The hash is XXH3 (64 bits). It is not for disk formats that strangers write: it does not resist
 * somebody who picks the bytes to collide. The digest chains the hash, so that two histories with
 * the same digest have the same steps in the same order.
 *
 * Invariants:
 *   SUM-1  All ways of computing CRC32C agree for every seed, length and alignment.
 *   SUM-2  Extending piece by piece gives the checksum of the whole, wherever the pieces end.
 *   SUM-3  A digest depends on every step, on its bytes and on the order of the steps.
 *   SUM-4  No call leaves the vector registers in a state that slows the code after it.
 *
 * Threads: pure functions.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Inputs of at least this many bytes are worth folding. */
#define CHECKSUM_FOLD_BYTES_MIN 256

/**
 * Return the CRC32C of the bytes behind @seed_crc followed by @data.
 *
 * @seed_crc is 0 to begin, or an earlier result to extend. Borrows @data.
 */
uint32_t checksum_crc32c(uint32_t seed_crc, struct bytes data);

/**
 * Return the CRC32C of two pieces from that of each: @crc_first, and @crc_second over
 * @bytes_second bytes.
 *
 * With it a checksum that is known already (a batch's) becomes part of a larger one (its frame's)
 * without reading the bytes again. Takes a step per bit of @bytes_second.
 */
uint32_t checksum_crc32c_combine(uint32_t crc_first, uint32_t crc_second, uint64_t bytes_second);

/** Return the 64-bit hash of @data under @seed. Borrows @data. */
uint64_t checksum_hash64(uint64_t seed, struct bytes data);

/** Return the XXH32 hash of @data with seed 0, which is what LZ4 frames check themselves with.
 * Borrows @data. */
uint32_t checksum_xxh32(struct bytes data);

/** Return the digest after the step @data, where @previous is the digest before it, 0 at the
 * beginning. Borrows @data. */
uint64_t checksum_digest64(uint64_t previous, struct bytes data);

/* -- The ways, each callable by itself so that a test can hold it against the others. -- */

/** Return whether this processor runs the two ways below. */
bool checksum_has_instruction(void);

/** Compute checksum_crc32c() with tables, on any machine. Borrows @data. */
uint32_t checksum_crc32c_table(uint32_t seed_crc, struct bytes data);

/** Compute checksum_crc32c() a word at a time; only if checksum_has_instruction(). Borrows @data.
 */
uint32_t checksum_crc32c_serial(uint32_t seed_crc, struct bytes data);

/** Compute checksum_crc32c() by folding; only if checksum_has_instruction(). Borrows @data. */
uint32_t checksum_crc32c_fold(uint32_t seed_crc, struct bytes data);

#endif /* BASE_CHECKSUM_H */
