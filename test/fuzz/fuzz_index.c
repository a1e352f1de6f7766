/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_index - whatever bytes stand in the small texts, names and points of a log.
 *
 * The first byte picks the decoder. What must hold: nothing outside the input is read, and what is
 * accepted can be put again to the very same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "segment/format.h"

enum { ROWS_MAX = 64, TEXT_MAX = 4096 };

static void try_epochs(struct bytes text)
{
    struct segment_epoch rows[ROWS_MAX];
    char again[TEXT_MAX];
    size_t count = 0;
    if (segment_epochs_get(text, rows, ROWS_MAX, &count)) {
        ASSERT(count <= ROWS_MAX);
        ASSERT(segment_epochs_put(again, sizeof again, rows, count) > 0);
    }
}

static void try_metadata(struct bytes text)
{
    struct segment_metadata metadata;
    char again[SEGMENT_METADATA_BYTES_MAX];
    if (segment_metadata_get(text, &metadata) == PYR_OK) {
        size_t count = segment_metadata_put(again, &metadata);
        ASSERT(count > 0 && count < sizeof again);
    }
}

static void try_name(struct bytes text)
{
    char name[64] = "";
    char path[PATH_BYTES_MAX];
    int64_t base = 0;
    enum segment_kind kind;
    enum segment_suffix suffix;
    memcpy(name, text.data, text.count < sizeof name - 1 ? text.count : sizeof name - 1);
    if (segment_name_parse(name, &base, &kind, &suffix)) {
        ASSERT(segment_path(path, "f", base, kind, suffix));
        ASSERT(strcmp(path + 2, name) == 0);
    }
}

static void try_point(struct bytes data)
{
    struct segment_identity identity = {.offset_base = 0};
    struct segment_digest_header header;
    struct segment_point point;
    uint8_t again[SEGMENT_POINT_BYTES];
    if (data.count >= SEGMENT_DIGEST_HEADER_BYTES) {
        (void)!segment_digest_header_get(data.data, &identity, &header);
    }
    if (data.count >= SEGMENT_POINT_BYTES &&
        segment_point_get(data.data, &identity, 3, &point)) { /* SEG-1 */
        segment_point_put(again, &identity, 3, &point);
    }
}

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static void (*const tries[])(struct bytes) = {try_epochs, try_metadata, try_name, try_point};
    if (count > 1) {
        tries[data[0] % 4]((struct bytes){.data = data + 1, .count = count - 1});
    }
    return 0;
}
