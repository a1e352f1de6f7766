/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/pack - try, keep or leave.
 */
#include "embed/pack.h"

#include "base/assert.h"
#include "io/io.h"
#include "record/compress.h"

/* A log's batches are at most this large when they gather; a larger one, appended as a whole, stays
 * plain. */
#define SCRATCH_BYTES ((size_t)(1 << 20))

enum pyr_err packer_init(struct packer *packer, struct io *io, struct pyr_error *reterr)
{
    ASSERT(packer->scratch.count == 0 || packer->scratch.data);
    ASSERT(io);

    *packer = (struct packer){.io = io};
    packer->workspace.count = compress_pack_workspace_bytes();
    packer->workspace.data = io_alloc(io, packer->workspace.count, COMPRESS_WORKSPACE_ALIGNMENT);
    packer->scratch.count = SCRATCH_BYTES;
    packer->scratch.data = io_alloc(io, packer->scratch.count, COMPRESS_WORKSPACE_ALIGNMENT);
    if (!packer->workspace.data || !packer->scratch.data) {
        packer_deinit(packer);
        return err_set(reterr, PYR_ERR_NO_MEMORY, "memory for compression");
    }
    return PYR_OK;
}

void packer_deinit(struct packer *packer)
{
    if (packer->io) {
        io_free(packer->io, packer->workspace.data);
        io_free(packer->io, packer->scratch.data);
    }
    *packer = (struct packer){0};
}

/* Pack the records of @builder into the scratch; return the bytes of the packed batch, or 0 to
 * leave it. */
static size_t pack_try(struct packer *packer, const struct builder *builder)
{
    ASSERT(packer->scratch.count == 0 || packer->scratch.data);
    ASSERT(builder);

    struct bytes records = builder_records(builder);
    if (!packer->io || !adaptive_should_try(&packer->adaptive, records.count)) {
        return 0;
    }
    size_t room = adaptive_room(records.count);
    if (room > packer->scratch.count - BATCH_HEADER_BYTES) {
        return 0;
    }
    struct bytes_mut out = {packer->scratch.data + BATCH_HEADER_BYTES, room};
    size_t packed = 0;
    uint64_t begin_ns = io_now_mono_ns(packer->io);
    enum pyr_err err = compress_pack(records, packer->workspace, out, &packed, NULL);
    uint64_t duration_ns = io_now_mono_ns(packer->io) - begin_ns;
    packed = err == PYR_OK ? packed : 0;
    if (!adaptive_learn(&packer->adaptive, records.count, packed, duration_ns)) {
        return 0;
    }
    return BATCH_HEADER_BYTES + packed;
}

size_t packer_seal(struct packer *packer, struct builder *builder)
{
    ASSERT(packer->scratch.count == 0 || packer->scratch.data);
    ASSERT(builder->record_count > 0);

    const struct batch_stamp stamp = BATCH_STAMP_NONE;
    size_t packed = pack_try(packer, builder);
    if (packed == 0) {
        return builder_seal(builder, &stamp).count;
    }
    ASSERT(packed < builder_bytes(builder));
    struct bytes_mut batch = {packer->scratch.data, packed};
    builder_seal_packed(builder, &stamp, BATCH_CODEC_LZ4, batch);
    memcpy(builder->data, batch.data, packed);
    return packed;
}
