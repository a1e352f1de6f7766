/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/control - values in and out.
 */
#include "record/control.h"

#include "base/codec.h"
#include "record/walk.h"

enum {
    CONTROL_VERSION = 0,
    KEY_BYTES = 4,
    VALUE_BYTES_MAX = 22,
};

/* Return the bytes of a value of @type; 0: it is none of ours. */
static size_t value_bytes(uint16_t type)
{
    ASSERT_STATIC(2 + 8 + 8 + 4 == VALUE_BYTES_MAX, "a gap is the longest");

    switch (type) {
    case CONTROL_CLOCK:
    case CONTROL_TOKEN:
        return 2 + 8;
    case CONTROL_REFUSAL:
        return 2 + 2 + 4;
    case CONTROL_GAP:
        return VALUE_BYTES_MAX;
    default:
        return 0;
    }
}

/* Put what @control says behind the version. */
static void value_put(const struct control *control, uint8_t *to)
{
    const struct control_refusal *refusal = &control->as.refusal;
    const struct control_gap *gap = &control->as.gap;
    ASSERT(to);

    switch (control->type) {
    case CONTROL_CLOCK:
        put_be64(to, (uint64_t)control->as.clock_ms);
        return;
    case CONTROL_TOKEN:
        ASSERT(control->as.token >= 0);
        put_be64(to, (uint64_t)control->as.token);
        return;
    case CONTROL_REFUSAL:
        ASSERT(refusal->sequence_count > 0);
        put_be16(to, (uint16_t)refusal->reason);
        put_be32(to + 2, (uint32_t)refusal->sequence_count);
        return;
    case CONTROL_GAP:
        ASSERT(gap->offset_first < gap->offset_end);
        put_be64(to, (uint64_t)gap->offset_first);
        put_be64(to + 8, (uint64_t)gap->offset_end);
        put_be32(to + 16, (uint32_t)gap->epoch);
        return;
    }
    ASSERT(false);
}

struct bytes_mut control_build(struct bytes_mut memory,
                               const struct control *control,
                               int64_t timestamp_ms)
{
    size_t bytes = value_bytes((uint16_t)control->type);
    ASSERT(memory.count >= CONTROL_BATCH_BYTES_MAX);
    ASSERT(bytes > 0);

    uint8_t value[VALUE_BYTES_MAX];
    put_be16(value, CONTROL_VERSION);
    value_put(control, value + 2);
    struct builder builder;
    builder_init(&builder, (struct bytes_mut){memory.data, CONTROL_BATCH_BYTES_MAX});
    enum pyr_err err = builder_add_control(&builder, (int16_t)control->type,
                                           (struct bytes){value, bytes}, timestamp_ms, NULL);
    ASSERT(err == PYR_OK);
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    if (control->type == CONTROL_REFUSAL) {
        stamp.producer_id = control->as.refusal.producer_id;
        stamp.producer_epoch = control->as.refusal.producer_epoch;
        stamp.base_sequence = control->as.refusal.sequence_first;
    }
    return builder_seal(&builder, &stamp);
}

/* Take from @from, behind the version, what a value of control->type says; false if it cannot. */
static bool value_get(const uint8_t *from,
                      const struct batch_header *header,
                      struct control *control)
{
    struct control_refusal *refusal = &control->as.refusal;
    struct control_gap *gap = &control->as.gap;
    ASSERT(from);

    switch (control->type) {
    case CONTROL_CLOCK:
        control->as.clock_ms = (int64_t)get_be64(from);
        return control->as.clock_ms >= 0;
    case CONTROL_TOKEN:
        control->as.token = (int64_t)get_be64(from);
        return control->as.token >= 0;
    case CONTROL_REFUSAL:
        *refusal = (struct control_refusal){.producer_id = header->producer_id,
                                            .producer_epoch = header->producer_epoch,
                                            .sequence_first = header->base_sequence,
                                            .sequence_count = (int32_t)get_be32(from + 2),
                                            .reason = (enum control_reason)get_be16(from)};
        return refusal->producer_id >= 0 && refusal->producer_epoch >= 0 &&
               refusal->sequence_first >= 0 && refusal->sequence_count > 0 &&
               (refusal->reason == CONTROL_REASON_TOKEN || refusal->reason == CONTROL_REASON_END);
    case CONTROL_GAP:
        *gap = (struct control_gap){.offset_first = (int64_t)get_be64(from),
                                    .offset_end = (int64_t)get_be64(from + 8),
                                    .epoch = (int32_t)get_be32(from + 16)};
        return gap->offset_first >= 0 && gap->offset_first < gap->offset_end && gap->epoch >= 0;
    }
    return false;
}

bool control_read(struct bytes batch,
                  const struct batch_header *header,
                  struct control *ret_control)
{
    ASSERT(batch.count >= BATCH_HEADER_BYTES);
    ASSERT(header->bytes <= batch.count);

    if (!batch_is_control(header) || batch_codec(header) != BATCH_CODEC_NONE) {
        return false;
    }
    struct walk walk;
    struct record_view view;
    walk_init(&walk, header, batch_records(batch, header));
    if (!walk_next(&walk, &view) || view.key.count != KEY_BYTES || view.value.count < 2) {
        return false;
    }
    uint16_t type = get_be16(view.key.data + 2);
    size_t bytes = value_bytes(type);
    bool is_ours = bytes > 0 && view.value.count == bytes && get_be16(view.key.data) == 0 &&
                   get_be16(view.value.data) == CONTROL_VERSION;
    struct control control = {.type = (enum control_type)type};
    if (!is_ours || !value_get(view.value.data + 2, header, &control)) {
        return false; /* REC-9 */
    }
    *ret_control = control;
    return true;
}
