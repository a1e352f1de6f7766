/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/member_epochs - the core's table of epochs: where it comes from, and room for it.
 *
 *      segments' table  |0 epoch 1|40 epoch 2|        what is committed and written
 *      cache                          |47 epoch 2|90 epoch 5|    the rest, batch by batch
 *
 * A step begins a stretch or two; before it the table grows if it has to.
 */
#include <inttypes.h>

#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "record/batch.h"

enum {
    ROWS_FIRST = 16,
    ROWS_SPARE = 2, /* A step begins at most so many stretches. */
};

/* See that the next step finds room in the table; false: it never will. Without memory the core
 * takes no appends and does not stand. */
bool member_epochs_grow(struct member *member)
{
    struct epoch_table *table = &member->replica.epochs;
    ASSERT(table->rows == member->rows);
    ASSERT(table->count <= table->count_max);

    if (table->count_max - table->count >= ROWS_SPARE) {
        return true;
    }
    if (table->count_max >= SEGMENT_EPOCHS_MAX) {
        struct pyr_error error;
        (void)err_set(&error, PYR_ERR_FAILED,
                      "log '%s' was led in %" PRIu32 " epochs, and holds no more",
                      member->partition->name, table->count);
        member_fail(member, &error);
        return false;
    }
    struct io *io = member->partition->shard->io;
    struct epoch_row *rows =
        io_alloc(io, 2 * sizeof *rows * table->count_max, _Alignof(struct epoch_row));
    if (rows) {
        memcpy(rows, member->rows, table->count * sizeof *rows);
        io_free(io, member->rows);
        member->rows = rows;
        table->rows = rows;
        table->count_max *= 2;
    }
    return true;
}

/* Read the header of the batch at *@position of @chunk and move behind it; false at its end. */
static bool chunk_next(const struct cache_chunk *chunk,
                       size_t *position,
                       struct batch_header *ret_header)
{
    ASSERT(*position <= chunk->bytes_used);
    ASSERT(ret_header);

    if (*position == chunk->bytes_used) {
        return false;
    }
    struct bytes rest = {chunk->data + *position, chunk->bytes_used - *position};
    enum pyr_err err = batch_header_read(rest, ret_header, NULL);
    ASSERT(err == PYR_OK);
    *position += ret_header->bytes;
    return true;
}

/* Add the epochs of the batches of @chunk that segments do not have. */
static void table_add_chunk(struct epoch_table *table, const struct cache_chunk *chunk)
{
    ASSERT(table->count <= table->count_max);

    size_t position = 0;
    struct batch_header header;
    while (chunk_next(chunk, &position, &header)) {
        if (header.base_offset >= table->offset_end) {
            epochs_append(table, header.epoch, batch_offset_end(&header));
        }
    }
}

/* Return how often the epoch changes in @chunk. */
static uint32_t chunk_epochs(const struct cache_chunk *chunk)
{
    ASSERT(chunk->bytes_written <= chunk->bytes_used);
    ASSERT(chunk->bytes_used <= chunk->bytes_max);

    uint32_t count = 0;
    size_t position = 0;
    int32_t epoch = -1;
    struct batch_header header;
    while (chunk_next(chunk, &position, &header)) {
        count += header.epoch != epoch;
        epoch = header.epoch;
    }
    return count;
}

/* Return how many rows the table of @partition may need at first. */
uint32_t member_epochs_count(const struct partition *partition)
{
    ASSERT(partition->offset_written <= partition->offset_end);

    size_t count = 0;
    (void)segment_log_epochs(partition->segments, &count);
    for (const struct cache_chunk *chunk = partition->cached.first; chunk; chunk = chunk->next) {
        count += chunk_epochs(chunk);
    }
    return (uint32_t)count + ROWS_FIRST;
}

/* Fill @table, whose rows are enough, with the epochs of @partition. */
void member_epochs_fill(const struct partition *partition, struct epoch_table *table)
{
    size_t count = 0;
    const struct segment_epoch *rows = segment_log_epochs(partition->segments, &count);
    ASSERT(count <= table->count_max);
    ASSERT(count == 0 || rows[0].offset_start <= partition->offset_written);

    for (size_t index = 0; index < count; index++) {
        table->rows[index] = (struct epoch_row){rows[index].epoch, rows[index].offset_start};
    }
    table->count = (uint32_t)count;
    table->offset_end = partition->offset_written;
    for (const struct cache_chunk *chunk = partition->cached.first; chunk; chunk = chunk->next) {
        table_add_chunk(table, chunk);
    }
    ASSERT(table->offset_end == partition->offset_end); /* MEM-1 */
}
