/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/judge_make - write random batches of ours, and a listing of what was put into them.
 *
 *   JUDGE_FILE=batches JUDGE_SEED=1 judge_make
 *
 * The listing goes to batches.txt.
 *
 * judge_batch.py decodes the file with a decoder of its own and must come to the same listing.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/prng.h"
#include "lib/case.h"
#include "record/builder.h"
#include "record/compress.h"

enum { MEMORY_BYTES = 1 << 20, RECORDS_MAX = 60, HEADERS_MAX = 3, NOISE_BYTES = 20000 };

/* What one run needs. */
struct maker {
    struct prng prng;
    uint8_t noise[NOISE_BYTES];
    uint8_t memory[MEMORY_BYTES];
    uint8_t packed[MEMORY_BYTES];
    struct bytes_mut workspace;
    FILE *listing; /* FILE.txt. */
};

static struct maker maker;

static void field_print(const char *before, struct bytes field)
{
    (void)fprintf(maker.listing, "%s", before);
    if (!field.data) {
        (void)fprintf(maker.listing, "null");
        return;
    }
    (void)fprintf(maker.listing, "'");
    for (size_t index = 0; index < field.count; index++) {
        (void)fprintf(maker.listing, "%02x", field.data[index]);
    }
    (void)fprintf(maker.listing, "'");
}

static struct bytes field_draw(void)
{
    uint64_t kind = prng_below(&maker.prng, 16);
    if (kind == 0) {
        return (struct bytes){.data = NULL};
    }
    /* Small keys, and now and then enough that the batch takes more than one LZ4 block. */
    size_t count = kind == 1 ? 0 : prng_below(&maker.prng, kind == 2 ? 9000 : 90);
    return (struct bytes){.data = maker.noise + prng_below(&maker.prng, NOISE_BYTES - 9000),
                          .count = count};
}

static void record_draw(struct builder *builder, int64_t offset)
{
    struct record_header headers[HEADERS_MAX];
    struct record record = {
        .timestamp = prng_chance(&maker.prng, 1, 9)
                         ? (int64_t)prng_next(&maker.prng)
                         : INT64_C(1700000000000) + prng_between(&maker.prng, -9000, 9000),
        .key = field_draw(),
        .value = field_draw(),
        .headers = headers,
        .header_count = prng_below(&maker.prng, HEADERS_MAX + 1),
    };
    for (size_t nth = 0; nth < record.header_count; nth++) {
        headers[nth].key = (struct bytes){maker.noise, prng_below(&maker.prng, 70)};
        headers[nth].value = field_draw();
    }
    CHECK_INT(builder_add(builder, &record, NULL), PYR_OK);
    (void)fprintf(maker.listing, "record %" PRId64 " %" PRId64, offset, record.timestamp);
    field_print(" ", record.key);
    field_print(" ", record.value);
    for (size_t nth = 0; nth < record.header_count; nth++) {
        field_print(" ", headers[nth].key);
        field_print("=", headers[nth].value);
    }
    (void)fprintf(maker.listing, "\n");
}

/* Seal @builder, packed or not, and return the batch. */
static struct bytes_mut batch_seal_either(struct builder *builder, const struct batch_stamp *stamp)
{
    struct bytes_mut room = {maker.packed + BATCH_HEADER_BYTES, MEMORY_BYTES - BATCH_HEADER_BYTES};
    size_t bytes = 0;
    if (prng_chance(&maker.prng, 1, 2)) {
        return builder_seal(builder, stamp);
    }
    CHECK_INT(compress_pack(builder_records(builder), maker.workspace, room, &bytes, NULL), PYR_OK);
    struct bytes_mut batch = {maker.packed, BATCH_HEADER_BYTES + bytes};
    builder_seal_packed(builder, stamp, BATCH_CODEC_LZ4, batch);
    return batch;
}

TEST(judge, is_given_batches)
{
    const char *path = getenv("JUDGE_FILE");
    if (!path) {
        case_skip("writes only if JUDGE_FILE is set");
    }
    const char *seed = getenv("JUDGE_SEED");
    FILE *file = fopen(path, "wb");
    CHECK(file);
    char listing_path[4096];
    (void)snprintf(listing_path, sizeof listing_path, "%s.txt", path);
    maker.listing = fopen(listing_path, "wb");
    CHECK(maker.listing);
    maker.prng = prng_of(seed ? strtoull(seed, NULL, 10) : 1, 0);
    prng_fill(&maker.prng, (struct bytes_mut){maker.noise, NOISE_BYTES});
    memset(maker.noise, 'p', NOISE_BYTES / 2);
    maker.workspace.count = compress_pack_workspace_bytes();
    maker.workspace.data = malloc(maker.workspace.count);
    CHECK(maker.workspace.data);
    int64_t offset = 0;
    for (int round = 0; round < 200; round++) {
        struct builder builder;
        builder_init(&builder, (struct bytes_mut){maker.memory, MEMORY_BYTES});
        int32_t epoch = (int32_t)prng_below(&maker.prng, 1000);
        struct batch_stamp stamp = {
            .producer_id = prng_between(&maker.prng, -1, 100000),
            .producer_epoch = (int16_t)prng_between(&maker.prng, 0, INT16_MAX),
            .base_sequence = (int32_t)prng_between(&maker.prng, 0, INT32_MAX),
            .is_transactional = prng_chance(&maker.prng, 1, 4),
        };
        (void)fprintf(maker.listing,
                      "batch %" PRId64 " epoch %" PRId32 " producer %" PRId64 " %d %" PRId32
                      " %s\n",
                      offset, epoch, stamp.producer_id, stamp.producer_epoch, stamp.base_sequence,
                      stamp.is_transactional ? "transactional" : "plain");
        int64_t count = prng_between(&maker.prng, 1, RECORDS_MAX);
        for (int64_t nth = 0; nth < count; nth++) {
            record_draw(&builder, offset + nth);
        }
        struct bytes_mut batch = batch_seal_either(&builder, &stamp);
        batch_set_offset_and_epoch(batch, offset, epoch);
        CHECK_INT(fwrite(batch.data, 1, batch.count, file), batch.count);
        offset += count;
    }
    CHECK_INT(fclose(file), 0);
    CHECK_INT(fclose(maker.listing), 0);
    free(maker.workspace.data);
}
