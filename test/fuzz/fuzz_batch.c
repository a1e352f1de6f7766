/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_batch - whatever bytes come as a batch: read, verify, unpack, walk, build again.
 *
 * The input is one batch as it stands in a file or on the wire. Its checksum is set right first in
 * a copy, since no fuzzer finds a CRC by chance, and the input is also read as it is. What must
 * hold: no call reads or writes outside its memory; a walk that ends well can be built again to the
 * very same records; the size that was told for unpacking is enough.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/codec.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "record/batch.h"
#include "record/builder.h"
#include "record/compress.h"
#include "record/walk.h"

/* Enough for every path, small enough to be fast. */
enum { UNPACKED_BYTES_MAX = 1 << 20 };

static void headers_visit(const struct record_view *view)
{
    struct bytes rest = view->headers;
    struct record_header header;
    int32_t count = 0;
    while (record_header_next(&rest, &header)) {
        ASSERT(!record_is_null(header.key));
        count++;
    }
    ASSERT(count == view->header_count);
    int64_t ttl_ms = 0;
    if (record_ttl_ms(view, &ttl_ms)) {
        ASSERT(ttl_ms >= 0);
    }
}

static void inside(struct bytes part, struct bytes whole)
{
    if (part.data) {
        ASSERT(part.data >= whole.data);
        ASSERT(part.data + part.count <= whole.data + whole.count);
    }
}

/* Walk @records and build them again; hold the two against one another if the walk ends well. */
static void walk_and_build(const struct batch_header *header, struct bytes records)
{
    struct bytes_mut memory = {.count = BATCH_HEADER_BYTES + records.count};
    memory.data = malloc(memory.count);
    ASSERT(memory.data);
    struct builder builder;
    builder_init_from(&builder, memory, header);
    struct walk walk;
    walk_init(&walk, header, records);
    struct record_view view;
    while (walk_next(&walk, &view)) {
        inside(view.encoded, records);
        inside(view.key, view.encoded);
        inside(view.value, view.encoded);
        headers_visit(&view);
        enum pyr_err err =
            builder_add_encoded(&builder, view.encoded, view.offset_delta, view.timestamp, NULL);
        ASSERT(err == PYR_OK);
    }
    if (walk_end(&walk, NULL) == PYR_OK) {
        ASSERT(bytes_equal(builder_records(&builder), records));
        struct bytes_mut batch = builder_seal(&builder, &BATCH_STAMP_NONE);
        struct bytes data = {.data = batch.data, .count = batch.count};
        struct batch_header again;
        ASSERT(batch_header_read(data, &again, NULL) == PYR_OK);
        ASSERT(batch_verify(data, &again, NULL) == PYR_OK);
        ASSERT(again.record_count == header->record_count);
        ASSERT(again.last_offset_delta == header->last_offset_delta);
    }
    free(memory.data);
}

static void unpack_and_walk(const struct batch_header *header, struct bytes packed)
{
    enum batch_codec codec = batch_codec(header);
    size_t room = 0;
    if (compress_unpacked_bytes_max(codec, packed, &room, NULL) != PYR_OK) {
        return;
    }
    bool is_whole = room <= UNPACKED_BYTES_MAX;
    struct bytes_mut out = {.count = is_whole ? room : UNPACKED_BYTES_MAX};
    out.data = malloc(out.count);
    struct bytes_mut workspace = {.count = compress_unpack_workspace_bytes(codec)};
    workspace.data = malloc(workspace.count + 1);
    ASSERT(out.data);
    ASSERT(workspace.data);
    size_t bytes = 0;
    enum pyr_err err = compress_unpack(codec, packed, workspace, out, &bytes, NULL);
    if (err == PYR_OK) {
        walk_and_build(header, (struct bytes){.data = out.data, .count = bytes});
    }
    free(workspace.data);
    free(out.data);
}

static void batch_visit(struct bytes data)
{
    struct batch_header header;
    if (batch_header_read(data, &header, NULL) != PYR_OK ||
        batch_verify(data, &header, NULL) != PYR_OK) {
        return;
    }
    if (batch_check_produced(&header, NULL) == PYR_OK) {
        ASSERT(header.record_count - 1 == header.last_offset_delta);
    }
    struct bytes records = batch_records(data, &header);
    if (batch_codec(&header) == BATCH_CODEC_NONE) {
        walk_and_build(&header, records);
    } else {
        unpack_and_walk(&header, records);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct bytes input = {.data = data, .count = count};
    batch_visit(input);
    struct batch_header header;
    if (batch_header_read(input, &header, NULL) != PYR_OK) {
        return 0;
    }
    uint8_t *copy = malloc(header.bytes);
    ASSERT(copy);
    memcpy(copy, data, header.bytes);
    uint32_t crc =
        checksum_crc32c(0, (struct bytes){.data = copy + BATCH_ATTRIBUTES_POSITION,
                                          .count = header.bytes - BATCH_ATTRIBUTES_POSITION});
    put_be32(copy + BATCH_CRC_POSITION, crc);
    batch_visit((struct bytes){.data = copy, .count = header.bytes});
    free(copy);
    return 0;
}
