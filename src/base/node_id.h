/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/node_id - who a node is: its number, and the identity of the storage that it runs on.
 *
 * The number is what people configure. The storage identity is drawn at random when the data folder
 * is made and lives in it, so that a disk that was lost, emptied or exchanged shows as another one:
 * the node that comes back under its old number is not the voter that made promises before.
 */
#ifndef BASE_NODE_ID_H
#define BASE_NODE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define STORAGE_ID_BYTES 16

/* From 1 to EPOCH_NODES - 1 (base/limits.h); 0 stands for no node. */
struct node_id {
    int32_t value;
};

/* All zeros stands for no storage. */
struct storage_id {
    uint8_t value[STORAGE_ID_BYTES];
};

/** Return whether @left and @right are the same node. */
static inline bool node_id_equal(struct node_id left, struct node_id right)
{
    return left.value == right.value;
}

/** Return whether @left and @right name the same storage. */
static inline bool storage_id_equal(const struct storage_id *left, const struct storage_id *right)
{
    return memcmp(left->value, right->value, STORAGE_ID_BYTES) == 0;
}

/** Return whether @id names a storage at all. */
static inline bool storage_id_is_set(const struct storage_id *id)
{
    static const struct storage_id none = {{0}};
    return !storage_id_equal(id, &none);
}

#endif /* BASE_NODE_ID_H */
