/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/corpus_batch - make the corpus of batches: one small file a kind.
 *
 *   CORPUS_FOLDER=test/fuzz/corpus/batch corpus_batch
 *
 * The files are kept in test/fuzz/corpus/batch; this program says where they come from. They serve
 * any code that takes batches: a journal entry or a segment is made of them.
 */
#include <stdio.h>

#include "lib/case.h"
#include "record/batch.h"
#include "record/builder.h"
#include "record/golden.h"
#include "record/pack.h"

enum { MEMORY_BYTES = 1 << 16, RECORD_COUNT = 12 };

static void file_write(const char *name, struct bytes data)
{
    char path[4096];
    const char *folder = getenv("CORPUS_FOLDER");
    CHECK(folder);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file);
    CHECK_INT(fwrite(data.data, 1, data.count, file), data.count);
    CHECK_INT(fclose(file), 0);
}

static void records_add(struct builder *builder)
{
    struct record_header headers[] = {
        {.key = bytes_of_text("pyr.ttl"), .value = bytes_of_text("60000")},
        {.key = bytes_of_text(""), .value = {.data = NULL}},
    };
    for (int64_t number = 0; number < RECORD_COUNT; number++) {
        struct record record = {
            .timestamp = GOLDEN_TIMESTAMP + (number % 3 - 1) * 1000000,
            .key = number % 4 == 0 ? (struct bytes){.data = NULL} : bytes_of_text("key-key-key"),
            .value = number % 5 == 0 ? (struct bytes){.data = NULL}
                                     : bytes_of_text("a value that repeats, a value that repeats"),
            .headers = headers,
            .header_count = (size_t)(number % 3),
        };
        CHECK_INT(builder_add(builder, &record, NULL), PYR_OK);
    }
}

/* Golden batches, one batch of ours plain, and one packed in each way of other clients. */
TEST(corpus, is_written)
{
    static const char *const names[PACK_WAY_END] = {"gzip",     "snappy_raw", "snappy_java",
                                                    "lz4_java", "lz4_linked", "lz4_checked",
                                                    "zstd",     "zstd_stream"};
    static uint8_t memory[MEMORY_BYTES];
    if (!getenv("CORPUS_FOLDER")) {
        case_skip("writes only if CORPUS_FOLDER is set");
    }
    file_write("golden_batch1", (struct bytes){golden_batch1, sizeof golden_batch1});
    file_write("golden_lz4", (struct bytes){golden_batch_lz4, sizeof golden_batch_lz4});
    file_write("golden_abort", (struct bytes){golden_abort, sizeof golden_abort});
    struct builder builder;
    builder_init(&builder, (struct bytes_mut){memory, sizeof memory});
    records_add(&builder);
    struct bytes records = builder_records(&builder);
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    stamp.producer_id = 4242;
    stamp.producer_epoch = 1;
    stamp.base_sequence = 7;
    for (enum pack_way way = 0; way < PACK_WAY_END; way++) {
        struct bytes_mut packed = pack(way, records);
        struct bytes_mut batch = {.count = BATCH_HEADER_BYTES + packed.count};
        batch.data = malloc(batch.count);
        CHECK(batch.data);
        memcpy(batch.data + BATCH_HEADER_BYTES, packed.data, packed.count);
        builder_seal_packed(&builder, &stamp, (enum batch_codec)pack_codec(way), batch);
        file_write(names[way], (struct bytes){batch.data, batch.count});
        free(batch.data);
        free(packed.data);
    }
    struct bytes_mut plain = builder_seal(&builder, &stamp);
    file_write("plain", (struct bytes){plain.data, plain.count});
}
