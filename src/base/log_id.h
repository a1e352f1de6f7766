/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log_id - the name that a partition's log keeps for life: 16 random bytes.
 *
 * A topic can be deleted and its name taken again; the log id tells the old log's entries and files
 * from the new one's.
 */
#ifndef BASE_LOG_ID_H
#define BASE_LOG_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LOG_ID_BYTES 16

/* All zeros stands for no log. */
struct log_id {
    uint8_t value[LOG_ID_BYTES];
};

/** Return whether @left and @right name the same log. */
static inline bool log_id_equal(const struct log_id *left, const struct log_id *right)
{
    return memcmp(left->value, right->value, LOG_ID_BYTES) == 0;
}

#endif /* BASE_LOG_ID_H */
