/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/dump_batch - one batch as a line, its records as lines below it.
 *
 * Keys and values are shown as text; bytes that do not print are shown as \xNN, and after 60 of
 * them the rest is counted. JSON has them whole, but as text, too: what is no UTF-8 is U+FFFD.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "cli/json.h"
#include "cli/log_dump.h"
#include "cli/show.h"
#include "record/compress.h"
#include "record/walk.h"

/* Bytes of a key or value shown. */
enum { FIELD_BYTES_MAX = 60 };

bool dump_is_full(const struct dump *dump)
{
    ASSERT(dump->options->limit >= 0);
    return dump->options->limit > 0 && dump->printed >= (uint64_t)dump->options->limit;
}

/* -- Records -- */

static void field_print(struct bytes field)
{
    if (record_is_null(field)) {
        (void)printf("(null)");
        return;
    }
    size_t shown = field.count < FIELD_BYTES_MAX ? field.count : FIELD_BYTES_MAX;
    ASSERT(shown <= field.count);
    (void)putchar('\'');
    for (size_t index = 0; index < shown; index++) {
        int byte = field.data[index];
        if (byte < 128 && isprint(byte) && byte != '\'' && byte != '\\') {
            (void)putchar(byte);
        } else {
            (void)printf("\\x%02x", (unsigned)byte);
        }
    }
    (void)putchar('\'');
    if (shown < field.count) {
        (void)printf(" and %zu more bytes", field.count - shown);
    }
}

static void field_json(const char *name, struct bytes field)
{
    ASSERT(name != NULL);

    (void)printf(",\"%s\":", name);
    if (record_is_null(field)) {
        (void)printf("null");
    } else {
        json_string(field);
    }
}

static void record_json(const char *log, const struct record_view *view)
{
    (void)printf("{");
    json_field(false, "log", log);
    (void)printf(",\"offset\":%" PRId64 ",\"timestamp_ms\":%" PRId64, view->offset,
                 view->timestamp);
    field_json("key", view->key);
    field_json("value", view->value);
    (void)printf(",\"headers\":[");
    struct bytes rest = view->headers;
    struct record_header header;
    for (int32_t index = 0; record_header_next(&rest, &header); index++) {
        ASSERT(index < view->header_count);
        (void)printf("%s{\"key\":", index > 0 ? "," : "");
        json_string(header.key);
        field_json("value", header.value);
        (void)printf("}");
    }
    (void)printf("]}\n");
}

static void record_print(const struct record_view *view)
{
    ASSERT(view->header_count >= 0);

    (void)printf("    %12" PRId64 "  %s  ", view->offset, show_time(view->timestamp).text);
    field_print(view->key);
    (void)printf(" = ");
    field_print(view->value);
    struct bytes rest = view->headers;
    struct record_header header;
    while (record_header_next(&rest, &header)) {
        (void)printf("  [");
        field_print(header.key);
        (void)printf(": ");
        field_print(header.value);
        (void)printf("]");
    }
    (void)putchar('\n');
}

/* Find the records of a batch, unpacked. */
static enum pyr_err records_unpack(struct dump *dump,
                                   struct bytes data,
                                   const struct batch_header *header,
                                   struct bytes *ret_records,
                                   struct pyr_error *reterr)
{
    struct bytes packed = batch_records(data, header);
    enum batch_codec codec = batch_codec(header);
    if (codec == BATCH_CODEC_NONE) {
        *ret_records = packed;
        return PYR_OK;
    }
    size_t room_bytes = 0;
    enum pyr_err err = compress_unpacked_bytes_max(codec, packed, &room_bytes, reterr);
    if (err != PYR_OK) {
        return err;
    }
    room_bytes = room_bytes > 0 ? room_bytes : 1;
    size_t workspace_bytes = compress_unpack_workspace_bytes(codec);
    free(dump->unpacked);
    dump->unpacked = malloc(room_bytes);
    uint8_t *workspace = malloc(workspace_bytes > 0 ? workspace_bytes : 1);
    if (!dump->unpacked || !workspace) {
        free(workspace);
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to unpack %zu bytes", room_bytes);
    }
    size_t bytes = 0;
    err = compress_unpack(codec, packed, (struct bytes_mut){workspace, workspace_bytes},
                          (struct bytes_mut){dump->unpacked, room_bytes}, &bytes, reterr);
    free(workspace);
    ASSERT(bytes <= room_bytes);
    *ret_records = (struct bytes){dump->unpacked, bytes};
    return err;
}

