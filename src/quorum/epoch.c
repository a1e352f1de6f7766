/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/epoch - rounds and nodes in one number.
 */
#include "quorum/epoch.h"

#include <inttypes.h>

#include "base/assert.h"

ASSERT_STATIC((int64_t)EPOCH_ROUNDS_MAX *EPOCH_NODES + EPOCH_NODES - 1 <= INT32_MAX,
              "the last node's epoch of the last round fits into 32 bits");
ASSERT_STATIC(EPOCH_ROUND_ALARM + EPOCH_ROUNDS_AHEAD_MAX < EPOCH_ROUNDS_MAX,
              "one message cannot lead from below the alarm to the end of the range");

bool epoch_node_is_valid(struct node_id node)
{
    return node.value >= 1 && node.value < EPOCH_NODES;
}

int32_t epoch_of(int32_t round, struct node_id node)
{
    ASSERT(round >= 1);
    ASSERT(round <= EPOCH_ROUNDS_MAX);
    ASSERT(epoch_node_is_valid(node)); /* QUO-1: then it can be read back. */
    return round * EPOCH_NODES + node.value;
}

int32_t epoch_round(int32_t epoch)
{
    return epoch > 0 ? epoch / EPOCH_NODES : 0;
}

struct node_id epoch_node(int32_t epoch)
{
    ASSERT(epoch_is_valid(epoch));

    struct node_id node = {epoch % EPOCH_NODES};
    ASSERT(epoch_node_is_valid(node));
    return node;
}

enum pyr_err epoch_next(int32_t above, struct node_id node, int32_t *ret_epoch)
{
    ASSERT(epoch_node_is_valid(node));
    ASSERT(ret_epoch);

    int32_t round = epoch_round(above);
    ASSERT(round >= 0);
    if (round >= EPOCH_ROUNDS_MAX) {
        return PYR_ERR_FAILED;
    }
    int32_t epoch = epoch_of(round + 1, node);
    ASSERT(epoch > above);                          /* QUO-1 */
    ASSERT(node_id_equal(epoch_node(epoch), node)); /* QUO-1 */
    *ret_epoch = epoch;
    return PYR_OK;
}

bool epoch_is_credible(int32_t epoch, int32_t own)
{
    ASSERT(own == EPOCH_NONE || epoch_is_valid(own));

    if (!epoch_is_valid(epoch)) {
        return false;
    }
    ASSERT(epoch_round(epoch) >= 1);
    bool is_credible = epoch_round(epoch) - epoch_round(own) <= EPOCH_ROUNDS_AHEAD_MAX;
    if (is_credible) {
        ASSERT(epoch_is_valid(epoch)); /* QUO-2 */
    }
    return is_credible;
}

bool epoch_is_alarming(int32_t epoch)
{
    ASSERT(epoch == EPOCH_NONE || epoch_is_valid(epoch));
    return epoch_round(epoch) > EPOCH_ROUND_ALARM;
}

void epoch_put_text(struct text *text, int32_t epoch)
{
    ASSERT(text);

    if (epoch == EPOCH_NONE) {
        text_put(text, "none");
    } else if (epoch_is_valid(epoch)) {
        text_format(text, "%" PRId32 ".%" PRId32, epoch_round(epoch), epoch_node(epoch).value);
    } else {
        text_format(text, "invalid epoch %" PRId32, epoch);
    }
    ASSERT(text->count < text->bytes_room);
}
