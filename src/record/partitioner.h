/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/partitioner - from a record's key to its partition, as Kafka's clients do it.
 *
 * Part of the path:  producer -> [partitioner] -> builder of that partition
 *
 * Two programs that write the same key must come to the same partition, whatever they are written
 * in. So it is Java's default: murmur2 of the key's bytes, its sign bit cleared, modulo the number
 * of partitions. Records without a key are spread by the producer.
 *
 * Invariants:
 *   REC-8  A key's partition is the one that Kafka's Java client computes.
 *
 * Threads: pure functions.
 */
#ifndef RECORD_PARTITIONER_H
#define RECORD_PARTITIONER_H

#include <stdint.h>

#include "base/bytes.h"

/** Return the 32-bit murmur2 of @key under Kafka's seed. Borrows. */
uint32_t partitioner_murmur2(struct bytes key);

/** Return the partition of @key among @partition_count, which is at least 1. Borrows. */
int32_t partitioner_partition(struct bytes key, int32_t partition_count);

#endif /* RECORD_PARTITIONER_H */