static enum pyr_err records_print(struct dump *dump,
                                  const char *log,
                                  struct bytes data,
                                  const struct batch_header *header,
                                  struct pyr_error *reterr)
{
    struct bytes records = {NULL, 0};
    enum pyr_err err = records_unpack(dump, data, header, &records, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(header->bytes <= data.count);
    struct walk walk;
    struct record_view view;
    walk_init(&walk, header, records);
    while (!dump_is_full(dump) && walk_next(&walk, &view)) {
        if (view.offset < dump->options->from) {
            continue;
        }
        dump->printed++;
        if (dump->options->is_json) {
            record_json(log, &view);
        } else {
            record_print(&view);
        }
    }
    return dump_is_full(dump) ? PYR_OK : walk_end(&walk, reterr);
}

/* -- Batches -- */

void dump_heading(const struct dump *dump, const char *log, const char *file)
{
    ASSERT(file != NULL);

    if (!dump->options->is_json) {
        (void)printf("%s/%s\n%12s  %-25s %6s %8s %10s  %-6s  %s\n", log, file, "POSITION",
                     "OFFSETS", "EPOCH", "RECORDS", "BYTES", "CODEC", "NEWEST RECORD");
    }
}

static void batch_json(const char *log,
                       const char *file,
                       int64_t position,
                       const struct batch_header *header)
{
    ASSERT(header->bytes > 0);

    (void)printf("{");
    json_field(false, "log", log);
    json_field(true, "file", file);
    (void)printf(",\"position\":%" PRId64 ",\"offset_first\":%" PRId64 ",\"offset_last\":%" PRId64
                 ",\"epoch\":%" PRId32 ",\"records\":%" PRId32 ",\"bytes\":%" PRIu32,
                 position, header->base_offset, batch_offset_last(header), header->epoch,
                 header->record_count, header->bytes);
    json_field(true, "codec", batch_codec_name(batch_codec(header)));
    (void)printf(",\"timestamp_max_ms\":%" PRId64 ",\"crc\":%" PRIu32 ",\"is_control\":%s}\n",
                 header->max_timestamp, header->crc, batch_is_control(header) ? "true" : "false");
}

static void batch_print(int64_t position, const struct batch_header *header)
{
    char offsets[48];
    (void)snprintf(offsets, sizeof offsets, "%" PRId64 "..%" PRId64, header->base_offset,
                   batch_offset_last(header));
    ASSERT(header->record_count >= 0);
    (void)printf("%12" PRId64 "  %-25s %6" PRId32 " %8" PRId32 " %10" PRIu32 "  %-6s  %s%s\n",
                 position, offsets, header->epoch, header->record_count, header->bytes,
                 batch_codec_name(batch_codec(header)), show_time(header->max_timestamp).text,
                 batch_is_control(header) ? "  control" : "");
}

enum pyr_err dump_batch(struct dump *dump,
                        const char *log,
                        const char *file,
                        int64_t position,
                        struct bytes data,
                        struct pyr_error *reterr)
{
    struct batch_header header;
    enum pyr_err err = batch_header_read(data, &header, reterr);
    if (err == PYR_OK) {
        err = batch_verify(data, &header, reterr);
    }
    if (err != PYR_OK || batch_offset_last(&header) < dump->options->from || dump_is_full(dump)) {
        return err;
    }
    ASSERT(header.bytes <= data.count);
    bool shows_records = dump->options->shows_records;
    if (!dump->options->is_json) {
        batch_print(position, &header);
    } else if (!shows_records) {
        batch_json(log, file, position, &header);
    }
    if (shows_records) {
        return records_print(dump, log, data, &header, reterr);
    }
    dump->printed++;
    return PYR_OK;
}
